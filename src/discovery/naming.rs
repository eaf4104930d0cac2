//! The names of entities and devices, and the entity ids that are made from them.

use kmp::model::Model;

use crate::language::{Language, Names, fill};
use crate::mean::Key;
use crate::name::Parameter;
use meter::identity::{Certainty, Identity};

/// The name of an entity, in any language.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label<'a> {
    /// A name of the table.
    Of(fn(&'static Names) -> &'static str),
    /// The name of a value.
    Value(&'a Parameter),
    /// The name of a mean.
    Mean(Key),
}

impl Label<'_> {
    pub(super) fn words(self, language: Language) -> String {
        match self {
            Self::Of(name) => name(language.names()).to_owned(),
            Self::Value(parameter) => value_words(parameter, language),
            Self::Mean(key) => key.words(language),
        }
    }
}

fn value_words(parameter: &Parameter, language: Language) -> String {
    let (names, register) = (language.names(), parameter.register());
    let Some(name) = language.register(register) else {
        return fill(names.register, &[("number", &register.to_string())]);
    };
    // A parameter that is configured by number shows the number: the same register may also be
    // configured by name.
    if register.info().is_some_and(|info| info.key == parameter.name()) {
        return name.to_owned();
    }
    fill(names.numbered, &[("name", name), ("number", parameter.name())])
}

/// `Multical 403`, `Multical 603, 803 or 303 (most likely)`
pub(super) fn model_words(identity: &Identity, language: Language) -> String {
    let names = language.names();
    let numbers: Vec<_> = identity.models.iter().map(|model| number(*model)).collect();
    let model = match numbers.split_last() {
        None => return names.unknown_model.to_owned(),
        Some((only, [])) => format!("Multical {only}"),
        Some((last, others)) => {
            let others = others.join(", ");
            let models = fill(names.one_of_models, &[("others", &others), ("last", last)]);
            format!("Multical {models}")
        }
    };
    match identity.certainty {
        Certainty::Certain => model,
        Certainty::Likely => fill(names.likely_model, &[("model", &model)]),
        Certainty::Assumed => fill(names.assumed_model, &[("model", &model)]),
    }
}

fn number(model: Model) -> String {
    model.number().to_string()
}

/// The entity id that Home Assistant makes from these names: in lower case, with `_` instead of
/// spaces and signs. It replaces letters with accents itself.
pub(super) fn entity_id(component: &str, device: &str, entity: &str) -> String {
    let text = format!("{device} {entity}").to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    format!("{component}.{}", words.collect::<Vec<_>>().join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_ids_are_those_of_home_assistant() {
        let id = |device, entity| entity_id("sensor", device, entity);
        assert_eq!(id("Kamstrup Meter", "Energy"), "sensor.kamstrup_meter_energy");
        assert_eq!(id("Kamstrup Meter x-1", "Energy (60)"), "sensor.kamstrup_meter_x_1_energy_60");
        assert_eq!(id(" Måler: kælder ", "COP"), "sensor.måler_kælder_cop");
    }

    #[test]
    fn models_in_words() {
        let words = |models: &[Model], certainty, language| {
            let identity = Identity { models: models.to_vec(), certainty, ..Identity::default() };
            let said = model_words(&identity, language);
            if language == Language::English {
                assert_eq!(said, identity.model_words());
            }
            said
        };
        let models = [Model::Multical603, Model::Multical803, Model::Multical303];
        for certainty in [Certainty::Certain, Certainty::Likely, Certainty::Assumed] {
            for count in 0..=models.len() {
                words(&models[..count], certainty, Language::English);
            }
        }
        let german = words(&models, Certainty::Likely, Language::German);
        assert_eq!(german, "Multical 603, 803 oder 303 (wahrscheinlich)");
        assert_eq!(words(&[], Certainty::Assumed, Language::Danish), "Kamstrup-måler");
    }
}
