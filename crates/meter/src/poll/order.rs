//! Orders the registers of each request so that a late answer can be detected.
//!
//! A late answer is the answer to an earlier request. Polls repeat the same requests, so a late
//! answer looks right: its checksum is valid, and its command and registers are those of the
//! current request.
//!
//! Every known meter answers in the order of the request. So each set of registers is requested in
//! a different order each time. An answer belongs to another request if its order is wrong, or if
//! it lacks a register that the meter is known to have. In every second poll, all orders are
//! reversed. Then two registers are enough to detect a late answer to the previous poll, even if
//! the previous poll also requested other registers.
//!
//! # How many registers a request needs
//!
//! An answer can be up to a minute late ([`LATE`]). So if polls are less than a minute apart, all
//! requests of a minute must have different orders: three in each poll, because doubtful values are
//! read again. That requires a minimum number of registers, the *quorum*. With a poll every 10 s it
//! is four, because four registers have 24 orders.
//!
//! - Only registers in the answer count towards the quorum. If there are not enough of them, each
//!   value is read twice ([`RequestOrder::quality`]).
//! - If fewer registers are configured, the poll requests additional ones
//!   ([`RequestOrder::padding`]): the shortest that the meter is known to have. Their values are
//!   not published.
//!
//! # After a start
//!
//! The program may have been started again while an answer was on its way. So the first order of
//! each set is random ([`FirstOrder`]). That reveals such an answer if it has enough registers: with
//! eight, one in 40,320 would be accepted; with two, every second one.
//!
//! # If the orders are not enough
//!
//! On a line that carries only short answers, a register may be requested alone, or with so few
//! others that an earlier request had the same order. The answer may then belong to that one
//! ([`crate::client::Proof`]):
//!
//! - If all such requests were answered, the value is read twice. If it is also doubtful itself, such
//!   as a counter that fell, it is withheld.
//! - If one of them was not answered, the value is withheld.
//! - If answers arrive that nobody has requested, the line repeats answers. For a day, all such
//!   values are withheld.
//!
//! A register that was withheld is not requested until none of its earlier answers can arrive
//! ([`super::requests`]). Then its answer is certain. So a meter that was reset is read again within
//! two minutes, or in the next poll if that is later.
//!
//! # What is not detected
//!
//! No document promises that meters keep the order. If a meter answers two requests in a row in
//! the same other order, its answers are accepted in any order, and values that may be late are
//! read twice.
//!
//! Another kind of late answer is not detected: it is more than a minute late, it is the only late
//! answer that arrives, and the line was quiet at the beginning of the poll.
//!
//! A reading on demand ([`super::Extent`]) accepts a register that was requested alone if nothing
//! suggests that its answer is late ([`crate::client::Meter::is_prompt`]). A serial server that holds
//! an answer to an earlier program for longer than the line is drained may deliver it then.
//!
//! # Other modules
//!
//! This module decides what to request. [`kmp::message::AnswerOrder`] compares an answer with its
//! request. [`crate::client::LineState`] remembers across connections whether this meter keeps the
//! order, and whether a late answer may still arrive.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use kmp::message::GetRegister;
use kmp::register::RegisterId;

use super::absences::Absences;
use crate::client::{LATE, Meter, Proof};
use crate::plausibility::{Plausibility, ReadingQuality};
use crate::transport::Stream;

/// How many times a doubtful reading is read again.
pub(super) const CONFIRMATIONS: u32 = 2;

/// How many times a poll requests the same registers, at most.
const READINGS: u128 = 1 + CONFIRMATIONS as u128;

/// How many sets of registers are remembered with their last order.
const MOST_SETS: usize = 256;

/// A request includes this many registers that the meter has, to show which others it lacks.
pub(super) const ANCHORS: usize = 2;

/// Registers that most meters have. They are the padding if hardly anything is known about the
/// meter.
const COMMON: [u16; 5] = [60, 68, 1004, 74, 80];

/// The number of the permutation in which each set of registers is requested first. Late answers to
/// an earlier run of the program would have the orders of this run if both began with the same one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstOrder(u32);

impl FirstOrder {
    /// A different one in each run.
    pub(super) fn random() -> Self {
        let [a, b, c, d, ..] = RandomState::new().hash_one(LATE).to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }
}

/// In which order to request registers next.
#[derive(Debug)]
pub(super) struct RequestOrder {
    first: FirstOrder,
    /// By set of registers, sorted.
    next: BTreeMap<Vec<RegisterId>, Next>,
    /// How many requests there were.
    requests: u64,
    /// The number of this poll. Odd polls reverse the orders.
    poll: u64,
    /// How many registers an answer must have for their order to be conclusive in this poll.
    quorum: usize,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    /// The number of the next permutation.
    number: usize,
    /// The poll that last requested the set.
    poll: u64,
    /// Which request that was.
    request: u64,
}

impl RequestOrder {
    pub(super) fn new(first: FirstOrder) -> Self {
        Self { first, next: BTreeMap::new(), requests: 0, poll: 0, quorum: 1 }
    }

