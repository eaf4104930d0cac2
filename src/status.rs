//! The status board ([`Board`]): the present state of meters, broker and settings. The page and the
//! Supervisor's client read it.
//!
//! Code that changes the board never waits for code that reads it. Nothing is rendered until
//! somebody reads the board.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use kmp::register::RegisterId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::account::Entry;
use crate::advice::{Advice, MadeBy};
use crate::filling::Filling;
use crate::options_change::Changed;
use crate::units::UnitSystem;
use crate::usage;
use history::MeterKey;
pub(crate) use logging::{LogLine, LogLines};
use meter::client::{NoAnswer, Traffic};
use meter::find::{Candidate, Searched};
use meter::poll::{Explanation, MeterHandle, Suspect};

/// How many meters keep the results of a scan.
pub(crate) const SCANS: usize = 20;

/// Holds the state. Clones share it.
#[derive(Debug, Clone)]
pub struct Board {
    meters: watch::Sender<Vec<MeterState>>,
    broker: watch::Sender<BrokerState>,
    setup: watch::Sender<Setup>,
    /// How often the state has changed, without the progress of placements and scans.
    changes: watch::Sender<u64>,
    /// The search for the optical head.
    head: watch::Sender<Option<HeadSearch>>,
    /// The last change of the app's options on the page.
    changed: watch::Sender<Option<Changed>>,
    /// What visitors of the page ask to be done with Home Assistant's statistics.
    filling: watch::Sender<Filling>,
    /// Handles to ask each meter, by its number.
    handles: watch::Sender<Vec<(usize, MeterHandle)>>,
    log: LogLines,
    started: Instant,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            meters: watch::Sender::new(Vec::new()),
            broker: watch::Sender::new(BrokerState::Unknown),
            setup: watch::Sender::new(Setup::default()),
            changes: watch::Sender::new(0),
            head: watch::Sender::new(None),
            changed: watch::Sender::new(None),
            filling: watch::Sender::new(Filling::default()),
            handles: watch::Sender::new(Vec::new()),
            log: LogLines::default(),
            started: Instant::now(),
        }
    }
}

impl Board {
    /// Sets the list of meters, each with its number. The state of a meter is kept if there was one
    /// with the same name at the same port.
    pub fn set_meters(&self, meters: Vec<(usize, MeterState)>) {
        self.meters.send_modify(|known| {
            let numbered = |(number, meter)| MeterState { number, ..meter };
            let before = std::mem::replace(known, meters.into_iter().map(numbered).collect());
            for meter in before {
                if let Some(now) = known.iter_mut().find(|other| other.is_same_as(&meter)) {
                    let MeterState { number, title, interval, units, settings, .. } = now.clone();
                    let mut ledger = meter.ledger;
                    if !settings.cost_as_much_as(&meter.settings) {
                        Arc::make_mut(&mut ledger).forget_means();
                    }
                    *now = MeterState { number, title, interval, units, settings, ledger, ..meter };
                }
            }
        });
        self.changed();
    }

    /// Sets the handles to ask each meter, by its number.
    pub fn set_handles(&self, handles: Vec<(usize, MeterHandle)>) {
        self.handles.send_replace(handles);
    }

    /// The handle to ask the meter with this number; `None` if there is no such meter.
    #[must_use]
    pub fn handle(&self, number: usize) -> Option<MeterHandle> {
        let handles = self.handles.borrow();
        handles.iter().find(|(known, _)| *known == number).map(|(_, handle)| handle.clone())
    }

    /// Changes the state of the meter with this number.
    pub fn meter(&self, number: usize, change: impl FnOnce(&mut MeterState)) {
        self.progress(number, change);
        self.changed();
    }

    /// Changes the progress of a placement or a scan, which has events of its own.
    pub fn progress(&self, number: usize, change: impl FnOnce(&mut MeterState)) {
        self.meters.send_modify(|meters| {
            if let Some(meter) = meters.iter_mut().find(|meter| meter.number == number) {
                change(meter);
            }
        });
    }

