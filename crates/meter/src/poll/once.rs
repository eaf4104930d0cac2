//! Makes one poll, from opening the port to the accepted readings, over one or two connections.
//!
//! If a connection breaks, it is opened once more, and the poll continues where it was. It is not
//! opened again if a serial server has closed it before the first byte of the meter. Most servers
//! serve one client at a time, so this server probably serves another client now
//! ([`crate::transport::OpenError::Unwanted`]). But if that other client is a poll of another
//! meter, the connection is opened again when that poll has ended ([`Open::was_crowded_out`]).

use std::collections::BTreeSet;
use std::time::Duration;

use kmp::message::GetRegister;
use kmp::register::RegisterId;
use tokio_util::sync::CancellationToken;

use super::diagnose::withhold_spoilt;
use super::explanation::is_server;
use super::memory::Memory;
use super::outcome::{Doubtful, PollError, Polled};
use super::ownership::is_certainly_known;
use super::pace::Round;
use super::plan::Plan;
use super::requests::{self, Group, Requests};
use super::session::Session;
use crate::client::NoAnswer;
use crate::identity::SERIAL;
use crate::reading::Missing;
use crate::transport::{Open, Stream};

/// How far apart the readings of a poll may be. A process that was stopped, or a machine that was
/// suspended, would otherwise publish the first ones as current long after.
pub(super) const MOST_APART: Duration = Duration::from_secs(150);

/// So many registers have enough orders to show that an answer belongs to another request.
const ORDERED: usize = 3;

/// Reads all registers once. `None` if the program stops before anything was read.
pub(super) async fn poll<O: Open>(
    plan: &Plan<O>,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Option<Polled> {
    poll_round(plan, memory, Round::FULL, stop).await
}

/// Reads the registers that are due. `None` if the program stops before anything was read.
pub(super) async fn poll_round<O: Open>(
    plan: &Plan<O>,
    memory: &mut Memory,
    round: Round,
    stop: &CancellationToken,
) -> Option<Polled> {
    memory.begin_poll();
    memory.together.clone_from(&plan.together);
    let mut due = memory.slow.due(&plan.registers, &plan.paces(), round);
    // A meter that has only slow registers is read for them.
    if due.iter().all(|register| memory.absences.reason(*register).is_some()) {
        due.clone_from(&plan.registers);
    }
    let mut polled = Polled::default();
    if round.is_requested {
        memory.absences.request_all();
    }
    let requests = requests::of_poll(&due, &mut polled, memory);
    let mut run = Run { plan, round, due, polled, requests, memory, stop };
    run.connect_and_read().await;
    run.finish()
}

/// A poll in progress.
struct Run<'a, O> {
    plan: &'a Plan<O>,
    round: Round,
    /// The registers to read.
    due: Vec<RegisterId>,
    polled: Polled,
    requests: Requests,
    memory: &'a mut Memory,
    stop: &'a CancellationToken,
}

impl<O: Open> Run<'_, O> {
    /// Makes the requests over a connection, and the remaining ones over a second one if it breaks.
    async fn connect_and_read(&mut self) {
        let (mut is_last, mut was_crowded_out) = (false, false);
        loop {
            self.polled.trouble = None;
            let opened = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                opened = self.plan.port.open() => opened,
            };
            if is_last {
                self.prepare_second_connection();
            }
            match opened {
                Ok(stream) => self.read_over(stream, is_last).await,
                Err(error) => self.polled.trouble = Some(PollError::Port(error)),
            }
            let is_refused = matches!(self.polled.trouble, Some(PollError::Port(_)));
            if is_refused && !was_crowded_out && self.plan.port.was_crowded_out() {
                was_crowded_out = true;
            } else if self.polled.is_broken_off() && !is_last {
                is_last = true;
            } else {
                return;
            }
        }
    }

    /// Another meter may be at the end of the second connection. So the serial number is also read,
    /// if a request has room for it.
    fn prepare_second_connection(&mut self) {
        let is_complete = self.requests.is_empty() && self.polled.doubtful.is_empty();
        if is_complete && !self.polled.suspect {
            return;
        }
        self.polled.note_silence();
        let is_known = self.memory.identification.serials().by_register.is_some();
        let has_room = |group: &&mut Group| group.registers.len() < GetRegister::MAX;
        if let Some(group) = self.requests.front_mut().filter(has_room)
            && is_known
            && !group.registers.contains(&SERIAL)
        {
            group.registers.push(SERIAL);
        }
    }

    async fn read_over(&mut self, stream: Box<dyn Stream>, is_last: bool) {
        // What a server has kept arrives while the first request waits for its answer. Two registers
        // have only two orders, so the order may not show that it is another answer. A register that
        // the meter may lack does not count.
        let plausibility = &self.memory.plausibility;
        let is_certain = |register: &&RegisterId| plausibility.knows(**register);
        let has_few_orders = self
            .requests
            .front()
            .is_some_and(|group| group.registers.iter().filter(is_certain).count() < ORDERED);
        let client = self.memory.line.client(stream, self.plan.line).drain_first(has_few_orders);
        let session = Session {
            client,
            polled: &mut self.polled,
            requests: &mut self.requests,
            memory: self.memory,
            stop: self.stop,
        };
        session.run(&self.due, &self.plan.registers, is_last).await;
    }

    fn finish(self) -> Option<Polled> {
        let Self { plan, round, mut due, mut polled, requests, memory, stop } = self;
        if polled.exchange.is_some() {
            due.clone_from(&plan.registers);
        }
        if polled.is_owner_open && !is_certainly_known(&mut polled, memory) {
            polled.withhold_foreign(memory);
        }
        if stop.is_cancelled() && polled.readings.is_empty() {
            return None;
        }
        polled.has_answered = memory.line.has_answered;
        memory.postponed.clear();
        if polled.trouble.as_ref().is_none_or(|trouble| !trouble.is_silence()) {
            let left = requests.iter().flat_map(|group| &group.registers);
            memory.postponed.extend(left);
        }
        polled.give_up(requests);
        let outdated = polled.take_older_than(MOST_APART, memory.suspended.total()).into_iter();
        polled.missing.extend(outdated.map(|reading| (reading.register, Missing::Outdated)));
        let unproven = polled.missing.iter().filter(|(_, why)| *why == Missing::MayBeLate);
        memory.unproven.extend(unproven.map(|(register, _)| *register));
        withhold_spoilt(&mut polled, memory);
        polled.keep_only(&due);
        memory.slow.note(&polled, &due, round.step);
        if polled.is_good() {
            polled.trouble = None;
        }
        if polled.is_cut_everywhere() {
            polled.trouble.get_or_insert(PollError::Meter(NoAnswer::Damaged));
        }
        let is_server = is_server(&plan.port_name);
        polled.line.is_telnet &= is_server;
        polled.name_line_trouble(memory);
        polled.line.capacity = memory.line.capacity.report();
        // After a silence, another meter may have taken its place.
        if polled.readings.is_empty() && polled.trouble.is_some() {
            memory.recognition.lost();
        }
        memory.recognition.remember_counters(&polled.readings);
        memory.high_resolution.complete(&mut polled.readings, &mut polled.missing);
        let missing = memory.slow.without_value(&due).into_iter();
        polled.missing.extend(missing.filter(|(register, _)| plan.registers.contains(register)));
        let is_missed = |(register, why): &(RegisterId, Missing)| {
            let is_absent = why.is_absence() || *why == Missing::Omitted;
            !is_absent || !plan.optional.contains(register)
        };
        polled.missing.retain(is_missed);
        Some(polled)
    }
}

