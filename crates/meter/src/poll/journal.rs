//! The log of polls. At INFO and above: the first reading, each change of state, and a summary once
//! an hour. Every other poll is a line at DEBUG.
//!
//! An hour begins with the first reading or the last summary, not by the wall clock. At an interval
//! of an hour or more, each reading is logged, and there are no summaries. If a meter stays silent,
//! the silence is logged again once an hour.

use std::collections::BTreeSet;
use std::time::Duration;

use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::capacity::CapacityReport;
use super::explanation::{HintContext, is_server};
use super::names::{listed, register_words, unread_words};
use super::outcome::{PollError, Polled};
use super::plan::Plan;
use super::result::PollResult;
use super::summary::{Summary, last_words};
use crate::RunsAs;
use crate::client::NoAnswer;
use crate::consistency::Relation;
use crate::container;
use crate::duration::words;
use crate::identity::Exchange;
use crate::news::News;
use crate::reading::{Missing, Reading};
use crate::transport::Open;

/// Turns polls into log lines, and remembers what it has reported.
#[derive(Debug)]
pub(super) struct Journal {
    port: String,
    interval: Duration,
    timeout: Duration,
    runs_as: RunsAs,
    state: State,
    /// Whether the meter has ever answered.
    has_answered: bool,
    summary: Summary,
    /// The registers without a value in the last poll that was logged above DEBUG.
    unread: BTreeSet<RegisterId>,
    /// The registers that were reported as missing since the last summary.
    warned: BTreeSet<RegisterId>,
    /// The registers that were reported because the meter has no value for them.
    absent: BTreeSet<RegisterId>,
    /// The failures that were reported, and when they last were.
    failures: Vec<(PollError, Instant)>,
    /// When failures were warned of in the last hour.
    warnings: Vec<Instant>,
    /// What was reported about incomplete polls.
    partial: Option<Partial>,
    /// The reported contradictions between readings.
    contradictions: BTreeSet<Relation>,
    info_code: News<u32>,
    /// Whether it was reported that the serial server is in telnet mode.
    is_telnet: bool,
    /// What was warned of, if that happens only once.
    warned_once: BTreeSet<Kind>,
}

/// After this many complete polls, the error of an incomplete one is reported again.
const COMPLETE_AGAIN: u32 = 5;

/// How many different failures are remembered. There are not that many at one port.
const FAILURES: usize = 32;

/// How many silences in an hour are warned of. More are a line that comes and goes with each poll.
const SILENCES: usize = 3;

/// How often there is a summary. Polls are not exactly an hour apart: one may end a little sooner
/// than another.
const NEARLY_AN_HOUR: Duration = Duration::from_secs(59 * 60);

#[derive(Debug)]
enum State {
    Unknown,
    Answering,
    Troubled {
        since: Instant,
        polls: u32,
        /// Whether this silence was reported above DEBUG.
        is_reported: bool,
    },
}

/// The reported errors that made polls incomplete, and the number of complete polls since the last.
#[derive(Debug, Default)]
struct Partial {
    errors: Vec<PollError>,
    complete: u32,
}

/// The time of a poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) ended: Instant,
    pub(super) took: Duration,
}

/// Info code 0 means no fault.
const NO_FAULT: u32 = 0;

impl Journal {
    pub(super) fn new<O>(plan: &Plan<O>) -> Self {
        Self {
            port: plan.port_name.clone(),
            interval: plan.interval,
            timeout: plan.line.answer_timeout(),
            runs_as: plan.runs_as,
            state: State::Unknown,
            has_answered: false,
            summary: Summary::default(),
            unread: BTreeSet::new(),
            warned: BTreeSet::new(),
            absent: BTreeSet::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
            partial: None,
            contradictions: BTreeSet::new(),
            info_code: News::known(NO_FAULT),
            is_telnet: false,
            warned_once: BTreeSet::new(),
        }
    }

    /// Logs a poll of a meter that may be one of these models.
    pub(super) fn log(&mut self, polled: &Polled, timing: Timing, models: &[Model]) {
        self.entries(polled, timing, models).into_iter().for_each(Entry::log);
    }

    /// Whether it is worth saying that a poll waits: only for the first one.
    pub(super) fn is_waiting_news(&self) -> bool {
        matches!(self.state, State::Unknown)
    }

    /// Logs what the first poll waits for.
    pub(super) fn log_waiting<O: Open>(plan: &Plan<O>) {
        info!("{}", plan.waiting_words());
    }

    /// Logs the summary if it is due. This is called after [`Journal::log`] for each poll.
    pub(super) fn log_summary(&mut self, result: &PollResult, ended: Instant) {
        self.summary_entry(result, ended).into_iter().for_each(Entry::log);
    }

