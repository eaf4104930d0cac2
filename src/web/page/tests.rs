use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use rust_decimal::Decimal;
use tokio::time::advance;

use super::meter::judge;
use super::names::Name;
use super::timed::length;
use super::*;
use crate::advice::{Advice, MadeBy};
use crate::options_change::{Changed, OptionsChange};
use crate::status::{Found, HeadSearch, LastPoll, Placement, ScanState, ValueState};
use crate::usage;
use crate::web::memory::{Counter, Curve, Memory, Range};
use ::meter::client::NoAnswer;
use ::meter::find::{
    Candidate, Found as FoundThere, Kind, Plan as FindPlan, Reason, Searched, UsbDevice,
};
use ::meter::transport::{LocalPort, OpenError};
use history::{Consumption, MeterKey, Point, Summary, Total};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn complaint(words: &str, hint: &str) -> Explanation {
    Explanation { words: words.to_owned(), hint: hint.to_owned() }
}

fn value(name: &str, text: &str, unit: Option<&'static str>) -> ValueState {
    let is_number = text.parse::<Decimal>().is_ok();
    let (name, text) = (name.to_owned(), text.to_owned());
    ValueState { name, text, unit, is_number, at: Instant::now() }
}

fn look(language: Language) -> PageInput {
    let now = "2026-11-24T09:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
    PageInput {
        is_locked: false,
        in_container: false,
        port_lines: None,
        language,
        level: Level::TRACE,
        ports: Vec::new(),
        page: PageNumber::default(),
        memories: Memories::default(),
        now,
    }
}

fn shown(board: &Board, language: Language) -> String {
    render(board, look(language)).unwrap()
}

/// Without the script and in each language.
#[test]
fn a_visitor_without_the_token_is_asked_for_it() {
    let board = house();
    let mut asked = Vec::new();
    for language in Language::ALL {
        let page = render(&board, PageInput { is_locked: true, ..look(language) }).unwrap();
        let words = language.words();
        asked.push(format!("{}\n{}", section(&page, "access"), words.token_needed));
        let page = ask_token(language, "../", words.token_wrong).unwrap();
        assert!(page.contains(words.token_wrong) && !page.contains("<script"), "{page}");
        assert!(!shown(&board, language).contains("name=\"token\""));
    }
    asked.push(ask_token(Language::English, "../", "Said.").unwrap());
    insta::assert_snapshot!(asked.join("\n=====\n"));
}

fn section(page: &str, id: &str) -> String {
    let start = page.find(&format!("<section id=\"{id}\"")).unwrap();
    let section = &page[start..];
    section[..section.find("</section>").unwrap()].to_owned()
}

fn house() -> Board {
    let board = Board::default();
    let name = "core-mosquitto:1883".to_owned();
    board.set_broker(BrokerState::Connected { name, since: Instant::now(), doubt: None });
    let meter = |name: &str, port: &str| {
        let (title, port) = (format!("Kamstrup Meter {name}"), port.to_owned());
        let key = Some(MeterKey::new(name, None));
        MeterState { key, ..MeterState::new(title, port, Duration::from_secs(300)) }
    };
    board.set_meters(vec![
        (0, meter("house", "/dev/ttyUSB0")),
        (1, meter("garage", "socket://10.0.0.3:2003")),
        (2, meter("barn", "/dev/ttyUSB1")),
    ]);
    board
}

async fn lived_in() -> Board {
    let board = house();
    advance(Duration::from_secs(7200)).await;
    board.meter(1, |meter| {
        meter.values = vec![value("energy", "81947", Some("kWh"))];
        let trouble = complaint("The meter is silent: no answer", "Press a key.");
        meter.last = Some(LastPoll { at: Instant::now(), answered: false, trouble: Some(trouble) });
        meter.misplaced = true;
        meter.since = Some(Instant::now());
    });
    advance(Duration::from_secs(100)).await;
    board.meter(0, |meter| {
        meter.model = Some("Multical 403".to_owned());
        meter.serial = Some("12345678".to_owned());
        meter.values = vec![
            value("energy", "81947", Some("kWh")),
            value("flow", "0.128", Some("m³/h")),
            value("maxflowdate_y", "2026-01-31", None),
            value("2001", "7", None),
        ];
        meter.missing = vec![("power".to_owned(), "this meter does not have it".to_owned())];
        meter.fault = Some("air in the pipe".to_owned());
        meter.last = Some(LastPoll { at: Instant::now(), answered: true, trouble: None });
        meter.since = Some(Instant::now());
    });
    advance(Duration::from_secs(7)).await;
    board.set_up(|setup| setup.warnings = texts(&["the option `x` is not known"]));
    board
}

#[tokio::test(start_paused = true)]
async fn meters_in_every_state() {
    let board = lived_in().await;
    insta::assert_snapshot!(shown(&board, Language::English));
}

