//! All destinations and their queues.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::line_format::LineFormat;
use crate::program::Program;
use crate::queue::{Left, Queue};
use crate::recent::LogLines;
use crate::record::Record;
use crate::repeats::Repeats;
use crate::settings::{FileSettings, Settings, SyslogSettings};
use crate::sink::{self, FileSink, StdoutSink, SyslogSink};

/// How long each destination may take to write the waiting records at the end.
const GOODBYE: Duration = Duration::from_millis(500);

/// The queues of all destinations.
#[derive(Debug)]
pub(crate) struct Sinks(Mutex<Queues>);

#[derive(Debug)]
struct Queues {
    program: Program,
    stdout: Arc<Queue<LineFormat>>,
    /// Whether all records go to standard output, or only those of this crate, which are errors of
    /// the other destinations.
    all_on_stdout: bool,
    file: Option<Arc<Queue<FileSettings>>>,
    syslog: Option<Arc<Queue<SyslogSettings>>>,
    recent: Option<LogLines>,
    repeats: Repeats,
}

impl Sinks {
    pub(crate) fn start(program: Program, settings: &Settings) -> io::Result<Arc<Self>> {
        let format = settings.stdout.clone();
        let stdout = Arc::new(Queue::default());
        let sinks = Arc::new(Self(Mutex::new(Queues {
            program,
            all_on_stdout: format.is_some(),
            stdout: Arc::clone(&stdout),
            file: None,
            syslog: None,
            recent: None,
            repeats: Repeats::default(),
        })));
        // This thread always exists, so it also reports repeated lines when nothing else is logged.
        let of_thread = Arc::downgrade(&sinks);
        let alarm = move || {
            if let Some(sinks) = of_thread.upgrade() {
                sinks.lock().report_repeats(Instant::now());
            }
        };
        sink::start_on(&stdout, "stdout", StdoutSink::new(format.unwrap_or_default()), alarm)
            .map_err(|error| program.hints.for_thread(&error))?;
        sinks.apply(settings)?;
        Ok(sinks)
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the settings, and waits for the destinations that are removed.
    pub(crate) fn apply(&self, settings: &Settings) -> io::Result<()> {
        let mut queues = self.lock();
        queues.all_on_stdout = settings.stdout.is_some();
        queues.stdout.change(settings.stdout.clone().unwrap_or_default());
        let program = queues.program;
        let removed_file = change(&mut queues.file, settings.file.as_ref(), |settings| {
            sink::start("file", FileSink::new(program, settings))
        });
        let removed_syslog = change(&mut queues.syslog, settings.syslog.as_ref(), |settings| {
            sink::start("syslog", SyslogSink::new(program, settings))
        });
        drop(queues);
        // Otherwise a destination that is added again could write before the removed one is done.
        settle(
            removed_file.as_ref().ok().and_then(Option::as_ref),
            removed_syslog.as_ref().ok().and_then(Option::as_ref),
        );
        // An error of one destination does not prevent the change of the other.
        removed_file.map_err(|error| program.hints.for_thread(&error))?;
        removed_syslog.map_err(|error| program.hints.for_thread(&error))?;
        Ok(())
    }

    /// Also adds each line to `lines` from now on.
    pub(crate) fn keep(&self, lines: LogLines) {
        self.lock().recent = Some(lines);
    }

    /// Adds a record to the queue of each destination, unless it was repeated too often.
    pub(crate) fn push(&self, record: Record) {
        let now = Instant::now();
        let mut queues = self.lock();
        queues.report_repeats(now);
        match queues.repeats.pass(record, now) {
            Some(record) => queues.write(record),
            None => queues.set_alarm(),
        }
    }

    /// Waits until the waiting records are written, as far as possible.
    pub(crate) fn settle(&self) {
        let mut queues = self.lock();
        queues.repeats.take_all().into_iter().for_each(|record| queues.write(record));
        let stdout = Arc::clone(&queues.stdout);
        let file = queues.file.clone();
        let syslog = queues.syslog.clone();
        drop(queues);
        settle(file.as_ref(), syslog.as_ref());
        stdout.settle(GOODBYE);
    }
}

impl Queues {
    fn write(&self, record: Record) {
        let record = Arc::new(record);
        if let Some(recent) = self.recent.as_ref().filter(|_| record.kept) {
            recent.add(record.to_log_line());
        }
        let own_module = self.program.module(env!("CARGO_CRATE_NAME"));
        if self.all_on_stdout || record.target.starts_with(&own_module) {
            self.stdout.push(Arc::clone(&record));
        }
        if let Some(file) = &self.file {
            file.push(Arc::clone(&record));
        }
        if let Some(syslog) = &self.syslog {
            syslog.push(record);
        }
    }

