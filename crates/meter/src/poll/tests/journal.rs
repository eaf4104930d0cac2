//! Log lines and hints about polls.

use super::*;
use crate::client::Traffic;
use crate::transport::PortKind;

#[tokio::test(start_paused = true)]
async fn a_change_of_state_is_reported_once() {
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

/// The registers that a meter lacks are reported in the second poll, even if it lacks all that are
/// requested.
#[tokio::test(start_paused = true)]
async fn a_meter_that_lacks_all_requested_registers_is_still_polled() {
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
    // Now it has them.
    assert_eq!((polled[5].readings.len(), &polled[5].missing), (2, &vec![]));
}

/// A meter with the same serial number and lower counters was reset. This is noticed whether or not
/// the register is requested alone, and at any interval.
#[tokio::test(start_paused = true)]
async fn a_counter_that_fell_is_reported() {
    let counting = |hundredths: i64| {
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        set(&mut registers, &[(68, Unit::CUBIC_METRE, hundredths, 2, 4)]);
        registers
    };
    let fell = "`volume` (register 68) fell from 50000.01 to 1.25: it was reset. Two readings agree, \
                so it is published.";
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
            together: Vec::new(),
            optional: Vec::new(),
            version: plan.version,
            interval: Duration::from_secs(interval),
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (stop, mut memory) = (CancellationToken::new(), Memory::new(plan.version));
        let mut journal = Journal::new(&plan);
        let mut warnings = Vec::new();
        for hundredths in [5_000_001, 5_000_001, 125, 125] {
            sender.send_replace(counting(hundredths));
            // As after a poll that read nothing.
            memory.line.state = crate::client::LineState::default();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            assert_eq!(polled.missing, []);
            assert_eq!(polled.exchange, None);
            let timing = Timing { ended: Instant::now(), took: Duration::ZERO };
            let entries = journal.entries(&polled, timing, &[]).into_iter();
            warnings.extend(entries.filter_map(|entry| match entry {
                Entry::Warn(_, text) => Some(text),
                _ => None,
            }));
            tokio::time::sleep(plan.interval).await;
        }
        assert_eq!(warnings, [fell], "{names} every {interval} s");
    }
}

/// A valid frame with one wrong gauge, which the others contradict.
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
    // Wrong once.
    for place in 0..2 {
        let mut answers = good();
        answers[place] = holding(0);
        let openings = vec![Opening::Meter(holding(6_725)), Opening::Each(answers)];
        let (log, polled) = polls(names, openings).await;
        assert_eq!(celsius(&polled[1], 86).as_deref(), Some("67.25"), "{log}");
        assert_eq!(polled[1].missing, [], "{log}");
        assert!(!log.contains("contradict"), "{log}");
    }
    // Wrong every time.
    let odd = || Opening::Meter(holding(6_000));
    let (log, polled) = polls(names, vec![odd(), odd(), odd()]).await;
    assert!(polled.iter().all(|polled| polled.readings.len() == 3), "{log}");
    insta::assert_snapshot!(log);
}

/// A MULTICAL 403 whose sensor t1 is broken, then repaired.
#[tokio::test(start_paused = true)]
async fn the_values_of_a_broken_sensor_are_withheld_and_reported() {
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
    // 185.00 °C with an info code of 0 is published, because the meter reports no fault.
    assert_eq!(read, [7, 3, 3, 0, 7, 7, 3]);
}

