//! How long the machine has been suspended, so that values from before are not sent as current ones.

use std::fmt;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A machine that was suspended for less than this has missed no poll.
const HARDLY: Duration = Duration::from_secs(30);

/// The time for which the machine has been suspended since it was started.
pub struct SuspendedTime {
    read: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl fmt::Debug for SuspendedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SuspendedTime").field(&self.total()).finish()
    }
}

impl Default for SuspendedTime {
    fn default() -> Self {
        Self::new(of_this_machine)
    }
}

impl SuspendedTime {
    /// `read` returns the time so far.
    #[must_use]
    pub fn new(read: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read) }
    }

    /// The time so far.
    #[must_use]
    pub fn total(&self) -> Duration {
        (self.read)()
    }

    /// Whether the machine has been suspended since the time was `before`.
    #[must_use]
    pub fn was_suspended_since(&self, before: Duration) -> bool {
        self.total().saturating_sub(before) > HARDLY
    }
}

/// Of these two clocks of Linux, only the first goes on while the machine is suspended
/// (`clock_gettime(2)`).
#[cfg(target_os = "linux")]
fn of_this_machine() -> Duration {
    let [with, without] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        let seconds = u64::try_from(tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(tv_nsec).unwrap_or(0);
        Duration::new(seconds, nanoseconds)
    });
    with.saturating_sub(without)
}

#[cfg(not(target_os = "linux"))]
fn of_this_machine() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_awake_is_not_suspended() {
        let suspended = SuspendedTime::default();
        assert!(!suspended.was_suspended_since(suspended.total()));
    }

    #[test]
    fn a_short_time_does_not_count() {
        let suspended = SuspendedTime::new(|| Duration::from_secs(130));
        assert!(!suspended.was_suspended_since(Duration::from_secs(100)));
        assert!(suspended.was_suspended_since(Duration::from_secs(99)));
    }
}
