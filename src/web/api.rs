//! What is known, as JSON for programs. `openapi.json` describes it; a test holds the two together.
//!
//! Numbers are what the meter said, digit by digit.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::ZonedDateTime;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::payload::exact;
use crate::status::{
    Board, BrokerState, Found, LastPoll, LineQuality, MeterState, Placement, PortInfo,
    ReportedProblem, ScanState,
};
use meter::poll::Explanation;

/// What the answers are like, by `OpenAPI` 3.1.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

/// All that is known just now.
#[derive(Serialize)]
struct StateJson {
    version: &'static str,
    time: String,
    started: String,
    broker: BrokerJson,
    settings: SettingsJson,
    meters: Vec<MeterJson>,
    ports: Vec<PortJson>,
}

#[derive(Serialize)]
struct PortJson {
    path: String,
    by_id: Option<String>,
    used_by: Vec<String>,
    busy: bool,
}

#[derive(Serialize)]
struct BrokerJson {
    state: &'static str,
    name: Option<String>,
    since: Option<String>,
    trouble: Option<String>,
}

#[derive(Serialize)]
struct SettingsJson {
    problem: Option<ProblemJson>,
    refused: Option<ProblemJson>,
    warnings: Vec<String>,
    broker: Option<ExplanationJson>,
    history: Option<ExplanationJson>,
}

#[derive(Serialize)]
struct ProblemJson {
    words: String,
    details: Vec<String>,
    hint: String,
}

#[derive(Serialize)]
struct ExplanationJson {
    words: String,
    hint: String,
}

#[derive(Serialize)]
struct MeterJson {
    meter: usize,
    title: String,
    port: String,
    interval_seconds: u64,
    model: Option<String>,
    serial_number: Option<String>,
    /// Whether it answered the last time; nothing before the first poll.
    answers: Option<bool>,
    since: Option<String>,
    last_poll: Option<String>,
    next_poll: Option<String>,
    trouble: Option<ExplanationJson>,
    fault: Option<String>,
    values: BTreeMap<String, ValueJson>,
    missing: BTreeMap<String, String>,
    line: LineJson,
    placement: Option<PlacementJson>,
    scan: Option<ScanJson>,
}

#[derive(Serialize)]
struct ValueJson {
    value: Option<Box<RawValue>>,
    unit: Option<&'static str>,
    time: String,
}

#[derive(Serialize)]
struct LineJson {
    day: Option<String>,
    polls: u64,
    failed: u64,
    retries: u64,
    bad_checksums: u64,
    bytes_sent: u64,
    bytes_received: u64,
    awake_seconds: u64,
}

#[derive(Serialize)]
struct PlacementJson {
    running: bool,
    asked: u32,
    hits: u32,
    left_seconds: u64,
}

#[derive(Serialize)]
struct ScanJson {
    running: bool,
    asked: usize,
    of: usize,
    complete: bool,
    found: Vec<FoundJson>,
}

/// A register that a search has found.
#[derive(Serialize)]
pub(super) struct FoundJson {
    register: u16,
    name: String,
    label: Option<&'static str>,
    value: Option<String>,
    unit: Option<&'static str>,
}

impl FoundJson {
    pub(super) fn new(found: &Found) -> Self {
        let Found { register, name, label, text, unit } = found.clone();
        Self { register: register.get(), name, label, value: text, unit }
    }
}

/// What time it is, on the clock on the wall and on the one by which the program waits.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) wall: ZonedDateTime,
    pub(super) at: Instant,
}

