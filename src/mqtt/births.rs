//! Decides when everything is sent again after Home Assistant's birth message. All birth messages
//! that arrive until then have one answer.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// Everything is sent again after a birth with this delay, give or take a quarter.
pub(super) const SPREAD: Duration = Duration::from_millis(800);

/// The shortest time between two answers: with hundreds of meters, each is thousands of messages.
pub(crate) const BIRTHS_ANSWERED: Duration = Duration::from_secs(30);

/// Schedules the answers to Home Assistant's births.
#[derive(Debug, Default)]
pub(super) struct Births {
    /// When the waiting births are answered.
    due: Option<Instant>,
    /// When births were last answered.
    answered: Option<Instant>,
}

impl Births {
    /// Schedules the answer to a birth that has just arrived.
    pub(super) fn add(&mut self) -> Answer {
        if self.due.is_some() {
            return Answer::WithAnother;
        }
        let now = Instant::now();
        let soon = now + jittered(SPREAD);
        let later = self.answered.map(|answered| answered + BIRTHS_ANSWERED);
        if let Some(later) = later.filter(|later| *later > soon) {
            self.due = Some(later);
            return Answer::Later(later.saturating_duration_since(now));
        }
        self.due = Some(soon);
        Answer::Soon
    }

    /// When the waiting births are answered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether births must be answered now. From now on they count as answered.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.answered = Some(now);
        }
        is_due
    }

    /// Forgets the waiting births: a new connection answers them.
    pub(super) fn forget(&mut self) {
        self.due = None;
    }
}

/// When a birth is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// In a moment.
    Soon,
    /// After this time, because another birth was answered shortly before.
    Later(Duration),
    /// Together with an earlier one that still waits.
    WithAnother,
}
