//! Words for the problems and warnings of a configuration. The sentences use the names that the
//! user knows: those of the file and the variables, or those of the app's form. No other module
//! edits the sentences.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use super::keys::{self, HEAD_GROUP, METERS_GROUP, MQTT_GROUP, SERIAL_PORT, WRITTEN_PORT};
use super::origin::{Origin, Place, Whose};
use super::problem::{
    About, Accepted, Actual, HomeAssistants, Login, Meant, OptionOwner, Ours, Problem, Quoted,
    Shape, Though, Warning,
};
use super::remark::Remark;
use super::setting::{Field, FormName, Key};
use crate::tls::{Fault, FileError, Role};
use meter::RunsAs;
use meter::duration;
use meter::transport::Endpoint;

/// The words that the form shows next to an option, in quotes.
pub(super) fn labelled(field: Field) -> String {
    format!("\"{}\"", field.label)
}

/// The same with the name that the option has in YAML.
fn labelled_fully(field: Field) -> String {
    format!("\"{}\" (`{}`)", field.label, field.name)
}

/// ` under "Own MQTT broker"`
fn under_mqtt() -> String {
    format!(" under {}", labelled(MQTT_GROUP))
}

impl Key {
    /// The name that the reader knows: with backticks for a file, and as the form shows it.
    #[must_use]
    pub fn called(&self, runs_as: RunsAs) -> String {
        let group = match (runs_as, self.form) {
            (RunsAs::AddOn, FormName::OfMqtt(_)) => under_mqtt(),
            _ => String::new(),
        };
        format!("{}{group}", self.called_briefly(runs_as))
    }

    /// The same without the group of the form, for a sentence that names the group elsewhere.
    #[must_use]
    pub fn called_briefly(&self, runs_as: RunsAs) -> String {
        match (runs_as, self.form) {
            (RunsAs::Program, _) | (RunsAs::AddOn, FormName::Absent) => format!("`{}`", self.path),
            (RunsAs::AddOn, FormName::Option(field) | FormName::OfMqtt(field)) => labelled(field),
            (RunsAs::AddOn, FormName::Either(one, other)) => {
                format!("{} or {}", labelled(one), labelled(other))
            }
        }
    }

    /// Whether the form has both in the same group.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        matches!((self.form, other.form), (FormName::OfMqtt(_), FormName::OfMqtt(_)))
    }

    /// The name of an option of the form, with its name in YAML. `chosen` is the option if several
    /// options set this setting.
    fn called_on_form(&self, chosen: Option<&str>) -> String {
        match self.form {
            FormName::Absent => format!("`{}`", self.path),
            FormName::Option(field) => labelled_fully(field),
            FormName::OfMqtt(field) => format!("{}{}", labelled_fully(field), under_mqtt()),
            FormName::Either(one, other) => {
                let all = [one, other].into_iter();
                let named = all.filter(|field| chosen.is_none_or(|name| name == field.name));
                named.map(labelled_fully).collect::<Vec<_>>().join(" or ")
            }
        }
    }

    /// The name as a key of a listed meter.
    fn called_in_list(&self, runs_as: RunsAs) -> String {
        match runs_as {
            RunsAs::Program => format!("`{}`", self.name()),
            RunsAs::AddOn => self.called(runs_as),
        }
    }

    /// All names under which it can be set.
    fn called_unset(&self, runs_as: RunsAs) -> String {
        match (runs_as, self.variable) {
            (RunsAs::Program, Some(variable)) => {
                format!("`{}` (or the variable `{variable}`)", self.path)
            }
            (RunsAs::Program, None) => self.called(runs_as),
            (RunsAs::AddOn, _) => self.called_on_form(None),
        }
    }

    fn accepted(&self, runs_as: RunsAs) -> &'static str {
        match (runs_as, self.accepted_in_form) {
            (RunsAs::AddOn, Some(accepted)) => accepted,
            _ => self.accepted,
        }
    }
}

impl Whose {
    pub(super) fn called(&self, runs_as: RunsAs) -> String {
        let Self { number, name } = self;
        let group = labelled(METERS_GROUP);
        match (runs_as, name) {
            (RunsAs::Program, Some(name)) => format!("the meter `{name}`"),
            (RunsAs::Program, None) => format!("meter {number}"),
            (RunsAs::AddOn, Some(name)) => format!("entry {number} (`{name}`) of {group}"),
            (RunsAs::AddOn, None) => format!("entry {number} of {group}"),
        }
    }
}

