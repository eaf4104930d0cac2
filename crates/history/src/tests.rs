use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use proptest::prelude::*;
use rusqlite::Connection;
use rust_decimal::Decimal;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::calendar::{Calendar, HOUR, MINUTE, Millis, Span, timestamp};
use crate::limits::{DAYS, HOURS, PER_HOUR, ROWS_PER_STEP, SERIALS, SERIES_PER_STEP};
use crate::store::{Location, Store, View};

const COPENHAGEN: &str = "Europe/Copenhagen";

fn calendar() -> Calendar {
    Calendar::new(TimeZone::get(COPENHAGEN).unwrap())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn now() -> ZonedDateTime {
    at("2026-11-24T10:00:00Z").in_tz(COPENHAGEN).unwrap()
}

fn unnamed() -> MeterKey {
    MeterKey::new("", None)
}

fn meter(name: &str, serial: impl Into<Option<u32>>) -> MeterKey {
    MeterKey::new(name, serial.into())
}

fn energy(value: &str) -> Sample {
    Sample {
        parameter: "energy".to_owned(),
        value: value.parse().unwrap(),
        unit: Some("kWh".to_owned()),
        is_counter: true,
    }
}

fn power(value: &str) -> Sample {
    let unit = Some("W".to_owned());
    Sample { parameter: "power".to_owned(), unit, is_counter: false, ..energy(value) }
}

/// A database with a reader.
struct Bench {
    location: Location,
    store: Store,
    reader: Reader,
}

impl Bench {
    fn new(location: Location) -> Self {
        let (_, error) = watch::channel(None);
        let reader = Reader::new(location.clone(), calendar(), error);
        Self { store: Store::open(&location, calendar()).unwrap(), location, reader }
    }

    fn in_memory() -> Self {
        Self::new(Location::memory())
    }

    fn reopened(self) -> Self {
        let Self { location, store, .. } = self;
        drop(store);
        Self::new(location)
    }

    fn write(&mut self, meter: &MeterKey, time: Timestamp, values: &[Sample]) {
        self.store.write(meter, time.as_millisecond(), values, &[]).unwrap();
    }

    /// Writes, and folds what is over.
    fn note(&mut self, meter: &MeterKey, time: Timestamp, values: &[Sample]) {
        self.write(meter, time, values);
        while self.store.is_folding() {
            self.store.step().unwrap();
        }
    }

    /// Notes `energy` every `minutes` between two times, one more each time.
    fn count(&mut self, from: &str, to: &str, minutes: i64) {
        let mut time = at(from);
        while time <= at(to) {
            let counted = time.as_millisecond() / MINUTE / minutes;
            self.note(&unnamed(), time, &[energy(&counted.to_string())]);
            time = timestamp(time.as_millisecond() + minutes * MINUTE);
        }
    }

    fn by_hour(&self, day: &str, now: &str) -> Vec<Consumption> {
        self.reader
            .snapshot()
            .unwrap()
            .used_by_hour(&unnamed(), "energy", date(day), at(now))
            .unwrap()
    }

    fn by_day(&self, last: &str, days: u32, now: &str) -> Vec<Consumption> {
        self.reader
            .snapshot()
            .unwrap()
            .used_by_day(&unnamed(), "energy", date(last), days, at(now))
            .unwrap()
    }
}

fn numbers(used: &[Consumption]) -> Vec<String> {
    let text =
        |used: &Consumption| used.used.map_or("not known".to_owned(), |used| used.to_string());
    used.iter().map(text).collect()
}

#[test]
fn every_hour_is_counted_on_days_when_the_clock_changes() {
    for (day, from, to, hours, total) in [
        ("2026-03-29", "2026-03-28T20:00:03Z", "2026-03-30T04:00:03Z", 23, "276"),
        ("2026-10-25", "2026-10-24T20:00:03Z", "2026-10-26T04:00:03Z", 25, "300"),
        ("2026-11-24", "2026-11-23T20:00:03Z", "2026-11-25T04:00:03Z", 24, "288"),
    ] {
        let mut bench = Bench::in_memory();
        bench.count(from, to, 5);
        let used = bench.by_hour(day, to);
        assert_eq!(numbers(&used), vec!["12"; hours], "{day}");
        assert!(used.iter().all(|used| !used.so_far));
        assert!(used.windows(2).all(|pair| pair[0].end == pair[1].start));
        let days = bench.by_day(day, 1, to);
        assert_eq!(numbers(&days), [total], "{day}");
        assert_eq!((days[0].start, days[0].end), (used[0].start, used[hours - 1].end));
    }
}

#[test]
fn consumption_is_not_known_in_a_gap_and_is_known_after_it() {
    let mut bench = Bench::in_memory();
    bench.count("2026-11-23T06:00:02Z", "2026-11-24T08:30:02Z", 5);
    bench.count("2026-11-24T10:20:02Z", "2026-11-24T14:10:02Z", 5);
    let used = bench.by_hour("2026-11-24", "2026-11-24T14:10:30Z");
    let mut expected = vec!["12"; 9];
    // Nothing was read from 9:30 to 11:20, and the hour of 15:00 is not over.
    expected.extend(["not known", "not known", "not known", "12", "12", "12", "2"]);
    assert_eq!(numbers(&used), expected);
    assert!(used.last().unwrap().so_far);
    assert_eq!(used.iter().filter(|used| used.so_far).count(), 1);
    let days = bench.by_day("2026-11-24", 3, "2026-11-24T14:10:30Z");
    assert_eq!(numbers(&days), ["not known", "not known", "182"]);
    assert!(days[2].so_far && !days[1].so_far);
}

#[test]
fn months_are_as_long_as_they_are() {
    let mut bench = Bench::in_memory();
    // One each hour, also when the clock changes: in October there are 745.
    bench.count("2026-09-29T22:00:02Z", "2026-11-24T08:00:02Z", 60);
    let now = "2026-11-24T08:30:00Z";
    let used = |months| {
        let last = date("2026-11-24");
        bench
            .reader
            .snapshot()
            .unwrap()
            .used_by_month(&unnamed(), "energy", last, months, at(now))
            .unwrap()
    };
    let months = used(3);
    assert_eq!(numbers(&months), ["not known", "745", "561"]);
    assert_eq!(months[1].start, at("2026-09-30T22:00:00Z"));
    assert_eq!(months[1].end, at("2026-10-31T23:00:00Z"));
    assert!(months[2].so_far && !months[1].so_far);
    assert_eq!(used(u32::MAX).len(), 120);
}

#[test]
fn a_month_after_one_in_which_the_counter_fell_is_known() {
    let mut bench = Bench::in_memory();
    for (day, value) in [
        ("08-31", "900"),
        ("09-30", "1000"),
        // Another meter, whose counter is at more in the end.
        ("10-10", "1500"),
        ("10-11", "1200"),
        ("10-31", "1600"),
        ("11-30", "1700"),
    ] {
        bench.note(&unnamed(), at(&format!("2026-{day}T22:58:00Z")), &[energy(value)]);
        bench.note(&unnamed(), at(&format!("2026-{day}T21:58:00Z")), &[energy(value)]);
    }
    let (last, now) = (date("2026-11-30"), at("2026-12-02T00:00:00Z"));
    let used =
        bench.reader.snapshot().unwrap().used_by_month(&unnamed(), "energy", last, 3, now).unwrap();
    assert_eq!(numbers(&used), ["100", "not known", "100"]);
}

/// Of 23 or 25 hours, of days of the summaries of hours, and of years.
#[test]
fn a_total_is_of_the_time_between_its_ends() {
    let mut bench = Bench::in_memory();
    // One each hour, with gaps between the ends.
    for (from, to) in [
        ("2026-03-01T00", "2026-03-02T23"),
        ("2026-03-28T22", "2026-03-31T22"),
        ("2026-10-24T21", "2026-10-25T23"),
        ("2026-10-31T22", "2026-10-31T23"),
        ("2026-11-24T06", "2026-11-24T08"),
    ] {
        bench.count(&format!("{from}:00:02Z"), &format!("{to}:00:02Z"), 60);
    }
    let total = |from: &str, to: &str| {
        bench.reader.snapshot().unwrap().total(&unnamed(), "energy", (at(from), at(to))).unwrap()
    };
    let whole = |used: i64| Total::Whole(Decimal::from(used));
    assert_eq!(total("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), whole(23));
    assert_eq!(total("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), whole(25));
    assert_eq!(total("2026-11-24T07:00:00Z", "2026-11-24T08:00:00Z"), whole(1));
    // By days: the clock goes forward and back.
    let (april, november) = ("2026-03-31T22:00:00Z", "2026-10-31T23:00:00Z");
    assert_eq!(total(april, november), whole(214 * 24 + 1));
    let (since, until) = (at("2026-03-01T00:00:02Z"), at("2026-03-02T23:00:00Z"));
    let used = Decimal::from(47);
    let part = Total::Part { since, until, used };
    assert_eq!(total("2026-02-28T23:00:00Z", "2026-03-02T23:00:00Z"), part);
    assert_eq!(total("2025-11-24T23:00:00Z", "2025-11-30T23:00:00Z"), Total::Unknown);
    assert_eq!(total("2025-11-24T23:00:00Z", "2026-02-24T23:00:00Z"), Total::Unknown);
    for time in testing::times() {
        let now = time.timestamp();
        for range in [(Timestamp::MIN, now), (now, Timestamp::MAX), (now, now)] {
            bench.reader.snapshot().unwrap().total(&unnamed(), "energy", range).unwrap();
        }
    }
}

/// A meter that takes the place of another one has totals of its own.
#[test]
fn a_total_is_of_one_meter() {
    let mut bench = Bench::in_memory();
    let (old, new) = (meter("house", 1), meter("house", 2));
    for (hour, key, value) in
        [(7, &old, "100"), (8, &old, "103"), (9, &new, "500"), (10, &new, "507")]
    {
        bench.note(key, at(&format!("2026-11-24T{hour:02}:55:00Z")), &[energy(value)]);
    }
    let (from, to) = (at("2026-11-24T08:00:00Z"), at("2026-11-24T11:00:00Z"));
    let total = |key| bench.reader.snapshot().unwrap().total(key, "energy", (from, to)).unwrap();
    let part = |since: &str, until: &str, used: i64| {
        let [since, until] = [since, until].map(|time| at(&format!("2026-11-24T{time}:00Z")));
        Total::Part { since, until, used: Decimal::from(used) }
    };
    assert_eq!(total(&old), part("08:00", "08:55", 3));
    assert_eq!(total(&new), part("09:55", "11:00", 7));
}

#[test]
fn hourly_readings_at_the_full_hour_are_enough() {
    let mut bench = Bench::in_memory();
    bench.count("2026-11-22T20:00:02Z", "2026-11-24T08:00:02Z", 60);
    let used = bench.by_hour("2026-11-24", "2026-11-24T08:59:00Z");
    assert_eq!(numbers(&used)[..9], ["1"; 9]);
    assert_eq!(numbers(&bench.by_day("2026-11-23", 1, "2026-11-24T08:59:00Z")), ["24"]);
}

#[test]
fn consumption_is_not_known_when_the_counter_is_reset() {
    let mut bench = Bench::in_memory();
    for (time, value) in [
        ("08:55", "100.0"),
        ("09:30", "100.5"),
        ("09:55", "101.0"),
        ("10:30", "0.0"),
        ("10:55", "0.3"),
        ("11:55", "0.8"),
        ("12:55", "1.8"),
    ] {
        bench.note(&unnamed(), at(&format!("2026-11-24T{time}:00Z")), &[energy(value)]);
    }
    let used = numbers(&bench.by_hour("2026-11-24", "2026-11-24T12:59:00Z"));
    assert_eq!(used[10..], ["1.0", "not known", "0.5", "1.0"]);
}

#[test]
fn another_serial_number_is_another_meter() {
    let mut bench = Bench::in_memory();
    let (old, new, unknown) = (meter("house", 1), meter("house", 2), meter("house", None));
    // The serial number is known only from the second poll on.
    bench.note(&unknown, at("2026-11-24T08:55:00Z"), &[energy("100")]);
    bench.note(&old, at("2026-11-24T09:55:00Z"), &[energy("103")]);
    bench.note(&new, at("2026-11-24T10:55:00Z"), &[energy("500")]);
    bench.note(&unknown, at("2026-11-24T11:55:00Z"), &[energy("507")]);
    let used = |key: &MeterKey| {
        let now = at("2026-11-24T11:59:00Z");
        numbers(
            &bench
                .reader
                .snapshot()
                .unwrap()
                .used_by_hour(key, "energy", date("2026-11-24"), now)
                .unwrap(),
        )
    };
    assert_eq!(used(&old)[10..], ["3", "not known", "not known"]);
    // A meter without a serial number is not one of the known meters.
    for key in [&new, &unknown] {
        assert_eq!(used(key)[10..], ["not known", "not known", "not known"]);
    }
    // The first meter is installed again.
    bench.note(&old, at("2026-11-24T12:55:00Z"), &[energy("104")]);
    let points = |key: &MeterKey| {
        let now = at("2026-11-24T13:00:00Z");
        bench.reader.snapshot().unwrap().last_day(key, "energy", now, 100).unwrap().len()
    };
    assert_eq!([points(&old), points(&new), points(&unknown)], [3, 1, 3]);
    assert_eq!(points(&meter("garage", 1)), 0);
    assert_eq!(points(&meter("house", 3)), 0);
}

/// A device that sent another number in each poll added series to each poll, for ten years.
#[test]
fn the_serial_numbers_of_a_meter_are_bounded() {
    let folder = TempDir::new().unwrap();
    let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
    let begun = at("2026-11-24T00:00:00Z");
    let mut polls = (0..).map(|number| begun + Duration::from_secs(60 * number));
    let mut write = |bench: &mut Bench, name: &str, serial: u32, value: &str| {
        bench.write(&meter(name, serial), polls.next().unwrap(), &[energy(value), power("1")]);
    };
    write(&mut bench, "garage", 1, "1");
    for serial in 1..500 {
        write(&mut bench, "house", serial, "7");
    }
    let most = i64::from(SERIALS) + 1;
    assert_eq!((rows(&bench, "meter"), rows(&bench, "series")), (most, 2 * most));
    // Known ones are still stored, and those of other meters.
    let before = rows(&bench, "reading");
    write(&mut bench, "house", 500, "8");
    assert_eq!(rows(&bench, "reading"), before);
    write(&mut bench, "house", 1, "9");
    write(&mut bench, "garage", 2, "10");
    assert_eq!(rows(&bench, "reading"), before + 4);
}

#[test]
fn another_unit_is_another_series() {
    let mut bench = Bench::in_memory();
    let gigajoules = Sample { unit: Some("GJ".to_owned()), ..energy("1.23") };
    bench.note(&unnamed(), at("2026-11-24T08:55:00Z"), &[energy("341.7")]);
    bench.note(&unnamed(), at("2026-11-24T09:00:00Z"), &[gigajoules, power("6400")]);
    let now = at("2026-11-24T09:00:00Z");
    let last_day = |bench: &Bench| {
        let points =
            bench.reader.snapshot().unwrap().last_day(&unnamed(), "energy", now, 100).unwrap();
        points.iter().map(|point| point.value.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(last_day(&bench), ["1.23"]);
    let kept = bench.reader.snapshot().unwrap().series(&unnamed()).unwrap();
    let shown: Vec<_> =
        kept.iter().map(|kept| (&*kept.parameter, kept.unit.as_deref(), kept.is_counter)).collect();
    assert_eq!(shown, [("energy", Some("GJ"), true), ("power", Some("W"), false)]);
    // Back to the first unit.
    bench.note(&unnamed(), at("2026-11-24T09:00:00Z"), &[energy("341.9")]);
    assert_eq!(last_day(&bench), ["341.7", "341.9"]);
}

#[test]
fn numbers_keep_every_digit() {
    let mut bench = Bench::in_memory();
    let time = at("2026-11-24T08:55:00Z");
    for value in ["79228162514264337593543950335", "-0.0000000000000000000000000001", "6.90", "0"] {
        bench.note(&unnamed(), time, &[power(value)]);
        let points =
            bench.reader.snapshot().unwrap().last_day(&unnamed(), "power", time, 4).unwrap();
        assert_eq!(points.iter().map(|point| point.value.to_string()).collect::<Vec<_>>(), [value]);
    }
}

#[test]
fn an_hour_with_many_readings_is_thinned_when_it_is_over() {
    let mut bench = Bench::in_memory();
    let start = at("2026-11-24T09:01:00Z").as_millisecond();
    let mut all = 0;
    for step in 0..1_200 {
        let value = if step == 777 { "9999" } else { "100" };
        bench.note(&unnamed(), timestamp(start + step * 1_500), &[power(value)]);
        all += 1;
    }
    let range = (at("2026-11-24T09:00:00Z"), at("2026-11-24T10:00:00Z"));
    let kept = |bench: &Bench| {
        bench.reader.snapshot().unwrap().readings(&unnamed(), "power", range).unwrap()
    };
    assert_eq!(kept(&bench).len(), all);
    bench.note(&unnamed(), at("2026-11-24T10:01:00Z"), &[power("100")]);
    let kept = kept(&bench);
    assert!(kept.len() <= PER_HOUR && kept.len() > PER_HOUR / 3, "{}", kept.len());
    assert!(kept.iter().any(|point| point.value == Decimal::from(9_999)));
    let hours = bench.reader.snapshot().unwrap().hours(&unnamed(), "power", range).unwrap();
    assert_eq!(hours[0].1.count, 1_200);
    assert_eq!(hours[0].1.mean().unwrap().to_string(), "108.2");
    let last_day = |most| {
        let now = at("2026-11-24T10:02:00Z");
        bench.reader.snapshot().unwrap().last_day(&unnamed(), "power", now, most).unwrap()
    };
    assert!(last_day(50).len() <= 50);
    assert!(last_day(50).iter().any(|point| point.value == Decimal::from(9_999)));
}

/// 1,197 values of 171 meters, each read so often in an hour, every two minutes. Then the first
/// poll of the next hour.
fn full_hour(bench: &mut Bench, readings: i64) {
    let values: Vec<_> =
        (0..7).map(|index| Sample { parameter: index.to_string(), ..power("7") }).collect();
    let start = at("2026-11-24T09:01:30Z").as_millisecond();
    for minute in 0..readings {
        for number in 0..171 {
            let time = timestamp(start + minute * 2 * MINUTE + number);
            bench.write(&meter(&number.to_string(), None), time, &values);
        }
    }
    assert!(!bench.store.is_folding());
    bench.write(&unnamed(), at("2026-11-24T10:01:00Z"), &[energy("1")]);
}

/// It was folded in one step, in the transaction of the poll that ended it: with 500 meters, all
/// 210,000 readings of the hour were in memory, and polls waited for seconds.
#[test]
fn an_hour_of_many_meters_is_folded_in_bounded_steps() {
    let folder = TempDir::new().unwrap();
    let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
    full_hour(&mut bench, 30);
    assert_eq!(rows(&bench, "hour"), 0, "the poll that ends an hour does not wait for it");
    let most = ROWS_PER_STEP.max(SERIES_PER_STEP * 27);
    let mut steps = Vec::new();
    while bench.store.is_folding() {
        let time = at("2026-11-24T10:01:01Z").as_millisecond();
        let time = timestamp(time + i64::try_from(steps.len()).unwrap());
        steps.push(bench.store.step().unwrap());
        // Polls are written meanwhile.
        bench.write(&unnamed(), time, &[energy("1")]);
    }
    assert!(steps.iter().all(|rows| *rows <= most), "{steps:?}");
    assert!(steps.iter().sum::<usize>() > 171 * 7 * 30, "{steps:?}");
    assert_eq!(rows(&bench, "hour"), 171 * 7);
    assert_eq!(rows(&bench, "day"), 171 * 7);
    let range = (at("2026-11-24T08:00:00Z"), at("2026-11-24T10:00:00Z"));
    let snapshot = bench.reader.snapshot().unwrap();
    for number in ["0", "99", "170"] {
        let hours = snapshot.hours(&meter(number, None), "3", range).unwrap();
        assert_eq!(hours.iter().map(|(_, hour)| hour.count).collect::<Vec<_>>(), [30]);
    }
}

/// Each hour is either folded, or its readings are summed up on reading, whatever step was last.
#[test]
fn an_hour_that_was_folded_in_part_is_folded_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut bench = Bench::new(Location::File(path.clone()));
    full_hour(&mut bench, 6);
    let day = (at("2026-11-23T00:00:00Z"), at("2026-11-25T00:00:00Z"));
    let counts = |bench: &Bench| -> Vec<u32> {
        let snapshot = bench.reader.snapshot().unwrap();
        let all = (0..171).step_by(10).flat_map(|number| {
            let key = meter(&number.to_string(), None);
            let hours = snapshot.hours(&key, "6", day).unwrap();
            hours.into_iter().chain(snapshot.days(&key, "6", day).unwrap())
        });
        all.map(|(_, summary)| summary.count).collect()
    };
    let mut kills = 0;
    while bench.store.is_folding() {
        bench.store.step().unwrap();
        assert_eq!(counts(&bench), [6; 36]);
        // Each copy is what a kill leaves here.
        let copy = folder.path().join("copy.db");
        for suffix in ["", "-wal"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            fs::copy(name(&path), name(&copy)).unwrap();
        }
        let mut killed = Bench::new(Location::File(copy.clone()));
        killed.note(&unnamed(), at("2026-11-24T10:30:00Z"), &[energy("2")]);
        assert_eq!(rows(&killed, "hour"), 171 * 7, "after step {kills}");
        assert_eq!(counts(&killed), [6; 36]);
        drop(killed);
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", copy.display()));
        }
        kills += 1;
    }
    assert!(kills > 10, "{kills}");
}

/// With many meters, polls of the full hour end in another order than they arrive. The hour that
/// has just begun was then folded at once, and its later readings were missing in the charts.
#[test]
fn a_late_poll_does_not_end_the_hour_that_has_begun() {
    let folder = TempDir::new().unwrap();
    let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
    for (time, number) in [("10:00:30", 1), ("10:01:00.2", 1), ("10:00:59.9", 2), ("10:01:02", 3)] {
        let time = at(&format!("2026-11-24T{time}Z"));
        bench.note(&meter(&format!("m{number}"), None), time, &[energy("1")]);
    }
    bench.note(&meter("m1", None), at("2026-11-24T10:02:00Z"), &[energy("2")]);
    // Both meters have a row for the hour that is over, and the hour that has begun has none.
    assert_eq!(rows(&bench, "hour"), 2);
    let range = (at("2026-11-24T10:00:00Z"), at("2026-11-24T11:00:00Z"));
    let hours = bench.reader.snapshot().unwrap().hours(&meter("m1", None), "energy", range);
    assert_eq!(hours.unwrap()[0].1.count, 2);
}

#[test]
fn reading_ends_when_nobody_waits_for_it() {
    let mut bench = Bench::in_memory();
    bench.count("2026-11-20T06:00:00Z", "2026-11-24T06:00:00Z", 1);
    let (stop, range) = (Stop::default(), (Timestamp::UNIX_EPOCH, at("2026-11-24T06:00:00Z")));
    let snapshot = bench.reader.snapshot_of(&[unnamed()], &stop).unwrap();
    assert!(snapshot.readings(&unnamed(), "energy", range).unwrap().len() > 2_000);
    let view = View::open(&bench.location, &[], &stop).unwrap().unwrap();
    stop.stop();
    // Also in the middle of a query.
    let all = Span { start: 0, end: Millis::MAX };
    let interrupted = view.readings(&[1], all).unwrap_err();
    assert_eq!(interrupted.sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
    let now = at("2026-11-24T06:00:00Z");
    for ended in [
        snapshot.readings(&unnamed(), "energy", range).map(drop),
        snapshot.hours(&unnamed(), "energy", range).map(drop),
        snapshot.last_days(&[(&unnamed(), "energy")], now, 9).map(drop),
        snapshot.total(&unnamed(), "energy", range).map(drop),
    ] {
        assert_eq!(ended, Err(HistoryError::Stopped));
    }
    assert_eq!(bench.reader.snapshot().unwrap().series(&unnamed()).unwrap().len(), 1);
}

/// Values that are read together are the same as each on its own.
#[test]
fn values_can_be_read_together() {
    let mut bench = Bench::in_memory();
    full_hour(&mut bench, 30);
    let keys = [meter("3", None), meter("170", None), meter("none", None)];
    let now = at("2026-11-24T10:05:00Z");
    let alone = bench.reader.snapshot().unwrap();
    let together = bench.reader.snapshot_of(&keys, &Stop::default()).unwrap();
    let values: Vec<_> = keys.iter().flat_map(|key| [(key, "2"), (key, "x"), (key, "5")]).collect();
    let all = together.last_days(&values, now, 20).unwrap();
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [16, 0, 16, 16, 0, 16, 0, 0, 0]);
    for ((key, parameter), points) in values.into_iter().zip(all) {
        assert_eq!(alone.last_day(key, parameter, now, 20).unwrap(), points);
        let range = (at("2026-11-24T00:00:00Z"), now);
        let hours = |snapshot: &Snapshot| snapshot.hours(key, parameter, range).unwrap();
        assert_eq!(hours(&alone), hours(&together));
    }
}

fn rows(bench: &Bench, table: &str) -> i64 {
    let connection = match &bench.location {
        Location::File(path) => Connection::open(path).unwrap(),
        Location::Memory(_) => panic!("a file"),
    };
    connection.query_one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn no_table_exceeds_its_limit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut bench = Bench::new(Location::File(path.clone()));
    bench.note(&unnamed(), at("2026-11-24T08:55:00Z"), &[energy("100")]);
    // An older meter that has not been read for a long time.
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO meter VALUES (7, 'gone', NULL, 1);
             INSERT INTO series VALUES (7, 7, 'energy', 'kWh', 1, 1);
             INSERT INTO day VALUES (0, 7, 0, '1', '1', '1', '1', 1);
             INSERT INTO usage VALUES (7, 0, 1, 0, 1, 1, 1, 1);
             INSERT INTO meter VALUES (8, 'dates only', NULL, 1);
             INSERT INTO usage VALUES (8, 1763938800000, 1, 0, 1, 1, 1, 1);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO hour SELECT 1700000000000 + i * 3600000, 1, 0, '1', '1', '1', '1', 1 FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
             INSERT INTO day SELECT 1000000000000 + i * 86400000, 1, 0, '1', '1', '1', '1', 1 FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO reading SELECT 1700000000000 + i * 600000, 1, '1' FROM n;",
        )
        .unwrap();
    drop(connection);
    bench.note(&unnamed(), at("2026-11-24T09:55:00Z"), &[energy("101")]);
    assert_eq!(rows(&bench, "hour"), i64::from(HOURS));
    assert_eq!(rows(&bench, "day"), i64::from(DAYS));
    assert_eq!((rows(&bench, "meter"), rows(&bench, "usage")), (2, 1));
    assert_eq!(rows(&bench, "series"), 1);
    // The 49th newest hour is in 2024, after the last of the inserted readings.
    assert_eq!(rows(&bench, "reading"), 2);
}

#[test]
fn a_wrong_clock_costs_only_the_rows_of_that_time() {
    let mut bench = Bench::in_memory();
    bench.count("2026-11-24T06:00:02Z", "2026-11-24T09:30:02Z", 5);
    for wrong in ["1970-01-01T00:00:10Z", "2099-01-01T00:00:10Z"] {
        bench.note(&unnamed(), at(wrong), &[energy("29000000")]);
    }
    bench.count("2026-11-24T09:35:02Z", "2026-11-24T11:00:02Z", 5);
    let used = numbers(&bench.by_hour("2026-11-24", "2026-11-24T11:02:00Z"));
    assert_eq!(used[8..12], ["12"; 4]);
}

/// Fills a table with `number` summaries of the future, `every` apart, as if the clock had been
/// wrong.
fn future(bench: &Bench, table: &str, number: u32, every: Millis) {
    let Location::File(path) = &bench.location else { panic!("a file") };
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
         INSERT INTO {table} SELECT 4070908800000 + i * {every}, 1, 0, '1', '1', '1', '1', 1 FROM n"
    );
    Connection::open(path).unwrap().execute_batch(&sql).unwrap();
}

/// The readings in the hours and in the days of a span.
fn counted(bench: &Bench, from: &str, to: &str) -> [u32; 2] {
    let (snapshot, range) = (bench.reader.snapshot().unwrap(), (at(from), at(to)));
    let count = |all: Vec<(Timestamp, Summary)>| all.iter().map(|(_, one)| one.count).sum();
    [
        count(snapshot.hours(&unnamed(), "energy", range).unwrap()),
        count(snapshot.days(&unnamed(), "energy", range).unwrap()),
    ]
}

/// The clock was wrong for two days, and then corrected. From then on, an interval of an hour
/// stored nothing. With one of 5 minutes, each hour lost its first readings.
#[test]
fn no_reading_is_deleted_before_it_is_folded() {
    for (hours, minutes, left) in [1, 48, 49, 60]
        .into_iter()
        .flat_map(|hours| [5, 60].map(|minutes| (hours, minutes)))
        .flat_map(|(hours, minutes)| [0, 1, 4].map(|left| (hours, minutes, left)))
    {
        let what = format!("{hours} hours of the future, every {minutes} min, {left} hours left");
        let folder = TempDir::new().unwrap();
        let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
        let start = at("2026-11-24T20:01:02Z").as_millisecond();
        bench.note(&unnamed(), timestamp(start), &[energy("0")]);
        future(&bench, "hour", hours, HOUR);
        // A run that is killed before it folds `left` hours.
        let mut number = 0;
        while number * minutes <= left * 60 {
            let time = timestamp(start + number * minutes * MINUTE);
            bench.write(&unnamed(), time, &[energy(&number.to_string())]);
            number += 1;
        }
        bench = bench.reopened();
        while number * minutes <= 12 * 60 {
            let time = timestamp(start + number * minutes * MINUTE);
            bench.note(&unnamed(), time, &[energy(&number.to_string())]);
            number += 1;
            let all = u32::try_from(number).unwrap();
            let found = counted(&bench, "2026-11-23T23:00:00Z", "2026-11-26T00:00:00Z");
            assert_eq!(found, [all, all], "{what}, at {time}");
        }
        let recent = (timestamp(start + 12 * HOUR - MINUTE), timestamp(start + 13 * HOUR));
        let snapshot = bench.reader.snapshot().unwrap();
        assert_eq!(snapshot.readings(&unnamed(), "energy", recent).unwrap().len(), 1, "{what}");
    }
}

/// The hours of a day must remain until the day is over, and so must the day.
#[test]
fn no_hour_or_day_is_deleted_before_its_day_is_over() {
    for (table, number, every) in [("hour", HOURS, HOUR), ("day", DAYS, 24 * HOUR)] {
        let folder = TempDir::new().unwrap();
        let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
        bench.count("2026-11-24T21:01:02Z", "2026-11-24T21:01:02Z", 60);
        future(&bench, table, number, every);
        bench.count("2026-11-24T22:01:02Z", "2026-11-25T08:01:02Z", 60);
        // Of today: 0:01 to 9:01.
        let found = counted(&bench, "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z");
        assert_eq!(found, [10, 10], "{table}");
        // The day that is over is one too many.
        let found = counted(&bench, "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z");
        let expected = if table == "hour" { [0, 2] } else { [2, 0] };
        assert_eq!(found, expected, "{table}");
    }
}

/// Polls are written between the steps that delete. They may be late, or the clock may be set back.
#[test]
fn a_poll_that_is_written_while_old_rows_are_deleted_is_kept() {
    for (time, number) in [("10:00:59", 2), ("04:30:00", 1)] {
        let folder = TempDir::new().unwrap();
        let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
        bench.note(&unnamed(), at("2026-11-24T09:55:00Z"), &[energy("1")]);
        future(&bench, "hour", 60, HOUR);
        let Location::File(path) = &bench.location else { panic!("a file") };
        Connection::open(path)
            .unwrap()
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
                 INSERT INTO reading SELECT 1700000000000 + i * 1000, 1, '1' FROM n;",
            )
            .unwrap();
        bench.write(&unnamed(), at("2026-11-24T10:01:00Z"), &[energy("2")]);
        while bench.store.step().unwrap() < ROWS_PER_STEP {}
        bench.note(&unnamed(), at(&format!("2026-11-24T{time}Z")), &[energy("3")]);
        assert_eq!(rows(&bench, "reading"), 3, "{time}");
        bench.note(&unnamed(), at("2026-11-24T10:02:00Z"), &[energy("4")]);
        let hour = at(&format!("2026-11-24T{time}Z")).as_millisecond() - MINUTE;
        let hour = calendar().hour(hour);
        let range = (timestamp(hour.start), timestamp(hour.end));
        let found = bench.reader.snapshot().unwrap().hours(&unnamed(), "energy", range).unwrap();
        assert_eq!(found[0].1.count, number, "{time}");
        assert_eq!(found[0].1.last.value, Decimal::from(3), "{time}");
    }
}

#[test]
fn hours_of_an_earlier_run_are_folded() {
    let folder = TempDir::new().unwrap();
    let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
    bench.count("2026-11-23T20:00:02Z", "2026-11-24T09:30:02Z", 5);
    let hours = rows(&bench, "hour");
    let mut bench = bench.reopened();
    let before = numbers(&bench.by_hour("2026-11-24", "2026-11-24T09:31:00Z"));
    assert_eq!(before[9..], ["12", "6"]);
    bench.count("2026-11-24T20:00:02Z", "2026-11-24T20:00:02Z", 5);
    assert_eq!(rows(&bench, "hour"), hours + 1);
    let after = numbers(&bench.by_hour("2026-11-24", "2026-11-24T20:01:00Z"));
    assert_eq!(after[9..11], ["12", "not known"]);
}

/// The consumption that the tables must give, computed from all readings.
fn model_used(points: &[(Millis, i64)], start: Millis, end: Millis) -> Option<i64> {
    // A reading belongs to the moment a minute before it, and is valid for 15 minutes.
    let at = |edge: Millis| {
        let last = points.iter().rfind(|(time, _)| time - MINUTE < edge)?;
        (last.0 >= edge - 15 * MINUTE).then_some(last.1)
    };
    let (first, last) = (at(start)?, at(end)?);
    let within = points.iter().filter(|(time, _)| (start..end).contains(&(time - MINUTE)));
    within.clone().all(|(_, value)| (first..=last).contains(value)).then_some(())?;
    within.count().ge(&1).then_some(last - first)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tables_agree_with_all_readings(
        start in prop::sample::select(vec![
            "2026-03-28T15:10:00Z", "2026-10-24T15:20:00Z", "2026-06-01T00:00:00Z",
        ]),
        steps in prop::collection::vec((1_i64..2_000_000, -2_i64..40), 1..250),
        restart: prop::sample::Index,
    ) {
        let folder = TempDir::new().unwrap();
        let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
        let (mut time, mut value) = (at(start).as_millisecond(), 1_000);
        let mut points = Vec::new();
        for (index, (step, more)) in steps.iter().enumerate() {
            time += step;
            // The counter falls now and then.
            value += if *more < 0 { -500 } else { *more };
            points.push((time, value));
            if index == restart.index(steps.len()) {
                bench = bench.reopened();
            }
            bench.note(&unnamed(), timestamp(time), &[energy(&value.to_string())]);
        }
        let (first, last) = (calendar().date(points[0].0), calendar().date(time));
        let now = timestamp(time + 10 * 24 * HOUR);
        let mut dates = vec![first.yesterday().unwrap()];
        dates.extend(first.series(jiff::Span::new().days(1)).take_while(|date| *date <= last));
        let mut hours = BTreeMap::new();
        for date in dates {
            let by_hour = bench.reader.snapshot().unwrap().used_by_hour(&unnamed(), "energy", date, now).unwrap();
            let by_day = bench.reader.snapshot().unwrap().used_by_day(&unnamed(), "energy", date, 1, now).unwrap();
            prop_assert_eq!(by_day.len(), 1);
            for used in by_hour.iter().chain(&by_day) {
                let (start, end) = (used.start.as_millisecond(), used.end.as_millisecond());
                let expected = model_used(&points, start, end).map(Decimal::from);
                prop_assert_eq!(used.used, expected, "{} to {}", used.start, used.end);
            }
            for used in by_hour {
                hours.insert(used.start, used.end);
            }
        }
        let range = (Timestamp::UNIX_EPOCH, now);
        let mut count = 0;
        for (start, summary) in bench.reader.snapshot().unwrap().hours(&unnamed(), "energy", range).unwrap() {
            let span = (start.as_millisecond() + MINUTE)..(hours[&start].as_millisecond() + MINUTE);
            let own: Vec<i64> =
                points.iter().filter(|point| span.contains(&point.0)).map(|point| point.1).collect();
            prop_assert_eq!(summary.low, Decimal::from(*own.iter().min().unwrap()));
            prop_assert_eq!(summary.high, Decimal::from(*own.iter().max().unwrap()));
            prop_assert_eq!(summary.last.value, Decimal::from(*own.last().unwrap()));
            prop_assert_eq!(summary.sum, Some(Decimal::from(own.iter().sum::<i64>())));
            prop_assert_eq!(summary.count as usize, own.len());
            count += own.len();
        }
        prop_assert_eq!(count, points.len(), "each reading is in exactly one hour");
        let days = bench.reader.snapshot().unwrap().days(&unnamed(), "energy", range).unwrap();
        let all: u32 = days.iter().map(|(_, summary)| summary.count).sum();
        prop_assert_eq!(all as usize, points.len(), "and in exactly one day");
    }
}

/// Notes a reading, and waits until it is written.
fn keep(history: History, time: &str, value: &str) -> Option<HistoryError> {
    history.note(&unnamed(), at(time), &[energy(value)]);
    let error = history.error();
    history.close();
    error.borrow().clone()
}

fn values(path: &Path) -> Vec<String> {
    let location = Location::File(path.to_owned());
    let (_, error) = watch::channel(None);
    let reader = Reader::new(location, calendar(), error);
    let range = (Timestamp::UNIX_EPOCH, at("2100-01-01T00:00:00Z"));
    let points = reader.snapshot().unwrap().readings(&unnamed(), "energy", range).unwrap();
    points.iter().map(|point| point.value.to_string()).collect()
}

fn start(path: &Path) -> History {
    History::start(Some(path.to_owned()), &now())
}

#[test]
fn readings_survive_a_restart() {
    let folder = TempDir::new().unwrap();
    // The directory is created.
    let path = folder.path().join("state/kamstrup2mqtt/history.db");
    assert_eq!(keep(start(&path), "2026-11-24T10:00:00Z", "100"), None);
    assert_eq!(keep(start(&path), "2026-11-24T10:05:00Z", "101"), None);
    let names = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut left: Vec<_> =
        path.parent().unwrap().read_dir().unwrap().map(|entry| names(entry.unwrap())).collect();
    left.sort();
    assert_eq!(left, ["history.db", "history.lock"]);
    assert_eq!(values(&path), ["100", "101"]);
}

/// Somebody deletes the file to start anew, or puts an older copy in its place.
#[tokio::test]
async fn a_file_that_is_removed_or_replaced_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let copy = folder.path().join("copy.db");
    assert_eq!(keep(start(&path), "2026-11-23T10:00:00Z", "99"), None);
    fs::copy(&path, &copy).unwrap();
    let history = start(&path);
    // If a reader is in the way, a later poll tries again. Not before the one before was certainly
    // written: otherwise it is written to the next file.
    let stored = async |day: &str, value: &str| {
        let mut time = at(&format!("2026-11-{day}T10:00:00Z"));
        let begun = tokio::time::Instant::now();
        while values(&path).last().is_none_or(|last| last != value) {
            let error = history.error();
            assert!(begun.elapsed() < Duration::from_secs(60), "{value}: {:?}", error.borrow());
            history.note(&unnamed(), time, &[energy(value)]);
            time += Duration::from_secs(60);
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if values(&path).last().is_some_and(|last| last == value) {
                    break;
                }
            }
        }
        values(&path)[0].clone()
    };
    assert_eq!(stored("24", "100").await, "99");
    fs::remove_file(&path).unwrap();
    assert_eq!(stored("25", "101").await, "101");
    fs::rename(&copy, &path).unwrap();
    assert_eq!(stored("26", "102").await, "99");
    history.closed().await;
    let left = values(&path);
    assert!(!left.iter().any(|value| ["100", "101"].contains(&&**value)), "{left:?}");
}

