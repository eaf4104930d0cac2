//! The system's log or a log server: RFC 5424 over a Unix socket, UDP, or TCP with octet counting
//! (RFC 6587).
//!
//! Plain syslog is never acknowledged: what is under way when a server dies is lost, and nobody can
//! know. All else is found out: a server that is gone is seen before each line.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::record::{Level, Record};

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `/dev/log`, or any other socket; by RFC 5424 unless it is the system's own.
    Unix(PathBuf),
    /// `unix:///dev/log`: by RFC 5424 whatever it is.
    UnixFull(PathBuf),
    /// `host:514` or `udp://host`
    Udp(String),
    /// `tcp://host:601`
    Tcp(String),
}

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a log server is a socket like `/dev/log`, `host:514`, `udp://host:514` or `tcp://host:601`"
)]
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

/// As long as the system takes it (unix(7)).
fn socket(path: &str) -> Result<PathBuf, ParseAddressError> {
    let fits = path.len() < 108 && !path.contains('\0');
    if fits { Ok(path.into()) } else { Err(ParseAddressError) }
}

/// `host:port`, as the system looks it up.
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

/// Under which name lines are filed (RFC 5424, 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

/// The text is none of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the names are {}", FACILITIES.map(|(name, _)| name).join(", "))]
pub struct ParseFacilityError;

/// The names that Python has for them.
const FACILITIES: [(&str, u8); 24] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("security", 13),
    ("console", 14),
    ("solaris-cron", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

impl FromStr for Facility {
    type Err = ParseFacilityError;

    fn from_str(text: &str) -> Result<Self, ParseFacilityError> {
        let name = text.to_ascii_lowercase();
        // Also as C programs spell them.
        let name = name.strip_prefix("log_").unwrap_or(&name);
        let known = FACILITIES.iter().find(|(known, _)| *known == name);
        known.map(|(_, code)| Self(*code)).ok_or(ParseFacilityError)
    }
}

/// RFC 5424, 6.2.1.
const fn severity(level: Level) -> u8 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Warning => 4,
        Level::Error => 3,
        Level::Critical => 2,
    }
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    /// The program's name.
    pub(super) app_name: &'static str,
    /// This computer's name; empty where it is not known.
    pub(super) host: String,
    /// The number of this process.
    pub(super) process: u32,
}

impl Sender {
    /// This process.
    pub(super) fn this(app_name: &'static str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { app_name, host: host.trim().to_owned(), process: std::process::id() }
    }
}

/// What goes before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    /// All of RFC 5424.
    Full,
    /// What C programs send to the system's own log. journald (systemd issue 19251), busybox, and
    /// rsyslog as it is set up take all but the priority and `name[123]: ` there for the message.
    Local,
}

/// How many bytes a message may have: what every server should take over UDP (RFC 5424, 6.1), and
/// what rsyslog and journald take elsewhere.
const LONGEST_UDP: usize = 2048;
const LONGEST: usize = 8192;

fn priority(record: &Record, facility: Facility) -> u8 {
    facility.0.saturating_mul(8).saturating_add(severity(record.level))
}

/// One message: `<134>1 2026-11-24T10:00:00.123000+01:00 pi kamstrup2mqtt 4711 - - Read 7 of …`.
///
/// No structured data, and no byte order mark before the UTF-8, which servers would show.
pub(super) fn message(
    record: &Record,
    facility: Facility,
    sender: &Sender,
    text: &str,
    longest: usize,
) -> String {
    let time = record.time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z");
    let host = printable(&sender.host, 255);
    let (priority, app_name, process) =
        (priority(record, facility), sender.app_name, sender.process);
    let message = format!("<{priority}>1 {time} {host} {app_name} {process} - - {text}");
    cut(message, longest)
}

/// One message as the local log of old takes it. A format of the user's own says who speaks.
fn local_message(
    record: &Record,
    facility: Facility,
    sender: &Sender,
    text: &str,
    tagged: bool,
) -> String {
    let priority = priority(record, facility);
    let tag =
        if tagged { String::new() } else { format!("{}[{}]: ", sender.app_name, sender.process) };
    cut(format!("<{priority}>{tag}{text}"), LONGEST)
}

/// A name as a header takes it: ASCII without spaces, `-` for none.
fn printable(name: &str, longest: usize) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// At most so many bytes, the last of them `…` where some are missing.
fn cut(mut text: String, longest: usize) -> String {
    const MORE: char = '…';
    if text.len() > longest {
        let mut end = longest.saturating_sub(MORE.len_utf8());
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        text.push(MORE);
    }
    text
}

