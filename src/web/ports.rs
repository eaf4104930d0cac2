//! The serial ports of this machine, listed on request.
//!
//! `meter::transport` lists them without opening any, so the list gives the page no access to a
//! meter.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::blocking::{BlockingJobs, JobFailed};
use super::events;
use super::state::PageState;
use crate::status::{Board, PortInfo};
use meter::find::Candidate;
use meter::transport::{self, LocalPort};

/// A list is shared for this long. Which files are open on this machine is in a thousand places,
/// and after a change all open pages ask for it at once. It is no longer, because a page shows what
/// it got until the next change.
const FRESH: Duration = events::EACH;

pub(super) type LocalPorts = Arc<Vec<LocalPort>>;

/// The last list, and its time.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    known: Arc<Mutex<Option<(Instant, LocalPorts)>>>,
    jobs: BlockingJobs,
}

impl Ports {
    pub(super) fn new(jobs: BlockingJobs) -> Self {
        Self { known: Arc::default(), jobs }
    }

    /// The ports that a search for the optical head can ask. Not shared: which ports are in use
    /// must be up to date.
    pub(super) async fn candidates(&self, page: &PageState) -> Result<Vec<Candidate>, JobFailed> {
        let (finder, board) = (page.finder.clone(), page.board.clone());
        Ok(self.jobs.run(move |_| finder.list(&board)).await??)
    }

    /// The existing ports.
    pub(super) async fn found(&self) -> Result<LocalPorts, JobFailed> {
        // Requests that come meanwhile wait for the same list.
        let mut known = self.known.lock().await;
        if let Some((at, found)) = &*known
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(found));
        }
        // A file system may hang, and the program has only this thread.
        let found = Arc::new(self.jobs.run(|_| transport::local_ports()).await??);
        *known = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }
}

/// The use of each port. The more meters there are, the longer this takes.
pub(super) fn used(found: &[LocalPort], board: &Board) -> Vec<PortInfo> {
    let meters = board.meters();
    let info = |port: &LocalPort| {
        let is_here = |name: &str| port.is_named(name) || same(Path::new(name), &port.path);
        let used_by: Vec<String> = meters
            .iter()
            .filter(|meter| is_here(&meter.port))
            .map(|meter| meter.title.clone())
            .collect();
        let LocalPort { path, by_id, is_held } = port.clone();
        PortInfo { path, by_id, used_by, busy: is_held }
    };
    found.iter().map(info).collect()
}

/// Whether a path leads to a device.
fn same(name: &Path, device: &Path) -> bool {
    name.starts_with("/") && name.canonicalize().is_ok_and(|found| found == device)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_pages_share_one_list() {
        let ports = Ports::new(BlockingJobs::ports());
        let first = ports.found().await.unwrap();
        assert!(Arc::ptr_eq(&first, &ports.found().await.unwrap()));
        advance(Duration::from_secs(1)).await;
        assert!(!Arc::ptr_eq(&first, &ports.found().await.unwrap()));
    }
}
