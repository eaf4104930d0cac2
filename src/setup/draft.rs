//! The draft of a configuration, and the checks of what a visitor has typed.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use crate::config::{self, Secret, keys};
use crate::name::Parameter;
use crate::tls;

/// A step of setting up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Where the optical head is.
    Head,
    /// The broker, and how to log in.
    Broker,
    /// The meter's model and values.
    Values,
    /// The file as it will be written.
    File,
}

impl Step {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 4] = [Self::Head, Self::Broker, Self::Values, Self::File];
}

/// What the file will contain.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The port as it was chosen or typed; empty if it was not yet.
    pub port: String,
    /// The speed in baud, if a search has found another one than the usual one.
    pub baud: Option<u32>,
    /// The broker.
    pub broker: BrokerDraft,
    /// The model, as the setting is written.
    pub version: String,
    /// The values to read.
    pub parameters: Vec<Parameter>,
    /// The address of the page, if it is not the usual one.
    pub listen: Option<SocketAddr>,
}

/// The address of the head may contain the key of a node.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, baud, broker, version, parameters, listen } = self;
        f.debug_struct("Draft")
            .field("port", &config::without_secrets(port))
            .field("baud", baud)
            .field("broker", broker)
            .field("version", version)
            .field("parameters", parameters)
            .field("listen", listen)
            .finish()
    }
}

/// The broker, and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerDraft {
    /// Empty if it was not typed yet.
    pub host: String,
    pub port: NonZeroU16,
    pub tls: bool,
    /// Empty for an anonymous login.
    pub username: String,
    pub password: Secret,
}

impl Default for BrokerDraft {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: USUAL_PORT,
            tls: false,
            username: String::new(),
            password: Secret::default(),
        }
    }
}

/// The port of a broker without encryption.
const USUAL_PORT: NonZeroU16 = match NonZeroU16::new(1883) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};

impl Draft {
    /// The draft before anything was chosen.
    pub(super) fn new(listen: Option<SocketAddr>) -> Self {
        Self {
            port: String::new(),
            baud: None,
            broker: BrokerDraft::default(),
            version: "auto".to_owned(),
            parameters: default_parameters(),
            listen,
        }
    }
}

/// The values that are read if nobody chooses others.
#[must_use]
pub(crate) fn default_parameters() -> Vec<Parameter> {
    config::default_parameters()
}

/// A field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Port,
    Host,
    BrokerPort,
    Username,
    Password,
    Version,
    Parameters,
}

/// What a visitor has typed and is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Where.
    pub field: Field,
    /// What was found and what is accepted.
    pub words: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

fn checked<T>(
    field: Field,
    setting: &'static config::Setting<T>,
    text: &str,
) -> Result<T, Invalid> {
    config::check_text(setting, text)
        .map_err(|problem| Invalid { field, words: problem.words_at_field() })
}

/// Checks the address of a head. Returns it as it is written into the file.
pub(super) fn check_port(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    checked(Field::Port, &keys::COM_PORT, text).map(|_| text.to_owned())
}

/// The texts of the fields of the broker, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TypedBroker {
    pub host: String,
    pub port: String,
    pub tls: bool,
    pub username: String,
    /// Empty to keep the one that was typed before for the same user.
    pub password: Secret,
}

/// Checks what was typed about the broker.
pub(super) fn check_broker(
    typed: TypedBroker,
    before: &BrokerDraft,
) -> Result<BrokerDraft, Vec<Invalid>> {
    let TypedBroker { host, port, tls, username, password } = typed;
    let mut invalid = Vec::new();
    let mut note = |error: Invalid| invalid.push(error);
    let host = checked(Field::Host, &keys::HOST, &host).map_err(&mut note).ok();
    let port = checked(Field::BrokerPort, &keys::PORT, &port).map_err(&mut note).ok();
    let is_kept = password.reveal().is_empty() && username == before.username;
    let password = if is_kept { before.password.clone() } else { password };
    if username.is_empty() {
        if !password.reveal().is_empty() {
            let words = "a password needs a user name too; enter one, or leave both empty";
            note(Invalid { field: Field::Username, words: words.to_owned() });
        }
    } else {
        let _ = checked(Field::Username, &keys::USERNAME, &username).map_err(&mut note);
    }
    if !password.reveal().is_empty() {
        let _ = checked(Field::Password, &keys::PASSWORD, password.reveal()).map_err(&mut note);
    }
    if let Some(host) = host.as_ref().filter(|host| tls && !tls::can_be_certified(host)) {
        let words = format!(
            "no certificate can be valid for `{host}`; enter the name or the address in the broker's \
             certificate, or switch \"Encrypted\" off"
        );
        note(Invalid { field: Field::Host, words });
    }
    match (host, port) {
        (Some(host), Some(port)) if invalid.is_empty() => {
            Ok(BrokerDraft { host, port, tls, username, password })
        }
        _ => Err(invalid),
    }
}

/// Checks the model and the values.
pub(super) fn check_values(
    version: &str,
    names: &[String],
) -> Result<(String, Vec<Parameter>), Invalid> {
    let version = version.trim();
    checked(Field::Version, &keys::VERSION, version)?;
    let mut parameters = Vec::new();
    for name in names {
        let parameter = checked(Field::Parameters, &keys::PARAMETERS, name)?;
        if !parameters.contains(&parameter) {
            parameters.push(parameter);
        }
    }
    if parameters.is_empty() {
        let words = "no value is chosen; choose at least one".to_owned();
        return Err(Invalid { field: Field::Parameters, words });
    }
    Ok((version.to_owned(), parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_checked_as_in_the_file() {
        assert_eq!(check_port(" /dev/ttyUSB0 ").unwrap(), "/dev/ttyUSB0");
        let words = |error: Invalid| format!("{:?}: {}", error.field, error.words);
        let typed = TypedBroker {
            host: "192.168.1.5:1883".to_owned(),
            port: "0".to_owned(),
            password: Secret::new("hunter2"),
            ..TypedBroker::default()
        };
        let broker = check_broker(typed, &BrokerDraft::default()).unwrap_err();
        let mut all: Vec<_> = ["", "ttyUSB0", "http://10.0.0.1", "socket://10.0.0.1"]
            .map(|text| check_port(text).unwrap_err())
            .into();
        all.extend(broker);
        all.push(check_values("404", &["energy".to_owned()]).unwrap_err());
        all.push(check_values("auto", &["enrgy".to_owned()]).unwrap_err());
        all.push(check_values("auto", &[]).unwrap_err());
        let all: Vec<_> = all.into_iter().map(words).collect();
        assert!(!all.concat().contains("hunter2"));
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn an_empty_password_keeps_the_one_of_the_same_user() {
        let typed = |username: &str, password: &str| TypedBroker {
            host: "broker".to_owned(),
            port: "1883".to_owned(),
            tls: false,
            username: username.to_owned(),
            password: Secret::new(password),
        };
        let first = check_broker(typed("me", "one"), &BrokerDraft::default()).unwrap();
        let kept = check_broker(typed("me", ""), &first).unwrap();
        assert_eq!(kept.password.reveal(), "one");
        let other = check_broker(typed("you", ""), &first).unwrap();
        assert_eq!(other.password.reveal(), "");
        let anonymous = check_broker(typed("", ""), &first).unwrap();
        assert_eq!(anonymous, BrokerDraft { host: "broker".to_owned(), ..BrokerDraft::default() });
    }
}
