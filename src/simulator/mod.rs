//! A meter that answers from data, for tests, for the demo and for trying things without a meter.
//!
//! It speaks KMP by the `kmp` crate's emit side, which the captured frames hold to what real
//! meters send, so that an error cannot hide by being made on both sides.

mod registers;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kmp::datalink::{self, Address, Packet};
use kmp::frame::{Decoder, Direction, Event};
use kmp::message::{GetRegister, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_serial::{SerialPort, SerialStream};
use tracing::debug;

pub use self::registers::{EnergyUnit, Registers, RegistersError};
use crate::meter::Line;

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
}

impl Simulator {
    /// A meter with these registers, which may change while it runs.
    #[must_use]
    pub fn new(registers: watch::Receiver<Registers>, behaviour: Behaviour) -> Self {
        Self {
            registers,
            behaviour,
        }
    }

    /// Serves one connection after the other, as a network serial server does.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, peer) = listener.accept().await?;
            debug!("{peer} is connected");
            stream.set_nodelay(true)?;
            // A broken connection is the reader's affair.
            if let Err(error) = self.serve(stream).await {
                debug!("{peer}: {error}");
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

    /// Serves a pseudo-terminal for ever, whoever opens and closes it.
    pub async fn serve_pty(&self, mut pty: SerialStream) {
        loop {
            // While nobody has the other end open, reading fails at once.
            if let Err(error) = self.serve(&mut pty).await {
                debug!("the pseudo-terminal: {error}");
            }
            sleep(NOBODY_THERE).await;
        }
    }

    /// Answers requests until the stream ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        let mut decoder = Decoder::new();
        let mut buffer = [0; 256];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            for &byte in buffer.get(..count).unwrap_or_default() {
                let Some(Event::Frame {
                    direction: Direction::ToMeter,
                    body,
                }) = decoder.push(byte)
                else {
                    continue;
                };
                let request = kmp::frame::emit(Direction::ToMeter, &body);
                if let Some(line) = self.behaviour.line {
                    sleep(line.time_for(request.len())).await;
                }
                if self.behaviour.echo {
                    stream.write_all(&request).await?;
                }
                let Some(answer) = self.answer(&body) else {
                    continue;
                };
                sleep(self.behaviour.turnaround).await;
                self.send(&mut stream, &answer).await?;
            }
        }
    }

    async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S, bytes: &[u8]) -> io::Result<()> {
        let Some(line) = self.behaviour.line else {
            return stream.write_all(bytes).await;
        };
        let begun = Instant::now();
        for (index, byte) in bytes.iter().enumerate() {
            // A byte is there when its last bit is.
            if let Some(at) = begun.checked_add(line.time_for(index.saturating_add(1))) {
                sleep_until(at).await;
            }
            stream.write_all(&[*byte]).await?;
        }
        Ok(())
    }

    /// The frame that a meter with these registers sends; `None` where it stays silent.
    fn answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let packet = datalink::parse(body).ok()?;
        if packet.address != Address::HEAT_METER {
            return None;
        }
        let registers = self.registers.borrow();
        let data = match Request::parse(packet).ok()? {
            Request::GetType => registers.meter_type.emit().to_vec(),
            Request::GetSerialNo => registers.serial.emit().to_vec(),
            Request::GetRegister(command) => {
                let ids = command.registers().iter();
                let values: Vec<_> = ids
                    .filter_map(|id| registers.values.get(id).cloned())
                    .collect();
                GetRegister::emit_answer(&values)
            }
        };
        Some(datalink::emit(
            Direction::FromMeter,
            Packet {
                data: &data,
                ..packet
            },
        ))
    }
}
