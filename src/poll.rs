//! When to read what: one task per meter, which asks for all its registers once per interval and
//! hands on what came.
//!
//! The port is opened for a poll and closed after it, so a head that is unplugged and plugged in
//! again, or a serial server that restarts, is simply found again by the next poll.

mod reader;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::time::Duration;

use kmp::message::{Command, GetRegister, GetSerialNo, GetType};
use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::condition::{self, Condition};
use crate::guard::{self, Circumstances, Doubt, Guard};
use crate::highres::HighResolution;
use crate::identity::{Identification, Identity, News, Version};
use crate::line::Line;
use crate::meter::{Aftermath, Heard, Meter, RequestError, Tries};
use crate::reading::{Missing, Reading};
use crate::transport::{Open, OpenError, Stream};

pub use self::reader::{Asked, Complaint, Progress, Reader, Scanned};

/// What a polling task needs to know.
#[derive(Debug)]
pub struct Plan<O> {
    /// Opens the way to the meter.
    pub port: O,
    /// How log lines call the port.
    pub port_name: String,
    /// The line behind it.
    pub line: Line,
    /// What to read, each once.
    pub registers: Vec<RegisterId>,
    /// Which model the user says that it is.
    pub version: Version,
    /// From the start of one poll to the start of the next.
    pub interval: Duration,
}

/// One poll's outcome: each register asked for is in exactly one of the two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollResult {
    /// What was read, in no particular order.
    pub readings: Vec<Reading>,
    /// What was not read, and why.
    pub missing: Vec<(RegisterId, Missing)>,
    /// Which meter this is, as far as it is known.
    pub identity: Identity,
    /// What the meter says is wrong with it, where it was asked.
    pub condition: Option<Condition>,
    /// From opening the port to the last byte.
    pub took: Duration,
}

/// Polls until `stop` is cancelled. A poll that is under way then ends with the answer that it is
/// waiting for. Polls that fall into a longer one are skipped.
///
/// After a poll that read nothing the next one comes sooner, then ever later up to the interval:
/// somebody may be standing there, moving the head or pressing keys.
pub async fn run<O: Open>(
    mut plan: Plan<O>,
    results: mpsc::Sender<PollResult>,
    stop: CancellationToken,
) {
    let mut seen = BTreeSet::new();
    plan.registers.retain(|register| seen.insert(*register));
    let mut journal = Journal::new(plan.port_name.clone());
    let mut memory = Memory::new(plan.version);
    let mut tick = Instant::now();
    let mut due = tick;
    let mut back_off = FIRST_BACK_OFF;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(due) => {}
        }
        let started = Instant::now();
        let Some(polled) = poll(&plan, &mut memory, &stop).await else {
            return;
        };
        let took = started.elapsed();
        journal.models = memory.identification.identity().models;
        journal.note(&polled, took);
        memory.in_vain = polled.trouble.is_some() && polled.readings.is_empty();
        let Polled { readings, missing, condition, .. } = polled;
        let identity = memory.identification.identity();
        let result = PollResult { readings, missing, identity, condition, took };
        // Nobody listens any more: the program is stopping.
        if results.send(result).await.is_err() {
            return;
        }
        let now = Instant::now();
        while tick <= now {
            tick = tick.checked_add(plan.interval).unwrap_or(now);
        }
        due = tick;
        if memory.in_vain {
            due = now.checked_add(back_off).map_or(tick, |soon| soon.min(tick));
            back_off = back_off.saturating_mul(2);
        } else {
            back_off = FIRST_BACK_OFF;
        }
    }
}

/// From the end of a poll in vain to the next poll; doubles up to the interval.
const FIRST_BACK_OFF: Duration = Duration::from_secs(15);

/// How long a register that this meter does not have is not asked for.
const ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many sets of registers have their turns remembered.
const MOST_TURNS: usize = 256;

/// What one poll leaves for the next.
#[derive(Debug)]
struct Memory {
    /// Which meter this is.
    identification: Identification,
    aftermath: Aftermath,
    /// Registers that are not asked for, since when and why.
    absent: BTreeMap<RegisterId, (Instant, Missing)>,
    /// The last poll read nothing: the next one must cost little.
    in_vain: bool,
    /// Registers that silence the meter are given up soon.
    thrifty: bool,
    guard: Guard,
    high_resolution: HighResolution,
    /// How often each set of registers was asked for, to ask in another order each time.
    turns: BTreeMap<Vec<RegisterId>, usize>,
}

impl Memory {
    fn new(version: Version) -> Self {
        Self {
            identification: Identification::new(version),
            aftermath: Aftermath::default(),
            absent: BTreeMap::new(),
            in_vain: false,
            thrifty: false,
            guard: Guard::default(),
            high_resolution: HighResolution::default(),
            turns: BTreeMap::new(),
        }
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

    fn is_absent(&self, register: RegisterId) -> Option<&Missing> {
        let (since, why) = self.absent.get(&register)?;
        (since.elapsed() < ABSENCE).then_some(why)
    }
}

/// A poll's outcome, with what went wrong.
#[derive(Debug, Default)]
struct Polled {
    readings: Vec<Reading>,
    missing: Vec<(RegisterId, Missing)>,
    /// Readings that must be read again before they count.
    doubtful: Vec<(Reading, Doubt)>,
    /// Doubts that turned out to be true.
    changes: Vec<(RegisterId, Doubt)>,
    /// What the meter says is wrong with it, where it was asked.
    condition: Option<Condition>,
    /// What was found out about the meter.
    news: Option<News>,
    trouble: Option<Trouble>,
}

/// Why registers were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Port(OpenError),
    Broken(String),
    Meter(Heard),
}

