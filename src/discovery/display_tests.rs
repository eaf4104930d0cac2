//! How Home Assistant shows all values to its user: names, icons, units, decimal places.

use std::collections::{BTreeMap, BTreeSet};

use kmp::model::Model;
use kmp::register::{Kind, REGISTERS, RegisterId};
use kmp::unit::{Quantity, UNITS};
use serde_json::Value;
use simulator::{EnergyUnit, Registers};

use super::classes::{device_class, icon};
use super::tests::{all_names, announced, home_assistant, loaded, measure, values};
use super::*;
use crate::units::{self, Published, UnitSystem};
use meter::identity::Version;
use meter::reading::Reading;

const SYSTEMS: [UnitSystem; 2] = [UnitSystem::Standard, UnitSystem::Meter];

/// A value that a simulated meter sends, and its entity.
struct Shown {
    model: simulator::Model,
    parameter: Parameter,
    published: Published,
    entity: Value,
}

impl Shown {
    fn text(&self, key: &str) -> Option<&str> {
        self.entity[key].as_str()
    }

    fn precision(&self) -> Option<u64> {
        self.entity["suggested_display_precision"].as_u64()
    }

    /// The decimal places of the published number.
    fn digits(&self) -> u64 {
        let places = self.published.text.split_once('.').map_or(0, |(_, places)| places.len());
        places.try_into().unwrap()
    }
}

/// Every value of every simulated model, in every unit of energy.
fn all_simulated(system: UnitSystem) -> Vec<Shown> {
    let mut all = Vec::new();
    for (model, version) in [
        (simulator::Model::Generic, Model::Multical403),
        (simulator::Model::Multical402, Model::Multical402),
        (simulator::Model::Multical403, Model::Multical403),
        (simulator::Model::Multical603, Model::Multical603),
        (simulator::Model::Multical21, Model::Multical21),
    ] {
        for energy in [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule] {
            let holds = Registers::model(model, energy, 0);
            let (mut meter, publishing) = loaded(&all_names(), "");
            meter.version = Version::Model(version);
            meter.parameters.retain(|it| holds.values.contains_key(&it.register()));
            let published: Vec<_> = meter
                .parameters
                .iter()
                .map(|it| Reading::try_from(&holds.values[&it.register()]).unwrap())
                .map(|reading| units::publish(&reading, system).unwrap())
                .collect();
            let measures: Vec<_> = published.iter().map(|it| Some(it.measure)).collect();
            let messages = announced(&meter, &measures, &publishing, false);
            for ((parameter, published), message) in
                meter.parameters.into_iter().zip(published).zip(messages)
            {
                let entity = serde_json::from_str(&message.payload).unwrap();
                all.push(Shown { model, parameter, published, entity });
            }
        }
    }
    all
}

/// Home Assistant has an icon for each class, and knows it better than we do.
#[test]
fn no_icon_contradicts_the_class_of_its_entity() {
    let [_, rules] = home_assistant();
    let icons = rules["sensor_icons"].as_object().unwrap();
    let classes_of = |icon: &str| -> BTreeSet<&str> {
        icons.iter().filter(|(_, it)| *it == icon).map(|(class, _)| class.as_str()).collect()
    };
    for register in REGISTERS {
        for info in UNITS {
            for system in SYSTEMS {
                let Some(measure) = measure(register.id, info.unit, system) else { continue };
                let class = device_class(measure);
                let about = format!("{} in {:?}: {class:?}", register.key, measure.unit);
                let Some(icon) = icon(measure, class) else {
                    assert!(class.is_some(), "{about} would have Home Assistant's eye");
                    continue;
                };
                let belongs_to = classes_of(icon);
                if let Some(class) = class {
                    assert!(belongs_to.contains(class), "{about} has {icon}");
                    continue;
                }
                let own = match measure.quantity {
                    _ if measure.kind == Some(Kind::Date) => "date",
                    Quantity::Energy => "energy",
                    Quantity::Power => "power",
                    Quantity::Mass | Quantity::MassFlow => "weight",
                    _ => "date",
                };
                let others: Vec<_> = belongs_to.iter().filter(|class| **class != own).collect();
                assert!(others.is_empty(), "{about} has {icon} of {others:?}");
            }
        }
    }
}