#[tokio::test]
async fn the_last_poll_is_written_before_the_history_is_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let history = start(&path);
    history.note(&unnamed(), at("2026-11-24T10:00:00Z"), &[energy("100")]);
    history.closed().await;
    assert_eq!(values(&path), ["100"]);
}

#[test]
fn without_a_directory_readings_are_kept_in_memory() {
    let (one, other) = (History::start(None, &now()), History::start(None, &now()));
    let (reader, time) = (one.reader(), at("2026-11-24T10:00:00Z"));
    one.note(&unnamed(), time, &[energy("100")]);
    let points = || reader.snapshot()?.last_day(&unnamed(), "energy", time, 4);
    while points().is_ok_and(|points| points.is_empty()) {
        thread::yield_now();
    }
    let points = |history: &History| {
        history.reader().snapshot().unwrap().last_day(&unnamed(), "energy", time, 4).unwrap().len()
    };
    assert_eq!((points(&one), points(&other)), (1, 0));
}

#[test]
fn a_file_is_used_by_only_one_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    assert_eq!(keep(start(&path), "2026-11-24T10:00:00Z", "100"), None);
    let held = Store::open(&Location::File(path.clone()), calendar()).unwrap();
    let history = start(&path);
    let (reader, mut error) = (history.reader(), history.error());
    let in_use = Some(HistoryError::InUse(path.clone()));
    assert_eq!(keep(history, "2026-11-24T10:05:00Z", "101"), in_use);
    assert_eq!(*error.borrow_and_update(), in_use);
    assert!(matches!(reader.snapshot(), Err(HistoryError::InUse(_))));
    drop(held);
    // Polls wait in memory in the meantime.
    let held = Store::open(&Location::File(path.clone()), calendar()).unwrap();
    let history = start(&path);
    let mut error = history.error();
    history.note(&unnamed(), at("2026-11-24T10:05:00Z"), &[energy("101")]);
    while error.borrow_and_update().is_none() {
        thread::yield_now();
    }
    drop(held);
    assert_eq!(keep(history, "2026-11-24T10:10:00Z", "102"), None);
    assert_eq!(values(&path), ["100", "101", "102"]);
}

