//! Messages: one command at a time, with its answer. Events that arrive meanwhile are noted.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::command::{COMPILED, Command, Numbered};
use crate::error::Error;

/// How long an answer may take. A database on a slow card may be busy for seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A message of Home Assistant.
#[derive(Debug, Deserialize)]
struct Received {
    id: Option<u64>,
    #[serde(rename = "type")]
    kind: String,
    success: Option<bool>,
    result: Option<Box<RawValue>>,
    error: Option<Refusal>,
    event: Option<Event>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Event {
    event_type: Option<String>,
    time_fired: Option<String>,
}

/// When the recorder had compiled five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compilation {
    /// By Home Assistant's clock.
    pub(crate) fired: Timestamp,
    /// When the event arrived here.
    pub(crate) arrived: Instant,
}

#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: WebSocketStream<S>,
    last_id: u64,
    compilation: Option<Compilation>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) fn new(stream: WebSocketStream<S>) -> Self {
        Self { stream, last_id: 0, compilation: None }
    }

    /// The last event of the recorder.
    pub(crate) fn compilation(&self) -> Option<Compilation> {
        self.compilation
    }

    pub(crate) async fn send(&mut self, text: String) -> Result<(), Error> {
        self.stream.send(Message::text(text)).await.map_err(|error| broken(&error))
    }

    /// The next message of text. Pings are answered by the library.
    pub(crate) async fn receive(&mut self) -> Result<String, Error> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(_))) | None => return Err(Error::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn ask(&mut self, command: &Command<'_>) -> Result<Box<RawValue>, Error> {
        let name = command.name();
        self.last_id = self.last_id.saturating_add(1);
        let id = self.last_id;
        let text = serde_json::to_string(&Numbered { id, command });
        let text = text.map_err(|_| Error::Unexpected(name))?;
        let end = Instant::now().checked_add(PATIENCE).unwrap_or_else(Instant::now);
        let answer = timeout_at(end, async {
            self.send(text).await?;
            loop {
                let received = self.next(name).await?;
                if received.kind == "result" && received.id == Some(id) {
                    return Ok(received);
                }
            }
        });
        let answer: Result<Received, Error> =
            answer.await.unwrap_or(Err(Error::Slow { command: name, after: PATIENCE }));
        let Received { success, result, error, .. } = answer?;
        match (success, error) {
            (Some(true), _) => Ok(result.unwrap_or_else(|| RawValue::NULL.to_owned())),
            (_, Some(Refusal { code })) if code == "unauthorized" => Err(Error::NoAdministrator),
            (_, Some(Refusal { code })) => Err(Error::Refused { command: name, code }),
            _ => Err(Error::Unexpected(name)),
        }
    }

    async fn next(&mut self, name: &'static str) -> Result<Received, Error> {
        let text = self.receive().await?;
        let received: Received =
            serde_json::from_str(&text).map_err(|_| Error::Unexpected(name))?;
        if let Some(Event { event_type: Some(kind), time_fired: Some(fired) }) = &received.event
            && kind == COMPILED
        {
            let fired = fired.parse().map_err(|_| Error::Unexpected(COMPILED))?;
            self.compilation = Some(Compilation { fired, arrived: Instant::now() });
        }
        Ok(received)
    }

    /// Notes events for this time.
    pub(crate) async fn wait(&mut self, time: Duration) -> Result<(), Error> {
        let end = Instant::now().checked_add(time).unwrap_or_else(Instant::now);
        loop {
            match timeout_at(end, self.next(COMPILED)).await {
                Ok(received) => received?,
                Err(_) => return Ok(()),
            };
        }
    }

    /// Waits for the next event of the recorder.
    pub(crate) async fn next_compilation(&mut self, most: Duration) -> Result<Compilation, Error> {
        let before = self.compilation;
        let end = Instant::now().checked_add(most).unwrap_or_else(Instant::now);
        loop {
            match timeout_at(end, self.next(COMPILED)).await {
                Ok(received) => received?,
                Err(_) => return Err(Error::NothingCompiled(most)),
            };
            match self.compilation {
                Some(compilation) if self.compilation != before => return Ok(compilation),
                _ => {}
            }
        }
    }

    pub(crate) async fn close(mut self) {
        // Home Assistant ends the connection itself if this message does not arrive.
        let closing = self.stream.close(None);
        let _ = tokio::time::timeout(Duration::from_secs(2), closing).await;
    }
}

fn broken(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Error::Closed,
        // It has the kind of the error, and never a message that was sent.
        other => Error::Broken(other.to_string()),
    }
}
