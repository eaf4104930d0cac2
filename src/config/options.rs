//! The options of the add-on, as Home Assistant writes them into `/data/options.json`: the same
//! settings, the same checks, under the names that its form has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use super::effective::Entry;
use super::source::{Item, Listed, Place, Raw, Setting, Settings};
use super::{Checker, Config, ConfigError, Effective, Origin, Problem, Secret, keys};

/// What an option of the form stands for.
struct Row {
    /// Its name in the form.
    option: &'static str,
    /// The setting.
    path: &'static str,
}

const fn row(option: &'static str, path: &'static str) -> Row {
    Row { option, path }
}

/// The options of one meter, in the list of meters and beside it.
const OF_METER: [Row; 4] = [
    row("meter", "kamstrup.version"),
    row("parameters", "kamstrup.parameters"),
    row("poll_interval", "kamstrup.poll_interval"),
    row("units", "kamstrup.units"),
];

/// What only a meter of the list has.
const DEVICE_NAME: Row = row("device_name", "mqtt.device_name");

const LOG_LEVEL: Row = row("log_level", "logging.level");

/// What stands under `mqtt`, whoever the broker is.
const PUBLISHING: [Row; 4] = [
    row("topic", "mqtt.topic"),
    row("discovery_prefix", "homeassistant.discovery_prefix"),
    row("qos", "mqtt.qos"),
    row("retain", "mqtt.retain"),
];

/// What stands under `mqtt` and says which broker it is; counts only with a `host`.
const BROKER: [Row; 10] = [
    row("host", "mqtt.host"),
    row("port", "mqtt.port"),
    row("username", "mqtt.username"),
    row("password", "mqtt.password"),
    row("tls", "mqtt.tls_enabled"),
    row("tls_ca_cert", "mqtt.tls_ca_cert"),
    row("tls_cert", "mqtt.tls_cert"),
    row("tls_key", "mqtt.tls_key"),
    row("tls_key_password", "mqtt.tls_key_password"),
    row("tls_insecure", "mqtt.tls_insecure"),
];

/// Those of them that name files, which users keep in one folder.
const FILES: [&str; 3] = ["mqtt.tls_ca_cert", "mqtt.tls_cert", "mqtt.tls_key"];

/// The folder in which the add-on sees them.
const FILES_FOLDER: &str = "/ssl";

const MQTT: &str = "mqtt";
const PORT: &str = "serial_device.com_port";

/// What that is called as a key of a listed meter.
const KEY_OF_PORT: &str = "com_port";

/// The two options that name the port: what can be chosen from a list, and what can be written.
const SERIAL_PORT: &str = "serial_port";
const WRITTEN_PORT: &str = "port";

/// What they are called where nobody has used one.
const EITHER_PORT: &str = "serial_port` or `port";

/// Far more than any options take.
const LONGEST: u64 = 1024 * 1024;

/// Options that were checked.
#[derive(Debug)]
pub struct Options {
    /// What they say. Unless there is an own broker, its broker is none to connect to.
    pub config: Config,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// Whether they say which broker it is; else Home Assistant is asked.
    pub own_broker: bool,
    /// What counts, setting by setting, in the names of the file that others write.
    effective: Effective,
    ports: Ports,
    settings: Settings,
}

/// Which of the two options of the port counts.
#[derive(Debug, Clone, Default)]
struct Ports {
    /// Beside the list of meters.
    single: Option<&'static str>,
    /// For each meter of the list what it is called, and its own option, if it has one.
    listed: Vec<(String, Option<&'static str>)>,
}

/// A broker, as Home Assistant says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplied {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: String,
    /// Whether the connection is to be encrypted.
    pub tls: bool,
    /// User name, if the broker wants one.
    pub username: Option<String>,
    /// And the password.
    pub password: Option<Secret>,
}

/// Why there are no options.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("The options {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is not JSON, or none with options.
    #[error("{} is not what Home Assistant writes: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Options are missing or wrong.
    #[error("{} nothing is read until that is mended", count_words(problems))]
    Problems {
        /// Each of them.
        problems: Vec<Problem>,
        /// What is odd besides.
        warnings: Vec<String>,
    },
}

