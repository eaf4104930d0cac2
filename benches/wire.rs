//! The cost of a poll on the line, in real time over TCP, compared with the minimum.
//!
//! Fails if the program makes more requests than needed, sends or receives more bytes than the
//! frames have, or takes more than 1.02 times as long as the bytes and the meter's turnaround.
//! `docs/benchmarks.md` explains the results.

#[path = "common/ratio.rs"]
mod ratio;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::SignedDuration;
use kmp::frame;
use kmp::line::Line;
use kmp::message::{GetRegister, GetSerialNo};
use kmp::register::{Register, RegisterId};
use kmp::value::RegisterValue;
use logging::LocalTime;
use meter::RunsAs;
use meter::client::{LineState, Meter, Tries};
use meter::identity::Version;
use meter::poll::{self, MeterHandle, Plan, Schedule};
use meter::transport::{Endpoint, Open, OpenError, Port, SerialSettings, Stream};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::io::{InspectReader, InspectWriter};
use tokio_util::sync::CancellationToken;

use self::ratio::ratio;

/// The line of the optical eye: 1200 baud, 8 data bits, no parity, 2 stop bits.
const LINE: Line = Line::new(1200);
/// The time from the last byte of a request to the first byte of its answer.
const TURNAROUND: Duration = Duration::from_millis(50);
/// The slowest of this many polls is used.
const POLLS: usize = 3;

/// Polls before those that are measured. The first one waits until the line is quiet. Only two
/// polls show for certain which registers the meter lacks (here those of info code and serial
/// number).
const SETTLING: usize = 2;
/// The limit, in per cent of the time that the line needs.
const AT_MOST: u32 = 102;

const SEVEN: &str = "energy volume power flow temp1 temp2 tempdiff";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let held = Registers::example(EnergyUnit::KilowattHour, 0);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = CountingPort::to(listener.local_addr()?)?;
    let (_keep, registers) = watch::channel(held.clone());
    let behaviour = Behaviour { line: Some(LINE), turnaround: TURNAROUND, echo: false };
    let meter = Simulator::new(registers, behaviour);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { meter.serve_tcp(listener).await });

    let seven: Vec<RegisterId> = SEVEN
        .split(' ')
        .map(|key| Register::by_key(key).map(|register| register.id))
        .collect::<Option<_>>()
        .context("seven names")?;
    let all: Vec<RegisterId> = held.values.keys().copied().collect();

    let mut report = Report { out: io::stdout().lock(), failed: false };
    let cost = polled(&port, &seven).await?;
    report.show("7 registers, as the program polls", &cost)?;
    report.judge(&cost, Least::for_registers(&held.values, &seven)?)?;
    let cost = polled(&port, &all).await?;
    report.show("32 registers, as the program polls", &cost)?;
    report.judge(&cost, Least::for_registers(&held.values, &all)?)?;
    let single = one_by_one(&port, &all).await?;
    report.show("32 registers, one per request", &single)?;
    report.compare(&cost, &single)?;
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The traffic on the line.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    requests: usize,
    sent: usize,
    received: usize,
    /// The bytes that stuffing added, in both directions.
    stuffing: usize,
}

impl Traffic {
    fn bytes(&self) -> usize {
        self.sent + self.received
    }
}

/// Counts raw bytes: a raw start byte is always the start of a frame, and a raw escape byte is
/// always added by stuffing.
#[expect(clippy::naive_bytecount, reason = "a frame is short")]
fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|byte| **byte == wanted).count()
}

/// The program's own connection to a meter over TCP, with a counter.
#[derive(Debug, Clone)]
struct CountingPort {
    port: Port,
    traffic: Arc<Mutex<Traffic>>,
}

