//! Renders the status board ([`Board`]) as HTML. The templates escape everything.
//!
//! The page consists of a frame and parts in it. The script loads the parts again when something
//! has changed.

mod battery;
mod charts;
mod head;
mod indicator;
mod meter;
pub(super) mod names;
mod overview;
mod statistics;
#[cfg(test)]
mod tests;
mod timed;

use askama::Template;
use jiff::ZonedDateTime;
use tokio::time::Instant;
use tracing::Level;

use self::charts::charts;
use self::head::{ChangedView, Head, changed, head};
pub(in crate::web) use self::head::{found_words, plan_words};
use self::indicator::Indicator;
use self::meter::{Meter, indicator, meter, short_name};
use self::overview::Overview;
use self::statistics::{Statistics, statistics};
use self::timed::TimedText;
use super::memory::{Memories, Range};
use super::paging::PageNumber;
use crate::language::{Language, Words, fill};
use crate::status::{
    Board, BrokerState, Doubt, LineQuality, LogLine, MeterState, PortInfo, ReportedProblem,
    SettingLine, Setup, SupervisorState,
};
use ::meter::poll::Explanation;

pub(super) const STYLE: &str = include_str!("../../../templates/style.css");
pub(super) const SCRIPT: &str = concat!(
    include_str!("../../../templates/script.js"),
    include_str!("../../../templates/chart.js")
);
pub(super) const ICON: &str = include_str!("../../../templates/icon.svg");
pub(super) const ICON_ODD: &str = include_str!("../../../templates/icon-odd.svg");
pub(super) const ICON_BAD: &str = include_str!("../../../templates/icon-bad.svg");

/// The visitor's wishes, and what was looked up for the request.
#[derive(Debug)]
pub(super) struct PageInput {
    pub(super) language: Language,
    /// The page shows log lines of this level and worse.
    pub(super) level: Level,
    pub(super) ports: Vec<PortInfo>,
    /// Of many meters.
    pub(super) page: PageNumber,
    pub(super) memories: Memories,
    pub(super) now: ZonedDateTime,
    /// Whether the visitor must enter the token before pressing buttons.
    pub(super) is_locked: bool,
    /// Whether the program runs in a container that its user starts.
    pub(super) in_container: bool,
    /// Writes a port for the configuration file; `None` in the app, which changes its own options.
    pub(super) port_lines: Option<fn(&str, Option<u32>) -> String>,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    words: &'static Words,
    lang: &'static str,
    version: &'static str,
    time: TimedText,
    window: Window,
    parts: String,
}

#[derive(Template)]
#[template(path = "parts.html")]
struct Parts {
    words: &'static Words,
    window: Window,
    problem: Option<ReportedProblem>,
    refused: Option<ReportedProblem>,
    warnings: Vec<String>,
    memory_trouble: Option<Explanation>,
    overview: Overview,
    meters: Vec<Meter>,
    is_locked: bool,
    broker: Broker,
    ports: Vec<Port>,
    /// What to say if there are no ports.
    no_ports: &'static str,
    /// The search for the optical head, once its ports were listed.
    head: Option<Head>,
    changed: Option<ChangedView>,
    /// The gaps in Home Assistant's statistics, if they can be filled.
    statistics: Option<Statistics>,
    /// Whether the page can change the app's options.
    is_app: bool,
    settings: Vec<SettingLine>,
    log: Vec<LogLine>,
    level: Level,
    range: Range,
    report: String,
}

/// A page that asks for the token alone. It works without the script.
#[derive(Template)]
#[template(path = "token.html")]
struct AskToken<'a> {
    words: &'static Words,
    lang: &'static str,
    /// The path from the request to the page.
    base: &'a str,
    action: &'a str,
    said: &'a str,
}

/// The title and the icon of the browser's window, which show trouble from another tab.
#[derive(Clone)]
struct Window {
    title: String,
    icon: &'static str,
}

struct Broker {
    state: Indicator,
    /// Without a time if there is none.
    line: TimedText,
    trouble: Option<String>,
    complaint: Option<Explanation>,
    /// The answer of Home Assistant's Supervisor, if it was asked.
    supervisor: Option<&'static str>,
}

struct Port {
    path: String,
    by_id: Option<String>,
    state: Indicator,
    uses: Vec<String>,
}

/// The whole page.
pub(super) fn render(board: &Board, input: PageInput) -> askama::Result<String> {
    let language = input.language;
    let words = language.words();
    let time = input.now.strftime("%H:%M:%S").to_string();
    let (before, after) = words.not_live.split_once("{time}").unwrap_or((words.not_live, ""));
    let (before, after) = (before.to_owned(), after.to_owned());
    let time = TimedText { before, kind: "at", seconds: 0, text: time, after };
    let parts = current(board, input);
    let (window, parts) = (parts.window.clone(), parts.render()?);
    Page { words, lang: language.tag(), version: VERSION, time, window, parts }.render()
}

