//! Brokers that accept only some of what the program does. The tests check what the program says
//! about each of them, in its log and in `check --online`.
//!
//! MQTT 3.1.1 has no way to reject a message, so a broker closes the connection or silently drops
//! the message. Each behaviour is that of a real broker: `RabbitMQ`, `HiveMQ`, `VerneMQ`, EMQX, AWS
//! `IoT`, and Mosquitto 2.0 (`handle__connect` and `handle__publish` in its source).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, LastWill, Packet, PubAck, PubComp, PubRec, Publish, SubAck, UnsubAck,
};
use rumqttc::{ConnectReturnCode, QoS, SubscribeReasonCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::program::{Program, binary};
use crate::{Meter, example_meter, patiently};

/// What a broker does not accept.
#[derive(Debug, Clone, Default)]
struct Limits {
    closes_at_publish_under: Option<&'static str>,
    closes_at_subscription: Option<&'static str>,
    /// A last will is answered with this code, or by closing.
    will: Option<Answer>,
    highest_qos: Option<QoS>,
    closes_at_retained: bool,
    only_client: Option<&'static str>,
    longest_packet: Option<usize>,
    /// A longer payload is acknowledged and dropped.
    longest_payload: Option<usize>,
    drops_under: Option<&'static str>,
    never_acknowledges: bool,
    /// This user is not allowed to read.
    sends_nothing: bool,
    /// It is restarted when this user has published so often.
    restarts_after: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Code(ConnectReturnCode),
    Close,
}

impl Limits {
    fn on_connect(&self, connect: &Connect) -> Answer {
        if self.only_client.is_some_and(|only| only != connect.client_id) {
            return Answer::Code(ConnectReturnCode::BadClientId);
        }
        if let Some(will) = &connect.last_will {
            if let Some(answer) = self.will {
                return answer;
            }
            if self.highest_qos.is_some_and(|highest| will.qos > highest)
                || (self.closes_at_retained && will.retain)
            {
                return Answer::Close;
            }
        }
        Answer::Code(ConnectReturnCode::Success)
    }

    fn closes_at(&self, publish: &Publish) -> bool {
        let length = publish.topic.len() + publish.payload.len() + 6;
        self.closes_at_publish_under.is_some_and(|prefix| publish.topic.starts_with(prefix))
            || self.highest_qos.is_some_and(|highest| publish.qos > highest)
            || (self.closes_at_retained && publish.retain)
            || self.longest_packet.is_some_and(|longest| length > longest)
    }

    fn drops(&self, publish: &Publish) -> bool {
        self.longest_payload.is_some_and(|longest| publish.payload.len() > longest)
            || self.drops_under.is_some_and(|prefix| publish.topic.starts_with(prefix))
    }
}

type Retained = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// How many messages were published, by all clients.
type Published = Arc<AtomicUsize>;

struct LimitedBroker {
    port: u16,
    retained: Retained,
    _serving: JoinSet<()>,
}

impl LimitedBroker {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let retained = Retained::default();
        let kept = Arc::clone(&retained);
        let published = Published::default();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (limits, retained) = (limits.clone(), Arc::clone(&kept));
                let (unread, published) = (BytesMut::new(), Arc::clone(&published));
                clients.spawn(async move {
                    let mut client = Client { stream, unread, limits, retained, published };
                    client.serve().await;
                });
            }
        });
        Self { port, retained, _serving: serving }
    }

    /// Retains this on a topic that the program publishes to.
    fn retain(&self, topic: &str, payload: &str) {
        self.retained.lock().unwrap().insert(topic.to_owned(), payload.into());
    }

    fn retained(&self) -> Vec<String> {
        self.retained.lock().unwrap().keys().cloned().collect()
    }
}

struct Client {
    stream: TcpStream,
    unread: BytesMut,
    limits: Limits,
    retained: Retained,
    published: Published,
}

impl Client {
    async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(&mut self.unread, 65_536) {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 65_536).unwrap();
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn serve(&mut self) {
        let Some(Packet::Connect(mut connect)) = self.next().await else { return };
        match self.limits.on_connect(&connect) {
            Answer::Close => return,
            Answer::Code(code) => {
                self.send(Packet::ConnAck(ConnAck::new(code, false))).await;
                if code != ConnectReturnCode::Success {
                    return;
                }
            }
        }
        if self.serve_session().await {
            connect.last_will = None;
        }
        if let Some(LastWill { topic, message, qos, retain }) = connect.last_will {
            let mut publish = Publish::new(topic, qos, message);
            publish.retain = retain;
            self.keep(&publish);
        }
    }

