//! The real binary between a simulated meter and a real broker.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends with a panic"
)]

mod addon;
mod broker;
mod certificates;
mod encrypted;
mod esphome;
mod exchange;
mod history;
mod home;
mod limited;
mod logs;
mod mosquitto;
mod options;
mod page;
mod ports;
mod program;
mod reload;
mod rsyslog;
#[path = "../rules/supervisor.rs"]
mod rules;
mod ser2net;
mod setup;
mod several;
mod simulate;
mod stalls;
mod subscriber;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kmp::line::Line;
use logging::LocalTime;
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::{Broker, own_port};
use crate::program::Program;
use crate::subscriber::Subscriber;

/// The deadline of every wait, far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited for: {what}"))
}

/// A simulated meter in this process.
struct Meter {
    com_port: String,
    /// Its content, which a test can change.
    registers: watch::Sender<Registers>,
    _serving: JoinSet<()>,
}

async fn meter_on_tcp(registers: Registers, behaviour: Behaviour) -> Meter {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let (sender, registers) = watch::channel(registers);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, behaviour).serve_tcp(listener).await.unwrap();
    });
    Meter { com_port, registers: sender, _serving: serving }
}

/// The simulator's example, set to kWh and without delay.
async fn example_meter() -> Meter {
    meter_on_tcp(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default()).await
}

fn meter_on_pty(registers: Registers, behaviour: Behaviour) -> Meter {
    let (path, pty) = Simulator::open_pty().unwrap();
    let (sender, registers) = watch::channel(registers);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, behaviour).serve_pty(pty).await;
    });
    let com_port = path.to_str().unwrap().to_owned();
    Meter { com_port, registers: sender, _serving: serving }
}

/// The sample file of the older Python program, unchanged except for the addresses and a shorter
/// interval.
fn sample(broker: &Broker, com_port: &str) -> String {
    let sample = include_str!("sample.yaml");
    assert!(sample.contains("poll_interval: 5 ") && sample.contains("host: 192.168.1.100\n"));
    sample
        .replace("host: 192.168.1.100", "host: 127.0.0.1")
        .replace("port: 1883", &format!("port: {}", broker.port()))
        .replace("socket://192.168.1.50:2003", com_port)
        .replace("poll_interval: 5 ", "poll_interval: 0.02 ")
}

/// The topics besides the values: how reading goes, and the poll as one object.
const OTHER_TOPICS: [&str; 9] = [
    "connection",
    "failed_reads",
    "info",
    "last_read",
    "problem",
    "read_duration",
    "reading",
    "started",
    "version",
];

/// Whether a topic is that of a value or the status.
fn is_value(topic: &str) -> bool {
    let name = topic.rsplit('/').next().unwrap_or_default();
    !topic.starts_with("homeassistant/") && !OTHER_TOPICS.contains(&name)
}

/// A short configuration for these parameters.
fn config(broker: &Broker, com_port: &str, parameters: &str) -> String {
    format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: '{com_port}' }}\n\
         kamstrup: {{ version: 402, poll_interval: 0.02, parameters: '{parameters}' }}\n",
        broker.port()
    )
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(topic, text)| ((*topic).to_owned(), (*text).to_owned())).collect()
}

/// The discovery messages of values; diagnostics do not expire.
fn of_values(discovery: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let discovery = discovery.into_iter();
    discovery.filter(|(_, payload)| payload.contains("\"expire_after\"")).collect()
}

const OPTICAL: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

