//! Brokers that answer pings, and acknowledge messages late or never.

use super::*;
use crate::mqtt::client::IN_FLIGHT;
use crate::mqtt::connection_log::ConnectionLog;
use crate::mqtt::failure::Stage;
use crate::mqtt::trail::{Accepted, Stall, Step};
use logging::capture;
use rumqttc::{ConnectionError, StateError};

/// Long enough for a busy machine, and short for a test.
const WITHIN: Duration = Duration::from_secs(2);

/// Serves until the client ends the connection. Returns what it has published, as `topic payload`.
/// Acknowledges the publishes for which `acknowledges` is true.
async fn serve(peer: &mut Peer, acknowledges: impl Fn(&Publish) -> bool) -> Vec<String> {
    let mut published = Vec::new();
    while let Some(packet) = peer.next().await {
        match packet {
            Packet::Publish(publish) => {
                published.push(shown(&publish));
                if acknowledges(&publish) {
                    peer.acknowledge(&publish).await;
                }
            }
            Packet::PingReq => peer.send(Packet::PingResp).await,
            // Its answer is lost.
            Packet::PubRel(_) => {}
            Packet::Subscribe(subscribe) => peer.grant(&subscribe).await,
            Packet::Unsubscribe(left) => {
                peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
            }
            other => panic!("{other:?}"),
        }
    }
    published
}

async fn start() -> (Script, Publisher, CancellationToken, JoinHandle<()>) {
    Script::start_adjusted(|connection| {
        connection.keep_alive = Duration::from_secs(1);
        connection.acknowledged_within = WITHIN;
    })
    .await
}

fn warnings(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.starts_with("WARN")).collect()
}

