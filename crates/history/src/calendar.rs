//! Hours and days of the local zone, as spans of time in milliseconds since 1970.
//!
//! All arithmetic is on points in time, so an hour that comes twice is two hours, and a day has as
//! many as it has.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Milliseconds since 1970.
pub(super) type Millis = i64;

pub(super) const MINUTE: Millis = 60_000;
pub(super) const HOUR: Millis = 3_600_000;

/// Readings keep to the clock, so the reading of the full hour comes a moment after it. It is the last
/// one of the hour that has ended, rather than the first of the one that begins.
pub(super) const GRACE: Millis = MINUTE;

/// How long before the end of an hour or a day its last reading may be, for the counter to be known
/// at that end.
const NEAR: Millis = 15 * MINUTE;

/// From a beginning up to, and without, an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Millis,
    pub(super) end: Millis,
}

impl Span {
    /// When the readings that belong to it were made.
    pub(super) fn readings(self) -> Self {
        Self { start: self.start.saturating_add(GRACE), end: self.end.saturating_add(GRACE) }
    }

    pub(super) fn contains(self, time: Millis) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// Whether a reading of this time, if it is the last one of the span, tells what a counter was at
    /// the span's end.
    pub(super) fn ends_with(self, time: Millis) -> bool {
        time >= self.end.saturating_sub(NEAR)
    }
}

/// The zone that hours and days go by.
#[derive(Debug, Clone)]
pub(super) struct Calendar(TimeZone);

impl Calendar {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// The local hour of this time. Hours are counted from the beginning of the day, so that they join
    /// without a gap; where the clock changes by half an hour, the last one of that day is shorter.
    pub(super) fn hour(&self, time: Millis) -> Span {
        let whole = |start: Millis| {
            let into = time.saturating_sub(start).rem_euclid(HOUR);
            time.saturating_sub(into)
        };
        let Some(day) = self.day(self.date(time)).filter(|day| day.contains(time)) else {
            let start = whole(0);
            return Span { start, end: start.saturating_add(HOUR) };
        };
        let start = whole(day.start);
        Span { start, end: start.saturating_add(HOUR).min(day.end) }
    }

    /// The local hour that a reading of this time belongs to.
    pub(super) fn hour_of_reading(&self, time: Millis) -> Span {
        self.hour(time.saturating_sub(GRACE))
    }

    /// The hour before the one that begins at `start`.
    pub(super) fn hour_before(&self, start: Millis) -> Span {
        self.hour(start.saturating_sub(1))
    }

    /// The date of this time.
    pub(super) fn date(&self, time: Millis) -> Date {
        timestamp(time).to_zoned_datetime(self.0.clone()).date()
    }

    /// A day, from its first moment to that of the next day; `None` at the end of the calendar.
    pub(super) fn day(&self, date: Date) -> Option<Span> {
        let start = |date: Date| {
            let start = date.to_zoned_datetime(self.0.clone()).ok()?;
            Some(start.timestamp().as_millisecond())
        };
        Some(Span { start: start(date)?, end: start(date.tomorrow().ok()?)? })
    }

    /// The hours of a day: 24, or 23 or 25 where the clock changes.
    pub(super) fn hours(day: Span) -> Vec<Span> {
        let mut hours = Vec::new();
        let mut start = day.start;
        while start < day.end {
            let end = start.saturating_add(HOUR).min(day.end);
            hours.push(Span { start, end });
            start = end;
        }
        hours
    }
}

