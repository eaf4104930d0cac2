//! The thread of a destination, which writes the records of its queue.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::{iter, thread};

use tracing::{error, info};

use crate::clock::LocalTime;
use crate::queue::{Item, Paused, Queue};
use crate::record::{Level, Record};

/// A destination of lines.
pub(crate) trait Sink: Send + 'static {
    /// The settings that can change while it is in use.
    type Settings: Send + 'static;

    /// Writes a line, which may take long. After an error, the line is retried later.
    fn write(&mut self, record: &Record) -> io::Result<()>;

    /// Uses these settings from now on.
    fn change(&mut self, settings: Self::Settings);

    /// The message for an error, with what to do about it.
    fn failure(&self, error: &io::Error) -> String;

    /// The message that lines can be written again.
    fn recovery(&self) -> String;
}

/// Starts the thread of a sink. Returns the queue that it reads.
pub(crate) fn start<S: Sink>(name: &str, sink: S) -> io::Result<Arc<Queue<S::Settings>>> {
    let queue = Arc::new(Queue::default());
    start_on(&queue, name, sink, || ())?;
    Ok(queue)
}

/// Starts the thread of a sink that reads this queue, and that calls `alarm` when an alarm of the
/// queue is due.
pub(crate) fn start_on<S: Sink>(
    queue: &Arc<Queue<S::Settings>>,
    name: &str,
    sink: S,
    alarm: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let queue = Arc::clone(queue);
    let thread = thread::Builder::new().name(format!("log: {name}")).stack_size(STACK);
    thread.spawn(move || serve(&queue, sink, alarm))?;
    Ok(())
}

/// Bytes of stack. Lines are short, so this is half of Rust's default.
const STACK: usize = 1024 * 1024;

/// The pauses before a line is retried: 1 s, doubling to 60 s.
fn pauses() -> impl Iterator<Item = Duration> {
    let doubled = |pause: &Duration| Some((*pause * 2).min(LONGEST_PAUSE));
    iter::successors(Some(Duration::from_secs(1)), doubled)
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn serve<S: Sink>(queue: &Queue<S::Settings>, mut sink: S, alarm: impl Fn()) {
    while let Some(item) = queue.take() {
        let record = match item {
            Item::Write(record) => record,
            Item::Lost(count) => Arc::new(missing(count)),
            Item::Change(settings) => {
                sink.change(settings);
                continue;
            }
            Item::Alarm => {
                alarm();
                continue;
            }
        };
        let mut waits = pauses();
        let mut has_failed = false;
        while let Err(error) = sink.write(&record) {
            if !has_failed {
                error!("{}", sink.failure(&error));
                has_failed = true;
            }
            match queue.pause(waits.next().unwrap_or(LONGEST_PAUSE)) {
                Paused::Over => {}
                Paused::Change(settings) => {
                    sink.change(settings);
                    waits = pauses();
                    has_failed = false;
                }
                Paused::Closed => return,
            }
            queue.resume();
        }
        if has_failed {
            info!("{}", sink.recovery());
        }
    }
}

/// The record that reports missing records in their place.
pub(super) fn missing(count: u64) -> Record {
    let (lines, are) = if count == 1 { ("line", "is") } else { ("lines", "are") };
    Record {
        time: LocalTime::now(),
        since_start: 0,
        level: Level::Warning,
        target: module_path!().to_owned(),
        file: file!().to_owned(),
        line: line!(),
        kind: String::new(),
        about: None,
        text: format!(
            "{count} {lines} of the log {are} missing here: lines came faster than they could be \
             written."
        ),
        kept: true,
    }
}
