//! An entry of a log, as text.

use kmp::logger::LogEntry;
use kmp::register::RegisterId;
use kmp::value::RegisterValue;

use jiff::civil::Date;
use meter::logger::LogStamp;

/// Whether a value is a part of the entry's time.
#[must_use]
pub(crate) fn is_stamp(value: &RegisterValue) -> bool {
    [LogStamp::DATE_TIME, LogStamp::DATE, LogStamp::TIME].contains(&value.register)
}

/// The value with all its digits.
#[must_use]
pub(crate) fn text_of(value: &RegisterValue) -> String {
    value.value().map(|value| value.to_string()).unwrap_or_default()
}

/// The name of a value in the settings, or its number.
#[must_use]
pub(crate) fn name(register: RegisterId) -> String {
    register.info().map_or_else(|| register.to_string(), |info| info.key.to_owned())
}

/// Whether an entry is not older than this date.
#[must_use]
pub(crate) fn is_since(entry: &LogEntry, from: Option<Date>) -> bool {
    let at = LogStamp::of(&entry.values).and_then(LogStamp::written);
    from.is_none_or(|from| at.is_none_or(|at| at.date() >= from))
}