#[test]
fn the_values_that_everybody_has_show_the_icons_of_home_assistant() {
    let (meter, _) = loaded("energy,power,flow,volume,temp1,tempdiff,hourcounter", "");
    let hours = measure(RegisterId::new(1004), kmp::unit::Unit::HOUR, UnitSystem::Standard);
    let expected = |it: &Parameter| units::expected(it.register(), UnitSystem::Standard).or(hours);
    let measures: Vec<_> = meter.parameters.iter().map(expected).collect();
    for entity in values(&meter, &measures) {
        assert!(entity["device_class"].is_string(), "{entity}");
        assert_eq!(entity.get("icon"), None, "{entity}");
    }
}

/// Each register by name, by number, and by a hexadecimal number.
#[test]
fn a_name_has_the_number_of_its_register_once_and_only_if_it_was_configured_by_number() {
    for register in REGISTERS {
        let (decimal, hexadecimal) =
            (register.id.to_string(), format!("0x{:04x}", register.id.get()));
        let (meter, _) = loaded(&format!("{},{decimal},{hexadecimal}", register.key), "");
        let known = Measure { quantity: register.quantity, unit: None, kind: None };
        let names: Vec<_> = values(&meter, &[Some(known); 3])
            .iter()
            .map(|entity| entity["name"].as_str().unwrap().to_owned())
            .collect();
        let [by_name, by_decimal, by_hexadecimal] = &names[..] else { panic!("{names:?}") };
        assert!(!by_name.contains(['(', ')']), "{by_name}");
        assert_eq!(by_decimal, &format!("{by_name} ({decimal})"));
        assert_eq!(by_hexadecimal, &format!("{by_name} ({hexadecimal})"));
    }
}

/// Home Assistant puts the device's name before that of the entity: "Kamstrup Meter Energy".
#[test]
fn no_name_repeats_a_word_or_the_end_of_the_devices_name() {
    let (meter, publishing) = loaded(&all_names(), "");
    let known = Measure { quantity: Quantity::Number, unit: None, kind: None };
    let measures = vec![Some(known); meter.parameters.len()];
    let program = program(&publishing, &Topics::new("kamstrup"), None);
    let messages = [announced(&meter, &measures, &publishing, true), program].concat();
    for message in messages {
        let entity: Value = serde_json::from_str(&message.payload).unwrap();
        let full = format!(
            "{} {}",
            entity["device"]["name"].as_str().unwrap(),
            entity["name"].as_str().unwrap()
        );
        let words: Vec<_> = full.split(' ').map(str::to_lowercase).collect();
        for pair in words.windows(2) {
            assert_ne!(pair[0], pair[1], "{full}");
        }
    }
}

#[test]
fn no_value_of_a_meter_is_shown_with_fewer_or_more_digits_than_it_has() {
    for shown in all_simulated(UnitSystem::Meter) {
        use Quantity::{Temperature, TemperatureDifference, Volume};
        let quantity = shown.published.measure.quantity;
        if !matches!(quantity, Temperature | TemperatureDifference | Volume) {
            continue;
        }
        let (digits, precision) = (shown.digits(), shown.precision().unwrap());
        let about = format!("{} of {:?}", shown.parameter.name(), shown.model);
        assert!(digits <= precision, "{about}: {precision} places for {}", shown.published.text);
        if shown.model == simulator::Model::Multical21 && quantity == Temperature {
            assert_eq!(precision, 0, "{about} is in whole degrees");
        }
    }
}

