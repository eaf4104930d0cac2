//! Reads back what should be retained on the broker.
//!
//! A broker may acknowledge a message and drop it. Possible reasons are that this user may not
//! publish there (an access list of Mosquitto), that the message is too long
//! (`message_size_limit`), or that the broker retains no messages. In MQTT 3.1.1, a broker cannot
//! report this. But after a new subscription, it sends what it has retained. So the program
//! subscribes to its own topics once after it has connected. If messages are missing, it sends them
//! again and looks again, after pauses that double up to an hour: somebody may have fixed the cause.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use rumqttc::AsyncClient;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::desired::Desired;
use super::failure;
use super::link::{Link, Returned};
use super::subscriptions::QOS_OF_RETAINED;
use crate::advice::{Advice, MadeBy};
use crate::payload::Message;
use crate::status::Board;
use meter::back_off::BackOff;

/// Measured from the connection. Long enough to examine older retained messages, and for Home
/// Assistant to create its entities.
pub(super) const AFTER: Duration = Duration::from_secs(15);

/// How long the broker may take to send retained messages.
const WITHIN: Duration = Duration::from_secs(3);

/// The shortest and the longest pause before missing messages are sent and read back again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const AGAIN_AT_LEAST: Duration = Duration::from_secs(60 * 60);

/// How many topics are subscribed to at a time.
const AT_A_TIME: usize = 20;

/// How many topics are read back at most: the longest messages first, because a broker may limit
/// their length.
const AT_MOST: usize = 200;

/// The inputs for reading back.
pub(super) struct ReadBack<'a> {
    pub(super) link: &'a Link,
    pub(super) client: AsyncClient,
    pub(super) desired: watch::Receiver<Desired>,
    pub(super) online: &'a Message,
    /// The broker's name in the log.
    pub(super) name: String,
    pub(super) made_by: MadeBy,
    pub(super) board: Board,
    /// From the connection until messages are read back.
    pub(super) after: Duration,
}

/// What was found out in a connection.
enum Outcome {
    /// Nothing is missing.
    Good,
    /// These topics miss their message.
    Missing(Advice, Vec<String>),
    /// The broker has not answered.
    Unknown,
}

