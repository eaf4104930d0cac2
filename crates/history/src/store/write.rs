//! Writes polls.

use std::collections::HashMap;
use std::fs::File;

use rusqlite::{Connection, Error, OptionalExtension, Transaction, TransactionBehavior, params};

use super::fold::{Folding, Step, all_unfolded};
use super::hold::Hold;
use super::location::{Files, Location};
use super::schema::{lock, prepare};
use super::usage;
use crate::calendar::{Calendar, Millis, Span};
use crate::error::HistoryError;
use crate::limits::SERIALS;
use crate::sample::{MeterKey, Sample, Usage, UsageRecord};

/// The one connection that writes.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    location: Location,
    /// The files that are open.
    files: Files,
    calendar: Calendar,
    /// Keeps other processes out as long as the file is open.
    _lock: Option<File>,
    pub(super) hold: Hold,
    /// The current hour, which is not over yet.
    open: Option<Span>,
    folding: Folding,
    /// The time of the last poll.
    last: Millis,
    /// Ids by meter, parameter and unit, so that polls need not look them up again.
    series: HashMap<(MeterKey, String, String), i64>,
}

impl Store {
    /// Opens the database, and creates it if it is missing.
    pub(crate) fn open(location: &Location, calendar: Calendar) -> Result<Self, HistoryError> {
        location.check_kinds()?;
        let lock = match location {
            Location::File(path) => Some(lock(path)?),
            Location::Memory(_) => None,
        };
        let connection = prepare(location)
            .map_err(|error| HistoryError::from_sqlite(&error, location.path()))??;
        let (hold, files) = (Hold::new(location), location.files());
        let location = location.clone();
        let (open, series) = (None, HashMap::new());
        let folding = Folding::default();
        let last = 0;
        Ok(Self {
            connection,
            location,
            files,
            calendar,
            _lock: lock,
            hold,
            open,
            folding,
            last,
            series,
        })
    }

    /// Whether the file was removed, or replaced by another file, after it was opened. What is
    /// written would be lost, because nobody can open it again.
    pub(crate) fn is_displaced(&self) -> bool {
        self.location.is_displaced(self.files.database)
    }

    /// Closes a database that is displaced.
    pub(crate) fn leave(self) {
        let Self { connection, location, files, .. } = self;
        drop(connection);
        location.remove_log_of(files);
    }

    /// Writes the values and the cost of a poll. The hour that it ends is folded by [`Self::step`].
    /// A cost without a value and without a serial number is that of the meter that was written
    /// last.
    pub(crate) fn write(
        &mut self,
        meter: &MeterKey,
        time: Millis,
        values: &[Sample],
        usage: &[(i64, Usage)],
    ) -> Result<Written, Error> {
        let hour = self.calendar.hour_of_reading(time);
        // A transaction that reads before it writes could not wait for a reader.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.hold.follow(&transaction, time)?;
        self.last = time;
        let mut ended = Vec::new();
        match self.open {
            _ if values.is_empty() => {}
            Some(open) if open == hour => {}
            // With many meters, polls of the full hour may arrive in another order.
            Some(open) if open.start == hour.end => ended.push(hour.start),
            Some(open) => {
                ended.push(open.start);
                self.open = Some(hour);
            }
            // An earlier run may have left hours.
            None => {
                ended.extend(all_unfolded(&transaction, &self.calendar)?);
                ended.retain(|start| *start != hour.start);
                self.open = Some(hour);
            }
        }
        let mut written = Written::Stored;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO reading VALUES (?, ?, ?)")?;
            for Sample { parameter, value, unit, is_counter } in values {
                let unit = unit.clone().unwrap_or_default();
                let key = (meter.clone(), parameter.clone(), unit.clone());
                let series = if let Some(series) = self.series.get(&key) {
                    *series
                } else {
                    let Some((id, replaced)) = written_id(&transaction, meter)? else {
                        written = Written::TooManySerials;
                        break;
                    };
                    if let Some(before) = replaced {
                        written = Written::Exchanged(before);
                    }
                    let series = series_id(&transaction, id, parameter, &unit, *is_counter)?;
                    // The previous meter or unit is no longer the current one.
                    self.series.retain(|(known, name, _), _| {
                        known.name() != meter.name() || (known == meter && name != parameter)
                    });
                    self.series.insert(key, series);
                    series
                };
                insert.execute(params![time, series, value.to_string()])?;
            }
        }
        if !usage.is_empty() {
            let is_anybody = values.is_empty() && meter.serial().is_none();
            let mut id = if is_anybody { usage::known_id(&transaction, meter)? } else { None };
            if id.is_none() {
                match written_id(&transaction, meter)? {
                    Some((own, replaced)) => {
                        id = Some(own);
                        if let Some(before) = replaced {
                            written = Written::Exchanged(before);
                        }
                    }
                    None => written = Written::TooManySerials,
                }
            }
            if let Some(id) = id {
                usage::add(&transaction, &self.calendar, id, time, usage)?;
            }
        }
        transaction.commit()?;
        self.folding.add(ended);
        // The log is created by the first write, and when a backup has emptied it.
        let files = self.location.files();
        if files.database == self.files.database {
            self.files = files;
        }
        Ok(written)
    }

    /// What is stored about the cost of a meter's polls.
    pub(crate) fn usage(&self, meter: &MeterKey) -> Result<UsageRecord, Error> {
        let is_kept = matches!(self.location, Location::File(_));
        Ok(UsageRecord { is_kept, ..usage::of(&self.connection, &self.calendar, meter)? })
    }

    /// Whether an hour is over and not folded completely.
    pub(crate) fn is_folding(&self) -> bool {
        !self.folding.is_done()
    }

    /// Folds the hours that are over a step further. Returns the number of rows that the step has
    /// read, written or deleted.
    pub(crate) fn step(&mut self) -> Result<usize, Error> {
        // Before the first poll, no hour is known to be over.
        let Some(open) = self.open else { return Ok(0) };
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.hold.follow(&transaction, self.last)?;
        let Step { rows, forgot } = self.folding.step(&transaction, &self.calendar, open)?;
        transaction.commit()?;
        if forgot {
            self.series.clear();
        }
        Ok(rows)
    }
}