/// In the tab of a page that is not in front, too; after each change the script takes them from the
/// second place.
#[tokio::test(start_paused = true)]
async fn the_window_shows_the_worst_state() {
    let board = house();
    let window = |language| {
        let page = shown(&board, language);
        let between = |before: &str, after: &str| {
            page.split_once(before).unwrap().1.split_once(after).unwrap().0.to_owned()
        };
        let window = (between("<title>", "</title>"), between("rel=\"icon\" href=\"", "\""));
        let current = (between("data-title=\"", "\""), between("data-icon=\"", "\""));
        assert_eq!(window, current);
        window
    };
    let is = |title: &str, icon: &str| (title.to_owned(), icon.to_owned());
    // Nothing is wrong before the first reading.
    assert_eq!(window(Language::English), is("Heat meter – kamstrup2mqtt", "icon.svg"));
    let poll = |number, answered| {
        let last = Some(LastPoll { at: Instant::now(), answered, trouble: None });
        board.meter(number, |meter| meter.last = last);
    };
    (0..3).for_each(|number| poll(number, true));
    assert_eq!(window(Language::English), is("Heat meter – kamstrup2mqtt", "icon.svg"));
    board.set_up(|setup| setup.warnings = texts(&["Unknown option `x`"]));
    let odd = is("! Needs attention – Heat meter – kamstrup2mqtt", "icon-odd.svg");
    assert_eq!(window(Language::English), odd);
    poll(1, false);
    let bad = is("✕ Trouble – Heat meter – kamstrup2mqtt", "icon-bad.svg");
    assert_eq!(window(Language::English), bad);
    let bad = is("✕ Störung – Wärmezähler – kamstrup2mqtt", "icon-bad.svg");
    assert_eq!(window(Language::German), bad);
    board.set_up(|setup| setup.warnings.clear());
    poll(1, true);
    assert_eq!(window(Language::English), is("Heat meter – kamstrup2mqtt", "icon.svg"));
    let (name, since) = ("broker:1883".to_owned(), Instant::now());
    let advice = Advice::new("nothing listens there.");
    board.set_broker(BrokerState::Down { name, since, advice, made_by: MadeBy::File });
    assert_eq!(window(Language::English).1, "icon-bad.svg");
}

/// `Kamstrup Meter house` is the device in Home Assistant; the meter is `house`, as in the log.
#[test]
fn a_meter_has_one_name() {
    let named = |title: &str, name: &str| {
        let key = Some(MeterKey::new(name, None));
        let (title, port) = (title.to_owned(), "/dev/ttyUSB0".to_owned());
        short_name(&MeterState { key, ..MeterState::new(title, port, Duration::ZERO) })
    };
    assert_eq!(named("Kamstrup Meter house", "house"), "house");
    assert_eq!(named("Kamstrup Meter", ""), "Kamstrup Meter");
    assert_eq!(named("District heating", "house"), "District heating");
    assert_eq!(named("Greenhouse", "house"), "Greenhouse");
    assert_eq!(named("house", "house"), "house");
}

/// The age of all others is that of the last reading.
#[tokio::test(start_paused = true)]
async fn only_an_older_value_shows_its_age() {
    let state = value("energy", "81947", Some("kWh"));
    let read = Instant::now();
    advance(Duration::from_secs(300)).await;
    let age =
        |polled| meter::value(state.clone(), Some(polled), Language::English, Instant::now()).age;
    assert_eq!(age(read), None);
    assert_eq!(age(Instant::now()).unwrap().text, "5 min");

    // All of a meter that does not answer are equally old.
    let board = house();
    board.meter(0, |meter| {
        meter.values = vec![state.clone(), ValueState { name: "power".to_owned(), ..state }];
        meter.last = Some(LastPoll { at: Instant::now(), answered: false, trouble: None });
    });
    let silent = section(&shown(&board, Language::English), "meter-0");
    assert!(silent.contains("These values are <span data-age=\"300\">5 min</span> old."));
    assert!(!silent.contains("class=\"when\""), "{silent}");
    board.meter(0, |meter| meter.values.push(value("flow", "0.128", None)));
    let partial = section(&shown(&board, Language::English), "meter-0");
    assert_eq!(partial.matches("class=\"when\"").count(), 2, "{partial}");
    assert!(!partial.contains("These values"), "{partial}");
}

#[test]
fn no_two_values_of_a_meter_share_a_name() {
    let name = |key: &str| Name::new(key, Language::German).text;
    assert_eq!(name("energy"), "Energie");
    assert_eq!(name("E1HighRes"), "Energie, hohe Auflösung");
    assert_eq!(name("e3highres"), "Kälteenergie, hohe Auflösung");
    assert_eq!(name("volumehighres"), "Volumen, hohe Auflösung");
}