/// The sample against `kamstrup2mqtt simulate`.
async fn sample_gives(energy_unit: &str, energy: &str) {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let arguments = ["simulate", "--listen", "127.0.0.1:0", "--energy-unit", energy_unit];
    let mut simulator = Program::start_with(&arguments, &[]);
    let line = simulator.says("A simulated meter answers at ").await;
    let com_port = line.rsplit(' ').next().unwrap();
    let mut program = Program::start(&sample(&broker, com_port));
    // After two polls, any other message would have arrived.
    subscriber.expect_times("kamstrup/volume", "1917.57", 2).await;
    let asked = tokio::time::Instant::now();
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "no request was in flight");
    subscriber.expect("kamstrup/status", "offline").await;

    let (discovery, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        subscriber.last().into_iter().partition(|(topic, _)| topic.starts_with("homeassistant/"));
    let expected = texts(&[
        ("kamstrup/energy", energy),
        ("kamstrup/power", "6400"),
        ("kamstrup/status", "offline"),
        ("kamstrup/temp1", "67.25"),
        ("kamstrup/temp2", "26.91"),
        ("kamstrup/volume", "1917.57"),
    ]);
    let (values, beside): (BTreeMap<_, _>, BTreeMap<_, _>) =
        others.into_iter().partition(|(topic, _)| is_value(topic));
    assert_eq!(values, expected);
    let beside: Vec<_> = beside.keys().map(|topic| topic.rsplit('/').next().unwrap()).collect();
    // This meter has no info code.
    let without_code = OTHER_TOPICS.into_iter().filter(|name| !["info", "problem"].contains(name));
    assert_eq!(beside, without_code.collect::<Vec<_>>());
    let kept = discovery.len() + 1;
    let discovery = of_values(discovery);
    let topics: Vec<_> = discovery.keys().map(String::as_str).collect();
    let expected = ["energy", "power", "temp1", "temp2", "volume"]
        .map(|name| format!("homeassistant/sensor/kamstrup_{name}/config"));
    assert_eq!(topics, expected);
    for (topic, payload) in &discovery {
        let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
        let name = topic.split('/').nth(2).unwrap();
        insta::assert_json_snapshot!(format!("discovery_{name}"), payload);
    }
    for arrived in subscriber.all() {
        if arrived.topic == "kamstrup/status" || arrived.topic.starts_with("homeassistant/") {
            assert_eq!(arrived.qos, 1, "{arrived:?}");
        }
    }

    // What the broker keeps for later subscribers.
    let mut later = Subscriber::connect(broker.port()).await;
    later.until("discovery and status", |all| all.len() >= kept).await;
    let all: Vec<_> = later.all();
    assert!(all.iter().all(|arrived| arrived.retained), "{all:?}");
    let last: BTreeMap<_, _> = later.last();
    assert_eq!(last.len(), kept, "{last:?}");
    assert_eq!(last.get("kamstrup/status").map(String::as_str), Some("offline"));
}

#[tokio::test]
async fn the_sample_with_a_meter_set_to_kilowatt_hours() {
    sample_gives("kWh", "81947").await;
}

#[tokio::test]
async fn the_sample_with_a_meter_set_to_megawatt_hours() {
    sample_gives("MWh", "81947").await;
}

#[tokio::test]
async fn the_sample_with_a_meter_set_to_gigajoules() {
    sample_gives("GJ", "81947.2").await;
}

/// Registers whose frames have every stuffed byte, every length and many exponents.
const TRICKY: &str = "
tempdiff: -0.82 K in 2 bytes
volume: 453844747 m³          # 0x1B0D2A0B
energy: 104528968.0 kWh       # 0x3E4DF8D0
flow: 6 l/h in 1 byte         # 0x06
power: 640 kW in 4 bytes
temp1: 71.61 °C in 2 bytes    # 0x1BF9
temp2: 128.64 °C in 2 bytes   # 0x3240
hourcounter: 1085097435 h     # 0x40AD3DDB
infoevent: 13 in 1 byte       # 0x0D
4000: 27 in 1 byte            # 0x1B
4001: 64 in 1 byte            # 0x40
4002: 128 in 1 byte           # 0x80
4003: 2148204123 in 4 bytes   # 0x800B0E5B
5000: 120e-3 kWh
5001: 120e-2 kWh
5002: 120e-1 kWh
5003: 120 kWh
5004: 120e1 kWh
5005: 120e2 kWh
5006: 120e3 kWh
maxflowDate_m: 2026-01-31
";

fn tricky_values() -> BTreeMap<String, String> {
    texts(&[
        ("kamstrup/0x1388", "0.12"),
        ("kamstrup/4000", "27"),
        ("kamstrup/4001", "64"),
        ("kamstrup/4002", "128"),
        ("kamstrup/4003", "2148204123"),
        ("kamstrup/5001", "1.2"),
        ("kamstrup/5002", "12"),
        ("kamstrup/5003", "120"),
        ("kamstrup/5004", "1200"),
        ("kamstrup/5005", "12000"),
        ("kamstrup/5006", "120000"),
        ("kamstrup/energy", "104528968"),
        ("kamstrup/flow", "0.006"),
        ("kamstrup/hourcounter", "1085097435"),
        ("kamstrup/infoevent", "13"),
        ("kamstrup/maxflowdate_m", "2026-01-31"),
        ("kamstrup/power", "640000"),
        ("kamstrup/temp1", "71.61"),
        ("kamstrup/temp2", "128.64"),
        ("kamstrup/tempdiff", "-0.82"),
        ("kamstrup/volume", "453844747"),
    ])
}

