//! Frames of ESPHome's API over a stream, plain or encrypted.
//!
//! A plain frame is `00`, the length of the body and the number of the message (both as varints),
//! and the body. An encrypted one is `01`, the length in two bytes, and the encrypted number,
//! length and body. The handshake is in frames of the second kind.
//!
//! All state is in [`Wire`], so a future that waits for a message can be dropped at any time. A
//! node cannot make it hold more than [`LONGEST_FRAME`] and one piece in each direction.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use snow::{HandshakeState, TransportState};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::address::ApiKey;
use super::messages::Api;

/// The longest frame that is accepted. The longest one that a node has to send describes the node,
/// and has about 1 KiB; nodes accept 8 KiB (`MAX_MESSAGE_SIZE`).
const LONGEST_FRAME: usize = 16 * 1024;

/// The longest frame of the handshake (`MAX_HANDSHAKE_SIZE` in ESPHome).
const LONGEST_HANDSHAKE: usize = 128;

/// Frames that wait to be sent have at most this many bytes. More are only possible if a node sends
/// requests and does not read the answers.
const MOST_UNSENT: usize = 4 * 1024;

/// The bytes that are read at once.
const PIECE: usize = 1024;

const PLAIN: u8 = 0x00;
const ENCRYPTED: u8 = 0x01;

/// What both sides hash before the handshake: the client's first frame is part of it.
const PROLOGUE: &[u8] = b"NoiseAPIInit\0\0";

/// Why no message can be sent or received.
#[derive(Debug, Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the node closed the connection")]
    Ended,
    /// A frame of the other kind.
    #[error("a frame that is {}", if *is_encrypted { "encrypted" } else { "not encrypted" })]
    OtherKind { is_encrypted: bool },
    #[error("a message that is not valid")]
    Malformed,
    /// The node ended the handshake.
    #[error("the handshake was rejected: {0}")]
    Rejected(String),
    /// A message cannot be decrypted or encrypted.
    #[error("a message cannot be decrypted")]
    Undecipherable,
}

impl From<snow::Error> for WireError {
    fn from(_: snow::Error) -> Self {
        Self::Undecipherable
    }
}

/// A message as it was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    number: u32,
    body: BytesMut,
}

impl Received {
    /// Whether it is a message of this kind.
    pub(super) fn is<M: Api>(&self) -> bool {
        self.number == M::NUMBER
    }

    /// The content, if it is a message of this kind.
    pub(super) fn decode<M: Api>(&self) -> Option<Result<M, WireError>> {
        self.is::<M>().then(|| M::decode(&self.body[..]).map_err(|_| WireError::Malformed))
    }
}

