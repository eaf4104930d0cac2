use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use jiff::tz::TimeZone;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::address::{RETRY, find, find_by};
use super::blocking::{BlockingJobs, JobFailed};
use super::guest::Guest;
use super::places::{GRACE, KEPT, MOST};
use super::routes::{
    ACTIONS, HEALTH, LONGEST_FORM, Shared, TOKEN, filling, finding, router_with, views,
};
use super::server::{
    AddressSetting, LONGEST, REQUEST, WHOLE, is_here, listen, run, serve, serve_by,
    unavailable_words,
};
use super::state::tests::empty;
use super::streams::MOST_OPEN;
use super::*;
use crate::config::{Access, Secret};
use crate::filling::{FilledLine, FillingJob, Progress, Work};
use crate::finder::Finder;
use crate::gaps::{Repeating, Source};
use crate::http;
use crate::language::Language;
use crate::options_change::{ChangeRequest, ChangeSender, Changed, OptionsChange};
use crate::status::{
    BrokerState, Found, HeadSearch, LastPoll, LogLine, MeterState, Placement, ScanState,
};
use history::Reader;
use home_assistant::JournalFile;
use meter::RunsAs;
use meter::find::{Candidate, Plan, Searched};
use meter::poll::{Explanation, MeterHandle};
use meter::transport::{LocalPort, OpenError, PortQueues};

const PATIENCE: Duration = Duration::from_secs(30);

async fn start_by(router: Router) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(serve_by(router, listener, Visitors::Anybody));
    (address, serving)
}

async fn start(site: PageState) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { serve(listener, &site).await });
    (address, serving)
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    let url = format!("http://{address}{path}").parse().unwrap();
    http::get(url, None, PATIENCE).await.unwrap().status
}

async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_answer_has_strict_headers() {
    let (address, _serving) = start(empty()).await;
    let page = raw(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let head = head
        .lines()
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("content-length: "));
    insta::assert_snapshot!(head.collect::<Vec<_>>().join("\n"));
    assert!(body.contains("The broker is not yet known."), "{body}");
    let paths = [
        ("/style.css", 200),
        ("/log", 200),
        ("/log?level=loud", 400),
        ("/health", 200),
        ("/ready", 503),
        ("/metrics", 200),
        ("/api/v1/state", 200),
        ("/api/v1/openapi.json", 200),
        ("/nothing", 404),
    ];
    for (path, status) in paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = raw(address, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    }
    let post =
        raw(address, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 403 "), "{post}");
    let post = b"POST / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\r\n";
    let post = raw(address, post).await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
}

async fn post(address: SocketAddr, path: &str, form: &str) -> String {
    let length = form.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
    );
    raw(address, request.as_bytes()).await
}

fn meter(title: &str) -> MeterState {
    MeterState::new(title.to_owned(), "/dev/ttyUSB0".to_owned(), Duration::from_secs(300))
}

#[tokio::test]
async fn actions_reach_the_meter() {
    let site = empty();
    let handle = MeterHandle::default();
    site.board.set_handles(vec![(7, handle.clone())]);
    site.board.set_meters(vec![(7, meter("a"))]);
    let (address, _serving) = start(site).await;
    let read = post(address, "/read", "meter=7").await;
    assert!(read.starts_with("HTTP/1.1 303 "), "{read}");
    assert!(read.contains("\r\nlocation: ./\r\n"), "{read}");
    timeout(PATIENCE, handle.poll_requested()).await.unwrap();
    for (path, form, status) in [
        ("/read", "meter=8", 404),
        ("/read", "", 400),
        ("/read", "meter=-1", 400),
        ("/read", "metre=7", 400),
        // No task polls it, so none takes the job.
        ("/placement", "meter=7", 409),
        ("/scan", "meter=7", 409),
        ("/scan/stop", "meter=7", 303),
        ("/nothing", "meter=7", 404),
    ] {
        let answer = post(address, path, form).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {form}: {answer}");
    }
    let stopped = post(address, "/placement/stop", "meter=7").await;
    assert!(stopped.contains("\r\nlocation: ../\r\n"), "{stopped}");
    // It was a 400 about `meter`.
    let long = format!("meter=7&x={}", "x".repeat(LONGEST_FORM));
    let long = post(address, "/read", &long).await;
    assert!(long.starts_with("HTTP/1.1 413 ") && long.contains("4096 bytes"), "{long}");
    let longest = format!("meter=7&x={}", "x".repeat(LONGEST_FORM - 10));
    let longest = post(address, "/read", &longest).await;
    assert!(longest.starts_with("HTTP/1.1 303 "), "{longest}");
    // The answer said only that `meter` is missing.
    for path in ["/read", "/token"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Type: text/plain\r\n\
             Content-Length: 7\r\n\r\nmeter=7"
        );
        let text = raw(address, request.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(text.contains("application/x-www-form-urlencoded"), "{text}");
    }
    let foreign = b"POST /read HTTP/1.1\r\nHost: localhost\r\nOrigin: http://y\r\n\r\n";
    assert!(raw(address, foreign).await.starts_with("HTTP/1.1 403 "));
}

const UNFINISHED: &str = "meter=3&unfinished";

/// Sends a request whose response may never end. Returns the status, and the type of the body if
/// there is one.
async fn asked(address: SocketAddr, head: &str, form: &str) -> (String, Option<String>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The end of this one never arrives.
    let length = if form == UNFINISHED { 100 } else { form.len() };
    let request = format!(
        "{head}Content-Length: {length}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut answer = Vec::new();
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        if line.is_empty() {
            break;
        }
        answer.push(line);
    }
    let header = |name: &str| answer.iter().find_map(|line| line.strip_prefix(name));
    let kind = header("content-type: ").filter(|_| header("content-length: ") != Some("0"));
    let kind = kind.map(|kind| kind.split(';').next().unwrap().to_owned());
    (answer[0].split(' ').nth(1).unwrap().to_owned(), kind)
}

/// Cannot be provoked: a response can be rendered from any board.
const NEVER: [(&str, &str); 4] =
    [("/", "500"), ("/part", "500"), ("/metrics", "500"), ("/api/v1/state", "500")];

/// An app that changes its options, unless the port is `/dev/refused`.
fn app_with_options() -> (ChangeSender, JoinSet<()>) {
    let (sender, mut requests) = mpsc::channel::<ChangeRequest>(1);
    let mut changing = JoinSet::new();
    changing.spawn(async move {
        while let Some(ChangeRequest { change, done }) = requests.recv().await {
            let refused = OptionsChange::Port("/dev/refused".to_owned());
            let trouble = Explanation { words: "No".to_owned(), hint: "Fix it.".to_owned() };
            done.send(if change == refused { Err(trouble) } else { Ok(()) }).unwrap();
        }
    });
    (sender, changing)
}

