//! An hour of 500 meters while others misbehave: Home Assistant is born every second, 24 visitors
//! never finish their request, and a visitor starts a scan of another meter each minute.
//!
//! The program under test is the release build, with its page and its history on disk. Meters, on
//! lines of 1200 baud, the broker and the visitors are in this process.
//!
//! Fails if a poll is missing, late or incomplete, if the health check fails once, if memory grows
//! by more than a tenth after the first ten minutes except for a step at the full hour, or if the
//! program logs an error or a warning. `docs/benchmarks.md` explains the results. The first
//! argument is the number of minutes.

#![expect(clippy::disallowed_methods, reason = "the full hour is the wall clock's")]

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[path = "common/paged.rs"]
mod paged;
#[expect(dead_code, reason = "it watches the readings, not the connections")]
#[path = "common/program.rs"]
mod program;
#[path = "common/ratio.rs"]
mod ratio;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::Value;
use simulator::{EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use self::paged::Paged;
use self::ratio::ratio;

const METERS: u16 = 500;
const INTERVAL: Duration = Duration::from_secs(60);
const PARAMETERS: &str = "energy,volume,power,flow,temp1,temp2,tempdiff";
const VALUES: usize = 7;
/// The usual length of a run, in minutes.
const MINUTES: u64 = 60;
/// Memory is compared from this minute on.
const WARM: usize = 10;
/// A reading that arrives within this time after its poll was due is in time. A scan may have a
/// request under way when a poll of its meter is due.
const IN_TIME: Duration = Duration::from_secs(10);
const BIRTHS: Duration = Duration::from_secs(1);
const HALF_OPEN: usize = 24;
const SCANS: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let minutes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MINUTES);
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    embedded::start(broker).await?;
    let mut heard = Listener::from(broker).await?;
    let mut serving = JoinSet::new();
    let (program, log) = start(broker, &mut serving).await?;

    let mut visitors = JoinSet::new();
    for _ in 0..HALF_OPEN {
        visitors.spawn(visit_half(program.page));
    }
    // The first visitors all arrive at once: for a moment, none of them has waited long enough to
    // make room.
    let start = Instant::now() + SETTLED;
    let [mut looks, mut births, mut scans] =
        [LOOK, BIRTHS, SCANS].map(|every| interval_at(start, every));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = Watched::default();
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut scanned = 0;
    let processor = program.processor_time()?;
    while Instant::now() < end {
        tokio::select! {
            event = heard.events.poll() => heard.take(&event?)?,
            _ = births.tick() => {
                heard.client.try_publish("homeassistant/status", QoS::AtMostOnce, false, "online")?;
            }
            _ = looks.tick() => {
                watched.memory.push((Timestamp::now(), program.memory("VmRSS")?));
                visitors.spawn(is_healthy(program.page));
            }
            _ = scans.tick() => {
                scanned = scanned % usize::from(METERS) + 1;
                visitors.spawn(scan(program.page, scanned));
            }
            Some(visit) = visitors.join_next() => match visit? {
                Ok(Visit::Healthy) => watched.healthy += 1,
                Ok(Visit::ScanStarted) => watched.scans += 1,
                Err(error) => watched.failed.push(format!("{}: {error:#}", Timestamp::now())),
            },
        }
    }
    let processor = program.processor_time()?.saturating_sub(processor);

    let mut report = Report { out: io::stdout().lock(), failed: false };
    writeln!(report.out, "\n{METERS} meters, a poll a minute, 1200 baud, {minutes} minutes")?;
    report.polls(&heard, minutes)?;
    report.memory(&watched, &program)?;
    let per_mille = ratio(processor.as_secs() * 1000, minutes * 60, 1)?;
    writeln!(report.out, "  processor time          {per_mille} ‰ of one core")?;
    writeln!(report.out, "  health checks, scans    {}, {}", watched.healthy, watched.scans)?;
    drop(program);
    // It should warn of so many births.
    let log = log.await?.into_iter().filter(|line| !line.contains("has reported its start"));
    for line in watched.failed.into_iter().chain(log) {
        report.fail(&line)?;
    }
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Starts the program with all meters.
async fn start(
    broker: SocketAddr,
    serving: &mut JoinSet<io::Result<()>>,
) -> anyhow::Result<(Paged, JoinHandle<Vec<String>>)> {
    let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let mut meters = String::new();
    for number in 1..=METERS {
        let [high, low] = number.to_be_bytes();
        let listener = TcpListener::bind((Ipv4Addr::new(127, 1, high, low), 0)).await?;
        let (at, _) = program::serve(listener, registers.clone(), serving)?;
        writeln!(meters, "  - {{ name: m{number}, com_port: 'socket://{at}' }}")?;
    }
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {}, client: soak, topic: soak }}\n\
         web: {{ listen: '127.0.0.1:0' }}\n\
         kamstrup: {{ version: auto, poll_interval: 1, parameters: '{PARAMETERS}' }}\n\
         meters:\n{meters}",
        broker.port(),
    );
    Paged::start(&yaml, TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?).await
}

/// What a visitor of the page did.
enum Visit {
    Healthy,
    ScanStarted,
}

