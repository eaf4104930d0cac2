//! Which meter answers: asked when it is new, and whenever another one may be there.

use kmp::message::{Command, GetRegister, GetSerialNo, GetType, SerialNumber};
use kmp::register::RegisterId;
use tokio_util::sync::CancellationToken;

use super::ask::{CONFIRMATIONS, confirm, learn, quality, weigh};
use super::memory::{ANCHORS, Memory, Recognition};
use super::outcome::{PollError, Polled};
use crate::client::{Meter, NoAnswer, RequestError, Tries};
use crate::identity::{Exchange, SERIAL, serial_number};
use crate::reading::{Missing, Reading};
use crate::transport::Stream;

/// Whose the readings of a poll are.
#[derive(Debug)]
pub(super) enum Owner {
    /// The meter's that is known, or nothing is known of it that could be compared.
    Known,
    /// Another meter's.
    Other(Exchange),
    /// It is not certain.
    Unknown,
}

/// Finds out whether this is still the same meter, where there is reason to ask.
pub(super) async fn recognize(
    meter: &mut Meter<Box<dyn Stream>>,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Owner {
    polled.note_silence(meter);
    if let Some(owner) = judge(polled, memory) {
        return owner;
    }
    let serials = memory.identification.serials();
    let Some(known) = serials.register() else { return Owner::Known };
    if polled.trouble.as_ref().is_some_and(PollError::is_silence) {
        return Owner::Unknown;
    }
    let along = polled.serial();
    match ask_serial(meter, memory, stop).await {
        // The register holds another number than the command gives: one of the two was another
        // meter's, or damaged.
        Ok(Some(serial)) if serial != known && Some(serial) == serials.command() => {
            if along == Some(serial) {
                memory.forget_identity();
                return Owner::Unknown;
            }
            memory.recognition = Recognition::now();
            Owner::Known
        }
        Ok(Some(serial)) if serial == known => {
            memory.recognition = Recognition::now();
            // One that came in an answer with values, and is not so any more: whose were they?
            if along.is_some_and(|along| along != known) { Owner::Unknown } else { Owner::Known }
        }
        Ok(Some(serial)) => {
            let last = memory.counters.values().cloned().collect();
            Owner::Other(Exchange { from: known, last, to: serial })
        }
        Ok(None) => Owner::Unknown,
        Err(error) => {
            polled.trouble = Some(error);
            Owner::Unknown
        }
    }
}

/// Whose the readings are, where the meter need not be asked for that.
pub(super) fn judge(polled: &mut Polled, memory: &mut Memory) -> Option<Owner> {
    let serials = memory.identification.serials();
    let known = serials.register();
    let is_foreign = |reading: &Reading| {
        reading.register == SERIAL && known.is_some() && serial_number(&reading.value) != known
    };
    polled.suspect |=
        polled.has_changes() || polled.doubtful.iter().any(|(reading, _)| is_foreign(reading));
    if polled.readings.is_empty() && polled.doubtful.is_empty() {
        // Where the meter has told another serial number, it can be asked for it.
        let can_be_asked = polled.suspect && polled.trouble.is_none();
        if !can_be_asked {
            return Some(Owner::Known);
        }
    }
    if known.is_none() {
        // What was found out before may be another meter's.
        if memory.recognition == Recognition::Uncertain || polled.has_changes() {
            memory.forget_identity();
        }
        memory.recognition = Recognition::Never;
        return Some(Owner::Known);
    }
    let along = polled.serial();
    // One that was read before a silence says nothing of what came after it.
    let before = polled.before_silence.as_ref();
    let vouches = before.is_none_or(|registers| !registers.contains(&SERIAL));
    if along == known && vouches {
        memory.recognition = Recognition::now();
        return Some(Owner::Known);
    }
    let read: Vec<_> = polled.readings.iter().map(|reading| reading.register).collect();
    let is_settled = along.is_none() && !polled.suspect && !memory.must_recognize(&read);
    is_settled.then_some(Owner::Known)
}

/// The meter's serial number, as certain as can be: in one answer with other registers, whose order
/// tells a late one; by its own command where the meter does not give the register. The error is that
/// the connection broke.
async fn ask_serial(
    meter: &mut Meter<Box<dyn Stream>>,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Result<Option<SerialNumber>, PollError> {
    let serials = memory.identification.serials();
    if memory.is_absent(SERIAL).is_none() && serials.by_register.is_some() {
        let padding =
            memory.plausibility.shortest().into_iter().filter(|register| *register != SERIAL);
        let padding = padding.take(memory.order_quorum.saturating_sub(1).max(2));
        let registers: Vec<_> = [SERIAL].into_iter().chain(padding).collect();
        let mut earlier = None;
        for _ in 0..=CONFIRMATIONS {
            let Some(command) = memory.command(&registers) else { break };
            let answer = match meter.request(&command, Tries::Two, stop).await {
                Ok(answer) => answer,
                Err(RequestError::Broken(error)) => return Err(error.into()),
                Err(_) => break,
            };
            let how = quality(meter, memory, &registers);
            let value = answer.iter().find(|value| value.register == SERIAL);
            let serial = value.and_then(|value| serial_number(&value.value().ok()?));
            let Some(serial) = serial else { break };
            let is_known = Some(serial) == serials.register() && how.clean && !how.may_be_late;
            if is_known || earlier == Some(serial) {
                return Ok(Some(serial));
            }
            earlier = Some(serial);
        }
    }
    // Another meter may not have the registers that this one had.
    let mut earlier = None;
    for _ in 0..2 {
        let serial = match surely(meter, &GetSerialNo, stop).await {
            Ok(Some(serial)) => serial,
            Err(RequestError::Broken(error)) => return Err(error.into()),
            Ok(None) | Err(_) => return Ok(None),
        };
        if !memory.is_foreign(serial) || earlier == Some(serial) {
            return Ok(Some(serial));
        }
        earlier = Some(serial);
    }
    Ok(None)
}

impl Polled {
    /// Takes out what may be another meter's.
    pub(super) fn withhold_foreign(&mut self, memory: &mut Memory) {
        // What another meter gives must leave nothing behind.
        memory.return_to_checkpoint();
        // What was read before the meter fell silent is the known one's, if nothing else speaks
        // against it.
        let before = self.before_silence.take();
        let is_certain = memory.recognition != Recognition::Uncertain
            && !self.has_changes()
            && self.exchange.is_none();
        let certain = before.filter(|_| is_certain).unwrap_or_default();
        memory.recognition = Recognition::Uncertain;
        let doubtful = std::mem::take(&mut self.doubtful).into_iter();
        let (kept, foreign): (Vec<_>, Vec<_>) = std::mem::take(&mut self.readings)
            .into_iter()
            .partition(|reading| certain.contains(&reading.register));
        for reading in &kept {
            memory.plausibility.accept(reading);
        }
        self.readings = kept;
        self.changes.clear();
        let foreign = foreign.into_iter().chain(doubtful.map(|(reading, _)| reading));
        let foreign = foreign.map(|reading| (reading.register, Missing::OtherMeter));
        self.missing.extend(foreign);
        self.trouble.get_or_insert(PollError::Unrecognized);
    }

    /// The serial number that was read along.
    fn serial(&self) -> Option<SerialNumber> {
        let along = self.readings.iter().find(|reading| reading.register == SERIAL)?;
        serial_number(&along.value)
    }

    /// Whether something happened to a value, or seems to have: it may be another meter's.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.doubtful.iter().any(|(_, doubt)| doubt.is_change())
    }

    /// Notes whether the meter fell silent, before what it said after that is taken.
    pub(super) fn note_silence(&mut self, meter: &mut Meter<Box<dyn Stream>>) {
        if meter.take_silence() {
            self.suspect = true;
            let read = self.readings.iter().map(|reading| reading.register);
            self.before_silence.get_or_insert_with(|| read.collect());
        }
    }
}

/// Registers that are asked for to find out which meter this is.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) registers: Vec<RegisterId>,
    /// Alone, it was met with silence in an earlier poll.
    pub(super) silent: bool,
}

