//! The page that says how it goes: for Home Assistant's sidebar, and for whoever is on this machine.
//!
//! It only looks. Every other add-on can reach its port, so who is neither Home Assistant nor on this
//! machine is refused; and nobody can keep it busy: connections, requests and times are bounded.

mod page;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::status::Board;

/// Where the page is in an add-on: Home Assistant asks from its own network.
pub const IN_ADD_ON: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);

/// Where it is looked for on this machine.
pub const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// The port that Home Assistant expects where an add-on does not say otherwise.
const PORT: u16 = 8099;

/// Who asks for Home Assistant's users, after they have logged in there.
const HOME_ASSISTANT: Ipv4Addr = Ipv4Addr::new(172, 30, 32, 2);

/// Where the program says that it turns.
pub const HEALTH: &str = "/health";

/// What it says there.
pub const HEALTHY: &str = "ok";

/// So many connections at a time, and so many to be refused.
const MOST: usize = 16;
const MOST_STRANGERS: usize = 4;

/// How long a request may take to come, and a connection to last.
const HEAD: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// The longest request.
const LONGEST: usize = 16 * 1024;

/// Until the next attempt where the port cannot be had.
const PAUSE: Duration = Duration::from_secs(10);

/// After a connection that could not be taken, as when there are no more file handles.
const BREATH: Duration = Duration::from_millis(100);

/// Nothing but the page and its own style, and no other page around it than Home Assistant's, in
/// whose name it comes.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Shows the board at this address until `stop` is cancelled. Where the port cannot be had, that is
/// said once and tried again.
pub async fn run(address: SocketAddr, board: Board, stop: CancellationToken) {
    let serving = async {
        let listener = listen(address).await;
        serve(listener, router(board), may_ask).await;
    };
    stop.run_until_cancelled(serving).await;
}

async fn listen(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                // Port 0 stands for any.
                let address = listener.local_addr().unwrap_or(address);
                info!("The status page is at http://{address}.");
                return listener;
            }
            Err(error) if told => debug!("The status page cannot be at {address}: {error}."),
            Err(error) => {
                told = true;
                warn!(
                    "The status page cannot be at {address}: {error}. Trying again until it works; \
                     this is said only once."
                );
            }
        }
        sleep(PAUSE).await;
    }
}

/// Serves whoever may ask, and refuses others. Dropping the future closes all connections.
async fn serve(listener: TcpListener, router: Router, may_ask: fn(IpAddr) -> bool) {
    let mut connections = JoinSet::new();
    let seats = Arc::new(Semaphore::new(MOST));
    let door = Arc::new(Semaphore::new(MOST_STRANGERS));
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!("The status page cannot be asked: {error}.");
                sleep(BREATH).await;
                continue;
            }
        };
        let (places, router) = if may_ask(peer.ip().to_canonical()) {
            (&seats, router.clone())
        } else {
            (&door, refusing())
        };
        // Where all places are taken, the connection is closed.
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { continue };
        connections.spawn(answer(stream, router, place));
    }
}

fn may_ask(peer: IpAddr) -> bool {
    peer.is_loopback() || peer == IpAddr::V4(HOME_ASSISTANT)
}

/// Answers one request.
async fn answer(stream: TcpStream, router: Router, _place: OwnedSemaphorePermit) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST).keep_alive(false);
    let answered = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(WHOLE, answered).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("The status page was asked oddly: {error}."),
        Err(_) => debug!("The status page was asked too slowly."),
    }
}

fn refusing() -> Router {
    const WORDS: &str = "This page is for Home Assistant and for this machine alone.\n";
    Router::new().fallback(async || with_headers(StatusCode::FORBIDDEN, TEXT, WORDS))
}

fn router(board: Board) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/style.css", get(async || with_headers(StatusCode::OK, CSS, page::STYLE)))
        .route(HEALTH, get(async || with_headers(StatusCode::OK, TEXT, HEALTHY)))
        .fallback(async || with_headers(StatusCode::NOT_FOUND, TEXT, "There is no such page.\n"))
        .with_state(board)
}

async fn show(State(board): State<Board>) -> Response {
    match page::render(&board) {
        Ok(page) => with_headers(StatusCode::OK, HTML, page),
        Err(error) => {
            warn!("The status page cannot be made: {error}.");
            let words = "The page cannot be made; the log says why.\n";
            with_headers(StatusCode::INTERNAL_SERVER_ERROR, TEXT, words)
        }
    }
}

fn with_headers(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, headers, body.into()).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::fetch::{self, Server};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The page, served to those of whom `may_ask` says so.
    async fn start(may_ask: fn(IpAddr) -> bool) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, router(Board::default()), may_ask));
        (address, serving)
    }

    async fn status(address: SocketAddr, path: &str) -> u16 {
        let server = Server::new(address.ip().to_string(), address.port());
        fetch::get(&server, path, None, PATIENCE).await.unwrap().status
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
        let (address, _serving) = start(may_ask).await;
        let page = raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        let head = head
            .lines()
            .filter(|line| !line.starts_with("date: ") && !line.starts_with("content-length: "));
        insta::assert_snapshot!(head.collect::<Vec<_>>().join("\n"));
        assert!(body.contains("Which broker there is, is not known yet."), "{body}");
        for (path, status) in [("/style.css", 200), ("/health", 200), ("/nothing", 404)] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = raw(address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
        }
        let post = raw(address, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    }

    #[tokio::test]
    async fn strangers_are_refused() {
        let (address, _serving) = start(|_| false).await;
        for path in ["/", "/health", "/nothing"] {
            assert_eq!(status(address, path).await, 403, "{path}");
        }
    }

    #[test]
    fn home_assistant_and_this_machine_may_ask() {
        let allowed = ["172.30.32.2", "127.0.0.1", "127.3.2.1", "::1"];
        let others = ["172.30.32.1", "172.30.33.2", "192.168.1.2", "10.0.0.1", "fe80::1", "::"];
        assert!(allowed.iter().all(|peer| may_ask(peer.parse().unwrap())));
        assert!(!others.iter().any(|peer| may_ask(peer.parse().unwrap())));
    }

    /// Who holds all places keeps others out until they are free again, and no longer.
    #[tokio::test]
    async fn connections_are_bounded_in_number_and_time() {
        let (address, _serving) = start(may_ask).await;
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
        let router = Router::new().fallback(std::future::pending::<Response>);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, router, may_ask));
        assert_eq!(raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    }

    #[tokio::test]
    async fn a_request_without_end_is_refused() {
        let (address, _serving) = start(may_ask).await;
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