/// What was done with a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    Stored,
    /// It was stored, and is of another meter than the one before.
    Exchanged(Predecessor),
    /// It was not stored, because there are readings of too many other serial numbers.
    TooManySerials,
}

/// A meter that another one has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Predecessor {
    pub(crate) serial: String,
    /// Parameter, last value and unit of each counter.
    pub(crate) counters: Vec<[String; 3]>,
}

/// The id and the serial number of the meter of this name that was written last.
fn current_meter(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<(i64, Option<String>)>, Error> {
    let sql = "SELECT id, serial FROM meter WHERE name = ? AND current = 1";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The id of the meter that is written, and the one that it has replaced. `None` if its name has too
/// many serial numbers.
fn written_id(
    transaction: &Transaction<'_>,
    meter: &MeterKey,
) -> Result<Option<(i64, Option<Predecessor>)>, Error> {
    let current = current_meter(transaction, meter.name())?;
    let Some(id) = meter_id(transaction, meter, current.as_ref())? else { return Ok(None) };
    match current {
        Some((known, Some(serial))) if known != id => {
            let counters = last_counters(transaction, known)?;
            Ok(Some((id, Some(Predecessor { serial, counters }))))
        }
        _ => Ok(Some((id, None))),
    }
}

/// Parameter, last value and unit of the counters of a meter.
fn last_counters(transaction: &Transaction<'_>, meter: i64) -> Result<Vec<[String; 3]>, Error> {
    let mut statement = transaction.prepare(
        "SELECT parameter, value, unit FROM (
             SELECT id, parameter, unit, coalesce(
                 (SELECT value FROM reading WHERE series = id ORDER BY time DESC LIMIT 1),
                 (SELECT last FROM hour WHERE series = id ORDER BY start DESC LIMIT 1),
                 (SELECT last FROM day WHERE series = id ORDER BY start DESC LIMIT 1)
             ) AS value FROM series WHERE meter = ?1 AND counter = 1 AND current = 1
         ) WHERE value IS NOT NULL ORDER BY id",
    )?;
    let counters =
        statement.query_map([meter], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    counters.collect()
}

/// The id of a meter, which becomes the current one of its name. The readings from before its
/// serial number was known belong to it. Another serial number is another meter; `None` if there
/// are too many of them.
fn meter_id(
    transaction: &Transaction<'_>,
    meter: &MeterKey,
    current: Option<&(i64, Option<String>)>,
) -> Result<Option<i64>, Error> {
    let name = meter.name();
    let serial = meter.serial();
    if let Some((id, known)) = current
        && *known == serial
    {
        return Ok(Some(*id));
    }
    let earlier: Option<i64> = transaction
        .query_row(
            "SELECT id FROM meter WHERE name = ? AND serial IS ?",
            params![name, serial],
            |row| row.get(0),
        )
        .optional()?;
    let id = match (earlier, current) {
        (Some(id), _) => id,
        (None, Some(&(id, None))) => {
            transaction.execute("UPDATE meter SET serial = ? WHERE id = ?", params![serial, id])?;
            return Ok(Some(id));
        }
        (None, _) => {
            let sql = "SELECT count(*) FROM meter WHERE name = ?";
            let count: u32 = transaction.query_one(sql, [name], |row| row.get(0))?;
            if count >= SERIALS {
                return Ok(None);
            }
            let values = params![name, serial];
            transaction
                .execute("INSERT INTO meter (name, serial, current) VALUES (?, ?, 0)", values)?;
            transaction.last_insert_rowid()
        }
    };
    transaction.execute("UPDATE meter SET current = (id = ?) WHERE name = ?", params![id, name])?;
    Ok(Some(id))
}

/// The id of a series in this unit, which becomes the current one.
fn series_id(
    transaction: &Transaction<'_>,
    meter: i64,
    parameter: &str,
    unit: &str,
    is_counter: bool,
) -> Result<i64, Error> {
    transaction.execute(
        "INSERT INTO series (meter, parameter, unit, counter, current) VALUES (?, ?, ?, ?, 1)
         ON CONFLICT DO UPDATE SET counter = excluded.counter",
        params![meter, parameter, unit, is_counter],
    )?;
    transaction.execute(
        "UPDATE series SET current = (unit = ?) WHERE meter = ? AND parameter = ?",
        params![unit, meter, parameter],
    )?;
    transaction.query_one(
        "SELECT id FROM series WHERE meter = ? AND parameter = ? AND unit = ?",
        params![meter, parameter, unit],
        |row| row.get(0),
    )
}
