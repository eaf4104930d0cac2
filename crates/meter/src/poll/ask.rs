//! What one poll asks for, in which order, and what becomes of the answers.

use std::collections::{BTreeSet, VecDeque};

use kmp::message::{GetRegister, GetSerialNo};
use kmp::register::{Kind, RegisterId};
use kmp::value::RegisterValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Plan;
use super::identify::{Owner, identify, judge, question, recognize};
use super::memory::{ABSENCE, ANCHORS, Absence, Memory, RECOGNITION, Recognition};
use super::outcome::{PollError, Polled};
use crate::client::{Meter, NoAnswer, RequestError, Tries};
use crate::condition::{self, Condition};
use crate::consistency::{RELATED, Relation};
use crate::identity::SERIAL;
use crate::plausibility::{self, Doubt, ReadingQuality};
use crate::reading::{Missing, Reading};
use crate::transport::{Open, Stream};

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
    memory.begin();
    let mut groups = requests(&plan.registers, &mut polled, memory);
    let alone = groups.iter().map(|group| group.registers.len()).sum::<usize>() == 1;
    // A connection that breaks is made again once: the rest of the poll is still to be had.
    for connection in 0..2 {
        polled.trouble = None;
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            opened = plan.port.open() => opened,
        };
        let is_complete = groups.is_empty() && polled.doubtful.is_empty();
        if connection > 0 && (polled.suspect || !is_complete) {
            polled.suspect = true;
            let read = polled.readings.iter().map(|reading| reading.register).collect();
            polled.before_silence.get_or_insert(read);
            // That is told along with what is left, where there is room.
            let is_known = memory.identification.serials().by_register.is_some();
            let has_room = |group: &&mut Group| group.registers.len() < GetRegister::MAX;
            if let Some(group) = groups.front_mut().filter(has_room)
                && is_known
                && !group.registers.contains(&SERIAL)
            {
                group.registers.push(SERIAL);
            }
        }
        match opened {
            Ok(stream) => {
                let meter = Meter::new(stream, plan.line, memory.line_state);
                let mut meter = meter.drain_first(alone).counting(memory.traffic);
                let registers = &plan.registers;
                let is_last = connection > 0;
                read_own(&mut meter, registers, &mut groups, &mut polled, memory, is_last, stop)
                    .await;
                diagnose(&mut meter, &mut groups, &mut polled, memory, stop).await;
                question(&mut meter, registers, &mut polled, memory, stop).await;
                identify(&mut meter, &mut polled, memory, stop).await;
                leave(meter, &polled, memory);
            }
            Err(error) => polled.trouble = Some(PollError::Port(error)),
        }
        if !polled.is_broken_off() {
            break;
        }
    }
    if polled.is_open && !matches!(judge(&mut polled, memory), Some(Owner::Known)) {
        polled.withhold_foreign(memory);
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
    // What came when it was asked for again is not missing, and nothing is twice.
    let mut seen: BTreeSet<_> = polled.readings.iter().map(|reading| reading.register).collect();
    polled.missing.retain(|(register, _)| seen.insert(*register));
    let place = |register| plan.registers.iter().position(|known| *known == register);
    polled.missing.sort_by_key(|(register, _)| place(*register));
    let is_unread = |(_, why): &(_, _)| {
        matches!(why, Missing::NoAnswer | Missing::Doubtful | Missing::OtherMeter)
    };
    if !polled.readings.is_empty() && !polled.missing.iter().any(is_unread) {
        polled.trouble = None;
    }
    // After a silence another one may be there.
    if polled.readings.is_empty() && polled.trouble.is_some() {
        memory.recognition = Recognition::Uncertain;
    }
    let is_counter =
        |reading: &&Reading| reading.register.info().is_some_and(|info| info.kind == Kind::Counter);
    let counters = polled.readings.iter().filter(is_counter);
    memory.counters.extend(counters.map(|reading| (reading.register, reading.clone())));
    memory.high_resolution.complete(&mut polled.readings, &mut polled.missing);
    Some(polled)
}