impl Problem {
    /// The same without its subject, for a form that shows it at the field.
    #[must_use]
    pub fn words_at_field(&self) -> String {
        let Self { about, found, accepted } = self;
        // Who fills in a form may not know the keys of the file or the commands.
        let words = accepted.words(about, RunsAs::AddOn);
        match found.wrong_value(RunsAs::AddOn) {
            Some(found) => format!("found {found}. Enter {words}"),
            None => format!("this is missing: enter {words}"),
        }
    }

    /// What is wrong, then what to do about it, without the last full stop.
    #[must_use]
    pub fn words(&self, runs_as: RunsAs) -> String {
        let Self { about, found, accepted } = self;
        let subject = about.words(runs_as);
        let words = accepted.words(about, runs_as);
        if let Some(found) = found.wrong_value(runs_as) {
            return format!("{subject}: found {found}, accepted: {words}");
        }
        let comma = if self.line().is_some() { "," } else { "" };
        let set = match accepted {
            Accepted::Usual | Accepted::UsualBut(_) => format!("set it to {words}"),
            _ => format!("set {words}"),
        };
        match found {
            Actual::NothingBut(key) => {
                format!("{subject}{comma} is missing (found `{key}`, which is unknown): {set}")
            }
            Actual::NothingThough(though) => {
                format!("{subject}{comma} is missing although {}: {set}", though.words(runs_as))
            }
            Actual::Taken { text, by, line } => {
                let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
                let by = by.called(runs_as);
                format!("{subject}: `{text}` is already used by {by}{line}. Use {words}")
            }
            Actual::SameId { name, key, other_key, other } => format!(
                "{subject}: with the name `{name}`, `{key}` of this meter would have the same id as \
                 `{other_key}` of {}. Use {words}",
                other.called(runs_as)
            ),
            Actual::SharedTopic { value, topic, ours, theirs } => {
                let ours = ours.words(about, runs_as);
                let theirs = theirs.words(about, runs_as);
                let reason = match about {
                    About::Setting(key, _) if **key == *keys::DISCOVERY_PREFIX => format!(
                        "{value} is not accepted, because it must differ from {}",
                        keys::TOPIC.called(runs_as)
                    ),
                    About::Setting(key, _) if **key == *keys::STATUS_TOPIC => {
                        format!("{topic} is already the topic of {ours}")
                    }
                    _ if value == topic => format!("{topic} is already the topic of {theirs}"),
                    _ => format!(
                        "{value} is not accepted. With it, {ours} would have the topic {topic}. This \
                         is already the topic of {theirs}"
                    ),
                };
                format!("{subject}: {reason}. Use {words}")
            }
            Actual::Uncertifiable(host) => {
                format!("{subject}: no certificate can be valid for `{host}`. Use {words}")
            }
            Actual::OtherKey(port) => format!(
                "{subject} differs from the key in {}. Use only one of them",
                port.called(runs_as)
            ),
            Actual::NotForPort(port) => format!(
                "{subject} is set, but {port} is not an ESPHome node. Remove it, or set {} to \
                 `esphome://host`",
                keys::COM_PORT.called(runs_as)
            ),
            Actual::Nothing if matches!(about, About::Meter(..)) => {
                format!("{subject}: this entry is empty. Write {words} there, or remove it")
            }
            Actual::Both => format!("{subject} are both set. Use only {words}"),
            Actual::Unusable(reason) => format!("{subject} cannot be used: {reason}. Use {words}"),
            Actual::File(error) => {
                let is_yaml = runs_as == RunsAs::Program && !about.is_variable();
                tls_file(&subject, comma, error, runs_as, is_yaml)
            }
            _ => format!("{subject}{comma} is missing: {set}"),
        }
    }
}

/// ` in config.yaml, line 12, column 5`
fn in_file(origin: &Origin) -> String {
    match origin {
        Origin::File(spot) => format!(" in {spot}"),
        _ => String::new(),
    }
}

impl About {
    /// Whether a variable sets it, or a file that a variable names.
    fn is_variable(&self) -> bool {
        let Self::Setting(_, Place { origin, .. }) = self else { return false };
        matches!(origin, Origin::Variable(_) | Origin::SecretFile { .. })
    }

    fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Setting(key, place) => setting(key, place, runs_as),
            Self::Section(name, Origin::Form(_)) => {
                let groups = [HEAD_GROUP, MQTT_GROUP, METERS_GROUP].into_iter();
                let group = groups.into_iter().find(|group| group.name == *name);
                group.map_or_else(|| format!("`{name}`"), labelled_fully)
            }
            Self::Section(name, origin) => format!("`{name}`{}", in_file(origin)),
            Self::Meter(whose, origin) => match runs_as {
                RunsAs::Program => format!("meter {} of `meters`{}", whose.number, in_file(origin)),
                RunsAs::AddOn => whose.called(runs_as),
            },
            Self::Variables(one, other) => format!("the variables `{one}` and `{other}`"),
        }
    }
}

fn setting(key: &Key, Place { origin, whose }: &Place, runs_as: RunsAs) -> String {
    let called = match origin {
        Origin::Variable(variable) => return format!("the variable `{variable}`"),
        Origin::Option(option) => return format!("the option `{option}`"),
        Origin::SecretFile { variable, path } => return secret_file(path, variable),
        Origin::Default if whose.is_none() => return key.called_unset(runs_as),
        Origin::Form(option) => key.called_on_form(*option),
        _ if whose.is_some() => key.called_in_list(runs_as),
        _ => key.called(runs_as),
    };
    let whose = whose.as_ref().map(|whose| format!(" of {}", whose.called(runs_as)));
    format!("{called}{}{}", whose.unwrap_or_default(), in_file(origin))
}

fn secret_file(path: &Path, variable: &str) -> String {
    format!("the file {} (the variable `{variable}`)", path.display())
}

impl Actual {
    /// The value that is not accepted; `None` if something else is wrong.
    fn wrong_value(&self, runs_as: RunsAs) -> Option<String> {
        Some(match self {
            Self::Text(text, remark) => {
                let remark = remark.as_ref().map(|remark| remark.words(runs_as));
                format!("{text}{}", remark.unwrap_or_default())
            }
            Self::Hidden => "a value that is not shown".to_owned(),
            Self::Shape(shape) => shape.words().to_owned(),
            Self::NotUtf8 => "bytes that are not UTF-8".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.as_str())
    }
}

impl Shape {
    fn words(self) -> &'static str {
        match self {
            Self::List => "a list",
            Self::MixedList => "a list that contains something other than texts",
            Self::Text => "a text",
            Self::NoSpace => "no space after a colon",
            Self::Keys => "settings",
            Self::KeysUnder => "settings below it",
            Self::NoKeys => "no settings",
            Self::Options => "a set of options",
            Self::Else => "another kind of value",
        }
    }
}

impl Ours {
    fn words(self, about: &About, runs_as: RunsAs) -> String {
        let words = match self {
            Self::All => "the whole program",
            Self::Status => "the program's status",
            Self::State => "one of the program's values",
            Self::Command => "commands to the program",
            Self::Announcement => {
                return format!(
                    "announcements of devices{}",
                    by_setting(&keys::DISCOVERY_PREFIX, about, runs_as)
                );
            }
        };
        format!("{words}{}", by_setting(&keys::TOPIC, about, runs_as))
    }
}

impl HomeAssistants {
    fn words(self, about: &About, runs_as: RunsAs) -> String {
        match self {
            Self::Status => {
                let setting = by_setting(&keys::STATUS_TOPIC, about, runs_as);
                format!("Home Assistant's status{setting}")
            }
            Self::UsualStatus => {
                let setting = by_setting(&keys::DISCOVERY_PREFIX, about, runs_as);
                format!("Home Assistant's status, where other programs look for it{setting}")
            }
        }
    }
}

/// ` (`mqtt.topic`)`, unless this setting is the subject of the sentence or the reader does not
/// have it.
fn by_setting(key: &Key, about: &About, runs_as: RunsAs) -> String {
    let is_subject = matches!(about, About::Setting(subject, _) if **subject == *key);
    if is_subject || (runs_as == RunsAs::AddOn && !key.is_on_form()) {
        return String::new();
    }
    format!(" ({})", key.called(runs_as))
}

