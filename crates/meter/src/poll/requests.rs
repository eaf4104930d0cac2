//! Decides which registers are requested together.

use std::collections::VecDeque;

use kmp::message::GetRegister;
use kmp::register::RegisterId;

use super::extent::Extent;
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
    /// Whether its size was chosen for this line.
    pub(super) is_sized: bool,
}

impl Group {
    pub(super) fn whole(registers: &[RegisterId]) -> Self {
        Self { registers: registers.to_vec(), is_part: false, is_repeated: false, is_sized: false }
    }

    /// The two halves of a group of at least two registers.
    pub(super) fn halves(&self) -> [Self; 2] {
        let (first, second) = self.registers.split_at(self.registers.len() / 2);
        [first, second].map(|half| Self { is_part: true, ..Self::whole(half) })
    }
}

/// The requests of a poll, as few as possible. Registers that the meter does not have are added to
/// the missing ones. So are those whose answer might be a late one to an earlier request: a request
/// now would only delay the time from which on it is certain.
pub(super) fn of_poll(registers: &[RegisterId], polled: &mut Polled, memory: &Memory) -> Requests {
    let absent = |register: &RegisterId| memory.absences.reason(*register).cloned();
    let mut wanted: Vec<RegisterId> =
        registers.iter().copied().filter(|register| absent(register).is_none()).collect();
    // The meter may have these registers after all.
    if wanted.is_empty() {
        let left_out = |register: &RegisterId| {
            matches!(absent(register), Some(Missing::LeftOut | Missing::TooLong))
        };
        wanted.extend(registers.iter().copied().filter(left_out));
    }
    let missing = registers.iter().filter(|register| !wanted.contains(register));
    polled.missing.extend(missing.filter_map(|register| Some((*register, absent(register)?))));
    let codes = memory.codes_due(registers).iter().copied();
    wanted.extend(codes.filter(|code| !registers.contains(code) && absent(code).is_none()));
    if !wanted.contains(&SERIAL) && absent(&SERIAL).is_none() {
        let has_room = || {
            let with_serial = [&[SERIAL], wanted.as_slice()].concat();
            distribute(&with_serial, memory).len() == distribute(&wanted, memory).len()
        };
        let is_due = memory.extent == Extent::Identity && memory.recognition.is_due();
        if memory.wants_serial(registers) || (is_due && has_room()) {
            wanted.insert(0, SERIAL);
        }
    }
    wanted.extend(memory.padding(&wanted));
    // Only an answer with other registers shows whether the meter has a register.
    if !wanted.iter().any(|register| memory.plausibility.knows(*register)) {
        wanted.extend(memory.anchors(&[SERIAL]).take(ANCHORS));
    }
    // A register that may silence the meter, or be too long for the line, is requested last, and
    // alone.
    let (failing, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|register| {
        memory.absences.has_silenced(*register) || memory.absences.is_too_long(*register)
    });
    let mut alone: Vec<_> = failing.chunks(1).map(Group::whole).collect();
    for group in &mut alone {
        (group.is_part, group.is_repeated) = (true, true);
    }
    // After a poll that has left some, the registers that the meter is known to have are requested
    // first, without those that may silence it. Then those follow that were left.
    let is_left = |register: &RegisterId| memory.postponed.contains(register);
    let is_first =
        |register: &RegisterId| memory.postponed.is_empty() || memory.plausibility.knows(*register);
    let (first, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_first);
    let mut together = Vec::new();
    for mut groups in [distribute(&first, memory), distribute(&others, memory)] {
        groups.sort_by_key(|group| !group.iter().any(is_left));
        together.extend(groups.iter().map(|group| Group::whole(group)));
    }
    alone.sort_by_key(|group| !group.registers.iter().any(is_left));
    let (requests, unprovable): (Requests, Requests) = together
        .into_iter()
        .chain(alone)
        .partition(|group: &Group| memory.is_provable(&group.registers));
    let unprovable = unprovable.into_iter().flat_map(|group| group.registers);
    polled.missing.extend(unprovable.map(|register| (register, Missing::MayBeLate)));
    requests
}

