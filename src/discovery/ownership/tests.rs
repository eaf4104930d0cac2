use proptest::prelude::*;
use serde_json::json;

use super::super::tests::{described_fully, loaded};
use super::*;

fn claims(yaml_more: &str) -> Claims {
    let (meter, publishing) = loaded("energy,temp1", yaml_more);
    Claims::new(&[meter], &publishing, &Topics::new(&publishing.topic))
}

fn said(topic: &str, payload: &Value, claims: &Claims) -> Ownership {
    classify(topic, payload.to_string().as_bytes(), claims)
}

const ENERGY: &str = "homeassistant/sensor/kamstrup_energy/config";

/// As the older Python program announced it.
fn older() -> Value {
    json!({
        "name": "Energy", "unique_id": "kamstrup_energy", "state_topic": "kamstrup/energy",
        "availability_topic": "kamstrup/status",
        "device": {"identifiers": ["kamstrup_meter"], "name": "Kamstrup Meter"},
    })
}

fn taken(by: &str) -> Ownership {
    Ownership::Taken { by: by.to_owned() }
}

#[test]
fn announcements_of_this_installation_are_its_own() {
    let (messages, claims) = (described_fully("energy,temp1", ""), claims(""));
    assert_eq!(messages.len(), 11);
    for message in &messages {
        let payload = message.payload.as_bytes();
        assert_eq!(
            classify(&message.topic, payload, &claims),
            Ownership::Ours,
            "{}",
            message.topic
        );
    }
    // So are those that are no longer configured, so that they can be removed.
    for message in described_fully("energy,temp1,temp2,60,infocode", "") {
        let payload = message.payload.as_bytes();
        assert_eq!(
            classify(&message.topic, payload, &claims),
            Ownership::Ours,
            "{}",
            message.topic
        );
    }
}

#[test]
fn announcements_of_another_installation_are_not_ours() {
    let ours = claims("");
    for (more, expected) in [
        // The same ids and device: the topic was changed, or a second program is running.
        ("topic: attic", Some(Ownership::Moved { from: "attic".to_owned() })),
        (
            "topic: attic, device_id: attic, device_name: Attic",
            Some(taken("another kamstrup2mqtt with the topic `attic` (the device `Attic`)")),
        ),
        ("topic: attic, id_prefix: attic", Some(Ownership::Other)),
        // The topic is below ours, and the ids begin like ours.
        ("topic: kamstrup/attic, id_prefix: kamstrup_attic", Some(Ownership::Other)),
    ] {
        for message in described_fully("energy,temp1", more) {
            let ownership = classify(&message.topic, message.payload.as_bytes(), &ours);
            assert_ne!(ownership, Ownership::Ours, "{more} {}", message.topic);
            if let Some(expected) = &expected
                && !message.topic.contains("version")
                && !message.topic.contains("started")
            {
                assert_eq!(&ownership, expected, "{more} {}", message.topic);
            }
        }
    }
}

#[test]
fn the_older_programs_entities_are_replaced() {
    assert_eq!(said(ENERGY, &older(), &claims("")), Ownership::Other);
    // They are recognized by their topic, even if the device has another id by now.
    assert_eq!(said(ENERGY, &older(), &claims("device_id: cellar")), Ownership::Other);
    // They are recognized by their device, even if the topic was changed.
    assert_eq!(said(ENERGY, &older(), &claims("topic: heat")), Ownership::Other);
    let both = claims("topic: heat, device_id: cellar");
    assert_eq!(said(ENERGY, &older(), &both), taken("the device `Kamstrup Meter`"));
}

