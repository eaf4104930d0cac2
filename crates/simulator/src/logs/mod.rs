//! The logs of a simulated meter, which command 0xB8 reads.

mod calendar;
mod house;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kmp::logger::{
    GetLogLastEntryPastAbs, Log, LogAnswer, LogConfiguration, LogEntry, LogId, LogInfo,
    LoggerRequest, Selection,
};
use kmp::number::SignExponent;
use kmp::register::{Kind, RegisterId};
use kmp::unit::Unit;
use kmp::value::RegisterValue;

pub use self::house::SummerStamp;

/// The longest data of an answer: a frame without address, command and checksum.
const LONGEST_ANSWER: usize = kmp::frame::MAX_BODY - 4;

/// The logs of a simulated meter.
#[derive(Debug, Clone)]
pub struct Logs {
    logs: BTreeMap<Log, Kept>,
    longest_answer: usize,
}

/// A log.
#[derive(Debug, Clone)]
struct Kept {
    depth: u16,
    registers: Vec<RegisterId>,
    /// The oldest first. Their ids rise by one.
    entries: Vec<LogEntry>,
}

impl Logs {
    /// Cuts answers with more data than this, as a meter does whose answers are shorter.
    #[must_use]
    pub fn with_longest_answer(self, bytes: usize) -> Self {
        Self { longest_answer: bytes.min(LONGEST_ANSWER), ..self }
    }

    /// The entries of a log, the oldest first.
    #[must_use]
    pub fn entries(&self, log: Log) -> &[LogEntry] {
        self.logs.get(&log).map_or(&[], |kept| &kept.entries)
    }

    /// Removes all entries of a log.
    pub fn clear(&mut self, log: Log) {
        self.change(log, Vec::clear);
    }

    /// Removes an entry, as if the meter had no power at its time. Older entries get higher ids, so
    /// that the ids still rise by one.
    pub fn miss(&mut self, log: Log, id: LogId) {
        self.change(log, |entries| {
            entries.retain(|entry| entry.id != id);
            for entry in entries.iter_mut().filter(|entry| entry.id < id) {
                entry.id = LogId::new(entry.id.get().saturating_add(1));
            }
        });
    }

    /// Restarts the counters from zero with this entry, as if the meter had been reset.
    pub fn reset(&mut self, log: Log, id: LogId) {
        self.change(log, |entries| {
            let Some(first) = entries.iter().find(|entry| entry.id == id).cloned() else { return };
            for entry in entries.iter_mut().filter(|entry| entry.id >= id) {
                for (value, base) in entry.values.iter_mut().zip(&first.values) {
                    let info = value.register.info();
                    if info.is_some_and(|info| info.kind == Kind::Counter) {
                        subtract(value, base);
                    }
                }
            }
        });
    }

    /// Gives this entry and all older ones another unit of energy: kWh instead of MWh, with the same
    /// mantissa.
    pub fn change_format(&mut self, log: Log, id: LogId) {
        self.change(log, |entries| {
            for entry in entries.iter_mut().filter(|entry| entry.id <= id) {
                for value in &mut entry.values {
                    if value.unit == Unit::MEGAWATT_HOUR {
                        value.unit = Unit::KILOWATT_HOUR;
                        value.sign_exponent = SignExponent::from_byte(0);
                    }
                }
            }
        });
    }

    fn change(&mut self, log: Log, change: impl FnOnce(&mut Vec<LogEntry>)) {
        if let Some(kept) = self.logs.get_mut(&log) {
            change(&mut kept.entries);
        }
    }

    /// The data of the answer to a request; `None` if the meter stays silent.
    pub(crate) fn answer(&self, request: &LoggerRequest) -> Option<Vec<u8>> {
        match request {
            LoggerRequest::Configuration(command) => {
                let kept = self.logs.get(&command.log)?;
                let configuration = LogConfiguration::new(kept.depth, &kept.registers)?;
                Some(command.emit_answer(&configuration))
            }
            LoggerRequest::IdPastAbs(command) => {
                let kept = self.logs.get(&command.selection.log())?;
                let answer = kept.answer(command.from, &command.selection, |answer| {
                    command.emit_answer(answer).len() <= self.longest_answer
                });
                Some(command.emit_answer(&answer))
            }
            LoggerRequest::LastEntryPastAbs(command) => {
                let kept = self.logs.get(&command.selection.log())?;
                let from = kept.past(command);
                let answer = kept.answer(from, &command.selection, |answer| {
                    command.emit_answer(answer).len() <= self.longest_answer
                });
                Some(command.emit_answer(&answer))
            }
        }
    }
}

