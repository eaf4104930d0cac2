//! The login, and waiting until Home Assistant has started.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::command::{COMPILED, Command};
use crate::error::Error;
use crate::running::{self, Running};
use crate::socket::Socket;

/// The largest message that is read. The list of 20,000 entities is smaller.
const LONGEST: usize = 16 * 1024 * 1024;

/// How long the login may take. Home Assistant itself allows 10 s.
const LOGIN: Duration = Duration::from_secs(20);

/// How long the recorder may be silent. It compiles every five minutes, but a start may take long.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// How much both clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// A token, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The host and port that are asked for in the request, and the path of the WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The host, with its port if that is not the usual one.
    pub host: String,
    /// The path, such as `/api/websocket`.
    pub path: String,
}

/// A connection that is logged in. It cannot read or write.
#[derive(Debug)]
pub struct Connected<S> {
    socket: Socket<S>,
}

#[derive(Serialize)]
struct Login<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    access_token: &'a str,
}

#[derive(Debug, Deserialize)]
struct Greeting {
    #[serde(rename = "type")]
    kind: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connected<S> {
    /// Logs in over a stream that is connected to Home Assistant, or to the Supervisor.
    pub async fn open(stream: S, server: &Server, token: &Token) -> Result<Self, Error> {
        let slow = Error::Slow { command: "auth", after: LOGIN };
        timeout(LOGIN, Self::log_in(stream, server, token)).await.unwrap_or(Err(slow))
    }

    async fn log_in(stream: S, server: &Server, token: &Token) -> Result<Self, Error> {
        // The scheme is not sent: the stream is encrypted already, or not.
        let url = format!("ws://{}{}", server.host, server.path);
        let mut limits = WebSocketConfig::default();
        limits.max_message_size = Some(LONGEST);
        limits.max_frame_size = Some(LONGEST);
        let opened = client_async_with_config(url, stream, Some(limits)).await;
        let (stream, _) = opened.map_err(|error| match error {
            WebSocketError::Http(response) => match response.status().as_u16() {
                // Bad Gateway, Service Unavailable and Gateway Timeout
                status @ 502..=504 => Error::Away(status),
                status => Error::Broken(format!("the answer has the status {status}")),
            },
            other => Error::Broken(other.to_string()),
        })?;
        let mut socket = Socket::new(stream);
        let login = Login { kind: "auth", access_token: &token.0 };
        let login = serde_json::to_string(&login).map_err(|_| Error::Unexpected("auth"))?;
        let mut is_sent = false;
        loop {
            let greeting = socket.receive().await?;
            let greeting: Greeting =
                serde_json::from_str(&greeting).map_err(|_| Error::Unexpected("auth"))?;
            match greeting.kind.as_str() {
                "auth_required" if !is_sent => {
                    is_sent = true;
                    socket.send(login.clone()).await?;
                }
                "auth_ok" => return Ok(Self { socket }),
                "auth_invalid" => return Err(Error::Token),
                _ => return Err(Error::Unexpected("auth")),
            }
        }
    }

    /// Waits until Home Assistant is running and has compiled five minutes since. That takes up to
    /// five minutes, or longer if it is starting. `now` is the time here.
    pub async fn running(self, now: impl Fn() -> Timestamp) -> Result<Running<S>, Error> {
        let Self { mut socket } = self;
        socket.ask(&Command::Subscribe { event_type: COMPILED }).await?;
        // An event that arrives before the state is known does not count.
        while running::state(&mut socket).await? != running::RUNNING {
            socket.wait(Duration::from_secs(5)).await?;
        }
        let compilation = socket.next_compilation(SILENCE).await?;
        let skew = compilation.fired.duration_since(now());
        if skew.abs() > SKEW {
            return Err(Error::Clock(skew));
        }
        Ok(Running::new(socket))
    }
}
