//! The polls of an hour in one line.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::time::Instant;

use super::names::{short_list, unread_words};
use super::result::PollResult;
use crate::duration::words;

/// The polls since the first reading or the last summary.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// `None` before the first reading.
    since: Option<Instant>,
    polls: u32,
    /// The polls in which the meter answered.
    readings: u32,
    /// The readings without any missing value.
    complete: u32,
    /// The fewest and the most values that a reading should have had. Values that change slowly are
    /// not in each reading.
    values: Option<(usize, usize)>,
    /// How many readings had no value for a register.
    missing: BTreeMap<RegisterId, u32>,
    retries: u64,
}

/// The time after "in the last": `hour`, `62 min`, `2 h`.
pub(super) fn last_words(time: Duration) -> String {
    match time.as_secs() / 60 {
        59..=60 => "hour".to_owned(),
        _ => words(time),
    }
}

impl Summary {
    pub(super) fn starting(at: Instant) -> Self {
        Self { since: Some(at), ..Self::default() }
    }

    /// Counts a poll. The first reading has a line of its own, so counting starts after it.
    pub(super) fn count(&mut self, result: &PollResult, ended: Instant) {
        let is_reading = result.trouble.is_none() || !result.readings.is_empty();
        if self.since.is_none() {
            self.since = is_reading.then_some(ended);
            return;
        }
        self.polls = self.polls.saturating_add(1);
        self.retries = self.retries.saturating_add(result.traffic.retries);
        if !is_reading {
            return;
        }
        self.readings = self.readings.saturating_add(1);
        self.complete = self.complete.saturating_add(u32::from(result.missing.is_empty()));
        let values = result.readings.len().saturating_add(result.missing.len());
        let (least, most) = self.values.unwrap_or((values, values));
        self.values = Some((least.min(values), most.max(values)));
        for (register, _) in &result.missing {
            let count = self.missing.entry(*register).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Returns the time that it covers; `None` before the first reading.
    pub(super) fn covers(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.since?))
    }

    /// Returns the line; `None` if the meter never answered.
    pub(super) fn describe(&self, now: Instant) -> Option<String> {
        let Self { polls, readings, retries, .. } = self;
        if *readings == 0 {
            return None;
        }
        let time = last_words(self.covers(now)?);
        let values = self.describe_values();
        let retries = match retries {
            0 => String::new(),
            1 => " 1 request was sent again, because its answer was missing or damaged.".to_owned(),
            more => format!(
                " {more} requests were sent again, because their answers were missing or damaged."
            ),
        };
        Some(format!("Read {readings} of {polls} times in the last {time}, {values}.{retries}"))
    }

    /// `7 values each`
    fn describe_values(&self) -> String {
        let Self { readings, complete, values, missing, .. } = self;
        let (least, most) = values.unwrap_or_default();
        let word = if most == 1 { "value" } else { "values" };
        if least != most {
            return self.describe_range(least, most);
        }
        let values = most;
        if missing.is_empty() {
            format!("{values} {word} each")
        } else if missing.values().all(|count| count == readings) {
            let read = values.saturating_sub(missing.len());
            format!("{read} of {values} {word} each{}", unread_words(missing.keys().copied()))
        } else {
            let were = if missing.len() == 1 { "was" } else { "were" };
            let names = short_list(missing.keys().copied());
            format!("{complete} times with all {values} {word}; {names} {were} missing at times")
        }
    }

    /// `7 to 32 values each`
    fn describe_range(&self, least: usize, most: usize) -> String {
        let missing = &self.missing;
        if missing.values().all(|count| *count == self.readings) {
            let [least, most] = [least, most].map(|count| count.saturating_sub(missing.len()));
            let without = unread_words(missing.keys().copied());
            return format!("{least} to {most} values each{without}");
        }
        let were = if missing.len() == 1 { "was" } else { "were" };
        let names = short_list(missing.keys().copied());
        format!("{least} to {most} values each; {names} {were} missing at times")
    }
}
