//! What the polls of a meter cost its battery: bytes, and the time for which they keep it awake.
//!
//! The [`Ledger`] counts that by day. The history keeps the days, so they survive a restart. An
//! exchanged meter begins a new ledger, because the serial number is part of the history's key.
//!
//! Polls that cost different amounts for a known reason are counted apart ([`Class`]). From the mean
//! of each class, [`projection`] computes what polls at another interval would cost. These means are
//! only of polls that were made with the present settings ([`Settings::plan`]).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod projection;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use kmp::line::{Line, RESPONSE_TIME};
use kmp::register::Pace;

use crate::config::Meter;
use history::{DayUsage, Usage, UsageRecord};
use meter::condition;
use meter::poll::PollResult;

pub(crate) use self::projection::{Projected, projected};

/// How many days "the last 30 days" are, with today.
const MONTH: i64 = 30;

/// The most days in a ledger: as many as the history keeps.
const MOST_DAYS: usize = 45;

/// After such a pause, the meter is asked for its serial number.
const LONG_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The settings that decide what a poll costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    interval: Duration,
    /// How often slow registers are read, if not all registers or none are slow.
    slow_interval: Option<Duration>,
    line: Line,
    /// Whether the info code is among the values, so that each poll reads it.
    has_code: bool,
    /// A number for all that decides what a poll of some class costs.
    plan: i64,
}

impl Settings {
    pub(crate) fn of(meter: &Meter) -> Self {
        let registers = meter.registers();
        let slow = registers.iter().filter(|register| register.pace() == Pace::Slow).count();
        let is_mixed = slow > 0 && slow < registers.len();
        let slow_interval = meter.slow_interval.filter(|_| is_mixed);
        let codes = condition::registers(&[]);
        let baud = meter.serial.baud.get();
        let line = Line::with_bits(baud, meter.serial.bits_per_byte());
        let mut plan = Fingerprint::new();
        plan.add(env!("CARGO_PKG_VERSION").as_bytes());
        plan.add(meter.endpoint.to_string().as_bytes());
        plan.add(format!("{:?} {baud} {slow_interval:?}", meter.version).as_bytes());
        for register in &registers {
            plan.add(&register.get().to_be_bytes());
        }
        Self {
            interval: meter.poll_interval,
            slow_interval,
            line,
            has_code: registers.iter().any(|register| codes.contains(register)),
            plan: plan.number(),
        }
    }

    /// Whether a poll costs the same with other settings. The interval may be another one.
    pub(crate) fn cost_as_much_as(&self, other: &Self) -> bool {
        self.plan == other.plan
    }

    /// Those of a meter without values.
    pub(crate) fn at_interval(interval: Duration) -> Self {
        let line = Line::new(1200);
        Self { interval, slow_interval: None, line, has_code: false, plan: 0 }
    }
}

/// The FNV-1a hash. It is stored, so it must not change with the compiler.
struct Fingerprint(u64);

impl Fingerprint {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        // The length separates it from what follows.
        for byte in bytes.iter().copied().chain(bytes.len().to_be_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Without its highest bits, which [`Kind::code`] uses.
    fn number(&self) -> i64 {
        i64::try_from(self.0 >> 8).unwrap_or_default()
    }
}

/// Why a poll costs more than another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Class {
    /// It reads slow registers too.
    slow: bool,
    /// It reads the info code too, which is not among the values.
    code: bool,
    /// It comes after a [`LONG_PAUSE`].
    rare: bool,
}

impl Class {
    const COUNT: usize = 8;

    fn index(self) -> usize {
        usize::from(self.slow) | usize::from(self.code) << 1 | usize::from(self.rare) << 2
    }

    /// Whether its polls cost at least as much as those of the other class.
    fn includes(self, other: Self) -> bool {
        self.slow >= other.slow && self.code >= other.code && self.rare >= other.rare
    }

    fn all() -> impl Iterator<Item = Self> {
        const BOTH: [bool; 2] = [false, true];
        BOTH.into_iter().flat_map(|rare| {
            BOTH.into_iter()
                .flat_map(move |code| BOTH.into_iter().map(move |slow| Self { slow, code, rare }))
        })
    }
}

/// What bytes on the line are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A poll as they should be.
    Poll(Class),
    /// A poll whose cost says nothing about that of others: it failed, identified the meter, or
    /// began while the meter was still awake.
    OtherPoll,
    /// The placement aid and scans.
    Job,
}

impl Kind {
    /// The number of other polls and jobs, after those of the classes.
    const OTHER: i64 = 8;
    const JOB: i64 = 9;
    /// The bits below the number of the plan.
    const BITS: u32 = 4;

    /// Its number in the history.
    pub(crate) fn code(self, settings: &Settings) -> i64 {
        match self {
            Self::Poll(class) => {
                let index = i64::try_from(class.index()).unwrap_or_default();
                settings.plan << Self::BITS | index
            }
            Self::OtherPoll => Self::OTHER,
            Self::Job => Self::JOB,
        }
    }
}

