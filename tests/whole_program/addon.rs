//! The program as Home Assistant's app: whatever is wrong, it keeps running, reports it, and
//! resumes when it is fixed.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use logging::LocalTime;
use rumqttc::ConnectReturnCode;
use rumqttc::mqttbytes::v4::{ConnAck, Packet};
use serde_json::{Value, json};
use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::broker::{Broker, own_port};
use crate::ports::full;
use crate::program::{Program, binary};
use crate::subscriber::Subscriber;
use crate::{OPTICAL, config, example_meter, meter_on_pty, meter_on_tcp, patiently};

const TOKEN: &str = "the-token-of-the-add-on";
const SECRET: &str = "hunter2-secret";

/// How long stopping may take. Home Assistant's base images kill the program after three seconds.
const LEAVE: Duration = Duration::from_secs(2);

/// A stand-in for the Supervisor that gives the answers of the test.
struct Supervisor {
    address: SocketAddr,
    says: watch::Sender<String>,
    /// Whether Home Assistant has started.
    core: watch::Sender<bool>,
    /// What Home Assistant was asked for.
    asked: Asked,
    serving: JoinSet<()>,
}

impl Supervisor {
    /// A Supervisor that is not running yet.
    async fn absent() -> Self {
        let address = unused().await;
        Self {
            address,
            says: watch::Sender::default(),
            core: watch::Sender::default(),
            asked: Asked::default(),
            serving: JoinSet::new(),
        }
    }

    async fn saying(status: &str, body: &str) -> Self {
        let mut supervisor = Self::absent().await;
        supervisor.says(status, body);
        supervisor.start().await;
        supervisor
    }

    /// Its answer from now on.
    fn says(&self, status: &str, body: &str) {
        let length = body.len();
        self.says.send_replace(format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ));
    }

    fn says_error(&self, message: &str) {
        self.says("400 Bad Request", &format!(r#"{{"result":"error","message":"{message}"}}"#));
    }

    fn says_broker(&self, port: u16, password: &str) {
        self.says("200 OK", &registered(port, password));
    }

    async fn start(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let says = self.says.subscribe();
        let (core, asked_for) = (self.core.subscribe(), Arc::clone(&self.asked));
        self.serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut start = [0; 20];
                while stream.peek(&mut start).await.unwrap() < start.len() {
                    tokio::task::yield_now().await;
                }
                if *core.borrow() && start == *b"GET /core/websocket " {
                    tokio::spawn(be_home_assistant(stream, Arc::clone(&asked_for)));
                    continue;
                }
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
                }
                let asked = String::from_utf8(asked).unwrap();
                if asked.starts_with("GET /core/websocket ") {
                    let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
                    continue;
                }
                assert!(asked.contains(&format!("Bearer {TOKEN}\r\n")), "{asked}");
                let answer = says.borrow().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
    }

    fn variables(&self) -> [(String, String); 2] {
        let address = format!("http://{}", self.address);
        [("SUPERVISOR_TOKEN", TOKEN), ("KAMSTRUP2MQTT_SUPERVISOR", &address)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

/// A stand-in for Home Assistant that is running and has no entities.
async fn be_home_assistant(stream: TcpStream, asked: Asked) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let text = |value: Value| Message::text(value.to_string());
    socket.send(text(json!({"type": "auth_required"}))).await.unwrap();
    while let Some(Ok(Message::Text(message))) = socket.next().await {
        let message: Value = serde_json::from_str(&message).unwrap();
        let kind = message["type"].as_str().unwrap().to_owned();
        let id = message["id"].clone();
        let result = match kind.as_str() {
            "auth" => {
                assert_eq!(message["access_token"], TOKEN);
                socket.send(text(json!({"type": "auth_ok"}))).await.unwrap();
                asked.lock().unwrap().push(kind);
                continue;
            }
            "get_config" => json!({"state": "RUNNING"}),
            "config/entity_registry/list" => json!([]),
            _ => Value::Null,
        };
        let answer = json!({"id": id, "type": "result", "success": true, "result": result});
        socket.send(text(answer)).await.unwrap();
        if kind == "get_config" {
            let event = json!({"id": 1, "type": "event", "event": {
                "event_type": "recorder_5min_statistics_generated",
                "time_fired": LocalTime::now().timestamp().to_string().replace('Z', "+00:00"), "data": {},
            }});
            socket.send(text(event)).await.unwrap();
        }
        asked.lock().unwrap().push(kind);
    }
    asked.lock().unwrap().push("closed".to_owned());
}

fn registered(port: u16, password: &str) -> String {
    format!(
        r#"{{"result":"ok","data":{{"host":"127.0.0.1","port":{port},"ssl":false,
        "protocol":"3.1.1","username":"addons","password":"{password}","addon":"core_mosquitto"}}}}"#
    )
}

