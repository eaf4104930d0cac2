//! Readings of simulated logs, with paused time.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kmp::datalink::{Address, Cid, Packet, emit};
use kmp::frame::Direction;
use kmp::line::Line;
use kmp::logger::{Log, LogEntry, LogId, LogInfo};
use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use simulator::{
    Behaviour, EnergyUnit, Fault, Faults, Logs, Model, Registers, Simulator, SummerStamp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::client::{LineState, Meter, NoAnswer, RequestError};

const LINE: Line = Line::new(1200);

fn of_603() -> Logs {
    Logs::model(Model::Multical603, EnergyUnit::MegawattHour, SummerStamp::Standard).unwrap()
}

fn ids(ids: &[u16]) -> Vec<RegisterId> {
    ids.iter().map(|id| RegisterId::new(*id)).collect()
}

/// A simulated meter, and what was read of its log.
struct Bench {
    connections: mpsc::UnboundedSender<DuplexStream>,
    line_state: LineState,
    read: Vec<LogEntry>,
    known: Vec<LogId>,
    extent: Option<LogExtent>,
    sent: usize,
    pieces: usize,
}

impl Bench {
    fn new(logs: Option<Logs>, behaviour: Behaviour, faults: Option<Faults>) -> Self {
        let registers = Registers::model(Model::Multical603, EnergyUnit::MegawattHour, 0);
        let mut meter = Simulator::new(watch::channel(registers).1, behaviour);
        if let Some(logs) = logs {
            meter = meter.with_logs(logs);
        }
        if let Some(faults) = faults {
            meter = meter.with_faults(faults);
        }
        let (connections, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move { meter.serve_each(accepted).await });
        Self {
            connections,
            line_state: LineState::default(),
            read: Vec::new(),
            known: Vec::new(),
            extent: None,
            sent: 0,
            pieces: 0,
        }
    }

    fn of(logs: Logs) -> Self {
        Self::new(Some(logs), Behaviour::default(), None)
    }

    /// Reads over one connection after the other.
    async fn run(&mut self, reading: &mut LogReading) -> Result<LogEnd, NoAnswer> {
        loop {
            match self.run_until(reading, || false).await {
                Ok(LogOutcome::Ended(end)) => return Ok(end),
                Ok(LogOutcome::Paused) => panic!("it need not pause"),
                Err(RequestError::NoAnswer(heard)) => return Err(heard),
                Err(RequestError::Broken(_)) => {}
                Err(RequestError::Stopping) => panic!("nobody stops it"),
            }
        }
    }

    async fn run_until(
        &mut self,
        reading: &mut LogReading,
        must_pause: impl Fn() -> bool,
    ) -> Result<LogOutcome, RequestError> {
        let (near, far) = duplex(1024);
        self.connections.send(far).unwrap();
        let mut client = Meter::new(near, LINE, self.line_state.clone());
        let (read, known, extent) = (&mut self.read, &mut self.known, &mut self.extent);
        let pieces = &mut self.pieces;
        let report = |step: LogStep<'_>| match step {
            LogStep::Begins(found) => *extent = Some(found.clone()),
            LogStep::Read(entries) => {
                *pieces += 1;
                read.extend_from_slice(entries);
            }
            LogStep::Known(entry) => known.push(entry.id),
        };
        let stop = CancellationToken::new();
        let result = reading.read(&mut client, LINE, &stop, must_pause, report).await;
        self.line_state = client.line_state();
        self.sent += usize::try_from(client.traffic().sent).unwrap();
        result
    }
}

fn reading(log: Log, wanted: &[u16]) -> LogReading {
    LogReading::new(log, ids(wanted), BTreeMap::new())
}

/// What the log holds of these registers, the newest first.
fn held(logs: &Logs, log: Log, registers: &[u16]) -> Vec<LogEntry> {
    let entry = |entry: &LogEntry| LogEntry {
        id: entry.id,
        values: registers
            .iter()
            .map(|id| entry.values.iter().find(|value| value.register.get() == *id).unwrap())
            .cloned()
            .collect(),
    };
    logs.entries(log).iter().rev().map(entry).collect()
}

