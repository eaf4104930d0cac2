//! The time of a request, on both clocks.

use jiff::ZonedDateTime;
use tokio::time::Instant;

/// What time it is, on the clock on the wall and on the one by which the program waits.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) wall: ZonedDateTime,
    pub(super) at: Instant,
}

impl Now {
    /// When something was or will be, on the clock on the wall as it goes now.
    pub(super) fn time(&self, at: Instant) -> String {
        let ago = self.at.saturating_duration_since(at);
        let ahead = at.saturating_duration_since(self.at);
        let time = self.wall.saturating_sub(ago).saturating_add(ahead);
        time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}
