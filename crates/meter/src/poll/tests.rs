use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kmp::model::Model;
use kmp::register::Register;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value};
use rust_decimal::Decimal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::sync::watch;

use super::ask::weigh;
use super::journal::{Entry, unread_words};
use super::memory::{ABSENCE, permutation};
use super::outcome::{HintContext, PollError};
use super::*;
use crate::RunsAs;
use crate::client::NoAnswer;
use crate::identity::News;
use crate::plausibility;
use crate::reading::Reading;
use crate::transport::{OpenError, Stream};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};

/// A port that does on each opening what was said.
struct Scripted {
    openings: Mutex<Vec<Opening>>,
}

enum Opening {
    Fails(OpenError),
    Silent,
    /// Closed after this many requests.
    Breaks(Registers, usize),
    /// Answers each request from the next of these, and is closed after the last.
    Each(Vec<Registers>),
    /// Silent after this many requests.
    FallsSilent(Registers, usize),
    Meter(Registers),
}

impl Open for Scripted {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let opening = {
            let mut openings = self.openings.lock().unwrap();
            if openings.is_empty() {
                return Err(OpenError::Missing);
            }
            openings.remove(0)
        };
        let (near, mut far) = duplex(1024);
        let is_silent = matches!(opening, Opening::FallsSilent(..));
        match opening {
            Opening::Fails(error) => return Err(error),
            Opening::Silent => {
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
                });
            }
            Opening::Each(answers) => {
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    for registers in answers {
                        let (mut ours, theirs) = duplex(1024);
                        let behaviour = Behaviour::default();
                        let meter = Simulator::new(watch::channel(registers).1, behaviour);
                        tokio::spawn(async move { meter.serve(theirs).await });
                        let count = far.read(&mut buffer).await.unwrap();
                        ours.write_all(&buffer[..count]).await.unwrap();
                        let count = ours.read(&mut buffer).await.unwrap();
                        far.write_all(&buffer[..count]).await.unwrap();
                    }
                });
            }
            Opening::Breaks(registers, requests) | Opening::FallsSilent(registers, requests) => {
                let (mut ours, theirs) = duplex(1024);
                let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                tokio::spawn(async move { meter.serve(theirs).await });
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    for _ in 0..requests {
                        let count = far.read(&mut buffer).await.unwrap();
                        ours.write_all(&buffer[..count]).await.unwrap();
                        let count = ours.read(&mut buffer).await.unwrap();
                        far.write_all(&buffer[..count]).await.unwrap();
                    }
                    if is_silent {
                        let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
                    }
                });
            }
            Opening::Meter(registers) => {
                let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                tokio::spawn(async move { meter.serve(far).await });
            }
        }
        Ok(Box::new(near))
    }
}

fn ids(names: &str) -> Vec<RegisterId> {
    let id = |name: &str| match Register::by_key(name) {
        Some(register) => register.id,
        None => name.parse().unwrap(),
    };
    names.split(' ').map(id).collect()
}

/// Those of the older program: 32.
fn all_names() -> String {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let names = registers.values.keys().map(|register| register.info().unwrap().key);
    names.collect::<Vec<_>>().join(" ")
}

fn meter() -> Opening {
    Opening::Meter(Registers::example(EnergyUnit::KilowattHour, 0))
}

fn without(names: &str) -> Opening {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    registers.values.retain(|id, _| !ids(names).contains(id));
    Opening::Meter(registers)
}

/// The time at which a test begins, so that beats fall on the multiples of the interval since then.
fn midnight() -> Schedule {
    Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap())
}

fn plan(names: &str, openings: Vec<Opening>) -> Plan<Scripted> {
    Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    }
}

/// Polls once for each opening; the log lines of each poll, and what came.
async fn polls(names: &str, openings: Vec<Opening>) -> (String, Vec<Polled>) {
    polls_of(Version::Generic, names, openings).await
}

async fn polls_of(version: Version, names: &str, openings: Vec<Opening>) -> (String, Vec<Polled>) {
    let count = openings.len();
    let mut openings = openings;
    openings.push(Opening::Silent);
    let plan = Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        version,
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    };
    let mut journal = Journal::new(&plan);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(version));
    let (mut log, mut all) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        journal.models = memory.identification.known_models();
        log.push(format!("poll {number}"));
        for entry in journal.lines(&polled, Duration::from_millis(900)) {
            log.push(match entry {
                Entry::Info(text) => format!(" INFO {text}"),
                Entry::Warn(text) => format!(" WARN {text}"),
                Entry::Debug(text) => format!("DEBUG {text}"),
            });
        }
        all.push(polled);
        tokio::time::sleep(plan.interval).await;
    }
    (log.join("\n"), all)
}