/// An address at which nothing listens yet. Nothing else here will.
async fn unused() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, own_port().await))
}

/// A free port on which the caller listens.
async fn reserve() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The app with these options.
struct AddOn {
    program: Program,
    folder: TempDir,
}

impl AddOn {
    fn start(options: &str, supervisor: Option<&Supervisor>) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("options.json");
        std::fs::write(&file, options).unwrap();
        let variables = supervisor.map(Supervisor::variables);
        let variables: Vec<_> =
            variables.iter().flatten().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let arguments = ["--options", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        Self { program: Program::start_with(&arguments, &variables), folder }
    }

    /// The address of its page.
    async fn page(&mut self) -> SocketAddr {
        page_of(&mut self.program).await
    }

    /// Stops it as Home Assistant does.
    async fn stops(&mut self) {
        let asked = Instant::now();
        self.program.terminate().await;
        assert_eq!(self.program.ended().await.code(), Some(0));
        assert!(asked.elapsed() < LEAVE, "{:?}", asked.elapsed());
        // The last of its lines may still be in transit.
        self.program.says("Stopped.").await;
        for secret in [SECRET, TOKEN] {
            assert_eq!(self.program.count(secret), 0, "{:#?}", self.program.log());
        }
    }

    /// The log, without what differs from run to run.
    fn log(&self, replaced: &[(&str, &str)]) -> String {
        let mut lines = Vec::new();
        for line in self.program.log() {
            // After `2026-11-23T15:17:23+01:00`.
            let mut line = line[25..].to_owned();
            // Only a poll that takes long is announced.
            if line.contains("Waiting for the meter") {
                continue;
            }
            for (from, to) in replaced {
                line = line.replace(from, to);
            }
            if let Some((before, _)) = line.split_once(" value in ") {
                line = format!("{before} value in T s.");
                // Polls follow the wall clock, so there may have been one more.
                if lines.contains(&line) {
                    continue;
                }
            }
            if let Some((before, _)) = line.split_once("The status page is at ") {
                line = format!("{before}The status page is at http://PAGE.");
            }
            lines.push(line);
        }
        lines.join("\n")
    }
}

/// The address of the page in the program's log.
pub(crate) async fn page_of(program: &mut Program) -> SocketAddr {
    let line = program.says("The status page is at http://").await;
    line.rsplit('/').next().unwrap().trim_end_matches('.').parse().unwrap()
}

