//! Rules for writing what the meter has logged while nobody looks.
//!
//! A statistic that is spoilt is worse than one that is missing. So the program writes less than the
//! command does:
//!
//! - The log must be proved to show what was read ([`Stored::log_state`]). The meter's clock, or the
//!   time zone here, may be wrong.
//! - The time zone here must be that of Home Assistant, and not UTC. The log has local time.
//! - Before the first hour of Home Assistant, nothing is written until both the log of hours and that
//!   of days are there.
//! - Nor is it written if there is a row without a state, which another program has written, nor if it
//!   was written before and is gone: somebody may have deleted it.
//! - Sums that began again at 0 are not repaired: the user may have corrected them.
//! - Once something was taken back, or that was begun, the entity is left alone
//!   (`JournalFile::is_withdrawn`).

use home_assistant::{
    Counter, Error, Import, Journal as _, JournalFile, Metadata, Prepended, Refusal, Running,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::counters::{LogState, Stored};
use super::stream::Stream;
use logging::LocalTime;
use meter::shown::is_harmless;

/// Why it is not known when the meter made the entries of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ZoneTrouble {
    /// The time zone here is UTC.
    Universal,
    /// That of Home Assistant is another one.
    Differs(Option<String>),
}

impl Stored {
    /// Whether all is there that may be written before the first hour of Home Assistant.
    pub(super) fn can_prepend(&self) -> bool {
        self.logs == [true, true] && self.log_state() == LogState::Fits
    }
}

/// Whether it is the zone of a machine on which nobody has set one. A meter shows local time.
#[must_use]
pub(crate) fn is_universal(zone: &TimeZone) -> bool {
    zone.iana_name().is_none_or(|name| {
        ["UTC", "UCT", "GMT", "Zulu", "Universal"].contains(&name) || name.starts_with("Etc/")
    })
}

/// Whether the zone here is of no use for the meter's log.
pub(super) async fn zone_trouble(
    running: &mut Running<Stream>,
    zone: &TimeZone,
) -> Result<Option<ZoneTrouble>, Error> {
    if is_universal(zone) {
        return Ok(Some(ZoneTrouble::Universal));
    }
    let theirs = running.time_zone().await?;
    let other = theirs.as_deref().and_then(|name| TimeZone::get(name).ok());
    let now = LocalTime::now().timestamp();
    let is_same = other.is_some_and(|other| are_same(zone, &other, now));
    let shown = |name: String| name.chars().filter(|it| is_harmless(*it)).take(40).collect();
    Ok((!is_same).then(|| ZoneTrouble::Differs(theirs.map(shown))))
}

/// Whether two zones had the same time in the last year.
fn are_same(zone: &TimeZone, other: &TimeZone, now: Timestamp) -> bool {
    (0..53).all(|week| {
        let then = now.checked_sub(SignedDuration::from_hours(week * 7 * 24));
        then.is_ok_and(|then| zone.to_offset(then) == other.to_offset(then))
    })
}

/// Whether hours are being written before the first one of Home Assistant, and their sums are not
/// joined yet. That is completed whatever the log says now.
pub(super) fn has_begun(journal: &JournalFile, metadata: &Metadata) -> bool {
    let newest = journal.before(metadata).into_iter().next();
    newest.is_some_and(|noted| !noted.is_done && !noted.is_undone)
}

/// Writes what was before the first hour of Home Assistant, unless a row there is not understood.
pub(super) async fn prepend(
    running: &mut Running<Stream>,
    metadata: &Metadata,
    counter: &Counter,
    journal: &mut JournalFile,
    is_dry: bool,
    done: &mut Prepended,
) -> Result<(), Error> {
    let mut planned = Prepended::default();
    home_assistant::prepend(running, metadata, counter, journal, true, &mut planned).await?;
    let hours = planned.imports.iter().flat_map(Import::rows).map(|row| row.hour);
    if let Some((first, last)) = hours.clone().min().zip(hours.max()) {
        let series = running.series(metadata, first).await?;
        let live = series.rows().next().map_or(last, |row| row.hour.max(last));
        let is_odd = series.has_odd_before(live.next());
        if planned.is_again || is_odd {
            done.refused = Some(if is_odd { Refusal::Odd } else { Refusal::Gone });
            return Ok(());
        }
    }
    if is_dry {
        *done = planned;
        return Ok(());
    }
    home_assistant::prepend(running, metadata, counter, journal, false, done).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_nobody_has_set_is_recognized() {
        for name in ["UTC", "Etc/UTC", "Etc/GMT-1"] {
            assert!(is_universal(&TimeZone::get(name).unwrap()), "{name}");
        }
        assert!(is_universal(&TimeZone::UTC) && is_universal(&TimeZone::unknown()));
        for name in ["Europe/Copenhagen", "Atlantic/Reykjavik"] {
            assert!(!is_universal(&TimeZone::get(name).unwrap()), "{name}");
        }
    }

    #[test]
    fn zones_with_the_same_time_are_the_same() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let zone = |name| TimeZone::get(name).unwrap();
        let same = |one, other| are_same(&zone(one), &zone(other), now);
        assert!(same("Europe/Copenhagen", "Europe/Copenhagen"));
        assert!(same("Europe/Copenhagen", "Europe/Berlin"));
        // The same time in winter only.
        assert!(!same("Europe/Copenhagen", "Africa/Algiers"));
        assert!(!same("Europe/Copenhagen", "Europe/London"));
    }
}
