//! The discovery messages of the older Python program of the same name.
//!
//! They have no `origin`, so only their shape shows where they come from. The function
//! `publish_ha_discovery` of that program (`WobwobRt/kamstrup2mqtt`, `src/kamstrup2mqtt/mqtt.py`,
//! the same in all published versions) writes certain keys and constants, and no others. A message
//! with anything else belongs to another program.

use serde_json::{Map, Value};

use super::ownership::{Claims, LONGEST_PAYLOAD};
use crate::payload::{OFFLINE, ONLINE};

/// Each of its messages has these keys.
const ALWAYS: [&str; 8] = [
    "name",
    "unique_id",
    "state_topic",
    "availability_topic",
    "payload_available",
    "payload_not_available",
    "device",
    "icon",
];

/// It has these for some parameters.
const SOMETIMES: [&str; 3] = ["unit_of_measurement", "device_class", "state_class"];

const DEVICE: [&str; 4] = ["identifiers", "name", "manufacturer", "model"];

/// The start of its unique ids. It could not be set.
const ID_PREFIX: &str = "kamstrup_";

/// Whether the older program announced this under our topic, and none of our entities takes its
/// place. Home Assistant would show such an entity forever.
#[must_use]
pub(crate) fn is_left_over(topic: &str, payload: &[u8], claims: &Claims) -> bool {
    let Some(("sensor", object)) = claims.place(topic) else { return false };
    !claims.uses("sensor", object)
        && payload.len() <= LONGEST_PAYLOAD
        && serde_json::from_slice::<Map<String, Value>>(payload)
            .is_ok_and(|message| is_older(object, &message, claims.status_topic()).is_some())
}

