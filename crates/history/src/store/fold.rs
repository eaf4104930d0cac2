//! Folds hours that are over: summarizes the readings of an hour, and the hours of its day. Deletes
//! the oldest rows.
//!
//! With many meters, an hour has hundreds of thousands of readings. So each hour is folded in
//! steps. Each step is a transaction of its own, and polls are written between the steps:
//!
//! 1. Read the readings of the hour, oldest first, and add them to a summary of each series. Only
//!    these summaries are in memory.
//! 2. Write the summaries. The hour and the day of a series are written together.
//! 3. Delete readings of the hour if there are more than a chart can show.
//! 4. Delete the oldest rows, but none that a later fold needs ([`Needed`]).
//!
//! A kill may end this after any step. The series that had the first reading of the hour is written
//! last. So if this series has a summary of the hour, the hour has been folded completely.
//! Otherwise the hour is folded again (`all_unfolded`).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Error, OptionalExtension, Transaction, params};
use rust_decimal::Decimal;

use super::rows::{Table, add, point, summaries_of, summaries_statement};
use crate::calendar::{Calendar, HOUR, Millis, Span};
use crate::limits::{
    DAYS, HOURS, PER_HOUR, RECENT_HOURS, ROWS_PER_STEP, SERIES_PER_STEP, USAGE_DAYS,
};
use crate::summary::{Summary, Thinning};

/// The hours that have readings and are not folded yet, or not completely.
pub(super) fn all_unfolded(
    connection: &Connection,
    calendar: &Calendar,
) -> Result<BTreeSet<Millis>, Error> {
    let mut hours = BTreeSet::new();
    let mut first = connection.prepare(
        "SELECT time, series FROM reading WHERE time >= ? ORDER BY time, series LIMIT 1",
    )?;
    let mut known = connection.prepare("SELECT 1 FROM hour WHERE start = ? AND series = ?")?;
    let mut next = Millis::MIN;
    let mut first_since = |time: Millis| {
        let row = first.query_row([time], |row| Ok((row.get::<_, Millis>(0)?, row.get(1)?)));
        row.optional()
    };
    while let Some((time, series)) = first_since(next)? {
        let hour = calendar.hour_of_reading(time);
        if !known.exists([hour.start, series])? {
            hours.insert(hour.start);
        }
        next = hour.readings().end.max(next.saturating_add(1));
    }
    Ok(hours)
}

/// The hours that are over, and how far the first of them is folded.
#[derive(Debug, Default)]
pub(super) struct Folding {
    hours: BTreeSet<Millis>,
    stage: Option<Stage>,
}

/// What the next step does.
#[derive(Debug)]
enum Stage {
    Sum(Sums),
    /// The summaries that are not written yet.
    Write {
        hour: Span,
        left: Vec<(i64, Summary)>,
        dense: BTreeMap<i64, Thinning>,
    },
    Thin(Thin),
    Prune(Prune),
}

/// The readings of an hour after `after` (time and series) are not summed up yet.
#[derive(Debug)]
struct Sums {
    hour: Span,
    after: (Millis, i64),
    first: Option<i64>,
    summaries: BTreeMap<i64, Summary>,
}

/// The readings of an hour after `after` are not thinned yet.
#[derive(Debug)]
struct Thin {
    hour: Span,
    after: (Millis, i64),
    dense: BTreeMap<i64, Thinning>,
}

/// The tables that still have to be pruned, each with the start of the oldest row that is kept.
#[derive(Debug)]
struct Prune {
    left: Vec<(&'static str, Millis)>,
    /// Whether days were deleted, and maybe all of a series.
    days: bool,
}

/// The oldest rows that are not folded yet. If the clock was wrong, all rows that are counted as
/// newer may be of the future.
#[derive(Debug, Clone, Copy)]
struct Needed {
    readings: Millis,
    /// Each day is computed from all its hours until it is over.
    summaries: Millis,
}

impl Needed {
    /// `next` is the first of the hours that are over and not folded yet. A late poll may still add
    /// to the hour before the open one, which is then folded again.
    fn of(calendar: &Calendar, open: Span, next: Option<Millis>) -> Self {
        let before = calendar.hour_before(open.start).start;
        let hour = calendar.hour(next.map_or(before, |next| next.min(before)));
        let day = calendar.day(calendar.date(hour.start)).unwrap_or(hour);
        Self { readings: hour.readings().start, summaries: day.start }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// The rows that it has read, written or deleted.
    pub(crate) rows: usize,
    /// Whether it has deleted series.
    pub(super) forgot: bool,
}

impl Folding {
    /// Hours that are over.
    pub(super) fn add(&mut self, hours: impl IntoIterator<Item = Millis>) {
        self.hours.extend(hours);
    }

    pub(super) fn is_done(&self) -> bool {
        self.hours.is_empty() && self.stage.is_none()
    }

