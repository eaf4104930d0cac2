//! Why a log cannot be started or changed.

use std::io;

use thiserror::Error;
use tracing_subscriber::reload;
use tracing_subscriber::util::TryInitError;

/// Why a log cannot be started or changed. The source of the error is the system's reason.
#[derive(Debug, Error)]
pub enum LogError {
    /// The thread of a destination cannot be started.
    #[error("cannot start the log")]
    Start(#[source] io::Error),
    /// This process already has a log.
    #[error("this process already has a log")]
    Taken(#[source] TryInitError),
    /// The log has ended, so its level cannot be changed.
    #[error("cannot change the level of the log")]
    Level(#[source] reload::Error),
    /// The thread of a new destination cannot be started.
    #[error("cannot change the log")]
    Change(#[source] io::Error),
}