impl Problem {
    /// Whether nobody has said yet where the meter is.
    fn is_no_port(&self) -> bool {
        self.what.trim_matches('`') == EITHER_PORT && self.found == "nothing"
    }
}

fn count_words(problems: &[Problem]) -> String {
    match problems {
        [_] => "One option is missing or wrong;".to_owned(),
        _ => format!("{} options are missing or wrong;", problems.len()),
    }
}

impl OptionsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "Restart the add-on, so that Home Assistant writes the file again; only `root` may \
                 read it."
            }
            Self::Broken { .. } => {
                "Save the options on the add-on's page again (Configuration, Save) and restart it."
            }
            // As it is right after the installation.
            Self::Problems { problems, .. } if matches!(problems.as_slice(), [only] if only.is_no_port()) => {
                "On the add-on's page in Home Assistant, under Configuration, switch on \"Show unused \
                 optional configuration options\", choose the head under \"Optical head\", save, and \
                 let it restart the add-on."
            }
            Self::Problems { .. } => {
                "Mend this on the add-on's page in Home Assistant, under Configuration, save, and \
                 let it restart the add-on."
            }
        }
    }

    /// What is wrong, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems { problems, .. } => problems.iter().map(Problem::to_string).collect(),
            Self::Unreadable { .. } | Self::Broken { .. } => Vec::new(),
        }
    }

    /// What is odd, one sentence each: a misspelled option explains a missing one.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Problems { warnings, .. } => warnings,
            Self::Unreadable { .. } | Self::Broken { .. } => &[],
        }
    }
}

/// Reads the options of a file.
pub fn load(path: &Path) -> Result<Options, OptionsError> {
    let unreadable = |reason| OptionsError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| -> io::Result<()> {
        File::open(path)?.take(LONGEST.saturating_add(1)).read_to_end(bytes).map(drop)
    };
    read(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST) {
        return Err(unreadable("it is longer than 1 MiB".to_owned()));
    }
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
        return Err(broken("it does not hold a set of options in braces".to_owned()));
    };
    let mut form = Form::default();
    form.read(options);
    form.finish()
}

impl Options {
    /// What counts of it, for people, in the names of the form: each option, its value, and who set
    /// it. What the form does not have counts as it is by itself, and is left out; so is who the broker
    /// is where Home Assistant is to say it.
    pub fn lines(&self) -> impl Iterator<Item = [String; 3]> {
        self.lines_of(&self.effective)
    }

    fn lines_of(&self, effective: &Effective) -> impl Iterator<Item = [String; 3]> {
        let single = self.ports.single.unwrap_or(WRITTEN_PORT);
        let sections = effective.sections.iter().map(move |entry| (entry, String::new(), single));
        let meters = effective.meters.iter().zip(&self.ports.listed);
        let meters = meters.flat_map(move |((name, entries), (_, port))| {
            let port = port.unwrap_or(single);
            entries.iter().map(move |entry| (entry, format!(" of {name}"), port))
        });
        sections.chain(meters).filter_map(|(entry, whose, port)| {
            let Entry { key, value, origin } = entry;
            if BROKER.iter().any(|row| row.path == *key)
                && !self.own_broker
                && *origin != Origin::HomeAssistant
            {
                return None;
            }
            let option = option(key, port)?;
            Some([format!("{option}{whose}"), value.to_string(), origin.to_string()])
        })
    }