/// A way to the log.
#[derive(Debug)]
enum Way {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// How long a connection may take to be made, and a line to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an unreachable host may take to say so.
const REFUSAL: Duration = Duration::from_millis(200);

/// Sends lines, over a connection that is made when it is needed.
#[derive(Debug)]
pub(super) struct Client {
    address: Address,
    facility: Facility,
    sender: Sender,
    /// Whether lines say themselves who speaks.
    tagged: bool,
    way: Option<Way>,
    /// The datagram before, of which it may turn out that nobody was there.
    before: Option<String>,
}

impl Client {
    pub(super) fn new(
        app_name: &'static str,
        address: Address,
        facility: Facility,
        tagged: bool,
    ) -> Self {
        let sender = Sender::this(app_name);
        Self { address, facility, sender, tagged, way: None, before: None }
    }

    /// Sends one line. After an error it is not sent, and a new connection is made for the next one.
    pub(super) fn send(&mut self, record: &Record, text: &str) -> io::Result<()> {
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
            self.way = None;
        }
        result
    }

    /// The system's own log is known by where it is: `/dev/log` may be a link to journald's socket,
    /// or, in a container, that socket under its own name.
    fn header(&self) -> Header {
        let Address::Unix(path) = &self.address else {
            return Header::Full;
        };
        let is_journal = |path: PathBuf| path.ends_with("systemd/journal/dev-log");
        let is_system = path == Path::new("/dev/log") || path.canonicalize().is_ok_and(is_journal);
        if is_system { Header::Local } else { Header::Full }
    }

    fn try_send(&mut self, message: &str) -> io::Result<()> {
        let mut way = match (self.way.take(), &self.address) {
            (Some(way), _) => way,
            (None, Address::Udp(server)) => {
                let lines: Vec<&str> =
                    self.before.as_deref().into_iter().chain([message]).collect();
                let socket = begin_udp(server.to_socket_addrs()?, &lines)?;
                self.way = Some(Way::Udp(socket));
                self.before = Some(message.to_owned());
                return Ok(());
            }
            (None, Address::Tcp(server)) => connect_tcp(server)?,
            (None, Address::Unix(path) | Address::UnixFull(path)) => connect_unix(path)?,
        };
        match &mut way {
            Way::Datagram(socket) => drop(socket.send(message.as_bytes())?),
            // As the C library does it.
            Way::Stream(stream) => stream.write_all(format!("{message}\0").as_bytes())?,
            Way::Udp(socket) => {
                socket.send(message.as_bytes())?;
                self.before = Some(message.to_owned());
            }
            Way::Tcp(stream) => {
                is_still_there(stream)?;
                // In one write: RFC 6587, 3.4.1.
                stream.write_all(format!("{} {message}", message.len()).as_bytes())?;
            }
        }
        self.way = Some(way);
        Ok(())
    }
}

/// Sends first lines to the first of a server's addresses where somebody may be: a name often has
/// one of IPv6 and one of IPv4, and the server listens at one of them.
fn begin_udp(addresses: impl Iterator<Item = SocketAddr>, lines: &[&str]) -> io::Result<UdpSocket> {
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
    socket.set_read_timeout(Some(REFUSAL))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(address)?;
    for line in lines {
        socket.send(line.as_bytes())?;
    }
    is_anybody_there(&socket)?;
    Ok(socket)
}

fn connect_tcp(server: &str) -> io::Result<Way> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(Way::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Most local logs take datagrams, some a stream.
fn connect_unix(path: &Path) -> io::Result<Way> {
    let datagram = UnixDatagram::unbound()?;
    let Err(error) = datagram.connect(path) else {
        datagram.set_write_timeout(Some(PATIENCE))?;
        return Ok(Way::Datagram(datagram));
    };
    match UnixStream::connect(path) {
        Ok(stream) => {
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Way::Stream(stream))
        }
        Err(_) => Err(error),
    }
}

