//! Limits the reports about messages from the broker, because anybody can send any number of
//! messages. Each report is logged once, and only a few of each kind. Further ones are counted, and
//! the count is logged.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::discovery::Ownership;
use crate::mqtt::{FOUND_AT_MOST, Found};
use meter::RunsAs;

/// How many reports of one kind are logged in one run.
pub(super) const MOST_REPORTED: usize = 20;

/// How many characters of a topic are logged.
const SHOWN: usize = 200;

/// The first counts are logged this long after the first message beyond the limit, when the
/// retained messages have arrived.
const FIRST_COUNT: Duration = Duration::from_secs(10);

/// The time from one count to the next.
const NEXT_COUNT: Duration = Duration::from_secs(60 * 60);

/// The reports of one kind.
#[derive(Debug, Default)]
pub(super) struct Reports {
    logged: BTreeSet<String>,
    /// How many messages were not logged, since the last count.
    beyond: u64,
}

impl Reports {
    /// Whether this is to be logged: it is new, and there were not too many before.
    pub(super) fn add(&mut self, about: &str) -> bool {
        if self.logged.contains(about) {
            return false;
        }
        if self.logged.len() >= MOST_REPORTED {
            self.beyond = self.beyond.saturating_add(1);
            return false;
        }
        self.logged.insert(about.to_owned())
    }

    /// Counts a message that is not logged.
    pub(super) fn count(&mut self) {
        self.beyond = self.beyond.saturating_add(1);
    }

    pub(super) fn is_any_beyond(&self) -> bool {
        self.beyond > 0
    }

    /// How many messages were not logged since the last call; `None` if there were none.
    pub(super) fn take_beyond(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.beyond)).filter(|beyond| *beyond > 0)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.logged.len()
    }
}

/// What was reported about messages from the broker.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Topics whose messages were ignored.
    pub(super) ignored: Reports,
    /// Announcements of this program under another topic.
    moved: Reports,
    /// Announcements of others that use our ids.
    taken: Reports,
    /// Topics that were cleared.
    removed: Reports,
    /// Topics that were not cleared, because there are too many.
    kept: Reports,
    pub(super) counts: CountSchedule,
}

impl Reported {
    fn all(&mut self) -> [&mut Reports; 5] {
        [&mut self.ignored, &mut self.moved, &mut self.taken, &mut self.removed, &mut self.kept]
    }

    /// Plans to log the counts, if there are any.
    fn plan(&mut self) {
        if self.all().iter().any(|reports| reports.is_any_beyond()) {
            self.counts.plan();
        }
    }

    pub(super) fn ignored(&mut self, topic: &str, why: &str) {
        let topic = shown(topic);
        if self.ignored.add(&topic) {
            warn!("Ignored a message on `{topic}`: {why}. This is logged only once.");
        }
        self.plan();
    }

    pub(super) fn removed(&mut self, topic: &str, found: Found) {
        let topic = shown(topic);
        match found {
            Found::Known => {}
            Found::Added => {
                if self.removed.add(&topic) {
                    info!("Removed `{topic}` from Home Assistant: it is no longer configured.");
                }
            }
            Found::Full => self.kept.count(),
        }
        self.plan();
    }

    pub(super) fn owned_by_others(&mut self, ownership: &Ownership, runs_as: RunsAs) {
        let is_new = match ownership {
            Ownership::Ours | Ownership::Other => return,
            Ownership::Moved { from } => self.moved.add(from),
            Ownership::Taken { by } => self.taken.add(by),
        };
        if is_new && let Some(advice) = ownership.advice(runs_as) {
            warn!("{advice}");
        }
        self.plan();
    }

    /// Logs how many messages were not logged.
    pub(super) fn log_counts(&mut self, runs_as: RunsAs) {
        self.counts.done();
        if let Some(count) = self.removed.take_beyond() {
            info!(
                "Removed {count} more entities from Home Assistant: they are no longer configured."
            );
        }
        if let Some(count) = self.kept.take_beyond() {
            let fix = match runs_as {
                RunsAs::Program => {
                    "Restart kamstrup2mqtt, or run `kamstrup2mqtt forget`, to remove"
                }
                RunsAs::AddOn => "Restart the app to remove",
            };
            warn!(
                "{count} more messages on the broker look like entities that kamstrup2mqtt has \
                 announced earlier. At most {FOUND_AT_MOST} are removed in one run, and fewer if \
                 their topics are very long. {fix} more. \
                 Check which program publishes them."
            );
        }
        for (reports, what) in [
            (&mut self.moved, "announcements of this meter's entities under other topics"),
            (&mut self.taken, "announcements of others that use the ids of this meter's entities"),
            (&mut self.ignored, "ignored messages"),
        ] {
            if let Some(count) = reports.take_beyond() {
                warn!(
                    "The broker has sent {count} more {what}. Only the first {MOST_REPORTED} are \
                     logged. Check which program publishes them."
                );
            }
        }
    }
}

/// When counts are logged.
#[derive(Debug, Default)]
pub(super) struct CountSchedule {
    due: Option<Instant>,
    last: Option<Instant>,
}

impl CountSchedule {
    /// Something is to be counted.
    pub(super) fn plan(&mut self) {
        let now = Instant::now();
        let first = now + FIRST_COUNT;
        let at = self.last.map_or(first, |last| first.max(last + NEXT_COUNT));
        self.due.get_or_insert(at);
    }

    /// When the next counts are due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The counts are logged now.
    pub(super) fn done(&mut self) {
        self.due = None;
        self.last = Some(Instant::now());
    }
}

/// A topic as the log shows it. Anybody may have chosen it, up to 64 KiB.
pub(super) fn shown(topic: &str) -> String {
    match topic.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", topic.get(..end).unwrap_or_default()),
        None => topic.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_reported_once_and_those_beyond_twenty_are_counted() {
        let mut reports = Reports::default();
        let reported = (0..1000).filter(|number| reports.add(&number.to_string())).count();
        assert_eq!((reported, reports.len()), (20, 20));
        assert!(!reports.add("0"));
        assert_eq!(reports.take_beyond(), Some(980));
        assert_eq!(reports.take_beyond(), None);
        assert!(!reports.add("1000"));
        assert_eq!(reports.take_beyond(), Some(1));
    }

    #[test]
    fn a_long_topic_is_shown_in_part() {
        assert_eq!(shown("heat/energy"), "heat/energy");
        assert_eq!(shown(&"å".repeat(200)), "å".repeat(200));
        assert_eq!(shown(&"å".repeat(201)), format!("{}…", "å".repeat(200)));
    }
}
