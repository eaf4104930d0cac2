use std::collections::BTreeSet;

use kmp::message::{MeterType, SerialNumber};
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value};

use super::yaml::VALUE;
use super::{EnergyUnit, Registers};
use crate::Model;

/// Every value as a reader decodes it, with its number of bytes.
fn shown(registers: &Registers) -> Vec<String> {
    let line = |value: &RegisterValue| {
        let length = value.mantissa().len();
        let shown = value.value().map_or_else(|error| error.to_string(), |v| v.to_string());
        format!("{} = {shown} {} [{length}]", value.register, value.unit)
    };
    registers.values.values().map(line).collect()
}

fn one(line: &str) -> String {
    let registers = Registers::from_yaml(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    shown(&registers).join("")
}

#[test]
fn registers_are_read_from_yaml() {
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
fn the_example_shows_all_possible_entries() {
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
fn dates_times_and_texts_may_have_several_forms() {
    for (line, expected) in [
        ("123: 2026-1-5", "123 = 2026-01-05 yy:mm:dd [4]"),
        ("123: 2026-01-05 in 3 bytes", "123 = 2026-01-05 yy:mm:dd [3]"),
        ("123: 2126-01-05 yyyy:mm:dd", "123 = 2126-01-05 yyyy:mm:dd [4]"),
        ("123: 0 yy:mm:dd", "123 = the meter has not set this value yet yy:mm:dd [4]"),
        ("98: 02-29 mm:dd in 2 bytes", "98 = 02-29 mm:dd [2]"),
        ("1002: 00:00:00", "1002 = 00:00:00 hh:mm:ss [4]"),
        ("348: 2026-07-04T23:30:00 +60 min", "348 = 2026-07-05T00:30:00 DST yy-mm-dd hh:mm:ss [7]"),
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
fn invalid_registers_are_reported() {
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
    let shortened = |error: String| error.replace(VALUE, "(a value)");
    insta::assert_snapshot!(errors.map(shortened).join("\n"));
    let error = Registers::from_yaml("energy: 5 kwh").unwrap_err().to_string();
    assert!(error.starts_with("`energy`: there is no unit `kwh`; expected a number"), "{error}");
}

#[test]
fn a_file_replaces_and_adds_registers_of_a_model() {
    let mut registers = Registers::model(Model::Multical403, EnergyUnit::MegawattHour, 0);
    let before = registers.clone();
    // An error changes nothing.
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
fn yaml_can_describe_every_model() {
    for model in Model::ALL {
        for energy in [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule] {
            for minutes in [0, 1_000] {
                let registers = Registers::model(model, energy, minutes);
                let again = Registers::from_yaml(&yaml(&registers)).unwrap();
                assert_eq!(shown(&again), shown(&registers));
                assert_eq!(again, registers, "{model:?}");
            }
        }
    }
}
