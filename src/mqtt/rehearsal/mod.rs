//! Tries everything that the program does at the broker, and finds out what the broker rejects.
//!
//! It uses the program's own client id and last will, makes its subscriptions, publishes one message
//! of each kind, reads those back that should be retained, and leaves the broker as it was. When the
//! broker closes the connection at a message, variants of the message show what it rejects.

mod stand_in;

use std::collections::BTreeMap;
use std::time::Duration;

use self::stand_in::{End, StandIn};
use super::failure::{self, RejectionCause as Cause};
use crate::advice::Advice;
use crate::config::{Broker, Qos};
use crate::payload::Message;

/// How long the broker may take to acknowledge a step.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// What the program will do.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    /// The last will.
    pub will: Message,
    /// The topic filters that it subscribes to.
    pub filters: Vec<String>,
    /// One message of each kind that it publishes.
    pub samples: Vec<Message>,
}

/// What the broker has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// How many subscriptions.
    pub subscriptions: usize,
    /// How many messages.
    pub messages: usize,
}

/// Connects with the client id of the program, which must not be running, and tries everything. The
/// error says what the broker rejects, and what to do about it.
pub(crate) async fn rehearse(broker: &Broker, rehearsal: &Rehearsal) -> Result<Accepted, Advice> {
    let Rehearsal { will, filters, samples } = rehearsal;
    let mut stand_in = connect(broker, will).await?;
    // Before the subscriptions, which may bring many messages.
    let before = stand_in.retained(samples).await.map_err(|end| stand_in.advice(end))?;
    let samples: Vec<_> = samples.iter().map(|sample| unchanged(sample, &before)).collect();
    for filter in filters {
        stand_in.subscribe(filter);
        settle(&mut stand_in).await?;
        if stand_in.refuses_subscriptions() {
            return Err(failure::may_not_subscribe(filter));
        }
    }
    let mut published = Vec::new();
    let outcome = publish_all(&mut stand_in, &samples, &mut published).await;
    let outcome = match outcome {
        Ok(()) => stand_in.read_back(&samples).await,
        Err(Rejected { end: Some(end), sample }) => match end.step() {
            Some(step) => {
                let is_retained = before.contains_key(&sample.topic);
                let causes = rejects(broker, Some(will), &sample, is_retained).await;
                let causes = causes.unwrap_or_default();
                Err(failure::rejected(step, &causes))
            }
            None => Err(stand_in.advice(end)),
        },
        Err(Rejected { end: None, .. }) => Err(stand_in.unacknowledged(ACKNOWLEDGED_WITHIN)),
    };
    stand_in.leave().await;
    restore(broker, &published, &before).await;
    outcome.map(|()| Accepted { subscriptions: filters.len(), messages: samples.len() })
}

/// Connects with another client id, since the program is running, and only logs in.
pub(crate) async fn log_in(broker: &Broker) -> Result<(), Advice> {
    let broker = Broker { client_id: format!("{}-check", broker.client_id), ..broker.clone() };
    let mut stand_in = StandIn::new(&broker, None);
    stand_in.connect().await.map_err(|end| stand_in.advice(end))?;
    stand_in.leave().await;
    Ok(())
}

async fn connect(broker: &Broker, will: &Message) -> Result<StandIn, Advice> {
    let mut stand_in = StandIn::new(broker, Some(will));
    let Err(end) = stand_in.connect().await else { return Ok(stand_in) };
    if failure::may_be_the_will(end.error()) {
        let mut without = StandIn::new(broker, None);
        if without.connect().await.is_ok() {
            let samples = std::slice::from_ref(will);
            let before = without.retained(samples).await.unwrap_or_default();
            without.leave().await;
            // Published, the same message shows what the broker rejects.
            let causes = rejects(broker, None, will, true).await;
            restore(broker, samples, &before).await;
            return Err(match causes {
                Some(causes) => failure::will_rejected(will, &causes),
                None => failure::will(will),
            });
        }
    }
    Err(stand_in.advice(end))
}

