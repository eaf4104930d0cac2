//! The settings of a log: levels, destinations and formats.

use tracing::Level;

use crate::date::DateFormat;
use crate::format::Format;
use crate::line_format::LineFormat;
use crate::log_file::RotatingFile;
use crate::syslog::{Address, Facility};

/// The settings of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The least severe level that is logged.
    pub level: Level,
    /// The format of lines on standard output. Without it, only errors of the other destinations
    /// are written there.
    pub stdout: Option<LineFormat>,
    /// A log file, if any.
    pub file: Option<FileSettings>,
    /// The system's log or a log server, if any.
    pub syslog: Option<SyslogSettings>,
}

impl Settings {
    /// Logs to standard output: events of this level and more severe ones.
    #[must_use]
    pub fn to_stdout(level: Level) -> Self {
        Self { level, stdout: Some(LineFormat::default()), file: None, syslog: None }
    }
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The path, and when a new file begins.
    pub file: RotatingFile,
    /// The format of lines.
    pub line_format: LineFormat,
}

/// The system's log or a log server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The address of the log.
    pub address: Address,
    /// The facility that lines are filed under.
    pub facility: Facility,
    /// The format of lines. Without it, a line is only the message.
    pub format: Option<Format>,
    /// The format of times in lines.
    pub date: Option<DateFormat>,
}
