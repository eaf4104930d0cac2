//! A meter is exchanged in every possible way, on paused time. No reading of one meter is ever
//! stored under the serial number of another.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use history::{History, MeterKey, Sample};
use jiff::Timestamp;
use kmp::line::Line;
use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value};
use meter::RunsAs;
use meter::identity::Version;
use meter::poll::{self, MeterHandle, MeterMemories, Plan, PollResult, Schedule};
use meter::transport::{Open, OpenError, Stream};
use rust_decimal::Decimal;
use simulator::{Behaviour, Fault, Faults, Registers, Simulator};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const OLD: u32 = 6_131_453;
const NEW: u32 = 80_713_078;
/// Another model: it lacks the hour counter and the difference, counts in MWh, and does not answer
/// requests for the info code.
const OTHER: u32 = 70_000_002;
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// What a meter holds after so many polls. No two meters share a value.
fn meter(serial: u32, energy: i64, polls: i64) -> Registers {
    let mut registers = Registers::empty();
    registers.serial = SerialNumber::new(serial);
    let odd = i64::from(serial % 2);
    let (t1, t2) = (6_000 + 4 * (polls % 7) + odd, 3_000 + 4 * (polls % 5) + 3 * odd);
    let rows = [
        (60, Unit::KILOWATT_HOUR, 0, 2 * (energy / 2 + polls) + odd, 4),
        (68, Unit::CUBIC_METRE, 2, 2 * (energy * 3 + polls) + odd, 4),
        (74, Unit::LITRE_PER_HOUR, 0, 200 + 2 * (polls % 3) + odd, 2),
        (80, Unit::KILOWATT, 1, 70 + 2 * (polls % 4) + odd, 2),
        (86, Unit::CELSIUS, 2, t1, 2),
        (87, Unit::CELSIUS, 2, t2, 2),
        (89, Unit::KELVIN, 2, t1 - t2, 2),
        (99, Unit::NUMBER, 0, 0, 2),
        (1001, Unit::NUMBER, 0, i64::from(serial), 4),
        (1004, Unit::HOUR, 0, 2 * (energy + polls / 12) + odd, 4),
    ];
    for (id, unit, places, value, length) in rows {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(id);
        registers.insert(RegisterValue::from_decimal(register, unit, value, length).unwrap());
    }
    if serial == OTHER {
        for register in [89, 99, 1004].map(RegisterId::new) {
            registers.values.remove(&register);
        }
        registers.silencing.insert(RegisterId::new(99));
        let value = Decimal::new(2 * (energy / 2 + polls), 3);
        let energy =
            RegisterValue::from_decimal(RegisterId::new(60), Unit::MEGAWATT_HOUR, value, 4);
        registers.insert(energy.unwrap());
    }
    registers
}

/// Whether a value belongs to the meter with this serial number: both are odd, or both are even.
/// Difference and info code are even for all meters.
fn is_of(serial: u32, register: RegisterId, value: &Value) -> bool {
    let Value::Number(number) = value else { return true };
    let is_odd = number.mantissa() % 2 == 1;
    [89, 99].contains(&register.get()) || is_odd == (serial % 2 == 1)
}

struct Port {
    connections: mpsc::UnboundedSender<DuplexStream>,
    is_silent: Arc<AtomicBool>,
}

impl Open for Port {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, mut far) = duplex(4096);
        if self.is_silent.load(Ordering::Relaxed) {
            tokio::spawn(async move {
                drop(tokio::io::copy(&mut far, &mut tokio::io::sink()).await);
            });
        } else {
            self.connections.send(far).map_err(|_| OpenError::Refused)?;
        }
        Ok(Box::new(near))
    }
}

fn as_number(serial: SerialNumber) -> u32 {
    serial.to_string().parse().unwrap()
}

