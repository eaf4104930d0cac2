//! Interprets the Supervisor's answers.

use serde::Deserialize;
use serde_json::Value;

use super::error::SupervisorError;
use crate::config::Secret;
use crate::config::addon_options::Supplied;
use crate::http::Answer;
use meter::shown::is_harmless;

/// The common structure of all JSON answers.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<Value>,
}

/// The broker in an answer. Only the message of an error is ever quoted, nothing else of a body.
pub(super) fn supplied(answer: &Answer) -> Result<Supplied, SupervisorError> {
    let Answer { status, is_json, body } = answer;
    let envelope = serde_json::from_slice::<Envelope>(body).ok().filter(|_| *is_json);
    let message = envelope.as_ref().and_then(|envelope| envelope.message.as_deref());
    match (status, message.unwrap_or_default()) {
        (200, _) => {
            let data = envelope.filter(|it| it.result.as_deref() == Some("ok"));
            broker(data.and_then(|it| it.data).as_ref())
        }
        (400, "Service not enabled") => Err(SupervisorError::NoBroker),
        (400, text) if text.starts_with("System is not ready") => Err(SupervisorError::Starting),
        (403, text) if text.starts_with("No access to") => Err(SupervisorError::NotGranted),
        (401 | 403, "") => Err(SupervisorError::UnknownToken),
        (404, _) => Err(SupervisorError::NoService),
        (status, "") => Err(SupervisorError::Invalid(format!("HTTP status {status}"))),
        (_, text) => Err(SupervisorError::Refused(printable(text))),
    }
}

fn envelope(answer: &Answer) -> Option<Envelope> {
    serde_json::from_slice(&answer.body).ok().filter(|_| answer.is_json)
}

/// Whether the Supervisor did what it was asked for.
pub(super) fn is_ok(answer: &Answer) -> bool {
    answer.status == 200
        && envelope(answer).is_some_and(|answer| answer.result.as_deref() == Some("ok"))
}

/// The message of an error.
pub(super) fn message(answer: &Answer) -> Option<String> {
    let message = envelope(answer)?.message.map(|text| printable(&text));
    message.filter(|message| !message.is_empty())
}

/// Whether a message says that the Supervisor is starting or stopping.
pub(super) fn is_starting(message: &str) -> bool {
    message.starts_with("System is not ready")
}

/// The data of an answer.
pub(super) fn data(answer: &Answer) -> Result<Value, SupervisorError> {
    if !is_ok(answer) {
        return Err(refusal(answer));
    }
    let data = envelope(answer).and_then(|answer| answer.data);
    data.ok_or_else(|| SupervisorError::Invalid("it contains no data".to_owned()))
}

/// Why the Supervisor refused a request about the app itself.
pub(super) fn refusal(answer: &Answer) -> SupervisorError {
    match (answer.status, message(answer)) {
        (_, Some(message)) if is_starting(&message) => SupervisorError::Starting,
        (401 | 403, None) => SupervisorError::UnknownToken,
        (_, Some(message)) => SupervisorError::Refused(message),
        (status, None) => SupervisorError::Invalid(format!("HTTP status {status}")),
    }
}

/// The beginning of a foreign text, without control characters.
fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().filter(|c| is_harmless(*c)).take(LONGEST).collect()
}

/// The broker in the data of an answer.
fn broker(data: Option<&Value>) -> Result<Supplied, SupervisorError> {
    let invalid = |reason: &str| SupervisorError::Invalid(reason.to_owned());
    let data = data.ok_or_else(|| invalid("it contains no broker"))?;
    // Older documentation shows the port as a string.
    let text = |name: &str| match data.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let filled = |name: &str| text(name).filter(|text| !text.is_empty());
    let tls = match data.get("ssl") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(tls)) => *tls,
        // Without TLS, the password would be readable on the network.
        Some(_) => return Err(invalid("its `ssl` is neither true nor false")),
    };
    Ok(Supplied {
        host: text("host").ok_or_else(|| invalid("it contains no `host`"))?,
        port: text("port").ok_or_else(|| invalid("it contains no `port`"))?,
        tls,
        username: filled("username"),
        password: filled("password").map(Secret::new),
    })
}

/// The address of the app's page, from its full name in an answer.
pub(super) fn page(answer: &Answer) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(&answer.body).ok()?;
    let data = envelope.data.filter(|_| answer.status == 200 && answer.is_json)?;
    let slug = data.get("slug")?.as_str()?;
    let is_slug = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let fits = (1..=100).contains(&slug.len()) && slug.bytes().all(is_slug);
    fits.then(|| format!("homeassistant://app/{slug}"))
}
