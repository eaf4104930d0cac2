//! Finds readings of one poll that contradict each other.
//!
//! The checksum accepts one in 65,536 damaged answers. Most damaged counters differ too much from
//! the value of the last poll (`plausibility`). A gauge (a temperature, the flow or the power) may
//! rise and fall, so a damaged value may look right. But it contradicts the other readings:
//!
//! - The temperature difference is t1 - t2 (89 = 86 - 87; 5512-447 M1 p.10). This is exact to the
//!   last digit in every captured answer that has all three.
//! - The power follows from the flow and the temperature difference: 1.16 kWh for each cubic metre
//!   and kelvin. The three are averages, measured at different moments. So they contradict each
//!   other only if the power is several times too high or too low.
//!
//! Readings that contradict each other are read again in one request. If the meter sends the same
//! values again, they are published, and the contradiction is reported once. For a day, these
//! readings are then not compared with each other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::Value;
use rust_decimal::Decimal;
use tokio::time::Instant;

use crate::reading::Reading;

const FLOW: RegisterId = RegisterId::new(74);
const POWER: RegisterId = RegisterId::new(80);
const TEMPERATURE_1: RegisterId = RegisterId::new(86);
const TEMPERATURE_2: RegisterId = RegisterId::new(87);
const DIFFERENCE: RegisterId = RegisterId::new(89);

/// The registers that are compared with each other. They should be in one request.
pub(crate) const RELATED: [RegisterId; 5] = [TEMPERATURE_1, TEMPERATURE_2, DIFFERENCE, POWER, FLOW];

/// How long a relation that does not hold for a meter is not checked.
const UNCHECKED: Duration = Duration::from_secs(24 * 60 * 60);

/// A relation between readings of one poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// The difference is t1 - t2.
    Difference,
    /// The power follows from flow and difference.
    Power,
}

impl Relation {
    const ALL: [Self; 2] = [Self::Difference, Self::Power];

    /// The registers that it relates.
    #[must_use]
    pub(crate) const fn registers(self) -> [RegisterId; 3] {
        match self {
            Self::Difference => [TEMPERATURE_1, TEMPERATURE_2, DIFFERENCE],
            Self::Power => [POWER, FLOW, DIFFERENCE],
        }
    }

    fn of(self, readings: &[Reading]) -> Option<[&Reading; 3]> {
        let of = |register| readings.iter().find(|reading| reading.register == register);
        let [first, second, third] = self.registers().map(of);
        Some([first?, second?, third?])
    }

    /// By how much the difference deviates from t1 - t2.
    fn deviation(self, readings: &[Reading]) -> Option<Decimal> {
        let [first, second, third] = self.of(readings)?;
        kelvin(third)?.checked_sub(celsius(first)?.checked_sub(celsius(second)?)?)
    }

    /// Whether readings contradict it; `None` if one of them is missing or in another unit.
    fn is_contradicted(self, readings: &[Reading]) -> Option<bool> {
        let [first, second, third] = self.of(readings)?;
        match self {
            Self::Difference => {
                let step = [first, second, third].into_iter().filter_map(Reading::step).max()?;
                Some(self.deviation(readings)?.abs() > step.checked_mul(ROUNDED)?)
            }
            Self::Power => {
                let power = kilowatts(first)?.abs();
                let flow = cubic_metres_per_hour(second)?.abs();
                let flowing = flow.checked_mul(kelvin(third)?.abs())?.checked_mul(HEAT)?;
                let is_much_more = |much: Decimal, little: Decimal| {
                    Some(much > little.checked_mul(TIMES)?.checked_add(TOLERANCE)?)
                };
                Some(is_much_more(power, flowing)? || is_much_more(flowing, power)?)
            }
        }
    }

    /// Whether two sets of readings contradict it in the same way, so that the contradiction is the
    /// meter's own. Flow and power may lag behind each other for a while, so a contradiction
    /// between them is never the meter's own.
    #[must_use]
    pub(crate) fn is_as_before(self, before: &[Reading], now: &[Reading]) -> bool {
        let is_same_deviation = || {
            let by = self.deviation(before)?.checked_sub(self.deviation(now)?)?.abs();
            let step = self.of(now)?.into_iter().filter_map(Reading::step).max()?;
            Some(by <= step.checked_mul(ROUNDED)?)
        };
        self == Self::Difference && is_same_deviation().unwrap_or(false)
    }
}

/// In steps of the last digit: each of the three may be rounded by half a step.
const ROUNDED: Decimal = Decimal::ONE;

/// kWh per cubic metre of water and kelvin: density times heat capacity, which is 1.16 at 20 °C and
/// 1.13 at 80 °C.
const HEAT: Decimal = Decimal::from_parts(116, 0, 0, false, 2);

/// The power may be this many times too high or too low.
const TIMES: Decimal = Decimal::from_parts(4, 0, 0, false, 0);

/// The power may also deviate by this many kW, because a small power changes fast.
const TOLERANCE: Decimal = Decimal::TEN;

