//! The address of a serial port on an ESPHome node: `esphome://host:6053/?key=…&port=0`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use base64ct::{Base64Unpadded, Encoding};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::transport::host::host_and_port;

/// The scheme of addresses of nodes.
pub(crate) const SCHEME: &str = "esphome";

/// The usual TCP port of ESPHome's API.
const API_PORT: NonZeroU16 = NonZeroU16::new(6053).expect("not zero");

/// The key that encrypts the connection to a node. It is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey([u8; ApiKey::LENGTH]);

/// The error for a text that is not a key. It does not quote the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 32 bytes in base64, which are 44 characters")]
pub struct ParseKeyError;

impl ApiKey {
    /// The length of a key in bytes.
    const LENGTH: usize = 32;

    /// The bytes of the key.
    pub(super) fn reveal(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl FromStr for ApiKey {
    type Err = ParseKeyError;

    /// The padding `=` may be missing.
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let text = text.trim();
        let digits = text.strip_suffix('=').unwrap_or(text);
        let mut bytes = [0; Self::LENGTH];
        let decoded = Base64Unpadded::decode(digits, &mut bytes).map_err(|_| ParseKeyError)?;
        if decoded.len() != Self::LENGTH {
            return Err(ParseKeyError);
        }
        Ok(Self(bytes))
    }
}

/// Always the same stars.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A serial port of an ESPHome node: one of its `serial_proxy` components.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodePort {
    host: String,
    port: NonZeroU16,
    key: Option<ApiKey>,
    instance: u32,
}

/// Why a text is not the address of a port of a node. It quotes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseNodeError {
    /// The host is missing or invalid, or the TCP port is invalid.
    #[error(
        "`esphome://` needs a host, like `esphome://head.local` or `esphome://192.168.1.50:6053`"
    )]
    Address,
    /// Something else than the key and the number of the serial port.
    #[error("an address of a node ends with `/?key=...&port=...` or one of the two")]
    Query,
    /// The key is invalid.
    #[error("the key in the address, which is not shown, is invalid: {ParseKeyError}")]
    Key,
    /// The number of the serial port is invalid.
    #[error("`port=` is the number of a `serial_proxy` in the node's YAML: 0 is the first")]
    Instance,
}

/// The address of a node already has another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the address has another key")]
pub struct OtherKeyError;

impl NodePort {
    /// Host name or address; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port of the node's API.
    #[must_use]
    pub fn port(&self) -> NonZeroU16 {
        self.port
    }

    /// The key, unless the API is not encrypted.
    #[must_use]
    pub fn key(&self) -> Option<&ApiKey> {
        self.key.as_ref()
    }

    /// Which of the node's serial ports it is, counted from 0.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// The same port with a key that was given separately.
    pub fn with_key(self, key: ApiKey) -> Result<Self, OtherKeyError> {
        match &self.key {
            Some(known) if *known != key => Err(OtherKeyError),
            _ => Ok(Self { key: Some(key), ..self }),
        }
    }

    /// Parses what follows `esphome://`. Errors quote none of it, because it may contain a key.
    pub(in crate::transport) fn parse(address: &str) -> Result<Self, ParseNodeError> {
        let (server, query) = address.split_once('?').unwrap_or((address, ""));
        let server = server.strip_suffix('/').unwrap_or(server);
        let (host, port) = host_and_port(server).ok_or(ParseNodeError::Address)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| ParseNodeError::Address)?,
            None => API_PORT,
        };
        let mut node = Self { host, port, key: None, instance: 0 };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(ParseNodeError::Query)?;
            // The digits `+`, `/` and `=` of base64 may be encoded or not.
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "key" => node.key = Some(value.parse().map_err(|_| ParseNodeError::Key)?),
                "port" => {
                    node.instance = value.parse().map_err(|_| ParseNodeError::Instance)?;
                }
                _ => return Err(ParseNodeError::Query),
            }
        }
        Ok(node)
    }
}

