//! Encodes dates and times for registers.

use jiff::civil::DateTime;

/// Encodes a date and time in unit 79, with the minutes to add to it; `None` outside the years 2000
/// to 2255.
pub(super) fn seven_bytes(at: DateTime, offset: u8) -> Option<[u8; 7]> {
    let year = u8::try_from(at.year().checked_sub(2000)?).ok()?;
    let [month, day, hour, minute, second] =
        [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i8::unsigned_abs);
    Some([offset, year, month, day, hour, minute, second])
}

/// Joins the parts to a number, with two digits for each part.
pub(super) fn digits(parts: &[i16]) -> i64 {
    parts.iter().fold(0, |sum, part| sum * 100 + i64::from(*part))
}
