//! Lines that repeat, delay or damage answers so that an old or wrong value looks right.

use kmp::frame::{Decoder, Event};

use super::*;
use crate::suspension::SuspendedTime;

/// How a serial server treats answers.
#[derive(Debug, Clone, Copy)]
struct Habits {
    /// The longest answer that it delivers whole.
    cut: usize,
    /// How much later than 0.3 s after the request.
    late: Duration,
    /// Whether it delivers each answer again, 8 to 20 s later.
    repeats: bool,
    /// Whether it keeps what arrives between two connections.
    keeps: bool,
    /// After this many seconds, the energy begins at zero again.
    reset: u64,
}

const GOOD: Habits =
    Habits { cut: 500, late: Duration::ZERO, repeats: false, keeps: true, reset: u64::MAX };

/// The meter's registers after this many seconds. Each value changes each second.
fn held(seconds: u64, reset: u64) -> Registers {
    let now = i64::try_from(seconds).unwrap();
    let energy = match seconds.checked_sub(reset) {
        Some(since) => 20 * i64::try_from(since).unwrap(),
        None => 81_000_000 + 20 * now,
    };
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let rows = [
        (60, Unit::KILOWATT_HOUR, energy, 3, 4),
        (68, Unit::CUBIC_METRE, 5_000_000 + 2 * now, 3, 4),
        (74, Unit::LITRE_PER_HOUR, now * 17 % 900, 0, 4),
        (86, Unit::CELSIUS, 4_000 + now * 37 % 3_000, 2, 4),
    ];
    set(&mut registers, &rows);
    registers
}

type Deliver = mpsc::UnboundedSender<Vec<u8>>;
/// The present connection with its number, and what waits for the next one.
type Deliveries = (Option<(usize, Deliver)>, Vec<Vec<u8>>);

/// A serial server between the program and a meter.
#[derive(Clone)]
struct Server {
    habits: Habits,
    begun: Instant,
    line: Arc<Mutex<Deliveries>>,
    connections: Arc<AtomicUsize>,
    /// For the time until an answer is repeated.
    random: Arc<Mutex<u64>>,
}

impl Server {
    fn new(habits: Habits, seed: u64) -> Self {
        let (line, random) = (Arc::default(), Arc::new(Mutex::new(seed)));
        Self { habits, begun: Instant::now(), line, random, connections: Arc::default() }
    }

    fn seconds(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    fn registers(&self) -> Registers {
        held(self.seconds(), self.habits.reset)
    }

    /// 8 to 20 s.
    fn pause(&self) -> Duration {
        let mut random = self.random.lock().unwrap();
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        Duration::from_millis(8_000 + (*random >> 33) % 12_000)
    }

    fn deliver(&self, bytes: Vec<u8>) {
        let (connection, waiting) = &mut *self.line.lock().unwrap();
        match connection {
            Some((_, connection)) => connection.send(bytes).unwrap(),
            None if self.habits.keeps => waiting.push(bytes),
            None => {}
        }
    }

    async fn answer(self, body: Vec<u8>) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let registers = watch::channel(self.registers()).1;
        let meter = Simulator::new(registers, Behaviour::default());
        let Some(mut answer) = meter.answer(&body) else { return };
        answer.truncate(self.habits.cut);
        tokio::time::sleep(self.habits.late).await;
        self.deliver(answer.clone());
        if self.habits.repeats {
            tokio::time::sleep(self.pause()).await;
            self.deliver(answer);
        }
    }
}

impl Open for Server {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(65_536);
        let (mut requests, mut answers) = tokio::io::split(far);
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let (deliver, mut delivered) = mpsc::unbounded_channel::<Vec<u8>>();
        {
            let (connection, waiting) = &mut *self.line.lock().unwrap();
            waiting.drain(..).for_each(|bytes| deliver.send(bytes).unwrap());
            *connection = Some((number, deliver));
        }
        tokio::spawn(async move {
            while let Some(bytes) = delivered.recv().await {
                let _ = answers.write_all(&bytes).await;
            }
        });
        let server = self.clone();
        tokio::spawn(async move {
            let (mut decoder, mut buffer) = (Decoder::new(), [0; 256]);
            while let Ok(count @ 1..) = requests.read(&mut buffer).await {
                for byte in &buffer[..count] {
                    if let Some(Event::Frame { body, .. }) = decoder.push(*byte) {
                        tokio::spawn(server.clone().answer(body.clone()));
                    }
                }
            }
            server.line.lock().unwrap().0.take_if(|(present, _)| *present == number);
        });
        Ok(Box::new(near))
    }
}

