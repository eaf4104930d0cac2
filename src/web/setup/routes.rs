//! The paths of the setup page, and the handler of each.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Form, Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::fields::Fields;
use super::paths::BEGIN;
use super::screen::{self, Code, Screen};
use super::session::{Right, SetupPage};
use crate::config::Secret;
use crate::setup::{Step, TypedBroker, WriteError};
use crate::status::Board;
use crate::web::access;
use crate::web::blocking::{BlockingJobs, JobFailed};
use crate::web::guest::Guest;
use crate::web::locked::language;
use crate::web::page;
use crate::web::response::{CSS, HTML, SCRIPT, SVG, TEXT, answered, later, to_page, with_headers};
use crate::web::routes::{HEALTH, HEALTHY, TOKEN, whole};
use crate::web::state::PageState;
use crate::web::token::Denied;
use meter::RunsAs;

/// The longest form, in bytes: a meter may have many values.
pub(super) const LONGEST_FORM: usize = 8 * 1024;

/// How long the answer waits for the status page to have the meter.
const STARTED: Duration = Duration::from_secs(3);

/// How long it is known whether the file can be written. To find out, a file is written to the disk.
const PROBED: Duration = Duration::from_secs(10);

/// Shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct SetupState {
    page: SetupPage,
    board: Board,
    jobs: BlockingJobs,
    probed: Arc<Mutex<Option<Probed>>>,
}

/// Why the file cannot be written, and since when this is known.
#[derive(Debug)]
struct Probed {
    at: Instant,
    trouble: Option<WriteError>,
}

impl SetupState {
    pub(super) fn new(page: SetupPage, board: Board) -> Self {
        Self { page, board, jobs: BlockingJobs::ports(), probed: Arc::default() }
    }

    /// Why the file cannot be written. Visitors who only look must not wear out the disk.
    pub(super) async fn trouble(&self) -> Result<Option<WriteError>, JobFailed> {
        // Requests that come meanwhile wait for the same result.
        let mut probed = self.probed.lock().await;
        if let Some(Probed { at, trouble }) = &*probed
            && at.elapsed() < PROBED
        {
            return Ok(trouble.clone());
        }
        let setup = self.page.setup.clone();
        let trouble = self.jobs.run(move |_| setup.probe().err()).await?;
        *probed = Some(Probed { at: Instant::now(), trouble: trouble.clone() });
        Ok(trouble)
    }
}

/// What the owner of the session does.
#[derive(Debug, Clone, Copy)]
enum Action {
    Search,
    Head,
    Broker,
    Scan,
    Values,
    Write,
    Next,
    Stop,
}

const ACTIONS: [(&str, Action); 8] = [
    ("/setup/search", Action::Search),
    ("/setup/head", Action::Head),
    ("/setup/broker", Action::Broker),
    ("/setup/scan", Action::Scan),
    ("/setup/values", Action::Values),
    ("/setup/write", Action::Write),
    ("/setup/next", Action::Next),
    ("/setup/stop", Action::Stop),
];

