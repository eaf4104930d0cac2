//! The last lines of the log, kept in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The time in ISO 8601, with the offset of the local zone.
    pub time: String,
    /// The level of the line; never `TRACE`.
    pub level: Level,
    /// The message.
    pub text: String,
}

/// How many lines are kept.
const LOG_LINES: usize = 200;

/// The most bytes that are kept of a line. A line at `DEBUG` may show thousands of bytes.
const LONGEST_LINE: usize = 4096;

/// The last 200 lines of the log, each with at most 4096 bytes. Clones share the same lines.
#[derive(Debug, Clone, Default)]
pub struct LogLines(Arc<Mutex<VecDeque<LogLine>>>);

impl LogLines {
    /// Adds a line, and removes the oldest one if there are too many.
    pub fn add(&self, mut line: LogLine) {
        if line.text.len() > LONGEST_LINE {
            let end = (0..=LONGEST_LINE).rev().find(|end| line.text.is_char_boundary(*end));
            line.text.truncate(end.unwrap_or_default());
            line.text.push('…');
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the lines of this level and more severe ones, oldest first.
    #[must_use]
    pub fn of(&self, level: Level) -> Vec<LogLine> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In `tracing`, a more severe level is less.
        lines.iter().filter(|line| line.level <= level).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, text: &str) -> LogLine {
        LogLine { time: "2026-11-24T10:00:00+01:00".to_owned(), level, text: text.to_owned() }
    }

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_cut() {
        let lines = LogLines::default();
        let same = lines.clone();
        for number in 0..1000 {
            same.add(line(Level::INFO, &number.to_string()));
        }
        let texts: Vec<_> = lines.of(Level::INFO).into_iter().map(|line| line.text).collect();
        assert_eq!((texts.len(), &*texts[0], &*texts[199]), (LOG_LINES, "800", "999"));
        assert_eq!(lines.of(Level::WARN), []);
        lines.add(line(Level::ERROR, &"å".repeat(LONGEST_LINE)));
        let long = lines.of(Level::ERROR).remove(0).text;
        assert_eq!(long.chars().count(), LONGEST_LINE / 2 + 1);
    }
}
