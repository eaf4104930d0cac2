//! Summaries of readings: pure functions on decimals.

use jiff::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::calendar::{Millis, Span, timestamp};

/// A value and the time when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The time when the poll ended.
    pub time: Timestamp,
    /// The value, with the digits that were published.
    pub value: Decimal,
}

/// A summary of the readings of one value in an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The last value: the state of a counter.
    pub last: Point,
    /// The lowest value.
    pub low: Decimal,
    /// The highest value.
    pub high: Decimal,
    /// The sum of all values; `None` if it has too many digits.
    pub sum: Option<Decimal>,
    /// The number of values.
    pub count: u32,
}

impl Summary {
    /// The summary of one reading.
    #[must_use]
    pub fn of(point: Point) -> Self {
        let Point { value, .. } = point;
        Self { last: point, low: value, high: value, sum: Some(value), count: 1 }
    }

    /// The mean, with one decimal place more than the values. Halves are rounded away from zero.
    #[must_use]
    pub fn mean(&self) -> Option<Decimal> {
        let sum = self.sum?;
        let places = sum.scale().saturating_add(1).min(Decimal::MAX_SCALE);
        let mean = sum.checked_div(Decimal::from(self.count))?;
        Some(mean.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero))
    }

    /// The summary of the readings of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let last = if other.last.time >= self.last.time { other.last } else { self.last };
        Self {
            last,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            sum: self.sum.zip(other.sum).and_then(|(one, other)| exact_sum(one, other)),
            count: self.count.saturating_add(other.count),
        }
    }

    /// The summary of several summaries; `None` if there are none.
    pub fn all(summaries: impl IntoIterator<Item = Self>) -> Option<Self> {
        summaries.into_iter().reduce(Self::and)
    }

    /// The summary of successive readings of a counter; `None` if it fell, or if there are no
    /// readings.
    pub(crate) fn rising(summaries: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut summaries = summaries.into_iter();
        let first = summaries.next().filter(Self::rises)?;
        summaries.try_fold(first, |known, next| known.rises_to(&next).then(|| known.and(next)))
    }

    /// Whether a counter may have had these values: one that fell was reset, or belongs to another
    /// meter.
    pub(crate) fn rises(&self) -> bool {
        self.high == self.last.value
    }

    fn rises_to(&self, next: &Self) -> bool {
        self.last.value <= next.low && next.rises()
    }
}

/// The sum; `None` if it would have to be rounded.
fn exact_sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    (sum.scale() == one.scale().max(other.scale())).then_some(sum)
}

/// The consumption in an hour, a day or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumption {
    /// The first moment of the hour or the day.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// The amount; `None` if readings are missing at the start or the end, or if the counter fell.
    pub used: Option<Decimal>,
    /// Whether the time is not over yet, so that this is the consumption so far.
    pub so_far: bool,
}

impl Consumption {
    /// The consumption in `span`, from the readings of the hour or day before and its own.
    pub(crate) fn between(
        (before_span, before): (Span, Option<Summary>),
        (span, own): (Span, Option<Summary>),
        now: Millis,
    ) -> Self {
        let so_far = now < span.readings().end;
        let known =
            |span: Span, summary: &Summary| span.ends_with(summary.last.time.as_millisecond());
        let used = before.zip(own).and_then(|(before, own)| {
            let complete = known(before_span, &before) && (so_far || known(span, &own));
            let used = own.last.value.checked_sub(before.last.value);
            used.filter(|_| complete && before.rises_to(&own))
        });
        Self { start: timestamp(span.start), end: timestamp(span.end), used, so_far }
    }
}

/// The consumption in a longer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// The amount in all of it.
    Whole(Decimal),
    /// The amount between two readings. There are none near the beginning or near the end.
    Part {
        /// The time of the first reading, or the start of the span.
        since: Timestamp,
        /// The time of the last reading, or the end of the span.
        until: Timestamp,
        /// The amount.
        used: Decimal,
    },
    /// There are no two readings.
    Unknown,
    /// The counter fell: it was reset, or belongs to another meter.
    Fell,
}

