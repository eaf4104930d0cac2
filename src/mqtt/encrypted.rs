//! Tests with a broker that speaks TLS, or should.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rumqttc::tokio_rustls::TlsAcceptor;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config;
use crate::tls::certificates::{Authority, Certified};
use logging::capture;
use meter::RunsAs;

const PATIENCE: Duration = Duration::from_secs(30);

/// CONNACK: let in.
const WELCOME: [u8; 4] = [0x20, 2, 0, 0];

const HERE: &str = "127.0.0.1";

/// How the broker does TLS.
struct Served<'a> {
    shown: &'a Certified,
    /// Whose certificates it wants from its clients.
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
        // Whatever it is, it is shown.
        let certified = CertifiedKey::new(vec![certificate(&self.shown.certificate)], key);
        let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Lets one client in, until it leaves. The name that it asked for.
async fn let_in<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes).await.unwrap_or(0);
    if count > 0 && bytes[0] == 0x10 {
        stream.write_all(&WELCOME).await.unwrap();
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    }
}

/// A broker for one client at a time. Gives the names that clients ask for.
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

    /// What the configuration makes of a CA, a certificate of ours, and other variables.
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

/// One attempt to connect, as it is told.
async fn attempt(broker: &Broker) -> String {
    let (_client, mut event_loop) = client(broker, "test", None);
    let stage = Stage::of(&event_loop);
    match timeout(PATIENCE, event_loop.poll()).await.unwrap() {
        Ok(Event::Incoming(Incoming::ConnAck(_))) => "it lets us in.".to_owned(),
        Ok(event) => panic!("{event:?}"),
        Err(error) => failure::advice(&error, stage, true).words(MadeBy::File),
    }
}

/// The same with these certificates.
async fn told(
    served: Served<'_>,
    ca: &str,
    ours: Option<&Certified>,
    more: &[(&str, &str)],
) -> String {
    let (address, serving) = serve(HERE, served.acceptor()).await;
    let folder = Folder::new();
    let told = attempt(&folder.broker(address, Some(ca), ours, more)).await;
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    told
}

