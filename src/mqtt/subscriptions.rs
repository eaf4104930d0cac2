//! The topic filters that the program needs, and those that the broker has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, QoS};
use tokio::time::{sleep, timeout};

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
    /// If this changes, the retained messages must be seen again.
    pub surveys: u64,
}

/// The topic filters that the broker has.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// Subscribed in this connection.
    subscribed: BTreeSet<String>,
    /// All retained messages under these filters have been received.
    surveyed: BTreeSet<String>,
    /// [`Subscriptions::surveys`] of the last survey.
    surveys: u64,
    /// The subscriptions that `subscribed` reflects.
    adjusted_to: Option<Arc<Subscriptions>>,
    /// Filters under which the broker sends a message that is too long. They are left out.
    left_out: BTreeSet<String>,
    search: Search,
}

/// The search for the filter under which the broker sends a message that is too long. Such a message
/// ends the connection before its topic is known.
#[derive(Debug, Default)]
struct Search {
    /// Whether each subscription is answered before the next one.
    is_under_way: bool,
    /// The last filter subscribed to, while others are still to follow or its messages to arrive.
    suspect: Option<String>,
    /// How many times the message has arrived later.
    later: u32,
}

/// In the search, how long the broker may take to answer a subscription.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// In the search, how long it may then take to send a retained message.
const ARRIVES_WITHIN: Duration = Duration::from_millis(500);

/// If the message arrives so many times when all subscriptions were answered, all are left out.
const LATER_AT_MOST: u32 = 2;

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
        let is_done = |filter| self.surveyed.contains(filter) || self.left_out.contains(filter);
        !subscriptions.at_first.iter().all(is_done)
    }

    /// Notes that the broker has ended a connection with a message that is too long.
    pub(super) fn note_too_long(&mut self) {
        let Search { is_under_way, suspect, later } = &mut self.search;
        if !std::mem::replace(is_under_way, true) {
            return;
        }
        if let Some(filter) = suspect.take() {
            self.left_out.insert(filter);
            *is_under_way = false;
            return;
        }
        *later = later.saturating_add(1);
        if *later >= LATER_AT_MOST {
            self.left_out.append(&mut self.subscribed);
        }
    }

    /// The filters under which the broker sends a message that is too long.
    pub(super) fn left_out(&self) -> Vec<String> {
        self.left_out.iter().cloned().collect()
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
        let Subscriptions { always, at_first, surveys } = &*wanted;
        if std::mem::replace(&mut self.surveys, *surveys) != *surveys {
            self.surveyed.clear();
            // To a new subscription, the broker sends its retained messages again. Some brokers do
            // not do that if the subscription exists already.
            for filter in at_first {
                if self.subscribed.remove(filter) {
                    link.unsubscribe(client, filter).await;
                }
            }
        }
        let (surveyed, left_out) = (&self.surveyed, &self.left_out);
        let at_first: Vec<&String> =
            at_first.iter().filter(|filter| !surveyed.contains(*filter)).collect();
        let always = always.iter().map(|filter| (filter, QoS::AtLeastOnce));
        let filters = || {
            let at_first = at_first.iter().map(|filter| (*filter, QOS_OF_RETAINED));
            always.clone().chain(at_first).filter(|(filter, _)| !left_out.contains(*filter))
        };
        let mut at_once = filters().filter(|(_, qos)| *qos == QOS_OF_RETAINED);
        let is_new = at_once.any(|(filter, _)| !self.subscribed.contains(filter));
        let all: BTreeSet<String> = filters().map(|(filter, _)| filter.clone()).collect();
        for filter in self.subscribed.difference(&all) {
            link.unsubscribe(client, filter).await;
        }
        for (filter, qos) in filters().filter(|(filter, _)| !self.subscribed.contains(*filter)) {
            link.subscribe(client, filter, qos).await;
            if self.search.is_under_way {
                self.search.suspect = Some(filter.clone());
                let _ = timeout(ANSWERS_WITHIN, link.is_settled()).await;
                if link.is_connected() {
                    sleep(ARRIVES_WITHIN).await;
                }
                if !link.is_connected() {
                    return false;
                }
            }
        }
        self.search.suspect = None;
        self.subscribed = all;
        self.adjusted_to = Some(wanted);
        is_new
    }
}
