//! Connecting, logging in, being refused, and what is logged of it.

use rumqttc::{ConnectionError, StateError};
use tokio::time::sleep;

use super::*;
use crate::mqtt::client::{self, LONGEST};
use crate::mqtt::connection_log::{ConnectionLog, SHORT_ONES};
use crate::mqtt::connection_loop::FIRST_BACK_OFF;
use crate::mqtt::failure::Stage;
use logging::capture;

#[tokio::test]
async fn logs_in_and_leaves_a_last_will() {
    let (broker, _publisher, stop, running) = Script::start().await;
    let (peer, connect) = broker.accept().await;
    let login = connect.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("somebody", "hunter2"));
    let will = connect.last_will.unwrap();
    assert_eq!((will.topic.as_str(), &will.message[..]), ("status", &b"offline"[..]));
    assert_eq!((will.qos, will.retain), (QoS::AtLeastOnce, true));
    assert!(connect.clean_session);
    assert_eq!(connect.keep_alive, 30);
    // Not even connected: nothing to say goodbye to.
    stop.cancel();
    ends(running).await;
    drop(peer);
}

/// As it is where Home Assistant is asked for the broker.
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
    // Not after a pause: this is news.
    let told = Instant::now();
    broker.brokers.send_replace(password("new"));
    let (mut peer, connect) = broker.accept().await;
    assert_eq!(logged_in(connect), "new");
    assert!(told.elapsed() < FIRST_BACK_OFF / 2, "{:?}", told.elapsed());
    peer.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    assert_eq!(peer.take(3).await, ["status online", "config {}", "energy 1"]);
    let is_up = |state: &BrokerState| matches!(state, BrokerState::Connected { .. });
    states.wait_for(is_up).await.unwrap();

    // The broker that is left gets a goodbye.
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
async fn a_broker_that_goes_during_the_goodbye_is_not_tried_again() {
    let (log, _logging) = capture::lines();
    let (broker, _publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(shown(&peer.published().await), "status online");
    stop.cancel();
    assert_eq!(shown(&peer.published().await), "status offline");
    drop(peer);
    ends(running).await;
    let lines = log.take();
    let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((told("broke during the goodbye"), told("Trying again")), (1, 0), "{lines:#?}");
}

/// What came before a loss must not count after it, as another connection would.
#[tokio::test]
async fn a_second_welcome_is_a_fault_and_makes_no_connection_of_its_own() {
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

/// Two programs with the same client id throw each other out: that is said once, and what it is.
#[tokio::test(start_paused = true)]
async fn a_client_id_that_another_program_uses_is_told_once() {
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
    let told = |log: &capture::Captured| {
        let lines = log.take().into_iter();
        lines.filter(|line| !line.starts_with("DEBUG")).collect::<Vec<_>>()
    };
    let thrown_out = ConnectionError::MqttState(StateError::ConnectionAborted);
    let come_and_go = async |connection_log: &mut ConnectionLog, held| {
        connection_log.connected();
        tokio::time::advance(held).await;
        connection_log.lost(&thrown_out, Stage::Connected);
    };
    let moment = Duration::from_secs(1);
    come_and_go(&mut connection_log, moment).await;
    come_and_go(&mut connection_log, moment).await;
    assert_eq!(told(&log).len(), 4);
    for _ in 0..50 {
        come_and_go(&mut connection_log, moment).await;
    }
    let lines = told(&log);
    let [again, once] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(again, "INFO Connected to the broker broker:1883 again, after 0.0 s.");
    assert_eq!(
        once,
        "WARN No good connection to the broker broker:1883: it ended the connection again and \
         again. Most likely another program uses the same `mqtt.client`: stop it, or choose \
         another name. Trying again; no more is said of this until a connection has held for 10 s."
    );
    // The other one is stopped.
    connection_log.connected();
    assert_eq!(told(&log), [""; 0]);
    assert_eq!(connection_log.holds_at(), Instant::now().checked_add(GOOD_CONNECTION));
    connection_log.holds();
    assert_eq!(connection_log.holds_at(), None);
    assert_eq!(told(&log), ["INFO The connection to the broker broker:1883 holds again."]);
    tokio::time::advance(GOOD_CONNECTION).await;
    connection_log.lost(&thrown_out, Stage::Connected);
    assert_eq!(told(&log).len(), 1);
}

/// When a connection holds again after short ones, that is reported in time, though nothing is sent
/// in it before the next ping.
#[tokio::test]
async fn a_connection_that_holds_again_is_told_in_time() {
    const HOLDS: &str = "holds again.";

    let (log, _logging) = capture::lines();
    // Longer than a busy machine takes to notice a short one.
    let good = Duration::from_secs(2);
    let (broker, publisher, stop, running) = Script::start_with(KEEP_ALIVE, good).await;
    for _ in 0..SHORT_ONES {
        drop(broker.welcome().await);
    }
    let mut peer = broker.welcome().await;
    let welcome = Instant::now();
    let said = log.take();
    assert!(said.iter().any(|line| line.contains("No good connection")), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains(HOLDS)), "{said:#?}");
    assert_eq!(peer.take(1).await, ["status online"]);
    let told = async {
        while !log.take().iter().any(|line| line.contains(HOLDS)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(KEEP_ALIVE / 2, told).await.unwrap();
    // The program may have known a moment before.
    assert!(welcome.elapsed() > good / 2, "{:?}", welcome.elapsed());
    // The connection is as good as before.
    publisher.update(METER, discovery(), values("1"));
    assert_eq!(peer.take(2).await, ["config {}", "energy 1"]);
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    assert!(!log.take().iter().any(|line| line.contains(HOLDS)));
}

#[tokio::test]
async fn after_a_refusal_of_any_kind_it_tries_again() {
    use ConnectReturnCode as Code;

    let refused = async |code: Code| {
        let (broker, publisher, stop, running) = Script::start().await;
        publisher.update(METER, discovery(), values("1"));
        // More than once, so that no refusal is the last word.
        for _ in 0..2 {
            let (mut peer, _) = broker.accept().await;
            peer.send(Packet::ConnAck(ConnAck::new(code, false))).await;
        }
        let refused_at = Instant::now();
        let mut peer = broker.welcome().await;
        // The third attempt comes after twice the first pause.
        let waited = refused_at.elapsed();
        assert!(waited < FIRST_BACK_OFF * 4, "{code:?}: {waited:?}");
        peer.all_within_five_seconds(&["status online", "config {}", "energy 1"]).await;
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
    };
    tokio::join!(
        refused(Code::RefusedProtocolVersion),
        refused(Code::BadClientId),
        refused(Code::ServiceUnavailable),
        refused(Code::BadUserNamePassword),
        refused(Code::NotAuthorized),
    );
}

#[tokio::test]
async fn a_message_without_end_ends_only_the_connection() {
    let (broker, publisher, stop, running) = Script::start().await;
    publisher.update(METER, discovery(), values("1"));
    let mut peer = broker.welcome().await;
    let expected = ["status online", "config {}", "energy 1"];
    assert_eq!(peer.take(3).await, expected);
    // A PUBLISH that announces 256 MiB.
    let announced = Instant::now();
    peer.stream.write_all(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await.unwrap();
    while peer.next().await.is_some() {}
    // It is not waited for.
    assert!(announced.elapsed() < ROOM, "{:?}", announced.elapsed());
    let mut again = broker.welcome().await;
    again.all_within_five_seconds(&expected).await;
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// A busy broker takes its time to let somebody in.
#[tokio::test]
async fn a_slow_broker_is_waited_for() {
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

/// What is published while the broker has fallen silent is there after the next connect.
#[tokio::test]
async fn a_connection_that_is_half_open_is_noticed() {
    let keep_alive = Duration::from_secs(2);
    let (broker, publisher, stop, running) = Script::start_with(keep_alive, GOOD_CONNECTION).await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    publisher.update(METER, discovery(), values("1"));
    // Nothing is said any more, and the connection stays.
    let silent_since = Instant::now();
    while peer.next().await.is_some() {}
    let noticed = silent_since.elapsed();
    assert!(noticed > keep_alive / 2 && noticed < 2 * keep_alive + ROOM, "{noticed:?}");
    let mut again = broker.welcome().await;
    again.all_within_five_seconds(&["status online", "config {}", "energy 1"]).await;
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// Nor is it kept for longer when nothing can be written to it any more, so that not even a
/// ping goes out.
#[tokio::test]
async fn a_broker_that_reads_no_more_is_left() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    assert_eq!(peer.take(1).await, ["status online"]);
    // More than the system keeps for a reader.
    let much = "x".repeat(LONGEST / 2);
    let states = vec![message("energy", &much, Qos::AtMostOnce); 32];
    let silent_since = Instant::now();
    publisher.update(METER, discovery(), states);
    let mut again = broker.welcome().await;
    let noticed = silent_since.elapsed();
    assert!(noticed < 2 * KEEP_ALIVE, "{noticed:?}");
    // Values change meanwhile as they did before.
    publisher.update(METER, discovery(), values("2"));
    again.all_within_five_seconds(&["status online", "config {}", "energy 2"]).await;
    drop(peer);
    stop.cancel();
    assert_eq!(again.take(1).await, ["status offline"]);
    ends(running).await;
}

/// However it fails, a broker that is down is not hammered.
#[tokio::test]
async fn attempts_come_less_than_once_a_second() {
    const WATCHED: Duration = Duration::from_secs(8);
    let counted = async |answer: Option<ConnectReturnCode>| {
        let (broker, _publisher, stop, running) = Script::start().await;
        let mut attempts = 0;
        let count = async {
            loop {
                let (mut peer, _) = broker.accept().await;
                attempts += 1;
                // Let in and thrown out, refused, or cut off at once.
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
    let [cut, thrown_out, refused] = answers.map(counted);
    let (cut, thrown_out, refused) = tokio::join!(cut, thrown_out, refused);
    for attempts in [cut, thrown_out, refused] {
        assert!((2..8).contains(&attempts), "{cut} {thrown_out} {refused}");
    }
}

#[test]
fn an_ipv6_address_and_its_port_stay_apart() {
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
