//! Why a node does not give its serial port, and what to do about it.

use thiserror::Error;

use crate::RunsAs;
use crate::shown::is_harmless;

/// Why a node does not give its serial port.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeError {
    /// The node encrypts its API, and no key is configured.
    #[error("the node encrypts its API, but no key is configured")]
    KeyMissing,
    /// The node rejects the key.
    #[error("the node has another key")]
    KeyWrong,
    /// A key is configured, but the node does not encrypt its API.
    #[error("a key is configured, but the node does not encrypt its API")]
    KeyUnneeded,
    /// The node's ESPHome is older than the component `serial_proxy`.
    #[error("its ESPHome {version} is too old: `serial_proxy` has existed since ESPHome 2026.3")]
    TooOld {
        /// The version of the node's ESPHome.
        version: String,
    },
    /// The node speaks another version of the API.
    #[error("the node speaks version {major} of the API, kamstrup2mqtt speaks version 1")]
    OtherApi {
        /// The major version.
        major: u32,
    },
    /// The node has no `serial_proxy`.
    #[error("the node has no `serial_proxy`")]
    NoSerialProxy,
    /// The node has fewer serial ports.
    #[error("the node has no serial port {instance}: {}", ports(*count))]
    NoSuchPort {
        /// The number that was asked for.
        instance: u32,
        /// How many ports the node has.
        count: usize,
    },
    /// Another client uses the serial port. Nodes before ESPHome 2026.9 do not say so.
    #[error("another program is using this serial port of the node")]
    PortInUse,
    /// The node refused the connection or its serial port for another reason.
    #[error("the node refused the connection{}", quoted(.said))]
    Refused {
        /// The text that it sent, or an empty string.
        said: String,
    },
    /// The connection was closed before the API answered.
    #[error("the connection was closed before the API answered")]
    Closed,
    /// The connection was accepted, but nothing was sent over it, or not enough.
    #[error("the connection was accepted, but the API did not answer")]
    Silent,
    /// Another kind of server answered.
    #[error("something answered that is not the API of ESPHome")]
    NotANode,
}

/// `it has only one, with the number 0` or `it has those from 0 to 1`
fn ports(count: usize) -> String {
    match count {
        1 => "it has only one, with the number 0".to_owned(),
        _ => format!("it has those from 0 to {}", count.saturating_sub(1)),
    }
}

/// ``, with the message `Operation failed` ``
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", with the message `{said}`") }
}

impl NodeError {
    /// What the user can do about it.
    pub(in crate::transport) fn hint(&self, runs_as: RunsAs) -> &'static str {
        match (self, runs_as) {
            (Self::KeyMissing, RunsAs::Program) => {
                "Copy the key from the node's YAML (under `api:`, `encryption:`) to \
                 `serial_device.key`."
            }
            (Self::KeyMissing, RunsAs::AddOn) => {
                "Copy the key from the node's YAML (under `api:`, `encryption:`) to \"Key of the \
                 ESPHome node\" in the options."
            }
            (Self::KeyWrong, RunsAs::Program) => {
                "Compare `serial_device.key` with the node's YAML (under `api:`, `encryption:`). If \
                 you changed the key there, install the node again: until then, it uses the old key."
            }
            (Self::KeyWrong, RunsAs::AddOn) => {
                "Compare \"Key of the ESPHome node\" in the options with the node's YAML (under \
                 `api:`, `encryption:`). If you changed the key there, install the node again: \
                 until then, it uses the old key."
            }
            (Self::KeyUnneeded, RunsAs::Program) => {
                "Remove `serial_device.key`. Or add `encryption:` with this key under `api:` in the \
                 node's YAML, and install it."
            }
            (Self::KeyUnneeded, RunsAs::AddOn) => {
                "Empty \"Key of the ESPHome node\" in the options. Or add `encryption:` with this \
                 key under `api:` in the node's YAML, and install it."
            }
            (Self::TooOld { .. }, _) => "Update ESPHome, then install the node's YAML again.",
            (Self::OtherApi { .. }, _) => {
                "Update the node or kamstrup2mqtt, whichever is older: both must have the same version \
                 of the API."
            }
            (Self::NoSerialProxy, _) => {
                "Add `serial_proxy:` with the UART of the optical head to the node's YAML, and \
                 install it. Check that the address is that of the node with the head."
            }
            (Self::NoSuchPort { .. }, _) => {
                "After `port=` in the address, write the number of a port that exists. The first \
                 `serial_proxy` in the node's YAML has the number 0."
            }
            (Self::PortInUse, _) => PORT_IN_USE_HINT,
            (Self::Refused { .. }, _) => "Restart the node. Its log may say more.",
            (Self::Closed, _) => {
                "The node may be restarting, or may already be serving as many programs as it can. \
                 Also check the port number, which is usually 6053: other kinds of servers also \
                 close such a connection."
            }
            (Self::Silent, _) => {
                "Restart the node. Also check the address and the port number, which is usually 6053."
            }
            (Self::NotANode, _) => {
                "Check the address and the port number. The API of ESPHome usually has port 6053."
            }
        }
    }

    /// One of each kind.
    #[cfg(test)]
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        let text = || "odd".to_owned();
        let all = vec![
            Self::KeyMissing,
            Self::KeyWrong,
            Self::KeyUnneeded,
            Self::TooOld { version: "2025.12.1".to_owned() },
            Self::OtherApi { major: 2 },
            Self::NoSerialProxy,
            Self::NoSuchPort { instance: 1, count: 1 },
            Self::PortInUse,
            Self::Refused { said: text() },
            Self::Closed,
            Self::Silent,
            Self::NotANode,
        ];
        for error in &all {
            // A new kind must be added above.
            match error {
                Self::KeyMissing
                | Self::KeyWrong
                | Self::KeyUnneeded
                | Self::TooOld { .. }
                | Self::OtherApi { .. }
                | Self::NoSerialProxy
                | Self::NoSuchPort { .. }
                | Self::PortInUse
                | Self::Refused { .. }
                | Self::Closed
                | Self::Silent
                | Self::NotANode => {}
            }
        }
        all.into_iter()
    }
}

/// What to do if another client may use the serial port. Readers of these meters in Home Assistant
/// are golles/ha-kamstrup_403 (since 3.0) and what uses ports through its integration ESPHome.
pub(crate) const PORT_IN_USE_HINT: &str = "An ESPHome node gives each serial port to one program at \
                                           a time. Stop any other program that reads this meter. In \
                                           Home Assistant, disable the integration that reads it, \
                                           such as \"Kamstrup 403\".";

/// A text of a node, shortened and without control characters.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| is_harmless(*c)).take(LONGEST).collect()
}
