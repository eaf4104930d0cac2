//! The board as HTML. Everything in it is escaped by the templates.
//!
//! The page is a frame and its parts; the script asks for the parts again when something has changed.

use std::time::Duration;

use askama::Template;
use jiff::ZonedDateTime;
use kmp::register::Register;
use tokio::time::Instant;
use tracing::Level;

use super::chart::{self, Chart, Each, Heading, Series, Window};
use super::language::{Language, Words, fill};
use super::memory::{Counter, Curve, Memories, Memory};
use crate::status::{
    Board, BrokerState, Found, LastPoll, LineQuality, LogLine, MeterState, Placement, PortInfo,
    ReportedProblem, ScanState, SettingLine, Setup, SupervisorState, ValueState,
};
use meter::poll::Explanation;

pub(super) const STYLE: &str = include_str!("../../templates/style.css");
pub(super) const SCRIPT: &str = include_str!("../../templates/script.js");
pub(super) const ICON: &str = include_str!("../../templates/icon.svg");

/// Of so many polls in a hundred that fail, requests that are made again or answers that are damaged,
/// it is said that the head may not sit well.
const NOISY: u64 = 5;

/// Before so many polls nothing is said of the line.
const FEW: u64 = 3;

/// What a visitor wants to see, and what is looked up when he asks.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) language: Language,
    /// Log lines of this level and worse.
    pub(super) level: Level,
    /// The serial ports that there are.
    pub(super) ports: Vec<PortInfo>,
    pub(super) memories: Memories,
    pub(super) now: ZonedDateTime,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    words: &'static Words,
    lang: &'static str,
    version: &'static str,
    time: Around,
    parts: String,
}

#[derive(Template)]
#[template(path = "parts.html")]
struct Parts {
    words: &'static Words,
    problem: Option<ReportedProblem>,
    refused: Option<ReportedProblem>,
    warnings: Vec<String>,
    memory_trouble: Option<Explanation>,
    meters: Vec<Meter>,
    broker: Broker,
    ports: Vec<Port>,
    settings: Vec<SettingLine>,
    log: Vec<LogLine>,
    level: Level,
    report: String,
}

/// How things are: a colour, a sign and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Odd,
    Bad,
}

impl State {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }

    /// Each of another shape.
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Odd => "!",
            Self::Bad => "✕",
        }
    }

    fn words(self, words: &Words) -> &'static str {
        match self {
            Self::Good => words.good,
            Self::Odd => words.odd,
            Self::Bad => words.bad,
        }
    }
}

/// A sentence round a length of time, which the script keeps true.
#[derive(Debug, PartialEq, Eq)]
struct Around {
    before: String,
    /// `age` of what was, `left` of what will be.
    kind: &'static str,
    seconds: u64,
    text: String,
    after: String,
}

impl Around {
    fn age(text: &str, at: Instant, now: Instant, values: &[(&str, &str)]) -> Self {
        Self::new(text, "age", now.saturating_duration_since(at), values)
    }

    fn left(text: &str, at: Instant, now: Instant) -> Self {
        Self::new(text, "left", at.saturating_duration_since(now), &[])
    }

    fn new(text: &str, kind: &'static str, time: Duration, values: &[(&str, &str)]) -> Self {
        let Some((before, after)) = text.split_once("{time}") else {
            return Self::none(text, values);
        };
        let (before, after) = (fill(before, values), fill(after, values));
        let seconds = time.as_secs();
        Self { before, kind, seconds, text: length(seconds), after }
    }

    /// A sentence without one.
    fn none(text: &str, values: &[(&str, &str)]) -> Self {
        let before = fill(text, values);
        Self { before, kind: "at", seconds: 0, text: String::new(), after: String::new() }
    }
}

/// A length of time, as `script.js` writes it as well.
fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

