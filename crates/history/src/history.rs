//! The handle of the thread that writes readings.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use jiff::{Timestamp, ZonedDateTime};
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use crate::calendar::Calendar;
use crate::error::{Hint, HistoryError};
use crate::reader::Reader;
use crate::sample::{MeterKey, Sample, Usage, UsageRecord};
use crate::store::Location;
use crate::writer::{self, Order, Poll, Writer};

/// The most orders that wait for the thread.
const QUEUE: usize = 64;

/// Bytes of stack for the thread; `SQLite` needs little.
const STACK: usize = 1024 * 1024;

/// Writes readings to the database.
#[derive(Debug)]
pub struct History {
    orders: SyncSender<Order>,
    error: watch::Sender<Option<HistoryError>>,
    reader: Reader,
    hint: Hint,
    thread: Option<JoinHandle<()>>,
    /// Is closed when the thread ends.
    ended: oneshot::Receiver<()>,
}

impl History {
    /// Starts writing readings to a file, which is created if it is missing. Without a file,
    /// readings are in memory until the program ends. Hours and days are those in the zone of
    /// `now`.
    ///
    /// This always succeeds. Errors of the file are in [`Self::error`].
    #[must_use]
    pub fn start(file: Option<PathBuf>, now: &ZonedDateTime) -> Self {
        Self::start_with(file, now, HistoryError::hint)
    }

    /// The same, with the program's own hints in the log.
    #[must_use]
    pub fn start_with(file: Option<PathBuf>, now: &ZonedDateTime, hint: Hint) -> Self {
        let location = file.map_or_else(Location::memory, Location::File);
        match &location {
            Location::File(path) => debug!("Readings are stored in {}.", path.display()),
            Location::Memory(_) => debug!(
                "Readings are kept only in memory, until the program stops: there is no directory \
                 for them."
            ),
        }
        let calendar = Calendar::new(now.time_zone().clone());
        let error = watch::Sender::new(None);
        let (orders, received) = sync_channel(QUEUE);
        let now = now.timestamp().as_millisecond();
        let writer = Writer::new(location.clone(), calendar.clone(), error.clone(), hint);
        let (end, ended) = oneshot::channel::<()>();
        let started =
            thread::Builder::new().name("history".to_owned()).stack_size(STACK).spawn(move || {
                writer.run(&received, now);
                drop(end);
            });
        let reader = Reader::new(location, calendar, error.subscribe());
        let thread = started.map_err(|reason| {
            let none = HistoryError::NoThread(reason.to_string());
            warn!("{none}. {} Everything else works without them.", hint(&none));
            error.send_replace(Some(none));
        });
        Self { orders, error, hint, reader, thread: thread.ok(), ended }
    }

    /// Hands the values of a poll that ended at `time` to the thread. This never waits: if 64 polls
    /// already wait for a slow disk, this poll is lost, and the loss is logged.
    pub fn note(&self, meter: &MeterKey, time: Timestamp, values: &[Sample]) {
        self.note_poll(meter, time, values, &[]);
    }

    /// The same with what the poll cost, by kinds that the caller numbers. The costs of a kind on
    /// one day are added. A cost without values and without a serial number is that of the meter of
    /// this name that was written last.
    pub fn note_poll(
        &self,
        meter: &MeterKey,
        time: Timestamp,
        values: &[Sample],
        usage: &[(i64, Usage)],
    ) {
        if values.is_empty() && usage.is_empty() {
            return;
        }
        let (meter, time) = (meter.clone(), time.as_millisecond());
        self.order(Order::Write(Poll {
            meter,
            time,
            values: values.to_vec(),
            usage: usage.to_vec(),
        }));
    }

    /// What is stored about the cost of a meter's polls, with all polls that were noted before this
    /// call. The channel is closed without an answer if the thread has ended or is too slow. While
    /// the file cannot be used, the answer waits.
    #[must_use]
    pub fn usage(&self, meter: &MeterKey) -> oneshot::Receiver<UsageRecord> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Usage(meter.clone(), reply));
        answer
    }

    fn order(&self, order: Order) {
        let is_full = matches!(self.orders.try_send(order), Err(TrySendError::Full(_)));
        // If there is another error, it is the cause.
        if is_full && self.error.borrow().is_none() {
            let slow = HistoryError::Slow(self.reader.path().to_owned());
            writer::report(&self.error, Some(&slow), self.hint);
        }
    }

    /// The current error and its changes.
    #[must_use]
    pub fn error(&self) -> watch::Receiver<Option<HistoryError>> {
        self.error.subscribe()
    }

    /// A reader of the same database.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes the polls that were handed over, and ends the thread. This waits for the disk.
    /// Without this call, only the last polls are lost.
    pub fn close(self) {
        let Self { orders, thread, .. } = self;
        drop(orders);
        // The only possible error is a panic of the thread.
        let _ = thread.map(JoinHandle::join);
    }

    /// Like [`Self::close`], for asynchronous code. If the future is dropped, the thread does the
    /// rest alone.
    pub async fn closed(self) {
        let Self { orders, ended, .. } = self;
        drop(orders);
        // The thread closes the channel and never sends.
        let _ = ended.await;
    }
}
