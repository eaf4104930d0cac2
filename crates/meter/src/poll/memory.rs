//! The knowledge about a meter that is kept between polls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kmp::frame;
use kmp::line::Line;
use kmp::message::{GetRegister, SerialNumber};
use kmp::model::Model;
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::absences::Absences;
use super::capacity::Capacity;
use super::extent::Extent;
use super::order::{FirstOrder, RequestOrder};
use super::pace::SlowReadings;
use super::recognition::Recognition;
use crate::client::{Lateness, LineState, Meter, Proof, Traffic};
use crate::condition::{self, Condition};
use crate::consistency::Consistency;
use crate::highres::HighResolution;
use crate::identity::{Identification, Version};
use crate::plausibility::{Plausibility, ReadingQuality};
use crate::reading::{Missing, Reading};
use crate::suspension::SuspendedTime;
use crate::transport::Stream;

/// How often the info code is read if it is not configured: it reports faults, and costs only a few
/// bytes.
const DIAGNOSIS: Duration = Duration::from_secs(60 * 60);

/// How long a late answer explains that later polls get none. A short poll ends before a very late
/// answer arrives.
const LATE_FOR: Duration = Duration::from_secs(60 * 60);

/// The bytes around the registers of an answer: start, address, command, two of checksum, stop.
pub(super) const AROUND: usize = 6;

/// The bytes of a register whose value is not yet known: its number, unit, length and exponent, and
/// a value of 4 bytes.
const USUAL_LENGTH: usize = 9;

/// What a poll knows from earlier polls.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) identification: Identification,
    /// The registers that must still be requested to identify the meter.
    pub(super) questions: VecDeque<Question>,
    pub(super) recognition: Recognition,
    pub(super) line: LineMemory,
    order: RequestOrder,
    /// The registers that were withheld because their answers may have been late.
    pub(super) unproven: BTreeSet<RegisterId>,
    /// The registers that the last poll left, because it took too long.
    pub(super) postponed: BTreeSet<RegisterId>,
    pub(super) absences: Absences,
    /// When registers that change slowly were read.
    pub(super) slow: SlowReadings,
    pub(super) plausibility: Plausibility,
    /// Absences and plausibility as they were when the poll began.
    checkpoint: (Absences, Plausibility),
    pub(super) consistency: Consistency,
    pub(super) high_resolution: HighResolution,
    pub(super) suspended: SuspendedTime,
    diagnosis: Option<Diagnosis>,
    /// The number of polls so far.
    polls: u64,
    /// When the last poll began, or the last part of a scan.
    pub(super) begun: Option<Instant>,
    /// The last poll read nothing, so the next one must be short.
    pub(super) last_poll_failed: bool,
    /// Other meters wait for the port while this one does not answer, so one request is enough.
    pub(super) port_contended: bool,
    /// A register that silences the meter gets fewer tries, because a scan may find many of them.
    pub(super) scan_mode: bool,
    /// How much polls find out about the meter.
    pub(super) extent: Extent,
    /// The registers that are read in one request ([`super::Plan::together`]).
    pub(super) together: Vec<RegisterId>,
}

/// Registers that are requested together to identify the meter.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) registers: Vec<RegisterId>,
    /// In an earlier poll the meter did not answer a request for this register alone.
    pub(super) is_silent: bool,
}

impl Question {
    pub(super) fn new(registers: &[RegisterId]) -> Self {
        Self { registers: registers.to_vec(), is_silent: false }
    }
}

/// The last info code that the meter sent.
#[derive(Debug, Clone, Copy)]
struct Diagnosis {
    at: Instant,
    concerns_sensors: bool,
}

/// The state of the line that outlives a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct LineMemory {
    pub(super) state: LineState,
    /// Whether the meter has ever answered.
    pub(super) has_answered: bool,
    /// Whether further polls follow, so that finding out what they need is worth a request.
    pub(super) is_repeated: bool,
    /// How long an answer may be.
    pub(super) capacity: Capacity,
    /// When an answer arrived too late, and how long after its request.
    late: Option<(Instant, Duration)>,
    /// The traffic that has not been reported yet.
    traffic: Traffic,
    /// What of it was before the poll that has begun.
    before: Traffic,
}

impl LineMemory {
    /// A client for a stream that has just been opened.
    pub(super) fn client(&self, stream: Box<dyn Stream>, line: Line) -> Meter<Box<dyn Stream>> {
        let mut client = Meter::new(stream, line, self.state.clone()).counting(self.traffic);
        client.expect_cut(self.capacity.cut());
        client
    }

