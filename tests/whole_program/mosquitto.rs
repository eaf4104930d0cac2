//! Tests that need Mosquitto: TLS, and what it rejects. The embedded broker has neither, so `cargo
//! test` reports these tests as ignored, and `.ci/run` runs them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rcgen::{KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::broker::own_port;
use crate::certificates::{Authority, Certified};
use crate::limited;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{ALL_NAMES, Meter, example_meter, patiently};

const HERE: &str = "127.0.0.1";

/// The password of the keys in `tests/data/tls`.
const KEY_PASSWORD: &str = "hunter2-key";

/// A Mosquitto with two listeners: one that a test configures, and one that accepts every client,
/// to see what arrives.
struct Mosquitto {
    process: Child,
    folder: TempDir,
    open: u16,
    port: u16,
}

impl Mosquitto {
    /// With these settings for the first listener, in which `FOLDER` is the folder of the files.
    async fn start(files: &[(&str, &str)], settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (open, port) = (own_port().await, own_port().await);
        let settings = settings.replace("FOLDER", folder.path().to_str().unwrap());
        let all = format!(
            "per_listener_settings true\nuser root\nlistener {open} {HERE}\nallow_anonymous true\n\
             listener {port} {HERE}\n{settings}"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), all).unwrap();
        let process = launch(folder.path(), [open, port]).await;
        Self { process, folder, open, port }
    }

    /// It shows its certificate to clients, and does not require one.
    async fn with_certificate(shown: &Certified) -> Self {
        Self::start(&shown_files(shown), SHOWN).await
    }

    /// The same, but it requires a client certificate of this authority.
    async fn that_wants(shown: &Certified, authority: &Authority) -> Self {
        let mut files = shown_files(shown);
        files.push(("clients.crt", &authority.pem));
        Self::start(&files, &format!("{SHOWN}{WANTED}")).await
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Changes the password of the only user and reloads it.
    async fn set_password(&self, password: &str) {
        make_password(&self.folder.path().join("passwords"), password).await;
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    }

    async fn restart(&mut self) {
        self.process.kill().await.unwrap();
        self.process = launch(self.folder.path(), [self.open, self.port]).await;
    }

    async fn subscriber(&self) -> Subscriber {
        Subscriber::connect(self.open).await
    }
}

const SHOWN: &str = "allow_anonymous true\ncertfile FOLDER/broker.crt\nkeyfile FOLDER/broker.key\n";
const WANTED: &str = "require_certificate true\ncafile FOLDER/clients.crt\n";

fn shown_files(shown: &Certified) -> Vec<(&'static str, &str)> {
    vec![("broker.crt", &shown.certificate), ("broker.key", &shown.key)]
}

async fn make_password(file: &Path, password: &str) {
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", file.to_str().unwrap(), "somebody", password])
        .stderr(Stdio::null())
        .status()
        .await;
    let made =
        made.unwrap_or_else(|error| panic!("mosquitto_passwd, which is Mosquitto's: {error}"));
    assert!(made.success());
}

async fn launch(folder: &Path, ports: [u16; 2]) -> Child {
    assert_eq!(
        std::env::var("KAMSTRUP2MQTT_TEST_BROKER").as_deref(),
        Ok("mosquitto"),
        "this test needs Mosquitto: install it and set KAMSTRUP2MQTT_TEST_BROKER=mosquitto"
    );
    let spawn = || {
        Command::new("mosquitto")
            .args(["-c", folder.join("mosquitto.conf").to_str().unwrap()])
            // For TLS 1.2 at most where a test asks for it: Mosquitto has no setting for that.
            .env("OPENSSL_CONF", folder.join("openssl.cnf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("mosquitto: {error}"))
    };
    let listening = async {
        let mut process = spawn();
        for port in ports {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                // Another connection may use the port for a moment.
                if process.try_wait().unwrap().is_some() {
                    process = spawn();
                }
            }
        }
        process
    };
    patiently("Mosquitto listens", listening).await
}

/// For OpenSSL, which Mosquitto uses.
const ONLY_1_2: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = \
                        default\n[default]\nMaxProtocol = TLSv1.2\n";

/// The program's settings for certificates, and the paths of the files.
#[derive(Default)]
struct Ours<'a> {
    ca: Option<&'a str>,
    certified: Option<&'a Certified>,
    more: &'a str,
}

