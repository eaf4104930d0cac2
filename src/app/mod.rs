//! The wiring: which tasks there are, what flows between them, and in which order they stop.
//!
//! One meter is one task (`fleet`). Its results go to an `Announcer`, which changes the desired
//! state of the broker. The connection to the broker and the inbox are tasks of their own. Meters
//! never wait for the broker, and the broker's tasks never wait for a meter.
//!
//! # Stopping
//!
//! 1. No new poll starts. A poll under way may finish its current request, for `fleet::LAST_ANSWER`
//!    at most, but sends no other.
//! 2. If the poll is then complete, it is published. Otherwise nothing of it is published.
//! 3. `offline` is published and acknowledged, and the connection is closed.
//!
//! These steps take less than two seconds, even if the meter or the broker hangs.

mod announce;
mod fleet;
mod gaps;
mod links;
mod rehearsal;
mod services;

use anyhow::bail;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use self::fleet::plan;
use self::fleet::{Fleet, Left, ProgramState};
use self::gaps::Gaps;
use self::links::Links;
pub(crate) use self::rehearsal::rehearsal;
use self::services::Observers;
pub use self::services::{Services, report_history};
use crate::advice::MadeBy;
use crate::config::{Broker, Config};
use crate::inbox::Inbox;
use crate::mqtt::{self, ConnectionSettings};
use crate::neighbour;
use crate::payload::{Message, OFFLINE, ONLINE};
use crate::systemd;
use crate::topic::Topics;
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::poll::{MeterHandle, MeterMemories};

/// Reads the meters and publishes their values until `stop` is cancelled, then stops in order. An
/// error means that a task ended unexpectedly.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let (_, changes) = mpsc::channel(1);
    run_changing(config, Services::default(), changes, stop).await
}

/// Does the same as [`run`], with the latest configuration of `changes`. Meters whose settings are
/// unchanged continue. The program reconnects to the broker only if necessary.
pub async fn run_changing(
    config: Config,
    services: Services,
    mut changes: mpsc::Receiver<Config>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let program =
        ProgramState { started: LocalTime::now_text(), memories: MeterMemories::of_new_process() };
    let mut next = Some(Next { config, left: None });
    while let Some(now) = next {
        next = serve(now, &services, &mut changes, &program, &stop).await?;
    }
    info!("Stopped.");
    Ok(())
}

/// A configuration that needs a connection of its own.
struct Next {
    config: Config,
    /// What the configuration before has left on the broker, if it had the same one.
    left: Option<Left>,
}

/// Runs with one connection to the broker. Returns the next configuration if it needs another
/// connection.
async fn serve(
    Next { config, left }: Next,
    services: &Services,
    changes: &mut mpsc::Receiver<Config>,
    program: &ProgramState,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Next>> {
    let (gaps, filling) = Gaps::new(&config, services);
    let Config { broker, publishing, meters, .. } = config;
    let topics = Topics::new(&publishing.topic);
    let online = Message::status(&topics, ONLINE);
    let offline = Message::status(&topics, OFFLINE);
    let handles: Vec<MeterHandle> = meters.iter().map(|_| MeterHandle::default()).collect();
    let mut inbox = Inbox::new(&meters, &handles, &publishing, &topics, services.runs_as)
        .keeping_logs_in(services.folder.clone());
    if let Some(left) = &left {
        inbox = inbox.after(&left.earlier, 0).abandoning(left.status.clone(), left.states.clone());
    }
    let found = services.brokers.clone();
    let settings = ConnectionSettings {
        made_by: MadeBy::of_broker(services.runs_as, found.is_some()),
        brokers: found.unwrap_or_else(|| watch::channel(Some(broker.clone())).1),
        board: services.board.clone(),
    };
    // An app (add-on) is alone in its container.
    let is_program = services.runs_as == RunsAs::Program;
    let _claim = is_program.then(|| neighbour::claim(&broker.name(), &publishing.topic));
    let (publisher, connection, received) =
        mqtt::prepare(settings, online, offline, inbox.subscriptions());
    let (inboxes, later) = mpsc::channel(1);
    let disconnect = CancellationToken::new();
    let mut links = Links::default();
    let inbox = inbox.run(received, later, publisher.clone(), disconnect.clone());
    links.start("handling messages from the broker", inbox);
    links.start("the connection to the broker", connection.run(disconnect.clone()));
    links.start("filling gaps in Home Assistant's statistics", filling);

    let observers = Observers::of(services);
    let mut page = services.page.clone();
    page.mark_unchanged();
    let mut fleet =
        Fleet::new(publisher, publishing, topics, program.clone(), observers, stop.child_token());
    fleet.start(meters.into_iter().zip(handles).collect());
    if let Some(left) = left {
        fleet.follow(left);
    }
    systemd::ready();
    let mut next = None;
    let unexpected = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break None,
            Some(ended) = fleet.next_ended() => break Some(("reading the meter", ended)),
            Some(ended) = links.next_ended() => break Some(ended),
            Ok(()) = page.changed() => fleet.page_has_changed(),
            Some(config) = changes.recv() => {
                // The last will belongs to the connection and contains the topic.
                if config.broker != broker || config.publishing.topic != fleet.publishing().topic {
                    info!("The broker or the topic has changed. Reconnecting.");
                    let left = is_same_place(&config.broker, &broker).then(|| fleet.left());
                    next = Some(Next { config, left });
                    break None;
                }
                gaps.change(&config);
                let (inbox, ended) = fleet.change(config).await;
                let _ = inboxes.send(inbox).await;
                if let Some(ended) = ended {
                    break Some(("reading the meter", ended));
                }
            }
        }
    };
    if next.is_none() {
        info!("Stopping.");
        systemd::stopping();
    }
    drop(gaps);
    fleet.shut_down(stop).await;
    disconnect.cancel();
    while links.next_ended().await.is_some() {}
    if let Some((part, ended)) = unexpected {
        let reason = ended.err().map_or("it ended".to_owned(), |error| error.to_string());
        bail!("{part} stopped unexpectedly: {reason}");
    }
    Ok(next.filter(|_| !stop.is_cancelled()))
}

/// Whether both settings lead to the same broker, with whatever client id and login.
fn is_same_place(one: &Broker, other: &Broker) -> bool {
    (&one.host, one.port) == (&other.host, other.port)
}
