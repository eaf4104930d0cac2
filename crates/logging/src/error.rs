//! Why a log cannot be started or changed.

use std::io;

use thiserror::Error;
use tracing_subscriber::reload;
use tracing_subscriber::util::TryInitError;

/// Why a log cannot be started or changed. The reason of the system is the error's source.
#[derive(Debug, Error)]
pub enum LogError {
    /// No thread can be started for one of the destinations.
    #[error("the log cannot be started")]
    Start(#[source] io::Error),
    /// This process has a log already.
    #[error("the log is taken")]
    Taken(#[source] TryInitError),
    /// The level cannot be changed any more.
    #[error("the level cannot be changed")]
    Level(#[source] reload::Error),
    /// No thread can be started for a new destination.
    #[error("the log cannot be changed")]
    Change(#[source] io::Error),
}
