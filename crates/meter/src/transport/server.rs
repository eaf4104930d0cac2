//! Recognizes serial servers that serve one connection at a time.
//!
//! Most serial servers serve each of their ports separately, so the meters on each port take turns
//! (`queue`). Some servers serve one connection at a time, whatever the port. They refuse a second
//! connection, close it immediately, or close the first one. No document says which server does
//! what, so the program finds out:
//!
//! 1. A connection is refused or closed while this program has another connection open, on another
//!    port of the server. Then the connection that was refused or closed is *crowded out*.
//! 2. When the other connections have ended, the connection is opened again, alone.
//! 3. If it lasts this time, the server serves one connection at a time. (A connection lasts if a
//!    byte arrives, or if it is open for more than 5 s.) For [`KNOWN_FOR`], all meters of the
//!    server then take turns.
//!
//! If the connection is refused even when no other one is open, there is another reason, such as
//! another program that uses this port. The program does not try that port alone again until a
//! connection to it has lasted. So a port that never works makes the other meters wait only once.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::error::OpenError;
use super::stream::Stream;

/// How long a server is known to serve one connection at a time. Then it is found out again, which
/// costs one refused connection and no poll. So a mistake does not last, for example when a server
/// was restarted while two meters were read.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a server may need to notice that a connection has ended.
const SETTLES: Duration = Duration::from_secs(1);

/// A server that closes a connection for a newer one does so immediately. The client sees it at its
/// next read, which may follow a rest of the line.
const CLOSED_WITHIN: Duration = Duration::from_secs(3);

/// How long a connection without a byte must last to show that the server serves it. A connection
/// that ends sooner may not have been read, so nobody has seen whether the server closed it.
const LASTS: Duration = Duration::from_secs(5);

/// A serial server, with the connections of this program to it.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    /// Held during each turn at a port: shared, or alone.
    turns: Arc<RwLock<()>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that are being opened.
    opening: usize,
    /// Connections that are open.
    open: usize,
    /// How many connections were opened so far, and when the last one was.
    opened: u64,
    last_opened: Option<Instant>,
    /// When the last connection to each port ended.
    ended: BTreeMap<NonZeroU16, Instant>,
    /// Until when the server is known to serve one connection at a time.
    one_at_a_time_until: Option<Instant>,
    /// Whether that was logged.
    is_reported: bool,
}

