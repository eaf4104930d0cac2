//! The destinations: each has a thread that writes what waits in its row.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use std::{iter, thread};

use tracing::{error, info};

use super::file::{LogFile, Place};
use super::format::Format;
use super::look::Look;
use super::queue::{Item, Paused, Queue};
use super::record::{Level, Record};
use super::syslog::{Address, Client, Facility};
use super::{LocalTime, date::DateFormat};

/// What lines are written to.
pub(super) trait Destination: Send + 'static {
    /// What can change while it is in use.
    type Settings: Send + 'static;

    /// Writes a line, which may take long. After an error it is tried again later.
    fn write(&mut self, record: &Record) -> io::Result<()>;

    /// From now on by these settings.
    fn change(&mut self, settings: Self::Settings);

    /// What to say of an error, and what to do about it.
    fn trouble(&self, error: &io::Error) -> String;

    /// What to say when it is over.
    fn relief(&self) -> String;
}

/// Starts a destination's thread.
pub(super) fn start<D: Destination>(
    name: &str,
    destination: D,
) -> io::Result<Arc<Queue<D::Settings>>> {
    let queue = Arc::new(Queue::default());
    let row = Arc::clone(&queue);
    let thread = thread::Builder::new().name(format!("log: {name}")).stack_size(STACK);
    thread.spawn(move || serve(&row, destination))?;
    Ok(queue)
}

/// The stack of a thread, as the program's other threads have it.
const STACK: usize = 1024 * 1024;

/// How long to wait before a line is tried again: 1 s, doubling to 60 s.
fn pauses() -> impl Iterator<Item = Duration> {
    let doubled = |pause: &Duration| Some(pause.saturating_mul(2).min(LONGEST_PAUSE));
    iter::successors(Some(Duration::from_secs(1)), doubled)
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn serve<D: Destination>(queue: &Queue<D::Settings>, mut destination: D) {
    while let Some(item) = queue.take() {
        let record = match item {
            Item::Write(record) => record,
            Item::Lost(count) => Arc::new(missing(count)),
            Item::Change(settings) => {
                destination.change(settings);
                continue;
            }
        };
        let mut waits = pauses();
        let mut troubled = false;
        while let Err(error) = destination.write(&record) {
            if !troubled {
                error!("{}", destination.trouble(&error));
                troubled = true;
            }
            match queue.pause(waits.next().unwrap_or(LONGEST_PAUSE)) {
                Paused::Over => {}
                Paused::Change(settings) => {
                    destination.change(settings);
                    waits = pauses();
                    troubled = false;
                }
                Paused::Closed => return,
            }
            queue.resume();
        }
        if troubled {
            info!("{}", destination.relief());
        }
    }
}

/// What stands in the log where records are missing.
fn missing(count: u64) -> Record {
    let (lines, are) = if count == 1 { ("line", "is") } else { ("lines", "are") };
    Record {
        time: LocalTime::now(),
        since_start: 0,
        level: Level::Warning,
        target: module_path!().to_owned(),
        file: file!().to_owned(),
        line: line!(),
        meter: None,
        text: format!(
            "{count} {lines} of the log {are} missing here: more came than could be written."
        ),
    }
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Stdout {
    look: Look,
    colours: bool,
    process: u32,
}

impl Stdout {
    /// In colours where somebody looks at it who did not forbid them (no-color.org).
    pub(super) fn new(look: Look) -> Self {
        let forbidden = |name, value: &str| {
            std::env::var_os(name)
                .is_some_and(|found| !found.is_empty() && (value.is_empty() || found == value))
        };
        let colours =
            io::stdout().is_terminal() && !forbidden("NO_COLOR", "") && !forbidden("TERM", "dumb");
        Self { look, colours, process: std::process::id() }
    }
}

impl Destination for Stdout {
    type Settings = Look;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let line = self.look.line(record, self.process, self.colours);
        let mut stdout = io::stdout().lock();
        // Who closed it does not want to know.
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        Ok(())
    }

    fn change(&mut self, look: Look) {
        self.look = look;
    }

    fn trouble(&self, error: &io::Error) -> String {
        format!("Standard output cannot be written: {error}.")
    }

    fn relief(&self) -> String {
        "Standard output can be written again.".to_owned()
    }
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Where it is.
    pub place: Place,
    /// How its lines look.
    pub look: Look,
}

#[derive(Debug)]
pub(super) struct Files {
    file: LogFile,
    settings: FileSettings,
    process: u32,
}

impl Files {
    pub(super) fn new(settings: FileSettings) -> Self {
        let file = LogFile::new(settings.place.clone());
        Self { file, settings, process: std::process::id() }
    }
}

impl Destination for Files {
    type Settings = FileSettings;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        self.file.write(&record.time, &self.settings.look.line(record, self.process, false))
    }

    /// The file is opened again in any case: it may have been moved away.
    fn change(&mut self, settings: FileSettings) {
        if settings.place == self.settings.place {
            self.file.reopen();
        } else {
            self.file = LogFile::new(settings.place.clone());
        }
        self.settings = settings;
    }

    fn trouble(&self, error: &io::Error) -> String {
        format!(
            "The log file {} Trying again until it works; this is said only once.",
            self.settings.place.trouble(error)
        )
    }

    fn relief(&self) -> String {
        format!("The log file {} can be written again.", self.settings.place.path().display())
    }
}

