//! For benchmarks that watch the release build from outside: its cost, and simulated meters that
//! record when they are polled.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use kmp::line::Line;
use simulator::{Behaviour, Registers, Simulator};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A poll that begins more than this off its schedule is late or early.
pub(crate) const IN_TIME: Duration = Duration::from_millis(500);

/// The behaviour of the optical eye.
pub(crate) const BEHAVIOUR: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

/// The times when a meter was polled.
#[derive(Clone, Default)]
pub(crate) struct Polled(Arc<Mutex<Vec<Instant>>>);

impl Polled {
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }
}

/// Serves a meter on this listener, and records when it is polled.
pub(crate) fn serve(
    listener: TcpListener,
    registers: watch::Receiver<Registers>,
    serving: &mut JoinSet<io::Result<()>>,
) -> io::Result<(SocketAddr, Polled)> {
    let (address, polled) = (listener.local_addr()?, Polled::default());
    let (meter, noted) = (Simulator::new(registers, BEHAVIOUR), polled.clone());
    serving.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            noted.note();
            meter.serve(stream).await?;
        }
    });
    Ok((address, polled))
}

/// The processor time of a process, in user and system mode.
pub(crate) fn processor_time(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may contain anything (proc_pid_stat(5)). Fields 14 and 15 are in
    // 1/100 s.
    let (_, fields) = stat.rsplit_once(')').context("a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// A figure of the memory of a process, in KiB.
pub(crate) fn memory(process: u32, figure: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).context("a figure")?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}
