//! The messages that are due and wait until the client may send.
//!
//! A broker may acknowledge so slowly that the next poll ends before the values of the last one are
//! sent. So there is at most one message for each topic, always the newest one. It keeps the place
//! of the one that it replaces: otherwise the first topics would be sent again and again, and the
//! last ones never. A value that is no longer current is dropped, and so is a discovery message that
//! is no longer desired: nobody would remove its entity.
//!
//! An exception is an empty message, which removes what the broker retains. A message that is not
//! retained does not do that, so it waits behind the empty one.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::desired::{Desired, Part, Source};
use super::diff::{DueMessage, Kind, Sent};
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
            if let Some((waiting, _)) = waiting
                && (!removes_retained(waiting) || message.retain)
            {
                *waiting = message;
                continue;
            }
            self.last = self.last.wrapping_add(1);
            self.places.insert(message.topic.clone(), self.last);
            self.messages.insert(self.last, (message, Instant::now()));
        }
    }

    /// Drops the messages that are no longer current.
    pub(super) fn drop_outdated(&mut self, desired: &Desired, sent: &mut Sent) {
        let Self { messages, places, .. } = self;
        let outdated = messages.iter_mut().filter_map(|(place, (message, _))| {
            let is_current = is_current(message, desired);
            (!is_current).then_some(*place)
        });
        for place in outdated.collect::<Vec<_>>() {
            if let Some((message, _)) = messages.remove(&place) {
                free(places, &message.topic, place);
                sent.note_dropped(message);
            }
        }
    }

    /// Takes the next message that is still current, and drops those before it. Returns it with the
    /// time since which its topic has waited.
    pub(super) fn next(
        &mut self,
        desired: &Desired,
        sent: &mut Sent,
    ) -> Option<(Message, Instant)> {
        while let Some((place, (mut message, since))) = self.messages.pop_first() {
            free(&mut self.places, &message.topic, place);
            if is_current(&mut message, desired) {
                return Some((message.message, since));
            }
            sent.note_dropped(message);
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

/// Forgets the place of a message, if it is still that of its topic.
fn free(places: &mut BTreeMap<String, u64>, topic: &str, place: u64) {
    if places.get(topic) == Some(&place) {
        places.remove(topic);
    }
}

fn removes_retained(message: &Message) -> bool {
    message.retain && message.payload.is_empty()
}

/// Whether a message is a discovery message that is still desired, a value of the last poll, one of
/// an earlier poll that is still current, or none of these.
fn is_current(message: &mut DueMessage, desired: &Desired) -> bool {
    let (source, version) = match message.kind {
        Kind::Lasting => return true,
        Kind::Announcement(source) => return is_announced(&message.topic, source, desired),
        Kind::State(source, version) => (source, version),
    };
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
    message.kind = Kind::State(source, part.version);
    true
}

/// Whether there is an entity on this topic. It is usually one of this source, but an entity may be
/// handed on to another one.
fn is_announced(topic: &str, source: Source, desired: &Desired) -> bool {
    let first = desired.parts.get(&source);
    let mut parts = first.into_iter().chain(desired.parts.values());
    parts.any(|part| part.discovery.iter().any(|message| message.topic == topic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Qos;

    fn message(topic: &str, payload: &str, retain: bool) -> DueMessage {
        let (topic, payload) = (topic.to_owned(), payload.to_owned());
        Message { topic, payload, qos: Qos::AtLeastOnce, retain }.into()
    }

    fn sent(waiting: &mut Waiting) -> Vec<(String, String)> {
        let (desired, mut sent) = (Desired::default(), Sent::default());
        std::iter::from_fn(|| waiting.next(&desired, &mut sent))
            .map(|(message, _)| (message.topic, message.payload))
            .collect()
    }

    fn expected(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(topic, payload)| ((*topic).to_owned(), (*payload).to_owned())).collect()
    }

    #[test]
    fn the_newest_message_of_a_topic_takes_the_place_of_the_last() {
        let mut waiting = Waiting::default();
        waiting.extend(vec![message("energy", "1", false), message("power", "5", false)]);
        waiting.extend(vec![message("energy", "2", false)]);
        assert_eq!(sent(&mut waiting), expected(&[("energy", "2"), ("power", "5")]));
        assert!(waiting.is_empty() && waiting.places.is_empty());
    }

    /// When `retain` was turned off, the next value took the place of the message that removes the
    /// retained one.
    #[test]
    fn a_value_does_not_take_the_place_of_a_removal() {
        let mut waiting = Waiting::default();
        waiting.extend(vec![message("energy", "", true), message("energy", "1", false)]);
        waiting.extend(vec![message("energy", "2", false)]);
        assert_eq!(sent(&mut waiting), expected(&[("energy", ""), ("energy", "2")]));
        // A retained value replaces what is retained, and needs no removal.
        waiting.extend(vec![message("energy", "", true), message("energy", "3", true)]);
        assert_eq!(sent(&mut waiting), expected(&[("energy", "3")]));
        assert!(waiting.places.is_empty());
    }

    #[test]
    fn a_value_behind_a_removal_keeps_its_place_when_the_removal_is_sent() {
        let (mut waiting, desired) = (Waiting::default(), Desired::default());
        waiting.extend(vec![message("energy", "", true), message("energy", "1", false)]);
        assert!(waiting.next(&desired, &mut Sent::default()).is_some());
        waiting.extend(vec![message("energy", "2", false)]);
        assert_eq!(sent(&mut waiting), expected(&[("energy", "2")]));
    }
}
