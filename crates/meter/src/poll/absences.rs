//! The registers that a meter does not have.
//!
//! One answer without a register proves little, and so does one request for it that the meter does
//! not answer. So a register is treated as absent only after two polls have shown this. It is then
//! not requested for ten minutes. If it is still absent, it is not requested for a day. A poll that a
//! user requests asks for all registers.
//!
//! It is different with a register whose answer is too long for the line. Faults that come by chance
//! look the same, and end when the line is good again. So it is soon requested again, and more
//! rarely each time that its answer was cut: in the next poll, then two polls later, then four, until
//! it is once a day.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::time::Instant;

use crate::reading::Missing;

/// How long a register is not requested after its absence has lasted.
pub(super) const ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a register is not requested after its absence was seen in two polls, which may have been
/// seconds apart.
pub(super) const APART: Duration = Duration::from_secs(10 * 60);

/// The registers that the meter left out of its answers, or did not answer a request for.
#[derive(Debug, Clone, Default)]
pub(super) struct Absences {
    registers: BTreeMap<RegisterId, Absence>,
    /// The present poll.
    poll: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Absence {
    why: Missing,
    since: Instant,
    /// When it was first seen.
    first: Instant,
    /// The first poll that saw it.
    poll: u64,
    is_certain: bool,
    /// Whether it was seen again some time later.
    is_lasting: bool,
    /// How many polls have seen it again, one after the other.
    again: u32,
    /// It is requested again from this poll on, even if it is certain.
    due: u64,
}

/// The poll in which a register is requested again that was too long in this poll, and in so many
/// polls before.
fn due_after(poll: u64, again: u32) -> u64 {
    poll.saturating_add(1_u64.checked_shl(again.saturating_sub(1)).unwrap_or(u64::MAX))
}

impl Absences {
    /// Why a register is not requested; `None` if it is.
    pub(super) fn reason(&self, register: RegisterId) -> Option<&Missing> {
        let absence = self.registers.get(&register)?;
        let lasts = if absence.is_lasting { ABSENCE } else { APART };
        let is_due = absence.since.elapsed() >= lasts || self.poll >= absence.due;
        (absence.is_certain && !is_due).then_some(&absence.why)
    }

    /// Requests all registers in this poll, because a user has asked for it.
    pub(super) fn request_all(&mut self) {
        self.registers.values_mut().for_each(|absence| absence.due = absence.due.min(self.poll));
    }

    /// Notes that a poll begins.
    pub(super) fn begin_poll(&mut self, poll: u64) {
        self.poll = poll;
    }

    /// Whether the answer with this register alone was certainly too long for the line.
    pub(super) fn is_too_long(&self, register: RegisterId) -> bool {
        let is_too_long = |absence: &Absence| absence.is_certain && absence.why == Missing::TooLong;
        self.registers.get(&register).is_some_and(is_too_long)
    }

    /// Notes that the answer with this register alone was lost in another way than by its length.
    pub(super) fn note_other_loss(&mut self, register: RegisterId) {
        if self.is_too_long(register) {
            self.remove(register);
        }
    }

    /// Notes that the line carries longer answers than was known.
    pub(super) fn forget_too_long(&mut self) {
        self.registers.retain(|_, absence| absence.why != Missing::TooLong);
    }

    /// Whether the meter left a register out of an answer.
    pub(super) fn is_suspected(&self, register: RegisterId) -> bool {
        let is_left_out =
            |absence: &Absence| matches!(absence.why, Missing::LeftOut | Missing::Omitted);
        self.registers.get(&register).is_some_and(is_left_out)
    }

    /// Notes an answer without any registers to a request for this one, which proves nothing.
    pub(super) fn note_empty(&mut self, register: RegisterId) {
        self.registers.entry(register).or_insert(Absence {
            why: Missing::Omitted,
            since: Instant::now(),
            first: Instant::now(),
            poll: self.poll,
            is_certain: false,
            is_lasting: false,
            again: 0,
            due: u64::MAX,
        });
    }

