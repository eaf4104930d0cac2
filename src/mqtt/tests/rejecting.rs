//! Brokers that reject a message by closing the connection, or drop it in silence.

use super::*;
use logging::capture;

/// Answers until the broker rejects a packet, which ends the connection.
async fn serve_until(peer: &mut Peer, rejected: impl Fn(&Packet) -> bool) {
    while let Some(packet) = peer.next().await {
        if rejected(&packet) {
            return;
        }
        match packet {
            Packet::Publish(publish) => peer.acknowledge(&publish).await,
            Packet::PubRel(released) => peer.complete(released.pkid).await,
            Packet::Subscribe(subscribe) => peer.grant(&subscribe).await,
            Packet::Unsubscribe(left) => {
                peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
            }
            _ => {}
        }
    }
}

async fn logged(log: &capture::Captured, what: &str) -> String {
    let logged = async {
        loop {
            let lines = log.take();
            if let Some(line) = lines.into_iter().find(|line| line.contains(what)) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, logged).await.unwrap_or_else(|_| panic!("{what} was not logged"))
}

/// What is logged of a broker that closes each connection at a packet.
async fn logged_of(rejected: fn(&Packet) -> bool) -> String {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let serve = async {
        loop {
            let mut peer = broker.welcome().await;
            serve_until(&mut peer, rejected).await;
        }
    };
    let line = tokio::select! {
        () = serve => unreachable!(),
        line = logged(&log, "No stable connection") => line,
    };
    drop(broker);
    stop.cancel();
    ends(running).await;
    line
}

fn is_publish_on(packet: &Packet, wanted: &str) -> bool {
    matches!(packet, Packet::Publish(publish) if publish.topic == wanted)
}

#[tokio::test]
async fn the_step_at_which_the_broker_closes_the_connection_twice_is_named() {
    let line = logged_of(|packet| is_publish_on(packet, "config")).await;
    assert!(line.contains("every time it receives the retained message on `config`"), "{line}");
    assert!(!line.contains("mqtt.client"), "{line}");
    let line = logged_of(|packet| is_publish_on(packet, "energy")).await;
    assert!(line.contains("every time it receives the retained message on `energy`"), "{line}");
    // The second of two.
    let is_survey = |packet: &Packet| matches!(packet, Packet::Subscribe(it) if it.filters.iter().any(|it| it.path == "config/+"));
    let line = logged_of(is_survey).await;
    assert!(line.contains("every time it receives the subscription to `config/+`"), "{line}");
}

/// `RabbitMQ` confirms late what it has stored, and closes the connection at once.
#[tokio::test]
async fn a_late_acknowledgement_does_not_hide_which_step_was_rejected() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, many(0..5), Vec::new());
    let serve = async {
        loop {
            let mut peer = broker.welcome().await;
            let mut late = None;
            loop {
                match timeout(Duration::from_millis(100), peer.next()).await {
                    Ok(Some(Packet::Publish(publish))) if publish.topic == "t3" => break,
                    Ok(Some(Packet::Publish(publish))) if publish.topic == "t1" => {
                        late = Some(publish);
                    }
                    Ok(Some(Packet::Publish(publish))) => peer.acknowledge(&publish).await,
                    Ok(Some(Packet::Subscribe(subscribe))) => peer.grant(&subscribe).await,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => {
                        if let Some(publish) = late.take() {
                            peer.acknowledge(&publish).await;
                        }
                    }
                }
            }
        }
    };
    let line = tokio::select! {
        () = serve => unreachable!(),
        line = logged(&log, "No stable connection") => line,
    };
    assert!(line.contains("`t3`"), "{line}");
    drop(broker);
    stop.cancel();
    ends(running).await;
}

#[tokio::test]
async fn a_last_will_that_the_broker_rejects_is_named() {
    let (log, _logging) = capture::lines();
    let (broker, _publisher, stop, running) = Script::start().await;
    let serve = async {
        loop {
            let (mut peer, connect) = broker.accept().await;
            if connect.last_will.is_none() {
                peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
                serve_until(&mut peer, |_| false).await;
            }
        }
    };
    let line = tokio::select! {
        () = serve => unreachable!(),
        line = logged(&log, "last will") => line,
    };
    assert!(line.contains("the retained message on `status`"), "{line}");
    let state = broker.board.broker().borrow().clone();
    let BrokerState::Down { advice, .. } = state else { panic!("{state:?}") };
    assert!(advice.words(MadeBy::File).contains("last will"), "{advice:?}");
    drop(broker);
    stop.cancel();
    ends(running).await;
}

