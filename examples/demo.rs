//! The whole way without any hardware: a simulated meter whose values move, a broker, the real
//! program between them, and a subscriber that shows what arrives.
//!
//! `cargo run --release --example demo`

mod embedded;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use kamstrup2mqtt::{app, config};
use kmp::line::Line;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut out = io::stdout();
    let broker = free_address().await?;
    embedded::start(broker).await?;

    // A MULTICAL 402 set to MWh, behind an optical head that echoes.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let meter = listener.local_addr()?;
    let (registers, moving) = watch::channel(Registers::example(EnergyUnit::MegawattHour, 0));
    let behaviour = Behaviour {
        line: Some(Line::new(1200)),
        turnaround: Duration::from_millis(50),
        echo: true,
    };
    let mut background = JoinSet::new();
    background.spawn(async move {
        let _ = Simulator::new(moving, behaviour).serve_tcp(listener).await;
    });
    background.spawn(async move {
        // A minute of the house passes in each second.
        for minute in 1.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            registers.send_replace(Registers::example(EnergyUnit::MegawattHour, minute));
        }
    });

    writeln!(out, "Simulated meter   socket://{meter}, 1200 baud")?;
    writeln!(out, "MQTT broker       {broker}  (any MQTT client can connect)")?;
    writeln!(out, "Stop with Ctrl-C.")?;
    writeln!(out)?;

    let mut options = MqttOptions::new("demo-subscriber", broker.ip().to_string(), broker.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut arriving) = AsyncClient::new(options, 10);
    client.subscribe("#", QoS::AtLeastOnce).await?;

    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: 'socket://{meter}' }}\n\
         kamstrup: {{ poll_interval: 0.05, parameters: '{PARAMETERS}' }}\n",
        broker.port()
    );
    let loaded = config::check(Some((Path::new("demo.yaml"), &yaml)), &BTreeMap::new())?;
    let stop = CancellationToken::new();
    // Subscribe first, so that nothing is missed.
    let mut program = None;
    let mut known = Known::default();
    let stopped = stop.clone();
    background.spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopped.cancel();
    });
    loop {
        tokio::select! {
            event = arriving.poll() => match event? {
                Event::Incoming(Packet::SubAck(_)) if program.is_none() => {
                    program = Some(tokio::spawn(app::run(loaded.config.clone(), stop.clone())));
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    if let Some(line) = known.line(&publish) {
                        writeln!(out, "{line}")?;
                    }
                    let is_goodbye = publish.topic.ends_with("/status") && publish.payload == "offline";
                    if stop.is_cancelled() && is_goodbye {
                        break;
                    }
                }
                _ => {}
            },
            () = stop.cancelled(), if program.is_none() => break,
        }
    }
    if let Some(program) = program {
        program.await??;
    }
    writeln!(out, "Stopped.")?;
    Ok(())
}

const PARAMETERS: &str = "energy,volume,power,flow,temp1,temp2,tempdiff";

/// How wide topics are, and whole lines at most.
const TOPICS: usize = 55;
const LINE: usize = 110;

/// What the subscriber knows of the entities that were announced.
#[derive(Default)]
struct Known {
    /// Topics of discovery messages.
    announced: BTreeSet<String>,
    /// Units by topic.
    units: BTreeMap<String, String>,
}

impl Known {
    /// `kamstrup/energy    55648 kWh`; of a discovery message only what it announces, and nothing of
    /// its second coming, when the program knows more of the meter.
    fn line(&mut self, publish: &Publish) -> Option<String> {
        let payload = String::from_utf8_lossy(&publish.payload);
        let what = if publish.topic.ends_with("/config") {
            let entity: serde_json::Value = serde_json::from_str(&payload).ok()?;
            let text = |key| entity.get(key).and_then(serde_json::Value::as_str);
            let (name, unit) = (text("name")?, text("unit_of_measurement"));
            if let (Some(topic), Some(unit)) = (text("state_topic"), unit) {
                self.units.insert(topic.to_owned(), unit.to_owned());
            }
            if !self.announced.insert(publish.topic.clone()) {
                return None;
            }
            format!(
                "announces \"{name}\"{}",
                unit.map(|unit| format!(", in {unit}")).unwrap_or_default()
            )
        } else {
            let unit = self.units.get(&publish.topic).map(String::as_str).unwrap_or_default();
            format!("{payload} {unit}")
        };
        let line = format!("{:<TOPICS$} {}", publish.topic, what.trim_end());
        Some(match line.char_indices().nth(LINE) {
            Some(_) => line.chars().take(LINE - 1).chain(['…']).collect(),
            None => line,
        })
    }
}

async fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()
}
