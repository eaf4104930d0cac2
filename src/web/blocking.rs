//! What the page has to wait for: the disk with its readings, the system with its ports.
//!
//! A job that hangs keeps its thread. So there are few at a time, which are never more than there are
//! threads for, and nobody waits for one for long.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use meter::cause;

use crate::resources;

/// Far longer than a disk that works takes, and less than a connection lasts.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those who do one kind of job.
#[derive(Debug, Clone)]
pub(super) struct BlockingJobs(Arc<Semaphore>);

/// Why a job is not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum JobFailed {
    /// Not in time.
    #[error(
        "This takes too long: the disk does not answer, or the program may not have more threads. \
         Try again later."
    )]
    Slow,
    /// For want of something.
    #[error("This cannot be looked up now: {_0}. {}", cause::SHORTAGE_HINT)]
    Shortage(String),
}

impl From<io::Error> for JobFailed {
    fn from(error: io::Error) -> Self {
        Self::Shortage(error.to_string())
    }
}

impl BlockingJobs {
    /// For readings.
    pub(super) fn readings() -> Self {
        Self(Arc::new(Semaphore::new(resources::READINGS)))
    }

    /// For serial ports.
    pub(super) fn ports() -> Self {
        Self(Arc::new(Semaphore::new(resources::PORTS)))
    }

    /// At which nobody works.
    #[cfg(test)]
    pub(super) fn closed() -> Self {
        let jobs = Self::ports();
        jobs.0.close();
        jobs
    }

    /// Does a job that blocks.
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
    async fn jobs_that_hang_hold_up_only_those_of_their_kind() {
        let (jobs, other) = (BlockingJobs::readings(), BlockingJobs::ports());
        let mut hanging = Vec::new();
        for _ in 0..resources::READINGS {
            hanging.push(hang(&jobs).await);
        }
        // Time goes on by itself as long as a job is under way only where the clock is real.
        let waiting = timeout(Duration::from_millis(20), jobs.run(|| ())).await;
        assert!(waiting.is_err());
        assert_eq!(other.run(|| 1).await, Ok(1));
        // Whose job hangs has its thread until it ends, not only until nobody waits.
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