/// Asks which meter this is, until that is known. What silences the meter costs one request in a poll,
/// however many registers do: the next half has its turn in the next poll.
pub(super) async fn question(
    meter: &mut Meter<Box<dyn Stream>>,
    configured: &[RegisterId],
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    learn(polled, memory);
    if polled.trouble.is_some() || polled.readings.is_empty() {
        return;
    }
    // That the meter does not have a register shows only in an answer with others.
    let anchors = memory.order_quorum.clamp(ANCHORS, 4);
    if memory.questions.is_empty() {
        let mut open: Vec<_> = memory.identification.registers().collect();
        open.retain(|register| !configured.contains(register));
        let question =
            |registers: &[RegisterId]| Question { registers: registers.to_vec(), silent: false };
        let size = GetRegister::MAX.saturating_sub(anchors).max(1);
        memory.questions.extend(open.chunks(size).map(question));
    }
    let mut later = Vec::new();
    while let Some(mut question) = memory.questions.pop_front() {
        let open: Vec<_> = memory.identification.registers().collect();
        question.registers.retain(|register| open.contains(register));
        if question.registers.is_empty() {
            continue;
        }
        let known = memory.plausibility.shortest().into_iter();
        let known = known.filter(|register| !question.registers.contains(register));
        let asked: Vec<_> = question.registers.iter().copied().chain(known.take(anchors)).collect();
        let Some(command) = memory.command(&asked) else { continue };
        match meter.request(&command, Tries::One, stop).await {
            Ok(answer) => {
                let how = quality(meter, memory, &asked);
                let tells = !answer.is_empty() && how.clean && !how.may_be_late;
                let mut untold = Vec::new();
                for register in question.registers {
                    let value = answer.iter().find(|value| value.register == register);
                    match value.map(Reading::try_from) {
                        Some(Ok(reading)) => weigh(reading, how, polled, memory),
                        Some(Err(_)) => memory.identification.unreadable(register),
                        None if tells => memory.identification.left_out(register),
                        None => untold.push(register),
                    }
                }
                if !untold.is_empty() {
                    later.push(Question { registers: untold, silent: false });
                }
            }
            Err(RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho)) => {
                match (question.registers.as_slice(), question.silent) {
                    ([register], true) => memory.identification.silent(*register),
                    ([_], false) => {
                        memory.questions.push_back(Question { silent: true, ..question });
                    }
                    (registers, _) => {
                        let (first, second) = registers.split_at(registers.len() / 2);
                        for half in [first, second] {
                            let registers = half.to_vec();
                            memory.questions.push_back(Question { registers, silent: false });
                        }
                    }
                }
                break;
            }
            Err(_) => {
                memory.questions.push_front(question);
                break;
            }
        }
    }
    memory.questions.extend(later);
    confirm(meter, polled, memory, stop).await;
    learn(polled, memory);
}

