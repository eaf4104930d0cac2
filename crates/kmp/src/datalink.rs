//! The data link layer: destination address, command id and CRC.
//!
//! The body of a frame is `destination | CID | data | CRC high | CRC low`. The CRC covers
//! everything before it, before stuffing: polynomial 0x1021, start value 0, high byte first
//! (5512-447 M1 p.5-6). Catalogues of CRCs call it CRC-16/XMODEM.

use alloc::vec::Vec;
use core::fmt;

use crc::{CRC_16_XMODEM, Crc};
use thiserror::Error;

use crate::frame::{self, Direction};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The bytes of address, command id and CRC.
const OVERHEAD: usize = 4;

/// The destination of a request. The answer carries the same address (5512-447 M1 p.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(u8);

impl Address {
    /// A heat meter. Kamstrup's water meters answer to it too.
    pub const HEAT_METER: Self = Self(0x3F);
    /// The logger in the top module of a MULTICAL 601, or inside a MULTICAL 801.
    pub const LOGGER_TOP: Self = Self(0x7F);
    /// The logger in the base module of a MULTICAL 601.
    pub const LOGGER_BASE: Self = Self(0xBF);

    /// Creates an address from the byte on the line.
    #[must_use]
    pub const fn new(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the line.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X}", self.0)
    }
}

/// A command id. The answer carries the id of the request (5512-447 M1 p.15-35).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cid(u8);

impl Cid {
    /// Requests meter type and software revision (5512-447 M1 p.15).
    pub const GET_TYPE: Self = Self(0x01);
    /// Requests the serial number (5512-447 M1 p.17).
    pub const GET_SERIAL_NO: Self = Self(0x02);
    /// Requests up to 8 registers (5512-447 M1 p.19).
    pub const GET_REGISTER: Self = Self(0x10);
    /// Requests entries of the meter's own logs: see [`crate::logger`].
    pub const LOGGER: Self = Self(0xB8);

    /// Creates a command id from the byte on the line.
    #[must_use]
    pub const fn new(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the line.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::GET_TYPE => f.write_str("GetType"),
            Self::GET_SERIAL_NO => f.write_str("GetSerialNo"),
            Self::GET_REGISTER => f.write_str("GetRegister"),
            Self::LOGGER => f.write_str("Logger"),
            Self(byte) => write!(f, "command 0x{byte:02X}"),
        }
    }
}

/// The body of a frame with a valid checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The destination of the request.
    pub address: Address,
    /// The command.
    pub cid: Cid,
    /// The data of the command; it may be empty.
    pub data: &'a [u8],
}

/// Why a frame's body is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// The body is too short for address, command and CRC.
    #[error("a packet has at least {OVERHEAD} bytes, this one has {length}")]
    TooShort {
        /// The number of bytes in the body.
        length: usize,
    },
    /// The checksum does not match: the frame was damaged on the line.
    #[error("checksum is {found:04X}, must be {expected:04X}")]
    Checksum {
        /// The checksum computed from the bytes.
        expected: u16,
        /// The checksum that the frame contains.
        found: u16,
    },
}

/// Computes the CRC of `bytes`, which the last two bytes of a body contain.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    CRC.checksum(bytes)
}

/// Parses the unstuffed body of a frame and checks its CRC.
pub fn parse(body: &[u8]) -> Result<Packet<'_>, PacketError> {
    let too_short = PacketError::TooShort { length: body.len() };
    let (covered, found) = body.split_last_chunk::<2>().ok_or(too_short)?;
    let &[address, cid, ref data @ ..] = covered else {
        return Err(too_short);
    };
    let expected = checksum(covered);
    let found = u16::from_be_bytes(*found);
    if expected != found {
        return Err(PacketError::Checksum { expected, found });
    }
    Ok(Packet { address: Address(address), cid: Cid(cid), data })
}

/// Builds a complete frame, from start byte to stop byte, with byte stuffing.
#[must_use]
pub fn emit(direction: Direction, packet: Packet<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(packet.data.len().saturating_add(OVERHEAD));
    body.extend([packet.address.0, packet.cid.0]);
    body.extend_from_slice(packet.data);
    let crc = checksum(&body);
    body.extend(crc.to_be_bytes());
    frame::emit(direction, &body)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Decoder, Event};

    #[test]
    fn the_crc_is_xmodem() {
        // The check value of CRC-16/XMODEM.
        assert_eq!(checksum(b"123456789"), 0x31C3);
    }

    #[test]
    fn a_body_that_is_too_short_is_rejected() {
        for length in 0..OVERHEAD {
            assert_eq!(parse(&vec![0; length]), Err(PacketError::TooShort { length }));
        }
    }

    #[test]
    fn a_wrong_checksum_is_rejected() {
        // 5512-447 M1 p.18 as printed; the checksum is a misprint for 774E.
        let body = [0x3F, 0x09, 0x00, 0x01, 0x14, 0x4A, 0x00, 0x02, 0x77, 0x15, 0xC3, 0x4A];
        assert_eq!(parse(&body), Err(PacketError::Checksum { expected: 0x774E, found: 0xC34A }));
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_the_identity(
            address: u8, cid: u8, data in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let packet = Packet { address: Address(address), cid: Cid(cid), data: &data };
            let mut decoder = Decoder::new();
            let bytes = emit(Direction::FromMeter, packet);
            let Some(Event::Frame { body, .. }) = bytes.iter().find_map(|&byte| decoder.push(byte))
            else { panic!("no frame") };
            prop_assert_eq!(parse(&body), Ok(packet));
        }

        #[test]
        fn no_input_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&body);
        }

        #[test]
        fn one_flipped_bit_is_detected(
            data in prop::collection::vec(any::<u8>(), 0..100), byte: prop::sample::Index, bit in 0..8,
        ) {
            let mut body = vec![0x3F, 0x10];
            body.extend(&data);
            body.extend(checksum(&body).to_be_bytes());
            let index = byte.index(body.len());
            body[index] ^= 1_u8 << bit;
            prop_assert!(parse(&body).is_err());
        }
    }
}
