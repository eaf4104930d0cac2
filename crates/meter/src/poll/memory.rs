//! The knowledge about a meter that is kept between polls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kmp::line::Line;
use kmp::message::{GetRegister, SerialNumber};
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::absences::Absences;
use super::order::RequestOrder;
use super::recognition::Recognition;
use crate::client::{LineState, Meter, Traffic};
use crate::condition::{self, Condition};
use crate::consistency::Consistency;
use crate::highres::HighResolution;
use crate::identity::{Identification, Version};
use crate::plausibility::{Plausibility, ReadingQuality};
use crate::reading::{Missing, Reading};
use crate::transport::Stream;

/// How often the info code is read if it is not configured: it reports faults, and costs only a few
/// bytes.
const DIAGNOSIS: Duration = Duration::from_secs(60 * 60);

/// What a poll knows from earlier polls.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) identification: Identification,
    /// The registers that must still be requested to identify the meter.
    pub(super) questions: VecDeque<Question>,
    pub(super) recognition: Recognition,
    pub(super) line: LineMemory,
    order: RequestOrder,
    pub(super) absences: Absences,
    pub(super) plausibility: Plausibility,
    /// Absences and plausibility as they were when the poll began.
    checkpoint: (Absences, Plausibility),
    pub(super) consistency: Consistency,
    pub(super) high_resolution: HighResolution,
    diagnosis: Option<Diagnosis>,
    /// The number of polls so far.
    polls: u64,
    /// When the last poll began.
    pub(super) begun: Option<Instant>,
    /// The last poll read nothing, so the next one must be short.
    pub(super) last_poll_failed: bool,
    /// Other meters wait for the port while this one does not answer, so one request is enough.
    pub(super) port_contended: bool,
    /// A register that silences the meter gets fewer tries, because a scan may find many of them.
    pub(super) scan_mode: bool,
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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineMemory {
    pub(super) state: LineState,
    /// Whether the meter has ever answered.
    pub(super) has_answered: bool,
    /// The traffic that has not been reported yet.
    traffic: Traffic,
}

impl LineMemory {
    /// A client for a stream that has just been opened.
    pub(super) fn client(&self, stream: Box<dyn Stream>, line: Line) -> Meter<Box<dyn Stream>> {
        Meter::new(stream, line, self.state).counting(self.traffic)
    }

    /// Keeps the state for the next connection.
    pub(super) fn keep(&mut self, client: &Meter<Box<dyn Stream>>) {
        self.state = client.line_state();
        self.traffic = client.traffic();
    }

    pub(super) fn take_traffic(&mut self) -> Traffic {
        self.traffic.take()
    }
}

impl Memory {
    pub(super) fn new(version: Version) -> Self {
        Self {
            identification: Identification::new(version),
            questions: VecDeque::new(),
            recognition: Recognition::default(),
            line: LineMemory::default(),
            order: RequestOrder::default(),
            absences: Absences::default(),
            plausibility: Plausibility::default(),
            checkpoint: Default::default(),
            consistency: Consistency::default(),
            high_resolution: HighResolution::default(),
            diagnosis: None,
            polls: 0,
            begun: None,
            last_poll_failed: false,
            port_contended: false,
            scan_mode: false,
        }
    }

    /// Prepares it for another task that polls the same meter. The configured model may have changed.
    /// The meter is identified again, and the registers that it did not have are requested again.
    fn handed_over(mut self, version: Version) -> Self {
        self.recognition.lost();
        Self {
            identification: self.identification.with_version(version),
            questions: VecDeque::new(),
            absences: Absences::default(),
            diagnosis: None,
            ..self
        }
    }

    /// Forgets the meter, because another one has taken its place. Late answers to earlier requests
    /// may still arrive, so the line and the orders are kept.
    pub(super) fn begin_anew(&mut self) {
        let version = self.identification.version();
        let Self { line, order, polls, begun, scan_mode, .. } =
            std::mem::replace(self, Self::new(version));
        *self = Self { line, order, polls, begun, scan_mode, ..Self::new(version) };
    }

    pub(super) fn begin_poll(&mut self) {
        self.polls = self.polls.wrapping_add(1);
        self.checkpoint = (self.absences.clone(), self.plausibility.clone());
        let now = Instant::now();
        let since_last = self.begun.map(|begun| now.saturating_duration_since(begun));
        self.begun = Some(now);
        self.recognition.begin_poll(since_last);
        self.order.begin_poll(self.polls, since_last);
    }

    /// Forgets the values that were read in this poll.
    pub(super) fn return_to_checkpoint(&mut self) {
        (self.absences, self.plausibility) = self.checkpoint.clone();
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
                Missing::Silences => self.identification.silent(register),
                _ => self.identification.left_out(register),
            }
        }
    }

    /// Makes a request for registers in their next order.
    pub(super) fn request(&mut self, registers: &[RegisterId]) -> Option<GetRegister> {
        self.order.request(registers, &self.plausibility)
    }

    /// The additional registers that make the order conclusive.
    pub(super) fn padding(&self, wanted: &[RegisterId]) -> Vec<RegisterId> {
        self.order.padding(wanted, &self.plausibility, &self.absences)
    }

    /// How many registers of a request must be known for their order to be conclusive.
    pub(super) fn order_quorum(&self) -> usize {
        self.order.quorum()
    }

    /// Notes that the meter answers.
    pub(super) fn note_answer(&mut self) {
        self.last_poll_failed = false;
        self.line.has_answered = true;
    }

    /// How far the last answer, to a request for these registers, can be trusted.
    pub(super) fn quality(
        &self,
        client: &Meter<Box<dyn Stream>>,
        registers: &[RegisterId],
    ) -> ReadingQuality {
        self.order.quality(client, registers, &self.plausibility)
    }

    /// Notes that the meter seems not to have a register. Returns the reason to report. A register that
    /// was read before gets another chance.
    pub(super) fn note_absence(&mut self, register: RegisterId, why: Missing) -> Missing {
        if self.plausibility.knows(register) {
            self.plausibility.left_out(register);
            return Missing::NoAnswer;
        }
        self.absences.note(register, why, self.polls)
    }

    /// The registers of the info code, if they are due. While a sensor is broken, each poll reads
    /// them.
    pub(super) fn codes_due(&self) -> &'static [RegisterId] {
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

/// The memories of meters whose tasks have ended, by port. Another task may continue to poll them,
/// and its requests must not look like earlier ones. Clones share the same memories.
#[derive(Debug, Clone, Default)]
pub struct MeterMemories(Arc<Mutex<BTreeMap<String, Memory>>>);

impl MeterMemories {
    /// The memory of the meter at a port, or an empty one.
    pub(super) fn take(&self, port: &str, version: Version) -> Memory {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(port);
        known.map_or_else(|| Memory::new(version), |memory| memory.handed_over(version))
    }

    pub(super) fn put_back(&self, port: &str, memory: Memory) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(port.to_owned(), memory);
    }
}
