//! Removes this program's retained messages from the broker.

use std::collections::BTreeSet;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Incoming, QoS, SubscribeReasonCode};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use super::cleared::{Cleared, Found};
use super::client::{self, IN_FLIGHT};
use super::failure::{self, Facts, Stage};
use super::subscriptions::QOS_OF_RETAINED;
use super::trail::Step;
use crate::advice::{Advice, MadeBy};
use crate::config::Broker;

/// After this time without a message, all retained messages have arrived.
const QUIET: Duration = Duration::from_secs(1);

/// How long the broker may take to acknowledge the next message.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// The time limit for finding and removing together.
pub(crate) const FORGET_WITHIN: Duration = Duration::from_secs(60);

/// The retained messages that were found.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// Their topics: at most [`FOUND_AT_MOST`](super::FOUND_AT_MOST).
    pub topics: BTreeSet<String>,
    /// What else the broker keeps.
    pub rest: Rest,
    /// Of these topics, those on which the broker still keeps a message, although it has
    /// acknowledged the removal.
    pub kept: BTreeSet<String>,
}

/// What the broker keeps and was not found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// More than can be removed at a time.
    TooMany,
    /// It was still sending messages when the time was over.
    Unknown,
}

/// What a retained message shows about its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nothing, or that it is not ours.
    Other,
    /// It is ours if another message says so.
    PerhapsOurs,
    /// It is that of a meter that is no longer configured, and so are the messages on these topics,
    /// unless another program has its topics there.
    Earlier {
        /// Other topics.
        others: Vec<String>,
    },
    /// It is ours, and so are the messages on these topics.
    Ours {
        /// Other topics.
        others: Vec<String>,
    },
    /// It belongs to another program, and so does everything below this topic that is not certainly
    /// ours.
    AnotherProgram {
        /// The first part of the other program's topics.
        below: String,
    },
}

/// Without any other topics.
impl From<bool> for Owner {
    fn from(is_ours: bool) -> Self {
        if is_ours { Self::Ours { others: Vec::new() } } else { Self::Other }
    }
}

/// Connects, finds the retained messages under `filters` that are ours according to `owner` (called
/// with topic and payload), removes them if `removes` is true, and disconnects. Returns their
/// topics. The error says what the broker did.
pub(crate) async fn forget<O: Into<Owner>>(
    broker: &Broker,
    filters: &[String],
    owner: impl Fn(&str, &[u8]) -> O,
    removes: bool,
) -> Result<Forgotten, Advice> {
    forget_within(FORGET_WITHIN, broker, filters, owner, removes).await
}

/// The same with another time limit.
pub(super) async fn forget_within<O: Into<Owner>>(
    limit: Duration,
    broker: &Broker,
    filters: &[String],
    owner: impl Fn(&str, &[u8]) -> O,
    removes: bool,
) -> Result<Forgotten, Advice> {
    let mut cleaner = connect(broker, limit).await?;
    let mut forgotten = cleaner.look(filters, owner).await?;
    if removes && !forgotten.topics.is_empty() {
        cleaner.clear(&forgotten.topics).await?;
        // A broker may acknowledge a message and drop it.
        let is_removed = |topic: &str, _: &[u8]| forgotten.topics.contains(topic);
        let again = cleaner.look(filters, is_removed).await?;
        forgotten.kept = again.topics;
    }
    let _ = cleaner.client.try_disconnect();
    let _ = timeout_at(cleaner.until, cleaner.event_loop.poll()).await;
    Ok(forgotten)
}

/// Connects with a client id of its own: with the program's, that would lose its connection. But a
/// broker may accept no other.
async fn connect(broker: &Broker, limit: Duration) -> Result<Cleaner, Advice> {
    let other = client::id_of_command(broker, "forget");
    let mut cleaner = Cleaner::new(broker, &other, limit);
    let mut result = cleaner.connect().await;
    if result.as_ref().is_err_and(failure::is_hang_up) {
        // A broker may still be ending the connection of an earlier command with this client id.
        sleep(QUIET).await;
        cleaner = Cleaner::new(broker, &other, limit);
        result = cleaner.connect().await;
    }
    if result.as_ref().is_err_and(failure::may_be_the_client_id) {
        cleaner = Cleaner::new(broker, &broker.client_id, limit);
        cleaner.is_the_programs = true;
        result = cleaner.connect().await;
    }
    result.map_err(|error| cleaner.advice(&error))?;
    Ok(cleaner)
}

/// What was found on the broker, as far as there is room for it.
#[derive(Debug, Default)]
struct Finds {
    ours: Cleared,
    /// Topics with a retained message that may be ours.
    perhaps: Cleared,
    /// Topics that are ours if they have a retained message.
    named: Cleared,
    /// Topics of the values of earlier meters. They are ours unless another program has its topics
    /// there.
    of_earlier: Cleared,
    /// The first parts of other programs' topics.
    others: Cleared,
}

impl Finds {
    fn add(&mut self, topic: &str, owner: Owner) -> Found {
        match owner {
            Owner::Other => Found::Known,
            Owner::PerhapsOurs => {
                self.perhaps.insert_found(topic);
                Found::Known
            }
            Owner::AnotherProgram { below } => {
                self.others.insert_found(&below);
                Found::Known
            }
            Owner::Earlier { others } => {
                for other in others {
                    self.named.insert_found(&other);
                }
                self.of_earlier.insert_found(topic)
            }
            Owner::Ours { others } => {
                debug!("Found `{topic}`.");
                for other in others {
                    self.named.insert_found(&other);
                }
                self.ours.insert_found(topic)
            }
        }
    }

