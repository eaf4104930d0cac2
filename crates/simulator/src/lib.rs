//! A simulated meter that answers from data, for tests, the demo, and trials without a meter.
//!
//! A [`Simulator`] answers requests over TCP, a pseudo-terminal, or any stream. Its [`Registers`]
//! are an example, one of the [`Model`]s, or a YAML file. [`Logs`] are those of a model. [`Behaviour`] gives it the speed of a
//! line. [`Faults`] distort its answers. The same seed gives the same faults.
//!
//! It encodes answers with the `kmp` crate, which also decodes them in the program. So a mistake in
//! `kmp` could stay unnoticed. To prevent that, tests compare both directions with captured frames
//! of real meters. The crate does not use the program's own client.

mod encode;
mod faults;
mod logs;
mod models;
mod registers;
mod simulator;

pub use self::faults::{Fault, FaultRate, FaultRateError, Faults, Piece};
pub use self::logs::{Logs, SummerStamp};
pub use self::models::Model;
pub use self::registers::{EnergyUnit, Registers, RegistersError};
pub use self::simulator::{Behaviour, Simulator};
