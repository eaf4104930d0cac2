//! The checks of the list of meters: of each meter, and that no two have the same name or ids.

use std::collections::BTreeMap;

use super::check::Checker;
use super::keys;
use super::model::Meter;
use super::origin::{Origin, Whose};
use super::problem::{About, Accepted, Actual, Problem, Though, Warning};
use super::setting::Key;
use super::settings::Listed;
use crate::name::{MeterName, Parameter};
use crate::topic::{Diagnostic, Ids, READ};

impl Checker<'_> {
    /// The meters of the list. Without a list, the meter of the sections.
    pub(super) fn meters(&mut self, id_prefix: &str) -> Option<Vec<Meter>> {
        let listed = self.settings.meters();
        if listed.is_empty() {
            let device_id = self.device_text(&keys::DEVICE_ID, '_', None)?;
            return Some(vec![self.meter(None, device_id)?]);
        }
        let several = listed.len() > 1;
        let (mut meters, mut names, mut device_ids) = (Vec::new(), Vec::new(), Vec::new());
        for one in listed {
            let settings = self.settings.of(one);
            let mut checker = Checker::of_meter(&settings, one);
            let name = checker.name(one, several);
            let device_id = checker.device_text(&keys::DEVICE_ID, '_', name.as_ref())?;
            names.push(name.clone());
            // A missing name is a problem already, and so is the device id that is made from it.
            let unnamed = several && name.is_none() && !checker.is_own(&keys::DEVICE_ID);
            device_ids.push((!unnamed).then(|| device_id.clone()));
            meters.push(checker.meter(name, device_id));
            // A problem in a section is reported once, however many meters inherit the setting.
            self.findings.add_new(checker.findings);
        }
        let names: Vec<_> = names.iter().map(|name| name.as_ref().map(MeterName::as_str)).collect();
        let same_names = self.unique(&keys::NAME, &names, str::eq_ignore_ascii_case);
        // A device id that is made from a name is the same only because the name is.
        let is_made = |one: &Listed| !one.settings.contains_key(keys::DEVICE_ID.path);
        let device_ids = listed.iter().zip(&device_ids).enumerate();
        let device_ids: Vec<_> = device_ids
            .map(|(index, (one, device_id))| {
                let is_new = !same_names.contains(&index) || !is_made(one);
                device_id.as_deref().filter(|_| is_new)
            })
            .collect();
        self.unique(&keys::DEVICE_ID, &device_ids, str::eq);
        if same_names.is_empty() {
            self.entities(&meters, id_prefix);
        }
        self.ports(&meters);
        self.key_of_no_node(&meters);
        meters.into_iter().collect()
    }

    /// A listed meter's name; several must have one.
    fn name(&mut self, listed: &Listed, several: bool) -> Option<MeterName> {
        if let Some(given) = &listed.name {
            return self.one(&keys::NAME, given);
        }
        if several {
            self.problem(Problem {
                about: About::Setting(&keys::NAME, listed.place()),
                found: Actual::NothingThough(Though::Several),
                accepted: Accepted::Usual,
            });
        }
        None
    }

    /// Reports each meter whose text for `key` is the same as that of an earlier meter. Returns the
    /// indices of these meters.
    fn unique(
        &mut self,
        key: &'static Key,
        texts: &[Option<&str>],
        same: fn(&str, &str) -> bool,
    ) -> Vec<usize> {
        let listed = self.settings.meters();
        let mut taken = Vec::new();
        for (index, (one, text)) in listed.iter().zip(texts).enumerate() {
            let Some(text) = text else { continue };
            let mut before = listed.iter().zip(texts).take(index);
            let other = before.find(|(_, other)| other.is_some_and(|other| same(other, text)));
            let Some((other, _)) = other else { continue };
            taken.push(index);
            let line = match other.place_of(key).origin {
                Origin::File(spot) => Some(spot.line),
                _ => None,
            };
            self.problem(Problem {
                // The line of its key, or of the meter if it does not have this key.
                about: About::Setting(key, one.place_of(key)),
                found: Actual::Taken { text: (*text).to_owned(), by: other.whose.clone(), line },
                accepted: Accepted::This("a different one for each meter"),
            });
        }
        taken
    }

    /// Notes names with which two entities would have the same unique id. For example `diff_energy`
    /// of the meter `a` and `energy` of the meter `a_diff`.
    fn entities(&mut self, meters: &[Option<Meter>], id_prefix: &str) {
        let mut known: BTreeMap<String, (&Whose, &str)> = BTreeMap::new();
        for (meter, listed) in meters.iter().zip(self.settings.meters()) {
            let Some(meter) = meter else { continue };
            let ids = Ids::new(id_prefix, meter.name.as_ref());
            let diagnostics = Diagnostic::ALL.map(Diagnostic::key);
            let values = meter.parameters.iter().map(Parameter::name);
            let means = meter.mean_names();
            let keys: Vec<&str> = values.chain(means).chain(diagnostics).chain([READ]).collect();
            let clash = keys.iter().find_map(|key| Some((key, known.get(&ids.with(key))?)));
            if let (Some((key, (other, other_key))), Some(name)) = (clash, &meter.name) {
                self.problem(Problem {
                    about: About::Setting(&keys::NAME, listed.place_of(&keys::NAME)),
                    found: Actual::SameId {
                        name: name.clone(),
                        key: (*key).to_owned(),
                        other_key: (*other_key).to_owned(),
                        other: (*other).clone(),
                    },
                    accepted: Accepted::This("another name"),
                });
            }
            known.extend(keys.into_iter().map(|key| (ids.with(key), (&listed.whose, key))));
        }
    }

    /// Warns about meters with the same port. An optical head reads one meter, so usually a
    /// `com_port` was forgotten, and one meter's values would be published as the other's.
    fn ports(&mut self, meters: &[Option<Meter>]) {
        let mut first: BTreeMap<String, &Whose> = BTreeMap::new();
        for (meter, listed) in meters.iter().zip(self.settings.meters()) {
            let Some(meter) = meter else { continue };
            let port = meter.endpoint.to_string();
            match first.get(&port) {
                None => drop(first.insert(port, &listed.whose)),
                Some(other) => {
                    let (other, this) = ((*other).clone(), listed.whose.clone());
                    self.warn(Warning::SamePort(other, this, meter.endpoint.clone()));
                }
            }
        }
    }
}
