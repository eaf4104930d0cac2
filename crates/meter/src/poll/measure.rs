//! Finds the longest answer that the line carries, if long answers are lost or damaged as a whole.
//!
//! The sign of that is a request that fails although each of its registers is answered in smaller
//! requests. It may also have failed by chance, so it is made once more. If it fails again, requests
//! of lengths in between show the limit.

use kmp::message::GetSerialNo;
use kmp::register::RegisterId;
use kmp::value::RegisterValue;

use super::memory::{AROUND, escaped_length};
use super::requests;
use super::session::Session;
use crate::client::{RequestError, Tries};

/// The request itself, and halves of what is left of its eight registers.
const TRIALS: u32 = 4;

impl Session<'_> {
    /// Looks for the limit if a request has failed whose registers were all read since then. Returns
    /// whether the connection is still open.
    pub(super) async fn measure_line(&mut self) -> bool {
        let Some(whole) = self.polled.line.failed_whole.take() else { return true };
        let is_read = |register: &RegisterId| {
            self.polled.is_doubtful(*register)
                || self.polled.readings.iter().any(|reading| reading.register == *register)
        };
        if self.polled.trouble.is_some() || !whole.iter().all(is_read) {
            return true;
        }
        // How many of its registers are answered together, and how many are not.
        let (mut carried, mut lost) = (0, whole.len().saturating_add(1));
        let mut tried = whole.len();
        for _ in 0..TRIALS {
            match self.is_carried(whole.get(..tried).unwrap_or(&whole)).await {
                Some(true) => carried = tried,
                Some(false) => lost = tried,
                None => return false,
            }
            // A long answer that is late is not lost.
            if self.client.has_late_answers() {
                return true;
            }
            if self.is_cut() {
                return true;
            }
            if lost.saturating_sub(carried) <= 1 {
                break;
            }
            tried = carried.midpoint(lost);
        }
        if carried > 0 && carried < whole.len() {
            let longest = whole.get(..carried).unwrap_or_default();
            let shortest_lost = whole.get(..lost).unwrap_or(&whole);
            let [bytes, lost] =
                [longest, shortest_lost].map(|registers| self.memory.answer_length(registers));
            // An answer that was late, or was one to another request, has arrived whole too.
            if self.client.longest_whole() < lost {
                self.memory.line.capacity.note_longest(bytes, lost);
            }
        }
        true
    }

    /// Notes the length of an answer that has arrived.
    pub(super) fn note_arrived(&mut self, answer: &[RegisterValue]) {
        let values = answer.iter().map(|value| escaped_length(&value.to_bytes()));
        self.note_carried(values.fold(AROUND, usize::saturating_add));
    }

    /// Notes that the line has carried an answer of this length.
    fn note_carried(&mut self, bytes: usize) {
        let capacity = &mut self.memory.line.capacity;
        if capacity.note_arrived(bytes) {
            self.client.expect_cut(capacity.cut());
            self.memory.absences.forget_too_long();
        }
    }

    /// Notes the longest answer that has arrived whole, even if it was discarded: long answers that
    /// are only late look like a line that carries only short ones.
    pub(super) fn note_whole(&mut self) {
        if self.memory.line.capacity.is_limited() {
            self.note_carried(self.client.longest_whole());
        }
    }

    /// Tries the longest answer of the next polls, if none was as long so far. The first poll also
    /// asks for other registers, so that its requests are divided in another way.
    pub(super) async fn rehearse(&mut self, registers: &[RegisterId]) {
        let is_complete = self.requests.is_empty() && self.polled.doubtful.is_empty();
        if !self.memory.line.is_repeated || !is_complete || self.polled.trouble.is_some() {
            return;
        }
        let Some(longest) = requests::longest(registers, self.memory) else { return };
        let bytes = self.memory.answer_length(&longest);
        if !self.memory.line.capacity.is_untried(bytes) {
            return;
        }
        let Some(request) = self.memory.request(&longest) else { return };
        match self.client.request(&request, Tries::Two, self.stop).await {
            Ok(answer) => {
                self.note_arrived(&answer);
                self.memory.line.capacity.note_arrived(bytes);
            }
            Err(RequestError::NoAnswer(_)) => {
                if !self.is_cut() {
                    self.polled.line.failed_whole = Some(longest);
                    self.measure_line().await;
                }
                self.settle_silence().await;
            }
            Err(_) => {}
        }
    }

    /// Asks who answers after a measurement. If it is the known meter, the silences were the line's.
    /// Otherwise the next poll finds out who it is.
    async fn settle_silence(&mut self) {
        let answer = self.client.request(&GetSerialNo, Tries::One, self.stop).await;
        if answer.is_ok_and(|serial| self.memory.is_own(serial)) {
            self.client.take_silence();
        }
    }

    /// Whether the answer to a request for these registers arrives. Its values are known already.
    /// `None` if the connection is broken or the program stops.
    async fn is_carried(&mut self, registers: &[RegisterId]) -> Option<bool> {
        let request = self.memory.request(registers)?;
        match self.client.request(&request, Tries::One, self.stop).await {
            Ok(_) => Some(true),
            Err(RequestError::NoAnswer(_)) => Some(false),
            Err(error) => {
                self.note_failure(error);
                None
            }
        }
    }
}
