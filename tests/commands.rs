//! The commands as processes: their output and exit codes.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use kmp::line::Line;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rumqttc::mqttbytes::v4::{ConnAck, Packet, PubAck, Publish, SubAck, UnsubAck};
use rumqttc::{ConnectReturnCode, QoS, SubscribeReasonCode};
use rust_decimal::Decimal;
use simulator::{Behaviour, EnergyUnit, Logs, Model, Registers, Simulator, SummerStamp};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_serial::SerialStream;

/// The deadline of every wait, far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process inherits what is open while it starts. It would seem to use a pseudo-terminal that
/// another test opens at that moment.
static STARTING: Mutex<()> = Mutex::new(());

fn start(command: &mut Command) -> Child {
    let _alone = STARTING.lock().unwrap();
    command.kill_on_drop(true).spawn().unwrap()
}

fn open_pty() -> (PathBuf, SerialStream) {
    let _alone = STARTING.lock().unwrap();
    Simulator::open_pty().unwrap()
}

/// What a command prints.
async fn output_of(command: &mut Command, patience: Duration) -> Output {
    let child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    tokio::time::timeout(patience, child.wait_with_output()).await.unwrap().unwrap()
}

struct Meter {
    port: String,
    _registers: watch::Sender<Registers>,
    _serving: JoinSet<()>,
}

async fn meter(registers: Registers, behaviour: Behaviour) -> Meter {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let (sender, registers) = watch::channel(registers);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, behaviour).serve_tcp(listener).await.unwrap();
    });
    Meter { port, _registers: sender, _serving: serving }
}

/// A simulated model, with its logs if `has_logs`.
async fn model(model: Model, has_logs: bool) -> Meter {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let energy = model.energy_unit().unwrap();
    let (sender, registers) = watch::channel(Registers::model(model, energy, 0));
    let mut simulator = Simulator::new(registers, Behaviour::default());
    if has_logs {
        let logs = Logs::model(model, energy, SummerStamp::Standard).unwrap();
        simulator = simulator.with_logs(logs);
    }
    let mut serving = JoinSet::new();
    serving.spawn(async move { simulator.serve_tcp(listener).await.unwrap() });
    Meter { port, _registers: sender, _serving: serving }
}

/// Runs it with a folder for the program's state.
async fn run_keeping(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"));
    command.args(arguments).env_clear().env("KAMSTRUP2MQTT_CONTAINER", "false");
    command.env("STATE_DIRECTORY", state).current_dir(state).stdin(Stdio::null());
    output_of(&mut command, PATIENCE).await
}

#[tokio::test]
async fn history_prints_a_log_and_asks_for_nothing_twice() {
    let meter = model(Model::Multical603, true).await;
    let state = TempDir::new().unwrap();
    let history = async |more: &[&str]| {
        let arguments = [&["history", "--port", &meter.port, "--log", "year"][..], more].concat();
        run_keeping(state.path(), &arguments).await
    };
    insta::assert_snapshot!("history", seen(&history(&[]).await, &meter.port));
    let again = history(&["--csv"]).await;
    assert!(String::from_utf8_lossy(&again.stderr).contains("clock of the meter"));
    insta::assert_snapshot!("history_again", seen(&again, &meter.port));
    let json = json(&history(&["--json"]).await);
    assert_eq!((&json["log"], &json["complete"]), (&"year".into(), &true.into()));
    assert_eq!(json["meter"]["serial_number"], "80713078");
    assert!(json["clock_ahead"].is_i64());
    assert_eq!(json["entries"].as_array().unwrap().len(), 3);
    assert_eq!(json["entries"][2]["until"], "2026-01-01T00:00:04");
    let from = history(&["--csv", "--from", "2025-01-01"]).await;
    let lines = String::from_utf8(from.stdout).unwrap().lines().count();
    assert_eq!(lines, 1 + 2);
}

#[tokio::test]
async fn history_says_which_meters_do_not_give_their_log() {
    let (older, silent) =
        tokio::join!(model(Model::Multical402, false), model(Model::Multical403, false));
    let state = TempDir::new().unwrap();
    let arguments = ["history", "--port", &older.port];
    let no_way = run_keeping(state.path(), &arguments).await;
    insta::assert_snapshot!("history_no_way", seen(&no_way, &older.port));
    let arguments = ["history", "--port", &silent.port];
    let not_given = run_keeping(state.path(), &arguments).await;
    insta::assert_snapshot!("history_not_given", seen(&not_given, &silent.port));
    let refused = run_keeping(state.path(), &arguments).await;
    insta::assert_snapshot!("history_refused", seen(&refused, &silent.port));
    let arguments = ["history", "--port", &silent.port, "--again"];
    let asked_again = run_keeping(state.path(), &arguments).await;
    assert_eq!(seen(&asked_again, &silent.port), seen(&not_given, &silent.port));
}

fn row(id: u16, unit: Unit, number: i64, length: u8) -> RegisterValue {
    RegisterValue::from_decimal(RegisterId::new(id), unit, Decimal::from(number), length).unwrap()
}