#[test]
fn an_id_that_another_device_owns_is_taken() {
    let claims = claims("");
    let foreign = json!({
        "unique_id": "kamstrup_energy", "state_topic": "x", "availability_topic": "x/status",
        "device": {"identifiers": "lamp", "name": "Lamp"},
        "origin": {"name": "Zigbee2MQTT"},
    });
    assert_eq!(said(ENERGY, &foreign, &claims), taken("`Zigbee2MQTT` (the device `Lamp`)"));
    // Whatever the topic, Home Assistant accepts a unique id only once.
    let elsewhere = "homeassistant/sensor/node/other/config";
    assert_eq!(said(elsewhere, &foreign, &claims), taken("`Zigbee2MQTT` (the device `Lamp`)"));
    // Another kind of entity may have the same id.
    assert_eq!(said("homeassistant/light/x/config", &foreign, &claims), Ownership::Other);
    // Messages outside the discovery prefix are no announcements.
    assert_eq!(said("x/sensor/kamstrup_energy/config", &foreign, &claims), Ownership::Other);

    let shortened = json!({
        "~": "x", "uniq_id": "kamstrup_energy", "stat_t": "~/energy", "avty": [{"t": "~/status"}],
        "dev": {"ids": ["lamp", 7]}, "o": {"name": "Zigbee2MQTT"},
    });
    assert_eq!(said(ENERGY, &shortened, &claims), taken("`Zigbee2MQTT`"));
    let of_a_device = json!({
        "dev": {"cns": [["mac", "aa"]], "name": "Lamp"}, "o": {"name": "x"},
        "cmps": {"1": {"p": "light", "uniq_id": "1"}, "2": {"p": "sensor", "uniq_id": "kamstrup_energy"}},
    });
    let topic = "homeassistant/device/lamp/config";
    assert_eq!(said(topic, &of_a_device, &claims), taken("`x` (the device `Lamp`)"));
    // A message without a device owns nothing.
    let nobody = json!({"unique_id": "kamstrup_energy", "state_topic": "x"});
    assert_eq!(said(ENERGY, &nobody, &claims), Ownership::Other);
}

#[test]
fn abbreviated_announcements_of_ours_are_recognized() {
    let claims = claims("");
    let shortened = |base: &str, status: &str| {
        json!({
            "~": base, "uniq_id": "kamstrup_energy", "stat_t": "~/energy", "avty_t": status,
            "dev": {"ids": "kamstrup_meter"}, "o": {"name": "kamstrup2mqtt"},
        })
    };
    assert_eq!(said(ENERGY, &shortened("kamstrup", "~/status"), &claims), Ownership::Ours);
    assert_eq!(said(ENERGY, &shortened("/status", "kamstrup~"), &claims), Ownership::Ours);
    let moved = Ownership::Moved { from: "heat".to_owned() };
    assert_eq!(said(ENERGY, &shortened("heat", "~/status"), &claims), moved);
    // This is not the topic that we would use.
    let elsewhere = "homeassistant/sensor/node/kamstrup_energy/config";
    assert_eq!(said(elsewhere, &shortened("kamstrup", "~/status"), &claims), Ownership::Other);
}

#[test]
fn reports_about_others_are_short() {
    let name = "a\n\u{1b}[31m".repeat(200);
    let foreign = json!({"device": {"identifiers": [], "name": name}});
    let Ownership::Taken { by } = said(ENERGY, &foreign, &claims("")) else { panic!() };
    assert!(by.chars().count() < 100 && !by.contains(char::is_control), "{by}");

    let padding = " ".repeat(LONGEST_PAYLOAD);
    let long = format!("{foreign}{padding}");
    assert_eq!(classify(ENERGY, long.as_bytes(), &claims("")), Ownership::Other);
}

#[test]
fn every_conflict_says_what_to_do() {
    let moved = Ownership::Moved { from: "attic".to_owned() };
    let all = [moved, taken("`Zigbee2MQTT` (the device `Lamp`)")];
    let advice = |runs_as| all.each_ref().map(|it| it.advice(runs_as).unwrap()).join("\n");
    insta::assert_snapshot!(advice(RunsAs::Program));
    insta::assert_snapshot!("every_conflict_says_what_to_do_in_the_add_on", advice(RunsAs::AddOn));
    for (it, runs_as) in [(Ownership::Ours, RunsAs::Program), (Ownership::Other, RunsAs::AddOn)] {
        assert_eq!(it.advice(runs_as), None);
    }
}