/// Whether the host says that nobody listens at the port. It can be silent; then nobody knows.
fn is_anybody_there(socket: &UdpSocket) -> io::Result<()> {
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

/// Whether the server has ended the connection, which a first write would not notice.
fn is_still_there(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    // Log servers do not answer.
    let read = stream.read(&mut [0; 64]);
    stream.set_nonblocking(false)?;
    match read {
        Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use syslog_loose::{ProcId, Protocol, SyslogFacility, SyslogSeverity, Variant, parse_message};
    use tempfile::TempDir;

    use super::*;
    use crate::record::tests::example;

    const LOCAL0: Facility = Facility(16);
    const NAME: &str = "kamstrup2mqtt";

    fn sender() -> Sender {
        Sender { app_name: NAME, host: "pi".to_owned(), process: 4711 }
    }

    #[test]
    fn addresses() {
        let parsed = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
        for (text, expected) in [
            ("/dev/log", "/dev/log"),
            ("loghost", "udp://loghost:514"),
            ("loghost:1514", "udp://loghost:1514"),
            ("192.168.1.5:514", "udp://192.168.1.5:514"),
            ("udp://loghost", "udp://loghost:514"),
            ("tcp://loghost", "tcp://loghost:601"),
            ("tcp://[fe80::1%eth0]:6514", "tcp://[fe80::1%eth0]:6514"),
            ("[::1]", "udp://[::1]:514"),
            ("unix:///dev/log", "unix:///dev/log"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "dev/log",
            "tls://loghost",
            "loghost:",
            "loghost:0",
            "loghost:70000",
            "::1",
            ":514",
            "[::1",
            "[::1]x",
            "tcp://",
            "a b",
            "/\0",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(format!("/{}", "x".repeat(107)).parse::<Address>(), Err(ParseAddressError));
    }

    #[test]
    fn facilities() {
        assert_eq!("local0".parse(), Ok(LOCAL0));
        assert_eq!("LOG_DAEMON".parse(), Ok(Facility(3)));
        assert_eq!("local8".parse::<Facility>(), Err(ParseFacilityError));
        assert!(ParseFacilityError.to_string().starts_with("the names are kern, user, mail"));
    }

    #[test]
    fn an_independent_parser_finds_every_part() {
        let levels = [
            (Level::Debug, SyslogSeverity::SEV_DEBUG),
            (Level::Info, SyslogSeverity::SEV_INFO),
            (Level::Warning, SyslogSeverity::SEV_WARNING),
            (Level::Error, SyslogSeverity::SEV_ERR),
            (Level::Critical, SyslogSeverity::SEV_CRIT),
        ];
        for ((level, severity), text) in
            levels.into_iter().zip(["one", "67.25 °C", "[not=\"data\"]", "two\nlines", "a  b"])
        {
            let record = Record { level, ..example() };
            let written = message(&record, LOCAL0, &sender(), text, LONGEST);
            let parsed = parse_message(&written, Variant::RFC5424);
            assert_eq!(parsed.protocol, Protocol::RFC5424(1));
            assert_eq!(parsed.facility, Some(SyslogFacility::LOG_LOCAL0));
            assert_eq!(parsed.severity, Some(severity));
            let time = parsed.timestamp.map(|time| time.to_rfc3339());
            assert_eq!(time.as_deref(), Some("2026-11-24T10:00:00.123+01:00"));
            assert_eq!((parsed.hostname, parsed.appname), (Some("pi"), Some("kamstrup2mqtt")));
            assert_eq!(parsed.procid, Some(ProcId::PID(4711)));
            assert_eq!((parsed.msgid, parsed.structured_data), (None, vec![]));
            assert_eq!(parsed.msg, text);
        }
    }

    #[test]
    fn the_message_to_the_letter() {
        assert_eq!(
            message(&example(), LOCAL0, &sender(), "Read 7 of 7 values in 0.9 s.", LONGEST),
            "<134>1 2026-11-24T10:00:00.123000+01:00 pi kamstrup2mqtt 4711 - - Read 7 of 7 values \
             in 0.9 s."
        );
        let nameless = Sender { app_name: NAME, host: " \u{e9}\n".to_owned(), process: 1 };
        assert!(
            message(&example(), LOCAL0, &nameless, "", LONGEST)
                .contains("+01:00 - kamstrup2mqtt 1 ")
        );
        let local = |tagged| local_message(&example(), LOCAL0, &sender(), "Stopped.", tagged);
        assert_eq!(local(false), "<134>kamstrup2mqtt[4711]: Stopped.");
        assert_eq!(local(true), "<134>Stopped.");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "°".repeat(5000);
        for longest in [LONGEST_UDP, LONGEST, 100, 101] {
            let written = message(&example(), LOCAL0, &sender(), &long, longest);
            assert!(written.len() <= longest && written.len() > longest - 3, "{}", written.len());
            assert!(written.ends_with("°…"));
        }
        assert_eq!(cut("°".to_owned(), 2), "°");
    }

    #[test]
    fn the_journal_is_known_by_its_socket() {
        let folder = TempDir::new().unwrap();
        let journal = folder.path().join("systemd/journal");
        std::fs::create_dir_all(&journal).unwrap();
        let socket = UnixDatagram::bind(journal.join("dev-log")).unwrap();
        let link = folder.path().join("log");
        std::os::unix::fs::symlink(journal.join("dev-log"), &link).unwrap();
        let received = |address: &str| {
            let mut client = Client::new(NAME, address.parse().unwrap(), LOCAL0, false);
            client.send(&example(), "one").unwrap();
            let mut buffer = [0; 300];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let expected = format!("<134>kamstrup2mqtt[{}]: one", std::process::id());
        assert_eq!(received(link.to_str().unwrap()), expected);
        let full = received(&format!("unix://{}", link.display()));
        assert!(full.starts_with("<134>1 2026-11-24T10:00:00.123000+01:00 "), "{full}");
        // In a container the socket itself is at /dev/log.
        assert_eq!(
            Client::new(NAME, "/dev/log".parse().unwrap(), LOCAL0, false).header(),
            Header::Local
        );
    }

    #[test]
    fn a_stream_socket_is_found_to_be_one() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = Client::new(NAME, Address::Unix(path), LOCAL0, false);
        client.send(&example(), "one").unwrap();
        client.send(&example(), "two").unwrap();
        drop(client);
        let mut received = String::new();
        listener.accept().unwrap().0.read_to_string(&mut received).unwrap();
        let lines: Vec<_> = received.split_terminator('\0').collect();
        assert!(lines.len() == 2 && lines[0].ends_with("- - one") && lines[1].ends_with("- - two"));
    }

    #[test]
    fn octets_are_counted_over_tcp_and_an_end_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let mut client = Client::new(NAME, address.parse().unwrap(), LOCAL0, false);
        client.send(&example(), "67 °C").unwrap();
        let (mut first, _) = listener.accept().unwrap();
        let mut buffer = [0; 300];
        let length = first.read(&mut buffer).unwrap();
        let received = std::str::from_utf8(&buffer[..length]).unwrap();
        let (count, message) = received.split_once(' ').unwrap();
        assert_eq!(count.parse::<usize>().unwrap(), message.len());
        assert!(message.ends_with("67 °C"));
        drop(first);
        client.send(&example(), "lost?").unwrap_err();
        client.send(&example(), "again").unwrap();
        let (mut second, _) = listener.accept().unwrap();
        drop(client);
        let mut received = String::new();
        second.read_to_string(&mut received).unwrap();
        assert!(received.ends_with("again") && !received.contains("lost?"));
    }

    #[test]
    fn a_port_where_nobody_listens_is_noticed_over_udp() {
        // At an address of its own, so that no other test takes the port meanwhile.
        let server = UdpSocket::bind("127.0.0.77:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut client = Client::new(NAME, address.to_string().parse().unwrap(), LOCAL0, false);
        client.send(&example(), "one").unwrap();
        let mut buffer = [0; 300];
        let receive = |server: &UdpSocket, buffer: &mut [u8]| {
            let length = server.recv(buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert!(receive(&server, &mut buffer).ends_with("one"));
        drop(server);
        // This one is on its way before anybody can know.
        client.send(&example(), "two").unwrap();
        client.send(&example(), "three").unwrap_err();
        client.send(&example(), "three").unwrap_err();
        let server = UdpSocket::bind(address).unwrap();
        client.send(&example(), "three").unwrap();
        // What was on its way comes again.
        assert!(receive(&server, &mut buffer).ends_with("two"));
        assert!(receive(&server, &mut buffer).ends_with("three"));
    }

    #[test]
    fn the_next_address_is_taken_where_nobody_is_at_the_first() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = gone.local_addr().unwrap();
        drop(gone);
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let somebody = server.local_addr().unwrap();
        let socket = begin_udp([nobody, somebody].into_iter(), &["one", "two"]).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), somebody);
        let mut buffer = [0; 8];
        for line in ["one", "two"] {
            let length = server.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], line.as_bytes());
        }
        let refused = begin_udp([nobody].into_iter(), &["one"]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