/// A 403 with a broken sensor. It does not answer requests for one register.
fn troubled() -> Registers {
    let mut registers = Registers::example(EnergyUnit::Gigajoule, 0);
    let rows = [
        row(99, Unit::NUMBER, 16, 2),
        row(87, Unit::CELSIUS, 0, 2),
        row(1001, Unit::NUMBER, 12_345_678, 4),
        row(1010, Unit::NUMBER, 87_654_321, 4),
        row(1002, Unit::CLOCK, 200_243, 4),
        row(1003, Unit::DATE_YYMMDD, 200_229, 4),
        // No register list has this one.
        row(176, Unit::NUMBER, 5, 4),
        row(4000, Unit::NUMBER, 7, 1),
    ];
    for row in rows {
        registers.insert(row);
    }
    registers.silencing.insert(RegisterId::new(96));
    registers
}

async fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"));
    command
        .args(arguments)
        .env_clear()
        // Hints depend on it, wherever the tests run.
        .env("KAMSTRUP2MQTT_CONTAINER", "false")
        .current_dir(folder)
        .stdin(Stdio::null());
    output_of(&mut command, PATIENCE).await
}

async fn run(arguments: &[&str]) -> Output {
    run_in(TempDir::new().unwrap().path(), arguments).await
}

/// Everything that a user sees, with a fixed name for the port.
fn seen(output: &Output, port: &str) -> String {
    let mut seen = format!("exit code {}\n", output.status.code().unwrap());
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = String::from_utf8(bytes.clone()).unwrap().replace(port, "PORT");
        // Only a command that takes long says what it waits for, log lines begin with the time, and
        // the simulated clock shows the same date forever.
        let is_wait = |line: &str| {
            ["Waiting for the ", "Asking the ", "warning: The clock of "]
                .iter()
                .any(|words| line.starts_with(words))
        };
        let lines = text.lines().filter(|line| !is_wait(line));
        let lines = lines.map(|line| line.find(" WARN ").map_or(line, |at| &line[at..]));
        // Which serial ports there are depends on the machine.
        let lines = lines.map(|line| line.split(" The only serial port of ").next().unwrap());
        let lines = lines.map(|line| line.split(" The serial ports of ").next().unwrap());
        let lines: Vec<_> = lines.collect();
        if !lines.is_empty() {
            write!(seen, "--- {name}\n{}\n", lines.join("\n")).unwrap();
        }
    }
    seen
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn read_shows_values_and_what_is_missing() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let port = ["--port", &meter.port];
    let all = run(&["read", "--port", &meter.port]).await;
    insta::assert_snapshot!("read", seen(&all, &meter.port));
    let some = ["read", "ENERGY", "0x003C", "4000", "maxflowDate_m", "infocode", "4001"];
    let some = run(&[&some[..], &port].concat()).await;
    insta::assert_snapshot!("read_some", seen(&some, &meter.port));
    // None of the requested values.
    let nothing = run(&["read", "4001", "--port", &meter.port]).await;
    insta::assert_snapshot!("read_nothing", seen(&nothing, &meter.port));
}

/// A serial server in front of a meter that counts the requests.
async fn counting(meter: &Meter) -> (String, Arc<Mutex<usize>>, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let address = meter.port.strip_prefix("socket://").unwrap().to_owned();
    let requests = Arc::new(Mutex::new(0));
    let (counted, mut serving) = (Arc::clone(&requests), JoinSet::new());
    serving.spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let behind = TcpStream::connect(&address).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_meter, mut to_meter)) =
                (client.into_split(), behind.into_split());
            let answers = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_meter, &mut to_client).await;
            });
            // Each request is written at once.
            let mut request = [0; 256];
            while let Ok(count @ 1..) = from_client.read(&mut request).await {
                *counted.lock().unwrap() += 1;
                let request = request.get(..count).unwrap_or_default();
                to_meter.write_all(request).await.unwrap();
            }
            answers.abort();
        }
    });
    (port, requests, serving)
}

#[tokio::test]
async fn read_requests_no_more_than_it_prints() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let (port, requests, _serving) = counting(&meter).await;
    for (arguments, expected) in [
        (&["energy"][..], 1),
        (&["energy", "volume"], 1),
        (&["--json", "energy"], 1),
        (&["--json", "energy", "volume"], 1),
    ] {
        let output = run(&[&["read", "--port", &port], arguments].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(std::mem::take(&mut *requests.lock().unwrap()), expected, "{arguments:?}");
        if arguments[0] == "--json" {
            let meter = json(&output)["meter"].clone();
            assert_eq!(meter["serial_number"], "12345678");
            assert_eq!((&meter["model"], &meter["type"]), (&().into(), &().into()));
        }
    }
    // This meter reports a fault, whose meaning depends on the model.
    let output = run(&["read", "infocode", "--port", &port]).await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("info code 16: return temperature sensor t2"), "{log}");
    assert!(*requests.lock().unwrap() > 1);
}

#[tokio::test]
async fn a_simulated_meter_reports_a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let refused = run(&["simulate", "--listen", &port]).await;
    insta::assert_snapshot!("simulate_in_use", seen(&refused, &port));
}

#[tokio::test]
async fn read_prints_exact_json() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let names =
        ["read", "--json", "--port", &meter.port, "energy", "temp1", "maxflowdate_y", "temp2"];
    let output = run(&names).await;
    insta::assert_snapshot!("read_json", seen(&output, &meter.port));
    let json = json(&output);
    // 295.01 GJ, one digit finer than the meter counts, as a number.
    assert_eq!(json["values"]["energy"]["value"].to_string(), "81947.2");
    assert_eq!(json["values"]["energy"]["register"], 60);
    assert_eq!(json["values"]["maxflowdate_y"]["value"], "2026-01-08");
    assert_eq!(json["values"].get("temp2"), None);
    assert_eq!(json["missing"]["temp2"]["register"], 87);
    let nothing = run(&["read", "--json", "--port", &meter.port, "4001"]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert_eq!(
        self::json(&nothing)["missing"]["4001"]["reason"],
        "the meter answered without it, so it probably does not have it"
    );
}

