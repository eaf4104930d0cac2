//! How the program handles messages from Home Assistant and the broker, and messages that earlier
//! runs left retained.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::{Behaviour, Registers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{ALL_NAMES, config, example_meter, meter_on_tcp, patiently};

/// One poll at the start, and then none for a long time.
fn seldom(yaml: &str) -> String {
    let seldom = yaml.replace("poll_interval: 0.02", "poll_interval: 60");
    assert_ne!(seldom, yaml);
    seldom
}

fn times(all: &[Arrived], topic: &str) -> usize {
    all.iter().filter(|arrived| arrived.topic == topic && !arrived.payload.is_empty()).count()
}

const ENERGY: &str = "kamstrup/energy";
const ENERGY_CONFIG: &str = "homeassistant/sensor/kamstrup_energy/config";
const VOLUME_CONFIG: &str = "homeassistant/sensor/kamstrup_volume/config";

#[tokio::test]
async fn after_its_birth_home_assistant_gets_everything_again() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = seldom(&config(&broker, &meter.com_port, "energy"));
    let mut program = Program::start(&yaml);
    subscriber.expect(ENERGY, "81947").await;
    let born = Instant::now();
    subscriber.publish("homeassistant/status", "online", false).await;
    let all_again = |all: &[Arrived]| {
        let since: Vec<_> = all.iter().filter(|arrived| arrived.at > born).cloned().collect();
        times(&since, ENERGY) == 1 && times(&since, ENERGY_CONFIG) == 1
    };
    subscriber.until("all of it again", all_again).await;
    assert!(born.elapsed() < Duration::from_secs(5), "{:?}", born.elapsed());
    program.says("Home Assistant has started").await;
    // The values follow when the entities exist.
    let at = |topic: &str| {
        subscriber.all().into_iter().rfind(|arrived| arrived.topic == topic).unwrap().at
    };
    assert!(at(ENERGY) > at(ENERGY_CONFIG) + Duration::from_secs(1));
    assert!(!subscriber.all().iter().any(|arrived| arrived.topic == ENERGY && arrived.retained));
}

/// An automation that publishes Home Assistant's birth twice a second.
#[tokio::test]
async fn frequent_births_do_not_delay_values() {
    const READ: &str = "Read 1 of 1 value";
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy");
    let mut program = Program::start(&format!("{yaml}logging: {{ level: DEBUG }}\n"));
    subscriber.expect(ENERGY, "81947").await;
    let (born, polled) = (Instant::now(), program.count(READ));
    let since = |all: &[Arrived], topic: &str| {
        let all = all.iter().filter(|arrived| arrived.topic == topic && arrived.at > born);
        all.map(|arrived| arrived.at).collect::<Vec<_>>()
    };
    let births = async {
        loop {
            subscriber.publish("homeassistant/status", "online", false).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let polls = async {
        while since(&subscriber.all(), ENERGY).len() < 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = births => {}
        () = patiently("values meanwhile", polls) => {}
    }
    program.says("Home Assistant has reported its start 5 times").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    program.says("Stopped.").await;
    subscriber.expect("kamstrup/status", "offline").await;
    let all = subscriber.all();
    let (polls, values) = (program.count(READ) - polled, since(&all, ENERGY).len());
    // The values of one poll are sent once more, after the entities.
    assert!(values > polls, "{values} of {polls}");
    assert_eq!(since(&all, ENERGY_CONFIG).len(), 1, "{:#?}", program.log());
    let told = program.log();
    let is_of_start =
        |line: &&String| line.contains("Home Assistant has") && !line.contains(" DEBUG ");
    let told: Vec<_> = told.iter().filter(is_of_start).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[tokio::test]
async fn a_command_reads_the_meter_now() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = seldom(&config(&broker, &meter.com_port, "energy"));
    let mut program = Program::start(&yaml);
    subscriber.expect(ENERGY, "81947").await;
    subscriber.publish("kamstrup/command/fly", "", false).await;
    let ignored = "`kamstrup/command/fly`: the only commands are `read` and `history`";
    program.says(&format!("Ignored a message on {ignored}")).await;
    subscriber.publish("kamstrup/command/read", "please", false).await;
    subscriber.expect_times(ENERGY, "81947", 2).await;
    subscriber.until("the poll as a whole", |all| times(all, "kamstrup/reading") == 2).await;
}

/// A discovery message of another program.
const FOREIGN_TOPIC: &str = "homeassistant/sensor/kamstrup_other/config";
const FOREIGN: &str = r#"{"name":"Other","unique_id":"kamstrup_other","state_topic":"other/x",
    "device":{"identifiers":["other"],"name":"Other meter"},"origin":{"name":"other"}}"#;

#[tokio::test]
async fn a_removed_value_disappears_and_forget_removes_the_rest() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.publish(FOREIGN_TOPIC, FOREIGN, true).await;
    subscriber.expect(FOREIGN_TOPIC, FOREIGN).await;
    let both = config(&broker, &meter.com_port, "energy,volume");
    let mut program = Program::start(&both);
    subscriber.expect("kamstrup/volume", "1917.57").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));

    let one = config(&broker, &meter.com_port, "energy");
    let mut program = Program::start(&one);
    subscriber.expect(VOLUME_CONFIG, "").await;
    program.says("from Home Assistant: it is no longer configured").await;
    subscriber.expect_times(ENERGY, "81947", 2).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    let kept = retained(&broker).await;
    assert!(!kept.contains(&VOLUME_CONFIG.to_owned()), "{kept:?}");
    assert!(kept.contains(&ENERGY_CONFIG.to_owned()), "{kept:?}");
    assert!(kept.contains(&FOREIGN_TOPIC.to_owned()), "{kept:?}");

    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, &one).unwrap();
    let mut forget = Program::start_with(&["forget", "--config", file.to_str().unwrap()], &[]);
    forget.says("from the broker:").await;
    assert_eq!(forget.ended().await.code(), Some(0));
    assert_eq!(retained(&broker).await, [FOREIGN_TOPIC]);
}