/// JSON that looks like a discovery message, and hardly ever is one.
fn message() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "kamstrup_energy",
        "kamstrup_",
        "kamstrup2mqtt",
        "kamstrup/status",
        "kamstrup_meter",
        "~",
        "~/status",
        "",
        "sensor",
        "ß~",
    ]);
    let leaf = prop_oneof![
        words.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "unique_id",
        "uniq_id",
        "origin",
        "o",
        "device",
        "dev",
        "identifiers",
        "ids",
        "name",
        "availability",
        "avty",
        "availability_topic",
        "avty_t",
        "topic",
        "t",
        "~",
        "components",
        "cmps",
        "platform",
        "p",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..12).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(key, it)| (key.to_owned(), it)).collect())
            }),
        ]
    })
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(ENERGY.to_owned()),
        Just("homeassistant/device/kamstrup_energy/config".to_owned()),
        "(homeassistant)?/?[a-z_]{0,9}/{0,2}[a-z_/]{0,20}(/config)?",
        any::<String>(),
    ]
}

/// No setting allows such an id. The client library cannot send anything on a topic with a
/// wildcard, and some brokers close the connection because of a control character.
#[test]
fn a_message_on_a_topic_that_we_never_use_is_not_ours() {
    let message = |id: &str| {
        json!({
            "unique_id": id, "availability_topic": "kamstrup/status",
            "origin": {"name": "kamstrup2mqtt"},
        })
    };
    let claims = claims("");
    for (id, is_ours) in [
        ("kamstrup_old", true),
        ("kamstrup_Garage-2_60", true),
        ("kamstrup_0x3c", true),
        ("kamstrup_#", false),
        ("kamstrup_+", false),
        ("kamstrup_a b", false),
        ("kamstrup_\0", false),
        ("kamstrup_\u{202e}x", false),
        ("kamstrup_é", false),
    ] {
        let topic = format!("homeassistant/sensor/{id}/config");
        let ownership = said(&topic, &message(id), &claims);
        assert_eq!(ownership == Ownership::Ours, is_ours, "{id:?}: {ownership:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_belong_to_nobody(topic in topic(), payload: Vec<u8>) {
        prop_assert_eq!(classify(&topic, &payload, &claims("")), Ownership::Other);
    }

    /// Foreign texts in any place: nothing panics, and nothing without our name is ours.
    #[test]
    fn no_message_without_our_name_is_ours(topic in topic(), message in message()) {
        let ownership = said(&topic, &message, &claims(""));
        let text = message.to_string();
        prop_assert!(ownership != Ownership::Ours || text.contains("kamstrup2mqtt"), "{}", text);
    }

    /// A message is ours if topic, id, origin and availability topic are right, abbreviated or not.
    #[test]
    fn a_message_needs_four_marks_to_be_ours(
        place: bool, id: bool, program: bool, status: bool, short: bool, listed: bool,
    ) {
        let pick = |right: bool, one: &'static str, other: &'static str| if right { one } else { other };
        let key = |long: &'static str, abbreviated: &'static str| pick(short, abbreviated, long);
        let topic = pick(place, ENERGY, "homeassistant/sensor/kamstrup_power/config");
        let id = pick(id, "kamstrup_energy", "heat_energy");
        let status_topic = pick(status, "kamstrup/status", "kamstrup/house/status");
        let mut message = json!({
            key("unique_id", "uniq_id"): id,
            key("origin", "o"): {"name": pick(program, "kamstrup2mqtt", "kamstrup")},
            key("device", "dev"): {key("identifiers", "ids"): ["x"]},
        });
        let availability = if listed {
            (key("availability", "avty"), json!([{key("topic", "t"): status_topic}]))
        } else {
            (key("availability_topic", "avty_t"), json!(status_topic))
        };
        message[availability.0] = availability.1;
        let is_ours = said(topic, &message, &claims("")) == Ownership::Ours;
        prop_assert_eq!(is_ours, place && id == "kamstrup_energy" && program && status);
    }

    /// Nested deeper than in any real message, and cut off anywhere.
    #[test]
    fn deeply_nested_messages_belong_to_nobody(depth in 0_usize..60_000, cut in 0_usize..20) {
        let deep = format!(r#"{{"device":{}"#, r#"{"a":"#.repeat(depth / 5));
        let end = deep.len().saturating_sub(cut);
        prop_assert_eq!(classify(ENERGY, &deep.as_bytes()[..end], &claims("")), Ownership::Other);
    }
}
