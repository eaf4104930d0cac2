//! A stalled meter does not delay the broker, and a stalled broker does not delay the meters.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnAck, Packet, PubAck, Publish, SubAck, UnsubAck};
use rumqttc::{ConnectReturnCode, QoS, SubscribeReasonCode};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{ALL_NAMES, config, page, patiently};

/// A broker that the test plays, made of the client's packet types.
struct Peer {
    stream: TcpStream,
    unread: BytesMut,
}

/// Listens with small buffers between writer and reader. With the segments and buffers that the
/// system chooses, they would hold megabytes.
fn narrow() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(536).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(16).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = patiently("the program connects", listener.accept()).await.unwrap();
        Self { stream, unread: BytesMut::new() }
    }

    async fn next(&mut self) -> Packet {
        loop {
            if let Ok(packet) = Packet::read(&mut self.unread, 65_536) {
                return packet;
            }
            let read = self.stream.read_buf(&mut self.unread);
            assert_ne!(patiently("a packet", read).await.unwrap(), 0, "the program has left");
        }
    }

    async fn answer(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 65_536).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Does what a broker must do. Returns the published messages once so many topics with this
    /// ending were among them.
    async fn serve_until(&mut self, ending: &str, times: usize) -> Vec<Publish> {
        let mut all = Vec::new();
        let mut count = 0;
        while count < times {
            match self.next().await {
                Packet::Connect(_) => {
                    let let_in = ConnAck::new(ConnectReturnCode::Success, false);
                    self.answer(Packet::ConnAck(let_in)).await;
                }
                Packet::Subscribe(subscribe) => {
                    let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                    self.answer(Packet::SubAck(SubAck::new(subscribe.pkid, codes))).await;
                }
                Packet::Unsubscribe(unsubscribe) => {
                    self.answer(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid))).await;
                }
                Packet::PingReq => self.answer(Packet::PingResp).await,
                Packet::Publish(publish) => {
                    if publish.qos == QoS::AtLeastOnce {
                        self.answer(Packet::PubAck(PubAck::new(publish.pkid))).await;
                    }
                    count += usize::from(publish.topic.ends_with(ending));
                    all.push(publish);
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }
}

/// Simulated meters, each at its own address, so that all are read in parallel.
async fn meters(count: u8) -> (Vec<String>, JoinSet<()>) {
    let mut com_ports = Vec::new();
    let mut serving = JoinSet::new();
    for number in 1..=count {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 1, number), 0)).await.unwrap();
        com_ports.push(format!("socket://{}", listener.local_addr().unwrap()));
        serving.spawn(async move {
            let registers = Registers::example(EnergyUnit::KilowattHour, 0);
            let (_keep, registers) = watch::channel(registers);
            Simulator::new(registers, Behaviour::default()).serve_tcp(listener).await.unwrap();
        });
    }
    (com_ports, serving)
}

/// How many polls of all meters together have ended, none of which may have failed.
async fn polls_so_far(page: SocketAddr) -> usize {
    let metrics = page::get(page, "/metrics").await;
    let sum = |name: &str| {
        let counts = metrics.lines().filter_map(|line| line.strip_prefix(name));
        counts.map(|count| count.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum()
    };
    let failed: usize = sum("kamstrup2mqtt_failed_polls_total{");
    assert_eq!(failed, 0);
    sum("kamstrup2mqtt_polls_total{")
}

async fn polls_reach(page: SocketAddr, polls: usize) {
    let reaching = async {
        while polls_so_far(page).await < polls {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently("polls", reaching).await;
}

/// Until not one more byte can be written to the broker. Polls follow the clock, nothing
/// accumulates, and everything is sent after the next connection.
#[tokio::test]
async fn polls_continue_while_the_broker_does_not_read() {
    const METERS: u8 = 30;
    const INTERVAL: Duration = Duration::from_millis(1200);
    const ROUNDS: u32 = 6;
    /// Without a limit, the messages of these rounds would take more than 2 MiB.
    const MAY_GROW: u64 = 1024 * 1024;

    let listener = narrow();
    let port = listener.local_addr().unwrap().port();
    let (com_ports, _serving) = meters(METERS).await;
    let in_list =
        |(number, com_port)| format!("  - {{ name: m{number}, com_port: '{com_port}' }}\n");
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {port}, topic: '{}' }}\n\
         kamstrup: {{ poll_interval: 0.02, parameters: '{ALL_NAMES}' }}\n\
         meters:\n{}",
        "long".repeat(60),
        com_ports.iter().enumerate().map(in_list).collect::<String>()
    );
    let mut program = Program::start(&yaml);
    let page = page::address(&mut program).await;
    let mut broker = Peer::accept(&listener).await;
    let each = usize::from(METERS);
    broker.serve_until("/reading", 2 * each).await;

    // From here on the broker reads nothing.
    let mut polls = polls_so_far(page).await;
    let mut unsent = 0;
    loop {
        polls += each;
        polls_reach(page, polls).await;
        let now = program.unsent(port);
        if now > 0 && now == unsent {
            break;
        }
        unsent = now;
    }
    let (begun, memory) = (Instant::now(), program.resident_memory());
    for round in 1..=ROUNDS {
        polls += each;
        polls_reach(page, polls).await;
        let (took, should) = (begun.elapsed(), INTERVAL * round);
        assert!(took.abs_diff(should) < INTERVAL / 2, "round {round}: {took:?}, {should:?}");
    }
    assert_eq!(program.unsent(port), unsent, "it was stuck all the time");
    let grown = program.resident_memory().saturating_sub(memory);
    assert!(grown < MAY_GROW, "{grown} bytes more than {memory}");

    drop(broker);
    let mut broker = Peer::accept(&listener).await;
    let back = Instant::now();
    let published = broker.serve_until("/reading", each).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(published.iter().filter(|it| it.topic.ends_with("/status")).count(), 1);
    // Announcements follow the values. For each meter 32 values, 4 diagnostics (it has no info code)
    // and a button; and the program's own.
    broker.serve_until("/config", each * (32 + 4 + 1) + 2).await;
    program.terminate().await;
    broker.serve_until("/status", 1).await;
    assert_eq!(broker.next().await, Packet::Disconnect);
    assert_eq!(program.ended().await.code(), Some(0));
}

