//! Doubts values that may be wrong although the checksum is right: the checksum accepts one in
//! 65,536 damaged frames.
//!
//! The last value of each register is remembered. A value is doubtful in these cases:
//!
//! - Its unit, resolution or length has changed.
//! - It is a counter that fell or rose too fast.
//! - It is a power, flow or temperature above what a house can have.
//! - It is a date, code or setting that has changed.
//! - It may be a late answer to an earlier request.
//! - It is the first value of its register, and the line was noisy.
//!
//! A doubtful value is read again at the end of the poll, and published only if two readings agree.
//! A false alarm costs only one request, so the bounds are tight.
//!
//! Two doubts may apply to one value. A doubt about the meter (a counter fell) is then the one that
//! is reported. But two late answers can agree. So a value that is doubtful itself is published only
//! if one of its readings certainly belongs to this poll ([`Proof`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kmp::register::{Kind, RegisterId};
use kmp::unit::{Quantity, Unit};
use kmp::value::Value;
use rust_decimal::Decimal;
use tokio::time::Instant;

use crate::client::Proof;
use crate::reading::Reading;

/// What is known about the values of a meter's registers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plausibility {
    known: BTreeMap<RegisterId, Known>,
}

#[derive(Debug, Clone)]
struct Known {
    /// Whether the meter certainly has the register: the last answer did not leave it out.
    is_certain: bool,
    reading: Reading,
    at: Instant,
    /// For a counter, the fastest rise so far, in its unit per hour. For a gauge, its greatest
    /// distance from zero. Only values that were read twice are used: otherwise each value that is
    /// a bit too high would let a higher one pass.
    most: Decimal,
}

/// The format of a value. It depends on the meter's configuration, so it hardly ever changes.
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

/// How far an answer can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadingQuality {
    /// Nothing damaged or foreign was received with it.
    pub clean: bool,
    /// It may be a late answer to an earlier request.
    pub may_be_late: bool,
    /// How certain it is that it belongs to a request of this poll.
    pub proof: Proof,
}

impl ReadingQuality {
    /// Whether there is no reason to distrust the answer.
    #[must_use]
    pub(crate) const fn is_good(self) -> bool {
        self.clean && !self.may_be_late && matches!(self.proof, Proof::Certain)
    }
}

/// Why a reading is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// There is nothing to compare it with, and the line was noisy.
    Noisy,
    /// It may be a late answer to an earlier request.
    MayBeLate,
    /// Another value of the same answer was wrong.
    SameAnswer,
    /// The upper digits of other values are taken from it, and it was read only once.
    UpperDigits,
    /// Another unit, resolution or length than before.
    Shape {
        /// The format before.
        was: String,
        /// The format now.
        is: String,
    },
    /// A counter that is lower than before.
    Fell {
        /// The value before.
        was: Decimal,
        /// The value now.
        is: Decimal,
    },
    /// A counter that rose too fast.
    Jumped {
        /// The value before.
        was: Decimal,
        /// The value now.
        is: Decimal,
    },
    /// A date, code or setting that has changed, which hardly ever happens.
    Differs {
        /// The value before.
        was: String,
        /// The value now.
        is: String,
    },
    /// A register that wraps, or that is not known, and changed by more than a counter can.
    Leapt {
        /// The value before.
        was: Decimal,
        /// The value now.
        is: Decimal,
    },
    /// A gauge that is farther from zero than any house reaches.
    Unlikely {
        /// The value now.
        is: Decimal,
    },
}

impl Doubt {
    /// Whether the doubt, once confirmed, means that something happened to the meter.
    #[must_use]
    pub(crate) fn is_change(&self) -> bool {
        matches!(self, Self::Shape { .. } | Self::Fell { .. } | Self::Jumped { .. })
    }

