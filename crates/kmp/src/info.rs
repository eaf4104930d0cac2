//! Info codes: the faults that a meter reports.
//!
//! The layout differs between generations: 4 is "return temperature sensor T2" on a 602 and an
//! external alarm on a 403. So a code means nothing without its model. Each bit is a fault that is
//! active now; 0 means no fault.

use alloc::vec::Vec;
use core::fmt;

use crate::model::Model;
use crate::register::RegisterId;

use Certainty::{Documented, Likely, Unsure};
use Sensor::{Difference, Flow1, Flow2, Temperature1, Temperature2, Temperature3};

/// How certain a meaning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The sources disagree, or are incomplete.
    Unsure,
    /// The meaning is from working code, or from the document of another meter of the generation.
    Likely,
    /// The meaning is from Kamstrup's own document of this meter.
    Documented,
}

/// A sensor of the meter. If it is broken, the meter still sends numbers: 0.00 or 185.00 °C, and
/// therefore 0.00 K, 0.0 kW and 0 l/h (TD 403 p.94, TD 603 5512-2029_A1 p.107, TD 803 5512-2360_A1
/// p.121).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensor {
    /// Temperature sensor t1, in the supply pipe.
    Temperature1,
    /// Temperature sensor t2, in the return pipe.
    Temperature2,
    /// Temperature sensor t3; on an 803 also t4.
    Temperature3,
    /// The difference between t1 and t2.
    Difference,
    /// Flow sensor V1.
    Flow1,
    /// Flow sensor V2.
    Flow2,
}

/// One bit of an info code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoBit {
    /// The position of the bit; 0 is the lowest.
    pub bit: u8,
    /// The meaning of the bit when it is set, in English.
    pub meaning: &'static str,
    /// The sensors that do not measure while the bit is set.
    pub sensors: &'static [Sensor],
    /// How certain the meaning is.
    pub certainty: Certainty,
    /// Where this is documented.
    pub source: &'static str,
}

/// Three bits of an info code: how long a condition was active in the last 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoField {
    /// The position of the lowest of the three bits.
    pub bit: u8,
    /// The condition, in English.
    pub meaning: &'static str,
    /// Where this is documented.
    pub source: &'static str,
}

/// The eight steps of an [`InfoField`].
const DURATIONS: [&str; 8] = [
    "0 hours",
    "1 to 8 hours",
    "9 to 24 hours",
    "2 to 3 days",
    "4 to 7 days",
    "8 to 14 days",
    "15 to 21 days",
    "22 to 31 days",
];

/// A digit of the info code on the display of newer meters. It is not part of the number that they
/// send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayDigit {
    /// The positions of the digit; 1 is the leftmost.
    pub digits: &'static [u8],
    /// The value of the digit.
    pub shown: u8,
    /// The meaning of the value, in English.
    pub meaning: &'static str,
    /// How certain the meaning is.
    pub certainty: Certainty,
    /// Where this is documented.
    pub source: &'static str,
}

/// The info codes of a generation of meters.
#[derive(Debug, PartialEq, Eq)]
pub struct InfoCodes {
    /// The registers that hold the code, the most likely first. For 603 and 803, no source says
    /// which of the two it is.
    pub registers: &'static [RegisterId],
    /// The bits of the code.
    pub bits: &'static [InfoBit],
    /// The parts of the code that are durations.
    pub fields: &'static [InfoField],
    /// The digits on the display.
    pub display: &'static [DisplayDigit],
}

