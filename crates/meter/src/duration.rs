//! Durations as text for log lines.

use std::time::Duration;

/// `0.9 s`, `45 s`, `5 min`, `3 h 20 min`
#[must_use]
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        _ => match minutes % 60 {
            0 => format!("{hours} h"),
            minutes => format!("{hours} h {minutes} min"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let shown: Vec<_> =
            [0, 900, 9_999, 10_000, 119_999, 120_000, 7_199_000, 7_200_000, 12_000_000]
                .map(|ms| words(Duration::from_millis(ms)))
                .into();
        assert_eq!(
            shown,
            ["0.0 s", "0.9 s", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h", "3 h 20 min"]
        );
    }
}