#[test]
fn digits_stay_together() {
    let class = |text: &str| {
        let state = value("energy", text, Some("kWh"));
        meter::value(state, None, Language::Dutch, Instant::now()).class()
    };
    assert_eq!(class("81947.612"), "");
    assert_eq!(class("281947.612"), " long");
    assert_eq!(class("123456789012"), " long");
    assert_eq!(class("1234567890123"), " text");
    assert_eq!(class("on"), " text");
}

/// If the port cannot be opened, it is not the head.
#[tokio::test(start_paused = true)]
async fn the_placement_aid_is_offered_where_it_may_help() {
    let board = lived_in().await;
    let is_offered = |number: usize| {
        let section = section(&shown(&board, Language::English), &format!("meter-{number}"));
        let link = format!("href=\"#placing-{number}\">Placement aid</a>");
        let open = format!("<details id=\"placing-{number}\" open");
        assert_eq!(section.contains(&link), section.contains(&open), "{section}");
        section.contains(&link)
    };
    assert_eq!([0, 1, 2].map(is_offered), [false, true, false]);
    board.meter(1, |meter| meter.misplaced = false);
    assert!(!is_offered(1));
}

#[tokio::test(start_paused = true)]
async fn a_meter_in_german() {
    let board = lived_in().await;
    let page = shown(&board, Language::German);
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"de\">"), "{page}");
    // Only the fault is English.
    let fault =
        "<p class=\"complaint\">Der Zähler meldet: <span lang=\"en\">air in the pipe</span>.</p>";
    assert!(page.contains(fault), "{page}");
    insta::assert_snapshot!(section(&page, "meter-0"));
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_wrong() {
    let board = Board::default();
    let problem = |words: &str| ReportedProblem {
        words: words.to_owned(),
        details: texts(&["`port`: found `COM3`"]),
        hint: "Fix it.".to_owned(),
    };
    board.set_up(|setup| setup.problem = Some(problem("One option is missing or wrong")));
    let broken = shown(&board, Language::English);
    board.set_up(|setup| {
        setup.problem = None;
        setup.refused = Some(problem("The configuration has 1 problem"));
        setup.supervisor = SupervisorState::Asked;
        setup.broker = Some(complaint("Home Assistant has no MQTT broker", "Install one."));
    });
    let without = shown(&board, Language::English);
    let (name, since) = ("broker:1883".to_owned(), Instant::now());
    let advice = Advice::new("nothing listens there.");
    board.set_up(|setup| setup.broker = None);
    board.set_broker(BrokerState::Down { name, since, advice, made_by: MadeBy::File });
    board.set_up(|setup| {
        setup.history = Some(complaint("The disk is full", "Make room."));
    });
    let meter = MeterState::new("a".to_owned(), "b".to_owned(), Duration::from_secs(300));
    board.set_meters(vec![(0, meter)]);
    let down = shown(&board, Language::English);
    let sections = [broken, without, down].map(|page| {
        let start = page.find("<section").unwrap();
        page[start..page.find("<section id=\"log\"").unwrap()].to_owned()
    });
    insta::assert_snapshot!(sections.join("\n=====\n"));
}

#[tokio::test(start_paused = true)]
async fn placing_the_head_and_searching() {
    let board = house();
    let placement = |running, hit| Placement {
        running,
        asked: 12,
        hits: 9,
        hit,
        heard: Some(NoAnswer::OwnEcho),
        left: Duration::from_secs(108),
        trouble: None,
    };
    let found = |register, name: &str, text: Option<&str>| Found {
        register,
        name: name.to_owned(),
        label: None,
        text: text.map(str::to_owned),
        unit: Some("kWh"),
    };
    let energy = found(RegisterId::new(60), "energy", Some("81947"));
    board.meter(0, |meter| meter.placement = Some(placement(true, Some(false))));
    board.meter(1, |meter| {
        meter.placement = Some(placement(true, Some(true)));
        meter.scan = Some(ScanState {
            running: true,
            asked: 64,
            of: 1400,
            found: vec![energy.clone()],
            ..ScanState::default()
        });
    });
    board.meter(2, |meter| {
        meter.placement = Some(placement(false, Some(true)));
        meter.scan = Some(ScanState {
            asked: 1400,
            of: 1400,
            found: vec![energy, found(RegisterId::new(61), "energy4", None)],
            complete: true,
            parameters: Some("parameters:\n  - energy\n".to_owned()),
            ..ScanState::default()
        });
    });
    let page = shown(&board, Language::English);
    let aids = ["meter-0", "meter-1", "meter-2"].map(|id| {
        let section = section(&page, id);
        let start = section.find("<details id=\"placing").unwrap();
        section[start..section.find("<details id=\"facts").unwrap()].to_owned()
    });
    insta::assert_snapshot!(aids.join("\n=====\n"));
}