    /// The same with the broker that Home Assistant has said, and what counts then, as [`lines`] tells
    /// it. An error says what is wrong with that.
    ///
    /// [`lines`]: Self::lines
    pub fn with_broker(
        &self,
        supplied: &Supplied,
    ) -> Result<(Config, Vec<[String; 3]>), OptionsError> {
        let mut settings = self.settings.clone();
        let Supplied { host, port, tls, username, password } = supplied;
        let mut set = |path, text: &str| settings.set(path, text, Place::HomeAssistant);
        set("mqtt.host", host);
        set("mqtt.port", port);
        set("mqtt.tls_enabled", if *tls { "true" } else { "false" });
        if let Some(username) = username {
            set("mqtt.username", username);
        }
        if let Some(password) = password.as_ref().filter(|_| username.is_some()) {
            set("mqtt.password", password.reveal());
        }
        let (problems, warnings) = (Vec::new(), Vec::new());
        let checker = Checker { settings: &settings, listed: None, problems, warnings };
        match checker.finish(None) {
            Ok(loaded) => {
                let lines = self.lines_of(&loaded.settings).collect();
                Ok((loaded.config, lines))
            }
            Err(error) => Err(worded(error, &self.ports)),
        }
    }
}

/// The option for a setting as `mqtt.host`, or as `com_port` of a listed meter, where the port is in
/// this one.
fn option(setting: &str, port: &str) -> Option<String> {
    if let Some(row) = PUBLISHING.iter().chain(&BROKER).find(|row| row.path == setting) {
        return Some(format!("{} of {MQTT}", row.option));
    }
    if [PORT, KEY_OF_PORT].contains(&setting) {
        return Some(port.to_owned());
    }
    let listed = OF_METER.iter().chain([&DEVICE_NAME]);
    let listed = listed.filter(|row| row.path.rsplit('.').next() == Some(setting));
    let single = OF_METER.iter().chain([&LOG_LEVEL]).filter(|row| row.path == setting);
    single.chain(listed).map(|row| row.option.to_owned()).next()
}

/// A form while it is read.
#[derive(Default)]
struct Form {
    settings: Settings,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    own_broker: bool,
    ports: Ports,
}

impl Form {
    fn read(&mut self, mut options: Map<String, Value>) {
        // As the form has it where nobody says otherwise.
        self.settings.set("kamstrup.version", "auto", Place::Default);
        if let Some((option, raw)) = self.port(&mut options, "") {
            self.ports.single = Some(option);
            self.settings.set_raw(PORT, raw, Place::Form);
        }
        for row in OF_METER.iter().chain([&LOG_LEVEL]) {
            if let Some(raw) = self.take(&mut options, row, "") {
                self.settings.set_raw(row.path, raw, Place::Form);
            }
        }
        match options.remove(MQTT) {
            None | Some(Value::Null) => {}
            Some(Value::Object(mqtt)) => self.read_mqtt(mqtt),
            Some(_) => self.wrong_shape("`mqtt`", "something else", "options like `host`"),
        }
        match options.remove(keys::METERS) {
            None | Some(Value::Null) => {}
            Some(Value::Array(meters)) => self.read_meters(meters),
            Some(_) => self.wrong_shape("`meters`", "something else", "a list of meters"),
        }
        self.unknown(&options, "");
    }

    fn read_mqtt(&mut self, mut options: Map<String, Value>) {
        const OF: &str = " of `mqtt`";
        for row in &PUBLISHING {
            if let Some(raw) = self.take(&mut options, row, OF) {
                self.settings.set_raw(row.path, raw, Place::Form);
            }
        }
        let mut broker = BTreeMap::new();
        for row in &BROKER {
            if let Some(raw) = self.take(&mut options, row, OF) {
                broker.insert(row.option, (row.path, raw));
            }
        }
        self.unknown(&options, OF);
        self.own_broker = broker.contains_key("host");
        if self.own_broker {
            for (path, raw) in broker.into_values() {
                self.settings.set_raw(path, in_folder(path, raw), Place::Form);
            }
            return;
        }
        // A switch that is off says nothing.
        let off = Raw::Text("false".to_owned());
        let idle =
            BROKER.iter().filter(|row| broker.get(row.option).is_some_and(|(_, raw)| *raw != off));
        let idle: Vec<_> = idle.map(|row| format!("`{}`", row.option)).collect();
        if !idle.is_empty() {
            self.warnings.push(format!(
                "{}{OF} is not used without `host`{OF}: Home Assistant says which broker it is and \
                 how to log in",
                idle.join(", ")
            ));
        }
    }

