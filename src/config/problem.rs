//! Problems and warnings of a configuration, as data. `config::words` turns them into sentences,
//! with the names that the user knows.

use std::time::Duration;

use super::origin::{Origin, Place, Spot, Whose};
use super::remark::Remark;
use super::setting::Key;
use crate::name::MeterName;
use crate::tls::FileError;
use meter::shown::is_harmless;
use meter::transport::Endpoint;

/// Something that is missing or invalid. The program does not use such a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub about: About,
    /// What was found.
    pub found: Actual,
    /// What is accepted.
    pub accepted: Accepted,
}

impl Problem {
    /// The line of the file.
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
    /// A setting. If nobody set it, its place is that of a default, or of the listed meter that
    /// lacks it.
    Setting(&'static Key, Place),
    /// A section.
    Section(&'static str, Origin),
    /// A meter of the list as a whole.
    Meter(Whose, Origin),
    /// Two variables for one setting.
    Variables(&'static str, String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// A text, perhaps with a remark.
    Text(Quoted, Option<Remark>),
    /// A secret.
    Hidden,
    /// Something of the wrong shape.
    Shape(Shape),
    /// Nothing.
    Nothing,
    /// Nothing, but an unknown key that may be a misspelling.
    NothingBut(String),
    /// Nothing, although it is required.
    NothingThough(Though),
    /// A text that another meter has too.
    Taken {
        /// The text.
        text: String,
        /// The other meter.
        by: Whose,
        /// Its line in the file.
        line: Option<u64>,
    },
    /// A meter's name that leads to a unique id that is already in use.
    SameId {
        /// The name of the meter.
        name: MeterName,
        /// The entity of this meter that has the id.
        key: String,
        /// The entity of the other meter that has the id.
        other_key: String,
        /// The other meter.
        other: Whose,
    },
    /// A topic that the program would share with Home Assistant.
    SharedTopic {
        /// The value of the setting.
        value: Quoted,
        /// The topic.
        topic: Quoted,
        /// The program's use of it.
        ours: Ours,
        /// Home Assistant's use of it.
        theirs: HomeAssistants,
    },
    /// A host for which no certificate can be valid.
    Uncertifiable(String),
    /// Another key than the one in the address that this setting contains.
    OtherKey(&'static Key),
    /// A key for a port that has none.
    NotForPort(Endpoint),
    /// Two variables of which only one may be set.
    Both,
    /// Bytes that are not text.
    NotUtf8,
    /// A file with a secret that cannot be used, and why.
    Unusable(String),
    /// A file for TLS that cannot be used.
    File(FileError),
}

/// The program's use of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// It is the start of all topics.
    All,
    /// `online` and `offline`.
    Status,
    /// A value, or a fact about a meter or the program.
    State,
    /// Commands from others.
    Command,
    /// Discovery messages.
    Announcement,
}

/// Home Assistant's use of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HomeAssistants {
    /// The status topic of the settings.
    Status,
    /// The usual status topic below the discovery prefix.
    UsualStatus,
}

/// What is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// What the table of settings says.
    Usual,
    /// What the table says, with the reason why the text is rejected.
    UsualBut(String),
    /// This.
    This(&'static str),
    /// What the table says, and shorter than this other setting, perhaps of a listed meter, whose
    /// value is this.
    ShorterThan(&'static Key, Option<Whose>, Duration),
    /// A user name, or no login.
    UserName,
    /// A name that a certificate can have, because TLS is on.
    Certifiable,
    /// A replacement for a file that cannot be used.
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
    /// A text with a colon and no space after it.
    NoSpace,
    /// Keys.
    Keys,
    /// Keys instead of a text.
    KeysUnder,
    /// No keys.
    NoKeys,
    /// A set of options.
    Options,
    /// Anything else.
    Else,
}

/// Why a missing setting is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Though {
    /// There are several meters.
    Several,
    /// This setting is set.
    Set(&'static Key),
    /// This setting is on.
    On(&'static Key),
}

/// A text as the user wrote it, but on one line, of bounded length, and without a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Keeps the part of a text that may be shown.
    #[must_use]
    pub fn new(text: &str) -> Self {
        const LONGEST: usize = 198;
        let text = without_key(&without_any_login(text)).replace(|c| !is_harmless(c), " ");
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

/// A text without a login and without the key of a node, so that it may be shown.
pub(crate) fn without_secrets(text: &str) -> String {
    without_key(&without_login(text))
}

/// A key has 44 characters. One that is shorter by mistake is still a secret.
const SHORTEST_KEY: usize = 20;

/// `esphome://host/?key=secret&port=1` as `esphome://host/?key=***&port=1`. In an address, even the
/// name of the key may be misspelled or missing, so only what names the ports is shown.
fn without_key(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return without_bare_keys(&without_named_key(text), is_about_node(text));
    };
    let (server, query) =
        rest.split_once('?').map_or((rest, None), |(it, query)| (it, Some(query)));
    // A key has slashes too, so what is before one need not be a host.
    let begins = server.find(|c| !is_key_digit(c)).unwrap_or(server.len());
    let is_key = server.get(..begins).is_some_and(|start| may_be_key(start, true));
    let is_odd = server.contains(|c: char| !is_key_digit(c) && !".-_:[]*@".contains(c));
    let server = if is_key || is_odd { without_bare_keys(server, true) } else { server.to_owned() };
    let server = without_long_end(&server);
    let server = without_bare_keys(&without_named_key(&server), true);
    let shown = |part: &str| match part.split_once('=') {
        Some(("port" | "port_name", value)) if value.len() < SHORTEST_KEY => part.to_owned(),
        Some((name, _)) if name.eq_ignore_ascii_case("key") => format!("{name}=***"),
        _ if part.is_empty() => String::new(),
        _ => "***".to_owned(),
    };
    let shown = |query: &str| query.split('&').map(shown).collect::<Vec<_>>().join("&");
    let query = query.map(|query| format!("?{}", shown(query))).unwrap_or_default();
    format!("{}://{server}{query}", without_bare_keys(scheme, true))
}

/// `host:6053/secret` as `host:6053/***`, and `host:secret` as `host:***`.
fn without_long_end(server: &str) -> String {
    let name = server.split_once(']').map_or(0, |(address, _)| address.len());
    let start = server.get(name..).and_then(|rest| rest.find([':', '/']));
    let Some(start) = start.and_then(|start| name.checked_add(start)) else {
        return server.to_owned();
    };
    let (host, end) = server.split_at(start);
    let is_port =
        |port: &str| matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit());
    let (port, path) = match end.strip_prefix(':') {
        Some(after) => {
            let (port, path) = after.find('/').map_or((after, ""), |slash| after.split_at(slash));
            if is_port(port) { (format!(":{port}"), path) } else { (String::new(), end) }
        }
        None => (String::new(), end),
    };
    match path.chars().next() {
        Some(first) if path.len() >= SHORTEST_KEY => format!("{host}{port}{first}***"),
        _ => server.to_owned(),
    }
}

/// Hides what looks like a key, wherever it is. In an address, a part of a key looks like one.
fn without_bare_keys(text: &str, is_address: bool) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(is_key_digit) {
        let (before, after) = rest.split_at(start);
        let end = after.find(|c| !is_key_digit(c)).unwrap_or(after.len());
        let (run, after) = after.split_at(end);
        shown.push_str(before);
        shown.push_str(if may_be_key(run, is_address) { "***" } else { run });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// The digits of base64, which may be encoded in an address.
fn is_key_digit(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '%')
}

fn may_be_key(run: &str, is_address: bool) -> bool {
    let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    let is_mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let is_whole = run.len() >= 43;
    run.len() >= SHORTEST_KEY && (run.ends_with('=') || (is_mixed && (is_address || is_whole)))
}

/// Whether a text without `://` is probably meant to be the address of a node.
fn is_about_node(text: &str) -> bool {
    text.to_ascii_lowercase().contains("esphome")
}

/// Hides what follows `key=`.
fn without_named_key(text: &str) -> String {
    const KEY: &str = "key=";
    let ends_key = |c: char| c == '&' || c.is_whitespace();

    let Some(start) = text.to_ascii_lowercase().find(KEY) else { return text.to_owned() };
    let (before, after) = text.split_at(start.saturating_add(KEY.len()));
    let rest = after.find(ends_key).map_or("", |end| after.split_at(end).1);
    format!("{before}***{}", without_named_key(rest))
}

/// Also hides the login in `user:password@host`, which has no scheme.
fn without_any_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, host)) if login.contains(':') && !text.contains("://") => {
            format!("***@{host}")
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

/// Something odd with which the program can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An unknown key of the file.
    UnknownKey {
        /// The key, with its section if it has one.
        key: ShownKey,
        /// The listed meter that has it.
        whose: Option<Whose>,
        /// Where it is.
        spot: Spot,
        /// What the user most likely meant.
        meant: Meant,
    },
    /// A key that the file has twice. The place is that of the first one.
    Twice {
        /// The key, with its section if it has one.
        key: ShownKey,
        /// The listed meter that has it.
        whose: Option<Whose>,
        /// Where it is.
        spot: Spot,
    },
    /// An unknown variable, and the one that was most likely meant.
    UnknownVariable(String, String),
    /// A variable that Kubernetes and container links set.
    VariableOfLinks(&'static str),
    /// An unknown option of the form, and the one that was most likely meant.
    UnknownOption(String, OptionOwner, Meant),
    /// Both options for the port are set.
    BothPortOptions(OptionOwner),
    /// The port is set in the group `head`, and also outside it, as in an earlier form.
    EarlierPortOption,
    /// Options of the broker without the option that names it.
    NoBrokerFor(Vec<&'static Key>),
    /// Both names of the port are set, perhaps by a listed meter.
    BothPortKeys {
        /// The listed meter that has `url`, which is used.
        url: Option<Whose>,
        /// The listed meter that has `com_port`.
        com_port: Option<Whose>,
    },
    /// Two meters have the same port.
    SamePort(Whose, Whose, Endpoint),
    /// A meter has the broker's address.
    BrokersPort(Endpoint),
    /// The timeout is shorter than a meter may take to answer.
    ShortTimeout(Option<Whose>),
    /// The login at the broker is odd.
    Login(Login),
    /// TLS is on, but the broker's certificate is not checked.
    Insecure,
    /// These are set, but TLS is off.
    TlsOff(Vec<&'static Key>),
}

/// What is odd about a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It is switched off.
    Off,
    /// A password without a user name.
    PasswordAlone,
    /// A user name without a password.
    NoPassword,
}

impl Warning {
    /// The line of the file.
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
    /// The form itself.
    Form,
    /// The group `head`.
    Head,
    /// The group `mqtt`.
    Mqtt,
    /// A meter of the list.
    Meter(Whose),
}

/// What the user most likely meant with an unknown key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Nothing similar is known.
    Nobody,
    /// This key.
    Key(String),
    /// A section, which a listed meter cannot have.
    Section,
}

/// A key as it was written. A text that does not look like a key is not shown: it may be a password
/// whose space after the colon is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey(String);

impl ShownKey {
    /// Keeps a key only if it may be shown.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let is_shown = key.len() <= 64 && key.chars().all(is_name);
        Self(if is_shown { key } else { "..." }.to_owned())
    }

    /// The same for a key of a section. The section is always shown.
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
    fn a_login_is_hidden_however_long_it_is() {
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

    #[test]
    fn the_key_of_a_node_is_hidden_however_it_is_written() {
        for (text, shown) in [
            ("esphome://a:6053/?port=1", "esphome://a:6053/?port=1"),
            ("esphome://a/?key=hunter2&port=1", "esphome://a/?key=***&port=1"),
            ("ESPHome://a?port=1&KEY=hunter2=", "ESPHome://a?port=1&KEY=***"),
            ("esphome://a/?key=hunter 2", "esphome://a/?key=***"),
            ("esphome://a/?kye=hunter2", "esphome://a/?***"),
            ("esphome://a/?hunter2=", "esphome://a/?***"),
            ("esphome://a/?hunter2", "esphome://a/?***"),
            ("esphome://a/?port=first", "esphome://a/?port=first"),
            ("esphome://a/?port=hunter2hunter2hunter2", "esphome://a/?***"),
            ("esphome://hunter2@a/?key=", "esphome://***@a/?key=***"),
            ("esphome://a/key=hunter2", "esphome://a/key=***"),
            ("a/?key=hunter2", "a/?key=***"),
            ("/dev/ttyUSB0", "/dev/ttyUSB0"),
            ("socket://10.0.0.1:2003", "socket://10.0.0.1:2003"),
            ("socket://[fd00::1]:2003", "socket://[fd00::1]:2003"),
            ("esphome://[fd00::1]:6053/?port=1", "esphome://[fd00::1]:6053/?port=1"),
            ("socket://10.0.0.1:2003/tty", "socket://10.0.0.1:2003/tty"),
        ] {
            assert_eq!(without_secrets(text), shown);
            assert_eq!(Quoted::new(text).as_str(), shown);
        }
    }

    /// After `:` and `/`, it was quoted in the error, and so in the log.
    #[test]
    fn what_may_be_a_key_is_hidden_wherever_it_is() {
        let keys = [
            "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE=",
            "c2VjcmV0/XNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE=",
            "/2VjcmV0+XNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE=",
            "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE",
            "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE%3D",
        ];
        for (form, shown) in [
            ("esphome://a:KEY", Some("esphome://a:***")),
            ("esphome://a/KEY", None),
            ("esphome://a.local/KEY", Some("esphome://a.local/***")),
            ("esphome://a.local:6053/KEY", Some("esphome://a.local:6053/***")),
            ("esphome://a.local:6053:KEY", Some("esphome://a.local:***")),
            ("esphome://[fd00::1]:6053/KEY", Some("esphome://[fd00::1]:6053/***")),
            ("esphome://[fd00::1]:KEY", Some("esphome://[fd00::1]:***")),
            ("esphome://a.local:6053/KEY?port=1", Some("esphome://a.local:6053/***?port=1")),
            ("esphome://KEY", Some("esphome://***")),
            ("esphome://a.local#KEY", None),
            ("esphome://a.local KEY", None),
            ("esphome://me:KEY@a.local", Some("esphome://***@a.local")),
            ("KEY://a.local", None),
            ("socket://10.0.0.1:KEY", Some("socket://10.0.0.1:***")),
            ("esphome:a.local/KEY", None),
            ("a.local:6053/KEY", None),
            ("a.local:KEY", None),
            ("KEY", None),
        ] {
            for key in keys {
                let text = form.replace("KEY", key);
                for hidden in [without_secrets(&text), Quoted::new(&text).as_str().to_owned()] {
                    // No part of the key either.
                    let left = ["c2Vj", "2VjcmV0", "XNlY3", "WtleTE"];
                    assert!(!left.iter().any(|part| hidden.contains(part)), "{text}: {hidden}");
                    assert!(shown.is_none_or(|shown| hidden == shown), "{text}: {hidden}");
                }
            }
            // A part of it, in an address.
            if form.contains("esphome") {
                let text = form.replace("KEY", "c2VjcmV0LXNlY3JldC1zZW");
                assert!(!without_secrets(&text).contains("NlY3"), "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_shown() {
        for text in [
            "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_AB0JQ4XK-if00-port0",
            "/dev/serial/by-path/platform-3f980000.usb-usb-0:1.2:1.0-port0",
            "homeassistant/kamstrup/heatmeter/livingroom",
            "socket://serial-server-in-the-cellar.fritz.box:2003",
            "socket://serialserverinthecellar:2003",
            "mqtt://homeassistant.local:1883",
            "/etc/kamstrup2mqtt/certificates/broker/ca.pem",
        ] {
            assert_eq!((without_secrets(text).as_str(), Quoted::new(text).as_str()), (text, text));
        }
    }
}
