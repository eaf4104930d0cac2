//! Polls meters: one task per meter requests all its registers once per interval and sends a
//! [`PollResult`].
//!
//! The port is opened for each poll and closed after it. So the next poll finds an optical head
//! that was unplugged and plugged in again, or a serial server that restarted. If several meters
//! share a port, each poll waits for its turn, which does not move the schedule.
//!
//! `task` waits for the next poll. `once` makes the poll over one or two connections. Each
//! connection is a `session`.

mod absences;
mod confirm;
mod diagnose;
mod explanation;
mod identify;
mod job;
mod journal;
mod memory;
mod names;
mod once;
mod order;
mod outcome;
mod ownership;
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
pub use self::job::{Attempt, Busy, Job, MeterHandle, PLACEMENT, Step};
pub use self::journal::count_words;
pub use self::memory::MeterMemories;
pub use self::plan::Plan;
pub use self::reader::{Progress, Reader, Scanned};
pub use self::result::PollResult;
pub use self::schedule::{Schedule, spread};
pub use self::task::{run, run_knowing};
pub use self::timetable::RECOVERY;

#[cfg(test)]
mod tests;