    /// Keeps the state for the next connection.
    pub(super) fn keep(&mut self, client: &Meter<Box<dyn Stream>>) {
        self.state = client.line_state();
        self.traffic = client.traffic();
    }

    /// Notes the late answers of a connection.
    pub(super) fn note_lateness(&mut self, lateness: Lateness) {
        if lateness.answers > 0 {
            self.late = Some((Instant::now(), lateness.longest));
        }
    }

    /// How late answers were, if that still explains why there are none.
    pub(super) fn lateness(&self) -> Option<Duration> {
        self.late.filter(|(at, _)| at.elapsed() < LATE_FOR).map(|(_, after)| after)
    }

    /// Notes that answers are in time.
    pub(super) fn forget_lateness(&mut self) {
        self.late = None;
    }

    /// The traffic since the previous poll, and what of it was before this poll.
    pub(super) fn take_traffic(&mut self) -> (Traffic, Traffic) {
        (self.traffic.take(), self.before.take())
    }
}

impl Memory {
    pub(super) fn new(version: Version) -> Self {
        Self::beginning_at(FirstOrder::default(), version)
    }

    /// What is known of a meter before its first poll in this run.
    pub(super) fn beginning_at(first: FirstOrder, version: Version) -> Self {
        Self {
            identification: Identification::new(version),
            questions: VecDeque::new(),
            recognition: Recognition::default(),
            line: LineMemory::default(),
            order: RequestOrder::new(first),
            unproven: BTreeSet::new(),
            postponed: BTreeSet::new(),
            absences: Absences::default(),
            slow: SlowReadings::default(),
            plausibility: Plausibility::default(),
            checkpoint: Default::default(),
            consistency: Consistency::default(),
            high_resolution: HighResolution::default(),
            suspended: SuspendedTime::default(),
            diagnosis: None,
            polls: 0,
            begun: None,
            last_poll_failed: false,
            port_contended: false,
            scan_mode: false,
            extent: Extent::default(),
            together: Vec::new(),
        }
    }

    /// Prepares it for another task that polls the same meter. The configured model may have changed.
    /// The meter is identified again, and all registers are requested again, with those that it did
    /// not have. The settings of the line may have changed too.
    fn handed_over(mut self, version: Version) -> Self {
        self.recognition.lost();
        self.line.capacity = Capacity::default();
        self.line.forget_lateness();
        Self {
            identification: self.identification.with_version(version),
            questions: VecDeque::new(),
            absences: Absences::default(),
            slow: SlowReadings::default(),
            diagnosis: None,
            ..self
        }
    }

    /// Forgets the meter, because another one has taken its place. Late answers to earlier requests
    /// may still arrive, so the line and the orders are kept.
    pub(super) fn begin_anew(&mut self) {
        let version = self.identification.version();
        let Self { line, order, polls, begun, scan_mode, extent, together, .. } =
            std::mem::replace(self, Self::new(version));
        let anew = Self::new(version);
        *self = Self { line, order, polls, begun, scan_mode, extent, together, ..anew };
        self.line.capacity = Capacity::default();
        self.absences.begin_poll(self.polls);
    }

    pub(super) fn begin_poll(&mut self) {
        self.polls = self.polls.wrapping_add(1);
        self.absences.begin_poll(self.polls);
        self.checkpoint = (self.absences.clone(), self.plausibility.clone());
        let now = Instant::now();
        let since_last = self.begun.map(|begun| now.saturating_duration_since(begun));
        self.begun = Some(now);
        self.recognition.begin_poll(since_last);
        self.order.begin_poll(self.polls, since_last);
        self.line.capacity.begin_poll();
        self.line.before = self.line.traffic;
    }

    /// Forgets the values that were read in this poll.
    pub(super) fn return_to_checkpoint(&mut self) {
        (self.absences, self.plausibility) = self.checkpoint.clone();
    }

    /// Forgets the value of a register that was read in this poll.
    pub(super) fn return_one_to_checkpoint(&mut self, register: RegisterId) {
        self.plausibility.restore(register, &self.checkpoint.1);
    }

