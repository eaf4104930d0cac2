//! From a YAML file and environment variables to a checked [`Config`].
//!
//! Nothing is checked later than here: a [`Config`] that exists can be run. All problems are told
//! at once, each with its place, what was found and what is accepted.

mod effective;
mod found;
mod keys;
mod logging;
pub mod manual;
pub mod options;
mod read;
mod secret;
mod source;
mod tls;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use thiserror::Error;
use tracing::Level;

pub use self::effective::{Effect, Effective, Entry, Origin};
pub use self::found::parameters_list;
use self::keys::{Fallback, Key};
pub use self::secret::Secret;
pub use self::source::Spot;
use self::source::{Item, Listed, Place, Raw, Setting, Settings};
pub use self::tls::Tls;
use crate::identity::{Version, model_meant};
use crate::line::THINKING;
pub use crate::name::{MeterName, Parameter};
use crate::name::{UnknownParameter, identifier};
use crate::topic::{Diagnostic, Ids, READ};
use crate::transport::{DataBits, Endpoint, ModemLine, Parity, SerialSettings, StopBits};
use crate::units::UnitSystem;

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
    pub logging: crate::logging::Settings,
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

/// A configuration, and what is odd about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The same, setting by setting, with where each comes from.
    pub settings: Effective,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Neither a file nor a variable.
    #[error("there is no configuration: no {}, and no variable like `SERIAL_COM_PORT`", PLACES.join(", no "))]
    None,
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is not YAML.
    #[error("{}{} is not valid YAML: {reason}", path.display(), place_words(*place))]
    NotYaml {
        /// Which file.
        path: PathBuf,
        /// Line and column at which the parser stopped.
        place: Option<(u64, u64)>,
        /// What is wrong there.
        reason: String,
    },
    /// The file makes no settings, and no variable does.
    #[error("the configuration {} is empty", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The file is YAML, but not one of ours.
    #[error("{} has no sections like `mqtt:`, `serial_device:` and `kamstrup:`", path.display())]
    NotSections {
        /// Which file.
        path: PathBuf,
    },
    /// Settings are missing or wrong.
    #[error("{}", problem_words(problems, warnings))]
    Problems {
        /// Each of them.
        problems: Vec<Problem>,
        /// What is odd besides: a misspelled key explains a missing one.
        warnings: Vec<String>,
    },
}

fn place_words(place: Option<(u64, u64)>) -> String {
    place.map(|(line, column)| format!(", line {line}, column {column},")).unwrap_or_default()
}

fn problem_words(problems: &[Problem], warnings: &[String]) -> String {
    let mut words = format!("{}:", error_words(problems.len()));
    let list = |words: &mut String, lines: Vec<String>| {
        words.extend(lines.iter().flat_map(|line| ["\n  - ", line]));
    };
    list(&mut words, by_line(problems.iter().map(Problem::to_string)));
    if !warnings.is_empty() {
        words.extend(["\nand ", &count_words(warnings.len(), "warning"), ":"]);
        list(&mut words, by_line(warnings.iter().cloned()));
    }
    words
}

fn error_words(count: usize) -> String {
    format!("the configuration has {}", count_words(count, "error"))
}

fn count_words(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Messages in the order of the file.
fn by_line(messages: impl Iterator<Item = String>) -> Vec<String> {
    let mut messages: Vec<String> = messages.collect();
    messages.sort_by_key(|message| line_number(message));
    messages
}

/// The line of the file that a message names first; those without one come before the others.
fn line_number(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once(", line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::None => {
                "copy kamstrup2mqtt.example.yaml to config.yaml, and set `host` and `com_port` in it"
            }
            Self::Unreadable { .. } => {
                "check which file it is (`--config` names another one), and that this user may read it"
            }
            Self::NotYaml { .. } => {
                "YAML goes by indentation: indent with spaces, never tabs, and put a space after \
                 each colon; a text with `:`, `#` or quotes in it needs quotes around it"
            }
            Self::Empty { .. } | Self::NotSections { .. } => {
                "see kamstrup2mqtt.example.yaml for what a file looks like"
            }
            Self::Problems { .. } => {
                "mend each of them; kamstrup2mqtt.example.yaml shows every setting"
            }
        }
    }

    /// What is wrong in all, without what is wrong with each setting.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Problems { problems, .. } => error_words(problems.len()),
            other => other.to_string(),
        }
    }

    /// What is wrong with each setting, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems { problems, .. } => by_line(problems.iter().map(Problem::to_string)),
            _ => Vec::new(),
        }
    }

    /// What is odd besides, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Problems { warnings, .. } => warnings,
            _ => &[],
        }
    }
}

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting and its place.
    what: String,
    /// What stands there.
    found: String,
    /// What may stand there.
    accepted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, accepted } = self;
        write!(f, "{what}: found {found}, accepted: {accepted}")
    }
}

/// The broker's port where the connection is encrypted and nobody says which.
const PORT_WITH_TLS: u16 = 8883;

/// Environment variables by name.
pub type Variables = BTreeMap<String, OsString>;

/// Where the file is looked for when none is named.
const PLACES: [&str; 3] = ["config.yaml", "../config.yaml", "/etc/kamstrup2mqtt/config.yaml"];

/// Reads the configuration: from `file`, or from the first of the usual places that has one, or
/// from `variables` alone.
pub fn load(file: Option<&Path>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let source = content(file)?;
    check(source.as_ref().map(|(path, text)| (*path, text.as_str())), variables)
}

/// The file that counts, and what is in it.
fn content(file: Option<&Path>) -> Result<Option<(&Path, String)>, ConfigError> {
    let usual = || PLACES.into_iter().map(Path::new).find(|path| path.exists());
    let Some(path) = file.or_else(usual) else { return Ok(None) };
    let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
    Ok(Some((path, read::configuration(path).map_err(unreadable)?)))
}

/// The configuration for a meter at `port` that is named on the command line: defaults and
/// `variables`, and what is not said of the meter is to be found out.
pub fn for_port(port: &str, variables: &Variables) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    settings.set("kamstrup.version", "auto", Place::Default);
    settings.read_variables(variables, &mut problems, &mut warnings);
    settings.set("serial_device.com_port", port, Place::Option("--port"));
    Checker { settings: &settings, listed: None, problems, warnings }.finish(None)
}

/// Where the page is, whatever else is wrong in the configuration; `None` where it has none.
#[must_use]
pub fn page(file: Option<&Path>, variables: &Variables) -> Option<SocketAddr> {
    let mut settings = Settings::default();
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    // What cannot be read says nothing of the page.
    if let Ok(Some((path, text))) = content(file) {
        let _ = settings.read_file(path, &text, &mut problems, &mut warnings);
    }
    // Others may name files with secrets, which are not wanted here.
    let mut variables = variables.clone();
    variables.retain(|name, _| name.starts_with("WEB_"));
    settings.read_variables(&variables, &mut problems, &mut warnings);
    Checker { settings: &settings, listed: None, problems, warnings }.page()
}

/// Checks a file's text and the variables over it.
pub fn check(file: Option<(&Path, &str)>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    if let Some((path, text)) = file {
        settings.read_file(path, text, &mut problems, &mut warnings)?;
    }
    settings.read_variables(variables, &mut problems, &mut warnings);
    if settings.is_empty() && problems.is_empty() && warnings.is_empty() {
        return Err(match file {
            Some((path, _)) => ConfigError::Empty { path: path.to_owned() },
            None => ConfigError::None,
        });
    }
    Checker { settings: &settings, listed: None, problems, warnings }
        .finish(file.map(|(path, _)| path))
}

