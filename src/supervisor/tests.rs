use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::answer::page;
use super::options::NotChanged;
use super::*;
use crate::advice::{Advice, MadeBy};
use crate::config::addon_options as options;
use crate::options_change::OptionsChange;
use logging::capture;

const GOOD: &str = r#"{"result":"ok","data":{"host":"core-mosquitto","port":1883,"ssl":false,
    "protocol":"3.1.1","username":"addons","password":"hunter2","addon":"core_mosquitto"}}"#;

/// Asks a Supervisor that answers once, with this.
async fn says(status: &str, kind: &str, body: &str) -> Result<Supplied, SupervisorError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
        // A client that has read enough has disconnected.
        let _ = stream.write_all(answer.as_bytes()).await;
        String::from_utf8(asked).unwrap()
    });
    let answer = supervisor(port).ask().await;
    let asked = serving.await.unwrap();
    assert!(asked.starts_with("GET /services/mqtt HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer the-token\r\n"), "{asked}");
    answer
}

fn supervisor(port: u16) -> Supervisor {
    let server = format!("http://127.0.0.1:{port}").parse().unwrap();
    Supervisor::new(server, Secret::new("the-token"))
}

#[test]
fn only_plain_http_addresses_are_accepted() {
    let shown = |text: &str| text.parse::<Server>().map(|server| server.0.to_string()).ok();
    assert_eq!(shown("http://supervisor"), Some("http://supervisor/".to_owned()));
    assert_eq!(shown("http://127.0.0.1:8080/"), Some("http://127.0.0.1:8080/".to_owned()));
    assert_eq!(shown("http://[::1]:8080"), Some("http://[::1]:8080/".to_owned()));
    for text in ["", "supervisor", "https://supervisor", "http://", "http://a/b"] {
        assert_eq!(shown(text), None, "{text}");
    }
    for text in ["http://me@a", "http://:me@a", "http://a?b", "http://a#b", "http://a:b"] {
        assert_eq!(shown(text), None, "{text}");
    }
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

fn words(answer: &Result<Supplied, SupervisorError>) -> String {
    match answer {
        Ok(supplied) => format!("{supplied:?}"),
        Err(error) => format!("{error}. {}", error.hint()),
    }
}

#[test]
fn the_page_address_contains_the_full_name() {
    let answer = |status, body: &str| Answer { status, is_json: true, body: body.into() };
    let named = |slug: &str| {
        page(&answer(
            200,
            &format!(r#"{{"result":"ok","data":{{"slug":"{slug}","version":"1"}}}}"#),
        ))
    };
    let found = named("a0d7b954_kamstrup2mqtt").unwrap();
    assert_eq!(found, "homeassistant://app/a0d7b954_kamstrup2mqtt");
    for invalid in ["", "../x", "a/b", "a b"] {
        assert_eq!(named(invalid), None, "{invalid}");
    }
    assert_eq!(page(&answer(200, r#"{"result":"ok","data":{}}"#)), None);
    assert_eq!(page(&answer(403, "403: Forbidden")), None);
}

/// Every answer of the real Supervisor, and some that it should never give.
#[tokio::test]
async fn every_answer_has_its_own_words() {
    let error = |message: &str| format!(r#"{{"result":"error","message":"{message}"}}"#);
    let data = |data: &str| format!(r#"{{"result":"ok","data":{data}}}"#);
    let answers = [
        ("registered", "200 OK", JSON, GOOD.to_owned()),
        (
            "port as a string, no user, TLS",
            "200 OK",
            JSON,
            data(r#"{"host":"broker","port":"8883","ssl":true}"#),
        ),
        ("no broker", "400 Bad Request", JSON, error("Service not enabled")),
        ("starting", "400 Bad Request", JSON, error("System is not ready with state: setup")),
        ("not granted", "403 Forbidden", JSON, error("No access to mqtt service!")),
        ("no token", "401 Unauthorized", TEXT, "401: Unauthorized".to_owned()),
        ("a stale token", "403 Forbidden", TEXT, "403: Forbidden".to_owned()),
        ("no such service", "404 Not Found", JSON, error("Service does not exist")),
        ("in other words", "400 Bad Request", JSON, error(r"Some\nthing \u001b[1melse")),
        ("internal error", "500 Internal Server Error", TEXT, "hunter2".to_owned()),
        ("not JSON", "200 OK", TEXT, GOOD.to_owned()),
        ("cut off", "200 OK", JSON, GOOD[..60].to_owned()),
        ("empty", "200 OK", JSON, String::new()),
        ("no data", "200 OK", JSON, r#"{"result":"ok"}"#.to_owned()),
        ("an error with status 200", "200 OK", JSON, GOOD.replace("ok", "error")),
        ("no host", "200 OK", JSON, data(r#"{"port":1883,"password":"hunter2"}"#)),
        // Without TLS, the password would be readable on the network.
        ("TLS as a text", "200 OK", JSON, data(r#"{"host":"a","port":1883,"ssl":"true"}"#)),
        ("TLS as null", "200 OK", JSON, data(r#"{"host":"a","port":1883,"ssl":null}"#)),
        ("no port", "200 OK", JSON, data(r#"{"host":"a","password":"hunter2"}"#)),
        ("too long", "200 OK", JSON, " ".repeat(100_000)),
    ];
    let mut texts = Vec::new();
    for (name, status, kind, body) in answers {
        texts.push(format!("{name}: {}", words(&says(status, kind, &body).await)));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    texts.push(format!("refused: {}", words(&supervisor(port).ask().await)));
    let text = texts.join("\n");
    assert!(!text.contains("hunter2") && !text.contains("the-token"), "{text}");
    insta::assert_snapshot!(text);
}

/// Paused time leaps to the deadline while nothing happens.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_hangs_is_given_up_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    let hangs = supervisor(port).ask().await;
    assert_eq!(hangs, Err(SupervisorError::Slow(PATIENCE)));
    assert!(begun.elapsed() >= PATIENCE);
    let answer = "Home Assistant's Supervisor does not answer within 10 s. If this lasts, restart \
                  the machine.";
    assert_eq!(words(&hangs), answer);
}

/// Whether the options were saved is not known if the answer to that request does not arrive.
#[tokio::test]
async fn a_change_without_an_answer_may_have_been_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let supervisor = supervisor(listener.local_addr().unwrap().port());
    let serving = tokio::spawn(async move {
        let mut asked = Vec::new();
        let body = r#"{"result":"ok","data":{"options":{"head":{}}}}"#;
        let length = body.len();
        let answers = [
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {length}\r\n\r\n{body}"
            ),
            String::new(),
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked.push(String::from_utf8(request).unwrap());
        }
        asked
    });
    let change = OptionsChange::Port("/dev/ttyUSB0".to_owned());
    let error = supervisor.change_options(&change).await.unwrap_err();
    let asked = serving.await.unwrap();
    assert!(asked[0].starts_with("GET /addons/self/info ") && asked.len() == 2, "{asked:?}");
    assert!(asked[1].starts_with("POST /addons/self/options "), "{asked:?}");
    assert!(matches!(error, NotChanged::Unconfirmed(_)), "{error:?}");
    let hint = error.explanation().hint;
    assert!(hint.starts_with("They may have been saved."), "{hint}");
}

/// Answers from a list, and the second of each request.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Supplied, SupervisorError>>>,
    asked: Mutex<Vec<u64>>,
    begun: Option<Instant>,
}

impl Ask for &Script {
    async fn ask(&self) -> Result<Supplied, SupervisorError> {
        let since = self.begun.unwrap().elapsed().as_secs();
        self.asked.lock().unwrap().push(since);
        // The last answer is repeated.
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

fn good(password: &str) -> Supplied {
    Supplied {
        host: "core-mosquitto".to_owned(),
        port: "1883".to_owned(),
        tls: false,
        username: Some("addons".to_owned()),
        password: Some(Secret::new(password)),
    }
}

fn options() -> Options {
    let json = br#"{"port": "/dev/ttyUSB0"}"#;
    options::check(Path::new("options.json"), json).unwrap()
}

fn down() -> BrokerState {
    BrokerState::Down {
        name: "core-mosquitto:1883".to_owned(),
        since: Instant::now(),
        advice: Advice::new("it stopped responding."),
        made_by: MadeBy::HomeAssistant,
    }
}

fn up() -> BrokerState {
    BrokerState::Connected {
        name: "core-mosquitto:1883".to_owned(),
        since: Instant::now(),
        doubt: None,
    }
}

/// Asks for a while. Returns the seconds of the requests, and the received passwords with theirs.
async fn runs(
    answers: Vec<Result<Supplied, SupervisorError>>,
    events: &[(u64, BrokerState)],
    seconds: u64,
) -> (Vec<u64>, Vec<(u64, String)>) {
    runs_refusing(answers, events, seconds, |_| false).await
}

/// The same with a broker that rejects these passwords.
async fn runs_refusing(
    answers: Vec<Result<Supplied, SupervisorError>>,
    events: &[(u64, BrokerState)],
    seconds: u64,
    refused: impl Fn(&str) -> bool,
) -> (Vec<u64>, Vec<(u64, String)>) {
    let begun = Instant::now();
    let script =
        Script { answers: Mutex::new(answers.into()), begun: Some(begun), ..Script::default() };
    let (sender, mut brokers) = watch::channel(None::<Broker>);
    let board = Board::default();
    let stop = CancellationToken::new();
    let mut came = Vec::new();
    let options = options();
    let asking = run(&script, &options, sender, &board, stop.clone());
    let happening = async {
        for (at, state) in events {
            tokio::time::sleep_until(begun + Duration::from_secs(*at)).await;
            board.set_broker(state.clone());
        }
        pending().await;
    };
    let hearing = async {
        while brokers.changed().await.is_ok() {
            let password = brokers.borrow().clone().unwrap().credentials.unwrap().password;
            let settings = board.setup().settings;
            let host = settings
                .iter()
                .find(|line| line.key == "\"Broker\" under \"Own MQTT broker\"")
                .unwrap();
            assert_eq!([&*host.value, &*host.origin], ["core-mosquitto", "Home Assistant"]);
            came.push((begun.elapsed().as_secs(), password.reveal().to_owned()));
            board.set_broker(BrokerState::Connecting { name: String::new() });
            if refused(password.reveal()) {
                board.set_broker(down());
            }
        }
    };
    let ending = async {
        sleep(Duration::from_secs(seconds)).await;
        stop.cancel();
        pending().await;
    };
    tokio::select! {
        () = asking => {}
        () = async { tokio::join!(happening, hearing, ending); } => {}
    }
    assert!(stop.is_cancelled());
    (script.asked.into_inner().unwrap(), came)
}

async fn pending() {
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn it_asks_forever_and_less_and_less_often() {
    let (asked, came) = runs(vec![Err(SupervisorError::NoBroker)], &[], 300).await;
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    assert_eq!(came, []);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_ask_while_the_broker_is_connected() {
    let answers =
        vec![Err(SupervisorError::Starting), Err(SupervisorError::NoBroker), Ok(good("a"))];
    let (asked, came) = runs(answers, &[(4, up())], 3600).await;
    assert_eq!(asked, [0, 1, 3]);
    assert_eq!(came, [(3, "a".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn it_asks_again_when_the_connection_is_lost() {
    let answers = vec![
        Ok(good("a")),
        // The broker may not have registered the new login yet.
        Ok(good("a")),
        Err(SupervisorError::NoBroker),
        Ok(good("b")),
    ];
    let events = [(1, up()), (100, down()), (104, up()), (200, down()), (202, up())];
    let (asked, came) = runs(answers, &events, 1000).await;
    assert_eq!(asked, [0, 100, 101, 103, 200, 201]);
    assert_eq!(came, [(0, "a".to_owned()), (103, "b".to_owned())]);
}

/// The broker rejects the login before the attempt is seen.
#[tokio::test(start_paused = true)]
async fn it_asks_again_after_an_immediate_rejection() {
    let answers = vec![Ok(good("old")), Ok(good("old")), Ok(good("new"))];
    let (asked, came) = runs_refusing(answers, &[(5, up())], 1000, |it| it == "old").await;
    assert_eq!(asked, [0, 0, 1]);
    assert_eq!(came, [(0, "old".to_owned()), (1, "new".to_owned())]);
}

/// Without a pause, it asked 290 times a second.
#[tokio::test(start_paused = true)]
async fn it_asks_less_and_less_often_if_each_answer_is_another_broker_that_cannot_be_used() {
    let answers = (0..1_000).map(|number| Ok(good(&format!("x{number}")))).collect();
    let (asked, came) = runs_refusing(answers, &[], 300, |_| true).await;
    assert_eq!(asked[..8], [0, 0, 1, 3, 7, 15, 31, 63]);
    assert_eq!((asked.len(), came.len()), (11, 11));
    // A broker that is used for a while ends this.
    let answers = vec![Ok(good("x")), Ok(good("x1")), Ok(good("x2")), Ok(good("a")), Ok(good("b"))];
    let events = [(4, up()), (1000, down())];
    let refused = |password: &str| password.starts_with('x');
    let (asked, came) = runs_refusing(answers, &events, 2000, refused).await;
    assert_eq!(asked, [0, 0, 1, 3, 1000]);
    assert_eq!(came.last().unwrap(), &(1000, "b".to_owned()));
}

/// A broker that accepts the old login again needs no new one.
#[tokio::test(start_paused = true)]
async fn it_stops_asking_when_the_broker_is_back() {
    let events = [(1, up()), (100, down()), (110, up())];
    let (asked, came) = runs(vec![Ok(good("a"))], &events, 1000).await;
    assert_eq!(asked, [0, 100, 101, 103, 107]);
    assert_eq!(came, [(0, "a".to_owned())]);
}

/// A lasting error must also reach a user who logs only warnings.
#[tokio::test(start_paused = true)]
async fn a_normal_error_becomes_a_warning_when_it_lasts() {
    let (log, _logging) = capture::lines();
    let mut supervisor_log = SupervisorLog::new(&Board::default());
    let mut logged = async |minutes: u64, error| {
        tokio::time::advance(Duration::from_secs(60 * minutes)).await;
        supervisor_log.failed(&error);
        let lines = log.take().into_iter().filter(|line| !line.starts_with("DEBUG"));
        let sentences =
            lines.flat_map(|line| line.split(". ").take(2).map(str::to_owned).collect::<Vec<_>>());
        sentences.collect::<Vec<_>>()
    };
    let starting = ["INFO Home Assistant is still starting", "Please wait until it has started"];
    assert_eq!(logged(0, SupervisorError::Starting).await, starting);
    let none = "Home Assistant has no MQTT broker yet";
    let first = logged(1, SupervisorError::NoBroker).await;
    assert_eq!(first[0], format!("INFO {none}"));
    assert!(first[1].starts_with("This is normal after a restart"), "{first:?}");
    assert_eq!(logged(1, SupervisorError::NoBroker).await, [""; 0]);
    let lasting = [format!("WARN {none}"), "This has lasted for 3 min".to_owned()];
    assert_eq!(logged(1, SupervisorError::NoBroker).await, lasting);
    assert_eq!(logged(60, SupervisorError::NoBroker).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_used_is_quoted_without_the_password() {
    let nowhere = Supplied { host: "two words".to_owned(), ..good("hunter2") };
    let board = Board::default();
    let mut supervisor_log = SupervisorLog::new(&board);
    let error = options().with_broker(&nowhere).unwrap_err();
    supervisor_log.failed(&SupervisorError::Invalid(error.problems().join("; ")));
    let complaint = board.setup().broker.unwrap();
    assert!(complaint.words.contains("`two words`"), "{complaint:?}");
    assert!(!complaint.words.contains("hunter2"), "{complaint:?}");
}