/// The old entities stayed.
#[tokio::test]
async fn a_reload_with_another_topic_and_other_ids_removes_the_old_entities() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let before = config(&broker, &meter.com_port, "energy");
    let mut program = Program::start(&before);
    subscriber.expect(ENERGY, "81947").await;
    let after = before.replacen("mqtt:", "homeassistant: {id_prefix: heating}\nmqtt:", 1);
    let after = after.replacen("mqtt: {", "mqtt: {topic: cellar, ", 1);
    let after = after.replacen("mqtt:\n", "mqtt:\n  topic: cellar\n", 1);
    program.reload(&after).await;
    subscriber.expect("cellar/energy", "81947").await;
    subscriber.expect(ENERGY_CONFIG, "").await;
    subscriber.expect("kamstrup/status", "").await;
    let kept = retained(&broker).await;
    let is_old = |topic: &&String| topic.contains("kamstrup");
    assert_eq!(kept.iter().filter(is_old).count(), 0, "{kept:?}");
    assert!(kept.contains(&"homeassistant/sensor/heating_energy/config".to_owned()), "{kept:?}");
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
}

/// The values of a meter that was removed from the file while the program was stopped stayed for
/// ever, and `forget` did not find them.
#[tokio::test]
async fn retained_values_of_a_removed_meter_are_removed_too() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = |names: &[&str]| {
        let meters = names.iter().map(|name| {
            format!("  - {{name: {name}, com_port: \"{}\", parameters: energy}}\n", meter.com_port)
        });
        format!(
            "mqtt: {{host: 127.0.0.1, port: {}, retain: true}}\nkamstrup: {{poll_interval: 0.02}}\n\
             meters:\n{}",
            broker.port(),
            meters.collect::<String>()
        )
    };
    let both = yaml(&["garage", "house"]);
    let mut program = Program::start(&both);
    subscriber.expect("kamstrup/garage/energy", "81947").await;
    subscriber.expect("kamstrup/house/energy", "81947").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    let of = |topics: Vec<String>, name: &str| {
        topics.into_iter().filter(|topic| topic.contains(name)).collect::<Vec<_>>()
    };
    let garage = of(retained(&broker).await, "garage");
    assert!(garage.contains(&"kamstrup/garage/reading".to_owned()), "{garage:?}");

    // The program.
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.publish("kamstrup/garden/soil", "5", true).await;
    let house = yaml(&["house"]);
    let mut program = Program::start(&house);
    for topic in &garage {
        subscriber.expect(topic, "").await;
    }
    subscriber.expect_times("kamstrup/house/energy", "81947", 2).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert_eq!(of(retained(&broker).await, "garage"), [""; 0]);

    // `forget`, for a meter whose entities were removed before.
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&both);
    subscriber.expect("kamstrup/garage/energy", "81947").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    for topic in garage.iter().filter(|topic| topic.starts_with("homeassistant/")) {
        subscriber.publish(topic, "", true).await;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, &house).unwrap();
    let mut forget = Program::start_with(&["forget", "--config", file.to_str().unwrap()], &[]);
    forget.says("from the broker:").await;
    assert_eq!(forget.ended().await.code(), Some(0));
    assert_eq!(retained(&broker).await, ["kamstrup/garden/soil"]);
}

