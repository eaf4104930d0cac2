//! The answer to sub-commands 06 and 07:
//! `sub | log | entries 2 | n | first log id 4 | newest log id 4 | info 2`, then the first entry with
//! n registers as in an answer of `GetRegister`, and the older ones as bare values of the same
//! lengths.

use alloc::vec::Vec;

use super::log::{Log, LogId, LogInfo};
use super::selection::{HEAD, Selection};
use crate::message::command::{AnswerError, first_duplicate};
use crate::register::RegisterId;
use crate::value::RegisterValue;

/// Entries of a log, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAnswer {
    first: LogId,
    newest: LogId,
    info: LogInfo,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// No entries of the log. What follows the head has no meaning, such as one entry of zeros.
    Nothing { entries: u16, registers: u8, data: Vec<u8> },
    Entries {
        first: Vec<RegisterValue>,
        /// The bare values of each older entry.
        older: Vec<Vec<u8>>,
    },
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the log.
    pub id: LogId,
    /// Its registers.
    pub values: Vec<RegisterValue>,
}

impl LogAnswer {
    /// Creates an answer with these entries, the newest first, on the side of the meter. It is
    /// `None` if there are none, if they do not have the same registers, units, lengths and
    /// exponents, or if their ids do not fall by one.
    #[must_use]
    pub fn new(newest: LogId, info: LogInfo, entries: &[LogEntry]) -> Option<Self> {
        let (first, rest) = entries.split_first()?;
        u8::try_from(first.values.len()).ok()?;
        u16::try_from(entries.len()).ok()?;
        let mut older = Vec::with_capacity(rest.len());
        for (entry, back) in rest.iter().zip(1_u32..) {
            if first.id.older(back) != Some(entry.id) || entry.values.len() != first.values.len() {
                return None;
            }
            let mut bytes = Vec::new();
            for (value, like) in entry.values.iter().zip(&first.values) {
                if !has_same_format(value, like) {
                    return None;
                }
                bytes.extend_from_slice(value.mantissa());
            }
            older.push(bytes);
        }
        if !info.has_entries() || first.values.is_empty() {
            return None;
        }
        let content = Content::Entries { first: first.values.clone(), older };
        Some(Self { first: first.id, newest, info, content })
    }

    /// The answer of an empty log: one entry of zeros, as captured from a 603.
    #[must_use]
    pub fn empty(zeros: &[RegisterValue]) -> Self {
        let mut data = Vec::new();
        for value in zeros {
            value.emit(&mut data);
        }
        let registers = u8::try_from(zeros.len()).unwrap_or(u8::MAX);
        Self::nothing(LogInfo::NO_ENTRIES, LogId::new(0), LogId::new(0), 1, registers, data)
    }

    /// An answer without entries, because of this info.
    #[must_use]
    pub fn refusal(info: LogInfo, first: LogId, newest: LogId) -> Self {
        Self::nothing(info, first, newest, 0, 0, Vec::new())
    }

    const fn nothing(
        info: LogInfo,
        first: LogId,
        newest: LogId,
        entries: u16,
        registers: u8,
        data: Vec<u8>,
    ) -> Self {
        Self { first, newest, info, content: Content::Nothing { entries, registers, data } }
    }

    /// The id of the first entry.
    #[must_use]
    pub const fn first(&self) -> LogId {
        self.first
    }

    /// The id of the newest entry of the log, whatever was requested.
    #[must_use]
    pub const fn newest(&self) -> LogId {
        self.newest
    }

    /// What the meter says about the answer.
    #[must_use]
    pub const fn info(&self) -> LogInfo {
        self.info
    }

