//! The state that the two loops share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, ClientError, Event, Publish, QoS, SubAck, SubscribeReasonCode};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::trail::{Accepted, Step, Trail};
use crate::config::Qos;
use crate::payload::Message;

/// How long a step waits for its acknowledgement before the next one is sent, after a connection
/// that ended at a step.
const ONE_AT_A_TIME: Duration = Duration::from_secs(5);

/// No client subscribes to this, so unsubscribing from it has no effect.
pub(super) const NOTHING: &str = "kamstrup2mqtt/nothing";

/// The state that the two loops share.
#[derive(Debug)]
pub(super) struct Link {
    /// The number of the present connection; `None` while disconnected.
    connection: watch::Sender<Option<u64>>,
    trail: Mutex<Trail>,
    /// Something was sent or acknowledged.
    progress: Notify,
    /// Whether each step is acknowledged before the next one is sent.
    is_careful: AtomicBool,
    reading_back: Mutex<Option<ReadingBack>>,
    /// Topics whose retained message may still be there, because the connection was lost before the
    /// broker had acknowledged its removal.
    not_cleared: Mutex<BTreeSet<String>>,
    /// Whether the connection was lost before the broker had acknowledged everything.
    has_lost: AtomicBool,
    /// Whether a connection ended because a message from the broker was too long.
    was_too_long: AtomicBool,
}

/// The topics that are subscribed to in order to read back what is retained there. Each has the
/// payload that should be there.
type ReadingBack = BTreeMap<String, (String, Returned)>;

