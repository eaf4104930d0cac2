//! What Home Assistant is told of the entities, by the rules of its MQTT discovery (2026.9).
//!
//! Pure: settings and measures in, retained messages out.

use kmp::register::Kind;
use kmp::unit::Quantity;
use serde::Serialize;

use crate::config::{Meter, Parameter, Publishing, Qos};
use crate::identity::Identity;
use crate::payload::{Message, OFFLINE, ONLINE};
use crate::topic::{Ids, Topics};
use crate::units::Measure;

/// A meter, as far as its entities are made of it.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Its settings.
    pub meter: &'a Meter,
    /// Which meter it is, as far as it is known.
    pub identity: &'a Identity,
    /// For each parameter what its values measure, or `None` while that is not certain: an entity
    /// with the wrong unit would spoil the statistics, so it is announced when its first value has
    /// come.
    pub measures: &'a [Option<Measure>],
    /// Whether the meter has an info code.
    pub has_info_code: bool,
}

/// The discovery messages of a meter's entities.
#[must_use]
pub fn meter(described: Described<'_>, publishing: &Publishing, topics: &Topics) -> Vec<Message> {
    let Described { meter, identity, measures, .. } = described;
    let model = identity.model_words();
    let ids = Ids::new(&publishing.id_prefix, meter.name.as_ref());
    let mut messages = Vec::new();
    for (parameter, measure) in meter.parameters.iter().zip(measures) {
        let Some(measure) = measure else { continue };
        let entity = entity(parameter, *measure, meter, &model, &ids, topics);
        // A struct of texts always becomes JSON.
        let Ok(payload) = serde_json::to_string(&entity) else {
            continue;
        };
        messages.push(Message {
            topic: format!("{}/sensor/{}/config", publishing.discovery_prefix, entity.unique_id),
            payload,
            qos: Qos::AtLeastOnce,
            retain: true,
        });
    }
    messages
}

/// The discovery messages of the program's own entities.
#[must_use]
pub fn program(_publishing: &Publishing, _topics: &Topics) -> Vec<Message> {
    Vec::new()
}

/// A sensor, as Home Assistant wants it.
#[derive(Serialize)]
struct Entity<'a> {
    name: String,
    unique_id: String,
    state_topic: String,
    availability_topic: String,
    payload_available: &'static str,
    payload_not_available: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    icon: &'static str,
    device: Device<'a>,
    origin: Origin,
}

#[derive(Serialize)]
struct Device<'a> {
    identifiers: [&'a str; 1],
    name: &'a str,
    manufacturer: &'static str,
    model: &'a str,
}

#[derive(Serialize)]
struct Origin {
    name: &'static str,
    sw_version: &'static str,
}

fn entity<'a>(
    parameter: &Parameter,
    measure: Measure,
    meter: &'a Meter,
    model: &'a str,
    ids: &Ids,
    topics: &Topics,
) -> Entity<'a> {
    let register = parameter.register().info();
    let kind = measure.kind;
    // Asked for by number, it says so: the same register may be asked for by name as well.
    let by_name = |label: &str, key| {
        if key == parameter.name() {
            label.to_owned()
        } else {
            format!("{label} ({})", parameter.name())
        }
    };
    let label = register.map(|register| by_name(register.label, register.key));
    let device_class = device_class(measure, kind);
    Entity {
        name: label.unwrap_or_else(|| format!("Register {}", parameter.register())),
        unique_id: ids.parameter(parameter),
        state_topic: topics.meter(meter.name.as_ref()).value(parameter),
        availability_topic: topics.status(),
        payload_available: ONLINE,
        payload_not_available: OFFLINE,
        unit_of_measurement: measure.unit,
        device_class,
        state_class: state_class(measure, device_class, kind),
        suggested_display_precision: precision(measure),
        icon: icon(measure, kind),
        device: Device {
            identifiers: [&meter.device_id],
            name: &meter.device_name,
            manufacturer: "Kamstrup",
            model,
        },
        origin: Origin { name: env!("CARGO_PKG_NAME"), sw_version: env!("CARGO_PKG_VERSION") },
    }
}