impl InfoCodes {
    /// The info codes of a model. None are known for the 302: only one byte of its status has ever
    /// been captured, from its radio, and nobody has decoded it (wmbusmeters
    /// drivers/src/kamheat.xmq).
    #[must_use]
    pub const fn of(model: Model) -> Option<&'static Self> {
        match model {
            Model::Multical21 => Some(&INFO_21),
            Model::Multical302 => None,
            Model::Multical303 => Some(&INFO_303),
            // The 801 shares the 601's document.
            Model::Multical402 | Model::Multical601 | Model::Multical801 => Some(&INFO_OLDER),
            Model::Multical602 => Some(&INFO_602),
            Model::Multical403 => Some(&INFO_403),
            Model::Multical603 => Some(&INFO_603),
            Model::Multical803 => Some(&INFO_803),
        }
    }

    /// The info codes of the newer water meters (flowIQ 2200, KWM2231). They have four bytes, those
    /// of a MULTICAL 21 have two.
    #[must_use]
    pub const fn of_flow_iq() -> &'static Self {
        &INFO_FLOW_IQ
    }

    /// The info codes for a code of `length` bytes from any of these models; `None` if the models
    /// do not agree.
    #[must_use]
    pub fn shared(models: &[Model], length: usize) -> Option<&'static Self> {
        let of = |model: &Model| match model {
            Model::Multical21 if length > 2 => Some(Self::of_flow_iq()),
            model => Self::of(*model),
        };
        let first = of(models.first()?)?;
        // The wider table begins with the narrower one.
        let agrees = |other: &'static Self| {
            other.bits.iter().all(|bit| {
                first.bits.iter().any(|mine| mine.bit == bit.bit && mine.sensors == bit.sensors)
            })
        };
        models.iter().all(|model| of(model).is_some_and(agrees)).then_some(first)
    }

    /// The meanings of the bits of a code; empty for 0.
    #[must_use]
    pub fn explain(&self, code: u32) -> Vec<Meaning> {
        let mut meanings = Vec::new();
        for bit in (0..u32::BITS).filter_map(|bit| u8::try_from(bit).ok()) {
            if code.wrapping_shr(bit.into()) & 1 == 0 {
                continue;
            }
            let field = self.fields.iter().find(|field| field.covers(bit));
            meanings.push(match (self.bits.iter().find(|known| known.bit == bit), field) {
                (Some(known), _) => Meaning::Bit(known),
                (None, None) => Meaning::Unknown { bit },
                (None, Some(field)) => {
                    let meaning = Meaning::Lasted { field, step: field.step(code) };
                    if meanings.contains(&meaning) {
                        continue;
                    }
                    meaning
                }
            });
        }
        meanings
    }
}

impl InfoField {
    fn covers(&self, bit: u8) -> bool {
        bit.checked_sub(self.bit).is_some_and(|above| above < 3)
    }

    fn step(&self, code: u32) -> u8 {
        u8::try_from(code.wrapping_shr(self.bit.into()) & 0b111).unwrap_or_default()
    }
}

/// One meaning of an info code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A known bit.
    Bit(&'static InfoBit),
    /// A condition that was active for some time.
    Lasted {
        /// The condition.
        field: &'static InfoField,
        /// The step of the duration, 1 to 7.
        step: u8,
    },
    /// A bit that no source explains.
    Unknown {
        /// The position of the bit; 0 is the lowest.
        bit: u8,
    },
}

impl Meaning {
    /// The sensors that do not measure as long as this is active.
    #[must_use]
    pub const fn sensors(&self) -> &'static [Sensor] {
        match self {
            Self::Bit(bit) => bit.sensors,
            Self::Lasted { .. } | Self::Unknown { .. } => &[],
        }
    }
}

/// Writes the meaning in English.
impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(bit) => f.write_str(bit.meaning),
            Self::Lasted { field, step } => {
                let lasted = DURATIONS.get(usize::from(*step)).copied().unwrap_or_default();
                write!(f, "{} for {lasted} in the last 30 days", field.meaning)
            }
            Self::Unknown { bit } => write!(f, "undocumented bit {bit}"),
        }
    }
}

const fn bit(
    bit: u8,
    meaning: &'static str,
    sensors: &'static [Sensor],
    certainty: Certainty,
    source: &'static str,
) -> InfoBit {
    InfoBit { bit, meaning, sensors, certainty, source }
}

const fn field(bit: u8, meaning: &'static str, source: &'static str) -> InfoField {
    InfoField { bit, meaning, source }
}

const fn digit(
    digits: &'static [u8],
    shown: u8,
    meaning: &'static str,
    certainty: Certainty,
    source: &'static str,
) -> DisplayDigit {
    DisplayDigit { digits, shown, meaning, certainty, source }
}

