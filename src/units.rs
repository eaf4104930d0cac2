//! The units of published values, and exact conversion to them.
//!
//! The unit of a value is the one in the frame, not one that belongs to the register. (There is one
//! exception, below.) The value is converted to the unit in this table, whatever unit the meter is
//! set to:
//!
//! | quantity | published in |
//! |---|---|
//! | energy | kWh |
//! | power | W |
//! | temperature, temperature difference | °C |
//! | volume | m³ |
//! | flow | m³/h |
//! | operating hours | h |
//!
//! A conversion by a power of ten is exact. GJ and Gcal need a factor: 1 GJ is 1000 / 3.6 kWh, and
//! 1 Gcal is 1163 kWh. That is the International Table calorie of 4.1868 J, which Kamstrup uses.
//! (TD 602 5512-931_N1 p.31 prints 1163.1, which is not exact.) A result that needs such a factor
//! is rounded one digit finer than the meter's resolution. For example, the resolution 0.01 GJ is
//! 2.8 kWh, so the result has one decimal place. Halves are rounded away from zero.
//!
//! A value whose unit the table cannot convert is published unchanged.
//!
//! The exception: some meters send their hour counters as a plain number (captured from a MULTICAL
//! 21). Only these counters get their unit, h, from the register.
//!
//! The module knows no floats and no topics.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use kmp::register::{Kind, RegisterId};
use kmp::unit::{Quantity, Unit};
use kmp::value::Value;
use rust_decimal::{Decimal, RoundingStrategy};
use thiserror::Error;

use meter::reading::Reading;
use tariff::EnergyFactor;

/// The units in which values are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitSystem {
    /// The units in the table above.
    Standard,
    /// The units that the meter is set to.
    Meter,
}

/// What a published value measures, and in which unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    /// What it measures.
    pub quantity: Quantity,
    /// The unit, spelled as Home Assistant does; `None` for plain numbers, dates and texts.
    pub unit: Option<&'static str>,
    /// How it behaves over time, if that is known.
    pub kind: Option<Kind>,
}

/// A value as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// The value: a number without exponent, an ISO date, a text.
    pub text: String,
    /// What it measures.
    pub measure: Measure,
}

/// The value has too many digits for an exact conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{value} {unit} has too many digits to be converted exactly")]
pub(crate) struct OutOfRange {
    value: Decimal,
    unit: Unit,
}

/// Converts a reading to the units of `system`.
pub(crate) fn publish(reading: &Reading, system: UnitSystem) -> Result<Published, OutOfRange> {
    let unit = reading.unit;
    let &Value::Number(value) = &reading.value else {
        let measure = Measure { quantity: unit.quantity(), unit: None, kind: kind(reading) };
        return Ok(Published { text: reading.value.to_string(), measure });
    };
    let Conversion { factor, measure } = conversion(reading.register, unit, system);
    let measure = Measure { kind: kind(reading), ..measure };
    let value = factor.apply(value, reading.exponent).ok_or(OutOfRange { value, unit })?;
    Ok(Published { text: plain(value), measure })
}

/// The last register of Kamstrup's own lists, except those that identify the meter.
const LAST_DOCUMENTED: RegisterId = RegisterId::new(175);

fn kind(reading: &Reading) -> Option<Kind> {
    let kind = reading.register.info()?.kind;
    Some(if reading.is_total { Kind::Counter } else { kind })
}

/// The measure of a register before the meter has sent it, if that is certain. (Some meters send
/// operating hours in hours, others as a plain number.)
#[must_use]
pub(crate) fn expected(register: RegisterId, system: UnitSystem) -> Option<Measure> {
    // Other registers are known from public code only, and their unit only from their name.
    if register > LAST_DOCUMENTED {
        return None;
    }
    let info = register.info()?;
    let (quantity, kind) = (info.quantity, info.kind);
    // It may become a total (`Reading::is_total`).
    if kind == Kind::WrappingCounter {
        return None;
    }
    let unit = match (quantity, system) {
        (Quantity::Date | Quantity::Number, _) => None,
        (Quantity::Temperature | Quantity::TemperatureDifference, UnitSystem::Standard) => {
            Some("°C")
        }
        (Quantity::Energy, UnitSystem::Standard) => Some("kWh"),
        (Quantity::Power, UnitSystem::Standard) => Some("W"),
        (Quantity::Volume, UnitSystem::Standard) => Some("m³"),
        (Quantity::Flow, UnitSystem::Standard) => Some("m³/h"),
        (Quantity::VolumeTemperature, UnitSystem::Standard) => Some("m³·°C"),
        _ => return None,
    };
    Some(Measure { quantity, unit, kind: Some(kind) })
}