/// Turns settings into a configuration and collects what is wrong with them.
///
/// A wrong setting is noted, and its default is used to go on checking the others.
struct Checker<'a> {
    settings: &'a Settings,
    /// The meter in the list whose settings these are.
    listed: Option<&'a Item>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'a> Checker<'a> {
    fn finish(mut self, file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let config = self.config();
        let Self { settings, problems, warnings, .. } = self;
        match config {
            Some(config) if problems.is_empty() => {
                let settings = Effective::new(settings, &config);
                Ok(Loaded { config, settings, warnings, file: file.map(Path::to_owned) })
            }
            _ => Err(ConfigError::Problems { problems, warnings }),
        }
    }

    /// `None` where something is missing that has no default.
    fn config(&mut self) -> Option<Config> {
        let credentials = self.credentials();
        let host = self.value("mqtt.host", host)?;
        let tls = self.tls(&host);
        let broker = Broker {
            host,
            port: self.port(tls.is_some())?,
            client_id: self.text("mqtt.client")?,
            credentials,
            tls,
        };
        let publishing = Publishing {
            topic: self.value("mqtt.topic", topic)?,
            qos: self.value("mqtt.qos", qos)?,
            retain: self.value("mqtt.retain", boolean)?,
            discovery_prefix: self.value("homeassistant.discovery_prefix", topic)?,
            status_topic: self.value("homeassistant.status_topic", topic)?,
            id_prefix: self.value("homeassistant.id_prefix", identifier)?,
        };
        let logging = self.logging();
        let meters = self.meters(&publishing.id_prefix);
        if let Some(meters) = &meters {
            self.broker_for_meter(meters, &broker);
        }
        let page = self.page();
        Some(Config { broker, publishing, meters: meters?, logging: logging?, page })
    }

    fn page(&mut self) -> Option<SocketAddr> {
        let listen = self.value("web.listen", parse);
        self.value("web.enabled", boolean).filter(|is_enabled| *is_enabled).and(listen)
    }

    fn port(&mut self, encrypted: bool) -> Option<NonZeroU16> {
        let port = self.value("mqtt.port", parse)?;
        if encrypted && self.setting("mqtt.port").is_none() {
            return NonZeroU16::new(PORT_WITH_TLS);
        }
        Some(port)
    }

    /// The one of the sections, or those of the list.
    fn meters(&mut self, id_prefix: &str) -> Option<Vec<Meter>> {
        let listed = self.settings.meters();
        if listed.is_empty() {
            let device_id = self.device_text("mqtt.device_id", None)?;
            return Some(vec![self.meter(None, device_id)?]);
        }
        let several = listed.len() > 1;
        let (mut meters, mut names, mut device_ids) = (Vec::new(), Vec::new(), Vec::new());
        for one in listed {
            let settings = self.settings.of(one);
            let mut checker = Checker {
                settings: &settings,
                listed: Some(&one.place),
                problems: Vec::new(),
                warnings: Vec::new(),
            };
            let name = checker.name(one, several);
            let device_id = checker.device_text("mqtt.device_id", name.as_ref())?;
            names.push(name.clone());
            // Without a name that it should have, what is made of the name says nothing.
            let unnamed = several && name.is_none() && !checker.is_own("mqtt.device_id");
            device_ids.push((!unnamed).then(|| device_id.clone()));
            meters.push(checker.meter(name, device_id));
            let Checker { problems, warnings, .. } = checker;
            // What is wrong in a section is wrong once, however many meters inherit it.
            let known = |problem: &Problem| self.problems.contains(problem);
            let news: Vec<_> = problems.into_iter().filter(|problem| !known(problem)).collect();
            self.problems.extend(news);
            let known = |warning: &String| self.warnings.contains(warning);
            let news: Vec<_> = warnings.into_iter().filter(|warning| !known(warning)).collect();
            self.warnings.extend(news);
        }
        let names: Vec<_> = names.iter().map(|name| name.as_ref().map(MeterName::as_str)).collect();
        let told_apart = self.unique(&keys::NAME, &names, str::eq_ignore_ascii_case);
        if let Some(key) = keys::find("mqtt.device_id") {
            let device_ids: Vec<_> = device_ids.iter().map(Option::as_deref).collect();
            self.unique(key, &device_ids, str::eq);
        }
        if told_apart {
            self.entities(&meters, id_prefix);
        }
        self.ports(&meters);
        meters.into_iter().collect()
    }

    /// A listed meter's name; several must have one.
    fn name(&mut self, listed: &Listed, several: bool) -> Option<MeterName> {
        if let Some(setting) = &listed.name {
            return self.one(keys::NAME.path, setting, parse);
        }
        if several {
            self.problems.push(Problem {
                what: listed.place.key(keys::NAME.path),
                found: "nothing, though there are several meters".to_owned(),
                accepted: keys::NAME.accepted.to_owned(),
            });
        }
        None
    }

    /// Notes texts that a meter before has as well. Whether there are none.
    fn unique(&mut self, key: &Key, texts: &[Option<&str>], same: fn(&str, &str) -> bool) -> bool {
        let listed = self.settings.meters();
        let mut unique = true;
        for (index, (one, text)) in listed.iter().zip(texts).enumerate() {
            let Some(text) = text else { continue };
            let mut before = listed.iter().zip(texts).take(index);
            let other = before.find(|(_, other)| other.is_some_and(|other| same(other, text)));
            let Some((other, _)) = other else { continue };
            unique = false;
            // Its own line, or that of the meter where it has none.
            let place = one.place_of(key);
            let Item { meter, spot } = other.place_of(key);
            let line = spot.as_ref().map(|spot| format!(" in line {}", spot.line));
            self.problems.push(Problem {
                what: place.key(key.name()),
                found: format!("`{text}`, which {meter}{} has as well", line.unwrap_or_default()),
                accepted: "another one for each meter".to_owned(),
            });
        }
        unique
    }

    /// Notes names with which two entities would have the same unique id, like `diff_energy` of the
    /// meter `a` and `energy` of the meter `a_diff`.
    fn entities(&mut self, meters: &[Option<Meter>], id_prefix: &str) {
        let mut known: BTreeMap<String, (&Listed, &str)> = BTreeMap::new();
        for (meter, listed) in meters.iter().zip(self.settings.meters()) {
            let Some(meter) = meter else { continue };
            let ids = Ids::new(id_prefix, meter.name.as_ref());
            let diagnostics = Diagnostic::ALL.map(Diagnostic::key);
            let values = meter.parameters.iter().map(Parameter::name);
            let keys: Vec<&str> = values.chain(diagnostics).chain([READ]).collect();
            let clash = keys.iter().find_map(|key| Some((key, known.get(&ids.with(key))?)));
            if let (Some((key, (other, other_key))), Some(name)) = (clash, &meter.name) {
                self.problems.push(Problem {
                    what: listed.place_of(&keys::NAME).key(keys::NAME.path),
                    found: format!(
                        "`{name}`, whose `{key}` would have the same unique id as `{other_key}` of \
                         {}",
                        other.place.meter
                    ),
                    accepted: "another name".to_owned(),
                });
            }
            known.extend(keys.into_iter().map(|key| (ids.with(key), (listed, key))));
        }
    }

    /// An optical head sees one meter: two at the same port are mostly a `com_port` that was
    /// forgotten, and one meter's values would pass for the other's.
    fn ports(&mut self, meters: &[Option<Meter>]) {
        let mut first: BTreeMap<String, &Item> = BTreeMap::new();
        for (meter, listed) in meters.iter().zip(self.settings.meters()) {
            let Some(meter) = meter else { continue };
            let port = meter.endpoint.to_string();
            let this = &listed.place;
            match first.get(&port) {
                None => drop(first.insert(port, this)),
                Some(other) => self.warnings.push(format!(
                    "{} and {} are both at {port}, where only one meter can be: check their \
                     `com_port`",
                    other.meter, this.meter
                )),
            }
        }
    }

    /// Where the broker listens there is no serial server.
    fn broker_for_meter(&mut self, meters: &[Meter], broker: &Broker) {
        let is_there = |meter: &&Meter| {
            matches!(&meter.endpoint, Endpoint::Tcp { host, port }
                if host.eq_ignore_ascii_case(&broker.host) && *port == broker.port)
        };
        if let Some(meter) = meters.iter().find(is_there) {
            self.warnings.push(format!(
                "the meter's port {} is the address of the MQTT broker: a serial server has a port of \
                 its own",
                meter.endpoint
            ));
        }
    }

    /// A text about the device; a meter with a name has this in it unless it has a text of its own.
    fn device_text(&mut self, path: &str, name: Option<&MeterName>) -> Option<String> {
        let joint = if path == "mqtt.device_id" { '_' } else { ' ' };
        let text = self.text(path)?;
        Some(match name {
            Some(name) if !self.is_own(path) => format!("{text}{joint}{name}"),
            _ => text,
        })
    }

    fn meter(&mut self, name: Option<MeterName>, device_id: String) -> Option<Meter> {
        let endpoint = self.endpoint();
        let meter = Meter {
            serial: self.serial()?,
            timeout: self.timeout()?,
            parameters: self.parameters(),
            poll_interval: self.value("kamstrup.poll_interval", interval)?,
            version: self.version()?,
            units: self.value("kamstrup.units", unit_system)?,
            device_id,
            device_name: self.device_text("mqtt.device_name", name.as_ref())?,
            name,
            endpoint: endpoint?,
        };
        Some(meter)
    }

    fn version(&mut self) -> Option<Version> {
        const PATH: &str = "kamstrup.version";
        let version = self.value(PATH, version)?;
        Some(match version {
            Version::Model(model) if self.setting(PATH).is_none() => Version::Assumed(model),
            said => said,
        })
    }

    /// `url` is another name of `com_port`. Where both stand in the file, the older program took
    /// `url`; the variable overrides both.
    fn endpoint(&mut self) -> Option<Endpoint> {
        const COM_PORT: &str = "serial_device.com_port";
        const URL: &str = "serial_device.url";
        let com_port = self.setting(COM_PORT);
        let url_counts = keys::find(URL).is_some_and(|key| self.settings.is_port_that_counts(key));
        if com_port.is_some() && url_counts {
            self.warnings.push(format!(
                "{} and {} mean the same; `url` is taken",
                self.called(URL),
                self.called(COM_PORT),
            ));
        }
        let path = if url_counts { URL } else { COM_PORT };
        if let Some(setting) = self.setting(path) {
            let parsed = match &setting.raw {
                Raw::Text(text) => text.parse().map_err(|reason| format!("`{text}` ({reason})")),
                Raw::List(_) => Err("a list".to_owned()),
            };
            return parsed.map_err(|found| self.wrong(path, setting, &found)).ok();
        }
        let key = keys::find(path)?;
        let what = match (self.listed, key.variable) {
            (Some(place), _) => place.key(key.name()),
            (None, Some(variable)) => format!("`{path}` (or the variable `{variable}`)"),
            (None, None) => format!("`{path}`"),
        };
        self.problems.push(Problem {
            what,
            found: self.nothing_for(path),
            accepted: key.accepted.to_owned(),
        });
        None
    }

    /// `nothing`, with what stands there misspelled instead.
    fn nothing_for(&self, path: &str) -> String {
        let meant = format!("; did you mean `{path}`?");
        let misspelled = self.warnings.iter().find(|warning| warning.ends_with(&meant));
        // The warning begins with the key.
        let key = misspelled.and_then(|warning| warning.split('`').nth(1));
        key.map_or("nothing".to_owned(), |key| format!("nothing, but `{key}`, which is not known"))
    }

    fn serial(&mut self) -> Option<SerialSettings> {
        Some(SerialSettings {
            baud: self.value("serial_device.baudrate", baud)?,
            data_bits: self.value("serial_device.bytesize", data_bits)?,
            parity: self.value("serial_device.parity", parity)?,
            stop_bits: self.value("serial_device.stopbits", stop_bits)?,
            dtr: self.value("serial_device.dtr", modem_line)?,
            rts: self.value("serial_device.rts", modem_line)?,
        })
    }

    /// The older program waits so long for every byte; for us it is how long an answer may take to
    /// begin, which must not be less than what a meter may take.
    fn timeout(&mut self) -> Option<Duration> {
        let timeout = self.value("serial_device.timeout", seconds)?;
        if timeout < THINKING {
            self.warnings.push(format!(
                "{} is shorter than the 1.6 s that a meter may take to answer: 1.6 s is taken",
                self.called("serial_device.timeout"),
            ));
        }
        Some(timeout.max(THINKING))
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let wanted = self.value("mqtt.authentication", boolean);
        let username = self.value("mqtt.username", |text| text_of(text, 65535));
        let password = self.value("mqtt.password", |text| text_of(text, 65535));
        match (wanted, username) {
            (Some(false), Some(_)) => {
                self.warnings.push(
                    "`mqtt.authentication` is off, so `mqtt.username` and `mqtt.password` are not used"
                        .to_owned(),
                );
                None
            }
            (Some(false) | None, None) => {
                if password.is_some() {
                    self.warnings.push(
                        "`mqtt.password` is set without `mqtt.username`, so it is not used"
                            .to_owned(),
                    );
                }
                None
            }
            (_, Some(username)) => {
                // One that was set and cannot be had is a problem by itself.
                if password.is_none() && self.problems.is_empty() {
                    self.warnings.push(
                        "`mqtt.username` is set and `mqtt.password` is empty (a password with `#`, \
                         `!`, `&` and the like needs quotes around it)"
                            .to_owned(),
                    );
                }
                let password = Secret::new(password.unwrap_or_default());
                Some(Credentials { username, password })
            }
            (Some(true), None) => {
                self.problems.push(Problem {
                    what: "`mqtt.username` (or the variable `MQTT_USERNAME`)".to_owned(),
                    found: "nothing, though `mqtt.authentication` is on".to_owned(),
                    accepted: "the user name for the broker, or `authentication: false`".to_owned(),
                });
                None
            }
        }
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        const PATH: &str = "kamstrup.parameters";
        let setting = self.setting(PATH);
        let by_default = keys::default(PATH).unwrap_or_default();
        let texts: Vec<&str> = match setting.map(|setting| &setting.raw) {
            None => by_default.split(',').collect(),
            Some(Raw::Text(text)) => text.split(',').collect(),
            Some(Raw::List(items)) => items.iter().flat_map(|item| item.split(',')).collect(),
        };
        let mut parameters: Vec<Parameter> = Vec::new();
        for text in texts.into_iter().map(str::trim).filter(|text| !text.is_empty()) {
            match text.parse::<Parameter>() {
                Ok(parameter) if parameters.contains(&parameter) => {}
                Ok(parameter) => parameters.push(parameter),
                Err(UnknownParameter) => {
                    if let Some(setting) = setting {
                        let found = format!("`{text}`{}", meant_parameter(text));
                        self.wrong(PATH, setting, &found);
                    }
                }
            }
        }
        if parameters.is_empty() {
            let defaults = by_default.split(',').map(str::trim);
            parameters.extend(defaults.filter_map(|name| name.parse().ok()));
        }
        parameters
    }

    /// Whether a listed meter has this setting itself.
    fn is_own(&self, path: &str) -> bool {
        self.setting(path).is_some_and(|setting| matches!(setting.place, Place::Item(_)))
    }

    fn setting(&self, path: &str) -> Option<&'a Setting> {
        keys::find(path).and_then(|key| self.settings.get(key))
    }

    /// What messages call a setting where its line does not matter.
    fn called(&self, path: &str) -> String {
        match self.setting(path).map(|setting| &setting.place) {
            Some(Place::Item(item)) => {
                item.key_alone(keys::find(path).map_or(path, |key| key.name()))
            }
            _ => format!("`{path}`"),
        }
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.value(path, |text| text_of(text, 256))
    }

    /// A setting's checked value. Where it was not made, or is wrong and noted: its default, `None`
    /// where it has none.
    fn value<T>(&mut self, path: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let made = self.setting(path).and_then(|setting| self.one(path, setting, &parse));
        made.or_else(|| match self.settings.default_of(keys::find(path)?) {
            Fallback::Value(text) => parse(text),
            Fallback::Words(_) => None,
        })
    }

    fn one<T>(
        &mut self,
        path: &str,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Raw::Text(text) = &setting.raw else {
            self.wrong(path, setting, "a list");
            return None;
        };
        let value = parse(text);
        if value.is_none() {
            self.wrong(path, setting, &format!("`{text}`"));
        }
        value
    }

    /// What a problem calls a setting.
    fn place(path: &str, setting: &Setting) -> String {
        match &setting.place {
            Place::Variable(variable) => format!("the variable `{variable}`"),
            Place::Option(option) => format!("the option `{option}`"),
            Place::Default | Place::Form | Place::HomeAssistant => format!("`{path}`"),
            Place::Item(item) => item.key(keys::find(path).map_or(path, |key| key.name())),
            Place::File(spot) => format!("`{path}` in {spot}"),
            Place::SecretFile { variable, path } => {
                format!("the file {} (the variable `{variable}`)", path.display())
            }
        }
    }

    fn wrong(&mut self, path: &str, setting: &Setting, found: &str) {
        let Some(key) = keys::find(path) else { return };
        let what = Self::place(path, setting);
        let shown = if key.secret { "a text that is not shown" } else { found };
        let mut found = without_any_login(&shortened(shown));
        if let (Some(meant), Raw::Text(text)) = (meant(path), &setting.raw) {
            found.push_str(&meant(text).unwrap_or_default());
        }
        let accepted = key.accepted.to_owned();
        self.problems.push(Problem { what, found, accepted });
    }
}