impl ReadBack<'_> {
    /// Reads back in each connection until nothing is missing. Reports missing messages.
    pub(super) async fn run(self) {
        let mut connection = self.link.connection();
        let mut reported = None;
        loop {
            let Ok(number) = connection.wait_for(Option::is_some).await.map(|number| *number)
            else {
                return pending().await;
            };
            let lost = async { connection.wait_for(|now| *now != number).await.is_ok() };
            tokio::select! {
                is_lost = lost => if !is_lost { return pending().await },
                () = self.examine(&mut reported) => return pending().await,
            }
            // A broker that closes the connection because of this is not asked again.
            if self.link.is_reading_back() {
                self.link.end_to_read_back();
                debug!("The broker {} does not let its messages be read back.", self.name);
                return pending().await;
            }
            let _ = connection.wait_for(|now| *now != number).await;
        }
    }

    /// Reads back until nothing is missing. `reported` is what was reported as missing.
    async fn examine(&self, reported: &mut Option<Advice>) {
        sleep(self.after).await;
        let mut topics = None;
        let mut pauses = BackOff::new(AGAIN_AFTER, AGAIN_AT_LEAST);
        loop {
            let again = topics.take();
            let is_first = again.is_none();
            match self.look(again).await {
                Outcome::Missing(advice, missing) => {
                    topics = Some(missing);
                    // Later, only a part of the messages is read back, so it shows less.
                    if is_first {
                        if reported.as_ref() != Some(&advice) {
                            let words = advice.words(self.made_by);
                            warn!("Connected to the broker {}, but {words}", self.name);
                        }
                        self.board.doubt_broker(advice.clone(), self.made_by);
                        *reported = Some(advice);
                    }
                }
                Outcome::Good => {
                    if let Some(advice) = reported.take() {
                        self.board.trust_broker(&advice);
                        info!("The broker {} keeps all messages that it was to keep.", self.name);
                    }
                    return;
                }
                Outcome::Unknown => {}
            }
            sleep(pauses.pause()).await;
        }
    }

    /// Reads back the messages on these topics, after they are sent again; without topics, all
    /// messages.
    async fn look(&self, again: Option<Vec<String>>) -> Outcome {
        let mut sent = self.retained();
        let is_again = again.is_some();
        let mut topics: Vec<String> = match again {
            Some(topics) => topics.into_iter().filter(|topic| sent.contains_key(topic)).collect(),
            None => sent.keys().cloned().collect(),
        };
        topics.sort_by_key(|topic| std::cmp::Reverse(sent.get(topic).map(String::len)));
        topics.truncate(AT_MOST);
        if is_again {
            self.send_again(&topics).await;
        }
        let mut returned = self.returned(&topics, &sent).await;
        let is_good =
            |returned: &Returned| matches!(returned, Returned::Expected | Returned::Unreadable);
        returned.retain(|_, returned| !is_good(returned));
        if !returned.is_empty() {
            if returned.get(&self.online.topic) == Some(&Returned::Other) {
                // Probably the last will of an earlier run, which the broker has published late.
                self.link.send(&self.client, self.online).await;
            }
            // Some may have been sent only after they were subscribed to.
            sleep(WITHIN).await;
            sent.extend(self.retained());
            let again: Vec<String> =
                topics.iter().filter(|topic| returned.contains_key(*topic)).cloned().collect();
            returned = self.returned(&again, &sent).await;
            returned.retain(|_, returned| !is_good(returned));
        }
        let now = self.retained();
        returned.retain(|topic, returned| match now.get(topic) {
            // It was removed meanwhile.
            None => false,
            // It was sent again meanwhile, with another payload.
            Some(payload) => *returned != Returned::Other || sent.get(topic) == Some(payload),
        });
        debug!("Read back {} retained messages: {} are missing.", topics.len(), returned.len());
        let length = |topic: &String| sent.get(topic).map_or(0, String::len);
        let of = |kind: Returned| {
            let topics = topics.iter().filter(|topic| returned.get(*topic) == Some(&kind));
            topics.map(|topic| (topic.as_str(), length(topic))).collect::<Vec<_>>()
        };
        let good = topics.iter().filter(|topic| !returned.contains_key(*topic));
        let there: Vec<_> = good.map(|topic| (topic.as_str(), length(topic))).collect();
        let missing = returned.keys().cloned().collect();
        let advice = failure::not_retained(&of(Returned::Nothing), &of(Returned::Other), &there);
        match (advice, of(Returned::Unchecked).first()) {
            (Some(advice), _) => Outcome::Missing(advice, missing),
            // Nobody knows whether the subscription was sent. The missing acknowledgements are
            // reported elsewhere.
            (None, Some(_)) if self.waits_for_acknowledgements() => Outcome::Unknown,
            (None, Some((topic, _))) => Outcome::Missing(failure::not_read_back(topic), missing),
            (None, None) => Outcome::Good,
        }
    }

    /// Whether the broker takes long to acknowledge messages.
    fn waits_for_acknowledgements(&self) -> bool {
        self.link.unacknowledged_messages().is_some_and(|(_, at)| at.elapsed() > WITHIN)
    }

    /// What the broker returns on these topics.
    async fn returned(
        &self,
        topics: &[String],
        sent: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Returned> {
        let mut returned = BTreeMap::new();
        for topics in topics.chunks(AT_A_TIME) {
            returned.extend(self.returned_at_once(topics, sent).await);
        }
        returned
    }

    async fn returned_at_once(
        &self,
        topics: &[String],
        sent: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Returned> {
        let Self { link, client, .. } = self;
        let payload = |topic: &String| sent.get(topic).cloned().unwrap_or_default();
        link.begin_to_read_back(
            topics.iter().map(|topic| (topic.clone(), payload(topic))).collect(),
        );
        for topic in topics {
            link.subscribe(client, topic, QOS_OF_RETAINED).await;
        }
        let _ = timeout(WITHIN, link.all_are_read_back()).await;
        for topic in topics {
            link.unsubscribe(client, topic).await;
        }
        // Otherwise our own messages would be treated as somebody else's.
        let _ = timeout(WITHIN, link.is_settled()).await;
        link.end_to_read_back()
    }

    /// Sends the messages on these topics again.
    async fn send_again(&self, topics: &[String]) {
        let messages: Vec<Message> = {
            let desired = self.desired.borrow();
            let retained = self.messages(&desired);
            retained.filter(|message| topics.contains(&message.topic)).cloned().collect()
        };
        for message in messages {
            self.link.send(&self.client, &message).await;
        }
    }

    /// The messages that should be retained: the payload of each topic.
    fn retained(&self) -> BTreeMap<String, String> {
        let desired = self.desired.borrow();
        let retained = self.messages(&desired);
        retained.map(|message| (message.topic.clone(), message.payload.clone())).collect()
    }

    fn messages<'a>(&'a self, desired: &'a Desired) -> impl Iterator<Item = &'a Message> {
        let parts = desired.parts.values();
        let messages = parts.flat_map(|part| part.discovery.iter().chain(&part.states));
        let retained = messages.filter(|message| message.retain && !message.payload.is_empty());
        retained.chain([self.online])
    }
}
