//! The meter's own logs: command 0xB8, which MULTICAL 303 and 603 answer.
//!
//! No Kamstrup document describes this command. Layouts are those of jktjkt/PyKMP
//! (`src/pykmp/messages.py`), and the captured frames of a 603 agree with them.
//!
//! | Sub-command | Type | What it requests |
//! |---|---|---|
//! | 05 | [`GetConfiguration`] | depth and registers of a log |
//! | 06 | [`GetLogIdPastAbs`] | entries from an id backwards |
//! | 07 | [`GetLogLastEntryPastAbs`] | entries that are a number of entries older than the newest |
//!
//! No other sub-command can be built. Which of them write is not known, and a meter accepts only 25
//! or 50 changes of its configuration in its life (TD 403 5512-1689 M1 p.97, TD 603 5512-2029 A1
//! p.110).

mod answer;
mod configuration;
mod log;
mod request;
mod selection;
#[cfg(test)]
mod tests;

pub use self::answer::{LogAnswer, LogEntry};
pub use self::configuration::{GetConfiguration, LogConfiguration};
pub use self::log::{Log, LogId, LogInfo};
pub use self::request::{GetLogIdPastAbs, GetLogLastEntryPastAbs, LoggerRequest};
pub use self::selection::{LogRequestError, Selection};