/// What to ask for in this poll, in as few requests as possible. What the meter does not have is
/// missing already.
fn requests(registers: &[RegisterId], polled: &mut Polled, memory: &Memory) -> Groups {
    let absent = |register: &RegisterId| memory.is_absent(*register).cloned();
    let mut wanted: Vec<RegisterId> =
        registers.iter().copied().filter(|register| absent(register).is_none()).collect();
    // A meter is never left unasked: it may be that it has them after all.
    if wanted.is_empty() {
        let omitted = |register: &RegisterId| absent(register) == Some(Missing::LeftOut);
        wanted.extend(registers.iter().copied().filter(omitted));
    }
    let missing = registers.iter().filter(|register| !wanted.contains(register));
    let missing: Vec<_> =
        missing.filter_map(|register| Some((*register, absent(register)?))).collect();
    polled.missing.extend(missing);
    // Now and then, what the meter says of its faults.
    let codes = memory.codes_due().iter().copied();
    wanted.extend(codes.filter(|it| !registers.contains(it) && absent(it).is_none()));
    if !wanted.contains(&SERIAL) && absent(&SERIAL).is_none() {
        let has_room = wanted.len().checked_rem(GetRegister::MAX) != Some(0);
        let is_due = memory.recognition.is_older_than(RECOGNITION);
        if memory.must_recognize(registers) || (has_room && is_due) {
            wanted.insert(0, SERIAL);
        }
    }
    wanted.extend(memory.padding(&wanted));
    // That the meter does not have a register shows only in an answer with others.
    if !wanted.iter().any(|register| memory.plausibility.knows(*register)) {
        let known =
            memory.plausibility.shortest().into_iter().filter(|register| *register != SERIAL);
        wanted.extend(known.take(ANCHORS));
    }
    // One that may silence the meter is asked for last, and alone.
    let (silencing, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|register| {
        memory.absent.get(register).is_some_and(|absence| absence.why == Missing::Silences)
    });
    let alone = silencing.chunks(1).map(|register| {
        let registers = register.to_vec();
        Group { registers, halved: true, again: true }
    });
    spread(&wanted, memory).chain(alone).collect()
}

/// Shares registers out over as few requests as possible, all of about the same size: a register alone
/// has no order by which a late answer would show. Each request has a counter, as long as there are
/// some, since these tell one meter from another; and one that the meter is known to have, since only
/// beside others it shows that it does not have one.
fn spread(wanted: &[RegisterId], memory: &Memory) -> impl Iterator<Item = Group> + use<> {
    let count = wanted.len().div_ceil(GetRegister::MAX);
    let mut groups: Vec<Vec<RegisterId>> = vec![Vec::new(); count];
    let is_counter =
        |register: &RegisterId| register.info().is_some_and(|info| info.kind == Kind::Counter);
    let rank = |register: &RegisterId| match memory.plausibility.knows(*register) {
        true if is_counter(register) => 0,
        _ if RELATED.contains(register) => 1,
        true => 2,
        false => 3,
    };
    let mut ordered = wanted.to_vec();
    let place = |register: &RegisterId| RELATED.iter().position(|related| related == register);
    ordered.sort_by_key(|register| (rank(register), place(register)));
    for register in ordered {
        let together = RELATED.contains(&register) && !is_counter(&register);
        let has_room = |group: &Vec<_>| group.len() < GetRegister::MAX;
        let first = groups.first_mut().filter(|group| together && has_room(group));
        let group = match first {
            Some(first) => Some(first),
            None => groups.iter_mut().min_by_key(|group| group.len()),
        };
        if let Some(group) = group {
            group.push(register);
        }
    }
    groups.into_iter().map(|group| Group::whole(&group))
}

/// Reads the registers of the meter that is known, or of the one that has taken its place.
async fn read_own(
    meter: &mut Meter<Box<dyn Stream>>,
    registers: &[RegisterId],
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    is_last: bool,
    stop: &CancellationToken,
) {
    // Once more for another meter, and once for what was left undone in doubt.
    for _ in 0..3 {
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
        reconcile(meter, groups, polled, memory, stop).await;
        polled.is_open = true;
        // The connection is made again first.
        if polled.is_broken_off() && !is_last {
            polled.note_silence(meter);
            return;
        }
        let owner = recognize(meter, polled, memory, stop).await;
        if polled.is_broken_off() && !is_last {
            return;
        }
        polled.is_open = false;
        match owner {
            Owner::Known if polled.suspect && !groups.is_empty() && polled.trouble.is_none() => {
                polled.suspect = false;
            }
            Owner::Known => return,
            Owner::Other(exchange) if polled.exchange.is_none() => {
                memory.begin_anew();
                meter.forget_order();
                *polled = Polled { exchange: Some(exchange), ..Polled::default() };
                *groups = requests(registers, polled, memory);
            }
            // Nobody knows whose it is.
            Owner::Other(_) | Owner::Unknown => {
                polled.withhold_foreign(memory);
                return;
            }
        }
    }
}

