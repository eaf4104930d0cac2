//! How a line looks.

use serde::Serialize;

use super::date::DateFormat;
use super::format::Format;
use super::record::{Level, Record};

/// How lines look at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What they are made of.
    pub style: Style,
    /// How times look; without it as the style has them.
    pub date: Option<DateFormat>,
}

/// What a line is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// `2026-11-24T10:00:00+01:00  INFO garage: Read 7 of 7 values in 0.9 s.`
    Plain,
    /// One JSON object a line.
    Json,
    /// A format string.
    Format(Format),
}

/// What [`Style::Json`] writes.
#[derive(Debug, Serialize)]
struct Json<'a> {
    time: String,
    level: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meter: Option<&'a str>,
    message: &'a str,
}

/// The line of everyday.
impl Default for Look {
    fn default() -> Self {
        Self { style: Style::Plain, date: None }
    }
}

impl Look {
    /// A record's line with its end; with `colours` for a terminal.
    pub(super) fn line(&self, record: &Record, process: u32, colours: bool) -> String {
        let date = || match &self.date {
            Some(date) => date.write(&record.time),
            None => DateFormat::iso().write(&record.time),
        };
        let mut line = match &self.style {
            Style::Plain => {
                let level = format!("{:>5}", record.level.short_word());
                let level = if colours { coloured(&level, record.level) } else { level };
                format!("{} {level} {}", date(), record.message())
            }
            Style::Json => {
                let json = Json {
                    time: date(),
                    level: record.level.word(),
                    name: record.name(),
                    meter: record.meter.as_deref(),
                    message: &record.text,
                };
                // Of texts alone JSON can always be made.
                serde_json::to_string(&json).unwrap_or_default()
            }
            Style::Format(format) => format.write(record, self.date.as_ref(), process),
        };
        line.push('\n');
        line
    }
}

/// In the colours of the terminal's own theme: grey, green, yellow, red.
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
        Look { style, date }.line(record, 4711, false)
    }

    #[test]
    fn the_line_of_everyday() {
        let record = example();
        assert_eq!(
            line(Style::Plain, None, &record),
            "2026-11-24T10:00:00+01:00  INFO garage: Read 7 of 7 values in 0.9 s.\n"
        );
        assert_eq!(
            line(Style::Plain, Some("%H:%M"), &record),
            "10:00  INFO garage: Read 7 of 7 values in 0.9 s.\n"
        );
        let warning = Record { level: Level::Warning, meter: None, ..record };
        assert_eq!(
            Look::default().line(&warning, 1, true),
            "2026-11-24T10:00:00+01:00 \u{1b}[33m WARN\u{1b}[0m Read 7 of 7 values in 0.9 s.\n"
        );
    }

    #[test]
    fn one_object_a_line() {
        let record = Record { text: "a \"b\"\n67 °C".to_owned(), ..example() };
        assert_eq!(
            line(Style::Json, None, &record),
            "{\"time\":\"2026-11-24T10:00:00+01:00\",\"level\":\"INFO\",\
             \"name\":\"kamstrup2mqtt.poll.journal\",\"meter\":\"garage\",\
             \"message\":\"a \\\"b\\\"\\n67 °C\"}\n"
        );
        let record = Record { meter: None, ..record };
        assert!(line(Style::Json, Some("%s"), &record).starts_with("{\"time\":\"1795510800\","));
        assert!(!line(Style::Json, None, &record).contains("meter"));
    }
}
