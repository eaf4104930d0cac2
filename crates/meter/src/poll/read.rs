//! Reads registers, and finds those that the meter does not have.
//!
//! A request without an answer is repeated twice. If it still fails, the serial number is
//! requested, which every meter has:
//!
//! - No answer: the meter is asleep, and the poll ends. The next polls follow after 15 s, 30 s and
//!   so on up to the interval, with two short requests each.
//! - An answer: one of the registers silences the meter, as some do with a 403
//!   (`cenobitedk/esphome_multical402` issue 5). So the registers of the request are requested in
//!   halves, until that register is requested alone.
//!
//! If a register silences the meter in two polls, or the meter leaves it out of answers with other
//! registers in two polls, it is not requested for a day ([`super::absences`]). An answer without
//! any registers does not show that a register is missing. If all registers of the poll were left
//! out of earlier answers, they are requested nevertheless, so that every poll requests something.

use kmp::message::{GetRegister, GetSerialNo};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tracing::info;

use super::order::ANCHORS;
use super::outcome::PollError;
use super::requests::Group;
use super::session::Session;
use crate::client::{NoAnswer, RequestError, Tries};
use crate::plausibility::ReadingQuality;
use crate::reading::{Missing, Reading};

impl Session<'_> {
    /// Makes the requests until none are left, or until the meter no longer answers.
    pub(super) async fn read_all(&mut self) {
        if self.memory.last_poll_failed && !self.try_silent_meter().await {
            return;
        }
        while let Some(group) = self.requests.pop_front() {
            let Some(request) = self.memory.request(&group.registers) else { continue };
            // If a part fails by chance, it is only split once more.
            let is_small = group.is_part && (self.memory.scan_mode || group.registers.len() > 1);
            let once = self.memory.last_poll_failed || is_small;
            let tries = if once { Tries::One } else { Tries::Three };
            let result = self.client.request(&request, tries, self.stop).await;
            self.note_silence();
            match result {
                Ok(answer) => {
                    self.memory.note_answer();
                    let quality = self.quality(&group.registers);
                    if let Some(unsure) = self.take_answer(group, &answer, quality) {
                        self.requests.push_front(unsure);
                    }
                }
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

    /// Requests the serial number from a meter that was silent in the last poll. It is usually
    /// still silent, and this request is short. A register is not requested first, because one may
    /// have silenced the meter. Returns whether the poll continues.
    async fn try_silent_meter(&mut self) -> bool {
        match self.client.request(&GetSerialNo, Tries::One, self.stop).await {
            Ok(serial) => {
                self.memory.note_answer();
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
        let probed = if self.memory.last_poll_failed {
            Err(RequestError::NoAnswer(heard))
        } else {
            self.client.request(&GetSerialNo, Tries::Two, self.stop).await
        };
        match probed {
            Ok(serial) if self.memory.is_foreign(serial) => self.polled.suspect = true,
            Ok(_) => {
                self.memory.note_answer();
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
        // A late answer lacks the registers that its request did not have, and one without
        // registers may belong to any request.
        let proves_little = quality.may_be_late || answer.is_empty();
        for register in group.registers {
            let value = answer.iter().find(|value| value.register == register);
            match value.map(Reading::try_from) {
                Some(Ok(reading)) => self.polled.accept_or_doubt(reading, quality, self.memory),
                Some(Err(error)) => {
                    self.memory.absences.remove(register);
                    self.memory.identification.unreadable(register);
                    self.polled.missing.push((register, error.into()));
                }
                None if proves_little && !group.is_repeated => unsure.push(register),
                None if answer.is_empty() => {
                    self.memory.plausibility.left_out(register);
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
        Some(Group { registers: unsure, is_repeated: true, ..group })
    }

    /// Splits a group that the meter did not answer although it is awake. The last one returned is
    /// requested first.
    fn narrow_down(&mut self, group: Group, heard: NoAnswer) -> Vec<Group> {
        let is_silent = matches!(heard, NoAnswer::Nothing | NoAnswer::OwnEcho);
        if group.registers.len() > 1 {
            // Noise and late answers say nothing about a register.
            if is_silent && !group.is_part && !self.memory.scan_mode {
                info!(
                    "The meter answers, but not if it is asked for all of these values together. Looking \
                     for the value that makes it silent, which takes up to a minute."
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
