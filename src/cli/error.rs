//! Errors on the command line that clap cannot detect.

use std::net::SocketAddr;

use crate::similar::{self, question};
use thiserror::Error;

/// Options or values that this program rejects. The exit code is 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// An address and a port. A suggestion has the usual port if the text has none.
fn address(text: &str, usual_port: u16) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "not an address and a port like 127.0.0.1:{usual_port}{}",
            question(similar::address(text, usual_port))
        )
    })
}

/// The address of the status page.
pub(super) fn page_address(text: &str) -> Result<SocketAddr, String> {
    address(text, 8099)
}

/// The address of a simulated meter.
pub(super) fn simulator_address(text: &str) -> Result<SocketAddr, String> {
    address(text, 2003)
}
