//! The connection to the meter: errors are explained, and the program reconnects automatically.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kmp::frame::{Decoder, Direction, Event};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_serial::SerialStream;

use crate::broker::{Broker, own_port};
use crate::program::Program;
use crate::subscriber::Subscriber;
use crate::{OPTICAL, config, patiently};

fn simulator(behaviour: Behaviour) -> Simulator {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    Simulator::new(watch::channel(registers).1, behaviour)
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

enum User {
    This,
    Unprivileged,
}

/// The program's message about a port, with a fixed name for the port.
async fn said(com_port: &str, user: User) -> String {
    let variables = [("MQTT_HOST", "127.0.0.1"), ("MQTT_PORT", "1"), ("SERIAL_COM_PORT", com_port)];
    let mut program = match user {
        User::This => Program::start_with(&[], &variables),
        User::Unprivileged => Program::start_unprivileged(&variables),
    };
    let verb = if com_port.contains("://") { "connect to" } else { "open" };
    let line = program.says(&format!("Cannot {verb} {com_port}: ")).await;
    let (_, text) = line.split_once(" WARN ").unwrap();
    let name = if com_port.contains("://") { "socket://HOST:PORT" } else { "/dev/PORT" };
    text.replace(com_port, name)
}

/// How a serial server ends each connection.
enum Hangs {
    Up,
    UpHard,
    UpWithWords,
}

/// The program's message about such a serial server.
async fn said_of_server(hangs: Hangs) -> String {
    let (listener, address) = listen().await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            match hangs {
                Hangs::Up => {}
                Hangs::UpHard => stream.set_zero_linger().unwrap(),
                // As ser2net does.
                Hangs::UpWithWords => stream.write_all(b"Port already in use\r\n").await.unwrap(),
            }
        }
    });
    said(&format!("socket://{address}"), User::This).await
}

/// A listener whose queue is full: it does not answer another connection.
pub(crate) async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // One more than the queue holds.
    for _ in 0..2 {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    (listener, waiting)
}

/// Each error is caused for real. The snapshot is the whole text for users.
#[tokio::test]
async fn every_problem_with_a_port_is_explained() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();

    let (forbidden, _pty) = Simulator::open_pty().unwrap();
    std::fs::set_permissions(&forbidden, Permissions::from_mode(0o000)).unwrap();

    // Held by a lock, as programs with the same library do it, and by TIOCEXCL, which does not stop
    // root.
    let (mut ours, mut holder) = SerialStream::pair().unwrap();
    let busy = tokio_serial::SerialPort::name(&holder).unwrap();
    holder.set_exclusive(true).unwrap();
    ours.set_exclusive(false).unwrap();
    std::fs::set_permissions(&busy, Permissions::from_mode(0o666)).unwrap();

    let (free, refused) = listen().await;
    drop(free);
    let refused = format!("socket://{refused}");
    let (deaf, _waiting) = full().await;
    let deaf = format!("socket://{}", deaf.local_addr().unwrap());

    let unknown = "socket://no-such-host.invalid:2003";
    let texts = tokio::join!(
        said("/dev/no-such-port", User::This),
        said(forbidden.to_str().unwrap(), User::Unprivileged),
        said(&busy, User::This),
        said(&busy, User::Unprivileged),
        said(file.to_str().unwrap(), User::This),
        said("/dev/null", User::This),
        said(unknown, User::This),
        said(&refused, User::This),
        said(&deaf, User::This),
        said_of_server(Hangs::Up),
        said_of_server(Hangs::UpHard),
        said_of_server(Hangs::UpWithWords),
    );
    assert_eq!(texts.2, texts.3);
    assert_eq!(texts.4, texts.5);
    assert_eq!(texts.9, texts.10);
    let texts = [texts.0, texts.1, texts.2, texts.4, texts.6, texts.7, texts.8, texts.9, texts.11];
    insta::assert_snapshot!("every_trouble_with_a_port", texts.join("\n"));
}

