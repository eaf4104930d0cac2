use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use kmp::message::{MeterType, SerialNumber, SoftwareRevision};
use kmp::number::SignExponent;
use kmp::register::{Register, RegisterId};
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use thiserror::Error;

/// What a simulated meter holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers {
    /// What it answers to `GetType`.
    pub meter_type: MeterType,
    /// What it answers to `GetSerialNo`.
    pub serial: SerialNumber,
    /// What it answers to `GetRegister`; it does not have other registers.
    pub values: BTreeMap<RegisterId, RegisterValue>,
    /// Registers that make it fall silent when they are asked for, as a MULTICAL 403 does
    /// (public repository `cenobitedk/esphome_multical402`, issue 5).
    pub silencing: BTreeSet<RegisterId>,
}

/// In which unit the simulated meter counts energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EnergyUnit {
    /// Whole kWh.
    #[value(name = "kWh", alias = "kwh")]
    KilowattHour,
    /// MWh with three decimal places.
    #[value(name = "MWh", alias = "mwh")]
    MegawattHour,
    /// GJ with two decimal places.
    #[value(name = "GJ", alias = "gj")]
    Gigajoule,
}

/// A register cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{register}`: found `{found}`, accepted: {accepted}")]
pub struct RegistersError {
    register: String,
    found: String,
    accepted: &'static str,
}

const VALUE: &str = "a number and its unit like `55.006 MWh` or `-0.82 K in 2 bytes`, a plain number, \
     or a date like `2026-01-31`";

impl Registers {
    /// A meter without registers.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            meter_type: MeterType {
                code: 0x0217,
                revision: SoftwareRevision { letter: 1, number: 2 },
            },
            serial: SerialNumber::new(12_345_678),
            values: BTreeMap::new(),
            silencing: BTreeSet::new(),
        }
    }

    /// A house in winter, `minutes` after some Monday morning: every value that has a name.
    #[must_use]
    pub fn example(energy: EnergyUnit, minutes: u32) -> Self {
        let mut registers = Self::empty();
        let run = |start: u32, step: u32| start.saturating_add(minutes.saturating_mul(step));
        let wave =
            |start: u32, spread: u32| start.saturating_add((minutes % 7).saturating_mul(spread));
        let (energy, energy_places, unit) = match energy {
            EnergyUnit::KilowattHour => (run(81_947, 1), 0, Unit::KILOWATT_HOUR),
            EnergyUnit::MegawattHour => (run(81_947, 1), 3, Unit::MEGAWATT_HOUR),
            EnergyUnit::Gigajoule => (run(29_501, 1), 2, Unit::GIGAJOULE),
        };
        let (temp1, temp2) = (wave(6_725, 31), wave(2_691, 12));
        let numbers = [
            (60, energy, energy_places, unit, 4),
            (68, run(191_757, 3), 2, Unit::CUBIC_METRE, 4),
            (74, wave(128, 9), 0, Unit::LITRE_PER_HOUR, 2),
            (80, wave(64, 3), 1, Unit::KILOWATT, 2),
            (86, temp1, 2, Unit::CELSIUS, 2),
            (87, temp2, 2, Unit::CELSIUS, 2),
            (89, temp1.saturating_sub(temp2), 2, Unit::KELVIN, 2),
            (97, run(128_953, 2), 0, Unit::CUBIC_METRE_CELSIUS, 4),
            (110, run(51_601, 1), 0, Unit::CUBIC_METRE_CELSIUS, 4),
            (113, 3, 0, Unit::NUMBER, 2),
            (123, 260_108, 0, Unit::DATE_YYMMDD, 4),
            (124, 981, 0, Unit::LITRE_PER_HOUR, 2),
            (125, 260_704, 0, Unit::DATE_YYMMDD, 4),
            (126, 0, 0, Unit::LITRE_PER_HOUR, 2),
            (127, 260_109, 0, Unit::DATE_YYMMDD, 4),
            (128, 312, 1, Unit::KILOWATT, 2),
            (129, 260_704, 0, Unit::DATE_YYMMDD, 4),
            (130, 0, 1, Unit::KILOWATT, 2),
            (138, 261_104, 0, Unit::DATE_YYMMDD, 4),
            (139, 245, 0, Unit::LITRE_PER_HOUR, 2),
            (140, 261_101, 0, Unit::DATE_YYMMDD, 4),
            (141, 0, 0, Unit::LITRE_PER_HOUR, 2),
            (142, 261_104, 0, Unit::DATE_YYMMDD, 4),
            (143, 96, 1, Unit::KILOWATT, 2),
            (144, 261_101, 0, Unit::DATE_YYMMDD, 4),
            (145, 0, 1, Unit::KILOWATT, 2),
            (146, 7_012, 2, Unit::CELSIUS, 2),
            (147, 3_051, 2, Unit::CELSIUS, 2),
            (149, 6_689, 2, Unit::CELSIUS, 2),
            (150, 2_733, 2, Unit::CELSIUS, 2),
            (266, run(6_655_807, 1), 0, Unit::WATT_HOUR, 4),
            (1004, run(54_888, 1), 0, Unit::HOUR, 4),
        ];
        for (id, number, places, unit, length) in numbers {
            let value = Decimal::new(number.into(), places);
            if let Ok(value) = RegisterValue::from_decimal(RegisterId::new(id), unit, value, length)
            {
                registers.insert(value);
            }
        }
        registers
    }

    /// Gives the meter a register, or another value to one that it has.
    pub fn insert(&mut self, value: RegisterValue) {
        self.values.insert(value.register, value);
    }

    /// Reads registers from YAML: names or numbers, and what they hold.
    ///
    /// ```yaml
    /// energy: 55.006 MWh
    /// tempdiff: -0.82 K in 2 bytes
    /// 0x0063: 0
    /// maxflowdate_y: 2026-01-31
    /// ```
    pub fn from_yaml(text: &str) -> Result<Self, anyhow::Error> {
        let options = serde_saphyr::options! { with_snippet: false };
        let lines: BTreeMap<String, String> = serde_saphyr::from_str_with_options(text, options)?;
        let mut registers = Self::empty();
        for (name, value) in &lines {
            registers.insert(register_value(name, value)?);
        }
        Ok(registers)
    }
}