#[tokio::test(start_paused = true)]
async fn setup_and_log() {
    let board = house();
    board.set_up(|setup| {
        setup.settings = vec![SettingLine {
            key: "mqtt.password".to_owned(),
            value: "***".to_owned(),
            origin: "kamstrup.yaml, line 3".to_owned(),
        }];
    });
    for (level, text) in [(Level::INFO, "Read."), (Level::WARN, "Odd."), (Level::ERROR, "Bad.")] {
        let (time, text) = ("2026-11-24T08:59:00+01:00".to_owned(), text.to_owned());
        board.log().add(LogLine { time, level, text });
    }
    let port = |path: &str, by_id: Option<&str>, used_by: &[&str], busy| PortInfo {
        path: PathBuf::from(path),
        by_id: by_id.map(PathBuf::from),
        used_by: texts(used_by),
        busy,
    };
    let mut look = look(Language::English);
    look.level = Level::WARN;
    look.ports = vec![
        port("/dev/ttyUSB0", Some("/dev/serial/by-id/usb-FTDI_A-if00-port0"), &["house"], false),
        port("/dev/ttyUSB1", None, &[], false),
        port("/dev/ttyUSB2", None, &["barn"], true),
    ];
    let page = render(&board, look).unwrap();
    let both = [section(&page, "setup"), section(&page, "log")];
    insta::assert_snapshot!(both.join("\n=====\n"));
}

/// A port that was listed.
fn candidate(path: &str, by_id: Option<&str>, plan: FindPlan) -> Candidate {
    Candidate {
        port: LocalPort { path: path.into(), by_id: by_id.map(PathBuf::from), is_held: false },
        usb: Some(UsbDevice {
            vendor_id: 0x10C4,
            product_id: 0xEA60,
            manufacturer: None,
            product: Some("CP2102 <USB>".to_owned()),
        }),
        plan,
    }
}

/// Searches for the head: listed, running, ended, without an answer, stopped, and without a port.
fn searches() -> Vec<HeadSearch> {
    let left_out = |reason| FindPlan::LeaveOut(reason);
    let meter = "Kamstrup Meter house".to_owned();
    let listed = vec![
        candidate("/dev/ttyUSB0", Some("/dev/serial/by-id/usb-A-if00-port0"), FindPlan::Ask),
        candidate("/dev/ttyUSB1", None, FindPlan::Ask),
        candidate("/dev/ttyUSB2", None, FindPlan::Ask),
        candidate("/dev/ttyUSB3", None, left_out(Reason::InUse)),
        candidate("/dev/ttyUSB4", None, left_out(Reason::Configured { meter })),
        candidate("/dev/ttyUSB5", None, left_out(Reason::KnownAs(Kind::Zigbee))),
    ];
    let serial_number = SerialNumber::new(12_345_678);
    let all_found = [
        FoundThere::Meter { model: "Multical 403 (most likely)".to_owned(), serial_number },
        FoundThere::OtherBaudRate { baud: 2400, serial_number },
        FoundThere::OlderLanguage,
        FoundThere::Noise,
        FoundThere::EchoOnly,
        FoundThere::Silence,
        FoundThere::CannotOpen(OpenError::Busy),
        FoundThere::Broken("it was unplugged".to_owned()),
    ];
    let searched = |(candidate, found): (&Candidate, &FoundThere)| Searched {
        port: candidate.port.clone(),
        found: found.clone(),
    };
    let many = all_found
        .iter()
        .enumerate()
        .map(|(number, _)| candidate(&format!("/dev/ttyUSB{number}"), None, FindPlan::Ask));
    let many: Vec<_> = many.collect();
    vec![
        HeadSearch { listed: listed.clone(), ..HeadSearch::default() },
        HeadSearch {
            found: listed.iter().zip(&all_found[5..6]).map(searched).collect(),
            listed: listed.clone(),
            running: true,
            asking: Some("/dev/ttyUSB1".into()),
            ..HeadSearch::default()
        },
        HeadSearch {
            found: many.iter().zip(&all_found).map(searched).collect(),
            listed: many,
            ended: true,
            ..HeadSearch::default()
        },
        HeadSearch {
            found: listed[1..2].iter().zip(&all_found[5..6]).map(searched).collect(),
            listed: listed[1..2].to_vec(),
            ended: true,
            ..HeadSearch::default()
        },
        HeadSearch {
            ended: true,
            stopped: true,
            listed: listed[1..2].to_vec(),
            ..HeadSearch::default()
        },
        HeadSearch { listed: listed[3..].to_vec(), ..HeadSearch::default() },
    ]
}

