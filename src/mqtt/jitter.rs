//! Varies pauses, so that many clients do not reconnect at the same moment.

use std::time::Duration;

/// This time, give or take up to a quarter.
pub(super) fn jittered(time: Duration) -> Duration {
    time.saturating_mul(fastrand::u32(768..1280)) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_attempts_varies_by_a_quarter() {
        for _ in 0..1_000 {
            let pause = jittered(Duration::from_secs(4));
            assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&pause), "{pause:?}");
        }
    }
}
