//! The messages that announce entities to Home Assistant, by the rules of its MQTT discovery
//! (2026.9).
//!
//! This module is pure: it makes retained messages from settings and measures. It also decides who
//! owns a discovery message that was found on the broker.
//!
//! Each entity is announced in its own message at `PREFIX/COMPONENT/UNIQUE_ID/config`. All entities
//! are unavailable while the program is not connected.
//!
//! # While only the meter is silent
//!
//! *Values* expire after three intervals and half a minute, so that an old value does not look
//! current. The interval is that of polls, or the slow interval for values that change slowly
//! ([`Paces`](meter::poll::Paces)). If it is longer than an hour, they expire an hour later, because
//! the night in which summer time ends is longer.
//!
//! *Diagnostics* do not expire, each for its own reason:
//!
//! - The connection must show `OFF` at that very moment.
//! - The last successful read and its duration show their own age.
//! - The program itself counts the failed reads.
//! - A fault that the meter reported stays until the meter reports something else. So the warning
//!   does not disappear when a failing meter falls silent. Another reason is that not every poll
//!   requests the info code.
//!
//! # Names in the user's language
//!
//! Home Assistant makes a new entity's id from the names of its device and of the entity. Entity ids
//! must not depend on the language, so an announcement in another language than English has a
//! `default_entity_id`, with the English names. An announcement in English has none: if a deleted
//! entity returns, Home Assistant would replace an id that the user has chosen by the default one.
//!
//! # After an announcement has changed
//!
//! An announcement may change, for example because a serial number became known. Home Assistant
//! 2026.9 then makes an expiring entity unavailable until its next value arrives. So values must
//! follow each change. (Tested with 2026.9: an unchanged announcement has no effect, and entities
//! that do not expire keep their state.)

mod classes;
mod entity;
mod naming;
mod older;
mod ownership;
mod possible;

use std::time::Duration;

use kmp::register::RegisterId;

use self::classes::{
    device_class, display_precision, icon, is_consumed_water, is_diagnostic, state_class,
};
use self::entity::{Attributes, Channel, Device, Entity, Shared};
use self::naming::{Label, model_words};
pub(crate) use self::older::is_left_over;
pub(crate) use self::ownership::{Claims, Ownership, classify, states_of};
use self::possible::is_binary;
pub(crate) use self::possible::{all_possible, filters, place};
use crate::config::{Meter, Parameter, Publishing};
use crate::language::Names;
use crate::mean::{Key, What};
use crate::payload::Message;
use crate::topic::{About, Diagnostic, Ids, MeterTopics, READ, Topics};
use crate::units::Measure;
use meter::identity::Identity;

/// The facts about a meter that its entities depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    /// The meter's settings.
    pub meter: &'a Meter,
    /// Which meter it is, as far as known.
    pub identity: &'a Identity,
    /// What each parameter measures; `None` if it is not announced. Before its first value, it is
    /// not known whether this meter has the parameter, nor in which unit. An entity that never has
    /// a value is useless, and one with the wrong unit would spoil the statistics.
    pub measures: &'a [Option<Measure>],
    /// The means that are announced: those that had a value.
    pub means: &'a [Key],
    /// Whether the meter has an info code.
    pub has_info_code: bool,
    /// The address of this program's page, if others can reach it.
    pub page: Option<&'a str>,
}

/// The discovery messages of a meter's entities: its values, its diagnostics, and a button to read
/// it now.
///
/// The program's device is the parent of the meter's device, so send those of [`program`] first.
#[must_use]
pub(crate) fn meter(
    described: Described<'_>,
    publishing: &Publishing,
    topics: &Topics,
) -> Vec<Message> {
    let Described { meter, identity, measures, means, has_info_code, page } = described;
    let ids = Ids::new(&publishing.id_prefix, meter.name.as_ref());
    let device = Device {
        identifiers: [meter.device_id.clone()],
        name: meter.device_name.clone(),
        manufacturer: Some("Kamstrup"),
        model: model_words(identity, publishing.language),
        serial_number: identity.serial.map(|serial| serial.to_string()),
        sw_version: identity.meter_type.map(|found| found.revision.to_string()),
        configuration_url: page.map(str::to_owned),
        via: Some(publishing.program_id.clone()),
    };
    let english_device = meter.english_name.clone();
    let shared = Shared { publishing, availability_topic: topics.status(), device, english_device };
    let topics = topics.meter(meter.name.as_ref());
    let values = meter.parameters.iter().zip(measures).filter_map(|(parameter, measure)| {
        Some(value(parameter, (*measure)?, described, &ids, &topics))
    });
    let diagnostics = Diagnostic::ALL
        .into_iter()
        .filter(|it| has_info_code || !matches!(it, Diagnostic::Info | Diagnostic::Problem))
        .map(|diagnostic| self::diagnostic(diagnostic, &ids, &topics));
    let means = means.iter().map(|key| mean(*key, meter, &ids, &topics));
    let button = Entity {
        is_diagnostic: true,
        icon: Some("mdi:refresh"),
        ..Entity::new(
            Label::Of(|names| names.read_now),
            ids.with(READ),
            Channel::Command(topics.read_command()),
        )
    };
    let entities = values.chain(means).chain(diagnostics).chain([button]);
    entities.filter_map(|entity| shared.message(&entity)).collect()
}

