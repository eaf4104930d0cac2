//! What systemd wants to know of a service, where it asks by `NOTIFY_SOCKET` and `WATCHDOG_USEC`; else
//! nothing happens. See `sd_notify(3)`.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The program works: its tasks run.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read again; [`ready`] says that this is done.
pub fn reloading() {
    // Without the time systemd would not believe it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!("systemd is not told of the reload: {error}."),
    }
}

/// The program is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd, twice as often as it asks for, that the program turns, until `stop` is cancelled.
/// That it comes to this says so: all tasks take turns on one thread.
pub async fn watchdog(stop: CancellationToken) {
    let Some(pause) = sd_notify::watchdog_enabled().and_then(|wanted| wanted.checked_div(2)) else {
        return;
    };
    // However short the time is said to be, there is something else to do.
    let pause = pause.max(Duration::from_millis(10));
    let telling = async {
        loop {
            tell(&[NotifyState::Watchdog]);
            sleep(pause).await;
        }
    };
    stop.run_until_cancelled(telling).await;
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!("systemd cannot be told how it goes: {error}.");
    }
}
