//! SIGHUP with a changed configuration.

use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::Value;
use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::addon::{ask, page_of};
use crate::broker::Broker;
use crate::program::{Program, binary};
use crate::subscriber::{Arrived, Subscriber};
use crate::{config, example_meter, meter_on_tcp, patiently};

const DISCOVERY: &str = "homeassistant/sensor/kamstrup_";

fn connections(program: &Program) -> usize {
    program.count("Connected to the broker")
}

#[tokio::test]
async fn an_interval_and_parameters_change_in_the_same_connection() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    // So seldom that anything that arrives has another reason.
    let seldom = config(&broker, &meter.com_port, "energy,power").replace("0.02", "168h");
    let mut program = Program::start(&seldom);
    subscriber.expect("kamstrup/power", "6400").await;

    program.reload(&seldom).await;
    program.says("Reloaded the configuration: nothing has changed.").await;
    assert_eq!(program.count("Reading energy, power from the meter"), 1);

    let often = config(&broker, &meter.com_port, "energy,volume");
    program.reload(&often).await;
    let line = program.says("Reloaded the configuration. Changed: ").await;
    // Polls so seldom are a little early by default.
    let changed = " `kamstrup.poll_interval`, `kamstrup.poll_offset`, `kamstrup.parameters`.";
    assert!(line.ends_with(changed), "{line}");
    program.says("Reading energy, volume from the meter").await;
    subscriber.expect_times("kamstrup/volume", "1917.57", 3).await;
    // The entity of the removed value disappears, and a new one appears.
    let power = format!("{DISCOVERY}power/config");
    subscriber.expect(&power, "").await;
    assert!(!subscriber.last()[&format!("{DISCOVERY}volume/config")].is_empty());
    let values = subscriber.all().iter().filter(|a| a.topic == "kamstrup/power").count();
    assert_eq!(values, 1);
    // Values expire sooner.
    assert!(
        subscriber.last()[&format!("{DISCOVERY}energy/config")].contains("\"expire_after\":34,")
    );
    // The entity returns when it is configured again.
    program.reload(&config(&broker, &meter.com_port, "energy,volume,power")).await;
    subscriber.expect_times("kamstrup/power", "6400", 2).await;
    assert!(!subscriber.last()[&power].is_empty());

    assert_eq!(connections(&program), 1);
    let statuses = subscriber.all().into_iter().filter(|a| a.topic == "kamstrup/status");
    assert_eq!(statuses.map(|arrived| arrived.payload).collect::<Vec<_>>(), ["online"]);
    // Seldom again.
    program.reload(&seldom).await;
    program.says_times("Reading energy, power from the meter", 2).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn units_retain_and_the_log_change_in_the_same_connection() {
    let broker = Broker::start().await;
    let registers = Registers::example(EnergyUnit::Gigajoule, 0);
    let meter = meter_on_tcp(registers, Behaviour::default()).await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy");
    let mut program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "81947.2").await;
    assert_eq!(program.count("DEBUG"), 0);
    let changed = yaml
        .replace("kamstrup: {", "kamstrup: { units: meter,")
        .replace("mqtt: {", "logging: { level: debug }\nmqtt: { retain: yes,");
    program.reload(&changed).await;
    let line = program.says("Reloaded the configuration. Changed: ").await;
    assert!(line.ends_with(" `mqtt.retain`, `kamstrup.units`, `logging.level`."), "{line}");
    subscriber.expect("kamstrup/energy", "295.01").await;
    program.says("DEBUG").await;
    let mut later = Subscriber::connect(broker.port()).await;
    later.expect("kamstrup/energy", "295.01").await;
    // Retained values that may no longer be retained are removed, so that nobody treats them as
    // current.
    program.reload(&changed.replace("retain: yes", "retain: no")).await;
    program.says("`mqtt.retain`").await;
    program.says_times("Reloaded the configuration", 2).await;
    let all = ["energy", "reading", "connection", "last_read", "version"];
    for topic in all {
        later.expect(&format!("kamstrup/{topic}"), "").await;
    }
    let mut last = Subscriber::connect(broker.port()).await;
    last.publish("kamstrup/probe", "x", false).await;
    last.expect("kamstrup/probe", "x").await;
    let before = last.all().into_iter().take_while(|arrived| arrived.topic != "kamstrup/probe");
    let kept = before.filter(|arrived| arrived.retained);
    let topics: Vec<_> = kept.map(|arrived| arrived.topic).collect();
    assert!(!topics.contains(&"kamstrup/energy".to_owned()), "{topics:?}");
    assert!(topics.contains(&"kamstrup/status".to_owned()), "{topics:?}");
    assert_eq!(connections(&program), 1);
}

