use std::collections::{BTreeMap, BTreeSet};

use jiff::civil;
use kmp::message::{MeterType, SerialNumber, SoftwareRevision};
use kmp::number::SignExponent;
use kmp::register::{Register, RegisterId};
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use thiserror::Error;

use super::encode::{digits, seven_bytes};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnergyUnit {
    /// Whole kWh.
    KilowattHour,
    /// MWh with three decimal places.
    MegawattHour,
    /// GJ with two decimal places.
    Gigajoule,
}

impl EnergyUnit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KilowattHour, Self::MegawattHour, Self::Gigajoule];

    /// The name that a user writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KilowattHour => "kWh",
            Self::MegawattHour => "MWh",
            Self::Gigajoule => "GJ",
        }
    }

    /// How it counts in it, for a list of units.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::KilowattHour => "Whole kWh",
            Self::MegawattHour => "MWh with three decimal places",
            Self::Gigajoule => "GJ with two decimal places",
        }
    }
}

/// Registers that are written down cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistersError {
    /// The value of one.
    #[error("`{register}`: found {found}, accepted: {accepted}")]
    Register {
        /// Its name, as it was written.
        register: String,
        /// What stood there.
        found: String,
        /// What would do.
        accepted: String,
    },
    /// The file is no YAML, or not of this shape.
    #[error("line {line}: {message}; accepted: lines like `energy: 55.006 MWh`")]
    File {
        /// Where.
        line: u64,
        /// What the parser says.
        message: String,
    },
}

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
            // The lower digits of the energy in Wh, as a 403 has them.
            (266, run(1_947_612, 1_000) % 10_000_000, 0, Unit::WATT_HOUR, 4),
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

    /// What [`from_yaml`](Self::from_yaml) reads, with everything that can be said.
    pub const YAML_EXAMPLE: &str = include_str!("example.yaml");

    /// Reads registers from YAML: names or numbers, and what they hold.
    ///
    #[doc = concat!("```yaml\n", include_str!("example.yaml"), "```")]
    pub fn from_yaml(text: &str) -> Result<Self, RegistersError> {
        let mut registers = Self::empty();
        registers.replace_from_yaml(text)?;
        Ok(registers)
    }

    /// Reads registers as [`from_yaml`](Self::from_yaml) does, in place of those that are there.
    /// Nothing changes where the text has a mistake.
    pub fn replace_from_yaml(&mut self, text: &str) -> Result<(), RegistersError> {
        let mut changed = self.clone();
        let mut seen = BTreeMap::new();
        for (name, text) in &lines(text)? {
            let error = |found, accepted: &str| RegistersError::Register {
                register: name.clone(),
                found,
                accepted: accepted.to_owned(),
            };
            let wrong = |accepted| error(format!("`{text}`"), accepted);
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
                let found = format!("register {id}, which is also `{earlier}`");
                return Err(error(found, "each register once"));
            }
            let holding = holding(id, text).ok_or_else(|| wrong(VALUE))?;
            changed.silencing.remove(&id);
            changed.values.remove(&id);
            match holding {
                Holding::Value(value) => changed.insert(value),
                Holding::Silent => {
                    changed.silencing.insert(id);
                }
                Holding::Absent => {}
            }
        }
        *self = changed;
        Ok(())
    }
}

const METER_TYPE: &str = "type code and software revision, like `0x0403 A2`";
const SERIAL: &str = "a number from 0 to 4294967295";
const VALUE: &str = "a number and its unit like `55.006 MWh` or `-0.82 K in 2 bytes`, a plain number, \
     a date like `2026-01-31` or `12-31`, a time like `10:30:00` or `2026-01-31T10:30:00`, text like \
     `02K52AC1A7CZ ASCII`, `silent`, or `absent`";