/// The app's form has no speed, and the page only named the meter's.
#[test]
fn a_meter_at_another_speed_has_advice_in_the_app() {
    let port = LocalPort { path: "/dev/ttyUSB0".into(), by_id: None, is_held: false };
    let serial_number = SerialNumber::new(12_345_678);
    let other = FoundThere::OtherBaudRate { baud: 2400, serial_number };
    let usable = FoundThere::Meter { model: "Multical 403".to_owned(), serial_number };
    let words = Language::English.words();
    let lines: fn(&str, Option<u32>) -> String = crate::config::serial_port_lines;
    for (there, lines, expected) in [
        (vec![other.clone()], None, Some(words.find_speed_app)),
        (vec![other.clone()], Some(lines), None),
        (vec![other, usable], None, None),
        (vec![FoundThere::Silence], None, Some(words.find_nothing)),
    ] {
        let number =
            |number| LocalPort { path: format!("/dev/ttyUSB{number}").into(), ..port.clone() };
        let found: Vec<_> = (0..)
            .zip(there)
            .map(|(index, found)| Searched { port: number(index), found })
            .collect();
        let listed = found.iter().map(|it| it.port.clone());
        let listed =
            listed.map(|port| Candidate { port, usb: None, plan: FindPlan::Ask }).collect();
        let search = HeadSearch { listed, found, ended: true, ..HeadSearch::default() };
        assert_eq!(head(search, &[], lines, words).hint, expected);
    }
}

/// In the app and outside of it, before the search, while it runs and after it.
#[tokio::test(start_paused = true)]
async fn finding_the_head() {
    let board = house();
    let lines: fn(&str, Option<u32>) -> String = crate::config::serial_port_lines;
    let mut seen = Vec::new();
    for (language, port_lines) in [(Language::English, None), (Language::German, Some(lines))] {
        for state in searches() {
            board.head_search(|search| *search = Some(state));
            let page = render(&board, PageInput { port_lines, ..look(language) }).unwrap();
            let setup = section(&page, "setup");
            seen.push(setup[setup.find("<details id=\"ports\"").unwrap()..].to_owned());
        }
    }
    for trouble in [None, Some(complaint("Home Assistant rejected it", "Fix it."))] {
        let change = OptionsChange::Port("/dev/ttyUSB0".to_owned());
        board.set_changed(Changed { change, trouble });
        let setup = section(&shown(&board, Language::Danish), "setup");
        seen.push(
            setup[setup.find("<div class=\"row\">\n<form").map_or(0, |end| end - 400)..].to_owned(),
        );
    }
    insta::assert_snapshot!(seen.join("\n=====\n"));
}

/// Each of the four charts is there, with the meter's number in its id.
#[tokio::test(start_paused = true)]
async fn charts_of_what_is_remembered() {
    let board = house();
    let mut look = look(Language::Dutch);
    let point = |time: &str, value: &str| {
        let (time, value) = (time.parse().unwrap(), value.parse().unwrap());
        (time, Summary::of(Point { time, value }))
    };
    let read = |unit: &str, values: [&str; 2]| {
        let points = vec![
            point("2026-11-24T07:50:00Z", values[0]),
            point("2026-11-24T07:55:00Z", values[1]),
        ];
        Some(Curve { unit: unit.to_owned(), points })
    };
    let bar = Consumption {
        start: "2026-11-24T07:00:00Z".parse().unwrap(),
        end: "2026-11-24T08:00:00Z".parse().unwrap(),
        used: Some(Decimal::new(35, 1)),
        so_far: false,
    };
    let counter = |parameter: &str, unit: &str| {
        let (parameter, unit) = (parameter.to_owned(), unit.to_owned());
        let [total, before] = [Total::Whole(Decimal::new(735, 1)), Total::Unknown];
        Some(Counter { parameter, unit, bars: vec![bar], total, before })
    };
    let memory = Memory {
        power: read("W", ["4000", "4100"]),
        flow: read("m³/h", ["0.12", "0.13"]),
        supply: read("°C", ["64.2", "65"]),
        back: read("°C", ["31.8", "31.9"]),
        counter: counter("e1highres", "kWh"),
        returned: Vec::new(),
    };
    let water = Memory { counter: counter("volume", "m³"), ..Memory::default() };
    look.memories = Memories::new(Range::Day, vec![(1, memory), (2, water)]);
    let page = render(&board, look).unwrap();
    assert_eq!(page.matches("<svg class=\"chart\"").count(), 5);
    assert_eq!(page.matches("Hier verschijnen grafieken").count(), 1);
    let water = section(&page, "meter-2");
    for words in ["Volume per uur", "Volume (m³)", "73,5 m³"] {
        assert!(water.contains(words), "{words}");
    }
    let section = section(&page, "meter-1");
    for id in ["used-1", "power-1", "flow-1", "temperatures-1"] {
        assert!(section.contains(&format!("<figure id=\"{id}\">")), "{id}");
    }
    let charts = &section[section.find("<h3 id=\"charts-1\"").unwrap()..];
    insta::assert_snapshot!(charts[..charts.find("<details id=\"placing-1\"").unwrap()]);
}