#[tokio::test]
async fn read_uses_the_configuration() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let folder = TempDir::new().unwrap();
    let yaml = format!(
        "serial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ parameters: 'energy,tempdiff', units: meter, version: 403 }}\n",
        meter.port
    );
    std::fs::write(folder.path().join("config.yaml"), &yaml).unwrap();
    std::fs::write(folder.path().join("other.yaml"), yaml.replace("energy,", "volume,")).unwrap();
    let found = run_in(folder.path(), &["read"]).await;
    insta::assert_snapshot!("read_configured", seen(&found, &meter.port));
    let named = run_in(folder.path(), &["read", "--config", "other.yaml", "--json"]).await;
    assert_eq!(json(&named)["values"]["volume"]["value"].to_string(), "1917.57");
    assert_eq!(json(&named)["meter"]["model"], "Multical 403");
    // One of several meters, by its name.
    let several = format!(
        "{}meters: [{{ name: barn, com_port: /dev/no-such-port }}, {{ name: House }}]\n",
        yaml.replace("energy,", "volume,")
    );
    std::fs::write(folder.path().join("several.yaml"), several).unwrap();
    let one = ["read", "--config", "several.yaml", "--meter", "house", "--json"];
    let named = run_in(folder.path(), &one).await;
    assert_eq!(json(&named)["values"]["volume"]["value"].to_string(), "1917.57");
}

#[tokio::test]
async fn info_identifies_the_meter() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let output = run(&["info", "--port", &meter.port]).await;
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    // How far the clock is behind depends on the day.
    let clock = text.lines().find(|line| line.starts_with("clock ")).unwrap();
    assert!(clock.contains("2020-02-29 20:02:43, "), "{clock}");
    assert!(clock.ends_with(" behind this computer's"), "{clock}");
    insta::assert_snapshot!("info", text.replace(clock, "clock"));
    let output = run(&["info", "--json", "--port", &meter.port]).await;
    let json = json(&output);
    assert_eq!(json["meter"]["serial_number"], "12345678");
    assert_eq!(json["info_code"], 16);
    assert_eq!(json["info"][0], "return temperature sensor t2 above its range, or disconnected");
    assert_eq!(json["clock"], "2020-02-29T20:02:43");
    assert!(json["clock_ahead_seconds"].as_i64().unwrap() < -100_000_000);
}

#[tokio::test]
async fn scan_finds_what_the_meter_has() {
    let (meter, other) = tokio::join!(
        meter(troubled(), Behaviour::default()),
        meter(troubled(), Behaviour::default())
    );
    let as_text = ["scan", "--port", &meter.port, "--from", "50", "--to", "180"];
    let as_json = ["scan", "--port", &other.port, "--json", "--from", "0x71", "--to", "1010"];
    // Each silence lasts until the timeout.
    let (text, output) = tokio::join!(run(&as_text), run(&as_json));
    insta::assert_snapshot!("scan", seen(&text, &meter.port));
    let json = json(&output);
    assert_eq!((&json["complete"], &json["to"]), (&true.into(), &1010.into()));
    assert_eq!(json["meter"]["serial_number"], "12345678");
    assert_eq!(json["values"]["infoevent"]["value"], 3);
}

#[tokio::test]
async fn a_stopped_scan_prints_what_it_found() {
    // At the speed of the line, 1400 registers take minutes.
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let meter = meter(troubled(), behaviour).await;
    let mut child = start(
        Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
            .args(["scan", "--json", "--from", "60", "--port", &meter.port])
            .env_clear()
            .env("LOG_LEVEL", "DEBUG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    // The first answers have arrived.
    let mut log = child.stderr.take().unwrap();
    let (mut seen, mut buffer) = (String::new(), [0; 1024]);
    // A register that only one answer has is read twice, because that answer may be a late one to
    // another program.
    while seen.matches("from the meter").count() < 5 {
        let count = tokio::time::timeout(PATIENCE, log.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let pid = child.id().unwrap().to_string();
    let mut kill = start(Command::new("kill").args(["-INT", &pid]));
    assert!(kill.wait().await.unwrap().success());
    let _drained = tokio::spawn(async move { log.read_to_string(&mut String::new()).await });
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let json = json(&output);
    assert_eq!(json["complete"], false);
    assert!(json["to"].as_u64().unwrap() < 200);
    assert_eq!(json["values"]["energy"]["register"], 60);
}

/// A serial server in front of a meter. It forwards so many answers and then disappears.
async fn gone_after(meter: &Meter, answers: usize) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let address = meter.port.strip_prefix("socket://").unwrap().to_owned();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut behind = TcpStream::connect(address).await.unwrap();
        for _ in 0..answers {
            // Each request and each answer is written at once and fits into the buffer.
            let (mut request, mut answer) =
                (BytesMut::with_capacity(1024), BytesMut::with_capacity(1024));
            client.read_buf(&mut request).await.unwrap();
            behind.write_all(&request).await.unwrap();
            behind.read_buf(&mut answer).await.unwrap();
            client.write_all(&answer).await.unwrap();
        }
    });
    (port, serving)
}

/// The registers found so far are printed, and where to continue.
#[tokio::test]
async fn a_failed_scan_prints_what_it_found() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let (port, _serving) = gone_after(&meter, 8).await;
    let output = run(&["scan", "--from", "57", "--to", "180", "--port", &port]).await;
    insta::assert_snapshot!("scan_broken_off", seen(&output, &port));
}

