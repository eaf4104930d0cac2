//! Ends a connection that delivers more bytes than its line can. Such a flood costs half a core,
//! and no meter can be its source.

use std::io;
use std::time::Duration;

use kmp::line::Line;
use thiserror::Error;
use tokio::time::Instant;
use tracing::debug;

/// Bytes that may arrive faster than the line delivers them. A serial server or a slow network may
/// have stored that many. A longer answer is impossible, and a larger store is empty after a few
/// connections.
const BURST: usize = 8 * 1024;

/// More bytes arrived than the line can deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("bytes arrive faster than a line of {baud} baud can deliver them")]
pub struct Flood {
    /// The speed of the line.
    pub baud: u32,
}

/// The bytes that arrived since the last answer.
#[derive(Debug)]
pub(super) struct Flow {
    since: Instant,
    received: usize,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), received: 0 }
    }

    /// Counts bytes, and fails if the line cannot have delivered them.
    pub(super) fn count(&mut self, bytes: usize, line: Line) -> io::Result<()> {
        self.received = self.received.saturating_add(bytes);
        let took = self.since.elapsed();
        if Self::needs(self.received, line) <= took {
            return Ok(());
        }
        let Self { received, .. } = self;
        debug!("{received} bytes in {} s are too many.", took.as_secs_f32());
        Err(io::Error::other(Flood { baud: line.baud() }))
    }

    /// How long the line needs at least until this number of bytes has arrived.
    fn needs(bytes: usize, line: Line) -> Duration {
        line.time_for(bytes.saturating_sub(BURST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line::new(1200);

    /// How many of these bytes are accepted, with this time between them.
    async fn accepted(bytes: usize, apart: Duration) -> usize {
        let mut flow = Flow::new();
        for count in 0..bytes {
            if flow.count(1, LINE).is_err() {
                return count;
            }
            tokio::time::sleep(apart).await;
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_at_its_own_speed_is_never_a_flood() {
        let apart = LINE.time_for(1) + Duration::from_millis(1);
        assert_eq!(accepted(20_000, apart).await, 20_000);
        assert_eq!(accepted(BURST, Duration::ZERO).await, BURST);
        assert_eq!(accepted(20_000, Duration::ZERO).await, BURST);
        // A serial server at 9600 baud, for the 120 s of the placement aid.
        let faster = accepted(100_000, Duration::from_millis(1)).await;
        assert!((BURST..BURST * 5 / 4).contains(&faster), "{faster}");
    }

    #[test]
    fn the_error_is_recognized_and_names_the_speed() {
        let mut flow = Flow { since: Instant::now(), received: BURST * 2 };
        let error = flow.count(1, Line::new(300)).unwrap_err();
        let flood: &Flood = error.get_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(flood, &Flood { baud: 300 });
    }
}
