//! The peer of a connection, and which of the limited places the connection has.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::places::Seat;

/// The peer of a connection.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) peer: IpAddr,
    /// The place of the connection, until it gets one among those that receive events.
    pub(super) seat: Seat,
    pub(super) open: Arc<Semaphore>,
    /// When its request must be whole.
    pub(super) deadline: Instant,
}

impl Guest {
    /// Takes a place among the connections that receive events, which may last.
    pub(super) fn stay(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.open).try_acquire_owned().ok()?;
        drop(self.seat.give_up());
        Some(place)
    }

    pub(super) fn stays(&self) -> bool {
        self.seat.is_given_up()
    }
}
