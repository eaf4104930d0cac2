//! Connecting, logging in, being rejected, and the log lines about it.

use rumqttc::{ConnectionError, StateError};
use tokio::time::sleep;

use super::*;
use crate::mqtt::client::{self, LONGEST};
use crate::mqtt::connection_log::{ConnectionLog, SHORT_ONES};
use crate::mqtt::connection_loop::FIRST_BACK_OFF;
use crate::mqtt::failure::Stage;
use crate::mqtt::trail::{Accepted, Step};
use logging::capture;

#[tokio::test]
async fn the_client_logs_in_and_leaves_a_last_will() {
    let (broker, _publisher, stop, running) = Script::start().await;
    let (peer, connect) = broker.accept().await;
    let login = connect.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("somebody", "hunter2"));
    let will = connect.last_will.unwrap();
    assert_eq!((will.topic.as_str(), &will.message[..]), ("status", &b"offline"[..]));
    assert_eq!((will.qos, will.retain), (QoS::AtLeastOnce, true));
    assert!(connect.clean_session);
    assert_eq!(connect.keep_alive, 30);
    // It is not connected yet, so there is no goodbye.
    stop.cancel();
    ends(running).await;
    drop(peer);
}

/// This happens when Home Assistant is asked for the broker.
#[tokio::test]
async fn the_broker_may_become_known_late_and_change() {
    let (broker, publisher, stop, running) = Script::start().await;
    let known = broker.brokers.send_replace(None);
    publisher.update(METER, discovery(), values("1"));
    let mut states = broker.board.broker();
    let password = |password: &str| {
        let mut broker = known.clone().unwrap();
        let username = "somebody".to_owned();
        broker.credentials = Some(Credentials { username, password: Secret::new(password) });
        Some(broker)
    };
    let logged_in = |connect: Connect| connect.login.unwrap().password;

    broker.brokers.send_replace(password("old"));
    let (mut peer, connect) = broker.accept().await;
    assert_eq!(logged_in(connect), "old");
    let refused = ConnectReturnCode::BadUserNamePassword;
    peer.send(Packet::ConnAck(ConnAck::new(refused, false))).await;
    let is_down = |state: &BrokerState| matches!(state, BrokerState::Down { .. });
    states.wait_for(is_down).await.unwrap();
    // A change is used at once, not after the pause.
    let changed = Instant::now();
    broker.brokers.send_replace(password("new"));
    let (mut peer, connect) = broker.accept().await;
    assert_eq!(logged_in(connect), "new");
    assert!(changed.elapsed() < FIRST_BACK_OFF / 2, "{:?}", changed.elapsed());
    peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    let is_up = |state: &BrokerState| matches!(state, BrokerState::Connected { .. });
    states.wait_for(is_up).await.unwrap();

    // The previous broker gets a goodbye.
    broker.brokers.send_replace(password("newest"));
    assert_eq!(peer.take(1).await, ["status offline"]);
    assert_eq!(peer.next().await, Some(Packet::Disconnect));
    let (mut peer, connect) = broker.accept().await;
    assert_eq!(logged_in(connect), "newest");
    peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_during_the_goodbye_is_not_restored() {
    let (log, _logging) = capture::lines();
    let (broker, _publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(shown(&peer.published().await), "status online");
    stop.cancel();
    assert_eq!(shown(&peer.published().await), "status offline");
    drop(peer);
    ends(running).await;
    let lines = log.take();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("while disconnecting"), count("Retrying")), (1, 0), "{lines:#?}");
}

