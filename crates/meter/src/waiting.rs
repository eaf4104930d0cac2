//! Says what the program is waiting for. If a meter does not answer, the program waits for up to 18
//! s. Without a message, it would seem to hang.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

/// After this time without a word, it says what it waits for.
const SOON: Duration = Duration::from_millis(500);

/// Does the work. If it is not done soon, calls `say`, once. `None` if there is nothing to say: then
/// no timer wakes the processor.
pub async fn saying<T>(say: Option<impl FnOnce()>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let Some(say) = say else { return work.await };
    if let Ok(done) = timeout(SOON, &mut work).await {
        return done;
    }
    say();
    work.await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// When something was said during work that takes so many milliseconds.
    async fn said_after(milliseconds: u64) -> Vec<Duration> {
        let (began, said) = (Instant::now(), RefCell::new(Vec::new()));
        let say = || said.borrow_mut().push(began.elapsed());
        saying(Some(say), sleep(Duration::from_millis(milliseconds))).await;
        assert_eq!(began.elapsed(), Duration::from_millis(milliseconds));
        said.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_silent_meter_is_told_within_a_second() {
        assert_eq!(said_after(300).await, [Duration::ZERO; 0]);
        let told = said_after(16_700).await;
        assert_eq!(told.len(), 1);
        assert!(told.iter().all(|after| *after < Duration::from_secs(1)), "{told:?}");
    }
}
