//! The whole program without hardware: a simulated meter, a broker, kamstrup2mqtt between them with
//! its status page and two days of simulated readings, and a subscriber that shows what arrives.
//!
//! `cargo run --release --example demo`

mod embedded;
mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use history::History;
use kamstrup2mqtt::app::{self, Services};
use kamstrup2mqtt::config::{self, Config};
use kamstrup2mqtt::{PROGRAM, demo};
use kmp::line::Line;
use logging::LocalTime;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use simulator::{Behaviour, Simulator};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use self::house::House;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut out = io::stdout();
    let broker = free_address().await?;
    embedded::start(broker).await?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("history.db");
    let now = LocalTime::now();
    let mut house = House::two_days_before(&now);
    house.fill(&file, &now).await?;
    let mut background = JoinSet::new();
    let meter = serve_meter(house, &mut background).await?;
    let page = free_address().await?;

    writeln!(out, "Simulated meter   socket://{meter}, 1200 baud")?;
    writeln!(out, "MQTT broker       {broker}  (any MQTT client can connect)")?;
    writeln!(out, "Status page       http://{page}")?;
    writeln!(out, "Stop with Ctrl-C.")?;
    writeln!(out)?;

    // The log is only on the page: standard output is for the values.
    let settings = logging::Settings { level: Level::INFO, stdout: None, file: None, syslog: None };
    let log = logging::start(PROGRAM, &settings)?;
    let history = Arc::new(History::start(Some(file), &now));
    let services = Services { history: Some(Arc::clone(&history)), ..Services::default() };
    log.keep(services.board.log().clone());
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: 'socket://{meter}' }}\n\
         kamstrup: {{ version: 402, poll_interval: 0.05, parameters: '{PARAMETERS}' }}\n",
        broker.port()
    );
    let loaded = config::check(Some((Path::new("demo.yaml"), &yaml)), &BTreeMap::new())?;
    let config = loaded.config.clone();
    let stop = CancellationToken::new();
    let (visible, until) = (services.clone(), stop.clone());
    background.spawn(async move { demo::serve_page(page, &loaded, &visible, until).await });
    let stopped = stop.clone();
    background.spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopped.cancel();
    });

    show_values(&mut out, broker, config, services, &stop).await?;
    background.shutdown().await;
    if let Some(history) = Arc::into_inner(history) {
        history.closed().await;
    }
    folder.close()?;
    writeln!(out, "Stopped.")?;
    Ok(())
}

/// Simulates the meter of the house: it counts kWh with two decimals, and its optical head echoes.
async fn serve_meter(mut house: House, background: &mut JoinSet<()>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let mut present = move || {
        house.advance_to(LocalTime::now().timestamp().as_second())?;
        house.registers()
    };
    let (registers, moving) = watch::channel(present()?);
    let behaviour = Behaviour {
        line: Some(Line::new(1200)),
        turnaround: Duration::from_millis(50),
        echo: true,
    };
    background.spawn(async move {
        let _ = Simulator::new(moving, behaviour).serve_tcp(listener).await;
    });
    background.spawn(async move {
        while let Ok(present) = present() {
            registers.send_replace(present);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    Ok(address)
}

/// Runs the program until `stop` is cancelled, and shows what it publishes.
async fn show_values(
    out: &mut io::Stdout,
    broker: SocketAddr,
    config: Config,
    services: Services,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut options = MqttOptions::new("demo-subscriber", broker.ip().to_string(), broker.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut arriving) = AsyncClient::new(options, 10);
    client.subscribe("#", QoS::AtLeastOnce).await?;
    // It starts once the subscription is in effect, so that no message is missed.
    let mut waiting = Some((config, services));
    let mut program = None;
    let mut known = Known::default();
    loop {
        tokio::select! {
            event = arriving.poll() => match event? {
                Event::Incoming(Packet::SubAck(_)) => {
                    if let Some((config, services)) = waiting.take() {
                        let (_, changes) = mpsc::channel(1);
                        let run = app::run_changing(config, services, changes, stop.clone());
                        program = Some(tokio::spawn(run));
                    }
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
    Ok(())
}

const PARAMETERS: &str = "energy,volume,power,flow,temp1,temp2,tempdiff";

/// The width of topics, and the most characters in a line.
const TOPICS: usize = 55;
const LINE: usize = 110;

/// What the subscriber knows about the announced entities.
#[derive(Default)]
struct Known {
    /// Topics of discovery messages.
    announced: BTreeSet<String>,
    /// Units by topic.
    units: BTreeMap<String, String>,
}

impl Known {
    /// A line like `kamstrup/energy    81947.61 kWh`. Of a discovery message it has only the name and
    /// the unit. A message that is sent again, when the program knows more about the meter, has no
    /// line.
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
