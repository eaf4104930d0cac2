//! The effective settings, and where each of them comes from.

use std::fmt;

use super::keys::{self, KEYS};
use super::model::{Config, Meter};
use super::origin::Origin;
use super::problem::without_secrets;
use super::secret::Secret;
use super::setting::{Fallback, Key};
use super::settings::{Given, Listed, Raw, Settings};
use super::value;
use crate::name::MeterName;
use kmp::line::RESPONSE_TIME;

/// All effective settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The settings of the program. Without a list of meters, also those of the only meter.
    pub sections: Vec<Entry>,
    /// The settings of each meter in the list.
    pub meters: Vec<(Label, Vec<Entry>)>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The setting.
    pub setting: &'static Key,
    /// Its name: `mqtt.host`, or `com_port` for a meter in the list.
    pub key: &'static str,
    /// The value in effect.
    pub value: Effect,
    /// Where it comes from.
    pub origin: Origin,
}

/// A value in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A text.
    Text(String),
    /// A value that must not be shown.
    Secret(Secret),
    /// The part of a value that may be shown, and the whole value.
    Partly(String, Secret),
    /// Nothing is set.
    Nothing,
}

/// A secret is shown as stars, nothing as a dash.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) | Self::Partly(text, _) => text,
            Self::Secret(_) => "***",
            Self::Nothing => "-",
        })
    }
}

/// How a meter in a list is identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// By its name.
    Name(MeterName),
    /// By its number in the list, from 1 on.
    Number(usize),
    /// The only meter, without a name.
    Unnamed,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the meter `{name}`"),
            Self::Number(number) => write!(f, "meter {number}"),
            Self::Unnamed => f.write_str("the meter without a name"),
        }
    }
}

impl Effective {
    /// The settings of a valid configuration.
    pub(super) fn new(settings: &Settings, config: &Config) -> Self {
        let listed = settings.meters();
        let sections = KEYS.iter().filter(|key| listed.is_empty() || !key.is_of_meter());
        let single = config.meters.first().filter(|_| listed.is_empty());
        let sections = sections.filter_map(|key| entry(key, key.path, settings, single)).collect();
        let meters = listed.iter().zip(&config.meters).map(|(one, meter)| {
            let own = settings.of(one);
            let keys = KEYS.iter().filter(|key| key.is_of_meter());
            let keys = keys.filter_map(|key| entry(key, key.name(), &own, Some(meter)));
            (label(one, meter), keys.collect())
        });
        Self { sections, meters: meters.collect() }
    }

    /// Each setting for users: its key, its value, and where it comes from. Secrets are stars.
    pub fn lines(&self) -> impl Iterator<Item = [String; 3]> {
        let line =
            |key: String, entry: &Entry| [key, entry.value.to_string(), entry.origin.to_string()];
        let sections = self.sections.iter().map(move |entry| line(entry.key.to_owned(), entry));
        let meters = self.meters.iter().flat_map(move |(name, entries)| {
            entries.iter().map(move |entry| line(format!("{} of {name}", entry.key), entry))
        });
        sections.chain(meters)
    }

    /// The settings that have changed, in words.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let is_list = |settings: &Self| !settings.meters.is_empty();
        if is_list(self) == is_list(before) {
            let sections = changed(&self.sections, &before.sections, "");
            return sections.into_iter().chain(self.changes_of_meters(before)).collect();
        }
        // The settings of a single meter are in the sections. Moving them to a list changes none.
        let (now, before) = (self.as_list(), before.as_list());
        let sections = changed(&now.sections, &before.sections, "");
        sections.into_iter().chain(now.changes_of_meters(&before)).collect()
    }

    fn changes_of_meters(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (label, entries) in &self.meters {
            match before.meters.iter().find(|(other, _)| other == label) {
                Some((_, before)) => {
                    changes.extend(changed(entries, before, &format!(" of {label}")));
                }
                None => changes.push(format!("{label} (added)")),
            }
        }
        let is_here = |label: &Label| self.meters.iter().any(|(other, _)| other == label);
        let gone = before.meters.iter().map(|(label, _)| label).filter(|label| !is_here(label));
        changes.extend(gone.map(|label| format!("{label} (removed)")));
        changes
    }

    /// The same settings with a list of meters. A single meter without a name gets the same label
    /// with and without a list.
    fn as_list(&self) -> Self {
        let (sections, mut meters) = (self.sections.iter(), self.meters.clone());
        if let [(label @ Label::Number(_), _)] = meters.as_mut_slice() {
            *label = Label::Unnamed;
        }
        if meters.is_empty() {
            let single = sections
                .clone()
                .filter(|entry| entry.setting.is_of_meter())
                .map(|entry| Entry { key: entry.setting.name(), ..entry.clone() });
            meters.push((Label::Unnamed, single.collect()));
        }
        let sections = sections.filter(|entry| !entry.setting.is_of_meter()).cloned().collect();
        Self { sections, meters }
    }
}

