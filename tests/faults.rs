//! Polls over a line with all kinds of faults, on paused time. No wrong value is ever published.
//!
//! The meter's values change from poll to poll, so a late value is a wrong value. The simulated
//! serial server keeps what arrives too late for a connection, and sends it to the next connection.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test ends with a panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kmp::line::Line;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value};
use meter::RunsAs;
use meter::identity::Version;
use meter::poll::{self, MeterHandle, Plan, Schedule};
use meter::reading::Reading;
use meter::transport::{Endpoint, Open, OpenError, SerialSettings, Stream};
use rust_decimal::Decimal;
use simulator::{Behaviour, Fault, Faults, Registers, Simulator};
use testing::esphome::{Node, Setup};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The variable that multiplies the usual number of polls. `docs/benchmarks.md` shows the results
/// for 5. The weekly job uses 50: a million polls with all kinds of faults at once.
const TIMES: &str = "KAMSTRUP2MQTT_TEST_POLLS";

/// The usual number of polls, or a multiple: a plain `cargo test` has little time.
fn polls(usually: u32) -> u32 {
    usually * std::env::var(TIMES).map_or(1, |times| times.parse::<u32>().unwrap())
}

/// No answer is later than this.
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// Some answers are later than this.
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// Most late answers are later than this.
const TWO_SECONDS: Duration = Duration::from_secs(2);
/// The time from a request to its answer, without a fault.
const TURNAROUND: Duration = Duration::from_millis(300);

/// The meter's registers during a poll: id, unit, decimal places, value, bytes.
fn table(poll: u32) -> Registers {
    let mut registers = Registers::empty();
    let number = i64::from(poll);
    // They are consistent, as a real meter's values are.
    let (flow, t1, t2) =
        (number * 37 % 900, 4_000 + number * 131 % 5_000, 2_000 + number * 97 % 1_900);
    let power = flow * (t1 - t2) * 116 / 1_000_000;
    let rows = [
        (60, Unit::MEGAWATT_HOUR, 3, 55_648 + number, 4),
        (68, Unit::CUBIC_METRE, 2, 191_757 + 7 * number, 4),
        (74, Unit::LITRE_PER_HOUR, 0, flow, 2),
        (80, Unit::KILOWATT, 1, power, 2),
        (86, Unit::CELSIUS, 2, t1, 2),
        (87, Unit::CELSIUS, 2, t2, 2),
        (89, Unit::KELVIN, 2, t1 - t2, 2),
        (97, Unit::CUBIC_METRE_CELSIUS, 0, 128_953 + 3 * number, 4),
        (1004, Unit::HOUR, 0, 54_888 + number / 12, 4),
        (99, Unit::NUMBER, 0, number / 100 % 2, 1),
        (1001, Unit::NUMBER, 0, 12_345_678, 4),
    ];
    for (id, unit, places, value, length) in rows {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(id);
        registers.insert(RegisterValue::from_decimal(register, unit, value, length).unwrap());
    }
    registers
}

/// t1, t2 and their difference.
const TEMPERATURES: [RegisterId; 3] =
    [RegisterId::new(86), RegisterId::new(87), RegisterId::new(89)];

/// What is between the program and the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// A serial server.
    Server,
    /// An ESPHome node.
    Node(Cipher),
}

/// Whether the API of a node is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Plain,
    Noise,
}

/// A serial server: what is in transit when a connection ends goes to the next one. The same holds
/// for a node, behind which the line is.
struct Gateway {
    connections: mpsc::UnboundedSender<DuplexStream>,
    /// The same meter over a good line, and whether that line is in use.
    good: mpsc::UnboundedSender<DuplexStream>,
    is_good: Arc<AtomicBool>,
    /// The nodes at both lines, and their address.
    nodes: Option<(Node, Node, Endpoint)>,
}

