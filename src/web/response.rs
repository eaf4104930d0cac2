//! Responses, with the headers that all of them have.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::blocking::JobFailed;
use meter::RunsAs;

/// Allows only what this server serves, and no frame except Home Assistant's, which has the same
/// origin.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A refusal of a request: the status, and a text for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpRefusal(pub(super) StatusCode, pub(super) Cow<'static, str>);

impl IntoResponse for HttpRefusal {
    fn into_response(self) -> Response {
        with_headers(self.0, TEXT, self.1.into_owned())
    }
}

/// A request that can be repeated later.
pub(super) fn later(busy: &JobFailed, runs_as: RunsAs) -> Response {
    let words = format!("{}\n", busy.words(runs_as));
    with_headers(StatusCode::SERVICE_UNAVAILABLE, TEXT, words)
}

pub(super) fn answered(
    kind: &'static str,
    made: Result<String, impl std::fmt::Display>,
) -> Response {
    match made {
        Ok(text) => with_headers(StatusCode::OK, kind, text),
        Err(error) => {
            warn!("Cannot answer a request for the status page: {error}.");
            let words = "Internal error. The log has the reason.\n";
            with_headers(StatusCode::INTERNAL_SERVER_ERROR, TEXT, words)
        }
    }
}

/// A redirect to the page, by its relative path.
pub(super) fn to_page(path: &'static str) -> Response {
    let mut response = with_headers(StatusCode::SEE_OTHER, TEXT, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    response
}

/// The headers of every response.
pub(super) const STRICT: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With `no-referrer`, browsers would also leave out the origin of a pressed button.
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

pub(super) fn with_headers(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = (status, body.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.extend(STRICT.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
