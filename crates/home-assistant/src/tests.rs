//! A scripted Home Assistant on the other end of a pipe. Time is paused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::*;

const TOKEN: &str = "a-secret-token";
const ENTITY: &str = "sensor.house_energy";

/// What Home Assistant does.
#[derive(Debug, Clone)]
struct Script {
    /// Its states, in the order in which it is asked. The last one remains.
    states: Vec<&'static str>,
    /// Its clock at the start.
    clock: Timestamp,
    /// When it fires the recorder's event, after the start.
    events: Vec<u64>,
    rows: Rows,
    metadata: Value,
    /// Whether it writes what it confirms.
    writes: bool,
    /// What it answers to an import, if not success.
    refusal: Option<&'static str>,
    /// After how many commands the connection breaks, and whether the last one is still done.
    breaks: Option<(usize, bool)>,
}

/// The rows of the entity: start, and state and sum as they are in JSON. Clones are the same rows.
#[derive(Debug, Clone, Default)]
struct Rows(Arc<Mutex<BTreeMap<Timestamp, (String, String)>>>);

impl Rows {
    fn insert(&self, start: Timestamp, row: (String, String)) {
        self.0.lock().unwrap().insert(start, row);
    }

    fn all(&self) -> BTreeMap<Timestamp, (String, String)> {
        self.0.lock().unwrap().clone()
    }

    /// State and sum without trailing zeros.
    fn shown(&self) -> Vec<String> {
        let plain = |text: &str| match text.parse::<Decimal>() {
            Ok(number) => number.normalize().to_string(),
            Err(_) => text.to_owned(),
        };
        let row = |(start, (state, sum)): (Timestamp, (String, String))| {
            format!("{} {} {}", start.strftime("%H"), plain(&state), plain(&sum))
        };
        self.all().into_iter().map(row).collect()
    }
}

/// What it has received, each with the seconds since its start.
type Log = Arc<Mutex<Vec<(u64, Value)>>>;

impl Script {
    /// Hours 8 to 13 of a day: hours 10 and 11 are missing.
    fn new(clock: &str) -> Self {
        let row = |hour: &str, state: &str, sum: &str| {
            (at(&format!("2026-11-28T{hour}:00:00Z")), (state.to_owned(), sum.to_owned()))
        };
        Self {
            states: vec!["RUNNING"],
            clock: at(clock),
            events: vec![10],
            rows: Rows(Arc::new(Mutex::new(
                [
                    row("08", "100.0", "10.0"),
                    row("09", "100.1", "10.1"),
                    row("12", "100.9", "10.9"),
                    row("13", "101.0", "11.0"),
                ]
                .into(),
            ))),
            metadata: json!([{
                "statistic_id": ENTITY, "name": null, "source": "recorder", "has_sum": true,
                "mean_type": 0, "has_mean": false, "unit_class": "energy",
                "statistics_unit_of_measurement": "kWh", "display_unit_of_measurement": "MWh",
            }]),
            writes: true,
            refusal: None,
            breaks: None,
        }
    }

    /// Home Assistant has hours 11, 12 and 13 only. Before the first, it has seen 0.1.
    fn begun(clock: &str) -> Self {
        let script = Self::new(clock);
        let row = |hour: &str, state: &str, sum: &str| {
            (at(&format!("2026-11-28T{hour}:00:00Z")), (state.to_owned(), sum.to_owned()))
        };
        let rows =
            [row("11", "100.7", "0.1"), row("12", "100.9", "0.3"), row("13", "101.0", "0.4")];
        Self { rows: Rows(Arc::new(Mutex::new(rows.into()))), ..script }
    }

    fn start(self) -> (DuplexStream, Log) {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let log = Log::default();
        tokio::spawn(self.serve(theirs, Arc::clone(&log)));
        (ours, log)
    }

