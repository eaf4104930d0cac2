//! Serial servers that change, delay or lose bytes, and lines that carry only short answers.

use kmp::datalink::{self, Address, Cid, Packet};
use kmp::frame::{self, Direction};
use kmp::message::GetRegister;

use super::*;

/// What happens to a frame from the meter on its way: pieces that arrive after a delay.
type Way = Box<dyn Fn(&[u8]) -> Vec<(Duration, Vec<u8>)> + Send + Sync>;

const LINE: Line = Line::new(1200);
const TURNAROUND: Duration = Duration::from_millis(50);
const AT_ONCE: Duration = Duration::ZERO;

/// A meter at 1200 baud behind a serial server.
struct Gateway {
    meter: Simulator,
    greeting: &'static [u8],
    greets_after: Duration,
    way: Arc<Way>,
    /// Whether the server handles FF in requests as telnet does.
    is_telnet: bool,
    requests: Arc<AtomicUsize>,
}

impl Gateway {
    fn new(
        registers: Registers,
        way: impl Fn(&[u8]) -> Vec<(Duration, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: false };
        Self {
            meter: Simulator::new(watch::channel(registers).1, behaviour),
            greeting: &[],
            greets_after: AT_ONCE,
            way: Arc::new(Box::new(way)),
            is_telnet: false,
            requests: Arc::default(),
        }
    }

    /// A server that cuts answers after as many bytes as the number says. Zero is no limit.
    fn cutting(registers: Registers, bytes: &Arc<AtomicUsize>, how: Cut) -> Self {
        let bytes = Arc::clone(bytes);
        Self::new(registers, move |frame| {
            let limit = bytes.load(Ordering::Relaxed);
            let answer = frame.to_vec();
            let passed = if limit == 0 || answer.len() <= limit || answer[0] != 0x40 {
                answer
            } else {
                let (len, half) = (answer.len(), limit / 2);
                match how {
                    Cut::End => answer[..limit].to_vec(),
                    Cut::Start => answer[len - limit..].to_vec(),
                    Cut::Middle => [&answer[..half], &answer[len - (limit - half)..]].concat(),
                    Cut::Everything => Vec::new(),
                }
            };
            vec![(AT_ONCE, passed)]
        })
    }

    fn delaying(registers: Registers, delay: Duration) -> Self {
        Self::new(registers, move |frame| vec![(delay, frame.to_vec())])
    }

    /// ser2net 4.3.11 with `telnet,tcp`.
    fn telnet(registers: Registers) -> Self {
        Self::removable_telnet(registers, &Arc::default())
    }

    /// The same, with a head that may be removed.
    fn removable_telnet(registers: Registers, is_removed: &Arc<AtomicBool>) -> Self {
        let is_removed = Arc::clone(is_removed);
        let way = move |frame: &[u8]| {
            if is_removed.load(Ordering::Relaxed) {
                return Vec::new();
            }
            let doubled = frame.iter().flat_map(|byte| vec![*byte; 1 + usize::from(*byte == 0xFF)]);
            vec![(AT_ONCE, doubled.collect())]
        };
        let greeting = &[0xFF, 0xFB, 3, 0xFF, 0xFD, 3, 0xFF, 0xFB, 1, 0xFF, 0xFE, 1, 0xFF, 0xFD, 0];
        Self { greeting, is_telnet: true, ..Self::new(registers, way) }
    }
}

/// Which part of a long answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    End,
    Start,
    Middle,
    Everything,
}

