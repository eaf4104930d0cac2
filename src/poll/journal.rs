//! Polls in words: one log line for each good poll, and one for each change of state.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::time::Duration;

use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Plan;
use super::ask::Polled;
use crate::condition::Condition;
use crate::consistency::Relation;
use crate::identity::Exchange;
use crate::meter::Heard;
use crate::reading::{Missing, Reading};
use crate::transport::OpenError;
use crate::words::RunsAs;

/// Why registers were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    Port(OpenError),
    Broken(String),
    Meter(Heard),
    /// It answers, but did not tell which meter it is, when it may be another one.
    Unrecognized,
}

/// A serial server that ends the connection at once could as well not be opened.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(unwanted) => Self::Port(OpenError::clone(unwanted)),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// What advice goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) port: &'a str,
    /// From poll to poll.
    pub(super) interval: Duration,
    /// What the meter may be.
    pub(super) models: &'a [Model],
    pub(super) runs_as: RunsAs,
}

/// Turns polls into log lines: one for each good poll, and one for each change of state.
#[derive(Debug)]
pub(super) struct Journal {
    port: String,
    interval: Duration,
    runs_as: RunsAs,
    state: State,
    /// Registers whose absence has been told.
    told: BTreeSet<RegisterId>,
    /// What keeps polls from being complete, if it was told, and how many were complete since.
    partial: Option<(Trouble, u32)>,
    /// Relations between readings that the meter was said not to keep.
    contradictions: BTreeSet<Relation>,
    /// What the meter said last of its faults.
    condition: Option<Condition>,
    /// What it may be, for what is said of it.
    pub(super) models: Vec<Model>,
}

/// So many complete polls make an incomplete one news again.
const COMPLETE_AGAIN: u32 = 5;

#[derive(Debug)]
enum State {
    Unknown,
    Answering,
    Troubled { trouble: Trouble, since: Instant },
}

impl Journal {
    pub(super) fn new<O>(plan: &Plan<O>) -> Self {
        Self {
            port: plan.port_name.clone(),
            interval: plan.interval,
            runs_as: plan.runs_as,
            state: State::Unknown,
            told: BTreeSet::new(),
            partial: None,
            contradictions: BTreeSet::new(),
            condition: None,
            models: Vec::new(),
        }
    }

