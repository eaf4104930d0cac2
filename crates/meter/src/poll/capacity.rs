//! How long an answer may be that the line carries.
//!
//! Some serial servers drop what does not fit into their buffer, and with weak light the end of a
//! long answer may be lost. Then shorter answers arrive and longer ones do not. The limit is
//! remembered between polls, so that each poll makes the few requests that work.
//!
//! - An answer that breaks off twice at the same place shows the limit itself.
//! - Long answers may also be lost as a whole, or be damaged. Then [`super::measure`] finds the
//!   longest that arrives.
//!
//! After a day, one longer answer is requested again. The limit is also corrected if a longer answer
//! arrives: a register that is requested alone may be longer than the limit, and a late answer shows
//! that it was not lost. The limit is forgotten if another meter answers, and if the meter's settings
//! change.
//!
//! Answers that are late or silent by chance look like lost ones. Requests of a single register would
//! then follow, whose late answers cannot be recognized ([`super::order`]). So if the line has carried
//! longer answers before, two measurements in a row must find a limit.

use std::time::Duration;

use tokio::time::Instant;

/// How long a limit is known before a longer answer is requested again.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest answer with a value: 6 bytes around a register with a value of 2 bytes. A line that
/// carries less than that carries no value.
const SHORTEST: usize = 13;

/// The two bytes of the checksum are different in each answer, and each of them may be escaped. So
/// an answer may be a byte longer than the last one.
const SPARE: usize = 1;

/// A limit may differ by this many bytes from answer to answer.
const VARIATION: usize = 2;

/// What is known about the length of answers on a line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capacity {
    limit: Option<Limit>,
    /// Whether a longer answer is requested again in this poll.
    is_on_trial: bool,
    /// The last limit that was reported; `None` if none was, or that there is none any longer.
    reported: Option<usize>,
    /// The longest answer that has arrived.
    longest: usize,
    /// The shortest answer that was lost in a measurement, if one as long had arrived before.
    suspected: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    bytes: usize,
    /// Whether longer answers certainly do not arrive. Otherwise only this much is known to arrive.
    is_exact: bool,
    since: Instant,
}

/// A change that a user should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CapacityReport {
    /// The line does not carry longer answers than this.
    Limited(usize),
    /// The line carries long answers again.
    Unlimited,
}

impl Capacity {
    /// The number of bytes at which answers break off, if that is known exactly.
    pub(super) fn cut(&self) -> Option<usize> {
        self.limit.filter(|limit| limit.is_exact).map(|limit| limit.bytes)
    }

    /// Whether the line is known to have a limit.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether the line carries an answer of this length with this many registers.
    pub(super) fn carries(&self, bytes: usize, registers: usize) -> bool {
        self.limit.is_none_or(|limit| {
            // Two registers without a spare byte rarely fail. Two requests always cost more.
            let spare = if limit.is_exact && registers > 2 { SPARE } else { 0 };
            bytes.saturating_add(spare) <= limit.bytes
        })
    }

    /// Notes that an answer of this length has arrived. Returns whether the limit was wrong: faults
    /// that come by chance look like one.
    pub(super) fn note_arrived(&mut self, bytes: usize) -> bool {
        self.suspected = self.suspected.filter(|lost| bytes < *lost);
        self.longest = self.longest.max(bytes);
        let Some(limit) = self.limit.as_mut().filter(|limit| bytes > limit.bytes) else {
            return false;
        };
        // With weak light, a limit is not the same to the byte.
        if limit.is_exact && bytes > limit.bytes.saturating_add(VARIATION) {
            self.limit = None;
        } else {
            limit.bytes = bytes;
        }
        true
    }

    /// Whether it is not yet known that the line carries an answer of this length.
    pub(super) fn is_untried(&self, bytes: usize) -> bool {
        self.limit.is_none() && bytes > self.longest
    }

    /// Notes that a poll begins.
    pub(super) fn begin_poll(&mut self) {
        self.is_on_trial = self.limit.is_some_and(|limit| limit.since.elapsed() >= KNOWN_FOR);
    }

    /// Whether a longer answer is requested again in this poll.
    pub(super) fn is_on_trial(&self) -> bool {
        self.is_on_trial
    }

