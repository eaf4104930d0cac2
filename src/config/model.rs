//! The checked configuration.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use jiff::SignedDuration;

use super::encryption::Tls;
use super::secret::Secret;
use crate::language::Language;
use crate::name::{MeterName, Parameter};
use crate::units::UnitSystem;
use meter::identity::Version;
use meter::poll::Paces;
use meter::transport::{Endpoint, SerialSettings};

/// A checked configuration, with which the program can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The broker and how to log in.
    pub broker: Broker,
    /// How values are published.
    pub publishing: Publishing,
    /// The meters: at least one. If there are several, each has a name.
    pub meters: Vec<Meter>,
    /// What is logged, and where.
    pub logging: logging::Settings,
    /// The address of the status page, if there is one. For the app, it is the fixed address that
    /// Home Assistant expects.
    pub page: Option<SocketAddr>,
    /// The configured token, which other machines need to press the page's buttons. `None`: the
    /// program makes one itself.
    pub page_token: Option<Secret>,
}

/// The MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: NonZeroU16,
    /// The client id, which must be unique on the broker.
    pub client_id: String,
    /// User name and password, if the broker needs them.
    pub credentials: Option<Credentials>,
    /// The encryption of the connection, if there is one.
    pub tls: Option<Tls>,
}

/// A login.
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
    /// The topic of Home Assistant's birth message.
    pub status_topic: String,
    /// The language of names in Home Assistant.
    pub language: Language,
    /// The start of the unique ids of all entities.
    pub id_prefix: String,
    /// Home Assistant's identifier of the program's own device. No meter has it.
    pub program_id: String,
}

/// MQTT's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Its part in topics and unique ids. Only a single meter can have none.
    pub name: Option<MeterName>,
    /// Its port.
    pub endpoint: Endpoint,
    /// The settings of the serial line.
    pub serial: SerialSettings,
    /// The time until an answer must begin. Not shorter than a meter may take.
    pub timeout: Duration,
    /// The values to read: at least one.
    pub parameters: Vec<Parameter>,
    /// From the start of one poll to the start of the next.
    pub poll_interval: Duration,
    /// How much later than at multiples of the interval it is polled. Shorter than the interval.
    pub poll_offset: SignedDuration,
    /// How often registers that change slowly are read. `None`: in each poll.
    pub slow_interval: Option<Duration>,
    /// The MULTICAL model.
    pub version: Version,
    /// The units of the published values.
    pub units: UnitSystem,
    /// Home Assistant's identifier of the device.
    pub device_id: String,
    /// The device's name in Home Assistant.
    pub device_name: String,
    /// The name that it would have in English. Entity ids are made from it.
    pub english_name: String,
}

impl Meter {
    /// How often each register is read.
    #[must_use]
    pub fn paces(&self) -> Paces {
        let registers: Vec<_> = self.parameters.iter().map(Parameter::register).collect();
        Paces::new(self.poll_interval, self.slow_interval, &registers)
    }
}
