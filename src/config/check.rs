//! Turns settings into a configuration, and collects problems and warnings.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use super::effective::Effective;
use super::error::ConfigError;
use super::findings::Findings;
use super::keys;
use super::loaded::Loaded;
use super::model::{Access, Broker, Config, Credentials, HistoryUse, Meter, Publishing, Tariff};
use super::origin::{Origin, Place, Whose};
use super::problem::{
    About, Accepted, Actual, Login, Meant, Problem, Quoted, Shape, Though, Warning,
};
use super::remark::Why;
use super::secret::Secret;
use super::setting::{Fallback, Key, Setting};
use super::settings::{Given, Listed, Raw, Settings};
use super::value;
use crate::language::Language;
use crate::name::{MeterName, Parameter};
use crate::topic;
use kmp::line::RESPONSE_TIME;
use meter::identity::Version;
use meter::transport::{Endpoint, SerialSettings};
use tariff::Limit;

/// Notes an invalid setting, and uses its default to continue with the other checks.
pub(super) struct Checker<'a> {
    pub(super) settings: &'a Settings,
    /// The listed meter that has these settings.
    listed: Option<&'a Listed>,
    pub(super) findings: Findings,
}

impl<'a> Checker<'a> {
    /// Checks all settings. Adds to the findings so far.
    pub(super) fn new(settings: &'a Settings, findings: Findings) -> Self {
        Self { settings, listed: None, findings }
    }

    /// Checks the settings of a listed meter.
    pub(super) fn of_meter(settings: &'a Settings, listed: &'a Listed) -> Self {
        Self { settings, listed: Some(listed), findings: Findings::default() }
    }

    pub(super) fn finish(mut self, file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let config = self.config();
        let Self { settings, findings: Findings { problems, warnings }, .. } = self;
        match config {
            Some(config) if problems.is_empty() => {
                let settings = Effective::new(settings, &config);
                Ok(Loaded { config, settings, warnings, file: file.map(Path::to_owned) })
            }
            _ => Err(ConfigError::Problems { problems, warnings }),
        }
    }

    /// `None` if a setting without a default is missing.
    fn config(&mut self) -> Option<Config> {
        let credentials = self.credentials();
        let host = self.value(&keys::HOST)?;
        let tls = self.tls(&host);
        let broker = Broker {
            host,
            port: self.value(&keys::PORT)?,
            client_id: self.value(&keys::CLIENT)?,
            credentials,
            tls,
        };
        let topic = self.value(&keys::TOPIC)?;
        let qos = self.value(&keys::QOS)?;
        let retain = self.value(&keys::RETAIN)?;
        let discovery_prefix = self.value(&keys::DISCOVERY_PREFIX)?;
        let status_topic = self.value(&keys::STATUS_TOPIC)?;
        let language = self.value(&keys::LANGUAGE)?;
        let id_prefix = self.value(&keys::ID_PREFIX)?;
        let logging = self.logging();
        let meters = self.meters(&id_prefix);
        let known = meters.as_deref().unwrap_or_default();
        let device_ids = known.iter().map(|meter| meter.device_id.as_str());
        let program_id = topic::program_id(&id_prefix, device_ids);
        let publishing = Publishing {
            topic,
            qos,
            retain,
            discovery_prefix,
            status_topic,
            language,
            id_prefix,
            program_id,
        };
        self.topics(&publishing, known);
        if let Some(meters) = &meters {
            self.broker_for_meter(meters, &broker);
        }
        let (page, page_token) = (self.page(), self.page_token());
        let history = self.value(&keys::HISTORY)?;
        let home_assistant = self.home_assistant(history);
        Some(Config {
            broker,
            publishing,
            meters: meters?,
            logging: logging?,
            page,
            page_token,
            home_assistant,
            history,
        })
    }

