//! The limits on how much is kept.

/// The number of hours whose readings are all kept: two days, and the hour before.
pub(crate) const RECENT_HOURS: u32 = 49;
/// The most readings of one value that are kept from an hour that is over: one every ten seconds.
/// If there are more, the lowest and the highest of each stretch remain.
pub(crate) const PER_HOUR: usize = 360;
/// The number of hours that are kept: 400 days.
pub(crate) const HOURS: u32 = 400 * 24;
/// The number of days that are kept: ten years.
pub(crate) const DAYS: u32 = 3_653;
/// The number of months in as many days.
pub(crate) const MONTHS: u32 = 120;
