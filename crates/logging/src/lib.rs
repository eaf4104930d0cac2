//! The log: one line per event, with the local time, on standard output, in files, and to syslog.
//!
//! Who logs never waits: each destination has a row and a thread of its own (`queue`, `outlet`).

pub mod capture;
mod date;
mod file;
mod format;
mod kept;
mod look;
mod outlet;
mod queue;
mod record;
mod rotation;
mod syslog;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::panic::{self, Location, PanicHookInfo};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Span, Subscriber, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

pub use self::date::{DateFormat, DateFormatError};
pub use self::file::Place;
pub use self::format::{Format, FormatError};
pub use self::kept::{LOG_LINES, LogLine, LogLines};
pub use self::look::{Look, Style};
pub use self::outlet::{FileSettings, SyslogSettings};
use self::outlet::{Files, Stdout, Syslog};
use self::queue::{Left, Queue};
use self::record::Record;
pub use self::rotation::{ParseWhenError, Rotation, When};
pub use self::syslog::{Address, Facility, ParseAddressError, ParseFacilityError};

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// What it is called in the log.
    pub name: &'static str,
    /// Its crates, each with the module that it counts as in lines that name modules.
    pub crates: &'static [(&'static str, &'static str)],
}

impl Program {
    /// What passes: its own events, from a level on.
    fn own(self, level: Level) -> Targets {
        self.crates.iter().fold(Targets::new(), |all, (name, _)| all.with_target(*name, level))
    }

    /// A module of one of its crates, as if all of them were one.
    fn module(self, target: &str) -> String {
        let (name, rest) = target.split_once("::").unwrap_or((target, ""));
        let known = self.crates.iter().find(|(known, _)| *known == name);
        let module = known.map_or(name, |(_, module)| module);
        if rest.is_empty() { module.to_owned() } else { format!("{module}::{rest}") }
    }
}

/// What is logged, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From which level on.
    pub level: Level,
    /// How lines look on standard output; none go there without it, but what is wrong with the other
    /// destinations.
    pub stdout: Option<Look>,
    /// A file.
    pub file: Option<FileSettings>,
    /// The system's log or a log server.
    pub syslog: Option<SyslogSettings>,
}

impl Settings {
    /// Everything from a level on, on standard output.
    #[must_use]
    pub fn to_stdout(level: Level) -> Self {
        Self { level, stdout: Some(Look::default()), file: None, syslog: None }
    }
}

/// The running log. When the last clone goes, what waits is written.
#[derive(Debug, Clone)]
#[must_use = "the log ends when this is dropped"]
pub struct Handle(Arc<Running>);

#[derive(Debug)]
struct Running {
    program: Program,
    level: reload::Handle<Targets, Registry>,
    outlets: Arc<Outlets>,
}

impl Handle {
    /// Changes the level and the destinations. The file is opened again in any case, since it may
    /// have been moved away. A destination that goes is waited for, half a second at most.
    pub fn apply(&self, settings: &Settings) -> anyhow::Result<()> {
        self.0
            .level
            .reload(self.0.program.own(settings.level))
            .context("the level cannot be changed")?;
        self.0.outlets.apply(settings).context("the log cannot be changed")
    }

    /// From now on keeps the last lines here as well, for the page.
    pub fn keep(&self, lines: LogLines) {
        self.0.outlets.lock().kept = Some(lines);
    }

    /// Waits until what waits is written, as far as it can be; half a second for each destination at
    /// most.
    pub fn settle(&self) {
        self.0.outlets.settle();
    }
}

/// How long what waits may take to be written at the end.
const GOODBYE: Duration = Duration::from_millis(500);

impl Drop for Running {
    fn drop(&mut self) {
        self.outlets.settle();
    }
}

