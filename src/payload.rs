//! The payloads of topics.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kmp::info::Meaning;
use kmp::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::account::Entry;
use crate::config::{Meter, Publishing, Qos};
use crate::topic::{About, Diagnostic, MeterTopics, Topics};
use crate::units::{self, Measure, Published};
use meter::condition::Condition;
use meter::poll::PollResult;

/// The program is connected.
pub(crate) const ONLINE: &str = "online";
/// The program is not connected.
pub(crate) const OFFLINE: &str = "offline";

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub topic: String,
    pub payload: String,
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

impl Message {
    /// Whether the program is connected; retained for later subscribers.
    #[must_use]
    pub(crate) fn status(topics: &Topics, payload: &str) -> Self {
        Self {
            topic: topics.status(),
            payload: payload.to_owned(),
            qos: Qos::AtLeastOnce,
            retain: true,
        }
    }
}

/// A parameter that has a value in this poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Valued {
    /// Its index in the meter's list of parameters.
    pub index: usize,
    pub published: Published,
    /// Whether it is a number, rather than a date or a text.
    pub is_number: bool,
}

impl Valued {
    /// What the value measures.
    #[must_use]
    pub(crate) fn measure(&self) -> Measure {
        self.published.measure
    }
}

/// The values of one poll, in the order of the meter's parameters. It omits values that were not
/// read or cannot be converted exactly.
#[must_use]
pub(crate) fn values(result: &PollResult, meter: &Meter) -> Vec<Valued> {
    let mut values = Vec::new();
    for (index, parameter) in meter.parameters.iter().enumerate() {
        let reading =
            result.readings.iter().find(|reading| reading.register == parameter.register());
        let Some(reading) = reading else {
            continue;
        };
        match units::publish(reading, meter.units) {
            Ok(published) => {
                let is_number = matches!(reading.value, Value::Number(_));
                values.push(Valued { index, published, is_number });
            }
            Err(error) => tracing::warn!("`{}` is not published: {error}.", parameter.name()),
        }
    }
    values
}

/// The messages of a poll: one for each value, and one with all of them.
#[must_use]
pub(crate) fn value_messages(
    values: &[Valued],
    result: &PollResult,
    time: &str,
    meter: &Meter,
    publishing: &Publishing,
    topics: &MeterTopics,
) -> Vec<Message> {
    let mut messages: Vec<Message> = values
        .iter()
        .filter_map(|value| {
            let parameter = meter.parameters.get(value.index)?;
            Some(state(topics.value(parameter), value.published.text.clone(), publishing))
        })
        .collect();
    messages.extend(
        reading(values, result, time, meter)
            .map(|payload| state(topics.reading(), payload, publishing)),
    );
    messages
}

fn state(topic: String, payload: String, publishing: &Publishing) -> Message {
    Message { topic, payload, qos: publishing.qos, retain: publishing.retain }
}

/// All values of a poll, for programs that want one message.
#[derive(Serialize)]
struct ReadingJson<'a> {
    time: &'a str,
    serial_number: Option<String>,
    values: BTreeMap<&'a str, ValueJson<'a>>,
}

#[derive(Serialize)]
struct ValueJson<'a> {
    value: Box<RawValue>,
    unit: Option<&'a str>,
}

fn reading(values: &[Valued], result: &PollResult, time: &str, meter: &Meter) -> Option<String> {
    let json = |value: &'_ Valued| -> Option<(_, _)> {
        let name = meter.parameters.get(value.index)?.name();
        let unit = value.published.measure.unit;
        // The number has the same digits as on its own topic.
        let value = exact(&value.published.text, value.is_number)?;
        Some((name, ValueJson { value, unit }))
    };
    if values.is_empty() {
        return None;
    }
    let values = values.iter().filter_map(json).collect();
    let serial_number = result.identity.serial.map(|serial| serial.to_string());
    serde_json::to_string(&ReadingJson { time, serial_number, values }).ok()
}

