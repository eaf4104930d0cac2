//! The log of polls: one line for each good poll, and one for each change of state.

use std::collections::BTreeSet;
use std::time::Duration;

use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::explanation::HintContext;
use super::outcome::{PollError, Polled};
use super::plan::Plan;
use crate::RunsAs;
use crate::consistency::Relation;
use crate::duration::words;
use crate::identity::Exchange;
use crate::news::News;
use crate::reading::{Missing, Reading};

/// Turns polls into log lines, and remembers what it has reported.
#[derive(Debug)]
pub(super) struct Journal {
    port: String,
    interval: Duration,
    runs_as: RunsAs,
    state: State,
    /// Registers whose absence has been reported.
    absent: BTreeSet<RegisterId>,
    /// The reported error that keeps polls from being complete, and how many were complete since.
    partial: Option<(PollError, u32)>,
    /// The reported relations between readings that the meter does not keep.
    contradictions: BTreeSet<Relation>,
    /// The last info code.
    info_code: News<u32>,
}

/// After this many complete polls an incomplete one is reported again.
const COMPLETE_AGAIN: u32 = 5;

#[derive(Debug)]
enum State {
    Unknown,
    Answering,
    Troubled { trouble: PollError, since: Instant },
}

/// Info code 0 means no fault.
const NO_FAULT: u32 = 0;

impl Journal {
    pub(super) fn new<O>(plan: &Plan<O>) -> Self {
        Self {
            port: plan.port_name.clone(),
            interval: plan.interval,
            runs_as: plan.runs_as,
            state: State::Unknown,
            absent: BTreeSet::new(),
            partial: None,
            contradictions: BTreeSet::new(),
            info_code: News::known(NO_FAULT),
        }
    }

    /// Logs a poll of a meter that may be one of these models.
    pub(super) fn log(&mut self, polled: &Polled, took: Duration, models: &[Model]) {
        for entry in self.entries(polled, took, models) {
            match entry {
                Entry::Info(text) => info!("{text}"),
                Entry::Warn(text) => warn!("{text}"),
                Entry::Debug(text) => debug!("{text}"),
            }
        }
    }

    /// What to log of a poll.
    pub(super) fn entries(
        &mut self,
        polled: &Polled,
        took: Duration,
        models: &[Model],
    ) -> Vec<Entry> {
        let Polled { readings, missing, changes, trouble, identity_report, exchange, .. } = polled;
        let mut entries = Vec::new();
        if let Some(exchange) = exchange {
            entries.push(Entry::Warn(describe_exchange(exchange, readings)));
            self.forget_meter();
        }
        entries.extend(identity_report.as_ref().map(|report| {
            let text = report.describe(self.runs_as);
            if report.is_warning() { Entry::Warn(text) } else { Entry::Info(text) }
        }));
        match trouble {
            Some(trouble) if readings.is_empty() => {
                entries.push(self.failure(trouble, models));
                return entries;
            }
            Some(trouble) => entries.extend(self.partial_failure(trouble, models)),
            None => self.note_complete(),
        }
        if let State::Troubled { since, .. } = &self.state {
            entries.push(Entry::Info(format!(
                "The meter answers again, after {}.",
                words(since.elapsed())
            )));
        }
        self.state = State::Answering;
        entries.extend(self.condition(polled));
        for (register, doubt) in changes {
            entries.push(Entry::Warn(format!(
                "{} {doubt}. Two readings agree, so it is published.",
                register_words(*register)
            )));
        }
        entries.extend(self.contradictions(polled));
        entries.extend(self.absences(missing));
        for reading in readings {
            self.absent.remove(&reading.register);
        }
        let asked = readings.len().saturating_add(missing.len());
        entries.push(Entry::Info(format!(
            "Read {} in {}{}.",
            count_words(readings.len(), asked),
            words(took),
            unread_words(missing),
        )));
        entries
    }

    /// What was reported was about the meter before.
    fn forget_meter(&mut self) {
        self.absent.clear();
        self.partial = None;
        self.contradictions.clear();
        self.info_code = News::known(NO_FAULT);
    }

    /// What to log of a poll that read nothing: a change of state, reported once.
    fn failure(&mut self, trouble: &PollError, models: &[Model]) -> Entry {
        let since = match &self.state {
            State::Troubled { trouble: known, .. } if known.is_like(trouble) => {
                return Entry::Debug(format!("{}, as before", trouble.describe(&self.port)));
            }
            State::Troubled { since, .. } => *since,
            State::Unknown | State::Answering => Instant::now(),
        };
        self.state = State::Troubled { trouble: trouble.clone(), since };
        Entry::Warn(format!(
            "{}. {} Trying again until it works; this is said only once.",
            trouble.describe(&self.port),
            trouble.hint(&self.hint_context(models)),
        ))
    }

    /// What to log of a poll that did not read everything.
    fn partial_failure(&mut self, trouble: &PollError, models: &[Model]) -> Option<Entry> {
        let before = self.partial.replace((trouble.clone(), 0));
        if before.is_some_and(|(known, _)| known.is_like(trouble)) {
            return None;
        }
        Some(Entry::Warn(format!(
            "{}, so some values could not be read. {} This is said only once.",
            trouble.describe(&self.port),
            trouble.hint(&self.hint_context(models)),
        )))
    }

    fn note_complete(&mut self) {
        if let Some((_, complete)) = &mut self.partial {
            *complete = complete.saturating_add(1);
            if *complete >= COMPLETE_AGAIN {
                self.partial = None;
            }
        }
    }

    fn hint_context<'a>(&'a self, models: &'a [Model]) -> HintContext<'a> {
        let Self { port, interval, runs_as, .. } = self;
        HintContext { port, interval: *interval, models, runs_as: *runs_as }
    }

    /// What to log of readings that do not fit together.
    fn contradictions(&mut self, polled: &Polled) -> Vec<Entry> {
        let mut entries = Vec::new();
        for relation in &polled.contradictions {
            if self.contradictions.insert(*relation) {
                let registers = relation.registers().map(|register| {
                    register
                        .info()
                        .map_or_else(|| register.to_string(), |it| format!("`{}`", it.key))
                });
                entries.push(Entry::Warn(format!(
                    "{} {relation}. The meter gives them so twice, so they are published.",
                    listed(&registers)
                )));
            }
        }
        entries
    }

    /// What to log of registers that have no value, and will have none in later polls.
    fn absences(&mut self, missing: &[(RegisterId, Missing)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut news: Vec<(&Missing, Vec<String>)> = Vec::new();
        for (register, reason) in missing {
            let may_come = matches!(
                reason,
                Missing::NoAnswer | Missing::Doubtful | Missing::Omitted | Missing::OtherMeter
            );
            if may_come || !self.absent.insert(*register) {
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
            entries.push(Entry::Warn(format!(
                "{} {are} not published: {reason}.",
                listed(&registers)
            )));
        }
        entries
    }

    /// What to log of the meter's own faults. The info code is not requested in every poll.
    fn condition(&mut self, polled: &Polled) -> Option<Entry> {
        let condition = polled.condition.as_ref()?;
        if !self.info_code.is_new(condition.code) {
            return None;
        }
        Some(match condition.code {
            NO_FAULT => Entry::Info(format!("The meter reports {condition} any more.")),
            _ => Entry::Warn(format!(
                "The meter reports {condition}. If that stays, tell the utility that owns the meter."
            )),
        })
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
fn describe_exchange(exchange: &Exchange, readings: &[Reading]) -> String {
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
