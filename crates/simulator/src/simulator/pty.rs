//! The meter's end of a pseudo-terminal.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_serial::SerialStream;

/// The meter's end of a pseudo-terminal, which is polled for bytes.
///
/// Once nobody has the other end open, the runtime treats the pseudo-terminal as readable forever,
/// because it treats a hang-up as final. Waiting for bytes would then keep a processor busy and
/// block the task.
#[derive(Debug)]
pub(super) struct Pty {
    stream: SerialStream,
    pause: Pin<Box<Sleep>>,
}

/// The time between two polls: less than a byte takes at 1200 baud.
const PAUSE: Duration = Duration::from_millis(2);

impl Pty {
    pub(super) fn new(stream: SerialStream) -> Self {
        Self { stream, pause: Box::pin(sleep(PAUSE)) }
    }
}

impl AsyncRead for Pty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(this.pause.as_mut().poll(cx));
            let now = Instant::now();
            this.pause.as_mut().reset(now.checked_add(PAUSE).unwrap_or(now));
        }
    }
}

impl AsyncWrite for Pty {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