/// Events from before a loss must not count after it, or a second CONNACK would look like another
/// connection.
#[tokio::test]
async fn a_second_connack_is_a_protocol_error_and_not_another_connection() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut peer = broker.welcome().await;
    peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    publisher.update(METER, discovery(), values("2"));
    assert_eq!(peer.take(1).await, ["energy 2"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    let lines = log.take().into_iter();
    let connected = lines.filter(|line| line.contains("Connected to the broker"));
    assert_eq!(connected.count(), 2);
}

/// If two programs have the same client id, the broker closes the connection of one whenever the
/// other connects. This and its cause are reported once.
#[tokio::test(start_paused = true)]
async fn a_client_id_that_another_program_uses_is_reported_once() {
    let (log, _logging) = capture::lines();
    let broker = Broker {
        host: "broker".to_owned(),
        port: NonZeroU16::new(1883).unwrap(),
        client_id: "kamstrup".to_owned(),
        credentials: None,
        tls: None,
    };
    let mut connection_log =
        ConnectionLog::new(&broker, Board::default(), MadeBy::File, GOOD_CONNECTION);
    let logged = |log: &capture::Captured| {
        let lines = log.take().into_iter();
        lines.filter(|line| !line.starts_with("DEBUG")).collect::<Vec<_>>()
    };
    let thrown_out = ConnectionError::MqttState(StateError::ConnectionAborted);
    let connect_and_lose = async |connection_log: &mut ConnectionLog, lasted| {
        connection_log.connected();
        tokio::time::advance(lasted).await;
        connection_log.lost(&thrown_out, Stage::Connected, None, &Accepted::default());
    };
    let moment = Duration::from_secs(1);
    connect_and_lose(&mut connection_log, moment).await;
    connect_and_lose(&mut connection_log, moment).await;
    assert_eq!(logged(&log).len(), 4);
    for _ in 0..50 {
        connect_and_lose(&mut connection_log, moment).await;
    }
    let lines = logged(&log);
    let [again, once] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(again, "INFO Connected to the broker broker:1883 again after 0.0 s.");
    assert_eq!(
        once,
        "WARN No stable connection to the broker broker:1883: it closes each connection after a \
         short time, while nothing is sent, and gives no reason. Possible causes: another program \
         uses the same client id; a proxy between kamstrup2mqtt and the broker ends idle \
         connections; or the broker was restarted several times. If it is another \
         program, stop it, or set `mqtt.client` to another client id. The broker's log may say why. \
         Retrying. This is only reported again after a connection that has lasted 60 s."
    );
    // The other program is stopped.
    connection_log.connected();
    assert_eq!(logged(&log), [""; 0]);
    let stable_after = 6 * GOOD_CONNECTION;
    assert_eq!(connection_log.stable_at(), Instant::now().checked_add(stable_after));
    connection_log.stable();
    assert_eq!(connection_log.stable_at(), None);
    assert_eq!(logged(&log), ["INFO The connection to the broker broker:1883 is stable now."]);
    tokio::time::advance(stable_after).await;
    connection_log.lost(&thrown_out, Stage::Connected, None, &Accepted::default());
    assert_eq!(logged(&log).len(), 1);
}

/// A broker that was restarted three times looked like another program with the same client id. Such
/// a program takes over connections, but it does not keep the broker from accepting new ones.
#[tokio::test(start_paused = true)]
async fn a_broker_that_is_unavailable_in_between_has_not_given_the_connection_to_another() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (board, good) = (Board::default(), GOOD_CONNECTION);
    let mut connection_log = ConnectionLog::new(&unconnected(), board, MadeBy::File, good);
    let closed = || ConnectionError::MqttState(StateError::ConnectionAborted);
    let refused = || ConnectionError::Io(std::io::ErrorKind::ConnectionRefused.into());
    // A proxy in front of the broker accepts the connection and then closes it.
    for failure in [refused, closed] {
        for _ in 0..10 {
            connection_log.connected();
            tokio::time::advance(Duration::from_secs(20)).await;
            let accepted = Accepted::default();
            connection_log.lost(&closed(), Stage::Connected, None, &accepted);
            connection_log.lost(&failure(), Stage::Plain, None, &accepted);
        }
    }
    let lines = log.take();
    assert!(!lines.iter().any(|line| line.contains("client id")), "{lines:#?}");
}

/// Each had another number, so each was reported: two lines every 11 s.
#[tokio::test(start_paused = true)]
async fn protocol_errors_that_differ_are_reported_three_times_until_a_connection_is_stable() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (board, good) = (Board::default(), GOOD_CONNECTION);
    let mut connection_log = ConnectionLog::new(&unconnected(), board, MadeBy::File, good);
    let mut loses = async |number: u16, lasted| {
        connection_log.connected();
        tokio::time::advance(lasted).await;
        let error = ConnectionError::MqttState(StateError::Unsolicited(number));
        connection_log.lost(&error, Stage::Connected, None, &Accepted::default());
        log.take().iter().filter(|line| line.starts_with("WARN")).count()
    };
    let mut warnings = 0;
    for number in 0..100 {
        warnings += loses(number, GOOD_CONNECTION + Duration::from_millis(500)).await;
    }
    assert_eq!(warnings, 4);
    // The connection was stable meanwhile.
    assert_eq!(loses(100, Duration::from_secs(600)).await, 1);
    assert_eq!(loses(101, Duration::from_secs(600)).await, 1);
}

