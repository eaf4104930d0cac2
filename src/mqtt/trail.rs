//! The trail of a connection: the steps (publishes and subscriptions) that were sent to the broker
//! and are not acknowledged yet.
//!
//! MQTT 3.1.1 has no way to reject a message. A broker that does not accept a topic, a retained
//! message, a quality of service or a size closes the connection. Brokers handle packets in the
//! order in which they were sent. So the broker has rejected the oldest step that it has not
//! acknowledged.
//!
//! A message with QoS 0 has no acknowledgement. It counts as accepted when the broker acknowledges
//! a later step, or answers a later ping. A broker that rejects it closes the connection at once,
//! so after [`REJECTED_WITHIN`] the message is forgotten. An empty retained message is not: until
//! the broker has shown that it works, the retained message may still be there.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use rumqttc::{Incoming, Outgoing};
use tokio::time::Instant;

use super::client::IN_FLIGHT;
use crate::config::Qos;
use crate::payload::Message;

/// How long a broker may take to close the connection after a message with QoS 0.
const REJECTED_WITHIN: Duration = Duration::from_secs(5);

/// Something that the broker may reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe {
        filter: String,
    },
    Unsubscribe,
    Publish(Publication),
    /// Sent while nothing else is, to show that the connection works.
    Ping,
}

/// A message, without its payload.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) topic: String,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    /// Bytes of the payload.
    pub(super) bytes: usize,
}

/// Ignores the length, because it may change.
impl PartialEq for Publication {
    fn eq(&self, other: &Self) -> bool {
        (&self.topic, self.qos, self.retain) == (&other.topic, other.qos, other.retain)
    }
}

impl Eq for Publication {}

impl From<&Message> for Step {
    fn from(Message { topic, payload, qos, retain }: &Message) -> Self {
        let (qos, retain, bytes) = (*qos, *retain, payload.len());
        Self::Publish(Publication { topic: topic.clone(), qos, retain, bytes })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribe { filter } => write!(f, "the subscription to `{filter}`"),
            Self::Unsubscribe => f.write_str("the end of a subscription"),
            Self::Ping => f.write_str("a ping"),
            Self::Publish(Publication { topic, retain: true, .. }) => {
                write!(f, "the retained message on `{topic}`")
            }
            Self::Publish(Publication { topic, .. }) => write!(f, "the message on `{topic}`"),
        }
    }
}

/// The broker has not acknowledged messages, so that no others can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stall {
    /// How many messages.
    pub(super) messages: usize,
    /// How long the oldest of them has waited.
    pub(super) waited: Duration,
}

/// What the broker has accepted so far. It cannot be why a later step is rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) retained: bool,
    /// The highest quality of service.
    pub(super) qos: Option<Qos>,
    /// The longest payload, in bytes.
    pub(super) bytes: usize,
}

impl Accepted {
    fn add(&mut self, step: &Step) {
        if let Step::Publish(Publication { qos, retain, bytes, .. }) = step {
            self.retained |= retain;
            self.qos = self.qos.max(Some(*qos));
            self.bytes = self.bytes.max(*bytes);
        }
    }
}

/// How long a broker may take to acknowledge a message before fewer are sent at a time. A value that
/// has waited for the acknowledgements of ten others is ten times as old.
const PROMPT: Duration = Duration::from_secs(3);

/// How many messages may wait for their acknowledgement at a time.
#[derive(Debug)]
struct Window(usize);

impl Default for Window {
    fn default() -> Self {
        Self(IN_FLIGHT.into())
    }
}

impl Window {
    /// A message was acknowledged after this time.
    fn adapt(&mut self, after: Duration) {
        self.0 = if after > PROMPT {
            (self.0 / 2).max(1)
        } else {
            self.0.saturating_add(1).min(IN_FLIGHT.into())
        };
    }
}

/// The steps of a connection, in their order.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Handed to the client library.
    queued: VecDeque<Step>,
    /// Sent, and not acknowledged yet.
    sent: VecDeque<Sent>,
    /// How many of `sent`, counted from the oldest, were sent before the last ping.
    before_ping: usize,
    /// Whether the last ping is not answered yet.
    is_pinging: bool,
    accepted: Accepted,
    window: Window,
}