    /// Whether the client has said that it leaves.
    async fn serve_session(&mut self) -> bool {
        while let Some(packet) = self.next().await {
            match packet {
                Packet::Disconnect => return true,
                Packet::Publish(publish) if self.limits.closes_at(&publish) => return false,
                Packet::Publish(publish) => {
                    let number = self.published.fetch_add(1, Ordering::Relaxed);
                    if self.limits.restarts_after == Some(number) {
                        return false;
                    }
                    self.take(publish).await;
                }
                Packet::PubRel(released) => {
                    self.send(Packet::PubComp(PubComp::new(released.pkid))).await;
                }
                Packet::Subscribe(subscribe) => {
                    let filter = subscribe.filters[0].path.clone();
                    if self.limits.closes_at_subscription == Some(&filter) {
                        return false;
                    }
                    let codes = vec![SubscribeReasonCode::Success(QoS::AtMostOnce)];
                    self.send(Packet::SubAck(SubAck::new(subscribe.pkid, codes))).await;
                    if !self.limits.sends_nothing {
                        self.send_retained(&filter).await;
                    }
                }
                Packet::Unsubscribe(left) => {
                    self.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
                }
                Packet::PingReq => self.send(Packet::PingResp).await,
                _ => {}
            }
        }
        false
    }

    /// Retains a message, if it is to be retained.
    fn keep(&self, publish: &Publish) {
        if publish.retain && !self.limits.drops(publish) {
            let mut retained = self.retained.lock().unwrap();
            if publish.payload.is_empty() {
                retained.remove(&publish.topic);
            } else {
                retained.insert(publish.topic.clone(), publish.payload.to_vec());
            }
        }
    }

    async fn take(&mut self, publish: Publish) {
        self.keep(&publish);
        match publish.qos {
            QoS::AtMostOnce => {}
            _ if self.limits.never_acknowledges => {}
            QoS::AtLeastOnce => self.send(Packet::PubAck(PubAck::new(publish.pkid))).await,
            QoS::ExactlyOnce => self.send(Packet::PubRec(PubRec::new(publish.pkid))).await,
        }
    }

    async fn send_retained(&mut self, filter: &str) {
        let retained = self.retained.lock().unwrap().clone();
        for (topic, payload) in retained {
            if rumqttc::mqttbytes::matches(&topic, filter) {
                let mut publish = Publish::new(topic, QoS::AtMostOnce, payload);
                publish.retain = true;
                self.send(Packet::Publish(publish)).await;
            }
        }
    }
}

/// The broker, what it is like, what the program's log says, and more settings.
fn all() -> Vec<(&'static str, Limits, &'static str, &'static str)> {
    let none = Limits::default;
    let no_good = "No stable connection";
    let refused = ConnectReturnCode::RefusedProtocolVersion;
    let will = |answer| Limits { will: Some(answer), ..none() };
    vec![
        ("accepts everything", none(), "Connected to the broker", ""),
        (
            "closes at a publish under homeassistant/",
            Limits { closes_at_publish_under: Some("homeassistant/"), ..none() },
            no_good,
            "",
        ),
        (
            "closes at a subscription",
            Limits { closes_at_subscription: Some("kamstrup/command/+"), ..none() },
            no_good,
            "",
        ),
        ("CONNACK 1 because of the will", will(Answer::Code(refused)), "last will", ""),
        ("closes because of the will", will(Answer::Close), "last will", ""),
        (
            "closes at QoS 2",
            Limits { highest_qos: Some(QoS::AtLeastOnce), ..none() },
            no_good,
            ", qos: 2",
        ),
        (
            "accepts one client id",
            Limits { only_client: Some("kamstrup"), ..none() },
            "Connected to the broker",
            "",
        ),
        ("no retained messages", Limits { closes_at_retained: true, ..none() }, "last will", ""),
        (
            "no QoS above 0",
            Limits { highest_qos: Some(QoS::AtMostOnce), ..none() },
            "last will",
            "",
        ),
        ("no packet above 400 bytes", Limits { longest_packet: Some(400), ..none() }, no_good, ""),
        (
            "drops payloads above 400 bytes",
            Limits { longest_payload: Some(400), ..none() },
            "has not returned",
            "",
        ),
        (
            "drops discovery",
            Limits { drops_under: Some("homeassistant/"), ..none() },
            "has not returned",
            "",
        ),
        (
            "never acknowledges",
            Limits { never_acknowledges: true, ..none() },
            "has not acknowledged",
            "",
        ),
        (
            "is restarted while a message is being sent",
            Limits { restarts_after: Some(1), ..none() },
            "Connected to the broker",
            "",
        ),
    ]
}

