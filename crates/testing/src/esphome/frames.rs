//! Frames as a node reads and writes them.

use std::io;

use snow::TransportState;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::messages::Api;

/// A connection to a client.
pub(super) struct Frames<S> {
    stream: S,
    received: Vec<u8>,
    cipher: Option<TransportState>,
}

fn broken(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, received: Vec::new(), cipher: None }
    }

    /// Receives some more bytes.
    ///
    /// Cancel safety: dropping the future loses nothing.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Does what ESPHome does before the first message.
    pub(super) async fn handshake(&mut self, key: Option<&[u8; 32]>) -> io::Result<()> {
        while self.received.is_empty() {
            self.fill().await?;
        }
        let is_encrypted = self.received.first() == Some(&1);
        let Some(key) = key else {
            if self.received.first() == Some(&0) {
                return Ok(());
            }
            self.stream.write_all(b"\x00Bad indicator byte").await?;
            return Err(broken("not a plain frame"));
        };
        if !is_encrypted {
            self.write(b"\x01Bad indicator byte").await?;
            return Err(broken("not an encrypted frame"));
        }
        self.next_frame().await?;
        self.write(b"\x01head\x00063569abf679\x00").await?;
        let first = self.next_frame().await?;
        let mut buffer = [0; 128];
        let pattern = "Noise_NNpsk0_25519_ChaChaPoly_SHA256".parse().map_err(io::Error::other)?;
        let builder = snow::Builder::new(pattern).prologue(b"NoiseAPIInit\0\0");
        let builder = builder.and_then(|builder| builder.psk(0, key));
        let mut state =
            builder.and_then(snow::Builder::build_responder).map_err(io::Error::other)?;
        let message = first.get(1..).unwrap_or_default();
        if state.read_message(message, &mut buffer).is_err() {
            self.write(b"\x01Handshake MAC failure").await?;
            return Err(broken("another key"));
        }
        let length = state.write_message(&[], &mut buffer).map_err(io::Error::other)?;
        self.write(&[&[0], buffer.get(..length).unwrap_or_default()].concat()).await?;
        self.cipher = Some(state.into_transport_mode().map_err(io::Error::other)?);
        Ok(())
    }

    async fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.frame()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The content of a frame of an encrypted connection, if it is complete.
    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (length, rest) = match &self.received[..] {
            [1, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            [] | [1] | [1, _] => return Ok(None),
            _ => return Err(broken("not an encrypted frame")),
        };
        let Some(content) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.received.drain(..length + 3);
        Ok(Some(content))
    }

    /// The next message that is complete: its number and its body.
    pub(super) fn take(&mut self) -> io::Result<Option<(u32, Vec<u8>)>> {
        if self.cipher.is_none() {
            return self.take_plain();
        }
        let Some(sealed) = self.frame()? else { return Ok(None) };
        let Some(cipher) = &mut self.cipher else { return Ok(None) };
        let mut clear = vec![0; sealed.len()];
        cipher.read_message(&sealed, &mut clear).map_err(io::Error::other)?;
        match clear[..] {
            [high, low, long, short, ref body @ ..] => {
                let length = usize::from(u16::from_be_bytes([long, short]));
                let body = body.get(..length).ok_or_else(|| broken("a short message"))?.to_vec();
                Ok(Some((u16::from_be_bytes([high, low]).into(), body)))
            }
            _ => Err(broken("a short message")),
        }
    }

    fn take_plain(&mut self) -> io::Result<Option<(u32, Vec<u8>)>> {
        match self.received.first() {
            None => return Ok(None),
            Some(0) => {}
            Some(_) => return Err(broken("not a plain frame")),
        }
        let mut rest = self.received.get(1..).unwrap_or_default();
        let header = (varint(&mut rest), varint(&mut rest));
        let (Some(length), Some(number)) = header else { return Ok(None) };
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let Some(body) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        let left = rest.len() - length;
        let end = self.received.len() - left;
        self.received.drain(..end);
        Ok(Some((number, body)))
    }

    pub(super) async fn send<M: Api>(&mut self, message: &M) -> io::Result<()> {
        let body = message.encode_to_vec();
        let length = u16::try_from(body.len()).map_err(io::Error::other)?;
        let number = u16::try_from(M::NUMBER).map_err(io::Error::other)?;
        let Some(cipher) = &mut self.cipher else {
            let mut frame = vec![0];
            put_varint(&mut frame, length.into());
            put_varint(&mut frame, number.into());
            frame.extend(body);
            return self.stream.write_all(&frame).await;
        };
        let clear = [&number.to_be_bytes()[..], &length.to_be_bytes(), &body].concat();
        let mut sealed = vec![0; clear.len() + 16];
        cipher.write_message(&clear, &mut sealed).map_err(io::Error::other)?;
        self.write(&sealed).await
    }

    async fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let length = u16::try_from(content.len()).map_err(io::Error::other)?;
        let frame = [&[1], &length.to_be_bytes()[..], content].concat();
        self.stream.write_all(&frame).await
    }
}

fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for place in 0..4 {
        let (byte, others) = rest.split_first()?;
        *rest = others;
        value |= u32::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    Some(value)
}

fn put_varint(frame: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            frame.push(low & 0x7F);
            return;
        }
        frame.push(low | 0x80);
    }
}
