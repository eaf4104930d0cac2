//! Reads the data for charts.

mod range;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan, ZonedDateTime};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::blocking::BlockingJobs;
use super::paging::{PER_PAGE, PageNumber};
use super::state::PageState;
use crate::account;
use history::{
    Consumption, HistoryError, MeterKey, Point, Reader, Series, Snapshot, Stop, Summary, Total,
};

use tariff::Daily;

pub(super) use self::range::Range;

/// The most readings of a curve: more than a phone has pixels. Summaries are fewer.
const POINTS: usize = 480;

/// The counters whose consumption is drawn, in order of preference: energy first, then volume,
/// which water meters count. The first one with data is used. The finest come first.
const COUNTERS: [&str; 7] =
    ["e1highres", "highresenergy", "energy", "e3highres", "energy3", "volume_extradigit", "volume"];

/// How long results from the disk are shared: 100 open pages read them once.
const FRESH_SECS: i64 = 10;

/// With more meters than a page has, reading takes at most one part in this many of the time,
/// because there are polls all the time.
const REST: u32 = 20;

/// The longest rest, for example after a disk has not responded.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A meter's data in a range.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) power: Option<Curve>,
    pub(super) flow: Option<Curve>,
    pub(super) supply: Option<Curve>,
    pub(super) back: Option<Curve>,
    pub(super) counter: Option<Counter>,
    /// The mean return temperature of each day, weighted by volume.
    pub(super) returned: Vec<Consumption>,
}

/// The consumption that a counter shows.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) parameter: String,
    pub(super) unit: String,
    /// The hours, days or months of the range, and the current one.
    pub(super) bars: Vec<Consumption>,
    /// The total without the current one.
    pub(super) total: Total,
    /// The same for the previous period.
    pub(super) before: Total,
}

/// The readings of a value, or the summary of each hour or day, by their time.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) unit: String,
    pub(super) points: Vec<(Timestamp, Summary)>,
}

/// The data of each meter in a range.
#[derive(Debug, Clone, Default)]
pub(super) struct Memories {
    pub(super) range: Range,
    /// By the number of the meter.
    meters: Arc<Vec<(usize, Memory)>>,
}

impl Memories {
    pub(super) fn new(range: Range, meters: Vec<(usize, Memory)>) -> Self {
        Self { range, meters: Arc::new(meters) }
    }

    /// The data of a meter.
    pub(super) fn of(&self, number: usize) -> Option<&Memory> {
        let meter = self.meters.iter().find(|(known, _)| *known == number);
        meter.map(|(_, memory)| memory)
    }
}

/// The last result, and the moment that it belongs to. With many meters, it is also used a little
/// later.
#[derive(Debug)]
struct Known {
    moment: Moment,
    rests_until: Option<Instant>,
    memories: Memories,
}

/// The last result for each range.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    known: Arc<BTreeMap<Range, Mutex<Option<Known>>>>,
    jobs: BlockingJobs,
}

/// A result belongs to one moment: at another one there are other readings, or there may be. It has
/// the meters of one page.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    /// When each meter of the page was polled last.
    polled: Vec<(usize, Option<Instant>)>,
    /// In steps of [`FRESH_SECS`].
    step: i64,
}

impl Cache {
    /// The jobs that read the disk.
    pub(super) fn new(jobs: BlockingJobs) -> Self {
        let known = Range::ALL.into_iter().map(|range| (range, Mutex::default()));
        Self { known: Arc::new(known.collect()), jobs }
    }

