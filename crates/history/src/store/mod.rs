//! The database: its tables, what is written, what is read.
//!
//! A poll is one transaction, with the hour and the day that it ends. Values are texts, so that no
//! digit changes. Rows of one time are neighbours (`time, series`): a poll changes one page of the
//! file instead of one page for each of its values.

mod fold;
mod location;
mod rows;
mod schema;
mod view;
mod write;

pub(crate) use self::location::Location;
pub(crate) use self::rows::Table;
pub(crate) use self::view::View;
pub(crate) use self::write::{Predecessor, Store};
