//! Why a port cannot be opened, and what to do about it.

use std::io;

use thiserror::Error;

use super::endpoint::PortKind;
use super::esphome::NodeError;
use crate::RunsAs;
use crate::cause::{self, Cause};

/// Why a port cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The device does not exist.
    #[error("it does not exist")]
    Missing,
    /// The path leads to something else.
    #[error("it is not a serial port")]
    NotSerial,
    /// The permissions of the device exclude this user.
    #[error("permission denied")]
    Denied,
    /// This machine does not allow a connection to the serial server.
    #[error("this machine does not allow the connection")]
    Blocked,
    /// Another program uses the device.
    #[error("another program is using it")]
    Busy,
    /// The name has no address.
    #[error("the host `{host}` was not found")]
    HostNotFound {
        /// The name.
        host: String,
    },
    /// No name server answers.
    #[error("no name server answered for the host `{host}`")]
    NotLookedUp {
        /// The name.
        host: String,
    },
    /// No program accepts connections at this port.
    #[error("the connection was refused")]
    Refused,
    /// The host does not answer, or no route leads to it.
    #[error("no answer from this address")]
    NoConnection,
    /// The serial server accepted the connection and closed it immediately.
    #[error("the serial server closed the connection immediately{}", quoted(said))]
    Unwanted {
        /// The text that it sent, or an empty string.
        said: String,
    },
    /// A web server answered.
    #[error("a web server answered, not a serial server")]
    WebPage,
    /// The connection was closed immediately, and the port is the usual one of an MQTT broker.
    #[error("the connection was closed immediately, and the port is that of an MQTT broker")]
    Broker,
    /// The ESPHome node does not give its serial port.
    #[error("{0}")]
    Node(#[from] NodeError),
    /// The system has no more open files or memory for this program.
    #[error("the system allows no more open files or memory ({reason})")]
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

/// ``, with the message `Port already in use` ``
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", with the message `{said}`") }
}

impl OpenError {
    /// The error of a connection to a serial server. It has no cause that only a device can have.
    pub(super) fn of_connection(error: &io::Error) -> Self {
        match Self::from_io(error) {
            Self::Denied => Self::Blocked,
            Self::Missing | Self::Busy => Self::Other { reason: error.to_string() },
            error => error,
        }
    }

    /// The error of a device. It has no cause that only a serial server can have.
    pub(super) fn of_device(error: &io::Error) -> Self {
        match Self::from_io(error) {
            Self::Refused | Self::Unwanted { .. } | Self::NoConnection => {
                Self::Other { reason: error.to_string() }
            }
            error => error,
        }
    }

