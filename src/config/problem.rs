//! What is wrong or odd in a configuration, as data. `config::words` makes sentences of it, with
//! the names that the reader knows.

use super::origin::{Origin, Place, Spot, Whose};
use super::remark::Remark;
use super::setting::Key;
use crate::name::MeterName;
use crate::tls::FileError;
use meter::transport::Endpoint;

/// Something that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The subject.
    pub about: About,
    /// What is there.
    pub found: Actual,
    /// What may be there.
    pub accepted: Accepted,
}

impl Problem {
    /// The line of the file that it is about.
    pub(super) fn line(&self) -> Option<u64> {
        match &self.about {
            About::Setting(_, Place { origin, .. })
            | About::Section(_, origin)
            | About::Meter(_, origin) => match origin {
                Origin::File(spot) => Some(spot.line),
                _ => None,
            },
            About::Variables(..) => None,
        }
    }
}

/// What a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A setting. Where nobody made it, its place is the default's, or that of the listed meter
    /// which should have it.
    Setting(&'static Key, Place),
    /// What holds settings.
    Section(&'static str, Origin),
    /// A meter of the list as a whole.
    Meter(Whose, Origin),
    /// Two variables for one setting.
    Variables(&'static str, String),
}

/// What is there in place of something accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// A text, perhaps with a remark.
    Text(Quoted, Option<Remark>),
    /// A secret.
    Hidden,
    /// Something of another shape.
    Shape(Shape),
    /// Nothing.
    Nothing,
    /// Nothing, but something that may be meant for it: a key that is not known.
    NothingBut(String),
    /// Nothing, though something else asks for it.
    NothingThough(Though),
    /// A text that another meter has as well, perhaps in this line.
    Taken {
        /// The text.
        text: String,
        /// Whose it is as well.
        by: Whose,
        /// Where that is in the file.
        line: Option<u64>,
    },
    /// A name that makes a unique id which there is already.
    SameId {
        /// The name of the meter.
        name: MeterName,
        /// What of this meter has the id.
        key: String,
        /// What of the other one has it.
        other_key: String,
        /// The other meter.
        other: Whose,
    },
    /// A host that no certificate can be for.
    Uncertifiable(String),
    /// Two where there can be one.
    Both,
    /// What is no text.
    NotUtf8,
    /// A file with a secret that cannot be had, and why.
    Unusable(String),
    /// A file for TLS that cannot be used.
    File(FileError),
}

/// What is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// What the table of settings says.
    Usual,
    /// The same, and why what was found is not.
    UsualBut(String),
    /// This.
    This(&'static str),
    /// A user name, or no log-in.
    UserName,
    /// Since TLS is on, a name that a certificate can be for.
    Certifiable,
    /// What stands in for a file that cannot be used.
    InsteadOf(FileError),
}

/// The shape of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list.
    List,
    /// A list with lists or keys in it.
    MixedList,
    /// A text.
    Text,
    /// A text with a colon and no space behind it.
    NoSpace,
    /// Keys.
    Keys,
    /// Keys where a text belongs.
    KeysUnder,
    /// No keys.
    NoKeys,
    /// A set of options.
    Options,
    /// Anything else.
    Else,
}

/// What asks for something that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Though {
    /// There are several meters.
    Several,
    /// This is set.
    Set(&'static Key),
    /// This is on.
    On(&'static Key),
}

/// A text as the user wrote it: on one line, not for ever, and without a log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// What may be shown of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        const LONGEST: usize = 198;
        let text = without_any_login(text).replace(char::is_control, " ");
        if text.chars().count() <= LONGEST {
            return Self(text);
        }
        let mut shown: String = text.chars().take(LONGEST.saturating_add(1)).collect();
        shown.push_str("...");
        Self(shown)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `user:password@host` is no host.
fn without_any_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, host)) if login.contains(':') && !text.contains("://") => {
            format!("***@{host}")
        }
        _ => without_login(text),
    }
}

