//! What one poll asks for, in which order, and what becomes of the answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kmp::message::{Command, GetRegister, GetSerialNo, GetType};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Plan;
use super::journal::Trouble;
use crate::condition::{self, Condition};
use crate::guard::{self, Circumstances, Doubt, Guard};
use crate::highres::HighResolution;
use crate::identity::{Identification, News, Version};
use crate::meter::{Aftermath, Heard, Meter, RequestError, Traffic, Tries};
use crate::reading::{Missing, Reading};
use crate::transport::{Open, Stream};

/// How long a register that this meter does not have is not asked for.
pub(super) const ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the info code is read where the user did not ask for it: it tells of faults, and costs
/// a few bytes.
const DIAGNOSIS: Duration = Duration::from_secs(60 * 60);

/// How many sets of registers have their turns remembered.
const MOST_TURNS: usize = 256;

/// For so long an answer may be late.
const LATE: Duration = Duration::from_secs(60);

/// What most meters have, as company where a meter is hardly known yet.
const COMMON: [u16; 5] = [60, 68, 1004, 74, 80];

/// What one poll leaves for the next.
#[derive(Debug)]
pub(super) struct Memory {
    /// Which meter this is.
    pub(super) identification: Identification,
    pub(super) aftermath: Aftermath,
    /// What was on the line and has not been told yet.
    pub(super) traffic: Traffic,
    /// Registers that are not asked for, since when and why.
    pub(super) absent: BTreeMap<RegisterId, (Instant, Missing)>,
    /// The last poll read nothing: the next one must cost little.
    pub(super) in_vain: bool,
    /// Another meter waits while this one is asked in vain: one request is enough.
    pub(super) others_wait: bool,
    /// Registers that silence the meter are given up soon.
    pub(super) thrifty: bool,
    pub(super) guard: Guard,
    /// When the meter said last what is wrong with it, and whether a sensor is.
    pub(super) diagnosed: Option<(Instant, bool)>,
    /// What is still to be asked to find out which meter this is.
    pub(super) questions: VecDeque<Question>,
    pub(super) high_resolution: HighResolution,
    /// How often each set of registers was asked for, to ask in another order each time.
    pub(super) turns: BTreeMap<Vec<RegisterId>, usize>,
    /// When the last poll began.
    pub(super) begun: Option<Instant>,
    /// So many registers of a request must be known for their order to tell in this poll.
    pub(super) telling: usize,
}

impl Memory {
    pub(super) fn new(version: Version) -> Self {
        Self {
            identification: Identification::new(version),
            aftermath: Aftermath::default(),
            traffic: Traffic::default(),
            absent: BTreeMap::new(),
            in_vain: false,
            others_wait: false,
            thrifty: false,
            guard: Guard::default(),
            diagnosed: None,
            questions: VecDeque::new(),
            high_resolution: HighResolution::default(),
            turns: BTreeMap::new(),
            begun: None,
            telling: 1,
        }
    }

    /// For a task that goes on with the same meter, of which the user may say something else now. What
    /// it did not have is asked for again.
    pub(super) fn handed_over(self, version: Version) -> Self {
        let identification = if self.identification.version() == version {
            self.identification
        } else {
            Identification::new(version)
        };
        let (absent, questions) = (BTreeMap::new(), VecDeque::new());
        Self { identification, absent, questions, diagnosed: None, ..self }
    }

    /// Works out how many registers a request of this poll needs: a late answer is to one of the
    /// polls of the last minute, and each of these must have had another order.
    fn begin(&mut self) {
        let now = Instant::now();
        let since = self.begun.replace(now).map(|begun| now.saturating_duration_since(begun));
        let polls = since.map_or(0, |since| LATE.as_millis().div_ceil(since.as_millis().max(1)));
        self.telling = (1..=GetRegister::MAX).find(|count| orders(*count) >= polls).unwrap_or(1);
    }

