//! When a log file ends and the next one begins, and the names of the earlier ones.
//!
//! A file holds one period of the local calendar and clock. Periods are counted from 1970-01-01
//! 00:00, so the time of a line alone decides its period, before and after a restart. The hour that
//! is repeated when daylight saving time ends is one period.

use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, date};
use jiff::{SignedDuration, Unit};
use thiserror::Error;

/// How often a new file begins, and how many earlier ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The unit of a period.
    pub when: When,
    /// The number of units in a period.
    pub interval: NonZeroU32,
    /// How many earlier files are kept; 0 keeps all.
    pub keep: usize,
}

/// When a new file begins, with Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// `s`: every second.
    Second,
    /// `m`: on the full minute.
    Minute,
    /// `h`: on the full hour.
    Hour,
    /// `d` and `midnight`: at midnight.
    Midnight,
    /// `w0` to `w6`: at the midnight that ends this day of the week; 0 is Monday.
    Week(u8),
}

/// A text is not one of the names of [`When`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use `s`, `m`, `h`, `d`, `midnight`, or `w0` to `w6`")]
pub struct ParseWhenError;

impl FromStr for When {
    type Err = ParseWhenError;

    fn from_str(text: &str) -> Result<Self, ParseWhenError> {
        match text.to_ascii_lowercase().as_str() {
            "s" => Ok(Self::Second),
            "m" => Ok(Self::Minute),
            "h" => Ok(Self::Hour),
            "d" | "midnight" => Ok(Self::Midnight),
            week => {
                let day = week.strip_prefix('w').and_then(|day| day.parse().ok());
                let day = day.filter(|day| *day < 7 && week.len() == 2);
                day.map(Self::Week).ok_or(ParseWhenError)
            }
        }
    }
}

const DAY: i64 = 24 * 60 * 60;
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl When {
    const fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Midnight => DAY,
            Self::Week(_) => 7 * DAY,
        }
    }

    /// Seconds from the epoch to the beginning of the first period.
    fn origin(self) -> i64 {
        match self {
            // The epoch was a Thursday. A period begins on the day after the one that ends it.
            Self::Week(day) => (i64::from(day) - 2).rem_euclid(7) * DAY,
            _ => 0,
        }
    }

    /// The format of the start of a period, which is appended to the name of the file.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Second => "%Y-%m-%d_%H-%M-%S",
            Self::Minute => "%Y-%m-%d_%H-%M",
            Self::Hour => "%Y-%m-%d_%H",
            Self::Midnight | Self::Week(_) => "%Y-%m-%d",
        }
    }
}

/// A period, identified by its start in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(DateTime);

impl Rotation {
    /// The period that contains a local time.
    pub(crate) fn period(&self, time: DateTime) -> Period {
        let since = time.since((Unit::Second, EPOCH)).map_or(0, |span| span.get_seconds());
        let length = self.when.seconds().saturating_mul(self.interval.get().into());
        let into = since.saturating_sub(self.when.origin()).rem_euclid(length);
        let begin = SignedDuration::from_secs(since.saturating_sub(into));
        Period(EPOCH.checked_add(begin).unwrap_or(EPOCH))
    }

    /// The text that is appended to the file of a period when it is over: `2026-11-24`.
    pub(crate) fn suffix(&self, period: Period) -> String {
        period.0.strftime(self.when.suffix()).to_string()
    }

