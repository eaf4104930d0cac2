//! The content of a register: its unit, its bytes, and the number, date or text that they encode.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use thiserror::Error;

use crate::number::{self, NumberError, SignExponent};
use crate::register::RegisterId;
use crate::unit::{Quantity, Unit};

/// A register in an answer: `register 2 | unit 1 | length 1 | SiEx 1 | mantissa` (5512-447 M1
/// p.7-9, p.19).
///
/// It keeps the bytes of the answer; [`value`](Self::value) interprets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterValue {
    /// The register.
    pub register: RegisterId,
    /// The unit that the meter sent. It depends on the meter's configuration.
    pub unit: Unit,
    /// Sign and exponent of a number.
    pub sign_exponent: SignExponent,
    /// The mantissa, high byte first: 4 bytes on a MULTICAL 601, 1, 2, 4, 7 or 12 on others.
    mantissa: Vec<u8>,
}

/// Bytes before the mantissa.
const HEADER: usize = 5;

impl RegisterValue {
    /// The fewest bytes of a register in an answer: its mantissa has one byte.
    pub(crate) const SHORTEST: usize = HEADER.saturating_add(1);

    /// Creates a register from its parts; `None` if the mantissa has more than 255 bytes.
    #[must_use]
    pub fn new(
        register: RegisterId,
        unit: Unit,
        sign_exponent: SignExponent,
        mantissa: Vec<u8>,
    ) -> Option<Self> {
        u8::try_from(mantissa.len()).ok()?;
        Some(Self { register, unit, sign_exponent, mantissa })
    }

    /// Encodes a number with all its decimal places, in a mantissa of `length` bytes.
    pub fn from_decimal(
        register: RegisterId,
        unit: Unit,
        value: Decimal,
        length: u8,
    ) -> Result<Self, NumberError> {
        let (sign_exponent, mantissa) = number::from_decimal(value, length)?;
        Ok(Self { register, unit, sign_exponent, mantissa })
    }

    /// The mantissa's bytes, high byte first.
    #[must_use]
    pub fn mantissa(&self) -> &[u8] {
        &self.mantissa
    }