    /// What is said of a trouble goes by this.
    pub(super) fn circumstances(&self) -> Circumstances<'_> {
        let Self { port, interval, models, runs_as, .. } = self;
        Circumstances { port, interval: *interval, models, runs_as: *runs_as }
    }

    pub(super) fn note(&mut self, polled: &Polled, took: Duration) {
        for line in self.lines(polled, took) {
            match line {
                Entry::Info(text) => info!("{text}"),
                Entry::Warn(text) => warn!("{text}"),
                Entry::Debug(text) => debug!("{text}"),
            }
        }
    }

    /// What to log of a poll.
    pub(super) fn lines(&mut self, polled: &Polled, took: Duration) -> Vec<Entry> {
        let mut lines = Vec::new();
        let Polled { readings, missing, changes, trouble, news, exchange, .. } = polled;
        if let Some(exchange) = exchange {
            lines.push(Entry::Warn(exchange_words(exchange, readings)));
            // What was told was of the other one.
            self.told.clear();
            (self.partial, self.condition) = (None, None);
            self.contradictions.clear();
        }
        lines.extend(news.as_ref().map(|news| {
            let words = news.words(self.runs_as);
            if news.is_warning() { Entry::Warn(words) } else { Entry::Info(words) }
        }));
        match (trouble, readings.is_empty()) {
            // Nothing at all: a change of state, told once.
            (Some(trouble), true) => {
                if let State::Troubled { trouble: known, .. } = &self.state
                    && known.is_like(trouble)
                {
                    lines.push(Entry::Debug(format!("{}, as before", trouble.words(&self.port))));
                } else {
                    lines.push(Entry::Warn(format!(
                        "{}. {} Trying again until it works; this is said only once.",
                        trouble.words(&self.port),
                        trouble.hint(&self.circumstances()),
                    )));
                    let since = match &self.state {
                        State::Troubled { since, .. } => *since,
                        State::Unknown | State::Answering => Instant::now(),
                    };
                    self.state = State::Troubled { trouble: trouble.clone(), since };
                }
                return lines;
            }
            (Some(trouble), false)
                if self.partial.as_ref().is_some_and(|(known, _)| known.is_like(trouble)) =>
            {
                self.partial = Some((trouble.clone(), 0));
            }
            (Some(trouble), false) => {
                self.partial = Some((trouble.clone(), 0));
                lines.push(Entry::Warn(format!(
                    "{}, so some values could not be read. {} This is said only once.",
                    trouble.words(&self.port),
                    trouble.hint(&self.circumstances()),
                )));
            }
            (None, _) => {
                let again = |(known, complete): (Trouble, u32)| {
                    let complete = complete.saturating_add(1);
                    (complete < COMPLETE_AGAIN).then_some((known, complete))
                };
                self.partial = self.partial.take().and_then(again);
            }
        }
        if let State::Troubled { since, .. } = &self.state {
            lines.push(Entry::Info(format!(
                "The meter answers again, after {}.",
                words(since.elapsed())
            )));
        }
        self.state = State::Answering;
        lines.extend(self.condition(polled));
        for (register, doubt) in changes {
            lines.push(Entry::Warn(format!(
                "{} {doubt}. Two readings agree, so it is published.",
                register_words(*register)
            )));
        }
        lines.extend(self.contradictions(polled));
        lines.extend(self.absences(missing));
        for reading in readings {
            self.told.remove(&reading.register);
        }
        let asked = readings.len().saturating_add(missing.len());
        lines.push(Entry::Info(format!(
            "Read {} in {}{}.",
            count_words(readings.len(), asked),
            words(took),
            unread_words(missing),
        )));
        lines
    }

    /// What to log of readings that do not fit together.
    fn contradictions(&mut self, polled: &Polled) -> Vec<Entry> {
        let mut lines = Vec::new();
        for relation in &polled.contradictions {
            if self.contradictions.insert(*relation) {
                let registers = relation.registers().map(|register| {
                    register
                        .info()
                        .map_or_else(|| register.to_string(), |it| format!("`{}`", it.key))
                });
                lines.push(Entry::Warn(format!(
                    "{} {relation}. The meter gives them so twice, so they are published.",
                    listed(&registers)
                )));
            }
        }
        lines
    }

    /// What to log of registers that have no value, and none in later polls.
    fn absences(&mut self, missing: &[(RegisterId, Missing)]) -> Vec<Entry> {
        let mut lines = Vec::new();
        let mut news: Vec<(&Missing, Vec<String>)> = Vec::new();
        for (register, reason) in missing {
            let may_come = matches!(
                reason,
                Missing::NoAnswer | Missing::Doubtful | Missing::Omitted | Missing::OtherMeter
            );
            if may_come || !self.told.insert(*register) {
                continue;
            }
            let words = register_words(*register);
            match news.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, registers)) if matches!(reason, Missing::Fault(_)) => {
                    registers.push(words);
                }
                _ => news.push((reason, vec![words])),
            }
        }
        for (reason, registers) in news {
            let are = if registers.len() > 1 { "are" } else { "is" };
            lines.push(Entry::Warn(format!(
                "{} {are} not published: {reason}.",
                listed(&registers)
            )));
        }
        lines
    }

    /// What to log of the meter's own faults.
    fn condition(&mut self, polled: &Polled) -> Option<Entry> {
        // It is not asked for in every poll.
        let condition = polled.condition.as_ref()?;
        let before = self.condition.replace(condition.clone());
        match (before.map_or(0, |before| before.code), condition.code) {
            (before, now) if before == now => None,
            (_, 0) => Some(Entry::Info(format!("The meter reports {condition} any more."))),
            _ => Some(Entry::Warn(format!(
                "The meter reports {condition}. If that stays, tell the utility that owns the meter."
            ))),
        }
    }
}

