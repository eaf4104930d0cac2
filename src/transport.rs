//! Opens the way to the meter and gives a stream of bytes; what travels on it is not known here.

use std::fmt;
use std::io;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{DataBits, Parity, SerialPortBuilderExt, StopBits};

/// A serial server on the local network answers within milliseconds or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The line of the optical port: 1200 baud, 8 data bits, no parity, 2 stop bits (5512-447 M1 p.5).
pub const BAUD: u32 = 1200;

/// Where the meter is connected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A network serial server, which has the line's settings.
    Tcp {
        /// Host name or address; an IPv6 address without brackets.
        host: String,
        /// TCP port.
        port: NonZeroU16,
    },
    /// A serial port of this machine.
    Serial {
        /// The device.
        path: PathBuf,
    },
}

/// The text names no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither a device path nor `socket://host:port`")]
pub struct ParseEndpointError;

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        let text = text.trim();
        let Some((scheme, address)) = text.split_once("://") else {
            let path = PathBuf::from(text);
            let is_path = path.is_absolute() && !text.contains('\0');
            return is_path.then_some(Self::Serial { path }).ok_or(ParseEndpointError);
        };
        if !scheme.eq_ignore_ascii_case("socket") {
            return Err(ParseEndpointError);
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or(ParseEndpointError)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        // A zone may follow: `fe80::1%eth0`.
        let is_address = |c: char| is_host(c) || ":%".contains(c);
        let valid = match bracketed {
            Some(inner) => !inner.is_empty() && inner.chars().all(is_address),
            None => !host.is_empty() && host.chars().all(is_host),
        };
        if !valid {
            return Err(ParseEndpointError);
        }
        let host = bracketed.unwrap_or(host).to_owned();
        Ok(Self::Tcp { host, port: port.parse().map_err(|_| ParseEndpointError)? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "socket://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "socket://{host}:{port}"),
            Self::Serial { path } => path.display().fmt(f),
        }
    }
}

/// A stream of bytes to the meter and back.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Something that can be opened, used for one poll and dropped.
pub trait Open: Send + Sync {
    /// Opens it.
    ///
    /// Cancel safety: dropping the future leaves nothing open.
    fn open(&self) -> impl Future<Output = Result<Box<dyn Stream>, OpenError>> + Send;
}

impl Open for Endpoint {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        match self {
            Self::Tcp { host, port } => Ok(Box::new(connect(host, *port).await?)),
            Self::Serial { path } => Ok(Box::new(serial(path)?)),
        }
    }
}

async fn connect(host: &str, port: NonZeroU16) -> Result<TcpStream, OpenError> {
    let addresses = tokio::net::lookup_host((host, port.get()));
    let connecting = async {
        let addresses: Vec<_> = addresses
            .await
            .map_err(|_| OpenError::HostNotFound { host: host.to_owned() })?
            .collect();
        TcpStream::connect(&addresses[..]).await.map_err(|error| OpenError::from_io(&error))
    };
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| OpenError::NoConnection)??;
    // A request is one small packet, and the meter counts the gaps.
    stream.set_nodelay(true).map_err(|error| OpenError::from_io(&error))?;
    Ok(stream)
}

fn serial(path: &std::path::Path) -> Result<tokio_serial::SerialStream, OpenError> {
    // What the library says of these two does not tell them apart.
    let metadata = std::fs::metadata(path).map_err(|error| OpenError::from_io(&error))?;
    if !std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type()) {
        return Err(OpenError::NotSerial);
    }
    tokio_serial::new(path.to_string_lossy(), BAUD)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::Two)
        .open_native_async()
        .map_err(OpenError::from)
}

/// Why the way to the meter cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// No such device.
    #[error("it does not exist")]
    Missing,
    /// The device is a file of another kind.
    #[error("it is not a serial port")]
    NotSerial,
    /// Not for this user.
    #[error("this user may not use it")]
    Denied,
    /// Another program has it.
    #[error("another program is using it")]
    Busy,
    /// The name has no address.
    #[error("the host `{host}` is not known")]
    HostNotFound {
        /// The name.
        host: String,
    },
    /// Nobody listens.
    #[error("the connection was refused")]
    Refused,
    /// Nobody answers.
    #[error("nobody answers at this address")]
    NoConnection,
    /// Anything else.
    #[error("{reason}")]
    Other {
        /// The system's words.
        reason: String,
    },
}

impl OpenError {
    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => Self::Busy,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Self::NoConnection,
            _ => Self::Other { reason: error.to_string() },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing => {
                "Check that the optical head is plugged in, and compare the path with \
                 `ls -l /dev/serial/by-id/`."
            }
            Self::NotSerial => "Check the path: `ls -l /dev/serial/by-id/` shows the serial ports.",
            Self::Denied => {
                "Add the user that runs this program to the group that owns the device, mostly with \
                 `sudo usermod -aG dialout USER`, and log in again."
            }
            Self::Busy => {
                "Stop the other program, or give it another port; only one can talk to the meter."
            }
            Self::HostNotFound { .. } => "Check the name, or use the address of the serial server.",
            Self::Refused => {
                "Check the port number, and that the serial server is set to TCP server mode and \
                 serves nobody else."
            }
            Self::NoConnection => {
                "Check that the serial server has power and network, and its address."
            }
            Self::Other { .. } => "Unplug the head or the serial server, and plug it in again.",
        }
    }
}

impl From<tokio_serial::Error> for OpenError {
    fn from(error: tokio_serial::Error) -> Self {
        match error.kind {
            tokio_serial::ErrorKind::NoDevice => Self::Busy,
            // What the system says of a device that is no terminal.
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

    fn endpoint(text: &str) -> String {
        text.parse::<Endpoint>().map_or("refused".to_owned(), |endpoint| endpoint.to_string())
    }

    #[test]
    fn what_is_an_endpoint() {
        for text in [
            "/dev/ttyUSB0",
            "/dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0",
            "socket://192.168.1.50:2003",
            "socket://meter.local:2003",
            "socket://[fe80::1%eth0]:2003",
        ] {
            assert_eq!(endpoint(text), text);
        }
        assert_eq!(endpoint("SOCKET://host:1/"), "socket://host:1");
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
            assert_eq!(endpoint(text), "refused", "{text}");
        }
    }

    async fn open_error(text: &str) -> OpenError {
        match text.parse::<Endpoint>().unwrap().open().await {
            Ok(_) => panic!("{text} opened"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn each_trouble_has_its_own_words() {
        assert_eq!(open_error("/dev/no-such-port").await, OpenError::Missing);
        assert_eq!(open_error("/proc/self/status").await, OpenError::NotSerial);
        assert_eq!(open_error("/dev/null").await, OpenError::NotSerial);
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        assert_eq!(open_error(&format!("socket://{address}")).await, OpenError::Refused);
        let unknown = open_error("socket://no-such-host.invalid:2003").await;
        assert_eq!(unknown, OpenError::HostNotFound { host: "no-such-host.invalid".to_owned() });
    }

    #[tokio::test]
    async fn a_port_in_use_is_busy() {
        use tokio_serial::SerialPort;

        let (_master, slave) = tokio_serial::SerialStream::pair().unwrap();
        let mut holder = slave;
        holder.set_exclusive(true).unwrap();
        let path = holder.name().unwrap();
        assert_eq!(open_error(&path).await, OpenError::Busy);
    }
}