    /// Returns the log entries of a poll.
    pub(super) fn entries(
        &mut self,
        polled: &Polled,
        timing: Timing,
        models: &[Model],
    ) -> Vec<Entry> {
        let Polled { readings, missing, changes, trouble, identity_report, exchange, .. } = polled;
        let mut entries = Vec::new();
        let had_answered = self.has_answered;
        self.has_answered |= polled.has_answered || !readings.is_empty();
        if let Some(exchange) = exchange {
            entries.push(Entry::Warn(Kind::Exchange, describe_exchange(exchange, readings)));
            self.forget_meter();
        }
        entries.extend(identity_report.as_ref().map(|report| {
            let text = report.describe(self.runs_as);
            if report.is_warning() {
                Entry::Warn(Kind::Identity, text)
            } else {
                Entry::Info(Kind::Identity, text)
            }
        }));
        entries.extend(polled.line.capacity.map(|report| self.capacity(report)));
        entries.extend(self.hidden_trouble(polled, models));
        entries.extend(self.unproven(missing, models));
        match trouble {
            Some(trouble) if readings.is_empty() => {
                entries.push(self.failure(trouble, timing.ended, models));
                return entries;
            }
            Some(trouble) => entries.extend(self.partial_failure(trouble, models)),
            None => self.note_complete(),
        }
        if let State::Troubled { since, is_reported: true, .. } = &self.state {
            let silent = words(timing.ended.saturating_duration_since(*since));
            let answers = if had_answered { "answers again" } else { "answers" };
            let text = format!("The meter {answers}. It had not been read for {silent}.");
            entries.push(Entry::Info(Kind::Failure, text));
        }
        entries.extend(self.condition(polled));
        for (register, doubt) in changes {
            let text = format!(
                "{} {doubt}. Two readings agree, so it is published.",
                register_words(*register)
            );
            entries.push(Entry::Warn(Kind::Doubt, text));
        }
        entries.extend(self.contradictions(polled));
        entries.extend(self.absences(missing));
        for reading in readings {
            self.absent.remove(&reading.register);
        }
        entries.push(self.reading(polled, timing.took));
        entries
    }

    /// Returns the entry of a poll in which the meter answered.
    fn reading(&mut self, polled: &Polled, took: Duration) -> Entry {
        let Polled { readings, missing, .. } = polled;
        let registers: BTreeSet<RegisterId> =
            missing.iter().map(|(register, _)| *register).collect();
        let asked = readings.len().saturating_add(missing.len());
        let mut text = format!(
            "Read {} in {}{}.",
            count_words(readings.len(), asked),
            words(took),
            unread_words(missing.iter().map(|(register, _)| *register)),
        );
        let before = std::mem::replace(&mut self.state, State::Answering);
        match before {
            State::Unknown if !self.is_polled_seldom() => {
                text.push_str(" From now on, the log has one summary an hour.");
            }
            State::Troubled { is_reported: true, .. } => self.warned.clear(),
            _ => {}
        }
        let is_silent_before =
            matches!(before, State::Unknown | State::Troubled { is_reported: true, .. });
        // Each register counts as newly missing once an hour, however often it comes and goes.
        let is_worse = !registers.is_subset(&self.warned);
        let is_better = registers != self.unread && registers.is_subset(&self.unread);
        let is_change = is_worse || is_better || is_silent_before;
        if !is_change && !self.is_polled_seldom() {
            return Entry::Debug(text);
        }
        // Registers in `absent` have a warning of their own.
        let is_unexplained =
            registers.difference(&self.warned).any(|register| !self.absent.contains(register));
        if self.is_polled_seldom() {
            self.warned.clear();
        }
        self.warned.extend(&registers);
        self.unread = registers;
        if is_unexplained {
            Entry::Warn(Kind::Reading, text)
        } else {
            Entry::Info(Kind::Reading, text)
        }
    }

    /// Whether each reading is logged, because a summary would be about one poll.
    fn is_polled_seldom(&self) -> bool {
        self.interval >= NEARLY_AN_HOUR
    }

    /// Counts a poll, and returns the summary if it is due.
    pub(super) fn summary_entry(&mut self, result: &PollResult, ended: Instant) -> Option<Entry> {
        if self.is_polled_seldom() {
            return None;
        }
        self.summary.count(result, ended);
        if self.summary.covers(ended)? < NEARLY_AN_HOUR {
            return None;
        }
        let summary = std::mem::replace(&mut self.summary, Summary::starting(ended));
        let missing = result.missing.iter().map(|(register, _)| *register);
        self.unread = missing.collect();
        self.warned.clone_from(&self.unread);
        // That the meter has been silent all the time is reported on its own.
        summary.describe(ended).map(|text| Entry::Info(Kind::Summary, text))
    }

