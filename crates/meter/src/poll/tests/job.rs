//! The placement aid and scans through the polling task.

use std::collections::BTreeMap;

use kmp::logger::Log;
use kmp::message::SerialNumber;
use simulator::{Logs, Model as Simulated, SummerStamp};

use super::sharing::{Clock, SLOW, Server};
use super::*;
use crate::client::Traffic;
use crate::logger::{LogReading, LogStep};

/// The steps that a job reported, with the seconds since the start.
pub(super) type Steps = Arc<Mutex<Vec<(u64, String)>>>;

pub(super) fn recorder() -> (Steps, impl FnMut(Step<'_>) + Send + 'static) {
    let (steps, start) = (Steps::default(), Instant::now());
    let record = {
        let steps = Arc::clone(&steps);
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
                Step::Logging(LogStep::Begins(extent)) => format!("{} entries", extent.entries),
                Step::Logging(LogStep::Read(entries)) => format!("{} read", entries.len()),
                Step::Logging(LogStep::Known(_)) => "known".to_owned(),
                Step::Logged(read) => format!("{:?}", read.end),
                Step::Ended => "ended".to_owned(),
            };
            steps.lock().unwrap().push((start.elapsed().as_secs(), words));
        }
    };
    (steps, record)
}

pub(super) fn all_of(steps: &Steps, words: &str) -> Vec<u64> {
    let steps = steps.lock().unwrap();
    steps.iter().filter(|(_, steps)| steps == words).map(|(at, _)| *at).collect()
}

/// A polling task whose results come with the seconds since the start.
pub(super) struct Polling {
    pub(super) handle: MeterHandle,
    stop: CancellationToken,
    results: mpsc::Receiver<Box<PollResult>>,
    start: Instant,
    task: tokio::task::JoinHandle<()>,
}

