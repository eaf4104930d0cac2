//! Several meters in one process.

use std::net::Ipv4Addr;
use std::time::Duration;

use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{copy, sink};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::addon::page_of;
use crate::broker::Broker;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{OPTICAL, meter_on_pty, meter_on_tcp};

/// A serial server at another address, with nothing behind it.
async fn silent() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
    let com_port = format!("socket://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { copy(&mut stream, &mut sink()).await });
        }
    });
    (com_port, serving)
}

fn of<'a>(all: &'a [Arrived], topic: &str) -> Vec<&'a Arrived> {
    all.iter().filter(|arrived| arrived.topic == topic).collect()
}

/// The time from the second value on a topic to the last, and the number of intervals between them.
/// The values of the first poll wait up to 3 s until Home Assistant has created the entities.
fn span(all: &[Arrived], topic: &str) -> (Duration, u64) {
    let values = of(all, topic);
    let last = values.len() - 1;
    (values[last].at - values[1].at, u64::try_from(last - 1).unwrap())
}

/// One meter is silent. One is on a slow line, behind the same serial server as a fast one.
#[tokio::test]
async fn each_of_three_meters_keeps_its_own_interval() {
    const SLOW: u64 = 3000;
    const FAST: u64 = 1200;
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let registers = || Registers::example(EnergyUnit::KilowattHour, 0);
    let (silent, _serving) = silent().await;
    let slow = meter_on_tcp(registers(), OPTICAL).await;
    let fast = meter_on_tcp(registers(), Behaviour::default()).await;
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         kamstrup: {{ poll_interval: 0.02 }}\n\
         logging: {{ level: DEBUG }}\n\
         meters:\n\
         \x20 - {{ name: silent, com_port: '{silent}' }}\n\
         \x20 - {{ name: Slow, com_port: '{}', poll_interval: 0.05 }}\n\
         \x20 - {{ name: fast, com_port: '{}', parameters: energy }}\n",
        broker.port(),
        slow.com_port,
        fast.com_port,
    );
    let mut program = Program::start(&yaml);
    let (slow, fast) = ("kamstrup/Slow/tempdiff", "kamstrup/fast/energy");
    subscriber
        .until("20 values of the fast meter, 8 of the slow one", |all| {
            of(all, fast).len() >= 20 && of(all, slow).len() >= 8
        })
        .await;
    let all = subscriber.all();
    for (topic, interval) in [(slow, SLOW), (fast, FAST)] {
        let (span, beats) = span(&all, topic);
        let should = Duration::from_millis(beats * interval);
        // A busy machine may cost this much.
        assert!(span.abs_diff(should) < Duration::from_secs(3), "{topic}: {span:?}, {should:?}");
    }
    assert!(!all.iter().any(|arrived| arrived.topic.starts_with("kamstrup/silent/e")));
    program.says("WARN silent: The meter does not answer on socket://127.0.0.2").await;

    // The two on different ports of one serial server do not wait for each other.
    let log = program.log();
    let first = |words: &str| log.iter().position(|line| line.contains(words)).unwrap();
    assert!(first(" fast: to the meter: ") < first(" Slow: Read "), "{log:#?}");

    // Each meter is a device of its own.
    let last = subscriber.last();
    let device = |id: &str| {
        let topic = format!("homeassistant/sensor/kamstrup_{id}/config");
        let entity: serde_json::Value = serde_json::from_str(&last[&topic]).unwrap();
        assert_eq!(entity["unique_id"], format!("kamstrup_{id}"));
        let device = &entity["device"];
        (device["identifiers"][0].clone(), device["name"].clone())
    };
    let is = |id: &str, name: &str| (id.into(), name.into());
    assert_eq!(device("Slow_energy"), is("kamstrup_meter_Slow", "Kamstrup Meter Slow"));
    assert_eq!(device("fast_energy"), is("kamstrup_meter_fast", "Kamstrup Meter fast"));
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
}

/// The head of one meter is not plugged in. The other has its own port, and reading continues.
#[tokio::test]
async fn a_missing_port_delays_no_other_meter() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let meter = meter_on_pty(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: /dev/no-such-port }}\n\
         kamstrup: {{ poll_interval: 0.02, parameters: energy }}\n\
         meters: [{{ name: gone }}, {{ name: there, com_port: '{}' }}]\n",
        broker.port(),
        meter.com_port,
    );
    let mut program = Program::start(&yaml);
    subscriber.expect_times("kamstrup/there/energy", "81947", 5).await;
    program.says("WARN gone: Cannot open /dev/no-such-port").await;
    assert_eq!(program.count("Cannot open /dev/no-such-port: it does not exist. "), 1);
    program.says("INFO there: Read 1 of 1 value").await;
}

/// "Stop one of the two" is wrong for a program that reads another meter.
#[tokio::test]
async fn a_second_program_learns_which_settings_must_differ() {
    let broker = Broker::start().await;
    let yaml = |more: &str, ids: &str| {
        format!(
            "mqtt: {{ host: 127.0.0.1, port: {}{more} }}\n{ids}\
             serial_device: {{ com_port: /dev/no-such-port }}\n",
            broker.port()
        )
    };
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let [one, other] = [&one, &other].map(|folder| folder.path().to_str().unwrap());
    let variables = [("STATE_DIRECTORY", one), ("WEB_LISTEN", "127.0.0.1:0")];
    let mut first = Program::start_by(&yaml("", ""), &variables);
    let page = page_of(&mut first).await.to_string();
    first.says("Cannot open /dev/no-such-port").await;

    let variables = [("STATE_DIRECTORY", one), ("WEB_LISTEN", page.as_str())];
    let mut second = Program::start_by(&yaml("", ""), &variables);
    for trouble in [
        "publishes to the broker 127.0.0.1:",
        "another program uses this port",
        "another kamstrup2mqtt is using",
    ] {
        let said = second.says(trouble).await;
        for setting in [
            "`meters`",
            "`mqtt.client`",
            "`mqtt.topic`",
            "`mqtt.device_id`",
            "`homeassistant.id_prefix`",
            "`web.listen`",
            "`STATE_DIRECTORY`",
        ] {
            assert!(said.contains(setting), "{said}");
        }
    }
    second.terminate().await;
    assert_eq!(second.ended().await.code(), Some(0));

    // With settings of its own, nothing is reported.
    let own = yaml(
        ", client: garage, topic: garage, device_id: garage",
        "homeassistant: { id_prefix: garage }\n",
    );
    let variables = [("STATE_DIRECTORY", other), ("WEB_LISTEN", "127.0.0.1:0")];
    let mut third = Program::start_by(&own, &variables);
    page_of(&mut third).await;
    third.says("Connected to the broker").await;
    third.says("Cannot open /dev/no-such-port").await;
    assert_eq!(third.count("nother kamstrup2mqtt"), 0, "{:#?}", third.log());
    assert_eq!(first.count("nother kamstrup2mqtt"), 0, "{:#?}", first.log());
}
