//! What is drawn of the readings that are kept.

use std::sync::Arc;

use jiff::ZonedDateTime;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::Site;
use super::blocking::BlockingJobs;
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
    pub(super) async fn look(&self, site: &Site, now: &ZonedDateTime) -> Memories {
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
                    debug!("There are no charts: {trouble}.");
                    None
                }
            };
            keys.iter().filter_map(of).collect()
        });
        let read = reading.await.inspect_err(|busy| debug!("There are no charts: {busy}"));
        // Series like any other, so that those who come soon do not wait as long.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{Timestamp, ToSpan};
    use rust_decimal::Decimal;

    use super::*;
    use crate::status::{Board, LastPoll, MeterState};
    use crate::web::Visitors;
    use history::{History, Sample};

    fn now() -> ZonedDateTime {
        "2026-11-24T09:30:00+01:00[Europe/Copenhagen]".parse().unwrap()
    }

    fn noted(parameter: &str, value: Decimal, unit: &str, is_counter: bool) -> Sample {
        let (parameter, unit) = (parameter.to_owned(), Some(unit.to_owned()));
        Sample { parameter, value, unit, is_counter }
    }

    /// A day and a half of readings every ten minutes.
    const READINGS: i64 = 36 * 6;

    /// What reads them.
    fn filled(folder: &std::path::Path, key: &MeterKey) -> Reader {
        let history = History::start(Some(folder.join("history.db")), &now());
        let reader = history.reader();
        let start = now().checked_sub(36.hours()).unwrap().timestamp();
        for index in 0..=READINGS {
            let time = Timestamp::from_second(start.as_second() + index * 600).unwrap();
            let energy = Decimal::new(index * 5, 1);
            history.note(
                key,
                time,
                &[
                    noted("power", Decimal::from(3000 + index), "W", false),
                    noted("temp1", Decimal::new(6400 + index, 2), "°C", false),
                    noted("energy", energy, "kWh", true),
                    noted("volume", energy, "m³", true),
                ],
            );
            if index % 32 == 0 {
                // The queue is bounded; what is written can be read.
                while reader.last_day(key, "power", time, 4).unwrap().last().map(|point| point.time)
                    != Some(time)
                {
                    std::thread::yield_now();
                }
            }
        }
        history.close();
        reader
    }

    #[test]
    fn what_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let key = MeterKey::new("", None);
        let reader = filled(folder.path(), &key);
        let memory = read(&reader, &key, &now()).unwrap();
        let power = memory.power.unwrap();
        assert_eq!((power.unit.as_str(), power.points.len()), ("W", 144));
        assert_eq!(power.points.last().unwrap().value, Decimal::from(3000 + READINGS));
        assert!(memory.flow.is_none() && memory.back.is_none());
        assert_eq!(memory.supply.unwrap().unit, "°C");
        let Counter { parameter, unit, hours, days } = memory.counter.unwrap();
        // Of energy and volume, both of which are counted.
        assert_eq!((&*parameter, &*unit), ("energy", "kWh"));
        // Six readings an hour, half a kilowatt-hour each.
        assert_eq!(hours.len(), HOURS);
        assert_eq!(hours[0].used, Some(Decimal::from(3)));
        assert!(hours[HOURS - 1].so_far);
        let days: Vec<_> = days.iter().map(|day| day.used).collect();
        assert_eq!(days.len(), usize::try_from(DAYS).unwrap());
        assert_eq!(days[DAYS as usize - 2], Some(Decimal::from(72)));
        assert_eq!(days[0], None);
    }

    /// A water meter has no energy to be drawn, but volume.
    #[test]
    fn where_no_energy_is_counted_volume_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let key = MeterKey::new("", None);
        let history = History::start(Some(folder.path().join("history.db")), &now());
        let reader = history.reader();
        // What wraps counts nothing that can be drawn.
        let fine = |value| noted("volumehighres", value, "m³", false);
        for (time, digits) in [
            ("06:00:02", 191_757),
            ("07:00:02", 191_760),
            ("08:00:02", 191_765),
            ("08:20:02", 191_766),
        ] {
            let time = format!("2026-11-24T{time}Z").parse().unwrap();
            let volume = noted("volume", Decimal::new(digits, 3), "m³", true);
            history.note(&key, time, &[volume, fine(Decimal::ONE)]);
        }
        history.close();
        let counter = read(&reader, &key, &now()).unwrap().counter.unwrap();
        assert_eq!((&*counter.parameter, &*counter.unit), ("volume", "m³"));
        let hours: Vec<_> = counter.hours.iter().filter_map(|hour| hour.used).collect();
        assert_eq!(hours, [3, 5, 1].map(|digits| Decimal::new(digits, 3)));
        assert_eq!(counter.days.len(), usize::try_from(DAYS).unwrap());
    }

    /// Of what was taken out of the list of parameters, readings are still there.
    #[test]
    fn what_is_counted_now_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let key = MeterKey::new("", None);
        let history = History::start(Some(folder.path().join("history.db")), &now());
        let reader = history.reader();
        let full_hour = now().checked_sub(30.minutes()).unwrap();
        for hours in (0..60).rev() {
            let time = full_hour.checked_sub(hours.hours()).unwrap().timestamp();
            let value = Decimal::from(1000 - hours);
            let mut values = vec![noted("volume", value, "m³", true)];
            if hours >= 33 {
                values.push(noted("e1highres", value, "kWh", true));
            }
            if hours >= 10 {
                values.push(noted("energy", value, "kWh", true));
            }
            history.note(&key, time, &values);
        }
        history.close();
        let drawn = |now: &ZonedDateTime| {
            read(&reader, &key, now).unwrap().counter.map(|counter| counter.parameter)
        };
        let at = |ago: i64| now().checked_sub(ago.hours()).unwrap();
        let drawn = [at(50), at(5), at(-20), at(-36), at(-24 * 20)].map(|now| drawn(&now));
        // Where nothing is counted any more, it is the finest; and in the end nothing.
        let [fine, energy, volume] =
            ["e1highres", "energy", "volume"].map(|name| Some(name.into()));
        assert_eq!(drawn, [fine.clone(), energy, volume, fine, None]);
    }

    /// The same is read once, and again when there was another poll.
    #[tokio::test]
    async fn many_pages_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = MeterKey::new("", None);
        let reader = filled(folder.path(), &key);
        let board = Board::default();
        let meter = MeterState::new("a".to_owned(), "b".to_owned(), Duration::from_secs(300));
        board.set_meters(vec![(0, meter)]);
        board.meter(0, |meter| meter.key = Some(key));
        let (visitors, clock) = (Visitors::HomeAssistant, now as fn() -> ZonedDateTime);
        let site = Site { board: board.clone(), history: Some(reader), visitors, clock };
        let cache = Cache::new(BlockingJobs::readings());
        let first = cache.look(&site, &now()).await;
        assert_eq!(first.len(), 1);
        assert!(Arc::ptr_eq(&first, &cache.look(&site, &now()).await));
        board.meter(0, |meter| {
            let at = Instant::now();
            meter.last = Some(LastPoll { at, answered: true, trouble: None });
        });
        let second = cache.look(&site, &now()).await;
        assert!(!Arc::ptr_eq(&first, &second));
        let later = now().checked_add(10.seconds()).unwrap();
        assert!(!Arc::ptr_eq(&second, &cache.look(&site, &later).await));
    }

    #[tokio::test]
    async fn without_a_history_nothing_is_drawn() {
        let (visitors, clock) = (Visitors::HomeAssistant, now as fn() -> ZonedDateTime);
        let site = Site { board: Board::default(), history: None, visitors, clock };
        assert!(Cache::new(BlockingJobs::readings()).look(&site, &now()).await.is_empty());
    }

    /// Readings are kept, and pages and answers are made of them, whatever time the clock says.
    #[tokio::test]
    async fn what_is_drawn_at_the_end_of_the_calendar() {
        use super::super::page::{self, Look};
        use super::super::{Language, Now, api, metrics};
        use crate::status::{LastPoll, LineQuality, MeterState};

        let key = MeterKey::new("", None);
        let board = Board::default();
        let interval = Duration::from_secs(300);
        board.set_meters(vec![(0, MeterState::new("a".to_owned(), "b".to_owned(), interval))]);
        for now in testing::times() {
            let history = History::start(None, &now);
            let reader = history.reader();
            for minutes in [90, 60, 30, 1, 0] {
                let time = now.timestamp().saturating_sub(minutes.minutes()).unwrap();
                let value = Decimal::from(1000 - minutes);
                history.note(
                    &key,
                    time,
                    &[noted("power", value, "W", false), noted("energy", value, "kWh", true)],
                );
            }
            // In memory, it is gone with what keeps it.
            let memory = loop {
                let memory = read(&reader, &key, &now).unwrap();
                let points = memory.power.as_ref().map(|power| power.points.len());
                if points.is_some() {
                    break memory;
                }
                tokio::task::yield_now().await;
            };
            let at = Instant::now();
            board.meter(0, |meter| {
                meter.last = Some(LastPoll { at, answered: true, trouble: None });
                meter.since = at.checked_sub(interval);
                meter.next_poll = at.checked_add(interval);
                meter.line = LineQuality::default().on(now.date());
            });
            let wall = Now { wall: now.clone(), at };
            assert!(api::state(&board, Vec::new(), &wall).unwrap().contains("next_poll"));
            metrics::text(&board, &wall).unwrap();
            let look = Look {
                language: Language::accepted(None),
                level: tracing::Level::TRACE,
                ports: Vec::new(),
                memories: Arc::new(vec![(0, memory)]),
                now: now.clone(),
            };
            assert!(page::render(&board, look).unwrap().contains("</html>"), "{now}");
            for range in [(Timestamp::MIN, Timestamp::MAX), (now.timestamp(), now.timestamp())] {
                reader.readings(&key, "power", range).unwrap();
                reader.hours(&key, "power", range).unwrap();
                reader.days(&key, "power", range).unwrap();
            }
            history.close();
        }
    }
}