impl CountingPort {
    fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let host = address.ip().to_string();
        let port = NonZeroU16::new(address.port()).context("a port number")?;
        let endpoint = Endpoint::Tcp { host, port };
        let settings = SerialSettings::default();
        let port = Port { endpoint, settings, answer_start: frame::START_FROM_METER };
        Ok(Self { port, traffic: Arc::default() })
    }

    /// Returns the traffic since the last call.
    fn take(&self) -> Traffic {
        std::mem::take(&mut *self.traffic.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Open for CountingPort {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let stream = self.port.open().await?;
        let note = |note: fn(&mut Traffic, &[u8])| {
            let traffic = Arc::clone(&self.traffic);
            move |bytes: &[u8]| {
                let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
                note(&mut traffic, bytes);
                traffic.stuffing += count(bytes, frame::ESCAPE);
            }
        };
        let stream =
            InspectReader::new(stream, note(|traffic, bytes| traffic.received += bytes.len()));
        Ok(Box::new(InspectWriter::new(
            stream,
            note(|traffic, bytes| {
                traffic.sent += bytes.len();
                let starts = count(bytes, frame::START_TO_METER);
                traffic.requests += starts;
            }),
        )))
    }
}

/// The cost of reading some registers.
#[derive(Debug, Clone, Copy)]
struct Cost {
    traffic: Traffic,
    took: Duration,
}

impl Cost {
    /// The time that the bytes on the line and the meter's turnaround take.
    fn line_time(&self) -> Duration {
        let turnarounds = u32::try_from(self.traffic.requests).unwrap_or(u32::MAX);
        LINE.time_for(self.traffic.bytes()) + TURNAROUND * turnarounds
    }
}

/// Reads registers as the program polls them.
async fn polled(port: &CountingPort, registers: &[RegisterId]) -> anyhow::Result<Cost> {
    let plan = Plan {
        port: port.clone(),
        port_name: "the simulated meter".to_owned(),
        line: LINE,
        registers: registers.to_vec(),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(1),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let schedule = Schedule::new(LocalTime::now, Duration::ZERO, SignedDuration::ZERO);
    let polling =
        tokio::spawn(poll::run(plan, schedule, sender, MeterHandle::default(), stop.clone()));
    let mut slowest = None::<Cost>;
    for number in 0..POLLS + SETTLING {
        let result = results.recv().await.context("polling has ended")?;
        let cost = Cost { traffic: port.take(), took: result.took };
        ensure!(result.readings.len() == registers.len(), "missing: {:?}", result.missing);
        if number >= SETTLING && slowest.is_none_or(|slowest| slowest.took < cost.took) {
            slowest = Some(cost);
        }
    }
    stop.cancel();
    drop(results);
    polling.await?;
    // Another poll may have begun.
    port.take();
    slowest.context("polls")
}

/// Reads registers as the older program does: with one request for each register.
async fn one_by_one(port: &CountingPort, registers: &[RegisterId]) -> anyhow::Result<Cost> {
    let stop = CancellationToken::new();
    let mut meter = Meter::new(port.open().await?, LINE, LineState::default());
    meter.request(&GetSerialNo, Tries::One, &stop).await?;
    port.take();
    let begun = Instant::now();
    for register in registers {
        let answer = meter.request(&GetRegister::new(&[*register])?, Tries::One, &stop).await?;
        ensure!(answer.len() == 1, "register {register} is missing");
    }
    Ok(Cost { took: begun.elapsed(), traffic: port.take() })
}

/// The fewest requests and bytes, before stuffing, that can read the registers.
#[derive(Debug, Clone, Copy)]
struct Least {
    requests: usize,
    bytes: usize,
}

impl Least {
    /// The bytes of each frame for start, address, command, checksum (two) and stop.
    const FRAME: usize = 6;

    fn for_registers(
        held: &BTreeMap<RegisterId, RegisterValue>,
        registers: &[RegisterId],
    ) -> anyhow::Result<Self> {
        let requests = registers.len().div_ceil(GetRegister::MAX);
        // For each request: two frames and the number of registers.
        let mut bytes = requests * (2 * Self::FRAME + 1);
        for register in registers {
            let value = held.get(register).context("a register of the meter")?;
            // For each register: its number in the request. In the answer: number, unit, length,
            // signs and exponent, and mantissa.
            bytes += 2 + 5 + value.mantissa().len();
        }
        Ok(Self { requests, bytes })
    }
}

struct Report<W> {
    out: W,
    failed: bool,
}

impl<W: Write> Report<W> {
    fn show(&mut self, what: &str, cost: &Cost) -> anyhow::Result<()> {
        let Cost { traffic: Traffic { requests, sent, received, stuffing }, took } = cost;
        let (bytes, line) = (cost.traffic.bytes(), cost.line_time());
        writeln!(self.out, "\n{what}")?;
        writeln!(self.out, "  requests                {requests}")?;
        writeln!(
            self.out,
            "  bytes                   {bytes}: {sent} to the meter, {received} back"
        )?;
        writeln!(self.out, "  of these, stuffing      {stuffing}")?;
        writeln!(self.out, "  time                    {} ms", took.as_millis())?;
        writeln!(self.out, "  bytes and turnaround    {} ms", line.as_millis())?;
        writeln!(
            self.out,
            "  time / that             {}",
            ratio(took.as_micros(), line.as_micros(), 3)?
        )?;
        Ok(())
    }

    fn judge(&mut self, cost: &Cost, least: Least) -> anyhow::Result<()> {
        let needed = least.bytes + cost.traffic.stuffing;
        let Least { requests, bytes } = least;
        writeln!(
            self.out,
            "  minimum                 {requests} requests, {bytes} bytes before stuffing"
        )?;
        let time_allowed = cost.line_time() * AT_MOST;
        for (holds, otherwise) in [
            (cost.traffic.requests == requests, "more requests than needed"),
            (cost.traffic.bytes() == needed, "another number of bytes than the frames have"),
            (cost.took * 100 <= time_allowed, "more than 1.02 times the time that the line needs"),
        ] {
            if !holds {
                self.failed = true;
                writeln!(self.out, "  FAILED                  {otherwise}")?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, ours: &Cost, single: &Cost) -> anyhow::Result<()> {
        let requests = ratio(single.traffic.requests, ours.traffic.requests, 3)?;
        let bytes = ratio(single.traffic.bytes(), ours.traffic.bytes(), 3)?;
        let time = ratio(single.took.as_micros(), ours.took.as_micros(), 3)?;
        writeln!(self.out, "  compared with the poll  {requests} times the requests")?;
        writeln!(self.out, "                          {bytes} times the bytes")?;
        writeln!(self.out, "                          {time} times the time")?;
        Ok(())
    }
}
