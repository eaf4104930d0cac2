//! The trait of ports that can be opened, and the type of port that implements it.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::endpoint::Endpoint;
use super::error::OpenError;
use super::server::ServerTurn;
use super::settings::SerialSettings;
use super::stream::Stream;
use super::{esphome, serial, tcp};

/// A port that is opened for each poll, and closed after it.
pub trait Open: Send + Sync {
    /// Waits until no other meter uses the port. Until the guard is dropped, the port may be opened
    /// and closed any number of times.
    fn acquire(&self) -> impl Future<Output = PortGuard> + Send {
        std::future::ready(PortGuard::default())
    }

    /// Whether other meters share the port. They wait while a poll gets no answer.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether other meters are on the port, or on other ports of its serial server. Even if the
    /// server serves several connections at a time, one of these meters may wait until it has the
    /// server for itself, and then the others wait for that one.
    fn has_neighbours(&self) -> bool {
        self.is_shared()
    }

    /// Whether a serial server refused or ended the last connection because of another one of this
    /// program. The next connection is opened when the others have ended.
    fn was_crowded_out(&self) -> bool {
        false
    }

    /// How long opening takes at most, without a wait for other connections.
    fn opens_within(&self) -> Duration {
        Duration::ZERO
    }

    /// Opens the port.
    ///
    /// Cancel safety: dropping the future leaves nothing open.
    fn open(&self) -> impl Future<Output = Result<Box<dyn Stream>, OpenError>> + Send;
}

/// The exclusive use of a port, until it is dropped.
#[derive(Debug, Default)]
#[must_use = "the next meter in the queue gets the port when this is dropped"]
pub struct PortGuard {
    // In this order: who waits for the port needs the server next.
    _server: Option<ServerTurn>,
    _port: Option<OwnedMutexGuard<()>>,
}

impl PortGuard {
    pub(super) fn new(port: OwnedMutexGuard<()>, server: Option<ServerTurn>) -> Self {
        Self { _server: server, _port: Some(port) }
    }
}

/// An endpoint with the settings of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The device, the network serial server or the ESPHome node.
    pub endpoint: Endpoint,
    /// The settings of the serial line.
    pub settings: SerialSettings,
    /// The byte that starts every answer: `kmp::frame::START_FROM_METER` for a meter. Text that
    /// contains it is not treated as a message of the serial server.
    pub answer_start: u8,
}

impl Open for Port {
    fn opens_within(&self) -> Duration {
        match &self.endpoint {
            Endpoint::Tcp { .. } => tcp::CONNECT_TIMEOUT,
            Endpoint::Node(_) => esphome::OPENS_WITHIN,
            Endpoint::Serial { .. } => serial::POWER_UP,
        }
    }

    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        match &self.endpoint {
            Endpoint::Tcp { host, port } => {
                Ok(Box::new(tcp::connect(host, *port, self.answer_start).await?))
            }
            Endpoint::Node(node) => Ok(Box::new(esphome::connect(node, self.settings).await?)),
            Endpoint::Serial { path } => Ok(Box::new(serial::open(path, self.settings).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;
    use tokio_serial::{SerialPort, SerialStream};

    use super::*;

    fn port(endpoint: &str) -> Port {
        let endpoint = endpoint.parse().unwrap();
        Port { endpoint, settings: SerialSettings::default(), answer_start: b'@' }
    }

    async fn open_error(text: &str) -> OpenError {
        match port(text).open().await {
            Ok(_) => panic!("{text} opened"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn each_cause_has_its_own_error() {
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
        let (_master, slave) = SerialStream::pair().unwrap();
        let mut holder = slave;
        holder.set_exclusive(true).unwrap();
        let path = holder.name().unwrap();
        assert_eq!(open_error(&path).await, OpenError::Busy);
    }

    /// Some programs do not lock the device file, so only the terminal can refuse them. It refuses
    /// no privileged process.
    #[tokio::test]
    async fn a_port_in_use_stays_exclusive_after_a_read() {
        let (mut master, slave) = SerialStream::pair().unwrap();
        let path = slave.name().unwrap();
        // Another handle keeps the terminal open, and gives the lock of the file back.
        let kept = File::open(&path).unwrap();
        drop(slave);
        let open_again = || File::open(&path).map(drop).map_err(|error| error.kind());
        let mut stream = port(&path).open().await.unwrap();
        let while_opened = open_again();
        for _ in 0..3 {
            master.write_all(b"@").await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'@');
            assert_eq!(open_again(), while_opened);
        }
        assert_eq!(open_error(&path).await, OpenError::Busy);
        drop((stream, kept));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pseudo_terminal_has_no_modem_lines_and_is_opened_without_a_wait() {
        let (_master, mut slave) = SerialStream::pair().unwrap();
        slave.set_exclusive(false).unwrap();
        assert!(slave.read_clear_to_send().is_err());
        let path = slave.name().unwrap();
        drop(slave);
        let started = Instant::now();
        assert!(port(&path).open().await.is_ok());
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
