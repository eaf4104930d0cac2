//! The mean temperatures that suppliers bill by (`tariff`), from readings and from the history.
//!
//! [`Counted`] has what one poll has read for them. It is stored in the history as four series, in
//! the meter's own unit of energy and with all digits, under names that no parameter has. [`report`]
//! finds the readings with which the periods began, and computes the means up to the latest reading.
//! The history is the only memory, so a restart changes nothing.
//!
//! If the history does not reach back to the start of the month or of the heating year, the meter's
//! own averages take the place of its means. Those of the year are used only if the heating year
//! begins with the month of the meter's yearly reading date.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use kmp::register::RegisterId;
use kmp::unit::{Quantity, Unit};
use kmp::value::Value;
use rust_decimal::Decimal;

use crate::config::{FirstMonth, Tariff};
use crate::mean::{Key, What};
use crate::units;
use history::{HistoryError, MeterKey, Sample, Snapshot, Summary};
use meter::poll::PollResult;
use meter::reading::Reading;
use tariff::{Counters, Daily, EnergyFactor, Mean, Means, NEAR, Period, Point, Stretch, unbroken};

const ENERGY: RegisterId = RegisterId::new(60);
const VOLUME: RegisterId = RegisterId::new(68);
const SUPPLY: RegisterId = RegisterId::new(97);
const RETURNED: RegisterId = RegisterId::new(110);
const READING_DATE: RegisterId = RegisterId::new(98);
/// The meter's own averages of supply and return temperature.
const OF_YEAR: [RegisterId; 2] = [RegisterId::new(146), RegisterId::new(147)];
const OF_MONTH: [RegisterId; 2] = [RegisterId::new(149), RegisterId::new(150)];

/// The names of the series in the history: energy, volume, E8 and E9. A parameter's name has no
/// dot.
const SERIES: [&str; 4] = ["tariff.energy", "tariff.volume", "tariff.supply", "tariff.return"];

/// Where a mean comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Computed from the counters.
    Registers,
    /// The meter's own average.
    Meter,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Meter => "meter",
        }
    }
}

/// A mean with the time that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: Key,
    /// Rounded to two decimal places.
    pub value: Decimal,
    /// How far the true mean may be away.
    pub error: Decimal,
    pub since: Timestamp,
    pub until: Timestamp,
    pub source: Source,
    /// Whether it covers its period from the start.
    pub is_whole: bool,
}

/// What a poll has read for the means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) point: Point,
    /// The resolutions.
    steps: Counters,
    energy_unit: Option<Unit>,
    of_month: Option<[Average; 2]>,
    of_year: Option<[Average; 2]>,
    /// The month with which the meter's year begins.
    year_begins: Option<FirstMonth>,
}

/// One of the meter's own averages, with its resolution.
type Average = (Decimal, Decimal);

/// Whether a poll should have read the counters.
#[must_use]
pub(crate) fn is_due(result: &PollResult) -> bool {
    let is_counter = |register: &RegisterId| [SUPPLY, RETURNED].contains(register);
    result.readings.iter().any(|reading| is_counter(&reading.register))
        || result.missing.iter().any(|(register, _)| is_counter(register))
}

impl Counted {
    /// `None` if the meter has not sent volume, E8 and E9.
    #[must_use]
    pub(crate) fn of(result: &PollResult, at: Timestamp) -> Option<Self> {
        let find = |register| result.readings.iter().find(|reading| reading.register == register);
        let (volume, supply, returned) = (find(VOLUME)?, find(SUPPLY)?, find(RETURNED)?);
        let metres = |value| units::cubic_metres(value, volume.unit);
        let weighted = |reading: &Reading| {
            let is_weighted = reading.unit.quantity() == Quantity::VolumeTemperature;
            number(reading).filter(|_| is_weighted)
        };
        let energy = find(ENERGY).filter(|it| units::energy_factor(it.unit).is_some());
        let counters = Counters {
            volume: metres(number(volume)?)?,
            supply: weighted(supply)?,
            returned: weighted(returned)?,
            energy: energy.and_then(number),
        };
        let steps = Counters {
            volume: metres(volume.step()?)?,
            supply: supply.step()?,
            returned: returned.step()?,
            energy: energy.and_then(Reading::step),
        };
        let average = |register| {
            let reading = find(register).filter(|reading| reading.unit == Unit::CELSIUS)?;
            Some((number(reading)?, reading.step()?))
        };
        let averages =
            |[supply, returned]: [RegisterId; 2]| Some([average(supply)?, average(returned)?]);
        let year_begins = find(READING_DATE).and_then(|reading| match reading.value {
            Value::MonthDay { month, day } => month_after(month, day),
            _ => None,
        });
        Some(Self {
            point: Point { at, counters },
            steps,
            energy_unit: energy.map(|energy| energy.unit),
            of_month: averages(OF_MONTH),
            of_year: averages(OF_YEAR),
            year_begins,
        })
    }