    /// Forgets what was reported, because it was about the meter before.
    fn forget_meter(&mut self) {
        self.unread.clear();
        self.warned.clear();
        self.absent.clear();
        self.partial = None;
        self.contradictions.clear();
        self.info_code = News::known(NO_FAULT);
    }

    /// Returns the entry of a poll that read nothing. A silence is reported once, also if its failures
    /// alternate, and again after each hour. Of many short silences, only some are reported.
    fn failure(&mut self, trouble: &PollError, now: Instant, models: &[Model]) -> Entry {
        let (since, polls, mut is_reported) = match self.state {
            State::Troubled { since, polls, is_reported } => {
                (since, polls.saturating_add(1), is_reported)
            }
            State::Unknown | State::Answering => (now, 1, false),
        };
        let is_hour_ago = |at: Instant| now.saturating_duration_since(at) >= NEARLY_AN_HOUR;
        let known = self.failures.iter().find(|(known, _)| known.is_like(trouble));
        self.warnings.retain(|at| !is_hour_ago(*at));
        let is_rare = self.warnings.len() < SILENCES;
        let is_new = known.is_none_or(|(_, at)| *at < since && (is_rare || is_hour_ago(*at)));
        let last = self.failures.iter().map(|(_, at)| *at).max();
        let happened = trouble.describe(&self.port);
        let entry = if is_new {
            let hint = trouble.hint(&self.hint_context(models));
            let text = format!(
                "{happened}. {hint} kamstrup2mqtt keeps trying, and logs this at most once an hour."
            );
            self.warnings.push(now);
            Entry::Warn(Kind::Failure, text)
        } else if is_reported && last.is_none_or(is_hour_ago) {
            let silent = last_words(now.saturating_duration_since(since));
            let text = format!("Read 0 of {polls} times in the last {silent}. {happened}.");
            Entry::Info(Kind::Failure, text)
        } else {
            Entry::Debug(format!("{happened}, as before."))
        };
        if !matches!(entry, Entry::Debug(_)) {
            is_reported = true;
            self.failures.retain(|(known, _)| !known.is_like(trouble));
            if self.failures.len() >= FAILURES {
                self.failures.remove(0);
            }
            self.failures.push((trouble.clone(), now));
        }
        self.state = State::Troubled { since, polls, is_reported };
        entry
    }

    /// Returns the entry of a poll that did not read everything, if its error is new.
    fn partial_failure(&mut self, trouble: &PollError, models: &[Model]) -> Option<Entry> {
        let partial = self.partial.get_or_insert_default();
        partial.complete = 0;
        if partial.errors.len() >= FAILURES || partial.errors.iter().any(|it| it.is_like(trouble)) {
            return None;
        }
        partial.errors.push(trouble.clone());
        let text = format!(
            "{}, so some values could not be read. {} kamstrup2mqtt warns of this only once.",
            trouble.describe(&self.port),
            trouble.hint(&self.hint_context(models)),
        );
        Some(Entry::Warn(Kind::Partial, text))
    }

    /// Returns the entry of trouble that did not prevent this poll: the next one may fail.
    fn hidden_trouble(&mut self, polled: &Polled, models: &[Model]) -> Option<Entry> {
        let telnet = PollError::Telnet;
        self.is_telnet |= polled.trouble.as_ref().is_some_and(|trouble| trouble.is_like(&telnet));
        if polled.line.is_telnet && !std::mem::replace(&mut self.is_telnet, true) {
            let (happened, hint) =
                (telnet.describe(&self.port), telnet.hint(&self.hint_context(models)));
            return Some(Entry::Warn(Kind::Telnet, format!("{happened}. {hint}")));
        }
        let late = PollError::Meter(NoAnswer::Late(polled.line.lateness.longest));
        if polled.trouble.as_ref().is_some_and(|trouble| trouble.is_like(&late)) {
            self.warned_once.insert(Kind::Late);
        }
        if polled.is_late() && polled.trouble.is_none() && self.warned_once.insert(Kind::Late) {
            let (happened, hint) =
                (late.describe(&self.port), late.hint(&self.hint_context(models)));
            let text = format!("{happened}, and must be requested again. {hint}");
            return Some(Entry::Warn(Kind::Late, text));
        }
        None
    }

    /// Returns the entry of values that were withheld because their answers may be late.
    fn unproven(&mut self, missing: &[(RegisterId, Missing)], models: &[Model]) -> Option<Entry> {
        let is_unproven = |(_, why): &(RegisterId, Missing)| *why == Missing::MayBeLate;
        if !missing.iter().any(is_unproven) || !self.warned_once.insert(Kind::Unproven) {
            return None;
        }
        let late = PollError::Meter(NoAnswer::OtherOrder);
        let text = format!(
            "Answers of the meter on {} may belong to earlier requests, and the order of their values \
             does not show to which ones. So such a value may be requested only every minute or two. {} \
             kamstrup2mqtt warns of this only once.",
            self.port,
            late.hint(&self.hint_context(models)),
        );
        Some(Entry::Warn(Kind::Unproven, text))
    }

