//! Asks ports for the serial number of a meter, one after another.

use std::num::NonZeroU32;
use std::time::Duration;

use kmp::frame::START_FROM_METER;
use kmp::line::Line;
use kmp::message::{GetSerialNo, SerialNumber};
use kmp::register::RegisterId;
use tokio_util::sync::CancellationToken;

use super::candidate::Askable;
use super::older;
use crate::RunsAs;
use crate::cause;
use crate::client::{LineState, Meter, NoAnswer, RequestError, Tries};
use crate::identity::Version;
use crate::poll::{self, Reader};
use crate::transport::{
    Endpoint, LocalPort, Open, OpenError, Port, PortQueues, SerialSettings, SharedPort,
};

/// The speeds at which a meter may also answer: a 602 at 2400 baud (nabovarme/MeterLoggerTesto,
/// quoting a technical description p.103), the connector inside a 402 at 4800 (TD 402 p.85).
const OTHER_SPEEDS: [u32; 2] = [2400, 4800];

/// How often the serial number is requested at 1200 baud. The first request may only wake the
/// meter.
const TRIES: u32 = 2;

/// Registers that help to identify the model only in combination with other registers: energy,
/// volume, flow.
const USUAL: [u16; 3] = [60, 68, 74];

/// What was found at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A meter answered at 1200 baud.
    Meter {
        /// Its model, or the models that it may be.
        model: String,
        /// Its serial number.
        serial_number: SerialNumber,
    },
    /// A meter answered at another speed.
    OtherBaudRate {
        /// The speed, in baud.
        baud: u32,
        /// Its serial number.
        serial_number: SerialNumber,
    },
    /// The request of the older meters was answered with a text of numbers. MULTICAL 66C and 401
    /// are such meters.
    OlderLanguage,
    /// Bytes arrived, but no valid answer.
    Noise,
    /// Only the requests themselves came back.
    EchoOnly,
    /// Not one byte arrived.
    Silence,
    /// The port cannot be opened.
    CannotOpen(OpenError),
    /// The port failed while it was asked, for this reason.
    Broken(String),
}

/// A port, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// The port.
    pub port: LocalPort,
    /// What was found there.
    pub found: Found,
}

/// Whether ports were asked and no meter answered at any port, so that the head may be out of
/// place. A port that could not be used was not asked.
#[must_use]
pub fn is_silent(results: &[Searched]) -> bool {
    let was_asked = |it: &Searched| !matches!(it.found, Found::CannotOpen(_) | Found::Broken(_));
    results.iter().any(was_asked) && !results.iter().any(|searched| searched.found.is_answer())
}