    fn forgotten(&self, rest: Rest) -> Forgotten {
        let named = self.perhaps.after(0).filter(|(_, topic)| self.named.number(topic).is_some());
        let is_others = |topic: &str| {
            let below = topic.rsplit_once('/').map(|(below, _)| below);
            below.is_some_and(|below| self.others.number(below).is_some())
        };
        let probably = named.chain(self.of_earlier.after(0));
        let probably = probably.filter(|(_, topic)| !is_others(topic));
        let all = self.ours.after(0).chain(probably);
        let topics = all.map(|(_, topic)| topic.to_owned()).collect();
        Forgotten { topics, rest, kept: BTreeSet::new() }
    }
}

struct Cleaner {
    client: AsyncClient,
    event_loop: EventLoop,
    stage: Stage,
    facts: Facts,
    /// Whether it uses the program's client id.
    is_the_programs: bool,
    limit: Duration,
    until: Instant,
}

impl Cleaner {
    fn new(broker: &Broker, id: &str, limit: Duration) -> Self {
        let (client, event_loop) = client::new(broker, id, None);
        Self {
            client,
            stage: Stage::of(&event_loop),
            event_loop,
            facts: Facts::of(broker, MadeBy::File),
            is_the_programs: false,
            limit,
            until: Instant::now() + limit,
        }
    }

    async fn connect(&mut self) -> Result<(), ConnectionError> {
        // The client library has a deadline of its own.
        while !matches!(self.event_loop.poll().await?, Event::Incoming(Incoming::ConnAck(_))) {}
        self.stage = Stage::Connected;
        Ok(())
    }

    fn advice(&self, error: &ConnectionError) -> Advice {
        if self.is_the_programs && self.stage == Stage::Connected && failure::is_hang_up(error) {
            return failure::taken_over();
        }
        failure::advice(error, self.stage, self.facts)
    }

    async fn next(&mut self, by: Instant) -> Result<Option<Event>, Advice> {
        match timeout_at(by, self.event_loop.poll()).await {
            Err(_) => Ok(None),
            Ok(Ok(event)) => Ok(Some(event)),
            Ok(Err(error)) => Err(self.advice(&error)),
        }
    }

    /// Our retained topics, as far as there is room for them.
    async fn look<O: Into<Owner>>(
        &mut self,
        filters: &[String],
        owner: impl Fn(&str, &[u8]) -> O,
    ) -> Result<Forgotten, Advice> {
        let mut finds = Finds::default();
        let mut by = self.until;
        let mut granted = 0_usize;
        let mut waiting = filters.iter();
        let mut next = waiting.next();
        let mut current = next;
        loop {
            // One subscription at a time, so that the queue never fills.
            if let Some(filter) = next.take() {
                current = Some(filter);
                self.client
                    .try_subscribe(filter, QOS_OF_RETAINED)
                    .map_err(|error| Advice::new(error.to_string()))?;
            }
            let Some(event) = self.next(by).await? else {
                if granted < filters.len() {
                    let filter = current.cloned().unwrap_or_default();
                    return Err(failure::unacknowledged(&Step::Subscribe { filter }, self.limit));
                }
                let is_quiet = Instant::now() < self.until;
                return Ok(finds.forgotten(if is_quiet { Rest::Nothing } else { Rest::Unknown }));
            };
            match event {
                Event::Incoming(Incoming::SubAck(answer))
                    if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
                {
                    let filter = current.map_or("", String::as_str);
                    return Err(failure::may_not_subscribe(filter));
                }
                Event::Incoming(Incoming::SubAck(_)) => {
                    granted += 1;
                    next = waiting.next();
                }
                // Live messages may never end, and are not retained.
                Event::Incoming(Incoming::Publish(publish)) if !publish.retain => continue,
                Event::Incoming(Incoming::Publish(publish)) => {
                    let owner = owner(&publish.topic, &publish.payload).into();
                    if finds.add(&publish.topic, owner) == Found::Full {
                        return Ok(finds.forgotten(Rest::TooMany));
                    }
                }
                _ => continue,
            }
            if granted >= filters.len() {
                by = self.until.min(Instant::now() + QUIET);
            }
        }
    }

    /// Publishes an empty message on each topic, and waits until the broker has acknowledged all.
    async fn clear(&mut self, topics: &BTreeSet<String>) -> Result<(), Advice> {
        let mut acknowledged = 0_usize;
        let mut left = topics.iter();
        let mut under_way = 0_usize;
        while acknowledged < topics.len() {
            while under_way < usize::from(IN_FLIGHT) {
                let Some(topic) = left.next() else { break };
                let nothing: [u8; 0] = [];
                self.client
                    .try_publish(topic, QoS::AtLeastOnce, true, nothing)
                    .map_err(|error| Advice::new(error.to_string()))?;
                under_way += 1;
            }
            match self.next(Instant::now() + ACKNOWLEDGED_WITHIN).await? {
                None => return Err(Advice::new("it does not acknowledge messages.")),
                Some(Event::Incoming(Incoming::PubAck(_))) => {
                    acknowledged += 1;
                    under_way = under_way.saturating_sub(1);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
