//! The board as HTML. Everything in it is escaped by the template.

use std::time::Duration;

use askama::Template;
use tokio::time::Instant;

use crate::poll::{Complaint, words};
use crate::status::{Board, BrokerState, LastPoll, MeterState, Setup, ValueState};

pub(super) const STYLE: &str = include_str!("../../templates/style.css");

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    version: &'static str,
    setup: Setup,
    broker: Broker,
    meters: Vec<Meter>,
}

/// How things are, for their colour.
type Class = &'static str;

const GOOD: Class = "good";
const ODD: Class = "odd";
const BAD: Class = "bad";

struct Broker {
    class: Class,
    words: String,
}

struct Meter {
    class: Class,
    title: String,
    words: String,
    trouble: Option<Complaint>,
    fault: Option<String>,
    values: Vec<Value>,
    missing: Vec<(String, String)>,
    facts: String,
}

struct Value {
    name: String,
    text: String,
    age: String,
}

/// The page as it is now.
pub(super) fn render(board: &Board) -> askama::Result<String> {
    let now = Instant::now();
    let broker = broker(&board.broker().borrow(), now);
    let meters = board.meters().into_iter().map(|state| meter(state, now)).collect();
    let version = env!("CARGO_PKG_VERSION");
    Page { version, setup: board.setup(), broker, meters }.render()
}

fn broker(state: &BrokerState, now: Instant) -> Broker {
    let (class, words) = match state {
        BrokerState::Unknown => (ODD, "Which broker there is, is not known yet.".to_owned()),
        BrokerState::Connecting { name } => (ODD, format!("Connecting to {name}.")),
        BrokerState::Connected { name, since } => {
            (GOOD, format!("Connected to {name} for {}.", passed(*since, now)))
        }
        BrokerState::Down { name, since, words } => {
            (BAD, format!("No connection to {name} for {}: {words}", passed(*since, now)))
        }
    };
    Broker { class, words }
}

fn meter(state: MeterState, now: Instant) -> Meter {
    let MeterState { title, port, interval, model, serial, last, values, missing, fault, .. } =
        state;
    let (class, words, trouble) = match last {
        None => (ODD, "It is read for the first time.".to_owned(), None),
        Some(LastPoll { at, answered, trouble }) => {
            let ago = passed(at, now);
            match (answered, trouble.is_some()) {
                (true, false) => (GOOD, format!("It answers; it was read {ago} ago."), trouble),
                (true, true) => {
                    (ODD, format!("It answered only in part when it was read, {ago} ago."), trouble)
                }
                (false, _) => {
                    (BAD, format!("It did not answer the last time, {ago} ago."), trouble)
                }
            }
        }
    };
    let is_faulty = fault.is_some() || !missing.is_empty();
    let class = if class == GOOD && is_faulty { ODD } else { class };
    let number = serial.map(|serial| format!("serial number {serial}"));
    let place = [format!("at {port}"), format!("read every {}", self::words(interval))];
    let facts: Vec<_> = model.into_iter().chain(number).chain(place).collect();
    let values = values.into_iter().map(|state| value(state, now)).collect();
    Meter { class, title, words, trouble, fault, values, missing, facts: facts.join(", ") }
}

fn value(state: ValueState, now: Instant) -> Value {
    let ValueState { name, text, unit, at, .. } = state;
    let text = unit.map_or_else(|| text.clone(), |unit| format!("{text} {unit}"));
    Value { name, text, age: format!("{} ago", passed(at, now)) }
}

