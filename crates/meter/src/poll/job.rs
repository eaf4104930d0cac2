//! What somebody may ask of the task that polls a meter, which alone has the meter's port: a poll
//! out of turn, help with placing the head, a search for registers.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kmp::message::GetSerialNo;
use kmp::register::RegisterId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::memory::{Memory, Recognition};
use super::outcome::{HintContext, PollError};
use super::reader::{self, Progress, Scanned};
use super::{Complaint, Plan};
use crate::client::{Meter, NoAnswer, RequestError, Tries};
use crate::transport::Open;

/// How long the placement aid goes on: it keeps the meter awake, which its battery pays for.
pub const PLACEMENT: Duration = Duration::from_secs(120);

/// From one request of the placement aid to the next, where the meter answers. A miss takes longer:
/// the meter may think for 1.6 s.
const EACH: Duration = Duration::from_secs(1);

/// Asks the task that polls a meter, and says when it polls next. Clones are of the same task.
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
    /// Whether somebody takes jobs.
    open: bool,
    waiting: Option<Job>,
    /// Ends the job that waits or is under way.
    cancel: Option<CancellationToken>,
    next: Option<Instant>,
}

/// The meter is not polled any more, or there is a job already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Something that takes a while, and of which is told how it goes.
pub struct Job {
    what: What,
    tell: Box<dyn FnMut(Step<'_>) + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("what", &self.what).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum What {
    Placement,
    Scan(Vec<RegisterId>),
}

/// How a job goes.
#[derive(Debug)]
pub enum Step<'a> {
    /// It is taken, and begins when the port is free. This is always the first one.
    Taken,
    /// The placement aid has asked once more.
    Asked(Attempt),
    /// The search has come further.
    Scanning(Progress<'a>),
    /// The search has come to its end.
    Scanned(Scanned),
    /// It has ended, however it went. This is always the last one.
    Ended,
}

/// One request of the placement aid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the meter answered.
    pub hit: bool,
    /// What came instead.
    pub heard: Option<NoAnswer>,
    /// Why it could not be asked.
    pub trouble: Option<Complaint>,
    /// How long the aid goes on at most.
    pub left: Duration,
}

impl Job {
    /// Asks the meter once a second for up to [`PLACEMENT`].
    pub fn placement(tell: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Self { what: What::Placement, tell: Box::new(tell) }
    }

    /// Finds out which of these registers the meter has.
    pub fn scan(registers: Vec<RegisterId>, tell: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Self { what: What::Scan(registers), tell: Box::new(tell) }
    }
}

/// Also one that nobody got to, since the meter is not polled any more.
impl Drop for Job {
    fn drop(&mut self) {
        (self.tell)(Step::Ended);
    }
}

impl MeterHandle {
    /// Polls now, or as soon as the last poll is [`super::RECOVERY`] ago. Asking twice is asking once.
    pub fn request_poll(&self) {
        self.0.poll.notify_one();
    }

    /// Waits until somebody asks for a poll.
    pub async fn poll_requested(&self) {
        self.0.poll.notified().await;
    }

    /// What was asked for before the poll that begins is answered by it.
    pub(super) fn forget(&self) {
        pin!(self.0.poll.notified()).enable();
    }

    /// Does a job after the poll that may be under way. Polls that fall into it are skipped, and
    /// other meters on the same port wait. Nothing is told of one that is not taken.
    pub fn send(&self, mut job: Job) -> Result<(), Busy> {
        let taken = {
            let mut inner = self.lock();
            let free = inner.open && inner.cancel.is_none();
            if free {
                inner.cancel = Some(CancellationToken::new());
            }
            free
        };
        if !taken {
            job.tell = Box::new(|_| {});
            return Err(Busy);
        }
        (job.tell)(Step::Taken);
        let mut inner = self.lock();
        // Where the task has ended meanwhile, that is told at once.
        if inner.open {
            inner.waiting = Some(job);
            self.0.job.notify_one();
        }
        Ok(())
    }

    /// Ends the job that waits or is under way, after the request under way.
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

    pub(super) fn set_next(&self, next: Instant) {
        self.lock().next = Some(next);
    }

    /// From now on jobs are taken and left to wait, for tests without a meter.
    #[doc(hidden)]
    pub fn accept_jobs(&self) {
        self.lock().open = true;
    }

    /// From now on jobs are taken, until the result is dropped.
    pub(super) fn open(&self) -> JobGate<'_> {
        self.lock().open = true;
        JobGate(self)
    }

    /// Waits for a job.
    ///
    /// Cancel safety: one that is not taken waits for the next call.
    pub(super) async fn job(&self) -> RunningJob<'_> {
        loop {
            self.0.job.notified().await;
            let mut inner = self.lock();
            if let (Some(job), Some(cancel)) = (inner.waiting.take(), inner.cancel.clone()) {
                return RunningJob { job: Some(job), cancel, handle: self };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that takes jobs.
#[derive(Debug)]
pub(super) struct JobGate<'a>(&'a MeterHandle);

impl Drop for JobGate<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        let waiting = std::mem::take(&mut *inner).waiting;
        drop(inner);
        // Tells somebody, who may ask in turn.
        drop(waiting);
    }
}

