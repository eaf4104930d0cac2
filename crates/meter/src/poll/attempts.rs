//! Opens the port for a scan or a log, which may take several connections.

use tokio_util::sync::CancellationToken;

use super::outcome::PollError;
use super::plan::Plan;
use crate::transport::{Open, Stream};

/// How many connections may break, or be crowded out by those of other meters.
const MOST: u32 = 10;

/// Counts the connections that were of no use.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    broken: u32,
}

impl Attempts {
    /// Whether no further connection is worth opening.
    pub(super) fn are_spent(&self) -> bool {
        self.broken >= MOST
    }

    /// Notes a connection that broke or was crowded out.
    pub(super) fn note_broken(&mut self) {
        self.broken = self.broken.saturating_add(1);
    }

    /// Notes that the meter has answered.
    pub(super) fn note_answer(&mut self) {
        self.broken = 0;
    }

    /// Opens the port, again if another meter's connection has crowded it out. The error is `None` if
    /// the program stops.
    pub(super) async fn open<O: Open>(
        &mut self,
        plan: &Plan<O>,
        stop: &CancellationToken,
    ) -> Result<Box<dyn Stream>, Option<PollError>> {
        loop {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(None),
                opened = plan.port.open() => opened,
            };
            let error = match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if plan.port.was_crowded_out() {
                self.note_broken();
                if !self.are_spent() {
                    continue;
                }
            }
            return Err(Some(PollError::Port(error)));
        }
    }
}
