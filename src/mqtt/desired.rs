//! The desired state of the broker: the messages that should be on it, by source.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meter::suspension::SuspendedTime;

use super::births::Births;
use super::cleared::Cleared;
use super::once::Once;
use super::subscriptions::Subscriptions;
use crate::payload::Message;

/// The source of a message. The program's own messages come first, because its device is the parent
/// of all meters' devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// The program itself.
    Program,
    /// The meter with this number.
    Meter(usize),
}

/// The desired state of the broker.
#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) parts: BTreeMap<Source, Part>,
    /// Topics of this configuration, or of an earlier one in this run, that must hold no retained
    /// message.
    pub(super) cleared: Cleared,
    /// Topics that were found on the broker and must hold no retained message.
    pub(super) found: Cleared,
    pub(super) subscriptions: Arc<Subscriptions>,
    births: Mutex<Births>,
    once: Mutex<Once>,
    pub(super) suspended: SuspendedTime,
    /// Numbers the changes of parts, so that each number is unique.
    changes: u64,
}

impl Desired {
    pub(super) fn new(subscriptions: Subscriptions) -> Self {
        Self { subscriptions: Arc::new(subscriptions), ..Self::default() }
    }

    pub(super) fn births(&self) -> MutexGuard<'_, Births> {
        self.births.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that are sent once.
    pub(super) fn once(&self) -> MutexGuard<'_, Once> {
        self.once.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a source's discovery messages. Their topics are no longer cleared.
    pub(super) fn announce(&mut self, source: Source, discovery: Vec<Message>) {
        self.part(source, discovery);
    }

    /// Sets a source's discovery messages, its states, and those of earlier polls that are still
    /// current; without discovery messages and states, removes the source.
    pub(super) fn update(
        &mut self,
        source: Source,
        discovery: Vec<Message>,
        states: Vec<Message>,
        current: Option<Vec<Message>>,
    ) {
        if discovery.is_empty() && states.is_empty() {
            self.parts.remove(&source);
            return;
        }
        // A retained state replaces the empty message on its topic.
        for message in
            states.iter().chain(current.iter().flatten()).filter(|message| message.retain)
        {
            self.keep(&message.topic);
        }
        let suspended = self.suspended.total();
        let (part, change) = self.part(source, discovery);
        part.suspended = suspended;
        part.states = states;
        part.current = current;
        part.addition = 0;
        (part.before, part.version) = (part.version, change);
    }

    /// Adds states to those of the last poll, and sets a source's discovery messages.
    pub(super) fn add(&mut self, source: Source, discovery: Vec<Message>, states: Vec<Message>) {
        for message in states.iter().filter(|message| message.retain) {
            self.keep(&message.topic);
        }
        let (part, change) = self.part(source, discovery);
        part.addition = change;
        part.added_from = part.states.len();
        part.states.extend(states);
    }

    /// No longer clears a topic. Returns whether it was to be cleared.
    fn keep(&mut self, topic: &str) -> bool {
        let is_found = self.found.remove(topic);
        self.cleared.remove(topic) || is_found
    }

    /// Sets a source's discovery messages. Returns its part and the number of this change.
    fn part(&mut self, source: Source, discovery: Vec<Message>) -> (&mut Part, u64) {
        let mut was_cleared = false;
        for message in &discovery {
            was_cleared |= self.keep(&message.topic);
        }
        self.changes = self.changes.wrapping_add(1);
        let part = self.parts.entry(source).or_default();
        // With hundreds of meters, it matters that only changed parts are compared again.
        if was_cleared || part.edition == 0 || part.discovery != discovery {
            part.discovery = discovery;
            part.edition = self.changes;
        }
        (part, self.changes)
    }
}

/// A source's part of the desired state.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) discovery: Vec<Message>,
    /// The number of the change that set `discovery`.
    pub(super) edition: u64,
    pub(super) states: Vec<Message>,
    /// States of earlier polls that are still current. They are sent only if everything is sent
    /// again, or if discovery messages have changed. `None` if it is not known which of them are.
    pub(super) current: Option<Vec<Message>>,
    /// The number of the change that set `states`.
    pub(super) version: u64,
    /// The number of the one before it.
    pub(super) before: u64,
    /// The number of the change that added states later; 0 if none did.
    pub(super) addition: u64,
    /// The place of the first of these in `states`.
    pub(super) added_from: usize,
    /// How long the machine had been suspended until then.
    pub(super) suspended: Duration,
}