    /// Whether the value itself is the reason, and not how it was received.
    #[must_use]
    pub(crate) fn is_about_value(&self) -> bool {
        match self {
            Self::Noisy | Self::MayBeLate | Self::SameAnswer | Self::UpperDigits => false,
            Self::Shape { .. }
            | Self::Fell { .. }
            | Self::Jumped { .. }
            | Self::Differs { .. }
            | Self::Leapt { .. }
            | Self::Unlikely { .. } => true,
        }
    }
}

/// Completes "`energy` …".
impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noisy => f.write_str("was received over a noisy line"),
            Self::MayBeLate => f.write_str("may be a late answer to an earlier request"),
            Self::SameAnswer => f.write_str("was in an answer with a wrong value"),
            Self::UpperDigits => f.write_str("completes another value, and was read only once"),
            Self::Shape { was, is } => write!(f, "changed its format from {was} to {is}"),
            // If it fell by less than half, the previous reading was wrong.
            Self::Fell { was, is } if is.checked_mul(Decimal::TWO).is_some_and(|it| it > *was) => {
                write!(f, "fell from {was} to {is}: the earlier value was too high")
            }
            Self::Fell { was, is } => write!(f, "fell from {was} to {is}: it was reset"),
            Self::Jumped { was, is } => write!(f, "rose from {was} to {is}, faster than expected"),
            Self::Differs { was, is } => write!(f, "changed from {was} to {is}"),
            Self::Leapt { was, is } => write!(f, "changed from {was} to {is}, more than usual"),
            Self::Unlikely { is } => write!(f, "is {is}, outside the usual range"),
        }
    }
}

/// A counter may always rise by this many of its smallest steps.
const STEPS: i64 = 2;

/// A counter may rise this many times faster than ever before, because consumption varies.
const MARGIN: i64 = 10;

/// A gauge that changes by less than one in this many parts has hardly changed.
const PARTS: i64 = 8;

impl Plausibility {
    /// Whether a register has been read.
    #[must_use]
    pub(crate) fn knows(&self, register: RegisterId) -> bool {
        self.known.get(&register).is_some_and(|known| known.is_certain)
    }

    /// The bytes of a register in the last answer.
    #[must_use]
    pub(crate) fn bytes(&self, register: RegisterId) -> Option<&[u8]> {
        self.known.get(&register).map(|known| known.reading.raw.as_slice())
    }

    /// The registers that have been read, those with the shortest values first.
    #[must_use]
    pub(crate) fn shortest(&self) -> Vec<RegisterId> {
        let certain = self.known.iter().filter(|(_, known)| known.is_certain);
        let mut known: Vec<_> = certain.map(|(id, known)| (known.reading.length, *id)).collect();
        known.sort_unstable();
        known.into_iter().map(|(_, register)| register).collect()
    }

    /// [`Self::shortest`] without some registers.
    pub(crate) fn shortest_except(
        &self,
        others: &[RegisterId],
    ) -> impl Iterator<Item = RegisterId> {
        self.shortest().into_iter().filter(|register| !others.contains(register))
    }

    /// Notes that the meter left a register out of its answer. Its value is kept, to detect a
    /// counter that fell.
    pub(crate) fn left_out(&mut self, register: RegisterId) {
        if let Some(known) = self.known.get_mut(&register) {
            known.is_certain = false;
        }
    }

    /// Whether the last answer left out a register that was read before.
    pub(crate) fn is_left_out(&self, register: RegisterId) -> bool {
        self.known.get(&register).is_some_and(|known| !known.is_certain)
    }

    /// Why a reading must be read again.
    #[must_use]
    pub(crate) fn doubt(&self, reading: &Reading, quality: ReadingQuality) -> Option<Doubt> {
        let doubt = self.doubt_value(reading);
        if doubt.as_ref().is_some_and(Doubt::is_change) {
            return doubt;
        }
        if quality.may_be_late || quality.proof != Proof::Certain {
            return Some(Doubt::MayBeLate);
        }
        let is_new = !self.known.contains_key(&reading.register);
        doubt.or_else(|| (is_new && !quality.clean).then_some(Doubt::Noisy))
    }

