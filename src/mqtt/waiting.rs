//! The messages that are due and wait until the client may send.
//!
//! A broker may acknowledge so slowly that the next poll ends before the values of the last one are
//! sent. So there is at most one message for each topic, always the newest one. It keeps the place
//! of the one that it replaces: otherwise the first topics would be sent again and again, and the
//! last ones never. A value that is no longer current is dropped.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::desired::{Desired, Part, Source};
use super::diff::DueMessage;
use crate::payload::Message;

/// The messages that wait, in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: BTreeMap<u64, (DueMessage, Instant)>,
    /// The place of each topic in `messages`.
    places: BTreeMap<String, u64>,
    last: u64,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds messages. Each takes the place of an earlier one on its topic.
    pub(super) fn extend(&mut self, due: Vec<DueMessage>) {
        for message in due {
            let place = self.places.get(&message.topic).copied();
            let waiting = place.and_then(|place| self.messages.get_mut(&place));
            if let Some((waiting, _)) = waiting {
                *waiting = message;
                continue;
            }
            self.last = self.last.wrapping_add(1);
            self.places.insert(message.topic.clone(), self.last);
            self.messages.insert(self.last, (message, Instant::now()));
        }
    }

    /// Drops the values that are no longer current.
    pub(super) fn drop_outdated(&mut self, desired: &Desired) {
        let Self { messages, places, .. } = self;
        messages.retain(|_, (message, _)| {
            let is_current = is_current(message, desired);
            if !is_current {
                places.remove(&message.topic);
            }
            is_current
        });
    }

    /// Takes the next message that is still current. Returns it with the time since which its topic
    /// has waited.
    pub(super) fn next(&mut self, desired: &Desired) -> Option<(Message, Instant)> {
        while let Some((_, (mut message, since))) = self.messages.pop_first() {
            self.places.remove(&message.topic);
            if is_current(&mut message, desired) {
                return Some((message.message, since));
            }
        }
        None
    }

    /// Takes all messages. Returns the topics of the empty ones.
    pub(super) fn take_clearings(&mut self) -> Vec<String> {
        self.places.clear();
        let messages = std::mem::take(&mut self.messages).into_values();
        let empty = messages.filter(|(message, _)| message.payload.is_empty());
        empty.map(|(message, _)| message.message.topic).collect()
    }
}

/// Whether a message is no value, or a value of the last poll, or one of an earlier poll that is
/// still current.
fn is_current(message: &mut DueMessage, desired: &Desired) -> bool {
    let Some((source, version)) = message.state_of else { return true };
    let Some(part) = desired.parts.get(&source) else { return false };
    let is_of_meter = matches!(source, Source::Meter(_));
    if is_of_meter && desired.suspended.was_suspended_since(part.suspended) {
        return false;
    }
    let is_still_current = |part: &Part| {
        part.current.iter().flatten().any(|current| {
            (&current.topic, &current.payload) == (&message.message.topic, &message.message.payload)
        })
    };
    if version != part.version && !is_still_current(part) {
        return false;
    }
    message.state_of = Some((source, part.version));
    true
}
