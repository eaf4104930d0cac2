//! One event, as all destinations get it.

use std::path::Path;

use jiff::ZonedDateTime;

use super::kept::LogLine;

/// How much an event matters, by Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    /// The program crashes.
    Critical,
}

impl Level {
    /// Python's word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// Five letters at most, for lines of our own.
    pub(super) const fn short_word(self) -> &'static str {
        match self {
            Self::Warning => "WARN",
            Self::Critical => "CRIT",
            other => other.word(),
        }
    }

    /// Python's number for it.
    pub(super) const fn number(self) -> i64 {
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
pub(super) struct Record {
    /// When, in the local zone.
    pub(super) time: ZonedDateTime,
    /// So many microseconds after the log began.
    pub(super) since_start: i64,
    pub(super) level: Level,
    /// The module, as `kamstrup2mqtt::poll::journal`.
    pub(super) target: String,
    /// Its file, as `src/poll/journal.rs`; empty where it is not known.
    pub(super) file: String,
    /// The line there, from 1; 0 where it is not known.
    pub(super) line: u32,
    /// Which of several meters it is about.
    pub(super) meter: Option<String>,
    /// What happened; see [`harmless`].
    pub(super) text: String,
}

impl Record {
    /// As it is kept for the page.
    pub(super) fn kept(&self) -> LogLine {
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
    pub(super) fn name(&self) -> String {
        self.target.replace("::", ".")
    }

    /// The module's own name: `journal`.
    pub(super) fn module(&self) -> &str {
        self.target.rsplit("::").next().unwrap_or_default()
    }

    /// `journal.rs`
    pub(super) fn file_name(&self) -> &str {
        Path::new(&self.file).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// What happened, and to which meter where there are several.
    pub(super) fn message(&self) -> String {
        self.meter.iter().map(|meter| format!("{meter}: ")).chain([self.text.clone()]).collect()
    }
}

/// A text without control characters but line feeds and tabs: what others named, like a topic, must
/// not steer the terminal. Nor may it pass for a line of its own, so each line but the first is
/// indented.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut before = None;
    for character in text.chars() {
        if before == Some('\n') && !matches!(character, ' ' | '\t') {
            harmless.push_str("  ");
        }
        if character.is_control() && !matches!(character, '\n' | '\t') {
            harmless.extend(character.escape_default());
        } else {
            harmless.push(character);
        }
        before = Some(character);
    }
    harmless
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a good poll of the meter `garage` writes.
    pub(in super::super) fn example() -> Record {
        Record {
            time: "2026-11-24T10:00:00.123+01:00[Europe/Copenhagen]".parse().unwrap(),
            since_start: 2_500_250,
            level: Level::Info,
            target: "kamstrup2mqtt::poll::journal".to_owned(),
            file: "src/poll/journal.rs".to_owned(),
            line: 78,
            meter: Some("garage".to_owned()),
            text: "Read 7 of 7 values in 0.9 s.".to_owned(),
        }
    }

    #[test]
    fn a_module_has_three_names() {
        let record = example();
        assert_eq!(record.name(), "kamstrup2mqtt.poll.journal");
        assert_eq!(record.module(), "journal");
        assert_eq!(record.file_name(), "journal.rs");
        assert_eq!(record.message(), "garage: Read 7 of 7 values in 0.9 s.");
        let none = Record { meter: None, file: String::new(), ..record };
        assert_eq!(none.message(), "Read 7 of 7 values in 0.9 s.");
        assert_eq!(none.file_name(), "");
    }

    #[test]
    fn nothing_steers_the_terminal_or_passes_for_a_line() {
        assert_eq!(harmless("a\u{1b}[2Jb\rc\u{0}\u{9b}"), "a\\u{1b}[2Jb\\rc\\u{0}\\u{9b}");
        assert_eq!(harmless("°C\nand\tso on\n"), "°C\n  and\tso on\n");
        assert_eq!(harmless("two:\n - one\n\tother\n\nend"), "two:\n - one\n\tother\n  \n  end");
    }

    /// The log's own time, that of syslog and that of formats.
    #[test]
    fn a_record_of_the_end_of_the_calendar_can_be_written() {
        use super::super::{Facility, Format, syslog};

        let format: Format = "%(asctime)s %(created)f %(msecs)d %(message)s".parse().unwrap();
        let facility: Facility = "user".parse().unwrap();
        let sender =
            syslog::Sender { app_name: "kamstrup2mqtt", host: "pi".to_owned(), process: 1 };
        for time in testing::times() {
            let year = time.strftime("%Y").to_string();
            let record = Record { time, ..example() };
            assert!(record.kept().time.starts_with(&year));
            assert!(format.write(&record, None, 1).starts_with(&year));
            let message = syslog::message(&record, facility, &sender, "text", 1000);
            assert!(message.contains(&year), "{message}");
        }
    }
}
