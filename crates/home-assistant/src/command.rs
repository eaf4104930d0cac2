//! Every message that is sent after the login.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use statistics::{Hour, Row};

use crate::metadata::Metadata;
use crate::number;

/// The event that the recorder fires when it has compiled five minutes.
pub(crate) const COMPILED: &str = "recorder_5min_statistics_generated";

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Command<'a> {
    #[serde(rename = "subscribe_events")]
    Subscribe { event_type: &'static str },
    #[serde(rename = "get_config")]
    GetConfig,
    #[serde(rename = "config/entity_registry/list")]
    ListEntities,
    #[serde(rename = "recorder/get_statistics_metadata")]
    GetMetadata { statistic_ids: [&'a str; 1] },
    #[serde(rename = "recorder/statistics_during_period")]
    GetRows {
        statistic_ids: [&'a str; 1],
        start_time: String,
        end_time: String,
        period: &'static str,
        types: [&'static str; 2],
        units: BTreeMap<&'a str, &'a str>,
    },
    #[serde(rename = "recorder/import_statistics")]
    Import { metadata: SentMetadata<'a>, stats: Vec<SentRow> },
    #[serde(rename = "recorder/adjust_sum_statistics")]
    Adjust {
        statistic_id: &'a str,
        start_time: String,
        adjustment: Box<RawValue>,
        adjustment_unit_of_measurement: &'a str,
    },
}

impl Command<'_> {
    /// Its name, for errors.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "subscribe_events",
            Self::GetConfig => "get_config",
            Self::ListEntities => "config/entity_registry/list",
            Self::GetMetadata { .. } => "recorder/get_statistics_metadata",
            Self::GetRows { .. } => "recorder/statistics_during_period",
            Self::Import { .. } => "recorder/import_statistics",
            Self::Adjust { .. } => "recorder/adjust_sum_statistics",
        }
    }
}

/// The message: the command with its number.
#[derive(Debug, Serialize)]
pub(crate) struct Numbered<'a> {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) command: &'a Command<'a>,
}

/// Metadata as Home Assistant accepts it. Sent like this, its own do not change.
#[derive(Debug, Serialize)]
pub(crate) struct SentMetadata<'a> {
    has_sum: bool,
    mean_type: u8,
    name: Option<&'a str>,
    source: &'a str,
    statistic_id: &'a str,
    unit_class: &'a str,
    unit_of_measurement: &'a str,
}

impl<'a> From<&'a Metadata> for SentMetadata<'a> {
    fn from(metadata: &'a Metadata) -> Self {
        Self {
            has_sum: true,
            mean_type: 0,
            name: metadata.name.as_deref(),
            source: "recorder",
            statistic_id: &metadata.statistic_id,
            unit_class: &metadata.unit_class,
            unit_of_measurement: &metadata.unit,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct SentRow {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
    sum: Box<RawValue>,
}

impl SentRow {
    /// `None` if a number cannot be written; every decimal can.
    pub(crate) fn new(row: &Row) -> Option<Self> {
        Some(Self {
            start: row.hour.start().to_string(),
            state: Some(number::written(row.state)?),
            sum: number::written(row.sum)?,
        })
    }

    /// A row without a state, whose sum is 0.
    pub(crate) fn blank(hour: Hour) -> Option<Self> {
        let sum = number::written(Decimal::ZERO)?;
        Some(Self { start: hour.start().to_string(), state: None, sum })
    }
}
