//! When everything is sent again because Home Assistant has sent its birth message. A birth that
//! waits for its answer absorbs further ones.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// After a birth, three to five quarters of this pass before everything is sent again.
pub(super) const SPREAD: Duration = Duration::from_millis(800);

/// From one answer to births to the next: with hundreds of meters, each answer is thousands of
/// messages.
pub(crate) const BIRTHS_ANSWERED: Duration = Duration::from_secs(30);

/// When births of Home Assistant are answered.
#[derive(Debug, Default)]
pub(super) struct Births {
    /// When those that wait are answered.
    due: Option<Instant>,
    /// When some were answered last.
    answered: Option<Instant>,
}

impl Births {
    /// Schedules the answer to a birth that came just now.
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

    /// When those that wait are answered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether some are to be answered now; they count as answered from now on.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.answered = Some(now);
        }
        is_due
    }

    /// Forgets those that wait: a new connection answers them.
    pub(super) fn forget(&mut self) {
        self.due = None;
    }
}

/// When a birth of Home Assistant is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// In a moment.
    Soon,
    /// After this time, since another one was answered just before.
    Later(Duration),
    /// Along with one that still waits.
    WithAnother,
}