    /// The data for the charts of a page of meters at this time. A meter has none if its readings
    /// cannot be read, which the board reports, or not in time.
    pub(super) async fn look(
        &self,
        site: &PageState,
        now: &ZonedDateTime,
        range: Range,
        page: PageNumber,
    ) -> Memories {
        let (Some(reader), Some(known)) = (site.history.clone(), self.known.get(&range)) else {
            return Memories::new(range, Vec::new());
        };
        let (are_many, meters) = site.board.with_meters(|all| {
            let shown = all.get(page.places(all.len())).unwrap_or_default();
            (all.len() > PER_PAGE, shown.to_vec())
        });
        let polled = meters.iter().map(|meter| {
            let last = meter.last.as_ref().map(|last| last.at);
            (meter.number, last)
        });
        let step = now.timestamp().as_second().div_euclid(FRESH_SECS);
        let moment = Moment { polled: polled.collect(), step };
        // Concurrent callers wait instead of reading twice.
        let mut known = known.lock().await;
        if let Some(known) = &*known
            && (known.moment == moment || known.rests(&moment))
        {
            return known.memories.clone();
        }
        let keys = meters.into_iter().filter_map(|meter| Some((meter.number, meter.key?)));
        let keys: Vec<(usize, MeterKey)> = keys.collect();
        let now = now.clone();
        let begun = Instant::now();
        let reading = self.jobs.run(move |stop| read(&reader, &keys, range, &now, stop));
        let read = reading.await.inspect_err(|busy| debug!("There are no charts: {busy}"));
        let read = read.unwrap_or_else(|_| Ok(Vec::new()));
        let read = read.inspect_err(|trouble| debug!("There are no charts. {trouble}."));
        // Shared like any other result, so that the next callers do not wait as long.
        let memories = Memories::new(range, read.unwrap_or_default());
        let rest = are_many.then(|| begun.elapsed().saturating_mul(REST).min(LONGEST_REST));
        let rests_until = rest.and_then(|rest| Instant::now().checked_add(rest));
        *known = Some(Known { moment, rests_until, memories: memories.clone() });
        memories
    }
}

impl Known {
    /// Whether it is used for another moment too.
    fn rests(&self, moment: &Moment) -> bool {
        let numbers = |moment: &Moment| -> Vec<usize> {
            moment.polled.iter().map(|(number, _)| *number).collect()
        };
        self.rests_until.is_some_and(|until| Instant::now() < until)
            && numbers(&self.moment) == numbers(moment)
    }
}

/// A curve's name among the parameters of a meter.
const CURVES: [&str; 4] = ["power", "flow", "temp1", "temp2"];

/// The data of some meters, which are read together.
fn read(
    reader: &Reader,
    meters: &[(usize, MeterKey)],
    range: Range,
    now: &ZonedDateTime,
    stop: &Stop,
) -> Result<Vec<(usize, Memory)>, HistoryError> {
    let keys: Vec<_> = meters.iter().map(|(_, key)| key.clone()).collect();
    let reader = reader.snapshot_of(&keys, stop)?;
    let mut kept = Vec::new();
    for key in &keys {
        kept.push(reader.series(key)?);
    }
    let curves = keys.iter().zip(&kept).flat_map(|(key, kept)| {
        CURVES.iter().filter_map(move |name| Some((key, find(kept, name)?)))
    });
    let curves: Vec<_> = curves.collect();
    let mut points = points(&reader, &curves, range, now)?.into_iter();
    let mut memories = Vec::new();
    for ((number, key), kept) in meters.iter().zip(&kept) {
        let [power, flow, supply, back] = CURVES.map(|name| {
            let unit = find(kept, name)?.unit.clone().unwrap_or_default();
            Some(Curve { unit, points: points.next()? })
        });
        let counters = COUNTERS.iter().filter_map(|name| find(kept, name));
        let counters = counters.filter(|kept| kept.is_counter);
        let counter = counter(&reader, key, counters, range, now)?;
        let returned = match range {
            Range::Week | Range::Month => returned(&reader, key, range, now)?,
            Range::Day | Range::Year => Vec::new(),
        };
        memories.push((*number, Memory { power, flow, supply, back, counter, returned }));
    }
    Ok(memories)
}

/// The days of a range with their mean return temperature, which is drawn like a consumption.
fn returned(
    reader: &Snapshot,
    key: &MeterKey,
    range: Range,
    now: &ZonedDateTime,
) -> Result<Vec<Consumption>, HistoryError> {
    let days = account::returned_by_day(reader, key, now, range.count())?;
    let bar = |day: Daily| Consumption {
        start: day.start,
        end: day.end,
        used: day.returned.map(tariff::rounded),
        so_far: false,
    };
    Ok(days.into_iter().map(bar).collect())
}