#[derive(Debug)]
pub(super) enum Entry {
    Info(String),
    Warn(String),
    Debug(String),
}

/// `6 of 7 values`
pub(crate) fn count_words(read: usize, asked: usize) -> String {
    let values = if asked == 1 { "value" } else { "values" };
    format!("{read} of {asked} {values}")
}

/// `, without volume, flow and 3 more`
pub(super) fn unread_words(missing: &[(RegisterId, Missing)]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = missing
        .iter()
        .take(SHOWN)
        .map(|(register, _)| {
            register.info().map_or_else(|| register.to_string(), |info| info.key.to_owned())
        })
        .collect();
    if let Some(more @ 1..) = missing.len().checked_sub(SHOWN) {
        names.push(format!("{more} more"));
    }
    if names.is_empty() { String::new() } else { format!(", without {}", listed(&names)) }
}

/// `a`, `a and b`, `a, b and c`
fn listed(names: &[String]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// What to log of an exchange, with what the new meter counts.
fn exchange_words(exchange: &Exchange, readings: &[Reading]) -> String {
    let counted = |readings: &mut dyn Iterator<Item = &Reading>| {
        let shown: Vec<String> = readings
            .map(|reading| {
                let Reading { register, value, unit, .. } = reading;
                let name =
                    register.info().map_or_else(|| register.to_string(), |it| it.key.to_owned());
                format!("`{name}` {value} {unit}").trim_end().to_owned()
            })
            .collect();
        shown.join(", ")
    };
    let in_parentheses = |word: &str, counted: String| match counted.as_str() {
        "" => counted,
        counted => format!(" ({word}{counted})"),
    };
    let Exchange { from, last, to } = exchange;
    let before = in_parentheses("last ", counted(&mut last.iter()));
    let registers: Vec<_> = last.iter().map(|reading| reading.register).collect();
    let now = readings.iter().filter(|reading| registers.contains(&reading.register));
    let mut now: Vec<_> = now.collect();
    now.sort_by_key(|reading| reading.register);
    let now = in_parentheses("", counted(&mut now.into_iter()));
    format!(
        "The meter was exchanged: serial number {from}{before} is gone, and {to}{now} answers. From now \
         on readings belong to {to}."
    )
}

/// `energy (register 60)`
fn register_words(register: RegisterId) -> String {
    match register.info() {
        Some(info) => format!("`{}` (register {register})", info.key),
        None => format!("Register {register}"),
    }
}

/// What went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What happened.
    pub words: String,
    /// What to do about it.
    pub hint: String,
}

impl Trouble {
    pub(super) fn complaint(&self, about: &Circumstances<'_>) -> Complaint {
        Complaint { words: self.words(about.port).to_string(), hint: self.hint(about) }
    }

    /// Whether it calls for the same line in the log. What is heard of a meter whose head is off
    /// changes with the light in the room.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            // What a serial server says may have the time in it.
            (Self::Port(OpenError::Unwanted { .. }), Self::Port(OpenError::Unwanted { .. }))
            | (Self::Broken(_), Self::Broken(_))
            | (Self::Meter(_), Self::Meter(_))
            | (Self::Unrecognized, Self::Unrecognized) => true,
            (Self::Port(this), Self::Port(other)) => this == other,