/// A serial server that ends the connection at once could as well not be opened.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(unwanted) => Self::Port(OpenError::clone(unwanted)),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// Requests that are still to be made.
type Groups = VecDeque<Group>;

/// Registers that are asked for together.
#[derive(Debug)]
struct Group {
    registers: Vec<RegisterId>,
    /// Whether this is a part of a group that was not answered.
    halved: bool,
    /// Whether it was silent before a meter that was awake: it may have woken up just then.
    again: bool,
}

/// `None` when the program stops before anything was read.
async fn poll<O: Open>(
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
    // Once per start, what tells which meter this is.
    let mut extras: Vec<_> = memory.identification.registers().collect();
    extras.retain(|register| {
        !plan.registers.contains(register) && memory.is_absent(*register).is_none()
    });
    wanted.extend(extras);
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
                let mut meter = meter.carefully(alone);
                read_all(&mut meter, &mut groups, &mut polled, memory, stop).await;
                confirm(&mut meter, &mut polled, memory, stop).await;
                diagnose(&mut meter, &mut groups, &mut polled, memory, stop).await;
                identify(&mut meter, &mut polled, memory, stop).await;
                memory.aftermath = meter.aftermath();
            }
            Err(error) => polled.trouble = Some(Trouble::Port(error)),
        }
        if !matches!(polled.trouble, Some(Trouble::Broken(_))) {
            break;
        }
    }
    if stop.is_cancelled() && polled.readings.is_empty() {
        return None;
    }
    let unread = groups.into_iter().flat_map(|group| group.registers);
    polled.missing.extend(unread.map(|register| (register, Missing::NoAnswer)));
    let doubtful = polled.doubtful.drain(..).map(|(reading, _)| reading.register);
    polled.missing.extend(doubtful.map(|register| (register, Missing::Doubtful)));
    withhold(&mut polled, memory);
    // What was read for ourselves is not what the user asked for.
    polled.readings.retain(|reading| plan.registers.contains(&reading.register));
    polled.missing.retain(|(register, _)| plan.registers.contains(register));
    memory.high_resolution.complete(&mut polled.readings, &mut polled.missing);
    Some(polled)
}

