//! Format strings of Python's `logging`: `%(levelname)-8s %(message)s`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use thiserror::Error;

use crate::date::DateFormat;
use crate::record::Record;

/// A valid format string.
#[derive(Clone, PartialEq, Eq)]
pub struct Format {
    parts: Vec<Part>,
    /// The format string as written.
    text: String,
}

impl Format {
    /// The names of all fields.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().map(|(name, _)| *name)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.text).finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field { field: Field, shape: Shape },
}

/// The fields of an event, by Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    AscTime,
    Created,
    FileName,
    FuncName,
    LevelName,
    LevelNo,
    LineNo,
    Message,
    Module,
    Msecs,
    Name,
    PathName,
    Process,
    ProcessName,
    RelativeCreated,
    Thread,
    ThreadName,
}

const FIELDS: [(&str, Field); 17] = [
    ("asctime", Field::AscTime),
    ("created", Field::Created),
    ("filename", Field::FileName),
    ("funcName", Field::FuncName),
    ("levelname", Field::LevelName),
    ("levelno", Field::LevelNo),
    ("lineno", Field::LineNo),
    ("message", Field::Message),
    ("module", Field::Module),
    ("msecs", Field::Msecs),
    ("name", Field::Name),
    ("pathname", Field::PathName),
    ("process", Field::Process),
    ("processName", Field::ProcessName),
    ("relativeCreated", Field::RelativeCreated),
    ("thread", Field::Thread),
    ("threadName", Field::ThreadName),
];

/// Why a format string is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// There is no such field.
    #[error("there is no field `{name}`; use one of {}", FIELDS.map(|(name, _)| name).join(", "))]
    Unknown {
        /// The name in the format string.
        name: String,
    },
    /// A field is incomplete or invalid.
    #[error("`{found}` is not a valid field; write for example `%(message)s` or `%(lineno)d`")]
    Malformed {
        /// The text that starts with the percent sign.
        found: String,
    },
    /// A field contains text, which cannot be formatted as a number.
    #[error("`{found}` is text, not a number; end it with `s`")]
    NotANumber {
        /// The field.
        found: String,
    },
    /// A percent sign does not begin a field.
    #[error("a `%` does not begin a field; write `%%` for a percent sign")]
    Percent,
    /// There is no field, so every line would be the same.
    #[error("the format contains no field like `%(message)s`")]
    NoField,
}

/// How a field is formatted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Shape {
    left: bool,
    zeros: bool,
    /// The sign of a number that is not negative.
    sign: &'static str,
    width: usize,
    precision: Option<usize>,
    conversion: Conversion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Conversion {
    #[default]
    Text,
    Whole,
    Fixed,
}

/// The largest width and precision: wider than any line. A typing error must not use up memory.
const WIDEST: usize = 999;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let named = after.strip_prefix('(').ok_or(FormatError::Percent)?;
            let malformed = || FormatError::Malformed { found: format!("%{}", first(after, 24)) };
            let (name, after_name) = named.split_once(')').ok_or_else(malformed)?;
            let (shape, after) = shape(after_name).ok_or_else(malformed)?;
            let known = FIELDS.iter().find(|(known, _)| *known == name);
            let (_, field) =
                *known.ok_or_else(|| FormatError::Unknown { name: name.to_owned() })?;
            if shape.conversion != Conversion::Text && !field.is_number() {
                return Err(FormatError::NotANumber { found: format!("%({name})") });
            }
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(Part::Field { field, shape });
            rest = after;
        }
        if parts.is_empty() {
            return Err(FormatError::NoField);
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { parts, text: text.to_owned() })
    }
}

/// Parses the part after the name of a field: flags, width, precision, conversion. Also returns the
/// rest.
fn shape(text: &str) -> Option<(Shape, &str)> {
    let mut shape = Shape::default();
    let mut rest = text;
    loop {
        let mut after = rest.chars();
        match after.next()? {
            '-' => shape.left = true,
            '0' => shape.zeros = true,
            '+' => shape.sign = "+",
            ' ' if shape.sign.is_empty() => shape.sign = " ",
            ' ' | '#' => {}
            _ => break,
        }
        rest = after.as_str();
    }
    (shape.width, rest) = number(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        let precision;
        (precision, rest) = number(after)?;
        shape.precision = Some(precision);
    }
    let mut after = rest.chars();
    shape.conversion = match after.next()? {
        's' => Conversion::Text,
        'd' | 'i' | 'u' => Conversion::Whole,
        'f' | 'F' => Conversion::Fixed,
        _ => return None,
    };
    Some((shape, after.as_str()))
}