/// A point in time that the program has noted; the end of the calendar where there is none so late.
pub(super) fn timestamp(time: Millis) -> Timestamp {
    let end = if time < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(time).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copenhagen() -> Calendar {
        Calendar::new(TimeZone::get("Europe/Copenhagen").unwrap())
    }

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn hours(calendar: &Calendar, date: &str) -> Vec<String> {
        let day = calendar.day(date.parse().unwrap()).unwrap();
        let hours = Calendar::hours(day);
        assert_eq!(hours.first().unwrap().start, day.start);
        assert_eq!(hours.last().unwrap().end, day.end);
        let local = |span: &Span| {
            timestamp(span.start)
                .to_zoned_datetime(calendar.0.clone())
                .strftime("%H:%M%:z")
                .to_string()
        };
        hours.iter().map(local).collect()
    }

    #[test]
    fn a_day_has_as_many_hours_as_it_has() {
        let calendar = copenhagen();
        let spring = hours(&calendar, "2026-03-29");
        assert_eq!(spring.len(), 23);
        assert_eq!(spring[1..3], ["01:00+01:00", "03:00+02:00"]);
        let autumn = hours(&calendar, "2026-10-25");
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[2..4], ["02:00+02:00", "02:00+01:00"]);
        assert_eq!(hours(&calendar, "2026-11-24").len(), 24);
        // Its offset is 5:45.
        let kathmandu = Calendar::new(TimeZone::get("Asia/Kathmandu").unwrap());
        assert_eq!(hours(&kathmandu, "2026-11-24")[..2], ["00:00+05:45", "01:00+05:45"]);
        // Its clock changes by half an hour.
        let lord_howe = Calendar::new(TimeZone::get("Australia/Lord_Howe").unwrap());
        for date in ["2026-04-05", "2026-10-04"] {
            let day = lord_howe.day(date.parse().unwrap()).unwrap();
            let spans = Calendar::hours(day);
            assert!(spans.iter().all(|span| span.end - span.start <= HOUR), "{date}");
            assert!(spans.len() >= 24, "{date}");
        }
        // Its midnight is missing on this day.
        let santiago = Calendar::new(TimeZone::get("America/Santiago").unwrap());
        assert_eq!(hours(&santiago, "2026-09-06").len(), 23);
    }

    #[test]
    fn the_reading_of_the_full_hour_is_the_last_one_of_the_hour_that_ended() {
        let calendar = copenhagen();
        let hour = |time| timestamp(calendar.hour_of_reading(at(time)).start).to_string();
        assert_eq!(hour("2026-11-24T10:00:03Z"), "2026-11-24T09:00:00Z");
        assert_eq!(hour("2026-11-24T10:00:59.999Z"), "2026-11-24T09:00:00Z");
        assert_eq!(hour("2026-11-24T10:01:00Z"), "2026-11-24T10:00:00Z");
        assert_eq!(hour("1969-12-31T23:59:59.5Z"), "1969-12-31T23:00:00Z");
        let day = calendar.date(calendar.hour_of_reading(at("2026-11-23T23:00:04Z")).start);
        assert_eq!(day.to_string(), "2026-11-23");
    }

    #[test]
    fn hours_join_without_a_gap_over_a_year() {
        for zone in ["Europe/Copenhagen", "Australia/Lord_Howe", "Asia/Kathmandu"] {
            let calendar = Calendar::new(TimeZone::get(zone).unwrap());
            let mut hour = calendar.hour(at("2026-01-01T00:00:00Z"));
            while hour.end < at("2027-01-01T00:00:00Z") {
                let next = calendar.hour(hour.end);
                assert_eq!(next.start, hour.end, "{zone}");
                assert_eq!(calendar.hour_before(next.start).start, hour.start, "{zone}");
                hour = next;
            }
        }
    }

    #[test]
    fn any_time_has_an_hour() {
        let calendar = copenhagen();
        for time in [i64::MIN, -1, 0, i64::MAX] {
            let hour = calendar.hour_of_reading(time);
            assert!(hour.start <= hour.end, "{time}");
        }
    }

    #[test]
    fn days_and_hours_end_with_the_calendar() {
        for time in testing::times() {
            let calendar = Calendar::new(time.time_zone().clone());
            let now = time.timestamp().as_millisecond();
            for time in [now, now.saturating_add(HOUR), now.saturating_sub(HOUR)] {
                let hour = calendar.hour_of_reading(time);
                assert!(hour.start < hour.end, "{time}");
                assert!(calendar.hour_before(hour.start).start < hour.start, "{time}");
                if let Some(day) = calendar.day(calendar.date(time)) {
                    assert!((23..=26).contains(&Calendar::hours(day).len()), "{time}");
                }
            }
        }
        for date in [Date::MIN, Date::MAX] {
            assert_eq!(copenhagen().day(date), None);
        }
    }
}