#[tokio::test(start_paused = true)]
async fn each_log_is_read_from_the_newest_entry_back() {
    for summer in [SummerStamp::Standard, SummerStamp::Local] {
        let logs = Logs::model(Model::Multical603, EnergyUnit::Gigajoule, summer).unwrap();
        for log in [Log::Year, Log::Month, Log::Day, Log::Hour] {
            let mut bench = Bench::of(logs.clone());
            let end = bench.run(&mut reading(log, &[60, 68, 4000])).await;
            assert_eq!(end, Ok(LogEnd::Complete));
            assert_eq!(bench.read, held(&logs, log, &[348, 60, 68]), "{log} {summer:?}");
            let extent = bench.extent.unwrap();
            assert_eq!(usize::try_from(extent.entries).unwrap(), bench.read.len());
            assert_eq!(extent.newest, bench.read[0].id);
            assert_eq!(extent.oldest, bench.read.last().unwrap().id);
        }
    }
}

/// A 403 has no register with date and time together.
#[tokio::test(start_paused = true)]
async fn a_date_and_a_time_may_be_apart() {
    let energy = EnergyUnit::MegawattHour;
    let logs = Logs::model(Model::Multical403, energy, SummerStamp::Standard).unwrap();
    let mut bench = Bench::of(logs.clone());
    assert_eq!(bench.run(&mut reading(Log::Hour, &[60])).await, Ok(LogEnd::Complete));
    assert_eq!(bench.read, held(&logs, Log::Hour, &[1003, 1002, 60]));
    let stamp = LogStamp::of(&bench.read[0].values).unwrap();
    assert_eq!(stamp.date.to_string(), "2026-11-23");
    assert_eq!(stamp.time.unwrap().to_string(), "07:00:04");
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_meter_is_awake_is_known_before() {
    let behaviour = Behaviour { line: Some(LINE), ..Behaviour::default() };
    let mut bench = Bench::new(Some(of_603()), behaviour, None);
    let start = Instant::now();
    assert_eq!(bench.run(&mut reading(Log::Day, &[60, 68])).await, Ok(LogEnd::Complete));
    let took = start.elapsed().as_secs_f64();
    let awake = bench.extent.unwrap().awake.as_secs_f64();
    // The table of the fact sheet has 51 s for date, energy and volume in 12 bytes; these have 15.
    assert!((60.0..75.0).contains(&awake), "{awake}");
    // Some bytes must be escaped, the first requests are not counted, and there are rests.
    assert!((awake..1.15 * awake).contains(&took), "{took} instead of {awake}");
    // One poll of 8 registers: 101 bytes.
    assert_eq!(poll_awake(LINE, 8), LINE.time_for(101));
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_gives_nothing() {
    let mut logs = of_603();
    logs.clear(Log::Day);
    let mut bench = Bench::of(logs);
    assert_eq!(bench.run(&mut reading(Log::Day, &[60])).await, Ok(LogEnd::Empty));
    assert_eq!((bench.read, bench.extent), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn two_silences_mean_that_the_meter_does_not_give_its_log() {
    let mut bench = Bench::new(None, Behaviour::default(), None);
    let start = Instant::now();
    let mut of_day = reading(Log::Day, &[60]);
    assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::NotGiven));
    assert_eq!(of_day.answers(), 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // A meter that answers nothing is asleep or away.
    let faults = Faults::new(1, vec![(Fault::Silence, 1000)]);
    let mut bench = Bench::new(Some(of_603()), Behaviour::default(), Some(faults));
    assert_eq!(bench.run(&mut reading(Log::Day, &[60])).await, Err(NoAnswer::Nothing));
}

/// Silence that the line causes says nothing about a meter that has given its log before.
#[tokio::test(start_paused = true)]
async fn a_meter_that_has_given_its_log_goes_on_giving_it() {
    let mut bench = Bench::new(None, Behaviour::default(), None);
    let mut of_day = reading(Log::Day, &[60]).with_given(true);
    assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::Silent));
    for seed in 0..20 {
        let faults = Faults::new(seed, vec![(Fault::Silence, 500)]);
        let mut bench = Bench::new(Some(of_603()), Behaviour::default(), Some(faults));
        let end = bench.run(&mut reading(Log::Year, &[60]).with_given(true)).await;
        assert_ne!(end, Ok(LogEnd::NotGiven), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_continues_at_the_next_older_entry() {
    let logs = of_603().with_longest_answer(130);
    let mut bench = Bench::of(logs.clone());
    assert_eq!(bench.run(&mut reading(Log::Day, &[60, 68])).await, Ok(LogEnd::Complete));
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 60, 68]));
    assert!(bench.pieces > 60, "{}", bench.pieces);
}

#[tokio::test(start_paused = true)]
async fn a_missing_day_is_no_error() {
    let mut logs = of_603();
    let id = logs.entries(Log::Day)[300].id;
    logs.miss(Log::Day, id);
    let mut bench = Bench::of(logs.clone());
    assert_eq!(bench.run(&mut reading(Log::Day, &[60])).await, Ok(LogEnd::Complete));
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 60]));
    assert_eq!(bench.read.len(), 459);
}