/// A job under way.
#[derive(Debug)]
pub(super) struct RunningJob<'a> {
    job: Option<Job>,
    cancel: CancellationToken,
    handle: &'a MeterHandle,
}

impl Drop for RunningJob<'_> {
    fn drop(&mut self) {
        // Who hears of the end may send the next one.
        self.handle.lock().cancel = None;
        drop(self.job.take());
    }
}

impl RunningJob<'_> {
    /// Says when it is not wanted any more.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Does it. Whether the meter answered in the end.
    pub(super) async fn run<O: Open>(
        mut self,
        plan: &Plan<O>,
        memory: &mut Memory,
        stop: &CancellationToken,
    ) -> bool {
        let Some(mut job) = self.job.take() else { return false };
        let both = stop.child_token();
        let answered = {
            let mut work = pin!(work(&mut job, plan, memory, &both));
            tokio::select! {
                answered = &mut work => answered,
                () = self.cancel.cancelled() => {
                    both.cancel();
                    work.await
                }
            }
        };
        self.job = Some(job);
        answered
    }
}

async fn work<O: Open>(
    job: &mut Job,
    plan: &Plan<O>,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> bool {
    let Job { what, tell } = job;
    match what {
        What::Placement => {
            // Whoever moves the head may move it to another meter.
            memory.recognition = Recognition::Uncertain;
            place(tell, plan, memory, stop).await
        }
        What::Scan(registers) => {
            // What polls have learned is none of its business, nor the other way round.
            let mut own = Memory::new(plan.version);
            (own.line_state, own.traffic) = (memory.line_state, memory.traffic);
            let scanned =
                reader::scan(plan, registers, &mut own, stop, |step| tell(Step::Scanning(step)));
            let scanned = scanned.await;
            (memory.line_state, memory.traffic) = (own.line_state, own.traffic);
            let answered = scanned.trouble.is_none() && !scanned.readings.is_empty();
            tell(Step::Scanned(scanned));
            answered
        }
    }
}

/// Asks for what every meter answers, in a request that no poll makes for its values: neither the
/// order of registers nor what is known of values is touched by it.
async fn place<O: Open>(
    tell: &mut (dyn FnMut(Step<'_>) + Send),
    plan: &Plan<O>,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> bool {
    let begun = Instant::now();
    let end = begun.checked_add(PLACEMENT).unwrap_or(begun);
    let goes_on = || Instant::now() < end && !stop.is_cancelled();
    let models = memory.identification.known_models();
    let complaint = |trouble: PollError| {
        let Plan { port_name: port, interval, runs_as, .. } = plan;
        let (interval, runs_as) = (*interval, *runs_as);
        trouble.complaint(&HintContext { port, interval, models: &models, runs_as })
    };
    let mut told = |hit, heard, trouble| {
        let left = end.saturating_duration_since(Instant::now());
        tell(Step::Asked(Attempt { hit, heard, trouble, left }));
    };
    let mut answered = false;
    while goes_on() {
        let asked = Instant::now();
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            opened = plan.port.open() => opened,
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                answered = false;
                told(false, None, Some(complaint(PollError::Port(error))));
                rest(asked, end, stop).await;
                continue;
            }
        };
        let mut meter = Meter::new(stream, plan.line, memory.line_state).counting(memory.traffic);
        while goes_on() {
            let asked = Instant::now();
            let trouble = match meter.request(&GetSerialNo, Tries::One, stop).await {
                Ok(_) => {
                    answered = true;
                    told(true, None, None);
                    None
                }
                Err(RequestError::NoAnswer(heard)) => {
                    answered = false;
                    told(false, Some(heard), None);
                    meter.rest_from_last_byte();
                    None
                }
                Err(RequestError::Broken(error)) => Some(PollError::from(error)),
                Err(RequestError::Stopping) => break,
            };
            let is_broken = trouble.is_some();
            if let Some(trouble) = trouble {
                answered = false;
                told(false, None, Some(complaint(trouble)));
            }
            rest(asked, end, stop).await;
            if is_broken {
                break;
            }
        }
        (memory.line_state, memory.traffic) = (meter.line_state(), meter.traffic());
    }
    answered
}

/// Waits until the next request.
async fn rest(asked: Instant, end: Instant, stop: &CancellationToken) {
    let next = asked.checked_add(EACH).unwrap_or(asked).min(end);
    stop.run_until_cancelled(sleep_until(next)).await;
}
