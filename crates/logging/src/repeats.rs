//! Limits lines that are repeated. The first ones are written at once. Further ones are counted,
//! and one line a minute reports how many there were.
//!
//! Two lines are the same if their level, module, name and text are the same. Different lines are
//! never counted together, and never wait.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
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

/// The lines of the last minute, by their hash.
#[derive(Debug)]
pub(crate) struct Repeats {
    window: Duration,
    seen: HashMap<u64, Seen>,
    hasher: RandomState,
}

/// A line that was written.
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
        Self { window, seen: HashMap::new(), hasher: RandomState::new() }
    }

    /// Returns the record if it is to be written, and counts it otherwise. Call [`Self::take_due`]
    /// first.
    pub(crate) fn pass(&mut self, record: Record, now: Instant) -> Option<Record> {
        let Record { level, target, about, text, .. } = &record;
        let hash = self.hasher.hash_one((*level as u8, target, about, text));
        let most = if *level == Level::Debug { WRITTEN_AT_DEBUG } else { WRITTEN };
        if let Some(seen) = self.seen.get_mut(&hash).filter(|seen| !seen.is_over(now, self.window))
        {
            if seen.written < most {
                seen.written += 1;
                return Some(record);
            }
            match &mut seen.beyond {
                Some(beyond) => beyond.count = beyond.count.saturating_add(1),
                None => seen.beyond = Some(Beyond { count: 1, first: record }),
            }
            return None;
        }
        self.seen.insert(hash, Seen { since: now, written: 1, beyond: None });
        Some(record)
    }

    /// When the next report is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let counting = self.seen.values().filter(|seen| seen.beyond.is_some());
        counting.map(|seen| seen.since + self.window).min()
    }

    /// The reports that are due. A line that was repeated to the end is not written in the next
    /// minute either, only counted.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Record> {
        if self.seen.len() < REMEMBERED && self.due().is_none_or(|due| due > now) {
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
        // There is room for the next line.
        while self.seen.len() >= REMEMBERED {
            let oldest =
                self.seen.iter().min_by_key(|(_, seen)| (seen.beyond.is_some(), seen.since));
            let Some(hash) = oldest.map(|(hash, _)| *hash) else { break };
            let beyond = self.seen.remove(&hash).and_then(|seen| seen.beyond);
            reports.extend(beyond.map(Beyond::report));
        }
        reports
    }

    /// All reports, because the log ends.
    pub(crate) fn take_all(&mut self) -> Vec<Record> {
        let beyond = self.seen.values_mut().filter_map(|seen| seen.beyond.take());
        beyond.map(Beyond::report).collect()
    }
}

impl Seen {
    fn is_over(&self, now: Instant, window: Duration) -> bool {
        now.saturating_duration_since(self.since) >= window
    }
}

impl Beyond {
    fn report(mut self) -> Record {
        let now = LocalTime::now();
        let passed = micros_since(&self.first.time, &now);
        let times = if self.count == 1 { "time" } else { "times" };
        let text = mem::take(&mut self.first.text);
        Record {
            time: now,
            since_start: self.first.since_start.saturating_add(passed),
            text: format!("{text} (repeated {} more {times})", grouped(self.count)),
            ..self.first
        }
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
    fn different_lines_are_all_written_and_take_little_memory() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for _ in 0..25 {
            write(&mut repeats, &line("Born."), now);
        }
        for number in 0..10_000 {
            let text = number.to_string();
            assert_eq!(write(&mut repeats, &line(&text), now), [format!("garage: {text}")]);
        }
        assert!(repeats.seen.len() <= REMEMBERED, "{}", repeats.seen.len());
        // The one that is counted is not forgotten.
        assert_eq!(repeats.take_all().len(), 1);
    }
}
