//! The log file, and the earlier ones beside it.
//!
//! What time it is comes with each line. Which period the file at hand belongs to is told by when it
//! was last written, so that a restart goes on with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ZonedDateTime};
use tokio::net::unix::pipe;
use tracing::warn;

use super::rotation::{Period, Rotation};

/// Where the files are and how they take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder; it is made where it is missing.
    pub directory: PathBuf,
    /// What the file that is written is called.
    pub filename: String,
    /// When the next one begins.
    pub rotation: Rotation,
}

impl Place {
    /// Where the file that is written is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.filename)
    }

    /// `logs/meter.log cannot be written: …`, and what to do about it.
    #[must_use]
    pub fn trouble(&self, error: &io::Error) -> String {
        let (what, hint) = self.advice(error);
        format!("{what}. {hint}.")
    }

    /// The two apart, each without a full stop.
    #[must_use]
    pub fn advice(&self, error: &io::Error) -> (String, &'static str) {
        use io::ErrorKind::{
            AlreadyExists, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
            StorageFull,
        };

        let hint = match error.kind() {
            StorageFull | QuotaExceeded => "Make room on that disk",
            PermissionDenied | ReadOnlyFilesystem => {
                "Let this user write there, or set another `directory` in the section `logging`"
            }
            _ => "Check `directory` and `filename` in the section `logging`",
        };
        let directory = self.directory.display();
        let what = match error.kind() {
            AlreadyExists => format!("{directory} is a file, not a directory"),
            NotADirectory => format!("{directory} is within a file, not in a directory"),
            _ => error.to_string(),
        };
        (format!("{} cannot be written: {what}", self.path().display()), hint)
    }

    /// Finds out whether this user could write the file, and leaves nothing behind: what is missing
    /// stays missing.
    ///
    /// Not within a runtime.
    pub fn look(&self) -> io::Result<()> {
        let path = self.path();
        if let Ok(metadata) = path.metadata() {
            let kind = metadata.file_type();
            if kind.is_fifo() {
                return look_at_pipe(&path);
            }
            if kind.is_socket() || kind.is_block_device() {
                return Err(io::Error::other("it is not a file, but a socket or a disk"));
            }
            OpenOptions::new().append(true).open(&path)?;
            if !metadata.is_file() {
                // A device is written for ever.
                return Ok(());
            }
        }
        // A folder that is missing is made in the one above it.
        let mut folders = self.directory.ancestors();
        let folder = folders.find(|folder| folder.symlink_metadata().is_ok());
        let folder = folder.unwrap_or(Path::new("."));
        if folder == self.directory && !folder.is_dir() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let trial = folder.join(format!(".{}.{}", self.filename, std::process::id()));
        OpenOptions::new().write(true).create_new(true).open(&trial)?;
        fs::remove_file(&trial)
    }
}

/// Opens a pipe without waiting for who reads it; standard output may be one as well.
fn look_at_pipe(path: &Path) -> io::Result<()> {
    /// What open(2) says where nobody reads.
    const ENXIO: i32 = 6;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    match pipe::OpenOptions::new().open_sender(path) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(ENXIO) => Err(io::Error::other(
            "it is a pipe that nobody reads, and the log waits until somebody does",
        )),
        Err(error) => Err(error),
    }
}

/// A log file that is opened when it is first written.
#[derive(Debug)]
pub(super) struct LogFile {
    place: Place,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    period: Period,
}

impl LogFile {
    pub(super) fn new(place: Place) -> Self {
        Self { place, open: None }
    }

    /// Opens the file again for the next line: it may have been moved away.
    pub(super) fn reopen(&mut self) {
        self.open = None;
    }

    /// Writes a line, with its end, at a time; the file before is put aside where its period is over.
    ///
    /// After an error the line is not there and the file is opened anew for the next one.
    pub(super) fn write(&mut self, time: &ZonedDateTime, line: &str) -> io::Result<()> {
        let result = self.try_write(time, line);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_write(&mut self, time: &ZonedDateTime, line: &str) -> io::Result<()> {
        let now = self.place.rotation.period(time.datetime());
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(time, now)?,
        };
        if open.period != now {
            let period = open.period;
            drop(open);
            self.turn_over(period);
            open = Open { period: now, ..self.open(time, now)? };
        }
        let length = open.file.metadata()?.len();
        let written = open.file.write_all(line.as_bytes());
        if written.is_err() {
            // The line comes again; a piece of it, as on a full disk, must not stand before it.
            let _ = open.file.set_len(length);
        }
        self.open = Some(open);
        written
    }