impl Group {
    fn whole(registers: &[RegisterId]) -> Self {
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
    let models = memory.identification.identity().models;
    if polled.trouble.is_some()
        || !polled.readings.iter().any(condition::is_suspicious)
        || Condition::of(&polled.readings, &models).is_some()
    {
        return;
    }
    let mut codes = condition::registers(&models).to_vec();
    codes.retain(|register| memory.is_absent(*register).is_none());
    if !codes.is_empty() {
        groups.push_back(Group::whole(&codes));
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
    }
}

/// Hands what was read to whom it tells which meter this is.
fn learn(polled: &Polled, memory: &mut Memory) {
    for reading in &polled.readings {
        memory.identification.read(reading);
    }
    for register in memory.absent.keys() {
        memory.identification.absent(*register);
    }
}

/// Asks for type and serial number, once.
async fn identify(
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
            Err(RequestError::NoAnswer(Heard::Nothing | Heard::OwnEcho)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(RequestError::NoAnswer(Heard::Foreign))
}

/// Takes out what the meter itself says is not measured.
fn withhold(polled: &mut Polled, memory: &Memory) {
    let models = memory.identification.identity().models;
    polled.condition = Condition::of(&polled.readings, &models);
    // A code that is there but was not read might have said so.
    let unread = polled.condition.is_none()
        && condition::registers(&models).iter().any(|code| memory.is_absent(*code).is_none());
    let Polled { readings, missing, condition, .. } = polled;
    readings.retain(|reading| {
        let why = match condition {
            Some(condition) => condition.spoils(reading).map(Missing::Fault),
            None => (unread && condition::is_suspicious(reading)).then_some(Missing::NoAnswer),
        };
        let keep = why.is_none();
        missing.extend(why.map(|why| (reading.register, why)));
        keep
    });
}

/// Asks for the registers in full requests, and takes from `groups` what is settled.
async fn read_all(
    meter: &mut Meter<Box<dyn Stream>>,
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    // A meter that was silent the last time mostly still is, so this costs little; but it may have
    // been silenced by one register, so it is not this that it is asked for first.
    if memory.in_vain && meter.request(&GetSerialNo, Tries::One, stop).await.is_ok() {
        memory.in_vain = false;
    }
    while let Some(group) = groups.pop_front() {
        let Some(command) = memory.command(&group.registers) else { continue };
        // Of a half, what fails by chance is only halved once more.
        let once =
            memory.in_vain || (group.halved && (memory.thrifty || group.registers.len() > 1));
        let tries = if once { Tries::One } else { Tries::Three };
        let error = match meter.request(&command, tries, stop).await {
            Ok(answer) => {
                memory.in_vain = false;
                for register in group.registers {
                    let value = answer.iter().find(|value| value.register == register);
                    match value.map(Reading::try_from) {
                        Some(Ok(reading)) => weigh(reading, circumstances(meter), polled, memory),
                        Some(Err(error)) => polled.missing.push((register, error.into())),
                        None => leave_out(register, Missing::LeftOut, polled, memory),
                    }
                }
                continue;
            }
            Err(error) => error,
        };
        let heard = match error {
            RequestError::NoAnswer(heard) => heard,
            RequestError::Broken(error) => {
                polled.trouble = Some(error.into());
                groups.push_front(group);
                return;
            }
            RequestError::Stopping => {
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
        if let Some(Err(RequestError::Broken(error))) = probed {
            polled.trouble = Some(error.into());
            groups.push_front(group);
            return;
        }
        if !matches!(probed, Some(Ok(_))) {
            polled.trouble = Some(Trouble::Meter(heard));
            groups.push_front(group);
            return;
        }
        if group.registers.len() > 1 {
            let (first, second) = group.registers.split_at(group.registers.len() / 2);
            for half in [second, first] {
                groups.push_front(Group { registers: half.to_vec(), halved: true, again: false });
            }
        } else if matches!(heard, Heard::Nothing | Heard::OwnEcho) && !group.again {
            groups.push_front(Group { again: true, ..group });
        } else if matches!(heard, Heard::Nothing | Heard::OwnEcho) {
            // Alone, three times, while the meter answers what every meter answers.
            for register in group.registers {
                leave_out(register, Missing::Silences, polled, memory);
            }
        } else {
            polled.trouble.get_or_insert(Trouble::Meter(heard));
            let unread = group.registers.into_iter();
            polled.missing.extend(unread.map(|register| (register, Missing::NoAnswer)));
        }
    }
}

/// How often a doubtful reading is read again.
const CONFIRMATIONS: u32 = 2;

/// Reads doubtful readings again; what two readings agree on counts.
async fn confirm(
    meter: &mut Meter<Box<dyn Stream>>,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    for _ in 0..CONFIRMATIONS {
        let mut doubtful = std::mem::take(&mut polled.doubtful);
        for group in doubtful.chunks_mut(GetRegister::MAX) {
            let registers: Vec<_> = group.iter().map(|(reading, _)| reading.register).collect();
            let Some(command) = memory.command(&registers) else { continue };
            let answer = meter.request(&command, Tries::Three, stop).await.unwrap_or_default();
            for (earlier, doubt) in group {
                let again = answer.iter().find(|value| value.register == earlier.register);
                let Some(Ok(again)) = again.map(Reading::try_from) else {
                    polled.doubtful.push((earlier.clone(), doubt.clone()));
                    continue;
                };
                let still = memory.guard.doubt(&again, circumstances(meter));
                if still.is_some() && !guard::agree(earlier, &again) {
                    debug!("register {}: {doubt}, and then {:?}", again.register, again.value);
                    meter.distrust();
                    polled.doubtful.push((again, doubt.clone()));
                    continue;
                }
                if let Some(doubt) = still.filter(|doubt| *doubt != Doubt::Unproven) {
                    polled.changes.push((again.register, doubt));
                }
                memory.guard.accept(&again);
                polled.readings.push(again);
            }
        }
    }
}

/// How the readings of the last answer came.
fn circumstances(meter: &Meter<Box<dyn Stream>>) -> Circumstances {
    Circumstances { clean: meter.is_clean(), may_be_late: meter.may_be_late() }
}

/// A reading counts, or must be read again.
fn weigh(reading: Reading, how: Circumstances, polled: &mut Polled, memory: &mut Memory) {
    if let Some(doubt) = memory.guard.doubt(&reading, how) {
        debug!("register {}: {doubt}", reading.register);
        polled.doubtful.push((reading, doubt));
    } else {
        memory.guard.accept(&reading);
        polled.readings.push(reading);
    }
}

/// The `turn`th order of some registers; after all orders the first comes again.
fn turned(registers: &[RegisterId], mut turn: usize) -> Vec<RegisterId> {
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

/// Turns polls into log lines: one for each good poll, and one for each change of state.
#[derive(Debug)]
struct Journal {
    port: String,
    state: State,
    /// Registers whose absence has been told.
    told: BTreeSet<RegisterId>,
    /// What keeps polls from being complete, if it was told, and how many were complete since.
    partial: Option<(Trouble, u32)>,
    /// What the meter said last of its faults.
    condition: Option<Condition>,
    /// What it may be, for what is said of it.
    models: Vec<Model>,
}

/// So many complete polls make an incomplete one news again.
const COMPLETE_AGAIN: u32 = 5;

#[derive(Debug)]
enum State {
    Unknown,
    Answering,
    Troubled { trouble: Trouble, since: Instant },
}

impl Journal {
    fn new(port: String) -> Self {
        Self {
            port,
            state: State::Unknown,
            told: BTreeSet::new(),
            partial: None,
            condition: None,
            models: Vec::new(),
        }
    }

    fn note(&mut self, polled: &Polled, took: Duration) {
        for line in self.lines(polled, took) {
            match line {
                Entry::Info(text) => info!("{text}"),
                Entry::Warn(text) => warn!("{text}"),
                Entry::Debug(text) => debug!("{text}"),
            }
        }
    }

    /// What to log of a poll.
    fn lines(&mut self, polled: &Polled, took: Duration) -> Vec<Entry> {
        let mut lines = Vec::new();
        let Polled { readings, missing, changes, trouble, news, .. } = polled;
        match (trouble, readings.is_empty()) {
            // Nothing at all: a change of state, told once.
            (Some(trouble), true) => {
                if let State::Troubled { trouble: known, .. } = &self.state
                    && known.is_like(trouble)
                {
                    lines.push(Entry::Debug(format!("{}, as before", trouble.words(&self.port))));
                } else {
                    lines.push(Entry::Warn(format!(
                        "{}. {} Trying again until it works; this is said only once.",
                        trouble.words(&self.port),
                        trouble.hint(&self.models),
                    )));
                    let since = match &self.state {
                        State::Troubled { since, .. } => *since,
                        State::Unknown | State::Answering => Instant::now(),
                    };
                    self.state = State::Troubled { trouble: trouble.clone(), since };
                }
                return lines;
            }
            (Some(trouble), false)
                if self.partial.as_ref().is_some_and(|(known, _)| known.is_like(trouble)) =>
            {
                self.partial = Some((trouble.clone(), 0));
            }
            (Some(trouble), false) => {
                self.partial = Some((trouble.clone(), 0));
                lines.push(Entry::Warn(format!(
                    "{}, so some values could not be read. {} This is said only once.",
                    trouble.words(&self.port),
                    trouble.hint(&self.models),
                )));
            }
            (None, _) => {
                let again = |(known, complete): (Trouble, u32)| {
                    let complete = complete.saturating_add(1);
                    (complete < COMPLETE_AGAIN).then_some((known, complete))
                };
                self.partial = self.partial.take().and_then(again);
            }
        }
        if let State::Troubled { since, .. } = &self.state {
            lines.push(Entry::Info(format!(
                "The meter answers again, after {}.",
                words(since.elapsed())
            )));
        }
        self.state = State::Answering;
        lines.extend(news.clone().map(|news| match news {
            News::Info(text) => Entry::Info(text),
            News::Warning(text) => Entry::Warn(text),
        }));
        lines.extend(self.condition(polled));
        for (register, doubt) in changes {
            lines.push(Entry::Warn(format!(
                "{} {doubt}. Two readings agree, so it is published.",
                register_words(*register)
            )));
        }
        let mut news: Vec<(&Missing, Vec<String>)> = Vec::new();
        for (register, reason) in missing {
            if matches!(reason, Missing::NoAnswer | Missing::Doubtful)
                || !self.told.insert(*register)
            {
                continue;
            }
            let words = register_words(*register);
            match news.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, registers)) if matches!(reason, Missing::Fault(_)) => {
                    registers.push(words);
                }
                _ => news.push((reason, vec![words])),
            }
        }
        for (reason, registers) in news {
            let are = if registers.len() > 1 { "are" } else { "is" };
            lines.push(Entry::Warn(format!(
                "{} {are} not published: {reason}.",
                listed(&registers)
            )));
        }
        for reading in readings {
            self.told.remove(&reading.register);
        }
        let asked = readings.len().saturating_add(missing.len());
        lines.push(Entry::Info(format!(
            "Read {} of {asked} values in {}{}.",
            readings.len(),
            words(took),
            unread_words(missing),
        )));
        lines
    }

    /// What to log of the meter's own faults.
    fn condition(&mut self, polled: &Polled) -> Option<Entry> {
        let Some(condition) = &polled.condition else {
            // Asked only because of a suspicious value, it is not asked any more without one.
            self.condition = None;
            return None;
        };
        let before = self.condition.replace(condition.clone());
        match (before.map_or(0, |before| before.code), condition.code) {
            (before, now) if before == now => None,
            (_, 0) => Some(Entry::Info(format!("The meter reports {condition} any more."))),
            _ => Some(Entry::Warn(format!(
                "The meter reports {condition}. If that stays, tell the utility that owns the meter."
            ))),
        }
    }
}

#[derive(Debug)]
enum Entry {
    Info(String),
    Warn(String),
    Debug(String),
}

/// `, without volume, flow and 3 more`
fn unread_words(missing: &[(RegisterId, Missing)]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = missing
        .iter()
        .take(SHOWN)
        .map(|(register, _)| {
            register.info().map_or_else(|| register.to_string(), |info| info.key.to_owned())
        })
        .collect();
    if let Some(more @ 1..) = missing.len().checked_sub(SHOWN) {
        names.push(format!("{more} more"));
    }
    if names.is_empty() { String::new() } else { format!(", without {}", listed(&names)) }
}

/// `a`, `a and b`, `a, b and c`
fn listed(names: &[String]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// `energy (register 60)`
fn register_words(register: RegisterId) -> String {
    match register.info() {
        Some(info) => format!("`{}` (register {register})", info.key),
        None => format!("Register {register}"),
    }
}

impl Trouble {
    /// Whether it calls for the same line in the log. What is heard of a meter whose head is off
    /// changes with the light in the room.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Port(this), Self::Port(other)) => this == other,
            (Self::Broken(_), Self::Broken(_)) | (Self::Meter(_), Self::Meter(_)) => true,
            _ => false,
        }
    }

    fn words(&self, port: &str) -> impl fmt::Display {
        match self {
            Self::Port(error) => format!("The meter's port {port} cannot be opened: {error}"),
            Self::Broken(error) => format!("The connection over {port} broke: {error}"),
            Self::Meter(Heard::Nothing) => format!("The meter is silent: no answer over {port}"),
            Self::Meter(heard) => format!("The meter cannot be read over {port}: {heard}"),
        }
    }

    fn hint(&self, models: &[Model]) -> String {
        let words = match self {
            Self::Port(error) => error.hint(),
            Self::Broken(_) => {
                "Check the plug of the optical head, or the power and network of the serial server."
            }
            Self::Meter(Heard::Nothing) => {
                return format!(
                    "Check that the optical head sits in its place on the meter, the right way up \
                     and held by its magnet, and press a key on the meter{}",
                    sleep_words(models)
                );
            }
            Self::Meter(Heard::OwnEcho) => {
                "The head works, since it sends back what it gets, but the meter does not answer: \
                 move or turn the head a little, and press a key on the meter."
            }
            Self::Meter(Heard::Noise | Heard::Damaged | Heard::Foreign | Heard::OtherOrder) => {
                "Move or turn the optical head a little and keep bright light off it; if it is on \
                 a serial server, check that this is set to 1200 baud, 8 data bits, no parity and \
                 2 stop bits."
            }
        };
        words.to_owned()
    }
}

/// How the meter's optical port sleeps; goes on after "press a key on the meter".
fn sleep_words(models: &[Model]) -> &'static str {
    match models.first() {
        // matthijsvisser/kamstrup-402-mqtt issue 3, ronaldvdmeer/multical402-4-domoticz README.
        Some(Model::Multical402) => {
            ": a 402 switches its optical port off about 30 minutes after it was last used, so poll \
             it more often than that."
        }
        // TD 403 p.130, TD 603 p.147, TD 803 p.164.
        Some(Model::Multical303 | Model::Multical403 | Model::Multical603 | Model::Multical803) => {
            ": this meter switches its optical port off where no magnet is near, so the head must \
             have one and sit right on the mark."
        }
        // pfugl/Kamstrup-602 README, cfeenstra1024/kamstrup-multical-hardware issue 7.
        Some(Model::Multical602) => {
            ": a 602 switches its optical port off after some minutes unless the magnet sits right; \
             turn the head upside down if it does not help, since the magnet's poles count."
        }
        // TD 21, German edition 5512-898_N1 p.50.
        Some(Model::Multical21) => {
            ", or take the head off and put it on again: this meter opens its optical port some \
             seconds after a magnet came, and the magnet's poles count."
        }
        Some(Model::Multical302 | Model::Multical601 | Model::Multical801) | None => {
            ": many switch the optical port off when nobody uses it."
        }
    }
}