impl Now {
    /// When something was or will be, on the clock on the wall as it goes now.
    fn time(&self, at: Instant) -> String {
        let ago = self.at.saturating_duration_since(at);
        let ahead = at.saturating_duration_since(self.at);
        let time = self.wall.saturating_sub(ago).saturating_add(ahead);
        time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// All that is known just now.
pub(super) fn state(board: &Board, ports: Vec<PortInfo>, now: &Now) -> serde_json::Result<String> {
    let setup = board.setup();
    let state = StateJson {
        version: env!("CARGO_PKG_VERSION"),
        time: now.time(now.at),
        started: now.time(board.started()),
        broker: broker(&board.broker().borrow(), now),
        settings: SettingsJson {
            problem: setup.problem.map(problem),
            refused: setup.refused.map(problem),
            warnings: setup.warnings,
            broker: setup.broker.map(complaint),
            history: setup.history.map(complaint),
        },
        meters: board.meters().into_iter().map(|state| meter(state, now)).collect(),
        ports: ports.into_iter().map(port).collect(),
    };
    serde_json::to_string(&state)
}

fn port(port: PortInfo) -> PortJson {
    let PortInfo { path, by_id, used_by, busy } = port;
    let by_id = by_id.map(|name| name.display().to_string());
    PortJson { path: path.display().to_string(), by_id, used_by, busy }
}

fn broker(state: &BrokerState, now: &Now) -> BrokerJson {
    let (state, name, since, trouble) = match state {
        BrokerState::Unknown => ("unknown", None, None, None),
        BrokerState::Connecting { name } => ("connecting", Some(name), None, None),
        BrokerState::Connected { name, since } => ("connected", Some(name), Some(*since), None),
        BrokerState::Down { name, since, advice, made_by } => {
            ("down", Some(name), Some(*since), Some(advice.words(*made_by)))
        }
    };
    let since = since.map(|since| now.time(since));
    BrokerJson { state, name: name.cloned(), since, trouble }
}

fn problem(problem: ReportedProblem) -> ProblemJson {
    let ReportedProblem { words, details, hint } = problem;
    ProblemJson { words, details, hint }
}

fn complaint(complaint: Explanation) -> ExplanationJson {
    let Explanation { words, hint } = complaint;
    ExplanationJson { words, hint }
}

fn meter(state: MeterState, now: &Now) -> MeterJson {
    let MeterState { number, title, port, interval, model, serial, .. } = state;
    let time = |at| now.time(at);
    let (answers, last_poll, trouble) = match state.last {
        None => (None, None, None),
        Some(LastPoll { at, answered, trouble }) => (Some(answered), Some(time(at)), trouble),
    };
    let value = |value: crate::status::ValueState| {
        let time = now.time(value.at);
        (
            value.name,
            ValueJson { value: exact(&value.text, value.is_number), unit: value.unit, time },
        )
    };
    MeterJson {
        meter: number,
        title,
        port,
        interval_seconds: interval.as_secs(),
        model,
        serial_number: serial,
        answers,
        since: state.since.map(time),
        last_poll,
        next_poll: state.next_poll.map(time),
        trouble: trouble.map(complaint),
        fault: state.fault,
        values: state.values.into_iter().map(value).collect(),
        missing: state.missing.into_iter().collect(),
        line: line(state.line.on(now.wall.date())),
        placement: state.placement.as_ref().map(placement),
        scan: state.scan.as_ref().map(scan),
    }
}

fn line(line: LineQuality) -> LineJson {
    let LineQuality { polls, failed, retries, bad_checksums, bytes_sent, bytes_received, .. } =
        line;
    LineJson {
        day: line.day.map(|day| day.to_string()),
        polls,
        failed,
        retries,
        bad_checksums,
        bytes_sent,
        bytes_received,
        awake_seconds: whole_seconds(line.awake),
    }
}

/// To the nearest second.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

fn placement(placement: &Placement) -> PlacementJson {
    let Placement { running, asked, hits, left, .. } = *placement;
    PlacementJson { running, asked, hits, left_seconds: left.as_secs() }
}

fn scan(scan: &ScanState) -> ScanJson {
    let ScanState { running, asked, of, complete, .. } = *scan;
    ScanJson {
        running,
        asked,
        of,
        complete,
        found: scan.found.iter().map(FoundJson::new).collect(),
    }
}

/// Whether values flow from each meter to the broker; else what is wrong, one line each.
pub(super) fn ready(board: &Board) -> Result<(), String> {
    let setup = board.setup();
    let mut wrong: Vec<String> = setup.problem.map(|problem| problem.words).into_iter().collect();
    match &*board.broker().borrow() {
        BrokerState::Connected { .. } => {}
        BrokerState::Unknown => wrong.push("Which broker there is, is not known yet.".to_owned()),
        BrokerState::Connecting { name } => wrong.push(format!("Connecting to {name}.")),
        BrokerState::Down { name, advice, made_by, .. } => {
            wrong.push(format!("No connection to {name}: {}", advice.words(*made_by)));
        }
    }
    let meters = board.meters();
    if meters.is_empty() {
        wrong.push("No meter is read.".to_owned());
    }
    for MeterState { title, last, .. } in meters {
        match last {
            None => wrong.push(format!("{title} was not read yet.")),
            Some(LastPoll { answered: false, trouble, .. }) => {
                let words = trouble.map(|trouble| format!(": {}", trouble.words));
                wrong.push(format!("{title} does not answer{}.", words.unwrap_or_default()));
            }
            Some(LastPoll { answered: true, .. }) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n") + "\n") }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;
    use tokio::time::advance;

    use super::*;
    use crate::advice::{Advice, MadeBy};
    use crate::status::ValueState;

    pub(in super::super) fn now() -> Now {
        let wall = "2026-11-24T10:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
        Now { wall, at: Instant::now() }
    }

    fn complaint(words: &str) -> Explanation {
        Explanation { words: words.to_owned(), hint: "Press a key.".to_owned() }
    }

    /// A board on which everything stands, and one on which nothing does.
    pub(in super::super) async fn boards() -> [Board; 2] {
        let board = Board::default();
        let meter = |title: &str| {
            let port = "/dev/ttyUSB0".to_owned();
            MeterState::new(title.to_owned(), port, Duration::from_secs(300))
        };
        board.set_meters(vec![(0, meter("Kamstrup \"Meter\"")), (3, meter("Shed"))]);
        board.set_handles(vec![]);
        advance(Duration::from_secs(7200)).await;
        let at = Instant::now();
        advance(Duration::from_secs(60)).await;
        let value = |name: &str, text: &str, unit, is_number| {
            let (name, text) = (name.to_owned(), text.to_owned());
            ValueState { name, text, unit, is_number, at }
        };
        board.meter(0, |meter| {
            meter.model = Some("Multical 403".to_owned());
            meter.serial = Some("12345678".to_owned());
            meter.last = Some(LastPoll { at, answered: true, trouble: None });
            meter.since = Some(at);
            meter.fault = Some("air in the pipe".to_owned());
            meter.values = vec![
                value("energy", "12345678901234567.89", Some("kWh"), true),
                value("temp1", "71.60", Some("°C"), true),
                value("temp2", "41.03", Some("°C"), true),
                value("massin", "3.4", Some("t"), true),
                value("infoevent", "3", None, true),
                value("maxflowdate_y", "2026-01-31", None, false),
            ];
            meter.missing = vec![("power".to_owned(), "it is not there".to_owned())];
            let traffic = LineQuality { retries: 1, bad_checksums: 2, ..LineQuality::default() };
            let line = LineQuality {
                polls: 24,
                failed: 1,
                bytes_sent: 500,
                bytes_received: 1000,
                awake: Duration::from_millis(61_500),
                ..traffic
            };
            meter.line = LineQuality { day: Some("2026-11-24".parse().unwrap()), ..line };
            meter.line_in_all = LineQuality { polls: 1024, ..line };
            let left = Duration::from_millis(90_500);
            let placement =
                Placement { running: true, asked: 12, hits: 9, left, ..Placement::default() };
            meter.placement = Some(placement);
            let found = |text: Option<&str>, label| Found {
                register: kmp::register::RegisterId::new(60),
                name: "energy".to_owned(),
                label,
                text: text.map(str::to_owned),
                unit: text.and(Some("kWh")),
            };
            let found = vec![found(Some("81947"), Some("Energy")), found(None, None)];
            meter.scan = Some(ScanState { asked: 64, of: 1400, found, ..ScanState::default() });
        });
        board.meter(3, |meter| {
            let trouble = Some(complaint("The meter is silent"));
            meter.last = Some(LastPoll { at, answered: false, trouble });
            // Of yesterday: nothing of it counts today.
            let day = Some("2026-11-23".parse().unwrap());
            meter.line = LineQuality { day, polls: 7, ..LineQuality::default() };
        });
        board.set_broker(BrokerState::Down {
            name: "broker:1883".to_owned(),
            since: at,
            advice: Advice::new("nothing listens there."),
            made_by: MadeBy::File,
        });
        let problem = |words: &str| ReportedProblem {
            words: words.to_owned(),
            details: vec!["`port`: found `COM3`".to_owned()],
            hint: "Mend it.".to_owned(),
        };
        board.set_up(|setup| {
            setup.problem = Some(problem("One option is wrong"));
            setup.refused = Some(problem("It is not taken"));
            setup.warnings = vec!["the option `x` is not known".to_owned()];
            setup.broker = Some(complaint("There is no broker"));
            setup.history = Some(complaint("The disk is full"));
        });
        [board, Board::default()]
    }

    fn ports() -> Vec<PortInfo> {
        let port = |by_id: Option<&str>| PortInfo {
            path: "/dev/ttyUSB0".into(),
            by_id: by_id.map(Into::into),
            used_by: vec!["Shed".to_owned()],
            busy: true,
        };
        vec![port(Some("/dev/serial/by-id/usb-FTDI")), port(None)]
    }

    #[tokio::test(start_paused = true)]
    async fn everything_in_json() {
        let [full, _] = boards().await;
        let text = state(&full, ports(), &now()).unwrap();
        // With all its digits.
        assert!(text.contains(r#"{"value":12345678901234567.89,"unit":"kWh","#), "{text}");
        assert!(text.contains(r#"{"value":71.60,"unit":"°C","#), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }

    /// What is described is there, and nothing else is.
    #[tokio::test(start_paused = true)]
    async fn the_description_is_true() {
        for board in boards().await {
            let text = state(&board, ports(), &now()).unwrap();
            assert_eq!(faults("State", &text), [""; 0], "{text}");
        }
        let [full, _] = boards().await;
        let text = state(&full, ports(), &now()).unwrap();
        for (right, other) in [
            (r#""polls":24"#, r#""polls":-1"#),
            (r#""polls":24"#, r#""polls":"24""#),
            (r#""polls":24"#, r#""pools":24"#),
            (r#""state":"down""#, r#""state":"odd""#),
            (r#""since":null"#, r#""since":"yesterday""#),
            (r#""hint":"Mend it.""#, r#""hint":null"#),
            (r#""register":60"#, r#""register":65536"#),
        ] {
            assert!(text.contains(right), "{right}");
            assert!(!faults("State", &text.replace(right, other)).is_empty(), "{other}");
        }
    }

    /// An object may have nothing that is not described, and must have all that is.
    #[test]
    fn nothing_is_left_open() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let schemas = description["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            let Some(properties) = schema["properties"].as_object() else { continue };
            let mut described: Vec<&str> = properties.keys().map(String::as_str).collect();
            let required = schema["required"].as_array().unwrap().iter();
            let mut required: Vec<&str> = required.map(|name| name.as_str().unwrap()).collect();
            described.sort_unstable();
            required.sort_unstable();
            assert_eq!(
                (described, &schema["additionalProperties"]),
                (required, &false.into()),
                "{name}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_values_from_flowing() {
        let [full, empty] = boards().await;
        insta::assert_snapshot!(ready(&full).unwrap_err());
        assert_eq!(
            ready(&empty).unwrap_err(),
            "Which broker there is, is not known yet.\nNo meter is read.\n"
        );
        let name = "broker:1883".to_owned();
        full.set_broker(BrokerState::Connected { name, since: Instant::now() });
        full.set_up(|setup| setup.problem = None);
        full.meter(3, |meter| {
            meter.last = Some(LastPoll { at: Instant::now(), answered: true, trouble: None });
        });
        assert_eq!(ready(&full), Ok(()));
    }

    /// What is wrong with an answer, by the schema of this name.
    pub(in super::super) fn faults(schema: &str, text: &str) -> Vec<String> {
        let mut description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        description["$ref"] = format!("#/components/schemas/{schema}").into();
        let schema = jsonschema::draft202012::new(&description).unwrap();
        let value = serde_json::from_str(text).unwrap();
        schema.iter_errors(&value).map(|error| error.to_string()).collect()
    }
}
