//! Addresses of log servers.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The address of a log server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `/dev/log`, or any other socket. Messages have the header of RFC 5424, except those to the
    /// system's own log.
    Unix(PathBuf),
    /// `unix:///dev/log`: a socket whose messages always have the header of RFC 5424.
    UnixFull(PathBuf),
    /// `host:514` or `udp://host`
    Udp(String),
    /// `tcp://host:601`
    Tcp(String),
}

/// A text is not the address of a log server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use a socket like `/dev/log`, or `host:514`, `udp://host:514` or `tcp://host:601`")]
pub struct ParseAddressError;

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        if text.starts_with('/') {
            return socket(text).map(Self::Unix);
        }
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => socket(path).map(Self::UnixFull),
            Some(("udp", server)) => with_port(server, 514).map(Self::Udp),
            Some(("tcp", server)) => with_port(server, 601).map(Self::Tcp),
            Some(_) => Err(ParseAddressError),
            None => with_port(text, 514).map(Self::Udp),
        }
    }
}

/// A path has at most 107 bytes (unix(7)).
fn socket(path: &str) -> Result<PathBuf, ParseAddressError> {
    let fits = path.len() < 108 && !path.contains('\0');
    if fits { Ok(path.into()) } else { Err(ParseAddressError) }
}

/// `host:port`, in the form that the system can look up.
fn with_port(server: &str, default: u16) -> Result<String, ParseAddressError> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(ParseAddressError)?;
            let port = if rest.is_empty() { None } else { rest.strip_prefix(':') };
            if !rest.is_empty() && port.is_none() {
                return Err(ParseAddressError);
            }
            (format!("[{host}]"), port)
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (server.to_owned(), None),
        },
    };
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| ParseAddressError))?;
    let fits = |character: char| character.is_ascii_alphanumeric() || "-._[]:%".contains(character);
    if host.is_empty() || host.len() > 253 || port == 0 || !host.chars().all(fits) {
        return Err(ParseAddressError);
    }
    Ok(format!("{host}:{port}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::UnixFull(path) => write!(f, "unix://{}", path.display()),
            Self::Udp(server) => write!(f, "udp://{server}"),
            Self::Tcp(server) => write!(f, "tcp://{server}"),
        }
    }
}
