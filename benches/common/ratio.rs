//! Ratios without floats.

use anyhow::Context;
use rust_decimal::Decimal;

/// Divides, and rounds to this number of decimal places.
pub(crate) fn ratio<T>(number: T, of: T, places: u32) -> anyhow::Result<Decimal>
where
    Decimal: TryFrom<T>,
{
    let decimal = |number| Decimal::try_from(number).ok().context("a number in range");
    let ratio = decimal(number)?.checked_div(decimal(of)?).context("a divisor other than zero")?;
    Ok(ratio.round_dp(places))
}