/// A reading that the meter did not have during its poll.
type Wrong = (u64, RegisterId, Value);

/// Polls through a server. Returns the outcomes, and the readings that the meter did not have during
/// their poll.
async fn attacked(
    names: &str,
    (habits, seed): (Habits, u64),
    interval: u64,
    polls: usize,
) -> (Vec<Polled>, Vec<Wrong>) {
    let usual = plan(names, Vec::new());
    let plan = Plan {
        port: Server::new(habits, seed),
        port_name: usual.port_name,
        line: usual.line,
        registers: usual.registers,
        together: Vec::new(),
        optional: Vec::new(),
        version: usual.version,
        interval: Duration::from_secs(interval),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    memory.line.is_repeated = true;
    let (mut outcomes, mut wrong) = (Vec::new(), Vec::new());
    for _ in 0..polls {
        let (begun, from) = (Instant::now(), plan.port.seconds());
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        let during: Vec<_> =
            (from..=plan.port.seconds()).map(|seconds| held(seconds, habits.reset)).collect();
        for reading in &polled.readings {
            let had = |registers: &Registers| {
                registers.values[&reading.register].value().unwrap() == reading.value
            };
            if !during.iter().any(had) {
                wrong.push((from, reading.register, reading.value.clone()));
            }
        }
        memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        outcomes.push(polled);
        sleep_until(begun + plan.interval).await;
    }
    (outcomes, wrong)
}

fn values(outcomes: &[Polled]) -> usize {
    outcomes.iter().map(|polled| polled.readings.len()).sum()
}

/// Each register is requested alone, so that no order of registers reveals an old answer.
#[tokio::test(start_paused = true)]
async fn a_line_that_cuts_and_repeats_answers_gives_no_old_value() {
    for keeps in [true, false] {
        for (seed, cut) in [(1, 17), (2, 22), (3, 29), (4, 36)] {
            for interval in [2, 5, 10] {
                let habits = Habits { cut, repeats: true, keeps, ..GOOD };
                let names = "energy volume temp1 flow";
                let (outcomes, wrong) = attacked(names, (habits, seed), interval, 250).await;
                let read = values(&outcomes[100..]);
                assert_eq!(wrong, [], "{habits:?} every {interval} s, {read} values");
                // Each value about once a minute.
                let least = usize::try_from(4 * 150 * interval / 60 / 2).unwrap();
                assert!(read >= least, "{habits:?} every {interval} s: {read} values");
            }
        }
    }
}

/// Each answer arrives when a later poll waits for its own.
#[tokio::test(start_paused = true)]
async fn answers_that_are_all_as_late_as_four_polls_give_no_old_value() {
    for (names, cut) in [("energy volume temp1 flow", 17), ("temp1", 17), ("temp1 flow", 500)] {
        for late in 4..48 {
            let late = Duration::from_secs(late);
            let habits = Habits { cut, late, ..GOOD };
            let (_, wrong) = attacked(names, (habits, 1), 10, 60).await;
            assert_eq!(wrong, [], "{names}, {habits:?}");
        }
    }
}

/// If nothing is wrong but the length of answers, no value is lost.
#[tokio::test(start_paused = true)]
async fn a_line_that_only_cuts_answers_loses_no_value() {
    for (cut, interval) in [(17, 10), (22, 10), (29, 10), (36, 10), (17, 60), (500, 2), (500, 10)] {
        let habits = Habits { cut, ..GOOD };
        let (outcomes, wrong) =
            attacked("energy volume temp1 flow", (habits, 1), interval, 60).await;
        assert_eq!(wrong, []);
        let read = values(&outcomes[3..]);
        assert_eq!(read, 4 * 57, "{habits:?} every {interval} s");
    }
}

/// The first answers with a lower value may be late ones. A minute later, it is certain.
#[tokio::test(start_paused = true)]
async fn a_meter_that_was_reset_is_read_again_within_two_minutes() {
    for cut in [17, 29, 500] {
        let habits = Habits { cut, reset: 205, ..GOOD };
        let (outcomes, wrong) = attacked("energy volume temp1", (habits, 1), 10, 40).await;
        assert_eq!(wrong, []);
        let is_read =
            |polled: &Polled| polled.readings.iter().any(|it| it.register == ids("energy")[0]);
        let missed = outcomes[21..].iter().filter(|polled| !is_read(polled)).count();
        assert!(missed <= 12, "{cut}: {missed} of the polls after the reset");
        assert!(outcomes[35..].iter().all(is_read));
        let reported = outcomes.iter().flat_map(|polled| &polled.changes);
        let fell = reported.filter(|(_, doubt)| matches!(doubt, plausibility::Doubt::Fell { .. }));
        assert_eq!(fell.count(), 1, "{cut}");
        // The counter may begin at zero again between two readings of a poll.
        let why = outcomes.iter().flat_map(|polled| &polled.missing).map(|(_, why)| why);
        let withheld = why.filter(|why| **why != Missing::MayBeLate).collect::<Vec<_>>();
        assert!(withheld.len() <= 2, "{cut}: {withheld:?}");
    }
}

/// A valid frame with several wrong values: the counter shows it, the temperature does not.
#[tokio::test(start_paused = true)]
async fn a_gauge_shares_the_fate_of_a_counter_in_the_same_answer() {
    let holding = |energy: i64, celsius: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let rows = [(60, Unit::KILOWATT_HOUR, energy, 0, 4), (86, Unit::CELSIUS, celsius, 2, 2)];
        set(&mut registers, &rows);
        registers
    };
    let (good, wrong) = (holding(1_000, 6_000), holding(900_000, 1_234));
    // Each poll reads the info code too, and the first one also identifies the meter.
    let first = Opening::Meter(good.clone());
    let second = Opening::Each(vec![wrong.clone(), good.clone(), good.clone(), good.clone()]);
    let plan = plan("energy temp1", vec![first, second]);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    poll(&plan, &mut memory, &stop).await.unwrap();
    tokio::time::sleep(plan.interval).await;
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    let read: Vec<_> = polled.readings.iter().map(|it| it.value.to_string()).collect();
    assert!(!read.contains(&"12.34".to_owned()), "{polled:?}");
    assert!(read.contains(&"60.00".to_owned()) && read.contains(&"1000".to_owned()), "{polled:?}");
}