/// Remembers what is to be known when the port is opened again.
pub(super) fn leave(mut meter: Meter<Box<dyn Stream>>, polled: &Polled, memory: &mut Memory) {
    // Answers that may be late can go on coming over the next connection.
    if polled.is_broken_off() && !polled.doubtful.is_empty() {
        meter.mark_suspect();
    }
    if meter.take_silence() {
        memory.recognition = Recognition::Uncertain;
    }
    (memory.line_state, memory.traffic) = (meter.line_state(), meter.traffic());
}

impl Group {
    pub(super) fn whole(registers: &[RegisterId]) -> Self {
        Self { registers: registers.to_vec(), halved: false, again: false }
    }
}

/// Reads the info code where a value looks like that of a broken sensor, and what else tells whether
/// one is.
async fn diagnose(
    meter: &mut Meter<Box<dyn Stream>>,
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    learn(polled, memory);
    let Polled { readings, .. } = &*polled;
    let suspicious = readings.iter().any(|reading| condition::is_suspicious(reading, readings));
    let codes = unread_codes(polled, memory);
    if suspicious && polled.trouble.is_none() && !codes.is_empty() {
        groups.push_back(Group::whole(&codes));
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
    }
    let condition = Condition::of(&polled.readings, &memory.identification.identity());
    let mut evidence = condition.map_or_else(Vec::new, |it| it.evidence(&polled.readings));
    evidence.retain(|register| {
        let is_doubtful = polled.doubtful.iter().any(|(reading, _)| reading.register == *register);
        !is_doubtful && memory.is_absent(*register).is_none()
    });
    if polled.trouble.is_none() && !evidence.is_empty() {
        groups.push_back(Group::whole(&evidence));
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
    }
}

/// Hands what was read to whom it tells which meter this is.
pub(super) fn learn(polled: &Polled, memory: &mut Memory) {
    for reading in &polled.readings {
        memory.identification.read(reading);
    }
    for (register, absence) in memory.absent.iter().filter(|(_, absence)| absence.is_certain) {
        match absence.why {
            Missing::Silences => memory.identification.silent(*register),
            _ => memory.identification.left_out(*register),
        }
    }
}

/// The registers of the info code that the meter has, and that were not read in this poll.
fn unread_codes(polled: &Polled, memory: &Memory) -> Vec<RegisterId> {
    let models = memory.identification.identity().models;
    let mut codes = condition::registers(&models).to_vec();
    let has_no_value = |code: &RegisterId| {
        let is_so = |(register, why): &(RegisterId, Missing)| {
            register == code && matches!(why, Missing::NoValue(_))
        };
        polled.missing.iter().any(is_so)
    };
    codes.retain(|code| !has_no_value(code));
    codes.retain(|code| {
        let doubtful = polled.doubtful.iter().map(|(reading, _)| reading);
        let read = polled.readings.iter().chain(doubtful).any(|reading| reading.register == *code);
        !read && memory.is_absent(*code).is_none()
    });
    codes
}

