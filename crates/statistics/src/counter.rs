//! What the meter showed.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::hour::Hour;
use crate::series::{Row, same};

/// In so many hours, the resolution of the counter may hide that two sources differ.
const FEW: usize = 6;

/// In so many hours in which something was counted, it does not.
const ENOUGH: usize = 24;

/// Whether another source is certain to show what a counter showed ([`Counter::proof`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is.
    Proved,
    /// It shows something else.
    Differs,
    /// Something was counted in too few of the hours that both have.
    TooFew,
}

/// What one counter of one meter showed at full hours, since it last fell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counter {
    /// By the hour that ended then.
    at_end: BTreeMap<Hour, Decimal>,
    /// The same for the last hours of days, before all of `at_end`. In summer, the meter makes its
    /// entry of a day an hour later.
    days: BTreeMap<Hour, Decimal>,
}

impl Counter {
    /// Takes readings, each with the hour that *began* when it was made. They must be of the same
    /// meter, in the unit of Home Assistant's statistics. Of two readings at the same time, the last
    /// counts. Readings before a fall are left out.
    pub fn new(readings: impl IntoIterator<Item = (Hour, Decimal)>) -> Self {
        Self { at_end: since_the_last_fall(readings), days: BTreeMap::new() }
    }

    /// Whether another source, such as the meter's log of hours, shows the same at the same hours.
    ///
    /// The clock of the meter, or the time zone here, may be wrong. Then the log has the counter of
    /// another time. A reading may be some minutes older than the full hour, so both may differ by
    /// less than half of what is counted in an hour. If there are few hours in both, or nothing was
    /// counted, they agree.
    #[must_use]
    pub fn agrees_with(&self, readings: &[(Hour, Decimal)]) -> bool {
        let other = since_the_last_fall(readings.iter().copied());
        let (mut apart, mut counted, mut hours) = (Decimal::ZERO, Decimal::ZERO, 0_usize);
        for (hour, value) in other {
            let (ours, next) = (self.at_end.get(&hour), self.at_end.get(&hour.next()));
            let Some((ours, next)) = ours.zip(next).filter(|(ours, next)| ours < next) else {
                continue;
            };
            let sums = (value.checked_sub(*ours).and_then(|by| apart.checked_add(by.abs())))
                .zip(next.checked_sub(*ours).and_then(|by| counted.checked_add(by)));
            let Some(sums) = sums else { return false };
            (apart, counted) = sums;
            hours = hours.saturating_add(1);
        }
        hours < FEW || apart.checked_add(apart).is_some_and(|twice| twice <= counted)
    }

    /// Whether another source, such as the meter's log of hours, is certain to show the same at the
    /// same hours.
    ///
    /// Nobody looks at what is written then, so this asks for more than [`Self::agrees_with`]. A
    /// source that is late by an hour shows the same as long as nothing was counted in the hour
    /// before, and one that is early in the hour after. So both hours are compared: what lies between
    /// the sources must be less than a quarter of what was counted in either. That is the most if
    /// they differ by 15 minutes. It must be so in each part with enough hours to be certain, because
    /// a clock that is set today says nothing about the entries of last month.
    #[must_use]
    pub fn proof(&self, readings: &[(Hour, Decimal)]) -> Proof {
        let other = since_the_last_fall(readings.iter().copied());
        let (mut part, mut last) = (Part::default(), None::<Part>);
        for (hour, value) in other.iter().rev() {
            let at = |hour| self.at_end.get(&hour).copied();
            let known = (at(hour.previous()), at(*hour), at(hour.next()));
            let (Some(before), Some(now), Some(after)) = known else { continue };
            if part.add(*value, before, now, after).is_none() {
                return Proof::Differs;
            }
            if !part.is_enough() {
                continue;
            }
            if !part.fits() {
                return Proof::Differs;
            }
            last = Some(std::mem::take(&mut part));
        }
        let Some(last) = last else { return Proof::TooFew };
        // The oldest hours are nearest to those that only the other source has.
        let fits = part.may_fit() && last.with(&part).is_some_and(|both| both.fits());
        if fits { Proof::Proved } else { Proof::Differs }
    }

    /// Adds readings from another source, such as the meter's log of hours. Those that contradict
    /// the readings that are there already are left out.
    #[must_use]
    pub fn with_more(mut self, readings: impl IntoIterator<Item = (Hour, Decimal)>) -> Self {
        for (hour, value) in since_the_last_fall(readings) {
            let before = self.at_end.range(..=hour).next_back();
            let after = self.at_end.range(hour..).next();
            let is_known = before.is_some_and(|(known, _)| *known == hour);
            let fits = before.is_none_or(|(_, before)| *before <= value)
                && after.is_none_or(|(_, after)| value <= *after);
            if fits && !is_known {
                self.at_end.insert(hour, value);
            }
        }
        self
    }

