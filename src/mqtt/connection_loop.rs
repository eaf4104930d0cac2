//! The loop that polls the connection and does nothing else. After an error it waits, with a
//! back-off and jitter, and connects again.

use std::future::pending;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, Outgoing, StateError, Transport,
};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::client;
use super::connection_log::ConnectionLog;
use super::failure::{self, Stage};
use super::incoming::IncomingMessages;
use super::jitter::jittered;
use super::link::Link;
use super::renewal::Renewal;
use super::trail::{Stall, Step};
use crate::config::Broker;
use crate::payload::Message;
use meter::back_off::BackOff;
use meter::duration;

/// The shortest and the longest pause between two attempts to connect.
pub(super) const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LAST_BACK_OFF: Duration = Duration::from_secs(30);

/// How long the goodbye may take, including the disconnect. Home Assistant kills an app after three
/// seconds, and a poll under way also takes its time.
pub(super) const GOODBYE: Duration = Duration::from_millis(700);

/// A step that is not acknowledged within this time is reported.
const PATIENCE: Duration = Duration::from_secs(30);

/// If the client must not send anything before the broker acknowledges a message, and the broker
/// has not done so within this time, the connection ends. Otherwise nothing more would be published
/// as long as the broker answers pings. And if the broker acknowledges later, values that waited
/// all the time would be published as new.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(45);

/// The signals that end the connection.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// The program must stop, or change to another broker.
    pub(super) stop: CancellationToken,
    /// The publish loop has queued everything that it had to send, including `offline`.
    pub(super) queued: CancellationToken,
}

/// Keeps the connection alive and restores it when it breaks.
pub(super) struct ConnectionLoop<'a> {
    pub(super) broker: &'a Broker,
    pub(super) will: &'a Message,
    pub(super) link: &'a Link,
    pub(super) client: AsyncClient,
    pub(super) event_loop: EventLoop,
    pub(super) renewal: Renewal,
    pub(super) incoming: IncomingMessages,
    pub(super) log: ConnectionLog,
    pub(super) shutdown: Shutdown,
    pub(super) progress: Progress,
    /// Usually [`ACKNOWLEDGED_WITHIN`].
    pub(super) acknowledged_within: Duration,
}

/// Why a connection has ended.
enum Loss {
    /// The client library has reported an error.
    Error(ConnectionError),
    /// The broker does not acknowledge.
    Stall(Stall),
}

/// The state of the connection and of its shutdown.
#[derive(Debug)]
pub(super) struct Progress {
    /// How many connections there have been. Their numbers come from this.
    connections: u64,
    back_off: BackOff,
    connected_at: Option<Instant>,
    /// When the goodbye must end; `None` before it has begun.
    goodbye_by: Option<Instant>,
    all_queued: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            connections: 0,
            back_off: BackOff::new(FIRST_BACK_OFF, LAST_BACK_OFF),
            connected_at: None,
            goodbye_by: None,
            all_queued: false,
        }
    }
}

/// The events that the loop waits for.
enum Happening {
    /// The client library reports something.
    Client(Result<Event, ConnectionError>),
    /// The broker does not acknowledge.
    Stall,
    /// The program must stop, or the goodbye has taken too long.
    Deadline,
    /// All messages are queued.
    Queued,
}