/// Requests the page, and returns status, headers and body.
pub(crate) async fn ask(page: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(page).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    patiently("the page", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

async fn is_healthy(page: &str) -> bool {
    finds_its_page(&["--listen", page], &[]).await
}

async fn finds_its_page(arguments: &[&str], variables: &[(&str, &str)]) -> bool {
    let mut command = Command::new(binary());
    command.arg("health").args(arguments).stdin(Stdio::null());
    command.env_clear().envs(variables.iter().copied());
    let output = patiently("health", command.stderr(Stdio::piped()).output()).await.unwrap();
    match output.status.code() {
        Some(0) => assert_eq!(output.stderr, b""),
        code => {
            assert_eq!(code, Some(1));
            assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "));
        }
    }
    output.status.success()
}

fn options(port: &str, others: &str) -> String {
    format!(r#"{{"port": "{port}", "parameters": ["energy"], "meters": [], "mqtt": {{}}{others}}}"#)
}

/// Everything that a user sees when the machine starts: the Supervisor is not running yet, then it
/// starts, then it has no broker, then it has one.
const ENERGY_ON_PAGE: &str = "<span class=\"number\">81947</span> <span class=\"unit\">kWh</span>";

#[tokio::test]
async fn a_cold_boot_reads_well() {
    let broker = Broker::start().await;
    let meter = meter_on_tcp(Registers::example(EnergyUnit::KilowattHour, 0), OPTICAL).await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut supervisor = Supervisor::absent().await;
    let mut add_on = AddOn::start(&options(&meter.com_port, ""), Some(&supervisor));
    add_on.program.says("cannot be reached").await;
    // Meanwhile the meter is read.
    add_on.program.says("Read 1 of 1 value").await;
    supervisor.says_error("System is not ready with state: setup");
    supervisor.start().await;
    add_on.program.says("is still starting").await;
    supervisor.says_error("Service not enabled");
    add_on.program.says("has no MQTT broker").await;
    let page = add_on.page().await;
    let shown = ask(page, "/").await;
    assert!(shown.contains("Home Assistant has no MQTT broker yet"), "{shown}");
    assert!(is_healthy(&page.to_string()).await);
    supervisor.says_broker(broker.port(), SECRET);
    subscriber.expect("kamstrup/status", "online").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    add_on.program.says("Connected to the broker").await;
    let shown = ask(page, "/").await;
    assert!(shown.contains(&format!("Connected to 127.0.0.1:{}", broker.port())), "{shown}");
    assert!(shown.contains(ENERGY_ON_PAGE), "{shown}");
    // The log on the page has every message.
    let (before_log, _) = shown.split_once("id=\"log").unwrap();
    assert!(!before_log.contains("has no MQTT broker"), "{before_log}");
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
    let file = add_on.folder.path().to_str().unwrap().to_owned();
    let broker = format!("127.0.0.1:{}", broker.port());
    let replaced = [
        (file.as_str(), "/data"),
        (meter.com_port.as_str(), "socket://HOST:PORT"),
        (&broker, "core-mosquitto:1883"),
    ];
    insta::assert_snapshot!(add_on.log(&replaced));
}

#[tokio::test]
async fn a_registered_broker_starts_late() {
    let mut broker = Broker::start().await;
    broker.kill().await;
    let meter = example_meter().await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    let mut add_on = AddOn::start(&options(&meter.com_port, ""), Some(&supervisor));
    add_on.program.says("nothing is listening on this port").await;
    broker.restart().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    subscriber.expect("kamstrup/energy", "81947").await;
    assert_eq!(add_on.program.count("No connection to the broker"), 1);
    // Home Assistant was asked again, and its answer was the same.
    assert_eq!(add_on.program.count("says anew"), 0);
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
}

/// A broker behind a proxy that checks the password.
async fn guarded(broker: u16, password: watch::Receiver<&'static str>) -> (u16, JoinSet<()>) {
    let (listener, address) = reserve().await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut inside = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            inside.spawn(guard(stream, broker, password.clone()));
        }
    });
    (address.port(), serving)
}

async fn guard(mut stream: TcpStream, broker: u16, mut password: watch::Receiver<&'static str>) {
    let wanted = *password.borrow_and_update();
    let mut unread = BytesMut::new();
    let connect = loop {
        let mut packet = unread.clone();
        match Packet::read(&mut packet, 65_536) {
            Ok(Packet::Connect(connect)) => break connect,
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert_ne!(stream.read_buf(&mut unread).await.unwrap(), 0),
        }
    };
    let login = connect.login.unwrap();
    assert_eq!(login.username, "addons");
    if login.password != wanted {
        let mut refused = BytesMut::new();
        ConnAck::new(ConnectReturnCode::BadUserNamePassword, false).write(&mut refused).unwrap();
        stream.write_all(&refused).await.unwrap();
        return;
    }
    let mut inner = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await.unwrap();
    inner.write_all(&unread).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut inner) => {}
        // A new password restarts the broker.
        _ = password.changed() => {}
    }
}