const TRICKY_PARAMETERS: &str = "ENERGY,volume,power,flow,temp1,temp2,tempdiff,hourcounter,\
     infoevent,MAXFLOWDATE_M,4000,4001,4002,4003,0x1388,5001,5002,5003,5004,5005,5006";

async fn tricky_values_are_exact(broker: &Broker, com_port: &str) {
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let _program = Program::start(&config(broker, com_port, TRICKY_PARAMETERS));
    let expected = tricky_values();
    let values = |last: BTreeMap<String, String>| {
        let wanted = |topic: &String| is_value(topic) && topic != "kamstrup/status";
        last.into_iter().filter(|(topic, _)| wanted(topic)).collect::<BTreeMap<_, _>>()
    };
    let last = |all: &[subscriber::Arrived]| {
        all.iter().map(|a| (a.topic.clone(), a.payload.clone())).collect::<BTreeMap<_, _>>()
    };
    subscriber.until("all values", |all| values(last(all)).len() >= expected.len()).await;
    assert_eq!(values(subscriber.last()), expected);
    // Unique ids and topics keep the older program's spelling.
    let topic = "homeassistant/sensor/kamstrup_maxflowDate_m/config";
    let entity: serde_json::Value = serde_json::from_str(&subscriber.last()[topic]).unwrap();
    assert_eq!(entity["unique_id"], "kamstrup_maxflowDate_m");
    assert_eq!(entity["state_topic"], "kamstrup/maxflowdate_m");
}

#[tokio::test]
async fn every_byte_length_and_exponent_comes_out_exact() {
    let broker = Broker::start().await;
    let meter = meter_on_tcp(Registers::from_yaml(TRICKY).unwrap(), Behaviour::default()).await;
    tricky_values_are_exact(&broker, &meter.com_port).await;
}

#[tokio::test]
async fn the_same_over_a_pseudo_terminal_at_1200_baud() {
    let broker = Broker::start().await;
    let meter = meter_on_pty(Registers::from_yaml(TRICKY).unwrap(), OPTICAL);
    tricky_values_are_exact(&broker, &meter.com_port).await;
}

#[tokio::test]
async fn the_same_through_a_head_that_echoes() {
    let broker = Broker::start().await;
    let behaviour = Behaviour { echo: true, ..OPTICAL };
    let meter = meter_on_tcp(Registers::from_yaml(TRICKY).unwrap(), behaviour).await;
    tricky_values_are_exact(&broker, &meter.com_port).await;
}

/// All names of the older program, in its spelling.
const ALL_NAMES: &str = "energy,volume,flow,power,temp1,temp2,tempdiff,temp1xm3,temp2xm3,infoevent,\
     maxflowdate_y,maxflow_y,minflowdate_y,minflow_y,maxpowerdate_y,maxpower_y,minpowerdate_y,\
     minpower_y,maxflowDate_m,maxflow_m,minflowDate_m,minflow_m,maxpowerdate_m,maxpower_m,\
     minpowerdate_m,minpower_m,avgtemp1_y,avgtemp2_y,avgtemp1_m,avgtemp2_m,e1highres,hourcounter";

