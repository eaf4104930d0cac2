//! A serial port of a node as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use super::error::{NodeError, shown};
use super::messages::{
    ASSUMED_SUCCESS, DisconnectRequest, DisconnectResponse, OK, PORT_IN_USE, PingRequest,
    PingResponse, SUBSCRIBE, SerialProxyDataReceived, SerialProxyGetModemPinsResponse,
    SerialProxyRequest, SerialProxyRequestResponse, SerialProxyWriteRequest, UNSUBSCRIBE,
};
use super::wire::{Received, Wire, WireError};
use crate::transport::error::OpenError;

/// The most bytes in one message to the line. Requests are shorter, and a meter does not accept
/// gaps within one.
const MOST_WRITTEN: usize = 256;

/// A serial port of a node. When it is dropped, it gives the port back, so that the next poll gets
/// it even if the node has not noticed the end of the connection.
#[derive(Debug)]
pub(in crate::transport) struct Connection<S: AsyncRead + AsyncWrite + Unpin> {
    wire: Wire<S>,
    instance: u32,
    /// Bytes of the line that have not been read. They are from one message.
    unread: BytesMut,
    is_subscribed: bool,
}

/// What a message of the node means.
#[derive(Debug)]
pub(super) enum Event {
    /// Bytes of the line.
    Data(Vec<u8>),
    Pong,
    LineStates(u32),
    Nothing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(wire: Wire<S>, instance: u32) -> Self {
        Self { wire, instance, unread: BytesMut::new(), is_subscribed: false }
    }

    pub(super) fn wire(&mut self) -> &mut Wire<S> {
        &mut self.wire
    }

    pub(super) fn instance(&self) -> u32 {
        self.instance
    }

    /// Notes that a subscription is requested.
    pub(super) fn subscribed(&mut self) {
        self.is_subscribed = true;
    }

    /// Answers what the node asks, and says what its message means. An error is an [`OpenError`] if
    /// the node does not serve the port.
    pub(super) fn handle(&mut self, received: &Received) -> io::Result<Event> {
        if received.is::<PingRequest>() {
            self.wire.queue(&PingResponse {})?;
        } else if received.is::<DisconnectRequest>() {
            self.wire.queue(&DisconnectResponse {})?;
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the node ended the connection",
            ));
        } else if received.is::<PingResponse>() {
            return Ok(Event::Pong);
        } else if let Some(data) = received.decode::<SerialProxyDataReceived>() {
            let data = data?;
            if data.instance == self.instance {
                return Ok(Event::Data(data.data));
            }
        } else if let Some(states) = received.decode::<SerialProxyGetModemPinsResponse>() {
            let states = states?;
            if states.instance == self.instance {
                return Ok(Event::LineStates(states.line_states));
            }
        } else if let Some(answer) = received.decode::<SerialProxyRequestResponse>() {
            self.check(&answer?)?;
        }
        Ok(Event::Nothing)
    }

    /// Checks the answer to a request.
    fn check(&mut self, answer: &SerialProxyRequestResponse) -> io::Result<()> {
        if answer.instance != self.instance || matches!(answer.status, OK | ASSUMED_SUCCESS) {
            return Ok(());
        }
        let said = shown(&answer.error_message);
        let error = match (answer.kind, answer.status) {
            (UNSUBSCRIBE, _) => return Ok(()),
            (_, PORT_IN_USE) => NodeError::PortInUse,
            (SUBSCRIBE, _) => NodeError::Refused { said },
            (kind, status) => {
                debug!("The node did not do request {kind}: status {status}, `{said}`.");
                return Ok(());
            }
        };
        // The port is another client's.
        self.is_subscribed = false;
        Err(io::Error::other(OpenError::from(error)))
    }

    /// Gives the port back as far as that is possible without waiting.
    fn leave(&mut self) {
        if std::mem::take(&mut self.is_subscribed) {
            let instance = self.instance;
            let unsubscribe = SerialProxyRequest { instance, kind: UNSUBSCRIBE };
            let queued = self.wire.queue(&unsubscribe);
            let queued = queued.and_then(|()| self.wire.queue(&DisconnectRequest {}));
            let mut context = Context::from_waker(Waker::noop());
            // A node notices the end of the connection too.
            if queued.is_ok() {
                let _sent = self.wire.poll_send(&mut context);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Connection<S> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) => error,
            WireError::Ended => Self::new(io::ErrorKind::ConnectionAborted, error.to_string()),
            error => Self::new(io::ErrorKind::InvalidData, error.to_string()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let received = ready!(self.wire.poll_receive(context))?;
            match self.handle(&received) {
                Ok(Event::Data(data)) => self.unread.extend_from_slice(&data),
                Ok(_) => {}
                Err(error) => {
                    // The answer to a farewell.
                    let _sent = self.wire.poll_send(context);
                    return Poll::Ready(Err(error));
                }
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_send(context))?;
        let count = bytes.len().min(MOST_WRITTEN);
        let data = bytes.get(..count).unwrap_or_default().to_vec();
        let instance = self.instance;
        self.wire.queue(&SerialProxyWriteRequest { instance, data })?;
        // What does not fit now is sent by the next call, also of `poll_read`.
        match self.wire.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_send(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.leave();
        ready!(self.wire.poll_send(context))?;
        self.wire.poll_shutdown(context)
    }
}
