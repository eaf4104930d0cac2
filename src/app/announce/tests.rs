use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use kmp::register::{REGISTERS, RegisterId};
use kmp::value::RegisterValue;

use super::*;
use crate::app::services::Services;
use crate::config::{self, Config};
use crate::status::Board;
use history::History;
use meter::highres::HighResolution;
use meter::identity::Exchange;
use meter::reading::{Missing, Reading};
use simulator::{self, EnergyUnit, Registers};

const TIME: &str = "2026-11-23T15:17:22+01:00";

fn announcer(parameters: &str, settings: &str) -> Announcer {
    let yaml = format!(
        "mqtt: {{ {settings} }}\nserial_device: {{ com_port: /dev/ttyUSB0 }}\n\
         kamstrup: {{ version: auto, parameters: '{parameters}' }}\n"
    );
    let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
    let Config { publishing, mut meters, .. } = loaded.config;
    let topics = Topics::new(&publishing.topic);
    let observers = Observers::of(&Services::default());
    Announcer::new(0, meters.remove(0), Arc::new(publishing), topics, observers)
}

fn poll(readings: Vec<Reading>, missing: Vec<(RegisterId, Missing)>) -> PollResult {
    PollResult { readings, missing, took: Duration::from_secs(1), ..PollResult::default() }
}

fn reading(text: &str) -> Reading {
    let registers = Registers::from_yaml(text).unwrap();
    Reading::try_from(registers.values.values().next().unwrap()).unwrap()
}

/// The values' entities, and the topics that are emptied.
fn shown(announcer: &mut Announcer) -> String {
    let messages = announcer.discovery().into_iter();
    let values = messages.filter(|message| message.payload.contains("\"expire_after\""));
    let names: Vec<_> = values
        .map(|message| message.topic.split('/').nth(2).unwrap().replace("kamstrup_", ""))
        .collect();
    let absent = announcer.absent().join(" ");
    format!("{} | {}", names.join(" "), absent.replace("homeassistant/sensor/kamstrup_", ""))
}

#[test]
fn values_of_the_meter_are_announced_and_values_that_it_lacks_are_removed() {
    const ENERGY: RegisterId = RegisterId::new(60);
    const VOLUME: RegisterId = RegisterId::new(68);
    let mut announcer = announcer("energy,volume,60", "topic: kamstrup");
    let mut after = |readings: &[&str], missing: &[(RegisterId, Missing)]| {
        let readings = readings.iter().map(|text| reading(text)).collect();
        announcer.states(&poll(readings, missing.to_vec()), TIME);
        shown(&mut announcer)
    };
    let (energy, volume) = ("energy: 5 kWh", "volume: 7 m³");
    let both = [ENERGY, VOLUME];
    // Not yet known: the announcements of an earlier run stay.
    assert_eq!(after(&[], &both.map(|register| (register, Missing::NoAnswer))), " | ");
    assert_eq!(after(&[], &both.map(|register| (register, Missing::Doubtful))), " | ");
    let broken = Missing::Fault("a fault".to_owned());
    assert_eq!(after(&[volume], &[(ENERGY, broken.clone())]), "volume | ");
    // It is configured by name and by number, and absent by both.
    let without = "volume | energy/config 60/config";
    assert_eq!(after(&[volume], &[(ENERGY, Missing::LeftOut)]), without);
    assert_eq!(after(&[], &both.map(|register| (register, Missing::NoAnswer))), without);
    assert_eq!(after(&[energy, volume], &[]), "energy volume 60 | ");
    // Values that the meter has stay announced while they are unavailable.
    for why in [Missing::NoAnswer, Missing::Doubtful, broken, Missing::WithoutE1] {
        assert_eq!(
            after(&[], &both.map(|register| (register, why.clone()))),
            "energy volume 60 | "
        );
    }
    let silences = (ENERGY, Missing::Silences);
    assert_eq!(after(&[volume], &[silences]), without);
}

