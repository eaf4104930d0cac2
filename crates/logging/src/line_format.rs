//! The format of a line.

use serde::Serialize;

use crate::date::DateFormat;
use crate::format::Format;
use crate::record::{Level, Record};

/// The format of the lines of one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFormat {
    /// The parts of a line.
    pub style: Style,
    /// The format of times. Without it, the style decides.
    pub date: Option<DateFormat>,
}

/// The parts of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// `2026-11-24T10:00:00+01:00  INFO garage: Read 7 of 7 values in 0.9 s.`
    Plain,
    /// One JSON object per line.
    Json,
    /// A format string of Python's `logging`.
    Format(Format),
}

/// The object that [`Style::Json`] writes.
#[derive(Debug, Serialize)]
struct Json<'a> {
    time: String,
    level: &'static str,
    name: String,
    /// Users know it as the meter.
    #[serde(rename = "meter", skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    message: &'a str,
}

/// Plain lines.
impl Default for LineFormat {
    fn default() -> Self {
        Self { style: Style::Plain, date: None }
    }
}

impl LineFormat {
    /// Formats a record, with a line feed. `colours` are for a terminal.
    pub(crate) fn line(&self, record: &Record, process: u32, colours: bool) -> String {
        let date = || match &self.date {
            Some(date) => date.write(&record.time),
            None => DateFormat::iso().write(&record.time),
        };
        let mut line = match &self.style {
            Style::Plain => {
                let padded = format!("{:>5}", record.level.short_word());
                let level = if colours { coloured(&padded, record.level) } else { padded };
                format!("{} {level} {}", date(), record.message())
            }
            Style::Json => {
                let json = Json {
                    time: date(),
                    level: record.level.word(),
                    name: record.name(),
                    about: record.about.as_deref(),
                    message: &record.text,
                };
                // Text can always be written as JSON.
                serde_json::to_string(&json).unwrap_or_default()
            }
            Style::Format(format) => format.write(record, self.date.as_ref(), process),
        };
        line.push('\n');
        line
    }
}

/// Uses the colours of the terminal's own theme: grey, green, yellow, red.
fn coloured(text: &str, level: Level) -> String {
    let code = match level {
        Level::Debug => 90,
        Level::Info => 32,
        Level::Warning => 33,
        Level::Error | Level::Critical => 31,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::example;

    fn line(style: Style, date: Option<&str>, record: &Record) -> String {
        let date = date.map(|date| date.parse().unwrap());
        LineFormat { style, date }.line(record, 4711, false)
    }

    #[test]
    fn a_plain_line_has_time_level_and_message() {
        let record = example();
        assert_eq!(
            line(Style::Plain, None, &record),
            "2026-11-24T10:00:00+01:00  INFO garage: Read 7 of 7 values in 0.9 s.\n"
        );
        assert_eq!(
            line(Style::Plain, Some("%H:%M"), &record),
            "10:00  INFO garage: Read 7 of 7 values in 0.9 s.\n"
        );
        let warning = Record { level: Level::Warning, about: None, ..record };
        assert_eq!(
            LineFormat::default().line(&warning, 1, true),
            "2026-11-24T10:00:00+01:00 \u{1b}[33m WARN\u{1b}[0m Read 7 of 7 values in 0.9 s.\n"
        );
    }

    #[test]
    fn a_json_line_is_one_object() {
        let record = Record { text: "a \"b\"\n67 °C".to_owned(), ..example() };
        assert_eq!(
            line(Style::Json, None, &record),
            "{\"time\":\"2026-11-24T10:00:00+01:00\",\"level\":\"INFO\",\
             \"name\":\"kamstrup2mqtt.poll.journal\",\"meter\":\"garage\",\
             \"message\":\"a \\\"b\\\"\\n67 °C\"}\n"
        );
        let record = Record { about: None, ..record };
        assert!(line(Style::Json, Some("%s"), &record).starts_with("{\"time\":\"1795510800\","));
        assert!(!line(Style::Json, None, &record).contains("meter"));
    }
}
