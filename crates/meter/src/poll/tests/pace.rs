//! Which registers polls read, and what that costs.

use proptest::prelude::*;

use super::job::Polling;
use super::*;
use crate::client::Traffic;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const SEVEN: &str = "energy volume power flow temp1 temp2 tempdiff";

/// Those of all registers of the example that are read in each poll.
const EACH_POLL: &str = "energy volume power flow temp1 temp2 tempdiff e1highres";

fn example() -> Registers {
    Registers::example(EnergyUnit::KilowattHour, 0)
}

/// A plan for a simulated meter that is always there.
fn wired(
    names: &str,
    interval: Duration,
    slow_interval: Option<Duration>,
    registers: Registers,
) -> Plan<Wire> {
    Plan {
        port: Wire::new(registers, Behaviour::default()),
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval,
        slow_interval,
        runs_as: RunsAs::Program,
    }
}

/// A plan with a script, polled every five minutes, with a slow interval of an hour.
fn scripted(names: &str, openings: Vec<Opening>) -> Plan<Scripted> {
    Plan { slow_interval: Some(HOUR), ..plan(names, openings) }
}

/// The registers that a poll has read, by number.
fn read(result: &PollResult) -> Vec<RegisterId> {
    let mut read: Vec<_> = result.readings.iter().map(|reading| reading.register).collect();
    read.sort_unstable();
    read
}

fn sorted(names: &str) -> Vec<RegisterId> {
    let mut ids = ids(names);
    ids.sort_unstable();
    ids
}

/// How many polls there are in a day, and how many bytes they cost. Counting begins after the first
/// hour, in which the meter is identified.
async fn of_a_day(names: &str, slow_interval: Option<Duration>) -> (u64, u64) {
    let mut polling = Polling::start(wired(names, 5 * MINUTE, slow_interval, example()));
    let (mut polls, mut bytes) = (0, 0);
    loop {
        let (at, result) = polling.next().await;
        assert_eq!(result.missing, []);
        if at >= (DAY + HOUR).as_secs() {
            break;
        }
        if at >= HOUR.as_secs() {
            let Traffic { sent, received, .. } = result.traffic;
            (polls, bytes) = (polls + 1, bytes + sent + received);
        }
    }
    polling.ended().await;
    (polls, bytes)
}

/// The bytes are those of frames, so they are the same on each machine.
#[tokio::test(start_paused = true)]
async fn a_day_of_all_registers_costs_less_than_a_third() {
    let of_seven = of_a_day(SEVEN, Some(HOUR)).await;
    assert_eq!(of_seven, of_a_day(SEVEN, None).await);
    let (_, each_poll) = of_a_day(&all_names(), None).await;
    let (polls, hourly) = of_a_day(&all_names(), Some(HOUR)).await;
    assert_eq!(polls, 288);
    assert_eq!((of_seven.1, hourly, each_poll), (24_526, 34_496, 108_744));
    assert!(hourly <= 35_000);
}

#[tokio::test(start_paused = true)]
async fn slow_registers_are_read_at_the_start_and_then_before_each_full_hour() {
    let schedule = Schedule::from(&"2026-11-24T10:33:00+00:00[UTC]".parse().unwrap());
    let mut polling = Polling::on(schedule, wired(&all_names(), 5 * MINUTE, Some(HOUR), example()));
    for poll in 0..30 {
        let (at, result) = polling.next().await;
        assert_eq!(result.missing, []);
        // At 10:33, then at 10:35, 10:40 and so on.
        let is_full = poll == 0 || (at / 60 + 33) % 60 == 55;
        let expected = if is_full { sorted(&all_names()) } else { sorted(EACH_POLL) };
        assert_eq!(read(&result), expected, "after {at} s");
    }
    polling.ended().await;
}