#[tokio::test(start_paused = true)]
async fn it_ends_where_counters_were_reset_or_the_format_changes() {
    let mut logs = of_603();
    let id = logs.entries(Log::Day)[400].id;
    logs.reset(Log::Day, id);
    let mut bench = Bench::of(logs.clone());
    let end = bench.run(&mut reading(Log::Day, &[60, 68])).await;
    let fault = LogFault::Counter(RegisterId::new(60));
    assert_eq!(end, Ok(LogEnd::Fault { id: id.older(1), fault }));
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 60, 68])[..60]);

    let mut logs = of_603();
    logs.change_format(Log::Day, id);
    let mut bench = Bench::of(logs.clone());
    let end = bench.run(&mut reading(Log::Day, &[68, 60])).await;
    let fault = LogFault::Format(RegisterId::new(60));
    assert_eq!(end, Ok(LogEnd::Fault { id: Some(id), fault }));
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 68, 60])[..59]);
    // A register whose format is the same continues.
    let mut bench = Bench::of(logs);
    assert_eq!(bench.run(&mut reading(Log::Day, &[68])).await, Ok(LogEnd::Complete));
}

/// What was read is not requested again, whether it is the newest, the oldest, or in between.
#[tokio::test(start_paused = true)]
async fn known_entries_are_not_requested() {
    let logs = of_603();
    let all = held(&logs, Log::Day, &[348, 60]);
    let known = |from: usize, to: usize| -> BTreeMap<LogId, Vec<RegisterValue>> {
        all[from..to].iter().map(|entry| (entry.id, entry.values.clone())).collect()
    };
    for (from, to) in [(0, 100), (30, 31), (100, 400), (430, 460), (0, 460)] {
        let mut bench = Bench::of(logs.clone());
        let mut of_day = LogReading::new(Log::Day, ids(&[60]), known(from, to));
        assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::Complete));
        let expected = [&all[..from], &all[to..]].concat();
        assert_eq!(bench.read, expected, "{from} {to}");
        assert_eq!(bench.known.len(), to - from);
        assert_eq!(usize::try_from(bench.extent.unwrap().entries).unwrap(), expected.len());
    }
    // Entries with other registers are read again.
    let mut bench = Bench::of(logs.clone());
    let mut of_day = LogReading::new(Log::Day, ids(&[60, 68]), known(0, 460));
    assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::Complete));
    assert_eq!((bench.read.len(), bench.known.len()), (460, 0));
    // Known entries that do not continue the newer ones end it.
    let mut other = known(100, 400);
    let swapped = other[&all[300].id].clone();
    other.insert(all[200].id, swapped);
    let mut bench = Bench::of(logs);
    let end = bench.run(&mut LogReading::new(Log::Day, ids(&[60]), other)).await;
    let (id, fault) = (Some(all[201].id), LogFault::Counter(RegisterId::new(60)));
    assert_eq!(end, Ok(LogEnd::Fault { id, fault }));
}