#[tokio::test(start_paused = true)]
async fn every_register_is_read_or_missing() {
    let (_, polled) =
        polls("temp1 energy 4000 volume", vec![meter(), meter(), Opening::Silent]).await;
    let mut read: Vec<_> = polled[0].readings.iter().map(|reading| reading.register).collect();
    read.sort_unstable();
    assert_eq!(read, ids("energy volume temp1"));
    assert_eq!(polled[0].missing, [(RegisterId::new(4000), Missing::Omitted)]);
    assert_eq!(polled[1].missing, [(RegisterId::new(4000), Missing::LeftOut)]);
    assert_eq!(polled[2].readings, []);
    let mut missing: Vec<_> = polled[2].missing.iter().map(|(register, _)| *register).collect();
    // What the meter does not have was not asked for again.
    missing.sort_unstable();
    assert_eq!(missing, ids("energy volume temp1 4000"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_meter_costs_seconds_and_the_next_time_less() {
    let plan = plan(&all_names(), vec![Opening::Silent, Opening::Silent]);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    for expected in [16, 7] {
        let started = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!(polled.trouble, Some(PollError::Meter(NoAnswer::Nothing)));
        assert_eq!(polled.missing.len(), 32);
        memory.last_poll_failed = true;
        assert!(started.elapsed().as_secs().abs_diff(expected) <= 1, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_register_that_silences_the_meter_does_not_pass_for_sleep() {
    let silenced = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        registers.silencing.extend(ids("power"));
        Opening::Meter(registers)
    };
    let openings = vec![Opening::Silent, silenced()];
    let plan = plan("energy power volume", openings);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.readings, []);
    memory.last_poll_failed = true;
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.readings.len(), 2);
    assert_eq!(polled.missing, [(RegisterId::new(80), Missing::Silences)]);
}

/// What was found until then is kept, and it does not go on for long.
#[tokio::test(start_paused = true)]
async fn a_scan_ends_when_the_meter_falls_silent() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let plan = plan("energy", vec![Opening::FallsSilent(registers, 5)]);
    let wanted: Vec<_> = (57..=180).map(RegisterId::new).collect();
    let mut reader = Reader::new(Plan { registers: wanted, ..plan });
    let started = Instant::now();
    let scanned = reader.scan(&CancellationToken::new(), |_| {}).await;
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    assert!(!scanned.complete);
    let to = scanned.to.unwrap();
    assert!((60..100).contains(&to.get()), "{to}");
    assert!(scanned.readings.iter().any(|reading| reading.register.get() == 60));
    assert!(scanned.readings.iter().all(|reading| reading.register <= to));
    let trouble = scanned.trouble.unwrap();
    assert!(trouble.words.starts_with("The meter is silent: "), "{}", trouble.words);
}

/// What must be read twice is so over the connection that is made again.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_second_reading_is_made_again() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let plan_of_one = plan("energy", vec![Opening::Breaks(registers.clone(), 1), meter()]);
    let mut memory = Memory::new(Version::Generic);
    let polled = poll(&plan_of_one, &mut memory, &CancellationToken::new()).await.unwrap();
    assert_eq!((polled.missing, polled.trouble), (Vec::new(), None));
    assert_eq!(polled.readings.len(), 1);
    // Nor does a scan lose it.
    let plan = plan("60 61", vec![Opening::Breaks(registers, 4), meter()]);
    let scanned = Reader::new(plan).scan(&CancellationToken::new(), |_| {}).await;
    assert!(scanned.complete && scanned.odd.is_empty(), "{scanned:?}");
    assert_eq!(scanned.readings.len(), 1);
}

/// A serial server may hold answers to who asked before, and hand them out one after the other, over
/// several connections: what may be late counts only if two readings agree.
#[tokio::test(start_paused = true)]
async fn what_may_be_late_must_agree_over_a_connection_that_is_made_again_too() {
    let [first, rest @ ..] = [0, 20, 40, 60, 80, 100, 120]
        .map(|minutes| Registers::example(EnergyUnit::KilowattHour, minutes));
    let openings = vec![Opening::Each(vec![first]), Opening::Each(rest.into())];
    let mut memory = Memory::new(Version::Generic);
    let plan = plan("energy", openings);
    let polled = poll(&plan, &mut memory, &CancellationToken::new()).await.unwrap();
    assert_eq!(polled.readings, []);
    assert_eq!(polled.missing, [(ids("energy")[0], Missing::Doubtful)]);
}

/// What is doubtful may be asked for anew for another reason. It must not be lost on the way.
#[test]
fn a_register_is_doubtful_once() {
    let mut memory = Memory::new(Version::Generic);
    let mut polled = Polled::default();
    let reading = |minutes| {
        let registers = Registers::example(EnergyUnit::KilowattHour, minutes);
        Reading::try_from(&registers.values[&ids("energy")[0]]).unwrap()
    };
    let late = plausibility::ReadingQuality { clean: true, may_be_late: true };
    for value in [1, 2] {
        weigh(reading(value), late, &mut polled, &mut memory);
    }
    let doubtful: Vec<_> = polled.doubtful.iter().map(|(reading, _)| reading.clone()).collect();
    assert_eq!((doubtful, polled.readings.len()), (vec![reading(2)], 0));
    weigh(
        reading(2),
        plausibility::ReadingQuality { may_be_late: false, ..late },
        &mut polled,
        &mut memory,
    );
    assert_eq!((polled.doubtful.len(), polled.readings), (0, vec![reading(2)]));
}

/// What only the program wants to know is no trouble of the user's; and what could not be read twice
/// does not contradict itself.
#[tokio::test(start_paused = true)]
async fn what_a_broken_connection_left_undone_is_said_truly() {
    let breaks = || Opening::Breaks(Registers::example(EnergyUnit::KilowattHour, 0), 1);
    let (log, polled) = polls("energy", vec![breaks(), Opening::Fails(OpenError::Missing)]).await;
    assert_eq!(polled[0].missing, [(ids("energy")[0], Missing::NoAnswer)], "{log}");
    assert_eq!(polled[0].trouble, Some(PollError::Port(OpenError::Missing)));
}

#[tokio::test(start_paused = true)]
async fn a_register_that_silences_the_meter_is_told_once() {
    let silenced = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        registers.silencing.extend(ids("power"));
        Opening::Meter(registers)
    };
    let (captured, _logging) = logging::capture::lines();
    let (log, _) = polls("energy power volume", vec![silenced(), silenced()]).await;
    let searches = captured.take().into_iter().filter(|line| line.starts_with("INFO"));
    assert_eq!(
        searches.collect::<Vec<_>>(),
        ["INFO Looking for the value that silences the meter; this takes up to a minute."]
    );
    let warnings: Vec<_> = log.lines().filter(|line| line.starts_with(" WARN")).collect();
    let expected = " WARN `power` (register 80) is not published: this meter does not have it, and \
                    falls silent when it is asked for it.";
    assert_eq!(warnings, [expected], "{log}");
}

#[tokio::test(start_paused = true)]
async fn registers_that_silence_the_meter_cost_only_themselves_and_only_once_a_day() {
    let silenced = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        for silencing in ids("temp1xm3 power") {
            registers.values.remove(&silencing);
            registers.silencing.insert(silencing);
        }
        Opening::Meter(registers)
    };
    let plan = plan(&all_names(), (0..4).map(|_| silenced()).collect());
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let mut took = Vec::new();
    for pause in [Duration::from_secs(300), ABSENCE / 2, ABSENCE / 2, Duration::ZERO] {
        let started = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        took.push(started.elapsed());
        assert_eq!(polled.trouble, None);
        assert_eq!(polled.readings.len(), 30);
        let mut missing = polled.missing;
        missing.sort_by_key(|(register, _)| *register);
        let expected: Vec<_> =
            ids("power temp1xm3").into_iter().map(|id| (id, Missing::Silences)).collect();
        assert_eq!(missing, expected);
        tokio::time::sleep(pause).await;
    }
    assert!(took[1] < took[0] / 3, "only these are asked for once more: {took:?}");
    assert!(took[2] < Duration::from_secs(1), "not asked for: {took:?}");
    assert!(took[3] > Duration::from_secs(10), "a day has passed: {took:?}");
}

/// As few bytes as the protocol allows, at the speed of the line: the least number of requests,
/// and hardly more time than the bytes and the meter's turnaround take.
#[tokio::test(start_paused = true)]
async fn a_poll_costs_what_the_line_must_carry_and_no_more() {
    let seven = "energy volume power flow temp1 temp2 tempdiff".to_owned();
    for (names, requests, bytes_out) in [(seven, 1, 21), (all_names(), 4, 93)] {
        let line = Line::new(1200);
        let turnaround = Duration::from_millis(50);
        let behaviour = Behaviour { line: Some(line), turnaround, echo: false };
        let plan = plan(&names, Vec::new());
        let wire = Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), behaviour);
        let plan = Plan {
            port: wire,
            port_name: plan.port_name,
            line,
            registers: plan.registers,
            version: plan.version,
            interval: plan.interval,
            runs_as: RunsAs::Program,
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        // The first poll waits until the line is quiet, and the second one asks once more for what this
        // meter does not have.
        for _ in 0..2 {
            poll(&plan, &mut memory, &stop).await.unwrap();
        }
        plan.port.reset();
        let started = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        let took = started.elapsed();
        assert_eq!(polled.missing, []);
        let (asked, sent, received) = plan.port.counted();
        assert_eq!((asked, sent), (requests, bytes_out));
        // Each register once, a frame around each answer, and some stuffed bytes.
        let registers: usize = polled.readings.iter().map(|reading| 5 + reading.length).sum();
        let least = registers + 6 * requests;
        assert!((least..=least + 16).contains(&received), "{received}, at least {least}");
        let bound = line.time_for(sent + received) + turnaround * u32::try_from(asked).unwrap();
        assert!(took >= bound && took <= bound * 102 / 100, "{took:?}, {bound:?}");
    }
}

/// A register alone has no order by which a late answer would show. Where one may come from a poll
/// before, others are asked for along with it, and nobody but the line sees them.
#[tokio::test(start_paused = true)]
async fn a_register_has_company_only_where_its_answer_may_be_late() {
    let behaviour = Behaviour::default();
    let plan = Plan {
        port: Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), behaviour),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy"),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    poll(&plan, &mut memory, &stop).await.unwrap();
    // From one poll to the next, and how many registers the next one asks for.
    let needed = [(300, 1), (60, 1), (59, 2), (30, 2), (29, 3), (10, 3), (9, 4), (2, 5), (60, 1)];
    for (seconds, registers) in needed {
        // The first time it may learn which registers the meter has.
        for settled in [false, true] {
            let begun = memory.begun.unwrap();
            sleep_until(begun + Duration::from_secs(seconds)).await;
            plan.port.reset();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            let read: Vec<_> = polled.readings.iter().map(|reading| reading.register).collect();
            assert_eq!((read, polled.missing), (ids("energy"), vec![]));
            let (requests, sent, _) = plan.port.counted();
            if settled {
                assert_eq!((requests, sent), (1, 7 + 2 * registers), "after {seconds} s");
            }
        }
    }
}

