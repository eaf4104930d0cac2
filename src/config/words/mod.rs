//! Sentences about a configuration, in the names that the reader knows: those of the file and the
//! variables, or those of the add-on's form. Nothing changes a sentence after it was made here.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use super::keys::{self, SERIAL_PORT, WRITTEN_PORT};
use super::origin::{Origin, Place, Whose};
use super::problem::{
    About, Accepted, Actual, Login, Meant, OptionOwner, Problem, Quoted, Shape, Though, Warning,
};
use super::remark::Remark;
use super::setting::{FormName, Key};
use crate::tls::{Fault, FileError, Role};
use meter::RunsAs;
use meter::transport::Endpoint;

impl Key {
    /// What the reader calls it, with backticks.
    #[must_use]
    pub fn called(&self, runs_as: RunsAs) -> String {
        match (runs_as, self.form) {
            (RunsAs::Program, _) | (RunsAs::AddOn, FormName::Absent) => format!("`{}`", self.path),
            (RunsAs::AddOn, FormName::Option(option)) => format!("`{option}`"),
            (RunsAs::AddOn, FormName::OfMqtt(option)) => format!("`{option}` of `mqtt`"),
            (RunsAs::AddOn, FormName::Either(one, other)) => format!("`{one}` or `{other}`"),
        }
    }

    /// The same as a key of a listed meter.
    fn called_in_list(&self, runs_as: RunsAs) -> String {
        match runs_as {
            RunsAs::Program => format!("`{}`", self.name()),
            RunsAs::AddOn => self.called(runs_as),
        }
    }

    /// By all the names under which it can be made.
    fn called_unmade(&self, runs_as: RunsAs) -> String {
        match (runs_as, self.variable) {
            (RunsAs::Program, Some(variable)) => {
                format!("`{}` (or the variable `{variable}`)", self.path)
            }
            _ => self.called(runs_as),
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
    /// What the reader calls the meter.
    pub(super) fn called(&self, runs_as: RunsAs) -> String {
        let Self { number, name } = self;
        match (runs_as, name) {
            (RunsAs::Program, Some(name)) => format!("the meter `{name}`"),
            (RunsAs::Program, None) => format!("meter {number}"),
            (RunsAs::AddOn, Some(name)) => format!("item {number} of `meters` (`{name}`)"),
            (RunsAs::AddOn, None) => format!("item {number} of `meters`"),
        }
    }
}

impl Problem {
    /// In one sentence, without a full stop.
    #[must_use]
    pub fn words(&self, runs_as: RunsAs) -> String {
        let Self { about, found, accepted } = self;
        format!(
            "{}: found {}, accepted: {}",
            about.words(runs_as),
            found.words(runs_as),
            accepted.words(about, runs_as)
        )
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
    fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Setting(key, place) => setting(key, place, runs_as),
            Self::Section(name, origin) => format!("`{name}`{}", in_file(origin)),
            Self::Meter(whose, origin) => match runs_as {
                RunsAs::Program => format!("meter {} of `meters`{}", whose.number, in_file(origin)),
                RunsAs::AddOn => whose.called(runs_as),
            },
            Self::Variables(one, other) => format!("the variables `{one}` and `{other}`"),
        }
    }
}

/// A setting by its place.
fn setting(key: &Key, Place { origin, whose }: &Place, runs_as: RunsAs) -> String {
    let called = match origin {
        Origin::Variable(variable) => return format!("the variable `{variable}`"),
        Origin::Option(option) => return format!("the option `{option}`"),
        Origin::SecretFile { variable, path } => return secret_file(path, variable),
        Origin::Default if whose.is_none() => return key.called_unmade(runs_as),
        Origin::Form(Some(option)) => format!("`{option}`"),
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
    fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::Text(text, remark) => {
                let remark = remark.as_ref().map(|remark| remark.words(runs_as));
                format!("{text}{}", remark.unwrap_or_default())
            }
            Self::Hidden => "a text that is not shown".to_owned(),
            Self::Shape(shape) => shape.words().to_owned(),
            Self::Nothing => "nothing".to_owned(),
            Self::NothingBut(key) => format!("nothing, but `{key}`, which is not known"),
            Self::NothingThough(though) => format!("nothing, though {}", though.words(runs_as)),
            Self::Taken { text, by, line } => {
                let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
                format!("`{text}`, which {}{line} has as well", by.called(runs_as))
            }
            Self::SameId { name, key, other_key, other } => format!(
                "`{name}`, whose `{key}` would have the same unique id as `{other_key}` of {}",
                other.called(runs_as)
            ),
            Self::Uncertifiable(host) => format!("`{host}`, which no certificate can be for"),
            Self::Both => "both".to_owned(),
            Self::NotUtf8 => "bytes that are not UTF-8".to_owned(),
            Self::Unusable(reason) => format!("nothing to use ({reason})"),
            Self::File(error) => found_file(error, runs_as),
        }
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
            Self::MixedList => "a list with something else than texts in it",
            Self::Text => "a text",
            Self::NoSpace => "no space after a colon",
            Self::Keys => "keys",
            Self::KeysUnder => "keys under it",
            Self::NoKeys => "no keys",
            Self::Options => "a set of options",
            Self::Else => "something else",
        }
    }
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
                let setting = keys::PORT.called(runs_as);
                format!(" (did you mean `{host}`, and {port} as {setting}?)")
            }
            Self::MeantFile { name, folder } => {
                let setting = keys::LOG_DIRECTORY.called(runs_as);
                format!(" (did you mean `{name}`, and `{folder}` as {setting}?)")
            }
            Self::TooHigh => " (numbers go up to 65535)".to_owned(),
            Self::Endpoint(error) => format!(" ({error})"),
            Self::Home(rest) => {
                format!(" (`~` means nothing here: write the whole path, like `/home/NAME{rest}`)")
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
            Self::UserName => {
                format!("the user name for the broker, or `{}: false`", keys::AUTHENTICATION.name())
            }
            Self::Certifiable => format!(
                "where {} is on, the name or the address in the broker's certificate",
                keys::TLS_ENABLED.called(runs_as)
            ),
            Self::InsteadOf(error) => accepted_file(error, runs_as),
        }
    }
}

