//! The options of the app (add-on), which Home Assistant writes to `/data/options.json`. They are
//! the same settings with the same checks, under the names of the app's form.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use super::check::Checker;
use super::effective::Effective;
use super::effective::{Entry, Label};
use super::error::ConfigError;
use super::findings::Findings;
use super::keys::{self, SERIAL_PORT, WRITTEN_PORT};
use super::loaded::Loaded;
use super::model::Config;
use super::origin::{Origin, Place, Whose};
use super::problem::{About, Accepted, Actual, Meant, OptionOwner, Problem, Shape, Warning};
use super::secret::Secret;
use super::setting::{FormName, Key};
use super::settings::{Given, Listed, Raw, Settings};
use super::words::labelled;
use crate::file;
use crate::name::MeterName;
use crate::similar::most_like;
use meter::RunsAs;

/// The options of a meter, in the list of meters and outside it.
static OF_METER: [&Key; 8] = [
    &keys::VERSION.key,
    &keys::PARAMETERS.key,
    &keys::POLL_INTERVAL.key,
    &keys::POLL_OFFSET.key,
    &keys::TARIFF.key,
    &keys::HEATING_YEAR.key,
    &keys::RETURN_LIMIT.key,
    &keys::UNITS.key,
];

/// The other options outside all groups.
static OF_FORM: [&Key; 3] = [&keys::LANGUAGE.key, &keys::HISTORY.key, &keys::LOG_LEVEL.key];

/// The option of a port, in the list of meters and in the group of the port.
static OF_PORT: [&Key; 1] = [&keys::NODE_KEY.key];

/// The options of `mqtt` that are used with any broker.
static PUBLISHING: [&Key; 4] =
    [&keys::TOPIC.key, &keys::DISCOVERY_PREFIX.key, &keys::QOS.key, &keys::RETAIN.key];

/// The options of `mqtt` for the user's own broker. They are used only with a `host`.
static BROKER: [&Key; 10] = [
    &keys::HOST.key,
    &keys::PORT.key,
    &keys::USERNAME.key,
    &keys::PASSWORD.key,
    &keys::TLS_ENABLED.key,
    &keys::TLS_CA_CERT.key,
    &keys::TLS_CERT.key,
    &keys::TLS_KEY.key,
    &keys::TLS_KEY_PASSWORD.key,
    &keys::TLS_INSECURE.key,
];

/// The options of the broker that name files.
static FILES: [&Key; 3] = [&keys::TLS_CA_CERT.key, &keys::TLS_CERT.key, &keys::TLS_KEY.key];

/// The folder of these files in the app's container.
const FILES_FOLDER: &str = "/ssl";

const MQTT: &str = "mqtt";

/// The group of options for the port.
pub const HEAD: &str = keys::HEAD_GROUP.name;

/// The list of meters.
pub const METERS: &str = keys::METERS;

/// The option with the values to read, here and in the list of meters.
pub const PARAMETERS: &str = "parameters";

/// In bytes; far more than any options need.
const LONGEST: u64 = 1024 * 1024;

/// Checked options.
#[derive(Debug)]
pub struct Options {
    /// The configuration. Its broker is a placeholder unless `own_broker` is set.
    pub config: Config,
    /// The warnings.
    pub warnings: Vec<Warning>,
    /// Whether the options name a broker. Otherwise Home Assistant provides it.
    pub own_broker: bool,
    /// The effective settings, under the names of the configuration file.
    effective: Effective,
    settings: Settings,
}

/// A broker that Home Assistant provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplied {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: String,
    /// Whether to encrypt the connection.
    pub tls: bool,
    /// User name, if the broker needs one.
    pub username: Option<String>,
    /// The password of this user.
    pub password: Option<Secret>,
}

/// Why there are no valid options.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("The options {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// The file is not JSON, or has no options.
    #[error("The options {} are invalid: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Options are missing or invalid.
    #[error("{}", count_words(problems))]
    Problems {
        /// All problems.
        problems: Vec<Problem>,
        /// All warnings.
        warnings: Vec<Warning>,
    },
}