    /// Notes the result of the longer answer that was requested again: whether it arrived, or after
    /// how many bytes it broke off.
    pub(super) fn end_trial(&mut self, has_arrived: bool, broke_off: Option<usize>) {
        self.is_on_trial = false;
        if has_arrived {
            self.limit = None;
        } else if let Some(limit) = &mut self.limit {
            limit.since = Instant::now();
            if let Some(bytes) = broke_off.filter(|bytes| *bytes > limit.bytes) {
                (limit.bytes, limit.is_exact) = (bytes, true);
            }
        }
    }

    /// Notes that answers break off after this many bytes. Returns whether that is a limit. Before
    /// the first answer that has arrived whole, it may be a line that carries none.
    pub(super) fn note_cut(&mut self, bytes: usize) -> bool {
        if bytes < SHORTEST || self.longest == 0 {
            return false;
        }
        // The limit was about this already. It is tried again when it was due.
        let is_known = self.cut().is_some_and(|cut| cut <= bytes);
        if !is_known {
            self.set(bytes, true);
        }
        true
    }

    /// Notes that in a measurement, answers of up to `bytes` have arrived, and those of at least
    /// `lost` have not.
    pub(super) fn note_longest(&mut self, bytes: usize, lost: usize) {
        if self.longest < lost || self.suspected.is_some() {
            self.set(bytes, false);
        } else {
            self.suspected = Some(lost);
        }
    }

    fn set(&mut self, bytes: usize, is_exact: bool) {
        self.suspected = None;
        self.limit = Some(Limit { bytes, is_exact, since: Instant::now() });
    }

    /// What has changed since the last report. Another limit is no news.
    pub(super) fn report(&mut self) -> Option<CapacityReport> {
        let before = std::mem::replace(&mut self.reported, self.limit.map(|limit| limit.bytes));
        match (before, self.reported) {
            (None, Some(bytes)) => Some(CapacityReport::Limited(bytes)),
            (Some(_), None) => Some(CapacityReport::Unlimited),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_tried_again_once_a_day() {
        let mut capacity = Capacity::default();
        assert!(capacity.carries(500, 8) && !capacity.is_limited());
        assert!(!capacity.note_cut(40), "no answer has arrived whole");
        capacity.note_arrived(10);
        assert!(!capacity.note_cut(12), "no value fits into that");
        assert!(capacity.note_cut(40));
        assert_eq!(capacity.report(), Some(CapacityReport::Limited(40)));
        assert!(capacity.carries(39, 4) && !capacity.carries(40, 4) && capacity.carries(40, 2));
        for arrives in [false, true] {
            tokio::time::sleep(KNOWN_FOR / 2).await;
            capacity.begin_poll();
            assert!(!capacity.is_on_trial());
            tokio::time::sleep(KNOWN_FOR / 2).await;
            capacity.begin_poll();
            assert!(capacity.is_on_trial());
            capacity.end_trial(arrives, Some(40));
            assert_eq!(capacity.is_limited(), !arrives);
        }
        assert_eq!(capacity.report(), Some(CapacityReport::Unlimited));
        assert_eq!(capacity.report(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_limit_is_reported() {
        let mut capacity = Capacity::default();
        capacity.note_arrived(24);
        capacity.note_longest(24, 30);
        assert!(capacity.carries(24, 8) && !capacity.carries(25, 1));
        assert_eq!((capacity.report(), capacity.cut()), (Some(CapacityReport::Limited(24)), None));
        assert!(capacity.note_cut(20));
        assert_eq!((capacity.report(), capacity.cut()), (None, Some(20)));
        // A longer part of an answer does not raise it, except in the trial.
        assert!(capacity.note_cut(30));
        assert_eq!(capacity.cut(), Some(20));
        capacity.end_trial(false, Some(60));
        assert_eq!((capacity.report(), capacity.cut()), (None, Some(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_answer_that_arrives_corrects_the_limit() {
        let mut capacity = Capacity::default();
        assert!(!capacity.note_arrived(60));
        assert!(capacity.note_cut(13));
        assert!(!capacity.note_arrived(13));
        assert!(capacity.note_arrived(15));
        assert_eq!(capacity.cut(), Some(15));
        assert!(capacity.note_arrived(18));
        assert!(!capacity.is_limited());
        // An answer of 60 bytes had arrived before.
        capacity.note_longest(24, 30);
        assert!(!capacity.is_limited());
        capacity.note_longest(24, 30);
        assert!(capacity.note_arrived(30));
        assert!(capacity.carries(30, 2) && !capacity.carries(31, 2));
    }
}
