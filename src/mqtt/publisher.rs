//! The handle with which callers change the desired state of the broker.

use std::sync::Arc;

use tokio::sync::watch;

use super::births::Answer;
use super::cleared::Found;
use super::desired::{Desired, Source};
use super::subscriptions::Subscriptions;
use crate::payload::Message;

/// Changes the desired state of the broker. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    desired: Arc<watch::Sender<Desired>>,
}

impl Publisher {
    pub(super) fn new(subscriptions: Subscriptions) -> (Self, watch::Receiver<Desired>) {
        let (sender, desired) = watch::channel(Desired::new(subscriptions));
        (Self { desired: Arc::new(sender) }, desired)
    }

    /// Replaces the measurement of how long the machine has been suspended.
    #[cfg(test)]
    pub(super) fn measure_suspended_by(&self, suspended: meter::suspension::SuspendedTime) {
        self.desired.send_modify(|desired| desired.suspended = suspended);
    }

    /// Sets a source's discovery messages.
    pub(crate) fn announce(&self, source: Source, discovery: Vec<Message>) {
        self.desired.send_modify(|desired| desired.announce(source, discovery));
    }

    /// Sets a source's discovery messages and the states that follow them. Earlier states are
    /// forgotten, so that values of an earlier poll are never sent again as if they were current.
    /// If both are empty, the source is removed.
    pub(crate) fn update(&self, source: Source, discovery: Vec<Message>, states: Vec<Message>) {
        self.update_all(source, discovery, states, Some(Vec::new()));
    }

    /// The same with states of earlier polls that are still current, because these values are not
    /// read in each poll. They are sent only if everything is sent again. `None` if it is not known
    /// which of them are, because the last poll read nothing: then they are sent later.
    pub(crate) fn update_all(
        &self,
        source: Source,
        discovery: Vec<Message>,
        states: Vec<Message>,
        current: Option<Vec<Message>>,
    ) {
        self.desired.send_modify(|desired| desired.update(source, discovery, states, current));
    }

    /// Adds states to those of the last [`Self::update_all`], without sending these again.
    pub(crate) fn add(&self, source: Source, discovery: Vec<Message>, states: Vec<Message>) {
        self.desired.send_modify(|desired| desired.add(source, discovery, states));
    }

    /// Sends a message once, after those that were given before.
    pub(crate) fn send_once(&self, message: Message) {
        self.desired.send_modify(|desired| desired.once().add(message));
    }

    /// Subscribes to these topic filters, and to no others.
    pub(crate) fn subscribe(&self, subscriptions: Subscriptions) {
        self.desired.send_modify(|desired| desired.subscriptions = Arc::new(subscriptions));
    }

    /// Removes the retained message on a topic, until something is announced there again.
    pub(crate) fn clear(&self, topic: &str) {
        self.desired.send_if_modified(|desired| desired.cleared.insert(topic));
    }

    /// Removes a retained message that was found on the broker, after those of [`Self::clear`].
    /// Anybody may have published it, so there is a limit.
    pub(crate) fn clear_found(&self, topic: &str) -> Found {
        let mut found = Found::Full;
        self.desired.send_if_modified(|desired| {
            found = desired.found.insert_found(topic);
            found == Found::Added
        });
        found
    }

    /// Sends everything again, because Home Assistant has just started. Returns when.
    #[must_use]
    pub(crate) fn repeat(&self) -> Answer {
        let mut answer = Answer::WithAnother;
        self.desired.send_if_modified(|desired| {
            answer = desired.births().add();
            answer != Answer::WithAnother
        });
        answer
    }
}
