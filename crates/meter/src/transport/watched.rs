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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::{Arc, Mutex};
    use std::task::Waker;
    use std::time::Duration;

    use kmp::datalink::Address;
    use kmp::message::{GetRegister, emit_request};
    use kmp::register::RegisterId;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep, sleep_until};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::client::tests::{LINE, eight, on_the_line};
    use crate::client::{LineState, Meter, Tries};

    /// The end of a line that a program reads.
    #[derive(Default)]
    struct End {
        arrived: VecDeque<u8>,
        /// How many handles the system watches.
        handles: u32,
        /// How many handles were dropped without a note.
        unnoted: u32,
        waker: Option<Waker>,
        /// How often the system has woken the program.
        woken: u32,
    }

    impl End {
        fn read(&mut self, buffer: &mut [u8]) -> usize {
            let count = buffer.len().min(self.arrived.len());
            buffer.iter_mut().zip(self.arrived.drain(..count)).for_each(|(to, from)| *to = from);
            count
        }

        /// A byte arrives.
        fn push(&mut self, byte: u8) {
            self.arrived.push_back(byte);
            if self.handles > 0 {
                self.woken += 1;
                self.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    struct Scripted(Arc<Mutex<End>>, mpsc::UnboundedSender<Vec<u8>>);

    impl Source for Scripted {
        type Handle = Handle;

        fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
            Some(self.0.lock().unwrap().read(buffer)).filter(|count| *count > 0).map(Ok)
        }

        fn try_write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
            self.1.send(bytes.to_vec()).unwrap();
            Some(Ok(bytes.len()))
        }

        fn watch(&self) -> io::Result<Handle> {
            self.0.lock().unwrap().handles += 1;
            Ok(Handle(Arc::clone(&self.0)))
        }

        fn note_unwatched(&mut self) {
            self.0.lock().unwrap().unnoted = 0;
        }
    }

    struct Handle(Arc<Mutex<End>>);

    impl Drop for Handle {
        fn drop(&mut self) {
            let mut end = self.0.lock().unwrap();
            end.handles -= 1;
            end.unnoted += 1;
        }
    }

    impl AsyncRead for Handle {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let mut end = self.0.lock().unwrap();
            match end.read(buffer.initialize_unfilled()) {
                0 => {
                    end.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                count => {
                    buffer.advance(count);
                    Poll::Ready(Ok(()))
                }
            }
        }
    }

    /// The source accepts everything that is written.
    impl AsyncWrite for Handle {
        fn poll_write(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The numbers of one request.
    #[derive(Debug)]
    struct Counts {
        /// How often the system has woken the program for bytes.
        woken: u32,
        /// How often the task was polled.
        polls: u32,
        /// How many handles the system watches after the answer.
        handles: u32,
        /// How many of them were dropped without a note.
        unnoted: u32,
    }

    /// The numbers of four requests, while each of these bytes arrives at its own time.
    async fn paced(command: &GetRegister, sent: &[(Duration, u8)]) -> Vec<Counts> {
        let end = Arc::<Mutex<End>>::default();
        let (requests, mut requested) = mpsc::unbounded_channel();
        let stream = Watched::new(Scripted(Arc::clone(&end), requests)).unwrap();
        let mut meter = Meter::new(stream, LINE, LineState::default());
        let (stop, mut counts) = (CancellationToken::new(), Vec::new());
        for _ in 0..4 {
            sleep(LINE.time_for(2)).await;
            let (far, bytes) = (Arc::clone(&end), sent.to_vec());
            let server = tokio::spawn(async move {
                let request: Vec<u8> = requested.recv().await.unwrap();
                assert_eq!(request.last(), Some(&0x0D));
                let begun = Instant::now();
                for (at, byte) in bytes {
                    sleep_until(begun + at).await;
                    far.lock().unwrap().push(byte);
                }
                requested
            });
            let (mut polls, before) = (0, end.lock().unwrap().woken);
            let mut request = pin!(meter.request(command, Tries::One, &stop));
            let answer = poll_fn(|context| {
                polls += 1;
                request.as_mut().poll(context)
            });
            assert_eq!(answer.await.unwrap().len(), command.registers().len());
            requested = server.await.unwrap();
            let End { woken, handles, unnoted, .. } = *end.lock().unwrap();
            counts.push(Counts { woken: woken - before, polls, handles, unnoted });
        }
        counts
    }

    /// If the system watched the stream all the time, each byte would wake the program.
    #[tokio::test(start_paused = true)]
    async fn the_system_watches_a_stream_only_while_the_client_waits_for_bytes() {
        let registers: Vec<_> = (60..68).map(RegisterId::new).collect();
        let command = GetRegister::new(&registers).unwrap();
        let request = emit_request(Address::HEAT_METER, &command);
        for turnaround in [5, 50, 300].map(Duration::from_millis) {
            for echo in [false, true] {
                let begins = LINE.time_for(request.len()) + turnaround;
                let mut sent = on_the_line(begins, &eight(&registers));
                if echo {
                    sent.splice(0..0, on_the_line(Duration::ZERO, &request));
                }
                let counts = paced(&command, &sent).await;
                let case = format!("{turnaround:?}, echo {echo}: {counts:?}");
                assert!(counts.iter().all(|it| (it.handles, it.unnoted) == (0, 0)), "{case}");
                // The first request drains the line, and does not know the length of the answer.
                let later = counts.iter().skip(1);
                assert!(later.clone().all(|it| it.woken <= 8), "{case}");
                // The first poll is no wake-up.
                assert!(later.clone().all(|it| it.polls <= 9), "{case}");
            }
        }
    }
}
