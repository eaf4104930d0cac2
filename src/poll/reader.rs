//! Reading when somebody asks: once, or register after register.

use std::collections::VecDeque;

use kmp::message::GetRegister;
use kmp::register::RegisterId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::{Group, Memory, Polled, confirm, identify, learn, poll, read_all, withhold};
use super::journal::Trouble;
use super::{Complaint, Plan, PollResult};
use crate::meter::Meter;
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
    /// So many of the registers were asked for, from the first on.
    pub asked: usize,
    /// What ended it too soon.
    pub trouble: Option<Complaint>,
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
        let identity = self.memory.identification.identity();
        let complaint =
            |trouble: Trouble| trouble.complaint(&self.plan.port_name, &identity.models);
        let trouble = polled.trouble.map(complaint);
        let Polled { readings, missing, condition, .. } = polled;
        let took = started.elapsed();
        PollResult { readings, missing, identity, condition, trouble, took }
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
        mut progress: impl FnMut(Progress<'_>),
    ) -> Scanned {
        // A register that silences the meter costs seconds, and here there may be many.
        self.memory.thrifty = true;
        let mut polled = Polled::default();
        let wanted = &self.plan.registers;
        let mut extras: Vec<_> = self.memory.identification.registers().collect();
        extras.retain(|register| !wanted.contains(register));
        // First what tells which meter it is, so that its info code is understood.
        let chunks = extras.chunks(GetRegister::MAX).chain(wanted.chunks(GetRegister::MAX));
        let mut groups: VecDeque<Group> = chunks.map(Group::whole).collect();
        let mut under_way = VecDeque::new();
        let (mut asked, mut shown) = (0_usize, 0);
        // A connection that breaks is made again, but not for ever.
        let mut connections = CONNECTIONS;
        loop {
            polled.trouble = None;
            let stream = match self.plan.port.open().await {
                Ok(stream) => stream,
                Err(error) => {
                    polled.trouble = Some(Trouble::Port(error));
                    break;
                }
            };
            connections = connections.saturating_sub(1);
            let mut meter = Meter::new(stream, self.plan.line, self.memory.aftermath);
            while polled.trouble.is_none() && !stop.is_cancelled() {
                if under_way.is_empty() {
                    let Some(group) = groups.pop_front() else { break };
                    asked = asked.saturating_add(group.registers.len());
                    under_way.push_back(group);
                }
                let memory = &mut self.memory;
                read_all(&mut meter, &mut under_way, &mut polled, memory, stop).await;
                confirm(&mut meter, &mut polled, memory, stop).await;
                let found = polled.readings.get(shown..).unwrap_or_default();
                let of_these = |reading: &&Reading| !extras.contains(&reading.register);
                let found: Vec<Reading> = found.iter().filter(of_these).cloned().collect();
                progress(Progress { asked: asked.saturating_sub(extras.len()), found: &found });
                shown = polled.readings.len();
            }
            if polled.trouble.is_none() && !stop.is_cancelled() {
                learn(&polled, &mut self.memory);
                identify(&mut meter, &mut polled, &mut self.memory, stop).await;
            }
            self.memory.aftermath = meter.aftermath();
            if connections == 0 || !matches!(polled.trouble, Some(Trouble::Broken(_))) {
                break;
            }
        }
        // Of a group that was left in the middle nothing is known for certain.
        let open = under_way.iter().map(|group| group.registers.len()).sum::<usize>();
        asked = asked.saturating_sub(open).saturating_sub(extras.len());
        learn(&polled, &mut self.memory);
        withhold(&mut polled, &mut self.memory);
        let Polled { mut readings, missing: mut odd, trouble, .. } = polled;
        readings.retain(|reading| !extras.contains(&reading.register));
        readings.sort_unstable_by_key(|reading| reading.register);
        odd.retain(|(register, reason)| {
            !matches!(reason, Missing::LeftOut | Missing::NoAnswer) && !extras.contains(register)
        });
        odd.sort_by_key(|(register, _)| *register);
        let models = self.identity().models;
        let complaint = |trouble: Trouble| trouble.complaint(&self.plan.port_name, &models);
        let trouble = trouble.map(complaint);
        Scanned { readings, odd, asked, trouble }
    }

    /// Which meter it is, as far as it is known.
    #[must_use]
    pub fn identity(&self) -> crate::identity::Identity {
        self.memory.identification.identity()
    }
}

/// How often a scan opens the port.
const CONNECTIONS: u32 = 10;
