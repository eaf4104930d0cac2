//! The system's log or a log server.

use std::io;

use super::worker::Sink;
use crate::program::Program;
use crate::queue::WAITING;
use crate::record::Record;
use crate::settings::SyslogSettings;
use crate::syslog::{Address, Client};

#[derive(Debug)]
pub(crate) struct SyslogSink {
    program: Program,
    client: Client,
    settings: SyslogSettings,
    process: u32,
}

impl SyslogSink {
    pub(crate) fn new(program: Program, settings: SyslogSettings) -> Self {
        let SyslogSettings { address, facility, format, .. } = &settings;
        let client = Client::new(program.name, address.clone(), *facility, format.is_some());
        Self { program, client, settings, process: std::process::id() }
    }
}

impl Sink for SyslogSink {
    type Settings = SyslogSettings;

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let SyslogSettings { format, date, .. } = &self.settings;
        let text = match format {
            Some(format) => format.write(record, date.as_ref(), self.process),
            None => record.message(),
        };
        self.client.send(record, &text)
    }

    fn change(&mut self, settings: SyslogSettings) {
        if settings != self.settings {
            *self = Self::new(self.program, settings);
        }
    }

    fn failure(&self, error: &io::Error) -> String {
        if error.kind() == io::ErrorKind::NotFound
            && let Address::Unix(path) | Address::UnixFull(path) = &self.settings.address
        {
            return format!(
                "This system has no log ({} does not exist): {}. Up to {WAITING} lines wait for \
                 it; this is logged only once.",
                path.display(),
                self.program.hints.no_syslog,
            );
        }
        let what = match error.kind() {
            // The buffer of the server's socket or of the network is full.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "it accepts no lines at the moment".to_owned()
            }
            _ => error.to_string(),
        };
        format!(
            "The log server {} cannot be reached: {what}. {}. Up to {WAITING} lines wait for it; \
             this is logged only once.",
            self.settings.address, self.program.hints.log_server,
        )
    }

    fn recovery(&self) -> String {
        format!("The log server {} accepts lines now.", self.settings.address)
    }
}
