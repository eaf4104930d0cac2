//! The task that polls a meter: it waits for the next poll, for its turn at the port, and for
//! requested jobs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::job::{MeterHandle, Outcome, RunningJob, Share};
use super::journal::{Journal, Timing};
use super::memory::{Memory, MeterMemories};
use super::once::poll_round;
use super::pace::Round;
use super::plan::Plan;
use super::result::PollResult;
use super::schedule::Schedule;
use super::timetable::Timetable;
use crate::transport::Open;
use crate::waiting::saying;

/// The shortest time for a job between two polls. It has at least as much as the last poll took, so
/// that frequent polls leave it half of the time, and it cannot delay a poll for longer.
const SHORTEST_SHARE: Duration = Duration::from_secs(1);

/// How long a job uses a port while other meters may wait for it.
const SHARED_PORT: Duration = Duration::from_secs(10);

/// Polls until `stop` is cancelled. A poll under way then ends with the answer that it is waiting
/// for. A poll that is due during a longer one is skipped.
///
/// The first poll starts immediately, the others follow the [`Schedule`].
///
/// After a poll that read nothing, the next one is sooner, because somebody may be moving the head
/// or pressing keys. The pauses double up to the interval. If other meters wait for the same port,
/// such a poll delays them by one short request, every 15 s at most.
///
/// Results are boxed: a channel takes memory for 32 of them at once.
pub async fn run<O: Open>(
    plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<Box<PollResult>>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    run_knowing(MeterMemories::default(), plan, schedule, results, handle, stop).await;
}

/// Does the same as [`run`], with what is already known of the meter.
pub async fn run_knowing<O: Open>(
    memories: MeterMemories,
    mut plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<Box<PollResult>>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    let mut seen = BTreeSet::new();
    plan.registers.retain(|register| seen.insert(*register));
    let port = plan.port_name.clone();
    let mut memory = memories.take(&port, plan.version);
    memory.line.is_repeated = true;
    let task = Task {
        journal: Journal::new(&plan),
        timetable: Timetable::new(schedule, plan.interval),
        plan,
        memory: &mut memory,
        handle: &handle,
        stop: &stop,
        results,
        last_took: Duration::ZERO,
    };
    task.run().await;
    memories.put_back(&port, memory);
}

struct Task<'a, O> {
    plan: Plan<O>,
    timetable: Timetable,
    journal: Journal,
    memory: &'a mut Memory,
    handle: &'a MeterHandle,
    stop: &'a CancellationToken,
    results: mpsc::Sender<Box<PollResult>>,
    /// How long the last poll took.
    last_took: Duration,
}

/// An event that ends the wait for the next poll.
enum Event<'a> {
    Stopped,
    PollDue,
    ClockCheckDue,
    PollRequested,
    JobRequested(RunningJob<'a>),
}

impl<'a, O: Open> Task<'a, O> {
    async fn run(mut self) {
        let _gate = self.handle.open();
        self.handle.set_next(self.timetable.due());
        loop {
            match self.next_event().await {
                Event::Stopped => return,
                Event::PollDue => {
                    if self.poll_and_send().await.is_break() {
                        return;
                    }
                }
                Event::ClockCheckDue => {
                    self.timetable.check_clock();
                    self.handle.set_next(self.timetable.due());
                }
                Event::PollRequested => {
                    self.timetable.hurry();
                    self.handle.set_next(self.timetable.due());
                }
                Event::JobRequested(job) => {
                    if self.run_job(job).await.is_break() {
                        return;
                    }
                }
            }
        }
    }

    async fn next_event(&self) -> Event<'a> {
        let clock_check = self.timetable.next_clock_check();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Event::Stopped,
            () = sleep_until(clock_check.unwrap_or(self.timetable.due())) => match clock_check {
                Some(_) => Event::ClockCheckDue,
                None => Event::PollDue,
            },
            () = self.handle.poll_requested(), if !self.timetable.is_hurried() => {
                Event::PollRequested
            }
            job = self.handle.job() => Event::JobRequested(job),
        }
    }

    /// Polls, and passes the result on. `Break` means that the program stops.
    async fn poll_and_send(&mut self) -> ControlFlow<()> {
        let Some(result) = self.poll().await else { return ControlFlow::Break(()) };
        self.handle.set_next(self.timetable.due());
        self.handle.set_identity(&result.identity);
        // Without a receiver, the program is stopping.
        match self.results.send(Box::new(result)).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Waits for the port, then polls. `None` if the program stops.
    async fn poll(&mut self) -> Option<PollResult> {
        let Self { plan, timetable, journal, memory, handle, stop, last_took, .. } = self;
        let is_requested = timetable.is_hurried();
        timetable.poll_is_due();
        // Waiting for other meters is neither part of the poll nor a failure.
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            turn = plan.port.acquire() => turn,
        };
        let is_full = handle.forget() || is_requested;
        memory.port_contended = memory.last_poll_failed && plan.port.is_shared();
        let began = Instant::now();
        timetable.begin_poll(began);
        let step = plan.slow_interval.map(|slow| timetable.step(slow)).unwrap_or_default();
        let say = journal.is_waiting_news().then_some(|| Journal::log_waiting(plan));
        let round = Round { step, is_full, is_requested: is_full };
        let polled = saying(say, poll_round(plan, memory, round, stop)).await?;
        drop(turn);
        let (took, ended) = (began.elapsed(), Instant::now());
        *last_took = took;
        let models = memory.identification.known_models();
        let error = polled.trouble.as_ref();
        let explanation =
            error.map(|error| error.explain(&plan.hint_context(&models, memory.line.has_answered)));
        journal.log(&polled, Timing { ended, took }, &models);
        memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        // With many meters, finding out whether a port is shared costs more than the rest.
        let has_failed = memory.last_poll_failed;
        timetable.end_poll(has_failed, has_failed && plan.port.is_shared());
        let result = PollResult::new(polled, explanation, took, memory);
        journal.log_summary(&result, ended);
        Some(result)
    }

    /// Runs a job. It has the port in turns with the polls that are due and with other meters.
    /// `Break` means that the program stops.
    async fn run_job(&mut self, mut job: RunningJob<'_>) -> ControlFlow<()> {
        let cancel = job.cancel();
        loop {
            let turn = tokio::select! {
                biased;
                () = self.stop.cancelled() => return ControlFlow::Break(()),
                () = cancel.cancelled() => {
                    job.end(&self.plan, self.memory);
                    return ControlFlow::Continue(());
                }
                turn = self.plan.port.acquire() => turn,
            };
            let share = self.share();
            let outcome = job.run(&self.plan, self.memory, self.stop, share).await;
            drop(turn);
            match outcome {
                Outcome::Paused(is_answered) => {
                    if is_answered && self.timetable.due() <= Instant::now() {
                        self.poll_and_send().await?;
                    }
                }
                Outcome::Ended(is_answered) => {
                    // Somebody has placed the head so that the meter answers.
                    if is_answered && self.memory.last_poll_failed {
                        self.timetable.poll_now();
                    }
                    return ControlFlow::Continue(());
                }
            }
        }
    }

    /// The share of a job that begins or continues now.
    fn share(&self) -> Share {
        let now = Instant::now();
        let after = |time: Duration| now.checked_add(time).unwrap_or(now);
        let shortest = self.last_took.max(SHORTEST_SHARE);
        Share {
            poll: self.timetable.due().max(after(shortest)),
            others: self.plan.port.has_neighbours().then(|| after(SHARED_PORT)),
        }
    }
}
