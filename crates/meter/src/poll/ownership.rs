//! Whose the readings of a poll are, as far as it can be said without asking the meter.

use kmp::message::SerialNumber;

use super::memory::Memory;
use super::outcome::{PollError, Polled};
use crate::identity::{Exchange, SERIAL, serial_number};
use crate::reading::{Missing, Reading};

/// Whose the readings of a poll are.
#[derive(Debug)]
pub(super) enum Ownership {
    /// The known meter's, or nothing is known of it that could be compared.
    Known,
    /// Another meter's.
    Other(Exchange),
    /// It is not certain.
    Unknown,
}

/// Whether the readings are certain to be the known meter's. Otherwise the meter must be asked.
pub(super) fn is_certainly_known(polled: &mut Polled, memory: &mut Memory) -> bool {
    let known = memory.identification.serials().register();
    let is_foreign = |reading: &Reading| {
        reading.register == SERIAL && known.is_some() && serial_number(&reading.value) != known
    };
    polled.suspect |=
        polled.has_changes() || polled.doubtful.iter().any(|(reading, _)| is_foreign(reading));
    if polled.readings.is_empty() && polled.doubtful.is_empty() {
        // The meter may have given another serial number, and can be asked for it.
        let can_be_asked = polled.suspect && polled.trouble.is_none();
        if !can_be_asked {
            return true;
        }
    }
    if known.is_none() {
        // What was found out before may be another meter's.
        if memory.recognition.is_uncertain() || polled.has_changes() {
            memory.forget_identity();
        }
        memory.recognition.set_never();
        return true;
    }
    let along = polled.serial();
    // A serial number that was read before a silence says nothing of the answers after it.
    let before = polled.before_silence.as_ref();
    let is_valid = before.is_none_or(|registers| !registers.contains(&SERIAL));
    if along == known && is_valid {
        memory.recognition.succeeded();
        return true;
    }
    along.is_none() && !polled.suspect && !memory.must_recognize(&polled.read_registers())
}

impl Polled {
    /// The serial number that was read along with the values.
    pub(super) fn serial(&self) -> Option<SerialNumber> {
        let along = self.readings.iter().find(|reading| reading.register == SERIAL)?;
        serial_number(&along.value)
    }

    /// Moves the readings that may be another meter's to the missing ones.
    pub(super) fn withhold_foreign(&mut self, memory: &mut Memory) {
        // Another meter's values must leave nothing behind.
        memory.return_to_checkpoint();
        // What was read before the meter fell silent is the known one's, if nothing else speaks
        // against it.
        let before = self.before_silence.take();
        let is_certain =
            !memory.recognition.is_uncertain() && !self.has_changes() && self.exchange.is_none();
        let certain = before.filter(|_| is_certain).unwrap_or_default();
        memory.recognition.lost();
        let (kept, foreign): (Vec<_>, Vec<_>) = std::mem::take(&mut self.readings)
            .into_iter()
            .partition(|reading| certain.contains(&reading.register));
        for reading in &kept {
            memory.plausibility.accept(reading);
        }
        self.readings = kept;
        self.changes.clear();
        let doubtful = self.doubtful.drain(..).map(|(reading, _)| reading);
        let foreign = foreign.into_iter().chain(doubtful);
        self.missing.extend(foreign.map(|reading| (reading.register, Missing::OtherMeter)));
        self.trouble.get_or_insert(PollError::Unrecognized);
    }

    /// Whether something happened to a value, or seems to have: it may be another meter's.
    fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.doubtful.iter().any(|(_, doubt)| doubt.is_change())
    }
}
