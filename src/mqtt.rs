//! The client of the broker. It keeps what should stand on the broker and makes it so after every
//! connect; nobody else talks to the broker.
//!
//! Two loops side by side: one does nothing but poll the connection, the other publishes. The first
//! must never wait for the second (a full queue that nobody polls waits for ever), and callers wait
//! for neither: they change what should stand, and go on.

#[cfg(test)]
mod encrypted;
mod forget;
mod renewal;
mod standing;

use std::fmt;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, LastWill,
    MqttOptions, NetworkOptions, Outgoing, QoS, StateError, SubscribeReasonCode, TlsError,
    Transport, mqttbytes,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use self::forget::forget;
use self::renewal::Renewal;
pub use self::standing::{Publisher, Source};
use self::standing::{Sent, Wanted};
use crate::config::{Broker, Qos};
use crate::payload::Message;
use crate::tls;

const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// For the connection and the broker's answer to it.
const CONNECT_TIMEOUT_SECS: u64 = 20;

/// Publishes that may wait for their acknowledgement at a time. Mosquitto takes 20 with QoS 2 and
/// drops what exceeds them, with a reason that an MQTT 3.1.1 client never sees.
const IN_FLIGHT: u16 = 10;

/// Publishes that wait for the connection loop.
const QUEUE: usize = 100;

/// Between two attempts to connect: from the first to the second, doubling.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LAST_BACK_OFF: Duration = Duration::from_secs(30);

/// A connection that held this long was a good one: the next attempt comes soon again.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// How long a goodbye may take, disconnecting included.
const GOODBYE: Duration = Duration::from_millis(1500);

/// After a birth of Home Assistant, three to five quarters of this pass before all is sent again.
const SPREAD: Duration = Duration::from_millis(800);

/// For so long nothing is replaced that may be retained.
const HEARD: Duration = Duration::from_millis(500);

/// From the first connection on, for so long is looked at what is retained.
const SURVEY: Duration = Duration::from_secs(10);

/// Messages from the broker that wait to be handled. What comes beyond them is lost: it is a flood.
const INBOX: usize = 4096;

/// The longest message that is taken from the broker. One that is longer ends the connection, so
/// this is far more than anybody sends to the topics that are subscribed to.
const LONGEST: usize = 1024 * 1024;

/// What is subscribed to.
#[derive(Debug, Clone, Default)]
pub struct Subscriptions {
    /// As long as the program runs.
    pub always: Vec<String>,
    /// At the start only, to see what is retained there.
    pub at_first: Vec<String>,
}

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker has kept it, rather than somebody said it just now.
    pub retained: bool,
}

/// A connection that has not been made yet.
pub struct Connection {
    client: AsyncClient,
    event_loop: EventLoop,
    renewal: Renewal,
    wanted: watch::Receiver<Wanted>,
    online: Message,
    offline: Message,
    subscriptions: Subscriptions,
    inbox: mpsc::Sender<Received>,
    name: String,
}

/// The client's own view holds the password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Prepares the connection. `online` is published after each connect; `offline` when the program
/// stops, and by the broker when it dies. The receiver gets what is subscribed to.
#[must_use]
pub fn prepare(
    broker: &Broker,
    online: Message,
    offline: Message,
    subscriptions: Subscriptions,
) -> (Publisher, Connection, mpsc::Receiver<Received>) {
    let (client, event_loop) = client(broker, &broker.client_id, Some(&offline));
    let (publisher, wanted) = Publisher::new();
    let name = broker.name();
    let (inbox, received) = mpsc::channel(INBOX);
    let renewal = Renewal::new(broker.tls.clone());
    let connection = Connection {
        client,
        event_loop,
        renewal,
        wanted,
        online,
        offline,
        subscriptions,
        inbox,
        name,
    };
    (publisher, connection, received)
}

impl Broker {
    /// `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

/// The client puts a colon and the port behind it.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

/// A client that has not connected yet.
fn client(broker: &Broker, id: &str, last_will: Option<&Message>) -> (AsyncClient, EventLoop) {
    let host = match &broker.tls {
        // It goes for the name in the certificate as it is, and no colon is taken for the port's
        // but the last one.
        Some(_) => tls::without_brackets(&broker.host).to_owned(),
        None => bracketed(&broker.host),
    };
    let mut options = MqttOptions::new(id, host, broker.port.get());
    if let Some(tls) = &broker.tls {
        options.set_transport(renewal::transport(tls.at_start().config()));
    }
    options.set_keep_alive(KEEP_ALIVE);
    options.set_inflight(IN_FLIGHT);
    options.set_max_packet_size(LONGEST, LONGEST);
    // What must not be lost is sent again after each connect; the broker need not remember us.
    options.set_clean_session(true);
    if let Some(Message { topic, payload, qos, retain }) = last_will {
        options.set_last_will(LastWill::new(topic, payload.clone(), (*qos).into(), *retain));
    }
    if let Some(credentials) = &broker.credentials {
        options.set_credentials(&credentials.username, credentials.password.reveal());
    }
    let (client, mut event_loop) = AsyncClient::new(options, QUEUE);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT_SECS);
    network.set_tcp_nodelay(true);
    event_loop.set_network_options(network);
    (client, event_loop)
}

