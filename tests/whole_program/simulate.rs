//! `kamstrup2mqtt simulate`, read by the program.

use std::time::Duration;

use tokio::time::Instant;

use crate::broker::Broker;
use crate::config;
use crate::is_value;
use crate::program::Program;
use crate::subscriber::Subscriber;

/// Reads despite the faults of these options, and gets exactly these values.
async fn is_read(options: &[&str], parameters: &str, expected: &[(&str, &str)]) {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let arguments: Vec<&str> = ["simulate"].iter().chain(options).copied().collect();
    let mut simulator = Program::start_with(&arguments, &[]);
    let (_, seed) =
        options.windows(2).map(|two| (two[0], two[1])).find(|two| two.0 == "--seed").unwrap();
    simulator.says(&format!("Random faults use `--seed {seed}`.")).await;
    let line = simulator.says("A simulated meter answers at ").await;
    let com_port = line.rsplit(' ').next().unwrap();
    // Some of the values change slowly.
    let yaml = config(&broker, com_port, parameters)
        .replace("kamstrup: {", "kamstrup: { slow_interval: poll,");
    let program = Program::start(&yaml);
    // Some seeds spoil several polls in a row: each value may take as long as the first.
    for times in 1..=3 {
        for (topic, value) in expected {
            subscriber.expect_times(topic, value, times).await;
        }
    }
    simulator.says("Faults in the next answer: ").await;
    let published = subscriber.all();
    let values = published.iter().filter(|arrived| is_value(&arrived.topic));
    for arrived in values.filter(|arrived| arrived.topic != "kamstrup/status") {
        let right = expected.contains(&(arrived.topic.as_str(), arrived.payload.as_str()));
        assert!(right, "{arrived:?}; log: {:#?}", program.log());
    }
    let asked = Instant::now();
    simulator.terminate().await;
    assert_eq!(simulator.ended().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_faulty_403_on_tcp_is_read() {
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--model",
        "403",
        "--seed",
        "5",
        "--fault",
        "all=5%",
        "--fault",
        "late=0%",
        "--fault",
        "stall=0%",
        "--fault",
        "echo=50%",
        "--fault",
        "noise=30%",
    ];
    let expected =
        [("kamstrup/energy", "81947"), ("kamstrup/volume", "1917.57"), ("kamstrup/infoevent", "3")];
    is_read(&options, "energy,volume,infoevent", &expected).await;
}

#[tokio::test]
async fn a_faulty_21_on_a_pseudo_terminal_is_read() {
    let options = [
        "--pty",
        "--model",
        "21",
        "--seed",
        "5",
        "--fault",
        "noise=30%",
        "--fault",
        "doubled-byte=10%",
        "--fault",
        "closed=5%",
    ];
    let expected = [("kamstrup/volume", "1917.57"), ("kamstrup/hourcounter", "54888")];
    is_read(&options, "volume,hourcounter", &expected).await;
}