impl Kept {
    fn newest(&self) -> LogId {
        self.entries.last().map_or(LogId::new(0), |entry| entry.id)
    }

    /// The entry that is this many entries older than the newest, or the oldest one.
    fn past(&self, command: &GetLogLastEntryPastAbs) -> LogId {
        let back = usize::from(command.offset).min(self.entries.len().saturating_sub(1));
        self.entries.iter().rev().nth(back).map_or(LogId::new(0), |entry| entry.id)
    }

    fn answer(
        &self,
        from: LogId,
        selection: &Selection,
        fits: impl Fn(&LogAnswer) -> bool,
    ) -> LogAnswer {
        let newest = self.newest();
        let Some(oldest) = self.entries.first().map(|entry| entry.id) else {
            return LogAnswer::empty(&zeros(selection.registers()));
        };
        let Some(at) = self.entries.iter().position(|entry| entry.id == from) else {
            return LogAnswer::refusal(LogInfo::OUT_OF_RANGE, from, newest);
        };
        let mut info = LogInfo::NONE;
        let has = |register: &&RegisterId| self.registers.contains(register);
        let registers: Vec<RegisterId> =
            selection.registers().iter().filter(has).copied().collect();
        if registers.len() < selection.registers().len() {
            info = info.with(LogInfo::UNSUPPORTED_REGISTER);
        }
        if registers.is_empty() {
            return LogAnswer::refusal(info, from, newest);
        }
        let mut entries: Vec<LogEntry> = Vec::new();
        let wanted = self.entries.iter().take(at + 1).rev().take(selection.entries().into());
        for entry in wanted {
            let entry = LogEntry { id: entry.id, values: values(entry, &registers) };
            if entries.first().is_some_and(|first| !has_same_format(first, &entry)) {
                info = info.with(LogInfo::FORMAT_CHANGED);
                break;
            }
            entries.push(entry);
        }
        loop {
            let mut said = info;
            if entries.first().is_some_and(|entry| entry.id == newest) {
                said = said.with(LogInfo::NEWEST_INCLUDED);
            }
            if entries.last().is_some_and(|entry| entry.id == oldest) {
                said = said.with(LogInfo::OLDEST_INCLUDED);
            }
            match LogAnswer::new(newest, said, &entries) {
                Some(answer) if fits(&answer) => return answer,
                None => return LogAnswer::refusal(LogInfo::INTERNAL_ERROR, from, newest),
                // An answer that is too long loses its old end.
                Some(_) => {
                    entries.pop();
                    let is_changed = LogInfo::FORMAT_CHANGED.bits();
                    info = LogInfo::from_bits(info.bits() & !is_changed).with(LogInfo::ENTRIES_CUT);
                }
            }
        }
    }
}

/// The values of these registers, in their order.
fn values(entry: &LogEntry, registers: &[RegisterId]) -> Vec<RegisterValue> {
    let value = |register: &RegisterId| {
        entry.values.iter().find(|value| value.register == *register).cloned()
    };
    registers.iter().filter_map(value).collect()
}

fn has_same_format(a: &LogEntry, b: &LogEntry) -> bool {
    let formats = |entry: &LogEntry| -> Vec<_> {
        let format = |value: &RegisterValue| {
            (value.register, value.unit, value.sign_exponent, value.mantissa().len())
        };
        entry.values.iter().map(format).collect()
    };
    formats(a) == formats(b)
}

/// What an empty log has instead of values.
fn zeros(registers: &[RegisterId]) -> Vec<RegisterValue> {
    let zero = |register: &RegisterId| {
        let exponent = SignExponent::from_byte(0);
        RegisterValue::new(*register, Unit::NUMBER, exponent, vec![0; 4])
    };
    registers.iter().filter_map(zero).collect()
}

/// Subtracts the mantissa of another value from this one.
fn subtract(value: &mut RegisterValue, base: &RegisterValue) {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let less = number(value.mantissa()).saturating_sub(number(base.mantissa())).to_be_bytes();
    let start = less.len().saturating_sub(value.mantissa().len());
    if let Some(changed) = less.get(start..).and_then(|bytes| value.with_mantissa(bytes)) {
        *value = changed;
    }
}
