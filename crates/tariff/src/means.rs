//! The means between two readings.

use jiff::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};

/// The four counters of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// V1, in m³.
    pub volume: Decimal,
    /// E8, in m³·°C.
    pub supply: Decimal,
    /// E9, in m³·°C.
    pub returned: Decimal,
    /// E1, in the meter's unit, if it was read too.
    pub energy: Option<Decimal>,
}

/// The counters at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The time of the reading.
    pub at: Timestamp,
    /// The counters.
    pub counters: Counters,
}

/// A unit of energy is `times / by` kWh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnergyFactor {
    /// The numerator.
    pub times: Decimal,
    /// The denominator.
    pub by: Decimal,
}

/// A mean, with all digits, and how far the true mean may be away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mean {
    /// The mean.
    pub value: Decimal,
    /// The error that the resolutions of the counters allow.
    pub error: Decimal,
}

/// The means between two readings. Each is `None` if its error may be greater than 0.5 K, or 0.5
/// kWh/m³.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// The mean supply temperature in °C.
    pub supply: Option<Mean>,
    /// The mean return temperature in °C.
    pub returned: Option<Mean>,
    /// The mean cooling in K: exactly the difference of the two.
    pub cooling: Option<Mean>,
    /// The energy per volume in kWh/m³.
    pub energy: Option<Mean>,
}

/// The greatest error of a published mean: 0.5.
const TOLERATED: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// Decimal places of published means.
const PLACES: u32 = 2;

/// A mean as it is published: with two decimal places at most, without trailing zeros. Halves are
/// rounded away from zero.
#[must_use]
pub fn rounded(mean: Decimal) -> Decimal {
    mean.round_dp_with_strategy(PLACES, RoundingStrategy::MidpointAwayFromZero).normalize()
}

impl Counters {
    /// Whether no counter is lower than before.
    pub(crate) fn follow(&self, before: &Self) -> bool {
        let energy = before.energy.zip(self.energy);
        self.volume >= before.volume
            && self.supply >= before.supply
            && self.returned >= before.returned
            && energy.is_none_or(|(before, now)| now >= before)
    }
}

impl Means {
    /// The means between two readings of one meter, whose counters have these steps. `kwh` converts
    /// the meter's unit of energy.
    #[must_use]
    pub fn between(
        start: &Point,
        end: &Point,
        steps: &Counters,
        kwh: Option<EnergyFactor>,
    ) -> Self {
        let (from, to) = (&start.counters, &end.counters);
        if start.at >= end.at || !to.follow(from) {
            return Self::default();
        }
        let change = |of: fn(&Counters) -> Decimal| -> Option<(Decimal, Decimal)> {
            Some((of(to).checked_sub(of(from))?, of(steps)))
        };
        let Some(volume) = change(|it| it.volume) else { return Self::default() };
        let supply = change(|it| it.supply);
        let returned = change(|it| it.returned);
        let cooling = supply.zip(returned).and_then(|((supply, one), (returned, other))| {
            Some((supply.checked_sub(returned)?, one.checked_add(other)?))
        });
        let energy = || {
            let EnergyFactor { times, by } = kwh?;
            let used = to.energy?.checked_sub(from.energy?)?;
            let of = |energy: Decimal| energy.checked_mul(times)?.checked_div(by);
            Some((of(used)?, of(steps.energy?)?))
        };
        let mean = |part: Option<(Decimal, Decimal)>| {
            quotient(part?, volume).filter(|mean| mean.error <= TOLERATED)
        };
        Self {
            supply: mean(supply),
            returned: mean(returned),
            cooling: mean(cooling),
            energy: mean(energy()),
        }
    }
}

