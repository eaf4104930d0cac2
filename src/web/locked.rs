//! The answers to visitors who need the token: the form in which they enter it, and what the page
//! says if they have none, a wrong one, or must wait.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;

use super::guest::Guest;
use super::page;
use super::response::{HTML, TEXT, answered, to_page, with_headers};
use super::state::PageState;
use super::token::Denied;
use crate::language::{Language, fill};

/// The form with the token.
#[derive(Deserialize)]
pub(super) struct Entered {
    token: String,
}

/// Accepts the token, and lets the browser remember it.
pub(super) async fn unlock(
    State(page_state): State<PageState>,
    Extension(guest): Extension<Guest>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Entered>, FormRejection>,
) -> Response {
    const WORDS: &str = "`token` is missing or invalid. Send the token of the page, as a form \
                         (`application/x-www-form-urlencoded`).\n";
    let Ok(Form(Entered { token })) = form else {
        return with_headers(StatusCode::BAD_REQUEST, TEXT, WORDS);
    };
    match page_state.token.check(guest.peer, token.trim().as_bytes()) {
        Ok(()) => {
            let mut response = to_page("./");
            response.headers_mut().extend(page_state.token.cookie().map(|it| (SET_COOKIE, it)));
            response
        }
        Err(denied) => refuse(denied, uri.path(), &headers),
    }
}

/// Says why a visitor may only look, and what to do: a page with a form for browsers, a text for
/// the page's script and for programs.
pub(super) fn refuse(denied: Denied, path: &str, headers: &HeaderMap) -> Response {
    let seconds = match denied {
        Denied::Wait(left) => left.as_millis().div_ceil(1000).to_string(),
        Denied::NoToken | Denied::Wrong | Denied::Unknown => String::new(),
    };
    let language = language(headers);
    let words = language.words();
    let said = match denied {
        Denied::NoToken => words.token_needed,
        Denied::Wrong => words.token_wrong,
        Denied::Unknown => words.token_unknown,
        Denied::Wait(_) => words.token_wait,
    };
    let said = fill(said, &[("left", &seconds)]);
    let mut response = if accepts_pages(headers) {
        let base = if path.trim_start_matches('/').contains('/') { "../" } else { "./" };
        answered(HTML, page::ask_token(language, base, &said))
    } else if headers.contains_key(ACCEPT_LANGUAGE) {
        with_headers(StatusCode::OK, TEXT, format!("{said}\n"))
    } else {
        with_headers(StatusCode::OK, TEXT, for_programs(denied, &seconds))
    };
    if response.status() == StatusCode::OK {
        let challenge = match denied {
            Denied::NoToken | Denied::Unknown => "Bearer realm=\"kamstrup2mqtt\"",
            Denied::Wrong => "Bearer realm=\"kamstrup2mqtt\", error=\"invalid_token\"",
            Denied::Wait(_) => {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                let seconds = HeaderValue::try_from(seconds).ok();
                response.headers_mut().extend(seconds.map(|it| (RETRY_AFTER, it)));
                return response;
            }
        };
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// The same for programs, which send no language.
fn for_programs(denied: Denied, seconds: &str) -> String {
    match denied {
        Denied::NoToken => "This needs the token of the page, because it changes something. \
                            Send `Authorization: Bearer TOKEN`. The token is \
                            the value of `web.token`. Without that setting, the log says at \
                            each start where the token is.\n"
            .to_owned(),
        Denied::Wrong => {
            "This token is wrong. Use the value of `web.token`. Without that setting, \
                          the log says at each start where the token is.\n"
                .to_owned()
        }
        Denied::Unknown => {
            "`web.token` is invalid or cannot be read, so no token is accepted. The log \
                            says what is wrong with the configuration. Fix that first.\n"
                .to_owned()
        }
        Denied::Wait(_) => format!("Too many wrong tokens. Try again in {seconds} s.\n"),
    }
}

/// Whether a browser shows the answer as a page.
fn accepts_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|header| header.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// The best language of a visitor that the page has.
pub(super) fn language(headers: &HeaderMap) -> Language {
    Language::accepted(headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok()))
}
