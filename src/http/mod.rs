//! An HTTP client: requests with limits on time and size. It follows no redirects and uses no
//! proxy. So an answer or an environment variable cannot send the token to another server.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONNECTION, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use thiserror::Error;

use crate::config::Secret;
use meter::hosts;

/// The usual size limit of an answer. Few answers to our requests come near it.
const LONGEST: usize = 64 * 1024;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub status: u16,
    /// Whether the header says that the body is JSON.
    pub is_json: bool,
    /// The body, unchanged.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    /// The connection failed.
    #[error("{0}")]
    Connect(io::Error),
    /// No complete answer arrived in this time.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The connection broke, or the answer is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// The answer exceeds the size limit.
    #[error("the answer is longer than {} KiB", .0 / 1024)]
    TooLong(usize),
}

/// Sends a GET and reads the answer. Dropping the future closes the connection.
pub(crate) async fn get(
    url: Url,
    token: Option<&Secret>,
    patience: Duration,
) -> Result<Answer, HttpError> {
    get_up_to(url, token, patience, LONGEST).await
}

/// The same with another size limit, in bytes.
pub(crate) async fn get_up_to(
    url: Url,
    token: Option<&Secret>,
    patience: Duration,
    longest: usize,
) -> Result<Answer, HttpError> {
    let failed = |error| classify(error, patience);
    let answer = request(url, token, patience).map_err(failed)?.send().await.map_err(failed)?;
    read(answer, longest, failed).await
}

/// Sends JSON in a POST and reads the answer. Dropping the future closes the connection.
pub(crate) async fn post_json(
    url: Url,
    token: Option<&Secret>,
    body: String,
    patience: Duration,
) -> Result<Answer, HttpError> {
    let failed = |error| classify(error, patience);
    let request = request_by(Method::POST, url, token, patience).map_err(failed)?;
    let request = request.header(CONTENT_TYPE, "application/json").body(body);
    read(request.send().await.map_err(failed)?, LONGEST, failed).await
}

fn request(
    url: Url,
    token: Option<&Secret>,
    patience: Duration,
) -> reqwest::Result<RequestBuilder> {
    request_by(Method::GET, url, token, patience)
}

fn request_by(
    method: Method,
    url: Url,
    token: Option<&Secret>,
    patience: Duration,
) -> reqwest::Result<RequestBuilder> {
    let client = Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Hosts))
        .redirect(redirect::Policy::none())
        .timeout(patience)
        // One request needs no pool of connections.
        .pool_max_idle_per_host(0)
        .build()?;
    let request = client.request(method, url).header(CONNECTION, "close");
    // This marks the header as secret.
    Ok(if let Some(token) = token { request.bearer_auth(token.reveal()) } else { request })
}

/// Looks up names like the rest of the program: on a thread that is already running.
struct Hosts;

impl Resolve for Hosts {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = hosts::look_up(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn read(
    mut answer: Response,
    longest: usize,
    failed: impl Fn(reqwest::Error) -> HttpError,
) -> Result<Answer, HttpError> {
    let status = answer.status().as_u16();
    let is_json = answer
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"application/json"));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(&failed)? {
        if body.len() + chunk.len() > longest {
            return Err(HttpError::TooLong(longest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, is_json, body })
}

/// The library's message contains the address and little else. Its innermost cause says what
/// happened.
fn classify(error: reqwest::Error, patience: Duration) -> HttpError {
    if error.is_timeout() {
        return HttpError::Slow(patience);
    }
    let is_connect = error.is_connect();
    let error = error.without_url();
    let mut cause: &(dyn Error + 'static) = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if is_connect {
        let kind = cause.downcast_ref().map_or(io::ErrorKind::Other, io::Error::kind);
        HttpError::Connect(io::Error::new(kind, cause.to_string()))
    } else {
        HttpError::Broken(cause.to_string())
    }
}
