//! The client of the broker. It keeps what should stand on the broker and makes it so after every
//! connect; nobody else talks to the broker.
//!
//! Two loops side by side: one does nothing but poll the connection, the other publishes. The first
//! must never wait for the second (a full queue that nobody polls waits for ever), and callers wait
//! for neither: they change what should stand, and go on.

mod desired;
#[cfg(test)]
mod encrypted;
mod failure;
mod forget;
mod probe;
mod renewal;

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, LastWill, MqttOptions,
    NetworkOptions, Outgoing, QoS, SubscribeReasonCode,
};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use self::desired::{Answer, BIRTHS_ANSWERED, Publisher, Source};
use self::desired::{Sent, Wanted};
use self::failure::Stage;
pub use self::forget::forget;
pub use self::probe::probe;
use self::renewal::Renewal;
use crate::advice::{Advice, MadeBy};
use crate::config::{Broker, Qos};
use crate::payload::Message;
use crate::status::{Board, BrokerState};
use crate::tls;
use meter::back_off::BackOff;

const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// For the connection and the broker's answer to it.
const CONNECT_TIMEOUT_SECS: u64 = 20;

/// Publishes that may wait for their acknowledgement at a time. Mosquitto takes 20 with QoS 2 and
/// drops what exceeds them, with a reason that an MQTT 3.1.1 client never sees.
const IN_FLIGHT: u16 = 10;

/// Publishes that wait for the connection loop.
const QUEUE: usize = 100;

/// Between two attempts to connect.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LAST_BACK_OFF: Duration = Duration::from_secs(30);

/// A connection that held this long was a good one: the next attempt comes soon again.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// After so many that were not, one after the other, the log has had enough of them.
const SHORT_ONES: u32 = 3;

/// How long a goodbye may take, disconnecting included.
const GOODBYE: Duration = Duration::from_secs(1);

/// For so long nothing is replaced that may be retained.
const HEARD: Duration = Duration::from_millis(500);

/// From the first connection on, for so long is looked at what is retained.
const SURVEY: Duration = Duration::from_secs(10);

/// How what is retained is asked for. Mosquitto keeps 1000 messages for a client until it has
/// acknowledged those before, and silently drops the rest; of this kind it hands out all.
const LOOKING: QoS = QoS::AtMostOnce;

/// Messages from the broker that wait to be handled. What comes beyond them is lost: it is a flood.
const INBOX: usize = 4096;

/// How long it is waited until some are handled.
const ROOM_WITHIN: Duration = Duration::from_secs(1);

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

/// Which broker it is, as long as somebody knows.
pub type Brokers = watch::Receiver<Option<Broker>>;

/// What the connection is to be made by.
#[derive(Debug, Clone)]
pub struct Direction {
    /// Which broker it is.
    pub brokers: Brokers,
    /// Where it is told how it goes.
    pub board: Board,
    /// Who made the settings of the broker, and reads what is wrong with them.
    pub made_by: MadeBy,
}

/// A connection that has not been made yet.
#[derive(Debug)]
pub struct Connection {
    direction: Direction,
    wanted: watch::Receiver<Wanted>,
    online: Message,
    offline: Message,
    inbox: mpsc::Sender<Received>,
    keep_alive: Duration,
    /// A connection that held this long is a good one.
    good: Duration,
}

/// Prepares the connection. `online` is published after each connect; `offline` when the program
/// stops, and by the broker when it dies. The receiver gets what is subscribed to.
#[must_use]
pub fn prepare(
    direction: Direction,
    online: Message,
    offline: Message,
    subscriptions: Subscriptions,
) -> (Publisher, Connection, mpsc::Receiver<Received>) {
    let (publisher, wanted) = Publisher::new(subscriptions);
    let (inbox, received) = mpsc::channel(INBOX);
    let (keep_alive, good) = (KEEP_ALIVE, GOOD_CONNECTION);
    let connection = Connection { direction, wanted, online, offline, inbox, keep_alive, good };
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
    Publisher::new(Subscriptions::default()).0
}

