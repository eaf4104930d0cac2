//! Which entries of a log are requested.

use alloc::vec::Vec;

use thiserror::Error;

use super::log::{Log, LogInfo};
use crate::frame;
use crate::message::command::{MinData, first_duplicate};
use crate::register::RegisterId;
use crate::value::RegisterValue;

/// Bytes of an answer before the first entry.
pub(super) const HEAD: usize = 15;

/// Which registers of how many entries are requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    log: Log,
    entries: u16,
    registers: Vec<RegisterId>,
    /// The bytes of the values of an entry, at most.
    entry_bytes: usize,
}

/// Why entries cannot be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogRequestError {
    /// There is no register, or there are too many.
    #[error("{count} registers in one request; 1 to {} are allowed", Selection::MAX_REGISTERS)]
    Registers {
        /// The number of registers.
        count: usize,
    },
    /// A register occurs twice.
    #[error("register {register} occurs twice in one request")]
    Duplicate {
        /// The register.
        register: RegisterId,
    },
    /// No entry is requested.
    #[error("a request is for 1 entry or more")]
    NoEntries,
}

impl Selection {
    /// The most registers in one request. jktjkt/PyKMP requests 19, and an entry of 32 registers
    /// still fits into a frame.
    pub const MAX_REGISTERS: usize = 32;

    /// The longest mantissa in any capture: 12 bytes of text (register 254).
    const LONGEST_MANTISSA: usize = 12;

    /// The bytes of a register in the first entry, apart from its mantissa.
    const REGISTER_HEAD: usize = 5;

    /// Selects these registers of `entries` entries.
    pub fn new(log: Log, entries: u16, registers: &[RegisterId]) -> Result<Self, LogRequestError> {
        let count = registers.len();
        if count == 0 || count > Self::MAX_REGISTERS {
            return Err(LogRequestError::Registers { count });
        }
        if let Some(&register) = first_duplicate(registers) {
            return Err(LogRequestError::Duplicate { register });
        }
        if entries == 0 {
            return Err(LogRequestError::NoEntries);
        }
        let entry_bytes = count.saturating_mul(Self::LONGEST_MANTISSA);
        Ok(Self { log, entries, registers: registers.to_vec(), entry_bytes })
    }

    /// Sets how many bytes the values of an entry have, if an earlier answer has shown it. The time
    /// that an answer may take follows from it.
    #[must_use]
    pub fn with_entry_bytes(self, entry_bytes: usize) -> Self {
        Self { entry_bytes, ..self }
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> Log {
        self.log
    }

    /// The number of entries, at least 1.
    #[must_use]
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    /// The registers, in the order of the request.
    #[must_use]
    pub fn registers(&self) -> &[RegisterId] {
        &self.registers
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.extend(self.entries.to_be_bytes());
        // There are at most 32, so the count fits into one byte.
        out.push(u8::try_from(self.registers.len()).unwrap_or(u8::MAX));
        out.extend(self.registers.iter().flat_map(|register| register.get().to_be_bytes()));
    }

    /// Parses `entries 2 | count | registers`.
    pub(super) fn parse(log: Log, data: &[u8]) -> Option<Self> {
        let (&[high, low, count], ids) = data.split_first_chunk::<3>()?;
        let (pairs, rest) = ids.as_chunks::<2>();
        if pairs.len() != usize::from(count) || !rest.is_empty() {
            return None;
        }
        let registers: Vec<RegisterId> =
            pairs.iter().map(|pair| RegisterId::new(u16::from_be_bytes(*pair))).collect();
        Self::new(log, u16::from_be_bytes([high, low]), &registers).ok()
    }

    pub(super) fn max_answer_data(&self) -> usize {
        let first = self.registers.len().saturating_mul(Self::REGISTER_HEAD);
        let values = self.entry_bytes.saturating_mul(self.entries.into());
        let most = frame::MAX_BODY.saturating_sub(4);
        HEAD.saturating_add(first).saturating_add(values).min(most)
    }

    /// How many data bytes an answer has at least if it begins with these. An answer without
    /// entries has no more than the head. Otherwise the head says how many registers and entries
    /// follow, and the first entry how long each value is.
    pub(super) fn min_answer_data(&self, begun: &[u8]) -> MinData {
        let head = MinData::exactly(HEAD);
        let Some((head_bytes, mut rest)) = begun.split_first_chunk::<HEAD>() else { return head };
        let &[_, _, e1, e0, registers, .., i1, i0] = head_bytes;
        let (entries, info) = (u16::from_be_bytes([e1, e0]), u16::from_be_bytes([i1, i0]));
        let has_entries = LogInfo::from_bits(info).has_entries();
        if !has_entries || entries == 0 || entries > self.entries {
            return head;
        }
        let mut values = 0_usize;
        for _ in 0..registers {
            let peeked = RegisterValue::peek(rest);
            let length = peeked.map_or(Self::REGISTER_HEAD, |(_, length)| length);
            values = values.saturating_add(length.saturating_sub(Self::REGISTER_HEAD));
            rest = peeked.and_then(|_| rest.get(length..)).unwrap_or_default();
        }
        let first = usize::from(registers).saturating_mul(Self::REGISTER_HEAD);
        let values = values.saturating_mul(entries.into());
        let least = HEAD.saturating_add(first).saturating_add(values);
        // A damaged answer may say that it is longer.
        MinData::exactly(least.min(self.max_answer_data()))
    }
}
