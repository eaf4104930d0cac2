//! The time before Home Assistant recorded the counter itself.

use rust_decimal::Decimal;
use thiserror::Error;

use crate::counter::Counter;
use crate::hour::Hour;
use crate::series::{Changed, Import, Row, Series, same};

/// What to write before the first hour that Home Assistant recorded itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The first hour that Home Assistant recorded itself. Store it before the import: the
    /// adjustment needs it, also after a crash.
    pub first_live: Hour,
    /// The rows to write. `None` if Home Assistant has all of them.
    pub import: Option<Import>,
    /// What the sums from the first live hour on are raised by, once the rows are written.
    pub raise: Decimal,
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
    /// The meter has not been read since the first row, so the row may be of another meter.
    #[error("the meter was not read after the first hour of Home Assistant")]
    Unknown,
    /// The first row has more than the counter showed later, so it is of another meter.
    #[error("the first row of Home Assistant has {live}, and the counter showed {after} after it")]
    OtherMeter {
        /// The state of the first row.
        live: Decimal,
        /// What the counter showed then, or later.
        after: Decimal,
    },
    /// Somebody has raised the sums.
    #[error("the first sum of Home Assistant is higher than what the meter counted until then")]
    Raised,
    /// Somebody has changed sums that were joined.
    #[error("somebody has changed sums that an earlier run had joined")]
    Adjusted,
    /// The series is not the one into which an earlier run has written.
    #[error(
        "Home Assistant has other numbers in the hours at which an earlier run had joined sums"
    )]
    Replaced,
    /// Rows that an earlier run has written do not exist any more.
    #[error("Home Assistant no longer has the hours that an earlier run has written")]
    Gone,
    /// Another program has written a row.
    #[error("another program has written a row there without a state")]
    Odd,
    /// A number is too large to compute with.
    #[error("a number is too large to compute with")]
    TooLarge,
}

/// Plans the import of what the counter showed before the first hour that Home Assistant recorded
/// itself.
///
/// `first_live` is that hour, if an import was begun before and not completed. Rows that were
/// imported then stay as they are, and no row is written before the oldest of them. Once it is
/// completed, [`between`] plans the hours between its rows. Older ones are planned as if its oldest
/// row were the first that Home Assistant recorded itself.
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
    if let Some((_, last)) = known.last() {
        is_of_meter(live, *last, counter)?;
    }
    // The oldest row has the sum 0.
    let shift = match (oldest, known.first()) {
        (Some(oldest), _) => oldest.shift(),
        (None, Some((_, value))) => Decimal::ZERO.checked_sub(*value),
        (None, None) => {
            return Ok(Before { first_live: live.hour, import: None, raise: Decimal::ZERO });
        }
    };
    let shift = shift.ok_or(Refusal::TooLarge)?;
    let raise = live.shift().and_then(|live| shift.checked_sub(live)).ok_or(Refusal::TooLarge)?;
    if raise < Decimal::ZERO && !same(raise, Decimal::ZERO) {
        return Err(Refusal::Raised);
    }
    let oldest = oldest.map(|row| row.hour);
    let known = known.into_iter().filter(|(hour, _)| oldest.is_none_or(|oldest| oldest <= *hour));
    let import = missing(series, known, shift)?;
    Ok(Before { first_live: live.hour, import, raise })
}

/// Plans the hours between the oldest row and `end`, which earlier imports have joined. They are
/// known by now, and no row of them was written yet.
pub fn between(series: &Series, end: Hour, counter: &Counter) -> Result<Option<Import>, Refusal> {
    let until_end = || series.rows().filter(|row| row.hour <= end);
    let (Some(oldest), Some(live)) = (until_end().next(), until_end().next_back()) else {
        return Ok(None);
    };
    let shift = oldest.shift().ok_or(Refusal::TooLarge)?;
    if !until_end().all(|row| row.shift().is_some_and(|other| same(other, shift))) {
        return Err(Refusal::Adjusted);
    }
    let known: Vec<_> = counter.before(live.hour).collect();
    if let Some((_, last)) = known.last() {
        is_of_meter(live, *last, counter)?;
    }
    missing(series, known.into_iter().filter(|(hour, _)| oldest.hour < *hour), shift)
}

/// The rows of these hours that Home Assistant does not have. The entry of a day may have been made an
/// hour later than it counts, so one that does not lie between its neighbours is left out.
fn missing(
    series: &Series,
    known: impl IntoIterator<Item = (Hour, Decimal)>,
    shift: Decimal,
) -> Result<Option<Import>, Refusal> {
    let mut rows = Vec::new();
    for (hour, state) in known {
        let is_at_most = |a: Decimal, b: Decimal| a <= b || same(a, b);
        let fits = series.last_before(hour).is_none_or(|row| is_at_most(row.state, state))
            && series.first_from(hour).is_none_or(|row| is_at_most(state, row.state));
        if series.row(hour).is_none() && !series.is_odd(hour) && fits {
            let sum = state.checked_add(shift).ok_or(Refusal::TooLarge)?;
            rows.push(Row { hour, state, sum });
        }
    }
    Ok(Import::new(rows, series))
}

