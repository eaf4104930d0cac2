//! Counts the bytes on the line, and the time during which they kept the meter awake.

use std::time::Duration;

use kmp::line::RESPONSE_TIME;
use tokio::time::Instant;

/// The traffic on the line. It shows how good the line is, and what reading cost the meter's
/// battery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were sent again.
    pub retries: u64,
    /// How many of these followed an answer to another request.
    pub late: u64,
    /// Damaged answers: incomplete, or with a wrong checksum.
    pub damaged: u64,
    /// Bytes sent to the meter.
    pub sent: u64,
    /// Bytes received, including echoes and noise.
    pub received: u64,
    /// How long the meter was awake: from the first byte of a request until [`RESPONSE_TIME`] after
    /// the last byte on the line. Overlapping times are counted once.
    pub awake: Duration,
    /// The end of the time that is counted in `awake`.
    awake_until: Option<Instant>,
}

impl Traffic {
    /// Returns the counts and starts again at zero. Time awake that was counted is not counted
    /// again.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let awake_until = self.awake_until;
        std::mem::replace(self, Self { awake_until, ..Self::default() })
    }

    /// When the meter falls asleep again, if it was awake.
    pub(super) fn awake_until(&self) -> Option<Instant> {
        self.awake_until
    }

    /// Counts a request of some bytes, and the time that it takes on the line.
    pub(super) fn count_request(&mut self, bytes: usize, takes: Duration) {
        self.sent = self.sent.saturating_add(count(bytes));
        let now = Instant::now();
        if self.awake_until.is_none_or(|until| until < now) {
            self.awake_until = Some(now);
        }
        self.extend_awake(takes);
    }

    pub(super) fn count_retry(&mut self) {
        self.retries = self.retries.saturating_add(1);
    }

    pub(super) fn count_late(&mut self) {
        self.late = self.late.saturating_add(1);
    }

    pub(super) fn count_damaged(&mut self) {
        self.damaged = self.damaged.saturating_add(1);
    }

    pub(super) fn count_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(count(bytes));
        // Unsolicited bytes do not show that the meter is awake.
        if self.awake_until.is_some_and(|until| until >= Instant::now()) {
            self.extend_awake(Duration::ZERO);
        }
    }

    /// Counts time awake until [`RESPONSE_TIME`] after the last byte, which is this far ahead.
    fn extend_awake(&mut self, last_byte: Duration) {
        let until = Instant::now().checked_add(last_byte.saturating_add(RESPONSE_TIME));
        if let (Some(until), Some(counted)) = (until, self.awake_until)
            && until > counted
        {
            let more = until.saturating_duration_since(counted);
            self.awake = self.awake.saturating_add(more);
            self.awake_until = Some(until);
        }
    }
}

fn count(bytes: usize) -> u64 {
    bytes.try_into().unwrap_or(u64::MAX)
}