#[tokio::test]
async fn another_broker_is_another_connection() {
    let (first, second) = (Broker::start().await, Broker::start().await);
    let meter = example_meter().await;
    let mut before = Subscriber::connect(first.port()).await;
    let mut after = Subscriber::connect(second.port()).await;
    let mut program = Program::start(&config(&first, &meter.com_port, "energy"));
    before.expect("kamstrup/energy", "81947").await;
    program.reload(&config(&second, &meter.com_port, "energy")).await;
    let line = program.says("Reloaded the configuration. Changed: ").await;
    assert!(line.ends_with(" `mqtt.port`."), "{line}");
    before.expect("kamstrup/status", "offline").await;
    after.expect("kamstrup/status", "online").await;
    after.expect("kamstrup/energy", "81947").await;
    // The program disconnects properly, and does not stop.
    assert_eq!(program.count("Stopping."), 0);
    // Another topic means another last will.
    let other =
        config(&second, &meter.com_port, "energy").replace("mqtt: {", "mqtt: { topic: heat,");
    program.reload(&other).await;
    after.expect("kamstrup/status", "offline").await;
    after.expect("heat/energy", "81947").await;
    program.kill().await;
    after.expect("heat/status", "offline").await;
}

/// From the sixth version of the file on, no error was logged for an hour.
#[tokio::test]
async fn each_error_is_logged_however_often_the_file_is_saved() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut program = Program::start(&config(&broker, &meter.com_port, "energy"));
    program.says("Connected to the broker").await;
    for version in 0..8 {
        let wrong: Vec<_> = (0..12).map(|number| format!("wrong{version}x{number}")).collect();
        program.reload(&config(&broker, &meter.com_port, &wrong.join(","))).await;
        program.says(&format!("found `wrong{version}x11`")).await;
    }
    assert_eq!(program.count("found `wrong"), 8 * 12);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_invalid_file_is_rejected_and_the_old_one_stays() {
    const SECRET: &str = "hunter2-secret";
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let yaml = config(&broker, &meter.com_port, "energy");
    let debug = format!("{yaml}logging: {{ level: DEBUG }}\n");
    let mut program = Program::start(&debug);
    subscriber.expect("kamstrup/energy", "81947").await;
    for (broken, words) in [
        (yaml.replace("0.02", "often"), "found `often`, accepted: minutes"),
        (yaml.replace("mqtt: {", &format!("mqtt: {{ password: [{SECRET}],")), "is not shown"),
        (format!("mqtt:\n\tpassword: {SECRET}\n"), "is indented with a tab"),
        (format!("password {SECRET}\n"), "has no sections"),
        (String::new(), "is empty"),
    ] {
        let before = subscriber.all().len();
        program.reload(&broken).await;
        program.says(words).await;
        subscriber.until("another poll", |all| all.len() > before + 5).await;
    }
    program.says_times("ERROR The new configuration is rejected, and the previous one", 5).await;
    // A valid file is used, with its secrets.
    let right =
        debug.replace("mqtt: {", &format!("mqtt: {{ username: somebody, password: {SECRET},"));
    program.reload(&right).await;
    program.says("Changed: `mqtt.username`, `mqtt.password`.").await;
    subscriber.expect_times("kamstrup/status", "online", 2).await;
    assert!(program.runs());
    assert_eq!(program.count(SECRET), 0, "{:#?}", program.log());
}

