//! Asks Home Assistant's Supervisor which broker there is and how to log in there.
//!
//! It does not know at first: when the machine starts, the broker tells it later than we ask, and
//! what it said may be out of date when the broker was set up anew. So it is asked until it knows,
//! and again whenever the broker cannot be had.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::addon_options::{Options, Supplied};
use crate::config::{Broker, Secret};
use crate::http::{self, Answer, HttpError};
use crate::status::{Board, BrokerState, SettingLine, SupervisorState};
use meter::back_off::BackOff;
use meter::cause;
use meter::news::News;
use meter::poll::Explanation;

/// Where the add-on sees the Supervisor.
pub const ADDRESS: &str = "http://supervisor";

/// The variable that says otherwise, for tests.
pub const ADDRESS_VARIABLE: &str = "KAMSTRUP2MQTT_SUPERVISOR";

/// The Supervisor answers this within milliseconds, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// From one question to the next.
const PAUSES: BackOff = BackOff::new(Duration::from_secs(1), Duration::from_secs(60));

/// What is usual when the machine starts is trouble when it lasts.
const USUALLY: Duration = Duration::from_secs(3 * 60);

/// The address of a Supervisor: `http://` with a host and maybe a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(Url);

impl FromStr for Server {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let url: Url = text.parse().map_err(|_| NoServer)?;
        let is_server = url.scheme() == "http"
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_server { Ok(Self(url)) } else { Err(NoServer) }
    }
}

/// The text is not like `http://host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("accepted: `http://` with a host and maybe a port")]
pub struct NoServer;

/// Whom to ask, and by what right.
#[derive(Debug, Clone)]
pub struct Supervisor {
    server: Server,
    token: Secret,
}

impl Supervisor {
    /// With the token that the add-on was given.
    #[must_use]
    pub fn new(server: Server, token: Secret) -> Self {
        Self { server, token }
    }

    async fn get(&self, path: &str) -> Result<Answer, HttpError> {
        let mut url = self.server.0.clone();
        url.set_path(path);
        http::get(url, Some(&self.token), PATIENCE).await
    }
}

impl Supervisor {
    /// Where Home Assistant's users find the add-on's page: its own names for addresses within it
    /// begin with `homeassistant://`. Asked until it is known; that the broker cannot be had is told
    /// elsewhere, and this is of less use.
    pub async fn page(&self) -> String {
        let mut pauses = PAUSES;
        loop {
            match self.get("/addons/self/info").await {
                Ok(answer) => {
                    if let Some(page) = page(&answer) {
                        return page;
                    }
                    debug!("The Supervisor does not say what this add-on is called.");
                }
                Err(error) => debug!("The Supervisor does not say who this is: {error}."),
            }
            sleep(pauses.pause()).await;
        }
    }
}

/// The page of the add-on whose full name is in an answer.
fn page(answer: &Answer) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(&answer.body).ok()?;
    let data = envelope.data.filter(|_| answer.status == 200 && answer.is_json)?;
    let slug = data.get("slug")?.as_str()?;
    let is_slug = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let fits = (1..=100).contains(&slug.len()) && slug.bytes().all(is_slug);
    fits.then(|| format!("homeassistant://app/{slug}"))
}

/// Who can be asked for the broker.
pub trait Ask: Send + Sync {
    /// Asks once.
    fn ask(&self) -> impl Future<Output = Result<Supplied, Trouble>> + Send;
}

impl Ask for Supervisor {
    async fn ask(&self) -> Result<Supplied, Trouble> {
        match self.get("/services/mqtt").await {
            Ok(answer) => understand(&answer),
            Err(HttpError::Connect(error)) => {
                Err(Trouble::Unreachable(cause::of_connection(&error)))
            }
            Err(HttpError::Slow(_)) => Err(Trouble::Slow),
            Err(HttpError::Broken(_)) => Err(Trouble::Nonsense("the connection broke off".into())),
            Err(HttpError::TooLong) => Err(Trouble::Nonsense("it is far too long".into())),
        }
    }
}

/// Why the Supervisor does not say which broker there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No broker has told it of itself, or not yet.
    NoBroker,
    /// It is starting or stopping.
    Starting,
    /// It cannot be reached, as while it is updated: why.
    Unreachable(String),
    /// It does not answer.
    Slow,
    /// The add-on has no right to ask.
    NotGranted,
    /// It does not know the add-on's token.
    Stranger,
    /// It knows nothing of brokers.
    NoService,
    /// It refuses, in words of its own.
    Refused(String),
    /// What it says makes no sense: why.
    Nonsense(String),
}

