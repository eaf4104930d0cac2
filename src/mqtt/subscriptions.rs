//! The topic filters that the program needs, and those that the broker has.

use std::collections::BTreeSet;
use std::sync::Arc;

use rumqttc::{AsyncClient, QoS};

use super::link::Link;

/// With which QoS retained messages are subscribed to. Mosquitto queues 1000 messages for a client
/// that has not acknowledged those before, and silently drops the rest. With this QoS it sends all.
pub(super) const QOS_OF_RETAINED: QoS = QoS::AtMostOnce;

/// The topic filters that the program needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscriptions {
    /// Needed as long as the program is running.
    pub always: Vec<String>,
    /// Needed only at the start, to see the retained messages.
    pub at_first: Vec<String>,
}

/// The topic filters that the broker has.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// Subscribed in this connection.
    subscribed: BTreeSet<String>,
    /// All retained messages under these filters have been received.
    surveyed: BTreeSet<String>,
    /// The subscriptions that `subscribed` reflects.
    adjusted_to: Option<Arc<Subscriptions>>,
}

impl Filters {
    /// Notes that the retained messages under these filters have had enough time to arrive.
    pub(super) fn are_surveyed(&mut self, subscriptions: &Subscriptions) {
        let seen = subscriptions.at_first.iter().filter(|filter| self.subscribed.contains(*filter));
        self.surveyed.extend(seen.cloned());
        self.adjusted_to = None;
    }

    /// Notes that the connection is new.
    pub(super) fn forget(&mut self) {
        self.subscribed.clear();
        self.adjusted_to = None;
    }

    pub(super) fn are_to_be_surveyed(&self, subscriptions: &Subscriptions) -> bool {
        !subscriptions.at_first.iter().all(|filter| self.surveyed.contains(filter))
    }

    /// Subscribes to the wanted filters and unsubscribes from all others. Returns whether a new
    /// filter must be surveyed.
    pub(super) async fn adjust(
        &mut self,
        link: &Link,
        client: &AsyncClient,
        wanted: Arc<Subscriptions>,
    ) -> bool {
        if self.adjusted_to.as_ref().is_some_and(|by| Arc::ptr_eq(by, &wanted)) {
            return false;
        }
        let Subscriptions { always, at_first } = &*wanted;
        let at_first: Vec<&String> =
            at_first.iter().filter(|filter| !self.surveyed.contains(*filter)).collect();
        let always = always.iter().map(|filter| (filter, QoS::AtLeastOnce));
        let filters =
            || always.clone().chain(at_first.iter().map(|filter| (*filter, QOS_OF_RETAINED)));
        let is_new = at_first.iter().any(|filter| !self.subscribed.contains(*filter));
        let all: BTreeSet<String> = filters().map(|(filter, _)| filter.clone()).collect();
        for filter in self.subscribed.difference(&all) {
            link.unsubscribe(client, filter).await;
        }
        for (filter, qos) in filters().filter(|(filter, _)| !self.subscribed.contains(*filter)) {
            link.subscribe(client, filter, qos).await;
        }
        self.subscribed = all;
        self.adjusted_to = Some(wanted);
        is_new
    }
}
