//! Passes on the messages from the broker.

use std::time::Duration;

use rumqttc::{Publish, SubAck, SubscribeReasonCode};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tracing::warn;

use super::trail::Step;
use meter::news::News;

/// How many messages from the broker may wait to be handled. More are a flood, and are dropped.
pub(super) const INBOX: usize = 4096;

/// How long the connection loop waits for room in the inbox.
pub(super) const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Its topic.
    pub topic: String,
    /// Its payload, unchanged.
    pub payload: Vec<u8>,
    /// Whether the broker had retained it, rather than received it just now.
    pub retained: bool,
}

/// Passes on the messages from the broker.
#[derive(Debug)]
pub(super) struct IncomingMessages {
    inbox: mpsc::Sender<Received>,
    /// Whether the broker rejected a subscription.
    refusals: News<Refused>,
    /// Whether messages had to be dropped.
    pub(super) is_flooded: bool,
}

/// The broker rejected a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused;

impl IncomingMessages {
    pub(super) fn new(inbox: mpsc::Sender<Received>) -> Self {
        Self { inbox, refusals: News::default(), is_flooded: false }
    }

    /// Waits for room in the inbox, because many messages may arrive at once. It waits at most
    /// [`ROOM_WITHIN`], because the connection must continue. After the first timeout it no longer
    /// waits.
    pub(super) async fn pass_on(&mut self, publish: Publish) {
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
            warn!("The broker sends messages faster than they can be handled. Some are dropped.");
        }
    }

    /// The broker has answered this subscription.
    pub(super) fn subscribed(&mut self, step: Option<&Step>, answer: &SubAck) {
        let is_rejected = answer.return_codes.contains(&SubscribeReasonCode::Failure);
        if is_rejected && self.refusals.is_new(Refused) {
            let filter = match step {
                Some(Step::Subscribe { filter }) => format!("`{filter}`"),
                _ => "all necessary topics".to_owned(),
            };
            warn!(
                "The broker does not let this user subscribe to {filter}. Commands and restarts of \
                 Home Assistant may go unnoticed. Check the user's permissions on the broker."
            );
        }
    }
}
