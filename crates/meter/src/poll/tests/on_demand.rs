//! What a reading on demand costs on the line, and what it finds out about the meter.

use super::*;

/// Reads registers of a meter once. Returns requests, bytes of requests and bytes of answers, the
/// time and the result.
async fn read(
    registers: Registers,
    version: Version,
    names: &str,
    extent: Extent,
) -> ((usize, usize, usize), Duration, PollResult) {
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let wire = Wire::new(registers, behaviour);
    let counts = Arc::clone(&wire.counts);
    let plan = Plan {
        port: wire,
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        together: Vec::new(),
        optional: Vec::new(),
        version,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let began = Instant::now();
    let mut reader = Reader::new(plan).finding_out(extent);
    let result = reader.read(&CancellationToken::new()).await;
    let counts = *counts.lock().unwrap();
    (counts, began.elapsed(), result)
}

fn sound() -> Registers {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(99, Unit::NUMBER, 0, 0, 2), (1001, Unit::NUMBER, 12_345_678, 0, 4)]);
    registers
}

/// Its return temperature has a short circuit.
fn broken() -> Registers {
    let mut registers = sound();
    set(&mut registers, &[(99, Unit::NUMBER, 16, 0, 2), (87, Unit::CELSIUS, 0, 2, 2)]);
    registers
}

fn without_register(mut registers: Registers, names: &str) -> Registers {
    registers.values.retain(|id, _| !ids(names).contains(id));
    registers
}

fn names(result: &PollResult) -> Vec<u16> {
    let mut names: Vec<_> = result.readings.iter().map(|it| it.register.get()).collect();
    names.sort_unstable();
    names
}

const DEFAULTS: &str = "energy volume power flow temp1 temp2 tempdiff";

/// Each row has the number of requests, and of the bytes to and from the meter without escape bytes.
#[tokio::test(start_paused = true)]
async fn a_reading_requests_no_more_than_its_output_needs() {
    for (wanted, extent, expected) in [
        ("energy", Extent::Values, (1, 9, 15)),
        ("energy volume", Extent::Values, (1, 11, 24)),
        // With the info code, because a fault may spoil the power.
        ("energy power", Extent::Values, (1, 13, 29)),
        ("99", Extent::Values, (1, 9, 13)),
        (DEFAULTS, Extent::Values, (1, 23, 66)),
        ("energy", Extent::SerialNumber, (1, 11, 24)),
        ("energy power", Extent::SerialNumber, (1, 15, 38)),
        (DEFAULTS, Extent::SerialNumber, (2, 32, 81)),
    ] {
        let ((requests, to, from), took, result) =
            read(sound(), Version::Auto, wanted, extent).await;
        assert_eq!((&result.missing, &result.trouble), (&Vec::new(), &None));
        let mut registers: Vec<_> = ids(wanted).iter().map(|id| id.get()).collect();
        registers.sort_unstable();
        assert_eq!(names(&result), registers);
        let serial = result.identity.serial.map(|it| it.to_string());
        let is_wanted = extent == Extent::SerialNumber;
        assert_eq!(serial.as_deref(), is_wanted.then_some("12345678"), "{wanted} {extent:?}");
        assert_eq!(result.identity.models, []);
        let (most_to, most_from) = (expected.1 + 4, expected.2 + 8);
        assert!(
            requests == expected.0
                && (expected.1..=most_to).contains(&to)
                && (expected.2..=most_from).contains(&from),
            "{wanted} {extent:?}: {requests} {to} {from}"
        );
        // 250 ms of silence, and 50 ms before each answer.
        let waits = Duration::from_millis(250 + 50 * u64::try_from(requests).unwrap() + 20);
        assert!(took <= Line::new(1200).time_for(to + from) + waits, "{took:?}");
    }
    let ((requests, ..), ..) = read(sound(), Version::Auto, "energy", Extent::Identity).await;
    assert!(requests > 5, "{requests}");
}

/// The meter leaves the register of the serial number out.
#[tokio::test(start_paused = true)]
async fn the_serial_number_is_also_read_by_its_own_command() {
    let registers = without_register(sound(), "1001");
    let ((requests, ..), _, result) =
        read(registers, Version::Auto, "energy", Extent::SerialNumber).await;
    assert_eq!(names(&result), [60]);
    assert!(result.identity.serial.is_some());
    // An answer without the register may be that to another program, so it is read again. The
    // command has no order, so it is sent twice if an answer may be late.
    assert!(requests <= 5, "{requests}");
}