    fn read_meters(&mut self, meters: Vec<Value>) {
        for (index, meter) in meters.into_iter().enumerate() {
            let number = index.saturating_add(1);
            let mut item = Item { meter: format!("item {number} of `meters`"), spot: None };
            let Value::Object(mut options) = meter else {
                let what = item.meter.clone();
                self.wrong_shape(&what, "something else", "options like `name` and `port`");
                continue;
            };
            if let Some(name) = options.get(keys::NAME.path).and_then(Value::as_str)
                && name.parse::<super::MeterName>().is_ok()
            {
                item.meter = format!("{} (`{name}`)", item.meter);
            }
            let of = format!(" of {}", item.meter);
            let place = || Place::Item(item.clone());
            let mut settings = BTreeMap::new();
            let port = self.port(&mut options, &of);
            self.ports.listed.push((item.meter.clone(), port.as_ref().map(|(option, _)| *option)));
            if let Some((_, raw)) = port {
                settings.insert(PORT, Setting { raw, place: place() });
            }
            for row in OF_METER.iter().chain([&DEVICE_NAME]) {
                if let Some(raw) = self.take(&mut options, row, &of) {
                    settings.insert(row.path, Setting { raw, place: place() });
                }
            }
            let name = self.take(&mut options, &row(keys::NAME.path, keys::NAME.path), &of);
            let name = name.map(|raw| Setting { raw, place: place() });
            self.unknown(&options, &of);
            self.settings.add_meter(Listed { place: item, name, settings });
        }
    }

    /// What can be written counts more than what can be chosen.
    fn port(&mut self, options: &mut Map<String, Value>, of: &str) -> Option<(&'static str, Raw)> {
        let chosen = self.take(options, &row(SERIAL_PORT, PORT), of);
        let written = self.take(options, &row(WRITTEN_PORT, PORT), of);
        if chosen.is_some() && written.is_some() {
            self.warnings.push(format!(
                "`{WRITTEN_PORT}` and `{SERIAL_PORT}`{of} are both set: `{WRITTEN_PORT}` is taken"
            ));
        }
        let chosen = chosen.map(|raw| (SERIAL_PORT, raw));
        written.map(|raw| (WRITTEN_PORT, raw)).or(chosen)
    }

    /// An option's text or texts; `None` where it is not there or empty.
    fn take(&mut self, options: &mut Map<String, Value>, row: &Row, of: &str) -> Option<Raw> {
        let key = keys::find(row.path)?;
        let found = match options.remove(row.option)? {
            Value::Null => return None,
            Value::Object(_) => "a set of options",
            Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
                match texts {
                    Some(texts) if texts.is_empty() => return None,
                    Some(texts) => return Some(Raw::List(texts)),
                    None => "a list with something else than texts in it",
                }
            }
            value => {
                let text = scalar(&value)?;
                // What was pasted has spaces around it.
                let text = if key.secret { text } else { text.trim().to_owned() };
                return Some(text).filter(|text| !text.is_empty()).map(Raw::Text);
            }
        };
        self.wrong_shape(&format!("`{}`{of}", row.option), found, key.accepted);
        None
    }

    fn wrong_shape(&mut self, what: &str, found: &str, accepted: &str) {
        self.problems.push(Problem {
            what: what.to_owned(),
            found: found.to_owned(),
            accepted: accepted.to_owned(),
        });
    }

    fn unknown(&mut self, left: &Map<String, Value>, of: &str) {
        for option in left.keys() {
            self.warnings.push(format!("the option `{option}`{of} is not known and is ignored"));
        }
    }

    fn finish(self) -> Result<Options, OptionsError> {
        let Self { settings, problems, warnings, own_broker, ports } = self;
        let checker = Checker { settings: &settings, listed: None, problems, warnings };
        match checker.finish(None) {
            Ok(loaded) => {
                let warnings = loaded.warnings.iter().map(|text| ports.in_words(text)).collect();
                let (config, effective) = (loaded.config, loaded.settings);
                Ok(Options { config, warnings, own_broker, effective, ports, settings })
            }
            Err(error) => Err(worded(error, &ports)),
        }
    }
}

