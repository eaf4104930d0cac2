//! The location of the database.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::civil::Date;
use rusqlite::{Connection, Error, OpenFlags};

use crate::error::HistoryError;

/// How long to wait for another connection that needs the whole database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The same for a database in memory. It has no write-ahead log, so a writer waits for long reads.
/// The page stops such reads after 5 s.
const BUSY_TIMEOUT_IN_MEMORY: Duration = Duration::from_secs(6);

/// The location of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file.
    File(PathBuf),
    /// Memory that connections of this process share under a unique name.
    Memory(String),
}

/// What is added to the name of the database for its log, and for the index of the log.
const WAL: [&str; 2] = ["-wal", "-shm"];

/// A database and the files beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) database: Option<FileNumber>,
    beside: [Option<FileNumber>; WAL.len()],
}

/// The system's number of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileNumber {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileNumber {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Location {
    /// A new location in memory.
    pub(crate) fn memory() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self::Memory(format!("history-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The path in error messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory(_) => Path::new("memory"),
        }
    }

    /// The identities of the database, its log and the log's index as they exist now. Later files
    /// with the same names differ.
    pub(super) fn files(&self) -> Files {
        let Self::File(path) = self else { return Files::default() };
        let number = |path: &Path| path.metadata().ok().as_ref().map(FileNumber::from);
        Files { database: number(path), beside: WAL.map(|suffix| number(&sibling(path, suffix))) }
    }

    /// Whether the path of this database now leads to another file, or to no file. Any error other
    /// than "not found" does not count.
    pub(super) fn is_displaced(&self, database: Option<FileNumber>) -> bool {
        let Self::File(path) = self else { return false };
        match path.metadata() {
            Ok(metadata) => database != Some(FileNumber::from(&metadata)),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Deletes the log that belonged to these files, if it is still there. It must not be merged
    /// into another database.
    pub(super) fn remove_log_of(&self, files: Files) {
        let Self::File(path) = self else { return };
        for ((suffix, now), ours) in WAL.into_iter().zip(self.files().beside).zip(files.beside) {
            if now.is_some() && now == ours {
                // If that fails, the other database looks damaged and is set aside.
                let _ = std::fs::remove_file(sibling(path, suffix));
            }
        }
    }

    /// Fails if something other than a file has the name of the database, or of a file beside it.
    /// Opening a pipe would wait forever, and a write to a device would change it.
    pub(super) fn check_kinds(&self) -> Result<(), HistoryError> {
        let Self::File(path) = self else { return Ok(()) };
        let beside = ["-wal", "-shm", "-journal"].map(|suffix| sibling(path, suffix));
        let all = [path.clone(), path.with_extension("lock")].into_iter().chain(beside);
        for path in all {
            if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
                return Err(HistoryError::NotAFile(path));
            }
        }
        Ok(())
    }

    pub(super) fn connect(&self, flags: OpenFlags) -> Result<Connection, Error> {
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags)?,
            Self::Memory(name) => {
                // Connections of a process share a name that begins with a slash.
                let uri = format!("file:/{name}?vfs=memdb");
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(match self {
            Self::File(_) => BUSY_TIMEOUT,
            Self::Memory(_) => BUSY_TIMEOUT_IN_MEMORY,
        })?;
        Ok(connection)
    }

    /// Renames a damaged file, and deletes earlier damaged files. Returns the new path. `date` is
    /// today.
    pub(crate) fn set_aside(&self, date: Date) -> std::io::Result<PathBuf> {
        let Self::File(path) = self else {
            return Err(ErrorKind::Unsupported.into());
        };
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".damaged-");
        // One is enough to examine. More would fill the disk.
        for entry in path.parent().into_iter().flat_map(Path::read_dir).flatten().flatten() {
            let is_older =
                entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
            if is_older {
                std::fs::remove_file(entry.path())?;
            }
        }
        let aside = sibling(path, &format!(".damaged-{date}"));
        std::fs::rename(path, &aside)?;
        for suffix in WAL {
            match std::fs::remove_file(sibling(path, suffix)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(aside)
    }
}

/// The path of a file beside the database.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
