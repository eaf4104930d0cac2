//! What is written: values of a meter.

use rust_decimal::Decimal;

/// The meter that readings belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterKey {
    name: String,
    serial: Option<u32>,
}

impl MeterKey {
    /// A meter has a configured name, which is empty for a single meter without one, and a serial
    /// number. Another serial number is another meter, whose counters are independent. To read
    /// without a serial number is to read the meter of that name that was written last.
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
    /// Its name.
    pub parameter: String,
    /// The number, digit by digit as it was published.
    pub value: Decimal,
    /// The unit as it was published. Values in another unit are another series.
    pub unit: Option<String>,
    /// Whether it counts up, so that its differences are a consumption.
    pub is_counter: bool,
}

/// A value with readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub parameter: String,
    /// Its last unit.
    pub unit: Option<String>,
    /// Whether it counts up.
    pub is_counter: bool,
}
