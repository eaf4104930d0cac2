//! Ids, names and topics that the program derives never equal those that users choose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kmp::unit::Quantity;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::config::{self, Config};
use crate::inbox::{self, Inbox};
use crate::payload;
use meter::RunsAs;
use meter::identity::Identification;
use meter::poll::MeterHandle;

fn config(yaml: &str) -> Option<Config> {
    let loaded = config::check(Some((Path::new("x"), yaml)), &BTreeMap::new());
    loaded.ok().map(|loaded| loaded.config)
}

/// All announcements of a configuration, once everything is known.
fn announced(config: &Config) -> Vec<Message> {
    let Config { publishing, meters, .. } = config;
    let topics = Topics::new(&publishing.topic);
    let known = Measure { quantity: Quantity::Number, unit: None, kind: None };
    let of_meters = meters.iter().flat_map(|meter| {
        let measures = vec![Some(known); meter.parameters.len()];
        let identity = &Identification::new(meter.version).identity();
        let described = Described {
            meter,
            identity,
            measures: &measures,
            means: &meter.means(),
            has_info_code: true,
            page: None,
        };
        super::meter(described, publishing, &topics)
    });
    program(publishing, &topics, None).into_iter().chain(of_meters).collect()
}

fn parsed(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}

/// Home Assistant 2026.9 rejects a device that is connected through itself.
#[test]
fn no_device_is_connected_through_itself() {
    for (settings, expected) in [
        ("mqtt: {device_id: kamstrup_meter}", "kamstrup_bridge"),
        ("mqtt: {device_id: kamstrup_bridge}", "kamstrup_bridge_2"),
        ("mqtt: {device_id: heat_bridge}\nhomeassistant: {id_prefix: heat}", "heat_bridge_2"),
        ("mqtt: {device_id: kamstrup}\nmeters: [{name: bridge}]", "kamstrup_bridge_2"),
        (
            "meters: [{name: bridge}]\nhomeassistant: {id_prefix: kamstrup_meter}",
            "kamstrup_meter_bridge_2",
        ),
        (
            "meters: [{name: a, device_id: kamstrup_bridge}, {name: b, device_id: kamstrup_bridge_2}]",
            "kamstrup_bridge_3",
        ),
    ] {
        let config = config(&format!("serial_device: {{com_port: /dev/a}}\n{settings}")).unwrap();
        assert_eq!(config.publishing.program_id, expected, "{settings}");
        for message in announced(&config) {
            let device = &parsed(&message)["device"];
            assert_ne!(device["identifiers"][0], device["via_device"], "{settings}");
        }
    }
}

/// Words of which ids and names are made, so that they collide as often as possible.
fn word() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "kamstrup", "bridge", "2", "meter", "a", "diff", "last", "read", "duration", "version",
        "started", "status", "energy", "command", "config", "reading", "info", "max", "b",
    ]);
    prop::collection::vec(parts, 1..4).prop_map(|parts| parts.join("_"))
}