#[test]
fn lengths_of_time() {
    let shown = [0, 59, 119, 120, 7_199, 7_200, 9_000, 172_799, 172_800, 1_000_000].map(length);
    let expected = [
        "0 s",
        "59 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h 0 min",
        "2 h 30 min",
        "47 h 59 min",
        "2 d 0 h",
        "11 d 13 h",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_time_is_where_the_language_has_it() {
    let parts = |text: &str| {
        let around = TimedText::new(text, "age", Duration::from_secs(5), &[("name", "{time}")]);
        (around.before, around.text, around.after)
    };
    let of = |parts: [&str; 3]| {
        let [before, text, after] = parts.map(str::to_owned);
        (before, text, after)
    };
    assert_eq!(parts("Read {time} ago."), of(["Read ", "5 s", " ago."]));
    // A broker may be called anything.
    assert_eq!(parts("Al {time} met {name}."), of(["Al ", "5 s", " met {time}."]));
    assert_eq!(parts("Seit {time} mit {name}."), of(["Seit ", "5 s", " mit {time}."]));
    assert_eq!(parts("{name} seit {time}."), of(["{time} seit ", "5 s", "."]));
}

/// A question ends with its own mark.
#[tokio::test(start_paused = true)]
async fn a_question_has_no_full_stop() {
    let question = |what: &str| format!("{what} is not known; did you mean another?");
    let problem = |what: &str| ReportedProblem {
        words: question(what),
        details: vec![question(&format!("part of {what}")), "The rest".to_owned()],
        hint: "Fix it.".to_owned(),
    };
    let board = house();
    board.set_up(|setup| {
        setup.problem = Some(problem("problem"));
        setup.refused = Some(problem("refusal"));
        setup.warnings = vec![question("warning"), "It is odd".to_owned()];
        setup.history = Some(complaint(&question("file"), "Look."));
    });
    let trouble = complaint(&question("port"), "Look.");
    let at = Instant::now();
    board.meter(0, |meter| {
        meter.last = Some(LastPoll { at, answered: false, trouble: Some(trouble) });
    });
    let page = shown(&board, Language::English);
    let (page, _) = page.split_once("<section id=\"log\"").unwrap();
    assert_eq!(page.matches("did you mean another?<").count(), 7, "{page}");
    assert_eq!(page.matches("did you mean").count(), 7, "{page}");
    for plain in ["<li>The rest.</li>", "<li>It is odd.</li>"] {
        assert!(page.contains(plain), "{page}");
    }
}

#[test]
fn a_line_is_judged_by_its_day() {
    let words = Language::English.words();
    let judged = |polls, failed, retries, bad_checksums| {
        let line = LineQuality { polls, failed, retries, bad_checksums, ..Default::default() };
        judge(&line, words)
    };
    assert_eq!(judged(2, 2, 9, 9), None);
    assert_eq!(judged(100, 5, 5, 5), Some(words.line_good));
    for (failed, retries, damaged) in [(6, 0, 0), (0, 6, 0), (0, 0, 6)] {
        assert_eq!(judged(100, failed, retries, damaged), Some(words.line_bad));
    }
    // The serial server refused the connection, or another program reads the meter too.
    let elsewhere = |polls| LineQuality {
        polls,
        failed: 50,
        failed_elsewhere: 50,
        retries: 20,
        late: 20,
        ..Default::default()
    };
    assert_eq!(judge(&elsewhere(150), words), Some(words.line_good));
    assert_eq!(judge(&elsewhere(50), words), None);
}

/// The words about a meter whose port has failed, or that does not answer, and about one without
/// keys.
#[tokio::test(start_paused = true)]
async fn a_meter_gets_only_words_that_fit_it() {
    let board = lived_in().await;
    let words = Language::English.words();
    let has = |text: &str| section(&shown(&board, Language::English), "meter-1").contains(text);
    assert!(has("ago: no answer.") && has(words.placement_key_or_lift));
    board.meter(1, |meter| {
        meter.misplaced = false;
        meter.has_keys = Some(false);
    });
    assert!(!has("ago: no answer.") && has(" ago failed."));
    assert!(has(words.placement_lift) && !has("press a key"));
    board.meter(1, |meter| meter.has_keys = Some(true));
    assert!(has(words.placement_key) && !has("lift the head"));
    // All meters are behind serial servers.
    assert!(shown(&board, Language::English).contains(words.ports_none));
    let input = PageInput { in_container: true, ..look(Language::English) };
    let page = render(&board, input).unwrap();
    assert!(page.contains(words.ports_none_container) && page.contains("--device"), "{page}");
    let served =
        MeterState::new("a".to_owned(), "socket://a:1".to_owned(), Duration::from_secs(300));
    board.set_meters(vec![(0, served)]);
    let page = shown(&board, Language::English);
    assert!(page.contains(words.ports_none_needed) && !page.contains(words.ports_none), "{page}");
}

/// Text from meters, brokers and forms stays text.
#[tokio::test(start_paused = true)]
async fn everything_is_escaped() {
    const EVIL: &str = "<script>\"&'</script>";
    let board = Board::default();
    let evil = || EVIL.to_owned();
    let both = || complaint(EVIL, EVIL);
    let problem = || ReportedProblem { words: evil(), details: vec![evil()], hint: evil() };
    board.set_up(|setup| {
        setup.warnings = vec![evil()];
        setup.broker = Some(both());
        setup.supervisor = SupervisorState::Asked;
        setup.refused = Some(problem());
        setup.history = Some(both());
        setup.settings = vec![SettingLine { key: evil(), value: evil(), origin: evil() }];
    });
    let mut meter = MeterState::new(evil(), evil(), Duration::from_secs(1));
    meter.model = Some(evil());
    meter.serial = Some(evil());
    meter.fault = Some(evil());
    meter.values = vec![value(EVIL, EVIL, None)];
    meter.missing = vec![(evil(), evil())];
    let at = Instant::now();
    meter.last = Some(LastPoll { at, answered: false, trouble: Some(both()) });
    meter.placement = Some(Placement { trouble: Some(both()), ..Placement::default() });
    let found = Found {
        register: RegisterId::new(60),
        name: evil(),
        label: None,
        text: Some(evil()),
        unit: None,
    };
    meter.scan = Some(ScanState {
        found: vec![found],
        parameters: Some(evil()),
        trouble: Some(both()),
        ..ScanState::default()
    });
    board.set_meters(vec![(0, meter.clone())]);
    board.meter(0, |state| *state = MeterState { number: 0, ..meter });
    board.set_broker(BrokerState::Down {
        name: evil(),
        since: at,
        advice: Advice::new(evil()),
        made_by: MadeBy::File,
    });
    board.log().add(LogLine { time: evil(), level: Level::ERROR, text: evil() });
    let mut with_ports = look(Language::English);
    with_ports.ports = vec![PortInfo {
        path: PathBuf::from(EVIL),
        by_id: Some(PathBuf::from(EVIL)),
        used_by: vec![evil()],
        busy: false,
    }];
    let page = render(&board, with_ports).unwrap();
    board.set_up(|setup| setup.problem = Some(problem()));
    let page = page + &shown(&board, Language::English);
    // The frame has one script element, on both pages.
    assert_eq!(page.matches("<script").count(), 2, "{page}");
    assert!(page.matches("&#60;script&#62;").count() > 50, "{page}");
    // Home Assistant serves the page under a path that the page does not know.
    let addresses = ["href=\"/", "src=\"/", "action=\"/", "//"];
    assert!(!addresses.iter().any(|address| page.contains(address)), "{page}");
    // Nothing that the content security policy would block.
    assert!(!page.contains(" style=") && !page.contains("<style"), "{page}");
    let is_handler = |rest: &str| {
        let name = rest.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase()))
    };
    assert!(!page.split(" on").skip(1).any(is_handler), "{page}");
}