#[tokio::test(start_paused = true)]
async fn a_date_ends_it_early() {
    let logs = of_603();
    let mut bench = Bench::of(logs.clone());
    let stamp = LogStamp::of(&held(&logs, Log::Day, &[348])[30].values).unwrap();
    let from = stamp.written().unwrap().date();
    let mut of_day = reading(Log::Day, &[60]).with_from(Some(from));
    assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::Reached));
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 60])[..32]);
}

#[tokio::test(start_paused = true)]
async fn it_pauses_between_two_pieces_and_continues_over_another_connection() {
    let logs = of_603();
    let mut bench = Bench::of(logs.clone());
    let mut of_day = reading(Log::Day, &[60]);
    let mut pauses = 0;
    loop {
        match bench.run_until(&mut of_day, || true).await.unwrap() {
            LogOutcome::Paused => pauses += 1,
            LogOutcome::Ended(end) => {
                assert_eq!(end, LogEnd::Complete);
                break;
            }
        }
    }
    assert_eq!(pauses, 460 / 24);
    assert_eq!(bench.read, held(&logs, Log::Day, &[348, 60]));
}

fn serial(number: u32) -> Registers {
    let mut registers = Registers::model(Model::Multical603, EnergyUnit::MegawattHour, 0);
    registers.serial = SerialNumber::new(number);
    registers
}

/// A meter with logs, which answers over the returned stream.
fn of_serial(number: u32) -> DuplexStream {
    let meter = Simulator::new(watch::channel(serial(number)).1, Behaviour::default());
    let (near, far) = duplex(1024);
    tokio::spawn(async move { meter.with_logs(of_603()).serve(far).await });
    near
}

/// What happens to a request that is sent for the n-th time, and is this one.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// It is lost, and then the head is on another meter.
    Moved,
    /// The connection ends.
    Closed,
}

/// Two meters behind a head. `event` says what happens to a request.
fn behind_a_head(event: impl Fn(&[u8]) -> Option<Event> + Send + 'static) -> DuplexStream {
    let (near, mut far) = duplex(1024);
    let (mut meter, mut other) = (of_serial(1), Some(of_serial(2)));
    tokio::spawn(async move {
        let (mut request, mut answer) = ([0; 256], [0; 1024]);
        loop {
            tokio::select! {
                read = far.read(&mut request) => {
                    let Ok(count @ 1..) = read else { return };
                    match event(&request[..count]) {
                        Some(Event::Closed) => return,
                        Some(Event::Moved) if other.is_some() => meter = other.take().unwrap(),
                        _ => meter.write_all(&request[..count]).await.unwrap(),
                    }
                }
                read = meter.read(&mut answer) => {
                    let count = read.unwrap();
                    far.write_all(&answer[..count]).await.unwrap();
                }
            }
        }
    });
    near
}

async fn over(
    stream: DuplexStream,
    reading: &mut LogReading,
    read: &mut Vec<LogEntry>,
) -> Result<LogOutcome, RequestError> {
    let mut client = Meter::new(stream, LINE, LineState::default());
    let report = |step: LogStep<'_>| {
        if let LogStep::Read(entries) = step {
            read.extend_from_slice(entries);
        }
    };
    reading.read(&mut client, LINE, &CancellationToken::new(), || false, report).await
}

/// Two meters of the same age have the same ids and dates, so only the serial number tells them
/// apart.
#[tokio::test(start_paused = true)]
async fn a_head_that_is_moved_while_a_log_is_read_ends_it() {
    for moved_at in [1, 2, 5] {
        let pieces = AtomicUsize::new(0);
        let head = behind_a_head(move |request| {
            // 0x06 is stuffed.
            let is_piece = request.get(2..5) == Some(&[0xB8, 0x1B, 0xF9]);
            let is_now = is_piece && pieces.fetch_add(1, Ordering::Relaxed) + 1 == moved_at;
            is_now.then_some(Event::Moved)
        });
        let mut read = Vec::new();
        let end = over(head, &mut reading(Log::Day, &[60]), &mut read).await.unwrap();
        assert_eq!(end, LogOutcome::Ended(LogEnd::OtherMeter(SerialNumber::new(2))));
        assert_eq!(read.len(), 24 * (moved_at - 1), "{moved_at}");
    }
    // It may be moved as early as that.
    for sub_command in [5, 7] {
        let head = behind_a_head(move |request| {
            (request.get(2..4) == Some(&[0xB8, sub_command])).then_some(Event::Moved)
        });
        let mut read = Vec::new();
        let end = over(head, &mut reading(Log::Day, &[60]), &mut read).await.unwrap();
        assert_eq!(end, LogOutcome::Ended(LogEnd::OtherMeter(SerialNumber::new(2))));
        assert_eq!(read, []);
    }
}