    /// Parses the first register in `data`, and returns it with the bytes after it; `None` if the
    /// register is truncated.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<(Self, &[u8])> {
        let (&[high, low, unit, length, sign_exponent], rest) =
            data.split_first_chunk::<HEADER>()?;
        let (mantissa, rest) = rest.split_at_checked(length.into())?;
        let value = Self {
            register: RegisterId::new(u16::from_be_bytes([high, low])),
            unit: Unit::from_code(unit),
            sign_exponent: SignExponent::from_byte(sign_exponent),
            mantissa: mantissa.to_vec(),
        };
        Some((value, rest))
    }

    /// The first register in `data`, and the bytes that it takes; `None` before all of its header
    /// has arrived.
    pub(crate) fn peek(data: &[u8]) -> Option<(RegisterId, usize)> {
        let (&[high, low, _, length, _], _) = data.split_first_chunk::<HEADER>()?;
        let register = RegisterId::new(u16::from_be_bytes([high, low]));
        Some((register, HEADER.saturating_add(length.into())))
    }

    /// A value of the same register, unit and exponent; `None` if the mantissa does not have the
    /// same length.
    #[must_use]
    pub fn with_mantissa(&self, mantissa: &[u8]) -> Option<Self> {
        let has_same_length = mantissa.len() == self.mantissa.len();
        has_same_length.then(|| Self { mantissa: mantissa.to_vec(), ..*self })
    }

    /// The bytes of the register in an answer, before stuffing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.emit(&mut out);
        out
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend(self.register.get().to_be_bytes());
        // The constructors reject more than 255 bytes.
        let length = u8::try_from(self.mantissa.len()).unwrap_or(u8::MAX);
        out.extend([self.unit.code(), length, self.sign_exponent.byte()]);
        out.extend_from_slice(&self.mantissa);
    }

    /// Decodes the bytes, according to the unit that the meter sent.
    pub fn value(&self) -> Result<Value, ValueError> {
        match self.unit.quantity() {
            Quantity::Date if self.unit == Unit::DATE_YYYYMMDD => {
                let (rest, month_day) = split_digits(self.integer()?, 10_000);
                Date::new(rest.into(), month_day).map(Value::Date)
            }
            Quantity::Date => {
                let (year, month_day) = split_digits(self.integer()?, 10_000);
                // The year has two digits. Kamstrup's first KMP meters are from 2006.
                let year = year.checked_add(2000).filter(|year| *year < 2100);
                Date::new(year, month_day).map(Value::Date)
            }
            Quantity::MonthDay => {
                let digits = self.integer()?;
                // A leap year, so that 29 February is valid.
                let (0, month_day) = split_digits(digits, 10_000) else {
                    return Err(ValueError::Date { digits });
                };
                let Date { month, day, .. } = Date::new(Some(2000), month_day)?;
                Ok(Value::MonthDay { month, day })
            }
            Quantity::TimeOfDay => TimeOfDay::from_digits(self.integer()?).map(Value::Time),
            Quantity::DateTime if self.unit == Unit::DATE_TIME => {
                DateTime::from_bytes(&self.mantissa).map(Value::DateTime)
            }
            Quantity::DateTime => Err(ValueError::UnknownLayout { unit: self.unit }),
            Quantity::Text => text(&self.mantissa).map(Value::Text),
            _ => Ok(Value::Number(number::to_decimal(self.sign_exponent, &self.mantissa)?)),
        }
    }

    /// Decodes a value of unit 79 without adding its offset.
    pub fn stamp(&self) -> Result<Stamp, ValueError> {
        if self.unit == Unit::DATE_TIME {
            Stamp::from_bytes(&self.mantissa)
        } else {
            Err(ValueError::UnknownLayout { unit: self.unit })
        }
    }

    /// The integer whose decimal digits are a date or a time.
    fn integer(&self) -> Result<u32, ValueError> {
        let value = number::to_decimal(self.sign_exponent, &self.mantissa)?;
        let integer = value.is_integer().then(|| value.to_u32()).flatten();
        integer.ok_or(ValueError::NotAnInteger { value })
    }
}

/// The digits above and below `place`, a power of ten.
fn split_digits(digits: u32, place: u32) -> (u32, u32) {
    (digits.checked_div(place).unwrap_or(0), digits.checked_rem(place).unwrap_or(0))
}

fn text(bytes: &[u8]) -> Result<String, ValueError> {
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last.saturating_add(1));
    let shown = bytes.get(..end).unwrap_or_default();
    if let Some(&byte) = shown.iter().find(|byte| !printable(byte)) {
        return Err(ValueError::Text { byte });
    }
    let text = shown.iter().copied().map(char::from).collect::<String>();
    // An empty text says nothing. As an MQTT payload, it would delete a retained message.
    match text.trim() {
        "" => Err(ValueError::NotSet),
        text => Ok(text.to_string()),
    }
}

/// The decoded value of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An exact number in the register's unit, with the decimal places that the meter sent.
    Number(Decimal),
    /// A date, from units 48 and 49.
    Date(Date),
    /// A day without a year, from unit 50.
    MonthDay {
        /// The month, 1 to 12.
        month: u8,
        /// The day, 1 to 31.
        day: u8,
    },
    /// A time of day, from unit 47.
    Time(TimeOfDay),
    /// A date with a time, from unit 79, in the meter's own time. Meters have no time zone.
    DateTime(DateTime),
    /// Text, from unit 54, without padding.
    Text(String),
}

