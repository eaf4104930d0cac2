//! What a poll reads, what it gives up, and how much it sends over the line.

use kmp::message::SerialNumber;

use super::pace::requested;
use super::*;

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
    // The register that the meter does not have was not requested again.
    missing.sort_unstable();
    assert_eq!(missing, ids("energy volume temp1 4000"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_meter_takes_seconds_and_less_the_next_time() {
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
async fn a_register_that_silences_the_meter_is_not_mistaken_for_sleep() {
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

/// It ends soon, and keeps what it has found.
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
    assert!(trouble.words.starts_with("The meter does not answer"), "{}", trouble.words);
}

/// Each request was taken for an earlier one that could have the same answer, so each group was
/// requested three times.
#[tokio::test(start_paused = true)]
async fn a_scan_of_a_clean_line_requests_each_group_once() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let held: BTreeSet<_> = registers.values.keys().copied().collect();
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let usual = plan("energy", Vec::new());
    let plan = Plan {
        port: Wire::new(registers, behaviour),
        port_name: usual.port_name,
        line: usual.line,
        registers: (57..=90).map(RegisterId::new).collect(),
        together: Vec::new(),
        optional: Vec::new(),
        version: usual.version,
        interval: usual.interval,
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let requests = Arc::clone(&plan.port.requests);
    let scanned = Reader::new(plan).scan(&CancellationToken::new(), |_| {}).await;
    assert!(scanned.complete && scanned.trouble.is_none(), "{scanned:?}");
    let mut groups = requested(&requests);
    // An answer with fewer registers than two has no order, so it may be a late one.
    groups.retain(|group| group.iter().filter(|register| held.contains(*register)).count() > 1);
    for group in &mut groups {
        group.sort_unstable();
    }
    let different: BTreeSet<_> = groups.iter().collect();
    assert!(different.len() >= 2, "{groups:?}");
    assert_eq!(groups.len(), different.len(), "{groups:?}");
}

/// A value that must be read twice is read again over the second connection.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_second_reading_is_reopened() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let plan_of_one = plan("energy", vec![Opening::Breaks(registers.clone(), 1), meter()]);
    let mut memory = Memory::new(Version::Generic);
    let polled = poll(&plan_of_one, &mut memory, &CancellationToken::new()).await.unwrap();
    assert_eq!((polled.missing, polled.trouble), (Vec::new(), None));
    assert_eq!(polled.readings.len(), 1);
    // A scan does not lose it either.
    let plan = plan("60 61", vec![Opening::Breaks(registers, 4), meter()]);
    let scanned = Reader::new(plan).scan(&CancellationToken::new(), |_| {}).await;
    assert!(scanned.complete && scanned.odd.is_empty(), "{scanned:?}");
    assert_eq!(scanned.readings.len(), 1);
}

/// A doubtful register that is requested again for another reason must not be lost.
#[test]
fn a_register_is_doubtful_once() {
    let mut memory = Memory::new(Version::Generic);
    let mut polled = Polled::default();
    let reading = |minutes| {
        let registers = Registers::example(EnergyUnit::KilowattHour, minutes);
        Reading::try_from(&registers.values[&ids("energy")[0]]).unwrap()
    };
    let late = plausibility::ReadingQuality {
        clean: true,
        may_be_late: true,
        proof: crate::client::Proof::Certain,
    };
    for value in [1, 2] {
        polled.accept_or_doubt(reading(value), late, &mut memory);
    }
    let doubtful: Vec<_> = polled.doubtful.iter().map(|it| it.reading.clone()).collect();
    assert_eq!((doubtful, polled.readings.len()), (vec![reading(2)], 0));
    let in_time = plausibility::ReadingQuality { may_be_late: false, ..late };
    polled.accept_or_doubt(reading(2), in_time, &mut memory);
    assert_eq!((polled.doubtful.len(), polled.readings), (0, vec![reading(2)]));
}

/// A value that could not be read twice is not reported as doubtful, and registers for internal use
/// are not reported as missing.
#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_reported_as_such() {
    let breaks = || Opening::Breaks(Registers::example(EnergyUnit::KilowattHour, 0), 1);
    let (log, polled) = polls("energy", vec![breaks(), Opening::Fails(OpenError::Missing)]).await;
    assert_eq!(polled[0].missing, [(ids("energy")[0], Missing::NoAnswer)], "{log}");
    assert_eq!(polled[0].trouble, Some(PollError::Port(OpenError::Missing)));
}

#[tokio::test(start_paused = true)]
async fn a_register_that_silences_the_meter_is_reported_once() {
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
        [
            "INFO The meter answers, but not if it is asked for all of these values together. Looking for \
          the values that make it silent, which may take some minutes."
        ]
    );
    let warnings: Vec<_> = log.lines().filter(|line| line.starts_with(" WARN")).collect();
    let expected = " WARN `power` (register 80) is not published: this meter does not have it, and \
                    does not answer when asked for it.";
    assert_eq!(warnings, [expected], "{log}");
}

