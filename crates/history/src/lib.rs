//! Keeps readings in a database of bounded size. Charts are drawn from it.
//!
//! # What is kept
//!
//! For each value of each meter:
//!
//! | What | How much |
//! |---|---|
//! | each reading | the last 49 hours that have readings; of an hour that is over, at most 360 readings |
//! | last, lowest, highest and mean value of each hour | 9,600 hours (400 days) |
//! | last, lowest, highest and mean value of each day | 3,653 days (ten years) |
//!
//! For each meter, what its polls cost on each day ([`Usage`]), by kinds that the caller numbers:
//! 45 days.
//!
//! The number of rows is limited, not their age. So if the clock was wrong for a while, only the
//! rows of that time are lost or misplaced. Hours and days are those of the local zone. Values are
//! decimals and keep every digit.
//!
//! The rows of one value of one meter are a *series*. A meter is identified by its name and its
//! serial number. If the serial number is new, new series begin.
//!
//! # Consumption
//!
//! The consumption of an hour is the difference between the counter at its end and at its start. It
//! is never a guess:
//!
//! - Polls follow the clock, so the reading of the full hour arrives a moment after the full hour.
//!   Therefore a reading in the first minute of an hour counts as the last one of the previous
//!   hour.
//! - A reading is valid for 15 minutes. If there is no valid reading at the start or at the end,
//!   the consumption of that hour or day is not known.
//! - If the counter fell, the consumption of that hour or day is not known either.
//!
//! # Writing
//!
//! [`History::note`] hands a poll to a thread and never waits. The thread writes the poll in one
//! transaction.
//!
//! After the first poll of an hour, the thread *folds* the hour before: it makes the summaries of
//! the hour and of its day. It does this in steps, each in a transaction of its own. A step reads
//! or deletes at most 4,000 readings, or writes the summaries of at most 100 series. Polls are
//! written between two steps, so a poll waits for one step at most, even after an hour of hundreds
//! of meters. Memory holds only the rows of one step, and one summary for each series.
//!
//! The database is `SQLite` with a write-ahead log and `synchronous = NORMAL`. Therefore:
//!
//! - After a kill, each poll is completely in the file or not at all. The readings of an hour are
//!   deleted only after the hour is folded. An hour that was not folded completely is folded again.
//! - A kill loses nothing that was committed. A power cut may lose what the system has not yet
//!   written to the disk. The file stays intact.
//! - A lock on a separate file (`history.lock`) keeps a second process out.
//!
//! # Errors
//!
//! The disk may be full or read-only. The file may be in use, or not ours ([`HistoryError`]). The
//! error is logged once, and is in [`History::error`]. Meanwhile, up to 1,500 polls wait in memory.
//! There is no timer: the first poll after 30 s retries.
//!
//! A damaged file is renamed to `history.db.damaged-DATE`, and a new file is created. Only the
//! newest damaged file is kept. `SQLite` does not notice all damage, such as a changed digit. Such
//! damage remains.
//!
//! # Backups
//!
//! The files may be copied one after the other while readings are written, between [`hold`] and
//! [`release`]. Otherwise the copy may be damaged.
//!
//! # Reading
//!
//! A [`Snapshot`] is the database as it is at one moment. It delays no writing, except if the
//! database is in memory, where there is no write-ahead log.
//!
//! A query reads only the rows of the meters that it asks for, so its work does not grow with the
//! number of all meters. There is one exception: the single readings of the last day
//! ([`Snapshot::last_days`]). They are stored in the order of time, for all meters together, so a
//! call passes over all of them.
//!
//! A [`Stop`] ends reading when nobody waits for the result any longer.
//!
//! # Example
//!
//! ```
//! use kamstrup2mqtt_history::{History, MeterKey, Sample};
//! use jiff::ZonedDateTime;
//! use rust_decimal::Decimal;
//!
//! let now: ZonedDateTime = "2026-11-24T10:00:00[Europe/Copenhagen]".parse()?;
//! let history = History::start(None, &now); // in memory
//! let meter = MeterKey::new("house", Some(12_345_678));
//! let energy = Sample {
//!     parameter: "energy".to_owned(),
//!     value: Decimal::new(28_316, 3),
//!     unit: Some("MWh".to_owned()),
//!     is_counter: true,
//! };
//! history.note(&meter, now.timestamp(), &[energy]);
//! let reader = history.reader();
//! history.close();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod calendar;
mod error;
mod history;
mod limits;
mod reader;
mod sample;
mod stop;
mod store;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

pub use self::error::{Hint, HistoryError};
pub use self::history::History;
pub use self::reader::{Reader, Snapshot};
pub use self::sample::{DayUsage, MeterKey, Sample, Series, Usage, UsageRecord};
pub use self::stop::Stop;
pub use self::store::{HoldError, hold, release};
pub use self::summary::{Consumption, Point, Summary, Total};
