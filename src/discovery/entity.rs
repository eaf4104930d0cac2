//! The shapes of discovery messages.

use serde::Serialize;

use super::naming::{Label, entity_id};
use crate::config::{Publishing, Qos};
use crate::language::Language;
use crate::payload::{Message, OFFLINE, ONLINE};

/// The kind of an entity; Home Assistant calls it the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Sensor,
    BinarySensor,
    Button,
}

impl Component {
    /// The component's name in discovery topics.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::BinarySensor => "binary_sensor",
            Self::Button => "button",
        }
    }
}

/// The topic on which an entity is announced.
pub(super) fn config_topic(
    publishing: &Publishing,
    component: Component,
    unique_id: &str,
) -> String {
    format!("{}/{}/{unique_id}/config", publishing.discovery_prefix, component.key())
}

/// The kind of an entity, and its topic.
#[derive(Debug, Clone, Serialize)]
pub(super) enum Channel {
    #[serde(rename = "state_topic")]
    Sensor(String),
    /// With the payloads `ON` and `OFF`.
    #[serde(rename = "state_topic")]
    BinarySensor(String),
    /// The topic on which a button publishes.
    #[serde(rename = "command_topic")]
    Command(String),
}

impl Channel {
    fn component(&self) -> Component {
        match self {
            Self::Sensor(_) => Component::Sensor,
            Self::BinarySensor(_) => Component::BinarySensor,
            Self::Command(_) => Component::Button,
        }
    }
}

/// Where an entity's attributes are.
#[derive(Debug, Serialize)]
pub(super) struct Attributes {
    #[serde(rename = "json_attributes_topic")]
    topic: String,
    #[serde(rename = "json_attributes_template")]
    template: String,
}

impl Attributes {
    /// Those under a key of the JSON object on a topic. There may be none.
    pub(super) fn under(key: &str, topic: String) -> Self {
        Self { topic, template: format!("{{{{ value_json.get('{key}', {{}}) | tojson }}}}") }
    }
}

/// The properties that differ between the entities of a device.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    pub(super) label: Label<'a>,
    pub(super) unique_id: String,
    pub(super) channel: Channel,
    pub(super) attributes: Option<Attributes>,
    pub(super) unit_of_measurement: Option<&'static str>,
    pub(super) device_class: Option<&'static str>,
    pub(super) state_class: Option<&'static str>,
    pub(super) suggested_display_precision: Option<u8>,
    pub(super) icon: Option<&'static str>,
    pub(super) is_diagnostic: bool,
    pub(super) is_enabled: bool,
    pub(super) expire_after: Option<u64>,
}

impl<'a> Entity<'a> {
    pub(super) fn new(label: Label<'a>, unique_id: String, channel: Channel) -> Self {
        Self {
            label,
            unique_id,
            channel,
            attributes: None,
            unit_of_measurement: None,
            device_class: None,
            state_class: None,
            suggested_display_precision: None,
            icon: None,
            is_diagnostic: false,
            is_enabled: true,
            expire_after: None,
        }
    }
}

/// The properties that all entities of a device share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) publishing: &'a Publishing,
    pub(super) availability_topic: String,
    pub(super) device: Device,
    /// The name that the device has in English.
    pub(super) english_device: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub(super) identifiers: [String; 1],
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manufacturer: Option<&'static str>,
    pub(super) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sw_version: Option<String>,
    /// The address of its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) configuration_url: Option<String>,
    /// The device through which it is reached.
    #[serde(rename = "via_device", skip_serializing_if = "Option::is_none")]
    pub(super) via: Option<String>,
}

impl Shared<'_> {
    /// The message that announces an entity. (It is never `None`: strings always become JSON.)
    pub(super) fn message(&self, entity: &Entity<'_>) -> Option<Message> {
        let component = entity.channel.component();
        let language = self.publishing.language;
        let in_english = || entity.label.words(Language::English);
        let english_id = || entity_id(component.key(), &self.english_device, &in_english());
        let announcement = Announcement {
            name: entity.label.words(language),
            unique_id: &entity.unique_id,
            // Home Assistant makes the same one from English names.
            default_entity_id: (language != Language::English).then(english_id),
            channel: &entity.channel,
            attributes: entity.attributes.as_ref(),
            availability_topic: &self.availability_topic,
            payload_available: ONLINE,
            payload_not_available: OFFLINE,
            qos: match component {
                Component::Sensor | Component::BinarySensor => number(self.publishing.qos),
                // A press must not be lost if the connection breaks at that moment.
                Component::Button => number(Qos::AtLeastOnce),
            },
            unit_of_measurement: entity.unit_of_measurement,
            device_class: entity.device_class,
            state_class: entity.state_class,
            suggested_display_precision: entity.suggested_display_precision,
            expire_after: entity.expire_after,
            icon: entity.icon,
            entity_category: entity.is_diagnostic.then_some("diagnostic"),
            enabled_by_default: (!entity.is_enabled).then_some(false),
            device: &self.device,
            origin: ORIGIN,
        };
        Some(Message {
            topic: config_topic(self.publishing, component, &entity.unique_id),
            payload: serde_json::to_string(&announcement).ok()?,
            qos: Qos::AtLeastOnce,
            retain: true,
        })
    }
}

fn number(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    }
}

/// An entity in Home Assistant's format.
#[derive(Serialize)]
struct Announcement<'a> {
    name: String,
    unique_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_entity_id: Option<String>,
    #[serde(flatten)]
    channel: &'a Channel,
    #[serde(flatten)]
    attributes: Option<&'a Attributes>,
    availability_topic: &'a str,
    payload_available: &'static str,
    payload_not_available: &'static str,
    /// Home Assistant subscribes or publishes with this QoS; with 0 if it is left out.
    #[serde(skip_serializing_if = "is_zero")]
    qos: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_by_default: Option<bool>,
    device: &'a Device,
    origin: Origin,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(qos: &u8) -> bool {
    *qos == 0
}

/// The program that sends the announcement. It recognizes its own messages by this.
#[derive(Serialize)]
pub(super) struct Origin {
    pub(super) name: &'static str,
    sw_version: &'static str,
    support_url: &'static str,
}

pub(super) const ORIGIN: Origin = Origin {
    name: env!("CARGO_PKG_NAME"),
    sw_version: env!("CARGO_PKG_VERSION"),
    support_url: env!("CARGO_PKG_REPOSITORY"),
};
