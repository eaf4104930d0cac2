//! The connection of the rehearsal to the broker. It does one thing at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, Outgoing, SubscribeReasonCode,
};
use tokio::time::{Instant, timeout_at};

use crate::advice::{Advice, MadeBy};
use crate::config::{Broker, Qos};
use crate::mqtt::client;
use crate::mqtt::failure::{self, Facts, Stage};
use crate::mqtt::link::NOTHING;
use crate::mqtt::subscriptions::QOS_OF_RETAINED;
use crate::mqtt::trail::{Step, Trail};
use crate::payload::Message;

/// How long the broker may take to acknowledge a step.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// The retained messages of some topics.
pub(super) type Retained = BTreeMap<String, Vec<u8>>;

/// How long the broker may take to send what is retained.
const RETAINED_WITHIN: Duration = Duration::from_secs(2);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that does one thing at a time.
pub(super) struct StandIn {
    client: AsyncClient,
    event_loop: EventLoop,
    trail: Trail,
    stage: Stage,
    facts: Facts,
    /// The topics whose retained messages are read back.
    wanted: BTreeSet<String>,
    /// Those received.
    retained: Retained,
    refuses_subscriptions: bool,
    /// The topics that this user is not allowed to read.
    unreadable: BTreeSet<String>,
    /// Whether the connection has not ended: the client library would make another one.
    is_open: bool,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    error: ConnectionError,
    stage: Stage,
    /// What the broker had not acknowledged when it closed the connection.
    step: Option<Step>,
    facts: Facts,
}

/// Why a connection cannot be used any further.
#[derive(Debug)]
pub(super) enum Halt {
    /// It has ended.
    End(Box<End>),
    /// The broker rejects or ignores something.
    Advice(Advice),
}

impl From<End> for Halt {
    fn from(end: End) -> Self {
        Self::End(Box::new(end))
    }
}

impl End {
    /// What it means apart from the step, and what to do about it.
    pub(super) fn advice(&self) -> Advice {
        match self.stage {
            Stage::Connected => failure::closed_in_rehearsal(&self.error),
            stage => failure::advice(&self.error, stage, self.facts),
        }
    }

    pub(super) fn error(&self) -> &ConnectionError {
        &self.error
    }

    pub(super) fn step(&self) -> Option<&Step> {
        self.step.as_ref()
    }
}

impl StandIn {
    pub(super) fn new(broker: &Broker, will: Option<&Message>) -> Self {
        let (client, event_loop) = client::new(broker, &broker.client_id, will);
        Self {
            client,
            stage: Stage::of(&event_loop),
            event_loop,
            trail: Trail::default(),
            facts: Facts::of(broker, MadeBy::File),
            wanted: BTreeSet::new(),
            retained: Retained::new(),
            refuses_subscriptions: false,
            unreadable: BTreeSet::new(),
            is_open: true,
        }
    }

    pub(super) fn refuses_subscriptions(&self) -> bool {
        self.refuses_subscriptions
    }

    /// Connects, and logs in.
    pub(super) async fn connect(&mut self) -> Result<(), End> {
        // The client library has a deadline of its own.
        while self.next().await? != Happened::Connected {}
        self.stage = Stage::Connected;
        Ok(())
    }

    async fn next(&mut self) -> Result<Happened, End> {
        let event = match self.event_loop.poll().await {
            Ok(event) => event,
            Err(error) => {
                self.is_open = false;
                for event in self.event_loop.state.events.drain(..) {
                    note(&mut self.trail, &event);
                }
                let step = self.trail.pending().cloned();
                return Err(End { error, stage: self.stage, step, facts: self.facts });
            }
        };
        note(&mut self.trail, &event);
        Ok(match event {
            Event::Incoming(Incoming::ConnAck(_)) => Happened::Connected,
            Event::Outgoing(Outgoing::Disconnect) => Happened::Disconnected,
            Event::Incoming(Incoming::Publish(publish)) => {
                if publish.retain && self.wanted.contains(&publish.topic) {
                    self.retained.insert(publish.topic, publish.payload.to_vec());
                }
                Happened::Other
            }
            Event::Incoming(Incoming::SubAck(answer)) => {
                let refusal = SubscribeReasonCode::Failure;
                self.refuses_subscriptions = answer.return_codes.contains(&refusal);
                Happened::Other
            }
            _ => Happened::Other,
        })
    }

    /// Whether the condition was met in time.
    async fn until(
        &mut self,
        within: Duration,
        is_met: impl Fn(&Self) -> bool,
    ) -> Result<bool, End> {
        let deadline = Instant::now() + within;
        while !is_met(self) {
            match timeout_at(deadline, self.next()).await {
                Ok(happened) => happened?,
                Err(_) => return Ok(false),
            };
        }
        Ok(true)
    }

