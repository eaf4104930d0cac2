//! Who owns a discovery message that was found on the broker.
//!
//! Anybody may have published it, so it is untrusted: a message longer than [`LONGEST_PAYLOAD`] is
//! ignored, and reports quote it only in part.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::entity::{Component, ORIGIN};
use super::possible::{filters, possible_ids, possible_ids_of_program};
use crate::config::{Key, Meter, Publishing, keys};
use crate::topic::{Topics, is_state_below, reading_beside};
use meter::RunsAs;

/// In bytes. A longer message is ignored; ours have about 1000.
pub(super) const LONGEST_PAYLOAD: usize = 64 * 1024;

/// Who owns a discovery message on the broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Ownership {
    /// This installation announced it, with these or with earlier settings. We may replace or
    /// remove it.
    Ours,
    /// This program announced it for the same device under another topic: either `mqtt.topic` was
    /// changed, or a second program with the same ids is running. We replace it.
    Moved {
        /// The other topic.
        from: String,
    },
    /// Another device owns a topic or a unique id that we need. The program that starts last
    /// replaces the other's entity.
    Taken {
        /// Its owner, in words.
        by: String,
    },
    /// It does not concern us. Or it is on our topic and nobody needs it, such as an announcement
    /// of the older Python program for the same device; then we replace it.
    Other,
}

impl Ownership {
    /// What the user should know and do about it. It names only settings that this user has.
    #[must_use]
    pub(crate) fn advice(&self, runs_as: RunsAs) -> Option<String> {
        let called = |key: &Key| key.called(runs_as);
        match self {
            Self::Ours | Self::Other => None,
            Self::Moved { from } => {
                let fix = match runs_as {
                    RunsAs::Program => format!(
                        "set {} and {} in one of them",
                        called(&keys::ID_PREFIX),
                        called(&keys::DEVICE_ID)
                    ),
                    RunsAs::AddOn => "set `homeassistant.id_prefix` and `mqtt.device_id` in the \
                                      configuration file of the second one. If the second one is \
                                      also an app, stop it, and add its meter to this app under \
                                      \"Several meters\""
                        .to_owned(),
                };
                Some(format!(
                    "This meter's entities were announced to Home Assistant under the topic \
                     `{from}` before. If you have changed {}, everything is fine. If a second \
                     kamstrup2mqtt is running, the two replace each other's entities. If both read \
                     the same meter, stop one of them. Otherwise {fix}.",
                    called(&keys::TOPIC)
                ))
            }
            Self::Taken { by } => {
                let fix = match runs_as {
                    RunsAs::Program => format!(
                        "Set {} to another word, such as `heating`, then restart kamstrup2mqtt.",
                        called(&keys::ID_PREFIX)
                    ),
                    RunsAs::AddOn => format!(
                        "Change the unique ids of the other entities in the program that made them, \
                         or remove the entities of {by}."
                    ),
                };
                Some(format!(
                    "The ids of this meter's entities in Home Assistant are also used by {by}. The \
                     two replace each other's entities. {fix}"
                ))
            }
        }
    }
}

/// The announcements that this installation may make, for comparison with those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    discovery_prefix: String,
    /// Including the underscore.
    id_prefix: String,
    status: String,
    /// The device of each entity, by component and unique id.
    entities: BTreeMap<(String, String), String>,
}

impl Claims {
    /// The claims of these meters and of the program itself.
    #[must_use]
    pub(crate) fn new(meters: &[Meter], publishing: &Publishing, topics: &Topics) -> Self {
        let of_meter = |meter| {
            let ids = possible_ids(meter, publishing).into_iter();
            ids.map(|id| (id, meter.device_id.clone()))
        };
        let ids = possible_ids_of_program(publishing).into_iter();
        let of_program = ids.map(|id| (id, publishing.program_id.clone()));
        let entities = meters.iter().flat_map(of_meter).chain(of_program);
        let by_id = |((component, id), device): ((Component, String), _)| {
            ((component.key().to_owned(), id), device)
        };
        Self {
            discovery_prefix: publishing.discovery_prefix.clone(),
            id_prefix: format!("{}_", publishing.id_prefix),
            status: topics.status(),
            entities: entities.map(by_id).collect(),
        }
    }

    /// The claims of an earlier configuration, to recognize what it has announced.
    #[must_use]
    pub(crate) fn earlier(publishing: &Publishing, topics: &Topics) -> Self {
        Self {
            discovery_prefix: publishing.discovery_prefix.clone(),
            id_prefix: format!("{}_", publishing.id_prefix),
            status: topics.status(),
            entities: BTreeMap::new(),
        }
    }

    /// The topic filters of all announcements.
    #[must_use]
    pub(crate) fn filters(&self) -> Vec<String> {
        filters(&self.discovery_prefix)
    }

    /// The component and the object id in a discovery topic.
    pub(super) fn place<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let place = topic.strip_prefix(&self.discovery_prefix)?.strip_prefix('/')?;
        let (component, rest) = place.strip_suffix("/config")?.split_once('/')?;
        Some((component, rest))
    }

    /// Whether a topic is one of announcements.
    #[must_use]
    pub(crate) fn may_concern(&self, topic: &str) -> bool {
        self.place(topic).is_some()
    }

    /// Whether one of our entities may be announced there.
    pub(super) fn uses(&self, component: &str, id: &str) -> bool {
        self.device(component, id).is_some()
    }

    /// The program's availability topic.
    pub(super) fn status_topic(&self) -> &str {
        &self.status
    }

    fn device(&self, component: &str, id: &str) -> Option<&str> {
        self.entities.get(&(component.to_owned(), id.to_owned())).map(String::as_str)
    }
}