#[tokio::test]
async fn all_names_in_upper_case_and_by_variable() {
    let broker = Broker::start().await;
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = meter_on_pty(registers, Behaviour::default());
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let variables = [
        ("MQTT_HOST", "localhost"),
        ("MQTT_PORT", &broker.port().to_string()),
        ("MQTT_CLIENT", "another"),
        ("MQTT_TOPIC", "heat/cellar"),
        ("MQTT_QOS", "2"),
        ("MQTT_RETAIN", "yes"),
        ("SERIAL_COM_PORT", &meter.com_port),
        ("KAMSTRUP_PARAMETERS", &ALL_NAMES.to_uppercase()),
        ("KAMSTRUP_POLL_INTERVAL", "60"),
        ("KAMSTRUP_VERSION", "403"),
        ("LOG_LEVEL", "warning"),
    ];
    let mut program = Program::start_with(&[], &variables);
    subscriber
        .until("all values", |all| all.iter().filter(|a| is_value(&a.topic)).count() == 33)
        .await;
    let (discovery, values): (BTreeMap<_, _>, BTreeMap<_, _>) =
        subscriber.last().into_iter().partition(|(topic, _)| topic.starts_with("homeassistant/"));
    let values: BTreeMap<_, _> = values.into_iter().filter(|(topic, _)| is_value(topic)).collect();
    insta::assert_debug_snapshot!("all_values", values);
    let ids: Vec<_> = ALL_NAMES.split(',').map(|name| format!("kamstrup_{name}")).collect();
    for id in &ids {
        let topic = format!("homeassistant/sensor/{id}/config");
        let entity: serde_json::Value = serde_json::from_str(&discovery[&topic]).unwrap();
        assert_eq!(&entity["unique_id"], id);
        assert_eq!(entity["device"]["model"], "Multical 403");
    }
    assert_eq!(of_values(discovery).len(), ids.len());
    // With `retain`, a later subscriber gets the values.
    let mut later = Subscriber::connect(broker.port()).await;
    later.expect("heat/cellar/energy", "81947").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert_eq!(program.log(), [""; 0], "nothing to warn of");
}

#[tokio::test]
async fn the_meters_own_units_are_announced_when_they_are_known() {
    let broker = Broker::start().await;
    let registers = Registers::example(EnergyUnit::Gigajoule, 0);
    let meter = meter_on_tcp(registers, Behaviour::default()).await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy,flow,tempdiff")
        .replace("kamstrup: {", "kamstrup: { units: meter,");
    let _program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "295.01").await;
    subscriber.expect("kamstrup/flow", "128").await;
    subscriber.expect("kamstrup/tempdiff", "40.34").await;
    let unit = |name: &str| {
        let topic = format!("homeassistant/sensor/kamstrup_{name}/config");
        let entity: serde_json::Value = serde_json::from_str(&subscriber.last()[&topic]).unwrap();
        entity["unit_of_measurement"].as_str().unwrap().to_owned()
    };
    assert_eq!(["energy", "flow", "tempdiff"].map(unit), ["GJ", "L/h", "K"]);
    // The discovery message arrives before the value.
    let topics: Vec<_> = subscriber.all().into_iter().map(|arrived| arrived.topic).collect();
    let place = |topic: &str| topics.iter().position(|t| t == topic).unwrap();
    assert!(place("homeassistant/sensor/kamstrup_energy/config") < place("kamstrup/energy"));
}

/// The schedule follows the wall clock: after the first poll at :00, :05, :10 and so on.
#[tokio::test]
async fn polls_follow_the_wall_clock() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy").replace("0.02", "5s");
    // Start it between two times of the schedule.
    let now = LocalTime::now();
    let into = u64::try_from(i64::from(now.second() % 5) * 1000 + i64::from(now.millisecond()));
    let wait = (2_500 + 5_000 - into.unwrap()) % 5_000;
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let _program = Program::start(&yaml);
    subscriber.expect_times("kamstrup/energy", "81947", 3).await;
    let reads = subscriber.all().into_iter().filter(|a| a.topic == "kamstrup/last_read");
    for read in reads.skip(1) {
        // `2026-11-23T15:17:25+01:00`. A poll takes a moment, and longer on a busy machine.
        let second: u32 = read.payload[17..19].parse().unwrap();
        assert!(second % 5 < 2, "{}", read.payload);
    }
}

#[tokio::test]
async fn a_register_that_the_meter_does_not_have_costs_only_itself() {
    let broker = Broker::start().await;
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    registers.values.retain(|id, _| id.get() != 80);
    let meter = meter_on_tcp(registers, Behaviour::default()).await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&config(&broker, &meter.com_port, "energy,power,volume"));
    subscriber.expect_times("kamstrup/volume", "1917.57", 3).await;
    subscriber.expect("kamstrup/energy", "81947").await;
    assert!(!subscriber.last().contains_key("kamstrup/power"));
    program.says("`power` (register 80) is not published: this meter does not have it.").await;
    program.says("Read 2 of 3 values").await;
    assert_eq!(program.count("does not have it"), 1);
}

