//! Errors on the command line that clap cannot detect.

use thiserror::Error;

/// Options or values that this program rejects. The exit code is 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);
