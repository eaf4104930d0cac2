//! The paths, and the handler of each.

use std::borrow::Cow;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Form, FromRequest, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::Deserialize;
use tokio::time::timeout_at;
use tracing::Level;

use super::access;
use super::actions::{self, Action};
use super::blocking::{BlockingJobs, JobFailed};
use super::guest::Guest;
use super::head;
use super::locked;
use super::memory::{Cache, Range};
use super::now::Now;
use super::page::{self, PageInput};
use super::paging::PageNumber;
use super::ports::{LocalPorts, Ports, used};
use super::response::{
    CSS, HTML, HttpRefusal, JSON, OPEN_METRICS, SCRIPT, STRICT, SVG, TEXT, answered, later,
    to_page, with_headers,
};
use super::setup;
use super::state::PageState;
use super::turns::Turns;
use super::{api, events, metrics, past, statistics};
use meter::{RunsAs, container};

/// The path that says whether the program is running.
pub(crate) const HEALTH: &str = "/health";

/// The body of the response there.
pub(crate) const HEALTHY: &str = "ok";

/// The longest form in a request, in bytes.
pub(super) const LONGEST_FORM: usize = 4096;

/// Shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    memories: Cache,
    ports: Ports,
    readings: BlockingJobs,
    /// Whose cost grows with the number of meters.
    pub(super) turns: Turns,
}

impl Shared {
    fn new() -> Self {
        Self::by(BlockingJobs::readings(), BlockingJobs::ports())
    }

    pub(super) fn by(readings: BlockingJobs, ports: BlockingJobs) -> Self {
        let (memories, ports) = (Cache::new(readings.clone()), Ports::new(ports));
        Self { memories, ports, readings, turns: Turns::default() }
    }
}

/// The path to which a visitor sends the token: a POST.
pub(super) const TOKEN: &str = "/token";

/// The actions: each is a POST.
pub(super) const ACTIONS: [(&str, Action); 5] = [
    ("/read", Action::Read),
    ("/placement", Action::Place),
    ("/placement/stop", Action::StopPlacing),
    ("/scan", Action::Scan),
    ("/scan/stop", Action::StopScanning),
];

