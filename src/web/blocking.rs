//! Blocking jobs: reading the history from the disk, for the page and for means, and listing the
//! serial ports.
//!
//! A job that hangs keeps its thread. So there are never more jobs at a time than threads for them,
//! and a request waits only a limited time for its job. A job is asked to end when its visitor has
//! left, or when its time is over.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use meter::{RunsAs, cause};

use crate::resources;
use history::Stop;

/// Far longer than a working disk takes, and shorter than a connection lasts.
const PATIENCE: Duration = Duration::from_secs(5);

/// The limit for one kind of job.
#[derive(Debug, Clone)]
pub(crate) struct BlockingJobs(Arc<Semaphore>);

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JobFailed {
    #[error(
        "This takes too long: the disk does not respond, or the program has reached its limit of \
         threads. Try again later."
    )]
    Slow,
    #[error("This is unavailable now: {_0}.")]
    Shortage(String),
    /// The system refuses it for another reason, such as a missing permission.
    #[error("This is unavailable now: {_0}.")]
    Refused(String),
}

impl JobFailed {
    /// What happened, and what to do about it.
    #[must_use]
    pub(super) fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Slow | Self::Refused(_) => self.to_string(),
            Self::Shortage(_) => format!("{self} {}", cause::shortage_hint(runs_as)),
        }
    }
}

impl From<io::Error> for JobFailed {
    fn from(error: io::Error) -> Self {
        if cause::is_shortage(&error) {
            Self::Shortage(error.to_string())
        } else {
            Self::Refused(cause::of_file(&error))
        }
    }
}

impl BlockingJobs {
    /// The limit for readings, which the page and the means share.
    pub(crate) fn readings() -> Self {
        static SHARED: LazyLock<Arc<Semaphore>> =
            LazyLock::new(|| Arc::new(Semaphore::new(resources::READINGS)));
        // Each test has its own.
        if cfg!(test) {
            return Self(Arc::new(Semaphore::new(resources::READINGS)));
        }
        Self(Arc::clone(&SHARED))
    }

    /// The limit for serial ports.
    pub(super) fn ports() -> Self {
        Self(Arc::new(Semaphore::new(resources::PORTS)))
    }

    /// Runs no jobs.
    #[cfg(test)]
    pub(super) fn closed() -> Self {
        let jobs = Self::ports();
        jobs.0.close();
        jobs
    }

    /// Runs a blocking job on another thread. If the result is no longer needed, because this
    /// future was dropped or takes too long, the job is stopped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<T, JobFailed> {
        let stop = StopOnDrop(Stop::default());
        let stopped = stop.0.clone();
        let done = async {
            let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| JobFailed::Slow)?;
            let job = spawn_blocking(move || {
                let done = job(&stopped);
                drop(permit);
                done
            });
            job.await.map_err(|_| JobFailed::Slow)
        };
        timeout(PATIENCE, done).await.unwrap_or(Err(JobFailed::Slow))
    }
}

/// Hyper drops the future of an answer as soon as the visitor closes the connection.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::task::JoinHandle;

    use super::*;

    /// A job that hangs until the sender is dropped.
    async fn hang(jobs: &BlockingJobs) -> (Sender<()>, JoinHandle<Result<(), JobFailed>>) {
        let (sender, received) = channel();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let jobs = jobs.clone();
        let job = tokio::spawn(async move {
            jobs.run(move |_| {
                let _ = begun.send(());
                let _ = received.recv();
            })
            .await
        });
        has_begun.await.unwrap();
        (sender, job)
    }

    #[tokio::test]
    async fn a_job_that_hangs_delays_only_jobs_of_its_kind() {
        let (jobs, other) = (BlockingJobs::readings(), BlockingJobs::ports());
        let mut hanging = Vec::new();
        for _ in 0..resources::READINGS {
            hanging.push(hang(&jobs).await);
        }
        // A paused clock would stand still while a job is running.
        let waiting = timeout(Duration::from_millis(20), jobs.run(|_| ())).await;
        assert!(waiting.is_err());
        assert_eq!(other.run(|_| 1).await, Ok(1));
        // A job keeps its thread until it ends, even if nobody waits for it.
        let (sender, job) = hanging.pop().unwrap();
        job.abort();
        assert!(timeout(Duration::from_millis(20), jobs.run(|_| ())).await.is_err());
        drop(sender);
        assert_eq!(jobs.run(|_| 2).await, Ok(2));
    }

    /// Without it, a job went on after its visitor had left, with nobody to read the result.
    #[tokio::test]
    async fn a_job_is_stopped_when_nobody_waits_for_it() {
        let jobs = BlockingJobs::readings();
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let (ended, has_ended) = channel();
        let job = jobs.run(move |stop| {
            let _ = begun.send(stop.clone());
            while !stop.is_stopped() {
                std::thread::yield_now();
            }
            let _ = ended.send(());
        });
        let mut job = Box::pin(job);
        let stop = tokio::select! {
            stop = has_begun.recv() => stop.unwrap(),
            done = &mut job => panic!("{done:?}"),
        };
        assert!(!stop.is_stopped());
        drop(job);
        has_ended.recv_timeout(Duration::from_secs(30)).unwrap();
        // Its thread is free.
        for _ in 0..resources::READINGS {
            assert_eq!(jobs.run(|_| 1).await, Ok(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let jobs = BlockingJobs::ports();
        let _permit = Arc::clone(&jobs.0).acquire_owned().await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(jobs.run(|_| ()).await, Err(JobFailed::Slow));
        assert_eq!(begun.elapsed(), PATIENCE);
    }
}
