//! The content of a simulated meter.

mod content;
mod energy_unit;
#[cfg(test)]
mod tests;
mod yaml;

pub use self::content::Registers;
pub use self::energy_unit::EnergyUnit;
pub use self::yaml::RegistersError;
