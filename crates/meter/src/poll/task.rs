//! The task that polls a meter: it waits for the next poll, for its turn at the port, and for
//! requested jobs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::job::{MeterHandle, RunningJob};
use super::journal::{Journal, Timing};
use super::memory::{Memory, MeterMemories};
use super::once::poll;
use super::plan::Plan;
use super::result::PollResult;
use super::schedule::Schedule;
use super::timetable::Timetable;
use crate::transport::Open;
use crate::waiting::saying;

/// Polls until `stop` is cancelled. A poll under way then ends with the answer that it is waiting
/// for. A poll that is due during a longer one is skipped.
///
/// The first poll starts immediately, the others follow the [`Schedule`].
///
/// After a poll that read nothing, the next one is sooner, because somebody may be moving the head
/// or pressing keys. The pauses double up to the interval. If other meters wait for the same port,
/// such a poll delays them by one short request, every 15 s at most.
pub async fn run<O: Open>(
    plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<PollResult>,
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
    results: mpsc::Sender<PollResult>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    let mut seen = BTreeSet::new();
    plan.registers.retain(|register| seen.insert(*register));
    let port = plan.port_name.clone();
    let mut memory = memories.take(&port, plan.version);
    let task = Task {
        journal: Journal::new(&plan),
        timetable: Timetable::new(schedule, plan.interval),
        plan,
        memory: &mut memory,
        handle: &handle,
        stop: &stop,
    };
    task.run(results).await;
    memories.put_back(&port, memory);
}

struct Task<'a, O> {
    plan: Plan<O>,
    timetable: Timetable,
    journal: Journal,
    memory: &'a mut Memory,
    handle: &'a MeterHandle,
    stop: &'a CancellationToken,
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
    async fn run(mut self, results: mpsc::Sender<PollResult>) {
        let _gate = self.handle.open();
        self.handle.set_next(self.timetable.due());
        loop {
            match self.next_event().await {
                Event::Stopped => return,
                Event::PollDue => {
                    let Some(result) = self.poll().await else { return };
                    self.handle.set_next(self.timetable.due());
                    // Without a receiver, the program is stopping.
                    if results.send(result).await.is_err() {
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

    /// Waits for the port, then polls. `None` if the program stops.
    async fn poll(&mut self) -> Option<PollResult> {
        let Self { plan, timetable, journal, memory, handle, stop } = self;
        timetable.poll_is_due();
        // Waiting for other meters is neither part of the poll nor a failure.
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            turn = plan.port.acquire() => turn,
        };
        handle.forget();
        memory.port_contended = memory.last_poll_failed && plan.port.is_shared();
        let began = Instant::now();
        timetable.begin_poll(began);
        let say = || journal.log_waiting(plan);
        let polled = saying(say, poll(plan, memory, stop)).await?;
        drop(turn);
        let (took, ended) = (began.elapsed(), Instant::now());
        let models = memory.identification.known_models();
        let error = polled.trouble.as_ref();
        let explanation =
            error.map(|error| error.explain(&plan.hint_context(&models, memory.line.has_answered)));
        journal.log(&polled, Timing { ended, took }, &models);
        memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        timetable.end_poll(memory.last_poll_failed, plan.port.is_shared());
        let result = PollResult::new(polled, explanation, took, memory);
        journal.log_summary(&result, ended);
        Some(result)
    }

    /// Waits for the port, then runs a job. `Break` means that the program stops.
    async fn run_job(&mut self, job: RunningJob<'_>) -> ControlFlow<()> {
        let cancel = job.cancel();
        let turn = tokio::select! {
            biased;
            () = self.stop.cancelled() => return ControlFlow::Break(()),
            () = cancel.cancelled() => return ControlFlow::Continue(()),
            turn = self.plan.port.acquire() => turn,
        };
        let answered = job.run(&self.plan, self.memory, self.stop).await;
        drop(turn);
        // Somebody has placed the head so that the meter answers.
        if answered && self.memory.last_poll_failed {
            self.timetable.poll_now();
        }
        ControlFlow::Continue(())
    }
}
