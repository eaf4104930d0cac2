//! One request over plain HTTP to a neighbour: a GET, bounded in time and size.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::config::Secret;
use crate::hosts;

/// Far more than any answer that is asked for here.
const LONGEST: usize = 64 * 1024;

/// Whom to ask: `http://` with a host and maybe a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
}

impl Server {
    /// The one at this address.
    #[must_use]
    pub fn new(host: String, port: u16) -> Self {
        Self { host, port }
    }
}

impl FromStr for Server {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let uri: Uri = text.parse().map_err(|_| NoServer)?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(NoServer);
        };
        if !matches!(uri.path(), "" | "/") {
            return Err(NoServer);
        }
        // An IPv6 address without its brackets is what a socket takes.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(80) })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text is not like `http://host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("accepted: `http://` with a host and maybe a port")]
pub struct NoServer;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Whether the body says of itself that it is JSON.
    pub is_json: bool,
    /// The body, as it came.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The connection cannot be made.
    #[error("{0}")]
    Connect(io::Error),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// The answer has no end.
    #[error("the answer is longer than {} KiB", LONGEST / 1024)]
    TooLong,
}

/// Gets what is at this path. Dropping the future closes the connection.
pub async fn get(
    server: &Server,
    path: &str,
    token: Option<&Secret>,
    patience: Duration,
) -> Result<Answer, FetchError> {
    let asked = tokio::time::timeout(patience, ask(server, path, token)).await;
    asked.unwrap_or(Err(FetchError::Slow(patience)))
}

async fn ask(server: &Server, path: &str, token: Option<&Secret>) -> Result<Answer, FetchError> {
    let request = request(server, path, token).map_err(broken)?;
    let addresses = hosts::look_up(&server.host, server.port).await;
    let addresses = addresses.map_err(|error| FetchError::Connect(io::Error::other(error)))?;
    let stream = TcpStream::connect(&addresses[..]).await;
    let stream = TokioIo::new(stream.map_err(FetchError::Connect)?);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    // Ends with this function, whether it is finished or dropped.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    let (head, body) = answer.into_parts();
    let is_json = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"application/json"));
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { FetchError::TooLong } else { broken(error) }
    })?;
    Ok(Answer { status: head.status.as_u16(), is_json, body: body.to_bytes().to_vec() })
}

fn request(
    server: &Server,
    path: &str,
    token: Option<&Secret>,
) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let mut request =
        Request::get(path).header(HOST, server.to_string()).header(CONNECTION, "close");
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Empty::new())
}

fn broken(error: impl fmt::Display) -> FetchError {
    FetchError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server that says this to whoever comes, and what it was asked.
    async fn says(answer: &'static [u8]) -> (Server, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            // Who had enough has hung up.
            let _ = stream.write_all(answer).await;
            String::from_utf8(asked).unwrap()
        });
        (Server::new("127.0.0.1".to_owned(), port), asked)
    }

    #[tokio::test]
    async fn asks_with_the_token_and_hands_on_what_comes() {
        let (server, asked) =
            says(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}").await;
        let token = Secret::new("hunter2");
        let answer = get(&server, "/services/mqtt", Some(&token), PATIENCE).await.unwrap();
        assert_eq!(answer, Answer { status: 400, is_json: true, body: b"{}".to_vec() });
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /services/mqtt HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("authorization: Bearer hunter2\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: {server}\r\n")), "{asked}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let error = async |answer| {
            let (server, _asked) = says(answer).await;
            get(&server, "/", None, PATIENCE).await.unwrap_err()
        };
        assert!(matches!(error(b"SSH-2.0-OpenSSH_9.2\r\n").await, FetchError::Broken(_)));
        assert!(matches!(error(b"").await, FetchError::Broken(_)));
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}";
        assert!(matches!(error(half).await, FetchError::Broken(_)));
        let mut endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
        endless.resize(100_100, b' ');
        assert!(matches!(error(endless.leak()).await, FetchError::TooLong));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let slow = get(&server, "/", None, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(slow, FetchError::Slow(_)), "{slow}");
        drop(listener);
        let refused = get(&server, "/", None, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, FetchError::Connect(_)), "{refused}");
    }

    #[test]
    fn servers_as_they_are_written() {
        let shown = |text: &str| text.parse::<Server>().map(|server| server.to_string()).ok();
        assert_eq!(shown("http://supervisor"), Some("supervisor:80".to_owned()));
        assert_eq!(shown("http://127.0.0.1:8080/"), Some("127.0.0.1:8080".to_owned()));
        assert_eq!(shown("http://[::1]:8080"), Some("[::1]:8080".to_owned()));
        for text in ["", "supervisor", "https://supervisor", "http://", "http://a/b"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
