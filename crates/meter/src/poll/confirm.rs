//! Accepts readings, or reads them again if they are doubtful.
//!
//! The checksum accepts one in 65,536 damaged frames. So [`crate::plausibility`] doubts unlikely
//! values, and [`crate::consistency`] doubts values that contradict each other. These values are
//! read again at the end of the poll, and accepted if two readings agree.
//!
//! If a second reading refutes a value, the other values of its answer may be wrong too. They are
//! then read again with it.
//!
//! Some wrong values are not detected, above all damaged gauges (values that rise and fall, such as
//! a temperature): those that keep their format, look likely and contradict no other value. The
//! table in `docs/benchmarks.md` says how many remain.

use std::ops::ControlFlow;

use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tokio::time::Instant;
use tracing::debug;

use super::memory::Memory;
use super::order::CONFIRMATIONS;
use super::outcome::{Doubtful, Polled};
use super::requests::Group;
use super::session::Session;
use crate::client::{Proof, RequestError, Tries};
use crate::condition::is_suspicious;
use crate::consistency::Relation;
use crate::plausibility::{self, Doubt, ReadingQuality};
use crate::reading::{Missing, Reading};

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
        self.doubtful.retain(|earlier| earlier.reading.register != reading.register);
        if let Some(doubt) = memory.plausibility.doubt(&reading, quality) {
            debug!("register {}: {doubt}", reading.register);
            self.doubt(reading, doubt, quality.proof);
        } else {
            memory.plausibility.accept(&reading);
            memory.unproven.remove(&reading.register);
            self.accept(reading, memory.suspended.total());
        }
    }

    /// Adds a reading of the last answer to those that must be read again.
    fn doubt(&mut self, reading: Reading, doubt: Doubt, proof: Proof) {
        let (at, answer) = (Instant::now(), self.answers);
        self.doubtful.push(Doubtful { reading, doubt, at, proof, answer, is_unproven: false });
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
            let mut at_most = usize::MAX;
            while !doubtful.is_empty() {
                let registers: Vec<_> = doubtful.iter().map(|it| it.reading.register).collect();
                let rest = doubtful.split_off(self.memory.fitting(&registers).min(at_most));
                let mut group = std::mem::replace(&mut doubtful, rest);
                match self.confirm_group(&mut group).await {
                    ControlFlow::Continue(()) => {
                        // The line cuts the answer.
                        at_most = if group.is_empty() { at_most } else { group.len() / 2 };
                        group.append(&mut doubtful);
                        doubtful = group;
                    }
                    ControlFlow::Break(()) => {
                        // They are read again over the next connection.
                        self.polled.doubtful.extend(doubtful);
                        return;
                    }
                }
            }
        }
    }

    /// Reads a group of doubtful readings again. Readings stay in the group if the line cuts their
    /// answer. `Break` means that the connection is broken.
    async fn confirm_group(&mut self, group: &mut Vec<Doubtful>) -> ControlFlow<()> {
        let registers: Vec<_> = group.iter().map(|it| it.reading.register).collect();
        let Some(request) = self.memory.request(&registers) else {
            self.polled.doubtful.append(group);
            return ControlFlow::Continue(());
        };
        let result = self.client.request(&request, Tries::Three, self.stop).await;
        self.note_silence();
        let answer = match result {
            Ok(answer) => answer,
            Err(RequestError::Broken(error)) => {
                self.polled.trouble = Some(error.into());
                self.polled.doubtful.append(group);
                return ControlFlow::Break(());
            }
            Err(RequestError::NoAnswer(_)) if registers.len() > 1 && self.is_cut() => {
                return ControlFlow::Continue(());
            }
            Err(_) => Vec::new(),
        };
        let quality = self.quality(answer.len(), registers.len());
        self.polled.answers = self.polled.answers.saturating_add(1);
        for earlier in group.drain(..) {
            self.compare(earlier, &answer, quality);
        }
        self.doubt_refuted();
        ControlFlow::Continue(())
    }

    /// Reads a value again from which the upper digits of another are taken for the first time.
    pub(super) fn doubt_upper_digits(&mut self) {
        if self.polled.trouble.is_some() || self.memory.scan_mode {
            return;
        }
        let wholes = self.memory.high_resolution.untried(&self.polled.readings);
        let is_whole = |reading: &mut Reading| wholes.contains(&reading.register);
        let taken: Vec<_> = self.polled.readings.extract_if(.., is_whole).collect();
        for reading in taken {
            self.polled.doubt(reading, Doubt::UpperDigits, Proof::Certain);
        }
    }

    /// Reads the values again that were in the same answer as a wrong one.
    fn doubt_refuted(&mut self) {
        for (reading, source) in self.polled.take_refuted() {
            debug!("register {}: {}", reading.register, Doubt::SameAnswer);
            self.memory.return_one_to_checkpoint(reading.register);
            self.polled.doubtful.push(source.into_doubtful(reading));
        }
    }

    /// Compares a doubtful reading with the answer to a second request.
    fn compare(&mut self, earlier: Doubtful, answer: &[RegisterValue], quality: ReadingQuality) {
        let again = answer.iter().find(|value| value.register == earlier.reading.register);
        let Some(Ok(again)) = again.map(Reading::try_from) else {
            self.polled.doubtful.push(earlier);
            return;
        };
        let Doubtful { reading: earlier, doubt, at, proof, answer, .. } = earlier;
        let still = self.memory.plausibility.doubt(&again, quality);
        let agrees = plausibility::agree(&earlier, &again, &doubt, at.elapsed());
        let has_fallen = plausibility::has_counter_fallen(&earlier, &again);
        if doubt.is_about_value() && !agrees {
            self.polled.refuted.insert(answer);
        } else if has_fallen {
            self.polled.refuted.extend([answer, self.polled.answers]);
        }
        if has_fallen || still.is_some() && !agrees {
            debug!("register {}: {doubt}, and then {:?}", again.register, again.value);
            self.client.mark_suspect();
            self.polled.doubt(again, doubt, quality.proof);
            return;
        }
        let is_certain = [proof, quality.proof].contains(&Proof::Certain);
        let is_open = [proof, quality.proof].contains(&Proof::Open);
        let is_odd = self.memory.plausibility.doubt_value(&again).is_some();
        if !is_certain && (is_open || is_odd) {
            debug!("register {}: {doubt}, and all its answers may be late", again.register);
            self.polled.doubt(again, doubt, quality.proof);
            self.polled.doubtful.last_mut().into_iter().for_each(|it| it.is_unproven = true);
            return;
        }
        if let Some(doubt) = still.filter(Doubt::is_change) {
            self.polled.changes.push((again.register, doubt));
        }
        self.memory.plausibility.accept_confirmed(&again);
        self.memory.unproven.remove(&again.register);
        self.polled.accept(again, self.memory.suspended.total());
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