fn topic() -> impl Strategy<Value = String> {
    let levels = prop::sample::select(vec![
        "kamstrup",
        "homeassistant",
        "status",
        "command",
        "read",
        "energy",
        "a",
        "b",
        "sensor",
        "config",
        "kamstrup_energy",
        "",
        "version",
        "reading",
    ]);
    prop::collection::vec(levels, 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("empty", |topic| !topic.is_empty())
}

fn parameters() -> impl Strategy<Value = String> {
    let names = vec![
        "energy",
        "diff_energy",
        "infocode",
        "60",
        "0x3C",
        "0X3c",
        "060",
        "Energy",
        "maxflowDate_m",
        "maxflowdate_m",
        "volume",
    ];
    let names = prop::collection::vec(prop::sample::select(names), 1..5);
    names.prop_map(|names| names.join(","))
}

/// A listed meter, perhaps without a name and without an own device id.
fn listed() -> impl Strategy<Value = String> {
    let name = prop::option::weighted(
        0.95,
        prop_oneof![word(), Just("a".to_owned()), Just("A".to_owned())],
    );
    (name, prop::option::weighted(0.3, word()), parameters()).prop_map(
        |(name, device_id, parameters)| {
            let key = |key: &str, value: Option<String>| {
                value.map(|value| format!("{key}: '{value}', ")).unwrap_or_default()
            };
            let (name, device_id) = (key("name", name), key("device_id", device_id));
            format!("{{{name}{device_id}parameters: '{parameters}'}}")
        },
    )
}

prop_compose! {
    fn yaml()(
        topic in prop_oneof![Just("kamstrup".to_owned()), topic()],
        device_id in word(),
        prefix in prop_oneof![Just("homeassistant".to_owned()), topic()],
        status in prop_oneof![Just("homeassistant/status".to_owned()), topic()],
        id_prefix in word(),
        parameters in parameters(),
        retain: bool,
        meters in prop::collection::vec(listed(), 0..4),
    ) -> String {
        format!(
            "mqtt: {{topic: '{topic}', device_id: '{device_id}', retain: {retain}}}\n\
             serial_device: {{com_port: /dev/a}}\n\
             homeassistant: {{discovery_prefix: '{prefix}', status_topic: '{status}', \
             id_prefix: '{id_prefix}'}}\n\
             kamstrup: {{parameters: '{parameters}'}}\n\
             meters: [{}]\n",
            meters.join(", ")
        )
    }
}

/// Whether a topic matches a filter (MQTT 3.1.1, 4.7.1) without `#`.
fn matches(filter: &str, topic: &str) -> bool {
    let (filter, topic) = (filter.split('/'), topic.split('/'));
    filter.clone().count() == topic.clone().count()
        && filter.zip(topic).all(|(one, other)| one == "+" || one == other)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn derived_names_differ_from_chosen_ones(yaml in yaml()) {
        let Some(config) = config(&yaml) else { return Ok(()) };
        let Config { publishing, meters, .. } = &config;
        let topics = Topics::new(&publishing.topic);

        // Devices.
        let devices: Vec<&str> = meters.iter().map(|it| it.device_id.as_str()).collect();
        let distinct: BTreeSet<&str> = devices.iter().copied().collect();
        prop_assert_eq!(distinct.len(), devices.len());
        prop_assert!(!distinct.contains(publishing.program_id.as_str()));

        // Entities, and the topics on which they are announced.
        let announced = announced(&config);
        let ids: BTreeSet<String> =
            announced.iter().map(|it| parsed(it)["unique_id"].to_string()).collect();
        prop_assert_eq!(ids.len(), announced.len(), "{:?}", ids);
        let places: BTreeSet<&str> = announced.iter().map(|it| it.topic.as_str()).collect();
        prop_assert_eq!(places.len(), announced.len());

        // The topics that each part of the program publishes.
        let mut states = vec![topics.status()];
        states.extend(About::ALL.map(|about| topics.about(about)));
        for meter in meters {
            let of_meter = topics.meter(meter.name.as_ref());
            states.push(of_meter.reading());
            states.extend(Diagnostic::ALL.map(|diagnostic| of_meter.diagnostic(diagnostic)));
            states.extend(meter.parameters.iter().map(|parameter| of_meter.value(parameter)));
        }
        let published: BTreeSet<&str> = states.iter().map(String::as_str).chain(places).collect();
        prop_assert_eq!(published.len(), states.len() + announced.len(), "{:?}", states);
        let known = inbox::states(meters, &topics);
        prop_assert_eq!(known.len() + 1, states.len());
        let about = payload::about("now", publishing, &topics);
        prop_assert!(about.iter().all(|message| known.contains(&message.topic)));

        // What the program listens to is nothing that it publishes, and Home Assistant's status is
        // nothing else.
        let handles = vec![MeterHandle::default(); meters.len()];
        let inbox = Inbox::new(meters, &handles, publishing, &topics, RunsAs::Program);
        let subscriptions = inbox.subscriptions();
        for filter in &subscriptions.always {
            let own = published.iter().find(|topic| matches(filter, topic));
            prop_assert_eq!(own, None, "{}", filter);
        }
        let to_status =
            subscriptions.always.iter().filter(|it| matches(it, &publishing.status_topic));
        prop_assert_eq!(to_status.count(), 1);
        let usual = format!("{}/status", publishing.discovery_prefix);
        prop_assert!(!published.contains(usual.as_str()));
        prop_assert!(announced.iter().all(|it| it.topic != publishing.status_topic));
        // Home Assistant would take such a state for an announcement.
        let prefix = &publishing.discovery_prefix;
        for announcements in [format!("{prefix}/+/+/config"), format!("{prefix}/+/+/+/config")] {
            let own = states.iter().find(|topic| matches(&announcements, topic));
            prop_assert_eq!(own, None);
        }
    }
}
