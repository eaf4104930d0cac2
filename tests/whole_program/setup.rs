//! Setting up without a configuration, through the page alone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::broker::Broker;
use crate::page::address;
use crate::program::Program;
use crate::subscriber::Subscriber;
use crate::{example_meter, meter_on_pty, patiently};
use simulator::{Behaviour, EnergyUnit, Registers};

const SECRET: &str = "correct \"horse\": #battery";

/// A browser: it keeps its cookies.
#[derive(Default)]
struct Visitor {
    cookies: Vec<String>,
    headers: String,
}

impl Visitor {
    /// Through a proxy on this machine, a request comes from another one.
    fn elsewhere() -> Self {
        Self { headers: "X-Forwarded-For: 192.168.1.9\r\n".to_owned(), ..Self::default() }
    }

    async fn send(&mut self, page: SocketAddr, head: &str, more: &str, body: &str) -> String {
        let stream = TcpStream::connect(page).await.unwrap();
        self.send_over(stream, head, more, body).await
    }

    async fn send_over(
        &mut self,
        mut stream: TcpStream,
        head: &str,
        more: &str,
        body: &str,
    ) -> String {
        let page = stream.peer_addr().unwrap();
        let cookies = match self.cookies.as_slice() {
            [] => String::new(),
            all => format!("Cookie: {}\r\n", all.join("; ")),
        };
        let request = format!(
            "{head} HTTP/1.1\r\nHost: {page}\r\n{cookies}{}{more}Content-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        patiently("the page", stream.read_to_string(&mut answer)).await.unwrap();
        let set = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
        self.cookies.extend(set.map(pair));
        answer
    }

    async fn get(&mut self, page: SocketAddr) -> String {
        self.send(page, "GET /", "", "").await
    }

    /// Presses a button of the page. Returns the status.
    async fn post(&mut self, page: SocketAddr, path: &str, form: &str) -> u16 {
        let origin = format!("Origin: http://{page}\r\n");
        status(&self.send(page, &format!("POST {path}"), &origin, form).await)
    }

    /// Waits until a page has this text.
    async fn sees(&mut self, page: SocketAddr, text: &str) -> String {
        let looking = async {
            loop {
                let shown = self.get(page).await;
                if shown.contains(text) && !shown.contains("data-waits") {
                    return shown;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        patiently(text, looking).await
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn escaped(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).map(char::from).collect()
}

/// Chooses everything up to the file.
async fn choose(visitor: &mut Visitor, page: SocketAddr, port: &str, broker: u16) {
    assert_eq!(visitor.post(page, "/setup", "").await, 303);
    let form = format!("port=&address={}", escaped(port));
    assert_eq!(visitor.post(page, "/setup/head", &form).await, 303);
    let shown = visitor.sees(page, "id=\"broker-form\"").await;
    assert!(shown.contains("7 of 7 values were read"), "{shown}");
    let form = format!("host=127.0.0.1&port={broker}&username=me&password={}", escaped(SECRET));
    assert_eq!(visitor.post(page, "/setup/broker", &form).await, 303);
    // The embedded broker never acknowledges the end of a subscription, so it is not tried here.
    // Mosquitto is, in `tests/browser/test_setup.py`.
    assert_eq!(visitor.post(page, "/setup/stop", "").await, 303);
    assert_eq!(visitor.post(page, "/setup/next", "").await, 303);
    let shown = visitor.sees(page, "id=\"values-form\"").await;
    assert!(shown.contains("81947 kWh"), "{shown}");
    let form = "version=auto&value=energy&value=power";
    assert_eq!(visitor.post(page, "/setup/values", form).await, 303);
    let shown = visitor.sees(page, "id=\"write\"").await;
    assert!(shown.contains("username: &#34;me&#34;") && !shown.contains("horse"), "{shown}");
}

#[tokio::test]
async fn the_page_alone_leads_from_nothing_to_the_first_value() {
    let broker = Broker::start().await;
    let meter = meter_on_pty(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("my.yaml");
    let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    let page = address(&mut program).await;
    program.says(&format!("There is no file {}. The setup page will write", file.display())).await;
    let open = program.says("There is no configuration yet.").await;
    assert!(open.contains(&format!("http://{page} ")), "{open}");
    let mut visitor = Visitor::default();
    let welcome = visitor.get(page).await;
    assert!(welcome.contains(file.to_str().unwrap()), "{welcome}");
    choose(&mut visitor, page, &meter.com_port, broker.port()).await;

    // A second visitor, another origin, another machine, another name: nothing.
    let (mut second, mut far) = (Visitor::default(), Visitor::elsewhere());
    let paths = ["head", "broker", "values", "write", "next", "stop", "scan", "search"];
    for path in paths.map(|name| format!("/setup/{name}")) {
        assert_eq!(second.post(page, &path, "").await, 409, "{path}");
        assert_eq!(far.post(page, &path, "").await, 401, "{path}");
        for origin in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", ""] {
            let answer = visitor.send(page, &format!("POST {path}"), origin, "").await;
            assert_eq!(status(&answer), 403, "{path} {origin}");
        }
    }
    for shown in [second.get(page).await, far.get(page).await] {
        let all = [file.to_str().unwrap(), &meter.com_port, "username", "energy"];
        assert!(
            !all.iter().any(|text| shown.split_once("\r\n\r\n").unwrap().1.contains(text)),
            "{shown}"
        );
    }
    let mut stream = TcpStream::connect(page).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 421);
    assert!(!file.exists());

    // Browsers open connections for later. The setup page answered on such a connection after it had
    // ended.
    let early = TcpStream::connect(page).await.unwrap();
    assert_eq!(visitor.post(page, "/setup/write", "").await, 303);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    // The same address has the status page.
    let shown = visitor.send_over(early, "GET /", "", "").await;
    assert!(shown.contains("id=\"parts\"") && shown.contains("id=\"meter-0\""), "{shown}");
    subscriber.expect("kamstrup/energy", "81947").await;
    program.says("Read 2 of 2 values").await;
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("# yaml-language-server: $schema="), "{written}");
    assert_eq!(program.count("horse"), 0, "{:#?}", program.log());
    assert_eq!(program.count("WARN"), 0, "{:#?}", program.log());
    // A button of the setup page leads to the status page.
    assert_eq!(visitor.post(page, "/setup/write", "").await, 303);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    // The next start reads the file.
    let mut again = Program::start_with(&arguments, &[]);
    again.says("Read 2 of 2 values").await;
    assert_eq!(again.count("There is no configuration"), 0);
}

/// A service may write only to the folder of its state, and finds the file there at the next start.
#[tokio::test]
async fn a_service_keeps_the_file_in_the_folder_of_its_state() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let state = TempDir::new().unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let variables =
        [("STATE_DIRECTORY", state.path().to_str().unwrap()), ("WEB_LISTEN", "127.0.0.1:0")];
    let mut program = Program::start_service(None, &variables);
    let page = address(&mut program).await;
    let mut visitor = Visitor::default();
    choose(&mut visitor, page, &meter.com_port, broker.port()).await;
    assert_eq!(visitor.post(page, "/setup/write", "").await, 303);
    program.says("Read 2 of 2 values").await;
    let file = state.path().join("config.yaml");
    program.says(&format!("Using the configuration {}", file.display())).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    let mut again = Program::start_service(None, &variables);
    again.says("Read 2 of 2 values").await;
}

/// In a container, every browser comes from another machine.
#[tokio::test]
async fn elsewhere_the_code_of_the_log_is_needed() {
    let state = TempDir::new().unwrap();
    let variables =
        [("STATE_DIRECTORY", state.path().to_str().unwrap()), ("WEB_LISTEN", "0.0.0.0:0")];
    let mut program = Program::start_with(&["--stay"], &variables);
    let listening = address(&mut program).await;
    let page = SocketAddr::from(([127, 0, 0, 1], listening.port()));
    let line = program.says("enter this code: ").await;
    let code = line.split("enter this code: ").nth(1).unwrap().split('.').next().unwrap();
    let mut far = Visitor::elsewhere();
    let shown = far.get(page).await;
    assert!(shown.contains("id=\"token\"") && !shown.contains(code), "{shown}");
    assert!(!shown.contains(state.path().to_str().unwrap()), "{shown}");
    assert_eq!(far.post(page, "/setup", "").await, 401);
    assert_eq!(far.post(page, "/token", "token=abcd-efgh").await, 401);
    assert!(far.cookies.is_empty());
    assert_eq!(far.post(page, "/token", &format!("token={code}")).await, 303);
    assert_eq!(far.post(page, "/setup", "").await, 303);
    assert!(far.get(page).await.contains("id=\"head-form\""));
    // Now somebody sets up, so this machine must wait.
    let mut here = Visitor::default();
    assert!(here.get(page).await.contains("id=\"taken-head\""));
    assert_eq!(here.post(page, "/setup", "").await, 409);
    // Guesses are slowed down.
    let mut guesser = Visitor::elsewhere();
    let mut last = 0;
    for _ in 0..6 {
        last = guesser.post(page, "/token", "token=x").await;
    }
    assert_eq!(last, 429);
    // The page's token is another one, and is not asked for meanwhile.
    assert_eq!(program.count("To press buttons"), 0);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    // Another start has another code.
    let mut program = Program::start_with(&["--stay"], &variables);
    let other = program.says("enter this code: ").await;
    assert!(!other.contains(code), "{other}");
}

#[tokio::test]
async fn a_file_that_appears_meanwhile_is_used_and_left_as_it_is() {
    let (broker, meter) = (Broker::start().await, example_meter().await);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    let page = address(&mut program).await;
    let mut visitor = Visitor::default();
    choose(&mut visitor, page, &meter.com_port, broker.port()).await;
    let mine = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\nserial_device: {{ com_port: '{}' }}\n",
        broker.port(),
        meter.com_port
    );
    fs::write(&file, &mine).unwrap();
    assert_eq!(visitor.post(page, "/setup/write", "").await, 303);
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
    // The program looks for it every ten seconds, and on SIGHUP at once.
    program.signal("-HUP").await;
    program.says("Read 7 of 7 values").await;
    assert_eq!(program.count("has written"), 0, "{:#?}", program.log());
}

#[tokio::test]
async fn only_without_any_configuration_is_there_a_setup_page() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("confg.yaml");
    let missing = missing.to_str().unwrap();
    let invalid = folder.path().join("config.yaml");
    fs::write(&invalid, "mqtt: { qos: 7 }\n").unwrap();
    let dangling = folder.path().join("link.yaml");
    symlink(folder.path().join("nothing"), &dangling).unwrap();
    let ends = [
        (vec!["--no-setup"], vec![]),
        (vec!["--no-setup", "--config", missing], vec![]),
        (vec!["--config", invalid.to_str().unwrap()], vec![]),
        (vec!["--config", dangling.to_str().unwrap()], vec![]),
        (vec!["--listen", "127.0.0.1:0"], vec![("MQTT_HOST", "broker")]),
        (vec!["--listen", "127.0.0.1:0"], vec![("KAMSTRUP_VERSON", "auto")]),
        (vec![], vec![("WEB_ENABLED", "no")]),
        (vec!["--config", missing], vec![("MQTT_PASSWORD_FILE", "/proc/none")]),
    ];
    for (arguments, variables) in ends {
        let mut program = Program::start_with(&arguments, &variables);
        assert_eq!(program.ended().await.code(), Some(2), "{arguments:?} {variables:?}");
        program.says("error: ").await;
    }
    // Without its token, the setup page would be open to this machine.
    for (name, value) in
        [("WEB_TOKEN", "short"), ("WEB_TOKEN_FILE", "/proc/none"), ("LOG_LEVEL", "LOUD")]
    {
        for arguments in [vec![], vec!["--config", missing]] {
            let mut program = Program::start_with(&arguments, &[(name, value)]);
            assert_eq!(program.ended().await.code(), Some(2), "{name}");
            program.says(&format!("`{name}`")).await;
            assert_eq!(program.count("com_port"), 0, "{:#?}", program.log());
        }
        let arguments = ["--stay", "--config", missing, "--listen", "127.0.0.1:0"];
        let mut program = Program::start_with(&arguments, &[(name, value)]);
        let page = address(&mut program).await;
        program.says("No meter is read until the configuration is fixed").await;
        let shown = Visitor::default().get(page).await;
        assert!(shown.contains(name) && !shown.contains("/setup"), "{shown}");
        let is_locked = name.starts_with("WEB_TOKEN");
        let pressed = Visitor::default().post(page, "/find/stop", "").await;
        assert_eq!(pressed, if is_locked { 401 } else { 303 }, "{name}");
    }
    // A misspelled path is reported, and what it may have meant.
    let arguments = ["--config", missing, "--listen", "127.0.0.1:0"];
    let variables =
        [("LOG_LEVEL", "INFO"), ("LOGS_DIRECTORY", "/tmp"), ("WEB_TOKEN", SECRET_TOKEN)];
    let mut program = Program::start_with(&arguments, &variables);
    let line = program.says("There is no file").await;
    assert!(line.contains(&format!("did you mean `{}`", invalid.display())), "{line}");
    // A configured token is for this machine too.
    let page = address(&mut program).await;
    let mut visitor = Visitor::default();
    assert!(visitor.get(page).await.contains("WEB_TOKEN"));
    assert_eq!(visitor.post(page, "/token", &format!("token={SECRET_TOKEN}")).await, 303);
    assert_eq!(visitor.post(page, "/setup", "").await, 303);
    assert_eq!(program.count(SECRET_TOKEN), 0);
}

