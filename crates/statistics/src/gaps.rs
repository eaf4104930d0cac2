//! Gaps: hours without a row, or with the row of the hour before.

use rust_decimal::Decimal;

use crate::before::Adjustment;
use crate::counter::Counter;
use crate::hour::Hour;
use crate::series::{Import, Row, Series, same};

/// What to do about a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Write these rows, all in one call.
    Fill(Import),
    /// The sum began again at 0. Adjust it, read the rows back, and plan again; or leave it.
    Repair(Adjustment, Left),
    /// Nothing.
    Leave(Left),
}

/// A gap that is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its first hour.
    pub first: Hour,
    /// Its last hour.
    pub last: Hour,
    /// Why.
    pub reason: Reason,
}

/// Why a gap is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// What the counter showed at the end of this hour is not known.
    Unknown(Hour),
    /// The counter did not continue: Home Assistant's rows, or the counter, fell.
    Fell,
    /// The sums before and after do not belong together.
    Broken,
    /// A row of it lacks a state or a sum, so another program has written it.
    Odd,
    /// A number is too large to compute with.
    TooLarge,
    /// It has more hours than can be written in one call.
    TooLong,
}

/// The shortest time, in hours, for which Home Assistant can keep states (`purge_keep_days: 1`).
const SHORTEST_PURGE: usize = 24;

/// Finds the gaps between the first and the last row, oldest first. A gap without an hour whose
/// counter is known is left out.
#[must_use]
pub fn gaps(series: &Series, counter: &Counter) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut left: Option<&Row> = None;
    let mut repeated = Vec::new();
    for row in series.rows() {
        let Some(before) = left else {
            left = Some(row);
            continue;
        };
        let is_repeated = same(before.state, row.state) && same(before.sum, row.sum);
        let ends_gap = series.row(row.hour.previous()).is_none() && fits(counter, row);
        if is_repeated && !ends_gap {
            repeated.push(row);
            continue;
        }
        let run = Run { before, after: row, repeated: std::mem::take(&mut repeated) };
        gaps.extend(run.plan(series, counter));
        left = Some(row);
    }
    gaps
}

/// The first row after the newest gap since an hour that has hours whose counter is not known.
/// `None` if all are known.
#[must_use]
pub fn uncovered(series: &Series, counter: &Counter, since: Hour) -> Option<Hour> {
    let mut newest = None;
    let mut left: Option<&Row> = None;
    for row in series.rows().filter(|row| row.hour >= since) {
        // Nothing was counted, or the row repeats the one before.
        if left.is_some_and(|before| row.state <= before.state) {
            continue;
        }
        if let Some(before) = left.replace(row) {
            let mut hours = before.hour.next().until(row.hour);
            if hours.any(|hour| counter.at_end_of(hour).is_none()) {
                newest = Some(row.hour);
            }
        }
    }
    newest
}

/// Whether Home Assistant may have recorded this row of the counter.
///
/// The reading of the full hour reaches it a moment after the hour, so the row has the reading
/// before. That is at least the one of the full hour before.
fn fits(counter: &Counter, row: &Row) -> bool {
    let at = |hour| counter.at_end_of(hour);
    let is_at_most = at(row.hour).is_some_and(|end| !is_more(row.state, end));
    let start = at(row.hour.previous()).or_else(|| at(row.hour));
    is_at_most && start.is_some_and(|start| !is_more(start, row.state))
}

/// Whether Home Assistant has missed readings: the counter showed more at the start of the hour
/// than the row has.
fn has_missed(counter: &Counter, row: &Row) -> bool {
    let start = counter.at_end_of(row.hour.previous());
    start.is_some_and(|start| is_more(start, row.state))
}

fn is_more(a: Decimal, b: Decimal) -> bool {
    a > b && !same(a, b)
}

/// Whether the counter showed more at the end of the hour than the row says.
fn has_more(counter: &Counter, row: &Row) -> bool {
    let shown = counter.at_end_of(row.hour);
    shown.is_some_and(|shown| is_more(shown, row.state))
}

/// What lies between two rows.
struct Run<'a> {
    before: &'a Row,
    after: &'a Row,
    /// Rows that only repeat the one before: a gap, or a time without heating.
    repeated: Vec<&'a Row>,
}