/// On one line, and not for ever.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push_str("...`");
    }
    shown.replace(char::is_control, " ")
}

/// What was found, without a log-in: `user:password@host` is no host.
fn without_any_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, host)) if login.contains(':') && !text.contains("://") => {
            let quote = if text.starts_with('`') { "`" } else { "" };
            format!("{quote}***@{host}")
        }
        _ => without_login(text),
    }
}

/// `mqtt://user:password@host` as `mqtt://***@host`.
fn without_login(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, host))) if rest.contains('@') => {
            format!("{scheme}://***@{host}")
        }
        _ => text.to_owned(),
    }
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

fn text_of(text: &str, longest: usize) -> Option<String> {
    (!text.is_empty() && text.len() <= longest && !text.contains('\0')).then(|| text.to_owned())
}

fn host(text: &str) -> Option<String> {
    let text = text.trim();
    // One colon is a port's, several are an IPv6 address's.
    let fits = !text.is_empty()
        && text.len() <= 253
        && text.matches(':').count() != 1
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]%".contains(c));
    fits.then(|| text.to_owned())
}

/// ` (did you mean …)` for a parameter that is not known.
fn meant_parameter(text: &str) -> String {
    let keys = kmp::register::REGISTERS.iter().map(|info| info.key);
    match keys::most_like(text, keys) {
        Some(key) => format!(" (did you mean `{key}`?)"),
        None if text.parse::<u64>().is_ok() => " (numbers go up to 65535)".to_owned(),
        None => String::new(),
    }
}

