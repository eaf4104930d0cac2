//! Polls meters: one task per meter requests its registers once per interval and sends a
//! [`PollResult`]. Registers that change slowly are requested less often ([`Paces`]).
//!
//! The port is opened for each poll and closed after it. So the next poll works even if the optical
//! head was unplugged and plugged in again, or the serial server restarted. If several meters share
//! a port, each poll waits for its turn. Waiting does not move the schedule.
//!
//! `task` waits for the next poll. `once` makes the poll over one or two connections. Each
//! connection is a `session`.

mod absences;
mod attempts;
mod capacity;
mod confirm;
mod diagnose;
mod explanation;
mod extent;
mod identify;
mod job;
mod journal;
mod logs;
mod measure;
mod memory;
mod names;
mod once;
mod order;
mod outcome;
mod ownership;
mod pace;
mod plan;
mod read;
mod reader;
mod recognition;
mod requests;
mod result;
mod schedule;
mod session;
mod summary;
mod task;
mod timetable;

pub use self::explanation::{Explanation, Suspect};
pub use self::extent::Extent;
pub use self::job::{Attempt, Busy, Job, MeterHandle, PLACEMENT, Step};
pub use self::journal::count_words;
pub use self::logs::LogRead;
pub use self::memory::MeterMemories;
pub use self::pace::Paces;
pub use self::plan::Plan;
pub use self::reader::{Progress, Reader, Scanned};
pub use self::result::PollResult;
pub use self::schedule::{Schedule, shift, spread};
pub use self::task::{run, run_knowing};
pub use self::timetable::RECOVERY;

#[cfg(test)]
mod tests;
