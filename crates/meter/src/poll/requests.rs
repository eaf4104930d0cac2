//! Decides which registers are requested together.

use std::collections::VecDeque;

use kmp::message::GetRegister;
use kmp::register::RegisterId;

use super::memory::Memory;
use super::order::ANCHORS;
use super::outcome::Polled;
use super::recognition::is_counter;
use crate::consistency::RELATED;
use crate::identity::SERIAL;
use crate::reading::Missing;

/// The remaining requests.
pub(super) type Requests = VecDeque<Group>;

/// Registers that are requested together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) registers: Vec<RegisterId>,
    /// Whether this is a part of a group that was not answered.
    pub(super) is_part: bool,
    /// Whether this is its second chance. The meter did not answer it but was awake, perhaps only since
    /// then. Or the registers were left out of an answer that may be late.
    pub(super) is_repeated: bool,
}

impl Group {
    pub(super) fn whole(registers: &[RegisterId]) -> Self {
        Self { registers: registers.to_vec(), is_part: false, is_repeated: false }
    }

    /// The two halves of a group of at least two registers.
    pub(super) fn halves(&self) -> [Self; 2] {
        let (first, second) = self.registers.split_at(self.registers.len() / 2);
        [first, second].map(|half| Self { is_part: true, ..Self::whole(half) })
    }
}

/// The requests of a poll, as few as possible. Registers that the meter does not have are added to
/// the missing ones.
pub(super) fn of_poll(registers: &[RegisterId], polled: &mut Polled, memory: &Memory) -> Requests {
    let absent = |register: &RegisterId| memory.absences.reason(*register).cloned();
    let mut wanted: Vec<RegisterId> =
        registers.iter().copied().filter(|register| absent(register).is_none()).collect();
    // Each poll requests something, because the meter may have these registers after all.
    if wanted.is_empty() {
        let left_out = |register: &RegisterId| absent(register) == Some(Missing::LeftOut);
        wanted.extend(registers.iter().copied().filter(left_out));
    }
    let missing = registers.iter().filter(|register| !wanted.contains(register));
    polled.missing.extend(missing.filter_map(|register| Some((*register, absent(register)?))));
    let codes = memory.codes_due().iter().copied();
    wanted.extend(codes.filter(|code| !registers.contains(code) && absent(code).is_none()));
    if !wanted.contains(&SERIAL) && absent(&SERIAL).is_none() {
        let has_room = wanted.len().checked_rem(GetRegister::MAX) != Some(0);
        if memory.must_recognize(registers) || (has_room && memory.recognition.is_due()) {
            wanted.insert(0, SERIAL);
        }
    }
    wanted.extend(memory.padding(&wanted));
    // Only an answer with other registers shows whether the meter has a register.
    if !wanted.iter().any(|register| memory.plausibility.knows(*register)) {
        wanted.extend(memory.plausibility.shortest_except(&[SERIAL]).take(ANCHORS));
    }
    // A register that may silence the meter is requested last, and alone.
    let (silencing, wanted): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|register| memory.absences.has_silenced(*register));
    let alone = silencing.chunks(1).map(|register| Group {
        is_part: true,
        is_repeated: true,
        ..Group::whole(register)
    });
    distribute(&wanted, memory).chain(alone).collect()
}

/// Distributes registers over as few requests as possible, all of about the same size: a single
/// register has no order that would reveal a late answer. If there are enough, each request gets a
/// counter, because counters distinguish two meters. It also gets a register that the meter is known
/// to have, because only next to it is the absence of another certain.
fn distribute(wanted: &[RegisterId], memory: &Memory) -> impl Iterator<Item = Group> + use<> {
    let count = wanted.len().div_ceil(GetRegister::MAX);
    let mut groups: Vec<Vec<RegisterId>> = vec![Vec::new(); count];
    let rank = |register: &RegisterId| match memory.plausibility.knows(*register) {
        true if is_counter(*register) => 0,
        _ if RELATED.contains(register) => 1,
        true => 2,
        false => 3,
    };
    let mut ordered = wanted.to_vec();
    let place = |register: &RegisterId| RELATED.iter().position(|related| related == register);
    ordered.sort_by_key(|register| (rank(register), place(register)));
    for register in ordered {
        let is_related = RELATED.contains(&register) && !is_counter(register);
        let has_room = |group: &Vec<_>| group.len() < GetRegister::MAX;
        let first = groups.first_mut().filter(|group| is_related && has_room(group));
        let group = match first {
            Some(first) => Some(first),
            None => groups.iter_mut().min_by_key(|group| group.len()),
        };
        if let Some(group) = group {
            group.push(register);
        }
    }
    groups.into_iter().map(|group| Group::whole(&group))
}
