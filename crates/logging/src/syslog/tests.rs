use std::io::{self, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};

use syslog_loose::{ProcId, Protocol, SyslogFacility, SyslogSeverity, Variant, parse_message};
use tempfile::TempDir;

use super::client::{Client, connect_udp};
use super::message::{Header, LONGEST, LONGEST_UDP, Sender, cut, local_message, message};
use super::{Address, Facility, ParseAddressError, ParseFacilityError};
use crate::record::tests::example;
use crate::record::{Level, Record};

const LOCAL0: Facility = Facility(16);
const NAME: &str = "kamstrup2mqtt";

fn sender() -> Sender {
    Sender { app_name: NAME, host: "pi".to_owned(), process: 4711 }
}

#[test]
fn addresses_are_parsed() {
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
fn facilities_are_parsed() {
    assert_eq!("local0".parse(), Ok(LOCAL0));
    assert_eq!("LOG_DAEMON".parse(), Ok(Facility(3)));
    assert_eq!("local8".parse::<Facility>(), Err(ParseFacilityError));
    assert!(ParseFacilityError.to_string().starts_with("use one of kern, user, mail"));
}

#[test]
fn an_independent_parser_reads_every_part() {
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
fn a_message_has_exactly_this_form() {
    assert_eq!(
        message(&example(), LOCAL0, &sender(), "Read 7 of 7 values in 0.9 s.", LONGEST),
        "<134>1 2026-11-24T10:00:00.123000+01:00 pi kamstrup2mqtt 4711 - - Read 7 of 7 values \
         in 0.9 s."
    );
    let nameless = Sender { app_name: NAME, host: " \u{e9}\n".to_owned(), process: 1 };
    assert!(
        message(&example(), LOCAL0, &nameless, "", LONGEST).contains("+01:00 - kamstrup2mqtt 1 ")
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
fn the_journal_is_recognized_by_its_socket() {
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
    // In a container, the socket itself is at /dev/log.
    assert_eq!(
        Client::new(NAME, "/dev/log".parse().unwrap(), LOCAL0, false).header(),
        Header::Local
    );
}

#[test]
fn a_stream_socket_is_recognized() {
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
fn tcp_messages_have_a_length_and_a_closed_connection_is_noticed() {
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
fn a_udp_port_that_nobody_listens_on_is_noticed() {
    // On an address of its own, so that no other test takes the port in the meantime.
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
    // This one is sent before the refusal arrives.
    client.send(&example(), "two").unwrap();
    client.send(&example(), "three").unwrap_err();
    client.send(&example(), "three").unwrap_err();
    let server = UdpSocket::bind(address).unwrap();
    client.send(&example(), "three").unwrap();
    // The lost line is sent again.
    assert!(receive(&server, &mut buffer).ends_with("two"));
    assert!(receive(&server, &mut buffer).ends_with("three"));
}

#[test]
fn the_next_address_is_used_if_nobody_listens_on_the_first() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let somebody = server.local_addr().unwrap();
    let socket = connect_udp([nobody, somebody].into_iter(), &["one", "two"]).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), somebody);
    let mut buffer = [0; 8];
    for line in ["one", "two"] {
        let length = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], line.as_bytes());
    }
    let refused = connect_udp([nobody].into_iter(), &["one"]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
