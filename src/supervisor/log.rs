//! What the log and the board report of the Supervisor: each error once, and again as a warning
//! what is usual while the machine starts, if it lasts.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::SupervisorError;
use crate::status::{Board, SupervisorState};
use meter::news::News;
use meter::poll::Explanation;

/// What is usual while the machine starts is an error when it lasts longer.
const USUALLY: Duration = Duration::from_secs(3 * 60);

/// Logs each error once, and keeps the board up to date.
pub(super) struct SupervisorLog {
    board: Board,
    news: News<SupervisorError>,
    /// Since when there is an error that is usual at first; `None` once it was logged as a warning.
    usual_since: Option<Instant>,
}

impl SupervisorLog {
    pub(super) fn new(board: &Board) -> Self {
        Self { board: board.clone(), news: News::default(), usual_since: None }
    }

    pub(super) fn failed(&mut self, error: &SupervisorError) {
        let hint = error.hint();
        if !self.news.is_new(error.clone()) {
            if self.usual_since.is_some_and(|since| since.elapsed() >= USUALLY) {
                self.usual_since = None;
                warn!("{error}, after {} min still. {hint}", USUALLY.as_secs() / 60);
            } else {
                debug!("{error}, as before.");
            }
            return;
        }
        self.usual_since = error.is_usual().then(|| self.usual_since.unwrap_or_else(Instant::now));
        let words = format!("{error}. {hint} Asking until it works; this is said only once.");
        if error.is_usual() {
            info!("{words}");
        } else {
            warn!("{words}");
        }
        let complaint = Explanation { words: error.to_string(), hint: hint.to_owned() };
        self.board.set_up(|setup| {
            setup.broker = Some(complaint);
            setup.supervisor = SupervisorState::Asked;
        });
    }

    pub(super) fn answered(&mut self) {
        self.news.forget();
        self.usual_since = None;
        self.board.set_up(|setup| {
            setup.broker = None;
            setup.supervisor = SupervisorState::Answered;
        });
    }
}
