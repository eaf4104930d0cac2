//! How far the meter's clock is off.

use jiff::{SignedDuration, ZonedDateTime};
use kmp::register::RegisterId;
use kmp::value::Value;

use super::chain::LogStamp;
use crate::reading::Reading;

/// The registers of the meter's clock.
pub const CLOCK: [RegisterId; 2] = [LogStamp::DATE, LogStamp::TIME];

/// By how much the meter's clock is ahead, from readings of [`CLOCK`]; negative if it is behind.
/// `None` if one is missing.
///
/// A meter shows local time, or standard time all year. The one that is closer counts.
#[must_use]
pub fn clock_ahead(readings: &[Reading], now: &ZonedDateTime) -> Option<SignedDuration> {
    let value = |register| {
        readings.iter().find(|reading| reading.register == register).map(|reading| &reading.value)
    };
    let (Value::Date(date), Value::Time(time)) = (value(LogStamp::DATE)?, value(LogStamp::TIME)?)
    else {
        return None;
    };
    let clock = LogStamp { date: *date, time: Some(*time), offset_minutes: None };
    let shown = clock.written()?;
    let local = now.datetime();
    let is_summer = now.time_zone().to_offset_info(now.timestamp()).dst().is_dst();
    let standard = is_summer.then(|| local.checked_sub(SignedDuration::from_hours(1)).ok());
    let times = [Some(local), standard.flatten()].into_iter().flatten();
    times.map(|time| shown.duration_since(time)).min_by_key(|by| by.abs())
}

#[cfg(test)]
mod tests {
    use kmp::number::SignExponent;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: RegisterId, unit: Unit, digits: u32) -> Reading {
        let (exponent, bytes) = (SignExponent::from_byte(0), digits.to_be_bytes().to_vec());
        let value = RegisterValue::new(register, unit, exponent, bytes).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn ahead(now: &str, date: u32, time: u32) -> i64 {
        let date = reading(LogStamp::DATE, Unit::DATE_YYMMDD, date);
        let time = reading(LogStamp::TIME, Unit::CLOCK, time);
        clock_ahead(&[date, time], &now.parse().unwrap()).unwrap().as_secs()
    }

    const WINTER: &str = "2026-11-30T12:00:00+01:00[Europe/Copenhagen]";

    #[test]
    fn the_clock_is_compared_with_local_and_standard_time() {
        assert_eq!(ahead(WINTER, 261_130, 120_000), 0);
        assert_eq!(ahead(WINTER, 261_130, 120_312), 192);
        assert_eq!(ahead(WINTER, 261_129, 235_900), -(12 * 3600 + 60));
        // In winter, this is no standard time.
        assert_eq!(ahead(WINTER, 261_130, 110_000), -3600);
        let summer = "2026-07-01T00:30:00+02:00[Europe/Copenhagen]";
        assert_eq!(ahead(summer, 260_701, 2_900), -60);
        assert_eq!(ahead(summer, 260_630, 233_000), 0);
        assert_eq!(ahead(summer, 260_630, 233_500), 300);
    }

    #[test]
    fn a_date_alone_is_no_clock() {
        let date = reading(LogStamp::DATE, Unit::DATE_YYMMDD, 261_130);
        assert_eq!(clock_ahead(&[date], &WINTER.parse().unwrap()), None);
    }
}
