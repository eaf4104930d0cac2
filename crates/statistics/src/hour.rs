//! The hours of the statistics.

use jiff::{SignedDuration, Timestamp};

/// A whole hour of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

const SECONDS: i64 = 3600;

impl Hour {
    /// The hour that begins at this time. `None` if no hour begins then.
    #[must_use]
    pub fn beginning(at: Timestamp) -> Option<Self> {
        let hour = Self::with(at);
        (hour.start() == at).then_some(hour)
    }

    /// The hour that contains this time.
    #[must_use]
    pub fn with(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(SECONDS))
    }

    /// When the hour begins.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(self.0.saturating_mul(SECONDS)).unwrap_or(Timestamp::MIN)
    }

    /// The hour after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The hour before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The hour that is this many hours before.
    #[must_use]
    pub fn earlier(self, hours: i64) -> Self {
        Self(self.0.saturating_sub(hours))
    }

    #[cfg(test)]
    pub(crate) const fn numbered(number: i64) -> Self {
        Self(number)
    }

    /// The hours from this one up to `end`, without `end`.
    pub(crate) fn until(self, end: Self) -> impl Iterator<Item = Self> {
        (self.0..end.0).map(Self)
    }
}

/// The hours that Home Assistant has compiled.
///
/// It compiles an hour 10 s after its end. A row that is written before makes this compilation fail
/// for all entities, and a restart does not repair that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compiled {
    /// The first hour that is not.
    end: Hour,
}

/// How long after its end an hour is certain to be compiled.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

impl Compiled {
    /// The hours that are compiled at this time of Home Assistant's clock.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { end: Hour::with(now.checked_sub(MARGIN).unwrap_or(Timestamp::MIN)) }
    }

    /// Whether this hour is compiled.
    #[must_use]
    pub fn has(self, hour: Hour) -> bool {
        hour < self.end
    }

    /// When this hour is compiled.
    #[must_use]
    pub fn when(hour: Hour) -> Timestamp {
        hour.next().start().checked_add(MARGIN).unwrap_or(Timestamp::MAX)
    }
}