struct Broker {
    state: State,
    /// A name alone where no time belongs to it.
    line: Around,
    trouble: Option<String>,
    complaint: Option<Explanation>,
    /// What Home Assistant's Supervisor says of it, where it is asked.
    supervisor: Option<&'static str>,
}

struct Meter {
    number: usize,
    title: String,
    state: State,
    line: Around,
    since: Option<Around>,
    next: Option<Around>,
    trouble: Option<Explanation>,
    /// Whether the optical head may have to be placed anew.
    misplaced: bool,
    fault: Option<String>,
    values: Vec<Value>,
    missing: Vec<(Name, String)>,
    charts: Vec<Chart>,
    quality: Vec<(&'static str, String)>,
    quality_words: Option<&'static str>,
    placement: Placing,
    scan: Scan,
    facts: Vec<(&'static str, String)>,
}

/// What a value is called: in the visitor's language where the catalogue has it.
struct Name {
    text: String,
    /// Its language where it is another one.
    lang: Option<&'static str>,
    key: String,
}

struct Value {
    name: Name,
    text: String,
    unit: Option<&'static str>,
    is_number: bool,
    age: Around,
}

impl Value {
    /// Its digits stay together, in smaller letters where there are many of them; what no tile has
    /// room for is broken as text is.
    fn class(&self) -> &'static str {
        match self.text.len() {
            ..=9 if self.is_number => "",
            ..=12 if self.is_number => " long",
            _ => " text",
        }
    }
}

/// The placement aid.
struct Placing {
    running: bool,
    class: &'static str,
    sign: &'static str,
    words: &'static str,
    count: Option<String>,
    heard: Option<String>,
    trouble: Option<Explanation>,
}

struct Scan {
    running: bool,
    asked: usize,
    of: usize,
    words: Option<String>,
    found: Vec<Finding>,
    parameters: Option<String>,
    trouble: Option<Explanation>,
}

struct Finding {
    register: String,
    name: Name,
    text: String,
}

struct Port {
    path: String,
    by_id: Option<String>,
    state: State,
    uses: Vec<String>,
}

/// The page as it is now.
pub(super) fn render(board: &Board, look: Look) -> askama::Result<String> {
    let language = look.language;
    let words = language.words();
    let time = look.now.strftime("%H:%M:%S").to_string();
    let (before, after) = words.not_live.split_once("{time}").unwrap_or((words.not_live, ""));
    let (before, after) = (before.to_owned(), after.to_owned());
    let time = Around { before, kind: "at", seconds: 0, text: time, after };
    let parts = parts(board, look)?;
    Page { words, lang: language.tag(), version: VERSION, time, parts }.render()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What of the page changes.
pub(super) fn parts(board: &Board, look: Look) -> askama::Result<String> {
    let now = Instant::now();
    let Look { language, level, ports, memories, now: wall } = look;
    let words = language.words();
    let setup = board.setup();
    let meters = board.meters();
    let report = report(&meters, &setup);
    let mut shown = Vec::with_capacity(meters.len());
    for state in meters {
        let memory = memories.iter().find(|(number, _)| *number == state.number);
        let memory = memory.map(|(_, memory)| memory);
        shown.push(meter(state, memory, language, now, &wall));
    }
    let broker = broker(&board.broker().borrow(), &setup, words, now);
    let ports = ports.into_iter().map(|info| port(info, words)).collect();
    let log = board.log().of(level);
    let Setup { problem, refused, warnings, settings, history, .. } = setup;
    Parts {
        words,
        problem,
        refused,
        warnings,
        memory_trouble: history,
        meters: shown,
        broker,
        ports,
        settings,
        log,
        level,
        report,
    }
    .render()
}

/// The head of a bug report: what the program is and what it was told. The script adds the log.
fn report(meters: &[MeterState], setup: &Setup) -> String {
    let mut lines = vec![format!("kamstrup2mqtt {VERSION}")];
    for meter in meters {
        let model = meter.model.as_deref().unwrap_or("model not known");
        lines.push(format!("{}: {model}, at {}", meter.title, meter.port));
        let LineQuality { polls, failed, retries, bad_checksums, .. } = meter.line;
        lines.push(format!(
            "  today {polls} polls, {failed} failed, {retries} retries, {bad_checksums} bad checksums"
        ));
        if let Some(Explanation { words, .. }) =
            meter.last.as_ref().and_then(|last| last.trouble.as_ref())
        {
            lines.push(format!("  {words}"));
        }
    }
    for problem in setup.problem.iter().chain(&setup.refused) {
        lines.push(problem.words.clone());
        lines.extend(problem.details.iter().map(|detail| format!("  {detail}")));
    }
    for SettingLine { key, value, origin } in &setup.settings {
        lines.push(format!("{key}: {value} ({origin})"));
    }
    lines.join("\n")
}

fn broker(state: &BrokerState, setup: &Setup, words: &Words, now: Instant) -> Broker {
    let plain = |text: &str, name: &str| Around::none(text, &[("name", name)]);
    let mut trouble = None;
    let (state, line) = match state {
        BrokerState::Unknown => (State::Odd, plain(words.broker_unknown, "")),
        BrokerState::Connecting { name } => (State::Odd, plain(words.broker_connecting, name)),
        BrokerState::Connected { name, since } => {
            (State::Good, Around::age(words.broker_connected, *since, now, &[("name", name)]))
        }
        BrokerState::Down { name, since, advice, made_by } => {
            trouble = Some(advice.words(*made_by));
            (State::Bad, Around::age(words.broker_down, *since, now, &[("name", name)]))
        }
    };
    let supervisor = match setup.supervisor {
        SupervisorState::NotAsked => None,
        SupervisorState::Asked => Some(words.supervisor_asked),
        SupervisorState::Answered => Some(words.supervisor_answered),
    };
    Broker { state, line, trouble, complaint: setup.broker.clone(), supervisor }
}

fn port(info: PortInfo, words: &Words) -> Port {
    let PortInfo { path, by_id, used_by, busy } = info;
    let mut uses: Vec<String> =
        used_by.iter().map(|meter| fill(words.port_of, &[("meter", meter)])).collect();
    if busy {
        uses.push(words.port_busy.to_owned());
    }
    let state = if busy { State::Odd } else { State::Good };
    if uses.is_empty() {
        uses.push(words.port_free.to_owned());
    }
    let shown = |path: std::path::PathBuf| path.display().to_string();
    Port { path: shown(path), by_id: by_id.map(shown), state, uses }
}

fn meter(
    state: MeterState,
    memory: Option<&Memory>,
    language: Language,
    now: Instant,
    wall: &ZonedDateTime,
) -> Meter {
    let words = language.words();
    let MeterState { number, title, port, interval, model, serial, last, since, next_poll, .. } =
        state;
    let MeterState { values, missing, fault, line, placement, scan, port_opens, .. } = state;
    let answered = last.as_ref().is_none_or(|last| last.answered);
    let (state, sentence, trouble) = match last {
        None => (State::Odd, Around::none(words.first, &[]), None),
        Some(LastPoll { at, answered, trouble }) => {
            let (state, text) = match (answered, trouble.is_some()) {
                (true, false) => (State::Good, words.answers),
                (true, true) => (State::Odd, words.answers_in_part),
                (false, _) => (State::Bad, words.silent),
            };
            (state, Around::age(text, at, now, &[]), trouble)
        }
    };
    let is_faulty = fault.is_some() || !missing.is_empty();
    let state = if state == State::Good && is_faulty { State::Odd } else { state };
    let since_words = if answered { words.since_good } else { words.since_bad };
    let since = since.map(|since| Around::age(since_words, since, now, &[]));
    let next = next_poll.map(|next| {
        if next > now {
            Around::left(words.next_read, next, now)
        } else {
            Around::none(words.reads_now, &[])
        }
    });
    let fault = fault.map(|fault| fill(words.reports, &[("fault", &fault)]));
    let values = values.into_iter().map(|state| value(state, language, now)).collect();
    let missing = missing.into_iter().map(|(key, why)| (Name::new(&key, words), why)).collect();
    let charts = memory.map(|memory| charts(number, memory, language, interval, wall));
    let charts = charts.unwrap_or_default();
    let line = line.on(wall.date());
    let facts = [(words.model, model), (words.serial, serial)];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some((name, fact?)));
    let facts = facts.chain([(words.port, port), (words.interval, length(interval.as_secs()))]);
    Meter {
        number,
        title,
        state,
        line: sentence,
        since,
        next,
        misplaced: port_opens && trouble.is_some(),
        trouble,
        fault,
        values,
        missing,
        charts,
        quality: quality(&line, language),
        quality_words: judge(&line, words),
        placement: placing(placement, words),
        scan: scanned(scan, language),
        facts: facts.collect(),
    }
}

impl Name {
    fn new(key: &str, words: &Words) -> Self {
        let lower = key.to_ascii_lowercase();
        // Beside the plain register, whose name it would share.
        if let Some(of) = finer(&lower, words) {
            let text = fill(words.high_resolution, &[("name", of)]);
            return Self { text, lang: None, key: key.to_owned() };
        }
        let text = match lower.as_str() {
            "energy" => words.energy,
            "energy3" => words.cooling,
            "volume" => words.volume,
            "power" => words.power,
            "flow" => words.flow,
            "temp1" => words.supply,
            "temp2" => words.back,
            "tempdiff" => words.difference,
            "hourcounter" => words.hours,
            "infocode" => words.info_code,
            "maxpower_m" => words.highest_power_month,
            "maxpower_y" => words.highest_power_year,
            "maxflow_m" => words.highest_flow_month,
            "maxflow_y" => words.highest_flow_year,
            "water_temp" => words.water_temperature,
            "meter_temp" => words.meter_temperature,
            _ => "",
        };
        let (text, lang) = match (text, Register::by_key(key)) {
            ("", Some(register)) => (register.label, Some("en")),
            ("", None) => (key, None),
            (text, _) => (text, None),
        };
        Self { text: text.to_owned(), lang, key: key.to_owned() }
    }
}

/// What a register counts with more digits than another.
fn finer(key: &str, words: &Words) -> Option<&'static str> {
    match key {
        "e1highres" | "highresenergy" => Some(words.energy),
        "e3highres" => Some(words.cooling),
        "volumehighres" | "highresvolume" | "volume_extradigit" => Some(words.volume),
        _ => None,
    }
}

