//! Five hundred meters in one process, each read once a minute, in real time: whether every poll is
//! in time, and what a meter costs in memory, processor time and files.
//!
//! The program under test is the release build, and only its process is measured. The meters, on
//! lines of 1200 baud, and the broker are in this process. A second program with a single meter
//! runs at the same time, to separate the cost of the meters from the cost of the program itself.
//!
//! Fails if a poll is late or missing, if a value is missing, or if the program logs a warning.
//! `docs/benchmarks.md` explains the results.

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[path = "common/program.rs"]
mod program;
#[path = "common/ratio.rs"]
mod ratio;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::Value;
use simulator::{EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::program::{IN_TIME, Polled};
use self::ratio::ratio;

const METERS: u16 = 500;
const INTERVAL: Duration = Duration::from_secs(60);
/// The number of polls of each meter. The first two set the schedule that the others must keep.
const POLLS: usize = 6;
/// How often the open files are counted.
const LOOK: Duration = Duration::from_millis(100);

const PARAMETERS: &str = "energy,volume,power,flow,temp1,temp2,tempdiff";
const VALUES: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    embedded::start(broker).await?;
    let mut heard = Listener::from(broker).await?;
    let mut serving = JoinSet::new();
    let many = Meters::serve(1, METERS, &mut serving).await?;
    let one = Meters::serve(2, 1, &mut serving).await?;
    let begun = Instant::now();
    let mut warnings = JoinSet::new();
    let many = Program::start("many", many, broker, &mut warnings)?;
    let one = Program::start("one", one, broker, &mut warnings)?;

    let polls = usize::from(METERS) * POLLS;
    // One more reading than there are meters: every meter has been read.
    heard.until(|readings| readings > usize::from(METERS), begun + INTERVAL * 2, &many).await?;
    let (warm, readings) = (Instant::now(), heard.readings);
    let processor = many.processor_time()?;
    let deadline = begun + INTERVAL * u32::try_from(POLLS + 1)?;
    heard.until(|readings| readings >= polls + POLLS, deadline, &many).await?;
    let took = warm.elapsed();
    let processor = many.processor_time()?.saturating_sub(processor);
    let polled = heard.readings - readings;

    let mut report = Report { out: io::stdout().lock(), failed: false };
    report.schedule(&many, &heard)?;
    report.memory(&many, &one)?;
    report.processor(processor, took, polled)?;
    report.handles(&many, &one, heard.most_open)?;
    drop((many, one));
    while let Some(warned) = warnings.join_next().await {
        for line in warned? {
            report.fail(&line)?;
        }
    }
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Simulated meters, each at its own address, because meters behind one address take turns.
struct Meters {
    addresses: Vec<SocketAddr>,
    /// The times of the connections to each.
    polled: Vec<Polled>,
}

impl Meters {
    /// Listens on `127.NET.x.y`, which needs no configuration on Linux.
    async fn serve(
        net: u8,
        count: u16,
        serving: &mut JoinSet<io::Result<()>>,
    ) -> anyhow::Result<Self> {
        let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
        let (mut addresses, mut polled) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let [high, low] = number.to_be_bytes();
            let listener = TcpListener::bind((Ipv4Addr::new(127, net, high, low), 0)).await?;
            let (address, times) = program::serve(listener, registers.clone(), serving)?;
            addresses.push(address);
            polled.push(times);
        }
        Ok(Self { addresses, polled })
    }

    /// The times when each was polled.
    fn polled(&self) -> impl Iterator<Item = Vec<Instant>> {
        self.polled.iter().map(Polled::times)
    }
}

/// The running program and its meters.
struct Program {
    _process: Child,
    id: u32,
    meters: Meters,
    _folder: TempDir,
}

impl Program {
    /// `warnings` gets a task that ends with the program, and returns its output.
    fn start(
        name: &str,
        meters: Meters,
        broker: SocketAddr,
        warnings: &mut JoinSet<Vec<String>>,
    ) -> anyhow::Result<Self> {
        let list = meters.addresses.iter().enumerate();
        let list = list.map(|(n, at)| format!("  - {{ name: m{n}, com_port: 'socket://{at}' }}\n"));
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, client: {name}, topic: {name} }}\n\
             homeassistant: {{ id_prefix: {name} }}\n\
             logging: {{ level: WARNING }}\n\
            web: {{ enabled: false }}\n\
             kamstrup: {{ poll_interval: 1, parameters: '{PARAMETERS}' }}\n\
             meters:\n{}",
            broker.port(),
            list.collect::<String>()
        );
        let folder = TempDir::new()?;
        let file = folder.path().join("meters.yaml");
        std::fs::write(&file, yaml)?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
            .arg("--config")
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().context("a running process")?;
        let mut lines =
            BufReader::new(process.stdout.take().context("the output of the program")?).lines();
        warnings.spawn(async move {
            let mut output = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                output.push(line);
            }
            output
        });
        Ok(Self { _process: process, id, meters, _folder: folder })
    }

    fn processor_time(&self) -> anyhow::Result<Duration> {
        program::processor_time(self.id)
    }

    /// A figure of the program's memory, in KiB.
    fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        program::memory(self.id, figure)
    }

    /// The number of open files, sockets and other handles.
    fn handles(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id))?.count())
    }
}