impl Total {
    /// The total of `span`, from the readings of the hour or day before and its own, oldest first.
    pub(crate) fn between(
        (before_span, before): (Span, Option<Summary>),
        (span, own): (Span, &[Summary]),
    ) -> Self {
        let ends =
            |span: Span, summary: &Summary| span.ends_with(summary.last.time.as_millisecond());
        let before = before.filter(|before| ends(before_span, before));
        let (first, rest) = match (before, own) {
            (Some(before), own) => (before, own),
            (None, [first, rest @ ..]) => (*first, rest),
            (None, []) => return Self::Unknown,
        };
        let Some(newest) = rest.last() else { return Self::Unknown };
        let pairs = std::iter::once(&first).chain(rest).zip(rest);
        if !pairs.into_iter().all(|(one, next)| one.rises_to(next)) {
            return Self::Fell;
        }
        let Some(used) = newest.last.value.checked_sub(first.last.value) else {
            return Self::Unknown;
        };
        let is_ended = ends(span, newest);
        if before.is_some() && is_ended {
            return Self::Whole(used);
        }
        let since = before.map_or(first.last.time, |_| timestamp(span.start));
        let until = if is_ended { timestamp(span.end) } else { newest.last.time };
        Self::Part { since, until, used }
    }
}

/// The smallest limit for [`thin`]: the first, the lowest, the highest and the last point.
const FEWEST: usize = 4;

/// Returns at most `most` of the points, or 4 if `most` is less, unchanged and in order: the lowest
/// and the highest of each stretch, and the first and the last of all.
#[must_use]
pub(crate) fn thin(points: &[Point], most: usize) -> Vec<Point> {
    let most = most.max(FEWEST);
    let [first, middle @ .., last] = points else {
        return points.to_vec();
    };
    if points.len() <= most {
        return points.to_vec();
    }
    // Two points of each stretch, and the two ends.
    let stretches = most.saturating_sub(2).checked_div(2).unwrap_or(1).max(1);
    let length = middle.len().div_ceil(stretches).max(1);
    let mut thinned = vec![*first];
    for stretch in middle.chunks(length) {
        let indexed = || stretch.iter().enumerate();
        let low = indexed().min_by_key(|(_, point)| point.value);
        let high = indexed().max_by_key(|(_, point)| point.value);
        if let (Some((low, lowest)), Some((high, highest))) = (low, high) {
            match low.cmp(&high) {
                std::cmp::Ordering::Less => thinned.extend([*lowest, *highest]),
                std::cmp::Ordering::Equal => thinned.push(*lowest),
                std::cmp::Ordering::Greater => thinned.extend([*highest, *lowest]),
            }
        }
    }
    thinned.push(*last);
    thinned
}

/// The same as [`thin`], point by point: for series that are read in parts, and together with
/// others.
#[derive(Debug)]
pub(crate) struct Thinning {
    /// The number of all points, and of those before the next one.
    count: usize,
    seen: usize,
    /// The number of points in a stretch.
    length: usize,
    /// The lowest and the highest point of the stretch.
    ends: Option<(Point, Point)>,
}

impl Thinning {
    /// For `count` points, of which at most `most` remain.
    pub(crate) fn new(count: usize, most: usize) -> Self {
        let most = most.max(FEWEST);
        let stretches = most.saturating_sub(2).checked_div(2).unwrap_or(1).max(1);
        let length = count.saturating_sub(2).div_ceil(stretches).max(1);
        Self { count: if count <= most { 0 } else { count }, seen: 0, length, ends: None }
    }

