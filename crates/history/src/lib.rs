//! The memory of readings, from which charts are drawn: a database (`SQLite`) of bounded
//! size.
//!
//! What is kept, of each value of each meter:
//!
//! | what | how much of it |
//! |---|---|
//! | each reading | of the last [`RECENT_HOURS`] hours that have any; once an hour is over, [`PER_HOUR`] of it |
//! | last, lowest, highest and mean value of each hour | [`HOURS`] hours |
//! | the same of each day | [`DAYS`] days |
//!
//! A counter's hour and day are differences of its readings at their ends, never guesses: where no
//! reading is near an end, and where the counter fell, nothing is known. Hours and days are those of
//! the local zone.
//!
//! [`History::note`] hands a poll over to a thread and never waits. What goes wrong with the disk is
//! told once in the log and stands in [`History::trouble`]; everything else goes on, what was read
//! meanwhile waits in memory, and it is tried again with later polls. [`Reader`] reads what stands in
//! the database at one moment, and holds nothing up.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod calendar;
mod place;
mod store;
mod summary;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use jiff::civil::Date;
use jiff::{Timestamp, ZonedDateTime};
use rust_decimal::Decimal;
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use self::calendar::{Calendar, Millis, Span};
pub use self::place::place;
use self::store::{Place, Table, View};
pub use self::summary::{Point, Summary, Used, thin};
pub use self::trouble::Trouble;
use self::writer::{Poll, Writer};

/// Of so many hours that have readings, each reading is kept: two days, and the hour that is over
/// last.
pub const RECENT_HOURS: u32 = 49;
/// At most so many readings of one value are kept of an hour that is over: one every ten seconds.
/// Where there were more, the lowest and the highest of each stretch stay.
pub const PER_HOUR: usize = 360;
/// So many hours are kept: 400 days.
pub const HOURS: u32 = 400 * 24;
/// So many days are kept: ten years.
pub const DAYS: u32 = 3_653;

/// Polls on their way to the thread that writes them.
const QUEUE: usize = 64;

/// The stack of the thread, as the program's other threads have it.
const STACK: usize = 1024 * 1024;

/// Whose readings they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterKey {
    name: String,
    serial: Option<u32>,
}

impl MeterKey {
    /// By its configured name, empty for the one meter that needs none, and its serial number. Another serial number is another
    /// meter, whose counters go on where they will. What is kept without one belongs to none of those
    /// that have told theirs; who reads without one gets the meter that was kept last.
    #[must_use]
    pub fn new(name: &str, serial: Option<u32>) -> Self {
        Self { name: name.to_owned(), serial }
    }

    /// The configured name; empty for the one meter that needs none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn serial(&self) -> Option<String> {
        self.serial.map(|serial| serial.to_string())
    }
}

/// A value of a poll, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// What it is called.
    pub parameter: String,
    /// The number as it was published.
    pub value: Decimal,
    /// The unit as it was published; what comes in another one is another curve.
    pub unit: Option<String>,
    /// Whether it counts up, so that differences of it mean something.
    pub is_counter: bool,
}

/// A value that there is something kept of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is called.
    pub parameter: String,
    /// The unit in which it came last.
    pub unit: Option<String>,
    /// Whether it counts up.
    pub is_counter: bool,
}

/// Keeps readings.
#[derive(Debug)]
pub struct History {
    polls: SyncSender<Poll>,
    trouble: watch::Sender<Option<Trouble>>,
    reader: Reader,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread has ended.
    ended: oneshot::Receiver<()>,
}

