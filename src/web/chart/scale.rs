//! The vertical scale of a chart.

use rust_decimal::Decimal;

use super::shape::{HEIGHT, Level, TALL, TOP};
use crate::language::Language;

/// A scale has at most this many steps.
const STEPS: i64 = 4;

/// The range of a plot. Its steps are 1, 2 or 5 times a power of ten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) low: Decimal,
    pub(super) high: Decimal,
    pub(super) step: Decimal,
}

impl Scale {
    /// Contains `low` and `high`; `None` if that has too many digits.
    pub(super) fn new(low: Decimal, high: Decimal, from_zero: bool) -> Option<Self> {
        let (low, high) =
            if from_zero { (low.min(Decimal::ZERO), high.max(Decimal::ZERO)) } else { (low, high) };
        let width = high.checked_sub(low)?;
        let step = if width.is_zero() {
            Decimal::ONE
        } else {
            let most = Decimal::from(STEPS);
            let enough = |step: &Decimal| step.checked_mul(most).is_some_and(|all| all >= width);
            steps().find(enough)?
        };
        let whole = |value: Decimal| value.checked_div(step);
        let mut high = whole(high)?.ceil().checked_mul(step)?;
        let low = whole(low)?.floor().checked_mul(step)?;
        if high == low {
            high = low.checked_add(step)?;
        }
        Some(Self { low, high, step })
    }

    /// The place of a value, from top to bottom.
    pub(super) fn place(&self, value: Decimal) -> Option<i64> {
        let whole = self.high.checked_sub(self.low)?;
        let beneath = self.high.checked_sub(value)?;
        let place = beneath.checked_mul(Decimal::from(HEIGHT))?.checked_div(whole)?;
        i64::try_from(place.round()).ok()
    }

    pub(super) fn levels(&self, language: Language) -> Vec<Level> {
        let mut levels = Vec::new();
        let mut value = Some(self.low);
        while let Some(now) = value.filter(|value| *value <= self.high) {
            let text = language.number(&now.normalize().to_string());
            let place = self.place(now).and_then(|place| place.checked_mul(TALL));
            if let Some(place) = place.and_then(|place| place.checked_div(HEIGHT)) {
                let y = place.saturating_add(TOP);
                levels.push(Level { y, text_y: y.saturating_add(4), text });
            }
            // With too many digits, the sum is rounded, and can be the same number again.
            value = now.checked_add(self.step).filter(|next| *next > now);
        }
        levels
    }
}

/// 0.000001, 0.000002, 0.000005, 0.00001 and so on.
fn steps() -> impl Iterator<Item = Decimal> {
    (0_u32..24).flat_map(|power| {
        [1_i64, 2, 5].into_iter().filter_map(move |digit| {
            let whole = 10_i64.checked_pow(power.saturating_sub(6));
            match power {
                0..6 => Some(Decimal::new(digit, 6_u32.saturating_sub(power))),
                _ => Decimal::from(whole?).checked_mul(Decimal::from(digit)),
            }
        })
    })
}