/// A value of a broken sensor is withheld as in a poll, with the fault as the reason.
#[tokio::test(start_paused = true)]
async fn a_fault_is_explained() {
    for (wanted, count) in [("temp2", 0), ("energy temp2", 1), ("energy tempdiff temp1 temp2", 2)] {
        let mut reasons = Vec::new();
        for (version, extent) in [
            (Version::Auto, Extent::Values),
            (Version::Model(Model::Multical403), Extent::Values),
            (Version::Auto, Extent::SerialNumber),
            (Version::Auto, Extent::Identity),
        ] {
            let ((requests, ..), _, result) = read(broken(), version, wanted, extent).await;
            assert_eq!(result.readings.len(), count, "{wanted} {version:?} {extent:?}");
            assert_eq!(result.condition.as_ref().map(|it| it.code), Some(16));
            if version != Version::Auto {
                // The temperatures contradict the difference, so they are read again.
                assert_eq!(requests, if count == 2 { 2 } else { 1 });
            }
            reasons.push((result.condition, result.missing));
        }
        assert!(reasons.windows(2).all(|pair| pair[0] == pair[1]), "{reasons:#?}");
    }
    // The power of such a meter is 0 W.
    let mut registers = broken();
    set(&mut registers, &[(80, Unit::KILOWATT, 0, 1, 2)]);
    let (_, _, result) = read(registers, Version::Auto, "power", Extent::Values).await;
    assert!(matches!(&*result.missing, [(_, Missing::Fault(_))]), "{:?}", result.missing);
    // A 603 reports its faults in another register.
    let mut registers =
        Registers::model(simulator::Model::Multical603, EnergyUnit::KilowattHour, 0);
    set(
        &mut registers,
        &[
            (80, Unit::KILOWATT, 0, 1, 2),
            (86, Unit::CELSIUS, 18_500, 2, 2),
            (369, Unit::NUMBER, 8, 0, 4),
        ],
    );
    registers.values.remove(&RegisterId::new(99));
    let (_, _, result) = read(registers, Version::Auto, "power", Extent::Values).await;
    assert!(matches!(&*result.missing, [(_, Missing::Fault(_))]), "{result:?}");
    // A fault that has nothing to do with the wanted values costs nothing.
    let (counts, _, result) = read(broken(), Version::Auto, "energy", Extent::Values).await;
    assert_eq!((counts.0, result.condition), (1, None));
}

/// The meaning of the info code depends on the model.
#[tokio::test(start_paused = true)]
async fn the_model_is_found_out_if_the_info_code_is_wanted_and_reports_a_fault() {
    let (counts, _, result) = read(sound(), Version::Auto, "99", Extent::Values).await;
    assert_eq!((counts.0, result.condition.unwrap().describe()), (1, "0: no fault".to_owned()));
    let (counts, _, result) = read(broken(), Version::Auto, "99", Extent::Values).await;
    let described = result.condition.unwrap().describe();
    assert!(described.starts_with("16: return temperature sensor t2"), "{described}");
    assert!(counts.0 > 1);
    assert_eq!(result.identity.serial, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_has_the_same_reason_as_in_a_full_reading() {
    let mut registers = sound();
    registers.silencing.extend(ids("96"));
    for wanted in ["4001", "energy 4001", "96", "energy 96"] {
        let mut found = Vec::new();
        for extent in [Extent::Values, Extent::SerialNumber, Extent::Identity] {
            let (_, _, result) = read(registers.clone(), Version::Auto, wanted, extent).await;
            let words: Vec<_> = result.missing.iter().map(|(_, why)| why.to_string()).collect();
            found.push((words, names(&result), result.trouble));
        }
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{wanted}: {found:#?}");
    }
}

/// If anything suggests that an answer may be late, a register that was requested alone is read
/// twice.
#[tokio::test(start_paused = true)]
async fn a_register_is_read_twice_if_something_arrived_before() {
    for (opening, requests) in [(Opening::Meter(sound()), 1), (Opening::Bursts(sound(), 30), 2)] {
        let plan = plan("energy", vec![opening]);
        let mut reader = Reader::new(plan).finding_out(Extent::Values);
        let result = reader.read(&CancellationToken::new()).await;
        assert_eq!((names(&result), result.trouble), (vec![60], None));
        assert_eq!(result.traffic.sent, requests * 9);
    }
}
