//! Addresses of ports: `/dev/ttyUSB0`, `socket://host:port` or `esphome://host`.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use super::esphome::{NodePort, ParseNodeError, SCHEME};
use super::host::host_and_port;

/// Where the meter is connected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A network serial server. The settings of the line are set in the server itself.
    Tcp {
        /// Host name or address; an IPv6 address without brackets.
        host: String,
        /// TCP port.
        port: NonZeroU16,
    },
    /// A serial port of an ESPHome node.
    Node(NodePort),
    /// A serial port of this machine.
    Serial {
        /// The device.
        path: PathBuf,
    },
}

/// The kind of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// A port of a network serial server.
    Server,
    /// A serial port of an ESPHome node.
    Node,
    /// A serial port of this machine.
    Device,
}

impl PortKind {
    /// The kind of the port with this name: an [`Endpoint`] as text.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name.split_once("://") {
            Some((SCHEME, _)) => Self::Node,
            Some(_) => Self::Server,
            None => Self::Device,
        }
    }

    /// Whether the port is reached over the network.
    #[must_use]
    pub fn is_remote(self) -> bool {
        self != Self::Device
    }
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseEndpointError {
    /// Invalid, but close to this address or path.
    #[error("did you mean `{0}`?")]
    Meant(String),
    /// RFC 2217 is not supported.
    #[error(
        "RFC 2217 is not supported; set the serial server to raw TCP and use `socket://host:port`"
    )]
    Rfc2217,
    /// An invalid address of an ESPHome node.
    #[error("{0}")]
    Node(#[from] ParseNodeError),
    /// An address that only Home Assistant understands.
    #[error(
        "only Home Assistant understands such addresses; use `esphome://host` and the node's key"
    )]
    HomeAssistant,
    /// An unsupported scheme.
    #[error("unsupported address; use `socket://host:port` or `esphome://host`")]
    Scheme,
    /// The host or the port is missing or invalid.
    #[error("`socket://` needs a host and a port from 1 to 65535")]
    Address,
    /// Neither an address nor an absolute path.
    #[error("the path of a device begins with `/`, usually with `/dev/`")]
    NotAbsolute,
}

impl Endpoint {
    /// Whether it is a port of an ESPHome node.
    #[must_use]
    pub fn is_of_node(&self) -> bool {
        matches!(self, Self::Node(_))
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        let text = text.trim();
        let Some((scheme, address)) = text.split_once("://") else {
            let path = PathBuf::from(text);
            let is_path = path.is_absolute() && !text.contains('\0');
            return is_path.then_some(Self::Serial { path }).ok_or_else(|| meant(text));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "socket" | "tcp" => {}
            SCHEME => return Ok(Self::Node(NodePort::parse(address)?)),
            "esphome-hass" => return Err(ParseEndpointError::HomeAssistant),
            "rfc2217" => return Err(ParseEndpointError::Rfc2217),
            // A server of another kind is not a misspelled serial server.
            "http" | "https" | "ws" | "wss" | "mqtt" | "mqtts" => {
                return Err(ParseEndpointError::Scheme);
            }
            "file" | "serial" => return Err(meant(address)),
            _ => {
                return Err(match of_server(address) {
                    Some(meant) => ParseEndpointError::Meant(meant),
                    None => ParseEndpointError::Scheme,
                });
            }
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, Some(port)) = host_and_port(address).ok_or(ParseEndpointError::Address)? else {
            return Err(ParseEndpointError::Address);
        };
        Ok(Self::Tcp { host, port: port.parse().map_err(|_| ParseEndpointError::Address)? })
    }
}

/// The error of a text that is neither an address nor a path.
fn meant(text: &str) -> ParseEndpointError {
    let text = text.trim();
    let rest = ["socket", "tcp"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| text.get(scheme.len()..))?
    });
    // `socket:/host:2003`, with a slash missing.
    let rest = rest.map(|rest| rest.trim_start_matches([':', '/']));
    let server = rest.and_then(of_server).or_else(|| of_server(text));
    match server.or_else(|| device(text)) {
        Some(meant) => ParseEndpointError::Meant(meant),
        None => ParseEndpointError::NotAbsolute,
    }
}

/// The address of a serial server at this host and port.
fn of_server(address: &str) -> Option<String> {
    let address = format!("socket://{address}");
    matches!(address.parse(), Ok(Endpoint::Tcp { .. })).then_some(address)
}

