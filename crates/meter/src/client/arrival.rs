//! When the next decision about an answer can fall, and when bytes have arrived.
//!
//! An answer is accepted when its last byte has arrived. The line says when that can be at the
//! earliest: a byte takes 9 ms at 1200 baud, and the request says how long the answer is at least.
//! Until then the client does not read. So a request wakes the processor a few times, and not once
//! for each byte.
//!
//! The answer to a repeated request is as long as the one before, apart from stuffing. A meter omits
//! registers that it does not have. If the first answer to a request lacks registers, its end is
//! noticed up to [`AT_ONCE`] bytes late. An answer without any register is noticed at once.
//! An answer of the logger says itself how long it is.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::Duration;

use kmp::datalink::Address;
use kmp::frame::Direction;
use kmp::line::Line;
use kmp::message::{Command, MinData};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::incoming::{Incoming, Seen};

/// The most bytes that are awaited at once, of registers that the meter may omit.
const AT_ONCE: usize = 27;

/// The same for an answer that has just begun.
const AT_FIRST: usize = 18;

/// An answer that begins with several bytes at once may have been collected, so that all of it
/// arrives within this number of bytes.
const OF_CHUNKS: usize = 4;

/// Two answers that were cut by the same line have about the same number of bytes.
pub(super) const SAME_CUT: usize = 2;

/// Bytes of a body around its data: address, command, and two of CRC.
const AROUND_DATA: usize = 4;

/// What the last read has shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    /// Its last byte was outside of a frame.
    pub(super) is_stray: bool,
    /// An answer began, and several bytes of it arrived at once.
    pub(super) is_chunk: bool,
}

/// The line and the request that is to be answered.
#[derive(Debug)]
pub(super) struct Arrival<'a, C> {
    pub(super) command: &'a C,
    pub(super) address: Address,
    pub(super) line: Line,
    /// When the last byte of the request is on the line.
    pub(super) requested: Instant,
    /// The data bytes of the last answer to a request for the same registers.
    pub(super) before: Option<usize>,
    /// The number of bytes at which the line is known to cut answers.
    pub(super) cut: Option<usize>,
}

impl<C: Command> Arrival<'_, C> {
    /// When the next decision can fall, after some bytes have arrived; `None` if the next byte
    /// matters.
    pub(super) fn next_decision(&self, incoming: &Incoming, last: Last) -> Option<Instant> {
        let now = Instant::now();
        let at = match incoming.inside() {
            Some(Direction::FromMeter) if last.is_chunk => {
                self.end(incoming, now).min(self.after(now, OF_CHUNKS))
            }
            Some(Direction::FromMeter) => self.end(incoming, now),
            None if !last.is_stray => return None,
            // The answer has not begun.
            Some(Direction::ToMeter) | None => {
                let from = now.max(self.requested);
                self.after(from, self.missing(&[], 0))
            }
        };
        (at > now).then_some(at)
    }

    /// When the frame that has begun can end at the earliest.
    fn end(&self, incoming: &Incoming, now: Instant) -> Instant {
        let (body, received) = (incoming.decoder().body(), incoming.bytes().len());
        let mut missing = self.missing(body, received.clamp(AT_FIRST, AT_ONCE));
        if let Some(cut) = self.cut.filter(|cut| received <= cut.saturating_add(SAME_CUT)) {
            missing = missing.min(cut.saturating_sub(SAME_CUT).saturating_sub(received));
        }
        // A byte that is on its way may arrive now.
        let earliest = self.after(now, missing.saturating_sub(1));
        match incoming.seen_begin() {
            Some(began) => {
                let last = received.saturating_add(missing).saturating_sub(1);
                // A line that delivers bytes late may do so in chunks.
                self.after(began, last).clamp(earliest, self.after(now, missing))
            }
            None => earliest,
        }
    }

    fn after(&self, from: Instant, bytes: usize) -> Instant {
        from.checked_add(self.line.time_for(bytes)).unwrap_or(from)
    }

    /// How many bytes must still arrive at least, until an answer with this body so far is complete.
    /// It may be complete earlier by less than `at_once` bytes, or if it is shorter than before.
    fn missing(&self, body: &[u8], at_once: usize) -> usize {
        let own = [self.address.get(), C::CID.get()];
        let is_own = body.iter().zip(&own).all(|(byte, own)| byte == own);
        // Nothing but a start byte can follow a body that is no answer.
        let body = if is_own { body } else { &[] };
        let data = body.get(own.len()..).unwrap_or_default();
        let MinData { certain, complete } = self.command.min_answer_data(data);
        let left = |data: usize| {
            let stop_byte = 1_usize;
            data.saturating_add(AROUND_DATA).saturating_add(stop_byte).saturating_sub(body.len())
        };
        // The first two bytes may be the checksum of an answer without registers.
        let at_once = if data.len() > 2 { at_once } else { 0 };
        let before = self.before.map_or(0, left);
        left(certain).max(left(complete).min(at_once)).max(before).max(1)
    }
}

/// Reads what has arrived, or waits for it. Also returns whether it has waited.
pub(super) async fn read_watched<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut [u8],
) -> io::Result<(usize, bool)> {
    let mut has_waited = false;
    let mut reading = pin!(stream.read(buffer));
    let read = poll_fn(|context| {
        let polled = reading.as_mut().poll(context);
        has_waited |= polled.is_pending();
        polled
    });
    Ok((read.await?, has_waited))
}

/// When each of `count` bytes arrived that are read now. While the stream was not watched, they
/// arrived one after the other, since it was `empty`.
pub(super) fn arrival_times(
    count: usize,
    line: Line,
    is_watched: bool,
    empty: Instant,
) -> impl Iterator<Item = Seen> {
    let now = Instant::now();
    (0..count).rev().map(move |behind| {
        let behind = if is_watched { Duration::ZERO } else { line.time_for(behind) };
        let at = now.checked_sub(behind).unwrap_or(now).max(empty);
        Seen { at, is_exact: is_watched && count == 1 }
    })
}
