//! Tests with a scripted broker, which uses the client library's own packet types.

mod connecting;
mod diff;
mod encrypted;
mod forgetting;
mod incoming;
mod publishing;
mod reading_back;
mod rejecting;
mod slow;
mod stalling;
mod too_long;

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, Packet, PubAck, PubComp, PubRec, Publish, SubAck, Subscribe, UnsubAck,
};
use rumqttc::{ConnectReturnCode, QoS, SubscribeReasonCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::client::{KEEP_ALIVE, QUEUE};
use super::connection::{Connection, ConnectionSettings, GOOD_CONNECTION, prepare};
use super::desired::Source;
use super::incoming::{INBOX, Received};
use super::publisher::Publisher;
use super::read_back;
use super::subscriptions::Subscriptions;
use crate::advice::MadeBy;
use crate::config::{Broker, Credentials, Qos, Secret};
use crate::payload::Message;
use crate::status::{Board, BrokerState};

struct Script {
    listener: TcpListener,
    received: mpsc::Receiver<Received>,
    brokers: watch::Sender<Option<Broker>>,
    board: Board,
}

struct Peer {
    stream: TcpStream,
    unread: BytesMut,
}

fn settings(listener: &TcpListener) -> Broker {
    Broker {
        host: "127.0.0.1".to_owned(),
        port: NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap(),
        client_id: "test".to_owned(),
        credentials: Some(Credentials {
            username: "somebody".to_owned(),
            password: Secret::new("hunter2"),
        }),
        tls: None,
    }
}

impl Script {
    async fn start() -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
        Self::start_with(KEEP_ALIVE, GOOD_CONNECTION).await
    }

    async fn start_with(
        keep_alive: Duration,
        good: Duration,
    ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
        Self::start_all(keep_alive, good, read_back::AFTER).await
    }

    async fn start_reading_back(
        after: Duration,
    ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
        Self::start_all(KEEP_ALIVE, GOOD_CONNECTION, after).await
    }

    async fn start_all(
        keep_alive: Duration,
        good: Duration,
        read_back_after: Duration,
    ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
        Self::start_adjusted(|connection| {
            connection.keep_alive = keep_alive;
            connection.good = good;
            connection.read_back_after = read_back_after;
        })
        .await
    }

    async fn start_adjusted(
        adjust: impl FnOnce(&mut Connection),
    ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = settings(&listener);
        let status = |payload| message("status", payload, Qos::AtLeastOnce);
        let subscriptions = Subscriptions {
            always: vec!["birth".to_owned()],
            at_first: vec!["config/+".to_owned()],
            surveys: 0,
        };
        let (sender, brokers) = watch::channel(Some(broker));
        let board = Board::default();
        let settings = ConnectionSettings { brokers, board: board.clone(), made_by: MadeBy::File };
        let (publisher, mut connection, received) =
            prepare(settings, status("online"), status("offline"), subscriptions);
        assert!(!format!("{connection:?}").contains("hunter2"));
        adjust(&mut connection);
        let stop = CancellationToken::new();
        let running = tokio::spawn(connection.run(stop.clone()));
        (Self { listener, received, brokers: sender, board }, publisher, stop, running)
    }

    /// The next connection, and its CONNECT.
    async fn accept(&self) -> (Peer, Connect) {
        let (stream, _) = self.listener.accept().await.unwrap();
        // A paused clock would not wait for delayed packets.
        stream.set_nodelay(true).unwrap();
        let mut peer = Peer { stream, unread: BytesMut::new() };
        match peer.next().await {
            Some(Packet::Connect(connect)) => (peer, connect),
            other => panic!("{other:?}"),
        }
    }

    /// The next connection, accepted.
    async fn welcome(&self) -> Peer {
        let (mut peer, _) = self.accept().await;
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        peer
    }
}

impl Peer {
    /// `None` at the end. However long it takes.
    async fn packet(&mut self) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(&mut self.unread, 65_536) {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// `None` at the end.
    async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(&mut self.unread, 65_536) {
                return Some(packet);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread));
            if read.await.unwrap().unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 65_536).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next publish, without acknowledging it.
    async fn published(&mut self) -> Publish {
        loop {
            match self.next().await {
                Some(Packet::Publish(publish)) => return publish,
                Some(Packet::PingReq) => self.send(Packet::PingResp).await,
                Some(Packet::Subscribe(subscribe)) => self.grant(&subscribe).await,
                Some(Packet::Unsubscribe(left)) => {
                    self.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
                }
                Some(Packet::PubRel(released)) => self.complete(released.pkid).await,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The last packet for a publish with QoS 2.
    async fn complete(&mut self, pkid: u16) {
        self.send(Packet::PubComp(PubComp::new(pkid))).await;
    }

    /// Checks that exactly these are published within five seconds.
    async fn all_within_five_seconds<T>(&mut self, expected: &[T])
    where
        T: std::fmt::Debug,
        String: PartialEq<T>,
    {
        let back = Instant::now();
        let taken = self.take(expected.len()).await;
        assert_eq!(taken, expected);
        assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    }

    async fn grant(&mut self, subscribe: &Subscribe) {
        let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
        self.send(Packet::SubAck(SubAck::new(subscribe.pkid, codes))).await;
    }

    async fn says(&mut self, topic: &str, payload: &str, retain: bool) {
        let mut publish = Publish::new(topic, QoS::AtMostOnce, payload);
        publish.retain = retain;
        self.send(Packet::Publish(publish)).await;
    }

    async fn acknowledge(&mut self, publish: &Publish) {
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.send(Packet::PubAck(PubAck::new(publish.pkid))).await,
            QoS::ExactlyOnce => self.send(Packet::PubRec(PubRec::new(publish.pkid))).await,
        }
    }

    /// Acknowledges the next publishes and returns them as `topic payload`.
    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut taken = Vec::new();
        for _ in 0..count {
            let publish = self.published().await;
            self.acknowledge(&publish).await;
            taken.push(shown(&publish));
        }
        taken
    }
}

fn shown(publish: &Publish) -> String {
    format!("{} {}", publish.topic, String::from_utf8_lossy(&publish.payload))
}

fn message(topic: &str, payload: &str, qos: Qos) -> Message {
    Message { topic: topic.to_owned(), payload: payload.to_owned(), qos, retain: true }
}

fn many(numbers: std::ops::Range<usize>) -> Vec<Message> {
    numbers.map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce)).collect()
}

fn discovery() -> Vec<Message> {
    vec![message("config", "{}", Qos::AtLeastOnce)]
}

fn values(payload: &str) -> Vec<Message> {
    vec![message("energy", payload, Qos::AtMostOnce)]
}

const METER: Source = Source::Meter(0);

const PATIENCE: Duration = Duration::from_secs(30);

/// A busy machine may take this much longer.
const ROOM: Duration = Duration::from_secs(1);

async fn ends(running: JoinHandle<()>) {
    timeout(PATIENCE, running).await.unwrap().unwrap();
}
