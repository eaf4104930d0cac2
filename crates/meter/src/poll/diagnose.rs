//! Reads the info code, and withholds the readings that a fault makes invalid.
//!
//! The info code is read once an hour, and in each poll while a sensor is broken. It is also read
//! immediately after a suspicious reading: a temperature of 0.00 or 185.00 °C, or a difference of
//! 0.00 K.

use kmp::register::RegisterId;

use super::memory::Memory;
use super::outcome::Polled;
use super::requests::Group;
use super::session::Session;
use crate::condition::{self, Condition, is_suspicious};
use crate::reading::{Missing, Reading};

impl Session<'_> {
    /// Reads the info code if a value looks like that of a broken sensor, then the registers that show
    /// whether one is broken.
    pub(super) async fn diagnose(&mut self) {
        self.memory.learn_identity(&self.polled.readings);
        let readings = &self.polled.readings;
        let has_suspicious = readings.iter().any(|reading| is_suspicious(reading, readings));
        let codes = unread_codes(self.polled, self.memory);
        if has_suspicious {
            self.read_additional(&codes).await;
        }
        let identity = self.memory.identification.identity();
        let condition = Condition::of(&self.polled.readings, &identity);
        let mut evidence = condition.map_or_else(Vec::new, |it| it.evidence(&self.polled.readings));
        evidence.retain(|register| {
            !self.polled.is_doubtful(*register) && self.memory.absences.reason(*register).is_none()
        });
        self.read_additional(&evidence).await;
    }

    async fn read_additional(&mut self, registers: &[RegisterId]) {
        if registers.is_empty() || self.polled.trouble.is_some() {
            return;
        }
        self.requests.push_back(Group::whole(registers));
        self.read_all().await;
        self.confirm().await;
    }
}

/// The registers of the info code that the meter has, but that this poll did not read.
fn unread_codes(polled: &Polled, memory: &Memory) -> Vec<RegisterId> {
    let is_read = |code: RegisterId| {
        polled.is_doubtful(code) || polled.readings.iter().any(|reading| reading.register == code)
    };
    let has_no_value = |code: RegisterId| {
        let mut missing = polled.missing.iter().filter(|(register, _)| *register == code);
        missing.any(|(_, why)| matches!(why, Missing::NoValue(_)))
    };
    let models = memory.identification.identity().models;
    let mut codes = condition::registers(&models).to_vec();
    codes.retain(|code| {
        !is_read(*code) && !has_no_value(*code) && memory.absences.reason(*code).is_none()
    });
    codes
}

/// Moves the readings that a reported fault spoils to the missing ones.
pub(super) fn withhold_spoilt(polled: &mut Polled, memory: &mut Memory) {
    let identity = memory.identification.identity();
    polled.condition = Condition::of(&polled.readings, &identity);
    if let Some(condition) = &polled.condition {
        memory.note_condition(condition);
    }
    // The meter has a code that was not read, which might have reported a fault.
    let is_code_unread = !unread_codes(polled, memory).is_empty();
    let readings = &polled.readings;
    let spoilt = polled.condition.as_ref().map_or_else(Vec::new, |it| it.spoilt(readings));
    let mut withheld: Vec<(RegisterId, Missing)> =
        spoilt.into_iter().map(|(register, why)| (register, Missing::Fault(why))).collect();
    if is_code_unread {
        let suspicious = readings.iter().filter(|reading| is_suspicious(reading, readings));
        withheld.extend(suspicious.map(|reading| (reading.register, Missing::NoAnswer)));
    }
    for (register, why) in withheld {
        let is_it = |reading: &Reading| reading.register == register;
        if polled.readings.iter().any(is_it) {
            polled.readings.retain(|reading| !is_it(reading));
            polled.missing.push((register, why));
        }
    }
}
