//! The time axis of a chart, by the local clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::each::Each;
use super::shape::{EDGE, Mark, Share, WIDTH};
use crate::language::Language;

/// A time axis is at least this long, so that two readings in a row are not its two ends.
const LEAST: SignedDuration = SignedDuration::from_mins(10);

/// At most this many marks fit below a chart on a phone.
const MARKS: i64 = 7;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Start and end of the time axis, and its clock.
#[derive(Debug, Clone)]
pub(in crate::web) struct Window {
    pub(in crate::web) start: Timestamp,
    pub(in crate::web) end: Timestamp,
    pub(in crate::web) zone: TimeZone,
}

/// The distance of two marks.
#[derive(Debug, Clone, Copy)]
enum Step {
    Minutes(i64),
    Hours(i8),
    Days(i64),
    Months(i8),
}

/// Distances in the order of their length in seconds.
const STEPS: [(i64, Step); 19] = [
    (MINUTE, Step::Minutes(1)),
    (2 * MINUTE, Step::Minutes(2)),
    (5 * MINUTE, Step::Minutes(5)),
    (10 * MINUTE, Step::Minutes(10)),
    (15 * MINUTE, Step::Minutes(15)),
    (30 * MINUTE, Step::Minutes(30)),
    (HOUR, Step::Hours(1)),
    (2 * HOUR, Step::Hours(2)),
    (3 * HOUR, Step::Hours(3)),
    (4 * HOUR, Step::Hours(4)),
    (6 * HOUR, Step::Hours(6)),
    (12 * HOUR, Step::Hours(12)),
    (DAY, Step::Days(1)),
    (2 * DAY, Step::Days(2)),
    (7 * DAY, Step::Days(7)),
    (14 * DAY, Step::Days(14)),
    (31 * DAY, Step::Months(1)),
    (62 * DAY, Step::Months(2)),
    (92 * DAY, Step::Months(3)),
];

impl Window {
    /// The same without the time before the first reading.
    pub(in crate::web) fn since_first(self, first: Timestamp) -> Self {
        let latest = self.end.checked_sub(LEAST).unwrap_or(self.start);
        Self { start: first.min(latest).max(self.start), ..self }
    }

    /// The place of a time, from left to right; `None` outside.
    pub(super) fn place(&self, time: Timestamp) -> Option<i64> {
        let whole = self.end.as_millisecond().checked_sub(self.start.as_millisecond())?;
        let into = time.as_millisecond().checked_sub(self.start.as_millisecond())?;
        if !(0..=whole).contains(&into) {
            return None;
        }
        into.checked_mul(WIDTH)?.checked_div(whole)
    }

    pub(super) fn local(&self, time: Timestamp) -> ZonedDateTime {
        time.to_zoned_datetime(self.zone.clone())
    }

    /// The full hours of the local clock in this window.
    pub(super) fn hours(&self) -> Vec<ZonedDateTime> {
        let mut hours = Vec::new();
        let mut next = hour_after(&self.local(self.start));
        while let Some(hour) = next.filter(|hour| hour.timestamp() <= self.end) {
            next = hour_after(&hour);
            hours.push(hour);
        }
        hours
    }

