//! Connects to a network serial server.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::OpenError;
use super::watched::Watched;
use crate::hosts::{self, HostError};

/// A serial server on the local network accepts a connection within milliseconds, or not at all.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A serial server that rejects a connection closes it within this time. Some wait for the first
/// bytes, and the client sees the end only at its next read, which may follow a rest of the line. A
/// server that closes idle connections takes longer.
const REJECTED_WITHIN: Duration = Duration::from_secs(5);

/// The start of every answer of a web server.
const HTTP: &[u8] = b"HTTP/";

/// The usual ports of MQTT brokers. A broker closes a connection that does not begin with CONNECT.
const BROKER_PORTS: [u16; 2] = [1883, 8883];

/// The longest message that a serial server sends itself, in bytes.
const LONGEST_MESSAGE: usize = 120;

/// Connects to a serial server within [`CONNECT_TIMEOUT`]. `answer_start` is the byte that starts
/// each answer of the device behind it.
pub(super) async fn connect(
    host: &str,
    port: NonZeroU16,
    answer_start: u8,
) -> Result<Connection, OpenError> {
    let stream = connect_stream(host, port).await?;
    Ok(Connection {
        stream,
        port: port.get(),
        answer_start,
        opened: Instant::now(),
        message: Some(Vec::new()),
    })
}

/// Connects to a host within [`CONNECT_TIMEOUT`].
pub(super) async fn connect_stream(
    host: &str,
    port: NonZeroU16,
) -> Result<Watched<StdTcpStream>, OpenError> {
    let begun = Instant::now();
    let end = begun.checked_add(CONNECT_TIMEOUT).unwrap_or(begun);
    let addresses = within(end, host, hosts::look_up(host, port.get())).await?;
    let stream = tokio::time::timeout_at(end, TcpStream::connect(&addresses[..]))
        .await
        .map_err(|_| OpenError::NoConnection)?
        .map_err(|error| OpenError::of_connection(&error))?;
    // A request is one small packet, and a meter does not accept gaps within it.
    stream.set_nodelay(true).map_err(|error| OpenError::of_connection(&error))?;
    let watched = Watched::connection(stream);
    watched.map_err(|error| OpenError::of_connection(&error))
}

/// The addresses of a host. A name server that is silent until `end` is a different error from a
/// name without an address.
async fn within<A>(
    end: Instant,
    host: &str,
    looking_up: impl Future<Output = Result<A, HostError>>,
) -> Result<A, OpenError> {
    let host = host.to_owned();
    match tokio::time::timeout_at(end, looking_up).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(HostError::NotFound(_))) => Err(OpenError::HostNotFound { host }),
        Ok(Err(HostError::Shortage(reason))) => Err(OpenError::Shortage { reason }),
        Ok(Err(HostError::NoAnswer(_))) | Err(_) => Err(OpenError::NotLookedUp { host }),
    }
}

/// A connection to a serial server.
///
/// Most serial servers serve one connection at a time. They accept another one and close it
/// immediately, some with a short message (ser2net: `Port already in use`). Reading or writing then
/// fails with an [`OpenError`] inside the [`io::Error`], which distinguishes a rejected connection
/// from a broken one.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Watched<StdTcpStream>,
    port: u16,
    answer_start: u8,
    opened: Instant,
    /// The bytes received, while they may still be a message of the serial server itself.
    message: Option<Vec<u8>>,
}

