//! Brokers that acknowledge every message, slowly.

use std::collections::BTreeMap;

use super::*;
use crate::mqtt::client::IN_FLIGHT;
use crate::mqtt::slowness::Slowness;
use crate::status::Doubt;
use logging::capture;

const METERS: usize = 5;
const VALUES: usize = 40;
const INTERVAL: Duration = Duration::from_secs(60);

/// The values of a poll of one meter. Each payload is the number of the poll.
fn poll(meter: usize, number: u64) -> Vec<Message> {
    let topics = (0..VALUES).map(|value| format!("m{meter}/v{value}"));
    let value = |topic: String| Message {
        topic,
        payload: number.to_string(),
        qos: Qos::AtLeastOnce,
        retain: false,
    };
    topics.map(value).collect()
}

/// What a broker has received, and when, if it acknowledges one message each `pause`.
async fn received_slowly(
    pause: Duration,
    lasts: Duration,
) -> (Vec<(Duration, String, u64)>, usize, Vec<String>) {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    peer.take(1).await;
    let begun = Instant::now();
    let polls = async {
        for number in 0.. {
            for meter in 0..METERS {
                publisher.update(Source::Meter(meter), Vec::new(), poll(meter, number));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let mut arrived = Vec::new();
    let mut connections = 1;
    let serving = async {
        let mut unacknowledged = std::collections::VecDeque::new();
        let mut next = Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next) => {
                    if let Some(publish) = unacknowledged.pop_front() {
                        peer.acknowledge(&publish).await;
                    }
                    next += pause;
                }
                packet = peer.packet() => match packet {
                    Some(Packet::Publish(publish)) => {
                        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                        if let Ok(number) = payload.parse() {
                            arrived.push((begun.elapsed(), publish.topic.clone(), number));
                        }
                        unacknowledged.push_back(publish);
                    }
                    Some(Packet::PingReq) => peer.send(Packet::PingResp).await,
                    Some(Packet::Subscribe(subscribe)) => peer.grant(&subscribe).await,
                    Some(Packet::Unsubscribe(left)) => {
                        peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
                    }
                    None => {
                        connections += 1;
                        unacknowledged.clear();
                        peer = broker.welcome().await;
                    }
                    other => panic!("{other:?}"),
                },
            }
        }
    };
    tokio::select! {
        () = serving => unreachable!(),
        () = polls => unreachable!(),
        () = tokio::time::sleep(lasts) => {}
    }
    stop.cancel();
    drop(peer);
    ends(running).await;
    let lines = log.take().into_iter().filter(|line| line.starts_with("WARN")).collect();
    (arrived, connections, lines)
}

/// Values were up to 468 s old when they were sent: each waited for all before it.
#[tokio::test(start_paused = true)]
async fn a_slow_broker_gets_the_newest_value_of_each_topic_in_turn() {
    for pause in [4, 6, 20] {
        let pause = Duration::from_secs(pause);
        let all = u32::try_from(METERS * VALUES).unwrap() * pause;
        let (arrived, connections, warnings) = received_slowly(pause, all * 4).await;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut oldest = Duration::ZERO;
        for (at, topic, poll) in &arrived {
            let replaced = INTERVAL * u32::try_from(*poll + 1).unwrap();
            oldest = oldest.max(at.saturating_sub(replaced));
            *counts.entry(topic).or_default() += 1;
        }
        // One message may wait for the acknowledgement of the one before it.
        assert!(oldest <= pause, "{pause:?}: {oldest:?}");
        assert_eq!(counts.len(), METERS * VALUES, "{pause:?}");
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(*least >= 2 && most - least <= 2, "{pause:?}: {least} to {most}");
        assert!(connections <= 2, "{pause:?}: {connections}");
        let slow = warnings.iter().filter(|line| line.contains("acknowledges messages so slowly"));
        assert_eq!(slow.count(), 1, "{warnings:#?}");
    }
}

/// The status page said so until the next connection.
#[tokio::test(start_paused = true)]
async fn a_broker_that_is_no_longer_slow_is_no_longer_in_doubt() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let board = Board::default();
    let state = board.broker();
    let doubt = || match &*state.borrow() {
        BrokerState::Connected { doubt, .. } => doubt.as_ref().map(Doubt::words),
        other => panic!("{other:?}"),
    };
    let name = "broker".to_owned();
    board.set_broker(BrokerState::Connected { name, since: Instant::now(), doubt: None });
    let mut slowness = Slowness::new("broker".to_owned(), MadeBy::File, board.clone());
    let since = Instant::now();
    tokio::time::advance(Duration::from_secs(59)).await;
    slowness.sends(since);
    assert_eq!(doubt(), None);
    tokio::time::advance(Duration::from_secs(2)).await;
    slowness.sends(since);
    assert!(doubt().unwrap().contains("that others wait 61 s before"), "{:?}", doubt());
    slowness.has_sent_all();
    assert_eq!(doubt(), None);
    assert_eq!(log.take().len(), 2);
    // Soon again: only the page says so.
    slowness.sends(since);
    assert!(doubt().is_some());
    slowness.has_sent_all();
    assert_eq!(doubt(), None);
    assert_eq!(log.take(), [""; 0]);
}