/// When a poll was made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    /// The time since the start of the previous poll; `None` for the first one.
    pub(crate) pause: Option<Duration>,
    /// The time since the end of the previous poll.
    pub(crate) rest: Duration,
}

/// What a poll has cost, and the jobs since the previous one.
pub(crate) fn costs(
    result: &PollResult,
    timing: Timing,
    settings: &Settings,
) -> Vec<(Kind, Usage)> {
    let (all, before) = (&result.traffic, &result.before);
    let job = Usage { polls: 0, sent: before.sent, received: before.received, awake: before.awake };
    let own = Usage {
        polls: 1,
        sent: all.sent.saturating_sub(before.sent),
        received: all.received.saturating_sub(before.received),
        awake: all.awake.saturating_sub(before.awake),
    };
    let has_job = job.sent > 0 || job.received > 0;
    let pause = timing.pause.filter(|_| {
        let is_whole = result.trouble.is_none() && !result.readings.is_empty();
        let was_asleep = timing.rest >= RESPONSE_TIME && !has_job;
        is_whole && was_asleep && result.exchange.is_none() && result.is_recognized
    });
    let kind = pause.map_or(Kind::OtherPoll, |pause| {
        let mut read = result.readings.iter().map(|reading| reading.register.pace());
        Kind::Poll(Class {
            slow: settings.slow_interval.is_some() && read.any(|pace| pace == Pace::Slow),
            code: !settings.has_code && result.condition.is_some(),
            rare: pause >= LONG_PAUSE,
        })
    });
    let job = has_job.then_some((Kind::Job, job));
    job.into_iter().chain([(kind, own)]).collect()
}

/// The cost of a meter's polls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Each day with a poll or a job.
    days: BTreeMap<Date, Day>,
    /// The polls of each class that were made with the present settings.
    classes: [Usage; Class::COUNT],
    /// Whether it survives a restart.
    pub(crate) is_kept: bool,
    /// Whether this meter has taken the place of another one.
    pub(crate) has_predecessor: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    since: Timestamp,
    usage: Usage,
}

/// What polls have cost in some days up to today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) usage: Usage,
    /// When counting began, if that was after the first day had begun.
    pub(crate) since: Option<Timestamp>,
}

impl Ledger {
    /// What the history has stored.
    pub(crate) fn of(record: UsageRecord, settings: &Settings) -> Self {
        let UsageRecord { days, has_predecessor, is_kept } = record;
        let mut ledger = Self { is_kept, has_predecessor, ..Self::default() };
        for DayUsage { date, kind: code, since, usage } in days {
            let class = Class::all().find(|class| Kind::Poll(*class).code(settings) == code);
            ledger.add_to(date, since, class, usage);
        }
        ledger
    }

    /// Adds a cost on a day.
    pub(crate) fn add(&mut self, date: Date, at: Timestamp, kind: Kind, usage: Usage) {
        let class = match kind {
            Kind::Poll(class) => Some(class),
            Kind::OtherPoll | Kind::Job => None,
        };
        self.add_to(date, at, class, usage);
    }

    fn add_to(&mut self, date: Date, at: Timestamp, class: Option<Class>, usage: Usage) {
        let day = self.days.entry(date).or_insert(Day { since: at, usage: Usage::default() });
        day.since = day.since.min(at);
        day.usage = day.usage.and(usage);
        if self.days.len() > MOST_DAYS {
            self.days.pop_first();
        }
        if let Some(own) = class.and_then(|class| self.classes.get_mut(class.index())) {
            *own = own.and(usage);
        }
    }

    /// Forgets the mean costs, because the settings have changed.
    pub(crate) fn forget_means(&mut self) {
        self.classes = Default::default();
    }

    /// The cost of today.
    pub(crate) fn today(&self, today: Date) -> Total {
        self.total(today, today)
    }

    /// The cost of the last 30 days, with today.
    pub(crate) fn month(&self, today: Date) -> Total {
        let before = jiff::Span::new().days(MONTH.saturating_sub(1));
        self.total(today.saturating_sub(before), today)
    }

    fn total(&self, first: Date, last: Date) -> Total {
        let mut total = Total::default();
        for (_, day) in self.days.range(first..=last) {
            total.usage = total.usage.and(day.usage);
            total.since = Some(total.since.map_or(day.since, |since| since.min(day.since)));
        }
        // Much older days are those of a wrong clock.
        let oldest = first.saturating_sub(jiff::Span::new().days(MONTH));
        let was_counting = self.days.range(oldest..first).next().is_some();
        Total { since: total.since.filter(|_| !was_counting), ..total }
    }

    fn class(&self, class: Class) -> Usage {
        self.classes.get(class.index()).copied().unwrap_or_default()
    }
}