/// What happened.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBroker => f.write_str("Home Assistant has no MQTT broker, or none yet"),
            Self::Starting => f.write_str("Home Assistant is still starting"),
            Self::Unreachable(reason) => {
                write!(f, "Home Assistant's Supervisor cannot be reached: {reason}")
            }
            Self::Slow => {
                write!(
                    f,
                    "Home Assistant's Supervisor does not answer within {} s",
                    PATIENCE.as_secs()
                )
            }
            Self::NotGranted => {
                f.write_str("Home Assistant does not let this add-on ask for the MQTT broker")
            }
            Self::Stranger => f.write_str("Home Assistant does not know this add-on's token"),
            Self::NoService => f.write_str("Home Assistant knows nothing of an MQTT service"),
            Self::Refused(words) => {
                write!(f, "Home Assistant does not say which MQTT broker it has: {words}")
            }
            Self::Nonsense(reason) => {
                write!(f, "What Home Assistant says of the MQTT broker makes no sense: {reason}")
            }
        }
    }
}

impl Trouble {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoBroker => {
                "After a restart that is normal: the Mosquitto broker add-on takes a while. If it \
                 stays so, install and start that add-on, or name a broker of your own as `host` of \
                 `mqtt` in this add-on's options."
            }
            Self::Starting => "There is nothing to do but to wait.",
            Self::Unreachable(_) => {
                "While the Supervisor is updated that is normal, and takes a minute at most. If it \
                 stays so, restart the machine."
            }
            Self::Slow => "If it stays so, restart the machine.",
            Self::NotGranted => {
                "That is a fault of this add-on; please report it. Until it is mended, name the \
                 broker as `host` of `mqtt` in the options."
            }
            Self::Stranger => {
                "Restart this add-on; if that does not help, restart the machine: the token is new \
                 at every start."
            }
            Self::NoService => {
                "Update Home Assistant, or name the broker as `host` of `mqtt` in this add-on's \
                 options."
            }
            Self::Refused(_) | Self::Nonsense(_) => {
                "Look at the Supervisor's log (Settings, System, Logs). If it stays so, name the \
                 broker as `host` of `mqtt` in this add-on's options."
            }
        }
    }

    /// Whether it is what one expects when the machine starts.
    fn is_usual(&self) -> bool {
        matches!(self, Self::NoBroker | Self::Starting)
    }
}

/// What every JSON answer has.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<Value>,
}

/// What an answer means. Nothing of a body is ever quoted but the words of an error.
fn understand(answer: &Answer) -> Result<Supplied, Trouble> {
    let Answer { status, is_json, body } = answer;
    let envelope = serde_json::from_slice::<Envelope>(body).ok().filter(|_| *is_json);
    let message = envelope.as_ref().and_then(|envelope| envelope.message.as_deref());
    match (status, message.unwrap_or_default()) {
        (200, _) => {
            let data = envelope.filter(|it| it.result.as_deref() == Some("ok"));
            supplied(data.and_then(|it| it.data).as_ref())
        }
        (400, "Service not enabled") => Err(Trouble::NoBroker),
        (400, text) if text.starts_with("System is not ready") => Err(Trouble::Starting),
        (403, text) if text.starts_with("No access to") => Err(Trouble::NotGranted),
        (401 | 403, "") => Err(Trouble::Stranger),
        (404, _) => Err(Trouble::NoService),
        (status, "") => Err(Trouble::Nonsense(format!("HTTP status {status}"))),
        (_, text) => Err(Trouble::Refused(printable(text))),
    }
}

/// Words of somebody else: no line ends, no end of them.
fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// The broker in an answer.
fn supplied(data: Option<&Value>) -> Result<Supplied, Trouble> {
    let nonsense = |reason: &str| Trouble::Nonsense(reason.to_owned());
    let data = data.ok_or_else(|| nonsense("there is no broker in the answer"))?;
    // An older document shows the port as a text.
    let text = |name: &str| match data.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let filled = |name: &str| text(name).filter(|text| !text.is_empty());
    Ok(Supplied {
        host: text("host").ok_or_else(|| nonsense("the broker has no `host`"))?,
        port: text("port").ok_or_else(|| nonsense("the broker has no `port`"))?,
        tls: data.get("ssl").and_then(Value::as_bool).unwrap_or(false),
        username: filled("username"),
        password: filled("password").map(Secret::new),
    })
}

