//! The result of a poll for the rest of the program.

use std::time::Duration;

use kmp::register::RegisterId;

use super::explanation::{Explanation, Suspect};
use super::memory::Memory;
use super::outcome::{PollError, Polled};
use crate::client::Traffic;
use crate::condition::Condition;
use crate::identity::{Exchange, Identity};
use crate::reading::{Missing, Reading};

/// The result of a poll. Each register of the plan that was due is in exactly one of the two lists. A
/// register that changes slowly and was not due is in neither, unless the meter has no value for it:
/// then it stays among the missing ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollResult {
    /// The readings, in no particular order.
    pub readings: Vec<Reading>,
    /// The registers that have no reading, and why.
    pub missing: Vec<(RegisterId, Missing)>,
    /// The identity of the meter, as far as it is known.
    pub identity: Identity,
    /// Whether it is known which serial number the meter has, or that it sends none. Otherwise the
    /// readings must not be stored with those of the previous meter.
    pub is_recognized: bool,
    /// Another meter has taken the place of the known one since the poll before.
    pub exchange: Option<Exchange>,
    /// The faults that the meter reports, if its info code was read.
    pub condition: Option<Condition>,
    /// What went wrong, and what to do about it.
    pub trouble: Option<Explanation>,
    /// Where the cause of the trouble may be.
    pub suspect: Option<Suspect>,
    /// The time from opening the port to the last byte.
    pub took: Duration,
    /// The traffic on the line since the previous poll, including this one.
    pub traffic: Traffic,
    /// What of it was before this poll: that of the placement aid, of scans and of readings of logs.
    pub before: Traffic,
}

impl PollResult {
    pub(super) fn new(
        polled: Polled,
        trouble: Option<Explanation>,
        took: Duration,
        memory: &mut Memory,
    ) -> Self {
        let suspect = polled.trouble.as_ref().map(PollError::suspect);
        let Polled { readings, missing, exchange, condition, .. } = polled;
        let (traffic, before) = memory.line.take_traffic();
        Self {
            readings,
            missing,
            identity: memory.identification.identity(),
            is_recognized: memory.identification.is_settled(),
            exchange,
            condition,
            trouble,
            suspect,
            took,
            traffic,
            before,
        }
    }
}
