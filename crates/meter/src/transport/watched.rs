//! A stream that wakes the program only while somebody waits for its bytes.
//!
//! A stream of the runtime wakes the program for each byte that arrives, even if nobody reads,
//! because the system watches it for as long as it exists. The client knows when the next byte
//! matters, and sleeps until then. So this stream reads without the runtime. Only if nothing has
//! arrived, it gives the runtime a second handle of its file, until something arrives.

use std::io::{self, Read, Write};
use std::net::TcpStream as StdTcpStream;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serialport::TTYPort;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_serial::SerialStream;

/// A file that can be read and written without waiting.
pub(crate) trait Source: Unpin {
    /// The same file as a stream of the runtime.
    type Handle: AsyncRead + AsyncWrite + Unpin;

    /// Reads what has arrived. `None` if the handle must read: it waits, or finds an error again.
    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>>;

    /// Writes what fits. `None` if the handle must write.
    fn try_write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>>;

    /// Gives the runtime a second handle, which the system watches until it is dropped.
    fn watch(&self) -> io::Result<Self::Handle>;

    /// Restores what dropping that handle has undone.
    fn note_unwatched(&mut self) {}
}

impl Source for StdTcpStream {
    type Handle = TcpStream;

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        unless_empty(self.read(buffer))
    }

    fn try_write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        unless_empty(self.write(bytes))
    }

    fn watch(&self) -> io::Result<TcpStream> {
        TcpStream::from_std(self.try_clone()?)
    }
}

/// The system reports an error of a socket only once.
fn unless_empty(result: io::Result<usize>) -> Option<io::Result<usize>> {
    let is_empty = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
    };
    (!result.as_ref().is_err_and(is_empty)).then_some(result)
}

impl Source for TTYPort {
    type Handle = SerialStream;

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.read(buffer).ok().filter(|count| *count > 0).map(Ok)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        self.write(bytes).ok().filter(|count| *count > 0).map(Ok)
    }

    fn watch(&self) -> io::Result<SerialStream> {
        Ok(SerialStream::try_from(self.try_clone_native()?)?)
    }

    /// The library ends the exclusive use of the terminal when any of its handles is dropped.
    fn note_unwatched(&mut self) {
        // If the device is gone, the next read reports it.
        let _ = self.set_exclusive(true);
    }
}

impl Watched<StdTcpStream> {
    /// A connection that the runtime has made.
    pub(super) fn connection(stream: TcpStream) -> io::Result<Self> {
        Ok(Self::with(stream.as_fd().try_clone_to_owned()?.into(), stream))
    }
}

/// A stream that is watched only while somebody waits for it.
#[derive(Debug)]
pub(crate) struct Watched<T: Source> {
    source: T,
    watch: Option<T::Handle>,
}

impl<T: Source> Watched<T> {
    /// The first handle also makes the system never wait in the source.
    pub(super) fn new(source: T) -> io::Result<Self> {
        let watch = source.watch()?;
        Ok(Self::with(source, watch))
    }

    fn with(source: T, watch: T::Handle) -> Self {
        Self { source, watch: Some(watch) }
    }

    pub(crate) fn source(&mut self) -> &mut T {
        &mut self.source
    }

    fn watch(&mut self) -> io::Result<Pin<&mut T::Handle>> {
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => self.source.watch()?,
        };
        Ok(Pin::new(self.watch.insert(watch)))
    }
}

impl<T: Source> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.is_none()
            && let Some(read) = this.source.try_read(buffer.initialize_unfilled())
        {
            return Poll::Ready(read.map(|count| buffer.advance(count)));
        }
        let read = ready!(this.watch()?.poll_read(context, buffer));
        this.watch = None;
        this.source.note_unwatched();
        Poll::Ready(read)
    }
}

impl<T: Source> AsyncWrite for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.source.try_write(bytes) {
            Some(written) => Poll::Ready(written),
            None => this.watch()?.poll_write(context, bytes),
        }
    }

    /// Does nothing: on a serial port, it would block the thread until the last byte is sent.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watch()?.poll_shutdown(context)
    }
}
