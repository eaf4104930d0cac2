//! The rehearsal for `check --online`: tries everything that the program will do at the broker, and
//! finds out what the broker rejects.
//!
//! 1. A first connection finds out whether the program is running, and which messages are retained.
//!    It has another client id and no last will, so that it does not disturb a running program. If
//!    the program is running, the rehearsal ends here.
//! 2. A second connection has the program's own client id and last will. It makes the program's
//!    subscriptions, publishes one message of each kind, and reads back those that should be
//!    retained. No message may be the one that is retained already, or a broker that drops
//!    everything would seem to work. JSON gets spaces at its end. Other messages are removed first.
//! 3. At the end, the broker is left as it was, also if the rehearsal is stopped.
//!
//! If the broker closes the connection at a step, the same step is tried again, because the broker
//! may only have been restarted. If it is rejected again, variants of the message show what the
//! broker rejects.

mod stand_in;
mod visit;

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use self::stand_in::{ACKNOWLEDGED_WITHIN, End, Halt, Retained, StandIn};
use self::visit::Visit;
use super::endings::Pattern;
use super::failure::{self, RejectionCause as Cause};
use super::trail::{Accepted as NothingExcluded, Publication, Step};
use crate::advice::Advice;
use crate::config::{Broker, Qos};
use crate::payload::Message;

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

/// What was tried, and accepted by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rehearsed {
    /// Everything that the program does.
    Everything {
        /// How many subscriptions.
        subscriptions: usize,
        /// How many messages.
        messages: usize,
    },
    /// Only the login, because the program is running.
    Login,
    /// Only the login, because the program's status at the broker is `online`: it is running
    /// somewhere, or it ended together with the broker.
    Online,
    /// Nothing, because the program is running, and the broker rejects another client id.
    Nothing,
    /// It was stopped before everything was tried.
    Stopped,
}

/// Tries everything, or only the login if the program is running. `is_running` says that it
/// certainly is; otherwise its status on the broker decides. The error says what the broker
/// rejects, and what to do about it.
pub(crate) async fn rehearse(
    broker: &Broker,
    rehearsal: &Rehearsal,
    is_running: bool,
    stop: &CancellationToken,
) -> Result<Rehearsed, Advice> {
    let Rehearsal { will, filters, samples } = rehearsal;
    let visit = visit::visit(broker, will, samples, is_running);
    let before = match stop.run_until_cancelled(visit).await {
        None => return Ok(Rehearsed::Stopped),
        Some(Ok(Visit::Idle { retained })) => retained,
        Some(Ok(Visit::Running)) => return Ok(Rehearsed::Login),
        Some(Ok(Visit::Online)) => return Ok(Rehearsed::Online),
        Some(Ok(Visit::Rejected)) => return Ok(Rehearsed::Nothing),
        Some(Err(Halt::Advice(advice))) => return Err(advice),
        Some(Err(Halt::End(end))) => {
            return Err(why(broker, None, *end, samples, &Retained::new()).await);
        }
    };
    let samples: Vec<_> = samples.iter().filter_map(|it| unchanged(it, &before)).collect();
    let mut stand_in = None;
    let mut published = vec![will.clone()];
    let all = async {
        let stand_in = stand_in.insert(connect(broker, will).await?);
        let same = same(&samples, &before);
        let all = [same, samples.clone()];
        let Err(halt) = try_all(stand_in, filters, &all, &mut published).await else {
            return Ok(());
        };
        Err(match halt {
            Halt::Advice(advice) => advice,
            Halt::End(end) => why(broker, Some(will), *end, &samples, &before).await,
        })
    };
    let outcome = stop.run_until_cancelled(all).await;
    if let Some(mut stand_in) = stand_in {
        stand_in.leave().await;
    }
    restore(broker, &published, &before).await;
    Ok(match outcome.transpose()? {
        Some(()) => Rehearsed::Everything { subscriptions: filters.len(), messages: samples.len() },
        None => Rehearsed::Stopped,
    })
}