    /// Home Assistant, if its address and a token are set. Both are needed to write statistics, but
    /// not in the app: it gets both from the Supervisor.
    fn home_assistant(&mut self, history: HistoryUse) -> Option<Access> {
        let needed: [&'static Key; 2] = [&keys::API_URL, &keys::API_TOKEN];
        let is_app = matches!(
            self.settings.get(&keys::HISTORY),
            Some(Given { place: Place { origin: Origin::Form(_), .. }, .. })
        );
        for key in needed.into_iter().filter(|_| history != HistoryUse::Off && !is_app) {
            if self.settings.get(key).is_none() {
                self.problem(Problem {
                    about: About::Setting(key, Place::shared(Origin::Default)),
                    found: Actual::NothingThough(Though::Set(&keys::HISTORY)),
                    accepted: Accepted::Usual,
                });
            }
        }
        let (address, token) = (self.value(&keys::API_URL), self.value(&keys::API_TOKEN));
        Some(Access { address: address?, token: token? })
    }

    pub(super) fn page(&mut self) -> Option<SocketAddr> {
        let listen = self.value(&keys::WEB_LISTEN);
        self.value(&keys::WEB_ENABLED).filter(|is_enabled| *is_enabled).and(listen)
    }

    pub(super) fn page_token(&mut self) -> Option<Secret> {
        self.value(&keys::WEB_TOKEN)
    }

    /// The value of one setting, which must be set.
    pub(super) fn only<T>(mut self, setting: &'static Setting<T>) -> Result<T, Box<Problem>> {
        let Some(given) = self.given(setting) else {
            let about = About::Setting(setting, Place::shared(Origin::Default));
            let (found, accepted) = (Actual::Nothing, Accepted::Usual);
            return Err(Box::new(Problem { about, found, accepted }));
        };
        let value = self.one(setting, given);
        let problem = self.findings.problems.pop();
        value.ok_or_else(|| {
            let about = About::Setting(setting, given.place.clone());
            let unsaid = || Problem { about, found: Actual::Hidden, accepted: Accepted::Usual };
            Box::new(problem.unwrap_or_else(unsaid))
        })
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let wanted = self.value(&keys::AUTHENTICATION);
        let username = self.value(&keys::USERNAME);
        let password = self.value(&keys::PASSWORD);
        match (wanted, username) {
            (Some(false), Some(_)) => {
                self.warn(Warning::Login(Login::Off));
                None
            }
            (Some(false) | None, None) => {
                if password.is_some() {
                    self.warn(Warning::Login(Login::PasswordAlone));
                }
                None
            }
            (_, Some(username)) => {
                // A file of the password that cannot be read is a problem already.
                if password.is_none() && self.findings.problems.is_empty() {
                    self.warn(Warning::Login(Login::NoPassword));
                }
                let password = password.unwrap_or_default();
                Some(Credentials { username, password })
            }
            (Some(true), None) => {
                self.problem(Problem {
                    about: About::Setting(&keys::USERNAME, Place::shared(Origin::Default)),
                    found: Actual::NothingThough(Though::On(&keys::AUTHENTICATION)),
                    accepted: Accepted::UserName,
                });
                None
            }
        }
    }

    pub(super) fn meter(&mut self, name: Option<MeterName>, device_id: String) -> Option<Meter> {
        let endpoint = self.endpoint();
        let (serial, timeout) = (self.serial()?, self.timeout()?);
        let parameters = self.parameters();
        let poll_interval = self.value(&keys::POLL_INTERVAL)?;
        let language = self.value(&keys::LANGUAGE)?;
        let meter = Meter {
            serial,
            timeout,
            parameters,
            poll_interval,
            poll_offset: self.offset(poll_interval)?,
            slow_interval: self.value(&keys::SLOW_INTERVAL)?.time(),
            tariff: self.tariff()?,
            version: self.version()?,
            units: self.value(&keys::UNITS)?,
            device_id,
            device_name: self.device_name(language, name.as_ref())?,
            english_name: self.device_name(Language::English, name.as_ref())?,
            name,
            endpoint: endpoint?,
        };
        Some(meter)
    }

    /// A text about the device. The name of the meter is added to it, after `joint`, unless the
    /// meter has a text of its own.
    pub(super) fn device_text(
        &mut self,
        setting: &'static Setting<String>,
        joint: char,
        name: Option<&MeterName>,
    ) -> Option<String> {
        let text = self.value(setting)?;
        Some(self.with_name(setting, text, joint, name))
    }

    /// The device's name in Home Assistant. Only the default depends on the language.
    fn device_name(&mut self, language: Language, name: Option<&MeterName>) -> Option<String> {
        let text = match self.given(&keys::DEVICE_NAME) {
            Some(_) => self.value(&keys::DEVICE_NAME)?,
            None => language.names().meter.to_owned(),
        };
        Some(self.with_name(&keys::DEVICE_NAME, text, ' ', name))
    }

    fn with_name(
        &self,
        setting: &'static Setting<String>,
        text: String,
        joint: char,
        name: Option<&MeterName>,
    ) -> String {
        match name {
            Some(name) if !self.is_own(setting) => format!("{text}{joint}{name}"),
            _ => text,
        }
    }

    /// The offset of polls. It must be shorter than the interval, perhaps that of a listed meter.
    fn offset(&mut self, interval: Duration) -> Option<SignedDuration> {
        let Some(given) = self.given(&keys::POLL_OFFSET) else {
            return Some(value::usual_offset(interval));
        };
        let offset = self.one(&keys::POLL_OFFSET, given)?;
        if offset.unsigned_abs() < interval {
            return Some(offset);
        }
        let text = given.raw.items().collect::<Vec<_>>().join(", ");
        self.problem(Problem {
            about: About::Setting(&keys::POLL_OFFSET, given.place.clone()),
            found: Actual::Text(Quoted::new(&text), None),
            accepted: Accepted::ShorterThan(
                &keys::POLL_INTERVAL,
                self.whose(&keys::POLL_INTERVAL),
                interval,
            ),
        });
        None
    }

    /// What mean temperatures are published for. The inner one is `None` if they are not.
    #[expect(clippy::option_option, reason = "the outer one is a problem, as for other settings")]
    fn tariff(&mut self) -> Option<Option<Tariff>> {
        let is_on = self.value(&keys::TARIFF)?;
        let first_month = self.value(&keys::HEATING_YEAR);
        let problems = self.findings.problems.len();
        let rows = self.items(&keys::RETURN_LIMIT);
        let limit = (!rows.is_empty()).then(|| Limit::new(rows));
        if let (Some(None), Some(given)) = (&limit, self.given(&keys::RETURN_LIMIT))
            && self.findings.problems.len() == problems
        {
            let text = given.raw.items().collect::<Vec<_>>().join(", ");
            self.problem(Problem {
                about: About::Setting(&keys::RETURN_LIMIT, given.place.clone()),
                found: Actual::Text(Quoted::new(&text), None),
                accepted: Accepted::Usual,
            });
        }
        Some(is_on.then(|| Tariff { first_month, limit: limit.flatten() }))
    }

    fn version(&mut self) -> Option<Version> {
        let version = self.value(&keys::VERSION)?;
        Some(match version {
            Version::Model(model) if self.given(&keys::VERSION).is_none() => {
                Version::Assumed(model)
            }
            said => said,
        })
    }

    /// `url` is another name of `com_port`. If the file has both, the older program used `url`. The
    /// variable overrides both.
    fn endpoint(&mut self) -> Option<Endpoint> {
        let is_url = self.settings.is_in_effect(&keys::URL);
        if self.given(&keys::COM_PORT).is_some() && is_url {
            let url = self.whose(&keys::URL);
            let com_port = self.whose(&keys::COM_PORT);
            self.warn(Warning::BothPortKeys { url, com_port });
        }
        let setting = if is_url { &keys::URL } else { &keys::COM_PORT };
        if let Some(given) = self.given(setting) {
            let endpoint = self.one(setting, given)?;
            return self.with_key(endpoint, setting);
        }
        let place = self.listed.map_or_else(|| Place::shared(Origin::Default), Listed::place);
        self.problem(Problem {
            about: About::Setting(setting, place),
            found: self.nothing_for(setting),
            accepted: Accepted::Usual,
        });
        None
    }

    /// The port with the key of its node, if that is a setting of its own. A key for all meters is
    /// only used for nodes, and a key in the address of a listed meter overrides it.
    fn with_key(
        &mut self,
        endpoint: Endpoint,
        port: &'static Setting<Endpoint>,
    ) -> Option<Endpoint> {
        let Some(given) = self.given(&keys::NODE_KEY) else { return Some(endpoint) };
        let key = self.one(&keys::NODE_KEY, given)?;
        let is_shared = self.listed.is_some() && !self.is_own(&keys::NODE_KEY);
        let overrides = is_shared && self.is_own(port);
        let found = match endpoint {
            Endpoint::Node(node) if overrides && node.key().is_some() => {
                return Some(Endpoint::Node(node));
            }
            Endpoint::Node(node) => match node.with_key(key) {
                Ok(node) => return Some(Endpoint::Node(node)),
                Err(_) => Actual::OtherKey(port),
            },
            other if is_shared => return Some(other),
            other => Actual::NotForPort(other),
        };
        let about = About::Setting(&keys::NODE_KEY, given.place.clone());
        self.problem(Problem { about, found, accepted: Accepted::Usual });
        None
    }

    /// Notes a key for all meters of which none is read through a node.
    pub(super) fn key_of_no_node(&mut self, meters: &[Option<Meter>]) {
        let is_of_node =
            |meter: &Option<Meter>| !matches!(meter, Some(meter) if !meter.endpoint.is_of_node());
        let Some(given) = self.given(&keys::NODE_KEY) else { return };
        let other = meters.iter().flatten().next().map(|meter| meter.endpoint.clone());
        if !meters.iter().any(is_of_node)
            && let Some(other) = other
        {
            let about = About::Setting(&keys::NODE_KEY, given.place.clone());
            let found = Actual::NotForPort(other);
            self.problem(Problem { about, found, accepted: Accepted::Usual });
        }
    }

    /// Nothing, or an unknown key that is most likely a misspelling.
    fn nothing_for(&self, setting: &Key) -> Actual {
        let mut misspelled = self.findings.warnings.iter().filter_map(|warning| match warning {
            Warning::UnknownKey { key, whose: None, meant: Meant::Key(meant), .. }
                if meant == setting.path =>
            {
                Some(key.as_str())
            }
            _ => None,
        });
        misspelled.next().map_or(Actual::Nothing, |key| Actual::NothingBut(key.to_owned()))
    }

    fn serial(&mut self) -> Option<SerialSettings> {
        Some(SerialSettings {
            baud: self.value(&keys::BAUDRATE)?,
            data_bits: self.value(&keys::BYTESIZE)?,
            parity: self.value(&keys::PARITY)?,
            stop_bits: self.value(&keys::STOPBITS)?,
            dtr: self.value(&keys::DTR)?,
            rts: self.value(&keys::RTS)?,
        })
    }

    /// The older program waited this long for every byte. Here it is the time until an answer
    /// begins, which must not be shorter than a meter may take.
    fn timeout(&mut self) -> Option<Duration> {
        let timeout = self.value(&keys::TIMEOUT)?;
        if timeout < RESPONSE_TIME {
            self.warn(Warning::ShortTimeout(self.whose(&keys::TIMEOUT)));
        }
        Some(timeout.max(RESPONSE_TIME))
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for parameter in self.items(&keys::PARAMETERS) {
            if !parameters.contains(&parameter) {
                parameters.push(parameter);
            }
        }
        parameters
    }

    /// Warns if a meter's port is the broker's address: no serial server listens there.
    fn broker_for_meter(&mut self, meters: &[Meter], broker: &Broker) {
        let is_there = |meter: &&Meter| {
            matches!(&meter.endpoint, Endpoint::Tcp { host, port }
                if host.eq_ignore_ascii_case(&broker.host) && *port == broker.port)
        };
        if let Some(meter) = meters.iter().find(is_there) {
            self.warn(Warning::BrokersPort(meter.endpoint.clone()));
        }
    }

    pub(super) fn given(&self, key: &Key) -> Option<&'a Given> {
        self.settings.get(key)
    }