/// The paths of the setup page.
pub(in crate::web) fn router(page_state: &PageState, page: &SetupPage) -> Router {
    let state = SetupState::new(page.clone(), page_state.board.clone());
    let fixed = |kind, body| get(async move || with_headers(StatusCode::OK, kind, body));
    let act = |action| {
        post(async move |State(state): State<SetupState>, form: Filled| {
            act(&state, action, &Fields(form.map(|Form(fields)| fields).unwrap_or_default())).await
        })
    };
    let router = Router::new()
        .route("/", get(show))
        .route(BEGIN, post(begin))
        .route(TOKEN, post(unlock))
        .route("/style.css", fixed(CSS, page::STYLE))
        .route("/setup.css", fixed(CSS, screen::STYLE))
        .route("/setup.js", fixed(SCRIPT, screen::SCRIPT))
        .route("/icon.svg", fixed(SVG, page::ICON))
        .route(HEALTH, fixed(TEXT, HEALTHY))
        .route(
            "/ready",
            get(async || with_headers(UNREADY, TEXT, "There is no configuration yet.\n")),
        );
    let checked = state.clone();
    ACTIONS
        .into_iter()
        .fold(router, |router, (path, action)| router.route(path, act(action)))
        .fallback(async || {
            const WORDS: &str =
                "Page not found. There is no configuration yet: open the page `/`.\n";
            with_headers(StatusCode::NOT_FOUND, TEXT, WORDS)
        })
        .method_not_allowed_fallback(async || {
            with_headers(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method not allowed.\n")
        })
        .layer(middleware::from_fn(move |guest, request, next| {
            check(checked.clone(), guest, request, next)
        }))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(state)
}

const UNREADY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

type Filled = Result<Form<Vec<(String, String)>>, FormRejection>;

/// Passes on the requests that are whole and allowed.
async fn check(
    SetupState { page, .. }: SetupState,
    Extension(guest): Extension<Guest>,
    request: Request,
    next: Next,
) -> Response {
    let (peer, method) = (guest.peer, request.method());
    let visitors = crate::web::Visitors::Anybody;
    if let Err(refusal) = access::check(visitors, peer, method, request.headers()) {
        return refusal.into_response();
    }
    if !access::changes_something(method) {
        guest.seat.note_whole_request();
        return next.run(request).await;
    }
    // Only this page sends such requests, never a program.
    if let Err(refusal) = access::check_site(request.headers()) {
        return refusal.into_response();
    }
    let request = match whole(request, &guest, LONGEST_FORM).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    guest.seat.note_whole_request();
    let headers = request.headers();
    let path = request.uri().path();
    let base = if path == BEGIN || path == TOKEN { "./" } else { "../" };
    let answer = |status, screen| {
        let (language, mut response) =
            (language(headers), with_headers(status, HTML, String::new()));
        if let Ok(html) = screen::whole(language, base, &screen) {
            response = with_headers(status, HTML, html);
        }
        response
    };
    // The code itself is in the form there.
    match (page.right(peer, headers), path) {
        (_, TOKEN) | (Right::Owner, _) | (Right::Free, BEGIN) => next.run(request).await,
        (Right::Stranger, _) => {
            page.code.show_code();
            answer(StatusCode::UNAUTHORIZED, Screen::Code(ask(&page, None)))
        }
        (Right::Taken, _) => answer(StatusCode::CONFLICT, Screen::Taken),
        (Right::Free, _) => to_page(if base == "./" { "./" } else { "../" }),
    }
}

/// The form for the code.
fn ask(page: &SetupPage, denied: Option<Denied>) -> Code {
    Code { denied, is_configured: page.code.is_configured() }
}

/// Accepts the code, and lets the browser remember it.
async fn unlock(
    State(SetupState { page, .. }): State<SetupState>,
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    form: Filled,
) -> Response {
    let fields = Fields(form.map(|Form(fields)| fields).unwrap_or_default());
    match page.code.check(guest.peer, fields.one("token").trim().as_bytes()) {
        Ok(()) => {
            let mut response = to_page("./");
            response.headers_mut().extend(page.code.brief_cookie().map(|it| (SET_COOKIE, it)));
            response
        }
        Err(denied) => {
            let screen = Screen::Code(ask(&page, Some(denied)));
            let mut response = answered(HTML, screen::whole(language(&headers), "./", &screen));
            if response.status() == StatusCode::OK {
                *response.status_mut() = match denied {
                    Denied::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
                    Denied::NoToken | Denied::Wrong | Denied::Unknown => StatusCode::UNAUTHORIZED,
                };
            }
            response
        }
    }
}

/// Begins, in this browser.
async fn begin(
    State(SetupState { page, .. }): State<SetupState>,
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
) -> Response {
    let mut response = to_page("./");
    if page.right(guest.peer, &headers) == Right::Free {
        response.headers_mut().extend(page.begin().map(|it| (SET_COOKIE, it)));
    }
    response
}

#[derive(Debug, Default, Deserialize)]
struct Wanted {
    step: Option<String>,
}

/// The screen of the present step, or of an earlier one on request.
async fn show(
    State(state): State<SetupState>,
    Extension(guest): Extension<Guest>,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let language = language(&headers);
    let answer = |screen: &Screen| answered(HTML, screen::whole(language, "./", screen));
    let SetupState { page, jobs, .. } = &state;
    let setup = page.setup.clone();
    match page.right(guest.peer, &headers) {
        Right::Stranger => {
            page.code.show_code();
            return answer(&Screen::Code(ask(page, None)));
        }
        Right::Taken => return answer(&Screen::Taken),
        Right::Free => {
            return match state.trouble().await {
                Ok(trouble) => answer(&Screen::Welcome { path: setup.path().to_owned(), trouble }),
                Err(busy) => later(&busy, RunsAs::Program),
            };
        }
        Right::Owner => {}
    }
    let view = setup.view();
    let wanted = query.ok().and_then(|Query(wanted)| wanted.step);
    let wanted = wanted.and_then(|key| screen::step_by_key(&key));
    let step = wanted.filter(|step| *step <= view.furthest && !view.is_waiting());
    let step = step.unwrap_or(view.step);
    // While something is tried, the page shows no ports.
    if step != Step::Head || view.is_waiting() {
        return answer(&Screen::Step {
            step,
            view: Box::new(view),
            ports: Vec::new(),
            path: setup.path().to_owned(),
        });
    }
    let lister = setup.clone();
    match jobs.run(move |_| lister.list()).await {
        Ok(Ok(ports)) => {
            setup.show(ports.clone());
            let path = setup.path().to_owned();
            answer(&Screen::Step { step, view: Box::new(view), ports, path })
        }
        Ok(Err(error)) => later(&error.into(), RunsAs::Program),
        Err(busy) => later(&busy, RunsAs::Program),
    }
}

/// Does what a button says, and leads back to the page.
async fn act(state: &SetupState, action: Action, fields: &Fields) -> Response {
    let SetupState { page: SetupPage { setup, .. }, board, jobs, .. } = state;
    match action {
        Action::Search => {
            let lister = setup.clone();
            match jobs.run(move |_| lister.list()).await {
                Ok(Ok(ports)) => setup.search_seen(&ports),
                Ok(Err(error)) => return later(&error.into(), RunsAs::Program),
                Err(busy) => return later(&busy, RunsAs::Program),
            }
        }
        Action::Head => {
            let chosen = fields.one("port");
            setup.choose_head(if chosen.is_empty() { fields.one("address") } else { chosen });
        }
        Action::Broker => setup.choose_broker(TypedBroker {
            host: fields.one("host").trim().to_owned(),
            port: fields.one("port").trim().to_owned(),
            tls: !fields.one("tls").is_empty(),
            username: fields.one("username").to_owned(),
            password: Secret::new(fields.one("password")),
        }),
        Action::Scan => setup.search_values(),
        Action::Values => setup.choose_values(fields.one("version"), &fields.all("value")),
        Action::Write => {
            // If it fails, the page says why.
            if setup.write().await.is_ok() && !setup.is_open() {
                let mut changes = board.changing();
                let started =
                    async { while board.meters().is_empty() && changes.changed().await.is_ok() {} };
                let _ = timeout(STARTED, started).await;
            }
        }
        Action::Next => setup.continue_anyway(),
        Action::Stop => setup.stop(),
    }
    to_page("../")
}
