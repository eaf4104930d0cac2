//! The faults that the meter reports, and the readings that they make invalid ("spoil").
//!
//! The registers of a broken sensor still have values: the meter sends 0.00 or 185.00 °C for a
//! temperature. Then the difference is 0.00 K, the power 0.0 kW and the flow 0 l/h (TD 403 p.94, TD
//! 603 p.107, TD 803 p.121). Only the info code shows the fault. It is used only together with such
//! a reading.

use std::fmt;

use kmp::info::{InfoCodes, Meaning, Sensor};
use kmp::model::Model;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::identity::{Certainty, Identity};
use crate::reading::Reading;

/// A meter's info code and its meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The code; 0 means no fault.
    pub code: u32,
    /// The meanings; `None` if the model is not certain enough.
    pub meanings: Option<Vec<Meaning>>,
    /// If no table is known to be the right one: the faulty sensors by the tables of all models
    /// that the meter may be.
    suspects: Vec<Sensor>,
}

/// Info code (5512-447 M1 p.11).
const CODE: RegisterId = RegisterId::new(99);

/// The registers that may hold the info code of these models, the most likely first.
#[must_use]
pub fn registers(models: &[Model]) -> &'static [RegisterId] {
    let codes = models.first().and_then(|model| InfoCodes::of(*model));
    codes.map_or(&[CODE], |codes| codes.registers)
}

impl Condition {
    /// The condition in the readings of a poll; `None` if the info code is not among them.
    #[must_use]
    pub fn of(readings: &[Reading], identity: &Identity) -> Option<Self> {
        let models = identity.models.as_slice();
        let mut codes = registers(models).iter().filter_map(|register| {
            let reading = readings.iter().find(|reading| reading.register == *register)?;
            let Value::Number(number) = &reading.value else { return None };
            let code = number.is_integer().then(|| number.to_u32()).flatten()?;
            Some((code, reading.length))
        });
        let first = codes.next()?;
        // On 603 and 803 one of two registers has the code. It is not documented which one.
        let (code, length) =
            std::iter::once(first).chain(codes).find(|(code, _)| *code != 0).unwrap_or(first);
        // A wrong table would give a wrong explanation.
        let table =
            InfoCodes::shared(models, length).filter(|_| identity.certainty != Certainty::Assumed);
        let meanings = table.map(|table| table.explain(code));
        let tables = models.iter().filter(|_| table.is_none()).filter_map(|it| InfoCodes::of(*it));
        let suspects = tables.flat_map(|table| table.explain(code));
        let suspects = suspects.flat_map(|meaning| meaning.sensors().iter().copied()).collect();
        Some(Self { code, meanings, suspects })
    }

