//! The HTTP server: it listens, admits connections and bounds how many there are, how large a request
//! is and how long one takes. So nobody can keep the program busy.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::access::Visitors;
use super::guest::Guest;
use super::response::{TEXT, with_headers};
use super::routes::router;
use super::state::PageState;
use meter::cause::Cause;
use meter::news::News;
use meter::{RunsAs, cause};

/// Connections at a time: of those who are admitted, and of those who are only refused.
pub(super) const MOST: usize = 16;
const MOST_STRANGERS: usize = 4;

/// Open pages at a time that get events.
pub(super) const MOST_OPEN: usize = 128;

/// How long the head of a request may take, and a whole connection that gets no events.
const HEAD: Duration = Duration::from_secs(5);
pub(super) const WHOLE: Duration = Duration::from_secs(10);

/// The longest request, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;

/// The wait before the next attempt where the port cannot be had.
const RETRY: Duration = Duration::from_secs(10);

/// The wait after a connection that could not be accepted, as without free file handles.
const BREATH: Duration = Duration::from_millis(100);

/// Shows the board at the address that is said last, or nowhere where that is none, until `stop` is
/// cancelled. Where the port cannot be had, that is said once and tried again.
pub(crate) async fn run(
    mut address: watch::Receiver<Option<SocketAddr>>,
    page_state: PageState,
    stop: CancellationToken,
) {
    let serving = async {
        loop {
            let now = *address.borrow_and_update();
            let serving = async {
                let Some(address) = now else { return pending().await };
                let listener = listen(address, page_state.visitors.runs_as()).await;
                serve(listener, &page_state).await;
            };
            tokio::select! {
                () = serving => {}
                // Nobody can say otherwise any more: it stays where it is.
                () = changed(&mut address, now) => {}
            }
        }
    };
    stop.run_until_cancelled(serving).await;
}

/// Waits until the page is to be somewhere else.
async fn changed(address: &mut watch::Receiver<Option<SocketAddr>>, before: Option<SocketAddr>) {
    if address.wait_for(|now| *now != before).await.is_err() {
        pending::<()>().await;
    }
}

pub(super) async fn listen(address: SocketAddr, runs_as: RunsAs) -> TcpListener {
    let mut news = News::default();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                // Port 0 stands for any.
                let address = listener.local_addr().unwrap_or(address);
                info!("The status page is at http://{address}.");
                return listener;
            }
            Err(error) if !news.is_new(()) => {
                debug!("The status page cannot be at {address}: {error}.");
            }
            Err(error) => {
                warn!(
                    "The status page cannot be at {address}: {}. Trying again until it works; this is \
                     said only once.",
                    unavailable_words(&error, runs_as)
                );
            }
        }
        sleep(RETRY).await;
    }
}

/// Why nobody can listen at an address, and what to do about it. An add-on has no setting for the
/// address.
pub(super) fn unavailable_words(error: &io::Error, runs_as: RunsAs) -> String {
    let words = match (Cause::from(error), runs_as) {
        (Cause::AddressInUse, RunsAs::Program) => {
            "another program has this port, which may be another kamstrup2mqtt. Stop that, or set \
             `web.listen` to another port"
        }
        // Nothing but the add-on is in its container.
        (Cause::AddressInUse, RunsAs::AddOn) => {
            "another process of the add-on still has this port. Restart the add-on"
        }
        (Cause::AddressElsewhere, RunsAs::Program) => {
            "this machine does not have this address. Set `web.listen` to one that it has, or to \
             `0.0.0.0:8099` for all of them"
        }
        (Cause::Denied, RunsAs::Program) => {
            "this user may not use this port. Set `web.listen` to one from 1024 on"
        }
        (Cause::AddressElsewhere | Cause::Denied, RunsAs::AddOn) => {
            return format!(
                "{error}. This must not happen in the add-on: please report it with its log"
            );
        }
        (Cause::Shortage, _) => return format!("{error}. {}", cause::SHORTAGE_HINT),
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Serves whoever may ask, and refuses others. Dropping the future closes all connections.
pub(super) async fn serve(listener: TcpListener, page_state: &PageState) {
    serve_by(router(page_state), listener, page_state.visitors).await;
}

pub(super) async fn serve_by(router: Router, listener: TcpListener, visitors: Visitors) {
    let mut connections = JoinSet::new();
    let seats = Arc::new(Semaphore::new(MOST));
    let door = Arc::new(Semaphore::new(MOST_STRANGERS));
    let open = Arc::new(Semaphore::new(MOST_OPEN));
    let mut told = false;
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if cause::is_shortage(&error) && !told {
                    told = true;
                    warn!(
                        "The status page cannot be asked: {error}. {} Trying again until it works; \
                         this is said only once.",
                        cause::SHORTAGE_HINT
                    );
                } else {
                    debug!("The status page cannot be asked: {error}.");
                }
                sleep(BREATH).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        let (places, router) =
            if visitors.admit(peer) { (&seats, router.clone()) } else { (&door, refusing()) };
        // Where all places are taken, the connection is closed.
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { continue };
        let guest =
            Guest { peer, seat: Arc::new(Mutex::new(Some(place))), open: Arc::clone(&open) };
        connections.spawn(answer(stream, router, guest));
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, router: Router, guest: Guest) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST).keep_alive(false);
    let router = router.layer(Extension(guest.clone()));
    let answered = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut answered = pin!(answered);
    let result = match timeout(WHOLE, &mut answered).await {
        Err(_) if guest.stays() => answered.await,
        Err(_) => {
            debug!("The status page was asked too slowly.");
            return;
        }
        Ok(result) => result,
    };
    if let Err(error) = result {
        debug!("The status page was asked oddly: {error}.");
    }
}

fn refusing() -> Router {
    const WORDS: &str = "This page is for Home Assistant and for this machine alone.\n";
    Router::new().fallback(async || with_headers(StatusCode::FORBIDDEN, TEXT, WORDS))
}
