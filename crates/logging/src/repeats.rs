//! Limits lines that are repeated, and lines of one kind.
//!
//! Two lines are the same if their level, module, name and text are the same. The first ones are
//! written at once. Further ones are counted, and one line a minute reports how many there were.
//!
//! Lines may differ only in what a meter or the broker has sent. Two lines are of one kind if the
//! same place in the code has logged them about the same thing, whatever their text is. The first
//! ones of an hour are written at once. Further ones are left out. One line says so at once, and
//! until when, and another one reports how many there were. Lines of different kinds never wait for
//! each other.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::LocalTime;
use crate::lines::micros_since;
use crate::record::{Level, Record};

/// Lines are counted for this long.
const WINDOW: Duration = Duration::from_secs(60);

/// How many same lines are written in that time.
const WRITTEN: u32 = 20;

/// How many at `DEBUG`: at the shortest interval, a meter gets the same request 50 times a minute.
const WRITTEN_AT_DEBUG: u32 = 200;

/// How many different lines are remembered. With more, the oldest one is forgotten.
const REMEMBERED: usize = 256;

/// Lines of one kind are counted for this long.
const KIND_WINDOW: Duration = Duration::from_secs(60 * 60);

/// How many warnings and errors of one kind are written in that time: one a minute.
const WARNINGS_OF_KIND: u32 = 60;

/// How many other lines, above `DEBUG`.
const INFOS_OF_KIND: u32 = 200;

/// How many kinds are remembered. With more, the oldest one is forgotten.
const REMEMBERED_KINDS: usize = 2048;

/// The lines of the last minute and the kinds of the last hour, by their hashes.
#[derive(Debug)]
pub(crate) struct Repeats {
    window: Duration,
    seen: HashMap<u64, Seen>,
    kinds: HashMap<u64, Seen>,
    hasher: RandomState,
}

/// A line that was written, or a kind of which lines were written.
#[derive(Debug)]
struct Seen {
    since: Instant,
    written: u32,
    /// Those that were not written.
    beyond: Option<Beyond>,
}

#[derive(Debug)]
struct Beyond {
    count: u64,
    first: Record,
}

impl Default for Repeats {
    fn default() -> Self {
        Self::with_window(WINDOW)
    }
}

impl Repeats {
    pub(crate) fn with_window(window: Duration) -> Self {
        Self { window, seen: HashMap::new(), kinds: HashMap::new(), hasher: RandomState::new() }
    }

    /// Returns the record if it is to be written, and counts it otherwise. In place of the first
    /// one of a kind that is left out, returns one that says so. Call [`Self::take_due`] first.
    pub(crate) fn pass(&mut self, record: Record, now: Instant) -> Option<Record> {
        let Record { level, target, file, line, kind, about, text, .. } = &record;
        let hash = self.hasher.hash_one((*level as u8, target, about, text));
        let of_kind = self.hasher.hash_one((*level as u8, target, file, line, kind, about));
        let level = *level;
        let most = if level == Level::Debug { WRITTEN_AT_DEBUG } else { WRITTEN };
        let seen = entry(&mut self.seen, hash, self.window, now);
        let record = seen.pass(record, most)?;
        let most = match level {
            Level::Debug => return Some(record),
            Level::Info => INFOS_OF_KIND,
            Level::Warning | Level::Error | Level::Critical => WARNINGS_OF_KIND,
        };
        let seen = entry(&mut self.kinds, of_kind, KIND_WINDOW, now);
        let is_first = seen.written >= most && seen.beyond.is_none();
        let notice = is_first.then(|| beginning(&record, seen.remaining(now, KIND_WINDOW)));
        seen.pass(record, most).or(notice)
    }

    /// When the next report is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let due = |seen: &HashMap<u64, Seen>, window: Duration| {
            let counting = seen.values().filter(|seen| seen.beyond.is_some());
            counting.map(|seen| seen.since + window).min()
        };
        due(&self.seen, self.window).into_iter().chain(due(&self.kinds, KIND_WINDOW)).min()
    }

    /// The reports that are due. A line that was repeated to the end is not written in the next
    /// minute either, only counted.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Record> {
        let is_full = self.seen.len() >= REMEMBERED || self.kinds.len() >= REMEMBERED_KINDS;
        if !is_full && self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut reports = Vec::new();
        self.seen.retain(|_, seen| {
            if !seen.is_over(now, self.window) {
                return true;
            }
            let Some(beyond) = seen.beyond.take() else { return false };
            *seen = Seen { since: now, written: u32::MAX, beyond: None };
            reports.push(beyond.report());
            true
        });
        self.kinds.retain(|_, kind| {
            let is_over = kind.is_over(now, KIND_WINDOW);
            if is_over {
                reports.extend(kind.beyond.take().map(Beyond::report_kind));
            }
            !is_over
        });
        let forgotten = make_room(&mut self.seen, REMEMBERED);
        reports.extend(forgotten.into_iter().map(Beyond::report));
        let forgotten = make_room(&mut self.kinds, REMEMBERED_KINDS);
        reports.extend(forgotten.into_iter().map(Beyond::report_kind));
        reports
    }

    /// All reports, because the log ends.
    pub(crate) fn take_all(&mut self) -> Vec<Record> {
        let beyond = self.seen.values_mut().filter_map(|seen| seen.beyond.take());
        let of_kinds = self.kinds.values_mut().filter_map(|kind| kind.beyond.take());
        beyond.map(Beyond::report).chain(of_kinds.map(Beyond::report_kind)).collect()
    }
}

