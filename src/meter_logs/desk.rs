//! Answers requests for logs that come over MQTT.
//!
//! The meter's task reads the log as a job, between polls. It must not wait for the disk, so other
//! threads read and write the entries that are kept.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kmp::logger::{Log, LogEntry};
use kmp::message::SerialNumber;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::answer::{End, EntryJson, PIECE, last, piece};
use super::entry::is_since;
use super::request::LogRequest;
use super::{Kept, registers, words};
use meter::RunsAs;
use meter::duration;
use meter::identity::Identity;
use meter::logger::{Access, LogEnd, LogReading, LogStep};
use meter::poll::{Explanation, Job, LogRead, MeterHandle, Step};

/// The most entries in one answer. No log of a meter is that long.
const MOST: u32 = 5_000;

/// How many meters' files may be read at the same time.
const AT_ONCE: usize = 2;

/// How many requests may wait for that.
const WAITING: usize = 1_000;

/// How long after an answer the same log of a meter is not read again: each reading takes the meter's
/// battery a little.
const PAUSE: Duration = Duration::from_secs(10);

/// The same if entries cannot be kept, so that all of them are read again.
const PAUSE_WITHOUT_FOLDER: Duration = Duration::from_secs(24 * 3600);

/// What makes the program ask a meter that did not answer.
const AGAIN: &str = "\"again\": true";

/// Publishes a message of an answer.
pub(crate) type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// Answers requests. Clones share their limits.
#[derive(Debug, Clone)]
pub(crate) struct LogDesk {
    /// The folder of the program's state.
    folder: Option<PathBuf>,
    runs_as: RunsAs,
    reading: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// When the log of a meter was read last.
    read: Arc<Mutex<BTreeMap<(u32, Log), Instant>>>,
}

fn explanation(words: &str, hint: &str) -> Explanation {
    Explanation { words: words.to_owned(), hint: hint.to_owned() }
}

fn busy() -> Explanation {
    explanation(
        "The meter is busy with another log, a search or the placement aid.",
        "Try again later.",
    )
}

impl LogDesk {
    /// Keeps entries below this folder.
    #[must_use]
    pub(crate) fn new(folder: Option<PathBuf>, runs_as: RunsAs) -> Self {
        let [reading, waiting] = [AT_ONCE, WAITING].map(|most| Arc::new(Semaphore::new(most)));
        Self { folder, runs_as, reading, waiting, read: Arc::default() }
    }

    /// Notes that the log is read now, or returns for how long it must not be read.
    fn begin(&self, serial: SerialNumber, log: Log) -> Result<(), Duration> {
        let pause = if self.folder.is_some() { PAUSE } else { PAUSE_WITHOUT_FOLDER };
        let (now, mut read) = (Instant::now(), lock(&self.read));
        let log = (serial.number(), log);
        read.retain(|_, at| now.saturating_duration_since(*at) < pause);
        if let Some(at) = read.get(&log) {
            return Err(pause.saturating_sub(now.saturating_duration_since(*at)));
        }
        read.insert(log, now);
        Ok(())
    }

    /// Answers a request that was sent to this meter. It returns at once.
    pub(crate) fn answer(&self, handle: &MeterHandle, payload: &[u8], tell: &Tell) {
        let request = match LogRequest::parse(payload) {
            Ok(request) => request,
            Err(error) => {
                let why = explanation(&format!("The request is invalid: {error}."), "");
                return tell(last(None, None, (0, 0), &End::Refused(why)));
            }
        };
        let identity = handle.identity().unwrap_or_default();
        let refuse = |why| {
            tell(last(identity.serial, Some(request.log), (0, 0), &End::Refused(why)));
        };
        let Some(serial) = identity.serial else {
            return refuse(explanation(
                "The serial number of the meter is not known yet.",
                "Try again after its next reading.",
            ));
        };
        let access = Access::of(&identity.models);
        if access == Access::NoWay {
            return refuse(words::no_way(&identity, self.runs_as));
        }
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return refuse(busy());
        };
        if let Err(pause) = self.begin(serial, request.log) {
            let words =
                format!("The {} log of this meter was requested a moment ago.", request.log);
            let hint = format!("Try again in {}.", duration::words(pause));
            return refuse(explanation(&words, &hint));
        }
        let reading = Arc::clone(&self.reading);
        debug!("Received the command to read the {} log.", request.log);
        let kept = Kept::of(self.folder.clone(), serial, request.log);
        let (handle, tell) = (handle.clone(), Arc::clone(tell));
        tokio::spawn(async move {
            let Ok(permit) = reading.acquire_owned().await else { return };
            let look = move || ((kept.is_refused(), kept.has_given()), kept.entries(), kept);
            let looked = spawn_blocking(look).await;
            drop((permit, waiting));
            let Ok(((is_refused, has_given), known, kept)) = looked else { return };
            let refuse = |why| {
                tell(last(Some(serial), Some(request.log), (0, 0), &End::Refused(why)));
            };
            if is_refused && !request.again {
                return refuse(words::refused_before(serial, AGAIN));
            }
            let reading = LogReading::new(request.log, registers(request.log), known);
            let reading = reading
                .with_from(request.from)
                .of_meter(serial)
                .with_given(access == Access::Known || has_given);
            let mut answer = Answer {
                request,
                serial,
                identity,
                kept: Arc::new(Mutex::new(kept)),
                disk: Arc::default(),
                handle: handle.clone(),
                tell: Arc::clone(&tell),
                waiting: Vec::new(),
                pieces: 0,
                entries: 0,
                is_too_long: false,
                read: None,
            };
            if handle.send(Job::log(reading, move |step| answer.step(step))).is_err() {
                refuse(busy());
            }
        });
    }
}

