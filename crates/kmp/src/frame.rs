//! The physical layer: start bytes, stop bytes and byte stuffing.
//!
//! A frame is `start | body | stop`. Between start and stop, each of the five reserved bytes is
//! sent as [`ESCAPE`] followed by its complement, so that a raw start or stop byte on the line can
//! only be a delimiter (5512-447 M1 p.5-6). So a decoder can restart at any raw start byte, and
//! noise before a frame does not damage the frame.

use alloc::vec::Vec;
use core::mem;

use thiserror::Error;

/// Starts a frame to the meter (5512-447 M1 p.5).
pub const START_TO_METER: u8 = 0x80;
/// Starts a frame from the meter (5512-447 M1 p.5).
pub const START_FROM_METER: u8 = 0x40;
/// Ends a frame (5512-447 M1 p.5).
pub const STOP: u8 = 0x0D;
/// Acknowledges `SetClock` and `PutRegister`: one byte without a frame (5512-447 M1 p.5, p.18).
pub const ACK: u8 = 0x06;
/// Escapes a reserved byte: the complement of that byte follows (5512-447 M1 p.5).
pub const ESCAPE: u8 = 0x1B;

/// The longest body, in bytes before stuffing, that a [`Decoder`] collects.
///
/// The longest answer with 8 registers of 4 bytes has 78 bytes. The log answers of newer meters are
/// longer. Anything longer than this limit is treated as noise.
pub const MAX_BODY: usize = 1024;

/// The direction of a frame.
///
/// Both directions share one line, and many optical heads echo the requests. The start bytes
/// differ, so an echo is not mistaken for an answer (5512-447 M1 p.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A request.
    ToMeter,
    /// An answer.
    FromMeter,
}

impl Direction {
    /// The byte that starts a frame in this direction.
    #[must_use]
    pub const fn start_byte(self) -> u8 {
        match self {
            Self::ToMeter => START_TO_METER,
            Self::FromMeter => START_FROM_METER,
        }
    }

    const fn from_start_byte(byte: u8) -> Option<Self> {
        match byte {
            START_TO_METER => Some(Self::ToMeter),
            START_FROM_METER => Some(Self::FromMeter),
            _ => None,
        }
    }
}

/// Whether a byte must be escaped between start and stop (5512-447 M1 p.5).
#[must_use]
pub const fn is_reserved(byte: u8) -> bool {
    matches!(byte, START_TO_METER | START_FROM_METER | STOP | ACK | ESCAPE)
}

/// Wraps `body` in a frame: start byte, stuffed body, stop byte.
#[must_use]
pub fn emit(direction: Direction, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(2).saturating_add(2));
    out.push(direction.start_byte());
    for &byte in body {
        if is_reserved(byte) {
            out.extend([ESCAPE, !byte]);
        } else {
            out.push(byte);
        }
    }
    out.push(STOP);
    out
}

/// An event that a [`Decoder`] finds in the stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A complete frame.
    Frame {
        /// The direction of its start byte.
        direction: Direction,
        /// The bytes between start and stop, unstuffed; at most [`MAX_BODY`].
        body: Vec<u8>,
    },
    /// A bare [`ACK`] outside a frame. Noise can look like one.
    Ack,
    /// A frame that began but cannot be completed.
    Damaged {
        /// The direction of its start byte.
        direction: Direction,
        /// Why it cannot be completed.
        damage: Damage,
    },
}

/// Why a frame cannot be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// Another frame began before the stop byte.
    #[error("a new frame began before this one ended")]
    Interrupted,
    /// A reserved byte was not escaped.
    #[error("byte 0x{byte:02X} must be escaped inside a frame")]
    Unstuffed {
        /// The byte.
        byte: u8,
    },
    /// The byte after [`ESCAPE`] is not the complement of a reserved byte.
    #[error("byte 0x{byte:02X} after the escape byte 0x1B is not 0x7F, 0xBF, 0xF2, 0xF9 or 0xE4")]
    BadEscape {
        /// The byte.
        byte: u8,
    },
    /// More than [`MAX_BODY`] bytes without a stop byte.
    #[error("longer than {MAX_BODY} bytes")]
    TooLong,
}

/// Finds frames in a stream of bytes. Push the bytes one by one, however they arrive.
///
/// Unescaping is one pass from left to right: `1B E4 7F` becomes `1B 7F`. (Replacing one kind of
/// pair after the other would give `80`.) Bytes outside a frame are skipped: noise, and the 0x00
/// bytes that an idle meter may send (5512-447 M1 p.3).
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    body: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Outside,
    Inside(Direction),
    Escaped(Direction),
}

impl Decoder {
    /// Creates a decoder that waits for a start byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The direction of the frame that has begun and not yet ended, if any.
    #[must_use]
    pub fn inside(&self) -> Option<Direction> {
        match self.state {
            State::Outside => None,
            State::Inside(direction) | State::Escaped(direction) => Some(direction),
        }
    }

    /// The bytes so far of the frame that has begun, after its start byte and unstuffed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Discards the frame that has begun, if any.
    pub fn reset(&mut self) {
        self.state = State::Outside;
        self.body.clear();
    }