    /// Whether the meter did not answer the last request for a register.
    pub(super) fn has_silenced(&self, register: RegisterId) -> bool {
        self.registers.get(&register).is_some_and(|absence| absence.why == Missing::Silences)
    }

    /// The absences that are certain, with their reasons.
    pub(super) fn certain(&self) -> impl Iterator<Item = (RegisterId, &Missing)> {
        let certain = self.registers.iter().filter(|(_, absence)| absence.is_certain);
        certain.map(|(register, absence)| (*register, &absence.why))
    }

    /// Notes that the meter seems not to have a register. Returns the reason to report.
    pub(super) fn note(&mut self, register: RegisterId, why: Missing) -> Missing {
        let now = self.poll;
        let before = self.registers.get(&register);
        let before = before.filter(|it| it.why == why && it.since.elapsed() < ABSENCE);
        let is_certain = before.is_some_and(|it| it.is_certain || it.poll != now);
        // A line may lose the same answer for a while. Its length has rules of its own.
        let is_lasting = why == Missing::TooLong
            || before.is_some_and(|it| it.is_certain && it.first.elapsed() >= APART);
        let first = before.map_or_else(Instant::now, |it| it.first);
        let poll = before.map_or(now, |it| it.poll);
        let again = before.map_or(0, |it| it.again.saturating_add(u32::from(it.poll != now)));
        let due = if why == Missing::TooLong { due_after(now, again) } else { u64::MAX };
        let (since, reason) = (Instant::now(), why.clone());
        let absence =
            Absence { why: reason, since, first, poll, is_certain, is_lasting, again, due };
        self.registers.insert(register, absence);
        match why {
            _ if is_certain => why,
            // It was requested alone, several times, and the meter was awake.
            Missing::Silences => why,
            Missing::TooLong => Missing::NoAnswer,
            _ => Missing::Omitted,
        }
    }

    /// Notes that the meter has a register.
    pub(super) fn remove(&mut self, register: RegisterId) {
        self.registers.remove(&register);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_register_that_is_too_long_is_soon_requested_again_and_then_more_rarely() {
        let register = RegisterId::new(68);
        let mut absences = Absences::default();
        let mut requested = Vec::new();
        for poll in 1..100 {
            absences.begin_poll(poll);
            if absences.reason(register).is_none() {
                requested.push(poll);
                absences.note(register, Missing::TooLong);
            }
        }
        assert_eq!(requested, [1, 2, 3, 5, 9, 17, 33, 65]);
        // A day later, it begins anew.
        tokio::time::sleep(ABSENCE).await;
        assert_eq!(absences.reason(register), None);
        // Its answer is lost in another way.
        absences.note_other_loss(register);
        assert_eq!(absences.note(register, Missing::TooLong), Missing::NoAnswer);
        absences.begin_poll(100);
        assert_eq!(absences.note(register, Missing::TooLong), Missing::TooLong);
        absences.forget_too_long();
        assert!(!absences.is_too_long(register));
    }

    #[tokio::test(start_paused = true)]
    async fn a_register_that_was_left_out_is_not_requested_for_a_day() {
        let register = RegisterId::new(68);
        let mut absences = Absences::default();
        for poll in 1..4 {
            absences.begin_poll(poll);
            assert_eq!(absences.reason(register), None);
            absences.note(register, Missing::LeftOut);
            // The second poll follows too soon.
            tokio::time::sleep(if poll == 2 { APART } else { Duration::from_secs(10) }).await;
        }
        absences.begin_poll(1_000);
        absences.forget_too_long();
        absences.note_other_loss(register);
        assert_eq!(absences.reason(register), Some(&Missing::LeftOut));
        tokio::time::sleep(ABSENCE).await;
        assert_eq!(absences.reason(register), None);
    }
}
