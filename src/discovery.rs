//! What Home Assistant is told of the entities, by the rules of its MQTT discovery (2026.9).
//!
//! Pure: settings and measures in, retained messages out.

use kmp::register::Kind;
use kmp::unit::Quantity;
use serde::Serialize;

use crate::config::{Meter, Parameter, Qos};
use crate::payload::{Message, OFFLINE, ONLINE};
use crate::topic::{Topics, unique_id};
use crate::units::Measure;

/// The discovery messages of a meter's parameters.
///
/// `measures` has for each parameter what its values measure, or `None` while that is not certain:
/// an entity with the wrong unit would spoil the statistics, so it is announced when its first
/// value has come.
#[must_use]
pub fn messages(
    meter: &Meter,
    measures: &[Option<Measure>],
    prefix: &str,
    topics: &Topics,
) -> Vec<Message> {
    let model = meter.model.to_string();
    let mut messages = Vec::new();
    for (parameter, measure) in meter.parameters.iter().zip(measures) {
        let Some(measure) = measure else { continue };
        let entity = entity(parameter, *measure, meter, &model, topics);
        // A struct of texts always becomes JSON.
        let Ok(payload) = serde_json::to_string(&entity) else {
            continue;
        };
        messages.push(Message {
            topic: format!("{prefix}/sensor/{}/config", entity.unique_id),
            payload,
            qos: Qos::AtLeastOnce,
            retain: true,
        });
    }
    messages
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
    topics: &Topics,
) -> Entity<'a> {
    let register = parameter.register().info();
    let kind = register.map(|register| register.kind);
    let label = register.map(|register| register.label.to_owned());
    let device_class = device_class(measure, kind);
    Entity {
        name: label.unwrap_or_else(|| format!("Register {}", parameter.register())),
        unique_id: unique_id(parameter),
        state_topic: topics.value(parameter),
        availability_topic: topics.status(),
        payload_available: ONLINE,
        payload_not_available: OFFLINE,
        unit_of_measurement: measure.unit,
        device_class,
        state_class: state_class(measure, kind),
        suggested_display_precision: precision(measure),
        icon: icon(measure, kind),
        device: Device {
            identifiers: [&meter.device_id],
            name: &meter.device_name,
            manufacturer: "Kamstrup",
            model,
        },
        origin: Origin {
            name: env!("CARGO_PKG_NAME"),
            sw_version: env!("CARGO_PKG_VERSION"),
        },
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
            &[
                "J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "GWh", "cal", "kcal", "Mcal", "Gcal",
            ],
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
fn state_class(measure: Measure, kind: Option<Kind>) -> Option<&'static str> {
    let is_number = !matches!(
        measure.quantity,
        Quantity::Date
            | Quantity::DateTime
            | Quantity::MonthDay
            | Quantity::TimeOfDay
            | Quantity::Text
            | Quantity::BitField
    );
    match kind? {
        Kind::Counter => is_number.then_some("total_increasing"),
        Kind::Gauge | Kind::WrappingCounter => is_number.then_some("measurement"),
        Kind::Date => None,
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
