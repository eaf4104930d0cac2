//! What is logged, for tests of it.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use super::{Lines, Look, Program};

/// The crates of the project, whose names all begin like this.
const OURS: &str = "kamstrup";

/// Makes sure that there are two subscribers at least. While there is only one, `tracing` asks the
/// thread that meets an event first whether anybody wants it: a test that captures nothing would
/// silence that event for the test beside it.
pub fn beside_other_tests() {
    static ANOTHER: LazyLock<Dispatch> =
        LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&ANOTHER);
}

/// Lines without their times.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<String>>>);

impl Captured {
    /// Those since this was last asked for.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Collects all that this thread logs while the guard is there.
#[must_use]
pub fn lines() -> (Captured, DefaultGuard) {
    from(Level::DEBUG)
}

/// Collects what this thread logs from a level on.
#[must_use]
pub fn from(level: Level) -> (Captured, DefaultGuard) {
    beside_other_tests();
    let captured = Captured::default();
    let lines = Lines::new(Program { name: OURS, crates: &[] }, {
        let captured = captured.clone();
        let look = Look { date: "".parse().ok(), ..Look::default() };
        move |record| {
            let line = look.line(&record, 1, false);
            let mut lines = captured.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line.trim().to_owned());
        }
    });
    let ours = Targets::new().with_target(OURS, level);
    let subscriber = tracing_subscriber::registry().with(ours).with(lines);
    (captured, tracing::subscriber::set_default(subscriber))
}