impl ConnectionLoop<'_> {
    /// Runs until the shutdown is complete. After `stop`, it is complete when there is no
    /// connection, or when everything has been queued and acknowledged.
    pub(super) async fn drive(mut self) {
        while self.step().await.is_continue() {}
    }

    async fn step(&mut self) -> ControlFlow<()> {
        match self.next().await {
            Happening::Client(Ok(event)) => self.handle(event).await?,
            Happening::Client(Err(error)) => {
                let stall = self.stall().filter(|_| is_caused_by_a_stall(&error));
                self.recover(stall.map_or(Loss::Error(error), Loss::Stall)).await?;
            }
            Happening::Stall => {
                if let Some(stall) = self.stall() {
                    self.event_loop.clean();
                    self.recover(Loss::Stall(stall)).await?;
                }
            }
            Happening::Deadline => return self.begin_or_end_goodbye(),
            Happening::Queued => {
                self.progress.all_queued = true;
                return ControlFlow::Continue(());
            }
        }
        let is_acknowledged = self.event_loop.state.inflight() == 0;
        if self.progress.all_queued && self.link.is_queue_empty() && is_acknowledged {
            self.disconnect().await;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// The messages that the broker has not acknowledged, if there are any.
    fn stall(&self) -> Option<Stall> {
        let (messages, at) = self.link.unacknowledged_messages()?;
        Some(Stall { messages, waited: at.elapsed() })
    }

    /// When the connection ends if the broker does not acknowledge a message. `None` as long as the
    /// client may send more.
    fn stalls_at(&self) -> Option<Instant> {
        // The messages of a lost connection are known until the next one.
        if !self.link.is_connected() {
            return None;
        }
        // The client library also waits if a message has the number of an unacknowledged one.
        let collides = self.event_loop.state.collision.is_some();
        let oldest = self.link.unacknowledged_messages().filter(|_| collides).map(|(_, at)| at);
        let blocked_since = oldest.or_else(|| self.link.blocked_since());
        blocked_since.map(|at| at + self.acknowledged_within)
    }

    async fn next(&mut self) -> Happening {
        let stalls_at = self.stalls_at();
        let Self { link, event_loop, log, shutdown, progress, .. } = self;
        let is_missing = link.is_connected() && !log.misses_acknowledgements();
        let unacknowledged = link.unacknowledged().filter(|_| is_missing);
        // A connection in which nothing can be sent is not stable.
        let stable_at = log.stable_at().filter(|_| stalls_at.is_none());
        let good_at = log.good_at().filter(|_| link.is_careful());
        // A stable connection is reported in time, even if nothing else happens.
        let polling = async {
            let mut polling = pin!(event_loop.poll());
            tokio::select! {
                event = &mut polling => event,
                () = sleep_until_or_forever(good_at) => {
                    link.hurry();
                    polling.await
                }
                () = sleep_until_or_forever(stable_at) => {
                    log.stable();
                    polling.await
                }
                step = unacknowledged_for_long(unacknowledged) => {
                    log.unacknowledged(&step, PATIENCE, stalls_at.is_some());
                    polling.await
                }
            }
        };
        let deadline = async {
            match progress.goodbye_by {
                Some(deadline) => sleep_until(deadline).await,
                None => shutdown.stop.cancelled().await,
            }
        };
        let says_goodbye = progress.goodbye_by.is_some();
        tokio::select! {
            event = polling => Happening::Client(event),
            () = deadline => Happening::Deadline,
            () = sleep_until_or_forever(stalls_at), if !says_goodbye => Happening::Stall,
            () = shutdown.queued.cancelled(), if says_goodbye && !progress.all_queued => {
                Happening::Queued
            }
        }
    }

    async fn handle(&mut self, event: Event) -> ControlFlow<()> {
        let acknowledged = self.link.note(&event);
        if self.log.misses_acknowledgements() {
            let unacknowledged = self.link.unacknowledged();
            if unacknowledged.is_none_or(|(_, at)| at.elapsed() < PATIENCE) {
                self.log.acknowledged();
            }
        }
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => {
                self.progress.connected_at = Some(Instant::now());
                self.progress.connections = self.progress.connections.wrapping_add(1);
                self.log.connected();
                self.link.connected(self.progress.connections);
            }
            Event::Incoming(Incoming::Publish(publish)) if self.link.reads_back(&publish) => {}
            Event::Incoming(Incoming::SubAck(answer)) => {
                if !self.link.answers_to_read_back(acknowledged.as_ref(), &answer) {
                    self.incoming.subscribed(acknowledged.as_ref(), &answer);
                }
            }
            Event::Incoming(Incoming::Publish(publish)) => self.incoming.pass_on(publish).await,
            Event::Outgoing(Outgoing::Disconnect) => return ControlFlow::Break(()),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// Prepares the next attempt to connect and waits until it is due.
    async fn recover(&mut self, loss: Loss) -> ControlFlow<()> {
        let Self { broker, will, link, event_loop, renewal, log, shutdown, progress, .. } = self;
        // Without this line, the client never publishes again after an out-of-order acknowledgement
        // and a lost session (rumqtt issue 1056).
        event_loop.state.collision = None;
        // Events from before the loss must not count after it. For example, a second CONNACK is a
        // protocol error, but would look like another connection.
        for event in event_loop.state.events.drain(..) {
            link.note(&event);
        }
        // The publish loop sends everything again, also to a broker that has kept the session.
        event_loop.pending.clear();
        if matches!(&loss, Loss::Error(error) if failure::is_too_long(error)) {
            link.note_too_long();
        }
        let rejected = link.lost();
        let stage = match progress.connected_at {
            Some(_) => Stage::Connected,
            None => Stage::of(event_loop),
        };
        let stop = &shutdown.stop;
        if stop.is_cancelled() {
            log.lost_while_stopping(stage);
            return ControlFlow::Break(());
        }
        match &loss {
            Loss::Error(error) => log.lost(error, stage, rejected.as_ref(), &link.accepted()),
            Loss::Stall(stall) => {
                log.stalled(*stall);
                // The broker has rejected no step.
                link.hurry();
            }
        }
        if progress.connected_at.take().is_some_and(|at| log.is_good(at.elapsed())) {
            progress.back_off.reset();
            link.hurry();
        }
        let prepare = async {
            sleep(jittered(progress.back_off.pause())).await;
            if log.suspects_the_will() {
                let transport = event_loop.mqtt_options.transport();
                log.tried_without(will, is_accepted_without_will(broker, transport).await);
                sleep(jittered(progress.back_off.pause())).await;
            }
            renewal.look(&mut event_loop.mqtt_options).await;
        };
        match stop.run_until_cancelled(prepare).await {
            Some(()) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    }

    /// Begins the goodbye when the program must stop; ends the loop when the goodbye has taken too
    /// long.
    fn begin_or_end_goodbye(&mut self) -> ControlFlow<()> {
        if self.progress.goodbye_by.is_some() {
            warn!(
                "The broker did not acknowledge the last messages within {}. Closing the \
                 connection anyway.",
                duration::words(GOODBYE)
            );
            return ControlFlow::Break(());
        }
        if self.progress.connected_at.is_none() {
            return ControlFlow::Break(());
        }
        self.progress.goodbye_by = Some(Instant::now() + GOODBYE);
        self.link.hurry();
        ControlFlow::Continue(())
    }

    /// Disconnects cleanly, so that the broker does not publish the last will.
    async fn disconnect(&mut self) {
        // It has room: the queue is empty.
        if self.client.try_disconnect().is_err() {
            return;
        }
        let gone = async {
            while let Ok(event) = self.event_loop.poll().await {
                if event == Event::Outgoing(Outgoing::Disconnect) {
                    return;
                }
            }
        };
        let deadline = self.progress.goodbye_by.unwrap_or_else(Instant::now);
        let _ = timeout_at(deadline, gone).await;
    }
}

/// Waits until this step has been unacknowledged for [`PATIENCE`].
async fn unacknowledged_for_long(step: Option<(Step, Instant)>) -> Step {
    match step {
        Some((step, at)) => {
            sleep_until(at + PATIENCE).await;
            step
        }
        None => pending().await,
    }
}

/// Whether the client library has ended the connection because it waited for an acknowledgement.
fn is_caused_by_a_stall(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::MqttState(StateError::CollisionTimeout))
}

/// Whether the broker accepts a connection without the last will.
async fn is_accepted_without_will(broker: &Broker, transport: Transport) -> bool {
    let (client, mut trial) = client::new(broker, &broker.client_id, None);
    trial.mqtt_options.set_transport(transport);
    let is_accepted = matches!(trial.poll().await, Ok(Event::Incoming(Incoming::ConnAck(_))));
    if is_accepted && client.try_disconnect().is_ok() {
        let _ = timeout_at(Instant::now() + GOODBYE, trial.poll()).await;
    }
    is_accepted
}

async fn sleep_until_or_forever(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
