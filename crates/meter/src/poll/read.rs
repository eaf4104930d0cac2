//! Reads registers, and finds those that the meter does not have.
//!
//! A request that is not answered is made again, twice. If it fails for good, the serial number is
//! requested, which every meter has:
//!
//! - No answer: the meter is asleep, and the poll ends. The next polls come after 15 s, 30 s and so
//!   on up to the interval, and cost two short requests each.
//! - An answer: one of the registers silences the meter, as a 403 is by some
//!   (`cenobitedk/esphome_multical402` issue 5). So the group is requested in halves until that
//!   register is alone.
//!
//! A register that silences the meter, or that the meter leaves out of an answer with others, in
//! two polls, is not requested for a day ([`super::absences`]). An answer without any register
//! proves nothing, and every poll requests something.

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
    /// Makes the requests, until there are none left or the meter cannot be asked any more.
    pub(super) async fn read_all(&mut self) {
        if self.memory.last_poll_failed && !self.try_silent_meter().await {
            return;
        }
        while let Some(group) = self.requests.pop_front() {
            let Some(request) = self.memory.request(&group.registers) else { continue };
            // A part that fails by chance is only halved once more.
            let is_small = group.is_part && (self.memory.scan_mode || group.registers.len() > 1);
            let once = self.memory.last_poll_failed || is_small;
            let tries = if once { Tries::One } else { Tries::Three };
            let result = self.client.request(&request, tries, self.stop).await;
            self.note_silence();
            match result {
                Ok(answer) => {
                    self.memory.last_poll_failed = false;
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

    /// Asks a meter that was silent in the last poll for its serial number. Mostly it still is
    /// silent, and this request is short. A register may have silenced it, so it is not asked for
    /// one first. Whether the poll goes on.
    async fn try_silent_meter(&mut self) -> bool {
        match self.client.request(&GetSerialNo, Tries::One, self.stop).await {
            Ok(serial) => {
                self.memory.last_poll_failed = false;
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
    /// Whether the poll goes on.
    async fn handle_silence(&mut self, group: Group, heard: NoAnswer) -> bool {
        let probed = if self.memory.last_poll_failed {
            Err(RequestError::NoAnswer(heard))
        } else {
            self.client.request(&GetSerialNo, Tries::Two, self.stop).await
        };
        match probed {
            Ok(serial) if self.memory.is_foreign(serial) => self.polled.suspect = true,
            Ok(_) => {
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

    /// Adds an answer to what was read. Gives the registers that must be requested again before
    /// they count as left out.
    fn take_answer(
        &mut self,
        group: Group,
        answer: &[RegisterValue],
        quality: ReadingQuality,
    ) -> Option<Group> {
        let mut unsure = Vec::new();
        // A late answer lacks what was not requested then, and one without any register may belong
        // to any request.
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
        // That a register is missing shows only beside others.
        let room = GetRegister::MAX.saturating_sub(unsure.len()).min(ANCHORS);
        unsure.extend(answer.iter().map(|value| value.register).take(room));
        Some(Group { registers: unsure, is_repeated: true, ..group })
    }

    /// What to request next of a group that the meter did not answer while it is awake, last first.
    fn narrow_down(&mut self, group: Group, heard: NoAnswer) -> Vec<Group> {
        if group.registers.len() > 1 {
            if !group.is_part && !self.memory.scan_mode {
                info!(
                    "Looking for the value that the meter does not answer. This takes up to a minute."
                );
            }
            let [first, second] = group.halves();
            return vec![second, first];
        }
        let is_silent = matches!(heard, NoAnswer::Nothing | NoAnswer::OwnEcho);
        if is_silent && !group.is_repeated {
            return vec![Group { is_repeated: true, ..group }];
        }
        for register in group.registers {
            if is_silent {
                // Alone, three times, while the meter answers what every meter answers.
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
