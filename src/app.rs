//! The wiring: which tasks there are, what flows between them, in which order they stop, and what of
//! it another configuration changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use kmp::register::Kind;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, warn};

use crate::advice::MadeBy;
use crate::config::{Config, Meter, Parameter, Publishing};
use crate::discovery::{self, Described};
use crate::inbox::{self, Inbox};
use crate::mqtt::{self, Brokers, Direction, Publisher, Source};
use crate::name::MeterName;
use crate::payload::{self, Health, Message, OFFLINE, ONLINE, Valued};
use crate::status::{Board, LastPoll, LineQuality, MeterState, ValueState};
use crate::systemd;
use crate::topic::Topics;
use crate::units::{self, Measure, Published};
use history::{History, MeterKey, Noted, Trouble};
use kmp::frame::START_FROM_METER;
use kmp::line::Line;
use kmp::message::SerialNumber;
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::identity::{Identification, Identity};
use meter::poll::{self, Explanation, MeterHandle, MeterMemories, Plan, PollResult, Schedule};
use meter::transport::{Port, PortQueues};

/// Results of one meter that wait to be published. Publishing never waits, so one would do.
const RESULTS: usize = 4;

/// How long a poll under way may take to end when the program stops: enough for a short answer. With
/// the goodbye to the broker after it, that makes less than two seconds.
const LAST_ANSWER: Duration = Duration::from_millis(800);

/// Reads the meters and publishes their values until `stop` is cancelled.
///
/// Then: no new poll, the request under way ends if it ends soon, what was read is published,
/// `offline` is published and acknowledged. An error means that a part ended which must not.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let (_, changes) = mpsc::channel(1);
    run_changing(config, Around::default(), changes, stop).await
}

/// What there is around the tasks.
#[derive(Debug, Clone)]
pub struct Around {
    /// Which broker it is, where somebody else than the configuration says so: then that of the
    /// configuration does not count.
    pub brokers: Option<Brokers>,
    /// Where it is told how it goes.
    pub board: Board,
    /// Who is told what to do about a meter that cannot be read.
    pub runs_as: RunsAs,
    /// Who keeps readings.
    pub history: Option<Arc<History>>,
    /// Where others find the page, once that is known.
    pub page: watch::Receiver<Option<String>>,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            brokers: None,
            board: Board::default(),
            runs_as: RunsAs::default(),
            history: None,
            page: watch::channel(None).1,
        }
    }
}

/// Does as [`run`], and as the last one of `changes` says. Meters that are as before do not notice,
/// and the connection to the broker is made anew only where it must be.
pub async fn run_changing(
    config: Config,
    around: Around,
    mut changes: mpsc::Receiver<Config>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let started = LocalTime::now_text();
    let memories = MeterMemories::default();
    let mut next = Some(config);
    while let Some(config) = next {
        next = serve(config, &around, &mut changes, (&started, &memories), &stop).await?;
    }
    info!("Stopped.");
    Ok(())
}

