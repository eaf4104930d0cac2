//! Bytes on their way to the program that reads the meter.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::faults::Faults;

/// The bytes on their way to the reader. They outlive a connection, like the queue of a serial
/// server.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) faults: Option<Faults>,
    /// Ordered by the time when each begins, then by the order of [`Wire::push`].
    parcels: BTreeMap<(Instant, u64), Parcel>,
    count: u64,
}

#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    /// Whether the bytes are sent at the speed of the line, if there is one.
    pub(super) paced: bool,
    /// Whether the connection is closed after them.
    pub(super) close: bool,
}

impl Wire {
    pub(super) fn new(faults: Option<Faults>) -> Self {
        Self { faults, parcels: BTreeMap::new(), count: 0 }
    }

    /// The time when the next parcel begins.
    pub(super) fn due(&self) -> Option<Instant> {
        self.parcels.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn push(&mut self, at: Instant, parcel: Parcel) {
        self.count += 1;
        self.parcels.insert((at, self.count), parcel);
    }

    pub(super) fn pop(&mut self) -> Option<Parcel> {
        self.parcels.pop_first().map(|(_, parcel)| parcel)
    }

    /// Drops the parcels that have begun, because nobody listens.
    pub(super) fn drop_due(&mut self) {
        let now = Instant::now();
        self.parcels.retain(|(at, _), _| *at > now);
    }
}
