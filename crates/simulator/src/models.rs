//! Models of meters with their known behaviour. All of them measure the same invented house.
//!
//! A model has the registers of its technical description. If none is published, the model has the
//! registers in public code and captures, with the units and lengths of captured frames. Guesses
//! are marked. For meters newer than the 601, nobody has published the answer to `GetType` and the
//! content of register 1005. These are invented, like all serial numbers and values.

use jiff::ToSpan;
use jiff::civil::{self, DateTime};
use kmp::message::{MeterType, SerialNumber, SoftwareRevision};
use kmp::number::SignExponent;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;

use crate::encode::{digits, seven_bytes};
use crate::registers::{EnergyUnit, Registers};

/// The model of a simulated meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// No particular meter: every value that the older Python program could read.
    Generic,
    /// MULTICAL 303: the registers of a 603, without its fault.
    Multical303,
    /// MULTICAL 402: every value in 4 bytes except the info code; answers leave out registers that
    /// it does not have.
    Multical402,
    /// MULTICAL 403: falls silent when it is asked for register 96 or 155; its high-resolution
    /// energy restarts from zero at 10,000,000 Wh.
    Multical403,
    /// MULTICAL 603: times in 7 bytes, text, a 32-bit info code, cooling energy; its sensor t3 is
    /// broken.
    Multical603,
    /// MULTICAL 21, a water meter, behind an optical head that sends each request back.
    Multical21,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 6] = [
        Self::Generic,
        Self::Multical303,
        Self::Multical402,
        Self::Multical403,
        Self::Multical603,
        Self::Multical21,
    ];

    /// The name that a user writes, like `403`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Multical303 => "303",
            Self::Multical402 => "402",
            Self::Multical403 => "403",
            Self::Multical603 => "603",
            Self::Multical21 => "21",
        }
    }

    /// A description for a list of models.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Generic => {
                "No particular meter: every value that the older Python program could read"
            }
            Self::Multical303 => {
                "MULTICAL 303: the registers of a 603, without its fault; keeps logs of hours, days, \
                 months and years"
            }
            Self::Multical402 => {
                "MULTICAL 402: every value in 4 bytes except the info code; answers leave out \
                 registers that it does not have"
            }
            Self::Multical403 => {
                "MULTICAL 403: falls silent when it is asked for register 96 or 155; its \
                 high-resolution energy restarts from zero at 10,000,000 Wh; keeps logs"
            }
            Self::Multical603 => {
                "MULTICAL 603: times in 7 bytes, text, a 32-bit info code, cooling energy; its \
                 sensor t3 is broken; keeps logs"
            }
            Self::Multical21 => {
                "MULTICAL 21, a water meter, behind an optical head that sends each request back"
            }
        }
    }

    /// Whether the optical head in front of it echoes requests, like one on a MULTICAL 21 did
    /// (bsdphk/PyKamstrup pull 6).
    #[must_use]
    pub const fn echoes(self) -> bool {
        matches!(self, Self::Multical21)
    }

    /// The unit in which it counts energy by default; `None` for a meter that counts no energy.
    #[must_use]
    pub const fn energy_unit(self) -> Option<EnergyUnit> {
        match self {
            Self::Generic | Self::Multical402 => Some(EnergyUnit::KilowattHour),
            // Captured frames of a 403 have this unit, and users of a 603 report it.
            Self::Multical303 | Self::Multical403 | Self::Multical603 => {
                Some(EnergyUnit::MegawattHour)
            }
            Self::Multical21 => None,
        }
    }
}

impl Registers {
    /// The registers of a model, `minutes` after the start of the simulation. A water meter ignores
    /// the unit of energy.
    #[must_use]
    pub fn model(model: Model, energy: EnergyUnit, minutes: u32) -> Self {
        match model {
            Model::Generic => Self::example(energy, minutes),
            _ => Self::of_house(model, energy, minutes.into()),
        }
    }

