//! Reading when somebody asks: once, or register after register.

use std::collections::{BTreeSet, VecDeque};

use kmp::message::GetRegister;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::{Group, confirm, learn, leave, poll, read_all, withhold};
use super::identify::identify;
use super::memory::Memory;
use super::outcome::{HintContext, PollError, Polled};
use super::{Complaint, Plan, PollResult};
use crate::client::{Meter, NoAnswer};
use crate::condition::is_suspicious;
use crate::reading::{Missing, Reading};
use crate::transport::Open;

/// Reads a meter when it is asked to, and remembers what it has learned of it.
#[derive(Debug)]
pub struct Reader<O> {
    plan: Plan<O>,
    memory: Memory,
}

/// How far a scan has come.
#[derive(Debug)]
pub struct Progress<'a> {
    /// So many of the registers have been asked for.
    pub asked: usize,
    /// What came since the last progress.
    pub found: &'a [Reading],
}

/// What a scan gave.
#[derive(Debug)]
pub struct Scanned {
    /// The registers that the meter has, by number.
    pub readings: Vec<Reading>,
    /// Registers that it has, but whose value cannot be read, and those that make it fall silent.
    pub odd: Vec<(RegisterId, Missing)>,
    /// Up to here the registers were asked for, from the first on; `None` for none.
    pub to: Option<RegisterId>,
    /// Whether all of them were.
    pub complete: bool,
    /// What ended it too soon.
    pub trouble: Option<Complaint>,
}

impl Scanned {
    /// The registers that the meter has, also where their values are not to be had just now.
    #[must_use]
    pub fn present(&self) -> Vec<RegisterId> {
        let odd = self.odd.iter().filter_map(|(register, reason)| match reason {
            Missing::Fault(_) | Missing::NoValue(_) | Missing::Doubtful | Missing::WithoutE1 => {
                Some(*register)
            }
            Missing::Omitted
            | Missing::LeftOut
            | Missing::Silences
            | Missing::NoAnswer
            | Missing::OtherMeter => None,
        });
        let readings = self.readings.iter().map(|reading| reading.register);
        let all: BTreeSet<_> = readings.chain(odd).collect();
        all.into_iter().collect()
    }
}

impl<O: Open> Reader<O> {
    /// Of a meter that has not been asked for anything yet.
    #[must_use]
    pub fn new(plan: Plan<O>) -> Self {
        let memory = Memory::new(plan.version);
        Self { plan, memory }
    }

    /// Reads the plan's registers; the first time also what tells which meter it is.
    pub async fn read(&mut self, stop: &CancellationToken) -> PollResult {
        let started = Instant::now();
        let registers = self.plan.registers.iter();
        let polled = poll(&self.plan, &mut self.memory, stop).await.unwrap_or_else(|| Polled {
            missing: registers.map(|register| (*register, Missing::NoAnswer)).collect(),
            ..Polled::default()
        });
        let trouble = polled.trouble.as_ref();
        let trouble = trouble.map(|trouble| complaint(trouble, &self.plan, &self.memory));
        PollResult::new(polled, trouble, started.elapsed(), &mut self.memory)
    }

    /// Reads other registers than before.
    pub async fn read_others(
        &mut self,
        registers: Vec<RegisterId>,
        stop: &CancellationToken,
    ) -> PollResult {
        self.plan.registers = registers;
        self.read(stop).await
    }

