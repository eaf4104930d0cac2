//! Tests with brokers that use TLS, and with brokers that should use it but do not.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rumqttc::tokio_rustls::TlsAcceptor;
use rumqttc::{ConnectionError, Event, Incoming, MqttOptions, StateError, TlsError, mqttbytes};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{
    ALL_VERSIONS, AlertDescription, CertificateError, InvalidMessage, OtherError, RootCertStore,
    ServerConfig, SupportedProtocolVersion,
};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::advice::Advice;
use crate::config;
use crate::mqtt::client;
use crate::mqtt::failure::{self, Facts, Stage};
use crate::mqtt::renewal::Renewal;
use crate::tls;
use crate::tls::certificates::{Authority, Certified};
use logging::capture;
use meter::RunsAs;

/// CONNACK: accepted.
const WELCOME: [u8; 4] = [0x20, 2, 0, 0];

const HERE: &str = "127.0.0.1";

/// The broker's TLS settings.
struct Served<'a> {
    shown: &'a Certified,
    /// Clients must have a certificate of this CA.
    wants: Option<&'a Authority>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl<'a> Served<'a> {
    fn new(shown: &'a Certified) -> Self {
        Self { shown, wants: None, versions: ALL_VERSIONS }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match self.wants {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(&authority.pem)).unwrap();
                let roots = Arc::new(roots);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.shown.key.as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        // The certificate is sent whatever it is.
        let certified = CertifiedKey::new(vec![certificate(&self.shown.certificate)], key);
        let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Accepts one client, until it disconnects.
async fn let_in<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes).await.unwrap_or(0);
    if count > 0 && bytes[0] == 0x10 {
        stream.write_all(&WELCOME).await.unwrap();
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    }
}

/// A broker for one client. Returns the name that the client asks for.
async fn serve(at: &str, acceptor: TlsAcceptor) -> (SocketAddr, JoinHandle<Option<String>>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.ok()?;
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        let_in(stream).await;
        name
    });
    (address, serving)
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The broker's settings from a CA, a client certificate, and other variables.
    fn broker(
        &self,
        address: SocketAddr,
        ca: Option<&str>,
        ours: Option<&Certified>,
        more: &[(&str, &str)],
    ) -> Broker {
        let mut variables = config::Variables::new();
        let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value.into());
        set("SERIAL_COM_PORT", "/dev/ttyUSB0".to_owned());
        set("MQTT_TLS_ENABLED", "true".to_owned());
        set("MQTT_HOST", address.ip().to_string());
        set("MQTT_PORT", address.port().to_string());
        let mut file = |variable: &str, name: &str, text: &str| {
            set(variable, self.write(name, text).to_str().unwrap().to_owned());
        };
        if let Some(ca) = ca {
            file("MQTT_TLS_CA_CERT", "ca.crt", ca);
        }
        if let Some(Certified { certificate, key }) = ours {
            file("MQTT_TLS_CERT", "client.crt", certificate);
            file("MQTT_TLS_KEY", "client.key", key);
        }
        for (name, value) in more {
            set(name, (*value).to_owned());
        }
        config::check(None, &variables).unwrap().config.broker
    }
}

/// One attempt to connect.
async fn attempt(broker: &Broker) -> Result<(), Advice> {
    let (_client, mut event_loop) = client::new(broker, "test", None);
    let stage = Stage::of(&event_loop);
    match timeout(PATIENCE, event_loop.poll()).await.unwrap() {
        Ok(Event::Incoming(Incoming::ConnAck(_))) => Ok(()),
        Ok(event) => panic!("{event:?}"),
        Err(error) => Err(failure::advice(&error, stage, Facts::default())),
    }
}

/// The same with these certificates.
async fn attempt_with(
    served: Served<'_>,
    ca: &str,
    ours: Option<&Certified>,
    more: &[(&str, &str)],
) -> Result<(), Advice> {
    let (address, serving) = serve(HERE, served.acceptor()).await;
    let folder = Folder::new();
    let result = attempt(&folder.broker(address, Some(ca), ours, more)).await;
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    result
}

/// The advice for a TLS error. Its texts are a snapshot in `failure`.
fn advice(error: rustls::Error) -> Advice {
    let error = ConnectionError::Tls(TlsError::TLS(error));
    failure::advice(&error, Stage::Encrypted, Facts::default())
}

fn invalid(error: CertificateError) -> Advice {
    advice(rustls::Error::InvalidCertificate(error))
}

/// The advice for an error that the verifier reports only as text.
fn invalid_otherwise(words: &str) -> Advice {
    let error = std::io::Error::other(words.to_owned());
    invalid(CertificateError::Other(OtherError(Arc::new(error))))
}

