//! Accepts readings, or reads them again if they are doubtful.
//!
//! The checksum accepts one in 65,536 damaged frames. So [`crate::plausibility`] doubts unlikely
//! values, and [`crate::consistency`] doubts values that contradict each other. These values are
//! read again at the end of the poll, and accepted if two readings agree.
//!
//! One kind of wrong value is not detected: a damaged gauge (a value that rises and falls, such as
//! a temperature) that keeps its format, looks likely and is not contradicted by other values.

use std::ops::ControlFlow;

use kmp::message::GetRegister;
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tracing::debug;

use super::memory::Memory;
use super::outcome::Polled;
use super::requests::Group;
use super::session::Session;
use crate::client::{RequestError, Tries};
use crate::condition::is_suspicious;
use crate::consistency::Relation;
use crate::plausibility::{self, Doubt, ReadingQuality};
use crate::reading::{Missing, Reading};

/// How many times a doubtful reading is read again.
pub(super) const CONFIRMATIONS: u32 = 2;

impl Polled {
    /// Accepts a reading, or adds it to those that must be read again.
    pub(super) fn accept_or_doubt(
        &mut self,
        reading: Reading,
        quality: ReadingQuality,
        memory: &mut Memory,
    ) {
        memory.absences.remove(reading.register);
        self.readings.retain(|earlier| earlier.register != reading.register);
        // The next reading must agree with the last one.
        self.doubtful.retain(|(earlier, _)| earlier.register != reading.register);
        if let Some(doubt) = memory.plausibility.doubt(&reading, quality) {
            debug!("register {}: {doubt}", reading.register);
            self.doubtful.push((reading, doubt));
        } else {
            memory.plausibility.accept(&reading);
            self.readings.push(reading);
        }
    }
}

impl Session<'_> {
    /// Reads doubtful readings again, and accepts them if two readings agree.
    pub(super) async fn confirm(&mut self) {
        if self.polled.trouble.is_some() {
            return;
        }
        for _ in 0..CONFIRMATIONS {
            let mut doubtful = std::mem::take(&mut self.polled.doubtful);
            while !doubtful.is_empty() {
                let rest = doubtful.split_off(doubtful.len().min(GetRegister::MAX));
                let group = std::mem::replace(&mut doubtful, rest);
                if self.confirm_group(group).await.is_break() {
                    // They are read again over the next connection.
                    self.polled.doubtful.extend(doubtful);
                    return;
                }
            }
        }
    }

    /// Reads a group of doubtful readings again. `Break` means that the connection is broken.
    async fn confirm_group(&mut self, group: Vec<(Reading, Doubt)>) -> ControlFlow<()> {
        let registers: Vec<_> = group.iter().map(|(reading, _)| reading.register).collect();
        let Some(request) = self.memory.request(&registers) else {
            self.polled.doubtful.extend(group);
            return ControlFlow::Continue(());
        };
        let result = self.client.request(&request, Tries::Three, self.stop).await;
        self.note_silence();
        let answer = match result {
            Ok(answer) => answer,
            Err(RequestError::Broken(error)) => {
                self.polled.trouble = Some(error.into());
                self.polled.doubtful.extend(group);
                return ControlFlow::Break(());
            }
            Err(_) => Vec::new(),
        };
        let quality = self.quality(&registers);
        for (earlier, doubt) in group {
            self.compare(earlier, doubt, &answer, quality);
        }
        ControlFlow::Continue(())
    }

    /// Compares a doubtful reading with the answer to a second request.
    fn compare(
        &mut self,
        earlier: Reading,
        doubt: Doubt,
        answer: &[RegisterValue],
        quality: ReadingQuality,
    ) {
        let again = answer.iter().find(|value| value.register == earlier.register);
        let Some(Ok(again)) = again.map(Reading::try_from) else {
            self.polled.doubtful.push((earlier, doubt));
            return;
        };
        let still = self.memory.plausibility.doubt(&again, quality);
        if still.is_some() && !plausibility::agree(&earlier, &again, &doubt) {
            debug!("register {}: {doubt}, and then {:?}", again.register, again.value);
            self.client.mark_suspect();
            self.polled.doubtful.push((again, doubt));
            return;
        }
        if let Some(doubt) = still.filter(Doubt::is_change) {
            self.polled.changes.push((again.register, doubt));
        }
        self.memory.plausibility.accept_confirmed(&again);
        self.polled.readings.push(again);
    }

    /// Reads readings that contradict each other again, and accepts them if they are the same
    /// again.
    pub(super) async fn reconcile(&mut self) {
        for _ in 0..CONFIRMATIONS {
            self.memory.consistency.update(&self.polled.readings);
            let contradicted = self.memory.consistency.contradicted(&self.polled.readings);
            if contradicted.is_empty() || self.polled.trouble.is_some() {
                return;
            }
            let mut registers: Vec<RegisterId> =
                contradicted.iter().flat_map(|relation| relation.registers()).collect();
            registers.sort_unstable();
            registers.dedup();
            debug!("registers {registers:?} contradict each other");
            let (earlier, others): (Vec<Reading>, Vec<Reading>) =
                std::mem::take(&mut self.polled.readings)
                    .into_iter()
                    .partition(|reading| registers.contains(&reading.register));
            self.polled.readings = others;
            self.requests.push_front(Group { is_repeated: true, ..Group::whole(&registers) });
            self.read_all().await;
            self.confirm().await;
            self.accept_repeated_contradictions(&earlier);
        }
        for relation in self.memory.consistency.contradicted(&self.polled.readings) {
            let registers = relation.registers();
            self.polled.readings.retain(|reading| !registers.contains(&reading.register));
            let doubtful = registers.map(|register| (register, Missing::Doubtful));
            self.polled.missing.extend(doubtful);
        }
    }

    /// Accepts the contradictions that were the same in earlier readings.
    fn accept_repeated_contradictions(&mut self, earlier: &[Reading]) {
        let Polled { readings, contradictions, .. } = &mut *self.polled;
        for relation in self.memory.consistency.contradicted(readings) {
            // Flow and power are averages over different times, so one may lag behind.
            if relation == Relation::Power {
                self.memory.consistency.accept(relation);
                debug!("registers {:?} {relation}", relation.registers());
            } else if relation.is_as_before(earlier, readings) {
                self.memory.consistency.accept(relation);
                // The values of a broken sensor always contradict others. The info code reports it.
                if !readings.iter().any(|reading| is_suspicious(reading, readings)) {
                    contradictions.push(relation);
                }
            }
        }
    }
}
