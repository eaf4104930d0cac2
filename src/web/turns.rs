//! Turns of the thread that does everything: polls, messages to the broker, answers to visitors.
//!
//! Making a page with a year of ten meters took 0.1 s of it on a fast machine. Sixteen such pages
//! in a row kept it from everything else for 1.5 s, so that the health check failed. Sixteen
//! visitors who requested `/metrics` of 500 meters in a loop stopped polls and publishes.
//!
//! So each answer takes a turn if its cost grows with the number of meters. The health check does
//! not.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// One page or other answer at a time is made. Clones share the turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Option<Instant>>>);

impl Turns {
    /// Makes a page when it is its turn. After each page, the thread is free for everything else as
    /// long as the page took.
    pub(super) async fn make<T>(&self, page: impl FnOnce() -> T) -> T {
        let mut free_until = self.0.lock().await;
        if let Some(free_until) = *free_until {
            sleep_until(free_until).await;
        }
        // Whatever is ready now is first.
        yield_now().await;
        let begun = Instant::now();
        let made = page();
        *free_until = Instant::now().checked_add(begun.elapsed());
        made
    }

    /// Keeps everybody waiting until the result is dropped.
    #[cfg(test)]
    pub(super) async fn hold(&self) -> impl Drop + use<> {
        Arc::clone(&self.0).lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::thread;
    use std::time::Duration;

    use futures_util::future::{join_all, select};
    use tokio::time::sleep;

    use super::*;

    /// Nothing else happened until all pages were made.
    #[expect(clippy::disallowed_methods, reason = "rendering blocks the thread too")]
    #[tokio::test]
    async fn everything_else_has_its_turn_between_two_pages() {
        const LONG: Duration = Duration::from_millis(20);
        let turns = Turns::default();
        let events = RefCell::new(Vec::new());
        let pages = (0..8).map(|_| async {
            // It blocks the thread, as rendering does.
            turns.make(|| thread::sleep(LONG)).await;
            events.borrow_mut().push("page");
        });
        let others = async {
            loop {
                sleep(Duration::from_millis(1)).await;
                events.borrow_mut().push("other");
            }
        };
        select(Box::pin(join_all(pages)), Box::pin(others)).await;
        let events = events.into_inner();
        assert_eq!(events.iter().filter(|event| **event == "page").count(), 8);
        assert!(!events.windows(2).any(|two| two == ["page", "page"]), "{events:?}");
        // Half of the time is for them, not just one turn.
        let others = events.iter().filter(|event| **event == "other").count();
        assert!(others >= 3 * 8, "{events:?}");
    }

    /// A visitor who has left gives the turn back.
    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_not_used_is_passed_on() {
        let turns = Turns::default();
        let held = turns.0.lock().await;
        let mut waiting = Box::pin(turns.make(|| 1));
        let soon = tokio::time::timeout(Duration::from_secs(1), &mut waiting).await;
        assert!(soon.is_err());
        drop(waiting);
        drop(held);
        assert_eq!(turns.make(|| 2).await, 2);
    }
}