impl Polling {
    pub(super) fn start<O: Open + 'static>(plan: Plan<O>) -> Self {
        Self::on(midnight(), plan)
    }

    pub(super) fn on<O: Open + 'static>(schedule: Schedule, plan: Plan<O>) -> Self {
        let (sender, results) = mpsc::channel(8);
        let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
        let task = run(plan, schedule, sender, handle.clone(), stop.clone());
        let task = tokio::spawn(task);
        Self { handle, stop, results, start: Instant::now(), task }
    }

    pub(super) async fn next(&mut self) -> (u64, Box<PollResult>) {
        let result = self.results.recv().await.unwrap();
        (self.start.elapsed().as_secs(), result)
    }

    pub(super) async fn ended(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_placement_aid_makes_a_request_each_second_for_two_minutes_and_polls_continue() {
    let openings = vec![meter(), meter(), meter(), meter()];
    let mut polling = Polling::start(plan("energy power", openings));
    let (_, first) = polling.next().await;
    assert_eq!(first.traffic.retries, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (steps, record) = recorder();
    polling.handle.send(Job::placement(record)).unwrap();
    // One at a time, and a rejected job reports nothing.
    let (other, record) = recorder();
    assert_eq!(polling.handle.send(Job::placement(record)), Err(Busy));
    let (at, second) = polling.next().await;
    assert_eq!(at, 300);
    assert_eq!(second.readings.len(), 2);
    assert_eq!(*other.lock().unwrap(), []);
    let hits = all_of(&steps, "hit");
    assert_eq!((hits.len(), hits[0], hits[119]), (120, 0, 119));
    assert_eq!(steps.lock().unwrap().first().unwrap().1, "taken");
    assert_eq!(*steps.lock().unwrap().last().unwrap(), (120, "ended".to_owned()));
    // `80 3F 02 .. .. 0D` and so on, 120 times, and the registers.
    assert!(second.traffic.sent > 120 * 6, "{:?}", second.traffic);
    let awake = second.traffic.awake.as_secs();
    assert!((121..125).contains(&awake), "{awake}");
    // The polls themselves cost what they always cost.
    assert_eq!(first.before, Traffic::default());
    let own = second.traffic.sent - second.before.sent;
    assert!(own > 0 && own <= first.traffic.sent, "{own}: {:?}", first.traffic);
    assert!(second.traffic.awake < second.before.awake + Duration::from_secs(3));
    let (at, third) = polling.next().await;
    assert_eq!((at, third.before.sent, third.before.awake), (600, 0, Duration::ZERO));
    polling.ended().await;
}

/// If the last poll read nothing, the next one is made as soon as the meter answers.
#[tokio::test(start_paused = true)]
async fn the_placement_aid_reports_misses_and_a_missing_port() {
    let mut openings = vec![Opening::Silent, Opening::Fails(OpenError::Missing)];
    openings.extend([Opening::Fails(OpenError::Denied), Opening::Silent]);
    openings.extend([meter(), meter()]);
    let mut polling = Polling::start(plan("energy", openings));
    let (_, first) = polling.next().await;
    assert!(first.readings.is_empty());
    let (steps, record) = recorder();
    polling.handle.send(Job::placement(record)).unwrap();
    tokio::time::sleep(Duration::from_secs(13)).await;
    polling.handle.cancel();
    let (misses, hits) = (all_of(&steps, "Nothing"), all_of(&steps, "hit"));
    // A meter may take 1.6 s to answer, and after that the line has rested long enough.
    assert!(misses.windows(2).all(|pair| (1..=2).contains(&(pair[1] - pair[0]))), "{misses:?}");
    assert_eq!((misses.len() >= 5, hits.len()), (true, 0));
    let words: Vec<String> = steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    assert!(words[1].contains("Cannot open"), "{words:?}");
    assert!(words[2].contains("Cannot open"), "{words:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(steps.lock().unwrap().last().unwrap().1, "ended");
    let (steps, record) = recorder();
    polling.handle.send(Job::placement(record)).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(all_of(&steps, "hit").len() >= 4);
    let before = polling.start.elapsed().as_secs();
    polling.handle.cancel();
    let (at, result) = polling.next().await;
    assert!(at - before <= 3 && result.readings.len() == 1, "{at} {result:?}");
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_scan_runs_in_the_polling_task() {
    let mut polling = Polling::start(plan("energy", vec![meter(), meter(), meter()]));
    let (_, first) = polling.next().await;
    let (steps, record) = recorder();
    let registers = (1..=300).map(RegisterId::new).collect();
    polling.handle.send(Job::scan(registers, record)).unwrap();
    let (_, second) = polling.next().await;
    let words: Vec<String> = steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    let has = Registers::example(EnergyUnit::KilowattHour, 0);
    let count = has.values.keys().filter(|register| register.get() <= 300).count();
    assert_eq!(words[words.len() - 2..], [format!("{count} found, true"), "ended".to_owned()]);
    assert!(words.len() > 300 / 8, "{words:?}");
    // The next poll contains only its traffic.
    assert_eq!((second.readings, second.missing), (first.readings, vec![]));
    assert!(second.traffic.sent > first.traffic.sent * 10);
    assert!(second.traffic.sent - second.before.sent <= first.traffic.sent);
    polling.ended().await;
}

/// A late answer to the first scan fitted the requests of the second.
#[tokio::test(start_paused = true)]
async fn a_scan_makes_no_request_of_an_earlier_one_again() {
    let port = Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
    let requests = Arc::clone(&port.requests);
    let Plan { port_name, line, registers, version, interval, slow_interval, runs_as, .. } =
        plan("energy", vec![]);
    let mut polling = Polling::start(Plan {
        port,
        port_name,
        line,
        registers,
        together: Vec::new(),
        optional: Vec::new(),
        version,
        interval,
        slow_interval,
        runs_as,
    });
    polling.next().await;
    let mut seen = BTreeSet::new();
    for number in 1..=3 {
        requests.lock().unwrap().clear();
        let (steps, record) = recorder();
        polling.handle.send(Job::scan((57..=72).map(RegisterId::new).collect(), record)).unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(steps.lock().unwrap().last().unwrap().1, "ended");
        // Only several registers have an order.
        let several = |request: &Vec<u8>| request[2] == 0x10 && request[3] > 1;
        let made: Vec<_> =
            requests.lock().unwrap().iter().filter(|it| several(it)).cloned().collect();
        assert!(made.len() >= 2, "{made:?}");
        for request in made {
            assert!(seen.insert(request.clone()), "again in scan {number}: {request:02X?}");
        }
    }
    polling.ended().await;
}

/// They waited for two minutes.
#[tokio::test(start_paused = true)]
async fn other_meters_on_the_port_have_their_turns_during_a_job() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plan = |name| server.plan(server.port(name, Some(Behaviour::default())), 20);
    let (mut one, mut other) = (Polling::start(plan("one")), Polling::start(plan("other")));
    let _ = (one.next().await, other.next().await);
    let (steps, record) = recorder();
    one.handle.send(Job::placement(record)).unwrap();
    let mut waited = Vec::new();
    for due in [20, 40, 60, 80] {
        waited.push(other.next().await.0 - due);
    }
    // One turn of the job and a poll.
    assert!(waited.iter().all(|waited| *waited <= 15), "{waited:?}");
    // A job that waits for the port can be cancelled too.
    let (waiting, record) = recorder();
    other.handle.send(Job::placement(record)).unwrap();
    other.handle.cancel();
    one.handle.cancel();
    assert!(all_of(&steps, "hit").len() >= 40, "{:?}", all_of(&steps, "hit").len());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(waiting.lock().unwrap().last().unwrap().1, "ended");
    one.ended().await;
    other.ended().await;
}

/// How many polls of each meter there are in ten minutes while somebody starts the placement aid of
/// all of them again and again. Each try is stopped after `each`, if that is not the end.
async fn polls_during_placements(names: &[&'static str], each: Duration) -> Vec<usize> {
    const TEN_MINUTES: Duration = Duration::from_secs(600);
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plan = |name| server.plan(server.port(name, Some(Behaviour::default())), 20);
    let mut all: Vec<_> = names.iter().map(|name| Polling::start(plan(*name))).collect();
    for polling in &mut all {
        polling.next().await;
    }
    let (start, mut stopped) = (Instant::now(), Instant::now());
    let mut counts = vec![0; all.len()];
    while start.elapsed() < TEN_MINUTES {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let stop = stopped.elapsed() >= each;
        for (polling, count) in all.iter_mut().zip(&mut counts) {
            let _ = polling.handle.send(Job::placement(|_| {}));
            if stop {
                polling.handle.cancel();
                stopped = Instant::now();
            }
            while polling.results.try_recv().is_ok() {
                *count += 1;
            }
        }
    }
    for polling in all {
        polling.ended().await;
    }
    counts
}

/// There was one poll for each placement: 5 of 30.
#[tokio::test(start_paused = true)]
async fn repeated_placements_do_not_starve_polls() {
    for each in [1, 7, 60, 600].map(Duration::from_secs) {
        let counts = polls_during_placements(&["one"], each).await;
        assert!(counts[0] >= 28, "{each:?}: {counts:?}");
        let counts = polls_during_placements(&["one", "other"], each).await;
        assert!(counts.iter().all(|count| *count >= 15), "{each:?}: {counts:?}");
    }
}

/// The head was moved to the neighbour's meter after a poll during a placement. The next poll
/// published the neighbour's values.
#[tokio::test(start_paused = true)]
async fn each_poll_during_a_placement_finds_out_which_meter_it_reads() {
    let meter = |serial: i64, minutes| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, minutes);
        registers.serial = SerialNumber::new(u32::try_from(serial).unwrap());
        set(&mut registers, &[(1001, Unit::NUMBER, serial, 0, 4)]);
        registers
    };
    let (sender, registers) = watch::channel(meter(11_111_111, 0));
    let wire = Wire::new(registers.borrow().clone(), Behaviour::default());
    let mut polling = Polling::start(Plan {
        port: Wire { meter: Simulator::new(registers, Behaviour::default()), ..wire },
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids("energy volume"),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(40),
        slow_interval: None,
        runs_as: RunsAs::Program,
    });
    let serial = |result: &PollResult| result.identity.serial.map(SerialNumber::number);
    assert_eq!(serial(&polling.next().await.1), Some(11_111_111));
    tokio::time::sleep(Duration::from_secs(30)).await;
    polling.handle.send(Job::placement(|_| {})).unwrap();
    let (at, second) = polling.next().await;
    assert_eq!((at, serial(&second)), (40, Some(11_111_111)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    sender.send_replace(meter(22_222_222, 1));
    let (at, third) = polling.next().await;
    assert_eq!((at, serial(&third)), (80, Some(22_222_222)), "{third:?}");
    assert!(third.exchange.is_some(), "{third:?}");
    polling.ended().await;
}

/// All polls were skipped until the scan was over.
#[tokio::test(start_paused = true)]
async fn a_scan_pauses_for_polls_and_finds_the_same() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let port = server.port("one", Some(behaviour));
    let mut polling = Polling::start(server.plan(port, 10));
    polling.next().await;
    let (steps, record) = recorder();
    polling.handle.send(Job::scan((1..=1400).map(RegisterId::new).collect(), record)).unwrap();
    let ended = || steps.lock().unwrap().iter().any(|(_, words)| words == "ended");
    let (mut polls, begun) = (0, Instant::now());
    while !ended() {
        let (_, result) = polling.next().await;
        assert!(result.trouble.is_none() && result.missing.is_empty(), "{result:?}");
        polls += 1;
    }
    let due = begun.elapsed().as_secs() / 10;
    assert!(due > 5 && polls + 1 >= due, "{polls} of {due}");
    let has = Registers::example(EnergyUnit::KilowattHour, 0);
    let count = has.values.keys().filter(|register| register.get() <= 1400).count();
    let words = steps.lock().unwrap().iter().rev().nth(1).unwrap().1.clone();
    assert_eq!(words, format!("{count} found, true"));
    polling.ended().await;
}

/// What it had found was lost.
#[tokio::test(start_paused = true)]
async fn a_scan_that_is_stopped_while_it_pauses_reports_what_it_has_found() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let mut polling = Polling::start(server.plan(server.port("one", Some(SLOW)), 600));
    let other = server.plan(server.port("other", Some(SLOW)), 600);
    polling.next().await;
    let (steps, record) = recorder();
    polling.handle.send(Job::scan((1..=1400).map(RegisterId::new).collect(), record)).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _turn = other.port.acquire().await;
    polling.handle.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let words: Vec<String> = steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    let [.., asked, scanned, ended] = &*words else { panic!("{words:?}") };
    assert!(asked.ends_with("asked") && scanned.ends_with("found, false"), "{words:?}");
    assert!(!scanned.starts_with("0 ") && ended == "ended", "{words:?}");
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_when_its_meter_is_no_longer_polled() {
    let polling = Polling::start(plan("energy", vec![meter(), Opening::Silent]));
    let handle = polling.handle.clone();
    let (early, record) = recorder();
    // This task has not started yet.
    assert_eq!(MeterHandle::default().send(Job::placement(record)), Err(Busy));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (steps, record) = recorder();
    handle.send(Job::placement(record)).unwrap();
    polling.ended().await;
    assert_eq!(steps.lock().unwrap().last().unwrap().1, "ended");
    let (late, record) = recorder();
    assert_eq!(handle.send(Job::placement(record)), Err(Busy));
    assert_eq!((early.lock().unwrap().len(), late.lock().unwrap().len()), (0, 0));
}

/// A meter with logs, on a line of 1200 baud.
struct WithLogs;

impl Open for WithLogs {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        let (model, energy) = (Simulated::Multical603, EnergyUnit::MegawattHour);
        let registers = watch::channel(Registers::model(model, energy, 0)).1;
        let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
        let logs = Logs::model(model, energy, SummerStamp::Standard).unwrap();
        let meter = Simulator::new(registers, behaviour).with_logs(logs);
        tokio::spawn(async move { meter.serve(far).await });
        Ok(Box::new(near))
    }
}

/// The log takes a minute and a half, so three polls are due meanwhile.
#[tokio::test(start_paused = true)]
async fn a_log_lets_polls_have_their_turn() {
    let plan = plan("energy power", vec![]);
    let Plan { line, registers, .. } = plan;
    let plan = Plan {
        port: WithLogs,
        port_name: "logs".to_owned(),
        line,
        registers,
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Auto,
        interval: Duration::from_secs(30),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let mut polling = Polling::start(plan);
    let (_, first) = polling.next().await;
    assert_eq!(first.readings.len(), 2);
    let (steps, record) = recorder();
    let wanted = [60, 68, 97, 110].map(RegisterId::new).to_vec();
    let reading = LogReading::new(Log::Day, wanted, BTreeMap::new());
    polling.handle.send(Job::log(reading, record)).unwrap();
    for turn in 1..=3 {
        let (at, result) = polling.next().await;
        // A piece takes five seconds.
        assert!((turn * 30..turn * 30 + 7).contains(&at), "{at}");
        assert_eq!(result.readings.len(), 2);
    }
    while all_of(&steps, "ended").is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let words: Vec<_> = steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    assert_eq!(words.first().map(String::as_str), Some("taken"));
    assert_eq!(words[1], "460 entries");
    assert_eq!(all_of(&steps, "24 read").len(), 19);
    assert_eq!(words[words.len() - 3..], ["4 read", "Some(Complete)", "ended"]);
    polling.ended().await;
}

/// A log that is cancelled between two pieces reports that it has ended.
#[tokio::test(start_paused = true)]
async fn a_log_can_be_cancelled() {
    let plan = Plan {
        port: WithLogs,
        port_name: "logs".to_owned(),
        line: Line::new(1200),
        registers: vec![RegisterId::new(60)],
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Auto,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let mut polling = Polling::start(plan);
    polling.next().await;
    let (steps, record) = recorder();
    let reading = LogReading::new(Log::Day, vec![RegisterId::new(60)], BTreeMap::new());
    polling.handle.send(Job::log(reading, record)).unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    polling.handle.cancel();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let words: Vec<_> = steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
    assert_eq!(words[words.len() - 2..], ["None", "ended"]);
    assert!((2..19).contains(&all_of(&steps, "24 read").len()), "{words:?}");
    polling.ended().await;
}