/// A configuration that logs every failed poll.
fn talkative(broker: &Broker, com_port: &str) -> String {
    format!("{}logging: {{ level: DEBUG }}\n", config(broker, com_port, "energy,volume"))
}

/// Waits until some more polls have failed. Meanwhile the program sleeps.
async fn outage(program: &mut Program) {
    let (begun, used) = (Instant::now(), program.processor_time());
    program.says_times(", as before", program.count(", as before") + 3).await;
    let (took, used) = (begun.elapsed(), program.processor_time().saturating_sub(used));
    assert!(used < took / 10, "{used:?} of {took:?}");
}

/// Waits until the program reports the meter again, and has published its value twice more.
async fn found_again(program: &mut Program, subscriber: &mut Subscriber) {
    // The first time, or again.
    program.says("INFO The meter answers").await;
    let values =
        subscriber.all().iter().filter(|arrived| arrived.topic == "kamstrup/energy").count();
    subscriber.expect_times("kamstrup/energy", "81947", values + 2).await;
}

/// The echo of a request and the first half of its answer, once the request is complete.
fn half_an_answer(decoder: &mut Decoder, byte: u8) -> Option<Vec<u8>> {
    let Some(Event::Frame { body, .. }) = decoder.push(byte) else { return None };
    let answer = simulator(Behaviour::default()).answer(&body).unwrap();
    let mut bytes = kmp::frame::emit(Direction::ToMeter, &body);
    bytes.extend(&answer[..answer.len() / 2]);
    Some(bytes)
}

/// The log line when the program has read the echo.
const ECHO_SEEN: &str = "skipped: the request's own echo";

/// A head whose port exists as long as this value.
///
/// It is a separate process: started programs inherit the pseudo-terminals that the serial library
/// opens, and keep them open.
struct Head {
    simulator: Program,
    link: PathBuf,
}

impl Head {
    /// Plugs it in. Its port is then behind this link.
    async fn plug_in(link: &Path) -> Self {
        let arguments = ["simulate", "--pty", "--baud", "1200", "--turnaround", "50"];
        let mut simulator = Program::start_with(&arguments, &[]);
        let said = simulator.says("A simulated meter answers at ").await;
        symlink(said.rsplit(' ').next().unwrap(), link).unwrap();
        Self { simulator, link: link.to_owned() }
    }

    async fn unplug(mut self) {
        // The port behind it may soon belong to another test.
        std::fs::remove_file(&self.link).unwrap();
        self.simulator.kill().await;
    }
}

/// A head in the middle of its first answer: unplugged when both ends are dropped.
fn answering(link: &Path) -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    // Reading fails while nobody has the other end open.
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    symlink(path.to_str().unwrap(), link).unwrap();
    let mut decoder = Decoder::new();
    let mut master = File::from(master);
    let mut byte = [0];
    let half = loop {
        master.read_exact(&mut byte).unwrap();
        if let Some(half) = half_an_answer(&mut decoder, byte[0]) {
            break half;
        }
    };
    master.write_all(&half).unwrap();
    (master, slave)
}

/// A head that is unplugged during a poll, and plugged in again.
async fn unplugged(in_answer: bool) {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("head");
    let head = Head::plug_in(&link).await;
    let mut program = Program::start(&talkative(&broker, link.to_str().unwrap()));
    subscriber.expect("kamstrup/energy", "81947").await;
    let handles = program.handles();

    program.says_times("to the meter", program.count("to the meter") + 1).await;
    head.unplug().await;
    if in_answer {
        let behind = link.clone();
        let head = tokio::task::spawn_blocking(move || answering(&behind));
        let head = patiently("a request", head).await.unwrap();
        program.says(ECHO_SEEN).await;
        std::fs::remove_file(&link).unwrap();
        drop(head);
    }
    program.says(": it does not exist. Check that the optical head").await;
    outage(&mut program).await;
    // Half an answer after the echo.
    let is_half = |line: &String| {
        line.contains("from the meter: 40 ") && line.ends_with(": an incomplete frame")
    };
    assert_eq!(program.log().iter().any(is_half), in_answer, "{:#?}", program.log());

    let _head = Head::plug_in(&link).await;
    found_again(&mut program, &mut subscriber).await;
    // The port may be open at this moment.
    assert!(program.handles() <= handles + 1, "{} after {handles}", program.handles());
}

