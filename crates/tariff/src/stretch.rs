//! Readings of an hour or a day, and falls of counters.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

use crate::means::{Counters, Means, Point};
use crate::period::NEAR;

/// The readings of an hour or a day, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The last reading.
    pub last: Point,
    /// The lowest value of each counter.
    pub low: Counters,
    /// The highest value of each counter.
    pub high: Counters,
}

impl Stretch {
    /// The stretch with one reading.
    #[must_use]
    pub fn of(last: Point) -> Self {
        Self { last, low: last.counters, high: last.counters }
    }

    /// Whether no counter fell within it.
    #[must_use]
    pub fn rises(&self) -> bool {
        self.last.counters.follow(&self.high)
    }

    /// Whether no counter fell from it to the next one.
    #[must_use]
    pub fn rises_to(&self, next: &Self) -> bool {
        next.low.follow(&self.last.counters)
    }
}

/// The stretches since a counter fell the last time; all of them if none did. The first of them may
/// contain the fall: then only its last reading is after it. `stretches` must be in order.
#[must_use]
pub fn unbroken(stretches: &[Stretch]) -> &[Stretch] {
    let falls = |index: &usize| {
        let Some(stretch) = stretches.get(*index) else { return false };
        let before = index.checked_sub(1).and_then(|before| stretches.get(before));
        !stretch.rises() || before.is_some_and(|before| !before.rises_to(stretch))
    };
    let last = (0..stretches.len()).rev().find(falls).unwrap_or_default();
    stretches.get(last..).unwrap_or_default()
}

/// The means of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    /// The first moment of the day.
    pub start: Timestamp,
    /// The first moment of the next day.
    pub end: Timestamp,
    /// The mean supply and return temperature, as far as they are known.
    pub supply: Option<Decimal>,
    /// The mean return temperature.
    pub returned: Option<Decimal>,
}

/// The means of each day. Each item has the bounds and the readings of a day, if there are any; the
/// first one only gives the counters at the start of the second. A mean is known if the meter
/// was read within the last hour of the day and of the day before, and no counter fell.
#[must_use]
pub fn daily(days: &[([Timestamp; 2], Option<Stretch>)], steps: &Counters) -> Vec<Daily> {
    let ends_with = |end: &Timestamp, stretch: &Stretch| {
        let away: SignedDuration = end.duration_since(stretch.last.at);
        away.abs() <= NEAR
    };
    let pairs = days.iter().zip(days.iter().skip(1));
    let day = pairs.map(|(([_, before_end], before), ([start, end], own))| {
        let means = before.zip(*own).and_then(|(before, own)| {
            let is_whole = ends_with(before_end, &before) && ends_with(end, &own);
            let is_known = is_whole && own.rises() && before.rises_to(&own);
            is_known.then(|| Means::between(&before.last, &own.last, steps, None))
        });
        let means = means.unwrap_or_default();
        let [supply, returned] = [means.supply, means.returned].map(|mean| Some(mean?.value));
        Daily { start: *start, end: *end, supply, returned }
    });
    day.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(count: i64) -> Counters {
        let count = Decimal::from(count);
        Counters { volume: count, supply: count, returned: count, energy: None }
    }

    fn stretch(hour: i64, [low, high, last]: [i64; 3]) -> Stretch {
        let at = Timestamp::from_second(hour * 3600).unwrap();
        let last = Point { at, counters: counters(last) };
        Stretch { last, low: counters(low), high: counters(high) }
    }

    fn usable(stretches: &[Stretch]) -> Vec<i64> {
        unbroken(stretches).iter().map(|it| it.last.at.as_second() / 3600).collect()
    }

    #[test]
    fn readings_before_a_fall_are_not_used() {
        let rising = [stretch(1, [1, 3, 3]), stretch(2, [3, 5, 5]), stretch(3, [6, 9, 9])];
        assert_eq!(usable(&rising), [1, 2, 3]);
        assert_eq!(usable(&[]), [0_i64; 0]);
        // Between two stretches.
        let [one, two, three] = rising;
        assert_eq!(usable(&[two, three, one]), [1]);
        // Within the second one: its last reading is after the fall.
        let within = [one, stretch(2, [0, 5, 1]), stretch(3, [1, 9, 9])];
        assert_eq!(usable(&within), [2, 3]);
        // A fall of one counter is enough.
        let mut other = two;
        other.low.returned = counters(2).returned;
        assert_eq!(usable(&[one, other, three]), [2, 3]);
        // The energy may be missing, but not fall.
        let mut with_energy = [one, two, three];
        for (it, energy) in with_energy.iter_mut().zip([Some(9), None, Some(8)]) {
            let energy = energy.map(Decimal::from);
            it.last.counters.energy = energy;
            (it.low.energy, it.high.energy) = (energy, energy);
        }
        assert_eq!(usable(&with_energy), [1, 2, 3]);
        let energy = Some(Decimal::from(8));
        with_energy[1].last.counters.energy = energy;
        (with_energy[1].low.energy, with_energy[1].high.energy) = (energy, energy);
        assert_eq!(usable(&with_energy), [2, 3]);
    }

    #[test]
    fn a_day_is_known_if_both_ends_were_read() {
        let bounds =
            |day: i64| [day, day + 1].map(|day| Timestamp::from_second(day * 24 * 3600).unwrap());
        let steps = counters(0);
        let day = |day: i64, last_hour: i64, count: i64| {
            (bounds(day), Some(stretch(day * 24 + last_hour, [count, count, count])))
        };
        let known = |days: &[([Timestamp; 2], Option<Stretch>)]| -> Vec<bool> {
            daily(days, &steps).iter().map(|day| day.returned.is_some()).collect()
        };
        assert_eq!(
            known(&[day(0, 23, 5), day(1, 24, 9), day(2, 22, 11), day(3, 23, 20)]),
            [true, false, false]
        );
        assert_eq!(known(&[day(0, 23, 5), day(1, 23, 4), day(2, 23, 8)]), [false, true]);
        let none = (bounds(1), None);
        assert_eq!(known(&[day(0, 23, 5), none, day(2, 23, 8)]), [false, false]);
    }
}
