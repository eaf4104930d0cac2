//! The connection to the broker, from the moment the first broker is known until the program stops.

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::client::{self, KEEP_ALIVE};
use super::connection_log::ConnectionLog;
use super::connection_loop::{ACKNOWLEDGED_WITHIN, ConnectionLoop, Progress, Shutdown};
use super::desired::Desired;
use super::incoming::{INBOX, IncomingMessages, Received};
use super::link::Link;
use super::publish_loop::PublishLoop;
use super::publisher::Publisher;
use super::read_back::{self, ReadBack};
use super::renewal::Renewal;
use super::slowness::Slowness;
use super::subscriptions::Subscriptions;
use crate::advice::MadeBy;
use crate::config::Broker;
use crate::payload::Message;
use crate::status::Board;

/// After a connection that lasts this long, the back-off starts again.
pub(super) const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// The broker to use; `None` while it is not yet known.
pub(crate) type Brokers = watch::Receiver<Option<Broker>>;

/// The settings of a connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    /// The broker to use.
    pub brokers: Brokers,
    /// Where the state of the connection is shown.
    pub board: Board,
    /// Who made the settings of the broker and reads the advice about them.
    pub made_by: MadeBy,
}

/// A connection that has not been made yet.
#[derive(Debug)]
pub(crate) struct Connection {
    settings: ConnectionSettings,
    desired: watch::Receiver<Desired>,
    online: Message,
    offline: Message,
    inbox: mpsc::Sender<Received>,
    pub(super) keep_alive: Duration,
    /// After a connection that lasts this long, the back-off starts again.
    pub(super) good: Duration,
    /// How long after the connect retained messages are read back.
    pub(super) read_back_after: Duration,
    /// How long the broker may keep the client from sending, because it does not acknowledge.
    pub(super) acknowledged_within: Duration,
}

/// Prepares the connection. It publishes `online` after each connect and `offline` when the program
/// stops; the broker publishes `offline` when the program dies. The receiver gets the messages of
/// the subscriptions.
#[must_use]
pub(crate) fn prepare(
    settings: ConnectionSettings,
    online: Message,
    offline: Message,
    subscriptions: Subscriptions,
) -> (Publisher, Connection, mpsc::Receiver<Received>) {
    let (publisher, desired) = Publisher::new(subscriptions);
    let (inbox, received) = mpsc::channel(INBOX);
    let connection = Connection {
        settings,
        desired,
        online,
        offline,
        inbox,
        keep_alive: KEEP_ALIVE,
        good: GOOD_CONNECTION,
        read_back_after: read_back::AFTER,
        acknowledged_within: ACKNOWLEDGED_WITHIN,
    };
    (publisher, connection, received)
}

impl Connection {
    /// Waits until the broker is known, and stays connected to it until `stop` is cancelled. Then
    /// it publishes `offline`, waits for the acknowledgement, and disconnects cleanly. If the
    /// broker or its password changes, the previous connection ends in the same way.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let brokers = &mut self.settings.brokers;
            let is_known = match stop.run_until_cancelled(brokers.wait_for(Option::is_some)).await {
                None => return,
                Some(known) => known.is_ok(),
            };
            let broker = brokers.borrow_and_update().clone().filter(|_| is_known);
            let Some(broker) = broker else {
                // The sender is gone, so no broker will ever be known.
                stop.cancelled().await;
                return;
            };
            let leave = stop.child_token();
            let mut changes = brokers.clone();
            let leave_for_another = async {
                if changes.changed().await.is_ok() {
                    leave.cancel();
                }
                pending::<()>().await;
            };
            tokio::select! {
                () = self.stay(&broker, leave.clone()) => {}
                () = leave_for_another => {}
            }
        }
    }

    /// Stays connected to this broker.
    async fn stay(&self, broker: &Broker, stop: CancellationToken) {
        let (client, mut event_loop) = client::new(broker, &broker.client_id, Some(&self.offline));
        event_loop.mqtt_options.set_keep_alive(self.keep_alive);
        let ConnectionSettings { board, made_by, .. } = &self.settings;
        let link = Link::new();
        let queued = CancellationToken::new();
        let (desired, online) = (self.desired.clone(), self.online.clone());
        let read_back = ReadBack {
            link: &link,
            client: client.clone(),
            desired: self.desired.clone(),
            online: &self.online,
            name: broker.name(),
            made_by: *made_by,
            board: board.clone(),
            after: self.read_back_after,
        };
        let publish_loop = PublishLoop {
            link: &link,
            client: client.clone(),
            desired,
            online,
            stop: stop.clone(),
            slowness: Slowness::new(broker.name(), *made_by, board.clone()),
        };
        let publish = async {
            publish_loop.run().await;
            if link.is_connected() {
                link.send(&client, &self.offline).await;
            }
            queued.cancel();
            pending::<()>().await;
        };
        let connection_loop = ConnectionLoop {
            broker,
            will: &self.offline,
            link: &link,
            client: client.clone(),
            event_loop,
            renewal: Renewal::new(broker.tls.clone(), made_by.runs_as()),
            incoming: IncomingMessages::new(self.inbox.clone()),
            log: ConnectionLog::new(broker, board.clone(), *made_by, self.good),
            shutdown: Shutdown { stop, queued: queued.clone() },
            progress: Progress::new(),
            acknowledged_within: self.acknowledged_within,
        };
        tokio::select! {
            () = connection_loop.drive() => {}
            () = publish => {}
            () = read_back.run() => {}
        }
    }
}