    /// Why the value itself must be read again, even if the answer is good.
    pub(crate) fn doubt_value(&self, reading: &Reading) -> Option<Doubt> {
        let known = self.known.get(&reading.register);
        let shape = Shape::of(reading);
        if let Some(before) = known.map(|known| Shape::of(&known.reading)).filter(|it| *it != shape)
        {
            let words = |shape: Shape| {
                let Shape { unit, exponent, length } = shape;
                let bytes = if length == 1 { "byte" } else { "bytes" };
                let unit = match unit.to_string() {
                    none if none.is_empty() => "without a unit".to_owned(),
                    symbol => format!("in {symbol}"),
                };
                format!("{length} {bytes} {unit} with exponent {exponent}")
            };
            return Some(Doubt::Shape { was: words(before), is: words(shape) });
        }
        let Some(kind) = reading.register.info().map(|info| info.kind) else {
            return self.doubt_unnamed(reading);
        };
        if let (Kind::Date | Kind::Code | Kind::Identity | Kind::Setting, Some(known)) =
            (kind, known)
        {
            let was = &known.reading.value;
            let is = &reading.value;
            let differs = || Doubt::Differs { was: was.to_string(), is: is.to_string() };
            return (was != is).then(differs);
        }
        let Value::Number(is) = reading.value else { return None };
        match (kind, known) {
            (Kind::Gauge, known) if is_bounded(reading.unit) => {
                let seen = known.map_or(Decimal::ZERO, |known| known.most);
                let most = highest(reading.unit, seen)?;
                (is.abs() > most).then_some(Doubt::Unlikely { is })
            }
            (Kind::Counter, Some(Known { reading: before, most, at, .. })) => {
                let Value::Number(was) = before.value else { return None };
                if is < was {
                    return Some(Doubt::Fell { was, is });
                }
                let most = most_risen(reading, *most, at.elapsed())?;
                (is.checked_sub(was)? > most).then_some(Doubt::Jumped { was, is })
            }
            (Kind::WrappingCounter, Some(known)) => leap(known, reading),
            _ => None,
        }
    }

    /// Why a register that is not in the catalogue must be read again. Its unit shows what it can
    /// have: a gauge has the bounds of a house. Others are compared with the value before.
    fn doubt_unnamed(&self, reading: &Reading) -> Option<Doubt> {
        let Value::Number(is) = reading.value else { return None };
        if is_bounded(reading.unit) {
            return (is.abs() > usual(reading.unit)?).then_some(Doubt::Unlikely { is });
        }
        // A number without a unit may be a code.
        let known = self.known.get(&reading.register)?;
        leap(known, reading).filter(|_| reading.unit.quantity() != Quantity::Number)
    }

    /// Forgets what this poll has read of a register.
    pub(crate) fn restore(&mut self, register: RegisterId, before: &Self) {
        match before.known.get(&register) {
            Some(known) => self.known.insert(register, known.clone()),
            None => self.known.remove(&register),
        };
    }

    /// Remembers a reading that is published.
    pub(crate) fn accept(&mut self, reading: &Reading) {
        self.remember(reading, false);
    }

    /// Remembers a reading that is published because a second one agreed with it.
    pub(crate) fn accept_confirmed(&mut self, reading: &Reading) {
        self.remember(reading, true);
    }

    fn remember(&mut self, reading: &Reading, is_confirmed: bool) {
        let known = self.known.get(&reading.register);
        let before = known.filter(|known| Shape::of(&known.reading) == Shape::of(reading));
        let is = match (reading.register.info().map(|info| info.kind), &reading.value) {
            (Some(Kind::Gauge), Value::Number(number)) => Some(number.abs()),
            _ => before.and_then(|before| rate(before, reading)),
        };
        // If a counter falls, its fastest rise until then was wrong, or another meter's.
        let has_fallen = is.is_some_and(|is| is.is_sign_negative() && !is.is_zero());
        let before = before.filter(|_| !has_fallen);
        let most = before.map_or(Decimal::ZERO, |before| before.most);
        let known = Known {
            is_certain: true,
            reading: reading.clone(),
            at: Instant::now(),
            most: most.max(is.filter(|_| is_confirmed).unwrap_or_default()),
        };
        self.known.insert(reading.register, known);
    }
}

