use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;

use super::*;
use crate::status::{Board, LastPoll, MeterState};
use crate::web::state::tests::empty;
use history::{History, Sample};

fn now() -> ZonedDateTime {
    "2026-11-24T09:30:00+01:00[Europe/Copenhagen]".parse().unwrap()
}

fn noted(parameter: &str, value: Decimal, unit: &str, is_counter: bool) -> Sample {
    let (parameter, unit) = (parameter.to_owned(), Some(unit.to_owned()));
    Sample { parameter, value, unit, is_counter }
}

/// A day and a half of readings every ten minutes.
const READINGS: i64 = 36 * 6;

/// What reads them.
fn filled(folder: &std::path::Path, key: &MeterKey) -> Reader {
    let history = History::start(Some(folder.join("history.db")), &now());
    let reader = history.reader();
    let start = now().checked_sub(36.hours()).unwrap().timestamp();
    for index in 0..=READINGS {
        let time = Timestamp::from_second(start.as_second() + index * 600).unwrap();
        let energy = Decimal::new(index * 5, 1);
        history.note(
            key,
            time,
            &[
                noted("power", Decimal::from(3000 + index), "W", false),
                noted("temp1", Decimal::new(6400 + index, 2), "°C", false),
                noted("energy", energy, "kWh", true),
                noted("volume", energy, "m³", true),
            ],
        );
        if index % 32 == 0 {
            // The queue is bounded; what is written can be read.
            while reader.last_day(key, "power", time, 4).unwrap().last().map(|point| point.time)
                != Some(time)
            {
                std::thread::yield_now();
            }
        }
    }
    history.close();
    reader
}

#[test]
fn what_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let reader = filled(folder.path(), &key);
    let memory = read(&reader, &key, &now()).unwrap();
    let power = memory.power.unwrap();
    assert_eq!((power.unit.as_str(), power.points.len()), ("W", 144));
    assert_eq!(power.points.last().unwrap().value, Decimal::from(3000 + READINGS));
    assert!(memory.flow.is_none() && memory.back.is_none());
    assert_eq!(memory.supply.unwrap().unit, "°C");
    let Counter { parameter, unit, hours, days } = memory.counter.unwrap();
    // Of energy and volume, both of which are counted.
    assert_eq!((&*parameter, &*unit), ("energy", "kWh"));
    // Six readings an hour, half a kilowatt-hour each.
    assert_eq!(hours.len(), HOURS);
    assert_eq!(hours[0].used, Some(Decimal::from(3)));
    assert!(hours[HOURS - 1].so_far);
    let days: Vec<_> = days.iter().map(|day| day.used).collect();
    assert_eq!(days.len(), usize::try_from(DAYS).unwrap());
    assert_eq!(days[DAYS as usize - 2], Some(Decimal::from(72)));
    assert_eq!(days[0], None);
}

/// A water meter has no energy to be drawn, but volume.
#[test]
fn where_no_energy_is_counted_volume_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let history = History::start(Some(folder.path().join("history.db")), &now());
    let reader = history.reader();
    // What wraps counts nothing that can be drawn.
    let fine = |value| noted("volumehighres", value, "m³", false);
    for (time, digits) in
        [("06:00:02", 191_757), ("07:00:02", 191_760), ("08:00:02", 191_765), ("08:20:02", 191_766)]
    {
        let time = format!("2026-11-24T{time}Z").parse().unwrap();
        let volume = noted("volume", Decimal::new(digits, 3), "m³", true);
        history.note(&key, time, &[volume, fine(Decimal::ONE)]);
    }
    history.close();
    let counter = read(&reader, &key, &now()).unwrap().counter.unwrap();
    assert_eq!((&*counter.parameter, &*counter.unit), ("volume", "m³"));
    let hours: Vec<_> = counter.hours.iter().filter_map(|hour| hour.used).collect();
    assert_eq!(hours, [3, 5, 1].map(|digits| Decimal::new(digits, 3)));
    assert_eq!(counter.days.len(), usize::try_from(DAYS).unwrap());
}