    /// Does the next step. `open` is the hour that is not over yet.
    pub(super) fn step(
        &mut self,
        transaction: &Transaction<'_>,
        calendar: &Calendar,
        open: Span,
    ) -> Result<Step, Error> {
        let stage = match self.stage.take() {
            Some(stage) => stage,
            None => match self.hours.pop_first() {
                Some(start) => Stage::Sum(Sums::of(calendar.hour(start))),
                None => return Ok(Step::default()),
            },
        };
        let (step, next) = match stage {
            Stage::Sum(sums) => sums.step(transaction)?,
            Stage::Write { hour, left, dense } => write(transaction, calendar, hour, left, dense)?,
            Stage::Thin(thin) => thin.step(transaction)?,
            Stage::Prune(prune) => {
                prune.step(transaction, Needed::of(calendar, open, self.hours.first().copied()))?
            }
        };
        self.stage = next;
        Ok(step)
    }
}

impl Sums {
    fn of(hour: Span) -> Self {
        let after = (hour.readings().start, Millis::MIN);
        Self { hour, after, first: None, summaries: BTreeMap::new() }
    }

    fn step(mut self, transaction: &Transaction<'_>) -> Result<(Step, Option<Stage>), Error> {
        let mut rows = 0_usize;
        let after = self.after;
        each_reading(transaction, self.hour, after, |at, reading| {
            rows = rows.saturating_add(1);
            self.after = at;
            self.first.get_or_insert(at.1);
            if let Some(point) = reading {
                add(&mut self.summaries, at.1, Summary::of(point));
            }
            Ok(())
        })?;
        let step = Step { rows, forgot: false };
        if rows == ROWS_PER_STEP {
            return Ok((step, Some(Stage::Sum(self))));
        }
        let Self { hour, first, summaries, .. } = self;
        let is_dense = |(id, summary): (&i64, &Summary)| {
            let count = usize::try_from(summary.count).unwrap_or(usize::MAX);
            (count > PER_HOUR).then(|| (*id, Thinning::new(count, PER_HOUR)))
        };
        let dense = summaries.iter().filter_map(is_dense).collect();
        // Taken from the end.
        let (last, mut left): (Vec<_>, Vec<_>) =
            summaries.into_iter().partition(|(id, _)| Some(*id) == first);
        left.splice(0..0, last);
        Ok((step, Some(Stage::Write { hour, left, dense })))
    }
}

/// Writes the summaries of some series: the hour, and the day as its hours are now.
fn write(
    transaction: &Transaction<'_>,
    calendar: &Calendar,
    hour: Span,
    mut left: Vec<(i64, Summary)>,
    dense: BTreeMap<i64, Thinning>,
) -> Result<(Step, Option<Stage>), Error> {
    let mut rows = 0_usize;
    let day = calendar.day(calendar.date(hour.start));
    let mut hours = summaries_statement(transaction, Table::Hour)?;
    for (id, summary) in left.split_off(left.len().saturating_sub(SERIES_PER_STEP)) {
        write_summary(transaction, Table::Hour, hour.start, id, &summary)?;
        rows = rows.saturating_add(1);
        let Some(day) = day else { continue };
        let hours = summaries_of(&mut hours, id, day)?;
        rows = rows.saturating_add(hours.len());
        if let Some(summary) = Summary::all(hours.into_iter().map(|(_, summary)| summary)) {
            write_summary(transaction, Table::Day, day.start, id, &summary)?;
            rows = rows.saturating_add(1);
        }
    }
    let step = Step { rows, forgot: false };
    let next = if !left.is_empty() {
        Stage::Write { hour, left, dense }
    } else if !dense.is_empty() {
        Stage::Thin(Thin { hour, after: (hour.readings().start, Millis::MIN), dense })
    } else {
        Stage::Prune(Prune::new(transaction)?)
    };
    Ok((step, Some(next)))
}

impl Thin {
    fn step(mut self, transaction: &Transaction<'_>) -> Result<(Step, Option<Stage>), Error> {
        let mut rows = 0_usize;
        let after = self.after;
        let mut surplus = Vec::new();
        each_reading(transaction, self.hour, after, |at, reading| {
            rows = rows.saturating_add(1);
            self.after = at;
            if let (Some(point), Some(thinning)) = (reading, self.dense.get_mut(&at.1)) {
                let removed = thinning.removes(point);
                surplus.extend(removed.map(|point| (point.time.as_millisecond(), at.1)));
            }
            Ok(())
        })?;
        let mut delete =
            transaction.prepare("DELETE FROM reading WHERE time = ? AND series = ?")?;
        for (time, series) in surplus {
            delete.execute([time, series])?;
        }
        let step = Step { rows, forgot: false };
        if rows == ROWS_PER_STEP {
            return Ok((step, Some(Stage::Thin(self))));
        }
        Ok((step, Some(Stage::Prune(Prune::new(transaction)?))))
    }
}

/// Calls `take` for each of the next readings of an hour, oldest first.
fn each_reading(
    transaction: &Transaction<'_>,
    hour: Span,
    (time, series): (Millis, i64),
    mut take: impl FnMut((Millis, i64), Option<crate::summary::Point>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut statement = transaction.prepare(
        "SELECT time, value, series FROM reading
         WHERE (time, series) > (?, ?) AND time < ? ORDER BY time, series LIMIT ?",
    )?;
    let most = i64::try_from(ROWS_PER_STEP).unwrap_or(i64::MAX);
    let mut rows = statement.query([time, series, hour.readings().end, most])?;
    while let Some(row) = rows.next()? {
        take((row.get(0)?, row.get(2)?), point(row)?)?;
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

impl Prune {
    /// Decides what is too old. The number of hours and days decides, not their age. So a clock
    /// that was wrong for a while costs only the few rows of that time.
    fn new(transaction: &Transaction<'_>) -> Result<Self, Error> {
        let oldest = |table: Table, most: u32| {
            // One look-up for each hour or day, however many series have it.
            let sql = format!(
                "WITH RECURSIVE starts(start, number) AS (
                     SELECT max(start), 1 FROM {0} UNION ALL
                     SELECT (SELECT max(start) FROM {0} WHERE start < starts.start), number + 1
                     FROM starts WHERE start IS NOT NULL AND number < ?1
                 ) SELECT start FROM starts WHERE number = ?1 AND start IS NOT NULL",
                table.name()
            );
            transaction.query_row(&sql, [most], |row| row.get::<_, Millis>(0)).optional()
        };
        let recent = oldest(Table::Hour, RECENT_HOURS)?;
        let recent = recent.map(|start| Span { start, end: start }.readings().start);
        let tables = [
            ("day", oldest(Table::Day, DAYS)?),
            ("hour", oldest(Table::Hour, HOURS)?),
            ("reading", recent),
        ];
        // Taken from the end.
        let left = tables.into_iter().filter_map(|(table, oldest)| Some((table, oldest?)));
        Ok(Self { left: left.collect(), days: false })
    }

    /// `needed` is of this step, because polls are written between the steps.
    fn step(
        mut self,
        transaction: &Transaction<'_>,
        needed: Needed,
    ) -> Result<(Step, Option<Stage>), Error> {
        let mut rows = 0;
        while let Some((table, oldest)) = self.left.last().copied() {
            let (time, needed) = match table {
                "reading" => ("time", needed.readings),
                _ => ("start", needed.summaries),
            };
            let oldest = oldest.min(needed);
            let most = ROWS_PER_STEP.saturating_sub(rows);
            let sql = format!(
                "DELETE FROM {table} WHERE ({time}, series) IN (
                     SELECT {time}, series FROM {table} WHERE {time} < ?
                     ORDER BY {time}, series LIMIT ?)"
            );
            let deleted =
                transaction.execute(&sql, params![oldest, i64::try_from(most).unwrap_or(0)])?;
            self.days |= table == "day" && deleted > 0;
            rows = rows.saturating_add(deleted);
            if rows >= ROWS_PER_STEP {
                return Ok((Step { rows, forgot: false }, Some(Stage::Prune(self))));
            }
            self.left.pop();
        }
        let forgot = self.days && forget(transaction)?;
        Ok((Step { rows, forgot }, None))
    }
}

/// Deletes the series without any row, and the meters without any series. Almost all series have a
/// row in the newest day. The others are looked up in each day and hour.
fn forget(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let has_none = |table: Table| {
        format!(
            "NOT EXISTS (
                 WITH RECURSIVE starts(start) AS (
                     SELECT max(start) FROM {0} UNION ALL
                     SELECT (SELECT max(start) FROM {0} WHERE start < starts.start)
                     FROM starts WHERE start IS NOT NULL
                 ) SELECT 1 FROM starts CROSS JOIN {0} AS own
                   ON own.start = starts.start AND own.series = series.id)",
            table.name()
        )
    };
    let series = format!(
        "DELETE FROM series
         WHERE id NOT IN (SELECT series FROM day WHERE start = (SELECT max(start) FROM day))
         AND {} AND {} AND id NOT IN (SELECT series FROM reading)",
        has_none(Table::Day),
        has_none(Table::Hour)
    );
    let mut deleted = 0;
    // A meter may have no value that is stored.
    let meters = format!(
        "DELETE FROM meter WHERE id NOT IN (SELECT meter FROM series) AND id NOT IN (
             SELECT meter FROM usage WHERE start > (SELECT max(start) FROM usage) - {})",
        Millis::from(USAGE_DAYS).saturating_mul(24).saturating_mul(HOUR)
    );
    let usage = "DELETE FROM usage WHERE meter NOT IN (SELECT id FROM meter)";
    for sql in [&*series, &meters, usage] {
        deleted = transaction.execute(sql, [])?.max(deleted);
    }
    Ok(deleted > 0)
}