/// The names of the values in a message with a whole poll, in the order of the alphabet. `None` if
/// it is another message: nothing else has these keys, and no other.
#[must_use]
pub(crate) fn names_in_reading(payload: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reading {
        #[serde(rename = "time")]
        _time: String,
        #[serde(rename = "serial_number")]
        _serial_number: Option<String>,
        values: BTreeMap<String, Value>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Value {
        #[serde(rename = "value")]
        _value: Box<RawValue>,
        #[serde(rename = "unit")]
        _unit: Option<String>,
    }
    let Reading { values, .. } = serde_json::from_slice(payload).ok()?;
    Some(values.into_keys().collect())
}

/// A mean in the message with all means.
#[derive(Serialize)]
struct MeanJson {
    value: Box<RawValue>,
    unit: &'static str,
    since: String,
    until: String,
    /// Whether it covers its period from the start.
    complete: bool,
    source: &'static str,
    max_error: Box<RawValue>,
}

/// The messages of means: one for each, and one with all of them and what they cover.
#[must_use]
pub(crate) fn means(
    entries: &[Entry],
    zone: &TimeZone,
    publishing: &Publishing,
    topics: &MeterTopics,
) -> Vec<Message> {
    let local = |at: Timestamp| {
        at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    };
    let json = |entry: &Entry| {
        let Entry { key, value, error, since, until, source, is_whole } = entry;
        let json = MeanJson {
            value: exact(&value.to_string(), true)?,
            unit: key.what.unit(),
            since: local(*since),
            until: local(*until),
            complete: *is_whole,
            source: source.name(),
            max_error: exact(&error.round_dp(3).normalize().to_string(), true)?,
        };
        Some((key.name(), json))
    };
    let all: BTreeMap<&str, MeanJson> = entries.iter().filter_map(json).collect();
    let all = serde_json::to_string(&all).ok();
    let all = all.map(|payload| state(topics.means(), payload, publishing));
    let each = entries
        .iter()
        .map(|entry| state(topics.mean(entry.key.name()), entry.value.to_string(), publishing));
    // The attributes first, so that a state never has those of an earlier one.
    all.into_iter().chain(each).collect()
}

/// A number with all its digits, or a text, in JSON.
#[must_use]
pub(crate) fn exact(text: &str, is_number: bool) -> Option<Box<RawValue>> {
    if is_number {
        RawValue::from_string(text.to_owned()).ok()
    } else {
        serde_json::value::to_raw_value(text).ok()
    }
}

/// The diagnostics of a meter since the program started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReadingStatus {
    /// Polls that failed, in whole or in part.
    pub failed: u64,
    /// When the meter was last read, and how long this took.
    pub last: Option<(String, Duration)>,
    /// Whether the meter answered the last poll.
    pub answers: bool,
    /// The fault that the meter reported last.
    pub condition: Option<Condition>,
}

impl ReadingStatus {
    /// Counts a poll that ended at `time`.
    pub(crate) fn record(&mut self, result: &PollResult, time: &str) {
        self.answers = result.trouble.is_none() || !result.readings.is_empty();
        self.failed = self.failed.saturating_add(u64::from(result.trouble.is_some()));
        if !result.readings.is_empty() {
            self.last = Some((time.to_owned(), result.took));
        }
        if let Some(condition) = &result.condition {
            self.condition = Some(condition.clone());
        }
    }

    /// The messages with this status.
    #[must_use]
    pub(crate) fn messages(&self, publishing: &Publishing, topics: &MeterTopics) -> Vec<Message> {
        let on = |on| if on { ON } else { OFF }.to_owned();
        let mut facts = vec![
            (Diagnostic::Connection, on(self.answers)),
            (Diagnostic::FailedReads, self.failed.to_string()),
        ];
        if let Some((time, took)) = &self.last {
            let seconds = format!("{}.{}", took.as_secs(), took.subsec_millis() / 100);
            facts.push((Diagnostic::LastRead, time.clone()));
            facts.push((Diagnostic::ReadDuration, seconds));
        }
        // A silent meter may no longer have the fault that it reported.
        if let Some(condition) = self.condition.as_ref().filter(|_| self.answers) {
            facts.push((Diagnostic::Info, condition_words(condition)));
            facts.push((Diagnostic::Problem, on(condition.code != 0)));
        }
        let message = |(fact, payload)| state(topics.diagnostic(fact), payload, publishing);
        facts.into_iter().map(message).collect()
    }
}

/// Home Assistant's words for the two states of a binary sensor.
const ON: &str = "ON";
const OFF: &str = "OFF";

/// In characters; Home Assistant rejects a longer state.
const LONGEST_STATE: usize = 255;

/// The meaning of an info code, cut to the length that Home Assistant accepts.
pub(crate) fn condition_words(condition: &Condition) -> String {
    let words = match &condition.meanings {
        _ if condition.code == 0 => "No fault".to_owned(),
        None => format!("Info code {}", condition.code),
        Some(meanings) => meanings.iter().map(Meaning::to_string).collect::<Vec<_>>().join("; "),
    };
    if words.chars().count() <= LONGEST_STATE {
        return words;
    }
    let cut = words.chars().take(LONGEST_STATE.saturating_sub(1));
    cut.chain(['…']).collect()
}