impl Gateway {
    fn new(
        between: Between,
        connections: mpsc::UnboundedSender<DuplexStream>,
        good: mpsc::UnboundedSender<DuplexStream>,
        is_good: Arc<AtomicBool>,
    ) -> Self {
        let nodes = match between {
            Between::Server => None,
            Between::Node(cipher) => {
                let (key, query) = match cipher {
                    Cipher::Plain => (None, String::new()),
                    // 32 zero bytes.
                    Cipher::Noise => (Some([0; 32]), format!("/?key={}", "A".repeat(43))),
                };
                let node = |line: &mpsc::UnboundedSender<DuplexStream>| {
                    Node::new(Setup { key, ..Setup::default() }, vec![line.clone()])
                };
                let endpoint = format!("esphome://head{query}").parse().unwrap();
                Some((node(&connections), node(&good), endpoint))
            }
        };
        Self { connections, good, is_good, nodes }
    }
}

impl Open for Gateway {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(4096);
        let is_good = self.is_good.load(Ordering::Relaxed);
        if let Some((bad, good, Endpoint::Node(port))) = &self.nodes {
            let node = if is_good { good } else { bad }.clone();
            tokio::spawn(async move { node.serve(far).await });
            return Ok(Box::new(port.open_over(near, SerialSettings::default()).await?));
        }
        let connections = if is_good { &self.good } else { &self.connections };
        connections.send(far).map_err(|_| OpenError::Refused)?;
        Ok(Box::new(near))
    }
}

/// After this many polls over the bad line, it is good for [`CALM`] polls.
const BAD: u32 = 100;

/// The number of polls over the good line. The last of them must be complete.
const CALM: u32 = 5;

struct Outcome {
    polls: u32,
    complete: u32,
    values: u64,
    wrong: Vec<String>,
    /// The number of wrong values of each register.
    wrong_by_register: BTreeMap<RegisterId, u32>,
    /// The number of those of t1, t2 and their difference that the other two contradict by more than
    /// their resolution.
    contradicted: BTreeMap<RegisterId, u32>,
    /// The number of forgeries of each register.
    forged: BTreeMap<RegisterId, u32>,
}

impl Outcome {
    /// `are_comparable` says that t1, t2 and their difference were read.
    fn note_wrong(&mut self, poll: u32, reading: &Reading, right: &Value, are_comparable: bool) {
        let (id, is) = (reading.register, &reading.value);
        self.wrong.push(format!("poll {poll}, {id}: {is}, not {right}"));
        *self.wrong_by_register.entry(id).or_default() += 1;
        let is_far_off = match (is, right) {
            (Value::Number(is), Value::Number(right)) => (is - right).abs() > Decimal::new(1, 2),
            _ => true,
        };
        if are_comparable && is_far_off && TEMPERATURES.contains(&id) {
            *self.contradicted.entry(id).or_default() += 1;
        }
    }
}

async fn run(
    polls: u32,
    interval: Duration,
    registers: usize,
    seed: u64,
    rates: Vec<(Fault, u32)>,
) -> Outcome {
    run_over(Between::Server, polls, interval, registers, seed, rates).await
}