/// The page of this many meters, each with a year of two curves.
fn crowd(count: usize, page: &str) -> (Board, PageInput) {
    let board = Board::default();
    let meter = |number: usize| {
        let (title, port) = (format!("Kamstrup Meter m{number}"), "/dev/ttyUSB0".to_owned());
        let key = Some(MeterKey::new(&format!("m{number}"), None));
        let last = Some(LastPoll { at: Instant::now(), answered: number != 77, trouble: None });
        let values = vec![value("energy", "81947", Some("kWh"))];
        (number, MeterState { key, last, values, ..MeterState::new(title, port, Duration::ZERO) })
    };
    board.set_meters((0..count).map(meter).collect());
    board.set_up(|setup| {
        let line = |number: usize| SettingLine {
            key: format!("com_port of the meter `m{number}`"),
            value: "/dev/ttyUSB0".to_owned(),
            origin: "kamstrup.yaml, line 3".to_owned(),
        };
        let qos = SettingLine { key: "mqtt.qos".to_owned(), ..line(0) };
        setup.settings = std::iter::once(qos).chain((0..count).map(line)).collect();
    });
    let now: ZonedDateTime = "2026-11-24T09:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
    let curve = || {
        let point = |day: i64| {
            let time = now.timestamp() - jiff::SignedDuration::from_hours(24 * (366 - day));
            (time, Summary::of(Point { time, value: Decimal::from(day % 7) }))
        };
        Some(Curve { unit: "W".to_owned(), points: (0..366).map(point).collect() })
    };
    let page = PageNumber::by_key(page).unwrap_or_default();
    let drawn = page.places(count);
    let memory = |number| (number, Memory { power: curve(), flow: curve(), ..Memory::default() });
    let memories = Memories::new(Range::Year, drawn.map(memory).collect());
    (board, PageInput { page, memories, ..look(Language::English) })
}

/// The most bytes for a meter that is on another page, as `docs/page.md` says.
const PER_METER: usize = 250;

fn ids(page: &str) -> Vec<&str> {
    page.split("<section id=\"meter-").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect()
}