/// What is known about a line or a kind in its present window.
fn entry(all: &mut HashMap<u64, Seen>, hash: u64, window: Duration, now: Instant) -> &mut Seen {
    let new = || Seen { since: now, written: 0, beyond: None };
    let seen = all.entry(hash).or_insert_with(new);
    if seen.is_over(now, window) {
        *seen = new();
    }
    seen
}

/// A record that says that this one and further ones of its kind are left out for so long.
fn beginning(left_out: &Record, remaining: Duration) -> Record {
    let Record { time, text, .. } = left_out;
    let end = time.saturating_add(remaining).strftime("%H:%M:%S");
    let text = format!("Further lines of this kind are left out until {end}, such as: {text}");
    Record { text, ..left_out.clone() }
}

/// Forgets the oldest ones, so that there is room for the next one. Returns what was counted.
fn make_room(all: &mut HashMap<u64, Seen>, most: usize) -> Vec<Beyond> {
    let mut forgotten = Vec::new();
    while all.len() >= most {
        let oldest = all.iter().min_by_key(|(_, seen)| (seen.beyond.is_some(), seen.since));
        let Some(hash) = oldest.map(|(hash, _)| *hash) else { break };
        forgotten.extend(all.remove(&hash).and_then(|seen| seen.beyond));
    }
    forgotten
}

impl Seen {
    /// Returns the record if fewer than `most` were written, and counts it otherwise.
    fn pass(&mut self, record: Record, most: u32) -> Option<Record> {
        if self.written < most {
            self.written += 1;
            return Some(record);
        }
        match &mut self.beyond {
            Some(beyond) => beyond.count = beyond.count.saturating_add(1),
            None => self.beyond = Some(Beyond { count: 1, first: record }),
        }
        None
    }

    fn is_over(&self, now: Instant, window: Duration) -> bool {
        self.remaining(now, window).is_zero()
    }

    fn remaining(&self, now: Instant, window: Duration) -> Duration {
        window.saturating_sub(now.saturating_duration_since(self.since))
    }
}

impl Beyond {
    fn report(self) -> Record {
        let times = if self.count == 1 { "time" } else { "times" };
        self.with(|text, count| format!("{text} (repeated {count} more {times})"))
    }

    fn report_kind(self) -> Record {
        let lines = if self.count == 1 { "line" } else { "lines" };
        self.with(|text, count| {
            format!("Left out {count} more {lines} of this kind, such as: {text}")
        })
    }

    fn with(self, words: impl FnOnce(&str, String) -> String) -> Record {
        let Self { count, first } = self;
        let now = LocalTime::now();
        let passed = micros_since(&first.time, &now);
        let text = words(&first.text, grouped(count));
        Record { time: now, since_start: first.since_start.saturating_add(passed), text, ..first }
    }
}

