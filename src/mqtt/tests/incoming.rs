//! Subscriptions, and messages from the broker.

use rumqttc::mqttbytes::v4::UnsubAck;

use super::*;
use crate::mqtt::incoming::{IncomingMessages, ROOM_WITHIN};

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
    let (inbox, received) = mpsc::channel(1);
    let mut incoming = IncomingMessages::new(inbox);
    incoming.pass_on(birth()).await;
    assert!(!incoming.is_flooded);
    incoming.pass_on(birth()).await;
    assert!(incoming.is_flooded);
    // During a flood, no message waits for room.
    let before = Instant::now();
    incoming.pass_on(birth()).await;
    assert!(before.elapsed() < ROOM_WITHIN, "{:?}", before.elapsed());
    incoming.is_flooded = false;
    drop(received);
    incoming.pass_on(birth()).await;
    assert!(!incoming.is_flooded);
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
