//! Decides whether the meter is still the known one, as far as possible without a request to it.
//! Decides when the meter must be asked for its serial number.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::register::{Kind, RegisterId};
use kmp::value::Value;
use tokio::time::Instant;

use crate::plausibility::Plausibility;
use crate::reading::Reading;

/// How often the serial number is read if a request has room for it.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How often the serial number is read in any case.
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// After such a pause between two polls, a counter may have risen so much that it no longer
/// distinguishes two meters.
const LONG_PAUSE: Duration = Duration::from_secs(30 * 60);

/// How many times in a row register and command may have different serial numbers. If they still
/// differ, the meter's two numbers are different.
const CONTRADICTIONS: u8 = 2;

/// How certain it is that this is the known meter.
#[derive(Debug, Default)]
pub(super) struct Recognition {
    state: State,
    /// The last counters that were published.
    counters: BTreeMap<RegisterId, Reading>,
    /// The time from the start of the previous poll to the start of this one.
    pause: Duration,
    /// How many times register and command had different serial numbers.
    contradictions: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It has not sent its serial number yet.
    #[default]
    Never,
    /// It sent the known number at this time.
    At(Instant),
    /// Another meter may have taken its place.
    Uncertain,
}

impl State {
    fn is_older_than(self, age: Duration) -> bool {
        match self {
            Self::At(at) => at.elapsed() >= age,
            Self::Never | Self::Uncertain => true,
        }
    }
}

impl Recognition {
    pub(super) fn begin_poll(&mut self, since_last: Option<Duration>) {
        self.pause = since_last.unwrap_or_default();
    }

    /// Notes that the meter sent the known serial number.
    pub(super) fn succeeded(&mut self) {
        self.state = State::At(Instant::now());
    }

    /// Notes that the meter has no serial number to compare.
    pub(super) fn set_never(&mut self) {
        self.state = State::Never;
    }

    /// Notes that another meter may have taken its place.
    pub(super) fn lost(&mut self) {
        self.state = State::Uncertain;
    }

    /// Whether another meter may have taken its place.
    pub(super) fn is_uncertain(&self) -> bool {
        self.state == State::Uncertain
    }

    /// Whether the serial number should be read if a request has room for it.
    pub(super) fn is_due(&self) -> bool {
        self.state.is_older_than(INTERVAL)
    }

    /// Whether the serial number must be read in this poll, even if that takes another request. A
    /// counter among these registers distinguishes two meters, so it makes that unnecessary.
    pub(super) fn is_required(
        &self,
        registers: &[RegisterId],
        plausibility: &Plausibility,
    ) -> bool {
        let identifies = |register: &RegisterId| {
            // Each new meter has counters that are zero.
            let last = self.counters.get(register).map(|reading| &reading.value);
            let is_running = matches!(last, Some(Value::Number(number)) if !number.is_zero());
            is_counter(*register) && is_running && plausibility.knows(*register)
        };
        self.state.is_older_than(LONGEST_INTERVAL)
            || self.pause >= LONG_PAUSE
            || !registers.iter().any(identifies)
    }

    /// Remembers the counters among the readings of a poll.
    pub(super) fn remember_counters(&mut self, readings: &[Reading]) {
        let counters = readings.iter().filter(|reading| is_counter(reading.register));
        self.counters.extend(counters.map(|reading| (reading.register, reading.clone())));
    }

    /// The last counters of the known meter.
    pub(super) fn last_counters(&self) -> Vec<Reading> {
        self.counters.values().cloned().collect()
    }

    /// Notes that register and command have different serial numbers. Returns whether this may be an
    /// error: answers of two meters, or a damaged one.
    pub(super) fn may_be_mistaken(&mut self) -> bool {
        let may_be = self.contradictions < CONTRADICTIONS;
        self.contradictions = self.contradictions.saturating_add(u8::from(may_be));
        may_be
    }
}

/// Whether a register counts up.
pub(super) fn is_counter(register: RegisterId) -> bool {
    register.info().is_some_and(|info| info.kind == Kind::Counter)
}
