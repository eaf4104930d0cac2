//! Models of meters: the registers that each is known to have, and how to distinguish models.

use core::fmt;

use crate::message::MeterType;
use crate::register::RegisterId;

/// The model of a Kamstrup meter.
///
/// The model decides the meter's name, the meaning of its info code and which registers are
/// suggested. Any register can be requested from any model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// MULTICAL 21, a water meter; flowIQ meters are similar.
    Multical21,
    /// MULTICAL 302.
    Multical302,
    /// MULTICAL 303.
    Multical303,
    /// MULTICAL 402.
    Multical402,
    /// MULTICAL 403.
    Multical403,
    /// MULTICAL 601.
    Multical601,
    /// MULTICAL 602.
    Multical602,
    /// MULTICAL 603.
    Multical603,
    /// MULTICAL 801.
    Multical801,
    /// MULTICAL 803.
    Multical803,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 10] = [
        Self::Multical21,
        Self::Multical302,
        Self::Multical303,
        Self::Multical402,
        Self::Multical403,
        Self::Multical601,
        Self::Multical602,
        Self::Multical603,
        Self::Multical801,
        Self::Multical803,
    ];

    /// The number in the model's name.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Multical21 => 21,
            Self::Multical302 => 302,
            Self::Multical303 => 303,
            Self::Multical402 => 402,
            Self::Multical403 => 403,
            Self::Multical601 => 601,
            Self::Multical602 => 602,
            Self::Multical603 => 603,
            Self::Multical801 => 801,
            Self::Multical803 => 803,
        }
    }

    /// The model with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.number() == number)
    }

    /// Whether this model has a register, according to the sources.
    #[must_use]
    pub fn presence(self, register: RegisterId) -> Presence {
        let id = register.get();
        // Registers of electricity meters (bsdphk/PyKamstrup kamstrup.py).
        if matches!(id, 1 | 2 | 13 | 14 | 1023 | 1024 | 1054..=1346) {
            return Presence::NotListed;
        }
        let Some(known) = KNOWN.iter().find(|known| known.model == self) else {
            return Presence::Unknown;
        };
        match known.list {
            _ if known.seen.contains(&id) => Presence::Seen,
            Some(list) if list.printed.contains(&id) => Presence::Listed,
            Some(list) if !list.illegible.contains(&id) => Presence::NotListed,
            _ => Presence::Unknown,
        }
    }

    /// The model of a documented type code. Only those of the MULTICAL 601 are documented (5512-447
    /// M1 p.15). `0x15xx` is the same meter through a 67-05 top module.
    #[must_use]
    pub fn by_type(meter_type: MeterType) -> Option<Self> {
        let [high, low] = meter_type.code.to_be_bytes();
        (matches!(high, 0x00 | 0x15) && matches!(low, 0x01 | 0x04 | 0x05))
            .then_some(Self::Multical601)
    }

    /// The model whose number the digits of a type code spell, as 0x0603 spells 603.
    ///
    /// No document describes type codes like this, and the documented codes of the 601 are
    /// different. So this proves nothing. It can only contradict a guess from registers.
    #[must_use]
    pub fn spelled_by(meter_type: MeterType) -> Option<Self> {
        let digits = [12_u32, 8, 4, 0].map(|shift| meter_type.code.wrapping_shr(shift) & 0xF);
        let number = digits.into_iter().try_fold(0_u16, |number, digit| {
            let digit = (digit <= 9).then_some(digit)?;
            number.checked_mul(10)?.checked_add(digit)
        });
        number.and_then(Self::from_number)
    }

    /// Registers whose presence distinguishes models, for meters whose type code does not: see
    /// [`guess`](Self::guess).
    pub const DISTINGUISHING: [RegisterId; 8] = [
        ENERGY,
        COOLING_ENERGY,
        VOLUME,
        LOWEST_FLOW,
        E1_HIGH_RESOLUTION,
        DATE_TIME,
        INFO_BITS,
        WATER_TEMPERATURE,
    ];

    /// Guesses the model from the [`DISTINGUISHING`](Self::DISTINGUISHING) registers that the meter
    /// has. `has` returns `None` for a register if that is not known. The result is `None` if no
    /// model fits.
    ///
    /// A guess is never a proof. No list of the registers of 21, 403, 602, 603 and 803 is public,
    /// so they may have registers that no source mentions. A register that the meter has takes
    /// precedence. A register that it lacks decides only if no other one does.
    ///
    /// - Register 292 without heat energy: a water meter (captured from a 21; for a KWM2231 in
    ///   jktjkt/PyKMP commit 205b823). Volume without heat and cooling energy: also a water meter.
    /// - Registers 348 or 369: 603, 803, 303 (jktjkt/PyKMP commit cea1aad). With 141 also a 403:
    ///   public code reads 141 from a 403, and no source says whether a 403 has 348 and 369.
    /// - Registers 266 and 141: 403 (golles/ha-kamstrup_403).
    /// - Register 266 without 141: 302, which has no minima of the month (TD 302 5512-1334_F1
    ///   p.68). As long as nothing is known of 348 and 369, it may also be a 603, which has 266
    ///   (cfeenstra1024/kamstrup-multical-hardware issue 1).
    /// - None of 266, 348 and 369: the older meters, whose lists have 155 instead (5512-447 M1
    ///   p.11). A request for 155 silences a 403, so 155 is not one of these registers.
    pub fn guess(has: impl Fn(RegisterId) -> Option<bool>) -> Option<ModelGuess> {
        use Model::{
            Multical21, Multical302, Multical303, Multical402, Multical403, Multical601,
            Multical602, Multical603, Multical801, Multical803,
        };
        let likely = |models, present, absent| Some(ModelGuess { models, present, absent });
        let is = |register| has(register) == Some(true);
        let lacks = |register| has(register) == Some(false);
        let counts_heat = is(ENERGY) || is(COOLING_ENERGY);
        if !counts_heat {
            let counts_none = lacks(ENERGY) && lacks(COOLING_ENERGY) && is(VOLUME);
            // A high-resolution register of an energy that the meter lacks makes no sense.
            let is_contradictory = is(E1_HIGH_RESOLUTION);
            return if !is_contradictory && (counts_none || is(WATER_TEMPERATURE)) {
                likely(&[Multical21], &[WATER_TEMPERATURE], &[ENERGY, COOLING_ENERGY])
            } else {
                None
            };
        }
        let is_newest = is(DATE_TIME) || is(INFO_BITS);
        let is_older = lacks(DATE_TIME) && lacks(INFO_BITS);
        match (has(E1_HIGH_RESOLUTION), has(LOWEST_FLOW)) {
            (_, Some(true)) if is_newest => likely(
                &[Multical603, Multical803, Multical303, Multical403],
                &[DATE_TIME, INFO_BITS, LOWEST_FLOW],
                &[],
            ),
            _ if is_newest => {
                likely(&[Multical603, Multical803, Multical303], &[DATE_TIME, INFO_BITS], &[])
            }
            (Some(true), Some(true)) => {
                likely(&[Multical403], &[E1_HIGH_RESOLUTION, LOWEST_FLOW], &[])
            }
            (Some(true), Some(false)) if is_older => {
                likely(&[Multical302], &[E1_HIGH_RESOLUTION], &[LOWEST_FLOW, DATE_TIME, INFO_BITS])
            }
            (Some(true), Some(false)) => likely(
                &[Multical302, Multical603, Multical803, Multical303],
                &[E1_HIGH_RESOLUTION],
                &[LOWEST_FLOW],
            ),
            (Some(true), None) if is_older => {
                likely(&[Multical403, Multical302], &[E1_HIGH_RESOLUTION], &[DATE_TIME, INFO_BITS])
            }
            (Some(true), None) => likely(
                &[Multical403, Multical302, Multical603, Multical803, Multical303],
                &[E1_HIGH_RESOLUTION],
                &[],
            ),
            (Some(false), _) if is_older => likely(
                &[Multical402, Multical602, Multical601, Multical801],
                &[],
                &[E1_HIGH_RESOLUTION, DATE_TIME, INFO_BITS],
            ),
            _ => None,
        }
    }
}

