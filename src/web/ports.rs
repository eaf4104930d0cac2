//! The serial ports of this machine, looked up when somebody asks.

use std::path::Path;

use crate::status::{Board, PortInfo};
use crate::transport::{self, LocalPort};

/// The ports that exist, and what each is used for.
pub(super) async fn look(board: &Board) -> Vec<PortInfo> {
    // A file system may hang, and this is the one thread that there is.
    let found = tokio::task::spawn_blocking(transport::local_ports).await.unwrap_or_default();
    let meters = board.meters();
    let info = |LocalPort { path, by_id, is_held }| {
        let is_here = |port: &str| {
            let port = Path::new(port);
            port == path || by_id.as_deref() == Some(port) || same(port, &path)
        };
        let used_by: Vec<String> = meters
            .iter()
            .filter(|meter| is_here(&meter.port))
            .map(|meter| meter.title.clone())
            .collect();
        PortInfo { path, by_id, used_by, busy: is_held }
    };
    found.into_iter().map(info).collect()
}

/// Whether a name leads to a device.
fn same(name: &Path, device: &Path) -> bool {
    name.starts_with("/") && name.canonicalize().is_ok_and(|found| found == device)
}
