//! The type of the rows of the table of settings ([`keys`](super::keys)).

use std::fmt;
use std::ops::Deref;

use super::kind::Kind;
use super::remark::Why;

/// A setting whose values have this type. In a list, each item has it.
pub(crate) struct Setting<T: 'static> {
    pub(super) key: Key,
    /// Parses a text; `None` if it is not accepted.
    pub(super) parse: fn(&str) -> Option<T>,
}

impl<T> Setting<T> {
    /// The value if nobody sets it.
    pub(super) fn default(&self) -> Option<T> {
        match self.key.default {
            Fallback::Value(text) => (self.parse)(text),
            Fallback::Words(_) => None,
        }
    }
}

impl<T> Deref for Setting<T> {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

/// A setting without the type of its values.
pub struct Key {
    /// Section and name in the file, like `mqtt.host`.
    pub(super) path: &'static str,
    /// The form of its values in the schema for editors.
    pub(super) kind: Kind,
    /// The environment variable that overrides the file. A secret has a second one, whose name ends
    /// in `_FILE`: it names a file that contains the secret.
    pub(super) variable: Option<&'static str>,
    /// Its name on the app's form.
    pub(super) form: FormName,
    /// What is accepted, in words that complete "accepted: …" and "set it to …".
    pub(super) accepted: &'static str,
    /// The same for users of the form, if it differs.
    pub(super) accepted_in_form: Option<&'static str>,
    /// Why a text is not accepted, if `accepted` does not explain it.
    pub(super) why: fn(&str) -> Why,
    /// The default.
    pub(super) default: Fallback,
    /// A default that depends on another setting.
    pub(super) instead: Option<Instead>,
    /// Whether it may be a list.
    pub(super) list: bool,
    /// Whether its value must not be shown.
    pub(super) secret: bool,
    /// What the example file shows.
    pub(super) sample: Sample,
    /// The comment in the example file: a few words that begin in lower case.
    pub(super) brief: &'static str,
    /// The description on the reference page: whole sentences.
    pub(super) text: &'static str,
}

/// Its path is unique.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Key {}

/// The name of a setting on the app's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormName {
    /// It is not on the form.
    Absent,
    /// An option.
    Option(Field),
    /// An option in the group `mqtt`.
    OfMqtt(Field),
    /// Two options: one to choose from a list, one to type in.
    Either(Field, Field),
}

/// An option of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name in the file of the options and in YAML.
    pub(super) name: &'static str,
    /// The words next to it, in English.
    pub(super) label: &'static str,
}

/// A default that depends on another setting.
#[derive(Clone, Copy)]
pub(super) enum Instead {
    /// If this setting is on.
    IfOn(&'static Setting<bool>, Fallback),
    /// If this setting is set.
    IfSet(&'static Key, Fallback),
}

/// The default of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// A value, written as in the file.
    Value(&'static str),
    /// No value, but a description of what happens.
    Words(&'static str),
}

/// A setting in the example file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// The default, after a `#`.
    Default,
    /// An example, after a `#`.
    Idea(&'static str),
    /// A line without `#`, which the user must change.
    Set(&'static str),
    /// Nothing: it is another name of a setting, or would switch others off silently.
    Hidden,
}

/// What most settings have in common.
pub(super) const KEY: Key = Key {
    path: "",
    kind: Kind::Text(""),
    variable: None,
    form: FormName::Absent,
    accepted: "",
    accepted_in_form: None,
    why: |_| Why::Unsaid,
    default: Fallback::Words("none"),
    instead: None,
    list: false,
    secret: false,
    sample: Sample::Default,
    brief: "",
    text: "",
};

impl Key {
    /// Its section; empty if it has none.
    pub(super) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// Whether the app's form has it.
    pub(crate) fn is_on_form(&self) -> bool {
        self.form != FormName::Absent
    }

    /// The variable that names a file with the secret.
    pub(super) fn file_variable(&self) -> Option<String> {
        self.variable.filter(|_| self.secret).map(|variable| format!("{variable}_FILE"))
    }

    /// Its name without its section.
    pub(super) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }
}