/// Each group of a poll may have such a register.
#[tokio::test(start_paused = true)]
async fn a_poll_reports_once_that_it_looks_for_registers_that_silence_the_meter() {
    let names = all_names();
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    registers.silencing.extend(ids(&names).into_iter().skip(20).take(2));
    let (captured, _logging) = logging::capture::lines();
    let (_, polled) = polls(&names, vec![Opening::Meter(registers)]).await;
    let silences = polled[0].missing.iter().filter(|(_, why)| *why == Missing::Silences);
    assert_eq!(silences.count(), 2, "{:?}", polled[0].missing);
    let lines = captured.take();
    let searches = lines.iter().filter(|line| line.contains("Looking for"));
    assert_eq!(searches.count(), 1, "{lines:?}");
}

/// Damaged answers say nothing about a register.
#[tokio::test(start_paused = true)]
async fn no_register_is_suspected_if_answers_are_damaged() {
    let opening = || Opening::Spoils(Registers::example(EnergyUnit::KilowattHour, 0));
    let (captured, _logging) = logging::capture::lines();
    let (log, polled) = polls("energy power volume", vec![opening(), opening()]).await;
    assert!(polled.iter().all(|polled| polled.readings.is_empty()), "{log}");
    let lines = captured.take();
    assert!(!lines.iter().any(|line| line.contains("Looking for")), "{lines:?}");
    assert!(log.contains("a damaged answer"), "{log}");
    assert!(!log.contains("66C"), "it speaks KMP: {log}");
}

/// What a command or the log announces is neither too short nor far too long.
#[tokio::test(start_paused = true)]
async fn the_longest_silence_is_announced() {
    for (names, line) in [
        ("energy", Line::new(1200)),
        (&*all_names(), Line::new(1200)),
        ("energy volume", Line::new(300)),
        ("energy volume", Line::new(1200).with_answer_timeout(Duration::from_secs(5))),
    ] {
        let plan = Plan { line, ..plan(names, vec![Opening::Silent]) };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Auto));
        let began = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!(polled.trouble, Some(PollError::Meter(NoAnswer::Nothing)));
        let (took, announced) = (began.elapsed(), plan.longest_silence());
        assert!(took <= announced && announced < took * 4 / 3, "{took:?}, {announced:?}");
    }
    let words = plan("energy", Vec::new()).waiting_words();
    assert_eq!(words, "Waiting for the meter on /dev/ttyUSB0 to answer; this can take 18 s.");
}

