//! Mistakes on the command line that clap cannot know.

use thiserror::Error;

/// Options that contradict each other, in a way that only this program knows.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);
