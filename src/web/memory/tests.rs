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

fn read_one(
    reader: &Reader,
    key: &MeterKey,
    range: Range,
    now: &ZonedDateTime,
) -> Result<Memory, HistoryError> {
    let mut all = read(reader, &[(0, key.clone())], range, now, &Stop::default())?;
    Ok(all.pop().unwrap().1)
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
            while reader
                .snapshot()
                .unwrap()
                .last_day(key, "power", time, 4)
                .unwrap()
                .last()
                .map(|point| point.time)
                != Some(time)
            {
                // Without a pause, the database would never be free for the writer.
                std::thread::park_timeout(Duration::from_millis(1));
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
    let memory = read_one(&reader, &key, Range::Day, &now()).unwrap();
    let power = memory.power.unwrap();
    assert_eq!((power.unit.as_str(), power.points.len()), ("W", 144));
    assert_eq!(power.points.last().unwrap().1.last.value, Decimal::from(3000 + READINGS));
    assert!(memory.flow.is_none() && memory.back.is_none());
    assert_eq!(memory.supply.unwrap().unit, "°C");
    let Counter { parameter, unit, bars, .. } = memory.counter.unwrap();
    // Of energy and volume, both of which are counted.
    assert_eq!((&*parameter, &*unit), ("energy", "kWh"));
    // Six readings an hour, half a kilowatt-hour each.
    assert_eq!(bars.len(), 25);
    assert_eq!(bars[0].used, Some(Decimal::from(3)));
    assert!(bars[24].so_far && !bars[23].so_far);
}

#[test]
fn longer_ranges_are_drawn_of_hours_and_days() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let reader = filled(folder.path(), &key);
    let drawn = |range| {
        let Memory { power, counter, .. } = read_one(&reader, &key, range, &now()).unwrap();
        let points = power.unwrap().points;
        let bars: Vec<_> = counter.unwrap().bars.iter().map(|bar| bar.used).collect();
        (points.len(), points[1].1.mean().unwrap().to_string(), bars.len(), bars[bars.len() - 2])
    };
    let day = Some(Decimal::from(72));
    // 36 hours and a half begin in 37 hours, on three days. The last month is not known.
    assert_eq!(drawn(Range::Week), (37, "3006.5".to_owned(), 8, day));
    assert_eq!(drawn(Range::Month), (3, "3087.5".to_owned(), 31, day));
    assert_eq!(drawn(Range::Year), (3, "3087.5".to_owned(), 13, None));
}

/// The same time before is known only where all of it is kept.
#[test]
fn totals_are_of_all_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let reader = filled(folder.path(), &key);
    let totals = |range| {
        let counter = read_one(&reader, &key, range, &now()).unwrap().counter.unwrap();
        (counter.total, counter.before)
    };
    let part = |since: &str, until: &str, used: i64| {
        let [since, until] = [since, until].map(|time| time.parse().unwrap());
        Total::Part { since, until, used: Decimal::from(used) }
    };
    // Three kilowatt-hours an hour, from 22:00 on the 22nd.
    let first = "2026-11-22T21:00:00Z";
    let before = part(first, "2026-11-23T08:00:00Z", 33);
    assert_eq!(totals(Range::Day), (Total::Whole(Decimal::from(72)), before));
    let days = (part(first, "2026-11-23T23:00:00Z", 78), Total::Unknown);
    assert_eq!(totals(Range::Week), days);
    assert_eq!(totals(Range::Month), days);
    assert_eq!(totals(Range::Year), (Total::Unknown, Total::Unknown));
}