/// It has no entity, but the page still says why.
#[test]
fn a_value_that_the_meter_lacks_stays_on_the_board() {
    let mut announcer = announcer("energy,volume", "topic: kamstrup");
    let board = announcer.observers.board.clone();
    board.set_meters(vec![(0, unread(&announcer.meter))]);
    let missing = vec![(RegisterId::new(60), Missing::LeftOut)];
    for _ in 0..2 {
        announcer.states(&poll(vec![reading("volume: 7 m³")], missing.clone()), TIME);
        let [meter] = &board.meters()[..] else { panic!() };
        let why = "this meter does not have it".to_owned();
        assert_eq!(meter.missing, [("energy".to_owned(), why)]);
    }
}

/// Otherwise it would look like a value of this meter.
#[test]
fn a_retained_value_is_removed_with_its_entity() {
    let mut announcer = announcer("energy,volume", "topic: heat, retain: true");
    let missing = vec![(RegisterId::new(60), Missing::LeftOut)];
    announcer.states(&poll(vec![reading("volume: 7 m³")], missing), TIME);
    assert_eq!(announcer.absent(), ["homeassistant/sensor/kamstrup_energy/config", "heat/energy"]);
}

/// Whatever is configured: each entity has a value, and each value an entity.
#[test]
fn no_entity_of_any_model_stays_unavailable_forever() {
    let names: Vec<_> = REGISTERS.iter().map(|register| register.key).collect();
    for model in simulator::Model::ALL {
        for parameters in ["energy,volume,power,flow,temp1,temp2,tempdiff", &names.join(",")] {
            let mut announcer = announcer(parameters, "topic: kamstrup");
            assert_eq!(shown(&mut announcer), " | ", "nothing is announced before it is read");
            let holds = Registers::model(model, EnergyUnit::KilowattHour, 0);
            let mut readings = Vec::new();
            let mut missing = Vec::new();
            for parameter in &announcer.meter.parameters {
                let register = parameter.register();
                let value: Option<&RegisterValue> = holds.values.get(&register);
                match value.map(Reading::try_from) {
                    Some(Ok(reading)) => readings.push(reading),
                    Some(Err(error)) => missing.push((register, error.into())),
                    None => missing.push((register, Missing::LeftOut)),
                }
            }
            HighResolution::default().complete(&mut readings, &mut missing);
            let states = announcer.states(&poll(readings, missing), TIME);
            let topics: BTreeSet<_> = states.into_iter().map(|state| state.topic).collect();
            let messages = announcer.discovery();
            let entities: BTreeSet<_> = messages
                .iter()
                .filter(|message| message.payload.contains("\"expire_after\""))
                .map(|message| {
                    let entity: serde_json::Value = serde_json::from_str(&message.payload).unwrap();
                    entity["state_topic"].as_str().unwrap().to_owned()
                })
                .collect();
            assert!(entities.is_subset(&topics), "{model:?}: {entities:?}");
            let values = announcer.meter.parameters.iter().filter(|parameter| {
                topics.contains(&announcer.topics.meter(None).value(parameter))
            });
            assert_eq!(entities.len(), values.count(), "{model:?}");
        }
    }
}

/// A serial server that refuses the connection says nothing about the head, and neither does
/// another program that reads the meter.
#[tokio::test]
async fn only_trouble_with_the_head_is_counted_against_it() {
    let mut announcer = announcer("energy", "topic: kamstrup");
    let board = announcer.observers.board.clone();
    board.set_meters(vec![(0, unread(&announcer.meter))]);
    for (suspect, misplaced, elsewhere) in [
        (Some(Suspect::Port), false, 1),
        (Some(Suspect::Timing), false, 2),
        (Some(Suspect::Head), true, 2),
        (None, false, 2),
    ] {
        let trouble = suspect.map(|_| meter::poll::Explanation {
            words: "odd".to_owned(),
            hint: "Fix it.".to_owned(),
        });
        let result = PollResult { trouble, suspect, ..poll(Vec::new(), Vec::new()) };
        announcer.show(&result, &[]);
        let state = board.meters().remove(0);
        assert_eq!((state.misplaced, state.line_in_all.failed_elsewhere), (misplaced, elsewhere));
    }
}

