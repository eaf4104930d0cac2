//! Reads rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, Error, Row, Statement};
use rust_decimal::Decimal;

use crate::calendar::{Calendar, Millis, Span, timestamp};
use crate::summary::{Point, Summary};

/// The tables of summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Hour,
    Day,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// The condition that a row is of one of these series.
fn of_series(series: &[i64]) -> String {
    let series: Vec<_> = series.iter().map(i64::to_string).collect();
    format!("series IN ({})", series.join(", "))
}

/// Summaries of the readings of some series that are not folded into an hour yet, by series and
/// start of the hour. This skips folded hours, and reads each other hour once, however many series
/// are wanted.
pub(super) fn unfolded(
    connection: &Connection,
    calendar: &Calendar,
    series: &[i64],
) -> Result<BTreeMap<i64, BTreeMap<Millis, Summary>>, Error> {
    let mut summaries: BTreeMap<i64, BTreeMap<Millis, Summary>> = BTreeMap::new();
    let mut next = connection.prepare("SELECT min(time) FROM reading WHERE time >= ?")?;
    let mut known = connection.prepare("SELECT 1 FROM hour WHERE start = ? AND series = ?")?;
    let mut start = Millis::MIN;
    while let Some(time) = next.query_one([start], |row| row.get::<_, Option<Millis>>(0))? {
        let hour = calendar.hour_of_reading(time);
        let mut wanted = Vec::new();
        for id in series {
            if !known.exists([hour.start, *id])? {
                wanted.push(*id);
            }
        }
        readings(connection, hour.readings(), &wanted, |id, point| {
            add(summaries.entry(id).or_default(), hour.start, Summary::of(point));
        })?;
        start = hour.readings().end.max(start.saturating_add(1));
    }
    Ok(summaries)
}

/// Calls `take` for each reading of `span` and of these series, oldest first.
pub(super) fn readings(
    connection: &Connection,
    span: Span,
    series: &[i64],
    mut take: impl FnMut(i64, Point),
) -> Result<(), Error> {
    if series.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT time, value, series FROM reading WHERE time >= ? AND time < ? AND {}
         ORDER BY time",
        of_series(series)
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([span.start, span.end])?;
    while let Some(row) = rows.next()? {
        if let Some(point) = point(row)? {
            take(row.get(2)?, point);
        }
    }
    Ok(())
}

/// Adds a summary to the one under `key`, if any.
pub(super) fn add<K: Ord>(summaries: &mut BTreeMap<K, Summary>, key: K, summary: Summary) {
    summaries.entry(key).and_modify(|known| *known = known.and(summary)).or_insert(summary);
}

/// The time and the value in the first two columns; `None` if the value is damaged.
pub(super) fn point(row: &Row<'_>) -> Result<Option<Point>, Error> {
    let time = timestamp(row.get(0)?);
    Ok(decimal(row, 1)?.map(|value| Point { time, value }))
}

fn decimal(row: &Row<'_>, column: usize) -> Result<Option<Decimal>, Error> {
    Ok(row.get_ref(column)?.as_str().ok().and_then(|text| text.parse().ok()))
}

/// The statement for [`summaries_of`]. Rows are in the order of their start, and a row of another
/// series is never read: with many meters, the rows of one series are far apart.
pub(super) fn summaries_statement(
    connection: &Connection,
    table: Table,
) -> Result<Statement<'_>, Error> {
    let sql = format!(
        "WITH RECURSIVE starts(start) AS (
             SELECT min(start) FROM {0} WHERE start >= ?1 AND start < ?2 UNION ALL
             SELECT (SELECT min(start) FROM {0} WHERE start > starts.start AND start < ?2)
             FROM starts WHERE start IS NOT NULL
         ) SELECT own.time, own.last, own.low, own.high, own.sum, own.count, own.start
           FROM starts CROSS JOIN {0} AS own ON own.start = starts.start AND own.series = ?3",
        table.name()
    );
    connection.prepare(&sql)
}

/// The hours or days of a series that begin in `span`, oldest first, with their start. Rows with a
/// damaged value are left out.
pub(super) fn summaries_of(
    statement: &mut Statement<'_>,
    series: i64,
    span: Span,
) -> Result<Vec<(Millis, Summary)>, Error> {
    let mut rows = statement.query([span.start, span.end, series])?;
    let mut summaries = Vec::new();
    while let Some(row) = rows.next()? {
        let (Some(last), Some(low), Some(high)) = (point(row)?, decimal(row, 2)?, decimal(row, 3)?)
        else {
            continue;
        };
        let summary = Summary { last, low, high, sum: decimal(row, 4)?, count: row.get(5)? };
        summaries.push((row.get(6)?, summary));
    }
    Ok(summaries)
}