/// Only where Home Assistant takes this unit for the class: with another one it refuses the whole
/// entity.
fn device_class(measure: Measure, kind: Option<Kind>) -> Option<&'static str> {
    let unit = measure.unit.unwrap_or_default();
    let (class, units): (_, &[&str]) = match measure.quantity {
        // The energy dashboard would take a counter that starts again for a meter that was
        // exchanged, so this one is shown without a class.
        Quantity::Energy if kind == Some(Kind::WrappingCounter) => return None,
        Quantity::Energy => (
            "energy",
            &["J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "GWh", "cal", "kcal", "Mcal", "Gcal"],
        ),
        Quantity::Power => ("power", &["W", "kW", "MW", "GW"]),
        Quantity::Temperature => ("temperature", &["°C"]),
        Quantity::TemperatureDifference => ("temperature_delta", &["°C", "K"]),
        Quantity::Volume => ("volume", &["L", "m³"]),
        Quantity::Flow => ("volume_flow_rate", &["L/h", "m³/h"]),
        Quantity::Duration => ("duration", &["d", "h", "min", "s", "ms"]),
        Quantity::Pressure => ("pressure", &["bar"]),
        Quantity::Date => return Some("date"),
        _ => return None,
    };
    units.contains(&unit).then_some(class)
}

/// None for what is no number, and for registers of which nobody knows how they count.
fn state_class(
    measure: Measure,
    device_class: Option<&'static str>,
    kind: Option<Kind>,
) -> Option<&'static str> {
    use Quantity::{BitField, Date, DateTime, MonthDay, Text, TimeOfDay};
    if matches!(measure.quantity, BitField | Date | DateTime | MonthDay | Text | TimeOfDay) {
        return None;
    }
    let counts = match kind? {
        Kind::Counter => true,
        Kind::Gauge | Kind::WrappingCounter => false,
        Kind::Date | Kind::Clock | Kind::Code | Kind::Identity | Kind::Setting => return None,
    };
    match device_class {
        // Home Assistant takes nothing but totals for these,
        Some("energy" | "volume") => counts.then_some("total_increasing"),
        // totals for these as well, and none for the others.
        Some("duration") | None if counts => Some("total_increasing"),
        _ => Some("measurement"),
    }
}

/// Home Assistant shows m³/h without decimals, and a house never reaches 1 m³/h.
fn precision(measure: Measure) -> Option<u8> {
    (measure.unit == Some("m³/h")).then_some(3)
}

