//! What the tasks need from outside, and the receivers of poll results other than the broker.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::gaps::Desk;
use crate::mqtt::Brokers;
use crate::status::Board;
use crate::web::BlockingJobs;
use history::{Hint, History, HistoryError};
use meter::RunsAs;
use meter::poll::Explanation;
use meter::transport::PortQueues;

/// What the tasks need from outside.
#[derive(Debug, Clone)]
pub struct Services {
    /// The broker, if it is found automatically. Then the configured one is ignored.
    pub brokers: Option<Brokers>,
    /// The state that the page shows.
    pub board: Board,
    /// Who reads the advice about a meter that cannot be read.
    pub runs_as: RunsAs,
    /// Where readings are stored.
    pub history: Option<Arc<History>>,
    /// The folder of the program's state. Without it, no gap in Home Assistant's statistics is
    /// filled, and entries of the meters' logs are not kept.
    pub folder: Option<PathBuf>,
    /// Fills gaps there as visitors of the page ask for it.
    pub desk: Desk,
    /// The address of the page for other machines, once it is known.
    pub page: watch::Receiver<Option<String>>,
    /// The queues of the ports, which polls share with the search for the optical head.
    pub queues: PortQueues,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            brokers: None,
            board: Board::default(),
            desk: Desk::default(),
            runs_as: RunsAs::default(),
            history: None,
            folder: None,
            page: watch::channel(None).1,
            queues: PortQueues::default(),
        }
    }
}

/// Who else receives the results of polls, apart from the broker.
#[derive(Debug, Clone)]
pub(super) struct Observers {
    pub(super) board: Board,
    pub(super) runs_as: RunsAs,
    pub(super) history: Option<Arc<History>>,
    pub(super) page: watch::Receiver<Option<String>>,
    pub(super) queues: PortQueues,
    pub(super) folder: Option<PathBuf>,
    /// Reads the history for means.
    pub(super) accounts: BlockingJobs,
}

impl Observers {
    pub(super) fn of(services: &Services) -> Self {
        let Services { board, runs_as, history, page, queues, folder, .. } = services.clone();
        let accounts = BlockingJobs::readings();
        Self { board, runs_as, history, page, queues, folder, accounts }
    }
}

/// Shows on the board why readings cannot be stored, until the history is closed.
pub async fn report_history(
    mut trouble: watch::Receiver<Option<HistoryError>>,
    board: Board,
    hint: Hint,
) {
    loop {
        let complaint = trouble.borrow_and_update().as_ref().map(|trouble| Explanation {
            words: trouble.to_string(),
            hint: hint(trouble).to_owned(),
        });
        if board.setup().history != complaint {
            board.set_up(|setup| setup.history = complaint);
        }
        if trouble.changed().await.is_err() {
            return;
        }
    }
}