/// A stream to a node.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// `None` if the API is not encrypted.
    cipher: Option<Box<TransportState>>,
    /// Bytes that are not yet a frame.
    received: BytesMut,
    unsent: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A stream on which frames are not encrypted.
    pub(super) fn plain(stream: S) -> Self {
        Self { stream, cipher: None, received: BytesMut::new(), unsent: BytesMut::new() }
    }

    /// Makes the handshake with this key.
    pub(super) async fn encrypted(stream: S, key: &ApiKey) -> Result<Self, WireError> {
        let mut wire = Self::plain(stream);
        let mut handshake = initiator(key)?;
        let mut buffer = [0; LONGEST_HANDSHAKE];
        wire.queue_frame(&[]);
        let length = handshake.write_message(&[], &mut buffer)?;
        let mut first = vec![0];
        first.extend_from_slice(buffer.get(..length).unwrap_or_default());
        wire.queue_frame(&first);
        poll_fn(|context| wire.poll_send(context)).await?;
        // The chosen protocol, of which there is one, and the name of the node. A node that does not
        // get that far says why not in the same way as below.
        let hello = poll_fn(|context| wire.poll_frame(context, LONGEST_HANDSHAKE)).await?;
        if hello.first() != Some(&ENCRYPTED) {
            return Err(WireError::Malformed);
        }
        if let Some(reason) = rejection_of_first(&hello) {
            return Err(WireError::Rejected(reason));
        }
        let answer = poll_fn(|context| wire.poll_frame(context, LONGEST_HANDSHAKE)).await?;
        match answer.split_first() {
            Some((0, message)) => {
                handshake.read_message(message, &mut buffer)?;
            }
            Some((_, reason)) => return Err(WireError::Rejected(text(reason))),
            None => return Err(WireError::Malformed),
        }
        wire.cipher = Some(Box::new(handshake.into_transport_mode()?));
        Ok(wire)
    }

    /// Puts a message behind those that wait to be sent.
    pub(super) fn queue<M: Api>(&mut self, message: &M) -> Result<(), WireError> {
        if self.unsent.len() > MOST_UNSENT {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the node does not read");
            return Err(error.into());
        }
        let body = message.encode_to_vec();
        let Some(cipher) = &mut self.cipher else {
            self.unsent.extend_from_slice(&[PLAIN]);
            let length = u32::try_from(body.len()).map_err(|_| WireError::Malformed)?;
            prost::encoding::encode_varint(length.into(), &mut self.unsent);
            prost::encoding::encode_varint(M::NUMBER.into(), &mut self.unsent);
            self.unsent.extend_from_slice(&body);
            return Ok(());
        };
        let number = u16::try_from(M::NUMBER).map_err(|_| WireError::Malformed)?;
        let length = u16::try_from(body.len()).map_err(|_| WireError::Malformed)?;
        let mut clear = [number.to_be_bytes(), length.to_be_bytes()].concat();
        clear.extend_from_slice(&body);
        let mut sealed = vec![0; clear.len().saturating_add(TAG)];
        let written = cipher.write_message(&clear, &mut sealed)?;
        sealed.truncate(written);
        self.queue_frame(&sealed);
        Ok(())
    }

    fn queue_frame(&mut self, content: &[u8]) {
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
        self.unsent.extend_from_slice(&[ENCRYPTED]);
        self.unsent.extend_from_slice(&length.to_be_bytes());
        self.unsent.extend_from_slice(content);
    }

    /// Sends what waits to be sent.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        while !self.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(WireError::Ended));
            }
            self.unsent.advance(written.min(self.unsent.len()));
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the stream.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// The next message. Meanwhile it sends what waits to be sent.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Received, WireError>> {
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        loop {
            if self.cipher.is_some() {
                let sealed = ready!(self.poll_frame(context, LONGEST_FRAME))?;
                return Poll::Ready(self.unseal(&sealed));
            }
            if let Some(message) = plain_message(&mut self.received)? {
                return Poll::Ready(Ok(message));
            }
            ready!(self.poll_fill(context))?;
        }
    }

    /// The next message.
    ///
    /// Cancel safety: dropping the future loses nothing.
    pub(super) async fn receive(&mut self) -> Result<Received, WireError> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    fn unseal(&mut self, sealed: &[u8]) -> Result<Received, WireError> {
        let cipher = self.cipher.as_mut().ok_or(WireError::Malformed)?;
        let mut clear = BytesMut::zeroed(sealed.len());
        let length = cipher.read_message(sealed, &mut clear)?;
        clear.truncate(length);
        if clear.len() < 4 {
            return Err(WireError::Malformed);
        }
        let (number, length) = (clear.get_u16(), clear.get_u16());
        // A node may fill up the rest.
        if clear.len() < usize::from(length) {
            return Err(WireError::Malformed);
        }
        clear.truncate(length.into());
        Ok(Received { number: number.into(), body: clear })
    }

    /// The content of the next frame of an encrypted connection.
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
        longest: usize,
    ) -> Poll<Result<BytesMut, WireError>> {
        loop {
            check_kind(&self.received, ENCRYPTED)?;
            if let &[_, high, low, ..] = &self.received[..] {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length > longest {
                    return Poll::Ready(Err(WireError::Malformed));
                }
                let end = length.saturating_add(3);
                if self.received.len() >= end {
                    let mut frame = self.received.split_to(end);
                    frame.advance(3);
                    return Poll::Ready(Ok(frame));
                }
            }
            ready!(self.poll_fill(context))?;
        }
    }

    /// Receives some more bytes.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut piece = [0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(WireError::Ended));
        }
        self.received.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

/// Bytes that authenticate an encrypted message.
const TAG: usize = 16;

fn initiator(key: &ApiKey) -> Result<HandshakeState, WireError> {
    let pattern = "Noise_NNpsk0_25519_ChaChaPoly_SHA256".parse()?;
    let builder = snow::Builder::new(pattern).prologue(PROLOGUE)?.psk(0, key.reveal())?;
    Ok(builder.build_initiator()?)
}

/// The reason in a node's first frame if it is not a greeting. Both begin with `01`, but a greeting
/// ends with a zero byte, after the name and the address of the node.
fn rejection_of_first(hello: &[u8]) -> Option<String> {
    let (_, rest) = hello.split_first()?;
    let is_text =
        !rest.is_empty() && rest.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic());
    is_text.then(|| text(rest))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails if the next frame is of another kind, or if it is no frame.
fn check_kind(received: &[u8], kind: u8) -> Result<(), WireError> {
    match received.first() {
        Some(&PLAIN) if kind == ENCRYPTED => Err(WireError::OtherKind { is_encrypted: false }),
        Some(&ENCRYPTED) if kind == PLAIN => Err(WireError::OtherKind { is_encrypted: true }),
        Some(first) if *first != kind => Err(WireError::Malformed),
        _ => Ok(()),
    }
}

/// Takes the next message of a connection that is not encrypted.
fn plain_message(received: &mut BytesMut) -> Result<Option<Received>, WireError> {
    check_kind(received, PLAIN)?;
    let Some((length, number, start)) = plain_header(received)? else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| WireError::Malformed)?;
    if length > LONGEST_FRAME {
        return Err(WireError::Malformed);
    }
    let end = start.saturating_add(length);
    if received.len() < end {
        return Ok(None);
    }
    let mut body = received.split_to(end);
    body.advance(start);
    Ok(Some(Received { number, body }))
}

