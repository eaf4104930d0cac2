//! Reads registers from YAML.

use std::collections::BTreeMap;

use jiff::civil;
use kmp::message::{MeterType, SerialNumber, SoftwareRevision};
use kmp::number::SignExponent;
use kmp::register::{Register, RegisterId};
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use thiserror::Error;

use super::content::Registers;
use crate::encode::{digits, seven_bytes};

/// Why a text with registers is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistersError {
    /// The entry of a register is invalid.
    #[error("`{register}`: {problem}; expected {expected}")]
    Register {
        /// The name, exactly as in the text.
        register: String,
        /// The problem, with what was found.
        problem: String,
        /// The accepted values.
        expected: String,
    },
    /// There is no register of this name.
    #[error(
        "`{register}`: there is no register of this name; expected the name of a value, a register \
         number, `GetType` or `GetSerialNo`"
    )]
    Name {
        /// The name, exactly as in the text.
        register: String,
    },
    /// There is no unit with this symbol.
    #[error("`{register}`: there is no unit `{unit}`; expected {VALUE}")]
    Unit {
        /// The name of the register, exactly as in the text.
        register: String,
        /// The unit, exactly as in the text.
        unit: String,
    },
    /// The text is not YAML, or does not have this structure.
    #[error("line {line}: {message}; expected lines like `energy: 55.006 MWh`")]
    File {
        /// The line, from 1; 0 if it is not known.
        line: u64,
        /// The message of the parser.
        message: String,
    },
}

impl Registers {
    /// An example for [`from_yaml`](Self::from_yaml) that shows all possible entries.
    pub const YAML_EXAMPLE: &str = include_str!("example.yaml");

    /// Reads registers from YAML: names or numbers with their values.
    ///
    #[doc = concat!("```yaml\n", include_str!("example.yaml"), "```")]
    pub fn from_yaml(text: &str) -> Result<Self, RegistersError> {
        let mut registers = Self::empty();
        registers.replace_from_yaml(text)?;
        Ok(registers)
    }

    /// Changes registers with YAML as for [`from_yaml`](Self::from_yaml). After an error, nothing
    /// is changed.
    pub fn replace_from_yaml(&mut self, text: &str) -> Result<(), RegistersError> {
        let mut changed = self.clone();
        let mut seen = BTreeMap::new();
        for (name, text) in &lines(text)? {
            let error = |problem, expected: &str| RegistersError::Register {
                register: name.clone(),
                problem,
                expected: expected.to_owned(),
            };
            let wrong = |expected| error(format!("`{text}` is invalid"), expected);
            if name == "GetType" {
                changed.meter_type = meter_type(text).ok_or_else(|| wrong(METER_TYPE))?;
                continue;
            }
            if name == "GetSerialNo" {
                let serial = text.parse().map_err(|_| wrong(SERIAL))?;
                changed.serial = SerialNumber::new(serial);
                continue;
            }
            let id = register_id(name)?;
            if let Some(earlier) = seen.insert(id, name) {
                let problem = format!("register {id} is already set by `{earlier}`");
                return Err(error(problem, "each register once"));
            }
            let entry = entry(id, text).ok_or_else(|| match unknown_unit(text) {
                Some(unit) => RegistersError::Unit { register: name.clone(), unit },
                None => wrong(VALUE),
            })?;
            changed.silencing.remove(&id);
            changed.values.remove(&id);
            match entry {
                Entry::Value(value) => changed.insert(value),
                Entry::Silent => {
                    changed.silencing.insert(id);
                }
                Entry::Absent => {}
            }
        }
        *self = changed;
        Ok(())
    }
}

const METER_TYPE: &str = "a type code and a software revision, like `0x0403 A2`";
const SERIAL: &str = "a number from 0 to 4294967295";
pub(super) const VALUE: &str = "a number and its unit like `55.006 MWh` or `-0.82 K in 2 bytes`, a plain number, \
     a date like `2026-01-31` or `12-31`, a time like `10:30:00` or `2026-01-31T10:30:00`, text like \
     `02K52AC1A7CZ ASCII`, `silent`, or `absent`";