impl History {
    /// Begins to keep readings in this file, which is made where there is none, or without one in
    /// memory, until the program ends. Hours and days are those of the zone of `now`.
    ///
    /// It always succeeds: what is wrong with the file is in [`Self::trouble`].
    #[must_use]
    pub fn start(file: Option<PathBuf>, now: &ZonedDateTime) -> Self {
        let place = file.map_or_else(Place::memory, Place::File);
        match &place {
            Place::File(path) => debug!("Readings are kept in {}.", path.display()),
            Place::Memory(_) => debug!(
                "Readings are kept in memory only, until the program ends: there is no directory to \
                 keep them in."
            ),
        }
        let calendar = Calendar::new(now.time_zone().clone());
        let trouble = watch::Sender::new(None);
        let (polls, received) = sync_channel(QUEUE);
        let now = now.timestamp().as_millisecond();
        let writer = Writer::new(place.clone(), calendar.clone(), trouble.clone());
        let (end, ended) = oneshot::channel::<()>();
        let started =
            thread::Builder::new().name("history".to_owned()).stack_size(STACK).spawn(move || {
                writer.run(&received, now);
                drop(end);
            });
        let reader = Reader { place, calendar, trouble: trouble.subscribe() };
        let thread = started.map_err(|error| {
            let none = Trouble::NoThread(error.to_string());
            warn!("{none}. {} Everything else goes on without them.", none.hint());
            trouble.send_replace(Some(none));
        });
        Self { polls, trouble, reader, thread: thread.ok(), ended }
    }

    /// Keeps what a poll has read that ended at `time`. It never waits: where the disk does not keep
    /// up for 64 polls, the poll is lost, and that is told.
    pub fn note(&self, meter: &MeterKey, time: Timestamp, values: &[Noted]) {
        if values.is_empty() {
            return;
        }
        let (meter, time) = (meter.clone(), time.as_millisecond());
        let poll = Poll { meter, time, values: values.to_vec() };
        let is_full = matches!(self.polls.try_send(poll), Err(TrySendError::Full(_)));
        // Another trouble would be the reason.
        if is_full && self.trouble.borrow().is_none() {
            let trouble = Trouble::Slow(self.reader.place.path().to_owned());
            writer::tell(&self.trouble, Some(&trouble));
        }
    }

    /// What keeps readings from being kept at present, and its changes.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    /// Reads what is kept.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes what was noted, and ends. It waits for the disk; without it nothing is lost but what
    /// was noted last.
    pub fn close(self) {
        let Self { polls, thread, .. } = self;
        drop(polls);
        // Only a panic would be an error, and a panic ends the program.
        let _ = thread.map(JoinHandle::join);
    }

    /// Does as [`Self::close`], and lets others run meanwhile. Whoever gives up leaves the rest to the
    /// thread.
    pub async fn closed(self) {
        let Self { polls, ended, .. } = self;
        drop(polls);
        // It is only ever closed.
        let _ = ended.await;
    }
}

/// Reads what is kept. Each method opens the database, sees it as it is at that moment, and closes
/// it; none holds up what is written. They wait for the disk: call them where that may be
/// (`spawn_blocking`).
///
/// A meter or a value that nothing is kept of has empty lists, and so has everything before the
/// database is made. An error is that the file cannot be read, or that it is not to be read
/// ([`History::trouble`]).
#[derive(Debug, Clone)]
pub struct Reader {
    place: Place,
    calendar: Calendar,
    trouble: watch::Receiver<Option<Trouble>>,
}

/// A day, for [`Reader::last_day`].
const DAY: Millis = 24 * calendar::HOUR;

impl Reader {
    /// The values of a meter, by name.
    pub fn kept(&self, meter: &MeterKey) -> Result<Vec<Kept>, Trouble> {
        self.view(|view| view.kept(meter))
    }