/// A publisher, and what takes its messages as a connection would that never ends.
#[cfg(test)]
pub(crate) fn lonely_publisher() -> (Publisher, impl Future<Output = ()>) {
    let (publisher, mut wanted) = Publisher::new(Subscriptions::default());
    let sending = async move {
        let online = Message {
            topic: "status".to_owned(),
            payload: "online".to_owned(),
            qos: Qos::AtMostOnce,
            retain: true,
        };
        let mut sent = Sent::default();
        loop {
            let due = sent.take_due(&online, &wanted.borrow_and_update(), false);
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                () = at(due.next) => {}
            }
        }
    };
    (publisher, sending)
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
    /// Waits until it is known which broker it is, and stays connected to it until `stop` is
    /// cancelled; then says goodbye: `offline`, acknowledged, and a clean disconnect. Where the
    /// broker becomes another one, or only its password, the same goes for the connection before.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let brokers = &mut self.direction.brokers;
            let known = brokers.wait_for(Option::is_some);
            let known = match stop.run_until_cancelled(known).await {
                None => return,
                Some(known) => known.is_ok(),
            };
            let broker = brokers.borrow_and_update().clone().filter(|_| known);
            let Some(broker) = broker else {
                // Nobody is left who could say it.
                stop.cancelled().await;
                return;
            };
            let leave = stop.child_token();
            let mut changes = brokers.clone();
            let other = async {
                match changes.changed().await {
                    Ok(()) => leave.cancel(),
                    Err(_) => pending().await,
                }
                pending::<()>().await;
            };
            tokio::select! {
                () = self.stay(&broker, leave.clone()) => {}
                () = other => {}
            }
        }
    }

    /// Stays connected to this broker.
    async fn stay(&self, broker: &Broker, stop: CancellationToken) {
        let Self { direction, online, offline, inbox, .. } = self;
        let (client, mut event_loop) = client(broker, &broker.client_id, Some(offline));
        event_loop.mqtt_options.set_keep_alive(self.keep_alive);
        let (wanted, online) = (self.wanted.clone(), online.clone());
        let renewal = Renewal::new(broker.tls.clone(), direction.made_by.runs_as());
        let health = Health::new(broker, direction, self.good);
        let inbox = inbox.clone();
        let link = Link {
            connection: watch::Sender::new(None),
            queued: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        };
        // Cancelled when all that the publishing loop had to say is queued.
        let said = CancellationToken::new();
        let publish = publish(&link, client.clone(), wanted, online, stop.clone());
        let publish = async {
            publish.await;
            if link.connection.borrow().is_some() {
                send(&link, &client, offline).await;
            }
            said.cancel();
            pending::<()>().await;
        };
        let incoming = IncomingMessages { inbox, told_refusal: false, told_flood: false };
        let leaving = Leaving { stop, said: said.clone() };
        let poll = poll(&link, client.clone(), event_loop, renewal, incoming, health, leaving);
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
    stop: CancellationToken,
) {
    let mut connection = link.connection.subscribe();
    let mut number = None;
    let mut sent = Sent::default();
    let mut filters = Filters::default();
    let mut survey_ends = None;
    'connection: loop {
        let current = *connection.borrow_and_update();
        let mut next = None;
        if current.is_some() {
            if number != current {
                number = current;
                filters.forget();
                // Some brokers hand out what is retained only after what comes in next.
                let heard = Instant::now().checked_add(HEARD);
                let look = filters.are_to_be_surveyed(&wanted.borrow().subscriptions);
                sent.connected(heard.filter(|_| look));
            }
            if survey_ends.is_some_and(|at| at <= Instant::now()) {
                filters.are_surveyed(&wanted.borrow().subscriptions);
                survey_ends = None;
            }
            // First, so that what is retained is seen before it is replaced.
            let subscriptions = Arc::clone(&wanted.borrow().subscriptions);
            if filters.adjust(&client, subscriptions).await {
                survey_ends = Instant::now().checked_add(SURVEY);
            }
            let stopping = stop.is_cancelled();
            let due = sent.take_due(&online, &wanted.borrow_and_update(), stopping);
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

/// What is subscribed to.
#[derive(Debug, Default)]
struct Filters {
    /// In this connection.
    subscribed: BTreeSet<String>,
    /// Where it is known what is retained.
    surveyed: BTreeSet<String>,
    /// By what this was done.
    adjusted_to: Option<Arc<Subscriptions>>,
}

impl Filters {
    /// What is retained there was looked at for long enough.
    fn are_surveyed(&mut self, subscriptions: &Subscriptions) {
        let seen = subscriptions.at_first.iter().filter(|filter| self.subscribed.contains(*filter));
        self.surveyed.extend(seen.cloned());
        self.adjusted_to = None;
    }

    /// The connection is a new one.
    fn forget(&mut self) {
        self.subscribed.clear();
        self.adjusted_to = None;
    }

    fn are_to_be_surveyed(&self, subscriptions: &Subscriptions) -> bool {
        !subscriptions.at_first.iter().all(|filter| self.surveyed.contains(filter))
    }

    /// Subscribes to what is wanted, and to nothing else. Whether something new is looked at.
    async fn adjust(&mut self, client: &AsyncClient, wanted: Arc<Subscriptions>) -> bool {
        if self.adjusted_to.as_ref().is_some_and(|by| Arc::ptr_eq(by, &wanted)) {
            return false;
        }
        let Subscriptions { always, at_first } = &*wanted;
        let at_first = at_first.iter().filter(|filter| !self.surveyed.contains(*filter));
        let at_first: Vec<&String> = at_first.collect();
        let always = always.iter().map(|filter| (filter, QoS::AtLeastOnce));
        let filters = || always.clone().chain(at_first.iter().map(|filter| (*filter, LOOKING)));
        let is_new = at_first.iter().any(|filter| !self.subscribed.contains(*filter));
        let all: BTreeSet<String> = filters().map(|(filter, _)| filter.clone()).collect();
        // Both fail only when the connection loop has ended, and the program with it.
        for filter in self.subscribed.difference(&all) {
            let _ = client.unsubscribe(filter).await;
        }
        for (filter, qos) in filters().filter(|(filter, _)| !self.subscribed.contains(*filter)) {
            let _ = client.subscribe(filter, qos).await;
        }
        self.subscribed = all;
        self.adjusted_to = Some(wanted);
        is_new
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
    /// The program is asked to stop, or another broker to be taken.
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
    mut incoming: IncomingMessages,
    mut health: Health,
    Leaving { stop, said }: Leaving,
) {
    let mut connections = 0_u64;
    let mut back_off = BackOff::new(FIRST_BACK_OFF, LAST_BACK_OFF);
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
        // News of a good connection comes in time, also where nothing else happens.
        let polling = async {
            let mut polling = pin!(event_loop.poll());
            tokio::select! {
                event = &mut polling => event,
                () = at(health.holds_at()) => {
                    health.holds();
                    polling.await
                }
            }
        };
        let event = tokio::select! {
            event = polling => event,
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
            Ok(Event::Incoming(packet)) => incoming.hear(packet).await,
            Ok(Event::Outgoing(_)) => {}
            Err(error) => {
                // Without this line the client never publishes again after an acknowledgement out
                // of order and a lost session (rumqtt issue 1056).
                event_loop.state.collision = None;
                // Nor may what was sent and heard before the loss be counted after it: a second
                // CONNACK, for one, which is a fault and would pass for another connection.
                event_loop.state.events.clear();
                link.connection.send_replace(None);
                let stage = match connected_at {
                    Some(_) => Stage::Connected,
                    None => Stage::of(&event_loop),
                };
                if stop.is_cancelled() {
                    health.gone_early(stage);
                    return;
                }
                health.lost(&error, stage);
                let good =
                    connected_at.take().is_some_and(|at: Instant| at.elapsed() >= health.good);
                if good {
                    back_off.reset();
                }
                tokio::select! {
                    () = sleep(jittered(back_off.pause())) => {}
                    () = stop.cancelled() => return,
                }
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

/// Waits until then, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Hands on what the broker says.
#[derive(Debug)]
struct IncomingMessages {
    inbox: mpsc::Sender<Received>,
    told_refusal: bool,
    told_flood: bool,
}

impl IncomingMessages {
    /// Waits for room, since much may come at once; but hardly, and never again once that was in
    /// vain, since the connection must go on.
    async fn hear(&mut self, packet: Incoming) {
        match packet {
            Incoming::Publish(publish) => {
                let received = Received {
                    topic: publish.topic,
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                };
                let patience = if self.told_flood { Duration::ZERO } else { ROOM_WITHIN };
                let handed_on = self.inbox.send_timeout(received, patience).await;
                // The inbox is closed when the program stops.
                if let Err(SendTimeoutError::Timeout(_)) = handed_on
                    && !self.told_flood
                {
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
    time.saturating_mul(fastrand::u32(768..1280)).checked_div(1024).unwrap_or(time)
}

/// Logs changes of the connection's state, once each, and keeps the board up to date.
#[derive(Debug)]
struct Health {
    name: String,
    board: Board,
    made_by: MadeBy,
    /// Since when it is down, and why; `None` while it is up.
    down: Option<(Instant, Advice)>,
    /// Whether there are user name and password.
    logs_in: bool,
    /// Since when it is up.
    up: Option<Instant>,
    /// So many connections in a row ended before they were good ones.
    short: u32,
    /// A connection that held this long is a good one.
    good: Duration,
}

impl Health {
    fn new(broker: &Broker, direction: &Direction, good: Duration) -> Self {
        let Direction { board, made_by, .. } = direction;
        let (name, logs_in) = (broker.name(), broker.credentials.is_some());
        board.set_broker(BrokerState::Connecting { name: name.clone() });
        Self {
            name,
            board: board.clone(),
            made_by: *made_by,
            down: None,
            logs_in,
            up: None,
            short: 0,
            good,
        }
    }

    fn connected(&mut self) {
        let (name, since) = (self.name.clone(), Instant::now());
        self.board.set_broker(BrokerState::Connected { name, since });
        self.up = Some(since);
        if self.short >= SHORT_ONES {
            self.down = None;
            debug!("Connected to the broker {} once more.", self.name);
        } else if let Some((since, _)) = self.down.take() {
            info!(
                "Connected to the broker {} again, after {}.",
                self.name,
                meter::poll::words(since.elapsed())
            );
        } else {
            info!("Connected to the broker {}.", self.name);
        }
    }

    /// When it is news that the connection is a good one: those before it were not.
    fn holds_at(&self) -> Option<Instant> {
        let up = self.up.filter(|_| self.short >= SHORT_ONES);
        up.and_then(|up| up.checked_add(self.good))
    }

    /// The connection is a good one, and those before it were not.
    fn holds(&mut self) {
        self.short = 0;
        info!("The connection to the broker {} holds again.", self.name);
    }

    /// The connection was lost when it was to be given up anyway.
    fn gone_early(&self, stage: Stage) {
        if stage == Stage::Connected {
            warn!(
                "The connection to the broker {} broke during the goodbye; the broker says \
                 `offline` by itself.",
                self.name
            );
        }
    }

    fn lost(&mut self, error: &ConnectionError, stage: Stage) {
        let advice = failure::advice(error, stage, self.logs_in);
        let words = advice.words(self.made_by);
        let since = match &self.down {
            Some((_, known)) if *known == advice => {
                debug!("As before, the broker {}: {words}", self.name);
                return;
            }
            Some((since, _)) => *since,
            None => Instant::now(),
        };
        if stage == Stage::Connected {
            let held = self.up.take().map(|since| since.elapsed());
            let was_short = held.is_some_and(|held| held < self.good);
            self.short = if was_short { self.short.saturating_add(1) } else { 0 };
        }
        if stage != Stage::Connected || self.short < SHORT_ONES {
            warn!(
                "No connection to the broker {}: {words} Trying again until it works.",
                self.name
            );
        } else if self.short == SHORT_ONES {
            let words = failure::thrown_out().words(self.made_by);
            warn!("No good connection to the broker {}: {words}", self.name);
        } else {
            debug!("Again the broker {}: {words}", self.name);
        }
        let name = self.name.clone();
        self.board.set_broker(BrokerState::Down { name, since, words });
        self.down = Some((since, advice));
    }
}

/// Against a broker that does what a test says, made of the client's own packet types.
#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use bytes::BytesMut;
    use rumqttc::mqttbytes::v4::{
        ConnAck, Connect, Packet, PubAck, PubComp, PubRec, Publish, SubAck, Subscribe, UnsubAck,
    };
    use rumqttc::{ConnectReturnCode, StateError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;
    use crate::config::{Credentials, Secret};
    use logging::capture;

    struct Script {
        listener: TcpListener,
        received: mpsc::Receiver<Received>,
        brokers: watch::Sender<Option<Broker>>,
        board: Board,
    }

    struct Peer {
        stream: TcpStream,
        unread: BytesMut,
    }

    fn settings(listener: &TcpListener) -> Broker {
        Broker {
            host: "127.0.0.1".to_owned(),
            port: NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap(),
            client_id: "test".to_owned(),
            credentials: Some(Credentials {
                username: "somebody".to_owned(),
                password: Secret::new("hunter2"),
            }),
            tls: None,
        }
    }

    impl Script {
        async fn start() -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
            Self::start_with(KEEP_ALIVE, GOOD_CONNECTION).await
        }

        async fn start_with(
            keep_alive: Duration,
            good: Duration,
        ) -> (Self, Publisher, CancellationToken, JoinHandle<()>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let broker = settings(&listener);
            let status = |payload| message("status", payload, Qos::AtLeastOnce);
            let subscriptions = Subscriptions {
                always: vec!["birth".to_owned()],
                at_first: vec!["config/+".to_owned()],
            };
            let (sender, brokers) = watch::channel(Some(broker));
            let board = Board::default();
            let direction = Direction { brokers, board: board.clone(), made_by: MadeBy::File };
            let (publisher, mut connection, received) =
                prepare(direction, status("online"), status("offline"), subscriptions);
            assert!(!format!("{connection:?}").contains("hunter2"));
            connection.keep_alive = keep_alive;
            connection.good = good;
            let stop = CancellationToken::new();
            let running = tokio::spawn(connection.run(stop.clone()));
            (Self { listener, received, brokers: sender, board }, publisher, stop, running)
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
                    Some(Packet::PubRel(released)) => self.complete(released.pkid).await,
                    other => panic!("{other:?}"),
                }
            }
        }

        /// The third answer to a publish that comes exactly once.
        async fn complete(&mut self, pkid: u16) {
            self.send(Packet::PubComp(PubComp::new(pkid))).await;
        }

        /// Exactly these are published, the first of them only just now.
        async fn all_within_five_seconds<T>(&mut self, expected: &[T])
        where
            T: std::fmt::Debug,
            String: PartialEq<T>,
        {
            let back = Instant::now();
            let taken = self.take(expected.len()).await;
            assert_eq!(taken, expected);
            assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
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
            match publish.qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => self.send(Packet::PubAck(PubAck::new(publish.pkid))).await,
                QoS::ExactlyOnce => self.send(Packet::PubRec(PubRec::new(publish.pkid))).await,
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

    fn many(numbers: std::ops::Range<usize>) -> Vec<Message> {
        numbers.map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce)).collect()
    }

    fn discovery() -> Vec<Message> {
        vec![message("config", "{}", Qos::AtLeastOnce)]
    }

    fn values(payload: &str) -> Vec<Message> {
        vec![message("energy", payload, Qos::AtMostOnce)]
    }

    const METER: Source = Source::Meter(0);

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A busy machine may take so much longer.
    const ROOM: Duration = Duration::from_secs(1);

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
        for (filter, qos) in [("birth", QoS::AtLeastOnce), ("config/+", QoS::AtMostOnce)] {
            match peer.next().await {
                Some(Packet::Subscribe(subscribe)) => {
                    assert_eq!(subscribe.filters[0].path, filter);
                    assert_eq!(subscribe.filters[0].qos, qos);
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
        let _ = publisher.repeat();
        assert_eq!(peer.take(3).await, ["config/old ", "config {}", "energy 1"]);
        assert!(born.elapsed() < Duration::from_secs(5), "{:?}", born.elapsed());
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    /// As it is where Home Assistant is asked for the broker.
    #[tokio::test]
    async fn the_broker_may_become_known_late_and_change() {
        let (broker, publisher, stop, running) = Script::start().await;
        let known = broker.brokers.send_replace(None);
        publisher.update(METER, discovery(), values("1"));
        let mut states = broker.board.broker();
        let password = |password: &str| {
            let mut broker = known.clone().unwrap();
            let username = "somebody".to_owned();
            broker.credentials = Some(Credentials { username, password: Secret::new(password) });
            Some(broker)
        };
        let logged_in = |connect: Connect| connect.login.unwrap().password;

        broker.brokers.send_replace(password("old"));
        let (mut peer, connect) = broker.accept().await;
        assert_eq!(logged_in(connect), "old");
        let refused = ConnectReturnCode::BadUserNamePassword;
        peer.send(Packet::ConnAck(ConnAck::new(refused, false))).await;
        let is_down = |state: &BrokerState| matches!(state, BrokerState::Down { .. });
        states.wait_for(is_down).await.unwrap();
        // Not after a pause: this is news.
        let told = Instant::now();
        broker.brokers.send_replace(password("new"));
        let (mut peer, connect) = broker.accept().await;
        assert_eq!(logged_in(connect), "new");
        assert!(told.elapsed() < FIRST_BACK_OFF / 2, "{:?}", told.elapsed());
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
        let is_up = |state: &BrokerState| matches!(state, BrokerState::Connected { .. });
        states.wait_for(is_up).await.unwrap();

        // Who is left for another one is told goodbye.
        broker.brokers.send_replace(password("newest"));
        assert_eq!(peer.take(1).await, ["status offline"]);
        assert_eq!(peer.next().await, Some(Packet::Disconnect));
        let (mut peer, connect) = broker.accept().await;
        assert_eq!(logged_in(connect), "newest");
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn subscriptions_change_in_the_same_connection() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        let mut told = async |count: usize| {
            let mut told = Vec::new();
            while told.len() < count {
                match peer.next().await {
                    Some(Packet::Subscribe(subscribe)) => {
                        peer.grant(&subscribe).await;
                        told.push(format!("+{}", subscribe.filters[0].path));
                    }
                    Some(Packet::Unsubscribe(packet)) => {
                        let answer = Packet::UnsubAck(UnsubAck::new(packet.pkid));
                        peer.send(answer).await;
                        told.push(format!("-{}", packet.topics[0]));
                    }
                    Some(Packet::Publish(publish)) => peer.acknowledge(&publish).await,
                    other => panic!("{other:?}"),
                }
            }
            told
        };
        assert_eq!(told(2).await, ["+birth", "+config/+"]);
        publisher.subscribe(Subscriptions {
            always: vec!["birth".to_owned(), "command/+".to_owned()],
            at_first: vec!["other/+".to_owned()],
        });
        assert_eq!(told(3).await, ["-config/+", "+command/+", "+other/+"]);
        // After a loss, what counts is what is wanted now.
        drop(peer);
        let mut peer = broker.welcome().await;
        let mut filters = Vec::new();
        while filters.len() < 3 {
            if let Some(Packet::Subscribe(subscribe)) = peer.next().await {
                peer.grant(&subscribe).await;
                filters.push(subscribe.filters[0].path.clone());
            }
        }
        assert_eq!(filters, ["birth", "command/+", "other/+"]);
        stop.cancel();
        assert_eq!(peer.take(2).await, ["status online", "status offline"]);
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
    async fn a_broker_that_goes_during_the_goodbye_is_not_tried_again() {
        let (log, _logging) = capture::lines();
        let (broker, _publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(shown(&peer.published().await), "status online");
        stop.cancel();
        assert_eq!(shown(&peer.published().await), "status offline");
        drop(peer);
        ends(running).await;
        let lines = log.take();
        let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!((told("broke during the goodbye"), told("Trying again")), (1, 0), "{lines:#?}");
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

    /// What came before a loss must not count after it, as another connection would.
    #[tokio::test]
    async fn a_second_welcome_is_a_fault_and_makes_no_connection_of_its_own() {
        let (log, _logging) = capture::lines();
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        let mut peer = broker.welcome().await;
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
        publisher.update(METER, discovery(), values("2"));
        assert_eq!(peer.take(1).await, ["energy 2"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
        let lines = log.take().into_iter();
        let connected = lines.filter(|line| line.contains("Connected to the broker"));
        assert_eq!(connected.count(), 2);
    }

    /// Two programs with the same client id throw each other out: that is said once, and what it is.
    #[tokio::test(start_paused = true)]
    async fn a_client_id_that_another_program_uses_is_told_once() {
        let (log, _logging) = capture::lines();
        let broker = Broker {
            host: "broker".to_owned(),
            port: NonZeroU16::new(1883).unwrap(),
            client_id: "kamstrup".to_owned(),
            credentials: None,
            tls: None,
        };
        let brokers = watch::channel(Some(broker.clone())).1;
        let direction = Direction { brokers, board: Board::default(), made_by: MadeBy::File };
        let mut health = Health::new(&broker, &direction, GOOD_CONNECTION);
        let told = |log: &capture::Captured| {
            let lines = log.take().into_iter();
            lines.filter(|line| !line.starts_with("DEBUG")).collect::<Vec<_>>()
        };
        let thrown_out = ConnectionError::MqttState(StateError::ConnectionAborted);
        let come_and_go = async |health: &mut Health, held| {
            health.connected();
            tokio::time::advance(held).await;
            health.lost(&thrown_out, Stage::Connected);
        };
        let moment = Duration::from_secs(1);
        come_and_go(&mut health, moment).await;
        come_and_go(&mut health, moment).await;
        assert_eq!(told(&log).len(), 4);
        for _ in 0..50 {
            come_and_go(&mut health, moment).await;
        }
        let lines = told(&log);
        let [again, once] = lines.as_slice() else { panic!("{lines:#?}") };
        assert_eq!(again, "INFO Connected to the broker broker:1883 again, after 0.0 s.");
        assert_eq!(
            once,
            "WARN No good connection to the broker broker:1883: it ended the connection again and \
             again. Most likely another program uses the same `mqtt.client`: stop it, or choose \
             another name. Trying again; no more is said of this until a connection has held for 10 s."
        );
        // The other one is stopped.
        health.connected();
        assert_eq!(told(&log), [""; 0]);
        assert_eq!(health.holds_at(), Instant::now().checked_add(GOOD_CONNECTION));
        health.holds();
        assert_eq!(health.holds_at(), None);
        assert_eq!(told(&log), ["INFO The connection to the broker broker:1883 holds again."]);
        tokio::time::advance(GOOD_CONNECTION).await;
        health.lost(&thrown_out, Stage::Connected);
        assert_eq!(told(&log).len(), 1);
    }

    /// When a connection holds again after short ones, that is told in time, though nothing is said in
    /// it before the next ping.
    #[tokio::test]
    async fn a_connection_that_holds_again_is_told_in_time() {
        const HOLDS: &str = "holds again.";

        let (log, _logging) = capture::lines();
        // Longer than a busy machine takes to notice a short one.
        let good = Duration::from_secs(2);
        let (broker, publisher, stop, running) = Script::start_with(KEEP_ALIVE, good).await;
        for _ in 0..SHORT_ONES {
            drop(broker.welcome().await);
        }
        let mut peer = broker.welcome().await;
        let welcome = Instant::now();
        let said = log.take();
        assert!(said.iter().any(|line| line.contains("No good connection")), "{said:#?}");
        assert!(!said.iter().any(|line| line.contains(HOLDS)), "{said:#?}");
        assert_eq!(peer.take(1).await, ["status online"]);
        let told = async {
            while !log.take().iter().any(|line| line.contains(HOLDS)) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(KEEP_ALIVE / 2, told).await.unwrap();
        // The program may have known a moment before.
        assert!(welcome.elapsed() > good / 2, "{:?}", welcome.elapsed());
        // The connection is as good as before.
        publisher.update(METER, discovery(), values("1"));
        assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
        assert!(!log.take().iter().any(|line| line.contains(HOLDS)));
    }

    #[tokio::test]
    async fn after_a_refusal_of_any_kind_it_tries_again() {
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
            peer.all_within_five_seconds(&["status online", "config {}", "energy 1"]).await;
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

    /// More than is in flight and than the queue takes, lost in the midst of it.
    #[tokio::test]
    async fn what_waits_when_the_connection_is_lost_is_there_soon_after() {
        let (broker, publisher, stop, running) = Script::start().await;
        let many = many(0..3 * QUEUE);
        publisher.update(METER, many.clone(), values("1"));
        let mut peer = broker.welcome().await;
        // Some are acknowledged, some are not, and some never went out.
        peer.take(usize::from(IN_FLIGHT) / 2).await;
        for _ in 0..IN_FLIGHT {
            peer.published().await;
        }
        drop(peer);

        let mut peer = broker.welcome().await;
        let discovery = many.iter().map(|message| format!("{} x", message.topic));
        let online = || ["status online".to_owned()].into_iter();
        let expected: Vec<_> =
            online().chain(discovery).chain(["energy 1".to_owned()].into_iter()).collect();
        peer.all_within_five_seconds(&expected).await;
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn acknowledgements_may_come_in_any_order() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        publisher.update(METER, many(0..60), Vec::new());
        let mut arrived = Vec::new();
        while arrived.len() < 60 {
            let mut together = Vec::new();
            for _ in 0..IN_FLIGHT {
                together.push(peer.published().await);
            }
            arrived.extend(together.iter().map(|publish| publish.topic.clone()));
            for publish in together.iter().rev() {
                peer.acknowledge(publish).await;
            }
        }
        // Each once.
        let topics = many(0..60).into_iter().map(|message| message.topic);
        assert_eq!(arrived, topics.collect::<Vec<_>>());
        publisher.update(METER, many(0..60), values("1"));
        assert_eq!(peer.take(1).await, ["energy 1"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn quality_and_retain_are_those_of_the_message() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        let expected = [
            (Qos::AtMostOnce, QoS::AtMostOnce),
            (Qos::AtLeastOnce, QoS::AtLeastOnce),
            (Qos::ExactlyOnce, QoS::ExactlyOnce),
        ];
        let expected = expected.map(|qos| [(qos, false), (qos, true)]).concat();
        let state = |((qos, _), retain)| Message { retain, ..message("energy", "1", qos) };
        publisher.update(METER, Vec::new(), expected.iter().copied().map(state).collect());
        for ((_, qos), retain) in expected {
            let publish = peer.published().await;
            assert_eq!((publish.qos, publish.retain, publish.dup), (qos, retain, false));
            peer.acknowledge(&publish).await;
        }
        // Nothing is said twice.
        publisher.update(METER, Vec::new(), values("2"));
        assert_eq!(peer.take(1).await, ["energy 2"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        loop {
            match peer.next().await {
                Some(Packet::PubRel(released)) => peer.complete(released.pkid).await,
                other => break assert_eq!(other, Some(Packet::Disconnect)),
            }
        }
        ends(running).await;
    }

    #[tokio::test]
    async fn a_flood_from_the_broker_is_bounded_and_holds_up_nothing() {
        const MORE: usize = 500;
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        // Nobody takes what comes in.
        for _ in 0..INBOX + MORE {
            peer.says("birth", "online", false).await;
        }
        publisher.update(METER, discovery(), values("1"));
        assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
        // The answer to a last message proves that all before it were heard.
        let mut last = Publish::new("birth", QoS::AtLeastOnce, "online");
        last.pkid = 1;
        peer.send(Packet::Publish(last)).await;
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck::new(1))));
        assert_eq!(broker.received.len(), INBOX);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_and_what_comes_while_the_program_stops_is_none() {
        let packet = || Incoming::Publish(Publish::new("birth", QoS::AtMostOnce, "online"));
        let (inbox, received) = mpsc::channel(1);
        let mut incoming = IncomingMessages { inbox, told_refusal: false, told_flood: false };
        incoming.hear(packet()).await;
        assert!(!incoming.told_flood);
        incoming.hear(packet()).await;
        assert!(incoming.told_flood);
        // Once that is so, nothing waits for it any more.
        let before = Instant::now();
        incoming.hear(packet()).await;
        assert!(before.elapsed() < ROOM_WITHIN, "{:?}", before.elapsed());
        incoming.told_flood = false;
        drop(received);
        incoming.hear(packet()).await;
        assert!(!incoming.told_flood);
    }

    /// What is retained may come all at once, and is handled meanwhile.
    #[tokio::test]
    async fn of_much_that_is_handled_nothing_is_lost() {
        let (mut broker, _publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        let mut bytes = BytesMut::new();
        for number in 0..3 * INBOX {
            let mut publish = Publish::new("config/x", QoS::AtMostOnce, number.to_string());
            publish.retain = true;
            Packet::Publish(publish).write(&mut bytes, 65_536).unwrap();
        }
        let says = async { peer.stream.write_all(&bytes).await.unwrap() };
        let hears = async {
            for number in 0..3 * INBOX {
                let heard = timeout(PATIENCE, broker.received.recv()).await.unwrap().unwrap();
                assert_eq!(heard.payload, number.to_string().into_bytes());
            }
        };
        tokio::join!(says, hears);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    }

    #[tokio::test]
    async fn much_is_forgotten_under_many_filters() {
        const MUCH: usize = 3 * QUEUE;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(&listener);
        let filters: Vec<_> = (0..MUCH).map(|number| format!("f{number}/+")).collect();
        let forgets = forget(&settings, &filters, |topic, _| topic.starts_with("ours"));
        let (_keep, received) = mpsc::channel(1);
        let brokers = watch::channel(None).0;
        let script = Script { listener, received, brokers, board: Board::default() };
        let hands_out = async {
            let mut peer = script.welcome().await;
            for number in 0..MUCH {
                let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
                assert_eq!(subscribe.filters[0].path, format!("f{number}/+"));
                if number == 0 {
                    for number in 0..MUCH {
                        peer.says(&format!("ours/{number}"), "x", true).await;
                        peer.says(&format!("others/{number}"), "x", true).await;
                    }
                }
                peer.grant(&subscribe).await;
            }
            let mut cleared = peer.take(MUCH).await;
            assert_eq!(peer.next().await, Some(Packet::Disconnect));
            cleared.sort_unstable();
            cleared
        };
        let (forgotten, cleared) = tokio::join!(forgets, hands_out);
        let forgotten: Vec<_> =
            forgotten.unwrap().into_iter().map(|topic| format!("{topic} ")).collect();
        assert_eq!(forgotten.len(), MUCH);
        assert_eq!(cleared, forgotten);
    }

    /// The program is running, or another one that has the same topics.
    #[tokio::test]
    async fn what_is_said_now_does_not_keep_from_forgetting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(&listener);
        let filters = ["ours/+".to_owned()];
        let forgets = forget(&settings, &filters, |_, _| true);
        let (_keep, received) = mpsc::channel(1);
        let brokers = watch::channel(None).0;
        let script = Script { listener, received, brokers, board: Board::default() };
        let speaks = async {
            let mut peer = script.welcome().await;
            let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
            peer.says("ours/old", "x", true).await;
            peer.grant(&subscribe).await;
            let begun = Instant::now();
            let cleared = loop {
                peer.says("ours/new", "x", false).await;
                if let Ok(cleared) = timeout(Duration::from_millis(300), peer.published()).await {
                    peer.acknowledge(&cleared).await;
                    break shown(&cleared);
                }
                assert!(begun.elapsed() < Duration::from_secs(5), "it waits for silence");
            };
            assert_eq!(cleared, "ours/old ");
            assert_eq!(peer.next().await, Some(Packet::Disconnect));
        };
        let (forgotten, ()) = tokio::join!(forgets, speaks);
        assert_eq!(forgotten.unwrap().into_iter().collect::<Vec<_>>(), ["ours/old"]);
    }

    #[tokio::test]
    async fn a_message_without_end_ends_only_the_connection() {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        let mut peer = broker.welcome().await;
        let expected = ["status online", "config {}", "energy 1"];
        assert_eq!(peer.take(3).await, expected);
        // A PUBLISH that announces 256 MiB.
        let announced = Instant::now();
        peer.stream.write_all(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await.unwrap();
        while peer.next().await.is_some() {}
        // It is not waited for.
        assert!(announced.elapsed() < ROOM, "{:?}", announced.elapsed());
        let mut again = broker.welcome().await;
        again.all_within_five_seconds(&expected).await;
        stop.cancel();
        assert_eq!(again.take(1).await, ["status offline"]);
        ends(running).await;
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

    /// What is published while the broker has fallen silent is there after the next connect.
    #[tokio::test]
    async fn a_connection_that_is_half_open_is_noticed() {
        let keep_alive = Duration::from_secs(2);
        let (broker, publisher, stop, running) =
            Script::start_with(keep_alive, GOOD_CONNECTION).await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        publisher.update(METER, discovery(), values("1"));
        // Nothing is said any more, and the connection stays.
        let silent_since = Instant::now();
        while peer.next().await.is_some() {}
        let noticed = silent_since.elapsed();
        assert!(noticed > keep_alive / 2 && noticed < 2 * keep_alive + ROOM, "{noticed:?}");
        let mut again = broker.welcome().await;
        again.all_within_five_seconds(&["status online", "config {}", "energy 1"]).await;
        stop.cancel();
        assert_eq!(again.take(1).await, ["status offline"]);
        ends(running).await;
    }

    /// Nor is it kept for longer when nothing can be written to it any more, so that not even a
    /// ping goes out.
    #[tokio::test]
    async fn a_broker_that_reads_no_more_is_left() {
        let (broker, publisher, stop, running) = Script::start().await;
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(1).await, ["status online"]);
        // More than the system keeps for a reader.
        let much = "x".repeat(LONGEST / 2);
        let states = vec![message("energy", &much, Qos::AtMostOnce); 32];
        let silent_since = Instant::now();
        publisher.update(METER, discovery(), states);
        let mut again = broker.welcome().await;
        let noticed = silent_since.elapsed();
        assert!(noticed < 2 * KEEP_ALIVE, "{noticed:?}");
        // Values change meanwhile as they did before.
        publisher.update(METER, discovery(), values("2"));
        again.all_within_five_seconds(&["status online", "config {}", "energy 2"]).await;
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
    fn an_ipv6_address_and_its_port_stay_apart() {
        let name = |host: &str| {
            let broker = Broker {
                host: host.to_owned(),
                port: NonZeroU16::new(1883).unwrap(),
                client_id: "test".to_owned(),
                credentials: None,
                tls: None,
            };
            let (_, event_loop) = client(&broker, "test", None);
            event_loop.mqtt_options.broker_address()
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
