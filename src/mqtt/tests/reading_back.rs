//! Brokers that acknowledge messages and drop them, but keep those of earlier runs.

use std::collections::BTreeMap;

use super::*;
use crate::mqtt::rehearsal::{Rehearsal, Rehearsed, rehearse};
use logging::capture;

/// A broker that acknowledges everything.
struct Keeper {
    retained: BTreeMap<String, String>,
    /// Whether it drops what is published.
    drops: bool,
    /// The only topic of which it drops something.
    only: Option<&'static str>,
    /// Topics whose subscriptions it does not answer.
    ignores: &'static [&'static str],
}

impl Keeper {
    fn new(retained: &[(&str, &str)]) -> Self {
        let retained = retained.iter().map(|(topic, text)| ((*topic).into(), (*text).into()));
        Self { retained: retained.collect(), drops: true, only: None, ignores: &[] }
    }

    async fn serve(&mut self, script: &Script) {
        loop {
            let mut peer = script.welcome().await;
            while let Some(packet) = peer.next().await {
                self.answer(&mut peer, packet).await;
            }
        }
    }

    async fn answer(&mut self, peer: &mut Peer, packet: Packet) {
        match packet {
            Packet::Publish(publish) => {
                let drops = self.drops && self.only.is_none_or(|only| only == publish.topic);
                if publish.retain && !drops {
                    let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                    self.retained.insert(publish.topic.clone(), payload);
                    self.retained.retain(|_, payload| !payload.is_empty());
                }
                peer.acknowledge(&publish).await;
            }
            Packet::Subscribe(subscribe) => {
                let filter = subscribe.filters[0].path.as_str();
                if self.ignores.contains(&filter) {
                    return;
                }
                peer.grant(&subscribe).await;
                if let Some(payload) = self.retained.get(filter) {
                    peer.says(filter, payload, true).await;
                }
            }
            Packet::Unsubscribe(left) => {
                peer.send(Packet::UnsubAck(UnsubAck::new(left.pkid))).await;
            }
            Packet::PubRel(released) => peer.complete(released.pkid).await,
            Packet::PingReq => peer.send(Packet::PingResp).await,
            _ => {}
        }
    }
}

const CONFIG: &str = "{\"name\": \"Energy\"}";

/// The words about a broker that keeps these messages of an earlier run.
async fn rehearsed(keeper: &mut Keeper) -> Result<Rehearsed, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(&listener);
    let (received, brokers) = (mpsc::channel(1).1, watch::channel(None).0);
    let script = Script { listener, received, brokers, board: Board::default() };
    let will = message("status", "offline", Qos::AtLeastOnce);
    let samples = vec![will.clone(), message("config", CONFIG, Qos::AtLeastOnce)];
    let rehearsal = Rehearsal { will, filters: Vec::new(), samples };
    let stop = CancellationToken::new();
    tokio::select! {
        () = Box::pin(keeper.serve(&script)) => unreachable!(),
        rehearsed = Box::pin(rehearse(&settings, &rehearsal, false, &stop)) => {
            rehearsed.map_err(|advice| advice.words(MadeBy::File))
        }
    }
}

/// It seemed to keep all messages.
#[tokio::test]
async fn a_rehearsal_is_not_deceived_by_messages_of_an_earlier_run() {
    for (topic, payload) in [("config", CONFIG), ("config", "{}"), ("status", "offline")] {
        let words = rehearsed(&mut Keeper::new(&[(topic, payload)])).await.unwrap_err();
        let is_noticed =
            ["it has not returned", "it keeps another"].iter().any(|text| words.contains(text));
        assert!(is_noticed, "{topic} {payload}: {words}");
    }
    let old = [("config", CONFIG), ("status", "offline")];
    let words = rehearsed(&mut Keeper::new(&old)).await.unwrap_err();
    assert!(words.contains("on `status`, it keeps another retained message than"), "{words}");
    // One that drops only JSON, and keeps that of an earlier run.
    let mut keeper = Keeper { only: Some("config"), ..Keeper::new(&[("config", CONFIG)]) };
    let words = rehearsed(&mut keeper).await.unwrap_err();
    assert!(words.contains("on `config`, it keeps another retained message than"), "{words}");
    // A broker that keeps messages, and has these afterwards.
    let mut keeper = Keeper { drops: false, ..Keeper::new(&old) };
    let expected = Rehearsed::Everything { subscriptions: 0, messages: 2 };
    assert_eq!(rehearsed(&mut keeper).await, Ok(expected));
    assert_eq!(keeper.retained, Keeper::new(&old).retained);
}