/// Two values that are compared or added up look wrong if one is rounded more than the other.
#[test]
fn values_of_one_kind_have_the_same_decimal_places() {
    let places = |register: u16, quantity, unit, is_water_meter| {
        let measure = Measure { quantity, unit: Some(unit), kind: None };
        let identity = Identity { is_water_meter, ..Identity::default() };
        let register = RegisterId::new(register);
        display_precision(register, measure, &identity)
    };
    for unit in ["°C", "K"] {
        let difference = places(89, Quantity::TemperatureDifference, unit, false);
        assert_eq!(difference, Some(2));
        for register in REGISTERS.iter().filter(|it| it.quantity == Quantity::Temperature) {
            let expected = match register.id.get() {
                398 | 399 => Some(1),
                292..=305 => Some(0),
                _ => difference,
            };
            let of_it = places(register.id.get(), Quantity::Temperature, unit, false);
            assert_eq!(of_it, expected, "{}", register.key);
        }
    }
    for register in REGISTERS.iter().filter(|it| it.quantity == Quantity::Volume) {
        let of_water = places(register.id.get(), Quantity::Volume, "m³", true);
        assert_eq!(of_water, Some(3), "a water meter counts litres: {}", register.key);
    }
    let mut by_unit: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for register in REGISTERS {
        let is_one_decimal = register.label.ends_with("one decimal");
        let has_more =
            register.label.contains("high resolution") || register.label.contains("more digit");
        let is_in_whole_degrees = (292..=305).contains(&register.id.get());
        if is_one_decimal || has_more || is_in_whole_degrees {
            continue;
        }
        for info in UNITS {
            for system in SYSTEMS {
                let Some(measure) = measure(register.id, info.unit, system) else { continue };
                let places = display_precision(register.id, measure, &Identity::default());
                by_unit.entry(measure.unit).or_default().insert(places);
            }
        }
    }
    for (unit, places) in by_unit {
        assert_eq!(places.len(), 1, "{unit:?}: {places:?}");
    }
}

#[test]
fn what_is_measured_in_a_unit_has_one() {
    for shown in SYSTEMS.into_iter().flat_map(all_simulated) {
        let register = shown.parameter.register().info().unwrap();
        let has_none = matches!(
            register.quantity,
            Quantity::Number
                | Quantity::Text
                | Quantity::Date
                | Quantity::DateTime
                | Quantity::MonthDay
                | Quantity::TimeOfDay
                | Quantity::BitField
                | Quantity::Other
        );
        let unit = shown.text("unit_of_measurement");
        let about = format!("{} of {:?}: {unit:?}", register.label, shown.model);
        assert!(has_none || unit.is_some(), "{about}");
        if register.quantity == Quantity::Duration {
            assert_eq!(shown.text("device_class"), Some("duration"), "{about}");
        }
    }
}

/// The units of the International System, as Home Assistant spells them.
#[test]
fn mass_is_in_tonnes_with_their_symbol() {
    let mass = |code, system| {
        let unit = kmp::unit::Unit::from_code(code);
        measure(RegisterId::new(72), unit, system).unwrap().unit
    };
    for system in SYSTEMS {
        assert_eq!([mass(44, system), mass(45, system)], [Some("t"), Some("t/h")]);
        assert_eq!(mass(56, system), Some("t"), "tens of tonnes become tonnes");
    }
    for register in REGISTERS {
        for info in UNITS {
            for system in SYSTEMS {
                let measure = measure(register.id, info.unit, system);
                let unit = measure.and_then(|it| it.unit).unwrap_or_default();
                assert!(!unit.contains("ton") && !unit.contains('×'), "{} {unit}", register.key);
            }
        }
    }
}

#[test]
fn the_programs_device_has_a_manufacturer_and_links_to_the_page() {
    let publishing = loaded("energy", "").1;
    for page in
        [None, Some("homeassistant://app/local_kamstrup2mqtt"), Some("http://10.0.0.2:8099")]
    {
        for message in program(&publishing, &Topics::new("kamstrup"), page) {
            let entity: Value = serde_json::from_str(&message.payload).unwrap();
            assert_eq!(entity["device"]["configuration_url"].as_str(), page);
            assert_eq!(entity["device"]["manufacturer"], "kamstrup2mqtt");
        }
    }
}
