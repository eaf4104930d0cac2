//! What the log and the hints say of polls.

use super::*;

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

/// The registers that a meter lacks, however few are requested, are reported in the second poll.
/// The meter is still polled.
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

/// A meter with the same serial number and other counters was reset, however it is read again.
#[tokio::test(start_paused = true)]
async fn a_counter_that_fell_is_reported() {
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
            // A poll that read nothing leaves doubts about the line.
            memory.line.state = crate::client::LineState::default();
            let polled = poll(&plan, &mut memory, &stop).await.unwrap();
            assert_eq!(polled.missing, []);
            assert_eq!(polled.exchange, None);
            told.extend(journal.entries(&polled, Duration::ZERO, &[]).into_iter().filter_map(
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

/// A MULTICAL 403 whose t1 is broken, and repaired.
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
    // 185.00 °C with an info code of 0 is published: the meter says that nothing is wrong.
    assert_eq!(read, [7, 3, 3, 0, 7, 7, 3]);
}

/// The context of a meter that is polled seldom.
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
            format!("{}.\n  {}", trouble.describe(about.port), trouble.hint(&about))
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
