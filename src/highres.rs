//! Energy in high resolution: registers 266 (`e1highres`) and 155 (`highresenergy`).
//!
//! On some meters these are no running totals. They show the lower digits of the energy register
//! E1 (60) with more resolution, and start again from zero: one 403 read 6,655,807 Wh where E1
//! stood at 16,655,807 Wh (public repository cfeenstra1024/kamstrup-multical-hardware, issue 1),
//! and TD 403 p.127 prints 4,567,890.1 Wh beside 1,234,567.8 kWh. On others they follow E1 as they
//! are. So they are compared with E1 of the same poll:
//!
//! - Where the digits agree, the digits that are missing are taken from E1, and the value is a
//!   total like E1 itself.
//! - Where they do not agree, or `energy` is not among the parameters, the value is published as it
//!   comes, as a plain measurement that no energy dashboard will add up.
//!
//! What the first poll shows is kept until the program starts again, so that the kind of the entity
//! does not change. A total that does not agree with E1 any more is withheld.

use std::collections::BTreeMap;

use kmp::register::{Kind, RegisterId};
use kmp::unit::Unit;
use kmp::value::Value;
use rust_decimal::Decimal;

use crate::reading::{Missing, Reading};

/// Heat energy E1.
const E1: RegisterId = RegisterId::new(60);

/// Where they start again. Kamstrup does not say so; the two observations above fit it.
const ROLL_OVER: Decimal = Decimal::from_parts(10_000_000, 0, 0, false, 0);

/// The two registers are not read at the same moment, and E1 may be rounded: 1 kWh of room.
const ROOM: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);

/// What the high-resolution registers of a meter turned out to be.
#[derive(Debug, Default)]
pub struct HighResolution {
    known: BTreeMap<RegisterId, Nature>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The lower digits of E1, or all of them.
    PartOfE1,
    /// Something else, or nothing to compare it with.
    Plain,
}

impl HighResolution {
    /// Makes totals of the high-resolution readings that are parts of E1.
    pub fn complete(
        &mut self,
        readings: &mut Vec<Reading>,
        missing: &mut Vec<(RegisterId, Missing)>,
    ) {
        let e1 = readings.iter().find(|reading| reading.register == E1).cloned();
        let e1_is_missing = missing.iter().any(|(register, _)| *register == E1);
        let mut withheld = Vec::new();
        for reading in readings.iter_mut() {
            if reading.register.info().map(|register| register.kind) != Some(Kind::WrappingCounter)
            {
                continue;
            }
            let total = e1.as_ref().and_then(|e1| total(reading, e1));
            let nature = match (self.known.get(&reading.register), &total) {
                (Some(nature), _) => *nature,
                (None, Some(_)) => Nature::PartOfE1,
                (None, None) if e1_is_missing => {
                    // The next poll may tell.
                    withheld.push(reading.register);
                    continue;
                }
                (None, None) => Nature::Plain,
            };
            self.known.insert(reading.register, nature);
            match (nature, total) {
                (Nature::Plain, _) => {}
                (Nature::PartOfE1, Some(total)) => {
                    reading.value = Value::Number(total);
                    reading.is_total = true;
                }
                (Nature::PartOfE1, None) => withheld.push(reading.register),
            }
        }
        readings.retain(|reading| !withheld.contains(&reading.register));
        missing.extend(withheld.into_iter().map(|register| (register, Missing::WithoutE1)));
    }
}

/// The value with the digits that it lacks, in its own unit; `None` where it does not agree with
/// E1.
fn total(reading: &Reading, e1: &Reading) -> Option<Decimal> {
    let (Value::Number(part), Value::Number(whole)) = (&reading.value, &e1.value) else {
        return None;
    };
    let (scale, e1_scale) = (WattHours::of(reading.unit)?, WattHours::of(e1.unit)?);
    let part_wh = scale.apply(*part)?;
    let least = e1_scale.apply(*whole)?.checked_sub(ROOM)?;
    // E1 is cut off, or rounded, at its last digit.
    let step = e1_scale.apply(power_of_ten(e1.exponent)?)?;
    let most = least.checked_add(step)?.checked_add(ROOM.checked_mul(Decimal::TWO)?)?;
    // The first that is not below.
    let turns = least.checked_sub(part_wh)?.checked_div(ROLL_OVER)?.ceil().max(Decimal::ZERO);
    let missing_wh = turns.checked_mul(ROLL_OVER)?;
    if !(least..=most).contains(&part_wh.checked_add(missing_wh)?) {
        return None;
    }
    // In the reading's unit, so that its own digits stay as they came.
    let missing = scale.undo(missing_wh)?;
    // Not so in Gcal.
    let is_exact = scale.apply(missing)? == missing_wh;
    part.checked_add(missing).filter(|_| is_exact)
}

fn power_of_ten(exponent: i8) -> Option<Decimal> {
    let places = exponent.unsigned_abs().into();
    if exponent < 0 {
        Decimal::try_from_i128_with_scale(1, places).ok()
    } else {
        10_i128
            .checked_pow(places)
            .and_then(|whole| Decimal::try_from_i128_with_scale(whole, 0).ok())
    }
}

/// How many Wh a unit has: `times / by`.
#[derive(Clone, Copy)]
struct WattHours {
    times: Decimal,
    by: Decimal,
}