/// A machine with a USB adapter that is a plain file, so that it cannot be opened as a port.
fn machine_with_a_port(folder: &Path) -> PathBuf {
    let root = folder.join("machine");
    for path in ["sys/class/tty/ttyUSB0/device", "sys/bus/usb", "dev"] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    let bus = root.join("sys/class/tty/ttyUSB0/device/subsystem");
    std::os::unix::fs::symlink(root.join("sys/bus/usb"), bus).unwrap();
    std::fs::write(root.join("dev/ttyUSB0"), "").unwrap();
    root
}

/// A search that has found meters at two ports.
fn two_meters() -> HeadSearch {
    let searched = |path: &str| Searched {
        port: LocalPort { path: path.into(), by_id: None, is_held: false },
        found: meter::find::Found::Meter {
            model: "Multical 403".to_owned(),
            serial_number: SerialNumber::new(12_345_678),
        },
    };
    let found = ["/dev/a", "/dev/refused"].map(searched).to_vec();
    let candidate =
        |searched: &Searched| Candidate { port: searched.port.clone(), usb: None, plan: Plan::Ask };
    let listed = found.iter().map(candidate).collect();
    HeadSearch { listed, found, ended: true, ..HeadSearch::default() }
}

fn found(register: u16) -> Found {
    let register = RegisterId::new(register);
    let name = crate::name::Parameter::of(register).name().to_owned();
    Found { register, name, label: None, text: Some("1".to_owned()), unit: None }
}