impl Open for Gateway {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, mut far) = duplex(4096);
        let (mut ours, theirs) = duplex(4096);
        let meter = self.meter.clone();
        tokio::spawn(async move { meter.serve(theirs).await });
        let (way, requests) = (Arc::clone(&self.way), Arc::clone(&self.requests));
        let (greeting, greets_after) = (self.greeting, self.greets_after);
        let is_telnet = self.is_telnet;
        tokio::spawn(async move {
            tokio::time::sleep(greets_after).await;
            if far.write_all(greeting).await.is_err() {
                return;
            }
            let (sender, mut due) = mpsc::unbounded_channel::<Vec<u8>>();
            let (mut request, mut answer) = ([0; 256], [0; 256]);
            let mut frame = Vec::new();
            loop {
                tokio::select! {
                    count = far.read(&mut request) => {
                        let Ok(count @ 1..) = count else { return };
                        requests.fetch_add(1, Ordering::Relaxed);
                        let mut bytes = request[..count].to_vec();
                        while let Some(at) = bytes.iter().position(|byte| is_telnet && *byte == 0xFF) {
                            bytes.drain(at..(at + 2).min(bytes.len()));
                        }
                        ours.write_all(&bytes).await.unwrap();
                    }
                    Ok(count @ 1..) = ours.read(&mut answer) => {
                        for byte in &answer[..count] {
                            frame.push(*byte);
                            if *byte != frame::STOP {
                                continue;
                            }
                            for (delay, bytes) in way(&std::mem::take(&mut frame)) {
                                let sender = sender.clone();
                                tokio::spawn(async move {
                                    tokio::time::sleep(delay).await;
                                    let _ = sender.send(bytes);
                                });
                            }
                        }
                    }
                    Some(bytes) = due.recv() => {
                        if far.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(Box::new(near))
    }
}

fn example() -> Registers {
    Registers::example(EnergyUnit::KilowattHour, 0)
}

const SEVEN: &str = "energy volume power flow temp1 temp2 tempdiff";

/// A meter that is polled through a serial server.
struct Polls {
    plan: Plan<Gateway>,
    memory: Memory,
    journal: Journal,
    log: Vec<String>,
}

/// One poll: requests and time that it took.
struct Cost {
    requests: usize,
    took: Duration,
    polled: Polled,
}

impl Polls {
    fn new(names: &str, port: Gateway) -> Self {
        let plan = Plan {
            port,
            port_name: "socket://10.0.0.3:2003".to_owned(),
            line: LINE,
            registers: ids(names),
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Auto,
            interval: Duration::from_secs(300),
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (mut memory, journal) = (Memory::new(Version::Auto), Journal::new(&plan));
        memory.line.is_repeated = true;
        Self { plan, memory, journal, log: Vec::new() }
    }

    async fn poll(&mut self) -> Cost {
        let started = Instant::now();
        self.plan.port.requests.store(0, Ordering::Relaxed);
        let stop = CancellationToken::new();
        let polled = poll(&self.plan, &mut self.memory, &stop).await.unwrap();
        self.memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        let took = started.elapsed();
        let models = self.memory.identification.known_models();
        let timing = Timing { ended: Instant::now(), took: Duration::from_millis(900) };
        let entries = self.journal.entries(&polled, timing, &models);
        self.log.extend(entries.iter().map(line).filter(|line| !line.starts_with("DEBUG")));
        tokio::time::sleep(self.plan.interval.saturating_sub(took)).await;
        Cost { requests: self.plan.port.requests.load(Ordering::Relaxed), took, polled }
    }

    fn log_contains(&self, text: &str) -> usize {
        self.log.iter().filter(|line| line.contains(text)).count()
    }
}

/// The least that a poll costs if answers have at most this many bytes: requests and time.
fn least(names: &str, registers: &Registers, limit: usize) -> (usize, Duration) {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let escaped =
        |bytes: &[u8]| bytes.len() + bytes.iter().filter(|byte| frame::is_reserved(**byte)).count();
    let mut lengths: Vec<_> =
        ids(names).iter().map(|id| escaped(&registers.values[id].to_bytes())).collect();
    lengths.sort_unstable();
    // First fit, the longest first.
    let mut answers: Vec<Vec<usize>> = Vec::new();
    for length in lengths.into_iter().rev() {
        let fits = |answer: &&mut Vec<usize>| {
            answer.len() < 8 && 6 + answer.iter().sum::<usize>() + length <= limit
        };
        match answers.iter_mut().find(fits) {
            Some(answer) => answer.push(length),
            None => answers.push(vec![length]),
        }
    }
    let bytes: usize = answers
        .iter()
        // The request, the pause of one byte after the answer before, and the answer.
        .map(|answer| 7 + 2 * answer.len() + 1 + 6 + answer.iter().sum::<usize>())
        .sum();
    let time = LINE.time_for(bytes) + TURNAROUND * u32::try_from(answers.len()).unwrap();
    (answers.len(), time)
}

/// From the second poll on, a poll costs at most one and a half times the least.
#[tokio::test(start_paused = true)]
async fn a_line_that_cuts_answers_costs_little_more_than_it_must() {
    let mut table = Vec::new();
    let all = all_names();
    let every = [Cut::End, Cut::Start, Cut::Middle, Cut::Everything];
    for (names, count) in [(SEVEN, 7), (&*all, 32)] {
        for bytes in [24, 30, 33, 40, 50, 60] {
            for how in every {
                // Only an answer that breaks off shows to the byte that two registers fit.
                if bytes < 30 && how != Cut::End {
                    continue;
                }
                let limit = Arc::new(AtomicUsize::new(bytes));
                let mut polls = Polls::new(names, Gateway::cutting(example(), &limit, how));
                let (fewest, shortest) = least(names, &example(), bytes);
                let first = polls.poll().await;
                // The values of a small answer are read twice while an earlier one may still arrive.
                let from = if bytes < 40 { 4 } else { 2 };
                let (mut most, mut longest) = (0, Duration::ZERO);
                let mut series = Vec::new();
                for number in 2..=10 {
                    let Cost { requests, took, polled } = polls.poll().await;
                    let missing = &polled.missing;
                    let about = format!(
                        "{count} registers, {how:?} at {bytes}, poll {number}: {missing:?}"
                    );
                    assert_eq!((polled.readings.len(), polled.trouble), (count, None), "{about}");
                    series.push(requests);
                    if number >= from {
                        (most, longest) = (most.max(requests), longest.max(took));
                    }
                }
                table.push(format!(
                    "{count:>2} registers, {how:?} at {bytes}: first poll {} requests, {:.1} s; then \
                     {most} ({fewest}), {:.2} s ({:.2} s); {series:?}",
                    first.requests,
                    first.took.as_secs_f32(),
                    longest.as_secs_f32(),
                    shortest.as_secs_f32()
                ));
                let is_cheap = most * 2 <= fewest * 3 && longest * 2 <= shortest * 3;
                if !is_cheap {
                    table.push("    too much".to_owned());
                }
                let reports = polls.log_contains("does not carry answers of more than");
                assert_eq!(reports, 1, "{how:?} at {bytes}: {:#?}", polls.log);
            }
        }
    }
    let table = table.join("\n");
    println!("{table}");
    assert!(!table.contains("too much"), "\n{table}");
}

/// The light is weak for some days, then good, then weak again.
#[tokio::test(start_paused = true)]
async fn a_longer_answer_is_tried_again_once_a_day() {
    let limit = Arc::new(AtomicUsize::new(40));
    let mut polls = Polls::new(SEVEN, Gateway::cutting(example(), &limit, Cut::End));
    polls.poll().await;
    assert_eq!(polls.poll().await.requests, 2);
    let mut tried = 0;
    // Two days and a half, and a poll every 5 min.
    for _ in 0..720 {
        let cost = polls.poll().await;
        assert_eq!(cost.polled.readings.len(), 7);
        // A poll of three requests takes 1.7 s.
        if cost.took > Duration::from_millis(2_500) {
            tried += 1;
        }
    }
    assert_eq!(tried, 2, "once a day");
    limit.store(0, Ordering::Relaxed);
    for _ in 0..300 {
        assert_eq!(polls.poll().await.polled.readings.len(), 7);
    }
    assert_eq!(polls.poll().await.requests, 1, "{:#?}", polls.log);
    limit.store(50, Ordering::Relaxed);
    polls.poll().await;
    assert_eq!(polls.poll().await.requests, 2);
    let reports: Vec<_> = polls.log.iter().filter(|line| line.contains("The line of")).collect();
    insta::assert_debug_snapshot!(reports);
}

/// Another meter may have another head.
#[tokio::test(start_paused = true)]
async fn another_meter_is_requested_in_full_again() {
    let limit = Arc::new(AtomicUsize::new(40));
    let (registers, held) = watch::channel(with_serial(12_345_678));
    let mut port = Gateway::cutting(example(), &limit, Cut::End);
    let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: false };
    port.meter = Simulator::new(held, behaviour);
    let mut polls = Polls::new(SEVEN, port);
    for _ in 0..2 {
        polls.poll().await;
    }
    assert!(polls.memory.line.capacity.is_limited());
    limit.store(0, Ordering::Relaxed);
    let mut other = with_serial(87_654_321);
    set(&mut other, &[(60, Unit::KILOWATT_HOUR, 12, 0, 4), (68, Unit::CUBIC_METRE, 7, 2, 4)]);
    registers.send_replace(other);
    polls.poll().await;
    assert!(!polls.memory.line.capacity.is_limited(), "{:#?}", polls.log);
    polls.poll().await;
    assert_eq!(polls.poll().await.requests, 1);
}

fn with_serial(serial: i64) -> Registers {
    let mut registers = example();
    set(&mut registers, &[(1001, Unit::NUMBER, serial, 0, 4)]);
    registers.serial = kmp::message::SerialNumber::new(u32::try_from(serial).unwrap());
    registers
}

/// Also with an echo, which is not part of the answer.
#[tokio::test(start_paused = true)]
async fn an_echo_does_not_change_the_length_of_answers() {
    let limit = Arc::new(AtomicUsize::new(40));
    let mut port = Gateway::cutting(example(), &limit, Cut::End);
    let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: true };
    port.meter = Simulator::new(watch::channel(example()).1, behaviour);
    let mut polls = Polls::new(SEVEN, port);
    polls.poll().await;
    for _ in 0..3 {
        let cost = polls.poll().await;
        assert_eq!((cost.polled.readings.len(), cost.requests), (7, 2), "{:#?}", polls.log);
    }
}

/// A meter with a text that is too long for a line of 20 bytes, and its register.
fn with_a_long_text() -> (Registers, RegisterId) {
    let (mut registers, id) = (example(), RegisterId::new(174));
    let exponent = kmp::number::SignExponent::from_byte(0);
    let text = RegisterValue::new(id, Unit::from_code(54), exponent, vec![0x41; 12]);
    registers.insert(text.unwrap());
    (registers, id)
}

/// A value that does not fit is given up for a day, and the others are read.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_too_long_for_the_line_is_reported() {
    let (registers, id) = with_a_long_text();
    let limit = Arc::new(AtomicUsize::new(20));
    let mut polls = Polls::new("energy volume 174", Gateway::cutting(registers, &limit, Cut::End));
    for _ in 0..3 {
        polls.poll().await;
    }
    let Cost { requests, polled, .. } = polls.poll().await;
    assert_eq!((polled.readings.len(), polled.trouble), (2, None));
    assert_eq!(polled.missing, [(id, Missing::TooLong)]);
    assert!(requests <= 3, "{requests}");
    let words = "is not published: its answer is longer than the line carries";
    assert_eq!(polls.log_contains(words), 1, "{:#?}", polls.log);
}

/// A serial server may send the late answer to one poll at the start of the next one. If the line
/// carries only one or two registers at a time, their order does not show it.
#[tokio::test(start_paused = true)]
async fn an_answer_that_the_server_kept_is_not_accepted_over_a_line_that_cuts() {
    let mut older = example();
    set(&mut older, &[(60, Unit::KILOWATT_HOUR, 81_946, 0, 4)]);
    let energy = ids("energy")[0];
    for (names, limit, kept) in [
        ("energy volume", 20, &["energy"][..]),
        ("energy temp1 volume power", 25, &["energy temp1", "temp1 energy"]),
    ] {
        let answers = kept.iter().flat_map(|names| {
            let values: Vec<_> = ids(names).iter().map(|id| older.values[id].clone()).collect();
            let data = GetRegister::emit_answer(&values);
            let packet =
                Packet { address: Address::HEAT_METER, cid: Cid::GET_REGISTER, data: &data };
            datalink::emit(Direction::FromMeter, packet)
        });
        let kept: Vec<u8> = answers.collect();
        let limit = Arc::new(AtomicUsize::new(limit));
        let mut polls = Polls::new(names, Gateway::cutting(older.clone(), &limit, Cut::End));
        // The last of them asks once more for what this meter does not have.
        for _ in 0..4 {
            polls.poll().await;
        }
        let now = Gateway::cutting(example(), &limit, Cut::End);
        polls.plan.port = Gateway { greeting: kept.leak(), ..now };
        for _ in 0..3 {
            let Cost { requests, polled, .. } = polls.poll().await;
            let energy = polled.readings.iter().find(|reading| reading.register == energy);
            let energy = energy.map(|reading| &reading.value);
            assert_eq!(energy, Some(&Value::Number(Decimal::from(81_947))), "{polled:?}");
            assert_eq!(requests, 2, "{names}");
        }
    }
}

/// A serial server may send what another program has requested to all. Such an answer is not the
/// whole of a reading, and its values may be older.
#[tokio::test(start_paused = true)]
async fn an_answer_to_another_program_is_not_that_to_a_reading() {
    for names in ["energy", "volume energy", "temp2 temp1"] {
        let mut older = example();
        set(
            &mut older,
            &[(60, Unit::KILOWATT_HOUR, 81_900, 0, 4), (68, Unit::CUBIC_METRE, 191_700, 2, 4)],
        );
        let values: Vec<_> = ids(names).iter().map(|id| older.values[id].clone()).collect();
        let data = GetRegister::emit_answer(&values);
        let packet = Packet { address: Address::HEAT_METER, cid: Cid::GET_REGISTER, data: &data };
        let foreign = datalink::emit(Direction::FromMeter, packet);
        let is_first = AtomicBool::new(true);
        let way = move |frame: &[u8]| {
            let is_first = is_first.swap(false, Ordering::Relaxed);
            let before = if is_first { &*foreign } else { &[] };
            vec![(AT_ONCE, [before, frame].concat())]
        };
        let plan = Polls::new(SEVEN, Gateway::new(example(), way)).plan;
        let mut reader = Reader::new(plan).finding_out(Extent::Values);
        let result = reader.read(&CancellationToken::new()).await;
        assert_eq!((result.readings.len(), &*result.missing), (7, &[][..]), "{names}: {result:?}");
        let right = example();
        for reading in &result.readings {
            assert_eq!(reading.value, right.values[&reading.register].value().unwrap(), "{names}");
        }
    }
}

/// If another value is missing for its own reason, the answers did arrive.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_too_long_does_not_explain_another_one() {
    for (names, expected) in
        [("174", Some(PollError::Meter(NoAnswer::Damaged))), ("174 4000", None)]
    {
        let (registers, _) = with_a_long_text();
        let limit = Arc::new(AtomicUsize::new(20));
        let mut polls = Polls::new(names, Gateway::cutting(registers, &limit, Cut::End));
        for _ in 0..3 {
            polls.poll().await;
        }
        let polled = polls.poll().await.polled;
        assert_eq!((polled.readings.len(), polled.trouble), (0, expected), "{names}");
    }
}

