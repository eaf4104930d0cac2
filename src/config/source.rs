//! Where settings come from: a YAML file, and environment variables over it.
//!
//! Both end as texts with a place. What a text means, and whether it is allowed, is decided in one
//! spot for both, so `MQTT_RETAIN=yes` and `retain: yes` cannot differ.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::keys::{self, KEYS, Key};
use super::{ConfigError, MeterName, Problem, Variables};

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A key of the file.
    File { path: PathBuf, line: u64 },
    /// A key of a meter in the file's list.
    Item(Item),
    /// An environment variable.
    Variable(&'static str),
    /// An option of the command line.
    Option(&'static str),
    /// Nobody made it.
    Default,
}

/// What belongs to one of the listed meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What messages call the meter, by its name or its number in the list.
    pub(super) meter: String,
    /// The file and the line; a form has none.
    pub(super) spot: Option<(PathBuf, u64)>,
}

impl Item {
    /// `com_port` of the meter `garage` in config.yaml, line 12
    pub(super) fn key(&self, name: &str) -> String {
        match &self.spot {
            Some((path, line)) => {
                format!("{} in {}, line {line}", self.key_alone(name), path.display())
            }
            None => self.key_alone(name),
        }
    }

    /// `com_port` of the meter `garage`
    pub(super) fn key_alone(&self, name: &str) -> String {
        format!("`{name}` of {}", self.meter)
    }
}

/// One of the listed meters.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Where it begins.
    pub(super) place: Item,
    /// What it is called.
    pub(super) name: Option<Setting>,
    pub(super) settings: BTreeMap<&'static str, Setting>,
}

impl Listed {
    /// The place of one of its keys; that of the meter where it does not have this.
    pub(super) fn place_of(&self, key: &Key) -> &Item {
        let own = self.settings.get(key.path);
        let setting = if key.path == keys::NAME.path { self.name.as_ref() } else { own };
        match setting.map(|setting| &setting.place) {
            Some(Place::Item(item)) => item,
            _ => &self.place,
        }
    }
}

/// A setting as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

/// A setting and its place.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// All settings that were made, by path. An absent one was left out, or left empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    made: BTreeMap<&'static str, Setting>,
    meters: Vec<Listed>,
}

/// Two names of one setting: where a meter has one of them, it does not inherit the other.
const PORTS: [&str; 2] = ["serial_device.com_port", "serial_device.url"];

impl Settings {
    pub(super) fn get(&self, key: &Key) -> Option<&Setting> {
        self.made.get(key.path)
    }

    /// The meters of the list.
    pub(super) fn meters(&self) -> &[Listed] {
        &self.meters
    }

    /// The settings of a listed meter: its own, and those of the sections for the rest.
    pub(super) fn of(&self, meter: &Listed) -> Self {
        let mut made = self.made.clone();
        if PORTS.iter().any(|port| meter.settings.contains_key(port)) {
            made.retain(|path, _| !PORTS.contains(path));
        }
        made.extend(meter.settings.clone());
        Self { made, meters: Vec::new() }
    }

    /// Makes a setting that is neither in a file nor in a variable.
    pub(super) fn set(&mut self, path: &'static str, text: &str, place: Place) {
        self.set_raw(path, Raw::Text(text.to_owned()), place);
    }

    pub(super) fn set_raw(&mut self, path: &'static str, raw: Raw, place: Place) {
        self.made.insert(path, Setting { raw, place });
    }

