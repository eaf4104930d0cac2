//! The meter's own logs: what is read of them, and the entries that were read before.
//!
//! `meter::logger` reads a log. This module has what all its readers share.

mod answer;
mod desk;
mod entry;
mod hours;
mod kept;
mod request;
pub(crate) mod words;

use kmp::logger::Log;
use kmp::register::RegisterId;

pub(crate) use self::desk::{LogDesk, Tell};
pub(crate) use self::entry::{is_since, is_stamp, name, text_of};
pub(crate) use self::hours::{Entries, Logged, days, hours};
pub(crate) use self::kept::Kept;

/// The counters that are read, as far as the log has them. E8 and E9 give mean temperatures, which
/// take too long to read for each hour.
#[must_use]
pub(crate) fn registers(log: Log) -> Vec<RegisterId> {
    let registers: &[u16] = match log {
        Log::Hour | Log::Minute1 | Log::Minute2 => &[60, 68],
        Log::Day | Log::Month | Log::Year => &[60, 68, 97, 110],
    };
    registers.iter().map(|id| RegisterId::new(*id)).collect()
}
