//! Writes and reads what polls cost.

use std::time::Duration;

use rusqlite::{Connection, Error, OptionalExtension, Transaction, params};

use crate::calendar::{Calendar, Millis, timestamp};
use crate::limits::USAGE_DAYS;
use crate::sample::{DayUsage, MeterKey, Usage, UsageRecord};

/// Adds the cost of a poll, by kind, to that of its day. On the first poll of a day, the oldest days
/// of the meter are deleted. Their number decides, not their age, as with all other rows.
pub(super) fn add(
    transaction: &Transaction<'_>,
    calendar: &Calendar,
    meter: i64,
    time: Millis,
    usage: &[(i64, Usage)],
) -> Result<(), Error> {
    let Some(day) = calendar.day(calendar.date(time)) else { return Ok(()) };
    let mut known =
        transaction.prepare_cached("SELECT 1 FROM usage WHERE meter = ? AND start = ?")?;
    let is_first = !usage.is_empty() && !known.exists([meter, day.start])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         since = min(since, excluded.since), polls = polls + excluded.polls,
         sent = sent + excluded.sent, received = received + excluded.received,
         awake = awake + excluded.awake",
    )?;
    for (kind, Usage { polls, sent, received, awake }) in usage {
        let [polls, sent, received] = [*polls, *sent, *received].map(number);
        let awake = i64::try_from(awake.as_micros()).unwrap_or(MOST);
        insert.execute(params![
            meter,
            day.start,
            kind,
            time,
            polls,
            sent,
            received,
            awake.min(MOST)
        ])?;
    }
    if is_first {
        transaction.execute(
            "DELETE FROM usage WHERE meter = ?1 AND start < (
                 SELECT min(start) FROM (
                     SELECT DISTINCT start FROM usage WHERE meter = ?1 ORDER BY start DESC LIMIT ?2))",
            params![meter, USAGE_DAYS],
        )?;
    }
    Ok(())
}

/// What is stored of a meter.
pub(super) fn of(
    connection: &Connection,
    calendar: &Calendar,
    meter: &MeterKey,
) -> Result<UsageRecord, Error> {
    let mut record = UsageRecord::default();
    let Some(id) = known_id(connection, meter)? else { return Ok(record) };
    let mut statement = connection.prepare(
        "SELECT start, kind, since, polls, sent, received, awake FROM usage WHERE meter = ?
         ORDER BY start, kind",
    )?;
    let days = statement.query_map([id], |row| {
        let count = |column: usize| {
            row.get(column).map(|count: i64| u64::try_from(count).unwrap_or_default())
        };
        Ok(DayUsage {
            date: calendar.date(row.get(0)?),
            kind: row.get(1)?,
            since: timestamp(row.get(2)?),
            usage: Usage {
                polls: count(3)?,
                sent: count(4)?,
                received: count(5)?,
                awake: Duration::from_micros(count(6)?),
            },
        })
    })?;
    record.days = days.collect::<Result<_, Error>>()?;
    record.has_predecessor = connection.query_one(
        "SELECT EXISTS (SELECT 1 FROM meter WHERE name = ? AND id != ? AND serial IS NOT NULL)",
        params![meter.name(), id],
        |row| row.get(0),
    )?;
    Ok(record)
}

/// The id of a meter. Without a serial number, it is the one that was written last.
pub(super) fn known_id(connection: &Connection, meter: &MeterKey) -> Result<Option<i64>, Error> {
    let sql = "SELECT id FROM meter WHERE name = ?1
         AND ((serial = ?2) OR (current = 1 AND (?2 IS NULL OR serial IS NULL)))
         ORDER BY serial IS NULL LIMIT 1";
    connection.query_row(sql, params![meter.name(), meter.serial()], |row| row.get(0)).optional()
}

/// So much that sums of it do not overflow.
const MOST: i64 = i64::MAX >> 20;

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(MOST).min(MOST)
}
