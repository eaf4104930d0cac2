//! How fast a visitor reads an answer. One who reads a long answer very slowly, or not at all, must
//! not keep a place for long.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A visitor must read at least [`LEAST`] bytes in this time, as long as bytes wait.
pub(super) const MEASURED: Duration = Duration::from_secs(4);

/// The system takes bytes in steps of up to half of its buffer, so this is not less.
pub(super) const LEAST: usize = 32 * 1024;

/// The system's buffer for bytes that a visitor has not read yet. By default, it grows to megabytes,
/// and then no byte would be taken for a long time.
pub(super) const BUFFER: u32 = 64 * 1024;

/// The delivery of an answer.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    state: Mutex<State>,
    blocked: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many bytes the system has taken.
    sent: usize,
    /// Since when it takes no more.
    blocked_since: Option<Instant>,
}

impl Delivery {
    pub(super) fn note_sent(&self, bytes: usize) {
        let mut state = self.lock();
        state.sent = state.sent.saturating_add(bytes);
        state.blocked_since = None;
    }

    pub(super) fn note_blocked(&self) {
        self.lock().blocked_since.get_or_insert_with(Instant::now);
        self.blocked.notify_one();
    }

    /// How long the visitor has read nothing, although bytes wait.
    pub(super) fn blocked_for(&self) -> Duration {
        self.lock().blocked_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits until the visitor reads too slowly.
    pub(super) async fn too_slow(&self) {
        loop {
            self.blocked.notified().await;
            while let Some(before) = self.sent_if_blocked() {
                sleep(MEASURED).await;
                let Some(sent) = self.sent_if_blocked() else { break };
                if sent.saturating_sub(before) < LEAST {
                    return;
                }
            }
        }
    }

    fn sent_if_blocked(&self) -> Option<usize> {
        let state = self.lock();
        state.blocked_since.map(|_| state.sent)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose delivery is noted.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    delivery: Arc<Delivery>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, delivery: Arc<Delivery>) -> Self {
        Self { stream, delivery }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.delivery.note_blocked(),
            Poll::Ready(Ok(bytes)) => self.delivery.note_sent(*bytes),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// When a visitor who reads this many bytes each second is found to be too slow.
    async fn ended(bytes: usize) -> Option<Duration> {
        let delivery = Arc::<Delivery>::default();
        let (mut visitor, server) = duplex(1000);
        let mut watched = Watched::new(server, Arc::clone(&delivery));
        let begun = Instant::now();
        let answering = async {
            watched.write_all(&vec![0; 10_000_000]).await.unwrap();
            std::future::pending::<()>().await;
        };
        let reading = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                let mut buffer = vec![0; bytes];
                visitor.read_exact(&mut buffer).await.unwrap();
            }
        };
        tokio::select! {
            () = answering => {}
            () = reading => {}
            () = delivery.too_slow() => return Some(begun.elapsed()),
            () = sleep(60 * MEASURED) => {}
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_visitor_must_read_eight_kibibytes_a_second() {
        assert_eq!(ended(0).await, Some(MEASURED));
        assert_eq!(ended(LEAST / 5).await, Some(MEASURED));
        assert_eq!(ended(LEAST / 2).await, None);
    }

    /// What matters is whether bytes wait, not whether there are many.
    #[tokio::test(start_paused = true)]
    async fn nobody_is_too_slow_for_what_does_not_wait() {
        let delivery = Delivery::default();
        let mut too_slow = Box::pin(delivery.too_slow());
        delivery.note_sent(10);
        assert!(timeout(HOUR, &mut too_slow).await.is_err());
        delivery.note_blocked();
        assert!(timeout(MEASURED / 2, &mut too_slow).await.is_err());
        delivery.note_sent(10);
        assert!(timeout(HOUR, &mut too_slow).await.is_err());
        assert_eq!(delivery.blocked_for(), Duration::ZERO);
        delivery.note_blocked();
        assert!(timeout(MEASURED, &mut too_slow).await.is_ok());
        assert_eq!(delivery.blocked_for(), MEASURED);
    }
}
