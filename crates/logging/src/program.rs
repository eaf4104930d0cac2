//! The program whose log this is, described by values that it passes in.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;

/// The program whose log this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The name of the program in the log.
    pub name: &'static str,
    /// The crates of the program, each with the module that lines show for it.
    pub crates: &'static [(&'static str, &'static str)],
    /// What users can do if a destination fails.
    pub hints: Hints,
}

/// What users can do if a destination fails. The texts come from the program because they name its
/// settings. They have no full stop at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// This user is not allowed to write the log file.
    pub file_forbidden: &'static str,
    /// The path of the log file cannot be that of a file.
    pub file_path: &'static str,
    /// This system has no log. The text continues a sentence, after a colon.
    pub no_syslog: &'static str,
    /// The log server cannot be reached.
    pub log_server: &'static str,
    /// The system refuses a thread for a destination.
    pub no_thread: &'static str,
}

impl Hints {
    /// Adds the hint to the system's error if it refuses the thread of a destination.
    pub(crate) fn for_thread(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("cannot start a thread: {error}. {}", self.no_thread))
    }

    /// The hint for an error of the log file.
    #[must_use]
    pub fn for_file(&self, error: &io::Error) -> &'static str {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "Free some space on that disk"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                self.file_forbidden
            }
            _ => self.file_path,
        }
    }
}

impl Program {
    /// Passes the program's own events of this level and more severe ones.
    pub(crate) fn targets(self, level: Level) -> Targets {
        self.crates.iter().fold(Targets::new(), |all, (name, _)| all.with_target(*name, level))
    }

    /// The name of a module, as if all crates of the program were one.
    pub(crate) fn module(self, target: &str) -> String {
        let (name, rest) = target.split_once("::").unwrap_or((target, ""));
        let known = self.crates.iter().find(|(known, _)| *known == name);
        let module = known.map_or(name, |(_, module)| module);
        if rest.is_empty() { module.to_owned() } else { format!("{module}::{rest}") }
    }
}
