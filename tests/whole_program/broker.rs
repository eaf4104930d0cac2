//! A real broker, as a process that can be killed: the embedded one of the examples, or Mosquitto
//! with `KAMSTRUP2MQTT_TEST_BROKER=mosquitto`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::patiently;

pub(crate) struct Broker {
    address: SocketAddr,
    process: Child,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        // A broker cannot report which free port it chose.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, own_port().await));
        Self { address, process: launch(address).await }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// On the same port, with nothing retained.
    pub(crate) async fn restart(&mut self) {
        self.process = launch(self.address).await;
    }
}

/// A free port that no other test here uses. It is below the range from which the system chooses
/// (32768 and above), because the system may give out such a port again as soon as it is free.
pub(crate) async fn own_port() -> u16 {
    const PORTS: u32 = 15_000;
    static COUNT: AtomicU32 = AtomicU32::new(0);

    loop {
        // Test processes in parallel begin at different places.
        let place = COUNT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 100;
        let port = 15_000 + u16::try_from(place % PORTS).unwrap();
        // Not by listening: a process that another test starts at this moment would have a copy of
        // the socket, and the port would stay taken until that program runs.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            return port;
        }
    }
}

async fn launch(address: SocketAddr) -> Child {
    let port = address.port();
    let mut command = match std::env::var("KAMSTRUP2MQTT_TEST_BROKER").as_deref() {
        Ok("mosquitto") => {
            // Without a configuration, Mosquitto listens on loopback and accepts every client.
            let mut command = Command::new("mosquitto");
            command.args(["-p", &port.to_string()]);
            command
        }
        Ok(other) => panic!("KAMSTRUP2MQTT_TEST_BROKER is `{other}`, accepted: `mosquitto`"),
        Err(_) => {
            let mut command = Command::new(example("broker"));
            command.arg(port.to_string());
            command
        }
    };
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut spawn = || {
        let process = command.spawn();
        process.unwrap_or_else(|e| panic!("{}: {e}", command.as_std().get_program().display()))
    };
    let listening = async {
        let mut process = spawn();
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            // Another connection may use the port for a moment.
            if process.try_wait().unwrap().is_some() {
                process = spawn();
            }
        }
        process
    };
    patiently("the broker listens", listening).await
}

/// `cargo test` builds the examples next to the binary.
fn example(name: &str) -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_kamstrup2mqtt"));
    let path = binary.parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples`", path.display());
    path
}