    /// The registers of a model, some minutes after or before the start of the simulation. Those of
    /// the generic model do not change.
    pub(crate) fn of_house(model: Model, energy: EnergyUnit, minutes: i64) -> Self {
        let house = House { minutes, energy };
        match model {
            Model::Generic => Self::example(energy, 0),
            Model::Multical303 => multical_303(&house),
            Model::Multical402 => multical_402(&house),
            Model::Multical403 => multical_403(&house),
            Model::Multical603 => multical_603(&house),
            Model::Multical21 => multical_21(&house),
        }
    }
}

/// A MULTICAL 402 (technical description 5512-742 M1 p.83; illegible lines are included if their
/// neighbours and the lists of 302 and 601 make them nearly certain). A 402 or 601 sends 4 bytes
/// for each value (golles/ha-kamstrup_403 issue 324).
fn multical_402(house: &House) -> Registers {
    let mut registers = identified(0x0402, 6_906_867);
    let type_number = registers.type_number();
    let (temp1, temp2, tempdiff) = house.temperatures();
    registers.fill(&[
        (60, house.energy(house.watt_hours()), 4),
        (63, house.energy(0), 4),
        (64, house.energy(0), 4),
        (65, house.energy(0), 4),
        (66, number(0), 4),
        (67, number(0), 4),
        (68, house.volume(2), 4),
        (74, house.flow(), 4),
        (80, house.power(), 4),
        (84, cubic_metres(31_264, 2), 4),
        (85, cubic_metres(0, 2), 4),
        (86, temp1, 4),
        (87, temp2, 4),
        (89, tempdiff, 4),
        (97, house.volume_times(67), 4),
        (98, month_day(1_231), 4),
        // 16 bits (5512-931 N1, the table of the 602).
        (99, number(0), 2),
        (110, house.volume_times(27), 4),
        (112, number(0), 4),
        (113, number(3), 4),
        (114, number(0), 4),
        (123, day(260_108), 4),
        (124, litres_per_hour(981), 4),
        (125, day(260_704), 4),
        (126, litres_per_hour(0), 4),
        (127, day(260_109), 4),
        (128, kilowatts(312), 4),
        (129, day(260_704), 4),
        (130, kilowatts(0), 4),
        (138, day(261_104), 4),
        (139, litres_per_hour(245), 4),
        (140, day(261_101), 4),
        (141, litres_per_hour(0), 4),
        (142, day(261_104), 4),
        (143, kilowatts(96), 4),
        (144, day(261_101), 4),
        (145, kilowatts(0), 4),
        (146, celsius(7_012), 4),
        (147, celsius(3_051), 4),
        (149, celsius(6_689), 4),
        (150, celsius(2_733), 4),
        (152, number(30_702), 4),
        (153, number(41_900), 4),
        // A 602 answers in Wh with one decimal place (cenobitedk/esphome_multical402 issue 5).
        // Its limit is not known. Here it is that of a 403's register 266.
        (155, content(high_resolution(house.watt_hours(), 1), 1, Unit::WATT_HOUR), 4),
        (168, number(10_500_000), 4),
        (223, content(high_resolution(house.litres(), 1), 1, Unit::LITRE), 4),
        (229, temp1, 4),
        (230, temp2, 4),
        (1001, number(6_906_867), 4),
        (1002, house.clock(), 4),
        (1003, house.date(), 4),
        (1004, house.hours(), 4),
        (1005, type_number, 4),
        (1010, number(40_412_345), 4),
    ]);
    registers
}

