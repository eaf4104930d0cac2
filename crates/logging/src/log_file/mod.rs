//! The current log file, and the earlier ones in its directory.
//!
//! Each line comes with its time, so this module reads no clock. The time of the last write shows
//! which period the current file belongs to. There is no other state, so a restart continues the
//! file. If the name for an earlier file is already in use, the lines are appended to that file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ZonedDateTime};
use tokio::net::unix::pipe;
use tracing::warn;

use crate::rotation::{Period, Rotation};

/// The path of a log file, and when the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatingFile {
    /// The directory. It is created if it is missing.
    pub directory: PathBuf,
    /// The name of the current file. Earlier files have the start of their period appended to it.
    pub filename: String,
    /// When a new file begins.
    pub rotation: Rotation,
}

impl RotatingFile {
    /// The path of the current file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.filename)
    }

    /// `logs/meter.log cannot be written: …`, without a full stop. One of the
    /// [`Hints`](crate::Hints) says what to do.
    #[must_use]
    pub fn failure(&self, error: &io::Error) -> String {
        let directory = self.directory.display();
        let what = match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{directory} is a file, not a directory"),
            io::ErrorKind::NotADirectory => {
                format!("a part of the path {directory} is a file, not a directory")
            }
            _ => error.to_string(),
        };
        format!("{} cannot be written: {what}", self.path().display())
    }

    /// Checks whether this user could write the file, without creating the file or its directory.
    ///
    /// Do not call it within a `tokio` runtime: it starts one.
    pub fn probe(&self) -> io::Result<()> {
        let path = self.path();
        if let Some(metadata) = check_kind(&path)? {
            if metadata.file_type().is_fifo() {
                return Ok(());
            }
            OpenOptions::new().append(true).open(&path)?;
            if !metadata.is_file() {
                // A device is never rotated.
                return Ok(());
            }
        }
        // A missing directory will be created in the nearest one that exists.
        let mut ancestors = self.directory.ancestors();
        let nearest = ancestors.find(|ancestor| ancestor.symlink_metadata().is_ok());
        let directory = nearest.unwrap_or(Path::new("."));
        if directory == self.directory && !directory.is_dir() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let trial = directory.join(format!(".{}.{}", self.filename, std::process::id()));
        OpenOptions::new().write(true).create_new(true).open(&trial)?;
        fs::remove_file(&trial)
    }
}

/// Fails if a path is something that cannot hold lines, or that opening would wait for. `None` if
/// there is nothing yet.
fn check_kind(path: &Path) -> io::Result<Option<Metadata>> {
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    let kind = metadata.file_type();
    if kind.is_fifo() {
        probe_pipe(path)?;
    }
    if kind.is_socket() || kind.is_block_device() {
        return Err(io::Error::other("it is a socket or a disk, not a file"));
    }
    Ok(Some(metadata))
}

/// Opens a pipe without waiting for a reader. `/dev/stdout` may be a pipe too.
fn probe_pipe(path: &Path) -> io::Result<()> {
    /// The error of open(2) if nobody reads the pipe.
    const ENXIO: i32 = 6;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    match pipe::OpenOptions::new().open_sender(path) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(ENXIO) => Err(io::Error::other(
            "it is a pipe that nobody reads, and the log would wait until somebody does",
        )),
        Err(error) => Err(error),
    }
}

/// A log file that is opened when the first line is written.
#[derive(Debug)]
pub(crate) struct LogFile {
    settings: RotatingFile,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    period: Period,
}

impl LogFile {
    pub(crate) fn new(settings: RotatingFile) -> Self {
        Self { settings, open: None }
    }

    /// Reopens the file for the next line, because it may have been moved.
    pub(crate) fn reopen(&mut self) {
        self.open = None;
    }

