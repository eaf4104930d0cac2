//! Reads Kamstrup MULTICAL heat meters through their optical eye: exact readings from any byte
//! stream.
//!
//! The crate opens a serial port or a connection to a network serial server, polls the meter's
//! registers on a schedule or on demand, and returns each value as a decimal, date, time or text
//! with the unit that the meter sent. No value passes through a float.
//!
//! # Layers
//!
//! Each layer uses only the ones above it in this table, the small tools below it, and the protocol
//! crate [`kmp`].
//!
//! | module | what it does |
//! |---|---|
//! | [`transport`] | opens a serial port or a TCP connection, lists ports, queues meters that share a port |
//! | [`client`] | sends one request at a time, waits and retries as the meter requires, detects late answers |
//! | [`reading`] | the value of a register, or why it has none |
//! | [`identity`] | which model the meter is, and whether another one has taken its place |
//! | [`condition`] | what the meter's info code means, and which readings a fault makes invalid |
//! | [`logger`] | reads the meter's own logs of hours, days, months and years |
//! | [`highres`] | completes energy registers that wrap |
//! | `plausibility`, `consistency` | which readings are doubtful, so that the values must be read again |
//! | [`poll`] | decides when to read which registers; [`poll::Reader`] reads on demand |
//! | [`find`] | finds the serial port with the optical head, by asking each port for a serial number |
//!
//! Other crates can use the small tools too: [`hosts`] looks up host names, [`cause`] classifies the
//! system's errors, [`container`] recognizes a container, [`back_off`] times retries, [`waiting`]
//! says what is waited for, [`duration`] and [`shown`] turn durations and foreign texts into words,
//! and [`news`] reports only changes.
//!
//! # Cancel safety
//!
//! Each future may be dropped:
//!
//! - [`transport::Open::open`] then leaves nothing open.
//! - [`transport::Open::acquire`] gives up its place in the queue.
//! - [`client::Meter::request`] loses its answer. The next request cannot mistake that answer for
//!   its own.
//!
//! To stop gracefully, cancel the [`CancellationToken`] that [`client::Meter::request`] and the
//! functions of [`poll::Reader`] take. They wait for the answer to the current request, and send no
//! other.
//!
//! # Log
//!
//! The crate logs with [`tracing`]. `INFO` and above is for users: a poll's result, changes of
//! state, problems with a hint. `DEBUG` has every frame with its meaning. Everything that a program
//! must act on is also returned.
//!
//! # Example
//!
//! `examples/read.rs` is a complete program.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use kamstrup_meter::identity::Version;
//! use kamstrup_meter::poll::{Plan, Reader};
//! use kamstrup_meter::transport::{Port, SerialSettings};
//! use kamstrup_meter::{CancellationToken, RunsAs};
//! use kmp::frame::START_FROM_METER;
//! use kmp::line::Line;
//! use kmp::register::RegisterId;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = SerialSettings::default();
//! let plan = Plan {
//!     port: Port { endpoint: "/dev/ttyUSB0".parse()?, settings, answer_start: START_FROM_METER },
//!     port_name: "/dev/ttyUSB0".to_owned(),
//!     line: Line::with_bits(settings.baud.get(), settings.bits_per_byte()),
//!     registers: vec![RegisterId::new(60), RegisterId::new(80)],
//!     together: Vec::new(),
//!     optional: Vec::new(),
//!     version: Version::Auto,
//!     interval: Duration::from_secs(60),
//!     slow_interval: None,
//!     runs_as: RunsAs::Program,
//! };
//! let result = Reader::new(plan).read(&CancellationToken::new()).await;
//! for reading in result.readings {
//!     println!("{}: {} {}", reading.register, reading.value, reading.unit);
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod back_off;
pub mod cause;
pub mod client;
pub mod condition;
mod consistency;
pub mod container;
pub mod duration;
pub mod find;
pub mod highres;
pub mod hosts;
pub mod identity;
pub mod logger;
pub mod news;
mod plausibility;
pub mod poll;
pub mod reading;
mod runs_as;
pub mod shown;
pub mod suspension;
pub mod transport;
pub mod waiting;

pub use tokio_util::sync::CancellationToken;

pub use self::runs_as::RunsAs;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