/// The buttons that find the optical head, and those that take what was found: each is a POST.
pub(super) fn finding() -> [(&'static str, MethodRouter<PageState>); 5] {
    [
        ("/find", post(head::list)),
        ("/find/start", post(head::start)),
        ("/find/stop", post(head::stop)),
        ("/find/use", post(head::use_port)),
        ("/scan/use", post(head::use_values)),
    ]
}

/// The buttons for Home Assistant's statistics: each is a POST.
pub(super) fn filling() -> [(&'static str, MethodRouter<PageState>); 4] {
    [
        ("/statistics/look", post(statistics::look)),
        ("/statistics/fill", post(statistics::fill)),
        ("/statistics/stop", post(statistics::stop)),
        ("/statistics/undo", post(statistics::undo)),
    ]
}

/// The views: each is a GET. The router consists of these lists, and `openapi.json` describes
/// them.
pub(super) fn views() -> [(&'static str, MethodRouter<PageState>); 15] {
    let fixed = |kind, body| get(async move || with_headers(StatusCode::OK, kind, body));
    [
        ("/", get(show)),
        ("/part", get(part)),
        ("/script.js", fixed(SCRIPT, page::SCRIPT)),
        ("/icon.svg", fixed(SVG, page::ICON)),
        ("/icon-odd.svg", fixed(SVG, page::ICON_ODD)),
        ("/icon-bad.svg", fixed(SVG, page::ICON_BAD)),
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

pub(super) fn router(page_state: &PageState) -> Router {
    router_with(page_state, Shared::new())
}

pub(super) fn router_with(page_state: &PageState, shared: Shared) -> Router {
    let checked = page_state.clone();
    let act = |action| {
        post(
            move |State(page_state): State<PageState>, form: Result<Form<_>, FormRejection>| async move {
                act(&page_state, action, form.ok().map(|Form(form)| form))
            },
        )
    };
    let actions = ACTIONS.into_iter().map(|(path, action)| (path, act(action)));
    let buttons = actions.chain(finding()).chain(filling());
    let all = buttons.chain(views()).chain([(TOKEN, post(locked::unlock))]);
    all.fold(Router::new(), |router, (path, answer)| router.route(path, answer))
        .fallback(async || with_headers(StatusCode::NOT_FOUND, TEXT, "Page not found.\n"))
        .method_not_allowed_fallback(async || {
            with_headers(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method not allowed.\n")
        })
        .layer(middleware::from_fn(move |guest, request, next| {
            check(checked.clone(), guest, request, next)
        }))
        .layer(Extension(shared.ports.clone()))
        .layer(Extension(shared))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(page_state.clone())
}

const TOO_SLOW: HttpRefusal = HttpRefusal(
    StatusCode::REQUEST_TIMEOUT,
    Cow::Borrowed("The request was not complete within 3 s. Send it again.\n"),
);

/// A form with more bytes than this.
fn too_long(longest: usize) -> HttpRefusal {
    let words = format!("The form has more than {longest} bytes. Send only its fields.\n");
    HttpRefusal(StatusCode::PAYLOAD_TOO_LARGE, words.into())
}

/// Passes on the requests that are whole and allowed.
async fn check(
    page_state: PageState,
    Extension(guest): Extension<Guest>,
    request: Request,
    next: Next,
) -> Response {
    let PageState { visitors, token, .. } = &page_state;
    if let Err(refusal) = access::check(*visitors, guest.peer, request.method(), request.headers())
    {
        return refusal.into_response();
    }
    if !access::changes_something(request.method()) {
        guest.seat.note_whole_request();
        return next.run(request).await;
    }
    let request = match whole(request, &guest, LONGEST_FORM).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    guest.seat.note_whole_request();
    // The file is written. It needs no token to learn that.
    if page_state.setup.is_some()
        && let Some(path) = setup::way_back(request.uri().path())
    {
        return to_page(path);
    }
    // The token itself is in the form there.
    if request.uri().path() != TOKEN
        && let Err(denied) = access::check_right(*visitors, token, guest.peer, request.headers())
    {
        return locked::refuse(denied, request.uri().path(), request.headers());
    }
    next.run(request).await
}

/// A request with its whole body.
pub(super) async fn whole(
    request: Request,
    guest: &Guest,
    longest: usize,
) -> Result<Request, HttpRefusal> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    match timeout_at(guest.deadline, Bytes::from_request(request, &())).await {
        Err(_) => Err(TOO_SLOW),
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_long(longest))
        }
        // The connection broke.
        Ok(Err(rejection)) => Err(HttpRefusal(rejection.status(), rejection.body_text().into())),
    }
}

async fn show(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
    Extension(guest): Extension<Guest>,
    query: Result<Query<Lines>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    match input(&page_state, &shared, &guest, query, &headers).await {
        Ok((found, input)) => {
            let board = &page_state.board;
            let page = || page::render(board, PageInput { ports: used(&found, board), ..input });
            answered(HTML, shared.turns.make(page).await)
        }
        Err(busy) => later(&busy, page_state.visitors.runs_as()),
    }
}

/// The parts of the page that change.
async fn part(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
    Extension(guest): Extension<Guest>,
    query: Result<Query<Lines>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    match input(&page_state, &shared, &guest, query, &headers).await {
        Ok((found, input)) => {
            let board = &page_state.board;
            let parts = || page::parts(board, PageInput { ports: used(&found, board), ..input });
            answered(HTML, shared.turns.make(parts).await)
        }
        Err(busy) => later(&busy, page_state.visitors.runs_as()),
    }
}

/// The ports, and the visitor's language and wishes. With an unknown level, the page shows all
/// lines.
async fn input(
    page_state: &PageState,
    shared: &Shared,
    guest: &Guest,
    query: Result<Query<Lines>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<(LocalPorts, PageInput), JobFailed> {
    let PageState { visitors, token, .. } = page_state;
    let is_locked = !access::may_act(*visitors, token, guest.peer, headers);
    let Lines { level, range, page } = query.map(|Query(lines)| lines).unwrap_or_default();
    let level = level.and_then(|level| level_of(&level));
    let range = range.and_then(|range| Range::by_key(&range)).unwrap_or_default();
    let page = page.and_then(|page| PageNumber::by_key(&page)).unwrap_or_default();
    let Now { wall, .. } = page_state.now();
    let (ports, memories) =
        tokio::join!(shared.ports.found(), shared.memories.look(page_state, &wall, range, page));
    let input = PageInput {
        language: locked::language(headers),
        level: level.unwrap_or(Level::TRACE),
        ports: Vec::new(),
        page,
        memories,
        now: wall,
        is_locked,
        in_container: page_state.visitors.runs_as() == RunsAs::Program && container::is_container(),
        port_lines: page_state.changes.is_none().then_some(page_state.port_lines),
    };
    Ok((ports?, input))
}

/// Server-sent events.
async fn events(
    State(page_state): State<PageState>,
    Extension(guest): Extension<Guest>,
) -> Response {
    let stream = guest.stay().await;
    let mut response = events::tell(&page_state.board, stream).into_response();
    let headers = response.headers_mut();
    headers.extend(STRICT.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// Does an action, and redirects to the page.
fn act(page_state: &PageState, action: Action, form: Option<actions::Form>) -> Response {
    const WORDS: &str = "`meter` is missing or invalid. Send the number of a meter, as a form \
                         (`application/x-www-form-urlencoded`).\n";
    let Some(form) = form else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    if let Err(refusal) = actions::act(page_state, action, form.meter) {
        return refusal.into_response();
    }
    to_page(match action {
        Action::Read | Action::Place | Action::Scan => "./",
        Action::StopPlacing | Action::StopScanning => "../",
    })
}

#[derive(Debug, Default, Deserialize)]
struct Lines {
    level: Option<String>,
    range: Option<String>,
    /// Of many meters.
    page: Option<String>,
}

async fn log(
    State(page_state): State<PageState>,
    query: Result<Query<Lines>, QueryRejection>,
) -> Response {
    const WORDS: &str = "`level` must be DEBUG, INFO, WARNING or ERROR.\n";
    let level = match &query {
        Ok(Query(Lines { level: None, .. })) => Some(Level::TRACE),
        Ok(Query(Lines { level: Some(level), .. })) => level_of(level),
        Err(_) => None,
    };
    let Some(level) = level else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    let lines = page_state.board.log().of(level);
    let lines = lines.iter().map(|line| format!("{} {:>5} {}\n", line.time, line.level, line.text));
    with_headers(StatusCode::OK, TEXT, lines.collect::<String>())
}

/// The same names as in `logging.level`.
fn level_of(text: &str) -> Option<Level> {
    match text.to_ascii_uppercase().as_str() {
        "DEBUG" => Some(Level::TRACE),
        "INFO" => Some(Level::INFO),
        "WARNING" | "WARN" => Some(Level::WARN),
        "ERROR" | "CRITICAL" => Some(Level::ERROR),
        _ => None,
    }
}

async fn ready(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
) -> Response {
    match shared.turns.make(|| api::ready(&page_state.board)).await {
        Ok(()) => with_headers(StatusCode::OK, TEXT, "ready\n"),
        Err(words) => with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, words),
    }
}

async fn metrics(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
) -> Response {
    let text = || metrics::text(&page_state.board, &page_state.now());
    answered(OPEN_METRICS, shared.turns.make(text).await)
}

async fn state(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
) -> Response {
    match shared.ports.found().await {
        Ok(found) => {
            let board = &page_state.board;
            let state = || api::state(board, used(&found, board), &page_state.now());
            answered(JSON, shared.turns.make(state).await)
        }
        Err(busy) => later(&busy, page_state.visitors.runs_as()),
    }
}

async fn past(
    State(page_state): State<PageState>,
    Extension(shared): Extension<Shared>,
    query: Result<Query<past::Query>, QueryRejection>,
) -> Response {
    const WORDS: &str = "The query is invalid. Send each of its parts once.\n";
    let Ok(Query(wanted)) = query else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    match past::answer(&page_state, &shared.readings, wanted).await {
        Ok(json) => with_headers(StatusCode::OK, JSON, json),
        Err(refusal) => refusal.into_response(),
    }
}