/// A process that was stopped for ten minutes, or a machine that was suspended, in the middle of a
/// poll.
#[tokio::test(start_paused = true)]
async fn the_first_half_of_a_poll_is_not_published_ten_minutes_later() {
    struct Frozen {
        registers: Registers,
        suspended: Arc<Mutex<Duration>>,
        is_stopped: bool,
    }
    impl Open for Frozen {
        async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
            let (near, mut far) = duplex(1024);
            let (mut ours, theirs) = duplex(1024);
            let meter =
                Simulator::new(watch::channel(self.registers.clone()).1, Behaviour::default());
            tokio::spawn(async move { meter.serve(theirs).await });
            let (suspended, is_stopped) = (Arc::clone(&self.suspended), self.is_stopped);
            tokio::spawn(async move {
                let mut buffer = [0; 256];
                for number in 0.. {
                    let Ok(count @ 1..) = far.read(&mut buffer).await else { return };
                    ours.write_all(&buffer[..count]).await.unwrap();
                    let count = ours.read(&mut buffer).await.unwrap();
                    far.write_all(&buffer[..count]).await.unwrap();
                    if number == 0 && is_stopped {
                        tokio::task::yield_now().await;
                        tokio::time::advance(Duration::from_secs(600)).await;
                    } else if number == 0 {
                        // Until the first answer has been read.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        *suspended.lock().unwrap() += Duration::from_secs(600);
                    }
                }
            });
            Ok(Box::new(near))
        }
    }
    for is_stopped in [true, false] {
        let usual = plan(&all_names(), Vec::new());
        let suspended = Arc::new(Mutex::new(Duration::ZERO));
        let plan = Plan {
            port: Frozen {
                registers: Registers::example(EnergyUnit::KilowattHour, 0),
                suspended: Arc::clone(&suspended),
                is_stopped,
            },
            port_name: usual.port_name,
            line: usual.line,
            registers: usual.registers,
            together: Vec::new(),
            optional: Vec::new(),
            version: usual.version,
            interval: usual.interval,
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        memory.suspended = SuspendedTime::new(move || *suspended.lock().unwrap());
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        let outdated = polled.missing.iter().filter(|(_, why)| *why == Missing::Outdated).count();
        assert!(outdated >= 5, "stopped {is_stopped}: {polled:?}");
        assert_eq!(polled.readings.len() + polled.missing.len(), 32);
        // The next poll reads everything.
        let port = Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), Behaviour::default());
        let plan = Plan {
            port,
            port_name: plan.port_name,
            line: plan.line,
            registers: plan.registers,
            together: Vec::new(),
            optional: Vec::new(),
            version: plan.version,
            interval: plan.interval,
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        tokio::time::sleep(plan.interval).await;
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), polled.missing), (32, vec![]), "stopped {is_stopped}");
    }
}