#[tokio::test]
async fn rotated_credentials_are_used() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (password, wanted) = watch::channel("first");
    let (port, _serving) = guarded(broker.port(), wanted).await;
    let supervisor = Supervisor::saying("200 OK", &registered(port, "first")).await;
    let mut add_on =
        AddOn::start(&options(&meter.com_port, r#", "log_level": "debug""#), Some(&supervisor));
    subscriber.expect("kamstrup/energy", "81947").await;

    // The broker has a new password that Home Assistant does not know yet.
    password.send_replace(SECRET);
    add_on.program.says("it rejected the user name or the password").await;
    supervisor.says_error("Service not enabled");
    add_on.program.says("has no MQTT broker").await;
    supervisor.says_broker(port, SECRET);
    add_on.program.says("reports new settings for its MQTT broker").await;
    add_on.program.says_times("Connected to the broker", 2).await;
    subscriber.expect_times("kamstrup/status", "online", 2).await;
    // No setting with such a name was made by a user.
    assert_eq!(add_on.program.count("`mqtt."), 0, "{:#?}", add_on.program.log());
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn the_program_keeps_running_with_invalid_options() {
    let options = r#"{"port": "COM3", "parameters": ["energy", "enregy"], "meters": [],
        "mqtt": {"host": "broker", "port": 70000, "password": "hunter2-secret"}, "speed": 1200}"#;
    let mut add_on = AddOn::start(options, None);
    let page = add_on.page().await;
    add_on.program.says("Fix this").await;
    assert!(is_healthy(&page.to_string()).await);
    let shown = ask(page, "/").await;
    for words in ["3 options are missing or invalid", "`enregy`", "70000", "Fix this", "`speed`"] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(!shown.contains(SECRET), "{shown}");
    // Home Assistant restarts the program instead.
    add_on.program.signal("-HUP").await;
    assert!(is_healthy(&page.to_string()).await);
    assert!(add_on.program.runs());
    add_on.stops().await;
    insta::assert_snapshot!(add_on.log(&[]));
}

#[tokio::test]
async fn the_program_keeps_running_without_options() {
    let arguments = ["--options", "/no/such/options.json", "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    program.says("The options /no/such/options.json cannot be read: there is no such file").await;
    program.says("Restart the app").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_adapter_that_is_plugged_in_later_is_used() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("usb-head");
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    let options = options(path.to_str().unwrap(), r#", "poll_interval": "2s""#);
    let mut add_on = AddOn::start(&options, Some(&supervisor));
    add_on.program.says("Cannot open").await;
    subscriber.expect("kamstrup/connection", "OFF").await;
    let page = add_on.page().await;
    assert!(ask(page, "/").await.contains("Cannot open"));
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = meter_on_pty(registers, Behaviour::default());
    symlink(&meter.com_port, &path).unwrap();
    add_on.program.says("The meter answers. It had not been read for").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    assert!(ask(page, "/").await.contains(ENERGY_ON_PAGE));
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
}

/// When the machine starts, the app is there before Home Assistant. It waits, and then sends nothing
/// but what the documentation lists.
#[tokio::test]
async fn home_assistant_is_asked_when_it_has_started() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    let with_gaps = options(&meter.com_port, r#", "history": "gaps", "log_level": "debug""#);
    let mut add_on = AddOn::start(&with_gaps, Some(&supervisor));
    add_on.program.says("Home Assistant is starting, restarting or stopped").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    assert_eq!(*supervisor.asked.lock().unwrap(), [""; 0]);
    supervisor.core.send_replace(true);
    add_on.program.says("Looked for gaps in Home Assistant's statistics").await;
    let asked = || supervisor.asked.lock().unwrap().clone();
    patiently("the end of the connection", async {
        while asked().last().is_none_or(|last| last != "closed") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let expected =
        ["auth", "subscribe_events", "get_config", "config/entity_registry/list", "closed"];
    assert_eq!(asked(), expected);
    let docs = include_str!("../../kamstrup2mqtt-addon/DOCS.md");
    for command in &expected[1..4] {
        assert!(docs.contains(&format!("| `{command}`")), "{command}");
    }
    add_on.stops().await;
}

/// The zone of the meter is not known, so nobody can say when it made the entries of its log.
#[tokio::test]
async fn no_log_is_used_in_an_unknown_time_zone() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    supervisor.core.send_replace(true);
    let full = options(&meter.com_port, r#", "history": "full""#);
    let mut add_on = AddOn::start(&full, Some(&supervisor));
    add_on.program.says("The meter's log was not used, because the time zone here is").await;
    add_on.stops().await;
}

/// Without the option, Home Assistant is not asked for anything.
#[tokio::test]
async fn home_assistant_is_not_asked_unless_the_user_wants_it() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    supervisor.core.send_replace(true);
    let mut add_on = AddOn::start(&options(&meter.com_port, ""), Some(&supervisor));
    subscriber.expect("kamstrup/energy", "81947").await;
    add_on.stops().await;
    assert_eq!(*supervisor.asked.lock().unwrap(), [""; 0]);
}

/// Without a question about the broker, no Supervisor is needed.
#[tokio::test]
async fn a_broker_in_the_options_is_used() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let supervisor = Supervisor::absent().await;
    let options = format!(
        r#"{{"port": "{}", "parameters": ["energy"], "mqtt": {{"host": "127.0.0.1",
        "port": {}, "topic": "heat"}}}}"#,
        meter.com_port,
        broker.port()
    );
    let mut add_on = AddOn::start(&options, Some(&supervisor));
    subscriber.expect("heat/energy", "81947").await;
    assert_eq!(add_on.program.count("Supervisor"), 0);
    add_on.stops().await;
    subscriber.expect("heat/status", "offline").await;
}