    /// Notes that the scan of a meter has ended. The [`SCANS`] meters that were scanned last keep their
    /// results.
    pub fn scan_ended(&self, number: usize) {
        self.meters.send_modify(|meters| {
            let now = Instant::now();
            let mut ended: Vec<_> =
                meters.iter_mut().filter(|meter| meter.scan.is_some()).collect();
            for meter in &mut ended {
                if let Some(scan) = meter.scan.as_mut().filter(|_| meter.number == number) {
                    (scan.running, scan.ended) = (false, Some(now));
                }
            }
            let at = |meter: &MeterState| meter.scan.as_ref().and_then(|scan| scan.ended);
            ended.retain(|meter| at(meter).is_some());
            ended.sort_by_key(|meter| std::cmp::Reverse(at(meter)));
            for meter in ended.into_iter().skip(SCANS) {
                meter.scan = None;
            }
        });
        self.changed();
    }

    /// The state of the meters.
    #[must_use]
    pub fn meters(&self) -> Vec<MeterState> {
        let mut meters = self.meters.borrow().clone();
        let handles = self.handles.borrow();
        let handles: BTreeMap<_, _> = handles.iter().map(|(number, it)| (number, it)).collect();
        for meter in &mut meters {
            meter.next_poll = handles.get(&meter.number).and_then(|handle| handle.next());
        }
        meters
    }

    /// The state of one meter, without that of all others. Its next poll is not included.
    #[must_use]
    pub fn one_meter(&self, number: usize) -> Option<MeterState> {
        self.with_meters(|meters| meters.iter().find(|meter| meter.number == number).cloned())
    }

    /// Looks at the state of the meters, without the next polls. Unlike [`Board::meters`], this
    /// copies nothing.
    pub fn with_meters<T>(&self, look: impl FnOnce(&[MeterState]) -> T) -> T {
        look(&self.meters.borrow())
    }

    /// Each change of the meters' state, with the progress of placements and scans.
    #[must_use]
    pub fn meters_changing(&self) -> watch::Receiver<Vec<MeterState>> {
        self.meters.subscribe()
    }

    /// Each change of the state, without the progress of placements and scans.
    #[must_use]
    pub fn changing(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Sets the state of the connection to the broker.
    pub fn set_broker(&self, state: BrokerState) {
        self.broker.send_replace(state);
        self.changed();
    }

    /// Adds to a connection what is wrong with it.
    pub fn doubt_broker(&self, advice: Advice, made_by: MadeBy) {
        let is_changed = self.broker.send_if_modified(|state| match state {
            BrokerState::Connected { doubt, .. } => {
                *doubt = Some(Doubt { advice, made_by });
                true
            }
            _ => false,
        });
        if is_changed {
            self.changed();
        }
    }

    /// Removes this doubt about the connection, because it is over.
    pub fn trust_broker(&self, advice: &Advice) {
        let is_changed = self.broker.send_if_modified(|state| match state {
            BrokerState::Connected { doubt, .. } => {
                doubt.take_if(|doubt| doubt.advice == *advice).is_some()
            }
            _ => false,
        });
        if is_changed {
            self.changed();
        }
    }

    /// The state of the connection to the broker, now and later.
    #[must_use]
    pub fn broker(&self) -> watch::Receiver<BrokerState> {
        self.broker.subscribe()
    }

    /// Changes the search for the optical head.
    pub(crate) fn head_search(&self, change: impl FnOnce(&mut Option<HeadSearch>)) {
        self.head.send_modify(change);
        self.changed();
    }

    /// The search for the optical head, once its ports were listed.
    #[must_use]
    pub(crate) fn head(&self) -> Option<HeadSearch> {
        self.head.borrow().clone()
    }

    /// Sets the last change of the app's options.
    pub(crate) fn set_changed(&self, changed: Changed) {
        self.changed.send_replace(Some(changed));
        self.changed();
    }

    /// The last change of the app's options on the page.
    #[must_use]
    pub(crate) fn last_change(&self) -> Option<Changed> {
        self.changed.borrow().clone()
    }

    /// Changes what is done with Home Assistant's statistics.
    pub(crate) fn filling(&self, change: impl FnOnce(&mut Filling)) {
        self.filling.send_modify(change);
        self.changed();
    }

    /// What is done with Home Assistant's statistics.
    #[must_use]
    pub(crate) fn filling_now(&self) -> Filling {
        self.filling.borrow().clone()
    }

    /// Changes what is reported about the settings.
    pub fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        self.setup.send_modify(change);
        self.changed();
    }

