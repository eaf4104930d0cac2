//! The program whose log this is, as this crate knows it: by values that it hands in.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;

/// The program whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its name in the log.
    pub name: &'static str,
    /// Its crates, each with the module that it counts as in lines that name modules.
    pub crates: &'static [(&'static str, &'static str)],
    /// What its users can do where a destination fails.
    pub hints: Hints,
}

/// What users can do where a destination fails, in the words of the program, whose settings they
/// name. None has a full stop at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// This user may not write the log file.
    pub file_forbidden: &'static str,
    /// There cannot be a file at the path of the log file.
    pub file_path: &'static str,
    /// This system has no log. It continues a sentence, after a colon.
    pub no_syslog: &'static str,
    /// The log server cannot be reached.
    pub log_server: &'static str,
    /// The system gives no thread for a destination.
    pub no_thread: &'static str,
}

impl Hints {
    /// The system's error, as it refuses the thread of a destination.
    pub(crate) fn for_thread(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("cannot start a thread: {error}. {}", self.no_thread))
    }

    /// The hint for an error of the log file.
    #[must_use]
    pub fn for_file(&self, error: &io::Error) -> &'static str {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room on that disk",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                self.file_forbidden
            }
            _ => self.file_path,
        }
    }
}

impl Program {
    /// Lets the program's own events pass, from a level on.
    pub(crate) fn targets(self, level: Level) -> Targets {
        self.crates.iter().fold(Targets::new(), |all, (name, _)| all.with_target(*name, level))
    }

    /// A module of one of its crates, as if all of them were one.
    pub(crate) fn module(self, target: &str) -> String {
        let (name, rest) = target.split_once("::").unwrap_or((target, ""));
        let known = self.crates.iter().find(|(known, _)| *known == name);
        let module = known.map_or(name, |(_, module)| module);
        if rest.is_empty() { module.to_owned() } else { format!("{module}::{rest}") }
    }
}
