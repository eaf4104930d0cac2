//! A simulated meter that answers from data, for tests, the demo, and trials without a meter.
//!
//! A [`Simulator`] answers requests over TCP, a pseudo-terminal, or any stream. It has the content
//! of [`Registers`]: an example, one of the [`Model`]s, or a YAML file. [`Behaviour`] gives it the
//! speed of a line, and [`Faults`] distort its answers, by a seed.
//!
//! It encodes answers with the `kmp` crate, which also decodes them in the program. So one error
//! could hide on both sides. Captured frames of real meters prevent that: tests compare both sides
//! with them. The crate does not know the program's own client of meters.

mod encode;
mod faults;
mod models;
mod registers;
mod simulator;

pub use self::faults::{Fault, FaultRate, FaultRateError, Faults, Piece};
pub use self::models::Model;
pub use self::registers::{EnergyUnit, Registers, RegistersError};
pub use self::simulator::{Behaviour, Simulator};
