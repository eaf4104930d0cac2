//! Models of meters: which registers each is known to have, and how to tell them apart.

use core::fmt;

use crate::info::InfoCodes;
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

    /// What its info code means; `None` where no document or code tells (302), or this is a water
    /// meter whose width is not known (see [`InfoCodes::of`]).
    #[must_use]
    pub fn info_codes(self) -> Option<&'static InfoCodes> {
        InfoCodes::of(self)
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

    /// Registers whose presence tells models apart, to be asked for where the type does not: see
    /// [`by_answers`](Self::by_answers).
    pub const TELLING: [RegisterId; 7] =
        [ENERGY, COOLING_ENERGY, VOLUME, LOWEST_FLOW, E1_HIGH_RESOLUTION, DATE_TIME, INFO_BITS];

    /// The models that a meter may be, by which of the [`TELLING`](Self::TELLING) registers it
    /// has; `None` stands for not known. Empty where that says nothing.
    ///
    /// - Neither heat nor cooling energy, but volume: a water meter.
    /// - Registers 348 or 369, known of 603 and 303 (jktjkt/PyKMP commit cea1aad): 603, 803, 303.
    /// - Register 266: 403 or 302. The 302 has no minima of the month (TD 302 5512-1334_F1 p.68).
    /// - None of these: the older meters, whose lists have 155 instead (5512-447 M1 p.11).
    pub fn by_answers(has: impl Fn(RegisterId) -> Option<bool>) -> &'static [Self] {
        match (has(ENERGY), has(COOLING_ENERGY), has(VOLUME)) {
            (Some(false), Some(false), Some(true)) => return &[Self::Multical21],
            (Some(true), ..) | (_, Some(true), _) => {}
            _ => return &[],
        }
        match (has(DATE_TIME), has(INFO_BITS), has(E1_HIGH_RESOLUTION), has(LOWEST_FLOW)) {
            (Some(true), ..) | (_, Some(true), ..) => {
                &[Self::Multical603, Self::Multical803, Self::Multical303]
            }
            (_, _, Some(true), Some(true)) => &[Self::Multical403],
            (_, _, Some(true), Some(false)) => &[Self::Multical302],
            (_, _, Some(true), None) => &[Self::Multical403, Self::Multical302],
            (Some(false), Some(false), Some(false), _) => {
                &[Self::Multical402, Self::Multical602, Self::Multical601, Self::Multical801]
            }
            _ => &[],
        }
    }
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

    fn by(has: &[u16], has_not: &[u16]) -> std::vec::Vec<u16> {
        let models = Model::by_answers(|register| match register.get() {
            id if has.contains(&id) => Some(true),
            id if has_not.contains(&id) => Some(false),
            _ => None,
        });
        models.iter().map(|model| model.number()).collect()
    }

    #[test]
    fn answers_tell_generations_apart() {
        assert_eq!(by(&[68], &[60, 63, 141, 266, 348, 369]), [21]);
        // One that is set to count cooling only.
        assert_eq!(by(&[63, 68, 141, 266], &[60, 348, 369]), [403]);
        assert!(by(&[68], &[60, 141, 266, 348, 369]).is_empty());
        assert_eq!(by(&[60, 68, 141, 266], &[348, 369]), [403]);
        assert_eq!(by(&[60, 68, 266], &[141, 348, 369]), [302]);
        assert_eq!(by(&[60, 68, 266], &[]), [403, 302]);
        assert_eq!(by(&[60, 68, 348], &[]), [603, 803, 303]);
        assert_eq!(by(&[60, 68, 141], &[266, 348, 369]), [402, 602, 601, 801]);
        // What is not known decides nothing.
        assert!(by(&[60, 68, 141], &[266, 348]).is_empty());
        assert!(by(&[68], &[266]).is_empty());
        assert!(by(&[], &[60, 68]).is_empty());
    }

    /// A model's own lists lead back to it, for those whose lists say so.
    #[test]
    fn lists_and_answers_agree() {
        for model in [Model::Multical302, Model::Multical402, Model::Multical601] {
            let models = Model::by_answers(|register| match model.presence(register) {
                Presence::Seen | Presence::Listed => Some(true),
                Presence::NotListed => Some(false),
                Presence::Unknown => None,
            });
            assert!(models.contains(&model), "{model}: {models:?}");
        }
    }
}