    fn open(&self, time: &ZonedDateTime, now: Period) -> io::Result<Open> {
        fs::create_dir_all(&self.place.directory)?;
        let file = OpenOptions::new().append(true).create(true).open(self.place.path())?;
        let metadata = file.metadata()?;
        let mut period = now;
        if metadata.is_file() && metadata.len() > 0 {
            let written = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
            let written = written.to_zoned_datetime(time.time_zone().clone());
            period = self.place.rotation.period(written.datetime());
        }
        Ok(Open { file, period })
    }

    /// Puts the file aside and deletes the oldest ones that are too many. What fails is told and
    /// tried again at the end of the next period.
    fn turn_over(&self, period: Period) {
        let path = self.place.path();
        if let Err(error) = self.put_aside(period) {
            warn!(
                "The log file {} cannot be put aside, so it goes on: {error}. Check that this user \
                 may write in its folder.",
                path.display()
            );
        }
        if let Err(error) = self.delete_oldest() {
            warn!(
                "Log files older than {} cannot be deleted: {error}. Check that this user may write \
                 in their folder.",
                path.display()
            );
        }
    }

    /// Gives the file the name of its period.
    fn put_aside(&self, period: Period) -> io::Result<()> {
        let Place { rotation, .. } = self.place;
        let path = self.place.path();
        if !fs::metadata(&path)?.is_file() {
            // A device like /dev/null stays where it is.
            return Ok(());
        }
        let aside = self.aside(&rotation.suffix(period));
        if aside.exists() {
            // From before the clock was set back. Nothing is lost.
            let mut earlier = OpenOptions::new().append(true).open(&aside)?;
            io::copy(&mut File::open(&path)?, &mut earlier)?;
            fs::remove_file(&path)?;
        } else {
            fs::rename(&path, &aside)?;
        }
        Ok(())
    }

    fn aside(&self, suffix: &str) -> PathBuf {
        self.place.directory.join(format!("{}.{suffix}", self.place.filename))
    }

