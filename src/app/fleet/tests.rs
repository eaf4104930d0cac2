use std::collections::BTreeMap;
use std::path::Path;

use tokio::sync::watch;

use super::*;
use crate::app::services::Services;
use crate::config;
use crate::mqtt::{Received, RecordedMessages, recorded_publisher};

/// A configuration with these meters, given by name and a number for the port. No such port exists.
fn config(meters: &[(&str, u8)], more: &str) -> Config {
    let meter = |(name, port): &(&str, u8)| {
        format!("  - {{ name: {name}, com_port: /nowhere/{port}, parameters: energy }}\n")
    };
    let list: String = meters.iter().map(meter).collect();
    let yaml = format!("mqtt: {{ topic: heat{more} }}\nmeters:\n{list}");
    config::check(Some((Path::new("x"), &yaml)), &BTreeMap::new()).unwrap().config
}

/// A fleet that reads these meters, and what it sends to the broker.
fn fleet(config: Config) -> (Fleet, RecordedMessages) {
    fleet_with(config, &Services::default())
}

fn fleet_with(config: Config, services: &Services) -> (Fleet, RecordedMessages) {
    let Config { publishing, meters, .. } = config;
    let (publisher, sent) = recorded_publisher();
    let topics = Topics::new(&publishing.topic);
    let program = ProgramState { started: "t".to_owned(), memories: MeterMemories::default() };
    let observers = Observers::of(services);
    let stop = CancellationToken::new();
    let mut fleet = Fleet::new(publisher, publishing, topics, program, observers, stop);
    fleet.start(meters.into_iter().map(|meter| (meter, MeterHandle::default())).collect());
    (fleet, sent)
}

/// Name and number of each meter, and its task.
fn members(fleet: &Fleet) -> Vec<(String, usize, Id)> {
    let member = |member: &Member| {
        let name = member.meter.name.as_ref().unwrap().to_string();
        (name, member.number, member.task)
    };
    fleet.members.iter().map(member).collect()
}

async fn change(fleet: &mut Fleet, config: Config) {
    let (_, unexpected) = fleet.change(config).await;
    assert!(unexpected.is_none(), "{unexpected:?}");
    assert_eq!(fleet.tasks.len(), fleet.members.len());
}

#[tokio::test]
async fn meters_with_unchanged_settings_continue() {
    let (mut fleet, _) = fleet(config(&[("attic", 1), ("cellar", 2)], ""));
    let before = members(&fleet);
    change(&mut fleet, config(&[("house", 3), ("cellar", 2), ("attic", 1)], "")).await;
    let after = members(&fleet);
    assert_eq!(after[1..], [before[1].clone(), before[0].clone()]);
    assert_eq!((after[0].0.as_str(), after[0].1), ("house", 2));
    let board = fleet.observers.board.meters();
    let numbers: Vec<_> = board.iter().map(|meter| meter.number).collect();
    assert_eq!(numbers, [2, 1, 0]);
}

#[tokio::test]
async fn a_meter_with_changed_settings_keeps_its_number_but_not_its_task() {
    let (mut fleet, _) = fleet(config(&[("attic", 1), ("cellar", 2)], ""));
    let before = members(&fleet);
    change(&mut fleet, config(&[("attic", 1), ("cellar", 7)], "")).await;
    let after = members(&fleet);
    assert_eq!(after[0], before[0]);
    assert_eq!((after[1].0.as_str(), after[1].1), ("cellar", 1));
    assert_ne!(after[1].2, before[1].2);
}

#[tokio::test]
async fn changed_settings_of_the_broker_restart_every_task() {
    let (mut fleet, _) = fleet(config(&[("attic", 1)], ""));
    let before = members(&fleet);
    change(&mut fleet, config(&[("attic", 1)], ", retain: true")).await;
    let after = members(&fleet);
    assert_eq!((after[0].1, after[0].2 == before[0].2), (before[0].1, false));
}

