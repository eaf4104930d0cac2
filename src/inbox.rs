//! Handles what the broker sends to the program: births of Home Assistant, commands, and what
//! earlier runs have left retained.
//!
//! Commands ask a meter's [`MeterHandle`] for a poll. What is retained is looked at in the first
//! seconds only. It is subscribed to before anything is published, so it is seen before it is
//! replaced. What is ours and impossible with this configuration is emptied; a program that uses
//! the same ids is reported.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::{Meter, Publishing};
use crate::discovery::{self, Claims, Ownership};
use crate::mqtt::{Answer, BIRTHS_ANSWERED, Publisher, Received, Subscriptions};
use crate::topic::{MeterTopics, READ, Topics};
use meter::RunsAs;
use meter::duration;
use meter::poll::MeterHandle;

/// The payload of Home Assistant's birth message.
const BIRTH: &[u8] = b"online";

/// How many births that come faster than they are answered make a flood.
const FLOOD: u32 = 5;

/// At most so many commands and announcements of others are reported, each: more of them are a
/// mistake.
const MOST_REPORTED: usize = 20;

/// All topics on which states of these meters are published.
#[must_use]
pub(crate) fn states(meters: &[Meter], topics: &Topics) -> BTreeSet<String> {
    topics.states(meters.iter().map(|meter| (meter.name.as_ref(), meter.parameters.as_slice())))
}

/// Handles what comes from the broker.
#[derive(Debug)]
pub(crate) struct Inbox {
    status_topic: String,
    births: Births,
    /// Topics of commands, and the meters that each concerns.
    commands: Vec<(MeterTopics, Vec<MeterHandle>)>,
    /// Topics of ignored messages that were reported.
    ignored: BTreeSet<String>,
    claims: Claims,
    /// Every topic at which we may announce something.
    possible: BTreeSet<String>,
    /// Announcements of others that were reported.
    owners: BTreeSet<Ownership>,
    /// Who reads what is reported of them.
    runs_as: RunsAs,
    discovery_prefix: String,
    /// Topics of ours on which nothing shall be retained, and the filters for them.
    unretained: BTreeSet<String>,
    unretained_filters: Vec<String>,
}

impl Inbox {
    /// For these meters; a handle for each.
    #[must_use]
    pub(crate) fn new(
        meters: &[Meter],
        handles: &[MeterHandle],
        publishing: &Publishing,
        topics: &Topics,
        runs_as: RunsAs,
    ) -> Self {
        let named = meters.iter().zip(handles).filter_map(|(meter, handle)| {
            let name = meter.name.as_ref()?;
            Some((topics.meter(Some(name)), vec![handle.clone()]))
        });
        let (unretained, unretained_filters) = if publishing.retain {
            Default::default()
        } else {
            let has_names = meters.iter().any(|meter| meter.name.is_some());
            (states(meters, topics), topics.state_filters(has_names))
        };
        // Without a name, the command means all.
        let all = (topics.meter(None), handles.to_vec());
        Self {
            status_topic: publishing.status_topic.clone(),
            births: Births { first: Instant::now(), count: 0 },
            commands: [all].into_iter().chain(named).collect(),
            ignored: BTreeSet::new(),
            claims: Claims::new(meters, publishing, topics),
            possible: discovery::all_possible(meters, publishing),
            owners: BTreeSet::new(),
            runs_as,
            discovery_prefix: publishing.discovery_prefix.clone(),
            unretained,
            unretained_filters,
        }
    }

    /// What must be subscribed to.
    #[must_use]
    pub(crate) fn subscriptions(&self) -> Subscriptions {
        let commands = self.commands.iter().map(|(topics, _)| topics.commands());
        let always = [self.status_topic.clone()].into_iter().chain(commands).collect();
        let mut at_first = discovery::filters(&self.discovery_prefix);
        at_first.extend(self.unretained_filters.iter().cloned());
        Subscriptions { always, at_first }
    }