impl Though {
    fn words(self, runs_as: RunsAs) -> String {
        match self {
            Self::Several => "there are several meters".to_owned(),
            Self::Set(key) => format!("{} is set", key.called(runs_as)),
            Self::On(key) => format!("{} is on", key.called(runs_as)),
        }
    }
}

impl Remark {
    fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Meant(meant) => format!(" (did you mean `{meant}`?)"),
            Self::MeantHost { host, port: None } => format!(" (did you mean `{host}`?)"),
            Self::MeantHost { host, port: Some(port) } => {
                let setting = keys::PORT.called_briefly(runs_as);
                format!(" (did you mean `{host}`, with {port} as {setting}?)")
            }
            Self::MeantFile { name, folder } => {
                let setting = keys::LOG_DIRECTORY.called(runs_as);
                format!(" (did you mean `{name}`, with `{folder}` as {setting}?)")
            }
            Self::TooHigh => " (register numbers go up to 65535)".to_owned(),
            Self::Endpoint(error) => format!(" ({error})"),
            Self::Home(rest) => {
                format!(" (`~` is not supported: write the whole path, like `/home/NAME{rest}`)")
            }
        }
    }
}

impl Accepted {
    fn words(&self, about: &About, runs_as: RunsAs) -> String {
        let usual = match about {
            About::Setting(key, _) => key.accepted(runs_as),
            _ => "",
        };
        match self {
            Self::Usual => usual.to_owned(),
            Self::UsualBut(reason) => format!("{usual} ({reason})"),
            Self::This(words) => (*words).to_owned(),
            Self::ShorterThan(other, whose, value) => {
                let other = key_of(other, whose.as_ref(), runs_as);
                let value = duration::exact_words(*value);
                format!("a time shorter than {other}, which is {value}; like `-30s`, `+2m` or `0`")
            }
            Self::UserName => {
                format!("the user name for the broker, or `{}: false`", keys::AUTHENTICATION.name())
            }
            Self::Certifiable => format!(
                "the name or the address in the broker's certificate, because {} is on",
                keys::TLS_ENABLED.called(runs_as)
            ),
            Self::InsteadOf(error) => what_to_do(error, runs_as, runs_as == RunsAs::Program),
        }
    }
}

/// The setting that names a file for TLS.
pub(super) fn setting_of(role: Role) -> &'static Key {
    match role {
        Role::Ca => &keys::TLS_CA_CERT,
        Role::Certificate => &keys::TLS_CERT,
        Role::Key => &keys::TLS_KEY,
        Role::KeyPassword => &keys::TLS_KEY_PASSWORD,
    }
}

/// What is wrong with a file for TLS that was read again, and what to do about it, without the last
/// full stop.
#[must_use]
pub fn file_words(error: &FileError, runs_as: RunsAs) -> String {
    let is_yaml = runs_as == RunsAs::Program;
    tls_file(&setting_of(error.role).called(runs_as), "", error, runs_as, is_yaml)
}

/// The same for a setting by its place. `comma` separates the place from a verb. `is_yaml` says that
/// the reader writes the setting in YAML.
fn tls_file(
    subject: &str,
    comma: &str,
    error: &FileError,
    runs_as: RunsAs,
    is_yaml: bool,
) -> String {
    let key = keys::TLS_KEY.called(runs_as);
    let is_missing = format!("{subject}{comma} is missing");
    let path = error.path.as_deref().unwrap_or(Path::new("")).display();
    let file = |what: &str| format!("{subject}: `{path}` {what}");
    let found = match (&error.fault, error.role) {
        (Fault::NoSystemRoots, _) => {
            format!("{is_missing}, and this system has no list of trusted CAs")
        }
        (Fault::NoPassword, _) => format!("{is_missing} although the key in {key} is encrypted"),
        (Fault::WrongPassword, _) => {
            format!("{subject}: the password, which is not shown, does not open the key in {key}")
        }
        (Fault::Unreadable(reason), _) => file(&format!("cannot be read ({reason})")),
        (Fault::NeitherPemNorDer, _) => file("is neither in the format PEM nor in DER"),
        (Fault::Damaged, _) => file("is a damaged PEM file"),
        (Fault::Lacking, Role::Key) => file("contains no private key"),
        (Fault::Lacking, _) => file("contains no certificate"),
        (Fault::BadCertificate, _) => file("contains no valid certificate"),
        (Fault::BadKey, _) => file("is a key of an unsupported kind"),
        (Fault::OldEncryption, _) => {
            file("is encrypted in the old, unsupported format (`Proc-Type: 4,ENCRYPTED`)")
        }
        (Fault::UnknownEncryption, _) => file("is encrypted in an unsupported format"),
        (Fault::Misfit, _) => {
            let certificate = keys::TLS_CERT.called(runs_as);
            file(&format!("is not the key of the certificate in {certificate}"))
        }
    };
    format!("{found}. {}", what_to_do(error, runs_as, is_yaml))
}