    /// The readings of a poll that a fault spoils, each with that fault.
    ///
    /// It is not enough that the code names a sensor: for many models its bits are known only from
    /// other models, and a sound value must not be withheld. The reading must also look like the
    /// fault: 0.00 or 185.00 °C, a value that the meter calculates from such a temperature, or a
    /// flow of zero.
    #[must_use]
    pub fn spoilt(&self, readings: &[Reading]) -> Vec<(RegisterId, String)> {
        if self.code == 0 {
            return Vec::new();
        }
        let of = |register| readings.iter().find(|reading| reading.register == register);
        let mut spoilt: Vec<(RegisterId, String)> = Vec::new();
        for (register, sensor) in TEMPERATURES {
            let broken = of(register).filter(|reading| is_broken_temperature(reading));
            if let Some(why) = broken.and_then(|reading| self.fault_of_temperature(sensor, reading))
            {
                spoilt.push((register, why));
            }
        }
        let broken_pipe = spoilt.iter().find(|(register, _)| PIPES.contains(register));
        let from_pipes = broken_pipe.map(|(_, why)| why.clone());
        // The temperature that would show the fault was not read.
        let unread_pipe =
            self.unread_pipes(readings).next().and_then(|sensor| self.possible_fault(sensor));
        let no_difference = self.possible_fault(Sensor::Difference);
        let no_flow = self.reported_fault(Sensor::Flow1);
        for reading in readings {
            let zero = is_zero(reading);
            let why = match reading.register {
                DIFFERENCE => from_pipes
                    .clone()
                    .or_else(|| unread_pipe.clone().filter(|_| zero))
                    .or_else(|| {
                        let is_right = difference_of_pipes(readings).is_some_and(|it| it.is_zero());
                        no_difference.clone().filter(|_| zero && !is_right)
                    }),
                POWER => from_pipes.clone().or_else(|| {
                    let invalid = of(DIFFERENCE).is_none_or(is_zero);
                    let has_no_flow = of(FLOW).is_none_or(is_zero);
                    let by_difference = no_difference.clone().filter(|_| invalid);
                    let by_flow = no_flow.clone().filter(|_| has_no_flow);
                    unread_pipe.clone().or(by_difference).or(by_flow).filter(|_| zero)
                }),
                FLOW => {
                    let from_pipes = from_pipes.clone().or_else(|| unread_pipe.clone());
                    from_pipes.or_else(|| no_flow.clone()).filter(|_| zero)
                }
                FLOW_2 => self.reported_fault(Sensor::Flow2).filter(|_| zero),
                _ => None,
            };
            spoilt.extend(why.map(|why| (reading.register, why)));
        }
        spoilt
    }

    /// The unread registers that would show whether the values calculated from them are right.
    #[must_use]
    pub fn evidence(&self, readings: &[Reading]) -> Vec<RegisterId> {
        let zero = |registers: &[RegisterId]| {
            readings.iter().any(|reading| registers.contains(&reading.register) && is_zero(reading))
        };
        let unread =
            |register: RegisterId| readings.iter().all(|reading| reading.register != register);
        let mut evidence = Vec::new();
        if !unread(DIFFERENCE) || !unread(POWER) || zero(&[FLOW]) {
            let registers =
                TEMPERATURES.into_iter().filter(|(register, _)| PIPES.contains(register));
            let named = registers.filter(|(_, sensor)| self.possible_fault(*sensor).is_some());
            evidence.extend(named.map(|(register, _)| register).filter(|it| unread(*it)));
        }
        if zero(&[POWER]) && unread(FLOW) && self.reported_fault(Sensor::Flow1).is_some() {
            evidence.push(FLOW);
        }
        evidence
    }

    /// The fault of a sensor that the code reports.
    fn reported_fault(&self, sensor: Sensor) -> Option<String> {
        let meanings = self.meanings.iter().flatten();
        let fault = meanings.into_iter().find(|meaning| meaning.sensors().contains(&sensor));
        fault.map(|meaning| format!("a fault ({meaning})"))
    }

    /// The fault of a sensor by the code's meaning for the model, or for one that it may be.
    fn possible_fault(&self, sensor: Sensor) -> Option<String> {
        let suspect = || self.suspects.contains(&sensor).then(|| self.looks_broken());
        self.reported_fault(sensor).or_else(suspect)
    }

    /// The fault if no table names the sensor.
    fn looks_broken(&self) -> String {
        format!("info code {}, and a broken sensor gives such a value", self.code)
    }

    /// The fault behind a temperature that looks like one.
    fn fault_of_temperature(&self, sensor: Sensor, reading: &Reading) -> Option<String> {
        // Without a table, the code may mean this sensor. With one, the configured model may be
        // wrong: no sensor measures the value of a broken wire, whatever the code is.
        let is_impossible = self.meanings.is_none() || is_broken_wire(reading);
        self.possible_fault(sensor).or_else(|| is_impossible.then(|| self.looks_broken()))
    }

