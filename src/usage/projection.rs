//! Computes what polls at another interval would cost, from the mean cost of the polls of each
//! class.
//!
//! How many polls of each class a day has is known: slow registers are read once in each slow
//! interval, and the info code once an hour. The mean cost of a class is that of the polls that the
//! ledger has counted. If it has none of a class:
//!
//! - After a long pause, a poll also asks for the serial number, which takes 16 bytes.
//! - The two additions to a poll, slow registers and info code, cost as much together as each of
//!   them alone.
//! - Otherwise, the cost is at most that of a poll which reads more.

use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use super::{Class, LONG_PAUSE, Ledger, Settings};
use history::Usage;

/// The intervals, in addition to the meter's own.
const INTERVALS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The request for the serial number and its answer, in bytes.
const SERIAL_NUMBER: u8 = 16;

/// What a day of polls would cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Projected {
    pub(crate) interval: Duration,
    /// Whether this is the meter's interval.
    pub(crate) is_own: bool,
    /// Polls a day, with two decimal places if they are not whole.
    pub(crate) polls: Decimal,
    /// Bytes in both directions.
    pub(crate) bytes: u64,
    pub(crate) awake: Duration,
    /// Whether the true cost may be less.
    pub(crate) is_at_most: bool,
}

/// The cost of a poll, or of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    bytes: Decimal,
    /// Seconds.
    awake: Decimal,
    is_at_most: bool,
}

impl Cost {
    /// The mean of some polls; `None` if there are none.
    fn mean(usage: Usage) -> Option<Self> {
        let polls = Decimal::from(usage.polls);
        let bytes = Decimal::from(usage.sent.saturating_add(usage.received));
        Some(Self {
            bytes: bytes.checked_div(polls)?,
            awake: seconds(usage.awake)?.checked_div(polls)?,
            is_at_most: false,
        })
    }

    fn combined(
        self,
        other: Self,
        with: impl Fn(Decimal, Decimal) -> Option<Decimal>,
    ) -> Option<Self> {
        Some(Self {
            bytes: with(self.bytes, other.bytes)?,
            awake: with(self.awake, other.awake)?,
            is_at_most: self.is_at_most || other.is_at_most,
        })
    }

    fn plus(self, other: Self) -> Option<Self> {
        self.combined(other, Decimal::checked_add)
    }

    /// The difference, which is never negative.
    fn beyond(self, other: Self) -> Option<Self> {
        self.combined(other, |one, other| Some(one.checked_sub(other)?.max(Decimal::ZERO)))
    }

    fn times(self, count: Decimal) -> Option<Self> {
        let Self { bytes, awake, is_at_most } = self;
        Some(Self {
            bytes: bytes.checked_mul(count)?,
            awake: awake.checked_mul(count)?,
            is_at_most,
        })
    }
}

/// What a day would cost at the meter's interval and at others, as far as that is known.
pub(crate) fn projected(ledger: &Ledger, settings: &Settings) -> Vec<Projected> {
    let mut intervals = INTERVALS.to_vec();
    intervals.push(settings.interval);
    intervals.sort_unstable();
    intervals.dedup();
    let day = |interval| Past { ledger, settings }.day(interval);
    intervals.into_iter().filter_map(day).collect()
}

/// The polls that were counted.
struct Past<'a> {
    ledger: &'a Ledger,
    settings: &'a Settings,
}

impl Past<'_> {
    fn day(&self, interval: Duration) -> Option<Projected> {
        let polls = per_day(interval)?;
        let slow = self.settings.slow_interval.map_or(Some(Decimal::ZERO), per_day)?.min(polls);
        let code = if self.has_code()? { per_day(HOUR)?.min(polls) } else { Decimal::ZERO };
        let rare = interval >= LONG_PAUSE;
        let is_counted = |slow, code| self.mean(Class { slow, code, rare }).is_some();
        // If the same polls read both, they were counted together.
        let are_together =
            is_counted(true, true) && !(is_counted(true, false) && is_counted(false, true));
        let together = if are_together { slow.min(code) } else { Decimal::ZERO };
        let both = slow.checked_add(code)?.checked_sub(polls)?.max(together);
        let [slow, code] = [slow.checked_sub(both)?, code.checked_sub(both)?];
        let plain = polls.checked_sub(slow)?.checked_sub(code)?.checked_sub(both)?;
        let counts = [
            (plain, Class { slow: false, code: false, rare }),
            (slow, Class { slow: true, code: false, rare }),
            (code, Class { slow: false, code: true, rare }),
            (both, Class { slow: true, code: true, rare }),
        ];
        let mut sum = Cost::default();
        for (count, class) in counts.into_iter().filter(|(count, _)| !count.is_zero()) {
            sum = sum.plus(self.poll(class)?.times(count)?)?;
        }
        let whole = |value: Decimal| {
            value.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
        };
        let whole_day = per_day(Duration::from_secs(1))?;
        Some(Projected {
            interval,
            is_own: interval == self.settings.interval,
            polls: polls.round_dp(2).normalize(),
            bytes: whole(sum.bytes).try_into().ok()?,
            awake: Duration::from_secs(whole(sum.awake.min(whole_day)).try_into().ok()?),
            is_at_most: sum.is_at_most,
        })
    }

    /// The cost of a poll of a class.
    fn poll(&self, class: Class) -> Option<Cost> {
        let Class { slow, code, rare } = class;
        let mean = |class| self.mean(class);
        let sum = |rare| {
            let of = |slow, code| mean(Class { slow, code, rare });
            let added = of(slow, false)?.beyond(of(false, false)?)?;
            of(false, code)?.plus(added)
        };
        let after_pause = |cost: Option<Cost>| cost.filter(|_| rare)?.plus(self.serial_number()?);
        let exact = mean(class)
            .or_else(|| sum(rare))
            .or_else(|| after_pause(mean(Class { rare: false, ..class })))
            .or_else(|| after_pause(sum(false)));
        let at_most = || {
            let others = Class::all().filter(|other| other.includes(class));
            let most = others.filter_map(mean).min_by_key(|cost| cost.bytes)?;
            Some(Cost { is_at_most: true, ..most })
        };
        exact.or_else(at_most)
    }

    fn mean(&self, class: Class) -> Option<Cost> {
        Cost::mean(self.ledger.class(class))
    }

    /// What the request for the serial number costs, without the time until the meter answers.
    fn serial_number(&self) -> Option<Cost> {
        let awake = seconds(self.settings.line.time_for(SERIAL_NUMBER.into()))?;
        Some(Cost { bytes: SERIAL_NUMBER.into(), awake, is_at_most: false })
    }

    /// Whether some polls read an info code that is not among the values. `None` if there were too
    /// few polls to know that: it is read once an hour.
    fn has_code(&self) -> Option<bool> {
        let polls = |class| self.ledger.class(class).polls;
        if Class::all().any(|class| class.code && polls(class) > 0) {
            return Some(true);
        }
        let polls = Class::all().map(polls).fold(0, u64::saturating_add);
        let polls = u32::try_from(polls).unwrap_or(u32::MAX);
        let is_enough = self.settings.interval.saturating_mul(polls) >= HOUR.saturating_mul(2);
        is_enough.then_some(false)
    }
}

/// How many times a day something happens.
fn per_day(interval: Duration) -> Option<Decimal> {
    Decimal::from(24 * 60 * 60).checked_div(seconds(interval)?)
}

fn seconds(duration: Duration) -> Option<Decimal> {
    let micros = i128::try_from(duration.as_micros()).ok()?;
    Decimal::try_from_i128_with_scale(micros, 6).ok()
}