/// The program published nothing more, for ever.
#[tokio::test]
async fn a_broker_that_loses_all_acknowledgements_gets_the_present_values_again() {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = start().await;
    publisher.update(METER, many(0..20), values("old"));
    let begun = Instant::now();
    for connection in 0..3 {
        let mut peer = broker.welcome().await;
        let mut arrived = serve(&mut peer, |_| false).await;
        // Values have no acknowledgement here.
        arrived.retain(|it| !it.starts_with("energy"));
        assert_eq!(arrived.len(), usize::from(IN_FLIGHT), "{connection}: {arrived:?}");
        assert_eq!(arrived[0], "status online");
        publisher.update(METER, many(0..20), values(&format!("new {connection}")));
    }
    // The broker works again. It gets nothing that waited while it did not.
    let waited = begun.elapsed();
    assert!(waited >= 3 * WITHIN, "{waited:?}");
    let mut peer = broker.welcome().await;
    let taken = peer.take(22).await;
    let values_of = |taken: &[String]| {
        taken.iter().filter(|it| it.starts_with("energy")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        (&*taken[0], &*values_of(&taken)),
        ("status online", &["energy new 2".to_owned()][..])
    );
    publisher.update(METER, many(0..20), values("newer"));
    while peer.take(1).await != ["energy newer"] {}
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
    let lines = log.take();
    let [warning] = warnings(&lines)[..] else { panic!("{lines:#?}") };
    assert!(warning.contains("it has not acknowledged 10 messages for 2.0 s, so no"), "{warning}");
}

/// One lost acknowledgement is enough when its number is used again.
#[tokio::test]
async fn a_broker_that_loses_one_acknowledgement_gets_the_present_values_again() {
    for keep_alive in [Duration::from_secs(1), KEEP_ALIVE] {
        let (log, _logging) = capture::lines();
        let (broker, publisher, stop, running) = Script::start_adjusted(|connection| {
            connection.keep_alive = keep_alive;
            connection.acknowledged_within = WITHIN;
        })
        .await;
        publisher.update(METER, many(0..20), values("old"));
        let mut peer = broker.welcome().await;
        let arrived = serve(&mut peer, |publish| publish.topic != "t1").await;
        assert!(arrived.len() < 20, "{arrived:?}");
        publisher.update(METER, many(0..20), values("new"));
        let mut peer = broker.welcome().await;
        let taken = peer.take(22).await;
        let values = taken.iter().filter(|it| it.starts_with("energy")).collect::<Vec<_>>();
        assert_eq!(
            (&*taken[0], values.len(), values[0].as_str()),
            ("status online", 1, "energy new")
        );
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
        let lines = log.take();
        let [warning] = warnings(&lines)[..] else { panic!("{lines:#?}") };
        assert!(warning.contains("it has not acknowledged 1 message for "), "{warning}");
    }
}

/// No value was published until something else ended the connection: with QoS 2, one lost answer is
/// enough.
#[tokio::test]
async fn a_broker_that_does_not_complete_a_message_with_qos_2_gets_the_present_values_again() {
    let states =
        |value| ["energy", "power"].map(|topic| message(topic, value, Qos::ExactlyOnce)).to_vec();
    for loses_pubrec in [true, false] {
        let (log, _logging) = capture::lines();
        let (broker, publisher, stop, running) = start().await;
        let mut peer = broker.welcome().await;
        publisher.update(METER, Vec::new(), states("old"));
        let serving = serve(&mut peer, |publish| publish.topic != "energy" || !loses_pubrec);
        let arrived = timeout(PATIENCE, serving).await.unwrap();
        assert_eq!(arrived, ["status online", "energy old"]);
        publisher.update(METER, Vec::new(), states("new"));
        let mut peer = broker.welcome().await;
        assert_eq!(peer.take(3).await, ["status online", "energy new", "power new"]);
        // It waits until the last one is complete.
        publisher.update(METER, Vec::new(), values("newer"));
        assert_eq!(peer.take(1).await, ["energy newer"]);
        stop.cancel();
        assert_eq!(peer.take(1).await, ["status offline"]);
        ends(running).await;
        let lines = log.take();
        let [warning] = warnings(&lines)[..] else { panic!("{lines:#?}") };
        assert!(warning.contains("it has not acknowledged 1 message for 2.0 s"), "{warning}");
    }
}

/// The values of all polls in the meantime were published as new when the broker continued.
#[tokio::test]
async fn values_do_not_wait_for_a_broker_that_holds_acknowledgements() {
    let (broker, publisher, stop, running) = Script::start().await;
    let mut peer = broker.welcome().await;
    // Without new entities, for which values would wait anyway.
    peer.take(1).await;
    let mut held = Vec::new();
    for poll in 0..50 {
        let value = message("energy", &poll.to_string(), Qos::AtLeastOnce);
        publisher.update(METER, Vec::new(), vec![value]);
        if held.len() < usize::from(IN_FLIGHT) {
            held.push(peer.published().await);
        } else {
            // Enough for the loop to queue a value, if it would.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for publish in held {
        peer.acknowledge(&publish).await;
    }
    let mut polls = Vec::new();
    while polls.last().is_none_or(|poll| poll != "energy 49") {
        polls.extend(peer.take(1).await.into_iter().filter(|it| it.starts_with("energy")));
    }
    assert!(polls.len() <= 2, "{polls:?}");
    stop.cancel();
    assert_eq!(peer.take(1).await, ["status offline"]);
    ends(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_acknowledge_is_reported_once() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (board, good) = (Board::default(), GOOD_CONNECTION);
    let mut connection_log =
        ConnectionLog::new(&settings(&listener), board.clone(), MadeBy::File, good);
    let stall = Stall { messages: 10, waited: Duration::from_secs(45) };
    let step = Step::from(&message("energy", "1", Qos::AtLeastOnce));
    connection_log.connected();
    assert_eq!(log.take().len(), 1);
    connection_log.unacknowledged(&step, PATIENCE, true);
    connection_log.stalled(stall);
    assert_eq!(log.take().len(), 1);
    for _ in 0..100 {
        connection_log.connected();
        tokio::time::advance(Duration::from_secs(45)).await;
        connection_log.unacknowledged(&step, PATIENCE, true);
        let state = board.broker().borrow().clone();
        assert!(matches!(state, BrokerState::Connected { doubt: Some(_), .. }), "{state:?}");
        connection_log.stalled(stall);
    }
    assert_eq!(log.take(), [""; 0]);
    // The broker works for a while.
    connection_log.connected();
    tokio::time::advance(6 * good).await;
    connection_log.stable();
    assert_eq!(log.take().len(), 1);
    connection_log.stalled(stall);
    connection_log.connected();
    assert_eq!(log.take(), [""; 0]);
    // Something else is reported, and that it is over.
    let hang_up = ConnectionError::MqttState(StateError::ConnectionAborted);
    connection_log.lost(&hang_up, Stage::Connected, None, &Accepted::default());
    connection_log.connected();
    assert_eq!(log.take().len(), 2);
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    connection_log.stalled(stall);
    assert_eq!(log.take().len(), 1);
}
