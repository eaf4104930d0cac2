//! Settings as they were made, from all places, before anybody asks what they mean.
//!
//! All end as texts with a place. What a text means, and whether it is allowed, is decided in one
//! spot for all, so `MQTT_RETAIN=yes` and `retain: yes` cannot differ.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::keys::{self, Fallback, Instead, Key, Setting};
use crate::name::MeterName;

/// Where a setting was made, and for which of the listed meters alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who made it.
    pub origin: Origin,
    /// The listed meter that has it; none for a setting of a section.
    pub whose: Option<Whose>,
}

impl Place {
    /// Of a setting that is not a listed meter's own.
    pub(super) fn shared(origin: Origin) -> Self {
        Self { origin, whose: None }
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// An option of the command line.
    Option(&'static str),
    /// The add-on's form; which of its options, where several can set it.
    Form(Option<&'static str>),
    /// Home Assistant, when it was asked.
    HomeAssistant,
    /// A variable.
    Variable(&'static str),
    /// A file that holds nothing but a secret.
    SecretFile {
        /// The variable that names it.
        variable: String,
        /// The file.
        path: PathBuf,
    },
    /// The file.
    File(Spot),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Option(option) => write!(f, "option {option}"),
            Self::Form(_) => f.write_str("options"),
            Self::HomeAssistant => f.write_str("Home Assistant"),
            Self::Variable(variable) => write!(f, "variable {variable}"),
            Self::SecretFile { variable, path } => {
                write!(f, "file {} (variable {variable})", path.display())
            }
            Self::File(Spot { path, line, .. }) => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// Where a key begins in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Which file.
    pub path: PathBuf,
    /// From 1 on.
    pub line: u64,
    /// In characters, from 1 on.
    pub column: u64,
}

/// `config.yaml, line 12, column 5`
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column } = self;
        write!(f, "{}, line {line}, column {column}", path.display())
    }
}

/// One of the listed meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Its number in the list, from 1 on.
    pub number: usize,
    /// Its name, if it has one that can be used.
    pub name: Option<MeterName>,
}

/// What is said of one of the listed meters.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) whose: Whose,
    /// Where it begins.
    pub(super) origin: Origin,
    /// What it is called.
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

/// A setting as it was written.
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

/// All settings that were made, by path. An absent one was left out, or left empty.
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

    /// Whether this is not a port under the name of the two that does not count. In the file the
    /// older program took `url`; what is set elsewhere is under the other name.
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
