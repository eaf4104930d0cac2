//! Brokers that send messages that are too long.

use super::*;
use logging::capture;

/// The beginning of a retained message of 2 MiB.
const LONG: [u8; 5] = [0x31, 0x80, 0x80, 0x80, 0x01];

/// Grants subscriptions until `count` messages were published, or the client has ended the
/// connection. Sends a message that is too long to subscribers of `bad`. Returns the filters and the
/// messages.
async fn serve(peer: &mut Peer, bad: &str, count: usize) -> (Vec<String>, Vec<String>) {
    let (mut filters, mut published) = (Vec::new(), Vec::new());
    while published.len() < count {
        match peer.packet().await {
            Some(Packet::Publish(publish)) => {
                peer.acknowledge(&publish).await;
                published.push(shown(&publish));
            }
            Some(Packet::PingReq) => peer.send(Packet::PingResp).await,
            Some(Packet::Subscribe(subscribe)) => {
                peer.grant(&subscribe).await;
                let filter = subscribe.filters[0].path.clone();
                if filter == bad {
                    peer.stream.write_all(&LONG).await.unwrap();
                }
                filters.push(filter);
            }
            Some(Packet::Unsubscribe(left)) => {
                peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
            }
            None => break,
            other => panic!("{other:?}"),
        }
    }
    (filters, published)
}

/// No value was published any more: each connection ended when the program subscribed.
#[tokio::test(start_paused = true)]
async fn a_retained_message_that_is_too_long_does_not_stop_the_program() {
    for (bad, other) in [("config/+", "birth"), ("birth", "config/+")] {
        let (log, _logging) = capture::from(tracing::Level::WARN);
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        for _ in 0..2 {
            let mut peer = broker.welcome().await;
            let (_, sent) = serve(&mut peer, bad, 100).await;
            assert!(!sent.contains(&"energy 1".to_owned()), "{sent:?}");
        }
        let mut peer = broker.welcome().await;
        let (filters, sent) = serve(&mut peer, bad, 3).await;
        assert_eq!(filters, [other]);
        assert_eq!(sent, ["status online", "config {}", "energy 1"]);
        let state = broker.board.broker().borrow().clone();
        let BrokerState::Connected { doubt: Some(doubt), .. } = state else { panic!("{state:?}") };
        assert!(doubt.words().contains(&format!("under `{bad}`")), "{}", doubt.words());
        stop.cancel();
        drop(peer);
        ends(running).await;
        let lines = log.take();
        let named = lines.iter().filter(|line| line.contains(&format!("under `{bad}`")));
        assert_eq!(named.count(), 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("a message of 2097152 bytes")), "{lines:#?}");
    }
}

/// Someone publishes such messages again and again.
#[tokio::test(start_paused = true)]
async fn messages_that_are_too_long_and_not_retained_end_few_connections() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut subscribed = Vec::new();
    for _ in 0..4 {
        let mut peer = broker.welcome().await;
        let (filters, sent) = serve(&mut peer, "", 3).await;
        assert_eq!(sent[0], "status online");
        subscribed.push(filters.len());
        if filters.is_empty() {
            publisher.update(METER, discovery(), values("2"));
            assert_eq!(peer.take(1).await, ["energy 2"]);
            stop.cancel();
        } else {
            peer.stream.write_all(&LONG).await.unwrap();
            serve(&mut peer, "", 100).await;
        }
    }
    assert_eq!(subscribed, [2, 2, 2, 0]);
    ends(running).await;
}
