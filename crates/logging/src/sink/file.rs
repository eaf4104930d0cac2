//! A log file.

use std::io;

use super::worker::Sink;
use crate::log_file::LogFile;
use crate::program::Program;
use crate::record::Record;
use crate::settings::FileSettings;

#[derive(Debug)]
pub(crate) struct FileSink {
    program: Program,
    file: LogFile,
    settings: FileSettings,
    process: u32,
}

impl FileSink {
    pub(crate) fn new(program: Program, settings: FileSettings) -> Self {
        let file = LogFile::new(settings.file.clone());
        Self { program, file, settings, process: std::process::id() }
    }
}

impl Sink for FileSink {
    type Settings = FileSettings;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let line = self.settings.line_format.line(record, self.process, false);
        self.file.write(&record.time, &line)
    }

    /// The file is always reopened, because it may have been moved.
    fn change(&mut self, settings: FileSettings) {
        if settings.file == self.settings.file {
            self.file.reopen();
        } else {
            self.file = LogFile::new(settings.file.clone());
        }
        self.settings = settings;
    }

    fn failure(&self, error: &io::Error) -> String {
        format!(
            "The log file {}. {}. Retrying until it works; this is logged only once.",
            self.settings.file.failure(error),
            self.program.hints.for_file(error),
        )
    }

    fn recovery(&self) -> String {
        format!("The log file {} can be written now.", self.settings.file.path().display())
    }
}
