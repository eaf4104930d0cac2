//! Late answers, and the order of registers that reveals them.

use kmp::message::GetRegister;

use super::super::order::FirstOrder;
use super::*;
use crate::client::{Proof, Tries};

/// A serial server may keep answers to earlier requests, and send them one by one over several
/// connections. So a value that may be late is accepted only if two readings agree.
#[tokio::test(start_paused = true)]
async fn a_value_that_may_be_late_must_be_confirmed_after_a_reconnect_too() {
    let [first, rest @ ..] = [0, 20, 40, 60, 80, 100, 120]
        .map(|minutes| Registers::example(EnergyUnit::KilowattHour, minutes));
    let openings = vec![Opening::Each(vec![first]), Opening::Each(rest.into())];
    let mut memory = Memory::new(Version::Generic);
    let plan = plan("energy", openings);
    let polled = poll(&plan, &mut memory, &CancellationToken::new()).await.unwrap();
    assert_eq!(polled.readings, []);
    assert_eq!(polled.missing, [(ids("energy")[0], Missing::Doubtful)]);
}

/// A late answer may also be the second of two readings. A counter does not fall between them.
#[tokio::test(start_paused = true)]
async fn an_older_value_does_not_confirm_a_counter() {
    let holding = |energy| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(&mut registers, &[(60, Unit::KILOWATT_HOUR, energy, 0, 4)]);
        registers
    };
    let now = [81_947, 81_946, 81_947, 81_947].map(holding);
    let openings = vec![Opening::Each(vec![holding(81_946)]), Opening::Each(now.into())];
    let mut memory = Memory::new(Version::Generic);
    let polled = poll(&plan("energy", openings), &mut memory, &CancellationToken::new()).await;
    let polled = polled.unwrap();
    let read: Vec<_> = polled.readings.iter().map(|reading| &reading.value).collect();
    assert_eq!(read, [&Value::Number(Decimal::from(81_947))], "{polled:?}");
}

