//! Passes on what the broker sends.

use std::time::Duration;

use rumqttc::{Incoming, SubscribeReasonCode};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tracing::warn;

use meter::news::News;

/// Messages from the broker that may wait to be handled. More than that is a flood, and is dropped.
pub(super) const INBOX: usize = 4096;

/// How long the connection loop waits until some are handled.
pub(super) const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it, rather than received it just now.
    pub retained: bool,
}

/// Passes on what the broker sends.
#[derive(Debug)]
pub(super) struct IncomingMessages {
    inbox: mpsc::Sender<Received>,
    /// Whether the broker refused a subscription.
    refusals: News<Refused>,
    /// Whether messages had to be dropped.
    pub(super) is_flooded: bool,
}

/// The broker refused a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused;

impl IncomingMessages {
    pub(super) fn new(inbox: mpsc::Sender<Received>) -> Self {
        Self { inbox, refusals: News::default(), is_flooded: false }
    }

    /// Waits for room in the inbox, since many messages may arrive at once. It waits only
    /// [`ROOM_WITHIN`], since the connection must go on, and not at all once that was not enough.
    pub(super) async fn handle(&mut self, packet: Incoming) {
        match packet {
            Incoming::Publish(publish) => {
                let received = Received {
                    topic: publish.topic,
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                };
                let patience = if self.is_flooded { Duration::ZERO } else { ROOM_WITHIN };
                let passed_on = self.inbox.send_timeout(received, patience).await;
                // The inbox is closed when the program stops.
                if let Err(SendTimeoutError::Timeout(_)) = passed_on
                    && !self.is_flooded
                {
                    self.is_flooded = true;
                    warn!("The broker sends more than can be handled; some of it is ignored.");
                }
            }
            Incoming::SubAck(answer)
                if answer.return_codes.contains(&SubscribeReasonCode::Failure)
                    && self.refusals.is_new(Refused) =>
            {
                warn!(
                    "The broker does not let this user listen to all topics that it needs, so \
                     commands and restarts of Home Assistant may go unnoticed. Look at the user's \
                     rights on the broker."
                );
            }
            _ => {}
        }
    }
}
