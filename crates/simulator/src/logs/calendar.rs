//! The times of a log's entries, in standard time, and which of them are in summer.

use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::{Span, ToSpan};
use kmp::logger::Log;

/// The newest times up to `now`, the newest first; none is before `begin`.
pub(super) fn times(log: Log, begin: DateTime, now: DateTime, most: u16) -> Vec<DateTime> {
    let mut at = newest(log, now);
    let mut times = Vec::new();
    while at > begin && times.len() < usize::from(most) {
        times.push(at);
        let Ok(earlier) = at.checked_sub(interval(log)) else { break };
        at = earlier;
    }
    times
}

/// How many entries the log has got since `begin`, which is the id of its newest.
pub(super) fn count(log: Log, begin: DateTime, now: DateTime) -> u32 {
    let mut at = newest(log, now);
    let mut count = 0;
    while at > begin {
        count += 1;
        let Ok(earlier) = at.checked_sub(interval(log)) else { break };
        at = earlier;
    }
    count
}

fn interval(log: Log) -> Span {
    match log {
        Log::Year => 1.year(),
        Log::Month => 1.month(),
        Log::Day => 1.day(),
        Log::Hour => 1.hour(),
        Log::Minute1 | Log::Minute2 => 15.minutes(),
    }
}

fn newest(log: Log, now: DateTime) -> DateTime {
    let midnight = |day: Date| day.at(0, 0, 0, 0);
    match log {
        Log::Year => midnight(now.date().first_of_year()),
        Log::Month => midnight(now.date().first_of_month()),
        Log::Day => midnight(now.date()),
        Log::Hour => now.date().at(now.hour(), 0, 0, 0),
        Log::Minute1 | Log::Minute2 => now.date().at(now.hour(), now.minute() / 15 * 15, 0, 0),
    }
}

/// Whether summer time applies at this standard time. In the European Union, the clock changes at
/// 2:00 standard time on the last Sundays of March and October.
pub(super) fn is_summer(at: DateTime) -> bool {
    let change = |month| {
        let last = date(at.year(), month, 31);
        let sunday = last.nth_weekday(-1, Weekday::Sunday).unwrap_or(last);
        let sunday = if last.weekday() == Weekday::Sunday { last } else { sunday };
        sunday.at(2, 0, 0, 0)
    };
    (change(3)..change(10)).contains(&at)
}