/// Without exponent, trailing zeros, or a minus before zero.
fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

struct Conversion {
    factor: Factor,
    measure: Measure,
}

#[derive(Clone, Copy)]
enum Factor {
    PowerOfTen(i8),
    Ratio { times: i64, by: i64 },
}

fn conversion(register: RegisterId, unit: Unit, system: UnitSystem) -> Conversion {
    let quantity = quantity(register, unit);
    let standard = match system {
        UnitSystem::Standard => standard(quantity, unit),
        UnitSystem::Meter => None,
    };
    let (factor, unit) = match standard {
        Some((factor, unit)) => (factor, Some(unit)),
        None if counts_plain_hours(register, unit) => (Factor::PowerOfTen(0), Some("h")),
        None => unconverted(unit),
    };
    Conversion { factor, measure: Measure { quantity, unit, kind: None } }
}

/// What a value measures. The unit decides, with three exceptions: a difference of temperatures may
/// be in °C, kelvin may be a temperature or a difference, and hours may be sent as a plain number.
fn quantity(register: RegisterId, unit: Unit) -> Quantity {
    let known = register.info().map(|info| info.quantity);
    match (unit, known) {
        _ if counts_plain_hours(register, unit) => Quantity::Duration,
        (Unit::CELSIUS, Some(Quantity::TemperatureDifference)) => Quantity::TemperatureDifference,
        // It might be either, so it is not converted; see `unconverted`.
        (Unit::KELVIN, Some(Quantity::Temperature)) => Quantity::Other,
        _ => unit.quantity(),
    }
}

fn standard(quantity: Quantity, unit: Unit) -> Option<(Factor, &'static str)> {
    use Factor::{PowerOfTen, Ratio};
    let conversion = match unit {
        Unit::WATT_HOUR => (PowerOfTen(-3), "kWh"),
        Unit::KILOWATT_HOUR => (PowerOfTen(0), "kWh"),
        Unit::MEGAWATT_HOUR => (PowerOfTen(3), "kWh"),
        Unit::GIGAWATT_HOUR => (PowerOfTen(6), "kWh"),
        Unit::JOULE => (Ratio { times: 1, by: 3_600_000 }, "kWh"),
        Unit::KILOJOULE => (Ratio { times: 1, by: 3_600 }, "kWh"),
        Unit::MEGAJOULE => (Ratio { times: 10, by: 36 }, "kWh"),
        Unit::GIGAJOULE => (Ratio { times: 10_000, by: 36 }, "kWh"),
        Unit::TEN_GIGAJOULES => (Ratio { times: 100_000, by: 36 }, "kWh"),
        Unit::CALORIE => (Ratio { times: 1_163, by: 1_000_000_000 }, "kWh"),
        Unit::KILOCALORIE => (Ratio { times: 1_163, by: 1_000_000 }, "kWh"),
        Unit::MEGACALORIE => (Ratio { times: 1_163, by: 1_000 }, "kWh"),
        Unit::GIGACALORIE => (Ratio { times: 1_163, by: 1 }, "kWh"),
        Unit::WATT => (PowerOfTen(0), "W"),
        Unit::KILOWATT => (PowerOfTen(3), "W"),
        Unit::MEGAWATT => (PowerOfTen(6), "W"),
        Unit::GIGAWATT => (PowerOfTen(9), "W"),
        // A difference is the same number in both.
        Unit::CELSIUS => (PowerOfTen(0), "°C"),
        Unit::KELVIN if quantity == Quantity::TemperatureDifference => (PowerOfTen(0), "°C"),
        Unit::LITRE => (PowerOfTen(-3), "m³"),
        Unit::CUBIC_METRE => (PowerOfTen(0), "m³"),
        Unit::TEN_CUBIC_METRES => (PowerOfTen(1), "m³"),
        Unit::LITRE_PER_HOUR => (PowerOfTen(-3), "m³/h"),
        Unit::CUBIC_METRE_PER_HOUR => (PowerOfTen(0), "m³/h"),
        _ => return None,
    };
    Some(conversion)
}

/// Operating hours, and hours with an info code.
const HOURS: [RegisterId; 2] = [RegisterId::new(1004), RegisterId::new(175)];

/// Some meters send these hours with the unit 51, a plain number (captured from a MULTICAL 21).
fn counts_plain_hours(register: RegisterId, unit: Unit) -> bool {
    unit.quantity() == Quantity::Number && HOURS.contains(&register)
}