#[tokio::test]
async fn reading_resumes_after_the_head_was_unplugged_in_mid_poll() {
    unplugged(false).await;
}

#[tokio::test]
async fn reading_resumes_after_the_head_was_unplugged_in_mid_answer() {
    unplugged(true).await;
}

/// A serial server that disappears during an answer and returns.
async fn restarted(reset: bool) {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    // It listens again later, so the system must not give its port to another connection meanwhile.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, own_port().await));
    let listener = TcpListener::bind(address).await.unwrap();
    let going = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = simulator(OPTICAL).serve(stream).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut decoder = Decoder::new();
        let half = loop {
            let byte = stream.read_u8().await.unwrap();
            if let Some(half) = half_an_answer(&mut decoder, byte) {
                break half;
            }
        };
        stream.write_all(&half).await.unwrap();
        stream
    });
    let mut program = Program::start(&talkative(&broker, &format!("socket://{address}")));
    subscriber.expect("kamstrup/energy", "81947").await;
    let handles = program.handles();
    let stream = patiently("half an answer", going).await.unwrap();
    program.says(ECHO_SEEN).await;
    if reset {
        stream.set_zero_linger().unwrap();
    }
    drop(stream);
    program.says(": the connection was refused. Check the port number").await;
    outage(&mut program).await;

    let listener = TcpListener::bind(address).await.unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { simulator(OPTICAL).serve_tcp(listener).await.unwrap() });
    found_again(&mut program, &mut subscriber).await;
    assert!(program.handles() <= handles + 1, "{} after {handles}", program.handles());
}

#[tokio::test]
async fn reading_resumes_after_the_serial_server_closed_in_mid_answer() {
    restarted(false).await;
}

#[tokio::test]
async fn reading_resumes_after_the_serial_server_reset_in_mid_answer() {
    restarted(true).await;
}

/// Another program uses the serial server, and releases it later.
#[tokio::test]
async fn a_serial_server_in_use_is_waited_for() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (listener, address) = listen().await;
    let (free, mut freed) = watch::channel(false);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while !*freed.borrow_and_update() {
            tokio::select! {
                accepted = listener.accept() => drop(accepted.unwrap()),
                changed = freed.changed() => changed.unwrap(),
            }
        }
        simulator(OPTICAL).serve_tcp(listener).await.unwrap();
    });
    let mut program = Program::start(&talkative(&broker, &format!("socket://{address}")));
    program
        .says("the serial server closed the connection immediately. Most serial servers serve one")
        .await;
    outage(&mut program).await;
    assert_eq!(program.count("Most serial servers serve one"), 1);
    free.send_replace(true);
    found_again(&mut program, &mut subscriber).await;
}

/// Slower than the protocol allows, partly because of a serial server.
#[tokio::test]
async fn a_slow_serial_server_gets_the_configured_timeout() {
    let broker = Broker::start().await;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let (listener, address) = listen().await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let turnaround = Duration::from_millis(2200);
        let meter = simulator(Behaviour { turnaround, ..OPTICAL });
        meter.serve_tcp(listener).await.unwrap();
    });
    let yaml = talkative(&broker, &format!("socket://{address}"))
        .replace("serial_device: {", "serial_device: { timeout: 3.0,");
    let program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "81947").await;
    assert_eq!(program.count("; retrying"), 0, "{:#?}", program.log());
}