#[tokio::test]
async fn publishing_resumes_after_the_broker_was_killed() {
    let mut broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&sample(&broker, &meter.com_port));
    subscriber.expect("kamstrup/energy", "81947").await;
    drop(subscriber);

    broker.kill().await;
    program.says("No connection to the broker").await;
    broker.restart().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.expect("kamstrup/status", "online").await;
    subscriber.expect_times("kamstrup/energy", "81947", 2).await;
    let mut discovery = subscriber.last();
    discovery.retain(|topic, _| topic.starts_with("homeassistant/"));
    assert_eq!(of_values(discovery).len(), 5);
    program.says("again after").await;
    assert!(program.runs());
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn the_broker_starts_after_the_program() {
    let mut broker = Broker::start().await;
    broker.kill().await;
    let meter = example_meter().await;
    let mut program = Program::start(&sample(&broker, &meter.com_port));
    program.says("nothing is listening on this port").await;
    program.says("Read 5 of 5 values").await;
    broker.restart().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.expect("kamstrup/status", "online").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    assert_eq!(program.count("No connection to the broker"), 1);
}

#[tokio::test]
async fn the_program_stops_without_a_broker() {
    let mut broker = Broker::start().await;
    broker.kill().await;
    let meter = example_meter().await;
    let mut program = Program::start(&sample(&broker, &meter.com_port));
    program.says("nothing is listening on this port").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_last_will_is_published_when_the_program_is_killed() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&sample(&broker, &meter.com_port));
    subscriber.expect("kamstrup/status", "online").await;
    program.kill().await;
    // The last will.
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn the_program_is_terminated_during_a_poll() {
    let broker = Broker::start().await;
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = meter_on_pty(registers, OPTICAL);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy,volume").replace("0.02", "60");
    let yaml = format!("{yaml}logging: {{ level: DEBUG }}\n");
    let mut program = Program::start(&yaml);
    program.says("to the meter").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    // The program waits for the answer in progress and publishes it before it disconnects.
    subscriber.expect("kamstrup/status", "offline").await;
    let topics: Vec<_> = subscriber.all().into_iter().map(|arrived| arrived.topic).collect();
    assert_eq!(topics.last().map(String::as_str), Some("kamstrup/status"));
    assert_eq!(subscriber.last().get("kamstrup/energy").map(String::as_str), Some("81947"));
}

#[tokio::test]
async fn a_second_signal_stops_the_program_at_once() {
    let broker = Broker::start().await;
    // A serial server with nothing behind it, and a timeout of a minute.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let yaml = config(&broker, &com_port, "energy").replace("0.02", "60");
    let yaml = yaml.replace("com_port:", "timeout: 60, com_port:");
    let mut program = Program::start(&format!("{yaml}logging: {{ level: DEBUG }}\n"));
    let _connection = patiently("the meter is asked", listener.accept()).await.unwrap();
    program.says("to the meter").await;
    program.terminate().await;
    program.says("Stopping.").await;
    // A second signal soon after the first may be a repetition of it.
    let asking = async {
        while program.runs() {
            program.terminate().await;
        }
    };
    patiently("it stops", asking).await;
    assert_eq!(program.ended().await.code(), Some(1));
    program.says("error: stopped immediately after a second signal").await;
}

/// One Ctrl-C may arrive twice: from the terminal, and from the process that started the program.
#[tokio::test]
async fn two_signals_at_once_count_as_one() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    // While the program waits for an answer, there is time for the second signal.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let yaml = config(&broker, &com_port, "energy").replace("com_port:", "timeout: 60, com_port:");
    let mut program = Program::start(&format!("{yaml}logging: {{ level: DEBUG }}\n"));
    let _connection = patiently("the meter is asked", listener.accept()).await.unwrap();
    program.says("to the meter").await;
    subscriber.expect("kamstrup/status", "online").await;
    program.signals(&["-INT", "-TERM"]).await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
    assert_eq!(program.count("asked twice"), 0);
}

