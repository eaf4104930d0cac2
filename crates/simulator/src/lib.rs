//! A meter that answers from data, for tests, for the demo and for trying things without a meter.
//!
//! It speaks KMP by the `kmp` crate's emit side, which the captured frames hold to what real
//! meters send, so that an error cannot hide by being made on both sides.

mod encode;
mod faults;
mod models;
mod pty;
mod registers;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kmp::datalink::{self, Address, Packet};
use kmp::frame::{Decoder, Direction, Event};
use kmp::message::{GetRegister, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_serial::{SerialPort, SerialStream};
use tracing::debug;

pub use self::faults::{Fault, FaultRate, FaultRateError, Faults, Piece};
pub use self::models::Model;
use self::pty::Pty;
pub use self::registers::{EnergyUnit, Registers, RegistersError};
use kmp::line::Line;

/// How often a pseudo-terminal that nobody has open is looked at.
const NOBODY_THERE: Duration = Duration::from_millis(20);

/// How the simulated meter behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// How fast bytes travel in both directions; `None` for at once.
    pub line: Option<Line>,
    /// From the last byte of a request to the first of its answer.
    pub turnaround: Duration,
    /// Whether the optical head sends back what it gets.
    pub echo: bool,
}

/// A meter.
#[derive(Debug, Clone)]
pub struct Simulator {
    registers: watch::Receiver<Registers>,
    behaviour: Behaviour,
    faults: Option<Faults>,
}

impl Simulator {
    /// A meter with these registers, which may change while it runs.
    #[must_use]
    pub fn new(registers: watch::Receiver<Registers>, behaviour: Behaviour) -> Self {
        Self { registers, behaviour, faults: None }
    }

