//! A meter that answers requests.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kmp::datalink::{self, Address, Packet};
use kmp::frame::{Decoder, Direction, Event};
use kmp::line::Line;
use kmp::message::{GetRegister, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_serial::{SerialPort, SerialStream};
use tracing::debug;

use super::pty::Pty;
use super::wire::{Parcel, Wire};
use crate::faults::{Faults, Piece};
use crate::logs::Logs;
use crate::registers::Registers;

/// The pause between two checks of a pseudo-terminal that nobody has open.
const CLOSED_PAUSE: Duration = Duration::from_millis(20);

/// How the simulated meter behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// The speed of the bytes in both directions; `None` sends them at once.
    pub line: Option<Line>,
    /// The time from the last byte of a request to the first byte of its answer.
    pub turnaround: Duration,
    /// Whether the optical head sends back each request.
    pub echo: bool,
}

/// A simulated meter.
#[derive(Debug, Clone)]
pub struct Simulator {
    registers: watch::Receiver<Registers>,
    behaviour: Behaviour,
    faults: Option<Faults>,
    logs: Option<Arc<Logs>>,
}

impl Simulator {
    /// Creates a meter with these registers, which may change while it runs.
    #[must_use]
    pub fn new(registers: watch::Receiver<Registers>, behaviour: Behaviour) -> Self {
        Self { registers, behaviour, faults: None, logs: None }
    }

    /// Adds faults to the meter. Each of the `serve` methods begins with the first fault.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// Adds logs. A meter without logs does not answer requests for them.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        Self { logs: Some(Arc::new(logs)), ..self }
    }

    /// Serves one connection after the other, like a serial server. The rest of an answer goes to
    /// the next connection.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        let mut wire = self.wire();
        loop {
            let (stream, peer) = listener.accept().await?;
            debug!("{peer} is connected");
            stream.set_nodelay(true)?;
            // The reader can connect again.
            if let Err(error) = self.exchange(stream, &mut wire).await {
                debug!("{peer}: {error}");
            }
        }
    }

    /// Serves connections like [`serve_tcp`](Self::serve_tcp), until the sender is dropped.
    pub async fn serve_each<S>(&self, mut connections: mpsc::UnboundedReceiver<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut wire = self.wire();
        while let Some(stream) = connections.recv().await {
            if let Err(error) = self.exchange(stream, &mut wire).await {
                debug!("{error}");
            }
        }
    }

    /// Opens a pseudo-terminal, which looks like the serial port of an optical head.
    ///
    /// Returns its path, and the stream to serve. The port exists until the stream is dropped.
    pub fn open_pty() -> io::Result<(PathBuf, SerialStream)> {
        let (ours, mut theirs) = SerialStream::pair()?;
        let path = theirs.name().ok_or(io::ErrorKind::Unsupported)?;
        // Other processes must be able to open it.
        theirs.set_exclusive(false)?;
        Ok((path.into(), ours))
    }

    /// Serves a pseudo-terminal forever, however often it is opened and closed. Answers are lost
    /// while nobody has it open, as on a serial port.
    pub async fn serve_pty(&self, pty: SerialStream) {
        let mut pty = Pty::new(pty);
        let mut wire = self.wire();
        loop {
            // Reading fails at once while nobody has the other end open.
            if let Err(error) = self.exchange(&mut pty, &mut wire).await {
                debug!("pseudo-terminal: {error}");
                wire.drop_due();
            }
            sleep(CLOSED_PAUSE).await;
        }
    }

    /// Answers requests until the stream ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<()> {
        self.exchange(stream, &mut self.wire()).await
    }

    /// Answers requests until the stream ends or a fault closes it.
    async fn exchange<S>(&self, mut stream: S, wire: &mut Wire) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut decoder = Decoder::new();
        let mut buffer = [0; 256];
        loop {
            let due = wire.due();
            tokio::select! {
                // Reading has priority, so that nothing is sent to a reader that has disconnected.
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
                            self.schedule(&body, wire);
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

    pub(super) fn wire(&self) -> Wire {
        Wire::new(self.faults.clone())
    }

    /// Puts the answer to a request that begins now on the wire.
    fn schedule(&self, body: &[u8], wire: &mut Wire) {
        let request = kmp::frame::emit(Direction::ToMeter, body);
        let time_for = |bytes: &[u8]| {
            self.behaviour.line.map_or(Duration::ZERO, |line| line.time_for(bytes.len()))
        };
        let mut at = later(Instant::now(), time_for(&request));
        if self.behaviour.echo {
            // The head echoes each bit while the request is sent.
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
            // A byte arrives with its last bit.
            sleep_until(later(begun, line.time_for(index + 1))).await;
            stream.write_all(&[*byte]).await?;
        }
        Ok(())
    }

    /// The frame that answers the unstuffed body of a request; `None` if the meter stays silent.
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
            Request::Logger(request) => self.logs.as_ref()?.answer(&request)?,
        };
        Some(datalink::emit(Direction::FromMeter, Packet { data: &data, ..packet }))
    }
}

/// The instant after `by`; the same instant if `by` is too long for the clock.
fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or(at)
}