    /// Exchanges what is known of earlier requests. A scan has a quorum of its own, but its requests
    /// must differ from those of polls and of earlier scans.
    pub(super) fn exchange_known(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.first, &mut other.first);
        std::mem::swap(&mut self.next, &mut other.next);
        std::mem::swap(&mut self.requests, &mut other.requests);
        std::mem::swap(&mut self.poll, &mut other.poll);
    }

    /// Works out the quorum of a poll that begins this long after the previous one. Each request of
    /// the last minute must have had a different order.
    pub(super) fn begin_poll(&mut self, poll: u64, since_last: Option<Duration>) {
        self.poll = poll;
        let polls =
            since_last.map_or(0, |since| LATE.as_millis().div_ceil(since.as_millis().max(1)));
        // A single poll ends before its answers can be a minute late.
        let needed = if polls > 1 { polls.saturating_mul(READINGS) } else { 1 };
        self.quorum = (1..=GetRegister::MAX).find(|count| orders(*count) >= needed).unwrap_or(1);
    }

    /// How many registers an answer must have for their order to be conclusive.
    pub(super) fn quorum(&self) -> usize {
        self.quorum
    }

    /// The additional registers that make the order conclusive: the shortest that the meter is
    /// known to have, or else those that most meters have.
    pub(super) fn padding(
        &self,
        wanted: &[RegisterId],
        plausibility: &Plausibility,
        absences: &Absences,
    ) -> Vec<RegisterId> {
        let common = COMMON.map(RegisterId::new).into_iter();
        let unknown = common.filter(|register| !plausibility.knows(*register));
        let is_new = |register: &RegisterId| {
            !wanted.contains(register) && absences.reason(*register).is_none()
        };
        if self.quorum <= 1 {
            return Vec::new();
        }
        // The answer may lack the others.
        let is_certain = |register: &&RegisterId| {
            plausibility.knows(**register) || COMMON.contains(&register.get())
        };
        let lacking = self.quorum.saturating_sub(wanted.iter().filter(is_certain).count());
        plausibility.shortest().into_iter().chain(unknown).filter(is_new).take(lacking).collect()
    }

    /// A request for registers in a different order from the last one. `None` if there are no
    /// registers, or more than fit into a request.
    pub(super) fn request(
        &mut self,
        registers: &[RegisterId],
        plausibility: &Plausibility,
    ) -> Option<GetRegister> {
        let set = sorted(registers);
        self.forget_oldest(&set);
        let number = self.next_number(&set);
        let request = GetRegister::new(&permutation(&set, number)).ok()?;
        self.requests = self.requests.wrapping_add(1);
        let number = number.wrapping_add(1);
        self.next.insert(set, Next { number, poll: self.poll, request: self.requests });
        // The meter may no longer have a register that is requested alone.
        let is_alone = registers.len() == 1;
        Some(request.expecting(|register| !is_alone && plausibility.knows(register)))
    }

    /// The order in which these registers are requested next.
    pub(super) fn next_order(&self, registers: &[RegisterId]) -> Vec<RegisterId> {
        let set = sorted(registers);
        permutation(&set, self.next_number(&set))
    }

    fn next_number(&self, set: &[RegisterId]) -> usize {
        // Sets that differ in a register that the meter lacks have different orders of the others too.
        let sum = set.iter().fold(0, |sum: usize, it| sum.wrapping_add(it.get().into()));
        let number = usize::try_from(self.first.0).unwrap_or(0).wrapping_add(sum.wrapping_mul(2));
        let first = Next { number, poll: 0, request: 0 };
        let Next { number, poll, .. } = self.next.get(set).copied().unwrap_or(first);
        let is_out_of_step = (number % 2 == 1) != (self.poll % 2 == 1);
        let skips_one = poll != self.poll && is_out_of_step;
        number.wrapping_add(usize::from(skips_one))
    }

    /// Makes room for a set: there are many sets of doubtful registers, and a scan has hundreds.
    /// After so many other requests, no answer to the oldest one can arrive any more.
    fn forget_oldest(&mut self, set: &[RegisterId]) {
        if self.next.len() < MOST_SETS || self.next.contains_key(set) {
            return;
        }
        let oldest = self.next.iter().min_by_key(|(_, next)| next.request);
        if let Some(oldest) = oldest.map(|(set, _)| set.clone()) {
            self.next.remove(&oldest);
        }
    }

    /// How far the last answer, with this many registers, can be trusted.
    pub(super) fn quality(
        &self,
        client: &Meter<Box<dyn Stream>>,
        registers: usize,
        proof: Proof,
    ) -> ReadingQuality {
        let is_distinguishable = client.order_confirmed() && registers >= self.quorum;
        let may_be_late = client.may_be_late() || (self.quorum > 1 && !is_distinguishable);
        ReadingQuality { clean: client.is_clean(), may_be_late, proof }
    }
}

fn sorted(registers: &[RegisterId]) -> Vec<RegisterId> {
    let mut set = registers.to_vec();
    set.sort_unstable();
    set
}

/// The number of orders in which this many registers can be requested.
fn orders(count: usize) -> u128 {
    (1..).take(count).product()
}

/// The permutation of registers with this number. After the last one the first follows again. Each
/// odd permutation is the previous one in reverse.
pub(super) fn permutation(registers: &[RegisterId], number: usize) -> Vec<RegisterId> {
    let is_reversed = number % 2 == 1;
    let mut left = number / 2;
    let mut order: Vec<RegisterId> = Vec::with_capacity(registers.len());
    for (index, register) in registers.iter().enumerate() {
        // The first two keep their order, or each permutation and its reverse would occur twice.
        let places = if index < 2 { 1 } else { index.saturating_add(1) };
        let place = left.checked_rem(places).unwrap_or(0);
        left = left.checked_div(places).unwrap_or(0);
        order.insert(order.len().saturating_sub(place), *register);
    }
    if is_reversed {
        order.reverse();
    }
    order
}