/// Whether nobody has chosen the port yet.
fn is_no_port(problem: &Problem) -> bool {
    let Problem { about, found, .. } = problem;
    let is_port = match about {
        About::Setting(key, place) => **key == *keys::COM_PORT && place.whose.is_none(),
        _ => false,
    };
    is_port && *found == Actual::Nothing
}

fn count_words(problems: &[Problem]) -> String {
    match problems {
        [_] => {
            "One option is missing or invalid. The meter is not read until it is fixed".to_owned()
        }
        _ => format!(
            "{} options are missing or invalid. The meter is not read until they are fixed",
            problems.len()
        ),
    }
}

impl OptionsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "Restart the app, so that Home Assistant writes the file again. Only `root` is allowed to read \
                 it."
            }
            Self::Broken { .. } => {
                "Save the options again on the tab \"Configuration\" of the app in Home Assistant, then \
                 restart the app."
            }
            // The state right after the installation.
            Self::Problems { problems, .. } if matches!(problems.as_slice(), [only] if is_no_port(only)) => {
                "Press \"Find my meter\" on the app's web page. Or open the tab \"Configuration\" of \
                 the app in Home Assistant, and choose the head under \"Connection to the meter\". \
                 Then save, and let Home Assistant restart the app."
            }
            Self::Problems { .. } => {
                "Fix this on the tab \"Configuration\" of the app in Home Assistant. Then save, and let \
                 Home Assistant restart the app."
            }
        }
    }

    /// The words of each problem.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems { problems, .. } => {
                problems.iter().map(|problem| problem.words(RunsAs::AddOn)).collect()
            }
            Self::Unreadable { .. } | Self::Broken { .. } => Vec::new(),
        }
    }

    /// The warnings: a misspelled option explains a missing one.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match self {
            Self::Problems { warnings, .. } => warnings,
            Self::Unreadable { .. } | Self::Broken { .. } => &[],
        }
    }
}

/// Reads the options of a file.
pub fn load(path: &Path) -> Result<Options, OptionsError> {
    let unreadable = |reason| OptionsError::Unreadable { path: path.to_owned(), reason };
    let bytes = file::bytes(path, LONGEST)
        .and_then(|bytes| bytes.ok_or_else(|| "it is longer than 1 MiB".to_owned()))
        .map_err(unreadable)?;
    check(path, &bytes)
}

/// Checks the options in the bytes of a file.
pub fn check(path: &Path, bytes: &[u8]) -> Result<Options, OptionsError> {
    let broken = |reason: String| OptionsError::Broken { path: path.to_owned(), reason };
    let value = serde_json::from_slice(bytes).map_err(|error| {
        broken(match error.line() {
            0 => error.to_string(),
            _ if bytes.is_empty() => "it is empty".to_owned(),
            line => format!("it is not valid JSON in line {line}, column {}", error.column()),
        })
    })?;
    let Value::Object(options) = value else {
        return Err(broken("it does not contain a set of options in braces".to_owned()));
    };
    let mut form = Form::default();
    form.read(options);
    form.finish()
}

impl Options {
    /// The effective options for users, under the names of the form: each option, its value, and
    /// where it comes from. Settings that the form does not have keep their defaults and are left
    /// out, and so is the broker if Home Assistant provides it.
    pub fn lines(&self) -> impl Iterator<Item = [String; 3]> {
        self.lines_of(&self.effective)
    }

    fn lines_of(&self, effective: &Effective) -> impl Iterator<Item = [String; 3]> {
        let sections = effective.sections.iter().map(|entry| (entry, String::new()));
        let meters = effective.meters.iter().flat_map(|(label, entries)| {
            let whose = match label {
                Label::Number(number) => {
                    format!(" of entry {number} of {}", labelled(keys::METERS_GROUP))
                }
                label => format!(" of {label}"),
            };
            entries.iter().map(move |entry| (entry, whose.clone()))
        });
        sections.chain(meters).filter_map(|(entry, whose)| {
            let Entry { value, origin, .. } = entry;
            if BROKER.contains(&entry.setting)
                && !self.own_broker
                && *origin != Origin::HomeAssistant
            {
                return None;
            }
            let option = option(entry)?;
            Some([format!("{option}{whose}"), value.to_string(), origin.to_string()])
        })
    }

