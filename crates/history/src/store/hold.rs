//! Holds the database still while a backup copies its files, so that the copy is not damaged.
//!
//! A backup copies the database and its write-ahead log one after the other, while the program
//! writes. A checkpoint moves pages from the log into the database. If a checkpoint happens between
//! the two copies, pages may be in neither of them. Without checkpoints, the database does not
//! change at all, and the log only grows. Then the copies fit each other, whichever was made first.
//!
//! The request to hold is a file beside the database, because another process makes it. That
//! process ends before the copy begins. Readings are still written meanwhile.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, OpenFlags};
use thiserror::Error;

use super::location::Location;
use super::schema::CHECKPOINT_AFTER;
use crate::calendar::{HOUR, Millis};

/// How long a hold lasts if it is not released, as after a backup that was interrupted.
const LONGEST: Millis = HOUR;

/// Why the database cannot be held still.
#[derive(Debug, Error)]
pub enum HoldError {
    /// The file that asks for it cannot be created or deleted.
    #[error("Cannot write {}", path.display())]
    Marker {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("Cannot use {}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The reason.
        source: Error,
    },
    /// Something else uses the database without a pause.
    #[error("Cannot merge the write-ahead log into {}: another program is reading it", .0.display())]
    Busy(PathBuf),
}

/// Holds a database still until [`release`], for an hour at most. The process that writes
/// continues. If there is no database, there is nothing to do.
pub fn hold(database: &Path) -> Result<(), HoldError> {
    if !database.exists() {
        return Ok(());
    }
    release(database)?;
    let path = marker(database);
    ask(&path).map_err(|source| HoldError::Marker { path, source })?;
    let is_merged =
        merge(database).map_err(|source| HoldError::Database { path: database.into(), source })?;
    if is_merged { Ok(()) } else { Err(HoldError::Busy(database.into())) }
}

/// Creates the file that asks for it. The folder may belong to another user than the one who runs
/// this. So a link that this user has put there is not followed, and nothing is overwritten.
fn ask(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(path) {
        // Another process has just asked for the same.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                && path.symlink_metadata()?.is_file() =>
        {
            Ok(())
        }
        created => created.map(drop),
    }
}

/// Ends what [`hold`] began.
pub fn release(database: &Path) -> Result<(), HoldError> {
    let path = marker(database);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(HoldError::Marker { path, source })
        }
        _ => Ok(()),
    }
}

/// Merges the write-ahead log into the database, and empties it. Returns whether that succeeded.
fn merge(database: &Path) -> Result<bool, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Location::File(database.into()).connect(flags)?;
    // A transaction that began before the marker was there ends first. Each later one sees it.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    let is_busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!is_busy)
}

fn marker(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-hold");
    name.into()
}

/// Whether the connection that writes is held still.
#[derive(Debug)]
pub(super) struct Hold {
    marker: Option<PathBuf>,
    is_held: bool,
}

impl Hold {
    pub(super) fn new(location: &Location) -> Self {
        let marker = match location {
            Location::File(path) => Some(marker(path)),
            Location::Memory(_) => None,
        };
        Self { marker, is_held: false }
    }

