//! Completes the energy registers with high resolution. Registers 266 (`e1highres`) and 155
//! (`highresenergy`) belong to the heat energy E1 (register 60). In the same way, 267 (`e3highres`)
//! belongs to the cooling energy E3 (register 63).
//!
//! On some meters, these registers are not running totals. They show the lower digits of E1 with
//! more resolution, and wrap to zero. One 403 showed 6,655,807 Wh when E1 was 16,655,807 Wh (public
//! repository cfeenstra1024/kamstrup-multical-hardware, issue 1). TD 403 p.127 prints 4,567,890.1
//! Wh next to 1,234,567.8 kWh. On other meters, these registers are equal to E1. So they are
//! compared with the E1 of the same poll (267 with E3):
//!
//! - If the digits agree, the missing digits are taken from E1. The value is then a total like E1.
//! - If the digits do not agree, or if E1 (`energy`) is not among the parameters, the value is
//!   published as it is. It is then a plain measurement, which no energy dashboard adds up.
//!
//! The result of the first polls is kept until the program restarts, so that the kind of the entity
//! does not change. Later, a total is withheld if it no longer agrees with E1. It is also withheld
//! if it fell although E1 did not.

use std::collections::BTreeMap;

use kmp::register::{Kind, RegisterId};
use kmp::unit::Unit;
use kmp::value::Value;
use rust_decimal::Decimal;

use crate::reading::{Missing, Reading};

/// The total that belongs to a high-resolution register.
fn whole_of(register: RegisterId) -> Option<RegisterId> {
    const E1: RegisterId = RegisterId::new(60);
    const E3: RegisterId = RegisterId::new(63);
    match register.get() {
        155 | 266 => Some(E1),
        267 => Some(E3),
        _ => None,
    }
}

/// Where they wrap. Kamstrup does not document it, but both observations above agree.
const ROLL_OVER: Decimal = Decimal::from_parts(10_000_000, 0, 0, false, 0);

/// 1 kWh, because the two registers are not read at the same moment.
const TOLERANCE: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);

/// The observed nature of a meter's high-resolution registers.
#[derive(Debug, Default)]
pub struct HighResolution {
    known: BTreeMap<RegisterId, Known>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    nature: Nature,
    /// The last total, and E1 of the same poll, in Wh.
    last: Option<(Decimal, Decimal)>,
    /// How many polls in a row did not agree while the nature was open.
    disagreements: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Nature {
    #[default]
    Open,
    /// The lower digits of E1, or all its digits.
    PartOfE1,
    /// Something else, or there is nothing to compare it with.
    Plain,
}

/// This many polls in a row show that a register is not part of E1. One alone may be an error.
const DISAGREEMENTS: u8 = 2;

impl HighResolution {
    /// The totals from which upper digits would be taken for the first time. They should be read
    /// twice: nothing is known yet that would contradict a wrong one.
    pub(crate) fn untried(&self, readings: &[Reading]) -> Vec<RegisterId> {
        let is_untried = |register: RegisterId| {
            self.known.get(&register).is_none_or(|known| known.nature == Nature::Open)
        };
        let parts = readings.iter().map(|reading| reading.register);
        parts.filter(|register| is_untried(*register)).filter_map(whole_of).collect()
    }