    /// Adds a meter to the list.
    pub(super) fn add_meter(&mut self, meter: Listed) {
        self.meters.push(meter);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Takes the variables that are set. An empty one counts as not set: this is what `MQTT_HOST=`
    /// in a compose file means.
    pub(super) fn read_variables(&mut self, variables: &Variables, problems: &mut Vec<Problem>) {
        for key in KEYS {
            let Some(variable) = key.variable else {
                continue;
            };
            let Some(text) = variables.get(variable).filter(|text| !text.is_empty()) else {
                continue;
            };
            let Some(text) = text.to_str() else {
                problems.push(Problem {
                    what: format!("the variable `{variable}`"),
                    found: "bytes that are not UTF-8".to_owned(),
                    accepted: key.accepted.to_owned(),
                });
                continue;
            };
            let setting =
                Setting { raw: Raw::Text(text.to_owned()), place: Place::Variable(variable) };
            self.made.insert(key.path, setting);
        }
    }

    /// Takes a file's settings. What has the wrong shape becomes a problem, what is not known a
    /// warning.
    pub(super) fn read_file(
        &mut self,
        path: &Path,
        text: &str,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut file = File { path, text, problems, warnings };
        let root = file.parse()?;
        match root.value {
            Node::Null => {}
            Node::Map(sections) => {
                for (name, node) in file.last_of_each(|key| format!("`{key}`"), sections) {
                    self.read_section(&mut file, &name, node);
                }
            }
            Node::Text(_) | Node::Other | Node::List(_) => {
                return Err(ConfigError::NotSections { path: path.to_owned() });
            }
        }
        Ok(())
    }

    fn read_section(&mut self, file: &mut File<'_>, name: &Spanned<String>, node: Spanned<Node>) {
        let line = name.referenced.line();
        if name.value == keys::METERS {
            self.read_meters(file, line, node);
            return;
        }
        if !keys::is_section(&name.value) {
            file.unknown(&name.value, line);
            return;
        }
        let entries = match node.value {
            Node::Null => return,
            Node::Map(entries) => entries,
            Node::Text(_) | Node::Other | Node::List(_) => {
                let what = format!("`{}`", name.value);
                file.wrong_shape(&what, line, "no keys", "keys, one a line, indented under it");
                return;
            }
        };
        let prefix = format!("{}.", name.value);
        for (key, node) in file.last_of_each(|key| format!("`{prefix}{key}`"), entries) {
            let line = key.referenced.line();
            let path = format!("{prefix}{}", key.value);
            let Some(known) = keys::find(&path) else {
                file.unknown(&path, line);
                continue;
            };
            match file.raw(node) {
                Ok(Some(raw)) => {
                    let place = Place::File { path: file.path.to_owned(), line };
                    self.made.insert(known.path, Setting { raw, place });
                }
                Ok(None) => {}
                Err(found) => {
                    file.wrong_shape(&format!("`{path}`"), line, found, known.accepted);
                }
            }
        }
    }

    fn read_meters(&mut self, file: &mut File<'_>, line: u64, node: Spanned<Node>) {
        const LIST: &str = "a list of meters, each beginning with `- name:` and its other keys \
                            indented as far as `name`";
        const KEYS: &str = "keys like `name` and `com_port`, one a line";
        let items = match node.value {
            Node::Null => return,
            Node::List(items) => items,
            Node::Map(_) | Node::Text(_) | Node::Other => {
                let found = if matches!(node.value, Node::Map(_)) { "keys" } else { "a text" };
                file.wrong_shape(&format!("`{}`", keys::METERS), line, found, LIST);
                return;
            }
        };
        for (index, item) in items.into_iter().enumerate() {
            let line = item.referenced.line();
            let meter = format!("meter {}", index.saturating_add(1));
            let place = Item { meter, spot: Some((file.path.to_owned(), line)) };
            let found = match item.value {
                Node::Map(entries) => {
                    let listed = file.meter(place, entries);
                    self.meters.push(listed);
                    continue;
                }
                Node::Null => "nothing",
                Node::List(_) => "a list",
                Node::Text(_) | Node::Other => "a text",
            };
            file.wrong_shape(&format!("{} of `meters`", place.meter), line, found, KEYS);
        }
    }
}

/// A file while it is read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<String>,
}