    /// The configuration with the broker that Home Assistant provides, and the effective options
    /// like [`lines`]. An error describes what is wrong with this broker.
    ///
    /// [`lines`]: Self::lines
    pub fn with_broker(
        &self,
        supplied: &Supplied,
    ) -> Result<(Config, Vec<[String; 3]>), OptionsError> {
        let mut settings = self.settings.clone();
        let Supplied { host, port, tls, username, password } = supplied;
        let mut set = |key, text: &str| settings.set_text(key, text, Origin::HomeAssistant);
        set(&keys::HOST.key, host);
        set(&keys::PORT.key, port);
        set(&keys::TLS_ENABLED.key, if *tls { "true" } else { "false" });
        if let Some(username) = username {
            set(&keys::USERNAME.key, username);
        }
        if let Some(password) = password.as_ref().filter(|_| username.is_some()) {
            set(&keys::PASSWORD.key, password.reveal());
        }
        let loaded = Checker::new(&settings, Findings::default()).finish(None).map_err(of_form)?;
        let lines = self.lines_of(&loaded.settings).collect();
        Ok((loaded.config, lines))
    }
}

/// The option under which an entry is shown; `None` if the form does not have it there.
fn option(entry: &Entry) -> Option<String> {
    let key = entry.setting;
    // Only a meter in the list has this option.
    if !key.is_on_form() || entry.key == keys::DEVICE_NAME.path {
        return None;
    }
    Some(match (key.form, &entry.origin) {
        (FormName::Either(chosen, _), Origin::Form(Some(option))) if *option == chosen.name => {
            labelled(chosen)
        }
        (FormName::Either(_, written), _) => labelled(written),
        _ => key.called(RunsAs::AddOn),
    })
}

/// A form while it is read.
#[derive(Default)]
struct Form {
    settings: Settings,
    findings: Findings,
    own_broker: bool,
}

impl Form {
    fn read(&mut self, mut options: Map<String, Value>) {
        // The default of the form.
        self.settings.set_text(&keys::VERSION, "auto", Origin::Default);
        if let Some((option, raw)) = self.port_of_form(&mut options) {
            self.settings.set(&keys::COM_PORT, raw, Origin::Form(Some(option)));
        }
        for key in OF_METER.into_iter().chain(OF_FORM) {
            if let Some(raw) = self.take(&mut options, key, &OptionOwner::Form) {
                self.settings.set(key, raw, Origin::Form(None));
            }
        }
        match options.remove(MQTT) {
            None | Some(Value::Null) => {}
            Some(Value::Object(mqtt)) => self.read_mqtt(mqtt),
            Some(_) => {
                let about = About::Section(MQTT, Origin::Form(None));
                self.wrong_shape(about, Accepted::This("options like `host`"));
            }
        }
        match options.remove(keys::METERS) {
            None | Some(Value::Null) => {}
            Some(Value::Array(meters)) => self.read_meters(meters),
            Some(_) => {
                let about = About::Section(keys::METERS, Origin::Form(None));
                self.wrong_shape(about, Accepted::This("a list of meters"));
            }
        }
        self.unknown(&options, &OptionOwner::Form);
    }

    fn read_mqtt(&mut self, mut options: Map<String, Value>) {
        for key in PUBLISHING {
            if let Some(raw) = self.take(&mut options, key, &OptionOwner::Mqtt) {
                self.settings.set(key, raw, Origin::Form(None));
            }
        }
        let mut broker = Vec::new();
        for key in BROKER {
            if let Some(raw) = self.take(&mut options, key, &OptionOwner::Mqtt) {
                broker.push((key, raw));
            }
        }
        self.unknown(&options, &OptionOwner::Mqtt);
        self.own_broker = broker.iter().any(|(key, _)| **key == *keys::HOST);
        if self.own_broker {
            for (key, raw) in broker {
                self.settings.set(key, in_folder(key, raw), Origin::Form(None));
            }
            return;
        }
        // A switch that is off is like an empty option.
        let off = Raw::Text("false".to_owned());
        let idle = broker.into_iter().filter(|(_, raw)| *raw != off);
        let idle: Vec<_> = idle.map(|(key, _)| key).collect();
        if !idle.is_empty() {
            self.warn(Warning::NoBrokerFor(idle));
        }
    }