/// Runs with one connection to the broker. Gives the configuration with which to go on, if one comes
/// that needs another connection.
async fn serve(
    config: Config,
    around: &Around,
    changes: &mut mpsc::Receiver<Config>,
    (started, memories): (&str, &MeterMemories),
    stop: &CancellationToken,
) -> anyhow::Result<Option<Config>> {
    let Config { broker, publishing, meters, .. } = config;
    let topics = Topics::new(&publishing.topic);
    let online = Message::status(&topics, ONLINE);
    let offline = Message::status(&topics, OFFLINE);
    let handles: Vec<MeterHandle> = meters.iter().map(|_| MeterHandle::default()).collect();
    let inbox = Inbox::new(&meters, &handles, &publishing, &topics);
    let Around { brokers, board, runs_as, history, page } = around.clone();
    let made_by = MadeBy::of_broker(runs_as, brokers.is_some());
    let brokers = brokers.unwrap_or_else(|| watch::channel(Some(broker.clone())).1);
    let direction = Direction { brokers, board: board.clone(), made_by };
    let (publisher, connection, received) =
        mqtt::prepare(direction, online, offline, inbox.subscriptions());
    let (inboxes, later) = mpsc::channel(1);
    let say_goodbye = CancellationToken::new();
    let mut links = JoinSet::new();
    links.spawn(inbox.run(received, later, publisher.clone(), say_goodbye.clone()));
    links.spawn(connection.run(say_goodbye.clone()));

    let told = Told { board, runs_as, history, page };
    let mut fleet =
        Fleet::new(publisher, publishing, topics, (started, memories), told, stop.child_token());
    fleet.start(meters.into_iter().zip(handles).collect());
    systemd::ready();
    let mut next = None;
    let unasked = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break None,
            Some(ended) = fleet.tasks.join_next() => break Some(("reading the meter", ended)),
            Some(ended) = links.join_next() => break Some(("the connection to the broker", ended)),
            Some(config) = changes.recv() => {
                // The last will is the connection's, and has the topic in it.
                if config.broker != broker || config.publishing.topic != fleet.publishing.topic {
                    info!("The broker or the topic is another one: connecting anew.");
                    next = Some(config);
                    break None;
                }
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
    fleet.stop.cancel();
    fleet.ended(stop).await;
    say_goodbye.cancel();
    while links.join_next().await.is_some() {}
    if let Some((part, ended)) = unasked {
        let reason = ended.err().map_or("it ended".to_owned(), |error| error.to_string());
        bail!("{part} stopped, which must not happen: {reason}");
    }
    Ok(next.filter(|_| !stop.is_cancelled()))
}

/// The meters that are read.
struct Fleet {
    publisher: Publisher,
    publishing: Arc<Publishing>,
    topics: Topics,
    /// Since when the program runs.
    started: String,
    queues: PortQueues,
    /// What is known of meters that were read before.
    memories: MeterMemories,
    members: Vec<Member>,
    /// One for each member.
    tasks: JoinSet<()>,
    /// How many there ever were, for their numbers.
    count: usize,
    told: Told,
    stop: CancellationToken,
}

/// Who is told what came of a poll, besides the broker.
#[derive(Debug, Clone)]
struct Told {
    board: Board,
    runs_as: RunsAs,
    history: Option<Arc<History>>,
    /// Where others find the page.
    page: watch::Receiver<Option<String>>,
}

/// A meter that is read.
struct Member {
    meter: Meter,
    /// What tells it from the others on the broker and on the board.
    number: usize,
    handle: MeterHandle,
    stop: CancellationToken,
    task: Id,
}

impl Fleet {
    fn new(
        publisher: Publisher,
        publishing: Publishing,
        topics: Topics,
        (started, memories): (&str, &MeterMemories),
        told: Told,
        stop: CancellationToken,
    ) -> Self {
        let fleet = Self {
            publisher,
            publishing: Arc::new(publishing),
            topics,
            started: started.to_owned(),
            queues: PortQueues::default(),
            memories: memories.clone(),
            members: Vec::new(),
            tasks: JoinSet::new(),
            count: 0,
            told,
            stop,
        };
        fleet.introduce();
        fleet
    }

    /// Tells of the program itself.
    fn introduce(&self) {
        let about = payload::about(&self.started, &self.publishing, &self.topics);
        let discovery = discovery::program(&self.publishing, &self.topics);
        self.publisher.update(Source::Program, discovery, about);
    }

    /// Begins to read meters.
    fn start(&mut self, meters: Vec<(Meter, MeterHandle)>) {
        let count = meters.len();
        for (index, (meter, handle)) in meters.into_iter().enumerate() {
            let shift = poll::spread(index, count, meter.poll_interval);
            let number = self.count;
            self.count = self.count.saturating_add(1);
            let member = self.member(meter, handle, number, Schedule::new(LocalTime::now, shift));
            self.members.push(member);
        }
        self.show();
    }

    /// Puts the meters on the board. What is known of them stays there.
    fn show(&self) {
        let meter = |member: &Member| (member.number, unread(&member.meter));
        let handle = |member: &Member| (member.number, member.handle.clone());
        self.told.board.set_handles(self.members.iter().map(handle).collect());
        self.told.board.set_meters(self.members.iter().map(meter).collect());
    }

    /// Waits until all polls under way have ended; not for long when the program stops.
    async fn ended(&mut self, stop: &CancellationToken) {
        let too_long = async {
            stop.cancelled().await;
            sleep(LAST_ANSWER).await;
        };
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = tokio::select! {
            () = ending => true,
            () = too_long => false,
        };
        if !in_time {
            debug!("A meter or its port is not waited for.");
            self.tasks.shutdown().await;
        }
    }

    /// Begins to read a meter.
    fn member(
        &mut self,
        meter: Meter,
        handle: MeterHandle,
        number: usize,
        schedule: Schedule,
    ) -> Member {
        // Where there are several meters, each of their lines in the log says whose it is.
        let about = logging::about(meter.name.as_ref());
        about.in_scope(|| greet(&meter));
        let (sender, results) = mpsc::channel(RESULTS);
        let stop = self.stop.child_token();
        let plan = plan(&meter, self.told.runs_as).sharing_ports(&self.queues);
        let (memories, asked) = (self.memories.clone(), handle.clone());
        let polling = poll::run_knowing(memories, plan, schedule, sender, asked, stop.clone());
        let (publishing, topics) = (Arc::clone(&self.publishing), self.topics.clone());
        let told = self.told.clone();
        let announcer = Announcer::new(number, meter.clone(), publishing, topics, told);
        let announcing = announcer.run(results, self.publisher.clone());
        // When the first ends, so does the second.
        let both = async {
            tokio::join!(polling, announcing);
        };
        let task = self.tasks.spawn(both.instrument(about)).id();
        Member { meter, number, handle, stop, task }
    }

    /// Goes on with another configuration of the same broker and topic. Gives what handles the
    /// broker's messages from now on, and a task that ended unasked meanwhile.
    async fn change(&mut self, config: Config) -> (Inbox, Option<Result<(), JoinError>>) {
        let Config { publishing, meters, .. } = config;
        let old: Vec<Meter> = self.members.iter().map(|member| member.meter.clone()).collect();
        let before = discovery::all_possible(&old, &self.publishing);
        let possible = discovery::all_possible(&meters, &publishing);
        let retained = self.publishing.retain.then(|| inbox::states(&old, &self.topics));
        // Where nothing is to be retained any more, all that is must go.
        let states =
            if publishing.retain { inbox::states(&meters, &self.topics) } else { BTreeSet::new() };
        let is_as_before = *self.publishing == publishing;
        let stays = |member: &Member| is_as_before && meters.contains(&member.meter);
        let (stay, leave): (Vec<_>, Vec<_>) = self.members.drain(..).partition(stays);
        let unasked = self.end(&leave).await;
        self.publishing = Arc::new(publishing);
        if !is_as_before {
            self.introduce();
        }
        let count = meters.len();
        let (mut stay, mut leave) = (stay, leave);
        for (index, meter) in meters.into_iter().enumerate() {
            if let Some(position) = stay.iter().position(|member| member.meter == meter) {
                self.members.push(stay.swap_remove(position));
                continue;
            }
            // One that was changed keeps its place on the broker.
            let known = leave.iter().position(|member| member.meter.name == meter.name);
            let number = match known {
                Some(position) => leave.swap_remove(position).number,
                None => self.count,
            };
            self.count = self.count.saturating_add(1);
            let shift = poll::spread(index, count, meter.poll_interval);
            let schedule = Schedule::new(LocalTime::now, shift);
            let member = self.member(meter, MeterHandle::default(), number, schedule);
            self.members.push(member);
        }
        self.show();
        let gone = retained.iter().flat_map(|retained| retained.difference(&states));
        let gone = before.difference(&possible).chain(gone);
        gone.for_each(|topic| self.publisher.clear(topic.clone()));
        let meters: Vec<Meter> = self.members.iter().map(|member| member.meter.clone()).collect();
        let handles: Vec<_> = self.members.iter().map(|member| member.handle.clone()).collect();
        let inbox = Inbox::new(&meters, &handles, &self.publishing, &self.topics);
        self.publisher.subscribe(inbox.subscriptions());
        (inbox, unasked)
    }

    /// Stops reading these meters, and waits until the requests under way have ended. What they said
    /// is not repeated any more. Gives a task that ended unasked.
    async fn end(&mut self, members: &[Member]) -> Option<Result<(), JoinError>> {
        for member in members {
            member.stop.cancel();
        }
        let mut ending: Vec<Id> = members.iter().map(|member| member.task).collect();
        let mut unasked = None;
        while !ending.is_empty() {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => ended?,
                // Who stops waits for all of them together, and not for long.
                () = self.stop.cancelled() => break,
            };
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
            match ending.iter().position(|ending| *ending == id) {
                Some(position) if ended.is_ok() => drop(ending.swap_remove(position)),
                _ => {
                    ending.retain(|ending| *ending != id);
                    unasked = Some(ended.map(drop));
                }
            }
        }
        for member in members {
            self.publisher.update(Source::Meter(member.number), Vec::new(), Vec::new());
        }
        unasked
    }
}

