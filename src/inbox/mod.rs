//! Handles the messages from the broker: Home Assistant's birth messages, commands, and retained
//! messages of earlier runs.
//!
//! A command asks a meter's [`MeterHandle`] for a poll, or for a log (`meter_logs`).
//!
//! Retained messages are examined in the first seconds only. The program subscribes to them before
//! it publishes anything, so it sees them before it replaces them. Of its own retained messages, it
//! removes those that this configuration cannot produce. Values have no mark that says who has
//! published them. So of an earlier configuration's values, it removes those whose topics are in its
//! own announcements. It reports another program that uses the same ids.
//!
//! Anybody may publish on these topics. So two numbers are limited: the reports of each kind
//! ([`reports::MOST_REPORTED`]), and the topics to remove ([`crate::mqtt::FOUND_AT_MOST`]). The log
//! says how many are beyond a limit.

mod reports;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::reports::Reported;
use crate::config::{Meter, Publishing, Qos};
use crate::discovery::{self, Claims, Ownership};
use crate::meter_logs::{LogDesk, Tell};
use crate::mqtt::{Answer, BIRTHS_ANSWERED, Found, Publisher, Received, Subscriptions};
use crate::payload::{Message, OFFLINE};
use crate::topic::{HISTORY, MeterTopics, READ, Topics};
use meter::RunsAs;
use meter::duration;
use meter::poll::MeterHandle;

/// The payload of Home Assistant's birth message.
const BIRTH: &[u8] = b"online";

/// This many births between two answers are a flood.
const FLOOD: u32 = 5;

/// All state topics of these meters.
#[must_use]
pub(crate) fn states(meters: &[Meter], topics: &Topics) -> BTreeSet<String> {
    let meters = meters.iter();
    topics.states(meters.map(|it| (it.name.as_ref(), it.parameters.as_slice(), it.mean_names())))
}

/// A meter that commands are about.
#[derive(Debug, Clone)]
struct Commanded {
    handle: MeterHandle,
    /// The topic of answers about its logs.
    history: String,
}

/// Handles the messages from the broker.
#[derive(Debug)]
pub(crate) struct Inbox {
    status_topic: String,
    births: Births,
    /// Command topics, and the meters that each concerns.
    commands: Vec<(MeterTopics, Vec<Commanded>)>,
    logs: LogDesk,
    qos: Qos,
    claims: Claims,
    /// Those of earlier configurations in this run, whose announcements are to be removed.
    earlier: Vec<Claims>,
    /// The topic of the program's status in an earlier configuration, and of its values, which are
    /// to be removed if no other program uses them now.
    abandoned: Option<(String, BTreeSet<String>)>,
    /// How many times retained messages were to be examined again.
    surveys: u64,
    /// Every topic on which we may announce something.
    possible: BTreeSet<String>,
    reported: Reported,
    /// Who reads these reports.
    runs_as: RunsAs,
    /// Our topics that must hold no retained message, and the filters for them.
    unretained: BTreeSet<String>,
    unretained_filters: Vec<String>,
    /// All our state topics, and that of the program's status.
    states: BTreeSet<String>,
    /// Whether values are retained.
    retains: bool,
    /// State topics of entities that were removed. There are at most as many as such entities, and
    /// their number is limited.
    removed_states: BTreeSet<String>,
}