    /// What is reported about the settings.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup.borrow().clone()
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log(&self) -> &LogLines {
        &self.log
    }

    /// When the program started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }
}

/// Why the values may not arrive although the broker is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What is wrong, and what to do about it.
    pub advice: Advice,
    /// Who made the settings of the broker.
    pub made_by: MadeBy,
}

impl Doubt {
    /// What is wrong, and what to do about it.
    #[must_use]
    pub fn words(&self) -> String {
        self.advice.words(self.made_by)
    }
}

/// The state of the connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerState {
    /// The broker is not known yet.
    Unknown,
    /// The first attempt to connect is under way.
    Connecting {
        /// `host:port`
        name: String,
    },
    /// Connected.
    Connected {
        /// `host:port`
        name: String,
        /// Since when.
        since: Instant,
        /// The broker is connected, but drops messages.
        doubt: Option<Doubt>,
    },
    /// Not connected. The program keeps trying.
    Down {
        /// `host:port`
        name: String,
        /// Since when.
        since: Instant,
        /// What happened and what to do about it.
        advice: Advice,
        /// Who made the settings of the broker, and reads the advice.
        made_by: MadeBy,
    },
}

/// What is reported about the settings and their sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Why no meter is read.
    pub problem: Option<ReportedProblem>,
    /// The warnings, one sentence each.
    pub warnings: Vec<String>,
    /// Why Home Assistant has not reported its broker.
    pub broker: Option<Explanation>,
    /// Why readings cannot be stored.
    pub history: Option<Explanation>,
    /// The answer of Home Assistant's Supervisor.
    pub supervisor: SupervisorState,
    /// Each effective setting, with secrets masked.
    pub settings: Vec<SettingLine>,
    /// Why a later configuration was rejected.
    pub refused: Option<ReportedProblem>,
}

/// The answer of Home Assistant's Supervisor, which knows the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SupervisorState {
    /// There is no Supervisor, or the settings name a broker.
    #[default]
    NotAsked,
    /// The Supervisor has not named a broker; [`Setup::broker`] says why.
    Asked,
    /// The Supervisor has named a broker.
    Answered,
}

/// An effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingLine {
    /// Like `mqtt.host`; for one of several meters like ``com_port of the meter `garage` ``.
    pub key: String,
    /// Its value; stars for a secret, a dash if it is not set.
    pub value: String,
    /// Its source, like `default` or `kamstrup.yaml, line 3`.
    pub origin: String,
}

impl SettingLine {
    /// The name of the meter that it belongs to, if it is of one of several.
    #[must_use]
    pub fn meter(&self) -> Option<&str> {
        let (_, name) = self.key.split_once(" of the meter `")?;
        name.strip_suffix('`')
    }
}

impl From<[String; 3]> for SettingLine {
    fn from([key, value, origin]: [String; 3]) -> Self {
        Self { key, value, origin }
    }
}

/// Why no meter can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedProblem {
    /// What happened.
    pub words: String,
    /// Each part of it.
    pub details: Vec<String>,
    /// What to do about it.
    pub hint: String,
}