fn changed(now: &[Entry], before: &[Entry], whose: &str) -> Vec<String> {
    let value = |entries: &[Entry], key: &str| {
        entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    };
    // Of the two names of the port, only the one in effect has an entry.
    let gone = before.iter().filter(|entry| value(now, entry.key).is_none());
    let differs = |entry: &&Entry| value(before, entry.key).as_ref() != Some(&entry.value);
    let keys = now.iter().filter(differs).chain(gone).map(|entry| entry.key);
    keys.map(|key| format!("`{key}`{whose}")).collect()
}

fn label(listed: &Listed, meter: &Meter) -> Label {
    meter.name.clone().map_or(Label::Number(listed.whose.number), Label::Name)
}

/// `None` for the name of the port that is not in effect.
fn entry(
    key: &'static Key,
    name: &'static str,
    settings: &Settings,
    meter: Option<&Meter>,
) -> Option<Entry> {
    let setting = settings.get(key);
    if !settings.is_in_effect(key) {
        return None;
    }
    let text = match (setting, settings.default_of(key)) {
        (Some(Given { raw: Raw::Text(text), .. }), _) => Some(text.clone()),
        (Some(Given { raw: Raw::List(items), .. }), _) => Some(items.join(", ")),
        (None, Fallback::Value(text)) => Some(text.to_owned()),
        (None, Fallback::Words(_)) => None,
    };
    let value = match meter.and_then(|meter| of_meter(key, meter)).or(text) {
        None => Effect::Nothing,
        Some(text) if key.secret => Effect::Secret(Secret::new(text)),
        Some(text) => {
            let shown = without_secrets(text.trim());
            if shown == text.trim() {
                Effect::Text(shown)
            } else {
                Effect::Partly(shown, Secret::new(text))
            }
        }
    };
    let origin = setting.map_or(Origin::Default, |given| given.place.origin.clone());
    Some(Entry { setting: key, key: name, value, origin })
}

/// A value that differs from the text that was written for it.
fn of_meter(key: &Key, meter: &Meter) -> Option<String> {
    if *key == *keys::DEVICE_ID {
        Some(meter.device_id.clone())
    } else if *key == *keys::DEVICE_NAME {
        Some(meter.device_name.clone())
    } else if *key == *keys::TIMEOUT && meter.timeout == RESPONSE_TIME {
        Some("1.6".to_owned())
    } else if *key == *keys::POLL_OFFSET {
        Some(value::offset_text(meter.poll_offset))
    } else {
        None
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
    fn a_list_of_meters_alone_changes_no_setting() {
        let single = "mqtt: {host: a}\nserial_device: {com_port: /dev/a}\n";
        let unnamed = "mqtt: {host: a}\nmeters: [{com_port: /dev/a}]\n";
        let two = "mqtt: {host: b}\nserial_device: {com_port: /dev/a}\n\
                   meters: [{name: house}, {name: barn, com_port: /dev/b}]\n";
        let changes = |from: &str, to: &str| settings(to).changes(&settings(from)).join(", ");
        assert_eq!(changes(single, unnamed), "");
        assert_eq!(changes(unnamed, single), "");
        // A new key in an address is a change, although it is not shown.
        let with_key = |digit: &str| {
            let key = format!("{digit}{}", "A".repeat(42));
            format!("mqtt: {{host: a}}\nserial_device: {{com_port: 'esphome://a/?key={key}'}}\n")
        };
        assert_eq!(changes(&with_key("A"), &with_key("B")), "`serial_device.com_port`");
        let other = unnamed.replace("/dev/a", "/dev/b");
        assert_eq!(changes(single, &other), "`com_port` of the meter without a name");
        assert_eq!(
            changes(single, two),
            "`mqtt.host`, the meter `house` (added), the meter `barn` (added), the meter without a \
             name (removed)"
        );
        assert_eq!(
            changes(two, single),
            "`mqtt.host`, the meter without a name (added), the meter `house` (removed), the meter \
             `barn` (removed)"
        );
    }
}