    /// Processes the next byte and returns the event that it completes, if any.
    pub fn push(&mut self, byte: u8) -> Option<Event> {
        if let Some(started) = Direction::from_start_byte(byte) {
            let before = self.inside();
            let damage = match self.state {
                State::Escaped(_) => Damage::BadEscape { byte },
                State::Inside(_) | State::Outside => Damage::Interrupted,
            };
            self.body.clear();
            self.state = State::Inside(started);
            return before.map(|direction| Event::Damaged { direction, damage });
        }
        match self.state {
            State::Outside => (byte == ACK).then_some(Event::Ack),
            State::Inside(direction) => match byte {
                STOP => {
                    self.state = State::Outside;
                    Some(Event::Frame { direction, body: mem::take(&mut self.body) })
                }
                ESCAPE => {
                    self.state = State::Escaped(direction);
                    None
                }
                ACK => Some(self.abandon(direction, Damage::Unstuffed { byte })),
                _ => self.collect(direction, byte),
            },
            State::Escaped(direction) if is_reserved(!byte) => self.collect(direction, !byte),
            State::Escaped(direction) => Some(self.abandon(direction, Damage::BadEscape { byte })),
        }
    }

    fn collect(&mut self, direction: Direction, byte: u8) -> Option<Event> {
        if self.body.len() >= MAX_BODY {
            return Some(self.abandon(direction, Damage::TooLong));
        }
        self.body.push(byte);
        self.state = State::Inside(direction);
        None
    }

    fn abandon(&mut self, direction: Direction, damage: Damage) -> Event {
        self.reset();
        Event::Damaged { direction, damage }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Event> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|&byte| decoder.push(byte)).collect()
    }

    fn frame(direction: Direction, body: &[u8]) -> Event {
        Event::Frame { direction, body: body.to_vec() }
    }

    fn direction() -> impl Strategy<Value = Direction> {
        prop_oneof![Just(Direction::ToMeter), Just(Direction::FromMeter)]
    }

    /// Bytes, about half of them reserved or the complement of a reserved byte.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            any::<u8>(),
            prop::sample::select(vec![0x80, 0x40, 0x0D, 0x06, 0x1B, 0x7F, 0xBF, 0xF2, 0xF9, 0xE4]),
        ];
        prop::collection::vec(byte, 0..200)
    }

    #[test]
    fn bytes_are_unescaped_in_one_pass() {
        // Replacing one kind of pair after the other would give 0x80.
        assert_eq!(
            decode(&[0x40, 0x1B, 0xE4, 0x7F, 0x0D]),
            [frame(Direction::FromMeter, &[0x1B, 0x7F])]
        );
        // 71.61 °C is mantissa 0x1BF9, which other programs read as 0x06.
        assert_eq!(
            decode(&[0x40, 0x1B, 0xE4, 0xF9, 0x0D]),
            [frame(Direction::FromMeter, &[0x1B, 0xF9])]
        );
    }

    #[test]
    fn idle_bytes_and_noise_are_skipped() {
        assert_eq!(
            decode(&[0x00, 0x00, 0xFF, 0x0D, 0x40, 0x3F, 0x0D, 0x00]),
            [frame(Direction::FromMeter, &[0x3F])]
        );
    }

    #[test]
    fn an_echo_is_distinguished_from_an_answer() {
        assert_eq!(
            decode(&[0x80, 0x3F, 0x0D, 0x40, 0x3F, 0x0D]),
            [frame(Direction::ToMeter, &[0x3F]), frame(Direction::FromMeter, &[0x3F])]
        );
    }

    #[test]
    fn a_start_byte_always_begins_a_frame() {
        let interrupted =
            Event::Damaged { direction: Direction::ToMeter, damage: Damage::Interrupted };
        assert_eq!(
            decode(&[0x80, 0x3F, 0x40, 0x3F, 0x0D]),
            [interrupted, frame(Direction::FromMeter, &[0x3F])]
        );
    }

    #[test]
    fn damage_names_the_wrong_byte() {
        let damaged = |damage| vec![Event::Damaged { direction: Direction::FromMeter, damage }];
        assert_eq!(decode(&[0x40, 0x06]), damaged(Damage::Unstuffed { byte: 0x06 }));
        assert_eq!(decode(&[0x40, 0x1B, 0x0D]), damaged(Damage::BadEscape { byte: 0x0D }));
        assert_eq!(decode(&[0x40, 0x1B, 0x00]), damaged(Damage::BadEscape { byte: 0x00 }));
        let mut endless = vec![0x40];
        endless.resize(MAX_BODY + 2, 0x55);
        assert_eq!(decode(&endless), damaged(Damage::TooLong));
    }

    #[test]
    fn a_start_byte_after_an_escape_begins_a_frame() {
        let bad = Event::Damaged {
            direction: Direction::FromMeter,
            damage: Damage::BadEscape { byte: 0x40 },
        };
        assert_eq!(
            decode(&[0x40, 0x1B, 0x40, 0x3F, 0x0D]),
            [bad, frame(Direction::FromMeter, &[0x3F])]
        );
    }

    proptest! {
        #[test]
        fn emit_then_decode_is_the_identity(direction in direction(), body in body()) {
            prop_assert_eq!(decode(&emit(direction, &body)), [frame(direction, &body)]);
        }

        #[test]
        fn decode_then_emit_is_the_identity(bytes in body()) {
            for event in decode(&bytes) {
                if let Event::Frame { direction, body } = event {
                    let emitted = emit(direction, &body);
                    prop_assert!(bytes.windows(emitted.len()).any(|part| part == emitted));
                }
            }
        }

        #[test]
        fn noise_before_a_frame_does_no_harm(noise in body(), direction in direction(), body in body()) {
            let mut bytes = noise;
            bytes.extend(emit(direction, &body));
            let events = decode(&bytes);
            prop_assert_eq!(events.last(), Some(&frame(direction, &body)));
        }

        #[test]
        fn all_frames_in_a_row_are_found(bodies in prop::collection::vec((direction(), body()), 1..6)) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|(d, b)| emit(*d, b)).collect();
            let frames: Vec<Event> = bodies.iter().map(|(d, b)| frame(*d, b)).collect();
            prop_assert_eq!(decode(&bytes), frames);
        }
    }
}
