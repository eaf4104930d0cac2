//! The address of the page and its token. The command line overrides the configured address.

use std::net::SocketAddr;

use tokio::sync::watch;

use crate::config::{PageSettings, PageToken};
use crate::web::Token;

/// The address of the page and its token, which a new configuration may change.
#[derive(Debug)]
pub(super) struct PageAddress {
    /// From the command line.
    listen: Option<SocketAddr>,
    address: watch::Sender<Option<SocketAddr>>,
    token: Token,
}

impl PageAddress {
    pub(super) fn new(listen: Option<SocketAddr>, token: Token) -> Self {
        Self { listen, address: watch::Sender::new(None), token }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// Uses the address and the token of a new configuration.
    pub(super) fn change(&self, configured: &PageSettings) {
        match &configured.token {
            PageToken::None => self.token.configure(None),
            PageToken::Valid(token) => self.token.configure(Some(token.reveal())),
            PageToken::Unknown => self.token.configure_unknown(),
        }
        self.address.send_replace(self.listen.or(configured.listen));
    }
}
