//! Units of energy.

/// The unit in which a simulated meter counts energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnergyUnit {
    /// Whole kWh.
    KilowattHour,
    /// MWh with three decimal places.
    MegawattHour,
    /// GJ with two decimal places.
    Gigajoule,
}

impl EnergyUnit {
    /// All units.
    pub const ALL: [Self; 3] = [Self::KilowattHour, Self::MegawattHour, Self::Gigajoule];

    /// The name that a user writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KilowattHour => "kWh",
            Self::MegawattHour => "MWh",
            Self::Gigajoule => "GJ",
        }
    }

    /// A description for a list of units.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::KilowattHour => "Whole kWh",
            Self::MegawattHour => "MWh with three decimal places",
            Self::Gigajoule => "GJ with two decimal places",
        }
    }
}