/// A scan left it out, as if the meter did not have it.
#[tokio::test(start_paused = true)]
async fn a_scan_finds_a_value_that_is_too_long_for_the_line() {
    let (registers, id) = with_a_long_text();
    let limit = Arc::new(AtomicUsize::new(20));
    let Polls { plan, .. } = Polls::new("60", Gateway::cutting(registers, &limit, Cut::End));
    let wanted = [60, 61, 68, 74, 80, 174, 175, 4000].map(RegisterId::new).to_vec();
    let mut reader = Reader::new(Plan { registers: wanted, ..plan });
    let scanned = reader.scan(&CancellationToken::new(), |_| {}).await;
    assert_eq!(scanned.odd, [(id, Missing::TooLong)], "{scanned:?}");
    assert!(scanned.complete && scanned.trouble.is_none(), "{scanned:?}");
    assert_eq!(scanned.present(), [60, 68, 74, 80, 174].map(RegisterId::new), "{scanned:?}");
}

/// Nothing was read, and the poll counted as a success.
#[tokio::test(start_paused = true)]
async fn a_line_that_carries_no_value_is_damaged() {
    let cuts = |serial: usize| {
        move |frame: &[u8]| {
            let limit = if frame[2] == 0x10 { 14 } else { serial };
            vec![(AT_ONCE, frame[..limit.min(frame.len())].to_vec())]
        }
    };
    // The answer with the serial number has ten bytes.
    for (serial, has_answered) in [(5, false), (14, true)] {
        let mut polls = Polls::new("energy volume", Gateway::new(example(), cuts(serial)));
        for number in 1..=6 {
            let polled = polls.poll().await.polled;
            let about = format!("{serial}, poll {number}: {:#?}", polls.log);
            assert_eq!(polled.trouble, Some(PollError::Meter(NoAnswer::Damaged)), "{about}");
            assert_eq!((polled.readings.len(), polled.missing.len()), (0, 2), "{about}");
            assert_eq!(polled.has_answered, has_answered, "{about}");
            assert_eq!(polls.memory.line.capacity.is_limited(), has_answered, "{about}");
        }
    }
}

