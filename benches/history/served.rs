//! The program with a year of readings: how soon the first byte of an answer arrives.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use kmp::line::Line;
use rustix::fs::{Advice, fadvise};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{VALUES, ZONE, embedded};

/// The longest time that the first byte of the page may take.
const LIMIT: Duration = Duration::from_millis(50);
/// Far more often than anybody polls. After each poll, the page is rendered from new readings.
const INTERVAL: Duration = Duration::from_secs(3);
const STARTS: usize = 10;
const POLLS: usize = 40;
/// The number of requests for the page between two polls, and the time between them.
const BETWEEN: usize = 20;
const APART: Duration = Duration::from_millis(50);
const YEARS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
/// The behaviour of the optical eye.
const BEHAVIOUR: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

/// Measures whether the page is in time.
pub(crate) fn measure(out: &mut impl Write, file: &Path, from: Timestamp) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        embedded::start(broker).await?;
        let mut serving = JoinSet::new();
        let meter = serve(&mut serving).await?;
        let folder = file.parent().context("a folder")?;
        let config = folder.join("meter.yaml");
        std::fs::write(&config, settings(broker, meter))?;

        let mut cold = Vec::new();
        for _ in 0..STARTS {
            // As after a restart of the machine: the content of the file is only on the disk.
            let kept = File::open(file)?;
            kept.sync_all()?;
            fadvise(&kept, 0, None, Advice::DontNeed)?;
            let program = Program::start(&config, folder).await?;
            cold.push(ask(program.page, "/").await?);
            program.end().await?;
        }
        let mut in_time = report(out, "the page, first request after the start", cold)?;

        let program = Program::start(&config, folder).await?;
        let (mut first, mut again) = (Vec::new(), Vec::new());
        let mut events = events(program.page).await?;
        while first.len() < POLLS {
            // The first event is not about a poll, and the database is written during the first
            // poll.
            changed(&mut events).await?;
            first.push(ask(program.page, "/").await?);
            for _ in 0..BETWEEN {
                sleep(APART).await;
                again.push(ask(program.page, "/").await?);
            }
        }
        in_time &= report(out, "the page, first request after a poll", first)?;
        in_time &= report(out, "the page, further requests", again)?;
        for (value, is_counter) in [(VALUES[0].0, true), (VALUES[2].0, false)] {
            ensure!(VALUES.contains(&(value, if is_counter { "kWh" } else { "W" }, is_counter)));
            for (step, least) in [("hour", 8_755), ("day", 365)] {
                let path =
                    format!("/api/v1/history?meter=0&parameter={value}&step={step}&from={from}");
                let mut answers = Vec::new();
                for _ in 0..YEARS {
                    answers.push(ask(program.page, &path).await?);
                }
                let points =
                    answers.iter().map(|answer| answer.body.matches("\"readings\"").count());
                ensure!(points.min() >= Some(least), "the year is incomplete");
                report(out, &format!("a year of {value} by {step}"), answers)?;
            }
        }
        program.end().await?;
        Ok(in_time)
    })
}

fn settings(broker: SocketAddr, meter: SocketAddr) -> String {
    let parameters = VALUES.map(|(name, ..)| name).join(", ");
    format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: 'socket://{meter}' }}\n\
         kamstrup: {{ poll_interval: {}s, parameters: [{parameters}] }}\n\
         web: {{ listen: '127.0.0.1:0' }}\n",
        broker.port(),
        INTERVAL.as_secs()
    )
}

async fn serve(serving: &mut JoinSet<io::Result<()>>) -> anyhow::Result<SocketAddr> {
    let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let meter = Simulator::new(registers, BEHAVIOUR);
    serving.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            meter.serve(stream).await?;
        }
    });
    Ok(address)
}

/// An answer, and the time that it took.
struct Answer {
    first: Duration,
    whole: Duration,
    body: String,
}

/// Sends a request over its own connection.
async fn ask(at: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let asked = Instant::now();
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![stream.read_u8().await?];
    let first = asked.elapsed();
    stream.read_to_end(&mut answer).await?;
    let whole = asked.elapsed();
    let body = String::from_utf8(answer)?;
    ensure!(body.starts_with("HTTP/1.1 200 "), "{}", body.lines().next().unwrap_or_default());
    Ok(Answer { first, whole, body })
}

async fn events(at: SocketAddr) -> anyhow::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    Ok(BufReader::new(stream))
}

/// Waits until the page reports a change.
async fn changed(events: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let search = async {
        let mut line = String::new();
        while line != "event: changed\n" {
            line.clear();
            ensure!(events.read_line(&mut line).await? > 0, "the events have ended");
        }
        Ok(())
    };
    timeout(PATIENCE, search).await?
}

/// Prints how soon the first bytes arrived. Returns whether they were in time. One in a hundred may
/// be late, because a machine does other things too.
fn report(out: &mut impl Write, what: &str, mut answers: Vec<Answer>) -> anyhow::Result<bool> {
    let size = answers.iter().map(|answer| answer.body.len()).max().unwrap_or_default();
    let whole = answers.iter().map(|answer| answer.whole).max().unwrap_or_default();
    answers.sort_by_key(|answer| answer.first);
    let middle = answers.get(answers.len().div_euclid(2)).context("answers")?.first;
    let slowest = answers.last().context("answers")?.first;
    let nearly_all = (answers.len() * 99).div_ceil(100).saturating_sub(1);
    let nearly_slowest = answers.get(nearly_all).context("answers")?.first;
    writeln!(
        out,
        "{what}: first byte after {middle:.1?} (median of {}), {nearly_slowest:.1?} (99 of \
         100), {slowest:.1?} at most; \
         last byte of {size} after {whole:.1?} at most",
        answers.len()
    )?;
    Ok(nearly_slowest < LIMIT)
}

/// The running program.
struct Program {
    process: Child,
    page: SocketAddr,
}

impl Program {
    /// Starts the program, and waits until it logs the address of the page.
    async fn start(config: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
            .arg("--config")
            .arg(config)
            .env_clear()
            .env("STATE_DIRECTORY", folder)
            .env("TZ", ZONE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines =
            BufReader::new(process.stdout.take().context("the output of the program")?).lines();
        let page = loop {
            let line = lines.next_line().await?.context("the address of the page in the log")?;
            if let Some((_, page)) = line.split_once("The status page is at http://") {
                break page.trim_end_matches('.').parse()?;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, page })
    }

    async fn end(mut self) -> anyhow::Result<()> {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(rustix::process::Pid::from_raw).context("a running process")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        timeout(PATIENCE, self.process.wait()).await??;
        Ok(())
    }
}