/// The device of a path whose beginning is missing, or whose upper and lower case are wrong.
fn device(text: &str) -> Option<String> {
    const NAMES: [&str; 6] = ["ttyUSB", "ttyACM", "ttyAMA", "ttyXRUSB", "ttyS", "tty"];

    let path = text.trim_start_matches('/');
    if let Some(name) = path.strip_prefix("dev/") {
        let is_path = name.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.:".contains(c));
        return is_path.then(|| format!("/dev/{name}"));
    }
    if path.starts_with("serial/by-") || path.starts_with("by-id/") {
        let folder = if path.starts_with("by-") { "/dev/serial" } else { "/dev" };
        return Some(format!("{folder}/{path}"));
    }
    // `USB0` is short for `ttyUSB0`.
    let with_tty = format!("tty{path}");
    let candidates = [path, with_tty.as_str()];
    candidates.into_iter().find_map(|text| {
        NAMES.into_iter().find_map(|name| {
            let (start, number) = text.split_at_checked(name.len())?;
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_alphanumeric());
            let is_named = start.eq_ignore_ascii_case(name) && is_number;
            // Only known names are short.
            let is_known = text == path || number.bytes().all(|byte| byte.is_ascii_digit());
            (is_named && is_known).then(|| format!("/dev/{name}{number}"))
        })
    })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "socket://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "socket://{host}:{port}"),
            Self::Node(node) => node.fmt(f),
            Self::Serial { path } => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> String {
        text.parse::<Endpoint>().map_or("rejected".to_owned(), |endpoint| endpoint.to_string())
    }

    #[test]
    fn endpoints_are_parsed_or_rejected() {
        for text in [
            "/dev/ttyUSB0",
            "/dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0",
            "socket://192.168.1.50:2003",
            "socket://meter.local:2003",
            "socket://[fe80::1%eth0]:2003",
            "esphome://head.local:6053",
            "esphome://[fe80::1%eth0]:6053/?port=1",
        ] {
            assert_eq!(endpoint(text), text);
        }
        assert_eq!(endpoint("SOCKET://host:1/"), "socket://host:1");
        assert_eq!(endpoint("tcp://host:1"), "socket://host:1");
        for text in [
            "",
            "ttyUSB0",
            "socket://",
            "socket://host",
            "socket://host:0",
            "socket://host:65536",
            "socket://:2003",
            "socket://a b:1",
            "socket://::1:2003",
            "http://host:80",
            "COM3",
        ] {
            assert_eq!(endpoint(text), "rejected", "{text}");
        }
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err();
        let meant = |text: &str| ParseEndpointError::Meant(text.to_owned());
        assert_eq!(error("ttyUSB0"), meant("/dev/ttyUSB0"));
        assert_eq!(error("192.168.1.50:2003"), meant("socket://192.168.1.50:2003"));
        for (text, path) in [
            ("dev/ttyUSB0", "/dev/ttyUSB0"),
            ("ttyusb0", "/dev/ttyUSB0"),
            ("USB0", "/dev/ttyUSB0"),
            ("acm1", "/dev/ttyACM1"),
            ("serial/by-id/usb-FTDI-port0", "/dev/serial/by-id/usb-FTDI-port0"),
            ("by-id/usb-FTDI-port0", "/dev/serial/by-id/usb-FTDI-port0"),
            ("serial:///dev/ttyUSB0", "/dev/ttyUSB0"),
            ("socket:/10.0.0.3:2003", "socket://10.0.0.3:2003"),
            ("socket//10.0.0.3:2003", "socket://10.0.0.3:2003"),
            ("sokcet://10.0.0.3:2003", "socket://10.0.0.3:2003"),
            ("telnet://10.0.0.3:23", "socket://10.0.0.3:23"),
        ] {
            assert_eq!(error(text), meant(path), "{text}");
        }
        assert_eq!(error("http://10.0.0.3:80"), ParseEndpointError::Scheme);
        assert_eq!(error("COM3"), ParseEndpointError::NotAbsolute);
        assert_eq!(error("user:secret@host:2003"), ParseEndpointError::NotAbsolute);
        assert_eq!(error("socket://host"), ParseEndpointError::Address);
        assert_eq!(endpoint("ESPHome://host/"), "esphome://host:6053");
        assert_eq!(error("esphome://"), ParseEndpointError::Node(ParseNodeError::Address));
        assert_eq!(error("esphome://a/?key=secret"), ParseEndpointError::Node(ParseNodeError::Key));
        let of_home_assistant = "esphome-hass://esphome/0123?port_name=head";
        assert_eq!(error(of_home_assistant), ParseEndpointError::HomeAssistant);
        // A misspelled scheme is not guessed, because the address may contain a key.
        assert_eq!(error("esphom://a/?key=secret"), ParseEndpointError::Scheme);
        assert_eq!(error("loop://"), ParseEndpointError::Scheme);
        assert_eq!(error("RFC2217://host:2003"), ParseEndpointError::Rfc2217);
    }
}