/// A MULTICAL 403: the registers that public code reads, in the units and lengths of captured
/// frames (gemu2015/Sonoff-Tasmota issue 38, gertvdijk/PyKMP). The one byte of register 113 is a
/// guess.
fn multical_403(house: &House) -> Registers {
    let mut registers = identified(0x0403, 71_234_567);
    let (temp1, temp2, tempdiff) = house.temperatures();
    registers.fill(&[
        (60, house.energy(house.watt_hours()), 4),
        (63, house.energy(0), 4),
        (68, house.volume(2), 4),
        (74, house.flow(), 2),
        (80, house.power(), 2),
        (86, temp1, 2),
        (87, temp2, 2),
        (89, tempdiff, 2),
        (97, house.volume_times(67), 4),
        // 16 bits (FILE100000166 B p.92).
        (99, number(0), 2),
        (110, house.volume_times(27), 4),
        (113, number(3), 1),
        (123, day(260_108), 4),
        (124, litres_per_hour(981), 2),
        (125, day(260_704), 4),
        (126, litres_per_hour(0), 2),
        (127, day(260_109), 4),
        (128, kilowatts(312), 2),
        (129, day(260_704), 4),
        (130, kilowatts(0), 2),
        (138, day(261_104), 4),
        (139, litres_per_hour(245), 2),
        (140, day(261_101), 4),
        (141, litres_per_hour(0), 2),
        (142, day(261_104), 4),
        (143, kilowatts(96), 2),
        (144, day(261_101), 4),
        (145, kilowatts(0), 2),
        (146, celsius(7_012), 2),
        (147, celsius(3_051), 2),
        (149, celsius(6_689), 2),
        (150, celsius(2_733), 2),
        // Restarts from zero (cfeenstra1024/kamstrup-multical-hardware issue 1,
        // FILE100000166 B p.127).
        (266, content(high_resolution(house.watt_hours(), 0), 0, Unit::WATT_HOUR), 4),
        (1001, number(71_234_567), 4),
        (1002, house.clock(), 4),
        (1004, house.hours(), 4),
    ]);
    // cenobitedk/esphome_multical402 issue 5.
    registers.silencing.extend([96, 155].map(RegisterId::new));
    registers
}

/// A MULTICAL 603: the registers that a real one listed for its yearly log, and those that
/// jktjkt/PyKMP (commit cea1aad) has for it. The lengths of dates, of register 348 and of the
/// serial number are those of captured frames; the others are those of a 403.
///
/// Its sensor t3 is broken: it gives 185 °C (5512-2029 A1 p.107) and bit 20 of the info code. The
/// bits are those of its radio telegram. It is not known whether register 99 or 369 carries them,
/// so both do.
fn multical_603(house: &House) -> Registers {
    let mut registers = identified(0x0603, 80_713_078);
    let type_number = registers.type_number();
    let (temp1, temp2, tempdiff) = house.temperatures();
    let (volume, info_code) = (house.volume(2), number(1 << 20));
    let winter = |at| Content::DateTime(at, 0);
    let summer = |at| Content::DateTime(at, 60);
    registers.fill(&[
        (60, house.energy(house.watt_hours()), 4),
        (61, house.energy(house.watt_hours().saturating_mul(5) / 3), 4),
        (62, house.energy(house.watt_hours().saturating_mul(2) / 3), 4),
        (63, house.energy(1_204_310), 4),
        (64, house.energy(0), 4),
        (65, house.energy(0), 4),
        (68, volume, 4),
        (69, volume, 4),
        (72, house.mass(), 4),
        (73, house.mass(), 4),
        (74, house.flow(), 2),
        (75, house.flow(), 2),
        (80, house.power(), 2),
        (84, cubic_metres(31_264, 2), 4),
        (85, cubic_metres(0, 2), 4),
        (86, temp1, 2),
        (87, temp2, 2),
        (88, celsius(18_500), 2),
        (89, tempdiff, 2),
        (94, house.energy(0), 4),
        (95, house.energy(0), 4),
        (96, house.energy(0), 4),
        (97, house.volume_times(67), 4),
        (98, month_day(1_231), 4),
        (99, info_code, 4),
        (110, house.volume_times(27), 4),
        (112, number(0), 4),
        (123, day(260_108), 4),
        (124, litres_per_hour(981), 2),
        (125, day(260_704), 4),
        (126, litres_per_hour(0), 2),
        (127, day(260_109), 4),
        (128, kilowatts(312), 2),
        (129, day(260_704), 4),
        (130, kilowatts(0), 2),
        (154, number(41_386), 4),
        (175, content(12, 0, Unit::HOUR), 4),
        (224, cubic_metres(0, 2), 4),
        (225, cubic_metres(0, 2), 4),
        // MWh with five decimal places (cfeenstra1024/kamstrup-multical-hardware issue 1).
        (266, content(house.watt_hours() / 10, 5, Unit::MEGAWATT_HOUR), 4),
        (267, content(120_431, 5, Unit::MEGAWATT_HOUR), 4),
        (338, number(0), 4),
        (346, number(0x0102), 4),
        // It is not known whether this is a number or text. The 12 bytes are those of a type number
        // (jktjkt/PyKMP commit a8dec38).
        (347, Content::Text("CUSTOMER 042"), 12),
        (348, winter(house.now()), 7),
        (362, house.energy(0), 4),
        (364, house.energy(0), 4),
        (365, house.energy(0), 4),
        (366, celsius(5_000), 2),
        (369, info_code, 4),
        (379, celsius(6_811), 2),
        (380, celsius(2_704), 2),
        // The meter's time needs no offset in winter, and one hour in summer.
        (383, winter(civil::date(2026, 1, 8).at(6, 52, 0, 0)), 7),
        (384, summer(civil::date(2026, 7, 4).at(2, 14, 0, 0)), 7),
        (385, winter(civil::date(2026, 1, 9).at(7, 3, 0, 0)), 7),
        (386, summer(civil::date(2026, 7, 4).at(2, 15, 0, 0)), 7),
        (404, type_number, 4),
        (473, house.energy(0), 4),
        (474, house.energy(0), 4),
        (515, number(0), 4),
        (1001, number(80_713_078), 4),
        (1002, house.clock(), 4),
        (1003, house.date(), 4),
        (1004, house.hours(), 4),
        (1005, type_number, 4),
        (1010, number(60_312_345), 4),
    ]);
    registers
}

