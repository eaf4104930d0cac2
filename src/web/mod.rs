//! The page that says how it goes, for Home Assistant's sidebar and for whoever is on this machine;
//! and the same for programs.
//!
//! It changes nothing but what a visitor asks for, and that goes through the tasks that poll
//! (`actions`). Others can reach its port, so `guard` says who may ask; and nobody can keep it busy:
//! connections, requests and times are bounded.

mod access;
mod actions;
mod api;
mod blocking;
mod chart;
mod events;
mod language;
mod memory;
mod metrics;
mod page;
mod past;
mod ports;

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Form, Query, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::ZonedDateTime;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, info, warn};

pub use self::access::Visitors;
use self::actions::Action;
use self::api::Now;
use self::blocking::{BlockingJobs, Busy};
use self::language::Language;
use self::memory::Cache;
use self::page::Look;
use self::ports::Ports;
use crate::status::Board;
use meter::cause::Cause;
use meter::news::News;
use meter::{cause, hosts};

/// Where the page is in an add-on: Home Assistant asks from its own network.
pub const IN_ADD_ON: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);

/// Where it is looked for on this machine.
pub const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// The port that Home Assistant expects where an add-on does not say otherwise.
const PORT: u16 = 8099;

/// Where the program says that it turns.
pub const HEALTH: &str = "/health";

/// What it says there.
pub const HEALTHY: &str = "ok";

/// So many connections at a time, and so many to be refused.
const MOST: usize = 16;
const MOST_STRANGERS: usize = 4;

/// So many pages that are open and told of changes.
const MOST_OPEN: usize = 128;

/// How long a request may take to come, and a connection to last that is not told of changes.
const HEAD: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// The longest request, and the longest form in it.
const LONGEST: usize = 16 * 1024;
const LONGEST_FORM: usize = 1024;

/// Until the next attempt where the port cannot be had.
const PAUSE: Duration = Duration::from_secs(10);

/// After a connection that could not be taken, as when there are no more file handles.
const BREATH: Duration = Duration::from_millis(100);

/// Nothing but the page and what is its own, and no other page around it than Home Assistant's, in
/// whose name it comes.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the page shows, and to whom.
#[derive(Debug, Clone)]
pub struct Site {
    /// What is known.
    pub board: Board,
    /// What was read earlier, where it is kept.
    pub history: Option<history::Reader>,
    /// Who may look.
    pub visitors: Visitors,
    /// The clock on the wall.
    pub clock: fn() -> ZonedDateTime,
}