fn greet(meter: &Meter) {
    let names: Vec<&str> = meter.parameters.iter().map(Parameter::name).collect();
    let name = meter.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    info!(
        "Reading {} from the meter{name} at {}, every {}.",
        names.join(", "),
        meter.endpoint,
        poll::words(meter.poll_interval)
    );
}

/// What a meter's readings are kept under.
fn history_key(meter: &Meter, serial: Option<SerialNumber>) -> MeterKey {
    let name = meter.name.as_ref().map_or("", MeterName::as_str);
    MeterKey::new(name, serial.map(SerialNumber::number))
}

/// A meter of which nothing is known yet.
fn unread(meter: &Meter) -> MeterState {
    let (title, port) = (meter.device_name.clone(), meter.endpoint.to_string());
    let units = meter.units;
    let key = Some(history_key(meter, None));
    MeterState { units, key, ..MeterState::new(title, port, meter.poll_interval) }
}

/// How a configured meter is read.
#[must_use]
pub fn plan(meter: &Meter, runs_as: RunsAs) -> Plan<Port> {
    let settings = meter.serial;
    Plan {
        port: Port { endpoint: meter.endpoint.clone(), settings, answer_start: START_FROM_METER },
        port_name: meter.endpoint.to_string(),
        line: Line::with_bits(settings.baud.get(), settings.bits_per_byte())
            .with_answer_timeout(meter.timeout),
        registers: meter.parameters.iter().map(Parameter::register).collect(),
        version: meter.version,
        interval: meter.poll_interval,
        runs_as,
    }
}

