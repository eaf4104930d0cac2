//! Sentences with a duration. The script in the page keeps the duration up to date.

use std::time::Duration;

use tokio::time::Instant;

use crate::language::fill;

/// A sentence with a duration, which the script keeps counting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimedText {
    pub(super) before: String,
    /// `age` counts up, `left` counts down, `at` does not count.
    pub(super) kind: &'static str,
    pub(super) seconds: u64,
    pub(super) text: String,
    pub(super) after: String,
}

impl TimedText {
    pub(super) fn age(text: &str, at: Instant, now: Instant, values: &[(&str, &str)]) -> Self {
        Self::new(text, "age", now.saturating_duration_since(at), values)
    }

    pub(super) fn left(text: &str, at: Instant, now: Instant) -> Self {
        Self::new(text, "left", at.saturating_duration_since(now), &[])
    }

    pub(super) fn new(
        text: &str,
        kind: &'static str,
        time: Duration,
        values: &[(&str, &str)],
    ) -> Self {
        let Some((before, after)) = text.split_once("{time}") else {
            return Self::none(text, values);
        };
        let (before, after) = (fill(before, values), fill(after, values));
        let seconds = time.as_secs();
        Self { before, kind, seconds, text: length(seconds), after }
    }

    /// A sentence without a duration.
    pub(super) fn none(text: &str, values: &[(&str, &str)]) -> Self {
        let before = fill(text, values);
        Self { before, kind: "at", seconds: 0, text: String::new(), after: String::new() }
    }
}

/// A duration, as `script.js` writes it too.
pub(super) fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}