/// Of what was taken out of the list of parameters, readings are still there.
#[test]
fn what_is_counted_now_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let history = History::start(Some(folder.path().join("history.db")), &now());
    let reader = history.reader();
    let full_hour = now().checked_sub(30.minutes()).unwrap();
    for hours in (0..60).rev() {
        let time = full_hour.checked_sub(hours.hours()).unwrap().timestamp();
        let value = Decimal::from(1000 - hours);
        let mut values = vec![noted("volume", value, "m³", true)];
        if hours >= 33 {
            values.push(noted("e1highres", value, "kWh", true));
        }
        if hours >= 10 {
            values.push(noted("energy", value, "kWh", true));
        }
        history.note(&key, time, &values);
    }
    history.close();
    let drawn = |now: &ZonedDateTime| {
        read(&reader, &key, now).unwrap().counter.map(|counter| counter.parameter)
    };
    let at = |ago: i64| now().checked_sub(ago.hours()).unwrap();
    let drawn = [at(50), at(5), at(-20), at(-36), at(-24 * 20)].map(|now| drawn(&now));
    // Where nothing is counted any more, it is the finest; and in the end nothing.
    let [fine, energy, volume] = ["e1highres", "energy", "volume"].map(|name| Some(name.into()));
    assert_eq!(drawn, [fine.clone(), energy, volume, fine, None]);
}

/// The same is read once, and again when there was another poll.
#[tokio::test]
async fn many_pages_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let reader = filled(folder.path(), &key);
    let board = Board::default();
    let meter = MeterState::new("a".to_owned(), "b".to_owned(), Duration::from_secs(300));
    board.set_meters(vec![(0, meter)]);
    board.meter(0, |meter| meter.key = Some(key));
    let site = PageState { board: board.clone(), history: Some(reader), clock: now, ..empty() };
    let cache = Cache::new(BlockingJobs::readings());
    let first = cache.look(&site, &now()).await;
    assert_eq!(first.len(), 1);
    assert!(Arc::ptr_eq(&first, &cache.look(&site, &now()).await));
    board.meter(0, |meter| {
        let at = Instant::now();
        meter.last = Some(LastPoll { at, answered: true, trouble: None });
    });
    let second = cache.look(&site, &now()).await;
    assert!(!Arc::ptr_eq(&first, &second));
    let later = now().checked_add(10.seconds()).unwrap();
    assert!(!Arc::ptr_eq(&second, &cache.look(&site, &later).await));
}

#[tokio::test]
async fn without_a_history_nothing_is_drawn() {
    let site = PageState { clock: now, ..empty() };
    assert!(Cache::new(BlockingJobs::readings()).look(&site, &now()).await.is_empty());
}

/// Readings are kept, and pages and answers are made of them, whatever time the clock says.
#[tokio::test]
async fn what_is_drawn_at_the_end_of_the_calendar() {
    use crate::status::{LastPoll, LineQuality, MeterState};
    use crate::web::language::Language;
    use crate::web::now::Now;
    use crate::web::page::{self, PageInput};
    use crate::web::{api, metrics};

    let key = MeterKey::new("", None);
    let board = Board::default();
    let interval = Duration::from_secs(300);
    board.set_meters(vec![(0, MeterState::new("a".to_owned(), "b".to_owned(), interval))]);
    for now in testing::times() {
        let history = History::start(None, &now);
        let reader = history.reader();
        for minutes in [90, 60, 30, 1, 0] {
            let time = now.timestamp().saturating_sub(minutes.minutes()).unwrap();
            let value = Decimal::from(1000 - minutes);
            history.note(
                &key,
                time,
                &[noted("power", value, "W", false), noted("energy", value, "kWh", true)],
            );
        }
        // In memory, it is gone with what keeps it.
        let memory = loop {
            let memory = read(&reader, &key, &now).unwrap();
            let points = memory.power.as_ref().map(|power| power.points.len());
            if points.is_some() {
                break memory;
            }
            tokio::task::yield_now().await;
        };
        let at = Instant::now();
        board.meter(0, |meter| {
            meter.last = Some(LastPoll { at, answered: true, trouble: None });
            meter.since = at.checked_sub(interval);
            meter.next_poll = at.checked_add(interval);
            meter.line = LineQuality::default().on(now.date());
        });
        let wall = Now { wall: now.clone(), at };
        assert!(api::state(&board, Vec::new(), &wall).unwrap().contains("next_poll"));
        metrics::text(&board, &wall).unwrap();
        let look = PageInput {
            language: Language::accepted(None),
            level: tracing::Level::TRACE,
            ports: Vec::new(),
            memories: Arc::new(vec![(0, memory)]),
            now: now.clone(),
        };
        assert!(page::render(&board, look).unwrap().contains("</html>"), "{now}");
        for range in [(Timestamp::MIN, Timestamp::MAX), (now.timestamp(), now.timestamp())] {
            reader.readings(&key, "power", range).unwrap();
            reader.hours(&key, "power", range).unwrap();
            reader.days(&key, "power", range).unwrap();
        }
        history.close();
    }
}
