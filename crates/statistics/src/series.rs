//! The rows of Home Assistant.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::hour::{Compiled, Hour};

/// Home Assistant computes with binary numbers. Values that differ by less are the same.
const SAME: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// Whether two values are the same.
pub(crate) fn same(a: Decimal, b: Decimal) -> bool {
    a.checked_sub(b).is_some_and(|difference| difference.abs() < SAME)
}

/// A row of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The hour.
    pub hour: Hour,
    /// What the counter showed at the end of the hour.
    pub state: Decimal,
    /// What was counted from the beginning of the statistics to the end of the hour.
    pub sum: Decimal,
}

impl Row {
    /// The difference of sum and state. `None` if the numbers are too large.
    pub(crate) fn shift(&self) -> Option<Decimal> {
        self.sum.checked_sub(self.state)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.hour == other.hour && same(self.state, other.state) && same(self.sum, other.sum)
    }
}

/// The rows that Home Assistant has of an entity, as far as it has compiled them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    rows: BTreeMap<Hour, Row>,
    /// Hours with a row that lacks a state or a sum: somebody else has written it.
    odd: BTreeSet<Hour>,
}

impl Series {
    /// Takes the rows that were read from Home Assistant, in the unit of its statistics. A row
    /// without a state or a sum must be left out: see [`Self::with_odd`].
    pub fn new(rows: impl IntoIterator<Item = Row>, compiled: Compiled) -> Self {
        let rows = rows.into_iter().filter(|row| compiled.has(row.hour));
        Self { rows: rows.map(|row| (row.hour, row)).collect(), odd: BTreeSet::new() }
    }

    /// Adds the hours whose row lacks a state or a sum. They are never written.
    #[must_use]
    pub fn with_odd(self, hours: impl IntoIterator<Item = Hour>) -> Self {
        Self { odd: hours.into_iter().collect(), ..self }
    }

    pub(crate) fn is_odd(&self, hour: Hour) -> bool {
        self.odd.contains(&hour)
    }

    /// Whether a row before this hour lacks a state or a sum.
    #[must_use]
    pub fn has_odd_before(&self, hour: Hour) -> bool {
        self.odd.range(..hour).next().is_some()
    }

    /// Its rows, oldest first.
    #[must_use]
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.values()
    }

    pub(crate) fn row(&self, hour: Hour) -> Option<&Row> {
        self.rows.get(&hour)
    }

    /// The first row of this hour or after it.
    pub(crate) fn first_from(&self, hour: Hour) -> Option<&Row> {
        self.rows.range(hour..).next().map(|(_, row)| row)
    }

    /// Whether its row of the same hour has this state.
    #[must_use]
    pub fn has_state_of(&self, row: &Row) -> bool {
        self.row(row.hour).is_some_and(|found| same(found.state, row.state))
    }

    /// The last row before this hour.
    pub(crate) fn last_before(&self, hour: Hour) -> Option<&Row> {
        self.rows.range(..hour).next_back().map(|(_, row)| row)
    }
}

/// The row of this hour is no longer the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed(pub Hour);

/// Rows to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    rows: Vec<Row>,
    replaced: Vec<Row>,
}

impl Import {
    /// The most rows of a gap. They are half a MiB in one message. Home Assistant closes the
    /// connection at 4 MiB.
    pub const MOST: usize = 5_000;

    /// `None` if there is nothing to write. All rows must be of hours that are compiled.
    pub(crate) fn new(rows: Vec<Row>, series: &Series) -> Option<Self> {
        let replaced = rows.iter().filter_map(|row| series.row(row.hour)).copied().collect();
        (!rows.is_empty()).then_some(Self { rows, replaced })
    }

    /// Takes back rows that were written. Those that were `replaced` become what they were. The
    /// others repeat the row before, because Home Assistant cannot delete a row in all versions.
    /// `None` if that is done already.
    pub fn undo(
        series: &Series,
        written: &[Row],
        replaced: &[Row],
    ) -> Result<Option<Self>, Changed> {
        let mut before = written.first().and_then(|first| series.last_before(first.hour)).copied();
        let mut rows = Vec::new();
        for row in written {
            // An hour that is not compiled is not in the series, so it is never written.
            let now = series.row(row.hour).ok_or(Changed(row.hour))?;
            let old = replaced.iter().find(|old| old.hour == row.hour).copied();
            // Without a row before, it would be the oldest: it was not.
            let before_it = before.filter(|before| before.hour < row.hour);
            let repeated = before_it.map(|before| Row { hour: row.hour, ..before });
            let wanted = old.or(repeated).ok_or(Changed(row.hour))?;
            if !now.same(&wanted) {
                if !now.same(row) {
                    return Err(Changed(row.hour));
                }
                rows.push(wanted);
            }
            before = Some(wanted);
        }
        Ok(Self::new(rows, series))
    }

    /// Whether all its rows are among these.
    #[must_use]
    pub fn is_in(&self, found: &[Row]) -> bool {
        self.rows.iter().all(|row| found.iter().any(|found| found.same(row)))
    }

    /// Its rows in parts of at most this many, oldest first. Only for rows outside of gaps: those of
    /// a gap must be written in one call.
    pub fn parts(&self, most: usize) -> impl Iterator<Item = Self> {
        let part = |rows: &[Row]| {
            let is_in = |row: &&Row| rows.iter().any(|written| written.hour == row.hour);
            let replaced = self.replaced.iter().filter(is_in).copied().collect();
            Self { rows: rows.to_vec(), replaced }
        };
        self.rows.chunks(most.max(1)).map(part)
    }

    /// The rows, oldest first.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows that Home Assistant has of the same hours now. To undo the import, they are written
    /// back.
    #[must_use]
    pub fn replaced(&self) -> &[Row] {
        &self.replaced
    }
}