    /// What the history stores.
    #[must_use]
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let Counters { volume, supply, returned, energy } = self.point.counters;
        let energy_unit = self.energy_unit.and_then(Unit::symbol);
        let values = [
            (energy, energy_unit),
            (Some(volume), Some("m³")),
            (Some(supply), Some("m³·°C")),
            (Some(returned), Some("m³·°C")),
        ];
        let sample = |(name, (value, unit)): (&str, (Option<Decimal>, Option<&str>))| {
            Some(Sample {
                parameter: name.to_owned(),
                value: value?,
                unit: unit.map(str::to_owned),
                is_counter: true,
            })
        };
        SERIES.into_iter().zip(values).filter_map(sample).collect()
    }

    /// The first month of the heating year.
    fn first_month(&self, tariff: &Tariff) -> FirstMonth {
        tariff.first_month.or(self.year_begins).unwrap_or(FirstMonth::JANUARY)
    }

    fn kwh(&self) -> Option<EnergyFactor> {
        self.energy_unit.and_then(units::energy_factor)
    }
}

fn number(reading: &Reading) -> Option<Decimal> {
    match reading.value {
        Value::Number(value) => Some(value),
        _ => None,
    }
}

/// The month that begins with the yearly reading date. A date at the end of a month belongs to the
/// next one. `None` for a date in the middle of a month.
fn month_after(month: u8, day: u8) -> Option<FirstMonth> {
    match day {
        1 => FirstMonth::new(month.try_into().ok()?),
        28.. => FirstMonth::new(month.checked_rem(12)?.checked_add(1)?.try_into().ok()?),
        _ => None,
    }
}

/// The means up to the latest reading of a meter, which was at `now`. `exchanged` is when this meter
/// has taken the place of another one, if that was noticed.
pub(crate) fn report(
    snapshot: &Snapshot,
    key: &MeterKey,
    counted: &Counted,
    tariff: &Tariff,
    (now, exchanged): (&ZonedDateTime, Option<Timestamp>),
) -> Result<Vec<Entry>, HistoryError> {
    let first_month = counted.first_month(tariff);
    let Some(year) = Period::Year.start(now, first_month.get()) else { return Ok(Vec::new()) };
    let past = Past::since(year, snapshot, key, (counted, exchanged))?;
    let mut entries = Vec::new();
    for period in Period::ALL {
        let Some(start) = period.start(now, first_month.get()) else { continue };
        let first = past.first_of(start)?;
        let computed = first.map(|first| {
            let means = Means::between(&first, &counted.point, &counted.steps, counted.kwh());
            Covered { means, since: first.at, source: Source::Registers }
        });
        let is_whole = |covered: &Covered| {
            covered.source == Source::Meter || Period::is_whole(start, covered.since)
        };
        let own = || {
            let averages = match period {
                Period::Day => None,
                Period::Month => counted.of_month,
                Period::Year => {
                    counted.of_year.filter(|_| counted.year_begins == Some(first_month))
                }
            };
            let is_certain = exchanged.is_none_or(|at| at <= start);
            let means = own_means(averages.filter(|_| is_certain)?)?;
            Some(Covered { means, since: start, source: Source::Meter })
        };
        let temperatures = match computed.clone().filter(is_whole) {
            Some(whole) => Some(whole),
            None => own().or_else(|| computed.clone()),
        };
        let until = counted.point.at;
        let mut add = |what, mean: Option<Mean>, covered: &Covered| {
            let Some(Mean { value, error }) = mean else { return };
            let Covered { since, source, .. } = *covered;
            let (key, is_whole) = (Key { what, period }, is_whole(covered));
            let value = tariff::rounded(value);
            entries.push(Entry { key, value, error, since, until, source, is_whole });
        };
        if let Some(covered) = &temperatures {
            let Means { supply, returned, cooling, .. } = covered.means;
            add(What::Supply, supply, covered);
            add(What::Return, returned, covered);
            add(What::Cooling, cooling, covered);
            if period != Period::Day {
                add(What::OverLimit, over_limit(&covered.means, tariff), covered);
            }
        }
        if let Some(covered) = &computed {
            add(What::EnergyPerVolume, covered.means.energy, covered);
        }
    }
    Ok(entries)
}

