//! Doubts: a value that passed the checksum can still be wrong, since one of 65,536 damaged frames
//! passes it.
//!
//! What a register's value looked like is remembered. One that looks different, a counter that
//! fell, or one that rose faster than it can have, is read again at once, and published only when
//! two readings agree. A doubt costs one request; so the bounds are tight and the price of a false
//! alarm is small.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kmp::register::{Kind, RegisterId};
use kmp::unit::{Quantity, Unit};
use kmp::value::Value;
use rust_decimal::Decimal;
use tokio::time::Instant;

use crate::reading::Reading;

/// What is remembered of a meter's registers.
#[derive(Debug, Default)]
pub struct Guard {
    known: BTreeMap<RegisterId, Known>,
}

#[derive(Debug)]
struct Known {
    shape: Shape,
    value: Value,
    at: Instant,
    /// The fastest that it has risen so far, in its unit per hour.
    fastest: Decimal,
}

/// How a value is laid out: by the meter's configuration, so it hardly ever changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    unit: Unit,
    exponent: i8,
    length: usize,
}

impl Shape {
    fn of(reading: &Reading) -> Self {
        Self { unit: reading.unit, exponent: reading.exponent, length: reading.length }
    }
}

/// How a reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// Nothing damaged came with it.
    pub clean: bool,
    /// It may be a late answer to an earlier question.
    pub may_be_late: bool,
}

/// Why a reading is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing is known to compare it with and the line was noisy when it came, or it may be late.
    Unproven,
    /// Another unit, resolution or length than before.
    Shape {
        /// As it was.
        was: String,
        /// As it is.
        is: String,
    },
    /// A counter that is lower than before.
    Fell {
        /// As it was.
        was: Decimal,
        /// As it is.
        is: Decimal,
    },
    /// A counter that rose faster than it can.
    Jumped {
        /// As it was.
        was: Decimal,
        /// As it is.
        is: Decimal,
    },
}

/// Completes "`energy` …".
impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven => f.write_str("came over a noisy line"),
            Self::Shape { was, is } => write!(f, "came as {was} before and comes as {is} now"),
            Self::Fell { was, is } => write!(f, "was {was} and is {is}: it was reset"),
            Self::Jumped { was, is } => write!(f, "was {was} and is {is}: it rose very fast"),
        }
    }
}

/// A counter may always rise by this many of its smallest steps.
const STEPS: i64 = 2;

/// And by so many times the fastest that it ever rose, since a house is not always the same.
const ROOM: i64 = 10;

impl Guard {
    /// Whether a register has been read.
    #[must_use]
    pub fn knows(&self, register: RegisterId) -> bool {
        self.known.contains_key(&register)
    }

    /// The registers that have been read, those with the shortest values first.
    #[must_use]
    pub fn shortest(&self) -> Vec<RegisterId> {
        let mut known: Vec<_> =
            self.known.iter().map(|(id, known)| (known.shape.length, *id)).collect();
        known.sort_unstable();
        known.into_iter().map(|(_, register)| register).collect()
    }

    /// Forgets a register that the meter did not answer with.
    pub fn forget(&mut self, register: RegisterId) {
        self.known.remove(&register);
    }

    /// Whether a reading must be read again.
    #[must_use]
    pub fn doubt(&self, reading: &Reading, circumstances: Circumstances) -> Option<Doubt> {
        let Circumstances { clean, may_be_late } = circumstances;
        if may_be_late {
            return Some(Doubt::Unproven);
        }
        let Some(known) = self.known.get(&reading.register) else {
            return (!clean).then_some(Doubt::Unproven);
        };
        let shape = Shape::of(reading);
        if shape != known.shape {
            let words = |shape: Shape| {
                let Shape { unit, exponent, length } = shape;
                format!("{length} bytes in {unit} by 10^{exponent}")
            };
            return Some(Doubt::Shape { was: words(known.shape), is: words(shape) });
        }
        let kind = reading.register.info().map(|register| register.kind);
        let (Some(Kind::Counter), Value::Number(is), Value::Number(was)) =
            (kind, &reading.value, &known.value)
        else {
            return None;
        };
        let (is, was) = (*is, *was);
        if is < was {
            return Some(Doubt::Fell { was, is });
        }
        let most = most(reading, known.fastest, known.at.elapsed())?;
        (is.checked_sub(was)? > most).then_some(Doubt::Jumped { was, is })
    }