/// Writes numbers without an exponent, and dates and times as in ISO 8601.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::MonthDay { month, day } => write!(f, "{month:02}-{day:02}"),
            Self::Time(time) => time.fmt(f),
            Self::DateTime(DateTime { date, time }) => write!(f, "{date}T{time}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A valid date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A date from its year and the four digits mmdd.
    fn new(year: Option<u32>, month_day: u32) -> Result<Self, ValueError> {
        let digits = year.unwrap_or(0).saturating_mul(10_000).saturating_add(month_day);
        let (month, day) = split_digits(month_day, 100);
        if month_day == 0 && matches!(year, None | Some(0 | 2000)) {
            return Err(ValueError::NotSet);
        }
        let date = (|| {
            let date = Self {
                year: year?.try_into().ok().filter(|year| *year <= 9999)?,
                month: month.try_into().ok()?,
                day: day.try_into().ok()?,
            };
            (1..=days_of_month(date.year, date.month)).contains(&date.day).then_some(date)
        })();
        date.ok_or(ValueError::Date { digits })
    }

    /// The year, with four digits.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day, 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    fn next(self) -> Self {
        let Self { year, month, day } = self;
        if day < days_of_month(year, month) {
            Self { day: day.saturating_add(1), ..self }
        } else if month < 12 {
            Self { year, month: month.saturating_add(1), day: 1 }
        } else {
            Self { year: year.saturating_add(1), month: 1, day: 1 }
        }
    }
}

/// The number of days; 0 for an invalid month.
const fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 0,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A valid time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
    second: u8,
}

impl TimeOfDay {
    fn new(hour: u8, minute: u8, second: u8) -> Option<Self> {
        (hour < 24 && minute < 60 && second < 60).then_some(Self { hour, minute, second })
    }

    fn from_digits(digits: u32) -> Result<Self, ValueError> {
        let (hours, rest) = split_digits(digits, 10_000);
        let (minute, second) = split_digits(rest, 100);
        (|| Self::new(hours.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?))()
            .ok_or(ValueError::Time { digits })
    }

    /// The hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// The minute, 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        self.minute
    }

    /// The second, 0 to 59.
    #[must_use]
    pub const fn second(self) -> u8 {
        self.second
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

/// The date and time of unit 79. The offset for daylight saving time is already added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    /// The date.
    pub date: Date,
    /// The time.
    pub time: TimeOfDay,
}

impl DateTime {
    /// Kamstrup's `LogView` adds the offset to the time (jktjkt/PyKMP commit a82690e).
    fn from_bytes(bytes: &[u8]) -> Result<Self, ValueError> {
        let Stamp { offset_minutes, date, time } = Stamp::from_bytes(bytes)?;
        let minutes = u16::from(time.hour)
            .saturating_mul(60)
            .saturating_add(time.minute.into())
            .saturating_add(offset_minutes.into());
        // An offset is at most 255 minutes, so at most one day is added.
        let date = if minutes >= MINUTES_A_DAY { date.next() } else { date };
        let minutes = minutes % MINUTES_A_DAY;
        // Less than a day has less than 24 hours.
        let hour = u8::try_from(minutes / 60).unwrap_or(0);
        let minute = u8::try_from(minutes % 60).unwrap_or(0);
        Ok(Self { date, time: TimeOfDay { hour, minute, second: time.second } })
    }
}

/// The date and time of unit 79 as the meter sent them, with the offset beside them.
///
/// Whether the time of a log's entry already contains the offset is not known: no entry of a summer
/// has been captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The offset for daylight saving time: 60 in summer.
    pub offset_minutes: u8,
    /// The date.
    pub date: Date,
    /// The time.
    pub time: TimeOfDay,
}

