//! The difference between the desired state of the broker and the messages sent so far, and when
//! each message is due.
//!
//! # When values are sent
//!
//! `online` is sent first, then discovery messages. After the first announcement of an entity, the
//! states of its meter wait for [`SETTLE`], until Home Assistant has created the entity. A birth
//! message of Home Assistant makes everything due again.
//!
//! No recurring event may delay the states of a new poll: no birth message, no reconnect, no change
//! of discovery. Such an event may restart the wait, but cannot extend it beyond [`PATIENCE`] after
//! the first announcement. Outside this wait, new states are sent at once. If Home Assistant may
//! still be creating entities at that moment, the states are sent a second time after [`SETTLE`]. A
//! discovery message that only changes an entity starts no wait, because Home Assistant stays
//! subscribed.
//!
//! States from before the machine was suspended are never sent: they may be hours old. The next poll
//! replaces them.
//!
//! States of earlier polls that are still current ([`Part::current`]) are sent together with the
//! others after such an event. Without one, they are not sent again.
//!
//! If messages may have been lost with the last connection, the states of existing entities come
//! before announcements: a broker that is overloaded may stop working before it has received all.
//!
//! # When `online` is sent
//!
//! It is sent first in each connection, and with the answer to each birth message. It is also sent
//! once more [`ONLINE_AGAIN`] after the connect. Until then, the broker may publish the last will of
//! an earlier run, which replaces the status.
//!
//! # When topics are cleared
//!
//! Topics that the program has used itself are cleared at once, before values are sent: an empty
//! message after a value would erase the value.
//!
//! Topics that were found on the broker are cleared in batches of [`CLEARED_AT_ONCE`], because a
//! broker may hold any number of messages that look like ours. They are cleared after the states of
//! existing entities are sent, and before new entities are announced. Home Assistant must remove an
//! old entity before a new one can have its name.
//!
//! Each topic is cleared once. A later connection clears it again only if the broker may not have
//! received the empty message. By then, another program may have announced an entity there, for
//! example because a meter was moved to that program.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::time::Duration;

use tokio::time::Instant;

use super::cleared::Cleared;
use super::client;
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

/// `online` is sent once more after this time. A broker notices the end of a connection without a
/// word, as after a power cut, 1.5 times its keep-alive after the last packet: 90 s for the older
/// Python program. Then it publishes that connection's last will. If the new run has the same
/// client id, the broker does so before it accepts the new connection.
pub(super) const ONLINE_AGAIN: Duration =
    Duration::from_secs(60 + client::KEEP_ALIVE.as_secs() * 3 / 2);

/// How many topics are cleared in [`CLEARED_EVERY`]. Those of three meters are cleared at once.
pub(super) const CLEARED_AT_ONCE: usize = 100;
pub(super) const CLEARED_EVERY: Duration = Duration::from_millis(500);

/// The messages sent in this connection and in earlier ones.
#[derive(Debug, Default)]
pub(super) struct Sent {
    online: bool,
    /// When `online` is sent once more in this connection.
    online_again: Option<Instant>,
    /// Before this time, only `online` is sent.
    not_before: Option<Instant>,
    /// Each topic on which something was ever announced, with the payload; `None` if it must be
    /// sent again.
    discovery: BTreeMap<String, Option<String>>,
    clearing: Clearing,
    sources: BTreeMap<Source, Progress>,
}

/// The topics that were cleared, including earlier connections.
#[derive(Debug, Default)]
struct Clearing {
    /// The number of the last one in [`Desired::cleared`].
    own: u64,
    /// The number of the last one in [`Desired::found`].
    found: u64,
    /// Topics up to these numbers that may not have been cleared, because the connection was lost.
    again: BTreeSet<String>,
    /// How many more may be cleared before `next`.
    room: usize,
    next: Option<Instant>,
}

/// The messages of a source that have been sent.
#[derive(Debug, Default)]
struct Progress {
    /// The edition of its discovery messages.
    edition: Option<u64>,
    /// The version of its states.
    version: Option<u64>,
    /// The number of the change that added states to this version.
    addition: u64,
    /// Whether the states must be sent a second time, because the entities may not have existed
    /// yet.
    too_early: bool,
    /// The version that was sent last, including earlier connections.
    latest: Option<u64>,
    /// Whether Home Assistant has the states of earlier polls that are still current.
    has_current: bool,
    /// The topics of states that were dropped while they waited, since it was last known which
    /// states are still current.
    dropped: BTreeSet<String>,
    /// When Home Assistant has created the announced entities.
    settled: Option<Instant>,
    /// The latest time until which new states wait for that.
    patience: Option<Instant>,
    /// Whether the next states are sent before announcements, because the last ones may have been
    /// lost with the connection.
    values_first: bool,
}