/// The state of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterState {
    /// Identifies it on the board. A meter keeps its number as long as the program runs.
    pub number: usize,
    /// Its name in the list of meters; `None` for an only meter.
    pub name: Option<String>,
    /// Its name in Home Assistant.
    pub title: String,
    /// The name that it would have in English, for what other programs read.
    pub label: String,
    /// The port that it is connected to.
    pub port: String,
    /// The time between two polls.
    pub interval: Duration,
    /// The units in which its values are published.
    pub units: UnitSystem,
    /// The key of its readings in the history, if they are stored.
    pub key: Option<MeterKey>,
    /// Its model, or the models that it may be.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The last poll.
    pub last: Option<LastPoll>,
    /// Whether the optical head may be out of place: the last poll failed because of it.
    pub misplaced: bool,
    /// Whether the meter has keys, if that is known.
    pub has_keys: Option<bool>,
    /// When it entered its present state: answering or silent.
    pub since: Option<Instant>,
    /// When the next poll is due; in the past while a poll is under way or waits for the port.
    pub next_poll: Option<Instant>,
    /// The last reading of each value, in the order of the meter's parameters.
    pub values: Vec<ValueState>,
    /// The last means that suppliers bill by (`tariff`).
    pub(crate) means: Vec<Entry>,
    /// The values that the last poll did not read, and why.
    pub missing: Vec<(String, String)>,
    /// The fault that the meter reports.
    pub fault: Option<String>,
    /// How good the line is on the day of the last poll: see [`LineQuality::on`].
    pub line: LineQuality,
    /// The same since the program started.
    pub line_in_all: LineQuality,
    /// What decides what a poll costs.
    pub(crate) settings: usage::Settings,
    /// What the polls have cost.
    pub(crate) ledger: Arc<usage::Ledger>,
    /// The last use of the placement aid.
    pub placement: Option<Placement>,
    /// The last search for registers.
    pub scan: Option<ScanState>,
}

impl MeterState {
    /// Whether both have the same name and port, whatever their numbers are.
    fn is_same_as(&self, other: &Self) -> bool {
        let names = [self, other].map(|meter| meter.key.as_ref().map(MeterKey::name));
        names[0] == names[1] && self.port == other.port
    }

    /// The state of a meter that was not polled yet.
    #[must_use]
    pub fn new(title: String, port: String, interval: Duration) -> Self {
        Self {
            number: 0,
            name: None,
            label: title.clone(),
            title,
            port,
            interval,
            units: UnitSystem::Standard,
            key: None,
            model: None,
            serial: None,
            last: None,
            misplaced: false,
            has_keys: None,
            since: None,
            next_poll: None,
            values: Vec::new(),
            means: Vec::new(),
            missing: Vec::new(),
            fault: None,
            line: LineQuality::default(),
            line_in_all: LineQuality::default(),
            settings: usage::Settings::at_interval(interval),
            ledger: Arc::default(),
            placement: None,
            scan: None,
        }
    }
}

/// How good the line to a meter is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineQuality {
    /// The local day; `None` before the first poll, and for counts since the start.
    pub day: Option<Date>,
    /// Polls.
    pub polls: u64,
    /// Polls that failed, in whole or in part.
    pub failed: u64,
    /// How many of these failed for reasons that have nothing to do with the optical head.
    pub failed_elsewhere: u64,
    /// Requests that were sent again because there was no answer, or a damaged one.
    pub retries: u64,
    /// How many of these followed an answer to another request.
    pub late: u64,
    /// Answers that arrived damaged: with a wrong checksum, or incomplete.
    pub bad_checksums: u64,
    /// Bytes sent to the meter.
    pub bytes_sent: u64,
    /// Bytes received, including echoes and noise.
    pub bytes_received: u64,
    /// How long the meter was kept awake: from the first byte of a request until 1.6 s after the
    /// last byte on the line.
    pub awake: Duration,
}

impl LineQuality {
    /// The counts of this day; zero if they are of another day.
    #[must_use]
    pub fn on(self, day: Date) -> Self {
        if self.day == Some(day) { self } else { Self { day: Some(day), ..Self::default() } }
    }