#[derive(Debug)]
struct Sent {
    /// The packet's identifier; 0 for QoS 0.
    id: u16,
    step: Step,
    at: Instant,
}

impl Sent {
    fn may_be_rejected(&self, now: Instant) -> bool {
        self.id != 0 || now.saturating_duration_since(self.at) < REJECTED_WITHIN
    }

    /// Whether it is a message that the broker acknowledges.
    fn is_message(&self) -> bool {
        self.id != 0 && matches!(self.step, Step::Publish(_))
    }

    fn is_exactly_once(&self) -> bool {
        matches!(self.step, Step::Publish(Publication { qos: Qos::ExactlyOnce, .. }))
    }

    /// Whether it was to remove a retained message.
    fn is_clearing(&self) -> bool {
        matches!(self.step, Step::Publish(Publication { retain: true, bytes: 0, .. }))
    }
}

impl Step {
    /// Whether the broker acknowledges this step.
    pub(super) fn is_acknowledged(&self) -> bool {
        !matches!(self, Self::Publish(Publication { qos: Qos::AtMostOnce, .. }))
    }

    /// Whether the client library has sent this step as this packet.
    fn is(&self, packet: &Outgoing) -> bool {
        matches!(
            (self, packet),
            (Self::Publish(_), Outgoing::Publish(_))
                | (Self::Subscribe { .. }, Outgoing::Subscribe(_))
                | (Self::Unsubscribe, Outgoing::Unsubscribe(_))
        )
    }
}

impl Trail {
    /// A new connection has begun.
    pub(super) fn connected(&mut self) {
        self.queued.clear();
        self.sent.clear();
        self.before_ping = 0;
        self.is_pinging = false;
    }

    pub(super) fn queue(&mut self, step: Step) {
        self.queued.push_back(step);
    }

    /// The client library has rejected the step that was queued last.
    pub(super) fn unqueue(&mut self) {
        self.queued.pop_back();
    }

    /// The topics whose retained message was to be removed, and may still be there: the empty
    /// message was not sent, or is not acknowledged.
    pub(super) fn unconfirmed_clearings(&self) -> impl Iterator<Item = &str> {
        let steps = self.queued.iter().chain(self.sent.iter().map(|sent| &sent.step));
        steps.filter_map(|step| match step {
            Step::Publish(Publication { topic, retain: true, bytes: 0, .. }) => Some(&**topic),
            _ => None,
        })
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Whether all that was queued is sent and acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        let now = Instant::now();
        self.queued.is_empty() && !self.sent.iter().any(|sent| sent.may_be_rejected(now))
    }

    pub(super) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The client library has sent a packet.
    pub(super) fn note_sent(&mut self, packet: &Outgoing) {
        let now = Instant::now();
        self.retain(|_, sent| sent.may_be_rejected(now) || sent.is_clearing());
        let id = match packet {
            Outgoing::Publish(id) | Outgoing::Subscribe(id) | Outgoing::Unsubscribe(id) => *id,
            Outgoing::PingReq => {
                self.before_ping = self.sent.len();
                self.is_pinging = true;
                return;
            }
            _ => return,
        };
        // Packets without a step belong to an earlier session that the broker kept unasked.
        if self.queued.front().is_some_and(|step| step.is(packet))
            && let Some(step) = self.queued.pop_front()
        {
            self.sent.push_back(Sent { id, step, at: now });
        }
    }

    /// The broker has sent a packet. Returns the step that it acknowledges.
    pub(super) fn note_received(&mut self, packet: &Incoming) -> Option<Step> {
        if *packet == Incoming::PingResp {
            let before_ping = self.before_ping;
            self.is_pinging = false;
            self.accept(|index, sent| index < before_ping && sent.id == 0);
            return None;
        }
        let acknowledged = |sent: &Sent| match (packet, &sent.step) {
            (Incoming::PubAck(answer), Step::Publish(_)) => answer.pkid == sent.id,
            (Incoming::PubComp(answer), Step::Publish(_)) => answer.pkid == sent.id,
            (Incoming::SubAck(answer), Step::Subscribe { .. }) => answer.pkid == sent.id,
            (Incoming::UnsubAck(answer), Step::Unsubscribe) => answer.pkid == sent.id,
            _ => false,
        };
        let place = self.sent.iter().position(acknowledged)?;
        let step = self.sent.get(place).map(|sent| sent.step.clone());
        if let Some(sent) = self.sent.get(place).filter(|sent| sent.is_message()) {
            self.window.adapt(sent.at.elapsed());
        }
        self.accept(|index, sent| index == place || (index < place && sent.id == 0));
        step
    }