/// Parses a number of up to three digits; 0 without digits. Also returns the rest.
fn number(text: &str) -> Option<(usize, &str)> {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let digits = text.strip_suffix(rest)?;
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (number <= WIDEST).then_some((number, rest))
}

fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

impl Field {
    const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Created
                | Self::LevelNo
                | Self::LineNo
                | Self::Msecs
                | Self::Process
                | Self::RelativeCreated
                | Self::Thread
        )
    }

    fn of(self, record: &Record, date: Option<&DateFormat>, process: u32) -> Value {
        let micros = |micros: i64, scale| Value::Decimal(Decimal::new(micros, scale));
        let milliseconds = i64::from(record.time.millisecond());
        match self {
            Self::AscTime => Value::Text(match date {
                Some(date) => date.write(&record.time),
                None => format!("{},{milliseconds:03}", record.time.strftime("%Y-%m-%d %H:%M:%S")),
            }),
            Self::Created => micros(record.time.timestamp().as_microsecond(), 6),
            Self::FileName => Value::Text(record.file_name().to_owned()),
            // An event has no function name. The module is the closest thing to it.
            Self::FuncName | Self::Module => Value::Text(record.module().to_owned()),
            Self::LevelName => Value::Text(record.level.word().to_owned()),
            Self::LevelNo => Value::Whole(record.level.number()),
            Self::LineNo => Value::Whole(record.line.into()),
            Self::Message => Value::Text(record.message()),
            Self::Msecs => micros(milliseconds, 0),
            Self::Name => Value::Text(record.name()),
            Self::PathName => Value::Text(record.file.clone()),
            // Most events come from the first thread, whose number is that of the process.
            Self::Process | Self::Thread => Value::Whole(process.into()),
            Self::ProcessName => Value::Text("MainProcess".to_owned()),
            Self::RelativeCreated => micros(record.since_start, 3),
            Self::ThreadName => Value::Text("MainThread".to_owned()),
        }
    }
}

enum Value {
    Text(String),
    Whole(i64),
    /// A float in Python.
    Decimal(Decimal),
}

impl Value {
    /// The text without its sign, and whether it is negative.
    fn write(self, shape: &Shape) -> (String, bool) {
        match (self, shape.conversion) {
            (Self::Text(text), _) => (text, false),
            (Self::Whole(number), Conversion::Text) => (number.to_string(), false),
            (Self::Decimal(number), Conversion::Text) => {
                let number = number.normalize();
                let point = if number.scale() == 0 { ".0" } else { "" };
                (format!("{number}{point}"), false)
            }
            (Self::Whole(number), Conversion::Whole) => {
                (whole(number.unsigned_abs(), shape), number < 0)
            }
            (Self::Decimal(number), Conversion::Whole) => {
                let whole_part = i64::try_from(number.trunc()).unwrap_or_default();
                (whole(whole_part.unsigned_abs(), shape), whole_part < 0)
            }
            (Self::Whole(number), Conversion::Fixed) => fixed(number.into(), shape),
            (Self::Decimal(number), Conversion::Fixed) => fixed(number, shape),
        }
    }
}

fn whole(number: u64, shape: &Shape) -> String {
    format!("{number:0digits$}", digits = shape.precision.unwrap_or(0))
}

fn fixed(number: Decimal, shape: &Shape) -> (String, bool) {
    let places = shape.precision.unwrap_or(6);
    // No field has more than six places.
    let decimals = u32::try_from(places.min(9)).unwrap_or(9);
    let rounded = number.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven);
    (format!("{:.places$}", rounded.abs()), rounded.is_sign_negative())
}

impl Shape {
    fn write(&self, value: Value, line: &mut String) {
        let (mut text, negative) = value.write(self);
        let is_text = self.conversion == Conversion::Text;
        if let (Some(precision), true) = (self.precision, is_text) {
            text = first(&text, precision);
        }
        let sign = if negative {
            "-"
        } else if is_text {
            ""
        } else {
            self.sign
        };
        let missing = self.width.saturating_sub(sign.len()).saturating_sub(text.chars().count());
        // Writing to a `String` never fails.
        let _ = if self.left {
            write!(line, "{sign}{text}{:missing$}", "")
        } else if self.zeros && !is_text {
            write!(line, "{sign}{:0>missing$}{text}", "")
        } else {
            write!(line, "{:missing$}{sign}{text}", "")
        };
    }
}