    /// Makes the connection do what is asked for at `time`. Call it in a transaction.
    pub(super) fn follow(&mut self, connection: &Connection, time: Millis) -> Result<(), Error> {
        let is_held = self.is_asked_for(time);
        if is_held != self.is_held {
            let pages = if is_held { 0 } else { CHECKPOINT_AFTER };
            connection.pragma_update(None, "wal_autocheckpoint", pages)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_held)?;
            self.is_held = is_held;
        }
        Ok(())
    }

    fn is_asked_for(&self, time: Millis) -> bool {
        let made = self.marker.as_ref().and_then(|path| fs::metadata(path).ok()?.modified().ok());
        let since_epoch = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = since_epoch.and_then(|made| Millis::try_from(made.as_millis()).ok());
        made.is_some_and(|made| time.abs_diff(made) < LONGEST.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use jiff::tz::TimeZone;
    use rust_decimal::Decimal;
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::*;
    use crate::calendar::{Calendar, MINUTE, timestamp};
    use crate::reader::Reader;
    use crate::sample::{MeterKey, Sample};
    use crate::store::Store;

    /// The administrator's file was emptied if the service's user put a link to it there in time.
    #[test]
    fn a_link_in_place_of_the_request_is_not_followed() {
        let folder = TempDir::new().unwrap();
        let [other, path] = ["other", "history.db-hold"].map(|name| folder.path().join(name));
        fs::write(&other, "text").unwrap();
        for target in [&other, &folder.path().join("nothing")] {
            symlink(target, &path).unwrap();
            assert_eq!(ask(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "text");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        for _ in 0..2 {
            ask(&path).unwrap();
        }
    }

    const SAMPLES: i64 = 10;
    /// Enough polls for several checkpoints.
    const MANY: i64 = 120;

    /// A database that is written while its files are copied.
    struct Written {
        folder: TempDir,
        store: Store,
        polls: i64,
    }

    impl Written {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let location = Location::File(folder.path().join("history.db"));
            let store = Store::open(&location, Calendar::new(TimeZone::UTC)).unwrap();
            let mut written = Self { folder, store, polls: 0 };
            written.write(MANY);
            written
        }

        fn database(&self) -> PathBuf {
            self.folder.path().join("history.db")
        }

        /// When the lock was made: a moment ago. This crate must not read the clock.
        fn started(&self) -> SystemTime {
            fs::metadata(self.folder.path().join("history.lock")).unwrap().modified().unwrap()
        }

        /// Writes polls at times of this hour, like those of a running program. Readings of an hour
        /// that is over are thinned out.
        fn write(&mut self, polls: i64) {
            let now = self.started().duration_since(UNIX_EPOCH).unwrap().as_millis();
            let now = Millis::try_from(now).unwrap();
            let now = now - now % HOUR + 10 * MINUTE;
            for _ in 0..polls {
                self.polls += 1;
                let samples: Vec<_> = (0..SAMPLES)
                    .map(|number| Sample {
                        parameter: format!("p{number}"),
                        value: Decimal::from(self.polls * SAMPLES + number),
                        unit: None,
                        is_counter: true,
                    })
                    .collect();
                self.store.write(&meter(), now + self.polls * 100, &samples, &[]).unwrap();
            }
        }

        fn size_of_the_log(&self) -> u64 {
            fs::metadata(self.folder.path().join("history.db-wal")).unwrap().len()
        }

        /// Copies one file after the other, each in small pieces, and writes in between.
        fn copied(&mut self, order: &[&str]) -> TempDir {
            let copy = TempDir::new().unwrap();
            for name in order {
                let mut from = File::open(self.folder.path().join(name)).unwrap();
                let mut to = File::create(copy.path().join(name)).unwrap();
                let mut piece = vec![0; 50_000];
                loop {
                    let read = from.read(&mut piece).unwrap();
                    if read == 0 {
                        break;
                    }
                    to.write_all(&piece[..read]).unwrap();
                    self.write(if self.polls < 10 * MANY { MANY / 4 } else { 0 });
                }
                self.write(MANY);
            }
            copy
        }
    }

    fn meter() -> MeterKey {
        MeterKey::new("", None)
    }

    /// The number of polls in a copy, or why it is not whole.
    fn polls_in(copy: &TempDir) -> Result<i64, String> {
        let location = Location::File(copy.path().join("history.db"));
        Store::open(&location, Calendar::new(TimeZone::UTC)).map_err(|error| error.to_string())?;
        let (_, error) = watch::channel(None);
        let reader = Reader::new(location, Calendar::new(TimeZone::UTC), error);
        let all = (timestamp(0), timestamp(Millis::MAX));
        let mut last = None;
        for number in 0..SAMPLES {
            let points = reader.snapshot().unwrap().readings(&meter(), &format!("p{number}"), all);
            let points = points.map_err(|error| error.to_string())?;
            let polls: Vec<_> = points
                .iter()
                .map(|point| (point.value - Decimal::from(number)) / Decimal::from(SAMPLES))
                .collect();
            let is_gapless = polls.windows(2).all(|pair| pair[1] == pair[0] + Decimal::ONE);
            let newest = polls.last().copied();
            if !is_gapless
                || polls.first() != Some(&Decimal::ONE)
                || *last.get_or_insert(newest) != newest
            {
                return Err(format!("p{number} has gaps"));
            }
        }
        Ok(last.flatten().unwrap().try_into().unwrap())
    }

    const ORDERS: [&[&str]; 4] = [
        &["history.db", "history.db-shm", "history.db-wal"],
        &["history.db", "history.db-wal", "history.db-shm"],
        &["history.db-wal", "history.db", "history.db-shm"],
        &["history.db-shm", "history.db-wal", "history.db"],
    ];

    #[test]
    fn a_copy_of_the_files_is_whole_while_they_are_held_still() {
        for order in ORDERS {
            let mut written = Written::new();
            hold(&written.database()).unwrap();
            assert_eq!(written.size_of_the_log(), 0);
            let before = written.polls;
            let copy = written.copied(order);
            let polls = polls_in(&copy).unwrap_or_else(|error| panic!("{order:?}: {error}"));
            assert!(polls >= before, "{order:?}: {polls} of {before}");
        }
    }

    /// Otherwise the test above could not fail.
    #[test]
    fn a_copy_is_torn_if_they_are_not_held_still() {
        let mut written = Written::new();
        let copy = written.copied(ORDERS[0]);
        polls_in(&copy).unwrap_err();
    }

    #[test]
    fn the_log_grows_while_held_and_is_merged_afterwards() {
        let merged = 2 * u64::from(CHECKPOINT_AFTER) * 4_096;
        let mut written = Written::new();
        written.write(4 * MANY);
        assert!(written.size_of_the_log() < merged);
        hold(&written.database()).unwrap();
        written.write(4 * MANY);
        assert!(written.size_of_the_log() > merged);
        release(&written.database()).unwrap();
        written.write(MANY);
        assert!(written.size_of_the_log() < merged);
        release(&written.database()).unwrap();
    }

    #[test]
    fn a_hold_ends_after_an_hour() {
        let mut written = Written::new();
        hold(&written.database()).unwrap();
        let marker = File::options().write(true).open(marker(&written.database())).unwrap();
        let hour = Duration::from_millis(LONGEST.unsigned_abs());
        for (age, is_held) in [(hour / 2, true), (2 * hour, false)] {
            marker.set_modified(written.started() - age).unwrap();
            written.write(1);
            assert_eq!(written.store.hold.is_held, is_held, "{age:?}");
        }
    }

    #[test]
    fn without_a_database_there_is_nothing_to_hold() {
        let folder = TempDir::new().unwrap();
        hold(&folder.path().join("history.db")).unwrap();
        release(&folder.path().join("history.db")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