impl Stamp {
    /// Seven binary bytes: offset in minutes, year minus 2000, month, day, hour, minute, second.
    fn from_bytes(bytes: &[u8]) -> Result<Self, ValueError> {
        let &[offset_minutes, year, month, day, hour, minute, second] = bytes else {
            return Err(ValueError::DateTimeLength { length: bytes.len() });
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(ValueError::NotSet);
        }
        let invalid = ValueError::DateTime {
            bytes: [offset_minutes, year, month, day, hour, minute, second],
        };
        let month_day = u32::from(month).saturating_mul(100).saturating_add(day.into());
        if day >= 100 {
            return Err(invalid);
        }
        let date = Date::new(Some(u32::from(year).saturating_add(2000)), month_day)
            .map_err(|_| invalid)?;
        let time = TimeOfDay::new(hour, minute, second).ok_or(invalid)?;
        Ok(Self { offset_minutes, date, time })
    }
}

const MINUTES_A_DAY: u16 = 24 * 60;

/// Why the bytes of a register cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueError {
    /// The number cannot be represented exactly.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The date is all zeros, or the text is empty: the meter has not set the value yet.
    #[error("the meter has not set this value yet")]
    NotSet,
    /// A date or a time is not a whole number.
    #[error("{value} is not a whole number, so it is not a date or a time")]
    NotAnInteger {
        /// The number.
        value: Decimal,
    },
    /// The digits are not a valid date.
    #[error("{digits} is not a valid date")]
    Date {
        /// The digits yyyymmdd.
        digits: u32,
    },
    /// The digits are not a valid time of day.
    #[error("{digits} is not a valid time of day")]
    Time {
        /// The digits hhmmss.
        digits: u32,
    },
    /// The bytes are not a valid date and time.
    #[error("{bytes:02X?} is not a valid date and time")]
    DateTime {
        /// The bytes.
        bytes: [u8; 7],
    },
    /// A value of unit 79 does not have seven bytes.
    #[error("a date and time has 7 bytes, not {length}")]
    DateTimeLength {
        /// The number of bytes.
        length: usize,
    },
    /// A text contains a byte that is not printable ASCII.
    #[error("byte 0x{byte:02X} is not a printable character")]
    Text {
        /// The first byte that is not printable.
        byte: u8,
    },
    /// No source describes the layout of values of this unit.
    #[error("the layout of values of unit {} is not documented", .unit.code())]
    UnknownLayout {
        /// The unit: 53, 63, 64 or 72.
        unit: Unit,
    },
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn value(unit: u8, mantissa: &[u8]) -> Result<String, ValueError> {
        let (id, exponent) = (RegisterId::new(1003), SignExponent::from_byte(0));
        let register =
            RegisterValue::new(id, Unit::from_code(unit), exponent, mantissa.to_vec()).unwrap();
        register.value().map(|value| value.to_string())
    }

    #[test]
    fn dates_and_times_of_the_manual() {
        // 5512-447 M1 p.10
        assert_eq!(value(47, &[0, 0x01, 0x92, 0x58]).unwrap(), "10:30:00");
        assert_eq!(value(48, &[0, 0, 0xED, 0x98]).unwrap(), "2006-08-24");
        assert_eq!(value(50, &[0x03, 0x38]).unwrap(), "08-24");
    }

    #[test]
    fn a_date_may_have_fewer_than_six_digits() {
        // Other programs read 90115 as 1990-11-05, and fail on 0.
        assert_eq!(value(48, &[0x00, 0x01, 0x60, 0x03]).unwrap(), "2009-01-15");
        assert_eq!(value(48, &[0, 0, 0, 0]), Err(ValueError::NotSet));
        assert_eq!(value(49, &[0, 0, 0, 0]), Err(ValueError::NotSet));
        assert_eq!(value(50, &[0, 0]), Err(ValueError::NotSet));
    }

    #[test]
    fn a_year_may_have_four_digits() {
        assert_eq!(value(49, &20_260_131_u32.to_be_bytes()).unwrap(), "2026-01-31");
    }

    #[test]
    fn dates_and_times_that_do_not_exist_are_rejected() {
        for digits in [260_230_u32, 261_301, 260_100, 1, 9_999_999] {
            assert!(matches!(value(48, &digits.to_be_bytes()), Err(ValueError::Date { .. })));
        }
        assert_eq!(value(48, &240_229_u32.to_be_bytes()).unwrap(), "2024-02-29");
        assert!(value(48, &250_229_u32.to_be_bytes()).is_err());
        assert_eq!(value(50, &229_u32.to_be_bytes()).unwrap(), "02-29");
        assert!(value(50, &10_229_u32.to_be_bytes()).is_err());
        assert!(value(47, &240_000_u32.to_be_bytes()).is_err());
        assert!(value(47, &6_000_u32.to_be_bytes()).is_err());
    }

    #[test]
    fn dates_and_times_in_seven_bytes_are_decoded() {
        // jktjkt/PyKMP commit a82690e: the first from a day log, the second as LogView shows it.
        assert_eq!(value(79, &[0, 0x18, 0x0C, 0x1F, 0, 0, 4]).unwrap(), "2024-12-31T00:00:04");
        assert_eq!(
            value(79, &[0x3C, 0x1A, 0x04, 0x15, 0x0C, 0x07, 0x1E]).unwrap(),
            "2026-04-21T13:07:30"
        );
        assert_eq!(value(79, &[60, 24, 12, 31, 23, 30, 0]).unwrap(), "2025-01-01T00:30:00");
        assert_eq!(value(79, &[0; 7]), Err(ValueError::NotSet));
        assert_eq!(value(79, &[0; 4]), Err(ValueError::DateTimeLength { length: 4 }));
        assert!(matches!(value(79, &[0, 24, 13, 1, 0, 0, 0]), Err(ValueError::DateTime { .. })));
        assert!(matches!(value(79, &[0, 24, 1, 132, 0, 0, 0]), Err(ValueError::DateTime { .. })));
    }

    #[test]
    fn text_is_trimmed_and_must_be_printable() {
        // jktjkt/PyKMP commit a8dec38, register 254
        assert_eq!(value(54, b"02K52AC1A7CZ").unwrap(), "02K52AC1A7CZ");
        assert_eq!(value(54, b"403 \0\0").unwrap(), "403");
        assert_eq!(value(54, b"a\x07"), Err(ValueError::Text { byte: 7 }));
        for empty in [&b""[..], b"\0\0\0", b"    ", b" \0"] {
            assert_eq!(value(54, empty), Err(ValueError::NotSet));
        }
    }

    #[test]
    fn units_without_a_known_layout_have_no_value() {
        assert!(matches!(value(64, &[1, 2, 3, 4]), Err(ValueError::UnknownLayout { .. })));
    }

    proptest! {
        #[test]
        fn no_input_panics(
            unit: u8, exponent: u8, mantissa in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let register = RegisterValue::new(
                RegisterId::new(1), Unit::from_code(unit), SignExponent::from_byte(exponent), mantissa,
            );
            let _ = register.unwrap().value();
        }

        #[test]
        fn every_date_is_shown_correctly(year in 0_u32..100, month in 1_u32..=12, day in 1_u32..=28) {
            let digits = std::format!("{year}{month:02}{day:02}").parse::<u32>().unwrap();
            let shown = value(48, &digits.to_be_bytes());
            prop_assert_eq!(shown, Ok(std::format!("{:04}-{month:02}-{day:02}", 2000 + year)));
        }

        #[test]
        fn emit_then_parse_is_the_identity(
            id: u16, unit: u8, exponent: u8,
            mantissa in prop::collection::vec(any::<u8>(), 0..=255),
            rest in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let register = RegisterValue::new(
                RegisterId::new(id), Unit::from_code(unit), SignExponent::from_byte(exponent), mantissa,
            ).unwrap();
            let mut bytes = vec![];
            register.emit(&mut bytes);
            let emitted = bytes.len();
            bytes.extend(&rest);
            prop_assert_eq!(RegisterValue::parse(&bytes), Some((register, &rest[..])));
            prop_assert_eq!(RegisterValue::parse(&bytes[..emitted - 1]), None);
        }
    }
}
