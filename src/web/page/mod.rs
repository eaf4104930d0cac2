//! The board as HTML. Everything in it is escaped by the templates.
//!
//! The page is a frame and its parts; the script asks for the parts again when something has changed.

mod charts;
mod indicator;
mod meter;
mod names;
#[cfg(test)]
mod tests;
mod timed;

use askama::Template;
use jiff::ZonedDateTime;
use tokio::time::Instant;
use tracing::Level;

use self::indicator::Indicator;
use self::meter::{Meter, meter};
use self::timed::TimedText;
use super::language::{Language, Words, fill};
use super::memory::Memories;
use crate::status::{
    Board, BrokerState, LineQuality, LogLine, MeterState, PortInfo, ReportedProblem, SettingLine,
    Setup, SupervisorState,
};
use ::meter::poll::Explanation;

pub(super) const STYLE: &str = include_str!("../../../templates/style.css");
pub(super) const SCRIPT: &str = include_str!("../../../templates/script.js");
pub(super) const ICON: &str = include_str!("../../../templates/icon.svg");

/// What a visitor wants to see, and what is looked up when he asks.
#[derive(Debug)]
pub(super) struct PageInput {
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
    time: TimedText,
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

struct Broker {
    state: Indicator,
    /// A name alone where no time belongs to it.
    line: TimedText,
    trouble: Option<String>,
    complaint: Option<Explanation>,
    /// What Home Assistant's Supervisor says of it, where it is asked.
    supervisor: Option<&'static str>,
}

struct Port {
    path: String,
    by_id: Option<String>,
    state: Indicator,
    uses: Vec<String>,
}

/// The page as it is now.
pub(super) fn render(board: &Board, input: PageInput) -> askama::Result<String> {
    let language = input.language;
    let words = language.words();
    let time = input.now.strftime("%H:%M:%S").to_string();
    let (before, after) = words.not_live.split_once("{time}").unwrap_or((words.not_live, ""));
    let (before, after) = (before.to_owned(), after.to_owned());
    let time = TimedText { before, kind: "at", seconds: 0, text: time, after };
    let parts = parts(board, input)?;
    Page { words, lang: language.tag(), version: VERSION, time, parts }.render()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What of the page changes.
pub(super) fn parts(board: &Board, input: PageInput) -> askama::Result<String> {
    let now = Instant::now();
    let PageInput { language, level, ports, memories, now: wall } = input;
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
    let plain = |text: &str, name: &str| TimedText::none(text, &[("name", name)]);
    let mut trouble = None;
    let (state, line) = match state {
        BrokerState::Unknown => (Indicator::Odd, plain(words.broker_unknown, "")),
        BrokerState::Connecting { name } => (Indicator::Odd, plain(words.broker_connecting, name)),
        BrokerState::Connected { name, since } => (
            Indicator::Good,
            TimedText::age(words.broker_connected, *since, now, &[("name", name)]),
        ),
        BrokerState::Down { name, since, advice, made_by } => {
            trouble = Some(advice.words(*made_by));
            (Indicator::Bad, TimedText::age(words.broker_down, *since, now, &[("name", name)]))
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
    let state = if busy { Indicator::Odd } else { Indicator::Good };
    if uses.is_empty() {
        uses.push(words.port_free.to_owned());
    }
    let shown = |path: std::path::PathBuf| path.display().to_string();
    Port { path: shown(path), by_id: by_id.map(shown), state, uses }
}
