//! The difference between the desired state of the broker and the messages sent so far, and when
//! each message is due.
//!
//! `online` comes first, then discovery messages. The states of a meter follow its discovery
//! messages after [`SETTLE`]. A birth of Home Assistant makes everything due again.
//!
//! No recurring event may delay the states of a new poll: neither births, nor reconnects, nor
//! changes of discovery. These states wait only for entities that are announced for the first time,
//! and at most [`PATIENCE`] after that. Otherwise they are sent at once, and a second time when
//! Home Assistant has created the entities. A discovery message that only changes an entity starts
//! no wait, because Home Assistant stays subscribed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::desired::{Desired, Part, Source};
use crate::config::Qos;
use crate::payload::Message;

/// The time between discovery messages and the states of their entities. Home Assistant subscribes
/// to a state only after it has created the entity, so an earlier state is lost unless it is
/// retained. Creation takes about 0.1 s, and longer on a busy system (measured with 2026.9).
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// The longest time that new values wait for an entity after its very first announcement. Births,
/// reconnects and changes of discovery restart [`SETTLE`], and may recur forever.
const PATIENCE: Duration = Duration::from_secs(3);

/// The messages sent in this connection and in earlier ones.
#[derive(Debug, Default)]
pub(super) struct Sent {
    online: bool,
    /// Before this time, only `online` is sent.
    not_before: Option<Instant>,
    /// Each topic on which something was ever announced, with the payload; `None` if it must be
    /// sent again.
    discovery: BTreeMap<String, Option<String>>,
    cleared: BTreeSet<String>,
    sources: BTreeMap<Source, Progress>,
}

/// The messages of a source that have been sent.
#[derive(Debug, Default)]
struct Progress {
    /// The edition of its discovery messages.
    edition: Option<u64>,
    /// The version of its states.
    version: Option<u64>,
    /// Whether the states must be sent a second time, because the entities may not have existed
    /// yet.
    too_early: bool,
    /// The version that was sent last, including earlier connections.
    latest: Option<u64>,
    /// When Home Assistant has created the announced entities.
    settled: Option<Instant>,
    /// The latest time until which new states wait for that.
    patience: Option<Instant>,
}

/// The messages to send now, and when the next ones are due.
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
    /// Makes everything due for a new connection. All messages but `online` wait until
    /// `not_before`.
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

    /// The messages that are desired, due and not yet sent. From now on they count as sent. With
    /// `all`, no message waits.
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
        // Otherwise meters that are added and removed would pile up over the years.
        self.sources.retain(|source, _| desired.parts.contains_key(source));
        for (source, part) in &desired.parts {
            let progress = self.sources.entry(*source).or_default();
            progress.announce(part, &mut self.discovery, &mut due);
            progress.publish(part, all, &mut due);
        }
        due
    }

    /// The number of remembered sources and topics.
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
    /// Makes a part's discovery messages due if they have not been sent yet.
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
                // Home Assistant stays subscribed for an entity that only changes.
                if before.replace(payload.clone()).is_none() {
                    self.settled = Some(now + SETTLE);
                }
                due.messages.push(message.clone());
            }
        }
    }

    /// Makes a part's states due. New states are due at once, unless the part's first entities are
    /// still being created. All states are due when Home Assistant has created the entities.
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