    /// The point that is left out because of the next one: that one, or an earlier one.
    pub(crate) fn removes(&mut self, point: Point) -> Option<Point> {
        let index = self.seen;
        self.seen = index.saturating_add(1);
        let is_between = index > 0 && self.seen < self.count;
        let is_first_of_stretch =
            index.saturating_sub(1).checked_rem(self.length).is_none_or(|into| into == 0);
        if !is_between {
            return None;
        }
        let (low, high) = match self.ends {
            Some(ends) if !is_first_of_stretch => ends,
            _ => {
                self.ends = Some((point, point));
                return None;
            }
        };
        let lowest = if point.value < low.value { point } else { low };
        let highest = if point.value >= high.value { point } else { high };
        self.ends = Some((lowest, highest));
        let is_left_out = |one: &Point| one.time != lowest.time && one.time != highest.time;
        [low, high, point].into_iter().find(is_left_out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::{HOUR, MINUTE};

    fn point(minute: i64, value: i64) -> Point {
        Point { time: timestamp(minute * MINUTE), value: Decimal::new(value, 1) }
    }

    fn summary(points: &[Point]) -> Option<Summary> {
        Summary::all(points.iter().copied().map(Summary::of))
    }

    /// The hour that begins `hour` hours after 1970.
    fn hour(hour: i64) -> Span {
        Span { start: hour * HOUR, end: (hour + 1) * HOUR }
    }

    fn used(before: &[Point], own: &[Point], now: i64) -> Option<String> {
        let before = (hour(0), summary(before));
        let used = Consumption::between(before, (hour(1), summary(own)), now * MINUTE);
        assert_eq!(used.so_far, now < 121);
        used.used.map(|used| used.to_string())
    }

    #[test]
    fn consumption_is_the_difference_between_the_ends() {
        let before = [point(10, 1_000), point(55, 1_010)];
        let own = [point(65, 1_011), point(119, 1_025)];
        assert_eq!(used(&before, &own, 200).as_deref(), Some("1.5"));
        // The hour is not over, so this is the consumption so far.
        assert_eq!(used(&before, &own[..1], 70).as_deref(), Some("0.1"));
        // After the hour, the same readings do not give the consumption up to its end.
        assert_eq!(used(&before, &own[..1], 200), None);
        // Without a reading near the start, it is not known either.
        assert_eq!(used(&before[..1], &own, 200), None);
        assert_eq!(used(&[], &own, 200), None);
        assert_eq!(used(&before, &[], 200), None);
    }

    #[test]
    fn consumption_is_not_known_if_the_counter_fell() {
        let before = [point(55, 1_000)];
        assert_eq!(used(&before, &[point(119, 5)], 200), None);
        assert_eq!(used(&before, &[point(70, 5), point(119, 1_200)], 200), None, "in between");
        assert_eq!(used(&before, &[point(70, 1_300), point(119, 1_200)], 200), None);
        assert_eq!(used(&[point(55, 5)], &[point(119, 8)], 200).as_deref(), Some("0.3"));
    }

    #[test]
    fn a_mean_has_one_decimal_place_more_than_the_values() {
        let of = |values: &[i64]| {
            let points: Vec<Point> = values.iter().map(|value| point(0, *value)).collect();
            summary(&points).unwrap().mean().unwrap().to_string()
        };
        assert_eq!(of(&[712]), "71.2");
        assert_eq!(of(&[712, 713]), "71.25");
        assert_eq!(of(&[1, 1, 0]), "0.07");
        assert_eq!(of(&[-1, 0]), "-0.05");
    }

    #[test]
    fn a_sum_that_would_be_rounded_is_none() {
        let time = timestamp(0);
        let huge = Summary::of(Point { time, value: Decimal::MAX });
        let tiny = Summary::of(Point { time, value: Decimal::new(1, 28) });
        assert_eq!(huge.and(huge).sum, None);
        assert_eq!(huge.and(tiny).sum, None);
        assert_eq!(huge.and(tiny).mean(), None);
        assert_eq!(huge.and(tiny).high, Decimal::MAX);
    }

    #[test]
    fn a_total_is_the_difference_of_two_readings() {
        let minutes = |time: Timestamp| time.as_millisecond() / MINUTE;
        let total = |before: &[Point], hours: &[&[Point]]| {
            let own: Vec<_> = hours.iter().filter_map(|points| summary(points)).collect();
            let span = Span { start: HOUR, end: 4 * HOUR };
            match Total::between((hour(0), summary(before)), (span, &own)) {
                Total::Part { since, until, used } => {
                    format!("{used} from {} to {}", minutes(since), minutes(until))
                }
                other => format!("{other:?}"),
            }
        };
        let before: &[_] = &[point(50, 1_000)];
        let [one, two, three]: [&[_]; 3] =
            [&[point(70, 1_002), point(100, 1_004)], &[point(130, 1_009)], &[point(239, 1_025)]];
        assert_eq!(total(before, &[one, two, three]), "Whole(2.5)");
        // A gap in between costs nothing.
        assert_eq!(total(before, &[three]), "Whole(2.5)");
        assert_eq!(total(before, &[one, two]), "0.9 from 60 to 130");
        assert_eq!(total(&[], &[one, two, three]), "2.1 from 100 to 240");
        // Too early to be the state at the beginning.
        assert_eq!(total(&[point(40, 990)], &[one, three]), "2.1 from 100 to 240");
        for (before, hours) in [(before, &[][..]), (&[], &[]), (&[], &[three])] {
            assert_eq!(total(before, hours), "Unknown");
        }
    }

    #[test]
    fn there_is_no_total_of_a_counter_that_fell() {
        let total = |values: [i64; 4]| {
            let [before, own @ ..] = values;
            let own: Vec<_> =
                (1..).zip(own).map(|(at, value)| point(at * 60 + 55, value)).collect();
            let own: Vec<_> = own.into_iter().map(Summary::of).collect();
            let span = Span { start: HOUR, end: 4 * HOUR };
            Total::between((hour(0), summary(&[point(55, before)])), (span, &own))
        };
        assert_eq!(total([10, 10, 11, 40]), Total::Whole(Decimal::new(30, 1)));
        assert_eq!(total([10, 5, 11, 40]), Total::Fell);
        // Another meter, whose counter is at more in the end.
        assert_eq!(total([10, 30, 20, 40]), Total::Fell);
        assert_eq!(total([10, 30, 40, 0]), Total::Fell);
        let own = [point(65, 11), point(70, 10), point(230, 12)];
        let span = Span { start: HOUR, end: 4 * HOUR };
        let within = [summary(&own[..2]).unwrap(), summary(&own[2..]).unwrap()];
        let before = (hour(0), summary(&[point(55, 9)]));
        assert_eq!(Total::between(before, (span, &within)), Total::Fell);
    }

    fn points(values: &[i16]) -> Vec<Point> {
        (0..).zip(values).map(|(minute, value)| point(minute, i64::from(*value))).collect()
    }

    proptest! {
        #[test]
        fn combined_summaries_cover_all_values(values in prop::collection::vec(any::<i16>(), 1..200), cut: prop::sample::Index) {
            let points = points(&values);
            let (one, other) = points.split_at(cut.index(points.len()));
            let parts = [summary(one), summary(other)].into_iter().flatten();
            let summary = Summary::all(parts).unwrap();
            let sum: i64 = values.iter().copied().map(i64::from).sum();
            prop_assert_eq!(summary.low, Decimal::new(i64::from(*values.iter().min().unwrap()), 1));
            prop_assert_eq!(summary.high, Decimal::new(i64::from(*values.iter().max().unwrap()), 1));
            prop_assert_eq!(summary.sum, Some(Decimal::new(sum, 1)));
            prop_assert_eq!(summary.count as usize, values.len());
            prop_assert_eq!(Some(&summary.last), points.last());
        }

        #[test]
        fn thinning_keeps_points_unchanged_and_the_extremes(
            values in prop::collection::vec(any::<i16>(), 0..400), most in 0_usize..150,
        ) {
            let points = points(&values);
            let thinned = thin(&points, most);
            prop_assert!(thinned.len() <= most.max(FEWEST).min(points.len()));
            prop_assert!(thinned.iter().all(|point| points.contains(point)));
            prop_assert!(thinned.windows(2).all(|pair| pair[0].time < pair[1].time));
            prop_assert_eq!(thinned.first(), points.first());
            prop_assert_eq!(thinned.last(), points.last());
            let extremes = |points: &[Point]| {
                let values = || points.iter().map(|point| point.value);
                (values().min(), values().max())
            };
            prop_assert_eq!(extremes(&thinned), extremes(&points));
            let mut thinning = Thinning::new(points.len(), most);
            let removed: Vec<_> = points.iter().filter_map(|point| thinning.removes(*point)).collect();
            let left: Vec<_> =
                points.iter().copied().filter(|point| !removed.contains(point)).collect();
            prop_assert_eq!(&left, &thinned, "point by point");
            if points.len() <= most {
                prop_assert_eq!(thinned, points);
            }
        }
    }
}