    /// The listed meter that has this setting itself.
    fn whose(&self, key: &Key) -> Option<Whose> {
        self.given(key).and_then(|given| given.place.whose.clone())
    }

    /// Whether a listed meter has this setting itself.
    pub(super) fn is_own(&self, key: &Key) -> bool {
        self.whose(key).is_some()
    }

    /// The value of a setting that nobody set.
    pub(super) fn default<T>(&self, setting: &Setting<T>) -> Option<T> {
        match self.settings.default_of(setting) {
            Fallback::Value(text) => (setting.parse)(text),
            Fallback::Words(_) => None,
        }
    }

    /// A setting's checked value. If it is not set, or is invalid and noted, its default; `None` if
    /// it has none.
    pub(super) fn value<T>(&mut self, setting: &'static Setting<T>) -> Option<T> {
        let given = self.given(setting).and_then(|given| self.one(setting, given));
        given.or_else(|| self.default(setting))
    }

    pub(super) fn one<T>(&mut self, setting: &'static Setting<T>, given: &Given) -> Option<T> {
        let Raw::Text(text) = &given.raw else {
            self.wrong_shape(setting, given);
            return None;
        };
        let value = (setting.parse)(text);
        if value.is_none() {
            self.wrong(setting, given, text);
        }
        value
    }