    fn from_io(error: &io::Error) -> Self {
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

    /// What the user can do about it at a port of this kind.
    #[must_use]
    pub fn hint(&self, runs_as: RunsAs, kind: PortKind) -> &'static str {
        let of_node = if kind == PortKind::Node { self.hint_of_node() } else { None };
        if let Some(hint) = of_node {
            return hint;
        }
        match (self, runs_as) {
            (Self::Node(error), runs_as) => error.hint(runs_as),
            (Self::Missing, RunsAs::AddOn) => {
                "Check that the optical head is plugged in; reading then resumes automatically. If it is \
                 plugged in, its path may have changed: choose it again under \"Optical head\" in \
                 the options."
            }
            (Self::NotSerial, RunsAs::AddOn) => {
                "Choose the optical head from the list under \"Optical head\" in the options."
            }
            (Self::Denied, RunsAs::AddOn) => {
                "The app is allowed to use every serial port, so this is another kind of device. \
                 Choose the optical head from the list under \"Optical head\" in the options."
            }
            (Self::Missing, RunsAs::Program) => {
                "Check that the optical head is plugged in, and compare the path with \
                 `ls -l /dev/serial/by-id/`. A container also needs `--device` to see it."
            }
            (Self::NotSerial, RunsAs::Program) => {
                "Check the path. `ls -l /dev/serial/by-id/` lists the serial ports."
            }
            (Self::Denied, RunsAs::Program) => {
                "Add the user that runs this program to the group that owns the device, then log in \
                 again. The command is usually `sudo usermod -aG dialout USER`. A container also \
                 needs `--device`."
            }
            (Self::Blocked, _) => {
                "Check the address of the serial server, and the firewall of this machine."
            }
            (Self::Busy, _) => {
                "Only one program can use a port. Stop the other program, or give it another port."
            }
            (Self::HostNotFound { .. }, _) => {
                "Check the name, or use the IP address of the serial server."
            }
            (Self::NotLookedUp { .. }, _) => {
                "Check the network and the router. Or use the IP address of the serial server, like \
                 192.168.1.50, instead of its name."
            }
            (Self::Refused, _) => {
                "Check the port number. Check that the serial server is in TCP server mode and that no \
                 other program is connected to it."
            }
            (Self::NoConnection, _) => {
                "Check the power, the network and the address of the serial server."
            }
            (Self::Unwanted { .. }, _) => {
                "Most serial servers serve one program at a time. Stop the other program that reads \
                 the meter. If there is none, restart the serial server, because it may still hold \
                 an old connection. Also check the port number: another kind of server, such as an \
                 MQTT broker, also closes the connection."
            }
            (Self::WebPage, _) => {
                "Use the port that the serial server provides for the serial line. Its web page or its \
                 manual shows the number."
            }
            (Self::Broker, _) => {
                "Use the address of the serial server and the port that it provides for the serial \
                 line. Its web page or its manual shows the number."
            }
            (Self::Shortage { .. }, runs_as) => cause::shortage_hint(runs_as),
            (Self::Other { .. }, _) if kind.is_remote() => {
                "Check the address of the serial server. If it is right, restart the serial server."
            }
            (Self::Other { .. }, _) => {
                "Unplug the adapter of this port, then plug it in again. If that does not help, check \
                 that this is the right port."
            }
        }
    }

    /// The same at an ESPHome node, if it differs from that at a serial server.
    fn hint_of_node(&self) -> Option<&'static str> {
        Some(match self {
            Self::Blocked => {
                "Check the address of the ESPHome node, and the firewall of this machine."
            }
            Self::HostNotFound { .. } => {
                "Check the name, or use the IP address of the ESPHome node."
            }
            Self::NotLookedUp { .. } => {
                "Check the network and the router. Or use the IP address of the ESPHome node, like \
                 192.168.1.50, instead of its name."
            }
            Self::Refused => {
                "The node may be restarting. If not, check the address and the port number, which is \
                 usually 6053, and that the node's YAML contains `api:`."
            }
            Self::NoConnection => {
                "Check the power, the network and the address of the ESPHome node."
            }
            Self::Other { .. } => {
                "Check the address of the ESPHome node. If it is right, restart the node."
            }
            _ => return None,
        })
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
                Self::of_device(&io::Error::new(kind, error.description))
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

    /// A user of the app cannot change limits. In backticks, hints may name only what is in the YAML
    /// or the address of a node.
    #[test]
    fn no_hint_for_the_app_names_a_command() {
        let of_nodes = ["api:", "encryption:", "serial_proxy:", "serial_proxy", "port="];
        let reason = "Too many open files (os error 24)".to_owned();
        let said = || "x".to_owned();
        let all = [
            OpenError::Missing,
            OpenError::NotSerial,
            OpenError::Denied,
            OpenError::Busy,
            OpenError::HostNotFound { host: said() },
            OpenError::NotLookedUp { host: said() },
            OpenError::Refused,
            OpenError::NoConnection,
            OpenError::Unwanted { said: said() },
            OpenError::WebPage,
            OpenError::Broker,
            OpenError::Shortage { reason },
            OpenError::Other { reason: said() },
        ];
        let nodes = NodeError::each().map(OpenError::from);
        for error in all.into_iter().chain(nodes) {
            for kind in [PortKind::Device, PortKind::Server, PortKind::Node] {
                let hint = error.hint(RunsAs::AddOn, kind);
                let mut quoted = hint.split('`').skip(1).step_by(2);
                assert!(quoted.all(|text| of_nodes.contains(&text)), "{hint}");
                assert!(!hint.contains("limit"), "{hint}");
            }
        }
    }

    #[test]
    fn the_messages_of_the_system_are_classified() {
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