/// Whether two consecutive readings of a register agree, if one of them had this doubt. `between` is
/// the time between them, in which a counter with a fine resolution may rise by many steps.
#[must_use]
pub(crate) fn agree(first: &Reading, second: &Reading, doubt: &Doubt, between: Duration) -> bool {
    match doubt {
        Doubt::Unlikely { .. } => are_near(first, second),
        Doubt::Leapt { .. } => {
            let risen = most_risen(second, Decimal::ZERO, between.saturating_mul(2));
            are_near(first, second) || are_within(first, second, risen)
        }
        Doubt::Differs { .. } => first.value == second.value,
        _ => {
            // A large house may have twice the usual power.
            let between = between.saturating_mul(2);
            let risen = is_counter(second).then(|| most_risen(second, Decimal::ZERO, between));
            are_within(first, second, risen.flatten().or_else(|| steps(second)))
        }
    }
}

/// Whether a counter is lower in the second of two consecutive readings. Then one of them is wrong,
/// or the second is a late answer.
#[must_use]
pub(crate) fn has_counter_fallen(first: &Reading, second: &Reading) -> bool {
    match (&first.value, &second.value) {
        (Value::Number(before), Value::Number(after)) if is_counter(second) => {
            Shape::of(first) == Shape::of(second) && after < before
        }
        _ => false,
    }
}

/// A doubt about a register that counts up and may wrap, or is not known at all, if it changed by
/// more than a counter rises. A wrap is such a change too: it costs one more request.
fn leap(known: &Known, reading: &Reading) -> Option<Doubt> {
    let (Value::Number(was), Value::Number(is)) = (&known.reading.value, &reading.value) else {
        return None;
    };
    let most = most_risen(reading, known.most, known.at.elapsed())?;
    let risen = is.checked_sub(*was)?;
    let is_usual = risen >= Decimal::ZERO && risen <= most;
    (!is_usual).then_some(Doubt::Leapt { was: *was, is: *is })
}

fn is_counter(reading: &Reading) -> bool {
    reading.register.info().is_some_and(|info| info.kind == Kind::Counter)
}

/// Whether two consecutive readings of a gauge are about the same. A greater value may change by
/// more.
#[must_use]
pub(crate) fn are_near(first: &Reading, second: &Reading) -> bool {
    let part = match &second.value {
        Value::Number(after) => after.abs().checked_div(PARTS.into()),
        _ => None,
    };
    are_within(first, second, steps(second).max(part))
}

/// By how much a value may change between two consecutive readings.
fn steps(reading: &Reading) -> Option<Decimal> {
    reading.step().and_then(|step| step.checked_mul(STEPS.into()))
}

fn are_within(first: &Reading, second: &Reading, little: Option<Decimal>) -> bool {
    if Shape::of(first) != Shape::of(second) {
        return false;
    }
    let (Value::Number(before), Value::Number(after)) = (&first.value, &second.value) else {
        return first.value == second.value;
    };
    after == before
        || after.checked_sub(*before).zip(little).is_some_and(|(by, little)| by.abs() <= little)
}

/// How much a counter may rise in a time; `None` if it has no bound.
fn most_risen(reading: &Reading, fastest: Decimal, elapsed: Duration) -> Option<Decimal> {
    let seconds = Decimal::from(elapsed.as_secs().saturating_add(1));
    let most = most(reading.unit, fastest)?;
    let risen = most.checked_mul(seconds)?.checked_div(Decimal::from(3600))?;
    risen.checked_add(reading.step()?.checked_mul(STEPS.into())?)
}