/// The discovery messages of the program itself. Its device is the parent of all meters' devices,
/// and links to the page if others can reach it.
#[must_use]
pub(crate) fn program(
    publishing: &Publishing,
    topics: &Topics,
    page: Option<&str>,
) -> Vec<Message> {
    let ids = Ids::new(&publishing.id_prefix, None);
    let program = env!("CARGO_PKG_NAME");
    let device = Device {
        identifiers: [publishing.program_id.clone()],
        // Two installations on one broker should not look the same.
        name: match publishing.id_prefix.as_str() {
            "kamstrup" => program.to_owned(),
            prefix => format!("{program} ({prefix})"),
        },
        manufacturer: Some(env!("CARGO_PKG_NAME")),
        model: publishing.language.names().reader.to_owned(),
        serial_number: None,
        sw_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        configuration_url: page.map(str::to_owned),
        via: None,
    };
    let english_device = device.name.clone();
    let shared = Shared { publishing, availability_topic: topics.status(), device, english_device };
    let entities = About::ALL.into_iter().map(|about| {
        let (label, device_class, icon): (fn(&'static Names) -> &'static str, _, _) = match about {
            About::Version => (|names| names.version, None, Some("mdi:package-variant")),
            About::Started => (|names| names.running_since, Some("timestamp"), None),
        };
        let channel = Channel::Sensor(topics.about(about));
        let is_diagnostic = true;
        Entity {
            device_class,
            icon,
            is_diagnostic,
            ..Entity::new(Label::Of(label), ids.with(about.key()), channel)
        }
    });
    entities.filter_map(|entity| shared.message(&entity)).collect()
}

fn value<'a>(
    parameter: &'a Parameter,
    measure: Measure,
    described: Described<'_>,
    ids: &Ids,
    topics: &MeterTopics,
) -> Entity<'a> {
    let Described { meter, identity, .. } = described;
    let register = parameter.register().info();
    let device_class = device_class(measure);
    let is_water = is_consumed_water(parameter.register(), identity);
    let of_water = device_class.filter(|_| is_water).map(|_| "water");
    Entity {
        unit_of_measurement: measure.unit,
        device_class: of_water.or(device_class),
        state_class: state_class(measure, device_class),
        suggested_display_precision: display_precision(parameter.register(), measure, identity),
        icon: icon(measure, device_class),
        is_diagnostic: register.is_some_and(is_diagnostic),
        expire_after: Some(expire_after(meter.paces().of(parameter.register()))),
        ..Entity::new(
            Label::Value(parameter),
            ids.parameter(parameter),
            Channel::Sensor(topics.value(parameter)),
        )
    }
}

/// A mean. Its attributes say what it covers.
fn mean(key: Key, meter: &Meter, ids: &Ids, topics: &MeterTopics) -> Entity<'static> {
    let (device_class, icon) = match key.what {
        What::Supply | What::Return => (Some("temperature"), None),
        What::Cooling | What::OverLimit => (Some("temperature_delta"), None),
        What::EnergyPerVolume => (None, Some("mdi:water-thermometer")),
    };
    Entity {
        unit_of_measurement: Some(key.what.unit()),
        device_class,
        state_class: Some("measurement"),
        suggested_display_precision: Some(1),
        icon,
        expire_after: Some(expire_after(meter.paces().of(SUPPLY_WEIGHTED))),
        attributes: Some(Attributes::under(key.name(), topics.means())),
        ..Entity::new(
            Label::Mean(key),
            ids.with(key.name()),
            Channel::Sensor(topics.mean(key.name())),
        )
    }
}

/// E8, whose pace is that of the means.
const SUPPLY_WEIGHTED: RegisterId = RegisterId::new(97);

/// How much longer a poll with retries may take.
const ROOM: Duration = Duration::from_secs(30);

/// How much longer such an interval may be once, in the night when summer time ends. Polls follow
/// the local clock.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// In whole seconds. Two readings may fail, and the third may be slow.
fn expire_after(interval: Duration) -> u64 {
    let longer = if interval > HOUR { HOUR } else { Duration::ZERO };
    let expires = interval.saturating_mul(3).saturating_add(ROOM).saturating_add(longer);
    expires.as_secs().saturating_add(u64::from(expires.subsec_nanos() > 0))
}

fn diagnostic(diagnostic: Diagnostic, ids: &Ids, topics: &MeterTopics) -> Entity<'static> {
    let topic = topics.diagnostic(diagnostic);
    let channel = if is_binary(diagnostic) { Channel::BinarySensor } else { Channel::Sensor };
    let channel = channel(topic);
    let entity = |label: fn(&'static Names) -> &'static str| Entity {
        is_diagnostic: true,
        ..Entity::new(Label::Of(label), ids.with(diagnostic.key()), channel)
    };
    match diagnostic {
        Diagnostic::Connection => {
            Entity { device_class: Some("connectivity"), ..entity(|names| names.connection) }
        }
        Diagnostic::LastRead => {
            Entity { device_class: Some("timestamp"), ..entity(|names| names.last_read) }
        }
        Diagnostic::ReadDuration => Entity {
            unit_of_measurement: Some("s"),
            device_class: Some("duration"),
            state_class: Some("measurement"),
            suggested_display_precision: Some(1),
            // It helps only to find a fault on the line.
            is_enabled: false,
            ..entity(|names| names.read_duration)
        },
        Diagnostic::FailedReads => Entity {
            state_class: Some("total_increasing"),
            icon: Some("mdi:alert-circle-outline"),
            ..entity(|names| names.failed_reads)
        },
        Diagnostic::Info => {
            Entity { icon: Some("mdi:information-outline"), ..entity(|names| names.info_in_words) }
        }
        Diagnostic::Problem => {
            Entity { device_class: Some("problem"), ..entity(|names| names.problem) }
        }
    }
}

#[cfg(test)]
mod apart_tests;
#[cfg(test)]
mod display_tests;
#[cfg(test)]
mod tests;
