//! Orders the registers of each request so that a late answer can be detected.
//!
//! Polls repeat the same requests, so a late answer to an earlier request looks right: it has a
//! valid checksum, and the command and registers of the new answer. Every known meter answers in
//! the order of the request. So each set of registers is requested in a different order each time.
//! An answer belongs to another request if its order is wrong, or if it lacks a register that the
//! meter is known to have. Every second poll reverses all orders. Then two registers are enough to
//! detect a late answer to the previous poll, even if the previous poll also requested other
//! registers.
//!
//! - An answer can be up to a minute late ([`LATE`]). If polls are less than a minute apart, there
//!   must be at least as many orders as polls in a minute. That requires a minimum number of
//!   registers, the quorum. With a poll every 10 s it is three, because three registers have six
//!   orders.
//! - A poll of fewer registers also requests additional registers ([`RequestOrder::padding`]): the
//!   shortest that the meter is known to have. The values of additional registers are not
//!   published.
//! - Only registers that the meter is known to have count towards the quorum. Until there are
//!   enough of them, each value is read twice ([`RequestOrder::quality`]).
//!
//! No document promises that meters keep the order. If a meter does not keep it in two requests in
//! a row, its answers are accepted in any order, and values that may be late are read twice.
//!
//! One kind of late answer is not detected: it is more than a minute late, it is the only late
//! answer that arrives, and the line was quiet at the beginning of the poll.
//!
//! This module decides what to request. [`kmp::message::AnswerOrder`] compares an answer with its
//! request. [`crate::client::LineState`] remembers across connections whether this meter keeps the
//! order, and whether a late answer may still arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::message::GetRegister;
use kmp::register::RegisterId;

use super::absences::Absences;
use crate::client::Meter;
use crate::plausibility::{Plausibility, ReadingQuality};
use crate::transport::Stream;

/// How late an answer may be.
const LATE: Duration = Duration::from_secs(60);

/// How many sets of registers are remembered with their last order.
const MOST_SETS: usize = 256;

/// A request includes this many registers that the meter has, to show which others it lacks.
pub(super) const ANCHORS: usize = 2;

/// Registers that most meters have. They are the padding if hardly anything is known about the
/// meter.
const COMMON: [u16; 5] = [60, 68, 1004, 74, 80];

/// In which order to request registers next.
#[derive(Debug)]
pub(super) struct RequestOrder {
    /// By set of registers, sorted.
    next: BTreeMap<Vec<RegisterId>, Next>,
    /// The number of this poll. Odd polls reverse the orders.
    poll: u64,
    /// How many registers of a request must be known for their order to be conclusive in this poll.
    quorum: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Next {
    /// The number of the next permutation.
    number: usize,
    /// The poll that last requested the set.
    poll: u64,
}

impl Default for RequestOrder {
    fn default() -> Self {
        Self { next: BTreeMap::new(), poll: 0, quorum: 1 }
    }
}

impl RequestOrder {
    /// Works out the quorum of a poll that begins this long after the previous one. Each poll of
    /// the last minute must have had a different order.
    pub(super) fn begin_poll(&mut self, poll: u64, since_last: Option<Duration>) {
        self.poll = poll;
        let polls =
            since_last.map_or(0, |since| LATE.as_millis().div_ceil(since.as_millis().max(1)));
        self.quorum = (1..=GetRegister::MAX).find(|count| orders(*count) >= polls).unwrap_or(1);
    }

    /// How many registers of a request must be known for their order to be conclusive.
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
        let lacking = self.quorum.saturating_sub(wanted.len());
        plausibility.shortest().into_iter().chain(unknown).filter(is_new).take(lacking).collect()
    }

    /// A request for registers in a different order from the last one. `None` if there are no
    /// registers, or more than fit into a request.
    pub(super) fn request(
        &mut self,
        registers: &[RegisterId],
        plausibility: &Plausibility,
    ) -> Option<GetRegister> {
        let mut set = registers.to_vec();
        set.sort_unstable();
        // There are many sets of doubtful registers. Forgetting an order rarely matters.
        if self.next.len() >= MOST_SETS {
            self.next.clear();
        }
        let Next { number, poll } = self.next.get(&set).copied().unwrap_or_default();
        let is_out_of_step = (number % 2 == 1) != (self.poll % 2 == 1);
        let skips_one = poll != self.poll && is_out_of_step;
        let number = number.wrapping_add(usize::from(skips_one));
        let request = GetRegister::new(&permutation(&set, number)).ok()?;
        self.next.insert(set, Next { number: number.wrapping_add(1), poll: self.poll });
        // The meter may no longer have a register that is requested alone.
        let is_alone = registers.len() == 1;
        Some(request.expecting(|register| !is_alone && plausibility.knows(register)))
    }

    /// How far the last answer, to a request for these registers, can be trusted.
    pub(super) fn quality(
        &self,
        client: &Meter<Box<dyn Stream>>,
        registers: &[RegisterId],
        plausibility: &Plausibility,
    ) -> ReadingQuality {
        let is_distinguishable =
            client.order_confirmed() && self.is_conclusive(registers, plausibility);
        let may_be_late = client.may_be_late() || (self.quorum > 1 && !is_distinguishable);
        ReadingQuality { clean: client.is_clean(), may_be_late }
    }

    /// Whether an answer with these registers, in the order of the request, cannot be a late one.
    fn is_conclusive(&self, registers: &[RegisterId], plausibility: &Plausibility) -> bool {
        let known = registers.iter().filter(|register| plausibility.knows(**register));
        known.count() >= self.quorum
    }
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
