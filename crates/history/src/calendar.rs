//! Hours and days of the local zone, as spans of time in milliseconds since 1970.
//!
//! All arithmetic uses points in time. So an hour that the clock repeats is two hours, and a day
//! has 23 to 25 hours.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Milliseconds since 1970.
pub(crate) type Millis = i64;

pub(crate) const MINUTE: Millis = 60_000;
pub(crate) const HOUR: Millis = 3_600_000;

/// Polls follow the clock, so the reading of the full hour arrives a moment after it. Within this
/// time, a reading is the last one of the hour before, not the first one of the new hour.
pub(crate) const GRACE: Millis = MINUTE;

/// The longest time between the last reading of an hour or a day and its end. With a longer one,
/// the state of the counter at the end is not known.
const NEAR: Millis = 15 * MINUTE;

/// A span of time that includes its start, but not its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Millis,
    pub(crate) end: Millis,
}

impl Span {
    /// The times of the readings that belong to the span.
    pub(crate) fn readings(self) -> Self {
        Self { start: self.start.saturating_add(GRACE), end: self.end.saturating_add(GRACE) }
    }

    pub(crate) fn contains(self, time: Millis) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// Whether the last reading of the span gives the state of a counter at the end of the span.
    pub(crate) fn ends_with(self, time: Millis) -> bool {
        time >= self.end.saturating_sub(NEAR)
    }
}

/// The hours and days of a zone.
#[derive(Debug, Clone)]
pub(crate) struct Calendar(TimeZone);

impl Calendar {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// The local hour that contains this time. Hours are counted from the start of the day, so
    /// there are no gaps. If the clock changes by half an hour, the last hour of that day is
    /// shorter.
    pub(crate) fn hour(&self, time: Millis) -> Span {
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
    pub(crate) fn hour_of_reading(&self, time: Millis) -> Span {
        self.hour(time.saturating_sub(GRACE))
    }

    /// The hour before the one that begins at `start`.
    pub(crate) fn hour_before(&self, start: Millis) -> Span {
        self.hour(start.saturating_sub(1))
    }

    /// The date of this time.
    pub(crate) fn date(&self, time: Millis) -> Date {
        timestamp(time).to_zoned_datetime(self.0.clone()).date()
    }

    /// A day, from its start until the next day; `None` at the end of the calendar.
    pub(crate) fn day(&self, date: Date) -> Option<Span> {
        let start = |date: Date| {
            let start = date.to_zoned_datetime(self.0.clone()).ok()?;
            Some(start.timestamp().as_millisecond())
        };
        Some(Span { start: start(date)?, end: start(date.tomorrow().ok()?)? })
    }

    /// The month of a date, from its first moment until the next month; `None` at the end of the
    /// calendar.
    pub(crate) fn month(&self, date: Date) -> Option<Span> {
        let last = self.day(date.last_of_month())?;
        Some(Span { start: self.day(date.first_of_month())?.start, end: last.end })
    }

    /// The hours of a day: 24, or 23 or 25 if the clock changes.
    pub(crate) fn hours(day: Span) -> Vec<Span> {
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

/// A point in time; a time beyond the calendar becomes the end of the calendar.
pub(crate) fn timestamp(time: Millis) -> Timestamp {
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
    fn a_day_may_have_23_or_25_hours() {
        let calendar = copenhagen();
        let spring = hours(&calendar, "2026-03-29");
        assert_eq!(spring.len(), 23);
        assert_eq!(spring[1..3], ["01:00+01:00", "03:00+02:00"]);
        let autumn = hours(&calendar, "2026-10-25");
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[2..4], ["02:00+02:00", "02:00+01:00"]);
        assert_eq!(hours(&calendar, "2026-11-24").len(), 24);
        // The offset is 5:45.
        let kathmandu = Calendar::new(TimeZone::get("Asia/Kathmandu").unwrap());
        assert_eq!(hours(&kathmandu, "2026-11-24")[..2], ["00:00+05:45", "01:00+05:45"]);
        // The clock changes by half an hour.
        let lord_howe = Calendar::new(TimeZone::get("Australia/Lord_Howe").unwrap());
        for date in ["2026-04-05", "2026-10-04"] {
            let day = lord_howe.day(date.parse().unwrap()).unwrap();
            let spans = Calendar::hours(day);
            assert!(spans.iter().all(|span| span.end - span.start <= HOUR), "{date}");
            assert!(spans.len() >= 24, "{date}");
        }
        // Midnight is skipped on this day.
        let santiago = Calendar::new(TimeZone::get("America/Santiago").unwrap());
        assert_eq!(hours(&santiago, "2026-09-06").len(), 23);
    }

    #[test]
    fn the_reading_of_the_full_hour_belongs_to_the_hour_before() {
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
    fn the_hours_of_a_year_have_no_gaps() {
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
    fn hours_and_days_are_valid_up_to_the_end_of_the_calendar() {
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
