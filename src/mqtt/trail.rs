//! What was sent to the broker and is not acknowledged yet.
//!
//! MQTT 3.1.1 has no way to reject a message: a broker that does not accept a topic, a retained
//! message, a quality of service or a size closes the connection. Brokers handle packets
//! in the order in which they were sent, so the oldest step without an acknowledgement is the one that was rejected.
//! A message with QoS 0 has no acknowledgement: it counts as accepted when a later step is
//! acknowledged.

use std::collections::VecDeque;
use std::fmt;

use rumqttc::{Incoming, Outgoing};
use tokio::time::Instant;

use crate::config::Qos;
use crate::payload::Message;

/// Something that the broker may reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe { filter: String },
    Unsubscribe,
    Publish(Publication),
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
            Self::Publish(Publication { topic, retain: true, .. }) => {
                write!(f, "the retained message on `{topic}`")
            }
            Self::Publish(Publication { topic, .. }) => write!(f, "the message on `{topic}`"),
        }
    }
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

/// The steps of a connection, in their order.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Handed to the client library.
    queued: VecDeque<Step>,
    /// Sent, and not acknowledged yet.
    sent: VecDeque<Sent>,
    accepted: Accepted,
}

#[derive(Debug)]
struct Sent {
    /// The packet's identifier; 0 for QoS 0.
    id: u16,
    step: Step,
    at: Instant,
}

impl Trail {
    /// A new connection has begun.
    pub(super) fn connected(&mut self) {
        self.queued.clear();
        self.sent.clear();
    }

    pub(super) fn queue(&mut self, step: Step) {
        self.queued.push_back(step);
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Whether all that was queued is sent and acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.queued.is_empty() && self.sent.is_empty()
    }

    pub(super) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The client library has sent a packet.
    pub(super) fn note_sent(&mut self, packet: &Outgoing) {
        let (Outgoing::Publish(id) | Outgoing::Subscribe(id) | Outgoing::Unsubscribe(id)) = packet
        else {
            return;
        };
        // Packets without a step belong to an earlier session that the broker kept unasked.
        if let Some(step) = self.queued.pop_front() {
            self.sent.push_back(Sent { id: *id, step, at: Instant::now() });
        }
    }

    /// The broker has sent a packet.
    pub(super) fn note_received(&mut self, packet: &Incoming) {
        let acknowledged = |sent: &Sent| match (packet, &sent.step) {
            (Incoming::PubAck(answer), Step::Publish(_)) => answer.pkid == sent.id,
            (Incoming::PubComp(answer), Step::Publish(_)) => answer.pkid == sent.id,
            (Incoming::SubAck(answer), Step::Subscribe { .. }) => answer.pkid == sent.id,
            (Incoming::UnsubAck(answer), Step::Unsubscribe) => answer.pkid == sent.id,
            _ => false,
        };
        let Some(index) = self.sent.iter().position(acknowledged) else { return };
        let mut place = 0;
        let accepted = &mut self.accepted;
        self.sent.retain(|sent| {
            let is_accepted = place == index || (place < index && sent.id == 0);
            place += 1;
            if is_accepted {
                accepted.add(&sent.step);
            }
            !is_accepted
        });
    }

    /// The oldest step that is not acknowledged. If the broker has closed the connection, it has
    /// rejected this one.
    pub(super) fn pending(&self) -> Option<&Step> {
        self.sent.front().map(|sent| &sent.step).filter(|step| **step != Step::Unsubscribe)
    }

    /// The oldest step that should have been acknowledged, and when it was sent.
    pub(super) fn unacknowledged(&self) -> Option<(&Step, Instant)> {
        let sent = self.sent.iter().find(|sent| sent.id != 0)?;
        Some((&sent.step, sent.at))
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

    #[test]
    fn what_was_accepted_is_kept_over_connections() {
        let mut trail = sent(&[(config("a"), 1), (value("b"), 0), (filter("c"), 2)]);
        trail.note_received(&puback(1));
        trail.connected();
        assert!(trail.is_settled());
        let of_config = Accepted { retained: true, qos: Some(Qos::AtLeastOnce), bytes: 600 };
        assert_eq!(trail.accepted(), &of_config);
    }

    #[test]
    fn packets_that_were_not_queued_are_ignored() {
        let mut trail = Trail::default();
        trail.note_sent(&Outgoing::Publish(4));
        trail.note_received(&puback(4));
        assert!(trail.is_settled());
    }
}
