//! Why a port cannot be opened, and what to do about it.

use std::io;

use thiserror::Error;

use crate::RunsAs;
use crate::cause::{self, Cause};

/// Why a port cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The device does not exist.
    #[error("it does not exist")]
    Missing,
    /// The path is not a serial port.
    #[error("it is not a serial port")]
    NotSerial,
    /// This user has no permission.
    #[error("this user may not use it")]
    Denied,
    /// Another program uses the device.
    #[error("another program is using it")]
    Busy,
    /// The name has no address.
    #[error("the host `{host}` is not known")]
    HostNotFound {
        /// The name.
        host: String,
    },
    /// No name server answers.
    #[error("the host `{host}` cannot be looked up: no name server answers")]
    NotLookedUp {
        /// The name.
        host: String,
    },
    /// The connection was refused.
    #[error("the connection was refused")]
    Refused,
    /// The host does not answer.
    #[error("nobody answers at this address")]
    NoConnection,
    /// The serial server accepted the connection and closed it at once.
    #[error("the serial server ended the connection at once{}", quoted(said))]
    Unwanted {
        /// The text that it sent, or an empty string.
        said: String,
    },
    /// A web server answered.
    #[error("this is the port of a web page, not of the serial line")]
    WebPage,
    /// The connection was closed at once, and the port is the usual one of an MQTT broker.
    #[error(
        "the connection was ended at once: this looks like an MQTT broker, not like a serial server"
    )]
    Broker,
    /// This machine is out of files or memory.
    #[error("the system gives the program no more files or memory ({reason})")]
    Shortage {
        /// The system's error message.
        reason: String,
    },
    /// Anything else.
    #[error("{reason}")]
    Other {
        /// The system's error message.
        reason: String,
    },
}

/// ``, and said `Port already in use` ``
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", and said `{said}`") }
}

impl OpenError {
    pub(super) fn from_io(error: &io::Error) -> Self {
        match Cause::from(error) {
            Cause::Shortage => Self::Shortage { reason: error.to_string() },
            Cause::Missing => Self::Missing,
            Cause::Denied => Self::Denied,
            Cause::Busy => Self::Busy,
            Cause::Refused => Self::Refused,
            // The server closed it before the connection was reported as established.
            Cause::Ended => Self::Unwanted { said: String::new() },
            Cause::Unreachable => Self::NoConnection,
            _ => Self::Other { reason: error.to_string() },
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self, runs_as: RunsAs) -> &'static str {
        match (self, runs_as) {
            (Self::Missing, RunsAs::AddOn) => {
                "Check that the optical head is plugged in; it goes on by itself then. If it is, it \
                 has another path: choose the head from the list of `serial_port` in the options \
                 (\"Optical head\")."
            }
            (Self::NotSerial, RunsAs::AddOn) => {
                "Choose the optical head from the list of `serial_port` in the options (\"Optical \
                 head\")."
            }
            (Self::Denied, RunsAs::AddOn) => {
                "The add-on may use all serial ports, so this is another device: choose the optical \
                 head from the list of `serial_port` in the options (\"Optical head\")."
            }
            (Self::Missing, RunsAs::Program) => {
                "Check that the optical head is plugged in, and compare the path with \
                 `ls -l /dev/serial/by-id/`; a container sees only devices that it was given \
                 (`--device`)."
            }
            (Self::NotSerial, RunsAs::Program) => {
                "Check the path: `ls -l /dev/serial/by-id/` shows the serial ports."
            }
            (Self::Denied, RunsAs::Program) => {
                "Add the user that runs this program to the group that owns the device, mostly with \
                 `sudo usermod -aG dialout USER`, and log in again; a container must also be given \
                 the device (`--device`)."
            }
            (Self::Busy, _) => {
                "Stop the other program, or give it another port; only one can talk to the meter."
            }
            (Self::HostNotFound { .. }, _) => {
                "Check the name, or use the address of the serial server."
            }
            (Self::NotLookedUp { .. }, _) => {
                "Use the address of the serial server, like 192.168.1.50, in place of its name; or \
                 check the network, and that the router works."
            }
            (Self::Refused, _) => {
                "Check the port number, and that the serial server is set to TCP server mode and \
                 serves nobody else."
            }
            (Self::NoConnection, _) => {
                "Check that the serial server has power and network, and its address."
            }
            (Self::Unwanted { .. }, _) => {
                "Mostly it serves one program at a time and is already in use: stop the other \
                 program that reads the meter, or restart the serial server if it still holds an \
                 old connection. If nobody else uses it, check the port number: what is no serial \
                 server, such as an MQTT broker, ends the connection too."
            }
            (Self::WebPage | Self::Broker, _) => {
                "Use the port on which the serial server hands on the serial line; its own page or its \
                 manual says which."
            }
            (Self::Shortage { .. }, _) => cause::SHORTAGE_HINT,
            (Self::Other { .. }, _) => {
                "Unplug the head or the serial server, and plug it in again."
            }
        }
    }
}

impl From<tokio_serial::Error> for OpenError {
    fn from(error: tokio_serial::Error) -> Self {
        match error.kind {
            tokio_serial::ErrorKind::NoDevice => Self::Busy,
            // The library has no kinds for these: a container's devices are denied with EPERM, and
            // a device file may outlive its device.
            _ if error.description == "Operation not permitted" => Self::Denied,
            _ if error.description.starts_with("No such device") => Self::Missing,
            _ if error.description.starts_with("Too many open files")
                || error.description == "Out of memory" =>
            {
                Self::Shortage { reason: error.description }
            }
            // The system's message for a device that is not a terminal.
            _ if error.description.contains("typewriter")
                || error.description.contains("ioctl") =>
            {
                Self::NotSerial
            }
            tokio_serial::ErrorKind::Io(kind) => {
                Self::from_io(&io::Error::new(kind, error.description))
            }
            tokio_serial::ErrorKind::InvalidInput | tokio_serial::ErrorKind::Unknown => {
                Self::Other { reason: error.description }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_device() {
        let error = |description: &str| {
            let kind = tokio_serial::ErrorKind::Unknown;
            OpenError::from(tokio_serial::Error::new(kind, description))
        };
        assert_eq!(error("Operation not permitted"), OpenError::Denied);
        assert_eq!(error("No such device or address"), OpenError::Missing);
        assert_eq!(error("Not a typewriter"), OpenError::NotSerial);
        let reason = "Too many open files".to_owned();
        assert_eq!(error("Too many open files"), OpenError::Shortage { reason });
        assert_eq!(error("I/O error"), OpenError::Other { reason: "I/O error".to_owned() });
    }
}