/// A week has an hour more or less when the clock changes, and is compared with one that has not.
#[test]
fn totals_of_weeks_when_the_clock_changes() {
    for (now, week, before) in [
        ("2026-10-27T09:30:00+01:00[Europe/Copenhagen]", 7 * 24 + 1, 7 * 24),
        ("2026-11-03T09:30:00+01:00[Europe/Copenhagen]", 7 * 24, 7 * 24 + 1),
        ("2026-03-31T09:30:00+02:00[Europe/Copenhagen]", 7 * 24 - 1, 7 * 24),
    ] {
        let now: ZonedDateTime = now.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = MeterKey::new("", None);
        let history = History::start(Some(folder.path().join("history.db")), &now);
        let reader = history.reader();
        let hour = now.timestamp().as_second() / 3600;
        // The queue is bounded: only those around midnight.
        let is_read = |hour: &i64| [0, 21, 22, 23].contains(&hour.rem_euclid(24));
        for hour in (hour - 15 * 24..=hour).filter(is_read) {
            let time = Timestamp::from_second(hour * 3600 + 2).unwrap();
            history.note(&key, time, &[noted("energy", Decimal::from(hour), "kWh", true)]);
        }
        history.close();
        let counter = read_one(&reader, &key, Range::Week, &now).unwrap().counter.unwrap();
        let totals = [counter.total, counter.before];
        assert_eq!(totals, [week, before].map(|used| Total::Whole(Decimal::from(used))), "{now}");
    }
}

/// A counter that was reset, or a meter that was exchanged, has no total.
#[test]
fn totals_of_a_counter_that_fell() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let history = History::start(Some(folder.path().join("history.db")), &now());
    let reader = history.reader();
    let full_hour = now().checked_sub(30.minutes()).unwrap();
    for hours in (0..60).rev() {
        let time = full_hour.checked_sub(hours.hours()).unwrap().timestamp();
        let value = Decimal::from(if hours > 30 { 5000 - hours } else { 100 - hours });
        history.note(&key, time, &[noted("energy", value, "kWh", true)]);
    }
    history.close();
    let counter = read_one(&reader, &key, Range::Day, &now()).unwrap().counter.unwrap();
    assert_eq!((counter.total, counter.before), (Total::Whole(Decimal::from(24)), Total::Fell));
}

/// Until the reading of the full hour may have come, the hour before is not over.
#[test]
fn a_full_hour_ends_with_its_reading() {
    let folder = tempfile::tempdir().unwrap();
    let key = MeterKey::new("", None);
    let history = History::start(Some(folder.path().join("history.db")), &now());
    let reader = history.reader();
    let end: ZonedDateTime = "2026-11-24T09:00:00+01:00[Europe/Copenhagen]".parse().unwrap();
    for hours in (1..60).rev() {
        let time = end.checked_sub(hours.hours()).unwrap().timestamp();
        history.note(&key, time, &[noted("energy", Decimal::from(1000 - hours), "kWh", true)]);
    }
    history.close();
    let total = |seconds: i64| {
        let now = end.checked_add(seconds.seconds()).unwrap();
        read_one(&reader, &key, Range::Day, &now).unwrap().counter.unwrap().total
    };
    assert_eq!(total(1), Total::Whole(Decimal::from(24)));
    assert!(matches!(total(60), Total::Part { .. }));
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
    let counter = read_one(&reader, &key, Range::Day, &now()).unwrap().counter.unwrap();
    assert_eq!((&*counter.parameter, &*counter.unit), ("volume", "m³"));
    let hours: Vec<_> = counter.bars.iter().filter_map(|hour| hour.used).collect();
    assert_eq!(hours, [3, 5, 1].map(|digits| Decimal::new(digits, 3)));
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
        let memory = read_one(&reader, &key, Range::Week, now).unwrap();
        memory.counter.map(|counter| counter.parameter)
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
    let look = async |now: &ZonedDateTime, range| {
        cache.look(&site, now, range, PageNumber::default()).await.meters
    };
    let first = look(&now(), Range::Day).await;
    assert_eq!(first.len(), 1);
    assert!(Arc::ptr_eq(&first, &look(&now(), Range::Day).await));
    let year = look(&now(), Range::Year).await;
    assert!(!Arc::ptr_eq(&first, &year));
    // Both are known, whoever looks next.
    assert!(Arc::ptr_eq(&first, &look(&now(), Range::Day).await));
    assert!(Arc::ptr_eq(&year, &look(&now(), Range::Year).await));
    board.meter(0, |meter| {
        let at = Instant::now();
        meter.last = Some(LastPoll { at, answered: true, trouble: None });
    });
    let second = look(&now(), Range::Day).await;
    assert!(!Arc::ptr_eq(&first, &second));
    let later = now().checked_add(10.seconds()).unwrap();
    assert!(!Arc::ptr_eq(&second, &look(&later, Range::Day).await));
}

