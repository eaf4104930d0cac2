//! The meters that are read, each with a task. When a new configuration is loaded, this module
//! starts, changes and stops these tasks.
//!
//! A meter whose settings are unchanged continues undisturbed. A meter whose settings have changed
//! keeps its number, which identifies it for the MQTT publisher and on the status board
//! ([`Board`](crate::status::Board)).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kmp::frame::START_FROM_METER;
use kmp::line::Line;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info};

use super::announce::{Announcer, unread};
use super::services::Observers;
use crate::config::{Config, Meter, Parameter, Publishing};
use crate::discovery;
use crate::inbox::{self, Inbox};
use crate::mqtt::{Publisher, Source};
use crate::payload::{self, Message};
use crate::topic::Topics;
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::duration;
use meter::poll::{self, MeterHandle, MeterMemories, Plan, Schedule};
use meter::transport::{Port, PortQueues};

/// How many results of one meter may wait to be published. One would do, because publishing never
/// waits.
const RESULTS: usize = 4;

/// How long a poll under way may take to end when the program stops: enough for a short answer.
/// Together with the disconnect from the broker, this takes less than two seconds.
const LAST_ANSWER: Duration = Duration::from_millis(800);

/// State that lasts as long as the program runs, whatever the configuration.
#[derive(Debug, Clone)]
pub(super) struct ProgramState {
    /// When the program started, in local time.
    pub(super) started: String,
    pub(super) memories: MeterMemories,
}

/// The meters that are read.
pub(super) struct Fleet {
    publisher: Publisher,
    publishing: Arc<Publishing>,
    topics: Topics,
    program: ProgramState,
    queues: PortQueues,
    members: Vec<Member>,
    /// One for each member.
    tasks: JoinSet<()>,
    /// How many members there have been so far, for their numbers.
    count: usize,
    observers: Observers,
    stop: CancellationToken,
}

/// A meter that is read.
struct Member {
    meter: Meter,
    /// Identifies it on the broker and on the board.
    number: usize,
    handle: MeterHandle,
    stop: CancellationToken,
    task: Id,
}

/// How a task ended unexpectedly: although nothing had stopped it.
pub(super) type Ended = Result<(), JoinError>;

impl Fleet {
    /// A fleet without meters. It ends when `stop` is cancelled.
    pub(super) fn new(
        publisher: Publisher,
        publishing: Publishing,
        topics: Topics,
        program: ProgramState,
        observers: Observers,
        stop: CancellationToken,
    ) -> Self {
        let fleet = Self {
            publisher,
            publishing: Arc::new(publishing),
            topics,
            program,
            queues: observers.queues.clone(),
            members: Vec::new(),
            tasks: JoinSet::new(),
            count: 0,
            observers,
            stop,
        };
        fleet.announce_program();
        fleet
    }

    pub(super) fn publishing(&self) -> &Publishing {
        &self.publishing
    }

    /// Waits until a task ends; `None` if there is none.
    pub(super) async fn next_ended(&mut self) -> Option<Ended> {
        self.tasks.join_next().await
    }

    fn announce_program(&self) {
        let about = payload::about(&self.program.started, &self.publishing, &self.topics);
        self.publisher.update(Source::Program, self.discovery_of_program(), about);
    }

    fn discovery_of_program(&self) -> Vec<Message> {
        let page = self.observers.page.borrow();
        discovery::program(&self.publishing, &self.topics, page.as_deref())
    }

    /// Announces the program's device again, because the address of the page has changed. The
    /// meters' devices get it with their next poll.
    pub(super) fn page_has_changed(&self) {
        self.publisher.announce(Source::Program, self.discovery_of_program());
    }

    /// Starts reading meters.
    pub(super) fn start(&mut self, meters: Vec<(Meter, MeterHandle)>) {
        let count = meters.len();
        for (index, (meter, handle)) in meters.into_iter().enumerate() {
            let schedule = schedule(&meter, index, count);
            let number = self.count;
            self.count += 1;
            self.add(meter, handle, number, schedule);
        }
        self.show();
    }