    fn accept(&mut self, is_accepted: impl Fn(usize, &Sent) -> bool) {
        for (_, sent) in self.sent.iter().enumerate().filter(|(at, sent)| is_accepted(*at, sent)) {
            self.accepted.add(&sent.step);
        }
        self.retain(|index, sent| !is_accepted(index, sent));
    }

    fn retain(&mut self, stays: impl Fn(usize, &Sent) -> bool) {
        let (mut index, mut before_ping) = (0, 0);
        let limit = self.before_ping;
        self.sent.retain(|sent| {
            let stays = stays(index, sent);
            before_ping += usize::from(stays && index < limit);
            index += 1;
            stays
        });
        self.before_ping = before_ping;
    }

    /// The oldest step that is not acknowledged. If the broker has closed the connection, it has
    /// rejected this one.
    pub(super) fn pending(&self) -> Option<&Step> {
        let now = Instant::now();
        let oldest = self.sent.iter().find(|sent| sent.may_be_rejected(now)).map(|sent| &sent.step);
        let step = oldest.or_else(|| self.is_pinging.then_some(&Step::Ping));
        step.filter(|step| **step != Step::Unsubscribe)
    }

    /// The oldest step that should have been acknowledged, and when it was sent.
    pub(super) fn unacknowledged(&self) -> Option<(&Step, Instant)> {
        let sent = self.sent.iter().find(|sent| sent.id != 0)?;
        Some((&sent.step, sent.at))
    }

    /// How many messages should have been acknowledged, and when the oldest of them was sent.
    pub(super) fn unacknowledged_messages(&self) -> Option<(usize, Instant)> {
        let oldest = self.sent.iter().find(|sent| sent.is_message())?;
        Some((self.sent.iter().filter(|sent| sent.is_message()).count(), oldest.at))
    }

