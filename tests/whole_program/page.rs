//! The page of the program: its actions are carried out, and their results are shown.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::Broker;
use crate::program::Program;
use crate::{example_meter, meter_on_tcp, patiently};

const SECRET: &str = "correct horse battery staple";

/// The address of the page of a program that was just started.
pub(crate) async fn address(program: &mut Program) -> SocketAddr {
    let line = program.says("The status page is at http://").await;
    line.rsplit('/').next().unwrap().trim_end_matches('.').parse().unwrap()
}

async fn send(page: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(page).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    patiently("the page", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

pub(crate) async fn get(page: SocketAddr, path: &str) -> String {
    let answer = send(page, format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    body.to_owned()
}

/// The page's data about all meters, as JSON.
pub(crate) async fn state(page: SocketAddr) -> Value {
    serde_json::from_str(&get(page, "/api/v1/state").await).unwrap()
}

/// The program with its page. It polls once an hour, so any earlier poll was requested.
struct Running {
    program: Program,
    page: SocketAddr,
}

impl Running {
    async fn start(broker: &Broker, com_port: &str) -> Self {
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, username: me, password: {SECRET} }}\n\
             serial_device: {{ com_port: '{com_port}' }}\n\
             kamstrup: {{ poll_interval: 1h, parameters: 'energy,temp1' }}\n\
             web: {{ enabled: yes, listen: '127.0.0.1:0' }}\n",
            broker.port()
        );
        let mut program = Program::start_by(&yaml, &[("WEB_ENABLED", "yes")]);
        let page = address(&mut program).await;
        program.says("Read 2 of 2 values").await;
        program.says("Connected to the broker").await;
        Self { program, page }
    }

    async fn send(&self, request: String) -> String {
        send(self.page, request).await
    }

    async fn get(&self, path: &str) -> String {
        get(self.page, path).await
    }

    /// Presses a button, as the page does.
    async fn press(&self, path: &str) -> String {
        let page = self.page;
        let answer = self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {page}\r\nOrigin: http://{page}\r\nContent-Length: 7\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\nmeter=0"
        ));
        answer.await.lines().next().unwrap().to_owned()
    }

    async fn state(&self) -> Value {
        state(self.page).await
    }

    async fn events(&self) -> Events {
        let mut stream = TcpStream::connect(self.page).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", self.page);
        stream.write_all(request.as_bytes()).await.unwrap();
        Events(BufReader::new(stream))
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    /// The data of the next event with this name.
    async fn next(&mut self, name: &str) -> Value {
        let (wanted, mut found) = (format!("event: {name}"), false);
        let search = async {
            loop {
                let mut line = String::new();
                assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "it has ended");
                if let (true, Some(data)) = (found, line.strip_prefix("data: ")) {
                    return serde_json::from_str(data).unwrap();
                }
                found |= line.trim() == wanted;
            }
        };
        patiently(name, search).await
    }
}

#[tokio::test]
async fn the_actions_of_the_page_work() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut running = Running::start(&broker, &meter.com_port).await;
    assert_eq!(running.get("/ready").await, "ready\n");
    let mut events = running.events().await;
    events.next("changed").await;

    // At the earliest ten seconds after the poll before.
    assert_eq!(running.press("/read").await, "HTTP/1.1 303 See Other");
    running.program.says_times("Read 2 of 2 values", 2).await;
    events.next("changed").await;

    assert_eq!(running.press("/placement").await, "HTTP/1.1 303 See Other");
    assert_eq!(running.press("/scan").await, "HTTP/1.1 409 Conflict");
    for asked in 1..=3 {
        let placement = events.next("placement").await;
        assert_eq!((&placement["asked"], &placement["hits"]), (&asked.into(), &asked.into()));
        assert_eq!((&placement["meter"], &placement["hit"]), (&0.into(), &true.into()));
    }
    assert_eq!(running.press("/placement/stop").await, "HTTP/1.1 303 See Other");
    let ended = async {
        while running.state().await["meters"][0]["placement"]["running"] == true {
            events.next("changed").await;
        }
    };
    patiently("the placement aid ends", ended).await;

    assert_eq!(running.press("/scan").await, "HTTP/1.1 303 See Other");
    let mut found = 0;
    let scan = loop {
        let scan = events.next("scan").await;
        found += scan["found"].as_array().unwrap().len();
        if scan["asked"] == scan["of"] {
            break scan;
        }
    };
    assert_eq!(scan["of"], 1400);
    assert!(found > 20, "{found}");
    let ended = async {
        loop {
            let state = running.state().await;
            if state["meters"][0]["scan"]["running"] == false {
                return state;
            }
            events.next("changed").await;
        }
    };
    let state = patiently("the search ends", ended).await;
    let scan = &state["meters"][0]["scan"];
    assert_eq!(scan["complete"], true);
    let count = Registers::example(EnergyUnit::KilowattHour, 0).values.len();
    assert_eq!(scan["found"].as_array().unwrap().len(), count);

    let history = running.get("/api/v1/history?meter=0&parameter=energy").await;
    assert!(history.contains("\"value\":81947,"), "{history}");
    assert!(running.get("/metrics").await.contains("_reading_kilowatt_hours{meter="));
    assert!(running.get("/log?level=INFO").await.contains("Read 2 of 2 values"));
    for path in
        ["/", "/log", "/metrics", "/api/v1/state", "/api/v1/history?meter=0&parameter=energy"]
    {
        let answer = running.get(path).await;
        assert!(!answer.contains(SECRET) && !answer.contains("correct"), "{path}: {answer}");
    }
    running.program.terminate().await;
    assert_eq!(running.program.ended().await.code(), Some(0));
}

