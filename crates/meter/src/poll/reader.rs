//! Reads a meter on demand: the plan's registers once, or many registers in a scan.

use std::collections::BTreeSet;

use kmp::message::GetRegister;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::diagnose::withhold_spoilt;
use super::explanation::Explanation;
use super::extent::Extent;
use super::logs::{LogRead, LogWork};
use super::memory::Memory;
use super::once::poll;
use super::order::FirstOrder;
use super::outcome::{PollError, Polled};
use super::plan::Plan;
use super::requests::{Group, Requests};
use super::result::PollResult;
use super::session::Session;
use crate::client::NoAnswer;
use crate::condition::is_suspicious;
use crate::identity::Identity;
use crate::logger::{LogReading, LogStep};
use crate::reading::{Missing, Reading};
use crate::transport::Open;

/// How many times in a row a scan repeats requests without a valid answer.
const FAILURES: u32 = 2;

/// Reads a meter on demand, and remembers what it has learned about it.
#[derive(Debug)]
pub struct Reader<O> {
    plan: Plan<O>,
    memory: Memory,
}

/// The progress of a scan.
#[derive(Debug)]
pub struct Progress<'a> {
    /// How many of the registers have been requested.
    pub asked: usize,
    /// The readings since the last progress.
    pub found: &'a [Reading],
}

/// The result of a scan.
#[derive(Debug)]
pub struct Scanned {
    /// The registers that the meter has, by number.
    pub readings: Vec<Reading>,
    /// The registers that the meter has but whose values are not valid or too long for the line, and
    /// those that silence it.
    pub odd: Vec<(RegisterId, Missing)>,
    /// All registers up to this one were requested; `None` if none were.
    pub to: Option<RegisterId>,
    /// Whether all of them were requested.
    pub complete: bool,
    /// Why the scan ended early.
    pub trouble: Option<Explanation>,
}

impl Scanned {
    /// The registers that the meter has, including those whose values cannot be read at the moment.
    #[must_use]
    pub fn present(&self) -> Vec<RegisterId> {
        let odd = self.odd.iter().filter_map(|(register, reason)| match reason {
            Missing::Fault(_)
            | Missing::NoValue(_)
            | Missing::Doubtful
            | Missing::MayBeLate
            | Missing::Outdated
            | Missing::WithoutE1
            | Missing::TooLong => Some(*register),
            Missing::Omitted
            | Missing::LeftOut
            | Missing::Silences
            | Missing::NoAnswer
            | Missing::Postponed
            | Missing::OtherMeter => None,
        });
        let readings = self.readings.iter().map(|reading| reading.register);
        let all: BTreeSet<_> = readings.chain(odd).collect();
        all.into_iter().collect()
    }
}

impl<O: Open> Reader<O> {
    /// A reader that knows nothing about the meter yet.
    #[must_use]
    pub fn new(plan: Plan<O>) -> Self {
        let memory = Memory::beginning_at(FirstOrder::random(), plan.version);
        Self { plan, memory }
    }

    /// Finds out this much about the meter, apart from the values. Default: which meter it is.
    #[must_use]
    pub fn finding_out(mut self, extent: Extent) -> Self {
        self.memory.extent = extent;
        self
    }

    /// Reads the plan's registers. The first time, it also identifies the meter, unless
    /// [`Self::finding_out`] says otherwise.
    pub async fn read(&mut self, stop: &CancellationToken) -> PollResult {
        let started = Instant::now();
        let registers = self.plan.registers.iter();
        let polled = poll(&self.plan, &mut self.memory, stop).await.unwrap_or_else(|| Polled {
            missing: registers.map(|register| (*register, Missing::NoAnswer)).collect(),
            ..Polled::default()
        });
        let trouble = polled.trouble.as_ref().map(|error| explain(error, &self.plan, &self.memory));
        PollResult::new(polled, trouble, started.elapsed(), &mut self.memory)
    }

    /// Reads other registers from now on.
    pub async fn read_others(
        &mut self,
        registers: Vec<RegisterId>,
        stop: &CancellationToken,
    ) -> PollResult {
        self.plan.registers = registers;
        self.read(stop).await
    }