/// A value as it is kept; none of what says which meter it is, or how it is set.
fn noted(parameter: &Parameter, value: &Valued) -> Option<Noted> {
    let Measure { unit, kind, .. } = value.measure();
    if !value.is_number || matches!(kind, Some(Kind::Identity | Kind::Setting | Kind::Clock)) {
        return None;
    }
    Some(Noted {
        parameter: parameter.name().to_owned(),
        value: value.published.text.parse().ok()?,
        unit: unit.map(str::to_owned),
        is_counter: kind == Some(Kind::Counter),
    })
}

/// Tells on the board what keeps readings from being kept, until the history is gone.
pub async fn tell_of_history(mut trouble: watch::Receiver<Option<Trouble>>, board: Board) {
    loop {
        let complaint = trouble.borrow_and_update().as_ref().map(|trouble| Explanation {
            words: trouble.to_string(),
            hint: trouble.hint().to_owned(),
        });
        if board.setup().history != complaint {
            board.set_up(|setup| setup.history = complaint);
        }
        if trouble.changed().await.is_err() {
            return;
        }
    }
}

/// What each parameter will measure, as far as that is certain before it has come.
fn expected(meter: &Meter) -> Vec<Option<Measure>> {
    let expected = |parameter: &Parameter| units::expected(parameter.register(), meter.units);
    meter.parameters.iter().map(expected).collect()
}

