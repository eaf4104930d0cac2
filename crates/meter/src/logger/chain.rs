//! Whether an entry of a log continues the newer one.

use jiff::Span;
use jiff::civil::{self, DateTime};
use kmp::logger::{Log, LogEntry, LogId, LogInfo};
use kmp::register::{Kind, RegisterId};
use kmp::value::{Date, RegisterValue, TimeOfDay, Value};
use thiserror::Error;

/// The date and time of an entry: [`Self::DATE_TIME`], or [`Self::DATE`] with [`Self::TIME`].
///
/// It is the start of the next period: an entry with a date of D 0:00 has the counters at the end of
/// day D-1 (TD 403 5512-1689 M1 p.45; captures agree).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStamp {
    /// The date as the meter wrote it.
    pub date: Date,
    /// The time as the meter wrote it, if the entry has one.
    pub time: Option<TimeOfDay>,
    /// The offset for daylight saving time beside it, if the entry has one. Whether the time
    /// contains it is not known.
    pub offset_minutes: Option<u8>,
}

impl LogStamp {
    /// Date and time in one register.
    pub const DATE_TIME: RegisterId = RegisterId::new(348);
    /// The date.
    pub const DATE: RegisterId = RegisterId::new(1003);
    /// The time of day.
    pub const TIME: RegisterId = RegisterId::new(1002);

    /// The registers of a stamp, of those that a log has. `None` if they do not say when an entry
    /// was made.
    pub(super) fn registers(log: Log, has: &[RegisterId]) -> Option<Vec<RegisterId>> {
        let has = |register| has.contains(&register);
        // The others repeat every day or every few minutes.
        let needs_time = !matches!(log, Log::Year | Log::Month | Log::Day);
        if has(Self::DATE_TIME) {
            Some(vec![Self::DATE_TIME])
        } else if has(Self::DATE) && has(Self::TIME) {
            Some(vec![Self::DATE, Self::TIME])
        } else if has(Self::DATE) && !needs_time {
            Some(vec![Self::DATE])
        } else {
            None
        }
    }

    /// The stamp of an entry; `None` if it has none, or one that is no date.
    #[must_use]
    pub fn of(values: &[RegisterValue]) -> Option<Self> {
        let value = |register| values.iter().find(|value| value.register == register);
        if let Some(both) = value(Self::DATE_TIME) {
            let stamp = both.stamp().ok()?;
            let offset_minutes = Some(stamp.offset_minutes);
            return Some(Self { date: stamp.date, time: Some(stamp.time), offset_minutes });
        }
        let Value::Date(date) = value(Self::DATE)?.value().ok()? else { return None };
        let time = match value(Self::TIME).map(RegisterValue::value) {
            None => None,
            Some(Ok(Value::Time(time))) => Some(time),
            Some(_) => return None,
        };
        Some(Self { date, time, offset_minutes: None })
    }

    /// The date and the time as the meter wrote them.
    #[must_use]
    pub fn written(self) -> Option<DateTime> {
        let part = |number: u8| i8::try_from(number).ok();
        let (date, time) = (self.date, self.time);
        let year = i16::try_from(date.year()).ok()?;
        let day = civil::Date::new(year, part(date.month())?, part(date.day())?).ok()?;
        Some(match time {
            None => day.at(0, 0, 0, 0),
            Some(time) => day.at(part(time.hour())?, part(time.minute())?, part(time.second())?, 0),
        })
    }

    /// The time without the offset, if the time is written in this way.
    fn standard(self, way: Way) -> Option<DateTime> {
        let at = self.written()?;
        match (way, self.offset_minutes) {
            (Way::Local, Some(offset)) => {
                at.checked_sub(Span::new().minutes(i64::from(offset))).ok()
            }
            _ => Some(at),
        }
    }
}

/// How a stamp may be written. The log keeps standard time, but which time its stamps show in summer
/// is not known, so the entries decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Standard time, with the offset beside it.
    Standard,
    /// Local time, which contains the offset.
    Local,
}

/// Why an entry is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogFault {
    /// The log has no registers that say when an entry was made.
    #[error("the log has no register with the date of an entry")]
    NoDate,
    /// The meter answers without entries, or says that they are of no use.
    #[error("the meter gave no usable entries (info {0})")]
    Info(LogInfo),
    /// A register is missing, although the log has it.
    #[error("the meter left register {0} out")]
    Missing(RegisterId),
    /// The entry has no valid date.
    #[error("the date of the entry is invalid")]
    Stamp,
    /// The entry is not older than the one after it.
    #[error("the date of the entry is not before that of the next one")]
    Order,
    /// A counter is higher than in the entry after it. The meter may have been reset or exchanged.
    #[error("the counter in register {0} is higher than later, so the meter may have been reset")]
    Counter(RegisterId),
    /// A register has another unit, exponent or length than in the entry after it.
    #[error("the unit or the format of register {0} is not the same as later")]
    Format(RegisterId),
    /// The value of a counter cannot be decoded.
    #[error("the value of register {0} is invalid")]
    Value(RegisterId),
    /// The log has fewer entries than before.
    #[error("the log was restarted while it was read: its newest id is {0}")]
    Restarted(LogId),
}

/// The entries that were accepted so far, from the newest back.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    registers: Vec<RegisterId>,
    newer: Option<LogEntry>,
    ways: Vec<Way>,
}

impl Chain {
    /// A chain of entries with these registers.
    pub(super) fn new(registers: Vec<RegisterId>) -> Self {
        Self { registers, newer: None, ways: vec![Way::Standard, Way::Local] }
    }

    /// Accepts the next older entry, or says why it is none.
    pub(super) fn accept(&mut self, entry: &LogEntry) -> Result<LogStamp, LogFault> {
        let has = |register: &RegisterId| entry.values.iter().any(|it| it.register == *register);
        if let Some(missing) = self.registers.iter().find(|register| !has(register)) {
            return Err(LogFault::Missing(*missing));
        }
        let stamp = LogStamp::of(&entry.values).ok_or(LogFault::Stamp)?;
        for value in entry.values.iter().filter(|value| is_counter(value.register)) {
            number(value)?;
        }
        let mut ways = self.ways.clone();
        if let Some(newer) = &self.newer {
            for value in &entry.values {
                let register = value.register;
                let of_newer = newer.values.iter().find(|it| it.register == register);
                let newer = of_newer.ok_or(LogFault::Missing(register))?;
                if format(value) != format(newer) {
                    return Err(LogFault::Format(register));
                }
                if is_counter(register) && number(value)? > number(newer)? {
                    return Err(LogFault::Counter(register));
                }
            }
            let of_newer = LogStamp::of(&newer.values).ok_or(LogFault::Stamp)?;
            ways.retain(|way| match (stamp.standard(*way), of_newer.standard(*way)) {
                (Some(older), Some(newer)) => older < newer,
                _ => false,
            });
            if ways.is_empty() {
                return Err(LogFault::Order);
            }
        }
        self.ways = ways;
        self.newer = Some(entry.clone());
        Ok(stamp)
    }
}

fn is_counter(register: RegisterId) -> bool {
    register.info().is_some_and(|info| info.kind == Kind::Counter)
}

fn number(value: &RegisterValue) -> Result<rust_decimal::Decimal, LogFault> {
    match value.value() {
        Ok(Value::Number(number)) => Ok(number),
        _ => Err(LogFault::Value(value.register)),
    }
}

fn format(value: &RegisterValue) -> (u8, u8, usize) {
    (value.unit.code(), value.sign_exponent.byte(), value.mantissa().len())
}