/// The most likely models of a meter, and the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelGuess {
    /// The models that fit, the most likely first; at least one.
    pub models: &'static [Model],
    /// Registers that are evidence if the meter has them.
    pub present: &'static [RegisterId],
    /// Registers that are evidence if the meter lacks them.
    pub absent: &'static [RegisterId],
}

/// Writes the name that Kamstrup uses: `MULTICAL 403`.
impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MULTICAL {}", self.number())
    }
}

const ENERGY: RegisterId = RegisterId::new(60);
const COOLING_ENERGY: RegisterId = RegisterId::new(63);
const VOLUME: RegisterId = RegisterId::new(68);
const LOWEST_FLOW: RegisterId = RegisterId::new(141);
const E1_HIGH_RESOLUTION: RegisterId = RegisterId::new(266);
const DATE_TIME: RegisterId = RegisterId::new(348);
const INFO_BITS: RegisterId = RegisterId::new(369);

/// The register of the water temperature. Only water meters are known to have it (Google Groups
/// sonoffusers, thread `aYmxherLsOU`).
pub const WATER_TEMPERATURE: RegisterId = RegisterId::new(292);

/// Whether a model has a register, according to the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A capture contains the register, or working code reads it.
    Seen,
    /// The model's own list contains the register.
    Listed,
    /// The model's public list lacks the register, or it belongs to another kind of meter.
    NotListed,
    /// No list of this model is public, and no other source mentions the register.
    Unknown,
}

/// The known registers of a model.
struct Known {
    model: Model,
    list: Option<&'static List>,
    /// Registers in captures, or read by public code. The table of registers has their sources.
    seen: &'static [u16],
}

