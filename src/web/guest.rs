//! The peer of a connection, and which of the limited places the connection holds.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The peer of a connection.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) peer: IpAddr,
    /// The place of the connection, until it gets one among those that receive events.
    pub(super) seat: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    pub(super) open: Arc<Semaphore>,
}

impl Guest {
    /// Takes a place among the connections that receive events, which may last.
    pub(super) fn stay(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.open).try_acquire_owned().ok()?;
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
        Some(place)
    }

    pub(super) fn stays(&self) -> bool {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