/// The keys and their values, exactly as in the text.
fn lines(text: &str) -> Result<BTreeMap<String, String>, RegistersError> {
    let options = || serde_saphyr::options! { with_snippet: false };
    let read: Result<BTreeMap<String, Option<String>>, _> =
        serde_saphyr::from_str_with_options(text, options());
    let error = match read {
        Ok(lines) => {
            return lines
                .into_iter()
                .map(|(name, text)| match text {
                    Some(text) => Ok((name, text)),
                    None => Err(wrong_shape(name, "the value is missing")),
                })
                .collect();
        }
        Err(error) => error,
    };
    // For a value of another shape, the parser reports only the line. A second pass finds the key.
    let entries: BTreeMap<String, serde_json::Value> =
        serde_saphyr::from_str_with_options(text, options()).unwrap_or_default();
    for (name, value) in entries {
        if value.is_array() {
            return Err(wrong_shape(name, "a list is invalid"));
        }
        if value.is_object() {
            return Err(wrong_shape(name, "nested keys are invalid"));
        }
    }
    let message = error.to_string();
    // The parser adds hints for programmers.
    let message = message.split(" at line ").next().unwrap_or(&message);
    let message = message.split(", set ").next().unwrap_or(message);
    let message = message.replace("expected mapping start", "this is not a name with a value");
    let line = error.location().map_or(0, |location| location.line());
    Err(RegistersError::File { line, message })
}

fn wrong_shape(register: String, problem: &str) -> RegistersError {
    RegistersError::Register { register, problem: problem.to_owned(), expected: VALUE.to_owned() }
}

fn register_id(name: &str) -> Result<RegisterId, RegistersError> {
    if let Some(register) = Register::by_key(name) {
        return Ok(register.id);
    }
    name.parse().map_err(|_| RegistersError::Name { register: name.to_owned() })
}

/// The unit of a number, if there is none with this symbol.
fn unknown_unit(text: &str) -> Option<String> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = unit.split_once(" in ").map_or(unit, |(unit, _)| unit).trim();
    let is_number = number.parse::<Decimal>().is_ok();
    let is_unknown = Unit::from_symbol(unit).is_none() && !unit.starts_with("unit ");
    let is_one_word = !unit.is_empty() && !unit.contains(' ');
    (is_number && is_unknown && is_one_word && unit != "ASCII").then(|| unit.to_owned())
}

/// Parses `0x0403 A2`.
fn meter_type(text: &str) -> Option<MeterType> {
    let (code, revision) = text.split_once(' ')?;
    let code = u16::try_from(integer(code)?).ok()?;
    let (letter, number) = revision.trim().split_at_checked(1)?;
    let letter = letter.bytes().next().filter(u8::is_ascii_uppercase)?;
    let letter = letter.checked_sub(b'A')?.checked_add(1)?;
    Some(MeterType { code, revision: SoftwareRevision { letter, number: number.parse().ok()? } })
}

/// The meter's reaction to a request for a register.
enum Entry {
    Value(RegisterValue),
    Silent,
    Absent,
}