#[test]
fn a_file_of_a_newer_version_or_another_program_is_not_changed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    keep(start(&path), "2026-11-24T10:00:00Z", "100");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    let before = fs::read(&path).unwrap();
    let found = keep(start(&path), "2026-11-24T10:05:00Z", "101");
    assert_eq!(found, Some(HistoryError::Newer { path: path.clone(), found: 3, known: 2 }));
    assert_eq!(fs::read(&path).unwrap(), before);
    Connection::open(&path).unwrap().pragma_update(None, "application_id", 1).unwrap();
    let before = fs::read(&path).unwrap();
    let found = keep(start(&path), "2026-11-24T10:05:00Z", "101");
    assert_eq!(found, Some(HistoryError::Foreign(path.clone())));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_path_that_cannot_be_created_is_an_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // A file in place of the directory, and a directory in which nothing can be created.
    for path in [file.join("history.db"), "/proc/kamstrup2mqtt/history.db".into()] {
        let found = keep(start(&path), "2026-11-24T10:00:00Z", "100");
        assert!(matches!(found, Some(HistoryError::CannotOpen { .. })), "{path:?}: {found:?}");
    }
}

/// The number of renamed files next to the file.
fn renamed(path: &Path) -> usize {
    let entries = path.parent().unwrap().read_dir().unwrap();
    let is_renamed = |name: &str| name.starts_with("history.db.damaged-2026-11-24");
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.filter(|name| is_renamed(name.to_str().unwrap())).count()
}

