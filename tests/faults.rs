//! Never a wrong value: polls over a line on which everything goes wrong, on paused time.
//!
//! The meter's values change from poll to poll, so that a value that comes late is a wrong one.
//! A serial server stands between, which hands over to one connection what came too late for the
//! one before.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends with a panic"
)]

use std::time::Duration;

use kamstrup2mqtt::identity::Version;
use kamstrup2mqtt::line::Line;
use kamstrup2mqtt::poll::{self, Beat, Plan, Trigger};
use kamstrup2mqtt::simulator::{Behaviour, Fault, Faults, Registers, Simulator};
use kamstrup2mqtt::transport::{Open, OpenError, Stream};
use kamstrup2mqtt::words::RunsAs;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longer than any answer is late.
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// Shorter than some answers are late.
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// Shorter than most late answers are late.
const TWO_SECONDS: Duration = Duration::from_secs(2);
/// From a request to its answer, where nothing goes wrong.
const TURNAROUND: Duration = Duration::from_millis(300);

/// The meter's registers during a poll: id, unit, decimal places, value, bytes.
fn table(poll: u32) -> Registers {
    let mut registers = Registers::empty();
    let number = i64::from(poll);
    let rows = [
        (60, Unit::MEGAWATT_HOUR, 3, 55_648 + number, 4),
        (68, Unit::CUBIC_METRE, 2, 191_757 + 7 * number, 4),
        (74, Unit::LITRE_PER_HOUR, 0, number * 37 % 900, 2),
        (80, Unit::KILOWATT, 1, number * 13 % 300, 2),
        (86, Unit::CELSIUS, 2, 4_000 + number * 131 % 5_000, 2),
        (87, Unit::CELSIUS, 2, 2_000 + number * 97 % 3_000, 2),
        (89, Unit::KELVIN, 2, number * 53 % 5_000 - 500, 2),
        (97, Unit::CUBIC_METRE_CELSIUS, 0, 128_953 + 3 * number, 4),
        (1004, Unit::HOUR, 0, 54_888 + number / 12, 4),
        (99, Unit::NUMBER, 0, number % 2, 1),
    ];
    for (id, unit, places, value, length) in rows {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(id);
        registers.insert(RegisterValue::from_decimal(register, unit, value, length).unwrap());
    }
    registers
}

/// A serial server: what is on its way when a connection ends goes to the next one.
struct Gateway {
    connections: mpsc::UnboundedSender<DuplexStream>,
}

impl Open for Gateway {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(4096);
        self.connections.send(far).map_err(|_| OpenError::Refused)?;
        Ok(Box::new(near))
    }
}

struct Outcome {
    polls: u32,
    complete: u32,
    values: u64,
    wrong: Vec<String>,
}

async fn run(
    polls: u32,
    interval: Duration,
    registers: usize,
    seed: u64,
    rates: Vec<(Fault, u32)>,
) -> Outcome {
    let first = registers;
    let (registers, held) = watch::channel(table(0));
    let behaviour = Behaviour { turnaround: TURNAROUND, ..Behaviour::default() };
    let meter = Simulator::new(held, behaviour).with_faults(Faults::new(seed, rates));
    let (connections, accepted) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { meter.serve_each(accepted).await });
    let all = registers.borrow().values.keys().copied().collect::<Vec<RegisterId>>();
    let wanted = all[..first].to_vec();
    let plan = Plan {
        port: Gateway { connections },
        port_name: "gateway".to_owned(),
        line: Line::new(1200),
        registers: wanted.clone(),
        version: Version::Auto,
        interval,
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    tasks.spawn(poll::run(plan, midnight(), sender, Trigger::default(), stop.clone()));
    let mut outcome = Outcome { polls, complete: 0, values: 0, wrong: Vec::new() };
    let mut before = table(0);
    let mut changed = Instant::now();
    for poll in 0..polls {
        let result = results.recv().await.unwrap();
        let held = registers.borrow().clone();
        // A poll that followed at once on one that took longer than the interval may have begun
        // before the values changed.
        let begun = Instant::now() - result.took;
        for reading in &result.readings {
            outcome.values += 1;
            let is_held = |table: &Registers| {
                let right = &table.values[&reading.register];
                right.value().unwrap() == reading.value && right.unit == reading.unit
            };
            if !(is_held(&held) || begun <= changed && is_held(&before)) {
                let right = held.values[&reading.register].value().unwrap();
                let (id, is) = (reading.register, &reading.value);
                outcome.wrong.push(format!("poll {poll}, {id}: {is}, not {right}"));
            }
        }
        outcome.complete += u32::from(result.readings.len() == wanted.len());
        before = held;
        changed = Instant::now();
        registers.send_replace(table(poll + 1));
    }
    stop.cancel();
    drop(results);
    tasks.shutdown().await;
    outcome
}

