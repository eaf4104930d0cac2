use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroU32;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use jiff::{Span, ToSpan};
use tempfile::TempDir;

use super::*;

struct Days {
    folder: TempDir,
    settings: RotatingFile,
    file: LogFile,
    time: ZonedDateTime,
    written: Vec<String>,
}

impl Days {
    fn new(when: &str, interval: u32, keep: usize, begin: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = RotatingFile {
            directory: folder.path().join("logs"),
            filename: "meter.log".to_owned(),
            rotation: Rotation {
                when: when.parse().unwrap(),
                interval: NonZeroU32::new(interval).unwrap(),
                keep,
            },
        };
        let file = LogFile::new(settings.clone());
        Self { folder, settings, file, time: begin.parse().unwrap(), written: Vec::new() }
    }

    /// Writes a line at every `step` until `end`.
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

    /// Restarts the program: only the file system remembers.
    fn restart(&mut self) -> &mut Self {
        self.file = LogFile::new(self.settings.clone());
        let file = File::options().append(true).open(self.settings.path()).unwrap();
        let last = self.written.last().unwrap().trim().parse::<Timestamp>().unwrap();
        file.set_modified(last.try_into().unwrap()).unwrap();
        self
    }

    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(&self.settings.directory).unwrap().map(Result::unwrap);
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

    /// The first and the last line of each file.
    fn spans(&self) -> Vec<String> {
        let span = |(name, text): (String, String)| {
            let (first, last) = (text.lines().next(), text.lines().next_back());
            format!("{name}: {} to {}", first.unwrap(), last.unwrap())
        };
        self.files().into_iter().map(span).collect()
    }

