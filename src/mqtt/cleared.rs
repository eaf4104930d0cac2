//! The topics that must hold no retained message, in the order in which they were added.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How many topics found on the broker are cleared in one run. Anybody may have forged the messages
/// there. The removal of 200 meters with 40 entities each leaves 8,000.
pub(crate) const FOUND_AT_MOST: usize = 10_000;

/// How many bytes their names may have together.
const FOUND_BYTES: usize = 1024 * 1024;

/// What became of a topic that was found on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It will be cleared.
    Added,
    /// It was found before.
    Known,
    /// It will not be cleared, because too many were found before.
    Full,
}

/// Topics that must hold no retained message. Each has a number, and a later one a higher one, so
/// that a connection needs to remember only the last number that it has cleared.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    numbers: BTreeMap<Arc<str>, u64>,
    topics: BTreeMap<u64, Arc<str>>,
    last: u64,
    /// The length of all topics together.
    bytes: usize,
}

impl Cleared {
    /// Adds a topic. Returns whether it is new.
    pub(super) fn insert(&mut self, topic: &str) -> bool {
        if self.numbers.contains_key(topic) {
            return false;
        }
        let topic: Arc<str> = Arc::from(topic);
        self.last = self.last.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(topic.len());
        self.topics.insert(self.last, Arc::clone(&topic));
        self.numbers.insert(topic, self.last);
        true
    }

    /// Adds a topic that was found on the broker, if there is room for it.
    pub(super) fn insert_found(&mut self, topic: &str) -> Found {
        let is_known = self.numbers.contains_key(topic);
        let bytes = self.bytes.saturating_add(topic.len());
        if !is_known && (self.numbers.len() >= FOUND_AT_MOST || bytes > FOUND_BYTES) {
            return Found::Full;
        }
        if self.insert(topic) { Found::Added } else { Found::Known }
    }

    /// Removes a topic, because something is published there again. Returns whether it was there.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        let Some(number) = self.numbers.remove(topic) else { return false };
        self.topics.remove(&number);
        self.bytes = self.bytes.saturating_sub(topic.len());
        true
    }

    /// The number of a topic.
    pub(super) fn number(&self, topic: &str) -> Option<u64> {
        self.numbers.get(topic).copied()
    }

    /// The topics that were added after this number, with their own numbers, oldest first.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = (u64, &str)> {
        let range = self.topics.range((Bound::Excluded(number), Bound::Unbounded));
        range.map(|(number, topic)| (*number, &**topic))
    }

    /// How many topics there are, and how many bytes they have together.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        assert_eq!(self.numbers.len(), self.topics.len());
        (self.numbers.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cleared: &Cleared, number: u64) -> Vec<(u64, &str)> {
        cleared.after(number).collect()
    }

    #[test]
    fn a_topic_keeps_its_number_until_it_is_removed() {
        let mut cleared = Cleared::default();
        assert!(cleared.insert("a"));
        assert!(cleared.insert("b"));
        assert!(!cleared.insert("a"));
        assert_eq!(after(&cleared, 0), [(1, "a"), (2, "b")]);
        assert_eq!(after(&cleared, 1), [(2, "b")]);
        assert!(cleared.remove("a"));
        assert!(!cleared.remove("a"));
        assert!(cleared.insert("a"));
        assert_eq!(after(&cleared, 1), [(2, "b"), (3, "a")]);
        assert_eq!(after(&cleared, 3), []);
    }

    #[test]
    fn found_topics_are_limited_by_number_and_by_length() {
        let mut cleared = Cleared::default();
        for number in 0..100_000 {
            let expected = if number < FOUND_AT_MOST { Found::Added } else { Found::Full };
            assert_eq!(cleared.insert_found(&number.to_string()), expected);
        }
        assert_eq!(cleared.insert_found("7"), Found::Known);
        assert!(cleared.remove("7"));
        assert_eq!(cleared.insert_found("seven"), Found::Added);
        assert_eq!(cleared.size().0, FOUND_AT_MOST);

        let mut cleared = Cleared::default();
        let long = |number: usize| format!("{number:060000}");
        let added = (0..100).filter(|number| cleared.insert_found(&long(*number)) == Found::Added);
        assert_eq!(added.count(), FOUND_BYTES / 60_000);
        assert!(cleared.size().1 <= FOUND_BYTES);
        assert!(cleared.remove(&long(0)));
        assert_eq!(cleared.insert_found(&long(100)), Found::Added);
    }
}
