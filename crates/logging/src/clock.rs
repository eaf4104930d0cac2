//! The only module that reads the wall clock.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// The wall clock in the local zone.
#[derive(Debug, Clone, Copy)]
pub struct LocalTime;

impl LocalTime {
    /// The time in ISO 8601, with the offset of the local zone.
    #[must_use]
    pub fn now_text() -> String {
        Self::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// The time in the local zone.
    #[expect(clippy::disallowed_methods, reason = "only this function reads the wall clock")]
    #[must_use]
    pub fn now() -> ZonedDateTime {
        static ZONE: Mutex<Option<TimeZone>> = Mutex::new(None);

        Self::at(SystemTime::now(), TimeZone::try_system().ok(), &ZONE)
    }

    /// A time beyond the calendar becomes the end of the calendar. If the system does not know its
    /// zone, because no file can be opened, the last known zone is used.
    fn at(
        time: SystemTime,
        zone: Option<TimeZone>,
        last: &Mutex<Option<TimeZone>>,
    ) -> ZonedDateTime {
        let end = if time < UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::try_from(time).unwrap_or(end);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if zone.is_some() {
            *last = zone;
        }
        let zone = last.clone();
        drop(last);
        time.to_zoned_datetime(zone.unwrap_or_else(TimeZone::unknown))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_beyond_the_calendar_gives_the_end_of_the_calendar() {
        let zone = || TimeZone::get("Pacific/Kiritimati").unwrap();
        let last_zone = Mutex::new(None);
        let at = |time: Option<SystemTime>| {
            LocalTime::at(time.unwrap(), Some(zone()), &last_zone).timestamp()
        };
        let second = Duration::from_secs(1);
        let last = UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_799));
        assert_eq!(at(last), Timestamp::MAX);
        assert_eq!(at(last.unwrap().checked_add(100 * second)), Timestamp::MAX);
        assert_eq!(
            at(UNIX_EPOCH.checked_sub(Duration::from_secs(400_000_000_000))),
            Timestamp::MIN
        );
        assert_eq!(at(UNIX_EPOCH.checked_add(second)).as_second(), 1);
        // The last known zone is used.
        assert_eq!(LocalTime::at(UNIX_EPOCH, None, &last_zone).time_zone(), &zone());
    }
}