/// So often both ways to ask for the serial number may give different ones.
const CONTRADICTIONS: u8 = 2;

/// Asks for type and serial number, once.
pub(super) async fn identify(
    meter: &mut Meter<Box<dyn Stream>>,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    let awake = polled.trouble.is_none() && !polled.readings.is_empty();
    if awake && memory.identification.wants_commands() {
        let meter_type = surely(meter, &GetType, stop).await;
        let serial = match meter_type {
            Ok(_) => surely(meter, &GetSerialNo, stop).await,
            Err(_) => Ok(None),
        };
        if let (Ok(meter_type), Ok(serial)) = (meter_type, serial) {
            let by_register = memory.identification.serials().by_register;
            let contradicts = by_register.zip(serial).is_some_and(|(one, other)| one != other);
            // Two meters, or a damaged answer. Where it is so each time, the meter is like that.
            if contradicts && memory.contradictions < CONTRADICTIONS {
                memory.contradictions = memory.contradictions.saturating_add(1);
                memory.forget_identity();
                return;
            }
            memory.identification.commands(meter_type, serial);
            memory.recognition = Recognition::now();
        }
    }
    polled.news = memory.identification.news();
}

/// An answer that a damaged or late one cannot have been taken for: where that may be, two must be
/// the same. `None` where the meter does not answer this.
async fn surely<C: Command<Answer: PartialEq>>(
    meter: &mut Meter<Box<dyn Stream>>,
    command: &C,
    stop: &CancellationToken,
) -> Result<Option<C::Answer>, RequestError> {
    let mut earlier = None;
    for _ in 0..=CONFIRMATIONS {
        match meter.request(command, Tries::Two, stop).await {
            Ok(answer) => {
                let sure = meter.is_clean() && !meter.may_be_late();
                if sure || earlier.as_ref() == Some(&answer) {
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