    /// Asserts that each written line is there exactly once.
    fn assert_whole(&self) {
        let mut found: Vec<_> = self.files().into_values().flat_map(|text| lines(&text)).collect();
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
fn a_file_is_one_day_across_both_changes_of_daylight_saving_time() {
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
        // Each file holds only its own day.
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
fn a_repeated_hour_is_one_file() {
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
    // Minutes are repeated too, and each file has both.
    let mut days = Days::new("m", 30, 0, "2026-10-25T01:50:00+02:00[Europe/Copenhagen]");
    days.until("2026-10-25T03:10:00+01:00[Europe/Copenhagen]", 10.minutes());
    assert_eq!(days.files()["meter.log.2026-10-25_02-00"].lines().count(), 6);
    assert_eq!(days.files()["meter.log.2026-10-25_02-30"].lines().count(), 6);
    assert_eq!(days.names().len(), 4);
    days.assert_whole();
}

#[test]
fn a_skipped_hour_has_no_file() {
    let mut days = Days::new("h", 1, 0, "2026-03-29T01:00:00[Europe/Copenhagen]");
    days.until("2026-03-29T05:00:00[Europe/Copenhagen]", 20.minutes());
    let names = ["meter.log", "meter.log.2026-03-29_01", "meter.log.2026-03-29_03"];
    assert_eq!(days.names(), names);
    days.assert_whole();
}

#[test]
fn seven_files_are_kept_and_foreign_files_are_never_deleted() {
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
        fs::write(days.settings.directory.join(name), "mine").unwrap();
    }
    fs::create_dir(days.settings.directory.join("meter.log.2026-01-02")).unwrap();
    days.until("2026-11-24T12:00:00[Europe/Copenhagen]", 6.hours());
    let mut expected: Vec<String> = foreign.map(str::to_owned).to_vec();
    expected.extend((17..24).map(|day| format!("meter.log.2026-11-{day}")));
    expected.push("meter.log".to_owned());
    expected.sort_unstable();
    assert_eq!(days.names(), expected);
    assert!(days.settings.directory.join("meter.log.2026-01-02").is_dir());
    let kept: usize = days.files().values().map(|text| text.lines().count()).sum();
    // 7 days of 4 lines, half of the last day, and the foreign files.
    assert_eq!(kept, 7 * 4 + 2 + foreign.len());
}

#[test]
fn a_week_ends_on_the_configured_day() {
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
fn a_period_may_be_several_seconds() {
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
fn a_restart_continues_the_file_of_today() {
    let mut days = Days::new("midnight", 1, 7, "2026-10-24T20:00:00[Europe/Copenhagen]");
    days.until("2026-10-24T23:00:00[Europe/Copenhagen]", 1.hour());
    days.restart().until("2026-10-25T03:00:00+01:00[Europe/Copenhagen]", 1.hour());
    days.restart().until("2026-10-25T23:30:00[Europe/Copenhagen]", 1.hour());
    // The program did not run over three midnights.
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
fn a_moved_file_is_created_again() {
    let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
    days.line();
    fs::rename(days.settings.path(), days.folder.path().join("elsewhere")).unwrap();
    days.line();
    assert_eq!(days.names(), [""; 0], "the open file is the moved one");
    days.file.reopen();
    days.line();
    assert_eq!(days.names(), ["meter.log"]);
    let moved = fs::read_to_string(days.folder.path().join("elsewhere")).unwrap();
    assert_eq!(moved.lines().count(), 2);
}

#[test]
fn a_line_that_cannot_be_written_is_an_error() {
    let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
    // A file in place of the folder.
    fs::write(&days.settings.directory, "").unwrap();
    days.file.write(&days.time, "lost\n").unwrap_err();
    fs::remove_file(&days.settings.directory).unwrap();
    days.line();
    assert_eq!(days.names(), ["meter.log"]);
}

#[test]
fn a_file_that_cannot_be_renamed_continues() {
    let (log, _logging) = crate::capture::lines();
    let mut days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
    days.line();
    fs::create_dir(days.settings.directory.join("meter.log.2026-11-24")).unwrap();
    days.time = days.time.tomorrow().unwrap();
    days.line();
    days.line();
    let said = log.take();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("meter.log cannot be renamed, so it continues: "), "{said:#?}");
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

/// The probe finds out whether a file can be written, without creating anything.
#[test]
fn a_probe_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let look = |directory: PathBuf, filename: &str| {
        let rotation =
            Rotation { when: "midnight".parse().unwrap(), interval: NonZeroU32::MIN, keep: 7 };
        RotatingFile { directory, filename: filename.to_owned(), rotation }.probe()
    };
    let count = || fs::read_dir(folder.path()).unwrap().count();
    look(folder.path().to_owned(), "log").unwrap();
    look(folder.path().join("logs/heat"), "log").unwrap();
    assert_eq!(count(), 0);
    fs::write(folder.path().join("log"), "a line\n").unwrap();
    look(folder.path().to_owned(), "log").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "a line\n");
    // A file in place of a folder, and the reverse.
    look(folder.path().join("log/heat"), "log").unwrap_err();
    fs::create_dir(folder.path().join("heat")).unwrap();
    look(folder.path().to_owned(), "heat").unwrap_err();
    assert_eq!(count(), 2);
    look("/dev".into(), "null").unwrap();
}

/// The probe does not open a pipe without a reader, nor anything that cannot hold lines.
#[test]
fn a_probe_never_waits() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (answers, answer) = std::sync::mpsc::channel();
    let look = |name: &str| {
        let rotation =
            Rotation { when: "midnight".parse().unwrap(), interval: NonZeroU32::MIN, keep: 7 };
        let directory = folder.path().to_owned();
        let file = RotatingFile { directory, filename: name.to_owned(), rotation };
        let answers = answers.clone();
        std::thread::spawn(move || answers.send(file.probe().map_err(|error| error.to_string())));
        answer.recv_timeout(Duration::from_secs(30)).unwrap()
    };
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let nobody = "it is a pipe that nobody reads, and the log would wait until somebody does";
    assert_eq!(look("pipe"), Err(nobody.to_owned()));
    // Opening a pipe for reading and writing does not wait.
    let _reader = OpenOptions::new().read(true).write(true).open(path("pipe")).unwrap();
    assert_eq!(look("pipe"), Ok(()));
    let _socket = UnixListener::bind(path("socket")).unwrap();
    let socket = "it is a socket or a disk, not a file";
    assert_eq!(look("socket"), Err(socket.to_owned()));
}

#[test]
fn a_device_is_never_rotated() {
    let days = Days::new("s", 1, 1, "2026-11-24T12:00:00[Europe/Copenhagen]");
    let settings =
        RotatingFile { directory: "/dev".into(), filename: "null".into(), ..days.settings };
    let mut file = LogFile::new(settings);
    for second in 0..3 {
        file.write(&days.time.checked_add(second.seconds()).unwrap(), "line\n").unwrap();
    }
    assert!(Path::new("/dev/null").exists());
}

/// Seven files of the year 2037 made each earlier file disappear as soon as it was complete.
#[test]
fn files_of_the_future_take_no_place_of_earlier_ones() {
    let mut days = Days::new("midnight", 1, 7, "2026-11-01T12:00:00[Europe/Copenhagen]");
    days.line();
    for day in 1..=9 {
        let name = format!("meter.log.2037-01-0{day}");
        fs::write(days.settings.directory.join(name), "from when the clock was wrong\n").unwrap();
    }
    days.until("2026-11-24T12:00:00[Europe/Copenhagen]", 6.hours());
    let mut expected = vec!["meter.log".to_owned()];
    expected.extend((17..24).map(|day| format!("meter.log.2026-11-{day}")));
    expected.extend((1..=7).map(|day| format!("meter.log.2037-01-0{day}")));
    assert_eq!(days.names(), expected);
}

/// A log file that is a pipe without a reader stopped the thread that writes it.
#[test]
fn a_pipe_that_nobody_reads_is_an_error() {
    let days = Days::new("midnight", 1, 7, "2026-11-24T12:00:00[Europe/Copenhagen]");
    fs::create_dir_all(&days.settings.directory).unwrap();
    assert!(Command::new("mkfifo").arg(days.settings.path()).status().unwrap().success());
    let Days { folder: _folder, mut file, time, settings, .. } = days;
    let (lines, line) = std::sync::mpsc::channel();
    let (answers, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in line {
            let written = file.write(&time, line).map_err(|error| error.to_string());
            answers.send(written).unwrap();
        }
    });
    let write = |line| {
        lines.send(line).unwrap();
        answer.recv_timeout(Duration::from_secs(30)).unwrap()
    };
    assert!(write("lost\n").unwrap_err().starts_with("it is a pipe that nobody reads"));
    let mut reader = OpenOptions::new().read(true).write(true).open(settings.path()).unwrap();
    assert_eq!(write("read\n"), Ok(()));
    let mut read = [0; 5];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"read\n");
}