#[tokio::test]
async fn every_trouble_with_tls_says_what_to_do() {
    let (ca, other) = (Authority::new("CA"), Authority::new("other CA"));
    let same_name = Authority::new("CA");
    let good = ca.sign(&[HERE]);
    let odd = |change: fn(&mut CertificateParams)| ca.sign_changed(&[HERE], change);
    let expired = odd(|it| it.not_after = date_time_ymd(2026, 1, 31));
    let early = odd(|it| it.not_before = date_time_ymd(2099, 1, 1));
    let for_clients = odd(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let elsewhere = ca.sign(&["broker.lan", "*.broker.lan", "10.0.0.2", "fd00::2"]);
    let crowded: Vec<String> = (0..100).map(|number| format!("n{number}.lan")).collect();
    let crowded = ca.sign(&crowded.iter().map(String::as_str).collect::<Vec<_>>());
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

    let mut lines = Vec::new();
    for (case, shown, trusted) in [
        ("all is well", &good, &ca.pem),
        ("another CA", &good, &other.pem),
        ("another CA of the same name", &good, &same_name.pem),
        ("expired", &expired, &ca.pem),
        ("not yet valid", &early, &ca.pem),
        ("another host", &elsewhere, &ca.pem),
        ("a hundred other hosts", &crowded, &ca.pem),
        ("no names", &nowhere, &ca.pem),
        ("for clients only", &for_clients, &ca.pem),
        ("version 1", &version_1, &version_1.certificate),
        ("its own CA, trusted itself", &own_ca, &own_ca.certificate),
        ("its own CA, not trusted", &own_ca, &ca.pem),
        ("its own CA, expired", &own_ca_expired, &own_ca_expired.certificate),
        ("its own CA, another host", &own_ca_elsewhere, &own_ca_elsewhere.certificate),
    ] {
        let told = told(Served::new(shown), trusted, None, &[]).await;
        lines.push(format!("{case}: {told}"));
    }
    for (case, shown) in [("expired", &expired), ("another host", &elsewhere), ("v1", &version_1)] {
        let more = [("MQTT_TLS_INSECURE", "true")];
        let told = told(Served::new(shown), &other.pem, None, &more).await;
        lines.push(format!("insecure, {case}: {told}"));
    }

    let ours = ca.sign(&["kamstrup"]);
    let theirs = other.sign(&["kamstrup"]);
    let old = ca.sign_changed(&["kamstrup"], |it| it.not_after = date_time_ymd(2026, 1, 31));
    for (case, versions) in [("1.3", ALL_VERSIONS), ("1.2", &ONLY_1_2)] {
        for (whose, ours) in [
            ("ours", Some(&ours)),
            ("none", None),
            ("of another CA", Some(&theirs)),
            ("expired", Some(&old)),
        ] {
            let served = Served { wants: Some(&ca), versions, ..Served::new(&good) };
            let told = told(served, &ca.pem, ours, &[]).await;
            lines.push(format!("it wants a certificate ({case}), {whose}: {told}"));
        }
        let served = Served { versions, ..Served::new(&good) };
        let told = told(served, &ca.pem, None, &[("MQTT_TLS_VERSION", "1.3")]).await;
        lines.push(format!("we want 1.3, it speaks {case}: {told}"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

static ONLY_1_2: [&SupportedProtocolVersion; 1] = [&TLS12];

/// What speaks something else at the port.
#[tokio::test]
async fn a_port_with_the_other_language_is_told() {
    let ca = Authority::new("CA");
    let good = ca.sign(&[HERE]);
    let folder = Folder::new();
    let mut lines = Vec::new();

    // We without TLS, the broker with.
    let (address, serving) = serve(HERE, Served::new(&good).acceptor()).await;
    let plain = Broker { tls: None, ..folder.broker(address, Some(&ca.pem), None, &[]) };
    lines.push(format!("TLS spoken to without: {}", attempt(&plain).await));
    timeout(PATIENCE, serving).await.unwrap().unwrap();

    // We with TLS, and something that hangs up, or answers as a web server does, or as MQTT would.
    for (case, answer) in [
        ("hangs up", &b""[..]),
        ("a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("MQTT", &WELCOME),
    ] {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let broker = folder.broker(listener.local_addr().unwrap(), Some(&ca.pem), None, &[]);
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            assert_ne!(stream.read(&mut bytes).await.unwrap(), 0);
            stream.write_all(answer).await.unwrap();
        };
        let (told, ()) = tokio::join!(attempt(&broker), answering);
        lines.push(format!("{case}, spoken to with TLS: {told}"));
    }

    // And something that lets go after the handshake.
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
    let (told, ()) = tokio::join!(attempt(&broker), answering);
    lines.push(format!("closed after the handshake: {told}"));
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn names_and_addresses_are_those_of_the_certificate() {
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
        assert_eq!(attempt(&broker).await, "it lets us in.", "{host}");
        let name = timeout(PATIENCE, serving).await.unwrap().unwrap();
        assert_eq!(name.as_deref(), asked, "{host}");
    }
}

#[tokio::test]
async fn renewed_files_are_taken_and_broken_ones_are_not() {
    let folder = Folder::new();
    let ca = Authority::new("CA");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let ours = ca.sign(&["kamstrup"]);
    let broker = folder.broker(address, Some(&ca.pem), Some(&ours), &[]);
    let (_client, mut event_loop) = client(&broker, "test", None);
    let options = &mut event_loop.mqtt_options;
    let mut renewal = Renewal::new(broker.tls.clone(), RunsAs::Program);
    let in_use = |options: &MqttOptions| match options.transport() {
        rumqttc::Transport::Tls(rumqttc::TlsConfiguration::Rustls(config)) => config,
        _ => panic!("no TLS"),
    };
    let first = in_use(options);
    renewal.look(options).await;
    assert!(Arc::ptr_eq(&first, &in_use(options)), "nothing has changed");

    // Between the two halves of a renewal the key does not fit.
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

/// In the names of those who made the settings.
#[tokio::test]
async fn a_renewed_file_that_is_broken_is_told_once() {
    let (log, _logging) = capture::lines();
    for (runs_as, setting) in
        [(RunsAs::Program, "`mqtt.tls_ca_cert`"), (RunsAs::AddOn, "`tls_ca_cert` of `mqtt`")]
    {
        let folder = Folder::new();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let broker = folder.broker(address, Some(&Authority::new("CA").pem), None, &[]);
        let (_client, mut event_loop) = client(&broker, "test", None);
        let mut renewal = Renewal::new(broker.tls.clone(), runs_as);
        let path = folder.write("ca.crt", "a text");
        for _ in 0..2 {
            renewal.look(&mut event_loop.mqtt_options).await;
        }
        let expected = format!(
            "WARN The certificates for the broker have changed, and the new ones cannot be used: \
             {setting}: found `{}`, which is neither a PEM nor a DER file, accepted: the certificate \
             of the CA that signed the broker's, as PEM or DER. The earlier ones are used until that \
             is mended.",
            path.display()
        );
        assert_eq!(log.take(), [expected]);
    }
}

/// A broker that got a certificate of another CA is let in by itself when its CA has come.
#[tokio::test]
async fn a_renewed_ca_is_taken_without_a_restart() {
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
    let direction = Direction { brokers, board: Board::default(), made_by: MadeBy::File };
    let (online, offline) = (status("online"), status("offline"));
    let (_publisher, connection, _received) =
        prepare(direction, online, offline, Subscriptions::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(connection.run(stop.clone()));
    let acceptor = Served::new(&shown).acceptor();
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert!(acceptor.accept(stream).await.is_err(), "the new CA is not known yet");
    folder.write("ca.crt", &new.pem);
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0x10], "CONNECT");
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}
