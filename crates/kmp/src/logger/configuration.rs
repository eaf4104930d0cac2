//! Sub-command 05: depth and registers of a log.

use alloc::vec::Vec;

use super::log::Log;
use crate::datalink::Cid;
use crate::message::command::{AnswerError, Command, MinData, sealed};
use crate::register::RegisterId;

/// Requests depth and registers of a log. Both can be programmed, so no table has them (TD 403
/// 5512-1689 M1 p.39, TD 603 5512-2029 A1 p.50).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetConfiguration {
    /// The log.
    pub log: Log,
}

/// Bytes before the registers.
const HEAD: usize = 15;

impl GetConfiguration {
    pub(super) const SUB_COMMAND: u8 = 0x05;

    /// Encodes this configuration as the data of an answer.
    #[must_use]
    pub fn emit_answer(self, configuration: &LogConfiguration) -> Vec<u8> {
        let LogConfiguration { dates, max_records, interval, depth, registers } = configuration;
        let mut out = Vec::new();
        out.extend([Self::SUB_COMMAND, self.log.code()]);
        for Formatted { format, value: [high, low] } in dates {
            out.extend([*format, *high, *low]);
        }
        for Formatted { format, value } in [max_records, interval] {
            out.extend([*format, *value]);
        }
        out.extend(depth.to_be_bytes());
        // The constructors reject more than 255 registers.
        out.push(u8::try_from(registers.len()).unwrap_or(u8::MAX));
        out.extend(registers.iter().flat_map(|register| register.get().to_be_bytes()));
        out
    }
}

impl sealed::Sealed for GetConfiguration {}

impl Command for GetConfiguration {
    const CID: Cid = Cid::LOGGER;
    type Answer = LogConfiguration;

    fn emit_data(&self, out: &mut Vec<u8>) {
        out.extend([Self::SUB_COMMAND, self.log.code()]);
    }

    fn parse_answer(&self, data: &[u8]) -> Result<LogConfiguration, AnswerError> {
        super::answer::check_kind(data, Self::SUB_COMMAND, self.log)?;
        let length = |expected| AnswerError::Length { expected, found: data.len() };
        let (head, rest) = data.split_first_chunk::<HEAD>().ok_or(length(HEAD))?;
        let &[_, _, f1, a1, b1, f2, a2, b2, f3, max_records, f4, interval, high, low, count] = head;
        let (pairs, left) = rest.as_chunks::<2>();
        if pairs.len() != usize::from(count) || !left.is_empty() {
            return Err(length(usize::from(count).saturating_mul(2).saturating_add(HEAD)));
        }
        let registers = pairs.iter().map(|pair| RegisterId::new(u16::from_be_bytes(*pair)));
        Ok(LogConfiguration {
            dates: [
                Formatted { format: f1, value: [a1, b1] },
                Formatted { format: f2, value: [a2, b2] },
            ],
            max_records: Formatted { format: f3, value: max_records },
            interval: Formatted { format: f4, value: interval },
            depth: u16::from_be_bytes([high, low]),
            registers: registers.collect(),
        })
    }

    fn max_answer_data(&self) -> usize {
        usize::from(u8::MAX).saturating_mul(2).saturating_add(HEAD)
    }

    fn min_answer_data(&self, begun: &[u8]) -> MinData {
        let count = begun.first_chunk::<HEAD>().map_or(0, |&[.., count]| usize::from(count));
        MinData::exactly(count.saturating_mul(2).saturating_add(HEAD))
    }
}

/// A value with the byte before it, whose meaning no source explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Formatted<T> {
    format: u8,
    value: T,
}

/// Depth and registers of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfiguration {
    /// Called `date1` and `date2` in jktjkt/PyKMP. Those of a year log are 01-01 and 00-00.
    dates: [Formatted<[u8; 2]>; 2],
    max_records: Formatted<u8>,
    interval: Formatted<u8>,
    depth: u16,
    registers: Vec<RegisterId>,
}

impl LogConfiguration {
    /// Creates one with the other values of the captured year log; `None` if there are more than 255
    /// registers.
    #[must_use]
    pub fn new(depth: u16, registers: &[RegisterId]) -> Option<Self> {
        u8::try_from(registers.len()).ok()?;
        Some(Self {
            dates: [Formatted { format: 1, value: [1, 1] }, Formatted { format: 1, value: [0, 0] }],
            max_records: Formatted { format: 1, value: 0 },
            interval: Formatted { format: 1, value: 0 },
            depth,
            registers: registers.to_vec(),
        })
    }

    /// The most entries that the log keeps.
    #[must_use]
    pub const fn depth(&self) -> u16 {
        self.depth
    }

    /// The registers that each entry has.
    #[must_use]
    pub fn registers(&self) -> &[RegisterId] {
        &self.registers
    }
}