/// A publisher that leads nowhere.
#[cfg(test)]
#[must_use]
pub(crate) fn idle_publisher() -> Publisher {
    Publisher::new().0
}

impl From<Qos> for QoS {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
            Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// Shared by the two loops.
#[derive(Debug)]
struct Link {
    /// The number of the present connection; `None` while there is none.
    connection: watch::Sender<Option<u64>>,
    /// Publishes given to the queue, and taken from it, in this connection.
    queued: AtomicU64,
    sent: AtomicU64,
}

impl Connection {
    /// Stays connected until `stop` is cancelled, then says goodbye: `offline`, acknowledged, and
    /// a clean disconnect.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            client,
            event_loop,
            renewal,
            wanted,
            online,
            offline,
            subscriptions,
            inbox,
            name,
        } = self;
        let link = Link {
            connection: watch::Sender::new(None),
            queued: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        };
        // Cancelled when all that the publishing loop had to say is queued.
        let said = CancellationToken::new();
        let publish = publish(&link, client.clone(), wanted, online, subscriptions, stop.clone());
        let publish = async {
            publish.await;
            if link.connection.borrow().is_some() {
                send(&link, &client, &offline).await;
            }
            said.cancel();
            pending::<()>().await;
        };
        let ears = Ears { inbox, told_refusal: false, told_flood: false };
        let health = Health::new(name);
        let leaving = Leaving { stop, said: said.clone() };
        let poll = poll(&link, client.clone(), event_loop, renewal, ears, health, leaving);
        tokio::select! {
            () = poll => {}
            () = publish => {}
        }
    }
}