impl Format {
    /// Formats a record, without a line feed. Without a date format, times have Python's default
    /// format: `2026-11-24 10:00:00,123`.
    pub(crate) fn write(&self, record: &Record, date: Option<&DateFormat>, process: u32) -> String {
        let mut line = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Field { field, shape } => {
                    shape.write(field.of(record, date, process), &mut line);
                }
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde::Deserialize;

    use super::*;
    use crate::record::Level;
    use crate::record::tests::example;

    /// The output of `tests/python/logging_lines.py`.
    #[derive(Deserialize)]
    struct OfPython {
        process: u32,
        records: BTreeMap<String, RecordOfPython>,
        lines: Vec<LineOfPython>,
    }

    #[derive(Deserialize)]
    struct RecordOfPython {
        zone: String,
        created_ms: i64,
        since_start_us: i64,
        level: String,
        target: String,
        file: String,
        line: u32,
        message: String,
    }

    #[derive(Deserialize)]
    struct LineOfPython {
        record: String,
        format: String,
        date: Option<String>,
        line: String,
    }

    impl From<&RecordOfPython> for Record {
        fn from(of: &RecordOfPython) -> Self {
            let time = Timestamp::from_millisecond(of.created_ms).unwrap();
            let levels = [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];
            Self {
                time: time.in_tz(&of.zone).unwrap(),
                since_start: of.since_start_us,
                level: levels.into_iter().find(|level| level.word() == of.level).unwrap(),
                target: of.target.clone(),
                file: of.file.clone(),
                line: of.line,
                kind: String::new(),
                about: None,
                text: of.message.clone(),
                kept: true,
            }
        }
    }

    #[test]
    fn lines_are_exactly_those_of_python() {
        let of_python: OfPython =
            serde_json::from_str(include_str!("../../../tests/data/logging-lines.json")).unwrap();
        assert!(of_python.lines.len() > 90);
        for LineOfPython { record, format, date, line } in &of_python.lines {
            let record = Record::from(&of_python.records[record]);
            let parsed: Format = format.parse().unwrap();
            let parsed_date = date.as_ref().map(|date| date.parse().unwrap());
            let written = parsed.write(&record, parsed_date.as_ref(), of_python.process);
            assert_eq!(&written, line, "{format:?} with {date:?} in {}", record.time);
        }
    }

    fn written(format: &str) -> String {
        format.parse::<Format>().unwrap().write(&example(), None, 4711)
    }

    fn rejected(format: &str) -> String {
        format.parse::<Format>().unwrap_err().to_string()
    }

    #[test]
    fn formats_beyond_the_comparison_with_python_are_supported() {
        assert_eq!(written("%(funcName)s"), "journal");
        assert_eq!(written("%(asctime)s.%(msecs)03d"), "2026-11-24 10:00:00,123.123");
        assert_eq!(written("%(thread)d %(threadName)s"), "4711 MainThread");
        assert_eq!(written("%(lineno) d|%(lineno)+5d|%(lineno)-5d|"), " 78|  +78|78   |");
    }

    #[test]
    fn errors_name_the_invalid_part() {
        let unknown = rejected("%(asctime)s %(levelnam)s");
        assert!(unknown.starts_with("there is no field `levelnam`; use one of asctime, created"));
        assert!(rejected("%(Message)s").starts_with("there is no field `Message`"));
        for (format, found) in [
            ("%(message)", "`%(message)`"),
            ("%(message", "`%(message`"),
            ("%(lineno)5", "`%(lineno)5`"),
            ("%(lineno)x", "`%(lineno)x`"),
            ("%(message)1000s", "`%(message)1000s`"),
            ("%(message)*s", "`%(message)*s`"),
        ] {
            let error = rejected(format);
            assert!(error.starts_with(&format!("{found} is not a valid field")), "{error}");
        }
        assert_eq!(rejected("%(name)d"), "`%(name)` is text, not a number; end it with `s`");
        for format in ["100 % %(message)s", "%(message)s %"] {
            assert_eq!(
                rejected(format),
                "a `%` does not begin a field; write `%%` for a percent sign"
            );
        }
        for format in ["{message}", "100 %%", ""] {
            assert_eq!(rejected(format), "the format contains no field like `%(message)s`");
        }
    }
}