/// Turns one meter's results into messages.
struct Announcer {
    /// That of the meter.
    number: usize,
    meter: Meter,
    publishing: Arc<Publishing>,
    topics: Topics,
    /// Which meter it is.
    identity: Identity,
    /// What each parameter measures, as far as it is certain.
    measures: Vec<Option<Measure>>,
    /// Whether the meter has each parameter.
    presence: Vec<Presence>,
    health: Health,
    told: Told,
}

/// Whether the meter has a parameter, by what it has answered since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Presence {
    /// It was not read yet. What an earlier run has announced of it stays on the broker: a meter may
    /// be silent for days.
    #[default]
    Unknown,
    /// It had a value.
    Present,
    /// The meter has said that it does not have it.
    Absent,
}

impl Announcer {
    fn new(
        number: usize,
        meter: Meter,
        publishing: Arc<Publishing>,
        topics: Topics,
        told: Told,
    ) -> Self {
        let measures = expected(&meter);
        let presence = vec![Presence::default(); meter.parameters.len()];
        let identity = Identification::new(meter.version).identity();
        let health = Health::default();
        Self { number, meter, publishing, topics, identity, measures, presence, health, told }
    }

    /// What is announced. What the meter may not have is not, since Home Assistant would show it as
    /// unavailable for ever.
    fn discovery(&self) -> Vec<Message> {
        let page = self.told.page.borrow();
        let known = self.measures.iter().zip(&self.presence);
        let measures: Vec<_> = known
            .map(|(measure, presence)| measure.filter(|_| *presence == Presence::Present))
            .collect();
        let described = Described {
            meter: &self.meter,
            identity: &self.identity,
            measures: &measures,
            has_info_code: self.health.condition.is_some(),
            page: page.as_deref(),
        };
        discovery::meter(described, &self.publishing, &self.topics)
    }

    async fn run(mut self, mut results: mpsc::Receiver<PollResult>, publisher: Publisher) {
        let source = Source::Meter(self.number);
        publisher.announce(source, self.discovery());
        while let Some(result) = results.recv().await {
            let states = self.states(&result, &LocalTime::now_text());
            publisher.update(source, self.discovery(), states);
            self.absent().into_iter().for_each(|topic| publisher.clear(topic));
        }
    }

    /// Topics that must be empty, since the meter does not have what is or was announced there, by
    /// this run or an earlier one. With them, where values are retained, the last one of a meter that
    /// stood here before.
    fn absent(&self) -> Vec<String> {
        let topics = self.topics.meter(self.meter.name.as_ref());
        let parameters = self.meter.parameters.iter().zip(&self.presence);
        let absent = parameters.filter(|(_, presence)| **presence == Presence::Absent);
        let empty = absent.flat_map(|(parameter, _)| {
            let value = self.publishing.retain.then(|| topics.value(parameter));
            let place = discovery::place(parameter, &self.meter, &self.publishing);
            [place].into_iter().chain(value)
        });
        empty.collect()
    }

