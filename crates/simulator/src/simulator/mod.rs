//! The simulated meter and its line.

mod meter;
mod pty;
#[cfg(test)]
mod tests;
mod wire;

pub use self::meter::{Behaviour, Simulator};
