//! The loop that publishes. It compares the desired state with the messages sent in this connection
//! and sends the difference, one message at a time. A message that waits for the broker to
//! acknowledge others is replaced as soon as there is a newer one (`waiting`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::AsyncClient;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::desired::Desired;
use super::diff::Sent;
use super::link::Link;
use super::slowness::Slowness;
use super::subscriptions::Filters;
use super::waiting::Waiting;
use crate::payload::Message;

/// For this time after a connect, no message that may be retained is replaced. Some brokers send
/// retained messages only after they have handled the next messages that they receive.
const HEARD: Duration = Duration::from_millis(500);

/// How long retained messages are examined after the first connect.
const SURVEY: Duration = Duration::from_secs(10);

/// Publishes the desired state of the broker.
pub(super) struct PublishLoop<'a> {
    pub(super) link: &'a Link,
    pub(super) client: AsyncClient,
    pub(super) desired: watch::Receiver<Desired>,
    pub(super) online: Message,
    pub(super) stop: CancellationToken,
    pub(super) slowness: Slowness,
}

/// What was sent, and what is still to be sent.
#[derive(Debug, Default)]
struct State {
    /// The number of the connection.
    number: Option<u64>,
    sent: Sent,
    waiting: Waiting,
    filters: Filters,
    survey_ends: Option<Instant>,
    /// Topics whose removal was due and could not be sent.
    not_cleared: BTreeSet<String>,
    /// Whether messages may have been lost with the last connection.
    has_lost: bool,
    /// When the next messages are due; `None` if only a change makes them due.
    next: Option<Instant>,
    /// Whether everything was made due, because the program must stop.
    is_stopping: bool,
}

impl PublishLoop<'_> {
    /// Publishes everything after each connect, then each change. Ends when `stop` is cancelled.
    pub(super) async fn run(mut self) {
        let mut connection = self.link.connection();
        let mut state = State::default();
        let mut is_due = true;
        loop {
            let current = *connection.borrow_and_update();
            if state.number != current {
                self.change_connection(&mut state, current);
                is_due = true;
            }
            is_due |= self.desired.has_changed().unwrap_or(false);
            is_due |= state.next.is_some_and(|next| next <= Instant::now());
            if std::mem::take(&mut is_due) && current.is_some() {
                self.subscribe(&mut state).await;
                if *connection.borrow() != current {
                    continue;
                }
                self.compare(&mut state);
            }
            let has_once = current.is_some() && !self.desired.borrow().once().is_empty();
            if state.waiting.is_empty() {
                self.slowness.has_sent_all();
                if state.is_stopping && !has_once {
                    return;
                }
            }
            tokio::select! {
                biased;
                _ = connection.changed() => {}
                () = self.link.has_room(), if !state.waiting.is_empty() => {
                    let State { waiting, sent, .. } = &mut state;
                    let next = waiting.next(&self.desired.borrow(), sent);
                    let Some((message, since)) = next else { continue };
                    self.slowness.sends(since);
                    tokio::select! {
                        biased;
                        _ = connection.changed() => {
                            state.has_lost = true;
                            let empty = message.payload.is_empty().then_some(message.topic);
                            state.not_cleared.extend(empty);
                        }
                        () = self.link.send(&self.client, &message) => {}
                    }
                }
                () = self.link.has_room(), if state.waiting.is_empty() && has_once => {
                    let next = self.desired.borrow().once().take();
                    let Some(message) = next else { continue };
                    tokio::select! {
                        biased;
                        _ = connection.changed() => self.desired.borrow().once().put_back(message),
                        () = self.link.send(&self.client, &message) => {}
                    }
                }
                // This comes before `stop`, so that the values of the last poll are still published.
                Ok(()) = self.desired.changed(), if current.is_some() => is_due = true,
                () = self.stop.cancelled(), if !state.is_stopping => {
                    if current.is_none() {
                        return;
                    }
                    is_due = true;
                }
                () = sleep_until(state.next.unwrap_or_else(Instant::now)), if state.next.is_some() => {
                    is_due = true;
                }
            }
        }
    }

    /// The connection was lost, or there is a new one. The rest of the messages is sent after the
    /// next connect.
    fn change_connection(&mut self, state: &mut State, current: Option<u64>) {
        let State { number, sent, waiting, filters, not_cleared, has_lost, .. } = state;
        *number = current;
        *has_lost |= !waiting.is_empty();
        not_cleared.extend(waiting.take_clearings());
        state.next = None;
        self.slowness.lost();
        if current.is_none() {
            return;
        }
        let left_out = filters.left_out();
        if self.link.take_too_long() {
            filters.note_too_long();
        }
        self.slowness.leaves_out(&left_out, &filters.left_out());
        filters.forget();
        let surveys = filters.are_to_be_surveyed(&self.desired.borrow().subscriptions);
        not_cleared.extend(self.link.take_not_cleared());
        *has_lost |= self.link.take_has_lost();
        let not_before = surveys.then(|| Instant::now() + HEARD);
        sent.connected(not_before, std::mem::take(not_cleared), std::mem::take(has_lost));
    }

    /// Subscribes to what is needed. This comes before messages are sent, so that retained messages
    /// are seen before they are replaced.
    async fn subscribe(&mut self, state: &mut State) {
        let State { filters, survey_ends, sent, .. } = state;
        let subscriptions = Arc::clone(&self.desired.borrow().subscriptions);
        if survey_ends.is_some_and(|at| at <= Instant::now()) {
            filters.are_surveyed(&subscriptions);
            *survey_ends = None;
        }
        if filters.adjust(self.link, &self.client, subscriptions).await {
            *survey_ends = Some(Instant::now() + SURVEY);
            sent.postpone(Instant::now() + HEARD);
        }
    }

    /// Adds the messages that are due to those that wait.
    fn compare(&mut self, state: &mut State) {
        let State { sent, waiting, survey_ends, next, is_stopping, .. } = state;
        *is_stopping = self.stop.is_cancelled();
        let desired = self.desired.borrow_and_update();
        if *is_stopping {
            desired.once().shorten();
        }
        let due = sent.diff(&self.online, &desired, *is_stopping);
        // In this order: a value takes the place of an outdated one.
        waiting.extend(due.messages);
        waiting.drop_outdated(&desired, sent);
        *next = due.next.into_iter().chain(*survey_ends).min();
    }
}