fn value(state: ValueState, language: Language, now: Instant) -> Value {
    let ValueState { name, text, unit, is_number, at } = state;
    let words = language.words();
    let text = if is_number { language.number(&text) } else { text };
    let (name, age) = (Name::new(&name, words), Around::age(words.ago, at, now, &[]));
    Value { name, text, unit, is_number, age }
}

/// The curves and bars of what is remembered.
fn charts(
    number: usize,
    memory: &Memory,
    language: Language,
    interval: Duration,
    wall: &ZonedDateTime,
) -> Vec<Chart> {
    let words = language.words();
    let window = Window::before(wall);
    // Two polls may fail before it is a gap; and of many readings only some are drawn.
    let gap = interval.saturating_mul(3).max(Duration::from_secs(15 * 60));
    let heading = |what: &str, title: String, unit: String| {
        let id = format!("{what}-{number}");
        Heading { id, title, unit, language }
    };
    let Memory { power, flow, supply, back, counter } = memory;
    let single = |what: &str, name: &'static str, curve: &Option<Curve>| {
        let Curve { unit, points } = curve.as_ref()?;
        let title = fill(words.last_day, &[("name", name)]);
        let series = [Series { name, points }];
        chart::curves(heading(what, title, unit.clone()), &series, true, &window, gap)
    };
    let unit = supply.as_ref().or(back.as_ref()).map(|curve| curve.unit.clone());
    let both = [(words.supply_short, supply), (words.back_short, back)];
    let both: Vec<_> = both
        .into_iter()
        .filter_map(|(name, curve)| Some(Series { name, points: &curve.as_ref()?.points }))
        .filter(|series| !series.points.is_empty())
        .collect();
    let temperatures = unit.and_then(|unit| {
        let title = fill(words.last_day, &[("name", words.temperatures)]);
        chart::curves(heading("temperatures", title, unit), &both, false, &window, gap)
    });
    let used = |what: &str, title: &str, each: Each| {
        let Counter { parameter, unit, hours, days } = counter.as_ref()?;
        // There is only one counter here.
        let plain = finer(&parameter.to_ascii_lowercase(), words).map(str::to_owned);
        let name = plain.unwrap_or_else(|| Name::new(parameter, words).text);
        let heading = heading(what, fill(title, &[("name", &name)]), unit.clone());
        let used = match each {
            Each::Hour => hours,
            Each::Day => days,
        };
        chart::bars(heading, (&name, used), each, wall.time_zone().clone())
    };
    [
        single("power", words.power, power),
        single("flow", words.flow, flow),
        temperatures,
        used("hours", words.per_hour, Each::Hour),
        used("days", words.per_day, Each::Day),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn quality(line: &LineQuality, language: Language) -> Vec<(&'static str, String)> {
    let words = language.words();
    let LineQuality { polls, failed, retries, bad_checksums, .. } = line;
    let LineQuality { bytes_sent, bytes_received, awake, .. } = line;
    vec![
        (words.polls, polls.to_string()),
        (words.polls_failed, failed.to_string()),
        (words.retries, retries.to_string()),
        (words.bad_checksums, bad_checksums.to_string()),
        (words.bytes_sent, bytes_sent.to_string()),
        (words.bytes_received, bytes_received.to_string()),
        (words.awake, length(awake.as_secs())),
    ]
}

/// What today's figures mean; nothing where there are few.
fn judge(line: &LineQuality, words: &Words) -> Option<&'static str> {
    let LineQuality { polls, failed, retries, bad_checksums, .. } = *line;
    if polls < FEW {
        return None;
    }
    let odd = failed.max(retries).max(bad_checksums);
    let is_bad = odd.saturating_mul(100) > polls.saturating_mul(NOISY);
    Some(if is_bad { words.line_bad } else { words.line_good })
}

