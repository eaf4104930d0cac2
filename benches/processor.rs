//! What a poll costs the processor, and how often it wakes it, over TCP and over a serial port, in
//! real time.
//!
//! The program under test is the release build, with its page and its history on disk. The meters,
//! on lines of 1200 baud, and the broker are in this process.
//!
//! What counts is the time in a window around each poll, less what an equally long window between
//! two polls takes. The older Python program was measured in the same way.
//!
//! Fails if a poll costs more than a twentieth of what it cost the older Python program, or wakes
//! the processor too often. `docs/benchmarks.md` explains the results.

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[expect(dead_code, reason = "it counts the time of each thread")]
#[path = "common/paged.rs"]
mod paged;
#[expect(dead_code, reason = "it watches the readings, not the connections")]
#[path = "common/program.rs"]
mod program;
#[path = "common/ratio.rs"]
mod ratio;
#[path = "common/scheduled.rs"]
mod scheduled;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use simulator::{EnergyUnit, Registers, Simulator};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::paged::Paged;
use self::ratio::ratio;
use self::scheduled::Scheduled;

const INTERVAL: Duration = Duration::from_secs(5);
/// Polls before the measurement: in the first two, the program finds out which meter it is. Then it
/// reads back what the broker retains.
const FIRST: u32 = 6;
const POLLS: u32 = 20;
/// A window around a poll begins so long before its reading and ends so long after it.
const AROUND: Duration = Duration::from_millis(1250);
/// The window between two of them: the other half of the interval.
const BETWEEN: Duration = Duration::from_millis(2500);

/// A twentieth of 12.8 ms, which a poll of the same registers cost the older Python program on a
/// machine of the same kind.
const MOST: Duration = Duration::from_micros(640);

/// Wake-ups of a request, by the line.
const MOST_OF_REQUEST: u64 = 8;
/// Wake-ups of the rest of a poll: the schedule, the connection, the broker and the history.
const MOST_OF_REST: u64 = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let is_given = std::env::var_os("KAMSTRUP2MQTT_TEST_PROGRAM").is_some();
    // Without optimizations, a poll costs five times as much.
    ensure!(is_given || !cfg!(debug_assertions), "start this with `cargo bench`");
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    embedded::start(broker).await?;
    let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let mut serving = JoinSet::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, _) = program::serve(listener, registers.clone(), &mut serving)?;
    let (device, pty) = Simulator::open_pty()?;
    let meter = Simulator::new(registers, program::BEHAVIOUR);
    serving.spawn(async move {
        meter.serve_pty(pty).await;
        Ok(())
    });

    let mut out = io::stdout().lock();
    writeln!(out, "\n7 registers, 1200 baud, {POLLS} polls, each {} s", INTERVAL.as_secs())?;
    let mut is_good = true;
    for (name, port) in
        [("TCP", format!("socket://{address}")), ("serial", device.display().to_string())]
    {
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, topic: {name} }}\n\
             serial_device: {{ com_port: '{port}' }}\n\
             kamstrup: {{ poll_interval: {}s, poll_offset: 0s }}\n\
             web: {{ listen: '127.0.0.1:0' }}\n",
            broker.port(),
            INTERVAL.as_secs()
        );
        let mut heard = readings(broker.port(), name).await?;
        let (program, _) = Paged::start(&yaml, TempDir::new()?).await?;
        until(&mut heard, FIRST).await?;
        sleep(AROUND).await;
        let mut costs = Vec::new();
        let (mut processor, mut wake_ups) = (Duration::ZERO, 0);
        let mut after = Scheduled::of(program.id)?;
        for _ in 0..POLLS {
            sleep(BETWEEN).await;
            let before = Scheduled::of(program.id)?;
            until(&mut heard, 1).await?;
            sleep(AROUND).await;
            let idle = before.since(&after);
            after = Scheduled::of(program.id)?;
            let poll = after.since(&before).since(&idle);
            processor += poll.processor;
            wake_ups += poll.wake_ups;
            costs.push(poll.processor);
        }
        costs.sort_unstable();
        let per_poll = processor / POLLS;
        let tenths = ratio(wake_ups, u64::from(POLLS), 1)?;
        let cost = |place: usize| costs.get(place).map_or(0, Duration::as_micros);
        let (least, median, most) = (cost(0), cost(costs.len() / 2), cost(costs.len() - 1));
        writeln!(
            out,
            "  {name:<8} {} µs of processor time (least {least}, median {median}, most {most}) \
             and {tenths} wake-ups per poll",
            per_poll.as_micros()
        )?;
        is_good &= per_poll <= MOST;
        is_good &= wake_ups <= u64::from(POLLS) * (MOST_OF_REQUEST + MOST_OF_REST);
    }
    if is_good {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "  FAILED   at most {} µs are allowed", MOST.as_micros())?;
    Ok(ExitCode::FAILURE)
}

/// A client that receives the readings below this topic.
async fn readings(port: u16, topic: &str) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(format!("bench-{topic}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe(format!("{topic}/reading"), QoS::AtLeastOnce).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    Ok((client, events))
}

/// Waits for this number of readings.
async fn until((_, events): &mut (AsyncClient, EventLoop), readings: u32) -> anyhow::Result<()> {
    let mut left = readings;
    while left > 0 {
        let event = timeout(INTERVAL * 4, events.poll()).await.context("a reading in time")?;
        if let Event::Incoming(Packet::Publish(publish)) = event? {
            ensure!(!publish.payload.is_empty(), "a reading has values");
            left -= 1;
        }
    }
    Ok(())
}
