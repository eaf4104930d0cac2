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
    pub(crate) fn of(point: Point) -> Self {
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
    pub(crate) fn all(summaries: impl IntoIterator<Item = Self>) -> Option<Self> {
        summaries.into_iter().reduce(Self::and)
    }
}

/// The sum; `None` if it would have to be rounded.
fn exact_sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    (sum.scale() == one.scale().max(other.scale())).then_some(sum)
}

/// The consumption in an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumption {
    /// The first moment of the hour or the day.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// The amount; `None` if readings are missing at the start or the end, or if the counter fell.
    pub used: Option<Decimal>,
    /// Whether the hour or the day is not over yet, so that this is the consumption so far.
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
            // A counter that fell was reset, or belongs to another meter.
            let rises = before.last.value <= own.low && own.high == own.last.value;
            let used = own.last.value.checked_sub(before.last.value);
            used.filter(|_| complete && rises)
        });
        Self { start: timestamp(span.start), end: timestamp(span.end), used, so_far }
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
            if points.len() <= most {
                prop_assert_eq!(thinned, points);
            }
        }
    }
}
