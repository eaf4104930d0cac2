//! Blocking jobs of the page: reading the history from the disk, and listing the serial ports.
//!
//! A job that hangs keeps its thread. So only a few run at a time, never more than there are threads
//! for, and no request waits long for one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use meter::{RunsAs, cause};

use crate::resources;

/// Far longer than a working disk takes, and shorter than a connection lasts.
const PATIENCE: Duration = Duration::from_secs(5);

/// The limit for one kind of job.
#[derive(Debug, Clone)]
pub(super) struct BlockingJobs(Arc<Semaphore>);

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum JobFailed {
    #[error(
        "This takes too long: the disk does not respond, or the program has reached its limit of \
         threads. Try again later."
    )]
    Slow,
    #[error("This is unavailable now: {_0}.")]
    Shortage(String),
}

impl JobFailed {
    /// What happened, and what to do about it.
    #[must_use]
    pub(super) fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Slow => self.to_string(),
            Self::Shortage(_) => format!("{self} {}", cause::shortage_hint(runs_as)),
        }
    }
}

impl From<io::Error> for JobFailed {
    fn from(error: io::Error) -> Self {
        Self::Shortage(error.to_string())
    }
}

impl BlockingJobs {
    /// The limit for readings.
    pub(super) fn readings() -> Self {
        Self(Arc::new(Semaphore::new(resources::READINGS)))
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

    /// Runs a blocking job on another thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobFailed> {
        let done = async {
            let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| JobFailed::Slow)?;
            let job = spawn_blocking(move || {
                let done = job();
                drop(permit);
                done
            });
            job.await.map_err(|_| JobFailed::Slow)
        };
        timeout(PATIENCE, done).await.unwrap_or(Err(JobFailed::Slow))
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
            jobs.run(move || {
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
        let waiting = timeout(Duration::from_millis(20), jobs.run(|| ())).await;
        assert!(waiting.is_err());
        assert_eq!(other.run(|| 1).await, Ok(1));
        // A job keeps its thread until it ends, even if nobody waits for it.
        let (sender, job) = hanging.pop().unwrap();
        job.abort();
        assert!(timeout(Duration::from_millis(20), jobs.run(|| ())).await.is_err());
        drop(sender);
        assert_eq!(jobs.run(|| 2).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let jobs = BlockingJobs::ports();
        let _permit = Arc::clone(&jobs.0).acquire_owned().await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(jobs.run(|| ()).await, Err(JobFailed::Slow));
        assert_eq!(begun.elapsed(), PATIENCE);
    }
}
