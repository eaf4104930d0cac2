//! The queue of a destination. The code that logs never waits for the destination.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::record::Record;

/// How many records may wait for a destination: some hours of lines at the usual level, or some
/// minutes at `DEBUG`.
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
    /// How many records were dropped because the queue was full, since the last one was added.
    lost: u64,
    /// Whether no more records will be added.
    closed: bool,
    /// When [`Item::Alarm`] is due.
    alarm: Option<Instant>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The item that was taken is written.
    Idle,
    /// An item is being written.
    Writing,
    /// The item that was taken cannot be written at the moment.
    Stuck,
}

/// A task for the destination.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<S> {
    Write(Arc<Record>),
    /// Report that this number of records is missing here.
    Lost(u64),
    /// Use these settings from now on.
    Change(S),
    /// The time of [`Queue::set_alarm`].
    Alarm,
}

impl<S> Item<S> {
    fn records(&self) -> u64 {
        match self {
            Self::Write(_) => 1,
            Self::Lost(count) => *count,
            Self::Change(_) | Self::Alarm => 0,
        }
    }
}

/// The records that were not written at the end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) records: u64,
    /// Whether the first of them is being written, so that it may still arrive.
    pub(crate) under_way: bool,
}

/// Why a pause ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Paused<S> {
    /// The time is over.
    Over,
    /// There are new settings.
    Change(S),
    /// No more records will be added.
    Closed,
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self::with_capacity(WAITING)
    }
}

impl<S> Queue<S> {
    fn with_capacity(capacity: usize) -> Self {
        let waiting = VecDeque::new();
        let inner = Inner { waiting, lost: 0, closed: false, alarm: None, state: State::Idle };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record, or counts it as lost if the queue is full.
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

    /// Adds new settings, which apply to the records after them.
    pub(crate) fn change(&self, settings: S) {
        let mut inner = self.lock();
        // Of several changes in a row, only the last one has an effect.
        while let Some(Item::Change(_)) = inner.waiting.back() {
            inner.waiting.pop_back();
        }
        inner.waiting.push_back(Item::Change(settings));
        drop(inner);
        self.changed.notify_all();
    }

    /// Wakes the destination at this time, if it is idle then.
    pub(crate) fn set_alarm(&self, at: Instant) {
        if self.lock().alarm.replace(at) != Some(at) {
            self.changed.notify_all();
        }
    }

    /// Ends the queue. Waiting records are still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the next item; `None` at the end of the queue. The previous item is treated as
    /// done.
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
            let Some(alarm) = inner.alarm else {
                inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let wait = alarm.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                inner.alarm = None;
                return Some(Item::Alarm);
            }
            let waited = self.changed.wait_timeout(inner, wait);
            (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits before the current item is retried.
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
        // New settings must not wait behind a record that can only be written with them.
        let change = inner.waiting.iter().position(is_change);
        if let Some(Item::Change(settings)) = change.and_then(|at| inner.waiting.remove(at)) {
            return Paused::Change(settings);
        }
        if inner.closed { Paused::Closed } else { Paused::Over }
    }

    /// Ends a pause, before the current item is retried.
    pub(crate) fn resume(&self) {
        self.lock().state = State::Writing;
    }

    /// Waits until everything is written, or writing fails, or `at_most` has passed. Returns what
    /// is left.
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
    fn records_for_a_full_queue_are_counted_in_their_place() {
        let queue: Queue<()> = Queue::with_capacity(2);
        for text in ["one", "two", "three", "four"] {
            queue.push(record(text));
        }
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        queue.push(record("five"));
        // The report of lost records does not count towards the capacity.
        queue.push(record("six"));
        assert_eq!(queue.take(), Some(Item::Write(record("two"))));
        assert_eq!(queue.take(), Some(Item::Lost(2)));
        assert_eq!(queue.take(), Some(Item::Write(record("five"))));
        assert_eq!(queue.take(), Some(Item::Lost(1)));
        queue.close();
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn waiting_items_are_still_written_after_the_end() {
        let queue = Queue::with_capacity(2);
        queue.push(record("one"));
        queue.change(7);
        queue.close();
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        assert_eq!(queue.take(), Some(Item::Change(7)));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn an_alarm_rings_once_when_nothing_waits() {
        let queue: Queue<()> = Queue::with_capacity(2);
        queue.push(record("one"));
        queue.set_alarm(Instant::now() + Duration::from_millis(10));
        assert_eq!(queue.take(), Some(Item::Write(record("one"))));
        assert_eq!(queue.take(), Some(Item::Alarm));
        queue.set_alarm(Instant::now() + Duration::from_secs(60));
        queue.close();
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
        // These were dropped because the queue was full.
        assert_eq!(queue.take(), Some(Item::Lost(97)));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn a_pause_ends_with_new_settings_or_the_end_of_the_queue() {
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
    fn settling_does_not_wait_for_an_item_that_cannot_be_written() {
        let queue: Arc<Queue<()>> = Arc::default();
        queue.settle(Duration::MAX);
        queue.push(record("one"));
        assert!(queue.take().is_some());
        queue.settle(Duration::ZERO);
        assert_eq!(queue.pause(Duration::ZERO), Paused::Over);
        queue.settle(Duration::MAX);
        queue.resume();
        let other = Arc::clone(&queue);
        // The writer finishes, so the wait ends.
        let thread = std::thread::spawn(move || other.take());
        queue.settle(Duration::MAX);
        queue.close();
        assert_eq!(thread.join().unwrap(), None);
    }
}