/// The messages that arrive at the broker.
struct Listener {
    events: EventLoop,
    /// Without the client, the event loop ends.
    _client: AsyncClient,
    /// The number of readings, from both programs.
    readings: usize,
    /// The number of readings with missing values.
    incomplete: usize,
    /// The most open files of the program with many meters.
    most_open: usize,
}

impl Listener {
    async fn from(broker: SocketAddr) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("bench", broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("+/+/reading", QoS::AtLeastOnce).await?;
        while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
        Ok(Self { _client: client, events, readings: 0, incomplete: 0, most_open: 0 })
    }

    /// Listens until there are enough readings, or the deadline has passed.
    async fn until(
        &mut self,
        enough: impl Fn(usize) -> bool,
        deadline: Instant,
        many: &Program,
    ) -> anyhow::Result<()> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !enough(self.readings) {
            tokio::select! {
                event = self.events.poll() => {
                    if let Event::Incoming(Packet::Publish(publish)) = event? {
                        let poll: Value = serde_json::from_slice(&publish.payload)?;
                        let values = poll.get("values").and_then(Value::as_object).context("values")?;
                        self.readings += 1;
                        self.incomplete += usize::from(values.len() != VALUES);
                    }
                }
                _ = look.tick() => self.most_open = self.most_open.max(many.handles()?),
                () = sleep_until(deadline) => bail!("polls are missing: only {} arrived", self.readings),
            }
        }
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

    fn schedule(&mut self, many: &Program, heard: &Listener) -> anyhow::Result<()> {
        let mut off = Vec::new();
        for polled in many.meters.polled() {
            ensure!(
                polled.len() >= POLLS,
                "polls of a meter are missing: only {} arrived",
                polled.len()
            );
            let mut beats = polled.into_iter().skip(1);
            let mut due = beats.next().context("a second poll")?;
            for begun in beats {
                due += INTERVAL;
                off.push(begun.max(due).duration_since(begun.min(due)));
            }
        }
        off.sort_unstable();
        let last = off.last().copied().unwrap_or_default();
        let middle = off.get(off.len() / 2).copied().unwrap_or_default();
        writeln!(self.out, "\n{METERS} meters, a poll a minute, 1200 baud")?;
        writeln!(self.out, "  polls                   {}", heard.readings)?;
        writeln!(self.out, "  with missing values     {}", heard.incomplete)?;
        writeln!(self.out, "  off the schedule, median    {} ms", middle.as_millis())?;
        writeln!(self.out, "  off the schedule, at most   {} ms", last.as_millis())?;
        if last > IN_TIME {
            self.fail("a poll was not in time")?;
        }
        if heard.incomplete > 0 {
            self.fail("values are missing")?;
        }
        Ok(())
    }

    fn memory(&mut self, many: &Program, one: &Program) -> anyhow::Result<()> {
        for (name, figure) in [("memory", "VmRSS"), ("memory, at most", "VmHWM")] {
            let (all, single) = (many.memory(figure)?, one.memory(figure)?);
            let each = ratio(all.saturating_sub(single), u64::from(METERS - 1), 1)?;
            writeln!(self.out, "  {name:<24}{all} KiB, with one meter {single} KiB")?;
            writeln!(self.out, "    per meter             {each} KiB")?;
        }
        Ok(())
    }

    fn processor(&mut self, used: Duration, took: Duration, polls: usize) -> anyhow::Result<()> {
        let per_mille = ratio(used.as_micros() * 1000, took.as_micros(), 1)?;
        let per_poll = ratio(used.as_micros(), u128::try_from(polls)?, 1)?;
        writeln!(self.out, "  processor time          {per_mille} ‰ of one core")?;
        writeln!(self.out, "    per poll              {per_poll} µs")?;
        Ok(())
    }

    fn handles(&mut self, many: &Program, one: &Program, most: usize) -> anyhow::Result<()> {
        let (all, single) = (many.handles()?, one.handles()?);
        writeln!(self.out, "  open files, at most     {most}")?;
        writeln!(self.out, "    at the end            {all}, with one meter {single}")?;
        Ok(())
    }
}