    /// Handles messages until `stop` is cancelled, as the last one of `changes` says.
    pub(crate) async fn run(
        mut self,
        mut received: mpsc::Receiver<Received>,
        mut changes: mpsc::Receiver<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) {
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(change) = changes.recv() => {
                    // What was reported is not reported again.
                    let Self { births, ignored, owners, .. } = self;
                    self = Self { births, ignored, owners, ..change };
                    continue;
                }
                message = received.recv() => message,
            };
            let Some(message) = message else {
                // The connection has ended, and the program with it.
                stop.cancelled().await;
                return;
            };
            self.handle(&message, &publisher);
        }
    }

    fn handle(&mut self, message: &Received, publisher: &Publisher) {
        let Received { topic, payload, retained } = message;
        if *topic == self.status_topic {
            // A retained one is old, and everything was just sent in any case.
            if payload == BIRTH && !retained {
                self.births.report(publisher.repeat(), topic);
            }
            return;
        }
        if *retained && topic.starts_with(&self.discovery_prefix) {
            return self.survey(topic, payload, publisher);
        }
        // From a time when `retain` was on: Home Assistant would show it as a present value.
        if *retained && self.unretained.contains(topic) {
            debug!("`{topic}` has an old value, which is taken away.");
            publisher.clear(topic.clone());
            return;
        }
        let command = self
            .commands
            .iter()
            .find_map(|(topics, handles)| topics.command(topic).map(|command| (command, handles)));
        match command {
            // It would be executed after every connect.
            Some((READ, _)) if *retained => self.report_once(
                topic,
                "it is retained, and a command counts only once. Send it without that flag",
            ),
            Some((READ, handles)) => {
                debug!("Asked to read now.");
                handles.iter().for_each(MeterHandle::request_poll);
            }
            Some(_) => self.report_once(topic, "there is no such command; `read` is one"),
            None => {}
        }
    }

    /// Looks at a retained announcement: removes our own if it is no longer possible, and reports
    /// another program that uses our ids.
    fn survey(&mut self, topic: &str, payload: &[u8], publisher: &Publisher) {
        match discovery::classify(topic, payload, &self.claims) {
            Ownership::Ours if !self.possible.contains(topic) => {
                info!("`{topic}` is announced no more, and taken away from Home Assistant.");
                publisher.clear(topic.to_owned());
            }
            ownership => {
                if let Some(advice) = ownership.advice(self.runs_as)
                    && self.owners.insert(ownership)
                    && self.owners.len() <= MOST_REPORTED
                {
                    warn!("{advice}");
                }
            }
        }
    }

    fn report_once(&mut self, topic: &str, why: &str) {
        if self.ignored.len() < MOST_REPORTED && self.ignored.insert(topic.to_owned()) {
            warn!("A message on `{topic}` is ignored: {why}. This is said only once.");
        }
    }
}

/// Births of Home Assistant that came faster than they are answered.
#[derive(Debug)]
struct Births {
    first: Instant,
    count: u32,
}

