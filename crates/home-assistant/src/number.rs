//! Decimals in JSON, without binary numbers in between.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// A number of Home Assistant. It computes with binary numbers, which have at most 17 digits.
pub(crate) fn read(raw: &RawValue) -> Option<Decimal> {
    let text = raw.get();
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok().or_else(|| rounded(text));
    }
    Decimal::from_str_exact(text).ok()
}

/// A number with more decimal places than a decimal has, such as the rest of a subtraction of binary
/// numbers: 5.551115123125783e-17. It is rounded.
fn rounded(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let shift = exponent.strip_prefix('-')?.parse::<u32>().ok()?;
    let mut value = Decimal::from_str_exact(mantissa).ok()?;
    for _ in 0..shift.min(60) {
        value = value.checked_div(Decimal::TEN)?;
    }
    Some(value)
}

/// The decimal as a number in JSON.
pub(crate) fn written(value: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(value.normalize().to_string()).ok()
}