/// A MULTICAL 303: the same generation as a 603 (jktjkt/PyKMP has one table for both). It has no
/// third sensor that could be broken.
fn multical_303(house: &House) -> Registers {
    let mut registers = multical_603(house);
    let of_303 = identified(0x0303, 40_127_856);
    (registers.meter_type, registers.serial) = (of_303.meter_type, of_303.serial);
    let type_number = registers.type_number();
    registers.values.remove(&RegisterId::new(88));
    registers.fill(&[
        (99, number(0), 4),
        (369, number(0), 4),
        (404, type_number, 4),
        (1001, number(40_127_856), 4),
        (1005, type_number, 4),
    ]);
    registers
}

/// A MULTICAL 21: the registers, units and lengths of captured frames (Google Groups sonoffusers,
/// thread aYmxherLsOU; bsdphk/PyKamstrup pull 6). The hour counter is a plain number.
fn multical_21(house: &House) -> Registers {
    let mut registers = identified(0x0021, 75_749_993);
    registers.fill(&[
        (68, house.volume(3), 4),
        (74, house.flow(), 2),
        (99, number(0), 2),
        (243, cubic_metres(12, 3), 4),
        (292, content(house.wave(11, 1), 0, Unit::CELSIUS), 1),
        (299, content(21, 0, Unit::CELSIUS), 1),
        (1001, number(75_749_993), 4),
        (1002, house.clock(), 4),
        (1004, number(house.operating_hours()), 4),
    ]);
    registers
}

/// A house in winter: 6 kW and 128 l/h, from 7:00 on Monday, 23 November 2026. Counters rise as the
/// mean of the gauges requires. Before that, which only logs show, they rose more slowly.
struct House {
    minutes: i64,
    energy: EnergyUnit,
}

impl House {
    /// A gauge that changes by up to six steps.
    fn wave(&self, start: i64, step: i64) -> i64 {
        start + self.minutes.rem_euclid(7) * step
    }

    fn watt_hours(&self) -> i64 {
        self.minutes * if self.minutes < 0 { 40 } else { 107 } + 81_947_612
    }

    fn litres(&self) -> i64 {
        (self.minutes * if self.minutes < 0 { 58 } else { 155 }).div_euclid(60) + 1_917_570
    }

    fn operating_hours(&self) -> i64 {
        self.minutes.div_euclid(60) + 54_888
    }