/// A serial server that keeps what a meter of 1000 kWh says first to the first connection, and hands it over
/// to the second one just after its first request for registers, when the meter has 2000 kWh.
struct Belated {
    kept: Arc<Mutex<Vec<u8>>>,
    is_second: Mutex<bool>,
}

impl Belated {
    fn holding(thousands: i64) -> Simulator {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(
            &mut registers,
            &[
                (60, Unit::KILOWATT_HOUR, 1000 * thousands, 0, 4),
                (68, Unit::CUBIC_METRE, 1000 * thousands, 0, 4),
            ],
        );
        Simulator::new(watch::channel(registers).1, Behaviour::default())
    }
}

impl Open for Belated {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let is_second = std::mem::replace(&mut *self.is_second.lock().unwrap(), true);
        let (near, mut far) = duplex(1024);
        let (mut ours, theirs) = duplex(1024);
        let meter = Self::holding(if is_second { 2 } else { 1 });
        tokio::spawn(async move { meter.serve(theirs).await });
        let kept = Arc::clone(&self.kept);
        tokio::spawn(async move {
            let mut buffer = [0; 256];
            while let Ok(count @ 1..) = far.read(&mut buffer).await {
                let asks_for_registers = buffer[2] == 0x10;
                ours.write_all(&buffer[..count]).await.unwrap();
                let count = ours.read(&mut buffer).await.unwrap();
                let answer = buffer[..count].to_vec();
                if !asks_for_registers {
                    let _ = far.write_all(&answer).await;
                } else if is_second {
                    let late = std::mem::take(&mut *kept.lock().unwrap());
                    let _ = far.write_all(&[late, answer].concat()).await;
                } else if kept.lock().unwrap().is_empty() {
                    *kept.lock().unwrap() = answer;
                }
            }
        });
        Ok(Box::new(near))
    }
}

/// When the configuration changes, another task goes on with the meter. Its first request must not
/// look like one whose answer may still come.
#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_pass_for_that_of_the_next_task() {
    let port = Belated { kept: Arc::default(), is_second: Mutex::new(false) };
    let plan = Plan {
        port,
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy volume"),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.readings.len(), 0, "{polled:?}");
    let memories = MeterMemories::default();
    memories.leave("port", memory);
    let mut memory = memories.take("port", Version::Auto);
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    let read: Vec<_> = polled.readings.iter().map(|reading| reading.value.clone()).collect();
    let energy = Value::Number(Decimal::from(2000));
    assert_eq!(read, [energy.clone(), energy], "{polled:?}");
    assert!(plan.port.kept.lock().unwrap().is_empty(), "it was handed over");
    // Of another port nothing is known.
    assert!(memories.take("other", Version::Auto).begun.is_none());
}

/// A port to a meter that counts what goes over the line.
struct Wire {
    meter: Simulator,
    counts: Arc<Mutex<(usize, usize, usize)>>,
}

impl Wire {
    fn new(registers: Registers, behaviour: Behaviour) -> Self {
        let meter = Simulator::new(watch::channel(registers).1, behaviour);
        Self { meter, counts: Arc::default() }
    }

    fn reset(&self) {
        *self.counts.lock().unwrap() = (0, 0, 0);
    }

    /// Requests, bytes of requests, bytes of answers.
    fn counted(&self) -> (usize, usize, usize) {
        *self.counts.lock().unwrap()
    }
}

fn count_request(counts: &Mutex<(usize, usize, usize)>, bytes: usize) {
    let mut counts = counts.lock().unwrap();
    counts.0 += 1;
    counts.1 += bytes;
}

