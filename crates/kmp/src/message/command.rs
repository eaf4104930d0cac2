//! A command, and why an answer is not the answer to it.

use alloc::vec::Vec;

use thiserror::Error;

use crate::datalink::{self, Address, Cid, Packet};
use crate::frame::Direction;
use crate::logger::{Log, LogId};
use crate::register::RegisterId;

pub(crate) mod sealed {
    /// Only this crate has commands, so nothing else can be sent to a meter.
    pub trait Sealed {}
}

/// A request, and how to read its answer.
///
/// The commands are [`GetType`], [`GetSerialNo`], [`GetRegister`] and those of [`crate::logger`].
/// None of them changes the meter, and no other crate can add one.
///
/// [`GetType`]: super::GetType
/// [`GetSerialNo`]: super::GetSerialNo
/// [`GetRegister`]: super::GetRegister
pub trait Command: sealed::Sealed {
    /// The command id of request and answer.
    const CID: Cid;
    /// The content of the answer.
    type Answer;

    /// Appends the data of the request, which follows the command id.
    fn emit_data(&self, out: &mut Vec<u8>);

    /// Parses the data of an answer whose address and command id match.
    fn parse_answer(&self, data: &[u8]) -> Result<Self::Answer, AnswerError>;

    /// The registers that are asked for.
    fn asked(&self) -> &[RegisterId] {
        &[]
    }

    /// Compares the order of the answer with this request.
    fn answer_order(&self, _answer: &Self::Answer) -> AnswerOrder {
        AnswerOrder::Undecidable
    }

    /// The registers of the answer, in its order.
    fn answered(_answer: &Self::Answer) -> Vec<RegisterId> {
        Vec::new()
    }

    /// The largest number of data bytes in an answer. The time that an answer may take follows from
    /// it.
    fn max_answer_data(&self) -> usize;

    /// How many data bytes an answer has at least if it begins with these. Up to two bytes of the
    /// checksum may follow the data.
    fn min_answer_data(&self, begun: &[u8]) -> MinData;
}

/// The smallest number of data bytes in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinData {
    /// If everything is missing that may be.
    pub certain: usize,
    /// If nothing is missing after these bytes.
    pub complete: usize,
}

impl MinData {
    pub(crate) const fn exactly(bytes: usize) -> Self {
        Self { certain: bytes, complete: bytes }
    }
}

/// How the order of the registers in an answer compares to the request.
///
/// No document promises that a meter keeps the order of a request, but every known meter does. So a
/// client that uses another order for each request recognises a late answer to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerOrder {
    /// All registers that must be present are, in the order of the request.
    InOrder,
    /// The answer has fewer than two registers, so it has no order.
    Undecidable,
    /// All registers that must be present are, in another order.
    Reordered,
    /// A register that the meter is known to have is missing.
    Incomplete,
}

/// Why data is not an answer to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The data does not have the length of an answer to this command.
    #[error("the answer has data of length {found} instead of {expected}")]
    Length {
        /// The length of an answer to this command, in bytes.
        expected: usize,
        /// The length of this answer.
        found: usize,
    },
    /// The data ends in the middle of a register.
    #[error("the answer ends in the middle of the register at byte {offset} of its data")]
    Truncated {
        /// The position of the register's first byte.
        offset: usize,
    },
    /// The answer contains a register that was not requested, so it belongs to another request.
    #[error("the answer contains register {register}, which was not requested")]
    NotRequested {
        /// The register.
        register: RegisterId,
    },
    /// The answer contains a register twice.
    #[error("the answer contains register {register} twice")]
    Duplicate {
        /// The register.
        register: RegisterId,
    },
    /// The answer is to another sub-command of the logger.
    #[error("the answer is to sub-command {found:02X} of the logger instead of {asked:02X}")]
    OtherSubCommand {
        /// The sub-command of the request.
        asked: u8,
        /// That of the answer.
        found: u8,
    },
    /// The answer is about another log.
    #[error("the answer is about log {found} instead of the {asked} log")]
    OtherLog {
        /// The log of the request.
        asked: Log,
        /// The byte of the answer's log.
        found: u8,
    },
    /// The answer begins with another entry of the log, so it belongs to another request.
    #[error("the answer begins with log entry {found} instead of {asked}")]
    OtherEntry {
        /// The id of the request.
        asked: LogId,
        /// The id of the answer's first entry.
        found: LogId,
    },
    /// The answer has more log entries than were requested.
    #[error("the answer has {found} log entries, but {asked} were requested")]
    Entries {
        /// The number of entries in the request.
        asked: u16,
        /// The number of entries in the answer.
        found: u16,
    },
    /// The ids of the entries contradict each other.
    #[error("{entries} log entries from id {first} cannot be in a log whose newest id is {newest}")]
    Ids {
        /// The id of the first entry.
        first: LogId,
        /// The id of the newest entry of the log.
        newest: LogId,
        /// The number of entries in the answer.
        entries: u16,
    },
}

/// Builds the complete frame of a request.
#[must_use]
pub fn emit_request<C: Command>(address: Address, command: &C) -> Vec<u8> {
    let mut data = Vec::new();
    command.emit_data(&mut data);
    datalink::emit(Direction::ToMeter, Packet { address, cid: C::CID, data: &data })
}

pub(crate) fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], AnswerError> {
    data.try_into().map_err(|_| AnswerError::Length { expected: N, found: data.len() })
}

pub(crate) fn first_duplicate(registers: &[RegisterId]) -> Option<&RegisterId> {
    let mut rest = registers;
    while let Some((first, after)) = rest.split_first() {
        if after.contains(first) {
            return Some(first);
        }
        rest = after;
    }
    None
}