async fn run_over(
    between: Between,
    polls: u32,
    interval: Duration,
    registers: usize,
    seed: u64,
    rates: Vec<(Fault, u32)>,
) -> Outcome {
    let first = registers;
    let (registers, held) = watch::channel(table(0));
    let behaviour = Behaviour { turnaround: TURNAROUND, ..Behaviour::default() };
    let meter = Simulator::new(held, behaviour);
    let faults = Faults::new(seed, rates);
    let noisy = meter.clone().with_faults(faults.clone());
    let (connections, accepted) = mpsc::unbounded_channel();
    let (good, accepted_well) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { noisy.serve_each(accepted).await });
    tasks.spawn(async move { meter.serve_each(accepted_well).await });
    let mut all = registers.borrow().values.keys().copied().collect::<Vec<RegisterId>>();
    all.retain(|register| register.get() != 1001);
    let is_good = Arc::new(AtomicBool::new(false));
    let wanted = all[..first].to_vec();
    let plan = Plan {
        port: Gateway::new(between, connections, good, Arc::clone(&is_good)),
        port_name: "gateway".to_owned(),
        line: Line::new(1200),
        registers: wanted.clone(),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Auto,
        interval,
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    tasks.spawn(poll::run(plan, midnight(), sender, MeterHandle::default(), stop.clone()));
    let mut outcome = Outcome {
        polls,
        complete: 0,
        values: 0,
        wrong: Vec::new(),
        wrong_by_register: BTreeMap::new(),
        contradicted: BTreeMap::new(),
        forged: BTreeMap::new(),
    };
    let mut before = table(0);
    let mut changed = Instant::now();
    // No meter stays unread, completely or partly, once its line is good again.
    for poll in 0..polls + polls.div_ceil(BAD) * CALM {
        let phase = poll % (BAD + CALM);
        let is_bad = phase < BAD;
        is_good.store(!is_bad, Ordering::Relaxed);
        let result = results.recv().await.unwrap();
        let held = registers.borrow().clone();
        // A poll may have begun before the values changed, if it followed immediately on one that
        // took longer than the interval.
        let begun = Instant::now() - result.took;
        let is_read =
            |register: &RegisterId| result.readings.iter().any(|it| it.register == *register);
        let are_comparable = TEMPERATURES.iter().all(is_read);
        for reading in &result.readings {
            outcome.values += 1;
            let is_held = |table: &Registers| {
                let right = &table.values[&reading.register];
                right.value().unwrap() == reading.value && right.unit == reading.unit
            };
            if !(is_held(&held) || begun <= changed && is_held(&before)) {
                let right = held.values[&reading.register].value().unwrap();
                outcome.note_wrong(poll, reading, &right, are_comparable);
            }
        }
        let is_complete = result.readings.len() == wanted.len();
        outcome.complete += u32::from(is_complete && is_bad);
        let is_last_good = phase == BAD + CALM - 1;
        assert!(is_complete || !is_last_good, "seed {seed}, poll {poll}: {:?}", result.missing);
        before = held;
        changed = Instant::now();
        registers.send_replace(table(poll + 1));
    }
    outcome.forged = faults.forgeries();
    stop.cancel();
    drop(results);
    tasks.shutdown().await;
    outcome
}

/// Sixteen faults at once, each in one of a hundred to one of seven answers.
#[tokio::test(start_paused = true)]
async fn a_line_full_of_faults_gives_no_wrong_value() {
    let mut shown = Vec::new();
    for (seed, rate) in [(1, 10), (2, 30), (3, 60), (4, 150)] {
        let rates = Fault::ALL.map(|fault| (fault, rate)).to_vec();
        let outcome = run(polls(5_000), FIVE_MINUTES, ALL, seed, rates).await;
        assert_eq!(outcome.wrong, [""; 0], "seed {seed}");
        assert!(outcome.values > 0);
        shown.push(format!(
            "each fault in {rate} of 1000 answers: {} polls, {} complete, {} values, 0 wrong",
            outcome.polls, outcome.complete, outcome.values
        ));
    }
    println!("{}", shown.join("\n"));
}

