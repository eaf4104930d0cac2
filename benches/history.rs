//! A year of readings, one a minute, of a meter with seven values: what it costs to keep them, what is
//! written to the disk, how large the file becomes, and how long a chart's numbers take. Then the
//! program itself, the real one, built for release, is started on that file and asked for its page.
//!
//! Fails if the file is larger than the bound that `docs/benchmarks.md` gives, or if the first byte of
//! the page comes too late. Readings are written as fast as the disk takes them, through the program's
//! own thread.

#![expect(clippy::disallowed_methods, reason = "what a disk takes is not to be had on paused time")]

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
/// With two changes of the clock in each year.
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
/// What `docs/benchmarks.md` says is the most that a value of this kind may take, in bytes, and what
/// is there in any case: the write-ahead log and what processes share.
const BOUND_OF_A_VALUE: u64 = 2_000_000;
const BOUND_OF_THE_REST: u64 = 1_300_000;

fn main() -> anyhow::Result<ExitCode> {
    // On a disk: what stays in memory costs nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = folder.path().join("history.db");
    let zone = TimeZone::get(ZONE)?;
    // The year ends now, so that the page has a day to draw. Readings come two seconds after the minute.
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
        // Its queue is short.
        if minute.rem_euclid(60) == 59 {
            wait_for(&reader, &meter, time(minute)?)?;
            largest = largest.max(size(folder.path())?);
        }
    }
    wait_for(&reader, &meter, time(MINUTES - 1)?)?;
    let took = began.elapsed();
    let since = self::written()?.since(written);
    largest = largest.max(size(folder.path())?);
    ensure!(history.error().borrow().is_none(), "there was trouble");

    let polls = u64::try_from(MINUTES)?;
    let each = |total: u64| total.checked_div(polls).unwrap_or_default();
    writeln!(out, "{polls} polls of {} values in {took:.1?}", VALUES.len())?;
    writeln!(out, "written by the program: {} bytes per poll", each(since.called))?;
    writeln!(out, "brought to the disk:    {} bytes per poll, written at once", each(since.disk))?;
    let bound = BOUND_OF_A_VALUE * u64::try_from(VALUES.len())? + BOUND_OF_THE_REST;
    writeln!(out, "largest size of all files: {largest} bytes; bound {bound}")?;

    let now = time(MINUTES - 1)?;
    let today = start.checked_add(365.days())?.date();
    measure(&mut out, "last 24 hours, 300 points", || {
        Ok(reader.last_day(&meter, "power", now, 300)?.len())
    })?;
    measure(&mut out, "a day by hour", || {
        Ok(reader.used_by_hour(&meter, "energy", today.yesterday()?, now)?.len())
    })?;
    measure(&mut out, "a year by day", || {
        let used = reader.used_by_day(&meter, "energy", today, 366, now)?;
        ensure!(used.iter().filter(|used| used.used.is_none()).count() <= 2, "days are not known");
        Ok(used.len())
    })?;
    history.close();
    writeln!(out, "size when closed: {} bytes", size(folder.path())?)?;
    let in_time = served::measure(&mut out, &file, time(0)?)?;
    Ok(if largest > bound || !in_time { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Counters that rise, gauges that move up and down.
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

/// Until the reading of this time is kept.
fn wait_for(reader: &Reader, meter: &MeterKey, time: Timestamp) -> anyhow::Result<()> {
    let range = (time, Timestamp::MAX);
    while reader.readings(meter, "tempdiff", range)?.is_empty() {
        thread::yield_now();
    }
    Ok(())
}

/// Bytes that this process has handed to the system, and those that the system has to bring to the
/// disk for it.
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

/// The median of some runs.
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
