//! The difference between the desired state of the broker and what has been sent, and when it is
//! due.
//!
//! `online` comes first, then discovery messages. The states of a meter follow its discovery
//! messages after [`SETTLE`]. A birth of Home Assistant makes everything due again.
//!
//! Nothing that happens again and again may hold up the states of a new poll: births, reconnects,
//! changes of discovery. These states wait only for entities that are announced for the first time,
//! and at most [`PATIENCE`] from then. Otherwise they go out at once, and once more when the
//! entities have been made. A discovery message that only changes an entity starts no wait, since
//! Home Assistant stays subscribed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::desired::{Desired, Part, Source};
use crate::config::Qos;
use crate::payload::Message;

/// From discovery messages to the states of their entities: Home Assistant subscribes to a state
/// only after it has made the entity, and a state that came before and is not retained is lost.
/// It takes about 0.1 s, and longer on a busy system (measured with 2026.9).
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// The longest time that new values wait for an entity, from its very first announcement: births,
/// reconnects and changes of discovery start [`SETTLE`] again, and may never end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What has been sent, in this connection and in those before it.
#[derive(Debug, Default)]
pub(super) struct Sent {
    online: bool,
    /// Until then only `online` is sent.
    not_before: Option<Instant>,
    /// Each topic on which something was ever announced, with the payload; without one where it
    /// must be sent.
    discovery: BTreeMap<String, Option<String>>,
    cleared: BTreeSet<String>,
    sources: BTreeMap<Source, Progress>,
}

/// What has been sent of a source.
#[derive(Debug, Default)]
struct Progress {
    /// Which discovery messages.
    edition: Option<u64>,
    /// Which states.
    version: Option<u64>,
    /// Whether these must follow once more, since there may have been no entities yet.
    too_early: bool,
    /// Which states were sent last, also in an earlier connection.
    latest: Option<u64>,
    /// When Home Assistant has made entities of what was announced.
    settled: Option<Instant>,
    /// How long new states wait for that at most.
    patience: Option<Instant>,
}

/// What is to be sent now, and when more is.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) messages: Vec<Message>,
    pub(super) next: Option<Instant>,
}

impl Due {
    fn later(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Sent {
    /// Everything is sent in a new connection; all but `online` waits until `not_before`.
    pub(super) fn connected(&mut self, not_before: Option<Instant>) {
        self.online = false;
        self.not_before = not_before;
        self.cleared.clear();
        self.forget();
    }

    fn forget(&mut self) {
        self.discovery.values_mut().for_each(|payload| *payload = None);
        for progress in self.sources.values_mut() {
            progress.edition = None;
            progress.version = None;
        }
    }

    /// What is desired, due and not sent yet; it counts as sent from now on. With `all`, nothing
    /// waits.
    pub(super) fn diff(&mut self, online: &Message, desired: &Desired, all: bool) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        if !self.online {
            self.online = true;
            due.messages.push(online.clone());
            desired.births().forget();
        }
        if desired.births().take_due(now) {
            self.forget();
        }
        if let Some(at) = desired.births().due() {
            due.later(at);
        }
        if let Some(at) = self.not_before.filter(|at| *at > now && !all) {
            due.later(at);
            return due;
        }
        self.clear(desired, &mut due);
        // Meters may come and go for years.
        self.sources.retain(|source, _| desired.parts.contains_key(source));
        for (source, part) in &desired.parts {
            let progress = self.sources.entry(*source).or_default();
            progress.announce(part, &mut self.discovery, &mut due);
            progress.publish(part, all, &mut due);
        }
        due
    }

    /// How many sources and topics it remembers.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.sources.len(), self.discovery.len())
    }

    fn clear(&mut self, desired: &Desired, due: &mut Due) {
        self.cleared.retain(|topic| desired.cleared.contains(topic));
        for topic in &desired.cleared {
            if self.cleared.insert(topic.clone()) {
                if let Some(payload) = self.discovery.get_mut(topic) {
                    *payload = None;
                }
                due.messages.push(empty(topic));
            }
        }
    }
}

impl Progress {
    /// Sends those of a part's discovery messages that were not sent yet.
    fn announce(
        &mut self,
        part: &Part,
        known: &mut BTreeMap<String, Option<String>>,
        due: &mut Due,
    ) {
        if self.edition.replace(part.edition) == Some(part.edition) {
            return;
        }
        let now = Instant::now();
        for message in &part.discovery {
            let Message { topic, payload, .. } = message;
            let before = known.entry(topic.clone()).or_insert_with(|| {
                self.patience = Some(now + PATIENCE);
                None
            });
            if before.as_ref() != Some(payload) {
                // An entity that is only changed stays subscribed.
                if before.replace(payload.clone()).is_none() {
                    self.settled = Some(now + SETTLE);
                }
                due.messages.push(message.clone());
            }
        }
    }

    /// Sends a part's states: new ones at once, unless its first entities are only being made, and
    /// all of them when Home Assistant has made its entities.
    fn publish(&mut self, part: &Part, all: bool, due: &mut Due) {
        let is_sent = self.version == Some(part.version);
        if part.states.is_empty() || (is_sent && (all || !self.too_early)) {
            return;
        }
        let now = Instant::now();
        let [settled, patience] =
            [self.settled, self.patience].map(|at| at.filter(|at| *at > now && !all));
        let is_new = self.latest != Some(part.version);
        let wait = if is_new { settled.min(patience) } else { settled };
        if wait.is_none() {
            self.version = Some(part.version);
            self.latest = Some(part.version);
            self.too_early = settled.is_some();
            due.messages.extend(part.states.iter().cloned());
        }
        wait.or(settled).into_iter().for_each(|at| due.later(at));
    }
}

/// An empty message, which removes a retained one.
fn empty(topic: &str) -> Message {
    Message { topic: topic.to_owned(), payload: String::new(), qos: Qos::AtLeastOnce, retain: true }
}