/// How long ago something was, in whole seconds.
fn passed(at: Instant, now: Instant) -> String {
    match now.saturating_duration_since(at).as_secs() {
        seconds @ 0..10 => format!("{seconds} s"),
        seconds => words(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::status::Problem;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn complaint(words: &str, hint: &str) -> Complaint {
        Complaint { words: words.to_owned(), hint: hint.to_owned() }
    }

    fn value(name: &str, text: &str, unit: Option<&'static str>) -> ValueState {
        let (name, text) = (name.to_owned(), text.to_owned());
        ValueState { name, text, unit, is_number: true, at: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn how_it_goes() {
        let board = Board::default();
        let name = "core-mosquitto:1883".to_owned();
        board.set_broker(BrokerState::Connected { name, since: Instant::now() });
        let meter = |title: &str, port: &str| {
            MeterState::new(title.to_owned(), port.to_owned(), Duration::from_secs(300))
        };
        board.set_meters(vec![
            (0, meter("Kamstrup Meter house", "/dev/ttyUSB0")),
            (1, meter("Kamstrup Meter garage", "socket://10.0.0.3:2003")),
            (2, meter("Kamstrup Meter barn", "/dev/ttyUSB1")),
        ]);
        advance(Duration::from_secs(7200)).await;
        board.meter(1, |meter| {
            meter.values = vec![value("energy", "81947", Some("kWh"))];
            let trouble = complaint("The meter is silent: no answer", "Press a key.");
            meter.last =
                Some(LastPoll { at: Instant::now(), answered: false, trouble: Some(trouble) });
        });
        advance(Duration::from_secs(100)).await;
        board.meter(0, |meter| {
            meter.model = Some("Multical 403".to_owned());
            meter.serial = Some("12345678".to_owned());
            meter.values = vec![
                value("energy", "81947", Some("kWh")),
                value("maxflowdate_y", "2026-01-31", None),
            ];
            meter.missing = vec![("power".to_owned(), "this meter does not have it".to_owned())];
            meter.fault = Some("air in the pipe".to_owned());
            meter.last = Some(LastPoll { at: Instant::now(), answered: true, trouble: None });
        });
        advance(Duration::from_secs(7)).await;
        board.set_up(|setup| setup.warnings = texts(&["the option `x` is not known"]));
        insta::assert_snapshot!(render(&board).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong() {
        let board = Board::default();
        board.set_up(|setup| {
            setup.problem = Some(Problem {
                words: "One option is missing or wrong".to_owned(),
                details: texts(&["`port`: found `COM3`"]),
                hint: "Mend it.".to_owned(),
            });
        });
        let broken = render(&board).unwrap();
        board.set_up(|setup| {
            setup.problem = None;
            setup.broker = Some(complaint("Home Assistant has no MQTT broker", "Install one."));
        });
        let without = render(&board).unwrap();
        let (name, since) = ("broker:1883".to_owned(), Instant::now());
        let words = "nothing listens there.".to_owned();
        board.set_up(|setup| setup.broker = None);
        board.set_broker(BrokerState::Down { name, since, words });
        let down = render(&board).unwrap();
        let sections =
            [broken, without, down].map(|page| page.split_once("</h1>").unwrap().1.to_owned());
        insta::assert_snapshot!(sections.join("\n=====\n"));
    }

    /// Whatever a meter, a broker or a form says is text.
    #[tokio::test(start_paused = true)]
    async fn everything_is_escaped() {
        const EVIL: &str = "<script>\"&'</script>";
        let board = Board::default();
        let evil = || EVIL.to_owned();
        let both = || complaint(EVIL, EVIL);
        board.set_up(|setup| {
            setup.warnings = vec![evil()];
            setup.broker = Some(both());
        });
        let mut meter = MeterState::new(evil(), evil(), Duration::from_secs(1));
        meter.model = Some(evil());
        meter.serial = Some(evil());
        meter.fault = Some(evil());
        meter.values = vec![value(EVIL, EVIL, None)];
        meter.missing = vec![(evil(), evil())];
        let at = Instant::now();
        meter.last = Some(LastPoll { at, answered: false, trouble: Some(both()) });
        board.set_meters(vec![(0, meter)]);
        board.set_broker(BrokerState::Down { name: evil(), since: at, words: evil() });
        let page = render(&board).unwrap();
        board.set_up(|setup| {
            setup.problem = Some(Problem { words: evil(), details: vec![evil()], hint: evil() });
        });
        let page = page + &render(&board).unwrap();
        assert!(!page.contains("<script"), "{page}");
        // 5 of the broker and the options, 11 of the meter; then 4 of the options, and the meter.
        assert_eq!(page.matches("&#60;script&#62;").count(), 5 + 11 + 4 + 11, "{page}");
        // Home Assistant shows the page under a path that it does not know.
        assert!(!page.contains("\"/") && !page.contains("//"), "{page}");
    }
}