/// The page that asks for the token, in answer to a request whose path is so far below the page.
pub(super) fn ask_token(language: Language, base: &str, said: &str) -> askama::Result<String> {
    let (words, lang) = (language.words(), language.tag());
    AskToken { words, lang, base, action: &format!("{base}token"), said }.render()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The parts of the page that change.
pub(super) fn parts(board: &Board, input: PageInput) -> askama::Result<String> {
    current(board, input).render()
}

fn current(board: &Board, input: PageInput) -> Parts {
    let now = Instant::now();
    let PageInput { language, level, ports, page, memories, now: wall, .. } = input;
    let (is_locked, port_lines) = (input.is_locked, input.port_lines);
    let words = language.words();
    let mut setup = board.setup();
    let meters = board.meters();
    let names: Vec<_> =
        meters.iter().map(|state| (state.title.clone(), short_name(state))).collect();
    let is_served = |state: &MeterState| ::meter::transport::PortKind::of(&state.port).is_remote();
    let needs_none = !meters.is_empty() && meters.iter().all(is_served);
    let no_ports = match (needs_none, input.in_container) {
        (true, _) => words.ports_none_needed,
        (false, true) => words.ports_none_container,
        (false, false) => words.ports_none,
    };
    let states: Vec<_> = meters.iter().map(indicator).collect();
    let overview = Overview::new(&meters, page, words);
    let places = page.places(meters.len());
    let own: Vec<_> = meters.into_iter().take(places.end).skip(places.start).collect();
    if overview.pages.is_some() {
        setup.settings.retain(|line| is_of(line, &own));
    }
    let report = report(&own, &setup);
    let mut shown = Vec::with_capacity(own.len());
    for state in own {
        let charts = charts(&state, &memories, language, &wall);
        shown.push(meter(state, charts, language, now, &wall));
    }
    let broker = broker(&board.broker().borrow(), &setup, words, now);
    let ports = ports.into_iter().map(|info| port(info, &names, words)).collect();
    let head = board.head().map(|search| head(search, &names, port_lines, words));
    let changed = board.last_change().map(|change| changed(change, words));
    let statistics = statistics(board.filling_now(), words, &wall);
    let log = board.log().of(level);
    let Setup { problem, refused, warnings, settings, history, .. } = setup;
    let is_odd = refused.is_some() || !warnings.is_empty() || history.is_some();
    let settings_state = match (&problem, is_odd) {
        (Some(_), _) => Indicator::Bad,
        (None, true) => Indicator::Odd,
        (None, false) => Indicator::Good,
    };
    let worst = states.into_iter().chain([broker.state]).fold(settings_state, Indicator::max);
    Parts {
        words,
        window: Window { title: worst.title(words), icon: worst.icon() },
        problem,
        refused,
        warnings,
        memory_trouble: history,
        overview,
        meters: shown,
        is_locked,
        broker,
        ports,
        no_ports,
        head,
        changed,
        is_app: port_lines.is_none(),
        statistics,
        settings,
        log,
        level,
        range: memories.range,
        report,
    }
}

/// Whether a setting is that of one of these meters, or of no single meter.
fn is_of(line: &SettingLine, meters: &[MeterState]) -> bool {
    line.meter().is_none_or(|name| {
        meters.iter().any(|meter| match &meter.key {
            Some(key) => key.name() == name,
            // It was not polled yet. Its title is made from its name, unless another one is set.
            None => meter.title.ends_with(name),
        })
    })
}

/// The head of a bug report: the version, the meters of the page and the settings. The script adds
/// the log.
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
    // If Home Assistant has no broker, waiting does not help.
    let starting = if setup.broker.is_some() { Indicator::Bad } else { Indicator::Starting };
    let (state, line) = match state {
        BrokerState::Unknown => (starting, plain(words.broker_unknown, "")),
        BrokerState::Connecting { name } => (starting, plain(words.broker_connecting, name)),
        BrokerState::Connected { name, since, doubt } => {
            trouble = doubt.as_ref().map(Doubt::words);
            let state = if doubt.is_some() { Indicator::Odd } else { Indicator::Good };
            (state, TimedText::age(words.broker_connected, *since, now, &[("name", name)]))
        }
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

/// `names` has the short name of each meter's title.
fn port(info: PortInfo, names: &[(String, String)], words: &Words) -> Port {
    let PortInfo { path, by_id, used_by, busy } = info;
    let of_meter = |title: &String| {
        let meter = names.iter().find(|(known, _)| known == title);
        fill(words.port_of, &[("meter", meter.map_or(title, |(_, short)| short))])
    };
    let mut uses: Vec<String> = used_by.iter().map(of_meter).collect();
    if busy {
        uses.push(words.port_busy.to_owned());
    }
    let state = if busy { Indicator::Odd } else { Indicator::Good };
    if uses.is_empty() {
        // Programs in other containers and those of other users are not seen.
        uses.push(words.port_unused.to_owned());
    }
    let shown = |path: std::path::PathBuf| path.display().to_string();
    Port { path: shown(path), by_id: by_id.map(shown), state, uses }
}
