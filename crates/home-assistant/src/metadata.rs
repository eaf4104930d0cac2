//! What Home Assistant knows about a series.

use serde::Deserialize;
use thiserror::Error;

/// The metadata of a series that can be written: a counter of energy or volume, in its own unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub(crate) statistic_id: String,
    pub(crate) name: Option<String>,
    pub(crate) unit_class: String,
    pub(crate) unit: String,
}

/// Metadata as Home Assistant sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Received {
    statistic_id: String,
    name: Option<String>,
    source: String,
    has_sum: bool,
    mean_type: Option<u8>,
    unit_class: Option<String>,
    statistics_unit_of_measurement: Option<String>,
}

/// Why a series is not written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unsuitable {
    /// There is none.
    #[error("Home Assistant keeps no statistics of it")]
    Missing,
    /// It is not a counter.
    #[error("Home Assistant keeps no sum of it")]
    NoSum,
    /// It does not belong to an entity.
    #[error("its statistics come from `{0}`, not from an entity")]
    Source(String),
    /// It has no unit, or one of another kind.
    #[error("its statistics are neither an energy nor a volume")]
    Kind,
}

impl Metadata {
    /// Accepts the metadata of a counter of energy or volume.
    pub(crate) fn check(received: Received) -> Result<Self, Unsuitable> {
        let Received { statistic_id, name, source, has_sum, mean_type, .. } = received;
        if !has_sum || mean_type.is_some_and(|kind| kind != 0) {
            return Err(Unsuitable::NoSum);
        }
        if source != "recorder" {
            return Err(Unsuitable::Source(source));
        }
        let class = received.unit_class.filter(|class| class == "energy" || class == "volume");
        let (Some(unit_class), Some(unit)) = (class, received.statistics_unit_of_measurement)
        else {
            return Err(Unsuitable::Kind);
        };
        Ok(Self { statistic_id, name, unit_class, unit })
    }

    /// The id of the entity.
    #[must_use]
    pub fn statistic_id(&self) -> &str {
        &self.statistic_id
    }

    /// The unit in which Home Assistant keeps the series. It may differ from the unit in which it
    /// shows the entity.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }
}