/// What the running program logs about a broker, and its state in the end.
async fn logged(mut keeper: Keeper, what: &str) -> (String, Keeper) {
    let (log, _logging) = capture::lines();
    let (broker, publisher, stop, running) = Script::start_reading_back(Duration::ZERO).await;
    publisher.update(METER, discovery(), values("1"));
    let found = async {
        loop {
            let lines = log.take();
            if let Some(line) = lines.into_iter().find(|line| line.contains(what)) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let line = tokio::select! {
        () = keeper.serve(&broker) => unreachable!(),
        line = timeout(PATIENCE, found) => line.unwrap(),
    };
    drop(broker);
    stop.cancel();
    ends(running).await;
    (line, keeper)
}

/// Its messages of an earlier run were taken for those that it has dropped.
#[tokio::test]
async fn a_message_of_an_earlier_run_does_not_count_as_read_back() {
    let old = [("status", "online"), ("config", "{\"old\": 1}"), ("energy", "1")];
    let (line, _) = logged(Keeper::new(&old), "WARN").await;
    assert!(line.contains("on `config`, it keeps another retained message than"), "{line}");
    assert!(!line.contains("same is true"), "{line}");
}

/// It said that the broker has not kept the messages.
#[tokio::test]
async fn without_an_answer_to_the_subscription_it_is_not_known_what_is_retained() {
    let ignores = &["status", "config", "energy"];
    let keeper = Keeper { ignores, drops: false, ..Keeper::new(&[]) };
    let (line, _) = logged(keeper, "WARN").await;
    assert!(line.contains("so kamstrup2mqtt cannot check whether the broker keeps"), "{line}");
}

/// The broker publishes the last will of an earlier run late.
#[tokio::test]
async fn the_status_is_corrected_when_another_one_is_read_back() {
    let mut keeper = Keeper { drops: false, ..Keeper::new(&[]) };
    let (log, _logging) = capture::lines();
    let (broker, _publisher, stop, running) =
        Script::start_reading_back(Duration::from_secs(1)).await;
    let mut peer = broker.welcome().await;
    while !keeper.retained.contains_key("status") {
        let packet = peer.next().await.unwrap();
        keeper.answer(&mut peer, packet).await;
    }
    keeper.retained.insert("status".to_owned(), "offline".to_owned());
    while keeper.retained["status"] != "online" {
        let packet = peer.next().await.unwrap();
        keeper.answer(&mut peer, packet).await;
    }
    stop.cancel();
    drop(peer);
    ends(running).await;
    assert!(!log.take().iter().any(|line| line.contains("keeps another")));
}

/// What an access list had dropped was not sent again when the list was fixed. The status page
/// showed it until the next connection.
#[tokio::test(start_paused = true)]
async fn what_was_dropped_is_sent_again_when_the_broker_accepts_it() {
    let (log, _logging) = capture::from(tracing::Level::INFO);
    let (broker, publisher, stop, running) = Script::start_reading_back(Duration::ZERO).await;
    publisher.update(METER, discovery(), values("1"));
    let mut keeper = Keeper { only: Some("config"), ..Keeper::new(&[]) };
    let mut peer = broker.welcome().await;
    let mut state = broker.board.broker();
    let doubts =
        |state: &BrokerState| matches!(state, BrokerState::Connected { doubt: Some(_), .. });
    let mut serve_until = async |keeper: &mut Keeper, is_met: &dyn Fn(&BrokerState) -> bool| {
        let begun = Instant::now();
        loop {
            tokio::select! {
                packet = peer.packet() => keeper.answer(&mut peer, packet.unwrap()).await,
                met = state.wait_for(|state| is_met(state)) => {
                    met.unwrap();
                    return begun.elapsed();
                }
            }
        }
    };
    let trusts = |state: &BrokerState| !doubts(state);
    serve_until(&mut keeper, &doubts).await;
    // Some hours later, somebody fixes the access list.
    let hours = tokio::time::sleep(Duration::from_secs(10 * 60 * 60));
    tokio::select! {
        _ = serve_until(&mut keeper, &trusts) => unreachable!(),
        () = hours => {}
    }
    assert!(!keeper.retained.contains_key("config"));
    keeper.drops = false;
    let took = serve_until(&mut keeper, &trusts).await;
    assert!(took <= Duration::from_secs(61 * 60), "{took:?}");
    assert_eq!(keeper.retained["config"], "{}");
    stop.cancel();
    drop(peer);
    ends(running).await;
    let lines = log.take();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("has not returned"), count("keeps all messages")), (1, 1), "{lines:#?}");
}