    /// Completes the high-resolution readings that are part of E1 to totals.
    pub fn complete(
        &mut self,
        readings: &mut Vec<Reading>,
        missing: &mut Vec<(RegisterId, Missing)>,
    ) {
        let wholes: Vec<_> = readings
            .iter()
            .filter(|reading| {
                readings.iter().any(|r| whole_of(r.register) == Some(reading.register))
            })
            .cloned()
            .collect();
        readings.retain_mut(|reading| {
            let kind = reading.register.info().map(|register| register.kind);
            if kind != Some(Kind::WrappingCounter) {
                return true;
            }
            // Where volumes wrap is not documented.
            let Some(whole) = whole_of(reading.register) else {
                return true;
            };
            let e1 = wholes.iter().find(|reading| reading.register == whole);
            let is_asked_for =
                e1.is_some() || missing.iter().any(|(register, _)| *register == whole);
            let known = self.known.entry(reading.register).or_default();
            let total = e1.and_then(|e1| total(reading, e1));
            match (total, e1.is_some()) {
                (Some(_), _) if known.nature == Nature::Open => known.nature = Nature::PartOfE1,
                (None, true) if known.nature == Nature::Open => {
                    known.disagreements = known.disagreements.saturating_add(1);
                    if known.disagreements >= DISAGREEMENTS {
                        known.nature = Nature::Plain;
                    }
                }
                (None, false) if !is_asked_for => known.nature = Nature::Plain,
                _ => {}
            }
            let keep = match (known.nature, total) {
                (Nature::Plain, _) => true,
                (Nature::PartOfE1, Some(total)) => known.accepts(reading, total, e1),
                (Nature::PartOfE1 | Nature::Open, _) => false,
            };
            if !keep {
                missing.push((reading.register, Missing::WithoutE1));
            }
            keep
        });
    }
}

impl Known {
    /// Stores the total in the reading, unless it fell and E1 did not.
    fn accepts(&mut self, reading: &mut Reading, total: Decimal, e1: Option<&Reading>) -> bool {
        let now = WattHours::of(reading.unit)
            .and_then(|unit| unit.apply(total))
            .zip(e1.and_then(watt_hours));
        let Some((total_wh, e1_wh)) = now else { return false };
        if self.last.is_some_and(|(total, e1)| total_wh < total && e1_wh >= e1) {
            return false;
        }
        self.last = now;
        reading.value = Value::Number(total);
        reading.is_total = true;
        true
    }
}

fn watt_hours(reading: &Reading) -> Option<Decimal> {
    let Value::Number(value) = &reading.value else { return None };
    WattHours::of(reading.unit)?.apply(*value)
}

/// The value with its missing digits, in its own unit; `None` if it does not agree with E1.
fn total(reading: &Reading, e1: &Reading) -> Option<Decimal> {
    let Value::Number(part) = &reading.value else { return None };
    let scale = WattHours::of(reading.unit)?;
    let e1_scale = WattHours::of(e1.unit)?;
    let part_wh = scale.apply(*part)?;
    let e1_wh = watt_hours(e1)?;
    // E1 is truncated or rounded up at its last digit.
    let step = e1_scale.apply(power_of_ten(e1.exponent)?)?.max(TOLERANCE);
    let least = e1_wh.checked_sub(step)?;
    let most = e1_wh.checked_add(step)?.checked_add(TOLERANCE)?;
    // If E1 is this coarse, it does not show how many times the register has wrapped.
    if most.checked_sub(least)? >= ROLL_OVER {
        return None;
    }
    // The smallest total that is not below `least`.
    let wraps = least.checked_sub(part_wh)?.checked_div(ROLL_OVER)?.ceil().max(Decimal::ZERO);
    let missing_wh = wraps.checked_mul(ROLL_OVER)?;
    if !(least..=most).contains(&part_wh.checked_add(missing_wh)?) {
        return None;
    }
    // In the reading's unit, so that its own digits do not change.
    let missing = scale.undo(missing_wh)?;
    // In Gcal it is not.
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
    use kmp::number::SignExponent;
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

    /// The results for register 266 in consecutive polls, from E1 in kWh and its own value in Wh.
    /// An empty text is a value that was not read.
    fn polls(polls: &[(&str, &str)]) -> Vec<String> {
        let mut high = HighResolution::default();
        let shown = polls.iter().map(|(e1, part)| {
            let mut readings = vec![reading(E1_HIGH, Unit::WATT_HOUR, part)];
            let mut missing = Vec::new();
            match *e1 {
                "" => missing.push((RegisterId::new(60), Missing::NoAnswer)),
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
    fn the_missing_digits_are_taken_from_e1() {
        // The 403 of cfeenstra1024's issue 1, with E1 in GJ, rounded up.
        let mut high = HighResolution::default();
        let e1 = reading(60, Unit::GIGAJOULE, "59.961");
        let part = reading(E1_HIGH, Unit::WATT_HOUR, "6655807");
        let mut readings = vec![part, e1];
        high.complete(&mut readings, &mut Vec::new());
        assert_eq!(readings[0].value, Value::Number(Decimal::from(16_655_807)));
        assert!(readings[0].is_total);
        // The example in TD 403 p.127.
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
    fn a_register_that_equals_e1_is_not_changed() {
        let part = reading(E1_HIGH, Unit::KILOWATT_HOUR, "16655.807");
        let e1 = reading(60, Unit::MEGAWATT_HOUR, "16.655");
        assert_eq!(total(&part, &e1).unwrap().to_string(), "16655.807");
        let part = reading(E1_HIGH, Unit::MEGAWATT_HOUR, "16.65581");
        assert_eq!(total(&part, &e1).unwrap().to_string(), "16.65581");
    }

    #[test]
    fn a_register_that_does_not_agree_stays_a_plain_measurement() {
        assert_eq!(
            polls(&[("16655", "5000000"), ("17000", "5000000"), ("", "5000000")]),
            ["withheld", "5000000 plain", "5000000 plain"]
        );
        assert_eq!(polls(&[("not asked for", "6655807")]), ["6655807 plain"]);
    }

    #[test]
    fn e1_may_be_truncated_or_rounded_at_any_digit() {
        let total = |part: &str, unit, e1: &str| {
            let part = reading(E1_HIGH, Unit::WATT_HOUR, part);
            total(&part, &reading(60, unit, e1)).map(|total| total.to_string())
        };
        let expected = Some("16655807".to_owned());
        for (unit, e1) in [
            (Unit::MEGAWATT_HOUR, "16.65"),
            (Unit::MEGAWATT_HOUR, "16.66"),
            (Unit::MEGAWATT_HOUR, "16"),
            (Unit::MEGAWATT_HOUR, "17"),
            (Unit::GIGAJOULE, "59.9"),
            (Unit::GIGAJOULE, "60.0"),
        ] {
            assert_eq!(total("6655807", unit, e1), expected, "{e1}");
        }
        // Too coarse to show anything.
        let coarse = RegisterValue::new(
            RegisterId::new(60),
            Unit::MEGAWATT_HOUR,
            SignExponent::new(false, 1).unwrap(),
            vec![2],
        );
        let coarse = Reading::try_from(&coarse.unwrap()).unwrap();
        assert_eq!(super::total(&reading(E1_HIGH, Unit::WATT_HOUR, "500"), &coarse), None);
    }

    #[test]
    fn a_lower_total_is_withheld_unless_e1_fell_too() {
        assert_eq!(
            polls(&[
                ("16655", "6655807"),
                ("16655", "6655200"),
                ("16655", "6655900"),
                ("5", "5200")
            ]),
            ["16655807 total", "withheld", "16655900 total", "5200 total"]
        );
    }

    #[test]
    fn a_total_that_cannot_be_completed_is_withheld() {
        assert_eq!(
            polls(&[("", "6655807"), ("16655", "6655807"), ("", "6655807"), ("16655", "1")]),
            ["withheld", "16655807 total", "withheld", "withheld"]
        );
    }

    proptest! {
        /// Whatever the value of E1 is.
        #[test]
        fn the_total_is_what_the_meter_counted(counted in 0_u64..99_999_999_000, lag in 0_u64..500) {
            let part = reading(E1_HIGH, Unit::WATT_HOUR, &(counted % 10_000_000).to_string());
            let e1 = counted.saturating_sub(lag) / 1_000;
            let e1 = reading(60, Unit::KILOWATT_HOUR, &e1.to_string());
            prop_assert_eq!(total(&part, &e1), Some(Decimal::from(counted)));
        }
    }
}
