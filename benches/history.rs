//! A year of readings of a meter with seven values, one per minute: the cost of keeping them, the
//! bytes written to the disk, the size of the file, and the time to read the data of a chart. Then
//! the release build is started with that file, and its page is requested.
//!
//! Fails if the file is larger than the limit in `docs/benchmarks.md`, or if the first byte of the
//! page arrives too late. Readings are written as fast as the disk accepts them, by the program's
//! own thread.

#![expect(clippy::disallowed_methods, reason = "paused time cannot measure a disk")]

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[path = "history/served.rs"]
mod served;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use history::{History, MeterKey, Reader, Sample};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;

const MINUTES: i64 = 365 * 24 * 60;
/// A zone whose clock changes twice a year.
const ZONE: &str = "Europe/Copenhagen";
const VALUES: [(&str, &str, bool); 7] = [
    ("energy", "kWh", true),
    ("volume", "m³", true),
    ("power", "W", false),
    ("flow", "m³/h", false),
    ("temp1", "°C", false),
    ("temp2", "°C", false),
    ("tempdiff", "°C", false),
];
/// The limits in `docs/benchmarks.md`, in bytes: for each value, and for the rest, which is the
/// write-ahead log and the file that processes share.
const LIMIT_PER_VALUE: u64 = 2_000_000;
const LIMIT_OF_THE_REST: u64 = 1_300_000;

fn main() -> anyhow::Result<ExitCode> {
    // On a disk, because a file in memory costs nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = folder.path().join("history.db");
    let zone = TimeZone::get(ZONE)?;
    // The year ends now, so that the page has a day to draw. Readings arrive two seconds after the
    // full minute.
    let now = Timestamp::now().as_second();
    let first = now - now.rem_euclid(60) - MINUTES * 60;
    let first = first + 2;
    let time = |minute: i64| Timestamp::from_second(first + minute * 60);
    let start = time(0)?.to_zoned_datetime(zone);
    let history = History::start(Some(file.clone()), &start);
    let (reader, meter) = (history.reader(), MeterKey::new("", None));
    let mut out = io::stdout().lock();

    let (began, written) = (Instant::now(), written()?);
    let mut largest = 0;
    for minute in 0..MINUTES {
        history.note(&meter, time(minute)?, &values(minute));
        // The queue of the history is short.
        if minute.rem_euclid(60) == 59 {
            wait_for(&reader, &meter, time(minute)?)?;
            largest = largest.max(size(folder.path())?);
        }
    }
    wait_for(&reader, &meter, time(MINUTES - 1)?)?;
    let took = began.elapsed();
    let since = self::written()?.since(written);
    largest = largest.max(size(folder.path())?);
    ensure!(history.error().borrow().is_none(), "the history has an error");

    let polls = u64::try_from(MINUTES)?;
    let each = |total: u64| total.checked_div(polls).unwrap_or_default();
    writeln!(out, "{polls} polls of {} values in {took:.1?}", VALUES.len())?;
    writeln!(out, "written by the program: {} bytes per poll", each(since.called))?;
    writeln!(out, "written to the disk:    {} bytes per poll, without pauses", each(since.disk))?;
    let limit = LIMIT_PER_VALUE * u64::try_from(VALUES.len())? + LIMIT_OF_THE_REST;
    writeln!(out, "largest size of all files: {largest} bytes; limit {limit}")?;

    let now = time(MINUTES - 1)?;
    let today = start.checked_add(365.days())?.date();
    measure(&mut out, "last 24 hours, 300 points", || {
        Ok(reader.snapshot()?.last_day(&meter, "power", now, 300)?.len())
    })?;
    measure(&mut out, "a day by hour", || {
        Ok(reader.snapshot()?.used_by_hour(&meter, "energy", today.yesterday()?, now)?.len())
    })?;
    measure(&mut out, "a year by day", || {
        let used = reader.snapshot()?.used_by_day(&meter, "energy", today, 366, now)?;
        ensure!(
            used.iter().filter(|used| used.used.is_none()).count() <= 2,
            "the consumption of some days is not known"
        );
        Ok(used.len())
    })?;
    history.close();
    writeln!(out, "size after closing: {} bytes", size(folder.path())?)?;
    let in_time = served::measure(&mut out, &file, time(0)?)?;
    Ok(if largest > limit || !in_time { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The values of a minute: counters that rise, gauges that move up and down.
fn values(minute: i64) -> Vec<Sample> {
    let value = |(index, (name, unit, is_counter)): (i64, &(&str, &str, bool))| {
        let wave = minute.wrapping_mul(7_919).rem_euclid(977);
        let (number, scale) =
            if *is_counter { (minute * 3 + 81_947_000, 3) } else { (wave + index * 1_000, 2) };
        Sample {
            parameter: (*name).to_owned(),
            value: Decimal::new(number, scale),
            unit: Some((*unit).to_owned()),
            is_counter: *is_counter,
        }
    };
    (0..).zip(&VALUES).map(value).collect()
}

/// Waits until the reading of this time is written.
fn wait_for(reader: &Reader, meter: &MeterKey, time: Timestamp) -> anyhow::Result<()> {
    let range = (time, Timestamp::MAX);
    while reader.snapshot()?.readings(meter, "tempdiff", range)?.is_empty() {
        thread::yield_now();
    }
    Ok(())
}

/// The bytes that this process has passed to the system, and the bytes that the system must write
/// to the disk for it.
#[derive(Debug, Clone, Copy)]
struct Written {
    called: u64,
    disk: u64,
}

impl Written {
    fn since(self, earlier: Self) -> Self {
        Self { called: self.called - earlier.called, disk: self.disk - earlier.disk }
    }
}

fn written() -> anyhow::Result<Written> {
    let text = fs::read_to_string("/proc/self/io")?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok()).context("a number of bytes")
    };
    Ok(Written { called: number("wchar:")?, disk: number("write_bytes:")? })
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut size: u64 = 0;
    for entry in fs::read_dir(folder)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

/// Measures the median time of some runs.
fn measure(
    out: &mut impl Write,
    what: &str,
    run: impl Fn() -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    let mut times: Vec<Duration> = Vec::new();
    let mut count = 0;
    for _ in 0..21 {
        let began = Instant::now();
        count = run()?;
        times.push(began.elapsed());
    }
    times.sort();
    let median = times.get(10).context("21 times")?;
    writeln!(out, "{what}: {median:.2?} ({count} numbers)")?;
    Ok(())
}
