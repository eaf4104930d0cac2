//! What is drawn of the readings that are kept.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::ZonedDateTime;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::blocking::BlockingJobs;
use super::state::PageState;
use history::{Consumption, HistoryError, MeterKey, Point, Reader, Series};

/// So many days are drawn.
const DAYS: u32 = 14;

/// So many hours are drawn, with the one that is not over.
const HOURS: usize = 24;

/// So many points a curve has at most: more than a phone is wide.
const POINTS: usize = 480;

/// Of what counts energy, and else of what counts volume, as water meters do: the first one of which
/// something is known is drawn by hour and by day. The finest come first.
const COUNTERS: [&str; 7] =
    ["e1highres", "highresenergy", "energy", "e3highres", "energy3", "volume_extradigit", "volume"];

/// For so long what was read from the disk is shown to others as well: 100 open pages read it once.
const FRESH_SECS: i64 = 10;

/// What is remembered of a meter's readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Of the last 24 hours.
    pub(super) power: Option<Curve>,
    pub(super) flow: Option<Curve>,
    pub(super) supply: Option<Curve>,
    pub(super) back: Option<Curve>,
    pub(super) counter: Option<Counter>,
}

/// What a counter has counted.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) parameter: String,
    pub(super) unit: String,
    /// In each of the last hours and days.
    pub(super) hours: Vec<Consumption>,
    pub(super) days: Vec<Consumption>,
}

/// The readings of a value.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) unit: String,
    pub(super) points: Vec<Point>,
}

/// What is remembered of each meter, by its number.
pub(super) type Memories = Arc<Vec<(usize, Memory)>>;

/// What was read last, and of what moment it is.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    known: Arc<Mutex<Option<(Moment, Memories)>>>,
    jobs: BlockingJobs,
}

/// Another one has other readings, or may have.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    /// When each meter was polled last.
    polled: Vec<(usize, Option<Instant>)>,
    /// In steps of [`FRESH_SECS`].
    step: i64,
}

impl Cache {
    /// The disk is read through this.
    pub(super) fn new(jobs: BlockingJobs) -> Self {
        Self { known: Arc::default(), jobs }
    }

    /// What there is to draw at this time; nothing of a meter whose readings cannot be read, which
    /// the board tells of, or not in time.
    pub(super) async fn look(&self, site: &PageState, now: &ZonedDateTime) -> Memories {
        let Some(reader) = site.history.clone() else {
            return Memories::default();
        };
        let meters = site.board.meters();
        let polled = meters.iter().map(|meter| {
            let last = meter.last.as_ref().map(|last| last.at);
            (meter.number, last)
        });
        let step = now.timestamp().as_second().div_euclid(FRESH_SECS);
        let moment = Moment { polled: polled.collect(), step };
        // Who comes meanwhile waits, rather than reading the same.
        let mut known = self.known.lock().await;
        if let Some((of, memories)) = &*known
            && *of == moment
        {
            return Arc::clone(memories);
        }
        let keys = meters.into_iter().filter_map(|meter| Some((meter.number, meter.key?)));
        let keys: Vec<(usize, MeterKey)> = keys.collect();
        let now = now.clone();
        let reading = self.jobs.run(move || {
            let of = |(number, key): &(usize, MeterKey)| match read(&reader, key, &now) {
                Ok(memory) => Some((*number, memory)),
                Err(trouble) => {
                    debug!("There are no charts. {trouble}.");
                    None
                }
            };
            keys.iter().filter_map(of).collect()
        });
        let read = reading.await.inspect_err(|busy| debug!("There are no charts: {busy}"));
        // Kept like any other, so that those who come soon do not wait as long.
        let memories = Memories::new(read.unwrap_or_default());
        *known = Some((moment, Arc::clone(&memories)));
        memories
    }
}

fn read(reader: &Reader, key: &MeterKey, now: &ZonedDateTime) -> Result<Memory, HistoryError> {
    let kept = reader.series(key)?;
    let time = now.timestamp();
    let find = |name: &str| kept.iter().find(|kept| kept.parameter.eq_ignore_ascii_case(name));
    let curve = |name: &str| {
        let Some(Series { parameter, unit, .. }) = find(name) else { return Ok(None) };
        let points = reader.last_day(key, parameter, time, POINTS)?;
        Ok(Some(Curve { unit: unit.clone().unwrap_or_default(), points }))
    };
    let counters = COUNTERS.iter().filter_map(|name| find(name)).filter(|kept| kept.is_counter);
    Ok(Memory {
        power: curve("power")?,
        flow: curve("flow")?,
        supply: curve("temp1")?,
        back: curve("temp2")?,
        counter: counter(reader, key, counters, now)?,
    })
}

/// The first one that is counted now; where none is, the first one that was in these days. A parameter
/// that was taken out of the list is still kept of former times.
fn counter<'a>(
    reader: &Reader,
    key: &MeterKey,
    counters: impl Iterator<Item = &'a Series>,
    now: &ZonedDateTime,
) -> Result<Option<Counter>, HistoryError> {
    let (time, today) = (now.timestamp(), now.date());
    let is_known = |used: &[Consumption]| used.iter().any(|used| used.used.is_some());
    let mut earlier = None;
    for Series { parameter, unit, .. } in counters {
        let mut hours = Vec::new();
        for date in today.yesterday().into_iter().chain([today]) {
            hours.extend(reader.used_by_hour(key, parameter, date, time)?);
        }
        let hours = hours.split_off(hours.len().saturating_sub(HOURS));
        let days = reader.used_by_day(key, parameter, today, DAYS, time)?;
        let (parameter, unit) = (parameter.clone(), unit.clone().unwrap_or_default());
        let counter = Counter { parameter, unit, hours, days };
        if is_known(&counter.hours) {
            return Ok(Some(counter));
        }
        if is_known(&counter.days) {
            earlier = earlier.or(Some(counter));
        }
    }
    Ok(earlier)
}