/// The system's log or a log server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Where it is.
    pub address: Address,
    /// Under which name lines are filed.
    pub facility: Facility,
    /// How lines look; without it they are the message alone.
    pub format: Option<Format>,
    /// How times look in it.
    pub date: Option<DateFormat>,
}

#[derive(Debug)]
pub(super) struct Syslog {
    app_name: &'static str,
    client: Client,
    settings: SyslogSettings,
    process: u32,
}

impl Syslog {
    pub(super) fn new(app_name: &'static str, settings: SyslogSettings) -> Self {
        let SyslogSettings { address, facility, format, .. } = &settings;
        let client = Client::new(app_name, address.clone(), *facility, format.is_some());
        Self { app_name, client, settings, process: std::process::id() }
    }
}

impl Destination for Syslog {
    type Settings = SyslogSettings;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let SyslogSettings { format, date, .. } = &self.settings;
        let text = match format {
            Some(format) => format.write(record, date.as_ref(), self.process),
            None => record.message(),
        };
        self.client.send(record, &text)
    }

    fn change(&mut self, settings: SyslogSettings) {
        if settings != self.settings {
            *self = Self::new(self.app_name, settings);
        }
    }

    fn trouble(&self, error: &io::Error) -> String {
        let address = self.settings.address.to_string();
        let path = address.strip_prefix("unix://").unwrap_or(&address);
        if error.kind() == io::ErrorKind::NotFound && path.starts_with('/') {
            return format!(
                "There is no system log here (no {path}): in a container mount it, or take `syslog` \
                 out of `logging.destinations`. Up to {} lines wait for it; this is said only once.",
                super::queue::WAITING,
            );
        }
        let what = match error.kind() {
            // Its socket is full, or the network's.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "it takes no lines for now".to_owned()
            }
            _ => error.to_string(),
        };
        format!(
            "The log server {} cannot be reached: {what}. Check that it runs, and `syslog_address` \
             in the section `logging`. Up to {} lines wait for it; this is said only once.",
            self.settings.address,
            super::queue::WAITING,
        )
    }

    fn relief(&self) -> String {
        format!("The log server {} takes lines again.", self.settings.address)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::queue::Left;
    use crate::record::tests::example;
    use crate::rotation::Rotation;

    /// Tells what it does; broken until its settings say otherwise.
    struct Fragile {
        broken: bool,
        did: Sender<String>,
    }

    impl Destination for Fragile {
        type Settings = bool;

        fn write(&mut self, record: &Record) -> io::Result<()> {
            let broken = if self.broken { "not " } else { "" };
            self.did.send(format!("{broken}{}", record.text)).unwrap();
            if self.broken { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn change(&mut self, broken: bool) {
            self.broken = broken;
        }

        fn trouble(&self, error: &io::Error) -> String {
            error.to_string()
        }

        fn relief(&self) -> String {
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
    fn what_cannot_be_written_waits_for_settings_with_which_it_can() {
        let (queue, doing) = fragile();
        push(&queue, "one");
        push(&queue, "two");
        assert_eq!(doing.recv().unwrap(), "not one");
        // It would be tried again in a second; the settings do not wait behind it.
        queue.change(false);
        queue.close();
        assert_eq!(doing.iter().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_at_the_end() {
        let (queue, doing) = fragile();
        push(&queue, "one");
        push(&queue, "two");
        assert_eq!(doing.recv().unwrap(), "not one");
        queue.close();
        // The thread has ended when it does nothing more.
        assert_eq!(doing.recv().ok(), None);
        let left = Left { records: 2, under_way: false };
        assert_eq!(queue.settle(Duration::ZERO), Some(left));
    }

    /// Writes nothing before it is let go.
    struct Slow {
        begun: Sender<()>,
        go: Receiver<()>,
    }

    impl Destination for Slow {
        type Settings = bool;

        fn write(&mut self, _: &Record) -> io::Result<()> {
            self.begun.send(()).unwrap();
            self.go.recv().unwrap();
            Ok(())
        }

        fn change(&mut self, _: bool) {}

        fn trouble(&self, error: &io::Error) -> String {
            error.to_string()
        }

        fn relief(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn what_hangs_is_counted_at_the_end() {
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

    /// In words of their own where the system's would lead astray.
    #[test]
    fn a_directory_that_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("logs");
        std::fs::write(&taken, "").unwrap();
        let place = Place {
            directory: taken.clone(),
            filename: "meter.log".to_owned(),
            rotation: Rotation {
                when: "d".parse().unwrap(),
                interval: std::num::NonZeroU32::MIN,
                keep: 0,
            },
        };
        let mut files = Files::new(FileSettings { place, look: Look::default() });
        let error = files.write(&example()).unwrap_err();
        let taken = taken.display();
        let expected = format!(
            "The log file {taken}/meter.log cannot be written: {taken} is a file, not a directory. \
             Check `directory` and"
        );
        let told = files.trouble(&error);
        assert!(told.starts_with(&expected), "{told}");
    }

    #[test]
    fn a_log_server_that_reads_no_more() {
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
        let mut syslog = Syslog::new("kamstrup2mqtt", settings);
        let error = syslog.write(&example()).unwrap_err();
        let told = syslog.trouble(&error);
        let expected = format!(
            "The log server {} cannot be reached: it takes no lines for now. Check",
            path.display()
        );
        assert!(told.starts_with(&expected), "{told}");
    }

    #[test]
    fn a_system_without_a_log_is_told_as_such() {
        let trouble = |address: &str, kind: io::ErrorKind| {
            let syslog = Syslog::new(
                "kamstrup2mqtt",
                SyslogSettings {
                    address: address.parse().unwrap(),
                    facility: "local0".parse().unwrap(),
                    format: None,
                    date: None,
                },
            );
            syslog.trouble(&kind.into())
        };
        let missing = "There is no system log here (no /dev/log): in a container mount it, or take \
                       `syslog` out of `logging.destinations`. Up to 1024 lines wait for it; this is \
                       said only once.";
        assert_eq!(trouble("/dev/log", io::ErrorKind::NotFound), missing);
        assert_eq!(trouble("unix:///dev/log", io::ErrorKind::NotFound), missing);
        // It is there, or it is somewhere else.
        let refused = trouble("/dev/log", io::ErrorKind::ConnectionRefused);
        assert!(refused.starts_with("The log server /dev/log cannot be reached: "), "{refused}");
        let unknown = trouble("tcp://loghost:601", io::ErrorKind::NotFound);
        assert!(unknown.starts_with("The log server tcp://loghost:601 cannot"), "{unknown}");
    }

    #[test]
    fn missing_lines_are_counted_in_words() {
        assert_eq!(
            missing(1).text,
            "1 line of the log is missing here: more came than could be written."
        );
        assert!(missing(2).text.starts_with("2 lines of the log are missing here"));
    }
}