    /// Energy in the unit of the meter; the last digit is rounded down, as in a counter.
    fn energy(&self, watt_hours: i64) -> Content {
        match self.energy {
            EnergyUnit::KilowattHour => content(watt_hours / 1_000, 0, Unit::KILOWATT_HOUR),
            EnergyUnit::MegawattHour => content(watt_hours / 1_000, 3, Unit::MEGAWATT_HOUR),
            EnergyUnit::Gigajoule => content(watt_hours * 36 / 100_000, 2, Unit::GIGAJOULE),
        }
    }

    /// Volume with two or three decimal places.
    fn volume(&self, places: u32) -> Content {
        let litres = self.litres();
        cubic_metres(if places == 2 { litres / 10 } else { litres }, places)
    }

    fn mass(&self) -> Content {
        content(self.litres() * 98 / 1_000, 2, Unit::TONNE)
    }

    fn volume_times(&self, celsius: i64) -> Content {
        content(self.litres() * celsius / 1_000, 0, Unit::CUBIC_METRE_CELSIUS)
    }

    fn flow(&self) -> Content {
        litres_per_hour(self.wave(128, 9))
    }

    fn power(&self) -> Content {
        kilowatts(self.wave(60, 3))
    }

    /// Supply temperature, return temperature and their difference.
    fn temperatures(&self) -> (Content, Content, Content) {
        let supply = self.wave(6_725, 31);
        let back = self.wave(2_691, 12);
        let difference = content(supply - back, 2, Unit::KELVIN);
        (celsius(supply), celsius(back), difference)
    }

    fn hours(&self) -> Content {
        content(self.operating_hours(), 0, Unit::HOUR)
    }

    fn now(&self) -> DateTime {
        let start = civil::date(2026, 11, 23).at(7, 0, 0, 0);
        start.checked_add(self.minutes.minutes()).unwrap_or(start)
    }

    fn clock(&self) -> Content {
        let now = self.now();
        content(
            digits(&[now.hour().into(), now.minute().into(), now.second().into()]),
            0,
            Unit::CLOCK,
        )
    }

    fn date(&self) -> Content {
        let now = self.now();
        day(digits(&[now.year() % 100, now.month().into(), now.day().into()]))
    }
}

/// The content of a register, before it is encoded.
#[derive(Debug, Clone, Copy)]
enum Content {
    Number(Decimal, Unit),
    Text(&'static str),
    /// A local time, and the minutes to add to it.
    DateTime(DateTime, u8),
}

fn content(mantissa: i64, places: u32, unit: Unit) -> Content {
    Content::Number(Decimal::new(mantissa, places), unit)
}

fn number(number: i64) -> Content {
    content(number, 0, Unit::NUMBER)
}

fn celsius(hundredths: i64) -> Content {
    content(hundredths, 2, Unit::CELSIUS)
}

fn kilowatts(tenths: i64) -> Content {
    content(tenths, 1, Unit::KILOWATT)
}

fn litres_per_hour(litres: i64) -> Content {
    content(litres, 0, Unit::LITRE_PER_HOUR)
}

fn cubic_metres(mantissa: i64, places: u32) -> Content {
    content(mantissa, places, Unit::CUBIC_METRE)
}

fn day(yymmdd: i64) -> Content {
    content(yymmdd, 0, Unit::DATE_YYMMDD)
}

fn month_day(mmdd: i64) -> Content {
    content(mmdd, 0, Unit::DATE_MMDD)
}

/// The last digits of a counter that wraps at 10,000,000, with `places` decimal places.
fn high_resolution(value: i64, places: u32) -> i64 {
    let scale = 10_i64.pow(places);
    value * scale % (scale * 10_000_000)
}

fn identified(code: u16, serial: u32) -> Registers {
    let revision = SoftwareRevision { letter: 1, number: 2 };
    let serial = SerialNumber::new(serial);
    Registers { meter_type: MeterType { code, revision }, serial, ..Registers::empty() }
}

impl Registers {
    /// The answer to `GetType` as a number.
    fn type_number(&self) -> Content {
        number(u32::from_be_bytes(self.meter_type.emit()).into())
    }

