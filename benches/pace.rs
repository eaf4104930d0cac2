//! What a day of polls costs the meter, with values that change slowly read once an hour and, as a
//! comparison, in each poll (`slow_interval: poll`).
//!
//! Counts bytes, requests and the time awake on paused time, so the result is the same on each
//! machine. Fails if a day costs more than it may. `docs/benchmarks.md` explains the results.

#[path = "common/ratio.rs"]
mod ratio;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use kmp::line::Line;
use kmp::register::{Register, RegisterId};
use meter::RunsAs;
use meter::identity::Version;
use meter::poll::{self, MeterHandle, Plan, Schedule};
use meter::transport::{Open, OpenError, Stream};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::io::duplex;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ratio::ratio;

/// The line of the optical eye: 1200 baud, 8 data bits, no parity, 2 stop bits.
const LINE: Line = Line::new(1200);
const TURNAROUND: Duration = Duration::from_millis(50);
const INTERVAL: Duration = Duration::from_secs(5 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const SEVEN: &str = "energy volume power flow temp1 temp2 tempdiff";

/// The limit for 32 registers, in bytes a day.
const AT_MOST: u64 = 35_000;

fn main() -> anyhow::Result<ExitCode> {
    let held = Registers::example(EnergyUnit::KilowattHour, 0);
    let seven: Vec<RegisterId> = SEVEN
        .split(' ')
        .map(|key| Register::by_key(key).map(|register| register.id))
        .collect::<Option<_>>()
        .context("seven names")?;
    let all: Vec<RegisterId> = held.values.keys().copied().collect();
    let mut out = io::stdout().lock();
    let mut has_failed = false;
    for registers in [seven, all] {
        let [hourly, each_poll] = [Some(HOUR), None].map(|slow| day_of(&held, &registers, slow));
        let (hourly, each_poll) = (hourly?, each_poll?);
        let count = registers.len();
        writeln!(out, "\n{count} registers every 5 minutes, a day")?;
        hourly.show(&mut out, "slow_interval: 1h")?;
        each_poll.show(&mut out, "slow_interval: poll")?;
        writeln!(out, "  bytes / bytes        {}", ratio(hourly.bytes, each_poll.bytes, 3)?)?;
        let is_less = hourly.bytes <= each_poll.bytes && hourly.bytes <= AT_MOST;
        if !is_less {
            has_failed = true;
            writeln!(out, "  FAILED               more than {AT_MOST} bytes, or than before")?;
        }
    }
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The cost of a day.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    polls: u64,
    bytes: u64,
    awake: Duration,
}

impl Cost {
    fn show(&self, out: &mut impl Write, name: &str) -> io::Result<()> {
        let Self { polls, bytes, awake } = self;
        let awake = awake.as_secs();
        writeln!(out, "  {name:<20} {polls} polls, {bytes} bytes, meter awake for {awake} s")
    }
}

/// A simulated meter that is always there.
struct MeterPort(Simulator);

impl Open for MeterPort {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        let meter = self.0.clone();
        tokio::spawn(async move { meter.serve(far).await });
        Ok(Box::new(near))
    }
}

/// Polls for a day, after an hour in which the meter is identified.
fn day_of(
    held: &Registers,
    registers: &[RegisterId],
    slow_interval: Option<Duration>,
) -> anyhow::Result<Cost> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let (_keep, values) = watch::channel(held.clone());
        let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: false };
        let plan = Plan {
            port: MeterPort(Simulator::new(values, behaviour)),
            port_name: "the simulated meter".to_owned(),
            line: LINE,
            registers: registers.to_vec(),
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Generic,
            interval: INTERVAL,
            slow_interval,
            runs_as: RunsAs::Program,
        };
        let (sender, mut results) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let schedule = Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse()?);
        let start = Instant::now();
        let handle = MeterHandle::default();
        let polling = tokio::spawn(poll::run(plan, schedule, sender, handle, stop.clone()));
        let mut cost = Cost::default();
        loop {
            let result = results.recv().await.context("polling has ended")?;
            ensure!(result.missing.is_empty(), "missing: {:?}", result.missing);
            let at = start.elapsed();
            if at >= HOUR + DAY {
                break;
            }
            if at >= HOUR {
                cost.polls += 1;
                cost.bytes += result.traffic.sent + result.traffic.received;
                cost.awake += result.traffic.awake;
            }
        }
        stop.cancel();
        drop(results);
        polling.await?;
        Ok(cost)
    })
}
