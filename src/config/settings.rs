//! Settings as texts with their places, from the file, variables and the form.
//!
//! The checks parse all of them in the same way, so `MQTT_RETAIN=yes` and `retain: yes` cannot
//! differ.

use std::collections::BTreeMap;
use std::fmt;

use super::keys;
use super::origin::{Origin, Place, Whose};
use super::setting::{Fallback, Instead, Key, Setting};

/// The settings of a listed meter.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) whose: Whose,
    /// Where the meter begins.
    pub(super) origin: Origin,
    pub(super) name: Option<Given>,
    pub(super) settings: BTreeMap<&'static str, Given>,
}

impl Listed {
    /// The place of the meter as a whole.
    pub(super) fn place(&self) -> Place {
        Place { origin: self.origin.clone(), whose: Some(self.whose.clone()) }
    }

    /// The place of one of its keys, or of the meter if it does not have this key.
    pub(super) fn place_of(&self, key: &Key) -> Place {
        let own =
            if *key == *keys::NAME { self.name.as_ref() } else { self.settings.get(key.path) };
        own.map_or_else(|| self.place(), |given| given.place.clone())
    }
}

/// The text of a setting, exactly as written.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

impl Raw {
    /// The items of a list, which may also be written as a text.
    pub(super) fn items(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(items) => items.as_slice(),
        };
        let items = texts.iter().flat_map(|text| text.split(','));
        items.map(str::trim).filter(|item| !item.is_empty())
    }
}

/// It may be a secret.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(***)",
            Self::List(_) => "List(***)",
        })
    }
}

/// A setting with a value that somebody gave it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// All settings that are set, by path. A setting that is empty is treated as not set.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    given: BTreeMap<&'static str, Given>,
    meters: Vec<Listed>,
}

/// Two names of one setting. A meter that has one of them does not inherit the other.
static PORTS: [&Setting<meter::transport::Endpoint>; 2] = [&keys::COM_PORT, &keys::URL];

impl Settings {
    pub(super) fn get(&self, key: &Key) -> Option<&Given> {
        self.given.get(key.path)
    }

    /// The meters of the list.
    pub(super) fn meters(&self) -> &[Listed] {
        &self.meters
    }

    /// The settings of a listed meter: its own, and the rest from the sections.
    pub(super) fn of(&self, meter: &Listed) -> Self {
        let mut given = self.given.clone();
        if PORTS.iter().any(|port| meter.settings.contains_key(port.path)) {
            given.retain(|path, _| PORTS.iter().all(|port| port.path != *path));
        }
        given.extend(meter.settings.clone());
        Self { given, meters: Vec::new() }
    }

    /// Sets a setting of the sections.
    pub(super) fn set(&mut self, key: &'static Key, raw: Raw, origin: Origin) {
        self.given.insert(key.path, Given { raw, place: Place::shared(origin) });
    }

    /// Sets a setting of the sections to a text.
    pub(super) fn set_text(&mut self, key: &'static Key, text: &str, origin: Origin) {
        self.set(key, Raw::Text(text.to_owned()), origin);
    }

    /// Adds a meter to the list.
    pub(super) fn add_meter(&mut self, meter: Listed) {
        self.meters.push(meter);
    }

    /// Whether a setting is in effect. Of the two names of the port, only one is: `url` if the file
    /// has both, as in the older program. Variables and options set `com_port`.
    pub(super) fn is_in_effect(&self, key: &Key) -> bool {
        let [com_port, url] = PORTS.map(|port| self.get(port));
        let is_over_file =
            |place: &Place| matches!(place.origin, Origin::Variable(_) | Origin::Option(_));
        let is_url = url.is_some() && com_port.is_none_or(|given| !is_over_file(&given.place));
        match PORTS.iter().position(|port| port.path == key.path) {
            Some(position) => is_url == (position == 1),
            None => true,
        }
    }

    /// The default of a setting, which may depend on others.
    pub(super) fn default_of(&self, key: &Key) -> Fallback {
        let instead = match key.instead {
            Some(Instead::IfOn(switch, default)) => {
                self.get(switch).is_some_and(|given| is_on(switch, given)).then_some(default)
            }
            Some(Instead::IfSet(other, default)) => self.get(other).map(|_| default),
            None => None,
        };
        instead.unwrap_or(key.default)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.meters.is_empty()
    }
}

fn is_on(switch: &Setting<bool>, given: &Given) -> bool {
    match &given.raw {
        Raw::Text(text) => (switch.parse)(text) == Some(true),
        Raw::List(_) => false,
    }
}
