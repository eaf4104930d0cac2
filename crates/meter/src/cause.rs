//! Why the system refuses something: the one place that knows its kinds of errors.

use std::io::{self, ErrorKind};

/// What to do where something runs out while the program is running.
pub const SHORTAGE_HINT: &str = "Raise the limits of the program: open files (`ulimit -n`, `LimitNOFILE=`), \
                        processes (`ulimit -u`, `TasksMax=`) and memory.";

/// Why the system refuses something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The machine has no more of what that needs: files, threads, memory.
    Shortage,
    /// There is no such file or device.
    Missing,
    /// This user may not.
    Denied,
    /// Another program is at it.
    Busy,
    /// Nobody listens there.
    Refused,
    /// The connection was ended before it was of use.
    Ended,
    /// The connection broke.
    Broken,
    /// Nobody answers at this address.
    Unreachable,
    /// The name has no address.
    NoAddress,
    /// Nobody says just now which address the name has.
    NotLookedUp,
    /// Another program listens there.
    AddressInUse,
    /// This machine does not have this address.
    AddressElsewhere,
    /// Anything else, in the system's words.
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
    /// Of a name that was looked up. Only words tell: those of the library, and for the name servers
    /// (`EAI_AGAIN`) those of glibc and musl.
    fn of_lookup(error: &io::Error) -> Option<Self> {
        const NO_SERVER: [&str; 2] = ["Temporary failure in name resolution", "Try again"];
        let words = error.to_string();
        if NO_SERVER.iter().any(|end| words.ends_with(end)) {
            return Some(Self::NotLookedUp);
        }
        words.contains("lookup").then_some(Self::NoAddress)
    }
}

/// What `error` means where a file is read.
#[must_use]
pub fn of_file(error: &io::Error) -> String {
    match Cause::from(error) {
        Cause::Missing => "there is no such file".to_owned(),
        Cause::Denied => "this user may not read it".to_owned(),
        _ => error.to_string(),
    }
}

/// What `error` means where a connection is made.
#[must_use]
pub fn of_connection(error: &io::Error) -> String {
    match Cause::from(error) {
        Cause::Refused => "the connection was refused".to_owned(),
        Cause::NoAddress | Cause::NotLookedUp => "its name has no address".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether this says that the machine has no more of something, rather than what it was asked for.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    /// Numbers of Linux: no memory; too many files in the system, in the process; no buffers.
    const NUMBERS: [i32; 4] = [12, 23, 24, 105];

    error.raw_os_error().is_some_and(|number| NUMBERS.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_from_other_errors() {
        for (number, is) in [(24, true), (23, true), (12, true), (105, true), (2, false)] {
            assert_eq!(is_shortage(&io::Error::from_raw_os_error(number)), is, "{number}");
        }
        assert!(!is_shortage(&io::Error::other("Too many open files")));
    }

    #[test]
    fn what_the_system_says_of_a_name() {
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
    fn a_file_and_a_connection_have_words_of_their_own() {
        let of = |kind: ErrorKind| io::Error::from(kind);
        assert_eq!(of_file(&of(ErrorKind::NotFound)), "there is no such file");
        assert_eq!(of_file(&of(ErrorKind::PermissionDenied)), "this user may not read it");
        assert_eq!(of_connection(&of(ErrorKind::ConnectionRefused)), "the connection was refused");
        assert_eq!(of_file(&of(ErrorKind::TimedOut)), of_connection(&of(ErrorKind::TimedOut)));
    }
}
