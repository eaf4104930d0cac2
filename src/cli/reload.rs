//! SIGHUP: reloads the configuration and applies the changes.

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
use crate::words::capital;
use logging;
use meter::RunsAs;

/// Reloads the configuration at each SIGHUP. Returns the new configurations, and the future that
/// reloads them and never ends.
///
/// The variables are those of the start. The files that they name are read again.
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

/// What a new configuration changes, apart from `app`.
pub(super) struct ReloadTargets {
    pub(super) log: logging::Handle,
    /// Whether the log does not follow the configuration yet.
    pub(super) log_is_due: bool,
    pub(super) board: Board,
    pub(super) page: PageAddress,
}

/// SIGHUP. If the program's terminal was closed, it stops the program.
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

    /// Waits for a request to reload the configuration.
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

/// The time until a failed change of the log is retried.
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
                    info!("The log now follows the configuration.");
                }
                continue;
            }
        }
        systemd::reloading();
        let new = match read(file, variables).await {
            Ok(Ok(new)) => new,
            Err(failed) => {
                error!("Cannot reload the configuration: {failed}.");
                systemd::ready();
                continue;
            }
            Ok(Err(rejected)) => {
                let problem = report(&rejected);
                board.set_up(|setup| {
                    setup.refused = Some(problem);
                    let warnings = merged(&current.warnings, rejected.warnings());
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
            info!("Reloaded the configuration: nothing has changed.");
        } else {
            info!("Reloaded the configuration. Changed: {}.", differs.join(", "));
        }
        if new.config != current.config {
            // A closed channel means that the program is about to stop.
            let _ = changes.send(new.config.clone()).await;
        }
        page.change(&new.config.page_settings());
        board.set_up(|setup| {
            setup.refused = None;
            setup.warnings = warning_words(&new.warnings, RunsAs::Program);
            setup.settings = new.settings.lines().map(SettingLine::from).collect();
        });
        current = new;
        systemd::ready();
    }
}

/// Reads the configuration on another thread, because files may be slow and decrypting a key takes
/// time.
pub(super) async fn read(
    file: Option<&Path>,
    variables: &Variables,
) -> Result<Result<Loaded, ConfigError>, JoinError> {
    let (file, variables) = (file.map(Path::to_owned), variables.clone());
    spawn_blocking(move || config::load(file.as_deref(), &variables)).await
}

/// Applies the logging of a configuration. Returns whether that succeeded.
pub(super) async fn apply(log: &logging::Handle, loaded: &Loaded) -> bool {
    let changed = change(log, loaded).await;
    if let Err(error) = &changed {
        error!("{error:#}. Retrying until it works; this is logged only once.");
    }
    changed.is_ok()
}

/// Waits for a destination that is no longer used.
async fn change(log: &logging::Handle, loaded: &Loaded) -> anyhow::Result<()> {
    let (log, logging) = (log.clone(), loaded.config.logging.clone());
    Ok(spawn_blocking(move || log.apply(&logging)).await??)
}

/// Logs one line for each problem. Returns the same for the page.
fn report(rejected: &ConfigError) -> ReportedProblem {
    let words = format!(
        "The new configuration is rejected, and the previous one stays in effect: {}",
        rejected.summary()
    );
    let details = rejected.problems();
    recovery::log_problem(&words, &details);
    recovery::log_warnings::<ConfigError>(rejected.warnings());
    ReportedProblem { words, details, hint: format!("{}.", capital(rejected.hint())) }
}

/// The warnings of the configuration in effect, and further ones of the rejected one.
fn merged(current: &[Warning], rejected: &[Warning]) -> Vec<Warning> {
    let others = rejected.iter().filter(|warning| !current.contains(warning));
    current.iter().chain(others).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Login;

    #[test]
    fn a_warning_of_both_configurations_appears_once() {
        let current = [Warning::Login(Login::Off), Warning::Insecure];
        let rejected = [Warning::Insecure, Warning::Login(Login::NoPassword)];
        let all =
            [Warning::Login(Login::Off), Warning::Insecure, Warning::Login(Login::NoPassword)];
        assert_eq!(merged(&current, &rejected), all);
    }
}
