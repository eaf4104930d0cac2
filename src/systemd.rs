//! Notifies systemd of the state of the service if `NOTIFY_SOCKET` is set, and regularly that the
//! program is running if `WATCHDOG_USEC` is set too. Otherwise nothing happens. See `sd_notify(3)`.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The program's tasks are running.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Sets the line that `systemctl status` shows; an empty one removes it.
pub(crate) fn status(words: &str) {
    notify(&[NotifyState::Status(words)]);
}

/// The program reads its configuration again, until [`ready`] is called.
pub(crate) fn reloading() {
    // systemd ignores the message without the time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => debug!("The reload cannot be reported to systemd: {error}."),
    }
}

/// The program is about to exit.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies systemd that the program is running, twice as often as it requires, until `stop` is
/// cancelled. All tasks share one thread, so this shows that none of them blocks it.
pub(crate) async fn watchdog(stop: CancellationToken) {
    let Some(pause) = sd_notify::watchdog_enabled().and_then(|wanted| wanted.checked_div(2)) else {
        return;
    };
    // The other tasks must run too, however short the required time is.
    let pause = pause.max(Duration::from_millis(10));
    let notifying = async {
        loop {
            notify(&[NotifyState::Watchdog]);
            sleep(pause).await;
        }
    };
    stop.run_until_cancelled(notifying).await;
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!("The state cannot be reported to systemd: {error}.");
    }
}