/// Who owns the message at `topic`.
#[must_use]
pub(crate) fn classify(topic: &str, payload: &[u8], claims: &Claims) -> Ownership {
    classified(topic, payload, claims).unwrap_or(Ownership::Other)
}

fn classified(topic: &str, payload: &[u8], claims: &Claims) -> Option<Ownership> {
    let (component, object) = claims.place(topic)?;
    if payload.len() > LONGEST_PAYLOAD {
        return None;
    }
    let message: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let retained = RetainedMessage(&message);
    let is_this_program = retained.origin() == Some(ORIGIN.name);
    let is_under_our_topic = retained.availability().contains(&claims.status);
    let in_its_place = retained.unique_id() == Some(object)
        && object.starts_with(&claims.id_prefix)
        // Our ids have no other characters. Nothing can be sent on a topic with a wildcard.
        && object.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_this_program && is_under_our_topic && in_its_place {
        return Some(Ownership::Ours);
    }

    let ids = retained.announces(component);
    let wanted = claims
        .device(component, object)
        .or_else(|| ids.iter().find_map(|(component, id)| claims.device(component, id)))?;
    let identifiers = retained.identifiers()?;
    let is_the_same_device = identifiers.iter().any(|identifier| identifier == wanted);
    if is_under_our_topic || (is_the_same_device && !is_this_program) {
        return None;
    }
    let from = is_this_program.then(|| retained.availability().into_iter().next()).flatten();
    let from = from.map(|status| shown(status.strip_suffix("/status").unwrap_or(&status)));
    let device = retained.device_name().map(|name| format!("the device `{}`", shown(name)));
    Some(match (from, retained.origin()) {
        (Some(from), _) if is_the_same_device => Ownership::Moved { from },
        (Some(from), _) => {
            let device = device.map(|device| format!(" ({device})")).unwrap_or_default();
            Ownership::Taken {
                by: format!("another {} with the topic `{from}`{device}", ORIGIN.name),
            }
        }
        (None, Some(origin)) => {
            let device = device.map(|device| format!(" ({device})")).unwrap_or_default();
            Ownership::Taken { by: format!("`{}`{device}", shown(origin)) }
        }
        (None, None) => {
            Ownership::Taken { by: device.unwrap_or_else(|| "a device without a name".to_owned()) }
        }
    })
}

/// The state topics of the meter whose entity is announced in a message of ours: that of the
/// entity, and that of all values. They may be retained there.
#[must_use]
pub(crate) fn states_of(payload: &[u8], claims: &Claims) -> Vec<String> {
    let state = || {
        let message: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        let state = text(&message, "state_topic", "stat_t")?;
        let base = claims.status.strip_suffix("/status")?;
        is_state_below(base, state).then(|| state.to_owned())
    };
    let state =
        Some(payload).filter(|payload| payload.len() <= LONGEST_PAYLOAD).and_then(|_| state());
    let reading = state.as_deref().and_then(reading_beside);
    state.into_iter().chain(reading).collect()
}

/// The part of a foreign text that fits into a log line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A discovery message, whose keys may be abbreviated.
struct RetainedMessage<'a>(&'a Map<String, Value>);

fn either<'a>(map: &'a Map<String, Value>, key: &str, short: &str) -> Option<&'a Value> {
    map.get(key).or_else(|| map.get(short))
}

fn text<'a>(map: &'a Map<String, Value>, key: &str, short: &str) -> Option<&'a str> {
    either(map, key, short)?.as_str()
}

/// The items of a list, or the single value as the only item.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

impl<'a> RetainedMessage<'a> {
    fn unique_id(&self) -> Option<&'a str> {
        text(self.0, "unique_id", "uniq_id")
    }

    fn origin(&self) -> Option<&'a str> {
        either(self.0, "origin", "o")?.as_object()?.get("name")?.as_str()
    }

    fn device(&self) -> Option<&'a Map<String, Value>> {
        either(self.0, "device", "dev")?.as_object()
    }

    fn device_name(&self) -> Option<&'a str> {
        self.device()?.get("name")?.as_str()
    }

    /// `None` if there is no device. A device may also have connections instead of identifiers.
    fn identifiers(&self) -> Option<Vec<String>> {
        let identifiers = either(self.device()?, "identifiers", "ids").map_or(&[][..], each);
        // Home Assistant converts numbers to strings.
        let texts = identifiers.iter().map(|identifier| match identifier {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Some(texts.collect())
    }

    /// All availability topics.
    fn availability(&self) -> Vec<String> {
        let one = text(self.0, "availability_topic", "avty_t");
        let list = either(self.0, "availability", "avty").map_or(&[][..], each);
        let list = list.iter().filter_map(|one| text(one.as_object()?, "topic", "t"));
        one.into_iter().chain(list).map(|topic| self.with_base(topic)).collect()
    }

    /// `~` at the start or the end of a topic stands for the message's base topic.
    fn with_base(&self, topic: &str) -> String {
        let Some(base) = self.0.get("~").and_then(Value::as_str) else {
            return topic.to_owned();
        };
        if let Some(rest) = topic.strip_prefix('~') {
            format!("{base}{rest}")
        } else if let Some(rest) = topic.strip_suffix('~') {
            format!("{rest}{base}")
        } else {
            topic.to_owned()
        }
    }

    /// Component and unique id of each entity: of one entity, or of all entities of a device.
    fn announces(&self, component: &'a str) -> Vec<(&'a str, &'a str)> {
        if component != "device" {
            return self.unique_id().map(|id| (component, id)).into_iter().collect();
        }
        let components = either(self.0, "components", "cmps").and_then(Value::as_object);
        let entities = components.into_iter().flat_map(Map::values).filter_map(Value::as_object);
        entities
            .filter_map(|one| {
                Some((text(one, "platform", "p")?, text(one, "unique_id", "uniq_id")?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