/// Connects with the last will.
async fn connect(broker: &Broker, will: &Message) -> Result<StandIn, Advice> {
    let mut stand_in = StandIn::new(broker, Some(will));
    let Err(end) = stand_in.connect().await else { return Ok(stand_in) };
    if !failure::may_be_the_will(end.error()) {
        return Err(end.advice());
    }
    let mut without = StandIn::new(broker, None);
    if without.connect().await.is_err() {
        return Err(end.advice());
    }
    without.leave().await;
    // The broker may have become available meanwhile.
    let mut again = StandIn::new(broker, Some(will));
    match again.connect().await {
        Ok(()) => Ok(again),
        // Published, the same message shows what the broker rejects.
        Err(end) if failure::may_be_the_will(end.error()) => {
            Err(match rejects(broker, None, will, true).await {
                Ok(Some(causes)) => failure::will_rejected(will, &causes),
                Ok(None) => failure::only_the_will(will),
                Err(_) => failure::will(will),
            })
        }
        Err(end) => Err(end.advice()),
    }
}

/// Subscribes, publishes and reads back.
async fn try_all(
    stand_in: &mut StandIn,
    filters: &[String],
    [empty, samples]: &[Vec<Message>; 2],
    published: &mut Vec<Message>,
) -> Result<(), Halt> {
    for filter in filters {
        stand_in.subscribe(filter);
        stand_in.settle(ACKNOWLEDGED_WITHIN).await?;
        if stand_in.refuses_subscriptions() {
            return Err(Halt::Advice(failure::may_not_subscribe(filter)));
        }
    }
    let mut publish = async |stand_in: &mut StandIn, messages: &[Message]| {
        for message in messages {
            stand_in.publish(message);
            published.push(message.clone());
            stand_in.settle(ACKNOWLEDGED_WITHIN).await?;
        }
        Ok::<(), Halt>(())
    };
    if !empty.is_empty() {
        publish(stand_in, empty).await?;
        stand_in.is_cleared(empty).await?;
    }
    publish(stand_in, samples).await?;
    stand_in.read_back(samples).await
}

/// Why the connection has ended. If the broker closed it at a step, the same step is tried again.
async fn why(
    broker: &Broker,
    will: Option<&Message>,
    end: End,
    samples: &[Message],
    before: &Retained,
) -> Advice {
    let Some(step) = end.step().filter(|_| failure::is_hang_up(end.error())) else {
        return end.advice();
    };
    let sample_of = |topic: &str| samples.iter().find(|sample| sample.topic == *topic);
    let causes = match step {
        Step::Publish(Publication { topic, .. }) => match sample_of(topic) {
            Some(sample) => {
                let is_retained = before.contains_key(topic);
                rejects(broker, will, sample, is_retained).await
            }
            None => return failure::closed_at(step),
        },
        Step::Subscribe { filter } => {
            let is_accepted = is_accepted(broker, will, |it| it.subscribe(filter)).await;
            is_accepted.map(|is_accepted| (!is_accepted).then(Vec::new))
        }
        Step::Unsubscribe | Step::Ping => return failure::closed_at(step),
    };
    match causes {
        Ok(None) => failure::closed_once(step),
        Ok(Some(causes)) if matches!(step, Step::Publish(_)) => failure::rejected(step, &causes),
        Ok(Some(_)) => {
            let pattern = Pattern::SameStep(step);
            let advice = failure::closed_again(pattern, &NothingExcluded::default());
            advice.unwrap_or_else(|| failure::closed_at(step))
        }
        // A broker may reject a client for some time that has done what it does not accept.
        Err(end) if failure::may_be_the_client_id(end.error()) => failure::closed_at(step),
        Err(end) => end.advice(),
    }
}

/// Which properties of a message the broker rejects: variants without them are accepted. `None` if
/// the message itself is accepted.
async fn rejects(
    broker: &Broker,
    will: Option<&Message>,
    message: &Message,
    is_retained: bool,
) -> Result<Option<Vec<Cause>>, End> {
    if is_accepted(broker, will, |it| it.publish(message)).await? {
        return Ok(None);
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
        if is_accepted(broker, will, |it| it.publish(&variant)).await? {
            causes.push(cause);
        }
    }
    Ok(Some(causes))
}

/// Whether the broker accepts this step in a connection of its own. The error is a connection that
/// could not be made, or that ended for another reason.
async fn is_accepted(
    broker: &Broker,
    will: Option<&Message>,
    step: impl FnOnce(&mut StandIn),
) -> Result<bool, End> {
    let mut stand_in = StandIn::new(broker, will);
    stand_in.connect().await?;
    step(&mut stand_in);
    let settled = stand_in.settle(ACKNOWLEDGED_WITHIN).await;
    stand_in.leave().await;
    match settled {
        Ok(()) => Ok(true),
        Err(Halt::End(end)) if !failure::is_hang_up(end.error()) => Err(*end),
        Err(_) => Ok(false),
    }
}