/// The registers of each request for registers.
pub(super) fn requested(requests: &Mutex<Vec<Vec<u8>>>) -> Vec<Vec<RegisterId>> {
    let mut all = Vec::new();
    for request in requests.lock().unwrap().drain(..) {
        let (mut bytes, mut request) = (Vec::new(), request.into_iter());
        while let Some(byte) = request.next() {
            let stuffed = (byte == 0x1b).then(|| !request.next().unwrap());
            bytes.push(stuffed.unwrap_or(byte));
        }
        if let [0x80, 0x3f, 0x10, _, ids @ .., _, _, 0x0d] = bytes.as_slice() {
            let id = |pair: &[u8]| RegisterId::new(u16::from_be_bytes([pair[0], pair[1]]));
            all.push(ids.chunks_exact(2).map(id).collect());
        }
    }
    all
}

/// The quotient of two counters means something only if they were read at the same time.
#[tokio::test(start_paused = true)]
async fn registers_that_belong_together_are_in_one_request() {
    let together = ids("volume temp1xm3 temp2xm3");
    for names in [SEVEN, &all_names()] {
        let mut costs = Vec::new();
        for joined in [&together[..], &[]] {
            let mut plan = wired(names, 5 * MINUTE, Some(HOUR), example());
            let added: Vec<_> =
                together.iter().filter(|it| !plan.registers.contains(it)).copied().collect();
            plan.registers.extend(added);
            plan.together = joined.to_vec();
            let requests = Arc::clone(&plan.port.requests);
            let mut polling = Polling::start(plan);
            let (mut count, mut asked, mut apart) = (0, 0, 0);
            for poll in 0..30 {
                let (_, result) = polling.next().await;
                assert_eq!(result.missing, []);
                let requests = requested(&requests);
                // In the first polls, the meter is identified.
                if poll < 3 {
                    continue;
                }
                let is_whole = |ids: &[RegisterId]| together.iter().all(|it| ids.contains(it));
                let is_due = result.readings.iter().any(|it| it.register == together[1]);
                apart += usize::from(is_due && !requests.iter().any(|ids| is_whole(ids)));
                count += requests.len();
                asked += requests.iter().map(Vec::len).sum::<usize>();
            }
            assert!(joined.is_empty() || apart == 0, "{names}");
            costs.push((count, asked));
            polling.ended().await;
        }
        assert_eq!(costs[0], costs[1], "{names}");
    }
}

/// An older meter lacks some of the values that are only useful if it has them.
#[tokio::test(start_paused = true)]
async fn an_optional_register_is_not_missed() {
    let mut plan = wired("energy volume avgtemp1_m", 5 * MINUTE, None, {
        let mut registers = example();
        registers.values.remove(&ids("avgtemp1_m")[0]);
        registers
    });
    plan.optional = ids("avgtemp1_m");
    let mut polling = Polling::start(plan);
    for _ in 0..5 {
        let (_, result) = polling.next().await;
        assert_eq!((result.missing, result.trouble), (vec![], None));
    }
    polling.ended().await;
}