/// As the older Python program announces a parameter.
fn older(parameter: &str, name: &str) -> (String, String) {
    let payload = format!(
        r#"{{"name": "{name}", "unique_id": "kamstrup_{parameter}", "state_topic": "kamstrup/{parameter}", "availability_topic": "kamstrup/status", "payload_available": "online", "payload_not_available": "offline", "device": {{"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup", "model": "Multical 402"}}, "icon": "mdi:information"}}"#
    );
    (format!("homeassistant/sensor/kamstrup_{parameter}/config"), payload)
}

#[tokio::test]
async fn what_the_older_program_left_is_removed_on_request_while_the_program_is_running() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let [left, replaced] = [older("infoevent", "Info Event"), older("energy", "Energy")];
    subscriber.publish(FOREIGN_TOPIC, FOREIGN, true).await;
    for (topic, payload) in [&left, &replaced] {
        subscriber.publish(topic, payload, true).await;
        subscriber.expect(topic, payload).await;
    }
    let yaml = config(&broker, &meter.com_port, "energy");
    let _program = Program::start(&yaml);
    subscriber.expect(ENERGY, "81947").await;

    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let forget = |more: &[&str]| {
        let command = ["forget", "--config", file.to_str().unwrap(), "--older-program"];
        Program::start_with(&[&command, more].concat(), &[])
    };
    let before = retained(&broker).await;
    let mut listing = forget(&["--dry-run"]);
    listing.says("Would remove 1 topic from the broker:").await;
    listing.says(&left.0).await;
    assert_eq!(listing.ended().await.code(), Some(0));
    assert_eq!(retained(&broker).await, before);

    let mut removing = forget(&[]);
    removing.says("Removed 1 topic from the broker:").await;
    assert_eq!(removing.ended().await.code(), Some(0));
    assert_eq!(removing.count("WARN"), 0, "{:#?}", removing.log());
    let mut others = before;
    others.retain(|topic| *topic != left.0);
    assert_eq!(retained(&broker).await, others);
    assert!(others.contains(&ENERGY_CONFIG.to_owned()), "{others:?}");
    assert!(others.contains(&FOREIGN_TOPIC.to_owned()), "{others:?}");

    let mut again = forget(&[]);
    again.says("The broker keeps no entity of the older program").await;
    assert_eq!(again.ended().await.code(), Some(0));
}

/// The meter is exchanged for a water meter, and then falls asleep.
#[tokio::test]
async fn a_value_that_the_meter_lacks_disappears_but_not_while_it_is_silent() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let parameters = "energy,volume";
    let mut program = Program::start(&config(&broker, &meter.com_port, parameters));
    subscriber.expect(ENERGY, "81947").await;
    program.terminate().await;
    program.ended().await;

    let water = Registers::from_yaml("volume: 5.5 m³\n").unwrap();
    let water = meter_on_tcp(water, Behaviour::default()).await;
    let mut program = Program::start(&config(&broker, &water.com_port, parameters));
    subscriber.expect(ENERGY_CONFIG, "").await;
    program.says("`energy` (register 60) is not published: this meter does not have it").await;
    subscriber.expect("kamstrup/volume", "5.5").await;
    program.terminate().await;
    program.ended().await;
    assert_eq!(times(&subscriber.all(), ENERGY_CONFIG), 1, "announced by the first run alone");
    let kept = retained(&broker).await;
    assert!(!kept.contains(&ENERGY_CONFIG.to_owned()), "{kept:?}");
    assert!(kept.contains(&VOLUME_CONFIG.to_owned()), "{kept:?}");

    let mut program = Program::start(&config(&broker, "/dev/no-such-port", parameters));
    program.says("Cannot open /dev/no-such-port").await;
    program.terminate().await;
    program.ended().await;
    assert_eq!(retained(&broker).await, kept);
}