/// Another meter may have taken the first one's place while it did not answer. Its values were
/// published as those of the first one.
#[tokio::test(start_paused = true)]
async fn a_silence_while_the_line_is_measured_is_not_forgotten() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&is_silent);
    let lengths = ids(SEVEN).into_iter().map(|id| example().values[&id].to_bytes().len());
    let longest = 6 + lengths.sum::<usize>();
    let way = move |frame: &[u8]| {
        // The first poll also requests others, in two requests.
        if frame.len() >= longest {
            silent.store(true, Ordering::Relaxed);
        }
        if silent.load(Ordering::Relaxed) { vec![] } else { vec![(AT_ONCE, frame.to_vec())] }
    };
    let (registers, held) = watch::channel(with_serial(12_345_678));
    let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: false };
    let port = Gateway::new(example(), way);
    let mut polls = Polls::new(SEVEN, Gateway { meter: Simulator::new(held, behaviour), ..port });
    let first = polls.poll().await.polled;
    assert_eq!((first.readings.len(), first.trouble), (7, None));
    assert!(is_silent.load(Ordering::Relaxed), "the longest answer was requested");
    // The other meter is on a line that carries everything.
    polls.plan.port.way = Arc::new(Box::new(|frame: &[u8]| vec![(AT_ONCE, frame.to_vec())]));
    registers.send_replace(with_serial(87_654_321));
    let second = polls.poll().await.polled;
    assert!(second.exchange.is_some(), "{second:?}");
}