/// In the night when summer time ends, an hour exists twice by the local clock.
#[tokio::test(start_paused = true)]
async fn slow_registers_are_read_each_hour_when_the_clock_is_changed() {
    for start in ["2026-10-25T00:30+02:00[Europe/Berlin]", "2026-03-29T00:30+01:00[Europe/Berlin]"]
    {
        let schedule = Schedule::from(&start.parse().unwrap());
        let plan = wired("energy hourcounter", 5 * MINUTE, Some(HOUR), example());
        let mut polling = Polling::on(schedule, plan);
        let mut times = Vec::new();
        for _ in 0..60 {
            let (at, result) = polling.next().await;
            times.extend((result.readings.len() == 2).then_some(at / 60));
        }
        polling.ended().await;
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(times.len() >= 5 && gaps.iter().all(|gap| *gap <= 65), "{start}: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_request_reads_all_registers() {
    let mut polling = Polling::start(wired(&all_names(), 5 * MINUTE, Some(HOUR), example()));
    polling.next().await;
    tokio::time::sleep(20 * MINUTE + Duration::from_secs(60)).await;
    for _ in 0..4 {
        assert_eq!(read(&polling.next().await.1), sorted(EACH_POLL));
    }
    polling.handle.request_poll();
    assert_eq!(read(&polling.next().await.1), sorted(&all_names()));
    assert_eq!(read(&polling.next().await.1), sorted(EACH_POLL));
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_register_that_was_not_read_is_requested_again() {
    let mut openings = meters(11);
    openings.extend([Opening::FallsSilent(example(), 2), meter(), meter()]);
    let mut polling = Polling::start(scripted(&all_names(), openings));
    for _ in 0..11 {
        polling.next().await;
    }
    let (at, broken) = polling.next().await;
    assert_eq!((at / 60, broken.readings.len()), (55, 16));
    let left: Vec<_> = broken.missing.iter().map(|(register, _)| *register).collect();
    let (_, next) = polling.next().await;
    let again = read(&next);
    assert!(left.iter().all(|register| again.contains(register)), "{again:?}");
    let fast = ids(EACH_POLL);
    assert!(again.iter().all(|register| left.contains(register) || fast.contains(register)));
    assert_eq!(read(&polling.next().await.1), sorted(EACH_POLL));
    polling.ended().await;
}

/// It must not look as if the value were there again, nor cost a request in each poll.
#[tokio::test(start_paused = true)]
async fn a_slow_register_without_a_valid_value_stays_missing_and_is_not_requested() {
    let mut registers = example();
    let date = RegisterId::new(123);
    set(&mut registers, &[(123, Unit::DATE_YYMMDD, 991_399, 0, 4)]);
    let mut polling =
        Polling::start(wired("energy maxflowdate_y", 5 * MINUTE, Some(HOUR), registers));
    for poll in 0..14 {
        let (_, result) = polling.next().await;
        assert_eq!(read(&result), ids("energy"), "poll {poll}");
        let [(missing, Missing::NoValue(_))] = result.missing.as_slice() else {
            panic!("poll {poll}: {:?}", result.missing);
        };
        assert_eq!(*missing, date);
        // At the end of the hour, it is requested again.
        let is_requested = result.traffic.received > 20;
        let is_short = poll % 12 != 11;
        assert!(poll < 2 || is_short != is_requested, "poll {poll}: {:?}", result.traffic);
    }
    polling.ended().await;
}

/// Otherwise polls would read nothing, and it would look as if the meter were gone.
#[tokio::test(start_paused = true)]
async fn a_meter_that_has_only_slow_registers_is_read_in_each_poll() {
    let names = "temp3 hourcounter maxflow_y";
    let mut polling = Polling::start(wired(names, 5 * MINUTE, Some(HOUR), example()));
    for poll in 0..8 {
        let (_, result) = polling.next().await;
        // Two polls ask only for the register that this meter does not have.
        let expected = if [1, 4].contains(&poll) { 0 } else { 2 };
        assert_eq!(result.readings.len(), expected, "poll {poll}: {result:?}");
        assert_eq!(result.missing.len(), 1);
    }
    polling.ended().await;
}

#[tokio::test(start_paused = true)]
async fn another_task_and_another_meter_begin_with_all_registers() {
    let memories = MeterMemories::default();
    let names = "energy power hourcounter maxflow_y";
    let serial = |serial: i64, energy: i64| {
        let mut registers = example();
        set(
            &mut registers,
            &[(1001, Unit::NUMBER, serial, 0, 4), (60, Unit::KILOWATT_HOUR, energy, 0, 4)],
        );
        Opening::Meter(registers)
    };
    let count = async |openings: Vec<Opening>| {
        let polls = openings.len();
        let (sender, mut results) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let plan = scripted(names, openings);
        let handle = MeterHandle::default();
        let task = run_knowing(memories.clone(), plan, midnight(), sender, handle, stop.clone());
        let task = tokio::spawn(task);
        let mut counts = Vec::new();
        for _ in 0..polls {
            let result = results.recv().await.unwrap();
            counts.push((result.readings.len(), result.exchange.is_some()));
        }
        stop.cancel();
        task.await.unwrap();
        counts
    };
    let known = || serial(12_345_678, 40_000);
    let expected = [(4, false), (2, false), (2, false)];
    assert_eq!(count(vec![known(), known(), known()]).await, expected);
    // Another task, and in its third poll another meter.
    let other = || serial(87_654_321, 20);
    let counts = count(vec![known(), known(), other(), other()]).await;
    assert_eq!(counts, [(4, false), (2, false), (4, true), (2, false)]);
}

#[test]
fn each_poll_reads_everything_if_slow_registers_are_not_rarer() {
    let registers = ids("energy hourcounter");
    let of = |poll: Duration, slow| {
        let paces = Paces::new(poll, slow, &registers);
        registers.iter().map(|register| paces.of(*register)).collect::<Vec<_>>()
    };
    assert_eq!(of(5 * MINUTE, Some(HOUR)), [5 * MINUTE, HOUR]);
    assert_eq!(of(5 * MINUTE, None), [5 * MINUTE; 2]);
    assert_eq!(of(HOUR, Some(HOUR)), [HOUR; 2]);
    assert_eq!(of(2 * HOUR, Some(HOUR)), [2 * HOUR; 2]);
    // At the first poll of each hour: 0, 49, 98 minutes.
    assert_eq!(of(49 * MINUTE, Some(HOUR)), [49 * MINUTE, 98 * MINUTE]);
    // A meter that is read only for slow registers.
    let only = ids("hourcounter");
    assert_eq!(Paces::new(MINUTE, Some(HOUR), &only).of(only[0]), MINUTE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the intervals and the start are, each register is read at its pace: once in each
    /// slow interval of the clock, and never later than the pace says.
    #[test]
    fn each_register_is_read_once_per_interval(
        interval in 10u64..4_000,
        slow in 10u64..20_000,
        start in 0u64..90_000,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let polls = usize::try_from(slow * 4 / interval).unwrap().clamp(6, 80);
        let times = runtime.unwrap().block_on(async {
            let begin: jiff::Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
            let begin = begin + Duration::from_secs(start);
            let schedule = Schedule::from(&begin.to_zoned_datetime(jiff::tz::TimeZone::UTC));
            let plan = Plan {
                interval: Duration::from_secs(interval),
                slow_interval: Some(Duration::from_secs(slow)),
                ..plan("energy hourcounter maxflow_m", meters(polls))
            };
            let mut polling = Polling::on(schedule, plan);
            let mut times = Vec::new();
            for _ in 0..polls {
                let (at, result) = polling.next().await;
                let is_full = result.readings.len() == 3;
                assert!(is_full || read(&result) == ids("energy"), "{result:?}");
                times.push((start + at, is_full));
            }
            polling.ended().await;
            times
        });
        let full: Vec<u64> =
            times.iter().filter(|(_, is_full)| *is_full).map(|(at, _)| *at).collect();
        prop_assert_eq!(full.first(), Some(&start));
        let registers = ids("energy hourcounter");
        let [interval, slow] = [interval, slow].map(Duration::from_secs);
        let longest = Paces::new(interval, Some(slow), &registers).of(registers[1]);
        // The first reading is not at a poll time of the clock.
        let mut most = longest.max(slow + interval);
        for pair in full.windows(2) {
            prop_assert!(pair[1] - pair[0] <= most.as_secs(), "{:?}", full);
            most = longest;
        }
        if slow > interval {
            // Steps are counted from the first Monday of 1970. The first reading is that of the start.
            let monday: jiff::Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
            let since = u64::try_from(monday.as_second()).unwrap() - 4 * 86_400;
            // The last poll before a step opens it. It may be early by a little.
            let early = (interval / 4).min(Duration::from_secs(10)).as_millis();
            let ahead = interval.as_millis() + early;
            let step = |at: &u64| (u128::from(since + at) * 1000 + ahead) / slow.as_millis();
            let is_later = |number: &u128| *number != step(&start);
            let steps: Vec<_> = full[1..].iter().map(step).filter(is_later).collect();
            let mut expected: Vec<_> =
                times[1..].iter().map(|(at, _)| step(at)).filter(is_later).collect();
            expected.dedup();
            prop_assert_eq!(steps, expected);
        } else {
            prop_assert_eq!(full.len(), polls);
        }
    }
}
