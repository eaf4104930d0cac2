//! Subscriptions, and messages from the broker.

use rumqttc::mqttbytes::v4::UnsubAck;

use super::*;
use crate::mqtt::incoming::{IncomingMessages, LONGEST_KEPT, LONGEST_TOPIC, ROOM_WITHIN};
use logging::capture;

#[tokio::test]
async fn subscriptions_change_in_the_same_connection() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    let mut changes = async |count: usize| {
        let mut changes = Vec::new();
        while changes.len() < count {
            match peer.next().await {
                Some(Packet::Subscribe(subscribe)) => {
                    peer.grant(&subscribe).await;
                    changes.push(format!("+{}", subscribe.filters[0].path));
                }
                Some(Packet::Unsubscribe(packet)) => {
                    let answer = Packet::UnsubAck(UnsubAck::new(packet.pkid));
                    peer.send(answer).await;
                    changes.push(format!("-{}", packet.topics[0]));
                }
                Some(Packet::Publish(publish)) => peer.acknowledge(&publish).await,
                other => panic!("{other:?}"),
            }
        }
        changes
    };
    assert_eq!(changes(2).await, ["+birth", "+config/+"]);
    publisher.subscribe(Subscriptions {
        always: vec!["birth".to_owned(), "command/+".to_owned()],
        at_first: vec!["other/+".to_owned()],
        surveys: 0,
    });
    assert_eq!(changes(3).await, ["-config/+", "+command/+", "+other/+"]);
    // After a loss, the current subscriptions are in effect.
    drop(peer);
    let mut peer = broker.welcome().await;
    let mut filters = Vec::new();
    while filters.len() < 3 {
        if let Some(Packet::Subscribe(subscribe)) = peer.next().await {
            peer.grant(&subscribe).await;
            filters.push(subscribe.filters[0].path.clone());
        }
    }
    assert_eq!(filters, ["birth", "command/+", "other/+"]);
    stop.cancel();
    assert_eq!(peer.take(2).await, ["status online", "status offline"]);
    ends(running).await;
}

#[tokio::test]
async fn a_rejected_subscription_does_not_stop_publishing() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, Vec::new(), values("1"));
    let mut peer = broker.welcome().await;
    for _ in 0..2 {
        let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
        let rejected = vec![SubscribeReasonCode::Failure];
        peer.send(Packet::SubAck(SubAck::new(subscribe.pkid, rejected))).await;
    }
    assert_eq!(peer.take(2).await, ["status online", "energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test]
async fn a_flood_from_the_broker_is_bounded_and_delays_nothing() {
    const MORE: usize = 500;
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    // Nobody handles the received messages.
    for _ in 0..INBOX + MORE {
        peer.says("birth", "online", false).await;
    }
    publisher.update(METER, discovery(), values("1"));
    assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
    // The answer to a last message proves that all earlier ones were received.
    let mut last = Publish::new("birth", QoS::AtLeastOnce, "online");
    last.pkid = 1;
    peer.send(Packet::Publish(last)).await;
    assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck::new(1))));
    assert_eq!(broker.received.len(), INBOX);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_noticed_but_messages_while_stopping_are_no_flood() {
    let birth = || Publish::new("birth", QoS::AtMostOnce, "online");
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (inbox, mut received) = mpsc::channel(1);
    let mut incoming = IncomingMessages::new(inbox);
    incoming.pass_on(birth()).await;
    assert!(!incoming.is_flooded);
    incoming.pass_on(birth()).await;
    assert!(incoming.is_flooded);
    // During a flood, no message waits for room.
    let before = Instant::now();
    incoming.pass_on(birth()).await;
    assert!(before.elapsed() < ROOM_WITHIN, "{:?}", before.elapsed());
    // The log says how many were dropped, though not each time.
    tokio::time::advance(Duration::from_secs(3600)).await;
    for _ in 0..5 {
        incoming.pass_on(birth()).await;
    }
    let flood = "WARN The broker sends messages faster than they can be handled.";
    let more = format!("{flood} 2 more were dropped.");
    assert_eq!(log.take(), [format!("{flood} Some are dropped."), more]);
    // When all are handled, the next ones wait for room again.
    assert!(received.recv().await.is_some());
    incoming.pass_on(birth()).await;
    assert!(!incoming.is_flooded);
    drop(received);
    incoming.pass_on(birth()).await;
    assert!(!incoming.is_flooded);
}

/// 4096 waiting messages of 1 MiB each would be 4 GiB.
#[tokio::test(start_paused = true)]
async fn the_waiting_messages_of_a_hostile_broker_take_little_memory() {
    let (inbox, mut received) = mpsc::channel(INBOX);
    let mut incoming = IncomingMessages::new(inbox);
    let long = "x".repeat(1024 * 1024);
    for _ in 0..2 * INBOX {
        incoming.pass_on(Publish::new("birth", QoS::AtMostOnce, long.clone())).await;
        let topic = "t".repeat(LONGEST_TOPIC + 1);
        incoming.pass_on(Publish::new(topic, QoS::AtMostOnce, "x")).await;
    }
    let mut held = 0;
    while let Ok(message) = received.try_recv() {
        assert_eq!(message.topic, "birth");
        held += message.payload.len();
    }
    assert_eq!(held, INBOX * LONGEST_KEPT);
    assert!(held <= 16 * 1024 * 1024, "{held}");
}

/// Each length had a line of its own: 94,000 lines in 10 s.
#[tokio::test(start_paused = true)]
async fn messages_on_long_topics_have_one_line_in_the_log() {
    let (log, _logging) = capture::lines();
    let (inbox, _received) = mpsc::channel(1);
    let mut incoming = IncomingMessages::new(inbox);
    for more in 1..100 {
        let topic = "t".repeat(LONGEST_TOPIC + more);
        incoming.pass_on(Publish::new(topic, QoS::AtMostOnce, "x")).await;
    }
    let lines: std::collections::BTreeSet<_> = log.take().into_iter().collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

/// All retained messages may arrive at once, and are handled in the meantime.
#[tokio::test]
async fn no_message_is_lost_while_many_are_handled() {
    let (mut broker, _publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    let mut bytes = BytesMut::new();
    for number in 0..3 * INBOX {
        let mut publish = Publish::new("config/x", QoS::AtMostOnce, number.to_string());
        publish.retain = true;
        Packet::Publish(publish).write(&mut bytes, 65_536).unwrap();
    }
    let says = async { peer.stream.write_all(&bytes).await.unwrap() };
    let hears = async {
        for number in 0..3 * INBOX {
            let heard = timeout(PATIENCE, broker.received.recv()).await.unwrap().unwrap();
            assert_eq!(heard.payload, number.to_string().into_bytes());
        }
    };
    tokio::join!(says, hears);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}