/// What a file for TLS is named by.
pub(super) fn setting_of(role: Role) -> &'static Key {
    match role {
        Role::Ca => &keys::TLS_CA_CERT,
        Role::Certificate => &keys::TLS_CERT,
        Role::Key => &keys::TLS_KEY,
        Role::KeyPassword => &keys::TLS_KEY_PASSWORD,
    }
}

/// What is wrong with a file for TLS that was looked at again, in one sentence without a full stop.
#[must_use]
pub fn file_words(error: &FileError, runs_as: RunsAs) -> String {
    format!(
        "{}: found {}, accepted: {}",
        setting_of(error.role).called(runs_as),
        found_file(error, runs_as),
        accepted_file(error, runs_as)
    )
}

fn found_file(error: &FileError, runs_as: RunsAs) -> String {
    let key = keys::TLS_KEY.called(runs_as);
    let what = match (&error.fault, error.role) {
        (Fault::NoSystemRoots, _) => {
            return "nothing, and this system has no list of trusted CAs".to_owned();
        }
        (Fault::NoPassword, _) => return format!("nothing, though the key in {key} is encrypted"),
        (Fault::WrongPassword, _) => {
            return format!("a password, not shown, that does not open the key in {key}");
        }
        (Fault::Unreadable(reason), _) => format!("which cannot be read ({reason})"),
        (Fault::NeitherPemNorDer, _) => "which is neither a PEM nor a DER file".to_owned(),
        (Fault::Damaged, _) => "which is a damaged PEM file".to_owned(),
        (Fault::Lacking, Role::Key) => "in which there is no private key".to_owned(),
        (Fault::Lacking, _) => "in which there is no certificate".to_owned(),
        (Fault::BadCertificate, _) => {
            "in which there is no certificate that can be used".to_owned()
        }
        (Fault::BadKey, _) => "a key of a kind that cannot be used".to_owned(),
        (Fault::OldEncryption, _) => {
            "a key that is encrypted in the old way (`Proc-Type: 4,ENCRYPTED`)".to_owned()
        }
        (Fault::UnknownEncryption, _) => {
            "a key that is encrypted in a way that is not known here".to_owned()
        }
        (Fault::Misfit, _) => {
            let certificate = keys::TLS_CERT.called(runs_as);
            format!("a key that does not fit the certificate in {certificate}")
        }
    };
    let path = error.path.as_deref().unwrap_or(Path::new("")).display();
    format!("`{path}`, {what}")
}

fn accepted_file(error: &FileError, runs_as: RunsAs) -> String {
    let certificate = keys::TLS_CERT.called(runs_as);
    let words = match (&error.fault, error.role) {
        (Fault::NoSystemRoots, _) => {
            "the certificate of the CA that signed the broker's, or the system's list: install the \
             package `ca-certificates`"
        }
        (Fault::NoPassword | Fault::WrongPassword, _) => {
            "the password that the key was encrypted with, in quotes"
        }
        (Fault::OldEncryption | Fault::UnknownEncryption, _) => {
            "a key that is not encrypted, or by PKCS#8 with AES: `openssl pkcs8 -topk8 -v2 \
             aes-256-cbc -in old.key -out new.key` makes one of the old"
        }
        (Fault::BadKey, _) => "RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519",
        (Fault::Misfit, _) => {
            return format!(
                "the key that the certificate was made with, and in {certificate} our own \
                 certificate first"
            );
        }
        (Fault::Unreadable(_), _) => "a file that this user may read",
        (_, Role::Ca) => "the certificate of the CA that signed the broker's, as PEM or DER",
        (_, Role::Certificate) => "the certificate that the broker knows us by, as PEM or DER",
        (_, Role::Key | Role::KeyPassword) => {
            return format!("the private key to the certificate in {certificate}, as PEM or DER");
        }
    };
    words.to_owned()
}

