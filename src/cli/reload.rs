//! SIGHUP: the configuration is read again, and what has changed is applied.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{self, Config, ConfigError, Loaded, Variables};
use crate::logging;
use crate::status::Board;
use crate::systemd;

/// What SIGHUP makes of the configuration, and the work that this is, which never ends.
///
/// The variables are those of the start; files that they name are read again. Where the signal says
/// that the terminal is gone in which the program runs, it stops instead.
pub(super) fn on_hangup(
    file: Option<&Path>,
    variables: &Variables,
    loaded: Loaded,
    log: logging::Handle,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<(mpsc::Receiver<Config>, impl Future<Output = Infallible>)> {
    let hangup = signal(SignalKind::hangup())?;
    let (sender, changes) = mpsc::channel(1);
    let hangup = Hangup { signal: hangup, was_terminal: io::stdout().is_terminal(), stop };
    Ok((changes, reload(hangup, sender, file, variables, loaded, log, board)))
}

struct Hangup {
    signal: Signal,
    /// Whether standard output was a terminal at the start.
    was_terminal: bool,
    stop: CancellationToken,
}

impl Hangup {
    /// Waits until the configuration is to be read again.
    async fn come(&mut self) {
        while self.signal.recv().await.is_some() {
            if !self.was_terminal || io::stdout().is_terminal() {
                return;
            }
            self.stop.cancel();
        }
        std::future::pending::<()>().await;
    }
}

async fn reload(
    mut hangup: Hangup,
    changes: mpsc::Sender<Config>,
    file: Option<&Path>,
    variables: &Variables,
    mut current: Loaded,
    log: logging::Handle,
    board: Board,
) -> Infallible {
    loop {
        hangup.come().await;
        systemd::reloading();
        let new = match config::load(file, variables) {
            Ok(new) => new,
            Err(refused) => {
                tell(&refused);
                systemd::ready();
                continue;
            }
        };
        if let Err(error) = log.apply(&new.config.logging) {
            error!("{error:#}.");
        }
        for warning in &new.warnings {
            warn!("In the configuration: {}", super::sentence(warning));
        }
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
        board.set_up(|setup| setup.warnings.clone_from(&new.warnings));
        current = new;
        systemd::ready();
    }
}

/// One line for each thing that is wrong.
fn tell(refused: &ConfigError) {
    let words = refused.to_string();
    let mut lines = words.lines();
    let first = lines.next().unwrap_or_default().trim_end_matches(':');
    error!("The configuration was read again and is not taken; the one before stays: {first}.");
    // What counts the warnings is no message.
    let messages = lines.filter_map(|line| line.trim().strip_prefix("- "));
    messages.for_each(|line| error!("{}", super::sentence(line)));
}
