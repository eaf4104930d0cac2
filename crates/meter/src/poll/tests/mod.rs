//! Polls of simulated meters, with paused time.

mod attacks;
mod gateways;
mod job;
mod journal;
mod on_demand;
mod order;
mod pace;
mod servers;
mod session;
mod sharing;
mod task;

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use kmp::line::Line;
use kmp::model::Model;
use kmp::register::{Register, RegisterId};
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value};
use rust_decimal::Decimal;
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::absences::{ABSENCE, APART};
use super::explanation::HintContext;
use super::journal::{Entry, Journal, Timing};
use super::memory::Memory;
use super::names::unread_words;
use super::once::{poll, poll_round};
use super::order::permutation;
use super::outcome::{PollError, Polled};
use super::pace::Round;
use super::*;
use crate::RunsAs;
use crate::client::{Flood, NoAnswer};
use crate::identity::{IdentityReport, Version};
use crate::plausibility;
use crate::reading::{Missing, Reading};
use crate::transport::{Open, OpenError, PortQueues, SharedPort, Stream};

/// A port with a script for each opening.
struct Scripted {
    openings: Mutex<Vec<Opening>>,
}

enum Opening {
    Fails(OpenError),
    Silent,
    /// Answers requests for registers with a wrong checksum.
    Spoils(Registers),
    /// Answers each request with this text.
    Sends(&'static str),
    /// Closed after this many requests.
    Breaks(Registers, usize),
    /// Answers each request from the next registers, and is closed after the last.
    Each(Vec<Registers>),
    /// Silent after this many requests.
    FallsSilent(Registers, usize),
    /// Sends a KiB each millisecond, and counts the bytes.
    Floods(Arc<AtomicUsize>),
    /// First sends this many bytes that it has stored.
    Bursts(Registers, usize),
    Meter(Registers),
}

impl Open for Scripted {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let opening = {
            let mut openings = self.openings.lock().unwrap();
            if openings.is_empty() {
                return Err(OpenError::Missing);
            }
            openings.remove(0)
        };
        let (near, mut far) = duplex(1024);
        let is_silent = matches!(opening, Opening::FallsSilent(..));
        match opening {
            Opening::Fails(error) => return Err(error),
            Opening::Silent => {
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
                });
            }
            Opening::Spoils(registers) => {
                let (mut ours, theirs) = duplex(1024);
                let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                tokio::spawn(async move { meter.serve(theirs).await });
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    while let Ok(count @ 1..) = far.read(&mut buffer).await {
                        let is_for_registers = buffer[2] == 0x10;
                        ours.write_all(&buffer[..count]).await.unwrap();
                        let count = ours.read(&mut buffer).await.unwrap();
                        buffer[3] ^= u8::from(is_for_registers);
                        far.write_all(&buffer[..count]).await.unwrap();
                    }
                });
            }
            Opening::Sends(text) => {
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    while let Ok(1..) = far.read(&mut buffer).await {
                        far.write_all(text.as_bytes()).await.unwrap();
                    }
                });
            }
            Opening::Each(answers) => {
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    for registers in answers {
                        let (mut ours, theirs) = duplex(1024);
                        let behaviour = Behaviour::default();
                        let meter = Simulator::new(watch::channel(registers).1, behaviour);
                        tokio::spawn(async move { meter.serve(theirs).await });
                        let count = far.read(&mut buffer).await.unwrap();
                        ours.write_all(&buffer[..count]).await.unwrap();
                        let count = ours.read(&mut buffer).await.unwrap();
                        far.write_all(&buffer[..count]).await.unwrap();
                    }
                });
            }
            Opening::Breaks(registers, requests) | Opening::FallsSilent(registers, requests) => {
                let (mut ours, theirs) = duplex(1024);
                let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
                tokio::spawn(async move { meter.serve(theirs).await });
                tokio::spawn(async move {
                    let mut buffer = [0; 256];
                    for _ in 0..requests {
                        let count = far.read(&mut buffer).await.unwrap();
                        ours.write_all(&buffer[..count]).await.unwrap();
                        let count = ours.read(&mut buffer).await.unwrap();
                        far.write_all(&buffer[..count]).await.unwrap();
                    }
                    if is_silent {
                        let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
                    }
                });
            }
            Opening::Floods(sent) => flood(far, sent),
            Opening::Bursts(registers, bytes) => serve(far, registers, bytes),
            Opening::Meter(registers) => serve(far, registers, 0),
        }
        Ok(Box::new(near))
    }
}