    /// The same meter on a bad line. Whatever serves it begins with the first of these faults.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// Serves one connection after the other, as a network serial server does: what is under way
    /// when one ends goes to the next.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        let mut wire = self.wire();
        loop {
            let (stream, peer) = listener.accept().await?;
            debug!("{peer} is connected");
            stream.set_nodelay(true)?;
            // A broken connection is the reader's affair.
            if let Err(error) = self.converse(stream, &mut wire).await {
                debug!("{peer}: {error}");
            }
        }
    }

    /// Serves connections as [`serve_tcp`](Self::serve_tcp) does, until no more can come.
    pub async fn serve_each<S>(&self, mut connections: mpsc::UnboundedReceiver<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut wire = self.wire();
        while let Some(stream) = connections.recv().await {
            if let Err(error) = self.converse(stream, &mut wire).await {
                debug!("{error}");
            }
        }
    }

    /// Opens a pseudo-terminal that looks like the serial port of an optical head, and its path.
    ///
    /// The port is there as long as the second value is kept.
    pub fn open_pty() -> io::Result<(PathBuf, SerialStream)> {
        let (ours, mut theirs) = SerialStream::pair()?;
        let path = theirs.name().ok_or(io::ErrorKind::Unsupported)?;
        // Others shall open it.
        theirs.set_exclusive(false)?;
        Ok((path.into(), ours))
    }

    /// Serves a pseudo-terminal for ever, whoever opens and closes it. What comes while nobody has
    /// it open is lost, as at a serial port.
    pub async fn serve_pty(&self, pty: SerialStream) {
        let mut pty = Pty::new(pty);
        let mut wire = self.wire();
        loop {
            // While nobody has the other end open, reading fails at once.
            if let Err(error) = self.converse(&mut pty, &mut wire).await {
                debug!("the pseudo-terminal: {error}");
                wire.lose_what_is_due();
            }
            sleep(NOBODY_THERE).await;
        }
    }

    /// Answers requests until the stream ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<()> {
        self.converse(stream, &mut self.wire()).await
    }

    /// Answers requests until the stream ends, or a fault ends it.
    async fn converse<S>(&self, mut stream: S, wire: &mut Wire) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut decoder = Decoder::new();
        let mut buffer = [0; 256];
        loop {
            let due = wire.due();
            tokio::select! {
                // First, so that nothing is sent to a reader that has gone.
                biased;
                count = stream.read(&mut buffer) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    for &byte in buffer.get(..count).unwrap_or_default() {
                        if let Some(Event::Frame { direction: Direction::ToMeter, body }) =
                            decoder.push(byte)
                        {
                            self.take(&body, wire);
                        }
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let Some(parcel) = wire.pop() else { continue };
                    self.send(&mut stream, &parcel).await?;
                    if parcel.close {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn wire(&self) -> Wire {
        Wire { faults: self.faults.clone(), parcels: BTreeMap::new(), count: 0 }
    }

    /// Takes a request that begins now, and puts on the wire what will come of it.
    fn take(&self, body: &[u8], wire: &mut Wire) {
        let request = kmp::frame::emit(Direction::ToMeter, body);
        let time_for = |bytes: &[u8]| {
            self.behaviour.line.map_or(Duration::ZERO, |line| line.time_for(bytes.len()))
        };
        let mut at = later(Instant::now(), time_for(&request));
        if self.behaviour.echo {
            // It has come back bit by bit while the request went out.
            wire.push(at, Parcel { bytes: request.clone(), paced: false, close: false });
        }
        let Some(answer) = self.answer(body) else {
            return;
        };
        at = later(at, self.behaviour.turnaround);
        let pieces = match &mut wire.faults {
            Some(faults) => faults.distort(&request, &answer),
            None => vec![Piece { wait: Duration::ZERO, bytes: answer, close: false }],
        };
        for Piece { wait, bytes, close } in pieces {
            at = later(at, wait);
            let ends = later(at, time_for(&bytes));
            wire.push(at, Parcel { bytes, paced: true, close });
            at = ends;
        }
    }

    async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S, parcel: &Parcel) -> io::Result<()> {
        let Some(line) = self.behaviour.line.filter(|_| parcel.paced) else {
            return stream.write_all(&parcel.bytes).await;
        };
        let begun = Instant::now();
        for (index, byte) in parcel.bytes.iter().enumerate() {
            // A byte is there when its last bit is.
            sleep_until(later(begun, line.time_for(index.saturating_add(1)))).await;
            stream.write_all(&[*byte]).await?;
        }
        Ok(())
    }

    /// The frame that a meter with these registers sends in answer to a request's unstuffed body;
    /// `None` where it stays silent.
    #[must_use]
    pub fn answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let packet = datalink::parse(body).ok()?;
        if packet.address != Address::HEAT_METER {
            return None;
        }
        let registers = self.registers.borrow();
        let data = match Request::parse(packet).ok()? {
            Request::GetType => registers.meter_type.emit().to_vec(),
            Request::GetSerialNo => registers.serial.emit().to_vec(),
            Request::GetRegister(command) => {
                if command.registers().iter().any(|id| registers.silencing.contains(id)) {
                    return None;
                }
                let ids = command.registers().iter();
                let values: Vec<_> =
                    ids.filter_map(|id| registers.values.get(id).cloned()).collect();
                GetRegister::emit_answer(&values)
            }
        };
        Some(datalink::emit(Direction::FromMeter, Packet { data: &data, ..packet }))
    }
}

/// What is on its way to the reader. It outlives a connection.
#[derive(Debug)]
struct Wire {
    faults: Option<Faults>,
    /// By the time when each begins; those of the same time in the order in which they were put.
    parcels: BTreeMap<(Instant, u64), Parcel>,
    count: u64,
}

#[derive(Debug)]
struct Parcel {
    bytes: Vec<u8>,
    /// Whether the bytes come one by one where there is a line.
    paced: bool,
    /// Whether the connection ends after them.
    close: bool,
}

impl Wire {
    fn due(&self) -> Option<Instant> {
        self.parcels.keys().next().map(|(at, _)| *at)
    }

    fn push(&mut self, at: Instant, parcel: Parcel) {
        self.count = self.count.wrapping_add(1);
        self.parcels.insert((at, self.count), parcel);
    }

    fn pop(&mut self) -> Option<Parcel> {
        self.parcels.pop_first().map(|(_, parcel)| parcel)
    }

    fn lose_what_is_due(&mut self) {
        let now = Instant::now();
        self.parcels.retain(|(at, _), _| *at > now);
    }
}

/// An instant too far away to be said is not later.
fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use kmp::message::{Command, GetSerialNo, GetType};
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn body(frame: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new();
        let events = frame.iter().find_map(|&byte| decoder.push(byte));
        let Some(Event::Frame { body, .. }) = events else { panic!("no frame") };
        body
    }

    fn simulator(registers: Registers) -> Simulator {
        Simulator::new(watch::channel(registers).1, Behaviour::default())
    }

    /// A meter that holds what a captured answer holds gives that answer, to the byte.
    #[test]
    fn answers_as_real_meters_do() {
        let pairs = [
            // A MULTICAL 403 (gemu2015/Sonoff-Tasmota issue 38).
            ("803F1001003CB25F0D", "403F10003C0304430000D6DE03220D"),
            ("803F1001004AAC0E0D", "403F10004A2902000000F0500D"),
            (
                "803F1003004A003C007BA19E0D",
                "403F10004A2902000005003C0304430000D960007B30040000035BD008A80D",
            ),
            // With a stuffed 0x0D.
            (
                "803F1003004A0044007BD0370D",
                "403F10004A290200000500442804420002ED1BF2007B30040000035BD07AC40D",
            ),
            // A water meter (Google Groups sonoffusers, thread aYmxherLsOU).
            (
                "803F1007004403EC0063004A00F30124012BE2C30D",
                "403F100044280443000CAFAB03EC3304000000D66800633302000000004A290200000000F3\
                 28044300000000012425010014012B25010015912B0D",
            ),
            // A MULTICAL 21 (bsdphk/PyKamstrup pull 6), a 602 (cenobitedk/esphome_multical402
            // issue 5).
            ("803F1001006319450D", "403F1000633302000000CF4E0D"),
            ("803F1001009B77520D", "403F10009B01044100296231A0EC0D"),
        ];
        for (request, answer) in pairs {
            let (request, answer) = (bytes(request), bytes(&answer.replace(' ', "")));
            let request = body(&request);
            let Ok(Request::GetRegister(command)) =
                Request::parse(datalink::parse(&request).unwrap())
            else {
                panic!("{request:?}")
            };
            let answered = body(&answer);
            let packet = datalink::parse(&answered).unwrap();
            let mut registers = Registers::empty();
            for value in command.parse_answer(packet.data).unwrap() {
                registers.insert(value);
            }
            assert_eq!(simulator(registers).answer(&request), Some(answer));
        }
    }

    #[test]
    fn tells_type_and_serial_number() {
        // 5512-447 M1 p.15-17, with other numbers; the answers are those of a public Go reader's
        // tests.
        let meter = simulator(Registers::empty());
        let answer = |request: &str| meter.answer(&body(&bytes(request))).unwrap();
        assert_eq!(answer("803F01058A0D"), bytes("403F010217010278360D"));
        assert_eq!(answer("803F0235E90D"), bytes("403F0200BC614EB4830D"));
        assert_eq!(GetType.max_answer_data(), GetSerialNo.max_answer_data());
    }

    #[test]
    fn stays_silent_where_a_meter_does() {
        let meter = simulator(Registers::empty());
        // Another address, another command, a bad checksum.
        assert_eq!(meter.answer(&body(&bytes("803A01FA7F0D"))), None);
        assert_eq!(meter.answer(&body(&bytes("803F9B27790D"))), None);
        assert_eq!(meter.answer(&body(&bytes("803F01058B0D"))), None);
        // None of the registers: an answer without any (5512-447 M1 p.19).
        let nothing = bytes("403F10079A0D");
        assert_eq!(meter.answer(&body(&bytes("803F1001003CB25F0D"))), Some(nothing));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_to_the_speed_of_the_line() {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let behaviour = Behaviour {
            line: Some(Line::new(1200)),
            turnaround: Duration::from_millis(50),
            echo: true,
        };
        let meter = Simulator::new(watch::channel(registers).1, behaviour);
        let (mut near, far) = duplex(1024);
        let serving = tokio::spawn(async move { meter.serve(far).await });
        let request = bytes("803F1001003CB25F0D");
        let started = Instant::now();
        near.write_all(&request).await.unwrap();
        let mut echo = vec![0; request.len()];
        near.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, request);
        // 81947 is 0x0001401B, with two bytes that need stuffing.
        let mut answer = [0; 17];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer.last(), Some(&0x0D));
        let expected = Line::new(1200).time_for(9 + 17) + Duration::from_millis(50);
        assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
        drop(near);
        serving.await.unwrap().unwrap();
    }

    #[test]
    fn the_example_has_the_names_of_the_older_program_and_every_value_a_meaning() {
        for energy in [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule] {
            for minutes in [0, 1, 1_000, 100_000] {
                let registers = Registers::example(energy, minutes);
                assert_eq!(registers.values.len(), 32);
                for value in registers.values.values() {
                    assert!(value.register.info().is_some() && value.value().is_ok(), "{value:?}");
                }
            }
        }
    }

    fn faulty(rates: &[&str], line: Option<Line>) -> Simulator {
        let rates: Vec<FaultRate> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let turnaround = Duration::from_millis(50);
        let behaviour = Behaviour { line, turnaround, echo: false };
        Simulator::new(watch::channel(registers).1, behaviour)
            .with_faults(Faults::from_rates(1, &rates).unwrap())
    }

    /// Bytes until the stream ends.
    async fn rest(mut stream: DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    const ENERGY: &str = "803F1001003CB25F0D";

    #[tokio::test(start_paused = true)]
    async fn faults_keep_to_the_speed_of_the_line() {
        let line = Line::new(1200);
        let meter = faulty(&["stall=100%", "echo=100%"], Some(line));
        let whole = [bytes(ENERGY), meter.answer(&body(&bytes(ENERGY))).unwrap()].concat();
        let (mut near, far) = duplex(1024);
        tokio::spawn(async move { meter.serve(far).await });
        let started = Instant::now();
        near.write_all(&bytes(ENERGY)).await.unwrap();
        let mut answer = vec![0; whole.len()];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, whole);
        let expected = line.time_for(9 + whole.len()) + Duration::from_millis(50 + 2_500);
        assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_can_end_in_the_middle_of_an_answer() {
        let meter = faulty(&["closed=100%"], Some(Line::new(1200)));
        let whole = meter.answer(&body(&bytes(ENERGY))).unwrap();
        let (connections, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move { meter.serve_each(accepted).await });
        let mut lengths = Vec::new();
        for _ in 0..20 {
            let (mut near, far) = duplex(1024);
            connections.send(far).unwrap();
            near.write_all(&bytes(ENERGY)).await.unwrap();
            let came = rest(near).await;
            assert!(whole.starts_with(&came));
            lengths.push(came.len());
        }
        assert!(lengths.iter().any(|length| (1..whole.len()).contains(length)), "{lengths:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_late_goes_to_the_next_connection() {
        let meter = faulty(&["late=100%"], None);
        let answer = meter.answer(&body(&bytes(ENERGY))).unwrap();
        let (connections, accepted) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move { meter.serve_each(accepted).await });
        let (mut near, far) = duplex(1024);
        connections.send(far).unwrap();
        near.write_all(&bytes(ENERGY)).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(near);
        let (mut near, far) = duplex(1024);
        connections.send(far).unwrap();
        let started = Instant::now();
        let mut came = vec![0; answer.len()];
        near.read_exact(&mut came).await.unwrap();
        assert_eq!(came, answer);
        assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
        drop((near, connections));
        serving.await.unwrap();
    }

    /// Nobody listens at a serial port that nobody has open.
    #[tokio::test(start_paused = true)]
    async fn what_comes_to_a_closed_port_is_lost() {
        let mut wire = faulty(&["late=100%"], None).wire();
        let parcel = |byte| Parcel { bytes: vec![byte], paced: true, close: false };
        let now = Instant::now();
        wire.push(now, parcel(1));
        wire.push(now + Duration::from_secs(2), parcel(2));
        wire.lose_what_is_due();
        assert_eq!(wire.pop().map(|parcel| parcel.bytes), Some(vec![2]));
        assert!(wire.pop().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_seed_and_requests_give_the_same_bytes() {
        async fn bytes_of_one_run() -> Vec<u8> {
            let meter = faulty(&["all=20%", "closed=0%"], None);
            let (near, far) = duplex(65_536);
            let serving = tokio::spawn(async move { meter.serve(far).await });
            let (mut from, mut to) = tokio::io::split(near);
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                from.read_to_end(&mut all).await.unwrap();
                all
            });
            for _ in 0..50 {
                to.write_all(&bytes(ENERGY)).await.unwrap();
                sleep(Duration::from_secs(30)).await;
            }
            to.shutdown().await.unwrap();
            serving.await.unwrap().unwrap();
            reading.await.unwrap()
        }
        let (first, second) = (bytes_of_one_run().await, bytes_of_one_run().await);
        assert!(!first.is_empty());
        assert_eq!(first, second);
    }
}