/// The first second of 2026-01-31, in UTC.
const PAST: u64 = 1_769_817_600;

/// The first second of 2099-01-01, in UTC.
const FUTURE: u64 = 4_070_908_800;

fn time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn expired() -> Advice {
    let not_after = time(PAST);
    invalid(CertificateError::ExpiredContext { time: not_after, not_after })
}

/// The certificate has other names than the address of the broker.
fn not_for_this_host(names: &[&str]) -> Advice {
    let presented = names.iter().map(|name| (*name).to_owned()).collect();
    let expected = ServerName::try_from(HERE).unwrap();
    invalid(CertificateError::NotValidForNameContext { expected, presented })
}

/// The broker rejected our certificate.
fn refused(alert: AlertDescription) -> Advice {
    advice(rustls::Error::AlertReceived(alert))
}

#[tokio::test]
async fn the_brokers_certificate_is_checked() {
    let (ca, other) = (Authority::new("CA"), Authority::new("other CA"));
    let same_name = Authority::new("CA");
    let good = ca.sign(&[HERE]);
    let odd = |change: fn(&mut CertificateParams)| ca.sign_changed(&[HERE], change);
    let old = odd(|it| it.not_after = date_time_ymd(2026, 1, 31));
    let early = odd(|it| it.not_before = date_time_ymd(2099, 1, 1));
    let for_clients = odd(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let elsewhere = ca.sign(&["broker.lan", "*.broker.lan", "10.0.0.2", "fd00::2"]);
    let nowhere = ca.sign(&[]);
    let kept = |name: &str| {
        let path = format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let version_1 =
        Certified { certificate: kept("version-1.crt"), key: tls::opened().serialize_pem() };
    let own_ca = Authority::self_signed(&[HERE], |_| {});
    let own_ca_expired =
        Authority::self_signed(&[HERE], |it| it.not_after = date_time_ymd(2026, 1, 31));
    let own_ca_elsewhere = Authority::self_signed(&["broker.lan"], |_| {});

    let not_before = time(FUTURE);
    let too_early = CertificateError::NotValidYetContext { time: not_before, not_before };
    let names = [
        "DnsName(\"broker.lan\")",
        "DnsName(\"*.broker.lan\")",
        "IpAddress(10.0.0.2)",
        "IpAddress(fd00::2)",
    ];
    for (case, shown, trusted, expected) in [
        ("valid", &good, &ca.pem, None),
        ("another CA", &good, &other.pem, Some(invalid(CertificateError::UnknownIssuer))),
        (
            "another CA of the same name",
            &good,
            &same_name.pem,
            Some(invalid(CertificateError::BadSignature)),
        ),
        ("expired", &old, &ca.pem, Some(expired())),
        ("not yet valid", &early, &ca.pem, Some(invalid(too_early))),
        ("another host", &elsewhere, &ca.pem, Some(not_for_this_host(&names))),
        ("no names", &nowhere, &ca.pem, Some(not_for_this_host(&[]))),
        (
            "for clients only",
            &for_clients,
            &ca.pem,
            Some(invalid(CertificateError::InvalidPurpose)),
        ),
        (
            "version 1",
            &version_1,
            &version_1.certificate,
            Some(invalid_otherwise("UnsupportedCertVersion")),
        ),
        ("its own CA, trusted itself", &own_ca, &own_ca.certificate, None),
        ("its own CA, not trusted", &own_ca, &ca.pem, Some(invalid_otherwise("CaUsedAsEndEntity"))),
        ("its own CA, expired", &own_ca_expired, &own_ca_expired.certificate, Some(expired())),
        (
            "its own CA, another host",
            &own_ca_elsewhere,
            &own_ca_elsewhere.certificate,
            Some(not_for_this_host(&["DnsName(\"broker.lan\")"])),
        ),
    ] {
        let result = attempt_with(Served::new(shown), trusted, None, &[]).await;
        assert_eq!(result.err(), expected, "{case}");
    }
    for (case, shown) in [("expired", &old), ("another host", &elsewhere), ("v1", &version_1)] {
        let more = [("MQTT_TLS_INSECURE", "true")];
        let result = attempt_with(Served::new(shown), &other.pem, None, &more).await;
        assert_eq!(result, Ok(()), "insecure, {case}");
    }
}

#[tokio::test]
async fn only_some_of_many_names_are_shown() {
    let ca = Authority::new("CA");
    let crowded: Vec<String> = (0..100).map(|number| format!("n{number}.lan")).collect();
    let crowded = ca.sign(&crowded.iter().map(String::as_str).collect::<Vec<_>>());
    let result = attempt_with(Served::new(&crowded), &ca.pem, None, &[]).await;
    let words = result.unwrap_err().words(MadeBy::File);
    let shown = "its certificate is for `n0.lan`, `n1.lan`, `n2.lan`, `n3.lan`, `n4.lan`, `n5.lan` and \
                 others, but not for `127.0.0.1`. Set `mqtt.host`";
    assert!(words.starts_with(shown), "{words}");
}

#[tokio::test]
async fn our_certificate_and_version_are_checked() {
    let (ca, other) = (Authority::new("CA"), Authority::new("other CA"));
    let good = ca.sign(&[HERE]);
    let ours = ca.sign(&["kamstrup"]);
    let theirs = other.sign(&["kamstrup"]);
    let old = ca.sign_changed(&["kamstrup"], |it| it.not_after = date_time_ymd(2026, 1, 31));
    for (case, versions, only_1_3) in [
        ("1.3", ALL_VERSIONS, None),
        ("1.2", &ONLY_1_2[..], Some(refused(AlertDescription::ProtocolVersion))),
    ] {
        for (whose, ours, expected) in [
            ("ours", Some(&ours), None),
            ("none", None, Some(refused(AlertDescription::CertificateRequired))),
            ("of another CA", Some(&theirs), Some(refused(AlertDescription::UnknownCA))),
            ("expired", Some(&old), Some(refused(AlertDescription::CertificateExpired))),
        ] {
            let served = Served { wants: Some(&ca), versions, ..Served::new(&good) };
            let result = attempt_with(served, &ca.pem, ours, &[]).await;
            assert_eq!(result.err(), expected, "it requires a certificate ({case}), {whose}");
        }
        let served = Served { versions, ..Served::new(&good) };
        let more = [("MQTT_TLS_VERSION", "1.3")];
        let result = attempt_with(served, &ca.pem, None, &more).await;
        assert_eq!(result.err(), only_1_3, "we require 1.3, it supports {case}");
    }
}

static ONLY_1_2: [&SupportedProtocolVersion; 1] = [&TLS12];

/// Something else listens on the port.
#[tokio::test]
async fn another_protocol_on_the_port_is_recognized() {
    let ca = Authority::new("CA");
    let good = ca.sign(&[HERE]);
    let folder = Folder::new();

    // The program without TLS, the broker with TLS.
    let (address, serving) = serve(HERE, Served::new(&good).acceptor()).await;
    let plain = Broker { tls: None, ..folder.broker(address, Some(&ca.pem), None, &[]) };
    let garbage = StateError::Deserialization(mqttbytes::Error::InvalidProtocol);
    let garbage = ConnectionError::MqttState(garbage);
    let expected = failure::advice(&garbage, Stage::Plain, Facts::default());
    assert_eq!(attempt(&plain).await, Err(expected));
    timeout(PATIENCE, serving).await.unwrap().unwrap();

    // The program with TLS, and a server that closes the connection, or answers with HTTP or MQTT.
    let hangs_up = ConnectionError::Tls(TlsError::Io(ErrorKind::UnexpectedEof.into()));
    let hangs_up = failure::advice(&hangs_up, Stage::Encrypted, Facts::default());
    let no_tls = advice(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
    for (answer, expected) in [
        (&b""[..], hangs_up),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", no_tls.clone()),
        (&WELCOME, no_tls),
    ] {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let broker = folder.broker(listener.local_addr().unwrap(), Some(&ca.pem), None, &[]);
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            assert_ne!(stream.read(&mut bytes).await.unwrap(), 0);
            stream.write_all(answer).await.unwrap();
        };
        let (result, ()) = tokio::join!(attempt(&broker), answering);
        assert_eq!(result, Err(expected), "{answer:?}");
    }

    // A server that closes the connection after the handshake.
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let broker = folder.broker(listener.local_addr().unwrap(), Some(&ca.pem), None, &[]);
    let acceptor = Served::new(&good).acceptor();
    let answering = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut bytes = [0; 1024];
        assert_ne!(stream.read(&mut bytes).await.unwrap(), 0);
        stream.shutdown().await.unwrap();
    };
    let (result, ()) = tokio::join!(attempt(&broker), answering);
    let closed = ConnectionError::MqttState(StateError::ConnectionAborted);
    assert_eq!(result, Err(failure::advice(&closed, Stage::Encrypted, Facts::default())));
}

#[tokio::test]
async fn the_certificate_must_match_the_name_or_address() {
    let ca = Authority::new("CA");
    let folder = Folder::new();
    for (listening, host, asked) in [
        (HERE, "localhost", Some("localhost")),
        (HERE, HERE, None),
        ("::1", "::1", None),
        ("::1", "[::1]", None),
    ] {
        let name = tls::without_brackets(host);
        let shown = ca.sign(&[name]);
        let (address, serving) = serve(listening, Served::new(&shown).acceptor()).await;
        let broker = folder.broker(address, Some(&ca.pem), None, &[("MQTT_HOST", host)]);
        assert_eq!(attempt(&broker).await, Ok(()), "{host}");
        let name = timeout(PATIENCE, serving).await.unwrap().unwrap();
        assert_eq!(name.as_deref(), asked, "{host}");
    }
}

#[tokio::test]
async fn renewed_files_are_used_unless_they_are_invalid() {
    let folder = Folder::new();
    let ca = Authority::new("CA");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let ours = ca.sign(&["kamstrup"]);
    let broker = folder.broker(address, Some(&ca.pem), Some(&ours), &[]);
    let (_client, mut event_loop) = client::new(&broker, "test", None);
    let options = &mut event_loop.mqtt_options;
    let mut renewal = Renewal::new(broker.tls.clone(), RunsAs::Program);
    let in_use = |options: &MqttOptions| match options.transport() {
        rumqttc::Transport::Tls(rumqttc::TlsConfiguration::Rustls(config)) => config,
        _ => panic!("no TLS"),
    };
    let first = in_use(options);
    renewal.look(options).await;
    assert!(Arc::ptr_eq(&first, &in_use(options)), "nothing has changed");

    // In the middle of a renewal, the key does not match the certificate.
    let renewed = ca.sign(&["kamstrup"]);
    folder.write("client.crt", &renewed.certificate);
    renewal.look(options).await;
    assert!(Arc::ptr_eq(&first, &in_use(options)));
    folder.write("client.key", &renewed.key);
    renewal.look(options).await;
    let second = in_use(options);
    assert!(!Arc::ptr_eq(&first, &second));

    std::fs::remove_file(folder.0.path().join("ca.crt")).unwrap();
    renewal.look(options).await;
    assert!(Arc::ptr_eq(&second, &in_use(options)));
    folder.write("ca.crt", &ca.pem);
    renewal.look(options).await;
    assert!(!Arc::ptr_eq(&second, &in_use(options)));
}

/// The settings have the names that their maker knows.
#[tokio::test]
async fn an_invalid_renewed_file_is_reported_once() {
    let (log, _logging) = capture::lines();
    for (runs_as, setting) in [
        (RunsAs::Program, "`mqtt.tls_ca_cert`"),
        (RunsAs::AddOn, r#""Certificate authority" under "Own MQTT broker""#),
    ] {
        let folder = Folder::new();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let broker = folder.broker(address, Some(&Authority::new("CA").pem), None, &[]);
        let (_client, mut event_loop) = client::new(&broker, "test", None);
        let mut renewal = Renewal::new(broker.tls.clone(), runs_as);
        let path = folder.write("ca.crt", "a text");
        for _ in 0..2 {
            renewal.look(&mut event_loop.mqtt_options).await;
        }
        let expected = format!(
            "WARN The certificate files for the broker have changed and are invalid: \
             {setting}: `{}` is neither in the format PEM nor in DER. Use the certificate of the CA that \
             signed the broker's certificate, as PEM or DER. The previous ones stay in use \
             until this is fixed.",
            path.display()
        );
        assert_eq!(log.take(), [expected]);
    }
}

/// If the broker has a certificate of a new CA, the program connects as soon as it has that CA.
#[tokio::test]
async fn a_renewed_ca_is_used_without_a_restart() {
    let (old, new) = (Authority::new("old CA"), Authority::new("new CA"));
    let shown = new.sign(&[HERE]);
    let folder = Folder::new();
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let broker = folder.broker(listener.local_addr().unwrap(), Some(&old.pem), None, &[]);
    let status = |payload: &str| Message {
        topic: "status".to_owned(),
        payload: payload.to_owned(),
        qos: Qos::AtMostOnce,
        retain: true,
    };
    let (_sender, brokers) = watch::channel(Some(broker));
    let settings = ConnectionSettings { brokers, board: Board::default(), made_by: MadeBy::File };
    let (online, offline) = (status("online"), status("offline"));
    let (_publisher, connection, _received) =
        prepare(settings, online, offline, Subscriptions::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(connection.run(stop.clone()));
    let acceptor = Served::new(&shown).acceptor();
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert!(acceptor.accept(stream).await.is_err(), "the new CA is not trusted yet");
    folder.write("ca.crt", &new.pem);
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0x10], "CONNECT");
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}