    /// Requests the plan's registers, eight at a time over one connection, to find out which of
    /// them the meter has. It ends early if `stop` is cancelled or the meter no longer answers, and
    /// returns what it has found.
    pub async fn scan(
        &mut self,
        stop: &CancellationToken,
        progress: impl FnMut(Progress<'_>),
    ) -> Scanned {
        let Self { plan, memory } = self;
        let mut scan = Scan::new(plan.registers.clone(), memory);
        scan.run(plan, memory, stop, || false, progress).await;
        scan.finish(plan, memory)
    }

    /// Reads a log of the meter. It ends early if `stop` is cancelled or the meter no longer answers.
    pub async fn read_log(
        &mut self,
        reading: LogReading,
        stop: &CancellationToken,
        report: impl FnMut(LogStep<'_>),
    ) -> LogRead {
        let Self { plan, memory } = self;
        let mut work = LogWork::new(reading);
        work.run(plan, memory, stop, || false, report).await;
        work.finish(plan, memory)
    }

    /// The identity of the meter, as far as it is known.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.memory.identification.identity()
    }
}

/// A scan. It can pause between two requests, while the port is used for something else.
#[derive(Debug)]
pub(super) struct Scan {
    groups: Groups,
    polled: Polled,
    /// The requests that a broken connection has left.
    under_way: Requests,
    attempts: Attempts,
}

impl Scan {
    /// A scan for these registers, with a memory of its own.
    pub(super) fn new(wanted: Vec<RegisterId>, memory: &mut Memory) -> Self {
        memory.scan_mode = true;
        let groups = Groups::new(wanted, memory);
        Self {
            groups,
            polled: Polled::default(),
            under_way: Requests::new(),
            attempts: Attempts::default(),
        }
    }

    /// Continues until `must_pause`. Returns whether the scan has ended.
    pub(super) async fn run<O: Open>(
        &mut self,
        plan: &Plan<O>,
        memory: &mut Memory,
        stop: &CancellationToken,
        must_pause: impl Fn() -> bool,
        mut progress: impl FnMut(Progress<'_>),
    ) -> bool {
        let Self { groups, polled, under_way, attempts } = self;
        // While it paused, polls may have made requests.
        memory.begun = Some(Instant::now());
        while !attempts.are_spent() {
            polled.trouble = None;
            let stream = match attempts.open(plan, stop).await {
                Ok(stream) => stream,
                Err(trouble) => {
                    polled.trouble = trouble;
                    return true;
                }
            };
            let client = memory.line.client(stream, plan.line);
            let mut session = Session { client, polled, requests: under_way, memory, stop };
            let is_paused = groups.read(&mut session, &must_pause, &mut progress).await;
            if !is_paused && session.polled.trouble.is_none() && !stop.is_cancelled() {
                session.memory.learn_identity(&session.polled.readings);
                session.ask_type_and_serial().await;
            }
            let is_refused = matches!(session.polled.trouble, Some(PollError::Port(_)));
            let is_broken_off = session.polled.is_broken_off();
            session.close();
            // A connection that another meter's has crowded out is opened when that one has ended.
            let is_interrupted = is_broken_off || (is_refused && plan.port.was_crowded_out());
            if !is_interrupted {
                return !is_paused;
            }
            attempts.note_broken();
        }
        true
    }

    /// The result of a scan that has ended.
    pub(super) fn finish<O>(self, plan: &Plan<O>, memory: &mut Memory) -> Scanned {
        let Self { mut groups, polled, under_way, .. } = self;
        groups.pending.extend(under_way);
        groups.finish(polled, plan, memory)
    }
}

/// The registers of a scan, in groups.
#[derive(Debug)]
struct Groups {
    wanted: Vec<RegisterId>,
    pending: Requests,
    /// How many registers have been requested.
    asked: usize,
    /// How many readings have been shown.
    shown: usize,
    /// How many times in a row the current group had no valid answer.
    failures: u32,
}

impl Groups {
    fn new(wanted: Vec<RegisterId>, memory: &Memory) -> Self {
        // The registers that identify the meter are first, so that its info code can be explained.
        let first: Vec<_> = memory.identification.registers().collect();
        let rest: Vec<_> = wanted.iter().copied().filter(|id| !first.contains(id)).collect();
        let chunks = first.chunks(GetRegister::MAX).chain(rest.chunks(GetRegister::MAX));
        let pending = chunks.map(Group::whole).collect();
        Self { wanted, pending, asked: 0, shown: 0, failures: 0 }
    }

