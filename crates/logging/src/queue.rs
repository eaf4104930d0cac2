//! The queue of a destination. Whoever logs never waits for the destination.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::Record;

/// How many records may wait for a destination: some hours of usual lines, or some minutes in
/// `DEBUG`.
pub(crate) const WAITING: usize = 1024;

/// The queue of one destination. `S` is the type of its settings.
#[derive(Debug)]
pub(crate) struct Queue<S> {
    inner: Mutex<Inner<S>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<S> {
    waiting: VecDeque<Item<S>>,
    /// How many records came to a full queue since the last one that was added.
    lost: u64,
    /// Nothing more will be added.
    closed: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything that was taken is written.
    Idle,
    /// Something is being written.
    Writing,
    /// What was taken cannot be written for now.
    Stuck,
}

/// What a destination must do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<S> {
    Write(Arc<Record>),
    /// This number of records is missing here.
    Lost(u64),
    /// Use these settings from now on.
    Change(S),
}

impl<S> Item<S> {
    fn records(&self) -> u64 {
        match self {
            Self::Write(_) => 1,
            Self::Lost(count) => *count,
            Self::Change(_) => 0,
        }
    }
}

/// What was not written at the end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) records: u64,
    /// Whether the first of them was being written, so that it may still arrive.
    pub(crate) under_way: bool,
}

/// Why a pause ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Paused<S> {
    /// Its time is over.
    Over,
    /// There are new settings.
    Change(S),
    /// Nothing more will be added.
    Closed,
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self::with_capacity(WAITING)
    }
}

impl<S> Queue<S> {
    fn with_capacity(capacity: usize) -> Self {
        let inner = Inner { waiting: VecDeque::new(), lost: 0, closed: false, state: State::Idle };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record, or counts it as lost where the queue is full.
    pub(crate) fn push(&self, record: Arc<Record>) {
        let mut inner = self.lock();
        if inner.waiting.len() >= self.capacity {
            inner.lost += 1;
            return;
        }
        if let lost @ 1.. = std::mem::take(&mut inner.lost) {
            inner.waiting.push_back(Item::Lost(lost));
        }
        inner.waiting.push_back(Item::Write(record));
        drop(inner);
        self.changed.notify_all();
    }

    /// Adds new settings, which hold for the records after them.
    pub(crate) fn change(&self, settings: S) {
        let mut inner = self.lock();
        // Only the last of several in a row has an effect, so they do not pile up.
        while let Some(Item::Change(_)) = inner.waiting.back() {
            inner.waiting.pop_back();
        }
        inner.waiting.push_back(Item::Change(settings));
        drop(inner);
        self.changed.notify_all();
    }

    /// Ends the queue. Waiting records are still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the next item; `None` at the end of the queue. The item that was taken before
    /// counts as done.
    pub(crate) fn take(&self) -> Option<Item<S>> {
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.waiting.pop_front() {
                inner.state = State::Writing;
                return Some(item);
            }
            if let lost @ 1.. = std::mem::take(&mut inner.lost) {
                inner.state = State::Writing;
                return Some(Item::Lost(lost));
            }
            inner.state = State::Idle;
            self.changed.notify_all();
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits before the item that was taken is tried again.
    pub(crate) fn pause(&self, pause: Duration) -> Paused<S> {
        let mut inner = self.lock();
        inner.state = State::Stuck;
        self.changed.notify_all();
        let is_change = |item: &Item<S>| matches!(item, Item::Change(_));
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(inner, pause, |inner| {
                !inner.closed && !inner.waiting.iter().any(is_change)
            })
            .unwrap_or_else(PoisonError::into_inner);
        // New settings must not wait behind a record that only they make writable.
        let change = inner.waiting.iter().position(is_change);
        if let Some(Item::Change(settings)) = change.and_then(|at| inner.waiting.remove(at)) {
            return Paused::Change(settings);
        }
        if inner.closed { Paused::Closed } else { Paused::Over }
    }

    /// Ends a pause: the item that was taken is tried again.
    pub(crate) fn resume(&self) {
        self.lock().state = State::Writing;
    }

    /// Waits until everything is written, or cannot be written for now, or `at_most` has passed.
    /// Gives what is left.
    pub(crate) fn settle(&self, at_most: Duration) -> Option<Left> {
        let inner = self.lock();
        let busy = |inner: &mut Inner<S>| match inner.state {
            State::Idle => !inner.waiting.is_empty() || inner.lost > 0,
            State::Writing => true,
            State::Stuck => false,
        };
        let waited = self.changed.wait_timeout_while(inner, at_most, busy);
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let waiting: u64 = inner.waiting.iter().map(Item::records).sum();
        let taken = u64::from(inner.state != State::Idle);
        let records = waiting + taken + inner.lost;
        let under_way = inner.state == State::Writing;
        (records > 0).then_some(Left { records, under_way })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::example;

    fn record(text: &str) -> Arc<Record> {
        Arc::new(Record { text: text.to_owned(), ..example() })
    }

    #[test]
    fn what_is_too_much_is_counted_where_it_is_missing() {
        let queue: Queue<()> = Queue::with_capacity(2);
        for text in ["one", "two", "three", "four"] {
            queue.push(record(text));
        }
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        queue.push(record("five"));
        // The notice takes no place in the queue.
        queue.push(record("six"));
        assert_eq!(queue.take(), Some(Item::Write(record("two"))));
        assert_eq!(queue.take(), Some(Item::Lost(2)));
        assert_eq!(queue.take(), Some(Item::Write(record("five"))));
        assert_eq!(queue.take(), Some(Item::Lost(1)));
        queue.close();
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn what_waits_is_taken_after_the_end() {
        let queue = Queue::with_capacity(2);
        queue.push(record("one"));
        queue.change(7);
        queue.close();
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        assert_eq!(queue.take(), Some(Item::Change(7)));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn settings_do_not_pile_up() {
        let queue = Queue::with_capacity(2);
        queue.change(1);
        for number in 2..100 {
            queue.push(record("one"));
            queue.change(number);
        }
        assert_eq!(queue.take(), Some(Item::Change(1)));
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        assert_eq!(queue.take(), Some(Item::Change(99)));
        queue.close();
        // These came to a full queue.
        assert_eq!(queue.take(), Some(Item::Lost(97)));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn a_pause_ends_with_news() {
        let queue = Queue::with_capacity(2);
        assert_eq!(queue.pause(Duration::ZERO), Paused::Over);
        queue.push(record("one"));
        queue.change(7);
        assert_eq!(queue.pause(Duration::MAX), Paused::Change(7));
        queue.close();
        assert_eq!(queue.pause(Duration::MAX), Paused::Closed);
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
    }

    #[test]
    fn what_is_stuck_is_not_waited_for() {
        let queue: Arc<Queue<()>> = Arc::default();
        queue.settle(Duration::MAX);
        queue.push(record("one"));
        assert!(queue.take().is_some());
        queue.settle(Duration::ZERO);
        assert_eq!(queue.pause(Duration::ZERO), Paused::Over);
        queue.settle(Duration::MAX);
        queue.resume();
        let other = Arc::clone(&queue);
        // The one that writes ends, and so does the wait.
        let thread = std::thread::spawn(move || other.take());
        queue.settle(Duration::MAX);
        queue.close();
        assert_eq!(thread.join().unwrap(), None);
    }
}
