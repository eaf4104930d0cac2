//! The Kamstrup Meter Protocol (KMP), which MULTICAL heat meters and related meters speak through
//! their optical eye.
//!
//! The crate converts bytes to frames, frames to requests and answers, and registers to exact
//! values. It also converts in the other direction, so it can simulate a meter.
//!
//! It does no I/O, reads no clock and logs nothing. It is `no_std`, so the compiler enforces this.
//! The caller sends the bytes and waits for the answer.
//!
//! | Layer | Module | Contents |
//! |---|---|---|
//! | physical | [`frame`] | start and stop bytes, byte stuffing |
//! | | [`mod@line`] | how long bytes take, and when an answer must begin |
//! | data link | [`datalink`] | destination address, command id, CRC |
//! | application | [`message`] | `GetType`, `GetSerialNo`, `GetRegister` |
//! | | [`logger`] | the meter's own logs |
//! | | [`number`], [`value`] | mantissa and exponent; numbers, dates, texts |
//! | | [`mod@unit`], [`register`], [`info`], [`model`] | the meaning of codes, each row with its source |
//!
//! # Sources
//!
//! `5512-447` is Kamstrup's own protocol description for MULTICAL 601 and 801, document
//! 5512-447 rev. M1 of 2009-12-07, 36 pages. `TD 302`, `TD 402` and so on are the technical
//! descriptions of those meters. Other sources are named by repository.
//!
//! # Example
//!
//! ```
//! use kmp::datalink::{self, Address};
//! use kmp::frame::{Decoder, Direction, Event};
//! use kmp::message::{self, Command, GetRegister};
//! use kmp::register::RegisterId;
//!
//! // Request register 60, heat energy E1, from a heat meter.
//! let command = GetRegister::new(&[RegisterId::new(60)])?;
//! let request = message::emit_request(Address::HEAT_METER, &command);
//! assert_eq!(request, [0x80, 0x3F, 0x10, 0x01, 0x00, 0x3C, 0xB2, 0x5F, 0x0D]);
//!
//! // Send the request. This answer was captured from a MULTICAL 403.
//! let bytes = [
//!     0x40, 0x3F, 0x10, 0x00, 0x3C, 0x03, 0x04, 0x43, 0x00, 0x00, 0xD6, 0xDE, 0x03, 0x22, 0x0D,
//! ];
//! let mut decoder = Decoder::new();
//! let frame = bytes.iter().find_map(|&byte| decoder.push(byte));
//! let Some(Event::Frame { direction: Direction::FromMeter, body }) = frame else {
//!     return Err("no frame".into());
//! };
//! let packet = datalink::parse(&body)?;
//! let answer = command.parse_answer(packet.data)?;
//! assert_eq!(answer[0].value()?.to_string(), "55.006");
//! assert_eq!(answer[0].unit.symbol(), Some("MWh"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod datalink;
pub mod frame;
pub mod info;
pub mod line;
pub mod logger;
pub mod message;
pub mod model;
pub mod number;
pub mod register;
pub mod unit;
pub mod value;

/// Runs the example of README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