    /// Reports how often lines were repeated, where that is due.
    fn report_repeats(&mut self, now: Instant) {
        self.repeats.take_due(now).into_iter().for_each(|record| self.write(record));
        self.set_alarm();
    }

    fn set_alarm(&self) {
        if let Some(at) = self.repeats.due() {
            self.stdout.set_alarm(at);
        }
    }
}

/// Waits until the waiting records are written, and reports those that are not.
fn settle(file: Option<&Arc<Queue<FileSettings>>>, syslog: Option<&Arc<Queue<SyslogSettings>>>) {
    let left = [
        file.and_then(|file| file.settle(GOODBYE)).map(|left| (left, "the log file")),
        syslog.and_then(|syslog| syslog.settle(GOODBYE)).map(|left| (left, "the log server")),
    ];
    for (left, destination) in left.into_iter().flatten() {
        warn!("{}", not_written(left, destination));
    }
}

/// The message about lines that were not written.
fn not_written(Left { records, under_way }: Left, destination: &str) -> String {
    let lines = if records == 1 { "line".to_owned() } else { format!("{records} lines") };
    let perhaps = match (under_way, records) {
        (false, _) => "",
        (true, 1) => " in time; it may still arrive",
        (true, _) => " in time; the first of them may still arrive",
    };
    format!("The last {lines} of the log could not be written to {destination}{perhaps}.")
}

/// Starts, changes or removes a destination, according to its settings. Returns the queue of a
/// removed destination.
fn change<S: Clone>(
    current: &mut Option<Arc<Queue<S>>>,
    settings: Option<&S>,
    start: impl FnOnce(S) -> io::Result<Arc<Queue<S>>>,
) -> io::Result<Option<Arc<Queue<S>>>> {
    match (&current, settings.cloned()) {
        (None, None) => {}
        (None, Some(settings)) => *current = Some(start(settings)?),
        (Some(queue), Some(settings)) => queue.change(settings),
        (Some(queue), None) => {
            queue.close();
            return Ok(current.take());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Hints;
    use crate::record::tests::example;

    #[test]
    fn repeated_lines_are_counted_even_if_nothing_else_is_logged() {
        let program = Program { name: "test", crates: &[], hints: Hints::default() };
        let level = tracing::Level::INFO;
        let settings = Settings { stdout: None, ..Settings::to_stdout(level) };
        let sinks = Sinks::start(program, &settings).unwrap();
        let lines = LogLines::default();
        sinks.keep(lines.clone());
        sinks.lock().repeats = Repeats::with_window(Duration::from_millis(500));
        for _ in 0..30 {
            sinks.push(example());
        }
        assert_eq!(lines.of(level).len(), 20);
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        for _ in 0..300 {
            let _ = never.recv_timeout(Duration::from_millis(100));
            if let [.., last] = lines.of(level).as_slice()
                && last.text.ends_with("(repeated 10 more times)")
            {
                return;
            }
        }
        panic!("{:?}", lines.of(level));
    }

    #[test]
    fn lines_that_were_not_written_are_reported() {
        let said = |records, under_way| not_written(Left { records, under_way }, "the log file");
        assert_eq!(
            [said(1, false), said(2, false), said(1, true), said(2, true)],
            [
                "The last line of the log could not be written to the log file.",
                "The last 2 lines of the log could not be written to the log file.",
                "The last line of the log could not be written to the log file in time; it may \
                 still arrive.",
                "The last 2 lines of the log could not be written to the log file in time; the \
                 first of them may still arrive.",
            ]
        );
    }
}