impl Polled {
    /// Adds the registers that were not read, or were read only once, to the missing ones.
    fn give_up(&mut self, requests: Requests) {
        let is_troubled = self.trouble.is_some();
        let unread = requests.into_iter().flat_map(|group| group.registers);
        let why = if is_troubled { Missing::NoAnswer } else { Missing::Postponed };
        self.missing.extend(unread.map(|register| (register, why.clone())));
        for Doubtful { reading, is_unproven, .. } in self.doubtful.drain(..) {
            let why = match is_unproven {
                true => Missing::MayBeLate,
                // Readings can disagree only if there was a second one.
                false if is_troubled => Missing::NoAnswer,
                false => Missing::Doubtful,
            };
            self.missing.push((reading.register, why));
        }
    }

    /// Drops the registers that were read only for internal use. Each of `registers` is then either
    /// read or missing, and the missing ones are in the same order.
    fn keep_only(&mut self, registers: &[RegisterId]) {
        self.readings.retain(|reading| registers.contains(&reading.register));
        self.missing.retain(|(register, _)| registers.contains(register));
        let mut seen: BTreeSet<_> = self.read_registers().into_iter().collect();
        self.missing.retain(|(register, _)| seen.insert(*register));
        let place = |register| registers.iter().position(|known| *known == register);
        self.missing.sort_by_key(|(register, _)| place(*register));
    }

    /// If the line has shown why the answers failed (telnet mode or late answers), reports that cause
    /// instead.
    fn name_line_trouble(&mut self, memory: &mut Memory) {
        match &self.trouble {
            // Telnet changes and adds bytes. It neither silences the meter nor delays its answers.
            Some(PollError::Meter(NoAnswer::Noise | NoAnswer::Damaged)) if self.line.is_telnet => {
                self.trouble = Some(PollError::Telnet);
            }
            Some(PollError::Meter(NoAnswer::Nothing | NoAnswer::OwnEcho)) => {
                if let Some(after) = memory.line.lateness() {
                    self.trouble = Some(PollError::Meter(NoAnswer::Late(after)));
                }
            }
            None if self.line.lateness.answers == 0 => memory.line.forget_lateness(),
            _ => {}
        }
    }

    /// Whether nothing was read because the line cuts the answers.
    fn is_cut_everywhere(&self) -> bool {
        let mut reasons = self.missing.iter().map(|(_, why)| why);
        let is_nothing = self.readings.is_empty() && !self.missing.is_empty();
        is_nothing && reasons.all(|why| *why == Missing::TooLong)
    }

    /// Whether something was read, and no register that the meter has is missing.
    fn is_good(&self) -> bool {
        let is_unread = |(_, why): &(RegisterId, Missing)| {
            matches!(
                why,
                Missing::NoAnswer
                    | Missing::Doubtful
                    | Missing::MayBeLate
                    | Missing::Postponed
                    | Missing::Outdated
                    | Missing::OtherMeter
            )
        };
        !self.readings.is_empty() && !self.missing.iter().any(is_unread)
    }
}