impl Warning {
    /// In one sentence, without a full stop.
    #[must_use]
    pub fn words(&self, runs_as: RunsAs) -> String {
        match self {
            Self::UnknownKey { key, whose, spot, meant } => {
                let key = key_in_file(key.as_str(), whose.as_ref());
                format!("{key} in {spot}, is not known and is ignored{}", meant.words())
            }
            Self::Twice { key, whose, spot } => {
                let key = key_in_file(key.as_str(), whose.as_ref());
                format!("{key} in {spot}, stands there twice: the last one counts")
            }
            Self::UnknownVariable(name, meant) => format!(
                "the variable `{name}` is not known and is ignored; did you mean `{meant}`?"
            ),
            Self::VariableOfLinks(variable) => variable_of_links(variable),
            Self::UnknownOption(option, of) => {
                format!("the option `{option}`{} is not known and is ignored", of.words())
            }
            Self::BothPortOptions(of) => format!(
                "`{WRITTEN_PORT}` and `{SERIAL_PORT}`{} are both set: `{WRITTEN_PORT}` is taken",
                of.words()
            ),
            Self::NoBrokerFor(keys) => no_broker_for(keys),
            Self::BothPortKeys { url, com_port } => format!(
                "{} and {} mean the same; `url` is taken",
                key_of(&keys::URL, url.as_ref(), runs_as),
                key_of(&keys::COM_PORT, com_port.as_ref(), runs_as)
            ),
            Self::SamePort(one, other, port) => same_port([one, other], port, runs_as),
            Self::BrokersPort(port) => format!(
                "the meter's port {port} is the address of the MQTT broker: a serial server has a \
                 port of its own"
            ),
            Self::ShortTimeout(whose) => format!(
                "{} is shorter than the 1.6 s that a meter may take to answer: 1.6 s is taken",
                key_of(&keys::TIMEOUT, whose.as_ref(), runs_as)
            ),
            Self::Login(login) => login.words(runs_as),
            Self::Insecure => format!(
                "{} is on: the broker's certificate is not looked at, so anybody in the network can \
                 pass for the broker and learn the password; set {} instead",
                keys::TLS_INSECURE.called(runs_as),
                keys::TLS_CA_CERT.called(runs_as)
            ),
            Self::TlsOff(keys) => {
                let keys: Vec<_> = keys.iter().map(|key| key.called(runs_as)).collect();
                format!(
                    "nothing is made of {} while {} is off: the connection to the broker is not \
                     encrypted",
                    keys.join(", "),
                    keys::TLS_ENABLED.called(runs_as)
                )
            }
        }
    }
}

impl Login {
    fn words(self, runs_as: RunsAs) -> String {
        let username = keys::USERNAME.called(runs_as);
        let password = keys::PASSWORD.called(runs_as);
        match self {
            Self::Off => {
                let login = keys::AUTHENTICATION.called(runs_as);
                format!("{login} is off, so {username} and {password} are not used")
            }
            Self::PasswordAlone => {
                format!("{password} is set without {username}, so it is not used")
            }
            Self::NoPassword => format!(
                "{username} is set and {password} is empty (a password with `#`, `!`, `&` and the \
                 like needs quotes around it)"
            ),
        }
    }
}

fn variable_of_links(variable: &str) -> String {
    format!(
        "the variable `{variable}` is an address that begins with `tcp://`, which Kubernetes and \
         container links set by themselves for a service called `mqtt`; it is not taken"
    )
}

fn same_port(meters: [&Whose; 2], port: &Endpoint, runs_as: RunsAs) -> String {
    let [one, other] = meters.map(|meter| meter.called(runs_as));
    let key = match runs_as {
        RunsAs::Program => keys::COM_PORT.name(),
        RunsAs::AddOn => WRITTEN_PORT,
    };
    format!(
        "{one} and {other} are both at {port}, where only one meter can be: check their `{key}`"
    )
}

/// Each of them, in one sentence without a full stop.
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

/// A setting where its line does not matter.
fn key_of(key: &Key, whose: Option<&Whose>, runs_as: RunsAs) -> String {
    match whose {
        Some(whose) => format!("{} of {}", key.called_in_list(runs_as), whose.called(runs_as)),
        None => key.called(runs_as),
    }
}

fn no_broker_for(keys: &[&'static Key]) -> String {
    let option = |key: &&Key| match key.form {
        FormName::OfMqtt(option) | FormName::Option(option) => format!("`{option}`"),
        FormName::Absent | FormName::Either(..) => key.called(RunsAs::AddOn),
    };
    let options: Vec<_> = keys.iter().map(option).collect();
    format!(
        "{} of `mqtt` is not used without {}: Home Assistant says which broker it is and how to log \
         in",
        options.join(", "),
        keys::HOST.called(RunsAs::AddOn)
    )
}

impl OptionOwner {
    fn words(&self) -> String {
        match self {
            Self::Form => String::new(),
            Self::Mqtt => " of `mqtt`".to_owned(),
            Self::Meter(whose) => format!(" of {}", whose.called(RunsAs::AddOn)),
        }
    }
}

impl Meant {
    fn words(&self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Key(key) => format!("; did you mean `{key}`?"),
            Self::Section => ": its keys stand under the meter itself".to_owned(),
        }
    }
}
