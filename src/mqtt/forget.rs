//! Removes this program's retained messages from the broker.

use std::collections::BTreeSet;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, QoS};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::client::{self, IN_FLIGHT};
use super::failure::{self, Stage};
use super::subscriptions::QOS_OF_RETAINED;
use crate::advice::Advice;
use crate::config::Broker;

/// After this time without a message, all retained messages have arrived.
const QUIET: Duration = Duration::from_secs(1);

/// The time limit for finding and removing together.
const AT_MOST: Duration = Duration::from_secs(60);

/// Connects, finds the retained messages under `filters`, removes those for which `is_ours` is true
/// (called with topic and payload), and disconnects. Returns the removed topics. The error says
/// what the broker did.
pub(crate) async fn forget(
    broker: &Broker,
    filters: &[String],
    is_ours: impl Fn(&str, &[u8]) -> bool,
) -> Result<BTreeSet<String>, Advice> {
    // With the program's own client id, its connection would end. But a broker may accept no other.
    let other = format!("{}-forget", broker.client_id);
    let id = if accepts(broker, &other).await { &other } else { &broker.client_id };
    let (client, event_loop) = client::new(broker, id, None);
    let until = Instant::now() + AT_MOST;
    let stage = Stage::of(&event_loop);
    let logs_in = broker.credentials.is_some();
    let mut cleaner = Cleaner { client, event_loop, stage, logs_in, until };
    let topics = cleaner.look(filters, is_ours).await?;
    cleaner.clear(&topics).await?;
    let _ = cleaner.client.try_disconnect();
    let _ = timeout_at(until, cleaner.event_loop.poll()).await;
    Ok(topics)
}

/// Whether the broker accepts a connection with this client id.
async fn accepts(broker: &Broker, id: &str) -> bool {
    let (client, mut event_loop) = client::new(broker, id, None);
    let accepts = matches!(event_loop.poll().await, Ok(Event::Incoming(Incoming::ConnAck(_))));
    if accepts && client.try_disconnect().is_ok() {
        let _ = timeout_at(Instant::now() + QUIET, event_loop.poll()).await;
    }
    accepts
}

struct Cleaner {
    client: AsyncClient,
    event_loop: EventLoop,
    stage: Stage,
    logs_in: bool,
    until: Instant,
}

impl Cleaner {
    async fn next(&mut self, by: Instant) -> Result<Option<Event>, Advice> {
        match timeout_at(by, self.event_loop.poll()).await {
            Err(_) => Ok(None),
            Ok(Ok(event)) => Ok(Some(event)),
            Ok(Err(error)) => Err(failure::advice(&error, self.stage, self.logs_in)),
        }
    }

    /// Our retained topics.
    async fn look(
        &mut self,
        filters: &[String],
        is_ours: impl Fn(&str, &[u8]) -> bool,
    ) -> Result<BTreeSet<String>, Advice> {
        let mut ours = BTreeSet::new();
        let mut by = self.until;
        let mut granted = 0_usize;
        let mut waiting = filters.iter();
        loop {
            let Some(event) = self.next(by).await? else {
                return Ok(ours);
            };
            let next = match event {
                Event::Incoming(Incoming::ConnAck(_)) => {
                    self.stage = Stage::Connected;
                    waiting.next()
                }
                Event::Incoming(Incoming::SubAck(_)) => {
                    granted += 1;
                    waiting.next()
                }
                // Live messages may never end, and are not retained.
                Event::Incoming(Incoming::Publish(publish)) if !publish.retain => continue,
                Event::Incoming(Incoming::Publish(publish)) => {
                    if is_ours(&publish.topic, &publish.payload) {
                        debug!("Found `{}`.", publish.topic);
                        ours.insert(publish.topic);
                    }
                    None
                }
                _ => continue,
            };
            // One subscription at a time, so that the queue never fills.
            if let Some(filter) = next {
                self.client
                    .try_subscribe(filter, QOS_OF_RETAINED)
                    .map_err(|error| Advice::new(error.to_string()))?;
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
            match self.next(self.until).await? {
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
