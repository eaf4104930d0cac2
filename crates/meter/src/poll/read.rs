//! Reads registers, and finds those that the meter does not have.
//!
//! If a request gets no answer, it is repeated twice. If it still gets none, the serial number is
//! requested, which every meter has:
//!
//! - If the meter does not answer, it is asleep, and the poll ends. The next polls follow after 15
//!   s, 30 s and so on up to the interval, with two short requests each.
//! - If the meter answers, one of the registers has silenced it, as some registers of a MULTICAL
//!   403 do (`cenobitedk/esphome_multical402` issue 5). So the registers of the request are
//!   requested in halves, until that register is requested alone.
//!
//! A register is not requested for a while ([`super::absences`]) after it has silenced the meter in
//! two polls. The same applies after two polls in which the meter has left it out of answers with
//! other registers. An answer without any registers does not show that a register is missing. If
//! all registers of a poll were left out of earlier answers, they are requested nevertheless. So a
//! poll requests nothing only if each answer may be a late one to an earlier request
//! ([`super::requests`]).
//!
//! [`Session::read_all`] begins no request after [`LONGEST_POLL`]. Only the requests of other steps
//! may follow: those that read doubtful values again, recognize or identify the meter, or try a
//! longer answer. The next poll requests the registers that are left directly after those that the
//! meter is known to have.
//!
//! If the line cuts the answer, the registers are requested in groups whose answers it carries
//! ([`super::capacity`]). Before that, at least one answer must have arrived whole.

use std::time::Duration;

use kmp::message::{GetRegister, GetSerialNo};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tracing::info;

use super::memory::AROUND;
use super::once::MOST_APART;
use super::order::ANCHORS;
use super::outcome::PollError;
use super::requests::{Group, divide};
use super::session::Session;
use crate::client::{NoAnswer, Proof, RequestError, Tries};
use crate::plausibility::ReadingQuality;
use crate::reading::{Missing, Reading};

/// How long after its start a poll begins to request further registers. Otherwise many registers that
/// silence the meter would delay the values that it has by minutes. What follows must end before the
/// first values are too old ([`super::once::MOST_APART`]): the tries of this request take 11 s, and
/// doubtful values are read again.
const LONGEST_POLL: Duration = Duration::from_secs(120);

const _: () = assert!(MOST_APART.saturating_sub(LONGEST_POLL).as_secs() >= 30);

/// The bytes of an answer to [`GetSerialNo`], without those that are escaped.
const SERIAL_ANSWER: usize = AROUND + 4;