const SECRET_TOKEN: &str = "hunter22-token";

#[tokio::test]
async fn a_folder_that_is_missing_is_explained_before_the_visitor_types_anything() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("none/config.yaml");
    let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    let page = address(&mut program).await;
    let line = program.says("The setup page cannot write its file").await;
    assert!(line.contains("mkdir -p"), "{line}");
    let shown = Visitor::default().get(page).await;
    assert!(shown.contains("does not exist") && shown.contains("mkdir -p"), "{shown}");
    let health = Visitor::default().send(page, "GET /health", "", "").await;
    assert!(health.ends_with("\r\n\r\nok"), "{health}");
    let ready = Visitor::default().send(page, "GET /ready", "", "").await;
    assert_eq!(status(&ready), 503);
    assert!(!Path::new(&file).exists());
}

/// A machine with one network interface and the serial ports that a test plugs in.
struct Machine(TempDir);

impl Machine {
    fn with_interface(index: &str, link: &str, is_card: bool) -> Self {
        let machine = Self(TempDir::new().unwrap());
        let interface = machine.make("sys/class/net/eth0");
        fs::write(interface.join("ifindex"), index).unwrap();
        fs::write(interface.join("iflink"), link).unwrap();
        if is_card {
            machine.make("sys/class/net/eth0/device");
        }
        machine.make("sys/class/tty");
        machine
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn make(&self, folder: &str) -> PathBuf {
        let folder = self.root().join(folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn plug_in(&self, tty: &str, port: &str) -> PathBuf {
        let device = self.make(&format!("sys/class/tty/{tty}/device"));
        symlink(self.make("sys/bus/usb"), device.join("subsystem")).unwrap();
        let path = self.make("dev").join(tty);
        symlink(port, &path).unwrap();
        path
    }
}

/// Whether the page is open to others is for `-p` to decide. With `--network host` there is no `-p`.
#[tokio::test]
async fn only_in_a_network_of_its_own_a_container_listens_on_all_addresses() {
    for (machine, address) in [
        (Machine::with_interface("2", "14", false), "0.0.0.0:8099"),
        (Machine::with_interface("2", "2", true), "127.0.0.1:8099"),
    ] {
        let root = machine.root();
        let variables = [
            ("KAMSTRUP2MQTT_ROOT", root.to_str().unwrap()),
            ("KAMSTRUP2MQTT_CONTAINER", "true"),
            ("STATE_DIRECTORY", root.to_str().unwrap()),
        ];
        // Another program may use this port. Then the log says so with the address.
        let mut program = Program::start_with(&["--stay"], &variables);
        let line = program.says("The status page ").await;
        assert!(line.contains(address), "{line}");
        // The user's wish has precedence.
        let wish = [variables.as_slice(), &[("WEB_LISTEN", "127.0.0.1:0")]].concat();
        let mut program = Program::start_with(&["--stay"], &wish);
        let page = crate::page::address(&mut program).await;
        assert!(page.ip().is_loopback());
        let mut visitor = Visitor::default();
        assert_eq!(visitor.post(page, "/setup", "").await, 303);
        let shown = visitor.get(page).await;
        assert!(shown.contains("--device"), "{shown}");
    }
}

#[tokio::test]
async fn a_search_of_the_page_finds_the_meter_and_asks_only_what_was_shown() {
    let machine = Machine::with_interface("2", "2", true);
    let root = machine.root();
    let meter = meter_on_pty(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let other = meter_on_pty(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let port = machine.plug_in("ttyUSB0", &meter.com_port);
    let variables = [
        ("KAMSTRUP2MQTT_ROOT", root.to_str().unwrap()),
        ("STATE_DIRECTORY", root.to_str().unwrap()),
        ("WEB_LISTEN", "127.0.0.1:0"),
    ];
    let mut program = Program::start_with(&["--stay"], &variables);
    let page = address(&mut program).await;
    let mut visitor = Visitor::default();
    assert_eq!(visitor.post(page, "/setup", "").await, 303);
    let shown = visitor.get(page).await;
    assert!(shown.contains(port.to_str().unwrap()) && shown.contains("will be asked"), "{shown}");
    machine.plug_in("ttyUSB1", &other.com_port);
    assert_eq!(visitor.post(page, "/setup/search", "").await, 303);
    let shown = visitor.sees(page, ", serial number ").await;
    assert_eq!(shown.matches(", serial number ").count(), 1, "{shown}");
    assert_eq!(shown.matches("will be asked").count(), 1, "{shown}");
    assert!(!shown.contains("No meter answered"), "{shown}");
}

#[tokio::test]
async fn the_log_says_how_to_set_up_at_another_address_and_the_page_how_long_a_form_may_be() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let arguments = ["--config", file.to_str().unwrap(), "--listen", &listen];
    let mut program = Program::start_with(&arguments, &[]);
    let line = program.says("another program uses this port").await;
    assert!(line.contains("`--listen`") && line.contains("`WEB_LISTEN`"), "{line}");
    assert!(!line.contains("web.listen"), "{line}");
    drop(program);
    let arguments = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut program = Program::start_with(&arguments, &[]);
    let page = address(&mut program).await;
    let mut visitor = Visitor::default();
    assert_eq!(visitor.post(page, "/setup", "").await, 303);
    let origin = format!("Origin: http://{page}\r\n");
    let form = format!("version=auto&value={}", "x".repeat(8 * 1024));
    let answer = visitor.send(page, "POST /setup/values", &origin, &form).await;
    assert_eq!(status(&answer), 413);
    assert!(answer.contains("8192 bytes"), "{answer}");
}
