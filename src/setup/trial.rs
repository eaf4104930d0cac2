//! What setup tries before it writes the file: reading the meter once, everything that the program
//! does at the broker, and a search for the meter's values.

use std::path::PathBuf;
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Key, keys};
use crate::language::Language;
use crate::mqtt::{self, Rehearsed};
use crate::name::Parameter;
use crate::units::{self, UnitSystem};
use crate::{app, similar};
use meter::find::{self, Searched};
use meter::poll::{Explanation, PollResult, Reader};
use meter::reading::Reading;
use meter::transport::{Endpoint, LocalPort, Open, PortQueues, local_ports};
use meter::{RunsAs, container, hosts};

/// The last register that a search asks for, as `kamstrup2mqtt scan` does.
pub(super) const LAST_REGISTER: u16 = 1400;

/// How long a broker on this machine may take to accept a connection.
const GUESS: Duration = Duration::from_millis(500);

/// Something that takes time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trial<T> {
    /// It was not tried, or what it was about has changed.
    Untried,
    /// It is under way.
    Running,
    /// It has ended.
    Ended(T),
}

impl<T> Trial<T> {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    pub(crate) fn ended(&self) -> Option<&T> {
        match self {
            Self::Ended(result) => Some(result),
            Self::Untried | Self::Running => None,
        }
    }
}

/// A value that the meter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundValue {
    pub parameter: Parameter,
    /// Its reading as it would be published; `None` if it cannot be published now.
    pub text: Option<String>,
    pub unit: Option<&'static str>,
    /// Whether it changes. The others identify the meter or show its settings.
    pub is_worth_following: bool,
}

/// A meter that has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The model, as far as it is known.
    pub model: String,
    pub serial: Option<String>,
    /// The values that were read.
    pub values: Vec<FoundValue>,
    /// How many were asked for.
    pub asked: usize,
}

/// A search for the head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub running: bool,
    /// Whether it was stopped before each port was asked.
    pub stopped: bool,
    /// How many ports it asks.
    pub count: usize,
    /// The port that is being asked.
    pub asking: Option<PathBuf>,
    pub results: Vec<Searched>,
}

impl Search {
    /// The ports where a meter has answered that the program can read.
    pub(crate) fn meters(&self) -> impl Iterator<Item = &LocalPort> {
        let is_meter = |searched: &&Searched| searched.found.is_meter();
        self.results.iter().filter(is_meter).map(|searched| &searched.port)
    }

    /// Whether each port was asked and no meter answered, not even one that the program cannot
    /// read.
    pub(crate) fn has_found_none(&self) -> bool {
        !self.running && !self.stopped && find::is_silent(&self.results)
    }
}

/// The path of a port that stays the same when other devices are plugged in, if it has one.
pub(super) fn best_name(port: &LocalPort) -> String {
    port.best_name().display().to_string()
}

/// The result of asking the meter: its answer, or what went wrong.
pub(crate) type HeadTried = Result<Answer, Explanation>;

/// The result of trying the broker: whether everything was tried and not the login alone, or what
/// went wrong and what to do.
pub(crate) type BrokerTried = Result<bool, String>;

/// A search for values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub running: bool,
    /// How many registers were requested, and how many there are.
    pub asked: usize,
    pub of: usize,
    pub found: Vec<FoundValue>,
    /// Whether all of them were requested.
    pub complete: bool,
    pub trouble: Option<Explanation>,
}

/// Reads the meter once.
pub(super) async fn head(
    config: &Config,
    queues: &PortQueues,
    stop: &CancellationToken,
) -> Option<HeadTried> {
    let meter = config.meters.first()?;
    let plan = app::plan(meter, RunsAs::Program).sharing_ports(queues);
    let _turn = stop.run_until_cancelled(plan.port.acquire()).await?;
    let result = Reader::new(plan).read(stop).await;
    let PollResult { readings, identity, trouble, .. } = result;
    if let (Some(mut trouble), true) = (trouble, readings.is_empty() && identity.serial.is_none()) {
        if let Endpoint::Serial { path } = &meter.endpoint
            && !path.exists()
            && let Some(others) = local_ports().ok().and_then(|ports| similar::port(path, &ports))
        {
            trouble.hint = format!("{} {others}", trouble.hint);
        }
        return Some(Err(trouble));
    }
    Some(Ok(Answer {
        model: identity.model_words(),
        serial: identity.serial.map(|serial| serial.to_string()),
        asked: meter.parameters.len(),
        values: readings.iter().map(|reading| found(reading, meter.units)).collect(),
    }))
}

fn found(reading: &Reading, system: UnitSystem) -> FoundValue {
    let published = units::publish(reading, system).ok();
    let unit = published.as_ref().and_then(|published| published.measure.unit);
    FoundValue { text: published.map(|it| it.text), unit, ..named(reading.register) }
}

pub(super) fn named(register: RegisterId) -> FoundValue {
    FoundValue {
        parameter: Parameter::of(register),
        text: None,
        unit: None,
        is_worth_following: config::is_worth_following(register),
    }
}