/// The message that is already retained on the topic, to publish it again, so that nobody sees a
/// change. JSON that is shorter is padded to the length of the new message, because a broker may
/// limit the length. If that changes nothing, it gets one byte more, so that it is another message.
/// `None` if the retained message is not text, because then another program has published it.
fn unchanged(sample: &Message, before: &Retained) -> Option<Message> {
    let Some(bytes) = before.get(&sample.topic) else { return Some(sample.clone()) };
    let mut payload = String::from_utf8(bytes.clone()).ok()?;
    if payload.starts_with('{') {
        // White space after JSON has no meaning. It may be left from a rehearsal that was killed.
        payload.truncate(payload.trim_end_matches(' ').len());
        let missing = sample.payload.len().saturating_sub(payload.len());
        payload.extend(std::iter::repeat_n(' ', missing));
        if payload.as_bytes() == bytes {
            payload.push(' ');
        }
    }
    Some(Message { payload, ..sample.clone() })
}

/// Empty messages, for the topics on which a sample is retained already.
fn same(samples: &[Message], before: &Retained) -> Vec<Message> {
    let is_there = |sample: &&Message| {
        sample.retain
            && before.get(&sample.topic).is_some_and(|bytes| bytes == sample.payload.as_bytes())
    };
    let empty = |sample: &Message| Message { payload: String::new(), ..sample.clone() };
    samples.iter().filter(is_there).map(empty).collect()
}

/// Leaves on each topic what was retained there before. A failure is not reported, because the
/// program publishes the same messages when it starts.
async fn restore(broker: &Broker, published: &[Message], before: &Retained) {
    let mut stand_in = StandIn::new(broker, None);
    if stand_in.connect().await.is_err() {
        return;
    }
    let retained: Vec<_> = published.iter().filter(|message| message.retain).cloned().collect();
    if let Ok(now) = stand_in.retained(&retained).await {
        let topics: BTreeSet<&String> = retained.iter().map(|message| &message.topic).collect();
        for topic in topics {
            // If this user is not allowed to read a topic, nobody knows what is retained there.
            let (before, now) = (before.get(topic), now.get(topic));
            if before == now {
                continue;
            }
            let Ok(payload) = String::from_utf8(before.cloned().unwrap_or_default()) else {
                continue;
            };
            // The broker may not support a higher QoS.
            let qos = Qos::AtMostOnce;
            stand_in.publish(&Message { topic: topic.clone(), payload, qos, retain: true });
            if stand_in.settle(ACKNOWLEDGED_WITHIN).await.is_err() {
                break;
            }
        }
    }
    stand_in.leave().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_retained_is_published_again_with_the_length_of_the_new_message() {
        let sample = |payload: &str| Message {
            topic: "t".to_owned(),
            payload: payload.to_owned(),
            qos: Qos::AtLeastOnce,
            retain: true,
        };
        let before = |payload: &[u8]| Retained::from([("t".to_owned(), payload.to_vec())]);
        let published = |new: &str, before: &Retained| unchanged(&sample(new), before);
        assert_eq!(published("{}", &Retained::new()), Some(sample("{}")));
        assert_eq!(published("{\"a\":1}", &before(b"{}")), Some(sample("{}     ")));
        // It is never the message that is there already.
        assert_eq!(published("{\"a\":1}", &before(b"{}     ")), Some(sample("{}      ")));
        assert_eq!(published("{}", &before(b"{\"a\":1}")), Some(sample("{\"a\":1} ")));
        assert_eq!(published("{}", &before(b"{\"a\":1} ")), Some(sample("{\"a\":1}")));
        assert_eq!(published("offline", &before(b"online")), Some(sample("online")));
        assert_eq!(published("{}", &before(&[0xff])), None);
        let [offline, json] = ["offline", "{}"].map(sample);
        let same_as = |bytes: &[u8]| same(&[offline.clone(), json.clone()], &before(bytes));
        assert_eq!(same_as(b"offline"), [sample("")]);
        assert_eq!(same_as(b"online"), []);
    }
}
