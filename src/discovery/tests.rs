use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kmp::message::SerialNumber;
use kmp::model::Model;
use kmp::register::{Kind, REGISTERS, RegisterId};
use kmp::unit::Quantity;
use serde_json::{Value, json};

use super::possible::{possible, possible_of_program};
use super::*;
use crate::config::{self, Config};
use crate::units::{self, UnitSystem};
use meter::highres::HighResolution;
use meter::identity::Identification;
use meter::reading::Reading;
use simulator::{self, EnergyUnit, Registers};

/// A meter with these parameters, and settings like `topic: heat, id_prefix: heat`.
pub(super) fn loaded(parameters: &str, settings: &str) -> (Meter, Publishing) {
    let is_home_assistants = |it: &&str| it.contains("_prefix:") || it.starts_with("language:");
    let (home_assistant, mqtt): (Vec<_>, Vec<_>) =
        settings.split(", ").partition(is_home_assistants);
    let yaml = format!(
        "mqtt: {{{}}}\nhomeassistant: {{{}}}\nserial_device: {{com_port: /dev/ttyUSB0}}\n\
         kamstrup: {{parameters: '{parameters}'}}",
        mqtt.join(", "),
        home_assistant.join(", ")
    );
    let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
    let Config { publishing, mut meters, .. } = loaded.config;
    (meters.remove(0), publishing)
}

fn meter(parameters: &str) -> Meter {
    loaded(parameters, "").0
}

pub(super) fn all_names() -> String {
    REGISTERS.iter().map(|register| register.key).collect::<Vec<_>>().join(",")
}

pub(super) fn announced(
    meter: &Meter,
    measures: &[Option<Measure>],
    publishing: &Publishing,
    has_info_code: bool,
) -> Vec<Message> {
    let identity = &Identification::new(meter.version).identity();
    let described =
        Described { meter, identity, measures, means: &meter.means(), has_info_code, page: None };
    super::meter(described, publishing, &Topics::new(&publishing.topic))
}

/// All announcements once everything is known.
pub(super) fn described_fully(parameters: &str, settings: &str) -> Vec<Message> {
    let (meter, publishing) = loaded(parameters, settings);
    let known = Measure { quantity: Quantity::Number, unit: None, kind: None };
    let measures: Vec<_> = meter.parameters.iter().map(|_| Some(known)).collect();
    let program = program(&publishing, &Topics::new(&publishing.topic), None);
    [program, announced(&meter, &measures, &publishing, true)].concat()
}

fn parsed(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(|message| serde_json::from_str(&message.payload).unwrap()).collect()
}

/// The entities of the values.
pub(super) fn values(meter: &Meter, measures: &[Option<Measure>]) -> Vec<Value> {
    let mut all = parsed(&announced(meter, measures, &loaded("energy", "").1, false));
    all.truncate(measures.iter().flatten().count());
    all
}

fn expected(meter: &Meter) -> Vec<Option<Measure>> {
    let standard =
        |parameter: &Parameter| units::expected(parameter.register(), UnitSystem::Standard);
    meter.parameters.iter().map(standard).collect()
}

pub(super) fn measure(
    register: RegisterId,
    unit: kmp::unit::Unit,
    system: UnitSystem,
) -> Option<Measure> {
    use kmp::number::SignExponent;
    use kmp::value::RegisterValue;

    let exponent = SignExponent::from_byte(0);
    let value = RegisterValue::new(register, unit, exponent, vec![0, 1]).unwrap();
    let reading = Reading::try_from(&value).ok()?;
    Some(units::publish(&reading, system).unwrap().measure)
}

/// The rules in Home Assistant's own code: in the oldest version that the app accepts, and in the
/// newest that was looked at.
pub(super) fn home_assistant() -> [Value; 2] {
    [
        include_str!("../../tests/data/home-assistant-2026.3.json"),
        include_str!("../../tests/data/home-assistant-2026.9.json"),
    ]
    .map(|rules| serde_json::from_str(rules).unwrap())
}

fn has(list: &Value, it: &str) -> bool {
    list.as_array().unwrap().iter().any(|one| one == it)
}