fn find<'a>(kept: &'a [Series], name: &str) -> Option<&'a Series> {
    kept.iter().find(|kept| kept.parameter.eq_ignore_ascii_case(name))
}

/// The points of each curve.
fn points(
    reader: &Snapshot,
    curves: &[(&MeterKey, &Series)],
    range: Range,
    now: &ZonedDateTime,
) -> Result<Vec<Vec<(Timestamp, Summary)>>, HistoryError> {
    let time = now.timestamp();
    let curves = curves.iter().map(|(key, series)| (*key, series.parameter.as_str()));
    let (Range::Week | Range::Month | Range::Year, Some(start)) = (range, range.start(now)) else {
        let all = reader.last_days(&curves.collect::<Vec<_>>(), time, POINTS)?;
        let summed = |point: Point| (point.time, Summary::of(point));
        return Ok(all.into_iter().map(|all| all.into_iter().map(summed).collect()).collect());
    };
    let curve = |(key, parameter)| match range {
        Range::Week => reader.hours(key, parameter, (start, time)),
        _ => reader.days(key, parameter, (start, time)),
    };
    curves.map(curve).collect()
}

/// The first counter that is read now, otherwise the first one that was read in this range. The
/// history still has readings of a parameter that was removed from the list.
fn counter<'a>(
    reader: &Snapshot,
    key: &MeterKey,
    counters: impl Iterator<Item = &'a Series>,
    range: Range,
    now: &ZonedDateTime,
) -> Result<Option<Counter>, HistoryError> {
    // The reading of a full hour comes a moment after it: until then the hour before is not over.
    let now = &now.checked_sub(1.minute()).unwrap_or_else(|_| now.clone());
    let is_known = |used: &[Consumption]| used.iter().any(|used| used.used.is_some());
    let mut earlier = None;
    for series in counters {
        let hours = bars(reader, key, &series.parameter, Range::Day, now)?;
        let is_current = is_known(&hours);
        let bars = match range {
            Range::Day => hours,
            _ => bars(reader, key, &series.parameter, range, now)?,
        };
        if is_current || earlier.is_none() && is_known(&bars) {
            let counter = totals(reader, key, series, range, bars, now)?;
            if is_current {
                return Ok(Some(counter));
            }
            earlier = Some(counter);
        }
    }
    Ok(earlier)
}

/// The hours, days or months of a range, and the current one.
fn bars(
    reader: &Snapshot,
    key: &MeterKey,
    parameter: &str,
    range: Range,
    now: &ZonedDateTime,
) -> Result<Vec<Consumption>, HistoryError> {
    let (time, today) = (now.timestamp(), now.date());
    let count = range.count().saturating_add(1);
    match range {
        Range::Day => {
            let mut hours = Vec::new();
            for date in today.yesterday().into_iter().chain([today]) {
                hours.extend(reader.used_by_hour(key, parameter, date, time)?);
            }
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            Ok(hours.split_off(hours.len().saturating_sub(count)))
        }
        Range::Week | Range::Month => reader.used_by_day(key, parameter, today, count, time),
        Range::Year => reader.used_by_month(key, parameter, today, count, time),
    }
}

fn totals(
    reader: &Snapshot,
    key: &MeterKey,
    series: &Series,
    range: Range,
    bars: Vec<Consumption>,
    now: &ZonedDateTime,
) -> Result<Counter, HistoryError> {
    let Series { parameter, unit, .. } = series;
    let (parameter, unit) = (parameter.clone(), unit.clone().unwrap_or_default());
    let (mut total, mut before) = (Total::Unknown, Total::Unknown);
    if let ([first, ..], [.., last]) = (bars.as_slice(), bars.as_slice()) {
        total = reader.total(key, &parameter, (first.start, last.start))?;
        if let Some(start) = range.before(&first.start.to_zoned_datetime(now.time_zone().clone())) {
            before = reader.total(key, &parameter, (start, first.start))?;
        }
    }
    Ok(Counter { parameter, unit, bars, total, before })
}