#[test]
fn a_damaged_file_is_renamed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut bench = Bench::new(Location::File(path.clone()));
    bench.count("2026-11-22T20:00:02Z", "2026-11-24T09:30:02Z", 5);
    drop(bench);
    let good = fs::read(&path).unwrap();
    let mut noise = vec![0; 9_000];
    fastrand::Rng::with_seed(1).fill(&mut noise);
    let mut header = good.clone();
    header[..16].copy_from_slice(&noise[..16]);
    let mut format = good.clone();
    format[18] = 9;
    let (half, odd) = (&good[..good.len() / 2 / 4_096 * 4_096], &good[..5_000]);
    for (what, bytes) in [
        ("noise", &noise[..]),
        ("a little noise", &noise[..100]),
        ("another header", &header),
        ("an unknown format, which looks like a read-only disk", &format),
        ("half of it", half),
        ("an odd piece", odd),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(keep(start(&path), "2026-11-24T10:00:00Z", "100"), None, "{what}");
        assert_eq!(values(&path), ["100"], "{what}");
        assert_eq!(renamed(&path), 1, "{what}: only the last one is kept");
        assert_eq!(fs::read(path.with_extension("db.damaged-2026-11-24")).unwrap(), bytes);
    }
    // An empty file is not damaged.
    fs::write(&path, "").unwrap();
    fs::remove_file(path.with_extension("db.damaged-2026-11-24")).unwrap();
    assert_eq!(keep(start(&path), "2026-11-24T10:00:00Z", "100"), None);
    assert_eq!((values(&path).len(), renamed(&path)), (1, 0));
}

