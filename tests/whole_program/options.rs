//! The app changes its own options: a stand-in for the Supervisor checks them as the Supervisor
//! does, by the schema of the form.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::addon::page_of;
use crate::broker::Broker;
use crate::program::Program;
use crate::rules::{merged, misfits};
use crate::subscriber::Subscriber;
use crate::{meter_on_pty, patiently};

const TOKEN: &str = "the-token-of-the-add-on";

/// A Supervisor that keeps the app's options.
struct Supervisor {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _serving: JoinSet<()>,
}

struct Kept {
    configuration: Value,
    /// As a user or the app has saved them.
    saved: Value,
    broker: u16,
    /// How often options were saved.
    saves: usize,
    /// Whether the Supervisor is starting.
    is_starting: bool,
}

impl Kept {
    fn answer(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let error = |message: String| (400, json!({ "result": "error", "message": message }));
        if self.is_starting {
            return error("System is not ready with state: setup".to_owned());
        }
        let options = merged(&self.configuration["options"], &self.saved);
        match (method, path) {
            ("GET", "/services/mqtt") => ok(&json!({
                "host": "127.0.0.1", "port": self.broker, "ssl": false, "protocol": "3.1.1",
                "username": "addons", "password": "hunter2-secret", "addon": "core_mosquitto"
            })),
            // The real answer also has the texts of the form in nine languages.
            ("GET", "/addons/self/info") => ok(&json!({
                "slug": "a0d7b954_kamstrup2mqtt", "options": options,
                "translations": "x".repeat(100_000)
            })),
            ("GET", "/addons/self/options/config") => ok(&with_secrets(&options)),
            ("POST", "/addons/self/options") => {
                let body: Value = serde_json::from_str(body).unwrap();
                assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["options"]);
                let merged = merged(&self.configuration["options"], &body["options"]);
                let mut errors = Vec::new();
                misfits(&self.configuration["schema"], &merged, "", &mut errors);
                // A device from the list must be plugged in.
                for place in [&merged, &merged["head"]] {
                    let device = place.get("serial_port").and_then(Value::as_str);
                    if let Some(device) = device.filter(|device| !Path::new(device).exists()) {
                        errors.push(format!("Device '{device}' does not exist"));
                    }
                }
                if !errors.is_empty() {
                    return error(errors.join(", "));
                }
                self.saved = body["options"].clone();
                self.saves += 1;
                ok(&json!({}))
            }
            other => panic!("nobody may ask for {other:?}"),
        }
    }
}

fn ok(data: &Value) -> (u16, Value) {
    (200, json!({ "result": "ok", "data": data }))
}

/// The Supervisor puts the secrets in before the app gets the options.
fn with_secrets(options: &Value) -> Value {
    let text = options.to_string().replace("\"!secret topic\"", "\"heat\"");
    serde_json::from_str(&text).unwrap()
}

impl Supervisor {
    async fn start(saved: Value, broker: u16) -> Self {
        let text = std::fs::read_to_string("kamstrup2mqtt-addon/next.yaml").unwrap();
        let configuration = serde_saphyr::from_str(&text).unwrap();
        let kept = Kept { configuration, saved, broker, saves: 0, is_starting: false };
        let kept = Arc::new(Mutex::new(kept));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        let keeping = Arc::clone(&kept);
        serving.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &keeping).await;
            }
        });
        Self { address, kept, _serving: serving }
    }

    fn saved(&self) -> (Value, usize) {
        let kept = self.kept.lock().unwrap();
        (kept.saved.clone(), kept.saves)
    }

    /// The options as Home Assistant writes them when the app starts.
    fn written(&self) -> String {
        let kept = self.kept.lock().unwrap();
        with_secrets(&merged(&kept.configuration["options"], &kept.saved)).to_string()
    }
}

async fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) {
    let mut asked = Vec::new();
    let (head, body) = loop {
        assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        let text = String::from_utf8(asked.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            break (head.to_owned(), body.to_owned());
        }
    };
    assert!(format!("{head}\r\n").contains(&format!("Bearer {TOKEN}\r\n")), "{head}");
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let (status, answer) = kept.lock().unwrap().answer(method, path, &body);
    let answer = answer.to_string();
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
    let _ = stream
        .write_all(format!("{head}Content-Length: {length}\r\n\r\n{answer}").as_bytes())
        .await;
}

/// The app on a machine with one optical head.
struct App {
    program: Program,
    page: SocketAddr,
    /// Where the head is, by its persistent name.
    head: PathBuf,
    _folder: TempDir,
}

impl App {
    async fn start(supervisor: &Supervisor, port: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let make = |path: &str| std::fs::create_dir_all(root.join(path)).unwrap();
        for folder in ["dev/serial/by-id", "sys/class/tty/ttyUSB0/device", "sys/bus/usb"] {
            make(folder);
        }
        let subsystem = root.join("sys/class/tty/ttyUSB0/device/subsystem");
        symlink(root.join("sys/bus/usb"), subsystem).unwrap();
        symlink(port, root.join("dev/ttyUSB0")).unwrap();
        let head = root.join("dev/serial/by-id/usb-head");
        symlink(port, &head).unwrap();
        let file = root.join("options.json");
        std::fs::write(&file, supervisor.written()).unwrap();
        let arguments = ["--options", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        let address = format!("http://{}", supervisor.address);
        let mut program = Program::start_with(
            &arguments,
            &[
                ("SUPERVISOR_TOKEN", TOKEN),
                ("KAMSTRUP2MQTT_SUPERVISOR", &address),
                ("KAMSTRUP2MQTT_ROOT", root.to_str().unwrap()),
            ],
        );
        let page = page_of(&mut program).await;
        Self { program, page, head, _folder: folder }
    }

    /// Presses a button. Returns the status and the text.
    async fn press(&self, path: &str, form: &str) -> (String, String) {
        let page = self.page;
        let length = form.len();
        let answer = self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {page}\r\nOrigin: http://{page}\r\nContent-Length: \
             {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
        ));
        let answer = answer.await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    }

