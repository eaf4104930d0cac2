//! The values that are written, and the meter that they belong to.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;

/// The meter that readings belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterKey {
    name: String,
    serial: Option<u32>,
}

impl MeterKey {
    /// A meter has a configured name, which is empty for a single meter without one, and a serial
    /// number. Another serial number is another meter, with independent counters. Reading without a
    /// serial number reads the meter of that name that was written last.
    #[must_use]
    pub fn new(name: &str, serial: Option<u32>) -> Self {
        Self { name: name.to_owned(), serial }
    }

    /// The configured name; empty for a single meter without one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn serial(&self) -> Option<String> {
        self.serial.map(|serial| serial.to_string())
    }
}

/// A value of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name of the value.
    pub parameter: String,
    /// The number, with the digits that were published.
    pub value: Decimal,
    /// The published unit. Values in another unit are another series.
    pub unit: Option<String>,
    /// Whether the value counts up, so that differences are a consumption.
    pub is_counter: bool,
}

/// A value with readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The name of the value.
    pub parameter: String,
    /// The last unit.
    pub unit: Option<String>,
    /// Whether the value counts up.
    pub is_counter: bool,
}

/// What some polls of a meter cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of polls.
    pub polls: u64,
    /// The bytes that were sent to the meter.
    pub sent: u64,
    /// The bytes that were received.
    pub received: u64,
    /// How long the meter was kept awake. Microseconds are stored.
    pub awake: Duration,
}

impl Usage {
    /// The sum of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            polls: self.polls.saturating_add(other.polls),
            sent: self.sent.saturating_add(other.sent),
            received: self.received.saturating_add(other.received),
            awake: self.awake.saturating_add(other.awake),
        }
    }
}

/// What the polls of one kind cost on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// The local day.
    pub date: Date,
    /// The kind, as the caller of [`crate::History::note_poll`] has numbered it.
    pub kind: i64,
    /// The time of the first of these polls.
    pub since: Timestamp,
    /// Their cost.
    pub usage: Usage,
}

/// What is stored about the cost of a meter's polls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageRecord {
    /// Each kind of each day, oldest first: the last 45 days that have polls.
    pub days: Vec<DayUsage>,
    /// Whether another meter had this name before.
    pub has_predecessor: bool,
    /// Whether it is in a file, so that it survives a restart.
    pub is_kept: bool,
}
