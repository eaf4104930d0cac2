//! What the broker says to the program: that Home Assistant has started, commands, and what is
//! retained of earlier runs.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::{Meter, Publishing};
use crate::discovery::{self, Claims, Verdict};
use crate::mqtt::{Answer, BIRTHS_ANSWERED, Publisher, Received, Subscriptions};
use crate::topic::{MeterTopics, READ, Topics};
use meter::poll::{self, MeterHandle};

/// What Home Assistant says when it has started.
const BIRTH: &[u8] = b"online";

/// So many births that come faster than they can be answered are a flood.
const FLOOD: u32 = 5;

/// So many unknown commands are told; who sends more does so by mistake.
const MOST_TOLD: usize = 20;

/// All topics on which states of these meters are published.
#[must_use]
pub fn states(meters: &[Meter], topics: &Topics) -> BTreeSet<String> {
    topics.states(meters.iter().map(|meter| (meter.name.as_ref(), meter.parameters.as_slice())))
}

/// Handles what comes from the broker.
#[derive(Debug)]
pub struct Inbox {
    status_topic: String,
    births: Births,
    /// The commands that each topic has, and which meters they mean.
    commands: Vec<(MeterTopics, Vec<MeterHandle>)>,
    /// Unknown commands that were told.
    told: BTreeSet<String>,
    /// What may be announced, to know by it what is not wanted any more.
    claims: Claims,
    possible: BTreeSet<String>,
    /// What was told of others' announcements.
    advised: BTreeSet<String>,
    discovery_prefix: String,
    /// Topics of ours on which nothing shall be retained, and by what they are subscribed to.
    fleeting: BTreeSet<String>,
    fleeting_filters: Vec<String>,
}

impl Inbox {
    /// For these meters; a handle for each.
    #[must_use]
    pub fn new(
        meters: &[Meter],
        handles: &[MeterHandle],
        publishing: &Publishing,
        topics: &Topics,
    ) -> Self {
        let named = meters.iter().zip(handles).filter_map(|(meter, handle)| {
            let name = meter.name.as_ref()?;
            Some((topics.meter(Some(name)), vec![handle.clone()]))
        });
        let (fleeting, fleeting_filters) = if publishing.retain {
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
            told: BTreeSet::new(),
            claims: Claims::new(meters, publishing, topics),
            possible: discovery::all_possible(meters, publishing),
            advised: BTreeSet::new(),
            discovery_prefix: publishing.discovery_prefix.clone(),
            fleeting,
            fleeting_filters,
        }
    }

    /// What must be subscribed to.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        let commands = self.commands.iter().map(|(topics, _)| topics.commands());
        let always = [self.status_topic.clone()].into_iter().chain(commands).collect();
        let mut at_first = discovery::filters(&self.discovery_prefix);
        at_first.extend(self.fleeting_filters.iter().cloned());
        Subscriptions { always, at_first }
    }

    /// Handles messages until `stop` is cancelled, as the last one of `changes` says.
    pub async fn run(
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
                    // What was told stays told.
                    let Self { births, told, advised, .. } = self;
                    self = Self { births, told, advised, ..change };
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
            // One that is retained says nothing of now, and everything was just sent in any case.
            if payload == BIRTH && !retained {
                self.births.tell(publisher.repeat(), topic);
            }
            return;
        }
        if *retained && topic.starts_with(&self.discovery_prefix) {
            return self.survey(topic, payload, publisher);
        }
        // Of a time when `retain` was on: Home Assistant would take it for a value of now.
        if *retained && self.fleeting.contains(topic) {
            debug!("`{topic}` has an old value, which is taken away.");
            publisher.clear(topic.clone());
            return;
        }
        let command = self
            .commands
            .iter()
            .find_map(|(topics, handles)| topics.command(topic).map(|command| (command, handles)));
        match command {
            // It would be obeyed after every connect.
            Some((READ, _)) if *retained => self.tell_once(
                topic,
                "it is retained, and a command counts only once. Send it without that flag",
            ),
            Some((READ, handles)) => {
                debug!("Asked to read now.");
                handles.iter().for_each(MeterHandle::request_poll);
            }
            Some(_) => self.tell_once(topic, "there is no such command; `read` is one"),
            None => {}
        }
    }

    /// Looks at what is retained for Home Assistant: ours that is not wanted any more is taken away,
    /// and who else uses our ids is told.
    fn survey(&mut self, topic: &str, payload: &[u8], publisher: &Publisher) {
        match discovery::judge(topic, payload, &self.claims) {
            Verdict::Ours if !self.possible.contains(topic) => {
                info!("`{topic}` is announced no more, and taken away from Home Assistant.");
                publisher.clear(topic.to_owned());
            }
            verdict => {
                let advice = verdict.advice().filter(|advice| self.advised.insert(advice.clone()));
                if let Some(advice) = advice.filter(|_| self.advised.len() <= MOST_TOLD) {
                    warn!("{advice}");
                }
            }
        }
    }

    fn tell_once(&mut self, topic: &str, why: &str) {
        if self.told.len() < MOST_TOLD && self.told.insert(topic.to_owned()) {
            warn!("A message on `{topic}` is ignored: {why}. This is said only once.");
        }
    }
}

/// Births of Home Assistant that came faster than they can be answered.
#[derive(Debug)]
struct Births {
    first: Instant,
    count: u32,
}

impl Births {
    fn tell(&mut self, answer: Answer, topic: &str) {
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
                poll::words(self.first.elapsed()),
                poll::words(BIRTHS_ANSWERED),
            ),
            Answer::Later(wait) if self.count < FLOOD => info!(
                "Home Assistant has started again; everything is sent again in {}.",
                poll::words(wait)
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
        (Inbox::new(&meters, std::slice::from_ref(&handle), &publishing, &topics), handle)
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
        // What is logged here for the first time, and to nobody, would be switched off in other tests.
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
        assert_eq!(inbox.told.len(), MOST_TOLD);
    }

    /// What is logged of births that come so often for so long, and in which second.
    async fn births(every: Duration, lasts: Duration) -> Vec<String> {
        let (log, _logging) = capture::lines();
        let (mut inbox, _) = inbox();
        let (publisher, sending) = mqtt::lonely_publisher();
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
