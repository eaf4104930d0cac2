//! The meter's own logs over MQTT.

use std::time::Duration;

use kmp::logger::Log;
use serde_json::{Value, json};
use simulator::{Behaviour, Logs, Model, Registers, Simulator, SummerStamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::config;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};

const ANSWER: &str = "kamstrup/history";
const COMMAND: &str = "kamstrup/command/history";

fn answers(all: &[Arrived]) -> Vec<Value> {
    let of_it = all.iter().filter(|arrived| arrived.topic == ANSWER);
    of_it.map(|arrived| serde_json::from_str(&arrived.payload).unwrap()).collect()
}

fn ends(all: &[Arrived]) -> usize {
    answers(all).iter().filter(|answer| answer["end"].is_string()).count()
}

/// Asks until it is answered, and returns the messages of the answer. The same log is not read again
/// within 10 s.
async fn ask(subscriber: &mut Subscriber, payload: &str) -> Vec<Value> {
    loop {
        let answer = ask_once(subscriber, payload).await;
        let reason = answer[0]["reason"].as_str().unwrap_or_default();
        if !reason.contains("a moment ago") {
            return answer;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn ask_once(subscriber: &mut Subscriber, payload: &str) -> Vec<Value> {
    let before = answers(&subscriber.all()).len();
    let ended = ends(&subscriber.all());
    subscriber.publish(COMMAND, payload, false).await;
    subscriber.until("an answer", |all| ends(all) > ended).await;
    answers(&subscriber.all()).split_off(before)
}

#[tokio::test]
async fn a_log_is_answered_in_pieces_and_kept() {
    let broker = Broker::start().await;
    let energy = Model::Multical603.energy_unit().unwrap();
    let logs = Logs::model(Model::Multical603, energy, SummerStamp::Standard).unwrap();
    let days = logs.entries(Log::Day).len();
    let registers = Registers::model(Model::Multical603, energy, 0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = format!("socket://{}", listener.local_addr().unwrap());
    let (_registers, registers) = watch::channel(registers);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let simulator = Simulator::new(registers, Behaviour::default()).with_logs(logs);
        simulator.serve_tcp(listener).await.unwrap();
    });
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let state = TempDir::new().unwrap();
    let yaml = config(&broker, &port, "energy")
        .replace("version: 402", "version: 603")
        .replace("poll_interval: 0.02", "poll_interval: 60");
    let folder = [("STATE_DIRECTORY", state.path().to_str().unwrap())];
    let mut program = Program::start_by(&yaml, &folder);
    program.says("Read 1 of 1 value").await;

    let answer = ask(&mut subscriber, r#"{"log": "day"}"#).await;
    let (last, pieces) = answer.split_last().unwrap();
    let numbers: Vec<_> = pieces.iter().map(|piece| piece["piece"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=u64::try_from(pieces.len()).unwrap()).collect::<Vec<_>>());
    let lengths = pieces.iter().map(|piece| piece["entries"].as_array().unwrap().len());
    assert!(lengths.clone().all(|length| (1..=24).contains(&length)));
    assert_eq!(lengths.sum::<usize>(), days);
    assert_eq!(
        *last,
        json!({"serial_number": "80713078", "log": "day", "end": "complete", "reason": null,
               "pieces": pieces.len(), "entries": days, "hint": null})
    );
    let ids: Vec<_> =
        pieces.iter().flat_map(|piece| piece["entries"].as_array().unwrap()).collect();
    assert!(ids.windows(2).all(|two| two[0]["id"].as_u64() > two[1]["id"].as_u64()));
    let newest = ids[0];
    assert!(newest["values"]["energy"]["value"].is_number() && newest["until"].is_string());
    assert!(newest["values"]["energy"]["unit"].is_string());
    let retained = |all: Vec<Arrived>| all.iter().any(|it| it.topic == ANSWER && it.retained);
    assert!(!retained(subscriber.all()));

    // Now the meter is asked for none of them.
    let log = "80713078-day.txt";
    let kept = || std::fs::read_to_string(state.path().join("meter-logs").join(log)).unwrap();
    while kept().lines().filter(|line| !line.is_empty()).count() < days {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = kept();
    let again = ask(&mut subscriber, r#"{"log": "day"}"#).await;
    let of = |answer: &[Value]| {
        let entries = answer.iter().filter_map(|piece| piece["entries"].as_array());
        entries.flatten().cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&again), of(&answer));
    assert_eq!(again.last().unwrap()["end"], "complete");
    assert_eq!(kept(), before);

    // Only the newest.
    let until = newest["until"].as_str().unwrap();
    let from = format!(r#"{{"log": "day", "from": "{}"}}"#, &until[..10]);
    let short = ask(&mut subscriber, &from).await;
    assert_eq!(of(&short), std::slice::from_ref(newest));
    let refused = ask(&mut subscriber, r#"{"log": "week"}"#).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["end"], "refused");
    let reason = refused[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`week`") && reason.contains("`day`"), "{reason}");
    // Values are published as before.
    assert_eq!(program.count("Ignored a message"), 0);
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
}
