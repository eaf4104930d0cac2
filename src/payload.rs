//! The bytes that are put on topics.

use crate::config::{Meter, Publishing, Qos};
use crate::poll::PollResult;
use crate::topic::{MeterTopics, Topics};
use crate::units::{self, Measure};

/// The program is connected.
pub const ONLINE: &str = "online";
/// The program is not connected.
pub const OFFLINE: &str = "offline";

/// Something to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: String,
    /// How surely.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

impl Message {
    /// Whether the program is connected, for all who subscribe now or later.
    #[must_use]
    pub fn status(topics: &Topics, payload: &str) -> Self {
        Self {
            topic: topics.status(),
            payload: payload.to_owned(),
            qos: Qos::AtLeastOnce,
            retain: true,
        }
    }
}

/// A parameter that has a value in this poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valued {
    /// Its place in the meter's list.
    pub index: usize,
    /// What the value measures.
    pub measure: Measure,
    /// What is published.
    pub message: Message,
}

/// The values of one poll, in the order of the meter's parameters. What was not read, or cannot be
/// converted exactly, is not in the list.
#[must_use]
pub fn values(
    result: &PollResult,
    meter: &Meter,
    publishing: &Publishing,
    topics: &MeterTopics,
) -> Vec<Valued> {
    let mut values = Vec::new();
    for (index, parameter) in meter.parameters.iter().enumerate() {
        let reading =
            result.readings.iter().find(|reading| reading.register == parameter.register());
        let Some(published) = reading.map(|reading| units::publish(reading, meter.units)) else {
            continue;
        };
        match published {
            Ok(published) => {
                let message = Message {
                    topic: topics.value(parameter),
                    payload: published.text,
                    qos: publishing.qos,
                    retain: publishing.retain,
                };
                values.push(Valued { index, measure: published.measure, message });
            }
            Err(error) => tracing::warn!("`{}` is not published: {error}.", parameter.name()),
        }
    }
    values
}
