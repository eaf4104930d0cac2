//! Decimals in JSON, without binary numbers in between.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// A number of Home Assistant. It computes with binary numbers, which have at most 17 digits.
pub(crate) fn read(raw: &RawValue) -> Option<Decimal> {
    let text = raw.get();
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}

/// The decimal as a number in JSON.
pub(crate) fn written(value: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(value.normalize().to_string()).ok()
}