impl Inbox {
    /// For these meters, with a handle for each.
    #[must_use]
    pub(crate) fn new(
        meters: &[Meter],
        handles: &[MeterHandle],
        publishing: &Publishing,
        topics: &Topics,
        runs_as: RunsAs,
    ) -> Self {
        let commanded = |(meter, handle): (&Meter, &MeterHandle)| Commanded {
            handle: handle.clone(),
            history: topics.meter(meter.name.as_ref()).history(),
        };
        let named = meters.iter().zip(handles).filter_map(|(meter, handle)| {
            let name = meter.name.as_ref()?;
            Some((topics.meter(Some(name)), vec![commanded((meter, handle))]))
        });
        let (unretained, unretained_filters) = if publishing.retain {
            Default::default()
        } else {
            let has_names = meters.iter().any(|meter| meter.name.is_some());
            (states(meters, topics), topics.state_filters(has_names))
        };
        let mut all_states = states(meters, topics);
        all_states.insert(topics.status());
        // A command without a meter's name concerns all meters.
        let all = (topics.meter(None), meters.iter().zip(handles).map(commanded).collect());
        Self {
            status_topic: publishing.status_topic.clone(),
            births: Births { first: Instant::now(), count: 0 },
            commands: [all].into_iter().chain(named).collect(),
            logs: LogDesk::new(None, runs_as),
            qos: publishing.qos,
            claims: Claims::new(meters, publishing, topics),
            earlier: Vec::new(),
            abandoned: None,
            surveys: 0,
            possible: discovery::all_possible(meters, publishing),
            reported: Reported::default(),
            runs_as,
            unretained,
            unretained_filters,
            states: all_states,
            retains: publishing.retain,
            removed_states: BTreeSet::new(),
        }
    }

    /// The same inbox, which keeps entries of the meters' logs below this folder.
    #[must_use]
    pub(crate) fn keeping_logs_in(self, folder: Option<PathBuf>) -> Self {
        Self { logs: LogDesk::new(folder, self.runs_as), ..self }
    }

    /// The same inbox after these `earlier` configurations, whose announcements are to be removed.
    /// Retained messages are examined again if `surveys` is higher than before.
    #[must_use]
    pub(crate) fn after(self, earlier: &[Claims], surveys: u64) -> Self {
        Self { earlier: earlier.to_vec(), surveys, ..self }
    }

    /// The same inbox after a configuration with another topic, whose status and states had these
    /// topics.
    #[must_use]
    pub(crate) fn abandoning(self, status: String, values: BTreeSet<String>) -> Self {
        let is_other = !self.states.contains(&status);
        Self { abandoned: is_other.then_some((status, values)), ..self }
    }

    /// The topic filters that this inbox needs.
    #[must_use]
    pub(crate) fn subscriptions(&self) -> Subscriptions {
        let commands = self.commands.iter().map(|(topics, _)| topics.commands());
        let always = [self.status_topic.clone()].into_iter().chain(commands).collect();
        let mut at_first = self.claims.filters();
        let earlier = self.earlier.iter().flat_map(Claims::filters);
        let abandoned = self.abandoned.iter().map(|(status, _)| status.clone());
        for filter in earlier.chain(self.unretained_filters.iter().cloned()).chain(abandoned) {
            if !at_first.contains(&filter) {
                at_first.push(filter);
            }
        }
        Subscriptions { always, at_first, surveys: self.surveys }
    }