/// Finds out which broker there is, and finds out again whenever it cannot be had, until `stop` is
/// cancelled.
pub async fn run(
    whom: impl Ask,
    options: &Options,
    brokers: watch::Sender<Option<Broker>>,
    board: &Board,
    stop: CancellationToken,
) {
    let mut broker = board.broker();
    let mut journal = Journal::new(board);
    board.set_up(|setup| setup.supervisor = SupervisorState::Asked);
    // Cancelling drops whatever is under way.
    let asking = async {
        let mut known = None;
        loop {
            let other = find(&whom, options, known.as_ref(), &mut journal, &mut broker).await;
            if let Some((supplied, found, lines)) = other {
                board.set_up(|setup| {
                    setup.settings = lines.into_iter().map(SettingLine::from).collect();
                });
                let name = found.name();
                if known.replace(supplied).is_none() {
                    info!("Home Assistant's MQTT broker is {name}.");
                } else {
                    info!("Home Assistant says anew how to log in to its MQTT broker {name}.");
                }
                // The new one is tried before anything is asked again. Only that something is known
                // of it counts: it may have refused before this is looked at.
                broker.mark_unchanged();
                brokers.send_replace(Some(found));
                if broker.changed().await.is_err() {
                    return;
                }
            }
            if broker.wait_for(is_down).await.is_err() {
                return;
            }
            debug!("Asking Home Assistant whether its MQTT broker has changed.");
        }
    };
    stop.run_until_cancelled(asking).await;
}

fn is_down(state: &BrokerState) -> bool {
    matches!(state, BrokerState::Down { .. })
}

/// Asks until there is another broker than before; `None` when the one before is back.
async fn find(
    whom: &impl Ask,
    options: &Options,
    known: Option<&Supplied>,
    journal: &mut Journal,
    broker: &mut watch::Receiver<BrokerState>,
) -> Option<(Supplied, Broker, Vec<[String; 3]>)> {
    let mut pauses = PAUSES;
    loop {
        let checked = whom.ask().await.and_then(|supplied| {
            let checked = options.with_broker(&supplied);
            let checked = checked.map_err(|error| Trouble::Nonsense(error.problems().join("; ")));
            checked.map(|(config, lines)| (supplied, config.broker, lines))
        });
        match checked {
            Ok((supplied, found, lines)) => {
                journal.answered();
                if known != Some(&supplied) {
                    return Some((supplied, found, lines));
                }
            }
            Err(trouble) => journal.note(&trouble),
        }
        tokio::select! {
            () = sleep(pauses.pause()) => {}
            // An error would mean that the board is gone, which this function has.
            Ok(_) = broker.wait_for(|state| !is_down(state)), if known.is_some() => {
                journal.answered();
                return None;
            }
        }
    }
}

/// Tells each trouble once; and again what is usual at first, where it lasts.
struct Journal {
    board: Board,
    news: News<Trouble>,
    /// Since when there is a trouble that is usual at first, until it has been told as a warning.
    usual_since: Option<Instant>,
}

impl Journal {
    fn new(board: &Board) -> Self {
        Self { board: board.clone(), news: News::default(), usual_since: None }
    }

    fn note(&mut self, trouble: &Trouble) {
        let hint = trouble.hint();
        if !self.news.is_new(trouble.clone()) {
            if self.usual_since.is_some_and(|since| since.elapsed() >= USUALLY) {
                self.usual_since = None;
                warn!("{trouble}, after {} min still. {hint}", USUALLY.as_secs() / 60);
            } else {
                debug!("{trouble}, as before.");
            }
            return;
        }
        self.usual_since =
            trouble.is_usual().then(|| self.usual_since.unwrap_or_else(Instant::now));
        let words = format!("{trouble}. {hint} Asking until it works; this is said only once.");
        if trouble.is_usual() {
            info!("{words}");
        } else {
            warn!("{words}");
        }
        let complaint = Explanation { words: trouble.to_string(), hint: hint.to_owned() };
        self.board.set_up(|setup| {
            setup.broker = Some(complaint);
            setup.supervisor = SupervisorState::Asked;
        });
    }

