//! The thread that writes, since a disk may take its time and may fail.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::Receiver;

use tokio::sync::watch;
use tracing::{info, warn};

use super::calendar::{Calendar, MINUTE, Millis};
use super::store::{Place, Predecessor, Store};
use super::trouble::Trouble;
use super::{MeterKey, Noted};

/// One poll of one meter.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    pub(super) meter: MeterKey,
    pub(super) time: Millis,
    pub(super) values: Vec<Noted>,
}

/// Polls that wait in memory until the disk takes them again: five days of one every five minutes,
/// half an hour of one every 1.2 s.
const WAITING: usize = 1_500;

/// In trouble, the disk is tried again with the first poll after this time.
const AGAIN: Millis = MINUTE / 2;

pub(super) struct Writer {
    place: Place,
    calendar: Calendar,
    trouble: watch::Sender<Option<Trouble>>,
    store: Option<Store>,
    waiting: VecDeque<Poll>,
    /// The names of meters of which something was written. Who reads them tells when another one
    /// takes the place of such a meter; what happened before the start only the file knows.
    written: BTreeSet<String>,
    /// The time of the poll with which it was last tried in vain.
    failed: Option<Millis>,
}

impl Writer {
    pub(super) fn new(
        place: Place,
        calendar: Calendar,
        trouble: watch::Sender<Option<Trouble>>,
    ) -> Self {
        let waiting = VecDeque::new();
        let written = BTreeSet::new();
        Self { place, calendar, trouble, store: None, waiting, written, failed: None }
    }

    /// Opens the database, then writes what comes, until nobody is left to send.
    pub(super) fn run(mut self, polls: &Receiver<Poll>, now: Millis) {
        // What is wrong with it is told now, not with the first poll.
        let opened = self.open(now);
        self.tell(&opened);
        while let Ok(poll) = polls.recv() {
            let time = poll.time;
            self.waiting.push_back(poll);
            // What has gathered is written together.
            self.waiting.extend(polls.try_iter().take(WAITING));
            while self.waiting.len() > WAITING {
                self.waiting.pop_front();
            }
            let is_soon = |failed: Millis| {
                let since = time.saturating_sub(failed);
                (0..AGAIN).contains(&since)
            };
            if self.failed.is_some_and(is_soon) {
                continue;
            }
            let written = self.write_all(time);
            self.failed = written.is_err().then_some(time);
            self.tell(&written);
        }
        // In trouble, the last try may be a while ago.
        if let Some(last) = self.waiting.back().map(|poll| poll.time) {
            let written = self.write_all(last);
            self.tell(&written);
        }
    }

    fn write_all(&mut self, time: Millis) -> Result<(), Trouble> {
        self.open(time)?;
        let written = self.try_write();
        if let Err(Trouble::Damaged { reason, .. }) = &written {
            self.begin_anew(reason, time)?;
            return self.try_write();
        }
        written
    }

    fn try_write(&mut self) -> Result<(), Trouble> {
        while let (Some(store), Some(poll)) = (&mut self.store, self.waiting.front()) {
            let before = match store.write(&poll.meter, poll.time, &poll.values) {
                Ok(before) => before,
                Err(error) => {
                    // It is opened anew, since some errors spoil what is in memory.
                    self.store = None;
                    return Err(Trouble::from_sqlite(&error, self.place.path()));
                }
            };
            let is_first = self.written.insert(poll.meter.name().to_owned());
            if let Some(before) = before.filter(|_| is_first) {
                warn!("{}", exchange_words(&before, poll));
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Opens the database where it is not open.
    fn open(&mut self, time: Millis) -> Result<(), Trouble> {
        if self.store.is_some() {
            return Ok(());
        }
        match Store::open(&self.place, self.calendar.clone()) {
            Ok(store) => self.store = Some(store),
            Err(Trouble::Damaged { reason, .. }) => self.begin_anew(&reason, time)?,
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// Moves a damaged file aside, and begins a new one.
    fn begin_anew(&mut self, reason: &str, time: Millis) -> Result<(), Trouble> {
        self.store = None;
        let path = self.place.path().to_owned();
        let aside = self.place.set_aside(self.calendar.date(time));
        let aside = aside.map_err(|error| Trouble::from_io(&error, &path))?;
        warn!(
            "The file of readings {} is damaged ({reason}). It is now {}, and a new one is begun, so \
             charts begin anew as well. A worn SD card does that: look at the disk.",
            path.display(),
            aside.file_name().map_or(Path::new(""), Path::new).display()
        );
        self.store = Some(Store::open(&self.place, self.calendar.clone())?);
        Ok(())
    }

    fn tell(&self, outcome: &Result<(), Trouble>) {
        tell(&self.trouble, outcome.as_ref().err());
    }
}

/// What to log of a meter that was exchanged before the program read it.
fn exchange_words(before: &Predecessor, poll: &Poll) -> String {
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
    let counters = poll.values.iter().filter(|noted| noted.is_counter);
    let first = counters.map(|noted| {
        let unit = noted.unit.as_deref().unwrap_or_default();
        shown(&noted.parameter, &noted.value.to_string(), unit)
    });
    let now = poll.meter.serial().unwrap_or_else(|| "one without a serial number".to_owned());
    format!(
        "The meter{name} was exchanged since it was last read: serial number {serial}{} is gone, and \
         {now}{} answers. From now on readings belong to {now}.",
        listed("last ", last),
        listed("", first.collect()),
    )
}

/// Says a change of state, once.
pub(super) fn tell(state: &watch::Sender<Option<Trouble>>, new: Option<&Trouble>) {
    state.send_if_modified(|old| {
        let is_like = match (&*old, new) {
            (Some(old), Some(new)) => old.is_like(new),
            (None, None) => true,
            _ => false,
        };
        if is_like {
            return false;
        }
        if let Some(trouble) = new {
            warn!(
                "{trouble}. {} Everything else goes on without; trying again until it works, and this is \
                 said only once.",
                trouble.hint()
            );
        } else {
            info!("Readings are kept again.");
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
        let counter = |name: &str, value: i64, unit: Option<&str>| Noted {
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
        let poll = Poll { meter, time: 0, values };
        assert_eq!(
            exchange_words(&before, &poll),
            "The meter was exchanged since it was last read: serial number 6131453 (last `energy` 28316 \
             kWh, `infoevent` 3) is gone, and 80713078 (`energy` 12 kWh, `infoevent` 0) answers. From \
             now on readings belong to 80713078."
        );
        let nothing = Predecessor { counters: Vec::new(), ..before };
        let poll = Poll { values: Vec::new(), ..poll };
        assert_eq!(
            exchange_words(&nothing, &poll),
            "The meter was exchanged since it was last read: serial number 6131453 is gone, and \
             80713078 answers. From now on readings belong to 80713078."
        );
    }
}