/// The mean return temperature of each of the `count` days up to yesterday, oldest first, as far as
/// it is known.
pub(crate) fn returned_by_day(
    snapshot: &Snapshot,
    key: &MeterKey,
    now: &ZonedDateTime,
    count: u32,
) -> Result<Vec<Daily>, HistoryError> {
    let dates = now.date().series(jiff::Span::new().days(-1));
    let count = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(2);
    let start =
        |date: Date| Some(date.to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp());
    let mut starts: Vec<Timestamp> = dates.take(count).filter_map(start).collect();
    starts.reverse();
    let (Some(first), Some(end)) = (starts.first(), starts.last()) else { return Ok(Vec::new()) };
    let known = read(Table::Days, snapshot, key, (*first, *end))?;
    let spans = starts.iter().zip(starts.iter().skip(1));
    let days: Vec<_> =
        spans.map(|(start, end)| ([*start, *end], known.get(start).copied())).collect();
    // The digits that are stored are those that the meter has sent.
    let step = |value: Decimal| Decimal::try_from_i128_with_scale(1, value.scale()).ok();
    let steps = known.values().next_back().and_then(|day| {
        let Counters { volume, supply, returned, .. } = day.last.counters;
        let [volume, supply, returned] = [step(volume)?, step(supply)?, step(returned)?];
        Some(Counters { volume, supply, returned, energy: None })
    });
    Ok(steps.map_or_else(Vec::new, |steps| tariff::daily(&days, &steps)))
}

/// The means of a period, and what they cover of it.
#[derive(Debug, Clone)]
struct Covered {
    means: Means,
    since: Timestamp,
    source: Source,
}

/// The greatest error of a mean.
const TOLERATED: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// Means from the meter's own averages, which are rounded to their last digit.
fn own_means([supply, returned]: [Average; 2]) -> Option<Means> {
    let mean = |(value, step): Average| {
        let error = step.checked_div(Decimal::TWO)?;
        Some(Mean { value, error })
    };
    let (supply, returned) = (mean(supply)?, mean(returned)?);
    let cooling = Mean {
        value: supply.value.checked_sub(returned.value)?,
        error: supply.error.checked_add(returned.error)?,
    };
    let certain = |mean: Mean| Some(mean).filter(|mean| mean.error <= TOLERATED);
    Some(Means {
        supply: certain(supply),
        returned: certain(returned),
        cooling: certain(cooling),
        energy: None,
    })
}

/// By how much the return temperature is above the expected one.
fn over_limit(means: &Means, tariff: &Tariff) -> Option<Mean> {
    let limit = tariff.limit.as_ref()?;
    let returned = means.returned?;
    let supply = match means.supply {
        Some(supply) => supply,
        // A single temperature holds for all of them.
        None if !limit.is_table() => Mean { value: Decimal::ZERO, error: Decimal::ZERO },
        None => return None,
    };
    let expected = limit.expected(supply.value)?;
    let mut doubt = Decimal::ZERO;
    for other in [supply.value.checked_sub(supply.error)?, supply.value.checked_add(supply.error)?]
    {
        doubt = doubt.max(limit.expected(other)?.checked_sub(expected)?.abs());
    }
    let value = returned.value.checked_sub(expected)?;
    let error = returned.error.checked_add(doubt)?;
    Some(Mean { value, error }).filter(|mean| mean.error <= TOLERATED)
}

/// What the history has of a meter's counters.
struct Past<'a> {
    snapshot: &'a Snapshot,
    key: &'a MeterKey,
    /// The days since a counter fell, or since before the year began. The day of the fall is
    /// replaced by its hours.
    stretches: Vec<Stretch>,
    /// The first reading after a fall or an exchange.
    earliest: Option<Timestamp>,
}

/// How much earlier than a period hours and days are looked for. It includes the hour or day that
/// ends with the start of the period, even if that day has 25 hours.
const DAY_BEFORE: SignedDuration = SignedDuration::from_hours(50);
const HOUR_BEFORE: SignedDuration = SignedDuration::from_hours(2);

