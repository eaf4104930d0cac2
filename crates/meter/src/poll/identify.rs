//! Identifies the meter after the values of the first poll, and whenever another one may have taken
//! its place.
//!
//! Readings are published only if it is certain which meter they belong to. Another meter may have
//! taken its place after a silence or a reload, after a counter fell or jumped, or if the poll
//! needed a second connection. Then the serial number is read again. Other registers are in the
//! same request, because their order reveals a late answer.
//!
//! - If the number is the known one, the readings are published.
//! - If the number is different, everything that was known about the meter is forgotten, and the
//!   poll starts again.
//! - If the meter does not send the number, the readings are withheld
//!   ([`crate::reading::Missing::OtherMeter`]) and forgotten.

use std::collections::BTreeSet;

use kmp::message::{Command, GetRegister, GetSerialNo, GetType, SerialNumber};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;

use super::extent::Extent;
use super::memory::Question;
use super::order::{ANCHORS, CONFIRMATIONS};
use super::outcome::PollError;
use super::ownership::{Ownership, is_certainly_known};
use super::session::Session;
use crate::client::{NoAnswer, Proof, RequestError, Tries};
use crate::condition::{Condition, is_suspicious, may_hide_a_fault};
use crate::identity::{Exchange, SERIAL, Version, serial_number};
use crate::plausibility::ReadingQuality;
use crate::reading::Reading;

/// What the register of the serial number shows.
enum Asked {
    Answered(SerialNumber),
    /// The meter with the known number has other values than those of this poll.
    Contradicted,
    Unanswered,
}

