//! The answers of a simulated meter.

use std::collections::{BTreeMap, BTreeSet};

use kmp::message::{MeterType, SerialNumber, SoftwareRevision};
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;

use super::energy_unit::EnergyUnit;

/// The answers of a simulated meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers {
    /// The answer to `GetType`.
    pub meter_type: MeterType,
    /// The answer to `GetSerialNo`.
    pub serial: SerialNumber,
    /// The answers to `GetRegister`. The meter has no other registers.
    pub values: BTreeMap<RegisterId, RegisterValue>,
    /// Registers that silence the meter: it does not answer a request that contains one of them. A
    /// MULTICAL 403 has such registers (public repository `cenobitedk/esphome_multical402`, issue
    /// 5).
    pub silencing: BTreeSet<RegisterId>,
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

    /// A house in winter, with every value of the older program. Its counters have grown for
    /// `minutes` minutes since their start values.
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
        let supply = wave(6_725, 31);
        let return_flow = wave(2_691, 12);
        let numbers = [
            (60, energy, energy_places, unit, 4),
            (68, run(191_757, 3), 2, Unit::CUBIC_METRE, 4),
            (74, wave(128, 9), 0, Unit::LITRE_PER_HOUR, 2),
            (80, wave(64, 3), 1, Unit::KILOWATT, 2),
            (86, supply, 2, Unit::CELSIUS, 2),
            (87, return_flow, 2, Unit::CELSIUS, 2),
            (89, supply.saturating_sub(return_flow), 2, Unit::KELVIN, 2),
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
            // The lower digits of the energy in Wh, like a 403.
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

    /// Adds a register, or changes its value.
    pub fn insert(&mut self, value: RegisterValue) {
        self.values.insert(value.register, value);
    }
}
