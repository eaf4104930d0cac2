//! The environment of the process.

use std::ffi::OsString;

use crate::config::Variables;

/// The variables whose names are text.
pub(super) fn variables() -> Variables {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
    std::env::vars_os().filter_map(text).collect()
}
