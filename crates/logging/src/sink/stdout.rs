//! Standard output. It has a thread too, because a pipe that nobody reads blocks.

use std::io::{self, IsTerminal, Write};

use super::worker::Sink;
use crate::line_format::LineFormat;
use crate::record::Record;

#[derive(Debug)]
pub(crate) struct StdoutSink {
    format: LineFormat,
    colours: bool,
    process: u32,
}

impl StdoutSink {
    /// Uses colours on a terminal, unless the user has disabled them (no-color.org).
    pub(crate) fn new(format: LineFormat) -> Self {
        let is_disabled = |name, value: &str| {
            std::env::var_os(name)
                .is_some_and(|found| !found.is_empty() && (value.is_empty() || found == value))
        };
        let colours = io::stdout().is_terminal()
            && !is_disabled("NO_COLOR", "")
            && !is_disabled("TERM", "dumb");
        Self { format, colours, process: std::process::id() }
    }
}

impl Sink for StdoutSink {
    type Settings = LineFormat;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let line = self.format.line(record, self.process, self.colours);
        let mut stdout = io::stdout().lock();
        // A user who closes standard output does not want these lines.
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        Ok(())
    }

    fn change(&mut self, format: LineFormat) {
        self.format = format;
    }

    fn failure(&self, error: &io::Error) -> String {
        format!("Standard output cannot be written: {error}.")
    }

    fn recovery(&self) -> String {
        "Standard output can be written now.".to_owned()
    }
}
