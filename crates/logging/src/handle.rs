//! Starting, changing and ending the log of a process.

use std::io::{self, Write};
use std::panic::{self, Location, PanicHookInfo};
use std::sync::Arc;

use jiff::ZonedDateTime;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::clock::LocalTime;
use crate::error::LogError;
use crate::line_format::LineFormat;
use crate::lines::{Lines, micros_since};
use crate::program::Program;
use crate::recent::LogLines;
use crate::record::{self, Record};
use crate::settings::Settings;
use crate::sinks::Sinks;

/// The running log. Dropping the last clone writes the waiting records.
#[derive(Debug, Clone)]
#[must_use = "the log ends when this is dropped"]
pub struct Handle(Arc<Running>);

#[derive(Debug)]
struct Running {
    program: Program,
    level: reload::Handle<Targets, Registry>,
    sinks: Arc<Sinks>,
}

impl Handle {
    /// Changes the level and the destinations. The log file is always reopened, because it may have
    /// been moved. This waits for a removed destination, for half a second at most.
    pub fn apply(&self, settings: &Settings) -> Result<(), LogError> {
        let targets = self.0.program.targets(settings.level);
        self.0.level.reload(targets).map_err(LogError::Level)?;
        self.0.sinks.apply(settings).map_err(LogError::Change)
    }

    /// Also adds each line to `lines` from now on, except those of events with `kept = false`.
    pub fn keep(&self, lines: LogLines) {
        self.0.sinks.keep(lines);
    }

    /// Waits until the waiting records are written, for half a second per destination at most.
    pub fn settle(&self) {
        self.0.sinks.settle();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sinks.settle();
    }
}

/// Sends this program's log lines to the destinations in the settings. A process has one log.
///
/// A panic is logged too. It ends the program only after the waiting lines are written.
pub fn start(program: Program, settings: &Settings) -> Result<Handle, LogError> {
    let sinks = Sinks::start(program, settings).map_err(LogError::Start)?;
    let lines = Lines::new(program, {
        let sinks = Arc::clone(&sinks);
        move |record| sinks.push(record)
    });
    let (level, handle) = reload::Layer::new(program.targets(settings.level));
    let began = lines.began().clone();
    tracing_subscriber::registry().with(level).with(lines).try_init().map_err(LogError::Taken)?;
    let before = panic::take_hook();
    let crashing = Arc::clone(&sinks);
    panic::set_hook(Box::new(move |crash| {
        crashing.push(crash_record(program, crash, &began));
        crashing.settle();
        before(crash);
    }));
    Ok(Handle(Arc::new(Running { program, level: handle, sinks })))
}

/// Sends this program's log lines to standard error, for a command whose result goes to standard
/// output. This log writes each line before the program continues.
pub fn start_beside(program: Program, level: Level) -> Result<(), LogError> {
    let format = LineFormat::default();
    let lines = Lines::new(program, move |record| {
        let line = format.line(&record, std::process::id(), false);
        // A user who closes standard error does not want these lines.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    });
    let subscriber = tracing_subscriber::registry().with(program.targets(level)).with(lines);
    subscriber.try_init().map_err(LogError::Taken)
}

/// The record of a panic.
fn crash_record(program: Program, crash: &PanicHookInfo<'_>, began: &ZonedDateTime) -> Record {
    let time = LocalTime::now();
    let payload = crash.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref().map(String::as_str));
    let reason = message.unwrap_or("unknown reason");
    let location = crash.location();
    Record {
        since_start: micros_since(began, &time),
        time,
        level: record::Level::Critical,
        target: program.name.to_owned(),
        file: location.map(|location| location.file().to_owned()).unwrap_or_default(),
        line: location.map_or(0, Location::line),
        kind: String::new(),
        about: None,
        text: record::harmless(&format!(
            "The program crashed: {reason}{}. This is a bug. Please report it, with the log lines \
             before this one.",
            location.map(|location| format!(" ({location})")).unwrap_or_default()
        )),
        kept: true,
    }
}