/// `0.9 s`, `45 s`, `5 min`, `3 h 20 min`
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        _ => match minutes % 60 {
            0 => format!("{hours} h"),
            minutes => format!("{hours} h {minutes} min"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use kmp::model::Model;
    use kmp::register::Register;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;
    use rust_decimal::Decimal;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::watch;

    use super::*;
    use crate::simulator::{Behaviour, EnergyUnit, Registers, Simulator};

    /// A port that does on each opening what was said.
    struct Scripted {
        openings: Mutex<Vec<Opening>>,
    }

    enum Opening {
        Fails(OpenError),
        Silent,
        /// Closed after this many requests.
        Breaks(Registers, usize),
        Meter(Registers),
    }

    impl Open for Scripted {
        async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
            let opening = {
                let mut openings = self.openings.lock().unwrap();
                if openings.is_empty() {
                    return Err(OpenError::Missing);
                }
                openings.remove(0)
            };
            let (near, mut far) = duplex(1024);
            match opening {
                Opening::Fails(error) => return Err(error),
                Opening::Silent => {
                    tokio::spawn(async move {
                        let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
                    });
                }
                Opening::Breaks(registers, requests) => {
                    let (mut ours, theirs) = duplex(1024);
                    let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                    tokio::spawn(async move { meter.serve(theirs).await });
                    tokio::spawn(async move {
                        let mut buffer = [0; 256];
                        for _ in 0..requests {
                            let count = far.read(&mut buffer).await.unwrap();
                            ours.write_all(&buffer[..count]).await.unwrap();
                            let count = ours.read(&mut buffer).await.unwrap();
                            far.write_all(&buffer[..count]).await.unwrap();
                        }
                    });
                }
                Opening::Meter(registers) => {
                    let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                    tokio::spawn(async move { meter.serve(far).await });
                }
            }
            Ok(Box::new(near))
        }
    }

    fn ids(names: &str) -> Vec<RegisterId> {
        let id = |name: &str| match Register::by_key(name) {
            Some(register) => register.id,
            None => name.parse().unwrap(),
        };
        names.split(' ').map(id).collect()
    }

    /// Those of the older program: 32.
    fn all_names() -> String {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let names = registers.values.keys().map(|register| register.info().unwrap().key);
        names.collect::<Vec<_>>().join(" ")
    }

    fn meter() -> Opening {
        Opening::Meter(Registers::example(EnergyUnit::KilowattHour, 0))
    }

    fn without(names: &str) -> Opening {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        registers.values.retain(|id, _| !ids(names).contains(id));
        Opening::Meter(registers)
    }

    fn plan(names: &str, openings: Vec<Opening>) -> Plan<Scripted> {
        Plan {
            port: Scripted { openings: Mutex::new(openings) },
            port_name: "/dev/ttyUSB0".to_owned(),
            line: Line::new(1200),
            registers: ids(names),
            version: Version::Generic,
            interval: Duration::from_secs(300),
        }
    }

    /// Polls once for each opening; the log lines of each poll, and what came.
    async fn polls(names: &str, openings: Vec<Opening>) -> (String, Vec<Polled>) {
        polls_of(Version::Generic, names, openings).await
    }

    async fn polls_of(
        version: Version,
        names: &str,
        openings: Vec<Opening>,
    ) -> (String, Vec<Polled>) {
        let count = openings.len();
        let mut openings = openings;
        openings.push(Opening::Silent);
        let plan = Plan {
            port: Scripted { openings: Mutex::new(openings) },
            port_name: "/dev/ttyUSB0".to_owned(),
            line: Line::new(1200),
            registers: ids(names),
            version,
            interval: Duration::from_secs(300),
        };
        let mut journal = Journal::new(plan.port_name.clone());
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(version));
        let (mut log, mut all) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            journal.models = memory.identification.identity().models;
            log.push(format!("poll {number}"));
            for entry in journal.lines(&polled, Duration::from_millis(900)) {
                log.push(match entry {
                    Entry::Info(text) => format!(" INFO {text}"),
                    Entry::Warn(text) => format!(" WARN {text}"),
                    Entry::Debug(text) => format!("DEBUG {text}"),
                });
            }
            all.push(polled);
            tokio::time::sleep(plan.interval).await;
        }
        (log.join("\n"), all)
    }

    #[tokio::test(start_paused = true)]
    async fn every_register_is_read_or_missing() {
        let (_, polled) = polls("temp1 energy 4000 volume", vec![meter(), Opening::Silent]).await;
        let mut read: Vec<_> = polled[0].readings.iter().map(|reading| reading.register).collect();
        read.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, ids("energy volume temp1"));
        assert_eq!(polled[0].missing, [(RegisterId::new(4000), Missing::LeftOut)]);
        assert_eq!(polled[1].readings, []);
        let mut missing: Vec<_> = polled[1].missing.iter().map(|(register, _)| *register).collect();
        // What the meter does not have was not asked for again.
        missing.sort_unstable();
        assert_eq!(missing, ids("energy volume temp1 4000"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_meter_costs_seconds_and_the_next_time_less() {
        let plan = plan(&all_names(), vec![Opening::Silent, Opening::Silent]);
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        for expected in [16, 7] {
            let started = Instant::now();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            assert_eq!(polled.trouble, Some(Trouble::Meter(Heard::Nothing)));
            assert_eq!(polled.missing.len(), 32);
            memory.in_vain = true;
            assert!(started.elapsed().as_secs().abs_diff(expected) <= 1, "{:?}", started.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_register_that_silences_the_meter_does_not_pass_for_sleep() {
        let silenced = || {
            let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
            registers.silencing.extend(ids("power"));
            Opening::Meter(registers)
        };
        let openings = vec![Opening::Silent, silenced()];
        let plan = plan("energy power volume", openings);
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!(polled.readings, []);
        memory.in_vain = true;
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!(polled.readings.len(), 2);
        assert_eq!(polled.missing, [(RegisterId::new(80), Missing::Silences)]);
    }

    #[tokio::test(start_paused = true)]
    async fn registers_that_silence_the_meter_cost_only_themselves_and_only_once_a_day() {
        let silenced = || {
            let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
            for silencing in ids("temp1xm3 power") {
                registers.values.remove(&silencing);
                registers.silencing.insert(silencing);
            }
            Opening::Meter(registers)
        };
        let plan = plan(&all_names(), vec![silenced(), silenced(), silenced()]);
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        let mut took = Vec::new();
        for _ in 0..3 {
            let started = Instant::now();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            took.push(started.elapsed());
            assert_eq!(polled.trouble, None);
            assert_eq!(polled.readings.len(), 30);
            let mut missing = polled.missing;
            missing.sort_by_key(|(register, _)| *register);
            let expected: Vec<_> =
                ids("power temp1xm3").into_iter().map(|id| (id, Missing::Silences)).collect();
            assert_eq!(missing, expected);
            tokio::time::sleep(ABSENCE / 2).await;
        }
        assert!(took[1] < Duration::from_secs(1), "not asked for: {took:?}");
        assert!(took[2] > Duration::from_secs(10), "a day has passed: {took:?}");
    }

    /// As few bytes as the protocol allows, at the speed of the line: the least number of requests,
    /// and hardly more time than the bytes and the meter's turnaround take.
    #[tokio::test(start_paused = true)]
    async fn a_poll_costs_what_the_line_must_carry_and_no_more() {
        let seven = "energy volume power flow temp1 temp2 tempdiff".to_owned();
        for (names, requests, bytes_out) in [(seven, 1, 21), (all_names(), 4, 93)] {
            let line = Line::new(1200);
            let turnaround = Duration::from_millis(50);
            let behaviour = Behaviour { line: Some(line), turnaround, echo: false };
            let plan = plan(&names, Vec::new());
            let wire = Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), behaviour);
            let plan = Plan {
                port: wire,
                port_name: plan.port_name,
                line,
                registers: plan.registers,
                version: plan.version,
                interval: plan.interval,
            };
            let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
            // The first poll waits until the line is quiet.
            poll(&plan, &mut memory, &stop).await.unwrap();
            plan.port.reset();
            let started = Instant::now();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            let took = started.elapsed();
            assert_eq!(polled.missing, []);
            let (asked, sent, received) = plan.port.counted();
            assert_eq!((asked, sent), (requests, bytes_out));
            // Each register once, a frame around each answer, and some stuffed bytes.
            let registers: usize = polled.readings.iter().map(|reading| 5 + reading.length).sum();
            let least = registers + 6 * requests;
            assert!((least..=least + 16).contains(&received), "{received}, at least {least}");
            let bound = line.time_for(sent + received) + turnaround * u32::try_from(asked).unwrap();
            assert!(took >= bound && took <= bound * 102 / 100, "{took:?}, {bound:?}");
        }
    }

    /// A port to a meter that counts what goes over the line.
    struct Wire {
        meter: Simulator,
        counts: Arc<Mutex<(usize, usize, usize)>>,
    }

    impl Wire {
        fn new(registers: Registers, behaviour: Behaviour) -> Self {
            let meter = Simulator::new(watch::channel(registers).1, behaviour);
            Self { meter, counts: Arc::default() }
        }

        fn reset(&self) {
            *self.counts.lock().unwrap() = (0, 0, 0);
        }

        /// Requests, bytes of requests, bytes of answers.
        fn counted(&self) -> (usize, usize, usize) {
            *self.counts.lock().unwrap()
        }
    }

    fn count_request(counts: &Mutex<(usize, usize, usize)>, bytes: usize) {
        let mut counts = counts.lock().unwrap();
        counts.0 += 1;
        counts.1 += bytes;
    }

    impl Open for Wire {
        async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
            let (near, far) = duplex(1024);
            let (mut ours, theirs) = duplex(1024);
            let meter = self.meter.clone();
            tokio::spawn(async move { meter.serve(theirs).await });
            let counts = Arc::clone(&self.counts);
            tokio::spawn(async move {
                let mut far = far;
                let (mut request, mut answer) = ([0; 256], [0; 256]);
                loop {
                    tokio::select! {
                        Ok(count @ 1..) = far.read(&mut request) => {
                            count_request(&counts, count);
                            ours.write_all(&request[..count]).await.unwrap();
                        }
                        Ok(count @ 1..) = ours.read(&mut answer) => {
                            counts.lock().unwrap().2 += count;
                            if far.write_all(&answer[..count]).await.is_err() {
                                return;
                            }
                        }
                        else => return,
                    }
                }
            });
            Ok(Box::new(near))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_costs_nothing() {
        let all = all_names();
        let registers = || Registers::example(EnergyUnit::KilowattHour, 0);
        let count = ids(&all).len();
        // Once, it is made again and goes on where it broke.
        for requests in 0..4 {
            let broken = vec![Opening::Breaks(registers(), requests), meter()];
            let plan = plan(&all, broken);
            let stop = CancellationToken::new();
            let polled = poll(&plan, &mut Memory::new(Version::Generic), &stop).await.unwrap();
            assert_eq!(
                (polled.readings.len(), polled.missing.len()),
                (count, 0),
                "{requests}: {:?}",
                polled.trouble
            );
            assert_eq!(polled.trouble, None);
        }
        // Twice is enough.
        let broken =
            vec![Opening::Breaks(registers(), 1), Opening::Breaks(registers(), 1), meter()];
        let plan = plan(&all, broken);
        let stop = CancellationToken::new();
        let polled = poll(&plan, &mut Memory::new(Version::Generic), &stop).await.unwrap();
        assert_eq!((polled.readings.len(), polled.missing.len()), (16, count - 16));
        assert!(matches!(polled.trouble, Some(Trouble::Broken(_))), "{:?}", polled.trouble);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_state_is_told_once() {
        let openings = vec![
            Opening::Fails(OpenError::Missing),
            Opening::Fails(OpenError::Missing),
            Opening::Fails(OpenError::Denied),
            Opening::Silent,
            Opening::Silent,
            meter(),
            without("volume"),
            without("volume"),
            meter(),
            without("volume"),
            Opening::Silent,
        ];
        let (log, _) = polls("energy volume", openings).await;
        insta::assert_snapshot!(log);
    }

    fn set(registers: &mut Registers, rows: &[(u16, Unit, i64, u32, u8)]) {
        for (id, unit, number, places, length) in rows {
            let value = Decimal::new(*number, *places);
            let id = RegisterId::new(*id);
            registers.insert(RegisterValue::from_decimal(id, *unit, value, *length).unwrap());
        }
    }

    /// A MULTICAL 403 whose t1 is broken, and mended.
    #[tokio::test(start_paused = true)]
    async fn what_a_broken_sensor_gives_is_withheld_and_told() {
        let broken = |code| {
            let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
            let rows = [
                (86, Unit::CELSIUS, 18_500, 2, 2),
                (89, Unit::KELVIN, 0, 2, 2),
                (80, Unit::KILOWATT, 0, 1, 2),
                (74, Unit::LITRE_PER_HOUR, 0, 0, 2),
                (99, Unit::NUMBER, code, 0, 2),
            ];
            set(&mut registers, &rows);
            Opening::Meter(registers)
        };
        let openings =
            vec![meter(), broken(8), broken(8), Opening::Silent, meter(), broken(0), broken(8)];
        let seven = "energy volume power flow temp1 temp2 tempdiff";
        let (log, polled) = polls_of(Version::Model(Model::Multical403), seven, openings).await;
        insta::assert_snapshot!(log);
        let read: Vec<_> = polled.iter().map(|polled| polled.readings.len()).collect();
        // 185.00 °C with an info code of 0 is published: the meter says that nothing is wrong.
        assert_eq!(read, [7, 3, 3, 0, 7, 7, 3]);
    }

    /// The info code is asked for only where a value is suspicious.
    #[tokio::test(start_paused = true)]
    async fn a_suspicious_value_without_its_info_code_is_withheld() {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(&mut registers, &[(87, Unit::CELSIUS, 0, 2, 2)]);
        // A meter without register 99: nothing says that the value is wrong.
        let without_code = Opening::Meter(registers.clone());
        // One that falls silent just then.
        set(&mut registers, &[(99, Unit::NUMBER, 16, 0, 2)]);
        let breaks = || Opening::Breaks(registers.clone(), 1);
        let (_, polled) = polls("temp2 volume", vec![without_code]).await;
        assert_eq!(polled[0].readings.len(), 2);
        let (_, polled) = polls("temp2 volume", vec![breaks(), Opening::Silent]).await;
        assert_eq!(polled[0].missing, [(RegisterId::new(87), Missing::NoAnswer)]);
        assert_eq!(polled[0].readings.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_meter_is_asked_once_who_it_is() {
        let identified = || {
            let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
            set(
                &mut registers,
                &[
                    (1001, Unit::NUMBER, 12_345_678, 0, 4),
                    (1010, Unit::NUMBER, 87_654_321, 0, 4),
                    (112, Unit::NUMBER, 12, 0, 4),
                ],
            );
            // As a 403 is by some.
            registers.silencing.insert(RegisterId::new(348));
            registers
        };
        let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
        let plan = Plan {
            port: Wire::new(identified(), behaviour),
            port_name: "port".to_owned(),
            line: Line::new(1200),
            registers: ids("energy volume power flow temp1 temp2 tempdiff"),
            version: Version::Auto,
            interval: Duration::from_secs(300),
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Auto));
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), polled.missing.len()), (7, 0));
        let Some(News::Info(told)) = polled.news else { panic!("{:?}", polled.news) };
        assert_eq!(
            told,
            "By the registers that it has, the meter is a Multical 403 (serial number 12345678, \
             type 0x0217, software A2)."
        );
        let identity = memory.identification.identity();
        assert_eq!(identity.models, [Model::Multical403]);
        assert_eq!(identity.customer, Some(Decimal::from(1_287_654_321_i64)));
        plan.port.reset();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!(polled.news, None);
        assert_eq!(plan.port.counted().0, 1, "never again");
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        let ports = [
            OpenError::Missing,
            OpenError::NotSerial,
            OpenError::Denied,
            OpenError::Busy,
            OpenError::HostNotFound { host: "meter.local".to_owned() },
            OpenError::Refused,
            OpenError::NoConnection,
            OpenError::Unwanted { said: String::new() },
            OpenError::Unwanted { said: "Port already in use".to_owned() },
            OpenError::Other { reason: "odd".to_owned() },
        ];
        let heard = [Heard::Nothing, Heard::OwnEcho, Heard::Noise, Heard::Damaged, Heard::Foreign];
        let troubles = ports
            .into_iter()
            .map(Trouble::Port)
            .chain([Trouble::Broken("end of file".to_owned())])
            .chain(heard.into_iter().map(Trouble::Meter));
        let texts: Vec<_> = troubles
            .map(|trouble| format!("{}.\n  {}", trouble.words("/dev/ttyUSB0"), trouble.hint(&[])))
            .collect();
        insta::assert_snapshot!(texts.join("\n"));
        let sleeping = Model::ALL
            .map(|model| format!("{model}: {}", Trouble::Meter(Heard::Nothing).hint(&[model])));
        insta::assert_snapshot!("how_to_wake_each_model", sleeping.join("\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_meter_that_sleeps_is_tried_sooner_and_then_ever_later() {
        let openings = (0..7).map(|_| Opening::Silent).chain([meter(), meter()]).collect();
        let (sender, mut results) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let started = Instant::now();
        let task = tokio::spawn(run(plan("energy", openings), sender, stop.clone()));
        let mut ends = Vec::new();
        for _ in 0..9 {
            results.recv().await.unwrap();
            ends.push(started.elapsed().as_secs());
        }
        stop.cancel();
        task.await.unwrap();
        // 15 s, 30 s, 60 s and 120 s after the poll before, then every five minutes.
        let gaps: Vec<u64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[..4].is_sorted() && gaps[0] < 22 && gaps[3] > 60, "{gaps:?}");
        assert_eq!(ends[8] % 300, 0, "back on the beat: {ends:?}");
        assert_eq!(ends[8] - ends[7], 300);
    }

    #[tokio::test(start_paused = true)]
    async fn polls_keep_to_the_interval_and_stop_when_asked() {
        let openings = (0..4).map(|_| meter()).collect();
        let plan = Plan {
            port: Scripted { openings: Mutex::new(openings) },
            port_name: "port".to_owned(),
            line: Line::new(1200),
            registers: ids("energy energy volume"),
            version: Version::Generic,
            interval: Duration::from_secs(60),
        };
        let (sender, mut results) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let started = Instant::now();
        let task = tokio::spawn(run(plan, sender, stop.clone()));
        for number in 0..3 {
            let result = results.recv().await.unwrap();
            assert_eq!(started.elapsed().as_secs(), number * 60);
            // Each register once.
            assert_eq!(result.readings.len() + result.missing.len(), 2);
        }
        stop.cancel();
        task.await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 120);
    }

    #[test]
    fn every_order_has_its_turn() {
        let four = ids("1 2 3 4");
        let orders: BTreeSet<_> = (0..24).map(|turn| turned(&four, turn)).collect();
        assert_eq!(orders.len(), 24);
        assert_eq!(turned(&four, 0), four);
        assert_eq!(turned(&four, 24), four);
        assert_ne!(turned(&ids("1 2"), 0), turned(&ids("1 2"), 1));
        assert_eq!(turned(&[], 5), []);
    }

    #[test]
    fn what_is_missing_is_named() {
        let shown = |names: &str| {
            let missing: Vec<_> =
                ids(names).into_iter().map(|id| (id, Missing::NoAnswer)).collect();
            unread_words(&missing)
        };
        assert_eq!(unread_words(&[]), "");
        assert_eq!(shown("volume"), ", without volume");
        assert_eq!(shown("volume 4000"), ", without volume and 4000");
        assert_eq!(
            shown("energy volume flow power temp1 temp2 tempdiff"),
            ", without energy, volume, flow, power, temp1 and 2 more"
        );
    }

    #[test]
    fn durations_in_words() {
        let shown: Vec<_> =
            [0, 900, 9_999, 10_000, 119_999, 120_000, 7_199_000, 7_200_000, 12_000_000]
                .map(|ms| words(Duration::from_millis(ms)))
                .into();
        assert_eq!(
            shown,
            ["0.0 s", "0.9 s", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h", "3 h 20 min"]
        );
    }
}