    /// Registers to ask for along with too few, so that their order tells: the shortest that the
    /// meter is known to have, else what most meters have.
    fn company(&self, wanted: &[RegisterId]) -> Vec<RegisterId> {
        let common = COMMON.map(RegisterId::new);
        let common = common.into_iter().filter(|register| !self.guard.knows(*register));
        let unasked = |register: &RegisterId| {
            !wanted.contains(register) && self.is_absent(*register).is_none()
        };
        let lacking = self.telling.saturating_sub(wanted.len());
        self.guard.shortest().into_iter().chain(common).filter(unasked).take(lacking).collect()
    }

    /// Whether the order of an answer with these registers, if it follows that of the request, tells
    /// it from all that may be late.
    fn order_tells(&self, registers: &[RegisterId]) -> bool {
        let known = registers.iter().filter(|register| self.guard.knows(**register));
        known.count() >= self.telling
    }

    /// Asks for registers in another order than the last time, so that a late answer to an earlier
    /// request for them shows.
    fn command(&mut self, registers: &[RegisterId]) -> Option<GetRegister> {
        let mut set = registers.to_vec();
        set.sort_unstable();
        // Sets of doubtful registers are many; to forget the turns costs nothing but a chance.
        if self.turns.len() >= MOST_TURNS {
            self.turns.clear();
        }
        let turn = self.turns.entry(set).or_default();
        let command = GetRegister::new(&turned(registers, *turn)).ok()?;
        *turn = turn.wrapping_add(1);
        // Alone, a register may turn out to be gone.
        let alone = registers.len() == 1;
        Some(command.expecting(|register| !alone && self.guard.knows(register)))
    }

    /// The registers of the info code, if they were not read for a while. While a sensor is broken,
    /// each poll must know.
    fn codes_due(&self) -> &'static [RegisterId] {
        if self.diagnosed.is_some_and(|(at, broken)| !broken && at.elapsed() < DIAGNOSIS) {
            return &[];
        }
        condition::registers(&self.identification.identity().models)
    }

    fn is_absent(&self, register: RegisterId) -> Option<&Missing> {
        let (since, why) = self.absent.get(&register)?;
        (since.elapsed() < ABSENCE).then_some(why)
    }
}

/// A poll's outcome, with what went wrong.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) readings: Vec<Reading>,
    pub(super) missing: Vec<(RegisterId, Missing)>,
    /// Readings that must be read again before they count.
    pub(super) doubtful: Vec<(Reading, Doubt)>,
    /// Doubts that turned out to be true.
    pub(super) changes: Vec<(RegisterId, Doubt)>,
    /// What the meter says is wrong with it, where it was asked.
    pub(super) condition: Option<Condition>,
    /// What was found out about the meter.
    pub(super) news: Option<News>,
    pub(super) trouble: Option<Trouble>,
}

/// Requests that are still to be made.
pub(super) type Groups = VecDeque<Group>;

/// Registers that are asked for together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) registers: Vec<RegisterId>,
    /// Whether this is a part of a group that was not answered.
    pub(super) halved: bool,
    /// Whether it was silent before a meter that was awake: it may have woken up just then. Or it was
    /// left out of an answer that may be late.
    pub(super) again: bool,
}

