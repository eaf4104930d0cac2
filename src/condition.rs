//! What the meter itself says is wrong with it, and which of its values say nothing then.
//!
//! A broken sensor does not silence its register: the meter gives 0.00 or 185.00 °C, and with it
//! 0.00 K, 0.0 kW and 0 l/h (TD 403 p.94, TD 603 p.107, TD 803 p.121). Only the info code tells.

use std::fmt;

use kmp::info::{InfoCodes, Meaning, Sensor};
use kmp::model::Model;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::reading::Reading;

/// A meter's info code, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The code; 0 for no fault.
    pub code: u32,
    /// What it says; `None` where the model is not known well enough.
    pub meanings: Option<Vec<Meaning>>,
}

/// Info code (5512-447 M1 p.11).
const CODE: RegisterId = RegisterId::new(99);

/// The registers that hold the info code of one of these models, the likelier first.
#[must_use]
pub fn registers(models: &[Model]) -> &'static [RegisterId] {
    let codes = models.first().and_then(|model| model.info_codes());
    codes.map_or(&[CODE], |codes| codes.registers)
}

impl Condition {
    /// From the readings of a poll; `None` where the info code was not among them.
    #[must_use]
    pub fn of(readings: &[Reading], models: &[Model]) -> Option<Self> {
        let mut codes = registers(models).iter().filter_map(|register| {
            let reading = readings.iter().find(|reading| reading.register == *register)?;
            let Value::Number(number) = &reading.value else { return None };
            let code = number.is_integer().then(|| number.to_u32()).flatten()?;
            Some((code, reading.length))
        });
        let first = codes.next()?;
        // On 603 and 803 one of two registers has the code, and nobody has told which.
        let (code, length) =
            std::iter::once(first).chain(codes).find(|(code, _)| *code != 0).unwrap_or(first);
        let table = InfoCodes::shared(models, length);
        Some(Self { code, meanings: table.map(|table| table.explain(code)) })
    }

    /// Why a reading says nothing: the fault that spoils it.
    #[must_use]
    pub fn spoils(&self, reading: &Reading) -> Option<String> {
        if self.code == 0 {
            return None;
        }
        let spoilt = |sensor: &Sensor| {
            let no_flow = reading.register == FLOW && is_zero(reading);
            let temperatures = [Sensor::Temperature1, Sensor::Temperature2, Sensor::Difference];
            sensor.spoils().contains(&reading.register)
                || (no_flow && temperatures.contains(sensor))
        };
        let meanings = self.meanings.iter().flatten();
        let fault = meanings
            .into_iter()
            .find(|meaning| meaning.sensors().iter().any(spoilt))
            .map(|meaning| format!("a fault: {meaning}"));
        // The model may be another one than the user says. Something is wrong, and this is what a
        // broken sensor gives.
        fault.or_else(|| {
            let words =
                || format!("info code {}, and this is what a broken sensor gives", self.code);
            is_suspicious(reading).then(words)
        })
    }

    /// Whether a sensor is at fault, or may be.
    #[must_use]
    pub fn concerns_sensors(&self) -> bool {
        self.code != 0
            && self
                .meanings
                .as_ref()
                .is_none_or(|meanings| meanings.iter().any(|meaning| !meaning.sensors().is_empty()))
    }
}

/// `info code 8: t1 above its range, or disconnected`
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "info code {}", self.code)?;
        match &self.meanings {
            _ if self.code == 0 => f.write_str(": no fault"),
            None => f.write_str(", whose meaning depends on the model"),
            Some(meanings) => {
                let words: Vec<String> = meanings.iter().map(Meaning::to_string).collect();
                write!(f, ": {}", words.join("; "))
            }
        }
    }
}

const FLOW: RegisterId = RegisterId::new(74);

const DIFFERENCE: RegisterId = RegisterId::new(89);

/// t1 to t4: the present temperatures that a broken sensor makes 0.00 or 185.00 °C.
const TEMPERATURES: [RegisterId; 4] =
    [RegisterId::new(86), RegisterId::new(87), RegisterId::new(88), RegisterId::new(122)];

/// What a short-circuited sensor shows is 0.00, what a broken wire 185.00 °C.
const BROKEN_WIRE: Decimal = Decimal::from_parts(185, 0, 0, false, 0);

/// Whether this is what a broken sensor gives, so that the info code must be looked at.
#[must_use]
pub fn is_suspicious(reading: &Reading) -> bool {
    let Value::Number(number) = &reading.value else { return false };
    match reading.register {
        register if TEMPERATURES.contains(&register) => {
            reading.unit == Unit::CELSIUS && (number.is_zero() || *number >= BROKEN_WIRE)
        }
        DIFFERENCE => number.is_zero(),
        _ => false,
    }
}

fn is_zero(reading: &Reading) -> bool {
    matches!(&reading.value, Value::Number(number) if number.is_zero())
}