/// A message to send now.
#[derive(Debug)]
pub(super) struct DueMessage {
    pub(super) message: Message,
    pub(super) kind: Kind,
}

/// Until when a message that waits is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// The status of the program, or an empty message: in any case.
    Lasting,
    /// A discovery message of this source: as long as one on this topic is desired.
    Announcement(Source),
    /// A state of this source, with the version of the source's states: as long as it is current.
    State(Source, u64),
}

impl From<Message> for DueMessage {
    fn from(message: Message) -> Self {
        Self { message, kind: Kind::Lasting }
    }
}

impl Deref for DueMessage {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// The messages to send now, and when the next ones are due.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) messages: Vec<DueMessage>,
    pub(super) next: Option<Instant>,
}

impl Due {
    fn later(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Sent {
    /// Makes everything due for a new connection. All messages but `online` wait until
    /// `not_before`. Earlier connections may not have cleared the topics in `not_cleared`. If the
    /// last one `has_lost` messages, states are sent before announcements.
    pub(super) fn connected(
        &mut self,
        not_before: Option<Instant>,
        not_cleared: BTreeSet<String>,
        has_lost: bool,
    ) {
        let sources = self.sources.values_mut().filter(|progress| progress.latest.is_some());
        for progress in sources.filter(|_| has_lost) {
            progress.latest = None;
            progress.patience = None;
            progress.values_first = true;
        }
        self.online = false;
        self.not_before = not_before;
        self.clearing.again.extend(not_cleared);
        self.clearing.next = None;
        self.forget();
    }

    /// All messages but `online` wait until then.
    pub(super) fn postpone(&mut self, not_before: Instant) {
        self.not_before = self.not_before.max(Some(not_before));
    }

    fn forget(&mut self) {
        self.discovery.values_mut().for_each(|payload| *payload = None);
        for progress in self.sources.values_mut() {
            progress.edition = None;
            progress.version = None;
            progress.has_current = false;
            progress.dropped.clear();
        }
    }

    /// A message was dropped while it waited, so it was not sent.
    pub(super) fn note_dropped(&mut self, DueMessage { message, kind }: DueMessage) {
        match kind {
            Kind::Lasting => {}
            Kind::Announcement(_) => {
                if let Some(payload) = self.discovery.get_mut(&message.topic) {
                    *payload = None;
                }
            }
            Kind::State(source, _) => {
                if let Some(progress) = self.sources.get_mut(&source) {
                    progress.dropped.insert(message.topic);
                }
            }
        }
    }

    /// The messages that are desired, due and not yet sent. From now on they count as sent. With
    /// `all`, no message waits.
    pub(super) fn diff(&mut self, online: &Message, desired: &Desired, all: bool) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        if !self.online {
            self.online = true;
            self.online_again = Some(now + ONLINE_AGAIN);
            due.messages.push(online.clone().into());
            desired.births().forget();
        }
        let answers_a_birth = desired.births().take_due(now);
        if answers_a_birth {
            self.forget();
        }
        if !all {
            let is_due = self.online_again.take_if(|at| *at <= now).is_some();
            if answers_a_birth || is_due {
                due.messages.push(online.clone().into());
            }
            self.online_again.into_iter().for_each(|at| due.later(at));
        }
        if let Some(at) = desired.births().due() {
            due.later(at);
        }
        if let Some(at) = self.not_before.filter(|at| *at > now && !all) {
            due.later(at);
            return due;
        }
        let (own, found) = self.clear(desired, all, &mut due);
        due.messages.extend(own.into_iter().map(DueMessage::from));
        let mut changed: Vec<DueMessage> = Vec::new();
        // Otherwise meters that are added and removed would pile up over the years.
        self.sources.retain(|source, _| desired.parts.contains_key(source));
        for (source, part) in &desired.parts {
            let is_meter = matches!(source, Source::Meter(_));
            let is_old = is_meter && desired.suspended.was_suspended_since(part.suspended);
            let progress = self.sources.entry(*source).or_default();
            let announced = progress.announce(part, &mut self.discovery);
            let is_changed = !announced.is_empty();
            let kind = Kind::Announcement(*source);
            changed.extend(announced.into_iter().map(|message| DueMessage { message, kind }));
            if is_old {
                continue;
            }
            let states = progress.publish(part, all, &mut due).cloned();
            let kind = Kind::State(*source, part.version);
            let states = states.map(|message| DueMessage { message, kind });
            let is_first = std::mem::take(&mut progress.values_first);
            let messages = if is_changed && !is_first { &mut changed } else { &mut due.messages };
            messages.extend(states);
        }
        due.messages.extend(found.into_iter().map(DueMessage::from));
        due.messages.extend(changed);
        due
    }

    /// The number of remembered sources and topics.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.sources.len(), self.discovery.len())
    }