/// Whether a gauge in this unit has bounds in a house: a power, a flow or a temperature.
fn is_bounded(unit: Unit) -> bool {
    use Quantity::{Flow, MassFlow, Power, Temperature, TemperatureDifference};
    matches!(unit.quantity(), Flow | MassFlow | Power | Temperature | TemperatureDifference)
}

/// The highest value of a gauge that is not doubted: what any house reaches, or twice what this meter
/// has had beyond that. An ordinary value that was read twice is no reason to allow more.
fn highest(unit: Unit, seen: Decimal) -> Option<Decimal> {
    let usual = usual(unit)?;
    if seen > usual { seen.checked_mul(Decimal::TWO) } else { Some(usual) }
}

/// The most that any house reaches, or a multiple of the most that this meter has had.
fn most(unit: Unit, seen: Decimal) -> Option<Decimal> {
    Some(usual(unit)?.max(seen.checked_mul(MARGIN.into())?))
}

/// The most that a house usually reaches: 100 kW, 10 m³/h, 200 °C; for a counter the same in its
/// unit per hour, and one hour per hour.
fn usual(unit: Unit) -> Option<Decimal> {
    // A kilowatt-hour is 3.6 MJ, and 860 kcal.
    const KILOWATTS: i64 = 100;
    const MEGAJOULES: i64 = 360;
    const KILOCALORIES: i64 = 86_000;
    const CUBIC_METRES: i64 = 10;
    const DEGREES: i64 = 200;
    const MILLION: i64 = 1_000_000;
    let number = match unit {
        Unit::WATT_HOUR | Unit::WATT => Decimal::from(KILOWATTS.checked_mul(1000)?),
        Unit::KILOWATT_HOUR | Unit::KILOWATT => Decimal::from(KILOWATTS),
        Unit::MEGAWATT_HOUR | Unit::MEGAWATT => Decimal::new(KILOWATTS, 3),
        Unit::GIGAWATT_HOUR | Unit::GIGAWATT => Decimal::new(KILOWATTS, 6),
        Unit::JOULE => Decimal::from(MEGAJOULES.checked_mul(MILLION)?),
        Unit::KILOJOULE => Decimal::from(MEGAJOULES.checked_mul(1000)?),
        Unit::MEGAJOULE => Decimal::from(MEGAJOULES),
        Unit::GIGAJOULE => Decimal::new(MEGAJOULES, 3),
        Unit::TEN_GIGAJOULES => Decimal::new(MEGAJOULES, 4),
        Unit::CALORIE => Decimal::from(KILOCALORIES.checked_mul(1000)?),
        Unit::KILOCALORIE => Decimal::from(KILOCALORIES),
        Unit::MEGACALORIE => Decimal::new(KILOCALORIES, 3),
        Unit::GIGACALORIE => Decimal::new(KILOCALORIES, 6),
        // A tonne of water is a cubic metre.
        Unit::CUBIC_METRE | Unit::TONNE | Unit::CUBIC_METRE_PER_HOUR | Unit::TONNE_PER_HOUR => {
            Decimal::from(CUBIC_METRES)
        }
        Unit::TEN_CUBIC_METRES | Unit::TEN_TONNES => Decimal::new(CUBIC_METRES, 1),
        Unit::LITRE | Unit::LITRE_PER_HOUR => Decimal::from(CUBIC_METRES.checked_mul(1000)?),
        Unit::CUBIC_METRE_CELSIUS => Decimal::from(CUBIC_METRES.checked_mul(DEGREES)?),
        // The sensors measure up to 185 °C (TD 403 p.94).
        Unit::CELSIUS | Unit::KELVIN => Decimal::from(DEGREES),
        Unit::DAY => Decimal::new(42, 3),
        Unit::HOUR => Decimal::ONE,
        Unit::MINUTE => Decimal::from(60),
        Unit::SECOND => Decimal::from(3600),
        Unit::MILLISECOND => Decimal::from(3_600_000),
        // More than one event a minute is unusual.
        unit if unit.quantity() == Quantity::Number => Decimal::from(60),
        _ => return None,
    };
    Some(number)
}

