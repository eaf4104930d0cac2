//! The program on a year of readings: how soon the first byte of an answer comes.

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

/// The most that the first byte of the page may take.
const BOUND: Duration = Duration::from_millis(50);
/// Far more often than anybody polls: after each poll the page is made of what is read anew.
const INTERVAL: Duration = Duration::from_secs(3);
const STARTS: usize = 10;
const POLLS: usize = 40;
/// So often the page is asked for between two polls, and how far apart.
const BETWEEN: usize = 20;
const APART: Duration = Duration::from_millis(50);
const YEARS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the optical port.
const BEHAVIOUR: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

/// Whether the page comes in time.
pub(crate) fn measure(out: &mut impl Write, file: &Path, from: Timestamp) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        embedded::start(broker).await?;
        let mut beside = JoinSet::new();
        let meter = serve(&mut beside).await?;
        let folder = file.parent().context("a folder")?;
        let config = folder.join("meter.yaml");
        std::fs::write(&config, settings(broker, meter))?;

        let mut cold = Vec::new();
        for _ in 0..STARTS {
            // As after the machine's start: what the file holds is on the disk alone.
            let kept = File::open(file)?;
            kept.sync_all()?;
            fadvise(&kept, 0, None, Advice::DontNeed)?;
            let program = Program::start(&config, folder).await?;
            cold.push(ask(program.page, "/").await?);
            program.end().await?;
        }
        let mut in_time = tell(out, "the page, first of all after the start", cold)?;

        let program = Program::start(&config, folder).await?;
        let (mut anew, mut again) = (Vec::new(), Vec::new());
        let mut events = events(program.page).await?;
        while anew.len() < POLLS {
            // The first one says nothing of a poll; and the store of the first poll is written to.
            heard(&mut events).await?;
            anew.push(ask(program.page, "/").await?);
            for _ in 0..BETWEEN {
                sleep(APART).await;
                again.push(ask(program.page, "/").await?);
            }
        }
        in_time &= tell(out, "the page, first after a poll", anew)?;
        in_time &= tell(out, "the page, again", again)?;
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
                ensure!(points.min() >= Some(least), "the year is not there");
                tell(out, &format!("a year of {value} by {step}"), answers)?;
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

/// What came, and after what time.
struct Answer {
    first: Duration,
    whole: Duration,
    body: String,
}

/// Over a connection of its own.
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

/// Until a change is told.
async fn heard(events: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
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

/// Says how soon the first bytes came. Gives whether they came in time; one of a hundred need not, since
/// a machine does other things as well.
fn tell(out: &mut impl Write, what: &str, mut answers: Vec<Answer>) -> anyhow::Result<bool> {
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
         the last one of {size} bytes after {whole:.1?} at most",
        answers.len()
    )?;
    Ok(nearly_slowest < BOUND)
}

/// The program.
struct Program {
    process: Child,
    page: SocketAddr,
}

impl Program {
    /// Gives it as soon as it says where the page is.
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
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        let page = loop {
            let line = lines.next_line().await?.context("it says where the page is")?;
            if let Some((_, page)) = line.split_once("The status page is at http://") {
                break page.trim_end_matches('.').parse()?;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, page })
    }

    async fn end(mut self) -> anyhow::Result<()> {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(rustix::process::Pid::from_raw).context("it runs")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        timeout(PATIENCE, self.process.wait()).await??;
        Ok(())
    }
}
