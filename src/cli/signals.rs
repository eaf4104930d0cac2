//! Runs a command until it ends or SIGINT or SIGTERM asks it to stop.

use std::time::Duration;

use anyhow::anyhow;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::resources::{self, Threads};
use meter::RunsAs;

/// A signal that follows the first one sooner is the same one.
const TWICE: Duration = Duration::from_millis(500);

/// Runs a future that SIGINT and SIGTERM ask to stop. A second signal does not wait for it.
pub(super) fn with_signals<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    run_with_signals(Threads::All, RunsAs::Program, work)
}

/// The same for the app (add-on).
pub(super) fn with_signals_in_app<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    run_with_signals(Threads::All, RunsAs::AddOn, work)
}

/// The same for a future that never blocks.
pub(super) fn with_signals_alone<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    run_with_signals(Threads::None, RunsAs::Program, work)
}

fn run_with_signals<F: Future<Output = anyhow::Result<()>>>(
    threads: Threads,
    runs_as: RunsAs,
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    let runtime = resources::runtime(threads, runs_as)?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (asked, at_once) = (stop.clone(), CancellationToken::new());
        let again = at_once.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            next().await;
            asked.cancel();
            // A second signal means that the user does not want to wait. But one Ctrl-C may arrive
            // twice: from the terminal and from the parent process.
            let heard = Instant::now();
            loop {
                next().await;
                if heard.elapsed() >= TWICE {
                    break;
                }
            }
            again.cancel();
        });
        tokio::select! {
            biased;
            result = work(stop) => result,
            () = at_once.cancelled() => Err(anyhow!("stopped immediately after a second signal")),
        }
    });
    // Does not wait for a name that is being looked up.
    runtime.shutdown_background();
    result
}
