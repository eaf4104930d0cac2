//! The names and units of the means that suppliers bill by (`tariff`).

use crate::language::{Language, fill};
use tariff::Period;

/// A mean that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub what: What,
    pub period: Period,
}

/// What a mean is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Supply,
    Return,
    Cooling,
    EnergyPerVolume,
    /// By how much the return temperature is above that which the supplier expects. Negative if it
    /// is below.
    OverLimit,
}

impl What {
    const ALL: [Self; 5] =
        [Self::Supply, Self::Return, Self::Cooling, Self::EnergyPerVolume, Self::OverLimit];

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Supply | Self::Return | Self::Cooling | Self::OverLimit => "°C",
            Self::EnergyPerVolume => "kWh/m³",
        }
    }
}

impl Key {
    /// Those of a meter with mean temperatures.
    pub(crate) fn possible(has_limit: bool) -> Vec<Self> {
        let all = What::ALL
            .into_iter()
            .flat_map(|what| Period::ALL.into_iter().map(move |period| Self { what, period }));
        let is_possible =
            |key: &Self| key.what != What::OverLimit || (has_limit && key.period != Period::Day);
        all.filter(is_possible).collect()
    }

    /// Its name in topics and unique ids.
    pub(crate) const fn name(self) -> &'static str {
        use Period::{Day, Month, Year};
        match (self.what, self.period) {
            (What::Supply, Day) => "mean_supply_day",
            (What::Supply, Month) => "mean_supply_month",
            (What::Supply, Year) => "mean_supply_year",
            (What::Return, Day) => "mean_return_day",
            (What::Return, Month) => "mean_return_month",
            (What::Return, Year) => "mean_return_year",
            (What::Cooling, Day) => "mean_cooling_day",
            (What::Cooling, Month) => "mean_cooling_month",
            (What::Cooling, Year) => "mean_cooling_year",
            (What::EnergyPerVolume, Day) => "energy_per_volume_day",
            (What::EnergyPerVolume, Month) => "energy_per_volume_month",
            (What::EnergyPerVolume, Year) => "energy_per_volume_year",
            (What::OverLimit, Day) => "over_limit_day",
            (What::OverLimit, Month) => "over_limit_month",
            (What::OverLimit, Year) => "over_limit_year",
        }
    }

    /// Its name for people.
    pub(crate) fn words(self, language: Language) -> String {
        let names = language.names();
        let what = match self.what {
            What::Supply => names.mean_supply,
            What::Return => names.mean_return,
            What::Cooling => names.mean_cooling,
            What::EnergyPerVolume => names.energy_per_volume,
            What::OverLimit => names.over_limit,
        };
        let period = match self.period {
            Period::Day => names.period_day,
            Period::Month => names.period_month,
            Period::Year => names.period_year,
        };
        fill(what, &[("period", period)])
    }
}