/// Sends this program's log lines where the settings say.
///
/// Only its own: what libraries have to say stays out, since the MQTT client's debug lines hold the
/// password. A crash is logged as well, and does not end the program before its lines are out.
pub fn start(program: Program, settings: &Settings) -> anyhow::Result<Handle> {
    let outlets = Arc::new(Outlets::start(program, settings).context("the log cannot be started")?);
    let lines = Lines::new(program, {
        let outlets = Arc::clone(&outlets);
        move |record| outlets.push(record)
    });
    let (level, handle) = reload::Layer::new(program.own(settings.level));
    let began = lines.began.clone();
    tracing_subscriber::registry()
        .with(level)
        .with(lines)
        .try_init()
        .context("the log is taken")?;
    let before = panic::take_hook();
    let crashing = Arc::clone(&outlets);
    panic::set_hook(Box::new(move |crash| {
        crashing.push(last_record(program, crash, &began));
        crashing.settle();
        before(crash);
    }));
    Ok(Handle(Arc::new(Running { program, level: handle, outlets })))
}

/// Sends them to standard error, for a program whose result is on standard output.
pub fn start_beside(program: Program, level: Level) -> anyhow::Result<()> {
    let look = Look::default();
    let lines = Lines::new(program, move |record| {
        let line = look.line(&record, std::process::id(), false);
        // Who closed it does not want to know.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    });
    let subscriber = tracing_subscriber::registry().with(program.own(level)).with(lines);
    subscriber.try_init().context("the log is taken")
}

/// What a crash leaves in the log.
fn last_record(program: Program, crash: &PanicHookInfo<'_>, began: &ZonedDateTime) -> Record {
    let time = LocalTime::now();
    let why = crash.payload();
    let why = why.downcast_ref::<&str>().copied().or(why.downcast_ref().map(String::as_str));
    let why = why.unwrap_or("for an unknown reason");
    let place = crash.location();
    Record {
        since_start: micros_since(began, &time),
        time,
        level: record::Level::Critical,
        target: program.name.to_owned(),
        file: place.map(|place| place.file().to_owned()).unwrap_or_default(),
        line: place.map_or(0, Location::line),
        meter: None,
        text: record::harmless(&format!(
            "The program crashes, which must not happen: {why}{}. Please report it with the lines \
             before this one.",
            place.map(|place| format!(" ({place})")).unwrap_or_default()
        )),
    }
}

/// The rows of all destinations.
#[derive(Debug)]
struct Outlets(Mutex<Rows>);

#[derive(Debug)]
struct Rows {
    program: Program,
    stdout: Arc<Queue<Look>>,
    /// Whether all goes there, or only what is wrong with the others.
    all_on_stdout: bool,
    file: Option<Arc<Queue<FileSettings>>>,
    syslog: Option<Arc<Queue<SyslogSettings>>>,
    /// The last lines, where somebody may look at them.
    kept: Option<LogLines>,
}

impl Outlets {
    fn start(program: Program, settings: &Settings) -> io::Result<Self> {
        let look = settings.stdout.clone();
        let outlets = Self(Mutex::new(Rows {
            program,
            all_on_stdout: look.is_some(),
            stdout: outlet::start("stdout", Stdout::new(look.unwrap_or_default()))?,
            file: None,
            syslog: None,
            kept: None,
        }));
        outlets.apply(settings)?;
        Ok(outlets)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, settings: &Settings) -> io::Result<()> {
        let (file, syslog) = {
            let mut rows = self.lock();
            rows.all_on_stdout = settings.stdout.is_some();
            rows.stdout.change(settings.stdout.clone().unwrap_or_default());
            let start_file = |settings| outlet::start("file", Files::new(settings));
            let program = rows.program;
            let start_syslog =
                |settings| outlet::start("syslog", Syslog::new(program.name, settings));
            (
                change(&mut rows.file, settings.file.as_ref(), start_file),
                change(&mut rows.syslog, settings.syslog.as_ref(), start_syslog),
            )
        };
        let (gone_file, gone_syslog) = (file.as_ref().ok(), syslog.as_ref().ok());
        // So that one that comes again does not write before it.
        settle(gone_file.and_then(Option::as_ref), gone_syslog.and_then(Option::as_ref));
        // One that cannot be started keeps the other from nothing.
        file?;
        syslog?;
        Ok(())
    }

    fn push(&self, record: Record) {
        let record = Arc::new(record);
        let rows = self.lock();
        if let Some(kept) = &rows.kept {
            kept.add(record.kept());
        }
        if rows.all_on_stdout || record.target.starts_with(&rows.program.module(module_path!())) {
            rows.stdout.push(Arc::clone(&record));
        }
        if let Some(file) = &rows.file {
            file.push(Arc::clone(&record));
        }
        if let Some(syslog) = &rows.syslog {
            syslog.push(record);
        }
    }

    /// Waits until what waits is written, as far as it can be.
    fn settle(&self) {
        let (stdout, file, syslog) = {
            let rows = self.lock();
            (Arc::clone(&rows.stdout), rows.file.clone(), rows.syslog.clone())
        };
        settle(file.as_ref(), syslog.as_ref());
        stdout.settle(GOODBYE);
    }
}

/// Waits until what waits is written, and tells what is not.
fn settle(file: Option<&Arc<Queue<FileSettings>>>, syslog: Option<&Arc<Queue<SyslogSettings>>>) {
    let left = [
        file.and_then(|file| file.settle(GOODBYE)).map(|left| (left, "the log file")),
        syslog.and_then(|syslog| syslog.settle(GOODBYE)).map(|left| (left, "the log server")),
    ];
    for (left, place) in left.into_iter().flatten() {
        warn!("{}", not_written(left, place));
    }
}

/// What is said of lines that did not get there.
fn not_written(Left { records, under_way }: Left, place: &str) -> String {
    let lines = if records == 1 { "line".to_owned() } else { format!("{records} lines") };
    let perhaps = match (under_way, records) {
        (false, _) => "",
        (true, 1) => " in time; it may still get there",
        (true, _) => " in time; the first of them may still get there",
    };
    format!("The last {lines} of the log could not be written to {place}{perhaps}.")
}

/// Makes a destination what its settings say: there, another one, or not there any more. Gives the
/// row that is not there any more.
fn change<S: Clone>(
    row: &mut Option<Arc<Queue<S>>>,
    settings: Option<&S>,
    start: impl FnOnce(S) -> io::Result<Arc<Queue<S>>>,
) -> io::Result<Option<Arc<Queue<S>>>> {
    match (&row, settings.cloned()) {
        (None, None) => {}
        (None, Some(settings)) => *row = Some(start(settings)?),
        (Some(queue), Some(settings)) => queue.change(settings),
        (Some(queue), None) => {
            queue.close();
            return Ok(row.take());
        }
    }
    Ok(None)
}

/// What is logged in here is about one of several things, and its lines begin with this name. Without
/// a name they are as everywhere.
#[must_use]
pub fn about(name: Option<&impl fmt::Display>) -> Span {
    // Of the highest level, so that it is there whatever is logged; a `message` is shown without the
    // name of its field.
    name.map_or_else(Span::none, |name| tracing::error_span!("about", message = %name))
}

/// Makes records of events.
struct Lines<F> {
    program: Program,
    began: ZonedDateTime,
    take: F,
}

/// What [`about`] a span is.
struct About(String);

impl<F> Lines<F> {
    fn new(program: Program, take: F) -> Self {
        Self { program, began: LocalTime::now(), take }
    }
}

impl<S, F> Layer<S> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Record) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let mut text = Text::default();
        attributes.record(&mut text);
        if let Some(span) = context.span(id).filter(|_| !text.0.is_empty()) {
            span.extensions_mut().insert(About(record::harmless(&text.0)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let time = LocalTime::now();
        let mut text = Text::default();
        event.record(&mut text);
        let spans = context.event_scope(event).into_iter().flatten();
        let mut names = spans
            .filter_map(|span| span.extensions().get::<About>().map(|About(name)| name.clone()));
        let metadata = event.metadata();
        (self.take)(Record {
            since_start: micros_since(&self.began, &time),
            time,
            level: (*metadata.level()).into(),
            target: self.program.module(metadata.target()),
            file: metadata.file().unwrap_or_default().to_owned(),
            line: metadata.line().unwrap_or_default(),
            meter: names.next(),
            text: record::harmless(&text.0),
        });
    }
}

fn micros_since(began: &ZonedDateTime, time: &ZonedDateTime) -> i64 {
    time.timestamp().as_microsecond().saturating_sub(began.timestamp().as_microsecond())
}

/// The message of an event, and what else it has behind it.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}{}", self.0);
        } else {
            // To a text nothing is ever refused.
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

/// The wall clock in the local zone, ISO 8601 with offset: the only place that reads it.
#[derive(Debug, Clone, Copy)]
pub struct LocalTime;

impl LocalTime {
    /// What time it is, by ISO 8601 with the offset of the local zone.
    #[must_use]
    pub fn now_text() -> String {
        Self::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// What time it is.
    #[expect(clippy::disallowed_methods, reason = "the one door to the wall clock")]
    #[must_use]
    pub fn now() -> ZonedDateTime {
        static ZONE: Mutex<Option<TimeZone>> = Mutex::new(None);

        Self::at(SystemTime::now(), TimeZone::try_system().ok(), &ZONE)
    }

    /// Where the clock is beyond the calendar, its end. Where the system does not say in which zone it
    /// is, because no file can be opened, it is in the last one that it said.
    fn at(
        time: SystemTime,
        zone: Option<TimeZone>,
        last: &Mutex<Option<TimeZone>>,
    ) -> ZonedDateTime {
        let end = if time < UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::try_from(time).unwrap_or(end);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if zone.is_some() {
            *last = zone;
        }
        let zone = last.clone();
        drop(last);
        time.to_zoned_datetime(zone.unwrap_or_else(TimeZone::unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_is_told_in_words() {
        let said = |records, under_way| not_written(Left { records, under_way }, "the log file");
        assert_eq!(
            [said(1, false), said(2, false), said(1, true), said(2, true)],
            [
                "The last line of the log could not be written to the log file.",
                "The last 2 lines of the log could not be written to the log file.",
                "The last line of the log could not be written to the log file in time; it may still \
                 get there.",
                "The last 2 lines of the log could not be written to the log file in time; the first \
                 of them may still get there.",
            ]
        );
    }

    #[test]
    fn a_line_says_whose_it_is() {
        let all = ["INFO one", "INFO garage: two", "WARN garage: three\\u{1b} number=4"];
        for (level, expected) in [(Level::INFO, &all[..]), (Level::WARN, &all[2..])] {
            let (log, _logging) = capture::from(level);
            about(None::<&String>).in_scope(|| tracing::info!("one"));
            let garage = about(Some(&"garage"));
            garage.in_scope(|| tracing::info!("{}", "two"));
            garage.in_scope(|| tracing::warn!(number = 4, "three\u{1b}"));
            assert_eq!(log.take(), expected);
        }
    }

    #[test]
    fn the_clock_may_be_anywhere() {
        let zone = || TimeZone::get("Pacific/Kiritimati").unwrap();
        let last_zone = Mutex::new(None);
        let at = |time: Option<SystemTime>| {
            LocalTime::at(time.unwrap(), Some(zone()), &last_zone).timestamp()
        };
        let second = Duration::from_secs(1);
        let last = UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_799));
        assert_eq!(at(last), Timestamp::MAX);
        assert_eq!(at(last.unwrap().checked_add(100 * second)), Timestamp::MAX);
        assert_eq!(
            at(UNIX_EPOCH.checked_sub(Duration::from_secs(400_000_000_000))),
            Timestamp::MIN
        );
        assert_eq!(at(UNIX_EPOCH.checked_add(second)).as_second(), 1);
        // The zone stays known.
        assert_eq!(LocalTime::at(UNIX_EPOCH, None, &last_zone).time_zone(), &zone());
    }
}
