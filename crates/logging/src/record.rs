//! An event, in the form in which all destinations receive it.

use std::path::Path;

use jiff::ZonedDateTime;

use crate::recent::LogLine;

/// The level of an event, with Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    /// A panic.
    Critical,
}

impl Level {
    /// Python's name of the level.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// At most five letters, for our own format.
    pub(crate) const fn short_word(self) -> &'static str {
        match self {
            Self::Warning => "WARN",
            Self::Critical => "CRIT",
            other => other.word(),
        }
    }

    /// Python's number of the level.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
            Self::Critical => 50,
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The time in the local zone.
    pub(crate) time: ZonedDateTime,
    /// Microseconds since the log began.
    pub(crate) since_start: i64,
    pub(crate) level: Level,
    /// The module, like `kamstrup2mqtt::poll::journal`.
    pub(crate) target: String,
    /// The source file, like `src/poll/journal.rs`; empty if it is not known.
    pub(crate) file: String,
    /// The line in that file, from 1; 0 if it is not known.
    pub(crate) line: u32,
    /// Tells events of the same place in the file apart; empty if that is not needed.
    pub(crate) kind: String,
    /// The name of the thing that the event is [`about`](crate::about).
    pub(crate) about: Option<String>,
    /// The message; see [`harmless`].
    pub(crate) text: String,
    /// Whether [`LogLines`](crate::LogLines) may have it.
    pub(crate) kept: bool,
}

impl Record {
    /// Converts it to a line of [`LogLines`](crate::LogLines).
    pub(crate) fn to_log_line(&self) -> LogLine {
        LogLine {
            time: self.time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            level: match self.level {
                Level::Debug => tracing::Level::DEBUG,
                Level::Info => tracing::Level::INFO,
                Level::Warning => tracing::Level::WARN,
                Level::Error | Level::Critical => tracing::Level::ERROR,
            },
            text: self.message(),
        }
    }

    /// The module as Python would call it: `kamstrup2mqtt.poll.journal`.
    pub(crate) fn name(&self) -> String {
        self.target.replace("::", ".")
    }

    /// The module's own name: `journal`.
    pub(crate) fn module(&self) -> &str {
        self.target.rsplit("::").next().unwrap_or_default()
    }

    /// `journal.rs`
    pub(crate) fn file_name(&self) -> &str {
        Path::new(&self.file).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The message, with the name of the thing that it is about in front.
    pub(crate) fn message(&self) -> String {
        self.about.iter().map(|name| format!("{name}: ")).chain([self.text.clone()]).collect()
    }
}

/// Escapes control characters, except line feeds and tabs, and characters that change the order of
/// others, and indents each line but the first.
///
/// A name that others chose, like that of a topic, must neither control the terminal nor look like
/// a line of the log.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut before = None;
    for character in text.chars() {
        if before == Some('\n') && !matches!(character, ' ' | '\t') {
            harmless.push_str("  ");
        }
        if (character.is_control() && !matches!(character, '\n' | '\t')) || reorders(character) {
            harmless.extend(character.escape_default());
        } else {
            harmless.push(character);
        }
        before = Some(character);
    }
    harmless
}

/// Whether a terminal shows the characters after this one in another order, or on another line.
fn reorders(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The record of a good poll of the meter `garage`.
    pub(crate) fn example() -> Record {
        Record {
            time: "2026-11-24T10:00:00.123+01:00[Europe/Copenhagen]".parse().unwrap(),
            since_start: 2_500_250,
            level: Level::Info,
            target: "kamstrup2mqtt::poll::journal".to_owned(),
            file: "src/poll/journal.rs".to_owned(),
            line: 78,
            kind: String::new(),
            about: Some("garage".to_owned()),
            text: "Read 7 of 7 values in 0.9 s.".to_owned(),
            kept: true,
        }
    }

    #[test]
    fn a_module_is_shown_in_three_forms() {
        let record = example();
        assert_eq!(record.name(), "kamstrup2mqtt.poll.journal");
        assert_eq!(record.module(), "journal");
        assert_eq!(record.file_name(), "journal.rs");
        assert_eq!(record.message(), "garage: Read 7 of 7 values in 0.9 s.");
        let none = Record { about: None, file: String::new(), ..record };
        assert_eq!(none.message(), "Read 7 of 7 values in 0.9 s.");
        assert_eq!(none.file_name(), "");
    }

    #[test]
    fn text_cannot_control_the_terminal_or_look_like_a_line() {
        assert_eq!(harmless("a\u{1b}[2Jb\rc\u{0}\u{9b}"), "a\\u{1b}[2Jb\\rc\\u{0}\\u{9b}");
        let reordered = harmless("a\u{202e}b\u{2066}c\u{2028}d");
        assert_eq!(reordered, "a\\u{202e}b\\u{2066}c\\u{2028}d");
        assert_eq!(harmless("°C\nand\tso on\n"), "°C\n  and\tso on\n");
        assert_eq!(harmless("two:\n - one\n\tother\n\nend"), "two:\n - one\n\tother\n  \n  end");
    }

    /// In the log's own format, in syslog's and in Python's.
    #[test]
    fn a_record_of_the_end_of_the_calendar_can_be_written() {
        use crate::{Facility, Format, syslog};

        let format: Format = "%(asctime)s %(created)f %(msecs)d %(message)s".parse().unwrap();
        let facility: Facility = "user".parse().unwrap();
        let sender =
            syslog::Sender { app_name: "kamstrup2mqtt", host: "pi".to_owned(), process: 1 };
        for time in testing::times() {
            let year = time.strftime("%Y").to_string();
            let record = Record { time, ..example() };
            assert!(record.to_log_line().time.starts_with(&year));
            assert!(format.write(&record, None, 1).starts_with(&year));
            let message = syslog::message(&record, facility, &sender, "text", 1000);
            assert!(message.contains(&year), "{message}");
        }
    }
}
