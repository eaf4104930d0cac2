//! The steps from a connection to a serial port: greeting, description, subscription, settings.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::address::NodePort;
use super::connection::{Connection, Event};
use super::error::{NodeError, shown};
use super::messages::{
    Api, DTR, DeviceInfoRequest, DeviceInfoResponse, HelloRequest, HelloResponse, PingRequest, RTS,
    SUBSCRIBE, SerialProxyConfigureRequest, SerialProxyGetModemPinsRequest, SerialProxyRequest,
    SerialProxySetModemPinsRequest,
};
use super::wire::{Wire, WireError};
use crate::transport::error::OpenError;
use crate::transport::serial::POWER_UP;
use crate::transport::settings::{DataBits, ModemLine, Parity, SerialSettings, StopBits};
use crate::transport::stream::Stream;
use crate::transport::tcp::{self, CONNECT_TIMEOUT};
use crate::transport::watched::Watched;

/// A node answers within milliseconds, but an ESP8266 needs about a second for the handshake.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long opening takes at most.
pub(in crate::transport) const OPENS_WITHIN: Duration =
    CONNECT_TIMEOUT.saturating_add(ANSWERS_WITHIN).saturating_add(POWER_UP);

/// The version of the API that this client speaks. From 1.16 on a node answers a subscription.
const API_VERSION: (u32, u32) = (1, 16);

/// Nodes with an older API may require a password, and close the connection without it.
const WITHOUT_PASSWORDS: u32 = 14;

/// The first ESPHome with `serial_proxy`.
const FIRST_VERSION: (u32, u32) = (2026, 3);

/// Connects to a node and opens its serial port.
///
/// Cancel safety: dropping the future leaves nothing open.
pub(in crate::transport) async fn connect(
    node: &NodePort,
    settings: SerialSettings,
) -> Result<Connection<Watched<TcpStream>>, OpenError> {
    let stream = tcp::connect_stream(node.host(), node.port()).await;
    let stream = stream.map_err(|error| match error {
        OpenError::Unwanted { .. } => NodeError::Closed.into(),
        error => error,
    });
    open_over(node, stream?, settings).await
}

impl NodePort {
    /// Opens the port over a stream to the node's API that has just been connected.
    ///
    /// Cancel safety: dropping the future closes the stream.
    pub async fn open_over<S>(
        &self,
        stream: S,
        settings: SerialSettings,
    ) -> Result<impl Stream + use<S>, OpenError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        open_over(self, stream, settings).await
    }
}

async fn open_over<S: AsyncRead + AsyncWrite + Unpin>(
    node: &NodePort,
    stream: S,
    settings: SerialSettings,
) -> Result<Connection<S>, OpenError> {
    let begun = Instant::now();
    let end = begun.checked_add(ANSWERS_WITHIN).unwrap_or(begun);
    let opening = tokio::time::timeout_at(end, async {
        let mut wire = match node.key() {
            Some(key) => Wire::encrypted(stream, key).await.map_err(of_handshake)?,
            None => Wire::plain(stream),
        };
        greet(&mut wire, node.instance()).await?;
        let mut connection = Connection::new(wire, node.instance());
        let has_raised = connection.begin(settings).await?;
        Ok::<_, OpenError>((connection, has_raised))
    });
    let (connection, has_raised) = opening.await.unwrap_or(Err(NodeError::Silent.into()))?;
    if has_raised {
        tokio::time::sleep(POWER_UP).await;
    }
    Ok(connection)
}

/// Greets the node, and checks that it has this serial port.
async fn greet<S>(wire: &mut Wire<S>, instance: u32) -> Result<(), OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let client_info = concat!("kamstrup2mqtt ", env!("CARGO_PKG_VERSION")).to_owned();
    let (api_version_major, api_version_minor) = API_VERSION;
    wire.queue(&HelloRequest { client_info, api_version_major, api_version_minor })
        .map_err(of_wire)?;
    wire.queue(&DeviceInfoRequest {}).map_err(of_wire)?;
    let (mut hello, mut info) = (None::<HelloResponse>, None);
    let (hello, info) = loop {
        let received = wire.receive().await.map_err(|error| match &hello {
            Some(hello) if hello.api_version_minor < WITHOUT_PASSWORDS => {
                NodeError::TooOld { version: hello.esphome_version() }.into()
            }
            _ => of_wire(error),
        })?;
        hello = hello.or(received.decode::<HelloResponse>().transpose().map_err(of_wire)?);
        info = info.or(received.decode::<DeviceInfoResponse>().transpose().map_err(of_wire)?);
        match (hello, info) {
            (Some(hello), Some(info)) => break (hello, info),
            (some_hello, some_info) => (hello, info) = (some_hello, some_info),
        }
    };
    check(&hello, &info, instance).map_err(OpenError::from)
}

