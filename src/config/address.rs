//! The address of Home Assistant.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The address of Home Assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAddress {
    is_encrypted: bool,
    /// As in an address: an IPv6 address has brackets.
    host: String,
    port: u16,
    /// The path of the WebSocket.
    path: &'static str,
}

impl FromStr for ApiAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url: Url = text.trim().parse().map_err(|_| ())?;
        let is_encrypted = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(()),
        };
        let is_server = url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| is_server).ok_or(())?.to_owned();
        let port = url.port_or_known_default().ok_or(())?;
        Ok(Self { is_encrypted, host, port, path: "/api/websocket" })
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl ApiAddress {
    /// Home Assistant behind its Supervisor, to which an app (add-on) sends its requests.
    #[must_use]
    pub(crate) fn behind(supervisor: &Url) -> Option<Self> {
        let host = supervisor.host_str()?.to_owned();
        let port = supervisor.port_or_known_default()?;
        Some(Self { is_encrypted: false, host, port, path: "/core/websocket" })
    }

    /// The path of the WebSocket.
    #[must_use]
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The host. An IPv6 address has brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_has_another_path() {
        for (supervisor, shown) in [
            ("http://supervisor", "http://supervisor:80"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            let behind = ApiAddress::behind(&supervisor.parse().unwrap()).unwrap();
            assert_eq!((behind.to_string().as_str(), behind.path()), (shown, "/core/websocket"));
            let direct: ApiAddress = supervisor.parse().unwrap();
            assert_eq!((direct.to_string().as_str(), direct.path()), (shown, "/api/websocket"));
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_perhaps_a_port() {
        for (text, shown, host) in [
            ("http://ha.local:8123", "http://ha.local:8123", "ha.local:8123"),
            (" http://ha.local:8123/ ", "http://ha.local:8123", "ha.local:8123"),
            ("http://ha", "http://ha:80", "ha:80"),
            ("https://ha.example.org", "https://ha.example.org:443", "ha.example.org:443"),
            ("http://[::1]:8123", "http://[::1]:8123", "[::1]:8123"),
        ] {
            let address: ApiAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{}:{}", address.host(), address.port()), host);
        }
        for text in [
            "",
            "ha.local:8123",
            "ha.local",
            "ws://ha.local",
            "http://",
            "http://me:secret@ha.local",
            "http://ha.local/api",
            "http://ha.local?token=secret",
            "http://ha.local/#top",
        ] {
            assert!(text.parse::<ApiAddress>().is_err(), "{text}");
        }
    }
}
