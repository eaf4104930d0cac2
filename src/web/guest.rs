//! The peer of a connection, and which of the limited places the connection has.

use std::future::pending;
use std::net::IpAddr;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::places::Seat;
use super::streams::{LAST_EVENT, Stream, Streams};

/// The peer of a connection.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) peer: IpAddr,
    /// The place of the connection, until it gets one among those that receive events.
    pub(super) seat: Seat,
    pub(super) streams: Streams,
    /// Ends the connection, if it receives events.
    pub(super) end: CancellationToken,
    /// When its request must be whole.
    pub(super) deadline: Instant,
}

impl Guest {
    /// Takes a place among the connections that receive events, which may last.
    pub(super) async fn stay(&self) -> Stream {
        let stream = self.streams.take(self.peer, self.end.clone()).await;
        drop(self.seat.give_up());
        stream
    }

    /// Waits until the connection must have ended, because another one needs its place.
    pub(super) async fn ended(&self) {
        self.end.cancelled().await;
        sleep(LAST_EVENT).await;
    }

    /// Waits until the visitor reads an answer too slowly. Events may wait.
    pub(super) async fn reads_too_slowly(&self) {
        self.seat.delivery().too_slow().await;
        if self.stays() {
            pending::<()>().await;
        }
    }

    pub(super) fn stays(&self) -> bool {
        self.seat.is_given_up()
    }
}
