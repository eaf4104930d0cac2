//! When to read what: one task per meter, which asks for all its registers once per interval and
//! hands on what came.
//!
//! The port is opened for a poll and closed after it, so a head that is unplugged and plugged in
//! again, or a serial server that restarts, is simply found again by the next poll. Where several
//! meters are on one port, each poll waits for its turn; what others do does not move the schedule.

mod ask;
mod identify;
mod job;
mod journal;
mod memory;
mod outcome;
mod reader;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::ask::poll;
pub use self::job::{Attempt, Busy, Job, MeterHandle, PLACEMENT, Step};
use self::journal::Journal;
pub use self::journal::{count_words, words};
use self::memory::Memory;
pub use self::outcome::Complaint;
use self::outcome::Polled;
pub use self::reader::{Progress, Reader, Scanned};
use self::schedule::CLOCK_SKEW;
pub use self::schedule::Schedule;
use crate::RunsAs;
use crate::back_off::BackOff;
use crate::client::Traffic;
use crate::condition::Condition;
use crate::identity::{Exchange, Identity, Version};
use crate::reading::{Missing, Reading};
use crate::transport::{Open, Port, PortQueues, SharedPort};
use kmp::line::Line;

/// What a polling task needs to know.
#[derive(Debug)]
pub struct Plan<O> {
    /// Opens the way to the meter.
    pub port: O,
    /// How log lines call the port.
    pub port_name: String,
    /// The line behind it.
    pub line: Line,
    /// What to read, each once.
    pub registers: Vec<RegisterId>,
    /// Which model the user says that it is.
    pub version: Version,
    /// From the start of one poll to the start of the next; polls are at its multiples by the clock
    /// on the wall.
    pub interval: Duration,
    /// Who is told what to do about trouble.
    pub runs_as: RunsAs,
}

impl Plan<Port> {
    /// With a port that takes turns with others that are on the same one.
    #[must_use]
    pub fn sharing_ports(self, queues: &PortQueues) -> Plan<SharedPort> {
        let Self { port, port_name, line, registers, version, interval, runs_as } = self;
        let port = queues.share(port);
        Plan { port, port_name, line, registers, version, interval, runs_as }
    }
}

/// How much later than on the schedule one of several meters is polled: they come one after the other,
/// rather than all at once. The first meter's polls are on the schedule.
#[must_use]
pub fn spread(index: usize, count: usize, interval: Duration) -> Duration {
    let [index, count] = [index, count].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let step = interval.checked_div(count).unwrap_or_default().min(STEP);
    step.saturating_mul(index)
}

/// Between the first polls of two meters: as long as hardly anybody notices, and no longer than a
/// request takes.
const STEP: Duration = Duration::from_millis(100);

/// From the start of one poll to the next one that somebody asks for: each costs the meter's
/// battery.
pub const RECOVERY: Duration = Duration::from_secs(10);

/// One poll's outcome: each register asked for is in exactly one of the two lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollResult {
    /// What was read, in no particular order.
    pub readings: Vec<Reading>,
    /// What was not read, and why.
    pub missing: Vec<(RegisterId, Missing)>,
    /// Which meter this is, as far as it is known.
    pub identity: Identity,
    /// Whether it is known whose readings these are, or that the meter never tells. Else they are
    /// nobody's, and must not be kept with those of the meter that was there before.
    pub is_recognized: bool,
    /// That another meter is there since the poll before.
    pub exchange: Option<Exchange>,
    /// What the meter says is wrong with it, where it was asked.
    pub condition: Option<Condition>,
    /// What went wrong, if something did, and what to do about it.
    pub trouble: Option<Complaint>,
    /// From opening the port to the last byte.
    pub took: Duration,
    /// What was on the line in it, and in what was done since the poll before.
    pub traffic: Traffic,
}

impl PollResult {
    fn new(
        polled: Polled,
        trouble: Option<Complaint>,
        took: Duration,
        memory: &mut Memory,
    ) -> Self {
        let Polled { readings, missing, exchange, condition, .. } = polled;
        Self {
            readings,
            missing,
            identity: memory.identification.identity(),
            is_recognized: memory.identification.is_settled(),
            exchange,
            condition,
            trouble,
            took,
            traffic: memory.traffic.take(),
        }
    }
}

/// What is known of meters whose polls have ended, by their ports: another task may go on with them,
/// and what it asks for must not look like what was asked for before. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MeterMemories(Arc<Mutex<BTreeMap<String, Memory>>>);

impl MeterMemories {
    /// Memory of the meter at a port, as far as there is any.
    fn take(&self, port: &str, version: Version) -> Memory {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(port);
        known.map_or_else(|| Memory::new(version), |memory| memory.handed_over(version))
    }