    /// Writes a line of this time, which ends with a line feed. If the period of the file is over,
    /// the file is renamed first, and a new one begins.
    ///
    /// After an error, the line is not in the file, and the file is reopened for the next line.
    pub(crate) fn write(&mut self, time: &ZonedDateTime, line: &str) -> io::Result<()> {
        let result = self.try_write(time, line);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_write(&mut self, time: &ZonedDateTime, line: &str) -> io::Result<()> {
        let now = self.settings.rotation.period(time.datetime());
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(time, now)?,
        };
        if open.period != now {
            let period = open.period;
            drop(open);
            self.rotate(period, now);
            open = Open { period: now, ..self.open(time, now)? };
        }
        let length = open.file.metadata()?.len();
        let written = open.file.write_all(line.as_bytes());
        if written.is_err() {
            // The line is retried, so the part that was written must not remain.
            let _ = open.file.set_len(length);
        }
        self.open = Some(open);
        written
    }

    fn open(&self, time: &ZonedDateTime, now: Period) -> io::Result<Open> {
        fs::create_dir_all(&self.settings.directory)?;
        check_kind(&self.settings.path())?;
        let file = OpenOptions::new().append(true).create(true).open(self.settings.path())?;
        let metadata = file.metadata()?;
        let mut period = now;
        if metadata.is_file() && metadata.len() > 0 {
            let written = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
            let written = written.to_zoned_datetime(time.time_zone().clone());
            period = self.settings.rotation.period(written.datetime());
        }
        Ok(Open { file, period })
    }

    /// Renames the file and deletes the oldest files in excess. A failure is logged, and retried
    /// after the next period.
    fn rotate(&self, period: Period, now: Period) {
        let path = self.settings.path();
        if let Err(error) = self.rename(period) {
            warn!(
                "The log file {} cannot be renamed, so it continues: {error}. Check that this user \
                 is allowed to write to its folder.",
                path.display()
            );
        }
        if let Err(error) = self.delete_oldest(now) {
            warn!(
                "Earlier log files of {} cannot be deleted: {error}. Check that this user is \
                 allowed to write to their folder.",
                path.display()
            );
        }
    }

    /// Gives the file the name of its period.
    fn rename(&self, period: Period) -> io::Result<()> {
        let rotation = self.settings.rotation;
        let path = self.settings.path();
        if !fs::metadata(&path)?.is_file() {
            // A device like /dev/null is never renamed.
            return Ok(());
        }
        let earlier_path = self.earlier_path(&rotation.suffix(period));
        if earlier_path.exists() {
            // It is from before the clock was set back, so the lines are appended to it.
            let mut earlier = OpenOptions::new().append(true).open(&earlier_path)?;
            io::copy(&mut File::open(&path)?, &mut earlier)?;
            fs::remove_file(&path)?;
        } else {
            fs::rename(&path, &earlier_path)?;
        }
        Ok(())
    }

    fn earlier_path(&self, suffix: &str) -> PathBuf {
        self.settings.directory.join(format!("{}.{suffix}", self.settings.filename))
    }

    /// Files with a date in the future are from before the clock was set back. They are counted
    /// separately, so that they take no place of an earlier file. Those that are furthest in the
    /// future are deleted first.
    fn delete_oldest(&self, now: Period) -> io::Result<()> {
        let keep = self.settings.rotation.keep;
        if keep == 0 {
            return Ok(());
        }
        let mut ours = Vec::new();
        for entry in fs::read_dir(&self.settings.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let suffix = name.to_str().and_then(|name| name.strip_prefix(&self.settings.filename));
            let suffix = suffix.and_then(|rest| rest.strip_prefix('.'));
            // Files that are not ours are never deleted.
            if let Some(suffix) = suffix.filter(|suffix| self.settings.rotation.is_suffix(suffix))
                && entry.file_type()?.is_file()
            {
                ours.push(suffix.to_owned());
            }
        }
        ours.sort_unstable();
        let now = self.settings.rotation.suffix(now);
        let (future, earlier): (Vec<_>, Vec<_>) =
            ours.into_iter().partition(|suffix| *suffix > now);
        let too_many = earlier.len().saturating_sub(keep);
        let too_old = earlier.iter().take(too_many).chain(future.iter().skip(keep));
        too_old.map(|suffix| self.earlier_path(suffix)).try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests;
