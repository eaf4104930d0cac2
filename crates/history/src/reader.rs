//! Reads the database.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use tokio::sync::watch;

use crate::calendar::{Calendar, HOUR, Millis, Span, timestamp};
use crate::error::HistoryError;
use crate::limits::{DAYS, MONTHS};
use crate::sample::{MeterKey, Series};
use crate::stop::Stop;
use crate::store::{Location, Table, View};
use crate::summary::{Consumption, Point, Summary, Total, thin};

/// Reads the database.
#[derive(Debug, Clone)]
pub struct Reader {
    location: Location,
    calendar: Calendar,
    error: watch::Receiver<Option<HistoryError>>,
}

/// The database as it is at one moment. Reading does not delay writing, but waits for the disk, so
/// call it where that is allowed (`spawn_blocking`).
///
/// Lists are empty for a meter or a value without readings, and before the database is created. It
/// is an error if the file cannot be read, or if [`History::error`] forbids reading it.
///
/// [`History::error`]: crate::History::error
#[derive(Debug)]
pub struct Snapshot {
    reader: Reader,
    /// `None` before the database is created.
    view: Option<View>,
    stop: Stop,
}

/// The day of [`Snapshot::last_day`], even if the clock changes.
const DAY: Millis = 24 * HOUR;

/// The longest time for which [`Snapshot::total`] reads hours. For longer times, it reads days.
const LONG: Millis = 62 * DAY;

impl Reader {
    pub(crate) fn new(
        location: Location,
        calendar: Calendar,
        error: watch::Receiver<Option<HistoryError>>,
    ) -> Self {
        Self { location, calendar, error }
    }

    /// A reader of a file that another process may be writing. Hours and days are those of this
    /// zone.
    #[must_use]
    pub fn of_file(file: PathBuf, zone: TimeZone) -> Self {
        let (_, error) = watch::channel(None);
        Self::new(Location::File(file), Calendar::new(zone), error)
    }

    /// The path in error messages.
    pub(crate) fn path(&self) -> &Path {
        self.location.path()
    }

    /// Opens the database.
    pub fn snapshot(&self) -> Result<Snapshot, HistoryError> {
        self.snapshot_of(&[], &Stop::default())
    }

    /// Opens the database to read several values of these meters, which is much faster than to read
    /// each on its own. Reading ends with an error after `stop`.
    pub fn snapshot_of(&self, meters: &[MeterKey], stop: &Stop) -> Result<Snapshot, HistoryError> {
        if let Some(error) = &*self.error.borrow()
            && error.forbids_reading()
        {
            return Err(error.clone());
        }
        let view = View::open(&self.location, meters, stop);
        let view = view.map_err(|error| self.failed(&error))?;
        Ok(Snapshot { reader: self.clone(), view, stop: stop.clone() })
    }

    fn failed(&self, error: &rusqlite::Error) -> HistoryError {
        // A known error of writing says more than an error of reading.
        let known = self.error.borrow().clone();
        known.unwrap_or_else(|| HistoryError::from_sqlite(error, self.location.path()))
    }
}

impl Snapshot {
    /// The serial number of the meter of this name that was written last, if it is known.
    pub fn serial(&self, name: &str) -> Result<Option<u32>, HistoryError> {
        let found = self.view(|view| view.serial(name).map(Vec::from_iter))?;
        Ok(found.first().and_then(|serial| serial.parse().ok()))
    }

    /// The values of a meter, sorted by name.
    pub fn series(&self, meter: &MeterKey) -> Result<Vec<Series>, HistoryError> {
        self.view(|view| view.all_series(meter))
    }