impl Open for Wire {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        let (mut ours, theirs) = duplex(1024);
        let meter = self.meter.clone();
        tokio::spawn(async move { meter.serve(theirs).await });
        let counts = Arc::clone(&self.counts);
        tokio::spawn(async move {
            let mut far = far;
            let (mut request, mut answer) = ([0; 256], [0; 256]);
            loop {
                tokio::select! {
                    Ok(count @ 1..) = far.read(&mut request) => {
                        count_request(&counts, count);
                        ours.write_all(&request[..count]).await.unwrap();
                    }
                    Ok(count @ 1..) = ours.read(&mut answer) => {
                        counts.lock().unwrap().2 += count;
                        if far.write_all(&answer[..count]).await.is_err() {
                            return;
                        }
                    }
                    else => return,
                }
            }
        });
        Ok(Box::new(near))
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_costs_nothing() {
    let all = all_names();
    let registers = || Registers::example(EnergyUnit::KilowattHour, 0);
    let count = ids(&all).len();
    // Once, it is made again and goes on where it broke.
    for requests in 0..4 {
        let broken = vec![Opening::Breaks(registers(), requests), meter()];
        let plan = plan(&all, broken);
        let stop = CancellationToken::new();
        let polled = poll(&plan, &mut Memory::new(Version::Generic), &stop).await.unwrap();
        assert_eq!(
            (polled.readings.len(), polled.missing.len()),
            (count, 0),
            "{requests}: {:?}",
            polled.trouble
        );
        assert_eq!(polled.trouble, None);
    }
    // Twice is enough.
    let broken = vec![Opening::Breaks(registers(), 1), Opening::Breaks(registers(), 1), meter()];
    let plan = plan(&all, broken);
    let stop = CancellationToken::new();
    let polled = poll(&plan, &mut Memory::new(Version::Generic), &stop).await.unwrap();
    // With info code and serial number they are 34: five requests, and these two were in the first two.
    assert_eq!((polled.readings.len(), polled.missing.len()), (12, count - 12));
    assert!(matches!(polled.trouble, Some(PollError::Broken(_))), "{:?}", polled.trouble);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_state_is_told_once() {
    let openings = vec![
        Opening::Fails(OpenError::Missing),
        Opening::Fails(OpenError::Missing),
        Opening::Fails(OpenError::Denied),
        Opening::Silent,
        Opening::Silent,
        meter(),
        without("volume"),
        without("volume"),
        without("volume"),
        meter(),
        without("volume"),
        Opening::Silent,
    ];
    let (log, _) = polls("energy volume", openings).await;
    insta::assert_snapshot!(log);
}

/// An answer without registers (`40 3F 10 07 9A 0D`) may be to anything. Some came one after the other.
#[tokio::test(start_paused = true)]
async fn answers_without_registers_prove_nothing() {
    let registers = || Registers::example(EnergyUnit::KilowattHour, 0);
    for count in 1..12 {
        let answers = [vec![Registers::empty(); count], vec![registers(); 20]].concat();
        let openings = vec![Opening::Each(answers), meter(), meter()];
        let seven = "energy volume power flow temp1 temp2 tempdiff";
        let (log, polled) = polls_of(Version::Auto, seven, openings).await;
        for polled in &polled[1..] {
            assert_eq!((polled.readings.len(), &polled.missing), (7, &vec![]), "{count}: {log}");
        }
        assert!(!log.contains("does not have it"), "{log}");
    }
}

/// What a meter lacks, however little is asked for, is told in the second poll; and the meter goes on
/// being asked.
#[tokio::test(start_paused = true)]
async fn a_meter_that_has_nothing_of_it_is_asked_all_the_same() {
    let water = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let kept = ids("volume flow");
        registers.values.retain(|register, _| kept.contains(register));
        set(&mut registers, &[(99, Unit::NUMBER, 0, 0, 2), (1001, Unit::NUMBER, 12_345_678, 0, 4)]);
        registers
    };
    let openings = (0..4).map(|_| Opening::Meter(water())).chain([meter(), meter()]).collect();
    let (log, polled) = polls("energy power", openings).await;
    insta::assert_snapshot!(log);
    assert!(polled[..4].iter().all(|polled| polled.readings.is_empty()));
    // It has them after all.
    assert_eq!((polled[5].readings.len(), &polled[5].missing), (2, &vec![]));
}

/// A meter with the same serial number and other counters was reset, however it was read again.
#[tokio::test(start_paused = true)]
async fn a_counter_that_fell_is_told() {
    let counting = |hundredths: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(&mut registers, &[(68, Unit::CUBIC_METRE, hundredths, 2, 4)]);
        registers
    };
    let fell = "`volume` (register 68) was 50000.01 and is 1.25: it was reset. Two readings agree, so \
                it is published.";
    for (names, interval) in [("energy volume", 300), ("volume", 300), ("volume", 10)] {
        let (sender, registers) = watch::channel(counting(5_000_001));
        let wire = Wire::new(registers.borrow().clone(), Behaviour::default());
        let port = Wire { meter: Simulator::new(registers, Behaviour::default()), ..wire };
        let plan = plan(names, Vec::new());
        let plan = Plan {
            port,
            port_name: plan.port_name,
            line: plan.line,
            registers: plan.registers,
            version: plan.version,
            interval: Duration::from_secs(interval),
            runs_as: RunsAs::Program,
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
        let mut journal = Journal::new(&plan);
        let mut told = Vec::new();
        for hundredths in [5_000_001, 5_000_001, 125, 125] {
            sender.send_replace(counting(hundredths));
            // A poll in vain leaves doubts about the line.
            memory.line_state = crate::client::LineState::default();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            assert_eq!(polled.missing, []);
            assert_eq!(polled.exchange, None);
            told.extend(journal.lines(&polled, Duration::ZERO).into_iter().filter_map(
                |it| match it {
                    Entry::Warn(text) => Some(text),
                    _ => None,
                },
            ));
            tokio::time::sleep(plan.interval).await;
        }
        assert_eq!(told, [fell], "{names} every {interval} s");
    }
}

/// A right frame with one wrong gauge, which the others contradict.
#[tokio::test(start_paused = true)]
async fn readings_that_contradict_each_other_are_read_again() {
    let holding = |t1: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let rows = [
            (86, Unit::CELSIUS, t1, 2, 2),
            (87, Unit::CELSIUS, 2_691, 2, 2),
            (89, Unit::KELVIN, 4_034, 2, 2),
        ];
        set(&mut registers, &rows);
        registers
    };
    let celsius = |polled: &Polled, register: u16| {
        let of = |reading: &&Reading| reading.register.get() == register;
        polled.readings.iter().find(of).map(|reading| reading.value.to_string())
    };
    let names = "temp1 temp2 tempdiff";
    let good = || vec![holding(6_725); 30];
    // Once wrong.
    for place in 0..2 {
        let mut answers = good();
        answers[place] = holding(0);
        let openings = vec![Opening::Meter(holding(6_725)), Opening::Each(answers)];
        let (log, polled) = polls(names, openings).await;
        assert_eq!(celsius(&polled[1], 86).as_deref(), Some("67.25"), "{log}");
        assert_eq!(polled[1].missing, [], "{log}");
        assert!(!log.contains("fit together"), "{log}");
    }
    // A meter that means it.
    let odd = || Opening::Meter(holding(6_000));
    let (log, polled) = polls(names, vec![odd(), odd(), odd()]).await;
    assert!(polled.iter().all(|polled| polled.readings.len() == 3), "{log}");
    insta::assert_snapshot!(log);
}

fn set(registers: &mut Registers, rows: &[(u16, Unit, i64, u32, u8)]) {
    for (id, unit, number, places, length) in rows {
        let value = Decimal::new(*number, *places);
        let id = RegisterId::new(*id);
        registers.insert(RegisterValue::from_decimal(id, *unit, value, *length).unwrap());
    }
}

/// A MULTICAL 403 whose t1 is broken, and mended.
#[tokio::test(start_paused = true)]
async fn what_a_broken_sensor_gives_is_withheld_and_told() {
    let broken = |code| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let rows = [
            (86, Unit::CELSIUS, 18_500, 2, 2),
            (89, Unit::KELVIN, 0, 2, 2),
            (80, Unit::KILOWATT, 0, 1, 2),
            (74, Unit::LITRE_PER_HOUR, 0, 0, 2),
            (99, Unit::NUMBER, code, 0, 2),
        ];
        set(&mut registers, &rows);
        Opening::Meter(registers)
    };
    let fine = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(&mut registers, &[(99, Unit::NUMBER, 0, 0, 2)]);
        Opening::Meter(registers)
    };
    let openings =
        vec![fine(), broken(8), broken(8), Opening::Silent, fine(), broken(0), broken(8)];
    let seven = "energy volume power flow temp1 temp2 tempdiff";
    let (log, polled) = polls_of(Version::Model(Model::Multical403), seven, openings).await;
    insta::assert_snapshot!(log);
    let read: Vec<_> = polled.iter().map(|polled| polled.readings.len()).collect();
    // 185.00 °C with an info code of 0 is published: the meter says that nothing is wrong.
    assert_eq!(read, [7, 3, 3, 0, 7, 7, 3]);
}

/// The info code is asked for only where a value is suspicious.
#[tokio::test(start_paused = true)]
async fn a_suspicious_value_without_its_info_code_is_withheld() {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(87, Unit::CELSIUS, 0, 2, 2)]);
    // A meter without register 99: nothing says that the value is wrong.
    let without_code = || Opening::Meter(registers.clone());
    let (_, polled) = polls("temp2 volume", vec![without_code(), without_code()]).await;
    assert_eq!(polled[1].readings.len(), 2);
    // One that said that all is well, and falls silent when it is asked again.
    set(&mut registers, &[(87, Unit::CELSIUS, 4_000, 2, 2), (99, Unit::NUMBER, 0, 0, 2)]);
    let well = Opening::Meter(registers.clone());
    set(&mut registers, &[(87, Unit::CELSIUS, 0, 2, 2)]);
    let breaks = Opening::Breaks(registers, 1);
    let (_, polled) = polls("temp2 volume", vec![well, breaks, Opening::Silent]).await;
    assert_eq!(polled[0].readings.len(), 2);
    assert_eq!(polled[1].missing, [(RegisterId::new(87), Missing::NoAnswer)]);
    assert_eq!(polled[1].readings.len(), 1);
}

