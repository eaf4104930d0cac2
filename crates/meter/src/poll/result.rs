//! What a poll gives to the program.

use std::time::Duration;

use kmp::register::RegisterId;

use super::explanation::Explanation;
use super::memory::Memory;
use super::outcome::Polled;
use crate::client::Traffic;
use crate::condition::Condition;
use crate::identity::{Exchange, Identity};
use crate::reading::{Missing, Reading};

/// One poll's outcome. Each register of the plan is in exactly one of the two lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollResult {
    /// What was read, in no particular order.
    pub readings: Vec<Reading>,
    /// What was not read, and why.
    pub missing: Vec<(RegisterId, Missing)>,
    /// Which meter this is, as far as it is known.
    pub identity: Identity,
    /// Whether it is known whose readings these are, or that the meter has no serial number. Other
    /// readings belong to nobody, and must not be kept with those of the meter that was there
    /// before.
    pub is_recognized: bool,
    /// Another meter has taken the place of the known one since the poll before.
    pub exchange: Option<Exchange>,
    /// The faults that the meter reports, where it was asked.
    pub condition: Option<Condition>,
    /// What went wrong, and what to do about it.
    pub trouble: Option<Explanation>,
    /// From opening the port to the last byte.
    pub took: Duration,
    /// What was on the line during this poll and since the poll before.
    pub traffic: Traffic,
}

impl PollResult {
    pub(super) fn new(
        polled: Polled,
        trouble: Option<Explanation>,
        took: Duration,
        memory: &mut Memory,
    ) -> Self {
        let Polled { readings, missing, exchange, condition, .. } = polled;
        Self {
            readings,
            missing,
            identity: memory.identification.identity(),
            is_recognized: memory.identification.is_settled(),
            exchange,
            condition,
            trouble,
            took,
            traffic: memory.line.take_traffic(),
        }
    }
}
