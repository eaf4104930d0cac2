//! Changes the app's own options.
//!
//! The Supervisor has two forms of the options. `/addons/self/info` has them as they were saved: a
//! value may be `!secret name`. `/addons/self/options/config` has them as the app gets them, with
//! the secrets. Only the first form is changed and saved, so that no secret is written into the
//! options. The second form is what the program reads after a change. A restart would also make
//! Home Assistant write it to the options file, but a restart can fail: the Supervisor refuses to
//! start an app whose serial device is not plugged in.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::answer;
use super::error::SupervisorError;
use super::{PATIENCE, Supervisor, failed};
use crate::config::addon_options::{HEAD, METERS, PARAMETERS};
use crate::http;
use crate::options_change::OptionsChange;
use meter::poll::Explanation;

/// The options that name the port: one from a list of devices, one that is typed in.
const CHOSEN_PORT: &str = "serial_port";
const WRITTEN_PORT: &str = "port";
/// The key of an ESPHome node. Only a port of such a node may have one.
const KEY: &str = "key";

/// Why the options were not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotChanged {
    /// The Supervisor does not answer.
    #[error("{0}")]
    Supervisor(SupervisorError),
    /// The Supervisor refused a request with these words.
    #[error("Home Assistant does not let the app change its options: {0}")]
    Refused(String),
    /// An answer of the Supervisor is invalid for this reason.
    #[error("Home Assistant's answer about the app's options is invalid: {0}")]
    Invalid(String),
    /// The Supervisor rejected the options with these words.
    #[error("Home Assistant rejected the options: {0}")]
    Rejected(String),
    /// The list of meters has several, so it is not known which one the port is for.
    #[error("The option \"Several meters\" has more than one meter")]
    SeveralMeters,
    /// The list of meters has no such meter.
    #[error("The option \"Several meters\" has no meter `{0}`")]
    NoSuchMeter(String),
    /// The Supervisor did not answer the request to save the options.
    #[error("Home Assistant did not confirm the change of the options: {0}")]
    Unconfirmed(SupervisorError),
    /// The options were saved, but cannot be read back.
    #[error("The options were saved, but Home Assistant did not return them")]
    NotReturned,
}

/// Some texts of [`SupervisorError`] are about the broker, so those errors have variants of their own.
impl From<SupervisorError> for NotChanged {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::Refused(message) => Self::Refused(message),
            SupervisorError::Invalid(reason) => Self::Invalid(reason),
            error => Self::Supervisor(error),
        }
    }
}

impl NotChanged {
    /// What happened, and what to do about it.
    pub(crate) fn explanation(&self) -> Explanation {
        let hint = match self {
            Self::Supervisor(_) | Self::Refused(_) | Self::Invalid(_) => {
                "The options are as before. Try again in a minute."
            }
            Self::Rejected(_) => {
                "The options are as before. Fix them on the tab \"Configuration\" of the app in \
                 Home Assistant."
            }
            Self::SeveralMeters => {
                "Enter the port in the entry of its meter, on the tab \"Configuration\" of the app \
                 in Home Assistant."
            }
            Self::NoSuchMeter(_) => {
                "Its entry was removed or renamed since the app was started. Restart the app."
            }
            Self::Unconfirmed(_) => {
                "They may have been saved. Check them on the tab \"Configuration\" of the app in \
                 Home Assistant. If they are right, restart the app."
            }
            Self::NotReturned => "Restart the app, so that it uses them.",
        };
        Explanation { words: self.to_string(), hint: hint.to_owned() }
    }
}

impl Supervisor {
    /// Changes the options, and returns them as the app gets them, in JSON.
    pub(crate) async fn change_options(
        &self,
        change: &OptionsChange,
    ) -> Result<Vec<u8>, NotChanged> {
        let saved = self.options_at("/addons/self/info", Some("options")).await?;
        let options = applied(saved, change)?;
        let body = json!({ "options": options }).to_string();
        let mut url = self.server.0.clone();
        url.set_path("/addons/self/options");
        let answer = http::post_json(url, Some(&self.token), body, PATIENCE).await;
        let answer = answer.map_err(|error| NotChanged::Unconfirmed(failed(error)))?;
        match answer::message(&answer) {
            _ if answer::is_ok(&answer) => {}
            Some(message) if answer.status == 400 && !answer::is_starting(&message) => {
                return Err(NotChanged::Rejected(message));
            }
            _ => return Err(answer::refusal(&answer).into()),
        }
        let effective = self.options_at("/addons/self/options/config", None).await;
        let effective = effective.map_err(|_| NotChanged::NotReturned)?;
        Ok(Value::Object(effective).to_string().into_bytes())
    }

    /// The options in an answer: its data, or this part of it.
    async fn options_at(
        &self,
        path: &str,
        part: Option<&str>,
    ) -> Result<Map<String, Value>, NotChanged> {
        let answer = self.get_info(path).await.map_err(failed)?;
        let data = answer::data(&answer)?;
        let options = match part {
            Some(part) => data.get(part).cloned(),
            None => Some(data),
        };
        match options {
            Some(Value::Object(options)) => Ok(options),
            _ => Err(NotChanged::Invalid("it contains no options".to_owned())),
        }
    }
}

