//! Opens the way to the meter and gives a stream of bytes; what travels on it is not known here.

mod ports;
mod queue;

use std::fmt;
use std::io;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::cause::{self, Cause};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};
use tracing::debug;

pub use self::ports::{LocalPort, local_ports};
pub use self::queue::{PortGuard, PortQueues, SharedPort};
use crate::RunsAs;
use crate::hosts::{self, HostError};

/// A serial server on the local network answers within milliseconds or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A serial server that does not want a connection ends it before this. It may be seen only after
/// the line has rested, and some wait for the first bytes. Those that end idle connections take
/// longer.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How a web server begins whatever it says.
const WEB: &[u8] = b"HTTP/";

/// The ports of MQTT brokers. They end a connection that begins with anything but their greeting.
const BROKERS: [u16; 2] = [1883, 8883];

/// How many bytes a serial server's own words have at most.
const LONGEST_WORDS: usize = 120;

/// From setting the modem lines to the first byte. No document says what optical heads need; what
/// else these lines feed is given 200 ms (serial mice) to 500 ms. What comes too early costs one
/// more try.
const POWER_UP: Duration = Duration::from_millis(200);

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
    /// Data terminal ready.
    pub dtr: ModemLine,
    /// Request to send.
    pub rts: ModemLine,
}

/// What happens to a modem line when the port is opened.
///
/// These lines feed the circuit of some optical heads: both (Ho-Ro/OpenMetra), or one raised and
/// one lowered (swharden/pyTENMA; both are heads of multimeters, of Kamstrup's no document tells),
/// and adapters with a processor may stay silent until DTR is up (b14ckyy/Kite-GC pull 33). Linux
/// raises both when a port is opened and lowers them when it is closed, whatever a program wants
/// (serialport/serialport-rs pull 242, Fazecast/jSerialComm issue 437); the older program raised
/// both as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModemLine {
    /// It is raised: with RS-232, it is positive.
    Raise,
    /// It is lowered, though it is up for the moment that this takes.
    Lower,
    /// It stays as the system sets it.
    Leave,
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
            dtr: ModemLine::Raise,
            rts: ModemLine::Raise,
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

/// Why a text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseEndpointError {
    /// What was most likely meant.
    #[error("did you mean `{0}`?")]
    Meant(String),
    /// A serial server that speaks RFC 2217.
    #[error(
        "RFC 2217 is not spoken here; set the serial server to raw TCP and use `socket://host:port`"
    )]
    Rfc2217,
    /// An address of another kind.
    #[error("of such addresses only `socket://host:port` is known")]
    Scheme,
    /// The host or the port is missing or wrong.
    #[error("`socket://` needs a host and a port from 1 to 65535")]
    Address,
    /// No address, and no path from the root.
    #[error("the path of a device begins with `/`, mostly with `/dev/`")]
    NotAbsolute,
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
            "rfc2217" => return Err(ParseEndpointError::Rfc2217),
            _ => return Err(ParseEndpointError::Scheme),
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or(ParseEndpointError::Address)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        // A zone may follow: `fe80::1%eth0`.
        let is_address = |c: char| is_host(c) || ":%".contains(c);
        let valid = match bracketed {
            Some(inner) => !inner.is_empty() && inner.chars().all(is_address),
            None => !host.is_empty() && host.chars().all(is_host),
        };
        if !valid {
            return Err(ParseEndpointError::Address);
        }
        let host = bracketed.unwrap_or(host).to_owned();
        Ok(Self::Tcp { host, port: port.parse().map_err(|_| ParseEndpointError::Address)? })
    }
}

