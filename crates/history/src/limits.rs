//! The limits on how much is kept, and on how much is done at a time.

/// The number of hours whose readings are all kept: two days, and the hour before.
pub(crate) const RECENT_HOURS: u32 = 49;
/// The most readings of one value that are kept from an hour that is over: one every ten seconds.
/// If there are more, the lowest and the highest of each stretch remain.
pub(crate) const PER_HOUR: usize = 360;
/// The number of hours that are kept: 400 days.
pub(crate) const HOURS: u32 = 400 * 24;
/// The number of days that are kept: ten years.
pub(crate) const DAYS: u32 = 3_653;
/// The most serial numbers of a meter whose readings are kept. A device that sends another one in
/// each poll would add its series to each poll.
pub(crate) const SERIALS: u32 = 32;
/// The number of days for which the cost of a meter's polls is kept: more than a month, so that it is
/// known whether a month was counted from its start.
pub(crate) const USAGE_DAYS: u32 = 45;
/// The number of months that can be read: ten years.
pub(crate) const MONTHS: u32 = 120;

/// The most rows that a step of folding reads or deletes. Polls are written between two steps.
pub(crate) const ROWS_PER_STEP: usize = 4_000;
/// The most series that a step of folding writes. Each takes the 25 hours of a day, its own row of
/// the hour and that of the day.
pub(crate) const SERIES_PER_STEP: usize = 100;

/// How many instructions of the database pass until a reader looks whether it is still needed:
/// less than a millisecond.
pub(crate) const INSTRUCTIONS: i32 = 10_000;