    /// When the message was sent that must be acknowledged before the next one may be sent. `None`
    /// if the next one need not wait. A message with QoS 2 is completed before the next one is
    /// sent: Mosquitto confirms more of them than `max_inflight_messages`, but drops them.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        let oldest = self.unacknowledged_messages().filter(|(count, _)| *count >= self.window.0);
        let exactly_once = || self.sent.iter().find(|sent| sent.is_exactly_once());
        oldest.map(|(_, at)| at).or_else(|| exactly_once().map(|sent| sent.at))
    }

    /// Whether the next message would be sent at once.
    pub(super) fn has_room(&self) -> bool {
        self.queued.is_empty() && self.blocked_since().is_none()
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::{PubAck, PubComp, SubAck, SubscribeReasonCode, UnsubAck};

    use super::*;

    fn publication(topic: &str, qos: Qos, retain: bool, bytes: usize) -> Step {
        Step::Publish(Publication { topic: topic.to_owned(), qos, retain, bytes })
    }

    fn value(topic: &str) -> Step {
        publication(topic, Qos::AtMostOnce, false, 6)
    }

    fn config(topic: &str) -> Step {
        publication(topic, Qos::AtLeastOnce, true, 600)
    }

    fn filter(filter: &str) -> Step {
        Step::Subscribe { filter: filter.to_owned() }
    }

    fn sub_ack(id: u16) -> Incoming {
        let codes = vec![SubscribeReasonCode::Success(rumqttc::QoS::AtMostOnce)];
        Incoming::SubAck(SubAck::new(id, codes))
    }

    fn puback(id: u16) -> Incoming {
        Incoming::PubAck(PubAck::new(id))
    }

    /// Steps that are sent, with the identifiers that the client library gives them.
    fn sent(steps: &[(Step, u16)]) -> Trail {
        let mut trail = Trail::default();
        for (step, _) in steps {
            trail.queue(step.clone());
        }
        for (step, id) in steps {
            trail.note_sent(&match step {
                Step::Subscribe { .. } => Outgoing::Subscribe(*id),
                Step::Unsubscribe => Outgoing::Unsubscribe(*id),
                Step::Ping => Outgoing::PingReq,
                Step::Publish(_) => Outgoing::Publish(*id),
            });
        }
        trail
    }

    #[test]
    fn the_oldest_step_without_an_acknowledgement_is_the_rejected_one() {
        let mut trail = sent(&[(filter("a"), 1), (config("b"), 2), (config("c"), 3)]);
        assert_eq!(trail.pending(), Some(&filter("a")));
        trail.note_received(&sub_ack(1));
        assert_eq!(trail.pending(), Some(&config("b")));
        trail.note_received(&puback(2));
        assert_eq!(trail.pending(), Some(&config("c")));
        assert!(!trail.is_settled());
        trail.note_received(&puback(3));
        assert_eq!(trail.pending(), None);
        assert!(trail.is_settled());
    }

    /// `RabbitMQ` confirms out of order.
    #[test]
    fn an_acknowledgement_covers_its_own_step_and_values_before_it() {
        let steps = [(config("a"), 1), (value("b"), 0), (config("c"), 2), (value("d"), 0)];
        let mut trail = sent(&steps);
        trail.note_received(&puback(2));
        assert_eq!(trail.pending(), Some(&config("a")));
        trail.note_received(&puback(1));
        assert_eq!(trail.pending(), Some(&value("d")));
        assert_eq!(trail.unacknowledged(), None);
        assert_eq!(trail.unacknowledged_messages(), None);
    }

    /// The client library numbers both with one counter, which wraps after ten.
    #[test]
    fn a_subscription_and_a_message_may_have_the_same_identifier() {
        let mut trail = sent(&[(filter("a"), 1), (config("b"), 1), (Step::Unsubscribe, 1)]);
        trail.note_received(&puback(1));
        assert_eq!(trail.pending(), Some(&filter("a")));
        trail.note_received(&Incoming::UnsubAck(UnsubAck::new(1)));
        trail.note_received(&sub_ack(1));
        assert!(trail.is_settled());
    }

    #[test]
    fn a_message_with_qos_2_is_accepted_when_it_is_complete() {
        let mut trail = sent(&[(publication("a", Qos::ExactlyOnce, false, 6), 1)]);
        trail.note_received(&Incoming::PubRec(rumqttc::PubRec::new(1)));
        assert!(!trail.is_settled());
        trail.note_received(&Incoming::PubComp(PubComp::new(1)));
        assert!(trail.is_settled());
        assert_eq!(trail.accepted().qos, Some(Qos::ExactlyOnce));
    }

    #[tokio::test(start_paused = true)]
    async fn only_messages_with_an_acknowledgement_count_as_unacknowledged_messages() {
        let mut trail = sent(&[(filter("a"), 1), (value("b"), 0)]);
        assert_eq!(trail.unacknowledged_messages(), None);
        let begun = Instant::now();
        for id in [2, 3] {
            tokio::time::advance(Duration::from_secs(1)).await;
            trail.queue(config("c"));
            trail.note_sent(&Outgoing::Publish(id));
        }
        let expected = Some((2, begun + Duration::from_secs(1)));
        assert_eq!(trail.unacknowledged_messages(), expected);
        trail.note_received(&puback(2));
        let expected = Some((1, begun + Duration::from_secs(2)));
        assert_eq!(trail.unacknowledged_messages(), expected);
    }

    /// A message whose acknowledgement was lost need not end the connection when another one waits
    /// for a moment.
    #[tokio::test(start_paused = true)]
    async fn the_next_message_waits_for_ten_others_or_for_one_with_qos_2() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let mut trail = sent(&[(config("a"), 1)]);
        assert_eq!((trail.blocked_since(), trail.has_room()), (None, true));
        tokio::time::advance(second).await;
        trail.queue(publication("b", Qos::ExactlyOnce, false, 6));
        trail.note_sent(&Outgoing::Publish(2));
        assert_eq!((trail.blocked_since(), trail.has_room()), (Some(begun + second), false));
        trail.note_received(&Incoming::PubRec(rumqttc::PubRec::new(2)));
        assert_eq!((trail.blocked_since(), trail.has_room()), (Some(begun + second), false));
        trail.note_received(&Incoming::PubComp(PubComp::new(2)));
        assert_eq!((trail.blocked_since(), trail.has_room()), (None, true));
        for id in 2..=IN_FLIGHT {
            assert!(trail.has_room());
            trail.queue(config("c"));
            trail.note_sent(&Outgoing::Publish(id));
        }
        assert_eq!((trail.blocked_since(), trail.has_room()), (Some(begun), false));
    }

    #[test]
    fn what_was_accepted_is_kept_over_connections() {
        let mut trail = sent(&[(config("a"), 1), (value("b"), 0), (filter("c"), 2)]);
        trail.note_received(&puback(1));
        trail.connected();
        assert!(trail.is_settled());
        let of_config = Accepted { retained: true, qos: Some(Qos::AtLeastOnce), bytes: 600 };
        assert_eq!(trail.accepted(), &of_config);
    }

    /// With QoS 0, the default, values stayed in memory for ever, and the oldest was named as
    /// rejected when the broker was restarted weeks later.
    #[tokio::test(start_paused = true)]
    async fn a_message_with_qos_0_is_accepted_at_the_next_ping_and_forgotten_soon() {
        let mut trail = sent(&[(value("a"), 0)]);
        trail.note_sent(&Outgoing::PingReq);
        assert_eq!(trail.pending(), Some(&value("a")));
        for (step, id) in [(value("b"), 0), (config("c"), 1)] {
            trail.queue(step);
            trail.note_sent(&Outgoing::Publish(id));
        }
        trail.note_received(&Incoming::PingResp);
        assert_eq!(trail.pending(), Some(&value("b")));
        assert_eq!(trail.accepted().qos, Some(Qos::AtMostOnce));
        tokio::time::advance(REJECTED_WITHIN).await;
        assert_eq!(trail.pending(), Some(&config("c")));
        trail.note_received(&puback(1));
        assert!(trail.is_settled());
        for _ in 0..1000 {
            trail.queue(value("d"));
            trail.note_sent(&Outgoing::Publish(0));
            tokio::time::advance(Duration::from_secs(300)).await;
        }
        assert_eq!(trail.sent.len(), 1);
        assert_eq!(trail.pending(), None);
    }

    /// Nothing has acknowledged it, so the retained message may still be there.
    #[tokio::test(start_paused = true)]
    async fn a_clearing_with_qos_0_is_unconfirmed_until_the_broker_has_answered_something_later() {
        let mut trail = Trail::default();
        trail.queue(publication("a", Qos::AtMostOnce, true, 0));
        trail.note_sent(&Outgoing::Publish(0));
        tokio::time::advance(2 * REJECTED_WITHIN).await;
        trail.queue(value("b"));
        trail.note_sent(&Outgoing::Publish(0));
        assert_eq!(trail.unconfirmed_clearings().collect::<Vec<_>>(), ["a"]);
        tokio::time::advance(2 * REJECTED_WITHIN).await;
        assert!(trail.is_settled());
        assert_eq!(trail.pending(), None);
        trail.note_sent(&Outgoing::PingReq);
        trail.note_received(&Incoming::PingResp);
        assert_eq!(trail.unconfirmed_clearings().count(), 0);
    }

    /// As a proxy does that ends idle connections.
    #[test]
    fn a_ping_without_an_answer_is_the_rejected_step() {
        let mut trail = Trail::default();
        trail.note_sent(&Outgoing::PingReq);
        assert_eq!(trail.pending(), Some(&Step::Ping));
        trail.note_received(&Incoming::PingResp);
        assert_eq!(trail.pending(), None);
        trail.note_sent(&Outgoing::PingReq);
        trail.connected();
        assert_eq!(trail.pending(), None);
    }

    /// A request that was made before the connection was lost may be sent after it.
    #[test]
    fn a_packet_of_another_kind_than_the_next_step_has_no_step() {
        let mut trail = Trail::default();
        trail.queue(config("a"));
        trail.note_sent(&Outgoing::Unsubscribe(1));
        assert_eq!(trail.pending(), None);
        trail.note_sent(&Outgoing::Publish(2));
        assert_eq!(trail.pending(), Some(&config("a")));
    }

    #[test]
    fn packets_that_were_not_queued_are_ignored() {
        let mut trail = Trail::default();
        trail.note_sent(&Outgoing::Publish(4));
        trail.note_received(&puback(4));
        assert!(trail.is_settled());
    }
}
