//! Registers: their ids, and the names and meaning of the known ones.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::unit::Quantity;

/// A register's number, 0 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegisterId(u16);

impl RegisterId {
    /// A register with this number, known or not.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The register's name and meaning, if it is a known one.
    #[must_use]
    pub fn info(self) -> Option<&'static Register> {
        let index = REGISTERS.binary_search_by_key(&self, |register| register.id).ok()?;
        REGISTERS.get(index)
    }

    /// How often the value changes. An unknown register may count something.
    #[must_use]
    pub fn pace(self) -> Pace {
        self.info().map_or(Pace::Counting, |register| register.pace)
    }
}

impl fmt::Display for RegisterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not a register number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a register number is 0 to 65535, or 0x0000 to 0xFFFF")]
pub struct ParseRegisterIdError;

/// Parses decimal (`60`) and hexadecimal (`0x003C`) numbers.
impl FromStr for RegisterId {
    type Err = ParseRegisterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        // `from_str_radix` would accept a sign.
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Err(ParseRegisterIdError);
        }
        u16::from_str_radix(digits, radix).map(Self).map_err(|_| ParseRegisterIdError)
    }
}

/// How a register's value behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts up for the life of the meter.
    Counter,
    /// Counts up, and restarts from zero at a limit that depends on the meter.
    WrappingCounter,
    /// The current value, or the mean or an extreme of a period.
    Gauge,
    /// The time when an extreme was reached.
    Date,
    /// The meter's clock.
    Clock,
    /// A code, or independent bits.
    Code,
    /// Identifies the meter: its number, type or make.
    Identity,
    /// A setting of the meter.
    Setting,
}

/// How often a register's value changes, so that a reader need not ask for each value every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pace {
    /// The value of this moment, such as power, flow or a temperature.
    Instant,
    /// Counts what was used, such as energy or volume.
    Counting,
    /// Changes rarely, or matters only over a long time: extremes and averages of a month or a year,
    /// dates, counters of hours and of events, settings, and what identifies the meter.
    Slow,
}

/// A known register.
#[derive(Debug, Clone, Copy)]
pub struct Register {
    /// The register's number.
    pub id: RegisterId,
    /// The name that a user writes. Compare it without regard to case.
    pub key: &'static str,
    /// The English name for display.
    pub label: &'static str,
    /// How the value behaves over time.
    pub kind: Kind,
    /// The quantity that it measures. The unit is in each answer and depends on the meter.
    pub quantity: Quantity,
    /// How often the value changes.
    pub pace: Pace,
    /// Where this is documented.
    pub source: &'static str,
}

impl Register {
    /// The register with this key, which may be in upper or lower case.
    #[must_use]
    pub fn by_key(key: &str) -> Option<&'static Self> {
        REGISTERS.iter().find(|register| register.key.eq_ignore_ascii_case(key))
    }
}

const fn row(
    id: u16,
    key: &'static str,
    label: &'static str,
    kind: Kind,
    quantity: Quantity,
    source: &'static str,
) -> Register {
    let pace = match kind {
        Kind::Counter | Kind::WrappingCounter => Pace::Counting,
        Kind::Gauge | Kind::Clock | Kind::Code => Pace::Instant,
        Kind::Date | Kind::Identity | Kind::Setting => Pace::Slow,
    };
    Register { id: RegisterId(id), key, label, kind, quantity, pace, source }
}

/// A register that changes more slowly than others of its kind.
const fn slow(register: Register) -> Register {
    Register { pace: Pace::Slow, ..register }
}

