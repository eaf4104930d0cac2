//! Reads rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, Error, Row, params};
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

/// Summaries of the readings that are not folded into an hour yet, by the start of the hour and the
/// series. This skips folded hours, so the cost depends only on the unfolded readings.
pub(super) fn unfolded(
    connection: &Connection,
    calendar: &Calendar,
    span: Span,
    series: Option<i64>,
) -> Result<BTreeMap<(Millis, i64), Summary>, Error> {
    let mut summaries = BTreeMap::new();
    let mut next =
        connection.prepare("SELECT min(time) FROM reading WHERE time >= ? AND time < ?")?;
    let mut known = connection
        .prepare("SELECT 1 FROM hour WHERE start = ? AND series = coalesce(?, series) LIMIT 1")?;
    let Span { mut start, end } = span.readings();
    while let Some(time) = next.query_one([start, end], |row| row.get::<_, Option<Millis>>(0))? {
        let hour = calendar.hour_of_reading(time);
        if !known.exists(params![hour.start, series])? {
            for (id, point) in readings(connection, hour.readings(), series)? {
                add(&mut summaries, (hour.start, id), Summary::of(point));
            }
        }
        start = hour.readings().end.max(start.saturating_add(1));
    }
    Ok(summaries)
}

/// Readings of `span` with their series, oldest first.
pub(super) fn readings(
    connection: &Connection,
    span: Span,
    series: Option<i64>,
) -> Result<Vec<(i64, Point)>, Error> {
    let mut statement = connection.prepare(
        "SELECT time, value, series FROM reading
         WHERE time >= ? AND time < ? AND series = coalesce(?, series) ORDER BY time",
    )?;
    let mut rows = statement.query(params![span.start, span.end, series])?;
    let mut readings = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(point) = point(row)? {
            readings.push((row.get(2)?, point));
        }
    }
    Ok(readings)
}

/// Adds a summary to the one under `key`, if any.
pub(super) fn add<K: Ord>(summaries: &mut BTreeMap<K, Summary>, key: K, summary: Summary) {
    summaries.entry(key).and_modify(|known| *known = known.and(summary)).or_insert(summary);
}

/// The time and the value in the first two columns; `None` if the value is damaged.
fn point(row: &Row<'_>) -> Result<Option<Point>, Error> {
    let time = timestamp(row.get(0)?);
    Ok(decimal(row, 1)?.map(|value| Point { time, value }))
}

fn decimal(row: &Row<'_>, column: usize) -> Result<Option<Decimal>, Error> {
    Ok(row.get_ref(column)?.as_str().ok().and_then(|text| text.parse().ok()))
}

/// The hours or days that begin in `span`, oldest first, with their start and series. Rows with a
/// damaged value are left out.
pub(super) fn summaries_in(
    connection: &Connection,
    table: Table,
    span: Span,
    series: Option<i64>,
) -> Result<Vec<(Millis, i64, Summary)>, Error> {
    let sql = format!(
        "SELECT time, last, low, high, sum, count, start, series FROM {}
         WHERE start >= ? AND start < ? AND series = coalesce(?, series) ORDER BY start",
        table.name()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![span.start, span.end, series])?;
    let mut summaries = Vec::new();
    while let Some(row) = rows.next()? {
        let (Some(last), Some(low), Some(high)) = (point(row)?, decimal(row, 2)?, decimal(row, 3)?)
        else {
            continue;
        };
        let summary = Summary { last, low, high, sum: decimal(row, 4)?, count: row.get(5)? };
        summaries.push((row.get(6)?, row.get(7)?, summary));
    }
    Ok(summaries)
}