/// `--config` means the same on either side of the command.
#[tokio::test]
async fn the_configuration_may_be_named_before_the_command() {
    let meter = meter(troubled(), Behaviour::default()).await;
    let folder = TempDir::new().unwrap();
    // The port is taken, and nobody listens on it.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let page = reserved.local_addr().unwrap();
    let yaml = format!(
        "serial_device: {{ com_port: '{}' }}\nkamstrup: {{ parameters: volume, version: 302 }}\n\
         web: {{ listen: '{}' }}\n",
        meter.port, page
    );
    std::fs::write(folder.path().join("other.yaml"), &yaml).unwrap();
    let run = async |arguments: &[&str]| run_in(folder.path(), arguments).await;
    for before in [&["-c", "other.yaml"][..], &["--config", "other.yaml"]] {
        let read = run(&[before, &["read", "--json"]].concat()).await;
        assert_eq!(json(&read)["values"]["volume"]["value"].to_string(), "1917.57");
        let check = run(&[before, &["check", "--json"]].concat()).await;
        assert_eq!(json(&check)["file"], "other.yaml");
        let [front, behind] = [
            run(&[before, &["registers"]].concat()).await,
            run(&[&["registers"], before].concat()).await,
        ];
        assert_eq!(front, behind);
        assert!(String::from_utf8(front.stdout).unwrap().contains("in a 302?"));
    }
    let mut told = String::new();
    for arguments in [
        &["-c", "other.yaml", "read", "-c", "other.yaml"][..],
        &["-c", "other.yaml", "read", "--port", &meter.port],
        &["-c", "other.yaml", "registers", "--version", "403"],
        &["-c", "other.yaml", "health"],
        &["-c", "othre.yaml", "health"],
        &["-c", "other.yaml", "simulate"],
        &["--listen", "127.0.0.1:0", "check"],
        &["--options", "options.json", "check"],
    ] {
        let seen = seen(&run(arguments).await, &meter.port);
        let command = arguments.join(" ").replace(&meter.port, "PORT");
        write!(told, "$ kamstrup2mqtt {command}\n{seen}\n").unwrap();
    }
    insta::assert_snapshot!("configuration_in_front", told.replace(&page.to_string(), "PAGE"));
}

#[tokio::test]
async fn registers_lists_the_known_registers() {
    let all = run(&["registers", "--json"]).await;
    let count = json(&all).as_array().unwrap().len();
    assert_eq!(count, kmp::register::REGISTERS.len());
    let output = run(&["registers", "--version", "302"]).await;
    insta::assert_snapshot!("registers_302", seen(&output, "PORT"));
    let output = run(&["registers", "--version", "404"]).await;
    insta::assert_snapshot!("registers_404", seen(&output, "PORT"));
}

/// Each error has its own message, and an exit code that says who caused it.
#[tokio::test]
async fn each_error_has_a_message_and_an_exit_code() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let refused = format!("socket://{free}");
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "serial_device: { com_port: COM3 }\n").unwrap();
    let several = "meters: [{ name: house, com_port: /dev/a }, { name: barn, com_port: /dev/b }]\n";
    std::fs::write(folder.path().join("several.yaml"), several).unwrap();
    std::fs::write(folder.path().join("one.yaml"), "serial_device: { com_port: /dev/a }\n")
        .unwrap();
    std::fs::write(folder.path().join("names.yaml"), "energi: 5 kWh\n").unwrap();
    std::fs::write(folder.path().join("units.yaml"), "energy: 5 kwh\n").unwrap();
    let mut told = String::new();
    for arguments in [
        &["read", "--port", &refused][..],
        &["info", "--port", &refused],
        &["scan", "--port", &refused],
        &["read", "--port", "/dev/no-such-port"],
        &["read", "--port", "COM3"],
        &["read", "--port", "/dev/ttyUSB0", "--config", "x.yaml"],
        &["read", "--port", &refused, "enregy"],
        &["read", "--config", "bad.yaml"],
        &["read", "--config", "missing.yaml"],
        &["read"],
        &["read", "--config", "several.yaml"],
        &["read", "--config", "several.yaml", "--meter", "garage"],
        &["read", "--config", "one.yaml", "--meter", "garage"],
        &["read", "--config", "several.yaml", "--meter", "bran"],
        &["check", "--config", "severla.yaml"],
        &["read", "--port", "ttyusb0"],
        &["registers", "--version", "4O3"],
        &["--listen", "localhost:8099"],
        &["health", "--listen", "8099"],
        &["simulate", "--listen", "localhost"],
        &["simulate", "--fault", "nois=5%"],
        &["simulate", "--model", "genric"],
        &["simulate", "--registers", "names.yaml"],
        &["simulate", "--registers", "units.yaml"],
        &["check", "--onlien"],
        &["scan", "--port", &refused, "--from", "9", "--to", "8"],
        &["scan", "--port", &refused, "--to", "65536"],
        &["raed"],
    ] {
        let output = run_in(folder.path(), arguments).await;
        let seen = seen(&output, &refused);
        let command = arguments.join(" ").replace(&refused, "PORT");
        write!(told, "$ kamstrup2mqtt {command}\n{seen}\n").unwrap();
    }
    insta::assert_snapshot!("mistakes", told);
}