#[tokio::test]
async fn with_stay_an_invalid_file_is_shown_until_it_is_fixed() {
    const SECRET: &str = "hunter2-secret";
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    // The page is at the address in the invalid file.
    let web = "web: { listen: '127.0.0.1:0' }\nlogging: { level: DEBUG }\n";
    let right = format!("{}{web}", config(&broker, &meter.com_port, "energy"));
    let wrong_file = right.replace("0.02", "often").replace("mqtt: {", "mqtt: { passwort: x,");
    let mut program = Program::start_to_stay(&wrong_file);
    let page = page_of(&mut program).await;
    program.says("accepted: minutes").await;
    program.says("ERROR Fix each error above").await;
    let shown = ask(page, "/").await;
    for words in ["the configuration has 1 error.", "`often`", "Fix each error above", "passwort"] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(ask(page, "/ready").await.starts_with("HTTP/1.1 503"));

    // Invalid in another way. The program reads it at once when it is asked to.
    program.reload(&format!("mqtt:\n\tpassword: {SECRET}\n")).await;
    program.says("is indented with a tab").await;
    let shown = ask(page, "/").await;
    assert!(
        shown.contains(
            "<strong>No meter is read until the configuration is fixed: config.yaml, line 2"
        ),
        "{shown}"
    );

    // Fixed, and found by the program without a request.
    program.write(&right);
    program.says("INFO Using the configuration config.yaml.").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    let page = page_of(&mut program).await;
    assert!(!ask(page, "/").await.contains("settings cannot be used"));
    // The log follows the fixed file.
    program.says("DEBUG").await;
    // From now on the configuration in effect stays.
    program.reload(&wrong_file).await;
    program.says("is rejected, and the previous one stays").await;
    program.says_times("did you mean `mqtt.password`?", 2).await;
    // A warning is not an error, on the page either.
    let mut state = Value::Null;
    let looking = async {
        while state["settings"]["refused"].is_null() {
            let answer = ask(page, "/api/v1/state").await;
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            state = serde_json::from_str(body).unwrap();
        }
    };
    patiently("the page shows it", looking).await;
    let setup = &state["settings"];
    let refused = &setup["refused"];
    assert_eq!(refused["details"].as_array().unwrap().len(), 1, "{setup}");
    assert_eq!(setup["warnings"].as_array().unwrap().len(), 1, "{setup}");
    assert!(setup["warnings"][0].as_str().unwrap().contains("`mqtt.passwort`"), "{setup}");
    assert!(refused["hint"].as_str().unwrap().starts_with("Fix each error above; "), "{setup}");
    let said = program.log();
    // Without lines about slow polls, for example.
    let of_configuration = |line: &&str| {
        ["ERROR", " WARN In the configuration: "].iter().any(|begin| line.starts_with(begin))
    };
    let wrong: Vec<&str> = said.iter().map(|line| &line[26..]).filter(of_configuration).collect();
    insta::assert_snapshot!("broken_while_it_stays", wrong.join("\n"));
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
    assert_eq!(program.count(SECRET), 0, "{:#?}", program.log());
}

/// What the units of systemd and the image run. Without the page, nobody sees why nothing is read.
#[tokio::test]
async fn a_service_stays_up_and_shows_every_kind_of_broken_file() {
    // Nobody may read the last one. Root reads every file, so the program does not run as root.
    let files = [
        (Some(("mqtt:\n\thost: x\n", 0o644)), "is not valid YAML"),
        (Some(("mqtt: { qos: 7 }\n", 0o644)), "the configuration has"),
        // Not "is empty", because the variable is set.
        (Some(("", 0o644)), "`serial_device.com_port`"),
        (Some(("mqtt: { host: x }\n", 0o000)), "permission denied"),
    ];
    for (file, words) in files {
        let mut program = Program::start_service(file, &[("WEB_LISTEN", "127.0.0.1:0")]);
        let page = page_of(&mut program).await;
        let shown = ask(page, "/").await;
        assert!(shown.contains("No meter is read until the configuration is fixed"), "{shown}");
        assert!(shown.contains(words), "{words}: {shown}");
        program.terminate().await;
        assert_eq!(program.ended().await.code(), Some(0), "{words}");
    }
}