    /// Asks for the plan's registers in eights, over one connection, to find out which the meter
    /// has. Ends early when `stop` is cancelled or the meter does not answer any more, with what
    /// was found so far.
    pub async fn scan(
        &mut self,
        stop: &CancellationToken,
        progress: impl FnMut(Progress<'_>),
    ) -> Scanned {
        scan(&self.plan, &self.plan.registers, &mut self.memory, stop, progress).await
    }

    /// Which meter it is, as far as it is known.
    #[must_use]
    pub fn identity(&self) -> crate::identity::Identity {
        self.memory.identification.identity()
    }
}

/// Asks for these registers, as [`Reader::scan`] does.
pub(super) async fn scan<O: Open>(
    plan: &Plan<O>,
    wanted: &[RegisterId],
    memory: &mut Memory,
    stop: &CancellationToken,
    mut progress: impl FnMut(Progress<'_>),
) -> Scanned {
    // A register that silences the meter costs seconds, and here there may be many.
    memory.scan_mode = true;
    let mut polled = Polled::default();
    // First what tells which meter it is, so that its info code is understood.
    let first: Vec<_> = memory.identification.registers().collect();
    let rest: Vec<_> = wanted.iter().copied().filter(|id| !first.contains(id)).collect();
    let mut groups: VecDeque<Group> = first
        .chunks(GetRegister::MAX)
        .chain(rest.chunks(GetRegister::MAX))
        .map(Group::whole)
        .collect();
    let mut under_way = VecDeque::new();
    let (mut asked, mut shown, mut failures) = (0_usize, 0, 0_u32);
    // A connection that breaks is made again, but not for ever.
    let mut connections = CONNECTIONS;
    loop {
        polled.trouble = None;
        let stream = match plan.port.open().await {
            Ok(stream) => stream,
            Err(error) => {
                polled.trouble = Some(PollError::Port(error));
                break;
            }
        };
        connections = connections.saturating_sub(1);
        let mut meter = Meter::new(stream, plan.line, memory.line_state).counting(memory.traffic);
        while !stop.is_cancelled() {
            if under_way.is_empty() {
                match groups.pop_front() {
                    Some(group) => {
                        asked = asked.saturating_add(group.registers.len());
                        under_way.push_back(group);
                        failures = 0;
                    }
                    // The connection may have broken before the last were read twice.
                    None if polled.doubtful.is_empty() => break,
                    None => {}
                }
            }
            polled.trouble = None;
            read_all(&mut meter, &mut under_way, &mut polled, memory, stop).await;
            confirm(&mut meter, &mut polled, memory, stop).await;
            // What contradicts itself three times is told, and not asked for any more.
            if !polled.is_broken_off() {
                let doubtful = polled.doubtful.drain(..).map(|(reading, _)| reading.register);
                let doubtful: Vec<_> = doubtful.map(|id| (id, Missing::Doubtful)).collect();
                polled.missing.extend(doubtful);
            }
            let found = polled.readings.get(shown..).unwrap_or_default();
            let to_show = |reading: &&Reading| {
                wanted.contains(&reading.register) && !is_suspicious(reading, &polled.readings)
            };
            let found: Vec<Reading> = found.iter().filter(to_show).cloned().collect();
            progress(Progress { asked, found: &found });
            shown = polled.readings.len();
            let asked_in_vain = polled.readings.is_empty() && polled.missing.is_empty();
            match polled.trouble {
                None => {}
                // Nobody is there: this is as often as a poll tries.
                Some(PollError::Meter(NoAnswer::Nothing | NoAnswer::OwnEcho)) if asked_in_vain => {
                    break;
                }
                // A line that is noisy now and then does not end it.
                Some(PollError::Meter(_)) if failures < FAILURES => {
                    failures = failures.saturating_add(1);
                }
                Some(_) => break,
            }
        }
        if polled.trouble.is_none() && !stop.is_cancelled() {
            learn(&polled, memory);
            identify(&mut meter, &mut polled, memory, stop).await;
        }
        leave(meter, &polled, memory);
        if connections == 0 || !polled.is_broken_off() {
            break;
        }
    }
    let complete = under_way.is_empty() && groups.is_empty() && polled.doubtful.is_empty();
    // Of a group that was left in the middle nothing is known for certain.
    let open = under_way.iter().chain(&groups).flat_map(|group| &group.registers);
    let doubtful = polled.doubtful.iter().map(|(reading, _)| &reading.register);
    let open = open.chain(doubtful);
    let to = match open.filter(|id| wanted.contains(id)).min() {
        None => wanted.last().copied(),
        Some(open) => wanted.iter().copied().filter(|id| id < open).max(),
    };
    learn(&polled, memory);
    withhold(&mut polled, memory);
    let Polled { mut readings, missing: mut odd, trouble, .. } = polled;
    readings.retain(|reading| wanted.contains(&reading.register));
    readings.sort_unstable_by_key(|reading| reading.register);
    odd.retain(|(register, reason)| {
        !matches!(reason, Missing::Omitted | Missing::LeftOut | Missing::NoAnswer)
            && wanted.contains(register)
    });
    odd.sort_by_key(|(register, _)| *register);
    let trouble = trouble.map(|trouble| complaint(&trouble, plan, memory));
    Scanned { readings, odd, to, complete, trouble }
}

fn complaint<O>(trouble: &PollError, plan: &Plan<O>, memory: &Memory) -> Complaint {
    trouble.complaint(&HintContext {
        port: &plan.port_name,
        interval: plan.interval,
        models: &memory.identification.known_models(),
        runs_as: plan.runs_as,
    })
}

/// How often a scan asks again for registers that were not answered well.
const FAILURES: u32 = 2;

/// How often a scan opens the port.
const CONNECTIONS: u32 = 10;