#[derive(Clone, Copy)]
enum Table {
    Hours,
    Days,
}

impl<'a> Past<'a> {
    fn since(
        year: Timestamp,
        snapshot: &'a Snapshot,
        key: &'a MeterKey,
        (counted, exchanged): (&Counted, Option<Timestamp>),
    ) -> Result<Self, HistoryError> {
        let after = |at: Timestamp| at.checked_add(SignedDuration::from_secs(1)).unwrap_or(at);
        let from = year.checked_sub(DAY_BEFORE).unwrap_or(year);
        let now = counted.point.at;
        let dated = read(Table::Days, snapshot, key, (from, after(now)))?;
        let days: Vec<Stretch> = dated.values().copied().collect();
        let mut stretches = unbroken(&days).to_vec();
        let fell = stretches.len() < days.len() || stretches.iter().any(|it| !it.rises());
        let fallen = stretches.first().copied().filter(|_| fell);
        let day = dated.iter().find(|(_, day)| Some(**day) == fallen);
        if let Some((start, day)) = day {
            let hours = read(Table::Hours, snapshot, key, (*start, after(day.last.at)))?;
            let hours: Vec<Stretch> = hours.into_values().collect();
            if !hours.is_empty() {
                stretches.splice(..1, unbroken(&hours).iter().copied());
            }
        }
        let after_fall = stretches.first().filter(|_| fell).map(|first| first.last.at);
        let earliest = after_fall.max(exchanged);
        let latest = Stretch::of(counted.point);
        let earlier = stretches.iter().rfind(|stretch| stretch.last.at < now);
        if earlier.is_some_and(|earlier| !earlier.rises_to(&latest)) {
            stretches.clear();
        }
        Ok(Self { snapshot, key, stretches, earliest })
    }

    /// The reading with which a period begins.
    fn first_of(&self, start: Timestamp) -> Result<Option<Point>, HistoryError> {
        let near = start.checked_sub(NEAR).unwrap_or(start);
        let mut usable = self.stretches.iter().filter(|stretch| stretch.last.at >= near);
        // Two, because the first may end just before the period begins.
        let Some(first) = usable.next() else { return Ok(None) };
        let last = usable.next().unwrap_or(first);
        let from = start.checked_sub(HOUR_BEFORE).unwrap_or(start);
        let hours = read(Table::Hours, self.snapshot, self.key, (from, last.last.at))?;
        // Older hours are no longer in the history, but days are.
        let points = hours.into_values().map(|hour| hour.last).chain([first.last, last.last]);
        let is_usable = |point: &Point| self.earliest.is_none_or(|earliest| point.at >= earliest);
        let mut points: Vec<Point> = points.filter(is_usable).collect();
        points.sort_by_key(|point| point.at);
        Ok(Period::first_of(&points, start).copied())
    }
}

/// The hours or days that begin in a range, by their start, with all counters.
fn read(
    table: Table,
    snapshot: &Snapshot,
    key: &MeterKey,
    range: (Timestamp, Timestamp),
) -> Result<BTreeMap<Timestamp, Stretch>, HistoryError> {
    let all = |name: &str| match table {
        Table::Hours => snapshot.hours(key, name, range),
        Table::Days => snapshot.days(key, name, range),
    };
    let by_start = |name| Ok::<_, HistoryError>(all(name)?.into_iter().collect::<BTreeMap<_, _>>());
    let [energy, volume, supply, returned] = SERIES;
    let (energy, volume) = (by_start(energy)?, all(volume)?);
    let (supply, returned) = (by_start(supply)?, by_start(returned)?);
    let stretch = |(start, volume): (Timestamp, Summary)| {
        let at = volume.last.time;
        let same = |other: &Summary| other.last.time == at;
        let supply = supply.get(&start).filter(|it| same(it))?;
        let returned = returned.get(&start).filter(|it| same(it))?;
        let energy = energy.get(&start).filter(|it| same(it));
        let of = |of: fn(&Summary) -> Decimal| Counters {
            volume: of(&volume),
            supply: of(supply),
            returned: of(returned),
            energy: energy.map(of),
        };
        let last = Point { at, counters: of(|it| it.last.value) };
        Some((start, Stretch { last, low: of(|it| it.low), high: of(|it| it.high) }))
    };
    Ok(volume.into_iter().filter_map(stretch).collect())
}