/// A register was missing for 20 s. It is not given up for a day.
#[tokio::test(start_paused = true)]
async fn a_register_that_was_absent_for_seconds_is_soon_requested_again() {
    let openings = vec![without("volume"), without("volume"), without("volume"), meter()];
    let plan = plan("energy volume", openings);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let mut read = Vec::new();
    for pause in [10, 10, 600, 0].map(Duration::from_secs) {
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        read.push(polled.readings.len());
        tokio::time::sleep(pause).await;
    }
    assert_eq!(read, [1, 1, 1, 2]);
}

/// "Read now" asks for everything.
#[tokio::test(start_paused = true)]
async fn a_poll_that_a_user_requests_asks_for_absent_registers() {
    let openings = vec![without("volume"), without("volume"), meter(), meter(), meter()];
    let plan = plan("energy volume", openings);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let mut read = Vec::new();
    for is_requested in [false, false, false, true, false] {
        let round = Round { is_requested, ..Round::FULL };
        let polled = poll_round(&plan, &mut memory, round, &stop).await.unwrap();
        read.push(polled.readings.len());
        // Too soon for a register that was absent to be requested again without the user.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(read, [1, 1, 1, 2, 2]);
}

/// Each of them takes 10 s to find.
#[tokio::test(start_paused = true)]
async fn many_registers_that_silence_the_meter_do_not_delay_a_poll_for_minutes() {
    for (good, silencing) in [(13, 19), (8, 15)] {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let names: Vec<_> = registers.values.keys().take(good + silencing).copied().collect();
        registers.silencing.extend(names.iter().skip(good));
        let openings = (0..40).map(|_| Opening::Meter(registers.clone())).collect();
        let plan = Plan { registers: names, ..plan("energy", openings) };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        let (mut read, mut took, mut postponed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..20 {
            let begun = Instant::now();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            took.push(begun.elapsed().as_secs());
            assert_eq!(polled.readings.len() + polled.missing.len(), good + silencing);
            read.push(polled.readings.len());
            let why = polled.missing.iter();
            let left = why.filter(|(_, why)| *why == Missing::Postponed).map(|(id, _)| id.get());
            postponed.push(left.collect::<Vec<_>>());
            sleep_until(begun + plan.interval).await;
        }
        let about = format!("{read:?} in {took:?} s, postponed: {postponed:?}");
        // A value that was read once is in each later poll.
        assert!(read[0] > 0 && read.is_sorted(), "{about}");
        assert!(read[4..].iter().all(|count| *count == good), "{about}");
        assert!(took.iter().all(|seconds| *seconds < 150), "{about}");
        // The next poll begins with them.
        let again = postponed.windows(2).filter(|polls| {
            !polls[0].is_empty() && polls[0].iter().all(|id| polls[1].contains(id))
        });
        assert_eq!(again.count(), 0, "{about}");
    }
}

/// Wrong upper digits of the first `energy` would make a wrong total of `e1highres`.
#[tokio::test(start_paused = true)]
async fn the_upper_digits_of_the_first_reading_are_read_twice() {
    let holding = |kilowatt_hours: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let rows = [
            (60, Unit::KILOWATT_HOUR, kilowatt_hours, 0, 4),
            (266, Unit::WATT_HOUR, 6_655_807, 0, 4),
        ];
        set(&mut registers, &rows);
        registers
    };
    let (good, wrong) = (holding(16_655), holding(26_655));
    let answers = [vec![wrong], vec![good; 20]].concat();
    let plan = plan("energy e1highres", vec![Opening::Each(answers)]);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    let wrong = ["26655", "26655807"];
    let read: Vec<_> = polled.readings.iter().map(|it| it.value.to_string()).collect();
    assert!(read.iter().all(|value| !wrong.contains(&value.as_str())), "{read:?}");
}

/// Such a line stays as it is, and most of its polls lack values.
#[tokio::test(start_paused = true)]
async fn values_that_may_be_late_are_explained_once() {
    let mut journal = Journal::new(&plan("energy", Vec::new()));
    let missing = vec![(ids("energy")[0], Missing::MayBeLate)];
    let polled = Polled { missing, has_answered: true, ..Polled::default() };
    let timing = Timing { ended: Instant::now(), took: Duration::ZERO };
    let polls = (0..3).flat_map(|_| journal.entries(&polled, timing, &[]));
    let lines: Vec<_> = polls.map(|entry| line(&entry)).collect();
    let explained = lines.iter().filter(|line| line.contains("may belong to earlier requests"));
    assert_eq!(explained.count(), 1, "{lines:?}");
}
