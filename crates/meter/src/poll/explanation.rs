//! Why a poll failed, in words, and what to do about it.

use std::time::Duration;

use kmp::model::Model;

use super::outcome::PollError;
use crate::RunsAs;
use crate::client::NoAnswer;

/// What went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub words: String,
    /// What to do about it.
    pub hint: String,
}

/// What advice depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct HintContext<'a> {
    pub(super) port: &'a str,
    pub(super) interval: Duration,
    /// The models that the meter may be.
    pub(super) models: &'a [Model],
    pub(super) runs_as: RunsAs,
}

impl PollError {
    pub(super) fn explain(&self, context: &HintContext<'_>) -> Explanation {
        let words = self.describe(context.port);
        Explanation { words, hint: self.hint(context) }
    }

    /// What happened.
    pub(super) fn describe(&self, port: &str) -> String {
        match self {
            Self::Port(error) => format!("The meter's port {port} cannot be opened: {error}"),
            Self::Broken(error) => format!("The connection over {port} broke: {error}"),
            Self::Meter(NoAnswer::Nothing) => format!("The meter is silent: no answer over {port}"),
            Self::Meter(no_answer) => format!("The meter cannot be read over {port}: {no_answer}"),
            Self::Unrecognized => format!(
                "The meter over {port} gives values, but not its serial number, so it may be another \
                 meter than before"
            ),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self, context: &HintContext<'_>) -> String {
        let hint = match self {
            Self::Port(error) => error.hint(context.runs_as),
            Self::Broken(_) => {
                "Check the plug of the optical head, or the power and network of the serial server."
            }
            Self::Meter(NoAnswer::Nothing) => {
                return format!(
                    "Check that the optical head sits in its place on the meter, the right way up \
                     and held by its magnet, and press a key on the meter{}{}",
                    sleep_hint(context),
                    server_hint(context.port)
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
        hint.to_owned()
    }
}

/// At such an interval a port that sleeps after 30 minutes may be asleep at each poll.
const LONG_INTERVAL: Duration = Duration::from_secs(25 * 60);

/// What else to check where a serial server is between the program and the head.
fn server_hint(port: &str) -> &'static str {
    if port.starts_with("socket://") {
        " If it stays silent, check that this is the serial server's port for the line, and not that of \
         a web page, and that it hands on bytes as they are (raw TCP), at 1200 baud, 8 data bits, no \
         parity and 2 stop bits."
    } else {
        ""
    }
}

/// How the meter's optical port sleeps. It follows "press a key on the meter". Where the meter may
/// be one of several models, it says only what is true of all of them.
fn sleep_hint(context: &HintContext<'_>) -> &'static str {
    let mut each = context.models.iter().map(|model| sleep_hint_of(Some(*model), context.interval));
    match each.next() {
        Some(first) if each.all(|other| other == first) => first,
        _ => sleep_hint_of(None, context.interval),
    }
}

fn sleep_hint_of(model: Option<Model>, interval: Duration) -> &'static str {
    match model {
        // matthijsvisser/kamstrup-402-mqtt issue 3, ronaldvdmeer/multical402-4-domoticz README.
        Some(Model::Multical402) if interval >= LONG_INTERVAL => {
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