    fn delete_oldest(&self) -> io::Result<()> {
        let Rotation { keep, .. } = self.place.rotation;
        if keep == 0 {
            return Ok(());
        }
        let mut ours = Vec::new();
        for entry in fs::read_dir(&self.place.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let suffix = name.to_str().and_then(|name| name.strip_prefix(&self.place.filename));
            let suffix = suffix.and_then(|rest| rest.strip_prefix('.'));
            // What others put here is none of our business.
            if let Some(suffix) = suffix.filter(|suffix| self.place.rotation.is_suffix(suffix))
                && entry.file_type()?.is_file()
            {
                ours.push(suffix.to_owned());
            }
        }
        ours.sort_unstable();
        let too_many = ours.len().saturating_sub(keep);
        ours.iter().take(too_many).try_for_each(|suffix| fs::remove_file(self.aside(suffix)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::time::Duration;

    use jiff::{Span, ToSpan};
    use tempfile::TempDir;

    use super::*;

    struct Days {
        folder: TempDir,
        place: Place,
        file: LogFile,
        time: ZonedDateTime,
        written: Vec<String>,
    }

    impl Days {
        fn new(when: &str, interval: u32, keep: usize, begin: &str) -> Self {
            let folder = TempDir::new().unwrap();
            let place = Place {
                directory: folder.path().join("logs"),
                filename: "meter.log".to_owned(),
                rotation: Rotation {
                    when: when.parse().unwrap(),
                    interval: NonZeroU32::new(interval).unwrap(),
                    keep,
                },
            };
            let file = LogFile::new(place.clone());
            Self { folder, place, file, time: begin.parse().unwrap(), written: Vec::new() }
        }

        /// Lines at every `step` until `end`.
        fn until(&mut self, end: &str, step: Span) -> &mut Self {
            let end: ZonedDateTime = end.parse().unwrap();
            while self.time < end {
                self.line();
                self.time = self.time.checked_add(step).unwrap();
            }
            self
        }

        fn line(&mut self) {
            let line = format!("{}\n", self.time.strftime("%FT%T%:z"));
            self.file.write(&self.time, &line).unwrap();
            self.written.push(line);
        }

        /// As the program does that is started again: only the file system remembers.
        fn restart(&mut self) -> &mut Self {
            self.file = LogFile::new(self.place.clone());
            let file = File::options().append(true).open(self.place.path()).unwrap();
            let last = self.written.last().unwrap().trim().parse::<Timestamp>().unwrap();
            file.set_modified(last.try_into().unwrap()).unwrap();
            self
        }

        fn files(&self) -> BTreeMap<String, String> {
            let entries = fs::read_dir(&self.place.directory).unwrap().map(Result::unwrap);
            entries
                .filter(|entry| entry.file_type().unwrap().is_file())
                .map(|entry| {
                    let name = entry.file_name().into_string().unwrap();
                    (name, fs::read_to_string(entry.path()).unwrap())
                })
                .collect()
        }

        fn names(&self) -> Vec<String> {
            self.files().into_keys().collect()
        }

        /// Each file's first and last line.
        fn spans(&self) -> Vec<String> {
            let span = |(name, text): (String, String)| {
                let (first, last) = (text.lines().next(), text.lines().next_back());
                format!("{name}: {} to {}", first.unwrap(), last.unwrap())
            };
            self.files().into_iter().map(span).collect()
        }

        /// All that was written is there once.
        fn assert_whole(&self) {
            let mut found: Vec<_> =
                self.files().into_values().flat_map(|text| lines(&text)).collect();
            let mut written = self.written.clone();
            found.sort_unstable();
            written.sort_unstable();
            assert_eq!(found, written);
        }
    }

    fn lines(text: &str) -> Vec<String> {
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    #[test]
    fn days_across_both_changes_of_daylight_saving_time() {
        for (begin, end, names) in [
            (
                "2026-03-27T09:30:00[Europe/Copenhagen]",
                "2026-03-31T00:00:00[Europe/Copenhagen]",
                ["2026-03-27", "2026-03-28", "2026-03-29"],
            ),
            (
                "2026-10-23T09:30:00[Europe/Copenhagen]",
                "2026-10-27T00:00:00[Europe/Copenhagen]",
                ["2026-10-23", "2026-10-24", "2026-10-25"],
            ),
        ] {
            let mut days = Days::new("midnight", 1, 7, begin);
            days.until(end, 10.minutes());
            let mut expected = vec!["meter.log".to_owned()];
            expected.extend(names.map(|name| format!("meter.log.{name}")));
            assert_eq!(days.names(), expected);
            days.assert_whole();
            // Each file holds its own day and nothing else.
            for (name, text) in days.files() {
                let day = name.strip_prefix("meter.log.").unwrap_or(&end[..10]);
                let day = if name == "meter.log" {
                    end.parse::<ZonedDateTime>()
                        .unwrap()
                        .yesterday()
                        .unwrap()
                        .strftime("%F")
                        .to_string()
                } else {
                    day.to_owned()
                };
                assert!(lines(&text).iter().all(|line| line.starts_with(&day)), "{name}: {text}");
            }
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_file() {
        let mut days = Days::new("h", 1, 0, "2026-10-25T01:20:00+02:00[Europe/Copenhagen]");
        days.until("2026-10-25T04:00:00+01:00[Europe/Copenhagen]", 20.minutes());
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-10-25T03:00:00+01:00 to 2026-10-25T03:40:00+01:00",
                "meter.log.2026-10-25_01: 2026-10-25T01:20:00+02:00 to 2026-10-25T01:40:00+02:00",
                "meter.log.2026-10-25_02: 2026-10-25T02:00:00+02:00 to 2026-10-25T02:40:00+01:00",
            ]
        );
        days.assert_whole();
        // Minutes come twice as well, and then each file has both.
        let mut days = Days::new("m", 30, 0, "2026-10-25T01:50:00+02:00[Europe/Copenhagen]");
        days.until("2026-10-25T03:10:00+01:00[Europe/Copenhagen]", 10.minutes());
        assert_eq!(days.files()["meter.log.2026-10-25_02-00"].lines().count(), 6);
        assert_eq!(days.files()["meter.log.2026-10-25_02-30"].lines().count(), 6);
        assert_eq!(days.names().len(), 4);
        days.assert_whole();
    }

    #[test]
    fn the_hour_that_is_left_out() {
        let mut days = Days::new("h", 1, 0, "2026-03-29T01:00:00[Europe/Copenhagen]");
        days.until("2026-03-29T05:00:00[Europe/Copenhagen]", 20.minutes());
        let names = ["meter.log", "meter.log.2026-03-29_01", "meter.log.2026-03-29_03"];
        assert_eq!(days.names(), names);
        days.assert_whole();
    }

    #[test]
    fn seven_are_kept_and_others_files_as_well() {
        let mut days = Days::new("midnight", 1, 7, "2026-11-01T12:00:00[Europe/Copenhagen]");
        days.line();
        let foreign = [
            "meter.log.2026-01-01.gz",
            "meter.log.1",
            "meter.log.old",
            "meter.log2026-01-01",
            "other.log.2026-01-01",
            "meter.log.2026-01-01_10",
            "notes.txt",
        ];
        for name in foreign {
            fs::write(days.place.directory.join(name), "mine").unwrap();
        }
        fs::create_dir(days.place.directory.join("meter.log.2026-01-02")).unwrap();
        days.until("2026-11-24T12:00:00[Europe/Copenhagen]", 6.hours());
        let mut expected: Vec<String> = foreign.map(str::to_owned).to_vec();
        expected.extend((17..24).map(|day| format!("meter.log.2026-11-{day}")));
        expected.push("meter.log".to_owned());
        expected.sort_unstable();
        assert_eq!(days.names(), expected);
        assert!(days.place.directory.join("meter.log.2026-01-02").is_dir());
        let kept: usize = days.files().values().map(|text| text.lines().count()).sum();
        // 7 days of 4 lines, half of the last day, and the others' files.
        assert_eq!(kept, 7 * 4 + 2 + foreign.len());
    }

    #[test]
    fn weeks() {
        // A Tuesday; Python's `w6` ends with Sunday.
        let mut days = Days::new("w6", 1, 2, "2026-11-03T12:00:00[Europe/Copenhagen]");
        days.until("2026-12-02T12:00:00[Europe/Copenhagen]", 6.hours());
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-11-30T00:00:00+01:00 to 2026-12-02T06:00:00+01:00",
                "meter.log.2026-11-16: 2026-11-16T00:00:00+01:00 to 2026-11-22T18:00:00+01:00",
                "meter.log.2026-11-23: 2026-11-23T00:00:00+01:00 to 2026-11-29T18:00:00+01:00",
            ]
        );
    }

    #[test]
    fn seconds_of_an_interval() {
        let mut days = Days::new("s", 10, 0, "2026-11-24T12:00:05Z[UTC]");
        days.until("2026-11-24T12:00:31Z[UTC]", 1.second());
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-11-24T12:00:30+00:00 to 2026-11-24T12:00:30+00:00",
                "meter.log.2026-11-24_12-00-00: 2026-11-24T12:00:05+00:00 to 2026-11-24T12:00:09+00:00",
                "meter.log.2026-11-24_12-00-10: 2026-11-24T12:00:10+00:00 to 2026-11-24T12:00:19+00:00",
                "meter.log.2026-11-24_12-00-20: 2026-11-24T12:00:20+00:00 to 2026-11-24T12:00:29+00:00",
            ]
        );
    }

