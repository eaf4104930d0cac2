//! The values that are written, and the meter that they belong to.

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