/// What to say of a text that is wrong for this setting, from that text.
fn meant(path: &str) -> Option<fn(&str) -> Option<String>> {
    match path {
        "mqtt.host" => Some(meant_host),
        "logging.directory" => Some(meant_directory),
        "logging.filename" => Some(meant_filename),
        _ => None,
    }
}

/// ` (did you mean …)` for an address with a port or a scheme; nothing with a log-in in it.
fn meant_host(text: &str) -> Option<String> {
    let text = text.trim();
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let address = address.strip_suffix('/').unwrap_or(address);
    let (name, port) = match address.rsplit_once(':') {
        Some((name, port)) if name.matches(':').count() == 0 || name.ends_with(']') => {
            (name, Some(port.parse::<NonZeroU16>().ok()?))
        }
        _ => (address, None),
    };
    let name = host(name)?;
    Some(match port {
        Some(port) => format!(" (did you mean `{name}`, and {port} as `mqtt.port`?)"),
        None => format!(" (did you mean `{name}`?)"),
    })
}

/// What to write for `~`, of which only a shell makes a folder.
fn meant_directory(text: &str) -> Option<String> {
    let rest = logging::in_home(text)?;
    Some(format!(" (`~` means nothing here: write the whole path, like `/home/NAME{rest}`)"))
}

/// Where the folder of a path belongs.
fn meant_filename(text: &str) -> Option<String> {
    let (folder, name) = text.rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
    let folder = match logging::in_home(folder) {
        Some(rest) => format!("/home/NAME{rest}"),
        None if folder.is_empty() => "/".to_owned(),
        None => folder.to_owned(),
    };
    Some(format!(" (did you mean `{name}`, and `{folder}` as `logging.directory`?)"))
}

/// A topic that can be published to (MQTT 3.1.1, 4.7.1).
fn topic(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=256).contains(&text.len())
        && !text.contains(|c: char| matches!(c, '+' | '#') || c.is_control());
    fits.then(|| text.to_owned())
}

/// What YAML 1.1 and the older program take for a truth value.
fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn qos(text: &str) -> Option<Qos> {
    match text.trim() {
        "0" => Some(Qos::AtMostOnce),
        "1" => Some(Qos::AtLeastOnce),
        "2" => Some(Qos::ExactlyOnce),
        _ => None,
    }
}

/// From the slowest to the fastest that a serial port of today offers.
fn baud(text: &str) -> Option<NonZeroU32> {
    parse(text).filter(|baud: &NonZeroU32| (300..=115_200).contains(&baud.get()))
}

fn data_bits(text: &str) -> Option<DataBits> {
    match text.trim() {
        "7" => Some(DataBits::Seven),
        "8" => Some(DataBits::Eight),
        _ => None,
    }
}

fn parity(text: &str) -> Option<Parity> {
    match text.trim().to_ascii_uppercase().as_str() {
        "NONE" | "N" => Some(Parity::None),
        "EVEN" | "E" => Some(Parity::Even),
        "ODD" | "O" => Some(Parity::Odd),
        _ => None,
    }
}

fn stop_bits(text: &str) -> Option<StopBits> {
    match text.trim() {
        "1" => Some(StopBits::One),
        "2" => Some(StopBits::Two),
        _ => None,
    }
}

fn modem_line(text: &str) -> Option<ModemLine> {
    if text.trim().eq_ignore_ascii_case("leave") {
        return Some(ModemLine::Leave);
    }
    boolean(text).map(|on| if on { ModemLine::Raise } else { ModemLine::Lower })
}

/// Python's names of levels. It has one more than we do; the highest two are one here.
fn level(text: &str) -> Option<Level> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DEBUG" => Some(Level::DEBUG),
        "INFO" => Some(Level::INFO),
        "WARNING" | "WARN" => Some(Level::WARN),
        "ERROR" | "CRITICAL" | "FATAL" => Some(Level::ERROR),
        _ => None,
    }
}

/// Minutes as a plain number, as the older program has them, or a time with its units.
fn interval(text: &str) -> Option<Duration> {
    let allowed = Duration::from_millis(1200)..=Duration::from_secs(7 * 24 * 60 * 60);
    let interval = match parse::<Decimal>(text) {
        Some(minutes) => {
            let milliseconds = minutes.checked_mul(Decimal::from(60_000))?;
            Duration::from_millis(milliseconds.trunc().to_u64()?)
        }
        None => Duration::try_from(parse::<SignedDuration>(text)?).ok()?,
    };
    allowed.contains(&interval).then_some(interval)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: Decimal = parse(text)?;
    let nanoseconds = seconds.checked_mul(Decimal::from(1_000_000_000))?.to_u64()?;
    let allowed = Decimal::ZERO..=Decimal::from(60);
    allowed.contains(&seconds).then_some(Duration::from_nanos(nanoseconds))
}

fn version(text: &str) -> Option<Version> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "auto" => Some(Version::Auto),
        "generic" => Some(Version::Generic),
        other => model_meant(other).map(Version::Model),
    }
}

