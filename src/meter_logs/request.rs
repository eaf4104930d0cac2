//! A request for a log: the JSON of a message.

use jiff::civil::Date;
use kmp::logger::Log;
use serde_json::{Map, Value};
use thiserror::Error;

/// The longest request, in bytes. Nothing that is accepted is longer.
const LONGEST: usize = 256;

/// How many characters of what was found are quoted.
const QUOTED: usize = 60;

/// A request for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogRequest {
    pub(crate) log: Log,
    /// The date of the oldest entry.
    pub(crate) from: Option<Date>,
    /// Whether to ask a meter that did not answer such a request before.
    pub(crate) again: bool,
}

/// Why a message is no request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoRequest {
    #[error("found {0} bytes, accepted: {most} at most", most = LONGEST)]
    TooLong(usize),
    #[error("found `{0}`, accepted: JSON like `{{\"log\": \"day\", \"from\": \"2026-01-01\"}}`")]
    NoObject(String),
    #[error("found the key `{0}`, accepted: `log`, `from` and `again`")]
    UnknownKey(String),
    #[error("`log` is missing, accepted: `hour`, `day`, `month` or `year`")]
    NoLog,
    #[error("`log`: found `{0}`, accepted: `hour`, `day`, `month` or `year`")]
    OtherLog(String),
    #[error("`from`: found `{0}`, accepted: a date like `2026-01-01`")]
    NoDate(String),
    #[error("`again`: found `{0}`, accepted: `true` or `false`")]
    NoSwitch(String),
}

impl LogRequest {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, NoRequest> {
        if payload.len() > LONGEST {
            return Err(NoRequest::TooLong(payload.len()));
        }
        let object: Map<String, Value> = serde_json::from_slice(payload)
            .map_err(|_| NoRequest::NoObject(quoted(&String::from_utf8_lossy(payload))))?;
        let (mut log, mut from, mut again) = (None, None, false);
        for (key, value) in &object {
            let text = value.as_str();
            let found = || quoted(&text.map_or_else(|| value.to_string(), str::to_owned));
            match key.as_str() {
                "log" => {
                    log = Some(match text {
                        Some("hour") => Log::Hour,
                        Some("day") => Log::Day,
                        Some("month") => Log::Month,
                        Some("year") => Log::Year,
                        _ => return Err(NoRequest::OtherLog(found())),
                    });
                }
                "from" => {
                    let date = text.and_then(|text| text.parse().ok());
                    from = Some(date.ok_or_else(|| NoRequest::NoDate(found()))?);
                }
                "again" => again = value.as_bool().ok_or_else(|| NoRequest::NoSwitch(found()))?,
                _ => return Err(NoRequest::UnknownKey(quoted(key))),
            }
        }
        Ok(Self { log: log.ok_or(NoRequest::NoLog)?, from, again })
    }
}

/// Anybody may have sent it.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognized() {
        for (payload, log, from, again) in [
            (r#"{"log":"month"}"#, Log::Month, None, false),
            (r#" {"log": "hour", "again": true} "#, Log::Hour, None, true),
            (r#"{"from":"2026-01-31","log":"day"}"#, Log::Day, Some("2026-01-31"), false),
            (r#"{"log":"year","again":false}"#, Log::Year, None, false),
        ] {
            let from = from.map(|date| date.parse().unwrap());
            let request = LogRequest { log, from, again };
            assert_eq!(LogRequest::parse(payload.as_bytes()), Ok(request), "{payload}");
        }
    }

    /// Each error names what was found and what is accepted.
    #[test]
    fn whatever_is_no_request_is_explained() {
        let long = format!(r#"{{"log":"{}"}}"#, "x".repeat(200));
        let cases: [(&[u8], &str); 13] = [
            (b"", "found ``"),
            (b"day", "found `day`"),
            (b"[1]", "found `[1]`"),
            (b"{\"log\":\"day\"", "found `{\"log\":\"day\"`"),
            (b"\xff\x00", "found `\u{fffd}\u{fffd}`"),
            (b"{}", "`log` is missing"),
            (br#"{"log":"week"}"#, "`log`: found `week`"),
            (br#"{"log":null}"#, "`log`: found `null`"),
            (br#"{"log":"day","from":"2026-13-01"}"#, "`from`: found `2026-13-01`"),
            (br#"{"log":"day","from":20260101}"#, "`from`: found `20260101`"),
            (br#"{"log":"day","again":1}"#, "`again`: found `1`"),
            (br#"{"log":"day","form":"2026-01-01"}"#, "found the key `form`"),
            (long.as_bytes(), "`log`: found `xxx"),
        ];
        for (payload, words) in cases {
            let error = LogRequest::parse(payload).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(", accepted: "), "{error}");
            assert!(error.len() < 200, "{error}");
        }
        let error = LogRequest::parse(&[b' '; 300]).unwrap_err();
        assert_eq!(error, NoRequest::TooLong(300));
    }
}
