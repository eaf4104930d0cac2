//! The checked configuration.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use kmp::register::RegisterId;

use super::address::ApiAddress;
use super::encryption::Tls;
use super::secret::Secret;
use crate::language::Language;
use crate::mean::Key;
use crate::name::{MeterName, Parameter};
use crate::units::UnitSystem;
use meter::identity::Version;
use meter::poll::Paces;
use meter::transport::{Endpoint, SerialSettings};
use tariff::Limit;

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
    /// Home Assistant, if its address and a token are set.
    pub home_assistant: Option<Access>,
    /// What is written into its statistics.
    pub history: HistoryUse,
}

/// Home Assistant, and what it needs to let us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Its address.
    pub address: ApiAddress,
    /// The token of an administrator.
    pub token: Secret,
}

/// What is written into Home Assistant's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryUse {
    /// Nothing.
    Off,
    /// What is missing after an outage.
    Gaps,
    /// That, also from the meter's log, and what the meter counted before Home Assistant did.
    Full,
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
    /// What mean temperatures are published for, if they are.
    pub tariff: Option<Tariff>,
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

/// How the supplier bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The first month of the heating year, if it is configured.
    pub first_month: Option<FirstMonth>,
    /// The return temperature that the supplier expects.
    pub limit: Option<Limit>,
}

/// The first month of a heating year, from 1 to 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstMonth(i8);

impl FirstMonth {
    /// January.
    pub const JANUARY: Self = Self(1);

    /// `None` if there is no such month.
    #[must_use]
    pub fn new(month: i8) -> Option<Self> {
        (1..=12).contains(&month).then_some(Self(month))
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }
}

impl FromStr for FirstMonth {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().and_then(Self::new).ok_or(())
    }
}

/// E1, V1, E8 and E9, from which mean temperatures are computed.
const OF_TARIFF: [RegisterId; 4] =
    [RegisterId::new(60), RegisterId::new(68), RegisterId::new(97), RegisterId::new(110)];

/// The yearly reading date, and the meter's own averages of year and month. Some meters lack them.
const OPTIONAL_OF_TARIFF: [RegisterId; 5] = [
    RegisterId::new(98),
    RegisterId::new(146),
    RegisterId::new(147),
    RegisterId::new(149),
    RegisterId::new(150),
];

impl Meter {
    /// The registers to read, each once: those of the parameters, then those for mean temperatures.
    #[must_use]
    pub fn registers(&self) -> Vec<RegisterId> {
        let mut registers: Vec<_> = self.parameters.iter().map(Parameter::register).collect();
        if self.tariff.is_some() {
            let added = OF_TARIFF.into_iter().chain(OPTIONAL_OF_TARIFF);
            let added: Vec<_> = added.filter(|register| !registers.contains(register)).collect();
            registers.extend(added);
        }
        registers
    }

    /// The registers that are read in one request: V1, E8 and E9.
    #[must_use]
    pub fn together(&self) -> Vec<RegisterId> {
        let [_, together @ ..] = OF_TARIFF;
        if self.tariff.is_some() { together.to_vec() } else { Vec::new() }
    }

    /// The registers that are read only if the meter has them.
    #[must_use]
    pub fn optional(&self) -> Vec<RegisterId> {
        let is_optional = |register: &RegisterId| {
            OPTIONAL_OF_TARIFF.contains(register)
                && !self.parameters.iter().any(|parameter| parameter.register() == *register)
        };
        self.registers().into_iter().filter(|it| self.tariff.is_some() && is_optional(it)).collect()
    }

    /// The means that may be published.
    pub(crate) fn means(&self) -> Vec<Key> {
        let of = |tariff: &Tariff| Key::possible(tariff.limit.is_some());
        self.tariff.as_ref().map(of).unwrap_or_default()
    }

    /// Their names in topics and unique ids.
    pub(crate) fn mean_names(&self) -> Vec<&'static str> {
        self.means().into_iter().map(Key::name).collect()
    }

    /// How often each register is read.
    #[must_use]
    pub fn paces(&self) -> Paces {
        Paces::new(self.poll_interval, self.slow_interval, &self.registers())
    }
}