#[tokio::test]
async fn the_program_waits_for_a_broker() {
    let meter = example_meter().await;
    let mut add_on = AddOn::start(&options(&meter.com_port, ""), None);
    add_on.program.says("No MQTT broker is configured, and Home Assistant cannot be asked").await;
    add_on.program.says("Read 1 of 1 value").await;
    let page = add_on.page().await;
    assert!(ask(page, "/").await.contains("Home Assistant cannot be asked for one"));
    add_on.stops().await;
}

/// Accepts every connection and never answers; counts the clients that have sent something.
async fn deaf() -> (SocketAddr, watch::Receiver<usize>, JoinSet<()>) {
    let (listener, address) = reserve().await;
    let (sender, count) = watch::channel(0);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            connections.spawn(async move {
                let mut heard = [0; 256];
                if stream.read(&mut heard).await.is_ok_and(|length| length > 0) {
                    sender.send_modify(|count| *count += 1);
                }
                while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
            });
        }
    });
    (address, count, serving)
}

#[tokio::test]
async fn stops_in_time_while_the_supervisor_hangs() {
    let (address, mut asked, _serving) = deaf().await;
    let supervisor = Supervisor { address, ..Supervisor::absent().await };
    let meter = example_meter().await;
    let mut add_on = AddOn::start(&options(&meter.com_port, ""), Some(&supervisor));
    patiently("it is asked", asked.wait_for(|count| *count > 0)).await.unwrap();
    add_on.program.says("Read 1 of 1 value").await;
    add_on.stops().await;
}

#[tokio::test]
async fn stops_in_time_while_the_meter_is_silent() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    let (meter, mut asked, _serving) = deaf().await;
    let mut add_on = AddOn::start(&options(&format!("socket://{meter}"), ""), Some(&supervisor));
    subscriber.expect("kamstrup/status", "online").await;
    patiently("it is asked", asked.wait_for(|count| *count > 0)).await.unwrap();
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn stops_in_time_while_the_port_is_opened() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let supervisor = Supervisor::saying("200 OK", &registered(broker.port(), SECRET)).await;
    let (listener, _waiting) = full().await;
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let mut add_on = AddOn::start(&options(&port, ""), Some(&supervisor));
    subscriber.expect("kamstrup/status", "online").await;
    add_on.stops().await;
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
async fn stops_in_time_during_a_reload() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (meter, mut asked, _serving) = deaf().await;
    let yaml = config(&broker, &format!("socket://{meter}"), "energy,power,volume");
    let yaml = yaml.replace("{ com_port", "{ timeout: 10, com_port");
    let mut program = Program::start(&yaml);
    subscriber.expect("kamstrup/status", "online").await;
    patiently("it is asked", asked.wait_for(|count| *count > 0)).await.unwrap();
    program.reload(&yaml.replace("power,", "")).await;
    program.says("Reloaded the configuration. Changed:").await;
    let asked = Instant::now();
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert!(asked.elapsed() < LEAVE, "{:?}", asked.elapsed());
    subscriber.expect("kamstrup/status", "offline").await;
}