    /// The sensors in the pipes that the code names, but whose temperatures were not read.
    fn unread_pipes(&self, readings: &[Reading]) -> impl Iterator<Item = Sensor> {
        TEMPERATURES.into_iter().filter_map(|(register, sensor)| {
            let unread = readings.iter().all(|reading| reading.register != register);
            let is_named = PIPES.contains(&register) && self.possible_fault(sensor).is_some();
            (unread && is_named).then_some(sensor)
        })
    }

    /// Whether a sensor has a fault, or may have one.
    #[must_use]
    pub fn concerns_sensors(&self) -> bool {
        self.code != 0
            && self
                .meanings
                .as_ref()
                .is_none_or(|meanings| meanings.iter().any(|meaning| !meaning.sensors().is_empty()))
    }
}

impl Condition {
    /// The code and its meaning: `8: supply temperature sensor t1 above its range, or
    /// disconnected`.
    #[must_use]
    pub fn describe(&self) -> String {
        let code = self.code;
        match &self.meanings {
            _ if code == 0 => "0: no fault".to_owned(),
            None => format!("{code}, whose meaning depends on the model"),
            Some(meanings) => {
                let words: Vec<String> = meanings.iter().map(Meaning::to_string).collect();
                format!("{code}: {}", words.join("; "))
            }
        }
    }
}

/// `info code 8: supply temperature sensor t1 above its range, or disconnected`
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "info code {}", self.describe())
    }
}

const FLOW: RegisterId = RegisterId::new(74);
const FLOW_2: RegisterId = RegisterId::new(75);
const POWER: RegisterId = RegisterId::new(80);
const DIFFERENCE: RegisterId = RegisterId::new(89);
const TEMPERATURE_1: RegisterId = RegisterId::new(86);
const TEMPERATURE_2: RegisterId = RegisterId::new(87);

/// The meter calculates difference and power from these two.
const PIPES: [RegisterId; 2] = [TEMPERATURE_1, TEMPERATURE_2];

/// t1 to t4: the present temperatures, which are 0.00 or 185.00 °C if their sensor is broken.
const TEMPERATURES: [(RegisterId, Sensor); 4] = [
    (TEMPERATURE_1, Sensor::Temperature1),
    (TEMPERATURE_2, Sensor::Temperature2),
    (RegisterId::new(88), Sensor::Temperature3),
    (RegisterId::new(122), Sensor::Temperature3),
];

/// A short-circuited sensor reads 0.00 °C, a broken wire 185.00 °C.
const BROKEN_WIRE: Decimal = Decimal::from_parts(185, 0, 0, false, 0);

/// Whether a fault may make readings of this register invalid.
#[must_use]
pub fn may_be_spoilt(register: RegisterId) -> bool {
    let is_temperature = TEMPERATURES.iter().any(|(known, _)| *known == register);
    is_temperature || [DIFFERENCE, POWER, FLOW, FLOW_2].contains(&register)
}

/// Whether a reading looks like that of a broken sensor, so that the info code must be read.
#[must_use]
pub fn is_suspicious(reading: &Reading, readings: &[Reading]) -> bool {
    match reading.register {
        // Both pipes are equally warm if nobody heats.
        DIFFERENCE => {
            is_zero(reading) && !difference_of_pipes(readings).is_some_and(|it| it.is_zero())
        }
        register if TEMPERATURES.iter().any(|(known, _)| *known == register) => {
            is_broken_temperature(reading)
        }
        _ => false,
    }
}

/// Whether a fault may be the reason for a reading of zero, such as a power.
#[must_use]
pub fn may_hide_a_fault(reading: &Reading) -> bool {
    may_be_spoilt(reading.register) && is_zero(reading)
}

fn is_broken_temperature(reading: &Reading) -> bool {
    reading.unit == Unit::CELSIUS && (is_zero(reading) || is_broken_wire(reading))
}

fn is_broken_wire(reading: &Reading) -> bool {
    matches!(&reading.value, Value::Number(number) if *number >= BROKEN_WIRE)
}

