//! The address of the page: the command line decides, then the configuration.

use std::net::SocketAddr;

use tokio::sync::watch;

/// The address of the page, which a new configuration may change.
#[derive(Debug)]
pub(super) struct PageAddress {
    /// What the command line says counts.
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

    /// Another configuration counts.
    pub(super) fn change(&self, configured: Option<SocketAddr>) {
        self.address.send_replace(self.listen.or(configured));
    }
}