/// A single register has no order that would reveal a late answer. If an answer may belong to an
/// earlier poll, other registers are requested with it, but not published.
#[tokio::test(start_paused = true)]
async fn a_register_is_padded_only_if_its_answer_may_be_late() {
    let behaviour = Behaviour::default();
    let plan = Plan {
        port: Wire::new(Registers::example(EnergyUnit::KilowattHour, 0), behaviour),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy"),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    let mut begun = Instant::now();
    poll(&plan, &mut memory, &stop).await.unwrap();
    // The time between two polls, and how many registers the second one requests.
    let needed = [(300, 1), (60, 1), (59, 3), (30, 3), (29, 4), (10, 4), (9, 4), (2, 5), (60, 1)];
    for (seconds, registers) in needed {
        // The first time it may learn which registers the meter has.
        for settled in [false, true] {
            sleep_until(begun + Duration::from_secs(seconds)).await;
            plan.port.reset();
            begun = Instant::now();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            let read: Vec<_> = polled.readings.iter().map(|reading| reading.register).collect();
            assert_eq!((read, polled.missing), (ids("energy"), vec![]));
            let (requests, ..) = plan.port.counted();
            let counts = plan.port.requests.lock().unwrap().split_off(0);
            if settled {
                // The fourth byte is the number of registers.
                let count = counts[0][3];
                assert_eq!((requests, count), (1, registers), "after {seconds} s");
            }
        }
    }
}

/// A serial server that keeps the first answer of a meter at 1000 kWh, and sends it to the second
/// connection just after the first request for registers, when the meter is at 2000 kWh.
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

/// When the configuration changes, another task continues to poll the meter. Its first request must
/// differ from those whose answers may still arrive.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_accepted_by_the_next_task() {
    let port = Belated { kept: Arc::default(), is_second: Mutex::new(false) };
    let plan = Plan {
        port,
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy volume"),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.readings.len(), 0, "{polled:?}");
    let memories = MeterMemories::default();
    memories.put_back("port", memory);
    let mut memory = memories.take("port", Version::Auto);
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    let read: Vec<_> = polled.readings.iter().map(|reading| reading.value.clone()).collect();
    let energy = Value::Number(Decimal::from(2000));
    assert_eq!(read, [energy.clone(), energy], "{polled:?}");
    assert!(plan.port.kept.lock().unwrap().is_empty(), "the late answer was sent");
    // Nothing is known of another port.
    assert!(memories.take("other", Version::Auto).begun.is_none());
}

/// The late answer to an earlier run of the program must not look like that to this one.
#[test]
fn each_run_begins_with_other_orders() {
    let set = ids("energy volume flow power temp1 temp2 tempdiff hourcounter");
    let first = |first| {
        let mut memory = Memory::beginning_at(first, Version::Auto);
        memory.begin_poll();
        memory.request(&set).unwrap().registers().to_vec()
    };
    let runs: BTreeSet<_> = (0..50).map(|_| first(FirstOrder::random())).collect();
    assert!(runs.len() > 45, "{} of 40,320", runs.len());
    assert_eq!(first(FirstOrder::default()), first(FirstOrder::default()), "in tests");
}

/// When a scan had requested many sets, the next poll could repeat a request of the last one.
#[test]
fn many_sets_do_not_forget_the_last_requests() {
    let mut memory = Memory::new(Version::Auto);
    memory.begin_poll();
    let mut numbers = 1_u16..;
    let mut last = Vec::new();
    let set = ids("energy volume flow");
    for _ in 0..6 {
        for number in numbers.by_ref().take(200) {
            memory.request(&[RegisterId::new(2_000), RegisterId::new(2_000 + number)]).unwrap();
        }
        let order = memory.request(&set).unwrap().registers().to_vec();
        assert!(!last.contains(&order), "{last:?}");
        last.push(order);
    }
}

#[test]
fn each_order_is_used_once() {
    let four = ids("1 2 3 4");
    let orders: BTreeSet<_> = (0..24).map(|number| permutation(&four, number)).collect();
    assert_eq!(orders.len(), 24);
    assert_eq!(permutation(&four, 0), four);
    assert_eq!(permutation(&four, 24), four);
    assert_ne!(permutation(&ids("1 2"), 0), permutation(&ids("1 2"), 1));
    assert_eq!(permutation(&[], 5), []);
}

/// A scan has a memory of its own, so a poll does not know what the scan has found. The scan's answer
/// looked like that to the poll's request.
#[tokio::test(start_paused = true)]
async fn a_late_answer_to_a_scan_is_not_certain_for_a_poll() {
    let (near, mut far) = duplex(1024);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let mut client = memory.line.client(Box::new(near), Line::new(1200));
    let scanned = GetRegister::new(&[60, 61, 62, 63, 64].map(RegisterId::new)).unwrap();
    assert!(client.request(&scanned, Tries::One, &stop).await.is_err());
    let mut request = [0; 64];
    assert!(far.read(&mut request).await.unwrap() > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
    tokio::spawn(async move { meter.serve(far).await });
    memory.begin_poll();
    let polled = GetRegister::new(&ids("energy")).unwrap();
    let answer = client.request(&polled, Tries::One, &stop).await.unwrap();
    assert_eq!(answer.len(), 1);
    assert_eq!(memory.quality(&client, 1, 1).proof, Proof::Open);
}

/// Its group was requested only about once a minute for as long as the value was not valid.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_certain_is_no_longer_withheld_if_its_value_is_not_valid() {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(123, Unit::DATE_YYMMDD, 991_399, 0, 4)]);
    let plan = plan("energy maxflowdate_y", vec![Opening::Meter(registers)]);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    memory.unproven.extend([RegisterId::new(60), RegisterId::new(123)]);
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    let [(_, Missing::NoValue(_))] = polled.missing.as_slice() else { panic!("{polled:?}") };
    assert_eq!(memory.unproven, BTreeSet::new());
}