/// How many changed values are read again together with the serial number, at most. There is also
/// room for the registers that make the order conclusive.
const MOST_CHANGED: usize = 2;

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
        if has_register {
            match self.ask_serial_register().await? {
                Asked::Answered(serial) => return Ok(Some(serial)),
                Asked::Contradicted => return Ok(None),
                Asked::Unanswered => {}
            }
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
    async fn ask_serial_register(&mut self) -> Result<Asked, PollError> {
        let known = self.memory.identification.serials().register();
        let others = self.memory.order_quorum().saturating_sub(1).max(2);
        // Which meter sent the values that changed is certain only if the same answer has both.
        let changed = self.polled.changes.iter().map(|(register, _)| *register);
        let changed: BTreeSet<_> = changed.filter(|register| *register != SERIAL).collect();
        let changed = changed.into_iter().take(MOST_CHANGED);
        let first: Vec<_> = [SERIAL].into_iter().chain(changed).collect();
        let others = self.memory.anchors(&first).take(others);
        let mut registers: Vec<_> = first.iter().copied().chain(others).collect();
        registers.truncate(self.memory.fitting(&registers));
        let alone = first.iter().filter(|register| !registers.contains(register));
        let alone: Vec<_> = alone.copied().collect();
        let mut earlier = None;
        for _ in 0..=CONFIRMATIONS {
            let Some(request) = self.memory.request(&registers) else { break };
            let answer = match self.client.request(&request, Tries::Two, self.stop).await {
                Ok(answer) => answer,
                Err(RequestError::Broken(error)) => return Err(error.into()),
                Err(_) => break,
            };
            let quality = self.quality(answer.len(), answer.len());
            let value = answer.iter().find(|value| value.register == SERIAL);
            let serial = value.and_then(|value| serial_number(&value.value().ok()?));
            let Some(serial) = serial else { break };
            let is_known = Some(serial) == known && quality.is_good();
            let is_open = quality.proof == Proof::Open;
            if is_known || (earlier == Some(serial) && !is_open) {
                let is_of_another = Some(serial) == known
                    && (self.is_contradicted(&answer) || self.contradict(&alone).await?);
                return Ok(if is_of_another {
                    Asked::Contradicted
                } else {
                    Asked::Answered(serial)
                });
            }
            earlier = Some(serial);
        }
        Ok(Asked::Unanswered)
    }

    /// Whether one of the changed values is contradicted if it is read again alone. The line may not
    /// carry it in one answer with the serial number. So the serial number is read between two
    /// readings of it.
    async fn contradict(&mut self, changed: &[RegisterId]) -> Result<bool, PollError> {
        for register in changed {
            let Some(request) = self.memory.request(&[*register]) else { continue };
            match self.client.request(&request, Tries::Two, self.stop).await {
                Ok(answer) if self.is_contradicted(&answer) => return Ok(true),
                Err(RequestError::Broken(error)) => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Whether an answer contradicts a changed value that was accepted. Then two meters answer.
    fn is_contradicted(&self, answer: &[RegisterValue]) -> bool {
        let is_changed =
            |register| self.polled.changes.iter().any(|(changed, _)| *changed == register);
        let again = answer.iter().filter(|value| is_changed(value.register));
        again.filter_map(|value| Reading::try_from(value).ok()).any(|reading| {
            let quality = ReadingQuality { clean: true, may_be_late: false, proof: Proof::Certain };
            let doubt = self.memory.plausibility.doubt(&reading, quality);
            doubt.is_some_and(|doubt| doubt.is_change())
        })
    }

    /// Requests the registers that identify the meter, until it is known. A request that silences
    /// the meter is split, and its halves follow in later polls. So silence costs each poll one
    /// request.
    pub(super) async fn ask_identity(&mut self, due: &[RegisterId]) {
        self.memory.learn_identity(&self.polled.readings);
        if !self.is_answering() {
            return;
        }
        // Only an answer with other registers shows whether the meter has a register.
        let anchors = self.memory.order_quorum().clamp(ANCHORS, 4);
        if self.memory.questions.is_empty() {
            let mut open = self.memory.identity_registers();
            open.retain(|register| !due.contains(register));
            let size = GetRegister::MAX.saturating_sub(anchors).max(1);
            self.memory.questions.extend(open.chunks(size).map(Question::new));
        }
        let mut later = Vec::new();
        while let Some(mut question) = self.memory.questions.pop_front() {
            let open = self.memory.identity_registers();
            question.registers.retain(|register| open.contains(register));
            if question.registers.is_empty() {
                continue;
            }
            let asked = self.fit_question(&mut question, anchors);
            let Some(request) = self.memory.request(&asked) else { continue };
            let mut result = self.client.request(&request, Tries::One, self.stop).await;
            if result.is_err() && self.client.longest_cut().is_some() && !self.is_cut() {
                // A second answer that breaks off shows whether the line cuts it.
                result = self.client.request(&request, Tries::Two, self.stop).await;
            }
            match result {
                Ok(answer) => later.extend(self.take_identity(question, &asked, &answer)),
                Err(RequestError::NoAnswer(_)) if self.is_cut() => self.split_question(&question),
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

    /// The registers of a question, and others that the meter is known to have. The line may not carry
    /// an answer with all of them: then the rest of the question is asked next.
    fn fit_question(&mut self, question: &mut Question, anchors: usize) -> Vec<RegisterId> {
        let known = self.memory.anchors(&question.registers);
        let known: Vec<_> = known.take(anchors).collect();
        for count in (0..=known.len()).rev() {
            let known = known.get(..count).unwrap_or_default();
            let fitting = self.memory.fitting(&[known, &question.registers].concat());
            let fitting = fitting.saturating_sub(count);
            // One other register is enough to show that one is missing.
            let is_enough = fitting > 0 && count <= ANCHORS;
            if fitting == question.registers.len() || is_enough {
                let rest = question.registers.split_off(fitting);
                if !rest.is_empty() {
                    self.memory.questions.push_front(Question::new(&rest));
                }
                return [question.registers.as_slice(), known].concat();
            }
        }
        question.registers.clone()
    }

    /// Asks the halves of a question whose answer was cut. A register whose answer is too long for
    /// the line is not asked for again.
    fn split_question(&mut self, question: &Question) {
        match question.registers.as_slice() {
            [register] => self.memory.identification.silent(*register),
            registers => {
                let (first, second) = registers.split_at(registers.len() / 2);
                for half in [second, first] {
                    self.memory.questions.push_front(Question::new(half));
                }
            }
        }
    }

    /// Adds an answer about the meter's identity. Returns the registers that are still open.
    fn take_identity(
        &mut self,
        question: Question,
        asked: &[RegisterId],
        answer: &[RegisterValue],
    ) -> Option<Question> {
        let quality = self.quality(answer.len(), answer.len());
        self.polled.answers = self.polled.answers.saturating_add(1);
        let shows_absence = !answer.is_empty() && quality.is_good();
        let is_alone = asked.len() == 1;
        let mut open = Vec::new();
        for register in question.registers {
            let value = answer.iter().find(|value| value.register == register);
            match value.map(Reading::try_from) {
                Some(Ok(reading)) => self.polled.accept_or_doubt(reading, quality, self.memory),
                Some(Err(_)) => self.memory.identification.unreadable(register),
                None if shows_absence => self.memory.identification.left_out(register),
                // The line has no room for another register in the answer.
                None if is_alone && question.is_silent => {
                    self.memory.identification.silent(register);
                }
                None => open.push(register),
            }
        }
        let is_silent = is_alone && answer.is_empty();
        (!open.is_empty()).then(|| Question { is_silent, ..Question::new(&open) })
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

    /// Finds out of the meter's identity only what a reading on demand needs.
    pub(super) async fn identify_in_part(&mut self, configured: &[RegisterId]) {
        self.memory.learn_identity(&self.polled.readings);
        let wants_model = self.wants_model();
        if wants_model {
            self.ask_identity(configured).await;
        }
        let wants_serial = self.memory.extent == Extent::SerialNumber
            && self.memory.identification.serials().by_register.is_none();
        if !(wants_model || wants_serial)
            || !self.is_answering()
            || !self.memory.identification.wants_commands()
        {
            return;
        }
        let meter_type = if wants_model { self.ask_reliably(&GetType).await } else { Ok(None) };
        let serial = match meter_type {
            Ok(_) if wants_serial => self.ask_reliably(&GetSerialNo).await,
            _ => Ok(None),
        };
        if let (Ok(meter_type), Ok(serial)) = (meter_type, serial) {
            self.memory.identification.commands(meter_type, serial);
        }
    }

    /// Whether a fault must be explained, and its meaning depends on a model that is not configured.
    /// Some models report it in another register, so a zero that a fault may cause is enough.
    fn wants_model(&self) -> bool {
        let readings = &self.polled.readings;
        let identity = self.memory.identification.identity();
        let has_fault = || Condition::of(readings, &identity).is_some_and(|it| it.code != 0);
        matches!(self.memory.identification.version(), Version::Auto | Version::Assumed(_))
            && (readings.iter().any(|it| is_suspicious(it, readings) || may_hide_a_fault(it))
                || has_fault())
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