    async fn send(&self, request: String) -> String {
        let mut stream = TcpStream::connect(self.page).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        patiently("the page", stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        let page = self.page;
        let answer = self.send(format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n")).await;
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The state, once it is so.
    async fn state(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        patiently(what, async {
            loop {
                let state = serde_json::from_str(&self.get("/api/v1/state").await).unwrap();
                if holds(&state) {
                    return state;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await
    }

    async fn find(&self) -> Value {
        assert_eq!(self.press("/find", "").await.0, "303");
        let listed = self.state("a list", |state| state["search"].is_object()).await;
        assert_eq!(listed["search"]["ports"][0]["result"], Value::Null);
        assert_eq!(self.press("/find/start", "").await.0, "303");
        let state = self.state("a result", |state| state["search"]["ended"] == true).await;
        state["search"]["ports"][0].clone()
    }
}

/// A form as a map from each place to its value.
fn flat(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    collect("", value, &mut all);
    all
}

fn collect(path: &str, value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                collect(&format!("{path}/{key}"), value, all);
            }
        }
        other => drop(all.insert(format!("{path}={other}"))),
    }
}

/// From a fresh installation to the first value, without the form.
#[tokio::test]
async fn a_fresh_app_is_set_up_on_its_page() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = meter_on_pty(registers, Behaviour::default());
    // A secret of Home Assistant must stay one.
    let saved = json!({ "mqtt": { "topic": "!secret topic" }, "poll_interval": "2s" });
    let supervisor = Supervisor::start(saved, broker.port()).await;
    let defaults = supervisor.kept.lock().unwrap().configuration["options"].clone();
    let mut app = App::start(&supervisor, &meter.com_port).await;
    app.program.says("Press \"Find my meter\"").await;

    let found = app.find().await;
    assert_eq!(found["result"], "meter", "{found}");
    let head = app.head.to_str().unwrap();
    assert_eq!(found["port"], head);
    let shown = app.get("/").await;
    assert!(shown.contains("action=\"find/use\"") && shown.contains("Use this port"), "{shown}");
    // The Supervisor is being restarted.
    supervisor.kept.lock().unwrap().is_starting = true;
    let form = format!("port={}", head.replace('/', "%2F"));
    let (status, words) = app.press("/find/use", &form).await;
    assert_eq!((status.as_str(), supervisor.saved().1), ("409", 0), "{words}");
    assert!(words.starts_with("Home Assistant is still starting. "), "{words}");
    assert!(app.get("/").await.contains("Home Assistant is still starting."));
    supervisor.kept.lock().unwrap().is_starting = false;
    let (status, words) = app.press("/find/use", &form).await;
    assert_eq!(status, "303", "{words}");
    subscriber.expect("heat/energy", "81947").await;
    let (kept, count) = supervisor.saved();
    let mut expected =
        merged(&defaults, &json!({ "mqtt": { "topic": "!secret topic" }, "poll_interval": "2s" }));
    expected["head"] = json!({ "port": head });
    assert_eq!((flat(&kept), count), (flat(&expected), 1));

    // The search of the meter, with two values ticked.
    let state = app.state("a reading", |state| state["meters"][0]["answers"] == true).await;
    let number = &state["meters"][0]["meter"];
    assert_eq!(app.press("/scan", &format!("meter={number}")).await.0, "303");
    app.state("all registers", |state| state["meters"][0]["scan"]["complete"] == true).await;
    let shown = app.get("/").await;
    assert!(shown.contains("name=\"r\" value=\"60\" checked"), "{shown}");
    assert!(shown.contains("name=\"r\" value=\"97\">"), "{shown}");
    let (status, words) = app.press("/scan/use", &format!("meter={number}&r=60&r=1004")).await;
    assert_eq!(status, "303", "{words}");
    app.program.says("Reading energy, hourcounter from the meter").await;
    subscriber
        .until("hourcounter", |all| all.iter().any(|it| it.topic == "heat/hourcounter"))
        .await;
    expected["parameters"] = json!(["energy", "hourcounter"]);
    let (kept, count) = supervisor.saved();
    assert_eq!((flat(&kept), count), (flat(&expected), 2));
    assert!(app.program.runs());
    app.program.terminate().await;
    assert_eq!(app.program.ended().await.code(), Some(0));
}

/// Options of an earlier version keep their place, and what the Supervisor says is shown.
#[tokio::test]
async fn earlier_options_keep_their_place_and_a_rejection_is_shown() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = meter_on_pty(registers, Behaviour::default());
    let saved = json!({ "port": "/no/such/port", "parameters": ["energy"] });
    let supervisor = Supervisor::start(saved, broker.port()).await;
    let mut app = App::start(&supervisor, &meter.com_port).await;
    app.program.says("Cannot open").await;
    assert_eq!(app.find().await["result"], "meter");
    let form = format!("port={}", app.head.to_str().unwrap().replace('/', "%2F"));

    // A user is editing the options elsewhere.
    supervisor.kept.lock().unwrap().saved["log_level"] = "loud".into();
    let (status, words) = app.press("/find/use", &form).await;
    assert_eq!((status.as_str(), supervisor.saved().1), ("409", 0), "{words}");
    let refused = "Home Assistant rejected the options: log_level: \"loud\" is no list(";
    assert!(words.starts_with(refused), "{words}");
    let shown = app.get("/").await;
    assert!(shown.contains("Home Assistant rejected the options"), "{shown}");

    supervisor.kept.lock().unwrap().saved["log_level"] = "debug".into();
    assert_eq!(app.press("/find/use", &form).await.0, "303");
    subscriber.expect("kamstrup/energy", "81947").await;
    let (saved, _) = supervisor.saved();
    assert_eq!(saved["port"], app.head.to_str().unwrap());
    assert_eq!(
        (&saved["head"], &saved["log_level"]),
        (&Value::Object(Map::new()), &json!("debug"))
    );
    // What was saved elsewhere is used too.
    app.program.says("DEBUG").await;
    app.program.terminate().await;
    assert_eq!(app.program.ended().await.code(), Some(0));
}