/// `None` when the program stops before anything was read.
pub(super) async fn poll<O: Open>(
    plan: &Plan<O>,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Option<Polled> {
    let mut polled = Polled::default();
    let mut wanted = Vec::with_capacity(plan.registers.len());
    for register in &plan.registers {
        match memory.is_absent(*register) {
            Some(why) => polled.missing.push((*register, why.clone())),
            None => wanted.push(*register),
        }
    }
    // Now and then, what the meter says of its faults.
    let codes = memory.codes_due().iter().filter(|register| {
        !plan.registers.contains(register) && memory.is_absent(**register).is_none()
    });
    wanted.extend(codes.copied().collect::<Vec<_>>());
    memory.begin();
    if !wanted.is_empty() {
        wanted.extend(memory.company(&wanted));
    }
    // As few requests as possible, all of about the same size: a register alone has no order by
    // which a late answer would show.
    let requests = wanted.len().div_ceil(GetRegister::MAX).max(1);
    let mut groups: Groups =
        wanted.chunks(wanted.len().div_ceil(requests).max(1)).map(Group::whole).collect();
    let alone = wanted.len() == 1;
    // A connection that breaks is made again once: the rest of the poll is still to be had.
    for _ in 0..2 {
        polled.trouble = None;
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            opened = plan.port.open() => opened,
        };
        match opened {
            Ok(stream) => {
                let meter = Meter::new(stream, plan.line, memory.aftermath);
                let mut meter = meter.carefully(alone).counting(memory.traffic);
                read_all(&mut meter, &mut groups, &mut polled, memory, stop).await;
                confirm(&mut meter, &mut polled, memory, stop).await;
                diagnose(&mut meter, &mut groups, &mut polled, memory, stop).await;
                question(&mut meter, &plan.registers, &mut polled, memory, stop).await;
                identify(&mut meter, &mut polled, memory, stop).await;
                leave(meter, &polled, memory);
            }
            Err(error) => polled.trouble = Some(Trouble::Port(error)),
        }
        if !polled.is_broken_off() {
            break;
        }
    }
    if stop.is_cancelled() && polled.readings.is_empty() {
        return None;
    }
    let unread = groups.into_iter().flat_map(|group| group.registers);
    polled.missing.extend(unread.map(|register| (register, Missing::NoAnswer)));
    // What could not be read again does not contradict itself.
    let why = if polled.trouble.is_some() { Missing::NoAnswer } else { Missing::Doubtful };
    let doubtful = polled.doubtful.drain(..).map(|(reading, _)| reading.register);
    polled.missing.extend(doubtful.map(|register| (register, why.clone())));
    withhold(&mut polled, memory);
    // What was read for ourselves is not what the user asked for, nor is what kept it from being read.
    polled.readings.retain(|reading| plan.registers.contains(&reading.register));
    polled.missing.retain(|(register, _)| plan.registers.contains(register));
    let is_unread = |(_, why): &(_, _)| matches!(why, Missing::NoAnswer | Missing::Doubtful);
    if !polled.readings.is_empty() && !polled.missing.iter().any(is_unread) {
        polled.trouble = None;
    }
    memory.high_resolution.complete(&mut polled.readings, &mut polled.missing);
    Some(polled)
}

impl Polled {
    /// Whether the connection ended in the middle.
    pub(super) fn is_broken_off(&self) -> bool {
        matches!(self.trouble, Some(Trouble::Broken(_)))
    }
}

/// Remembers what is to be known when the port is opened again.
pub(super) fn leave(mut meter: Meter<Box<dyn Stream>>, polled: &Polled, memory: &mut Memory) {
    // Answers that may be late can go on coming over the next connection.
    if polled.is_broken_off() && !polled.doubtful.is_empty() {
        meter.distrust();
    }
    (memory.aftermath, memory.traffic) = (meter.aftermath(), meter.traffic());
}

impl Group {
    pub(super) fn whole(registers: &[RegisterId]) -> Self {
        Self { registers: registers.to_vec(), halved: false, again: false }
    }
}

/// Reads the info code where a value looks like that of a broken sensor.
async fn diagnose(
    meter: &mut Meter<Box<dyn Stream>>,
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    learn(polled, memory);
    let suspicious = polled.readings.iter().any(condition::is_suspicious);
    let codes = unread_codes(polled, memory);
    if suspicious && polled.trouble.is_none() && !codes.is_empty() {
        groups.push_back(Group::whole(&codes));
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
    }
}

/// Hands what was read to whom it tells which meter this is.
pub(super) fn learn(polled: &Polled, memory: &mut Memory) {
    for reading in &polled.readings {
        memory.identification.read(reading);
    }
    for (register, (_, why)) in &memory.absent {
        match why {
            Missing::Silences => memory.identification.silent(*register),
            _ => memory.identification.left_out(*register),
        }
    }
}

