//! Finds the port of the optical head for the page: lists the serial ports, and asks those that the
//! visitor has seen. The status board ([`Board`]) has the list and the results.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::status::{Board, HeadSearch};
use meter::find::{self, Askable, Candidate, ConfiguredPort, Step};
use meter::transport::PortQueues;

/// Searches the serial ports of this machine. Clones share the search.
#[derive(Debug, Clone)]
pub(crate) struct Finder {
    root: PathBuf,
    queues: PortQueues,
    /// Stops the search that is under way.
    stop: Arc<Mutex<CancellationToken>>,
}

/// Why no search was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// Nobody has seen yet which ports will be asked.
    NotListed,
    /// A search is under way.
    Running,
    /// Each port is left out.
    NoPort,
}

/// The ports of a list that the visitor has seen, if they may still be asked according to the list
/// `now`.
pub(crate) fn still_askable(seen: &[Candidate], now: &[Candidate]) -> Vec<Askable> {
    now.iter().filter(|port| seen.contains(port)).filter_map(Candidate::askable).collect()
}

impl Finder {
    /// Searches the machine whose `/sys` and `/dev` are at this root. `queues` are those of the
    /// polls.
    pub(crate) fn new(root: PathBuf, queues: PortQueues) -> Self {
        Self { root, queues, stop: Arc::default() }
    }

    fn stop_token(&self) -> MutexGuard<'_, CancellationToken> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the serial ports. This blocks, and opens none of them.
    pub(crate) fn list(&self, board: &Board) -> io::Result<Vec<Candidate>> {
        let meters = board.meters().into_iter().filter(|meter| meter.port.starts_with('/'));
        let configured: Vec<_> = meters
            .map(|meter| ConfiguredPort { path: meter.port.into(), meter: meter.title })
            .collect();
        find::candidates(&self.root, &configured)
    }

    /// Puts a list on the board, unless a search is under way.
    pub(crate) fn show(board: &Board, listed: Vec<Candidate>) {
        board.head_search(|search| {
            if !search.as_ref().is_some_and(|search| search.running) {
                *search = Some(HeadSearch { listed, ..HeadSearch::default() });
            }
        });
    }

    /// Starts to ask the ports of the list on the board, if they may still be asked according to
    /// the list `now`.
    pub(crate) fn start(&self, board: &Board, now: &[Candidate]) -> Result<(), NotStarted> {
        let stop = CancellationToken::new();
        let mut ports: Vec<Askable> = Vec::new();
        let mut result = Err(NotStarted::NotListed);
        board.head_search(|search| {
            let Some(search) = search.as_mut().filter(|search| !search.has_started()) else {
                let is_running = search.as_ref().is_some_and(|search| search.running);
                result = Err(if is_running { NotStarted::Running } else { NotStarted::NotListed });
                return;
            };
            ports = still_askable(&search.listed, now);
            if ports.is_empty() {
                result = Err(NotStarted::NoPort);
                return;
            }
            (search.running, result) = (true, Ok(()));
        });
        result?;
        *self.stop_token() = stop.clone();
        let (board, queues) = (board.clone(), self.queues.clone());
        tokio::spawn(async move {
            let change = |change: &dyn Fn(&mut HeadSearch)| {
                board.head_search(|search| search.iter_mut().for_each(change));
            };
            find::search(&ports, &queues, &stop, |step| match step {
                Step::Asking(port) => change(&|search| search.asking = Some(port.path.clone())),
                Step::Asked(searched) => change(&|search| {
                    search.asking = None;
                    search.found.push(searched.clone());
                }),
            })
            .await;
            change(&|search| {
                (search.running, search.ended, search.asking) = (false, true, None);
                search.stopped = stop.is_cancelled();
            });
        });
        Ok(())
    }

    /// Stops the search that is under way, after the request that is under way.
    pub(crate) fn stop(&self) {
        self.stop_token().cancel();
    }
}

impl HeadSearch {
    /// Whether it was started, so that it needs a new list.
    fn has_started(&self) -> bool {
        self.running || self.ended
    }
}
