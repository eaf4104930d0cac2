//! Removing retained messages.

use super::*;
use crate::mqtt::cleared::FOUND_AT_MOST;
use crate::mqtt::forget::{Forgotten, Owner, Rest, forget, forget_within};

/// A broker for commands, and its settings.
async fn scripted() -> (Script, Broker) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(&listener);
    let (received, brokers) = (mpsc::channel(1).1, watch::channel(None).0);
    (Script { listener, received, brokers, board: Board::default() }, settings)
}

/// Grants subscriptions and sends these retained messages, until the client disconnects.
async fn grants_until_the_end(peer: &mut Peer, retained: &[(&str, &str)]) {
    loop {
        match peer.next().await {
            Some(Packet::Subscribe(subscribe)) => {
                peer.grant(&subscribe).await;
                for (topic, payload) in retained {
                    peer.says(topic, payload, true).await;
                }
            }
            Some(Packet::Publish(publish)) => peer.acknowledge(&publish).await,
            other => break assert_eq!(other, Some(Packet::Disconnect)),
        }
    }
}

/// It said that they are removed.
#[tokio::test(start_paused = true)]
async fn messages_that_the_broker_keeps_are_reported() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    let forgets = forget(&settings, &filters, |_, _| true, true);
    let serves = async {
        let mut peer = script.welcome().await;
        grants_until_the_end(&mut peer, &[("ours/a", "x"), ("ours/b", "x")]).await;
    };
    let (forgotten, ()) = tokio::join!(forgets, serves);
    let Forgotten { topics, kept, .. } = forgotten.unwrap();
    assert_eq!(topics.len(), 2);
    assert_eq!(kept, topics);
}

/// It removed the values of another program, whose topic is below ours.
#[tokio::test(start_paused = true)]
async fn the_values_of_a_nested_program_are_not_removed() {
    let (script, settings) = scripted().await;
    let filters = ["+/+".to_owned()];
    let owner = |topic: &str, _: &[u8]| {
        let others = vec![topic.replace("reading", "energy")];
        match topic.rsplit_once('/').unwrap() {
            (below, "status") => Owner::AnotherProgram { below: below.to_owned() },
            (_, "reading") => Owner::Earlier { others },
            _ => Owner::PerhapsOurs,
        }
    };
    let forgets = forget(&settings, &filters, owner, false);
    let topics = ["a/reading", "a/energy", "b/energy", "b/reading", "b/status", "c/energy"];
    let serves = async {
        let mut peer = script.welcome().await;
        grants_until_the_end(&mut peer, &topics.map(|topic| (topic, "x"))).await;
    };
    let (forgotten, ()) = tokio::join!(forgets, serves);
    assert_eq!(
        forgotten.unwrap().topics.into_iter().collect::<Vec<_>>(),
        ["a/energy", "a/reading"]
    );
}

#[tokio::test]
async fn many_messages_are_removed_under_many_filters() {
    const MUCH: usize = 3 * QUEUE;
    let (script, settings) = scripted().await;
    let filters: Vec<_> = (0..MUCH).map(|number| format!("f{number}/+")).collect();
    let forgets = forget(&settings, &filters, |topic, _| topic.starts_with("ours"), true);
    let hands_out = async {
        let mut peer = script.welcome().await;
        for number in 0..MUCH {
            let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
            assert_eq!(subscribe.filters[0].path, format!("f{number}/+"));
            if number == 0 {
                for number in 0..MUCH {
                    peer.says(&format!("ours/{number}"), "x", true).await;
                    peer.says(&format!("others/{number}"), "x", true).await;
                }
            }
            peer.grant(&subscribe).await;
        }
        let mut cleared = peer.take(MUCH).await;
        grants_until_the_end(&mut peer, &[]).await;
        cleared.sort_unstable();
        cleared
    };
    let (forgotten, cleared) = tokio::join!(forgets, hands_out);
    let forgotten: Vec<_> =
        forgotten.unwrap().topics.into_iter().map(|topic| format!("{topic} ")).collect();
    assert_eq!(forgotten.len(), MUCH);
    assert_eq!(cleared, forgotten);
}

/// This program, or another one with the same topics, is running.
#[tokio::test]
async fn live_messages_do_not_prevent_forgetting() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    let forgets = forget(&settings, &filters, |_, _| true, true);
    let speaks = async {
        let mut peer = script.welcome().await;
        let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
        peer.says("ours/old", "x", true).await;
        peer.grant(&subscribe).await;
        let begun = Instant::now();
        let cleared = loop {
            peer.says("ours/new", "x", false).await;
            if let Ok(cleared) = timeout(Duration::from_millis(300), peer.published()).await {
                peer.acknowledge(&cleared).await;
                break shown(&cleared);
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "it waits for silence");
        };
        assert_eq!(cleared, "ours/old ");
        grants_until_the_end(&mut peer, &[]).await;
    };
    let (forgotten, ()) = tokio::join!(forgets, speaks);
    assert_eq!(forgotten.unwrap().topics.into_iter().collect::<Vec<_>>(), ["ours/old"]);
}

