//! Decides which registers a poll reads: each as often as its value changes.
//!
//! Most values of a meter change rarely, such as the highest power of the year. Each reading costs
//! the meter's battery, so registers whose pace is [`Pace::Slow`] are read only once in each slow
//! interval. All others are read in each poll.
//!
//! Slow intervals are steps of the local clock, so it does not matter when the program started. A
//! slow register is due in the last poll before the end of each step. So the last reading of a month
//! is at most one poll interval older than the month, and Home Assistant files it under the hour to
//! which it belongs. A slow register is also due:
//!
//! - in the first poll, also of another task or of another meter at the same port;
//! - in a poll that somebody has requested;
//! - after a poll that requested it without success;
//! - if the step is longer than the interval, as in the night when summer time ends.
//!
//! Slow registers that are due are distributed over the requests like others. So they fill the
//! places that are free in the requests of that poll before they need further ones.
//!
//! No slow register is read earlier because a request has a free place. Wherever it is read, a
//! register takes 2 bytes in the request, and 5 bytes and its mantissa of 2 to 4 bytes in the
//! answer. The bytes around request and answer are 13, less than 2 for each of eight registers. That
//! is all that could be saved, and the values of an hour would be of different times.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::register::{Pace, RegisterId};
use tokio::time::Instant;

use super::outcome::Polled;
use crate::reading::Missing;

/// How often the registers of a meter are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paces {
    poll: Duration,
    /// `None` if each poll reads all registers.
    slow: Option<Duration>,
}

impl Paces {
    /// The paces of a meter with these registers. Without a slow interval, or with one that is not
    /// longer than that of polls, each poll reads all of them. So does each poll of a meter that
    /// is read only for slow registers: then the user has chosen the poll interval for them.
    #[must_use]
    pub fn new(poll: Duration, slow: Option<Duration>, registers: &[RegisterId]) -> Self {
        let is_slow = |register: &RegisterId| register.pace() == Pace::Slow;
        let slow = slow.filter(|slow| *slow > poll && !registers.iter().all(is_slow));
        Self { poll, slow }
    }

    /// The slow interval, if it makes a difference for one of these registers.
    #[must_use]
    pub fn slow_for(&self, registers: &[RegisterId]) -> Option<Duration> {
        let is_slow = |register: &RegisterId| register.pace() == Pace::Slow;
        self.slow.filter(|_| registers.iter().any(is_slow))
    }

    /// The time from one reading of a register to the next if all polls succeed. A slow register is
    /// read at one poll of each slow interval, so this is a multiple of the poll interval.
    #[must_use]
    pub fn of(&self, register: RegisterId) -> Duration {
        let Some(slow) = self.slow.filter(|_| register.pace() == Pace::Slow) else {
            return self.poll;
        };
        let polls = slow.as_nanos().div_ceil(self.poll.as_nanos().max(1));
        self.poll.saturating_mul(u32::try_from(polls).unwrap_or(u32::MAX))
    }
}

/// The number of a slow interval, by the local clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step(pub(super) i128);

/// When a poll is made, and for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) step: Step,
    /// Whether all registers are read, because somebody has requested the poll.
    pub(super) is_full: bool,
    /// Whether registers are requested too that the meter did not have.
    pub(super) is_requested: bool,
}

impl Round {
    /// A poll on demand.
    pub(super) const FULL: Self = Self { step: Step(0), is_full: true, is_requested: false };
}

/// When each slow register was last requested with success.
#[derive(Debug, Clone, Default)]
pub(super) struct SlowReadings(BTreeMap<RegisterId, SlowReading>);

#[derive(Debug, Clone)]
struct SlowReading {
    step: Step,
    at: Instant,
    /// Why it has no value although the meter has sent it.
    missing: Option<Missing>,
}

impl SlowReadings {
    /// The registers to read in a poll.
    pub(super) fn due(
        &self,
        registers: &[RegisterId],
        paces: &Paces,
        round: Round,
    ) -> Vec<RegisterId> {
        let Some(slow) = paces.slow.filter(|_| !round.is_full) else {
            return registers.to_vec();
        };
        let is_due = |register: &RegisterId| {
            let read = self.0.get(register).filter(|_| register.pace() == Pace::Slow);
            read.is_none_or(|read| read.step != round.step || read.at.elapsed() >= slow)
        };
        registers.iter().copied().filter(is_due).collect()
    }

    /// The registers that are not due and have no value, although the meter has sent them.
    pub(super) fn without_value(&self, due: &[RegisterId]) -> Vec<(RegisterId, Missing)> {
        let others = self.0.iter().filter(|(register, _)| !due.contains(register));
        others.filter_map(|(register, read)| Some((*register, read.missing.clone()?))).collect()
    }

    /// Notes what a poll has read of the registers that were due.
    pub(super) fn note(&mut self, polled: &Polled, due: &[RegisterId], step: Step) {
        let at = Instant::now();
        for register in due.iter().filter(|register| register.pace() == Pace::Slow) {
            let missing = polled.missing.iter().find(|(missing, _)| missing == register);
            let is_read = polled.readings.iter().any(|reading| reading.register == *register);
            let read = match missing.map(|(_, why)| why) {
                Some(why @ (Missing::NoValue(_) | Missing::Fault(_))) => Some(Some(why.clone())),
                _ if is_read => Some(None),
                _ => None,
            };
            match read {
                Some(missing) => self.0.insert(*register, SlowReading { step, at, missing }),
                None => self.0.remove(register),
            };
        }
    }
}
