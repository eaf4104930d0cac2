//! A subscriber to all topics, like Home Assistant.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::patiently;

/// What arrived on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    /// Whether the broker had it before the subscription.
    pub(crate) retained: bool,
    pub(crate) at: Instant,
}

pub(crate) struct Subscriber {
    arrived: watch::Receiver<Vec<Arrived>>,
    client: AsyncClient,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// Ready when this returns.
    pub(crate) async fn connect(port: u16) -> Self {
        let mut options = MqttOptions::new(format!("subscriber-{port}"), "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(65_536, 65_536);
        let (client, mut events) = AsyncClient::new(options, 10);
        let publisher = client.clone();
        let (sender, arrived) = watch::channel(Vec::new());
        let (ready, subscribed) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        client.try_subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => {
                        ready.send_replace(true);
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) => sender.send_modify(|all| {
                        all.push(Arrived {
                            payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
                            topic: publish.topic,
                            qos: publish.qos as u8,
                            retained: publish.retain,
                            at: Instant::now(),
                        });
                    }),
                    Ok(_) => {}
                    // The broker was killed.
                    Err(_) if *ready.borrow() => return,
                    // It has only just started.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let mut subscribed = subscribed;
        patiently("subscribed", subscribed.wait_for(|&ready| ready)).await.unwrap();
        Self { arrived, client: publisher, task }
    }

    /// Publishes a message.
    pub(crate) async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.unwrap();
    }

    pub(crate) fn all(&self) -> Vec<Arrived> {
        self.arrived.borrow().clone()
    }

    fn summary(&self) -> Vec<String> {
        let line = |a: Arrived| format!("{} {:.40}", a.topic, a.payload);
        self.all().into_iter().map(line).collect()
    }

    /// The last payload of each topic so far.
    pub(crate) fn last(&self) -> BTreeMap<String, String> {
        self.all().into_iter().map(|arrived| (arrived.topic, arrived.payload)).collect()
    }

    /// Waits until the messages that arrived satisfy a condition.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&[Arrived]) -> bool) {
        let waited =
            tokio::time::timeout(crate::PATIENCE, self.arrived.wait_for(|arrived| holds(arrived)));
        let waited = waited.await.map(|result| result.map(drop));
        assert!(matches!(waited, Ok(Ok(()))), "waited for {what}; arrived: {:#?}", self.summary());
    }

    /// Waits for a payload on a topic.
    pub(crate) async fn expect(&mut self, topic: &str, payload: &str) {
        let what = format!("{topic} {payload}");
        self.until(&what, |all| all.iter().any(|a| a.topic == topic && a.payload == payload)).await;
    }

    /// Waits for a payload on a topic for the `times`th time.
    pub(crate) async fn expect_times(&mut self, topic: &str, payload: &str, times: usize) {
        let what = format!("{topic} {payload}, {times} times");
        let count = |all: &[Arrived]| {
            all.iter().filter(|a| a.topic == topic && a.payload == payload).count()
        };
        self.until(&what, |all| count(all) >= times).await;
    }
}
