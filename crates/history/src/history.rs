//! Writing readings, by a thread.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use jiff::{Timestamp, ZonedDateTime};
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use crate::calendar::Calendar;
use crate::error::HistoryError;
use crate::reader::Reader;
use crate::sample::{MeterKey, Sample};
use crate::store::Location;
use crate::writer::{self, Poll, Writer};

/// The most polls that wait for the thread.
const QUEUE: usize = 64;

/// Bytes of stack of the thread; `SQLite` needs little.
const STACK: usize = 1024 * 1024;

/// Writes readings.
#[derive(Debug)]
pub struct History {
    polls: SyncSender<Poll>,
    error: watch::Sender<Option<HistoryError>>,
    reader: Reader,
    thread: Option<JoinHandle<()>>,
    /// Closed at the end of the thread.
    ended: oneshot::Receiver<()>,
}

impl History {
    /// Starts to write readings to a file, which is created where there is none. Without a file
    /// they are in memory until the program ends. Hours and days are those of the zone of `now`.
    ///
    /// It always succeeds: errors of the file are in [`Self::error`].
    #[must_use]
    pub fn start(file: Option<PathBuf>, now: &ZonedDateTime) -> Self {
        let location = file.map_or_else(Location::memory, Location::File);
        match &location {
            Location::File(path) => debug!("Readings are kept in {}.", path.display()),
            Location::Memory(_) => debug!(
                "Readings are kept in memory only, until the program ends: there is no directory to \
                 keep them in."
            ),
        }
        let calendar = Calendar::new(now.time_zone().clone());
        let error = watch::Sender::new(None);
        let (polls, received) = sync_channel(QUEUE);
        let now = now.timestamp().as_millisecond();
        let writer = Writer::new(location.clone(), calendar.clone(), error.clone());
        let (end, ended) = oneshot::channel::<()>();
        let started =
            thread::Builder::new().name("history".to_owned()).stack_size(STACK).spawn(move || {
                writer.run(&received, now);
                drop(end);
            });
        let reader = Reader::new(location, calendar, error.subscribe());
        let thread = started.map_err(|reason| {
            let none = HistoryError::NoThread(reason.to_string());
            warn!("{none}. {} Everything else goes on without them.", none.hint());
            error.send_replace(Some(none));
        });
        Self { polls, error, reader, thread: thread.ok(), ended }
    }

    /// Hands over the values of a poll that ended at `time`. It never waits: where 64 polls wait
    /// for a slow disk, this one is lost, and that is logged.
    pub fn note(&self, meter: &MeterKey, time: Timestamp, values: &[Sample]) {
        if values.is_empty() {
            return;
        }
        let poll =
            Poll { meter: meter.clone(), time: time.as_millisecond(), values: values.to_vec() };
        let is_full = matches!(self.polls.try_send(poll), Err(TrySendError::Full(_)));
        // Another error would be the cause.
        if is_full && self.error.borrow().is_none() {
            let slow = HistoryError::Slow(self.reader.path().to_owned());
            writer::report(&self.error, Some(&slow));
        }
    }

    /// The present error, and its changes.
    #[must_use]
    pub fn error(&self) -> watch::Receiver<Option<HistoryError>> {
        self.error.subscribe()
    }

    /// A reader of the same database.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes what was handed over, and ends. It waits for the disk. Without it, only the last
    /// polls are lost.
    pub fn close(self) {
        let Self { polls, thread, .. } = self;
        drop(polls);
        // Only a panic would be an error here.
        let _ = thread.map(JoinHandle::join);
    }

    /// The same as [`Self::close`] for asynchronous code. Whoever drops the future leaves the rest
    /// to the thread.
    pub async fn closed(self) {
        let Self { polls, ended, .. } = self;
        drop(polls);
        // The thread closes it and never sends.
        let _ = ended.await;
    }
}
