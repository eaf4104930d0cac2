//! The HTTP server. It limits the number of connections, and the size and duration of requests, so
//! that nobody can keep the program busy.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::access::Visitors;
use super::delivery::{self, Watched};
use super::guest::Guest;
use super::places::{Origin, Places, Seat};
use super::response::{TEXT, with_headers};
use super::routes::{HEALTH, HEALTHY, router};
use super::setup::{self, SetupPage};
use super::state::PageState;
use super::streams::Streams;
use crate::neighbour::advice;
use meter::cause::Cause;
use meter::news::News;
use meter::{RunsAs, cause};

/// Connections at a time of addresses that are not admitted, which are only refused. `places` has
/// the number of the others.
const MOST_STRANGERS: usize = 4;

/// The longest time until a request is whole, and for a whole connection without events.
pub(super) const REQUEST: Duration = Duration::from_secs(3);
pub(super) const WHOLE: Duration = Duration::from_secs(10);

/// The longest request, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;

/// The wait before the next attempt to listen.
const RETRY: Duration = Duration::from_secs(10);

/// The wait after a connection could not be accepted, for example without free file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Serves the page at the current address, or nowhere if there is none, until `stop` is cancelled.
/// If it cannot listen, it reports that once and keeps trying.
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
                let listener = listen(address, || AddressSetting::of(&page_state)).await;
                let address = listener.local_addr().unwrap_or(address);
                tokio::select! {
                    () = introduce(address, &page_state) => {}
                    () = serve(listener, &page_state) => {}
                }
            };
            tokio::select! {
                () = serving => {}
                () = changed(&mut address, now) => {}
            }
        }
    };
    stop.run_until_cancelled(serving).await;
}

/// Logs who can open the page and what they need: first for setting up, and then for the buttons.
/// Never ends.
async fn introduce(address: SocketAddr, page_state: &PageState) {
    if let Some(page) = page_state.setup.as_ref().filter(|page| page.is_open()) {
        page.announce(address).await;
        page.closed().await;
    }
    if page_state.visitors == Visitors::Anybody {
        page_state.token.note_listening(!address.ip().to_canonical().is_loopback());
    }
    pending::<()>().await;
}

/// Waits until the address has changed; forever if nothing can change it any more.
async fn changed(address: &mut watch::Receiver<Option<SocketAddr>>, before: Option<SocketAddr>) {
    if address.wait_for(|now| *now != before).await.is_err() {
        pending::<()>().await;
    }
}

/// Listens on an address, once that is possible. `setting` says where the user sets it now.
pub(super) async fn listen(
    address: SocketAddr,
    setting: impl Fn() -> AddressSetting,
) -> TcpListener {
    let mut news = News::default();
    loop {
        let setting = setting();
        match bind(address) {
            Ok(listener) => {
                // Port 0 means any free port.
                let address = listener.local_addr().unwrap_or(address);
                info!("The status page is at http://{address}.");
                return listener;
            }
            Err(error) if !news.is_new(setting) => {
                debug!("The status page cannot listen on {address}: {error}.");
            }
            Err(error) => {
                warn!(
                    "The status page cannot listen on {address}: {}. Retrying until it works; this is \
                     logged only once.",
                    unavailable_words(&error, setting)
                );
            }
        }
        sleep(RETRY).await;
    }
}

/// How many connections may wait until they are accepted: as many as tokio's own `bind` allows.
const WAITING: u32 = 1024;

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Its connections inherit this.
    socket.set_send_buffer_size(delivery::BUFFER)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Whether a visitor counts as this machine: from a loopback address, or from the only address on
/// which the page listens. The health check uses one of these. A machine or a container that
/// listens on all addresses may have another one that visitors of its proxy seem to come from.
pub(super) fn is_here(peer: IpAddr, listens: IpAddr) -> bool {
    peer.is_loopback() || peer == listens.to_canonical()
}

/// Where the user sets the address of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressSetting {
    /// In the configuration.
    File,
    /// Where the program is started, because there is no configuration yet.
    Start,
    /// Nowhere: an app (add-on) has no setting for it.
    Fixed,
}

impl AddressSetting {
    fn of(page_state: &PageState) -> Self {
        match page_state.visitors.runs_as() {
            RunsAs::AddOn => Self::Fixed,
            RunsAs::Program if page_state.setup.as_ref().is_some_and(SetupPage::is_open) => {
                Self::Start
            }
            RunsAs::Program => Self::File,
        }
    }

    fn runs_as(self) -> RunsAs {
        match self {
            Self::File | Self::Start => RunsAs::Program,
            Self::Fixed => RunsAs::AddOn,
        }
    }
}