/// Whether the node has this serial port.
fn check(hello: &HelloResponse, info: &DeviceInfoResponse, instance: u32) -> Result<(), NodeError> {
    if hello.api_version_major != API_VERSION.0 {
        return Err(NodeError::OtherApi { major: hello.api_version_major });
    }
    let count = info.serial_proxies.len();
    if count == 0 {
        let version = &info.esphome_version;
        let is_old = year_and_month(version).is_some_and(|version| version < FIRST_VERSION);
        return Err(if is_old {
            NodeError::TooOld { version: shown(version) }
        } else {
            NodeError::NoSerialProxy
        });
    }
    if usize::try_from(instance).is_ok_and(|instance| instance < count) {
        Ok(())
    } else {
        Err(NodeError::NoSuchPort { instance, count })
    }
}

/// `2026.6.5` as 2026 and 6.
fn year_and_month(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl HelloResponse {
    /// The version in `head (esphome v2025.1.0)`.
    fn esphome_version(&self) -> String {
        let version = self.server_info.rsplit_once("esphome v").map_or("", |(_, version)| version);
        shown(version.trim_end_matches(')'))
    }
}

fn of_wire(error: WireError) -> OpenError {
    match error {
        WireError::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => NodeError::Closed.into(),
            _ => OpenError::of_connection(&error),
        },
        WireError::Ended => NodeError::Closed.into(),
        WireError::OtherKind { is_encrypted: true } => NodeError::KeyMissing.into(),
        WireError::OtherKind { is_encrypted: false } => NodeError::KeyUnneeded.into(),
        WireError::Rejected(said) => NodeError::Refused { said: shown(&said) }.into(),
        WireError::Malformed | WireError::Undecipherable => NodeError::NotANode.into(),
    }
}

/// ESPHome says `Handshake MAC failure` if its key is another one.
fn of_handshake(error: WireError) -> OpenError {
    match error {
        WireError::Rejected(said) if said.contains("MAC") => NodeError::KeyWrong.into(),
        WireError::Undecipherable => NodeError::KeyWrong.into(),
        error => of_wire(error),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Subscribes to the port, and sends the settings of its line. Says whether a modem line was
    /// raised that may power the head.
    ///
    /// Only a subscriber may change the settings from API version 1.17 on.
    async fn begin(&mut self, settings: SerialSettings) -> Result<bool, OpenError> {
        let instance = self.instance();
        self.subscribed();
        self.queue(&SerialProxyRequest { instance, kind: SUBSCRIBE })?;
        self.queue(&configuration(instance, settings))?;
        let before = self.line_states().await?;
        let wanted = line(line(before, DTR, settings.dtr), RTS, settings.rts);
        if (settings.dtr, settings.rts) == (ModemLine::Leave, ModemLine::Leave) {
            return Ok(false);
        }
        self.queue(&SerialProxySetModemPinsRequest { instance, line_states: wanted })?;
        // A node keeps its lines between polls, and a line without a pin is never raised.
        let after = self.line_states().await?;
        Ok(after & !before != 0)
    }

    /// The node's modem lines; none if it does not say. It handles everything that the node sends
    /// before that, such as the answer to a subscription.
    async fn line_states(&mut self) -> Result<u32, OpenError> {
        let instance = self.instance();
        self.queue(&SerialProxyGetModemPinsRequest { instance })?;
        self.queue(&PingRequest {})?;
        let mut line_states = 0;
        loop {
            match self.next().await? {
                Event::Pong => return Ok(line_states),
                Event::LineStates(states) => line_states = states,
                // It cannot be the answer to a request that has not been sent yet.
                Event::Data(_) | Event::Nothing => {}
            }
        }
    }

    fn queue<M: Api>(&mut self, message: &M) -> Result<(), OpenError> {
        self.wire().queue(message).map_err(of_wire)
    }

    async fn next(&mut self) -> Result<Event, OpenError> {
        let received = self.wire().receive().await.map_err(of_wire)?;
        self.handle(&received).map_err(|error| match error.get_ref() {
            Some(inner) => match inner.downcast_ref::<OpenError>() {
                Some(error) => error.clone(),
                None => NodeError::Closed.into(),
            },
            None => OpenError::of_connection(&error),
        })
    }
}

fn configuration(instance: u32, settings: SerialSettings) -> SerialProxyConfigureRequest {
    SerialProxyConfigureRequest {
        instance,
        baudrate: settings.baud.get(),
        parity: match settings.parity {
            Parity::None => 0,
            Parity::Even => 1,
            Parity::Odd => 2,
        },
        stop_bits: match settings.stop_bits {
            StopBits::One => 1,
            StopBits::Two => 2,
        },
        data_size: match settings.data_bits {
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        },
    }
}

/// The states with one line as it is configured.
fn line(states: u32, line: u32, wanted: ModemLine) -> u32 {
    match wanted {
        ModemLine::Raise => states | line,
        ModemLine::Lower => states & !line,
        ModemLine::Leave => states,
    }
}
