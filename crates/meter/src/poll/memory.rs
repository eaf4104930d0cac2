//! What is known of a meter from poll to poll, and the order in which its registers are asked for.
//!
//! Polls repeat the same requests, so a late answer to an earlier one looks right. Each set of
//! registers is therefore asked for in another order each time, reversed in every second poll, and an
//! answer in another order is to another request ([`kmp::message::AnswerOrder`] compares the two). Where polls
//! are less than a minute apart, there must be as many orders as polls in that time
//! ([`Memory::order_quorum`]): a poll of fewer registers asks for others along with them
//! ([`Memory::padding`]). Until enough registers are known, what comes is read twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kmp::message::{GetRegister, SerialNumber};
use kmp::register::{Kind, RegisterId};
use kmp::value::Value;
use tokio::time::Instant;

use super::identify::Question;
use crate::client::{LineState, Traffic};
use crate::condition;
use crate::consistency::Consistency;
use crate::highres::HighResolution;
use crate::identity::{Identification, Version};
use crate::plausibility::Plausibility;
use crate::reading::{Missing, Reading};

/// How long a register that this meter does not have is not asked for.
pub(super) const ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the info code is read where the user did not ask for it: it tells of faults, and costs
/// a few bytes.
const DIAGNOSIS: Duration = Duration::from_secs(60 * 60);

/// The serial number is read along this often where the request has room for it, and in any case so
/// often.
pub(super) const RECOGNITION: Duration = Duration::from_secs(60 * 60);
pub(super) const RECOGNITION_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// So long after the poll before, a counter may have risen by as much as tells one meter from another.
const SELDOM: Duration = Duration::from_secs(30 * 60);

/// How many sets of registers have their permutations remembered.
const MOST_TURNS: usize = 256;

/// For so long an answer may be late.
const LATE: Duration = Duration::from_secs(60);

/// With so many registers that the meter has, an answer shows which it does not have, and its order
/// that it is not late.
pub(super) const ANCHORS: usize = 2;

/// What most meters have, as padding where a meter is hardly known yet.
const COMMON: [u16; 5] = [60, 68, 1004, 74, 80];

/// What one poll leaves for the next.
#[derive(Debug)]
pub(super) struct Memory {
    /// Which meter this is.
    pub(super) identification: Identification,
    pub(super) line_state: LineState,
    /// What was on the line and has not been told yet.
    pub(super) traffic: Traffic,
    /// Registers that the meter answered without, or fell silent at.
    pub(super) absent: BTreeMap<RegisterId, Absence>,
    /// Counts the polls.
    pub(super) polls: u64,
    /// Whether it is the meter that is known.
    pub(super) recognition: Recognition,
    pub(super) consistency: Consistency,
    /// What was known of values when the poll began.
    checkpoint: (Plausibility, BTreeMap<RegisterId, Absence>),
    /// How often register and command gave different serial numbers.
    pub(super) contradictions: u8,
    /// What the meter counted last, of what was asked for.
    pub(super) counters: BTreeMap<RegisterId, Reading>,
    /// The last poll read nothing: the next one must cost little.
    pub(super) last_poll_failed: bool,
    /// Another meter waits while this one is asked in vain: one request is enough.
    pub(super) port_contended: bool,
    /// Registers that silence the meter are given up soon.
    pub(super) scan_mode: bool,
    pub(super) plausibility: Plausibility,
    /// When the meter said last what is wrong with it, and whether a sensor is.
    pub(super) diagnosed: Option<(Instant, bool)>,
    /// What is still to be asked to find out which meter this is.
    pub(super) questions: VecDeque<Question>,
    pub(super) high_resolution: HighResolution,
    /// The next order of each set of registers, and the poll in which it was asked for last.
    pub(super) permutations: BTreeMap<Vec<RegisterId>, (usize, u64)>,
    /// When the last poll began.
    pub(super) begun: Option<Instant>,
    /// How long before that the poll before began.
    pub(super) pause: Duration,
    /// So many registers of a request must be known for their order to tell in this poll.
    pub(super) order_quorum: usize,
}

