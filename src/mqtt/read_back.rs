//! Reads back what should be retained on the broker.
//!
//! A broker may acknowledge a message and drop it. Possible reasons are that this user may not
//! publish there (an access list of Mosquitto), that the message is too long
//! (`message_size_limit`), or that the broker retains no messages. In MQTT 3.1.1, a broker cannot
//! report this. But after a new subscription, it sends what it has retained. So the program
//! subscribes to its own topics once after it has connected.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::Duration;

use rumqttc::AsyncClient;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::desired::Desired;
use super::failure;
use super::link::Link;
use super::subscriptions::QOS_OF_RETAINED;
use crate::advice::{Advice, MadeBy};
use crate::payload::Message;
use crate::status::Board;
use meter::news::News;

/// Measured from the connection. Long enough to examine older retained messages, and for Home
/// Assistant to create its entities.
pub(super) const AFTER: Duration = Duration::from_secs(15);

/// How long the broker may take to send retained messages.
const WITHIN: Duration = Duration::from_secs(3);

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

impl ReadBack<'_> {
    /// Reads back in each connection until nothing is missing. Reports missing messages.
    pub(super) async fn run(self) {
        let mut connection = self.link.connection();
        let mut news = News::default();
        loop {
            let Ok(number) = connection.wait_for(Option::is_some).await.map(|number| *number)
            else {
                return pending().await;
            };
            let lost = async { connection.wait_for(|now| *now != number).await.is_ok() };
            tokio::select! {
                is_lost = lost => if !is_lost { return pending().await },
                advice = self.look() => match advice {
                    Some(advice) => {
                        let words = advice.words(self.made_by);
                        if news.is_new(advice.clone()) {
                            warn!("Connected to the broker {}, but {words}", self.name);
                        }
                        self.board.doubt_broker(advice, self.made_by);
                    }
                    None => return pending().await,
                },
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

    async fn look(&self) -> Option<Advice> {
        sleep(self.after).await;
        let lengths = self.lengths();
        let mut topics: Vec<&String> = lengths.keys().collect();
        topics.sort_by_key(|topic| std::cmp::Reverse(lengths.get(*topic)));
        topics.truncate(AT_MOST);
        let mut missing = BTreeSet::new();
        for topics in topics.chunks(AT_A_TIME) {
            missing.extend(self.missing(topics).await);
        }
        if !missing.is_empty() {
            // Some may have been sent only after they were subscribed to.
            sleep(WITHIN).await;
            let again: Vec<&String> =
                topics.iter().copied().filter(|topic| missing.contains(*topic)).collect();
            missing.clear();
            for topics in again.chunks(AT_A_TIME) {
                missing.extend(self.missing(topics).await);
            }
        }
        // Messages that were removed meanwhile are not missing.
        let now = self.lengths();
        missing.retain(|topic| now.contains_key(topic));
        debug!("Read back {} retained messages: {} are missing.", topics.len(), missing.len());
        let (missing, there): (Vec<_>, Vec<_>) = topics
            .into_iter()
            .filter_map(|topic| Some((topic.as_str(), *lengths.get(topic)?)))
            .partition(|(topic, _)| missing.contains(*topic));
        failure::not_retained(&missing, &there)
    }

    /// Which of these topics have no retained message.
    async fn missing(&self, topics: &[&String]) -> BTreeSet<String> {
        let Self { link, client, .. } = self;
        link.begin_to_read_back(topics.iter().map(|topic| (*topic).clone()).collect());
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

    /// The topics that should have a retained message, and the length of each.
    fn lengths(&self) -> BTreeMap<String, usize> {
        let desired = self.desired.borrow();
        let parts = desired.parts.values();
        let messages = parts.flat_map(|part| part.discovery.iter().chain(&part.states));
        let retained = messages.filter(|message| message.retain && !message.payload.is_empty());
        let retained = retained.chain([self.online]);
        retained.map(|message| (message.topic.clone(), message.payload.len())).collect()
    }
}
