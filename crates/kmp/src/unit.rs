//! Units: the meaning of the code before each value.
//!
//! The unit depends on the meter's configuration: one meter sends a register in kWh, another one in
//! GJ. So a value means nothing without the unit that was sent with it.

use core::fmt;

/// A unit code, which is sent before each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(u8);

/// The quantity that a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Independent bits.
    BitField,
    /// A calendar date.
    Date,
    /// A date with a time of day.
    DateTime,
    /// A length of time.
    Duration,
    /// Heat or cooling energy.
    Energy,
    /// Volume flow.
    Flow,
    /// Mass.
    Mass,
    /// Mass flow.
    MassFlow,
    /// A day without a year.
    MonthDay,
    /// A number without a unit.
    Number,
    /// Anything else.
    Other,
    /// Thermal power.
    Power,
    /// Pressure.
    Pressure,
    /// A temperature on a scale with a zero point.
    Temperature,
    /// A difference of temperatures, without a zero point.
    TemperatureDifference,
    /// Text.
    Text,
    /// A time of day.
    TimeOfDay,
    /// Volume.
    Volume,
    /// Volume times temperature, the registers E8 and E9.
    VolumeTemperature,
}

/// A known unit code.
#[derive(Debug, Clone, Copy)]
pub struct UnitInfo {
    /// The code.
    pub unit: Unit,
    /// The symbol; empty for a plain number.
    pub symbol: &'static str,
    /// The unit in words.
    pub meaning: &'static str,
    /// The quantity that it measures.
    pub quantity: Quantity,
    /// Where the code is documented or was seen.
    pub source: &'static str,
}

impl Unit {
    /// No unit (a plain number).
    pub const NONE: Self = Self(0);
    /// Watt-hour (Wh).
    pub const WATT_HOUR: Self = Self(1);
    /// Kilowatt-hour (kWh).
    pub const KILOWATT_HOUR: Self = Self(2);
    /// Megawatt-hour (MWh).
    pub const MEGAWATT_HOUR: Self = Self(3);
    /// Gigawatt-hour (GWh).
    pub const GIGAWATT_HOUR: Self = Self(4);
    /// Joule (J).
    pub const JOULE: Self = Self(5);
    /// Kilojoule (kJ).
    pub const KILOJOULE: Self = Self(6);
    /// Megajoule (MJ).
    pub const MEGAJOULE: Self = Self(7);
    /// Gigajoule (GJ).
    pub const GIGAJOULE: Self = Self(8);
    /// Calorie (cal).
    pub const CALORIE: Self = Self(9);
    /// Kilocalorie (kcal).
    pub const KILOCALORIE: Self = Self(10);
    /// Megacalorie (Mcal).
    pub const MEGACALORIE: Self = Self(11);
    /// Gigacalorie (Gcal).
    pub const GIGACALORIE: Self = Self(12);
    /// Watt (W).
    pub const WATT: Self = Self(21);
    /// Kilowatt (kW).
    pub const KILOWATT: Self = Self(22);
    /// Megawatt (MW).
    pub const MEGAWATT: Self = Self(23);
    /// Gigawatt (GW).
    pub const GIGAWATT: Self = Self(24);
    /// Degree Celsius (°C).
    pub const CELSIUS: Self = Self(37);
    /// Kelvin; temperature difference (K).
    pub const KELVIN: Self = Self(38);
    /// Litre (l).
    pub const LITRE: Self = Self(39);
    /// Cubic metre (m³).
    pub const CUBIC_METRE: Self = Self(40);
    /// Litre per hour (l/h).
    pub const LITRE_PER_HOUR: Self = Self(41);
    /// Cubic metre per hour (m³/h).
    pub const CUBIC_METRE_PER_HOUR: Self = Self(42);
    /// Volume times temperature (E8, E9) (m³·°C).
    pub const CUBIC_METRE_CELSIUS: Self = Self(43);
    /// Tonne (ton).
    pub const TONNE: Self = Self(44);
    /// Tonne per hour (ton/h).
    pub const TONNE_PER_HOUR: Self = Self(45);
    /// Hour (h).
    pub const HOUR: Self = Self(46);
    /// Time of day, decimal-coded integer hhmmss (hh:mm:ss).
    pub const CLOCK: Self = Self(47);
    /// Date, decimal-coded integer yymmdd (yy:mm:dd).
    pub const DATE_YYMMDD: Self = Self(48);
    /// Date with four-digit year (yyyy:mm:dd).
    pub const DATE_YYYYMMDD: Self = Self(49);
    /// Month and day, decimal-coded integer mmdd (mm:dd).
    pub const DATE_MMDD: Self = Self(50);
    /// A number without a unit.
    pub const NUMBER: Self = Self(51);
    /// Bar.
    pub const BAR: Self = Self(52);
    /// ASCII text; the mantissa holds the characters.
    pub const ASCII: Self = Self(54);
    /// Tens of cubic metres (m³×10).
    pub const TEN_CUBIC_METRES: Self = Self(55);
    /// Tens of tonnes (ton×10).
    pub const TEN_TONNES: Self = Self(56);
    /// Tens of gigajoules (GJ×10).
    pub const TEN_GIGAJOULES: Self = Self(57);
    /// Minutes (min).
    pub const MINUTE: Self = Self(58);
    /// Bits (bit field).
    pub const BIT_FIELD: Self = Self(59);
    /// Seconds (s).
    pub const SECOND: Self = Self(60);
    /// Milliseconds (ms).
    pub const MILLISECOND: Self = Self(61);
    /// Days (d).
    pub const DAY: Self = Self(62);
    /// Date and time in 7 bytes: offset for daylight saving time in minutes, year minus 2000,
    /// month, day, hour, minute, second.
    pub const DATE_TIME: Self = Self(79);

