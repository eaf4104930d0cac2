//! Reports the Supervisor's errors in the log and on the status board ([`Board`]), each once.
//! Errors that are normal while the machine starts are reported a second time, as warnings, if they
//! last.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::SupervisorError;
use crate::status::{Board, SupervisorState};
use meter::news::News;
use meter::poll::Explanation;

/// An error that is normal while the machine starts becomes a warning after this time.
const USUALLY: Duration = Duration::from_secs(3 * 60);

/// Logs each error once, and keeps the board up to date.
pub(super) struct SupervisorLog {
    board: Board,
    news: News<SupervisorError>,
    /// Since when an error that is normal at first has lasted; `None` after it was logged as a
    /// warning.
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
                warn!("{error}. This has lasted for {} min. {hint}", USUALLY.as_secs() / 60);
            } else {
                debug!("Still the same: {error}.");
            }
            return;
        }
        self.usual_since = error.is_usual().then(|| self.usual_since.unwrap_or_else(Instant::now));
        let words = format!("{error}. {hint} Retrying until it works; this is logged only once.");
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
