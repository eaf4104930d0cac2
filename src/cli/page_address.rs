//! The address of the page. The command line overrides the configuration.

use std::net::SocketAddr;

use tokio::sync::watch;

/// The address of the page, which a new configuration may change.
#[derive(Debug)]
pub(super) struct PageAddress {
    /// From the command line.
    listen: Option<SocketAddr>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl PageAddress {
    pub(super) fn new(listen: Option<SocketAddr>, configured: Option<SocketAddr>) -> Self {
        Self { listen, address: watch::Sender::new(listen.or(configured)) }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// Uses the address of a new configuration.
    pub(super) fn change(&self, configured: Option<SocketAddr>) {
        self.address.send_replace(self.listen.or(configured));
    }
}
