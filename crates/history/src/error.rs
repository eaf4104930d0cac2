//! Why readings cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode, ffi};
use thiserror::Error;

/// The hint for an error, in whole sentences. A program may know more than [`HistoryError::hint`]
/// about its readers.
pub type Hint = fn(&HistoryError) -> &'static str;

/// Why readings cannot be written or read. The text is a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// The disk is full.
    #[error("Readings are not stored: the disk of {} is full", .0.display())]
    Full(PathBuf),
    /// The disk or the directory is read-only.
    #[error("Readings are not stored: {} cannot be written to", .0.display())]
    ReadOnly(PathBuf),
    /// The file or its directory cannot be opened or created.
    #[error("Readings are not stored: {} cannot be opened ({reason})", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The reason, from the system or the database.
        reason: String,
    },
    /// Something else has the name of the file: a directory, a pipe, a socket or a device.
    #[error("Readings are not stored: {} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// Another process uses the file.
    #[error("Readings are not stored: another kamstrup2mqtt is using {}", .0.display())]
    InUse(PathBuf),
    /// A later version of this program created the file.
    #[error(
        "Readings are not stored: {} is from a newer kamstrup2mqtt (format {found}; this version \
         supports {known})",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this version supports.
        known: i64,
    },
    /// Another program created the file.
    #[error("Readings are not stored: {} is a database of another program", .0.display())]
    Foreign(PathBuf),
    /// The file is damaged.
    #[error("The file of readings {} is damaged ({reason})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason, from the database.
        reason: String,
    },
    /// The thread that writes cannot be started.
    #[error("Readings are not stored: no thread can be started ({_0})")]
    NoThread(String),
    /// Readings come faster than the disk can write them.
    #[error("Readings are not stored: the disk of {} is too slow", .0.display())]
    Slow(PathBuf),
    /// Nobody waits for the result any longer.
    #[error("Reading has ended because nobody waits for the result any longer")]
    Stopped,
    /// Anything else.
    #[error("Readings are not stored: {} has an error ({reason})", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The reason, from the database.
        reason: String,
    },
}

impl HistoryError {
    /// What to do about it, in whole sentences.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full(_) => "Free some space on it.",
            Self::ReadOnly(_) => {
                "Check whether the disk has become read-only, as a worn SD card does. Check that \
                 the user that runs the program is allowed to write there."
            }
            Self::CannotOpen { .. } => {
                "Check that its directory exists, and that the user that runs the program is \
                 allowed to write there."
            }
            Self::InUse(_) => "Only one program can use this file.",
            Self::Newer { .. } => {
                "Use the newer version again, or move the file away to start a new one."
            }
            Self::Foreign(_) => "Move that file away.",
            Self::NotAFile(_) => {
                "It is a directory, a pipe, a socket or a device. Move it away: kamstrup2mqtt then \
                 creates the file."
            }
            Self::Damaged { .. } => "A worn SD card can cause this. Check the disk.",
            Self::NoThread(_) => {
                "Raise the limit on processes (`ulimit -u`, `TasksMax=`) or on memory, then \
                 restart the program."
            }
            Self::Slow(_) => "Check what else writes to it. A worn SD card also becomes slow.",
            Self::Stopped => "Try again.",
            Self::Other { .. } => "Check the disk. The system's log (`dmesg`) shows its errors.",
        }
    }

    /// The same for users of a Home Assistant app, who have neither a shell nor access to the file.
    #[must_use]
    pub fn hint_in_app(&self) -> &'static str {
        match self {
            Self::Full(_) => "Free some space: Settings > System > Storage.",
            Self::ReadOnly(_) => {
                "Make a backup, then restart the machine: the disk has become read-only, as a worn SD \
                 card does."
            }
            Self::CannotOpen { .. } => "Restart the app. If that does not help, report it.",
            Self::InUse(_) => "The app runs twice: restart the machine.",
            Self::Newer { .. } => "Install the newer version of the app again.",
            Self::Foreign(_) | Self::NotAFile(_) => {
                "This must not happen in the app: please report it with its log."
            }
            Self::Damaged { .. } => {
                "A worn SD card can cause this. Make a backup. If it happens again, replace the \
                 card."
            }
            Self::NoThread(_) => "Restart the app. If that does not help, restart the machine.",
            Self::Stopped => "Try again.",
            Self::Slow(_) => {
                "Another app may be writing a lot to it: wait until it is done, or stop it. A worn SD \
                 card also becomes slow: make a backup, then replace the card."
            }
            Self::Other { .. } => {
                "The disk or SD card may be failing. Make a backup, then restart the machine. If \
                 it happens again, replace the disk or card."
            }
        }
    }

    /// Whether the file must not be read either.
    pub(crate) fn forbids_reading(&self) -> bool {
        matches!(
            self,
            Self::InUse(_)
                | Self::Newer { .. }
                | Self::Foreign(_)
                | Self::NotAFile(_)
                | Self::Damaged { .. }
        )
    }

    /// Whether both are of the same kind, regardless of their details.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Converts an error of the database at `path`.
    pub(crate) fn from_sqlite(error: &Error, path: &Path) -> Self {
        let path = path.to_owned();
        let reason = error.to_string();
        let failure = match error {
            Error::SqliteFailure(failure, _) => failure,
            // A column holds a value of the wrong type.
            Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::FromSqlConversionFailure(..)
            | Error::Utf8Error(..) => return Self::Damaged { path, reason },
            _ => return Self::Other { path, reason },
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full(path),
            // The file that all connections share is allocated when the database is opened.
            _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::Full(path),
            ErrorCode::ReadOnly => Self::ReadOnly(path),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::CannotOpen { path, reason }
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged { path, reason },
            ErrorCode::OperationInterrupted => Self::Stopped,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::InUse(path),
            _ => Self::Other { path, reason },
        }
    }

    /// Converts an error of the system at `path`.
    pub(crate) fn from_io(error: &io::Error, path: &Path) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            _ => Self::CannotOpen { path, reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_in_words() {
        let path = || PathBuf::from("/data/history.db");
        let reason = || "disk I/O error".to_owned();
        let all = [
            HistoryError::Full(path()),
            HistoryError::ReadOnly(path()),
            HistoryError::CannotOpen { path: path(), reason: "permission denied".to_owned() },
            HistoryError::InUse(path()),
            HistoryError::NotAFile(path()),
            HistoryError::Newer { path: path(), found: 2, known: 1 },
            HistoryError::Foreign(path()),
            HistoryError::Damaged { path: path(), reason: "file is not a database".to_owned() },
            HistoryError::NoThread("Resource temporarily unavailable".to_owned()),
            // `Stopped` has no reader: whoever waited has left.
            HistoryError::Slow(path()),
            HistoryError::Other { path: path(), reason: reason() },
        ];
        let words =
            all.map(|error| format!("{error}.\n  {}\n  {}", error.hint(), error.hint_in_app()));
        insta::assert_snapshot!(words.join("\n"));
    }
}