/// An event between two polls.
#[derive(Clone, Copy)]
enum Event {
    Nothing,
    Silence,
    Becomes(u32, i64),
    /// The program restarts. Meanwhile the meter became this one.
    RestartAt(u32, i64),
    /// Another task continues with this meter, as after a change of the configuration.
    ReloadAt(u32, i64),
}

use Event::{Becomes, Nothing, ReloadAt, RestartAt, Silence};

struct House {
    held: watch::Sender<Registers>,
    is_silent: Arc<AtomicBool>,
    connections: mpsc::UnboundedSender<DuplexStream>,
    /// The registers that are read.
    names: &'static str,
    history: History,
    _serving: JoinSet<()>,
}

/// The side of the running program.
struct Polling {
    results: mpsc::Receiver<Box<PollResult>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl House {
    fn new(names: &'static str, faults: Option<Faults>, file: PathBuf) -> Self {
        let (held, registers) = watch::channel(meter(OLD, 28_316, 0));
        let turnaround = Duration::from_millis(200);
        let behaviour =
            Behaviour { turnaround, line: Some(Line::new(1200)), ..Behaviour::default() };
        let mut simulator = Simulator::new(registers, behaviour);
        if let Some(faults) = faults {
            simulator = simulator.with_faults(faults);
        }
        let (connections, accepted) = mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(async move { simulator.serve_each(accepted).await });
        let now = "2026-11-24T00:00:00+00:00[UTC]".parse().unwrap();
        let history = History::start(Some(file), &now);
        Self { held, is_silent: Arc::default(), connections, names, history, _serving: serving }
    }

    fn start(&self, memories: &MeterMemories) -> Polling {
        let registers = self.names.split(' ').map(|id| RegisterId::new(id.parse().unwrap()));
        let port =
            Port { connections: self.connections.clone(), is_silent: Arc::clone(&self.is_silent) };
        let plan = Plan {
            port,
            port_name: "port".to_owned(),
            line: Line::new(1200),
            registers: registers.collect(),
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Auto,
            interval: FIVE_MINUTES,
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (sender, results) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let schedule = Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap());
        let polling = poll::run_knowing(
            memories.clone(),
            plan,
            schedule,
            sender,
            MeterHandle::default(),
            stop.clone(),
        );
        Polling { results, stop, task: tokio::spawn(polling) }
    }

    fn key(serial: Option<SerialNumber>) -> MeterKey {
        MeterKey::new("house", serial.map(SerialNumber::number))
    }

    /// Stores a poll as the program does, and checks that it is stored under its own meter.
    fn file(&self, result: &PollResult, number: i64) -> usize {
        if !result.is_recognized {
            return 0;
        }
        let time = Timestamp::from_second(1_780_000_000 + 300 * number).unwrap();
        let mut noted = Vec::new();
        for reading in &result.readings {
            let serial = result.identity.serial.unwrap();
            let is_own = is_of(as_number(serial), reading.register, &reading.value);
            assert!(is_own, "poll {number}: {result:#?}");
            let Value::Number(value) = reading.value else { continue };
            noted.push(Sample {
                parameter: reading.register.to_string(),
                value,
                unit: None,
                is_counter: [60, 68].contains(&reading.register.get()),
            });
        }
        self.history.note(&Self::key(result.identity.serial), time, &noted);
        noted.len()
    }
}

struct Outcome {
    /// Values that were stored.
    filed: usize,
    /// Polls with readings that could not be stored.
    unfiled: usize,
    exchanges: Vec<(u32, u32)>,
    /// The meter of the last readings.
    last: Option<SerialNumber>,
}

/// Polls until all events have happened, one before each poll, and then six more times.
async fn live(names: &'static str, faults: Option<Faults>, events: &[Event]) -> Outcome {
    let folder = tempfile::TempDir::new().unwrap();
    let house = House::new(names, faults, folder.path().join("history.db"));
    let mut memories = MeterMemories::default();
    let mut polling = house.start(&memories);
    let mut outcome = Outcome { filed: 0, unfiled: 0, exchanges: Vec::new(), last: None };
    let (mut serial, mut energy) = (OLD, 28_316);
    let calm = std::iter::repeat_n(&Nothing, 6);
    for (number, event) in (1..).zip(events.iter().chain(calm)) {
        house.is_silent.store(matches!(event, Silence), Ordering::Relaxed);
        if let Becomes(becomes, counts) | RestartAt(becomes, counts) | ReloadAt(becomes, counts) =
            event
        {
            (serial, energy) = (*becomes, *counts);
        }
        match event {
            RestartAt(..) | ReloadAt(..) => {
                polling.stop.cancel();
                while polling.results.recv().await.is_some() {}
                (&mut polling.task).await.unwrap();
            }
            Nothing | Silence | Becomes(..) => {}
        }
        house.held.send_replace(meter(serial, energy, number));
        match event {
            RestartAt(..) => {
                memories = MeterMemories::default();
                polling = house.start(&memories);
            }
            ReloadAt(..) => polling = house.start(&memories),
            Nothing | Silence | Becomes(..) => {}
        }
        let result = polling.results.recv().await.unwrap();
        outcome.filed += house.file(&result, number);
        outcome.unfiled += usize::from(!result.is_recognized && !result.readings.is_empty());
        let exchange = result.exchange.as_ref();
        outcome.exchanges.extend(exchange.map(|it| (as_number(it.from), as_number(it.to))));
        if !result.readings.is_empty() {
            outcome.last = result.identity.serial;
        }
    }
    polling.stop.cancel();
    // The history of each meter has only its own values.
    let reader = house.history.reader();
    house.history.close();
    let all = (Timestamp::MIN, Timestamp::MAX);
    for serial in [OLD, NEW, OTHER] {
        let key = House::key(Some(SerialNumber::new(serial)));
        for name in names.split(' ').filter(|name| *name != "89") {
            for point in reader.snapshot().unwrap().readings(&key, name, all).unwrap() {
                let register = RegisterId::new(name.parse().unwrap());
                let value = Value::Number(point.value);
                assert!(is_of(serial, register, &value), "{name} {point:?}");
            }
        }
    }
    outcome
}

/// The number of lines of each kind; more with `KAMSTRUP2MQTT_TEST_SEEDS`.
fn seeds() -> u64 {
    let seeds = std::env::var("KAMSTRUP2MQTT_TEST_SEEDS").ok();
    seeds.map_or(2, |seeds| seeds.parse().unwrap())
}

/// Energy, volume, power, flow, t1, t2, difference.
const SEVEN: &str = "60 68 80 74 86 87 89";

const ONCE: [(u32, u32); 1] = [(OLD, NEW)];

/// Without faults on the line, only the poll that detects the exchange is lost.
async fn is_filed(names: &'static str, events: &[Event], exchanges: &[(u32, u32)], last: u32) {
    let outcome = live(names, None, events).await;
    assert_eq!(outcome.exchanges, exchanges);
    assert_eq!(outcome.last, Some(SerialNumber::new(last)));
    let silent = events.iter().filter(|event| matches!(event, Silence)).count();
    let all = (events.len() + 6 - silent) * names.split(' ').count();
    assert_eq!((outcome.filed, outcome.unfiled), (all, 0));
}

#[tokio::test(start_paused = true)]
async fn the_meter_falls_silent_and_another_one_answers() {
    is_filed(SEVEN, &[Nothing, Nothing, Silence, Silence, Becomes(NEW, 12)], &ONCE, NEW).await;
}

#[tokio::test(start_paused = true)]
async fn the_counters_of_the_new_meter_may_be_larger_or_nearly_the_same() {
    for energy in [28_320, 90_000] {
        is_filed(SEVEN, &[Nothing, Silence, Becomes(NEW, energy)], &ONCE, NEW).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_silence_the_counters_reveal_the_exchange() {
    for energy in [12, 20_000, 90_000] {
        is_filed(SEVEN, &[Nothing, Nothing, Becomes(NEW, energy)], &ONCE, NEW).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_model_may_take_its_place() {
    for events in [
        &[Nothing, Nothing, Silence, Becomes(OTHER, 12)][..],
        &[Nothing, Nothing, Becomes(OTHER, 28_400)],
        &[Nothing, ReloadAt(OTHER, 12)],
        &[Nothing, Becomes(OTHER, 12), Nothing, Nothing, Becomes(OLD, 28_400)],
    ] {
        let outcome = live(SEVEN, None, events).await;
        let back = matches!(events.last(), Some(Becomes(OLD, _)));
        let there = [(OLD, OTHER), (OTHER, OLD)];
        assert_eq!(outcome.exchanges, there[..if back { 2 } else { 1 }]);
        assert_eq!(outcome.last, Some(SerialNumber::new(if back { OLD } else { OTHER })));
        assert!(outcome.filed >= 6 * 6, "{}", outcome.filed);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_counter_each_poll_reads_the_serial_number() {
    is_filed("80 74 86 87", &[Nothing, Nothing, Becomes(NEW, 12)], &ONCE, NEW).await;
    is_filed("86", &[Nothing, Nothing, Becomes(NEW, 28_316)], &ONCE, NEW).await;
}

/// The new program knows nothing about the old meter, but the history reports it.
#[tokio::test(start_paused = true)]
async fn a_restart_in_between_changes_nothing() {
    for energy in [12, 28_318, 90_000] {
        let events = [Nothing, Nothing, RestartAt(NEW, energy), RestartAt(OLD, 28_400), Nothing];
        is_filed(SEVEN, &events, &[], OLD).await;
    }
    let events = [Nothing, Silence, Becomes(NEW, 12), RestartAt(NEW, 12), Nothing];
    is_filed(SEVEN, &events, &ONCE, NEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_in_between_changes_nothing() {
    for energy in [12, 28_318, 90_000] {
        is_filed(SEVEN, &[Nothing, ReloadAt(NEW, energy)], &ONCE, NEW).await;
        is_filed(SEVEN, &[Nothing, Silence, ReloadAt(NEW, energy)], &ONCE, NEW).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_meters_take_turns_on_one_port() {
    let events = [
        Nothing,
        Becomes(NEW, 12),
        Nothing,
        Becomes(OLD, 28_316),
        Nothing,
        Becomes(NEW, 12),
        Becomes(OLD, 28_316),
    ];
    let exchanges = [(OLD, NEW), (NEW, OLD), (OLD, NEW), (NEW, OLD)];
    is_filed(SEVEN, &events, &exchanges, OLD).await;
}

/// A serial server that passes late answers to later connections, on a line with all kinds of
/// faults. Polls may fail, but none is stored under another meter.
#[tokio::test(start_paused = true)]
async fn late_answers_and_a_bad_line_store_nothing_under_the_wrong_meter() {
    let events: Vec<Event> = (0..12)
        .flat_map(|round| {
            let (next, energy) = if round % 2 == 0 { (NEW, 12) } else { (OLD, 28_400) };
            let silence = if round % 3 == 0 { Silence } else { Nothing };
            [Nothing, Nothing, Nothing, silence, Becomes(next, energy + round)]
        })
        .collect();
    for seed in 0..seeds() {
        let late = Faults::new(seed, vec![(Fault::Late, 300)]);
        let outcome = live(SEVEN, Some(late), &events).await;
        assert!(outcome.filed > 0 && outcome.exchanges.len() >= 6, "{:?}", outcome.exchanges);
        let all = Faults::new(seed, Fault::ALL.map(|fault| (fault, 50)).to_vec());
        let outcome = live(SEVEN, Some(all), &events).await;
        assert!(outcome.filed > 0 && outcome.exchanges.len() >= 6, "{:?}", outcome.exchanges);
    }
}
