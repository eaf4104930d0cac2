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
    /// Where it begins.
    pub(super) origin: Origin,
    pub(super) name: Option<Made>,
    pub(super) settings: BTreeMap<&'static str, Made>,
}

impl Listed {
    /// The place of the meter as a whole.
    pub(super) fn place(&self) -> Place {
        Place { origin: self.origin.clone(), whose: Some(self.whose.clone()) }
    }

    /// The place of one of its keys; that of the meter where it does not have this.
    pub(super) fn place_of(&self, key: &Key) -> Place {
        let own =
            if *key == *keys::NAME { self.name.as_ref() } else { self.settings.get(key.path) };
        own.map_or_else(|| self.place(), |made| made.place.clone())
    }
}

/// The text of a setting, exactly as written.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

impl Raw {
    /// The items of a list, which may be written as a text as well.
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

/// A setting that was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// All settings, by path. One that is absent was left out or left empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    made: BTreeMap<&'static str, Made>,
    meters: Vec<Listed>,
}

/// Two names of one setting: where a meter has one of them, it does not inherit the other.
static PORTS: [&Setting<meter::transport::Endpoint>; 2] = [&keys::COM_PORT, &keys::URL];

impl Settings {
    pub(super) fn get(&self, key: &Key) -> Option<&Made> {
        self.made.get(key.path)
    }

    /// The meters of the list.
    pub(super) fn meters(&self) -> &[Listed] {
        &self.meters
    }

    /// The settings of a listed meter: its own, and those of the sections for the rest.
    pub(super) fn of(&self, meter: &Listed) -> Self {
        let mut made = self.made.clone();
        if PORTS.iter().any(|port| meter.settings.contains_key(port.path)) {
            made.retain(|path, _| PORTS.iter().all(|port| port.path != *path));
        }
        made.extend(meter.settings.clone());
        Self { made, meters: Vec::new() }
    }

    /// Makes a setting of the sections.
    pub(super) fn set(&mut self, key: &'static Key, raw: Raw, origin: Origin) {
        self.made.insert(key.path, Made { raw, place: Place::shared(origin) });
    }

    /// The same of a text.
    pub(super) fn set_text(&mut self, key: &'static Key, text: &str, origin: Origin) {
        self.set(key, Raw::Text(text.to_owned()), origin);
    }

    /// Adds a meter to the list.
    pub(super) fn add_meter(&mut self, meter: Listed) {
        self.meters.push(meter);
    }

    /// Whether this counts. Of the two names of the port one does not: in the file, `url` counts,
    /// as in the older program. Variables and options set the other one.
    pub(super) fn is_port_that_counts(&self, key: &Key) -> bool {
        let [com_port, url] = PORTS.map(|port| self.get(port));
        let is_over_file =
            |place: &Place| matches!(place.origin, Origin::Variable(_) | Origin::Option(_));
        let url_counts = url.is_some() && com_port.is_none_or(|made| !is_over_file(&made.place));
        match PORTS.iter().position(|port| port.path == key.path) {
            Some(position) => url_counts == (position == 1),
            None => true,
        }
    }

    /// What counts where nobody made a setting.
    pub(super) fn default_of(&self, key: &Key) -> Fallback {
        let instead = match key.instead {
            Some(Instead::WhereOn(switch, default)) => {
                self.get(switch).is_some_and(|made| is_on(switch, made)).then_some(default)
            }
            Some(Instead::WhereMade(other, default)) => self.get(other).map(|_| default),
            None => None,
        };
        instead.unwrap_or(key.default)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty() && self.meters.is_empty()
    }
}

fn is_on(switch: &Setting<bool>, made: &Made) -> bool {
    match &made.raw {
        Raw::Text(text) => (switch.parse)(text) == Some(true),
        Raw::List(_) => false,
    }
}