/// The topics that are emptied when the broker has these retained messages.
async fn emptied(
    fleet: &Fleet,
    inbox: Inbox,
    sent: &mut RecordedMessages,
    retained: &[(&str, &str)],
) -> Vec<String> {
    let (sender, received) = mpsc::channel(retained.len().max(1));
    for (topic, payload) in retained {
        let (topic, payload) = ((*topic).to_owned(), payload.as_bytes().to_vec());
        sender.send(Received { topic, payload, retained: true }).await.unwrap();
    }
    let (stop, (_keep, changes)) = (CancellationToken::new(), mpsc::channel(1));
    let running = inbox.run(received, changes, fleet.publisher.clone(), stop.clone());
    let handled = async {
        while sender.capacity() < sender.max_capacity() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(running, handled);
    sent.take_empty()
}

/// Lets the tasks of the meters begin.
async fn begin() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// What was announced for this meter.
fn announced<'a>(messages: &'a [Message], name: &str) -> Vec<(&'a str, &'a str)> {
    let of_meter = messages.iter().filter(|message| message.topic.contains(name));
    let announced = of_meter.filter(|message| message.topic.ends_with("/config"));
    announced.map(|message| (message.topic.as_str(), message.payload.as_str())).collect()
}

#[tokio::test]
async fn what_the_configuration_before_has_left_is_removed_in_the_next_connection() {
    let before = config(&[("attic", 1), ("cellar", 2)], ", retain: true");
    let mut after = config(&[("attic", 1)], ", retain: true");
    after.publishing.topic = "warm".to_owned();
    let (before, mut sent) = fleet(before);
    begin().await;
    let messages = sent.take();
    let [attic, cellar] = ["attic", "cellar"].map(|name| announced(&messages, name));
    assert!(cellar.len() > 3, "{cellar:?}");
    for status in ["offline", "online"] {
        let left = before.left();
        let (mut fleet, mut sent) = fleet(after.clone());
        sent.take();
        let inbox = fleet.inbox().after(&left.earlier, 0);
        let inbox = inbox.abandoning(left.status.clone(), left.states.clone());
        let filters = inbox.subscriptions().at_first;
        assert!(filters.contains(&"heat/status".to_owned()), "{filters:?}");
        fleet.follow(left);
        let all = [&attic[..], &cellar, &[("heat/status", status)]].concat();
        let emptied = emptied(&fleet, inbox, &mut sent, &all).await;
        let has = |topic: &str| emptied.iter().any(|emptied| emptied == topic);
        assert!(cellar.iter().all(|(topic, _)| has(topic)), "{emptied:?}");
        assert!(!attic.iter().any(|(topic, _)| has(topic)), "{emptied:?}");
        // Another program may use that topic now.
        for topic in ["heat/status", "heat/attic/energy", "heat/version"] {
            assert_eq!(has(topic), status == "offline", "{topic}: {emptied:?}");
        }
        assert!(!emptied.iter().any(|topic| topic.starts_with("warm/")), "{emptied:?}");
    }
}

