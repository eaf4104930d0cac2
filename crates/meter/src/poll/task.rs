//! The task that polls a meter: it waits for the next poll, for its turn at the port, and for jobs
//! that somebody asks for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::job::{MeterHandle, RunningJob};
use super::journal::Journal;
use super::memory::{Memory, MeterMemories};
use super::once::poll;
use super::plan::Plan;
use super::result::PollResult;
use super::schedule::Schedule;
use super::timetable::Timetable;
use crate::transport::Open;

/// Polls until `stop` is cancelled. A poll that is under way then ends with the answer that it is
/// waiting for. Polls that fall into a longer one are skipped.
///
/// The first poll is made at once, the others are on the [`Schedule`].
///
/// After a poll that read nothing the next one comes sooner, then ever later up to the interval:
/// somebody may be moving the head or pressing keys. Where other meters wait for their turn
/// meanwhile, such a poll costs them one short request, not more often than every 15 s.
pub async fn run<O: Open>(
    plan: Plan<O>,
    schedule: Schedule,
    results: mpsc::Sender<PollResult>,
    handle: MeterHandle,
    stop: CancellationToken,
) {
    run_knowing(MeterMemories::default(), plan, schedule, results, handle, stop).await;
}

/// Polls as [`run`] does, with what was known of the meter before.
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

/// What ends the wait for the next poll.
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
                    // Where the receiver is gone, the program is stopping.
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

    /// Waits for the port, then polls. `None` when the program stops.
    async fn poll(&mut self) -> Option<PollResult> {
        let Self { plan, timetable, journal, memory, handle, stop } = self;
        timetable.poll_is_due();
        // Waiting for other meters is neither a part of the poll nor a failure.
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            turn = plan.port.acquire() => turn,
        };
        handle.forget();
        memory.port_contended = memory.last_poll_failed && plan.port.is_shared();
        let begun = Instant::now();
        timetable.begin_poll(begun);
        let polled = poll(plan, memory, stop).await?;
        drop(turn);
        let took = begun.elapsed();
        let models = memory.identification.known_models();
        let error = polled.trouble.as_ref();
        let explanation = error.map(|error| error.explain(&plan.hint_context(&models)));
        journal.log(&polled, took, &models);
        memory.last_poll_failed = polled.trouble.is_some() && polled.readings.is_empty();
        timetable.end_poll(memory.last_poll_failed, plan.port.is_shared());
        Some(PollResult::new(polled, explanation, took, memory))
    }

    /// Waits for the port, then runs a job. A break means that the program stops.
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
        // Somebody has moved the head until the meter answered.
        if answered && self.memory.last_poll_failed {
            self.timetable.poll_now();
        }
        ControlFlow::Continue(())
    }
}
