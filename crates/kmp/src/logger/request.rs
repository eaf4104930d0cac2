//! Sub-commands 06 and 07: entries of a log.

use alloc::vec::Vec;

use super::answer::LogAnswer;
use super::configuration::GetConfiguration;
use super::log::{Log, LogId};
use super::selection::Selection;
use crate::datalink::Cid;
use crate::message::command::{AnswerError, Command, MinData, sealed};

/// Requests entries from an id backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetLogIdPastAbs {
    /// The id of the newest entry.
    pub from: LogId,
    /// The log, the number of entries, and their registers.
    pub selection: Selection,
}

impl GetLogIdPastAbs {
    pub(super) const SUB_COMMAND: u8 = 0x06;

    /// Encodes the data of an answer.
    #[must_use]
    pub fn emit_answer(&self, answer: &LogAnswer) -> Vec<u8> {
        answer.emit(Self::SUB_COMMAND, self.selection.log())
    }
}

impl sealed::Sealed for GetLogIdPastAbs {}

impl Command for GetLogIdPastAbs {
    const CID: Cid = Cid::LOGGER;
    type Answer = LogAnswer;

    fn emit_data(&self, out: &mut Vec<u8>) {
        out.extend([Self::SUB_COMMAND, self.selection.log().code()]);
        out.extend(self.from.get().to_be_bytes());
        self.selection.emit(out);
    }

    /// An answer that begins with another entry belongs to another request. So a late answer is
    /// never taken for the answer to a later request.
    fn parse_answer(&self, data: &[u8]) -> Result<LogAnswer, AnswerError> {
        let answer = LogAnswer::parse(data, Self::SUB_COMMAND, &self.selection)?;
        let found = answer.first();
        let is_it = found == self.from || (answer.is_empty() && found == LogId::new(0));
        if is_it { Ok(answer) } else { Err(AnswerError::OtherEntry { asked: self.from, found }) }
    }

    fn max_answer_data(&self) -> usize {
        self.selection.max_answer_data()
    }

    fn min_answer_data(&self, begun: &[u8]) -> MinData {
        self.selection.min_answer_data(begun)
    }
}

/// Requests entries that are a number of entries older than the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetLogLastEntryPastAbs {
    /// How many entries the first one is older than the newest. [`Self::OLDEST`] requests the oldest
    /// entry.
    pub offset: u16,
    /// The log, the number of entries, and their registers.
    pub selection: Selection,
}

impl GetLogLastEntryPastAbs {
    pub(super) const SUB_COMMAND: u8 = 0x07;

    /// The offset of the oldest entry (jktjkt/PyKMP `src/pykmp/logpaging.py`). Whether a filled log
    /// answers so is not captured.
    pub const OLDEST: u16 = u16::MAX;

    /// Encodes the data of an answer.
    #[must_use]
    pub fn emit_answer(&self, answer: &LogAnswer) -> Vec<u8> {
        answer.emit(Self::SUB_COMMAND, self.selection.log())
    }
}

impl sealed::Sealed for GetLogLastEntryPastAbs {}

impl Command for GetLogLastEntryPastAbs {
    const CID: Cid = Cid::LOGGER;
    type Answer = LogAnswer;

    fn emit_data(&self, out: &mut Vec<u8>) {
        out.extend([Self::SUB_COMMAND, self.selection.log().code()]);
        out.extend(self.offset.to_be_bytes());
        self.selection.emit(out);
    }

    fn parse_answer(&self, data: &[u8]) -> Result<LogAnswer, AnswerError> {
        LogAnswer::parse(data, Self::SUB_COMMAND, &self.selection)
    }

    fn max_answer_data(&self) -> usize {
        self.selection.max_answer_data()
    }

    fn min_answer_data(&self, begun: &[u8]) -> MinData {
        self.selection.min_answer_data(begun)
    }
}

/// A request to the logger, on the side of the meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggerRequest {
    /// [`GetConfiguration`]
    Configuration(GetConfiguration),
    /// [`GetLogIdPastAbs`]
    IdPastAbs(GetLogIdPastAbs),
    /// [`GetLogLastEntryPastAbs`]
    LastEntryPastAbs(GetLogLastEntryPastAbs),
}

impl LoggerRequest {
    /// Parses the data of a request; `None` if it is not valid, or has a sub-command that no type
    /// here has.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (&[sub_command, log], rest) = data.split_first_chunk::<2>()?;
        let log = Log::from_code(log)?;
        match sub_command {
            GetConfiguration::SUB_COMMAND if rest.is_empty() => {
                Some(Self::Configuration(GetConfiguration { log }))
            }
            GetLogIdPastAbs::SUB_COMMAND => {
                let (&from, rest) = rest.split_first_chunk::<4>()?;
                let from = LogId::new(u32::from_be_bytes(from));
                let selection = Selection::parse(log, rest)?;
                Some(Self::IdPastAbs(GetLogIdPastAbs { from, selection }))
            }
            GetLogLastEntryPastAbs::SUB_COMMAND => {
                let (&offset, rest) = rest.split_first_chunk::<2>()?;
                let offset = u16::from_be_bytes(offset);
                let selection = Selection::parse(log, rest)?;
                Some(Self::LastEntryPastAbs(GetLogLastEntryPastAbs { offset, selection }))
            }
            _ => None,
        }
    }
}