/// The status page said so until the next connection.
#[tokio::test(start_paused = true)]
async fn a_late_acknowledgement_ends_the_doubt() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    peer.take(1).await;
    let mut state = broker.board.broker();
    let doubts =
        |state: &BrokerState| matches!(state, BrokerState::Connected { doubt: Some(_), .. });
    for _ in 0..2 {
        publisher.update(METER, Vec::new(), vec![message("energy", "1", Qos::AtLeastOnce)]);
        let publish = peer.published().await;
        timeout(PATIENCE * 2, state.wait_for(doubts)).await.unwrap().unwrap();
        peer.acknowledge(&publish).await;
        timeout(PATIENCE, state.wait_for(|state| !doubts(state))).await.unwrap().unwrap();
    }
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    let lines = log.take();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("has not acknowledged"), count("acknowledges messages again")), (1, 1));
}

/// After a stall, hundreds of announcements came before the values of the last poll.
#[tokio::test(start_paused = true)]
async fn after_a_stall_values_come_first() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, many(0..20), values("1"));
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(22).await.last().unwrap(), "energy 1");
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The last one is never acknowledged.
    publisher.update(METER, many(0..20), vec![message("energy", "2", Qos::AtLeastOnce)]);
    assert_eq!(shown(&peer.published().await), "energy 2");
    drop(peer);
    let mut peer = broker.welcome().await;
    let taken = peer.take(23).await;
    assert_eq!(
        [&*taken[0], &taken[1], &taken[2], &taken[22]],
        [
            "status online",
            "energy 2",
            "t0 x",
            // Home Assistant may have created the entity again.
            "energy 2",
        ]
    );
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

/// Fills the window with values of another meter, so that everything else waits.
async fn fill_window(publisher: &Publisher, peer: &mut Peer) -> Vec<Publish> {
    publisher.update(OTHER, Vec::new(), many(0..IN_FLIGHT.into()));
    let mut held = Vec::new();
    while held.len() < usize::from(IN_FLIGHT) {
        held.push(peer.published().await);
    }
    held
}

const OTHER: Source = Source::Meter(1);

/// Long enough for the publish loop to see each change, and short for the broker.
async fn looks() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Such a value stayed old in Home Assistant until it was read again, for example after a day.
#[tokio::test(start_paused = true)]
async fn a_value_that_a_failed_poll_dropped_is_sent_after_the_next_poll() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    peer.take(1).await;
    let state = |topic: &str, payload: &str| message(topic, payload, Qos::AtLeastOnce);
    publisher.update(METER, Vec::new(), vec![state("fast", "1"), state("slow", "1")]);
    assert_eq!(peer.take(2).await, ["fast 1", "slow 1"]);
    let held = fill_window(&publisher, &mut peer).await;
    publisher.update(METER, Vec::new(), vec![state("fast", "2"), state("slow", "2")]);
    looks().await;
    publisher.update_all(METER, Vec::new(), vec![state("connection", "OFF")], None);
    looks().await;
    let slow = || Some(vec![state("slow", "2")]);
    publisher.update_all(METER, Vec::new(), vec![state("fast", "3")], slow());
    looks().await;
    for publish in held {
        peer.acknowledge(&publish).await;
    }
    assert_eq!(peer.take(2).await, ["slow 2", "fast 3"]);
    // It is sent once.
    publisher.update_all(METER, Vec::new(), vec![state("fast", "4")], slow());
    looks().await;
    publisher.update_all(METER, Vec::new(), vec![state("fast", "5")], slow());
    assert_eq!(peer.take(2).await, ["fast 4", "fast 5"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

/// The entities of a removed meter appeared in Home Assistant and stayed there.
#[tokio::test(start_paused = true)]
async fn an_announcement_of_a_removed_meter_is_not_sent() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    peer.take(1).await;
    let held = fill_window(&publisher, &mut peer).await;
    let moved = || vec![message("moved", "{}", Qos::AtLeastOnce)];
    publisher.announce(METER, [discovery(), moved()].concat());
    looks().await;
    // Another meter has one of the entities from now on.
    publisher.update(METER, Vec::new(), Vec::new());
    publisher.announce(Source::Meter(2), moved());
    looks().await;
    for publish in held {
        peer.acknowledge(&publish).await;
    }
    assert_eq!(peer.take(1).await, ["moved {}"]);
    publisher.update(OTHER, Vec::new(), values("1"));
    assert_eq!(peer.take(1).await, ["energy 1"]);
    // The meter is added again.
    publisher.announce(METER, discovery());
    assert_eq!(peer.take(1).await, ["config {}"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}