/// With 500 meters, it had 500 cards with charts: rendering took longer than the 10 s of a
/// connection.
#[tokio::test(start_paused = true)]
async fn the_page_shows_ten_of_many_meters() {
    let size = |count, page| {
        let (board, input) = crowd(count, page);
        let page = render(&board, input).unwrap();
        assert!(ids(&page).len() <= 10, "{count}");
        page.len()
    };
    // A meter on another page is only in the list of all meters.
    let [ten, hundred, five_hundred] = [10, 100, 500].map(|count| size(count, "1"));
    assert!(hundred < ten + 90 * PER_METER, "{ten}, {hundred}");
    assert!(five_hundred < ten + 490 * PER_METER, "{ten}, {five_hundred}");

    let (board, input) = crowd(100, "8");
    let page = render(&board, input).unwrap();
    assert_eq!(ids(&page), ["70", "71", "72", "73", "74", "75", "76", "77", "78", "79"]);
    let start = page.find("<nav id=\"pages\"").unwrap();
    let nav = &page[start..page[start..].find("</nav>").unwrap() + start];
    // The whole list is long: its two ends are enough.
    let list = nav.find("<details id=\"all-meters\">").unwrap();
    let (short, list) = nav.split_at(list);
    assert_eq!(list.matches("<a id=\"to-").count(), 100);
    assert!(list.contains("href=\"./?page=10&amp;range=12m#meter-99\""), "{list}");
    insta::assert_snapshot!(short);
    // Links keep the page.
    assert!(page.contains("href=\"./?range=7d&amp;page=8#charts-70\""));
    assert!(page.contains("<input type=\"hidden\" name=\"page\" value=\"8\">"));
    // So are the settings and the report about a bug.
    assert_eq!(page.matches("<code>com_port of the meter `m7").count(), 10);
    assert_eq!(page.matches("\ncom_port of the meter `m7").count(), 10);
    assert_eq!(page.matches("<code>mqtt.qos</code>").count(), 1);
    // The title is about all meters.
    assert!(page.contains("<title>✕ Trouble – Heat meter – kamstrup2mqtt</title>"));
}

#[tokio::test(start_paused = true)]
async fn up_to_ten_meters_are_on_one_page() {
    for (count, shown, navigation) in [(1, 1, ""), (10, 10, "overview"), (11, 10, "pages")] {
        let (board, input) = crowd(count, "1");
        let page = render(&board, input).unwrap();
        assert_eq!(ids(&page).len(), shown);
        for id in ["overview", "pages"] {
            assert_eq!(page.contains(&format!("<nav id=\"{id}\"")), id == navigation, "{count}");
        }
        assert_eq!(page.contains("page="), count > 10);
    }
    let (board, input) = crowd(11, "3");
    assert_eq!(ids(&render(&board, input).unwrap()), ["10"], "the last page");
}

#[tokio::test(start_paused = true)]
async fn many_meters_in_each_language() {
    let mut all = Vec::new();
    for language in Language::ALL {
        let (board, input) = crowd(100, "2");
        let page = render(&board, PageInput { language, ..input }).unwrap();
        let start = page.find("<nav id=\"pages\"").unwrap();
        let nav = &page[start..page[start..].find("</summary>").unwrap() + start];
        let texts = nav.split('>').skip(1).map(|part| part.split('<').next().unwrap().trim());
        all.push(texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" | "));
    }
    insta::assert_snapshot!(all.join("\n"));
}

/// Counted for four weeks, since an exchange, since the start, and with an interval of which little
/// is known.
#[tokio::test(start_paused = true)]
async fn what_readings_cost_the_battery() {
    let board = house();
    let today = "2026-11-24".parse().unwrap();
    let mut said = Vec::new();
    let part = |page: &str, number: usize| {
        let start = page.find(&format!("<details id=\"battery-{number}\"")).unwrap();
        page[start..][..page[start..].find("</details>").unwrap()].to_owned()
    };
    said.push(part(&shown(&board, Language::English), 0));
    board.meter(0, |meter| {
        meter.ledger = Arc::new(usage::tests::four_weeks(today, &meter.settings));
    });
    for language in Language::ALL {
        said.push(part(&shown(&board, language), 0));
    }
    board.meter(0, |meter| Arc::make_mut(&mut meter.ledger).has_predecessor = true);
    board.meter(1, |meter| {
        meter.settings = usage::Settings::at_interval(Duration::from_secs(3600));
        meter.ledger = Arc::new(usage::tests::four_weeks(today, &meter.settings));
        Arc::make_mut(&mut meter.ledger).is_kept = false;
    });
    for language in Language::ALL {
        let page = shown(&board, language);
        let notes = |number| {
            let part = part(&page, number);
            let notes = part.lines().filter(|line| line.contains("\"faint\""));
            notes.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        said.push(format!("{}\n{}", notes(0), part(&page, 1)));
    }
    insta::assert_snapshot!(said.join("\n=====\n"));
}