/// `Some` if the message is the older program's.
fn is_older(object: &str, message: &Map<String, Value>, status: &str) -> Option<()> {
    let parameter = object.strip_prefix(ID_PREFIX).filter(|it| !it.is_empty())?;
    // Nothing can be sent on a topic with a wildcard or a control character.
    parameter.chars().all(|c| !c.is_control() && !matches!(c, '#' | '+')).then_some(())?;
    let topic = status.strip_suffix("status")?;
    let text = |key: &str| message.get(key)?.as_str();
    let has = |key: &str, value: &str| (text(key) == Some(value)).then_some(());
    for (key, value) in message {
        let is_known = ALWAYS.contains(&key.as_str()) || SOMETIMES.contains(&key.as_str());
        (is_known && (value.is_string() || key == "device")).then_some(())?;
    }
    ALWAYS.iter().all(|key| message.contains_key(*key)).then_some(())?;
    has("unique_id", object)?;
    has("state_topic", &format!("{topic}{parameter}"))?;
    has("availability_topic", status)?;
    has("payload_available", ONLINE)?;
    has("payload_not_available", OFFLINE)?;

    let device = message.get("device")?.as_object()?;
    let of_device = |key: &str| device.get(key)?.as_str();
    let [Value::String(_)] = device.get("identifiers")?.as_array()?.as_slice() else { return None };
    let is_its_device = device.len() == DEVICE.len()
        && of_device("name").is_some()
        && of_device("manufacturer") == Some("Kamstrup")
        && of_device("model") == Some("Multical 402");
    is_its_device.then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::{described_fully, loaded};
    use super::*;
    use crate::topic::Topics;

    fn claims(parameters: &str, settings: &str) -> Claims {
        let (meter, publishing) = loaded(parameters, settings);
        Claims::new(&[meter], &publishing, &Topics::new(&publishing.topic))
    }

    /// What that program sends for these parameters, with its own JSON of the default settings.
    const REAL: [(&str, &str); 4] = [
        (
            "homeassistant/sensor/kamstrup_volume/config",
            r#"{"name": "Volume", "unique_id": "kamstrup_volume", "state_topic": "kamstrup/volume", "availability_topic": "kamstrup/status", "payload_available": "online", "payload_not_available": "offline", "device": {"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup", "model": "Multical 402"}, "unit_of_measurement": "m\u00b3", "icon": "mdi:water", "device_class": "water", "state_class": "total_increasing"}"#,
        ),
        (
            "homeassistant/sensor/kamstrup_minflowDate_m/config",
            r#"{"name": "Min Flow Date (Month)", "unique_id": "kamstrup_minflowDate_m", "state_topic": "kamstrup/minflowDate_m", "availability_topic": "kamstrup/status", "payload_available": "online", "payload_not_available": "offline", "device": {"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup", "model": "Multical 402"}, "icon": "mdi:calendar", "device_class": "volume_flow_rate"}"#,
        ),
        (
            "homeassistant/sensor/kamstrup_infoevent/config",
            r#"{"name": "Info Event", "unique_id": "kamstrup_infoevent", "state_topic": "kamstrup/infoevent", "availability_topic": "kamstrup/status", "payload_available": "online", "payload_not_available": "offline", "device": {"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup", "model": "Multical 402"}, "icon": "mdi:information"}"#,
        ),
        // Without metadata of its own, `e1highres` becomes "E1Highres" with an icon of its own.
        (
            "homeassistant/sensor/kamstrup_e1highres/config",
            r#"{"name": "E1Highres", "unique_id": "kamstrup_e1highres", "state_topic": "kamstrup/e1highres", "availability_topic": "kamstrup/status", "payload_available": "online", "payload_not_available": "offline", "device": {"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter", "manufacturer": "Kamstrup", "model": "Multical 402"}, "icon": "mdi:gauge"}"#,
        ),
    ];

    fn is_left(topic: &str, payload: &Value, claims: &Claims) -> bool {
        is_left_over(topic, payload.to_string().as_bytes(), claims)
    }

    #[test]
    fn what_the_older_program_announced_is_left_over_unless_it_is_configured() {
        let claims = claims("energy", "");
        for (topic, payload) in REAL {
            assert!(is_left_over(topic, payload.as_bytes(), &claims), "{topic}");
        }
        let configured = self::claims("energy,volume,minflowDate_m,infoevent,e1highres", "");
        for (topic, payload) in REAL {
            assert!(!is_left_over(topic, payload.as_bytes(), &configured), "{topic}");
        }
        // With another prefix, none of our entities takes their place.
        let renamed =
            self::claims("energy,volume,minflowDate_m,infoevent,e1highres", "id_prefix: heat");
        for (topic, payload) in REAL {
            assert!(is_left_over(topic, payload.as_bytes(), &renamed), "{topic}");
        }
    }

    #[test]
    fn another_topic_or_prefix_belongs_to_another_installation() {
        for settings in ["topic: heat", "discovery_prefix: ha"] {
            let elsewhere = claims("energy", settings);
            for (topic, payload) in REAL {
                assert!(!is_left_over(topic, payload.as_bytes(), &elsewhere), "{settings} {topic}");
            }
        }
        let (topic, payload) = REAL[0];
        let moved = payload.replace("kamstrup/", "house/heat/");
        assert!(is_left_over(topic, moved.as_bytes(), &claims("energy", "topic: house/heat")));
    }

    #[test]
    fn announcements_of_ours_are_not_left_over() {
        let claims = claims("energy", "");
        for message in described_fully("energy,volume,infocode,60", "") {
            let payload = message.payload.as_bytes();
            assert!(!is_left_over(&message.topic, payload, &claims), "{}", message.topic);
        }
    }

    /// A message that differs from the older program's in one place.
    #[test]
    fn whatever_differs_from_the_older_programs_messages_stays() {
        let (topic, payload) = REAL[0];
        let real: Value = serde_json::from_str(payload).unwrap();
        let claims = claims("energy", "");
        assert!(is_left(topic, &real, &claims));
        let foreign = [
            ("/origin", json!({"name": "Zigbee2MQTT"})),
            ("/value_template", json!("{{ value }}")),
            ("/expire_after", json!(60)),
            ("/unique_id", json!("kamstrup_energy")),
            ("/unique_id", json!(7)),
            ("/state_topic", json!("kamstrup/values")),
            ("/state_topic", json!("other/volume")),
            ("/availability_topic", json!("other/status")),
            ("/payload_available", json!("ON")),
            ("/payload_not_available", json!("dead")),
            ("/name", json!(null)),
            ("/icon", json!(null)),
            ("/unit_of_measurement", json!(1)),
            ("/device", json!("kamstrup_meter")),
            ("/device/model", json!("Multical 403")),
            ("/device/manufacturer", json!("Other")),
            ("/device/sw_version", json!("1")),
            ("/device/identifiers", json!("kamstrup_meter")),
            ("/device/identifiers", json!(["kamstrup_meter", "other"])),
        ];
        for (path, value) in foreign {
            let mut message = real.clone();
            let (parent, key) = path.rsplit_once('/').unwrap();
            message.pointer_mut(parent).unwrap()[key] = value.clone();
            assert!(!is_left(topic, &message, &claims), "{path}: {value}");
        }
        for key in ALWAYS {
            let mut message = real.clone();
            message.as_object_mut().unwrap().remove(key);
            assert!(!is_left(topic, &message, &claims), "without {key}");
        }
        for elsewhere in [
            "homeassistant/sensor/kamstrup/volume/config",
            "homeassistant/binary_sensor/kamstrup_volume/config",
            "homeassistant/sensor/heat_volume/config",
            "homeassistant/sensor/kamstrup_/config",
            "kamstrup/volume",
        ] {
            assert!(!is_left(elsewhere, &real, &claims), "{elsewhere}");
        }
        for parameter in ["a#", "+", "a\nb", "\u{85}"] {
            let mut message = real.clone();
            message["unique_id"] = json!(format!("kamstrup_{parameter}"));
            message["state_topic"] = json!(format!("kamstrup/{parameter}"));
            let topic = format!("homeassistant/sensor/kamstrup_{parameter}/config");
            assert!(!is_left(&topic, &message, &claims), "{parameter:?}");
        }
        let long = format!("{payload}{}", " ".repeat(LONGEST_PAYLOAD));
        assert!(!is_left_over(topic, long.as_bytes(), &claims));
    }

    proptest! {
        #[test]
        fn random_bytes_stay(topic: String, payload: Vec<u8>) {
            let claims = claims("energy", "");
            prop_assert!(!is_left_over(&topic, &payload, &claims));
            prop_assert!(!is_left_over(REAL[0].0, &payload, &claims));
        }
    }
}