/// Twelve faults at once, each in one of a hundred to one of seven answers.
#[tokio::test(start_paused = true)]
async fn not_one_wrong_value_over_a_line_full_of_faults() {
    let mut shown = Vec::new();
    for (seed, rate) in [(1, 10), (2, 30), (3, 60), (4, 150)] {
        let rates = Fault::ALL.map(|fault| (fault, rate)).to_vec();
        let outcome = run(50_000, FIVE_MINUTES, ALL, seed, rates).await;
        assert_eq!(outcome.wrong, [""; 0], "seed {seed}");
        assert!(outcome.values > 0);
        shown.push(format!(
            "each fault in {rate} of 1000 answers: {} polls, {} complete, {} values, 0 wrong",
            outcome.polls, outcome.complete, outcome.values
        ));
    }
    println!("{}", shown.join("\n"));
}

/// Polls so close that an answer may come while the next poll, or the one after it, waits for its
/// own: only the order of the registers tells them apart.
#[tokio::test(start_paused = true)]
async fn not_one_late_answer_passes_for_that_of_a_later_poll() {
    for (seed, rate) in [(1, 30), (2, 100), (3, 300)] {
        let outcome = run(10_000, TEN_SECONDS, 8, seed, vec![(Fault::Late, rate)]).await;
        assert_eq!(outcome.wrong, [""; 0], "seed {seed}");
        println!("{rate} of 1000 answers late: {} of {} complete", outcome.complete, outcome.polls);
        assert!(outcome.values > 0);
        // Alone, a register has no order. Five minutes apart nothing is late; else others are asked
        // for along with it.
        for interval in [FIVE_MINUTES, TEN_SECONDS, TWO_SECONDS] {
            for registers in [1, 2] {
                let outcome =
                    run(10_000, interval, registers, seed, vec![(Fault::Late, rate)]).await;
                assert_eq!(outcome.wrong, [""; 0], "{registers} every {interval:?}, seed {seed}");
                println!(
                    "{registers} every {} s: {} of {} complete",
                    interval.as_secs(),
                    outcome.complete,
                    outcome.polls
                );
                assert!(outcome.values > 0);
            }
        }
    }
}

/// How many registers the meter has.
const ALL: usize = 10;

/// Each fault alone in every tenth answer leaves more than 95 of 100 polls complete.
#[tokio::test(start_paused = true)]
async fn each_fault_alone_costs_hardly_a_poll() {
    for (seed, fault) in (1..).zip(Fault::ALL) {
        let outcome = run(1_000, FIVE_MINUTES, ALL, seed, vec![(fault, 100)]).await;
        assert_eq!(outcome.wrong, [""; 0], "{fault:?}");
        println!("{fault:?}: {} of {} polls complete", outcome.complete, outcome.polls);
        assert!(outcome.complete * 100 > outcome.polls * 95, "{fault:?}: {}", outcome.complete);
    }
}

/// The time at which a test begins, so that beats fall on the multiples of the interval since then.
fn midnight() -> Beat {
    Beat::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap())
}