#[tokio::test]
async fn a_silent_meter_is_logged_once_and_found_again() {
    let broker = Broker::start().await;
    // A serial server with nothing behind it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move {
        let mut connections = Vec::new();
        // The second poll has ended when the third begins.
        while connections.len() < 3 {
            connections.push(listener.accept().await.unwrap());
        }
        (listener, connections)
    });
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program =
        Program::start(&config(&broker, &format!("socket://{address}"), "energy,volume"));
    let line = program.says("The meter does not answer").await;
    for advice in ["optical head", "magnet", "Press a key"] {
        assert!(line.contains(advice), "{line}");
    }
    // Polling continues, and nothing is published.
    let (listener, connections) = patiently("three polls", silent).await.unwrap();
    assert_eq!(program.count("The meter does not answer"), 1);
    let values = |all: Vec<subscriber::Arrived>| {
        all.into_iter().filter(|a| a.topic == "kamstrup/energy").count()
    };
    assert_eq!(values(subscriber.all()), 0);
    assert_eq!(subscriber.last().get("kamstrup/status").map(String::as_str), Some("online"));
    subscriber.expect("kamstrup/connection", "OFF").await;
    subscriber.expect("kamstrup/failed_reads", "2").await;
    assert!(!subscriber.last().contains_key("kamstrup/last_read"));

    drop(connections);
    let (_registers, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, Behaviour::default()).serve_tcp(listener).await.unwrap();
    });
    program.says("The meter answers. It had not been read for").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    subscriber.expect("kamstrup/connection", "ON").await;
    let is_read = |all: &[subscriber::Arrived]| all.iter().any(|a| a.topic == "kamstrup/last_read");
    subscriber.until("the time of the last reading", is_read).await;
}

#[tokio::test]
async fn a_missing_port_is_found_later() {
    let broker = Broker::start().await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, own_port().await));
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&config(&broker, &format!("socket://{address}"), "energy"));
    program.says(": the connection was refused. Check the port number").await;
    let listener = TcpListener::bind(address).await.unwrap();
    let (_registers, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Simulator::new(registers, Behaviour::default()).serve_tcp(listener).await.unwrap();
    });
    subscriber.expect("kamstrup/energy", "81947").await;
}

#[tokio::test]
async fn five_errors_are_reported_together() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("five.yaml");
    let yaml = "\
mqtt:
  port: 70000
  qos: 3
  retain: perhaps
serial_device:
  com_port: COM3
kamstrup:
  parameters: [energy, enregy]
";
    std::fs::write(&file, yaml).unwrap();
    let mut program = Program::start_with(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(program.ended().await.code(), Some(2));
    program.says("hint").await;
    let said = program.log().join("\n").replace(file.to_str().unwrap(), "five.yaml");
    insta::assert_snapshot!("five_mistakes", said);
}

#[tokio::test]
async fn a_password_is_in_no_log() {
    const SECRET: &str = "hunter2-secret";
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy").replace(
        "mqtt: {",
        &format!("mqtt: {{ authentication: true, username: somebody, password: {SECRET},"),
    );
    let mut program = Program::start(&format!("{yaml}logging: {{ level: DEBUG }}\n"));
    subscriber.expect("kamstrup/energy", "81947").await;
    program.terminate().await;
    program.ended().await;
    program.says("Stopped.").await;
    assert!(program.log().len() > 5);
    assert_eq!(program.count(SECRET), 0, "{:#?}", program.log());

    // Errors about the lines around it do not show it either.
    for wrong in [
        format!("mqtt:\n  password: [{SECRET}]\n  port: x\n"),
        format!("mqtt:\n  password: {SECRET}\n  port: \"x\n"),
        format!("mqtt:\n  password: {SECRET}: {SECRET}\n"),
        format!("mqtt:\n  password: \"{SECRET}\\q\"\n"),
        format!("mqtt:\n\tpassword: {SECRET}\n"),
        format!("mqtt: password {SECRET}\n"),
        format!("mqtt:\n  password: !{SECRET}\n"),
        format!("mqtt:\n  host: mqtt://somebody:{SECRET}@host\n"),
        format!("password {SECRET}\n"),
    ] {
        let mut program = Program::start(&wrong);
        assert_eq!(program.ended().await.code(), Some(2), "{wrong}");
        program.says("error: ").await;
        assert_eq!(program.count(SECRET), 0, "{wrong}{:#?}", program.log());
    }
    let long = "x".repeat(70_000);
    let variables = [("MQTT_PASSWORD", long.as_str()), ("MQTT_PORT", "x")];
    let mut program = Program::start_with(&[], &variables);
    assert_eq!(program.ended().await.code(), Some(2));
    program.says("MQTT_PASSWORD").await;
    assert_eq!(program.count("xxx"), 0);
}