/// The address without the key.
impl fmt::Display for NodePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, instance, .. } = self;
        if host.contains(':') {
            write!(f, "{SCHEME}://[{host}]:{port}")?;
        } else {
            write!(f, "{SCHEME}://{host}:{port}")?;
        }
        if *instance == 0 { Ok(()) } else { write!(f, "/?port={instance}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "+/+/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw=";

    fn parse(address: &str) -> Result<NodePort, ParseNodeError> {
        NodePort::parse(address)
    }

    #[test]
    fn an_address_has_defaults_and_may_have_a_key() {
        let node = parse("head.local").unwrap();
        assert_eq!((node.port().get(), node.instance(), node.key()), (6053, 0, None));
        assert_eq!(node.to_string(), "esphome://head.local:6053");
        let node = parse("[fe80::1]:7000/?port=3").unwrap();
        assert_eq!((node.host(), node.port().get(), node.instance()), ("fe80::1", 7000, 3));
        assert_eq!(node.to_string(), "esphome://[fe80::1]:7000/?port=3");
        let key: ApiKey = KEY.parse().unwrap();
        let encoded = KEY.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        for text in [KEY, &encoded, KEY.trim_end_matches('=')] {
            for address in [format!("a/?key={text}&port=1"), format!("a:6053?port=1&key={text}")] {
                let node = parse(&address).unwrap();
                assert_eq!((node.key(), node.instance()), (Some(&key), 1), "{address}");
            }
        }
    }

    #[test]
    fn an_invalid_address_is_rejected() {
        for (address, error) in [
            ("", ParseNodeError::Address),
            ("a b", ParseNodeError::Address),
            (":6053", ParseNodeError::Address),
            ("host:0", ParseNodeError::Address),
            ("host:70000", ParseNodeError::Address),
            ("host/port", ParseNodeError::Address),
            ("host/?baud=1200", ParseNodeError::Query),
            ("host/?port", ParseNodeError::Query),
            ("host/?port=-1", ParseNodeError::Instance),
            ("host/?port=x", ParseNodeError::Instance),
            ("host/?key=", ParseNodeError::Key),
            ("host/?key=c2VjcmV0", ParseNodeError::Key),
            ("host/?key=not base64, but a key of 44 characters!!", ParseNodeError::Key),
        ] {
            assert_eq!(parse(address), Err(error), "{address}");
        }
        // One byte too many, one too few, and bits that no byte has.
        for key in [&format!("{}AA==", &KEY[..42]), &KEY[..42], &format!("{}x=", &KEY[..42])] {
            assert_eq!(parse(&format!("a/?key={key}")), Err(ParseNodeError::Key), "{key}");
        }
    }

    #[test]
    fn a_key_of_its_own_must_not_contradict_that_of_the_address() {
        let key: ApiKey = KEY.parse().unwrap();
        let other: ApiKey = KEY.replace('+', "A").parse().unwrap();
        let with = parse(&format!("a/?key={KEY}")).unwrap();
        assert_eq!(parse("a").unwrap().with_key(key.clone()), Ok(with.clone()));
        assert_eq!(with.clone().with_key(key), Ok(with.clone()));
        assert_eq!(with.with_key(other), Err(OtherKeyError));
    }

    proptest! {
        /// No text that may be logged contains the key, whichever address has it.
        #[test]
        fn a_key_is_never_shown(bytes: [u8; 32], instance: u32, host in "[a-z]{1,9}") {
            let mut buffer = [0; 64];
            let key = base64ct::Base64::encode(&bytes, &mut buffer).unwrap().to_owned();
            let node = parse(&format!("{host}/?port={instance}&key={key}")).unwrap();
            prop_assert_eq!(node.key().unwrap().reveal(), &bytes);
            let shown = format!("{node} {node:?} {:#?}", node.key());
            prop_assert!(!shown.contains(key.trim_end_matches('=')), "{}", shown);
            prop_assert!(!shown.contains(&format!("{bytes:?}")), "{}", shown);
            // The address without the key leads to the same port.
            let again = parse(node.to_string().strip_prefix("esphome://").unwrap()).unwrap();
            prop_assert_eq!(again, NodePort { key: None, ..node });
        }

        /// An error does not quote what it rejects.
        #[test]
        fn an_error_shows_nothing_of_a_key(key in "[A-Za-z0-9]{20,43}!") {
            let error = parse(&format!("host/?key={key}")).unwrap_err();
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(&key[..8]));
        }
    }
}