    /// Puts the meters on the board. What is known of them stays there.
    fn show(&self) {
        let meter = |member: &Member| (member.number, unread(&member.meter));
        let handle = |member: &Member| (member.number, member.handle.clone());
        self.observers.board.set_handles(self.members.iter().map(handle).collect());
        self.observers.board.set_meters(self.members.iter().map(meter).collect());
    }

    /// Stops reading, and waits until all polls under way have ended. If the program stops
    /// (`program_stop`), it waits [`LAST_ANSWER`] at most.
    pub(super) async fn shut_down(&mut self, program_stop: &CancellationToken) {
        self.stop.cancel();
        let too_long = async {
            program_stop.cancelled().await;
            sleep(LAST_ANSWER).await;
        };
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = tokio::select! {
            () = ending => true,
            () = too_long => false,
        };
        if !in_time {
            debug!("Not waiting any longer for a meter or its port.");
            self.tasks.shutdown().await;
        }
    }

    /// Starts reading a meter.
    fn add(&mut self, meter: Meter, handle: MeterHandle, number: usize, schedule: Schedule) {
        // If there are several meters, each line in the log names its meter.
        let about = logging::about(meter.name.as_ref());
        about.in_scope(|| log_start(&meter));
        let (sender, results) = mpsc::channel(RESULTS);
        let stop = self.stop.child_token();
        let plan = Plan {
            registers: meter.registers(),
            together: meter.together(),
            optional: meter.optional(),
            ..plan(&meter, self.observers.runs_as)
        };
        let plan = plan.sharing_ports(&self.queues);
        let polling = poll::run_knowing(
            self.program.memories.clone(),
            plan,
            schedule,
            sender,
            handle.clone(),
            stop.clone(),
        );
        let announcer = Announcer::new(
            number,
            meter.clone(),
            Arc::clone(&self.publishing),
            self.topics.clone(),
            self.observers.clone(),
        );
        let announcing = announcer.run(results, self.publisher.clone());
        // The second ends when the first has ended.
        let both = async {
            tokio::join!(polling, announcing);
        };
        let task = self.tasks.spawn(both.instrument(about)).id();
        self.members.push(Member { meter, number, handle, stop, task });
    }

    /// Changes to another configuration with the same broker and topic. Returns the inbox for the
    /// broker's messages from now on, and a task that ended unexpectedly meanwhile.
    pub(super) async fn change(&mut self, config: Config) -> (Inbox, Option<Ended>) {
        let Config { publishing, meters, .. } = config;
        let before = self.occupied();
        let is_as_before = *self.publishing == publishing;
        let stays = |member: &Member| is_as_before && meters.contains(&member.meter);
        let (stay, leave): (Vec<_>, Vec<_>) = self.members.drain(..).partition(stays);
        let unexpected = self.remove(&leave).await;
        self.publishing = Arc::new(publishing);
        if !is_as_before {
            self.announce_program();
        }
        self.replace(meters, stay, leave);
        self.show();
        for topic in before.difference(&self.occupied()) {
            self.publisher.clear(topic);
        }
        let inbox = self.inbox();
        self.publisher.subscribe(inbox.subscriptions());
        (inbox, unexpected)
    }

    /// Fills the fleet in the order of `meters`, with members that `stay` and new ones.
    fn replace(&mut self, meters: Vec<Meter>, mut stay: Vec<Member>, mut leave: Vec<Member>) {
        let count = meters.len();
        for (index, meter) in meters.into_iter().enumerate() {
            if let Some(position) = stay.iter().position(|member| member.meter == meter) {
                self.members.push(stay.swap_remove(position));
                continue;
            }
            // A meter whose settings have changed keeps its place on the broker.
            let known = leave.iter().position(|member| member.meter.name == meter.name);
            let number = match known {
                Some(position) => leave.swap_remove(position).number,
                None => self.count,
            };
            self.count += 1;
            let schedule = schedule(&meter, index, count);
            self.add(meter, MeterHandle::default(), number, schedule);
        }
    }