/// Publishes what should stand, all of it after each connect and changes when they come. Ends when
/// `stop` is cancelled.
async fn publish(
    link: &Link,
    client: AsyncClient,
    mut wanted: watch::Receiver<Wanted>,
    online: Message,
    mut subscriptions: Subscriptions,
    stop: CancellationToken,
) {
    let mut connection = link.connection.subscribe();
    let mut number = None;
    let mut sent = Sent::default();
    let mut survey_ends = None;
    'connection: loop {
        let current = *connection.borrow_and_update();
        let mut next = None;
        if current.is_some() {
            if number != current {
                number = current;
                // Some brokers hand out what is retained only after what comes in next.
                let heard = Instant::now().checked_add(HEARD);
                let look = !subscriptions.at_first.is_empty();
                sent = Sent::waiting_until(heard.filter(|_| look));
                survey_ends = Instant::now().checked_add(SURVEY);
                // First, so that what is retained is seen before it is replaced.
                subscribe(&client, &subscriptions).await;
            }
            if survey_ends.is_some_and(|at| at <= Instant::now()) {
                for filter in subscriptions.at_first.drain(..) {
                    // Fails only when the connection loop has ended, and the program with it.
                    let _ = client.unsubscribe(filter).await;
                }
                survey_ends = None;
            }
            let spread = jittered(SPREAD);
            let stopping = stop.is_cancelled();
            let due = sent.take_due(&online, &wanted.borrow_and_update(), spread, stopping);
            for message in due.messages {
                tokio::select! {
                    biased;
                    // The rest is sent after the next connect.
                    _ = connection.changed() => continue 'connection,
                    () = send(link, &client, &message) => {}
                }
            }
            if stopping {
                return;
            }
            next = due.next.into_iter().chain(survey_ends).min();
        }
        tokio::select! {
            biased;
            _ = connection.changed() => {}
            // Values of the last poll are still published: `stop` comes after them.
            Ok(()) = wanted.changed(), if current.is_some() => {}
            () = stop.cancelled() => if current.is_none() { return },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

async fn subscribe(client: &AsyncClient, subscriptions: &Subscriptions) {
    let Subscriptions { always, at_first } = subscriptions;
    for filter in always.iter().chain(at_first) {
        // Fails only when the connection loop has ended, and the program with it.
        let _ = client.subscribe(filter, QoS::AtLeastOnce).await;
    }
}

async fn send(link: &Link, client: &AsyncClient, message: &Message) {
    let Message { topic, payload, qos, retain } = message;
    link.queued.fetch_add(1, Ordering::Relaxed);
    debug!("To the broker: {topic} {payload}");
    // Fails only when the connection loop has ended, and the program with it.
    let _ = client.publish(topic, (*qos).into(), *retain, payload.clone()).await;
}

/// When the connection is given up.
#[derive(Debug)]
struct Leaving {
    /// The program is asked to stop.
    stop: CancellationToken,
    /// All that there was to say is queued.
    said: CancellationToken,
}

/// Keeps the connection alive and makes it again when it breaks. After `stop` it ends as soon as
/// there is no connection, or when `said` is cancelled and all is acknowledged.
async fn poll(
    link: &Link,
    client: AsyncClient,
    mut event_loop: EventLoop,
    mut renewal: Renewal,
    mut ears: Ears,
    mut health: Health,
    Leaving { stop, said }: Leaving,
) {
    let mut connections = 0_u64;
    let mut back_off = FIRST_BACK_OFF;
    let mut connected_at = None;
    let mut goodbye: Option<Instant> = None;
    let mut all_queued = false;
    loop {
        let until_goodbye = async {
            match goodbye {
                Some(deadline) => sleep_until(deadline).await,
                None => {
                    stop.cancelled().await;
                }
            }
        };
        let event = tokio::select! {
            event = event_loop.poll() => event,
            () = until_goodbye => {
                match goodbye {
                    None if connected_at.is_some() => {
                        goodbye = Instant::now().checked_add(GOODBYE);
                        continue;
                    }
                    None => return,
                    Some(_) => {
                        warn!("The broker did not acknowledge the goodbye; leaving without.");
                        return;
                    }
                }
            }
            () = said.cancelled(), if goodbye.is_some() && !all_queued => {
                all_queued = true;
                continue;
            }
        };
        match event {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                connected_at = Some(Instant::now());
                connections = connections.wrapping_add(1);
                link.queued.store(0, Ordering::Relaxed);
                link.sent.store(0, Ordering::Relaxed);
                health.connected();
                link.connection.send_replace(Some(connections));
            }
            Ok(Event::Outgoing(Outgoing::Publish(_))) => {
                link.sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(Event::Incoming(packet)) => ears.hear(packet),
            Ok(Event::Outgoing(_)) => {}
            Err(error) => {
                // Without this line the client never publishes again after an acknowledgement out
                // of order and a lost session (rumqtt issue 1056).
                event_loop.state.collision = None;
                // Nor may what was sent before the loss be counted after it.
                event_loop.state.events.clear();
                link.connection.send_replace(None);
                let stage = match connected_at {
                    Some(_) => Stage::Connected,
                    None => Stage::of(&event_loop),
                };
                health.lost(&error, stage);
                if stop.is_cancelled() {
                    return;
                }
                let good =
                    connected_at.take().is_some_and(|at: Instant| at.elapsed() >= GOOD_CONNECTION);
                if good {
                    back_off = FIRST_BACK_OFF;
                }
                tokio::select! {
                    () = sleep(jittered(back_off)) => {}
                    () = stop.cancelled() => return,
                }
                back_off = back_off.saturating_mul(2).min(LAST_BACK_OFF);
                tokio::select! {
                    () = renewal.look(&mut event_loop.mqtt_options) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
        let all_sent = link.sent.load(Ordering::Relaxed) >= link.queued.load(Ordering::Relaxed);
        if all_queued && all_sent && event_loop.state.inflight() == 0 {
            disconnect(&client, &mut event_loop, goodbye).await;
            return;
        }
    }
}

/// Hands on what the broker says.
#[derive(Debug)]
struct Ears {
    inbox: mpsc::Sender<Received>,
    told_refusal: bool,
    told_flood: bool,
}

impl Ears {
    fn hear(&mut self, packet: Incoming) {
        match packet {
            Incoming::Publish(publish) => {
                let received = Received {
                    topic: publish.topic,
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                };
                // Never waits, since this loop must go on.
                if self.inbox.try_send(received).is_err() && !self.told_flood {
                    self.told_flood = true;
                    warn!("The broker sends more than can be handled; some of it is ignored.");
                }
            }
            Incoming::SubAck(answer)
                if answer.return_codes.contains(&SubscribeReasonCode::Failure)
                    && !self.told_refusal =>
            {
                self.told_refusal = true;
                warn!(
                    "The broker does not let this user listen to all topics that it needs, so \
                     commands and restarts of Home Assistant may go unnoticed. Look at the user's \
                     rights on the broker."
                );
            }
            _ => {}
        }
    }
}

/// A clean disconnect, after which the broker does not publish the last will.
async fn disconnect(client: &AsyncClient, event_loop: &mut EventLoop, by: Option<Instant>) {
    // The queue is empty.
    if client.try_disconnect().is_err() {
        return;
    }
    let gone = async {
        while let Ok(event) = event_loop.poll().await {
            if event == Event::Outgoing(Outgoing::Disconnect) {
                return;
            }
        }
    };
    let _ = timeout_at(by.unwrap_or_else(Instant::now), gone).await;
}

/// Three to five quarters of the time, so that many clients do not come back at once.
fn jittered(time: Duration) -> Duration {
    // Every `RandomState` has keys of its own.
    let random = u32::try_from(RandomState::new().hash_one(0) % 512).unwrap_or(0);
    let parts = 768_u32.saturating_add(random);
    time.saturating_mul(parts).checked_div(1024).unwrap_or(time)
}

/// Logs changes of the connection's state, once each.
#[derive(Debug)]
struct Health {
    name: String,
    /// Since when it is down, and why; `None` while it is up.
    down: Option<(Instant, String)>,
}

impl Health {
    fn new(name: String) -> Self {
        Self { name, down: None }
    }

    fn connected(&mut self) {
        if let Some((since, _)) = self.down.take() {
            info!(
                "Connected to the broker {} again, after {} s.",
                self.name,
                since.elapsed().as_secs()
            );
        } else {
            info!("Connected to the broker {}.", self.name);
        }
    }

    fn lost(&mut self, error: &ConnectionError, stage: Stage) {
        let words = words(error, stage);
        let since = match &self.down {
            Some((_, known)) if *known == words => {
                debug!("As before, the broker {}: {words}", self.name);
                return;
            }
            Some((since, _)) => *since,
            None => Instant::now(),
        };
        warn!("No connection to the broker {}: {words} Trying again until it works.", self.name);
        self.down = Some((since, words));
    }
}

/// How far the connection had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The broker had not let us in, whom we spoke to without TLS.
    Plain,
    /// The same, with TLS.
    Encrypted,
    /// It had.
    Connected,
}

impl Stage {
    /// Of a connection in which the broker has not answered.
    fn of(event_loop: &EventLoop) -> Self {
        match event_loop.mqtt_options.transport() {
            Transport::Tls(_) => Self::Encrypted,
            _ => Self::Plain,
        }
    }
}

/// What happened and what to do about it.
fn words(error: &ConnectionError, stage: Stage) -> String {
    let text = match error {
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "it does not answer. Check `mqtt.host` and `mqtt.port`, and that nothing between here \
             and there blocks the connection."
        }
        ConnectionError::NotConnAck(_) => {
            "what answers there is no MQTT broker. Check `mqtt.host` and `mqtt.port`."
        }
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => return io_words(error, stage),
        ConnectionError::Tls(TlsError::Io(error)) => {
            return match tls_error(error) {
                Some(error) => tls::words(error),
                None if was_closed(error) => tls::CLOSED_IN_HANDSHAKE.to_owned(),
                None => io_words(error, stage),
            };
        }
        ConnectionError::Tls(TlsError::TLS(error)) => return tls::words(error),
        ConnectionError::Tls(error) => return format!("TLS failed ({error}). Check `mqtt.host`."),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "it fell silent. Check that it runs, and the network between."
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(stage),
        ConnectionError::MqttState(StateError::Deserialization(_)) if stage == Stage::Plain => {
            "what answers there does not speak MQTT, or only in TLS. If this is the broker's port \
             for TLS, switch `mqtt.tls_enabled` on or use the other one, mostly 1883, as \
             `mqtt.port`."
        }
        ConnectionError::MqttState(error) => {
            return format!("the two no longer understand each other ({error}).");
        }
        ConnectionError::RequestsDone => "the program is stopping.",
    };
    text.to_owned()
}

/// What the broker has against us.
fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::BadUserNamePassword => {
            "it refused user name or password. Check `mqtt.username` and `mqtt.password`."
        }
        ConnectReturnCode::NotAuthorized => {
            "it does not let this user in. Check `mqtt.username` and `mqtt.password`, and the \
             user's rights on the broker."
        }
        ConnectReturnCode::BadClientId => {
            "it refused the client id. Choose another one as `mqtt.client`."
        }
        ConnectReturnCode::RefusedProtocolVersion => {
            "it does not speak MQTT 3.1.1. Allow this version in the broker's settings."
        }
        ConnectReturnCode::ServiceUnavailable => "it is not ready. Look at the broker's own log.",
        ConnectReturnCode::Success => "it answered oddly. Look at the broker's own log.",
    }
}

/// What may be behind it when the broker hangs up.
fn closed(stage: Stage) -> &'static str {
    match stage {
        Stage::Plain => {
            "it closed the connection without an answer. If this is its port for TLS, switch \
             `mqtt.tls_enabled` on or use the other one, mostly 1883, as `mqtt.port`; if it is not, \
             the broker's own log tells."
        }
        Stage::Encrypted => {
            "it closed the connection without an answer. It may want a certificate from its clients \
             (`mqtt.tls_cert` and `mqtt.tls_key`), or refuse the one that it was given; the broker's \
             own log tells."
        }
        Stage::Connected => {
            "it closed the connection. If it does so again and again, another program may be using \
             the same `mqtt.client`; the broker's own log tells."
        }
    }
}