/// Sends half a request, waits until the server ends the connection, and connects again.
async fn visit_half(page: SocketAddr) -> anyhow::Result<Visit> {
    loop {
        // The server may have no place for it.
        if let Ok(mut stream) = TcpStream::connect(page).await {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn is_healthy(page: SocketAddr) -> anyhow::Result<Visit> {
    let answer = timeout(PATIENCE, request(page, "GET /health", "")).await??;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "the health check got: {answer}");
    Ok(Visit::Healthy)
}

async fn scan(page: SocketAddr, meter: usize) -> anyhow::Result<Visit> {
    let answer =
        timeout(PATIENCE, request(page, "POST /scan", &format!("meter={meter}"))).await??;
    ensure!(answer.starts_with("HTTP/1.1 303 "), "the scan of meter {meter} got: {answer}");
    Ok(Visit::ScanStarted)
}

async fn request(page: SocketAddr, what: &str, form: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(page).await?;
    let request = format!(
        "{what} HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// What was seen from outside.
#[derive(Default)]
struct Watched {
    /// In KiB.
    memory: Vec<(Timestamp, u64)>,
    healthy: u64,
    scans: u64,
    failed: Vec<String>,
}

/// The readings that arrive at the broker.
struct Listener {
    client: AsyncClient,
    events: EventLoop,
    /// When each meter's readings arrived. After a birth, the last one is sent again.
    arrived: Vec<Vec<Instant>>,
    last: Vec<Bytes>,
    /// The number of readings with missing values.
    incomplete: usize,
}

impl Listener {
    async fn from(broker: SocketAddr) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("bench", broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 100);
        client.subscribe("soak/+/reading", QoS::AtLeastOnce).await?;
        while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
        let arrived = vec![Vec::new(); usize::from(METERS)];
        let last = vec![Bytes::new(); usize::from(METERS)];
        Ok(Self { client, events, arrived, last, incomplete: 0 })
    }

    fn take(&mut self, event: &Event) -> anyhow::Result<()> {
        let Event::Incoming(Packet::Publish(publish)) = event else { return Ok(()) };
        let name = publish.topic.split('/').nth(1).context("a meter in the topic")?;
        let number: usize = name.trim_start_matches('m').parse()?;
        let last = self.last.get_mut(number.wrapping_sub(1)).context("a known meter")?;
        if *last == publish.payload {
            return Ok(());
        }
        last.clone_from(&publish.payload);
        let poll: Value = serde_json::from_slice(&publish.payload)?;
        let values = poll.get("values").and_then(Value::as_object).context("values")?;
        self.incomplete += usize::from(values.len() != VALUES);
        let arrived = self.arrived.get_mut(number.wrapping_sub(1)).context("a known meter")?;
        arrived.push(Instant::now());
        Ok(())
    }
}

struct Report<W> {
    out: W,
    failed: bool,
}

impl<W: Write> Report<W> {
    fn fail(&mut self, what: &str) -> anyhow::Result<()> {
        self.failed = true;
        writeln!(self.out, "  FAILED                  {what}")?;
        Ok(())
    }

    fn polls(&mut self, heard: &Listener, minutes: u64) -> anyhow::Result<()> {
        let mut off = Vec::new();
        // The last one may be under way.
        let enough = usize::try_from(minutes)?.saturating_sub(1);
        for (number, arrived) in (1..).zip(&heard.arrived) {
            if arrived.len() < enough {
                self.fail(&format!("meter {number} was read only {} times", arrived.len()))?;
            }
            let mut beats = arrived.iter().skip(1);
            let mut due = *beats.next().context("a second reading")?;
            for &at in beats {
                due += INTERVAL;
                off.push(at.max(due).duration_since(at.min(due)));
            }
        }
        off.sort_unstable();
        let last = off.last().copied().unwrap_or_default();
        let at =
            |part: usize| off.get(off.len() * part / 1000).copied().unwrap_or_default().as_millis();
        let readings: usize = heard.arrived.iter().map(Vec::len).sum();
        writeln!(self.out, "  readings                {readings}")?;
        writeln!(self.out, "  with missing values     {}", heard.incomplete)?;
        writeln!(self.out, "  off the schedule: median {} ms, 99 % {} ms", at(500), at(990))?;
        writeln!(self.out, "  off the schedule, at most {} ms", last.as_millis())?;
        if last > IN_TIME {
            self.fail("a reading was not in time")?;
        }
        if heard.incomplete > 0 {
            self.fail("values are missing")?;
        }
        Ok(())
    }

    fn memory(&mut self, watched: &Watched, program: &Paged) -> anyhow::Result<()> {
        let per_minute = usize::try_from(60 / LOOK.as_secs())?;
        let minutes = watched.memory.chunks(per_minute);
        // The minutes in which the program folds the hour: at the full hour and after it.
        let is_step = |time: &Timestamp| time.as_second() / 60 % 60 < 5;
        let (mut warm, mut step) = (Vec::new(), Vec::new());
        for (minute, looks) in minutes.enumerate() {
            let most = looks.iter().map(|(_, memory)| *memory).max().unwrap_or_default();
            let time = looks.first().map(|(time, _)| time.strftime("%H:%M UTC").to_string());
            if minute % 5 == 0 {
                writeln!(
                    self.out,
                    "  memory, minute {minute:<8} {most} KiB ({})",
                    time.unwrap_or_default()
                )?;
            }
            for (time, memory) in looks.iter().filter(|_| minute >= WARM) {
                if is_step(time) { &mut step } else { &mut warm }.push(*memory);
            }
        }
        let least = warm.iter().min().copied().unwrap_or_default();
        let most = warm.iter().max().copied().unwrap_or_default();
        writeln!(self.out, "  memory from minute {WARM} on  {least} to {most} KiB")?;
        if let Some(step) = step.iter().max() {
            writeln!(self.out, "    after a full hour     at most {step} KiB")?;
        }
        writeln!(self.out, "    at most               {} KiB", program.memory("VmHWM")?)?;
        if most > least + least / 10 {
            self.fail("memory grows by more than a tenth")?;
        }
        Ok(())
    }
}