    fn leave(&self, port: &str, memory: Memory) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(port.to_owned(), memory);
    }
}

/// Polls as [`run`] does, and knows what was known of the meter before.
pub async fn run_knowing<O: Open>(
    memories: MeterMemories,
    plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<PollResult>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    let port = plan.port_name.clone();
    let mut memory = memories.take(&port, plan.version);
    run_with(&mut memory, plan, schedule, results, handle, stop).await;
    memories.leave(&port, memory);
}

/// Polls until `stop` is cancelled. A poll that is under way then ends with the answer that it is
/// waiting for. Polls that fall into a longer one are skipped.
///
/// The first poll comes at once, the others are on the [`Schedule`].
///
/// After a poll that read nothing the next one comes sooner, then ever later up to the interval:
/// somebody may be standing there, moving the head or pressing keys. Where other meters wait for
/// their turns meanwhile, it costs them one short request, and not more often than every 15 s.
pub async fn run<O: Open>(
    plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<PollResult>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    run_knowing(MeterMemories::default(), plan, schedule, results, handle, stop).await;
}

async fn run_with<O: Open>(
    memory: &mut Memory,
    mut plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<PollResult>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    let mut seen = BTreeSet::new();
    plan.registers.retain(|register| seen.insert(*register));
    let mut journal = Journal::new(&plan);
    let start = Instant::now();
    let mut due = start.checked_add(schedule.offset()).unwrap_or(start);
    let mut tick = due;
    // At the clock on the wall; what is asked for meanwhile does not put off the next look.
    let mut looked = start;
    let mut back_off = BackOff::new(FIRST_BACK_OFF, Duration::MAX);
    let (mut started, mut hurried) = (None, false);
    let _open = handle.open();
    handle.set_next(due);
    loop {
        // Somebody may set the clock, as a computer without one of its own does after its start.
        let look = looked.checked_add(LOOK).map(|look| look.max(Instant::now())).filter(|look| {
            // Just before the schedule the two clocks might disagree on which poll comes next.
            let is_long_before = tick.saturating_duration_since(*look) > RECOVERY;
            is_long_before && due == tick && started.is_some()
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(due), if look.is_none() => {}
            () = sleep_until(look.unwrap_or(due)), if look.is_some() => {
                looked = Instant::now();
                tick = schedule.next(plan.interval);
                due = tick;
                handle.set_next(due);
                continue;
            }
            () = handle.poll_requested(), if !hurried => {
                let soon = started.and_then(|at: Instant| at.checked_add(RECOVERY));
                due = due.min(soon.unwrap_or(due)).max(Instant::now());
                hurried = true;
                handle.set_next(due);
                continue;
            }
            job = handle.job() => {
                let cancel = job.cancel();
                let turn = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = cancel.cancelled() => continue,
                    turn = plan.port.acquire() => turn,
                };
                let answered = job.run(&plan, memory, &stop).await;
                drop(turn);
                // Somebody has moved the head until the meter answered.
                if answered && memory.last_poll_failed {
                    due = Instant::now();
                }
                continue;
            }
        }
        hurried = false;
        let on_schedule = due == tick && started.is_some();
        // Waiting for others is no part of the poll, and no failure.
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            turn = plan.port.acquire() => turn,
        };
        handle.forget();
        memory.port_contended = memory.last_poll_failed && plan.port.is_shared();
        let begun = Instant::now();
        started = Some(begun);
        let Some(polled) = poll(&plan, memory, &stop).await else {
            return;
        };
        drop(turn);
        let took = begun.elapsed();
        journal.models = memory.identification.known_models();
        journal.note(&polled, took);
        memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        let complaint =
            polled.trouble.as_ref().map(|trouble| trouble.complaint(&journal.hint_context()));
        let result = PollResult::new(polled, complaint, took, memory);
        let now = Instant::now();
        // No poll is made twice where the clock is put back a little.
        let rest = if on_schedule { RECOVERY } else { CLOCK_SKEW };
        tick = schedule.after(due, rest, plan.interval);
        looked = now;
        due = tick;
        if memory.last_poll_failed {
            due = now.checked_add(back_off.pause()).map_or(tick, |soon| soon.min(tick));
            if plan.port.is_shared() {
                due = due.max(now.checked_add(FIRST_BACK_OFF).unwrap_or(due));
            }
        } else {
            back_off.reset();
        }
        handle.set_next(due);
        // Nobody listens any more: the program is stopping.
        if results.send(result).await.is_err() {
            return;
        }
    }
}

/// So often is looked at the clock on the wall.
const LOOK: Duration = Duration::from_secs(60);

/// From the end of a poll in vain to the next poll; doubles up to the interval.
const FIRST_BACK_OFF: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