    /// Handles messages until `stop` is cancelled. Each inbox from `changes` replaces the one
    /// before.
    pub(crate) async fn run(
        mut self,
        mut received: mpsc::Receiver<Received>,
        mut changes: mpsc::Receiver<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) {
        loop {
            let due = self.reported.counts.due();
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.reported.log_counts(self.runs_as);
                    return;
                }
                Some(change) = changes.recv() => {
                    // Nothing is reported twice.
                    let Self { births, abandoned, reported, .. } = self;
                    self = Self { births, abandoned, reported, ..change };
                    continue;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.reported.log_counts(self.runs_as);
                    continue;
                }
                message = received.recv() => message,
            };
            let Some(message) = message else {
                // The connection has ended because the program is stopping.
                stop.cancelled().await;
                return;
            };
            self.handle(&message, &publisher);
        }
    }

    fn handle(&mut self, message: &Received, publisher: &Publisher) {
        let Received { topic, payload, retained } = message;
        if *topic == self.status_topic {
            // A retained birth is old, and everything has just been sent anyway.
            if payload == BIRTH && !retained {
                self.births.report(publisher.repeat(), topic);
            }
            return;
        }
        if *retained && self.abandoned.as_ref().is_some_and(|(status, _)| status == topic) {
            return self.clear_abandoned(payload, publisher);
        }
        if *retained && self.all_claims().any(|claims| claims.may_concern(topic)) {
            return self.survey(topic, payload, publisher);
        }
        // It dates from when `retain` was on. Home Assistant would show it as a current value.
        if *retained && self.unretained.contains(topic) {
            debug!("Removing the old retained value on `{topic}`.");
            publisher.clear(topic);
            return;
        }
        if *retained && self.removed_states.contains(topic) {
            debug!("Removing the retained value on `{topic}`: it is no longer configured.");
            let _ = publisher.clear_found(topic);
            return;
        }
        let command = self
            .commands
            .iter()
            .find_map(|(topics, meters)| topics.command(topic).map(|command| (command, meters)));
        match command {
            Some((READ | HISTORY, _)) if *retained => self.reported.ignored(
                topic,
                "a retained command would run after every connect. Send it without the retain flag",
            ),
            Some((READ, meters)) => {
                debug!("Received the command to read now.");
                for meter in meters {
                    meter.handle.request_poll();
                }
            }
            Some((HISTORY, meters)) => {
                for Commanded { handle, history } in meters {
                    let tell = answering(publisher, history, self.qos);
                    self.logs.answer(handle, payload, &tell);
                }
            }
            Some(_) => self.reported.ignored(topic, "the only commands are `read` and `history`"),
            None => {}
        }
    }

    /// Examines a retained announcement: removes our own if it is no longer possible, and reports
    /// another program that uses our ids.
    fn survey(&mut self, topic: &str, payload: &[u8], publisher: &Publisher) {
        let is_ours =
            |claims: &&Claims| discovery::classify(topic, payload, claims) == Ownership::Ours;
        let owner = self.all_claims().find(is_ours).filter(|_| !self.possible.contains(topic));
        if let Some(claims) = owner {
            let states = discovery::states_of(payload, claims);
            let found = publisher.clear_found(topic);
            self.reported.removed(topic, found);
            if found == Found::Added {
                self.remove_states(states, publisher);
            }
            return;
        }
        let ownership = discovery::classify(topic, payload, &self.claims);
        self.reported.owned_by_others(&ownership, self.runs_as);
    }

    fn all_claims(&self) -> impl Iterator<Item = &Claims> {
        [&self.claims].into_iter().chain(&self.earlier)
    }

    /// The status under the topic of an earlier configuration is retained. If it is still the
    /// goodbye of this program, no other program uses that topic.
    fn clear_abandoned(&mut self, payload: &[u8], publisher: &Publisher) {
        let Some((status, values)) = self.abandoned.take() else { return };
        if payload == OFFLINE.as_bytes() {
            debug!("Removing the values under the topic of the configuration before.");
            values.iter().chain([&status]).for_each(|topic| publisher.clear(topic));
        }
    }
}

impl Inbox {
    /// Removes the values of an entity that was removed. If values are not retained now, but were
    /// before, the broker sends those that it has.
    fn remove_states(&mut self, states: Vec<String>, publisher: &Publisher) {
        for state in states {
            if self.states.contains(&state) {
                continue;
            }
            if self.retains {
                debug!("Removing the value that may be retained on `{state}`.");
                let _ = publisher.clear_found(&state);
            } else {
                self.removed_states.insert(state);
            }
        }
    }
}

/// Publishes an answer, piece by piece.
fn answering(publisher: &Publisher, topic: &str, qos: Qos) -> Tell {
    let (publisher, topic) = (publisher.clone(), topic.to_owned());
    Arc::new(move |payload| {
        publisher.send_once(Message { topic: topic.clone(), payload, qos, retain: false });
    })
}