    /// What is published of a poll that ended at `time`.
    fn states(&mut self, result: &PollResult, time: &str) -> Vec<Message> {
        self.identity = result.identity.clone();
        if result.exchange.is_some() {
            // What was known was of the meter before.
            self.health.condition = None;
            self.measures = expected(&self.meter);
        }
        self.health.note(result, time);
        let topics = self.topics.meter(self.meter.name.as_ref());
        let values = payload::values(result, &self.meter);
        self.note_absence(result);
        for value in &values {
            self.learn(value.index, value.measure());
        }
        self.show(result, &values);
        let (meter, publishing) = (&self.meter, &self.publishing);
        let mut states = payload::value_messages(&values, result, time, meter, publishing, &topics);
        states.extend(self.health.messages(publishing, &topics));
        states
    }

    /// Puts on the board what came of a poll. Values that did not come stay there, with their age.
    fn show(&self, result: &PollResult, values: &[Valued]) {
        let at = Instant::now();
        let parameters = &self.meter.parameters;
        let fresh = |index: usize, name: &str| {
            let value = values.iter().find(|value| value.index == index)?;
            let Published { text, measure, .. } = &value.published;
            let (name, text, is_number) = (name.to_owned(), text.clone(), value.is_number);
            Some(ValueState { name, text, unit: measure.unit, is_number, at })
        };
        let answered = self.health.answers;
        let missing =
            result.missing.iter().filter(|_| answered).filter_map(|(register, reason)| {
                let parameter = parameters.iter().find(|known| known.register() == *register)?;
                Some((parameter.name().to_owned(), reason.to_string()))
            });
        let missing = missing.collect();
        let fault = self.health.condition.as_ref().filter(|condition| condition.code != 0);
        let identity = &self.identity;
        let now = LocalTime::now();
        let today = now.date();
        let key = self.keep(result, values, now.timestamp());
        let counted = |line: LineQuality| {
            line.with_poll(result.trouble.is_some()).with_traffic(result.traffic)
        };
        self.told.board.meter(self.number, |meter| {
            meter.key = Some(key);
            meter.line = counted(meter.line.on(today));
            meter.line_in_all = counted(meter.line_in_all);
            let before = meter.last.as_ref().map(|last| last.answered);
            if before != Some(answered) {
                meter.since = Some(at);
            }
            if result.exchange.is_some() {
                meter.values.clear();
            }
            let known = |name: &str| meter.values.iter().find(|value| value.name == name).cloned();
            let named = parameters.iter().map(Parameter::name).enumerate();
            meter.values = named
                .filter_map(|(index, name)| fresh(index, name).or_else(|| known(name)))
                .collect();
            meter.model = (!identity.models.is_empty()).then(|| identity.model_words());
            meter.serial = identity.serial.map(|serial| serial.to_string());
            meter.missing = missing;
            meter.fault = fault.map(payload::condition_words);
            meter.last = Some(LastPoll { at, answered, trouble: result.trouble.clone() });
            meter.port_opens = result.traffic.sent > 0;
        });
    }

    /// Keeps what can be drawn, if it is known whose it is. Gives by what it is found again.
    fn keep(&self, result: &PollResult, values: &[Valued], time: Timestamp) -> MeterKey {
        let key = history_key(&self.meter, self.identity.serial);
        if let Some(history) = self.told.history.as_ref().filter(|_| result.is_recognized) {
            let noted = values.iter().filter_map(|value| {
                let parameter = self.meter.parameters.get(value.index)?;
                noted(parameter, value)
            });
            history.note(&key, time, &noted.collect::<Vec<_>>());
        }
        key
    }

    /// What the meter does not have is not announced any more.
    fn note_absence(&mut self, result: &PollResult) {
        let absent = result.missing.iter().filter(|(_, reason)| reason.is_absence());
        let absent: BTreeSet<_> = absent.map(|(register, _)| *register).collect();
        for (parameter, presence) in self.meter.parameters.iter().zip(&mut self.presence) {
            if absent.contains(&parameter.register()) {
                *presence = Presence::Absent;
            }
        }
    }