/// Takes out what the meter itself says is not measured.
pub(super) fn withhold(polled: &mut Polled, memory: &mut Memory) {
    let identity = memory.identification.identity();
    polled.condition = Condition::of(&polled.readings, &identity);
    if let Some(condition) = &polled.condition {
        memory.diagnosed = Some((Instant::now(), condition.concerns_sensors()));
    }
    // A code that is there but was not read might have said so.
    let unread = !unread_codes(polled, memory).is_empty();
    let Polled { readings, missing, condition, .. } = polled;
    let mut withheld: Vec<(RegisterId, Missing)> = Vec::new();
    let spoilt = condition.as_ref().map_or_else(Vec::new, |condition| condition.spoilt(readings));
    withheld.extend(spoilt.into_iter().map(|(register, why)| (register, Missing::Fault(why))));
    if unread {
        let suspicious = readings.iter().filter(|it| condition::is_suspicious(it, readings));
        withheld.extend(suspicious.map(|reading| (reading.register, Missing::NoAnswer)));
    }
    for (register, why) in withheld {
        if readings.iter().any(|reading| reading.register == register) {
            readings.retain(|reading| reading.register != register);
            missing.push((register, why));
        }
    }
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
    if memory.last_poll_failed {
        match meter.request(&GetSerialNo, Tries::One, stop).await {
            Ok(serial) => {
                memory.last_poll_failed = false;
                if memory.is_foreign(serial) {
                    polled.suspect = true;
                    return;
                }
            }
            Err(RequestError::NoAnswer(heard)) if memory.port_contended => {
                polled.trouble = Some(PollError::Meter(heard));
                return;
            }
            Err(_) => {}
        }
    }
    while let Some(group) = groups.pop_front() {
        let Some(command) = memory.command(&group.registers) else { continue };
        // Of a half, what fails by chance is only halved once more.
        let once = memory.last_poll_failed
            || (group.halved && (memory.scan_mode || group.registers.len() > 1));
        let tries = if once { Tries::One } else { Tries::Three };
        let result = meter.request(&command, tries, stop).await;
        polled.note_silence(meter);
        let heard = match result {
            Ok(answer) => {
                memory.last_poll_failed = false;
                let how = quality(meter, memory, &group.registers);
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
        let probed = if memory.last_poll_failed {
            None
        } else {
            Some(meter.request(&GetSerialNo, Tries::Two, stop).await)
        };
        match probed {
            Some(Ok(serial)) if memory.is_foreign(serial) => {
                polled.suspect = true;
                groups.push_front(group);
                return;
            }
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
                polled.trouble = Some(PollError::Meter(heard));
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
    how: ReadingQuality,
    polled: &mut Polled,
    memory: &mut Memory,
) -> Option<Group> {
    let mut unsure = Vec::new();
    // That a register is missing shows only beside others.
    let anchors: Vec<_> = answer.iter().map(|value| value.register).take(ANCHORS).collect();
    for register in group.registers {
        let value = answer.iter().find(|value| value.register == register);
        match value.map(Reading::try_from) {
            Some(Ok(reading)) => weigh(reading, how, polled, memory),
            Some(Err(error)) => {
                memory.absent.remove(&register);
                memory.identification.unreadable(register);
                polled.missing.push((register, error.into()));
            }
            // A late answer is without what was not asked for then, and one without any register may
            // be to anything.
            None if (how.may_be_late || answer.is_empty()) && !group.again => unsure.push(register),
            None if answer.is_empty() => {
                memory.plausibility.left_out(register);
                let known = memory.is_absent(register).cloned();
                polled.missing.push((register, known.unwrap_or(Missing::Omitted)));
            }
            None => leave_out(register, Missing::LeftOut, polled, memory),
        }
    }
    if unsure.is_empty() {
        return None;
    }
    unsure.extend(anchors.iter().take(GetRegister::MAX.saturating_sub(unsure.len())));
    Some(Group { registers: unsure, again: true, ..group })
}

/// What to ask next of a group that the meter did not answer while it is awake, last first.
fn narrow_down(
    group: Group,
    heard: NoAnswer,
    polled: &mut Polled,
    memory: &mut Memory,
) -> Vec<Group> {
    if group.registers.len() > 1 {
        if !group.halved && !memory.scan_mode {
            info!("Looking for the value that silences the meter; this takes up to a minute.");
        }
        let (first, second) = group.registers.split_at(group.registers.len() / 2);
        return [second, first]
            .map(|half| Group { registers: half.to_vec(), halved: true, again: false })
            .into();
    }
    let is_silent = matches!(heard, NoAnswer::Nothing | NoAnswer::OwnEcho);
    if is_silent && !group.again {
        return vec![Group { again: true, ..group }];
    }
    for register in group.registers {
        if is_silent {
            // Alone, three times, while the meter answers what every meter answers.
            leave_out(register, Missing::Silences, polled, memory);
        } else {
            polled.trouble.get_or_insert(PollError::Meter(heard));
            polled.missing.push((register, Missing::NoAnswer));
        }
    }
    Vec::new()
}

/// How often a doubtful reading is read again.
pub(super) const CONFIRMATIONS: u32 = 2;

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
            let result = meter.request(&command, Tries::Three, stop).await;
            polled.note_silence(meter);
            let answer = match result {
                Ok(answer) => answer,
                Err(RequestError::Broken(error)) => {
                    // They are read again over the next connection.
                    polled.trouble = Some(error.into());
                    polled.doubtful.extend(group.into_iter().chain(doubtful));
                    return;
                }
                Err(_) => Vec::new(),
            };
            let how = quality(meter, memory, &registers);
            for (earlier, doubt) in group {
                let again = answer.iter().find(|value| value.register == earlier.register);
                let Some(Ok(again)) = again.map(Reading::try_from) else {
                    polled.doubtful.push((earlier, doubt));
                    continue;
                };
                let still = memory.plausibility.doubt(&again, how);
                if still.is_some() && !plausibility::agree(&earlier, &again, &doubt) {
                    debug!("register {}: {doubt}, and then {:?}", again.register, again.value);
                    meter.mark_suspect();
                    polled.doubtful.push((again, doubt));
                    continue;
                }
                if let Some(doubt) = still.filter(Doubt::is_change) {
                    polled.changes.push((again.register, doubt));
                }
                memory.plausibility.accept_confirmed(&again);
                polled.readings.push(again);
            }
        }
    }
}

/// Reads again what contradicts itself. What the meter says twice it means.
async fn reconcile(
    meter: &mut Meter<Box<dyn Stream>>,
    groups: &mut Groups,
    polled: &mut Polled,
    memory: &mut Memory,
    stop: &CancellationToken,
) {
    for _ in 0..CONFIRMATIONS {
        memory.consistency.look(&polled.readings);
        let contradicted = memory.consistency.contradicted(&polled.readings);
        if contradicted.is_empty() || polled.trouble.is_some() {
            return;
        }
        let registers = contradicted.iter().flat_map(|relation| relation.registers());
        let mut registers: Vec<_> = registers.collect();
        registers.sort_unstable();
        registers.dedup();
        debug!("registers {registers:?} contradict each other");
        let is_meant = |reading: &&Reading| registers.contains(&reading.register);
        let earlier: Vec<Reading> = polled.readings.iter().filter(is_meant).cloned().collect();
        polled.readings.retain(|reading| !registers.contains(&reading.register));
        groups.push_front(Group { again: true, ..Group::whole(&registers) });
        read_all(meter, groups, polled, memory, stop).await;
        confirm(meter, polled, memory, stop).await;
        for relation in memory.consistency.contradicted(&polled.readings) {
            // Flow and power are means of different times, and one may lag behind.
            if relation == Relation::Power {
                memory.consistency.is_meant(relation);
                debug!("registers {:?} {relation}", relation.registers());
            } else if relation.is_as_before(&earlier, &polled.readings) {
                memory.consistency.is_meant(relation);
                // What a broken sensor gives fits nothing; the info code says so.
                let Polled { readings, .. } = &*polled;
                let is_broken = |it: &Reading| condition::is_suspicious(it, readings);
                if !readings.iter().any(is_broken) {
                    polled.contradictions.push(relation);
                }
            }
        }
    }
    for relation in memory.consistency.contradicted(&polled.readings) {
        let registers = relation.registers();
        polled.readings.retain(|reading| !registers.contains(&reading.register));
        polled.missing.extend(registers.map(|register| (register, Missing::Doubtful)));
    }
}

/// How the readings of the last answer, to a request for these registers, came.
pub(super) fn quality(
    meter: &Meter<Box<dyn Stream>>,
    memory: &Memory,
    registers: &[RegisterId],
) -> ReadingQuality {
    let told = meter.order_confirmed() && memory.order_is_conclusive(registers);
    let may_be_late = meter.may_be_late() || (memory.order_quorum > 1 && !told);
    ReadingQuality { clean: meter.is_clean(), may_be_late }
}

/// A reading counts, or must be read again.
pub(super) fn weigh(
    reading: Reading,
    how: ReadingQuality,
    polled: &mut Polled,
    memory: &mut Memory,
) {
    memory.absent.remove(&reading.register);
    polled.readings.retain(|earlier| earlier.register != reading.register);
    // The last one is what the next must agree with.
    polled.doubtful.retain(|(earlier, _)| earlier.register != reading.register);
    if let Some(doubt) = memory.plausibility.doubt(&reading, how) {
        debug!("register {}: {doubt}", reading.register);
        polled.doubtful.push((reading, doubt));
    } else {
        memory.plausibility.accept(&reading);
        polled.readings.push(reading);
    }
}

/// Notes that the meter seems not to have a register. Where that is so in another poll too, it is not
/// asked for again today. One that has been read before gets another chance first.
fn leave_out(register: RegisterId, why: Missing, polled: &mut Polled, memory: &mut Memory) {
    if memory.plausibility.knows(register) {
        memory.plausibility.left_out(register);
        polled.missing.push((register, Missing::NoAnswer));
        return;
    }
    let (poll, since) = (memory.polls, Instant::now());
    let known = memory.absent.get(&register);
    let known = known.filter(|known| known.why == why && known.since.elapsed() < ABSENCE);
    let is_certain = known.is_some_and(|known| known.is_certain || known.poll != poll);
    let poll = known.map_or(poll, |known| known.poll);
    memory.absent.insert(register, Absence { why: why.clone(), since, poll, is_certain });
    // It was asked for alone, several times, before a meter that was awake.
    let is_silent = why == Missing::Silences;
    let shown = if is_certain || is_silent { why } else { Missing::Omitted };
    polled.missing.push((register, shown));
}