/// The messages about the program: its version, and when it started.
#[must_use]
pub(crate) fn about(started: &str, publishing: &Publishing, topics: &Topics) -> Vec<Message> {
    let facts = [
        (About::Version, env!("CARGO_PKG_VERSION").to_owned()),
        (About::Started, started.to_owned()),
    ];
    facts.map(|(about, payload)| state(topics.about(about), payload, publishing)).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kmp::message::SerialNumber;
    use kmp::model::Model;
    use kmp::register::RegisterId;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;
    use rust_decimal::Decimal;

    use super::*;
    use crate::config::{self, Config};
    use meter::identity::Identity;
    use meter::poll::Explanation;
    use meter::reading::Reading;

    const TIME: &str = "2026-11-23T15:17:22+01:00";

    fn configured() -> (Meter, Publishing) {
        let yaml = "serial_device: { com_port: /dev/ttyUSB0 }\n\
                    kamstrup: { parameters: 'energy,temp1,maxflowdate_y,infocode' }\n";
        let loaded = config::check(Some((Path::new("x"), yaml)), &BTreeMap::new()).unwrap();
        let Config { publishing, mut meters, .. } = loaded.config;
        (meters.remove(0), publishing)
    }

    fn reading(register: u16, unit: Unit, value: i64, places: u32) -> Reading {
        let value = Decimal::new(value, places);
        let register = RegisterId::new(register);
        let value = RegisterValue::from_decimal(register, unit, value, 4).unwrap();
        Reading::try_from(&value).unwrap()
    }

    fn identity(model: Model) -> Identity {
        Identity { models: vec![model], ..Identity::default() }
    }

    fn result(readings: Vec<Reading>) -> PollResult {
        let condition = Condition::of(&readings, &identity(Model::Multical403));
        let serial = Some(SerialNumber::new(12_345_678));
        let trouble = readings.is_empty().then(|| Explanation {
            words: "The meter is silent".to_owned(),
            hint: "Press a key.".to_owned(),
        });
        PollResult {
            readings,
            identity: Identity { serial, ..Identity::default() },
            condition,
            trouble,
            took: Duration::from_millis(934),
            ..PollResult::default()
        }
    }

    fn good() -> PollResult {
        result(vec![
            reading(60, Unit::GIGAJOULE, 59_961, 3),
            reading(86, Unit::CELSIUS, 6_720, 2),
            reading(123, Unit::DATE_YYMMDD, 260_131, 0),
            reading(99, Unit::NUMBER, 2, 0),
        ])
    }

    fn shown(messages: &[Message]) -> String {
        let line = |message: &Message| format!("{} {}", message.topic, message.payload);
        messages.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_poll_is_published_as_single_values_and_as_a_whole() {
        let (meter, publishing) = configured();
        let topics = Topics::new("kamstrup").meter(None);
        let messages = |result: &PollResult| {
            let values = values(result, &meter);
            value_messages(&values, result, TIME, &meter, &publishing, &topics)
        };
        let all = messages(&good());
        insta::assert_snapshot!(shown(&all));
        // The numbers have the same digits as on their topics.
        let json: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&all.last().unwrap().payload).unwrap();
        assert_eq!(json["values"]["energy"]["value"].to_string(), "16655.83");
        assert_eq!(messages(&result(Vec::new())), []);
    }

    #[test]
    fn diagnostics_are_published() {
        let (_, publishing) = configured();
        let topics = Topics::new("kamstrup").meter(None);
        let mut status = ReadingStatus::default();
        let mut published = Vec::new();
        let fine = result(vec![reading(99, Unit::NUMBER, 0, 0)]);
        for (name, poll, time) in [
            ("silent from the start", result(Vec::new()), "t1"),
            ("answers, with a fault", good(), "t2"),
            ("the fault is gone", fine, "t3"),
            ("silent again", result(Vec::new()), "t4"),
        ] {
            status.record(&poll, time);
            published.push(format!("{name}:\n{}", shown(&status.messages(&publishing, &topics))));
        }
        insta::assert_snapshot!(published.join("\n\n"));
    }

    #[test]
    fn a_state_is_never_longer_than_home_assistant_accepts() {
        let code = reading(369, Unit::NUMBER, u32::MAX.into(), 0);
        let condition = Condition::of(&[code], &identity(Model::Multical603)).unwrap();
        let words = condition_words(&condition);
        assert_eq!(words.chars().count(), LONGEST_STATE);
        assert!(words.ends_with('…'));
    }
}
