//! Checks that the program's topics are not Home Assistant's.
//!
//! Other programs see on Home Assistant's status topic whether Home Assistant is running. If the
//! program published `offline` there, Home Assistant would seem to have stopped. If it published
//! `online`, the others would send everything again. A topic below the discovery prefix is harmless
//! unless Home Assistant uses it.

use super::check::Checker;
use super::keys;
use super::model::{Meter, Publishing};
use super::origin::{Origin, Place};
use super::problem::{About, Accepted, Actual, HomeAssistants, Ours, Problem, Quoted};
use super::setting::{Key, Setting};
use crate::topic::Topics;

/// A topic that the program would share with Home Assistant.
struct Shared {
    topic: String,
    ours: Ours,
    theirs: HomeAssistants,
    /// The settings to blame, the likeliest first.
    settings: [&'static Setting<String>; 2],
}

impl Checker<'_> {
    /// Notes a topic that the program would share with Home Assistant. `meters` are those whose
    /// settings are valid.
    pub(super) fn topics(&mut self, publishing: &Publishing, meters: &[Meter]) {
        let Some(Shared { topic, ours, theirs, settings }) = shared(publishing, meters) else {
            return;
        };
        let is_given = |setting: &&&'static Setting<String>| self.given(setting).is_some();
        let blamed: &'static Setting<String> = match settings.iter().find(is_given) {
            Some(setting) => setting,
            None => settings[0],
        };
        let place = self.given(blamed).map(|given| given.place.clone());
        let value = text_of(blamed, publishing);
        self.problem(Problem {
            about: About::Setting(blamed, place.unwrap_or(Place::shared(Origin::Default))),
            found: Actual::SharedTopic {
                value: Quoted::new(value),
                topic: Quoted::new(&topic),
                ours,
                theirs,
            },
            accepted: Accepted::This(accepted(blamed)),
        });
    }
}

fn text_of<'a>(key: &Key, publishing: &'a Publishing) -> &'a str {
    let Publishing { topic, discovery_prefix, status_topic, .. } = publishing;
    if *key == *keys::TOPIC {
        topic
    } else if *key == *keys::STATUS_TOPIC {
        status_topic
    } else {
        discovery_prefix
    }
}

fn accepted(key: &Key) -> &'static str {
    if *key == *keys::TOPIC {
        "a topic that no other program uses, like `kamstrup`"
    } else if *key == *keys::STATUS_TOPIC {
        "the topic of Home Assistant's birth message, usually `homeassistant/status`"
    } else {
        "the discovery prefix of Home Assistant's MQTT integration, usually `homeassistant`"
    }
}