/// Reported by a test run: the third of three commands was refused, because the broker was still
/// ending the connection of the second one.
#[tokio::test]
async fn a_broker_that_is_ending_an_earlier_connection_is_asked_again() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    let forgets = forget(&settings, &filters, |_, _| true, true);
    let serves = async {
        let (peer, first) = script.accept().await;
        drop(peer);
        let (mut peer, second) = script.accept().await;
        for connect in [first, second] {
            assert!(connect.client_id.starts_with("test-forget-"), "{connect:?}");
        }
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
        peer.grant(&subscribe).await;
        assert_eq!(peer.next().await, Some(Packet::Disconnect));
    };
    let (forgotten, ()) = tokio::join!(forgets, serves);
    assert!(forgotten.unwrap().topics.is_empty());
}

/// The running program has the only client id that the broker accepts.
#[tokio::test]
async fn a_connection_that_the_running_program_takes_over_names_that_cause() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    let forgets = forget(&settings, &filters, |_, _| true, true);
    let serves = async {
        let (mut peer, _) = script.accept().await;
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::BadClientId, false))).await;
        let (mut peer, own) = script.accept().await;
        assert_eq!(own.client_id, "test");
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        let Some(Packet::Subscribe(_)) = peer.next().await else { panic!() };
    };
    let (forgotten, ()) = tokio::join!(forgets, serves);
    let words = forgotten.unwrap_err().words(MadeBy::File);
    assert!(words.contains("Stop the running program"), "{words}");
}

/// Anybody may have published 100,000 messages that look like ours.
#[tokio::test]
async fn a_flood_of_messages_is_removed_in_part_and_the_rest_is_reported() {
    const MUCH: usize = FOUND_AT_MOST + 1000;
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    let forgets = forget(&settings, &filters, |_, _| true, false);
    let serves = async {
        let mut peer = script.welcome().await;
        let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
        peer.grant(&subscribe).await;
        let mut bytes = BytesMut::new();
        for number in 0..MUCH {
            let mut publish = Publish::new(format!("ours/{number}"), QoS::AtMostOnce, "x");
            publish.retain = true;
            Packet::Publish(publish).write(&mut bytes, 65_536).unwrap();
        }
        // The program need not read all of it.
        let _ = peer.stream.write_all(&bytes).await;
        // A listing removes nothing.
        assert!(matches!(peer.next().await, Some(Packet::Disconnect) | None));
    };
    let (forgotten, ()) = tokio::join!(forgets, serves);
    let Forgotten { topics, rest, .. } = forgotten.unwrap();
    assert_eq!((topics.len(), rest), (FOUND_AT_MOST, Rest::TooMany));
}

/// Enough for a busy machine, and short for a test.
const LIMIT: Duration = Duration::from_secs(4);

/// A fault: `forget` said that the broker keeps nothing.
#[tokio::test]
async fn a_broker_that_does_not_acknowledge_a_subscription_is_reported() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned(), "others/+".to_owned()];
    let forgets = forget_within(LIMIT, &settings, &filters, |_, _| true, true);
    let serves = async {
        let mut peer = script.welcome().await;
        let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
        peer.grant(&subscribe).await;
        let Some(Packet::Subscribe(_)) = peer.next().await else { panic!() };
        peer
    };
    let (forgotten, _peer) = tokio::join!(forgets, serves);
    let words = forgotten.unwrap_err().words(MadeBy::File);
    assert!(words.contains("the subscription to `others/+` for 4.0 s"), "{words}");
}

/// A fault: `forget` said that the broker keeps nothing, or nothing else.
#[tokio::test]
async fn a_broker_that_never_stops_sending_may_keep_more() {
    let (script, settings) = scripted().await;
    let filters = ["ours/+".to_owned()];
    for wanted in ["ours/old", "none"] {
        let is_ours = |topic: &str, _: &[u8]| topic == wanted;
        let forgets = forget_within(LIMIT, &settings, &filters, is_ours, false);
        let serves = async {
            let mut peer = script.welcome().await;
            let Some(Packet::Subscribe(subscribe)) = peer.next().await else { panic!() };
            peer.grant(&subscribe).await;
            loop {
                peer.says("ours/old", "x", true).await;
                match timeout(Duration::from_millis(50), peer.next()).await {
                    Err(_) => {}
                    Ok(ended) => break assert!(matches!(ended, Some(Packet::Disconnect) | None)),
                }
            }
        };
        let (forgotten, ()) = tokio::join!(forgets, serves);
        let Forgotten { topics, rest, .. } = forgotten.unwrap();
        assert_eq!((topics.contains("ours/old"), rest), (wanted == "ours/old", Rest::Unknown));
    }
}