    /// The marks below the chart.
    pub(super) fn marks(&self, language: Language) -> Vec<Mark> {
        let seconds = self.end.as_second().saturating_sub(self.start.as_second());
        let fits = |step: &&(i64, Step)| step.0.saturating_mul(MARKS) >= seconds;
        let step = STEPS.iter().find(fits).map_or(Step::Months(3), |(_, step)| *step);
        let times = match step {
            Step::Minutes(minutes) => self.minutes(minutes),
            Step::Hours(hours) => {
                let marked = |hour: &ZonedDateTime| hour.hour().checked_rem(hours) == Some(0);
                self.hours().into_iter().filter(marked).collect()
            }
            Step::Days(days) => {
                // Weeks begin on Mondays: 1970 began on a Thursday.
                let number =
                    |date: Date| date.duration_since(Date::constant(1970, 1, 1)).as_hours();
                let number = |date: Date| number(date).checked_div(24)?.checked_add(3);
                self.days(|date| number(date).and_then(|day| day.checked_rem(days)) == Some(0))
            }
            Step::Months(months) => self.days(|date| {
                let month = date.month().saturating_sub(1);
                date.day() == 1 && month.checked_rem(months) == Some(0)
            }),
        };
        let mark = |time: ZonedDateTime| {
            let x = self.place(time.timestamp())?;
            let is_midnight = (time.hour(), time.minute()) == (0, 0);
            let text = match step {
                Step::Months(_) => Each::Month.mark(&time, language),
                Step::Days(_) => Each::Day.mark(&time, language),
                Step::Hours(_) if is_midnight && seconds > DAY => Each::Day.mark(&time, language),
                _ => Each::Hour.mark(&time, language),
            };
            (EDGE..=WIDTH - EDGE).contains(&x).then_some(Mark { x: Share(x), text })
        };
        times.into_iter().filter_map(mark).collect()
    }

    fn minutes(&self, minutes: i64) -> Vec<ZonedDateTime> {
        let mut marked = Vec::new();
        let mut time = Some(self.start);
        while let Some(now) = time.filter(|time| *time <= self.end) {
            let local = self.local(now);
            let step = minutes.saturating_mul(MINUTE);
            let into = i64::from(local.minute()).saturating_mul(MINUTE);
            let into = into.saturating_add(local.second().into()).checked_rem(step).unwrap_or(0);
            if into == 0 {
                marked.push(local);
            }
            let next = now.as_second().saturating_add(step.saturating_sub(into));
            time = Timestamp::from_second(next).ok();
        }
        marked
    }

    /// The first moments of some days.
    fn days(&self, is_marked: impl Fn(Date) -> bool) -> Vec<ZonedDateTime> {
        let first = self.local(self.start).date();
        let days = first.series(jiff::Span::new().days(1)).filter(|date| is_marked(*date));
        let days = days.filter_map(|date| date.to_zoned_datetime(self.zone.clone()).ok());
        days.take_while(|day| day.timestamp() <= self.end).collect()
    }

    /// The unambiguous name of an hour, day or month.
    pub(super) fn name(&self, each: Each, time: &ZonedDateTime) -> String {
        match each {
            Each::Hour => self.words(time, "%Y-%m-%d %H:00"),
            Each::Day => time.strftime("%Y-%m-%d").to_string(),
            Each::Month => time.strftime("%Y-%m").to_string(),
        }
    }

    /// A time of the local clock, with its offset on days when the clock changes: an hour may come
    /// twice.
    pub(super) fn words(&self, time: &ZonedDateTime, pattern: &str) -> String {
        let offset = |date: Date| {
            let start = date.to_zoned_datetime(self.zone.clone()).ok()?;
            Some(start.offset())
        };
        let (today, tomorrow) = (offset(time.date()), time.date().tomorrow().ok().and_then(offset));
        let changes = today.zip(tomorrow).is_some_and(|(today, tomorrow)| today != tomorrow);
        let pattern = if changes { format!("{pattern} (%:z)") } else { pattern.to_owned() };
        time.strftime(&pattern).to_string()
    }
}

/// The next full hour of the local clock.
fn hour_after(time: &ZonedDateTime) -> Option<ZonedDateTime> {
    let into = i64::from(time.minute()).checked_mul(60)?.checked_add(i64::from(time.second()))?;
    let whole = time.timestamp().as_second();
    let next = whole.checked_add(3600_i64.checked_sub(into)?)?;
    let next = Timestamp::from_second(next).ok()?.to_zoned_datetime(time.time_zone().clone());
    // If the clock changes by half an hour, the full hour is sooner or later than that.
    match next.minute() {
        0 => Some(next),
        _ => hour_after(&next),
    }
}