/// The registers that have names, sorted by number.
///
/// Which of them a meter has depends on its model; it omits the others from its answers. Registers
/// above 175 are known from public code and captures rather than from Kamstrup. If a source only
/// guesses, the label or the source says so.
///
/// Volume times temperature (97 and 110) is slow although it counts: it only serves to calculate
/// the mean temperatures of a long time, so a value once an hour is enough.
#[rustfmt::skip]
pub const REGISTERS: &[Register] = {
    use Kind::{Clock, Code, Counter, Date, Gauge, Identity, Setting, WrappingCounter};
    use Quantity as Q;
    &[
        row(1, "energy_in", "Imported active energy", Counter, Q::Energy, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685); 5512-447 M1 (2009) p.8"),
        row(2, "energy_out", "Exported active energy", Counter, Q::Energy, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(13, "energy_in_highres", "Imported active energy, high resolution", Counter, Q::Energy, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(14, "energy_out_highres", "Exported active energy, high resolution", Counter, Q::Energy, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(60, "energy", "Energy", Counter, Q::Energy, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(61, "energy4", "Supply energy E4", Counter, Q::Energy, "5512-447 M1 (2009) p.10; jktjkt/PyKMP commit cea1aad (603/303)"),
        row(62, "energy5", "Return energy E5", Counter, Q::Energy, "5512-447 M1 (2009) p.10; jktjkt/PyKMP commit cea1aad (603/303)"),
        row(63, "energy3", "Cooling energy", Counter, Q::Energy, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(64, "tariff2", "Tariff register TA2", Counter, Q::Other, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(65, "tariff3", "Tariff register TA3", Counter, Q::Other, "5512-447 M1 (2009) p.10"),
        row(66, "tarifflimit2", "Tariff limit for TA2", Setting, Q::Other, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(67, "tarifflimit3", "Tariff limit for TA3", Setting, Q::Other, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(68, "volume", "Volume", Counter, Q::Volume, "TD 302 5512-1334_F1 p.68; TD 62 5512-1036_D1 p.82; 5512-447 M1 (2009) p.10"),
        row(69, "volume2", "Volume V2", Counter, Q::Volume, "5512-447 M1 (2009) p.11"),
        row(72, "mass1", "Mass M1", Counter, Q::Mass, "5512-447 M1 (2009) p.11"),
        row(73, "mass2", "Mass M2", Counter, Q::Mass, "5512-447 M1 (2009) p.11"),
        row(74, "flow", "Flow", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(75, "flow2", "Flow 2", Gauge, Q::Flow, "5512-447 M1 (2009) p.11"),
        row(80, "power", "Power", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11"),
        row(84, "input_a", "Pulse input A", Counter, Q::Other, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(85, "input_b", "Pulse input B", Counter, Q::Other, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(86, "temp1", "Supply temperature", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(87, "temp2", "Return temperature", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(88, "temp3", "Temperature t3", Gauge, Q::Temperature, "5512-447 M1 (2009) p.11"),
        row(89, "tempdiff", "Temperature difference", Gauge, Q::TemperatureDifference, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(91, "pressure1", "Supply pressure", Gauge, Q::Pressure, "5512-447 M1 (2009) p.11"),
        row(92, "pressure2", "Return pressure", Gauge, Q::Pressure, "5512-447 M1 (2009) p.11"),
        row(94, "energy2", "Control energy E2", Counter, Q::Energy, "5512-447 M1 (2009) p.10"),
        row(95, "energy6", "Tap water energy E6", Counter, Q::Energy, "5512-447 M1 (2009) p.10"),
        row(96, "energy7", "Energy E7", Counter, Q::Energy, "5512-447 M1 (2009) p.10; jktjkt/PyKMP commit cea1aad (603/303)"),
        slow(row(97, "temp1xm3", "Supply volume times temperature", Counter, Q::VolumeTemperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10")),
        row(98, "targetdate", "Yearly reading date", Setting, Q::MonthDay, "TD 302 5512-1334_F1 p.68 (printed twice, as LogDaySetUp and Xday); TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(99, "infocode", "Info code", Code, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(104, "meterno_vb", "Number of the meter at input B", Identity, Q::Number, "5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        slow(row(110, "temp2xm3", "Return volume times temperature", Counter, Q::VolumeTemperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10")),
        row(112, "meternumber_high", "Customer number, upper digits", Identity, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(113, "infoevent", "Info events", Counter, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82")),
        row(114, "meterno_va", "Number of the meter at input A", Identity, Q::Number, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(122, "temp4", "Temperature t4", Gauge, Q::Temperature, "5512-447 M1 (2009) p.11"),
        row(123, "maxflowdate_y", "Date of highest flow this year", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(124, "maxflow_y", "Highest flow this year", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(125, "minflowdate_y", "Date of lowest flow this year", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(126, "minflow_y", "Lowest flow this year", Gauge, Q::Flow, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(127, "maxpowerdate_y", "Date of highest power this year", Date, Q::Date, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11"),
        slow(row(128, "maxpower_y", "Highest power this year", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(129, "minpowerdate_y", "Date of lowest power this year", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(130, "minpower_y", "Lowest power this year", Gauge, Q::Power, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(138, "maxflowDate_m", "Date of highest flow this month", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11 (5512-447 misprints the period as 'this year')"),
        slow(row(139, "maxflow_m", "Highest flow this month", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11 (5512-447 misprints the period as 'this year')")),
        row(140, "minflowDate_m", "Date of lowest flow this month", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(141, "minflow_m", "Lowest flow this month", Gauge, Q::Flow, "5512-447 M1 (2009) p.11")),
        row(142, "maxpowerdate_m", "Date of highest power this month", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(143, "maxpower_m", "Highest power this month", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11")),
        row(144, "minpowerdate_m", "Date of lowest power this month", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        slow(row(145, "minpower_m", "Lowest power this month", Gauge, Q::Power, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        slow(row(146, "avgtemp1_y", "Average supply temperature this year", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        slow(row(147, "avgtemp2_y", "Average return temperature this year", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        slow(row(149, "avgtemp1_m", "Average supply temperature this month", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        slow(row(150, "avgtemp2_m", "Average return temperature this month", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(152, "progno", "Programme number", Setting, Q::Number, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(153, "confno1", "Configuration number 1", Setting, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(154, "checksum", "Software checksum", Identity, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(155, "highresenergy", "Energy with more digits", WrappingCounter, Q::Energy, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11; cenobitedk/esphome_multical402 issue 5 (602 answers 271211.3 Wh; 403 gives no reply)"),
        row(157, "topmodule_id", "Top module number", Identity, Q::Number, "5512-447 M1 (2009) p.11 and p.13; TD 62 5512-1036_D1 p.82"),
        row(158, "botmodule_id", "Base module number", Identity, Q::Number, "5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(168, "confno2", "Configuration number 2", Setting, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(171, "botmodule_id2", "Base module 2 number", Identity, Q::Number, "5512-447 M1 (2009) p.13 (801)"),
        row(172, "extmodule_id", "External module number", Identity, Q::Number, "5512-447 M1 (2009) p.13 (801)"),
        slow(row(175, "errorhourcounter", "Hours with an info code", Counter, Q::Duration, "5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82; for 302 a public dict that copies its list has Infohour after CheckSum")),
        row(178, "diff_energy", "Differential energy dE", Gauge, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(179, "control_energy", "Control energy cE", Counter, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(180, "diff_volume", "Differential volume dV", Gauge, Q::Volume, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(181, "control_volume", "Control volume cV", Counter, Q::Volume, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(183, "serialnumber_alt", "Second serial number", Identity, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303) (a guess by its author)"),
        row(184, "mbus_primary", "M-Bus primary address, module 1", Setting, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.13 (801); jktjkt/PyKMP commit cea1aad (603/303)"),
        row(185, "mbus_secondary", "M-Bus secondary address, module 1", Setting, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.13 (801); jktjkt/PyKMP commit cea1aad (603/303)"),
        row(218, "mbus_primary_mod2", "M-Bus primary address, module 2", Setting, Q::Number, "5512-447 M1 (2009) p.13 (801); jktjkt/PyKMP commit cea1aad (603/303)"),
        row(219, "mbus_secondary_mod2", "M-Bus secondary address, module 2", Setting, Q::Number, "5512-447 M1 (2009) p.13 (801); jktjkt/PyKMP commit cea1aad (603/303)"),
        row(220, "mbus_primary_ext", "M-Bus primary address, external module", Setting, Q::Number, "5512-447 M1 (2009) p.13 (801)"),
        row(221, "mbus_secondary_ext", "M-Bus secondary address, external module", Setting, Q::Number, "5512-447 M1 (2009) p.13 (801)"),
        slow(row(222, "configevents", "Configuration changes", Counter, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)")),
        row(223, "highresvolume", "Volume with more digits", WrappingCounter, Q::Volume, "TD 402 5512-742_M1 p.83"),
        row(224, "input_a2", "Pulse input A2", Counter, Q::Other, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(225, "input_b2", "Pulse input B2", Counter, Q::Other, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(228, "confno3", "Configuration number 3", Setting, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303); commit 8786735"),
        row(229, "autoint_temp1", "Supply temperature, autointegration", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83"),
        row(230, "autoint_temp2", "Return temperature, autointegration", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83"),
        row(234, "input_a_weight", "Litres per pulse of input A", Setting, Q::Other, "5512-447 M1 (2009) p.12; TD 62 5512-1036_D1 p.82"),
        row(235, "input_b_weight", "Litres per pulse of input B", Setting, Q::Other, "5512-447 M1 (2009) p.12; TD 62 5512-1036_D1 p.82"),
        row(239, "volumehighres", "Volume, high resolution", WrappingCounter, Q::Volume, "TD 302 5512-1334_F1 p.68; TD 62 5512-1036_D1 p.82"),
        row(241, "maxflow_d", "Highest flow of the day", Gauge, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(242, "minflow_d", "Lowest flow of the day", Gauge, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(243, "volume_reverse", "Reverse volume", Counter, Q::Volume, "bsdphk/PyKamstrup pull 6; kristianschneider/ha-multical_21; jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(254, "typeno_text", "Type number as ASCII text", Identity, Q::Text, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter); example value in jktjkt/PyKMP commit a8dec38"),
        row(257, "pulse_value_v1", "Pulse value of V1", Setting, Q::Other, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(258, "pulse_value_v2", "Pulse value of V2", Setting, Q::Other, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(259, "nominal_flow_v1", "Nominal flow qp of V1", Setting, Q::Flow, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(260, "nominal_flow_v2", "Nominal flow qp of V2", Setting, Q::Flow, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(266, "e1highres", "Energy, high resolution", WrappingCounter, Q::Energy, "TD 302 5512-1334_F1 p.68; TD 403 FILE100000166_B_EN p.127 (example); golles/ha-kamstrup_403"),
        row(267, "e3highres", "Cooling energy, high resolution", WrappingCounter, Q::Energy, "TD 302 5512-1334_F1 p.68; jktjkt/PyKMP commit cea1aad (603/303)"),
        row(268, "qp_averaging", "Averaging time used for min/max flow and power", Setting, Q::Duration, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(279, "din_meter_id", "ID in the DIN 43863-5 form", Identity, Q::Text, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(292, "water_temp", "Water temperature", Gauge, Q::Temperature, "bsdphk/PyKamstrup pull 6; Google Groups sonoffusers aYmxherLsOU; jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        slow(row(293, "water_temp_min_m", "Lowest water temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter) (order of 293-295 uncertain by its author)")),
        slow(row(294, "water_temp_max_m", "Highest water temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter) (order of 293-295 uncertain by its author)")),
        slow(row(295, "water_temp_avg_m", "Average water temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter) (order of 293-295 uncertain by its author)")),
        row(296, "water_temp_min_d", "Lowest water temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(297, "water_temp_max_d", "Highest water temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(298, "water_temp_avg_d", "Average water temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(299, "meter_temp", "Temperature of the meter", Gauge, Q::Temperature, "bsdphk/PyKamstrup pull 6; Google Groups sonoffusers aYmxherLsOU; jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        slow(row(300, "meter_temp_min_m", "Lowest meter temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)")),
        slow(row(301, "meter_temp_max_m", "Highest meter temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)")),
        slow(row(302, "meter_temp_avg_m", "Average meter temperature of the month", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)")),
        row(303, "meter_temp_min_d", "Lowest meter temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(304, "meter_temp_max_d", "Highest meter temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(305, "meter_temp_avg_d", "Average meter temperature of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(327, "targetdate_1", "Target date 1", Setting, Q::MonthDay, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter) (327-330 documented elsewhere differently, says its author)"),
        row(328, "targetdate_2", "Target date 2", Setting, Q::MonthDay, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(338, "data_quality", "Data quality", Code, Q::Number, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter); also in a 603 yearly log, jktjkt/PyKMP tests"),
        row(346, "module_sw_rev", "Software revision of the module", Identity, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(347, "customer_no", "Customer number in one register", Identity, Q::Text, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(348, "datetime", "Clock date and time", Clock, Q::DateTime, "jktjkt/PyKMP commit cea1aad (603/303); commit a82690e"),
        slow(row(355, "cop_y", "Coefficient of performance this year", Gauge, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)")),
        row(362, "tariff4", "Tariff register TA4", Counter, Q::Other, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(364, "energy_a1", "Heat energy A1", Counter, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(365, "energy_a2", "Heat energy A2", Counter, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(366, "t5_limit", "Temperature limit t5", Setting, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        slow(row(367, "cop_m", "Coefficient of performance this month", Gauge, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)")),
        row(368, "confno4", "Configuration number 4", Setting, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303); commit 8786735"),
        row(369, "info_bits", "Info code as bits", Code, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(371, "cop", "Coefficient of performance", Gauge, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(372, "power_input_b1", "Electrical power measured on pulse input B1", Gauge, Q::Power, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(379, "temp1_avg_d", "Supply temperature, mean of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(380, "temp2_avg_d", "Return temperature, mean of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(381, "temp1_avg_h", "Supply temperature, mean of the hour", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(382, "temp2_avg_h", "Return temperature, mean of the hour", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(383, "maxflowtime_y", "Time of highest flow this year", Date, Q::DateTime, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(384, "minflowtime_y", "Time of lowest flow this year", Date, Q::DateTime, "jktjkt/PyKMP commit 4bcc1a4"),
        row(385, "maxpowertime_y", "Time of highest power this year", Date, Q::DateTime, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(386, "minpowertime_y", "Time of lowest power this year", Date, Q::DateTime, "jktjkt/PyKMP commit 4bcc1a4"),
        row(387, "maxflowtime_m", "Time of highest flow this month", Date, Q::DateTime, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(388, "minflowtime_m", "Time of lowest flow this month", Date, Q::DateTime, "jktjkt/PyKMP commit 4bcc1a4"),
        row(389, "maxpowertime_m", "Time of highest power this month", Date, Q::DateTime, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(390, "minpowertime_m", "Time of lowest power this month", Date, Q::DateTime, "jktjkt/PyKMP commit 4bcc1a4"),
        row(394, "config_xyz", "Configuration number XYZ", Setting, Q::Number, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(398, "temp1_1dec", "Supply temperature, one decimal", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(399, "temp2_1dec", "Return temperature, one decimal", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(400, "tempdiff_1dec", "Temperature difference, one decimal", Gauge, Q::TemperatureDifference, "jktjkt/PyKMP commit cea1aad (603/303) (an educated guess by its author, later kept in jktjkt/PyKMP commit 4bcc1a4)"),
        row(404, "metertype_no", "Type number", Identity, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)"),
        slow(row(409, "info_hours", "Info hour counter", Code, Q::Number, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)")),
        row(440, "maxflow_h", "Highest flow of the hour", Gauge, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(445, "maxflowdate_d", "Date/time of the day's highest flow", Date, Q::Date, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(446, "minflowdate_d", "Date/time of the day's lowest flow", Date, Q::Date, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(458, "infocode_water", "Info code of a water meter", Code, Q::Number, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(473, "energy10", "Energy E10", Counter, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(474, "energy11", "Energy E11", Counter, Q::Energy, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(477, "temp3_avg_d", "Temperature t3, mean of the day", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(478, "temp3_avg_h", "Temperature t3, mean of the hour", Gauge, Q::Temperature, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(505, "pressure1_avg_d", "Supply pressure, mean of the day", Gauge, Q::Pressure, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(506, "pressure2_avg_d", "Return pressure, mean of the day", Gauge, Q::Pressure, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(507, "pressure1_avg_h", "Supply pressure, mean of the hour", Gauge, Q::Pressure, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(508, "pressure2_avg_h", "Return pressure, mean of the hour", Gauge, Q::Pressure, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(515, "unknown_515", "Undocumented register", Code, Q::Other, "jktjkt/PyKMP tests/test_commands.py (commit 77f2b75)"),
        slow(row(582, "battery_days_left", "Battery days left", Gauge, Q::Duration, "flowIQ 3200 EU data sheet (name and ID); esphome/feature-requests 1402 (read on a flowIQ 2200); jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)")),
        row(583, "acoustic_noise_d", "Acoustic noise of the last day", Gauge, Q::Number, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(622, "volume_extradigit", "Volume with one more digit", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter); TD 403 p.127 describes the extra-digit registers"),
        row(640, "metertype_text", "Type in words", Identity, Q::Text, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(675, "wmbus_interval", "Wireless M-Bus send interval", Setting, Q::Duration, "jktjkt/PyKMP commit cea1aad (603/303)"),
        row(692, "flow_hist_volume_1", "Volume counted in flow bucket 1", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(697, "flow_hist_volume_2", "Volume counted in flow bucket 2", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(698, "flow_hist_volume_3", "Volume counted in flow bucket 3", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(699, "flow_hist_volume_4", "Volume counted in flow bucket 4", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(700, "flow_hist_volume_5", "Volume counted in flow bucket 5", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(701, "flow_hist_volume_6", "Volume counted in flow bucket 6", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(702, "flow_hist_volume_7", "Volume counted in flow bucket 7", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(703, "flow_hist_volume_8", "Volume counted in flow bucket 8", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(704, "flow_hist_volume_9", "Volume counted in flow bucket 9", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(705, "flow_hist_volume_10", "Volume counted in flow bucket 10", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(706, "flow_hist_volume_11", "Volume counted in flow bucket 11", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(707, "flow_hist_volume_12", "Volume counted in flow bucket 12", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(708, "flow_hist_volume_13", "Volume counted in flow bucket 13", Counter, Q::Volume, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(709, "flow_hist_bucket_1", "Flow bucket 1", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(710, "flow_hist_bucket_2", "Flow bucket 2", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(711, "flow_hist_bucket_3", "Flow bucket 3", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(712, "flow_hist_bucket_4", "Flow bucket 4", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(713, "flow_hist_bucket_5", "Flow bucket 5", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(714, "flow_hist_bucket_6", "Flow bucket 6", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(715, "flow_hist_bucket_7", "Flow bucket 7", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(716, "flow_hist_bucket_8", "Flow bucket 8", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(717, "flow_hist_bucket_9", "Flow bucket 9", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(718, "flow_hist_bucket_10", "Flow bucket 10", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(719, "flow_hist_bucket_11", "Flow bucket 11", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(720, "flow_hist_bucket_12", "Flow bucket 12", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(721, "flow_hist_bucket_13", "Flow bucket 13", Setting, Q::Flow, "jktjkt/PyKMP commits 205b823 + 35b0cb2 (KWM2231 water meter)"),
        row(1001, "serialnumber", "Serial number", Identity, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(1002, "clock", "Clock time", Clock, Q::TimeOfDay, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(1003, "date", "Clock date", Clock, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        slow(row(1004, "hourcounter", "Operating hours", Counter, Q::Duration, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11")),
        row(1005, "metertype", "Type", Identity, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(1010, "meternumber_low", "Customer number, lower digits", Identity, Q::Number, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(1023, "power_in", "Imported active power", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1024, "power_out", "Exported active power", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        slow(row(1032, "operation_mode", "Operation mode", Code, Q::Number, "jktjkt/PyKMP commit cea1aad (603/303)")),
        row(1054, "voltage_l1", "Voltage of phase 1", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1055, "voltage_l2", "Voltage of phase 2", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1056, "voltage_l3", "Voltage of phase 3", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1076, "current_l1", "Current of phase 1", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1077, "current_l2", "Current of phase 2", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1078, "current_l3", "Current of phase 3", Gauge, Q::Other, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1080, "power_in_l1", "Imported power of phase 1", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1081, "power_in_l2", "Imported power of phase 2", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1082, "power_in_l3", "Imported power of phase 3", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1344, "power_out_l1", "Exported power of phase 1", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1345, "power_out_l2", "Exported power of phase 2", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
        row(1346, "power_out_l3", "Exported power of phase 3", Gauge, Q::Power, "jktjkt/PyKMP commit f3a9eff; bsdphk/PyKamstrup kamstrup.py (electricity meters 382/685)"),
    ]
};

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn ids_ascend_and_every_row_is_complete() {
        assert!(REGISTERS.is_sorted_by(|a, b| a.id < b.id));
        for register in REGISTERS {
            assert!(!register.label.is_empty() && !register.source.is_empty(), "{register:?}");
            assert_eq!(register.id.info().map(|info| info.id), Some(register.id));
        }
    }

    #[test]
    fn keys_are_unique_without_regard_to_case_and_fit_into_a_topic() {
        let mut keys: Vec<_> = REGISTERS.iter().map(|r| r.key.to_ascii_lowercase()).collect();
        keys.sort_unstable();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for key in keys {
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{key}");
            // A number must never be mistaken for a name.
            assert!(key.starts_with(|c: char| c.is_ascii_alphabetic()), "{key}");
        }
    }

    #[test]
    fn labels_are_unique() {
        let mut labels: Vec<_> = REGISTERS.iter().map(|register| register.label).collect();
        labels.sort_unstable();
        for pair in labels.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn what_is_of_a_period_is_slow_and_what_is_used_counts() {
        let of = |pace: Pace| {
            let registers = REGISTERS.iter().filter(move |register| register.pace == pace);
            registers.map(|register| register.key).collect::<Vec<_>>()
        };
        let (instant, slow) = (of(Pace::Instant), of(Pace::Slow));
        for key in ["power", "flow", "temp1", "temp2", "tempdiff", "infocode", "clock", "cop"] {
            assert!(instant.contains(&key), "{key}");
        }
        for key in ["energy", "volume", "e1highres", "input_a", "mass1", "tariff2", "energy_in"] {
            assert!(of(Pace::Counting).contains(&key), "{key}");
        }
        for key in ["temp1xm3", "hourcounter", "infoevent", "serialnumber", "targetdate"] {
            assert!(slow.contains(&key), "{key}");
        }
        // Names end with their period: hour, day, month or year. What belongs to an hour or a day
        // changes more often than a slow register is read.
        for Register { key, kind, pace, .. } in REGISTERS {
            let ends = |ends: [&str; 2]| ends.iter().any(|end| key.ends_with(end));
            assert!(!ends(["_m", "_y"]) || *pace == Pace::Slow, "{key}");
            assert!(!ends(["_h", "_d"]) || *kind == Kind::Date || *pace == Pace::Instant, "{key}");
        }
        assert_eq!(RegisterId::new(9_999).pace(), Pace::Counting);
    }

    #[test]
    fn a_key_is_found_without_regard_to_case() {
        for name in ["maxflowDate_m", "maxflowdate_m", "MAXFLOWDATE_M"] {
            assert_eq!(Register::by_key(name).map(|r| r.id), Some(RegisterId::new(138)));
        }
        assert!(Register::by_key("enery").is_none());
    }

    #[test]
    fn numbers_may_be_decimal_or_hexadecimal() {
        assert_eq!("60".parse(), Ok(RegisterId::new(60)));
        assert_eq!("0x003C".parse(), Ok(RegisterId::new(60)));
        assert_eq!("0XffFF".parse(), Ok(RegisterId::new(65535)));
        assert_eq!("65535".parse::<RegisterId>().unwrap().to_string(), "65535");
        for bad in ["", "0x", "65536", "0x10000", "-1", "+1", "0x+1", "6 0", "energy", "60.0"] {
            assert_eq!(bad.parse::<RegisterId>(), Err(ParseRegisterIdError), "{bad}");
        }
    }
}