/// Why the page cannot listen on an address, and what to do.
pub(super) fn unavailable_words(error: &io::Error, setting: AddressSetting) -> String {
    use AddressSetting::{File, Fixed, Start};

    let words = match (Cause::from(error), setting) {
        (Cause::AddressInUse, File) => {
            concat!(
                "another program uses this port. Set `web.listen` to another one, such as \
                 `127.0.0.1:8100`. The other program may be a kamstrup2mqtt. ",
                advice!()
            )
        }
        (Cause::AddressInUse, Start) => {
            "another program uses this port, possibly a kamstrup2mqtt that is already running. Stop it, \
             or start this one with another address. The option `--listen` or the variable `WEB_LISTEN` \
             sets it, such as `127.0.0.1:8100`"
        }
        // Its container has only the app (add-on).
        (Cause::AddressInUse, Fixed) => {
            "another process of the app still uses this port. Restart the app"
        }
        (Cause::AddressElsewhere, File) => {
            "this machine does not have this address. Set `web.listen` to one of its addresses, or to \
             `0.0.0.0:8099` for all of them"
        }
        (Cause::AddressElsewhere, Start) => {
            "this machine does not have this address. Set one of its addresses with the option \
             `--listen` or the variable `WEB_LISTEN`, or `0.0.0.0:8099` for all of them"
        }
        (Cause::Denied, File) => {
            "this user is not allowed to use this port. Choose a port of 1024 or more in `web.listen`, such \
             as `127.0.0.1:8099`"
        }
        (Cause::Denied, Start) => {
            "this user is not allowed to use this port. With the option `--listen` or the variable \
             `WEB_LISTEN`, set a port of 1024 or more"
        }
        (Cause::AddressElsewhere | Cause::Denied, Fixed) => {
            return format!(
                "{error}. This must not happen in the app: please report it with its log"
            );
        }
        (Cause::Shortage, setting) => {
            return format!("{error}. {}", cause::shortage_hint(setting.runs_as()));
        }
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Serves those who are admitted, and refuses others. Dropping the future closes all connections.
pub(super) async fn serve(listener: TcpListener, page_state: &PageState) {
    let status = router(page_state);
    let setup = page_state.setup.as_ref();
    let setup = setup.map(|page| (page.clone(), setup::router(page_state, page)));
    let router = move || match &setup {
        Some((page, setup)) if page.is_open() => setup.clone(),
        _ => status.clone(),
    };
    serve_each_by(Arc::new(router), listener, page_state.visitors).await;
}

/// The same with one router for all connections.
#[cfg(test)]
pub(super) async fn serve_by(router: Router, listener: TcpListener, visitors: Visitors) {
    serve_each_by(Arc::new(move || router.clone()), listener, visitors).await;
}

/// Each request gets the router of the moment when it arrives. A browser may open a connection long
/// before it has a request.
type PresentRouter = Arc<dyn Fn() -> Router + Send + Sync>;

/// Serves each request with the router of its moment.
async fn serve_each_by(router: PresentRouter, listener: TcpListener, visitors: Visitors) {
    let mut connections = JoinSet::new();
    let (mut places, mut spare) = (Places::default(), Places::spare());
    let door = Arc::new(Semaphore::new(MOST_STRANGERS));
    let streams = Streams::default();
    let mut told = false;
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let listens = listener.local_addr().map_or(any, |address| address.ip());
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if cause::is_shortage(&error) && !told {
                    told = true;
                    warn!(
                        "The status page cannot accept connections: {error}. {} Retrying until it works; \
                         this is logged only once.",
                        cause::shortage_hint(visitors.runs_as())
                    );
                } else {
                    debug!("The status page cannot accept connections: {error}.");
                }
                sleep(BREATH).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        let from = Origin::new(peer, is_here(peer, listens));
        let (seat, router, places) = if !visitors.admit(peer) {
            let refusing: PresentRouter = Arc::new(refusing);
            (Arc::clone(&door).try_acquire_owned().ok().map(Seat::new), refusing, None)
        } else if let Some(seat) = places.take(from) {
            (Some(seat), Arc::clone(&router), Some(&mut places))
        } else {
            let busy: PresentRouter = Arc::new(busy);
            (spare.take(from), busy, Some(&mut spare))
        };
        // If all places are taken, the connection is closed.
        let Some(seat) = seat else { continue };
        let now = Instant::now();
        let deadline = now.checked_add(REQUEST).unwrap_or(now);
        let (streams, end) = (streams.clone(), CancellationToken::new());
        let guest = Guest { peer, seat: seat.clone(), streams, end, deadline };
        let task = connections.spawn(answer(stream, router, guest));
        if let Some(places) = places {
            places.note(&seat, task, from);
        }
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, router: PresentRouter, guest: Guest) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(LONGEST)
        .keep_alive(false);
    let service = service_fn(|request| {
        TowerToHyperService::new(router().layer(Extension(guest.clone()))).call(request)
    });
    let stream = Watched::new(stream, Arc::clone(guest.seat.delivery()));
    let answered = http.serve_connection(TokioIo::new(stream), service);
    let mut answered = pin!(answered);
    let answered = async {
        match timeout(WHOLE, &mut answered).await {
            Err(_) if guest.stays() => Some(answered.await),
            Err(_) => None,
            Ok(result) => Some(result),
        }
    };
    let result = tokio::select! {
        result = answered => result,
        () = guest.ended() => {
            debug!("An open page did not receive its last event.");
            return;
        }
        () = guest.reads_too_slowly() => {
            debug!("A visitor of the status page read the answer too slowly.");
            return;
        }
    };
    let Some(result) = result else {
        debug!("A request for the status page was too slow.");
        return;
    };
    if let Err(error) = result {
        debug!("A request for the status page failed: {error}.");
    }
}

/// For this machine, while visitors have all places: only the health check is answered.
fn busy() -> Router {
    const WORDS: &str = "Too many visitors at a time. Try again later.\n";
    Router::new()
        .route(HEALTH, get(async || with_headers(StatusCode::OK, TEXT, HEALTHY)))
        .fallback(async || with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, WORDS))
}

fn refusing() -> Router {
    const WORDS: &str = "Only Home Assistant and this machine are allowed to open this page.\n";
    Router::new().fallback(async || with_headers(StatusCode::FORBIDDEN, TEXT, WORDS))
}