/// Wherever the address of a node is given, right or wrong.
#[tokio::test]
async fn no_command_shows_the_key_of_a_node() {
    let key = "hunter2".repeat(7).get(..43).unwrap().to_owned();
    let folder = TempDir::new().unwrap();
    for address in [
        format!("esphome://127.0.0.1:1/?key={key}"),
        format!("esphome://127.0.0.1:0/?key={key}"),
        format!("esphome://127.0.0.1:1/?kye={key}"),
        format!("esphom://127.0.0.1:1/?key={key}"),
        format!("esphome-hass://127.0.0.1:1/?key={key}"),
    ] {
        let with_equals = format!("--prot={address}");
        for arguments in [
            &["find", &address][..],
            &["find", "--json", &address],
            &["read", "--port", &address],
            &["read", "--json", "--port", &address],
            &["read", "--port", "/dev/no-such-port", &address],
            &["info", "--port", &address],
            &["info", &address],
            &["scan", &with_equals],
            &["check", "--config", &address],
            &["--config", &address],
            &["--listen", &address],
            &["simulate", "--registers", &address],
            &[&address],
        ] {
            let output = run_in(folder.path(), arguments).await;
            let all = [&output.stdout[..], &output.stderr].concat();
            let all = String::from_utf8_lossy(&all);
            assert!(!output.status.success() && !all.is_empty(), "{arguments:?}");
            assert!(!all.contains("hunter2"), "{arguments:?}: {all}");
        }
    }
}

#[tokio::test]
async fn help_reads_well() {
    let mut help = String::new();
    for command in ["", "check", "read", "info", "scan", "history", "registers", "simulate"] {
        let arguments: Vec<&str> =
            [command, "--help"].into_iter().filter(|s| !s.is_empty()).collect();
        let output = run(&arguments).await;
        write!(help, "$ kamstrup2mqtt {}\n{}\n", arguments.join(" "), seen(&output, "PORT"))
            .unwrap();
    }
    insta::assert_snapshot!("help", help);
}

/// Two ports at which nobody listens.
fn nobody() -> [String; 2] {
    let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    free.map(|listener| listener.local_addr().unwrap().port().to_string())
}

/// A broker that accepts every client, or rejects every client.
/// Acknowledges every packet and sends back what is retained, until the client disconnects.
async fn accept_everything(mut stream: TcpStream) {
    let mut retained = BTreeMap::new();
    let mut unread = BytesMut::new();
    loop {
        let mut answers = Vec::new();
        while let Ok(packet) = Packet::read(&mut unread, 65_536) {
            match packet {
                Packet::Publish(publish) => {
                    if publish.qos != QoS::AtMostOnce {
                        answers.push(Packet::PubAck(PubAck::new(publish.pkid)));
                    }
                    if publish.retain {
                        retained.insert(publish.topic.clone(), publish);
                    }
                }
                Packet::Subscribe(subscribe) => {
                    let granted = vec![SubscribeReasonCode::Success(QoS::AtMostOnce)];
                    answers.push(Packet::SubAck(SubAck::new(subscribe.pkid, granted)));
                    let filter = subscribe.filters.first().unwrap();
                    let publish = retained.get(&filter.path).cloned();
                    answers.extend(publish.map(|publish: Publish| {
                        Packet::Publish(Publish { qos: QoS::AtMostOnce, ..publish })
                    }));
                }
                Packet::Unsubscribe(left) => {
                    answers.push(Packet::UnsubAck(UnsubAck::new(left.pkid)));
                }
                _ => {}
            }
        }
        let mut bytes = BytesMut::new();
        for answer in answers {
            answer.write(&mut bytes, 65_536).unwrap();
        }
        let written = stream.write_all(&bytes).await;
        if written.is_err() || stream.read_buf(&mut unread).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn broker(answer: ConnectReturnCode) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut greeting = BytesMut::new();
            stream.read_buf(&mut greeting).await.unwrap();
            let mut bytes = BytesMut::new();
            ConnAck::new(answer, false).write(&mut bytes).unwrap();
            stream.write_all(&bytes).await.unwrap();
            accept_everything(stream).await;
        }
    });
    (port, serving)
}

