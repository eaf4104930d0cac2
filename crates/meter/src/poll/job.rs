//! Jobs for the polling task: an immediate poll, the placement aid for the optical head, a scan for
//! registers, and the reading of a log. Other tasks hand these jobs to the polling task, because
//! only the polling task uses the meter's port.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kmp::message::GetSerialNo;
use kmp::register::RegisterId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::explanation::Explanation;
use super::logs::{LogRead, LogWork};
use super::memory::Memory;
use super::outcome::PollError;
use super::plan::Plan;
use super::reader::{Progress, Scan, Scanned};
use crate::client::{Meter, NoAnswer, RequestError, Tries};
use crate::identity::Identity;
use crate::logger::{LogReading, LogStep};
use crate::transport::{Open, Stream};

/// How long the placement aid runs. It keeps the meter awake, which costs its battery.
pub const PLACEMENT: Duration = Duration::from_secs(120);

/// The time between two requests of the placement aid if the meter answers. Without an answer it is
/// longer, because the meter has 1.6 s to begin one.
const PLACEMENT_INTERVAL: Duration = Duration::from_secs(1);

/// When a job lets others use the port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// When the meter's next poll is made.
    pub(super) poll: Instant,
    /// When other meters on the port have their turn.
    pub(super) others: Option<Instant>,
}

impl Share {
    /// Whether a job must pause now. While the meter does not answer, its own polls would read
    /// nothing.
    fn is_over(self, is_answered: bool) -> bool {
        let now = Instant::now();
        (is_answered && now >= self.poll) || self.others.is_some_and(|others| now >= others)
    }
}

/// The end of a job's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The job continues later. Whether the meter has answered its last request.
    Paused(bool),
    /// The job is over. Whether the meter answered at its end.
    Ended(bool),
}

/// A handle to a polling task. It requests polls and jobs, and knows when the next poll is due and
/// which meter was read.
/// Clones are handles to the same task.
#[derive(Debug, Clone, Default)]
pub struct MeterHandle(Arc<JobSlot>);

#[derive(Debug, Default)]
struct JobSlot {
    poll: Notify,
    job: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether the task accepts jobs.
    open: bool,
    waiting: Option<Job>,
    /// Cancels the job that waits or runs.
    cancel: Option<CancellationToken>,
    next: Option<Instant>,
    /// The meter of the last poll.
    identity: Option<Identity>,
}

/// The job is rejected: the meter is no longer polled, or another job waits or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// A longer task that reports its progress.
pub struct Job {
    kind: Kind,
    report: Report,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Kind {
    Placement,
    Scan(Vec<RegisterId>),
    /// `None` once it has begun.
    Log(Option<Box<LogReading>>),
}

/// The progress of a job.
#[derive(Debug)]
pub enum Step<'a> {
    /// The job is accepted, and begins when the port is free. This is always the first step.
    Taken,
    /// The placement aid has made a request.
    Asked(Attempt),
    /// The scan has made progress.
    Scanning(Progress<'a>),
    /// The scan has ended.
    Scanned(Scanned),
    /// The reading of a log has made progress.
    Logging(LogStep<'a>),
    /// The reading of a log has ended.
    Logged(LogRead),
    /// The job has ended, whether it succeeded or not. This is always the last step.
    Ended,
}

/// One request of the placement aid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the meter answered.
    pub hit: bool,
    /// What was received instead of an answer.
    pub heard: Option<NoAnswer>,
    /// Why the request could not be made.
    pub trouble: Option<Explanation>,
    /// The remaining time, at most.
    pub left: Duration,
}

impl Job {
    /// Sends a request once a second for up to [`PLACEMENT`].
    pub fn placement(report: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Self { kind: Kind::Placement, report: Box::new(report) }
    }

    /// Finds out which of these registers the meter has.
    pub fn scan(registers: Vec<RegisterId>, report: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Self { kind: Kind::Scan(registers), report: Box::new(report) }
    }