/// A search may open only ports that a visitor has seen in the list.
#[tokio::test]
async fn a_port_is_asked_only_after_it_was_listed() {
    let folder = tempfile::tempdir().unwrap();
    let finder = Finder::new(machine_with_a_port(folder.path()), PortQueues::default());
    let site = PageState { visitors: Visitors::Anybody, finder, ..empty() };
    let board = site.board.clone();
    let (address, _serving) = start(site).await;
    let press = async |path: &str| {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n");
        asked(address, &head, "").await.0
    };
    assert_eq!(press("/find/start").await, "409");
    assert!(board.head().is_none());
    assert_eq!(press("/find").await, "303");
    let listed = board.head().unwrap();
    assert_eq!((listed.listed.len(), listed.running, listed.found.len()), (1, false, 0));
    assert_eq!(press("/find/start").await, "303");
    let ended = async {
        let mut changes = board.changing();
        while !board.head().unwrap().ended {
            changes.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
    let search = board.head().unwrap();
    let expected = meter::find::Found::CannotOpen(OpenError::NotSerial);
    assert_eq!(search.found.iter().map(|one| &one.found).collect::<Vec<_>>(), [&expected]);
    // Another search needs another list, because other devices may be plugged in.
    assert_eq!(press("/find/start").await, "409");
    // A port that nobody has seen yet is not asked.
    assert_eq!(press("/find").await, "303");
    board.head_search(|search| search.as_mut().unwrap().listed.clear());
    assert_eq!(press("/find/start").await, "409");
    assert!(board.head().unwrap().found.is_empty());
}

/// Outside of the app, the ticked values are shown as lines for the file.
#[tokio::test]
async fn ticked_values_become_lines_for_the_file_or_options() {
    let board_of = |changes| {
        let parameters_list = crate::config::parameters_list;
        let site = PageState { visitors: Visitors::Anybody, changes, parameters_list, ..empty() };
        let meter = MeterState::new("a".to_owned(), "b".to_owned(), Duration::from_secs(60));
        let scan = ScanState { found: vec![found(60), found(80)], ..ScanState::default() };
        let name = Some("house".to_owned());
        site.board.set_meters(vec![(3, MeterState { name, scan: Some(scan), ..meter })]);
        site
    };
    let press = async |address, form: &str| {
        let head = "POST /scan/use HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n";
        asked(address, head, form).await.0
    };
    let site = board_of(None);
    let board = site.board.clone();
    let (address, _serving) = start(site).await;
    // The meter has no register 99.
    assert_eq!(press(address, "meter=3&r=80&r=99").await, "303");
    let scan = board.meters()[0].scan.clone().unwrap();
    let lines = scan.parameters.unwrap();
    assert!(lines.contains("- power") && !lines.contains("energy"), "{lines}");
    assert_eq!(scan.chosen, Some(vec![RegisterId::new(80)]));
    for (form, status) in [("meter=3&r=99", "409"), ("meter=4&r=80", "404"), ("meter=3&r=x", "400")]
    {
        assert_eq!(press(address, form).await, status, "{form}");
    }

    let (changes, _changing) = app_with_options();
    let site = board_of(Some(changes));
    let board = site.board.clone();
    let (address, _serving) = start(site).await;
    assert_eq!(press(address, "meter=3&r=80&r=60").await, "303");
    let names = ["energy", "power"].map(str::to_owned).to_vec();
    let change = OptionsChange::Values { meter: Some("house".to_owned()), names };
    assert_eq!(board.last_change(), Some(Changed { change, trouble: None }));
}

/// The options are changed, and the page says so, even if the visitor has left in the meantime.
#[tokio::test]
async fn a_change_is_noted_when_its_visitor_has_left() {
    let (sender, mut requests) = mpsc::channel::<ChangeRequest>(1);
    let finder = Finder::new(PathBuf::from("/none"), PortQueues::default());
    let site = PageState { visitors: Visitors::Anybody, finder, changes: Some(sender), ..empty() };
    let board = site.board.clone();
    board.head_search(|search| *search = Some(two_meters()));
    let (address, _serving) = start(site).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let form = "port=/dev/a";
    let request = format!(
        "POST /find/use HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let ChangeRequest { change, mut done } = requests.recv().await.unwrap();
    drop(stream);
    // The server ends the request soon, but somebody still waits for the answer.
    assert!(timeout(Duration::from_millis(100), done.closed()).await.is_err());
    let mut changes = board.changing();
    assert_eq!(done.send(Ok(())), Ok(()));
    changes.changed().await.unwrap();
    assert_eq!(board.last_change(), Some(Changed { change, trouble: None }));
}

/// The description has all paths and nothing else, each with its responses and refusals.
#[expect(clippy::too_many_lines, reason = "each answer of the description, once")]
#[tokio::test]
async fn every_path_and_response_is_described() {
    let description: Value = serde_json::from_str(api::DESCRIPTION).unwrap();
    let mut described = BTreeMap::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().iter();
            let answers = answers.map(|(status, answer)| {
                let shared = answer["$ref"].as_str();
                let shared = shared
                    .map(|name| description.pointer(name.strip_prefix('#').unwrap()).unwrap());
                let content = shared.unwrap_or(answer)["content"].as_object();
                // A text for programs is the last one: `text/plain`.
                let kind = content.map(|content| content.keys().next_back().unwrap().clone());
                (status.clone(), kind)
            });
            let of = (method.to_ascii_uppercase(), path.clone());
            described.insert(of, answers.collect::<BTreeMap<_, _>>());
        }
    }
    for (path, status) in NEVER {
        let answers = described.get_mut(&("GET".to_owned(), path.to_owned())).unwrap();
        assert!(answers.remove(status).is_some(), "{path} {status}");
    }
    let views = views().map(|(path, _)| ("GET".to_owned(), path.to_owned()));
    let actions = ACTIONS.map(|(path, _)| ("POST".to_owned(), path.to_owned()));
    let finding = finding().map(|(path, _)| ("POST".to_owned(), path.to_owned()));
    let filling = filling().map(|(path, _)| ("POST".to_owned(), path.to_owned()));
    let unlock = ("POST".to_owned(), TOKEN.to_owned());
    let buttons = actions.into_iter().chain(finding).chain(filling);
    let mut all: Vec<_> = views.into_iter().chain(buttons).chain([unlock]).collect();
    all.sort_unstable();
    assert_eq!(described.keys().cloned().collect::<Vec<_>>(), all);

    let folder = tempfile::tempdir().unwrap();
    let (changes, _changing) = app_with_options();
    let finder = Finder::new(machine_with_a_port(folder.path()), PortQueues::default());
    let site = PageState { finder, changes: Some(changes), ..past::tests::site(folder.path()) };
    let journal = folder.path().join("journal.json");
    let _writing = JournalFile::open(&journal).unwrap();
    site.desk.work_with(&site.board, Some(statistics(folder.path(), journal)));
    let board = site.board.clone();
    let found = [found(60)].to_vec();
    board.meter(3, |meter| meter.scan = Some(ScanState { found, ..ScanState::default() }));
    let handles = [3, 4].map(|number| (number, MeterHandle::default()));
    for (_, handle) in &handles {
        handle.accept_jobs();
    }
    board.set_handles(handles.to_vec());
    let (time, text) = ("2026-11-24T10:00:00+01:00".to_owned(), "one".to_owned());
    board.log().add(LogLine { time, level: Level::ERROR, text });
    let (address, _serving) = start(site.clone()).await;
    site.token.configure(Some("hunter22"));
    let far = "Host: localhost\r\nOrigin: http://y\r\n";
    let other = "Host: localhost\r\nOrigin: http://localhost\r\nX-Forwarded-For: 192.168.1.9\r\n";
    let cookie = site.token.cookie().unwrap();
    let near = format!(
        "Host: localhost\r\nOrigin: http://localhost\r\nCookie: {}\r\n",
        cookie.to_str().unwrap()
    );
    let near = near.as_str();
    let unfinished =
        all.iter().filter(|(method, _)| method == "POST").map(async |(method, path)| {
            let head = format!("{method} {path} HTTP/1.1\r\n{near}");
            ((method.clone(), path.clone()), asked(address, &head, UNFINISHED).await)
        });
    let unfinished = futures_util::future::join_all(unfinished).await;
    let mut seen: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let mut ask = async |at, (method, path): &(String, String), query, headers, form| {
        let head = format!("{method} {path}{query} HTTP/1.1\r\n{headers}");
        let (status, kind) = asked(at, &head, form).await;
        let statuses = seen.entry((method.clone(), path.clone())).or_default();
        let known = statuses.entry(status.clone()).or_insert_with(|| kind.clone());
        assert_eq!(*known, kind, "{head}");
        status
    };
    let long = "x".repeat(LONGEST_FORM + 1);
    for of @ (method, path) in &all {
        ask(address, of, "", "Host: x.example\r\n", "").await;
        if method == "GET" {
            for query in [
                "",
                "?level=loud",
                "?meter=3&parameter=energy",
                "?meter=3&parameter=x",
                "?meter=3&parameter=energy&to=x",
            ] {
                ask(address, of, query, "Host: localhost\r\n", "").await;
            }
        } else {
            // The second time it is busy.
            let meter = if path.starts_with("/scan") { "meter=4" } else { "meter=3" };
            let others: &[&str] = match path.as_str() {
                "/find/use" => {
                    board.head_search(|search| *search = Some(two_meters()));
                    &["port=/dev/a", "port=/dev/refused", "port=/dev/none"]
                }
                "/scan/use" => &["meter=3&r=60", "meter=3"],
                "/statistics/fill" => {
                    board.filling(|filling| filling.job = Some(looked()));
                    &[]
                }
                "/statistics/look" | "/statistics/undo" => {
                    board.filling(|filling| filling.job = None);
                    &[]
                }
                _ => &[],
            };
            let forms = [meter, meter, "meter=5", "meter=x", "token=hunter22"];
            for form in forms.iter().chain(others) {
                ask(address, of, "", near, form).await;
            }
            ask(address, of, "", far, meter).await;
            ask(address, of, "", other, "token=wrong").await;
            ask(address, of, "", near, &long).await;
        }
        let other = if method == "GET" { "POST" } else { "GET" };
        let (status, _) = asked(address, &format!("{other} {path} HTTP/1.1\r\n{near}"), "").await;
        assert_eq!(status, "405", "{other} {path}");
    }

    let wrong = format!("{other}Authorization: Bearer wrong\r\n");
    for of in all.iter().filter(|(method, _)| method == "POST") {
        // More of them if this takes longer than the first pauses.
        while ask(address, of, "", &wrong, "token=wrong").await != "429" {}
    }

    // Now everything works except the history.
    let name = "broker:1883".to_owned();
    board.set_broker(BrokerState::Connected { name, since: Instant::now(), doubt: None });
    for number in [3, 4] {
        board.meter(number, |meter| {
            meter.last = Some(LastPoll { at: Instant::now(), answered: true, trouble: None });
        });
    }
    std::fs::write(folder.path().join("history.db"), "no database").unwrap();
    // And if all lookups fail.
    let shared = Shared::by(BlockingJobs::closed(), BlockingJobs::closed());
    let (busy, _serving_too) = start_by(router_with(&site, shared)).await;
    for of in all.iter().filter(|(method, _)| method == "GET") {
        for address in [address, busy] {
            ask(address, of, "?meter=3&parameter=energy", "Host: localhost\r\n", "").await;
        }
    }
    for path in ["/find", "/find/start"] {
        ask(busy, &("POST".to_owned(), path.to_owned()), "", near, "").await;
    }
    for (of, (status, kind)) in unfinished {
        seen.entry(of).or_default().insert(status, kind);
    }
    assert_eq!(seen, described);
}

/// A Home Assistant that is not there.
fn statistics(folder: &Path, journal: PathBuf) -> Repeating {
    let address = "http://127.0.0.1:9".parse().unwrap();
    let access = Access { address, token: Secret::new("a-secret-token".to_owned()) };
    let reader = Reader::of_file(folder.join("history.db"), TimeZone::UTC);
    Repeating { access, source: Source::new(reader, &[], "kamstrup"), journal }
}

fn looked() -> FillingJob {
    FillingJob {
        work: Work::Look,
        progress: Progress::Done,
        lines: vec![FilledLine {
            entity_id: "sensor.house_energy".to_owned(),
            hours: 2,
            first: "2026-11-24T07:00:00Z".parse().unwrap(),
            last: "2026-11-24T09:00:00Z".parse().unwrap(),
            sums: Some(("10.50".parse().unwrap(), "11".parse().unwrap(), "kWh".to_owned())),
        }],
        more: 3,
        remarks: vec!["sensor.house_volume: Left the gap alone: <b>".to_owned()],
        more_remarks: 0,
    }
}

/// What would be written is shown before anything is written. Without an address and a token, there
/// is nothing to press.
#[tokio::test]
async fn gaps_are_filled_after_they_were_shown() {
    let folder = tempfile::tempdir().unwrap();
    let site = PageState { visitors: Visitors::Anybody, ..empty() };
    let board = &site.board;
    let (address, _serving) = start(site.clone()).await;
    let shown = async || raw(address, b"GET /part HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let state = async || {
        let answer = raw(address, b"GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        serde_json::from_str::<Value>(&body).unwrap()["statistics"].clone()
    };
    let press = async |path| post(address, path, "").await;
    assert!(!shown().await.contains("statistics-look"));
    assert_eq!(state().await, Value::Null);
    let refused = press("/statistics/look").await;
    assert!(refused.starts_with("HTTP/1.1 409 ") && refused.contains("token"), "{refused}");

    let journal = folder.path().join("journal.json");
    let writing = JournalFile::open(&journal).unwrap();
    site.desk.work_with(board, Some(statistics(folder.path(), journal)));
    let page = shown().await;
    assert!(page.contains("statistics-look") && !page.contains("statistics-fill"), "{page}");
    assert!(page.contains(Language::English.words().gaps_backup), "{page}");
    assert_eq!(state().await["job"], Value::Null);
    let refused = press("/statistics/fill").await;
    assert!(refused.contains("Look for gaps"), "{refused}");

    // One at a time. The journal is in use, so it waits.
    assert!(press("/statistics/look").await.starts_with("HTTP/1.1 303 "));
    let refused = press("/statistics/undo").await;
    assert!(refused.contains("being done already"), "{refused}");
    let page = shown().await;
    assert!(page.contains("statistics-stop") && !page.contains("statistics-look"), "{page}");
    assert_eq!(state().await["job"]["state"], "waiting");
    assert!(press("/statistics/stop").await.starts_with("HTTP/1.1 303 "));
    let ended = async |state: &str| {
        let mut changes = board.changing();
        let is_so = || board.filling_now().job.is_some_and(|job| !job.progress.is_running());
        while !is_so() {
            timeout(PATIENCE, changes.changed()).await.expect(state).unwrap();
        }
    };
    ended("a stop").await;
    assert_eq!(state().await["job"]["state"], "stopped");
    assert!(shown().await.contains("Stopped. Nothing was written."));

    // Now it is free, but Home Assistant is not there.
    drop(writing);
    assert!(press("/statistics/look").await.starts_with("HTTP/1.1 303 "));
    ended("a failure").await;
    let job = state().await["job"].clone();
    assert_eq!((&job["work"], &job["state"]), (&"look".into(), &"failed".into()));
    let page = shown().await;
    let refused =
        "Cannot connect to Home Assistant at http://127.0.0.1:9: the connection was refused.";
    assert!(page.contains(refused), "{page}");
    assert!(!page.contains("a-secret-token"));

    board.filling(|filling| filling.job = Some(looked()));
    let page = shown().await;
    for words in ["statistics-fill", "10.50 – 11 kWh", "2026-11-24 08:00", "3 more", "&#60;b&#62;"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let gap = state().await["job"]["gaps"][0].clone();
    assert_eq!(gap["from"], "2026-11-24T08:00:00+01:00");
    assert_eq!(gap["sum_from"].to_string(), "10.5");

    // Without Home Assistant, nothing goes on.
    board.filling(|filling| filling.job = None);
    let writing = JournalFile::open(&folder.path().join("journal.json")).unwrap();
    assert!(press("/statistics/undo").await.starts_with("HTTP/1.1 303 "));
    site.desk.work_with(board, None);
    ended("the end of the program").await;
    assert_eq!(board.filling_now().job.unwrap().progress, Progress::Stopped);
    assert_eq!(state().await, Value::Null);
    drop(writing);
}

/// A request of another machine through a proxy on this one, with more headers.
async fn far(address: SocketAddr, path: &str, headers: &str, form: Option<&str>) -> String {
    let method = if form.is_some() { "POST" } else { "GET" };
    let (form, length) = (form.unwrap_or_default(), form.map_or(0, str::len));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.168.1.9\r\n{headers}\
         Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
    );
    raw(address, request.as_bytes()).await
}

/// Everybody on the network could press all buttons.
#[tokio::test]
async fn other_machines_may_look_and_need_the_token_for_buttons() {
    let site = PageState { visitors: Visitors::Anybody, ..empty() };
    let handle = MeterHandle::default();
    site.board.set_handles(vec![(7, handle.clone())]);
    site.board.set_meters(vec![(7, meter("a"))]);
    site.token.configure(Some("correct horse"));
    let (address, _serving) = start(site.clone()).await;
    let page = "Origin: http://localhost\r\nAccept: text/html\r\nAccept-Language: de\r\n";
    let script = "Origin: http://localhost\r\nAccept: */*\r\nAccept-Language: de\r\n";
    let requested = async || timeout(GRACE, handle.poll_requested()).await.is_ok();
    for path in ["/", "/part", "/log", "/metrics", "/api/v1/state", "/health"] {
        let answer = far(address, path, "", None).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    assert!(far(address, "/part", page, None).await.contains("name=\"token\""));
    let near = raw(address, b"GET /part HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(near.contains("name=\"token\""), "{near}");
    assert_eq!(status(address, HEALTH).await, 200);
    let pressed = post(address, "/read", "meter=7").await;
    assert!(pressed.starts_with("HTTP/1.1 401 "), "{pressed}");
    let others = finding().map(|(path, _)| path).into_iter().chain(filling().map(|(path, _)| path));
    for path in ACTIONS.map(|(path, _)| path).into_iter().chain(others) {
        for headers in [page, script, "", "Authorization: Bearer wrong\r\n"] {
            let answer = far(address, path, headers, Some("meter=7")).await;
            let status = if headers.is_empty() { "403" } else { "401" };
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            // Nobody is slowed down here.
            site.token.check([127, 0, 0, 1].into(), b"correct horse").unwrap();
        }
    }
    let unknown = far(address, "/nothing", page, Some("")).await;
    assert!(unknown.starts_with("HTTP/1.1 401 "), "{unknown}");
    assert!(!requested().await);

    // The page for browsers without the script.
    let asks = far(address, "/placement/stop", page, Some("meter=7")).await;
    assert!(asks.contains("www-authenticate: Bearer realm=\"kamstrup2mqtt\""), "{asks}");
    assert!(asks.contains("<html lang=\"de\">") && asks.contains("action=\"../token\""), "{asks}");
    let asks = far(address, "/read", page, Some("meter=7")).await;
    assert!(asks.contains("action=\"./token\""), "{asks}");
    let words = Language::German.words();
    let said = far(address, "/read", script, Some("meter=7")).await;
    assert!(said.ends_with(&format!("\r\n\r\n{}\n", words.token_needed)), "{said}");
    let program = far(address, "/read", "Authorization: Bearer x\r\n", Some("meter=7")).await;
    assert!(program.contains("`web.token`"), "{program}");

    let wrong = far(address, "/token", page, Some("token=correct+house")).await;
    assert!(wrong.starts_with("HTTP/1.1 401 ") && wrong.contains(words.token_wrong), "{wrong}");
    assert!(!wrong.contains("set-cookie"), "{wrong}");
    let right = far(address, "/token", page, Some("token=+correct+horse+")).await;
    assert!(right.starts_with("HTTP/1.1 303 ") && right.contains("location: ./\r\n"), "{right}");
    let (_, cookie) = right.split_once("set-cookie: ").unwrap();
    let (cookie, attributes) = cookie.lines().next().unwrap().split_once(';').unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"), "{right}");
    assert!(!right.contains("horse"), "{right}");
    let cookie = format!("{page}Cookie: a=b; {cookie}\r\n");
    assert!(!far(address, "/part", &cookie, None).await.contains("name=\"token\""));
    let read = far(address, "/read", &cookie, Some("meter=7")).await;
    assert!(read.starts_with("HTTP/1.1 303 ") && requested().await, "{read}");
    let foreign = cookie.replace("http://localhost", "http://y");
    let foreign = far(address, "/read", &foreign, Some("meter=7")).await;
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    let program = "Authorization: Bearer correct horse\r\n";
    let read = far(address, "/read", program, Some("meter=7")).await;
    assert!(read.starts_with("HTTP/1.1 303 ") && requested().await, "{read}");
    // Another token ends what browsers remember.
    site.token.configure(Some("correct horse 2"));
    let read = far(address, "/read", &cookie, Some("meter=7")).await;
    assert!(read.starts_with("HTTP/1.1 401 "), "{read}");
}

/// The answer named `web.token`, whose value is not accepted.
#[tokio::test]
async fn visitors_learn_that_the_configured_token_is_invalid() {
    let site = PageState { visitors: Visitors::Anybody, ..empty() };
    site.token.configure_unknown();
    let (address, _serving) = start(site).await;
    let page = "Origin: http://localhost\r\nAccept: text/html\r\nAccept-Language: de\r\n";
    let words = Language::German.words().token_unknown;
    for answer in [
        far(address, "/token", page, Some("token=correct+horse")).await,
        far(address, "/read", page, Some("meter=7")).await,
        far(address, "/read", "Authorization: Bearer x\r\n", Some("meter=7")).await,
        post(address, "/read", "meter=7").await,
    ] {
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let is_said = answer.contains(words) || answer.contains("`web.token` is invalid");
        assert!(is_said, "{answer}");
    }
}

#[tokio::test]
async fn repeated_wrong_tokens_are_slowed_down() {
    let site = PageState { visitors: Visitors::Anybody, ..empty() };
    site.token.configure(Some("correct horse"));
    let (address, _serving) = start(site).await;
    let mut refused = String::new();
    for number in 0..100 {
        let guess = format!("Authorization: Bearer guess {number}\r\n");
        refused = far(address, "/read", &guess, Some("meter=7")).await;
        if refused.starts_with("HTTP/1.1 429 ") {
            break;
        }
    }
    assert!(refused.contains("retry-after: ") && refused.contains("Try again in "), "{refused}");
    let right =
        far(address, "/token", "Origin: http://localhost\r\n", Some("token=correct+horse")).await;
    assert!(right.starts_with("HTTP/1.1 429 "), "{right}");
}

/// Opens the stream of events.
async fn listening(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    BufReader::new(stream)
}

/// The next line of it with this text.
async fn line_with(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    let search = async {
        loop {
            let mut line = String::new();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "it has ended");
            if line.contains(text) {
                return line.trim().to_owned();
            }
        }
    };
    timeout(PATIENCE, search).await.unwrap()
}

#[tokio::test]
async fn listeners_receive_events() {
    let site = empty();
    let board = site.board.clone();
    board.set_meters(vec![(7, meter("a"))]);
    let (address, _serving) = start(site).await;
    let mut stream = listening(address).await;
    assert_eq!(line_with(&mut stream, "HTTP").await, "HTTP/1.1 200 OK");
    line_with(&mut stream, "content-type: text/event-stream").await;
    line_with(&mut stream, "content-security-policy: default-src 'none'").await;
    // Something may have changed since the page was rendered.
    line_with(&mut stream, "event: changed").await;
    let begun = Instant::now();
    // A thousand changes make one event, a second after the last one.
    (0..1000).for_each(|_| board.meter(7, |meter| meter.fault = None));
    line_with(&mut stream, "event: changed").await;
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    let placement = |asked, hits| Placement {
        running: true,
        asked,
        hits,
        hit: Some(true),
        left: Duration::from_millis(108_900),
        ..Placement::default()
    };
    board.progress(7, |meter| meter.placement = Some(placement(12, 9)));
    line_with(&mut stream, "event: placement").await;
    let data = line_with(&mut stream, "data: ").await;
    assert_eq!(data, r#"data: {"meter":7,"hit":true,"asked":12,"hits":9,"left":108}"#);
    // The next one starts from zero.
    board.progress(7, |meter| meter.placement = Some(placement(1, 1)));
    let data = line_with(&mut stream, "data: ").await;
    assert_eq!(data, r#"data: {"meter":7,"hit":true,"asked":1,"hits":1,"left":108}"#);
    let found = |register: u16| {
        let (name, text) = (register.to_string(), Some("1".to_owned()));
        Found { register: RegisterId::new(register), name, label: None, text, unit: None }
    };
    let scan = |asked, numbers: &[u16]| {
        let found = numbers.iter().copied().map(found).collect();
        Some(ScanState { running: true, asked, of: 1400, found, ..ScanState::default() })
    };
    board.progress(7, |meter| meter.scan = scan(8, &[1, 2]));
    let data = line_with(&mut stream, "data: ").await;
    assert!(data.contains(r#""asked":8,"of":1400"#) && data.contains(r#""register":2"#), "{data}");
    // Only the new ones.
    board.progress(7, |meter| meter.scan = scan(16, &[1, 2, 3]));
    let data = line_with(&mut stream, "data: ").await;
    assert_eq!(data.matches("register").count(), 1, "{data}");
    assert!(data.contains(r#""register":3"#), "{data}");
}

/// Pages may stay open longer than a request, and keep nobody else out. Their number is limited
/// too. The next page showed "No connection": now the oldest one makes room, and learns why.
#[tokio::test]
async fn open_pages_have_their_own_limit() {
    let site = empty();
    let board = site.board.clone();
    let (address, _serving) = start(site).await;
    let mut open = VecDeque::new();
    for _ in 0..MOST_OPEN {
        let mut stream = listening(address).await;
        line_with(&mut stream, "event: changed").await;
        open.push_back(stream);
    }
    let begun = Instant::now();
    for _ in 0..3 {
        let mut stream = listening(address).await;
        assert_eq!(line_with(&mut stream, "HTTP").await, "HTTP/1.1 200 OK");
        open.push_back(stream);
        let mut oldest = open.pop_front().unwrap();
        line_with(&mut oldest, "event: full").await;
        let mut rest = Vec::new();
        timeout(PATIENCE, oldest.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(rest).unwrap().matches("event").count(), 0);
    }
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(status(address, HEALTH).await, 200);
    // A comment comes every 15 s, long after every other connection has timed out.
    let mut first = open.pop_front().unwrap();
    line_with(&mut first, ":").await;
    let alive = async {
        while begun.elapsed() < WHOLE + Duration::from_secs(1) {
            line_with(&mut first, ":").await;
        }
    };
    timeout(PATIENCE, alive).await.unwrap();
    board.set_up(|_| {});
    for stream in &mut open {
        line_with(stream, "event: changed").await;
    }
}

/// A page that is closed, or that no longer reads, makes room too.
#[tokio::test]
async fn pages_that_do_not_read_make_room() {
    let (address, _serving) = start(empty()).await;
    let mut open = Vec::new();
    for _ in 0..2 * MOST_OPEN {
        open.push(listening(address).await);
        if open.len() > MOST_OPEN {
            line_with(open.last_mut().unwrap(), "event: changed").await;
        }
    }
}

/// With 500 meters, sixteen visitors who requested `/metrics` in a loop stopped polls and publishes.
#[tokio::test]
async fn answers_that_grow_with_the_meters_take_turns() {
    const MANY: usize = 40;
    let shared = Shared::by(BlockingJobs::readings(), BlockingJobs::ports());
    let site_of = |count| {
        let site = empty();
        let numbered = |number: usize| (number, meter(&format!("meter {number}")));
        site.board.set_meters((0..count).map(numbered).collect());
        site
    };
    let get = async |address, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        raw(address, request.as_bytes()).await.len()
    };
    let (few, _serving) = start(site_of(1)).await;
    let (many, _serving_too) = start_by(router_with(&site_of(MANY), shared.clone())).await;
    let (mut growing, mut others) = (Vec::new(), Vec::new());
    for path in views().map(|(path, _)| path).into_iter().filter(|path| *path != "/events") {
        let is_growing = get(many, path).await > get(few, path).await + MANY;
        if is_growing { &mut growing } else { &mut others }.push(path);
    }
    assert_eq!(growing, ["/", "/part", "/ready", "/metrics", "/api/v1/state"]);
    assert!(others.contains(&HEALTH));

    let held = shared.turns.hold().await;
    let waiting = growing.iter().cycle().take(MOST).map(|path| get(many, path));
    let mut waiting = Box::pin(futures_util::future::join_all(waiting));
    assert!(timeout(GRACE, &mut waiting).await.is_err());
    // This machine's health check has a place and needs no turn.
    assert_eq!(timeout(PATIENCE, status(many, HEALTH)).await.unwrap(), 200);
    assert!(timeout(GRACE, &mut waiting).await.is_err());
    drop(held);
    assert!(timeout(PATIENCE, waiting).await.unwrap().into_iter().all(|length| length > 0));
    // Each of them waits, and none of the others does.
    let _held = shared.turns.hold().await;
    for path in others {
        timeout(PATIENCE, get(many, path)).await.unwrap();
    }
    for path in growing {
        assert!(timeout(GRACE, get(many, path)).await.is_err(), "{path}");
    }
}

/// Eighteen visitors who did not read a long answer kept everybody out for 10 s.
#[tokio::test]
async fn visitors_who_do_not_read_make_room() {
    let long = axum::body::Bytes::from(vec![b'x'; 16 * 1024 * 1024]);
    let get = |body: axum::body::Bytes| {
        axum::routing::get(move |Extension(guest): Extension<Guest>| {
            guest.seat.note_whole_request();
            let body = body.clone();
            async move { body }
        })
    };
    let router = Router::new().route("/long", get(long)).route("/short", get("x".into()));
    let (address, _serving) = start_by(router).await;
    let mut readers = Vec::new();
    for _ in 0..MOST + KEPT {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        readers.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(status(address, "/short").await, 503);
    while status(address, "/short").await != 200 {
        assert!(begun.elapsed() < WHOLE / 2);
    }
    // Nobody needs their places any more, and they are ended too.
    for mut reader in readers {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, reader.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(begun.elapsed() < WHOLE, "{:?}", begun.elapsed());
}

/// Visitors of the proxy of a container may seem to come from the container's own address. They took
/// the places that are kept for its health check.
#[test]
fn an_own_address_is_this_machine_only_if_the_page_listens_on_it_alone() {
    for (peer, listens, expected) in [
        ("127.0.0.1", "0.0.0.0", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("::1", "::", true),
        ("10.88.0.2", "0.0.0.0", false),
        ("10.88.0.2", "::", false),
        ("192.168.1.5", "192.168.1.5", true),
        ("192.168.1.5", "::ffff:192.168.1.5", true),
        ("192.168.1.9", "192.168.1.5", false),
    ] {
        let [from, on] = [peer, listens].map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(is_here(from, on), expected, "{peer} on {listens}");
    }
}

/// The second click on the setup page's last button was answered with "Nothing was done", although
/// the first one had written the file.
#[tokio::test]
async fn a_button_of_the_setup_page_leads_to_the_status_page_that_took_its_place() {
    let setup = crate::setup::Setup::new(crate::setup::Target::choose(None, None), None);
    setup.close();
    let setup = Some(SetupPage::new(setup, None));
    let site = PageState { visitors: Visitors::Anybody, setup, ..empty() };
    // Also on another machine.
    site.token.configure(Some("correct horse"));
    let (address, _serving) = start(site).await;
    for path in ["/setup/write", "/setup/next"] {
        let answer = post(address, path, "x=1").await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert!(answer.contains("\r\nlocation: ../\r\n"), "{answer}");
    }
    assert!(post(address, "/setups", "x=1").await.starts_with("HTTP/1.1 401 "));
}

/// The visitors of a proxy on this machine wait for their turns at all places of this machine.
#[tokio::test]
async fn visitors_of_a_proxy_do_not_keep_the_health_check_out() {
    let shared = Shared::by(BlockingJobs::readings(), BlockingJobs::ports());
    let (address, _serving) = start_by(router_with(&empty(), shared.clone())).await;
    let held = shared.turns.hold().await;
    let get = async |_| raw(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut waiting = Box::pin(futures_util::future::join_all((0..MOST + KEPT).map(get)));
    assert!(timeout(GRACE, &mut waiting).await.is_err());
    for _ in 0..40 {
        assert_eq!(status(address, HEALTH).await, 200);
        assert_eq!(status(address, "/metrics").await, 503);
    }
    drop(held);
    let answers = timeout(PATIENCE, waiting).await.unwrap();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{answers:?}");
}

#[tokio::test]
async fn the_url_is_published_only_if_others_can_reach_it() {
    let (sender, address) = watch::channel(None);
    let (found, mut page) = watch::channel(Some("before".to_owned()));
    let finding = tokio::spawn(find(address, ("127.0.0.1".to_owned(), 1883), found));
    let mut shown = Vec::new();
    let addresses = [
        None,
        Some("192.168.1.5:8099"),
        Some("127.0.0.1:8099"),
        Some("[fd00::1]:80"),
        // The broker is on this machine too.
        Some("0.0.0.0:8099"),
    ];
    for address in addresses {
        sender.send_replace(address.map(|address| address.parse().unwrap()));
        timeout(PATIENCE, page.changed()).await.unwrap().unwrap();
        shown.push(page.borrow_and_update().clone());
    }
    let shown: Vec<_> = shown.iter().map(Option::as_deref).collect();
    let [here, there] = ["http://192.168.1.5:8099", "http://[fd00::1]:80"];
    assert_eq!(shown, [None, Some(here), None, Some(there), None]);
    drop(sender);
    timeout(PATIENCE, finding).await.unwrap().unwrap();
}

/// The network may not be up yet at the start.
#[tokio::test(start_paused = true)]
async fn an_unknown_address_is_found_later() {
    let all = "0.0.0.0:8099".parse().unwrap();
    let (_sender, address) = watch::channel(Some(all));
    let (found, mut page) = watch::channel(None);
    let asked = AtomicUsize::new(0);
    let seen = || async {
        if asked.fetch_add(1, Ordering::Relaxed) < 3 {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        Ok(IpAddr::from([192, 168, 1, 5]))
    };
    let begun = Instant::now();
    tokio::select! {
        () = find_by(address, seen, found) => {}
        changed = page.changed() => changed.unwrap(),
    }
    assert_eq!(begun.elapsed(), 3 * RETRY);
    assert_eq!(page.borrow().as_deref(), Some("http://192.168.1.5:8099"));
}

/// A page without charts is better than none. Without its ports, it would be wrong.
#[tokio::test]
async fn failed_lookups_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let site = past::tests::site(folder.path());
    let history = "/api/v1/history?meter=3&parameter=energy";
    let paths = ["/", "/part", "/api/v1/state", history, HEALTH, "/metrics"];
    let by = async |readings: &BlockingJobs, ports: &BlockingJobs| {
        let router = router_with(&site, Shared::by(readings.clone(), ports.clone()));
        let (address, _serving) = start_by(router).await;
        let mut all = Vec::new();
        for path in paths {
            all.push(status(address, path).await);
        }
        all
    };
    let (readings, ports, none) =
        (BlockingJobs::readings(), BlockingJobs::ports(), BlockingJobs::closed());
    assert_eq!(by(&readings, &ports).await, [200; 6]);
    assert_eq!(by(&none, &ports).await, [200, 200, 200, 503, 200, 200]);
    assert_eq!(by(&readings, &none).await, [503, 503, 503, 200, 200, 200]);
    assert_eq!(by(&none, &none).await, [503, 503, 503, 503, 200, 200]);
}

#[tokio::test]
async fn the_log_is_filtered_by_level() {
    let site = empty();
    for (level, text) in [(Level::INFO, "one"), (Level::WARN, "two"), (Level::DEBUG, "three")] {
        let (time, text) = ("2026-11-24T10:00:00+01:00".to_owned(), text.to_owned());
        site.board.log().add(LogLine { time, level, text });
    }
    let (address, _serving) = start(site).await;
    let log = async |query: &str| {
        let request = format!("GET /log{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = raw(address, request.as_bytes()).await;
        answer.split_once("\r\n\r\n").unwrap().1.replace("2026-11-24T10:00:00+01:00", "T")
    };
    assert_eq!(log("").await, "T  INFO one\nT  WARN two\nT DEBUG three\n");
    assert_eq!(log("?level=INFO").await, "T  INFO one\nT  WARN two\n");
    assert_eq!(log("?level=warning").await, "T  WARN two\n");
    assert_eq!(log("?level=ERROR").await, "");
}

#[tokio::test]
async fn the_page_moves_to_a_new_address() {
    let (sender, address) = watch::channel(None);
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(address, empty(), stop.clone()));
    let mut before = None;
    for _ in 0..2 {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = holder.local_addr().unwrap();
        drop(holder);
        sender.send_replace(Some(address));
        let asked = async {
            let url: reqwest::Url = format!("http://{address}{HEALTH}").parse().unwrap();
            while http::get(url.clone(), None, PATIENCE).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, asked).await.unwrap();
        if let Some(before) = before.replace(address) {
            assert!(TcpStream::connect(before).await.is_err());
        }
    }
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}

/// The container's health check failed as long as others held 16 connections.
#[tokio::test]
async fn half_open_connections_do_not_keep_the_health_check_out() {
    let (address, _serving) = start(empty()).await;
    let mut idle = Vec::new();
    for number in 0..24 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun: [&[u8]; 3] = [b"", b"GET / HTTP/1.1\r\n", b"POST /read HTTP/1.1\r\nHost: localhost\r\n            Sec-Fetch-Site: same-origin\r\nContent-Length: 99\r\n\r\nmeter="];
        // It may have been closed already.
        let _ = stream.write_all(begun[number % 3]).await;
        idle.push(stream);
    }
    tokio::time::sleep(GRACE).await;
    let begun = Instant::now();
    for _ in 0..MOST + KEPT {
        assert_eq!(status(address, HEALTH).await, 200);
    }
    assert!(begun.elapsed() < REQUEST, "{:?}", begun.elapsed());
}

/// After 18 connections that had sent a whole request and ended, the page and the health check were
/// locked out for good.
#[tokio::test]
async fn ended_connections_lock_nobody_out() {
    const GET: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (address, _serving) = start(empty()).await;
    let mut streams = Vec::new();
    for _ in 0..MOST + KEPT {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    tokio::time::sleep(GRACE).await;
    for stream in &mut streams {
        stream.write_all(GET).await.unwrap();
    }
    for stream in &mut streams {
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
    drop(streams);
    assert_eq!(status(address, HEALTH).await, 200);
    for _ in 0..400 {
        let answer = raw(address, GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// Connections without a whole request are closed.
#[tokio::test]
async fn a_request_must_be_whole_within_three_seconds() {
    let (address, _serving) = start(empty()).await;
    let head = "Host: localhost\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 99\r\n";
    let requests = [
        "",
        "GET",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        &format!("POST /read HTTP/1.1\r\n{head}"),
    ];
    let body = format!("POST /read HTTP/1.1\r\n{head}\r\nmeter=7");
    let begun = Instant::now();
    let ended = requests.into_iter().chain([body.as_str()]).map(async |request| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        (begun.elapsed(), String::from_utf8(answer).unwrap())
    });
    let ended = futures_util::future::join_all(ended).await;
    for (took, answer) in &ended {
        assert!(*took > REQUEST / 2, "{took:?}: {answer}");
        assert!(*took < REQUEST + Duration::from_secs(1), "{took:?}: {answer}");
    }
    let (_, answer) = ended.last().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("3 s"), "{answer}");
}

/// For example because the client does not read.
#[tokio::test]
async fn a_response_that_never_ends_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(pending::<Response>);
    let mut serving = JoinSet::new();
    serving.spawn(serve_by(router, listener, Visitors::HomeAssistant));
    assert_eq!(raw(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await, "");
}

/// What `blocking` does when the future of an answer is dropped relies on this.
#[tokio::test]
async fn the_work_for_a_visitor_who_has_left_ends() {
    struct Answer(mpsc::UnboundedSender<&'static str>);
    impl Drop for Answer {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::unbounded_channel();
    let router = Router::new().fallback(async move || {
        let answer = Answer(sender.clone());
        let _ = answer.0.send("begun");
        pending::<Response>().await
    });
    let mut serving = JoinSet::new();
    serving.spawn(serve_by(router, listener, Visitors::HomeAssistant));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), Some("begun"));
    let left = Instant::now();
    drop(stream);
    assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), Some("dropped"));
    assert!(left.elapsed() < WHOLE, "long before the connection would be cut off");
}

#[tokio::test]
async fn an_endless_request_is_refused() {
    let (address, _serving) = start(empty()).await;
    let mut request = b"GET / HTTP/1.1\r\nX: ".to_vec();
    request.resize(LONGEST + 1, b'x');
    let answer = raw(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_port_in_use_is_tried_again() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = holder.local_addr().unwrap();
    let waiting = tokio::spawn(async move {
        listen(address, || AddressSetting::File).await.local_addr().unwrap()
    });
    tokio::task::yield_now().await;
    drop(holder);
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), address);
}

/// A user of the app cannot change limits: it was advised to use `ulimit`.
#[test]
fn only_a_program_is_advised_to_raise_its_limits() {
    let too_many = || io::Error::from_raw_os_error(24);
    let job = JobFailed::from(too_many());
    let words = |setting, runs_as| [unavailable_words(&too_many(), setting), job.words(runs_as)];
    assert!(
        words(AddressSetting::File, RunsAs::Program)
            .iter()
            .all(|words| words.contains("`ulimit -n`"))
    );
    for words in words(AddressSetting::Fixed, RunsAs::AddOn) {
        assert!(words.contains("Restart the machine") && !words.contains("imit"), "{words}");
    }
}

/// Without the right to list `/dev`, the page advised to raise limits.
#[test]
fn limits_are_blamed_only_if_one_is_reached() {
    let words = |error: io::Error| JobFailed::from(error).words(RunsAs::Program);
    assert!(words(io::Error::from_raw_os_error(24)).contains("`ulimit -n`"));
    let denied = words(io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied, "This is unavailable now: permission denied.");
}

/// The app's (add-on's) form has no setting for the address.
#[test]
fn only_a_program_is_pointed_to_the_setting_of_the_address() {
    let kinds = [
        io::ErrorKind::AddrInUse,
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::PermissionDenied,
    ];
    let mut all = String::new();
    for kind in kinds {
        let program = unavailable_words(&kind.into(), AddressSetting::File);
        let without_file = unavailable_words(&kind.into(), AddressSetting::Start);
        let add_on = unavailable_words(&kind.into(), AddressSetting::Fixed);
        assert!(program.contains("`web.listen`") && !add_on.contains('`'), "{program} / {add_on}");
        let at_start = ["`--listen`", "`WEB_LISTEN`"];
        assert!(at_start.iter().all(|name| without_file.contains(name)), "{without_file}");
        assert!(!without_file.contains("web.listen"), "{without_file}");
        all.extend([program, without_file, add_on].map(|words| words + "\n"));
    }
    insta::assert_snapshot!(all);
}