fn register_value(name: &str, text: &str) -> Result<RegisterValue, RegistersError> {
    let error = |found: &str, accepted| RegistersError {
        register: name.to_owned(),
        found: found.to_owned(),
        accepted,
    };
    let id = match Register::by_key(name) {
        Some(register) => register.id,
        None => RegisterId::from_str(name)
            .map_err(|_| error(name, "the name of a value or a register number"))?,
    };
    let wrong = || error(text, VALUE);
    let words: Vec<&str> = text.split_whitespace().collect();
    let (number, unit, length) = match words[..] {
        [number] => (number, "", "4"),
        [number, unit] => (number, unit, "4"),
        [number, "in", length, "bytes" | "byte"] => (number, "", length),
        [number, unit, "in", length, "bytes" | "byte"] => (number, unit, length),
        _ => return Err(wrong()),
    };
    let length: u8 = length.parse().map_err(|_| wrong())?;
    let (unit, number) = match (unit, number.split('-').collect::<Vec<_>>().as_slice()) {
        ("", [year, month, day]) if year.len() == 4 => (
            Unit::DATE_YYMMDD,
            format!("{}{month:0>2}{day:0>2}", year.get(2..).unwrap_or_default()),
        ),
        ("", _) => (Unit::NUMBER, number.to_owned()),
        (unit, _) => (Unit::from_symbol(unit).ok_or_else(wrong)?, number.to_owned()),
    };
    // `12e3` keeps its exponent: mantissa 12, exponent 3.
    let (digits, exponent) = match number.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i8>().map_err(|_| wrong())?),
        None => (number.as_str(), 0),
    };
    let digits: Decimal = digits.parse().map_err(|_| wrong())?;
    let value = RegisterValue::from_decimal(id, unit, digits, length).map_err(|_| wrong())?;
    let exponent = value.sign_exponent.exponent().checked_add(exponent).ok_or_else(wrong)?;
    let sign_exponent =
        SignExponent::new(value.sign_exponent.is_negative(), exponent).ok_or_else(wrong)?;
    RegisterValue::new(id, unit, sign_exponent, value.mantissa().to_vec()).ok_or_else(wrong)
}