impl File<'_> {
    fn parse(&self) -> Result<Spanned<Node>, ConfigError> {
        let options = serde_saphyr::options! {
            // With snippets the error would quote the lines around it, passwords and all.
            with_snippet: false,
            // `!secret` would lose its meaning without a word.
            reject_unsupported_tags: true,
            // The older program's parser takes the last one; so do we, and say so.
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            ConfigError::NotYaml {
                path: self.path.to_owned(),
                line: error.location().map(|location| location.line()),
                reason: reason(&error.to_string()),
            }
        })
    }

    /// Of keys that stand twice, the last one.
    fn last_of_each(&mut self, called: impl Fn(&str) -> String, entries: Entries) -> Entries {
        let mut kept: Entries = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if let Some(index) = kept.iter().position(|(earlier, _)| earlier.value == key.value) {
                let (earlier, _) = kept.remove(index);
                self.warnings.push(format!(
                    "{} in {}, line {}, stands there twice: the last one counts",
                    called(&earlier.value),
                    self.path.display(),
                    earlier.referenced.line(),
                ));
            }
            kept.push((key, node));
        }
        kept
    }

    fn unknown(&mut self, what: &str, line: u64) {
        let path = self.path.display();
        self.warnings.push(format!("`{what}` in {path}, line {line}, is not known and is ignored"));
    }

    /// A meter of the list, with what of its keys is known.
    fn meter(&mut self, mut place: Item, entries: Entries) -> Listed {
        // The last one counts.
        let is_name = |(key, _): &&(Spanned<String>, Spanned<Node>)| key.value == keys::NAME.path;
        let name = entries.iter().rev().find(is_name).and_then(|(_, node)| self.text(node));
        if let Some(name) = name.and_then(|text| text.parse::<MeterName>().ok()) {
            place.meter = format!("the meter `{name}`");
        }
        let entries = self.last_of_each(|key| place.key_alone(key), entries);
        let mut listed = Listed { place, name: None, settings: BTreeMap::new() };
        for (key, node) in entries {
            let spot = Some((self.path.to_owned(), key.referenced.line()));
            let place = Item { spot, ..listed.place.clone() };
            let is_name = key.value == keys::NAME.path;
            let known = if is_name { Some(&keys::NAME) } else { keys::of_meter(&key.value) };
            let Some(known) = known else {
                let mut what = place.key(&key.value);
                what.push_str(", is not known and is ignored");
                if keys::is_section(&key.value) {
                    what.push_str(": its keys stand under the meter itself");
                }
                self.warnings.push(what);
                continue;
            };
            match self.raw(node) {
                Ok(None) => {}
                Ok(Some(raw)) if is_name => {
                    listed.name = Some(Setting { raw, place: Place::Item(place) });
                }
                Ok(Some(raw)) => {
                    listed.settings.insert(known.path, Setting { raw, place: Place::Item(place) });
                }
                Err(found) => self.problems.push(Problem {
                    what: place.key(&key.value),
                    found: found.to_owned(),
                    accepted: known.accepted.to_owned(),
                }),
            }
        }
        listed
    }

    fn wrong_shape(&mut self, what: &str, line: u64, found: &str, accepted: &str) {
        self.problems.push(Problem {
            what: format!("{what} in {}, line {line}", self.path.display()),
            found: found.to_owned(),
            accepted: accepted.to_owned(),
        });
    }

    /// A setting's text or texts; `None` where it was left empty.
    fn raw(&self, node: Spanned<Node>) -> Result<Option<Raw>, &'static str> {
        match node.value {
            Node::Null => Ok(None),
            Node::Text(_) | Node::Other => {
                Ok(Some(self.scalar(node)).filter(|text| !text.is_empty()).map(Raw::Text))
            }
            Node::List(items) => {
                let is_scalar =
                    |item: &Spanned<Node>| matches!(item.value, Node::Text(_) | Node::Other);
                if !items.iter().all(is_scalar) {
                    return Err("a list with something else than texts in it");
                }
                Ok(Some(Raw::List(items.into_iter().map(|item| self.scalar(item)).collect())))
            }
            Node::Map(_) => Err("keys under it"),
        }
    }

    /// The text of a scalar as it was written: `0123` stays `0123`, `1e5` stays `1e5`.
    fn scalar(&self, node: Spanned<Node>) -> String {
        if let Node::Text(text) = node.value { text } else { self.written(&node) }
    }

    /// A scalar's text; `None` of anything else.
    fn text(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Other => Some(self.written(node)),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// What stands in the file.
    fn written(&self, node: &Spanned<Node>) -> String {
        let span = node.defined.span();
        let range = || {
            let start = usize::try_from(span.byte_offset()?).ok()?;
            let length = usize::try_from(span.byte_len()?).ok()?;
            self.text.get(start..start.checked_add(length)?)
        };
        range().unwrap_or_default().trim().to_owned()
    }
}

/// The parser's message without its " at line …, column …", and in other words where it speaks to
/// programmers or quotes the file.
fn reason(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if message.contains("tag") {
        return "a word that begins with `!` means nothing here; in a text it needs quotes around it"
            .to_owned();
    }
    if message.contains("multiple") {
        return "a second document begins, after `---`; there can be only one".to_owned();
    }
    message.to_owned()
}

/// Any YAML. Scalars that are not text are read from the source by their span, since a number or
/// a truth value no longer says how it was written.
#[derive(Debug)]
enum Node {
    Null,
    Text(String),
    Other,
    List(Vec<Spanned<Node>>),
    Map(Entries),
}

type Entries = Vec<(Spanned<String>, Spanned<Node>)>;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, a list or keys")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    #[expect(clippy::disallowed_types, reason = "serde's signature; the number is not used")]
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