/// The port of the page may be taken while the configuration is broken.
#[tokio::test]
async fn a_service_stays_up_if_its_page_has_no_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let yaml = format!("mqtt:\n\thost: x\nweb:\n  listen: {address}\n");
    let mut program = Program::start_service(Some((&yaml, 0o644)), &[]);
    program.says("No meter is read until the configuration is fixed").await;
    // The page is where the file says, although the file is not YAML.
    let line = program.says("The status page cannot listen on").await;
    assert!(line.contains(&address) && line.contains("`web.listen`"), "{line}");
    // Another port in the file helps, even if other errors remain.
    program.reload("mqtt: { qos: 7 }\nweb: { listen: '127.0.0.1:0' }\n").await;
    assert!(ask(page_of(&mut program).await, "/").await.contains("`mqtt.qos`"));
}

#[tokio::test]
async fn with_stay_the_program_can_be_stopped() {
    let mut program = Program::start_to_stay("mqtt: 1\nweb: { enabled: no }\n");
    program.says("No meter is read until the configuration is fixed").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    program.says("Stopped.").await;
    assert_eq!(program.count("The status page"), 0, "{:#?}", program.log());
}

#[tokio::test]
async fn meters_are_added_and_removed() {
    let mut broker = Broker::start().await;
    let (house, garage) = (example_meter().await, example_meter().await);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let one = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\nkamstrup: {{ parameters: energy }}\n\
         meters:\n  - {{ name: house, com_port: '{}', poll_interval: 168h }}\n",
        broker.port(),
        house.com_port
    );
    let garage_item =
        format!("  - {{ name: garage, com_port: '{}', poll_interval: 0.02 }}\n", garage.com_port);
    let mut program = Program::start(&one);
    subscriber.expect("kamstrup/house/energy", "81947").await;
    program.reload(&format!("{one}{garage_item}")).await;
    let line = program.says("Reloaded the configuration. Changed: ").await;
    assert!(line.ends_with(" the meter `garage` (added)."), "{line}");
    subscriber.expect_times("kamstrup/garage/energy", "81947", 2).await;
    // Its command topic works too.
    subscriber.publish("kamstrup/garage/command/fly", "", false).await;
    program.says("Ignored a message on `kamstrup/garage/command/fly`").await;

    program.reload(&one).await;
    program.says("the meter `garage` (removed).").await;
    subscriber.expect(&format!("{DISCOVERY}garage_energy/config"), "").await;
    subscriber.expect("homeassistant/button/kamstrup_garage_read/config", "").await;
    // The other meter is not affected.
    assert_eq!(program.count("house: Read 1 of 1"), 1);
    assert_eq!(program.count("house: Reading energy"), 1);
    assert_eq!(connections(&program), 1);
    let house = &subscriber.last()[&format!("{DISCOVERY}house_energy/config")];
    assert!(!house.is_empty());

    // The removed meter is not published again, whoever asks for everything.
    let of_garage = |all: &[Arrived]| {
        let lasting = all.iter().filter(|arrived| !arrived.payload.is_empty());
        lasting.filter(|arrived| arrived.topic.contains("garage")).count()
    };
    let before = of_garage(&subscriber.all());
    let births = format!("{DISCOVERY}house_energy/config");
    let announced = subscriber.all().iter().filter(|arrived| arrived.topic == births).count();
    subscriber.publish("homeassistant/status", "online", false).await;
    subscriber
        .until("all is announced again", |all| {
            all.iter().filter(|arrived| arrived.topic == births).count() > announced
        })
        .await;
    subscriber.expect_times("kamstrup/house/energy", "81947", 2).await;
    assert_eq!(of_garage(&subscriber.all()), before);

    broker.kill().await;
    broker.restart().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.expect("kamstrup/house/energy", "81947").await;
    let all = subscriber.all();
    assert_eq!(of_garage(&all), 0, "{all:#?}");
}