fn shared(publishing: &Publishing, meters: &[Meter]) -> Option<Shared> {
    let Publishing { topic, discovery_prefix, status_topic, .. } = publishing;
    let topics = Topics::new(topic);
    let own_status = topics.status();
    let shared = |topic: &str, ours, theirs, settings| {
        Some(Shared { topic: topic.to_owned(), ours, theirs, settings })
    };
    let of_status = [&keys::TOPIC, &keys::STATUS_TOPIC];
    if own_status == *status_topic {
        return shared(&own_status, Ours::Status, HomeAssistants::Status, of_status);
    }
    // Many programs look for Home Assistant's status there, whatever its own settings say.
    if own_status == format!("{discovery_prefix}/status") {
        let settings = [&keys::TOPIC, &keys::DISCOVERY_PREFIX];
        return shared(&own_status, Ours::Status, HomeAssistants::UsualStatus, settings);
    }
    if topic == status_topic {
        return shared(topic, Ours::All, HomeAssistants::Status, of_status);
    }
    let meters = meters.iter();
    let named = meters.map(|it| (it.name.as_ref(), it.parameters.as_slice(), it.mean_names()));
    if topics.states(named.clone()).contains(status_topic) {
        let settings = [&keys::STATUS_TOPIC, &keys::TOPIC];
        return shared(status_topic, Ours::State, HomeAssistants::Status, settings);
    }
    // A command without a meter's name concerns all meters.
    let mut listening = named.map(|(name, ..)| name).chain([None]);
    if listening.any(|name| topics.meter(name).command(status_topic).is_some()) {
        let settings = [&keys::STATUS_TOPIC, &keys::TOPIC];
        return shared(status_topic, Ours::Command, HomeAssistants::Status, settings);
    }
    let below_prefix = status_topic.strip_prefix(discovery_prefix.as_str());
    if below_prefix.is_some_and(|rest| rest.starts_with('/') && rest.ends_with("/config")) {
        let settings = [&keys::STATUS_TOPIC, &keys::DISCOVERY_PREFIX];
        return shared(status_topic, Ours::Announcement, HomeAssistants::Status, settings);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Variables, addon_options, check};

    const PORT: &str = "serial_device: {com_port: /dev/ttyUSB0}\n";

    fn problems(yaml: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let text = format!("{PORT}{yaml}");
        let variables: Variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()))
            .collect();
        check(Some((Path::new("config.yaml"), &text)), &variables)
            .err()
            .map(|error| error.problems())
            .unwrap_or_default()
    }

    /// Each of these was accepted. The first one makes each stop of the program look like one of
    /// Home Assistant.
    #[test]
    fn no_topic_of_ours_is_home_assistants() {
        let files = [
            "mqtt: {topic: homeassistant}",
            "mqtt: {topic: ' homeassistant '}",
            "mqtt: {topic: homeassistant}\nmeters: [{name: a}, {name: b, com_port: /dev/b}]",
            // The default status topic, although the prefix was changed.
            "mqtt: {topic: homeassistant}\nhomeassistant: {discovery_prefix: ha}",
            // The default prefix, although the status topic was changed.
            "mqtt: {topic: homeassistant}\nhomeassistant: {status_topic: ha/status}",
            "mqtt: {topic: ha}\nhomeassistant: {discovery_prefix: ha}",
            "homeassistant: {discovery_prefix: kamstrup}",
            "mqtt: {topic: home/heat}\nhomeassistant: {status_topic: home/heat/status}",
            "homeassistant: {status_topic: kamstrup/status}",
            "mqtt: {topic: homeassistant/status}",
            "homeassistant: {status_topic: kamstrup/energy}",
            "homeassistant: {status_topic: kamstrup/connection}",
            "homeassistant: {status_topic: kamstrup/reading}",
            "homeassistant: {status_topic: kamstrup/version}",
            "meters: [{name: a}]\nhomeassistant: {status_topic: kamstrup/a/energy}",
            // The program subscribes to commands.
            "homeassistant: {status_topic: kamstrup/command/read}",
            "meters: [{name: a}]\nhomeassistant: {status_topic: kamstrup/a/command/online}",
            "meters: [{name: a}]\nhomeassistant: {status_topic: kamstrup/command/read}",
            "homeassistant: {status_topic: homeassistant/sensor/kamstrup_energy/config}",
        ];
        let texts = files.map(|yaml| format!("{yaml}\n  {}", problems(yaml, &[]).join("\n  ")));
        let by_variable = problems("mqtt: {topic: heat}", &[("MQTT_TOPIC", "homeassistant")]);
        let texts = texts.join("\n");
        assert!(!texts.contains("  \n"), "{texts}");
        insta::assert_snapshot!(format!("{texts}\nMQTT_TOPIC\n  {}", by_variable.join("\n  ")));
    }

    #[test]
    fn topics_of_the_broker_are_rejected() {
        for topic in ["$SYS", "$SYS/heat", "$share/group/heat", " $queue/heat"] {
            let yaml = format!("mqtt: {{topic: '{topic}'}}");
            let [problem] = &problems(&yaml, &[])[..] else { panic!("{topic}") };
            assert!(problem.contains("without `$` at its start"), "{problem}");
        }
        assert_eq!(problems("mqtt: {topic: heat/$SYS}", &[]), [""; 0]);
    }

    /// The form has no option for the status topic.
    #[test]
    fn the_form_names_only_its_own_options() {
        let port = r#""port": "/dev/ttyUSB0""#;
        let forms = [
            r#"{"topic": "homeassistant"}"#,
            r#"{"topic": "homeassistant", "discovery_prefix": "ha"}"#,
            r#"{"topic": "ha", "discovery_prefix": "ha"}"#,
            r#"{"discovery_prefix": "kamstrup"}"#,
        ];
        let texts = forms.map(|mqtt| {
            let form = format!(r#"{{{port}, "mqtt": {mqtt}}}"#);
            let error = addon_options::check(Path::new("options.json"), form.as_bytes());
            format!("{mqtt}\n  {}", error.unwrap_err().problems().join("\n  "))
        });
        let texts = texts.join("\n");
        assert!(!texts.contains("status_topic") && !texts.contains("homeassistant."), "{texts}");
        insta::assert_snapshot!(texts);
    }

    /// Home Assistant uses none of these topics, so configurations that have them stay valid.
    #[test]
    fn harmless_topics_are_accepted() {
        for yaml in [
            "mqtt: {topic: homeassistant2}",
            "mqtt: {topic: home}",
            "mqtt: {topic: homeassistant/kamstrup}",
            "mqtt: {topic: homeassistant/sensor/heat}",
            "mqtt: {topic: homeassistant/sensor}\nmeters: [{name: a}]",
            "mqtt: {topic: Homeassistant}",
            // Empty levels make another topic: `homeassistant//status`.
            "mqtt: {topic: homeassistant/}",
            "mqtt: {topic: /homeassistant}",
            "mqtt: {topic: kamstrup/}",
            "mqtt: {topic: heat/homeassistant}",
            "homeassistant: {discovery_prefix: kamstrup/ha}",
            "homeassistant: {discovery_prefix: kamstrup/command}",
            "homeassistant: {status_topic: kamstrup/homeassistant}",
            "homeassistant: {status_topic: kamstrup/command/read/now}",
            "homeassistant: {status_topic: kamstrup/a/energy}",
            "homeassistant: {status_topic: kamstrup/energy/}",
            "mqtt: {topic: homeassistant}\nhomeassistant: {discovery_prefix: ha, status_topic: ha/status}",
        ] {
            assert_eq!(problems(yaml, &[]), [""; 0], "{yaml}");
        }
    }
}
