//! Reads the meter's own logs of hours, days, months and years ([`kmp::logger`]).
//!
//! A [`LogReading`] asks for the log's depth and registers, then for its oldest and newest id, then
//! for its entries from the newest back, 24 at a time. It can pause between two requests.
//!
//! An entry is accepted only if it continues the newer one (`chain`): its id is the next older one,
//! its date is older, its counters are not higher, and its units and lengths are the same. Otherwise
//! the reading ends there, and says why. The client never takes a late answer with entries for another
//! one, because it repeats the log and the id of its first entry.
//!
//! After each silence, the serial number is read before an answer is accepted: the head may have been
//! moved to another meter, whose log may have the same ids and dates.
//!
//! Only 303 and 603 are known to answer. [`Access`] says which meters may be asked.

mod access;
mod chain;
mod clock;
mod reading;
#[cfg(test)]
mod tests;

pub use self::access::Access;
pub use self::chain::{LogFault, LogStamp};
pub use self::clock::{CLOCK, clock_ahead};
pub use self::reading::{LogEnd, LogExtent, LogOutcome, LogReading, LogStep, poll_awake};