/// Polls so close together that an answer may arrive while one of the next two polls waits for its
/// own. Only the order of the registers distinguishes them.
#[tokio::test(start_paused = true)]
async fn no_late_answer_is_taken_for_that_of_a_later_poll() {
    for (seed, rate) in [(1, 30), (2, 100), (3, 300)] {
        let outcome = run(polls(1_000), TEN_SECONDS, 8, seed, vec![(Fault::Late, rate)]).await;
        assert_eq!(outcome.wrong, [""; 0], "seed {seed}");
        println!("{rate} of 1000 answers late: {} of {} complete", outcome.complete, outcome.polls);
        assert!(outcome.values > 0);
        // A single register has no order. With polls five minutes apart no answer is late;
        // otherwise the program also requests other registers.
        for interval in [FIVE_MINUTES, TEN_SECONDS, TWO_SECONDS] {
            for registers in [1, 2] {
                let outcome =
                    run(polls(1_000), interval, registers, seed, vec![(Fault::Late, rate)]).await;
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

/// The number of registers of the meter.
const ALL: usize = 10;

/// Each fault alone, in every tenth answer, leaves more than 95 of 100 polls complete. Fewer polls
/// would be too few to measure that.
#[tokio::test(start_paused = true)]
async fn a_single_kind_of_fault_leaves_most_polls_complete() {
    for (seed, fault) in (1..).zip(Fault::ALL) {
        let outcome = run(1_000, FIVE_MINUTES, ALL, seed, vec![(fault, 100)]).await;
        assert_eq!(outcome.wrong, [""; 0], "{fault:?}");
        println!("{fault:?}: {} of {} polls complete", outcome.complete, outcome.polls);
        assert!(outcome.complete * 100 > outcome.polls * 95, "{fault:?}: {}", outcome.complete);
    }
}

/// The same through an ESPHome node, plain and encrypted: no wrong value, and as many complete
/// polls as through a serial server, apart from chance. A fault that closes the connection restarts
/// the node.
#[tokio::test(start_paused = true)]
async fn a_node_gives_no_wrong_value_and_as_many_complete_polls_as_a_serial_server() {
    for (seed, fault) in (1..).zip(Fault::ALL) {
        let polls = polls(200);
        let mut complete = Vec::new();
        for between in [Between::Server, Between::Node(Cipher::Plain), Between::Node(Cipher::Noise)]
        {
            let rates = vec![(fault, 100)];
            let outcome = run_over(between, polls, FIVE_MINUTES, ALL, seed, rates).await;
            assert_eq!(outcome.wrong, [""; 0], "{fault:?}, {between:?}");
            assert!(outcome.values > 0);
            complete.push(outcome.complete);
        }
        println!("{fault:?}: {complete:?} of {polls} polls complete");
        let [server, nodes @ ..] = &complete[..] else { panic!() };
        let by_chance = polls / 50;
        assert!(nodes.iter().all(|node| node + by_chance >= *server), "{fault:?}: {complete:?}");
    }
    // All faults at once.
    for cipher in [Cipher::Plain, Cipher::Noise] {
        let rates = Fault::ALL.map(|fault| (fault, 60)).to_vec();
        let between = Between::Node(cipher);
        let outcome = run_over(between, polls(200), FIVE_MINUTES, ALL, 3, rates).await;
        assert_eq!(outcome.wrong, [""; 0], "{cipher:?}");
        println!("{cipher:?}, all faults: {} of {} complete", outcome.complete, outcome.polls);
    }
}

/// Answers with a correct checksum and one wrong value, alone and combined with the faults of a
/// line. A value that others contradict passes only if the same forgery comes twice.
/// docs/benchmarks.md has the figures for the rest.
#[tokio::test(start_paused = true)]
async fn a_forged_value_passes_only_if_nothing_contradicts_it() {
    for (seed, forged, others) in [(1, 100, 0), (2, 100, 30)] {
        let others = Fault::ALL.map(|fault| (fault, others));
        let rates = others.into_iter().chain([(Fault::Forged, forged)]).collect();
        let outcome = run(polls(2_000), FIVE_MINUTES, ALL, seed, rates).await;
        let wrong = |register: &RegisterId| {
            outcome.wrong_by_register.get(register).copied().unwrap_or_default()
        };
        let ours = |register: &RegisterId| table(0).values.contains_key(register);
        for (register, forged) in outcome.forged.iter().filter(|(register, _)| ours(register)) {
            println!("{register}: {} of {forged} published", wrong(register));
        }
        // A value that hardly ever changes passes only if the same forgery comes twice; t1, t2 and
        // the difference only within their resolution; a counter only if it could have risen that
        // far.
        for register in [99, 60, 68, 97, 1004].map(RegisterId::new) {
            let (wrong, forged) = (wrong(&register), outcome.forged[&register]);
            let usual = forged * if register.get() == 99 { 5 } else { 30 } / 100;
            // In few polls there may be more by chance: three standard deviations.
            assert!(wrong <= usual + 3 * usual.isqrt(), "{register}: {wrong} of {forged}");
        }
        // If one of them is not read, nothing contradicts the other two.
        for register in TEMPERATURES {
            let far_off = outcome.contradicted.get(&register).copied().unwrap_or_default();
            println!(
                "{register}: {far_off} by more than the last digit, though all three were read"
            );
            assert!(far_off <= 3 + outcome.forged[&register] / 50, "{register}: {far_off}");
        }
    }
}

/// The time at which a test begins, so that polls fall on multiples of the interval from then on.
fn midnight() -> Schedule {
    Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap())
}
