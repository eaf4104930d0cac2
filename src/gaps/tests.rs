//! Against a Home Assistant that ends the connection while rows are written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use history::{History, MeterKey, Reader, Sample};
use home_assistant::{Hour, JournalFile};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::config::Variables;
use crate::filling::{Progress, Work};
use crate::status::Board;

type Rows = Arc<Mutex<BTreeMap<String, BTreeMap<Timestamp, (Value, Value)>>>>;

/// A house with two meters. Each lacks two hours in Home Assistant, of which it was read.
struct House {
    _folder: tempfile::TempDir,
    with: Repeating,
    rows: Rows,
    /// After how many messages that write Home Assistant goes away.
    most: Arc<Mutex<usize>>,
    /// The first hour.
    first: Hour,
}

const METERS: [&str; 2] = ["a", "b"];

impl House {
    async fn new() -> Self {
        let now = LocalTime::now().timestamp();
        // All hours are compiled.
        let first = Hour::with(now).earlier(8);
        let at = |hours: i64| first.start() + SignedDuration::from_hours(hours);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let history = History::start(Some(file.clone()), &now.to_zoned_datetime(TimeZone::UTC));
        let rows = Rows::default();
        for name in METERS {
            for hour in 1_i64..6 {
                let value = (100 + hour).into();
                let unit = Some("kWh".to_owned());
                let sample =
                    Sample { parameter: "energy".to_owned(), value, unit, is_counter: true };
                let time = at(hour) + SignedDuration::from_secs(5);
                history.note(&MeterKey::new(name, Some(1)), time, &[sample]);
            }
            let row = |hour: i64| (at(hour), (json!(101 + hour), json!(1 + hour)));
            let known = [0, 3, 4].map(row).into();
            rows.lock().unwrap().insert(format!("sensor.{name}"), known);
        }
        history.close();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let most = Arc::new(Mutex::new(usize::MAX));
        let (serving, left) = (Arc::clone(&rows), Arc::clone(&most));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &serving, &left).await;
            }
        });
        let yaml = format!(
            "serial_device: {{com_port: /dev/a}}\nkamstrup: {{parameters: [energy]}}\n\
             homeassistant: {{url: 'http://127.0.0.1:{port}', token: a-secret-token}}\n\
             meters: [{{name: a}}, {{name: b}}]\n"
        );
        let path = Path::new("x");
        let config = crate::config::check(Some((path, &yaml)), &Variables::new());
        let config = config.unwrap().config;
        let reader = Reader::of_file(file, TimeZone::UTC);
        let source = Source::new(reader, &config.meters, "kamstrup");
        let journal = folder.path().join(JOURNAL);
        let with = Repeating { access: config.home_assistant.unwrap(), source, journal };
        Self { _folder: folder, with, rows, most, first }
    }

    fn goes_away_after(&self, most: usize) {
        *self.most.lock().unwrap() = most;
    }

    fn journal(&self) -> &PathBuf {
        &self.with.journal
    }

    async fn filled(&self, is_dry: bool) -> (Report, Result<(), Failed>) {
        let Repeating { access, source, journal } = &self.with;
        let mut report = Report::default();
        let back = SignedDuration::from_hours(24);
        let done = fill_all(access, source, journal, back, is_dry, &mut report).await;
        report.close();
        (report, done)
    }
}