fn entry(id: RegisterId, text: &str) -> Option<Entry> {
    let text = text.trim();
    match text {
        "silent" => return Some(Entry::Silent),
        "absent" => return Some(Entry::Absent),
        _ => {}
    }
    let stated = text.rsplit_once(" in ").and_then(|(content, length)| {
        let length = length.strip_suffix(" bytes").or(length.strip_suffix(" byte"))?;
        Some((content.trim(), length.trim().parse::<u8>().ok()?))
    });
    let (content, length) =
        stated.map_or((text, None), |(content, length)| (content, Some(length)));
    let bytes = |unit, bytes: Vec<u8>| {
        RegisterValue::new(id, unit, SignExponent::from_byte(0), bytes).map(Entry::Value)
    };
    if let Some(shown) = content.strip_suffix(" ASCII") {
        let mut shown = shown.trim().as_bytes().to_vec();
        let length = length.map_or(shown.len(), usize::from);
        if !shown.is_ascii() || shown.len() > length {
            return None;
        }
        // Text is padded with zeros.
        shown.resize(length, 0);
        return bytes(Unit::ASCII, shown);
    }
    let (first, unit) =
        content.split_once(' ').map_or((content, ""), |(first, rest)| (first, rest.trim()));
    if first.contains('T') {
        let offset = match unit.strip_prefix('+') {
            Some(minutes) => minutes.strip_suffix("min")?.trim().parse().ok()?,
            None if unit.is_empty() => 0,
            None => return None,
        };
        let at = seven_bytes(first.parse().ok()?, offset)?;
        let fits = length.is_none_or(|length| usize::from(length) == at.len());
        return bytes(Unit::DATE_TIME, at.to_vec()).filter(|_| fits);
    }
    let length = length.unwrap_or(4);
    let value = match calendar(first, unit) {
        Some((digits, unit)) => RegisterValue::from_decimal(id, unit, digits, length).ok(),
        None => number(id, first, unit, length),
    };
    value.map(Entry::Value)
}

/// Converts a date or a time of day to the number of its digits, with its unit.
fn calendar(text: &str, unit: &str) -> Option<(Decimal, Unit)> {
    let parts = |separator| -> Option<Vec<i16>> {
        let part = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        text.split(separator).map(part).collect()
    };
    let (parts, default) = match (parts('-').as_deref(), parts(':').as_deref()) {
        (Some(&[year, month, day]), _) => {
            civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()?;
            ([year, month, day], Unit::DATE_YYMMDD)
        }
        (Some(&[month, day]), _) => {
            // In a leap year, 29 February is valid.
            civil::Date::new(2000, month.try_into().ok()?, day.try_into().ok()?).ok()?;
            ([0, month, day], Unit::DATE_MMDD)
        }
        (_, Some(&[hour, minute, second])) => {
            let [hours, minutes, seconds] = [hour, minute, second].map(i8::try_from);
            civil::Time::new(hours.ok()?, minutes.ok()?, seconds.ok()?, 0).ok()?;
            ([hour, minute, second], Unit::CLOCK)
        }
        _ => return None,
    };
    let unit = if unit.is_empty() { default } else { Unit::from_symbol(unit)? };
    let [first, second, third] = parts;
    let first = match (default, unit) {
        (Unit::DATE_YYMMDD, Unit::DATE_YYMMDD) => {
            first.checked_sub(2000).filter(|year| (0..100).contains(year))?
        }
        (Unit::DATE_YYMMDD, Unit::DATE_YYYYMMDD) => first,
        (default, unit) if default == unit => first,
        _ => return None,
    };
    Some((digits(&[first, second, third]).into(), unit))
}

fn number(id: RegisterId, text: &str, unit: &str, length: u8) -> Option<RegisterValue> {
    let unit = match unit.strip_prefix("unit ") {
        Some(code) => Unit::from_code(code.trim().parse().ok()?),
        None if unit.is_empty() => Unit::NUMBER,
        None => Unit::from_symbol(unit)?,
    };
    if text.starts_with("0x") {
        return RegisterValue::from_decimal(id, unit, integer(text)?.into(), length).ok();
    }
    // `12e3` keeps its exponent: mantissa 12, exponent 3.
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().ok()?),
        None => (text, 0),
    };
    let digits: Decimal = digits.parse().ok()?;
    let value = RegisterValue::from_decimal(id, unit, digits, length).ok()?;
    let exponent = value.sign_exponent.exponent().checked_add(exponent)?;
    let sign_exponent = SignExponent::new(value.sign_exponent.is_negative(), exponent)?;
    RegisterValue::new(id, unit, sign_exponent, value.mantissa().to_vec())
}

/// Parses a decimal number or, after `0x`, a hexadecimal one.
fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        // `from_str_radix` would accept a sign.
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