    fn read_meters(&mut self, meters: Vec<Value>) {
        for (index, meter) in meters.into_iter().enumerate() {
            let mut whose = Whose { number: index.saturating_add(1), name: None };
            let Value::Object(mut options) = meter else {
                let about = About::Meter(whose, Origin::Form(None));
                self.wrong_shape(about, Accepted::This("options like `name` and `port`"));
                continue;
            };
            let name = options.get(keys::NAME.path).and_then(Value::as_str);
            whose.name = name.and_then(|name| name.parse::<MeterName>().ok());
            let of = OptionOwner::Meter(whose.clone());
            let given = |raw, option| {
                let place = Place { origin: Origin::Form(option), whose: Some(whose.clone()) };
                Given { raw, place }
            };
            let mut settings = BTreeMap::new();
            if let Some((option, raw)) = self.port(&mut options, &of) {
                settings.insert(keys::COM_PORT.path, given(raw, Some(option)));
            }
            for key in OF_PORT.into_iter().chain(OF_METER).chain([&keys::DEVICE_NAME.key]) {
                if let Some(raw) = self.take(&mut options, key, &of) {
                    settings.insert(key.path, given(raw, None));
                }
            }
            let name = self.take(&mut options, &keys::NAME, &of).map(|raw| given(raw, None));
            self.unknown(&options, &of);
            let origin = Origin::Form(None);
            self.settings.add_meter(Listed { whose, origin, name, settings });
        }
    }

    /// The port in its group overrides the one outside it, where an earlier form had it.
    fn port_of_form(&mut self, options: &mut Map<String, Value>) -> Option<(&'static str, Raw)> {
        let in_group = match options.remove(HEAD) {
            None | Some(Value::Null) => None,
            Some(Value::Object(mut head)) => {
                let port = self.port(&mut head, &OptionOwner::Head);
                if let Some(raw) = self.take(&mut head, &keys::NODE_KEY.key, &OptionOwner::Head) {
                    self.settings.set(&keys::NODE_KEY.key, raw, Origin::Form(None));
                }
                self.unknown(&head, &OptionOwner::Head);
                port
            }
            Some(_) => {
                let about = About::Section(HEAD, Origin::Form(None));
                self.wrong_shape(about, Accepted::This("options like `port`"));
                None
            }
        };
        let outside = self.port(options, &OptionOwner::Form);
        if in_group.is_some() && outside.is_some() {
            self.warn(Warning::EarlierPortOption);
        }
        in_group.or(outside)
    }

    /// The port that was typed in overrides the one that was chosen from the list.
    fn port(
        &mut self,
        options: &mut Map<String, Value>,
        of: &OptionOwner,
    ) -> Option<(&'static str, Raw)> {
        let chosen = self.take_as(options, SERIAL_PORT.name, &keys::COM_PORT, of);
        let written = self.take_as(options, WRITTEN_PORT.name, &keys::COM_PORT, of);
        if chosen.is_some() && written.is_some() {
            self.warn(Warning::BothPortOptions(of.clone()));
        }
        let chosen = chosen.map(|raw| (SERIAL_PORT.name, raw));
        written.map(|raw| (WRITTEN_PORT.name, raw)).or(chosen)
    }

    /// An option's text or texts; `None` if it is missing or empty.
    fn take(
        &mut self,
        options: &mut Map<String, Value>,
        key: &'static Key,
        of: &OptionOwner,
    ) -> Option<Raw> {
        match key.form {
            FormName::Option(option) | FormName::OfMqtt(option) => {
                self.take_as(options, option.name, key, of)
            }
            FormName::Absent | FormName::Either(..) => None,
        }
    }

