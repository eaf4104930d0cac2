//! What the meter showed.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::hour::Hour;

/// What one counter of one meter showed at full hours, since it last fell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counter {
    /// By the hour that ended then.
    at_end: BTreeMap<Hour, Decimal>,
}

impl Counter {
    /// Takes readings, each with the hour that *began* when it was made. They must be of the same
    /// meter, in the unit of Home Assistant's statistics. Of two readings at the same time, the last
    /// counts. Readings before a fall are left out.
    pub fn new(readings: impl IntoIterator<Item = (Hour, Decimal)>) -> Self {
        let readings = readings.into_iter().map(|(hour, value)| (hour.previous(), value));
        let mut at_end: BTreeMap<Hour, Decimal> = readings.collect();
        let later = at_end.iter().skip(1);
        let mut fell = at_end.iter().zip(later).filter(|((_, before), (_, after))| after < before);
        let last = fell.next_back().map(|(_, (hour, _))| *hour);
        if let Some(hour) = last {
            at_end = at_end.split_off(&hour);
        }
        Self { at_end }
    }

    /// What it showed at the end of this hour.
    #[must_use]
    pub fn at_end_of(&self, hour: Hour) -> Option<Decimal> {
        self.at_end.get(&hour).copied()
    }

    /// The hours at whose end it was read, before `end`, oldest first.
    pub(crate) fn before(&self, end: Hour) -> impl Iterator<Item = (Hour, Decimal)> {
        self.at_end.range(..end).map(|(hour, value)| (*hour, *value))
    }

    /// Whether it is known that it did not fall since the end of this hour.
    pub(crate) fn reaches_back_to(&self, hour: Hour) -> bool {
        self.at_end.first_key_value().is_some_and(|(first, _)| *first <= hour)
    }
}