/// What the meter says of its faults is asked once an hour, and costs no request of its own.
#[tokio::test(start_paused = true)]
async fn the_info_code_is_read_now_and_then() {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(99, Unit::NUMBER, 2, 0, 2)]);
    let seven = ids("energy volume power flow temp1 temp2 tempdiff");
    let plan = Plan {
        port: Wire::new(registers, Behaviour::default()),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: seven,
        version: Version::Model(Model::Multical403),
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    poll(&plan, &mut memory, &stop).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..24 {
        tokio::time::sleep(plan.interval).await;
        plan.port.reset();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), plan.port.counted().0), (7, 1));
        told.push(polled.condition.map_or(0, |condition| condition.code));
    }
    assert_eq!(told.iter().filter(|code| **code == 2).count(), 2, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_meter_is_asked_once_who_it_is() {
    let identified = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(
            &mut registers,
            &[
                (1001, Unit::NUMBER, 12_345_678, 0, 4),
                (1010, Unit::NUMBER, 87_654_321, 0, 4),
                (112, Unit::NUMBER, 12, 0, 4),
            ],
        );
        // As a 403 is by some.
        registers.silencing.insert(RegisterId::new(348));
        registers
    };
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let plan = Plan {
        port: Wire::new(identified(), behaviour),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy volume power flow temp1 temp2 tempdiff"),
        version: Version::Auto,
        interval: Duration::from_secs(300),
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Auto));
    // What silences the meter costs each poll one request, until it is found.
    let mut told = Vec::new();
    for _ in 0..6 {
        let started = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), polled.missing.len()), (7, 0));
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
        told.extend(polled.news);
        tokio::time::sleep(plan.interval).await;
    }
    let words = "The meter is most likely a Multical 403: it has registers 266 and 141 (serial number \
         12345678, type 0x0217, software A2).";
    assert_eq!(told, [News::Info(words.to_owned())]);
    let identity = memory.identification.identity();
    assert_eq!(identity.models, [Model::Multical403]);
    assert_eq!(identity.customer, Some(Decimal::from(1_287_654_321_i64)));
    plan.port.reset();
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.news, None);
    assert_eq!(plan.port.counted().0, 1, "never again");
}

/// Of a meter that is polled seldom.
fn about(models: &[Model]) -> HintContext<'_> {
    let interval = Duration::from_secs(3600);
    HintContext { port: "/dev/ttyUSB0", interval, models, runs_as: RunsAs::Program }
}

