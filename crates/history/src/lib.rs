//! Readings in a database of bounded size, from which charts are drawn.
//!
//! # What is kept
//!
//! Of each value of each meter:
//!
//! | what | how much of it |
//! |---|---|
//! | each reading | of the last 49 hours that have readings; at most 360 of each hour that is over |
//! | last, lowest, highest and mean value of each hour | 9,600 hours (400 days) |
//! | the same of each day | 3,653 days (ten years) |
//!
//! The number of rows is bounded and not their age: a clock that was wrong costs the rows of that
//! time only. Hours and days are those of the local zone. A meter is its name and its serial
//! number: another number begins another series. Values are decimals, digit by digit as they came.
//!
//! # Consumption
//!
//! The consumption of an hour is the difference of the counter at its ends, and never a guess.
//! Polls keep to the clock, so the reading of the full hour comes a moment after it: a reading in
//! the first minute counts as the end of the hour before. A reading is valid for 15 minutes. Where
//! there is none near an end, or where the counter fell, the consumption of that hour or day is not
//! known.
//!
//! # Writing
//!
//! [`History::note`] hands a poll over to a thread and never waits. The thread writes it in one
//! transaction. The first poll of an hour also folds the hour before, and its day, in the same
//! transaction.
//!
//! The database is `SQLite` with a write-ahead log and `synchronous = NORMAL`. So:
//!
//! - A kill leaves each poll completely in the file or not at all, and no hour without its
//!   readings.
//! - A kill loses nothing that was committed. A power cut may lose what the system has not written
//!   to the disk yet. The file stays whole.
//! - A lock on a file of its own (`history.lock`) keeps a second process out.
//!
//! # Errors
//!
//! The file may be on a full or read-only disk, in use, or not ours ([`HistoryError`]). The error
//! is logged once, and is in [`History::error`]. Up to 1,500 polls wait in memory. The first poll
//! after 30 s tries again; there is no timer. A damaged file is renamed to
//! `history.db.damaged-DATE`, of which the newest is kept, and a new one begins. Damage that
//! `SQLite` does not notice, such as a changed digit, stays.
//!
//! [`Reader`] reads the database as it is at one moment, and delays nothing.
//!
//! # Example
//!
//! ```
//! use kamstrup2mqtt_history::{History, MeterKey, Sample};
//! use jiff::ZonedDateTime;
//! use rust_decimal::Decimal;
//!
//! let now: ZonedDateTime = "2026-11-24T10:00:00[Europe/Copenhagen]".parse()?;
//! let history = History::start(None, &now); // In memory.
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
mod store;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

pub use self::error::HistoryError;
pub use self::history::History;
pub use self::reader::Reader;
pub use self::sample::{MeterKey, Sample, Series};
pub use self::summary::{Consumption, Point, Summary};
