//! The periods, and the reading with which each begins.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::means::Point;

/// A time for which means are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// The last 24 hours.
    Day,
    /// The month so far.
    Month,
    /// The heating year so far.
    Year,
}

/// A reading gives the counters at the start of a period if it is at most this far away from it.
/// Slow registers are read once an hour by default.
pub const NEAR: SignedDuration = SignedDuration::from_hours(1);

impl Period {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Year];

    /// When the period began that contains `now`. The heating year begins with `first_month`, from 1
    /// to 12. Months begin at local midnight. `None` at the ends of the calendar.
    #[must_use]
    pub fn start(self, now: &ZonedDateTime, first_month: i8) -> Option<Timestamp> {
        let date = now.date();
        let first = match self {
            Self::Day => {
                return now.timestamp().checked_sub(SignedDuration::from_hours(24)).ok();
            }
            Self::Month => date.first_of_month(),
            Self::Year => {
                let year = if date.month() >= first_month {
                    date.year()
                } else {
                    date.year().checked_sub(1)?
                };
                Date::new(year, first_month, 1).ok()?
            }
        };
        Some(first.to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp())
    }

    /// The reading with which the means of a period begin: the nearest to its start. Of the readings
    /// before the start, only those of the last hour before it are used, so a period without one
    /// begins with its first reading. `points` must be in order.
    #[must_use]
    pub fn first_of(points: &[Point], start: Timestamp) -> Option<&Point> {
        let away = |point: &&Point| point.at.duration_since(start).abs();
        let is_usable = |point: &&Point| point.at.duration_since(start) >= -NEAR;
        points.iter().filter(is_usable).min_by_key(away)
    }

    /// Whether a period is covered from its start if its means begin at `since`.
    #[must_use]
    pub fn is_whole(start: Timestamp, since: Timestamp) -> bool {
        since.duration_since(start).abs() <= NEAR
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::means::Counters;

    fn start(period: Period, now: &str, first_month: i8) -> String {
        let now: ZonedDateTime = format!("{now}[Europe/Copenhagen]").parse().unwrap();
        let start = period.start(&now, first_month).unwrap();
        start.to_zoned_datetime(now.time_zone().clone()).datetime().to_string()
    }

    #[test]
    fn periods_follow_the_local_calendar() {
        assert_eq!(start(Period::Month, "2026-11-29T22:15:00", 1), "2026-11-01T00:00:00");
        assert_eq!(start(Period::Year, "2026-11-29T22:15:00", 1), "2026-01-01T00:00:00");
        assert_eq!(start(Period::Year, "2026-11-29T22:15:00", 6), "2026-06-01T00:00:00");
        assert_eq!(start(Period::Year, "2026-05-31T23:59:59", 6), "2025-06-01T00:00:00");
        assert_eq!(start(Period::Year, "2026-06-01T00:00:00", 6), "2026-06-01T00:00:00");
        assert_eq!(start(Period::Day, "2026-11-29T22:15:00", 6), "2026-11-28T22:15:00");
        // Always 24 hours.
        assert_eq!(start(Period::Day, "2026-10-25T12:00:00", 6), "2026-10-24T13:00:00");
        assert_eq!(start(Period::Day, "2026-03-29T12:00:00", 6), "2026-03-28T11:00:00");
    }

    #[test]
    fn a_period_begins_with_the_reading_nearest_to_its_start() {
        let counters = Counters {
            volume: Decimal::ZERO,
            supply: Decimal::ZERO,
            returned: Decimal::ZERO,
            energy: None,
        };
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let first = |minutes: &[i64]| {
            let at = |minute: &i64| start + SignedDuration::from_mins(*minute);
            let point = |minute: &i64| Point { at: at(minute), counters };
            let points: Vec<_> = minutes.iter().map(point).collect();
            let first = Period::first_of(&points, start)?;
            Some(first.at.duration_since(start).as_mins())
        };
        assert_eq!(first(&[-120, -61, -1, 59]), Some(-1));
        assert_eq!(first(&[-60, 20]), Some(20));
        assert_eq!(first(&[-20, 20]), Some(-20), "of two, the first");
        // A gap that includes the start.
        assert_eq!(first(&[-1500, -61, 2900, 2960]), Some(2900));
        assert_eq!(first(&[-1500]), None);
        assert!(Period::is_whole(start, start + NEAR));
        assert!(!Period::is_whole(start, start + NEAR + SignedDuration::from_secs(1)));
    }
}
