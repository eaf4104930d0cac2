//! Models of meters: which registers each is known to have, and how to tell them apart.

use core::fmt;

use crate::message::MeterType;
use crate::register::RegisterId;

/// A Kamstrup meter's model.
///
/// It decides how the meter is called, what its info code means and which registers are offered.
/// It never keeps a register from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// MULTICAL 21, a water meter; flowIQ meters are much the same.
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
    /// All of them.
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

    /// The number in its name.
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

    /// The MULTICAL with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.number() == number)
    }

    /// What is known of a register of this model.
    #[must_use]
    pub fn presence(self, register: RegisterId) -> Presence {
        let id = register.get();
        // Register 1 and its kin belong to electricity meters (bsdphk/PyKamstrup kamstrup.py).
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

    /// The model of a type code, where a document has it: only those of the MULTICAL 601 do
    /// (5512-447 M1 p.15). `0x15xx` is the same meter through a 67-05 top module.
    #[must_use]
    pub fn by_type(meter_type: MeterType) -> Option<Self> {
        let [high, low] = meter_type.code.to_be_bytes();
        (matches!(high, 0x00 | 0x15) && matches!(low, 0x01 | 0x04 | 0x05))
            .then_some(Self::Multical601)
    }

    /// The model whose number the digits of a type code spell, as 0x0603 spells 603.
    ///
    /// No document says that a type code is made like this, and the documented ones of the 601 are
    /// not. So it proves nothing; it only contradicts what registers alone seem to say.
    #[must_use]
    pub fn spelled_by(meter_type: MeterType) -> Option<Self> {
        let digits = [12_u32, 8, 4, 0].map(|shift| meter_type.code.wrapping_shr(shift) & 0xF);
        let number = digits.into_iter().try_fold(0_u16, |number, digit| {
            let digit = (digit <= 9).then_some(digit)?;
            number.checked_mul(10)?.checked_add(digit)
        });
        number.and_then(Self::from_number)
    }

    /// Registers whose presence tells models apart, to be asked for where the type does not: see
    /// [`by_answers`](Self::by_answers).
    pub const TELLING: [RegisterId; 8] = [
        ENERGY,
        COOLING_ENERGY,
        VOLUME,
        LOWEST_FLOW,
        E1_HIGH_RESOLUTION,
        DATE_TIME,
        INFO_BITS,
        WATER_TEMPERATURE,
    ];

    /// What the meter most likely is, by which of the [`TELLING`](Self::TELLING) registers it has;
    /// `has` gives `None` where that is not known. `None` where the answers say nothing.
    ///
    /// It is never a proof: no list of 21, 403, 602, 603 and 803 is public, so a register that is not
    /// known of one of them may still be there. A register that the meter has counts first; one that
    /// it lacks decides only where nothing else speaks.
    ///
    /// - Register 292 without heat energy: a water meter (captured from a 21; of a KWM2231 by
    ///   jktjkt/PyKMP commit 205b823). Neither heat nor cooling energy, but volume: the same.
    /// - Registers 348 or 369: 603, 803, 303 (jktjkt/PyKMP commit cea1aad). With 141 a 403 as well:
    ///   public code reads 141 from a 403, and nobody has told whether that has 348 and 369.
    /// - Registers 266 and 141: 403 (golles/ha-kamstrup_403).
    /// - Register 266 without 141: 302, which has no minima of the month (TD 302 5512-1334_F1 p.68).
    ///   While 348 and 369 are not known it may be a 603, which has 266 as well
    ///   (cfeenstra1024/kamstrup-multical-hardware issue 1).
    /// - None of 266, 348 and 369: the older meters, whose lists have 155 instead (5512-447 M1
    ///   p.11). A 403 falls silent when it is asked for 155, so it is not asked for.
    pub fn by_answers(has: impl Fn(RegisterId) -> Option<bool>) -> Option<Likely> {
        use Model::{
            Multical21, Multical302, Multical303, Multical402, Multical403, Multical601,
            Multical602, Multical603, Multical801, Multical803,
        };
        let likely = |models, by, without| Some(Likely { models, by, without });
        let is = |register| has(register) == Some(true);
        let lacks = |register| has(register) == Some(false);
        let counts_heat = is(ENERGY) || is(COOLING_ENERGY);
        if !counts_heat {
            let counts_none = lacks(ENERGY) && lacks(COOLING_ENERGY) && is(VOLUME);
            // High resolution of an energy that it does not have: not to be understood.
            let is_odd = is(E1_HIGH_RESOLUTION);
            return if !is_odd && (counts_none || is(WATER_TEMPERATURE)) {
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

/// What a meter most likely is, and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likely {
    /// The models that fit, the likelier first; one at least.
    pub models: &'static [Model],
    /// Registers that speak for them where the meter has them.
    pub by: &'static [RegisterId],
    /// Registers that speak for them where the meter lacks them.
    pub without: &'static [RegisterId],
}

/// As Kamstrup writes it.
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

/// The temperature of the water, which only water meters are known to have (Google Groups
/// sonoffusers, thread `aYmxherLsOU`).
pub const WATER_TEMPERATURE: RegisterId = RegisterId::new(292);

/// Whether a model has a register, as far as sources tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Seen in a capture, or read by working code.
    Seen,
    /// In the model's own list.
    Listed,
    /// The model's own list is known and does not have it, or it belongs to another kind of meter.
    NotListed,
    /// No list of this model is public, and nobody has told.
    Unknown,
}

/// What is known of a model's registers.
struct Known {
    model: Model,
    list: Option<&'static List>,
    /// Read by public code or seen in captures (the source is beside the register).
    seen: &'static [u16],
}

/// A list that Kamstrup printed.
struct List {
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, and a test"))]
    source: &'static str,
    printed: &'static [u16],
    /// Where the stored text of the list is cut or has lost a line.
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

/// The same document; four registers are the 801's alone (p.13, p.21).
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
    // The same table of one author, checked by him against documents.
    Known { model: Model::Multical303, list: None, seen: SEEN_603 },
    Known { model: Model::Multical801, list: Some(&LIST_801), seen: &[] },
];

/// jktjkt/PyKMP, of 603 and 303.
const SEEN_603: &[u16] = &[
    60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 72, 73, 75, 84, 85, 88, 91, 92, 94, 95, 96, 97, 98, 99,
    104, 110, 112, 114, 122, 123, 124, 125, 126, 127, 128, 129, 130, 152, 153, 154, 168, 175, 178,
    179, 180, 181, 183, 184, 185, 218, 219, 222, 224, 225, 228, 229, 230, 234, 235, 239, 259, 260,
    267, 338, 346, 347, 348, 355, 362, 364, 365, 366, 367, 368, 369, 371, 372, 379, 380, 381, 382,
    383, 384, 385, 386, 387, 388, 389, 390, 398, 399, 400, 404, 473, 474, 477, 478, 505, 506, 507,
    508, 515, 675, 1001, 1002, 1003, 1004, 1005, 1010, 1032,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::string::ToString;

    use super::*;
    use crate::message::SoftwareRevision;

    #[test]
    fn models_go_by_their_numbers() {
        for model in Model::ALL {
            assert_eq!(Model::from_number(model.number()), Some(model));
        }
        assert_eq!(Model::from_number(604), None);
        assert_eq!(Model::Multical403.to_string(), "MULTICAL 403");
    }

    /// Every register that a list names is in the catalogue, once, in order, with its source.
    #[test]
    fn what_is_known_is_in_the_catalogue() {
        for known in KNOWN {
            let lists = known.list.map_or([&[][..], &[]], |list| {
                assert!(!list.source.is_empty());
                [list.printed, list.illegible]
            });
            for list in [lists[0], lists[1], known.seen] {
                assert!(list.is_sorted_by(|a, b| a < b), "{:?}", known.model);
                for id in list {
                    assert!(RegisterId::new(*id).info().is_some(), "{:?} {id}", known.model);
                }
            }
            let [printed, illegible] = lists.map(|list| list.iter().collect::<BTreeSet<_>>());
            assert!(printed.is_disjoint(&illegible));
        }
    }

    #[test]
    fn presence_says_how_it_is_known() {
        let presence = |model: Model, id| model.presence(RegisterId::new(id));
        assert_eq!(presence(Model::Multical402, 60), Presence::Seen);
        assert_eq!(presence(Model::Multical402, 155), Presence::Listed);
        assert_eq!(presence(Model::Multical402, 266), Presence::NotListed);
        assert_eq!(presence(Model::Multical402, 104), Presence::Unknown);
        assert_eq!(presence(Model::Multical403, 1), Presence::NotListed);
        assert_eq!(presence(Model::Multical403, 155), Presence::Unknown);
        assert_eq!(presence(Model::Multical803, 60), Presence::Unknown);
        assert_eq!(presence(Model::Multical801, 171), Presence::Listed);
        assert_eq!(presence(Model::Multical601, 171), Presence::NotListed);
    }

    #[test]
    fn a_601_is_known_by_its_type() {
        let of = |code| {
            Model::by_type(MeterType { code, revision: SoftwareRevision { letter: 6, number: 1 } })
        };
        for code in [0x0001, 0x0004, 0x0005, 0x1501] {
            assert_eq!(of(code), Some(Model::Multical601), "{code:#06x}");
        }
        for code in [0x0000, 0x0002, 0x0217, 0x0901, 0x1601] {
            assert_eq!(of(code), None, "{code:#06x}");
        }
    }

    #[test]
    fn a_type_code_may_spell_a_number() {
        let of = |code| {
            let revision = SoftwareRevision { letter: 1, number: 1 };
            Model::spelled_by(MeterType { code, revision }).map(Model::number)
        };
        assert_eq!(of(0x0603), Some(603));
        assert_eq!(of(0x0021), Some(21));
        for code in [0x0000, 0x0001, 0x0217, 0x0604, 0x1501, 0x4031, 0x060A, 0x0193, 0xFFFF] {
            assert_eq!(of(code), None, "{code:#06x}");
        }
    }

    fn by(has: &[u16], has_not: &[u16]) -> std::vec::Vec<u16> {
        let likely = Model::by_answers(|register| match register.get() {
            id if has.contains(&id) => Some(true),
            id if has_not.contains(&id) => Some(false),
            _ => None,
        });
        let models = likely.map_or(&[][..], |likely| likely.models);
        models.iter().map(|model| model.number()).collect()
    }

    #[test]
    fn answers_tell_generations_apart() {
        assert_eq!(by(&[68], &[60, 63, 141, 266, 292, 348, 369]), [21]);
        assert_eq!(by(&[68, 292], &[60, 63, 141, 266, 348, 369]), [21]);
        // One that is set to count cooling only.
        assert_eq!(by(&[63, 68, 141, 266], &[60, 348, 369]), [403]);
        assert!(by(&[68], &[60, 141, 266, 348, 369]).is_empty());
        assert_eq!(by(&[60, 68, 141, 266], &[348, 369]), [403]);
        assert_eq!(by(&[60, 68, 266], &[141, 348, 369]), [302]);
        assert_eq!(by(&[60, 68, 266], &[348, 369]), [403, 302]);
        assert_eq!(by(&[60, 68, 348], &[]), [603, 803, 303]);
        assert_eq!(by(&[60, 68, 348, 266], &[141]), [603, 803, 303]);
        assert_eq!(by(&[60, 68, 141], &[266, 348, 369]), [402, 602, 601, 801]);
        // What is not known decides nothing.
        assert!(by(&[60, 68, 141], &[266, 348]).is_empty());
        assert!(by(&[68], &[266]).is_empty());
        assert!(by(&[], &[60, 68]).is_empty());
    }

    /// What the meter lacks decides only where nothing that it has speaks against it.
    #[test]
    fn what_a_meter_has_counts_before_what_it_lacks() {
        // Heat energy with more digits: no water meter.
        assert!(by(&[68, 266], &[60, 63, 141, 348, 369]).is_empty());
        assert!(by(&[68, 266, 292], &[60, 63]).is_empty());
        // A water temperature says it without more, but for a meter that counts heat.
        assert_eq!(by(&[292], &[]), [21]);
        assert_eq!(by(&[60, 68, 141, 266, 292], &[348, 369]), [403]);
        // Whether 348 and 369 are there is not known: a 603 has 266 as well.
        assert_eq!(by(&[60, 68, 266], &[141]), [302, 603, 803, 303]);
        assert_eq!(by(&[60, 68, 266], &[]), [403, 302, 603, 803, 303]);
        // Only a 403 is known to have both of these.
        assert_eq!(by(&[60, 68, 141, 266], &[]), [403]);
        // Nobody has told whether a 403 has 348.
        assert_eq!(by(&[60, 68, 141, 266, 348], &[369]), [603, 803, 303, 403]);
    }

    /// What speaks for a model is among what is asked for.
    #[test]
    fn each_conclusion_has_its_reasons() {
        let states = [None, Some(true), Some(false)];
        let count = Model::TELLING.iter().fold(1_usize, |count, _| count * states.len());
        for number in 0..count {
            let state = |register| {
                let index = Model::TELLING.iter().position(|one| *one == register).unwrap();
                states[number / states.len().pow(u32::try_from(index).unwrap()) % states.len()]
            };
            let Some(likely) = Model::by_answers(state) else { continue };
            assert!(!likely.models.is_empty());
            let by = likely.by.iter().any(|register| state(*register) == Some(true));
            let without = likely.without.iter().any(|register| state(*register) == Some(false));
            assert!(by || without, "{likely:?}");
        }
    }

    /// A model's own lists lead back to it, for those whose lists say so.
    #[test]
    fn lists_and_answers_agree() {
        for model in [Model::Multical302, Model::Multical402, Model::Multical601] {
            let likely = Model::by_answers(|register| match model.presence(register) {
                Presence::Seen | Presence::Listed => Some(true),
                Presence::NotListed => Some(false),
                Presence::Unknown => None,
            });
            let models = likely.unwrap().models;
            assert!(models.contains(&model), "{model}: {models:?}");
        }
    }
}