    /// Whether the answer has no entries of the log.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.content, Content::Nothing { .. })
    }

    /// The entries, the newest first. There are none if the info says that they mean nothing.
    #[must_use]
    pub fn entries(&self) -> Vec<LogEntry> {
        let Content::Entries { first, older } = &self.content else { return Vec::new() };
        let mut entries = Vec::with_capacity(older.len().saturating_add(1));
        entries.push(LogEntry { id: self.first, values: first.clone() });
        for (bytes, back) in older.iter().zip(1_u32..) {
            // `parse` and `new` verify that there are ids and bytes for all entries.
            let Some(id) = self.first.older(back) else { break };
            let mut rest = &bytes[..];
            let values = first.iter().filter_map(|like| {
                let (mantissa, after) = rest.split_at_checked(like.mantissa().len())?;
                rest = after;
                like.with_mantissa(mantissa)
            });
            entries.push(LogEntry { id, values: values.collect() });
        }
        entries
    }

    pub(super) fn emit(&self, sub_command: u8, log: Log) -> Vec<u8> {
        let (entries, registers) = match &self.content {
            Content::Nothing { entries, registers, .. } => (*entries, *registers),
            // The constructors reject more.
            Content::Entries { first, older } => (
                u16::try_from(older.len()).unwrap_or(u16::MAX).saturating_add(1),
                u8::try_from(first.len()).unwrap_or(u8::MAX),
            ),
        };
        let mut out = Vec::new();
        out.extend([sub_command, log.code()]);
        out.extend(entries.to_be_bytes());
        out.push(registers);
        out.extend(self.first.get().to_be_bytes());
        out.extend(self.newest.get().to_be_bytes());
        out.extend(self.info.bits().to_be_bytes());
        match &self.content {
            Content::Nothing { data, .. } => out.extend_from_slice(data),
            Content::Entries { first, older } => {
                for value in first {
                    value.emit(&mut out);
                }
                out.extend(older.iter().flatten());
            }
        }
        out
    }

    pub(super) fn parse(
        data: &[u8],
        sub_command: u8,
        selection: &Selection,
    ) -> Result<Self, AnswerError> {
        check_kind(data, sub_command, selection.log())?;
        let short = AnswerError::Length { expected: HEAD, found: data.len() };
        let (head, rest) = data.split_first_chunk::<HEAD>().ok_or(short)?;
        let &[_, _, e1, e0, registers, f3, f2, f1, f0, n3, n2, n1, n0, i1, i0] = head;
        let entries = u16::from_be_bytes([e1, e0]);
        let first = LogId::new(u32::from_be_bytes([f3, f2, f1, f0]));
        let newest = LogId::new(u32::from_be_bytes([n3, n2, n1, n0]));
        let info = LogInfo::from_bits(u16::from_be_bytes([i1, i0]));
        if !info.has_entries() || entries == 0 {
            return Ok(Self::nothing(info, first, newest, entries, registers, rest.to_vec()));
        }
        if entries > selection.entries() {
            return Err(AnswerError::Entries { asked: selection.entries(), found: entries });
        }
        let older = u32::from(entries).saturating_sub(1);
        if first > newest || first.older(older).is_none() {
            return Err(AnswerError::Ids { first, newest, entries });
        }
        let (values, bare) = first_entry(data, rest, registers)?;
        in_order(&values, selection.registers())?;
        let each: usize = values.iter().map(|value| value.mantissa().len()).sum();
        let expected = usize::try_from(older).unwrap_or(usize::MAX).saturating_mul(each);
        if bare.len() != expected {
            let before = data.len().saturating_sub(bare.len());
            let expected = before.saturating_add(expected);
            return Err(AnswerError::Length { expected, found: data.len() });
        }
        // Registers without bytes would give entries without values.
        let older = match each {
            0 => return Err(AnswerError::Truncated { offset: HEAD }),
            each => bare.chunks_exact(each).map(<[u8]>::to_vec).collect(),
        };
        Ok(Self { first, newest, info, content: Content::Entries { first: values, older } })
    }
}

/// Rejects an answer to another sub-command, or about another log.
pub(super) fn check_kind(data: &[u8], sub_command: u8, log: Log) -> Result<(), AnswerError> {
    let short = AnswerError::Length { expected: HEAD, found: data.len() };
    let (&[found, of], _) = data.split_first_chunk::<2>().ok_or(short)?;
    if found != sub_command {
        return Err(AnswerError::OtherSubCommand { asked: sub_command, found });
    }
    if of != log.code() {
        return Err(AnswerError::OtherLog { asked: log, found: of });
    }
    Ok(())
}

/// The registers of the first entry, and the bytes after them.
fn first_entry<'a>(
    data: &[u8],
    mut rest: &'a [u8],
    registers: u8,
) -> Result<(Vec<RegisterValue>, &'a [u8]), AnswerError> {
    let mut values = Vec::with_capacity(registers.into());
    for _ in 0..registers {
        let offset = data.len().saturating_sub(rest.len());
        let (value, after) = RegisterValue::parse(rest).ok_or(AnswerError::Truncated { offset })?;
        values.push(value);
        rest = after;
    }
    Ok((values, rest))
}

/// Rejects registers that were not requested, or come twice or in another order.
fn in_order(values: &[RegisterValue], asked: &[RegisterId]) -> Result<(), AnswerError> {
    let ids: Vec<RegisterId> = values.iter().map(|value| value.register).collect();
    if let Some(&register) = first_duplicate(&ids) {
        return Err(AnswerError::Duplicate { register });
    }
    let mut rest = asked.iter();
    match ids.iter().find(|id| !rest.any(|register| register == *id)) {
        Some(&register) => Err(AnswerError::NotRequested { register }),
        None => Ok(()),
    }
}

/// Whether two values differ only in their mantissa's content.
fn has_same_format(value: &RegisterValue, like: &RegisterValue) -> bool {
    (value.register, value.unit, value.sign_exponent, value.mantissa().len())
        == (like.register, like.unit, like.sign_exponent, like.mantissa().len())
}
