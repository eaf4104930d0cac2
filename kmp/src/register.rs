//! Registers: their ids, and what is known of those that heat meters have.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::unit::Quantity;

/// A register's number, 0 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegisterId(u16);

impl RegisterId {
    /// Any register, known or not.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What is known of it.
    #[must_use]
    pub fn info(self) -> Option<&'static Register> {
        let index = REGISTERS
            .binary_search_by_key(&self, |register| register.id)
            .ok()?;
        REGISTERS.get(index)
    }
}

impl fmt::Display for RegisterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is no register number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a register number is 0 to 65535, or 0x0000 to 0xFFFF")]
pub struct ParseRegisterIdError;

/// Decimal (`60`) or hexadecimal (`0x003C`).
impl FromStr for RegisterId {
    type Err = ParseRegisterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        // `from_str_radix` would take a sign.
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Err(ParseRegisterIdError);
        }
        u16::from_str_radix(digits, radix)
            .map(Self)
            .map_err(|_| ParseRegisterIdError)
    }
}

/// How a register's value behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts up for the life of the meter.
    Counter,
    /// Counts up, and starts again from zero at a limit that depends on the meter.
    WrappingCounter,
    /// The present value, a mean or an extreme of a period.
    Gauge,
    /// The day on which an extreme was reached.
    Date,
}

/// What is known of a register.
#[derive(Debug, Clone, Copy)]
pub struct Register {
    /// Its number.
    pub id: RegisterId,
    /// Its name as a user writes it; compared without regard to case.
    pub key: &'static str,
    /// Its name for people, in English.
    pub label: &'static str,
    /// How its value behaves.
    pub kind: Kind,
    /// What it measures. The unit comes with each answer and depends on the meter.
    pub quantity: Quantity,
    /// Where this is documented.
    pub source: &'static str,
}

impl Register {
    /// The register that a user calls by this name, in any case.
    #[must_use]
    pub fn by_key(key: &str) -> Option<&'static Self> {
        REGISTERS
            .iter()
            .find(|register| register.key.eq_ignore_ascii_case(key))
    }
}

const fn row(
    id: u16,
    key: &'static str,
    label: &'static str,
    kind: Kind,
    quantity: Quantity,
    source: &'static str,
) -> Register {
    Register {
        id: RegisterId(id),
        key,
        label,
        kind,
        quantity,
        source,
    }
}

/// The registers that have names, by number.
#[rustfmt::skip]
pub const REGISTERS: &[Register] = {
    use Kind::{Counter, Date, Gauge, WrappingCounter};
    use Quantity as Q;
    &[
        row(60, "energy", "Energy", Counter, Q::Energy, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(68, "volume", "Volume", Counter, Q::Volume, "TD 302 5512-1334_F1 p.68; TD 62 5512-1036_D1 p.82; 5512-447 M1 (2009) p.10"),
        row(74, "flow", "Flow", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(80, "power", "Power", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11"),
        row(86, "temp1", "Supply temperature", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(87, "temp2", "Return temperature", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(89, "tempdiff", "Temperature difference", Gauge, Q::TemperatureDifference, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(97, "temp1xm3", "Supply volume times temperature", Counter, Q::VolumeTemperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(110, "temp2xm3", "Return volume times temperature", Counter, Q::VolumeTemperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.10"),
        row(113, "infoevent", "Info events", Counter, Q::Number, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11; TD 62 5512-1036_D1 p.82"),
        row(123, "maxflowdate_y", "Date of highest flow this year", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(124, "maxflow_y", "Highest flow this year", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(125, "minflowdate_y", "Date of lowest flow this year", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(126, "minflow_y", "Lowest flow this year", Gauge, Q::Flow, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(127, "maxpowerdate_y", "Date of highest power this year", Date, Q::Date, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11"),
        row(128, "maxpower_y", "Highest power this year", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(129, "minpowerdate_y", "Date of lowest power this year", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(130, "minpower_y", "Lowest power this year", Gauge, Q::Power, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(138, "maxflowDate_m", "Date of highest flow this month", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11 (5512-447 misprints the period as 'this year')"),
        row(139, "maxflow_m", "Highest flow this month", Gauge, Q::Flow, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11 (5512-447 misprints the period as 'this year')"),
        row(140, "minflowDate_m", "Date of lowest flow this month", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(141, "minflow_m", "Lowest flow this month", Gauge, Q::Flow, "5512-447 M1 (2009) p.11"),
        row(142, "maxpowerdate_m", "Date of highest power this month", Date, Q::Date, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(143, "maxpower_m", "Highest power this month", Gauge, Q::Power, "TD 302 5512-1334_F1 p.68; 5512-447 M1 (2009) p.11"),
        row(144, "minpowerdate_m", "Date of lowest power this month", Date, Q::Date, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(145, "minpower_m", "Lowest power this month", Gauge, Q::Power, "TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(146, "avgtemp1_y", "Average supply temperature this year", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(147, "avgtemp2_y", "Average return temperature this year", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(149, "avgtemp1_m", "Average supply temperature this month", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(150, "avgtemp2_m", "Average return temperature this month", Gauge, Q::Temperature, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
        row(266, "e1highres", "Energy, high resolution", WrappingCounter, Q::Energy, "TD 302 5512-1334_F1 p.68; TD 403 FILE100000166_B_EN p.127 (example); golles/ha-kamstrup_403"),
        row(1004, "hourcounter", "Operating hours", Counter, Q::Duration, "TD 302 5512-1334_F1 p.68; TD 402 5512-742_M1 p.83; 5512-447 M1 (2009) p.11"),
    ]
};

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn ids_ascend_and_every_row_is_complete() {
        assert!(REGISTERS.is_sorted_by(|a, b| a.id < b.id));
        for register in REGISTERS {
            assert!(
                !register.label.is_empty() && !register.source.is_empty(),
                "{register:?}"
            );
            assert_eq!(register.id.info().map(|info| info.id), Some(register.id));
        }
    }

    #[test]
    fn keys_are_unique_in_any_case_and_fit_into_a_topic() {
        let mut keys: Vec<_> = REGISTERS
            .iter()
            .map(|r| r.key.to_ascii_lowercase())
            .collect();
        keys.sort_unstable();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for key in keys {
            assert!(
                key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{key}"
            );
            // A number must never be taken for a name.
            assert!(key.starts_with(|c: char| c.is_ascii_alphabetic()), "{key}");
        }
    }

    #[test]
    fn names_resolve_in_any_case() {
        for name in ["maxflowDate_m", "maxflowdate_m", "MAXFLOWDATE_M"] {
            assert_eq!(
                Register::by_key(name).map(|r| r.id),
                Some(RegisterId::new(138))
            );
        }
        assert!(Register::by_key("enery").is_none());
    }

    #[test]
    fn numbers_decimal_and_hexadecimal() {
        assert_eq!("60".parse(), Ok(RegisterId::new(60)));
        assert_eq!("0x003C".parse(), Ok(RegisterId::new(60)));
        assert_eq!("0XffFF".parse(), Ok(RegisterId::new(65535)));
        assert_eq!("65535".parse::<RegisterId>().unwrap().to_string(), "65535");
        for bad in [
            "", "0x", "65536", "0x10000", "-1", "+1", "0x+1", "6 0", "energy", "60.0",
        ] {
            assert_eq!(
                bad.parse::<RegisterId>(),
                Err(ParseRegisterIdError),
                "{bad}"
            );
        }
    }
}
