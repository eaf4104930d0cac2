//! Notifies systemd of the state of the service, where `NOTIFY_SOCKET` and `WATCHDOG_USEC` are set;
//! elsewhere nothing happens. See `sd_notify(3)`.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The program works: its tasks run.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is read again; [`ready`] ends that.
pub(crate) fn reloading() {
    // systemd ignores it without the time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => debug!("systemd is not told of the reload: {error}."),
    }
}

/// The program is about to end.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies systemd, twice as often as it requires, that the program is running, until `stop` is
/// cancelled. All tasks share one thread, so this shows that none of them blocks it.
pub(crate) async fn watchdog(stop: CancellationToken) {
    let Some(pause) = sd_notify::watchdog_enabled().and_then(|wanted| wanted.checked_div(2)) else {
        return;
    };
    // However short the required time is, the other tasks must run as well.
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
        debug!("systemd cannot be told how it goes: {error}.");
    }
}