/// The info code (5512-447 M1 p.11).
const CODE: RegisterId = RegisterId::new(99);
/// The info bits (jktjkt/PyKMP commit cea1aad).
const BITS: RegisterId = RegisterId::new(369);
/// The info code of newer water meters (jktjkt/PyKMP commit 205b823).
const CODE_WATER: RegisterId = RegisterId::new(458);

static INFO_602: InfoCodes =
    InfoCodes { registers: &[CODE], bits: &BITS_602, fields: &[], display: &[] };
static INFO_OLDER: InfoCodes =
    InfoCodes { registers: &[CODE], bits: &BITS_OLDER, fields: &[], display: &[] };
static INFO_403: InfoCodes =
    InfoCodes { registers: &[CODE], bits: BITS_403, fields: &[], display: DISPLAY_403 };
static INFO_603: InfoCodes =
    InfoCodes { registers: &[BITS, CODE], bits: BITS_603, fields: &[], display: DISPLAY_603 };
static INFO_803: InfoCodes =
    InfoCodes { registers: &[BITS, CODE], bits: BITS_603, fields: &[], display: DISPLAY_803 };
static INFO_303: InfoCodes =
    InfoCodes { registers: &[CODE, BITS], bits: BITS_303, fields: &[], display: &[] };
static INFO_21: InfoCodes =
    InfoCodes { registers: &[CODE], bits: BITS_21, fields: FIELDS_21, display: &[] };
static INFO_FLOW_IQ: InfoCodes =
    InfoCodes { registers: &[CODE, CODE_WATER], bits: BITS_FLOW_IQ, fields: &[], display: &[] };