/// What TLS has to say hides in an error of the system's kind.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn was_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
}

fn io_words(error: &io::Error, stage: Stage) -> String {
    if let Some(error) = tls_error(error) {
        return tls::words(error);
    }
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there. Check that the broker runs, and `mqtt.host` and `mqtt.port`."
        }
        _ if was_closed(error) => closed(stage),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::TimedOut => {
            "its address cannot be reached. Check `mqtt.host` and the network."
        }
        _ if error.to_string().contains("lookup") => {
            "its name has no address. Check `mqtt.host`, or use the broker's IP address."
        }
        _ => return format!("{error}. Check `mqtt.host` and `mqtt.port`."),
    };
    text.to_owned()
}

/// Against a broker that does what a test says, made of the client's own packet types.
#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use bytes::BytesMut;
    use rumqttc::mqttbytes::v4::{ConnAck, Connect, Packet, PubAck, Publish, SubAck, Subscribe};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;
    use crate::config::{Credentials, Secret};

    struct Script {
        listener: TcpListener,
        received: mpsc::Receiver<Received>,
    }

    struct Peer {
        stream: TcpStream,
        unread: BytesMut,
    }

    impl Script {
        async fn start() -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
            Self::start_with(KEEP_ALIVE).await
        }

        async fn start_with(
            keep_alive: Duration,
        ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let broker = Broker {
                host: "127.0.0.1".to_owned(),
                port: NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap(),
                client_id: "test".to_owned(),
                credentials: Some(Credentials {
                    username: "somebody".to_owned(),
                    password: Secret::new("hunter2"),
                }),
                tls: None,
            };
            let status = |payload| message("status", payload, Qos::AtLeastOnce);
            let subscriptions = Subscriptions {
                always: vec!["birth".to_owned()],
                at_first: vec!["config/+".to_owned()],
            };
            let (publisher, mut connection, received) =
                prepare(&broker, status("online"), status("offline"), subscriptions);
            assert!(!format!("{connection:?}").contains("hunter2"));
            connection.event_loop.mqtt_options.set_keep_alive(keep_alive);
            let stop = CancellationToken::new();
            let running = tokio::spawn(connection.run(stop.clone()));
            (Self { listener, received }, publisher, stop, running)
        }

        /// The next connection, and its CONNECT.
        async fn accept(&self) -> (Peer, Connect) {
            let (stream, _) = self.listener.accept().await.unwrap();
            let mut peer = Peer { stream, unread: BytesMut::new() };
            match peer.next().await {
                Some(Packet::Connect(connect)) => (peer, connect),
                other => panic!("{other:?}"),
            }
        }

        /// The next connection, let in.
        async fn welcome(&self) -> Peer {
            let (mut peer, _) = self.accept().await;
            peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
            peer
        }
    }

    impl Peer {
        /// `None` at the end.
        async fn next(&mut self) -> Option<Packet> {
            loop {
                if let Ok(packet) = Packet::read(&mut self.unread, 65_536) {
                    return Some(packet);
                }
                let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread));
                if read.await.unwrap().unwrap_or(0) == 0 {
                    return None;
                }
            }
        }

        async fn send(&mut self, packet: Packet) {
            let mut bytes = BytesMut::new();
            packet.write(&mut bytes, 65_536).unwrap();
            self.stream.write_all(&bytes).await.unwrap();
        }

        /// The next publish, not acknowledged.
        async fn published(&mut self) -> Publish {
            loop {
                match self.next().await {
                    Some(Packet::Publish(publish)) => return publish,
                    Some(Packet::PingReq) => self.send(Packet::PingResp).await,
                    Some(Packet::Subscribe(subscribe)) => self.grant(&subscribe).await,
                    other => panic!("{other:?}"),
                }
            }
        }

        async fn grant(&mut self, subscribe: &Subscribe) {
            let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
            self.send(Packet::SubAck(SubAck::new(subscribe.pkid, codes))).await;
        }

        async fn says(&mut self, topic: &str, payload: &str, retain: bool) {
            let mut publish = Publish::new(topic, QoS::AtMostOnce, payload);
            publish.retain = retain;
            self.send(Packet::Publish(publish)).await;
        }

        async fn acknowledge(&mut self, publish: &Publish) {
            if publish.qos == QoS::AtLeastOnce {
                self.send(Packet::PubAck(PubAck::new(publish.pkid))).await;
            }
        }

        /// The next publishes, acknowledged, as `topic payload`.
        async fn take(&mut self, count: usize) -> Vec<String> {
            let mut taken = Vec::new();
            for _ in 0..count {
                let publish = self.published().await;
                self.acknowledge(&publish).await;
                taken.push(shown(&publish));
            }
            taken
        }
    }

    fn shown(publish: &Publish) -> String {
        format!("{} {}", publish.topic, String::from_utf8_lossy(&publish.payload))
    }

    fn message(topic: &str, payload: &str, qos: Qos) -> Message {
        Message { topic: topic.to_owned(), payload: payload.to_owned(), qos, retain: true }
    }

    fn discovery() -> Vec<Message> {
        vec![message("config", "{}", Qos::AtLeastOnce)]
    }

    fn values(payload: &str) -> Vec<Message> {
        vec![message("energy", payload, Qos::AtMostOnce)]
    }

    const METER: Source = Source::Meter(0);

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn ends(running: JoinHandle<()>) {
        timeout(PATIENCE, running).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn logs_in_and_leaves_a_last_will() {
        let (broker, _publisher, stop, running) = Script::start().await;
        let (peer, connect) = broker.accept().await;
        let login = connect.login.unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("somebody", "hunter2"));
        let will = connect.last_will.unwrap();
        assert_eq!((will.topic.as_str(), &will.message[..]), ("status", &b"offline"[..]));
        assert_eq!((will.qos, will.retain), (QoS::AtLeastOnce, true));
        assert!(connect.clean_session);
        assert_eq!(connect.keep_alive, 30);
        // Not even connected: nothing to say goodbye to.
        stop.cancel();
        ends(running).await;
        drop(peer);
    }

    #[tokio::test]
    async fn all_that_should_stand_is_sent_after_every_connect() {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        let expected = ["status online", "config {}", "energy 1"];
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(3).await, expected);
        // Only the last values, and discovery only when it changes.
        publisher.update(METER, discovery(), values("2"));
        assert_eq!(peer.take(1).await, ["energy 2"]);
        drop(peer);

        // The connection is lost before anything is acknowledged.
        let mut peer = broker.welcome().await;
        assert_eq!(shown(&peer.published().await), "status online");
        drop(peer);
        // Meanwhile the meter fell silent: its values do not pass for fresh ones.
        publisher.update(METER, discovery(), Vec::new());
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(2).await, ["status online", "config {}"]);
        publisher.update(METER, discovery(), values("3"));
        assert_eq!(peer.take(1).await, ["energy 3"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        assert_eq!(peer.next().await, Some(Packet::Disconnect));
        ends(running).await;
    }

    #[tokio::test]
    async fn what_the_broker_says_is_handed_on_and_all_can_be_sent_again() {
        let (mut broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        let mut peer = broker.welcome().await;
        // What is retained is asked for before anything is replaced.
        for filter in ["birth", "config/+"] {
            match peer.next().await {
                Some(Packet::Subscribe(subscribe)) => {
                    assert_eq!(subscribe.filters[0].path, filter);
                    peer.grant(&subscribe).await;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
        peer.says("config/old", "{}", true).await;
        peer.says("birth", "online", false).await;
        let heard = [broker.received.recv().await.unwrap(), broker.received.recv().await.unwrap()];
        let shown = heard.map(|message| (message.topic, message.payload, message.retained));
        let expected = [("config/old", "{}", true), ("birth", "online", false)];
        let expected = expected.map(|(t, p, r)| (t.to_owned(), p.as_bytes().to_vec(), r));
        assert_eq!(shown, expected);
        // As the program does on these two.
        let born = Instant::now();
        publisher.clear("config/old".to_owned());
        publisher.repeat();
        assert_eq!(peer.take(3).await, ["config/old ", "config {}", "energy 1"]);
        assert!(born.elapsed() < Duration::from_secs(5), "{:?}", born.elapsed());
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn a_refused_subscription_does_not_stop_publishing() {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, Vec::new(), values("1"));
        let mut peer = broker.welcome().await;
        for _ in 0..2 {
            let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
            let refused = vec![SubscribeReasonCode::Failure];
            peer.send(Packet::SubAck(SubAck::new(subscribe.pkid, refused))).await;
        }
        assert_eq!(peer.take(2).await, ["status online", "energy 1"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn the_goodbye_waits_for_its_acknowledgement() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        // Values that came last are still sent, before the goodbye.
        publisher.update(METER, discovery(), values("1"));
        stop.cancel();
        assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
        let goodbye = peer.published().await;
        assert_eq!(shown(&goodbye), "status offline");
        assert_eq!((goodbye.qos, goodbye.retain), (QoS::AtLeastOnce, true));
        // No disconnect yet.
        let early = timeout(Duration::from_millis(200), peer.next()).await;
        assert!(early.is_err(), "{early:?}");
        peer.acknowledge(&goodbye).await;
        assert_eq!(peer.next().await, Some(Packet::Disconnect));
        ends(running).await;
    }

    #[tokio::test]
    async fn a_broker_that_does_not_acknowledge_holds_nobody_up() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(shown(&peer.published().await), "status online");
        // More than the queue and the flight take.
        for number in 0..2 * QUEUE {
            let discovery = (0..number).map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce));
            publisher.update(METER, discovery.collect(), values(&number.to_string()));
        }
        for _ in 1..IN_FLIGHT {
            peer.published().await;
        }
        let started = Instant::now();
        stop.cancel();
        ends(running).await;
        // All of the time for a goodbye, and no more.
        assert!((GOODBYE..GOODBYE * 2).contains(&started.elapsed()), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_collision_of_packet_ids_does_not_silence_it_for_good() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        let many = |from: usize| {
            let all = from..from + 30;
            all.map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce)).collect::<Vec<_>>()
        };
        publisher.update(METER, many(0), Vec::new());
        // The first stays without its acknowledgement, the others get theirs, until the packet ids
        // come round to it; then the session is lost.
        let first = peer.published().await;
        for _ in 1..IN_FLIGHT {
            let publish = peer.published().await;
            peer.acknowledge(&publish).await;
        }
        // The subscriptions had the ids before it.
        assert_eq!(first.pkid, 3);
        let more = timeout(Duration::from_millis(200), peer.next()).await;
        assert!(more.is_err(), "it waits for the first: {more:?}");
        drop(peer);
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(31).await.len(), 31);
        publisher.update(METER, many(100), values("1"));
        assert_eq!(peer.take(31).await.last().map(String::as_str), Some("energy 1"));
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn after_a_refusal_it_tries_again() {
        use ConnectReturnCode as Code;

        let refused = async |code: Code| {
            let (broker, publisher, stop, running) = Script::start().await;
            publisher.update(METER, discovery(), values("1"));
            // More than once, so that no refusal is the last word.
            for _ in 0..2 {
                let (mut peer, _) = broker.accept().await;
                peer.send(Packet::ConnAck(ConnAck::new(code, false))).await;
            }
            let refused_at = Instant::now();
            let mut peer = broker.welcome().await;
            // The third attempt comes after twice the first pause.
            let waited = refused_at.elapsed();
            assert!(waited < FIRST_BACK_OFF * 4, "{code:?}: {waited:?}");
            assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"], "{code:?}");
            stop.cancel();
            assert_eq!(peer.take(1).await, ["status offline"]);
            ends(running).await;
        };
        tokio::join!(
            refused(Code::RefusedProtocolVersion),
            refused(Code::BadClientId),
            refused(Code::ServiceUnavailable),
            refused(Code::BadUserNamePassword),
            refused(Code::NotAuthorized),
        );
    }

    /// A busy broker takes its time to let somebody in.
    #[tokio::test]
    async fn a_slow_broker_is_waited_for() {
        let slow = async |seconds_tenth: u64| {
            let (broker, publisher, stop, running) = Script::start().await;
            publisher.update(METER, Vec::new(), values("1"));
            let (mut peer, _) = broker.accept().await;
            sleep(Duration::from_millis(100 * seconds_tenth)).await;
            peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
            assert_eq!(peer.take(2).await, ["status online", "energy 1"]);
            stop.cancel();
            assert_eq!(peer.take(1).await, ["status offline"]);
            ends(running).await;
        };
        tokio::join!(slow(15), slow(100));
    }

    /// What is published while the broker has stopped reading is there after the next connect.
    #[tokio::test]
    async fn a_connection_that_is_half_open_is_noticed() {
        let keep_alive = Duration::from_secs(1);
        let (broker, publisher, stop, running) = Script::start_with(keep_alive).await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        publisher.update(METER, discovery(), values("1"));
        // Nothing is read or said any more, and the connection stays.
        let silent_since = Instant::now();
        let mut again = broker.welcome().await;
        let noticed = silent_since.elapsed();
        assert!(noticed < 2 * keep_alive + FIRST_BACK_OFF * 2, "{noticed:?}");
        assert_eq!(again.take(3).await, ["status online", "config {}", "energy 1"]);
        drop(peer);
        stop.cancel();
        assert_eq!(again.take(1).await, ["status offline"]);
        ends(running).await;
    }

    /// However it fails, a broker that is down is not hammered.
    #[tokio::test]
    async fn attempts_come_less_than_once_a_second() {
        const WATCHED: Duration = Duration::from_secs(8);
        let counted = async |answer: Option<ConnectReturnCode>| {
            let (broker, _publisher, stop, running) = Script::start().await;
            let mut attempts = 0;
            let count = async {
                loop {
                    let (mut peer, _) = broker.accept().await;
                    attempts += 1;
                    // Let in and thrown out, refused, or cut off at once.
                    if let Some(code) = answer {
                        peer.send(Packet::ConnAck(ConnAck::new(code, false))).await;
                    }
                }
            };
            assert!(timeout(WATCHED, count).await.is_err());
            stop.cancel();
            ends(running).await;
            attempts
        };
        let answers =
            [None, Some(ConnectReturnCode::Success), Some(ConnectReturnCode::NotAuthorized)];
        let [cut, thrown_out, refused] = answers.map(counted);
        let (cut, thrown_out, refused) = tokio::join!(cut, thrown_out, refused);
        for attempts in [cut, thrown_out, refused] {
            assert!((2..8).contains(&attempts), "{cut} {thrown_out} {refused}");
        }
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        use ConnectReturnCode as Code;

        let codes = [
            Code::BadUserNamePassword,
            Code::NotAuthorized,
            Code::BadClientId,
            Code::RefusedProtocolVersion,
            Code::ServiceUnavailable,
        ];
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::PermissionDenied,
        ];
        let lookup = io::Error::other("failed to lookup address information: no such name");
        let errors = codes
            .into_iter()
            .map(ConnectionError::ConnectionRefused)
            .chain(kinds.into_iter().map(|kind| ConnectionError::Io(kind.into())))
            .chain([
                ConnectionError::Io(lookup),
                ConnectionError::NetworkTimeout,
                ConnectionError::NotConnAck(Packet::PingReq),
                ConnectionError::MqttState(StateError::AwaitPingResp),
                ConnectionError::MqttState(StateError::ConnectionAborted),
                ConnectionError::MqttState(StateError::Unsolicited(7)),
            ]);
        let texts: Vec<_> = errors.map(|error| words(&error, Stage::Connected)).collect();
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn an_ipv6_address_and_its_port_stay_apart() {
        let name = |host: &str| {
            let broker = Broker {
                host: host.to_owned(),
                port: NonZeroU16::new(1883).unwrap(),
                client_id: "test".to_owned(),
                credentials: None,
                tls: None,
            };
            let status = || message("status", "", Qos::AtLeastOnce);
            let subscriptions = Subscriptions::default();
            let (_, connection, _) = prepare(&broker, status(), status(), subscriptions);
            connection.event_loop.mqtt_options.broker_address()
        };
        assert_eq!(name("::1"), ("[::1]".to_owned(), 1883));
        assert_eq!(name("[::1]"), ("[::1]".to_owned(), 1883));
        assert_eq!(name("broker.lan"), ("broker.lan".to_owned(), 1883));
    }

    #[test]
    fn the_pause_between_attempts_varies_by_a_quarter() {
        for _ in 0..1_000 {
            let pause = jittered(Duration::from_secs(4));
            assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&pause), "{pause:?}");
        }
    }
}