/// The text of what is neither a list nor a set.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Users name files as they see them in their folder.
fn in_folder(path: &str, raw: Raw) -> Raw {
    match raw {
        Raw::Text(name) if FILES.contains(&path) && !name.starts_with('/') => {
            Raw::Text(format!("{FILES_FOLDER}/{name}"))
        }
        raw => raw,
    }
}

fn worded(error: ConfigError, ports: &Ports) -> OptionsError {
    let (problems, warnings) = match error {
        ConfigError::Problems { problems, warnings } => (problems, warnings),
        // No file was read.
        other => (Vec::new(), vec![other.to_string()]),
    };
    let problem = |Problem { what, found, accepted }| Problem {
        what: ports.in_words(&what),
        found: ports.in_words(&found),
        accepted: ports.in_words(&accepted),
    };
    let problems = problems.into_iter().map(problem).collect();
    let warnings = warnings.iter().map(|text| ports.in_words(text)).collect();
    OptionsError::Problems { problems, warnings }
}

/// What went wrong with the broker of the form, in the names of the form. What to do about it goes
/// without the sentences that speak of settings which the form does not have.
#[must_use]
pub fn of_own_broker(text: &str) -> String {
    let (what, to_do) = in_two(text);
    let words: Vec<String> = to_do
        .split_inclusive(". ")
        .map(|sentence| in_words(sentence, WRITTEN_PORT))
        .filter(|sentence| !sentence.contains(SETTING))
        .collect();
    let to_do = match words.concat() {
        none if none.is_empty() && !to_do.is_empty() => {
            "The broker's own log may say more.".to_owned()
        }
        words => words,
    };
    format!("{} {to_do}", in_words(what, WRITTEN_PORT)).trim_end().to_owned()
}

/// What went wrong with the broker of which Home Assistant said how to log in: without what to do
/// about it where that speaks of settings, since nobody made any. Half of it would be nonsense.
#[must_use]
pub fn of_supplied_broker(text: &str) -> String {
    let (what, to_do) = in_two(text);
    if to_do.contains(SETTING) { what.to_owned() } else { text.to_owned() }
}

/// How the name of a setting of the broker begins.
const SETTING: &str = "`mqtt.";

/// What happened, which is the first sentence, and what to do about it. What is quoted in
/// parentheses may be sentences as well.
fn in_two(text: &str) -> (&str, &str) {
    let ends = text.match_indices(". ").find(|(end, _)| {
        let what = text.get(..*end).unwrap_or_default();
        what.matches('(').count() <= what.matches(')').count()
    });
    let split = ends.and_then(|(end, _)| text.split_at_checked(end.saturating_add(1)));
    split.map_or((text, ""), |(what, to_do)| (what, to_do.trim_start()))
}

impl Ports {
    /// What the checks say, in the names of the form and the options that were used.
    fn in_words(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (meter, option) in &self.listed {
            let option = option.unwrap_or(EITHER_PORT);
            let key = |name: &str| format!("`{name}` of {meter}");
            text = text.replace(&key(KEY_OF_PORT), &key(option));
        }
        in_words(&text, self.single.unwrap_or(EITHER_PORT))
    }
}

