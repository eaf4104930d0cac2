//! The entries that were read before, by serial number, log and id, so that none is requested twice.
//!
//! Each log of a meter has a file of lines `id registers`. The registers are the hexadecimal digits
//! of an answer's registers. A line that cannot be read, such as one that a full disk has cut, is
//! ignored: the meter is asked for its entry again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kmp::logger::{Log, LogEntry, LogId};
use kmp::message::SerialNumber;
use kmp::value::RegisterValue;
use rustix::fs::OFlags;

/// The largest file: 1400 hours take 100 KB in a year.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The entries of one log of a meter.
#[derive(Debug)]
pub(crate) struct Kept {
    /// `None` if there is no folder for it.
    folder: Option<PathBuf>,
    serial: SerialNumber,
    log: Log,
    is_warned: bool,
}

impl Kept {
    /// Those of a meter's log, below the folder of the program's state.
    #[must_use]
    pub(crate) fn of(state: Option<PathBuf>, serial: SerialNumber, log: Log) -> Self {
        let folder = state.map(|state| state.join("meter-logs"));
        Self { folder, serial, log, is_warned: false }
    }

    fn path(&self) -> Option<PathBuf> {
        self.path_of(self.log)
    }

    fn path_of(&self, log: Log) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}-{log}.txt", self.serial)))
    }

    /// Whether entries of any log of the meter are kept.
    pub(crate) fn has_given(&self) -> bool {
        let logs = [Log::Year, Log::Month, Log::Day, Log::Hour];
        logs.into_iter().filter_map(|log| self.path_of(log)).any(|path| path.exists())
    }

    /// The file that exists if the meter does not give its log.
    fn refusal(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}-none.txt", self.serial)))
    }

    /// Whether the meter did not give its log when it was asked before.
    #[must_use]
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal().is_some_and(|path| path.exists())
    }

    /// Notes that the meter does not give its log. If that cannot be written, it is asked again.
    pub(crate) fn refuse(&self) {
        if let (Some(folder), Some(path)) = (&self.folder, self.refusal()) {
            let open = || File::options().write(true).create_new(true).open(path);
            let written = fs::create_dir_all(folder).and_then(|()| open());
            if let Err(error) = written {
                tracing::debug!("cannot note that the meter does not give its log: {error}");
            }
        }
    }

    /// Notes that the meter does give its log.
    pub(crate) fn answer(&self) {
        if self.is_refused()
            && let Some(Err(error)) = self.refusal().map(fs::remove_file)
        {
            tracing::debug!("cannot note that the meter gives its log: {error}");
        }
    }

    /// Keeps what was read so far elsewhere, because the meter has begun its ids again.
    pub(crate) fn set_aside(&self) {
        let Some(path) = self.path() else { return };
        let aside = path.with_extension("before-restart.txt");
        if let Err(error) = fs::rename(&path, aside) {
            tracing::debug!("cannot set the entries of an earlier log aside: {error}");
        }
    }

    /// All of them. A file that cannot be read has none.
    #[must_use]
    pub(crate) fn entries(&self) -> BTreeMap<LogId, Vec<RegisterValue>> {
        let Some(path) = self.path() else { return BTreeMap::new() };
        let is_small = fs::metadata(&path).is_ok_and(|file| file.len() <= LARGEST);
        let text =
            if is_small { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        text.lines().filter_map(parse).collect()
    }

    /// Appends entries. The first time that this is impossible, it returns a warning.
    pub(crate) fn add(&mut self, entries: &[LogEntry]) -> Result<(), String> {
        let written = self.write(entries);
        let Err(error) = written else { return Ok(()) };
        if std::mem::replace(&mut self.is_warned, true) {
            return Ok(());
        }
        let place = self
            .folder
            .as_ref()
            .map_or_else(|| "no folder".to_owned(), |folder| format!("`{}`", folder.display()));
        Err(format!(
            "warning: Cannot keep the entries in {place}: {error}. The next run reads them again."
        ))
    }

    fn write(&self, entries: &[LogEntry]) -> io::Result<()> {
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "HOME is not set");
        let (folder, path) = (self.folder.as_ref(), self.path());
        let (folder, path) = folder.zip(path).ok_or_else(nowhere)?;
        fs::create_dir_all(folder)?;
        // A line that was cut must not damage the next one.
        let mut text = "\n".to_owned();
        for entry in entries {
            let _ = write!(text, "{} ", entry.id);
            for byte in entry.values.iter().flat_map(RegisterValue::to_bytes) {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        append(&path)?.write_all(text.as_bytes())
    }
}

/// Opens a file in order to append to it, or creates it. The administrator may run the command, and
/// the folder may belong to the service's user. So a link that this user has put there is not
/// followed, and a pipe is not waited for.
fn append(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    File::options().create(true).append(true).custom_flags(flags).open(path)
}

fn parse(line: &str) -> Option<(LogId, Vec<RegisterValue>)> {
    let (id, digits) = line.split_once(' ')?;
    let nibbles: Option<Vec<u8>> =
        digits.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let nibbles = nibbles?;
    let (pairs, odd) = nibbles.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    let mut values = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (value, after) = RegisterValue::parse(rest)?;
        values.push(value);
        rest = after;
    }
    let is_whole = odd.is_empty() && !values.is_empty();
    is_whole.then_some((LogId::new(id.parse().ok()?), values))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use kmp::register::RegisterId;
    use kmp::unit::Unit;
    use rust_decimal::Decimal;
    use tempfile::TempDir;

    use super::*;

    fn entry(id: u32) -> LogEntry {
        let energy = RegisterId::new(60);
        let value =
            RegisterValue::from_decimal(energy, Unit::MEGAWATT_HOUR, Decimal::new(55, 3), 4);
        LogEntry { id: LogId::new(id), values: vec![value.unwrap()] }
    }

    fn kept(folder: &TempDir, serial: u32, log: Log) -> Kept {
        Kept::of(Some(folder.path().to_owned()), SerialNumber::new(serial), log)
    }

    #[test]
    fn entries_are_kept_by_serial_number_log_and_id() {
        let folder = TempDir::new().unwrap();
        kept(&folder, 1, Log::Day).add(&[entry(9), entry(8)]).unwrap();
        kept(&folder, 1, Log::Day).add(&[entry(7)]).unwrap();
        let entries = kept(&folder, 1, Log::Day).entries();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[&LogId::new(8)], entry(8).values);
        assert!(kept(&folder, 1, Log::Hour).entries().is_empty());
        assert!(kept(&folder, 1, Log::Hour).has_given() && !kept(&folder, 2, Log::Day).has_given());
        assert!(kept(&folder, 2, Log::Day).entries().is_empty());
    }

    #[test]
    fn a_damaged_line_is_ignored_and_damages_no_other() {
        let folder = TempDir::new().unwrap();
        kept(&folder, 1, Log::Day).add(&[entry(9), entry(8)]).unwrap();
        let path = kept(&folder, 1, Log::Day).path().unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for cut in 1..12 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            kept(&folder, 1, Log::Day).add(&[entry(7)]).unwrap();
            let entries = kept(&folder, 1, Log::Day).entries();
            // Without the end of the line alone, the entry is whole.
            assert_eq!(entries.len(), if cut == 1 { 3 } else { 2 }, "{cut}");
            assert!(entries.contains_key(&LogId::new(7)) && entries.contains_key(&LogId::new(9)));
        }
        for line in ["", "9", "9 ", "x 003c", "9 003c0304430000003", "9 é", "-1 003c03044300000037"]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_reported_once() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("meter-logs"), "a file").unwrap();
        let mut kept = kept(&folder, 1, Log::Day);
        let warning = kept.add(&[entry(9)]).unwrap_err();
        assert!(warning.contains("Cannot keep the entries"), "{warning}");
        assert_eq!(kept.add(&[entry(8)]), Ok(()));
        let mut kept = Kept::of(None, SerialNumber::new(1), Log::Day);
        assert!(kept.add(&[entry(9)]).unwrap_err().contains("HOME"));
        assert!(kept.entries().is_empty() && !kept.is_refused());
    }

    /// The administrator's file was changed if the service's user put a link to it there.
    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let folder = TempDir::new().unwrap();
        let mut kept = kept(&folder, 1, Log::Day);
        let other = folder.path().join("other");
        fs::write(&other, "text").unwrap();
        fs::create_dir(folder.path().join("meter-logs")).unwrap();
        symlink(&other, kept.path().unwrap()).unwrap();
        symlink(folder.path().join("nothing"), kept.refusal().unwrap()).unwrap();
        assert!(kept.add(&[entry(9)]).unwrap_err().contains("Cannot keep the entries"));
        kept.refuse();
        assert_eq!(fs::read_to_string(&other).unwrap(), "text");
        assert!(!folder.path().join("nothing").exists());
    }

    #[test]
    fn entries_of_an_earlier_log_are_set_aside() {
        let folder = TempDir::new().unwrap();
        let mut of_day = kept(&folder, 1, Log::Day);
        of_day.add(&[entry(9)]).unwrap();
        of_day.set_aside();
        assert!(of_day.entries().is_empty() && !of_day.has_given());
        of_day.add(&[entry(1)]).unwrap();
        assert_eq!(of_day.entries().keys().collect::<Vec<_>>(), [&LogId::new(1)]);
        of_day.set_aside();
        assert!(of_day.entries().is_empty());
    }

    #[test]
    fn a_refusal_is_kept_until_the_meter_answers() {
        let folder = TempDir::new().unwrap();
        let of_day = kept(&folder, 1, Log::Day);
        assert!(!of_day.is_refused());
        of_day.refuse();
        assert!(of_day.is_refused() && kept(&folder, 1, Log::Hour).is_refused());
        assert!(!kept(&folder, 2, Log::Day).is_refused());
        assert!(!of_day.has_given());
        of_day.answer();
        assert!(!of_day.is_refused());
    }
}