#[test]
fn readings_are_kept_whatever_is_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut bench = Bench::new(Location::File(path.clone()));
    bench.count("2026-11-22T20:00:02Z", "2026-11-24T09:30:02Z", 5);
    drop(bench);
    let good = fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    let mut replaced = 0;
    for round in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..9) {
            let place = random.usize(..bytes.len());
            bytes[place] = random.u8(..);
        }
        if random.u8(..8) == 0 {
            bytes.truncate(random.usize(..good.len()));
        }
        fs::write(&path, bytes).unwrap();
        let history = start(&path);
        let reader = history.reader();
        let error = keep(history, "2026-11-24T10:00:00Z", "100");
        let is_foreign = |error: &HistoryError| {
            matches!(error, HistoryError::Newer { .. } | HistoryError::Foreign(_))
        };
        if error.as_ref().is_some_and(is_foreign) {
            continue;
        }
        assert_eq!(error, None, "round {round}");
        // Damage that remains, such as a changed time, may hide it from a query by time.
        let sql = "SELECT EXISTS (SELECT 1 FROM reading WHERE value = '100')";
        let file = Connection::open(&path).unwrap();
        assert!(file.query_one(sql, [], |row| row.get::<_, bool>(0)).unwrap(), "round {round}");
        drop(file);
        replaced += usize::from(values(&path).len() == 1);
        for date in [date("2026-11-24"), date("2026-11-23")] {
            // The result does not matter, but it must not panic.
            let _ = reader
                .snapshot()
                .map(|all| all.used_by_hour(&unnamed(), "energy", date, now().timestamp()));
        }
    }
    assert!(replaced > 100, "{replaced} of 300 were recognized as damaged");
}