#[tokio::test(start_paused = true)]
async fn the_meter_may_be_known_before() {
    let mut read = Vec::new();
    let mut of_first = reading(Log::Day, &[60]).of_meter(SerialNumber::new(1));
    let end = over(of_serial(1), &mut of_first, &mut read).await.unwrap();
    assert_eq!(end, LogOutcome::Ended(LogEnd::Complete));
    let mut of_other = reading(Log::Day, &[60]).of_meter(SerialNumber::new(2));
    let end = over(of_serial(1), &mut of_other, &mut read).await.unwrap();
    assert_eq!(end, LogOutcome::Ended(LogEnd::OtherMeter(SerialNumber::new(1))));
}

/// A server that closes each connection at the same request makes no progress.
#[tokio::test(start_paused = true)]
async fn finding_out_what_the_log_has_is_no_progress() {
    let mut of_day = reading(Log::Day, &[60]);
    for _ in 0..3 {
        let head = behind_a_head(|request| {
            (request.get(2..4) == Some(&[0xB8, 0x07])).then_some(Event::Closed)
        });
        let result = over(head, &mut of_day, &mut Vec::new()).await;
        assert!(matches!(result, Err(RequestError::Broken(_))), "{result:?}");
        assert_eq!(of_day.answers(), 0);
    }
}

/// A meter whose answers nobody has captured may answer in another form.
#[tokio::test(start_paused = true)]
async fn an_answer_in_an_unknown_form_is_called_so() {
    let (near, mut far) = duplex(1024);
    let mut meter = of_serial(1);
    tokio::spawn(async move {
        let (mut request, mut answer) = ([0; 256], [0; 1024]);
        while let Ok(count @ 1..) = far.read(&mut request).await {
            meter.write_all(&request[..count]).await.unwrap();
            let mut count = meter.read(&mut answer).await.unwrap();
            if request.get(2) == Some(&0xB8) {
                // A configuration that is too short.
                let address = Address::HEAT_METER;
                let data = [vec![0x05, 0x04], vec![0x01; 10]].concat();
                let packet = Packet { address, cid: Cid::LOGGER, data: &data };
                let frame = emit(Direction::FromMeter, packet);
                count = frame.len();
                answer[..count].copy_from_slice(&frame);
            }
            far.write_all(&answer[..count]).await.unwrap();
        }
    });
    let end = over(near, &mut reading(Log::Day, &[60]), &mut Vec::new()).await.unwrap();
    assert_eq!(end, LogOutcome::Ended(LogEnd::UnknownForm));
}

/// A log whose ids begin again has other entries with the same ids.
#[tokio::test(start_paused = true)]
async fn known_entries_of_a_restarted_log_are_forgotten() {
    let logs = of_603();
    let all = held(&logs, Log::Day, &[348, 60]);
    let mut known: BTreeMap<_, _> =
        all[..100].iter().map(|entry| (entry.id, entry.values.clone())).collect();
    known.insert(LogId::new(all[0].id.get() + 1), all[0].values.clone());
    let mut bench = Bench::of(logs);
    let mut of_day = LogReading::new(Log::Day, ids(&[60]), known);
    assert_eq!(bench.run(&mut of_day).await, Ok(LogEnd::Complete));
    assert_eq!((bench.read.len(), bench.known.len()), (460, 0));
    assert!(bench.extent.unwrap().is_restarted);
}