/// Checks that each version of Home Assistant accepts this message without a warning and ignores
/// none of its keys.
fn check(message: &Message, versions: &[Value]) {
    for rules in versions {
        check_by(message, rules);
    }
}

fn check_by(message: &Message, rules: &Value) {
    let entity: Value = serde_json::from_str(&message.payload).unwrap();
    let text = |key: &str| entity.get(key).map(|value| value.as_str().unwrap());
    let place: Vec<_> = message.topic.split('/').collect();
    let ["homeassistant", component, object, "config"] = place[..] else {
        panic!("{}", message.topic)
    };
    assert!(object.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    assert_eq!(text("unique_id"), Some(object));
    assert!(!text("name").unwrap().is_empty());

    for key in entity.as_object().unwrap().keys() {
        assert!(has(&rules["keys"][component], key), "{key} is ignored: {entity}");
    }
    for key in rules["required_keys"][component].as_array().unwrap() {
        let topic = text(key.as_str().unwrap()).unwrap();
        assert!(!topic.contains(['+', '#']), "{entity}");
    }
    for part in ["device", "origin"] {
        for (key, value) in entity[part].as_object().unwrap() {
            assert!(has(&rules["keys"][part], key), "{key} in {part} rejects: {entity}");
            assert!(key == "identifiers" || value.is_string(), "{entity}");
        }
    }
    let identifiers = entity["device"]["identifiers"].as_array().unwrap();
    assert!(!identifiers.is_empty() && !entity["device"]["name"].as_str().unwrap().is_empty());
    assert_eq!(entity["origin"]["name"], "kamstrup2mqtt");
    assert!(entity["origin"]["support_url"].as_str().unwrap().starts_with("https://"));

    if let Some(category) = text("entity_category") {
        assert!(has(&rules["entity_categories"][component], category), "{entity}");
    }
    if let Some(icon) = text("icon") {
        assert!(icon.starts_with("mdi:"), "{entity}");
    }
    if let Some(qos) = entity.get("qos") {
        assert!(qos.as_u64().unwrap() <= 2, "{entity}");
    }
    if let Some(expires) = entity.get("expire_after") {
        assert!(expires.as_u64().unwrap() > 0, "{entity}");
    }
    match component {
        "sensor" => check_sensor(&entity, rules),
        "binary_sensor" => {
            assert!(has(&rules["binary_sensor_device_classes"], text("device_class").unwrap()));
        }
        "button" => assert_eq!(text("device_class"), None),
        other => panic!("{other}"),
    }
}

fn check_sensor(entity: &Value, rules: &Value) {
    let text = |key: &str| entity.get(key).map(|value| value.as_str().unwrap());
    let (unit, state_class) = (text("unit_of_measurement"), text("state_class"));
    assert_ne!(unit, Some(""), "{entity}");
    match text("device_class") {
        Some(class) => {
            let rule = rules["sensor_device_classes"].get(class).unwrap();
            match unit {
                Some(unit) => assert!(has(&rule["units"], unit), "{entity}"),
                // A class of numbers requires a unit; one of dates has none.
                None => assert!(rule["units"].as_array().unwrap().is_empty(), "{entity}"),
            }
            assert!(state_class.is_none_or(|it| has(&rule["state_classes"], it)), "{entity}");
        }
        None => assert!(state_class.is_none_or(|it| has(&rules["state_classes"], it)), "{entity}"),
    }
    if let Some(precision) = entity.get("suggested_display_precision") {
        assert!(precision.as_u64().unwrap() <= 8, "{entity}");
        // Home Assistant then requires a number as the state.
        assert!(unit.is_some(), "{entity}");
    }
}

/// The energy dashboard may use it once it is known to be a part of E1.
#[test]
fn energy_in_high_resolution_is_a_total_or_a_measurement() {
    let meter = meter("e1highres");
    let classes = |kind| {
        let measure = Measure { quantity: Quantity::Energy, unit: Some("kWh"), kind };
        let payloads = values(&meter, &[Some(measure)]);
        let class =
            |key: &str| payloads[0].get(key).and_then(|class| class.as_str()).map(str::to_owned);
        (class("device_class"), class("state_class"))
    };
    let total = (Some("energy".to_owned()), Some("total_increasing".to_owned()));
    assert_eq!(classes(Some(Kind::Counter)), total);
    assert_eq!(classes(Some(Kind::WrappingCounter)), (None, Some("measurement".to_owned())));
}

#[test]
fn all_names_are_announced_by_the_rules_of_home_assistant() {
    let meter = meter(&all_names());
    let publishing = loaded("energy", "").1;
    let rules = home_assistant();
    for message in announced(&meter, &expected(&meter), &publishing, true) {
        check(&message, &rules);
    }
    let entities = values(&meter, &expected(&meter));
    // The others are announced when their unit is known.
    assert!(entities.len() > 50, "{}", entities.len());
    let lines: Vec<String> = entities
        .iter()
        .map(|entity| {
            let text = |key: &str| entity[key].as_str().unwrap_or("-").to_owned();
            format!(
                "{:<31}{:<40}{:<8}{:<3}{:<18}{:<18}{}",
                text("unique_id"),
                text("name"),
                text("unit_of_measurement"),
                entity["suggested_display_precision"]
                    .as_u64()
                    .map_or("-".to_owned(), |it| it.to_string()),
                text("device_class"),
                text("state_class"),
                text("entity_category"),
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Everything by which Home Assistant or an automation recognizes an entity stays.
#[test]
fn the_language_changes_only_names() {
    let parameters = format!("{},4000,60", all_names());
    let of = |tag: &str| described_fully(&parameters, &format!("language: {tag}"));
    let english = of("en");
    for tag in ["da", "de", "nl", "sv"] {
        let own = of(tag);
        assert_eq!(own.len(), english.len());
        let mut translated = 0;
        for (own, english) in own.iter().zip(&english) {
            check(own, &home_assistant());
            assert_eq!((&own.topic, own.qos, own.retain), (&english.topic, english.qos, true));
            let [mut own, mut english] = [own, english]
                .map(|message| serde_json::from_str::<Value>(&message.payload).unwrap());
            translated += usize::from(own["name"] != english["name"]);
            // As Home Assistant makes it, if nobody says otherwise.
            let named = format!("{} {}", english["device"]["name"], english["name"]);
            let letters = named.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), " ");
            let id = letters.split_whitespace().collect::<Vec<_>>().join("_");
            let given = own.as_object_mut().unwrap().remove("default_entity_id").unwrap();
            let component = if english["command_topic"].is_string() {
                "button"
            } else if english["unique_id"] == "kamstrup_connection"
                || english["unique_id"] == "kamstrup_problem"
            {
                "binary_sensor"
            } else {
                "sensor"
            };
            assert_eq!(given, format!("{component}.{id}"));
            for entity in [&mut own, &mut english] {
                entity["name"] = Value::Null;
                entity["device"]["name"] = Value::Null;
                entity["device"]["model"] = Value::Null;
            }
            assert_eq!(own, english);
        }
        // Some words are the same, like `Type` and `Volume` in Dutch.
        assert!(translated * 10 > english.len() * 9, "{tag}: {translated} of {}", english.len());
    }
}

#[test]
fn names_in_each_language() {
    let shown = ["da", "de", "nl", "sv"].map(|tag| {
        let settings = format!("language: {tag}");
        let entities = parsed(&described_fully("energy,60,4000,maxpowerdate_y", &settings));
        let lines = entities.iter().map(|entity| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            [
                text(&entity["name"]),
                text(&entity["default_entity_id"]),
                text(&entity["device"]["name"]),
                text(&entity["device"]["model"]),
            ]
            .join(" | ")
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(shown.join("\n\n"));
}

/// A name that the user has chosen is not translated.
#[test]
fn a_chosen_name_of_a_device_stays() {
    let names = |yaml: &str| {
        let yaml = format!("homeassistant: {{language: da}}\n{yaml}");
        let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
        let name = |meter: &Meter| [meter.device_name.clone(), meter.english_name.clone()];
        loaded.config.meters.iter().map(name).collect::<Vec<_>>()
    };
    let single = "serial_device: {com_port: /dev/a}\n";
    assert_eq!(names(single), [["Kamstrup-måler", "Kamstrup Meter"]]);
    let chosen = format!("{single}mqtt: {{device_name: Heat}}\n");
    assert_eq!(names(&chosen), [["Heat", "Heat"]]);
    let list = "meters:\n- {name: a, com_port: /dev/a}\n\
                - {name: b, com_port: /dev/b, device_name: Barn}\n";
    let expected = [["Kamstrup-måler a", "Kamstrup Meter a"], ["Barn", "Barn"]];
    assert_eq!(names(list), expected);
    let chosen = format!("mqtt: {{device_name: Heat}}\n{list}");
    assert_eq!(names(&chosen), [["Heat a", "Heat a"], ["Barn", "Barn"]]);
}

#[test]
fn home_assistant_accepts_every_unit_of_every_register() {
    let parameters = format!("{},4000", all_names());
    let (meter, publishing) = loaded(&parameters, "qos: 2");
    let rules = home_assistant();
    for info in kmp::unit::UNITS {
        for system in [UnitSystem::Standard, UnitSystem::Meter] {
            let measures: Vec<_> = meter
                .parameters
                .iter()
                .map(|parameter| measure(parameter.register(), info.unit, system))
                .collect();
            for message in announced(&meter, &measures, &publishing, true) {
                check(&message, &rules);
            }
        }
    }
}

#[test]
fn decimal_places_are_those_of_meters() {
    let of = |register: u16, is_water_meter, quantity, unit| {
        let measure = Measure { quantity, unit, kind: None };
        let identity = Identity { is_water_meter, ..Identity::default() };
        display_precision(RegisterId::new(register), measure, &identity)
    };
    let shown = |register, quantity, unit| of(register, false, quantity, unit);
    assert_eq!(shown(68, Quantity::Volume, Some("m³")), Some(2));
    let of_water = of(68, true, Quantity::Volume, Some("m³"));
    assert_eq!(of_water, Some(3), "a water meter counts litres");
    assert_eq!(shown(239, Quantity::Volume, Some("m³")), Some(3));
    let energy = |register, unit| shown(register, Quantity::Energy, Some(unit));
    assert_eq!([energy(60, "kWh"), energy(60, "GJ")], [Some(0), Some(2)]);
    assert_eq!([energy(266, "kWh"), energy(266, "GJ")], [Some(3), Some(4)]);
    assert_eq!(shown(89, Quantity::TemperatureDifference, Some("K")), Some(2));
    assert_eq!(shown(86, Quantity::Temperature, Some("°C")), Some(2));
    // A value without a unit may be text. One with an unknown unit is shown as received.
    assert_eq!(shown(99, Quantity::Number, None), None);
    assert_eq!(shown(4000, Quantity::Other, Some("imp/l")), None);
}

#[test]
fn the_program_is_announced_by_the_rules_of_home_assistant() {
    let publishing = loaded("energy", "id_prefix: heat").1;
    let messages = program(&publishing, &Topics::new("kamstrup"), None);
    for message in &messages {
        check(message, &home_assistant());
    }
    insta::assert_snapshot!(shown(&messages));
}

/// The fields that users of the older program rely on, with their values.
#[test]
fn energy_is_announced_as_the_older_program_did() {
    let meter = meter("ENERGY");
    let [entity] = &values(&meter, &expected(&meter))[..] else { panic!() };
    let older = json!({
        "name": "Energy", "unique_id": "kamstrup_energy", "state_topic": "kamstrup/energy",
        "availability_topic": "kamstrup/status", "payload_available": "online",
        "payload_not_available": "offline", "unit_of_measurement": "kWh",
    });
    for (key, value) in older.as_object().unwrap() {
        assert_eq!(&entity[key], value, "{key}");
    }
    let device = json!({
        "identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup",
        // The older program always said 402, whatever the meter was.
        "model": "Multical 402 (assumed)", "via_device": "kamstrup_bridge",
    });
    assert_eq!(entity["device"], device);
}

#[test]
fn uncertain_entities_are_not_announced() {
    let (meter, publishing) =
        loaded("energy,4000,hourcounter", "topic: heat, discovery_prefix: ha");
    let topics: Vec<_> = announced(&meter, &expected(&meter), &publishing, false)
        .into_iter()
        .map(|message| message.topic)
        .filter(|topic| topic.starts_with("ha/sensor/"))
        .collect();
    let diagnostics = ["last_read", "read_duration", "failed_reads"]
        .map(|it| format!("ha/sensor/kamstrup_{it}/config"));
    assert_eq!(topics[0], "ha/sensor/kamstrup_energy/config");
    assert_eq!(topics[1..], diagnostics, "without an info code, its entities are missing");
    let kilowatt_hours =
        measure(RegisterId::new(4000), kmp::unit::Unit::MEGAWATT_HOUR, UnitSystem::Standard);
    let [entity] = &values(&meter, &[None, kilowatt_hours, None])[..] else { panic!() };
    assert_eq!(entity["name"], "Register 4000");
    assert_eq!(entity["unit_of_measurement"], "kWh");
    assert_eq!(entity.get("state_class"), None, "its kind is unknown");
}

#[test]
fn only_values_expire_and_only_after_three_intervals() {
    let (mut meter, publishing) = loaded("energy", "");
    let expires = |meter: &Meter| {
        let entities = parsed(&announced(meter, &expected(meter), &publishing, true));
        let expires = |entity: &Value| entity["expire_after"].as_u64();
        assert_eq!(entities[1..].iter().find_map(expires), None);
        expires(&entities[0]).unwrap()
    };
    assert_eq!(expires(&meter), 3 * 300 + 30);
    meter.poll_interval = Duration::from_millis(1_200);
    assert_eq!(expires(&meter), 34, "3.6 s and 30 s, rounded up");
    meter.poll_interval = Duration::from_secs(10_080 * 60);
    let hour = 3600;
    assert_eq!(expires(&meter), 3 * 10_080 * 60 + 30 + hour, "a day may have 25 hours");
    meter.poll_interval = Duration::from_secs(hour);
    assert_eq!(expires(&meter), 3 * hour + 30);
}

/// A slow value is published once an hour, so it must not expire after three polls.
#[test]
fn values_that_change_slowly_expire_after_three_of_their_own_intervals() {
    let (mut meter, publishing) = loaded("energy,maxpower_y", "");
    let expires = |meter: &Meter| {
        let entities = parsed(&announced(meter, &expected(meter), &publishing, true));
        [0, 1].map(|index| entities[index]["expire_after"].as_u64().unwrap())
    };
    assert_eq!(expires(&meter), [3 * 300 + 30, 3 * 3600 + 30]);
    meter.slow_interval = None;
    assert_eq!(expires(&meter), [3 * 300 + 30; 2]);
    meter.slow_interval = Some(Duration::from_secs(7200));
    assert_eq!(expires(&meter), [3 * 300 + 30, 3 * 7200 + 30 + 3600]);
}

/// Messages of ours that are not among the possible ones are removed from the broker.
#[test]
fn only_possible_entities_are_announced() {
    for settings in ["", "id_prefix: heat, topic: heat, discovery_prefix: ha"] {
        let (meter, publishing) = loaded(&format!("{},4000,0x003C", all_names()), settings);
        let mut possible = possible(&meter, &publishing);
        possible.extend(possible_of_program(&publishing));
        let announced = described_fully(&format!("{},4000,0x003C", all_names()), settings);
        let count = announced.len();
        let announced: BTreeSet<_> = announced.into_iter().map(|message| message.topic).collect();
        assert_eq!(announced.len(), count, "unique ids are unique by component");
        assert_eq!(announced, possible.into_iter().collect(), "{settings}");

        let certain = self::announced(&meter, &expected(&meter), &publishing, false);
        assert!(certain.iter().all(|message| announced.contains(&message.topic)));
        assert!(certain.len() < announced.len());
    }
}

#[test]
fn home_assistant_subscribes_with_the_configured_qos() {
    let qos = |settings| {
        let entities = parsed(&described_fully("energy", settings));
        entities.iter().map(|entity| entity["qos"].as_u64()).collect::<BTreeSet<_>>()
    };
    assert_eq!(qos(""), BTreeSet::from([None, Some(1)]), "the button's is 1");
    assert_eq!(qos("qos: 2"), BTreeSet::from([Some(1), Some(2)]));
}

/// One message per line, in the order in which they are sent; the common keys only once.
fn shown(messages: &[Message]) -> String {
    const COMMON: [&str; 5] =
        ["availability_topic", "payload_available", "payload_not_available", "device", "origin"];
    let mut entities = parsed(messages);
    let of = |entity: &mut Value| -> serde_json::Map<String, Value> {
        let entity = entity.as_object_mut().unwrap();
        COMMON.iter().map(|key| ((*key).to_owned(), entity.remove(*key).unwrap())).collect()
    };
    let common: Vec<_> = entities.iter_mut().map(of).collect();
    assert!(common.iter().all(|one| one == &common[0]));
    let mut lines = vec![format!("all: {:#}", json!(common[0]))];
    for (message, entity) in messages.iter().zip(&entities) {
        lines.push(format!("{}: {entity:#}", message.topic));
    }
    lines.join("\n")
}

/// The announcements of a simulated meter after it was read.
fn of_simulated(
    model: simulator::Model,
    energy: EnergyUnit,
    meter: &Meter,
    publishing: &Publishing,
) -> Vec<Message> {
    let holds = Registers::model(model, energy, 0);
    let mut readings: Vec<_> = meter
        .parameters
        .iter()
        .map(|parameter| Reading::try_from(&holds.values[&parameter.register()]).unwrap())
        .collect();
    HighResolution::default().complete(&mut readings, &mut Vec::new());
    assert_eq!(readings.len(), meter.parameters.len(), "none is withheld");
    let measure = |reading| Some(units::publish(reading, meter.units).unwrap().measure);
    let measures: Vec<_> = readings.iter().map(measure).collect();
    let identity = Identity {
        meter_type: Some(holds.meter_type),
        serial: Some(holds.serial),
        ..Identification::new(meter.version).identity()
    };
    let described = Described {
        means: &[],
        meter,
        identity: &identity,
        measures: &measures,
        has_info_code: true,
        page: None,
    };
    let messages = super::meter(described, publishing, &Topics::new(&publishing.topic));
    for message in &messages {
        check(message, &home_assistant());
    }
    let names: BTreeSet<_> = parsed(&messages)
        .iter()
        .map(|entity| entity["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), messages.len(), "no two entities of a device have the same name");
    messages
}

fn of_model(
    version: Model,
    model: simulator::Model,
    energy: EnergyUnit,
    parameters: &str,
    settings: &str,
) -> String {
    let (mut meter, publishing) = loaded(parameters, settings);
    meter.version = meter::identity::Version::Model(version);
    shown(&of_simulated(model, energy, &meter, &publishing))
}

#[test]
fn a_402_that_is_set_to_gigajoules() {
    insta::assert_snapshot!(of_model(
        Model::Multical402,
        simulator::Model::Multical402,
        EnergyUnit::Gigajoule,
        "energy,volume,power,flow,temp1,temp2,tempdiff,hourcounter,infoevent,maxflow_y,maxflowdate_y",
        "",
    ));
}

#[test]
fn a_403_that_is_set_to_kilowatt_hours() {
    insta::assert_snapshot!(of_model(
        Model::Multical403,
        simulator::Model::Multical403,
        EnergyUnit::KilowattHour,
        "energy,volume,power,flow,temp1,temp2,tempdiff,e1highres,temp1xm3,infocode,clock,0x003C",
        "qos: 1",
    ));
}

#[test]
fn a_603_with_cooling() {
    insta::assert_snapshot!(of_model(
        Model::Multical603,
        simulator::Model::Multical603,
        EnergyUnit::MegawattHour,
        "energy,energy3,volume,mass1,power,flow,temp1,temp2,tempdiff,e1highres,e3highres,\
         targetdate,datetime,customer_no,info_bits,errorhourcounter",
        "",
    ));
}

/// The energy dashboard accepts the volume of a water meter as water, but not that of a heat meter.
#[test]
fn only_the_volume_of_a_water_meter_counts_as_consumed_water() {
    let volume = |model| {
        let (mut meter, publishing) = loaded("volume,volume_reverse", "");
        meter.version = meter::identity::Version::Model(model);
        let simulated = match model {
            Model::Multical21 => simulator::Model::Multical21,
            _ => simulator::Model::Generic,
        };
        let holds = Registers::model(simulated, EnergyUnit::KilowattHour, 0);
        meter.parameters.retain(|parameter| holds.values.contains_key(&parameter.register()));
        let messages = of_simulated(simulated, EnergyUnit::KilowattHour, &meter, &publishing);
        let mut entities = parsed(&messages);
        entities.truncate(meter.parameters.len());
        let classes = entities.iter().map(|entity| {
            let class = |key: &str| entity[key].as_str().unwrap().to_owned();
            (class("device_class"), class("state_class"))
        });
        classes.collect::<Vec<_>>()
    };
    let class = |name: &str| (name.to_owned(), "total_increasing".to_owned());
    assert_eq!(volume(Model::Multical21), [class("water"), class("volume")]);
    assert_eq!(volume(Model::Multical403), [class("volume")]);
}

#[test]
fn three_named_meters_share_nothing_but_the_program() {
    let (mut lines, mut ids) = (Vec::new(), BTreeSet::new());
    let publishing = loaded("energy", "").1;
    for (name, serial) in [("house", 1), ("Garage", 2), ("flat-3", 3)] {
        let (mut meter, _) = loaded("energy,maxflowDate_m", "");
        meter.device_id = format!("kamstrup_meter_{name}");
        meter.device_name = format!("Kamstrup Meter {name}");
        meter.name = Some(name.parse().unwrap());
        let identity = Identity { serial: Some(SerialNumber::new(serial)), ..Identity::default() };
        let measures = &expected(&meter);
        let described = Described {
            means: &[],
            meter: &meter,
            identity: &identity,
            measures,
            has_info_code: true,
            page: None,
        };
        let messages = super::meter(described, &publishing, &Topics::new("kamstrup"));
        let possible = possible(&meter, &publishing);
        for (message, entity) in messages.iter().zip(parsed(&messages)) {
            check(message, &home_assistant());
            assert!(possible.contains(&message.topic));
            let text = |key: &str| entity[key].as_str();
            let topic = text("state_topic").or(text("command_topic")).unwrap();
            assert!(ids.insert(message.topic.clone()), "unique ids, by component");
            assert!(ids.insert(topic.to_owned()));
            lines.push(format!("{}  {topic}", message.topic));
        }
        lines.push(parsed(&messages)[0]["device"].to_string());
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// Home Assistant accepts web addresses, and addresses within itself.
#[test]
fn the_device_links_to_the_page_if_there_is_one() {
    let (meter, publishing) = loaded("energy", "");
    let identity = &Identification::new(meter.version).identity();
    let topics = Topics::new(&publishing.topic);
    for page in
        [None, Some("homeassistant://app/local_kamstrup2mqtt"), Some("http://10.0.0.2:8099")]
    {
        let measures = &[None];
        let described =
            Described { meter: &meter, identity, measures, means: &[], has_info_code: true, page };
        let messages = super::meter(described, &publishing, &topics);
        assert!(!messages.is_empty());
        for message in parsed(&messages) {
            assert_eq!(message["device"]["configuration_url"].as_str(), page);
        }
    }
}

/// The means that suppliers bill by, with a limit.
#[test]
fn means_are_announced_in_each_language_by_the_rules_of_home_assistant() {
    let (mut meter, mut publishing) = loaded("energy", "");
    let row = tariff::Row { supply: None, expected: 40.into() };
    let limit = tariff::Limit::new(vec![row]);
    meter.tariff = Some(config::Tariff { first_month: None, limit });
    let rules = home_assistant();
    for language in crate::language::Language::ALL {
        publishing.language = language;
        let messages = announced(&meter, &[None], &publishing, false);
        let means = messages.iter().filter(|it| it.payload.contains("json_attributes_topic"));
        let possible = possible(&meter, &publishing);
        let mut names = BTreeSet::new();
        for message in means {
            check(message, &rules);
            assert!(possible.contains(&message.topic), "{}", message.topic);
            let entity: Value = serde_json::from_str(&message.payload).unwrap();
            names.insert(entity["name"].as_str().unwrap().to_owned());
        }
        assert_eq!(names.len(), 14, "{names:?}");
    }
}