    /// Reads a log of the meter.
    pub fn log(reading: LogReading, report: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Self { kind: Kind::Log(Some(Box::new(reading))), report: Box::new(report) }
    }
}

/// Reports the end, even if the job never started because the meter is no longer polled.
impl Drop for Job {
    fn drop(&mut self) {
        (self.report)(Step::Ended);
    }
}

impl MeterHandle {
    /// Requests a poll now, or [`super::RECOVERY`] after the last one. Two requests cause one poll.
    pub fn request_poll(&self) {
        self.0.poll.notify_one();
    }

    /// Waits until a poll is requested.
    pub async fn poll_requested(&self) {
        self.0.poll.notified().await;
    }

    /// Drops an earlier request for a poll, because the poll that begins answers it. Returns whether
    /// there was one.
    pub(super) fn forget(&self) -> bool {
        pin!(self.0.poll.notified()).enable()
    }

    /// Runs a job after the current poll, if any. It pauses for polls that are due, and for other
    /// meters on the same port. A rejected job reports nothing.
    pub fn send(&self, mut job: Job) -> Result<(), Busy> {
        let is_accepted = {
            let mut inner = self.lock();
            let is_free = inner.open && inner.cancel.is_none();
            if is_free {
                inner.cancel = Some(CancellationToken::new());
            }
            is_free
        };
        if !is_accepted {
            job.report = Box::new(|_| {});
            return Err(Busy);
        }
        (job.report)(Step::Taken);
        let mut inner = self.lock();
        // If the task has ended meanwhile, the job is dropped and reports its end.
        if inner.open {
            inner.waiting = Some(job);
            self.0.job.notify_one();
        }
        Ok(())
    }

    /// Cancels the job that waits or runs, after its current request.
    pub fn cancel(&self) {
        if let Some(cancel) = &self.lock().cancel {
            cancel.cancel();
        }
    }

    /// When the next poll is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.lock().next
    }

    /// The meter of the last poll, as far as it is known; `None` before the first one.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.lock().identity.clone()
    }

    pub(super) fn set_identity(&self, identity: &Identity) {
        let mut inner = self.lock();
        if inner.identity.as_ref() != Some(identity) {
            inner.identity = Some(identity.clone());
        }
    }

    pub(super) fn set_next(&self, next: Instant) {
        self.lock().next = Some(next);
    }

    /// Pretends that this meter was read, for tests without a meter.
    #[doc(hidden)]
    pub fn pretend(&self, identity: &Identity) {
        self.set_identity(identity);
    }

    /// Accepts jobs but does not run them, for tests without a meter.
    #[doc(hidden)]
    pub fn accept_jobs(&self) {
        self.lock().open = true;
    }

    /// Accepts jobs until the result is dropped.
    pub(super) fn open(&self) -> JobGate<'_> {
        self.lock().open = true;
        JobGate(self)
    }

    /// Waits for a job.
    ///
    /// Cancel safety: a job that is not returned waits for the next call.
    pub(super) async fn job(&self) -> RunningJob<'_> {
        loop {
            self.0.job.notified().await;
            let mut inner = self.lock();
            if let (Some(job), Some(cancel)) = (inner.waiting.take(), inner.cancel.clone()) {
                return RunningJob { job: Some(job), cancel, handle: self, begun: None };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs are accepted while this exists.
#[derive(Debug)]
pub(super) struct JobGate<'a>(&'a MeterHandle);

impl Drop for JobGate<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        let waiting = std::mem::take(&mut *inner).waiting;
        drop(inner);
        // It reports its end to code that may lock the handle.
        drop(waiting);
    }
}

/// A job that has been handed to the task.
#[derive(Debug)]
pub(super) struct RunningJob<'a> {
    job: Option<Job>,
    cancel: CancellationToken,
    handle: &'a MeterHandle,
    /// The progress of a job that has begun.
    begun: Option<Begun>,
}