impl WattHours {
    fn of(unit: Unit) -> Option<Self> {
        let (times, by): (i64, i64) = match unit {
            Unit::WATT_HOUR => (1, 1),
            Unit::KILOWATT_HOUR => (1_000, 1),
            Unit::MEGAWATT_HOUR => (1_000_000, 1),
            Unit::GIGAJOULE => (10_000_000, 36),
            Unit::GIGACALORIE => (1_163_000, 1),
            _ => return None,
        };
        Some(Self { times: times.into(), by: by.into() })
    }

    fn apply(self, value: Decimal) -> Option<Decimal> {
        value.checked_mul(self.times)?.checked_div(self.by)
    }

    fn undo(self, watt_hours: Decimal) -> Option<Decimal> {
        watt_hours.checked_mul(self.by)?.checked_div(self.times)
    }
}

#[cfg(test)]
mod tests {
    use kmp::value::RegisterValue;
    use proptest::prelude::*;

    use super::*;

    const E1_HIGH: u16 = 266;

    fn reading(register: u16, unit: Unit, value: &str) -> Reading {
        let value: Decimal = value.parse().unwrap();
        let register = RegisterId::new(register);
        let value = RegisterValue::from_decimal(register, unit, value, 4).unwrap();
        Reading::try_from(&value).unwrap()
    }

    /// What becomes of register 266 in polls one after the other: of E1 and of itself, in kWh and
    /// Wh; an empty text for what was not read.
    fn polls(polls: &[(&str, &str)]) -> Vec<String> {
        let mut high = HighResolution::default();
        let shown = polls.iter().map(|(e1, part)| {
            let mut readings = vec![reading(E1_HIGH, Unit::WATT_HOUR, part)];
            let mut missing = Vec::new();
            match *e1 {
                "" => missing.push((E1, Missing::NoAnswer)),
                "not asked for" => {}
                e1 => readings.push(reading(60, Unit::KILOWATT_HOUR, e1)),
            }
            high.complete(&mut readings, &mut missing);
            readings.iter().find(|reading| reading.register.get() == E1_HIGH).map_or(
                "withheld".to_owned(),
                |reading| {
                    let kind = if reading.is_total { "total" } else { "plain" };
                    format!("{} {kind}", reading.value)
                },
            )
        });
        shown.collect()
    }

    #[test]
    fn the_digits_that_are_missing_come_from_e1() {
        // As the 403 of cfeenstra1024's issue 1 has it, with E1 in GJ, rounded up.
        let mut high = HighResolution::default();
        let e1 = reading(60, Unit::GIGAJOULE, "59.961");
        let part = reading(E1_HIGH, Unit::WATT_HOUR, "6655807");
        let mut readings = vec![part, e1];
        high.complete(&mut readings, &mut Vec::new());
        assert_eq!(readings[0].value, Value::Number(Decimal::from(16_655_807)));
        assert!(readings[0].is_total);
        // As TD 403 p.127 prints it.
        let part = reading(E1_HIGH, Unit::WATT_HOUR, "4567890.1");
        let e1 = reading(60, Unit::KILOWATT_HOUR, "1234567.8");
        assert_eq!(total(&part, &e1).unwrap().to_string(), "1234567890.1");
    }

    #[test]
    fn a_total_never_falls() {
        assert_eq!(
            polls(&[
                ("19998", "9998100"),
                ("19999", "9999990"),
                // E1 lags behind, or is ahead.
                ("19999", "12"),
                ("20000", "12"),
                ("20000", "900"),
            ]),
            [
                "19998100 total",
                "19999990 total",
                "20000012 total",
                "20000012 total",
                "20000900 total",
            ]
        );
    }

    #[test]
    fn what_follows_e1_as_it_is_stays_as_it_is() {
        let part = reading(E1_HIGH, Unit::KILOWATT_HOUR, "16655.807");
        let e1 = reading(60, Unit::MEGAWATT_HOUR, "16.655");
        assert_eq!(total(&part, &e1).unwrap().to_string(), "16655.807");
        let part = reading(E1_HIGH, Unit::MEGAWATT_HOUR, "16.65581");
        assert_eq!(total(&part, &e1).unwrap().to_string(), "16.65581");
    }

    #[test]
    fn what_does_not_agree_is_plain_for_ever() {
        assert_eq!(
            polls(&[("16655", "5000000"), ("15000", "5000000"), ("", "5000000")]),
            ["5000000 plain", "5000000 plain", "5000000 plain"]
        );
        assert_eq!(polls(&[("not asked for", "6655807")]), ["6655807 plain"]);
    }

    #[test]
    fn a_total_that_cannot_be_completed_is_withheld() {
        assert_eq!(
            polls(&[("", "6655807"), ("16655", "6655807"), ("", "6655807"), ("16655", "1")]),
            ["withheld", "16655807 total", "withheld", "withheld"]
        );
    }

    proptest! {
        /// Whatever E1 stands at, the total is what the meter counted.
        #[test]
        fn the_total_is_what_the_meter_counted(counted in 0_u64..99_999_999_000, lag in 0_u64..500) {
            let part = reading(E1_HIGH, Unit::WATT_HOUR, &(counted % 10_000_000).to_string());
            let e1 = counted.saturating_sub(lag) / 1_000;
            let e1 = reading(60, Unit::KILOWATT_HOUR, &e1.to_string());
            prop_assert_eq!(total(&part, &e1), Some(Decimal::from(counted)));
        }
    }
}