#[test]
fn a_water_meter_has_no_keys() {
    let of = |models: &[Model], certainty, is_water_meter| {
        let models = models.to_vec();
        has_keys(&Identity { models, certainty, is_water_meter, ..Identity::default() })
    };
    let (water, heat) = (Model::Multical21, Model::Multical403);
    assert_eq!(of(&[water], Certainty::Certain, true), Some(false));
    assert_eq!(of(&[heat, Model::Multical302], Certainty::Likely, false), Some(true));
    assert_eq!(of(&[water, heat], Certainty::Likely, false), None);
    assert_eq!(of(&[heat], Certainty::Assumed, false), None);
    assert_eq!(of(&[], Certainty::Certain, true), Some(false));
    assert_eq!(of(&[], Certainty::Certain, false), None);
}

/// A slow value is published when it was read, and stays current until it should be read again.
#[tokio::test]
async fn a_slow_value_stays_current_until_its_next_reading() {
    const SLOW: RegisterId = RegisterId::new(128);
    let mut announcer = announcer("energy,maxpower_y", "topic: kamstrup");
    let energy = || reading("energy: 81947 kWh");
    let slow = || reading("maxpower_y: 9.2 kW");
    let mut after = |result: PollResult| {
        let states = announcer.states(&result, TIME);
        let values = states.iter().filter(|message| message.topic != "kamstrup/reading");
        let words = |message: &Message| message.topic.trim_start_matches("kamstrup/").to_owned();
        let values = values.map(words).filter(|topic| ["energy", "maxpower_y"].contains(&&**topic));
        let sent = values.collect::<Vec<_>>().join(" ");
        let current = announcer.current(&result);
        let current = current.map_or("unknown".to_owned(), |current| {
            current.iter().map(words).collect::<Vec<_>>().join(" ")
        });
        format!("{sent} | {current}")
    };
    let both = || poll(vec![energy(), slow()], vec![]);
    let fast = || poll(vec![energy()], vec![]);
    assert_eq!(after(both()), "energy maxpower_y | ");
    assert_eq!(after(fast()), "energy | maxpower_y");
    // A silent meter may have changed.
    let trouble =
        Some(meter::poll::Explanation { words: "No answer".to_owned(), hint: "Look.".to_owned() });
    let silent = poll(vec![], vec![(RegisterId::new(60), Missing::NoAnswer)]);
    assert_eq!(after(PollResult { trouble, ..silent }), " | unknown");
    assert_eq!(after(fast()), "energy | maxpower_y");
    // One whose other values are those of a broken sensor has answered.
    let broken = (RegisterId::new(60), Missing::Fault("a fault".to_owned()));
    assert_eq!(after(poll(vec![], vec![broken])), " | maxpower_y");
    assert_eq!(after(fast()), "energy | maxpower_y");
    assert_eq!(after(poll(vec![energy()], vec![(SLOW, Missing::NoAnswer)])), "energy | ");
    assert_eq!(after(fast()), "energy | ");
    // Another meter has other values.
    after(both());
    let exchange =
        Some(Exchange { from: SerialNumber::new(1), last: Vec::new(), to: SerialNumber::new(2) });
    assert_eq!(after(PollResult { exchange, ..fast() }), "energy | ");
}