impl Births {
    fn report(&mut self, answer: Answer, topic: &str) {
        if answer == Answer::Soon {
            *self = Self { first: Instant::now(), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        match answer {
            Answer::Soon => info!("Home Assistant has started; everything is sent again."),
            _ if self.count == FLOOD => warn!(
                "Home Assistant has reported its start {FLOOD} times within {} (`online` on `{topic}`). \
                 Everything is sent again every {} at most; new values are sent as usual. Check which \
                 automation or program publishes that message, and whether Home Assistant keeps losing \
                 its connection to the broker. This is said only once.",
                duration::words(self.first.elapsed()),
                duration::words(BIRTHS_ANSWERED),
            ),
            Answer::Later(wait) if self.count < FLOOD => info!(
                "Home Assistant has started again; everything is sent again in {}.",
                duration::words(wait)
            ),
            Answer::Later(_) | Answer::WithAnother => {
                debug!("Home Assistant has started once more.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::config::{self, Config};
    use crate::mqtt;
    use logging::capture;

    fn inbox() -> (Inbox, MeterHandle) {
        let yaml = "serial_device: { com_port: /dev/ttyUSB0 }\nmqtt: { topic: heat }\n";
        let loaded = config::check(Some((Path::new("x"), yaml)), &BTreeMap::new()).unwrap();
        let Config { publishing, meters, .. } = loaded.config;
        let handle = MeterHandle::default();
        let topics = Topics::new(&publishing.topic);
        (
            Inbox::new(
                &meters,
                std::slice::from_ref(&handle),
                &publishing,
                &topics,
                RunsAs::Program,
            ),
            handle,
        )
    }

    fn message(topic: &str, payload: &str, retained: bool) -> Received {
        Received { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retained }
    }

    #[test]
    fn only_what_is_needed_is_subscribed_to() {
        let Subscriptions { always, at_first } = inbox().0.subscriptions();
        assert_eq!(always, ["homeassistant/status", "heat/command/+"]);
        let components = ["sensor", "binary_sensor", "button"];
        let announced = components.map(|name| format!("homeassistant/{name}/+/config"));
        assert_eq!(at_first, [&announced[..], &["heat/+".to_owned()]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_command_of_now_polls() {
        // What is logged here for the first time, and to nobody, would be switched off in other
        // tests.
        let _logging = capture::lines();
        let (mut inbox, handle) = inbox();
        let publisher = mqtt::idle_publisher();
        let mut polls = async |message: Received| {
            inbox.handle(&message, &publisher);
            timeout(Duration::ZERO, handle.poll_requested()).await.is_ok()
        };
        assert!(polls(message("heat/command/read", "", false)).await);
        assert!(polls(message("heat/command/read", "now!", false)).await);
        assert!(!polls(message("heat/command/read", "", true)).await);
        assert!(!polls(message("heat/command/fly", "", false)).await);
        assert!(!polls(message("heat/energy", "5", false)).await);
        assert!(!polls(message("homeassistant/status", "online", false)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_commands_are_told_once_and_not_without_end() {
        let (mut inbox, _) = inbox();
        let publisher = mqtt::idle_publisher();
        for number in 0..1_000 {
            inbox.handle(&message(&format!("heat/command/{number}"), "", false), &publisher);
            inbox.handle(&message("heat/command/fly", "", false), &publisher);
        }
        assert_eq!(inbox.ignored.len(), MOST_REPORTED);
    }

    /// What is logged of births that come so often for so long, and in which second.
    async fn births(every: Duration, lasts: Duration) -> Vec<String> {
        let (log, _logging) = capture::lines();
        let (mut inbox, _) = inbox();
        let (publisher, sending) = mqtt::sending_publisher();
        let sending = tokio::spawn(sending);
        tokio::task::yield_now().await;
        let (begun, mut lines) = (Instant::now(), Vec::new());
        while begun.elapsed() < lasts {
            inbox.handle(&message("homeassistant/status", "online", false), &publisher);
            let said = log.take().into_iter().filter(|line| !line.starts_with("DEBUG"));
            lines.extend(said.map(|line| format!("{} s: {line}", begun.elapsed().as_secs())));
            tokio::time::sleep(every).await;
        }
        sending.abort();
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn births_are_told_each_and_a_flood_of_them_once() {
        let mut told = Vec::new();
        // The spread, which is by chance, changes no whole second in these.
        for (every, lasts) in [(500, 600), (1500, 600), (12_500, 600), (12_500, 40), (60_000, 200)]
        {
            let (every, lasts) = (Duration::from_millis(every), Duration::from_secs(lasts));
            let lines = births(every, lasts).await.join("\n");
            told.push(format!("Every {every:?} for {lasts:?}:\n{lines}"));
        }
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