/// A pipe named `history.lock` stopped the thread that writes: nothing was kept or logged.
#[tokio::test]
async fn what_is_not_a_file_is_reported_and_never_waited_for() {
    let names = ["history.db", "history.lock", "history.db-wal", "history.db-shm"];
    for (name, is_pipe) in names.into_iter().flat_map(|name| [(name, true), (name, false)]) {
        let folder = TempDir::new().unwrap();
        let (path, other) = (folder.path().join("history.db"), folder.path().join(name));
        if is_pipe {
            // A child process would inherit the locks of the other tests.
            mknodat(CWD, &other, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        } else {
            fs::create_dir(&other).unwrap();
        }
        let history = start(&path);
        let mut error = history.error();
        let reported = timeout(Duration::from_secs(30), error.wait_for(Option::is_some)).await;
        let expected = Some(HistoryError::NotAFile(other.clone()));
        assert_eq!(*reported.unwrap().unwrap(), expected, "{name}");
        // Readings wait in memory, and are kept once it is gone.
        history.note(&unnamed(), at("2026-11-24T10:00:00Z"), &[energy("100")]);
        if is_pipe {
            fs::remove_file(&other).unwrap();
        } else {
            fs::remove_dir(&other).unwrap();
        }
        assert_eq!(keep(history, "2026-11-24T10:05:00Z", "101"), None, "{name}");
        assert_eq!(values(&path), ["100", "101"]);
    }
}

fn usage(polls: u64, sent: u64, received: u64, awake: u64) -> Usage {
    Usage { polls, sent, received, awake: Duration::from_micros(awake) }
}

impl Bench {
    fn cost(&mut self, meter: &MeterKey, time: &str, costs: &[(i64, Usage)]) {
        let values = if meter.serial().is_some() { vec![energy("1")] } else { Vec::new() };
        self.store.write(meter, at(time).as_millisecond(), &values, costs).unwrap();
    }

    /// Date, kind, start, polls and awake time.
    fn costs(&self, meter: &MeterKey) -> Vec<String> {
        let days = self.store.usage(meter).unwrap().days.into_iter();
        let line = |DayUsage { date, kind, since, usage }: DayUsage| {
            let Usage { polls, sent, received, awake } = usage;
            format!("{date} {kind} {since} {polls} {sent} {received} {}", awake.as_micros())
        };
        days.map(line).collect()
    }
}

/// The day is that of the clock, also when the clock changes and at midnight: a day of 25 hours and
/// one of 23 begin and end where the date does.
#[test]
fn the_cost_of_polls_is_added_by_local_day() {
    for (before, first, last, after, date) in [
        (
            "2026-10-24T21:59:59Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59Z",
            "2026-10-25T23:00:00Z",
            "2026-10-25",
        ),
        (
            "2026-03-28T22:59:59Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59Z",
            "2026-03-29T22:00:00Z",
            "2026-03-29",
        ),
    ] {
        let mut bench = Bench::in_memory();
        let house = meter("house", 1);
        for time in [before, first, last, after] {
            bench.cost(&house, time, &[(1, usage(1, 10, 70, 2_400_001))]);
        }
        bench.cost(&house, last, &[(1, usage(1, 1, 2, 3)), (9, usage(0, 4, 5, 6))]);
        let found = bench.costs(&house);
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[1], format!("{date} 1 {first} 3 21 142 4800005"));
        assert_eq!(found[2], format!("{date} 9 {last} 0 4 5 6"));
        assert!(found[0].ends_with(" 1 10 70 2400001") && found[3].ends_with(" 1 10 70 2400001"));
    }
}