/// What is wrong with a text that is neither an address nor a path.
fn meant(text: &str) -> ParseEndpointError {
    let address = format!("socket://{text}");
    let is_name = |c: char| c.is_ascii_alphanumeric();
    if matches!(address.parse(), Ok(Endpoint::Tcp { .. })) {
        ParseEndpointError::Meant(address)
    } else if text.starts_with("tty") && text.chars().all(is_name) {
        ParseEndpointError::Meant(format!("/dev/{text}"))
    } else {
        ParseEndpointError::NotAbsolute
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
    /// Waits until it may be opened, where others use it too. It may be opened and closed until
    /// the turn is dropped.
    fn turn(&self) -> impl Future<Output = PortGuard> + Send {
        std::future::ready(PortGuard::default())
    }

    /// Whether others use it too, who would wait while it is used in vain.
    fn is_shared(&self) -> bool {
        false
    }

    /// Opens it.
    ///
    /// Cancel safety: dropping the future leaves nothing open.
    fn open(&self) -> impl Future<Output = Result<Box<dyn Stream>, OpenError>> + Send;
}

impl Open for Port {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        match &self.endpoint {
            Endpoint::Tcp { host, port } => Ok(Box::new(connect(host, *port).await?)),
            Endpoint::Serial { path } => {
                let mut port = serial(path, self.settings)?;
                set_modem_lines(&mut port, self.settings).await;
                Ok(Box::new(port))
            }
        }
    }
}

async fn connect(host: &str, port: NonZeroU16) -> Result<Connection, OpenError> {
    let begun = Instant::now();
    let end = begun.checked_add(CONNECT_TIMEOUT).unwrap_or(begun);
    let addresses = within(end, host, hosts::look_up(host, port.get())).await?;
    let stream = tokio::time::timeout_at(end, TcpStream::connect(&addresses[..]))
        .await
        .map_err(|_| OpenError::NoConnection)?
        .map_err(|error| OpenError::from_io(&error))?;
    // A request is one small packet, and the meter counts the gaps.
    stream.set_nodelay(true).map_err(|error| OpenError::from_io(&error))?;
    Ok(Connection { stream, port: port.get(), opened: Instant::now(), said: Some(Vec::new()) })
}

/// The addresses of a host. Who is asked for them may be silent, which is not the host's fault.
async fn within<A>(
    end: Instant,
    host: &str,
    looking_up: impl Future<Output = Result<A, HostError>>,
) -> Result<A, OpenError> {
    let host = host.to_owned();
    match tokio::time::timeout_at(end, looking_up).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(HostError::NotFound(_))) => Err(OpenError::HostNotFound { host }),
        Ok(Err(HostError::Shortage(reason))) => Err(OpenError::Shortage { reason }),
        Ok(Err(HostError::NoAnswer(_))) | Err(_) => Err(OpenError::NotLookedUp { host }),
    }
}

/// A connection to a serial server.
///
/// Most serve one connection at a time. They take the next one all the same and end it at once,
/// some with a few words (ser2net: `Port already in use`): it is told apart from a connection that
/// breaks, by an [`OpenError`] within the [`io::Error`].
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    port: u16,
    opened: Instant,
    /// What has come, as long as it may be the words of the serial server and not the meter's.
    said: Option<Vec<u8>>,
}

impl Connection {
    fn note(&mut self, bytes: &[u8]) {
        // No frame is text: an answer begins with `@`, as no words do, and an echo's first byte is
        // none.
        let is_text =
            |byte: &u8| (byte.is_ascii_graphic() && *byte != b'@') || byte.is_ascii_whitespace();
        let Some(mut said) = self.said.take() else { return };
        said.extend_from_slice(bytes);
        if said.starts_with(WEB) {
            // The rest is a page.
            said.truncate(WEB.len());
            self.said = Some(said);
        } else if bytes.iter().all(is_text) && said.len() <= LONGEST_WORDS {
            self.said = Some(said);
        }
    }

    /// The error of a connection that the serial server did not want.
    fn unwanted(&self) -> Option<io::Error> {
        let said = self.said.as_ref()?;
        let why = if said.starts_with(WEB) {
            OpenError::WebPage
        } else if self.opened.elapsed() > AT_ONCE {
            return None;
        } else if said.is_empty() && BROKERS.contains(&self.port) {
            OpenError::Broker
        } else {
            let said = String::from_utf8_lossy(said);
            let said = said.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            OpenError::Unwanted { said }
        };
        Some(io::Error::new(io::ErrorKind::ConnectionAborted, why))
    }