/// The quotient of two differences, each with its step. `None` without flow, or if the true volume
/// may be zero.
fn quotient(part: (Decimal, Decimal), volume: (Decimal, Decimal)) -> Option<Mean> {
    let ((part, part_step), (volume, volume_step)) = (part, volume);
    if volume <= volume_step {
        return None;
    }
    let value = part.checked_div(volume)?;
    let parts = [part.checked_sub(part_step)?, part.checked_add(part_step)?];
    let volumes = [volume.checked_sub(volume_step)?, volume.checked_add(volume_step)?];
    let mut error = Decimal::ZERO;
    for part in parts {
        for volume in volumes {
            let away = part.checked_div(volume)?.checked_sub(value)?.abs();
            error = error.max(away);
        }
    }
    Some(Mean { value, error })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(second: i64, [volume, supply, returned, energy]: [i64; 4]) -> Point {
        let counters = Counters {
            volume: Decimal::new(volume, 2),
            supply: Decimal::from(supply),
            returned: Decimal::from(returned),
            energy: Some(Decimal::from(energy)),
        };
        Point { at: Timestamp::from_second(second).unwrap(), counters }
    }

    const STEPS: Counters = Counters {
        volume: Decimal::from_parts(1, 0, 0, false, 2),
        supply: Decimal::ONE,
        returned: Decimal::ONE,
        energy: Some(Decimal::ONE),
    };

    const KWH: EnergyFactor = EnergyFactor { times: Decimal::ONE, by: Decimal::ONE };

    fn shown(mean: Option<Mean>) -> String {
        mean.map_or_else(|| "-".to_owned(), |mean| rounded(mean.value).to_string())
    }

    fn all(means: &Means) -> [String; 4] {
        [means.supply, means.returned, means.cooling, means.energy].map(shown)
    }

    #[test]
    fn means_are_quotients_of_differences() {
        let start = point(0, [187_556, 128_953, 51_601, 81_947]);
        let end = point(1, [188_556, 129_653, 51_951, 82_347]);
        let means = Means::between(&start, &end, &STEPS, Some(KWH));
        assert_eq!(all(&means), ["70", "35", "35", "40"]);
        // (700 + 1) / (10 - 0.01) - 70
        assert_eq!(means.supply.unwrap().error.round_dp(6).to_string(), "0.170170");
        let gigajoules = EnergyFactor { times: 10_000.into(), by: 36.into() };
        let means = Means::between(&start, &end, &STEPS, Some(gigajoules));
        assert_eq!(means.energy, None, "a step of 1 GJ is 278 kWh");
    }

    #[test]
    fn a_mean_with_a_greater_error_is_not_known() {
        let start = point(0, [0, 0, 0, 0]);
        let means = |volume: i64| {
            let end = point(1, [volume, volume * 70 / 100, volume * 35 / 100, volume / 100]);
            all(&Means::between(&start, &end, &STEPS, Some(KWH)))
        };
        assert_eq!(means(0), ["-"; 4]);
        assert_eq!(means(1), ["-"; 4]);
        // 1/3 of the steps of E8 and E9, and 70/300 of that of the volume.
        assert_eq!(means(300), ["-", "35", "-", "1"]);
        assert_eq!(means(1_000), ["70", "35", "35", "1"]);
    }

    #[test]
    fn no_mean_spans_a_fall() {
        let start = point(0, [1_000, 700, 350, 40]);
        for end in [[900, 1_400, 700, 80], [2_000, 600, 700, 80], [2_000, 1_400, 300, 80]] {
            let means = Means::between(&start, &point(1, end), &STEPS, Some(KWH));
            assert_eq!(means, Means::default(), "{end:?}");
        }
        let end = point(0, [2_000, 1_400, 700, 80]);
        assert_eq!(Means::between(&start, &end, &STEPS, None), Means::default(), "the same time");
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let text = |text: &str| rounded(text.parse().unwrap()).to_string();
        assert_eq!(["1.005", "-1.005", "40.10", "3"].map(text), ["1.01", "-1.01", "40.1", "3"]);
    }

    proptest! {
        /// Whatever the digits that the counters do not show, the true mean is within the error.
        #[test]
        fn the_true_mean_is_within_the_error(
            start in [0_i64..10_000_000, 0..10_000_000, 0..10_000_000],
            used in [0_i64..200_000, 0..20_000_000, 0..20_000_000],
        ) {
            // In thousandths of a step.
            let [from, to] = [start, [0, 1, 2].map(|i| start[i] + used[i])];
            let counted = |at: i64, it: [i64; 3]| {
                point(at, [it[0] / 1000, it[1] / 1000, it[2] / 1000, 0])
            };
            let means = Means::between(&counted(0, from), &counted(1, to), &STEPS, None);
            let volume = Decimal::new(used[0], 5);
            let parts = [used[1], used[2], used[1] - used[2]].map(|part| Decimal::new(part, 3));
            for (mean, part) in [means.supply, means.returned, means.cooling].iter().zip(parts) {
                if let Some(mean) = mean {
                    prop_assert!(mean.error <= TOLERATED);
                    let away = (part / volume - mean.value).abs();
                    prop_assert!(away <= mean.error, "{away} {mean:?}");
                }
            }
        }

        /// The rounded mean is that of whole numbers, to the last digit.
        #[test]
        fn means_are_those_of_whole_numbers(
            start in [0_i64..10_000_000, 0..10_000_000, 0..10_000_000],
            used in [1_i64..10_000_000, 0..10_000_000, 0..10_000_000],
        ) {
            let end = [start[0] + used[0], start[1] + used[1], start[2] + used[2]];
            let [start, end] = [(0, start), (1, end)].map(|(at, [a, b, c])| point(at, [a, b, c, 0]));
            let means = Means::between(&start, &end, &STEPS, None);
            // In hundredths: 100 × m³·°C / (0.01 m³) × 100, rounded half up. None is negative.
            let hundredths = |part: i64| {
                let (part, volume) = (i128::from(part) * 10_000, i128::from(used[0]));
                (2 * part + volume) / (2 * volume)
            };
            for (mean, part) in [(means.supply, used[1]), (means.returned, used[2])] {
                if let Some(mean) = mean {
                    let expected = Decimal::from_i128_with_scale(hundredths(part), 2);
                    prop_assert_eq!(rounded(mean.value), expected.normalize());
                }
            }
        }
    }
}