/// What the checks say, in the names of the form.
fn in_words(text: &str, port: &str) -> String {
    let mut text = text.to_owned();
    let rename = |text: &mut String, from: &str, to: &str| {
        *text = text.replace(&format!("`{from}`"), &format!("`{to}`"));
    };
    for Row { option, path } in OF_METER.iter().chain([&LOG_LEVEL, &DEVICE_NAME]) {
        rename(&mut text, path, option);
        let name = path.split_once('.').map_or(*path, |(_, name)| name);
        if name != *option {
            // As a key of a listed meter.
            rename(&mut text, name, option);
        }
    }
    for Row { option, path } in PUBLISHING.iter().chain(&BROKER) {
        rename(&mut text, path, &format!("{option}` of `{MQTT}"));
    }
    rename(&mut text, PORT, port);
    rename(&mut text, KEY_OF_PORT, WRITTEN_PORT);
    // There are no variables here.
    for key in keys::KEYS {
        if let Some(variable) = key.variable {
            text = text.replace(&format!(" (or the variable `{variable}`)"), "");
        }
    }
    // Nor a command line.
    text.replace(" (`kamstrup2mqtt registers` lists them)", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(json: &str) -> Result<Options, OptionsError> {
        check(Path::new("/data/options.json"), json.as_bytes())
    }

    /// What a fresh install has, with an adapter chosen.
    const FRESH: &str = r#"{
        "serial_port": "/dev/serial/by-id/usb-FTDI-if00-port0",
        "meter": "auto",
        "parameters": ["energy", "volume", "power", "flow", "temp1", "temp2", "tempdiff"],
        "poll_interval": "5m",
        "units": "standard",
        "meters": [],
        "mqtt": {},
        "log_level": "info"
    }"#;

    #[test]
    fn every_option_is_taken() {
        let forms = [
            ("fresh, with an adapter", FRESH),
            (
                "all of one meter",
                r#"{"port": " socket://10.0.0.3:2003 ", "meter": "403",
                "parameters": ["energy", "60", "0x003C"], "poll_interval": "90s",
                "units": "meter", "meters": [], "log_level": "debug",
                "mqtt": {"host": "10.0.0.2", "port": 1884, "username": "me", "password": " p ",
                "topic": "heat", "discovery_prefix": "ha", "qos": "2", "retain": true,
                "tls": false}}"#,
            ),
            (
                "several meters",
                r#"{"meter": "603", "parameters": ["energy"], "poll_interval": "10", "mqtt": {},
                "meters": [
                    {"name": "house", "serial_port": "/dev/ttyUSB0"},
                    {"name": "garage", "port": "socket://10.0.0.3:2003", "meter": "402",
                     "parameters": "power, flow", "poll_interval": "1h", "units": "meter",
                     "device_name": "The Garage"}]}"#,
            ),
            (
                "one meter in the list beside a port",
                r#"{"serial_port": "/dev/ttyUSB0", "meters": [{"name": "house"}]}"#,
            ),
            (
                "what is odd",
                r#"{"serial_port": "/dev/ttyUSB0", "port": "/dev/ttyUSB1", "baudrate": 1200,
                "mqtt": {"username": "me", "password": "hunter2", "tls": false, "hosst": "x"},
                "meters": [{"name": "a", "serial_port": "/dev/ttyUSB2", "port": "/dev/ttyUSB3",
                "topic": "x"}, {"name": "b"}, {"name": "c", "port": null}]}"#,
            ),
        ];
        let texts = forms.map(|(name, json)| {
            let Options { config, warnings, own_broker, .. } = from(json).unwrap();
            assert_ne!(own_broker, config.broker.host == "localhost", "{name}");
            let Config { broker, publishing, meters, logging, page: _ } = config;
            let log_level = logging.level;
            let meters: Vec<_> = meters.iter().map(|meter| format!("{meter:?}")).collect();
            let meters = meters.join("\n");
            format!("{name}: {warnings:#?}\n{broker:?}\n{publishing:?}\n{log_level:?}\n{meters}")
        });
        insta::assert_snapshot!(texts.join("\n\n"));
    }

    /// Nothing that is not on the form, and nothing of a broker whom Home Assistant names.
    #[test]
    fn what_counts_is_told_in_the_names_of_the_form() {
        let lines = |json: &str| {
            let lines: Vec<_> = from(json).unwrap().lines().map(|line| line.join(" | ")).collect();
            lines.join("\n")
        };
        let forms = [
            FRESH,
            r#"{"port": "/dev/ttyUSB0", "log_level": "debug",
            "mqtt": {"host": "broker", "username": "me", "password": "hunter2", "topic": "heat"}}"#,
            r#"{"meter": "603", "meters": [{"name": "house", "serial_port": "/dev/ttyUSB0"},
            {"name": "garage", "port": "socket://10.0.0.3:2003", "device_name": "The Garage"}]}"#,
            r#"{"serial_port": "/dev/ttyUSB0", "meters": [{"name": "house"}]}"#,
        ];
        insta::assert_snapshot!(forms.map(lines).join("\n\n"));
    }

    /// In the names that the form has, and without a secret.
    #[test]
    fn errors() {
        let port = r#""serial_port": "/dev/ttyUSB0""#;
        let forms = [
            (
                "fresh",
                FRESH.replace(r#""serial_port": "/dev/serial/by-id/usb-FTDI-if00-port0","#, ""),
            ),
            ("empty", String::new()),
            ("half of it", FRESH[..80].to_owned()),
            ("a list", "[]".to_owned()),
            (
                "wrong values",
                r#"{"port": "COM3", "meter": "404", "parameters": ["energy", "enregy"],
                "poll_interval": "0", "units": "imperial", "log_level": "loud", "mqtt": {
                "host": "mqtt://me:hunter2@host", "port": 0, "topic": "a/#", "qos": "3",
                "discovery_prefix": "+", "retain": "perhaps"}}"#
                    .to_owned(),
            ),
            (
                "files of TLS",
                format!(
                    r#"{{{port}, "mqtt": {{"host": "broker", "tls": true,
                "tls_ca_cert": "no-such-ca.crt", "tls_cert": "client.crt",
                "tls_key_password": "hunter2"}}}}"#
                ),
            ),
            (
                "TLS switched off",
                format!(
                    r#"{{{port}, "units": "x", "mqtt": {{"host": "broker", "tls": false,
                "tls_ca_cert": "ca.crt", "tls_cert": "client.crt", "tls_key": "client.key"}}}}"#
                ),
            ),
            ("the other port", r#"{"serial_port": "rfc2217://host:1"}"#.to_owned()),
            (
                "wrong shapes",
                format!(
                    r#"{{{port}, "meter": {{}}, "parameters": [[]], "units": ["meter"],
                "mqtt": {{"host": "host", "password": ["hunter2"]}}, "meters": "house"}}"#
                ),
            ),
            ("wrong sets", format!(r#"{{{port}, "mqtt": "hunter2", "meters": ["hunter2"]}}"#)),
            (
                "wrong meters",
                r#"{"meters": [{"name": "house", "serial_port": "/dev/ttyUSB0"},
                {"name": "the garage", "port": "COM3", "meter": "404", "parameters": "flux",
                "poll_interval": "x", "units": "y"}, {"name": "House"}, {"port": "/dev/ttyUSB1"},
                {"name": "barn", "serial_port": "COM4"}]}"#
                    .to_owned(),
            ),
        ];
        let texts = forms.map(|(name, json)| {
            let error = from(&json).unwrap_err();
            let lines = [error.to_string()].into_iter().chain(error.problems());
            let lines = lines.chain(error.warnings().iter().cloned());
            let lines: Vec<_> = lines.chain([error.hint().to_owned()]).collect();
            format!("{name}: {}", lines.join("\n  "))
        });
        let text = texts.join("\n");
        assert!(!text.contains("hunter2"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_file_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load(&folder.path().join("options.json")).unwrap_err();
        assert!(matches!(missing, OptionsError::Unreadable { .. }), "{missing}");
        let of_folder = load(folder.path()).unwrap_err();
        assert!(matches!(of_folder, OptionsError::Unreadable { .. }), "{of_folder}");
        let long = folder.path().join("long");
        std::fs::write(&long, vec![b' '; 2 * 1024 * 1024]).unwrap();
        let long = load(&long).unwrap_err().to_string();
        assert!(long.ends_with("it is longer than 1 MiB"), "{long}");
    }

    #[test]
    fn what_went_wrong_with_the_broker_is_in_words_of_the_form() {
        let words = "it refused user name or password. Check `mqtt.username` and `mqtt.password`.";
        assert_eq!(
            of_own_broker(words),
            "it refused user name or password. Check `username` of `mqtt` and `password` of `mqtt`."
        );
        assert_eq!(of_supplied_broker(words), "it refused user name or password.");
        let words = "nothing listens there. Check that the broker runs.";
        assert_eq!(of_supplied_broker(words), words);
        // One that the form does not have.
        let words = "it refused the client id. Choose another one as `mqtt.client`.";
        let own = "it refused the client id. The broker's own log may say more.";
        assert_eq!(of_own_broker(words), own);
        assert_eq!(of_supplied_broker(words), "it refused the client id.");
        let words = "it failed (a. b). Use 1.2. If not, `mqtt.tls_version` must not be 1.3.";
        assert_eq!(of_own_broker(words), "it failed (a. b). Use 1.2.");
        assert_eq!(of_supplied_broker(words), "it failed (a. b).");
        let words = "it is gone (`mqtt.host`).";
        assert_eq!(of_own_broker(words), "it is gone (`host` of `mqtt`).");
    }

    #[test]
    fn files_are_in_their_folder() {
        let text = |text: &str| Raw::Text(text.to_owned());
        assert_eq!(in_folder("mqtt.tls_key", text("a/b.key")), text("/ssl/a/b.key"));
        assert_eq!(in_folder("mqtt.tls_key", text("/ssl/b.key")), text("/ssl/b.key"));
        assert_eq!(in_folder("mqtt.host", text("broker")), text("broker"));
    }

    /// Only the broker that is connected to is shown, and who said so.
    #[test]
    fn what_counts_names_the_broker_in_use() {
        let shown = |lines: Vec<[String; 3]>| {
            let lines = lines.into_iter().filter(|[_, _, origin]| origin == "Home Assistant");
            lines.map(|[key, value, _]| format!("{key}: {value}")).collect::<Vec<_>>()
        };
        let options = from(r#"{"port": "/dev/ttyUSB0"}"#).unwrap();
        assert_eq!(shown(options.lines().collect()), [""; 0]);
        let supplied = Supplied {
            host: "core-mosquitto".to_owned(),
            port: "1884".to_owned(),
            tls: false,
            username: Some("addons".to_owned()),
            password: Some(Secret::new("hunter2")),
        };
        let (_, lines) = options.with_broker(&supplied).unwrap();
        let rest = lines.len().checked_sub(options.lines().count());
        let broker = shown(lines);
        assert_eq!(
            broker,
            [
                "host of mqtt: core-mosquitto",
                "port of mqtt: 1884",
                "username of mqtt: addons",
                "password of mqtt: ***",
                "tls of mqtt: false",
            ]
        );
        assert_eq!(rest, Some(broker.len()));
    }

    #[test]
    fn the_supplied_broker_is_checked_as_well() {
        let options = from(FRESH).unwrap();
        let supplied = |host: &str, port: &str| Supplied {
            host: host.to_owned(),
            port: port.to_owned(),
            tls: false,
            username: Some("addons".to_owned()),
            password: Some(Secret::new("hunter2")),
        };
        let (config, _) = options.with_broker(&supplied("core-mosquitto", "1883")).unwrap();
        assert_eq!(config.broker.name(), "core-mosquitto:1883");
        let credentials = config.broker.credentials.unwrap();
        assert_eq!(credentials.username, "addons");
        assert_eq!(credentials.password.reveal(), "hunter2");
        assert_eq!((config.publishing, config.meters), {
            let Config { publishing, meters, .. } = options.config.clone();
            (publishing, meters)
        });
        // Whom the system trusts, if there is anybody.
        match options.with_broker(&Supplied { tls: true, ..supplied("broker", "8883") }) {
            Ok((config, _)) => assert!(config.broker.tls.is_some()),
            Err(error) => assert!(error.problems().join(" ").contains("trust"), "{error:?}"),
        }
        let bare = Supplied { username: None, ..supplied("core-mosquitto", "1883") };
        assert_eq!(options.with_broker(&bare).unwrap().0.broker.credentials, None);
        for (host, port) in [("", "1883"), ("two words", "1883"), ("a", "0"), ("a", "x")] {
            assert!(options.with_broker(&supplied(host, port)).is_err(), "{host}:{port}");
        }
    }
}
