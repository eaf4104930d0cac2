//! Messages that are sent once and in their order, such as the answer to a command. A newer one on
//! the same topic does not replace an older one, as it does with states.
//!
//! They wait while there is no connection, and until no state waits. If too many wait, the oldest
//! are dropped: the end of an answer says how many messages it had. A message whose acknowledgement
//! is lost with the connection is not sent again.

use std::collections::VecDeque;

use crate::payload::Message;

/// How many messages may wait.
pub(super) const MOST: usize = 256;

/// How many are still sent when the program stops. The goodbye must not wait for all of them.
const AT_THE_END: usize = 8;

/// The messages that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Once(VecDeque<Message>);

impl Once {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, message: Message) {
        self.0.push_back(message);
        self.keep(MOST);
    }

    pub(super) fn take(&mut self) -> Option<Message> {
        self.0.pop_front()
    }

    /// Takes back a message that was not sent.
    pub(super) fn put_back(&mut self, message: Message) {
        self.0.push_front(message);
        self.keep(MOST);
    }

    /// Drops what is not worth a delay of the goodbye.
    pub(super) fn shorten(&mut self) {
        self.keep(AT_THE_END);
    }

    fn keep(&mut self, most: usize) {
        self.0.drain(..self.0.len().saturating_sub(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Qos;

    #[test]
    fn the_newest_are_kept() {
        let message = |number: usize| Message {
            topic: "history".to_owned(),
            payload: number.to_string(),
            qos: Qos::AtMostOnce,
            retain: false,
        };
        let mut once = Once::default();
        (0..MOST + 3).for_each(|number| once.add(message(number)));
        assert_eq!(once.take(), Some(message(3)));
        once.put_back(message(3));
        assert_eq!(once.take(), Some(message(3)));
        once.shorten();
        let rest: Vec<_> = std::iter::from_fn(|| once.take()).collect();
        assert_eq!(rest, (MOST - 5..MOST + 3).map(message).collect::<Vec<_>>());
        assert!(once.is_empty());
    }
}