/// A damaged answer is no sign that the line cuts answers.
#[tokio::test(start_paused = true)]
async fn a_damaged_answer_sets_no_limit() {
    let count = Arc::new(AtomicUsize::new(0));
    let way = move |frame: &[u8]| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let mut bytes = frame.to_vec();
        // Three long answers in a row, once.
        if (4..7).contains(&number) {
            bytes.truncate(10 + number * 5);
        }
        vec![(AT_ONCE, bytes)]
    };
    let mut polls = Polls::new(&all_names(), Gateway::new(example(), way));
    for _ in 0..2 {
        assert_eq!(polls.poll().await.polled.readings.len(), 32);
    }
    assert!(!polls.memory.line.capacity.is_limited(), "{:#?}", polls.log);
    assert_eq!(polls.poll().await.requests, 4);
}

/// Answers that break off at random are no limit: once the line is good again, everything is read.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_good_again_carries_every_value() {
    let mut unread = Vec::new();
    for seed in 1..=40_u64 {
        let (is_bad, state) = (Arc::new(AtomicBool::new(true)), AtomicUsize::new(0));
        let is_bad_now = Arc::clone(&is_bad);
        let way = move |frame: &[u8]| {
            let mut bytes = frame.to_vec();
            // SplitMix64.
            let number = u64::try_from(state.fetch_add(1, Ordering::Relaxed)).unwrap();
            let mut random = (seed << 32 | number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            random = (random ^ random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            random = (random ^ random >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            random ^= random >> 31;
            if is_bad_now.load(Ordering::Relaxed) && random % 10 < 7 {
                let length = u64::try_from(bytes.len()).unwrap();
                bytes.truncate(usize::try_from(random / 10 % length).unwrap());
            }
            vec![(AT_ONCE, bytes)]
        };
        let mut polls = Polls::new(SEVEN, Gateway::new(example(), way));
        for _ in 0..30 {
            polls.poll().await;
        }
        is_bad.store(false, Ordering::Relaxed);
        for _ in 0..4 {
            polls.poll().await;
        }
        let missing = polls.poll().await.polled.missing;
        if !missing.is_empty() {
            unread.push((seed, missing));
        }
    }
    assert_eq!(unread, []);
}

/// A line that loses all long answers for a while has not become one that carries only short ones.
/// Requests of a single register would follow for a day, and their late answers cannot be recognized:
/// four of 10,000 values were those of an earlier poll.
#[tokio::test(start_paused = true)]
async fn long_answers_that_are_lost_by_chance_set_no_limit() {
    let limit = Arc::new(AtomicUsize::new(0));
    let mut polls = Polls::new(SEVEN, Gateway::cutting(example(), &limit, Cut::Everything));
    for _ in 0..3 {
        polls.poll().await;
    }
    for _ in 0..2 {
        limit.store(20, Ordering::Relaxed);
        polls.poll().await;
        assert!(!polls.memory.line.capacity.is_limited(), "{:#?}", polls.log);
        limit.store(0, Ordering::Relaxed);
        assert_eq!(polls.poll().await.requests, 1);
    }
    limit.store(20, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(polls.poll().await.polled.readings.len(), 7);
    }
    assert!(polls.memory.line.capacity.is_limited(), "{:#?}", polls.log);
}

/// A long answer that is late was not lost, whichever request it belongs to.
#[tokio::test(start_paused = true)]
async fn a_late_answer_lifts_the_limit() {
    let limit = Arc::new(AtomicUsize::new(20));
    let mut polls = Polls::new(SEVEN, Gateway::cutting(example(), &limit, Cut::Everything));
    for _ in 0..2 {
        polls.poll().await;
    }
    assert!(polls.memory.line.capacity.is_limited(), "{:#?}", polls.log);
    let values: Vec<_> = ids(SEVEN).iter().map(|id| example().values[id].clone()).collect();
    let data = GetRegister::emit_answer(&values);
    let packet = Packet { address: Address::HEAT_METER, cid: Cid::GET_REGISTER, data: &data };
    let kept = datalink::emit(Direction::FromMeter, packet);
    polls.plan.port.greeting = kept.leak();
    limit.store(0, Ordering::Relaxed);
    polls.poll().await;
    polls.plan.port.greeting = &[];
    assert_eq!(polls.poll().await.requests, 1, "{:#?}", polls.log);
}

/// Several meters that one program polls, with lines that differ.
#[tokio::test(start_paused = true)]
async fn each_meter_has_a_limit_of_its_own() {
    let memories = MeterMemories::default();
    let mut all = Vec::new();
    for (number, bytes) in [(2001, 40), (2002, 0), (2003, 24)] {
        let limit = Arc::new(AtomicUsize::new(bytes));
        let Polls { plan, .. } = Polls::new(SEVEN, Gateway::cutting(example(), &limit, Cut::End));
        let counted = Arc::clone(&plan.port.requests);
        let plan = Plan { port_name: format!("socket://10.0.0.3:{number}"), ..plan };
        let ((sender, results), stop) = (mpsc::channel(1), CancellationToken::new());
        let handle = MeterHandle::default();
        let polling = run_knowing(memories.clone(), plan, midnight(), sender, handle, stop.clone());
        all.push((bytes, counted, results, stop, tokio::spawn(polling)));
    }
    for number in 1..=8 {
        let mut made = Vec::new();
        for (bytes, counted, results, ..) in &mut all {
            let result = results.recv().await.unwrap();
            assert_eq!(result.readings.len(), 7, "poll {number} at {bytes}");
            made.push(counted.swap(0, Ordering::Relaxed));
        }
        // The first polls find the limits, and read the values of small answers twice.
        if number > 3 {
            let fewest = [40, 0, 24].map(|bytes| least(SEVEN, &example(), bytes).0);
            assert_eq!(made, fewest, "poll {number}");
        }
    }
    for (.., results, stop, polling) in all {
        stop.cancel();
        drop(results);
        polling.await.unwrap();
    }
}

/// 2.5 s are too late, and were reported as silence.
#[tokio::test(start_paused = true)]
async fn late_answers_are_reported_with_a_timeout_that_is_enough() {
    for (delay, is_read) in [(1_500, true), (2_500, false), (3_300, true), (4_500, true)] {
        let delay = Duration::from_millis(delay);
        let mut polls = Polls::new(SEVEN, Gateway::delaying(example(), delay));
        let mut polled = Polled::default();
        for _ in 0..3 {
            polled = polls.poll().await.polled;
        }
        let log = polls.log.join("\n");
        assert_eq!(polled.readings.len(), if is_read { 7 } else { 0 }, "{delay:?}: {log}");
        for other_cause in ["does not answer", "other program", "does not carry"] {
            assert!(!log.contains(other_cause), "{delay:?}: {log}");
        }
        assert_eq!(polls.log_contains("`serial_device.timeout`"), 1, "{delay:?}: {log}");
        let proposed = log.split("`serial_device.timeout` to `").nth(1).unwrap();
        let proposed: Decimal = proposed.split('`').next().unwrap().parse().unwrap();
        let milliseconds = proposed * Decimal::from(1_000);
        let proposed = Duration::from_millis(milliseconds.try_into().unwrap());
        // The last byte arrives that much later, and the first one would too.
        // If requests look the same, the oldest one that may have been answered counts.
        assert!(proposed > delay && proposed < delay * 2 + Duration::from_secs(2), "{log}");
        let line = LINE.with_answer_timeout(proposed);
        let mut better = Polls::new(SEVEN, Gateway::delaying(example(), delay));
        better.plan.line = line;
        for _ in 0..3 {
            let cost = better.poll().await;
            assert_eq!((cost.polled.readings.len(), cost.polled.trouble), (7, None), "{delay:?}");
        }
        assert_eq!(better.log_contains("timeout"), 0, "{:#?}", better.log);
    }
}

/// Short polls end before a very late answer arrives. The cause is still the same.
#[tokio::test(start_paused = true)]
async fn the_cause_stays_known_in_short_polls() {
    let delay = Duration::from_secs(9);
    let mut polls = Polls::new("energy volume", Gateway::delaying(example(), delay));
    for number in 1..=4 {
        let polled = polls.poll().await.polled;
        let trouble = polled.trouble;
        assert!(
            matches!(trouble, Some(PollError::Meter(NoAnswer::Late(_))) | None),
            "poll {number}: {trouble:?}"
        );
    }
    assert_eq!(polls.log_contains("does not answer"), 0, "{:#?}", polls.log);
}

/// A single answer that is late by chance is no reason for advice.
#[tokio::test(start_paused = true)]
async fn one_late_answer_is_not_reported() {
    let count = AtomicUsize::new(0);
    let way = move |frame: &[u8]| {
        let is_late = count.fetch_add(1, Ordering::Relaxed) == 5;
        let delay = if is_late { Duration::from_millis(2_500) } else { AT_ONCE };
        vec![(delay, frame.to_vec())]
    };
    let mut polls = Polls::new(&all_names(), Gateway::new(example(), way));
    for _ in 0..3 {
        assert_eq!(polls.poll().await.polled.readings.len(), 32);
    }
    assert_eq!(polls.log_contains("timeout"), 0, "{:#?}", polls.log);
}

/// It was the reason that was reported for each silence of the next hour.
#[tokio::test(start_paused = true)]
async fn one_late_answer_does_not_explain_a_silence() {
    let (count, is_removed) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let is_gone = Arc::clone(&is_removed);
    let way = move |frame: &[u8]| {
        let is_late = count.fetch_add(1, Ordering::Relaxed) == 1;
        let delay = if is_late { Duration::from_millis(2_500) } else { AT_ONCE };
        if is_gone.load(Ordering::Relaxed) { vec![] } else { vec![(delay, frame.to_vec())] }
    };
    let mut polls = Polls::new(&all_names(), Gateway::new(example(), way));
    let polled = polls.poll().await.polled;
    assert_eq!((polled.readings.len(), polled.line.lateness.answers), (32, 1));
    is_removed.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let trouble = polls.poll().await.polled.trouble;
        assert_eq!(trouble, Some(PollError::Meter(NoAnswer::Nothing)), "{:#?}", polls.log);
    }
}

/// The silence was reported as telnet. The greeting may also arrive during a request.
#[tokio::test(start_paused = true)]
async fn a_head_that_was_removed_is_silent_in_telnet_mode_too() {
    for greets_after in [AT_ONCE, Duration::from_millis(400)] {
        let is_removed = Arc::new(AtomicBool::new(false));
        let port = Gateway::removable_telnet(example(), &is_removed);
        let mut polls = Polls::new(SEVEN, Gateway { greets_after, ..port });
        let polled = polls.poll().await.polled;
        assert!(polled.line.is_telnet && polled.trouble.is_none(), "{polled:?}");
        is_removed.store(true, Ordering::Relaxed);
        for is_contended in [false, true] {
            polls.memory.port_contended = is_contended;
            let polled = polls.poll().await.polled;
            assert!(polled.line.is_telnet, "{polled:?}");
            let silence = Some(PollError::Meter(NoAnswer::Nothing));
            assert_eq!(polled.trouble, silence, "{greets_after:?} {is_contended}");
        }
    }
}

/// A value with FF is not read, no value is wrong, and the message names the cause.
#[tokio::test(start_paused = true)]
async fn telnet_is_recognized_with_and_without_a_value_that_it_changes() {
    let mut registers = example();
    set(&mut registers, &[(68, Unit::CUBIC_METRE, 0x00FF_01FF, 2, 4)]);
    let mut logs = Vec::new();
    for (about, registers) in [("no FF", example()), ("FF in `volume`", registers)] {
        let mut polls = Polls::new("energy volume temp1", Gateway::telnet(registers.clone()));
        for _ in 0..3 {
            let polled = polls.poll().await.polled;
            for reading in &polled.readings {
                let sent = Reading::try_from(&registers.values[&reading.register]).unwrap();
                assert_eq!(reading.value, sent.value);
            }
            let has_volume = polled.readings.iter().any(|reading| reading.register.get() == 68);
            assert_eq!(has_volume, about == "no FF");
        }
        assert!(!polls.memory.line.capacity.is_limited());
        let reports = polls.log_contains("is in telnet mode");
        assert!((1..=2).contains(&reports), "{:#?}", polls.log);
        logs.push(format!("{about}\n{}", polls.log.join("\n")));
    }
    insta::assert_snapshot!(logs.join("\n\n"));
}

/// Noise on a serial port may look like telnet, but there is no telnet.
#[tokio::test(start_paused = true)]
async fn a_device_is_never_in_telnet_mode() {
    let mut registers = example();
    set(&mut registers, &[(68, Unit::CUBIC_METRE, 0x00FF_01FF, 2, 4)]);
    let mut polls = Polls::new("energy volume", Gateway::telnet(registers));
    polls.plan.port_name = "/dev/ttyUSB0".to_owned();
    for _ in 0..2 {
        polls.poll().await;
    }
    assert_eq!(polls.log_contains("telnet"), 0, "{:#?}", polls.log);
}