    /// Whether a text can be a [`Rotation::suffix`].
    pub(crate) fn is_suffix(&self, text: &str) -> bool {
        let format = self.when.suffix();
        let period = match self.when {
            When::Midnight | When::Week(_) => {
                Date::strptime(format, text).ok().map(|date| date.at(0, 0, 0, 0))
            }
            // An hour alone is not a time.
            When::Hour => DateTime::strptime("%Y-%m-%d_%H-%M", format!("{text}-00")).ok(),
            When::Minute | When::Second => DateTime::strptime(format, text).ok(),
        };
        // `2026-1-1` is valid, but not a suffix.
        text.is_ascii() && period.is_some_and(|begin| self.suffix(Period(begin)) == text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotation(when: &str, interval: u32) -> Rotation {
        let interval = NonZeroU32::new(interval).unwrap();
        Rotation { when: when.parse().unwrap(), interval, keep: 7 }
    }

    fn begins(when: &str, interval: u32, time: &str) -> String {
        let rotation = rotation(when, interval);
        rotation.suffix(rotation.period(time.parse().unwrap()))
    }

    #[test]
    fn a_file_is_named_after_the_start_of_its_period() {
        // A Tuesday.
        let time = "2026-11-24T13:47:09.5";
        for (when, interval, expected) in [
            ("s", 1, "2026-11-24_13-47-09"),
            ("S", 10, "2026-11-24_13-47-00"),
            ("m", 1, "2026-11-24_13-47"),
            ("m", 15, "2026-11-24_13-45"),
            ("h", 1, "2026-11-24_13"),
            ("h", 6, "2026-11-24_12"),
            ("d", 1, "2026-11-24"),
            ("MIDNIGHT", 1, "2026-11-24"),
            ("midnight", 2, "2026-11-23"),
            // Python's `W0` ends with Monday, so its period begins on Tuesday.
            ("w0", 1, "2026-11-24"),
            ("w1", 1, "2026-11-18"),
            ("W6", 1, "2026-11-23"),
            ("w6", 2, "2026-11-23"),
            ("w6", 3, "2026-11-16"),
        ] {
            assert_eq!(begins(when, interval, time), expected, "{when} {interval}");
        }
        assert_eq!(begins("d", 1, "1969-12-31T23:59:59"), "1969-12-31");
    }

    #[test]
    fn only_names_of_exactly_this_form_are_recognized() {
        for (when, ours, not) in [
            ("s", "2026-11-24_13-47-09", "2026-11-24_13-47"),
            ("m", "2026-11-24_13-47", "2026-11-24_13-77"),
            ("h", "2026-11-24_13", "2026-11-24_1"),
            ("d", "2026-11-24", "2026-02-30"),
            ("w3", "2026-11-24", "2026-11-24.gz"),
        ] {
            assert!(rotation(when, 1).is_suffix(ours), "{ours}");
            assert!(!rotation(when, 1).is_suffix(not), "{not}");
        }
        for not in ["", "old", "2026-11-4", "+2026-11-24", "2026-11-24 ", "2026-11-24_13", "1"] {
            assert!(!rotation("d", 1).is_suffix(not), "{not}");
        }
    }

    #[test]
    fn invalid_names_of_periods_are_rejected() {
        for text in ["", "x", "w7", "w", "w00", "day", "ww"] {
            assert_eq!(text.parse::<When>(), Err(ParseWhenError), "{text}");
        }
        assert_eq!("W3".parse(), Ok(When::Week(3)));
    }

    proptest! {
        #[test]
        fn every_name_of_a_file_is_recognized(
            when in prop::sample::select(vec!["s", "m", "h", "d", "w0", "w3", "w6"]),
            interval in 1_u32..1000,
            seconds in 0_i64..4_000_000_000,
        ) {
            let rotation = rotation(when, interval);
            let time = EPOCH.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            let period = rotation.period(time);
            prop_assert!(rotation.is_suffix(&rotation.suffix(period)));
            // The start of a period is in the period, and not after the time.
            prop_assert_eq!(rotation.period(period.0), period);
            prop_assert!(period.0 <= time);
        }
    }

    #[test]
    fn a_time_at_the_end_of_the_calendar_has_a_period() {
        let local = [DateTime::MIN, DateTime::MAX].into_iter();
        let times = testing::times();
        for time in local.chain(times.iter().map(jiff::ZonedDateTime::datetime)) {
            for when in ["s", "m", "h", "d", "w0", "w6"] {
                for interval in [1, 7, u32::MAX] {
                    let rotation = rotation(when, interval);
                    let period = rotation.period(time);
                    assert!(
                        rotation.is_suffix(&rotation.suffix(period)),
                        "{time} {when} {interval}"
                    );
                }
            }
        }
    }
}
