//! The database: its tables, what is written, what is read.
//!
//! A poll is one transaction, and so are the hour and the day that it ends. Values are texts, so
//! that not a digit changes. Rows of one time stand side by side (`time, series`), so a poll changes
//! one page of the file rather than one for each of its values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::civil::Date;
use rusqlite::{
    Connection, Error, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use rust_decimal::Decimal;

use super::calendar::{Calendar, Millis, Span, timestamp};
use super::summary::{Point, Summary, Used, thin};
use super::trouble::Trouble;
use super::{DAYS, HOURS, Kept, MeterKey, Noted, PER_HOUR, RECENT_HOURS};

/// What this file is, to those who find it: "K2MQ" in its header.
const APPLICATION: i64 = 0x4B32_4D51;
/// Which tables it has. What changes them makes it one more.
const FORMAT: i64 = 1;

const TABLES: &str = "
    CREATE TABLE meter (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, serial TEXT, current INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE series (
        id INTEGER PRIMARY KEY, meter INTEGER NOT NULL, parameter TEXT NOT NULL, unit TEXT NOT NULL,
        counter INTEGER NOT NULL, current INTEGER NOT NULL, UNIQUE (meter, parameter, unit)
    ) STRICT;
    CREATE TABLE reading (
        time INTEGER, series INTEGER, value TEXT NOT NULL, PRIMARY KEY (time, series)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hour (
        start INTEGER, series INTEGER, time INTEGER NOT NULL, last TEXT NOT NULL, low TEXT NOT NULL,
        high TEXT NOT NULL, sum TEXT, count INTEGER NOT NULL, PRIMARY KEY (start, series)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE day (
        start INTEGER, series INTEGER, time INTEGER NOT NULL, last TEXT NOT NULL, low TEXT NOT NULL,
        high TEXT NOT NULL, sum TEXT, count INTEGER NOT NULL, PRIMARY KEY (start, series)
    ) STRICT, WITHOUT ROWID;";

/// Settings of each connection that writes. After a kill nothing that was written is lost
/// (`synchronous = NORMAL` with a write-ahead log); after a power cut perhaps what the system had not
/// brought to the disk yet, and the file is whole in any case. The log is worked into the file after
/// 256 pages, 1 MiB, and not after each poll: flash wears by what is written.
const SETTINGS: &str = "
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 256;
    PRAGMA journal_size_limit = 1048576;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;";

/// How long one waits for the other, where both must have the whole database for a moment.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    File(PathBuf),
    /// In memory, under a name that is nobody else's.
    Memory(String),
}

impl Place {
    /// In memory.
    pub(super) fn memory() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self::Memory(format!("history-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// What errors call it.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory(_) => Path::new("memory"),
        }
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, Error> {
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags)?,
            Self::Memory(name) => {
                // A name with a slash is shared within the process.
                let uri = format!("file:/{name}?vfs=memdb");
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }

    /// For reading: what stands in the database at this moment; `None` before it is made.
    pub(super) fn view(&self) -> Result<Option<View>, Error> {
        if let Self::File(path) = self
            && !path.exists()
        {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        // All that one reader asks for is of one moment.
        connection.execute_batch("BEGIN")?;
        let is_made = !tables(&connection)?.is_empty();
        Ok(is_made.then_some(View { connection }))
    }

    /// Moves a damaged file out of the way, in place of the one that was moved before it; gives its
    /// new name. `date` is today's.
    pub(super) fn set_aside(&self, date: Date) -> std::io::Result<PathBuf> {
        let Self::File(path) = self else {
            return Err(std::io::ErrorKind::Unsupported.into());
        };
        let beside = |suffix: &str| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            path.with_file_name(name)
        };
        let mut mark = path.file_name().unwrap_or_default().to_owned();
        mark.push(".damaged-");
        // One is enough to look at; more of them would fill the disk.
        for entry in path.parent().into_iter().flat_map(Path::read_dir).flatten().flatten() {
            let is_older =
                entry.file_name().as_encoded_bytes().starts_with(mark.as_encoded_bytes());
            if is_older {
                std::fs::remove_file(entry.path())?;
            }
        }
        let aside = beside(&format!(".damaged-{date}"));
        std::fs::rename(path, &aside)?;
        for suffix in ["-wal", "-shm"] {
            match std::fs::remove_file(beside(suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(aside)
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    calendar: Calendar,
    /// Keeps other processes out for as long as it is open.
    _lock: Option<File>,
    /// The hour whose readings come in at present.
    open: Option<Span>,
    /// Which row is whose, so that it is not looked up with each poll.
    series: HashMap<(MeterKey, String, String), i64>,
}

impl Store {
    /// Opens the database, which is made where there is none.
    pub(super) fn open(place: &Place, calendar: Calendar) -> Result<Self, Trouble> {
        let lock = match place {
            Place::File(path) => Some(lock(path)?),
            Place::Memory(_) => None,
        };
        let connection =
            prepare(place).map_err(|error| Trouble::from_sqlite(&error, place.path()))??;
        Ok(Self { connection, calendar, _lock: lock, open: None, series: HashMap::new() })
    }

    /// Keeps a poll's values, and folds the hour that it ends. Gives the meter of this name that was
    /// there before, if this is another one.
    pub(super) fn write(
        &mut self,
        meter: &MeterKey,
        time: Millis,
        values: &[Noted],
    ) -> Result<Option<Predecessor>, Error> {
        let hour = self.calendar.hour_of_reading(time);
        // One that reads first and writes then cannot wait where a reader has the database for a moment.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.open != Some(hour) {
            let mut ended: BTreeSet<Millis> = match self.open {
                Some(open) => [open.start].into(),
                // Those of an earlier run.
                None => all_unfolded(&transaction, &self.calendar)?,
            };
            ended.remove(&hour.start);
            for start in &ended {
                fold(&transaction, &self.calendar, self.calendar.hour(*start))?;
            }
            if !ended.is_empty() && prune(&transaction)? {
                self.series.clear();
            }
        }
        let mut before = None;
        {
            let mut insert =
                transaction.prepare("INSERT OR REPLACE INTO reading VALUES (?, ?, ?)")?;
            for noted in values {
                let Noted { parameter, value, unit, is_counter } = noted;
                let unit = unit.clone().unwrap_or_default();
                let key = (meter.clone(), parameter.clone(), unit.clone());
                let series = if let Some(series) = self.series.get(&key) {
                    *series
                } else {
                    let current = current_meter(&transaction, meter.name())?;
                    let id = meter_row(&transaction, meter, current.as_ref())?;
                    if let Some((known, Some(serial))) = current
                        && known != id
                    {
                        let counters = last_counters(&transaction, known)?;
                        before = Some(Predecessor { serial, counters });
                    }
                    let series = series_row(&transaction, id, parameter, &unit, *is_counter)?;
                    // What it was before is no more the current one.
                    self.series.retain(|(known, name, _), _| {
                        known.name != meter.name || (known == meter && name != parameter)
                    });
                    self.series.insert(key, series);
                    series
                };
                insert.execute(params![time, series, value.to_string()])?;
            }
        }
        transaction.commit()?;
        self.open = Some(hour);
        Ok(before)
    }
}

/// A meter that another one has taken the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Predecessor {
    pub(super) serial: String,
    /// The last values of what it counted, each with its name and unit.
    pub(super) counters: Vec<[String; 3]>,
}

/// Keeps other processes out. It is on a file of its own, since the database's own locks are lost when
/// another handle to its file is closed.
fn lock(path: &Path) -> Result<File, Trouble> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o750).create(directory);
    let lock = path.with_extension("lock");
    let file =
        made.and_then(|()| File::options().create(true).truncate(false).write(true).open(lock));
    let file = file.map_err(|error| Trouble::from_io(&error, path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Trouble::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(Trouble::from_io(&error, path)),
    }
}

fn prepare(place: &Place) -> Result<Result<Connection, Trouble>, Error> {
    let path = || place.path().to_owned();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = place.connect(flags)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, found) = (number("application_id")?, number("user_version")?);
    let made = tables(&connection)?;
    let is_new = (application, found) == (0, 0) && made.is_empty();
    if !is_new && application != APPLICATION {
        return Ok(Err(Trouble::Foreign(path())));
    }
    if found > FORMAT {
        return Ok(Err(Trouble::Newer { path: path(), found, known: FORMAT }));
    }
    if !is_new {
        let verdict: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Ok(Err(Trouble::Damaged { path: path(), reason: verdict }));
        }
        // What describes its tables is text, in which a changed letter may be no error.
        let sample = Connection::open_in_memory()?;
        sample.execute_batch(TABLES)?;
        if made != tables(&sample)? {
            let reason = "its tables are not those that it should have".to_owned();
            return Ok(Err(Trouble::Damaged { path: path(), reason }));
        }
    }
    if let Place::File(_) = place {
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    connection.execute_batch(SETTINGS)?;
    if is_new {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    Ok(Ok(connection))
}

/// The tables that there are, with their indexes: name, and how it was made.
fn tables(connection: &Connection) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tables.collect()
}

/// The row and the serial number of the meter of this name that was noted last.
fn current_meter(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<(i64, Option<String>)>, Error> {
    let sql = "SELECT id, serial FROM meter WHERE name = ? AND current = 1";
    transaction.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// What a meter counted last.
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

/// The row of a meter. One that has told its serial number goes on with what was noted before it did;
/// one with another number is another meter.
fn meter_row(
    transaction: &Transaction<'_>,
    meter: &MeterKey,
    current: Option<&(i64, Option<String>)>,
) -> Result<i64, Error> {
    let (name, serial) = (meter.name(), meter.serial());
    if let Some((id, known)) = current
        && *known == serial
    {
        return Ok(*id);
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
            return Ok(id);
        }
        (None, _) => {
            let values = params![name, serial];
            transaction
                .execute("INSERT INTO meter (name, serial, current) VALUES (?, ?, 0)", values)?;
            transaction.last_insert_rowid()
        }
    };
    transaction.execute("UPDATE meter SET current = (id = ?) WHERE name = ?", params![id, name])?;
    Ok(id)
}

/// The row of a value in this unit, which is the current one from now on.
fn series_row(
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

/// What the readings say that are in no hour yet, by the hour's start and the series. Hours that are
/// folded are skipped, so this costs as much as is not.
fn unfolded(
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
fn readings(
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

/// The hours that have readings and are not folded.
fn all_unfolded(connection: &Connection, calendar: &Calendar) -> Result<BTreeSet<Millis>, Error> {
    let all = Span { start: Millis::MIN, end: Millis::MAX };
    let unfolded = unfolded(connection, calendar, all, None)?;
    Ok(unfolded.into_keys().map(|(start, _)| start).collect())
}

fn add<K: Ord>(summaries: &mut BTreeMap<K, Summary>, key: K, summary: Summary) {
    summaries.entry(key).and_modify(|known| *known = known.and(summary)).or_insert(summary);
}

/// Makes an hour of its readings, the day of its hours, and thins the readings out where there are
/// more than a chart can show.
fn fold(transaction: &Transaction<'_>, calendar: &Calendar, hour: Span) -> Result<(), Error> {
    let mut series: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for (id, point) in readings(transaction, hour.readings(), None)? {
        series.entry(id).or_default().push(point);
    }
    for (id, points) in &series {
        if let Some(summary) = Summary::all(points.iter().copied().map(Summary::of)) {
            keep(transaction, Table::Hour, hour.start, *id, &summary)?;
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
        keep(transaction, Table::Day, day.start, *id, summary)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Hour,
    Day,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What is known of more readings stays: a clock that was set back does not make it less.
fn keep(
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

/// Forgets what is too old. By number and not by age: a clock that was wrong for a while costs the few
/// rows that it made, and not all others. Tells whether series went.
fn prune(transaction: &Transaction<'_>) -> Result<bool, Error> {
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
    let mut gone = 0;
    for sql in [
        "DELETE FROM series WHERE id NOT IN (SELECT series FROM day)
         AND id NOT IN (SELECT series FROM hour) AND id NOT IN (SELECT series FROM reading)",
        "DELETE FROM meter WHERE id NOT IN (SELECT meter FROM series)",
    ] {
        gone = transaction.execute(sql, [])?.max(gone);
    }
    Ok(gone > 0)
}

/// A value and its time from the first two columns; `None` where what stands there is no number any
/// more.
fn point(row: &Row<'_>) -> Result<Option<Point>, Error> {
    let time = timestamp(row.get(0)?);
    Ok(decimal(row, 1)?.map(|value| Point { time, value }))
}

fn decimal(row: &Row<'_>, column: usize) -> Result<Option<Decimal>, Error> {
    Ok(row.get_ref(column)?.as_str().ok().and_then(|text| text.parse().ok()))
}

/// The hours or days that begin in `span`, oldest first, with their start and series. Where a value is
/// no number any more, the row is left out.
fn summaries_in(
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

/// What stands in the database at one moment.
#[derive(Debug)]
pub(super) struct View {
    connection: Connection,
}

impl View {
    /// The meter's row: that of its serial number, or where that is not known the one that was noted
    /// last.
    fn meter(&self, meter: &MeterKey) -> Result<Option<i64>, Error> {
        let sql = "SELECT id FROM meter WHERE name = ?1
             AND ((serial = ?2) OR (current = 1 AND (?2 IS NULL OR serial IS NULL)))
             ORDER BY serial IS NULL LIMIT 1";
        let values = params![meter.name(), meter.serial()];
        self.connection.query_row(sql, values, |row| row.get(0)).optional()
    }

    /// What is kept of a meter, by name.
    pub(super) fn kept(&self, meter: &MeterKey) -> Result<Vec<Kept>, Error> {
        let mut statement = self.connection.prepare(
            "SELECT parameter, unit, counter FROM series WHERE meter = ? AND current = 1
             ORDER BY parameter",
        )?;
        let kept = statement.query_map([self.meter(meter)?], |row| {
            let unit: String = row.get(1)?;
            Ok(Kept {
                parameter: row.get(0)?,
                unit: Some(unit).filter(|unit| !unit.is_empty()),
                is_counter: row.get(2)?,
            })
        })?;
        kept.collect()
    }

    /// The series of a value, in the unit in which it came last.
    pub(super) fn series(&self, meter: &MeterKey, parameter: &str) -> Result<Option<i64>, Error> {
        let sql = "SELECT id FROM series WHERE meter = ? AND parameter = ? AND current = 1";
        let values = params![self.meter(meter)?, parameter];
        self.connection.query_row(sql, values, |row| row.get(0)).optional()
    }

    /// Readings of `span`, oldest first.
    pub(super) fn readings(&self, series: i64, span: Span) -> Result<Vec<Point>, Error> {
        let readings = readings(&self.connection, span, Some(series))?;
        Ok(readings.into_iter().map(|(_, point)| point).collect())
    }

    /// The hours or days that begin in `span`, by their start, with what has come since the last hour
    /// was folded.
    pub(super) fn summaries(
        &self,
        table: Table,
        series: i64,
        span: Span,
        calendar: &Calendar,
    ) -> Result<BTreeMap<Millis, Summary>, Error> {
        let folded = summaries_in(&self.connection, table, span, Some(series))?;
        let mut summaries: BTreeMap<_, _> =
            folded.into_iter().map(|(start, _, summary)| (start, summary)).collect();
        for ((hour, _), summary) in unfolded(&self.connection, calendar, span, Some(series))? {
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

    /// What a counter has counted in each of these spans that follow each other, of which the first
    /// is only the beginning of the second.
    pub(super) fn used(
        &self,
        table: Table,
        series: i64,
        spans: &[Span],
        calendar: &Calendar,
        now: Millis,
    ) -> Result<Vec<Used>, Error> {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Ok(Vec::new());
        };
        let all = Span { start: first.start, end: last.end };
        let summaries = self.summaries(table, series, all, calendar)?;
        let of = |span: Span| (span, summaries.get(&span.start).copied());
        let pairs = spans.iter().zip(spans.iter().skip(1));
        Ok(pairs.map(|(before, span)| Used::between(of(*before), of(*span), now)).collect())
    }
}