/// Answers on one connection, and never on any other. Reports each of these others.
async fn meter_that_stalls_later() -> (String, mpsc::UnboundedReceiver<()>, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let (sender, stalled) = mpsc::unbounded_channel();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let (_keep, registers) = watch::channel(registers);
        let meter = Simulator::new(registers, Behaviour::default());
        let (stream, _) = listener.accept().await.unwrap();
        meter.serve(stream).await.unwrap();
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    (com_port, stalled, serving)
}

#[tokio::test]
async fn publishing_continues_while_a_meter_stalls() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (com_port, mut stalled, _serving) = meter_that_stalls_later().await;
    // With such a long timeout for the meter, the poll outlasts the rest of the test.
    let yaml = config(&broker, &com_port, "energy")
        .replace("serial_device: {", "serial_device: { timeout: 30,");
    let program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "81947").await;
    patiently("the second poll", stalled.recv()).await.unwrap();
    let born = Instant::now();
    subscriber.publish("homeassistant/status", "online", false).await;
    let again = |all: &[Arrived]| {
        let since = || all.iter().filter(|arrived| arrived.at > born);
        ["homeassistant/sensor/kamstrup_energy/config", "kamstrup/energy"]
            .iter()
            .all(|topic| since().any(|arrived| arrived.topic == *topic))
    };
    subscriber.until("all of it again", again).await;
    assert!(born.elapsed() < Duration::from_secs(5), "{:?}", born.elapsed());
    // That poll has not ended.
    assert!(stalled.try_recv().is_err());
    assert_eq!(program.count("The meter does not answer"), 0);
    assert_eq!(subscriber.last()["kamstrup/connection"], "ON");
}

/// Answers one request and no other. Reports the second request.
async fn meter_that_stalls_in_a_poll() -> (String, mpsc::UnboundedReceiver<()>, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let (sender, stalled) = mpsc::unbounded_channel();
    let mut serving = JoinSet::new();
    let (mut ours, theirs) = tokio::io::duplex(1024);
    serving.spawn(async move {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let (_keep, registers) = watch::channel(registers);
        Simulator::new(registers, Behaviour::default()).serve(theirs).await.unwrap();
    });
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Requests and answers are each written at once and fit into the buffer.
        let (mut request, mut answer) =
            (BytesMut::with_capacity(1024), BytesMut::with_capacity(1024));
        stream.read_buf(&mut request).await.unwrap();
        ours.write_all(&request).await.unwrap();
        ours.read_buf(&mut answer).await.unwrap();
        stream.write_all(&answer).await.unwrap();
        while stream.read_buf(&mut request).await.unwrap_or(0) > 0 {
            let _ = sender.send(());
        }
    });
    (com_port, stalled, serving)
}

/// A poll is published as a whole. If it does not end in time when the program stops, its values
/// are not published.
#[tokio::test]
async fn half_a_poll_is_not_published_when_the_program_stops() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (com_port, mut stalled, _serving) = meter_that_stalls_in_a_poll().await;
    let yaml = config(&broker, &com_port, ALL_NAMES)
        .replace("serial_device: {", "serial_device: { timeout: 30,");
    let mut program = Program::start(&yaml);
    subscriber.expect("kamstrup/status", "online").await;
    patiently("the second request", stalled.recv()).await.unwrap();
    program.terminate().await;
    let asked = Instant::now();
    assert_eq!(program.ended().await.code(), Some(0));
    // The timeout of the meter is 30 s. The program has less than 2 s, and a busy machine needs
    // some more.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    subscriber.expect("kamstrup/status", "offline").await;
    let topics = subscriber.all().into_iter().map(|arrived| arrived.topic);
    let of_meter = topics.filter(|topic| {
        let of_program = ["status", "version", "started"].map(|name| format!("kamstrup/{name}"));
        topic.starts_with("kamstrup/") && !of_program.contains(topic)
    });
    assert_eq!(of_meter.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(program.count("Read "), 0);
}