/// The keys and their values, as they were written.
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
                    None => Err(wrong_shape(name, "nothing")),
                })
                .collect();
        }
        Err(error) => error,
    };
    // Such a value is known by its line alone; whose it is, a second look tells.
    let entries: BTreeMap<String, serde_json::Value> =
        serde_saphyr::from_str_with_options(text, options()).unwrap_or_default();
    for (name, value) in entries {
        if value.is_array() {
            return Err(wrong_shape(name, "a list"));
        }
        if value.is_object() {
            return Err(wrong_shape(name, "keys under it"));
        }
    }
    let message = error.to_string();
    // What follows is for those who program with the library.
    let message = message.split(" at line ").next().unwrap_or(&message);
    let message = message.split(", set ").next().unwrap_or(message);
    let message = message.replace("expected mapping start", "found no name with a value");
    let line = error.location().map_or(0, |location| location.line());
    Err(RegistersError::File { line, message })
}

fn wrong_shape(register: String, found: &str) -> RegistersError {
    RegistersError::Register { register, found: found.to_owned(), accepted: VALUE.to_owned() }
}

fn register_id(name: &str) -> Result<RegisterId, RegistersError> {
    if let Some(register) = Register::by_key(name) {
        return Ok(register.id);
    }
    name.parse().map_err(|_| RegistersError::Register {
        register: name.to_owned(),
        found: "a name that no register has".to_owned(),
        accepted: "the name of a value, a register number, `GetType` or `GetSerialNo`".to_owned(),
    })
}

/// `0x0403 A2`
fn meter_type(text: &str) -> Option<MeterType> {
    let (code, revision) = text.split_once(' ')?;
    let code = u16::try_from(integer(code)?).ok()?;
    let (letter, number) = revision.trim().split_at_checked(1)?;
    let letter = letter.bytes().next().filter(u8::is_ascii_uppercase)?;
    let letter = letter.checked_sub(b'A')?.checked_add(1)?;
    Some(MeterType { code, revision: SoftwareRevision { letter, number: number.parse().ok()? } })
}

/// What the meter does when it is asked for a register.
enum Holding {
    Value(RegisterValue),
    Silent,
    Absent,
}

