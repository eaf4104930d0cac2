//! The database: its tables, writing and reading.
//!
//! A poll is written in one transaction. The summaries of hours and days are written in steps
//! (`fold`). Values are stored as text, so that no digit changes. Rows of the same time are
//! neighbours (`time, series`), so a poll changes one page of the file, not one page for each
//! value.

mod fold;
mod hold;
mod location;
mod rows;
mod schema;
mod usage;
mod view;
mod write;

pub use self::hold::{HoldError, hold, release};
pub(crate) use self::location::Location;
pub(crate) use self::rows::Table;
pub(crate) use self::view::View;
pub(crate) use self::write::{Predecessor, Store, Written};