    fn explain(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => self.unwanted().unwrap_or(error),
            _ => error,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, wanted) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        read.map_err(|error| self.explain(error))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if wanted && came.is_empty() {
            return Poll::Ready(self.unwanted().map_or(Ok(()), Err));
        }
        self.note(came);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(written.map_err(|error| self.explain(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn serial(path: &Path, settings: SerialSettings) -> Result<SerialStream, OpenError> {
    // What the library says of these two does not tell them apart.
    let metadata = std::fs::metadata(path).map_err(|error| OpenError::from_io(&error))?;
    if !std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type()) {
        return Err(OpenError::NotSerial);
    }
    let SerialSettings { baud, data_bits, parity, stop_bits, .. } = settings;
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

/// The modem lines of a port.
trait ModemLines {
    /// Fails where there are none, as on a pseudo-terminal.
    fn look(&mut self) -> tokio_serial::Result<()>;
    fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()>;
    fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()>;
}

impl ModemLines for SerialStream {
    fn look(&mut self) -> tokio_serial::Result<()> {
        self.read_clear_to_send().map(|_| ())
    }

    fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()> {
        self.write_data_terminal_ready(up)
    }

    fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()> {
        self.write_request_to_send(up)
    }
}

/// Sets the modem lines, and waits until a head that they feed is awake. A port without them does
/// without: its head has other power.
async fn set_modem_lines<P: ModemLines>(port: &mut P, settings: SerialSettings) {
    if let Err(error) = port.look() {
        debug!("the port has no modem lines: {error}");
        return;
    }
    let up = |line| match line {
        ModemLine::Raise => Some(true),
        ModemLine::Lower => Some(false),
        ModemLine::Leave => None,
    };
    let (dtr, rts) = (up(settings.dtr), up(settings.rts));
    if let Some(Err(error)) = dtr.map(|up| port.set_dtr(up)) {
        debug!("DTR cannot be set: {error}");
    }
    if let Some(Err(error)) = rts.map(|up| port.set_rts(up)) {
        debug!("RTS cannot be set: {error}");
    }
    // With both of them down there is nothing to wait for.
    if (dtr, rts) != (Some(false), Some(false)) {
        tokio::time::sleep(POWER_UP).await;
    }
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
    /// Nobody says which address the name has.
    #[error("the host `{host}` cannot be looked up: no name server answers")]
    NotLookedUp {
        /// The name.
        host: String,
    },
    /// Nobody listens.
    #[error("the connection was refused")]
    Refused,
    /// Nobody answers.
    #[error("nobody answers at this address")]
    NoConnection,
    /// The serial server took the connection and ended it at once.
    #[error("the serial server ended the connection at once{}", quoted(said))]
    Unwanted {
        /// What it said, or nothing.
        said: String,
    },
    /// The connection was taken by a web server.
    #[error("this is the port of a web page, not of the serial line")]
    WebPage,
    /// The connection was ended at once at the usual port of an MQTT broker.
    #[error(
        "the connection was ended at once: this looks like an MQTT broker, not like a serial server"
    )]
    Broker,
    /// This machine is out of files or memory.
    #[error("the system gives the program no more files or memory ({reason})")]
    Shortage {
        /// The system's words.
        reason: String,
    },
    /// Anything else.
    #[error("{reason}")]
    Other {
        /// The system's words.
        reason: String,
    },
}

/// `, and said: Port already in use`
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", and said `{said}`") }
}

impl OpenError {
    fn from_io(error: &io::Error) -> Self {
        match Cause::from(error) {
            Cause::Shortage => Self::Shortage { reason: error.to_string() },
            Cause::Missing => Self::Missing,
            Cause::Denied => Self::Denied,
            Cause::Busy => Self::Busy,
            Cause::Refused => Self::Refused,
            // Over before it was seen to be there.
            Cause::Ended => Self::Unwanted { said: String::new() },
            Cause::Unreachable => Self::NoConnection,
            _ => Self::Other { reason: error.to_string() },
        }
    }