#[tokio::test(start_paused = true)]
async fn registers_that_silence_the_meter_lose_no_others_and_are_requested_once_a_day() {
    let silenced = || {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        for silencing in ids("temp1xm3 power") {
            registers.values.remove(&silencing);
            registers.silencing.insert(silencing);
        }
        Opening::Meter(registers)
    };
    let plan = plan(&all_names(), (0..5).map(|_| silenced()).collect());
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
    let mut took = Vec::new();
    let soon = Duration::from_secs(300);
    for pause in [soon, APART, ABSENCE / 2, ABSENCE / 2, Duration::ZERO] {
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
    assert!(took[1] < took[0] / 3, "only these are requested once more: {took:?}");
    assert!(took[2] < took[0] / 3, "and once more after some minutes: {took:?}");
    assert!(took[3] < Duration::from_secs(1), "not requested: {took:?}");
    assert!(took[4] > Duration::from_secs(10), "a day has passed: {took:?}");
}

/// As few requests as possible, and hardly more time than the bytes and the meter's turnaround
/// take.
#[tokio::test(start_paused = true)]
async fn a_poll_takes_no_more_bytes_and_time_than_necessary() {
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
            together: Vec::new(),
            optional: Vec::new(),
            version: plan.version,
            interval: plan.interval,
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Generic));
        // The first poll waits until the line is quiet, and the second one requests once more what
        // this meter does not have.
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

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_once_loses_nothing() {
    let all = all_names();
    let registers = || Registers::example(EnergyUnit::KilowattHour, 0);
    let count = ids(&all).len();
    // If it breaks once, the poll continues over a second one.
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
    // If that breaks too, the poll ends.
    let broken = vec![Opening::Breaks(registers(), 1), Opening::Breaks(registers(), 1), meter()];
    let plan = plan(&all, broken);
    let stop = CancellationToken::new();
    let polled = poll(&plan, &mut Memory::new(Version::Generic), &stop).await.unwrap();
    // With info code and serial number they are 34: five requests, and these two were in the first
    // two.
    assert_eq!((polled.readings.len(), polled.missing.len()), (12, count - 12));
    assert!(matches!(polled.trouble, Some(PollError::Broken(_))), "{:?}", polled.trouble);
}

/// An answer without registers (`40 3F 10 07 9A 0D`) may belong to any request. Here several arrive
/// in a row.
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

/// The info code is requested at once only if a value is suspicious.
#[tokio::test(start_paused = true)]
async fn a_suspicious_value_without_its_info_code_is_withheld() {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(87, Unit::CELSIUS, 0, 2, 2)]);
    // A meter without register 99: nothing shows that the value is wrong.
    let without_code = || Opening::Meter(registers.clone());
    let (_, polled) = polls("temp2 volume", vec![without_code(), without_code()]).await;
    assert_eq!(polled[1].readings.len(), 2);
    // A meter that reported no fault, and does not answer the next time.
    set(&mut registers, &[(87, Unit::CELSIUS, 4_000, 2, 2), (99, Unit::NUMBER, 0, 0, 2)]);
    let well = Opening::Meter(registers.clone());
    set(&mut registers, &[(87, Unit::CELSIUS, 0, 2, 2)]);
    let breaks = Opening::Breaks(registers, 1);
    let (_, polled) = polls("temp2 volume", vec![well, breaks, Opening::Silent]).await;
    assert_eq!(polled[0].readings.len(), 2);
    assert_eq!(polled[1].missing, [(RegisterId::new(87), Missing::NoAnswer)]);
    assert_eq!(polled[1].readings.len(), 1);
}

