//! Plans which hours of a counter are written into Home Assistant's long-term statistics.
//!
//! Home Assistant keeps a row for each hour of a counter: its *state* (what it showed at the end of
//! the hour) and its *sum* (what was counted since the beginning of the statistics). A bar in the
//! energy dashboard is the difference of two sums. This crate compares the rows that Home Assistant
//! has with what the meter showed, and says what to write. It writes nothing itself.
//!
//! It is pure: it knows no clock, no network and no meter. All numbers are decimals.
//!
//! # Rules
//!
//! They were found on Home Assistant 2026.9.4 and 2026.11.0.
//!
//! - A row of an hour that Home Assistant has not compiled yet makes the compilation fail, for all
//!   entities of the house. So a plan needs the time ([`Compiled`]) and has no such hour.
//! - Rows before the first hour that Home Assistant recorded itself ([`before()`]) do not change the
//!   sums after them. So all later sums must be raised once ([`Adjustment::at`]). An adjustment is
//!   never repeated because an answer was lost: it is computed again from the rows that were read
//!   back.
//! - Rows before the first hour are imported only if its state lies between what the same meter
//!   showed before and after it ([`Refusal::OtherMeter`]).
//! - The oldest row has the sum 0, because Home Assistant shows its whole sum as a bar. So hours that
//!   are older than an import are written and joined in the same way, before its oldest row.
//! - Sums that were joined once are never joined again: if they differ later, somebody has changed
//!   them ([`Refusal::Adjusted`]).
//! - A gap ([`gaps()`]) is an hour without a row, or with the row of the hour before: Home Assistant
//!   was off, or the entity unavailable or silent. All hours of a gap are written in one call,
//!   because one alone would leave a negative bar. The difference of sum and state is the same
//!   before and after a gap. If it is not, the gap is left alone.
//! - The reading of the full hour reaches Home Assistant a moment after it. So a row may have the
//!   reading before, and one that repeats the row before may be right. It is a gap only if it has
//!   less than the counter showed at the start of its hour.
//! - If the entity was unavailable for longer than Home Assistant keeps states (10 days by
//!   default), its sum begins again at 0. It is repaired by an [`Adjustment`], if the counter did
//!   not fall.
//! - An import before the first hour is taken back by rows without a state and an opposite
//!   adjustment ([`Removal`]). Both are computed from what is read back.
//! - The meter's log is another source of what the counter showed. Whether it fits the readings of the
//!   same hours is compared: for a user who looks at the plan ([`Counter::agrees_with`]), or for nobody
//!   ([`Counter::proof`]).
//! - Nothing spans a fall of the counter ([`Counter`]): the counter was reset, or belongs to another
//!   meter.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod before;
mod counter;
mod gaps;
mod hour;
mod series;
#[cfg(test)]
mod tests;

pub use self::before::{Adjustment, Before, Joint, Refusal, Removal, before, between};
pub use self::counter::{Counter, Proof};
pub use self::gaps::{Gap, Left, Reason, gaps, uncovered};
pub use self::hour::{Compiled, Hour};
pub use self::series::{Changed, Import, Row, Series};