/// A step of a search.
#[derive(Debug)]
pub enum Step<'a> {
    /// This port is asked now.
    Asking(&'a LocalPort),
    /// This port was asked.
    Asked(&'a Searched),
}

/// Asks each port, one after another. It waits for polls that use the same port, and they wait for
/// it. Once `stop` is cancelled, it asks nothing more, and returns what it has found so far.
///
/// Cancel safety: dropping the future closes the port.
pub async fn search(
    ports: &[Askable],
    queues: &PortQueues,
    stop: &CancellationToken,
    mut tell: impl FnMut(Step<'_>),
) -> Vec<Searched> {
    let mut all = Vec::new();
    for port in ports.iter().map(Askable::port) {
        let shared = queues.share(at(port, SerialSettings::default()));
        let Some(_turn) = stop.run_until_cancelled(shared.acquire()).await else { break };
        tell(Step::Asking(port));
        let Some(found) = (Search { port, shared: &shared, stop }).ask().await else { break };
        let searched = Searched { port: port.clone(), found };
        tell(Step::Asked(&searched));
        all.push(searched);
    }
    all
}

/// The port with these settings.
pub(super) fn at(port: &LocalPort, settings: SerialSettings) -> Port {
    let endpoint = Endpoint::Serial { path: port.path.clone() };
    Port { endpoint, settings, answer_start: START_FROM_METER }
}

fn line(settings: SerialSettings) -> Line {
    Line::with_bits(settings.baud.get(), settings.bits_per_byte())
}

/// The search at one port, in its turn.
struct Search<'a> {
    port: &'a LocalPort,
    shared: &'a SharedPort,
    stop: &'a CancellationToken,
}

/// Why a port has no serial number.
enum NoSerial {
    Heard(NoAnswer),
    Failed(Found),
    Stopping,
}

impl From<OpenError> for NoSerial {
    fn from(error: OpenError) -> Self {
        Self::Failed(Found::CannotOpen(error))
    }
}

impl Search<'_> {
    /// `None` if the search was stopped.
    async fn ask(&self) -> Option<Found> {
        let mut heard = match self.serial(self.shared, SerialSettings::default(), TRIES).await {
            Ok(serial_number) => {
                return Some(Found::Meter { model: self.model().await, serial_number });
            }
            Err(NoSerial::Heard(heard)) => heard,
            Err(NoSerial::Failed(found)) => return Some(found),
            Err(NoSerial::Stopping) => return None,
        };
        for baud in OTHER_SPEEDS.into_iter().filter_map(NonZeroU32::new) {
            let settings = SerialSettings { baud, ..SerialSettings::default() };
            match self.serial(&at(self.port, settings), settings, 1).await {
                Ok(serial_number) => {
                    return Some(Found::OtherBaudRate { baud: baud.get(), serial_number });
                }
                Err(NoSerial::Heard(other)) => heard = heard.max(other),
                Err(NoSerial::Failed(found)) => return Some(found),
                Err(NoSerial::Stopping) => return None,
            }
        }
        let older = self.stop.run_until_cancelled(older::ask(&self.port.path)).await?;
        Some(match older {
            Ok(older::Heard::Numbers) => Found::OlderLanguage,
            Err(older::Failure::CannotOpen(error)) => Found::CannotOpen(error),
            Err(older::Failure::Broken(error)) => Found::Broken(cause::of_connection(&error)),
            Ok(older::Heard::Other) => Found::Noise,
            Ok(older::Heard::Echo | older::Heard::Nothing) => match heard {
                NoAnswer::Nothing if matches!(older, Ok(older::Heard::Echo)) => Found::EchoOnly,
                NoAnswer::Nothing => Found::Silence,
                NoAnswer::OwnEcho => Found::EchoOnly,
                NoAnswer::Noise
                | NoAnswer::Damaged
                | NoAnswer::OtherRequest
                | NoAnswer::Late(_)
                | NoAnswer::Foreign
                | NoAnswer::OtherOrder => Found::Noise,
            },
        })
    }

    /// Requests the serial number at a speed.
    async fn serial(
        &self,
        port: &impl Open,
        settings: SerialSettings,
        tries: u32,
    ) -> Result<SerialNumber, NoSerial> {
        let opened = self.stop.run_until_cancelled(port.open()).await;
        let stream = opened.ok_or(NoSerial::Stopping)??;
        let mut meter = Meter::new(stream, line(settings), LineState::default());
        let mut heard = NoAnswer::Nothing;
        for _ in 0..tries {
            match meter.request(&GetSerialNo, Tries::One, self.stop).await {
                Ok(serial) => return Ok(serial),
                Err(RequestError::NoAnswer(other)) => heard = heard.max(other),
                Err(RequestError::Stopping) => return Err(NoSerial::Stopping),
                Err(RequestError::Broken(error)) => {
                    return Err(NoSerial::Failed(Found::Broken(cause::of_connection(&error))));
                }
            }
        }
        Err(NoSerial::Heard(heard))
    }

    /// The model of the meter that has answered, in words.
    async fn model(&self) -> String {
        let settings = SerialSettings::default();
        let plan = poll::Plan {
            port: at(self.port, settings),
            port_name: self.port.path.display().to_string(),
            line: line(settings),
            registers: USUAL.map(RegisterId::new).to_vec(),
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Auto,
            interval: Duration::from_secs(60 * 60),
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        Reader::new(plan).read(self.stop).await.identity.model_words()
    }
}