/// A broker that was stopped three seconds after a reading seemed to reject the reading.
#[tokio::test(start_paused = true)]
async fn a_message_without_acknowledgement_is_not_named_as_the_reason() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (board, good) = (Board::default(), GOOD_CONNECTION);
    let mut connection_log = ConnectionLog::new(&unconnected(), board, MadeBy::File, good);
    connection_log.connected();
    let step = Step::from(&message("energy", "1", Qos::AtMostOnce));
    let hang_up = ConnectionError::MqttState(StateError::ConnectionAborted);
    connection_log.lost(&hang_up, Stage::Connected, Some(&step), &Accepted::default());
    let lines = log.take();
    assert!(lines[1].contains("That message may not be the reason."), "{lines:#?}");
}

fn unconnected() -> Broker {
    Broker {
        host: "broker".to_owned(),
        port: NonZeroU16::new(1883).unwrap(),
        client_id: "kamstrup".to_owned(),
        credentials: None,
        tls: None,
    }
}

/// A stable connection after short ones is reported in time, although nothing is sent in it before
/// the next ping.
#[tokio::test]
async fn a_connection_that_is_stable_again_is_reported_in_time() {
    const STABLE: &str = "is stable now.";

    let (log, _logging) = capture::lines();
    // Longer than a busy machine needs to notice a short connection.
    let good = Duration::from_secs(2);
    let (broker, publisher, stop, running) = Script::start_with(KEEP_ALIVE, good).await;
    for _ in 0..SHORT_ONES {
        drop(broker.welcome().await);
    }
    let mut peer = broker.welcome().await;
    let welcome = Instant::now();
    let lines = log.take();
    assert!(lines.iter().any(|line| line.contains("No stable connection")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(STABLE)), "{lines:#?}");
    assert_eq!(peer.take(1).await, ["status online"]);
    let reported = async {
        while !log.take().iter().any(|line| line.contains(STABLE)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(KEEP_ALIVE / 2, reported).await.unwrap();
    // The program may have connected a moment before this test noticed.
    assert!(welcome.elapsed() > good / 2, "{:?}", welcome.elapsed());
    // The connection still works.
    publisher.update(METER, discovery(), values("1"));
    assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    assert!(!log.take().iter().any(|line| line.contains(STABLE)));
}

/// The broker may start after the program.
#[tokio::test(start_paused = true)]
async fn again_is_said_only_of_a_broker_that_was_connected_before() {
    let (log, _logging) = capture::lines();
    let broker = Broker {
        host: "broker".to_owned(),
        port: NonZeroU16::new(1883).unwrap(),
        client_id: "kamstrup".to_owned(),
        credentials: None,
        tls: None,
    };
    let mut connection_log =
        ConnectionLog::new(&broker, Board::default(), MadeBy::File, GOOD_CONNECTION);
    let refused = ConnectionError::Io(std::io::ErrorKind::ConnectionRefused.into());
    for _ in 0..2 {
        connection_log.lost(&refused, Stage::Plain, None, &Accepted::default());
        tokio::time::advance(Duration::from_secs(30)).await;
        connection_log.connected();
    }
    let lines = log.take().into_iter().filter(|line| line.contains("Connected"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "INFO Connected to the broker broker:1883 after 30 s.",
            "INFO Connected to the broker broker:1883 again after 30 s."
        ]
    );
}

#[tokio::test]
async fn it_retries_after_every_kind_of_rejection() {
    use ConnectReturnCode as Code;

    let rejected = async |code: Code| {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        // Twice, so that not only the first rejection is retried.
        for _ in 0..2 {
            let (mut peer, _) = broker.accept().await;
            peer.send(Packet::ConnAck(ConnAck::new(code, false))).await;
        }
        let rejected_at = Instant::now();
        let mut peer = broker.welcome().await;
        // The third attempt comes after twice the first pause.
        let waited = rejected_at.elapsed();
        assert!(waited < FIRST_BACK_OFF * 4, "{code:?}: {waited:?}");
        peer.all_within_five_seconds(&["status online", "config {}", "energy 1"]).await;
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    };
    tokio::join!(
        rejected(Code::RefusedProtocolVersion),
        rejected(Code::BadClientId),
        rejected(Code::ServiceUnavailable),
        rejected(Code::BadUserNamePassword),
        rejected(Code::NotAuthorized),
    );
}

#[tokio::test]
async fn an_endless_message_ends_only_the_connection() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut peer = broker.welcome().await;
    let expected = ["status online", "config {}", "energy 1"];
    assert_eq!(peer.take(3).await, expected);
    // A PUBLISH that announces 256 MiB.
    let announced = Instant::now();
    peer.stream.write_all(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await.unwrap();
    while peer.next().await.is_some() {}
    // The program does not wait for it.
    assert!(announced.elapsed() < ROOM, "{:?}", announced.elapsed());
    let mut again = broker.welcome().await;
    let expected = ["status online", "energy 1", "config {}", "energy 1"];
    again.all_within_five_seconds(&expected).await;
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// A busy broker may be slow to accept a client.
#[tokio::test]
async fn the_program_waits_for_a_slow_broker() {
    let slow = async |seconds_tenth: u64| {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, Vec::new(), values("1"));
        let (mut peer, _) = broker.accept().await;
        sleep(Duration::from_millis(100 * seconds_tenth)).await;
        peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        assert_eq!(peer.take(2).await, ["status online", "energy 1"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    };
    tokio::join!(slow(15), slow(100));
}

/// Messages published while the broker is silent arrive after the next connect.
#[tokio::test]
async fn a_half_open_connection_is_noticed() {
    let keep_alive = Duration::from_secs(2);
    let (broker, publisher, stop, running) = Script::start_with(keep_alive, GOOD_CONNECTION).await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    publisher.update(METER, discovery(), values("1"));
    // The broker sends nothing more, but does not close the connection.
    let silent_since = Instant::now();
    while peer.next().await.is_some() {}
    let noticed = silent_since.elapsed();
    assert!(noticed > keep_alive / 2 && noticed < 2 * keep_alive + ROOM, "{noticed:?}");
    let mut again = broker.welcome().await;
    let expected = ["status online", "energy 1", "config {}", "energy 1"];
    again.all_within_five_seconds(&expected).await;
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// This holds even if nothing can be written to the connection any more, not even a ping.
#[tokio::test]
async fn a_broker_that_stops_reading_is_disconnected() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    // More than the system buffers for a reader.
    let much = "x".repeat(LONGEST / 2);
    let state = |number: u32| message(&format!("v{number}"), &much, Qos::AtMostOnce);
    let states = (0..32).map(state).collect();
    let silent_since = Instant::now();
    publisher.update(METER, discovery(), states);
    let mut again = broker.welcome().await;
    let noticed = silent_since.elapsed();
    assert!(noticed < 2 * KEEP_ALIVE, "{noticed:?}");
    // Values still change in the meantime.
    publisher.update(METER, discovery(), values("2"));
    let expected = ["status online", "energy 2", "config {}", "energy 2"];
    again.all_within_five_seconds(&expected).await;
    drop(peer);
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// However the connection fails, the broker is not flooded with attempts.
#[tokio::test]
async fn the_program_connects_less_than_once_a_second() {
    const WATCHED: Duration = Duration::from_secs(8);
    let counted = async |answer: Option<ConnectReturnCode>| {
        let (broker, _publisher, stop, running) = Script::start().await;
        let mut attempts = 0;
        let count = async {
            loop {
                let (mut peer, _) = broker.accept().await;
                attempts += 1;
                // Accepted and then closed, rejected, or closed at once.
                if let Some(code) = answer {
                    peer.send(Packet::ConnAck(ConnAck::new(code, false))).await;
                }
            }
        };
        assert!(timeout(WATCHED, count).await.is_err());
        stop.cancel();
        ends(running).await;
        attempts
    };
    let answers = [None, Some(ConnectReturnCode::Success), Some(ConnectReturnCode::NotAuthorized)];
    let [closed, thrown_out, rejected] = answers.map(counted);
    let (closed, thrown_out, rejected) = tokio::join!(closed, thrown_out, rejected);
    for attempts in [closed, thrown_out, rejected] {
        assert!((2..8).contains(&attempts), "{closed} {thrown_out} {rejected}");
    }
}

#[test]
fn an_ipv6_address_is_separated_from_its_port() {
    let name = |host: &str| {
        let broker = Broker {
            host: host.to_owned(),
            port: NonZeroU16::new(1883).unwrap(),
            client_id: "test".to_owned(),
            credentials: None,
            tls: None,
        };
        let (_, event_loop) = client::new(&broker, "test", None);
        event_loop.mqtt_options.broker_address()
    };
    assert_eq!(name("::1"), ("[::1]".to_owned(), 1883));
    assert_eq!(name("[::1]"), ("[::1]".to_owned(), 1883));
    assert_eq!(name("broker.lan"), ("broker.lan".to_owned(), 1883));
}
