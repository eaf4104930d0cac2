//! Reports a broker that accepts messages more slowly than they are made, or that sends messages that
//! are too long.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::failure;
use crate::advice::{Advice, MadeBy};
use crate::status::Board;

/// A message that waits longer than this before it is sent is reported. If the broker acknowledges
/// nothing, the connection ends earlier.
const LONG: Duration = Duration::from_secs(60);

/// The shortest time between two reports.
const REPORTED_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// Reports a slow broker once.
#[derive(Debug)]
pub(super) struct Slowness {
    /// The broker's name in the log.
    pub(super) name: String,
    pub(super) made_by: MadeBy,
    pub(super) board: Board,
    /// What is reported at present, and whether the log has it as a warning.
    slow: Option<(Advice, bool)>,
    reported: Option<Instant>,
}

impl Slowness {
    pub(super) fn new(name: String, made_by: MadeBy, board: Board) -> Self {
        Self { name, made_by, board, slow: None, reported: None }
    }

    /// A message that has waited since then is sent now.
    pub(super) fn sends(&mut self, since: Instant) {
        if since.elapsed() < LONG || self.slow.is_some() {
            return;
        }
        let Self { name, made_by, .. } = self;
        let advice = failure::slow(since.elapsed());
        let words = advice.words(*made_by);
        let is_new = self.reported.is_none_or(|at| at.elapsed() >= REPORTED_EVERY);
        if is_new {
            warn!("Connected to the broker {name}, but {words}");
            self.reported = Some(Instant::now());
        } else {
            debug!("Connected to the broker {name}, but {words}");
        }
        self.board.doubt_broker(advice.clone(), *made_by);
        self.slow = Some((advice, is_new));
    }

    /// Nothing waits any more.
    pub(super) fn has_sent_all(&mut self) {
        let Some((advice, was_new)) = self.slow.take() else { return };
        self.board.trust_broker(&advice);
        if was_new {
            info!("The broker {} accepts messages fast enough again.", self.name);
        }
    }

    /// There is a new connection, without subscriptions to these filters.
    pub(super) fn leaves_out(&self, before: &[String], filters: &[String]) {
        if filters.is_empty() {
            return;
        }
        let advice = failure::too_long_under(filters);
        if before != filters {
            warn!("Connected to the broker {}, but {}", self.name, advice.words(self.made_by));
        }
        self.board.doubt_broker(advice, self.made_by);
    }

    /// The connection was lost. The board already says so.
    pub(super) fn lost(&mut self) {
        self.slow = None;
    }
}
