//! The time of a request, by the wall clock and by the monotonic clock.

use jiff::ZonedDateTime;
use tokio::time::Instant;

/// The current time, on the wall clock and on the monotonic clock.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) wall: ZonedDateTime,
    pub(super) at: Instant,
}

impl Now {
    /// A past or future time on the wall clock, as that is set now.
    pub(super) fn time(&self, at: Instant) -> String {
        let ago = self.at.saturating_duration_since(at);
        let ahead = at.saturating_duration_since(self.at);
        let time = self.wall.saturating_sub(ago).saturating_add(ahead);
        time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}
