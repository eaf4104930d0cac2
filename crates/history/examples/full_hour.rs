//! Measures what happens at the full hour with 500 meters that are polled once a minute: the
//! memory, and how long a poll waits until it is written.
//!
//! ```sh
//! cargo run --release -p kamstrup2mqtt-history --example full_hour
//! ```

#![expect(clippy::disallowed_methods, reason = "paused time cannot measure a disk")]

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kamstrup2mqtt_history::{History, MeterKey, Reader, Sample};
use rust_decimal::Decimal;

const METERS: i64 = 500;
const HOURS: i64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let start: Timestamp = "2026-11-24T10:00:00Z".parse()?;
    let zoned = start.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let history = History::start(Some(folder.path().join("history.db")), &zoned);
    let reader = history.reader();
    let mut out = io::stdout().lock();
    for hour in 0..HOURS {
        let mut longest = Duration::ZERO;
        for minute in 2..62 {
            for number in 0..METERS {
                let seconds = (hour * 60 + minute) * 60;
                let time = start + SignedDuration::from_millis(seconds * 1000 + number * 100);
                let meter = MeterKey::new(&format!("m{number}"), None);
                history.note(&meter, time, &values(minute));
                // The queue of the history is short.
                if number % 50 == 49 {
                    let began = Instant::now();
                    wait_for(&reader, &meter, time)?;
                    longest = longest.max(began.elapsed());
                }
            }
            if minute == 60 || minute == 2 || minute == 61 {
                writeln!(
                    out,
                    "hour {hour}, minute {minute}: memory {} KiB, at most {} KiB; 50 polls are \
                     written after {longest:.1?} at most",
                    memory("VmRSS:")?,
                    memory("VmHWM:")?
                )?;
                longest = Duration::ZERO;
            }
        }
    }
    let error = history.error().borrow().clone();
    writeln!(out, "error: {error:?}")?;
    history.close();
    Ok(())
}

fn values(minute: i64) -> Vec<Sample> {
    let value = |index: i64| Sample {
        parameter: format!("value{index}"),
        value: Decimal::new(81_947_000 + minute * 3 + index, 2),
        unit: Some("kWh".to_owned()),
        is_counter: index < 2,
    };
    (0..7).map(value).collect()
}

/// Waits until the reading of this time is written.
fn wait_for(reader: &Reader, meter: &MeterKey, time: Timestamp) -> Result<(), Box<dyn Error>> {
    while reader.snapshot()?.readings(meter, "value6", (time, Timestamp::MAX))?.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A figure of the memory of this process, in KiB.
fn memory(figure: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).ok_or("a figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