fn icon(measure: Measure, kind: Option<Kind>) -> &'static str {
    match (kind, measure.quantity) {
        (Some(Kind::Date), _) | (_, Quantity::Date | Quantity::MonthDay | Quantity::DateTime) => {
            "mdi:calendar"
        }
        (_, Quantity::Energy) => "mdi:flash",
        (_, Quantity::Power) => "mdi:lightning-bolt",
        (_, Quantity::Temperature) => "mdi:thermometer",
        (_, Quantity::TemperatureDifference) => "mdi:thermometer-minus",
        (_, Quantity::Volume) => "mdi:water",
        (_, Quantity::Flow) => "mdi:water-percent",
        (_, Quantity::Duration | Quantity::TimeOfDay) => "mdi:clock",
        (_, Quantity::Number) => "mdi:information",
        _ => "mdi:gauge",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use kmp::register::{REGISTERS, RegisterId};

    use super::*;
    use crate::config::{self, Config};
    use crate::identity::Identification;
    use crate::units::{self, UnitSystem};

    /// Home Assistant's units for each device class (2026.9, `sensor/const.py`), as far as a meter
    /// can give them, and the state classes that it takes with them.
    const ALLOWED: &[(&str, &[&str], &[&str])] = &[
        (
            "energy",
            &[
                "J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal",
                "Mcal", "Gcal",
            ],
            &["total", "total_increasing"],
        ),
        ("power", &["mW", "W", "kW", "MW", "GW", "TW"], &["measurement"]),
        ("temperature", &["°C", "°F", "K"], &["measurement"]),
        ("temperature_delta", &["°C", "°F", "K"], &["measurement"]),
        (
            "volume",
            &["mL", "L", "m³", "ft³", "CCF", "MCF", "fl. oz.", "gal"],
            &["total", "total_increasing"],
        ),
        (
            "volume_flow_rate",
            &["L/h", "L/min", "L/s", "mL/s", "m³/h", "m³/min", "m³/s"],
            &["measurement"],
        ),
        (
            "duration",
            &["d", "h", "min", "s", "ms", "μs"],
            &["measurement", "total", "total_increasing"],
        ),
        ("pressure", &["Pa", "hPa", "kPa", "mbar", "cbar", "bar", "psi"], &["measurement"]),
    ];

    fn loaded(parameters: &str) -> (Meter, Publishing) {
        let yaml = format!(
            "serial_device: {{com_port: /dev/ttyUSB0}}\nkamstrup: {{parameters: '{parameters}'}}"
        );
        let loaded = config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap();
        let Config { publishing, mut meters, .. } = loaded.config;
        (meters.remove(0), publishing)
    }

    fn meter(parameters: &str) -> Meter {
        loaded(parameters).0
    }

    fn all_names() -> String {
        REGISTERS.iter().map(|register| register.key).collect::<Vec<_>>().join(",")
    }

    /// Once it was found to be a part of E1, the energy dashboard may have it.
    #[test]
    fn energy_in_high_resolution_is_a_total_or_a_measurement() {
        let meter = meter("e1highres");
        let classes = |kind| {
            let measure = Measure { quantity: Quantity::Energy, unit: Some("kWh"), kind };
            let payloads = payloads(&meter, &[Some(measure)]);
            let class = |key: &str| {
                payloads[0].get(key).and_then(|class| class.as_str()).map(str::to_owned)
            };
            (class("device_class"), class("state_class"))
        };
        let total = (Some("energy".to_owned()), Some("total_increasing".to_owned()));
        assert_eq!(classes(Some(Kind::Counter)), total);
        assert_eq!(classes(Some(Kind::WrappingCounter)), (None, Some("measurement".to_owned())));
    }

    fn identity(meter: &Meter) -> Identity {
        Identification::new(meter.version).identity()
    }

    fn announced(
        meter: &Meter,
        measures: &[Option<Measure>],
        publishing: &Publishing,
        topics: &Topics,
    ) -> Vec<Message> {
        let identity = &identity(meter);
        let described = Described { meter, identity, measures, has_info_code: true };
        super::meter(described, publishing, topics)
    }

    fn payloads(meter: &Meter, measures: &[Option<Measure>]) -> Vec<serde_json::Value> {
        let (_, publishing) = loaded("energy");
        announced(meter, measures, &publishing, &Topics::new("kamstrup"))
            .iter()
            .map(|message| serde_json::from_str(&message.payload).unwrap())
            .collect()
    }

    fn expected(meter: &Meter) -> Vec<Option<Measure>> {
        let standard =
            |parameter: &Parameter| units::expected(parameter.register(), UnitSystem::Standard);
        meter.parameters.iter().map(standard).collect()
    }

    fn check(entity: &serde_json::Value) {
        let text = |key: &str| entity.get(key).and_then(serde_json::Value::as_str);
        let (unit, state_class) = (text("unit_of_measurement"), text("state_class"));
        match text("device_class") {
            Some("date") => assert!(unit.is_none() && state_class.is_none(), "{entity}"),
            Some(class) => {
                let (_, units, state_classes) =
                    ALLOWED.iter().find(|(name, ..)| *name == class).unwrap();
                assert!(units.contains(&unit.unwrap()), "{entity}");
                assert!(state_class.is_none_or(|class| state_classes.contains(&class)), "{entity}");
            }
            None => {}
        }
        assert!(text("icon").unwrap().starts_with("mdi:"));
    }

    #[test]
    fn all_names_are_announced_as_home_assistant_wants_it() {
        let meter = meter(&all_names());
        let entities = payloads(&meter, &expected(&meter));
        // The others are announced when their unit is known.
        assert!(entities.len() > 50, "{}", entities.len());
        for entity in &entities {
            check(entity);
        }
        let lines: Vec<String> = entities
            .iter()
            .map(|entity| {
                let text = |key: &str| entity[key].as_str().unwrap_or("-").to_owned();
                format!(
                    "{:<26}{:<40}{:<8}{:<20}{}",
                    text("unique_id"),
                    text("name"),
                    text("unit_of_measurement"),
                    text("device_class"),
                    text("state_class"),
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn every_unit_of_every_register_is_one_that_home_assistant_takes() {
        let parameters = format!("{},4000", all_names());
        let meter = meter(&parameters);
        for info in kmp::unit::UNITS {
            for system in [UnitSystem::Standard, UnitSystem::Meter] {
                let measures: Vec<_> = meter
                    .parameters
                    .iter()
                    .map(|parameter| measure(parameter.register(), info.unit, system))
                    .collect();
                for entity in payloads(&meter, &measures) {
                    check(&entity);
                }
            }
        }
    }

    fn measure(register: RegisterId, unit: kmp::unit::Unit, system: UnitSystem) -> Option<Measure> {
        use kmp::number::SignExponent;
        use kmp::value::RegisterValue;

        let exponent = SignExponent::from_byte(0);
        let value = RegisterValue::new(register, unit, exponent, vec![0, 1]).unwrap();
        let reading = crate::reading::Reading::try_from(&value).ok()?;
        Some(units::publish(&reading, system).unwrap().measure)
    }

    /// The fields of the issue that users rely on, with their values.
    #[test]
    fn energy_is_announced_as_the_older_program_did() {
        let meter = meter("ENERGY");
        let [entity] = &payloads(&meter, &expected(&meter))[..] else { panic!() };
        let older: serde_json::Value = serde_json::from_str(
            r#"{"name":"Energy","unique_id":"kamstrup_energy","state_topic":"kamstrup/energy",
            "availability_topic":"kamstrup/status","payload_available":"online",
            "payload_not_available":"offline","unit_of_measurement":"kWh","icon":"mdi:flash",
            "device":{"identifiers":["kamstrup_meter"],"name":"Kamstrup Meter",
            "manufacturer":"Kamstrup","model":"Multical 402"}}"#,
        )
        .unwrap();
        for (key, value) in older.as_object().unwrap() {
            assert_eq!(&entity[key], value, "{key}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_announced() {
        let (meter, publishing) = loaded("energy,4000,hourcounter");
        let publishing = Publishing { discovery_prefix: "ha".to_owned(), ..publishing };
        let topics: Vec<_> =
            announced(&meter, &expected(&meter), &publishing, &Topics::new("heat"))
                .into_iter()
                .map(|message| message.topic)
                .collect();
        assert_eq!(topics, ["ha/sensor/kamstrup_energy/config"]);
        let kilowatt_hours =
            measure(RegisterId::new(4000), kmp::unit::Unit::MEGAWATT_HOUR, UnitSystem::Standard);
        let [entity] = &payloads(&meter, &[None, kilowatt_hours, None])[..] else { panic!() };
        assert_eq!(entity["name"], "Register 4000");
        assert_eq!(entity["unit_of_measurement"], "kWh");
        assert_eq!(entity.get("state_class"), None, "nobody knows how it counts");
    }
}