    /// Whether these registers are worth a request: none of them was withheld and no answers are
    /// repeated, or else the answer will certainly belong to the request.
    pub(super) fn is_provable(&self, registers: &[RegisterId]) -> bool {
        let was_withheld = registers.iter().any(|register| self.unproven.contains(register));
        if !was_withheld && !self.line.state.has_unexplained_answers() {
            return true;
        }
        let mut order = self.order.next_order(registers);
        order.retain(|register| !self.may_lack(*register));
        let proof = self.line.state.proof_of(&order, |register| self.may_be_left_out(register));
        proof == Proof::Certain
    }

    /// Registers that the meter is known to have, for a request that needs others to show something.
    /// Without those that are not requested for a while.
    pub(super) fn anchors(&self, except: &[RegisterId]) -> impl Iterator<Item = RegisterId> {
        let known = self.plausibility.shortest_except(except);
        known.filter(|register| !self.unproven.contains(register))
    }

    /// Whether an answer has left out a register.
    fn may_lack(&self, register: RegisterId) -> bool {
        self.plausibility.is_left_out(register) || self.absences.is_suspected(register)
    }

    /// Whether an answer to an earlier request may lack a register. It may have been a scan's, which
    /// has a memory of its own.
    fn may_be_left_out(&self, register: RegisterId) -> bool {
        !self.plausibility.knows(register)
    }

    /// Forgets which meter this is.
    pub(super) fn forget_identity(&mut self) {
        self.identification = Identification::new(self.identification.version());
        self.questions.clear();
    }

    /// Whether an answer to `GetSerialNo` differs from the known number.
    pub(super) fn is_foreign(&self, serial: SerialNumber) -> bool {
        self.identification.serials().command().is_some_and(|known| known != serial)
    }

    /// Whether an answer to `GetSerialNo` is the known number.
    pub(super) fn is_own(&self, serial: SerialNumber) -> bool {
        self.identification.serials().command() == Some(serial)
    }

    /// Whether the serial number must be read in a poll of these registers.
    pub(super) fn must_recognize(&self, registers: &[RegisterId]) -> bool {
        self.recognition.is_required(registers, &self.plausibility)
    }

    /// Learns about the meter's identity from the readings of a poll and the absent registers.
    pub(super) fn learn_identity(&mut self, readings: &[Reading]) {
        for reading in readings {
            self.identification.read(reading);
        }
        for (register, why) in self.absences.certain() {
            match why {
                Missing::Silences | Missing::TooLong => self.identification.silent(register),
                _ => self.identification.left_out(register),
            }
        }
    }

    /// Exchanges the orders of earlier requests with the memory of a scan.
    pub(super) fn exchange_orders(&mut self, scan: &mut Self) {
        self.order.exchange_known(&mut scan.order);
    }

    /// Makes a request for registers in their next order.
    pub(super) fn request(&mut self, registers: &[RegisterId]) -> Option<GetRegister> {
        self.order.request(registers, &self.plausibility)
    }

    /// The additional registers that make the order conclusive.
    pub(super) fn padding(&self, wanted: &[RegisterId]) -> Vec<RegisterId> {
        self.order.padding(wanted, &self.plausibility, &self.absences)
    }

    /// How many registers an answer must have for their order to be conclusive.
    pub(super) fn order_quorum(&self) -> usize {
        self.order.quorum()
    }

    /// How many bytes an answer with these registers has.
    pub(super) fn answer_length(&self, registers: &[RegisterId]) -> usize {
        let registers = registers.iter().map(|register| self.register_length(*register));
        registers.fold(AROUND, usize::saturating_add)
    }

    fn register_length(&self, register: RegisterId) -> usize {
        match self.plausibility.bytes(register) {
            Some(bytes) => escaped_length(bytes),
            // It was left out of an answer.
            None if self.absences.is_suspected(register) => 0,
            None => USUAL_LENGTH,
        }
    }

    /// Whether a request for these registers can be answered over this line. A single register is
    /// always requested.
    pub(super) fn fits(&self, registers: &[RegisterId]) -> bool {
        let (count, bytes) = (registers.len(), self.answer_length(registers));
        count <= 1 || (count <= GetRegister::MAX && self.line.capacity.carries(bytes, count))
    }

    /// How many of these registers, from the first on, fit into one request: at least one.
    pub(super) fn fitting(&self, registers: &[RegisterId]) -> usize {
        let fits = |count: &usize| registers.get(..*count).is_some_and(|some| self.fits(some));
        (2..=registers.len()).take_while(fits).last().unwrap_or(1).min(registers.len())
    }

    /// Notes that the meter answers.
    pub(super) fn note_answer(&mut self) {
        self.last_poll_failed = false;
        self.line.has_answered = true;
    }

