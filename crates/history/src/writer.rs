//! The thread that writes, because a disk can be slow and can fail.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError};

use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use crate::calendar::{Calendar, MINUTE, Millis};
use crate::error::{Hint, HistoryError};
use crate::limits::SERIALS;
use crate::sample::{MeterKey, Sample, Usage, UsageRecord};
use crate::store::{Location, Predecessor, Store, Written};

/// One poll of one meter.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    pub(crate) meter: MeterKey,
    pub(crate) time: Millis,
    pub(crate) values: Vec<Sample>,
    /// What it cost, by kind.
    pub(crate) usage: Vec<(i64, Usage)>,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Write(Poll),
    /// To send what is stored about the cost of a meter's polls, with all polls before this order.
    Usage(MeterKey, oneshot::Sender<UsageRecord>),
}

impl Order {
    /// The time of a poll.
    fn time(&self) -> Option<Millis> {
        match self {
            Self::Write(poll) => Some(poll.time),
            Self::Usage(..) => None,
        }
    }
}

/// The most polls and other orders that wait in memory until the disk works again: five days with a poll every five
/// minutes, half an hour with a poll every 1.2 s.
const WAITING: usize = 1_500;

/// After an error, the first poll after this time tries again.
const RETRY_AFTER: Millis = MINUTE / 2;

pub(crate) struct Writer {
    location: Location,
    calendar: Calendar,
    error: watch::Sender<Option<HistoryError>>,
    hint: Hint,
    store: Option<Store>,
    waiting: VecDeque<Order>,
    /// The names of meters that have a poll in this run. The reader of a meter logs its exchange
    /// during this run. Only the file shows an exchange before this run.
    written: BTreeSet<String>,
    /// The names of meters with too many serial numbers, which are reported once.
    refused: BTreeSet<String>,
    /// The time of the last poll that could not be written.
    failed: Option<Millis>,
}

impl Writer {
    pub(crate) fn new(
        location: Location,
        calendar: Calendar,
        error: watch::Sender<Option<HistoryError>>,
        hint: Hint,
    ) -> Self {
        Self {
            location,
            calendar,
            error,
            hint,
            store: None,
            waiting: VecDeque::new(),
            written: BTreeSet::new(),
            refused: BTreeSet::new(),
            failed: None,
        }
    }