impl Session<'_> {
    /// Makes the requests until none are left, or until the meter no longer answers.
    pub(super) async fn read_all(&mut self) {
        if self.memory.last_poll_failed && !self.try_silent_meter().await {
            return;
        }
        while !self.is_overdue() {
            let Some(group) = self.next_group().await else { return };
            let Some(request) = self.memory.request(&group.registers) else { continue };
            // If a part fails by chance, it is only split once more.
            let is_small = group.is_part && (self.memory.scan_mode || group.registers.len() > 1);
            let is_trial = self.is_trial(&group);
            let once = self.memory.last_poll_failed || is_small || is_trial;
            let tries = if once { Tries::One } else { Tries::Three };
            let result = self.client.request(&request, tries, self.stop).await;
            self.note_silence();
            if is_trial && !matches!(result, Err(RequestError::Broken(_) | RequestError::Stopping))
            {
                self.end_trial(result.is_ok());
            }
            match result {
                Ok(answer) => {
                    self.memory.note_answer();
                    self.note_arrived(&answer);
                    let quality = self.quality(answer.len(), group.registers.len());
                    if let Some(unsure) = self.take_answer(group, &answer, quality) {
                        self.requests.push_front(unsure);
                    }
                }
                Err(RequestError::NoAnswer(_)) if is_trial => {
                    self.requests.push_front(group);
                }
                Err(RequestError::NoAnswer(_)) if self.is_cut() => self.handle_cut(group),
                Err(RequestError::NoAnswer(heard)) => {
                    if !self.handle_silence(group, heard).await {
                        return;
                    }
                }
                Err(error) => {
                    self.note_failure(error);
                    self.requests.push_front(group);
                    return;
                }
            }
        }
    }

    /// Whether the poll takes so long that its remaining requests are left to the next one.
    fn is_overdue(&self) -> bool {
        let begun = self.memory.begun.filter(|_| !self.memory.scan_mode);
        begun.is_some_and(|begun| begun.elapsed() >= LONGEST_POLL)
    }

    /// The next group, with an answer that the line carries. Before that, a request that has failed
    /// is followed up once all its parts have been made.
    async fn next_group(&mut self) -> Option<Group> {
        if self.requests.front().is_none_or(|group| !group.is_part) {
            let is_open = self.measure_line().await;
            if !is_open {
                return None;
            }
        }
        let group = self.requests.pop_front()?;
        if group.is_sized || self.memory.fits(&group.registers) || self.is_trial(&group) {
            return Some(group);
        }
        let parts = divide(&group, self.memory);
        parts.into_iter().rev().for_each(|part| self.requests.push_front(part));
        self.requests.pop_front()
    }

    /// Whether a group is requested to find out whether the line carries longer answers again.
    fn is_trial(&self, group: &Group) -> bool {
        let is_on_trial = self.memory.line.capacity.is_on_trial();
        is_on_trial && !group.is_sized && !self.memory.fits(&group.registers)
    }

    fn end_trial(&mut self, has_arrived: bool) {
        let cut = self.client.longest_cut();
        self.memory.line.capacity.end_trial(has_arrived, cut);
        if has_arrived {
            self.memory.absences.forget_too_long();
        }
        self.client.expect_cut(self.memory.line.capacity.cut());
    }

    /// Whether the line has cut the answer to the last request. From then on, the limit is known.
    pub(super) fn is_cut(&mut self) -> bool {
        self.client.cut().is_some_and(|bytes| self.note_cut(bytes))
    }

    /// Notes that answers break off after this many bytes. Returns whether that is a limit.
    fn note_cut(&mut self, bytes: usize) -> bool {
        let capacity = &mut self.memory.line.capacity;
        let is_limit = capacity.note_cut(bytes);
        self.client.expect_cut(capacity.cut());
        is_limit
    }

    /// Notes that the meter has sent its serial number.
    fn note_serial_answer(&mut self) {
        self.memory.note_answer();
        self.memory.line.capacity.note_arrived(SERIAL_ANSWER);
    }

    /// Divides a group whose answer was cut. A register that was requested alone is not readable
    /// over this line.
    fn handle_cut(&mut self, group: Group) {
        match group.registers.as_slice() {
            // A scan has no second poll that would make it certain.
            [register] if self.memory.scan_mode => {
                self.memory.note_absence(*register, Missing::TooLong);
                self.polled.missing.push((*register, Missing::TooLong));
            }
            [register] => {
                self.note_absence(*register, Missing::TooLong);
                let is_certain = self.memory.absences.reason(*register).is_some();
                if !is_certain {
                    self.polled.trouble.get_or_insert(PollError::Meter(NoAnswer::Damaged));
                }
            }
            // The answer was longer than expected, because more of its bytes were escaped.
            registers if self.memory.fits(registers) => {
                let halves = group.halves();
                halves.into_iter().rev().for_each(|half| self.requests.push_front(half));
            }
            _ => self.requests.push_front(Group { is_sized: false, ..group }),
        }
    }

    /// Requests the serial number from a meter that was silent in the last poll. It is usually
    /// still silent, and this request is short. A register is not requested first, because one may
    /// have silenced the meter. Returns whether the poll continues.
    async fn try_silent_meter(&mut self) -> bool {
        match self.client.request(&GetSerialNo, Tries::One, self.stop).await {
            Ok(serial) => {
                self.note_serial_answer();
                let is_foreign = self.memory.is_foreign(serial);
                self.polled.suspect |= is_foreign;
                !is_foreign
            }
            Err(RequestError::NoAnswer(heard)) if self.memory.port_contended => {
                self.polled.trouble = Some(PollError::Meter(heard));
                false
            }
            Err(_) => true,
        }
    }

    /// Finds out whether a meter that did not answer is asleep, or was silenced by a register.
    /// Returns whether the poll continues.
    async fn handle_silence(&mut self, group: Group, heard: NoAnswer) -> bool {
        let cut = self.client.cut();
        let probed = if self.memory.last_poll_failed {
            Err(RequestError::NoAnswer(heard))
        } else {
            self.client.request(&GetSerialNo, Tries::Two, self.stop).await
        };
        match probed {
            Ok(serial) if self.memory.is_foreign(serial) => self.polled.suspect = true,
            Ok(_) => {
                self.note_serial_answer();
                // Only now it is known that the line carries answers at all.
                if cut.is_some_and(|bytes| self.note_cut(bytes)) {
                    self.handle_cut(group);
                    return true;
                }
                if !group.is_part && group.registers.len() > 1 && !self.client.has_late_answers() {
                    self.polled.line.failed_whole = Some(group.registers.clone());
                }
                for group in self.narrow_down(group, heard) {
                    self.requests.push_front(group);
                }
                return true;
            }
            Err(RequestError::Broken(error)) => self.polled.trouble = Some(error.into()),
            Err(RequestError::NoAnswer(_) | RequestError::Stopping) => {
                self.polled.trouble = Some(PollError::Meter(heard));
            }
        }
        self.requests.push_front(group);
        false
    }

    /// Adds an answer to the readings. Returns the registers that must be requested again before
    /// they count as left out.
    fn take_answer(
        &mut self,
        group: Group,
        answer: &[RegisterValue],
        quality: ReadingQuality,
    ) -> Option<Group> {
        let mut unsure = Vec::new();
        self.polled.answers = self.polled.answers.saturating_add(1);
        // A late answer lacks the registers that its request did not have, and one without
        // registers may belong to any request.
        let may_be_late = quality.may_be_late || quality.proof != Proof::Certain;
        let proves_little = may_be_late || answer.is_empty();
        for register in group.registers {
            let value = answer.iter().find(|value| value.register == register);
            match value.map(Reading::try_from) {
                Some(Ok(reading)) => self.polled.accept_or_doubt(reading, quality, self.memory),
                Some(Err(error)) => {
                    self.memory.absences.remove(register);
                    if quality.proof == Proof::Certain {
                        self.memory.unproven.remove(&register);
                    }
                    self.memory.identification.unreadable(register);
                    self.polled.missing.push((register, error.into()));
                }
                None if proves_little && !group.is_repeated => unsure.push(register),
                None if answer.is_empty() => {
                    self.memory.plausibility.left_out(register);
                    self.memory.note_empty(register);
                    let known = self.memory.absences.reason(register).cloned();
                    self.polled.missing.push((register, known.unwrap_or(Missing::Omitted)));
                }
                None => self.note_absence(register, Missing::LeftOut),
            }
        }
        if unsure.is_empty() {
            return None;
        }
        // Only an answer with other registers shows that one is missing.
        let room = GetRegister::MAX.saturating_sub(unsure.len()).min(ANCHORS);
        unsure.extend(answer.iter().map(|value| value.register).take(room));
        // They were left out, so the answer is shorter than this one.
        Some(Group { registers: unsure, is_repeated: true, is_sized: true, ..group })
    }

    /// Splits a group that the meter did not answer although it is awake. The last one returned is
    /// requested first.
    fn narrow_down(&mut self, group: Group, heard: NoAnswer) -> Vec<Group> {
        let is_silent = matches!(heard, NoAnswer::Nothing | NoAnswer::OwnEcho);
        if group.registers.len() > 1 {
            // Noise and late answers say nothing about a register.
            let is_search = is_silent && !group.is_part && !self.memory.scan_mode;
            if is_search && !std::mem::replace(&mut self.polled.line.is_search_logged, true) {
                info!(
                    "The meter answers, but not if it is asked for all of these values together. Looking \
                     for the values that make it silent, which may take some minutes."
                );
            }
            let [first, second] = group.halves();
            return vec![second, first];
        }
        if is_silent && !group.is_repeated {
            return vec![Group { is_repeated: true, ..group }];
        }
        for register in group.registers {
            if is_silent {
                // It was requested alone, three times, from a meter that answers `GetSerialNo`.
                self.note_absence(register, Missing::Silences);
            } else {
                self.memory.absences.note_other_loss(register);
                self.polled.trouble.get_or_insert(PollError::Meter(heard));
                self.polled.missing.push((register, Missing::NoAnswer));
            }
        }
        Vec::new()
    }

    fn note_absence(&mut self, register: RegisterId, why: Missing) {
        let why = self.memory.note_absence(register, why);
        self.polled.missing.push((register, why));
    }
}
