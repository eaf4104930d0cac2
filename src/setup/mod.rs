//! Setting the program up without a configuration.
//!
//! A [`Setup`] is a [`draft::Draft`] of the file, and what was tried for it: the optical head, the
//! broker, the meter's values. It ends when the file is written, or when somebody else has written
//! one. Each visitor's right to change it is checked by `web::setup`, which renders it. This module
//! does not know HTTP.

mod document;
mod draft;
mod state;
mod target;
mod trial;

pub(crate) use self::draft::{Field, Step, TypedBroker};
pub(crate) use self::state::{Setup, View};
pub(crate) use self::target::{Target, WriteError};
pub(crate) use self::trial::{FoundValue, Search};