    /// Returns the entry of a change of the length of answers that the line carries.
    fn capacity(&self, report: CapacityReport) -> Entry {
        let text = match report {
            CapacityReport::Limited(bytes) => {
                let cause = if is_server(&self.port) {
                    "A small buffer in the serial server or weak light at the optical head can cause \
                     this."
                } else {
                    "Weak light at the optical head can cause this: move or turn the head a little."
                };
                format!(
                    "The line of {} does not carry answers of more than {bytes} bytes, so values are \
                     requested in smaller groups. {cause} A longer answer is tried again once a day.",
                    self.port
                )
            }
            CapacityReport::Unlimited => {
                format!("The line of {} carries long answers again.", self.port)
            }
        };
        Entry::Info(Kind::Capacity, text)
    }

    fn note_complete(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.complete = partial.complete.saturating_add(1);
            if partial.complete >= COMPLETE_AGAIN {
                self.partial = None;
            }
        }
    }

    fn hint_context<'a>(&'a self, models: &'a [Model]) -> HintContext<'a> {
        let Self { port, interval, timeout, runs_as, has_answered, .. } = self;
        HintContext {
            port,
            interval: *interval,
            models,
            has_answered: *has_answered,
            timeout: *timeout,
            runs_as: *runs_as,
            in_container: container::is_in(*runs_as),
        }
    }

    /// Returns the entries of readings that contradict each other.
    fn contradictions(&mut self, polled: &Polled) -> Vec<Entry> {
        let mut entries = Vec::new();
        for relation in &polled.contradictions {
            if self.contradictions.insert(*relation) {
                let registers = relation.registers().map(|register| {
                    register
                        .info()
                        .map_or_else(|| register.to_string(), |it| format!("`{}`", it.key))
                });
                let text = format!(
                    "{} {relation}. The meter sent these values twice, so they are published.",
                    listed(&registers)
                );
                entries.push(Entry::Warn(Kind::Contradiction, text));
            }
        }
        entries
    }

    /// Returns the entries of registers that have no value, and will have none in later polls.
    fn absences(&mut self, missing: &[(RegisterId, Missing)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut news: Vec<(&Missing, Vec<String>)> = Vec::new();
        for (register, reason) in missing {
            let may_be_read_later = matches!(
                reason,
                Missing::NoAnswer
                    | Missing::Doubtful
                    | Missing::MayBeLate
                    | Missing::Postponed
                    | Missing::Outdated
                    | Missing::Omitted
                    | Missing::OtherMeter
            );
            if may_be_read_later || !self.absent.insert(*register) {
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
            let text = format!("{} {are} not published: {reason}.", listed(&registers));
            entries.push(Entry::Warn(Kind::Absence, text));
        }
        entries
    }

    /// Returns the entry of the meter's own faults. Not every poll requests the info code.
    fn condition(&mut self, polled: &Polled) -> Option<Entry> {
        let condition = polled.condition.as_ref()?;
        if !self.info_code.is_new(condition.code) {
            return None;
        }
        Some(if condition.code == NO_FAULT {
            let text = "The meter no longer reports a fault (info code 0).";
            Entry::Info(Kind::Condition, text.to_owned())
        } else {
            let text = format!(
                "The meter reports {condition}. If this lasts, inform the utility that owns the meter."
            );
            Entry::Warn(Kind::Condition, text)
        })
    }
}

#[derive(Debug)]
pub(super) enum Entry {
    Info(Kind, String),
    Warn(Kind, String),
    Debug(String),
}

/// What an entry is about. The log limits how many lines of each kind it writes, because a meter can
/// make each of them different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Absence,
    Capacity,
    Condition,
    Contradiction,
    Doubt,
    Exchange,
    Failure,
    Identity,
    Late,
    Partial,
    Reading,
    Summary,
    Telnet,
    Unproven,
}

impl Entry {
    fn log(self) {
        match self {
            Self::Info(kind, text) => info!(?kind, "{text}"),
            Self::Warn(kind, text) => warn!(?kind, "{text}"),
            Self::Debug(text) => debug!("{text}"),
        }
    }
}

/// `6 of 7 values`
#[must_use]
pub fn count_words(read: usize, asked: usize) -> String {
    let values = if asked == 1 { "value" } else { "values" };
    format!("{read} of {asked} {values}")
}

/// Describes an exchange, with the last counters of the old meter and those of the new one.
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