fn what_to_do(error: &FileError, runs_as: RunsAs, is_yaml: bool) -> String {
    let certificate = keys::TLS_CERT.called(runs_as);
    let words = match (&error.fault, error.role) {
        (Fault::NoSystemRoots, _) if runs_as == RunsAs::AddOn => {
            "Set it to the certificate of the CA that signed the broker's certificate"
        }
        (Fault::NoSystemRoots, _) => {
            "Set it to the certificate of the CA that signed the broker's certificate, or install \
             the package `ca-certificates`"
        }
        (Fault::NoPassword | Fault::WrongPassword, _) if is_yaml => {
            "Set it to the password with which the key was encrypted. In the file, put it in quotes"
        }
        (Fault::NoPassword | Fault::WrongPassword, _) => {
            "Set it to the password with which the key was encrypted"
        }
        (Fault::OldEncryption | Fault::UnknownEncryption, _) => {
            "Use a key that is not encrypted, or convert this one to PKCS#8 with AES on any \
             computer: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.key -out new.key`"
        }
        (Fault::BadKey, _) => "Use RSA with 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519",
        (Fault::Misfit, _) => {
            return format!(
                "Use the private key that belongs to the certificate. In {certificate}, the \
                 program's own certificate must come first"
            );
        }
        (Fault::Unreadable(_), _) if runs_as == RunsAs::AddOn => {
            "Use the name of a file in Home Assistant's folder `ssl`"
        }
        (Fault::Unreadable(_), _) => "Use a file that this user is allowed to read",
        (_, Role::Ca) => {
            "Use the certificate of the CA that signed the broker's certificate, as PEM or DER"
        }
        (_, Role::Certificate) => {
            "Use the certificate with which the program logs in, as PEM or DER"
        }
        (_, Role::Key | Role::KeyPassword) => {
            return format!(
                "Use the private key of the certificate in {certificate}, as PEM or DER"
            );
        }
    };
    words.to_owned()
}

impl Warning {
    /// What is odd, and what to do about it, without the last full stop.
    #[must_use]
    pub fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::UnknownKey { key, whose, spot, meant } => {
                let key = key_in_file(key.as_str(), whose.as_ref());
                format!("{key} in {spot}, is unknown and ignored{}", meant.words())
            }
            Self::Twice { key, whose, spot } => {
                let key = key_in_file(key.as_str(), whose.as_ref());
                format!("{key} in {spot}, appears twice, so the last one is used")
            }
            Self::UnknownVariable(name, meant) => {
                format!("the variable `{name}` is unknown and ignored; did you mean `{meant}`?")
            }
            Self::VariableOfLinks(variable) => variable_of_links(variable),
            Self::UnknownOption(option, of, meant) => {
                format!(
                    "the option `{option}`{} is unknown and ignored{}",
                    of.words(),
                    meant.words()
                )
            }
            Self::BothPortOptions(of) => {
                let [written, chosen] = [WRITTEN_PORT, SERIAL_PORT].map(labelled);
                format!("{written} and {chosen}{} are both set, so {written} is used", of.words())
            }
            Self::EarlierPortOption => {
                let group = labelled(HEAD_GROUP);
                format!(
                    "a port is set under {group} and another one outside it, so the one under {group} is used"
                )
            }
            Self::NoBrokerFor(keys) => no_broker_for(keys),
            Self::BothPortKeys { url, com_port } => format!(
                "{} and {} are two names of the same setting, so `url` is used",
                key_of(&keys::URL, url.as_ref(), runs_as),
                key_of(&keys::COM_PORT, com_port.as_ref(), runs_as)
            ),
            Self::SamePort(one, other, port) => same_port([one, other], port, runs_as),
            Self::BrokersPort(port) => format!(
                "the meter's port {port} is the address of the MQTT broker. Set the address and \
                 port of the serial server instead"
            ),
            Self::ShortTimeout(whose) => format!(
                "{} is shorter than the 1.6 s that a meter may take to answer, so 1.6 s is used",
                key_of(&keys::TIMEOUT, whose.as_ref(), runs_as)
            ),
            Self::Login(login) => login.words(runs_as),
            Self::Insecure => format!(
                "{} is on: the broker's certificate is not checked, so anybody on the network can \
                 pose as the broker and learn the password. Set {} instead",
                keys::TLS_INSECURE.called(runs_as),
                keys::TLS_CA_CERT.called_briefly(runs_as)
            ),
            Self::TlsOff(keys) => format!(
                "{} is off, so the connection to the broker is not encrypted, and these settings \
                 are ignored: {}",
                keys::TLS_ENABLED.called(runs_as),
                joined(keys.iter().map(|key| key.called_briefly(runs_as)).collect())
            ),
        }
    }
}