#[cfg(test)]
mod tests {
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: u16, unit: Unit, value: i64, places: u32, length: u8) -> Reading {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(register);
        let value = RegisterValue::from_decimal(register, unit, value, length).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn celsius(register: u16, hundredths: i64) -> Reading {
        reading(register, Unit::CELSIUS, hundredths, 2, 2)
    }

    fn code(register: u16, code: i64, length: u8) -> Reading {
        reading(register, Unit::NUMBER, code, 0, length)
    }

    #[test]
    fn what_a_broken_sensor_gives_is_suspicious() {
        assert!(is_suspicious(&celsius(86, 0)));
        assert!(is_suspicious(&celsius(87, 18_500)));
        assert!(!is_suspicious(&celsius(86, 1)));
        assert!(!is_suspicious(&celsius(86, 18_499)));
        assert!(!is_suspicious(&celsius(86, -100)));
        // An average of the month is no present temperature.
        assert!(!is_suspicious(&celsius(149, 0)));
        assert!(!is_suspicious(&reading(80, Unit::KILOWATT, 0, 1, 2)));
        // Two pipes are hardly ever equally warm.
        assert!(is_suspicious(&reading(89, Unit::KELVIN, 0, 2, 2)));
    }

    #[test]
    fn the_info_code_says_which_values_say_nothing() {
        let poll = [
            celsius(86, 18_500),
            celsius(87, 4_000),
            reading(89, Unit::KELVIN, 0, 2, 2),
            reading(80, Unit::KILOWATT, 0, 1, 2),
            reading(74, Unit::LITRE_PER_HOUR, 0, 0, 2),
            reading(60, Unit::KILOWATT_HOUR, 81_947, 0, 4),
            code(99, 8, 2),
        ];
        let condition = Condition::of(&poll, &[Model::Multical403]).unwrap();
        assert_eq!(condition.to_string(), "info code 8: t1 above its range, or disconnected");
        let spoilt: Vec<_> = poll
            .iter()
            .filter(|reading| condition.spoils(reading).is_some())
            .map(|reading| reading.register.get())
            .collect();
        assert_eq!(spoilt, [86, 89, 80, 74]);
        // A flow that is measured is true.
        let flow = reading(74, Unit::LITRE_PER_HOUR, 128, 0, 2);
        assert_eq!(condition.spoils(&flow), None);
    }

    #[test]
    fn another_model_another_meaning() {
        let words = |model, register, number, length| {
            Condition::of(&[code(register, number, length)], &[model]).unwrap().to_string()
        };
        assert_eq!(
            words(Model::Multical602, 99, 8, 4),
            "info code 8: temperature sensor T1 outside its range"
        );
        assert_eq!(words(Model::Multical602, 99, 0, 4), "info code 0: no fault");
        assert_eq!(
            words(Model::Multical302, 99, 8, 1),
            "info code 8, whose meaning depends on the model"
        );
        assert_eq!(
            words(Model::Multical603, 369, 0x0001_0000, 4),
            "info code 65536: flow sensor V1: no data from it"
        );
    }

    #[test]
    fn of_two_registers_the_one_that_says_something_counts() {
        let models = [Model::Multical603];
        let of = |bits, number| {
            Condition::of(&[code(369, bits, 4), code(99, number, 2)], &models).unwrap().code
        };
        assert_eq!((of(0, 0), of(8, 0), of(0, 8), of(0x10008, 8)), (0, 8, 8, 0x10008));
        assert_eq!(Condition::of(&[code(60, 1, 4)], &models), None);
    }

    /// Of a 403 whose user has said that it is a 402: 16 is t2 there, and V1 here.
    #[test]
    fn a_wrong_model_does_not_let_a_broken_sensor_pass() {
        let condition = Condition::of(&[code(99, 16, 2)], &[Model::Multical402]).unwrap();
        assert!(condition.spoils(&celsius(87, 18_500)).is_some());
        assert_eq!(condition.spoils(&celsius(86, 6_700)), None);
    }

    /// "The difference is invalid" says nothing of the two temperatures.
    #[test]
    fn a_difference_that_is_invalid_spoils_what_is_made_of_it() {
        let condition = Condition::of(&[code(99, 128, 2)], &[Model::Multical403]).unwrap();
        assert!(condition.spoils(&reading(89, Unit::KELVIN, -4_000, 2, 2)).is_some());
        assert!(condition.spoils(&reading(80, Unit::KILOWATT, 12, 1, 2)).is_some());
        assert_eq!(condition.spoils(&celsius(86, 2_000)), None);
    }

    #[test]
    fn without_a_table_only_what_is_suspicious_is_withheld() {
        let condition = Condition::of(&[code(99, 2, 2)], &[]).unwrap();
        assert_eq!(condition.meanings, None);
        assert!(condition.spoils(&celsius(86, 0)).is_some());
        assert_eq!(condition.spoils(&celsius(86, 4_000)), None);
        let fine = Condition::of(&[code(99, 0, 2)], &[]).unwrap();
        assert_eq!(fine.spoils(&celsius(86, 0)), None);
    }
}
