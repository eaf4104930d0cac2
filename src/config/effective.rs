//! What counts, setting by setting, and where it comes from.

use std::fmt;
use std::path::PathBuf;

use super::keys::{self, Fallback, KEYS, Key};
use super::source::{Listed, Place, Raw, Setting, Settings, Spot};
use super::{Config, Meter, Secret, without_login};

/// All settings that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Those of the program; of the meter as well, where there is no list of meters.
    pub sections: Vec<Entry>,
    /// Those of each meter in the list: what it is called, and its settings.
    pub meters: Vec<(String, Vec<Entry>)>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As `mqtt.host`; as `com_port` for a meter in the list.
    pub key: &'static str,
    /// What counts.
    pub value: Effect,
    /// Who said so.
    pub origin: Origin,
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This.
    Text(String),
    /// This, which must not be shown.
    Secret(Secret),
    /// Nothing is set.
    Nothing,
}

/// Stars for a secret, a dash for nothing.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::Secret(_) => "***",
            Self::Nothing => "-",
        })
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// An option of the command line.
    Option(&'static str),
    /// An option of the add-on.
    Form,
    /// Home Assistant, when it was asked.
    HomeAssistant,
    /// A variable.
    Variable(&'static str),
    /// A file that a variable names.
    SecretFile {
        /// The variable.
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
            Self::Form => f.write_str("options"),
            Self::HomeAssistant => f.write_str("Home Assistant"),
            Self::Variable(variable) => write!(f, "variable {variable}"),
            Self::SecretFile { variable, path } => {
                write!(f, "file {} (variable {variable})", path.display())
            }
            Self::File(Spot { path, line, .. }) => write!(f, "{}, line {line}", path.display()),
        }
    }
}

impl From<&Place> for Origin {
    fn from(place: &Place) -> Self {
        match place {
            Place::Default => Self::Default,
            Place::Option(option) => Self::Option(option),
            Place::Form => Self::Form,
            Place::HomeAssistant => Self::HomeAssistant,
            Place::Variable(variable) => Self::Variable(variable),
            Place::SecretFile { variable, path } => {
                Self::SecretFile { variable: variable.clone(), path: path.clone() }
            }
            Place::File(spot) => Self::File(spot.clone()),
            Place::Item(item) => item.spot.clone().map_or(Self::Form, Self::File),
        }
    }
}

impl Effective {
    /// Of settings that were found right.
    pub(super) fn new(settings: &Settings, config: &Config) -> Self {
        let listed = settings.meters();
        let sections = KEYS.iter().filter(|key| listed.is_empty() || !is_of_meter(key));
        let single = config.meters.first().filter(|_| listed.is_empty());
        let sections = sections.filter_map(|key| entry(key, key.path, settings, single)).collect();
        let meters = listed.iter().zip(&config.meters).map(|(one, meter)| {
            let own = settings.of(one);
            let keys = KEYS.iter().filter(|key| is_of_meter(key));
            let keys = keys.filter_map(|key| entry(key, key.name(), &own, Some(meter)));
            (called(one, meter), keys.collect())
        });
        Self { sections, meters: meters.collect() }
    }

    /// Each setting, for people: its key, what counts, and who said so. Secrets are stars.
    pub fn lines(&self) -> impl Iterator<Item = [String; 3]> {
        let line =
            |key: String, entry: &Entry| [key, entry.value.to_string(), entry.origin.to_string()];
        let sections = self.sections.iter().map(move |entry| line(entry.key.to_owned(), entry));
        let meters = self.meters.iter().flat_map(move |(name, entries)| {
            entries.iter().map(move |entry| line(format!("{} of {name}", entry.key), entry))
        });
        sections.chain(meters)
    }

    /// What counts now and did not before, or the reverse, in words.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let is_list = |settings: &Self| !settings.meters.is_empty();
        if is_list(self) == is_list(before) {
            let sections = changed(&self.sections, &before.sections, "");
            return sections.into_iter().chain(self.changes_of_meters(before)).collect();
        }
        // The settings of a single meter stand in the sections, though that alone changes none.
        let (now, before) = (self.as_list(), before.as_list());
        let sections = changed(&now.sections, &before.sections, "");
        sections.into_iter().chain(now.changes_of_meters(&before)).collect()
    }

    fn changes_of_meters(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, entries) in &self.meters {
            match before.meters.iter().find(|(other, _)| other == name) {
                Some((_, before)) => {
                    changes.extend(changed(entries, before, &format!(" of {name}")));
                }
                None => changes.push(format!("{name} is new")),
            }
        }
        let is_here = |name: &String| self.meters.iter().any(|(other, _)| other == name);
        let gone = before.meters.iter().map(|(name, _)| name).filter(|name| !is_here(name));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        changes
    }

    /// With a list of meters, whether there is one or not; one without a name is called alike in both.
    fn as_list(&self) -> Self {
        let of_meter = |entry: &Entry| keys::find(entry.key).filter(|key| is_of_meter(key));
        let (sections, mut meters) = (self.sections.iter(), self.meters.clone());
        if let [(name, _)] = meters.as_mut_slice()
            && !name.starts_with(NAMED)
        {
            UNNAMED.clone_into(name);
        }
        if meters.is_empty() {
            let single = sections
                .clone()
                .filter_map(|entry| Some(Entry { key: of_meter(entry)?.name(), ..entry.clone() }));
            meters.push((UNNAMED.to_owned(), single.collect()));
        }
        let sections = sections.filter(|entry| of_meter(entry).is_none()).cloned().collect();
        Self { sections, meters }
    }
}

