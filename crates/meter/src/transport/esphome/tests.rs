//! The port of a node against the test node, which ESPHome's own client judges.

use std::time::Duration;

use testing::esphome::{Node, PortState, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::transport::{ModemLine, OpenError, Parity, SerialSettings, StopBits, Stream};

/// The key of 32 bytes 7, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A test node with its lines.
struct Bench {
    node: Node,
    lines: mpsc::UnboundedReceiver<DuplexStream>,
    serving: JoinSet<()>,
}

impl Bench {
    /// A node with this many serial ports.
    fn new(setup: Setup, ports: usize) -> Self {
        let (line, lines) = mpsc::unbounded_channel();
        Self { node: Node::new(setup, vec![line; ports]), lines, serving: JoinSet::new() }
    }

    fn connect(&mut self) -> DuplexStream {
        let (near, far) = duplex(4096);
        let node = self.node.clone();
        self.serving.spawn(async move { drop(node.serve(far).await) });
        near
    }

    async fn open_with(
        &mut self,
        address: &str,
        settings: SerialSettings,
    ) -> Result<Box<dyn Stream>, OpenError> {
        let stream = self.connect();
        let node = NodePort::parse(address).unwrap();
        let opened = node.open_over(stream, settings).await?;
        Ok(Box::new(opened))
    }

    async fn open(&mut self, address: &str) -> Result<Box<dyn Stream>, OpenError> {
        self.open_with(address, SerialSettings::default()).await
    }

    async fn error(&mut self, address: &str) -> NodeError {
        match self.open(address).await {
            Err(OpenError::Node(error)) => error,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{address} opened"),
        }
    }

    fn port(&self) -> PortState {
        self.node.ports()[0].clone()
    }

    /// Waits until the node has seen what was sent.
    async fn settle(&mut self) {
        while self.serving.join_next().await.is_some() {}
    }
}

fn encrypted() -> Setup {
    Setup { key: Some([7; 32]), ..Setup::default() }
}

fn with_key() -> String {
    format!("head/?key={KEY}")
}

/// Each kind of node: its setup and its address.
fn each_kind() -> Vec<(Setup, String)> {
    let mut kinds = Vec::new();
    for api_minor in [14, 16] {
        kinds.push((Setup { api_minor, ..Setup::default() }, "head".to_owned()));
        kinds.push((Setup { api_minor, ..encrypted() }, with_key()));
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_in_both_directions() {
    for (setup, address) in each_kind() {
        let mut bench = Bench::new(setup, 1);
        let mut port = bench.open(&address).await.unwrap();
        let mut line = bench.lines.recv().await.unwrap();
        assert_eq!(bench.port().settings, Some((1200, 8, 0, 2)));
        for length in [1, 9, 256, 3000] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            port.write_all(&bytes).await.unwrap();
            let mut received = vec![0; length];
            line.read_exact(&mut received).await.unwrap();
            assert_eq!(received, bytes);
            // More than a node sends at once.
            let (sent, read) = tokio::join!(line.write_all(&bytes), port.read_exact(&mut received));
            sent.unwrap();
            assert_eq!((read.unwrap(), &received), (length, &bytes));
        }
        let silence = tokio::time::timeout(Duration::from_secs(60), port.read_u8()).await;
        assert!(silence.is_err());
    }
}

/// The next poll gets the port, even if the node has not noticed the end of the connection.
#[tokio::test(start_paused = true)]
async fn a_port_is_given_back_when_it_is_closed() {
    for (setup, address) in each_kind() {
        let mut bench = Bench::new(setup, 1);
        for polls in 1..=3 {
            let port = bench.open(&address).await.unwrap();
            assert!(bench.port().subscriber.is_some());
            drop(port);
            bench.settle().await;
            assert_eq!((bench.port().subscriber, bench.port().given_back), (None, polls));
        }
        let mut port = bench.open(&address).await.unwrap();
        port.shutdown().await.unwrap();
        bench.settle().await;
        assert_eq!(bench.port().given_back, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn the_settings_of_the_line_are_sent() {
    let mut bench = Bench::new(Setup::default(), 2);
    let settings = SerialSettings {
        parity: Parity::Even,
        stop_bits: StopBits::One,
        baud: std::num::NonZeroU32::new(9600).unwrap(),
        ..SerialSettings::default()
    };
    let _port = bench.open_with("head/?port=1", settings).await.unwrap();
    let ports = bench.node.ports();
    assert_eq!((ports[0].settings, ports[1].settings), (None, Some((9600, 8, 1, 1))));
}

/// As on a port of this machine, a head that a modem line powers gets time. A node keeps its lines,
/// so this is necessary once.
#[tokio::test(start_paused = true)]
async fn modem_lines_are_set_where_the_node_has_pins() {
    use ModemLine::{Leave, Lower, Raise};

    const WAITS: Duration = Duration::from_millis(200);
    // The pins, the settings of DTR and RTS, the lines before, those after, and the wait.
    for (pins, dtr, rts, before, after, wait) in [
        (0, Raise, Raise, 0, 0, Duration::ZERO),
        (3, Raise, Raise, 0, 3, WAITS),
        (3, Raise, Raise, 3, 3, Duration::ZERO),
        (2, Raise, Raise, 0, 2, WAITS),
        (3, Raise, Lower, 1, 2, WAITS),
        (3, Lower, Lower, 3, 0, Duration::ZERO),
        (3, Leave, Raise, 2, 3, WAITS),
        (3, Leave, Leave, 1, 1, Duration::ZERO),
    ] {
        for api_minor in [14, 16] {
            let mut bench = Bench::new(Setup { pins, api_minor, ..Setup::default() }, 1);
            let line = |up| if up { Raise } else { Lower };
            let settings = |dtr, rts| SerialSettings { dtr, rts, ..SerialSettings::default() };
            let first = settings(line(before & 2 != 0), line(before & 1 != 0));
            drop(bench.open_with("head", first).await.unwrap());
            bench.settle().await;
            let begun = Instant::now();
            let _port = bench.open_with("head", settings(dtr, rts)).await.unwrap();
            let about = format!("{pins} {dtr:?} {rts:?} {before}");
            assert_eq!((bench.port().line_states, begun.elapsed()), (after, wait), "{about}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_reason_why_a_port_does_not_open_has_its_error() {
    let setup = Setup::default;
    assert_eq!(Bench::new(encrypted(), 1).error("head").await, NodeError::KeyMissing);
    assert_eq!(Bench::new(setup(), 1).error(&with_key()).await, NodeError::KeyUnneeded);
    let other = Setup { key: Some([8; 32]), ..setup() };
    assert_eq!(Bench::new(other, 1).error(&with_key()).await, NodeError::KeyWrong);
    assert_eq!(Bench::new(setup(), 0).error("head").await, NodeError::NoSerialProxy);
    let version = || "2025.12.7".to_owned();
    let old = Setup { version: version(), ..setup() };
    let too_old = NodeError::TooOld { version: version() };
    assert_eq!(Bench::new(old, 0).error("head").await, too_old);
    let instance = 2;
    let error = NodeError::NoSuchPort { instance, count: 2 };
    assert_eq!(Bench::new(setup(), 2).error("head/?port=2").await, error);
    let other = Setup { api_major: 2, ..setup() };
    assert_eq!(Bench::new(other, 1).error("head").await, NodeError::OtherApi { major: 2 });
}

/// A node before ESPHome 2026.9 does not say that another client has the port: it is silent.
#[tokio::test(start_paused = true)]
async fn a_port_in_use_is_an_error_or_silent() {
    for (setup, address) in each_kind() {
        let says_so = setup.api_minor >= 16;
        let mut bench = Bench::new(setup, 2);
        let mut first = bench.open(&address).await.unwrap();
        let mut line = bench.lines.recv().await.unwrap();
        let mut second = if says_so {
            assert_eq!(bench.error(&address).await, NodeError::PortInUse);
            None
        } else {
            Some(bench.open(&address).await.unwrap())
        };
        line.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        if let Some(second) = &mut second {
            second.write_all(b"request").await.unwrap();
            let silence = tokio::time::timeout(Duration::from_secs(60), second.read_u8()).await;
            assert!(silence.is_err());
        }
        // The one without the port does not take it from the other one.
        drop(second);
        assert_eq!(bench.port().given_back, 0);
        // The other port of the node is free.
        let separator = if address.contains('?') { "&" } else { "/?" };
        assert!(bench.open(&format!("{address}{separator}port=1")).await.is_ok());
    }
}

/// What a server that is no such node sends to the client, and the error.
async fn answered(address: &str, sends: Vec<Vec<u8>>, closes: bool) -> NodeError {
    let (near, mut far) = duplex(64 * 1024);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        for bytes in sends {
            let _ = far.read_u8().await;
            let _ = far.write_all(&bytes).await;
        }
        if !closes {
            std::future::pending::<()>().await;
        }
    });
    let node = NodePort::parse(address).unwrap();
    let begun = Instant::now();
    let error = node.open_over(near, SerialSettings::default()).await.err();
    assert!(begun.elapsed() <= Duration::from_secs(5));
    match error {
        Some(OpenError::Node(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_is_not_taken_for_a_node() {
    for address in ["head".to_owned(), with_key()] {
        assert_eq!(answered(&address, vec![], true).await, NodeError::Closed);
        assert_eq!(answered(&address, vec![], false).await, NodeError::Silent);
        for other in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x80\x3F", b"\xFF\xFD\x03", b"a"] {
            let error = answered(&address, vec![other.to_vec()], false).await;
            assert_eq!(error, NodeError::NotANode, "{other:?}");
        }
    }
    // A greeting, and then nothing more.
    let hello = b"\x01\x00\x06\x01head\x00".to_vec();
    assert_eq!(answered(&with_key(), vec![hello.clone()], false).await, NodeError::Silent);
    assert_eq!(answered(&with_key(), vec![hello], true).await, NodeError::Closed);
    // A node before 2026.1 that requires a password: its greeting, and the end.
    let old = vec![0, 33, 2, 8, 1, 16, 10, 26, 27];
    let old = [old, b"heat_head (esphome v2025.2)".to_vec()].concat();
    let error = answered("head", vec![old], true).await;
    assert_eq!(error, NodeError::TooOld { version: "2025.2".to_owned() });
}

/// A node can ask for an answer at any time, and restart at any time.
#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_a_restart_breaks_the_connection() {
    let (near, mut far) = duplex(4096);
    let node = NodePort::parse("head").unwrap();
    let opening = node.open_over(near, SerialSettings::default());
    // HelloResponse of API 1.14, DeviceInfoResponse with one port, and two times PingResponse.
    let serving = async {
        far.write_all(&[0, 4, 2, 8, 1, 16, 14, 0, 3, 10, 0xCA, 1, 0]).await.unwrap();
        far.write_all(&[0, 0, 8, 0, 0, 8]).await.unwrap();
    };
    let (port, ()) = tokio::join!(opening, serving);
    let mut port = port.unwrap();
    let mut sent = vec![0; 4096];
    let count = far.read(&mut sent).await.unwrap();
    assert!(count > 0);
    // A ping, and a byte of the line.
    far.write_all(&[0, 0, 7, 0, 3, 0x8B, 1, 0x12, 1, 0x40]).await.unwrap();
    assert_eq!(port.read_u8().await.unwrap(), 0x40);
    let nothing = tokio::time::timeout(Duration::from_secs(1), port.read_u8()).await;
    assert!(nothing.is_err());
    let count = far.read(&mut sent).await.unwrap();
    assert_eq!(sent[..count], [0, 0, 8]);
    // The node says goodbye before it restarts.
    far.write_all(&[0, 0, 5]).await.unwrap();
    let error = port.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "the node ended the connection");
    let count = far.read(&mut sent).await.unwrap();
    assert_eq!(sent[..count], [0, 0, 6]);
    drop(far);
    let error = port.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "the node closed the connection");
    assert!(port.write_all(&[1]).await.is_err());
}

/// A node that sends pings and reads nothing makes the client hold a few KiB, and then ends the poll.
#[tokio::test(start_paused = true)]
async fn a_node_that_only_sends_is_given_up() {
    let (near, mut far) = duplex(64);
    let mut connection = connection::Connection::new(wire::Wire::plain(near), 0);
    let mut serving = JoinSet::new();
    serving.spawn(async move { while far.write_all(&[0, 0, 7]).await.is_ok() {} });
    let error = connection.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "the node does not read");
}