/// `mqtt://user:password@host` as `mqtt://***@host`.
pub(super) fn without_login(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, host))) if rest.contains('@') => {
            format!("{scheme}://***@{host}")
        }
        _ => text.to_owned(),
    }
}

/// Something odd that does not keep the program from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A key of the file that is not known.
    UnknownKey {
        /// The key, with its section where it has one.
        key: ShownKey,
        /// The listed meter that has it.
        whose: Option<Whose>,
        /// Where it is.
        spot: Spot,
        /// What to make of it.
        meant: Meant,
    },
    /// A key of the file that is there twice: the first one.
    Twice {
        /// The key, with its section where it has one.
        key: ShownKey,
        /// The listed meter that has it.
        whose: Option<Whose>,
        /// Where it is.
        spot: Spot,
    },
    /// A variable that is not known, and the one that was most likely meant.
    UnknownVariable(String, String),
    /// A variable that Kubernetes and container links set.
    VariableOfLinks(&'static str),
    /// An option of the form that is not known.
    UnknownOption(String, OptionOwner),
    /// Both options of the port are used.
    BothPortOptions(OptionOwner),
    /// These options of the broker, though none says which broker it is.
    NoBrokerFor(Vec<&'static Key>),
    /// Both names of the port are used, perhaps by a listed meter.
    BothPortKeys {
        /// Whose the one is that counts.
        url: Option<Whose>,
        /// Whose the other one is.
        com_port: Option<Whose>,
    },
    /// Two meters are at one port.
    SamePort(Whose, Whose, Endpoint),
    /// A meter is where the broker is.
    BrokersPort(Endpoint),
    /// An answer is waited for too short.
    ShortTimeout(Option<Whose>),
    /// The log-in at the broker is odd.
    Login(Login),
    /// TLS is on, and the broker's certificate is not looked at.
    Insecure,
    /// These are set, and TLS is off.
    TlsOff(Vec<&'static Key>),
}

/// What is odd about a log-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It is switched off.
    Off,
    /// There is a password without a user name.
    PasswordAlone,
    /// There is a user name without a password.
    NoPassword,
}

impl Warning {
    /// The line of the file that it is about.
    pub(super) fn line(&self) -> Option<u64> {
        match self {
            Self::UnknownKey { spot, .. } | Self::Twice { spot, .. } => Some(spot.line),
            _ => None,
        }
    }
}

/// The owner of an option of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionOwner {
    /// The form.
    Form,
    /// The set `mqtt`.
    Mqtt,
    /// A meter of the list.
    Meter(Whose),
}

/// What an unknown key most likely means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// It is not known.
    Nobody,
    /// Most likely this.
    Key(String),
    /// A section, which a listed meter does not have.
    Section,
}

/// A key as it was written. One that does not look like one may be a password without the space
/// that belongs before it, and is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey(String);

impl ShownKey {
    /// What may be shown of a key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let is_shown = key.len() <= 64 && key.chars().all(is_name);
        Self(if is_shown { key } else { "..." }.to_owned())
    }

    /// The same for a key of a section, which is shown in any case.
    pub(super) fn in_section(section: &str, key: &str) -> Self {
        Self(format!("{section}.{}", Self::new(key).0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_not_quoted_however_long_it_is() {
        let long = "x".repeat(300);
        for (text, shown) in [
            ("a/#", "a/#".to_owned()),
            ("mqtt://me:hunter2@host", "mqtt://***@host".to_owned()),
            ("me:hunter2@host", "***@host".to_owned()),
            (&format!("mqtt://me:{long}@host"), "mqtt://***@host".to_owned()),
            ("two\nlines", "two lines".to_owned()),
            (&long[..198], long[..198].to_owned()),
            (&long, format!("{}...", &long[..199])),
        ] {
            assert_eq!(Quoted::new(text).as_str(), shown);
        }
    }
}
