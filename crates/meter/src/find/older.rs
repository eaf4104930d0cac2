//! Asks for an answer in the language of the meters before KMP, which this program cannot read.
//!
//! These meters send text. A MULTICAL 66C gets `/#1` at 300 baud with 7 data bits and even parity,
//! and answers at 1200 baud with numbers of several digits that are separated by spaces
//! (golles/Home-Assistant-Sensor-MC66C, `custom_components/mc66c/sensor.py`; jonkerj/pynuts,
//! `multical-66c-register.py`; MULTICAL 41 technical description 5512-313 p.33). A KMP meter ignores
//! the request, because it does not begin with 0x80.

use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_serial::SerialPort;
use tracing::debug;

use crate::transport::{DataBits, OpenError, Parity, SerialSettings, open_serial};

/// The request for the first data set.
const REQUEST: &[u8] = b"/#1";

/// How long the request takes on the line: 3 bytes of 11 bits at 300 baud.
const REQUEST_TIME: Duration = Duration::from_millis(110);

/// The answer takes 87 bytes at 1200 baud, 0.8 s, and begins after a second at most.
const ANSWER_TIME: Duration = Duration::from_millis(2500);

/// An answer has far more bytes. No longer text is kept.
const LONGEST: usize = 256;

/// So many numbers with at least [`DIGITS`] digits are an answer.
const NUMBERS: usize = 3;

const DIGITS: usize = 4;

/// What arrived after the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// Only the request.
    Echo,
    /// A text of numbers.
    Numbers,
    Other,
}

/// Why a port could not be asked.
#[derive(Debug)]
pub(super) enum Failure {
    CannotOpen(OpenError),
    /// The port failed while it was asked.
    Broken(io::Error),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::CannotOpen(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Sends the request, and listens for the answer.
pub(super) async fn ask(path: &Path) -> Result<Heard, Failure> {
    let settings = SerialSettings {
        baud: NonZeroU32::new(300).unwrap_or(NonZeroU32::MIN),
        data_bits: DataBits::Seven,
        parity: Parity::Even,
        ..SerialSettings::default()
    };
    let mut stream = open_serial(path, settings).await?;
    stream.write_all(REQUEST).await?;
    sleep(REQUEST_TIME).await;
    stream.source().set_baud_rate(1200).map_err(io::Error::from)?;
    let received = listen(&mut stream).await?;
    let heard = classify(&received);
    debug!("The request of the older meters: {} bytes, {heard:?}.", received.len());
    Ok(heard)
}

/// What arrives until the answer must be there. Fails if the port does.
async fn listen<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let begun = Instant::now();
    let until = begun.checked_add(ANSWER_TIME).unwrap_or(begun);
    let (mut received, mut buffer) = (Vec::new(), [0; 64]);
    while received.len() < LONGEST {
        let Ok(read) = timeout_at(until, stream.read(&mut buffer)).await else { break };
        match read? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(received)
}

fn classify(received: &[u8]) -> Heard {
    // An adapter may not remove the parity bit. At the change of speed a zero byte may arrive.
    let plain: Vec<u8> =
        received.iter().map(|byte| byte & 0x7F).filter(|byte| *byte != 0).collect();
    let answer = plain.strip_prefix(REQUEST).unwrap_or(&plain);
    if received.is_empty() {
        return Heard::Nothing;
    }
    if answer.is_empty() {
        return if plain.is_empty() { Heard::Other } else { Heard::Echo };
    }
    let is_text =
        answer.iter().all(|byte| (b' '..=b'~').contains(byte) || b"\r\n\x02\x03".contains(byte));
    let words = answer.split(|byte| !byte.is_ascii_digit());
    let numbers = words.filter(|word| word.len() >= DIGITS).count();
    if is_text && numbers >= NUMBERS { Heard::Numbers } else { Heard::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stick that is pulled out while the last request is made was reported as silent.
    #[tokio::test(start_paused = true)]
    async fn a_port_that_fails_is_not_silent() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(b"/#1").await.unwrap();
        drop(far);
        let error = listen(&mut near).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let (mut near, _far) = tokio::io::duplex(64);
        assert!(listen(&mut near).await.unwrap().is_empty());
    }
}
