//! The time before Home Assistant recorded the counter itself.

use rust_decimal::Decimal;
use thiserror::Error;

use crate::counter::Counter;
use crate::hour::Hour;
use crate::series::{Import, Row, Series, same};

/// What to write before the first hour that Home Assistant recorded itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The first hour that Home Assistant recorded itself. Store it before the import: the
    /// adjustment needs it, also after a crash.
    pub first_live: Hour,
    /// The rows to write. `None` if Home Assistant has all of them.
    pub import: Option<Import>,
}

/// Why nothing is written before the first hour that Home Assistant recorded itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Home Assistant has no row yet.
    #[error("Home Assistant has no statistics of this entity yet")]
    NoRow,
    /// The counter showed more before than in the first row of Home Assistant.
    #[error("the counter showed {before} before, and {live} in the first row of Home Assistant")]
    Fell {
        /// What the counter showed before.
        before: Decimal,
        /// The state of the first row.
        live: Decimal,
    },
    /// A number is too large to compute with.
    #[error("a number is too large to compute with")]
    TooLarge,
}

/// Plans the import of what the counter showed before the first hour that Home Assistant recorded
/// itself.
///
/// `first_live` is that hour, if an import was begun before. Rows that were imported then stay as
/// they are, and no row is written before the oldest of them.
pub fn before(
    series: &Series,
    first_live: Option<Hour>,
    counter: &Counter,
) -> Result<Before, Refusal> {
    let live = match first_live {
        Some(hour) => series.rows().find(|row| row.hour >= hour),
        None => series.rows().next(),
    };
    let live = live.ok_or(Refusal::NoRow)?;
    let oldest = series.rows().find(|row| row.hour < live.hour);
    let known: Vec<_> = counter.before(live.hour).collect();
    if let Some((_, last)) = known.last()
        && *last > live.state
        && !same(*last, live.state)
    {
        return Err(Refusal::Fell { before: *last, live: live.state });
    }
    // The oldest row has the sum 0.
    let shift = match (oldest, known.first()) {
        (Some(oldest), _) => oldest.shift(),
        (None, Some((_, value))) => Decimal::ZERO.checked_sub(*value),
        (None, None) => Some(Decimal::ZERO),
    };
    let shift = shift.ok_or(Refusal::TooLarge)?;
    let mut rows = Vec::new();
    for (hour, state) in known {
        let is_wanted = oldest.is_none_or(|oldest| hour > oldest.hour);
        if is_wanted && series.row(hour).is_none() {
            let sum = state.checked_add(shift).ok_or(Refusal::TooLarge)?;
            rows.push(Row { hour, state, sum });
        }
    }
    Ok(Before { first_live: live.hour, import: Import::new(rows, series) })
}

/// A change of all sums from an hour on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustment {
    from: Hour,
    by: Decimal,
}

impl Adjustment {
    /// What joins the sums before and after this hour, from rows that were read back after an
    /// import. `None` if they are joined, or if there are no rows on both sides.
    ///
    /// The counter must be of the same meter on both sides.
    pub fn at(series: &Series, from: Hour) -> Result<Option<Self>, Refusal> {
        let after = series.rows().find(|row| row.hour >= from);
        let (Some(before), Some(after)) = (series.last_before(from), after) else {
            return Ok(None);
        };
        if after.state < before.state && !same(after.state, before.state) {
            return Err(Refusal::Fell { before: before.state, live: after.state });
        }
        Self::between(before, after)
    }

    /// What joins the sums of two rows. `None` if they are joined.
    pub(crate) fn between(before: &Row, after: &Row) -> Result<Option<Self>, Refusal> {
        let shifts = before.shift().zip(after.shift());
        let by = shifts.and_then(|(before, after)| before.checked_sub(after));
        let by = by.ok_or(Refusal::TooLarge)?;
        let is_needed = !same(by, Decimal::ZERO);
        Ok(is_needed.then_some(Self { from: after.hour, by }))
    }

    /// The first hour whose sum changes.
    #[must_use]
    pub fn from(&self) -> Hour {
        self.from
    }

    /// What is added to the sums.
    #[must_use]
    pub fn by(&self) -> Decimal {
        self.by
    }
}
