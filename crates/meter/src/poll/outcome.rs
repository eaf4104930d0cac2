//! What came of a poll, and why it failed.

use std::fmt;
use std::io;
use std::time::Duration;

use kmp::model::Model;
use kmp::register::RegisterId;

use crate::RunsAs;
use crate::client::NoAnswer;
use crate::condition::Condition;
use crate::consistency::Relation;
use crate::identity::{Exchange, News};
use crate::plausibility::Doubt;
use crate::reading::{Missing, Reading};
use crate::transport::OpenError;

/// A poll's outcome, with what went wrong.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) readings: Vec<Reading>,
    pub(super) missing: Vec<(RegisterId, Missing)>,
    /// Readings that must be read again before they count.
    pub(super) doubtful: Vec<(Reading, Doubt)>,
    /// Doubts that turned out to be true.
    pub(super) changes: Vec<(RegisterId, Doubt)>,
    /// What the meter says is wrong with it, where it was asked.
    pub(super) condition: Option<Condition>,
    /// What was found out about the meter.
    pub(super) news: Option<News>,
    /// That another meter is there.
    pub(super) exchange: Option<Exchange>,
    /// What the meter means though it contradicts itself.
    pub(super) contradictions: Vec<Relation>,
    /// Whether something in this poll may have come from another meter.
    pub(super) suspect: bool,
    /// What had been read when the meter fell silent.
    pub(super) before_silence: Option<Vec<RegisterId>>,
    /// Whether it is still to be found out whose the readings are.
    pub(super) is_open: bool,
    pub(super) trouble: Option<PollError>,
}

impl Polled {
    /// Whether the connection ended in the middle.
    pub(super) fn is_broken_off(&self) -> bool {
        matches!(self.trouble, Some(PollError::Broken(_)))
    }
}

/// Why registers were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PollError {
    Port(OpenError),
    Broken(String),
    Meter(NoAnswer),
    /// It answers, but did not tell which meter it is, when it may be another one.
    Unrecognized,
}

/// A serial server that ends the connection at once could as well not be opened.
impl From<io::Error> for PollError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(unwanted) => Self::Port(OpenError::clone(unwanted)),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// What advice goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct HintContext<'a> {
    pub(super) port: &'a str,
    /// From poll to poll.
    pub(super) interval: Duration,
    /// What the meter may be.
    pub(super) models: &'a [Model],
    pub(super) runs_as: RunsAs,
}

/// What went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What happened.
    pub words: String,
    /// What to do about it.
    pub hint: String,
}

impl PollError {
    pub(super) fn complaint(&self, about: &HintContext<'_>) -> Complaint {
        Complaint { words: self.words(about.port).to_string(), hint: self.hint(about) }
    }

    /// Whether the meter cannot be asked for anything any more.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Port(_)
            | Self::Broken(_)
            | Self::Meter(NoAnswer::Nothing | NoAnswer::OwnEcho) => true,
            Self::Meter(_) | Self::Unrecognized => false,
        }
    }

    /// Whether it calls for the same line in the log. What is heard of a meter whose head is off
    /// changes with the light in the room.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            // What a serial server says may have the time in it.
            (Self::Port(OpenError::Unwanted { .. }), Self::Port(OpenError::Unwanted { .. }))
            | (Self::Broken(_), Self::Broken(_))
            | (Self::Meter(_), Self::Meter(_))
            | (Self::Unrecognized, Self::Unrecognized) => true,
            (Self::Port(this), Self::Port(other)) => this == other,

            _ => false,
        }
    }

    pub(super) fn words(&self, port: &str) -> impl fmt::Display {
        match self {
            Self::Port(error) => format!("The meter's port {port} cannot be opened: {error}"),
            Self::Broken(error) => format!("The connection over {port} broke: {error}"),
            Self::Meter(NoAnswer::Nothing) => format!("The meter is silent: no answer over {port}"),
            Self::Meter(heard) => format!("The meter cannot be read over {port}: {heard}"),
            Self::Unrecognized => format!(
                "The meter over {port} gives values, but not its serial number, so it may be another \
                 meter than before"
            ),
        }
    }

    pub(super) fn hint(&self, about: &HintContext<'_>) -> String {
        let words = match self {
            Self::Port(error) => error.hint(about.runs_as),
            Self::Broken(_) => {
                "Check the plug of the optical head, or the power and network of the serial server."
            }
            Self::Meter(NoAnswer::Nothing) => {
                return format!(
                    "Check that the optical head sits in its place on the meter, the right way up \
                     and held by its magnet, and press a key on the meter{}{}",
                    sleep_words(about),
                    server_words(about.port)
                );
            }
            Self::Unrecognized => {
                "Its values are published again once it has given its serial number. If this lasts, \
                 move or turn the optical head a little."
            }
            Self::Meter(NoAnswer::OwnEcho) => {
                "The head works, since it sends back what it gets, but the meter does not answer: \
                 move or turn the head a little, and press a key on the meter."
            }
            Self::Meter(
                NoAnswer::Noise | NoAnswer::Damaged | NoAnswer::Foreign | NoAnswer::OtherOrder,
            ) => {
                "Move or turn the optical head a little and keep bright light off it; if it is on \
                 a serial server, check that this is set to 1200 baud, 8 data bits, no parity and \
                 2 stop bits."
            }
        };
        words.to_owned()
    }
}

/// With such an interval a port that sleeps after 30 minutes may be asleep at each poll.
const SELDOM: Duration = Duration::from_secs(25 * 60);

/// What may be wrong between here and the head.
fn server_words(port: &str) -> &'static str {
    if port.starts_with("socket://") {
        " If it stays silent, check that this is the serial server's port for the line, and not that of \
         a web page, and that it hands on bytes as they are (raw TCP), at 1200 baud, 8 data bits, no \
         parity and 2 stop bits."
    } else {
        ""
    }
}

/// How the meter's optical port sleeps; goes on after "press a key on the meter". Where it may be
/// one of several models, only what is true of all.
fn sleep_words(about: &HintContext<'_>) -> &'static str {
    let mut each = about.models.iter().map(|model| sleep_words_of(Some(*model), about.interval));
    match each.next() {
        Some(first) if each.all(|other| other == first) => first,
        _ => sleep_words_of(None, about.interval),
    }
}

fn sleep_words_of(model: Option<Model>, interval: Duration) -> &'static str {
    match model {
        // matthijsvisser/kamstrup-402-mqtt issue 3, ronaldvdmeer/multical402-4-domoticz README.
        Some(Model::Multical402) if interval >= SELDOM => {
            ": a 402 switches its optical port off about 30 minutes after it was last used, so poll \
             it more often than that."
        }
        // TD 403 p.130, TD 603 p.147, TD 803 p.164.
        Some(Model::Multical303 | Model::Multical403 | Model::Multical603 | Model::Multical803) => {
            ": this meter switches its optical port off where no magnet is near, so the head must \
             have one and sit right on the mark."
        }
        // pfugl/Kamstrup-602 README, cfeenstra1024/kamstrup-multical-hardware issue 7.
        Some(Model::Multical602) => {
            ": a 602 switches its optical port off after some minutes unless the magnet sits right; \
             turn the head upside down if it does not help, since the magnet's poles count."
        }
        // TD 21, German edition 5512-898_N1 p.50.
        Some(Model::Multical21) => {
            ", or take the head off and put it on again: this meter opens its optical port some \
             seconds after a magnet came, and the magnet's poles count."
        }
        Some(Model::Multical302 | Model::Multical402 | Model::Multical601 | Model::Multical801)
        | None => ": many switch the optical port off when nobody uses it.",
    }
}