type DiskWork = Box<dyn FnOnce(&mut Kept) + Send>;

/// An answer that is under way.
struct Answer {
    request: LogRequest,
    serial: SerialNumber,
    identity: Identity,
    kept: Arc<Mutex<Kept>>,
    /// What is to be done with them, in this order.
    disk: Arc<Mutex<VecDeque<DiskWork>>>,
    handle: MeterHandle,
    tell: Tell,
    /// Entries for the next message.
    waiting: Vec<EntryJson>,
    pieces: u32,
    entries: u32,
    is_too_long: bool,
    read: Option<LogRead>,
}

impl Answer {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Logging(LogStep::Begins(extent)) => {
                if extent.is_restarted {
                    self.on_disk(|kept| kept.set_aside());
                }
            }
            Step::Logging(LogStep::Known(entry)) => self.take(entry),
            Step::Logging(LogStep::Read(entries)) => {
                let new = entries.to_vec();
                self.on_disk(move |kept| {
                    kept.answer();
                    if let Err(warning) = kept.add(&new) {
                        warn!("{}", warning.trim_start_matches("warning: "));
                    }
                });
                for entry in entries {
                    self.take(entry);
                }
                self.send();
            }
            Step::Logged(read) => {
                if read.end == Some(LogEnd::NotGiven) {
                    self.on_disk(|kept| kept.refuse());
                }
                self.read = Some(read);
            }
            Step::Ended => {
                self.send();
                let counts = (self.pieces, self.entries);
                (self.tell)(last(Some(self.serial), Some(self.request.log), counts, &self.end()));
            }
            Step::Taken | Step::Asked(_) | Step::Scanning(_) | Step::Scanned(_) => {}
        }
    }

    fn take(&mut self, entry: &LogEntry) {
        if !is_since(entry, self.request.from) || self.is_too_long {
            return;
        }
        if self.entries >= MOST {
            self.is_too_long = true;
            self.handle.cancel();
            return;
        }
        self.entries = self.entries.saturating_add(1);
        self.waiting.push(EntryJson::new(entry));
        if self.waiting.len() >= PIECE {
            self.send();
        }
    }

    fn send(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.pieces = self.pieces.saturating_add(1);
        (self.tell)(piece(self.serial, self.request.log, self.pieces, &self.waiting));
        self.waiting.clear();
    }

    /// Does this on a thread that may wait. While the program stops, it is not done: then the entries
    /// are read again.
    fn on_disk(&self, work: impl FnOnce(&mut Kept) + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (kept, disk) = (Arc::clone(&self.kept), Arc::clone(&self.disk));
        lock(&disk).push_back(Box::new(work));
        runtime.spawn_blocking(move || {
            let mut kept = lock(&kept);
            loop {
                let work = lock(&disk).pop_front();
                let Some(work) = work else { return };
                work(&mut kept);
            }
        });
    }

    fn end(&self) -> End {
        if self.is_too_long {
            let words = format!("The answer has reached its limit of {MOST} entries.");
            return End::Stopped(explanation(&words, "Ask with a later `from`."));
        }
        let Some(LogRead { end, trouble }) = &self.read else {
            return self.incomplete(explanation("The meter is no longer read.", ""));
        };
        match (trouble, end) {
            (Some(trouble), _) => self.incomplete(trouble.clone()),
            (None, None) => self.incomplete(explanation("The reading was stopped.", "")),
            (None, Some(end)) => match words::ended(end, &self.identity, AGAIN) {
                None => End::Complete,
                Some(why) => self.incomplete(why),
            },
        }
    }

    fn incomplete(&self, why: Explanation) -> End {
        if self.entries == 0 { End::Refused(why) } else { End::Stopped(why) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_log_is_not_read_again_at_once() {
        let desk = LogDesk::new(Some(PathBuf::from("/")), RunsAs::Program);
        let (one, other) = (SerialNumber::new(1), SerialNumber::new(2));
        assert_eq!(desk.begin(one, Log::Day), Ok(()));
        assert_eq!(desk.begin(one, Log::Hour), Ok(()));
        assert_eq!(desk.begin(other, Log::Day), Ok(()));
        advance(Duration::from_secs(8)).await;
        assert_eq!(desk.clone().begin(one, Log::Day), Err(Duration::from_secs(2)));
        advance(Duration::from_secs(2)).await;
        assert_eq!(desk.begin(one, Log::Day), Ok(()));
        // Without a folder, all entries would be read again.
        let desk = LogDesk::new(None, RunsAs::Program);
        assert_eq!(desk.begin(one, Log::Day), Ok(()));
        advance(PAUSE).await;
        assert!(desk.begin(one, Log::Day).is_err());
    }
}