/// A broker that accepts every client and then no longer answers.
#[tokio::test]
async fn stops_in_time_while_the_broker_and_the_meter_hang() {
    let (listener, address) = reserve().await;
    let (sender, mut count) = watch::channel(0);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut unread = BytesMut::new();
        stream.read_buf(&mut unread).await.unwrap();
        let mut answer = BytesMut::new();
        ConnAck::new(ConnectReturnCode::Success, false).write(&mut answer).unwrap();
        stream.write_all(&answer).await.unwrap();
        loop {
            let read = stream.read_buf(&mut unread).await.unwrap();
            if read == 0 {
                return;
            }
            sender.send_modify(|count| *count += read);
        }
    });
    let supervisor = Supervisor::saying("200 OK", &registered(address.port(), SECRET)).await;
    let (meter, mut asked, _meter) = deaf().await;
    let mut add_on = AddOn::start(&options(&format!("socket://{meter}"), ""), Some(&supervisor));
    patiently("it is published", count.wait_for(|count| *count > 0)).await.unwrap();
    patiently("it is asked", asked.wait_for(|count| *count > 0)).await.unwrap();
    add_on.stops().await;
}

#[tokio::test]
async fn the_page_works_without_home_assistant() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let address = unused().await;
    let listen = address.to_string();
    // Nothing is listening yet.
    assert!(!is_healthy(&listen).await);
    let port = broker.port().to_string();
    let variables = [
        ("MQTT_HOST", "127.0.0.1"),
        ("MQTT_PORT", port.as_str()),
        ("SERIAL_COM_PORT", meter.com_port.as_str()),
        ("KAMSTRUP_PARAMETERS", "energy,temp1"),
    ];
    let mut program = Program::start_with(&["--listen", &listen], &variables);
    program.says("Read 2 of 2 values").await;
    program.says("Connected to the broker").await;
    let page = ask(address, "/").await;
    for words in [ENERGY_ON_PAGE, "<span class=\"number\">67.25</span>", "Connected to"] {
        assert!(page.contains(words), "{page}");
    }
    assert!(is_healthy(&listen).await);
    // No proxy is used, whatever the environment says.
    let proxy = "http://127.0.0.1:1";
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, proxy));
    assert!(finds_its_page(&["--listen", &listen], &proxies).await);
    // A container's health check uses the program's own settings.
    let all = listen.replace("127.0.0.1", "0.0.0.0");
    assert!(finds_its_page(&[], &[("WEB_LISTEN", &all)]).await);
    assert!(!finds_its_page(&[], &[("WEB_LISTEN", &all), ("WEB_ENABLED", "no")]).await);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("meter.yaml");
    std::fs::write(&file, format!("web: {{ listen: '{listen}' }}\n")).unwrap();
    assert!(finds_its_page(&["--config", file.to_str().unwrap()], &[]).await);
    // Only this program's answer counts as healthy.
    assert!(!is_healthy(&format!("127.0.0.1:{port}")).await);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert!(!is_healthy(&listen).await);
}

#[tokio::test]
async fn systemd_is_notified() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let yaml = config(&broker, &meter.com_port, "energy");
    let file = folder.path().join("meter.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let mut program = Program::start_with(&arguments, &variables);
    let mut told = Vec::new();
    let mut hear = async |text: &str, times: usize| {
        // Messages arrive all the time.
        let heard = async {
            while told.iter().filter(|known: &&String| known.starts_with(text)).count() < times {
                let mut message = [0; 256];
                let length = socket.recv(&mut message).await.unwrap();
                told.push(String::from_utf8(message[..length].to_vec()).unwrap());
            }
        };
        patiently(text, heard).await;
    };
    hear("READY=1\n", 1).await;
    hear("WATCHDOG=1\n", 3).await;
    // A valid configuration, then an invalid one.
    std::fs::write(&file, yaml.replace("energy", "power")).unwrap();
    program.signal("-HUP").await;
    hear("READY=1\n", 2).await;
    std::fs::write(&file, "mqtt: 1\n").unwrap();
    program.signal("-HUP").await;
    hear("READY=1\n", 3).await;
    program.terminate().await;
    hear("STOPPING=1\n", 1).await;
    assert_eq!(program.ended().await.code(), Some(0));
    told.retain(|text| text != "WATCHDOG=1\n");
    for text in &mut told {
        if let Some(time) = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=") {
            assert!(time.trim_end().parse::<u64>().unwrap() > 0);
            *text = "RELOADING=1\n".to_owned();
        }
    }
    let reload = ["RELOADING=1\n", "READY=1\n"];
    assert_eq!(told, [&["READY=1\n"][..], &reload, &reload, &["STOPPING=1\n"]].concat());
}
