use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::worker::{Sink, missing, start};
use super::{FileSink, SyslogSink};
use crate::line_format::LineFormat;
use crate::log_file::RotatingFile;
use crate::program::{Hints, Program};
use crate::queue::{Left, Queue};
use crate::record::Record;
use crate::record::tests::example;
use crate::rotation::Rotation;
use crate::settings::{FileSettings, SyslogSettings};
use crate::syslog::Address;

const PROGRAM: Program = Program {
    name: "kamstrup2mqtt",
    crates: &[],
    hints: Hints {
        file_forbidden: "Let this user write there",
        file_path: "Check `directory` and `filename`",
        no_syslog: "remove `syslog`",
        log_server: "Check that it runs",
        no_thread: "Raise the limit",
    },
};

/// A sink that reports what it does, and fails until its settings repair it.
struct Fragile {
    broken: bool,
    did: Sender<String>,
}

impl Sink for Fragile {
    type Settings = bool;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let broken = if self.broken { "not " } else { "" };
        self.did.send(format!("{broken}{}", record.text)).unwrap();
        if self.broken { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn change(&mut self, broken: bool) {
        self.broken = broken;
    }

    fn failure(&self, error: &io::Error) -> String {
        error.to_string()
    }

    fn recovery(&self) -> String {
        String::new()
    }
}

fn fragile() -> (Arc<Queue<bool>>, Receiver<String>) {
    let (did, doing) = channel();
    (start("test", Fragile { broken: true, did }).unwrap(), doing)
}

fn push(queue: &Queue<bool>, text: &str) {
    queue.push(Arc::new(Record { text: text.to_owned(), ..example() }));
}

#[test]
fn a_line_that_cannot_be_written_waits_for_new_settings() {
    let (queue, doing) = fragile();
    push(&queue, "one");
    push(&queue, "two");
    assert_eq!(doing.recv().unwrap(), "not one");
    // It would be retried in a second. The settings do not wait behind it.
    queue.change(false);
    queue.close();
    assert_eq!(doing.iter().collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn lines_that_cannot_be_written_are_counted_at_the_end() {
    let (queue, doing) = fragile();
    push(&queue, "one");
    push(&queue, "two");
    assert_eq!(doing.recv().unwrap(), "not one");
    queue.close();
    // The channel closes when the thread ends.
    assert_eq!(doing.recv().ok(), None);
    let left = Left { records: 2, under_way: false };
    assert_eq!(queue.settle(Duration::ZERO), Some(left));
}

/// A sink that writes nothing before `go`.
struct Slow {
    begun: Sender<()>,
    go: Receiver<()>,
}

impl Sink for Slow {
    type Settings = bool;

    fn write(&mut self, _: &Record) -> io::Result<()> {
        self.begun.send(()).unwrap();
        self.go.recv().unwrap();
        Ok(())
    }

    fn change(&mut self, _: bool) {}

    fn failure(&self, error: &io::Error) -> String {
        error.to_string()
    }

    fn recovery(&self) -> String {
        String::new()
    }
}

#[test]
fn lines_behind_one_that_hangs_are_counted_at_the_end() {
    let (begun, beginning) = channel();
    let (letting, go) = channel();
    let queue = start("test", Slow { begun, go }).unwrap();
    for text in ["one", "two", "three"] {
        push(&queue, text);
    }
    queue.change(true);
    beginning.recv().unwrap();
    let left = Left { records: 3, under_way: true };
    assert_eq!(queue.settle(Duration::ZERO), Some(left));
    for _ in 0..3 {
        letting.send(()).unwrap();
    }
    queue.close();
    assert_eq!(queue.settle(Duration::MAX), None);
}

/// The system's own message would be misleading.
#[test]
fn a_file_in_place_of_the_directory_is_reported_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("logs");
    std::fs::write(&taken, "").unwrap();
    let file = RotatingFile {
        directory: taken.clone(),
        filename: "meter.log".to_owned(),
        rotation: Rotation {
            when: "d".parse().unwrap(),
            interval: std::num::NonZeroU32::MIN,
            keep: 0,
        },
    };
    let settings = FileSettings { file, line_format: LineFormat::default() };
    let mut sink = FileSink::new(PROGRAM, settings);
    let error = sink.write(&example()).unwrap_err();
    let taken = taken.display();
    let expected = format!(
        "The log file {taken}/meter.log cannot be written: {taken} is a file, not a directory. \
         Check `directory` and `filename`. Retrying"
    );
    let message = sink.failure(&error);
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_log_server_that_stops_reading_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let _server = UnixDatagram::bind(&path).unwrap();
    let settings = SyslogSettings {
        address: Address::Unix(path.clone()),
        facility: "local0".parse().unwrap(),
        format: None,
        date: None,
    };
    let other = UnixDatagram::unbound().unwrap();
    other.connect(&path).unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send(b"full").is_ok() {}
    let mut syslog = SyslogSink::new(PROGRAM, settings);
    let error = syslog.write(&example()).unwrap_err();
    let message = syslog.failure(&error);
    let expected = format!(
        "The log server {} cannot be reached: it accepts no lines at the moment. Check",
        path.display()
    );
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_system_without_a_log_is_reported_as_such() {
    let failure = |address: &str, kind: io::ErrorKind| {
        let syslog = SyslogSink::new(
            PROGRAM,
            SyslogSettings {
                address: address.parse().unwrap(),
                facility: "local0".parse().unwrap(),
                format: None,
                date: None,
            },
        );
        syslog.failure(&kind.into())
    };
    let missing = "This system has no log (/dev/log does not exist): remove `syslog`. Up to 1024 \
                   lines wait for it; this is logged only once.";
    assert_eq!(failure("/dev/log", io::ErrorKind::NotFound), missing);
    assert_eq!(failure("unix:///dev/log", io::ErrorKind::NotFound), missing);
    // The socket exists, or the log is on another host.
    let refused = failure("/dev/log", io::ErrorKind::ConnectionRefused);
    assert!(refused.starts_with("The log server /dev/log cannot be reached: "), "{refused}");
    let unknown = failure("tcp://loghost:601", io::ErrorKind::NotFound);
    assert!(unknown.starts_with("The log server tcp://loghost:601 cannot"), "{unknown}");
}

#[test]
fn missing_lines_are_reported() {
    assert_eq!(
        missing(1).text,
        "1 line of the log is missing here: lines came faster than they could be written."
    );
    assert!(missing(2).text.starts_with("2 lines of the log are missing here"));
}
