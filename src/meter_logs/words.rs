//! Why a log was not read, or not as a whole.

use kmp::message::SerialNumber;

use meter::RunsAs;
use meter::identity::Identity;
use meter::logger::LogEnd;
use meter::poll::Explanation;

fn explanation(words: String, hint: String) -> Explanation {
    Explanation { words, hint }
}

/// The meter is not asked, because of its model.
#[must_use]
pub(crate) fn no_way(identity: &Identity, runs_as: RunsAs) -> Explanation {
    let option = match runs_as {
        RunsAs::Program => "set `version` to it",
        RunsAs::AddOn => "choose it under \"Meter\"",
    };
    explanation(
        format!("No public way to read the log of a {} is known.", identity.model_name()),
        format!("If the number on the front of the meter is another one, {option}."),
    )
}

/// The meter is not asked, because it did not answer before. `again` is what makes the program ask.
#[must_use]
pub(crate) fn refused_before(serial: SerialNumber, again: &str) -> Explanation {
    explanation(
        format!(
            "This meter (serial number {serial}) does not give its log: it did not answer when it \
             was asked before."
        ),
        format!("Add `{again}` to ask it once more."),
    )
}

/// Why a reading ended early; `None` if all was read.
#[must_use]
pub(crate) fn ended(end: &LogEnd, identity: &Identity, again: &str) -> Option<Explanation> {
    Some(match end {
        LogEnd::NotGiven => explanation(
            format!(
                "The {} does not give its log: it answers other requests, but not this one.",
                identity.model_name()
            ),
            format!("It is not asked again unless you add `{again}`."),
        ),
        LogEnd::Silent => explanation(
            format!(
                "The {} did not answer the requests for its log, although it answered others.",
                identity.model_name()
            ),
            "Ask again. If it fails each time, the line may lose long answers: hold the head steady, \
             or clean the front of the meter."
                .to_owned(),
        ),
        LogEnd::UnknownForm => explanation(
            format!(
                "The {} answers requests for its log in a form that kamstrup2mqtt does not know.",
                identity.model_name()
            ),
            "Please report this, with what the log shows at the level DEBUG meanwhile.".to_owned(),
        ),
        LogEnd::OtherMeter(serial) => explanation(
            format!("Another meter answers now, with serial number {serial}."),
            "Put the head back, then ask again.".to_owned(),
        ),
        LogEnd::Fault { id: Some(id), fault } => explanation(
            format!("Entry {id} and the older ones were left out: {fault}."),
            String::new(),
        ),
        LogEnd::Fault { id: None, fault } => {
            explanation(format!("The log cannot be read: {fault}."), String::new())
        }
        LogEnd::Complete | LogEnd::Reached | LogEnd::Empty => return None,
    })
}
