//! What the program needs to know, checked.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use super::encryption::Tls;
use super::secret::Secret;
use crate::name::{MeterName, Parameter};
use crate::units::UnitSystem;
use meter::identity::Version;
use meter::transport::{Endpoint, SerialSettings};

/// Everything the program needs to know, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The broker and how to log in.
    pub broker: Broker,
    /// How values are published.
    pub publishing: Publishing,
    /// The meters: at least one, and where there are several, each with a name.
    pub meters: Vec<Meter>,
    /// What is logged, and where to.
    pub logging: logging::Settings,
    /// Where the status page is, if there is one. An add-on's is where Home Assistant looks for it.
    pub page: Option<SocketAddr>,
}

/// The MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: NonZeroU16,
    /// How this program is known to the broker; no two programs may use the same.
    pub client_id: String,
    /// User name and password, if the broker wants them.
    pub credentials: Option<Credentials>,
    /// How the connection is encrypted, if it is.
    pub tls: Option<Tls>,
}

/// A log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Where and how values are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The first part of every topic.
    pub topic: String,
    /// QoS of the values. Status and discovery are always sent with 1.
    pub qos: Qos,
    /// Whether the broker keeps values for later subscribers.
    pub retain: bool,
    /// Where Home Assistant looks for discovery messages.
    pub discovery_prefix: String,
    /// Where Home Assistant says that it has started.
    pub status_topic: String,
    /// How the unique ids of all entities begin.
    pub id_prefix: String,
}

/// MQTT's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// 0: sent once.
    AtMostOnce,
    /// 1: sent until acknowledged.
    AtLeastOnce,
    /// 2: sent and received exactly once.
    ExactlyOnce,
}

/// One meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its part in topics and unique ids; none where there is only one meter.
    pub name: Option<MeterName>,
    /// Where it is connected.
    pub endpoint: Endpoint,
    /// The line there.
    pub serial: SerialSettings,
    /// How long an answer may take to begin; not less than a meter may think.
    pub timeout: Duration,
    /// What is read; at least one.
    pub parameters: Vec<Parameter>,
    /// From the start of one poll to the start of the next.
    pub poll_interval: Duration,
    /// Which MULTICAL it is.
    pub version: Version,
    /// In which units values are published.
    pub units: UnitSystem,
    /// Home Assistant's identifier of the device.
    pub device_id: String,
    /// Its name there.
    pub device_name: String,
}