    /// The readings of the 24 hours before `now`, oldest first: at most `most` of them, as they were,
    /// the lowest and the highest among them ([`thin`]).
    pub fn last_day(
        &self,
        meter: &MeterKey,
        parameter: &str,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Point>, Trouble> {
        let end = now.as_millisecond().saturating_add(1);
        let span = Span { start: end.saturating_sub(DAY), end };
        let points = self.of(meter, parameter, |view, series| view.readings(series, span))?;
        Ok(thin(&points, most))
    }

    /// What a counter has counted in each hour of a day: 24 of them, or 23 or 25 where the clock
    /// changes. Hours after `now` are not in it.
    pub fn used_by_hour(
        &self,
        meter: &MeterKey,
        parameter: &str,
        date: Date,
        now: Timestamp,
    ) -> Result<Vec<Used>, Trouble> {
        let Some(day) = self.calendar.day(date) else {
            return Ok(Vec::new());
        };
        let before = self.calendar.hour_before(day.start);
        let spans = std::iter::once(before).chain(Calendar::hours(day));
        self.used(Table::Hour, meter, parameter, spans, now)
    }

    /// What a counter has counted in each of the `days` days up to `last`, oldest first; at most
    /// [`DAYS`]. Days after `now` are not in it.
    pub fn used_by_day(
        &self,
        meter: &MeterKey,
        parameter: &str,
        last: Date,
        days: u32,
        now: Timestamp,
    ) -> Result<Vec<Used>, Trouble> {
        let dates = last.series(jiff::Span::new().days(-1));
        let count = usize::try_from(days.min(DAYS)).unwrap_or(usize::MAX).saturating_add(1);
        let mut spans: Vec<Span> =
            dates.take(count).filter_map(|date| self.calendar.day(date)).collect();
        spans.reverse();
        self.used(Table::Day, meter, parameter, spans, now)
    }

    fn used(
        &self,
        table: Table,
        meter: &MeterKey,
        parameter: &str,
        spans: impl IntoIterator<Item = Span>,
        now: Timestamp,
    ) -> Result<Vec<Used>, Trouble> {
        let now = now.as_millisecond();
        let spans: Vec<Span> = spans.into_iter().take_while(|span| span.start <= now).collect();
        self.of(meter, parameter, |view, series| {
            view.used(table, series, &spans, &self.calendar, now)
        })
    }

    /// All readings from `from` up to, and without, `to`, oldest first.
    pub fn readings(
        &self,
        meter: &MeterKey,
        parameter: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<Point>, Trouble> {
        let span = Span { start: from.as_millisecond(), end: to.as_millisecond() };
        self.of(meter, parameter, |view, series| view.readings(series, span))
    }

    /// The hours that begin from `from` up to, and without, `to`, each with its beginning, oldest
    /// first. The last one may not be over.
    pub fn hours(
        &self,
        meter: &MeterKey,
        parameter: &str,
        range: (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, Trouble> {
        self.summaries(Table::Hour, meter, parameter, range)
    }

    /// The days that begin from `from` up to, and without, `to`, each with its beginning, oldest
    /// first. The last one may not be over.
    pub fn days(
        &self,
        meter: &MeterKey,
        parameter: &str,
        range: (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, Trouble> {
        self.summaries(Table::Day, meter, parameter, range)
    }

    fn summaries(
        &self,
        table: Table,
        meter: &MeterKey,
        parameter: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Summary)>, Trouble> {
        let span = Span { start: from.as_millisecond(), end: to.as_millisecond() };
        self.of(meter, parameter, |view, series| {
            let summaries = view.summaries(table, series, span, &self.calendar)?;
            let point = |(start, summary)| (calendar::timestamp(start), summary);
            Ok(summaries.into_iter().map(point).collect())
        })
    }

    /// What a value's series says; empty where there is none.
    fn of<T>(
        &self,
        meter: &MeterKey,
        parameter: &str,
        read: impl FnOnce(&View, i64) -> Result<Vec<T>, rusqlite::Error>,
    ) -> Result<Vec<T>, Trouble> {
        self.view(|view| match view.series(meter, parameter)? {
            Some(series) => read(view, series),
            None => Ok(Vec::new()),
        })
    }

    fn view<T>(
        &self,
        read: impl FnOnce(&View) -> Result<Vec<T>, rusqlite::Error>,
    ) -> Result<Vec<T>, Trouble> {
        if let Some(trouble) = &*self.trouble.borrow()
            && trouble.forbids_reading()
        {
            return Err(trouble.clone());
        }
        let all = self.place.view().and_then(|view| match view {
            Some(view) => read(&view),
            None => Ok(Vec::new()),
        });
        // What is known of the disk says more than what came of reading.
        let known = || self.trouble.borrow().clone();
        all.map_err(|error| {
            known().unwrap_or_else(|| Trouble::from_sqlite(&error, self.place.path()))
        })
    }
}
