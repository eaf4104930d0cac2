//! Folds readings into hours and hours into days, and deletes the oldest rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Error, OptionalExtension, Transaction, params};
use rust_decimal::Decimal;

use super::rows::{Table, add, readings, summaries_in, unfolded};
use crate::calendar::{Calendar, Millis, Span};
use crate::limits::{DAYS, HOURS, PER_HOUR, RECENT_HOURS};
use crate::summary::{Point, Summary, thin};

/// The hours that have readings and are not folded yet.
pub(super) fn all_unfolded(
    connection: &Connection,
    calendar: &Calendar,
) -> Result<BTreeSet<Millis>, Error> {
    let all = Span { start: Millis::MIN, end: Millis::MAX };
    let unfolded = unfolded(connection, calendar, all, None)?;
    Ok(unfolded.into_keys().map(|(start, _)| start).collect())
}

/// Folds the readings of an hour into the hour, and the hours of its day into the day. Removes
/// readings if there are more than a chart can show.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    calendar: &Calendar,
    hour: Span,
) -> Result<(), Error> {
    let mut series: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for (id, point) in readings(transaction, hour.readings(), None)? {
        series.entry(id).or_default().push(point);
    }
    for (id, points) in &series {
        if let Some(summary) = Summary::all(points.iter().copied().map(Summary::of)) {
            write_summary(transaction, Table::Hour, hour.start, *id, &summary)?;
        }
        let thinned: BTreeSet<_> =
            thin(points, PER_HOUR).into_iter().map(|point| point.time).collect();
        let mut delete =
            transaction.prepare("DELETE FROM reading WHERE time = ? AND series = ?")?;
        for point in points.iter().filter(|point| !thinned.contains(&point.time)) {
            delete.execute([point.time.as_millisecond(), *id])?;
        }
    }
    let Some(day) = calendar.day(calendar.date(hour.start)) else {
        return Ok(());
    };
    let mut summaries = BTreeMap::new();
    for (_, id, summary) in summaries_in(transaction, Table::Hour, day, None)? {
        add(&mut summaries, id, summary);
    }
    for (id, summary) in &summaries {
        write_summary(transaction, Table::Day, day.start, *id, summary)?;
    }
    Ok(())
}

/// Writes a summary, unless there already is one of more readings. So a clock that was set back
/// loses nothing.
fn write_summary(
    transaction: &Transaction<'_>,
    table: Table,
    start: Millis,
    series: i64,
    summary: &Summary,
) -> Result<(), Error> {
    let text = |value: Decimal| value.to_string();
    let sql = format!(
        "INSERT INTO {0} VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         time = excluded.time, last = excluded.last, low = excluded.low, high = excluded.high,
         sum = excluded.sum, count = excluded.count WHERE excluded.count >= {0}.count",
        table.name()
    );
    let Summary { last, low, high, sum, count } = *summary;
    let mut statement = transaction.prepare(&sql)?;
    statement.execute(params![
        start,
        series,
        last.time.as_millisecond(),
        text(last.value),
        text(low),
        text(high),
        sum.map(text),
        count
    ])?;
    Ok(())
}

/// Deletes the oldest rows. Their number decides, not their age. So a clock that was wrong for a
/// while costs only the few rows of that time. Returns whether series were deleted.
pub(super) fn prune(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let oldest = |table: Table, most: u32| {
        let sql = format!(
            "SELECT DISTINCT start FROM {} ORDER BY start DESC LIMIT 1 OFFSET ?",
            table.name()
        );
        let last = most.saturating_sub(1);
        transaction.query_row(&sql, [last], |row| row.get::<_, Millis>(0)).optional()
    };
    if let Some(start) = oldest(Table::Hour, RECENT_HOURS)? {
        let first = Span { start, end: start }.readings().start;
        transaction.execute("DELETE FROM reading WHERE time < ?", [first])?;
    }
    if let Some(start) = oldest(Table::Hour, HOURS)? {
        transaction.execute("DELETE FROM hour WHERE start < ?", [start])?;
    }
    let Some(start) = oldest(Table::Day, DAYS)? else {
        return Ok(false);
    };
    if transaction.execute("DELETE FROM day WHERE start < ?", [start])? == 0 {
        return Ok(false);
    }
    let mut deleted = 0;
    for sql in [
        "DELETE FROM series WHERE id NOT IN (SELECT series FROM day)
         AND id NOT IN (SELECT series FROM hour) AND id NOT IN (SELECT series FROM reading)",
        "DELETE FROM meter WHERE id NOT IN (SELECT meter FROM series)",
    ] {
        deleted = transaction.execute(sql, [])?.max(deleted);
    }
    Ok(deleted > 0)
}