    /// Requests groups over a connection until it breaks, none are left, or `must_pause`. Returns
    /// whether the scan has paused.
    async fn read(
        &mut self,
        session: &mut Session<'_>,
        must_pause: &impl Fn() -> bool,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> bool {
        while !session.stop.is_cancelled() {
            if session.requests.is_empty() {
                match self.pending.pop_front() {
                    Some(group) => {
                        self.asked = self.asked.saturating_add(group.registers.len());
                        session.requests.push_back(group);
                        self.failures = 0;
                    }
                    // The connection may have broken before the last ones were read twice.
                    None if session.polled.doubtful.is_empty() => return false,
                    None => {}
                }
            }
            session.polled.trouble = None;
            session.read_all().await;
            session.confirm().await;
            // Registers with three different readings are reported, and no longer requested.
            if !session.polled.is_broken_off() {
                let doubtful = session.polled.doubtful.drain(..);
                let doubtful = doubtful.map(|it| (it.reading.register, Missing::Doubtful));
                session.polled.missing.extend(doubtful);
            }
            self.show(session.polled, progress);
            if !self.may_continue(session.polled) {
                return false;
            }
            if session.polled.trouble.is_none() && !self.pending.is_empty() && must_pause() {
                return true;
            }
        }
        false
    }

    fn show(&mut self, polled: &Polled, progress: &mut impl FnMut(Progress<'_>)) {
        let is_shown = |reading: &&Reading| {
            self.wanted.contains(&reading.register) && !is_suspicious(reading, &polled.readings)
        };
        let new = polled.readings.get(self.shown..).unwrap_or_default();
        let found: Vec<Reading> = new.iter().filter(is_shown).cloned().collect();
        progress(Progress { asked: self.asked, found: &found });
        self.shown = polled.readings.len();
    }

    /// Whether the scan continues. A line that is sometimes noisy does not end it.
    fn may_continue(&mut self, polled: &Polled) -> bool {
        let is_unanswered = polled.readings.is_empty() && polled.missing.is_empty();
        match polled.trouble {
            None => true,
            // There is no meter. It got as many tries as in a poll.
            Some(PollError::Meter(NoAnswer::Nothing | NoAnswer::OwnEcho)) if is_unanswered => false,
            Some(PollError::Meter(_)) if self.failures < FAILURES => {
                self.failures = self.failures.saturating_add(1);
                true
            }
            Some(_) => false,
        }
    }

    fn finish<O>(self, mut polled: Polled, plan: &Plan<O>, memory: &mut Memory) -> Scanned {
        let Self { wanted, pending, .. } = self;
        let complete = pending.is_empty() && polled.doubtful.is_empty();
        // Nothing is certain about a group that was not finished.
        let unread = pending.iter().flat_map(|group| &group.registers);
        let doubtful = polled.doubtful.iter().map(|it| &it.reading.register);
        let first_open = unread.chain(doubtful).filter(|id| wanted.contains(id)).min();
        let to = match first_open {
            None => wanted.last().copied(),
            Some(open) => wanted.iter().copied().filter(|id| id < open).max(),
        };
        memory.learn_identity(&polled.readings);
        withhold_spoilt(&mut polled, memory);
        let Polled { mut readings, missing: mut odd, trouble, .. } = polled;
        readings.retain(|reading| wanted.contains(&reading.register));
        readings.sort_unstable_by_key(|reading| reading.register);
        odd.retain(|(register, reason)| {
            !matches!(reason, Missing::Omitted | Missing::LeftOut | Missing::NoAnswer)
                && wanted.contains(register)
        });
        odd.sort_by_key(|(register, _)| *register);
        let trouble = trouble.map(|error| explain(&error, plan, memory));
        Scanned { readings, odd, to, complete, trouble }
    }
}

fn explain<O>(error: &PollError, plan: &Plan<O>, memory: &Memory) -> Explanation {
    error.explain(
        &plan.hint_context(&memory.identification.known_models(), memory.line.has_answered),
    )
}
