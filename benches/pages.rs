//! A hundred open pages, in real time: their cost in memory and processor time, and whether they
//! delay polls.
//!
//! The program under test is the release build, and only its process is measured. The meter, on a
//! line of 1200 baud, the broker and the pages are in this process. Each page listens to the events
//! and, like a browser, requests the page again when an event reports a change.
//!
//! Fails if a poll is off its schedule, if a page misses an event, or if a page is not served.
//! `docs/benchmarks.md` explains the results.

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[path = "common/paged.rs"]
mod paged;
#[path = "common/program.rs"]
mod program;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use simulator::{EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::paged::Paged;
use self::program::{IN_TIME, Polled};

const PAGES: usize = 100;
/// Far more often than anybody polls.
const INTERVAL: Duration = Duration::from_secs(3);
/// The length of each part.
const PART: Duration = Duration::from_secs(60);
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    embedded::start(broker).await?;
    let mut serving = JoinSet::new();
    let (meter, polled) = serve(&mut serving).await?;
    let program = start(broker, meter).await?;
    // The first polls take longer, because they also identify the meter.
    sleep(INTERVAL * 3).await;
    let alone = Part::of(&program, &polled).await?;

    let counts = Arc::new(Counts::default());
    let mut pages = JoinSet::new();
    for _ in 0..PAGES {
        pages.spawn(page(program.page, Arc::clone(&counts)));
    }
    while counts.open.load(Ordering::Relaxed) < PAGES {
        tokio::select! {
            Some(ended) = pages.join_next() => ended??,
            () = sleep(Duration::from_millis(10)) => {}
        }
    }
    sleep(INTERVAL).await;
    let before = counts.changed.load(Ordering::Relaxed);
    let open = Part::of(&program, &polled).await?;
    let changed = counts.changed.load(Ordering::Relaxed) - before;
    let lost = pages.try_join_next().is_some();
    let looked = u32::try_from(counts.looked.load(Ordering::Relaxed))?.max(1);
    let took = *counts.took.lock().unwrap_or_else(PoisonError::into_inner) / looked;
    pages.shutdown().await;
    sleep(INTERVAL).await;
    let after = Part::of(&program, &polled).await?;

    let mut out = io::stdout().lock();
    writeln!(out, "\n{PAGES} pages, a poll every {} s, 1200 baud", INTERVAL.as_secs())?;
    for (name, part) in [("no pages", &alone), ("open pages", &open), ("closed again", &after)] {
        writeln!(
            out,
            "  {name:<14} memory {} KiB, processor {} ms in {} s, {} polls, off the schedule at most {} ms",
            part.memory,
            part.processor.as_millis(),
            PART.as_secs(),
            part.polls,
            part.off.as_millis()
        )?;
    }
    writeln!(
        out,
        "  events         {changed}; the page after each took {} ms on average",
        took.as_millis()
    )?;
    let in_time = [&alone, &open, &after].iter().all(|part| part.off <= IN_TIME);
    let heard = changed >= (open.polls - 1) * PAGES;
    if in_time && heard && !lost {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "  FAILED         in time: {in_time}, all events: {heard}, a page lost: {lost}")?;
    Ok(ExitCode::FAILURE)
}

/// Serves a meter, and records when it is polled.
async fn serve(serving: &mut JoinSet<io::Result<()>>) -> anyhow::Result<(SocketAddr, Polled)> {
    let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(program::serve(listener, registers, serving)?)
}

/// The events and requests of all pages.
#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    changed: AtomicUsize,
    looked: AtomicUsize,
    took: Mutex<Duration>,
}

/// An open page.
async fn page(at: SocketAddr, counts: Arc<Counts>) -> anyhow::Result<()> {
    let mut lines = loop {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let mut lines = BufReader::new(stream).lines();
        // A hundred at once are too many for the server. A browser retries too.
        if let Ok(Some(line)) = lines.next_line().await
            && line.starts_with("HTTP/1.1 200 ")
        {
            break lines;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let mut first = true;
    while let Some(line) = lines.next_line().await? {
        if line != "event: changed" {
            continue;
        }
        if !std::mem::take(&mut first) {
            counts.changed.fetch_add(1, Ordering::Relaxed);
        }
        let asked = Instant::now();
        while !got(at).await? {
            sleep(Duration::from_millis(20)).await;
        }
        *counts.took.lock().unwrap_or_else(PoisonError::into_inner) += asked.elapsed();
        if counts.looked.fetch_add(1, Ordering::Relaxed) < PAGES {
            counts.open.fetch_add(1, Ordering::Relaxed);
        }
    }
    anyhow::bail!("the page was closed")
}

/// Whether the page was served.
async fn got(at: SocketAddr) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(at).await?;
    let mut page = String::new();
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let read = stream.read_to_string(&mut page).await;
    Ok(asked.is_ok() && read.is_ok() && page.starts_with("HTTP/1.1 200 "))
}

/// Starts the program with the meter.
async fn start(broker: SocketAddr, meter: SocketAddr) -> anyhow::Result<Paged> {
    let yaml = format!(
        "mqtt: {{ host: 127.0.0.1, port: {} }}\n\
         serial_device: {{ com_port: 'socket://{meter}' }}\n\
         kamstrup: {{ poll_interval: {}s }}\n\
         web: {{ listen: '127.0.0.1:0' }}\n",
        broker.port(),
        INTERVAL.as_secs()
    );
    Ok(Paged::start(&yaml, TempDir::new()?).await?.0)
}

/// The polls and the cost of the program in one part.
struct Part {
    memory: u64,
    processor: Duration,
    polls: usize,
    /// The most that a poll was off its schedule.
    off: Duration,
}

impl Part {
    async fn of(program: &Paged, polled: &Polled) -> anyhow::Result<Self> {
        let (before, processor) = (polled.times().len(), program.processor_time()?);
        sleep(PART).await;
        let processor = program.processor_time()?.saturating_sub(processor);
        let memory = program.memory("VmRSS")?;
        let times = polled.times();
        let begun = times.get(before..).unwrap_or_default();
        ensure!(begun.len() > 1, "polls are missing");
        let off = begun.windows(2).filter_map(|pair| {
            let [first, second] = pair else { return None };
            let apart = *second - *first;
            Some(apart.abs_diff(INTERVAL))
        });
        Ok(Self { memory, processor, polls: begun.len(), off: off.max().unwrap_or_default() })
    }
}