impl Login {
    fn words(self, runs_as: RunsAs) -> String {
        let [username, password] =
            [&keys::USERNAME.key, &keys::PASSWORD.key].map(|key| key.called_briefly(runs_as));
        match self {
            Self::Off => {
                let login = keys::AUTHENTICATION.called(runs_as);
                format!("{login} is off, so {username} and {password} are not used")
            }
            Self::PasswordAlone => {
                let password = keys::PASSWORD.called(runs_as);
                format!("{password} is set without {username}, so it is not used")
            }
            Self::NoPassword => {
                let username = keys::USERNAME.called(runs_as);
                let quotes = match runs_as {
                    RunsAs::Program => {
                        ". A password that contains `#`, `!`, `&` or similar characters needs \
                         quotes around it"
                    }
                    RunsAs::AddOn => "",
                };
                format!("{username} is set, but {password} is empty{quotes}")
            }
        }
    }
}

fn variable_of_links(variable: &str) -> String {
    format!(
        "the variable `{variable}` is ignored because its value begins with `tcp://`: Kubernetes \
         and container links set it automatically for a service called `mqtt`"
    )
}

fn same_port(meters: [&Whose; 2], port: &Endpoint, runs_as: RunsAs) -> String {
    let [one, other] = meters.map(|meter| meter.called(runs_as));
    let key = keys::COM_PORT.called_in_list(runs_as);
    format!(
        "{one} and {other} have the same port, {port}, but a port can have only one meter: check \
         their {key}"
    )
}

/// The words of each warning, without the last full stop.
#[must_use]
pub fn warning_words(warnings: &[Warning], runs_as: RunsAs) -> Vec<String> {
    warnings.iter().map(|warning| warning.words(runs_as)).collect()
}

fn key_in_file(key: &str, whose: Option<&Whose>) -> String {
    match whose {
        Some(whose) => format!("`{key}` of {}", whose.called(RunsAs::Program)),
        None => format!("`{key}`"),
    }
}

/// A setting without its line.
fn key_of(key: &Key, whose: Option<&Whose>, runs_as: RunsAs) -> String {
    match whose {
        Some(whose) => format!("{} of {}", key.called_in_list(runs_as), whose.called(runs_as)),
        None => key.called(runs_as),
    }
}

fn no_broker_for(keys: &[&'static Key]) -> String {
    let names = keys.iter().map(|key| key.called_briefly(RunsAs::AddOn)).collect();
    format!(
        "{} is empty, so Home Assistant provides the broker and the login, and these options there \
         are ignored: {}",
        keys::HOST.called(RunsAs::AddOn),
        joined(names)
    )
}

/// `a, b and c`
fn joined(mut names: Vec<String>) -> String {
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

impl OptionOwner {
    fn words(&self) -> String {
        match self {
            Self::Form => String::new(),
            Self::Head => format!(" under {}", labelled(HEAD_GROUP)),
            Self::Mqtt => under_mqtt(),
            Self::Meter(whose) => format!(" of {}", whose.called(RunsAs::AddOn)),
        }
    }
}

impl Meant {
    fn words(&self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Key(key) => format!("; did you mean `{key}`?"),
            Self::Section => {
                ". Move its settings one level out, into the entry of this meter".to_owned()
            }
        }
    }
}