/// 602, and the older 601 and 402.
const BITS_602: [InfoBit; 15] = [
    bit(
        0,
        "supply voltage was interrupted (shown only in the meter's log)",
        &[],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(
        2,
        "return temperature sensor T2 outside its range",
        &[Temperature2],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(
        3,
        "supply temperature sensor T1 outside its range",
        &[Temperature1],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(4, "no data from flow sensor V1", &[Flow1], Documented, "TD 602 5512-931_N1 p.49"),
    bit(
        5,
        "third temperature sensor T3 outside its range",
        &[Temperature3],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(6, "leak in the cold water system", &[], Documented, "TD 602 5512-931_N1 p.49"),
    bit(7, "wrong pulse figure at flow sensor V2", &[Flow2], Documented, "TD 602 5512-931_N1 p.49"),
    bit(8, "leak in the heating system", &[], Documented, "TD 602 5512-931_N1 p.49"),
    bit(9, "burst in the heating system", &[], Documented, "TD 602 5512-931_N1 p.49"),
    bit(10, "no data from flow sensor V2", &[Flow2], Documented, "TD 602 5512-931_N1 p.49"),
    bit(
        11,
        "wrong pulse figure at flow sensor V1",
        &[Flow1],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(
        12,
        "signal of flow sensor V1 too weak, because of air in the sensor",
        &[Flow1],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(
        13,
        "signal of flow sensor V2 too weak, because of air in the sensor",
        &[Flow2],
        Documented,
        "TD 602 5512-931_N1 p.49",
    ),
    bit(14, "wrong flow direction at flow sensor V1", &[], Documented, "TD 602 5512-931_N1 p.49"),
    bit(15, "wrong flow direction at flow sensor V2", &[], Documented, "TD 602 5512-931_N1 p.49"),
];

/// 402 and 601. Their own tables were not found. This is the table of the 602, which is of the same
/// generation; wmbusmeters uses it for all of them.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const BITS_OLDER: [InfoBit; 15] = {
    let mut bits = BITS_602;
    let mut row = 0;
    while row < bits.len() {
        let InfoBit { bit: number, meaning, sensors, .. } = bits[row];
        let source = "wmbusmeters drivers/src/kamheat.xmq, status_narrow, and issue 775";
        bits[row] = bit(number, meaning, sensors, Likely, source);
        row += 1;
    }
    bits
};

/// 403.
const BITS_403: &[InfoBit] = &[
    bit(
        0,
        "no supply voltage (shown only in the meter's log)",
        &[],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(1, "battery low", &[], Documented, "TD 403 FILE100000166_B_EN p.92"),
    bit(
        2,
        "external alarm, for example set through this port",
        &[],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(
        3,
        "supply temperature sensor t1 above its range, or disconnected",
        &[Temperature1],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(
        4,
        "return temperature sensor t2 above its range, or disconnected",
        &[Temperature2],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(
        5,
        "supply temperature sensor t1 below its range, or short-circuited",
        &[Temperature1],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(
        6,
        "return temperature sensor t2 below its range, or short-circuited",
        &[Temperature2],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(
        7,
        "invalid difference t1 - t2 between supply and return temperature",
        &[Difference],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(8, "air in flow sensor V1", &[Flow1], Documented, "TD 403 FILE100000166_B_EN p.92"),
    bit(
        9,
        "wrong flow direction at flow sensor V1",
        &[],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(10, "reserved bit 10", &[], Likely, "TD 403 FILE100000166_B_EN p.92"),
    bit(
        11,
        "flow sensor V1 above its maximum flow for more than an hour",
        &[],
        Documented,
        "TD 403 FILE100000166_B_EN p.92",
    ),
    bit(12, "leakage at input A", &[], Documented, "TD 403 FILE100000166_B_EN p.92"),
    bit(13, "leakage at input B", &[], Documented, "TD 403 FILE100000166_B_EN p.92"),
    bit(14, "external alarm at input A", &[], Documented, "TD 403 FILE100000166_B_EN p.92"),
    bit(15, "external alarm at input B", &[], Documented, "TD 403 FILE100000166_B_EN p.92"),
];

/// 603 and 803: the table of the 403, extended to 32 bits.
const BITS_603: &[InfoBit] = &[
    bit(
        0,
        "supply voltage interrupted",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        1,
        "battery low (on an 803, running on the backup battery)",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        2,
        "external alarm, or a sensor error",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        3,
        "supply temperature sensor t1 above its range, or disconnected",
        &[Temperature1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        4,
        "return temperature sensor t2 above its range, or disconnected",
        &[Temperature2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        5,
        "supply temperature sensor t1 below its range, or short-circuited",
        &[Temperature1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        6,
        "return temperature sensor t2 below its range, or short-circuited",
        &[Temperature2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        7,
        "invalid difference t1 - t2 between supply and return temperature",
        &[Difference],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        8,
        "air in flow sensor V1, or its signal is weak",
        &[Flow1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        9,
        "wrong flow direction at flow sensor V1",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        10,
        "reserved bit 10",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        11,
        "flow sensor V1 above its maximum flow for more than an hour",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        12,
        "leakage at input A1",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        13,
        "leakage at input B1",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        14,
        "external alarm at input A1 or A2",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        15,
        "external alarm at input B1 or B2",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        16,
        "no data from flow sensor V1",
        &[Flow1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        17,
        "wrong pulse figure at flow sensor V1",
        &[Flow1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        18,
        "leakage at input A2",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        19,
        "leakage at input B2",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        20,
        "third temperature sensor t3, on an 803 also t4, above its range, or disconnected",
        &[Temperature3],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        21,
        "third temperature sensor t3, on an 803 also t4, below its range, or short-circuited",
        &[Temperature3],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        22,
        "no data from flow sensor V2",
        &[Flow2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        23,
        "wrong pulse figure at flow sensor V2",
        &[Flow2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        24,
        "air in flow sensor V2",
        &[Flow2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        25,
        "wrong flow direction at flow sensor V2",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        26,
        "reserved bit 26",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        27,
        "flow sensor V2 above its maximum flow for more than an hour",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        28,
        "burst with water loss (flow 1 above flow 2)",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        29,
        "burst with water ingress (flow 1 below flow 2)",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        30,
        "leakage with water loss (mass 1 above mass 2)",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
    bit(
        31,
        "leakage with water ingress (mass 1 below mass 2)",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 32-bit status; not confirmed on KMP",
    ),
];

/// 303: the lower half of the table of the 603.
const BITS_303: &[InfoBit] = &[
    bit(
        0,
        "supply voltage interrupted",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        1,
        "battery low",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        3,
        "supply temperature sensor t1 above its range, or disconnected",
        &[Temperature1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        4,
        "return temperature sensor t2 above its range, or disconnected",
        &[Temperature2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        5,
        "supply temperature sensor t1 below its range, or short-circuited",
        &[Temperature1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        6,
        "return temperature sensor t2 below its range, or short-circuited",
        &[Temperature2],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        7,
        "invalid difference t1 - t2 between supply and return temperature",
        &[Difference],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        8,
        "air in flow sensor V1, or its signal is weak",
        &[Flow1],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        9,
        "wrong flow direction at flow sensor V1",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        10,
        "reserved bit 10",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
    bit(
        11,
        "flow sensor V1 above its maximum flow for more than an hour",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamheat.xmq, 16-bit status, and issue 1653",
    ),
];

/// 21: the conditions that are active now.
const BITS_21: &[InfoBit] = &[
    bit(0, "dry (no water in the meter)", &[], Documented, "TD 21 5512-897_J1 p.50"),
    bit(1, "reverse (the water flows backwards)", &[], Documented, "TD 21 5512-897_J1 p.50"),
    bit(
        2,
        "leak (the flow never stopped during the configured time)",
        &[],
        Documented,
        "TD 21 5512-897_J1 p.50",
    ),
    bit(
        3,
        "burst (the flow was above the configured limit for the configured time)",
        &[],
        Documented,
        "TD 21 5512-897_J1 p.50",
    ),
];

/// Newer water meters (flowIQ 2200, KWM2231).
const BITS_FLOW_IQ: &[InfoBit] = &[
    bit(0, "dry", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(1, "reverse", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(2, "leak", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(3, "burst", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(4, "tamper", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(5, "battery low", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(
        6,
        "low ambient temperature",
        &[],
        Likely,
        "wmbusmeters drivers/src/kamwater.xmq, 32-bit status",
    ),
    bit(
        7,
        "flow above its limit, or meter too warm (sources disagree)",
        &[],
        Unsure,
        "wmbusmeters drivers/src/kamwater.xmq, 32-bit status",
    ),
    bit(9, "no consumption", &[], Likely, "wmbusmeters drivers/src/kamwater.xmq, 32-bit status"),
    bit(
        11,
        "bit 11, whose meaning is not known",
        &[],
        Unsure,
        "wmbusmeters drivers/src/kamwater.xmq, 32-bit status",
    ),
];

/// 21: how long each condition was active in the last 30 days.
const FIELDS_21: &[InfoField] = &[
    field(4, "dry", "TD 21 5512-897_J1 p.50"),
    field(7, "reverse", "TD 21 5512-897_J1 p.50"),
    field(10, "leak", "TD 21 5512-897_J1 p.50"),
    field(13, "burst", "TD 21 5512-897_J1 p.50"),
];

const DISPLAY_403: &[DisplayDigit] = &[
    digit(
        &[1],
        1,
        "no supply voltage",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[1],
        2,
        "battery low",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[1],
        9,
        "external alarm",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[2],
        1,
        "supply temperature sensor t1 above its range, or disconnected",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[2],
        2,
        "supply temperature sensor t1 below its range, or short-circuited",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[3],
        1,
        "return temperature sensor t2 above its range, or disconnected",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[3],
        2,
        "return temperature sensor t2 below its range, or short-circuited",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[2, 3],
        99,
        "invalid difference t1 - t2 between supply and return temperature",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[5],
        3,
        "air in flow sensor V1",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[5],
        4,
        "wrong flow direction at flow sensor V1",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[5],
        6,
        "flow sensor V1 above its maximum flow for more than an hour",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[7],
        8,
        "leakage at input A",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[7],
        9,
        "external alarm at input A",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[8],
        8,
        "leakage at input B",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
    digit(
        &[8],
        9,
        "external alarm at input B",
        Documented,
        "TD 403 FILE100000166_B_EN p.92; user guide 55121739_B1 p.13",
    ),
];

/// 7 and 8 of V1 and V2 are from a copy that has lost the columns of the table.
const DISPLAY_603: &[DisplayDigit] = &[
    digit(&[1], 1, "no supply voltage", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(&[1], 2, "battery low", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(&[1], 9, "external alarm", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(
        &[2],
        1,
        "supply temperature sensor t1 above its range, or disconnected",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[2],
        2,
        "supply temperature sensor t1 below its range, or short-circuited",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[3],
        1,
        "return temperature sensor t2 above its range, or disconnected",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[3],
        2,
        "return temperature sensor t2 below its range, or short-circuited",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[2, 3],
        99,
        "invalid difference t1 - t2 between supply and return temperature",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[4],
        1,
        "third temperature sensor t3 above its range, or disconnected",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[4],
        2,
        "third temperature sensor t3 below its range, or short-circuited",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[5],
        1,
        "no data from flow sensor V1",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[5],
        2,
        "wrong pulse figure at flow sensor V1",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(&[5], 3, "air in flow sensor V1", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(
        &[5],
        4,
        "wrong flow direction at flow sensor V1",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[5],
        6,
        "flow sensor V1 above its maximum flow for more than an hour",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[5],
        7,
        "burst with water loss (flow 1 above flow 2)",
        Likely,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[5],
        8,
        "leakage with water loss (mass 1 above mass 2)",
        Likely,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[6],
        1,
        "no data from flow sensor V2",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[6],
        2,
        "wrong pulse figure at flow sensor V2",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(&[6], 3, "air in flow sensor V2", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(
        &[6],
        4,
        "wrong flow direction at flow sensor V2",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[6],
        6,
        "flow sensor V2 above its maximum flow for more than an hour",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[6],
        7,
        "burst with water ingress (flow 1 below flow 2)",
        Likely,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(
        &[6],
        8,
        "leakage with water ingress (mass 1 below mass 2)",
        Likely,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(&[7], 7, "leakage at input A2", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(&[7], 8, "leakage at input A1", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(
        &[7],
        9,
        "external alarm at input A",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
    digit(&[8], 7, "leakage at input B2", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(&[8], 8, "leakage at input B1", Documented, "MULTICAL 603 data sheet 58101516_F1 p.11"),
    digit(
        &[8],
        9,
        "external alarm at input B",
        Documented,
        "MULTICAL 603 data sheet 58101516_F1 p.11",
    ),
];

/// The rest of this table is cut off in the copy that was read. The digits are probably those of
/// the 603.
const DISPLAY_803: &[DisplayDigit] = &[
    digit(&[1], 1, "supply voltage interrupted", Documented, "TD 803 5512-2360_A1 p.119"),
    digit(&[1], 2, "running on the backup battery", Documented, "TD 803 5512-2360_A1 p.119"),
    digit(&[1], 9, "external alarm", Documented, "TD 803 5512-2360_A1 p.119"),
    digit(
        &[2],
        1,
        "supply temperature sensor t1 above its range, or disconnected",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
    digit(
        &[2],
        2,
        "supply temperature sensor t1 below its range, or short-circuited",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
    digit(
        &[3],
        1,
        "return temperature sensor t2 above its range, or disconnected",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
    digit(
        &[3],
        2,
        "return temperature sensor t2 below its range, or short-circuited",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
    digit(
        &[4],
        1,
        "third or fourth temperature sensor, t3 or t4, above its range, or disconnected",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
    digit(
        &[4],
        2,
        "third or fourth temperature sensor, t3 or t4, below its range, or short-circuited",
        Documented,
        "TD 803 5512-2360_A1 p.119",
    ),
];

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    const ALL: [&InfoCodes; 8] = [
        &INFO_602,
        &INFO_OLDER,
        &INFO_403,
        &INFO_603,
        &INFO_803,
        &INFO_303,
        &INFO_21,
        &INFO_FLOW_IQ,
    ];

    fn words(model: Model, code: u32) -> Vec<String> {
        let codes = InfoCodes::of(model).unwrap();
        codes.explain(code).iter().map(Meaning::to_string).collect()
    }

    #[test]
    fn rows_are_unique_and_complete() {
        for codes in ALL {
            assert!(codes.bits.is_sorted_by(|a, b| a.bit < b.bit));
            for bit in codes.bits {
                assert!(bit.bit < 32 && !bit.meaning.is_empty() && !bit.source.is_empty());
                assert!(!codes.fields.iter().any(|field| field.covers(bit.bit)));
            }
            for field in codes.fields {
                assert!(!field.meaning.is_empty() && !field.source.is_empty());
            }
            let mut shown: Vec<_> = codes.display.iter().map(|d| (d.digits, d.shown)).collect();
            shown.sort_unstable();
            shown.dedup();
            assert_eq!(shown.len(), codes.display.len());
            for digit in codes.display {
                assert!(digit.digits.iter().all(|place| (1..=8).contains(place)));
                assert!(!digit.meaning.is_empty() && !digit.source.is_empty());
            }
            for register in codes.registers {
                assert_eq!(register.info().map(|r| r.kind), Some(crate::register::Kind::Code));
            }
        }
    }

    #[test]
    fn the_meaning_of_a_code_depends_on_the_model() {
        assert_eq!(
            words(Model::Multical602, 4),
            ["return temperature sensor T2 outside its range"]
        );
        assert_eq!(
            words(Model::Multical403, 4),
            ["external alarm, for example set through this port"]
        );
        assert!(words(Model::Multical602, 0).is_empty());
        // The code is the sum of all active faults (TD 602 p.49).
        assert_eq!(
            words(Model::Multical402, 12),
            [
                "return temperature sensor T2 outside its range",
                "supply temperature sensor T1 outside its range"
            ]
        );
    }

    #[test]
    fn a_code_may_have_thirty_two_bits() {
        // From a test telegram of an 803 in wmbusmeters.
        assert_eq!(
            words(Model::Multical803, 0x0001_0060),
            [
                "supply temperature sensor t1 below its range, or short-circuited",
                "return temperature sensor t2 below its range, or short-circuited",
                "no data from flow sensor V1",
            ]
        );
        assert_eq!(words(Model::Multical403, 1 << 20), ["undocumented bit 20"]);
        assert_eq!(words(Model::Multical603, u32::MAX).len(), 32);
    }

    #[test]
    fn a_water_meter_reports_how_long_a_condition_lasted() {
        assert_eq!(
            words(Model::Multical21, 0b0000_0000_0011_0001),
            ["dry (no water in the meter)", "dry for 2 to 3 days in the last 30 days"]
        );
        assert_eq!(
            words(Model::Multical21, 0xE000),
            ["burst for 22 to 31 days in the last 30 days"]
        );
    }

    #[test]
    fn models_that_agree_share_a_table() {
        use Model::{
            Multical21, Multical302, Multical303, Multical402, Multical403, Multical601,
            Multical602, Multical603, Multical803,
        };
        let shared = InfoCodes::shared;
        assert_eq!(shared(&[Multical402, Multical602, Multical601], 2), Some(&INFO_OLDER));
        assert_eq!(shared(&[Multical602], 4), Some(&INFO_602));
        assert_eq!(shared(&[Multical603, Multical803, Multical303], 4), Some(&INFO_603));
        assert_eq!(shared(&[Multical403, Multical302], 2), None);
        assert_eq!(shared(&[Multical402, Multical403], 2), None);
        assert_eq!(shared(&[Multical21], 2), Some(&INFO_21));
        assert_eq!(shared(&[Multical21], 4), Some(&INFO_FLOW_IQ));
        assert_eq!(shared(&[], 2), None);
    }

    #[test]
    fn bits_name_the_broken_sensors() {
        let named = |model, code| -> Vec<Sensor> {
            let meanings = InfoCodes::of(model).unwrap().explain(code);
            meanings.iter().flat_map(|meaning| meaning.sensors().iter().copied()).collect()
        };
        assert_eq!(named(Model::Multical602, 8), [Temperature1]);
        assert_eq!(named(Model::Multical403, 0x10), [Temperature2]);
        assert_eq!(named(Model::Multical403, 0x100), [Flow1]);
        assert!(named(Model::Multical403, 0x1).is_empty());
    }
}