impl Memory {
    pub(super) fn new(version: Version) -> Self {
        Self {
            identification: Identification::new(version),
            line_state: LineState::default(),
            traffic: Traffic::default(),
            absent: BTreeMap::new(),
            polls: 0,
            recognition: Recognition::Never,
            consistency: Consistency::default(),
            checkpoint: Default::default(),
            contradictions: 0,
            counters: BTreeMap::new(),
            last_poll_failed: false,
            port_contended: false,
            scan_mode: false,
            plausibility: Plausibility::default(),
            diagnosed: None,
            questions: VecDeque::new(),
            high_resolution: HighResolution::default(),
            permutations: BTreeMap::new(),
            begun: None,
            pause: Duration::ZERO,
            order_quorum: 1,
        }
    }

    /// For a task that goes on with the same meter, of which the user may say something else now. What
    /// it did not have is asked for again, and which meter it is.
    pub(super) fn handed_over(self, version: Version) -> Self {
        let identification = self.identification.with_version(version);
        let (absent, questions) = (BTreeMap::new(), VecDeque::new());
        Self {
            identification,
            absent,
            questions,
            diagnosed: None,
            recognition: Recognition::Uncertain,
            ..self
        }
    }

    /// Forgets all that is of the meter: another one is there. What was on the line, and what was
    /// asked for, may still come back late.
    pub(super) fn begin_anew(&mut self) {
        let new = Self::new(self.identification.version());
        let Self {
            line_state, traffic, polls, scan_mode, permutations, begun, order_quorum, ..
        } = std::mem::replace(self, new);
        *self = Self {
            line_state,
            traffic,
            polls,
            scan_mode,
            permutations,
            begun,
            order_quorum,
            ..Self::new(self.identification.version())
        };
    }

    /// Forgets what came in this poll.
    pub(super) fn return_to_checkpoint(&mut self) {
        (self.plausibility, self.absent) = self.checkpoint.clone();
    }

    /// Forgets which meter this is.
    pub(super) fn forget_identity(&mut self) {
        self.identification = Identification::new(self.identification.version());
        self.questions.clear();
    }

    /// Whether a serial number is not the one that is known.
    pub(super) fn is_foreign(&self, serial: SerialNumber) -> bool {
        self.identification.serials().command().is_some_and(|known| known != serial)
    }

    /// Whether the serial number must be read in this poll, however many requests that takes. What
    /// counts up tells one meter from another, as long as there is such a value.
    pub(super) fn must_recognize(&self, registers: &[RegisterId]) -> bool {
        let counts = |register: &RegisterId| {
            let is_counter = register.info().is_some_and(|info| info.kind == Kind::Counter);
            // One that stands at zero says nothing: it does so in every other meter, too.
            let last = self.counters.get(register).map(|reading| &reading.value);
            let counts = matches!(last, Some(Value::Number(number)) if !number.is_zero());
            is_counter && counts && self.plausibility.knows(*register)
        };
        self.recognition.is_older_than(RECOGNITION_AT_MOST)
            || self.pause >= SELDOM
            || !registers.iter().any(counts)
    }

    /// Works out how many registers a request of this poll needs: a late answer is to one of the
    /// polls of the last minute, and each of these must have had another order.
    pub(super) fn begin(&mut self) {
        self.polls = self.polls.wrapping_add(1);
        self.checkpoint = (self.plausibility.clone(), self.absent.clone());
        let now = Instant::now();
        let since = self.begun.replace(now).map(|begun| now.saturating_duration_since(begun));
        self.pause = since.unwrap_or_default();
        let polls = since.map_or(0, |since| LATE.as_millis().div_ceil(since.as_millis().max(1)));
        self.order_quorum =
            (1..=GetRegister::MAX).find(|count| orders(*count) >= polls).unwrap_or(1);
    }

    /// Registers to ask for along with too few, so that their order tells: the shortest that the
    /// meter is known to have, else what most meters have.
    pub(super) fn padding(&self, wanted: &[RegisterId]) -> Vec<RegisterId> {
        let common = COMMON.map(RegisterId::new);
        let common = common.into_iter().filter(|register| !self.plausibility.knows(*register));
        let unasked = |register: &RegisterId| {
            !wanted.contains(register) && self.is_absent(*register).is_none()
        };
        let lacking = self.order_quorum.saturating_sub(wanted.len());
        self.plausibility
            .shortest()
            .into_iter()
            .chain(common)
            .filter(unasked)
            .take(lacking)
            .collect()
    }