impl Drop for RunningJob<'_> {
    fn drop(&mut self) {
        // When the end is reported, the next job may be sent.
        self.handle.lock().cancel = None;
        drop(self.job.take());
    }
}

impl RunningJob<'_> {
    /// Returns a token that is cancelled together with the job.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Ends a job that has paused. A scan reports what it has found.
    pub(super) fn end<O: Open>(mut self, plan: &Plan<O>, memory: &Memory) {
        let Some(job) = &mut self.job else { return };
        match self.begun.take() {
            Some(Begun::Scan(begun)) => {
                let (scan, mut own) = *begun;
                (job.report)(Step::Scanned(scan.finish(plan, &mut own)));
            }
            Some(Begun::Log(work)) => (job.report)(Step::Logged(work.finish(plan, memory))),
            Some(Begun::Placement { .. }) | None => {}
        }
    }

    /// Runs the job until its share of the time is over.
    pub(super) async fn run<O: Open>(
        &mut self,
        plan: &Plan<O>,
        memory: &mut Memory,
        stop: &CancellationToken,
        share: Share,
    ) -> Outcome {
        let Some(mut job) = self.job.take() else { return Outcome::Ended(false) };
        let begun = self.begun.take().or_else(|| Begun::new(&mut job.kind, plan));
        let Some(begun) = begun else { return Outcome::Ended(false) };
        let both = stop.child_token();
        let (outcome, begun) = {
            let mut work = pin!(begun.work(&mut job.report, plan, memory, &both, share));
            tokio::select! {
                done = &mut work => done,
                () = self.cancel.cancelled() => {
                    both.cancel();
                    work.await
                }
            }
        };
        self.begun = begun;
        self.job = Some(job);
        outcome
    }
}

type Report = Box<dyn FnMut(Step<'_>) + Send>;

/// A job that has begun.
#[derive(Debug)]
enum Begun {
    Placement {
        end: Instant,
    },
    /// A scan neither uses nor changes what polls have learned about the meter.
    Scan(Box<(Scan, Memory)>),
    Log(Box<LogWork>),
}

impl Begun {
    /// `None` if the job cannot begin a second time.
    fn new<O>(kind: &mut Kind, plan: &Plan<O>) -> Option<Self> {
        Some(match kind {
            Kind::Placement => {
                let now = Instant::now();
                Self::Placement { end: now.checked_add(PLACEMENT).unwrap_or(now) }
            }
            Kind::Scan(registers) => {
                let mut own = Memory::new(plan.version);
                let scan = Scan::new(registers.clone(), &mut own);
                Self::Scan(Box::new((scan, own)))
            }
            Kind::Log(reading) => Self::Log(Box::new(LogWork::new(*reading.take()?))),
        })
    }

    /// Works until the share is over. Returns what is left of the job, if anything.
    async fn work<O: Open>(
        self,
        report: &mut Report,
        plan: &Plan<O>,
        memory: &mut Memory,
        stop: &CancellationToken,
        share: Share,
    ) -> (Outcome, Option<Self>) {
        match self {
            Self::Placement { end } => {
                // The head may be moved to another meter. A poll during a pause may have recognized
                // the one before.
                memory.recognition.lost();
                let models = memory.identification.known_models();
                let has_answered = memory.line.has_answered;
                let explain =
                    |error: PollError| error.explain(&plan.hint_context(&models, has_answered));
                let is_answered = false;
                let mut placement =
                    Placement { report, explain: &explain, memory, end, stop, share, is_answered };
                placement.run(plan).await;
                let is_answered = placement.is_answered;
                if stop.is_cancelled() || Instant::now() >= end {
                    return (Outcome::Ended(is_answered), None);
                }
                (Outcome::Paused(is_answered), Some(Self::Placement { end }))
            }
            Self::Scan(mut begun) => {
                let (scan, own) = &mut *begun;
                std::mem::swap(&mut own.line, &mut memory.line);
                memory.exchange_orders(own);
                let progress = |progress: Progress<'_>| report(Step::Scanning(progress));
                let has_ended = scan.run(plan, own, stop, || share.is_over(true), progress).await;
                memory.exchange_orders(own);
                std::mem::swap(&mut own.line, &mut memory.line);
                if !has_ended {
                    return (Outcome::Paused(true), Some(Self::Scan(begun)));
                }
                let (scan, mut own) = *begun;
                let scanned = scan.finish(plan, &mut own);
                let answered = scanned.trouble.is_none() && !scanned.readings.is_empty();
                report(Step::Scanned(scanned));
                (Outcome::Ended(answered), None)
            }
            Self::Log(mut work) => {
                let progress = |step: LogStep<'_>| report(Step::Logging(step));
                if !work.run(plan, memory, stop, || share.is_over(true), progress).await {
                    return (Outcome::Paused(true), Some(Self::Log(work)));
                }
                let read = work.finish(plan, memory);
                let answered = read.trouble.is_none() && read.end.is_some();
                report(Step::Logged(read));
                (Outcome::Ended(answered), None)
            }
        }
    }
}

/// The placement aid. It requests the serial number, which every meter has and which polls do not
/// request for values. So it changes neither the order of registers nor the known values.
struct Placement<'a> {
    report: &'a mut (dyn FnMut(Step<'_>) + Send),
    explain: &'a (dyn Fn(PollError) -> Explanation + Send + Sync),
    memory: &'a mut Memory,
    end: Instant,
    stop: &'a CancellationToken,
    share: Share,
    /// Whether the last request was answered.
    is_answered: bool,
}