/// The registers of the longest answer that polls of these registers have, apart from registers that
/// are read seldom.
pub(super) fn longest(registers: &[RegisterId], memory: &Memory) -> Option<Vec<RegisterId>> {
    let is_read = |register: &RegisterId| memory.plausibility.knows(*register);
    let wanted: Vec<_> = registers.iter().copied().filter(is_read).collect();
    let groups = distribute(&wanted, memory).into_iter();
    groups.max_by_key(|group| memory.answer_length(group))
}

/// Distributes registers over as few requests as possible, all of about the same size: a single
/// register has no order that would reveal a late answer. If there are enough, each request gets a
/// counter, because counters distinguish two meters. It also gets a register that the meter is known
/// to have, because only next to it is the absence of another certain.
///
/// A line that carries only short answers needs more requests, except in a poll that tries a longer
/// one again.
///
/// Registers that belong together ([`super::Plan::together`]) are in one request, unless that would
/// take more requests.
fn distribute(wanted: &[RegisterId], memory: &Memory) -> Vec<Vec<RegisterId>> {
    let rank = |register: &RegisterId| match memory.plausibility.knows(*register) {
        true if is_counter(*register) => 0,
        _ if RELATED.contains(register) => 1,
        true => 2,
        false => 3,
    };
    let mut ordered = wanted.to_vec();
    let place = |register: &RegisterId| RELATED.iter().position(|related| related == register);
    ordered.sort_by_key(|register| (rank(register), place(register)));
    let is_tried = memory.line.capacity.is_on_trial();
    let fits = |group: &[RegisterId]| {
        let has_room = group.len() <= GetRegister::MAX;
        has_room && (is_tried || memory.fits(group))
    };
    let fewest = ordered.len().div_ceil(GetRegister::MAX);
    let mut counts = fewest..=ordered.len();
    let (joined, others): (Vec<_>, Vec<_>) =
        ordered.iter().copied().partition(|register| memory.together.contains(register));
    let distributed = counts.find_map(|count| {
        let with_joined = || fill((&joined, &others), count, memory, fits);
        with_joined().or_else(|| fill((&[], &ordered), count, memory, fits))
    });
    distributed.unwrap_or_default()
}

/// Distributes registers over this many requests, those of the first list into one of them; `None`
/// if they do not fit.
fn fill(
    (joined, ordered): (&[RegisterId], &[RegisterId]),
    count: usize,
    memory: &Memory,
    fits: impl Fn(&[RegisterId]) -> bool,
) -> Option<Vec<Vec<RegisterId>>> {
    let mut groups: Vec<Vec<RegisterId>> = vec![Vec::new(); count];
    let is_limited = memory.line.capacity.is_limited();
    // On a line that needs more requests, none of them may have only one register.
    let all = joined.len().saturating_add(ordered.len());
    let most = if is_limited { all.div_ceil(count.max(1)) } else { GetRegister::MAX };
    // The first request is for related registers.
    if let (Some(last), [_, ..]) = (groups.last_mut(), joined) {
        if joined.len() > most || !fits(joined) {
            return None;
        }
        last.extend_from_slice(joined);
    }
    for register in ordered {
        let is_related = RELATED.contains(register) && !is_counter(*register);
        let has_room = |group: &[RegisterId]| fits(&[group, &[*register]].concat());
        let first = groups.first_mut().filter(|group| is_related && group.len() < most);
        let first = first.filter(|group| has_room(group));
        let group = if let Some(first) = first {
            first
        } else {
            let with_room = groups.iter_mut().filter(|group| has_room(group));
            with_room.min_by_key(|group| {
                let bytes = if is_limited { memory.answer_length(group) } else { 0 };
                (bytes, group.len())
            })?
        };
        group.push(*register);
    }
    Some(groups)
}

/// Divides a group whose answer is longer than the line carries.
pub(super) fn divide(group: &Group, memory: &Memory) -> Vec<Group> {
    let Group { registers, is_part, is_repeated, .. } = group;
    let (is_part, is_repeated) = (*is_part, *is_repeated);
    let mut counts = 2..=registers.len();
    let parts =
        counts.find_map(|count| fill((&[], registers), count, memory, |it| memory.fits(it)));
    let parts = parts.unwrap_or_default().into_iter();
    parts.map(|registers| Group { registers, is_part, is_repeated, is_sized: true }).collect()
}
