//! The results of a search in words.

use std::fmt;

use kmp::message::SerialNumber;

use super::candidate::Reason;
use super::search::Found;

/// Follows "left out: ".
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another program is using it"),
            Self::Configured { meter } => {
                write!(f, "kamstrup2mqtt reads the meter `{meter}` there")
            }
            Self::KnownAs(kind) => write!(f, "it is {kind}"),
        }
    }
}

/// `Multical 403 (most likely), serial number 12345678`
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter { model, serial_number } => {
                write!(f, "{model}, serial number {serial_number}")
            }
            Self::OtherBaudRate { baud, serial_number } => {
                write!(f, "a meter at {baud} baud instead of 1200, serial number {serial_number}")
            }
            Self::OlderLanguage => f.write_str("a text of numbers, as older meters send it"),
            Self::Noise => f.write_str("bytes, but no valid answer"),
            Self::EchoOnly => f.write_str("no answer, only the echo of the request"),
            Self::Silence => f.write_str("no answer"),
            Self::CannotOpen(error) => write!(f, "cannot be opened: {error}"),
            Self::Broken(reason) => write!(f, "failed while it was asked: {reason}"),
        }
    }
}

impl Found {
    /// Whether a meter was found that kamstrup2mqtt can read.
    #[must_use]
    pub fn is_meter(&self) -> bool {
        matches!(self, Self::Meter { .. } | Self::OtherBaudRate { .. })
    }

    /// Whether a meter answered, also one that kamstrup2mqtt cannot read.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.is_meter() || matches!(self, Self::OlderLanguage)
    }

    /// A name for programs.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Meter { .. } => "meter",
            Self::OtherBaudRate { .. } => "other_baud_rate",
            Self::OlderLanguage => "older_language",
            Self::Noise => "noise",
            Self::EchoOnly => "echo_only",
            Self::Silence => "silence",
            Self::CannotOpen(_) => "cannot_open",
            Self::Broken(_) => "broken",
        }
    }

    /// The serial number of the meter, if one answered.
    #[must_use]
    pub fn serial_number(&self) -> Option<SerialNumber> {
        match self {
            Self::Meter { serial_number, .. } | Self::OtherBaudRate { serial_number, .. } => {
                Some(*serial_number)
            }
            _ => None,
        }
    }

    /// What the user can do if this is the port of the optical head; `None` if a meter answered, or
    /// the port could not be used.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OlderLanguage => Some(
                "Meters like MULTICAL 66C and 401 answer in an older language. kamstrup2mqtt cannot \
                 read them.",
            ),
            Self::Noise => Some(
                "Place the head exactly on the meter's optical eye. Light in the room and devices \
                 other than a head also cause such bytes.",
            ),
            Self::EchoOnly => Some(
                "Something sends the request back, as many optical heads do. Place the head exactly \
                 on the meter's optical eye, and press a key on the meter.",
            ),
            Self::Silence => Some(
                "Place the head exactly on the meter's optical eye, and press a key on the meter. \
                 Many meters switch their optical eye off when it is not in use.",
            ),
            Self::Meter { .. }
            | Self::OtherBaudRate { .. }
            | Self::CannotOpen(_)
            | Self::Broken(_) => None,
        }
    }
}