#[test]
fn every_trouble_says_what_to_do() {
    let ports = [
        OpenError::Missing,
        OpenError::NotSerial,
        OpenError::Denied,
        OpenError::Busy,
        OpenError::HostNotFound { host: "meter.local".to_owned() },
        OpenError::NotLookedUp { host: "meter.local".to_owned() },
        OpenError::Refused,
        OpenError::NoConnection,
        OpenError::Unwanted { said: String::new() },
        OpenError::Unwanted { said: "Port already in use".to_owned() },
        OpenError::WebPage,
        OpenError::Broker,
        OpenError::Shortage { reason: "Too many open files (os error 24)".to_owned() },
        OpenError::Other { reason: "odd".to_owned() },
    ];
    let heard = [
        NoAnswer::Nothing,
        NoAnswer::OwnEcho,
        NoAnswer::Noise,
        NoAnswer::Damaged,
        NoAnswer::Foreign,
    ];
    let troubles = ports
        .into_iter()
        .map(PollError::Port)
        .chain([PollError::Broken("end of file".to_owned())])
        .chain(heard.into_iter().map(PollError::Meter));
    let texts: Vec<_> = troubles
        .map(|trouble| {
            let about = about(&[]);
            format!("{}.\n  {}", trouble.words(about.port), trouble.hint(&about))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
    // There is no command line in the add-on.
    let add_on = HintContext { runs_as: RunsAs::AddOn, ..about(&[]) };
    let in_add_on = [OpenError::Missing, OpenError::NotSerial, OpenError::Denied]
        .map(|error| format!("{error}.\n  {}", error.hint(add_on.runs_as)));
    insta::assert_snapshot!("what_to_do_in_the_add_on", in_add_on.join("\n"));
    let silent = PollError::Meter(NoAnswer::Nothing);
    let often = HintContext { interval: Duration::from_secs(300), ..about(&[Model::Multical402]) };
    assert!(!silent.hint(&often).contains("30 minutes"));
    let server = HintContext { port: "socket://10.0.0.3:2003", ..about(&[]) };
    assert!(silent.hint(&server).contains("2 stop bits"), "{}", silent.hint(&server));
    // Of one that it may be nothing is said that is not true of the others.
    let of = |models: &[Model]| silent.hint(&about(models));
    assert_eq!(of(&[Model::Multical402, Model::Multical602]), of(&[]));
    assert_eq!(of(&[Model::Multical603, Model::Multical303]), of(&[Model::Multical603]));
    let sleeping = Model::ALL.map(|model| {
        format!("{model}: {}", PollError::Meter(NoAnswer::Nothing).hint(&about(&[model])))
    });
    insta::assert_snapshot!("how_to_wake_each_model", sleeping.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_sleeps_is_tried_sooner_and_then_ever_later() {
    let openings = (0..7).map(|_| Opening::Silent).chain([meter(), meter()]).collect();
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let started = Instant::now();
    let task = tokio::spawn(run(
        plan("energy", openings),
        midnight(),
        sender,
        MeterHandle::default(),
        stop.clone(),
    ));
    let mut ends = Vec::new();
    for _ in 0..9 {
        results.recv().await.unwrap();
        ends.push(started.elapsed().as_secs());
    }
    stop.cancel();
    task.await.unwrap();
    // 15 s, 30 s, 60 s and 120 s after the poll before, then every five minutes.
    let gaps: Vec<u64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[..4].is_sorted() && gaps[0] < 22 && gaps[3] > 60, "{gaps:?}");
    assert_eq!(ends[8] % 300, 0, "back on the schedule: {ends:?}");
    assert_eq!(ends[8] - ends[7], 300);
}

#[tokio::test(start_paused = true)]
async fn polls_keep_to_the_interval_and_stop_when_asked() {
    let openings = (0..4).map(|_| meter()).collect();
    let plan = Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy energy volume"),
        version: Version::Generic,
        interval: Duration::from_secs(60),
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let started = Instant::now();
    let task = tokio::spawn(run(plan, midnight(), sender, MeterHandle::default(), stop.clone()));
    for number in 0..3 {
        let result = results.recv().await.unwrap();
        assert_eq!(started.elapsed().as_secs(), number * 60);
        // Each register once.
        assert_eq!(result.readings.len() + result.missing.len(), 2);
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 120);
}

/// In seconds since the start, which is at so many seconds after midnight by the clock on the wall:
/// when the first polls end while `set` sets the clock forward, in seconds, at times since the start.
async fn ends_of_polls(
    offset: u64,
    interval: u64,
    openings: Vec<Opening>,
    set: Vec<(u64, i64)>,
) -> Vec<u64> {
    ends_of_polls_by(&MeterHandle::default(), offset, interval, openings, set).await
}

/// The same for polls that this handle moves.
async fn ends_of_polls_by(
    handle: &MeterHandle,
    offset: u64,
    interval: u64,
    openings: Vec<Opening>,
    set: Vec<(u64, i64)>,
) -> Vec<u64> {
    let count = openings.len();
    let midnight: jiff::Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let start = Instant::now();
    let clock = move || {
        let elapsed = start.elapsed();
        let is_set = |(at, _): &&(u64, i64)| elapsed >= Duration::from_secs(*at);
        let by: i64 = set.iter().filter(is_set).map(|(_, by)| by).sum();
        let time = midnight + elapsed + Duration::from_secs(offset);
        (time + jiff::SignedDuration::from_secs(by)).to_zoned_datetime(jiff::tz::TimeZone::UTC)
    };
    let plan = Plan { interval: Duration::from_secs(interval), ..plan("energy", openings) };
    let (sender, mut results) = mpsc::channel(1);
    let schedule = Schedule::new(clock, Duration::ZERO);
    let task = tokio::spawn(run(plan, schedule, sender, handle.clone(), CancellationToken::new()));
    let mut ends = Vec::new();
    for _ in 0..count {
        results.recv().await.unwrap();
        ends.push(start.elapsed().as_secs());
    }
    task.abort();
    ends
}

fn meters(count: usize) -> Vec<Opening> {
    (0..count).map(|_| meter()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_comes_at_once_and_the_others_on_the_beat() {
    // At 00:02:03, every five minutes.
    assert_eq!(ends_of_polls(123, 300, meters(4), vec![]).await, [0, 177, 477, 777]);
    // For a day, every hour, from 00:59:59: no drift.
    let ends = ends_of_polls(3599, 3600, meters(25), vec![]).await;
    assert_eq!(ends, (0..25).map(|n: u64| (n * 3600).saturating_sub(3599)).collect::<Vec<_>>());
}

/// A computer without a clock of its own learns the time some seconds after its start; one with a
/// wrong clock is put back.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_moves_the_beat() {
    // From 00:00:10 to 00:58:10 after half a minute: the full hour is 110 s later.
    let forward = vec![(30, 58 * 60)];
    assert_eq!(ends_of_polls(10, 3600, meters(3), forward).await, [0, 110, 3710]);
    // From 00:50 to the day before, 23:20.
    let back = vec![(30, -90 * 60)];
    assert_eq!(ends_of_polls(3000, 3600, meters(3), back).await, [0, 2400, 6000]);
    // By a second back and forth, as clocks are: no poll twice, none left out.
    let jitter = (1..200).map(|n| (n * 7, if n % 2 == 0 { 1 } else { -1 })).collect();
    let ends = ends_of_polls(0, 60, meters(20), jitter).await;
    for (number, end) in ends.iter().enumerate() {
        assert!(end.abs_diff(u64::try_from(number).unwrap() * 60) <= 1, "{ends:?}");
    }
}

/// Somebody presses a button of the page again and again.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_noticed_whatever_is_asked_for_meanwhile() {
    let handle = MeterHandle::default();
    let presses = async {
        loop {
            tokio::time::sleep(Duration::from_secs(7)).await;
            let _ = handle.send(Job::placement(|_| {}));
            handle.cancel();
        }
    };
    let ends = ends_of_polls_by(&handle, 10, 3600, meters(3), vec![(30, 58 * 60)]);
    tokio::select! {
        () = presses => {}
        ends = ends => assert_eq!(ends, [0, 110, 3710]),
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_polls_without_end_gets_them_every_ten_seconds() {
    let handle = MeterHandle::default();
    let pulls = async {
        loop {
            handle.request_poll();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = pulls => {}
        ends = ends_of_polls_by(&handle, 0, 300, meters(60), vec![]) => {
            let apart = ends.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(apart.into_iter().all(|apart| apart == 10), "{ends:?}");
        }
    }
}

/// Three tries of a meter that answers too late take longer than the interval.
#[tokio::test(start_paused = true)]
async fn a_poll_that_falls_into_a_longer_one_is_left_out() {
    let openings = vec![Opening::Silent, meter(), meter(), meter()];
    let ends = ends_of_polls(1, 3, openings, vec![]).await;
    assert!(ends[0] > 3, "{ends:?}");
    let next = |end: u64| (end + 1) / 3 * 3 + 2;
    // The first of them waits until the line is quiet.
    assert!(ends[1] - next(ends[0]) <= 1, "{ends:?}");
    assert_eq!(ends[2..], [next(ends[0]) + 3, next(ends[0]) + 6]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_out_of_turn_comes_at_once_but_not_too_often() {
    let openings = (0..9).map(|_| meter()).collect();
    let (sender, mut results) = mpsc::channel(1);
    let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
    let started = Instant::now();
    let task = tokio::spawn(run(
        plan("energy", openings),
        midnight(),
        sender,
        handle.clone(),
        stop.clone(),
    ));
    let mut at = async || {
        results.recv().await.unwrap();
        started.elapsed().as_secs()
    };
    assert_eq!(at().await, 0);
    // Too soon, and asked three times: once, ten seconds after the poll before.
    (0..3).for_each(|_| handle.request_poll());
    assert_eq!(at().await, 10);
    tokio::time::sleep(Duration::from_secs(100)).await;
    handle.request_poll();
    assert_eq!(at().await, 110);
    // The schedule goes on.
    assert_eq!(at().await, 300);
    assert_eq!(at().await, 600);
    stop.cancel();
    task.await.unwrap();
}

/// What happened when, in seconds since the start: polls that began and results that came.
#[derive(Clone)]
struct Clock {
    start: Instant,
    events: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }

    fn note(&self, what: &'static str) {
        self.events.lock().unwrap().push((what, self.start.elapsed().as_secs()));
    }

    fn of(&self, what: &str) -> Vec<u64> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(is, _)| *is == what).map(|(_, at)| *at).collect()
    }
}

/// A port that keeps watch: it never has two streams at a time with others of its server.
struct Watched {
    name: &'static str,
    clock: Clock,
    open: Arc<AtomicUsize>,
    /// What it takes from opening to closing; `None` is a meter that is silent.
    meter: Option<Simulator>,
    /// A connection that is never made, for so long.
    hangs: Duration,
}

struct WatchedStream {
    stream: tokio::io::DuplexStream,
    open: Arc<AtomicUsize>,
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Open for Watched {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        self.clock.note(self.name);
        if !self.hangs.is_zero() {
            tokio::time::sleep(self.hangs).await;
            return Err(OpenError::NoConnection);
        }
        assert_eq!(self.open.fetch_add(1, Ordering::Relaxed), 0, "{} is not alone", self.name);
        let (near, mut far) = duplex(1024);
        let meter = self.meter.clone();
        tokio::spawn(async move {
            match meter {
                Some(meter) => drop(meter.serve(far).await),
                None => drop(tokio::io::copy(&mut far, &mut tokio::io::sink()).await),
            }
        });
        Ok(Box::new(WatchedStream { stream: near, open: Arc::clone(&self.open) }))
    }
}

/// Meters on one serial server.
struct Server {
    host: &'static str,
    queues: PortQueues,
    clock: Clock,
    open: Arc<AtomicUsize>,
}

impl Server {
    fn new(host: &'static str, queues: &PortQueues, clock: &Clock) -> Self {
        Self { host, queues: queues.clone(), clock: clock.clone(), open: Arc::default() }
    }

    fn port(&self, name: &'static str, meter: Option<Behaviour>) -> Watched {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let meter = meter.map(|how| Simulator::new(watch::channel(registers).1, how));
        let (clock, open) = (self.clock.clone(), Arc::clone(&self.open));
        Watched { name, clock, open, meter, hangs: Duration::ZERO }
    }

    fn plan(&self, port: Watched, interval: u64) -> Plan<SharedPort<Watched>> {
        // Other port numbers are the same server.
        let number = 2000 + port.name.len();
        let endpoint = format!("socket://{}:{number}", self.host).parse().unwrap();
        Plan {
            port_name: port.name.to_owned(),
            port: self.queues.share_at(endpoint, port),
            line: Line::new(1200),
            registers: ids("energy volume power flow temp1 temp2 tempdiff"),
            version: Version::Generic,
            interval: Duration::from_secs(interval),
            runs_as: RunsAs::Program,
        }
    }
}

/// Polls for so long; what came, by meter.
async fn for_a_while<O: Open + 'static>(
    seconds: u64,
    plans: Vec<Plan<O>>,
) -> Vec<Vec<(u64, PollResult)>> {
    let (stop, start) = (CancellationToken::new(), Instant::now());
    let mut tasks = Vec::new();
    for plan in plans {
        let (sender, mut results) = mpsc::channel(1);
        tokio::spawn(run(plan, midnight(), sender, MeterHandle::default(), stop.clone()));
        tasks.push(tokio::spawn(async move {
            let mut came = Vec::new();
            while let Some(result) = results.recv().await {
                came.push((start.elapsed().as_secs(), result));
            }
            came
        }));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.cancel();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

/// At 1200 baud.
const SLOW: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

#[tokio::test(start_paused = true)]
async fn meters_on_one_server_take_turns_and_others_do_not_wait() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let (one, other) = (Server::new("one", &queues, &clock), Server::new("other", &queues, &clock));
    // A meter whose answers need 4 s, and two fast ones.
    let slow =
        Behaviour { line: Some(Line::new(300)), turnaround: Duration::from_secs(1), echo: false };
    let mut plan = one.plan(one.port("slow", Some(slow)), 20);
    plan.line = Line::new(300);
    let plans = vec![
        plan,
        one.plan(one.port("fast", Some(Behaviour::default())), 20),
        other.plan(other.port("other", Some(Behaviour::default())), 20),
    ];
    let came = for_a_while(199, plans).await;
    // Each at its own schedule; the fast one after the slow one.
    assert_eq!(clock.of("slow"), (0..10).map(|schedule| schedule * 20).collect::<Vec<_>>());
    assert_eq!(clock.of("other"), clock.of("slow"));
    let late = clock.of("fast").into_iter().zip(clock.of("slow")).map(|(fast, slow)| fast - slow);
    assert!(late.clone().all(|late| (3..20).contains(&late)), "{:?}", clock.of("fast"));
    for meter in &came {
        assert_eq!(meter.len(), 10);
        assert!(meter.iter().all(|(_, result)| result.readings.len() == 7));
    }
    // Waiting is no part of the poll.
    assert!(came[1].iter().all(|(_, result)| result.took < Duration::from_secs(1)));
    assert!(came[0].iter().all(|(_, result)| result.took > Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_in_which_they_were_asked_for() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plans = ["a", "b", "c", "d"].map(|name| server.plan(server.port(name, Some(SLOW)), 2));
    // Four polls of 0.83 s every 2 s are more than there is time for: everybody gets the same.
    let came = for_a_while(100, plans.into()).await;
    let counts: Vec<usize> = came.iter().map(Vec::len).collect();
    assert!(counts.iter().all(|count| (24..=31).contains(count)), "{counts:?}");
    let most = counts.iter().max().unwrap() - counts.iter().min().unwrap();
    assert!(most <= 1, "{counts:?}");
}

/// Beside a meter on the same server that never answers, no poll is lost: late by the silent
/// meter's first poll in vain, and by one short request now and then.
#[tokio::test(start_paused = true)]
async fn a_silent_meter_costs_the_others_on_its_server_little() {
    for (interval, at_most) in [(60, 3), (5, 3)] {
        let (queues, clock) = (PortQueues::default(), Clock::new());
        let server = Server::new("server", &queues, &clock);
        let plans = vec![
            server.plan(server.port("silent", None), interval),
            server.plan(server.port("slow", Some(SLOW)), interval),
        ];
        let came = for_a_while(600, plans).await;
        assert!(came[0].iter().all(|(_, result)| result.readings.is_empty()));
        let beats = 600 / interval;
        let begun = clock.of("slow");
        // The first poll of the silent one takes 16 s.
        assert!(begun[0] <= 17, "{begun:?}");
        let lost = beats - u64::try_from(begun.len()).unwrap();
        assert!(lost <= 17 / interval, "{interval}: {lost}");
        let late = begun.iter().map(|at| at % interval).skip(1);
        assert!(late.clone().all(|late| late <= at_most), "{begun:?}");
        let silent = clock.of("silent");
        assert!(silent.windows(2).all(|pair| pair[1] - pair[0] >= 15), "{silent:?}");
        assert!(silent.windows(2).all(|pair| pair[1] - pair[0] <= 60), "{silent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hangs_holds_up_no_other_server() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let (dead, alive) =
        (Server::new("dead", &queues, &clock), Server::new("alive", &queues, &clock));
    let hangs = Duration::from_secs(5);
    let plans = vec![
        dead.plan(Watched { hangs, ..dead.port("a", None) }, 10),
        dead.plan(Watched { hangs, ..dead.port("bb", None) }, 10),
        alive.plan(alive.port("alive", Some(Behaviour::default())), 10),
    ];
    let came = for_a_while(95, plans).await;
    assert_eq!(clock.of("alive"), (0..10).map(|schedule| schedule * 10).collect::<Vec<_>>());
    assert_eq!(came[2].len(), 10);
    // Not at the same time.
    assert_eq!((clock.of("a")[0], clock.of("bb")[0]), (0, 5));
    let trouble = came[1][0].1.trouble.as_ref().unwrap();
    assert!(trouble.words.contains("nobody answers"), "{trouble:?}");
    assert_eq!(came[1][0].1.took, hangs);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_stops_at_once() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plan = server.plan(server.port("waiting", Some(SLOW)), 60);
    let turn = plan.port.acquire().await;
    let (sender, mut results) = mpsc::channel(1);
    let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
    let task = tokio::spawn(run(plan, midnight(), sender, handle.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let asked = Instant::now();
    stop.cancel();
    task.await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(results.recv().await.is_none(), "nothing is told of it");
    assert!(clock.of("waiting").is_empty());

    // Who gave up its place holds up nobody; and what was asked for while waiting is one poll.
    let plan = server.plan(server.port("next", Some(SLOW)), 60);
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(plan, midnight(), sender, handle.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(20)).await;
    handle.request_poll();
    drop(turn);
    assert!(results.recv().await.unwrap().took < Duration::from_secs(10));
    let begun = clock.of("next");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(clock.of("next"), begun);
    stop.cancel();
    task.await.unwrap();
}

#[test]
fn first_polls_are_spread() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(spread(0, 1, minutes(5)), Duration::ZERO);
    assert_eq!(spread(2, 3, minutes(5)), Duration::from_millis(200));
    assert_eq!(spread(499, 500, minutes(1)), Duration::from_millis(49_900));
    // Within the interval, whatever it is.
    assert_eq!(spread(999, 1000, minutes(1)), Duration::from_millis(59_940));
    assert_eq!(spread(9, 10, Duration::from_millis(100)), Duration::from_millis(90));
}

#[test]
fn every_order_has_its_turn() {
    let four = ids("1 2 3 4");
    let orders: BTreeSet<_> = (0..24).map(|turn| permutation(&four, turn)).collect();
    assert_eq!(orders.len(), 24);
    assert_eq!(permutation(&four, 0), four);
    assert_eq!(permutation(&four, 24), four);
    assert_ne!(permutation(&ids("1 2"), 0), permutation(&ids("1 2"), 1));
    assert_eq!(permutation(&[], 5), []);
}

#[test]
fn what_is_missing_is_named() {
    let shown = |names: &str| {
        let missing: Vec<_> = ids(names).into_iter().map(|id| (id, Missing::NoAnswer)).collect();
        unread_words(&missing)
    };
    assert_eq!(unread_words(&[]), "");
    assert_eq!(shown("volume"), ", without volume");
    assert_eq!(shown("volume 4000"), ", without volume and 4000");
    assert_eq!(
        shown("energy volume flow power temp1 temp2 tempdiff"),
        ", without energy, volume, flow, power, temp1 and 2 more"
    );
}

#[test]
fn durations_in_words() {
    let shown: Vec<_> = [0, 900, 9_999, 10_000, 119_999, 120_000, 7_199_000, 7_200_000, 12_000_000]
        .map(|ms| words(Duration::from_millis(ms)))
        .into();
    assert_eq!(
        shown,
        ["0.0 s", "0.9 s", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h", "3 h 20 min"]
    );
}

/// What a job told, with the seconds since the start.
type Told = Arc<Mutex<Vec<(u64, String)>>>;

fn teller() -> (Told, impl FnMut(Step<'_>) + Send + 'static) {
    let (told, start) = (Told::default(), Instant::now());
    let tell = {
        let told = Arc::clone(&told);
        move |step: Step<'_>| {
            let words = match step {
                Step::Taken => "taken".to_owned(),
                Step::Asked(Attempt { hit: true, .. }) => "hit".to_owned(),
                Step::Asked(Attempt { heard: Some(heard), .. }) => format!("{heard:?}"),
                Step::Asked(Attempt { trouble, .. }) => trouble.unwrap().words,
                Step::Scanning(progress) => format!("{} asked", progress.asked),
                Step::Scanned(scanned) => {
                    format!("{} found, {}", scanned.present().len(), scanned.complete)
                }
                Step::Ended => "ended".to_owned(),
            };
            told.lock().unwrap().push((start.elapsed().as_secs(), words));
        }
    };
    (told, tell)
}

fn all_of(told: &Told, words: &str) -> Vec<u64> {
    let told = told.lock().unwrap();
    told.iter().filter(|(_, told)| told == words).map(|(at, _)| *at).collect()
}

/// Polls, and what came with the seconds since the start.
struct Polling {
    handle: MeterHandle,
    stop: CancellationToken,
    results: mpsc::Receiver<PollResult>,
    start: Instant,
    task: tokio::task::JoinHandle<()>,
}

impl Polling {
    fn start<O: Open + 'static>(plan: Plan<O>) -> Self {
        let (sender, results) = mpsc::channel(8);
        let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
        let task = run(plan, midnight(), sender, handle.clone(), stop.clone());
        let task = tokio::spawn(task);
        Self { handle, stop, results, start: Instant::now(), task }
    }

    async fn next(&mut self) -> (u64, PollResult) {
        let result = self.results.recv().await.unwrap();
        (self.start.elapsed().as_secs(), result)
    }

    async fn ended(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_placement_aid_asks_each_second_for_two_minutes_and_polls_go_on() {
    let openings = vec![meter(), meter(), meter(), meter()];
    let mut polling = Polling::start(plan("energy power", openings));
    let (_, first) = polling.next().await;
    assert_eq!(first.traffic.retries, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (told, tell) = teller();
    polling.handle.send(Job::placement(tell)).unwrap();
    // One at a time, and of one that is not taken nothing is told.
    let (other, tell) = teller();
    assert_eq!(polling.handle.send(Job::placement(tell)), Err(Busy));
    let (at, second) = polling.next().await;
    assert_eq!(at, 300);
    assert_eq!(second.readings.len(), 2);
    assert_eq!(*other.lock().unwrap(), []);
    let hits = all_of(&told, "hit");
    assert_eq!((hits.len(), hits[0], hits[119]), (120, 0, 119));
    assert_eq!(told.lock().unwrap().first().unwrap().1, "taken");
    assert_eq!(*told.lock().unwrap().last().unwrap(), (120, "ended".to_owned()));
    // `80 3F 02 .. .. 0D` and so on, 120 times, and the registers.
    assert!(second.traffic.sent > 120 * 6, "{:?}", second.traffic);
    let awake = second.traffic.awake.as_secs();
    assert!((121..125).contains(&awake), "{awake}");
    let (at, _) = polling.next().await;
    assert_eq!(at, 600);
    polling.ended().await;
}

/// With a poll after it as soon as the meter answers, where the last one was in vain.
#[tokio::test(start_paused = true)]
async fn the_placement_aid_sees_misses_and_a_port_that_is_not_there() {
    let mut openings = vec![Opening::Silent, Opening::Fails(OpenError::Missing)];
    openings.extend([Opening::Fails(OpenError::Denied), Opening::Silent]);
    openings.extend([meter(), meter()]);
    let mut polling = Polling::start(plan("energy", openings));
    let (_, first) = polling.next().await;
    assert!(first.readings.is_empty());
    let (told, tell) = teller();
    polling.handle.send(Job::placement(tell)).unwrap();
    tokio::time::sleep(Duration::from_secs(13)).await;
    polling.handle.cancel();
    let (misses, hits) = (all_of(&told, "Nothing"), all_of(&told, "hit"));
    // A meter may think for 1.6 s, and after that the line has rested long enough.
    assert!(misses.windows(2).all(|pair| (1..=2).contains(&(pair[1] - pair[0]))), "{misses:?}");
    assert_eq!((misses.len() >= 5, hits.len()), (true, 0));
    let words: Vec<String> = told.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    assert!(words[1].contains("cannot be opened"), "{words:?}");
    assert!(words[2].contains("cannot be opened"), "{words:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(told.lock().unwrap().last().unwrap().1, "ended");
    let (told, tell) = teller();
    polling.handle.send(Job::placement(tell)).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(all_of(&told, "hit").len() >= 4);
    let before = polling.start.elapsed().as_secs();
    polling.handle.cancel();
    let (at, result) = polling.next().await;
    assert!(at - before <= 3 && result.readings.len() == 1, "{at} {result:?}");
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_search_goes_through_the_polling_task() {
    let mut polling = Polling::start(plan("energy", vec![meter(), meter(), meter()]));
    let (_, first) = polling.next().await;
    let (told, tell) = teller();
    let registers = (1..=300).map(RegisterId::new).collect();
    polling.handle.send(Job::scan(registers, tell)).unwrap();
    let (_, second) = polling.next().await;
    let words: Vec<String> = told.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    let has = Registers::example(EnergyUnit::KilowattHour, 0);
    let count = has.values.keys().filter(|register| register.get() <= 300).count();
    assert_eq!(words[words.len() - 2..], [format!("{count} found, true"), "ended".to_owned()]);
    assert!(words.len() > 300 / 8, "{words:?}");
    // Nothing of it comes with the next poll but what it cost.
    assert_eq!((second.readings, second.missing), (first.readings, vec![]));
    assert!(second.traffic.sent > first.traffic.sent * 10);
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn other_meters_on_the_port_wait_for_an_errand_and_a_halted_one_gives_way() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plan = |name| server.plan(server.port(name, Some(Behaviour::default())), 20);
    let (mut one, mut other) = (Polling::start(plan("one")), Polling::start(plan("other")));
    let _ = (one.next().await, other.next().await);
    let (told, tell) = teller();
    one.handle.send(Job::placement(tell)).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(other.results.try_recv().is_err());
    // Who waits for the port is halted as well.
    let (waiting, tell) = teller();
    tokio::time::sleep(Duration::from_secs(1)).await;
    other.handle.send(Job::placement(tell)).unwrap();
    other.handle.cancel();
    one.handle.cancel();
    let (at, _) = other.next().await;
    assert!((30..35).contains(&at), "{at}");
    assert!(all_of(&told, "hit").len() >= 29);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(all_of(&waiting, "hit"), [0; 0]);
    assert_eq!(waiting.lock().unwrap().last().unwrap().1, "ended");
    one.ended().await;
    other.ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_errand_of_a_meter_that_is_not_polled_any_more_ends() {
    let polling = Polling::start(plan("energy", vec![meter(), Opening::Silent]));
    let handle = polling.handle.clone();
    let (early, tell) = teller();
    // Not begun yet.
    assert_eq!(MeterHandle::default().send(Job::placement(tell)), Err(Busy));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (told, tell) = teller();
    handle.send(Job::placement(tell)).unwrap();
    polling.ended().await;
    assert_eq!(told.lock().unwrap().last().unwrap().1, "ended");
    let (late, tell) = teller();
    assert_eq!(handle.send(Job::placement(tell)), Err(Busy));
    assert_eq!((early.lock().unwrap().len(), late.lock().unwrap().len()), (0, 0));
}