/// Sends a KiB each millisecond.
fn flood(mut far: DuplexStream, sent: Arc<AtomicUsize>) {
    tokio::spawn(async move {
        while far.write_all(&[0x55; 1024]).await.is_ok() {
            sent.fetch_add(1024, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

/// Serves a meter, after this many other bytes.
fn serve(mut far: DuplexStream, registers: Registers, others: usize) {
    let meter = Simulator::new(watch::channel(registers).1, Behaviour::default());
    tokio::spawn(async move {
        far.write_all(&vec![0x55; others]).await.unwrap();
        meter.serve(far).await
    });
}

fn ids(names: &str) -> Vec<RegisterId> {
    let id = |name: &str| match Register::by_key(name) {
        Some(register) => register.id,
        None => name.parse().unwrap(),
    };
    names.split(' ').map(id).collect()
}

/// The 32 parameters of the older program.
fn all_names() -> String {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let names = registers.values.keys().map(|register| register.info().unwrap().key);
    names.collect::<Vec<_>>().join(" ")
}

fn meter() -> Opening {
    Opening::Meter(Registers::example(EnergyUnit::KilowattHour, 0))
}

fn without(names: &str) -> Opening {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    registers.values.retain(|id, _| !ids(names).contains(id));
    Opening::Meter(registers)
}

/// The time at which a test begins, so that polls are at multiples of the interval from then on.
fn midnight() -> Schedule {
    Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap())
}

fn plan(names: &str, openings: Vec<Opening>) -> Plan<Scripted> {
    Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    }
}

/// Polls once for each opening. Returns the log lines and the outcome of each poll.
async fn polls(names: &str, openings: Vec<Opening>) -> (String, Vec<Polled>) {
    polls_of(Version::Generic, names, openings).await
}

async fn polls_of(version: Version, names: &str, openings: Vec<Opening>) -> (String, Vec<Polled>) {
    let count = openings.len();
    let mut openings = openings;
    openings.push(Opening::Silent);
    let plan = Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "/dev/ttyUSB0".to_owned(),
        line: Line::new(1200),
        registers: ids(names),
        together: Vec::new(),
        optional: Vec::new(),
        version,
        interval: Duration::from_secs(300),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let mut journal = Journal::new(&plan);
    let (stop, mut memory) = (CancellationToken::new(), Memory::new(version));
    let (mut log, mut all) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let polled = poll(&plan, &mut memory, &stop).await.unwrap();
        let models = memory.identification.known_models();
        log.push(format!("poll {number}"));
        let timing = Timing { ended: Instant::now(), took: Duration::from_millis(900) };
        let entries = journal.entries(&polled, timing, &models);
        log.extend(entries.iter().map(line));
        all.push(polled);
        tokio::time::sleep(plan.interval).await;
    }
    (log.join("\n"), all)
}

/// A log entry as a line, with its level.
fn line(entry: &Entry) -> String {
    match entry {
        Entry::Info(_, text) => format!(" INFO {text}"),
        Entry::Warn(_, text) => format!(" WARN {text}"),
        Entry::Debug(text) => format!("DEBUG {text}"),
    }
}

/// A port to a meter that counts the requests and bytes on the line.
struct Wire {
    meter: Simulator,
    counts: Arc<Mutex<(usize, usize, usize)>>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    fn new(registers: Registers, behaviour: Behaviour) -> Self {
        let meter = Simulator::new(watch::channel(registers).1, behaviour);
        Self { meter, counts: Arc::default(), requests: Arc::default() }
    }

    fn reset(&self) {
        *self.counts.lock().unwrap() = (0, 0, 0);
    }

    /// Requests, bytes of requests, bytes of answers.
    fn counted(&self) -> (usize, usize, usize) {
        *self.counts.lock().unwrap()
    }
}

fn count_request(counts: &Mutex<(usize, usize, usize)>, bytes: usize) {
    let mut counts = counts.lock().unwrap();
    counts.0 += 1;
    counts.1 += bytes;
}

impl Open for Wire {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        let (mut ours, theirs) = duplex(1024);
        let meter = self.meter.clone();
        tokio::spawn(async move { meter.serve(theirs).await });
        let (counts, requests) = (Arc::clone(&self.counts), Arc::clone(&self.requests));
        tokio::spawn(async move {
            let mut far = far;
            let (mut request, mut answer) = ([0; 256], [0; 256]);
            loop {
                tokio::select! {
                    Ok(count @ 1..) = far.read(&mut request) => {
                        count_request(&counts, count);
                        requests.lock().unwrap().push(request[..count].to_vec());
                        ours.write_all(&request[..count]).await.unwrap();
                    }
                    Ok(count @ 1..) = ours.read(&mut answer) => {
                        counts.lock().unwrap().2 += count;
                        if far.write_all(&answer[..count]).await.is_err() {
                            return;
                        }
                    }
                    else => return,
                }
            }
        });
        Ok(Box::new(near))
    }
}

fn set(registers: &mut Registers, rows: &[(u16, Unit, i64, u32, u8)]) {
    for (id, unit, number, places, length) in rows {
        let value = Decimal::new(*number, *places);
        let id = RegisterId::new(*id);
        registers.insert(RegisterValue::from_decimal(id, *unit, value, *length).unwrap());
    }
}

fn meters(count: usize) -> Vec<Opening> {
    (0..count).map(|_| meter()).collect()
}