pub(crate) fn yaml(port: u16, meter: &Meter, more: &str) -> String {
    format!(
        "mqtt: {{ host: 127.0.0.1, port: {port}, client: kamstrup{more} }}\nweb: {{ enabled: no }}\n\
         serial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ version: 402, poll_interval: 1, parameters: 'energy, power' }}\n",
        meter.com_port
    )
}

/// The message of a line of the log, without its time, and with this port as `PORT`.
pub(crate) fn message(line: &str, port: u16) -> String {
    let level = line.find("WARN").or_else(|| line.find("INFO")).unwrap();
    without(&line[level..], port)
}

fn without(text: &str, port: u16) -> String {
    text.replace(&format!("127.0.0.1:{port}"), "BROKER")
}

/// What `check --online` says of the broker.
pub(crate) async fn checked(port: u16, meter: &Meter, more: &str) -> String {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), yaml(port, meter, more)).unwrap();
    let output = Command::new(binary())
        .args(["check", "--online"])
        .env_clear()
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let line = said.lines().find(|line| line.contains("broker 127"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    format!("{} {}", output.status.code().unwrap(), without(line, port))
}

#[tokio::test]
async fn each_limited_broker_gets_its_true_cause() {
    let mut tried = JoinSet::new();
    for (number, (name, limits, expected, more)) in all().into_iter().enumerate() {
        tried.spawn(async move {
            let meter = example_meter().await;
            let broker = LimitedBroker::start(limits.clone()).await;
            let checked = patiently("check", checked(broker.port, &meter, more)).await;
            // A check leaves nothing behind.
            assert_eq!(broker.retained(), [""; 0], "{name}");
            let mut program = Program::start(&yaml(broker.port, &meter, more));
            let line = program.says_within(expected, std::time::Duration::from_secs(90)).await;
            let logged = message(&line, broker.port);
            (number, format!("## {name}\nlog:   {logged}\ncheck: {checked}\n"))
        });
    }
    let mut texts: Vec<_> = tried.join_all().await;
    texts.sort();
    let texts: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

/// Home Assistant forgets an entity whose retained announcement is removed.
#[tokio::test]
async fn a_check_keeps_what_earlier_runs_have_retained() {
    const CONFIG: &str = "homeassistant/sensor/kamstrup_version/config";
    const EARLIER: &str = "{\"earlier\": true}";

    let meter = example_meter().await;
    let limits = [
        Limits::default(),
        Limits { sends_nothing: true, ..Limits::default() },
        // Variants of the message show that its length is the cause. An empty one removed it.
        Limits { longest_packet: Some(400), ..Limits::default() },
    ];
    for limits in limits {
        let sends_nothing = limits.sends_nothing;
        let broker = LimitedBroker::start(limits).await;
        let component = "homeassistant/button/kamstrup_read/config";
        for topic in [CONFIG, component, "kamstrup/status"] {
            broker.retain(topic, EARLIER);
        }
        let checked = checked(broker.port, &meter, "").await;
        let retained = broker.retained.lock().unwrap().clone();
        for topic in [CONFIG, component, "kamstrup/status"] {
            assert!(retained.contains_key(topic), "{sends_nothing}: {checked}: {retained:#?}");
        }
        if !sends_nothing {
            let is_earlier = |payload: &Vec<u8>| payload == EARLIER.as_bytes();
            assert!(retained.len() == 3 && retained.values().all(is_earlier), "{retained:#?}");
        }
    }
}

/// The status page is off, so only the broker knows that the program is running.
#[tokio::test]
async fn a_check_does_not_disturb_a_running_program() {
    let meter = example_meter().await;
    let broker = LimitedBroker::start(Limits::default()).await;
    let mut program = Program::start(&yaml(broker.port, &meter, ""));
    program.says("Connected to the broker").await;
    patiently("online", async {
        while broker.retained.lock().unwrap().get("kamstrup/status") != Some(&b"online".to_vec()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let checked = patiently("check", checked(broker.port, &meter, "")).await;
    assert!(checked.starts_with("0 ") && checked.contains("is `online`, so nothing"), "{checked}");
    program.terminate().await;
    program.ended().await;
    assert_eq!(program.count("WARN"), 0, "{:#?}", program.log());
}
