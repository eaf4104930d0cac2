//! Opens the way to the meter and gives a stream of bytes; what travels on it is not known here.

use std::fmt;
use std::io;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{SerialPortBuilderExt, SerialStream};

/// A serial server on the local network answers within milliseconds or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How bytes travel on the line to the meter. Behind a network serial server only their duration
/// counts: the server has the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits per second.
    pub baud: NonZeroU32,
    /// Bits of data in a byte.
    pub data_bits: DataBits,
    /// The bit that checks them.
    pub parity: Parity,
    /// Bits that end a byte.
    pub stop_bits: StopBits,
}

/// Bits of data in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataBits {
    /// 7
    Seven,
    /// 8
    Eight,
}

/// The bit that checks a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// It makes the number of ones even.
    Even,
    /// It makes the number of ones odd.
    Odd,
}

/// Bits that end a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopBits {
    /// 1, which works with some meters.
    One,
    /// 2
    Two,
}

impl SerialSettings {
    /// How many bits a byte takes on the line, with its start bit.
    #[must_use]
    pub fn bits_per_byte(self) -> u32 {
        let data: u32 = match self.data_bits {
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        };
        data.saturating_add(match (self.parity, self.stop_bits) {
            (Parity::None, StopBits::One) => 2,
            (Parity::None, StopBits::Two) | (Parity::Even | Parity::Odd, StopBits::One) => 3,
            (Parity::Even | Parity::Odd, StopBits::Two) => 4,
        })
    }
}

/// Those of the optical port: 1200 baud, 8 data bits, no parity, 2 stop bits (5512-447 M1 p.5).
impl Default for SerialSettings {
    fn default() -> Self {
        Self {
            baud: NonZeroU32::new(1200).unwrap_or(NonZeroU32::MIN),
            data_bits: DataBits::Eight,
            parity: Parity::None,
            stop_bits: StopBits::Two,
        }
    }
}

/// An endpoint and the settings of the line there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Where.
    pub endpoint: Endpoint,
    /// How.
    pub settings: SerialSettings,
}

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
        if !["socket", "tcp"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
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

impl Open for Port {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        match &self.endpoint {
            Endpoint::Tcp { host, port } => Ok(Box::new(connect(host, *port).await?)),
            Endpoint::Serial { path } => Ok(Box::new(serial(path, self.settings)?)),
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

fn serial(path: &Path, settings: SerialSettings) -> Result<SerialStream, OpenError> {
    // What the library says of these two does not tell them apart.
    let metadata = std::fs::metadata(path).map_err(|error| OpenError::from_io(&error))?;
    if !std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type()) {
        return Err(OpenError::NotSerial);
    }
    let SerialSettings { baud, data_bits, parity, stop_bits } = settings;
    tokio_serial::new(path.to_string_lossy(), baud.get())
        .data_bits(match data_bits {
            DataBits::Seven => tokio_serial::DataBits::Seven,
            DataBits::Eight => tokio_serial::DataBits::Eight,
        })
        .parity(match parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(match stop_bits {
            StopBits::One => tokio_serial::StopBits::One,
            StopBits::Two => tokio_serial::StopBits::Two,
        })
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
            assert_eq!(endpoint(text), "refused", "{text}");
        }
    }

    async fn open_error(text: &str) -> OpenError {
        let port = Port { endpoint: text.parse().unwrap(), settings: SerialSettings::default() };
        match port.open().await {
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

    #[test]
    fn bits_of_a_byte() {
        let bits = |data_bits, parity, stop_bits| {
            SerialSettings { data_bits, parity, stop_bits, ..SerialSettings::default() }
                .bits_per_byte()
        };
        assert_eq!(SerialSettings::default().bits_per_byte(), 11);
        assert_eq!(bits(DataBits::Eight, Parity::None, StopBits::One), 10);
        assert_eq!(bits(DataBits::Seven, Parity::Even, StopBits::Two), 11);
        assert_eq!(bits(DataBits::Eight, Parity::Odd, StopBits::Two), 12);
    }

    #[tokio::test]
    async fn a_port_in_use_is_busy() {
        use tokio_serial::SerialPort;

        let (_master, slave) = SerialStream::pair().unwrap();
        let mut holder = slave;
        holder.set_exclusive(true).unwrap();
        let path = holder.name().unwrap();
        assert_eq!(open_error(&path).await, OpenError::Busy);
    }
}