#[tokio::test]
async fn check_shows_settings_and_errors() {
    let folder = TempDir::new().unwrap();
    let write = |yaml: &str| std::fs::write(folder.path().join("home.yaml"), yaml).unwrap();
    let check = async |more: &[&str]| {
        let arguments = ["check", "--config", "home.yaml"];
        run_in(folder.path(), &[&arguments[..], more].concat()).await
    };
    write(
        "mqtt:\n  host: 10.0.0.2\n  username: somebody\n  password: hunter2\n  hosst: x\n\
         serial_device:\n  com_port: /dev/ttyUSB0\n  timeout: 1\n\
         kamstrup:\n  parameters:\n    - energy\n    - power\n",
    );
    // The verdict is last, and names the warnings.
    insta::assert_snapshot!("check_good", seen(&check(&[]).await, "no port"));
    let shown = seen(&check(&["--settings"]).await, "no port");
    insta::assert_snapshot!("check_settings", shown);
    let good = check(&["--json"]).await;
    assert_eq!(good.status.code(), Some(0));
    let (keys, good) = without_defaults_in_json(json(&good));
    let lines = shown.lines().map(|line| line.split("  ").next().unwrap());
    let shown: Vec<&str> = lines.filter(|key| key.contains('.') && !key.contains(' ')).collect();
    assert_eq!(keys, shown);
    insta::assert_json_snapshot!("check_good_json", good);
    write(
        "mqtt: {topic: heat}\nserial_device: {com_port: /dev/ttyUSB0}\n\
         meters:\n  - name: house\n  - {name: garage, com_port: 'socket://10.0.0.3:2003'}\n",
    );
    let several = seen(&check(&["--settings"]).await, "no port");
    insta::assert_snapshot!("check_several", without_defaults(&several));
    // A file has the path of the log's folder.
    write(
        "serial_device: {com_port: /dev/ttyUSB0}\n\
         logging: {destinations: file, directory: home.yaml/logs}\n",
    );
    let said = String::from_utf8(check(&[]).await.stdout).unwrap();
    let expected = "Warnings:\n  - the log file home.yaml/logs/kamstrup2mqtt.log cannot be written: a part of \
                    the path home.yaml/logs is a file, not a directory. Check `directory` and \
                    `filename` in the section `logging`\n\nThe configuration home.yaml is valid, \
                    with 1 warning.\n";
    assert_eq!(said, expected);
    write("mqtt: {port: x, hosst: y}\nkamstrup: {poll_interval: often}\n");
    insta::assert_snapshot!("check_bad", seen(&check(&[]).await, "no port"));
    let bad = check(&["--json"]).await;
    assert_eq!(bad.status.code(), Some(2));
    insta::assert_json_snapshot!("check_bad_json", json(&bad));
}

