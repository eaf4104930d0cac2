//! What the entries of the log of hours and of the log of days say about full hours.
//!
//! A meter keeps standard time all year. So in summer it makes its entry of a day at 1:00 local time
//! (TD 603 5512-2029 A1 p.111). That entry counts as midnight: it belongs to the day that ends. When
//! an entry of an hour was made must be known exactly. Whether its stamp contains the offset of
//! summer time is not documented, so the entries decide:
//!
//! - those of days, because they are made at midnight of standard time: a stamp that says 0:00 has
//!   standard time;
//! - else two entries of hours before and after a change of the clock.
//!
//! If neither decides, hours of summer time are left out.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;

use home_assistant::Hour;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use kmp::logger::LogId;
use kmp::register::RegisterId;
use kmp::value::{RegisterValue, Value};
use meter::logger::LogStamp;
use rust_decimal::Decimal;

/// Entries by their id.
pub(crate) type Entries = BTreeMap<LogId, Vec<RegisterValue>>;

/// What a register showed, in its unit, by the hour that begins then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) hour: Hour,
    pub(crate) value: Decimal,
    pub(crate) unit: &'static str,
}

/// Which time the stamps show in summer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Standard time, with the offset beside it.
    Standard,
    /// Local time, which contains the offset.
    Local,
}

/// A stamp that was read.
#[derive(Debug, Clone, Copy)]
struct Made {
    at: DateTime,
    /// `None` if the entry does not have it.
    offset: Option<SignedDuration>,
}

fn made(values: &[RegisterValue]) -> Option<Made> {
    let stamp = LogStamp::of(values)?;
    let at = stamp.written()?;
    // The meter is a few seconds late.
    let is_full = at.minute() == 0;
    let offset = stamp.offset_minutes.map(|minutes| SignedDuration::from_mins(minutes.into()));
    is_full.then_some(Made { at: at.date().at(at.hour(), 0, 0, 0), offset })
}

impl Made {
    fn is_summer(&self) -> bool {
        self.offset.is_some_and(|offset| !offset.is_zero())
    }

    /// In standard time.
    fn standard(&self, shown: Shown) -> Option<DateTime> {
        match (shown, self.offset) {
            (Shown::Local, Some(offset)) => self.at.checked_sub(offset).ok(),
            _ => Some(self.at),
        }
    }
}

/// What the entries of days say about a register. A day without a valid stamp is left out.
pub(crate) fn days(entries: &Entries, register: RegisterId, zone: &TimeZone) -> Vec<Logged> {
    let day = |values: &Vec<RegisterValue>| {
        let Made { at, .. } = made(values)?;
        // 1:00 is the end of a day in summer.
        let is_midnight = at.hour() <= 1;
        let midnight = at.date().to_zoned_datetime(zone.clone()).ok()?.timestamp();
        logged(values, register, midnight).filter(|_| is_midnight)
    };
    entries.values().filter_map(day).collect()
}

/// What the entries of hours say about a register.
pub(crate) fn hours(
    entries: &Entries,
    of_days: &Entries,
    register: RegisterId,
    zone: &TimeZone,
) -> Vec<Logged> {
    let shown = shown(entries, of_days);
    let hour = |values: &Vec<RegisterValue>| {
        let made = made(values)?;
        let at = if made.is_summer() { made.standard(shown?)? } else { made.at };
        let standard = standard_offset(zone, at.date())?;
        let at = standard.to_timestamp(at).ok()?;
        // Without an offset in the entry, a summer's hour may be either of two.
        let is_summer = zone.to_offset(at) != standard;
        logged(values, register, at).filter(|_| made.offset.is_some() || !is_summer)
    };
    entries.values().filter_map(hour).collect()
}

fn logged(values: &[RegisterValue], register: RegisterId, at: Timestamp) -> Option<Logged> {
    let value = values.iter().find(|value| value.register == register)?;
    let Ok(Value::Number(number)) = value.value() else { return None };
    let unit = match value.unit.symbol()? {
        "l" => "L",
        unit => unit,
    };
    // Home Assistant's hours are those of UTC. In zones with half hours, none fits.
    Some(Logged { hour: Hour::beginning(at)?, value: number, unit })
}

/// Which time the stamps show; `None` if that is not certain.
fn shown(hours: &Entries, days: &Entries) -> Option<Shown> {
    let is_at_midnight = |made: &Made, shown| made.standard(shown).is_some_and(|at| at.hour() == 0);
    let of_day = |made: Made| only(|shown| is_at_midnight(&made, shown));
    let mut all =
        days.values().filter_map(|values| made(values)).filter(Made::is_summer).map(of_day);
    if let Some(first) = all.next() {
        return first.filter(|_| all.all(|other| other == first));
    }
    let pairs = hours.iter().zip(hours.iter().skip(1));
    let mut changes = pairs.filter_map(|((id, older), (next, newer))| {
        let (older, newer) = (made(older)?, made(newer)?);
        let is_change = next.older(1) == Some(*id) && older.is_summer() != newer.is_summer();
        let is_an_hour = |shown| {
            let both = newer.standard(shown).zip(older.standard(shown));
            both.is_some_and(|(newer, older)| {
                newer.duration_since(older) == SignedDuration::from_hours(1)
            })
        };
        is_change.then(|| only(is_an_hour))
    });
    let first = changes.next()?;
    first.filter(|_| changes.all(|other| other == first))
}

