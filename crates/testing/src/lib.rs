//! What tests of several crates share.

#![expect(clippy::unwrap_used, reason = "a test without data fails")]

pub mod esphome;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// Times at and near both ends of the calendar, in zones east and west of UTC.
///
/// # Panics
///
/// If this machine has no time zone data.
#[must_use]
pub fn times() -> Vec<ZonedDateTime> {
    let zones = [
        "UTC",
        "Europe/Copenhagen",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
        "America/Santiago",
        "Etc/GMT+12",
    ];
    let before = [0, 1, 59, 60, 3599, 3600, 86_399, 86_400, 40 * 86_400, 400 * 86_400];
    let mut times = Vec::new();
    for zone in zones.map(|zone| TimeZone::get(zone).unwrap()) {
        for seconds in before.map(SignedDuration::from_secs) {
            let last = Timestamp::MAX.checked_sub(seconds).unwrap();
            let first = Timestamp::MIN.checked_add(seconds).unwrap();
            times.extend([first, last].map(|time| time.to_zoned_datetime(zone.clone())));
        }
    }
    times
}
