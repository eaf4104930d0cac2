//! Ends reading when nobody waits for the result any longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends reading when nobody waits for the result any longer: each method of a
/// [`Snapshot`](crate::Snapshot) then fails within about a millisecond.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends reading, for all clones.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether reading has been ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