    /// Remembers a reading that is published.
    pub fn accept(&mut self, reading: &Reading) {
        let known = self.known.get(&reading.register);
        let fastest = known.map_or(Decimal::ZERO, |known| known.fastest);
        let rate = known.and_then(|known| rate(known, reading)).unwrap_or(Decimal::ZERO);
        let known = Known {
            shape: Shape::of(reading),
            value: reading.value.clone(),
            at: Instant::now(),
            fastest: fastest.max(rate),
        };
        self.known.insert(reading.register, known);
    }
}

/// Whether two readings of a register, one right after the other, say the same.
#[must_use]
pub fn agree(first: &Reading, second: &Reading) -> bool {
    if Shape::of(first) != Shape::of(second) {
        return false;
    }
    let (Value::Number(before), Value::Number(after)) = (&first.value, &second.value) else {
        return first.value == second.value;
    };
    // Meanwhile a counter may have gone on by a little.
    let step = step(second).and_then(|step| step.checked_mul(STEPS.into()));
    after == before
        || after.checked_sub(*before).zip(step).is_some_and(|(by, step)| by.abs() <= step)
}

/// One of the last digit.
fn step(reading: &Reading) -> Option<Decimal> {
    let exponent = reading.exponent;
    if exponent >= 0 {
        (0..exponent).try_fold(Decimal::ONE, |step, _| step.checked_mul(Decimal::TEN))
    } else {
        Decimal::try_from_i128_with_scale(1, exponent.unsigned_abs().into()).ok()
    }
}

/// How much a counter may rise in a time; `None` where nothing bounds it.
fn most(reading: &Reading, fastest: Decimal, elapsed: Duration) -> Option<Decimal> {
    let usual = usual(reading)?.max(fastest.checked_mul(ROOM.into())?);
    let seconds = Decimal::from(elapsed.as_secs().saturating_add(1));
    let risen = usual.checked_mul(seconds)?.checked_div(Decimal::from(3600))?;
    risen.checked_add(step(reading)?.checked_mul(STEPS.into())?)
}

/// What no house exceeds, in the reading's unit per hour: 100 kW, 10 m³/h, an hour per hour.
fn usual(reading: &Reading) -> Option<Decimal> {
    const KILOWATTS: i64 = 100;
    const CUBIC_METRES: i64 = 10;
    const DEGREES: i64 = 200;
    let number = match reading.unit {
        Unit::WATT_HOUR => Decimal::from(KILOWATTS.checked_mul(1000)?),
        Unit::KILOWATT_HOUR => Decimal::from(KILOWATTS),
        Unit::MEGAWATT_HOUR => Decimal::new(KILOWATTS, 3),
        // 100 kWh are 0.36 GJ.
        Unit::GIGAJOULE => Decimal::new(36, 2),
        Unit::GIGACALORIE => Decimal::new(86, 3),
        // A tonne of water is a cubic metre.
        Unit::CUBIC_METRE | Unit::TONNE => Decimal::from(CUBIC_METRES),
        Unit::LITRE => Decimal::from(CUBIC_METRES.checked_mul(1000)?),
        Unit::CUBIC_METRE_CELSIUS => Decimal::from(CUBIC_METRES.checked_mul(DEGREES)?),
        Unit::HOUR => Decimal::ONE,
        // An event a minute is a lot.
        unit if unit.quantity() == Quantity::Number => Decimal::from(60),
        _ => return None,
    };
    Some(number)
}