/// The context of a meter that is polled once an hour.
fn about(models: &[Model]) -> HintContext<'_> {
    let interval = Duration::from_secs(3600);
    let port = "/dev/ttyUSB0";
    HintContext {
        port,
        interval,
        models,
        has_answered: true,
        timeout: Duration::from_millis(1600),
        runs_as: RunsAs::Program,
        in_container: false,
    }
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
        OpenError::Blocked,
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
        NoAnswer::OtherRequest,
        NoAnswer::Late(Duration::from_millis(2_560)),
        NoAnswer::Foreign,
    ];
    let troubles = ports
        .into_iter()
        .map(PollError::Port)
        .chain([PollError::from(io::Error::from(io::ErrorKind::UnexpectedEof))])
        .chain(heard.into_iter().map(PollError::Meter));
    let texts: Vec<_> = troubles
        .map(|trouble| {
            let is_of_server = matches!(
                trouble,
                PollError::Port(
                    OpenError::HostNotFound { .. }
                        | OpenError::NotLookedUp { .. }
                        | OpenError::Refused
                        | OpenError::Blocked
                        | OpenError::NoConnection
                        | OpenError::Unwanted { .. }
                        | OpenError::WebPage
                        | OpenError::Broker
                )
            );
            let port = if is_of_server { "socket://meter.local:2003" } else { "/dev/ttyUSB0" };
            let about = HintContext { port, ..about(&[]) };
            format!("{}.\n  {}", trouble.describe(about.port), trouble.hint(&about))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
    // Users of the app have no command line.
    let add_on = HintContext { runs_as: RunsAs::AddOn, ..about(&[]) };
    let in_add_on = [OpenError::Missing, OpenError::NotSerial, OpenError::Denied]
        .map(|error| format!("{error}.\n  {}", error.hint(add_on.runs_as, PortKind::Device)));
    insta::assert_snapshot!("what_to_do_in_the_add_on", in_add_on.join("\n"));
    let silent = PollError::Meter(NoAnswer::Nothing);
    let often = HintContext { interval: Duration::from_secs(300), ..about(&[Model::Multical402]) };
    assert!(!silent.hint(&often).contains("30 minutes"));
    let server = HintContext { port: "socket://10.0.0.3:2003", ..about(&[]) };
    assert!(silent.hint(&server).contains("2 stop bits"), "{}", silent.hint(&server));
    // If it may be one of several models, the hint is true of all of them.
    let of = |models: &[Model]| silent.hint(&about(models));
    assert_eq!(of(&[Model::Multical402, Model::Multical602]), of(&[Model::Multical801]));
    assert_eq!(of(&[Model::Multical603, Model::Multical303]), of(&[Model::Multical603]));
    assert_eq!(of(&[Model::Multical21, Model::Multical602]), of(&[]));
    let sleeping = Model::ALL.map(|model| format!("{model}: {}", of(&[model])));
    let sleeping = sleeping.into_iter().chain([format!("unknown: {}", of(&[]))]);
    insta::assert_snapshot!("how_to_wake_each_model", sleeping.collect::<Vec<_>>().join("\n"));
}

/// A MULTICAL 21 or a flowIQ has no keys.
#[test]
fn a_key_is_named_only_for_meters_that_have_one() {
    for heard in [NoAnswer::Nothing, NoAnswer::OwnEcho] {
        let of = |models: &[Model]| PollError::Meter(heard).hint(&about(models));
        for model in Model::ALL {
            let has_keys = model != Model::Multical21;
            let hint = of(&[model]);
            assert_eq!(hint.contains("Press a key"), has_keys, "{hint}");
            assert_eq!(hint.contains("lift the head off"), !has_keys, "{hint}");
        }
        for models in [&[][..], &[Model::Multical21, Model::Multical602]] {
            assert!(of(models).contains("Press a key on the meter. If it has none, lift the head"));
        }
    }
}

/// The meters before KMP send text at 300 baud.
#[test]
fn older_meters_are_named_if_only_noise_arrives() {
    let hint = |heard, models: &[Model], has_answered| {
        let about = HintContext { has_answered, ..about(models) };
        PollError::Meter(heard).hint(&about)
    };
    let older =
        "If the front of the meter says MULTICAL 66C, 41, 401, III or Compact, it cannot be read";
    for heard in [NoAnswer::Noise, NoAnswer::Damaged] {
        // Their owners may have configured a 402.
        for models in [&[][..], &[Model::Multical402]] {
            assert!(hint(heard, models, false).contains(older), "{}", hint(heard, models, false));
            assert!(!hint(heard, models, true).contains(older));
        }
        assert!(!hint(heard, &[Model::Multical603], false).contains(older));
    }
    for heard in [NoAnswer::Nothing, NoAnswer::Foreign] {
        assert!(!hint(heard, &[], false).contains(older));
    }
}

/// The text that a meter before KMP sends. The log names these meters until one with KMP answers.
#[tokio::test(start_paused = true)]
async fn text_instead_of_answers_suggests_an_older_meter() {
    let text = || Opening::Sends("0.00(00012.345*GJ)\r\n");
    let (log, _) = polls("energy volume", vec![text(), meter(), text()]).await;
    let warnings: Vec<_> = log.lines().filter(|line| line.starts_with(" WARN")).collect();
    let is_named = |line: &&str| line.contains("MULTICAL 66C, 41, 401, III or Compact");
    assert_eq!(warnings.iter().map(is_named).collect::<Vec<_>>(), [true, false], "{log}");
}

#[tokio::test(start_paused = true)]
async fn again_is_said_only_of_a_meter_that_has_answered_before() {
    let openings = vec![Opening::Silent, meter(), Opening::Silent, meter()];
    let (log, _) = polls("energy", openings).await;
    let answers = log.lines().filter(|line| line.contains("The meter answers"));
    assert_eq!(
        answers.collect::<Vec<_>>(),
        [
            " INFO The meter answers. It had not been read for 5 min.",
            " INFO The meter answers again. It had not been read for 5 min."
        ]
    );
}

#[test]
fn missing_values_are_named() {
    let shown = |names: &str| unread_words(ids(names).into_iter());
    assert_eq!(unread_words(std::iter::empty()), "");
    assert_eq!(shown("volume"), ", without volume");
    assert_eq!(shown("volume 4000"), ", without volume and 4000");
    assert_eq!(
        shown("energy volume flow power temp1 temp2 tempdiff"),
        ", without energy, volume, flow, power, temp1 and 2 more"
    );
}

/// The log above DEBUG of polls with these results, the first at 00:00. A result is the letter of a
/// poll: `7` read everything, `3` had no `flow` and no `power`, `-` had no answer, `x` had a server in
/// telnet mode. In `5`, these two were not due, and in `4`, `energy` had no value either.
fn log_of(interval: u64, results: &str) -> String {
    let registers = ids("energy volume power flow temp1 temp2 tempdiff");
    let plan = Plan { interval: Duration::from_secs(interval), ..plan("energy", Vec::new()) };
    let mut journal = Journal::new(&plan);
    let start = Instant::now();
    let mut log = Vec::new();
    for (number, letter) in (0..).zip(results.chars()) {
        let seconds = interval * number;
        let ended = start + Duration::from_secs(seconds);
        let reading = |register: &RegisterId| Reading {
            register: *register,
            value: Value::Number(Decimal::ONE),
            unit: Unit::NUMBER,
            exponent: 0,
            length: 4,
            raw: Vec::new(),
            is_total: false,
        };
        let mut polled = Polled::default();
        match letter {
            '-' => polled.trouble = Some(PollError::Meter(NoAnswer::Nothing)),
            'x' => polled.trouble = Some(PollError::Telnet),
            _ => polled.readings = registers.iter().map(reading).collect(),
        }
        if letter == '3' {
            let is_missing = |reading: &mut Reading| [74, 80].contains(&reading.register.get());
            let missing = polled.readings.extract_if(.., is_missing);
            let missing = missing.map(|reading| (reading.register, Missing::Doubtful));
            polled.missing = missing.collect();
        }
        if matches!(letter, '4' | '5') {
            polled.readings.retain(|reading| ![74, 80].contains(&reading.register.get()));
        }
        if letter == '4' {
            polled.readings.retain(|reading| reading.register.get() != 60);
            polled.missing = vec![(RegisterId::new(60), Missing::Doubtful)];
        }
        let took = Duration::from_millis(900);
        let mut entries = journal.entries(&polled, Timing { ended, took }, &[]);
        let explanation =
            polled.trouble.as_ref().map(|trouble| trouble.explain(&plan.hint_context(&[], true)));
        let Polled { readings, missing, .. } = polled;
        let mut traffic = Traffic::default();
        traffic.retries = number % 2;
        let result = PollResult {
            readings,
            missing,
            trouble: explanation,
            traffic,
            ..PollResult::default()
        };
        entries.extend(journal.summary_entry(&result, ended));
        for entry in entries {
            if !matches!(entry, Entry::Debug(_)) {
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                log.push(format!("{hours:02}:{minutes:02} {}", line(&entry)));
            }
        }
    }
    log.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_answers_is_one_line_an_hour() {
    insta::assert_snapshot!(log_of(300, &"7".repeat(3 * 12 + 1)));
}

/// Values that change slowly are not missing in the polls in between.
#[tokio::test(start_paused = true)]
async fn values_that_are_read_once_an_hour_are_not_missing() {
    let hour = ["7", &"5".repeat(11)].concat();
    let with_gap = ["7", &"5".repeat(5), "4", &"5".repeat(5), "7"].concat();
    insta::assert_snapshot!(log_of(300, &[hour.repeat(2), with_gap].concat()));
}

/// 7 min do not divide an hour, and 40 min leave two polls for each summary.
#[tokio::test(start_paused = true)]
async fn a_summary_says_how_long_it_covers() {
    insta::assert_snapshot!([log_of(420, &"7".repeat(20)), log_of(2400, "77777")].join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn at_an_interval_of_an_hour_each_reading_is_a_line() {
    insta::assert_snapshot!(log_of(3600, "77337---7"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_meter_is_reported_once_and_again_after_each_hour() {
    let results = ["-".repeat(14), "7".repeat(10), "-".repeat(30), "7".repeat(3)].concat();
    insta::assert_snapshot!(log_of(300, &results));
}

/// Each poll had a warning, although the warning says that there is one an hour at most.
#[tokio::test(start_paused = true)]
async fn failures_that_alternate_are_reported_a_few_times_an_hour() {
    for (results, most) in [("-x".repeat(360), 1), ("-7".repeat(360), 3), ("x-7".repeat(240), 3)] {
        let log = log_of(10, &results);
        let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        for what in [" WARN The meter does not answer", " WARN The serial server"] {
            // In two hours, and at the beginning of a third.
            assert!(count(what) <= 3 * most, "{log}");
        }
        assert!(log.lines().count() <= 12 * most, "{log}");
        assert!(count("does not answer") > 0, "{log}");
    }
}

/// Values that come and go with each poll, and then stay away.
#[tokio::test(start_paused = true)]
async fn a_missing_value_is_warned_about_once_an_hour() {
    let results = ["7".repeat(3), "37".repeat(10), "3".repeat(14), "7".repeat(13)].concat();
    insta::assert_snapshot!(log_of(300, &results));
}

/// Polls end a little sooner or later, and a computer may sleep.
#[tokio::test(start_paused = true)]
async fn an_hour_is_measured_to_the_nearest_minute() {
    let plan = plan("energy", Vec::new());
    let mut journal = Journal::new(&plan);
    let start = Instant::now();
    let result = PollResult::default();
    let mut summary_at = |seconds| {
        let entry = journal.summary_entry(&result, start + Duration::from_secs(seconds));
        entry.map(|entry| line(&entry))
    };
    assert_eq!(summary_at(2), None);
    assert_eq!(summary_at(3500), None);
    let hour = " INFO Read 2 of 2 times in the last hour, 0 values each.";
    assert_eq!(summary_at(3600).as_deref(), Some(hour));
    let later = " INFO Read 1 of 1 times in the last 10 h, 0 values each.";
    assert_eq!(summary_at(3600 + 36_000).as_deref(), Some(later));
}