/// Its last event was a minute ago in the first minute of an hour, so that nothing has to wait.
async fn serve(stream: TcpStream, rows: &Rows, most: &Mutex<usize>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let text = |value: Value| Message::text(value.to_string());
    socket.send(text(json!({"type": "auth_required"}))).await.unwrap();
    while let Some(Ok(Message::Text(message))) = socket.next().await {
        let message: Value = serde_json::from_str(&message).unwrap();
        let time = |key: &str| message[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        let id = message["statistic_ids"][0].as_str().unwrap_or_default();
        let result = match message["type"].as_str().unwrap() {
            "auth" => {
                socket.send(text(json!({"type": "auth_ok"}))).await.unwrap();
                continue;
            }
            "get_config" => json!({"state": "RUNNING"}),
            "config/entity_registry/list" => METERS
                .map(|name| {
                    json!({"entity_id": format!("sensor.{name}"), "platform": "mqtt",
                           "unique_id": format!("kamstrup_{name}_energy")})
                })
                .into(),
            "recorder/get_statistics_metadata" => json!([{
                "statistic_id": id, "name": null, "source": "recorder", "has_sum": true,
                "mean_type": 0, "unit_class": "energy", "statistics_unit_of_measurement": "kWh",
            }]),
            "recorder/statistics_during_period" => {
                let range = time("start_time")..time("end_time");
                let rows = rows.lock().unwrap();
                let row = |(start, (state, sum)): (&Timestamp, &(Value, Value))| json!({"start": start.as_millisecond(), "state": state, "sum": sum});
                json!({ id: rows[id].range(range).map(row).collect::<Vec<_>>() })
            }
            "recorder/import_statistics" => {
                let left = most.lock().unwrap().checked_sub(1);
                let Some(left) = left else { return };
                *most.lock().unwrap() = left;
                let id = message["metadata"]["statistic_id"].as_str().unwrap();
                for row in message["stats"].as_array().unwrap() {
                    let start = row["start"].as_str().unwrap().parse().unwrap();
                    let row = (row["state"].clone(), row["sum"].clone());
                    rows.lock().unwrap().get_mut(id).unwrap().insert(start, row);
                }
                Value::Null
            }
            _ => Value::Null,
        };
        let answer = json!({"id": message["id"], "type": "result", "success": true,
                            "result": result});
        socket.send(text(answer)).await.unwrap();
        if message["type"] == "get_config" {
            let now = LocalTime::now().timestamp();
            let is_early = now.as_second() % 3_600 < 60;
            let fired = now - SignedDuration::from_secs(if is_early { 59 } else { 0 });
            let fired = fired.to_string().replace('Z', "+00:00");
            let event = json!({"id": 1, "type": "event", "event": {
                "event_type": "recorder_5min_statistics_generated", "time_fired": fired,
                "data": {},
            }});
            socket.send(text(event)).await.unwrap();
        }
    }
}

/// Home Assistant goes away after it has got the rows of the first of two meters.
#[tokio::test]
async fn what_was_done_before_a_failure_is_reported() {
    let house = House::new().await;
    let (dry, done) = house.filled(true).await;
    done.unwrap();
    assert_eq!(dry.entities.len(), 2);
    house.goes_away_after(1);
    let (report, done) = house.filled(false).await;
    assert!(matches!(done, Err(Failed::HomeAssistant(_))), "{done:?}");
    assert_eq!(report.entities, dry.entities[..1]);
    let hours = [house.first.next(), house.first.next().next()].map(Hour::start);
    assert_eq!(
        filled_words(&report, false),
        format!(
            "sensor.a: Filled 2 hours:\n  {}  state 102 kWh, sum 2 kWh\n  {}  state 103 kWh, sum \
             3 kWh\n",
            hours[0], hours[1]
        )
    );
    // The next run does the rest.
    house.goes_away_after(5);
    let (report, done) = house.filled(false).await;
    done.unwrap();
    assert!(filled_words(&report, false).starts_with("sensor.a: No gaps"), "{report:?}");
    assert_eq!(report.entities[1], dry.entities[1]);
    // The same for an undo: the newest first.
    house.goes_away_after(1);
    let mut undone = Vec::new();
    undo_all(&house.with.access, house.journal(), &mut undone).await.unwrap_err();
    assert_eq!(undone.iter().map(|it| it.entity_id.as_str()).collect::<Vec<_>>(), ["sensor.b"]);
    assert_eq!(JournalFile::open(house.journal()).unwrap().to_undo().len(), 1);
}

#[tokio::test]
async fn the_page_shows_what_was_done_before_a_failure() {
    let house = House::new().await;
    let (board, desk) = (Board::default(), Desk::default());
    desk.work_with(&board, Some(house.with.clone()));
    let done = async |work| {
        desk.start(&board, work).unwrap();
        loop {
            let job = board.filling_now().job.unwrap();
            if !job.progress.is_running() {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = done(Work::Look).await;
    assert_eq!((&looked.progress, looked.lines.len()), (&Progress::Done, 2));
    house.goes_away_after(1);
    let filled = done(Work::Fill).await;
    assert!(matches!(filled.progress, Progress::Failed(_)), "{filled:?}");
    assert_eq!(filled.lines, looked.lines[..1]);
    house.goes_away_after(0);
    let undone = done(Work::Undo).await;
    assert!(matches!(undone.progress, Progress::Failed(_)), "{undone:?}");
    assert_eq!(undone.lines, []);
    house.goes_away_after(5);
    let undone = done(Work::Undo).await;
    assert_eq!((&undone.progress, undone.lines.len()), (&Progress::Done, 1), "{undone:?}");
    let rows = house.rows.lock().unwrap();
    let sums: Vec<_> = rows["sensor.a"].values().map(|(_, sum)| sum.to_string()).collect();
    assert_eq!(sums, ["1", "1", "1", "4", "5"]);
}