#[test]
fn the_cost_of_polls_survives_a_restart_in_the_middle_of_a_day() {
    let folder = TempDir::new().unwrap();
    let mut bench = Bench::new(Location::File(folder.path().join("history.db")));
    let house = meter("house", 1);
    bench.cost(&house, "2026-11-24T08:00:00Z", &[(1, usage(1, 10, 70, 5))]);
    let mut bench = bench.reopened();
    bench.cost(&house, "2026-11-24T09:00:00Z", &[(1, usage(1, 10, 70, 5))]);
    assert_eq!(bench.costs(&house), ["2026-11-24 1 2026-11-24T08:00:00Z 2 20 140 10"]);
    assert!(bench.store.usage(&house).unwrap().is_kept);
    assert!(!Bench::in_memory().store.usage(&house).unwrap().is_kept);
}

/// A meter that does not say which one it is, is the one that was written last.
#[test]
fn another_serial_number_has_a_cost_of_its_own() {
    let mut bench = Bench::in_memory();
    let (first, second, unknown) = (meter("house", 1), meter("house", 2), meter("house", None));
    // Silent since the start of the program.
    bench.cost(&unknown, "2026-11-24T08:00:00Z", &[(7, usage(1, 1, 0, 0))]);
    bench.cost(&first, "2026-11-24T08:05:00Z", &[(1, usage(1, 10, 70, 0))]);
    bench.cost(&unknown, "2026-11-24T08:10:00Z", &[(7, usage(1, 1, 0, 0))]);
    let of_first = [
        "2026-11-24 1 2026-11-24T08:05:00Z 1 10 70 0",
        "2026-11-24 7 2026-11-24T08:00:00Z 2 2 0 0",
    ];
    assert_eq!(bench.costs(&first), of_first);
    assert!(!bench.store.usage(&first).unwrap().has_predecessor);
    bench.cost(&second, "2026-11-24T08:15:00Z", &[(1, usage(1, 20, 80, 0))]);
    bench.cost(&unknown, "2026-11-24T08:20:00Z", &[(7, usage(1, 1, 0, 0))]);
    assert_eq!(bench.costs(&first), of_first);
    let of_second = [
        "2026-11-24 1 2026-11-24T08:15:00Z 1 20 80 0",
        "2026-11-24 7 2026-11-24T08:20:00Z 1 1 0 0",
    ];
    assert_eq!(
        (bench.costs(&second), bench.costs(&unknown)),
        (of_second.map(str::to_owned).into(), of_second.map(str::to_owned).into())
    );
    assert!(bench.store.usage(&second).unwrap().has_predecessor);
    // The first one is installed again.
    bench.cost(&first, "2026-11-24T08:25:00Z", &[(1, usage(1, 10, 70, 0))]);
    bench.cost(&unknown, "2026-11-24T08:30:00Z", &[(7, usage(1, 1, 0, 0))]);
    assert_eq!(bench.costs(&first)[1], "2026-11-24 7 2026-11-24T08:00:00Z 3 3 0 0");
    assert_eq!(bench.costs(&meter("garage", 1)), [""; 0]);
}