/// Whether the first row lies between what the counter showed before and after it.
fn is_of_meter(live: &Row, before: Decimal, counter: &Counter) -> Result<(), Refusal> {
    let is_more = |a: Decimal, b: Decimal| a > b && !same(a, b);
    if is_more(before, live.state) {
        return Err(Refusal::Fell { before, live: live.state });
    }
    match counter.from(live.hour) {
        None => Err(Refusal::Unknown),
        Some(after) if is_more(live.state, after) => {
            Err(Refusal::OtherMeter { live: live.state, after })
        }
        Some(_) => Ok(()),
    }
}

/// A change of all sums from an hour on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustment {
    /// The first row whose sum changes, as it is now.
    first: Row,
    by: Decimal,
    /// Its sum afterwards.
    sum: Decimal,
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
        let adjustment = Self::between(before, after)?;
        if adjustment.is_some_and(|it| it.by < Decimal::ZERO) {
            return Err(Refusal::Raised);
        }
        Ok(adjustment)
    }

    /// What joins the sums of two rows. `None` if they are joined.
    pub(crate) fn between(before: &Row, after: &Row) -> Result<Option<Self>, Refusal> {
        let sum = before.shift().and_then(|shift| after.state.checked_add(shift));
        Self::to(after, sum.ok_or(Refusal::TooLarge)?)
    }

    /// What makes this the sum of a row. `None` if it is its sum.
    fn to(row: &Row, sum: Decimal) -> Result<Option<Self>, Refusal> {
        let by = sum.checked_sub(row.sum).ok_or(Refusal::TooLarge)?;
        Ok((!same(by, Decimal::ZERO)).then_some(Self { first: *row, by, sum }))
    }

    /// Whether there are rows on both sides of this hour, and the sums are joined there.
    #[must_use]
    pub fn is_superfluous(series: &Series, from: Hour) -> bool {
        let has_both = series.row(from).is_some() && series.last_before(from).is_some();
        has_both && Self::at(series, from) == Ok(None)
    }

    /// The first hour whose sum changes.
    #[must_use]
    pub fn from(&self) -> Hour {
        self.first.hour
    }

    /// What is added to the sums.
    #[must_use]
    pub fn by(&self) -> Decimal {
        self.by
    }

    /// The first row whose sum changes, as it is before.
    #[must_use]
    pub fn first(&self) -> &Row {
        &self.first
    }

    /// Whether these rows are as they were when this was computed.
    #[must_use]
    pub fn is_due(&self, found: &[Row]) -> bool {
        found.iter().any(|row| row.same(&self.first))
    }

    /// Whether the sums of these rows are adjusted.
    #[must_use]
    pub fn is_in(&self, found: &[Row]) -> bool {
        let after = Row { sum: self.sum, ..self.first };
        found.iter().any(|row| row.same(&after))
    }
}

/// A place where sums were joined by an [`Adjustment`], or are about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    /// The oldest row that is written before it. `None` if none is: only the sums are joined.
    pub oldest: Option<Row>,
    /// The first row of Home Assistant after it, as it was.
    pub live: Row,
    /// What its sum was to be raised by.
    pub by: Decimal,
}

/// Takes back what was written before a [`Joint`], and its adjustment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    hours: Vec<Hour>,
    adjustment: Option<Adjustment>,
}

impl Removal {
    /// Plans it from rows that were read back, so that it can be planned again after a crash.
    pub fn plan(series: &Series, joint: &Joint) -> Result<Self, Changed> {
        let Joint { oldest, live, by } = joint;
        let changed = Changed(live.hour);
        let now = series.row(live.hour).filter(|now| same(now.state, live.state)).ok_or(changed)?;
        let mut hours = Vec::new();
        if let Some(oldest) = oldest {
            let shift = oldest.shift().ok_or(changed)?;
            for row in series.rows().filter(|row| row.hour < live.hour) {
                let is_ours =
                    row.hour >= oldest.hour && row.shift().is_some_and(|found| same(found, shift));
                if !is_ours {
                    return Err(Changed(row.hour));
                }
                hours.push(row.hour);
            }
        }
        let raised = live.sum.checked_add(*by).ok_or(changed)?;
        if !same(now.sum, live.sum) && !same(now.sum, raised) {
            return Err(changed);
        }
        let adjustment = Adjustment::to(now, live.sum).map_err(|_| changed)?;
        Ok(Self { hours, adjustment })
    }

    /// The hours whose rows get the sum 0 and no state, so that they make no bar. Home Assistant
    /// cannot delete them in all versions.
    #[must_use]
    pub fn hours(&self) -> &[Hour] {
        &self.hours
    }

    /// What is adjusted after that.
    #[must_use]
    pub fn adjustment(&self) -> Option<Adjustment> {
        self.adjustment
    }
}