fn unit_system(text: &str) -> Option<UnitSystem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "standard" => Some(UnitSystem::Standard),
        "meter" => Some(UnitSystem::Meter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    }

    fn from_yaml(yaml: &str) -> Result<Loaded, ConfigError> {
        check(Some((Path::new("config.yaml"), yaml)), &BTreeMap::new())
    }

    const PORT: (&str, &str) = ("SERIAL_COM_PORT", "/dev/ttyUSB0");

    fn with(name: &str, value: &str) -> Result<Loaded, ConfigError> {
        check(None, &variables(&[PORT, (name, value)]))
    }

    #[test]
    fn the_sample_of_the_older_program() {
        let loaded = from_yaml(include_str!("../../tests/whole_program/sample.yaml")).unwrap();
        insta::assert_debug_snapshot!((loaded.config, loaded.warnings));
    }

    #[test]
    fn defaults_are_those_of_the_older_program() {
        let loaded = check(None, &variables(&[PORT])).unwrap();
        insta::assert_debug_snapshot!((loaded.config, loaded.warnings));
    }

    #[test]
    fn the_example_file_is_valid_and_names_every_key() {
        let example = include_str!("../../kamstrup2mqtt.example.yaml");
        let loaded = from_yaml(example).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        for key in keys::KEYS {
            // What others stand for.
            if key.sample == keys::Sample::Hidden {
                continue;
            }
            let name = key.path.split('.').nth(1).unwrap();
            assert!(example.contains(&format!(" {name}:")), "{} is missing", key.path);
        }
    }

    /// Each line that the example shows behind a `#` may be used as it stands.
    #[test]
    fn each_sample_of_the_example_is_valid() {
        let example = include_str!("../../kamstrup2mqtt.example.yaml");
        for (index, line) in example.lines().enumerate() {
            let Some(sample) = line.strip_prefix("  # ") else { continue };
            let mut lines: Vec<&str> = example.lines().collect();
            let indented = format!("  {sample}");
            lines[index] = &indented;
            // Some are odd without others, but none is wrong.
            from_yaml(&lines.join("\n")).unwrap_or_else(|error| panic!("{sample}: {error}"));
        }
    }

    #[test]
    fn variables_override_the_file() {
        let yaml = include_str!("../../tests/whole_program/sample.yaml");
        let all = variables(&[
            ("MQTT_HOST", "broker.lan"),
            ("MQTT_PORT", "1884"),
            ("MQTT_CLIENT", "cellar"),
            ("MQTT_TOPIC", "heat"),
            ("MQTT_QOS", "2"),
            ("MQTT_RETAIN", "TRUE"),
            ("MQTT_AUTHENTICATION", "1"),
            ("MQTT_USERNAME", "somebody"),
            ("MQTT_PASSWORD", "0123"),
            ("SERIAL_COM_PORT", "/dev/ttyUSB1"),
            ("KAMSTRUP_PARAMETERS", " energy , 0x003C,Energy,"),
            ("KAMSTRUP_POLL_INTERVAL", "0.5"),
            ("KAMSTRUP_VERSION", "603"),
            ("SERIAL_BAUDRATE", "2400"),
            ("SERIAL_PARITY", "even"),
            ("SERIAL_STOPBITS", "1"),
            ("SERIAL_BYTESIZE", "7"),
            ("SERIAL_TIMEOUT", "2.5"),
            ("SERIAL_DTR", "No"),
            ("SERIAL_RTS", "leave"),
            ("KAMSTRUP_UNITS", "meter"),
            ("LOG_LEVEL", "debug"),
            ("MQTT_TLS_ENABLED", ""),
        ]);
        let loaded = check(Some((Path::new("config.yaml"), yaml)), &all).unwrap();
        insta::assert_debug_snapshot!(loaded.config);
        let Credentials { password, .. } = loaded.config.broker.credentials.unwrap();
        assert_eq!(password.reveal(), "0123");
    }

    #[test]
    fn files_as_people_write_them() {
        // A byte order mark, Windows line ends, tabs after values, quoted numbers, empty sections,
        // other truth values, a password of digits, a list as text.
        let yaml = "\u{FEFF}mqtt:\r\n  host: 10.0.0.2\t\r\n  port: '1884'\r\n  retain: yes\r\n  \
                    username: 007\r\n  password: 0123456789012345678901234567890\r\n\
                    serial_device:\r\n  url: socket://10.0.0.3:2003\r\nkamstrup:\r\n  \
                    parameters: energy, Power,60\r\nlogging:\r\nhomeassistant:\r\n";
        let loaded = from_yaml(yaml).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        let config = loaded.config;
        assert_eq!(config.broker.host, "10.0.0.2");
        assert_eq!(config.broker.port.get(), 1884);
        assert!(config.publishing.retain);
        let credentials = config.broker.credentials.unwrap();
        assert_eq!(credentials.username, "007");
        assert_eq!(credentials.password.reveal(), "0123456789012345678901234567890");
        let meter = &config.meters[0];
        assert_eq!(meter.endpoint.to_string(), "socket://10.0.0.3:2003");
        let names: Vec<_> = meter.parameters.iter().map(Parameter::name).collect();
        assert_eq!(names, ["energy", "power", "60"]);
    }

    #[test]
    fn a_password_without_a_user_is_told() {
        let yaml = "mqtt: {password: hunter2}\nserial_device: {com_port: /dev/ttyUSB0}\n";
        let expected = "`mqtt.password` is set without `mqtt.username`, so it is not used";
        assert_eq!(from_yaml(yaml).unwrap().warnings, [expected]);
    }

    #[test]
    fn authentication_decides_whether_credentials_are_used() {
        let user = |authentication: &str| {
            let yaml = format!(
                "mqtt: {{{authentication} username: somebody, password: x}}\n\
                 serial_device: {{com_port: /dev/ttyUSB0}}"
            );
            from_yaml(&yaml).unwrap().config.broker.credentials.map(|c| c.username)
        };
        assert_eq!(user("authentication: False,"), None);
        assert_eq!(user("authentication: True,"), Some("somebody".to_owned()));
        assert_eq!(user(""), Some("somebody".to_owned()));
        let error = with("MQTT_AUTHENTICATION", "true").unwrap_err().to_string();
        assert!(error.contains("`mqtt.username` (or the variable `MQTT_USERNAME`)"), "{error}");
    }

    #[test]
    fn where_the_page_is_whatever_else_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("meter.yaml");
        let found = |text: &str, variables: &[(&str, &str)]| {
            std::fs::write(&file, text).unwrap();
            let text = |(name, value): &(&str, &str)| ((*name).to_owned(), OsString::from(value));
            let variables = variables.iter().map(text).collect();
            page(Some(&file), &variables).map(|page| page.to_string())
        };
        let at = |text: &str| Some(text.to_owned());
        let elsewhere = "mqtt: { qos: 7 }\nweb: { listen: '0.0.0.0:80' }\n";
        assert_eq!(found("mqtt:\n", &[]), at("127.0.0.1:8099"));
        assert_eq!(found(elsewhere, &[("MQTT_PASSWORD_FILE", "/no/such")]), at("0.0.0.0:80"));
        assert_eq!(found(elsewhere, &[("WEB_LISTEN", "[::1]:81")]), at("[::1]:81"));
        assert_eq!(found(elsewhere, &[("WEB_ENABLED", "no")]), None);
        assert_eq!(found("web: { listen: here }\n", &[]), at("127.0.0.1:8099"));
        assert_eq!(found("mqtt:\n\tqos: 7\n", &[("WEB_LISTEN", "[::1]:81")]), at("[::1]:81"));
        let none = page(Some(&folder.path().join("none")), &Variables::new());
        assert_eq!(none.map(|page| page.to_string()), at("127.0.0.1:8099"));
    }

    /// Everything that is refused, in its own words.
    #[test]
    fn errors() {
        let files = [
            ("nothing", ""),
            (
                "wrong shapes",
                "mqtt: yes\nserial_device: [1]\nkamstrup:\n  parameters: {a: 1}\n  version: [402]\n",
            ),
            ("not sections", "- mqtt\n"),
            ("text", "mqtt\n"),
            ("a tab", "mqtt:\n\thost: x\n"),
            ("two documents", "mqtt:\n  host: a\n---\nmqtt:\n  host: b\n"),
            ("a tag", "mqtt:\n  password: !hunter2\n"),
            ("a misspelled key", "serial_device: {com_prot: /dev/ttyUSB0}\n"),
            ("a colon", "mqtt:\n  password: a: b\n"),
            ("RFC 2217", "serial_device: {url: 'rfc2217://somebody:hunter2@host:1'}\n"),
            ("a list of ports", "serial_device: {com_port: [/dev/ttyUSB0]}\n"),
            ("TLS", "mqtt: {tls_enabled: perhaps}\nserial_device: {com_port: /dev/ttyUSB0}\n"),
        ];
        let mut texts: Vec<String> = files
            .iter()
            .map(|(name, yaml)| {
                let error = from_yaml(yaml).unwrap_err();
                format!("{name}: {error}\n  hint: {}", error.hint())
            })
            .collect();
        let variables = [
            ("MQTT_HOST", "mqtt://host"),
            ("MQTT_HOST", "mqtt://somebody:hunter2@host"),
            ("MQTT_HOST", "somebody:hunter2@host"),
            ("SERIAL_COM_PORT", "somebody:hunter2@host:2003"),
            ("MQTT_PORT", "0"),
            ("MQTT_CLIENT", &"x".repeat(257)),
            ("MQTT_TOPIC", "a/#"),
            ("MQTT_QOS", "3"),
            ("MQTT_RETAIN", "maybe"),
            ("MQTT_TLS_ENABLED", "maybe"),
            ("SERIAL_COM_PORT", "rfc2217://host:1"),
            ("SERIAL_COM_PORT", "http://host:80"),
            ("SERIAL_COM_PORT", "socket://host"),
            ("SERIAL_COM_PORT", "ttyUSB0"),
            ("SERIAL_BAUDRATE", "12OO"),
            ("SERIAL_PARITY", "mark"),
            ("SERIAL_STOPBITS", "3"),
            ("SERIAL_BYTESIZE", "9"),
            ("SERIAL_TIMEOUT", "-1"),
            ("SERIAL_TIMEOUT", "60.1"),
            ("SERIAL_TIMEOUT", "2 s"),
            ("SERIAL_DTR", "high"),
            ("SERIAL_RTS", "2"),
            ("KAMSTRUP_PARAMETERS", "energy,65536,flux"),
            ("KAMSTRUP_POLL_INTERVAL", "0"),
            ("KAMSTRUP_POLL_INTERVAL", "five"),
            ("KAMSTRUP_POLL_INTERVAL", "99999"),
            ("KAMSTRUP_VERSION", "404"),
            ("KAMSTRUP_UNITS", "imperial"),
            ("LOG_LEVEL", "loud"),
        ];
        texts.extend(variables.iter().map(|(name, value)| {
            let error = with(name, value).unwrap_err().to_string();
            error.replace(&"x".repeat(200), "x…")
        }));
        insta::assert_snapshot!(texts.join("\n"));
    }

    /// Lists that are taken: what is the same for all is told once, what differs for each.
    #[test]
    fn lists_of_meters() {
        let lists = [
            (
                "three, with sections for what they share",
                "mqtt: {device_id: heat, device_name: Heat}\n\
                 serial_device: {com_port: /dev/ttyUSB0, timeout: 2}\n\
                 kamstrup: {poll_interval: 10, version: 603, parameters: energy}\n\
                 meters:\n\
                 \x20 - name: house\n\
                 \x20 - name: Garage\n    url: socket://10.0.0.3:2003\n    units: meter\n    \
                 poll_interval: 0.5\n    device_id: garage\n    device_name: The Garage\n\
                 \x20 - name: barn-2\n    com_port: socket://10.0.0.3:2004\n    version: auto\n    \
                 parameters: [power, 60]\n    baudrate: 300\n    parity: even\n    timeout: 1\n    \
                 dtr: off\n",
            ),
            ("one without a name", "meters: [{com_port: /dev/ttyUSB1}]\n"),
            ("one with a name", "meters: [{name: house, com_port: /dev/ttyUSB1}]\n"),
            ("an empty list", "serial_device: {com_port: /dev/ttyUSB0}\nmeters: []\n"),
            ("nothing", "serial_device: {com_port: /dev/ttyUSB0}\nmeters:\n"),
            (
                "what is odd",
                "serial_device: {com_port: /dev/ttyUSB0, timeout: 1}\nmeters:\n  - name: a\n    \
                 com_prot: x\n  - name: b\n    topic: x\n    serial_device: {com_port: x}\n\
                 \x20 - name: c\n    com_port: /dev/ttyUSB1\n    url: /dev/ttyUSB2\n    \
                 url: /dev/ttyUSB3\n    timeout: 0\n",
            ),
        ];
        let texts: Vec<String> = lists
            .iter()
            .map(|(name, yaml)| {
                let Loaded { config, warnings, .. } = from_yaml(yaml).unwrap();
                let lines: Vec<_> =
                    config.meters.iter().map(|meter| format!("{meter:?}")).collect();
                format!("{name}: {warnings:#?}\n{}", lines.join("\n"))
            })
            .collect();
        insta::assert_snapshot!(texts.join("\n\n"));
    }

    /// Every list that is refused, in its own words.
    #[test]
    fn errors_of_lists() {
        const TWO: &str = "serial_device: {com_port: /dev/ttyUSB0}\nmeters:\n";
        let lists = [
            ("a text", "meters: house\n".to_owned()),
            ("keys", "meters:\n  house: {com_port: /dev/ttyUSB0}\n".to_owned()),
            ("a list of texts", format!("{TWO}  - house\n  -\n  - [1]\n")),
            ("no port", "meters:\n  - name: house\n    version: 402\n  - name: b\n".to_owned()),
            ("no port and no name", "meters:\n  - version: 402\n".to_owned()),
            ("no names", format!("{TWO}  - com_port: /dev/ttyUSB1\n  - name:\n    version: 402\n")),
            ("wrong names", format!("{TWO}  - name: the house\n  - name: Status\n  - name: [a]\n")),
            ("the same name", format!("{TWO}  - name: house\n  - name: b\n  - name: House\n")),
            (
                "the same device",
                format!(
                    "{TWO}  - name: a\n  - {{name: b, device_id: kamstrup_meter_a}}\n  \
                     - {{name: c, device_id: kamstrup_meter_d}}\n  - name: d\n"
                ),
            ),
            (
                "the same unique id",
                format!(
                    "{TWO}  - {{name: a, parameters: diff_energy}}\n  \
                     - {{name: a_diff, com_port: /dev/ttyUSB1}}\n"
                ),
            ),
            (
                "wrong values",
                format!(
                    "{TWO}  - name: garage\n    com_port: ttyUSB1\n    poll_interval: 0\n    \
                     parameters: [energy, flux]\n  - name: a b\n    version: 404\n    \
                     baudrate: [1]\n    dtr: {{}}\n"
                ),
            ),
            (
                "wrong in a section",
                "kamstrup: {version: 404}\nserial_device: {com_port: rfc2217://me:hunter2@host:1}\n\
                 meters: [{name: a}, {name: b}, {name: c, version: 402, com_port: /dev/ttyUSB0}]\n"
                    .to_owned(),
            ),
        ];
        let texts: Vec<String> = lists
            .iter()
            .map(|(name, yaml)| format!("{name}: {}", from_yaml(yaml).unwrap_err()))
            .collect();
        insta::assert_snapshot!(texts.join("\n"));
    }

    /// What is said for a single meter, in the file or by variable, is what a meter in the list gets
    /// without that key; its own key counts more than both.
    #[test]
    fn a_listed_meter_inherits_what_it_does_not_have() {
        let said = [
            ("serial_device.com_port", "/dev/ttyUSB7", "/dev/ttyUSB8"),
            ("serial_device.baudrate", "2400", "4800"),
            ("serial_device.parity", "ODD", "EVEN"),
            ("serial_device.stopbits", "1", "2"),
            ("serial_device.bytesize", "7", "8"),
            ("serial_device.timeout", "3", "4"),
            ("serial_device.dtr", "off", "leave"),
            ("serial_device.rts", "off", "leave"),
            ("kamstrup.parameters", "energy", "power"),
            ("kamstrup.poll_interval", "7", "8"),
            ("kamstrup.version", "603", "403"),
            ("kamstrup.units", "meter", "standard"),
        ];
        let of_meters =
            |key: &&Key| keys::of_meter(key.name()).is_some_and(|of| of.path == key.path);
        // Another name of the first, and what a name is added to.
        let others = ["serial_device.url", "mqtt.device_id", "mqtt.device_name"];
        assert_eq!(keys::KEYS.iter().filter(of_meters).count(), said.len() + others.len());

        let load = |yaml: &str, variables: &Variables| {
            let loaded = check(Some((Path::new("config.yaml"), yaml)), variables).unwrap();
            assert_eq!(loaded.warnings, [""; 0]);
            loaded.config.meters
        };
        let one = |path: &str, text: &str| {
            let (section, name) = path.split_once('.').unwrap();
            let port = if path == "serial_device.com_port" { "" } else { "com_port: /dev/ttyUSB0" };
            match section {
                "serial_device" => format!("serial_device: {{{name}: {text}, {port}}}\n"),
                _ => format!("serial_device: {{{port}}}\n{section}: {{{name}: {text}}}\n"),
            }
        };
        let none = Variables::new();
        for (path, text, other) in said {
            let variable = variables(&[(keys::find(path).unwrap().variable.unwrap(), text)]);
            let name = path.split_once('.').unwrap().1;
            let single = load(&one(path, text), &none);
            let differs = load(&one(path, other), &none);
            assert_ne!(single, differs, "{path}");
            let listed = format!("{}meters: [{{}}]\n", one(path, text));
            assert_eq!(load(&listed, &none), single, "{path}");
            let listed = format!("{}meters: [{{}}]\n", one(path, other));
            assert_eq!(load(&listed, &variable), single, "{path}");
            let listed = format!("{}meters: [{{{name}: {other}}}]\n", one(path, text));
            assert_eq!(load(&listed, &none), differs, "{path}");
            assert_eq!(load(&listed, &variable), differs, "{path}");
        }
        // Of the two names of the port, the list's own counts, whichever it is.
        let yaml = "serial_device: {url: 'socket://a:1'}\nmeters: [{com_port: /dev/ttyUSB1}]\n";
        assert_eq!(load(yaml, &none)[0].endpoint.to_string(), "/dev/ttyUSB1");
        let yaml = "serial_device: {com_port: /dev/ttyUSB1}\nmeters: [{url: 'socket://a:1'}]\n";
        assert_eq!(load(yaml, &variables(&[PORT]))[0].endpoint.to_string(), "socket://a:1");
    }

    /// The list that the example shows as a comment.
    #[test]
    fn the_list_of_the_example_is_valid() {
        let example = include_str!("../../kamstrup2mqtt.example.yaml");
        let (before, list) = example.split_once("# meters:").unwrap();
        let list: Vec<_> = list
            .lines()
            .map_while(|line| line.strip_prefix("# ").or(Some(line).filter(|l| l.is_empty())))
            .collect();
        let loaded = from_yaml(&format!("{before}meters:{}\n", list.join("\n"))).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        let names: Vec<_> = loaded.config.meters.iter().flat_map(|meter| &meter.name).collect();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn what_is_not_known_is_a_warning() {
        let yaml =
            "mqtt: {hosst: a, host: b}\nserial_device: {com_port: /dev/ttyUSB0}\nweather: 1\n";
        let loaded = from_yaml(yaml).unwrap();
        assert_eq!(
            loaded.warnings,
            [
                "`mqtt.hosst` in config.yaml, line 1, column 8, is not known and is ignored; did you \
                 mean `mqtt.host`?",
                "`weather` in config.yaml, line 3, column 1, is not known and is ignored",
            ]
        );
        assert_eq!(loaded.config.broker.host, "b");
    }

    /// As the older program's parser has it.
    #[test]
    fn of_a_key_that_stands_twice_the_last_one_counts() {
        let yaml = "mqtt: {host: a}\nserial_device: {com_port: /dev/ttyUSB0}\n\
                    mqtt:\n  host: b\n  host: c\n";
        let loaded = from_yaml(yaml).unwrap();
        assert_eq!(loaded.config.broker.host, "c");
        assert_eq!(
            loaded.warnings,
            [
                "`mqtt` in config.yaml, line 1, column 1, stands there twice: the last one counts",
                "`mqtt.host` in config.yaml, line 4, column 3, stands there twice: the last one counts",
            ]
        );
    }

    #[test]
    fn the_variable_overrides_both_names_of_the_port() {
        let yaml = "serial_device: {url: 'socket://a:1', com_port: /dev/ttyUSB0}";
        let file = Some((Path::new("config.yaml"), yaml));
        let port = |variables: &Variables| {
            let loaded = check(file, variables).unwrap();
            (loaded.config.meters[0].endpoint.to_string(), loaded.warnings.len())
        };
        assert_eq!(port(&BTreeMap::new()), ("socket://a:1".to_owned(), 1));
        let variable = variables(&[("SERIAL_COM_PORT", "/dev/ttyUSB9")]);
        assert_eq!(port(&variable), ("/dev/ttyUSB9".to_owned(), 0));
    }

    #[test]
    fn a_variable_that_is_no_text_is_a_problem() {
        use std::os::unix::ffi::OsStringExt;

        let mut all = variables(&[PORT]);
        all.insert("MQTT_PASSWORD".to_owned(), OsString::from_vec(vec![0xFF, 0xFE]));
        all.insert("UNRELATED".to_owned(), OsString::from_vec(vec![0xFF]));
        let error = check(None, &all).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "`MQTT_PASSWORD`: found bytes that are not UTF-8, accepted: up to 65535 characters"
            ),
            "{error}"
        );
    }

    #[test]
    fn poll_intervals() {
        let interval = |text: &str| {
            with("KAMSTRUP_POLL_INTERVAL", text).ok().map(|l| l.config.meters[0].poll_interval)
        };
        assert_eq!(interval("5"), Some(Duration::from_secs(300)));
        // Which the older program turned into no pause at all.
        assert_eq!(interval("0.5"), Some(Duration::from_secs(30)));
        assert_eq!(interval("0.02"), Some(Duration::from_millis(1200)));
        assert_eq!(interval("0.019"), None);
        assert_eq!(interval("-5"), None);
        assert_eq!(interval("10080"), Some(Duration::from_secs(604_800)));
        assert_eq!(interval("10080.01"), None);
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            (" 5 m ", 300),
            ("1h", 3600),
            ("1h30m", 5400),
            ("1.5h", 5400),
            ("2 minutes", 120),
            ("7d", 0),
            ("5 M", 0),
            ("1s", 0),
            ("-5m", 0),
            ("169h", 0),
            ("5x", 0),
            ("5m x", 0),
        ] {
            let expected = Some(seconds).filter(|&seconds| seconds > 0).map(Duration::from_secs);
            assert_eq!(interval(text), expected, "{text}");
        }
    }

    /// Those of the older program, whose default meters cannot keep to.
    #[test]
    fn timeouts() {
        let timeout = |text: &str| {
            let loaded = with("SERIAL_TIMEOUT", text).unwrap();
            (loaded.config.meters[0].timeout, loaded.warnings)
        };
        for (text, milliseconds) in [("1.6", 1600), ("2", 2000), ("2.0", 2000), ("60", 60_000)] {
            assert_eq!(timeout(text), (Duration::from_millis(milliseconds), vec![]), "{text}");
        }
        for text in ["0", "0.5", "1.599999999"] {
            let (timeout, warnings) = timeout(text);
            assert_eq!(timeout, THINKING);
            assert_eq!(
                warnings,
                ["`serial_device.timeout` is shorter than the 1.6 s that a meter may take to \
                     answer: 1.6 s is taken"],
                "{text}"
            );
        }
    }

    #[test]
    fn modem_lines() {
        let lines = |yaml: &str| {
            let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0{yaml}}}");
            let loaded = from_yaml(&yaml).unwrap();
            assert_eq!(loaded.warnings, [""; 0]);
            let serial = loaded.config.meters[0].serial;
            (serial.dtr, serial.rts)
        };
        assert_eq!(lines(""), (ModemLine::Raise, ModemLine::Raise));
        assert_eq!(lines(", dtr: on, rts: off"), (ModemLine::Raise, ModemLine::Lower));
        assert_eq!(lines(", dtr: false, rts: Leave"), (ModemLine::Lower, ModemLine::Leave));
    }

    /// What users call settings, and slips of the finger; others' names are left alone.
    #[test]
    fn what_was_meant() {
        for (path, meant) in [
            ("mqtt.hosst", "mqtt.host"),
            ("mqtt.user", "mqtt.username"),
            ("mqtt.tls_cacert", "mqtt.tls_ca_cert"),
            ("mqtt.com_port", "serial_device.com_port"),
            ("serial_device.com_prot", "serial_device.com_port"),
            ("kamstrup.poll-interval", "kamstrup.poll_interval"),
            ("serial-device", "serial_device"),
            ("meter", "meters"),
            ("com_port", "serial_device.com_port"),
            ("mqtt.colour", ""),
            ("weather", ""),
            ("webb", "web"),
            ("web.address", "web.listen"),
            ("web.port", "web.listen"),
            ("mqtt.broker", "mqtt.host"),
            ("mqtt.SSL", "mqtt.tls_enabled"),
            ("mqtt.use_tls", "mqtt.tls_enabled"),
            ("mqtt.cafile", "mqtt.tls_ca_cert"),
            ("mqtt.certfile", "mqtt.tls_cert"),
            ("mqtt.keyfile", "mqtt.tls_key"),
            ("mqtt.pass", "mqtt.password"),
            ("mqtt.discovery_topic", "homeassistant.discovery_prefix"),
            ("mqtt.interval", "kamstrup.poll_interval"),
            ("serial_device.port", "serial_device.com_port"),
            ("serial_device.baud", "serial_device.baudrate"),
            ("serial_device.interval", "kamstrup.poll_interval"),
            ("kamstrup.port", "serial_device.com_port"),
            ("kamstrup.device", "serial_device.com_port"),
            ("kamstrup.scan_interval", "kamstrup.poll_interval"),
            ("kamstrup.meter_type", "kamstrup.version"),
            ("kamstrup.registers", "kamstrup.parameters"),
            ("logging.file", "logging.filename"),
            ("broker", "mqtt"),
            ("serial", "serial_device"),
            ("device", "serial_device.com_port"),
            ("interval", "kamstrup.poll_interval"),
            ("home_assistant", "homeassistant"),
        ] {
            assert_eq!(keys::nearest(path).unwrap_or_default(), meant, "{path}");
        }
        for (name, meant) in [
            ("com_prot", "com_port"),
            ("interval", "poll_interval"),
            ("port", "com_port"),
            ("model", "version"),
            ("host", "com_port"),
            ("qos", ""),
            ("ssl", ""),
        ] {
            assert_eq!(keys::nearest_of_meter(name).unwrap_or_default(), meant, "{name}");
        }
        for (variable, meant) in [
            ("MQTT_HOSTT", "MQTT_HOST"),
            ("MQTT_USER", "MQTT_USERNAME"),
            ("MQTT_PASSWORT_FILE", "MQTT_PASSWORD_FILE"),
            ("LOGLEVEL", "LOG_LEVEL"),
            ("KAMSTRUP_INTERVAL", "KAMSTRUP_POLL_INTERVAL"),
            ("SERIAL_PORT", "SERIAL_COM_PORT"),
            ("MQTT_SSL", "MQTT_TLS_ENABLED"),
            ("MQTT_BROKER", "MQTT_HOST"),
            // What Kubernetes and container links set for a service `mqtt`.
            ("MQTT_PORT_1883_TCP", ""),
            ("MQTT_PORT_1883_TCP_ADDR", ""),
            ("MQTT_PORT_1883_TCP_PORT", ""),
            ("MQTT_SERVICE_HOST", ""),
            ("MQTT_SERVICE_PORT", ""),
            ("MQTT_NAME", ""),
            ("MQTT_ENV_VERSION", ""),
            ("MQTT_HOST", ""),
            ("MQTT_PASSWORD_FILE", ""),
            ("HOME", ""),
        ] {
            assert_eq!(keys::nearest_variable(variable).unwrap_or_default(), meant, "{variable}");
        }
        let loaded = check(None, &variables(&[PORT, ("MQTT_HOSTT", "x")])).unwrap();
        let expected = "the variable `MQTT_HOSTT` is not known and is ignored; did you mean \
                        `MQTT_HOST`?";
        assert_eq!(loaded.warnings, [expected]);
    }

    #[test]
    fn a_port_that_a_link_sets_is_not_taken() {
        let address = "tcp://10.0.0.1:1883";
        let link = variables(&[PORT, ("MQTT_PORT", address), ("WEB_PORT", address)]);
        let loaded = check(Some((Path::new("x"), "mqtt: {port: 1884}")), &link).unwrap();
        assert_eq!(loaded.config.broker.port.get(), 1884);
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].contains("Kubernetes"), "{:?}", loaded.warnings);
    }

    /// Each variable of the table, and each secret in a file, overrides its key in the file.
    #[test]
    fn each_variable_overrides_its_key() {
        let values = |key: &Key| match key.path {
            "mqtt.port" | "serial_device.baudrate" => ["2400", "4800"],
            "mqtt.qos" | "serial_device.stopbits" => ["1", "2"],
            "mqtt.retain" | "mqtt.tls_insecure" | "mqtt.authentication" => ["true", "false"],
            // Which this version refuses to turn on.
            "mqtt.tls_enabled" => ["false", "off"],
            "mqtt.tls_version" => ["1.2", "1.3"],
            "serial_device.com_port" => ["/dev/a", "/dev/b"],
            "serial_device.parity" => ["EVEN", "ODD"],
            "serial_device.bytesize" => ["7", "8"],
            "serial_device.timeout" => ["2", "3"],
            "serial_device.dtr" | "serial_device.rts" => ["off", "leave"],
            "kamstrup.parameters" => ["energy", "power"],
            "kamstrup.poll_interval" => ["10m", "1h"],
            "kamstrup.version" => ["403", "603"],
            "kamstrup.units" => ["meter", "standard"],
            "logging.level" => ["ERROR", "DEBUG"],
            "web.enabled" => ["true", "no"],
            "web.listen" => ["127.0.0.1:1", "[::]:2"],
            _ => ["one", "other"],
        };
        let folder = tempfile::TempDir::new().unwrap();
        let secret = folder.path().join("secret");
        let mut count = 0;
        for key in keys::KEYS {
            let Some(variable) = key.variable else { continue };
            let [one, other] = values(key);
            let (section, name) = key.path.split_once('.').unwrap();
            let mut yaml = format!("{section}:\n  {name}: {one}\n");
            // What a log-in needs, and every configuration.
            if key.path == "mqtt.authentication" {
                yaml.push_str("  username: x\n");
            }
            let port = if key.path == "serial_device.com_port" { "SERIAL_RTS" } else { PORT.0 };
            let port = (port, if port == PORT.0 { PORT.1 } else { "on" });
            let load = |variables: &Variables| {
                let loaded = check(Some((Path::new("x"), &yaml)), variables).unwrap();
                let entry = loaded.settings.sections.into_iter().find(|it| it.key == key.path);
                entry.map(|Entry { value, origin, .. }| {
                    let value = match value {
                        Effect::Secret(secret) => secret.reveal().to_owned(),
                        value => value.to_string(),
                    };
                    (value, origin)
                })
            };
            let spot = Spot { path: "x".into(), line: 2, column: 3 };
            let by_file = Some((one.to_owned(), Origin::File(spot)));
            assert_eq!(load(&variables(&[port])), by_file, "{variable}");
            let by_variable = Some((other.to_owned(), Origin::Variable(variable)));
            assert_eq!(load(&variables(&[port, (variable, other)])), by_variable);
            // Nothing is not set.
            assert_eq!(load(&variables(&[port, (variable, "")])), by_file, "{variable}");
            if let Some(file_variable) = key.file_variable() {
                std::fs::write(&secret, format!("{other}\n")).unwrap();
                let path = secret.to_str().unwrap();
                let by_secret = load(&variables(&[port, (&file_variable, path)]));
                let origin =
                    Origin::SecretFile { variable: file_variable.clone(), path: path.into() };
                assert_eq!(by_secret, Some((other.to_owned(), origin)));
                let both = variables(&[port, (variable, other), (&file_variable, path)]);
                let error = check(None, &both).unwrap_err().to_string();
                let said = format!("`{variable}` and `{file_variable}`: found both");
                assert!(error.contains(&said), "{error}");
            }
            count += 1;
        }
        assert_eq!(count, 31);
    }

    #[test]
    fn secrets_in_files_that_cannot_be_had() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("secret");
        let load = || {
            let file = path.to_str().unwrap();
            let all = variables(&[PORT, ("MQTT_USERNAME", "x"), ("MQTT_PASSWORD_FILE", file)]);
            match check(None, &all) {
                Ok(loaded) => {
                    loaded.config.broker.credentials.unwrap().password.reveal().to_owned()
                }
                Err(error) => error.to_string().replace(file, "SECRET"),
            }
        };
        let mut texts = vec![load()];
        std::fs::create_dir(&path).unwrap();
        texts.push(load());
        std::fs::remove_dir(&path).unwrap();
        for bytes in [&b"\n"[..], b"\xFFhunter2", "x".repeat(70_000).as_bytes(), b"0007\r\n"] {
            std::fs::write(&path, bytes).unwrap();
            texts.push(load());
        }
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn a_host_with_more_in_it_is_told_apart() {
        for (text, meant) in [
            ("192.168.1.100:1883", " (did you mean `192.168.1.100`, and 1883 as `mqtt.port`?)"),
            ("mqtt://broker/", " (did you mean `broker`?)"),
            ("mqtt://user:hunter2@broker:1883", ""),
            ("user:hunter2@broker", ""),
        ] {
            assert_eq!(meant_host(text).unwrap_or_default(), meant, "{text}");
        }
    }

    #[test]
    fn where_the_log_files_are_meant_to_be() {
        let found = |key: &str, text: &str| {
            let yaml =
                format!("serial_device: {{com_port: /dev/a}}\nlogging: {{{key}: '{text}'}}\n");
            match from_yaml(&yaml) {
                Ok(_) => "taken".to_owned(),
                Err(error) => {
                    let error = error.to_string();
                    let found = error.split_once(": found ").unwrap().1;
                    found.split_once(", accepted").unwrap().0.to_owned()
                }
            }
        };
        assert_eq!(
            found("directory", "~/logs"),
            "`~/logs` (`~` means nothing here: write the whole path, like `/home/NAME/logs`)"
        );
        assert_eq!(
            found("directory", "~"),
            "`~` (`~` means nothing here: write the whole path, like `/home/NAME`)"
        );
        assert_eq!(found("directory", "./~"), "taken");
        assert_eq!(
            found("filename", "/var/log/heat.log"),
            "`/var/log/heat.log` (did you mean `heat.log`, and `/var/log` as `logging.directory`?)"
        );
        assert_eq!(
            found("filename", "~/heat.log"),
            "`~/heat.log` (did you mean `heat.log`, and `/home/NAME` as `logging.directory`?)"
        );
        assert_eq!(found("filename", "logs/"), "`logs/`");
    }

    #[test]
    fn a_meter_at_the_brokers_address_is_told() {
        let yaml = "mqtt: {host: Box.lan}\nserial_device: {com_port: 'socket://box.lan:1883'}\n";
        let warnings = from_yaml(yaml).unwrap().warnings;
        let expected = "the meter's port socket://box.lan:1883 is the address of the MQTT broker: a \
                        serial server has a port of its own";
        assert_eq!(warnings, [expected]);
        assert_eq!(from_yaml(&yaml.replace(":1883", ":2003")).unwrap().warnings, [""; 0]);
    }

    #[test]
    fn a_user_who_is_not_used_is_told() {
        let yaml = "mqtt: {username: me, password: x, authentication: false}\n\
                    serial_device: {com_port: /dev/ttyUSB0}\n";
        let loaded = from_yaml(yaml).unwrap();
        assert_eq!(loaded.config.broker.credentials, None);
        assert_eq!(
            loaded.warnings,
            ["`mqtt.authentication` is off, so `mqtt.username` and `mqtt.password` are not used"]
        );
    }

    #[test]
    fn a_space_that_is_missing_is_told() {
        let error = from_yaml("mqtt:\n  host:192.168.1.100\n").unwrap_err().to_string();
        assert!(
            error.contains("`mqtt` in config.yaml, line 1, column 1: found no space after a colon"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let error = load(Some(Path::new("/no/such/file.yaml")), &BTreeMap::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("the configuration /no/such/file.yaml cannot be read: ")
        );
    }
}
