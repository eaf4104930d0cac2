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
use crate::discovery::{self, Claims};
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
    /// What earlier configurations have announced under other names.
    earlier: Vec<Claims>,
    /// How many times retained messages were to be examined again.
    surveys: u64,
    observers: Observers,
    stop: CancellationToken,
}

/// What a configuration leaves on the broker for the next one, which needs a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) earlier: Vec<Claims>,
    /// The topic of the program's status.
    pub(super) status: String,
    /// Topics on which a state may be retained.
    pub(super) states: BTreeSet<String>,
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
            earlier: Vec::new(),
            surveys: 0,
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
        let (before, announced) = (self.states(), self.announced());
        let claims = Claims::earlier(&self.publishing, &self.topics);
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
        for topic in before.difference(&self.states()) {
            self.publisher.clear(topic);
        }
        // Another program may have taken over what is no longer announced here. So it is removed
        // only if it is still ours.
        if !announced.is_subset(&self.announced()) {
            self.surveys = self.surveys.wrapping_add(1);
            if !self.earlier.contains(&claims) {
                self.earlier.push(claims);
            }
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

    /// What this configuration leaves on the broker.
    pub(super) fn left(&self) -> Left {
        let claims = Claims::earlier(&self.publishing, &self.topics);
        let earlier = self.earlier.iter().cloned().chain([claims]).collect();
        Left { earlier, status: self.topics.status(), states: self.states() }
    }

    /// Removes what an earlier configuration has left on the broker. What needs to be examined
    /// first is removed by the inbox, which must know it too.
    pub(super) fn follow(&mut self, left: Left) {
        if left.status == self.topics.status() {
            let states = self.states();
            left.states.difference(&states).for_each(|topic| self.publisher.clear(topic));
        }
        self.earlier = left.earlier;
    }

    /// The topics on which a state of these meters may be retained.
    fn states(&self) -> BTreeSet<String> {
        if !self.publishing.retain {
            return BTreeSet::new();
        }
        inbox::states(&self.meters(), &self.topics)
    }

    /// The topics on which something of these meters may be announced.
    fn announced(&self) -> BTreeSet<String> {
        discovery::all_possible(&self.meters(), &self.publishing)
    }

    fn meters(&self) -> Vec<Meter> {
        self.members.iter().map(|member| member.meter.clone()).collect()
    }

    fn inbox(&self) -> Inbox {
        let handles: Vec<_> = self.members.iter().map(|member| member.handle.clone()).collect();
        let runs_as = self.observers.runs_as;
        Inbox::new(&self.meters(), &handles, &self.publishing, &self.topics, runs_as)
            .after(&self.earlier, self.surveys)
            .keeping_logs_in(self.observers.folder.clone())
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
