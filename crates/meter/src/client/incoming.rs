//! The frame that is arriving, with its bytes as they are on the line.

use kmp::frame::{Decoder, Direction, Event};
use tokio::time::Instant;

/// When a byte arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Whether it was awaited, so that the time is exact.
    pub(super) is_exact: bool,
}

/// A decoder that remembers the bytes of the frame, and when it began.
#[derive(Debug)]
pub(super) struct Incoming {
    decoder: Decoder,
    bytes: Vec<u8>,
    began: Seen,
    /// When the last byte arrived.
    last: Instant,
}

/// An event, with the bytes of its frame. The bytes are empty if it has no frame.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) event: Event,
    pub(super) bytes: Vec<u8>,
    pub(super) began: Instant,
}

impl Incoming {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            decoder: Decoder::new(),
            bytes: Vec::new(),
            began: Seen { at: now, is_exact: false },
            last: now,
        }
    }

    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The direction of the frame that has begun and not yet ended, if any.
    pub(super) fn inside(&self) -> Option<Direction> {
        self.decoder.inside()
    }

    /// The bytes of the frame that has begun.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When the frame began, if that is known exactly.
    pub(super) fn seen_begin(&self) -> Option<Instant> {
        self.began.is_exact.then_some(self.began.at)
    }

    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// Discards the frame that has begun, if any.
    pub(super) fn reset(&mut self) {
        self.decoder.reset();
        self.bytes.clear();
    }

    /// Processes the next byte.
    pub(super) fn push(&mut self, byte: u8, seen: Seen) -> Option<Arrived> {
        let before = self.decoder.inside();
        self.last = seen.at;
        let event = self.decoder.push(byte);
        let is_inside = self.decoder.inside().is_some();
        // A start byte that interrupts a frame belongs to the next one.
        let starts = is_inside && (before.is_none() || event.is_some());
        if !starts && (is_inside || before.is_some()) {
            self.bytes.push(byte);
        }
        let arrived = event.map(|event| {
            let bytes = std::mem::take(&mut self.bytes);
            Arrived { event, bytes, began: self.began.at }
        });
        if starts {
            self.bytes.clear();
            self.bytes.push(byte);
            self.began = seen;
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_bytes_of_its_frame() {
        let mut incoming = Incoming::new();
        let line = [0x55, 0x80, 0x3F, 0x40, 0x3F, 0x1B, 0xF2, 0x0D, 0x06, 0x40, 0x01];
        let seen = Seen { at: Instant::now(), is_exact: true };
        let arrived: Vec<_> = line.iter().filter_map(|byte| incoming.push(*byte, seen)).collect();
        let bytes: Vec<_> = arrived.iter().map(|arrived| arrived.bytes.clone()).collect();
        assert_eq!(bytes, [vec![0x80, 0x3F], vec![0x40, 0x3F, 0x1B, 0xF2, 0x0D], vec![]]);
        assert_eq!(incoming.bytes(), [0x40, 0x01]);
        incoming.reset();
        assert_eq!((incoming.bytes(), incoming.inside()), (&[][..], None));
    }
}