    /// Opens the database, then writes polls until all senders are dropped. Hours that are over are
    /// folded meanwhile: a step after each write, and more while no poll waits.
    pub(crate) fn run(mut self, orders: &Receiver<Order>, now: Millis) {
        // An error is logged now, not only with the first poll.
        let opened = self.open(now);
        self.report(&opened);
        let mut last = now;
        loop {
            let order = if self.is_folding() {
                match orders.try_recv() {
                    Ok(order) => Some(order),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                let Ok(order) = orders.recv() else { break };
                Some(order)
            };
            if let Some(order) = order {
                last = order.time().unwrap_or(last);
                self.take(order, last, orders);
            }
            self.fold(last);
        }
        // After an error, the last attempt may be a while ago.
        if let Some(last) = self.waiting.iter().rev().find_map(Order::time) {
            let written = self.write_all(last);
            self.report(&written);
        }
        // What a kill leaves here, the next run folds.
        while self.is_folding() {
            self.fold(last);
        }
    }

    /// Carries an order out, together with all others that wait.
    fn take(&mut self, order: Order, time: Millis, orders: &Receiver<Order>) {
        self.waiting.push_back(order);
        self.waiting.extend(orders.try_iter().take(WAITING));
        while self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        let is_soon = |failed: Millis| {
            let since = time.saturating_sub(failed);
            (0..RETRY_AFTER).contains(&since)
        };
        if self.failed.is_some_and(is_soon) {
            return;
        }
        let written = self.write_all(time);
        self.failed = written.is_err().then_some(time);
        self.report(&written);
    }

    fn is_folding(&self) -> bool {
        self.store.as_ref().is_some_and(Store::is_folding)
    }

    /// Folds hours a step further, if any are over. `time` is that of the last poll.
    fn fold(&mut self, time: Millis) {
        let Some(store) = self.store.as_mut().filter(|store| store.is_folding()) else { return };
        let Err(error) = store.step() else { return };
        // Some errors damage the state in memory, so the next attempt reopens it.
        self.store = None;
        let failed = match HistoryError::from_sqlite(&error, self.location.path()) {
            HistoryError::Damaged { reason, .. } => self.replace_file(&reason, time),
            other => Err(other),
        };
        self.failed = failed.is_err().then_some(time);
        self.report(&failed);
    }

    fn write_all(&mut self, time: Millis) -> Result<(), HistoryError> {
        self.open(time)?;
        let written = self.try_write();
        if let Err(HistoryError::Damaged { reason, .. }) = &written {
            self.replace_file(reason, time)?;
            return self.try_write();
        }
        written
    }

    fn try_write(&mut self) -> Result<(), HistoryError> {
        while let (Some(store), Some(order)) = (&mut self.store, self.waiting.front()) {
            let done = match order {
                Order::Write(poll) => {
                    let Poll { meter, time, values, usage } = poll;
                    store.write(meter, *time, values, usage).map(|written| (written, None))
                }
                Order::Usage(meter, _) => {
                    store.usage(meter).map(|record| (Written::Stored, Some(record)))
                }
            };
            let (written, record) = match done {
                Ok(done) => done,
                Err(error) => {
                    // Some errors damage the state in memory, so the next attempt reopens it.
                    self.store = None;
                    return Err(HistoryError::from_sqlite(&error, self.location.path()));
                }
            };
            match self.waiting.pop_front() {
                Some(Order::Write(poll)) => self.report_meter(written, &poll),
                Some(Order::Usage(_, reply)) => {
                    // Who has asked may have left.
                    let _ = record.map(|record| reply.send(record));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Logs that another meter has a name, or that too many had it.
    fn report_meter(&mut self, written: Written, poll: &Poll) {
        let name = poll.meter.name();
        let is_first = self.written.insert(name.to_owned());
        match written {
            Written::Exchanged(before) if is_first => {
                warn!("{}", exchange_message(&before, poll));
            }
            Written::TooManySerials if self.refused.insert(name.to_owned()) => {
                warn!("{}", refusal_message(&poll.meter));
            }
            Written::Stored | Written::Exchanged(_) | Written::TooManySerials => {}
        }
    }

    /// Opens the database, unless it is open. A file that is no longer there is closed.
    fn open(&mut self, time: Millis) -> Result<(), HistoryError> {
        match self.store.take() {
            Some(store) if store.is_displaced() => {
                let path = self.location.path().display();
                warn!(
                    "The file of readings {path} was removed or replaced while it was open. Readings \
                     are stored in the file that is there now, or in a new one."
                );
                store.leave();
            }
            Some(store) => {
                self.store = Some(store);
                return Ok(());
            }
            None => {}
        }
        match Store::open(&self.location, self.calendar.clone()) {
            Ok(store) => self.store = Some(store),
            Err(HistoryError::Damaged { reason, .. }) => self.replace_file(&reason, time)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Renames a damaged file, and creates a new one.
    fn replace_file(&mut self, reason: &str, time: Millis) -> Result<(), HistoryError> {
        self.store = None;
        let path = self.location.path().to_owned();
        let aside = self.location.set_aside(self.calendar.date(time));
        let aside = aside.map_err(|error| HistoryError::from_io(&error, &path))?;
        warn!(
            "The file of readings {} is damaged ({reason}). It was renamed to {}, and a new file \
             was created, so the charts start again. A worn SD card can cause this. Check the \
             disk.",
            path.display(),
            aside.file_name().map_or(Path::new(""), Path::new).display()
        );
        self.store = Some(Store::open(&self.location, self.calendar.clone())?);
        Ok(())
    }

    fn report(&self, outcome: &Result<(), HistoryError>) {
        report(&self.error, outcome.as_ref().err(), self.hint);
    }
}

/// The log message about a meter that was exchanged before this run read it.
fn exchange_message(before: &Predecessor, poll: &Poll) -> String {
    let name = match poll.meter.name() {
        "" => String::new(),
        name => format!(" `{name}`"),
    };
    let shown = |name: &str, value: &str, unit: &str| {
        format!("`{name}` {value} {unit}").trim_end().to_owned()
    };
    let listed = |word: &str, counters: Vec<String>| match counters.as_slice() {
        [] => String::new(),
        counters => format!(" ({word}{})", counters.join(", ")),
    };
    let Predecessor { serial, counters } = before;
    let last = counters.iter().map(|[name, value, unit]| shown(name, value, unit)).collect();
    let counters = poll.values.iter().filter(|sample| sample.is_counter);
    let first = counters.map(|sample| {
        let unit = sample.unit.as_deref().unwrap_or_default();
        shown(&sample.parameter, &sample.value.to_string(), unit)
    });
    let now = poll.meter.serial().unwrap_or_else(|| "a meter without a serial number".to_owned());
    format!(
        "The meter{name} was exchanged since its last reading: serial number {serial}{} no longer \
         answers, {now}{} does. New readings are stored for {now}.",
        listed("last ", last),
        listed("", first.collect()),
    )
}

/// The log message about a meter with too many serial numbers.
fn refusal_message(meter: &MeterKey) -> String {
    let serial = meter.serial().map_or_else(
        || "The meter has sent no serial number".to_owned(),
        |serial| format!("The meter has sent the serial number {serial}"),
    );
    let of = match meter.name() {
        "" => String::new(),
        name => format!(" of `{name}`"),
    };
    format!(
        "{serial}. Its readings are not stored, because readings{of} with {SERIALS} other serial \
         numbers are stored already. Check the port and the meter: a meter does not change its \
         serial number. Readings with a known serial number are still stored. kamstrup2mqtt logs this \
         only once."
    )
}

/// Logs a change of state, once.
pub(crate) fn report(
    state: &watch::Sender<Option<HistoryError>>,
    new: Option<&HistoryError>,
    hint: Hint,
) {
    state.send_if_modified(|old| {
        let is_like = match (&*old, new) {
            (Some(old), Some(new)) => old.is_like(new),
            (None, None) => true,
            _ => false,
        };
        if is_like {
            return false;
        }
        if let Some(error) = new {
            warn!(
                "{error}. {} Everything else continues. Retrying until it works; this is logged \
                 only once.",
                hint(error)
            );
        } else {
            info!("Readings are stored now.");
        }
        *old = new.cloned();
        true
    });
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn an_exchange_names_both_meters_and_what_they_count() {
        let counter = |name: &str, value: i64, unit: Option<&str>| Sample {
            parameter: name.to_owned(),
            value: Decimal::from(value),
            unit: unit.map(str::to_owned),
            is_counter: true,
        };
        let texts = |[name, value, unit]: [&str; 3]| [name, value, unit].map(str::to_owned);
        let before = Predecessor {
            serial: "6131453".to_owned(),
            counters: vec![texts(["energy", "28316", "kWh"]), texts(["infoevent", "3", ""])],
        };
        let meter = MeterKey::new("", Some(80_713_078));
        let values = vec![counter("energy", 12, Some("kWh")), counter("infoevent", 0, None)];
        let poll = Poll { meter, time: 0, values, usage: Vec::new() };
        assert_eq!(
            exchange_message(&before, &poll),
            "The meter was exchanged since its last reading: serial number 6131453 (last `energy` \
             28316 kWh, `infoevent` 3) no longer answers, 80713078 (`energy` 12 kWh, `infoevent` \
             0) does. New readings are stored for 80713078."
        );
        let nothing = Predecessor { counters: Vec::new(), ..before };
        let poll = Poll { values: Vec::new(), ..poll };
        assert_eq!(
            exchange_message(&nothing, &poll),
            "The meter was exchanged since its last reading: serial number 6131453 no longer \
             answers, 80713078 does. New readings are stored for 80713078."
        );
    }
}