/// t1 - t2, if both were read.
fn difference_of_pipes(readings: &[Reading]) -> Option<Decimal> {
    let [t1, t2] = PIPES.map(|register| {
        let reading = readings.iter().find(|reading| reading.register == register)?;
        match &reading.value {
            Value::Number(number) if reading.unit == Unit::CELSIUS => Some(*number),
            _ => None,
        }
    });
    t1?.checked_sub(t2?)
}

fn is_zero(reading: &Reading) -> bool {
    matches!(&reading.value, Value::Number(number) if number.is_zero())
}

#[cfg(test)]
mod tests {
    use kmp::model::Model;
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: u16, unit: Unit, value: i64, places: u32, length: u8) -> Reading {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(register);
        let value = RegisterValue::from_decimal(register, unit, value, length).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn one_of(models: &[Model]) -> Identity {
        Identity { models: models.to_vec(), ..Identity::default() }
    }

    fn celsius(register: u16, hundredths: i64) -> Reading {
        reading(register, Unit::CELSIUS, hundredths, 2, 2)
    }

    fn code(register: u16, code: i64, length: u8) -> Reading {
        reading(register, Unit::NUMBER, code, 0, length)
    }

    fn is_spoilt(condition: &Condition, reading: &Reading) -> bool {
        !condition.spoilt(std::slice::from_ref(reading)).is_empty()
    }

    fn spoilt(condition: &Condition, readings: &[Reading]) -> Vec<u16> {
        condition.spoilt(readings).iter().map(|(register, _)| register.get()).collect()
    }

    #[test]
    fn the_values_of_a_broken_sensor_are_suspicious() {
        let is_suspicious = |reading: &Reading| is_suspicious(reading, &[]);
        assert!(is_suspicious(&celsius(86, 0)));
        assert!(is_suspicious(&celsius(87, 18_500)));
        assert!(!is_suspicious(&celsius(86, 1)));
        assert!(!is_suspicious(&celsius(86, 18_499)));
        assert!(!is_suspicious(&celsius(86, -100)));
        // A monthly average is not a present temperature.
        assert!(!is_suspicious(&celsius(149, 0)));
        assert!(!is_suspicious(&reading(80, Unit::KILOWATT, 0, 1, 2)));
        let no_difference = reading(89, Unit::KELVIN, 0, 2, 2);
        assert!(is_suspicious(&no_difference));
        // In summer, both pipes are equally warm.
        assert!(!super::is_suspicious(&no_difference, &[celsius(86, 2_500), celsius(87, 2_500)]));
        assert!(super::is_suspicious(&no_difference, &[celsius(86, 2_500), celsius(87, 2_400)]));
    }

    #[test]
    fn the_info_code_shows_which_values_are_spoilt() {
        let poll = [
            celsius(86, 18_500),
            celsius(87, 4_000),
            reading(89, Unit::KELVIN, 0, 2, 2),
            reading(80, Unit::KILOWATT, 0, 1, 2),
            reading(74, Unit::LITRE_PER_HOUR, 0, 0, 2),
            reading(60, Unit::KILOWATT_HOUR, 81_947, 0, 4),
            code(99, 8, 2),
        ];
        let condition = Condition::of(&poll, &one_of(&[Model::Multical403])).unwrap();
        assert_eq!(
            condition.to_string(),
            "info code 8: supply temperature sensor t1 above its range, or disconnected"
        );
        assert_eq!(spoilt(&condition, &poll), [86, 89, 80, 74]);
        // A measured flow is right. The values calculated from the temperature are not.
        let mut poll = poll;
        poll[2] = reading(89, Unit::KELVIN, 14_500, 2, 2);
        poll[4] = reading(74, Unit::LITRE_PER_HOUR, 128, 0, 2);
        assert_eq!(spoilt(&condition, &poll), [86, 89, 80]);
    }

    #[test]
    fn the_meaning_depends_on_the_model() {
        let words = |model, register, number, length| {
            let code = code(register, number, length);
            Condition::of(&[code], &one_of(&[model])).unwrap().to_string()
        };
        assert_eq!(
            words(Model::Multical602, 99, 8, 4),
            "info code 8: supply temperature sensor T1 outside its range"
        );
        assert_eq!(words(Model::Multical602, 99, 0, 4), "info code 0: no fault");
        assert_eq!(
            words(Model::Multical302, 99, 8, 1),
            "info code 8, whose meaning depends on the model"
        );
        assert_eq!(
            words(Model::Multical603, 369, 0x0001_0000, 4),
            "info code 65536: no data from flow sensor V1"
        );
    }

    #[test]
    fn of_two_registers_the_one_with_a_fault_is_used() {
        let models = one_of(&[Model::Multical603]);
        let of = |bits, number| {
            Condition::of(&[code(369, bits, 4), code(99, number, 2)], &models).unwrap().code
        };
        assert_eq!((of(0, 0), of(8, 0), of(0, 8), of(0x10008, 8)), (0, 8, 8, 0x10008));
        assert_eq!(Condition::of(&[code(60, 1, 4)], &models), None);
    }

    /// A 403 is configured as a 402: 16 is t2 on a 403, and V1 on a 402.
    #[test]
    fn a_wrong_model_does_not_hide_a_broken_sensor() {
        let condition = Condition::of(&[code(99, 16, 2)], &one_of(&[Model::Multical402])).unwrap();
        assert_eq!(spoilt(&condition, &[celsius(87, 18_500), celsius(86, 6_700)]), [87]);
    }

    /// "The difference is invalid" says nothing about the two temperatures.
    #[test]
    fn an_invalid_difference_spoils_the_values_calculated_from_it() {
        let condition = Condition::of(&[code(99, 128, 2)], &one_of(&[Model::Multical403])).unwrap();
        let [difference, power] =
            [reading(89, Unit::KELVIN, 0, 2, 2), reading(80, Unit::KILOWATT, 0, 1, 2)];
        let poll = [celsius(86, 2_000), celsius(87, 6_000), difference.clone(), power.clone()];
        assert_eq!(spoilt(&condition, &poll), [89, 80]);
        // In a house that takes no heat it is right.
        let poll = [celsius(86, 2_000), celsius(87, 2_000), difference];
        assert_eq!(spoilt(&condition, &poll), [0; 0]);
        // A value other than zero is right.
        let poll =
            [celsius(86, 2_000), celsius(87, 6_000), reading(89, Unit::KELVIN, -4_000, 2, 2)];
        assert_eq!(spoilt(&condition, &poll), [0; 0]);
    }

    /// 8 is t1 on a 402 and on a 403, 4 is t2 on a 402 and an alarm on a 403.
    #[test]
    fn if_models_disagree_no_code_is_explained_and_zeros_are_withheld() {
        let no_power = reading(80, Unit::KILOWATT, 0, 1, 2);
        let no_flow = reading(74, Unit::LITRE_PER_HOUR, 0, 0, 2);
        let assumed = Identity { certainty: Certainty::Assumed, ..one_of(&[Model::Multical402]) };
        for identity in [one_of(&[Model::Multical403, Model::Multical402]), assumed] {
            let condition = Condition::of(&[code(99, 4, 2)], &identity).unwrap();
            assert_eq!(condition.meanings, None);
            assert_eq!(condition.to_string(), "info code 4, whose meaning depends on the model");
            assert!(is_spoilt(&condition, &no_power));
            assert!(is_spoilt(&condition, &no_flow));
            assert!(is_spoilt(&condition, &celsius(87, 18_500)));
            // Measured values may be right.
            assert!(!is_spoilt(&condition, &celsius(87, 4_000)));
            assert!(!is_spoilt(&condition, &reading(80, Unit::KILOWATT, 12, 1, 2)));
            // Not a sensor: on all of them it is the supply voltage.
            let condition = Condition::of(&[code(99, 1, 2)], &identity).unwrap();
            assert!(!is_spoilt(&condition, &no_power));
        }
    }

    #[test]
    fn without_a_table_only_suspicious_values_are_withheld() {
        let condition = Condition::of(&[code(99, 2, 2)], &one_of(&[])).unwrap();
        assert_eq!(condition.meanings, None);
        assert_eq!(spoilt(&condition, &[celsius(86, 0), celsius(87, 4_000)]), [86]);
        let fine = Condition::of(&[code(99, 0, 2)], &one_of(&[])).unwrap();
        assert_eq!(spoilt(&fine, &[celsius(86, 0)]), [0; 0]);
    }

    /// The 603's bits are known only from other meters, so measured values are published whatever
    /// the code names.
    #[test]
    fn a_code_alone_withholds_no_sound_value() {
        let measured = [
            celsius(86, 654),
            celsius(87, 1_174),
            reading(89, Unit::KELVIN, -520, 2, 2),
            reading(80, Unit::KILOWATT, 3, 1, 2),
            reading(74, Unit::LITRE_PER_HOUR, 12, 0, 2),
            reading(75, Unit::LITRE_PER_HOUR, 12, 0, 2),
            celsius(88, 2_000),
        ];
        for model in Model::ALL {
            for bit in 0..32 {
                let code = 1_i64 << bit;
                let condition = Condition::of(
                    &[self::code(99, code, 4), self::code(369, code, 4)],
                    &one_of(&[model]),
                );
                let Some(condition) = condition else { continue };
                assert_eq!(spoilt(&condition, &measured), [0; 0], "{model}: {condition}");
            }
        }
        // Frost, with a fault that is not of a temperature sensor.
        let condition = Condition::of(&[code(99, 1, 2)], &one_of(&[Model::Multical603])).unwrap();
        assert_eq!(spoilt(&condition, &[celsius(86, 0), celsius(87, 100)]), [0; 0], "{condition}");
        let condition = Condition::of(&[code(99, 32, 2)], &one_of(&[Model::Multical603])).unwrap();
        assert!(condition.concerns_sensors(), "{condition}");
        // A meter that counts nothing, with a fault that is not of a sensor.
        let idle = [
            celsius(86, 2_500),
            celsius(87, 2_500),
            reading(89, Unit::KELVIN, 0, 2, 2),
            reading(80, Unit::KILOWATT, 0, 1, 2),
            reading(74, Unit::LITRE_PER_HOUR, 0, 0, 2),
        ];
        let condition = Condition::of(&[code(99, 1, 2)], &one_of(&[Model::Multical403])).unwrap();
        assert_eq!(spoilt(&condition, &idle), [0; 0], "{condition}");
        // A fault of a sensor that works again withholds nothing either.
        let condition = Condition::of(&[code(99, 8, 2)], &one_of(&[Model::Multical403])).unwrap();
        assert_eq!(spoilt(&condition, &idle), [0; 0], "{condition}");
    }

    /// Zeros of a meter whose temperatures are not configured.
    #[test]
    fn the_registers_that_would_decide_are_requested() {
        let condition = Condition::of(&[code(99, 8, 2)], &one_of(&[Model::Multical403])).unwrap();
        let mut poll = vec![
            reading(80, Unit::KILOWATT, 0, 1, 2),
            reading(74, Unit::LITRE_PER_HOUR, 0, 0, 2),
            reading(60, Unit::KILOWATT_HOUR, 81_947, 0, 4),
        ];
        assert_eq!(condition.evidence(&poll), [TEMPERATURE_1]);
        assert_eq!(spoilt(&condition, &poll), [80, 74]);
        poll.push(celsius(86, 2_500));
        assert_eq!((condition.evidence(&poll), spoilt(&condition, &poll)), (vec![], vec![]));
        poll.pop();
        poll.push(celsius(86, 18_500));
        assert_eq!(spoilt(&condition, &poll), [86, 80, 74]);
    }
}