    /// The unit of this code, known or not.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The code on the line.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The row of the unit in [`UNITS`]; `None` for a code that no source explains.
    #[must_use]
    pub fn info(self) -> Option<&'static UnitInfo> {
        let index = UNITS.binary_search_by_key(&self, |info| info.unit).ok()?;
        UNITS.get(index)
    }

    /// The symbol (`kWh`, `m³`); `None` for a plain number and for an unknown code.
    #[must_use]
    pub fn symbol(self) -> Option<&'static str> {
        self.info().map(|info| info.symbol).filter(|symbol| !symbol.is_empty())
    }

    /// The quantity that it measures; [`Quantity::Other`] for an unknown code.
    #[must_use]
    pub fn quantity(self) -> Quantity {
        self.info().map_or(Quantity::Other, |info| info.quantity)
    }

    /// The unit with this symbol. Case matters: `mW` is not `MW`.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        UNITS.iter().find(|info| !symbol.is_empty() && info.symbol == symbol).map(|info| info.unit)
    }
}

/// Writes the symbol, or the code of an unknown unit.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => f.write_str(info.symbol),
            None => write!(f, "unit {}", self.0),
        }
    }
}

const fn row(
    code: u8,
    symbol: &'static str,
    meaning: &'static str,
    quantity: Quantity,
    source: &'static str,
) -> UnitInfo {
    UnitInfo { unit: Unit(code), symbol, meaning, quantity, source }
}