/// The info code is read once an hour, and costs no request of its own.
#[tokio::test(start_paused = true)]
async fn the_info_code_is_read_once_an_hour() {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    set(&mut registers, &[(99, Unit::NUMBER, 2, 0, 2)]);
    let seven = ids("energy volume power flow temp1 temp2 tempdiff");
    let plan = Plan {
        port: Wire::new(registers, Behaviour::default()),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: seven,
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Model(Model::Multical403),
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
    poll(&plan, &mut memory, &stop).await.unwrap();
    let mut reported = Vec::new();
    for _ in 0..24 {
        tokio::time::sleep(plan.interval).await;
        plan.port.reset();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), plan.port.counted().0), (7, 1));
        reported.push(polled.condition.map_or(0, |condition| condition.code));
    }
    assert_eq!(reported.iter().filter(|code| **code == 2).count(), 2, "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn the_meter_is_identified_once() {
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
        // As some registers do with a 403.
        registers.silencing.insert(RegisterId::new(348));
        registers
    };
    let behaviour = Behaviour { line: Some(Line::new(1200)), ..Behaviour::default() };
    let plan = Plan {
        port: Wire::new(identified(), behaviour),
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy volume power flow temp1 temp2 tempdiff"),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Auto,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(Version::Auto));
    // The register that silences the meter costs each poll one request, until it is found.
    let mut reported = Vec::new();
    for _ in 0..6 {
        let started = Instant::now();
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        assert_eq!((polled.readings.len(), polled.missing.len()), (7, 0));
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
        reported.extend(polled.identity_report);
        tokio::time::sleep(plan.interval).await;
    }
    let words = "The meter is most likely a Multical 403: it has registers 266 and 141 (serial number \
         12345678, type 0x0217, software A2).";
    assert_eq!(reported, [IdentityReport::Info(words.to_owned())]);
    let identity = memory.identification.identity();
    assert_eq!(identity.models, [Model::Multical403]);
    assert_eq!(identity.customer, Some(Decimal::from(1_287_654_321_i64)));
    plan.port.reset();
    let polled = poll(&plan, &mut memory, &stop).await.unwrap();
    assert_eq!(polled.identity_report, None);
    assert_eq!(plan.port.counted().0, 1, "identification is not repeated");
}

/// Endless bytes took more than half a core until the requests were given up after 16 s.
#[tokio::test(start_paused = true)]
async fn a_flood_ends_the_connection() {
    let (sent, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let flood = || Opening::Floods(Arc::clone(&sent));
    let plan = plan("energy", vec![flood(), flood()]);
    let mut memory = Memory::new(plan.version);
    let polled = poll(&plan, &mut memory, &CancellationToken::new()).await.unwrap();
    assert_eq!(polled.trouble, Some(PollError::Flood(Flood { baud: 1200 })));
    // Two connections.
    let sent = sent.load(Ordering::Relaxed);
    assert!((16 * 1024..24 * 1024).contains(&sent), "{sent}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// A serial server may have stored more than a burst may have.
#[tokio::test(start_paused = true)]
async fn a_poll_continues_after_a_flood_that_ends() {
    let sent = Arc::default();
    let (log, polled) = polls("energy", vec![Opening::Floods(sent), meter()]).await;
    assert_eq!((polled[0].readings.len(), &polled[0].trouble), (1, &None), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_stored_bytes_is_no_flood() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let openings = vec![Opening::Bursts(registers, 8_000)];
    let (log, polled) = polls("energy", openings).await;
    assert_eq!((polled[0].readings.len(), &polled[0].trouble), (1, &None), "{log}");
}

/// Two meters answer in turns on one line. Their values and the serial number must not be mixed.
#[tokio::test(start_paused = true)]
async fn a_changed_value_belongs_to_the_meter_that_sends_it_with_its_serial_number() {
    let of = |serial: u32, thousands: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(
            &mut registers,
            &[
                (60, Unit::KILOWATT_HOUR, 1000 * thousands, 0, 4),
                (68, Unit::CUBIC_METRE, 1000 * thousands, 0, 4),
                (1001, Unit::NUMBER, serial.into(), 0, 4),
            ],
        );
        registers.serial = SerialNumber::new(serial);
        registers
    };
    let (ours, other) = (|| of(1111, 5), || of(2222, 3));
    let openings = vec![
        Opening::Meter(ours()),
        Opening::Each(vec![other(), other(), ours(), ours(), ours()]),
        Opening::Meter(ours()),
    ];
    let (log, all) = polls("energy volume flow power", openings).await;
    let counts: Vec<_> = all.iter().map(|polled| polled.readings.len()).collect();
    assert_eq!(counts, [4, 0, 4], "{log}");
    assert!(all[1].missing.iter().all(|(_, why)| *why == Missing::OtherMeter), "{log}");
}