impl Run<'_> {
    fn plan(&self, series: &Series, counter: &Counter) -> Option<Gap> {
        let hours = self.before.hour.next().until(self.after.hour);
        let known: Vec<_> =
            hours.filter_map(|hour| Some((hour, counter.at_end_of(hour)?))).collect();
        let is_missing = |(hour, _): &(Hour, _)| series.row(*hour).is_none();
        let is_gap = known.iter().any(is_missing)
            || self.repeated.iter().any(|row| has_missed(counter, row));
        let is_without_rows = self.before.hour.next() < self.after.hour && self.repeated.is_empty();
        if !is_gap && !is_without_rows {
            return None;
        }
        let (Some(shift), Some(after)) = (self.before.shift(), self.after.shift()) else {
            return Some(self.leave(Reason::TooLarge));
        };
        if !same(shift, after) {
            return Some(self.repair(counter));
        }
        if !is_gap {
            return None;
        }
        if self.before.hour.next().until(self.after.hour).any(|hour| series.is_odd(hour)) {
            return Some(self.leave(Reason::Odd));
        }
        // One repeated row after rows that were filled would be a negative bar.
        let is_unknown = |row: &&&Row| counter.at_end_of(row.hour).is_none();
        if let Some(row) = self.repeated.iter().find(is_unknown) {
            return Some(self.leave(Reason::Unknown(row.hour)));
        }
        let known = self.with_edge(known, counter);
        if !self.rises(&known) {
            return Some(self.leave(Reason::Fell));
        }
        let row = |(hour, state): (Hour, Decimal)| {
            Some(Row { hour, state, sum: state.checked_add(shift)? })
        };
        let Some(mut rows) = known.into_iter().map(row).collect::<Option<Vec<_>>>() else {
            return Some(self.leave(Reason::TooLarge));
        };
        rows.retain(|row| series.row(row.hour).is_none_or(|old| !old.same(row)));
        if rows.len() > Import::MOST {
            return Some(self.leave(Reason::TooLong));
        }
        Import::new(rows, series).map(Gap::Fill)
    }

    /// Adds the last hour before the gap if it was counted only in part.
    fn with_edge(
        &self,
        mut known: Vec<(Hour, Decimal)>,
        counter: &Counter,
    ) -> Vec<(Hour, Decimal)> {
        if has_more(counter, self.before)
            && let Some(state) = counter.at_end_of(self.before.hour)
        {
            known.insert(0, (self.before.hour, state));
        }
        known
    }

    /// Whether the counter rises from the row before to the row after.
    fn rises(&self, known: &[(Hour, Decimal)]) -> bool {
        let states = known.iter().map(|(_, state)| *state);
        let states: Vec<_> =
            [self.before.state].into_iter().chain(states).chain([self.after.state]).collect();
        states.iter().zip(states.iter().skip(1)).all(|(a, b)| a <= b || same(*a, *b))
    }

    /// The sum restarts if the entity was unavailable for longer than Home Assistant keeps states.
    /// If the meter was exchanged, it restarts too: then nothing is changed. A sum may also differ
    /// because the user has corrected it: then it belongs to the user.
    fn repair(&self, counter: &Counter) -> Gap {
        let shown = counter.at_end_of(self.after.hour);
        if !self.rises(&[]) || shown.is_some_and(|shown| is_more(self.after.state, shown)) {
            return self.leave(Reason::Fell);
        }
        // Another meter's log may reach back, too, but it does not show what was recorded then.
        let is_one_counter = counter.may_have_shown(self.before) && fits(counter, self.after);
        if !is_one_counter || self.missing() < SHORTEST_PURGE {
            return self.leave(Reason::Broken);
        }
        match Adjustment::between(self.before, self.after) {
            Err(_) => self.leave(Reason::TooLarge),
            Ok(Some(adjustment)) if adjustment.by() > Decimal::ZERO => {
                Gap::Repair(adjustment, self.left(Reason::Broken))
            }
            Ok(_) => self.leave(Reason::Broken),
        }
    }

    /// The number of hours without a row just before the last row.
    fn missing(&self) -> usize {
        let last = self.repeated.last().map_or(self.before.hour, |row| row.hour);
        last.next().until(self.after.hour).count()
    }

    fn leave(&self, reason: Reason) -> Gap {
        Gap::Leave(self.left(reason))
    }

    fn left(&self, reason: Reason) -> Left {
        Left { first: self.before.hour.next(), last: self.after.hour.previous(), reason }
    }
}
