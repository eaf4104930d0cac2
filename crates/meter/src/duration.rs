//! Durations as text for log lines.

use std::time::Duration;

/// `0.9 s`, `45 s`, `5 min`, `3 h 20 min`, `7 d`
#[must_use]
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => match minutes % 60 {
            0 => format!("{hours} h"),
            minutes => format!("{hours} h {minutes} min"),
        },
        _ => match hours % 24 {
            0 => format!("{} d", hours / 24),
            hours_of_day => format!("{} d {hours_of_day} h", hours / 24),
        },
    }
}

/// The same with each part, for a duration that somebody has chosen: `90 s`, `2 min 30 s`,
/// `1 d 12 h`. Parts of a second are left out.
#[must_use]
pub fn exact_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 {
        return words(duration);
    }
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let shown: Vec<_> =
            [0, 900, 9_999, 10_000, 119_999, 120_000, 7_199_000, 7_200_000, 12_000_000, 86_400_000]
                .into_iter()
                .chain([604_800_000, 613_800_000])
                .map(|ms| words(Duration::from_millis(ms)))
                .collect();
        let expected = [
            "0.0 s",
            "0.9 s",
            "9.9 s",
            "10 s",
            "119 s",
            "2 min",
            "119 min",
            "2 h",
            "3 h 20 min",
            "24 h",
            "7 d",
            "7 d 2 h",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_chosen_duration_has_all_its_parts() {
        for (seconds, expected) in [
            (5, "5.0 s"),
            (90, "90 s"),
            (150, "2 min 30 s"),
            (5400, "1 h 30 min"),
            (86_400, "1 d"),
            (86_401, "1 d 1 s"),
            (604_800, "7 d"),
        ] {
            assert_eq!(exact_words(Duration::from_secs(seconds)), expected);
        }
    }
}