    /// Waits until all is acknowledged.
    pub(super) async fn settle(&mut self, within: Duration) -> Result<(), Halt> {
        if self.until(within, |this| this.trail.is_settled()).await? {
            return Ok(());
        }
        let step = self.trail.unacknowledged().map_or(Step::Unsubscribe, |(step, _)| step.clone());
        Err(Halt::Advice(failure::unacknowledged(&step, within)))
    }

    // There is always room in the queue: what is in it is sent before more is added.

    pub(super) fn subscribe(&mut self, filter: &str) {
        self.trail.queue(Step::Subscribe { filter: filter.to_owned() });
        let _ = self.client.try_subscribe(filter, QOS_OF_RETAINED);
    }

    fn unsubscribe(&mut self, filter: &str) {
        self.trail.queue(Step::Unsubscribe);
        let _ = self.client.try_unsubscribe(filter);
    }

    pub(super) fn publish(&mut self, message: &Message) {
        let Message { topic, payload, qos, retain } = message;
        self.trail.queue(Step::from(message));
        let _ = self.client.try_publish(topic, (*qos).into(), *retain, payload.clone());
        if *qos == Qos::AtMostOnce {
            // QoS 0 has no acknowledgement; that of the next step counts for it.
            self.unsubscribe(NOTHING);
        }
    }

    /// What is retained on the topics of these messages.
    pub(super) async fn retained(&mut self, messages: &[Message]) -> Result<Retained, Halt> {
        let topics: BTreeSet<String> = messages.iter().map(|it| it.topic.clone()).collect();
        self.wanted.clone_from(&topics);
        self.unreadable.clear();
        for topic in &topics {
            self.subscribe(topic);
            self.settle(ACKNOWLEDGED_WITHIN).await?;
            if self.refuses_subscriptions {
                self.wanted.remove(topic);
                self.unreadable.insert(topic.clone());
            }
        }
        self.until(RETAINED_WITHIN, |this| this.retained.len() == this.wanted.len()).await?;
        for topic in &topics {
            self.unsubscribe(topic);
            self.settle(ACKNOWLEDGED_WITHIN).await?;
        }
        self.wanted.clear();
        Ok(std::mem::take(&mut self.retained))
    }

    /// Whether the broker sends back those of these messages that it should have retained.
    pub(super) async fn read_back(&mut self, messages: &[Message]) -> Result<(), Halt> {
        let expected: Vec<_> = messages.iter().filter(|it| it.retain).cloned().collect();
        let there = self.retained(&expected).await?;
        // The program can do without reading its own messages.
        let readable = expected.iter().filter(|it| !self.unreadable.contains(&it.topic));
        let (mut missing, mut replaced, mut good) = (Vec::new(), Vec::new(), Vec::new());
        for Message { topic, payload, .. } in readable {
            let kind = match there.get(topic) {
                None => &mut missing,
                Some(returned) if returned == payload.as_bytes() => &mut good,
                // An earlier message, which shows nothing about this one.
                Some(_) => &mut replaced,
            };
            kind.push((topic.as_str(), payload.len()));
        }
        let advice = failure::not_retained(&missing, &replaced, &good);
        advice.map_or(Ok(()), |advice| Err(Halt::Advice(advice)))
    }

    /// Whether the broker has removed the retained messages on the topics of these empty messages.
    pub(super) async fn is_cleared(&mut self, messages: &[Message]) -> Result<(), Halt> {
        let there = self.retained(messages).await?;
        let kept: Vec<_> = there.keys().map(|topic| (topic.as_str(), 0)).collect();
        let advice = failure::not_retained(&[], &kept, &[]);
        advice.map_or(Ok(()), |advice| Err(Halt::Advice(advice)))
    }

    /// Disconnects cleanly, so that the broker does not publish the last will.
    pub(super) async fn leave(&mut self) {
        if !self.is_open || self.client.try_disconnect().is_err() {
            return;
        }
        let deadline = Instant::now() + GOODBYE;
        while let Ok(Ok(happened)) = timeout_at(deadline, self.next()).await {
            if happened == Happened::Disconnected {
                return;
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happened {
    Connected,
    Disconnected,
    Other,
}

fn note(trail: &mut Trail, event: &Event) {
    match event {
        Event::Outgoing(packet) => trail.note_sent(packet),
        Event::Incoming(packet) => {
            trail.note_received(packet);
        }
    }
}
