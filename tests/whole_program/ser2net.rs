//! The recipe for ser2net in `docs/heads.md`, with a real ser2net in front of the simulated meter.
//!
//! `cargo test` ignores these tests. `.ci/run` installs ser2net and runs them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use simulator::{EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::broker::{Broker, own_port};
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{OPTICAL, config, is_value, meter_on_pty, patiently};

struct Ser2net {
    com_port: String,
    _folder: TempDir,
    _process: Child,
}

impl Ser2net {
    /// Starts the recipe of the documentation with this in front of `tcp`.
    async fn start(device: &str, telnet: &str) -> Self {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/heads.md");
        let page = std::fs::read_to_string(page).unwrap();
        let recipe = page.split("```yaml\n").find(|block| block.starts_with("%YAML")).unwrap();
        let recipe = recipe.split("```").next().unwrap();
        let port = own_port().await;
        let accepter = format!("accepter: {telnet}tcp,127.0.0.1,{port}");
        assert!(recipe.contains("accepter: tcp,2003\n") && recipe.contains("/dev/ttyUSB0"));
        let recipe =
            recipe.replace("accepter: tcp,2003", &accepter).replace("/dev/ttyUSB0", device);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("ser2net.yaml");
        std::fs::write(&path, recipe).unwrap();
        let process = Command::new("ser2net")
            // In the foreground, without lock files in /var/lock.
            .args(["-n", "-u", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        patiently("ser2net listens", async {
            // A connection would open the serial port.
            let address = format!("0100007F:{port:04X} 00000000:0000 0A");
            while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&address) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let com_port = format!("socket://127.0.0.1:{port}");
        Self { com_port, _folder: folder, _process: process }
    }
}

/// An FF in the value of `volume`.
fn with_ff() -> Registers {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let volume = Decimal::new(0x00FF_01FF, 2);
    let id = RegisterId::new(68);
    registers.insert(RegisterValue::from_decimal(id, Unit::CUBIC_METRE, volume, 4).unwrap());
    registers
}

#[tokio::test]
#[ignore = "needs ser2net"]
async fn the_recipe_for_ser2net_reads_every_value() {
    let meter = meter_on_pty(with_ff(), OPTICAL);
    let server = Ser2net::start(&meter.com_port, "").await;
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let program = Program::start(&config(&broker, &server.com_port, "energy,volume,temp1"));
    subscriber.expect_times("kamstrup/volume", "167121.91", 2).await;
    subscriber.expect_times("kamstrup/energy", "81947", 2).await;
    let log = program.log();
    assert!(!log.iter().any(|line| line.contains("telnet") || line.contains("WARN")), "{log:#?}");
}

/// The value that telnet changes is not published, and the log says what to do.
#[tokio::test]
#[ignore = "needs ser2net"]
async fn ser2net_in_telnet_mode_is_reported() {
    for telnet in ["telnet,", "telnet(rfc2217),"] {
        let meter = meter_on_pty(with_ff(), OPTICAL);
        let server = Ser2net::start(&meter.com_port, telnet).await;
        let broker = Broker::start().await;
        let mut subscriber = Subscriber::connect(broker.port()).await;
        let mut program = Program::start(&config(&broker, &server.com_port, "energy,volume,temp1"));
        let message = program.says_within("is in telnet mode", Duration::from_secs(90)).await;
        assert!(message.contains("accepter: tcp,PORT"), "{message}");
        // What the poll has published is there.
        let is_there = |all: &[Arrived]| all.iter().any(|it| it.topic == "kamstrup/connection");
        subscriber.until("the state of the connection", is_there).await;
        let published = subscriber.all();
        let wrong = published
            .iter()
            .find(|arrived| is_value(&arrived.topic) && arrived.topic.ends_with("/volume"));
        assert!(wrong.is_none(), "{wrong:?}");
    }
}
