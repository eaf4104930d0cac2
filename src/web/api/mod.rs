//! The state as JSON, for programs. `openapi.json` describes it, and a test checks that.
//!
//! Numbers have the meter's digits.

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{Timestamp, ZonedDateTime};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use super::now::Now;
use crate::filling::{FilledLine, Filling, FillingJob, Progress, Work};
use crate::payload::exact;
use crate::status::{
    Board, BrokerState, Doubt, Found, HeadSearch, LastPoll, LineQuality, MeterState, Placement,
    PortInfo, ReportedProblem, ScanState,
};
use crate::usage::{Ledger, Settings, Total, projected};
use meter::find::{Candidate, Plan};
use meter::poll::Explanation;

/// The `OpenAPI` 3.1 description of all responses.
pub(super) const DESCRIPTION: &str = include_str!("../openapi.json");

#[derive(Serialize)]
struct StateJson {
    version: &'static str,
    time: String,
    started: String,
    broker: BrokerJson,
    settings: SettingsJson,
    meters: Vec<MeterJson>,
    ports: Vec<PortJson>,
    search: Option<SearchJson>,
    statistics: Option<StatisticsJson>,
}

/// The search for the optical head.
#[derive(Serialize)]
struct SearchJson {
    running: bool,
    ended: bool,
    ports: Vec<SearchedPortJson>,
}

/// The gaps in Home Assistant's statistics.
#[derive(Serialize)]
struct StatisticsJson {
    /// The last work, if there was one.
    job: Option<FillingJson>,
}

#[derive(Serialize)]
struct FillingJson {
    work: &'static str,
    state: &'static str,
    at: Option<usize>,
    of: Option<usize>,
    trouble: Option<String>,
    gaps: Vec<GapJson>,
    more_gaps: usize,
    remarks: Vec<String>,
    more_remarks: usize,
}

#[derive(Serialize)]
struct GapJson {
    entity_id: String,
    hours: usize,
    from: String,
    to: String,
    sum_from: Option<Box<RawValue>>,
    sum_to: Option<Box<RawValue>>,
    unit: Option<String>,
}

#[derive(Serialize)]
struct SearchedPortJson {
    port: String,
    path: String,
    device: Option<String>,
    left_out: Option<String>,
    result: Option<&'static str>,
    words: Option<String>,
    serial_number: Option<String>,
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
    /// Whether it answered the last poll; `None` before the first one.
    answers: Option<bool>,
    since: Option<String>,
    last_poll: Option<String>,
    next_poll: Option<String>,
    trouble: Option<ExplanationJson>,
    fault: Option<String>,
    values: BTreeMap<String, ValueJson>,
    missing: BTreeMap<String, String>,
    line: LineJson,
    battery: BatteryJson,
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

/// What the polls have cost.
#[derive(Serialize)]
struct BatteryJson {
    today: UsageJson,
    last_30_days: UsageJson,
    survives_restart: bool,
    replaced_another: bool,
    per_day: Vec<PerDayJson>,
}

#[derive(Serialize)]
struct UsageJson {
    /// `None` if it is of the whole time.
    since: Option<String>,
    polls: u64,
    bytes_sent: u64,
    bytes_received: u64,
    awake_seconds: u64,
}

/// What a day would cost with this interval.
#[derive(Serialize)]
struct PerDayJson {
    interval_seconds: u64,
    bytes: u64,
    awake_seconds: u64,
    is_at_most: bool,
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

/// The current state.
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
        search: board.head().map(search),
        statistics: statistics(board.filling_now(), now),
    };
    serde_json::to_string(&state)
}

fn port(port: PortInfo) -> PortJson {
    let PortInfo { path, by_id, used_by, busy } = port;
    let by_id = by_id.map(|name| name.display().to_string());
    PortJson { path: path.display().to_string(), by_id, used_by, busy }
}

fn statistics(filling: Filling, now: &Now) -> Option<StatisticsJson> {
    let Filling { offered, job } = filling;
    offered.then(|| StatisticsJson { job: job.map(|job| work(job, now)) })
}