    /// The same for an option of this name.
    fn take_as(
        &mut self,
        options: &mut Map<String, Value>,
        option: &'static str,
        key: &'static Key,
        of: &OptionOwner,
    ) -> Option<Raw> {
        let shape = match options.remove(option)? {
            Value::Null => return None,
            Value::Object(_) => Shape::Options,
            Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
                match texts {
                    Some(texts) if texts.is_empty() => return None,
                    Some(texts) => return Some(Raw::List(texts)),
                    None => Shape::MixedList,
                }
            }
            value => {
                let text = scalar(&value)?;
                // Pasted texts may have spaces around them.
                let text = if key.secret { text } else { text.trim().to_owned() };
                return Some(text).filter(|text| !text.is_empty()).map(Raw::Text);
            }
        };
        let whose = match of {
            OptionOwner::Meter(whose) => Some(whose.clone()),
            OptionOwner::Form | OptionOwner::Head | OptionOwner::Mqtt => None,
        };
        let either = matches!(key.form, FormName::Either(..)).then_some(option);
        self.findings.problems.push(Problem {
            about: About::Setting(key, Place { origin: Origin::Form(either), whose }),
            found: Actual::Shape(shape),
            accepted: Accepted::Usual,
        });
        None
    }

    fn wrong_shape(&mut self, about: About, accepted: Accepted) {
        self.findings.problems.push(Problem { about, found: Actual::Shape(Shape::Else), accepted });
    }

    fn unknown(&mut self, left: &Map<String, Value>, of: &OptionOwner) {
        for option in left.keys() {
            let meant = nearest(option, of).map_or(Meant::Nobody, Meant::Key);
            self.warn(Warning::UnknownOption(option.clone(), of.clone(), meant));
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.findings.warnings.push(warning);
    }

    fn finish(self) -> Result<Options, OptionsError> {
        let Self { settings, findings, own_broker } = self;
        let loaded = Checker::new(&settings, findings).finish(None).map_err(of_form)?;
        let Loaded { config, warnings, settings: effective, .. } = loaded;
        Ok(Options { config, warnings, own_broker, effective, settings })
    }
}

/// The option of the same group that was most likely meant with an unknown one.
fn nearest(option: &str, of: &OptionOwner) -> Option<String> {
    let names = |keys: &[&'static Key]| -> Vec<&'static str> {
        let named = keys.iter().filter_map(|key| match key.form {
            FormName::Option(option) | FormName::OfMqtt(option) => Some(option.name),
            FormName::Absent | FormName::Either(..) => None,
        });
        named.collect()
    };
    let known = match of {
        OptionOwner::Mqtt => [names(&BROKER), names(&PUBLISHING)].concat(),
        OptionOwner::Head => [names(&OF_PORT), vec![SERIAL_PORT.name, WRITTEN_PORT.name]].concat(),
        OptionOwner::Form => {
            let groups = [HEAD, MQTT, keys::METERS, SERIAL_PORT.name, WRITTEN_PORT.name];
            [names(&OF_METER), names(&OF_FORM), groups.to_vec()].concat()
        }
        OptionOwner::Meter(_) => {
            let own = names(&[&keys::DEVICE_NAME, &keys::NAME]);
            [names(&OF_PORT), names(&OF_METER), own, vec![SERIAL_PORT.name, WRITTEN_PORT.name]]
                .concat()
        }
    };
    most_like(option, known).map(str::to_owned)
}

/// The text of a value that is neither a list nor a set.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Users name files as they see them in their folder, without its path.
fn in_folder(key: &Key, raw: Raw) -> Raw {
    match raw {
        Raw::Text(name) if FILES.contains(&key) && !name.starts_with('/') => {
            Raw::Text(format!("{FILES_FOLDER}/{name}"))
        }
        raw => raw,
    }
}

fn of_form(error: ConfigError) -> OptionsError {
    match error {
        ConfigError::Problems { problems, warnings } => {
            OptionsError::Problems { problems, warnings }
        }
        // The other errors are about a configuration file, and none was read.
        _ => OptionsError::Problems { problems: Vec::new(), warnings: Vec::new() },
    }
}
