//! The view of the database for reading.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use rusqlite::{Connection, Error, OpenFlags, OptionalExtension, params};

use super::location::Location;
use super::rows::{Table, add, readings, summaries_of, summaries_statement, unfolded};
use super::schema::tables;
use super::usage::known_id;
use crate::calendar::{Calendar, Millis, Span};
use crate::limits::INSTRUCTIONS;
use crate::sample::{MeterKey, Series};
use crate::stop::Stop;
use crate::summary::{Consumption, Point, Summary};

/// The database as it is at one moment.
#[derive(Debug)]
pub(crate) struct View {
    connection: Connection,
    /// The readings that are not folded yet, of each series that is asked for.
    unfolded: OnceCell<BTreeMap<i64, BTreeMap<Millis, Summary>>>,
    /// Reads the unfolded readings of all of these together, because their rows are mixed.
    together: Vec<MeterKey>,
}

impl View {
    /// Opens the database for reading; `None` before it is created. Each query ends with an error
    /// soon after `stop`.
    pub(crate) fn open(
        location: &Location,
        together: &[MeterKey],
        stop: &Stop,
    ) -> Result<Option<Self>, Error> {
        if let Location::File(path) = location
            && !path.exists()
        {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = location.connect(flags)?;
        let stop = stop.clone();
        connection.progress_handler(INSTRUCTIONS, Some(move || stop.is_stopped()))?;
        // All queries of one view see the database as it is at the same moment.
        connection.execute_batch("BEGIN")?;
        let is_created = !tables(&connection)?.is_empty();
        let together = together.to_vec();
        Ok(is_created.then_some(Self { connection, unfolded: OnceCell::new(), together }))
    }

    fn meter(&self, meter: &MeterKey) -> Result<Option<i64>, Error> {
        known_id(&self.connection, meter)
    }

    /// The serial number of the meter of this name that was written last.
    pub(crate) fn serial(&self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT serial FROM meter WHERE name = ? AND current = 1";
        let row = self.connection.query_row(sql, [name], |row| row.get(0));
        Ok(row.optional()?.flatten())
    }

    /// The current series of a meter, sorted by name.
    pub(crate) fn all_series(&self, meter: &MeterKey) -> Result<Vec<Series>, Error> {
        let mut statement = self.connection.prepare(
            "SELECT parameter, unit, counter FROM series WHERE meter = ? AND current = 1
             ORDER BY parameter",
        )?;
        let series = statement.query_map([self.meter(meter)?], |row| {
            let unit: String = row.get(1)?;
            Ok(Series {
                parameter: row.get(0)?,
                unit: Some(unit).filter(|unit| !unit.is_empty()),
                is_counter: row.get(2)?,
            })
        })?;
        series.collect()
    }

    /// The id of the series of a value, in its last unit.
    pub(crate) fn series_id(
        &self,
        meter: &MeterKey,
        parameter: &str,
    ) -> Result<Option<i64>, Error> {
        let sql = "SELECT id FROM series WHERE meter = ? AND parameter = ? AND current = 1";
        let values = params![self.meter(meter)?, parameter];
        self.connection.query_row(sql, values, |row| row.get(0)).optional()
    }

    /// The readings of each of these series in `span`, oldest first. They are read together: with
    /// many meters, the rows of one series are far apart.
    pub(crate) fn readings(
        &self,
        series: &[i64],
        span: Span,
    ) -> Result<BTreeMap<i64, Vec<Point>>, Error> {
        let mut all: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
        readings(&self.connection, span, series, |id, point| {
            all.entry(id).or_default().push(point);
        })?;
        Ok(all)
    }

    /// The hours or days that begin in `span`, by their start. They include the readings since the
    /// last hour was folded.
    pub(crate) fn summaries(
        &self,
        table: Table,
        series: i64,
        span: Span,
        calendar: &Calendar,
    ) -> Result<BTreeMap<Millis, Summary>, Error> {
        let mut statement = summaries_statement(&self.connection, table)?;
        let mut summaries: BTreeMap<_, _> =
            summaries_of(&mut statement, series, span)?.into_iter().collect();
        for (hour, summary) in self.unfolded(series, calendar)? {
            let start = match table {
                Table::Hour => Some(hour),
                Table::Day => calendar.day(calendar.date(hour)).map(|day| day.start),
            };
            if let Some(start) = start.filter(|start| span.contains(*start)) {
                add(&mut summaries, start, summary);
            }
        }
        Ok(summaries)
    }

    /// The hours of a series that are not folded yet.
    fn unfolded(
        &self,
        series: i64,
        calendar: &Calendar,
    ) -> Result<BTreeMap<Millis, Summary>, Error> {
        if self.together.is_empty() {
            let mut own = unfolded(&self.connection, calendar, &[series])?;
            return Ok(own.remove(&series).unwrap_or_default());
        }
        if self.unfolded.get().is_none() {
            let mut all = vec![series];
            let mut statement =
                self.connection.prepare("SELECT id FROM series WHERE meter = ? AND current = 1")?;
            for meter in &self.together {
                let ids = statement.query_map([self.meter(meter)?], |row| row.get(0))?;
                all.extend(ids.collect::<Result<Vec<i64>, _>>()?);
            }
            let all = unfolded(&self.connection, calendar, &all)?;
            let _ = self.unfolded.set(all);
        }
        Ok(self.unfolded.get().and_then(|all| all.get(&series)).cloned().unwrap_or_default())
    }

    /// The consumption in each of these successive spans except the first, which only gives the
    /// state of the counter at the start of the second. Each is of one hour or day or several.
    pub(crate) fn consumption(
        &self,
        table: Table,
        series: i64,
        spans: &[Span],
        calendar: &Calendar,
        now: Millis,
    ) -> Result<Vec<Consumption>, Error> {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Ok(Vec::new());
        };
        let all = Span { start: first.start, end: last.end };
        let summaries = self.summaries(table, series, all, calendar)?;
        let within = |span: Span| summaries.range(span.start..span.end).map(|(_, own)| *own);
        let pairs = spans.iter().copied().zip(spans.iter().copied().skip(1));
        let used = pairs.map(|(before, span)| {
            let before = (before, within(before).next_back());
            Consumption::between(before, (span, Summary::rising(within(span))), now)
        });
        Ok(used.collect())
    }
}
