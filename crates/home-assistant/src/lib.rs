//! Reads and writes Home Assistant's long-term statistics over its WebSocket API.
//!
//! A wrong write damages more than one series. A row of an hour that is not compiled yet, and an
//! import while Home Assistant starts, spoil the sums of *all* energy sensors of the house. So the
//! rules are types, and a caller cannot leave one out:
//!
//! - [`Connected`] is logged in. It can do nothing but become [`Running`].
//! - [`Running`] has seen that Home Assistant's state is `RUNNING`, and then that its recorder has
//!   compiled five minutes. Only it can read and write. Another start of Home Assistant ends the
//!   connection, so it also ends a `Running`.
//! - The time is Home Assistant's: the time at which it fired that event. An hour counts as
//!   compiled if an event was fired a minute after its end. So no estimated time can make it so.
//! - Nothing is written in the first minute of an hour, nor if the last event is older than six
//!   minutes, nor if the state is no longer `RUNNING`.
//! - The clocks of both machines must agree, because readings are compared by time.
//! - A [`Series`] can only be read with [`Metadata`], and has only hours that are compiled. An
//!   [`Import`] can only be planned from a `Series`.
//! - The unit of the statistics is checked (`Metadata::check`), and values are read in it, also
//!   if the user has chosen another unit for display.
//! - Home Assistant confirms an import before it has written it. So the rows are read back.
//! - Sums are adjusted only by an [`Adjustment`], which is computed from rows that were read. They
//!   are read again just before. It is sent once: if nobody knows whether it arrived, the next run
//!   computes it again (`before`).
//!
//! [`Adjustment`]: statistics::Adjustment
//!
//! `Command` has every message that can be sent. None of them deletes anything.
//!
//! Numbers are decimals from text to text. The token is in no error and no output of `Debug`.
//! (The library of the WebSocket logs frames at TRACE to the crate `log`, for which the program has
//! no receiver.)

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod before;
mod command;
mod connected;
mod error;
mod fill;
mod journal;
mod metadata;
mod notes;
mod number;
mod running;
mod socket;
#[cfg(test)]
mod tests;

pub use self::before::{Prepended, Raised, prepend};
pub use self::connected::{Connected, Server, Token};
pub use self::error::Error;
pub use self::fill::{Outcome, fill, undo};
pub use self::journal::{Entered, JournalError, JournalFile};
pub use self::metadata::{Metadata, Unsuitable};
pub use self::notes::{Journal, Kept, Noted};
pub use self::running::{Entity, Running};
pub use statistics::{
    Changed, Counter, Hour, Import, Joint, Left, Proof, Reason, Refusal, Row, Series,
};