/// A turn at a server.
#[derive(Debug)]
enum Turn {
    /// Together with other ports.
    Shared { _guard: OwnedRwLockReadGuard<()> },
    /// Without any other connection of this program.
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Server {
    pub(super) fn new(name: String) -> Self {
        Self { name, turns: Arc::default(), state: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server is known to serve one connection at a time.
    pub(super) fn is_one_at_a_time(&self) -> bool {
        self.state().one_at_a_time_until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits for a turn: alone if the server serves one connection at a time.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    async fn turn(&self) -> Turn {
        loop {
            if self.is_one_at_a_time() {
                return self.turn_alone().await;
            }
            let guard = Arc::clone(&self.turns).read_owned().await;
            // It may have become known meanwhile.
            if !self.is_one_at_a_time() {
                return Turn::Shared { _guard: guard };
            }
        }
    }

    async fn turn_alone(&self) -> Turn {
        Turn::Alone { _guard: Arc::clone(&self.turns).write_owned().await }
    }

    /// When a server that needs time to notice the end of a connection is ready.
    fn settles_at(&self) -> Instant {
        let last = self.state().ended.values().max().copied();
        let now = Instant::now();
        last.and_then(|at| at.checked_add(SETTLES)).unwrap_or(now).max(now)
    }

    fn learn(&self) {
        let is_new = {
            let state = &mut self.state();
            state.one_at_a_time_until = Instant::now().checked_add(KNOWN_FOR);
            !std::mem::replace(&mut state.is_reported, true)
        };
        if is_new {
            info!(
                "The serial server {} refused or closed a connection while another one was open, so \
                 its meters are read one after another.",
                self.name
            );
        }
    }
}

/// A port of a serial server, as one meter uses it.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Arc<Server>,
    port: NonZeroU16,
    /// The turn under way. Its end is that of the [`ServerTurn`].
    turn: Mutex<Option<Turn>>,
    /// Whether the last connection was crowded out.
    is_crowded_out: AtomicBool,
    /// Whether a connection was refused that had the server for itself.
    is_refused_alone: AtomicBool,
}

/// The use of a server, until it is dropped.
#[derive(Debug)]
pub(super) struct ServerTurn(Place);

impl Drop for ServerTurn {
    fn drop(&mut self) {
        self.0.turn().take();
        self.0.0.is_crowded_out.store(false, Ordering::Relaxed);
    }
}

impl Place {
    pub(super) fn new(server: Arc<Server>, port: NonZeroU16) -> Self {
        Self(Arc::new(Inner {
            server,
            port,
            turn: Mutex::default(),
            is_crowded_out: AtomicBool::default(),
            is_refused_alone: AtomicBool::default(),
        }))
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.0.server
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn at the server.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    pub(super) async fn acquire(&self) -> ServerTurn {
        let turn = self.0.server.turn().await;
        *self.turn() = Some(turn);
        ServerTurn(self.clone())
    }

    /// Whether the last connection was crowded out, so that the next one is opened alone.
    pub(super) fn is_crowded_out(&self) -> bool {
        self.0.is_crowded_out.load(Ordering::Relaxed)
    }

    /// Opens a connection, and once more alone if it was crowded out. Only a turn can be alone.
    ///
    /// Cancel safety: dropping the future leaves nothing open.
    pub(super) async fn open<F>(&self, open: impl Fn() -> F) -> Result<Box<dyn Stream>, OpenError>
    where
        F: Future<Output = Result<Box<dyn Stream>, OpenError>>,
    {
        let has_turn = self.turn().is_some();
        let mut is_trial = has_turn && self.is_crowded_out();
        loop {
            if is_trial {
                self.be_alone().await;
            }
            let mut connection = Connection::begin(self, is_trial);
            match open().await {
                Ok(stream) => {
                    connection.is_established();
                    return Ok(Box::new(Tracked { stream, connection }));
                }
                Err(error) => {
                    connection.was_refused(&error);
                    if is_trial || !has_turn || !self.is_crowded_out() {
                        return Err(error);
                    }
                    is_trial = true;
                }
            }
        }
    }

    /// Waits until no other port of the server is in use.
    async fn be_alone(&self) {
        let is_alone = matches!(*self.turn(), Some(Turn::Alone { .. }));
        if !is_alone {
            // Otherwise two that wait for each other would wait forever.
            self.turn().take();
            let turn = self.0.server.turn_alone().await;
            *self.turn() = Some(turn);
        }
        sleep_until(self.0.server.settles_at()).await;
        self.0.is_crowded_out.store(false, Ordering::Relaxed);
    }
}

/// The other connections to a server when one is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Company {
    None,
    /// Others are being opened, or have just ended.
    Possible,
    /// Others are open, so the server can be reached.
    Open,
}

/// A connection to a serial server, from its opening on.
#[derive(Debug)]
struct Connection {
    place: Place,
    /// Whether it shows if the server serves one connection at a time.
    is_trial: bool,
    /// When it was established.
    established: Option<Instant>,
    /// Whether a byte was received.
    has_received: bool,
    company: Company,
    /// How many connections had been opened before.
    opened_before: u64,
    /// Whether the server refused or ended it.
    has_ended: bool,
}

impl Connection {
    fn begin(place: &Place, is_trial: bool) -> Self {
        let state = &mut place.0.server.state();
        let now = Instant::now();
        let mut others = state.ended.iter().filter(|(port, _)| **port != place.0.port);
        let just_ended = others.any(|(_, at)| now.saturating_duration_since(*at) < SETTLES);
        let connection = Self {
            place: place.clone(),
            is_trial,
            established: None,
            has_received: false,
            company: match state.open {
                0 if state.opening == 0 && !just_ended => Company::None,
                0 => Company::Possible,
                _ => Company::Open,
            },
            opened_before: state.opened,
            has_ended: false,
        };
        state.opening = state.opening.saturating_add(1);
        connection
    }

    fn is_established(&mut self) {
        let state = &mut self.place.0.server.state();
        state.opening = state.opening.saturating_sub(1);
        state.open = state.open.saturating_add(1);
        state.opened = state.opened.saturating_add(1);
        let now = Instant::now();
        state.last_opened = Some(now);
        self.opened_before = state.opened;
        self.established = Some(now);
    }

    /// Notes that the server refused the connection, if that is what the error means.
    fn was_refused(&mut self, error: &OpenError) {
        let enough = match error {
            OpenError::Refused | OpenError::Unwanted { .. } => Company::Possible,
            // A server whose queue of connections is full drops the requests for more. So does a
            // firewall, or a host that is off.
            OpenError::NoConnection => Company::Open,
            _ => return,
        };
        self.end(self.company >= enough || self.is_followed());
    }

    /// Notes that a connection ended that had been established.
    fn was_ended(&mut self, error: Option<&io::Error>) {
        let reason = error.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref());
        if let Some(error) = reason {
            self.was_refused(error);
        } else {
            let newest = self.place.0.server.state().last_opened;
            let is_recent = newest.is_some_and(|at| at.elapsed() < CLOSED_WITHIN);
            self.end(is_recent && self.is_followed());
        }
    }

    /// Whether another connection was opened after this one.
    fn is_followed(&self) -> bool {
        self.place.0.server.state().opened > self.opened_before
    }

    fn end(&mut self, is_crowded_out: bool) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let place = &*self.place.0;
        if self.is_trial {
            place.is_refused_alone.store(true, Ordering::Relaxed);
        } else if is_crowded_out && !place.is_refused_alone.load(Ordering::Relaxed) {
            place.is_crowded_out.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let has_lasted = {
            let state = &mut self.place.0.server.state();
            let Some(established) = self.established else {
                state.opening = state.opening.saturating_sub(1);
                return;
            };
            state.open = state.open.saturating_sub(1);
            state.ended.insert(self.place.0.port, Instant::now());
            self.has_received || established.elapsed() > LASTS
        };
        if self.has_ended || !has_lasted {
            return;
        }
        self.place.0.is_refused_alone.store(false, Ordering::Relaxed);
        if self.is_trial {
            self.place.0.server.learn();
        }
    }
}

/// A stream that notes how its connection ends.
struct Tracked {
    stream: Box<dyn Stream>,
    connection: Connection,
}

impl AsyncRead for Tracked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if read.is_err() || (before > 0 && buffer.remaining() == before) {
            self.connection.was_ended(read.as_ref().err());
        }
        self.connection.has_received |= buffer.remaining() < before;
        Poll::Ready(read)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        if let Err(error) = &written {
            self.connection.was_ended(Some(error));
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
