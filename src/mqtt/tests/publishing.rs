//! Which messages are sent, when, and how the connection ends.

use super::*;
use crate::mqtt::client::IN_FLIGHT;
use crate::mqtt::connection_loop::GOODBYE;
use logging::capture;

#[tokio::test]
async fn the_desired_state_is_sent_after_every_connect() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let expected = ["status online", "config {}", "energy 1"];
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(3).await, expected);
    // Only the last values are sent, and discovery only when it changes.
    publisher.update(METER, discovery(), values("2"));
    assert_eq!(peer.take(1).await, ["energy 2"]);
    drop(peer);

    // The connection is lost before anything is acknowledged.
    let mut peer = broker.welcome().await;
    assert_eq!(shown(&peer.published().await), "status online");
    drop(peer);
    // The meter has fallen silent in the meantime. Its old values are not sent as current ones.
    publisher.update(METER, discovery(), Vec::new());
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(2).await, ["status online", "config {}"]);
    publisher.update(METER, discovery(), values("3"));
    assert_eq!(peer.take(1).await, ["energy 3"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    assert_eq!(peer.next().await, Some(Packet::Disconnect));
    ends(running).await;
}

#[tokio::test]
async fn messages_are_passed_on_and_everything_can_be_sent_again() {
    let (mut broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut peer = broker.welcome().await;
    // The program subscribes to retained messages before it replaces any.
    for (filter, qos) in [("birth", QoS::AtLeastOnce), ("config/+", QoS::AtMostOnce)] {
        match peer.next().await {
            Some(Packet::Subscribe(subscribe)) => {
                assert_eq!(subscribe.filters[0].path, filter);
                assert_eq!(subscribe.filters[0].qos, qos);
                peer.grant(&subscribe).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    peer.says("config/old", "{}", true).await;
    peer.says("birth", "online", false).await;
    let heard = [broker.received.recv().await.unwrap(), broker.received.recv().await.unwrap()];
    let shown = heard.map(|message| (message.topic, message.payload, message.retained));
    let expected = [("config/old", "{}", true), ("birth", "online", false)];
    let expected = expected.map(|(t, p, r)| (t.to_owned(), p.as_bytes().to_vec(), r));
    assert_eq!(shown, expected);
    // The program reacts like this to the two messages.
    let born = Instant::now();
    publisher.clear("config/old");
    let _ = publisher.repeat();
    assert_eq!(peer.take(1).await, ["config/old "]);
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    assert!(born.elapsed() < Duration::from_secs(5), "{:?}", born.elapsed());
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

/// More messages than are in flight and fit into the queue; the connection is lost midway.
#[tokio::test]
async fn messages_that_wait_when_the_connection_is_lost_arrive_soon_after() {
    let (broker, publisher, stop, running) = Script::start().await;
    let many = many(0..3 * QUEUE);
    publisher.update(METER, many.clone(), values("1"));
    let mut peer = broker.welcome().await;
    // Some are acknowledged, some are not, and some were never sent.
    peer.take(usize::from(IN_FLIGHT) / 2).await;
    for _ in 0..IN_FLIGHT {
        peer.published().await;
    }
    drop(peer);

    let mut peer = broker.welcome().await;
    let discovery = many.iter().map(|message| format!("{} x", message.topic));
    let online = || ["status online".to_owned()].into_iter();
    let expected: Vec<_> =
        online().chain(discovery).chain(["energy 1".to_owned()].into_iter()).collect();
    peer.all_within_five_seconds(&expected).await;
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

/// The first is acknowledged, the second is not, and the third was never sent.
#[tokio::test]
async fn a_new_connection_clears_only_what_the_last_one_may_not_have_cleared() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    publisher.clear("first");
    assert_eq!(peer.take(1).await, ["first "]);
    publisher.update(METER, Vec::new(), values("1"));
    assert_eq!(peer.take(1).await, ["energy 1"]);
    publisher.clear("second");
    assert_eq!(shown(&peer.published().await), "second ");
    drop(peer);
    let (mut peer, _) = broker.accept().await;
    publisher.clear("third");
    peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    let expected = ["status online", "second ", "third ", "energy 1"];
    let mut taken = peer.take(expected.len()).await;
    taken[1..3].sort();
    assert_eq!(taken, expected);
    drop(peer);
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(2).await, ["status online", "energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

/// The client library rejects a topic with a wildcard. The step stayed in the trail, so the program
/// waited for its acknowledgement when it stopped.
#[tokio::test]
async fn a_message_that_the_client_library_rejects_leaves_no_trace() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    publisher.clear("config/#");
    publisher.update(METER, Vec::new(), values("1"));
    assert_eq!(peer.take(1).await, ["energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    assert_eq!(log.take().iter().filter(|line| line.starts_with("WARN")).count(), 0);
}

#[tokio::test]
async fn acknowledgements_may_arrive_in_any_order() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    publisher.update(METER, many(0..60), Vec::new());
    let mut arrived = Vec::new();
    while arrived.len() < 60 {
        let mut together = Vec::new();
        for _ in 0..IN_FLIGHT {
            together.push(peer.published().await);
        }
        arrived.extend(together.iter().map(|publish| publish.topic.clone()));
        for publish in together.iter().rev() {
            peer.acknowledge(publish).await;
        }
    }
    // Each arrived once.
    let topics = many(0..60).into_iter().map(|message| message.topic);
    assert_eq!(arrived, topics.collect::<Vec<_>>());
    publisher.update(METER, many(0..60), values("1"));
    assert_eq!(peer.take(1).await, ["energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test]
async fn qos_and_retain_are_those_of_the_message() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    let expected = [
        (Qos::AtMostOnce, QoS::AtMostOnce),
        (Qos::AtLeastOnce, QoS::AtLeastOnce),
        (Qos::ExactlyOnce, QoS::ExactlyOnce),
    ];
    let expected = expected.map(|qos| [(qos, false), (qos, true)]).concat();
    let state = |(number, ((qos, _), retain))| Message {
        retain,
        ..message(&format!("v{number}"), "1", qos)
    };
    let states = expected.iter().copied().enumerate().map(state).collect();
    publisher.update(METER, Vec::new(), states);
    for ((_, qos), retain) in expected {
        let publish = peer.published().await;
        assert_eq!((publish.qos, publish.retain, publish.dup), (qos, retain, false));
        peer.acknowledge(&publish).await;
    }
    // Nothing is sent twice.
    publisher.update(METER, Vec::new(), values("2"));
    assert_eq!(peer.take(1).await, ["energy 2"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    loop {
        match peer.next().await {
            Some(Packet::PubRel(released)) => peer.complete(released.pkid).await,
            other => break assert_eq!(other, Some(Packet::Disconnect)),
        }
    }
    ends(running).await;
}

/// With `max_inflight_messages 1`, Mosquitto confirmed all values and dropped all but the first.
#[tokio::test(start_paused = true)]
async fn a_message_with_qos_2_is_completed_before_the_next() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    let value = |number: u32| message(&format!("v{number}"), "1", Qos::ExactlyOnce);
    publisher.update(METER, Vec::new(), (0..3).map(value).collect());
    for number in 0..3 {
        let publish = peer.published().await;
        assert_eq!(publish.topic, format!("v{number}"));
        peer.acknowledge(&publish).await;
        assert!(matches!(peer.next().await, Some(Packet::PubRel(_))));
        let more = timeout(Duration::from_secs(1), peer.packet()).await;
        assert!(more.is_err(), "{more:?}");
        peer.complete(publish.pkid).await;
    }
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test]
async fn the_goodbye_waits_for_its_acknowledgement() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    // The last values are still sent before the goodbye.
    publisher.update(METER, discovery(), values("1"));
    stop.cancel();
    assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
    let goodbye = peer.published().await;
    assert_eq!(shown(&goodbye), "status offline");
    assert_eq!((goodbye.qos, goodbye.retain), (QoS::AtLeastOnce, true));
    // It does not disconnect yet.
    let early = timeout(Duration::from_millis(200), peer.next()).await;
    assert!(early.is_err(), "{early:?}");
    peer.acknowledge(&goodbye).await;
    assert_eq!(peer.next().await, Some(Packet::Disconnect));
    ends(running).await;
}

#[tokio::test]
async fn a_broker_that_does_not_acknowledge_delays_the_stop_by_the_goodbye() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(shown(&peer.published().await), "status online");
    // More than fit into the queue and may be in flight.
    for number in 0..2 * QUEUE {
        let discovery = (0..number).map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce));
        publisher.update(METER, discovery.collect(), values(&number.to_string()));
    }
    for _ in 1..IN_FLIGHT {
        peer.published().await;
    }
    let started = Instant::now();
    stop.cancel();
    ends(running).await;
    // The goodbye takes its whole time, and no more.
    let room = Duration::from_secs(1);
    assert!((GOODBYE..GOODBYE + room).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_program_recovers_from_a_collision_of_packet_ids() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    let many = |from: usize| {
        let all = from..from + 30;
        all.map(|n| message(&format!("t{n}"), "x", Qos::AtLeastOnce)).collect::<Vec<_>>()
    };
    publisher.update(METER, many(0), Vec::new());
    // The first one stays unacknowledged while the others are acknowledged, until the packet ids
    // wrap around to it. Then the session is lost.
    let first = peer.published().await;
    for _ in 1..IN_FLIGHT {
        let publish = peer.published().await;
        peer.acknowledge(&publish).await;
    }
    // The subscriptions have the ids before it.
    assert_eq!(first.pkid, 3);
    let more = timeout(Duration::from_millis(200), peer.next()).await;
    assert!(more.is_err(), "it waits for the first: {more:?}");
    drop(peer);
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(31).await.len(), 31);
    publisher.update(METER, many(100), values("1"));
    assert_eq!(peer.take(31).await.last().map(String::as_str), Some("energy 1"));
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}