#[test]
fn the_cost_of_polls_is_kept_for_a_limited_number_of_days() {
    let mut bench = Bench::in_memory();
    let (house, garage) = (meter("house", 1), meter("garage", 2));
    bench.cost(&garage, "2026-01-01T12:00:00Z", &[(1, usage(1, 10, 70, 0))]);
    let start = at("2026-01-01T12:00:00Z").as_millisecond();
    for day in 0..100 {
        for kind in [1, 2] {
            let time = timestamp(start + day * 24 * HOUR).to_string();
            bench.cost(&house, &time, &[(kind, usage(1, 10, 70, 0))]);
        }
    }
    let found = bench.costs(&house);
    assert_eq!(found.len(), 2 * 45);
    assert!(found[89].starts_with("2026-04-10 2"), "{found:?}");
    assert_eq!(bench.costs(&garage).len(), 1);
}

/// The file of version 0.1.0 before it knew what polls cost.
#[test]
fn a_file_of_an_earlier_version_is_upgraded_with_its_readings() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    keep(start(&path), "2026-11-24T10:00:00Z", "100");
    let database = Connection::open(&path).unwrap();
    database.execute_batch("DROP TABLE usage; PRAGMA user_version = 1").unwrap();
    drop(database);
    assert_eq!(keep(start(&path), "2026-11-24T10:05:00Z", "101"), None);
    assert_eq!((values(&path), renamed(&path)), (vec!["100".to_owned(), "101".to_owned()], 0));
    let version = |path: &Path| -> i64 {
        let database = Connection::open(path).unwrap();
        database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&path), 2);
    let mut bench = Bench::new(Location::File(path.clone()));
    bench.cost(&meter("", 1), "2026-11-24T10:10:00Z", &[(1, usage(1, 10, 70, 5))]);
    assert_eq!(bench.costs(&meter("", 1)).len(), 1);
    drop(bench);
    // A table that is missing in the present version is damage.
    Connection::open(&path).unwrap().execute_batch("DROP TABLE usage").unwrap();
    assert_eq!(keep(start(&path), "2026-11-24T10:15:00Z", "102"), None);
    assert_eq!((values(&path), renamed(&path)), (vec!["102".to_owned()], 1));
}

/// The answer has all polls that were noted before the question.
#[tokio::test]
async fn the_cost_is_answered_in_the_order_of_the_polls() {
    let folder = TempDir::new().unwrap();
    let history = start(&folder.path().join("history.db"));
    let house = meter("house", 1);
    for polls in 1..=20 {
        history.note_poll(&house, now().timestamp(), &[], &[(1, usage(1, 1, 1, 1))]);
        let record = history.usage(&house).await.unwrap();
        assert_eq!(record.days[0].usage.polls, polls);
    }
    history.close();
}

#[test]
fn the_counter_at_full_hours_is_never_a_guess() {
    let mut bench = Bench::in_memory();
    for (time, value) in [
        ("2026-11-24T09:59:50Z", "10"),
        // In the first minute, it is the reading of the full hour.
        ("2026-11-24T11:00:20Z", "12"),
        // The last one before 12:00 is too old.
        ("2026-11-24T11:40:00Z", "13"),
        ("2026-11-24T12:50:00Z", "14"),
        // The counter falls in this hour.
        ("2026-11-24T13:30:00Z", "15"),
        ("2026-11-24T13:59:00Z", "2"),
        ("2026-11-24T14:59:30Z", "3"),
    ] {
        bench.note(&unnamed(), at(time), &[energy(value)]);
    }
    let range = (at("2026-11-24T00:00:00Z"), at("2026-11-25T00:00:00Z"));
    let known = |now: &str| {
        let snapshot = bench.reader.snapshot().unwrap();
        let all = snapshot.at_full_hours(&unnamed(), "energy", range, at(now)).unwrap();
        all.into_iter().map(|(time, value)| format!("{time} {value}")).collect::<Vec<_>>()
    };
    let all = [
        "2026-11-24T10:00:00Z 10",
        "2026-11-24T11:00:00Z 12",
        "2026-11-24T13:00:00Z 14",
        "2026-11-24T15:00:00Z 3",
    ];
    assert_eq!(known("2026-11-24T15:01:00Z"), all);
    // The reading of 15:00 may still come.
    assert_eq!(known("2026-11-24T15:00:59Z"), all[..3]);
}

/// The zone of a command may differ from that of the program, or the system's zone may be changed.
#[test]
fn hours_of_another_zone_are_no_full_hours() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
    let store = Store::open(&Location::File(path.clone()), Calendar::new(kolkata.clone()));
    let mut bench = Bench { store: store.unwrap(), ..Bench::in_memory() };
    bench.count("2026-11-20T09:35:00Z", "2026-11-24T12:35:00Z", 15);
    // Only the hours themselves are kept of this day.
    let range = (at("2026-11-20T10:00:00Z"), at("2026-11-20T13:00:00Z"));
    let full_hours = |zone| {
        let snapshot = Reader::of_file(path.clone(), zone).snapshot().unwrap();
        let now = at("2026-11-24T12:40:00Z");
        let all = snapshot.at_full_hours(&unnamed(), "energy", range, now).unwrap();
        all.into_iter().map(|(time, _)| time.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(full_hours(TimeZone::UTC), [] as [String; 0]);
    let halves = ["2026-11-20T11:30:00Z", "2026-11-20T12:30:00Z", "2026-11-20T13:30:00Z"];
    assert_eq!(full_hours(kolkata), halves);
}

#[test]
fn the_serial_number_is_that_of_the_present_meter() {
    let mut bench = Bench::in_memory();
    let serial = |bench: &Bench| bench.reader.snapshot().unwrap().serial("house").unwrap();
    assert_eq!(serial(&bench), None);
    for (number, known) in
        [(None, None), (Some(7), Some(7)), (Some(9), Some(9)), (Some(7), Some(7))]
    {
        let key = MeterKey::new("house", number);
        bench.note(&key, at("2026-11-24T09:59:50Z"), &[energy("10")]);
        assert_eq!(serial(&bench), known);
    }
}

#[test]
fn another_process_can_read_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut bench = Bench::new(Location::File(path.clone()));
    bench.note(&unnamed(), at("2026-11-24T09:59:50Z"), &[energy("10")]);
    let reader = Reader::of_file(path, TimeZone::UTC);
    let series = reader.snapshot().unwrap().series(&unnamed()).unwrap();
    assert_eq!(series.len(), 1);
    let none = Reader::of_file(folder.path().join("none.db"), TimeZone::UTC);
    assert_eq!(none.snapshot().unwrap().series(&unnamed()).unwrap(), []);
}