    /// Adds readings at the ends of days, as far as they are older than all others. Each has the
    /// hour that begins at midnight.
    #[must_use]
    pub fn with_days(mut self, readings: impl IntoIterator<Item = (Hour, Decimal)>) -> Self {
        let first = self.at_end.first_key_value().map(|(hour, value)| (*hour, *value));
        let is_older = |(hour, value): &(Hour, Decimal)| {
            first.is_none_or(|(first, lowest)| *hour < first && *value <= lowest)
        };
        let days = since_the_last_fall(readings).into_iter().filter(is_older);
        self.days = days.collect();
        self
    }

    /// What it showed at the end of this hour. The ends of days are left out.
    #[must_use]
    pub fn at_end_of(&self, hour: Hour) -> Option<Decimal> {
        self.at_end.get(&hour).copied()
    }

    /// The first hour at whose end it was read. The ends of days are left out.
    #[must_use]
    pub fn first(&self) -> Option<Hour> {
        self.at_end.first_key_value().map(|(hour, _)| *hour)
    }

    /// The first hour at whose end it is known.
    #[must_use]
    pub fn oldest(&self) -> Option<Hour> {
        self.days.first_key_value().map(|(hour, _)| *hour).or_else(|| self.first())
    }

    /// The hours at whose end it is known, before `end`, oldest first.
    pub(crate) fn before(&self, end: Hour) -> impl Iterator<Item = (Hour, Decimal)> {
        // In summer, the entry of a day may have been made at the end of the hour after it.
        let days = self.days.range(..end.previous());
        days.chain(self.at_end.range(..end)).map(|(hour, value)| (*hour, *value))
    }

    /// What it showed at the end of this hour, or at the first time after it that is known.
    pub(crate) fn from(&self, hour: Hour) -> Option<Decimal> {
        let first = self.days.range(hour..).chain(self.at_end.range(hour..)).next();
        first.map(|(_, value)| *value)
    }

    /// Whether it may have shown this row's state: it showed at most that at the last time before the
    /// hour that is known, and at least that at the first time after it.
    pub(crate) fn may_have_shown(&self, row: &Row) -> bool {
        let is_at_most = |a: Decimal, b: Decimal| a <= b || same(a, b);
        let earlier = self.days.range(..row.hour).chain(self.at_end.range(..row.hour)).next_back();
        let is_reached = self.from(row.hour).is_some_and(|after| is_at_most(row.state, after));
        is_reached && earlier.is_some_and(|(_, before)| is_at_most(*before, row.state))
    }
}

/// Hours that two sources have.
#[derive(Debug, Default)]
struct Part {
    /// What lies between the sources, in all hours together.
    apart: Decimal,
    /// What was counted in the hours before, and in the hours after.
    counted: [Decimal; 2],
    /// In how many of them something was counted.
    hours: [usize; 2],
}

impl Part {
    /// `None` if a number is too large.
    fn add(&mut self, other: Decimal, before: Decimal, now: Decimal, after: Decimal) -> Option<()> {
        self.apart = other.checked_sub(now).and_then(|by| self.apart.checked_add(by.abs()))?;
        let rises = [now.checked_sub(before)?, after.checked_sub(now)?];
        for ((counted, hours), by) in self.counted.iter_mut().zip(&mut self.hours).zip(rises) {
            *counted = counted.checked_add(by)?;
            *hours = hours.saturating_add(usize::from(by > Decimal::ZERO));
        }
        Some(())
    }

    fn is_enough(&self) -> bool {
        self.hours.iter().all(|hours| *hours >= ENOUGH)
    }

    /// Both together. `None` if a number is too large.
    fn with(&self, other: &Self) -> Option<Self> {
        let apart = self.apart.checked_add(other.apart)?;
        let [before, after] = self.counted;
        let counted = [before.checked_add(other.counted[0])?, after.checked_add(other.counted[1])?];
        let [before, after] = self.hours;
        let hours = [before.saturating_add(other.hours[0]), after.saturating_add(other.hours[1])];
        Some(Self { apart, counted, hours })
    }

    /// Whether it is not certain that the sources differ.
    fn may_fit(&self) -> bool {
        let twice = self.apart.checked_mul(Decimal::TWO);
        let is_in = |most: Decimal| twice.is_some_and(|twice| twice <= most);
        self.hours.iter().any(|hours| *hours < FEW) || self.counted.into_iter().all(is_in)
    }

    fn fits(&self) -> bool {
        let four = self.apart.checked_mul(Decimal::from(4));
        four.is_some_and(|four| self.counted.iter().all(|counted| four < *counted))
    }
}

/// By the hour that ended with the reading.
fn since_the_last_fall(
    readings: impl IntoIterator<Item = (Hour, Decimal)>,
) -> BTreeMap<Hour, Decimal> {
    let readings = readings.into_iter().map(|(hour, value)| (hour.previous(), value));
    let mut at_end: BTreeMap<Hour, Decimal> = readings.collect();
    let later = at_end.iter().skip(1);
    let mut fell = at_end.iter().zip(later).filter(|((_, before), (_, after))| after < before);
    let last = fell.next_back().map(|(_, (hour, _))| *hour);
    if let Some(hour) = last {
        at_end = at_end.split_off(&hour);
    }
    at_end
}