    /// The readings of the 24 hours before `now`, oldest first. There are at most `most` of them,
    /// or 4 if `most` is less. The first, the last, the lowest and the highest are always among
    /// them.
    pub fn last_day(
        &self,
        meter: &MeterKey,
        parameter: &str,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Point>, HistoryError> {
        let all = self.last_days(&[(meter, parameter)], now, most)?;
        Ok(all.into_iter().next().unwrap_or_default())
    }

    /// The same for several values, in their order.
    pub fn last_days(
        &self,
        values: &[(&MeterKey, &str)],
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Vec<Point>>, HistoryError> {
        let end = now.as_millisecond().saturating_add(1);
        let span = Span { start: end.saturating_sub(DAY), end };
        self.view(|view| {
            let mut series = Vec::new();
            for (meter, parameter) in values {
                series.push(view.series_id(meter, parameter)?);
            }
            let wanted: Vec<i64> = series.iter().copied().flatten().collect();
            let mut all = view.readings(&wanted, span)?;
            let points = |id: Option<i64>| all.remove(&id?).map(|points| thin(&points, most));
            Ok(series.into_iter().map(points).map(Option::unwrap_or_default).collect())
        })
    }

    /// The consumption in each hour of a day: 24 of them, or 23 or 25 if the clock changes. Hours
    /// after `now` are left out.
    pub fn used_by_hour(
        &self,
        meter: &MeterKey,
        parameter: &str,
        date: Date,
        now: Timestamp,
    ) -> Result<Vec<Consumption>, HistoryError> {
        let Some(day) = self.reader.calendar.day(date) else {
            return Ok(Vec::new());
        };
        let before = self.reader.calendar.hour_before(day.start);
        let spans = std::iter::once(before).chain(Calendar::hours(day));
        self.consumption(Table::Hour, meter, parameter, spans, now)
    }

    /// The consumption in each of the `days` days up to `last`, oldest first; at most ten years.
    /// Days after `now` are left out.
    pub fn used_by_day(
        &self,
        meter: &MeterKey,
        parameter: &str,
        last: Date,
        days: u32,
        now: Timestamp,
    ) -> Result<Vec<Consumption>, HistoryError> {
        let dates = last.series(jiff::Span::new().days(-1));
        let count = usize::try_from(days.min(DAYS)).unwrap_or(usize::MAX).saturating_add(1);
        let mut spans: Vec<Span> =
            dates.take(count).filter_map(|date| self.reader.calendar.day(date)).collect();
        spans.reverse();
        self.consumption(Table::Day, meter, parameter, spans, now)
    }

    /// The consumption in each of the `months` months up to that of `last`, oldest first; at most
    /// ten years. Months after `now` are left out.
    pub fn used_by_month(
        &self,
        meter: &MeterKey,
        parameter: &str,
        last: Date,
        months: u32,
        now: Timestamp,
    ) -> Result<Vec<Consumption>, HistoryError> {
        let dates = last.first_of_month().series(jiff::Span::new().months(-1));
        let count = usize::try_from(months.min(MONTHS)).unwrap_or(usize::MAX).saturating_add(1);
        let mut spans: Vec<Span> =
            dates.take(count).filter_map(|date| self.reader.calendar.month(date)).collect();
        spans.reverse();
        self.consumption(Table::Day, meter, parameter, spans, now)
    }

    /// The consumption from `from` until `to`. Both must be full hours; beyond 62 days, both must
    /// be starts of days.
    pub fn total(
        &self,
        meter: &MeterKey,
        parameter: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Total, HistoryError> {
        let span = Span { start: from.as_millisecond(), end: to.as_millisecond() };
        let eve = span.start.saturating_sub(1);
        let (table, before) = if span.end.saturating_sub(span.start) <= LONG {
            (Table::Hour, self.reader.calendar.hour_before(span.start))
        } else {
            let Some(day) = self.reader.calendar.day(self.reader.calendar.date(eve)) else {
                return Ok(Total::Unknown);
            };
            (Table::Day, day)
        };
        let all = Span { start: before.start, end: span.end };
        let summaries = self.of(meter, parameter, |view, series| {
            let summaries = view.summaries(table, series, all, &self.reader.calendar)?;
            Ok(summaries.into_iter().collect())
        })?;
        let own = summaries.partition_point(|(start, _)| *start < span.start);
        let (earlier, own) = summaries.split_at(own);
        let earlier = earlier.last().map(|(_, summary)| *summary);
        let own: Vec<Summary> = own.iter().map(|(_, summary)| *summary).collect();
        Ok(Total::between((before, earlier), (span, &own)))
    }

    fn consumption(
        &self,
        table: Table,
        meter: &MeterKey,
        parameter: &str,
        spans: impl IntoIterator<Item = Span>,
        now: Timestamp,
    ) -> Result<Vec<Consumption>, HistoryError> {
        let now = now.as_millisecond();
        let spans: Vec<Span> = spans.into_iter().take_while(|span| span.start <= now).collect();
        self.of(meter, parameter, |view, series| {
            view.consumption(table, series, &spans, &self.reader.calendar, now)
        })
    }

    /// All readings in a range, oldest first. The range includes its start, but not its end.
    pub fn readings(
        &self,
        meter: &MeterKey,
        parameter: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<Point>, HistoryError> {
        let span = Span { start: from.as_millisecond(), end: to.as_millisecond() };
        self.of(meter, parameter, |view, series| {
            Ok(view.readings(&[series], span)?.remove(&series).unwrap_or_default())
        })
    }

    /// The hours that begin in a range, each with its start, oldest first. The last one may not be
    /// over yet.
    pub fn hours(
        &self,
        meter: &MeterKey,
        parameter: &str,
        range: (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, HistoryError> {
        self.summaries(Table::Hour, meter, parameter, range)
    }

    /// What a counter showed at full hours: the ends of the hours that begin in a range and were
    /// over at `now`. An hour without a reading near its end is left out, and one in which the
    /// counter fell.
    pub fn at_full_hours(
        &self,
        meter: &MeterKey,
        parameter: &str,
        range: (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, Decimal)>, HistoryError> {
        let now = now.as_millisecond();
        let hours = self.summaries(Table::Hour, meter, parameter, range)?;
        let at_end = hours.into_iter().filter_map(|(start, summary)| {
            let hour = self.reader.calendar.hour(start.as_millisecond());
            let last = summary.last.time.as_millisecond();
            // Hours of a zone with half hours are not those of another zone.
            let is_known = hour.start == start.as_millisecond()
                && now >= hour.readings().end
                && hour.ends_with(last)
                && last < hour.readings().end
                && summary.rises();
            is_known.then_some((timestamp(hour.end), summary.last.value))
        });
        Ok(at_end.collect())
    }

    /// The days that begin in a range, each with its start, oldest first. The last one may not be
    /// over yet.
    pub fn days(
        &self,
        meter: &MeterKey,
        parameter: &str,
        range: (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, HistoryError> {
        self.summaries(Table::Day, meter, parameter, range)
    }

    fn summaries(
        &self,
        table: Table,
        meter: &MeterKey,
        parameter: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, HistoryError> {
        let span = Span { start: from.as_millisecond(), end: to.as_millisecond() };
        self.of(meter, parameter, |view, series| {
            let summaries = view.summaries(table, series, span, &self.reader.calendar)?;
            let point = |(start, summary)| (timestamp(start), summary);
            Ok(summaries.into_iter().map(point).collect())
        })
    }

    /// Reads a series; the result is empty if there is none.
    fn of<T>(
        &self,
        meter: &MeterKey,
        parameter: &str,
        read: impl FnOnce(&View, i64) -> Result<Vec<T>, rusqlite::Error>,
    ) -> Result<Vec<T>, HistoryError> {
        self.view(|view| match view.series_id(meter, parameter)? {
            Some(series) => read(view, series),
            None => Ok(Vec::new()),
        })
    }

    fn view<T>(
        &self,
        read: impl FnOnce(&View) -> Result<Vec<T>, rusqlite::Error>,
    ) -> Result<Vec<T>, HistoryError> {
        let Some(view) = &self.view else { return Ok(Vec::new()) };
        // The database looks only during long queries.
        if self.stop.is_stopped() {
            return Err(HistoryError::Stopped);
        }
        read(view).map_err(|error| self.reader.failed(&error))
    }
}