/// The only one of both that fits.
fn only(fits: impl Fn(Shown) -> bool) -> Option<Shown> {
    match (fits(Shown::Standard), fits(Shown::Local)) {
        (true, false) => Some(Shown::Standard),
        (false, true) => Some(Shown::Local),
        _ => None,
    }
}

/// The offset of standard time in a year: that of winter, on both halves of the earth.
fn standard_offset(zone: &TimeZone, date: Date) -> Option<Offset> {
    let at = |month| {
        let day = Date::new(date.year(), month, 1).ok()?.at(12, 0, 0, 0);
        Some(zone.to_offset(Offset::UTC.to_timestamp(day).ok()?))
    };
    Some(at(1)?.min(at(7)?))
}

#[cfg(test)]
mod tests {
    use kmp::number::SignExponent;
    use kmp::unit::Unit;

    use super::*;

    const E1: RegisterId = RegisterId::new(60);

    /// An entry with 348, whose time is written as it is.
    fn entry(written: &str, offset: u8, value: i64) -> Vec<RegisterValue> {
        let at: DateTime = written.parse().unwrap();
        let part = |number: i8| u8::try_from(number).unwrap();
        let year = u8::try_from(at.year() - 2000).unwrap();
        let bytes =
            [offset, year, part(at.month()), part(at.day()), part(at.hour()), part(at.minute()), 4];
        let exponent = SignExponent::from_byte(0);
        let stamp =
            RegisterValue::new(LogStamp::DATE_TIME, Unit::DATE_TIME, exponent, bytes.to_vec());
        let value = Decimal::new(value, 3);
        let value = RegisterValue::from_decimal(E1, Unit::MEGAWATT_HOUR, value, 4);
        vec![stamp.unwrap(), value.unwrap()]
    }

    fn entries(all: &[(&str, u8)]) -> Entries {
        let all = all.iter().zip(1..);
        let entry = |(&(at, offset), id): (&(&str, u8), u32)| {
            (LogId::new(id), entry(at, offset, 100 + i64::from(id)))
        };
        all.map(entry).collect()
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn times(all: &[Logged]) -> Vec<String> {
        all.iter().map(|logged| logged.hour.start().to_string()).collect()
    }

    #[test]
    fn a_day_in_summer_ends_at_local_midnight() {
        // On 25 October, the clock is set back.
        for hour in ["00", "01"] {
            let summer = [format!("2026-10-24T{hour}:00"), format!("2026-10-25T{hour}:00")];
            let entries = entries(&[(&summer[0], 60), (&summer[1], 60), ("2026-10-26T00:00", 0)]);
            let found = days(&entries, E1, &berlin());
            let expected = ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"];
            assert_eq!(times(&found), expected);
            assert_eq!((found[0].value, found[0].unit), (Decimal::new(101, 3), "MWh"));
        }
        // Neither fits.
        assert_eq!(days(&entries(&[("2026-10-24T02:00", 60)]), E1, &berlin()), []);
        assert_eq!(days(&entries(&[("2026-10-24T00:30", 60)]), E1, &berlin()), []);
    }

    #[test]
    fn the_entries_of_days_decide_what_those_of_hours_mean() {
        let summer = entries(&[("2026-07-01T13:00", 60), ("2026-07-01T14:00", 60)]);
        let winter = entries(&[("2026-01-05T13:00", 0)]);
        let found =
            |of_days: &[(&str, u8)]| times(&hours(&summer, &entries(of_days), E1, &berlin()));
        let standard = ("2026-07-01T00:00", 60);
        assert_eq!(found(&[standard]), ["2026-07-01T12:00:00Z", "2026-07-01T13:00:00Z"]);
        let local = ("2026-07-01T01:00", 60);
        assert_eq!(found(&[local]), ["2026-07-01T11:00:00Z", "2026-07-01T12:00:00Z"]);
        let other = ("2026-07-01T03:00", 60);
        for undecided in [&[][..], &[("2026-01-01T00:00", 0)], &[standard, local], &[other]] {
            assert_eq!(found(undecided), [""; 0], "{undecided:?}");
        }
        let all = hours(&winter, &Entries::new(), E1, &berlin());
        assert_eq!(times(&all), ["2026-01-05T12:00:00Z"]);
        assert_eq!(hours(&winter, &Entries::new(), RegisterId::new(68), &berlin()), []);
        let half = TimeZone::get("Asia/Kolkata").unwrap();
        assert_eq!(hours(&winter, &Entries::new(), E1, &half), []);
    }

    #[test]
    fn a_change_of_the_clock_decides_too() {
        let both = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"];
        for (stamps, expected) in [
            ([("2026-10-25T01:00", 60), ("2026-10-25T02:00", 0)], both),
            ([("2026-10-25T02:00", 60), ("2026-10-25T02:00", 0)], both),
            // The clock is set forward.
            (
                [("2026-03-29T01:00", 0), ("2026-03-29T03:00", 60)],
                ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"],
            ),
        ] {
            let found = hours(&entries(&stamps), &Entries::new(), E1, &berlin());
            assert_eq!(times(&found), expected, "{stamps:?}");
        }
    }
}