/// What a single meter is called that has no name, beside others that have one.
const UNNAMED: &str = "the meter without a name";

/// How meters are called that have one.
const NAMED: &str = "the meter `";

/// Whether each meter of a list has this.
fn is_of_meter(key: &Key) -> bool {
    keys::of_meter(key.name()).is_some_and(|of| of.path == key.path)
}

fn changed(now: &[Entry], before: &[Entry], whose: &str) -> Vec<String> {
    let value = |entries: &[Entry], key: &str| {
        entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    };
    // Of two names of one setting, only the one that counts is there.
    let gone = before.iter().filter(|entry| value(now, entry.key).is_none());
    let differs = |entry: &&Entry| value(before, entry.key).as_ref() != Some(&entry.value);
    let keys = now.iter().filter(differs).chain(gone).map(|entry| entry.key);
    keys.map(|key| format!("`{key}`{whose}")).collect()
}

fn called(listed: &Listed, meter: &Meter) -> String {
    match &meter.name {
        Some(name) => format!("{NAMED}{name}`"),
        None => listed.place.meter.clone(),
    }
}

/// `None` for a name of a setting under which another one counts.
fn entry(
    key: &Key,
    name: &'static str,
    settings: &Settings,
    meter: Option<&Meter>,
) -> Option<Entry> {
    let setting = settings.get(key);
    if !settings.is_port_that_counts(key) {
        return None;
    }
    let text = match (setting, settings.default_of(key)) {
        (Some(Setting { raw: Raw::Text(text), .. }), _) => Some(text.clone()),
        (Some(Setting { raw: Raw::List(items), .. }), _) => Some(items.join(", ")),
        (None, Fallback::Value(text)) => Some(text.to_owned()),
        (None, Fallback::Words(_)) => None,
    };
    let value = match meter.and_then(|meter| of_meter(key, meter)).or(text) {
        None => Effect::Nothing,
        Some(text) if key.secret => Effect::Secret(Secret::new(text)),
        Some(text) => Effect::Text(without_login(text.trim())),
    };
    let origin = setting.map_or(Origin::Default, |setting| Origin::from(&setting.place));
    Some(Entry { key: name, value, origin })
}

/// What counts for a meter where that is not what was written.
fn of_meter(key: &Key, meter: &Meter) -> Option<String> {
    match key.path {
        "mqtt.device_id" => Some(meter.device_id.clone()),
        "mqtt.device_name" => Some(meter.device_name.clone()),
        "serial_device.timeout" if meter.timeout == crate::line::THINKING => Some("1.6".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Variables, check};
    use super::*;

    fn settings(yaml: &str) -> Effective {
        check(Some((Path::new("config.yaml"), yaml)), &Variables::new()).unwrap().settings
    }

    #[test]
    fn a_list_of_meters_changes_only_what_it_says() {
        let single = "mqtt: {host: a}\nserial_device: {com_port: /dev/a}\n";
        let unnamed = "mqtt: {host: a}\nmeters: [{com_port: /dev/a}]\n";
        let two = "mqtt: {host: b}\nserial_device: {com_port: /dev/a}\n\
                   meters: [{name: house}, {name: barn, com_port: /dev/b}]\n";
        let changes = |from: &str, to: &str| settings(to).changes(&settings(from)).join(", ");
        assert_eq!(changes(single, unnamed), "");
        assert_eq!(changes(unnamed, single), "");
        let other = unnamed.replace("/dev/a", "/dev/b");
        assert_eq!(changes(single, &other), "`com_port` of the meter without a name");
        assert_eq!(
            changes(single, two),
            "`mqtt.host`, the meter `house` is new, the meter `barn` is new, the meter without a name \
             is gone"
        );
        assert_eq!(
            changes(two, single),
            "`mqtt.host`, the meter without a name is new, the meter `house` is gone, the meter \
             `barn` is gone"
        );
    }
}