/// The registers of the info code that the meter has, and that were not read in this poll.
fn unread_codes(polled: &Polled, memory: &Memory) -> Vec<RegisterId> {
    let models = memory.identification.identity().models;
    let mut codes = condition::registers(&models).to_vec();
    codes.retain(|code| {
        let doubtful = polled.doubtful.iter().map(|(reading, _)| reading);
        let read = polled.readings.iter().chain(doubtful).any(|reading| reading.register == *code);
        !read && memory.is_absent(*code).is_none()
    });
    codes
}

/// Registers that are asked for to find out which meter this is.
#[derive(Debug)]
pub(super) struct Question {
    registers: Vec<RegisterId>,
    /// Alone, it was met with silence in an earlier poll.
    silent: bool,
}

/// Asks which meter this is, once per start. What silences the meter costs one request in a poll,
/// however many registers do: the next half has its turn in the next poll.
async fn question(
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
    if memory.questions.is_empty() {
        let mut open: Vec<_> = memory.identification.registers().collect();
        open.retain(|register| !configured.contains(register));
        let question =
            |registers: &[RegisterId]| Question { registers: registers.to_vec(), silent: false };
        memory.questions.extend(open.chunks(GetRegister::MAX).map(question));
    }
    while let Some(mut question) = memory.questions.pop_front() {
        let open: Vec<_> = memory.identification.registers().collect();
        question.registers.retain(|register| open.contains(register));
        let Some(command) = memory.command(&question.registers) else { continue };
        match meter.request(&command, Tries::One, stop).await {
            Ok(answer) => {
                let how = circumstances(meter, memory, &question.registers);
                for register in question.registers {
                    let value = answer.iter().find(|value| value.register == register);
                    match value.map(Reading::try_from) {
                        Some(Ok(reading)) => weigh(reading, how, polled, memory),
                        Some(Err(_)) => memory.identification.unreadable(register),
                        None => memory.identification.left_out(register),
                    }
                }
            }
            Err(RequestError::NoAnswer(Heard::Nothing | Heard::OwnEcho)) => {
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
    confirm(meter, polled, memory, stop).await;
    learn(polled, memory);
}

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
            memory.identification.commands(meter_type, serial);
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
            Err(RequestError::NoAnswer(Heard::Nothing | Heard::OwnEcho)) if earlier.is_none() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Err(RequestError::NoAnswer(Heard::Foreign))
}

/// Takes out what the meter itself says is not measured.
pub(super) fn withhold(polled: &mut Polled, memory: &mut Memory) {
    let models = memory.identification.identity().models;
    polled.condition = Condition::of(&polled.readings, &models);
    if let Some(condition) = &polled.condition {
        memory.diagnosed = Some((Instant::now(), condition.concerns_sensors()));
    }
    // A code that is there but was not read might have said so.
    let unread = !unread_codes(polled, memory).is_empty();
    let Polled { readings, missing, condition, .. } = polled;
    readings.retain(|reading| {
        let fault = condition.as_ref().and_then(|condition| condition.spoils(reading));
        let why = fault
            .map(Missing::Fault)
            .or_else(|| (unread && condition::is_suspicious(reading)).then_some(Missing::NoAnswer));
        let keep = why.is_none();
        missing.extend(why.map(|why| (reading.register, why)));
        keep
    });
}

/// Asks for the registers in full requests, and takes from `groups` what is settled.
pub(super) async fn read_all(
    meter: &mut Meter<Box<dyn Stream>>,
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    // A meter that was silent the last time mostly still is, so this costs little; but it may have
    // been silenced by one register, so it is not this that it is asked for first.
    if memory.in_vain {
        match meter.request(&GetSerialNo, Tries::One, stop).await {
            Ok(_) => memory.in_vain = false,
            Err(RequestError::NoAnswer(heard)) if memory.others_wait => {
                polled.trouble = Some(Trouble::Meter(heard));
                return;
            }
            Err(_) => {}
        }
    }
    while let Some(group) = groups.pop_front() {
        let Some(command) = memory.command(&group.registers) else { continue };
        // Of a half, what fails by chance is only halved once more.
        let once =
            memory.in_vain || (group.halved && (memory.thrifty || group.registers.len() > 1));
        let tries = if once { Tries::One } else { Tries::Three };
        let heard = match meter.request(&command, tries, stop).await {
            Ok(answer) => {
                memory.in_vain = false;
                let how = circumstances(meter, memory, &group.registers);
                if let Some(unsure) = settle(group, &answer, how, polled, memory) {
                    groups.push_front(unsure);
                }
                continue;
            }
            Err(RequestError::NoAnswer(heard)) => heard,
            Err(RequestError::Broken(error)) => {
                polled.trouble = Some(error.into());
                groups.push_front(group);
                return;
            }
            Err(RequestError::Stopping) => {
                groups.push_front(group);
                return;
            }
        };
        // Asleep, or silenced by a register that it does not know, as a 403 is by some
        // (cenobitedk/esphome_multical402 issue 5)? Every meter has a serial number.
        let probed = if memory.in_vain {
            None
        } else {
            Some(meter.request(&GetSerialNo, Tries::Two, stop).await)
        };
        match probed {
            Some(Ok(_)) => {
                for group in narrow_down(group, heard, polled, memory) {
                    groups.push_front(group);
                }
            }
            Some(Err(RequestError::Broken(error))) => {
                polled.trouble = Some(error.into());
                groups.push_front(group);
                return;
            }
            Some(Err(RequestError::NoAnswer(_) | RequestError::Stopping)) | None => {
                polled.trouble = Some(Trouble::Meter(heard));
                groups.push_front(group);
                return;
            }
        }
    }
}

/// Takes what an answer has. Gives what must be asked for again before it counts as left out.
fn settle(
    group: Group,
    answer: &[RegisterValue],
    how: Circumstances,
    polled: &mut Polled,
    memory: &mut Memory,
) -> Option<Group> {
    let mut unsure = Vec::new();
    for register in group.registers {
        let value = answer.iter().find(|value| value.register == register);
        match value.map(Reading::try_from) {
            Some(Ok(reading)) => weigh(reading, how, polled, memory),
            Some(Err(error)) => {
                memory.identification.unreadable(register);
                polled.missing.push((register, error.into()));
            }
            // A late answer is without what was not asked for then.
            None if how.may_be_late && !group.again => unsure.push(register),
            None => leave_out(register, Missing::LeftOut, polled, memory),
        }
    }
    (!unsure.is_empty()).then_some(Group { registers: unsure, again: true, ..group })
}

/// What to ask next of a group that the meter did not answer while it is awake, last first.
fn narrow_down(group: Group, heard: Heard, polled: &mut Polled, memory: &mut Memory) -> Vec<Group> {
    if group.registers.len() > 1 {
        if !group.halved && !memory.thrifty {
            info!("Looking for the value that silences the meter; this takes up to a minute.");
        }
        let (first, second) = group.registers.split_at(group.registers.len() / 2);
        return [second, first]
            .map(|half| Group { registers: half.to_vec(), halved: true, again: false })
            .into();
    }
    let is_silent = matches!(heard, Heard::Nothing | Heard::OwnEcho);
    if is_silent && !group.again {
        return vec![Group { again: true, ..group }];
    }
    for register in group.registers {
        if is_silent {
            // Alone, three times, while the meter answers what every meter answers.
            leave_out(register, Missing::Silences, polled, memory);
        } else {
            polled.trouble.get_or_insert(Trouble::Meter(heard));
            polled.missing.push((register, Missing::NoAnswer));
        }
    }
    Vec::new()
}

/// How often a doubtful reading is read again.
const CONFIRMATIONS: u32 = 2;

/// Reads doubtful readings again; what two readings agree on counts.
pub(super) async fn confirm(
    meter: &mut Meter<Box<dyn Stream>>,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    if polled.trouble.is_some() {
        return;
    }
    for _ in 0..CONFIRMATIONS {
        let mut doubtful = std::mem::take(&mut polled.doubtful);
        while !doubtful.is_empty() {
            let rest = doubtful.split_off(doubtful.len().min(GetRegister::MAX));
            let group = std::mem::replace(&mut doubtful, rest);
            let registers: Vec<_> = group.iter().map(|(reading, _)| reading.register).collect();
            let Some(command) = memory.command(&registers) else {
                polled.doubtful.extend(group);
                continue;
            };
            let answer = match meter.request(&command, Tries::Three, stop).await {
                Ok(answer) => answer,
                Err(RequestError::Broken(error)) => {
                    // They are read again over the next connection.
                    polled.trouble = Some(error.into());
                    polled.doubtful.extend(group.into_iter().chain(doubtful));
                    return;
                }
                Err(_) => Vec::new(),
            };
            let how = circumstances(meter, memory, &registers);
            for (earlier, doubt) in group {
                let again = answer.iter().find(|value| value.register == earlier.register);
                let Some(Ok(again)) = again.map(Reading::try_from) else {
                    polled.doubtful.push((earlier, doubt));
                    continue;
                };
                let still = memory.guard.doubt(&again, how);
                if still.is_some() && !guard::agree(&earlier, &again, &doubt) {
                    debug!("register {}: {doubt}, and then {:?}", again.register, again.value);
                    meter.distrust();
                    polled.doubtful.push((again, doubt));
                    continue;
                }
                if let Some(doubt) = still.filter(Doubt::is_change) {
                    polled.changes.push((again.register, doubt));
                }
                memory.guard.accept(&again);
                polled.readings.push(again);
            }
        }
    }
}

/// How the readings of the last answer, to a request for these registers, came.
fn circumstances(
    meter: &Meter<Box<dyn Stream>>,
    memory: &Memory,
    registers: &[RegisterId],
) -> Circumstances {
    let told = meter.order_told() && memory.order_tells(registers);
    let may_be_late = meter.may_be_late() || (memory.telling > 1 && !told);
    Circumstances { clean: meter.is_clean(), may_be_late }
}

/// A reading counts, or must be read again.
pub(super) fn weigh(
    reading: Reading,
    how: Circumstances,
    polled: &mut Polled,
    memory: &mut Memory,
) {
    // The last one is what the next must agree with.
    polled.doubtful.retain(|(earlier, _)| earlier.register != reading.register);
    if let Some(doubt) = memory.guard.doubt(&reading, how) {
        debug!("register {}: {doubt}", reading.register);
        polled.doubtful.push((reading, doubt));
    } else {
        memory.guard.accept(&reading);
        polled.readings.push(reading);
    }
}

/// In how many orders so many registers can be asked for.
fn orders(count: usize) -> u128 {
    (1..).take(count).product()
}

/// The `turn`th order of some registers; after all orders the first comes again.
pub(super) fn turned(registers: &[RegisterId], mut turn: usize) -> Vec<RegisterId> {
    let mut left = registers.to_vec();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let (next, rest) = (turn.checked_rem(left.len()), turn.checked_div(left.len()));
        order.push(left.remove(next.unwrap_or(0)));
        turn = rest.unwrap_or(0);
    }
    order
}

/// Notes that the meter does not have a register, so that it is not asked for again today. One
/// that has been read before gets another chance first.
fn leave_out(register: RegisterId, why: Missing, polled: &mut Polled, memory: &mut Memory) {
    if memory.guard.knows(register) {
        memory.guard.forget(register);
        polled.missing.push((register, Missing::NoAnswer));
    } else {
        memory.absent.insert(register, (Instant::now(), why.clone()));
        polled.missing.push((register, why));
    }
}
