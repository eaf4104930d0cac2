//! The tables, and how the database is opened for writing.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

use rusqlite::{Connection, Error, OpenFlags, TransactionBehavior};

use super::location::Location;
use crate::error::HistoryError;

/// The application id in the header of the file: "K2MQ".
const APPLICATION_ID: i64 = 0x4B32_4D51;
/// The version of the tables. Every change to them increases it, and adds a step to [`upgrade`].
const FORMAT: i64 = 2;

/// The tables of version 1.
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

/// What version 2 adds: the cost of each meter's polls. Rows of one meter are neighbours, so that
/// reading them does not depend on the number of meters.
const ADDED_BY_2: &str = "
    CREATE TABLE usage (
        meter INTEGER, start INTEGER, kind INTEGER, since INTEGER NOT NULL, polls INTEGER NOT NULL,
        sent INTEGER NOT NULL, received INTEGER NOT NULL, awake INTEGER NOT NULL,
        PRIMARY KEY (meter, start, kind)
    ) STRICT, WITHOUT ROWID;";

/// The write-ahead log is merged into the file after this many pages (1 MiB), not after each poll,
/// because writing wears flash memory.
pub(super) const CHECKPOINT_AFTER: u32 = 256;

/// Settings of the connection that writes. With a write-ahead log and `synchronous = NORMAL`, a
/// kill loses nothing that was committed. A power cut may lose what the system has not yet written
/// to the disk, but the file stays intact.
const SETTINGS: &str = "
    PRAGMA synchronous = NORMAL;
    PRAGMA journal_size_limit = 1048576;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;";

/// Keeps other processes out. The lock is on a separate file, because the locks of the database end
/// when another handle to its file is closed.
pub(super) fn lock(path: &Path) -> Result<File, HistoryError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o750).create(directory);
    let lock = path.with_extension("lock");
    let file =
        made.and_then(|()| File::options().create(true).truncate(false).write(true).open(lock));
    let file = file.map_err(|error| HistoryError::from_io(&error, path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistoryError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(HistoryError::from_io(&error, path)),
    }
}

/// Opens the database for writing, and creates its tables if they are missing.
pub(super) fn prepare(location: &Location) -> Result<Result<Connection, HistoryError>, Error> {
    let path = || location.path().to_owned();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = location.connect(flags)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    let found = number("user_version")?;
    let made = tables(&connection)?;
    let is_new = (application, found) == (0, 0) && made.is_empty();
    if !is_new && application != APPLICATION_ID {
        return Ok(Err(HistoryError::Foreign(path())));
    }
    if found > FORMAT {
        return Ok(Err(HistoryError::Newer { path: path(), found, known: FORMAT }));
    }
    if !is_new {
        let verdict: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Ok(Err(HistoryError::Damaged { path: path(), reason: verdict }));
        }
        // The tables are described by text, in which a changed letter need not be an error.
        let mut sample = Connection::open_in_memory()?;
        upgrade(&mut sample, 0, found)?;
        if made != tables(&sample)? {
            let reason = "its tables are not the expected ones".to_owned();
            return Ok(Err(HistoryError::Damaged { path: path(), reason }));
        }
    }
    if let Location::File(file) = location {
        if connection.is_readonly("main")? && has_unknown_format(file) {
            let reason = "its format has an unknown version".to_owned();
            return Ok(Err(HistoryError::Damaged { path: path(), reason }));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    connection.execute_batch(SETTINGS)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_AFTER)?;
    upgrade(&mut connection, found, FORMAT)?;
    Ok(Ok(connection))
}

/// Whether the header has a version of the format that the database only reads. Nothing has ever
/// written such a file, so the header is damaged, and the disk is not read-only.
///
/// Closing a handle ends the locks on the file. That does not matter if the file is not written.
fn has_unknown_format(path: &Path) -> bool {
    const WRITE_VERSION: u64 = 18;
    let mut version = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut version, WRITE_VERSION));
    read.is_ok() && !matches!(version, [1 | 2])
}

/// Brings the tables from one version to another. Version 0 is an empty database.
fn upgrade(connection: &mut Connection, from: i64, to: i64) -> Result<(), Error> {
    if from >= to {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (before, sql) in [(0, TABLES), (1, ADDED_BY_2)] {
        if (from..to).contains(&before) {
            transaction.execute_batch(sql)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

/// The tables and their indexes: names, and the statements that created them.
pub(super) fn tables(connection: &Connection) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tables.collect()
}