fn rate(known: &Known, reading: &Reading) -> Option<Decimal> {
    let (Value::Number(was), Value::Number(is)) = (&known.reading.value, &reading.value) else {
        return None;
    };
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

    const GOOD: ReadingQuality =
        ReadingQuality { clean: true, may_be_late: false, proof: Proof::Certain };

    const HOUR: Duration = Duration::from_secs(3600);
    const AT_ONCE: Duration = Duration::ZERO;

    fn words(plausibility: &Plausibility, reading: &Reading) -> String {
        plausibility.doubt(reading, GOOD).map_or_else(String::new, |doubt| doubt.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_reading_is_doubted_only_on_a_noisy_line() {
        let plausibility = Plausibility::default();
        assert_eq!(plausibility.doubt(&energy(5), GOOD), None);
        let noisy = ReadingQuality { clean: false, ..GOOD };
        assert_eq!(plausibility.doubt(&energy(5), noisy), Some(Doubt::Noisy));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_may_be_late_is_always_doubted() {
        let mut plausibility = Plausibility::default();
        plausibility.accept(&energy(5));
        let late = ReadingQuality { may_be_late: true, ..GOOD };
        assert_eq!(plausibility.doubt(&energy(5), late), Some(Doubt::MayBeLate));
    }

    #[tokio::test(start_paused = true)]
    async fn a_counter_that_falls_or_rises_too_fast_is_doubted() {
        let mut plausibility = Plausibility::default();
        plausibility.accept(&energy(1000));
        tokio::time::advance(HOUR).await;
        assert_eq!(words(&plausibility, &energy(1000)), "");
        assert_eq!(words(&plausibility, &energy(1101)), "");
        assert_eq!(
            words(&plausibility, &energy(1103)),
            "rose from 1000 to 1103, faster than expected"
        );
        assert_eq!(
            words(&plausibility, &energy(999)),
            "fell from 1000 to 999: the earlier value was too high"
        );
        assert_eq!(words(&plausibility, &energy(400)), "fell from 1000 to 400: it was reset");
        // A confirmed rise widens the bound.
        plausibility.accept_confirmed(&energy(1300));
        tokio::time::advance(HOUR).await;
        assert_eq!(words(&plausibility, &energy(4000)), "");
        assert_ne!(words(&plausibility, &energy(5000)), "");
    }

    /// Two wrong readings that agree widen the bound only until a right one arrives.
    #[tokio::test(start_paused = true)]
    async fn a_counter_that_fell_again_has_the_usual_bound() {
        let mut plausibility = Plausibility::default();
        for (value, is_doubted) in [(1000, false), (900_000, true), (1001, true), (900_000, true)] {
            tokio::time::advance(HOUR).await;
            assert_eq!(plausibility.doubt(&energy(value), GOOD).is_some(), is_doubted, "{value}");
            plausibility.accept_confirmed(&energy(value));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rise_that_is_not_doubted_does_not_widen_the_bound() {
        let mut plausibility = Plausibility::default();
        plausibility.accept(&energy(1000));
        for number in 1..10 {
            tokio::time::advance(HOUR).await;
            let next = energy(1000 + 100 * number);
            assert_eq!(words(&plausibility, &next), "");
            plausibility.accept(&next);
            assert_ne!(words(&plausibility, &energy(1000 + 100 * number + 4)), "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gauge_may_change_freely_but_not_its_format() {
        let mut plausibility = Plausibility::default();
        plausibility.accept(&celsius(6_000));
        assert_eq!(words(&plausibility, &celsius(1)), "");
        let other = reading(86, Unit::CELSIUS, -1, &[0, 1]);
        assert_eq!(
            words(&plausibility, &other),
            "changed its format from 2 bytes in °C with exponent -2 to 2 bytes in °C with exponent -1"
        );
        assert_ne!(words(&plausibility, &reading(86, Unit::KELVIN, -2, &[0, 1])), "");
        assert_eq!(
            words(&plausibility, &reading(86, Unit::NONE, -2, &[0, 1])),
            "changed its format from 2 bytes in °C with exponent -2 to 2 bytes without a unit with \
             exponent -2"
        );
        assert_ne!(words(&plausibility, &reading(86, Unit::CELSIUS, -2, &[0, 0, 0, 1])), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gauge_is_doubted_outside_the_range_of_a_house() {
        let mut plausibility = Plausibility::default();
        let kilowatts = |tenths: u32| reading(80, Unit::KILOWATT, -1, &tenths.to_be_bytes());
        assert_eq!(words(&plausibility, &kilowatts(1000)), "");
        assert_eq!(words(&plausibility, &kilowatts(1001)), "is 100.1, outside the usual range");
        assert_eq!(words(&plausibility, &celsius(20_001)), "is 200.01, outside the usual range");
        let flow = |litres: u32| reading(74, Unit::LITRE_PER_HOUR, 0, &litres.to_be_bytes());
        assert_eq!(words(&plausibility, &flow(10_000)), "");
        assert_ne!(words(&plausibility, &flow(10_001)), "");
        // A large house, and one that had even more.
        plausibility.accept_confirmed(&kilowatts(4_000));
        plausibility.accept(&kilowatts(10));
        assert_eq!(words(&plausibility, &kilowatts(8_000)), "");
        assert_ne!(words(&plausibility, &kilowatts(8_001)), "");
        // Nothing happened to the meter.
        assert!(!plausibility.doubt(&kilowatts(8_001), GOOD).unwrap().is_change());
        // A program number has no bounds.
        assert_eq!(words(&plausibility, &reading(98, Unit::NUMBER, 0, &[0xFF; 4])), "");
    }

    /// A temperature of 70 °C that a noisy line had made the program read twice allowed 700 °C, so one
    /// wrong bit was enough for 397.89 °C.
    #[tokio::test(start_paused = true)]
    async fn an_ordinary_gauge_that_was_read_twice_allows_nothing_higher() {
        let mut plausibility = Plausibility::default();
        plausibility.accept_confirmed(&celsius(7_021));
        assert!(words(&plausibility, &celsius(39_789)).starts_with("is 397.89"));
        assert_eq!(words(&plausibility, &celsius(19_000)), "");
        // A large building has more than 100 kW.
        let power = |kilowatts: u16| reading(80, Unit::KILOWATT, 0, &kilowatts.to_be_bytes());
        plausibility.accept_confirmed(&power(300));
        assert_eq!(words(&plausibility, &power(600)), "");
        assert!(words(&plausibility, &power(601)).starts_with("is 601"));
    }

    /// Such as a code, a date or a serial number.
    #[tokio::test(start_paused = true)]
    async fn a_value_that_hardly_ever_changes_is_read_again_when_it_does() {
        let mut plausibility = Plausibility::default();
        let code = |code: u16| reading(99, Unit::NUMBER, 0, &code.to_be_bytes());
        let date = |digits: u32| reading(123, Unit::DATE_YYMMDD, 0, &digits.to_be_bytes());
        assert_eq!(plausibility.doubt(&code(8), GOOD), None, "nothing is known yet");
        plausibility.accept(&code(0));
        plausibility.accept(&date(260_101));
        assert_eq!(words(&plausibility, &code(0)), "");
        assert_eq!(words(&plausibility, &code(8)), "changed from 0 to 8");
        assert_eq!(words(&plausibility, &date(260_102)), "changed from 2026-01-01 to 2026-01-02");
        let doubt = plausibility.doubt(&code(8), GOOD).unwrap();
        assert!(!doubt.is_change());
        assert!(
            agree(&code(8), &code(8), &doubt, AT_ONCE)
                && !agree(&code(8), &code(9), &doubt, AT_ONCE)
        );
    }

    const FELL: Doubt = Doubt::Fell { was: Decimal::TEN, is: Decimal::ONE };

    /// At 150 kW, a counter of watt-hours rises by 42 of its steps each second. No two readings of it
    /// agreed, so a value that was doubtful once was never published.
    #[test]
    fn a_fine_counter_may_rise_by_many_steps_between_two_readings() {
        let energy = |watt_hours: u32| reading(60, Unit::WATT_HOUR, 0, &watt_hours.to_be_bytes());
        let after = |seconds, watt_hours| {
            let between = Duration::from_secs(seconds);
            agree(&energy(1_000_000), &energy(watt_hours), &Doubt::MayBeLate, between)
        };
        assert!(after(2, 1_000_083) && after(10, 1_000_417));
        assert!(!after(2, 1_000_417) && !after(0, 1_000_083));
        // A gauge is no counter.
        let power = |watts: u32| reading(80, Unit::WATT, 0, &watts.to_be_bytes());
        let between = Duration::from_secs(10);
        assert!(!agree(&power(1_000), &power(1_083), &Doubt::MayBeLate, between));
    }

    /// Counters in these units could rise by anything.
    #[tokio::test(start_paused = true)]
    async fn a_counter_in_any_unit_has_a_bound() {
        let (energy, volume, mass, hours) = (60, 68, 72, 1004);
        let units = [
            (energy, Unit::GIGAWATT_HOUR, -9),
            (energy, Unit::JOULE, 5),
            (energy, Unit::KILOJOULE, 2),
            (energy, Unit::MEGAJOULE, 0),
            (energy, Unit::TEN_GIGAJOULES, -4),
            (energy, Unit::CALORIE, 5),
            (energy, Unit::KILOCALORIE, 2),
            (energy, Unit::MEGACALORIE, 0),
            (volume, Unit::TEN_CUBIC_METRES, -3),
            (mass, Unit::TEN_TONNES, -3),
            (hours, Unit::MINUTE, 0),
            (hours, Unit::SECOND, 0),
            (hours, Unit::DAY, -4),
        ];
        for (register, unit, exponent) in units {
            let at = |mantissa: u32| reading(register, unit, exponent, &mantissa.to_be_bytes());
            let mut plausibility = Plausibility::default();
            plausibility.accept(&at(1_000_000));
            tokio::time::advance(HOUR / 60).await;
            assert_eq!(words(&plausibility, &at(1_000_002)), "", "{unit}");
            assert!(words(&plausibility, &at(1_050_000)).starts_with("rose from"), "{unit}");
        }
    }

    #[test]
    fn two_readings_agree_if_they_are_nearly_the_same() {
        let agree = |first: &Reading, second: &Reading| agree(first, second, &FELL, AT_ONCE);
        assert!(agree(&energy(1000), &energy(1000)));
        assert!(agree(&energy(1000), &energy(1002)));
        assert!(!agree(&energy(1000), &energy(1003)));
        assert!(!agree(
            &energy(1000),
            &reading(60, Unit::MEGAWATT_HOUR, 0, &1000_u32.to_be_bytes())
        ));
        let date = |digits: u32| reading(123, Unit::DATE_YYMMDD, 0, &digits.to_be_bytes());
        assert!(agree(&date(260_101), &date(260_101)));
        // A high power varies more.
        let power = |tenths: u32| reading(80, Unit::KILOWATT, -1, &tenths.to_be_bytes());
        let unlikely = Doubt::Unlikely { is: Decimal::from(500) };
        assert!(!agree(&power(5_000), &power(5_600)));
        assert!(super::agree(&power(5_000), &power(5_600), &unlikely, AT_ONCE));
        assert!(!super::agree(&power(5_000), &power(5_800), &unlikely, AT_ONCE));
        assert!(!agree(&date(260_101), &date(260_102)));
    }
}