    /// Encodes values: register, content, number of bytes.
    fn fill(&mut self, rows: &[(u16, Content, u8)]) {
        for (id, content, length) in rows {
            let id = RegisterId::new(*id);
            let of_bytes = |unit, bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.resize((*length).into(), 0);
                RegisterValue::new(id, unit, SignExponent::from_byte(0), bytes)
            };
            let value = match content {
                Content::Number(value, unit) => {
                    RegisterValue::from_decimal(id, *unit, *value, *length).ok()
                }
                Content::Text(text) => of_bytes(Unit::ASCII, text.as_bytes()),
                Content::DateTime(at, offset) => {
                    seven_bytes(*at, *offset).and_then(|bytes| of_bytes(Unit::DATE_TIME, &bytes))
                }
            };
            // A value that needs more bytes is left out. That takes a hundred years.
            if let Some(value) = value {
                self.insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kmp::register::Kind;

    use super::*;

    const UNITS: [EnergyUnit; 3] =
        [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule];

    /// Ten years.
    const LONG: u32 = 10 * 365 * 24 * 60;

    #[test]
    fn every_value_of_a_model_has_a_meaning_and_none_is_lost() {
        for (model, count) in Model::ALL.into_iter().zip([32, 65, 54, 36, 66, 9]) {
            for energy in UNITS {
                for minutes in [0, 1, 1_000, LONG] {
                    let registers = Registers::model(model, energy, minutes);
                    assert_eq!(registers.values.len(), count, "{model:?} after {minutes} min");
                    for value in registers.values.values() {
                        assert!(value.register.info().is_some(), "{value:?}");
                        assert!(value.value().is_ok(), "{value:?}");
                    }
                }
            }
        }
    }

    /// Counters never fall, and values keep unit, length and decimal places.
    #[test]
    fn values_are_consistent_over_time() {
        for model in Model::ALL {
            let mut before = Registers::model(model, EnergyUnit::MegawattHour, 0);
            for minutes in [1, 2, 59, 60, 61, 10_000, LONG] {
                let now = Registers::model(model, EnergyUnit::MegawattHour, minutes);
                for (was, is) in before.values.values().zip(now.values.values()) {
                    let shape = |value: &RegisterValue| {
                        let exponent = value.sign_exponent.exponent();
                        (value.register, value.unit, exponent, value.mantissa().len())
                    };
                    assert_eq!(shape(was), shape(is), "{model:?}");
                    if is.register.info().map(|info| info.kind) == Some(Kind::Counter) {
                        assert!(is.mantissa() >= was.mantissa(), "{model:?} {was:?} {is:?}");
                    }
                }
                before = now;
            }
        }
    }

    #[test]
    fn the_high_resolution_energy_has_the_last_digits_of_the_counter() {
        for minutes in [0, 75_255, 75_256, 400_000] {
            let registers = Registers::model(Model::Multical403, EnergyUnit::KilowattHour, minutes);
            let number = |id| -> i64 {
                let value = registers.values[&RegisterId::new(id)].value().unwrap();
                value.to_string().parse().unwrap()
            };
            assert_eq!(number(60) % 10_000, number(266) / 1_000, "{minutes}");
        }
    }

    #[test]
    fn the_clock_passes_midnight_and_the_end_of_the_year() {
        let shown = |minutes| {
            let registers = Registers::model(Model::Multical603, EnergyUnit::MegawattHour, minutes);
            [1003, 1002, 348]
                .map(|id| registers.values[&RegisterId::new(id)].value().unwrap().to_string())
        };
        assert_eq!(shown(0), ["2026-11-23", "07:00:00", "2026-11-23T07:00:00"]);
        assert_eq!(shown(17 * 60 + 1), ["2026-11-24", "00:01:00", "2026-11-24T00:01:00"]);
        let days = 8 + 31;
        assert_eq!(shown(days * 24 * 60), ["2027-01-01", "07:00:00", "2027-01-01T07:00:00"]);
    }
}
