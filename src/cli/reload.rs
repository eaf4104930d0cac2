//! SIGHUP: the configuration is read again, and what has changed is applied.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::page_address::PageAddress;
use crate::config::{self, Config, ConfigError, Loaded, Variables, Warning, warning_words};
use crate::recovery;
use crate::status::{Board, ReportedProblem, SettingLine};
use crate::systemd;
use crate::words::{capital, sentence};
use logging;
use meter::RunsAs;

/// What SIGHUP makes of the configuration, and the work that this is, which never ends.
///
/// The variables are those of the start; files that they name are read again.
pub(super) fn on_hangup(
    hangup: Hangup,
    file: Option<&Path>,
    variables: &Variables,
    loaded: Loaded,
    targets: ReloadTargets,
) -> (mpsc::Receiver<Config>, impl Future<Output = Infallible>) {
    let (sender, changes) = mpsc::channel(1);
    (changes, reload(hangup, sender, file, variables, loaded, targets))
}

/// What follows another configuration, besides `app`.
pub(super) struct ReloadTargets {
    pub(super) log: logging::Handle,
    /// Whether the log is not yet as the configuration says.
    pub(super) log_is_due: bool,
    pub(super) board: Board,
    pub(super) page: PageAddress,
}

/// SIGHUP. Where it says that the terminal is gone in which the program runs, the program stops.
pub(super) struct Hangup {
    signal: Signal,
    /// Whether standard output was a terminal at the start.
    was_terminal: bool,
    stop: CancellationToken,
}

impl Hangup {
    pub(super) fn new(stop: CancellationToken) -> io::Result<Self> {
        let signal = signal(SignalKind::hangup())?;
        Ok(Self { signal, was_terminal: io::stdout().is_terminal(), stop })
    }

    /// Waits until the configuration is to be read again.
    pub(super) async fn come(&mut self) {
        while self.signal.recv().await.is_some() {
            if !self.was_terminal || io::stdout().is_terminal() {
                return;
            }
            self.stop.cancel();
        }
        std::future::pending::<()>().await;
    }
}

/// Until the log is changed again where that failed.
const AGAIN: Duration = Duration::from_secs(60);

async fn reload(
    mut hangup: Hangup,
    changes: mpsc::Sender<Config>,
    file: Option<&Path>,
    variables: &Variables,
    mut current: Loaded,
    targets: ReloadTargets,
) -> Infallible {
    let ReloadTargets { log, mut log_is_due, board, page } = targets;
    loop {
        tokio::select! {
            () = hangup.come() => {}
            () = sleep(AGAIN), if log_is_due => {
                log_is_due = change(&log, &current).await.is_err();
                if !log_is_due {
                    info!("The log is now as the configuration says.");
                }
                continue;
            }
        }
        systemd::reloading();
        let new = match read(file, variables).await {
            Ok(Ok(new)) => new,
            Err(failed) => {
                error!("The configuration cannot be read again: {failed}.");
                systemd::ready();
                continue;
            }
            Ok(Err(refused)) => {
                let problem = tell(&refused);
                board.set_up(|setup| {
                    setup.refused = Some(problem);
                    let warnings = joined(&current.warnings, refused.warnings());
                    setup.warnings = warning_words(&warnings, RunsAs::Program);
                });
                systemd::ready();
                continue;
            }
        };
        log_is_due = !apply(&log, &new).await;
        recovery::log_warnings::<ConfigError>(&new.warnings);
        let differs = new.settings.changes(&current.settings);
        if differs.is_empty() {
            info!("The configuration was read again: nothing has changed.");
        } else {
            info!("The configuration was read again. Changed: {}.", differs.join(", "));
        }
        if new.config != current.config {
            // Who does not listen any more is about to stop.
            let _ = changes.send(new.config.clone()).await;
        }
        page.change(new.config.page);
        board.set_up(|setup| {
            setup.refused = None;
            setup.warnings = warning_words(&new.warnings, RunsAs::Program);
            setup.settings = new.settings.lines().map(SettingLine::from).collect();
        });
        current = new;
        systemd::ready();
    }
}

/// Files may be slow, and to open a key takes its time: everything else goes on meanwhile.
pub(super) async fn read(
    file: Option<&Path>,
    variables: &Variables,
) -> Result<Result<Loaded, ConfigError>, JoinError> {
    let (file, variables) = (file.map(Path::to_owned), variables.clone());
    spawn_blocking(move || config::load(file.as_deref(), &variables)).await
}

/// Logs as a configuration says. Gives whether that could be done.
pub(super) async fn apply(log: &logging::Handle, loaded: &Loaded) -> bool {
    let changed = change(log, loaded).await;
    if let Err(error) = &changed {
        error!("{error:#}. Trying again until it works; this is said only once.");
    }
    changed.is_ok()
}

/// A destination that goes is waited for.
async fn change(log: &logging::Handle, loaded: &Loaded) -> anyhow::Result<()> {
    let (log, logging) = (log.clone(), loaded.config.logging.clone());
    Ok(spawn_blocking(move || log.apply(&logging)).await??)
}

/// One line for each thing that is wrong. Gives the same for the page.
fn tell(refused: &ConfigError) -> ReportedProblem {
    let words = format!(
        "The configuration was read again and is not taken; the one before stays: {}",
        refused.summary()
    );
    error!("{}", sentence(&words));
    let details = refused.problems();
    for detail in &details {
        error!("{}", sentence(detail));
    }
    recovery::log_warnings::<ConfigError>(refused.warnings());
    ReportedProblem { words, details, hint: format!("{}.", capital(refused.hint())) }
}

/// What is odd in the configuration that stays, and what else is in the one that is refused.
fn joined(stays: &[Warning], refused: &[Warning]) -> Vec<Warning> {
    let others = refused.iter().filter(|warning| !stays.contains(warning));
    stays.iter().chain(others).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Login;

    #[test]
    fn what_is_odd_in_both_is_said_once() {
        let stays = [Warning::Login(Login::Off), Warning::Insecure];
        let refused = [Warning::Insecure, Warning::Login(Login::NoPassword)];
        let all =
            [Warning::Login(Login::Off), Warning::Insecure, Warning::Login(Login::NoPassword)];
        assert_eq!(joined(&stays, &refused), all);
    }
}