fn work(job: FillingJob, now: &Now) -> FillingJson {
    let FillingJob { work, progress, lines, more, remarks, more_remarks } = job;
    let (mut at, mut of, mut trouble) = (None, None, None);
    let state = match progress {
        Progress::Waiting => "waiting",
        Progress::At(number, count) => {
            (at, of) = (Some(number), Some(count));
            "running"
        }
        Progress::Done => "done",
        Progress::Stopped => "stopped",
        Progress::Failed(reason) => {
            trouble = Some(reason);
            "failed"
        }
    };
    let work = match work {
        Work::Look => "look",
        Work::Fill => "fill",
        Work::Undo => "undo",
    };
    let time = |at: Timestamp| {
        at.to_zoned_datetime(now.wall.time_zone().clone())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
    };
    let gap = |line: FilledLine| {
        let FilledLine { entity_id, hours, first, last, sums } = line;
        let (sum_from, sum_to, unit) = sums.map_or((None, None, None), |(first, last, unit)| {
            let number = |sum: Decimal| exact(&sum.to_string(), true);
            (number(first), number(last), Some(unit))
        });
        GapJson { entity_id, hours, from: time(first), to: time(last), sum_from, sum_to, unit }
    };
    let gaps = lines.into_iter().map(gap).collect();
    FillingJson { work, state, at, of, trouble, gaps, more_gaps: more, remarks, more_remarks }
}

fn search(search: HeadSearch) -> SearchJson {
    let HeadSearch { listed, running, ended, found, stopped: _, asking: _ } = search;
    let port = |Candidate { port, usb, plan }: Candidate| {
        let searched = found.iter().find(|searched| searched.port == port);
        let found = searched.map(|searched| &searched.found);
        let serial_number = found.and_then(meter::find::Found::serial_number);
        let name = port.best_name();
        SearchedPortJson {
            port: name.display().to_string(),
            path: port.path.display().to_string(),
            device: usb.map(|usb| usb.to_string()),
            left_out: match plan {
                Plan::Ask => None,
                Plan::LeaveOut(reason) => Some(reason.to_string()),
            },
            result: found.map(meter::find::Found::key),
            words: found.map(ToString::to_string),
            serial_number: serial_number.map(|serial| serial.to_string()),
        }
    };
    SearchJson { running, ended, ports: listed.into_iter().map(port).collect() }
}

fn broker(state: &BrokerState, now: &Now) -> BrokerJson {
    let (state, name, since, trouble) = match state {
        BrokerState::Unknown => ("unknown", None, None, None),
        BrokerState::Connecting { name } => ("connecting", Some(name), None, None),
        BrokerState::Connected { name, since, doubt } => {
            ("connected", Some(name), Some(*since), doubt.as_ref().map(Doubt::words))
        }
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
    let MeterState { number, label, port, interval, model, serial, .. } = state;
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
        title: label,
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
        battery: battery(&state.ledger, &state.settings, &now.wall),
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

fn battery(ledger: &Ledger, settings: &Settings, wall: &ZonedDateTime) -> BatteryJson {
    let total = |Total { usage, since }: Total| UsageJson {
        since: since.map(|since| {
            let since = since.to_zoned_datetime(wall.time_zone().clone());
            since.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }),
        polls: usage.polls,
        bytes_sent: usage.sent,
        bytes_received: usage.received,
        awake_seconds: whole_seconds(usage.awake),
    };
    let per_day = projected(ledger, settings).into_iter().map(|day| PerDayJson {
        interval_seconds: day.interval.as_secs(),
        bytes: day.bytes,
        awake_seconds: whole_seconds(day.awake),
        is_at_most: day.is_at_most,
    });
    BatteryJson {
        today: total(ledger.today(wall.date())),
        last_30_days: total(ledger.month(wall.date())),
        survives_restart: ledger.is_kept,
        replaced_another: ledger.has_predecessor,
        per_day: per_day.collect(),
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

/// Whether values flow from each meter to the broker. If not, one line for each reason.
pub(super) fn ready(board: &Board) -> Result<(), String> {
    let setup = board.setup();
    let mut wrong: Vec<String> = setup.problem.map(|problem| problem.words).into_iter().collect();
    match &*board.broker().borrow() {
        BrokerState::Connected { .. } => {}
        BrokerState::Unknown => wrong.push("The broker is not yet known.".to_owned()),
        BrokerState::Connecting { name } => wrong.push(format!("Connecting to {name}.")),
        BrokerState::Down { name, advice, made_by, .. } => {
            wrong.push(format!("No connection to {name}: {}", advice.words(*made_by)));
        }
    }
    let meters = board.meters();
    if meters.is_empty() {
        wrong.push("No meter is being read.".to_owned());
    }
    for MeterState { label, last, .. } in meters {
        match last {
            None => wrong.push(format!("{label} has not been read yet.")),
            Some(LastPoll { answered: false, trouble, .. }) => {
                let words = trouble.map(|trouble| format!(": {}", trouble.words));
                wrong.push(format!("{label} does not answer{}.", words.unwrap_or_default()));
            }
            Some(LastPoll { answered: true, .. }) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n") + "\n") }
}