    /// The next batch of empty messages: for our own topics, and for those found on the broker.
    fn clear(
        &mut self,
        desired: &Desired,
        all: bool,
        due: &mut Due,
    ) -> (Vec<Message>, Vec<Message>) {
        let now = Instant::now();
        let Clearing { own, found, again, room, next } = &mut self.clearing;
        if all || next.is_none_or(|next| next <= now) {
            (*room, *next) = (CLEARED_AT_ONCE, Some(now + CLEARED_EVERY));
        }
        let known = &mut self.discovery;
        let mut batch = |cleared: &Cleared, last: &mut u64, qos: Qos, room: usize| {
            let is_sent = |topic: &str| cleared.number(topic).is_some_and(|number| number <= *last);
            let repeated = again.iter().filter(|topic| is_sent(topic)).take(room);
            let mut topics: Vec<String> = repeated.cloned().collect();
            again.retain(|topic| !topics.contains(topic));
            for (number, topic) in cleared.after(*last).take(room.saturating_sub(topics.len())) {
                *last = number;
                topics.push(topic.to_owned());
            }
            for topic in &topics {
                if let Some(payload) = known.get_mut(topic) {
                    *payload = None;
                }
            }
            topics.iter().map(|topic| empty(topic, qos)).collect::<Vec<_>>()
        };
        // An acknowledgement of many messages would hold up the values behind them. What is lost is
        // found again by the next run.
        let found_batch = batch(&desired.found, found, Qos::AtMostOnce, *room);
        *room = room.saturating_sub(found_batch.len());
        // Our own topics are bounded by the configuration, and no empty message may follow a value.
        let own_batch = batch(&desired.cleared, own, Qos::AtLeastOnce, usize::MAX);
        let batches = (own_batch, found_batch);
        // The others were announced again.
        again.retain(|topic| desired.found.number(topic).is_some());
        let mut more = desired.found.after(*found);
        if let Some(at) = next.filter(|_| more.next().is_some() || !again.is_empty()) {
            due.later(at);
        }
        batches
    }
}

impl Progress {
    /// A part's discovery messages that have not been sent yet.
    fn announce(
        &mut self,
        part: &Part,
        known: &mut BTreeMap<String, Option<String>>,
    ) -> Vec<Message> {
        let mut announced = Vec::new();
        if self.edition.replace(part.edition) == Some(part.edition) {
            return announced;
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
                announced.push(message.clone());
                self.has_current = false;
            }
        }
        announced
    }

    /// A part's states that are due. New states are due at once, unless the part's first entities
    /// are still being created. All states are due when Home Assistant has created the entities.
    fn publish<'a>(
        &mut self,
        part: &'a Part,
        all: bool,
        due: &mut Due,
    ) -> impl Iterator<Item = &'a Message> + use<'a> {
        let none: (&[Message], &[Message]) = (&[], &[]);
        let (current, states) = self.due_states(part, all, due).unwrap_or(none);
        current.iter().chain(states)
    }

    /// The states of earlier polls and those of the last one, if they are due.
    fn due_states<'a>(
        &mut self,
        part: &'a Part,
        all: bool,
        due: &mut Due,
    ) -> Option<(&'a [Message], &'a [Message])> {
        let is_sent = self.version == Some(part.version);
        let has_added = is_sent && self.addition != part.addition;
        if part.states.is_empty() || (is_sent && !has_added && (all || !self.too_early)) {
            return None;
        }
        let now = Instant::now();
        let [settled, patience] =
            [self.settled, self.patience].map(|at| at.filter(|at| *at > now && !all));
        let is_new = has_added || self.latest != Some(part.version);
        let wait = if is_new { settled.min(patience) } else { settled };
        let only_added = has_added && (all || !self.too_early || settled.is_some());
        if wait.is_none() {
            self.addition = part.addition;
            let follows = |latest| [part.before, part.version].contains(&latest);
            // The states of a version that was never sent may be among those of earlier polls.
            self.has_current &= self.latest.is_some_and(follows);
            self.version = Some(part.version);
            self.latest = Some(part.version);
            self.too_early = settled.is_some();
        }
        wait.or(settled).into_iter().for_each(|at| due.later(at));
        if wait.is_some() {
            return None;
        }
        if only_added {
            return Some((&[], part.states.get(part.added_from..).unwrap_or_default()));
        }
        let current = part.current.as_deref().map_or(&[][..], |current| {
            let dropped = std::mem::take(&mut self.dropped);
            self.has_current &= !current.iter().any(|message| dropped.contains(&message.topic));
            let has_current = std::mem::replace(&mut self.has_current, !self.too_early);
            if has_current { &[] } else { current }
        });
        Some((current, &part.states))
    }
}

/// An empty message, which removes a retained one.
fn empty(topic: &str, qos: Qos) -> Message {
    Message { topic: topic.to_owned(), payload: String::new(), qos, retain: true }
}