/// Home Assistant's births that came faster than they are answered.
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
            Answer::Soon => info!("Home Assistant has started. Sending everything again."),
            _ if self.count == FLOOD => warn!(
                "Home Assistant has reported its start {FLOOD} times within {} (`online` on \
                 `{topic}`). After such a report, the program sends everything again, but at most \
                 once in {}. It publishes new values as usual. Check which automation or program publishes this message, and \
                 whether Home Assistant keeps losing its connection to the broker. While this \
                 continues, it is not reported again.",
                duration::words(self.first.elapsed()),
                duration::words(BIRTHS_ANSWERED),
            ),
            Answer::Later(wait) if self.count < FLOOD => info!(
                "Home Assistant has started again. Sending everything again in {}.",
                duration::words(wait)
            ),
            Answer::Later(_) | Answer::WithAnother => {
                debug!("Home Assistant has started again.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use kmp::message::SerialNumber;
    use kmp::model::Model;
    use tokio::time::timeout;

    use super::reports::MOST_REPORTED;
    use super::*;
    use crate::config::{self, Config};
    use crate::mqtt;
    use logging::capture;
    use meter::identity::Identity;

    fn inbox() -> (Inbox, MeterHandle) {
        inbox_of("heat")
    }

    fn inbox_of(topic: &str) -> (Inbox, MeterHandle) {
        let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0}}\nmqtt: {{topic: {topic}}}\n");
        let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
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
    fn only_the_needed_topics_are_subscribed_to() {
        let Subscriptions { always, at_first, .. } = inbox().0.subscriptions();
        assert_eq!(always, ["homeassistant/status", "heat/command/+"]);
        let components = ["sensor", "binary_sensor", "button"];
        let announced = components.map(|name| format!("homeassistant/{name}/+/config"));
        assert_eq!(at_first, [&announced[..], &["heat/+".to_owned()]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_command_that_is_not_retained_polls() {
        // Without this, log lines that this test is the first to reach would stay disabled in other
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

    /// Each message is answered, whatever is wrong with it, and nothing is retained.
    #[tokio::test]
    async fn a_request_for_a_log_that_cannot_be_read_is_refused() {
        let _logging = capture::lines();
        let (mut inbox, handle) = inbox();
        let (publisher, mut sent) = mqtt::recorded_publisher();
        let mut answer = |inbox: &mut Inbox, payload: &str| {
            inbox.handle(&message("heat/command/history", payload, false), &publisher);
            let answers = sent.take_once();
            let [Message { topic, payload, retain: false, .. }] = answers.as_slice() else {
                panic!("{answers:?}")
            };
            assert_eq!(topic, "heat/history");
            let json: serde_json::Value = serde_json::from_str(payload).unwrap();
            assert_eq!(json["end"], "refused");
            json["reason"].as_str().unwrap().to_owned()
        };
        let day = r#"{"log":"day"}"#;
        assert!(answer(&mut inbox, "now").contains("found `now`, accepted: JSON like"));
        assert!(answer(&mut inbox, day).contains("serial number of the meter is not known"));
        let known = |model| Identity {
            models: vec![model],
            serial: Some(SerialNumber::new(12_345_678)),
            ..Identity::default()
        };
        handle.pretend(&known(Model::Multical402));
        let reason = answer(&mut inbox, day);
        assert_eq!(reason, "No public way to read the log of a Multical 402 is known.");
        // Nothing polls this meter, so it accepts no job.
        handle.pretend(&known(Model::Multical603));
        inbox.handle(&message("heat/command/history", day, false), &publisher);
        let mut refused = Vec::new();
        while refused.is_empty() {
            tokio::task::yield_now().await;
            refused = sent.take_once();
        }
        assert!(refused[0].payload.contains("The meter is busy"), "{refused:?}");
        // A retained command would run after every connect.
        inbox.handle(&message("heat/command/history", day, true), &publisher);
        assert_eq!(sent.take_once(), []);
        assert_eq!(inbox.reported.ignored.len(), 1);
    }

    /// They were mistaken for announcements, because their topics begin like the discovery prefix.
    #[test]
    fn old_values_are_removed_wherever_the_topic_is() {
        for topic in ["heat", "homeassistant/heat", "homeassistant2", "homeassistant/sensor"] {
            let (mut inbox, _) = inbox_of(topic);
            let (publisher, mut sent) = mqtt::recorded_publisher();
            let value = format!("{topic}/energy");
            inbox.handle(&message(&value, "5", true), &publisher);
            inbox.handle(&message(&format!("{topic}/foreign"), "5", true), &publisher);
            inbox.handle(&message(&format!("{topic}/command/read"), "", true), &publisher);
            assert_eq!(sent.take_empty(), [value]);
            assert_eq!(inbox.reported.ignored.len(), 1, "{topic}");
        }
    }

    /// The values of a meter that was removed while the program was stopped stayed for ever.
    #[test]
    fn values_of_an_entity_that_is_no_longer_configured_are_removed() {
        let announced = |id: &str, state: &str| {
            let payload = format!(
                "{{\"unique_id\":\"kamstrup_{id}\",\"availability_topic\":\"heat/status\",\
                 \"state_topic\":\"{state}\",\"origin\":{{\"name\":\"kamstrup2mqtt\"}}}}"
            );
            message(&format!("homeassistant/sensor/kamstrup_{id}/config"), &payload, true)
        };
        let config = "homeassistant/sensor/kamstrup_garage_flow/config";
        let flow = || announced("garage_flow", "heat/garage/flow");
        // If values are not retained, only those that the broker has.
        let (mut unretaining, _) = inbox();
        let (publisher, mut sent) = mqtt::recorded_publisher();
        unretaining.handle(&flow(), &publisher);
        unretaining.handle(&message("heat/garage/flow", "5", true), &publisher);
        unretaining.handle(&message("heat/garage/reading", "5", false), &publisher);
        unretaining.handle(&message("heat/garage/soil", "5", true), &publisher);
        assert_eq!(sent.take_empty(), [config, "heat/garage/flow"]);
        let (mut inbox, _) = inbox();
        inbox.retains = true;
        let (publisher, mut sent) = mqtt::recorded_publisher();
        inbox.handle(&flow(), &publisher);
        assert_eq!(sent.take_empty(), [config, "heat/garage/flow", "heat/garage/reading"]);
        // Anybody may have published such an announcement.
        let foreign = [
            "heat/status",
            "heat/reading",
            "heat/command/read",
            "heat/energy",
            "heat/a/b/c",
            "heat/+",
            "heat/#",
            "heat",
            "heat/",
            "heater/flow",
            "other/flow",
        ];
        for (number, topic) in foreign.into_iter().enumerate() {
            inbox.handle(&announced(&format!("x{number}"), topic), &publisher);
            assert_eq!(sent.take_empty().len(), 1, "{topic}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_commands_are_reported_once_each_and_at_most_twenty() {
        let (mut inbox, _) = inbox();
        let publisher = mqtt::idle_publisher();
        for number in 0..1_000 {
            inbox.handle(&message(&format!("heat/command/{number}"), "", false), &publisher);
            inbox.handle(&message("heat/command/fly", "", false), &publisher);
        }
        assert_eq!(inbox.reported.ignored.len(), MOST_REPORTED);
    }

    /// How many messages a hostile broker, or anybody on it, has retained.
    const FORGED: usize = 100_000;

    /// Runs the inbox with these retained messages. Returns the log lines, apart from `DEBUG`.
    async fn surveyed(
        messages: impl Iterator<Item = Received>,
        publisher: Publisher,
    ) -> Vec<String> {
        let (log, _logging) = capture::from(tracing::Level::INFO);
        let (inbox, _) = inbox();
        let (sender, received) = mpsc::channel(FORGED);
        let (_changes, changes) = mpsc::channel(1);
        for message in messages {
            sender.try_send(message).unwrap();
        }
        let stop = CancellationToken::new();
        let running = tokio::spawn(inbox.run(received, changes, publisher, stop));
        tokio::time::sleep(Duration::from_secs(30)).await;
        running.abort();
        log.take()
    }

    /// An announcement that looks like one of ours.
    fn forged(number: usize) -> Received {
        let payload = format!(
            "{{\"unique_id\":\"kamstrup_x{number}\",\"availability_topic\":\"heat/status\",\
             \"origin\":{{\"name\":\"kamstrup2mqtt\"}}}}"
        );
        let topic = format!("homeassistant/sensor/kamstrup_x{number}/config");
        message(&topic, &payload, true)
    }

    /// 0 of 11 polls were published within 30 s, and the log had 91,000 lines.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_forged_announcements_is_removed_slowly_and_logged_shortly() {
        let (publisher, mut messages) = mqtt::recorded_publisher();
        let lines = surveyed((0..FORGED).map(forged), publisher).await;
        let first = "INFO Removed `homeassistant/sensor/kamstrup_x0/config` from Home Assistant: it \
                     is no longer configured.";
        assert_eq!(lines.first().unwrap(), first);
        let counted: Vec<_> = lines.iter().skip(20).map(|line| &line[..47]).collect();
        let expected = [
            "INFO Removed 9980 more entities from Home Assis",
            "WARN 90000 more messages on the broker look lik",
        ];
        assert_eq!(counted, expected);
        let mut cleared = 0;
        loop {
            let batch = messages.take_empty();
            if batch.is_empty() {
                break;
            }
            assert!(batch.len() <= 100, "{}", batch.len());
            cleared += batch.len();
        }
        assert_eq!(cleared, 10_000);
    }

    /// On a real broker, these took 59 MB.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_foreign_announcements_takes_little_memory_and_few_lines() {
        let (mut inbox, _) = inbox();
        let publisher = mqtt::idle_publisher();
        let (log, _logging) = capture::from(tracing::Level::INFO);
        let topic = "homeassistant/sensor/kamstrup_energy/config";
        for number in 0..FORGED {
            let taken = format!(
                "{{\"unique_id\":\"kamstrup_energy\",\"device\":{{\"identifiers\":\"x\",\
                 \"name\":\"Device {number}\"}}}}"
            );
            inbox.handle(&message(topic, &taken, true), &publisher);
            let moved = format!(
                "{{\"unique_id\":\"kamstrup_energy\",\"availability_topic\":\"h{number}/status\",\
                 \"origin\":{{\"name\":\"kamstrup2mqtt\"}},\
                 \"device\":{{\"identifiers\":\"kamstrup_meter\"}}}}"
            );
            inbox.handle(&message(topic, &moved, true), &publisher);
        }
        let held = format!("{inbox:?}").len();
        assert!(held < 50_000, "{held} bytes");
        let lines = log.take();
        for kind in ["Device ", "under the topic"] {
            assert_eq!(lines.iter().filter(|line| line.contains(kind)).count(), 20, "{kind}");
        }
        assert_eq!(lines.len(), 40);
    }

    /// The log lines, each with its second, while births come `every` so often.
    async fn births(every: Duration, lasts: Duration) -> Vec<String> {
        let (log, _logging) = capture::lines();
        let (mut inbox, _) = inbox();
        let (publisher, sending) = mqtt::sending_publisher();
        let sending = tokio::spawn(sending);
        tokio::task::yield_now().await;
        let (begun, mut lines) = (Instant::now(), Vec::new());
        while begun.elapsed() < lasts {
            inbox.handle(&message("homeassistant/status", "online", false), &publisher);
            let new = log.take().into_iter().filter(|line| !line.starts_with("DEBUG"));
            lines.extend(new.map(|line| format!("{} s: {line}", begun.elapsed().as_secs())));
            tokio::time::sleep(every).await;
        }
        sending.abort();
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn each_birth_is_reported_and_a_flood_of_them_once() {
        let mut reports = Vec::new();
        // The random spread changes no whole second in these cases.
        for (every, lasts) in [(500, 600), (1500, 600), (12_500, 600), (12_500, 40), (60_000, 200)]
        {
            let (every, lasts) = (Duration::from_millis(every), Duration::from_secs(lasts));
            let lines = births(every, lasts).await.join("\n");
            reports.push(format!("Every {every:?} for {lasts:?}:\n{lines}"));
        }
        insta::assert_snapshot!(reports.join("\n\n"));
    }
}