impl Placement<'_> {
    async fn run<O: Open>(&mut self, plan: &Plan<O>) {
        while self.is_running() {
            let asked = Instant::now();
            let opened = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                opened = plan.port.open() => opened,
            };
            match opened {
                Ok(stream) => {
                    let mut client = self.memory.line.client(stream, plan.line);
                    self.ask(plan, &mut client).await;
                    self.memory.line.keep(&client);
                }
                Err(error) => {
                    self.fail(PollError::Port(error));
                    self.rest(asked).await;
                }
            }
        }
    }

    /// Makes requests over a connection until it breaks.
    async fn ask<O: Open>(&mut self, plan: &Plan<O>, client: &mut Meter<Box<dyn Stream>>) {
        while self.is_running() {
            let asked = Instant::now();
            match client.request(&GetSerialNo, Tries::One, self.stop).await {
                Ok(_) => {
                    self.memory.line.has_answered = true;
                    self.note(true, None, None);
                }
                Err(RequestError::NoAnswer(heard)) => {
                    self.note(false, Some(heard), None);
                    client.rest_from_last_byte();
                }
                Err(RequestError::Broken(error)) => {
                    // If another meter's connection was the reason, the next one waits for its end.
                    if !plan.port.was_crowded_out() {
                        self.fail(PollError::from(error));
                    }
                    self.rest(asked).await;
                    return;
                }
                Err(RequestError::Stopping) => return,
            }
            self.rest(asked).await;
        }
    }

    fn is_running(&self) -> bool {
        Instant::now() < self.end
            && !self.stop.is_cancelled()
            && !self.share.is_over(self.is_answered)
    }

    fn fail(&mut self, error: PollError) {
        self.note(false, None, Some((self.explain)(error)));
    }

    fn note(&mut self, hit: bool, heard: Option<NoAnswer>, trouble: Option<Explanation>) {
        self.is_answered = hit;
        let left = self.end.saturating_duration_since(Instant::now());
        (self.report)(Step::Asked(Attempt { hit, heard, trouble, left }));
    }

    /// Waits until the next request.
    async fn rest(&mut self, asked: Instant) {
        let next = asked.checked_add(PLACEMENT_INTERVAL).unwrap_or(asked).min(self.end);
        self.stop.run_until_cancelled(sleep_until(next)).await;
    }
}
