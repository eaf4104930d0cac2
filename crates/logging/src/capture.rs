//! Captures log lines for tests.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::line_format::LineFormat;
use crate::lines::Lines;
use crate::program::{Hints, Program};

/// The names of all crates of this project begin with this.
const OURS: &str = "kamstrup";

/// Makes sure that there are at least two subscribers. With only one, `tracing` decides for all
/// threads whether an event is wanted, on the first thread that reaches it. So a test that captures
/// nothing would silence that event for a test that runs at the same time.
pub fn beside_other_tests() {
    static ANOTHER: LazyLock<Dispatch> =
        LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&ANOTHER);
}

/// Lines without their times.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<String>>>);

impl Captured {
    /// Returns the lines since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Captures all lines of this thread while the guard exists.
#[must_use]
pub fn lines() -> (Captured, DefaultGuard) {
    from(Level::DEBUG)
}

/// Captures the lines of this thread that have this level or a more severe one, while the guard
/// exists.
#[must_use]
pub fn from(level: Level) -> (Captured, DefaultGuard) {
    beside_other_tests();
    let captured = Captured::default();
    let lines = Lines::new(Program { name: OURS, crates: &[], hints: Hints::default() }, {
        let captured = captured.clone();
        let format = LineFormat { date: "".parse().ok(), ..LineFormat::default() };
        move |record| {
            let line = format.line(&record, 1, false);
            let mut lines = captured.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line.trim().to_owned());
        }
    });
    let ours = Targets::new().with_target(OURS, level);
    let subscriber = tracing_subscriber::registry().with(ours).with(lines);
    (captured, tracing::subscriber::set_default(subscriber))
}
