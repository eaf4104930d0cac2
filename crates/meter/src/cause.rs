//! Classifies the system's errors. No other module compares their kinds or messages.

use std::io::{self, ErrorKind};

use crate::RunsAs;

/// What the user can do if a resource runs out. Nobody can change the limits of an app.
#[must_use]
pub const fn shortage_hint(runs_as: RunsAs) -> &'static str {
    match runs_as {
        RunsAs::Program => {
            "Raise the limits of the program: open files (`ulimit -n`, `LimitNOFILE=`), processes \
             (`ulimit -u`, `TasksMax=`) and memory."
        }
        RunsAs::AddOn => {
            "Restart the machine that runs Home Assistant. If it happens again, report it with the \
             app's log."
        }
    }
}

/// Why the system rejected an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The machine is out of files, threads or memory.
    Shortage,
    /// The file or device does not exist.
    Missing,
    /// This user has no permission.
    Denied,
    /// No space is left on the disk, or for this user.
    Full,
    /// The disk can only be read.
    ReadOnly,
    /// Another program uses it.
    Busy,
    /// No program listens there.
    Refused,
    /// The connection was reset.
    Ended,
    /// The connection broke.
    Broken,
    /// The address does not answer.
    Unreachable,
    /// The name has no address.
    NoAddress,
    /// No name server answers.
    NotLookedUp,
    /// Another program listens there.
    AddressInUse,
    /// The address belongs to another machine.
    AddressElsewhere,
    /// Another error, with the system's message.
    Other(String),
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        if let Some(cause) = Self::of_lookup(error) {
            return cause;
        }
        match error.kind() {
            _ if is_shortage(error) => Self::Shortage,
            ErrorKind::NotFound => Self::Missing,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::ResourceBusy | ErrorKind::WouldBlock => Self::Busy,
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Self::Ended,
            ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Broken,
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Self::Unreachable
            }
            ErrorKind::AddrInUse => Self::AddressInUse,
            ErrorKind::AddrNotAvailable => Self::AddressElsewhere,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl Cause {
    /// The cause of a failed lookup. It has no error kind, so this compares messages: Rust's own,
    /// and those of glibc and musl for `EAI_AGAIN`.
    fn of_lookup(error: &io::Error) -> Option<Self> {
        const NO_SERVER: [&str; 2] = ["Temporary failure in name resolution", "Try again"];
        let words = error.to_string();
        if NO_SERVER.iter().any(|end| words.ends_with(end)) {
            return Some(Self::NotLookedUp);
        }
        words.contains("lookup").then_some(Self::NoAddress)
    }
}

/// Says why a file cannot be read or written.
#[must_use]
pub fn of_file(error: &io::Error) -> String {
    match Cause::from(error) {
        Cause::Missing => "there is no such file".to_owned(),
        Cause::Denied => "permission denied".to_owned(),
        Cause::Full => "no space is left on the disk".to_owned(),
        Cause::ReadOnly => "the disk is read-only".to_owned(),
        _ => error.to_string(),
    }
}

/// Says why a connection failed.
#[must_use]
pub fn of_connection(error: &io::Error) -> String {
    match Cause::from(error) {
        Cause::Refused => "the connection was refused".to_owned(),
        Cause::NoAddress => "the host was not found".to_owned(),
        Cause::NotLookedUp => "no name server answered".to_owned(),
        Cause::Broken | Cause::Ended => "the other end is gone".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether an operation failed because a resource has run out.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    /// Linux error numbers: no memory; too many files in the system, in the process; no buffers.
    const NUMBERS: [i32; 4] = [12, 23, 24, 105];

    error.raw_os_error().is_some_and(|number| NUMBERS.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_distinguished_from_other_errors() {
        for (number, is) in [(24, true), (23, true), (12, true), (105, true), (2, false)] {
            assert_eq!(is_shortage(&io::Error::from_raw_os_error(number)), is, "{number}");
        }
        assert!(!is_shortage(&io::Error::other("Too many open files")));
    }

    #[test]
    fn messages_of_name_lookups_are_classified() {
        for (words, expected) in [
            (
                "failed to lookup address information: Temporary failure in name resolution",
                Cause::NotLookedUp,
            ),
            ("failed to lookup address information: Try again", Cause::NotLookedUp),
            ("failed to lookup address information: Name or service not known", Cause::NoAddress),
            ("Connection reset by peer", Cause::Other("Connection reset by peer".to_owned())),
        ] {
            assert_eq!(Cause::from(&io::Error::other(words)), expected, "{words}");
        }
    }

    #[test]
    fn errors_of_files_and_connections_in_words() {
        let of = |kind: ErrorKind| io::Error::from(kind);
        assert_eq!(of_file(&of(ErrorKind::NotFound)), "there is no such file");
        assert_eq!(of_file(&of(ErrorKind::PermissionDenied)), "permission denied");
        for full in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert_eq!(of_file(&of(full)), "no space is left on the disk");
        }
        assert_eq!(of_file(&of(ErrorKind::ReadOnlyFilesystem)), "the disk is read-only");
        assert_eq!(of_connection(&of(ErrorKind::ConnectionRefused)), "the connection was refused");
        assert_eq!(of_connection(&of(ErrorKind::UnexpectedEof)), "the other end is gone");
        assert_eq!(of_connection(&of(ErrorKind::ConnectionReset)), "the other end is gone");
        assert_eq!(of_file(&of(ErrorKind::TimedOut)), of_connection(&of(ErrorKind::TimedOut)));
    }
}