    /// The checked items of a setting that may be a list. If there are none, those of its default.
    pub(super) fn items<T>(&mut self, setting: &'static Setting<T>) -> Vec<T> {
        let mut items = Vec::new();
        if let Some(given) = self.given(setting) {
            for text in given.raw.items() {
                match (setting.parse)(text) {
                    Some(item) => items.push(item),
                    None => self.wrong(setting, given, text),
                }
            }
        }
        if items.is_empty()
            && let Fallback::Value(texts) = setting.default
        {
            let texts = texts.split(',').map(str::trim);
            items.extend(texts.filter_map(setting.parse));
        }
        items
    }

    fn wrong_shape(&mut self, key: &'static Key, given: &Given) {
        let found = if key.secret { Actual::Hidden } else { Actual::Shape(Shape::List) };
        let about = About::Setting(key, given.place.clone());
        self.problem(Problem { about, found, accepted: Accepted::Usual });
    }

    /// Notes an invalid text: a whole setting, or an item of a list.
    fn wrong(&mut self, key: &'static Key, given: &Given, text: &str) {
        let why = match (key.why)(text) {
            Why::Unsaid => value::why_no(key.kind, text),
            why => why,
        };
        let (remark, reason) = match why {
            Why::Unsaid => (None, None),
            Why::Remark(remark) => (Some(remark), None),
            Why::Reason(reason) => (None, Some(reason)),
        };
        self.problem(Problem {
            about: About::Setting(key, given.place.clone()),
            found: if key.secret {
                Actual::Hidden
            } else {
                Actual::Text(Quoted::new(text), remark)
            },
            accepted: reason.map_or(Accepted::Usual, Accepted::UsualBut),
        });
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        // Several values may depend on the setting that is wrong.
        if !self.findings.problems.contains(&problem) {
            self.findings.problems.push(problem);
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.findings.warnings.push(warning);
    }
}