    #[test]
    fn a_restart_goes_on_with_the_file_of_today() {
        let mut days = Days::new("midnight", 1, 7, "2026-10-24T20:00:00[Europe/Copenhagen]");
        days.until("2026-10-24T23:00:00[Europe/Copenhagen]", 1.hour());
        days.restart().until("2026-10-25T03:00:00+01:00[Europe/Copenhagen]", 1.hour());
        days.restart().until("2026-10-25T23:30:00[Europe/Copenhagen]", 1.hour());
        // Over three midnights nothing ran.
        days.restart().time = "2026-10-28T07:00:00[Europe/Copenhagen]".parse().unwrap();
        days.line();
        days.restart().line();
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-10-28T07:00:00+01:00 to 2026-10-28T07:00:00+01:00",
                "meter.log.2026-10-24: 2026-10-24T20:00:00+02:00 to 2026-10-24T23:00:00+02:00",
                "meter.log.2026-10-25: 2026-10-25T00:00:00+02:00 to 2026-10-25T23:00:00+01:00",
            ]
        );
        days.assert_whole();
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut days = Days::new("midnight", 1, 0, "2026-11-24T12:00:00[Europe/Copenhagen]");
        days.line();
        for time in ["2026-11-25T12:00:00", "2026-11-24T13:00:00", "2026-11-25T14:00:00"] {
            days.time = format!("{time}[Europe/Copenhagen]").parse().unwrap();
            days.line();
        }
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-11-25T14:00:00+01:00 to 2026-11-25T14:00:00+01:00",
                "meter.log.2026-11-24: 2026-11-24T12:00:00+01:00 to 2026-11-24T13:00:00+01:00",
                "meter.log.2026-11-25: 2026-11-25T12:00:00+01:00 to 2026-11-25T12:00:00+01:00",
            ]
        );
        days.assert_whole();
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
        days.line();
        fs::rename(days.place.path(), days.folder.path().join("elsewhere")).unwrap();
        days.line();
        assert_eq!(days.names(), [""; 0], "the open file is the one that was moved");
        days.file.reopen();
        days.line();
        assert_eq!(days.names(), ["meter.log"]);
        let moved = fs::read_to_string(days.folder.path().join("elsewhere")).unwrap();
        assert_eq!(moved.lines().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_until_it_can() {
        let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
        // A file where the folder should be.
        fs::write(&days.place.directory, "").unwrap();
        days.file.write(&days.time, "lost\n").unwrap_err();
        fs::remove_file(&days.place.directory).unwrap();
        days.line();
        assert_eq!(days.names(), ["meter.log"]);
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_goes_on() {
        let (log, _logging) = crate::capture::lines();
        let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
        days.line();
        fs::create_dir(days.place.directory.join("meter.log.2026-11-24")).unwrap();
        days.time = days.time.tomorrow().unwrap();
        days.line();
        days.line();
        let said = log.take();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains("meter.log cannot be put aside, so it goes on: "), "{said:#?}");
        days.time = days.time.tomorrow().unwrap();
        days.line();
        assert_eq!(
            days.spans(),
            [
                "meter.log: 2026-11-26T12:00:00+01:00 to 2026-11-26T12:00:00+01:00",
                "meter.log.2026-11-25: 2026-11-24T12:00:00+01:00 to 2026-11-25T12:00:00+01:00",
            ]
        );
        days.assert_whole();
        assert!(log.take().is_empty());
    }

    /// Whether a file can be written is found out without making anything.
    #[test]
    fn a_look_leaves_nothing_behind() {
        let folder = TempDir::new().unwrap();
        let look = |directory: PathBuf, filename: &str| {
            let rotation =
                Rotation { when: "midnight".parse().unwrap(), interval: NonZeroU32::MIN, keep: 7 };
            Place { directory, filename: filename.to_owned(), rotation }.look()
        };
        let count = || fs::read_dir(folder.path()).unwrap().count();
        look(folder.path().to_owned(), "log").unwrap();
        look(folder.path().join("logs/heat"), "log").unwrap();
        assert_eq!(count(), 0);
        fs::write(folder.path().join("log"), "a line\n").unwrap();
        look(folder.path().to_owned(), "log").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "a line\n");
        // A file where a folder should be, and the reverse.
        look(folder.path().join("log/heat"), "log").unwrap_err();
        fs::create_dir(folder.path().join("heat")).unwrap();
        look(folder.path().to_owned(), "heat").unwrap_err();
        assert_eq!(count(), 2);
        look("/dev".into(), "null").unwrap();
    }

    /// What waits until somebody reads it, or is no place for lines, is not opened.
    #[test]
    fn a_look_waits_for_nobody() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (answers, answer) = std::sync::mpsc::channel();
        let look = |name: &str| {
            let rotation =
                Rotation { when: "midnight".parse().unwrap(), interval: NonZeroU32::MIN, keep: 7 };
            let directory = folder.path().to_owned();
            let place = Place { directory, filename: name.to_owned(), rotation };
            let answers = answers.clone();
            std::thread::spawn(move || {
                answers.send(place.look().map_err(|error| error.to_string()))
            });
            answer.recv_timeout(Duration::from_secs(30)).unwrap()
        };
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let nobody = "it is a pipe that nobody reads, and the log waits until somebody does";
        assert_eq!(look("pipe"), Err(nobody.to_owned()));
        // One who writes as well need not wait.
        let _reader = OpenOptions::new().read(true).write(true).open(path("pipe")).unwrap();
        assert_eq!(look("pipe"), Ok(()));
        let _socket = UnixListener::bind(path("socket")).unwrap();
        let socket = "it is not a file, but a socket or a disk";
        assert_eq!(look("socket"), Err(socket.to_owned()));
    }

    #[test]
    fn a_device_is_written_for_ever() {
        let days = Days::new("s", 1, 1, "2026-11-24T12:00:00[Europe/Copenhagen]");
        let place = Place { directory: "/dev".into(), filename: "null".into(), ..days.place };
        let mut file = LogFile::new(place);
        for second in 0..3 {
            file.write(&days.time.checked_add(second.seconds()).unwrap(), "line\n").unwrap();
        }
        assert!(Path::new("/dev/null").exists());
    }
}