/// A proxy accepts connections before the broker behind it does.
#[tokio::test]
async fn a_broker_that_starts_meanwhile_does_not_reject_the_last_will() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut with_will = 0;
    let mut peer = loop {
        let (mut peer, connect) = broker.accept().await;
        let has_will = connect.last_will.is_some();
        with_will += u32::from(has_will);
        if !has_will || with_will > 1 {
            peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        }
        if has_will && with_will > 1 {
            break peer;
        }
    };
    assert_eq!(peer.take(1).await, ["status online"]);
    stop.cancel();
    drop(peer);
    ends(running).await;
    let lines = log.take();
    assert!(lines.iter().any(|line| line.contains("No connection")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("last will,")), "{lines:#?}");
}

/// With QoS 0, the default, a broker acknowledges nothing but pings.
#[tokio::test]
async fn a_broker_that_is_restarted_has_rejected_nothing() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) =
        Script::start_with(Duration::from_secs(1), GOOD_CONNECTION).await;
    for _ in 0..2 {
        let mut peer = broker.welcome().await;
        publisher.update(METER, discovery(), values("1"));
        let mut has_values = false;
        let mut is_pinged_since = false;
        while !is_pinged_since {
            match peer.next().await.unwrap() {
                Packet::Publish(publish) => {
                    has_values |= publish.topic == "energy";
                    peer.acknowledge(&publish).await;
                }
                Packet::Subscribe(subscribe) => peer.grant(&subscribe).await,
                Packet::Unsubscribe(left) => {
                    peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
                }
                Packet::PingReq => {
                    peer.send(Packet::PingResp).await;
                    is_pinged_since = has_values;
                }
                other => panic!("{other:?}"),
            }
        }
        // The client handles the answer before it notices the end.
    }
    let lines = async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let lines = log.take();
            if lines.iter().filter(|line| line.contains("No connection")).count() > 0 {
                return lines;
            }
        }
    };
    let lines = timeout(PATIENCE, lines).await.unwrap();
    assert!(!lines.iter().any(|line| line.contains("received")), "{lines:#?}");
    drop(broker);
    stop.cancel();
    ends(running).await;
}

/// A user who is not allowed to read what the program publishes still gets commands.
#[tokio::test]
async fn a_rejected_subscription_that_reads_back_is_no_missing_command() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start_reading_back(Duration::ZERO).await;
    publisher.update(METER, discovery(), values("1"));
    let mut peer = broker.welcome().await;
    let mut left = 3;
    let mut has_values = false;
    while left > 0 || !has_values {
        match peer.next().await.unwrap() {
            Packet::Publish(publish) => {
                has_values |= publish.topic == "energy";
                peer.acknowledge(&publish).await;
            }
            Packet::Subscribe(subscribe) => {
                let is_own = ["status", "energy", "config"].contains(&&*subscribe.filters[0].path);
                if is_own {
                    let rejected = vec![SubscribeReasonCode::Failure];
                    peer.send(Packet::SubAck(SubAck::new(subscribe.pkid, rejected))).await;
                } else {
                    peer.grant(&subscribe).await;
                }
            }
            Packet::Unsubscribe(gone) => {
                left -= 1;
                peer.send(Packet::UnsubAck(UnsubAck::new(gone.pkid))).await;
            }
            _ => {}
        }
    }
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    let lines = log.take();
    assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:#?}");
}

/// A broker with an access list acknowledges what it drops.
#[tokio::test]
async fn a_retained_message_that_does_not_come_back_is_named() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start_reading_back(Duration::ZERO).await;
    publisher.update(METER, discovery(), values("1"));
    let serve = async {
        let mut peer = broker.welcome().await;
        while let Some(packet) = peer.next().await {
            match packet {
                Packet::Publish(publish) => peer.acknowledge(&publish).await,
                Packet::Subscribe(subscribe) => {
                    peer.grant(&subscribe).await;
                    match subscribe.filters[0].path.as_str() {
                        "status" => peer.says("status", "online", true).await,
                        "energy" => peer.says("energy", "1", true).await,
                        _ => {}
                    }
                }
                Packet::Unsubscribe(left) => {
                    peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
                }
                _ => {}
            }
        }
    };
    let line = tokio::select! {
        () = serve => unreachable!(),
        line = logged(&log, "has not returned") => line,
    };
    assert!(line.contains("the retained message on `config` ("), "{line}");
    let state = broker.board.broker().borrow().clone();
    let BrokerState::Connected { doubt: Some(doubt), .. } = state else { panic!("{state:?}") };
    assert!(doubt.words().contains("`config`"), "{doubt:?}");
    // What is read back is nobody else's message.
    let mut broker = broker;
    assert!(broker.received.try_recv().is_err());
    drop(broker);
    stop.cancel();
    ends(running).await;
}