    /// Adds a poll, and which part its trouble was with.
    #[must_use]
    pub fn with_poll(self, trouble: Option<Suspect>) -> Self {
        let is_elsewhere = trouble.is_some_and(|suspect| suspect != Suspect::Head);
        Self {
            polls: self.polls.saturating_add(1),
            failed: self.failed.saturating_add(u64::from(trouble.is_some())),
            failed_elsewhere: self.failed_elsewhere.saturating_add(u64::from(is_elsewhere)),
            ..self
        }
    }

    /// Adds the traffic on the line.
    #[must_use]
    pub fn with_traffic(self, traffic: Traffic) -> Self {
        Self {
            retries: self.retries.saturating_add(traffic.retries),
            late: self.late.saturating_add(traffic.late),
            bad_checksums: self.bad_checksums.saturating_add(traffic.damaged),
            bytes_sent: self.bytes_sent.saturating_add(traffic.sent),
            bytes_received: self.bytes_received.saturating_add(traffic.received),
            awake: self.awake.saturating_add(traffic.awake),
            ..self
        }
    }
}

/// The placement aid: the meter is asked again and again while somebody moves the head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Whether it is running.
    pub running: bool,
    /// How often the meter was asked.
    pub asked: u32,
    /// How often it answered.
    pub hits: u32,
    /// Whether it answered the last time; `None` before the first answer or miss.
    pub hit: Option<bool>,
    /// What was received instead of an answer the last time.
    pub heard: Option<NoAnswer>,
    /// The time that is left.
    pub left: Duration,
    /// Why the port cannot be used.
    pub trouble: Option<Explanation>,
}

/// A search for the registers that a meter has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanState {
    /// Whether it is running.
    pub running: bool,
    /// How many registers have been asked for.
    pub asked: usize,
    /// How many registers it asks for in total.
    pub of: usize,
    /// The registers found so far; at the end all that the meter has, by number.
    pub found: Vec<Found>,
    /// Whether it has asked for all registers.
    pub complete: bool,
    /// At the end, the registers as a list for the configuration, with a comment for each.
    pub parameters: Option<String>,
    /// The registers that somebody has ticked since; `None` if nobody has.
    pub chosen: Option<Vec<RegisterId>>,
    /// When it ended.
    pub ended: Option<Instant>,
    /// Why it ended early.
    pub trouble: Option<Explanation>,
}

/// A register that a meter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub register: RegisterId,
    /// Its name in the settings, or its number if it has no name.
    pub name: String,
    /// What it is, in words, if that is known.
    pub label: Option<&'static str>,
    /// Its value as it would be published; `None` if it cannot be read at the moment.
    pub text: Option<String>,
    /// Its unit, if it has one.
    pub unit: Option<&'static str>,
}

/// The last poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPoll {
    /// When it ended.
    pub at: Instant,
    /// Whether the meter answered.
    pub answered: bool,
    /// What went wrong, and what to do about it.
    pub trouble: Option<Explanation>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueState {
    /// The name of its parameter.
    pub name: String,
    /// The value as it is published.
    pub text: String,
    /// Its unit, if it has one.
    pub unit: Option<&'static str>,
    /// Whether it is a number, rather than a date or a text.
    pub is_number: bool,
    /// When it was read.
    pub at: Instant,
}

/// The search for the optical head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeadSearch {
    /// The serial ports, and which of them will be asked.
    pub listed: Vec<Candidate>,
    /// Whether it is running.
    pub running: bool,
    /// Whether it was started and has ended.
    pub ended: bool,
    /// Whether it was stopped before each port was asked.
    pub stopped: bool,
    /// The port that is asked now.
    pub asking: Option<PathBuf>,
    /// The ports that were asked, and what was found there.
    pub found: Vec<Searched>,
}