async fn settle(stand_in: &mut StandIn) -> Result<(), Advice> {
    match stand_in.settle(ACKNOWLEDGED_WITHIN).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(stand_in.unacknowledged(ACKNOWLEDGED_WITHIN)),
        Err(end) => Err(stand_in.advice(end)),
    }
}

/// A message that was rejected: the connection ended, or there was no answer.
struct Rejected {
    end: Option<End>,
    sample: Message,
}

async fn publish_all(
    stand_in: &mut StandIn,
    samples: &[Message],
    published: &mut Vec<Message>,
) -> Result<(), Rejected> {
    for sample in samples {
        stand_in.publish(sample);
        published.push(sample.clone());
        match stand_in.settle(ACKNOWLEDGED_WITHIN).await {
            Ok(true) => {}
            Ok(false) => return Err(Rejected { end: None, sample: sample.clone() }),
            Err(end) => return Err(Rejected { end: Some(end), sample: sample.clone() }),
        }
    }
    Ok(())
}

/// Which properties of a message the broker rejects: variants without them are accepted. `None` if
/// the message itself is accepted.
async fn rejects(
    broker: &Broker,
    will: Option<&Message>,
    message: &Message,
    is_retained: bool,
) -> Option<Vec<Cause>> {
    if is_accepted(broker, will, message).await {
        return None;
    }
    let mut variants = Vec::new();
    if message.retain {
        variants.push((Cause::Retained, Message { retain: false, ..message.clone() }));
    }
    if message.qos > Qos::AtMostOnce {
        let variant = Message { qos: Qos::AtMostOnce, ..message.clone() };
        variants.push((Cause::Qos(message.qos), variant));
    }
    // An empty message would remove a retained one.
    if !is_retained {
        let variant = Message { payload: String::new(), ..message.clone() };
        variants.push((Cause::Size(message.payload.len()), variant));
    }
    let mut causes = Vec::new();
    for (cause, variant) in variants {
        if is_accepted(broker, will, &variant).await {
            causes.push(cause);
        }
    }
    Some(causes)
}

async fn is_accepted(broker: &Broker, will: Option<&Message>, message: &Message) -> bool {
    let mut stand_in = StandIn::new(broker, will);
    if stand_in.connect().await.is_err() {
        return false;
    }
    stand_in.publish(message);
    let is_accepted = matches!(stand_in.settle(ACKNOWLEDGED_WITHIN).await, Ok(true));
    stand_in.leave().await;
    is_accepted
}

/// What is retained on the topic already is published again, so that nobody sees a change.
fn unchanged(sample: &Message, before: &BTreeMap<String, Vec<u8>>) -> Message {
    let payload = before.get(&sample.topic).and_then(|bytes| String::from_utf8(bytes.clone()).ok());
    Message { payload: payload.unwrap_or_else(|| sample.payload.clone()), ..sample.clone() }
}

/// Leaves on each topic what was retained there before. A failure is not reported, because the
/// program publishes the same messages when it starts.
async fn restore(broker: &Broker, published: &[Message], before: &BTreeMap<String, Vec<u8>>) {
    let retained = published.iter().filter(|message| message.retain);
    let changed: Vec<_> = retained
        .filter(|message| {
            before.get(&message.topic).is_none_or(|payload| payload != message.payload.as_bytes())
        })
        .cloned()
        .collect();
    if changed.is_empty() {
        return;
    }
    let mut stand_in = StandIn::new(broker, None);
    if stand_in.connect().await.is_err() {
        return;
    }
    // If this user is not allowed to read a topic, nobody knows what was retained there before.
    let Ok(readable) = stand_in.retained(&changed).await else { return };
    for message in changed.iter().filter(|message| readable.contains_key(&message.topic)) {
        let payload = before.get(&message.topic);
        let payload = payload.and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        let payload = payload.unwrap_or_default();
        // The broker may not support a higher QoS.
        let qos = Qos::AtMostOnce;
        stand_in.publish(&Message { payload, qos, ..message.clone() });
        if !matches!(stand_in.settle(ACKNOWLEDGED_WITHIN).await, Ok(true)) {
            return;
        }
    }
    stand_in.leave().await;
}