/// The options with a change. Everything else stays as it is.
fn applied(
    mut options: Map<String, Value>,
    change: &OptionsChange,
) -> Result<Map<String, Value>, NotChanged> {
    match change {
        OptionsChange::Port(port) => {
            set_port(place_of_port(&mut options)?, port);
            // The port is that of the only meter, so no other port needs this key.
            if let Some(head) = options.get_mut(HEAD).and_then(Value::as_object_mut) {
                head.remove(KEY);
            }
        }
        OptionsChange::Values { meter: None, names } => {
            options.insert(PARAMETERS.to_owned(), json!(names));
        }
        OptionsChange::Values { meter: Some(name), names } => {
            let meter = meters(&mut options).find(|meter| {
                let found = meter.get("name").map(text);
                found.is_some_and(|found| found.trim().eq_ignore_ascii_case(name))
            });
            let meter = meter.ok_or_else(|| NotChanged::NoSuchMeter(name.clone()))?;
            meter.insert(PARAMETERS.to_owned(), names.join(", ").into());
        }
    }
    Ok(options)
}

/// The entries of the list of meters.
fn meters(options: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let meters = options.get_mut(METERS).and_then(Value::as_array_mut);
    meters.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The group of options that has the port, or that is to have it.
fn place_of_port(options: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, NotChanged> {
    match meters(options).count() {
        0 => {}
        1 => return meters(options).next().ok_or(NotChanged::SeveralMeters),
        _ => return Err(NotChanged::SeveralMeters),
    }
    let is_in_head = options.get(HEAD).and_then(Value::as_object).is_some_and(has_port);
    // An earlier form had no group for the port.
    if !is_in_head && has_port(options) {
        return Ok(options);
    }
    let head = options.entry(HEAD).or_insert_with(|| json!({}));
    if !head.is_object() {
        *head = json!({});
    }
    head.as_object_mut().ok_or(NotChanged::SeveralMeters)
}

fn has_port(options: &Map<String, Value>) -> bool {
    [CHOSEN_PORT, WRITTEN_PORT].into_iter().any(|option| {
        let value = options.get(option).map(text);
        value.is_some_and(|value| !value.trim().is_empty())
    })
}

/// The port is typed in: with a device from the list, the app would not start while the head is
/// unplugged. It is a device of this machine, so it has no key.
fn set_port(place: &mut Map<String, Value>, port: &str) {
    place.remove(CHOSEN_PORT);
    place.remove(KEY);
    place.insert(WRITTEN_PORT.to_owned(), port.into());
}

/// The Supervisor turns numbers into texts.
fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(options: &Value, change: &OptionsChange) -> Result<Value, NotChanged> {
        applied(options.as_object().unwrap().clone(), change).map(Value::Object)
    }

    fn port() -> OptionsChange {
        OptionsChange::Port("/dev/serial/by-id/new".to_owned())
    }

    fn values(meter: Option<&str>) -> OptionsChange {
        let names = ["energy", "4000"].map(str::to_owned).to_vec();
        OptionsChange::Values { meter: meter.map(str::to_owned), names }
    }

    #[test]
    fn only_the_port_is_changed_where_it_is() {
        let new = "/dev/serial/by-id/new";
        for (before, expected) in [
            // A fresh form.
            (json!({"head": {}, "mqtt": {}}), json!({"head": {"port": new}, "mqtt": {}})),
            (json!({"head": {"serial_port": "/dev/a"}}), json!({"head": {"port": new}})),
            (json!({"head": {"port": "/dev/a"}}), json!({"head": {"port": new}})),
            // A key is only for a node: with another port, the options would be invalid.
            (
                json!({"head": {"port": "esphome://node", "key": "secret"}}),
                json!({"head": {"port": new}}),
            ),
            (
                json!({"head": {"key": "secret"}, "meters": [{"port": "esphome://a", "key": "x"}]}),
                json!({"head": {}, "meters": [{"port": new}]}),
            ),
            // Earlier forms.
            (json!({"meter": "403"}), json!({"meter": "403", "head": {"port": new}})),
            (json!({"port": "", "head": {}}), json!({"port": "", "head": {"port": new}})),
            (json!({"serial_port": "/dev/a", "head": {}}), json!({"port": new, "head": {}})),
            (json!({"port": "/dev/a"}), json!({"port": new})),
            // The group overrides what is outside it.
            (
                json!({"port": "/dev/a", "head": {"port": "/dev/b"}}),
                json!({"port": "/dev/a", "head": {"port": new}}),
            ),
            (
                json!({"meters": [{"name": "a", "serial_port": "/dev/a", "units": "meter"}]}),
                json!({"meters": [{"name": "a", "port": new, "units": "meter"}]}),
            ),
        ] {
            assert_eq!(after(&before, &port()), Ok(expected), "{before}");
        }
        let several = json!({"meters": [{"name": "a"}, {"name": "b"}]});
        assert_eq!(after(&several, &port()), Err(NotChanged::SeveralMeters));
    }

    #[test]
    fn only_the_values_of_the_meter_are_changed() {
        let before = json!({
            "parameters": ["power"], "mqtt": {"password": "!secret mqtt"},
            "meters": [{"name": "a", "port": "x"}, {"name": "B", "parameters": "power"}]});
        let mut expected = before.clone();
        expected["parameters"] = json!(["energy", "4000"]);
        assert_eq!(after(&before, &values(None)), Ok(expected));
        let mut expected = before.clone();
        expected["meters"][1]["parameters"] = json!("energy, 4000");
        assert_eq!(after(&before, &values(Some("b"))), Ok(expected));
        let gone = NotChanged::NoSuchMeter("c".to_owned());
        assert_eq!(after(&before, &values(Some("c"))), Err(gone));
    }
}