    /// Whether the order of an answer with these registers, if it follows that of the request, tells
    /// it from all that may be late.
    pub(super) fn order_is_conclusive(&self, registers: &[RegisterId]) -> bool {
        let known = registers.iter().filter(|register| self.plausibility.knows(**register));
        known.count() >= self.order_quorum
    }

    /// Asks for registers in another order than the last time, so that a late answer to an earlier
    /// request for them shows. In every second poll all orders are reversed: a late answer to the poll
    /// before shows as soon as it has two registers, also where that one asked for others along with
    /// them that the meter does not have.
    pub(super) fn command(&mut self, registers: &[RegisterId]) -> Option<GetRegister> {
        let mut set = registers.to_vec();
        set.sort_unstable();
        // Sets of doubtful registers are many; to forget the permutations costs nothing but a chance.
        if self.permutations.len() >= MOST_TURNS {
            self.permutations.clear();
        }
        let is_odd = |number: usize| number % 2 == 1;
        let (next, poll) = self.permutations.get(&set).copied().unwrap_or((0, 0));
        let is_out_of_step = is_odd(next) != (self.polls % 2 == 1);
        let skips = poll != self.polls && is_out_of_step;
        let turn = next.wrapping_add(usize::from(skips));
        let command = GetRegister::new(&permutation(&set, turn)).ok()?;
        self.permutations.insert(set, (turn.wrapping_add(1), self.polls));
        // Alone, a register may turn out to be gone.
        let alone = registers.len() == 1;
        Some(command.expecting(|register| !alone && self.plausibility.knows(register)))
    }

    /// The registers of the info code, if they were not read for a while. While a sensor is broken,
    /// each poll must know.
    pub(super) fn codes_due(&self) -> &'static [RegisterId] {
        if self.diagnosed.is_some_and(|(at, broken)| !broken && at.elapsed() < DIAGNOSIS) {
            return &[];
        }
        condition::registers(&self.identification.identity().models)
    }

    /// Why a register is not asked for.
    pub(super) fn is_absent(&self, register: RegisterId) -> Option<&Missing> {
        let absence = self.absent.get(&register)?;
        (absence.is_certain && absence.since.elapsed() < ABSENCE).then_some(&absence.why)
    }
}

/// Whether the meter is the one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recognition {
    /// It has not told its serial number yet.
    Never,
    /// It told the number that is known.
    At(Instant),
    /// Another one may be there since.
    Uncertain,
}

impl Recognition {
    pub(super) fn now() -> Self {
        Self::At(Instant::now())
    }

    pub(super) fn is_older_than(self, age: Duration) -> bool {
        match self {
            Self::At(at) => at.elapsed() >= age,
            Self::Never | Self::Uncertain => true,
        }
    }
}

/// That the meter answered without a register, or fell silent at it. Once says little: it counts when
/// it happened in two polls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absence {
    pub(super) why: Missing,
    pub(super) since: Instant,
    /// The poll in which it was seen first.
    pub(super) poll: u64,
    pub(super) is_certain: bool,
}

/// In how many orders so many registers can be asked for.
fn orders(count: usize) -> u128 {
    (1..).take(count).product()
}

/// The `turn`th order of some registers; after all orders the first comes again. Each odd one is the
/// one before it in reverse.
pub(super) fn permutation(registers: &[RegisterId], turn: usize) -> Vec<RegisterId> {
    let (mut left, is_reverse) = (turn / 2, turn % 2 == 1);
    let mut order: Vec<RegisterId> = Vec::with_capacity(registers.len());
    for (index, register) in registers.iter().enumerate() {
        // The first two keep their order, or there would be each order and its reverse twice.
        let places = if index < 2 { 1 } else { index.saturating_add(1) };
        let place = left.checked_rem(places).unwrap_or(0);
        left = left.checked_div(places).unwrap_or(0);
        order.insert(order.len().saturating_sub(place), *register);
    }
    if is_reverse {
        order.reverse();
    }
    order
}