#[tokio::test]
async fn without_a_history_nothing_is_drawn() {
    let site = PageState { clock: now, ..empty() };
    let cache = Cache::new(BlockingJobs::readings());
    assert!(cache.look(&site, &now(), Range::Day, PageNumber::default()).await.meters.is_empty());
}

/// Readings are kept, and pages and answers are made of them, whatever time the clock says.
#[tokio::test]
async fn what_is_drawn_at_the_end_of_the_calendar() {
    use crate::language::Language;
    use crate::status::{LastPoll, LineQuality, MeterState};
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
        loop {
            let memory = read_one(&reader, &key, Range::Day, &now).unwrap();
            let points = memory.power.as_ref().map(|power| power.points.len());
            if points.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
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
        for range in Range::ALL {
            let memory = read_one(&reader, &key, range, &now).unwrap();
            let look = PageInput {
                is_locked: false,
                in_container: false,
                port_lines: None,
                language: Language::accepted(None),
                level: tracing::Level::TRACE,
                ports: Vec::new(),
                page: PageNumber::default(),
                memories: Memories::new(range, vec![(0, memory)]),
                now: now.clone(),
            };
            assert!(page::render(&board, look).unwrap().contains("</html>"), "{now}");
        }
        for range in [(Timestamp::MIN, Timestamp::MAX), (now.timestamp(), now.timestamp())] {
            reader.snapshot().unwrap().readings(&key, "power", range).unwrap();
            reader.snapshot().unwrap().hours(&key, "power", range).unwrap();
            reader.snapshot().unwrap().days(&key, "power", range).unwrap();
        }
        history.close();
    }
}

/// All meters were read for each page.
#[tokio::test]
async fn only_the_meters_of_the_page_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::start(Some(folder.path().join("history.db")), &now());
    let (reader, board) = (history.reader(), Board::default());
    let interval = Duration::from_secs(300);
    let key = |number: usize| MeterKey::new(&format!("m{number}"), None);
    let meter = |number| {
        let meter = MeterState::new("a".to_owned(), "b".to_owned(), interval);
        (number, MeterState { key: Some(key(number)), ..meter })
    };
    board.set_meters((0..30).map(meter).collect());
    for number in 0..30 {
        let power = noted("power", Decimal::from(number), "W", false);
        for ago in [2, 1] {
            let time = now().checked_sub(ago.minutes()).unwrap().timestamp();
            history.note(&key(number), time, std::slice::from_ref(&power));
        }
    }
    history.close();
    let site = PageState { board, history: Some(reader), clock: now, ..empty() };
    let cache = Cache::new(BlockingJobs::readings());
    let numbers = async |page: &str| -> Vec<usize> {
        let page = PageNumber::by_key(page).unwrap();
        let memories = cache.look(&site, &now(), Range::Day, page).await;
        memories.meters.iter().map(|(number, _)| *number).collect()
    };
    assert_eq!(numbers("1").await, (0..10).collect::<Vec<_>>());
    assert_eq!(numbers("3").await, (20..30).collect::<Vec<_>>());
    assert_eq!(numbers("99").await, (20..30).collect::<Vec<_>>());
}

/// One of 500 meters is polled all the time. Their charts would be read again for each page.
#[tokio::test(start_paused = true)]
async fn the_charts_of_many_meters_rest() {
    let start = Instant::now();
    let moment = |numbers: &[usize], seconds: u64| Moment {
        polled: numbers
            .iter()
            .map(|number| (*number, start.checked_add(Duration::from_secs(seconds))))
            .collect(),
        step: 0,
    };
    let rests_until = start.checked_add(Duration::from_secs(20));
    let known = |rests_until| Known {
        moment: moment(&[0, 1], 0),
        rests_until,
        memories: Memories::default(),
    };
    assert!(known(rests_until).rests(&moment(&[0, 1], 5)));
    assert!(!known(rests_until).rests(&moment(&[10, 11], 0)), "another page");
    assert!(!known(None).rests(&moment(&[0, 1], 5)), "as many as a page has");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(!known(rests_until).rests(&moment(&[0, 1], 5)));
}