    async fn serve(mut self, stream: DuplexStream, log: Log) {
        let start = Instant::now();
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
        let text = |value: Value| Message::text(value.to_string());
        socket.send(text(json!({"type": "auth_required"}))).await.expect("a peer");
        let mut subscription = None;
        let mut events = self.events.clone().into_iter().peekable();
        loop {
            let next = events.peek().copied();
            let due = async {
                match next {
                    Some(after) => tokio::time::sleep_until(start + secs(after)).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                biased;
                message = socket.next() => message,
                () = due => {
                    events.next();
                    let fired = self.clock + SignedDuration::try_from(start.elapsed()).unwrap();
                    if let Some(id) = subscription {
                        let event = json!({"id": id, "type": "event", "event": {
                            "event_type": "recorder_5min_statistics_generated",
                            "time_fired": fired.to_string().replace('Z', "+00:00"), "data": {},
                        }});
                        socket.send(text(event)).await.expect("a peer");
                    }
                    continue;
                }
            };
            let Some(Ok(Message::Text(message))) = message else { return };
            let message: Value = serde_json::from_str(&message).expect("JSON");
            log.lock().unwrap().push((start.elapsed().as_secs(), message.clone()));
            let kind = message["type"].as_str().expect("a type");
            if kind == "auth" {
                let is_right = message["access_token"] == TOKEN;
                let answer = if is_right { "auth_ok" } else { "auth_invalid" };
                socket.send(text(json!({"type": answer}))).await.expect("a peer");
                continue;
            }
            if kind == "subscribe_events" {
                subscription = message["id"].as_u64();
            }
            if let Some((left, is_done)) = &mut self.breaks {
                if *left == 0 {
                    if *is_done {
                        self.result(kind, &message);
                    }
                    return;
                }
                *left -= 1;
            }
            let result = self.result(kind, &message);
            let id = &message["id"];
            let refusal = self.refusal.filter(|_| kind == "recorder/import_statistics");
            let answer = match refusal {
                None => {
                    format!(r#"{{"id":{id},"type":"result","success":true,"result":{result}}}"#)
                }
                Some(code) => json!({"id": id, "type": "result", "success": false,
                                     "error": {"code": code, "message": TOKEN}})
                .to_string(),
            };
            socket.send(Message::text(answer)).await.expect("a peer");
        }
    }

    fn result(&mut self, kind: &str, message: &Value) -> String {
        match kind {
            "subscribe_events" => "null".to_owned(),
            "get_config" => {
                let state = self.states[0];
                if self.states.len() > 1 {
                    self.states.remove(0);
                }
                json!({"state": state, "version": "2026.11.0"}).to_string()
            }
            "config/entity_registry/list" => json!([
                {"entity_id": ENTITY, "unique_id": "kamstrup_energy", "platform": "mqtt"},
                {"entity_id": "sensor.other", "unique_id": 7, "platform": "other"},
            ])
            .to_string(),
            "recorder/get_statistics_metadata" => self.metadata.to_string(),
            "recorder/statistics_during_period" => self.rows_of(message),
            "recorder/import_statistics" => {
                if self.writes {
                    self.import(message);
                }
                "null".to_owned()
            }
            "recorder/adjust_sum_statistics" => {
                if self.writes {
                    self.adjust(message);
                }
                "null".to_owned()
            }
            other => panic!("{other}"),
        }
    }

    fn adjust(&self, message: &Value) {
        assert_eq!(message["statistic_id"], ENTITY);
        assert_eq!(message["adjustment_unit_of_measurement"], "kWh");
        let from = at(message["start_time"].as_str().expect("a time"));
        let by: Decimal = message["adjustment"].to_string().parse().expect("a number");
        for (_, (_, sum)) in self.rows.0.lock().unwrap().range_mut(from..) {
            *sum = (sum.parse::<Decimal>().unwrap() + by).to_string();
        }
    }

    fn rows_of(&self, message: &Value) -> String {
        assert_eq!(message["units"], json!({"energy": "kWh"}));
        let time = |key: &str| at(message[key].as_str().expect("a time"));
        let range = time("start_time")..time("end_time");
        if message["period"] == "month" {
            // Those of the beginning of the month, as Home Assistant answers.
            let month = at("2026-11-01T00:00:00Z").as_millisecond();
            let is_empty = self.rows.all().range(range).next().is_none();
            let rows = if is_empty { json!([]) } else { json!([{"start": month, "end": 0}]) };
            return json!({ ENTITY: rows }).to_string();
        }
        let rows: Vec<_> = self
            .rows
            .all()
            .range(range)
            .map(|(start, (state, sum))| {
                let start = start.as_millisecond();
                format!(r#"{{"start":{start},"end":0,"state":{state},"sum":{sum}}}"#)
            })
            .collect();
        if rows.is_empty() {
            return "{}".to_owned();
        }
        format!(r#"{{"{ENTITY}":[{}]}}"#, rows.join(","))
    }

    fn import(&self, message: &Value) {
        for row in message["stats"].as_array().expect("rows") {
            let start = at(row["start"].as_str().expect("a start"));
            // The state of a row without one is null.
            self.rows.insert(start, (row["state"].to_string(), row["sum"].to_string()));
        }
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hour(number: u32) -> Hour {
    let hours = SignedDuration::from_hours(number.into());
    Hour::beginning(at("2026-11-28T00:00:00Z") + hours).expect("an hour")
}

fn server() -> Server {
    Server { host: "homeassistant.local:8123".to_owned(), path: "/api/websocket".to_owned() }
}

/// The counter at full hours, 8:00 to 15:00.
fn counter() -> Counter {
    let values = ["99.9", "100.0", "100.1", "100.4", "100.7", "100.9", "101.0", "101.5"];
    let value = |(number, text): (usize, &&str)| {
        (hour(u32::try_from(number).unwrap() + 8), text.parse::<Decimal>().unwrap())
    };
    Counter::new(values.iter().enumerate().map(value))
}

/// The same, and some readings of the next day.
fn counter_of_two_days() -> Counter {
    let values = [(9, "100.0"), (10, "100.1"), (11, "100.4"), (36, "101.9"), (37, "102.0")];
    Counter::new(values.map(|(number, text)| (hour(number), text.parse().unwrap())))
}

#[derive(Debug, Default)]
struct Notes {
    kept: Vec<Kept>,
    joints: Vec<Noted>,
    undone: Vec<Hour>,
    is_full: bool,
    /// After how many changes the disk is full.
    most: Option<usize>,
}

impl Notes {
    fn change(&mut self) -> Result<(), String> {
        if let Some(most) = &mut self.most {
            self.is_full |= *most == 0;
            *most = most.saturating_sub(1);
        }
        if self.is_full { Err("no space".to_owned()) } else { Ok(()) }
    }

    fn noted(&mut self, at: Hour) -> &mut Noted {
        self.joints.iter_mut().find(|noted| noted.joint.live.hour == at).expect("a joint")
    }
}

impl Journal for Notes {
    fn keep(&mut self, _: &Metadata, kept: &Kept) -> Result<(), String> {
        self.change()?;
        self.kept.push(kept.clone());
        Ok(())
    }

    fn begin(&mut self, _: &Metadata, joint: &Joint) -> Result<(), String> {
        self.change()?;
        let is_void = |old: &Joint| old.oldest.is_some() && old.live.hour <= joint.live.hour;
        if joint.oldest.is_some() {
            self.joints.retain(|noted| !is_void(&noted.joint));
            self.kept.retain(|kept| !kept.joint.as_ref().is_some_and(is_void));
        }
        let noted = Noted { joint: *joint, is_sent: false, is_done: false, is_undone: false };
        self.joints.push(noted);
        self.kept.push(Kept { written: vec![], replaced: vec![], joint: Some(*joint) });
        Ok(())
    }

    fn note_sent(&mut self, _: &Metadata, at: Hour, is_sent: bool) -> Result<(), String> {
        self.change()?;
        self.noted(at).is_sent = is_sent;
        Ok(())
    }

    fn note_done(&mut self, _: &Metadata, at: Hour) -> Result<(), String> {
        self.change()?;
        let noted = self.noted(at);
        (noted.is_sent, noted.is_done) = (false, true);
        Ok(())
    }

    fn begin_undo(&mut self, _: &Metadata, at: Hour) -> Result<(), String> {
        self.change()?;
        self.noted(at).is_undone = true;
        Ok(())
    }

    fn joint(&self, _: &Metadata, at: Hour) -> Option<Noted> {
        self.joints.iter().find(|noted| noted.joint.live.hour == at).copied()
    }

    fn before(&self, _: &Metadata) -> Vec<Noted> {
        let joints = self.joints.iter().rev();
        joints.filter(|noted| noted.joint.oldest.is_some()).copied().collect()
    }

    fn is_undone(&self, _: &Metadata, hour: Hour) -> bool {
        self.undone.contains(&hour)
    }
}

/// Connects to a Home Assistant with these rows, and writes what was before the first hour.
async fn prepended(
    script: Script,
    notes: &mut Notes,
    is_dry: bool,
) -> (Result<Prepended, Error>, Log) {
    prepended_from(&counter(), script, notes, is_dry).await
}

async fn prepended_from(
    counter: &Counter,
    script: Script,
    notes: &mut Notes,
    is_dry: bool,
) -> (Result<Prepended, Error>, Log) {
    let now = script.clock + SignedDuration::from_secs(10);
    let (stream, log) = script.start();
    let done = async {
        let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await?;
        let mut running = connected.running(move || now).await?;
        let metadata = running.metadata(ENTITY).await?.expect("a counter");
        let mut done = Prepended::default();
        prepend(&mut running, &metadata, counter, notes, is_dry, &mut done).await?;
        Ok(done)
    };
    (done.await, log)
}

fn sent(log: &Log, kind: &str) -> Vec<Value> {
    let log = log.lock().unwrap();
    let of_kind = log.iter().map(|(_, message)| message).filter(|it| it["type"] == kind);
    of_kind.cloned().collect()
}

const ADJUST: &str = "recorder/adjust_sum_statistics";

const PREPENDED: [&str; 7] = [
    "07 99.9 0",
    "08 100 0.1",
    "09 100.1 0.2",
    "10 100.4 0.5",
    "11 100.7 0.8",
    "12 100.9 1",
    "13 101 1.1",
];

#[tokio::test(start_paused = true)]
async fn hours_before_the_first_are_written_and_joined_once() {
    let script = Script::begun("2026-11-28T14:10:00Z");
    let rows = script.rows.clone();
    let before = rows.all();
    let mut notes = Notes::default();
    let (dry, log) = prepended(script.clone(), &mut notes, true).await;
    let dry = dry.unwrap();
    assert_eq!(dry.imports[0].rows().len(), 4);
    let raised = Raised { from: hour(11), by: "0.7".parse().unwrap() };
    assert_eq!(dry.raised, [raised]);
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty() && notes.kept.is_empty());
    assert_eq!(rows.all(), before);

    let (done, log) = prepended(script.clone(), &mut notes, false).await;
    assert_eq!(done.unwrap(), dry);
    assert_eq!(rows.shown(), PREPENDED);
    let [message] = sent(&log, ADJUST).try_into().unwrap();
    let expected = json!({
        "id": message["id"], "type": ADJUST, "statistic_id": ENTITY,
        "start_time": "2026-11-28T11:00:00Z", "adjustment": 0.7,
        "adjustment_unit_of_measurement": "kWh",
    });
    assert_eq!(message, expected);
    assert!(!notes.joints[0].is_sent);

    // A second run sends nothing.
    let (done, log) = prepended(script.clone(), &mut notes, false).await;
    assert_eq!(done.unwrap(), Prepended::default());
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());

    // It is taken back, twice: the second time changes nothing.
    for _ in 0..2 {
        undone(script.clone(), &mut notes).await.unwrap().unwrap();
        let blank = |hour: &str| format!("{hour} null 0");
        let blanks = ["07", "08", "09", "10"].map(blank);
        assert_eq!(rows.shown()[..4], blanks);
        assert_eq!(rows.shown()[4..], ["11 100.7 0.1", "12 100.9 0.3", "13 101 0.4"]);
    }
    let (done, log) = prepended(script, &mut notes, false).await;
    assert!(done.unwrap().is_undone);
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
}

impl Rows {
    /// As with Developer tools: all sums from an hour on are changed.
    fn adjust(&self, from: u32, by: &str) {
        for (_, (_, sum)) in self.0.lock().unwrap().range_mut(hour(from).start()..) {
            *sum = (sum.parse::<Decimal>().unwrap() + by.parse::<Decimal>().unwrap()).to_string();
        }
    }
}

/// Only an interrupted run is completed. Sums that were joined belong to the user from then on.
#[tokio::test(start_paused = true)]
async fn sums_that_the_user_lowers_afterwards_are_not_raised_again() {
    let script = Script::begun("2026-11-28T14:10:00Z");
    let mut notes = Notes::default();
    prepended(script.clone(), &mut notes, false).await.0.unwrap();
    assert!(notes.joints[0].is_done);
    script.rows.adjust(11, "-0.5");
    // An hour is known by now that was not written.
    script.rows.0.lock().unwrap().remove(&hour(9).start());
    let rows = script.rows.all();
    for is_dry in [true, false] {
        let (done, log) = prepended(script.clone(), &mut notes, is_dry).await;
        let refused = Some(Refusal::Adjusted);
        assert_eq!(done.unwrap(), Prepended { refused, ..Prepended::default() });
        assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
    }
    assert_eq!(script.rows.all(), rows);
    // Without his change, that hour is written.
    script.rows.adjust(11, "0.5");
    let (done, log) = prepended(script.clone(), &mut notes, false).await;
    assert_eq!(done.unwrap().imports[0].rows().len(), 1);
    assert!(sent(&log, ADJUST).is_empty());
    assert_eq!(script.rows.shown(), PREPENDED);
}

/// The entity was renamed to one that had statistics, or a database of another time was restored.
#[tokio::test(start_paused = true)]
async fn a_series_other_than_the_one_that_was_joined_is_left_alone() {
    let script = Script::begun("2026-11-28T14:10:00Z");
    let mut notes = Notes::default();
    prepended(script.clone(), &mut notes, false).await.0.unwrap();
    // An hour is known that it does not have.
    script.rows.0.lock().unwrap().remove(&hour(9).start());
    for (state, _) in script.rows.0.lock().unwrap().values_mut() {
        *state = (state.parse::<Decimal>().unwrap() + Decimal::new(3, 2)).to_string();
    }
    let rows = script.rows.all();
    for is_dry in [true, false] {
        let (done, log) = prepended(script.clone(), &mut notes, is_dry).await;
        let refused = Some(Refusal::Replaced);
        assert_eq!(done.unwrap(), Prepended { refused, ..Prepended::default() });
        assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
    }
    assert_eq!(script.rows.all(), rows);
}

/// The counter without the hours before 9:00.
fn counter_of_few_hours() -> Counter {
    let hours = (9..16).map(|number| hour(number - 1));
    Counter::new(hours.filter_map(|hour| Some((hour.next(), counter().at_end_of(hour)?))))
}

/// The log of days is read after the hours were written. The run is killed anywhere.
#[tokio::test(start_paused = true)]
async fn older_hours_are_joined_to_the_oldest_row_that_was_written() {
    let few =
        ["08 100 0", "09 100.1 0.1", "10 100.4 0.4", "11 100.7 0.7", "12 100.9 0.9", "13 101 1"];
    let mut broken = 0;
    for commands in 0..30 {
        for is_done in [false, true] {
            let script = Script::begun("2026-11-28T14:10:00Z");
            let script = Script { events: vec![10, 310, 610], ..script };
            let rows = script.rows.clone();
            let mut notes = Notes::default();
            let few_hours = counter_of_few_hours();
            let first = prepended_from(&few_hours, script.clone(), &mut notes, false);
            first.await.0.unwrap();
            assert_eq!(rows.shown(), few);
            let breaking = Script { breaks: Some((commands, is_done)), ..script.clone() };
            let second = prepended(breaking.clone(), &mut notes, false).await.0;
            broken += usize::from(second.is_err());
            let (done, _) = prepended(script.clone(), &mut notes, false).await;
            assert!(!done.unwrap().is_again);
            assert_eq!(rows.shown(), PREPENDED, "{commands} {is_done}");
            assert_eq!(notes.joints.len(), 2);
            let (again, log) = prepended(script.clone(), &mut notes, false).await;
            assert_eq!(again.unwrap(), Prepended::default());
            assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
            undone_in_turn(breaking, &mut notes).await;
            undone_in_turn(script, &mut notes).await;
            assert_eq!(notes.kept, []);
            let shown = rows.shown();
            assert_eq!(shown[4..], ["11 100.7 0.1", "12 100.9 0.3", "13 101 0.4"], "{commands}");
            assert!(shown[..4].iter().all(|row| row.ends_with("null 0")), "{shown:?}");
        }
    }
    assert!(broken > 10, "{broken}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_older_hours_add() {
    let script = Script::begun("2026-11-28T14:10:00Z");
    let mut notes = Notes::default();
    let few = counter_of_few_hours();
    prepended_from(&few, script.clone(), &mut notes, false).await.0.unwrap();
    script.rows.0.lock().unwrap().remove(&hour(9).start());
    let (dry, log) = prepended(script.clone(), &mut notes, true).await;
    let dry = dry.unwrap();
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
    let (done, _) = prepended(script.clone(), &mut notes, false).await;
    let done = done.unwrap();
    assert_eq!((&dry.raised, dry.imports.len()), (&done.raised, 2));
    assert_eq!(done.raised, [Raised { from: hour(8), by: "0.1".parse().unwrap() }]);
    let sums = |of: Prepended, is_dry| -> Vec<_> {
        let outcome = Outcome { before: Some(of), ..Outcome::default() };
        let rows = outcome.imports().flat_map(Import::rows);
        rows.map(|row| outcome.final_sum(row, is_dry).normalize().to_string()).collect()
    };
    assert_eq!(sums(dry, true), ["0", "0.2"]);
    assert_eq!(sums(done, false), ["0", "0.2"]);
    assert_eq!(script.rows.shown(), PREPENDED);
}

/// Its database was deleted, or restored from a backup.
#[tokio::test(start_paused = true)]
async fn a_database_that_was_begun_anew_gets_the_hours_again() {
    for is_restored in [false, true] {
        let script = Script::begun("2026-11-28T14:10:00Z");
        let mut notes = Notes::default();
        prepended(script.clone(), &mut notes, false).await.0.unwrap();
        let first = hour(if is_restored { 11 } else { 12 }).start();
        script.rows.0.lock().unwrap().retain(|start, _| *start >= first);
        script.rows.adjust(0, if is_restored { "-0.7" } else { "-0.9" });
        let before = script.rows.shown();
        let (dry, _) = prepended(script.clone(), &mut notes, true).await;
        let (done, log) = prepended(script.clone(), &mut notes, false).await;
        let done = done.unwrap();
        assert_eq!(dry.unwrap(), done);
        assert!(done.is_again && sent(&log, ADJUST).len() == 1);
        assert_eq!(script.rows.shown(), PREPENDED);
        // The old joint cannot be taken back any more.
        assert_eq!((notes.joints.len(), notes.kept.len()), (1, 1));
        let (again, log) = prepended(script.clone(), &mut notes, false).await;
        assert_eq!(again.unwrap(), Prepended::default());
        assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());
        undone(script.clone(), &mut notes).await.unwrap().unwrap();
        let shown = script.rows.shown();
        let (blank, own) = shown.split_at(shown.len() - before.len());
        assert_eq!(own, before);
        assert!(blank.iter().all(|row| row.ends_with("null 0")), "{blank:?}");
    }
}

/// Takes back what is in the notes, newest first.
async fn undone(script: Script, notes: &mut Notes) -> Result<Result<(), Changed>, Error> {
    let now = script.clock + SignedDuration::from_secs(10);
    let (stream, _) = script.start();
    let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await?;
    let mut running = connected.running(move || now).await?;
    let metadata = running.metadata(ENTITY).await?.expect("a counter");
    for kept in notes.kept.clone().iter().rev() {
        if let Err(changed) = undo(&mut running, &metadata, kept, notes).await? {
            return Ok(Err(changed));
        }
    }
    Ok(Ok(()))
}

/// Takes back what is in the notes, newest first. What was taken back is not taken back again.
async fn undone_in_turn(script: Script, notes: &mut Notes) {
    while let Some(last) = notes.kept.last().cloned() {
        let all = std::mem::replace(&mut notes.kept, vec![last]);
        let done = undone(script.clone(), notes).await;
        notes.kept = all;
        let Ok(done) = done else { return };
        done.unwrap();
        notes.kept.pop();
    }
}

/// The connection breaks at each command, before or after it is done, and the disk is full at each
/// change of the journal. The next run repairs it, also if it is the undo.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_anywhere_is_repaired_by_the_next() {
    let mut broken = 0;
    for commands in 0..40 {
        for is_done in [false, true] {
            let mut script = Script::begun("2026-11-28T14:10:00Z");
            script.events = vec![10, 310, 610];
            let rows = script.rows.clone();
            let mut notes = Notes::default();
            let breaking = Script { breaks: Some((commands, is_done)), ..script.clone() };
            let first = prepended(breaking.clone(), &mut notes, false).await.0;
            broken += usize::from(first.is_err());
            prepended(script.clone(), &mut notes, false).await.0.unwrap();
            assert_eq!(rows.shown(), PREPENDED, "{commands} {is_done}");
            let _ = undone(breaking, &mut notes).await;
            undone(script, &mut notes).await.unwrap().unwrap();
            let shown = rows.shown();
            assert_eq!(shown[4..], ["11 100.7 0.1", "12 100.9 0.3", "13 101 0.4"], "{commands}");
            assert!(shown[..4].iter().all(|row| row.ends_with("null 0")), "{shown:?}");
        }
    }
    assert!(broken > 20, "{broken}");
    for most in 0..3 {
        let script = Script::begun("2026-11-28T14:10:00Z");
        let script = Script { events: vec![10, 310, 610], ..script };
        let rows = script.rows.clone();
        let mut notes = Notes { most: Some(most), ..Notes::default() };
        let first = prepended(script.clone(), &mut notes, false).await.0;
        assert_eq!(first, Err(Error::Journal("no space".to_owned())));
        (notes.most, notes.is_full) = (None, false);
        prepended(script, &mut notes, false).await.0.unwrap();
        assert_eq!(rows.shown(), PREPENDED, "{most}");
    }
}

/// Nobody knows whether it arrived. The recorder does it late, before it compiles again.
#[tokio::test(start_paused = true)]
async fn an_adjustment_is_never_sent_twice() {
    let script = Script::begun("2026-11-28T14:10:00Z");
    let script = Script { events: vec![10, 310, 610], ..script };
    let rows = script.rows.clone();
    let mut notes = Notes::default();
    prepended(script.clone(), &mut notes, false).await.0.unwrap();
    let adjusted = rows.all();
    // As it is before the recorder has done it.
    for (start, sum) in [("11", "0.1"), ("12", "0.3"), ("13", "0.4")] {
        let start = at(&format!("2026-11-28T{start}:00:00Z"));
        rows.insert(start, (adjusted[&start].0.clone(), sum.to_owned()));
    }
    (notes.joints[0].is_sent, notes.joints[0].is_done) = (true, false);
    let late = rows.clone();
    tokio::spawn(async move {
        tokio::time::sleep(secs(200)).await;
        *late.0.lock().unwrap() = adjusted;
    });
    let (done, log) = prepended(script, &mut notes, false).await;
    assert_eq!(done.unwrap(), Prepended::default());
    assert!(sent(&log, ADJUST).is_empty());
    assert_eq!(rows.shown(), PREPENDED);
    assert!(!notes.joints[0].is_sent);
}

#[tokio::test(start_paused = true)]
async fn an_adjustment_that_does_not_appear_is_an_error() {
    let mut script = Script::begun("2026-11-28T14:10:00Z");
    let mut notes = Notes::default();
    prepended(script.clone(), &mut notes, false).await.0.unwrap();
    for hour in ["11", "12", "13"] {
        let start = at(&format!("2026-11-28T{hour}:00:00Z"));
        let (state, sum) = script.rows.all()[&start].clone();
        let sum = sum.parse::<Decimal>().unwrap() - Decimal::new(7, 1);
        script.rows.insert(start, (state, sum.to_string()));
    }
    (script.writes, notes.joints[0].is_done) = (false, false);
    let (done, log) = prepended(script, &mut notes, false).await;
    assert_eq!(done, Err(Error::NotAdjusted(secs(60))));
    assert_eq!(sent(&log, ADJUST).len(), 1);
    assert!(notes.joints[0].is_sent);
}

/// The sum began again at 0 after more than 10 days.
#[tokio::test(start_paused = true)]
async fn a_sum_that_began_again_is_raised_and_its_gap_filled() {
    let script = Script::new("2026-11-29T14:10:00Z");
    let gap = at("2026-11-28T10:00:00Z")..at("2026-11-29T12:00:00Z");
    script.rows.0.lock().unwrap().retain(|start, _| *start < gap.start);
    script.rows.insert(gap.end, ("102.0".to_owned(), "0.0".to_owned()));
    script.rows.insert(at("2026-11-29T13:00:00Z"), ("102.1".to_owned(), "0.1".to_owned()));
    let rows = script.rows.clone();
    let before = rows.shown();
    let mut notes = Notes::default();
    let (outcome, log) =
        filled_from(&counter_of_two_days(), script.clone(), &mut notes, false).await;
    let outcome = outcome.unwrap();
    let raised = Raised { from: hour(36), by: "12".parse().unwrap() };
    assert_eq!((outcome.repaired, outcome.filled.len()), (vec![raised], 1));
    assert_eq!(sent(&log, ADJUST).len(), 1);
    let expected = ["08 100 10", "09 100.1 10.1", "10 100.4 10.4", "11 101.9 11.9", "12 102 12"];
    assert_eq!(rows.shown()[..5], expected);
    let (again, log) = filled_from(&counter_of_two_days(), script.clone(), &mut notes, false).await;
    let again = again.unwrap();
    assert_eq!((again.filled, again.left, again.repaired), (vec![], vec![], vec![]));
    assert!(sent(&log, ADJUST).is_empty());
    undone(script.clone(), &mut notes).await.unwrap().unwrap();
    let shown = rows.shown();
    assert_eq!([&shown[..2], &shown[4..]].concat(), before);
    // It is left alone from then on: with the rows that repeat the one before, and without them.
    notes.undone = vec![hour(10), hour(11)];
    let (again, log) = filled_from(&counter_of_two_days(), script.clone(), &mut notes, false).await;
    let again = again.unwrap();
    assert_eq!((again.filled, again.repaired), (vec![], vec![]));
    assert!(sent(&log, ADJUST).is_empty());
    script.rows.0.lock().unwrap().retain(|start, _| !gap.contains(start));
    let (again, log) = filled_from(&counter_of_two_days(), script, &mut notes, false).await;
    assert_eq!(again.unwrap().undone, 1);
    assert!(sent(&log, ADJUST).is_empty());
}

/// The new meter has never shown what the old one did.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_after_the_meter_was_exchanged() {
    let script = Script::new("2026-11-28T14:10:00Z");
    script.rows.insert(at("2026-11-28T12:00:00Z"), ("3.0".to_owned(), "0.0".to_owned()));
    script.rows.insert(at("2026-11-28T13:00:00Z"), ("3.1".to_owned(), "0.1".to_owned()));
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.repaired, outcome.filled), (vec![], vec![]));
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty());

    let script = Script::begun("2026-11-28T14:10:00Z");
    script.rows.insert(at("2026-11-28T11:00:00Z"), ("7000.0".to_owned(), "0.1".to_owned()));
    let mut notes = Notes::default();
    let (done, log) = prepended(script, &mut notes, false).await;
    assert!(matches!(done.unwrap().refused, Some(Refusal::OtherMeter { .. })));
    assert!(imports(&log).is_empty() && sent(&log, ADJUST).is_empty() && notes.kept.is_empty());
}