/// More messages than Mosquitto keeps for a client that has not acknowledged them.
#[tokio::test]
async fn all_retained_messages_are_found_however_many_there_are() {
    // A meter that was never read has four diagnostics and a button.
    const METERS: usize = 320;
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let with_meters = |count: usize| {
        let list = (0..count).map(|number| format!("  - {{ name: m{number} }}\n"));
        format!(
            "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
             serial_device: {{ com_port: /dev/no-such-port }}\n\
             kamstrup: {{ parameters: '{ALL_NAMES}' }}\n\
             meters:\n{}",
            broker.port(),
            list.collect::<String>()
        )
    };
    // The last discovery message.
    let last = format!("homeassistant/button/kamstrup_m{}_read/config", METERS - 1);
    let mut program = Program::start(&with_meters(METERS));
    subscriber.until("all are announced", |all| times(all, &last) == 1).await;
    program.terminate().await;
    program.ended().await;
    let stands = |last: &BTreeMap<String, String>| {
        let configs = last.iter().filter(|(topic, _)| topic.ends_with("/config"));
        configs.filter(|(_, payload)| !payload.is_empty()).count()
    };
    let many = stands(&subscriber.last());
    assert!(many > 1500, "{many}");

    let mut program = Program::start(&with_meters(1));
    let gone = |all: &[Arrived]| all.iter().filter(|arrived| arrived.payload.is_empty()).count();
    // The program's own two and those of one meter remain.
    let one = 2 + (many - 2) / METERS;
    subscriber.until("the others are taken away", |all| gone(all) == many - one).await;
    assert_eq!(stands(&subscriber.last()), one);
    program.terminate().await;
    program.ended().await;

    let mut program = Program::start(&with_meters(METERS));
    subscriber.until("all are announced again", |all| times(all, &last) == 2).await;
    program.terminate().await;
    program.ended().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("meters.yaml");
    std::fs::write(&file, with_meters(METERS)).unwrap();
    let mut forget = Program::start_with(&["forget", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(forget.ended().await.code(), Some(0));
    subscriber.until("nothing stands", |all| gone(all) >= 2 * many - one).await;
    assert_eq!(stands(&subscriber.last()), 0);
}

/// The topics with a retained message.
async fn retained(broker: &Broker) -> Vec<String> {
    let mut later = Subscriber::connect(broker.port()).await;
    // Retained messages arrive before new ones.
    later.publish("end/of/retained", "x", false).await;
    later.expect("end/of/retained", "x").await;
    let mut topics: Vec<_> =
        later.all().into_iter().filter(|a| a.retained).map(|arrived| arrived.topic).collect();
    topics.sort_unstable();
    topics
}

#[tokio::test]
async fn a_second_program_with_the_same_ids_is_warned_about() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let taken = FOREIGN.replace("kamstrup_other", "kamstrup_energy");
    subscriber.publish(ENERGY_CONFIG, &taken, true).await;
    // The broker has it before the program starts.
    subscriber.expect(ENERGY_CONFIG, &taken).await;
    let mut program = Program::start(&config(&broker, &meter.com_port, "energy"));
    let line = program.says("Set `homeassistant.id_prefix`").await;
    assert!(line.contains("Other meter") || line.contains("other"), "{line}");
}

/// With their own values for the settings, each program keeps all of its entities.
#[tokio::test]
async fn two_programs_on_one_broker_leave_each_other_alone() {
    let (broker, meter, other) =
        (Broker::start().await, example_meter().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut first = Program::start(&seldom(&config(&broker, &meter.com_port, "energy")));
    subscriber.expect(ENERGY, "81947").await;
    let settings = "client: attic, topic: attic, device_id: attic,";
    let attic = seldom(&config(&broker, &other.com_port, "energy"))
        .replace("mqtt: {", &format!("mqtt: {{ {settings}"));
    let attic =
        format!("{attic}homeassistant: {{ id_prefix: attic, status_topic: attic/birth }}\n");
    let mut second = Program::start(&attic);
    subscriber.expect("attic/energy", "81947").await;
    let last = subscriber.last();
    let id = |topic: &str| {
        let entity: serde_json::Value = serde_json::from_str(&last[topic]).unwrap();
        (entity["unique_id"].clone(), entity["device"]["identifiers"][0].clone())
    };
    assert_eq!(id(ENERGY_CONFIG), ("kamstrup_energy".into(), "kamstrup_meter".into()));
    let attic_config = "homeassistant/sensor/attic_energy/config";
    assert_eq!(id(attic_config), ("attic_energy".into(), "attic".into()));

    // Each receives its own birth message and its own commands.
    subscriber.publish("attic/birth", "online", false).await;
    subscriber.expect_times("attic/energy", "81947", 2).await;
    subscriber.publish("attic/command/read", "", false).await;
    subscriber.expect_times("attic/energy", "81947", 3).await;
    let all = subscriber.all();
    assert_eq!((times(&all, ENERGY), times(&all, ENERGY_CONFIG)), (1, 1));

    for program in [&mut first, &mut second] {
        program.terminate().await;
        assert_eq!(program.ended().await.code(), Some(0));
        program.says("Stopped.").await;
        assert_eq!(program.count("WARN"), 0, "{:#?}", program.log());
    }
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("attic.yaml");
    std::fs::write(&file, &attic).unwrap();
    let mut forget = Program::start_with(&["forget", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(forget.ended().await.code(), Some(0));
    let kept = retained(&broker).await;
    assert!(kept.contains(&ENERGY_CONFIG.to_owned()), "{kept:?}");
    assert!(!kept.iter().any(|topic| topic.contains("attic")), "{kept:?}");
}

#[tokio::test]
async fn each_of_two_meters_is_commanded_and_forgotten() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = seldom(&config(&broker, &meter.com_port, "energy"));
    let yaml = yaml.replace("mqtt: {", "mqtt: { retain: true,");
    let yaml = format!("{yaml}meters: [{{ name: house }}, {{ name: flat }}]\n");
    let mut program = Program::start(&yaml);
    let topics = ["kamstrup/house/reading", "kamstrup/flat/reading"];
    let polled =
        |house, flat| move |all: &[Arrived]| topics.map(|topic| times(all, topic)) == [house, flat];
    subscriber.until("each was read", polled(1, 1)).await;
    subscriber.publish("kamstrup/flat/command/read", "", false).await;
    subscriber.until("one was read again", polled(1, 2)).await;
    subscriber.publish("kamstrup/command/read", "", false).await;
    subscriber.until("both were read again", polled(2, 3)).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));

    // The retained messages of either meter are found too.
    assert!(retained(&broker).await.contains(&"kamstrup/flat/energy".to_owned()));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("meters.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut forget = Program::start_with(&["forget", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(forget.ended().await.code(), Some(0));
    assert_eq!(retained(&broker).await, [""; 0]);
}

/// A MULTICAL 403 whose return sensor is disconnected.
#[tokio::test]
async fn the_info_code_is_published_in_words() {
    let broker = Broker::start().await;
    let registers = Registers::from_yaml("GetType: 0x0000 A1\nenergy: 5 kWh\ninfocode: 16\n");
    let meter = meter_on_tcp(registers.unwrap(), Behaviour::default()).await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy").replace("version: 402", "version: 403");
    let _program = Program::start(&yaml);
    subscriber.expect("kamstrup/problem", "ON").await;
    subscriber.expect("kamstrup/connection", "ON").await;
    let last = subscriber.last();
    insta::assert_snapshot!(last["kamstrup/info"]);
    for (component, name) in [("binary_sensor", "problem"), ("sensor", "info")] {
        let topic = format!("homeassistant/{component}/kamstrup_{name}/config");
        let entity: serde_json::Value = serde_json::from_str(&last[&topic]).unwrap();
        assert_eq!(entity["state_topic"], format!("kamstrup/{name}"));
    }
}

/// A broker that accepts the program and then reads nothing more.
#[tokio::test]
async fn a_broker_that_stops_reading_does_not_delay_polls() {
    let meter = example_meter().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stuck = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut connect = [0; 64];
        assert!(stream.read(&mut connect).await.unwrap() > 0);
        // CONNACK: accepted.
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {port} }}\n\
         serial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ poll_interval: 0.02, parameters: 'energy' }}\n\
         logging: {{ level: DEBUG }}\n",
        meter.com_port
    );
    let mut program = Program::start(&yaml);
    program.says("Connected to the broker").await;
    let polls = async {
        while program.count("Read 1 of 1 value") < 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently("five polls", polls).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    stuck.abort();
}
