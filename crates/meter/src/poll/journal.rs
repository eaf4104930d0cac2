//! Polls in words: one log line for each good poll, and one for each change of state.

use std::collections::BTreeSet;
use std::time::Duration;

use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Plan;
use super::outcome::{HintContext, PollError, Polled};
use crate::RunsAs;
use crate::condition::Condition;
use crate::consistency::Relation;
use crate::identity::Exchange;
use crate::reading::{Missing, Reading};

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
    partial: Option<(PollError, u32)>,
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
    Troubled { trouble: PollError, since: Instant },
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
    pub(super) fn hint_context(&self) -> HintContext<'_> {
        let Self { port, interval, models, runs_as, .. } = self;
        HintContext { port, interval: *interval, models, runs_as: *runs_as }
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
                        trouble.hint(&self.hint_context()),
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
                    trouble.hint(&self.hint_context()),
                )));
            }
            (None, _) => {
                let again = |(known, complete): (PollError, u32)| {
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
#[must_use]
pub fn count_words(read: usize, asked: usize) -> String {
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

/// `0.9 s`, `45 s`, `5 min`, `3 h 20 min`
#[must_use]
pub fn words(duration: Duration) -> String {
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
