//! A meter whose optical head is on an ESPHome node.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use testing::esphome::{Node, Setup};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::broker::Broker;
use crate::program::Program;
use crate::subscriber::Subscriber;

/// The key of 32 bytes 7, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A node with a simulated meter at each of its serial ports.
struct Bench {
    address: SocketAddr,
    node: Node,
    serving: JoinSet<()>,
}

async fn bench(setup: Setup, ports: u32) -> Bench {
    let mut serving = JoinSet::new();
    let mut lines = Vec::new();
    for _ in 0..ports {
        let (line, connections) = mpsc::unbounded_channel();
        lines.push(line);
        serving.spawn(async move {
            let registers = Registers::example(EnergyUnit::KilowattHour, 0);
            let (_sender, registers) = watch::channel(registers);
            Simulator::new(registers, Behaviour::default()).serve_each(connections).await;
        });
    }
    let node = Node::new(setup, lines);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = node.clone();
    serving.spawn(async move { served.serve_tcp(listener).await.unwrap() });
    Bench { address, node, serving }
}

fn encrypted() -> Setup {
    Setup { key: Some([7; 32]), ..Setup::default() }
}

/// Two ports of one node are read at the same time; the key is in the address of one meter and a
/// setting of the other one. The log, with every byte, does not contain it.
#[tokio::test]
async fn meters_on_two_ports_of_a_node_are_read() {
    let broker = Broker::start().await;
    for (setup, key) in [(Setup::default(), None), (encrypted(), Some(KEY))] {
        let mut subscriber = Subscriber::connect(broker.port()).await;
        let mut bench = bench(setup, 2).await;
        let address = bench.address;
        let in_address = key.map(|key| format!("key={key}&")).unwrap_or_default();
        let of_its_own = key.map(|key| format!(", key: '{key}'")).unwrap_or_default();
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, topic: node{} }}\n\
             logging: {{ level: DEBUG }}\n\
             meters:\n\
             \x20 - {{ name: one, com_port: 'esphome://{address}/?{in_address}port=0' }}\n\
             \x20 - {{ name: two, com_port: 'esphome://{address}/?port=1'{of_its_own} }}\n",
            broker.port(),
            in_address.len(),
        );
        let mut program = Program::start(&yaml);
        let topics = ["one", "two"].map(|name| format!("node{}/{name}/energy", in_address.len()));
        subscriber
            .until("the values of both meters", |all| {
                topics.iter().all(|topic| all.iter().any(|arrived| arrived.topic == *topic))
            })
            .await;
        program.says("esphome://").await;
        program.terminate().await;
        let log = program.log().join("\n");
        assert!(!log.contains(&KEY[..20]), "{log}");
        for port in bench.node.ports() {
            assert_eq!(port.settings, Some((1200, 8, 0, 2)));
        }
        bench.serving.shutdown().await;
    }
}

/// The program's message about a port, with a fixed address.
async fn said(address: SocketAddr, query: &str, variables: &[(&str, &str)]) -> String {
    let com_port = format!("esphome://{address}{query}");
    let set = [("MQTT_HOST", "127.0.0.1"), ("MQTT_PORT", "1"), ("SERIAL_COM_PORT", &com_port)];
    let program = Program::start_with(&[], &[&set[..], variables].concat());
    let is_it = |line: &String| line.contains(" WARN ") && line.contains("esphome://");
    let found = async {
        loop {
            if let Some(line) = program.log().into_iter().find(is_it) {
                return line;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let line = timeout(Duration::from_secs(60), found).await.unwrap();
    assert!(!line.contains(&KEY[..20]), "{line}");
    let (_, text) = line.split_once(" WARN ").unwrap();
    text.replace(&address.to_string(), "HOST:6053")
}

/// A server that sends this to each client, or closes the connection at once.
async fn other(sends: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if !sends.is_empty() {
                stream.write_all(sends).await.unwrap();
                held.push(stream);
            }
        }
    });
    (address, serving)
}

/// Each trouble is caused for real. The snapshot is the whole text for users.
#[tokio::test]
async fn every_trouble_with_a_node_is_explained() {
    let plain = bench(Setup::default(), 2).await;
    let secret = bench(encrypted(), 1).await;
    let none = bench(Setup::default(), 0).await;
    let old = bench(Setup { version: "2025.12.7".to_owned(), ..Setup::default() }, 0).await;
    let newer = bench(Setup { api_minor: 16, ..Setup::default() }, 1).await;
    // Other clients, which have the ports.
    let settings = meter::transport::SerialSettings::default();
    let mut others = Vec::new();
    for address in [plain.address, newer.address] {
        let endpoint = format!("esphome://{address}").parse().unwrap();
        let meter::transport::Endpoint::Node(port) = endpoint else { panic!() };
        let stream = TcpStream::connect(address).await.unwrap();
        others.push(port.open_over(stream, settings).await.unwrap());
    }
    let (page, _page) = other(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (closed, _closed) = other(b"").await;
    let wrong = [("SERIAL_KEY", "AAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")];
    let texts = tokio::join!(
        said(secret.address, "", &[]),
        said(secret.address, "", &wrong),
        said(plain.address, "", &[("SERIAL_KEY", KEY)]),
        said(none.address, "", &[]),
        said(old.address, "", &[]),
        said(plain.address, "/?port=2", &[]),
        said(plain.address, "", &[]),
        said(newer.address, "", &[]),
        said(page, "", &[]),
        said(closed, "", &[]),
    );
    let texts =
        [texts.0, texts.1, texts.2, texts.3, texts.4, texts.5, texts.6, texts.7, texts.8, texts.9];
    insta::assert_snapshot!("every_trouble_with_a_node", texts.join("\n"));
}
