//! Why statistics cannot be read or written.

use std::time::Duration;

use jiff::SignedDuration;
use thiserror::Error;

/// Why statistics cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The token is not valid.
    #[error("Home Assistant does not accept the token")]
    Token,
    /// The user of the token is not an administrator.
    #[error("the token does not belong to an administrator")]
    NoAdministrator,
    /// Home Assistant is starting or stopping.
    #[error("Home Assistant is not running yet, or is stopping: its state is `{0}`")]
    NotRunning(String),
    /// The recorder fired no event.
    #[error("Home Assistant has compiled no statistics for {} min", .0.as_secs() / 60)]
    NothingCompiled(Duration),
    /// The clocks differ.
    #[error("the clock of Home Assistant differs by {} s from the clock here", .0.as_secs())]
    Clock(SignedDuration),
    /// The Supervisor or a proxy answered, but not Home Assistant.
    #[error(
        "Home Assistant is starting, restarting or stopped: what is in front of it answers with \
         the status {0}"
    )]
    Away(u16),
    /// Home Assistant closed the connection.
    #[error("Home Assistant has closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection to Home Assistant failed: {0}")]
    Broken(String),
    /// No answer came in time.
    #[error("Home Assistant has not answered `{command}` within {} s", .after.as_secs())]
    Slow {
        /// The command.
        command: &'static str,
        /// The time.
        after: Duration,
    },
    /// Home Assistant refused a command.
    #[error("Home Assistant refused `{command}`: {code}")]
    Refused {
        /// The command.
        command: &'static str,
        /// Its code of the error.
        code: String,
    },
    /// An answer is not as documented.
    #[error("the answer of Home Assistant to `{0}` is not as expected")]
    Unexpected(&'static str),
    /// The rows were confirmed, but did not appear.
    #[error("Home Assistant has not written the rows within {} s", .0.as_secs())]
    NotWritten(Duration),
    /// Between the plan and the adjustment, a row has changed.
    #[error("the sums in Home Assistant have changed meanwhile, so they were not adjusted")]
    Moved,
    /// The adjustment was confirmed, but did not appear.
    #[error("Home Assistant has not adjusted the sums within {} s", .0.as_secs())]
    NotAdjusted(Duration),
    /// Too many rows for one call.
    #[error("the gap has {0} hours, too many to be written in one call")]
    TooMany(usize),
    /// What is needed for an undo cannot be stored, so nothing was written.
    #[error("cannot store what would be overwritten: {0}")]
    Journal(String),
}