            _ => false,
        }
    }

    pub(super) fn words(&self, port: &str) -> impl fmt::Display {
        match self {
            Self::Port(error) => format!("The meter's port {port} cannot be opened: {error}"),
            Self::Broken(error) => format!("The connection over {port} broke: {error}"),
            Self::Meter(Heard::Nothing) => format!("The meter is silent: no answer over {port}"),
            Self::Meter(heard) => format!("The meter cannot be read over {port}: {heard}"),
            Self::Unrecognized => format!(
                "The meter over {port} gives values, but not its serial number, so it may be another \
                 meter than before"
            ),
        }
    }

    pub(super) fn hint(&self, about: &Circumstances<'_>) -> String {
        let words = match self {
            Self::Port(error) => error.hint(about.runs_as),
            Self::Broken(_) => {
                "Check the plug of the optical head, or the power and network of the serial server."
            }
            Self::Meter(Heard::Nothing) => {
                return format!(
                    "Check that the optical head sits in its place on the meter, the right way up \
                     and held by its magnet, and press a key on the meter{}{}",
                    sleep_words(about),
                    server_words(about.port)
                );
            }
            Self::Unrecognized => {
                "Its values are published again once it has given its serial number. If this lasts, \
                 move or turn the optical head a little."
            }
            Self::Meter(Heard::OwnEcho) => {
                "The head works, since it sends back what it gets, but the meter does not answer: \
                 move or turn the head a little, and press a key on the meter."
            }
            Self::Meter(Heard::Noise | Heard::Damaged | Heard::Foreign | Heard::OtherOrder) => {
                "Move or turn the optical head a little and keep bright light off it; if it is on \
                 a serial server, check that this is set to 1200 baud, 8 data bits, no parity and \
                 2 stop bits."
            }
        };
        words.to_owned()
    }
}

/// With such an interval a port that sleeps after 30 minutes may be asleep at each poll.
const SELDOM: Duration = Duration::from_secs(25 * 60);

/// What may be wrong between here and the head.
fn server_words(port: &str) -> &'static str {
    if port.starts_with("socket://") {
        " If it stays silent, check that this is the serial server's port for the line, and not that of \
         a web page, and that it hands on bytes as they are (raw TCP), at 1200 baud, 8 data bits, no \
         parity and 2 stop bits."
    } else {
        ""
    }
}

/// How the meter's optical port sleeps; goes on after "press a key on the meter". Where it may be
/// one of several models, only what is true of all.
fn sleep_words(about: &Circumstances<'_>) -> &'static str {
    let mut each = about.models.iter().map(|model| sleep_words_of(Some(*model), about.interval));
    match each.next() {
        Some(first) if each.all(|other| other == first) => first,
        _ => sleep_words_of(None, about.interval),
    }
}

fn sleep_words_of(model: Option<Model>, interval: Duration) -> &'static str {
    match model {
        // matthijsvisser/kamstrup-402-mqtt issue 3, ronaldvdmeer/multical402-4-domoticz README.
        Some(Model::Multical402) if interval >= SELDOM => {
            ": a 402 switches its optical port off about 30 minutes after it was last used, so poll \
             it more often than that."
        }
        // TD 403 p.130, TD 603 p.147, TD 803 p.164.
        Some(Model::Multical303 | Model::Multical403 | Model::Multical603 | Model::Multical803) => {
            ": this meter switches its optical port off where no magnet is near, so the head must \
             have one and sit right on the mark."
        }
        // pfugl/Kamstrup-602 README, cfeenstra1024/kamstrup-multical-hardware issue 7.
        Some(Model::Multical602) => {
            ": a 602 switches its optical port off after some minutes unless the magnet sits right; \
             turn the head upside down if it does not help, since the magnet's poles count."
        }
        // TD 21, German edition 5512-898_N1 p.50.
        Some(Model::Multical21) => {
            ", or take the head off and put it on again: this meter opens its optical port some \
             seconds after a magnet came, and the magnet's poles count."
        }
        Some(Model::Multical302 | Model::Multical402 | Model::Multical601 | Model::Multical801)
        | None => ": many switch the optical port off when nobody uses it.",
    }
}

/// `0.9 s`, `45 s`, `5 min`, `3 h 20 min`
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        _ => match minutes % 60 {
            0 => format!("{hours} h"),
            minutes => format!("{hours} h {minutes} min"),
        },
    }
}