    /// The topics on which a message of this program may be retained.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        let mut topics = self.occupied();
        topics.insert(self.topics.status());
        topics
    }

    /// Removes the messages of an earlier configuration that had these topics.
    pub(super) fn clear_left(&self, left: &BTreeSet<String>) {
        for topic in left.difference(&self.topics()) {
            self.publisher.clear(topic);
        }
    }

    /// The topics on which a message of these meters may be retained.
    fn occupied(&self) -> BTreeSet<String> {
        let meters = self.meters();
        let mut topics = discovery::all_possible(&meters, &self.publishing);
        if self.publishing.retain {
            topics.extend(inbox::states(&meters, &self.topics));
        }
        topics
    }

    fn meters(&self) -> Vec<Meter> {
        self.members.iter().map(|member| member.meter.clone()).collect()
    }

    fn inbox(&self) -> Inbox {
        let handles: Vec<_> = self.members.iter().map(|member| member.handle.clone()).collect();
        Inbox::new(&self.meters(), &handles, &self.publishing, &self.topics, self.observers.runs_as)
    }

    /// Stops reading these meters, and waits until the requests under way have ended. Their
    /// messages are not sent again. Returns a task that ended unexpectedly.
    async fn remove(&mut self, members: &[Member]) -> Option<Ended> {
        for member in members {
            member.stop.cancel();
        }
        let mut ending: Vec<Id> = members.iter().map(|member| member.task).collect();
        let mut unexpected = None;
        while !ending.is_empty() {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => ended?,
                // When the program stops, `shut_down` waits for all of them together.
                () = self.stop.cancelled() => break,
            };
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
            match ending.iter().position(|ending| *ending == id) {
                Some(position) if ended.is_ok() => drop(ending.swap_remove(position)),
                _ => {
                    ending.retain(|ending| *ending != id);
                    unexpected = Some(ended.map(drop));
                }
            }
        }
        for member in members {
            self.publisher.update(Source::Meter(member.number), Vec::new(), Vec::new());
        }
        unexpected
    }
}

fn log_start(meter: &Meter) {
    let names: Vec<&str> = meter.parameters.iter().map(Parameter::name).collect();
    let name = meter.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    info!(
        "Reading {} from the meter{name} at {}, every {}{}{}.",
        names.join(", "),
        meter.endpoint,
        duration::exact_words(meter.poll_interval),
        offset_words(meter.poll_offset),
        slow_words(meter),
    );
}

/// `, and values that change slowly every 60 min`
fn slow_words(meter: &Meter) -> String {
    let registers: Vec<_> = meter.parameters.iter().map(Parameter::register).collect();
    let slow = meter.paces().slow_for(&registers);
    slow.map_or_else(String::new, |slow| {
        format!(", and values that change slowly every {}", duration::exact_words(slow))
    })
}

/// `, 20 s before each full step of the clock`
fn offset_words(offset: SignedDuration) -> String {
    let length = duration::exact_words(offset.unsigned_abs());
    let side = match offset.signum() {
        0 => return String::new(),
        ..=-1 => "before",
        1.. => "after",
    };
    format!(", {length} {side} each full step of the clock (`poll_offset`)")
}

/// When one of `count` meters is polled.
fn schedule(meter: &Meter, index: usize, count: usize) -> Schedule {
    let delay = poll::spread(index, count, meter.poll_interval);
    let shift = poll::shift(index, count, meter.poll_interval, meter.poll_offset);
    Schedule::new(LocalTime::now, delay, shift)
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
        together: Vec::new(),
        optional: Vec::new(),
        version: meter.version,
        interval: meter.poll_interval,
        slow_interval: meter.slow_interval,
        runs_as,
    }
}
