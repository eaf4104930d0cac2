//! Identifies the meter after the values of the first poll, and whenever another one may have taken
//! its place.
//!
//! Readings are published only if it is certain which meter they belong to. After a silence, a
//! counter that fell or jumped, a second connection or a reload, the serial number is read together
//! with other registers, because their order reveals a late answer. If the number is different,
//! everything that was known about the meter is forgotten and the poll starts again. If the meter
//! does not send the number, the readings are withheld ([`crate::reading::Missing::OtherMeter`])
//! and forgotten.

use kmp::message::{Command, GetRegister, GetSerialNo, GetType, SerialNumber};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;

use super::confirm::CONFIRMATIONS;
use super::memory::Question;
use super::order::ANCHORS;
use super::outcome::PollError;
use super::ownership::{Ownership, is_certainly_known};
use super::session::Session;
use crate::client::{NoAnswer, RequestError, Tries};
use crate::identity::{Exchange, SERIAL, serial_number};
use crate::reading::Reading;

impl Session<'_> {
    /// Finds out whether this is still the same meter, and asks it if that is in doubt.
    pub(super) async fn recognize(&mut self) -> Ownership {
        self.note_silence();
        if is_certainly_known(self.polled, self.memory) {
            return Ownership::Known;
        }
        let serials = self.memory.identification.serials();
        let Some(known) = serials.register() else { return Ownership::Known };
        if self.polled.trouble.as_ref().is_some_and(PollError::is_silence) {
            return Ownership::Unknown;
        }
        let along = self.polled.serial();
        let serial = match self.ask_serial().await {
            Ok(Some(serial)) => serial,
            Ok(None) => return Ownership::Unknown,
            Err(error) => {
                self.polled.trouble = Some(error);
                return Ownership::Unknown;
            }
        };
        if serial == known {
            self.memory.recognition.succeeded();
            // An answer with values had another number, so they may be another meter's.
            let is_other = along.is_some_and(|along| along != known);
            return if is_other { Ownership::Unknown } else { Ownership::Known };
        }
        // Register and command differ. One of the two was another meter's, or damaged.
        if Some(serial) == serials.command() {
            if along == Some(serial) {
                self.memory.forget_identity();
                return Ownership::Unknown;
            }
            self.memory.recognition.succeeded();
            return Ownership::Known;
        }
        let last = self.memory.recognition.last_counters();
        Ownership::Other(Exchange { from: known, last, to: serial })
    }

    /// Requests the serial number as reliably as possible: together with other registers, whose
    /// order reveals a late answer, or by its own command if the meter does not send the register.
    /// The error means that the connection broke.
    async fn ask_serial(&mut self) -> Result<Option<SerialNumber>, PollError> {
        let has_register = self.memory.absences.reason(SERIAL).is_none()
            && self.memory.identification.serials().by_register.is_some();
        if has_register && let Some(serial) = self.ask_serial_register().await? {
            return Ok(Some(serial));
        }
        // Another meter may lack the registers that this one had.
        let mut earlier = None;
        for _ in 0..2 {
            let serial = match self.ask_reliably(&GetSerialNo).await {
                Ok(Some(serial)) => serial,
                Err(RequestError::Broken(error)) => return Err(error.into()),
                Ok(None) | Err(_) => return Ok(None),
            };
            if !self.memory.is_foreign(serial) || earlier == Some(serial) {
                return Ok(Some(serial));
            }
            earlier = Some(serial);
        }
        Ok(None)
    }

    /// Requests the register of the serial number. Accepts the known number, or another one twice.
    async fn ask_serial_register(&mut self) -> Result<Option<SerialNumber>, PollError> {
        let known = self.memory.identification.serials().register();
        let others = self.memory.order_quorum().saturating_sub(1).max(2);
        let others = self.memory.plausibility.shortest_except(&[SERIAL]).take(others);
        let registers: Vec<_> = [SERIAL].into_iter().chain(others).collect();
        let mut earlier = None;
        for _ in 0..=CONFIRMATIONS {
            let Some(request) = self.memory.request(&registers) else { break };
            let answer = match self.client.request(&request, Tries::Two, self.stop).await {
                Ok(answer) => answer,
                Err(RequestError::Broken(error)) => return Err(error.into()),
                Err(_) => break,
            };
            let quality = self.quality(&registers);
            let value = answer.iter().find(|value| value.register == SERIAL);
            let serial = value.and_then(|value| serial_number(&value.value().ok()?));
            let Some(serial) = serial else { break };
            let is_known = Some(serial) == known && quality.is_good();
            if is_known || earlier == Some(serial) {
                return Ok(Some(serial));
            }
            earlier = Some(serial);
        }
        Ok(None)
    }

    /// Requests the registers that identify the meter, until it is known. A request that silences
    /// the meter is split, and its halves follow in later polls. So silence costs each poll one
    /// request.
    pub(super) async fn ask_identity(&mut self, configured: &[RegisterId]) {
        self.memory.learn_identity(&self.polled.readings);
        if !self.is_answering() {
            return;
        }
        // Only an answer with other registers shows whether the meter has a register.
        let anchors = self.memory.order_quorum().clamp(ANCHORS, 4);
        if self.memory.questions.is_empty() {
            let mut open: Vec<_> = self.memory.identification.registers().collect();
            open.retain(|register| !configured.contains(register));
            let size = GetRegister::MAX.saturating_sub(anchors).max(1);
            self.memory.questions.extend(open.chunks(size).map(Question::new));
        }
        let mut later = Vec::new();
        while let Some(mut question) = self.memory.questions.pop_front() {
            let open: Vec<_> = self.memory.identification.registers().collect();
            question.registers.retain(|register| open.contains(register));
            if question.registers.is_empty() {
                continue;
            }
            let known = self.memory.plausibility.shortest_except(&question.registers);
            let asked: Vec<_> =
                question.registers.iter().copied().chain(known.take(anchors)).collect();
            let Some(request) = self.memory.request(&asked) else { continue };
            match self.client.request(&request, Tries::One, self.stop).await {
                Ok(answer) => later.extend(self.take_identity(question, &asked, &answer)),
                Err(error) => {
                    self.postpone(question, &error);
                    break;
                }
            }
        }
        self.memory.questions.extend(later);
        self.confirm().await;
        self.memory.learn_identity(&self.polled.readings);
    }

    /// Adds an answer about the meter's identity. Returns the registers that are still open.
    fn take_identity(
        &mut self,
        question: Question,
        asked: &[RegisterId],
        answer: &[RegisterValue],
    ) -> Option<Question> {
        let quality = self.quality(asked);
        let shows_absence = !answer.is_empty() && quality.is_good();
        let mut open = Vec::new();
        for register in question.registers {
            let value = answer.iter().find(|value| value.register == register);
            match value.map(Reading::try_from) {
                Some(Ok(reading)) => self.polled.accept_or_doubt(reading, quality, self.memory),
                Some(Err(_)) => self.memory.identification.unreadable(register),
                None if shows_absence => self.memory.identification.left_out(register),
                None => open.push(register),
            }
        }
        (!open.is_empty()).then(|| Question::new(&open))
    }

    /// Postpones an unanswered question to the next poll, in halves if it silenced the meter.
    fn postpone(&mut self, question: Question, error: &RequestError) {
        if !matches!(error, RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho)) {
            self.memory.questions.push_front(question);
            return;
        }
        match (question.registers.as_slice(), question.is_silent) {
            ([register], true) => self.memory.identification.silent(*register),
            ([_], false) => {
                self.memory.questions.push_back(Question { is_silent: true, ..question });
            }
            (registers, _) => {
                let (first, second) = registers.split_at(registers.len() / 2);
                self.memory.questions.extend([first, second].map(Question::new));
            }
        }
    }

    /// Requests type and serial number by their own commands, once.
    pub(super) async fn ask_type_and_serial(&mut self) {
        if self.is_answering() && self.memory.identification.wants_commands() {
            let meter_type = self.ask_reliably(&GetType).await;
            let serial = match meter_type {
                Ok(_) => self.ask_reliably(&GetSerialNo).await,
                Err(_) => Ok(None),
            };
            if let (Ok(meter_type), Ok(serial)) = (meter_type, serial) {
                let by_register = self.memory.identification.serials().by_register;
                let differ = by_register.zip(serial).is_some_and(|(one, other)| one != other);
                if differ && self.memory.recognition.may_be_mistaken() {
                    self.memory.forget_identity();
                    return;
                }
                self.memory.identification.commands(meter_type, serial);
                self.memory.recognition.succeeded();
            }
        }
        self.polled.identity_report = self.memory.identification.report();
    }

    /// Whether values were read and nothing is wrong.
    fn is_answering(&self) -> bool {
        self.polled.trouble.is_none() && !self.polled.readings.is_empty()
    }

    /// Requests an answer that is neither damaged nor late. If it may be, two answers must be the
    /// same. `None` if the meter does not answer this command.
    async fn ask_reliably<C: Command<Answer: PartialEq>>(
        &mut self,
        command: &C,
    ) -> Result<Option<C::Answer>, RequestError> {
        let mut earlier = None;
        for _ in 0..=CONFIRMATIONS {
            match self.client.request(command, Tries::Two, self.stop).await {
                Ok(answer) => {
                    let is_certain = self.client.is_clean() && !self.client.may_be_late();
                    if is_certain || earlier.as_ref() == Some(&answer) {
                        return Ok(Some(answer));
                    }
                    earlier = Some(answer);
                }
                Err(RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho))
                    if earlier.is_none() =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Err(RequestError::NoAnswer(NoAnswer::Foreign))
    }
}