/// A serial port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortInfo {
    /// Like `/dev/ttyUSB0`.
    pub path: PathBuf,
    /// The name that stays the same when another device is plugged in, like
    /// `/dev/serial/by-id/usb-FTDI_…-port0`.
    pub by_id: Option<PathBuf>,
    /// The titles of the meters that are read there.
    pub used_by: Vec<String>,
    /// Whether another program holds it.
    pub busy: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_last_scans_have_results() {
        let board = Board::default();
        let meter = |number: usize| {
            let port = format!("/dev/ttyUSB{number}");
            (number, MeterState::new(port.clone(), port, Duration::from_secs(300)))
        };
        board.set_meters((0..SCANS + 3).map(meter).collect());
        let begin = |number: usize| {
            board.meter(number, |meter| {
                meter.scan = Some(ScanState { running: true, ..ScanState::default() });
            });
        };
        let scanned = || {
            let all = board.meters();
            let scanned = all.into_iter().filter(|meter| meter.scan.is_some());
            scanned.map(|meter| meter.number).collect::<Vec<_>>()
        };
        // One that is running is no result yet.
        begin(SCANS + 2);
        for number in (0..SCANS).chain([0]) {
            begin(number);
            tokio::time::advance(Duration::from_secs(60)).await;
            board.scan_ended(number);
        }
        assert_eq!(scanned().len(), SCANS + 1);
        begin(SCANS);
        board.scan_ended(SCANS);
        // The first meter was scanned again, so the second one has the oldest result.
        let kept: Vec<_> = [0].into_iter().chain(2..=SCANS).chain([SCANS + 2]).collect();
        assert_eq!(scanned(), kept);
        let meter = board.one_meter(SCANS).unwrap();
        assert!(!meter.scan.unwrap().running);
    }

    #[test]
    fn the_state_of_a_meter_is_kept_while_the_meter_is_configured() {
        let board = Board::default();
        let meter = |title: &str, port: &str| {
            MeterState::new(title.to_owned(), port.to_owned(), Duration::from_secs(300))
        };
        let serials = || {
            let of = |meter: MeterState| format!("{} {:?}", meter.title, meter.serial);
            board.meters().into_iter().map(of).collect::<Vec<_>>()
        };
        board.set_meters(vec![(0, meter("a", "/dev/ttyUSB0")), (1, meter("b", "/dev/ttyUSB1"))]);
        board.meter(0, |meter| meter.serial = Some("1".to_owned()));
        board.meter(1, |meter| meter.serial = Some("2".to_owned()));
        board.meter(2, |_| panic!("there is none"));
        assert_eq!(serials(), ["a Some(\"1\")", "b Some(\"2\")"]);
        // Another configuration removes a meter, adds one and renames one. Its numbers may start at
        // 0 again.
        board.set_meters(vec![(0, meter("d", "/dev/ttyUSB1")), (1, meter("c", "/dev/ttyUSB2"))]);
        assert_eq!(serials(), ["d Some(\"2\")", "c None"]);
        board.meter(0, |meter| meter.serial = Some("3".to_owned()));
        assert_eq!(serials(), ["d Some(\"3\")", "c None"]);
        // What polls cost is known for the settings with which they were made.
        let today = "2026-11-24".parse().unwrap();
        let settings = usage::Settings::at_interval(Duration::from_secs(300));
        let counted = Arc::new(usage::tests::four_weeks(today, &settings));
        board.meter(0, |meter| meter.ledger = Arc::clone(&counted));
        let shown = |settings: usage::Settings| {
            let meter = MeterState { settings, ..meter("d", "/dev/ttyUSB1") };
            board.set_meters(vec![(0, meter)]);
            let meter = board.one_meter(0).unwrap();
            let days = usage::projected(&meter.ledger, &meter.settings).len();
            (meter.ledger.month(today) == counted.month(today), days)
        };
        let hourly = usage::Settings::at_interval(Duration::from_secs(3600));
        assert_eq!(shown(hourly), (true, 4), "only the interval has changed");
        assert_eq!(shown(settings.reading_more()), (true, 0));
    }

    #[test]
    fn clones_share_the_state() {
        let board = Board::default();
        let seen = board.broker();
        let connecting = BrokerState::Connecting { name: "broker:1883".to_owned() };
        board.clone().set_broker(connecting.clone());
        assert_eq!(*seen.borrow(), connecting);
    }
}