impl Connection {
    fn note(&mut self, bytes: &[u8]) {
        // The byte that starts an answer may be a printable character. Requests, which a head may
        // echo, are binary.
        let is_text = |byte: &u8| {
            *byte != self.answer_start && (byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        };
        let Some(mut message) = self.message.take() else { return };
        message.extend_from_slice(bytes);
        if message.starts_with(HTTP) {
            // The rest is the web page.
            message.truncate(HTTP.len());
            self.message = Some(message);
        } else if bytes.iter().all(is_text) && message.len() <= LONGEST_MESSAGE {
            self.message = Some(message);
        }
    }

    /// The error if the serial server rejected the connection.
    fn rejection(&self) -> Option<io::Error> {
        let message = self.message.as_ref()?;
        let error = if message.starts_with(HTTP) {
            OpenError::WebPage
        } else if self.opened.elapsed() > REJECTED_WITHIN {
            return None;
        } else if message.is_empty() && BROKER_PORTS.contains(&self.port) {
            OpenError::Broker
        } else {
            let text = String::from_utf8_lossy(message);
            let words: Vec<_> = text.split_ascii_whitespace().collect();
            OpenError::Unwanted { said: words.join(" ") }
        };
        Some(io::Error::new(io::ErrorKind::ConnectionAborted, error))
    }

    fn explain(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => self.rejection().unwrap_or(error),
            _ => error,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, wanted) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        read.map_err(|error| self.explain(error))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        if wanted && received.is_empty() {
            return Poll::Ready(self.rejection().map_or(Ok(()), Err));
        }
        self.note(received);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(written.map_err(|error| self.explain(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// If no name server answers, the host name may still be right.
    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_is_distinguished_from_an_unknown_host() {
        let end = Instant::now() + CONNECT_TIMEOUT;
        let silent = std::future::pending::<Result<(), HostError>>();
        let silent = within(end, "meter.local", silent).await;
        assert_eq!(silent, Err(OpenError::NotLookedUp { host: "meter.local".to_owned() }));
        assert_eq!(Instant::now(), end);
        let said = async |error: fn(String) -> HostError| {
            within(end, "meter.local", async { Err::<(), _>(error("words".to_owned())) }).await
        };
        assert_eq!(said(HostError::NoAnswer).await, silent);
        let unknown = said(HostError::NotFound).await;
        assert_eq!(unknown, Err(OpenError::HostNotFound { host: "meter.local".to_owned() }));
        let shortage = said(HostError::Shortage).await;
        assert_eq!(shortage, Err(OpenError::Shortage { reason: "words".to_owned() }));
    }

    /// Reads a connection of this age after a serial server has sent these bytes and closed it.
    async fn served(words: &[u8], age: Duration, reset: bool) -> io::Result<Vec<u8>> {
        served_at(None, words, age, reset).await
    }

    async fn served_at(
        listens_at: Option<u16>,
        words: &[u8],
        age: Duration,
        reset: bool,
    ) -> io::Result<Vec<u8>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap();
        let (connection, accepted) =
            tokio::join!(connect("127.0.0.1", port, ANSWER[0]), listener.accept());
        let (connection, (mut server, _)) = (connection.unwrap(), accepted.unwrap());
        let mut connection =
            Connection { port: listens_at.unwrap_or(connection.port), ..connection };
        tokio::time::pause();
        tokio::time::advance(age).await;
        tokio::time::resume();
        server.write_all(words).await.unwrap();
        if reset {
            server.set_zero_linger().unwrap();
        }
        drop(server);
        let mut received = Vec::new();
        connection.read_to_end(&mut received).await.map(|_| received)
    }

    /// Begins with `@?`, which are printable characters.
    const ANSWER: [u8; 3] = [0x40, 0x3F, 0x10];

    /// Longer than any message of a serial server.
    const LONG: [u8; LONGEST_MESSAGE + 1] = [b'x'; LONGEST_MESSAGE + 1];

    #[tokio::test]
    async fn a_connection_that_is_closed_at_once_was_rejected() {
        let unwanted = |result: io::Result<Vec<u8>>| {
            let error = result.unwrap_err();
            error.get_ref().unwrap().downcast_ref::<OpenError>().unwrap().clone()
        };
        let said = |said: &str| OpenError::Unwanted { said: said.to_owned() };
        let page = format!("HTTP/1.1 400 Bad Request\r\n\r\n<p>@{}", "x".repeat(500));
        for age in [Duration::ZERO, REJECTED_WITHIN * 2] {
            assert_eq!(unwanted(served(page.as_bytes(), age, false).await), OpenError::WebPage);
        }
        let young = Duration::ZERO;
        assert_eq!(unwanted(served(b"", young, false).await), said(""));
        assert_eq!(unwanted(served(b"", young, true).await), said(""));
        let words = served(b"Port already in use\r\n", young, false).await;
        assert_eq!(unwanted(words), said("Port already in use"));
        for port in BROKER_PORTS {
            for reset in [false, true] {
                let ended = served_at(Some(port), b"", young, reset).await;
                assert_eq!(unwanted(ended), OpenError::Broker);
            }
            let words = served_at(Some(port), b"Port already in use\r\n", young, false).await;
            assert_eq!(unwanted(words), said("Port already in use"));
        }
        // The server may close it before the system reports it as established.
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(OpenError::of_connection(&error), said(""));

        // An old connection was idle too long. One that ends after an echo or a part of an answer
        // broke.
        let old = REJECTED_WITHIN * 2;
        assert_eq!(served(b"", old, false).await.unwrap(), b"");
        let error = served(b"", old, true).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.get_ref().is_none()),
            (io::ErrorKind::ConnectionReset, true)
        );
        for bytes in [&[0x80, 0x3F][..], &ANSWER[..1], &ANSWER[..2], &ANSWER, &LONG] {
            assert_eq!(served(bytes, young, false).await.unwrap(), bytes);
        }
    }
}