/// Connects, waits until it is running, and fills.
async fn filled(script: Script, notes: &mut Notes, is_dry: bool) -> (Result<Outcome, Error>, Log) {
    filled_from(&counter(), script, notes, is_dry).await
}

async fn filled_from(
    counter: &Counter,
    script: Script,
    notes: &mut Notes,
    is_dry: bool,
) -> (Result<Outcome, Error>, Log) {
    let clock = script.clock;
    let (stream, log) = script.start();
    let start = Instant::now();
    let now = move || clock + SignedDuration::try_from(start.elapsed()).unwrap();
    let outcome = async {
        let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await?;
        let mut running = connected.running(now).await?;
        let metadata = running.metadata(ENTITY).await?.expect("a counter");
        let (mut outcome, how) = (Outcome::default(), (hour(0), true, is_dry));
        fill(&mut running, &metadata, counter, notes, how, &mut outcome).await?;
        Ok(outcome)
    };
    (outcome.await, log)
}

fn kinds(log: &Log) -> Vec<String> {
    let log = log.lock().unwrap();
    log.iter().map(|(_, message)| message["type"].as_str().unwrap().to_owned()).collect()
}

fn imports(log: &Log) -> Vec<(u64, Value)> {
    let log = log.lock().unwrap();
    let is_import = |(_, message): &&(u64, Value)| message["type"] == "recorder/import_statistics";
    log.iter().filter(is_import).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_filled_with_exact_numbers() {
    let mut notes = Notes::default();
    let (outcome, log) = filled(Script::new("2026-11-28T14:10:00Z"), &mut notes, false).await;
    assert_eq!(outcome.unwrap().filled.len(), 1);
    let [(_, message)] = imports(&log).try_into().unwrap();
    let sent = json!({
        "id": message["id"], "type": "recorder/import_statistics",
        "metadata": {"has_sum": true, "mean_type": 0, "name": null, "source": "recorder",
                     "statistic_id": ENTITY, "unit_class": "energy", "unit_of_measurement": "kWh"},
        "stats": [
            {"start": "2026-11-28T10:00:00Z", "state": 100.4, "sum": 10.4},
            {"start": "2026-11-28T11:00:00Z", "state": 100.7, "sum": 10.7},
        ],
    });
    assert_eq!(message, sent);
    assert_eq!(notes.kept.len(), 1);
    assert_eq!(notes.kept[0].replaced, []);
}

#[tokio::test(start_paused = true)]
async fn a_second_run_writes_nothing() {
    let script = Script::new("2026-11-28T14:10:00Z");
    for (start, state, sum) in [("10", "100.4", "10.4"), ("11", "100.7", "10.700000000000001")] {
        let start = at(&format!("2026-11-28T{start}:00:00Z"));
        script.rows.insert(start, (state.to_owned(), sum.to_owned()));
    }
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    assert_eq!(outcome.unwrap(), Outcome::default());
    assert_eq!(imports(&log), []);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing() {
    let mut notes = Notes::default();
    let (outcome, log) = filled(Script::new("2026-11-28T14:10:00Z"), &mut notes, true).await;
    assert_eq!(outcome.unwrap().filled.len(), 1);
    assert_eq!(imports(&log), []);
    assert_eq!(notes.kept, []);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_that_could_not_be_undone() {
    let mut notes = Notes { is_full: true, ..Notes::default() };
    let (outcome, log) = filled(Script::new("2026-11-28T14:10:00Z"), &mut notes, false).await;
    assert_eq!(outcome, Err(Error::Journal("no space".to_owned())));
    assert_eq!(imports(&log), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_is_left_alone() {
    let mut notes = Notes { undone: vec![hour(11)], ..Notes::default() };
    let (outcome, log) = filled(Script::new("2026-11-28T14:10:00Z"), &mut notes, false).await;
    assert_eq!(outcome.unwrap(), Outcome { undone: 1, ..Outcome::default() });
    assert_eq!(imports(&log), []);
}

/// Each start of Home Assistant has a state before `RUNNING`. Its recorder catches up then, and an
/// event of that time says nothing.
#[tokio::test(start_paused = true)]
async fn nothing_is_read_or_written_while_it_starts() {
    let mut script = Script::new("2026-11-28T14:10:00Z");
    script.states = vec!["NOT_RUNNING", "NOT_RUNNING", "STARTING", "RUNNING"];
    script.events = vec![2, 7, 300];
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    assert_eq!(outcome.unwrap().filled.len(), 1);
    assert!(imports(&log)[0].0 >= 300, "{:?}", imports(&log));
    let first = kinds(&log).iter().position(|kind| kind.starts_with("recorder/")).unwrap();
    assert!(log.lock().unwrap()[first].0 >= 300);
}

#[tokio::test(start_paused = true)]
async fn without_an_event_nothing_is_written() {
    let mut script = Script::new("2026-11-28T14:10:00Z");
    script.events = vec![];
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    assert_eq!(outcome, Err(Error::NothingCompiled(secs(900))));
    assert_eq!(imports(&log), []);
}

/// 14:00:10 is the event of the compilation of hour 13. The import waits until 14:01.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_in_the_first_minute_of_an_hour() {
    for (clock, expected) in [
        ("2026-11-28T13:59:55Z", 65),
        ("2026-11-28T14:00:00Z", 60),
        ("2026-11-28T14:00:49Z", 11),
        ("2026-11-28T14:00:50Z", 10),
        ("2026-11-28T13:59:49Z", 10),
    ] {
        let (outcome, log) = filled(Script::new(clock), &mut Notes::default(), false).await;
        assert_eq!(outcome.unwrap().filled.len(), 1, "{clock}");
        assert_eq!(imports(&log)[0].0, expected, "{clock}");
    }
}

/// The row of hour 12 ends the gap. It is used only if the time of an event proves that hour 12 is
/// compiled.
#[tokio::test(start_paused = true)]
async fn an_hour_that_may_not_be_compiled_is_not_used() {
    for (clock, gaps) in [("2026-11-28T12:59:55Z", 0), ("2026-11-28T13:00:50Z", 1)] {
        let (outcome, _) = filled(Script::new(clock), &mut Notes::default(), true).await;
        assert_eq!(outcome.unwrap().filled.len(), gaps, "{clock}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_it_stops() {
    let mut script = Script::new("2026-11-28T14:10:00Z");
    script.states = vec!["RUNNING", "STOPPING"];
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    assert_eq!(outcome, Err(Error::NotRunning("STOPPING".to_owned())));
    assert_eq!(imports(&log), []);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_time_another_event_is_awaited() {
    let mut script = Script::new("2026-11-28T14:10:00Z");
    script.events = vec![10, 700];
    let (stream, log) = script.start();
    let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await.unwrap();
    let mut running = connected.running(|| at("2026-11-28T14:10:10Z")).await.unwrap();
    let metadata = running.metadata(ENTITY).await.unwrap().unwrap();
    tokio::time::sleep(secs(500)).await;
    let mut notes = Notes::default();
    let (mut outcome, how) = (Outcome::default(), (hour(0), true, false));
    let filled = fill(&mut running, &metadata, &counter(), &mut notes, how, &mut outcome).await;
    filled.unwrap();
    assert_eq!(imports(&log)[0].0, 700);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_is_confirmed_and_not_written_is_an_error() {
    let mut script = Script::new("2026-11-28T14:10:00Z");
    script.writes = false;
    let (outcome, log) = filled(script, &mut Notes::default(), false).await;
    assert_eq!(outcome, Err(Error::NotWritten(secs(60))));
    // It is not repeated.
    assert_eq!(imports(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_was_refused() {
    for (code, expected) in [
        ("unauthorized", Error::NoAdministrator),
        (
            "home_assistant_error",
            Error::Refused {
                command: "recorder/import_statistics",
                code: "home_assistant_error".to_owned(),
            },
        ),
    ] {
        let mut script = Script::new("2026-11-28T14:10:00Z");
        (script.refusal, script.writes) = (Some(code), false);
        let (outcome, _) = filled(script, &mut Notes::default(), false).await;
        assert_eq!(outcome, Err(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_are_an_error() {
    for (ours, is_right) in [
        ("2026-11-28T14:09:00Z", false),
        ("2026-11-28T14:09:30Z", true),
        ("2026-11-28T14:11:00Z", true),
        ("2026-11-28T15:10:10Z", false),
    ] {
        let (stream, _) = Script::new("2026-11-28T14:10:00Z").start();
        let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await.unwrap();
        let running = connected.running(|| at(ours)).await;
        match running {
            Ok(_) => assert!(is_right, "{ours}"),
            Err(error) => assert!(!is_right && matches!(error, Error::Clock(_)), "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_said_and_not_shown() {
    let (stream, _) = Script::new("2026-11-28T14:10:00Z").start();
    let token = Token::new("another-secret");
    let error = Connected::open(stream, &server(), &token).await.unwrap_err();
    assert_eq!(error, Error::Token);
    assert!(!format!("{error} {error:?} {token:?}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn entities_of_other_integrations_are_left_out() {
    let (stream, _) = Script::new("2026-11-28T14:10:00Z").start();
    let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await.unwrap();
    let mut running = connected.running(|| at("2026-11-28T14:10:10Z")).await.unwrap();
    let entities = running.entities().await.unwrap();
    let only = Entity { entity_id: ENTITY.to_owned(), unique_id: "kamstrup_energy".to_owned() };
    assert_eq!(entities, [only]);
}

#[tokio::test(start_paused = true)]
async fn only_counters_of_energy_and_volume_are_written() {
    for (key, value, expected) in [
        ("has_sum", json!(false), Unsuitable::NoSum),
        ("mean_type", json!(1), Unsuitable::NoSum),
        ("source", json!("sensor"), Unsuitable::Source("sensor".to_owned())),
        ("unit_class", json!("power"), Unsuitable::Kind),
        ("unit_class", json!(null), Unsuitable::Kind),
        ("statistics_unit_of_measurement", json!(null), Unsuitable::Kind),
    ] {
        let mut script = Script::new("2026-11-28T14:10:00Z");
        script.metadata[0][key] = value;
        let (stream, _) = script.start();
        let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await.unwrap();
        let mut running = connected.running(|| at("2026-11-28T14:10:10Z")).await.unwrap();
        assert_eq!(running.metadata(ENTITY).await.unwrap(), Err(expected), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_writes_back_what_was_there() {
    let script = Script::new("2026-11-28T14:10:00Z");
    let silent = at("2026-11-28T10:00:00Z");
    script.rows.insert(silent, ("100.1".to_owned(), "10.1".to_owned()));
    let (stream, log) = script.start();
    let connected = Connected::open(stream, &server(), &Token::new(TOKEN)).await.unwrap();
    let mut running = connected.running(|| at("2026-11-28T14:10:10Z")).await.unwrap();
    let metadata = running.metadata(ENTITY).await.unwrap().unwrap();
    let mut notes = Notes::default();
    let (mut outcome, how) = (Outcome::default(), (hour(0), true, false));
    let filled = fill(&mut running, &metadata, &counter(), &mut notes, how, &mut outcome).await;
    filled.unwrap();
    undo(&mut running, &metadata, &notes.kept[0].clone(), &mut notes).await.unwrap().unwrap();
    let rows = running.series(&metadata, hour(0)).await.unwrap();
    let sums: Vec<_> = rows.rows().map(|row| row.sum.normalize().to_string()).collect();
    assert_eq!(sums, ["10", "10.1", "10.1", "10.1", "10.9", "11"]);
    assert_eq!(imports(&log).len(), 2);
}

fn metadata() -> Metadata {
    Metadata {
        statistic_id: ENTITY.to_owned(),
        name: None,
        unit_class: "energy".to_owned(),
        unit: "kWh".to_owned(),
    }
}

fn kept(number: u32) -> Kept {
    let row = |state: &str| Row {
        hour: hour(number),
        state: state.parse().unwrap(),
        sum: "10.10".parse().unwrap(),
    };
    Kept { written: vec![row("100.10")], replaced: vec![row("99")], joint: None }
}

#[test]
fn what_was_overwritten_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let mut journal = JournalFile::open(&path).unwrap();
    journal.keep(&metadata(), &kept(3)).unwrap();
    // As after an import that was refused, and is tried again.
    journal.keep(&metadata(), &kept(4)).unwrap();
    journal.keep(&metadata(), &kept(4)).unwrap();
    assert!(matches!(JournalFile::open(&path), Err(JournalError::InUse)));
    drop(journal);
    let mut journal = JournalFile::open(&path).unwrap();
    let entered = journal.to_undo();
    let all: Vec<_> = entered.iter().map(|it| (it.number, it.kept.clone())).collect();
    assert_eq!(all, [(1, kept(4)), (0, kept(3))]);
    assert!(!journal.is_undone(&metadata(), hour(4)));
    journal.note_undone(1).unwrap();
    drop(journal);
    let journal = JournalFile::open(&path).unwrap();
    assert_eq!(journal.to_undo().len(), 1);
    assert!(journal.is_undone(&metadata(), hour(4)));
    assert!(!journal.is_undone(&metadata(), hour(3)));
    let other = Metadata { statistic_id: "sensor.other".to_owned(), ..metadata() };
    assert!(!journal.is_undone(&other, hour(4)));
}

#[test]
fn where_sums_were_joined_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let row = |number: u32, sum: i64| Row {
        hour: hour(number),
        state: Decimal::new(1007, 1),
        sum: Decimal::new(sum, 1),
    };
    let joint = Joint { oldest: Some(row(7, 0)), live: row(11, 1), by: Decimal::new(7, 1) };
    let repair = Joint { oldest: None, live: row(13, 0), by: Decimal::new(9, 1) };
    let mut journal = JournalFile::open(&path).unwrap();
    journal.begin(&metadata(), &joint).unwrap();
    journal.begin(&metadata(), &repair).unwrap();
    journal.note_sent(&metadata(), hour(11), true).unwrap();
    drop(journal);
    let mut journal = JournalFile::open(&path).unwrap();
    let noted = Noted { joint, is_sent: true, is_done: false, is_undone: false };
    assert_eq!(journal.before(&metadata()), [noted]);
    assert_eq!(journal.joint(&metadata(), hour(13)).unwrap().joint, repair);
    assert_eq!(journal.joint(&metadata(), hour(12)), None);
    let other = Metadata { statistic_id: "sensor.other".to_owned(), ..metadata() };
    assert_eq!(journal.before(&other), []);
    journal.note_done(&metadata(), hour(11)).unwrap();
    drop(journal);
    let mut journal = JournalFile::open(&path).unwrap();
    let noted = Noted { joint, is_sent: false, is_done: true, is_undone: false };
    assert_eq!(journal.before(&metadata()), [noted]);
    // An undo that has begun is left alone by the next run, and completed by the next undo.
    journal.begin_undo(&metadata(), hour(11)).unwrap();
    drop(journal);
    let journal = JournalFile::open(&path).unwrap();
    assert!(journal.before(&metadata())[0].is_undone);
    let entered: Vec<_> = journal.to_undo().into_iter().map(|it| it.kept.joint).collect();
    assert_eq!(entered, [Some(repair), Some(joint)]);
}

/// A joint replaces those that have no rows any more.
#[test]
fn a_joint_that_is_begun_again_is_in_the_journal_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let mut journal = JournalFile::open(&path).unwrap();
    let row =
        |number: u32| Row { hour: hour(number), state: Decimal::ONE_HUNDRED, sum: Decimal::ONE };
    let joint = |oldest: Option<u32>, live: u32| Joint {
        oldest: oldest.map(row),
        live: row(live),
        by: Decimal::ONE,
    };
    let hours = |journal: &JournalFile| -> Vec<_> {
        let joints = journal.before(&metadata());
        joints.iter().map(|noted| noted.joint.live.hour).collect()
    };
    journal.begin(&metadata(), &joint(Some(7), 11)).unwrap();
    journal.begin(&metadata(), &joint(None, 9)).unwrap();
    let other = Metadata { statistic_id: "sensor.other".to_owned(), ..metadata() };
    journal.begin(&other, &joint(Some(7), 11)).unwrap();
    // Older hours: the newer joint stays.
    journal.begin(&metadata(), &joint(Some(3), 7)).unwrap();
    journal.begin(&metadata(), &joint(Some(2), 7)).unwrap();
    assert_eq!(hours(&journal), [hour(7), hour(11)]);
    // If it cannot be stored, nothing is replaced.
    std::fs::create_dir(path.with_extension("new")).unwrap();
    journal.begin(&metadata(), &joint(Some(11), 13)).unwrap_err();
    assert_eq!(hours(&journal), [hour(7), hour(11)]);
    std::fs::remove_dir(path.with_extension("new")).unwrap();
    // The database was replaced.
    journal.begin(&metadata(), &joint(Some(11), 13)).unwrap();
    assert_eq!(hours(&journal), [hour(13)]);
    assert!(journal.joint(&metadata(), hour(9)).is_some());
    assert_eq!(journal.before(&other).len(), 1);
}

/// Home Assistant renames the statistics with the entity.
#[test]
fn an_entity_that_was_renamed_is_found_by_its_unique_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let entities = |ids: &[(&str, &str)]| -> Vec<Entity> {
        let entity = |(id, unique): &(&str, &str)| Entity {
            entity_id: (*id).to_owned(),
            unique_id: (*unique).to_owned(),
        };
        ids.iter().map(entity).collect()
    };
    let of = |id: &str| Metadata { statistic_id: id.to_owned(), ..metadata() };
    let ids = |journal: &JournalFile| -> Vec<_> {
        journal.to_undo().into_iter().map(|it| it.statistic_id).collect()
    };
    // As an earlier version has written it, with a joint.
    let old = r#"[{"statistic_id":"sensor.old","unit":"kWh","written":[],"replaced":[],
        "undone":false,"joint":{"oldest":["2026-11-28T07:00:00Z","99.9","0"],
        "live":["2026-11-28T11:00:00Z","100.7","0.1"],"by":"0.7","sent":false,"undoing":false}}]"#;
    std::fs::write(&path, old).unwrap();
    let mut journal = JournalFile::open(&path).unwrap();
    assert!(!journal.before(&of("sensor.old"))[0].is_done);
    journal.follow(&entities(&[("sensor.old", "a"), (ENTITY, "b")]));
    let joint = journal.before(&of("sensor.old"))[0].joint;
    journal.keep(&metadata(), &kept(3)).unwrap();
    journal.keep(&metadata(), &kept(3)).unwrap();
    drop(journal);
    // The second has got the id of the first.
    let renamed = entities(&[("sensor.new", "a"), ("sensor.old", "b")]);
    let mut journal = JournalFile::open(&path).unwrap();
    journal.follow(&renamed);
    assert_eq!(ids(&journal), ["sensor.old", "sensor.new"]);
    assert_eq!(journal.before(&of("sensor.new"))[0].joint, joint);
    assert_eq!(journal.before(&of("sensor.old")), []);
    journal.note_done(&of("sensor.new"), hour(11)).unwrap();
    journal.keep(&of("sensor.old"), &kept(3)).unwrap();
    assert_eq!(journal.to_undo().len(), 2);
    drop(journal);
    // One that does not exist any more keeps the id that it had.
    let mut journal = JournalFile::open(&path).unwrap();
    journal.follow(&entities(&[("sensor.third", "b")]));
    assert_eq!(ids(&journal), ["sensor.third", "sensor.new"]);
    assert!(journal.before(&of("sensor.new"))[0].is_done);
}

/// A program that nobody watches must not write again what an interrupted undo has not reached.
#[test]
fn an_undo_that_was_begun_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let mut journal = JournalFile::open(&path).unwrap();
    journal.keep(&metadata(), &kept(3)).unwrap();
    journal.keep(&metadata(), &kept(4)).unwrap();
    assert!(!journal.is_withdrawn(&metadata()));
    journal.begin_undo_of_all().unwrap();
    drop(journal);
    let mut journal = JournalFile::open(&path).unwrap();
    let other = Metadata { statistic_id: "sensor.other".to_owned(), ..metadata() };
    assert!(journal.is_withdrawn(&metadata()) && !journal.is_withdrawn(&other));
    assert!(journal.is_undone(&metadata(), hour(3)));
    assert_eq!(journal.to_undo().len(), 2);
    // What is written by hand afterwards does not change that.
    journal.keep(&other, &kept(5)).unwrap();
    for number in [0, 1] {
        journal.note_undone(number).unwrap();
    }
    drop(journal);
    let journal = JournalFile::open(&path).unwrap();
    assert!(journal.is_withdrawn(&metadata()) && !journal.is_withdrawn(&other));
}

/// As earlier versions have noted it.
#[test]
fn an_undo_of_joined_sums_that_was_begun_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = JournalFile::open(&folder.path().join("statistics.json")).unwrap();
    let joint = Joint { oldest: None, live: kept(3).written[0], by: Decimal::ONE };
    journal.begin(&metadata(), &joint).unwrap();
    assert!(!journal.is_withdrawn(&metadata()));
    journal.begin_undo(&metadata(), hour(3)).unwrap();
    assert!(journal.is_withdrawn(&metadata()));
}

/// Without it, the next run would take imported rows for Home Assistant's own.
#[test]
fn a_large_journal_never_drops_where_sums_were_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let mut journal = JournalFile::open(&path).unwrap();
    let joint = Joint { oldest: None, live: kept(3).written[0], by: Decimal::ONE };
    journal.begin(&metadata(), &joint).unwrap();
    let row = kept(4).written[0];
    let large = Kept { written: vec![row; 20_000], replaced: vec![], joint: None };
    for _ in 0..6 {
        journal.keep(&metadata(), &large).unwrap();
    }
    drop(journal);
    let journal = JournalFile::open(&path).unwrap();
    assert!(journal.joint(&metadata(), hour(3)).is_some());
    assert!(journal.to_undo().len() < 7);
}

#[test]
fn a_journal_that_cannot_be_stored_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.json");
    let mut journal = JournalFile::open(&path).unwrap();
    // A folder of the name cannot be replaced.
    std::fs::create_dir(&path).unwrap();
    assert!(journal.keep(&metadata(), &kept(3)).is_err());
    assert_eq!(journal.to_undo(), []);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "[{").unwrap();
    drop(journal);
    assert!(matches!(JournalFile::open(&path), Err(JournalError::Damaged(_))));
    assert!(JournalFile::open(&folder.path().join("none/statistics.json")).is_err());
}

#[test]
fn numbers_stay_decimals() {
    for (json, expected) in [
        ("5000.0", "5000"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e-05", "0.00001"),
        ("1.5E3", "1500"),
        ("-87.0", "-87"),
        ("1764547200000", "1764547200000"),
        // What is left of 0.8 - 0.7 - 0.1.
        ("5.551115123125783e-17", "0.0000000000000000555111512313"),
        ("-2.7755575615628914e-17", "-0.0000000000000000277555756156"),
        ("1e-400", "0"),
    ] {
        let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        let value = number::read(&raw).unwrap_or_else(|| panic!("{json}"));
        assert_eq!(value.normalize().to_string(), expected);
        assert_eq!(number::written(value).unwrap().get(), expected);
    }
    for json in ["null", "\"5\"", "true"] {
        let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(number::read(&raw), None, "{json}");
    }
}
