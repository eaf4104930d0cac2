//! Which logs there are, the ids of their entries, and what the meter says about an answer.

use core::fmt;

/// A log of the meter (jktjkt/PyKMP `src/pykmp/constants.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Log {
    /// An entry for each year.
    Year,
    /// An entry for each month.
    Month,
    /// An entry for each day.
    Day,
    /// An entry for each hour.
    Hour,
    /// The first of two logs with an interval of minutes.
    Minute1,
    /// The second of two logs with an interval of minutes.
    Minute2,
}

impl Log {
    /// All logs that can be requested.
    pub const ALL: [Self; 6] =
        [Self::Year, Self::Month, Self::Day, Self::Hour, Self::Minute1, Self::Minute2];

    /// The byte on the line.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Year => 2,
            Self::Month => 3,
            Self::Day => 4,
            Self::Hour => 5,
            Self::Minute1 => 6,
            Self::Minute2 => 7,
        }
    }

    /// The log with this byte. Types 0, 1, 8 and 9 hold no readings.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|log| log.code() == code)
    }
}

/// Writes `year`, `month` and so on.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute1 => "minute 1",
            Self::Minute2 => "minute 2",
        })
    }
}

/// The number of an entry in its log. A newer entry has a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(u32);

impl LogId {
    /// Creates an id.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The id of the entry that is this many entries older; `None` if there is no such id.
    #[must_use]
    pub fn older(self, entries: u32) -> Option<Self> {
        self.0.checked_sub(entries).map(Self)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the meter says about an answer: a bit field (jktjkt/PyKMP `src/pykmp/logpaging.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogInfo(u16);

impl LogInfo {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// The log is empty. One entry of zeros follows, which means nothing (captured from a 603).
    pub const NO_ENTRIES: Self = Self(1);
    /// The log does not have the requested entries.
    pub const OUT_OF_RANGE: Self = Self(1 << 1);
    /// The interval of the log has changed.
    pub const INTERVAL_CHANGED: Self = Self(1 << 2);
    /// The log does not hold a requested register.
    pub const UNSUPPORTED_REGISTER: Self = Self(1 << 3);
    /// The answer would have been too long, so the oldest of the requested entries are missing.
    pub const ENTRIES_CUT: Self = Self(1 << 4);
    /// The answer ends where older entries have another format.
    pub const FORMAT_CHANGED: Self = Self(1 << 5);
    /// The answer contains the oldest entry of the log (captured from a 603).
    pub const OLDEST_INCLUDED: Self = Self(1 << 6);
    /// The answer contains the newest entry of the log (captured from a 603).
    pub const NEWEST_INCLUDED: Self = Self(1 << 7);
    /// The meter could not read its memory.
    pub const MEMORY_ERROR: Self = Self(1 << 8);
    /// The meter does not accept the request.
    pub const INVALID_REQUEST: Self = Self(1 << 9);
    /// The meter has failed.
    pub const INTERNAL_ERROR: Self = Self(1 << 10);
    /// The answer would have been too long, so registers are missing.
    pub const REGISTERS_CUT: Self = Self(1 << 13);

    /// The bits that a source explains.
    const KNOWN: Self = Self(0b0010_0111_1111_1111);

    /// Creates it from the bits on the line.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits on the line.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that no source explains.
    #[must_use]
    pub const fn unknown(self) -> Self {
        Self(self.0 & !Self::KNOWN.0)
    }

    /// Whether the entries of the answer are entries of the log. They are not if the log is empty,
    /// if the meter has failed, or if it sets a bit that no source explains.
    #[must_use]
    pub const fn has_entries(self) -> bool {
        let without = Self::NO_ENTRIES
            .with(Self::OUT_OF_RANGE)
            .with(Self::MEMORY_ERROR)
            .with(Self::INVALID_REQUEST)
            .with(Self::INTERNAL_ERROR)
            .with(Self(!Self::KNOWN.0));
        self.0 & without.0 == 0
    }
}

impl fmt::Display for LogInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04X}", self.0)
    }
}