/// Only what the user has set. One test shows all settings, for a good configuration.
fn without_defaults(seen: &str) -> String {
    let lines = seen.lines().filter(|line| !line.contains("  default  "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same for JSON, and the keys of all settings.
fn without_defaults_in_json(mut json: serde_json::Value) -> (Vec<String>, serde_json::Value) {
    let settings = json.get_mut("settings").unwrap().as_array_mut().unwrap();
    let text =
        |entry: &serde_json::Value, name| entry.get(name).unwrap().as_str().unwrap().to_owned();
    let keys = settings.iter().map(|entry| text(entry, "key")).collect();
    settings.retain(|entry| text(entry, "from") != "default");
    (keys, json)
}

/// What was found, and the verdict.
fn tried(output: &Output, ports: &[(&str, &str)]) -> String {
    let mut seen = seen(output, "no port");
    for (port, name) in ports {
        seen = seen.replace(port, name);
    }
    // The duration varies.
    let lines = seen.lines().map(|line| match line.split_once(" in 0.") {
        Some((before, after)) => format!("{before} in 0.N{}", &after[1..]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn check_online_tries_meters_and_broker() {
    let example = Registers::example(EnergyUnit::Gigajoule, 0);
    let healthy = meter(example, Behaviour::default()).await;
    let meter = meter(troubled(), Behaviour::default()).await;
    let (open, _open) = broker(ConnectReturnCode::Success).await;
    let (closed, _closed) = broker(ConnectReturnCode::BadUserNamePassword).await;
    let [nobody, no_meter] = nobody();
    let (open, closed) = (open.to_string(), closed.to_string());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("home.yaml");
    let check = async |broker: &str, meters: &str, more: &[&str]| {
        let yaml = format!(
            "mqtt: {{host: 127.0.0.1, port: {broker}, username: me, password: hunter2}}\nweb: \
             {{enabled: false}}\n{meters}"
        );
        std::fs::write(&file, yaml).unwrap();
        let arguments = ["check", "--config", "home.yaml", "--online"];
        run_in(folder.path(), &[&arguments[..], more].concat()).await
    };
    let one = |port: &str| {
        format!(
            "serial_device: {{com_port: '{port}'}}\nkamstrup: {{parameters: [energy, power, 4001]}}"
        )
    };
    let ports = [
        (meter.port.as_str(), "METER"),
        (&healthy.port, "HEALTHY"),
        (&open, "OPEN"),
        (&closed, "CLOSED"),
        (&nobody, "NOBODY"),
        (&no_meter, "NOMETER"),
    ];
    let all = check(&open, &one(&healthy.port).replace(", 4001", ""), &[]).await;
    let part = check(&open, &one(&meter.port), &[]).await;
    let odd = one(&meter.port).replace(", 4001]", "], version: 402, parameter: x");
    let odd = check(&closed, &odd, &["--settings"]).await;
    let odd = String::from_utf8(odd.stdout).unwrap();
    let verdict = "The configuration home.yaml is valid, with 1 warning. This does not work: the";
    assert!(
        odd.starts_with("setting ") && odd.lines().last().unwrap().starts_with(verdict),
        "{odd}"
    );
    let nothing = check(&nobody, &one(&format!("socket://127.0.0.1:{no_meter}")), &[]).await;
    let meters = format!(
        "meters:\n  - {{name: house, com_port: '{}', parameters: energy}}\n  - {{name: garage, \
         com_port: /dev/no-such-port}}\n",
        meter.port
    );
    let some = check(&closed, &meters, &[]).await;
    let debug = format!("{}\nlogging: {{level: DEBUG}}", one(&meter.port));
    let debug = check(&closed, &debug, &[]).await;
    assert!(String::from_utf8(debug.stderr.clone()).unwrap().contains("DEBUG"));
    let texts = [&all, &part, &nothing, &some].map(|output| tried(output, &ports));
    insta::assert_snapshot!("check_online", texts.join("\n\n"));
    let found = check(&closed, &meters, &["--json"]).await;
    assert_eq!(found.status.code(), Some(1));
    let works: Vec<_> = json(&found)["online"].as_array().unwrap().clone();
    let works: Vec<_> = works.iter().map(|found| found["works"].as_bool().unwrap()).collect();
    assert_eq!(works, [true, false, false]);
    let written = String::from_utf8(
        [found.stdout, some.stdout, some.stderr, debug.stdout, debug.stderr].concat(),
    )
    .unwrap();
    assert!(!written.contains("hunter2"), "{written}");
}

/// A serial server that accepts connections, with a meter that never answers.
async fn silent_meter() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });
    (port, serving)
}

/// A silent meter keeps a command waiting for a quarter of a minute. It says so long before.
#[tokio::test]
async fn each_command_says_what_it_waits_for() {
    let (port, _meter) = silent_meter().await;
    let (broker, _broker) = silent_meter().await;
    let broker = broker.strip_prefix("socket://127.0.0.1:").unwrap();
    let folder = TempDir::new().unwrap();
    let write = |name: &str, meter: &str| {
        let yaml = format!(
            "mqtt: {{host: 127.0.0.1, port: {broker}}}\nserial_device: {{com_port: '{meter}'}}\nweb: \
             {{enabled: false}}\n"
        );
        std::fs::write(folder.path().join(name), yaml).unwrap();
    };
    write("silent.yaml", &port);
    write("no-meter.yaml", "/dev/no-such-port");
    let meter = format!("Waiting for the meter on {port} to answer; this can take ");
    let broker = format!("Waiting for the broker 127.0.0.1:{broker} to answer.");
    for (arguments, expected) in [
        (&["read", "--port", &port][..], &meter),
        (&["read", "--json", "energy", "--port", &port], &meter),
        (&["info", "--port", &port], &meter),
        (&["scan", "--port", &port], &meter),
        (&["check", "--online", "--config", "silent.yaml"], &meter),
        (&["check", "--online", "--config", "no-meter.yaml"], &broker),
    ] {
        let mut child = start(
            Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
                .args(arguments)
                .env_clear()
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let began = Instant::now();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let first = first.unwrap_or_default();
        assert!(first.starts_with(expected.as_str()), "{arguments:?}: {first}");
        // The whole wait takes three times as long.
        assert!(began.elapsed() < Duration::from_secs(5), "{arguments:?}: {:?}", began.elapsed());
        child.kill().await.unwrap();
    }
}

/// In a container, an address of this machine is that of the container.
#[tokio::test]
async fn a_container_explains_an_address_of_its_own() {
    let [broker, meter] = nobody();
    let folder = TempDir::new().unwrap();
    let yaml = format!(
        "mqtt: {{host: localhost, port: {broker}}}\nserial_device: {{com_port: \
         'socket://localhost:{meter}'}}\nweb: {{enabled: false}}\n"
    );
    std::fs::write(folder.path().join("home.yaml"), yaml).unwrap();
    for (container, explained) in [("true", 2), ("false", 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"));
        command
            .args(["check", "--online", "--config", "home.yaml"])
            .env_clear()
            .env("KAMSTRUP2MQTT_CONTAINER", container)
            .current_dir(folder.path());
        let said = output_of(&mut command, PATIENCE).await.stdout;
        let said = String::from_utf8(said).unwrap();
        let found = said.matches("There, this address is the container itself, unless").count();
        assert_eq!(found, explained, "{said}");
    }
}

/// The far side of a pseudo-terminal. It records what it receives, and answers as told.
struct Far {
    port: PathBuf,
    received: Arc<Mutex<Vec<u8>>>,
    _serving: JoinSet<()>,
}

impl Far {
    fn new(answer: &'static [u8]) -> Self {
        let (port, mut pty) = open_pty();
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let kept = Arc::clone(&received);
        serving.spawn(async move {
            let mut buffer = [0; 64];
            loop {
                // Reading fails while nobody has the other end open.
                match pty.read(&mut buffer).await {
                    Ok(count) if count > 0 => {
                        kept.lock().unwrap().extend_from_slice(buffer.get(..count).unwrap());
                        let _ = pty.write_all(answer).await;
                    }
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        Self { port, received, _serving: serving }
    }

    fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

/// A made-up USB stick at a port: its terminal, its ids, its maker and its name.
fn plug_in(root: &Path, port: &Path, (tty, ids, maker, name): (&str, [&str; 2], &str, &str)) {
    let usb = root.join(format!("sys/devices/usb1/{tty}-usb"));
    let device = usb.join("1:1.0").join(tty);
    for folder in [&device, &root.join("sys/bus/usb-serial"), &root.join("dev/serial/by-id")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::create_dir_all(root.join("sys/class/tty").join(tty)).unwrap();
    let [vendor, product] = ids;
    let files = [("idVendor", vendor), ("idProduct", product)];
    for (file, text) in files.into_iter().chain([("manufacturer", maker), ("product", name)]) {
        std::fs::write(usb.join(file), format!("{text}\n")).unwrap();
    }
    symlink(root.join("sys/bus/usb-serial"), device.join("subsystem")).unwrap();
    symlink(device, root.join("sys/class/tty").join(tty).join("device")).unwrap();
    symlink(port, root.join("dev").join(tty)).unwrap();
    let by_id = format!("usb-{}-if00-port0", name.replace(' ', "_"));
    symlink(port, root.join("dev/serial/by-id").join(by_id)).unwrap();
}

/// A meter, silence and noise are told apart. Nothing is written to a port that another process
/// has open, to that of a configured meter, or to a Zigbee stick.
#[tokio::test]
async fn find_asks_only_ports_that_may_have_a_head() {
    let (meter, pty) = open_pty();
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let (_sender, registers) = watch::channel(registers);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, Behaviour::default()).serve_pty(pty).await;
    });
    let [silent, held, stick, configured] = [(); 4].map(|()| Far::new(b""));
    let noisy = Far::new(&[0xF8, 0x00, 0x78, 0xF8]);
    // This process is another one than the command.
    let _holder = std::fs::File::open(&held.port).unwrap();
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let cp2102 = ["10c4", "ea60"];
    for (port, device) in [
        (&meter, ("ttyUSB0", cp2102, "Silicon Labs", "CP2102 USB to UART Bridge Controller")),
        (&silent.port, ("ttyUSB1", ["1a86", "7523"], "QinHeng", "USB Serial")),
        (&noisy.port, ("ttyUSB2", ["0403", "6001"], "FTDI", "FT232R USB UART")),
        (&held.port, ("ttyUSB3", ["0403", "6001"], "FTDI", "TTL232R-3V3")),
        (&stick.port, ("ttyUSB4", cp2102, "ITead", "Sonoff Zigbee 3.0 USB Dongle Plus")),
        (&configured.port, ("ttyUSB5", ["067b", "2303"], "Prolific", "USB-Serial Controller")),
    ] {
        plug_in(&root, port, device);
    }
    symlink("/proc", root.join("proc")).unwrap();
    let config = root.join("config.yaml");
    let port = root.join("dev/ttyUSB5");
    std::fs::write(&config, format!("serial_device: {{com_port: {}}}\n", port.display())).unwrap();
    let find = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"));
        command
            .arg("find")
            .args(arguments)
            .env_clear()
            .env("KAMSTRUP2MQTT_ROOT", &root)
            .current_dir(&root)
            .stdin(Stdio::null());
        let output = output_of(&mut command, PATIENCE * 2).await;
        // The widths of columns depend on the length of the path.
        let words = seen(&output, root.to_str().unwrap());
        let words = words.lines().map(|line| line.split("  ").filter(|it| !it.is_empty()));
        let words: Vec<_> = words.map(|cells| cells.map(str::trim).collect::<Vec<_>>()).collect();
        let words: Vec<_> = words.iter().map(|cells| cells.join(" | ")).collect();
        (words.join("\n").replace("PORT", "ROOT"), output)
    };

    // Nobody has confirmed it.
    let (refused, _) = find(&[]).await;
    insta::assert_snapshot!("find_unconfirmed", refused);
    let listed = json(&find(&["--json"]).await.1);
    assert_eq!(listed["ports"].as_array().unwrap().len(), 6);
    for port in listed["ports"].as_array().unwrap() {
        assert_eq!(port["found"], serde_json::Value::Null, "{port}");
    }
    for far in [&silent, &noisy, &held, &stick, &configured] {
        assert!(far.received().is_empty(), "{}: {:?}", far.port.display(), far.received());
    }

    let (found, _) = find(&["--yes"]).await;
    insta::assert_snapshot!("find", found);
    for far in [&held, &stick, &configured] {
        assert!(far.received().is_empty(), "{}: {:?}", far.port.display(), far.received());
    }
    // `GetSerialNo` (5512-447 M1 p.17).
    let request = [0x80, 0x3F, 0x02, 0x35, 0xE9, 0x0D];
    for far in [&silent, &noisy] {
        assert!(far.received().starts_with(&request), "{:?}", far.received());
    }

    // A user may name a port that is known as something else, but not one that is in use.
    let named = [&meter, &held.port].map(|port| port.to_str().unwrap());
    let json = json(&find(&[&["--yes", "--json"][..], &named].concat()).await.1);
    let [first, second] = [0, 1].map(|number| &json["ports"][number]);
    assert_eq!(first["found"]["result"], "meter", "{json}");
    assert_eq!(first["left_out"], serde_json::Value::Null);
    assert_eq!(second["left_out"], "another program is using it");
    assert!(held.received().is_empty(), "{:?}", held.received());
    let (refused, _) = find(&["--yes", "socket://10.0.0.3:2003"]).await;
    insta::assert_snapshot!("find_server", refused);
}

/// Nobody but the user can know where Home Assistant is, and which readings are meant.
#[tokio::test]
async fn statistics_says_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    let write = |lines: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/a}}\nhomeassistant: {{{lines}}}\n");
        std::fs::write(folder.path().join("home.yaml"), yaml).unwrap();
    };
    let arguments = ["statistics", "--config", "home.yaml", "--file", "history.db"];
    for (lines, expected) in [
        ("url: 'http://127.0.0.1:9'", "set `homeassistant.url` and `homeassistant.token`"),
        ("url: 'http://127.0.0.1:9', token: a-secret-token", "no readings in history.db"),
    ] {
        write(lines);
        let output = run_in(folder.path(), &arguments).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    std::fs::write(folder.path().join("history.db"), "").unwrap();
    let output = run_in(folder.path(), &arguments).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let refused =
        "cannot connect to Home Assistant at http://127.0.0.1:9: the connection was refused";
    assert!(said.contains(refused) && !said.contains("a-secret-token"), "{said}");
    let undone = run_in(folder.path(), &[&arguments[..], &["--undo"]].concat()).await;
    assert_eq!(String::from_utf8(undone.stdout).unwrap(), "There is nothing to undo.\n");
}
