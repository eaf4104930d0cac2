//! Mean temperatures of district heating, weighted by volume, from a meter's counters.
//!
//! Suppliers in Denmark and Sweden charge or refund by the mean return temperature of a month or a
//! heating year, weighted by volume. A heat meter has what is needed for that (Kamstrup 5512-2701
//! E1 p.62-63):
//!
//! | register | counts |
//! |---|---|
//! | E1 (60) | energy |
//! | V1 (68) | m³ |
//! | E8 (97) | m³ × supply temperature |
//! | E9 (110) | m³ × return temperature |
//!
//! Over any time, the mean supply temperature is ΔE8 / ΔV1, and the mean return temperature is
//! ΔE9 / ΔV1. A mean of temperatures that were read now and then is not the same: it gives hours
//! without flow the same weight.
//!
//! This crate is pure: it knows no meter, no database and no clock. All numbers are decimals.
//!
//! # Errors
//!
//! Each counter shows whole steps of its resolution. So the difference of two of its values is less
//! than one step away from the true one. A mean is known only if it differs from the true mean by at
//! most 0.5 K, whatever the digits that the counters do not show ([`Means`]).
//!
//! # Breaks and gaps
//!
//! No mean spans a fall of a counter: the counter was reset, or belongs to another meter. Such a
//! mean begins after the fall ([`unbroken`]). While nobody reads the meter, its counters continue.
//! So a mean may span a gap in the readings. If the gap includes the start of a period, the mean
//! begins with the first reading after the gap ([`Period::first_of`]).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod limit;
mod means;
mod period;
mod stretch;

pub use self::limit::{Limit, Row};
pub use self::means::{Counters, EnergyFactor, Mean, Means, Point, rounded};
pub use self::period::{NEAR, Period};
pub use self::stretch::{Daily, Stretch, daily, unbroken};