const TONNE_PER_HOUR: Unit = Unit::from_code(45);
const TEN_TONNES: Unit = Unit::from_code(56);

/// The meter's own unit, as Home Assistant spells it. Only Kamstrup has tens of a unit.
fn unconverted(unit: Unit) -> (Factor, Option<&'static str>) {
    match unit {
        Unit::LITRE => (Factor::PowerOfTen(0), Some("L")),
        Unit::LITRE_PER_HOUR => (Factor::PowerOfTen(0), Some("L/h")),
        Unit::TEN_CUBIC_METRES => (Factor::PowerOfTen(1), Some("m³")),
        Unit::TEN_GIGAJOULES => (Factor::PowerOfTen(1), Some("GJ")),
        Unit::TONNE => (Factor::PowerOfTen(0), Some("t")),
        TONNE_PER_HOUR => (Factor::PowerOfTen(0), Some("t/h")),
        TEN_TONNES => (Factor::PowerOfTen(1), Some("t")),
        _ if unit.quantity() == Quantity::BitField => (Factor::PowerOfTen(0), None),
        _ => (Factor::PowerOfTen(0), unit.symbol()),
    }
}

/// `times / by` kWh are one unit of energy.
#[must_use]
pub(crate) fn energy_factor(unit: Unit) -> Option<EnergyFactor> {
    let power = |power: i8| times_power_of_ten(Decimal::ONE, power.into());
    Some(match standard(Quantity::Energy, unit)? {
        (Factor::Ratio { times, by }, "kWh") => EnergyFactor { times: times.into(), by: by.into() },
        (Factor::PowerOfTen(exponent @ 0..), "kWh") => {
            EnergyFactor { times: power(exponent)?, by: Decimal::ONE }
        }
        (Factor::PowerOfTen(exponent), "kWh") => {
            EnergyFactor { times: Decimal::ONE, by: power(exponent.checked_neg()?)? }
        }
        _ => return None,
    })
}

/// A volume in m³, exactly; `None` if the unit is not one of volume.
#[must_use]
pub(crate) fn cubic_metres(value: Decimal, unit: Unit) -> Option<Decimal> {
    match standard(Quantity::Volume, unit)? {
        (Factor::PowerOfTen(power), "m³") => times_power_of_ten(value, power.into()),
        _ => None,
    }
}

impl Factor {
    /// `None` if a decimal cannot hold the digits.
    fn apply(self, value: Decimal, exponent: i8) -> Option<Decimal> {
        match self {
            Self::PowerOfTen(power) => times_power_of_ten(value, power.into()),
            Self::Ratio { times, by } => {
                let (times, by) = (Decimal::from(times), Decimal::from(by));
                let exact = value.checked_mul(times)?.checked_div(by)?;
                let resolution = times_power_of_ten(Decimal::ONE, exponent.into())?
                    .checked_mul(times)?
                    .checked_div(by)?;
                round_to(exact, magnitude(resolution)?.checked_sub(1)?)
            }
        }
    }
}

/// Exact, or `None`.
fn times_power_of_ten(mut value: Decimal, power: i32) -> Option<Decimal> {
    if power > 0 && !value.is_zero() {
        for _ in 0..power {
            value = value.checked_mul(Decimal::TEN)?;
        }
    } else if power < 0 {
        // Moving the point cannot round; multiplying by 0.001 could.
        let scale = value.scale().checked_add(power.unsigned_abs())?;
        value.set_scale(scale).ok()?;
    }
    Some(value)
}

/// The power of ten of the first digit: 0 for 2.78, -1 for 0.278. `None` for zero.
fn magnitude(value: Decimal) -> Option<i32> {
    let digits = value.mantissa().unsigned_abs().checked_ilog10()?;
    i32::try_from(digits).ok()?.checked_sub(i32::try_from(value.scale()).ok()?)
}

/// Rounds to a whole multiple of 10^`place`.
fn round_to(value: Decimal, place: i32) -> Option<Decimal> {
    let round = |value: Decimal, places| {
        value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
    };
    if place <= 0 {
        return Some(round(value, place.unsigned_abs()));
    }
    let shifted = times_power_of_ten(value, place.checked_neg()?)?;
    times_power_of_ten(round(shifted, 0), place)
}

#[cfg(test)]
mod tests {
    use kmp::number::SignExponent;
    use kmp::value::RegisterValue;
    use proptest::prelude::*;

    use super::*;