/// A list of registers from a Kamstrup document.
struct List {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the table, and for a test"))]
    source: &'static str,
    printed: &'static [u16],
    /// Registers whose line is cut off or missing in the copy of the document.
    illegible: &'static [u16],
}

const LIST_302: List = List {
    source: "TD 302 5512-1334_F1 p.68",
    printed: &[
        60, 63, 68, 74, 80, 86, 87, 89, 97, 98, 99, 110, 112, 113, 123, 124, 127, 128, 138, 139,
        142, 143, 146, 147, 149, 150, 153, 154, 168, 175, 184, 185, 229, 230, 239, 266, 267, 1001,
        1002, 1003, 1004, 1005, 1010,
    ],
    illegible: &[157, 158, 234, 235],
};

const LIST_402: List = List {
    source: "TD 402 5512-742_M1 p.83",
    printed: &[
        60, 63, 64, 66, 67, 74, 84, 85, 86, 87, 89, 97, 98, 99, 110, 112, 114, 123, 124, 125, 126,
        128, 129, 130, 138, 139, 140, 142, 144, 145, 146, 147, 149, 150, 152, 153, 155, 168, 223,
        229, 230, 1001, 1002, 1003, 1004, 1010,
    ],
    illegible: &[65, 68, 80, 104, 113, 127, 141, 143, 154, 157, 158, 175, 184, 185, 234, 235, 1005],
};

const LIST_601: List = List {
    source: "5512-447 M1 p.10-12",
    printed: &[
        60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 72, 73, 74, 75, 80, 84, 85, 86, 87, 88, 89, 91, 92,
        94, 95, 96, 97, 98, 99, 104, 110, 112, 113, 114, 122, 123, 124, 125, 126, 127, 128, 129,
        130, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 149, 150, 152, 153, 154, 155, 157,
        158, 168, 175, 234, 235, 1001, 1002, 1003, 1004, 1005, 1010,
    ],
    illegible: &[],
};

/// Like the 601, from the same document, with four registers of its own (p.13, p.21).
const LIST_801: List = List {
    source: "5512-447 M1 p.10-13, p.21",
    printed: &[
        60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 72, 73, 74, 75, 80, 84, 85, 86, 87, 88, 89, 91, 92,
        94, 95, 96, 97, 98, 99, 104, 110, 112, 113, 114, 122, 123, 124, 125, 126, 127, 128, 129,
        130, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 149, 150, 152, 153, 154, 155, 157,
        158, 168, 171, 172, 175, 220, 221, 234, 235, 1001, 1002, 1003, 1004, 1005, 1010,
    ],
    illegible: &[],
};

const KNOWN: &[Known] = &[
    Known {
        model: Model::Multical21,
        list: None,
        seen: &[68, 74, 99, 243, 292, 299, 1001, 1002, 1004],
    },
    Known { model: Model::Multical302, list: Some(&LIST_302), seen: &[] },
    Known {
        model: Model::Multical402,
        list: Some(&LIST_402),
        seen: &[
            60, 68, 74, 80, 86, 87, 89, 97, 110, 113, 123, 124, 125, 126, 127, 128, 129, 130, 138,
            139, 140, 141, 142, 143, 144, 145, 146, 147, 149, 150, 1004,
        ],
    },
    Known {
        model: Model::Multical403,
        list: None,
        seen: &[
            60, 63, 68, 74, 80, 86, 87, 89, 97, 99, 110, 113, 123, 124, 125, 126, 127, 128, 129,
            130, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 149, 150, 266, 1001, 1004,
        ],
    },
    Known {
        model: Model::Multical601,
        list: Some(&LIST_601),
        seen: &[60, 68, 74, 80, 86, 87, 89, 154, 1002, 1003, 1004],
    },
    Known { model: Model::Multical602, list: None, seen: &[60, 68, 74, 80, 86, 87, 89, 155] },
    Known { model: Model::Multical603, list: None, seen: SEEN_603 },
    // By the same author, who checked one table for both models against documents.
    Known { model: Model::Multical303, list: None, seen: SEEN_603 },
    Known { model: Model::Multical801, list: Some(&LIST_801), seen: &[] },
];

/// Registers of 603 and 303 in jktjkt/PyKMP.
const SEEN_603: &[u16] = &[
    60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 72, 73, 75, 84, 85, 88, 91, 92, 94, 95, 96, 97, 98, 99,
    104, 110, 112, 114, 122, 123, 124, 125, 126, 127, 128, 129, 130, 152, 153, 154, 168, 175, 178,
    179, 180, 181, 183, 184, 185, 218, 219, 222, 224, 225, 228, 229, 230, 234, 235, 239, 259, 260,
    267, 338, 346, 347, 348, 355, 362, 364, 365, 366, 367, 368, 369, 371, 372, 379, 380, 381, 382,
    383, 384, 385, 386, 387, 388, 389, 390, 398, 399, 400, 404, 473, 474, 477, 478, 505, 506, 507,
    508, 515, 675, 1001, 1002, 1003, 1004, 1005, 1010, 1032,
];

#[cfg(test)]
mod tests;