/// A number with a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::example;

    /// What is written when a line arrives.
    fn write(repeats: &mut Repeats, record: &Record, now: Instant) -> Vec<String> {
        let mut records = repeats.take_due(now);
        records.extend(repeats.pass(record.clone(), now));
        records.iter().map(Record::message).collect()
    }

    fn line(text: &str) -> Record {
        Record { text: text.to_owned(), ..example() }
    }

    #[test]
    fn numbers_have_commas() {
        let numbers = [1, 999, 1000, 91_000, 1_234_567];
        assert_eq!(numbers.map(grouped), ["1", "999", "1,000", "91,000", "1,234,567"]);
    }

    /// Home Assistant's birth, 91,000 times.
    #[test]
    fn a_flood_of_a_line_is_counted_once_a_minute() {
        let (mut repeats, begun) = (Repeats::default(), Instant::now());
        let (mut written, mut now) = (Vec::new(), begun);
        for number in 0..91_000_u32 {
            now = begun + number * Duration::from_millis(1);
            written.extend(write(&mut repeats, &line("Born."), now));
        }
        let reported = "garage: Born. (repeated 59,980 more times)".to_owned();
        let first = vec!["garage: Born.".to_owned(); 20];
        assert_eq!(written, [first, vec![reported]].concat());
        assert_eq!(repeats.due(), Some(begun + 2 * WINDOW));
        assert_eq!(repeats.take_due(begun + 2 * WINDOW - Duration::from_millis(1)), []);
        let texts = |records: Vec<Record>| records.iter().map(Record::message).collect::<Vec<_>>();
        let due = texts(repeats.take_due(begun + 2 * WINDOW));
        assert_eq!(due, ["garage: Born. (repeated 31,000 more times)"]);
        assert_eq!(repeats.due(), None);
        // One that comes soon after is counted, and a later one is written again.
        assert_eq!(write(&mut repeats, &line("Born."), now + WINDOW), [""; 0]);
        let due = texts(repeats.take_due(begun + 3 * WINDOW));
        assert_eq!(due, ["garage: Born. (repeated 1 more time)"]);
        let later = begun + 5 * WINDOW;
        assert_eq!(write(&mut repeats, &line("Born."), later), ["garage: Born."]);
    }

    #[test]
    fn different_lines_are_never_counted_together() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let debug = Record { level: Level::Debug, ..line("Born.") };
        let house = Record { about: Some("house".to_owned()), ..line("Born.") };
        let module = Record { target: "kamstrup2mqtt::mqtt".to_owned(), ..line("Born.") };
        for record in [line("Born."), house, module, line("Died.")] {
            let count = (0..100).filter(|_| !write(&mut repeats, &record, now).is_empty()).count();
            assert_eq!(count, 20, "{record:?}");
        }
        let count = (0..1000).filter(|_| !write(&mut repeats, &debug, now).is_empty()).count();
        assert_eq!(count, 200);
        let mut all: Vec<_> = repeats.take_all().iter().map(Record::message).collect();
        all.sort();
        assert_eq!(
            all,
            [
                "garage: Born. (repeated 80 more times)",
                "garage: Born. (repeated 80 more times)",
                "garage: Born. (repeated 800 more times)",
                "garage: Died. (repeated 80 more times)",
                "house: Born. (repeated 80 more times)",
            ]
        );
        assert_eq!(repeats.take_all(), []);
    }

    #[test]
    fn a_line_once_a_minute_is_always_written() {
        let (mut repeats, begun) = (Repeats::default(), Instant::now());
        for minute in 0..100 {
            let written = write(&mut repeats, &line("Read."), begun + minute * WINDOW);
            assert_eq!(written, ["garage: Read."]);
        }
    }

    #[test]
    fn different_lines_take_little_memory() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for _ in 0..25 {
            write(&mut repeats, &line("Born."), now);
        }
        for number in 0..10_000 {
            let of_kind = Record { line: number, ..line(&number.to_string()) };
            assert_eq!(write(&mut repeats, &of_kind, now), [format!("garage: {number}")]);
        }
        assert!(repeats.kinds.len() <= REMEMBERED_KINDS, "{}", repeats.kinds.len());
        assert!(repeats.seen.len() <= REMEMBERED, "{}", repeats.seen.len());
        // The one that is counted is not forgotten.
        assert_eq!(repeats.take_all().len(), 1);
    }

    /// A meter that makes each text a little different wrote 100,000 lines a day.
    #[test]
    fn different_lines_of_one_kind_are_bounded() {
        for (level, most) in
            [(Level::Warning, 60), (Level::Error, 60), (Level::Info, 200), (Level::Debug, 1000)]
        {
            let (mut repeats, begun) = (Repeats::default(), Instant::now());
            let of_kind = |text: &str| Record { level, ..line(text) };
            let mut written = Vec::new();
            for number in 0..1000_u32 {
                let now = begun + number * Duration::from_secs(1);
                written.extend(write(&mut repeats, &of_kind(&format!("fell to {number}.")), now));
            }
            let left = 1000 - most;
            // The time of each line is 10:00:00, and the window has been open since `most` seconds.
            let end = ["10:59:00", "10:56:40"][usize::from(level == Level::Info)];
            let said = format!(
                "garage: Further lines of this kind are left out until {end}, such as: fell to \
                 {most}."
            );
            let said = (left > 0).then_some(said);
            assert_eq!(written.get(most), said.as_ref(), "{level:?}");
            assert_eq!(written.len(), most + usize::from(left > 0), "{level:?}");
            // Neither another kind nor the same about another meter waits.
            for other in [
                Record { kind: "other".to_owned(), ..of_kind("a") },
                Record { line: 79, ..of_kind("b") },
                Record { about: Some("house".to_owned()), ..of_kind("c") },
            ] {
                assert_eq!(write(&mut repeats, &other, begun + KIND_WINDOW / 2).len(), 1);
            }
            let due: Vec<_> =
                repeats.take_due(begun + KIND_WINDOW).iter().map(Record::message).collect();
            let said = format!(
                "garage: Left out {left} more lines of this kind, such as: fell to {most}."
            );
            let expected = if left == 0 { Vec::new() } else { vec![said] };
            assert_eq!((due, repeats.due()), (expected, None));
            // The next hour is like the first.
            let later = begun + KIND_WINDOW + Duration::from_secs(1);
            assert_eq!(write(&mut repeats, &of_kind("fell to 1."), later), ["garage: fell to 1."]);
        }
    }

    #[test]
    fn what_was_left_out_is_reported_when_the_log_ends() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for number in 0..61 {
            let warning = Record { level: Level::Warning, ..line(&number.to_string()) };
            write(&mut repeats, &warning, now);
        }
        let all: Vec<_> = repeats.take_all().iter().map(Record::message).collect();
        assert_eq!(all, ["garage: Left out 1 more line of this kind, such as: 60"]);
    }
}