#[tokio::test(start_paused = true)]
async fn another_meter_ends_it() {
    let mut bench = Bench::of(of_603());
    let mut of_day = reading(Log::Day, &[60]);
    assert_eq!(bench.run_until(&mut of_day, || true).await.unwrap(), LogOutcome::Paused);
    let mut other = Bench::of(of_603());
    let meter = Simulator::new(watch::channel(serial(1)).1, Behaviour::default());
    let (connections, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move { meter.with_logs(of_603()).serve_each(accepted).await });
    other.connections = connections;
    let end = other.run(&mut of_day).await;
    assert_eq!(end, Ok(LogEnd::OtherMeter(SerialNumber::new(1))));
    assert_eq!(other.read, []);
}

/// How many pieces each fault gets: more with `KAMSTRUP2MQTT_TEST_PIECES`.
fn pieces_of_each_fault() -> usize {
    let pieces = env::var("KAMSTRUP2MQTT_TEST_PIECES").ok();
    pieces.and_then(|pieces| pieces.parse().ok()).unwrap_or(150)
}

/// Each fault in one of ten answers, over years, both changes of the clock, and a missing day.
/// Late answers to older pieces arrive while newer ones are awaited. What is read is exactly what
/// the meter holds, or the reading says where it stopped.
#[tokio::test(start_paused = true)]
async fn no_fault_gives_a_wrong_entry() {
    let mut logs = of_603().with_longest_answer(300);
    let id = logs.entries(Log::Day)[200].id;
    logs.miss(Log::Day, id);
    let expected = held(&logs, Log::Day, &[348, 60, 68]);
    let (mut pieces, mut unfinished) = (0, 0);
    for (fault, seed) in Fault::ALL.into_iter().zip(1_u64..) {
        let mut of_fault = 0;
        for round in 0.. {
            if of_fault >= pieces_of_each_fault() {
                break;
            }
            let faults = Faults::new(seed * 1_000_000 + round, vec![(fault, 100)]);
            let mut bench = Bench::new(Some(logs.clone()), Behaviour::default(), Some(faults));
            let end = bench.run(&mut reading(Log::Day, &[60, 68])).await;
            of_fault += bench.pieces.max(1);
            let is_complete = end == Ok(LogEnd::Complete);
            assert!(expected.starts_with(&bench.read), "{fault}: {end:?}");
            assert!(!is_complete || bench.read.len() == expected.len(), "{fault}");
            unfinished += u64::from(!is_complete);
            assert!(!matches!(end, Ok(LogEnd::Empty)), "{fault}");
        }
        pieces += of_fault;
    }
    println!("{pieces} pieces, {unfinished} readings ended early");
    assert!(unfinished * 20 < u64::try_from(pieces).unwrap(), "{unfinished} of {pieces}");
}

/// An answer that the meter sends twice, or too late, never stands for the next piece.
#[tokio::test(start_paused = true)]
async fn late_and_doubled_answers_of_another_piece_are_recognized() {
    let logs = of_603();
    let expected = held(&logs, Log::Day, &[348, 60]);
    for fault in [Fault::Doubled, Fault::Late] {
        let rate = if fault == Fault::Late { 400 } else { 1000 };
        let faults = Faults::new(7, vec![(fault, rate)]);
        let mut bench = Bench::new(Some(logs.clone()), Behaviour::default(), Some(faults));
        let end = bench.run(&mut reading(Log::Day, &[60])).await;
        assert!(expected.starts_with(&bench.read), "{fault}");
        assert!(bench.read.len() >= 240 || end.is_err(), "{fault} {end:?} {}", bench.read.len());
    }
}

#[test]
fn faults_in_words() {
    let register = RegisterId::new(60);
    let all = [
        LogFault::NoDate,
        LogFault::Info(LogInfo::MEMORY_ERROR),
        LogFault::Missing(register),
        LogFault::Stamp,
        LogFault::Order,
        LogFault::Counter(register),
        LogFault::Format(register),
        LogFault::Value(register),
        LogFault::Restarted(LogId::new(3)),
    ];
    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(words.join("\n"));
}
