//! What is logged, and where it goes.

use tracing::Level;

use crate::date::DateFormat;
use crate::format::Format;
use crate::line_format::LineFormat;
use crate::log_file::RotatingFile;
use crate::syslog::{Address, Facility};

/// What is logged, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The least severe level that is logged.
    pub level: Level,
    /// The lines on standard output. Without it only errors of the other destinations go there.
    pub stdout: Option<LineFormat>,
    /// A log file, if any.
    pub file: Option<FileSettings>,
    /// The system's log or a log server, if any.
    pub syslog: Option<SyslogSettings>,
}

impl Settings {
    /// Everything from a level on, on standard output.
    #[must_use]
    pub fn to_stdout(level: Level) -> Self {
        Self { level, stdout: Some(LineFormat::default()), file: None, syslog: None }
    }
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Its path, and when the next file begins.
    pub file: RotatingFile,
    /// The format of its lines.
    pub line_format: LineFormat,
}

/// The system's log or a log server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Its address.
    pub address: Address,
    /// The facility that lines are filed under.
    pub facility: Facility,
    /// The format of lines; without it they are the message alone.
    pub format: Option<Format>,
    /// The format of times in it.
    pub date: Option<DateFormat>,
}
