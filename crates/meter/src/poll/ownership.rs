//! Decides which meter the readings of a poll belong to. As far as possible, it decides without a
//! request to the meter.

use kmp::message::SerialNumber;

use super::memory::Memory;
use super::outcome::{PollError, Polled};
use crate::identity::{Exchange, SERIAL, serial_number};
use crate::reading::{Missing, Reading};

/// Which meter the readings of a poll belong to.
#[derive(Debug)]
pub(super) enum Ownership {
    /// The known meter, or nothing is known that could be compared.
    Known,
    /// Another meter.
    Other(Exchange),
    /// This is not certain.
    Unknown,
}

/// Whether the readings certainly belong to the known meter. Otherwise the meter must be asked.
pub(super) fn is_certainly_known(polled: &mut Polled, memory: &mut Memory) -> bool {
    let known = memory.identification.serials().register();
    let is_foreign = |reading: &Reading| {
        reading.register == SERIAL && known.is_some() && serial_number(&reading.value) != known
    };
    polled.suspect |=
        polled.has_changes() || polled.doubtful.iter().any(|it| is_foreign(&it.reading));
    if polled.readings.is_empty() && polled.doubtful.is_empty() {
        // The meter may have sent another serial number, and can be asked for it.
        let can_be_asked = polled.suspect && polled.trouble.is_none();
        if !can_be_asked {
            return true;
        }
    }
    if known.is_none() {
        // Earlier findings may be another meter's.
        if memory.recognition.is_uncertain() || polled.has_changes() {
            memory.forget_identity();
        }
        memory.recognition.set_never();
        return true;
    }
    let along = polled.serial();
    // A serial number that was read before a silence says nothing about the answers after it.
    let before = polled.before_silence.as_ref();
    let is_valid = before.is_none_or(|registers| !registers.contains(&SERIAL));
    if along == known && is_valid {
        memory.recognition.succeeded();
        return true;
    }
    along.is_none() && !polled.suspect && !memory.must_recognize(&polled.read_registers())
}

impl Polled {
    /// The serial number that was read together with the values.
    pub(super) fn serial(&self) -> Option<SerialNumber> {
        let along = self.readings.iter().find(|reading| reading.register == SERIAL)?;
        serial_number(&along.value)
    }

    /// Moves the readings that may be another meter's to the missing ones.
    pub(super) fn withhold_foreign(&mut self, memory: &mut Memory) {
        // Another meter's values must be forgotten.
        memory.return_to_checkpoint();
        // The readings before the meter fell silent belong to the known meter, unless there is another
        // reason for doubt.
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
        let doubtful = self.doubtful.drain(..).map(|it| it.reading);
        let foreign = foreign.into_iter().chain(doubtful);
        self.missing.extend(foreign.map(|reading| (reading.register, Missing::OtherMeter)));
        self.trouble.get_or_insert(PollError::Unrecognized);
    }

    /// Whether a change of a value suggests another meter.
    fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.doubtful.iter().any(|it| it.doubt.is_change())
    }
}