/// Only the page itself can use its actions.
#[tokio::test]
async fn other_sites_are_rejected() {
    let broker = Broker::start().await;
    let meter = meter_on_tcp(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let meter = meter.await;
    let running = Running::start(&broker, &meter.com_port).await;
    let post = |header: &str| {
        format!(
            "POST /read HTTP/1.1\r\nHost: {}\r\n{header}\r\nContent-Length: 0\r\n\r\n",
            running.page
        )
    };
    for header in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "X: y"] {
        let answer = running.send(post(header)).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{header}: {answer}");
    }
    let rebound = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned();
    let answer = running.send(rebound).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
}

/// Everybody on the network could press its buttons.
#[tokio::test]
async fn on_another_machine_the_buttons_need_the_token() {
    const SHOWN: &str = "enter the token there that ";
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let state = TempDir::new().unwrap();
    let own = state.path().join("web-token");
    let directory = state.path().to_str().unwrap();
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\nserial_device: {{ com_port: '{}' }}\n\
         kamstrup: {{ poll_interval: 1h }}\nlogging: {{ level: DEBUG }}\n\
         web: {{ listen: '0.0.0.0:0' }}\n",
        broker.port(),
        meter.com_port
    );
    let start = async |more: &[(&str, &str)]| {
        let variables = [&[("WEB_ENABLED", "yes"), ("STATE_DIRECTORY", directory)], more].concat();
        let mut program = Program::start_by(&yaml, &variables);
        let page = address(&mut program).await;
        program.says("Read 7 of 7 values").await;
        Running { program, page }
    };
    // Through a proxy on this machine, a request comes from another one.
    let read = async |running: &Running, header: &str| {
        let page = running.page;
        let answer = running.send(format!(
            "POST /read HTTP/1.1\r\nHost: {page}\r\nX-Forwarded-For: 192.168.1.9\r\n{header}\r\n\
             Content-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nmeter=0"
        ));
        answer.await
    };

    let mut known = None;
    for _ in 0..2 {
        let mut running = start(&[]).await;
        let line = running.program.says(SHOWN).await;
        assert!(line.contains(&format!("cat {}`", own.display())), "{line}");
        let token = fs::read_to_string(&own).unwrap().trim().to_owned();
        assert_eq!(token.len(), 24, "{token}");
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
        // It survives a restart.
        assert_eq!(known.get_or_insert_with(|| token.clone()), &token);
        for path in ["/", "/part", "/log", "/metrics", "/api/v1/state", "/health"] {
            assert!(!running.get(path).await.contains(&token), "{path}");
        }
        let refused = read(&running, "Sec-Fetch-Site: same-origin").await;
        assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
        let refused = read(&running, "Authorization: Bearer other").await;
        assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
        let accepted = read(&running, &format!("Authorization: Bearer {token}")).await;
        assert!(accepted.starts_with("HTTP/1.1 303 "), "{accepted}");
        assert_eq!(running.press("/read").await, "HTTP/1.1 303 See Other");
        // People publish their logs.
        assert_eq!(running.program.count(&token), 0);
        running.program.terminate().await;
        running.program.ended().await;
    }

    let secret = state.path().join("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let mut running = start(&[("WEB_TOKEN_FILE", secret.to_str().unwrap())]).await;
    let refused = read(&running, &format!("Authorization: Bearer {}", known.unwrap())).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let accepted = read(&running, &format!("Authorization: Bearer {SECRET}")).await;
    assert!(accepted.starts_with("HTTP/1.1 303 "), "{accepted}");
    // A configured token is for this machine too: a proxy here may not say whom it forwards.
    assert!(running.press("/read").await.starts_with("HTTP/1.1 401 "));
    for path in ["/", "/part", "/log", "/metrics", "/api/v1/state"] {
        assert!(!running.get(path).await.contains(SECRET), "{path}");
    }
    running.program.terminate().await;
    running.program.ended().await;
    assert_eq!((running.program.count(SHOWN), running.program.count(SECRET)), (0, 0));
}

/// Two programs on one machine, for example one for each broker. The second one reads its meter,
/// and gets the page's port when the first one has stopped.
#[tokio::test]
async fn a_second_program_waits_for_the_port_of_the_page_and_reads_meanwhile() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let page = holder.local_addr().unwrap();
    let listen = page.to_string();
    let port = broker.port().to_string();
    let variables = [
        ("MQTT_HOST", "127.0.0.1"),
        ("MQTT_PORT", port.as_str()),
        ("SERIAL_COM_PORT", meter.com_port.as_str()),
        ("WEB_ENABLED", "on"),
        ("WEB_LISTEN", listen.as_str()),
    ];
    let mut program = Program::start_with(&[], &variables);
    program.says("another program uses this port").await;
    program.says("Read 7 of 7 values").await;
    drop(holder);
    // The program tries again every ten seconds.
    program.says("The status page is at").await;
    assert_eq!(program.count("The status page cannot listen on"), 1);
    let mut stream = TcpStream::connect(page).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