/// Asks the meter for all registers. `progress` gets what has been found so far.
pub(super) async fn values(
    config: &Config,
    queues: &PortQueues,
    stop: &CancellationToken,
    mut progress: impl FnMut(Values),
) -> Option<Values> {
    let meter = config.meters.first()?;
    let mut plan = app::plan(meter, RunsAs::Program).sharing_ports(queues);
    plan.registers = (1..=LAST_REGISTER).map(RegisterId::new).collect();
    let of = plan.registers.len();
    let _turn = stop.run_until_cancelled(plan.port.acquire()).await?;
    let mut reader = Reader::new(plan);
    let mut values = Values { running: true, of, ..Values::default() };
    progress(values.clone());
    let scanned = reader
        .scan(stop, |more| {
            values.asked = more.asked.min(of);
            values.found.extend(more.found.iter().map(|reading| found(reading, meter.units)));
            progress(values.clone());
        })
        .await;
    let read = |register: &RegisterId| {
        let reading = scanned.readings.iter().find(|reading| reading.register == *register);
        reading.map_or_else(|| named(*register), |reading| found(reading, meter.units))
    };
    let found = scanned.present().iter().map(read).collect();
    let (complete, trouble) = (scanned.complete, scanned.trouble.clone());
    Some(Values { running: false, asked: values.asked, of, found, complete, trouble })
}

/// Tries everything that the program does at the broker. `None` if it was stopped.
pub(super) async fn broker(config: &Config, stop: &CancellationToken) -> Option<BrokerTried> {
    match mqtt::rehearse(&config.broker, &app::rehearsal(config), false, stop).await {
        Ok(Rehearsed::Everything { .. }) => Some(Ok(true)),
        Ok(Rehearsed::Login | Rehearsed::Online) => Some(Ok(false)),
        Ok(Rehearsed::Nothing) => Some(Err("It was not tried: a program with the same client id is \
                                            running, and the broker rejects a connection with another \
                                            client id. Stop that program, then try again."
            .to_owned())),
        Ok(Rehearsed::Stopped) => None,
        Err(advice) => Some(Err(advice.words_at_fields(label))),
    }
}

/// The label of a setting on the page. Advice is in English, as in the log.
fn label(key: &Key) -> Option<String> {
    let words = Language::English.setup_words();
    let fields: [(&Key, &str); 5] = [
        (&keys::HOST, words.host),
        (&keys::PORT, words.port),
        (&keys::USERNAME, words.username),
        (&keys::PASSWORD, words.password),
        (&keys::TLS_ENABLED, words.tls),
    ];
    let (_, label) = fields.into_iter().find(|(known, _)| *known == key)?;
    // Without the explanation in parentheses.
    label.split(" (").next().map(str::to_owned)
}

/// The host of a broker that probably is the right one: on this machine, or in the container's
/// network by the name that `compose.yaml` gives it.
pub(super) async fn guess(port: u16) -> Option<String> {
    const HERE: &str = "localhost";
    const IN_COMPOSE: &str = "mosquitto";

    let candidates: &[&str] = if container::is_container() { &[IN_COMPOSE, HERE] } else { &[HERE] };
    for host in candidates {
        if timeout(GUESS, is_there(host, port)).await.unwrap_or(false) {
            return Some((*host).to_owned());
        }
    }
    None
}

async fn is_there(host: &str, port: u16) -> bool {
    for address in hosts::look_up(host, port).await.unwrap_or_default() {
        if TcpStream::connect(address).await.is_ok() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use kmp::message::SerialNumber;

    use super::*;
    use crate::advice::{Advice, sentence};
    use meter::find::Found;
    use meter::transport::OpenError;

    /// Reported by a new user: a wrong password was explained with names of the file.
    #[test]
    fn advice_names_the_fields_of_the_page() {
        let advice = Advice::new("it does not authorize this user.")
            .then(sentence!["Check ", &keys::USERNAME, " and ", &keys::PASSWORD, "."])
            .then(sentence!["Or enable ", &keys::TLS_ENABLED, "."])
            .then(sentence!["Set ", &keys::TLS_CA_CERT, "."]);
        assert_eq!(
            advice.words_at_fields(label),
            "it does not authorize this user. Check \"User name\" and \"Password\". Or enable \
             \"Encrypted\". Set `mqtt.tls_ca_cert`."
        );
    }

    #[test]
    fn the_head_is_blamed_only_if_no_meter_answered() {
        let port = LocalPort { path: "/dev/ttyUSB0".into(), by_id: None, is_held: false };
        let search = |found: &[Found]| {
            let result = |found: &Found| Searched { port: port.clone(), found: found.clone() };
            let results: Vec<_> = found.iter().map(result).collect();
            Search { count: results.len(), results, ..Search::default() }
        };
        let serial_number = SerialNumber::new(12_345_678);
        let silent = [Found::Silence, Found::Noise, Found::EchoOnly];
        let answers = [
            Found::Meter { model: "Multical 403".to_owned(), serial_number },
            Found::OtherBaudRate { baud: 2400, serial_number },
            Found::OlderLanguage,
        ];
        let closed = [Found::CannotOpen(OpenError::Busy), Found::Broken("gone".to_owned())];
        assert!(search(&silent).has_found_none());
        for answer in answers {
            assert!(!search(&[Found::Silence, answer.clone()]).has_found_none(), "{answer}");
        }
        assert!(!search(&closed).has_found_none());
        assert!(!search(&[]).has_found_none());
        assert!(!Search { stopped: true, ..search(&silent) }.has_found_none());
        assert!(!Search { running: true, ..search(&silent) }.has_found_none());
    }
}