fn rate(known: &Known, reading: &Reading) -> Option<Decimal> {
    let (Value::Number(was), Value::Number(is)) = (&known.value, &reading.value) else {
        return None;
    };
    if known.shape != Shape::of(reading) {
        return None;
    }
    let seconds = Decimal::from(known.at.elapsed().as_secs().saturating_add(1));
    is.checked_sub(*was)?.checked_mul(Decimal::from(3600))?.checked_div(seconds)
}

#[cfg(test)]
mod tests {
    use kmp::number::SignExponent;
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: u16, unit: Unit, exponent: i8, mantissa: &[u8]) -> Reading {
        let register = RegisterId::new(register);
        let exponent = SignExponent::new(false, exponent).unwrap();
        let value = RegisterValue::new(register, unit, exponent, mantissa.to_vec()).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn energy(kilowatt_hours: u32) -> Reading {
        reading(60, Unit::KILOWATT_HOUR, 0, &kilowatt_hours.to_be_bytes())
    }

    fn celsius(hundredths: u16) -> Reading {
        reading(86, Unit::CELSIUS, -2, &hundredths.to_be_bytes())
    }

    const GOOD: Circumstances = Circumstances { clean: true, may_be_late: false };

    const HOUR: Duration = Duration::from_secs(3600);

    fn words(guard: &Guard, reading: &Reading) -> String {
        guard.doubt(reading, GOOD).map_or_else(String::new, |doubt| doubt.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_reading_is_doubted_on_a_noisy_line_only() {
        let guard = Guard::default();
        assert_eq!(guard.doubt(&energy(5), GOOD), None);
        let noisy = Circumstances { clean: false, ..GOOD };
        assert_eq!(guard.doubt(&energy(5), noisy), Some(Doubt::Unproven));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_late_is_doubted_always() {
        let mut guard = Guard::default();
        guard.accept(&energy(5));
        let late = Circumstances { may_be_late: true, ..GOOD };
        assert_eq!(guard.doubt(&energy(5), late), Some(Doubt::Unproven));
    }

    #[tokio::test(start_paused = true)]
    async fn a_counter_does_not_fall_and_rises_only_so_fast() {
        let mut guard = Guard::default();
        guard.accept(&energy(1000));
        tokio::time::advance(HOUR).await;
        assert_eq!(words(&guard, &energy(1000)), "");
        assert_eq!(words(&guard, &energy(1101)), "");
        assert_eq!(words(&guard, &energy(1103)), "was 1000 and is 1103: it rose very fast");
        assert_eq!(words(&guard, &energy(999)), "was 1000 and is 999: it was reset");
        // Once it was true, it is no surprise any more.
        guard.accept(&energy(1300));
        tokio::time::advance(HOUR).await;
        assert_eq!(words(&guard, &energy(4000)), "");
        assert_ne!(words(&guard, &energy(5000)), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gauge_goes_as_it_likes_and_keeps_its_shape() {
        let mut guard = Guard::default();
        guard.accept(&celsius(6_000));
        assert_eq!(words(&guard, &celsius(1)), "");
        let other = reading(86, Unit::CELSIUS, -1, &[0, 1]);
        assert_eq!(
            words(&guard, &other),
            "came as 2 bytes in °C by 10^-2 before and comes as 2 bytes in °C by 10^-1 now"
        );
        assert_ne!(words(&guard, &reading(86, Unit::KELVIN, -2, &[0, 1])), "");
        assert_ne!(words(&guard, &reading(86, Unit::CELSIUS, -2, &[0, 0, 0, 1])), "");
    }

    #[test]
    fn two_readings_agree_if_they_say_nearly_the_same() {
        assert!(agree(&energy(1000), &energy(1000)));
        assert!(agree(&energy(1000), &energy(1002)));
        assert!(!agree(&energy(1000), &energy(1003)));
        assert!(!agree(
            &energy(1000),
            &reading(60, Unit::MEGAWATT_HOUR, 0, &1000_u32.to_be_bytes())
        ));
        let date = |digits: u32| reading(123, Unit::DATE_YYMMDD, 0, &digits.to_be_bytes());
        assert!(agree(&date(260_101), &date(260_101)));
        assert!(!agree(&date(260_101), &date(260_102)));
    }
}