    fn answered(&mut self) {
        self.news.forget();
        self.usual_since = None;
        self.board.set_up(|setup| {
            setup.broker = None;
            setup.supervisor = SupervisorState::Answered;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::path::Path;
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::addon_options as options;
    use logging::capture;

    const GOOD: &str = r#"{"result":"ok","data":{"host":"core-mosquitto","port":1883,"ssl":false,
        "protocol":"3.1.1","username":"addons","password":"hunter2","addon":"core_mosquitto"}}"#;

    /// A Supervisor that answers once, with this.
    async fn says(status: &str, kind: &str, body: &str) -> Result<Supplied, Trouble> {
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
            // Who had enough has hung up.
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
    fn servers_as_they_are_written() {
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

    fn told(answer: &Result<Supplied, Trouble>) -> String {
        match answer {
            Ok(supplied) => format!("{supplied:?}"),
            Err(trouble) => format!("{trouble}. {}", trouble.hint()),
        }
    }

    /// Every one of the running Supervisor's answers, and some that it should not give.
    #[test]
    fn the_page_goes_by_the_full_name() {
        let answer = |status, body: &str| Answer { status, is_json: true, body: body.into() };
        let named = |slug: &str| {
            page(&answer(
                200,
                &format!(r#"{{"result":"ok","data":{{"slug":"{slug}","version":"1"}}}}"#),
            ))
        };
        let found = named("a0d7b954_kamstrup2mqtt").unwrap();
        assert_eq!(found, "homeassistant://app/a0d7b954_kamstrup2mqtt");
        for odd in ["", "../x", "a/b", "a b"] {
            assert_eq!(named(odd), None, "{odd}");
        }
        assert_eq!(page(&answer(200, r#"{"result":"ok","data":{}}"#)), None);
        assert_eq!(page(&answer(403, "403: Forbidden")), None);
    }

    #[tokio::test]
    async fn every_answer_has_its_own_words() {
        let error = |message: &str| format!(r#"{{"result":"error","message":"{message}"}}"#);
        let data = |data: &str| format!(r#"{{"result":"ok","data":{data}}}"#);
        let answers = [
            ("registered", "200 OK", JSON, GOOD.to_owned()),
            (
                "port as a text, no user, TLS",
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
            ("broken inside", "500 Internal Server Error", TEXT, "hunter2".to_owned()),
            ("not JSON", "200 OK", TEXT, GOOD.to_owned()),
            ("half of it", "200 OK", JSON, GOOD[..60].to_owned()),
            ("nothing", "200 OK", JSON, String::new()),
            ("no data", "200 OK", JSON, r#"{"result":"ok"}"#.to_owned()),
            ("an error that is none", "200 OK", JSON, GOOD.replace("ok", "error")),
            ("no host", "200 OK", JSON, data(r#"{"port":1883,"password":"hunter2"}"#)),
            ("no port", "200 OK", JSON, data(r#"{"host":"a","password":"hunter2"}"#)),
            ("too long", "200 OK", JSON, " ".repeat(100_000)),
        ];
        let mut texts = Vec::new();
        for (name, status, kind, body) in answers {
            texts.push(format!("{name}: {}", told(&says(status, kind, &body).await)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        texts.push(format!("refused: {}", told(&supervisor(port).ask().await)));
        let text = texts.join("\n");
        assert!(!text.contains("hunter2") && !text.contains("the-token"), "{text}");
        insta::assert_snapshot!(text);
    }

    /// On paused time, which leaps to the deadline where nobody has anything to say.
    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_hangs_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let begun = Instant::now();
        let hangs = supervisor(port).ask().await;
        assert_eq!(hangs, Err(Trouble::Slow));
        assert!(begun.elapsed() >= PATIENCE);
        let answer = "Home Assistant's Supervisor does not answer within 10 s. If it stays so, \
                      restart the machine.";
        assert_eq!(told(&hangs), answer);
    }

    /// Answers from a list, and when each was asked for.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Result<Supplied, Trouble>>>,
        asked: Mutex<Vec<u64>>,
        begun: Option<Instant>,
    }

    impl Ask for &Script {
        async fn ask(&self) -> Result<Supplied, Trouble> {
            let since = self.begun.unwrap().elapsed().as_secs();
            self.asked.lock().unwrap().push(since);
            // The last one stays.
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
        let (name, words) = ("core-mosquitto:1883".to_owned(), "it is gone.".to_owned());
        BrokerState::Down { name, since: Instant::now(), words }
    }

    fn up() -> BrokerState {
        BrokerState::Connected { name: "core-mosquitto:1883".to_owned(), since: Instant::now() }
    }

    /// Asks for a while; gives the passwords that came and when they came.
    async fn runs(
        answers: Vec<Result<Supplied, Trouble>>,
        events: &[(u64, BrokerState)],
        seconds: u64,
    ) -> (Vec<u64>, Vec<(u64, String)>) {
        runs_with(answers, events, seconds, None).await
    }

    /// The same with a broker that lets nobody in who has this password.
    async fn runs_with(
        answers: Vec<Result<Supplied, Trouble>>,
        events: &[(u64, BrokerState)],
        seconds: u64,
        refused: Option<&str>,
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
                let host = settings.iter().find(|line| line.key == "host of mqtt").unwrap();
                assert_eq!([&*host.value, &*host.origin], ["core-mosquitto", "Home Assistant"]);
                came.push((begun.elapsed().as_secs(), password.reveal().to_owned()));
                board.set_broker(BrokerState::Connecting { name: String::new() });
                if refused == Some(password.reveal()) {
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
    async fn asks_for_ever_and_ever_less_often() {
        let (asked, came) = runs(vec![Err(Trouble::NoBroker)], &[], 300).await;
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert_eq!(came, []);
    }

    #[tokio::test(start_paused = true)]
    async fn is_content_as_long_as_the_broker_is_there() {
        let answers = vec![Err(Trouble::Starting), Err(Trouble::NoBroker), Ok(good("a"))];
        let (asked, came) = runs(answers, &[(4, up())], 3600).await;
        assert_eq!(asked, [0, 1, 3]);
        assert_eq!(came, [(3, "a".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn asks_again_when_the_broker_is_gone() {
        let answers = vec![
            Ok(good("a")),
            // It may be that the broker has not told the new one yet.
            Ok(good("a")),
            Err(Trouble::NoBroker),
            Ok(good("b")),
        ];
        let events = [(1, up()), (100, down()), (104, up()), (200, down()), (202, up())];
        let (asked, came) = runs(answers, &events, 1000).await;
        assert_eq!(asked, [0, 100, 101, 103, 200, 201]);
        assert_eq!(came, [(0, "a".to_owned()), (103, "b".to_owned())]);
    }

    /// It does so before anybody has seen that it was tried.
    #[tokio::test(start_paused = true)]
    async fn a_broker_that_refuses_at_once_is_asked_for_again() {
        let answers = vec![Ok(good("old")), Ok(good("old")), Ok(good("new"))];
        let (asked, came) = runs_with(answers, &[(5, up())], 1000, Some("old")).await;
        assert_eq!(asked, [0, 0, 1]);
        assert_eq!(came, [(0, "old".to_owned()), (1, "new".to_owned())]);
    }

    /// One that is back with the old log-in needs no new one.
    #[tokio::test(start_paused = true)]
    async fn stops_asking_when_the_broker_is_back() {
        let events = [(1, up()), (100, down()), (110, up())];
        let (asked, came) = runs(vec![Ok(good("a"))], &events, 1000).await;
        assert_eq!(asked, [0, 100, 101, 103, 107]);
        assert_eq!(came, [(0, "a".to_owned())]);
    }

    /// Whoever shows only warnings must hear of it as well.
    #[tokio::test(start_paused = true)]
    async fn what_is_usual_at_first_is_a_warning_when_it_lasts() {
        let (log, _logging) = capture::lines();
        let mut journal = Journal::new(&Board::default());
        let mut told = async |minutes: u64, trouble| {
            tokio::time::advance(Duration::from_secs(60 * minutes)).await;
            journal.note(&trouble);
            let lines = log.take().into_iter().filter(|line| !line.starts_with("DEBUG"));
            lines.map(|line| line.split_once('.').unwrap().0.to_owned()).collect::<Vec<_>>()
        };
        let starting = "INFO Home Assistant is still starting";
        assert_eq!(told(0, Trouble::Starting).await, [starting]);
        let none = "Home Assistant has no MQTT broker, or none yet";
        assert_eq!(told(1, Trouble::NoBroker).await, [format!("INFO {none}")]);
        assert_eq!(told(1, Trouble::NoBroker).await, [""; 0]);
        assert_eq!(told(1, Trouble::NoBroker).await, [format!("WARN {none}, after 3 min still")]);
        assert_eq!(told(60, Trouble::NoBroker).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_connected_to_makes_no_sense() {
        let nowhere = Supplied { host: "two words".to_owned(), ..good("hunter2") };
        let board = Board::default();
        let mut journal = Journal::new(&board);
        let error = options().with_broker(&nowhere).unwrap_err();
        journal.note(&Trouble::Nonsense(error.problems().join("; ")));
        let complaint = board.setup().broker.unwrap();
        assert!(complaint.words.contains("`two words`"), "{complaint:?}");
        assert!(!complaint.words.contains("hunter2"), "{complaint:?}");
    }
}