/// Every unit code that a source explains, sorted by code.
///
/// Codes 21 and 25 are disputed: several programs call them kW and kvar. A Kamstrup document and an
/// independent table have W and var, which also fits the pattern of the codes around them.
#[rustfmt::skip]
pub const UNITS: &[UnitInfo] = &[
    row(0, "", "no unit (plain number)", Quantity::Number, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(1, "Wh", "watt-hour", Quantity::Energy, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(2, "kWh", "kilowatt-hour", Quantity::Energy, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(3, "MWh", "megawatt-hour", Quantity::Energy, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(4, "GWh", "gigawatt-hour", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(5, "J", "joule", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(6, "kJ", "kilojoule", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(7, "MJ", "megajoule", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(8, "GJ", "gigajoule", Quantity::Energy, "5512-447 M1 p.10 (writes Gj); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(9, "cal", "calorie", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(10, "kcal", "kilocalorie", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py; 5512-447 M1 p.9 example uses 0x0A as kCal"),
    row(11, "Mcal", "megacalorie", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(12, "Gcal", "gigacalorie", Quantity::Energy, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(13, "varh", "reactive energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(14, "kvarh", "reactive energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(15, "Mvarh", "reactive energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(16, "Gvarh", "reactive energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(17, "VAh", "apparent energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(18, "kVAh", "apparent energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(19, "MVAh", "apparent energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(20, "GVAh", "apparent energy", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(21, "W", "watt", Quantity::Power, "jktjkt/PyKMP commit 8ff802d (cites Kamstrup 58101758_B1_GB_02.2021); AiMiR class KamstrupCIDMeta (AiMiR head-end)"),
    row(22, "kW", "kilowatt", Quantity::Power, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(23, "MW", "megawatt", Quantity::Power, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(24, "GW", "gigawatt", Quantity::Power, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(25, "var", "reactive power", Quantity::Other, "jktjkt/PyKMP commit fd04958 (by pattern); AiMiR class KamstrupCIDMeta (AiMiR head-end)"),
    row(26, "kvar", "reactive power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(27, "Mvar", "reactive power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(28, "Gvar", "reactive power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(29, "VA", "apparent power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(30, "kVA", "apparent power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(31, "MVA", "apparent power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(32, "GVA", "apparent power", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(33, "V", "volt", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(34, "A", "ampere", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(35, "kV", "kilovolt", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(36, "kA", "kiloampere", Quantity::Other, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(37, "°C", "degree Celsius", Quantity::Temperature, "5512-447 M1 p.10 (writes C); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(38, "K", "kelvin; temperature difference", Quantity::TemperatureDifference, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(39, "l", "litre", Quantity::Volume, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(40, "m³", "cubic metre", Quantity::Volume, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(41, "l/h", "litre per hour", Quantity::Flow, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(42, "m³/h", "cubic metre per hour", Quantity::Flow, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(43, "m³·°C", "volume times temperature (E8, E9)", Quantity::VolumeTemperature, "5512-447 M1 p.10 (writes m3xC); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(44, "ton", "tonne", Quantity::Mass, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(45, "ton/h", "tonne per hour", Quantity::MassFlow, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(46, "h", "hour", Quantity::Duration, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(47, "hh:mm:ss", "time of day, decimal-coded integer hhmmss", Quantity::TimeOfDay, "5512-447 M1 p.10 (name: clock); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(48, "yy:mm:dd", "date, decimal-coded integer yymmdd", Quantity::Date, "5512-447 M1 p.10 (name: date1); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(49, "yyyy:mm:dd", "date with four-digit year", Quantity::Date, "PyKMP constants.py; PyKamstrup kamstrup.py; AiMiR calls it date2"),
    row(50, "mm:dd", "month and day, decimal-coded integer mmdd", Quantity::MonthDay, "5512-447 M1 p.10 (name: date3); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(51, "", "number without a unit", Quantity::Number, "5512-447 M1 p.10 (name: number); PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(52, "bar", "bar", Quantity::Pressure, "5512-447 M1 p.10; PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(53, "RTC", "real-time clock, unknown layout", Quantity::DateTime, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(54, "ASCII", "text; the mantissa holds the characters", Quantity::Text, "PyKMP constants.py; PyKamstrup kamstrup.py; jktjkt/PyKMP commit a8dec38 (12 bytes '02K52AC1A7CZ', register 254)"),
    row(55, "m³×10", "tens of cubic metres", Quantity::Volume, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(56, "ton×10", "tens of tonnes", Quantity::Mass, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(57, "GJ×10", "tens of gigajoules", Quantity::Energy, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(58, "min", "minutes", Quantity::Duration, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(59, "bit field", "bits", Quantity::BitField, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(60, "s", "seconds", Quantity::Duration, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(61, "ms", "milliseconds", Quantity::Duration, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(62, "d", "days", Quantity::Duration, "PyKMP constants.py; PyKamstrup kamstrup.py; esphome/feature-requests 1402 (register 582)"),
    row(63, "RTC-Q", "real-time clock with quality, unknown layout", Quantity::DateTime, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(64, "Datetime", "date and time, unknown layout", Quantity::DateTime, "PyKMP constants.py; PyKamstrup kamstrup.py"),
    row(65, "imp/l", "pulses per litre", Quantity::Other, "jktjkt/PyKMP commit d72cf04"),
    row(66, "l/imp", "litres per pulse", Quantity::Other, "jktjkt/PyKMP commit d72cf04"),
    row(67, "Hz", "hertz", Quantity::Other, "AiMiR class KamstrupCIDMeta (AiMiR head-end)"),
    row(68, "°", "degree (angle)", Quantity::Other, "AiMiR class KamstrupCIDMeta (AiMiR head-end)"),
    row(72, "KamDateTime", "Kamstrup date-time, unknown layout", Quantity::DateTime, "AiMiR class KamstrupCIDMeta (AiMiR head-end)"),
    row(79, "DST yy-mm-dd hh:mm:ss", "date-time: 7 bytes = DST offset in minutes, year-2000, month, day, hour, minute, second (binary, one byte each)", Quantity::DateTime, "jktjkt/PyKMP commit a82690e (quotes a KMP document and a real reading)"),
    row(85, "%RH", "relative humidity", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
    row(86, "%O₂", "oxygen content", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
    row(87, "m/s", "metre per second", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
    row(88, "kJ/kg", "enthalpy", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
    row(89, "pH", "pH", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
    row(90, "g/kg", "absolute humidity", Quantity::Other, "jktjkt/PyKMP commit d72cf04 (58101758_B1_GB_02.2021)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_every_row_has_a_source() {
        assert!(UNITS.is_sorted_by(|a, b| a.unit < b.unit));
        for info in UNITS {
            assert!(!info.source.is_empty(), "{info:?}");
            assert!(!info.meaning.is_empty(), "{info:?}");
        }
    }

    #[test]
    fn symbols_lead_back_to_their_unit() {
        for info in UNITS.iter().filter(|info| !info.symbol.is_empty()) {
            assert_eq!(Unit::from_symbol(info.symbol), Some(info.unit));
        }
        assert_eq!(Unit::from_symbol(""), None);
        assert_eq!(Unit::from_symbol("kwh"), None);
    }

    #[test]
    fn the_disputed_code_is_watt() {
        assert_eq!(Unit::WATT.symbol(), Some("W"));
        assert_eq!(Unit::KILOWATT.symbol(), Some("kW"));
    }

    #[test]
    fn an_unknown_code_has_no_symbol() {
        let unknown = Unit::from_code(200);
        assert_eq!(unknown.symbol(), None);
        assert_eq!(unknown.quantity(), Quantity::Other);
        assert_eq!(std::format!("{unknown}"), "unit 200");
    }
}
