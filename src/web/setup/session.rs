//! Decides who may set up: browsers on this machine, and visitors with the code. Only one browser at
//! a time may.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::setup::Setup;
use crate::web::access;
use crate::web::token::Token;

/// A browser that sends no request for so long makes room for another one.
pub(super) const HELD: Duration = Duration::from_secs(10 * 60);

/// The setup page. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SetupPage {
    pub(super) setup: Setup,
    /// For visitors from other machines.
    pub(super) code: Token,
    session: Arc<Mutex<Option<Session>>>,
}

/// The browser that sets up.
#[derive(Debug)]
struct Session {
    /// Its cookie proves that a request is from this browser.
    key: Token,
    last: Instant,
}

/// The right of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// To enter the code.
    Stranger,
    /// None, because another browser sets up.
    Taken,
    /// To begin.
    Free,
    /// To set up.
    Owner,
}

impl SetupPage {
    /// The page of a program without a configuration. `configured` is the token that a variable
    /// sets. It replaces the code.
    pub(crate) fn new(setup: Setup, configured: Option<&str>) -> Self {
        let code = Token::code();
        code.configure(configured);
        Self { setup, code, session: Arc::default() }
    }

    /// Whether it is served instead of the status page.
    pub(in crate::web) fn is_open(&self) -> bool {
        self.setup.is_open()
    }

    /// Waits until the status page is served.
    pub(in crate::web) async fn closed(&self) {
        self.setup.closed().await;
    }

    /// The right of a visitor. A request of the browser that sets up keeps others out for longer.
    pub(super) fn right(&self, peer: IpAddr, headers: &HeaderMap) -> Right {
        if !access::may_set_up(&self.code, peer, headers) {
            return Right::Stranger;
        }
        match &mut *self.lock() {
            Some(session) if session.key.has_cookie(headers) => {
                session.last = Instant::now();
                Right::Owner
            }
            Some(session) if session.last.elapsed() < HELD => Right::Taken,
            Some(_) | None => Right::Free,
        }
    }

    /// Begins a session for a visitor who is free to do so. Returns its cookie.
    pub(super) fn begin(&self) -> Option<HeaderValue> {
        let key = Token::code();
        let cookie = key.brief_cookie()?;
        let before = self.lock().replace(Session { key, last: Instant::now() });
        if before.is_some() {
            // What another visitor has typed is not for this one.
            self.setup.reset();
        }
        Some(cookie)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
