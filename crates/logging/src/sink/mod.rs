//! The kinds of destinations.

mod file;
mod stdout;
mod syslog;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use self::file::FileSink;
pub(crate) use self::stdout::StdoutSink;
pub(crate) use self::syslog::SyslogSink;
pub(crate) use self::worker::{start, start_on};
