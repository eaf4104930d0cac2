//! The connection to a log server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::Address;
use super::message::{Facility, Header, LONGEST, LONGEST_UDP, Sender, local_message, message};
use crate::record::Record;

/// A connection to the log server.
#[derive(Debug)]
enum Connection {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// How long connecting may take, and how long the server may take to accept a line.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a host to report that nobody listens on the port.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(200);

/// Sends lines over a connection, which it opens when needed.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    facility: Facility,
    sender: Sender,
    /// Whether the lines already name the program.
    tagged: bool,
    connection: Option<Connection>,
    /// The last datagram. An error on the next one shows that this one was lost.
    last_datagram: Option<String>,
}

impl Client {
    pub(crate) fn new(
        app_name: &'static str,
        address: Address,
        facility: Facility,
        tagged: bool,
    ) -> Self {
        let sender = Sender::this_process(app_name);
        Self { address, facility, sender, tagged, connection: None, last_datagram: None }
    }

    /// Sends one line. After an error, the line is not sent, and the next one gets a new
    /// connection.
    pub(crate) fn send(&mut self, record: &Record, text: &str) -> io::Result<()> {
        let message = match (self.header(), &self.address) {
            (Header::Local, _) => {
                local_message(record, self.facility, &self.sender, text, self.tagged)
            }
            (Header::Full, Address::Udp(_)) => {
                message(record, self.facility, &self.sender, text, LONGEST_UDP)
            }
            (Header::Full, _) => message(record, self.facility, &self.sender, text, LONGEST),
        };
        let result = self.try_send(&message);
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    /// The system's own log is recognized by its path. `/dev/log` may be a link to journald's
    /// socket. In a container, it may be that socket itself, under any name.
    pub(super) fn header(&self) -> Header {
        let Address::Unix(path) = &self.address else {
            return Header::Full;
        };
        let is_journal = |path: PathBuf| path.ends_with("systemd/journal/dev-log");
        let is_system = path == Path::new("/dev/log") || path.canonicalize().is_ok_and(is_journal);
        if is_system { Header::Local } else { Header::Full }
    }

    fn try_send(&mut self, message: &str) -> io::Result<()> {
        let mut connection = match (self.connection.take(), &self.address) {
            (Some(connection), _) => connection,
            (None, Address::Udp(server)) => {
                let lines: Vec<&str> =
                    self.last_datagram.as_deref().into_iter().chain([message]).collect();
                let socket = connect_udp(server.to_socket_addrs()?, &lines)?;
                self.connection = Some(Connection::Udp(socket));
                self.last_datagram = Some(message.to_owned());
                return Ok(());
            }
            (None, Address::Tcp(server)) => connect_tcp(server)?,
            (None, Address::Unix(path) | Address::UnixFull(path)) => connect_unix(path)?,
        };
        match &mut connection {
            Connection::Datagram(socket) => drop(socket.send(message.as_bytes())?),
            // Terminated by a zero byte, as by the C library.
            Connection::Stream(stream) => stream.write_all(format!("{message}\0").as_bytes())?,
            Connection::Udp(socket) => {
                socket.send(message.as_bytes())?;
                self.last_datagram = Some(message.to_owned());
            }
            Connection::Tcp(stream) => {
                check_is_open(stream)?;
                // In one write (RFC 6587, 3.4.1).
                stream.write_all(format!("{} {message}", message.len()).as_bytes())?;
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

/// Sends the first lines to the first address of a server that does not refuse them. A name often
/// has an IPv6 and an IPv4 address, and the server may listen on only one of them.
pub(super) fn connect_udp(
    addresses: impl Iterator<Item = SocketAddr>,
    lines: &[&str],
) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match try_udp(address, lines) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn try_udp(address: SocketAddr, lines: &[&str]) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(REFUSAL_TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.connect(address)?;
    for line in lines {
        socket.send(line.as_bytes())?;
    }
    check_is_not_refused(&socket)?;
    Ok(socket)
}

fn connect_tcp(server: &str) -> io::Result<Connection> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                return Ok(Connection::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Most local logs accept datagrams, some accept a stream.
fn connect_unix(path: &Path) -> io::Result<Connection> {
    let datagram = UnixDatagram::unbound()?;
    let Err(error) = datagram.connect(path) else {
        datagram.set_write_timeout(Some(TIMEOUT))?;
        return Ok(Connection::Datagram(datagram));
    };
    match UnixStream::connect(path) {
        Ok(stream) => {
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(Connection::Stream(stream))
        }
        Err(_) => Err(error),
    }
}

/// Returns an error if the host reports that nobody listens on the port. Silence proves nothing.
fn check_is_not_refused(socket: &UdpSocket) -> io::Result<()> {
    let waited = socket.recv(&mut [0; 1]);
    match waited {
        Err(error)
            if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Returns an error if the server has closed the connection. The first write would not notice that.
fn check_is_open(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    // Log servers send nothing, so a read can only show the end of the connection.
    let read = stream.read(&mut [0; 64]);
    stream.set_nonblocking(false)?;
    match read {
        Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