    /// What to do about it.
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
            // What the library does not tell apart: a container's devices are denied with EPERM,
            // and a device file may outlive its device.
            _ if error.description == "Operation not permitted" => Self::Denied,
            _ if error.description.starts_with("No such device") => Self::Missing,
            _ if error.description.starts_with("Too many open files")
                || error.description == "Out of memory" =>
            {
                Self::Shortage { reason: error.description }
            }
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn endpoint(text: &str) -> String {
        text.parse::<Endpoint>().map_or("refused".to_owned(), |endpoint| endpoint.to_string())
    }

    /// That nobody says where the host is is not the host's fault.
    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_is_silent_is_told_from_a_host_that_is() {
        let end = Instant::now() + CONNECT_TIMEOUT;
        let silent = std::future::pending::<Result<(), HostError>>();
        let silent = within(end, "meter.local", silent).await;
        assert_eq!(silent, Err(OpenError::NotLookedUp { host: "meter.local".to_owned() }));
        assert_eq!(Instant::now(), end);
        let said = async |error: fn(String) -> HostError| {
            within(end, "meter.local", async { Err::<(), _>(error("words".to_owned())) }).await
        };
        assert_eq!(said(HostError::NoAnswer).await, silent);
        let unknown = said(HostError::NotFound).await;
        assert_eq!(unknown, Err(OpenError::HostNotFound { host: "meter.local".to_owned() }));
        let shortage = said(HostError::Shortage).await;
        assert_eq!(shortage, Err(OpenError::Shortage { reason: "words".to_owned() }));
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
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err();
        let meant = |text: &str| ParseEndpointError::Meant(text.to_owned());
        assert_eq!(error("ttyUSB0"), meant("/dev/ttyUSB0"));
        assert_eq!(error("192.168.1.50:2003"), meant("socket://192.168.1.50:2003"));
        assert_eq!(error("COM3"), ParseEndpointError::NotAbsolute);
        assert_eq!(error("user:secret@host:2003"), ParseEndpointError::NotAbsolute);
        assert_eq!(error("socket://host"), ParseEndpointError::Address);
        assert_eq!(error("loop://"), ParseEndpointError::Scheme);
        assert_eq!(error("RFC2217://host:2003"), ParseEndpointError::Rfc2217);
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
        let (_master, slave) = SerialStream::pair().unwrap();
        let mut holder = slave;
        holder.set_exclusive(true).unwrap();
        let path = holder.name().unwrap();
        assert_eq!(open_error(&path).await, OpenError::Busy);
    }

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

    /// What a port was told, in order.
    #[derive(Default)]
    struct Told {
        lines: Vec<(&'static str, bool)>,
        has_none: bool,
        refuses: bool,
    }

    impl Told {
        fn set(&mut self, line: &'static str, up: bool) -> tokio_serial::Result<()> {
            self.lines.push((line, up));
            if self.refuses {
                Err(tokio_serial::Error::new(tokio_serial::ErrorKind::Unknown, "odd"))
            } else {
                Ok(())
            }
        }
    }

    impl ModemLines for Told {
        fn look(&mut self) -> tokio_serial::Result<()> {
            if self.has_none {
                Err(tokio_serial::Error::new(tokio_serial::ErrorKind::Unknown, "ENOTTY"))
            } else {
                Ok(())
            }
        }

        fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()> {
            self.set("DTR", up)
        }

        fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()> {
            self.set("RTS", up)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn modem_lines_are_set_as_configured_and_given_time() {
        use ModemLine::{Leave, Lower, Raise};

        for (dtr, rts, told, wait) in [
            (Raise, Raise, vec![("DTR", true), ("RTS", true)], POWER_UP),
            (Raise, Lower, vec![("DTR", true), ("RTS", false)], POWER_UP),
            (Lower, Raise, vec![("DTR", false), ("RTS", true)], POWER_UP),
            (Leave, Lower, vec![("RTS", false)], POWER_UP),
            // As the system sets them, which is up.
            (Leave, Leave, vec![], POWER_UP),
            (Lower, Lower, vec![("DTR", false), ("RTS", false)], Duration::ZERO),
        ] {
            let settings = SerialSettings { dtr, rts, ..SerialSettings::default() };
            for refuses in [false, true] {
                let mut port = Told { refuses, ..Told::default() };
                let started = Instant::now();
                set_modem_lines(&mut port, settings).await;
                assert_eq!((port.lines, started.elapsed()), (told.clone(), wait), "{settings:?}");
            }
            let mut port = Told { has_none: true, ..Told::default() };
            let started = Instant::now();
            set_modem_lines(&mut port, settings).await;
            assert_eq!((port.lines, started.elapsed()), (vec![], Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pseudo_terminal_has_no_modem_lines_and_is_opened_without_a_wait() {
        let (_master, mut slave) = SerialStream::pair().unwrap();
        slave.set_exclusive(false).unwrap();
        assert!(slave.look().is_err());
        let endpoint = slave.name().unwrap().parse().unwrap();
        drop(slave);
        let port = Port { endpoint, settings: SerialSettings::default() };
        let started = Instant::now();
        assert!(port.open().await.is_ok());
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    /// What is read from a connection of this age, to which a serial server says this and then ends
    /// it.
    async fn served(words: &[u8], age: Duration, reset: bool) -> io::Result<Vec<u8>> {
        served_at(None, words, age, reset).await
    }

    async fn served_at(
        listens_at: Option<u16>,
        words: &[u8],
        age: Duration,
        reset: bool,
    ) -> io::Result<Vec<u8>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap();
        let (connection, accepted) = tokio::join!(connect("127.0.0.1", port), listener.accept());
        let (connection, (mut server, _)) = (connection.unwrap(), accepted.unwrap());
        let mut connection =
            Connection { port: listens_at.unwrap_or(connection.port), ..connection };
        tokio::time::pause();
        tokio::time::advance(age).await;
        tokio::time::resume();
        server.write_all(words).await.unwrap();
        if reset {
            server.set_zero_linger().unwrap();
        }
        drop(server);
        let mut came = Vec::new();
        connection.read_to_end(&mut came).await.map(|_| came)
    }

    /// Longer than any words of a serial server.
    const LONG: [u8; LONGEST_WORDS + 1] = [b'x'; LONGEST_WORDS + 1];

    #[tokio::test]
    async fn a_serial_server_that_ends_the_connection_at_once_does_not_want_it() {
        let unwanted = |result: io::Result<Vec<u8>>| {
            let error = result.unwrap_err();
            error.get_ref().unwrap().downcast_ref::<OpenError>().unwrap().clone()
        };
        let said = |said: &str| OpenError::Unwanted { said: said.to_owned() };
        let page = format!("HTTP/1.1 400 Bad Request\r\n\r\n<p>@{}", "x".repeat(500));
        for age in [Duration::ZERO, AT_ONCE * 2] {
            assert_eq!(unwanted(served(page.as_bytes(), age, false).await), OpenError::WebPage);
        }
        let young = Duration::ZERO;
        assert_eq!(unwanted(served(b"", young, false).await), said(""));
        assert_eq!(unwanted(served(b"", young, true).await), said(""));
        let words = served(b"Port already in use\r\n", young, false).await;
        assert_eq!(unwanted(words), said("Port already in use"));
        for port in BROKERS {
            for reset in [false, true] {
                let ended = served_at(Some(port), b"", young, reset).await;
                assert_eq!(unwanted(ended), OpenError::Broker);
            }
            let words = served_at(Some(port), b"Port already in use\r\n", young, false).await;
            assert_eq!(unwanted(words), said("Port already in use"));
        }
        // It may be over before it was seen to be there.
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(OpenError::from_io(&error), said(""));

        // An old connection was idle too long; after an echo or a part of an answer it breaks.
        let old = AT_ONCE * 2;
        assert_eq!(served(b"", old, false).await.unwrap(), b"");
        let error = served(b"", old, true).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.get_ref().is_none()),
            (io::ErrorKind::ConnectionReset, true)
        );
        let answer = [0x40, 0x3F, 0x10];
        for bytes in [&[0x80, 0x3F][..], &answer[..1], &answer[..2], &answer, &LONG] {
            assert_eq!(served(bytes, young, false).await.unwrap(), bytes);
        }
    }
}
