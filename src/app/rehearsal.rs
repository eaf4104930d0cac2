//! What the program will do at the broker, for `check --online`.

use std::collections::BTreeMap;

use super::announce::expected;
use crate::config::Config;
use crate::discovery::{self, Described};
use crate::inbox::Inbox;
use crate::mqtt::Rehearsal;
use crate::payload::{self, Message, OFFLINE};
use crate::topic::Topics;
use logging::LocalTime;
use meter::RunsAs;
use meter::identity::Identification;
use meter::poll::MeterHandle;

/// The last will, the subscriptions, and one message of each kind.
#[must_use]
pub(crate) fn rehearsal(config: &Config) -> Rehearsal {
    let Config { publishing, meters, .. } = config;
    let topics = Topics::new(&publishing.topic);
    let handles: Vec<_> = meters.iter().map(|_| MeterHandle::default()).collect();
    let inbox = Inbox::new(meters, &handles, publishing, &topics, RunsAs::Program);
    let subscriptions = inbox.subscriptions();
    let filters = subscriptions.always.into_iter().chain(subscriptions.at_first).collect();
    // What is true while the program is not running.
    let will = Message::status(&topics, OFFLINE);
    let mut samples = vec![will.clone()];
    samples.extend(longest_of_each_component(config, &topics));
    samples.extend(payload::about(&LocalTime::now_text(), publishing, &topics).into_iter().next());
    Rehearsal { will, filters, samples }
}

/// The longest discovery message of each component, since a broker may limit their length.
fn longest_of_each_component(config: &Config, topics: &Topics) -> Vec<Message> {
    let Config { publishing, meters, .. } = config;
    let of_meters = meters.iter().flat_map(|meter| {
        let measures = expected(meter);
        let identity = Identification::new(meter.version).identity();
        let means = meter.means();
        let described = Described {
            meter,
            means: &means,
            identity: &identity,
            measures: &measures,
            has_info_code: true,
            page: None,
        };
        discovery::meter(described, publishing, topics)
    });
    let mut longest: BTreeMap<String, Message> = BTreeMap::new();
    for message in of_meters.chain(discovery::program(publishing, topics, None)) {
        let rest = message.topic.strip_prefix(&publishing.discovery_prefix);
        let component = rest.and_then(|rest| rest.trim_start_matches('/').split('/').next());
        let Some(component) = component.map(str::to_owned) else { continue };
        let known = longest.get(&component).map_or(0, |known| known.payload.len());
        if message.payload.len() > known {
            longest.insert(component, message);
        }
    }
    longest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn one_message_of_each_kind_is_tried() {
        let yaml = "mqtt: {host: broker}\nserial_device: {com_port: /dev/ttyUSB0}\nkamstrup: \
                    {parameters: [energy, power]}\n";
        let file = std::path::Path::new("config.yaml");
        let config = config::check(Some((file, yaml)), &config::Variables::new()).unwrap().config;
        let Rehearsal { will, filters, samples } = rehearsal(&config);
        assert_eq!((will.topic.as_str(), will.payload.as_str()), ("kamstrup/status", "offline"));
        let topics: Vec<_> = samples.iter().map(|message| message.topic.as_str()).collect();
        insta::assert_debug_snapshot!((filters, topics));
    }
}