/// Shows the board at the address that is said last, or nowhere where that is none, until `stop` is
/// cancelled. Where the port cannot be had, that is said once and tried again.
pub async fn run(
    mut address: watch::Receiver<Option<SocketAddr>>,
    site: Site,
    stop: CancellationToken,
) {
    let serving = async {
        loop {
            let now = *address.borrow_and_update();
            let serving = async {
                let Some(address) = now else { return pending().await };
                let listener = listen(address).await;
                serve(listener, &site).await;
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

/// Says where others find the page, for as long as it is told where that is. Where it is at all
/// addresses of this machine, it is the one by which this machine is seen at the broker.
pub async fn find(
    address: watch::Receiver<Option<SocketAddr>>,
    broker: (String, u16),
    found: watch::Sender<Option<String>>,
) {
    let seen = move || {
        let broker = broker.clone();
        async move { seen_at(&broker).await }
    };
    find_by(address, seen, found).await;
}

/// Does so; `seen` says by which address this machine is seen.
async fn find_by<S: Future<Output = io::Result<IpAddr>>>(
    mut address: watch::Receiver<Option<SocketAddr>>,
    seen: impl Fn() -> S,
    found: watch::Sender<Option<String>>,
) {
    loop {
        let now = *address.borrow_and_update();
        let mut again = None;
        let reached = match now {
            Some(address) if address.ip().is_unspecified() => match seen().await {
                Ok(reached) => Some(reached),
                Err(error) => {
                    debug!("Others may not find the page, trying again: {error}.");
                    again = Some(PAUSE);
                    None
                }
            },
            Some(address) => Some(address.ip()),
            None => None,
        };
        let port = now.map_or(PORT, |address| address.port());
        // Nobody else gets to this machine by its address for itself.
        let reached = reached.filter(|ip| !ip.to_canonical().is_loopback());
        let page = reached.map(|ip| format!("http://{}", SocketAddr::new(ip, port)));
        found.send_if_modified(|known| {
            let is_new = *known != page;
            *known = page;
            is_new
        });
        let pause = async {
            match again {
                Some(pause) => sleep(pause).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            changed = address.changed() => if changed.is_err() { return },
        }
    }
}

/// This machine's address on the way to another one. Nothing is sent there.
async fn seen_at((host, port): &(String, u16)) -> io::Result<IpAddr> {
    let there = hosts::look_up(host, *port).await.map_err(io::Error::other)?;
    let there = *there.first().ok_or(io::ErrorKind::NotFound)?;
    let any = match there.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(there).await?;
    Ok(socket.local_addr()?.ip())
}

async fn listen(address: SocketAddr) -> TcpListener {
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
                    unavailable_words(&error)
                );
            }
        }
        sleep(PAUSE).await;
    }
}

/// Why nobody can listen at an address, and what to do about it.
fn unavailable_words(error: &io::Error) -> String {
    match Cause::from(error) {
        Cause::AddressInUse => {
            "another program has this port, which may be another kamstrup2mqtt. \
                                     Stop that, or set `web.listen` to another port"
                .to_owned()
        }
        Cause::AddressElsewhere => "this machine does not have this address. Set `web.listen` to \
                                            one that it has, or to `0.0.0.0:8099` for all of them"
            .to_owned(),
        Cause::Denied => "this user may not use this port. Set `web.listen` to one from \
                                            1024 on"
            .to_owned(),
        Cause::Shortage => format!("{error}. {}", cause::SHORTAGE_HINT),
        _ => error.to_string(),
    }
}

/// Serves whoever may ask, and refuses others. Dropping the future closes all connections.
async fn serve(listener: TcpListener, site: &Site) {
    serve_by(router(site), listener, site.visitors).await;
}

async fn serve_by(router: Router, listener: TcpListener, visitors: Visitors) {
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

/// Who asks, over one connection.
#[derive(Debug, Clone)]
struct Guest {
    peer: IpAddr,
    /// The place of the connection; given up for one of those that are told of changes.
    seat: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    open: Arc<Semaphore>,
}

impl Guest {
    /// Takes a place among those that are told of changes, for as long as they want.
    fn stay(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.open).try_acquire_owned().ok()?;
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
        Some(place)
    }

    fn stays(&self) -> bool {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).is_none()
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

/// What is looked up once for all who look.
#[derive(Debug, Clone)]
struct Shared {
    memories: Cache,
    ports: Ports,
    readings: BlockingJobs,
}

impl Shared {
    fn new() -> Self {
        Self::by(BlockingJobs::readings(), BlockingJobs::ports())
    }

    fn by(readings: BlockingJobs, ports: BlockingJobs) -> Self {
        Self { memories: Cache::new(readings.clone()), ports: Ports::new(ports), readings }
    }
}

/// What can be asked to be done: each is a POST.
const ACTIONS: [(&str, Action); 5] = [
    ("/read", Action::Read),
    ("/placement", Action::Place),
    ("/placement/stop", Action::StopPlacing),
    ("/scan", Action::Scan),
    ("/scan/stop", Action::StopScanning),
];

/// What can be looked at: each is a GET. The router is made of these two lists alone, and
/// `openapi.json` describes the same.
fn views() -> [(&'static str, MethodRouter<Site>); 13] {
    let fixed = |kind, body| get(async move || with_headers(StatusCode::OK, kind, body));
    [
        ("/", get(show)),
        ("/part", get(part)),
        ("/script.js", fixed(SCRIPT, page::SCRIPT)),
        ("/icon.svg", fixed(SVG, page::ICON)),
        ("/style.css", fixed(CSS, page::STYLE)),
        ("/events", get(events)),
        ("/log", get(log)),
        (HEALTH, fixed(TEXT, HEALTHY)),
        ("/ready", get(ready)),
        ("/metrics", get(metrics)),
        ("/api/v1/state", get(state)),
        ("/api/v1/history", get(past)),
        ("/api/v1/openapi.json", fixed(JSON, api::DESCRIPTION)),
    ]
}

fn router(site: &Site) -> Router {
    router_with(site, Shared::new())
}

fn router_with(site: &Site, shared: Shared) -> Router {
    let visitors = site.visitors;
    let act = |action| {
        post(move |State(site): State<Site>, form: Result<Form<_>, FormRejection>| async move {
            act(&site, action, form.ok().map(|Form(form)| form))
        })
    };
    let actions = ACTIONS.into_iter().map(|(path, action)| (path, act(action)));
    let all = actions.chain(views());
    all.fold(Router::new(), |router, (path, answer)| router.route(path, answer))
        .fallback(async || with_headers(StatusCode::NOT_FOUND, TEXT, "There is no such page.\n"))
        .method_not_allowed_fallback(async || {
            with_headers(StatusCode::METHOD_NOT_ALLOWED, TEXT, "That cannot be done here.\n")
        })
        .layer(middleware::from_fn(move |guest, request, next| {
            check(visitors, guest, request, next)
        }))
        .layer(Extension(shared))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(site.clone())
}

/// Lets pass what somebody may ask for who was admitted.
async fn check(
    visitors: Visitors,
    Extension(guest): Extension<Guest>,
    request: Request,
    next: Next,
) -> Response {
    match access::check(visitors, guest.peer, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(access::Refusal(status, words)) => with_headers(status, TEXT, words),
    }
}

async fn show(
    State(site): State<Site>,
    Extension(shared): Extension<Shared>,
    query: Result<Query<Lines>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    match look(&site, &shared, query, &headers).await {
        Ok(look) => answered(HTML, page::render(&site.board, look)),
        Err(busy) => later(&busy),
    }
}

/// What of the page changes.
async fn part(
    State(site): State<Site>,
    Extension(shared): Extension<Shared>,
    query: Result<Query<Lines>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    match look(&site, &shared, query, &headers).await {
        Ok(look) => answered(HTML, page::parts(&site.board, look)),
        Err(busy) => later(&busy),
    }
}

/// What a visitor wants to see, and in which language. Of a level that there is not, all is shown.
async fn look(
    site: &Site,
    shared: &Shared,
    query: Result<Query<Lines>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Look, Busy> {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
    let level = query.ok().and_then(|Query(Lines { level })| level_of(&level?));
    let Now { wall, .. } = site.now();
    let (ports, memories) =
        tokio::join!(shared.ports.look(&site.board), shared.memories.look(site, &wall));
    Ok(Look {
        language: Language::accepted(accepted),
        level: level.unwrap_or(Level::TRACE),
        ports: ports?,
        memories,
        now: wall,
    })
}

/// Server-sent events.
async fn events(State(site): State<Site>, Extension(guest): Extension<Guest>) -> Response {
    const WORDS: &str = "Too many pages are open.\n";
    let Some(place) = guest.stay() else {
        return with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, WORDS);
    };
    let mut response = events::tell(&site.board, place).into_response();
    let headers = response.headers_mut();
    headers.extend(STRICT.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// Does what was asked for, and leads back to the page.
fn act(site: &Site, action: Action, form: Option<actions::Form>) -> Response {
    const WORDS: &str = "Which meter? Send its number as `meter`.\n";
    let Some(form) = form else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    if let Err(actions::Refusal(status, words)) = actions::act(&site.board, action, form.meter) {
        return with_headers(status, TEXT, words);
    }
    let page = match action {
        Action::Read | Action::Place | Action::Scan => "./",
        Action::StopPlacing | Action::StopScanning => "../",
    };
    let mut response = with_headers(StatusCode::SEE_OTHER, TEXT, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(page));
    response
}

/// Which lines of the log.
#[derive(Debug, Deserialize)]
struct Lines {
    level: Option<String>,
}

async fn log(State(site): State<Site>, query: Result<Query<Lines>, QueryRejection>) -> Response {
    const WORDS: &str = "`level` is one of DEBUG, INFO, WARNING and ERROR.\n";
    let level = match &query {
        Ok(Query(Lines { level: None })) => Some(Level::TRACE),
        Ok(Query(Lines { level: Some(level) })) => level_of(level),
        Err(_) => None,
    };
    let Some(level) = level else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    let lines = site.board.log().of(level);
    let lines = lines.iter().map(|line| format!("{} {:>5} {}\n", line.time, line.level, line.text));
    with_headers(StatusCode::OK, TEXT, lines.collect::<String>())
}

/// As `logging.level` has it.
fn level_of(text: &str) -> Option<Level> {
    match text.to_ascii_uppercase().as_str() {
        "DEBUG" => Some(Level::TRACE),
        "INFO" => Some(Level::INFO),
        "WARNING" | "WARN" => Some(Level::WARN),
        "ERROR" | "CRITICAL" => Some(Level::ERROR),
        _ => None,
    }
}

async fn ready(State(site): State<Site>) -> Response {
    match api::ready(&site.board) {
        Ok(()) => with_headers(StatusCode::OK, TEXT, "ready\n"),
        Err(words) => with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, words),
    }
}

async fn metrics(State(site): State<Site>) -> Response {
    answered(OPEN_METRICS, metrics::text(&site.board, &site.now()))
}

async fn state(State(site): State<Site>, Extension(shared): Extension<Shared>) -> Response {
    match shared.ports.look(&site.board).await {
        Ok(ports) => answered(JSON, api::state(&site.board, ports, &site.now())),
        Err(busy) => later(&busy),
    }
}

async fn past(
    State(site): State<Site>,
    Extension(shared): Extension<Shared>,
    query: Result<Query<past::Wanted>, QueryRejection>,
) -> Response {
    const WORDS: &str = "Which value? Send `meter` (its number) and `parameter` (its name).\n";
    let Ok(Query(wanted)) = query else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    match past::answer(&site, &shared.readings, wanted).await {
        Ok(json) => with_headers(StatusCode::OK, JSON, json),
        Err(past::Refusal(status, words)) => with_headers(status, TEXT, words),
    }
}

/// What takes too long is tried again by whoever asks.
fn later(busy: &Busy) -> Response {
    with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{busy}\n"))
}

fn answered(kind: &'static str, made: Result<String, impl std::fmt::Display>) -> Response {
    match made {
        Ok(text) => with_headers(StatusCode::OK, kind, text),
        Err(error) => {
            warn!("A program asked, and cannot be answered: {error}.");
            let words = "The answer cannot be made; the log says why.\n";
            with_headers(StatusCode::INTERNAL_SERVER_ERROR, TEXT, words)
        }
    }
}

impl Site {
    fn now(&self) -> Now {
        Now { wall: (self.clock)(), at: Instant::now() }
    }
}

/// What every answer has.
const STRICT: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With `no-referrer` a browser would not say either by whose page a button was pressed.
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

fn with_headers(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.extend(STRICT.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kmp::register::RegisterId;
    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::http;
    use crate::status::{BrokerState, Found, LastPoll, LogLine, MeterState, Placement, ScanState};
    use meter::poll::MeterHandle;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn site() -> Site {
        let clock = || "2026-11-24T10:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
        Site { board: Board::default(), history: None, visitors: Visitors::HomeAssistant, clock }
    }

    async fn start_by(router: Router) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve_by(router, listener, Visitors::Anybody));
        (address, serving)
    }

    async fn start(site: Site) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { serve(listener, &site).await });
        (address, serving)
    }

    async fn status(address: SocketAddr, path: &str) -> u16 {
        let url = format!("http://{address}{path}").parse().unwrap();
        http::get(url, None, PATIENCE).await.unwrap().status
    }

    async fn raw(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn every_answer_has_strict_headers() {
        let (address, _serving) = start(site()).await;
        let page = raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        let head = head
            .lines()
            .filter(|line| !line.starts_with("date: ") && !line.starts_with("content-length: "));
        insta::assert_snapshot!(head.collect::<Vec<_>>().join("\n"));
        assert!(body.contains("Which broker there is, is not known yet."), "{body}");
        let paths = [
            ("/style.css", 200),
            ("/log", 200),
            ("/log?level=loud", 400),
            ("/health", 200),
            ("/ready", 503),
            ("/metrics", 200),
            ("/api/v1/state", 200),
            ("/api/v1/openapi.json", 200),
            ("/nothing", 404),
        ];
        for (path, status) in paths {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = raw(address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
        }
        let post = raw(address, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 403 "), "{post}");
        let post = b"POST / HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n\r\n";
        let post = raw(address, post).await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    }

    async fn post(address: SocketAddr, path: &str, form: &str) -> String {
        let length = form.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
        );
        raw(address, request.as_bytes()).await
    }

    fn meter(title: &str) -> MeterState {
        MeterState::new(title.to_owned(), "/dev/ttyUSB0".to_owned(), Duration::from_secs(300))
    }

    #[tokio::test]
    async fn what_is_asked_for_is_passed_on() {
        let site = site();
        let handle = MeterHandle::default();
        site.board.set_handles(vec![(7, handle.clone())]);
        site.board.set_meters(vec![(7, meter("a"))]);
        let (address, _serving) = start(site).await;
        let read = post(address, "/read", "meter=7").await;
        assert!(read.starts_with("HTTP/1.1 303 "), "{read}");
        assert!(read.contains("\r\nlocation: ./\r\n"), "{read}");
        timeout(PATIENCE, handle.poll_requested()).await.unwrap();
        for (path, form, status) in [
            ("/read", "meter=8", 404),
            ("/read", "", 400),
            ("/read", "meter=-1", 400),
            ("/read", "metre=7", 400),
            // Nobody polls it, so nobody takes it.
            ("/placement", "meter=7", 409),
            ("/scan", "meter=7", 409),
            ("/scan/stop", "meter=7", 303),
            ("/nothing", "meter=7", 404),
        ] {
            let answer = post(address, path, form).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {form}: {answer}");
        }
        let stopped = post(address, "/placement/stop", "meter=7").await;
        assert!(stopped.contains("\r\nlocation: ../\r\n"), "{stopped}");
        let long = format!("meter=7&x={}", "x".repeat(LONGEST_FORM));
        let long = post(address, "/read", &long).await;
        assert!(long.starts_with("HTTP/1.1 400 "), "{long}");
        let foreign = b"POST /read HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\n";
        assert!(raw(address, foreign).await.starts_with("HTTP/1.1 403 "));
    }

    /// Sends a request that may have no end of its answer. Gives its status, and of what kind it is
    /// where it has a body.
    async fn asked(address: SocketAddr, head: &str, form: &str) -> (String, Option<String>) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = form.len();
        let request = format!(
            "{head}Content-Length: {length}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\n\r\n{form}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut answer = Vec::new();
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
            if line.is_empty() {
                break;
            }
            answer.push(line);
        }
        let header = |name: &str| answer.iter().find_map(|line| line.strip_prefix(name));
        let kind = header("content-type: ").filter(|_| header("content-length: ") != Some("0"));
        let kind = kind.map(|kind| kind.split(';').next().unwrap().to_owned());
        (answer[0].split(' ').nth(1).unwrap().to_owned(), kind)
    }

    /// What cannot be provoked: whatever stands on the board, an answer can be made of it.
    const NEVER: [(&str, &str); 4] =
        [("/", "500"), ("/part", "500"), ("/metrics", "500"), ("/api/v1/state", "500")];

    /// All that can be asked for is described, and nothing else is: each with what it answers, and
    /// each refusal.
    #[tokio::test]
    async fn what_can_be_asked_for_is_described() {
        let description: Value = serde_json::from_str(api::DESCRIPTION).unwrap();
        let mut described = BTreeMap::new();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap().iter();
                let answers = answers.map(|(status, answer)| {
                    let shared = answer["$ref"].as_str();
                    let shared = shared
                        .map(|name| description.pointer(name.strip_prefix('#').unwrap()).unwrap());
                    let content = shared.unwrap_or(answer)["content"].as_object();
                    let kind = content.map(|content| content.keys().next().unwrap().clone());
                    (status.clone(), kind)
                });
                let of = (method.to_ascii_uppercase(), path.clone());
                described.insert(of, answers.collect::<BTreeMap<_, _>>());
            }
        }
        for (path, status) in NEVER {
            let answers = described.get_mut(&("GET".to_owned(), path.to_owned())).unwrap();
            assert!(answers.remove(status).is_some(), "{path} {status}");
        }
        let views = views().map(|(path, _)| ("GET".to_owned(), path.to_owned()));
        let actions = ACTIONS.map(|(path, _)| ("POST".to_owned(), path.to_owned()));
        let mut all: Vec<_> = views.into_iter().chain(actions).collect();
        all.sort_unstable();
        assert_eq!(described.keys().cloned().collect::<Vec<_>>(), all);

        let folder = tempfile::tempdir().unwrap();
        let site = past::tests::site(folder.path());
        let board = site.board.clone();
        let handles = [3, 4].map(|number| (number, MeterHandle::default()));
        for (_, handle) in &handles {
            handle.accept_jobs();
        }
        board.set_handles(handles.to_vec());
        // So that the log is not empty.
        let (time, text) = ("2026-11-24T10:00:00+01:00".to_owned(), "one".to_owned());
        board.log().add(LogLine { time, level: Level::ERROR, text });
        let (address, _serving) = start(site.clone()).await;
        let (near, far) = ("Host: x\r\nOrigin: http://x\r\n", "Host: x\r\nOrigin: http://y\r\n");
        let mut seen: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let mut ask = async |at, (method, path): &(String, String), query, headers, form| {
            let head = format!("{method} {path}{query} HTTP/1.1\r\n{headers}");
            let (status, kind) = asked(at, &head, form).await;
            let statuses = seen.entry((method.clone(), path.clone())).or_default();
            let known = statuses.entry(status).or_insert_with(|| kind.clone());
            assert_eq!(*known, kind, "{head}");
        };
        for of @ (method, path) in &all {
            ask(address, of, "", "Host: x.example\r\n", "").await;
            if method == "GET" {
                for query in [
                    "",
                    "?level=loud",
                    "?meter=3&parameter=energy",
                    "?meter=3&parameter=x",
                    "?meter=3&parameter=energy&to=x",
                ] {
                    ask(address, of, query, "Host: x\r\n", "").await;
                }
            } else {
                // The second time it is busy.
                let meter = if path.starts_with("/scan") { "meter=4" } else { "meter=3" };
                for form in [meter, meter, "meter=5", "meter=x"] {
                    ask(address, of, "", near, form).await;
                }
                ask(address, of, "", far, meter).await;
            }
            let other = if method == "GET" { "POST" } else { "GET" };
            let (status, _) =
                asked(address, &format!("{other} {path} HTTP/1.1\r\n{near}"), "").await;
            assert_eq!(status, "405", "{other} {path}");
        }

        // All is well now, but for the file of what was read, and so many look that no other page can.
        let name = "broker:1883".to_owned();
        board.set_broker(BrokerState::Connected { name, since: Instant::now() });
        for number in [3, 4] {
            board.meter(number, |meter| {
                meter.last = Some(LastPoll { at: Instant::now(), answered: true, trouble: None });
            });
        }
        std::fs::write(folder.path().join("history.db"), "no database").unwrap();
        let mut open = Vec::new();
        loop {
            let mut stream = listening(address).await;
            if line_with(&mut stream, "HTTP").await != "HTTP/1.1 200 OK" {
                break;
            }
            open.push(stream);
        }
        // And where nothing can be looked up.
        let shared = Shared::by(BlockingJobs::closed(), BlockingJobs::closed());
        let (busy, _serving_too) = start_by(router_with(&site, shared)).await;
        for of in all.iter().filter(|(method, _)| method == "GET") {
            for address in [address, busy] {
                ask(address, of, "?meter=3&parameter=energy", "Host: x\r\n", "").await;
            }
        }
        assert_eq!(seen, described);
    }

    /// Opens the stream of events.
    async fn listening(address: SocketAddr) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        BufReader::new(stream)
    }

    /// The next line of it with this text.
    async fn line_with(stream: &mut BufReader<TcpStream>, text: &str) -> String {
        let search = async {
            loop {
                let mut line = String::new();
                assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "it has ended");
                if line.contains(text) {
                    return line.trim().to_owned();
                }
            }
        };
        timeout(PATIENCE, search).await.unwrap()
    }

    #[tokio::test]
    async fn who_listens_is_told_of_changes() {
        let site = site();
        let board = site.board.clone();
        board.set_meters(vec![(7, meter("a"))]);
        let (address, _serving) = start(site).await;
        let mut stream = listening(address).await;
        assert_eq!(line_with(&mut stream, "HTTP").await, "HTTP/1.1 200 OK");
        line_with(&mut stream, "content-type: text/event-stream").await;
        line_with(&mut stream, "content-security-policy: default-src 'none'").await;
        // What has changed since the page was made is not known.
        line_with(&mut stream, "event: changed").await;
        let begun = Instant::now();
        // A thousand changes, one event, a second after the last one.
        (0..1000).for_each(|_| board.meter(7, |meter| meter.fault = None));
        line_with(&mut stream, "event: changed").await;
        assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
        let placement = |asked, hits| Placement {
            running: true,
            asked,
            hits,
            hit: Some(true),
            left: Duration::from_millis(108_900),
            ..Placement::default()
        };
        board.progress(7, |meter| meter.placement = Some(placement(12, 9)));
        line_with(&mut stream, "event: placement").await;
        let data = line_with(&mut stream, "data: ").await;
        assert_eq!(data, r#"data: {"meter":7,"hit":true,"asked":12,"hits":9,"left":108}"#);
        // The next one begins anew.
        board.progress(7, |meter| meter.placement = Some(placement(1, 1)));
        let data = line_with(&mut stream, "data: ").await;
        assert_eq!(data, r#"data: {"meter":7,"hit":true,"asked":1,"hits":1,"left":108}"#);
        let found = |register: u16| {
            let (name, text) = (register.to_string(), Some("1".to_owned()));
            Found { register: RegisterId::new(register), name, label: None, text, unit: None }
        };
        let scan = |asked, numbers: &[u16]| {
            let found = numbers.iter().copied().map(found).collect();
            Some(ScanState { running: true, asked, of: 1400, found, ..ScanState::default() })
        };
        board.progress(7, |meter| meter.scan = scan(8, &[1, 2]));
        let data = line_with(&mut stream, "data: ").await;
        assert!(
            data.contains(r#""asked":8,"of":1400"#) && data.contains(r#""register":2"#),
            "{data}"
        );
        // Only what is new.
        board.progress(7, |meter| meter.scan = scan(16, &[1, 2, 3]));
        let data = line_with(&mut stream, "data: ").await;
        assert_eq!(data.matches("register").count(), 1, "{data}");
        assert!(data.contains(r#""register":3"#), "{data}");
    }

    /// Pages that are open longer than any request may take keep nobody else out, and those are
    /// bounded as well; one that goes makes room.
    #[tokio::test]
    async fn open_pages_have_places_of_their_own() {
        let site = site();
        let board = site.board.clone();
        let (address, _serving) = start(site).await;
        let mut open = Vec::new();
        for _ in 0..MOST_OPEN {
            let mut stream = listening(address).await;
            line_with(&mut stream, "event: changed").await;
            open.push(stream);
        }
        let begun = Instant::now();
        let mut refused = listening(address).await;
        assert_eq!(line_with(&mut refused, "HTTP").await, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(status(address, HEALTH).await, 200);
        open.pop();
        // The place is free when the next event finds nobody.
        let freed = async {
            loop {
                board.set_up(|_| {});
                let mut stream = listening(address).await;
                if line_with(&mut stream, "HTTP").await == "HTTP/1.1 200 OK" {
                    return;
                }
            }
        };
        timeout(PATIENCE, freed).await.unwrap();
        let (first, rest) = open.split_first_mut().unwrap();
        // A sign of life comes every 15 s, long after all that is bounded in time has ended.
        line_with(first, ":").await;
        let alive = async {
            while begun.elapsed() < WHOLE + Duration::from_secs(1) {
                line_with(first, ":").await;
            }
        };
        timeout(PATIENCE, alive).await.unwrap();
        board.set_up(|_| {});
        for stream in rest {
            line_with(stream, "event: changed").await;
        }
    }

    #[tokio::test]
    async fn others_are_told_where_the_page_is_only_where_they_can_reach_it() {
        let (sender, address) = watch::channel(None);
        let (found, mut page) = watch::channel(Some("before".to_owned()));
        let finding = tokio::spawn(find(address, ("127.0.0.1".to_owned(), 1883), found));
        let mut shown = Vec::new();
        let addresses = [
            None,
            Some("192.168.1.5:8099"),
            Some("127.0.0.1:8099"),
            Some("[fd00::1]:80"),
            // The broker is on this machine as well.
            Some("0.0.0.0:8099"),
        ];
        for address in addresses {
            sender.send_replace(address.map(|address| address.parse().unwrap()));
            timeout(PATIENCE, page.changed()).await.unwrap().unwrap();
            shown.push(page.borrow_and_update().clone());
        }
        let shown: Vec<_> = shown.iter().map(Option::as_deref).collect();
        let [here, there] = ["http://192.168.1.5:8099", "http://[fd00::1]:80"];
        assert_eq!(shown, [None, Some(here), None, Some(there), None]);
        drop(sender);
        timeout(PATIENCE, finding).await.unwrap().unwrap();
    }

    /// At the start the network may not be there yet.
    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_not_known_yet_is_found_later() {
        let all = "0.0.0.0:8099".parse().unwrap();
        let (_sender, address) = watch::channel(Some(all));
        let (found, mut page) = watch::channel(None);
        let asked = AtomicUsize::new(0);
        let seen = || async {
            if asked.fetch_add(1, Ordering::Relaxed) < 3 {
                return Err(io::ErrorKind::NetworkUnreachable.into());
            }
            Ok(IpAddr::from([192, 168, 1, 5]))
        };
        let begun = Instant::now();
        tokio::select! {
            () = find_by(address, seen, found) => {}
            changed = page.changed() => changed.unwrap(),
        }
        assert_eq!(begun.elapsed(), 3 * PAUSE);
        assert_eq!(page.borrow().as_deref(), Some("http://192.168.1.5:8099"));
    }

    /// A page without charts helps more than none; without its ports it would not be true.
    #[tokio::test]
    async fn what_cannot_be_looked_up_is_not_answered() {
        let folder = tempfile::tempdir().unwrap();
        let site = past::tests::site(folder.path());
        let history = "/api/v1/history?meter=3&parameter=energy";
        let paths = ["/", "/part", "/api/v1/state", history, HEALTH, "/metrics"];
        let by = async |readings: &BlockingJobs, ports: &BlockingJobs| {
            let router = router_with(&site, Shared::by(readings.clone(), ports.clone()));
            let (address, _serving) = start_by(router).await;
            let mut all = Vec::new();
            for path in paths {
                all.push(status(address, path).await);
            }
            all
        };
        let (readings, ports, none) =
            (BlockingJobs::readings(), BlockingJobs::ports(), BlockingJobs::closed());
        assert_eq!(by(&readings, &ports).await, [200; 6]);
        assert_eq!(by(&none, &ports).await, [200, 200, 200, 503, 200, 200]);
        assert_eq!(by(&readings, &none).await, [503, 503, 503, 200, 200, 200]);
        assert_eq!(by(&none, &none).await, [503, 503, 503, 503, 200, 200]);
    }

    #[tokio::test]
    async fn lines_of_the_log_go_by_level() {
        let site = site();
        for (level, text) in [(Level::INFO, "one"), (Level::WARN, "two"), (Level::DEBUG, "three")] {
            let (time, text) = ("2026-11-24T10:00:00+01:00".to_owned(), text.to_owned());
            site.board.log().add(LogLine { time, level, text });
        }
        let (address, _serving) = start(site).await;
        let log = async |query: &str| {
            let request = format!("GET /log{query} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = raw(address, request.as_bytes()).await;
            answer.split_once("\r\n\r\n").unwrap().1.replace("2026-11-24T10:00:00+01:00", "T")
        };
        assert_eq!(log("").await, "T  INFO one\nT  WARN two\nT DEBUG three\n");
        assert_eq!(log("?level=INFO").await, "T  INFO one\nT  WARN two\n");
        assert_eq!(log("?level=warning").await, "T  WARN two\n");
        assert_eq!(log("?level=ERROR").await, "");
    }

    #[tokio::test]
    async fn the_page_moves_when_it_is_told_to() {
        let (sender, address) = watch::channel(None);
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(address, site(), stop.clone()));
        let mut before = None;
        for _ in 0..2 {
            let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = holder.local_addr().unwrap();
            drop(holder);
            sender.send_replace(Some(address));
            let asked = async {
                let url: reqwest::Url = format!("http://{address}{HEALTH}").parse().unwrap();
                while http::get(url.clone(), None, PATIENCE).await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, asked).await.unwrap();
            if let Some(before) = before.replace(address) {
                assert!(TcpStream::connect(before).await.is_err());
            }
        }
        stop.cancel();
        timeout(PATIENCE, running).await.unwrap().unwrap();
    }

    /// Who holds all places keeps others out until they are free again, and no longer.
    #[tokio::test]
    async fn connections_are_bounded_in_number_and_time() {
        let (address, _serving) = start(site()).await;
        let mut idle = Vec::new();
        for _ in 0..MOST {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // Accepted after these, and closed.
        let mut one_more = TcpStream::connect(address).await.unwrap();
        let read = timeout(PATIENCE, one_more.read(&mut [0])).await.unwrap();
        assert_eq!(read.unwrap_or(0), 0);
        // Those that say nothing are closed.
        for mut stream in idle {
            let mut answer = Vec::new();
            let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        }
        assert_eq!(status(address, HEALTH).await, 200);
    }

    /// As where somebody reads nothing of the answer.
    #[tokio::test]
    async fn no_answer_takes_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pending::<Response>);
        let mut serving = JoinSet::new();
        serving.spawn(serve_by(router, listener, Visitors::HomeAssistant));
        assert_eq!(raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    }

    #[tokio::test]
    async fn a_request_without_end_is_refused() {
        let (address, _serving) = start(site()).await;
        let mut request = b"GET / HTTP/1.1\r\nX: ".to_vec();
        request.resize(LONGEST + 1, b'x');
        let answer = raw(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_tried_again() {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = holder.local_addr().unwrap();
        let waiting = tokio::spawn(async move { listen(address).await.local_addr().unwrap() });
        tokio::task::yield_now().await;
        drop(holder);
        assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), address);
    }
}