fn placing(placement: Option<Placement>, words: &'static Words) -> Placing {
    let Placement { running, asked, hits, hit, heard, left, trouble } =
        placement.unwrap_or_default();
    let (class, sign, said) = match hit {
        _ if !running => ("over", "", ""),
        None => ("waits", "…", words.placement_waits),
        Some(true) => ("hit", "✓", words.hit),
        Some(false) => ("miss", "✕", words.miss),
    };
    let text = if running { words.hits_of } else { words.placement_ended };
    let numbers = [hits.to_string(), asked.to_string(), left.as_secs().to_string()];
    let [hits, all, left] = &numbers;
    let count = fill(text, &[("hits", hits), ("asked", all), ("left", left)]);
    let count = (running || asked > 0).then_some(count);
    let heard = heard.filter(|_| running && hit == Some(false)).map(|heard| heard.to_string());
    Placing { running, class, sign, words: said, count, heard, trouble }
}

fn scanned(scan: Option<ScanState>, language: Language) -> Scan {
    let words = language.words();
    let Some(scan) = scan else {
        let (words, found) = (None, Vec::new());
        let (parameters, trouble) = (None, None);
        return Scan { running: false, asked: 0, of: 0, words, found, parameters, trouble };
    };
    let ScanState { running, asked, of, found, parameters, trouble, .. } = scan;
    let numbers = [asked.to_string(), of.to_string(), found.len().to_string()];
    let [asked_text, of_text, found_text] = &numbers;
    let progress = [("asked", &**asked_text), ("of", of_text), ("found", found_text)];
    let progress = Some(fill(words.scan_progress, &progress));
    let finding = |found: Found| {
        let Found { register, name, text, unit, .. } = found;
        let text = text.map(|text| match unit {
            Some(unit) => format!("{} {unit}", language.number(&text)),
            None => text,
        });
        let (register, name) = (register.to_string(), Name::new(&name, words));
        Finding { register, name, text: text.unwrap_or_else(|| "–".to_owned()) }
    };
    let found = found.into_iter().map(finding).collect();
    Scan { running, asked, of, words: progress, found, parameters, trouble }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kmp::register::RegisterId;
    use rust_decimal::Decimal;
    use tokio::time::advance;

    use super::*;
    use crate::advice::{Advice, MadeBy};
    use history::{Consumption, Point};
    use meter::client::NoAnswer;

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

    fn look(language: Language) -> Look {
        let now = "2026-11-24T09:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
        Look {
            language,
            level: Level::TRACE,
            ports: Vec::new(),
            memories: Memories::default(),
            now,
        }
    }

    fn shown(board: &Board, language: Language) -> String {
        render(board, look(language)).unwrap()
    }

    fn section(page: &str, id: &str) -> String {
        let start = page.find(&format!("<section id=\"{id}\"")).unwrap();
        let section = &page[start..];
        section[..section.find("</section>").unwrap()].to_owned()
    }

    fn house() -> Board {
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
        board
    }

    async fn lived_in() -> Board {
        let board = house();
        advance(Duration::from_secs(7200)).await;
        board.meter(1, |meter| {
            meter.values = vec![value("energy", "81947", Some("kWh"))];
            let trouble = complaint("The meter is silent: no answer", "Press a key.");
            meter.last =
                Some(LastPoll { at: Instant::now(), answered: false, trouble: Some(trouble) });
            meter.port_opens = true;
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
    async fn how_it_goes() {
        let board = lived_in().await;
        insta::assert_snapshot!(shown(&board, Language::English));
    }

    #[test]
    fn no_two_values_of_a_meter_share_a_name() {
        let name = |key: &str| Name::new(key, Language::German.words()).text;
        assert_eq!(name("energy"), "Energie");
        assert_eq!(name("E1HighRes"), "Energie, hohe Auflösung");
        assert_eq!(name("e3highres"), "Kälteenergie, hohe Auflösung");
        assert_eq!(name("volumehighres"), "Volumen, hohe Auflösung");
    }

    #[test]
    fn digits_stay_together() {
        let class = |text: &str| {
            let state = value("energy", text, Some("kWh"));
            super::value(state, Language::Dutch, Instant::now()).class()
        };
        assert_eq!(class("81947.612"), "");
        assert_eq!(class("281947.612"), " long");
        assert_eq!(class("123456789012"), " long");
        assert_eq!(class("1234567890123"), " text");
        assert_eq!(class("on"), " text");
    }

    /// Where the port cannot be opened it is not the head.
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
        board.meter(1, |meter| meter.port_opens = false);
        assert!(!is_offered(1));
    }

    #[tokio::test(start_paused = true)]
    async fn how_it_goes_in_german() {
        let board = lived_in().await;
        let page = shown(&board, Language::German);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"de\">"), "{page}");
        insta::assert_snapshot!(section(&page, "meter-0"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong() {
        let board = Board::default();
        let problem = |words: &str| ReportedProblem {
            words: words.to_owned(),
            details: texts(&["`port`: found `COM3`"]),
            hint: "Mend it.".to_owned(),
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
    async fn setting_up() {
        let board = house();
        board.set_up(|setup| {
            setup.settings = vec![SettingLine {
                key: "mqtt.password".to_owned(),
                value: "***".to_owned(),
                origin: "kamstrup.yaml, line 3".to_owned(),
            }];
        });
        for (level, text) in [(Level::INFO, "Read."), (Level::WARN, "Odd."), (Level::ERROR, "Bad.")]
        {
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
            port(
                "/dev/ttyUSB0",
                Some("/dev/serial/by-id/usb-FTDI_A-if00-port0"),
                &["house"],
                false,
            ),
            port("/dev/ttyUSB1", None, &[], false),
            port("/dev/ttyUSB2", None, &["barn"], true),
        ];
        let page = render(&board, look).unwrap();
        let both = [section(&page, "setup"), section(&page, "log")];
        insta::assert_snapshot!(both.join("\n=====\n"));
    }

    /// What is drawn has the meter's number in its name, and each of the five charts is there.
    #[tokio::test(start_paused = true)]
    async fn charts_of_what_is_remembered() {
        let board = house();
        let mut look = look(Language::Dutch);
        let point = |time: &str, value: &str| Point {
            time: time.parse().unwrap(),
            value: value.parse().unwrap(),
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
            Some(Counter { parameter, unit, hours: vec![bar], days: vec![bar] })
        };
        let memory = Memory {
            power: read("W", ["4000", "4100"]),
            flow: read("m³/h", ["0.12", "0.13"]),
            supply: read("°C", ["64.2", "65"]),
            back: read("°C", ["31.8", "31.9"]),
            counter: counter("e1highres", "kWh"),
        };
        let water = Memory { counter: counter("volume", "m³"), ..Memory::default() };
        look.memories = Memories::new(vec![(1, memory), (2, water)]);
        let page = render(&board, look).unwrap();
        assert_eq!(page.matches("<svg class=\"chart\"").count(), 7);
        assert_eq!(page.matches("Hier komen grafieken").count(), 1);
        let water = section(&page, "meter-2");
        for words in ["Volume per uur", "Volume per dag", "Volume (m³)"] {
            assert!(water.contains(words), "{words}");
        }
        let section = section(&page, "meter-1");
        for id in ["power-1", "flow-1", "temperatures-1", "hours-1", "days-1"] {
            assert!(section.contains(&format!("<figure id=\"{id}\">")), "{id}");
        }
        let start = section.find("<figure id=\"temperatures-1\"").unwrap();
        insta::assert_snapshot!(section[start..section.find("<figure id=\"days-1\"").unwrap()]);
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
    fn a_time_stands_where_the_language_has_it() {
        let parts = |text: &str| {
            let around = Around::new(text, "age", Duration::from_secs(5), &[("name", "{time}")]);
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

    /// What ends with a question has its own mark.
    #[tokio::test(start_paused = true)]
    async fn a_question_has_no_full_stop() {
        let question = |what: &str| format!("{what} is not known; did you mean another?");
        let problem = |what: &str| ReportedProblem {
            words: question(what),
            details: vec![question(&format!("part of {what}")), "The rest".to_owned()],
            hint: "Mend it.".to_owned(),
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
    }

    /// Whatever a meter, a broker or a form says is text.
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
        // The frame has one of its own, twice.
        assert_eq!(page.matches("<script").count(), 2, "{page}");
        assert!(page.matches("&#60;script&#62;").count() > 50, "{page}");
        // Home Assistant shows the page under a path that it does not know.
        let addresses = ["href=\"/", "src=\"/", "action=\"/", "//"];
        assert!(!addresses.iter().any(|address| page.contains(address)), "{page}");
        // Nothing that the policy would not let through.
        assert!(!page.contains(" style=") && !page.contains("<style"), "{page}");
        let is_handler = |rest: &str| {
            let name = rest.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase()))
        };
        assert!(!page.split(" on").skip(1).any(is_handler), "{page}");
    }
}
