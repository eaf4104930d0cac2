//! Who asks over one connection, and which of the bounded places the connection holds.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who asks, over one connection.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) peer: IpAddr,
    /// The place of the connection; given up for one of those that are told of changes.
    pub(super) seat: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    pub(super) open: Arc<Semaphore>,
}

impl Guest {
    /// Takes a place among those that are told of changes, for as long as they want.
    pub(super) fn stay(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.open).try_acquire_owned().ok()?;
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
        Some(place)
    }

    pub(super) fn stays(&self) -> bool {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
