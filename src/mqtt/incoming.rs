//! Passes on the messages from the broker.

use std::time::Duration;

use rumqttc::{Publish, SubAck, SubscribeReasonCode};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::trail::Step;
use meter::news::News;

/// How many messages from the broker may wait to be handled. More are a flood, and are dropped.
pub(super) const INBOX: usize = 1024;

/// How many bytes of a message are passed on. No message to the program has more: an announcement
/// of ours has about 1000, and the end of a cut one is missing, so that it is not valid JSON.
pub(super) const LONGEST_KEPT: usize = 16 * 1024;

/// The longest topic, in bytes, on which anything is for this program. The settings allow 256 for
/// the first part, and 200 are enough for the rest.
pub(super) const LONGEST_TOPIC: usize = 512;

/// How long the connection loop waits for room in the inbox.
pub(super) const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// The shortest time between two reports of dropped messages.
const REPORTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Its topic.
    pub topic: String,
    /// Its payload, cut after 16 KiB.
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
    /// Whether messages had to be dropped, and the inbox was not empty since.
    pub(super) is_flooded: bool,
    /// How many messages were dropped since the last report.
    dropped: u64,
    reported: Option<Instant>,
}

/// The broker rejected a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused;

impl IncomingMessages {
    pub(super) fn new(inbox: mpsc::Sender<Received>) -> Self {
        let refusals = News::default();
        Self { inbox, refusals, is_flooded: false, dropped: 0, reported: None }
    }

    /// Waits for room in the inbox, because many messages may arrive at once. It waits at most
    /// [`ROOM_WITHIN`], because the connection must continue. After a timeout it no longer waits,
    /// until the inbox was empty.
    pub(super) async fn pass_on(&mut self, publish: Publish) {
        let Publish { topic, payload, retain, .. } = publish;
        if topic.len() > LONGEST_TOPIC {
            // Without the length: a line for each would be a flood.
            debug!("Ignored a message on a topic of more than {LONGEST_TOPIC} bytes.");
            return;
        }
        let kept = payload.get(..LONGEST_KEPT).unwrap_or(&payload).to_vec();
        let received = Received { topic, payload: kept, retained: retain };
        self.is_flooded &= self.inbox.capacity() < self.inbox.max_capacity();
        let patience = if self.is_flooded { Duration::ZERO } else { ROOM_WITHIN };
        let passed_on = self.inbox.send_timeout(received, patience).await;
        // The inbox is closed when the program stops.
        if let Err(SendTimeoutError::Timeout(_)) = passed_on {
            self.is_flooded = true;
            self.report_drop();
        }
    }

    /// Reports the first dropped message, and then once an hour how many there were.
    fn report_drop(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
        match self.reported {
            None => warn!(
                "The broker sends messages faster than they can be handled. Some are dropped."
            ),
            Some(at) if at.elapsed() >= REPORTED_EVERY => warn!(
                "The broker sends messages faster than they can be handled. {} more were dropped.",
                self.dropped
            ),
            Some(_) => return,
        }
        self.dropped = 0;
        self.reported = Some(Instant::now());
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
                "The broker does not let this user subscribe to {filter}. Messages there go unnoticed: \
                 commands, restarts of Home Assistant, or entities that are no longer configured. \
                 Check the user's permissions on the broker."
            );
        }
    }
}