    /// The frame has the last word on what a value measures.
    fn learn(&mut self, index: usize, measure: Measure) {
        if let Some(presence) = self.presence.get_mut(index) {
            *presence = Presence::Present;
        }
        let Some(known) = self.measures.get_mut(index) else {
            return;
        };
        if let Some(expected) = known.filter(|known| *known != measure)
            && let Some(parameter) = self.meter.parameters.get(index)
        {
            warn!(
                "The meter gives `{}` in {}, which is not {}: it is published as it is.",
                parameter.name(),
                measure.unit.unwrap_or("plain numbers"),
                expected.unit.unwrap_or("a plain number"),
            );
        }
        *known = Some(measure);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use kmp::register::{REGISTERS, RegisterId};
    use kmp::value::RegisterValue;

    use super::*;
    use crate::config;
    use meter::highres::HighResolution;
    use meter::reading::{Missing, Reading};
    use simulator::{self, EnergyUnit, Registers};

    const TIME: &str = "2026-11-23T15:17:22+01:00";

    fn announcer(parameters: &str, settings: &str) -> Announcer {
        let yaml = format!(
            "mqtt: {{ {settings} }}\nserial_device: {{ com_port: /dev/ttyUSB0 }}\n\
             kamstrup: {{ version: auto, parameters: '{parameters}' }}\n"
        );
        let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
        let Config { publishing, mut meters, .. } = loaded.config;
        let topics = Topics::new(&publishing.topic);
        let around = Around::default();
        let Around { board, runs_as, history, page, .. } = around;
        let told = Told { board, runs_as, history, page };
        Announcer::new(0, meters.remove(0), Arc::new(publishing), topics, told)
    }

    fn poll(readings: Vec<Reading>, missing: Vec<(RegisterId, Missing)>) -> PollResult {
        PollResult { readings, missing, took: Duration::from_secs(1), ..PollResult::default() }
    }

    fn reading(text: &str) -> Reading {
        let registers = Registers::from_yaml(text).unwrap();
        Reading::try_from(registers.values.values().next().unwrap()).unwrap()
    }

    /// The values' entities, and what is emptied.
    fn shown(announcer: &Announcer) -> String {
        let messages = announcer.discovery().into_iter();
        let values = messages.filter(|message| message.payload.contains("\"expire_after\""));
        let names: Vec<_> = values
            .map(|message| message.topic.split('/').nth(2).unwrap().replace("kamstrup_", ""))
            .collect();
        let absent = announcer.absent().join(" ");
        format!("{} | {}", names.join(" "), absent.replace("homeassistant/sensor/kamstrup_", ""))
    }

    #[test]
    fn what_the_meter_has_is_announced_and_what_it_lacks_is_taken_away() {
        const ENERGY: RegisterId = RegisterId::new(60);
        const VOLUME: RegisterId = RegisterId::new(68);
        let mut announcer = announcer("energy,volume,60", "topic: kamstrup");
        let mut after = |readings: &[&str], missing: &[(RegisterId, Missing)]| {
            let readings = readings.iter().map(|text| reading(text)).collect();
            announcer.states(&poll(readings, missing.to_vec()), TIME);
            shown(&announcer)
        };
        let (energy, volume) = ("energy: 5 kWh", "volume: 7 m³");
        let both = [ENERGY, VOLUME];
        // Nobody knows yet; what an earlier run has announced stays.
        assert_eq!(after(&[], &both.map(|register| (register, Missing::NoAnswer))), " | ");
        assert_eq!(after(&[], &both.map(|register| (register, Missing::Doubtful))), " | ");
        let broken = Missing::Fault("a fault".to_owned());
        assert_eq!(after(&[volume], &[(ENERGY, broken.clone())]), "volume | ");
        // Asked for by name and by number, it is absent by both.
        let without = "volume | energy/config 60/config";
        assert_eq!(after(&[volume], &[(ENERGY, Missing::LeftOut)]), without);
        assert_eq!(after(&[], &both.map(|register| (register, Missing::NoAnswer))), without);
        assert_eq!(after(&[energy, volume], &[]), "energy volume 60 | ");
        // What was there stays while it is not to be had.
        for why in [Missing::NoAnswer, Missing::Doubtful, broken, Missing::WithoutE1] {
            assert_eq!(
                after(&[], &both.map(|register| (register, why.clone()))),
                "energy volume 60 | "
            );
        }
        let silences = (ENERGY, Missing::Silences);
        assert_eq!(after(&[volume], &[silences]), without);
    }

    /// It has no entity, but the page still says why.
    #[test]
    fn what_the_meter_lacks_stays_on_the_board() {
        let mut announcer = announcer("energy,volume", "topic: kamstrup");
        let board = announcer.told.board.clone();
        board.set_meters(vec![(0, unread(&announcer.meter))]);
        let missing = vec![(RegisterId::new(60), Missing::LeftOut)];
        for _ in 0..2 {
            announcer.states(&poll(vec![reading("volume: 7 m³")], missing.clone()), TIME);
            let [meter] = &board.meters()[..] else { panic!() };
            let why = "this meter does not have it".to_owned();
            assert_eq!(meter.missing, [("energy".to_owned(), why)]);
        }
    }

    /// It would stand as a value of this meter.
    #[test]
    fn a_retained_value_goes_with_its_entity() {
        let mut announcer = announcer("energy,volume", "topic: heat, retain: true");
        let missing = vec![(RegisterId::new(60), Missing::LeftOut)];
        announcer.states(&poll(vec![reading("volume: 7 m³")], missing), TIME);
        assert_eq!(
            announcer.absent(),
            ["homeassistant/sensor/kamstrup_energy/config", "heat/energy"]
        );
    }

    /// Whatever is asked for: each entity has a value, and each value an entity.
    #[test]
    fn no_entity_of_any_model_is_unavailable_for_ever() {
        let names: Vec<_> = REGISTERS.iter().map(|register| register.key).collect();
        for model in simulator::Model::ALL {
            for parameters in ["energy,volume,power,flow,temp1,temp2,tempdiff", &names.join(",")] {
                let mut announcer = announcer(parameters, "topic: kamstrup");
                assert_eq!(shown(&announcer), " | ", "nothing is announced unseen");
                let holds = Registers::model(model, EnergyUnit::KilowattHour, 0);
                let mut readings = Vec::new();
                let mut missing = Vec::new();
                for parameter in &announcer.meter.parameters {
                    let register = parameter.register();
                    let value: Option<&RegisterValue> = holds.values.get(&register);
                    match value.map(Reading::try_from) {
                        Some(Ok(reading)) => readings.push(reading),
                        Some(Err(error)) => missing.push((register, error.into())),
                        None => missing.push((register, Missing::LeftOut)),
                    }
                }
                HighResolution::default().complete(&mut readings, &mut missing);
                let states = announcer.states(&poll(readings, missing), TIME);
                let topics: BTreeSet<_> = states.into_iter().map(|state| state.topic).collect();
                let messages = announcer.discovery();
                let entities: BTreeSet<_> = messages
                    .iter()
                    .filter(|message| message.payload.contains("\"expire_after\""))
                    .map(|message| {
                        let entity: serde_json::Value =
                            serde_json::from_str(&message.payload).unwrap();
                        entity["state_topic"].as_str().unwrap().to_owned()
                    })
                    .collect();
                assert!(entities.is_subset(&topics), "{model:?}: {entities:?}");
                let values = announcer.meter.parameters.iter().filter(|parameter| {
                    topics.contains(&announcer.topics.meter(None).value(parameter))
                });
                assert_eq!(entities.len(), values.count(), "{model:?}");
            }
        }
    }
}
