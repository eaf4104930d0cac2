//! Names of values and meters, as users write them.

use std::fmt;
use std::str::FromStr;

use kmp::register::{Register, RegisterId};
use thiserror::Error;

/// A value to be read and published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    name: String,
    register: RegisterId,
}

impl Parameter {
    /// Its name in unique ids, as the older Python program spells it; without a name, the number as
    /// the user wrote it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A register, by its name if it has one.
    #[must_use]
    pub fn of(register: RegisterId) -> Self {
        let name = match register.info() {
            Some(info) => info.key.to_owned(),
            None => register.to_string(),
        };
        Self { name, register }
    }

    /// The register that it is read from.
    #[must_use]
    pub fn register(&self) -> RegisterId {
        self.register
    }
}

impl FromStr for Parameter {
    type Err = UnknownParameter;

    fn from_str(text: &str) -> Result<Self, UnknownParameter> {
        if let Some(register) = Register::by_key(text) {
            return Ok(Self { name: register.key.to_owned(), register: register.id });
        }
        let register = text.parse().map_err(|_| UnknownParameter)?;
        Ok(Self { name: text.to_ascii_lowercase(), register })
    }
}

/// The text is neither the name of a value nor a register number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither the name of a value nor a register number")]
pub struct UnknownParameter;

/// The name of one of several meters in topics and unique ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterName(String);

/// The text is not a valid name of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not 1 to 32 letters, digits, `_` and `-`, or the name of a reserved topic")]
pub struct InvalidMeterName;

impl FromStr for MeterName {
    type Err = InvalidMeterName;

    fn from_str(text: &str) -> Result<Self, InvalidMeterName> {
        let name = identifier(text).filter(|name| name.len() <= 32).ok_or(InvalidMeterName)?;
        let taken = is_reserved(&name) || name.parse::<Parameter>().is_ok();
        if taken { Err(InvalidMeterName) } else { Ok(Self(name)) }
    }
}

impl MeterName {
    /// The name, exactly as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MeterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The topics directly below the configured one that are neither values nor meters.
pub(crate) const RESERVED: [&str; 12] = [
    "status",
    "version",
    "started",
    "command",
    "reading",
    "history",
    "connection",
    "last_read",
    "read_duration",
    "failed_reads",
    "info",
    "problem",
];

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// The text without spaces at its ends, if a unique id and a discovery topic may contain it.
pub(crate) fn identifier(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use kmp::register::REGISTERS;

    use super::*;

    #[test]
    fn no_value_has_the_name_of_a_reserved_topic() {
        for register in REGISTERS {
            assert!(!is_reserved(register.key), "{}", register.key);
        }
    }

    #[test]
    fn valid_and_invalid_names_of_meters() {
        for name in ["house", "Garage", "heating-2", "west_wing", "2nd"] {
            assert_eq!(name.parse::<MeterName>().unwrap().to_string(), name);
        }
        let long = "x".repeat(33);
        for name in ["", "a b", "a/b", "a+b", "Küche", "status", "Energy", "0x003C", "60", &long] {
            assert_eq!(name.parse::<MeterName>(), Err(InvalidMeterName), "{name}");
        }
    }
}