    /// How far the last answer can be trusted, with the numbers of registers that it has and that
    /// were requested. In the first reading of a program, an answer without some of them may be that
    /// to another program.
    pub(super) fn quality(
        &self,
        client: &Meter<Box<dyn Stream>>,
        answered: usize,
        requested: usize,
    ) -> ReadingQuality {
        let begun = self.begun.unwrap_or_else(Instant::now);
        let proof = client.proof(begun, |register| self.may_be_left_out(register));
        let quality = self.order.quality(client, answered, proof);
        if self.extent == Extent::Identity {
            return quality;
        }
        let lacks_some = answered < requested;
        let may_be_late = quality.may_be_late && !client.is_prompt();
        ReadingQuality { may_be_late: lacks_some || may_be_late, ..quality }
    }

    /// Notes that the meter seems not to have a register. Returns the reason to report. A register that
    /// was read before gets another chance.
    pub(super) fn note_absence(&mut self, register: RegisterId, why: Missing) -> Missing {
        if self.plausibility.knows(register) {
            self.plausibility.left_out(register);
            return Missing::NoAnswer;
        }
        self.absences.note(register, why)
    }

    /// Notes an answer without any registers to a request for this one.
    pub(super) fn note_empty(&mut self, register: RegisterId) {
        self.absences.note_empty(register);
    }

    /// The registers that must still be requested to identify the meter, or only its model.
    pub(super) fn identity_registers(&self) -> Vec<RegisterId> {
        let open = self.identification.registers();
        let is_wanted = |register: &RegisterId| {
            self.extent == Extent::Identity || Model::DISTINGUISHING.contains(register)
        };
        open.filter(is_wanted).collect()
    }

    /// Whether the serial number is read together with these registers in any case.
    pub(super) fn wants_serial(&self, registers: &[RegisterId]) -> bool {
        match self.extent {
            Extent::Identity => self.must_recognize(registers),
            Extent::SerialNumber => self.identification.serials().by_register.is_none(),
            Extent::Values => false,
        }
    }

    /// The registers of the info code, if they are due in a poll of these registers. While a sensor
    /// is broken, each poll reads them.
    pub(super) fn codes_due(&self, registers: &[RegisterId]) -> &'static [RegisterId] {
        let may_be_spoilt = || registers.iter().any(|it| condition::may_be_spoilt(*it));
        if self.extent != Extent::Identity && !may_be_spoilt() {
            return &[];
        }
        let is_recent = |diagnosis: Diagnosis| {
            !diagnosis.concerns_sensors && diagnosis.at.elapsed() < DIAGNOSIS
        };
        if self.diagnosis.is_some_and(is_recent) {
            return &[];
        }
        condition::registers(&self.identification.identity().models)
    }

    pub(super) fn note_condition(&mut self, condition: &Condition) {
        let concerns_sensors = condition.concerns_sensors();
        self.diagnosis = Some(Diagnosis { at: Instant::now(), concerns_sensors });
    }
}

/// How many bytes these are on the line.
pub(super) fn escaped_length(bytes: &[u8]) -> usize {
    let escaped = bytes.iter().filter(|byte| frame::is_reserved(**byte)).count();
    bytes.len().saturating_add(escaped)
}

/// The memories of meters whose tasks have ended, by port. Another task may continue to poll them,
/// and its requests must not look like earlier ones. Clones share the same memories.
#[derive(Debug, Clone, Default)]
pub struct MeterMemories {
    by_port: Arc<Mutex<BTreeMap<String, Memory>>>,
    first: FirstOrder,
}

impl MeterMemories {
    /// Those of a process that has just started. Its requests differ from those of an earlier one,
    /// whose answers may still arrive. [`Self::default`] always begins with the same requests, for
    /// tests.
    #[must_use]
    pub fn of_new_process() -> Self {
        Self { first: FirstOrder::random(), ..Self::default() }
    }

    /// The memory of the meter at a port, or an empty one.
    pub(super) fn take(&self, port: &str, version: Version) -> Memory {
        let known = self.by_port.lock().unwrap_or_else(PoisonError::into_inner).remove(port);
        known.map_or_else(
            || Memory::beginning_at(self.first, version),
            |memory| memory.handed_over(version),
        )
    }

    pub(super) fn put_back(&self, port: &str, memory: Memory) {
        let mut by_port = self.by_port.lock().unwrap_or_else(PoisonError::into_inner);
        by_port.insert(port.to_owned(), memory);
    }
}