/// The length and the number of a message, and where its body begins.
fn plain_header(received: &[u8]) -> Result<Option<(u32, u32, usize)>, WireError> {
    let Some((length, first)) = varint(received.get(1..).unwrap_or_default())? else {
        return Ok(None);
    };
    let start = first.saturating_add(1);
    let Some((number, second)) = varint(received.get(start..).unwrap_or_default())? else {
        return Ok(None);
    };
    Ok(Some((length, number, start.saturating_add(second))))
}

/// A number in groups of seven bits, the lowest first, and its length; `None` if it is incomplete.
/// No number of a header needs more than four bytes.
fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, WireError> {
    let mut value = 0_u32;
    for ((length, shift), byte) in (1..).zip([0_u32, 7, 14, 21]).zip(bytes) {
        value |= u32::from(byte & 0x7F).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok(Some((value, length)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(WireError::Malformed) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::messages::{PingRequest, SerialProxyDataReceived};
    use super::*;

    fn data(length: usize) -> SerialProxyDataReceived {
        SerialProxyDataReceived { instance: 300, data: vec![0xAA; length] }
    }

    /// What a plain wire sends.
    async fn sent(message: &impl Api) -> Vec<u8> {
        let (near, mut far) = duplex(64 * 1024);
        let mut wire = Wire::plain(near);
        wire.queue(message).unwrap();
        poll_fn(|context| wire.poll_send(context)).await.unwrap();
        drop(wire);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    /// Receives these bytes, in pieces, and then the end of the stream.
    async fn received(bytes: Vec<u8>, piece: usize) -> Result<Received, WireError> {
        let (near, mut far) = duplex(64 * 1024);
        let sending = async {
            for piece in bytes.chunks(piece.max(1)) {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(far);
        };
        let mut wire = Wire::plain(near);
        tokio::join!(wire.receive(), sending).0
    }

    /// The bytes are those of `aioesphomeapi`'s own test (`test_plaintext_frame_helper`) and of the
    /// definition.
    #[tokio::test]
    async fn a_plain_frame_has_the_bytes_of_the_definition() {
        assert_eq!(sent(&PingRequest {}).await, [0, 0, 7]);
        let bytes = sent(&SerialProxyDataReceived { instance: 1, data: vec![0x80, 0x3F] }).await;
        assert_eq!(bytes, [0, 6, 0x8B, 1, 8, 1, 0x12, 2, 0x80, 0x3F]);
        let long = sent(&data(300)).await;
        assert_eq!(long[..3], [0, 0xB2, 2]);
        for piece in [1, 2, 3, 7, 1000] {
            let message = received(long.clone(), piece).await.unwrap();
            assert_eq!(message.decode::<SerialProxyDataReceived>().unwrap().unwrap(), data(300));
            assert!(message.decode::<PingRequest>().is_none());
        }
    }

    /// A node that announces a long frame makes the client hold nothing.
    #[tokio::test]
    async fn a_frame_that_is_too_long_or_no_frame_is_rejected() {
        for bytes in [
            vec![0, 0xFF, 0xFF, 0xFF, 0x7F, 7],
            vec![0, 0x81, 0x80, 1, 7],
            vec![0, 0x80, 0x80, 0x80, 0x80, 1],
            b"HTTP/1.1 400 Bad Request".to_vec(),
            vec![2, 0, 0],
        ] {
            let error = received(bytes.clone(), 100).await.unwrap_err();
            assert!(matches!(error, WireError::Malformed), "{bytes:?}: {error}");
        }
        let error = received(vec![1, 0, 3], 100).await.unwrap_err();
        assert!(matches!(error, WireError::OtherKind { is_encrypted: true }), "{error}");
        let error = received(vec![0, 3, 7, 1], 100).await.unwrap_err();
        assert!(matches!(error, WireError::Ended), "{error}");
    }

    proptest! {
        /// Whatever arrives is a message, an error, or waits for more, and holds a bounded amount.
        #[test]
        fn any_bytes_are_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let message = plain_message(&mut buffer);
            prop_assert!(buffer.len() <= bytes.len() && buffer.capacity() <= bytes.len());
            if let Ok(Some(message)) = message {
                prop_assert!(message.body.len() < bytes.len());
            }
        }

        /// The library's own encoder agrees with the decoder.
        #[test]
        fn a_number_is_decoded_as_it_was_encoded(value in 0_u32..1 << 28, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value.into(), &mut bytes);
            let length = bytes.len();
            prop_assert!(length == 0 || matches!(varint(&bytes[..length - 1]), Ok(None)));
            bytes.extend(rest);
            prop_assert_eq!(varint(&bytes).unwrap(), Some((value, length)));
        }
    }
}