/// A configuration for the program, with TLS.
fn yaml(broker: &Mosquitto, meter: &Meter, ours: &Ours<'_>) -> String {
    let mut mqtt =
        format!("  host: {HERE}\n  port: {}\n  tls_enabled: True\n{}", broker.port, ours.more);
    let mut file = |key: &str, name: &str, text: &str| {
        let path = broker.write(name, text);
        writeln!(mqtt, "  {key}: {}", path.display()).unwrap();
    };
    if let Some(ca) = ours.ca {
        file("tls_ca_cert", "ca.crt", ca);
    }
    if let Some(Certified { certificate, key }) = ours.certified {
        file("tls_cert", "client.crt", certificate);
        file("tls_key", "client.key", key);
    }
    let com_port = &meter.com_port;
    format!(
        "mqtt:\n{mqtt}serial_device: {{ com_port: '{com_port}' }}\n\
         kamstrup: {{ poll_interval: 0.02, parameters: energy }}\nlogging: {{ level: DEBUG }}\n"
    )
}

/// The program's log line about the connection, without time and port.
async fn connection_message(broker: &Mosquitto, program: &mut Program) -> String {
    let line = program.says("No connection to the broker").await;
    let (_, line) = line.split_once(" WARN ").unwrap();
    line.replace(&broker.port.to_string(), "PORT")
}

/// Values arrive, and the program disconnects properly.
async fn works(broker: &Mosquitto, program: &mut Program) {
    let mut subscriber = broker.subscriber().await;
    subscriber.expect("kamstrup/status", "online").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
    assert_eq!(program.count("No connection to the broker"), 0, "{:#?}", program.log());
}