fn number(reading: &Reading) -> Option<Decimal> {
    match &reading.value {
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

fn celsius(reading: &Reading) -> Option<Decimal> {
    number(reading).filter(|_| reading.unit == Unit::CELSIUS)
}

fn kelvin(reading: &Reading) -> Option<Decimal> {
    number(reading).filter(|_| matches!(reading.unit, Unit::KELVIN | Unit::CELSIUS))
}

fn kilowatts(reading: &Reading) -> Option<Decimal> {
    let places = match reading.unit {
        Unit::WATT => Decimal::new(1, 3),
        Unit::KILOWATT => Decimal::ONE,
        Unit::MEGAWATT => Decimal::ONE_THOUSAND,
        _ => return None,
    };
    number(reading)?.checked_mul(places)
}

fn cubic_metres_per_hour(reading: &Reading) -> Option<Decimal> {
    let places = match reading.unit {
        Unit::LITRE_PER_HOUR => Decimal::new(1, 3),
        Unit::CUBIC_METRE_PER_HOUR => Decimal::ONE,
        _ => return None,
    };
    number(reading)?.checked_mul(places)
}

/// Completes "`temp1`, `temp2` and `tempdiff` …".
impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Difference => "contradict each other: `tempdiff` is not `temp1` minus `temp2`",
            Self::Power => "contradict each other: `power` does not follow from the other two",
        })
    }
}

/// The relations that do not hold for a meter.
#[derive(Debug, Default)]
pub(crate) struct Consistency {
    /// Each of them, and when this was confirmed.
    broken: BTreeMap<Relation, Instant>,
}

impl Consistency {
    /// Forgets the relations that hold again.
    pub(crate) fn update(&mut self, readings: &[Reading]) {
        self.broken.retain(|relation, _| relation.is_contradicted(readings) != Some(false));
    }

    /// The relations that the readings of a poll contradict, without those that are not checked.
    #[must_use]
    pub(crate) fn contradicted(&self, readings: &[Reading]) -> Vec<Relation> {
        let counts = |relation: &Relation| {
            self.broken.get(relation).is_none_or(|since| since.elapsed() >= UNCHECKED)
                && relation.is_contradicted(readings) == Some(true)
        };
        Relation::ALL.into_iter().filter(counts).collect()
    }

    /// Notes that a relation does not hold for the meter, as a second reading confirmed.
    pub(crate) fn accept(&mut self, relation: Relation) {
        self.broken.insert(relation, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: RegisterId, unit: Unit, value: i64, places: u32) -> Reading {
        let value = Decimal::new(value, places);
        let value = RegisterValue::from_decimal(register, unit, value, 4).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn temperatures(t1: i64, t2: i64, difference: i64) -> Vec<Reading> {
        vec![
            reading(TEMPERATURE_1, Unit::CELSIUS, t1, 2),
            reading(TEMPERATURE_2, Unit::CELSIUS, t2, 2),
            reading(DIFFERENCE, Unit::KELVIN, difference, 2),
        ]
    }

    fn heat(tenths_of_kilowatts: i64, litres: i64, hundredths: i64) -> Vec<Reading> {
        vec![
            reading(POWER, Unit::KILOWATT, tenths_of_kilowatts, 1),
            reading(FLOW, Unit::LITRE_PER_HOUR, litres, 0),
            reading(DIFFERENCE, Unit::KELVIN, hundredths, 2),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn the_difference_must_be_t1_minus_t2() {
        let known = Consistency::default();
        let contradicted =
            |t1, t2, difference| !known.contradicted(&temperatures(t1, t2, difference)).is_empty();
        // A captured answer (gemu2015/Sonoff-Tasmota issue 38), and the same with one wrong gauge.
        assert!(!contradicted(6_725, 2_691, 4_034));
        assert!(contradicted(0, 2_691, 4_034));
        assert!(contradicted(6_725, 2_694, 4_034));
        // The meter rounds; and cooling is negative.
        assert!(!contradicted(6_725, 2_692, 4_034));
        assert!(!contradicted(654, 1_174, -520));
        assert!(contradicted(654, 1_174, 520));
        // Nothing to compare with.
        assert_eq!(known.contradicted(&temperatures(0, 2_691, 4_034)[1..]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_power_must_be_near_flow_times_difference() {
        let known = Consistency::default();
        let contradicted = |power, flow, difference| {
            !known.contradicted(&heat(power, flow, difference)).is_empty()
        };
        // 128 l/h and 40.34 K make 6.0 kW.
        assert!(!contradicted(64, 128, 4_034));
        assert!(!contradicted(0, 128, 4_034), "the flow has just started");
        assert!(!contradicted(320, 128, 4_034), "the flow has just stopped");
        assert!(contradicted(900, 128, 4_034));
        assert!(contradicted(64, 9_000, 4_034));
        assert!(contradicted(0, 600, 4_034));
        assert!(!contradicted(0, 0, 0));
        assert!(contradicted(500, 0, 0));
        assert!(!contradicted(-64, 128, -4_034), "cooling");
    }

    /// Two wrong values hardly ever deviate by the same amount.
    #[test]
    fn the_same_deviation_twice_is_the_meters_own() {
        let is_as_before = |before: [i64; 3], now: [i64; 3]| {
            let [before, now] = [before, now].map(|[t1, t2, it]| temperatures(t1, t2, it));
            Relation::Difference.is_as_before(&before, &now)
        };
        assert!(is_as_before([6_000, 2_000, 1_000], [6_100, 2_050, 1_050]));
        assert!(!is_as_before([6_000, 2_000, 4_032], [6_000, 2_000, 4_064]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_confirmed_contradiction_is_not_checked_for_a_day() {
        let mut known = Consistency::default();
        let odd = temperatures(6_000, 2_000, 1_000);
        assert_eq!(known.contradicted(&odd), [Relation::Difference]);
        known.accept(Relation::Difference);
        known.update(&odd);
        assert_eq!(known.contradicted(&odd), []);
        // After the relation held again, the next contradiction is new.
        known.update(&temperatures(6_000, 2_000, 4_000));
        assert_eq!(known.contradicted(&odd), [Relation::Difference]);
        known.accept(Relation::Difference);
        tokio::time::advance(UNCHECKED).await;
        assert_eq!(known.contradicted(&odd), [Relation::Difference]);
    }
}
