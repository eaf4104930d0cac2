//! Publishers without a broker, for the tests of other modules.

use std::future::pending;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::desired::Desired;
use super::diff::Sent;
use super::publisher::Publisher;
use super::subscriptions::Subscriptions;
use crate::config::Qos;
use crate::payload::Message;

fn online() -> Message {
    Message {
        topic: "status".to_owned(),
        payload: "online".to_owned(),
        qos: Qos::AtMostOnce,
        retain: true,
    }
}

/// A publisher whose messages are never sent.
#[must_use]
pub(crate) fn idle_publisher() -> Publisher {
    Publisher::new(Subscriptions::default()).0
}

/// A publisher, and a task that sends its messages like a connection that never ends.
pub(crate) fn sending_publisher() -> (Publisher, impl Future<Output = ()>) {
    let (publisher, mut desired) = Publisher::new(Subscriptions::default());
    let sending = async move {
        let mut sent = Sent::default();
        loop {
            let next = sent.diff(&online(), &desired.borrow_and_update(), false).next;
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                changed = desired.changed() => if changed.is_err() { return },
                () = due => {}
            }
        }
    };
    (publisher, sending)
}

/// A publisher, and a record of the messages that a connection would send.
pub(crate) fn recorded_publisher() -> (Publisher, RecordedMessages) {
    let (publisher, desired) = Publisher::new(Subscriptions::default());
    (publisher, RecordedMessages { desired, sent: Sent::default() })
}

/// The messages that a connection would send.
pub(crate) struct RecordedMessages {
    desired: watch::Receiver<Desired>,
    sent: Sent,
}

impl RecordedMessages {
    /// The messages that have become due since the last call.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        let due = self.sent.diff(&online(), &self.desired.borrow_and_update(), true);
        due.messages.into_iter().map(|due| due.message).collect()
    }

    /// The messages that are sent once.
    pub(crate) fn take_once(&mut self) -> Vec<Message> {
        let desired = self.desired.borrow();
        std::iter::from_fn(|| desired.once().take()).collect()
    }

    /// The topics of the empty ones among them.
    pub(crate) fn take_empty(&mut self) -> Vec<String> {
        let messages = self.take().into_iter();
        messages.filter(|message| message.payload.is_empty()).map(|message| message.topic).collect()
    }
}