/// What the broker has returned after a subscription that reads a message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// It has not answered the subscription.
    Unchecked,
    /// This user is not allowed to read the topic.
    Unreadable,
    /// No retained message.
    Nothing,
    /// Another retained message, such as one of an earlier run.
    Other,
    /// The message that was sent.
    Expected,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            connection: watch::Sender::new(None),
            trail: Mutex::default(),
            progress: Notify::new(),
            is_careful: AtomicBool::new(false),
            reading_back: Mutex::default(),
            not_cleared: Mutex::default(),
            has_lost: AtomicBool::new(false),
            was_too_long: AtomicBool::new(false),
        }
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connection(&self) -> watch::Receiver<Option<u64>> {
        self.connection.subscribe()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    pub(super) fn connected(&self, number: u64) {
        self.trail().connected();
        self.connection.send_replace(Some(number));
    }

    /// The connection is lost. Returns the step at which it ended, if there was one. From then on,
    /// steps are sent one at a time, so that the next loss shows for certain which one it was.
    pub(super) fn lost(&self) -> Option<Step> {
        let was_connected = self.connection.send_replace(None).is_some();
        self.progress.notify_waiters();
        if was_connected {
            let trail = self.trail();
            self.not_cleared().extend(trail.unconfirmed_clearings().map(str::to_owned));
            self.has_lost.fetch_or(!trail.is_settled(), Ordering::Relaxed);
        }
        let step = self.trail().pending().filter(|_| was_connected).cloned();
        if step.is_some() {
            self.is_careful.store(true, Ordering::Relaxed);
        }
        step
    }

    fn not_cleared(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.not_cleared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topics that earlier connections may not have cleared, since the last call.
    pub(super) fn take_not_cleared(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.not_cleared())
    }

    /// Whether an earlier connection was lost before the broker had acknowledged everything, since
    /// the last call.
    pub(super) fn take_has_lost(&self) -> bool {
        self.has_lost.swap(false, Ordering::Relaxed)
    }

    /// The connection ended because a message from the broker was too long.
    pub(super) fn note_too_long(&self) {
        self.was_too_long.store(true, Ordering::Relaxed);
    }

    /// Whether an earlier connection ended because a message from the broker was too long, since
    /// the last call.
    pub(super) fn take_too_long(&self) -> bool {
        self.was_too_long.swap(false, Ordering::Relaxed)
    }

    /// Steps no longer need to be sent one at a time.
    pub(super) fn hurry(&self) {
        self.is_careful.store(false, Ordering::Relaxed);
        self.progress.notify_waiters();
    }

    /// The client library has sent or received something. Returns the step that is acknowledged.
    pub(super) fn note(&self, event: &Event) -> Option<Step> {
        let step = match event {
            Event::Outgoing(packet) => {
                self.trail().note_sent(packet);
                None
            }
            Event::Incoming(packet) => self.trail().note_received(packet),
        };
        self.progress.notify_waiters();
        step
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.trail().is_queue_empty()
    }

    /// What the broker has accepted so far.
    pub(super) fn accepted(&self) -> Accepted {
        self.trail().accepted().clone()
    }

    /// The oldest step that should have been acknowledged, and when it was sent.
    pub(super) fn unacknowledged(&self) -> Option<(Step, Instant)> {
        self.trail().unacknowledged().map(|(step, at)| (step.clone(), at))
    }

    /// How many messages should have been acknowledged, and when the oldest of them was sent.
    pub(super) fn unacknowledged_messages(&self) -> Option<(usize, Instant)> {
        self.trail().unacknowledged_messages()
    }

    /// When the message was sent that must be acknowledged before the next one may be sent.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.trail().blocked_since()
    }

    /// Waits until the next message would be sent at once, or the connection is lost.
    pub(super) async fn has_room(&self) {
        self.wait_until(|| self.trail().has_room() || !self.is_connected()).await;
    }

    /// Publishes a message. Waits for room in the queue. Does nothing while disconnected, because
    /// everything is sent again after the next connect.
    pub(super) async fn send(&self, client: &AsyncClient, message: &Message) {
        let Message { topic, payload, qos, retain } = message;
        debug!("To the broker: {topic} {payload}");
        let request = client.publish(topic, (*qos).into(), *retain, payload.clone());
        self.hand_over(Step::from(message), request).await;
        if *qos == Qos::AtMostOnce && self.is_careful() {
            // QoS 0 has no acknowledgement; that of the next step counts for it.
            self.unsubscribe(client, NOTHING).await;
        }
        self.settle().await;
    }

    pub(super) async fn subscribe(&self, client: &AsyncClient, filter: &str, qos: QoS) {
        let step = Step::Subscribe { filter: filter.to_owned() };
        self.hand_over(step, client.subscribe(filter, qos)).await;
        self.settle().await;
    }

    pub(super) async fn unsubscribe(&self, client: &AsyncClient, filter: &str) {
        self.hand_over(Step::Unsubscribe, client.unsubscribe(filter)).await;
    }

    /// Hands a request to the client library. A request that is made while disconnected, or that
    /// still waits for room when the connection is lost, would be sent in the next connection,
    /// where the steps of this one are forgotten.
    async fn hand_over(&self, step: Step, request: impl Future<Output = Result<(), ClientError>>) {
        let mut connection = self.connection();
        if connection.borrow_and_update().is_none() {
            return;
        }
        self.trail().queue(step);
        tokio::select! {
            biased;
            _ = connection.changed() => {}
            // The client library rejects a topic with a wildcard. Otherwise, a request fails only if
            // the connection loop has ended because the program is stopping.
            result = request => if result.is_err() {
                self.trail().unqueue();
            },
        }
    }

    pub(super) fn is_careful(&self) -> bool {
        self.is_careful.load(Ordering::Relaxed)
    }

    /// Waits until the last step is acknowledged, if steps are sent one at a time.
    async fn settle(&self) {
        if self.is_careful() {
            let is_met = || self.trail().is_settled() || !self.is_connected() || !self.is_careful();
            let _ = timeout(ONE_AT_A_TIME, self.wait_until(is_met)).await;
        }
    }

    /// Waits until all that was sent is acknowledged, or the connection is lost.
    pub(super) async fn is_settled(&self) {
        self.wait_until(|| self.trail().is_settled() || !self.is_connected()).await;
    }

    async fn wait_until(&self, is_met: impl Fn() -> bool) {
        loop {
            let progress = self.progress.notified();
            if is_met() {
                return;
            }
            progress.await;
        }
    }

    fn reading_back(&self) -> MutexGuard<'_, Option<ReadingBack>> {
        self.reading_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, messages on these topics are read back, and not handed on. Each topic has the
    /// payload that should be retained there.
    pub(super) fn begin_to_read_back(&self, expected: BTreeMap<String, String>) {
        let waiting = |(topic, payload)| (topic, (payload, Returned::Unchecked));
        *self.reading_back() = Some(expected.into_iter().map(waiting).collect());
    }

    pub(super) fn is_reading_back(&self) -> bool {
        self.reading_back().is_some()
    }

    /// Waits until there was a retained message on each of these topics.
    pub(super) async fn all_are_read_back(&self) {
        let is_waiting =
            |returned: &Returned| matches!(returned, Returned::Unchecked | Returned::Nothing);
        let is_met = || {
            let topics = self.reading_back();
            !topics.iter().flat_map(BTreeMap::values).any(|(_, returned)| is_waiting(returned))
        };
        self.wait_until(is_met).await;
    }

    /// What the broker has returned on each topic.
    pub(super) fn end_to_read_back(&self) -> BTreeMap<String, Returned> {
        let topics = self.reading_back().take().unwrap_or_default();
        topics.into_iter().map(|(topic, (_, returned))| (topic, returned)).collect()
    }

    /// Whether the broker has answered a subscription that reads a message back.
    pub(super) fn answers_to_read_back(&self, step: Option<&Step>, answer: &SubAck) -> bool {
        let mut reading_back = self.reading_back();
        let (Some(topics), Some(Step::Subscribe { filter })) = (reading_back.as_mut(), step) else {
            return false;
        };
        let Some((_, returned)) = topics.get_mut(filter) else { return false };
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            *returned = Returned::Unreadable;
        } else if *returned == Returned::Unchecked {
            *returned = Returned::Nothing;
        }
        self.progress.notify_waiters();
        true
    }

    /// Whether a message is one that is being read back.
    pub(super) fn reads_back(&self, publish: &Publish) -> bool {
        let mut reading_back = self.reading_back();
        let Some(topics) = reading_back.as_mut() else { return false };
        let Some((payload, returned)) = topics.get_mut(&publish.topic) else { return false };
        if publish.retain {
            let is_expected = publish.payload == payload.as_bytes();
            *returned = if is_expected { Returned::Expected } else { Returned::Other };
            self.progress.notify_waiters();
        }
        true
    }
}