fn holding(id: RegisterId, text: &str) -> Option<Holding> {
    let text = text.trim();
    match text {
        "silent" => return Some(Holding::Silent),
        "absent" => return Some(Holding::Absent),
        _ => {}
    }
    let stated = text.rsplit_once(" in ").and_then(|(content, length)| {
        let length = length.strip_suffix(" bytes").or(length.strip_suffix(" byte"))?;
        Some((content.trim(), length.trim().parse::<u8>().ok()?))
    });
    let (content, length) =
        stated.map_or((text, None), |(content, length)| (content, Some(length)));
    let bytes = |unit, bytes: Vec<u8>| {
        RegisterValue::new(id, unit, SignExponent::from_byte(0), bytes).map(Holding::Value)
    };
    if let Some(shown) = content.strip_suffix(" ASCII") {
        let mut shown = shown.trim().as_bytes().to_vec();
        let length = length.map_or(shown.len(), usize::from);
        if !shown.is_ascii() || shown.len() > length {
            return None;
        }
        // What is not needed of a text is zero.
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
    value.map(Holding::Value)
}

/// A date or a time of day as a number of digits, and its unit.
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
            // A leap year, so that 29 February is a day.
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

/// Decimal or, after `0x`, hexadecimal.
fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use kmp::value::Value;

    use super::*;
    use crate::Model;

    /// Every value, as a reader has it, with its number of bytes.
    fn shown(registers: &Registers) -> Vec<String> {
        let line = |value: &RegisterValue| {
            let length = value.mantissa().len();
            let shown = value.value().map_or_else(|error| error.to_string(), |v| v.to_string());
            format!("{} = {shown} {} [{length}]", value.register, value.unit)
        };
        registers.values.values().map(line).collect()
    }

    fn one(line: &str) -> String {
        let registers =
            Registers::from_yaml(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        shown(&registers).join("")
    }

    #[test]
    fn registers_from_yaml() {
        let yaml = "energy: 55.006 MWh\n0x0059: -0.82 K in 2 bytes\n99: 0\n\
                    maxflowdate_y: 2026-01-31\n63: 12e3 kWh\n";
        let registers = Registers::from_yaml(yaml).unwrap();
        let expected = [
            "60 = 55.006 MWh [4]",
            "63 = 12000 kWh [4]",
            "89 = -0.82 K [2]",
            "99 = 0  [4]",
            "123 = 2026-01-31 yy:mm:dd [4]",
        ];
        assert_eq!(shown(&registers), expected);
        let id = RegisterId::new(63);
        assert_eq!(registers.values[&id].sign_exponent.exponent(), 3);
    }

    #[test]
    fn the_example_says_all_that_can_be_said() {
        let registers = Registers::from_yaml(Registers::YAML_EXAMPLE).unwrap();
        let expected = [
            "60 = 55.006 MWh [4]",
            "68 = 12000 l [4]",
            "89 = -0.82 K [2]",
            "98 = 12-31 mm:dd [4]",
            "99 = 0  [4]",
            "123 = 2026-01-31 yy:mm:dd [4]",
            "125 = 2026-01-31 yyyy:mm:dd [4]",
            "254 = 02K52AC1A7CZ ASCII [12]",
            "348 = 2026-07-04T03:14:00 DST yy-mm-dd hh:mm:ss [7]",
            "369 = 1048576  [4]",
            "515 = 7 unit 200 [4]",
            "1002 = 10:30:00 hh:mm:ss [4]",
        ];
        assert_eq!(shown(&registers), expected);
        assert_eq!(registers.silencing, BTreeSet::from([RegisterId::new(96)]));
        assert_eq!(registers.serial, SerialNumber::new(71_234_567));
        assert_eq!(registers.meter_type.code, 0x0403);
        assert_eq!(registers.meter_type.revision.to_string(), "A2");
    }

    #[test]
    fn dates_times_and_texts_in_all_their_forms() {
        for (line, expected) in [
            ("123: 2026-1-5", "123 = 2026-01-05 yy:mm:dd [4]"),
            ("123: 2026-01-05 in 3 bytes", "123 = 2026-01-05 yy:mm:dd [3]"),
            ("123: 2126-01-05 yyyy:mm:dd", "123 = 2126-01-05 yyyy:mm:dd [4]"),
            ("123: 0 yy:mm:dd", "123 = the meter has not set it yet yy:mm:dd [4]"),
            ("98: 02-29 mm:dd in 2 bytes", "98 = 02-29 mm:dd [2]"),
            ("1002: 00:00:00", "1002 = 00:00:00 hh:mm:ss [4]"),
            (
                "348: 2026-07-04T23:30:00 +60 min",
                "348 = 2026-07-05T00:30:00 DST yy-mm-dd hh:mm:ss [7]",
            ),
            (
                "348: 2026-07-04T23:30:00 in 7 bytes",
                "348 = 2026-07-04T23:30:00 DST yy-mm-dd hh:mm:ss [7]",
            ),
            ("254: put in 5 words ASCII in 20 bytes", "254 = put in 5 words ASCII [20]"),
            ("254: '12 ASCII'", "254 = 12 ASCII [2]"),
            ("5: 3 bit field in 1 byte", "5 = 3 bit field [1]"),
            ("5: 0xff unit 0 in 1 byte", "5 = 255  [1]"),
            ("5: -120e-3 kWh", "5 = -0.120 kWh [4]"),
            ("5: 07", "5 = 7  [4]"),
            ("5: 1e2", "5 = 100  [4]"),
        ] {
            assert_eq!(one(line), expected, "{line}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        let errors = [
            "enregy: 5 kWh",
            "energy: 5 kwh",
            "energy: five",
            "energy: 300 in 1 byte",
            "energy: 5 kWh in 300 bytes",
            "energy: 5 kWh in",
            "energy: [5]",
            "energy: {kWh: 5}",
            "energy:",
            "energy: 5 kWh\nenergy: 6 kWh",
            "energy: 5 kWh\n60: 6 kWh",
            "energy: 5: 6",
            "maxflowdate_y: 2026-02-30",
            "maxflowdate_y: 2126-01-31",
            "maxflowdate_y: 2026-01-31 mm:dd",
            "targetdate: 13-31",
            "clock: 24:00:00",
            "datetime: 2026-01-31T24:00:00",
            "datetime: 1999-12-31T00:00:00",
            "datetime: 2026-01-31T00:00:00 + 256 min",
            "datetime: 2026-01-31T00:00:00 in 4 bytes",
            "typeno_text: 02K52AC1A7CZ ASCII in 4 bytes",
            "typeno_text: Wärme ASCII",
            "5: 7 unit 256",
            "5: 0x+7",
            "5: 1e64",
            "GetType: 12",
            "GetType: 0x10000 A2",
            "GetType: 0x0403 2A",
            "GetSerialNo: 4294967296",
            "- 5",
            "five",
        ]
        .map(|yaml| {
            let error = Registers::from_yaml(yaml).unwrap_err();
            format!("{}\n    {error}", yaml.replace('\n', " / "))
        });
        let accepts = |error: String| error.replace(VALUE, "(a value)");
        insta::assert_snapshot!(errors.map(accepts).join("\n"));
        let error = Registers::from_yaml("energy: 5 kwh").unwrap_err().to_string();
        assert!(error.starts_with("`energy`: found `5 kwh`, accepted: a number"), "{error}");
    }

    #[test]
    fn a_file_replaces_and_adds_registers_of_a_model() {
        let mut registers = Registers::model(Model::Multical403, EnergyUnit::MegawattHour, 0);
        let before = registers.clone();
        // A mistake changes nothing.
        assert!(registers.replace_from_yaml("60: 1 kWh\n61: x").is_err());
        assert_eq!(registers, before);
        let yaml =
            "energy: 1.5 GJ\n4000: 27 in 1 byte\n96: 2.5 MWh\n68: silent\n74: absent\n155: absent";
        registers.replace_from_yaml(yaml).unwrap();
        let id = RegisterId::new;
        let changed: BTreeSet<_> = [60, 68, 74, 96, 4000].map(id).into();
        for register in before.values.keys().filter(|register| !changed.contains(register)) {
            assert_eq!(registers.values.get(register), before.values.get(register));
        }
        assert_eq!(registers.values.len(), before.values.len() + 2 - 2);
        assert_eq!(registers.values[&id(60)].value().unwrap().to_string(), "1.5");
        assert_eq!(registers.silencing, BTreeSet::from([id(68)]));
        assert_eq!((registers.serial, registers.meter_type), (before.serial, before.meter_type));
    }

    /// The YAML that gives these registers.
    fn yaml(registers: &Registers) -> String {
        let MeterType { code, revision } = registers.meter_type;
        let mut lines = vec![
            format!("GetType: {code:#06x} {revision}"),
            format!("GetSerialNo: {}", registers.serial),
        ];
        for value in registers.values.values() {
            let (id, bytes) = (value.register, value.mantissa());
            let content = match (value.value().unwrap(), bytes) {
                (Value::DateTime(_), [offset, year, month, day, hour, minute, second]) => format!(
                    "20{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02} + {offset} min"
                ),
                (Value::Text(text), _) => format!("{text} ASCII"),
                (Value::Number(number), _) if value.unit == Unit::NUMBER => number.to_string(),
                (other, _) => format!("{other} {}", value.unit),
            };
            lines.push(format!("{id}: {content} in {} bytes", bytes.len()));
        }
        lines.extend(registers.silencing.iter().map(|id| format!("{id}: silent")));
        lines.join("\n")
    }

    #[test]
    fn yaml_can_say_what_every_model_holds() {
        for model in Model::ALL {
            for energy in
                [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule]
            {
                for minutes in [0, 1_000] {
                    let registers = Registers::model(model, energy, minutes);
                    let again = Registers::from_yaml(&yaml(&registers)).unwrap();
                    assert_eq!(shown(&again), shown(&registers));
                    assert_eq!(again, registers, "{model:?}");
                }
            }
        }
    }
}
