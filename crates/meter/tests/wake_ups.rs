//! How often a request wakes the processor: over a stream in paused time, and over TCP and a serial
//! port in real time, at 1200 baud.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::time::Duration;

use kamstrup_meter::CancellationToken;
use kamstrup_meter::client::{LineState, Meter, Tries};
use kamstrup_meter::transport::{Open, Port, SerialSettings, Stream};
use kmp::frame::START_FROM_METER;
use kmp::line::Line;
use kmp::message::GetRegister;
use kmp::register::RegisterId;
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

const LINE: Line = Line::new(1200);

/// `energy volume power flow temp1 temp2 tempdiff`, and the hour counter.
const REGISTERS: [u16; 8] = [60, 68, 80, 74, 86, 87, 89, 1004];

const MOST: u64 = 8;

/// In real time, a busy machine delivers some bytes late. A wake-up for each byte would be more than
/// a hundred.
const MOST_WHEN_BUSY: u64 = 40;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn simulator(echo: bool) -> Simulator {
    let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let turnaround = Duration::from_millis(50);
    Simulator::new(registers, Behaviour { line: Some(LINE), turnaround, echo })
}

/// How often this thread has waited so far, and was then woken.
fn waited() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    switches.unwrap().trim().parse().unwrap()
}

/// The numbers that `counted` has for five requests. An earlier one drains the line, and shows how
/// long the answer is.
async fn of_each_request(
    stream: impl Stream,
    mut counted: impl AsyncFnMut(Pin<&mut dyn Future<Output = ()>>) -> u64,
) -> Vec<u64> {
    let mut meter = Meter::new(stream, LINE, LineState::default());
    let (stop, mut counts) = (CancellationToken::new(), Vec::new());
    let command = GetRegister::new(&REGISTERS.map(RegisterId::new)).unwrap();
    for _ in 0..6 {
        let request = async {
            let answer = meter.request(&command, Tries::One, &stop).await.unwrap();
            assert_eq!(answer.len(), REGISTERS.len());
        };
        counts.push(counted(pin!(request)).await);
    }
    counts.split_off(1)
}

/// How often a request wakes the thread, when the meter is at this endpoint. The fewest of several
/// requests, because a busy machine may deliver bytes later than the line did.
fn wake_ups(endpoint: &str) -> u64 {
    let counts = runtime().block_on(async {
        let (endpoint, settings) = (endpoint.parse().unwrap(), SerialSettings::default());
        let port = Port { endpoint, settings, answer_start: START_FROM_METER };
        let stream = port.open().await.unwrap();
        of_each_request(stream, async |request| {
            let before = waited();
            request.await;
            waited() - before
        })
        .await
    });
    *counts.iter().min().unwrap()
}

/// Runs the meter in a thread of its own, so that its timers do not wake the program.
fn serve<F: Future>(prepare: impl FnOnce() -> F + Send + 'static) {
    std::thread::spawn(move || {
        runtime().block_on(prepare());
    });
}

#[tokio::test(start_paused = true)]
async fn a_request_wakes_its_task_at_most_eight_times() {
    for echo in [false, true] {
        let (near, far) = tokio::io::duplex(1024);
        tokio::spawn(async move { simulator(echo).serve(far).await });
        let counts = of_each_request(near, async |mut request| {
            let mut polls = 0;
            poll_fn(|context| {
                polls += 1;
                request.as_mut().poll(context)
            })
            .await;
            // The first poll is no wake-up.
            polls - 1
        })
        .await;
        assert!(counts.iter().all(|count| *count <= MOST), "echo {echo}: {counts:?}");
    }
}

#[test]
fn a_request_over_tcp_does_not_wake_the_processor_for_each_byte() {
    for echo in [false, true] {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = format!("socket://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        serve(move || async move {
            let listener = TcpListener::from_std(listener).unwrap();
            simulator(echo).serve_tcp(listener).await
        });
        let count = wake_ups(&endpoint);
        assert!(count <= MOST_WHEN_BUSY, "echo {echo}: {count}");
    }
}

#[test]
fn a_request_over_a_serial_port_does_not_wake_the_processor_for_each_byte() {
    for echo in [false, true] {
        let (path, opened) = std::sync::mpsc::channel();
        serve(move || async move {
            let (device, pty) = Simulator::open_pty().unwrap();
            path.send(device).unwrap();
            simulator(echo).serve_pty(pty).await;
        });
        let device = opened.recv().unwrap();
        let count = wake_ups(&device.display().to_string());
        assert!(count <= MOST_WHEN_BUSY, "echo {echo}: {count}");
    }
}