/// Reported by a test run: a meter that was moved to a second program vanished from Home Assistant
/// when the first one loaded its new configuration.
#[tokio::test]
async fn announcements_that_another_program_has_taken_over_are_not_removed() {
    let (mut fleet, mut sent) = fleet(config(&[("attic", 1), ("cellar", 2)], ""));
    begin().await;
    let messages = sent.take();
    let ours = announced(&messages, "cellar");
    assert!(ours.len() > 3, "{ours:?}");
    let payloads: Vec<_> =
        ours.iter().map(|(_, payload)| payload.replace("\"heat/", "\"other/")).collect();
    let theirs: Vec<_> = ours.iter().zip(&payloads).map(|((topic, _), p)| (*topic, &**p)).collect();
    for (retained, is_removed) in [(&theirs, false), (&ours, true)] {
        let before = fleet.inbox().subscriptions().surveys;
        let (inbox, _) = fleet.change(config(&[("attic", 1)], "")).await;
        assert_eq!(inbox.subscriptions().surveys, before + 1);
        assert_eq!(sent.take_empty(), [""; 0]);
        let emptied = emptied(&fleet, inbox, &mut sent, retained).await;
        assert_eq!(emptied.len(), if is_removed { ours.len() } else { 0 }, "{emptied:?}");
        change(&mut fleet, config(&[("attic", 1), ("cellar", 2)], "")).await;
        begin().await;
        sent.take();
    }
    // Nothing is examined again if nothing was removed.
    let surveys = fleet.inbox().subscriptions().surveys;
    let (inbox, _) = fleet.change(config(&[("attic", 3), ("cellar", 2)], "")).await;
    assert_eq!(inbox.subscriptions().surveys, surveys);
    // Announcements under another prefix are recognized by their own.
    let mut other = config(&[("attic", 1)], "");
    other.publishing.discovery_prefix = "other".to_owned();
    let (inbox, _) = fleet.change(other).await;
    let filters = inbox.subscriptions().at_first;
    for filter in ["homeassistant/sensor/+/config", "other/sensor/+/config"] {
        assert!(filters.contains(&filter.to_owned()), "{filters:?}");
    }
    assert_eq!(emptied(&fleet, inbox, &mut sent, &ours).await.len(), ours.len());
}

#[tokio::test]
async fn values_that_are_no_longer_configured_are_removed() {
    let (mut fleet, mut sent) = fleet(config(&[("attic", 1), ("cellar", 2)], ", retain: true"));
    sent.take();
    change(&mut fleet, config(&[("attic", 1)], ", retain: true")).await;
    let emptied = sent.take_empty();
    assert!(emptied.contains(&"heat/cellar/energy".to_owned()), "{emptied:?}");
    assert!(emptied.iter().all(|topic| topic.contains("cellar")), "{emptied:?}");
    // Retained values are removed when values are no longer retained.
    change(&mut fleet, config(&[("attic", 1)], "")).await;
    let emptied = sent.take_empty();
    assert!(emptied.contains(&"heat/attic/energy".to_owned()), "{emptied:?}");
    assert!(emptied.iter().all(|topic| topic.starts_with("heat/")), "{emptied:?}");
}

/// The add-on's address is known only after the Supervisor has answered.
#[tokio::test]
async fn the_programs_device_links_to_the_page_as_soon_as_its_address_is_known() {
    let (found, page) = watch::channel(None);
    let services = Services { page, ..Services::default() };
    let (fleet, mut sent) = fleet_with(config(&[("attic", 1)], ""), &services);
    let links = |sent: &mut RecordedMessages| -> Vec<_> {
        let messages = sent.take().into_iter();
        let of_program = messages.filter(|message| {
            message.topic.ends_with("_version/config") || message.topic.ends_with("_started/config")
        });
        let parsed = of_program
            .map(|message| serde_json::from_str::<serde_json::Value>(&message.payload).unwrap());
        parsed.map(|entity| entity["device"]["configuration_url"].clone()).collect()
    };
    assert_eq!(links(&mut sent), [serde_json::Value::Null, serde_json::Value::Null]);
    found.send_replace(Some("homeassistant://app/local_kamstrup2mqtt".to_owned()));
    fleet.page_has_changed();
    assert_eq!(links(&mut sent), ["homeassistant://app/local_kamstrup2mqtt"; 2]);
}

#[tokio::test]
async fn a_fleet_ends_with_its_tasks() {
    let (mut fleet, _) = fleet(config(&[("attic", 1), ("cellar", 2)], ""));
    fleet.shut_down(&CancellationToken::new()).await;
    assert!(fleet.next_ended().await.is_none());
}

#[test]
fn the_log_says_how_readings_are_shifted() {
    let words = |seconds| offset_words(SignedDuration::from_secs(seconds));
    assert_eq!(words(0), "");
    assert_eq!(words(-20), ", 20 s before each full step of the clock (`poll_offset`)");
    assert_eq!(words(120), ", 2 min after each full step of the clock (`poll_offset`)");
}