fn kept(name: &str) -> String {
    let path = format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The key in all files of `tests/data/tls`.
fn opened() -> KeyPair {
    let text = kept("aes-256.key").replace("ENCRYPTED ", "");
    let sealed = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.secret_pkcs8_der()).unwrap();
    KeyPair::try_from(sealed.decrypt(KEY_PASSWORD).unwrap().as_bytes()).unwrap()
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn values_arrive_by_tls() {
    let (ca, clients) = (Authority::new("CA"), Authority::new("CA of clients"));
    let shown = ca.sign(&[HERE, "localhost"]);
    let meter = example_meter().await;
    let ours = Ours { ca: Some(&ca.pem), ..Ours::default() };

    let broker = Mosquitto::with_certificate(&shown).await;
    for more in ["", "  tls_version: 1.3\n", "  tls_version: ssl.PROTOCOL_TLSv1_2\n"] {
        let mut program = Program::start(&yaml(&broker, &meter, &Ours { more, ..ours }));
        works(&broker, &mut program).await;
    }
    // By name, with the system's list of CAs, and with variables.
    let path = broker.write("system.pem", &ca.pem);
    let variables = [
        ("MQTT_HOST", "localhost"),
        ("MQTT_PORT", &broker.port.to_string()),
        ("MQTT_TLS_ENABLED", "true"),
        ("SSL_CERT_FILE", path.to_str().unwrap()),
        ("SERIAL_COM_PORT", &meter.com_port),
        ("KAMSTRUP_PARAMETERS", "energy"),
    ];
    works(&broker, &mut Program::start_with(&[], &variables)).await;

    let broker = Mosquitto::that_wants(&shown, &clients).await;
    let certified = clients.sign(&["kamstrup"]);
    let ours = Ours { certified: Some(&certified), ..ours };
    works(&broker, &mut Program::start(&yaml(&broker, &meter, &ours))).await;
    // A key encrypted by OpenSSL, and all settings as variables.
    let path = broker.write("given.crt", &ca.pem);
    let key_path = broker.write("sealed.key", &kept("aes-256.key"));
    let certificate = clients.sign_key(&opened(), &["kamstrup"], |_| {});
    let certificate_path = broker.write("sealed.crt", &certificate);
    let variables = [
        ("MQTT_HOST", HERE),
        ("MQTT_PORT", &broker.port.to_string()),
        ("MQTT_TLS_ENABLED", "1"),
        ("MQTT_TLS_CA_CERT", path.to_str().unwrap()),
        ("MQTT_TLS_CERT", certificate_path.to_str().unwrap()),
        ("MQTT_TLS_KEY", key_path.to_str().unwrap()),
        ("MQTT_TLS_KEY_PASSWORD", KEY_PASSWORD),
        ("MQTT_TLS_INSECURE", "no"),
        ("MQTT_TLS_VERSION", "PROTOCOL_TLS"),
        ("SERIAL_COM_PORT", &meter.com_port),
        ("KAMSTRUP_PARAMETERS", "energy"),
        ("LOG_LEVEL", "DEBUG"),
    ];
    let mut program = Program::start_with(&[], &variables);
    works(&broker, &mut program).await;
    assert!(program.log().len() > 10);
    assert_eq!(program.count("hunter2"), 0, "{:#?}", program.log());
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn a_certificate_that_is_its_own_ca_is_trusted_when_it_is_named() {
    let shown = Authority::self_signed(&[HERE], |_| {});
    let (broker, meter) = (Mosquitto::with_certificate(&shown).await, example_meter().await);
    let ours = Ours { ca: Some(&shown.certificate), ..Ours::default() };
    works(&broker, &mut Program::start(&yaml(&broker, &meter, &ours))).await;
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn it_reconnects_after_a_restart() {
    let ca = Authority::new("CA");
    let shown = ca.sign(&[HERE]);
    let (mut broker, meter) = (Mosquitto::that_wants(&shown, &ca).await, example_meter().await);
    let certified = ca.sign(&["kamstrup"]);
    let ours = Ours { ca: Some(&ca.pem), certified: Some(&certified), more: "" };
    let mut program = Program::start(&yaml(&broker, &meter, &ours));
    broker.subscriber().await.expect("kamstrup/energy", "81947").await;
    broker.restart().await;
    let mut subscriber = broker.subscriber().await;
    subscriber.expect("kamstrup/status", "online").await;
    subscriber.expect("kamstrup/energy", "81947").await;
    program.says("again after").await;
    assert_eq!(program.count("No connection to the broker"), 1);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    subscriber.expect("kamstrup/status", "offline").await;
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn a_password_is_changed_and_changed_back() {
    let passwords = TempDir::new().unwrap();
    let file = passwords.path().join("passwords");
    make_password(&file, "hunter2-good").await;
    let made = std::fs::read_to_string(&file).unwrap();
    let settings = "allow_anonymous false\npassword_file FOLDER/passwords\n";
    let broker = Mosquitto::start(&[("passwords", &made)], settings).await;
    let meter = example_meter().await;
    let yaml = format!(
        "mqtt: {{ host: {HERE}, port: {}, username: somebody, password: hunter2-good }}\n\
         serial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ poll_interval: 0.02, parameters: energy }}\nlogging: {{ level: DEBUG }}\n",
        broker.port, meter.com_port
    );
    let mut program = Program::start(&yaml);
    let mut subscriber = broker.subscriber().await;
    subscriber.expect("kamstrup/energy", "81947").await;

    broker.set_password("hunter2-other").await;
    program.says("it does not authorize this user").await;
    // It keeps trying, and does not repeat the message.
    program.says_times("Still no connection to the broker", 2).await;
    let connection_message = |program: &Program| {
        let all = program.log().into_iter();
        all.filter(|line| line.contains("No connection") && line.contains("authorize this user"))
            .count()
    };
    assert_eq!(connection_message(&program), 1, "{:#?}", program.log());
    assert!(program.runs());
    let before = subscriber.all().len();

    broker.set_password("hunter2-good").await;
    program.says("again after").await;
    let again =
        |all: &[Arrived]| all.iter().skip(before).any(|arrived| arrived.topic == "kamstrup/energy");
    subscriber.until("values again", again).await;
    assert_eq!(connection_message(&program), 1, "{:#?}", program.log());
    assert_eq!(program.count("hunter2"), 0, "{:#?}", program.log());
}

/// An expired or invalid client certificate is renewed while the program runs.
#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let ca = Authority::new("CA");
    let shown = ca.sign(&[HERE]);
    let (broker, meter) = (Mosquitto::that_wants(&shown, &ca).await, example_meter().await);
    let old = ca.sign_changed(&["kamstrup"], |it| it.not_after = date_time_ymd(2026, 1, 31));
    let ours = Ours { ca: Some(&ca.pem), certified: Some(&old), more: "" };
    let mut program = Program::start(&yaml(&broker, &meter, &ours));
    program.says("it reports that the client certificate has expired").await;
    let Certified { certificate, key } = ca.sign(&["kamstrup"]);
    // As a tool for renewal does it, one after the other.
    broker.write("client.crt", &certificate);
    program.says("is not the key of the certificate").await;
    broker.write("client.key", &key);
    program.says("Using the renewed certificate files for the broker").await;
    broker.subscriber().await.expect("kamstrup/energy", "81947").await;
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn every_invalid_certificate_has_its_own_message() {
    let (ca, other) = (Authority::new("CA"), Authority::new("other CA"));
    let good = ca.sign(&[HERE]);
    let expired = ca.sign_changed(&[HERE], |it| it.not_after = date_time_ymd(2026, 1, 31));
    let early = ca.sign_changed(&[HERE], |it| it.not_before = date_time_ymd(2099, 1, 1));
    let elsewhere = ca.sign(&["broker.lan", "10.0.0.2"]);
    let nowhere = ca.sign(&[]);
    let version_1 = Certified { certificate: kept("version-1.crt"), key: opened().serialize_pem() };
    let own_ca = Authority::self_signed(&[HERE], |_| {});
    let meter = example_meter().await;
    let mut lines = Vec::new();

    for (case, shown, trusted) in [
        ("another CA", &good, &other.pem),
        ("expired", &expired, &ca.pem),
        ("not yet valid", &early, &ca.pem),
        ("another host", &elsewhere, &ca.pem),
        ("no names", &nowhere, &ca.pem),
        ("version 1", &version_1, &version_1.certificate),
        ("its own CA", &own_ca, &ca.pem),
    ] {
        let broker = Mosquitto::with_certificate(shown).await;
        let ours = Ours { ca: Some(trusted), ..Ours::default() };
        let mut program = Program::start(&yaml(&broker, &meter, &ours));
        lines.push(format!("{case}: {}", connection_message(&broker, &mut program).await));
        assert!(program.runs());
        // With `tls_insecure` the program connects all the same, and warns.
        let more = "  tls_insecure: True\n";
        let mut program = Program::start(&yaml(&broker, &meter, &Ours { more, ..ours }));
        broker.subscriber().await.expect("kamstrup/energy", "81947").await;
        program.says("`mqtt.tls_insecure` is on").await;
    }

    let theirs = other.sign(&["kamstrup"]);
    let old = ca.sign_changed(&["kamstrup"], |it| it.not_after = date_time_ymd(2026, 1, 31));
    let early = ca.sign_changed(&["kamstrup"], |it| it.not_before = date_time_ymd(2099, 1, 1));
    for (version, openssl) in [("1.3", ""), ("1.2", ONLY_1_2)] {
        let mut files = shown_files(&good);
        files.extend([("clients.crt", ca.pem.as_str()), ("openssl.cnf", openssl)]);
        let broker = Mosquitto::start(&files, &format!("{SHOWN}{WANTED}")).await;
        for (case, certified) in [
            ("none", None),
            ("of another CA", Some(&theirs)),
            ("expired", Some(&old)),
            ("not yet valid", Some(&early)),
        ] {
            let ours = Ours { ca: Some(&ca.pem), certified, more: "" };
            let mut program = Program::start(&yaml(&broker, &meter, &ours));
            let connection_message = connection_message(&broker, &mut program).await;
            lines.push(format!(
                "it wants a certificate by TLS {version}, {case}: {connection_message}"
            ));
        }
        let ours = Ours { ca: Some(&ca.pem), certified: None, more: "  tls_version: 1.3\n" };
        let mut program = Program::start(&yaml(&broker, &meter, &ours));
        let connection_message = connection_message(&broker, &mut program).await;
        lines.push(format!(
            "no certificate, we want 1.3, it speaks {version}: {connection_message}"
        ));
    }
    insta::assert_snapshot!("wrong_certificates", lines.join("\n"));
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn a_port_with_or_without_tls_by_mistake_is_reported() {
    let ca = Authority::new("CA");
    let shown = ca.sign(&[HERE]);
    let (mut broker, meter) = (Mosquitto::with_certificate(&shown).await, example_meter().await);
    let ours = Ours { ca: Some(&ca.pem), ..Ours::default() };
    let secured = yaml(&broker, &meter, &ours);
    let plain = secured.replace("tls_enabled: True", "tls_enabled: False");
    let mut program = Program::start(&plain);
    let without = connection_message(&broker, &mut program).await;
    program.says("`mqtt.tls_enabled` is off").await;
    std::mem::swap(&mut broker.open, &mut broker.port);
    let mut program = Program::start(&yaml(&broker, &meter, &ours));
    let with = connection_message(&broker, &mut program).await;
    let all = format!("TLS spoken to without: {without}\nplain spoken to with TLS: {with}");
    insta::assert_snapshot!("other_language", all);
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn rejections_are_explained() {
    let settings = "allow_anonymous false\n";
    let broker = Mosquitto::start(&[], settings).await;
    let meter = example_meter().await;
    let mut lines = Vec::new();
    for (case, user) in
        [("nobody", ""), ("somebody it does not know", ", username: somebody, password: hunter2")]
    {
        let yaml = format!(
            "mqtt: {{ host: {HERE}, port: {}{user} }}\n\
             serial_device: {{ com_port: '{}' }}\n",
            broker.port, meter.com_port
        );
        let mut program = Program::start(&yaml);
        lines.push(format!("{case}: {}", connection_message(&broker, &mut program).await));
        program.says("Read ").await;
        assert!(program.runs());
        assert_eq!(program.count("hunter2"), 0);
    }
    insta::assert_snapshot!("refusals", lines.join("\n"));
}

#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn forget_uses_tls_too() {
    let ca = Authority::new("CA");
    let shown = ca.sign(&[HERE]);
    let (broker, meter) = (Mosquitto::that_wants(&shown, &ca).await, example_meter().await);
    let certified = ca.sign(&["kamstrup"]);
    let ours = Ours { ca: Some(&ca.pem), certified: Some(&certified), more: "  retain: True\n" };
    let yaml = yaml(&broker, &meter, &ours);
    let mut program = Program::start(&yaml);
    broker.subscriber().await.expect("kamstrup/energy", "81947").await;
    program.terminate().await;
    program.ended().await;
    let file = broker.write("kamstrup.yaml", &yaml);
    let arguments = ["forget", "--config", file.to_str().unwrap()];
    let mut program = Program::start_with(&arguments, &[]);
    program.says("from the broker:").await;
    assert_eq!(program.ended().await.code(), Some(0));
    let mut later = broker.subscriber().await;
    later.publish("mark", "", false).await;
    later.until("the mark", |all| all.iter().any(|arrived| arrived.topic == "mark")).await;
    assert!(!later.last().contains_key("kamstrup/energy"), "{:#?}", later.last());

    broker.write("ca.crt", &Authority::new("other CA").pem);
    let mut program = Program::start_with(&arguments, &[]);
    program.says("its certificate is signed by a CA that is not trusted").await;
    assert_eq!(program.ended().await.code(), Some(1));
}

/// Mosquitto with limits: what the program's log says, and what `check --online` says.
#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn each_limit_of_mosquitto_gets_its_true_cause() {
    let access = "user somebody\ntopic readwrite kamstrup/#\ntopic read #\n";
    let open = "allow_anonymous true\n";
    let listed = "allow_anonymous false\npassword_file FOLDER/passwords\nacl_file FOLDER/access\n";
    let limits = [
        ("retain_available false\n", open, "last will"),
        ("", "allow_anonymous true\nmax_qos 0\n", "last will"),
        ("max_packet_size 400\n", open, "No stable connection"),
        ("message_size_limit 400\n", open, "has not returned"),
        ("", listed, "has not returned"),
    ];
    let mut texts = Vec::new();
    for (global, listener, expected) in limits {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("access"), access).unwrap();
        make_password(&folder.path().join("passwords"), "hunter2").await;
        let port = own_port().await;
        let listener = listener.replace("FOLDER", folder.path().to_str().unwrap());
        let all = format!(
            "per_listener_settings true\nuser root\n{global}listener {port} {HERE}\n{listener}"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), all).unwrap();
        let _process = launch(folder.path(), [port, port]).await;
        let meter = example_meter().await;
        let login = ", username: somebody, password: hunter2";
        let checked = limited::checked(port, &meter, login).await;
        let mut program = Program::start(&limited::yaml(port, &meter, login));
        let logged = limited::message(&program.says(expected).await, port);
        let settings = [global, listener.lines().last().unwrap_or_default()].concat();
        let settings = settings.replace(folder.path().to_str().unwrap(), "FOLDER");
        texts.push(format!("## {}\nlog:   {logged}\ncheck: {checked}\n", settings.trim()));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

/// Mosquitto confirmed all values and dropped all but the first.
#[tokio::test]
#[ignore = "needs Mosquitto, see tests/README.md"]
async fn values_with_qos_2_arrive_whatever_the_limit_of_unfinished_ones() {
    let settings = "allow_anonymous true\nmax_inflight_messages 1\n";
    let broker = Mosquitto::start(&[], settings).await;
    let mut subscriber = broker.subscriber().await;
    let meter = example_meter().await;
    let yaml = format!(
        "mqtt: {{ host: {HERE}, port: {}, qos: 2 }}\n\
         serial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ version: 402, poll_interval: 0.02, parameters: '{ALL_NAMES}' }}\n",
        broker.port, meter.com_port
    );
    let program = Program::start(&yaml);
    let names = ["energy", "volume", "reading", "connection", "last_read"];
    let all = |arrived: &[Arrived]| {
        let topics: Vec<_> = arrived.iter().map(|arrived| arrived.topic.as_str()).collect();
        names.iter().all(|name| topics.contains(&format!("kamstrup/{name}").as_str()))
    };
    subscriber.until("all values", all).await;
    program.terminate().await;
}