/// Waits until the history has written the counters of a reading at `at`.
async fn stored(history: &History, announcer: &Announcer, at: Timestamp) {
    let key = history_key(&announcer.meter, None);
    let end = at + Duration::from_secs(1);
    loop {
        let snapshot = history.reader().snapshot().unwrap();
        if !snapshot.readings(&key, "tariff.return", (at, end)).unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn means_are_published_with_what_they_cover() {
    let mut announcer = announcer("energy", "topic: kamstrup, retain: true");
    let limit = tariff::Limit::new(vec![tariff::Row { supply: None, expected: 30.into() }]);
    let year = Some(config::FirstMonth::JANUARY);
    announcer.meter.tariff = Some(config::Tariff { first_month: year, limit });
    let at =
        |text: &str| -> ZonedDateTime { format!("{text}[Europe/Copenhagen]").parse().unwrap() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.db");
    let history = Arc::new(History::start(Some(file), &at("2026-11-03T10:59:40")));
    announcer.observers.history = Some(Arc::clone(&history));
    let counted = |volume: &str, supply: &str, returned: &str, energy: &str| {
        let texts = [
            format!("energy: {energy} kWh"),
            format!("volume: {volume} m³"),
            format!("97: {supply} m³·°C"),
            format!("110: {returned} m³·°C"),
        ];
        let readings = texts.iter().map(|text| reading(text)).collect();
        PollResult { is_recognized: true, ..poll(readings, Vec::new()) }
    };
    let mut said = Vec::new();
    let mut say = |messages: Vec<Message>, gone: Vec<String>| {
        let line = |message: &Message| format!("{} {}", message.topic, message.payload);
        let lines: Vec<String> = messages.iter().map(line).collect();
        said.push(format!("{}\ngone: {}", lines.join("\n"), gone.join(" ")));
    };
    let first = at("2026-11-03T10:59:40");
    let (messages, gone) =
        announcer.means(&counted("100.00", "7000", "3000", "5000"), &first).await;
    assert_eq!(
        messages.iter().map(|it| it.topic.as_str()).collect::<Vec<_>>(),
        ["kamstrup/tariff"]
    );
    assert_eq!(gone.len(), 14);
    stored(&history, &announcer, first.timestamp()).await;
    // The next day. The mean of 24 hours begins with the same reading.
    let second = at("2026-11-04T10:59:40");
    let (messages, gone) =
        announcer.means(&counted("110.00", "7650", "3324", "5378"), &second).await;
    say(messages, gone);
    // A poll for which the counters are not due changes nothing.
    let others = poll(vec![reading("energy: 5379 kWh")], Vec::new());
    let (messages, gone) = announcer.means(&others, &at("2026-11-04T11:04:40")).await;
    assert_eq!((messages.as_slice(), gone.as_slice()), (&[][..], &[][..]));
    let current = announcer.current(&others).unwrap();
    assert_eq!(current.len(), 15);
    let entity = announcer.discovery().into_iter();
    let entity = entity.filter(|message| message.topic.contains("mean_return_month"));
    say(entity.collect(), Vec::new());
    // After an exchange, nothing spans it.
    let exchanged = PollResult {
        exchange: Some(Exchange {
            from: SerialNumber::new(1),
            last: Vec::new(),
            to: SerialNumber::new(2),
        }),
        ..counted("500.00", "9000", "4000", "9000")
    };
    let (messages, gone) = announcer.means(&exchanged, &at("2026-11-04T11:59:40")).await;
    assert_eq!((messages.len(), gone.len()), (1, 14));
    insta::assert_snapshot!(said.join("\n\n"));
}

/// The values of a poll waited while a slow disk was read for the means.
#[tokio::test]
async fn values_do_not_wait_for_means() {
    let mut announcer = announcer("energy", "topic: kamstrup");
    announcer.meter.tariff = Some(config::Tariff { first_month: None, limit: None });
    let folder = tempfile::tempdir().unwrap();
    let history = History::start(Some(folder.path().join("history.db")), &LocalTime::now());
    announcer.observers.history = Some(Arc::new(history));
    let accounts = announcer.observers.accounts.clone();
    // No job for the means can begin.
    let mut hanging = Vec::new();
    for _ in 0..crate::resources::READINGS {
        let (sender, received) = std::sync::mpsc::channel::<()>();
        let accounts = accounts.clone();
        tokio::spawn(async move { accounts.run(move |_| received.recv()).await });
        hanging.push(sender);
    }
    let counters = ["energy: 5000 kWh", "volume: 100 m³", "97: 7000 m³·°C", "110: 3000 m³·°C"];
    let readings = counters.map(reading).into();
    let result = PollResult { is_recognized: true, ..poll(readings, Vec::new()) };
    let (publisher, mut sent) = crate::mqtt::recorded_publisher();
    let (results, received) = mpsc::channel(1);
    let running = tokio::spawn(announcer.run(received, publisher));
    let mut until = async |topic: &str| loop {
        let messages = sent.take();
        if messages.iter().any(|message| message.topic == topic) {
            return messages.into_iter().map(|message| message.topic).collect::<Vec<_>>();
        }
        tokio::task::yield_now().await;
    };
    results.send(Box::new(result)).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(30), until("kamstrup/energy"));
    let first = waited.await.unwrap();
    assert!(!first.contains(&"kamstrup/tariff".to_owned()), "{first:?}");
    drop(hanging);
    let waited = tokio::time::timeout(Duration::from_secs(30), until("kamstrup/tariff"));
    let then = waited.await.unwrap();
    assert!(!then.contains(&"kamstrup/energy".to_owned()), "{then:?}");
    drop(results);
    running.await.unwrap();
}

/// Without the setting, nothing is stored or published.
#[tokio::test]
async fn there_are_no_means_unless_they_are_wanted() {
    let mut announcer = announcer("energy,volume,97,110", "topic: kamstrup");
    assert_eq!(announcer.meter.registers().len(), 4);
    assert_eq!(announcer.meter.together(), []);
    let now = LocalTime::now();
    let result = poll(vec![reading("97: 5 m³·°C")], Vec::new());
    assert_eq!(announcer.means(&result, &now).await, (Vec::new(), Vec::new()));
}

/// What the page would show: polls of today and of 30 days, since when, and whether it is kept.
fn counted(board: &Board, today: &str) -> String {
    let meter = board.one_meter(0).unwrap();
    let ledger = &meter.ledger;
    let [today, month] =
        [ledger.today(today.parse().unwrap()), ledger.month(today.parse().unwrap())];
    let since = month.since.map(|since| since.to_string()).unwrap_or_default();
    let bytes = month.usage.sent + month.usage.received;
    let (polls, all) = (today.usage.polls, month.usage.polls);
    format!("{polls} {all} {bytes} {since} {} {}", ledger.is_kept, ledger.has_predecessor)
}

/// A house whose program may be restarted.
struct Counting {
    costs: Costs,
    observers: Observers,
}

impl Counting {
    fn start(file: Option<std::path::PathBuf>, now: &str) -> Self {
        let announcer = announcer("energy", "topic: kamstrup");
        let history = file.map(|file| Arc::new(History::start(Some(file), &at(now))));
        let observers = Observers { history, ..announcer.observers.clone() };
        observers.board.set_meters(vec![(0, unread(&announcer.meter))]);
        Self { costs: Costs::new(&announcer.meter), observers }
    }

    /// A poll of 100 bytes, and what is shown after it.
    async fn poll(&mut self, serial: Option<u32>, exchange: Option<u32>, time: &str) -> String {
        let mut traffic = meter::client::Traffic::default();
        (traffic.sent, traffic.received) = (20, 80);
        let exchange = exchange.map(|from| Exchange {
            from: SerialNumber::new(from),
            last: Vec::new(),
            to: SerialNumber::new(serial.unwrap_or_default()),
        });
        let is_recognized = serial.is_some();
        let result = poll(vec![reading("energy: 5 kWh")], Vec::new());
        let result = PollResult { traffic, exchange, is_recognized, ..result };
        let key = MeterKey::new("", serial);
        self.costs.note(&result, (&key, &[]), &at(time), (0, &self.observers));
        if self.observers.history.is_some() {
            while self.costs.is_waiting() {
                self.costs.show_stored(0, &self.observers).await;
            }
        }
        counted(&self.observers.board, &time[..10])
    }

    fn end(self) {
        if let Some(history) = self.observers.history {
            Arc::into_inner(history).unwrap().close();
        }
    }
}

fn at(time: &str) -> ZonedDateTime {
    format!("{time}[Europe/Copenhagen]").parse().unwrap()
}

#[tokio::test]
async fn the_cost_of_a_day_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Some(folder.path().join("history.db"));
    let mut house = Counting::start(file(), "2026-11-23T23:50:00");
    assert_eq!(
        house.poll(Some(7), None, "2026-11-23T23:55:00").await,
        "1 1 100 2026-11-23T22:55:00Z true false"
    );
    assert_eq!(
        house.poll(Some(7), None, "2026-11-24T00:00:00").await,
        "1 2 200 2026-11-23T22:55:00Z true false"
    );
    house.end();
    // It is not known yet which meter this is.
    let mut house = Counting::start(file(), "2026-11-24T12:00:00");
    assert_eq!(
        house.poll(None, None, "2026-11-24T12:00:00").await,
        "2 3 300 2026-11-23T22:55:00Z true false"
    );
    for (time, polls) in [("2026-11-24T12:05:00", "3 4 400"), ("2026-11-24T12:10:00", "4 5 500")] {
        let expected = format!("{polls} 2026-11-23T22:55:00Z true false");
        assert_eq!(house.poll(Some(7), None, time).await, expected);
    }
    // A day without a poll, and one that begins before the last hour has ended everywhere.
    assert_eq!(house.poll(Some(7), None, "2026-12-24T00:00:01").await, "1 1 100  true false");
    house.end();
}

/// Both days are longer or shorter than 24 hours. Each poll is on the day that the clock shows.
#[tokio::test]
async fn a_day_with_a_change_of_the_clock_has_all_its_polls() {
    for (day, next, hours) in [("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)] {
        let folder = tempfile::tempdir().unwrap();
        let mut house =
            Counting::start(Some(folder.path().join("history.db")), "2026-03-01T00:00:00");
        let mut time = at(&format!("{day}T00:00:00"));
        let mut shown = String::new();
        while time.date().to_string() == day {
            let text = time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            shown = house.poll(Some(7), None, &text).await;
            time = time.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        }
        assert!(shown.starts_with(&format!("{hours} {hours} ")), "{day}: {shown}");
        let shown = house.poll(Some(7), None, &format!("{next}T00:00:00")).await;
        assert!(shown.starts_with(&format!("1 {} ", hours + 1)), "{day}: {shown}");
        house.end();
    }
}

#[tokio::test]
async fn an_exchanged_meter_starts_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Some(folder.path().join("history.db"));
    let mut house = Counting::start(file(), "2026-11-24T10:00:00");
    house.poll(Some(7), None, "2026-11-24T10:00:00").await;
    house.poll(Some(7), None, "2026-11-24T10:05:00").await;
    let first_of = |polls: &str| format!("{polls} 2026-11-24T09:10:00Z true true");
    let exchanged = house.poll(Some(8), Some(7), "2026-11-24T10:10:00").await;
    assert_eq!(exchanged, first_of("1 1 100"));
    assert_eq!(house.poll(Some(8), None, "2026-11-24T10:15:00").await, first_of("2 2 200"));
    house.end();
    // Both again, while the program was not running.
    let mut house = Counting::start(file(), "2026-11-24T11:00:00");
    let first = house.poll(Some(7), None, "2026-11-24T11:00:00").await;
    assert_eq!(first, "3 3 300 2026-11-24T09:00:00Z true true");
    let mut house = {
        house.end();
        Counting::start(file(), "2026-11-24T12:00:00")
    };
    assert_eq!(house.poll(Some(8), None, "2026-11-24T12:00:00").await, first_of("3 3 300"));
    house.end();
}

#[tokio::test]
async fn without_a_history_counting_begins_with_the_program() {
    let mut house = Counting::start(None, "2026-11-24T10:00:00");
    house.poll(Some(7), None, "2026-11-24T10:00:00").await;
    let second = house.poll(Some(7), None, "2026-11-24T10:05:00").await;
    assert_eq!(second, "2 2 200 2026-11-24T09:00:00Z false false");
    let exchanged = house.poll(Some(8), Some(7), "2026-11-24T10:10:00").await;
    assert_eq!(exchanged, "1 1 100 2026-11-24T09:10:00Z false false");
}
