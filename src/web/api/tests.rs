use std::sync::Arc;

use serde_json::Value;
use tokio::time::advance;

use tokio::time::Instant;

use super::*;
use crate::advice::{Advice, MadeBy};
use crate::status::ValueState;
use crate::usage;

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
        let today = "2026-11-24".parse().unwrap();
        meter.ledger = Arc::new(usage::tests::four_weeks(today, &meter.settings));
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
    let (name, advice) = ("broker:1883".to_owned(), Advice::new("nothing listens there."));
    board.set_broker(BrokerState::Down { name, since: at, advice, made_by: MadeBy::File });
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
async fn the_whole_state_as_json() {
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
async fn the_state_matches_its_description() {
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
        (r#""is_at_most":false"#, r#""is_at_most":0"#),
        (r#""replaced_another":false"#, r#""replaced":false"#),
        (r#""hint":"Mend it.""#, r#""hint":null"#),
        (r#""register":60"#, r#""register":65536"#),
    ] {
        assert!(text.contains(right), "{right}");
        assert!(!faults("State", &text.replace(right, other)).is_empty(), "{other}");
    }
}

/// An object has exactly the properties that are described.
#[test]
fn objects_have_exactly_the_described_properties() {
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
async fn readiness_reports_each_reason() {
    let [full, empty] = boards().await;
    insta::assert_snapshot!(ready(&full).unwrap_err());
    assert_eq!(
        ready(&empty).unwrap_err(),
        "The broker is not yet known.\nNo meter is being read.\n"
    );
    let name = "broker:1883".to_owned();
    full.set_broker(BrokerState::Connected { name, since: Instant::now(), doubt: None });
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