/// The page shows the warnings of the last configuration.
#[tokio::test]
async fn the_page_has_the_warnings_of_the_last_configuration() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("meter.yaml");
    let yaml = config(&broker, &meter.com_port, "energy");
    let with = |key: &str| format!("{yaml}logging: {{ {key}: 1 }}\n");
    std::fs::write(&file, with("colour")).unwrap();
    let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    let page = page_of(&mut program).await;
    assert!(ask(page, "/").await.contains("logging.colour"));
    std::fs::write(&file, with("flavour")).unwrap();
    program.signal("-HUP").await;
    program.says("Reloaded the configuration").await;
    let mut shown = ask(page, "/").await;
    let looking = async {
        while !shown.split_once("id=\"log").is_some_and(|(it, _)| it.contains("logging.flavour")) {
            tokio::task::yield_now().await;
            shown = ask(page, "/").await;
        }
    };
    patiently("the page shows it", looking).await;
    // The log on the page has every message.
    let (before_log, _) = shown.split_once("id=\"log").unwrap();
    assert!(!before_log.contains("logging.colour"), "{before_log}");
}

/// Variables do not change after the start, but the files that they name are read again.
#[tokio::test]
async fn a_secret_in_a_file_is_read_again() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2-1\n").unwrap();
    let yaml = format!(
        "{}logging: {{ level: DEBUG }}\n",
        config(&broker, &meter.com_port, "energy").replace("mqtt: {", "mqtt: { topic: x,")
    );
    let variables = [
        ("MQTT_USERNAME", "somebody"),
        ("MQTT_PASSWORD_FILE", secret.to_str().unwrap()),
        ("MQTT_TOPIC", "heat"),
    ];
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start_by(&yaml, &variables);
    subscriber.expect("heat/energy", "81947").await;
    std::fs::write(&secret, "hunter2-2\n").unwrap();
    program.reload(&yaml.replace("topic: x", "topic: y")).await;
    let line = program.says("Reloaded the configuration. Changed: ").await;
    assert!(line.ends_with(" `mqtt.password`."), "{line}");
    subscriber.expect_times("heat/status", "online", 2).await;
    std::fs::remove_file(&secret).unwrap();
    program.reload(&yaml).await;
    program.says("cannot be used: there is no such file").await;
    assert_eq!(program.count("hunter2"), 0, "{:#?}", program.log());
}

/// Closing the window in which the program runs does not request a reload.
#[tokio::test]
async fn closing_the_terminal_stops_the_program() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("home.yaml");
    std::fs::write(&file, config(&broker, &meter.com_port, "energy")).unwrap();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
    let mut process = Command::new(binary())
        .arg("--config")
        .arg(&file)
        .env_clear()
        .env("WEB_ENABLED", "no")
        .stdin(Stdio::null())
        .stdout(Stdio::from(terminal))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    subscriber.expect("kamstrup/energy", "81947").await;
    let hangup = async |process: &tokio::process::Child| {
        let pid = process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    };
    // While the terminal is open, the signal has its usual meaning.
    hangup(&process).await;
    subscriber.expect_times("kamstrup/energy", "81947", 3).await;
    assert!(process.try_wait().unwrap().is_none());
    drop(master);
    // A child of another test may have the terminal open for a moment, until it runs its program.
    let ended = async {
        loop {
            hangup(&process).await;
            if let Ok(ended) = timeout(std::time::Duration::from_secs(2), process.wait()).await {
                break ended;
            }
        }
    };
    let ended = patiently("the program ends", ended).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
}