    const ENERGY: u16 = 60;
    const TEMP1: u16 = 86;
    const TEMPDIFF: u16 = 89;
    const HOUR_COUNTER: u16 = 1004;
    const UNKNOWN: u16 = 4000;

    fn reading(register: u16, unit: Unit, negative: bool, exponent: i8, mantissa: u32) -> Reading {
        let sign_exponent = SignExponent::new(negative, exponent).unwrap();
        let mantissa = mantissa.to_be_bytes().to_vec();
        let register = RegisterId::new(register);
        let value = RegisterValue::new(register, unit, sign_exponent, mantissa).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn standard(register: u16, unit: Unit, exponent: i8, mantissa: u32) -> String {
        shown(&reading(register, unit, false, exponent, mantissa), UnitSystem::Standard)
    }

    fn shown(reading: &Reading, system: UnitSystem) -> String {
        let Published { text, measure } = publish(reading, system).unwrap();
        measure.unit.map_or(text.clone(), |unit| format!("{text} {unit}"))
    }

    #[test]
    fn powers_of_ten_are_exact() {
        assert_eq!(standard(ENERGY, Unit::KILOWATT_HOUR, 0, 81_947), "81947 kWh");
        // Some other programs publish these as 6.976 kWh and 6.4 W.
        assert_eq!(standard(ENERGY, Unit::MEGAWATT_HOUR, -3, 6_976), "6976 kWh");
        assert_eq!(standard(80, Unit::KILOWATT, -1, 64), "6400 W");
        assert_eq!(standard(74, Unit::LITRE_PER_HOUR, 0, 128), "0.128 m³/h");
        assert_eq!(standard(74, Unit::CUBIC_METRE_PER_HOUR, -2, 128), "1.28 m³/h");
        assert_eq!(standard(68, Unit::CUBIC_METRE, -2, 191_757), "1917.57 m³");
        assert_eq!(standard(68, Unit::LITRE, 0, 5), "0.005 m³");
        assert_eq!(standard(68, Unit::TEN_CUBIC_METRES, 0, 5), "50 m³");
        assert_eq!(standard(266, Unit::WATT_HOUR, -1, 2_712_113), "271.2113 kWh");
        assert_eq!(standard(ENERGY, Unit::GIGAWATT_HOUR, 3, 7), "7000000000 kWh");
        assert_eq!(standard(HOUR_COUNTER, Unit::HOUR, 0, 7_127), "7127 h");
    }

    #[test]
    fn exponents_from_minus_3_to_3() {
        let shown: Vec<_> =
            (-3..=3).map(|e| standard(ENERGY, Unit::KILOWATT_HOUR, e, 120)).collect();
        let expected = ["0.12", "1.2", "12", "120", "1200", "12000", "120000"];
        assert_eq!(shown, expected.map(|number| format!("{number} kWh")));
    }

    #[test]
    fn joules_and_calories_are_rounded_one_digit_finer_than_the_resolution() {
        // 0.01 GJ is 2.8 kWh: one decimal place. 670.99 GJ is 186386.1111… kWh.
        assert_eq!(standard(ENERGY, Unit::GIGAJOULE, -2, 67_099), "186386.1 kWh");
        // 0.001 GJ is 0.28 kWh: two.
        assert_eq!(standard(ENERGY, Unit::GIGAJOULE, -3, 59_961), "16655.83 kWh");
        // 1 GJ is 278 kWh: tens.
        assert_eq!(standard(ENERGY, Unit::GIGAJOULE, 0, 123), "34170 kWh");
        assert_eq!(standard(ENERGY, Unit::TEN_GIGAJOULES, 0, 1), "2800 kWh");
        assert_eq!(standard(ENERGY, Unit::MEGAJOULE, 0, 36), "10 kWh");
        assert_eq!(standard(ENERGY, Unit::KILOJOULE, 0, 1), "0.00028 kWh");
        // 0.001 Gcal is 1.163 kWh: one.
        assert_eq!(standard(ENERGY, Unit::GIGACALORIE, -3, 1_234), "1435.1 kWh");
        assert_eq!(standard(ENERGY, Unit::GIGACALORIE, 0, 1), "1200 kWh");
        // 50 Mcal is 58.15 kWh; halves are rounded away from zero.
        assert_eq!(standard(ENERGY, Unit::MEGACALORIE, 0, 50), "58.2 kWh");
    }

    #[test]
    fn the_register_does_not_choose_the_unit() {
        assert_eq!(standard(ENERGY, Unit::TONNE, -1, 15), "1.5 t");
        assert_eq!(standard(97, Unit::CUBIC_METRE_CELSIUS, 0, 23_750), "23750 m³·°C");
        assert_eq!(standard(HOUR_COUNTER, Unit::NUMBER, 0, 54_888), "54888 h");
        assert_eq!(standard(99, Unit::NUMBER, 0, 16), "16");
        assert_eq!(standard(HOUR_COUNTER, Unit::DAY, 0, 3), "3 d");
        assert_eq!(standard(UNKNOWN, Unit::from_code(200), -1, 3), "0.3");
        assert_eq!(standard(UNKNOWN, Unit::MEGAWATT_HOUR, 0, 3), "3000 kWh");
    }

    #[test]
    fn kelvin_is_converted_only_as_a_difference() {
        let difference = reading(TEMPDIFF, Unit::KELVIN, true, -2, 82);
        assert_eq!(shown(&difference, UnitSystem::Standard), "-0.82 °C");
        let published = publish(&difference, UnitSystem::Standard).unwrap();
        assert_eq!(published.measure.quantity, Quantity::TemperatureDifference);
        let in_celsius = reading(TEMPDIFF, Unit::CELSIUS, false, -2, 82);
        let published = publish(&in_celsius, UnitSystem::Standard).unwrap();
        assert_eq!(published.measure.quantity, Quantity::TemperatureDifference);
        assert_eq!(standard(UNKNOWN, Unit::KELVIN, 0, 4), "4 °C");
        assert_eq!(standard(TEMP1, Unit::KELVIN, 0, 300), "300 K");
    }

    #[test]
    fn the_units_of_the_meter_can_be_kept() {
        let shown = |register, unit, exponent, mantissa| {
            shown(&reading(register, unit, false, exponent, mantissa), UnitSystem::Meter)
        };
        assert_eq!(shown(ENERGY, Unit::GIGAJOULE, -2, 67_099), "670.99 GJ");
        assert_eq!(shown(74, Unit::LITRE_PER_HOUR, 0, 128), "128 L/h");
        assert_eq!(shown(TEMPDIFF, Unit::KELVIN, -2, 82), "0.82 K");
        assert_eq!(shown(ENERGY, Unit::TEN_GIGAJOULES, 0, 7), "70 GJ");
    }

    #[test]
    fn zero_has_no_decimals_and_no_sign() {
        for unit in [Unit::GIGAJOULE, Unit::KILOWATT_HOUR, Unit::WATT_HOUR, Unit::GIGAWATT_HOUR] {
            for exponent in [-3, 0, 3] {
                let zero = reading(ENERGY, unit, true, exponent, 0);
                assert_eq!(shown(&zero, UnitSystem::Standard), "0 kWh");
            }
        }
    }

    #[test]
    fn an_inexact_conversion_is_an_error() {
        let huge = reading(ENERGY, Unit::GIGAWATT_HOUR, false, 19, u32::MAX);
        assert!(publish(&huge, UnitSystem::Standard).is_err());
        let tiny = reading(ENERGY, Unit::WATT_HOUR, false, -27, 1);
        assert!(publish(&tiny, UnitSystem::Standard).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_has_an_exponent(
            register: u16, unit: u8, negative: bool, exponent in -28_i8..=19, mantissa: u32,
        ) {
            let register_value = RegisterValue::new(
                RegisterId::new(register), Unit::from_code(unit),
                SignExponent::new(negative, exponent).unwrap(), mantissa.to_be_bytes().to_vec(),
            ).unwrap();
            if let Ok(reading) = Reading::try_from(&register_value) {
                for system in [UnitSystem::Standard, UnitSystem::Meter] {
                    if let (Ok(published), Value::Number(_)) = (publish(&reading, system), &reading.value) {
                        let text = published.text;
                        prop_assert!(text.chars().all(|c| c.is_ascii_digit() || ".-".contains(c)), "{}", text);
                        prop_assert!(text != "-0");
                    }
                }
            }
        }

        /// Rounding never hides a step of the meter's last digit.
        #[test]
        fn a_step_of_the_meter_is_a_step_of_the_value(
            unit in 5_u8..=12, exponent in -4_i8..=3, mantissa in 0_u32..99_999_999,
        ) {
            let value = |mantissa| {
                let reading = reading(ENERGY, Unit::from_code(unit), false, exponent, mantissa);
                publish(&reading, UnitSystem::Standard).unwrap().text.parse::<Decimal>().unwrap()
            };
            prop_assert!(value(mantissa) < value(mantissa.saturating_add(1)));
        }
    }
}
