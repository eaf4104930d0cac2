//! Where settings come from: a YAML file, and environment variables over it.
//!
//! Both end as texts with a place. What a text means, and whether it is allowed, is decided in one
//! spot for both, so `MQTT_RETAIN=yes` and `retain: yes` cannot differ.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::keys::{self, Fallback, KEYS, Key};
use super::{ConfigError, MeterName, Problem, Variables, boolean, read};

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A key of the file.
    File(Spot),
    /// A key of a meter in the file's list.
    Item(Item),
    /// An environment variable.
    Variable(&'static str),
    /// A file that holds nothing but a secret, and the variable that names it.
    SecretFile { variable: String, path: PathBuf },
    /// An option of the command line.
    Option(&'static str),
    /// An option of the add-on's form.
    Form,
    /// Home Assistant, when it was asked.
    HomeAssistant,
    /// Nobody made it.
    Default,
}

/// Where a key begins in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Which file.
    pub path: PathBuf,
    /// From 1 on.
    pub line: u64,
    /// In characters, from 1 on.
    pub column: u64,
}

/// `config.yaml, line 12, column 5`
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column } = self;
        write!(f, "{}, line {line}, column {column}", path.display())
    }
}

/// What belongs to one of the listed meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What messages call the meter, by its name or its number in the list.
    pub(super) meter: String,
    /// Where in the file; a form has no such place.
    pub(super) spot: Option<Spot>,
}

impl Item {
    /// `com_port` of the meter `garage` in config.yaml, line 12, column 5
    pub(super) fn key(&self, name: &str) -> String {
        match &self.spot {
            Some(spot) => format!("{} in {spot}", self.key_alone(name)),
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
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

/// It may be a secret.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(***)",
            Self::List(_) => "List(***)",
        })
    }
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

    /// Whether this is not a port under the name of the two that does not count. In the file the
    /// older program took `url`; what is set elsewhere is under the other name.
    pub(super) fn is_port_that_counts(&self, key: &Key) -> bool {
        let [com_port, url] = PORTS.map(|path| self.made.get(path));
        let is_over_file = |place: &Place| matches!(place, Place::Variable(_) | Place::Option(_));
        let url_counts =
            url.is_some() && com_port.is_none_or(|setting| !is_over_file(&setting.place));
        match PORTS.iter().position(|path| *path == key.path) {
            Some(position) => url_counts == (position == 1),
            None => true,
        }
    }

    /// What counts where nobody made a setting; one depends on another.
    pub(super) fn default_of(&self, key: &Key) -> Fallback {
        let is_on = |setting: &Setting| match &setting.raw {
            Raw::Text(text) => boolean(text) == Some(true),
            Raw::List(_) => false,
        };
        match key.path {
            "mqtt.port" if self.made.get("mqtt.tls_enabled").is_some_and(is_on) => {
                Fallback::Value("8883")
            }
            "logging.file_format" if self.made.contains_key("logging.format") => {
                Fallback::Words("what `logging.format` says")
            }
            "logging.stdout_date_format" | "logging.file_date_format"
                if self.made.contains_key("logging.date_format") =>
            {
                Fallback::Words("what `logging.date_format` says")
            }
            _ => key.default,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty() && self.meters.is_empty()
    }

    /// Takes the variables that are set. An empty one counts as not set: this is what `MQTT_HOST=`
    /// in a compose file means.
    pub(super) fn read_variables(
        &mut self,
        variables: &Variables,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) {
        for key in KEYS {
            let Some(variable) = key.variable else {
                continue;
            };
            let file_variable = key.file_variable();
            let in_file =
                file_variable.as_ref().and_then(|name| Some((name, set(variables, name)?)));
            match (set(variables, variable), in_file) {
                (None, None) => {}
                (Some(_), Some((file_variable, _))) => problems.push(Problem {
                    what: format!("the variables `{variable}` and `{file_variable}`"),
                    found: "both".to_owned(),
                    accepted: "one of them".to_owned(),
                }),
                (Some(text), None) => match text.to_str() {
                    Some(text) if is_a_links(variable, text) => warnings.push(format!(
                        "the variable `{variable}` is an address that begins with `tcp://`, which \
                         Kubernetes and container links set by themselves for a service called \
                         `mqtt`; it is not taken"
                    )),
                    Some(text) => {
                        let (raw, place) = (Raw::Text(text.to_owned()), Place::Variable(variable));
                        self.made.insert(key.path, Setting { raw, place });
                    }
                    None => problems.push(Problem {
                        what: format!("the variable `{variable}`"),
                        found: "bytes that are not UTF-8".to_owned(),
                        accepted: key.accepted.to_owned(),
                    }),
                },
                (None, Some((file_variable, path))) => match read::secret(Path::new(path)) {
                    Ok(text) => {
                        let place = Place::SecretFile {
                            variable: file_variable.clone(),
                            path: path.into(),
                        };
                        self.made.insert(key.path, Setting { raw: Raw::Text(text), place });
                    }
                    Err(reason) => problems.push(Problem {
                        what: format!(
                            "the file {} (the variable `{file_variable}`)",
                            Path::new(path).display()
                        ),
                        found: format!("nothing to use ({reason})"),
                        accepted: "a file that holds the secret and nothing else".to_owned(),
                    }),
                },
            }
        }
        let is_ours = |name: &&String| {
            let text = set(variables, name);
            text.is_some_and(|text| !is_a_links(name, &text.to_string_lossy()))
        };
        for name in variables.keys().filter(is_ours) {
            if let Some(nearest) = keys::nearest_variable(name) {
                warnings.push(format!(
                    "the variable `{name}` is not known and is ignored; did you mean `{nearest}`?"
                ));
            }
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
        if name.value == keys::METERS {
            self.read_meters(file, name, node);
            return;
        }
        if !keys::is_section(&name.value) {
            file.unknown(name, &name.value, keys::nearest(&name.value));
            return;
        }
        let entries = match node.value {
            Node::Null => return,
            Node::Map(entries) => entries,
            Node::Text(text) if text.contains(':') => {
                let what = format!("`{}`", name.value);
                let found = "no space after a colon";
                file.wrong_shape(&what, name, found, "keys like `host: 192.168.1.100`, one a line");
                return;
            }
            Node::Text(_) | Node::Other | Node::List(_) => {
                let what = format!("`{}`", name.value);
                file.wrong_shape(&what, name, "no keys", "keys, one a line, indented under it");
                return;
            }
        };
        let prefix = format!("{}.", name.value);
        for (key, node) in file.last_of_each(|key| format!("`{prefix}{key}`"), entries) {
            let path = format!("{prefix}{}", key.value);
            let Some(known) = keys::find(&path) else {
                file.unknown(&key, &path, keys::nearest(&path));
                continue;
            };
            match file.raw(node) {
                Ok(Some(raw)) => {
                    let place = Place::File(file.spot(&key));
                    self.made.insert(known.path, Setting { raw, place });
                }
                Ok(None) => {}
                Err(found) => {
                    file.wrong_shape(&format!("`{path}`"), &key, found, known.accepted);
                }
            }
        }
    }

    fn read_meters(&mut self, file: &mut File<'_>, name: &Spanned<String>, node: Spanned<Node>) {
        const LIST: &str = "a list of meters, each beginning with `- name:` and its other keys \
                            indented as far as `name`";
        const KEYS: &str = "keys like `name` and `com_port`, one a line";
        let items = match node.value {
            Node::Null => return,
            Node::List(items) => items,
            Node::Map(_) | Node::Text(_) | Node::Other => {
                let found = if matches!(node.value, Node::Map(_)) { "keys" } else { "a text" };
                file.wrong_shape(&format!("`{}`", keys::METERS), name, found, LIST);
                return;
            }
        };
        for (index, item) in items.into_iter().enumerate() {
            let meter = format!("meter {}", index.saturating_add(1));
            let spot = file.spot(&item);
            let place = Item { meter, spot: Some(spot.clone()) };
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
            file.problems.push(Problem {
                what: format!("{} of `meters` in {spot}", place.meter),
                found: found.to_owned(),
                accepted: KEYS.to_owned(),
            });
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
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            // Texts like any other to us.
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
            // Enough for hundreds of meters; a file in which each line stands for ten others ends
            // here.
            budget: serde_saphyr::budget! { max_nodes: 20_000, max_events: 50_000, max_depth: 16 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
        };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            let place = error.location().map(|location| (location.line(), location.column()));
            let reason = self.reason(&error.to_string(), place.map(|(line, _)| line));
            ConfigError::NotYaml { path: self.path.to_owned(), place, reason }
        })
    }

    /// Where something begins.
    fn spot<T>(&self, node: &Spanned<T>) -> Spot {
        let location = node.referenced;
        Spot { path: self.path.to_owned(), line: location.line(), column: location.column() }
    }

    /// Of keys that stand twice, the last one.
    fn last_of_each(&mut self, called: impl Fn(&str) -> String, entries: Entries) -> Entries {
        let mut kept: Entries = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if let Some(index) = kept.iter().position(|(earlier, _)| earlier.value == key.value) {
                let (earlier, _) = kept.remove(index);
                let spot = self.spot(&earlier);
                let called = called(shown_key(&earlier.value));
                self.warnings
                    .push(format!("{called} in {spot}, stands there twice: the last one counts"));
            }
            kept.push((key, node));
        }
        kept
    }

    fn unknown(&mut self, key: &Spanned<String>, path: &str, nearest: Option<String>) {
        let (spot, path) = (self.spot(key), shown_key(path));
        let nearest = meant(nearest);
        self.warnings.push(format!("`{path}` in {spot}, is not known and is ignored{nearest}"));
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
            let place = Item { spot: Some(self.spot(&key)), ..listed.place.clone() };
            let is_name = key.value == keys::NAME.path;
            let known = if is_name { Some(&keys::NAME) } else { keys::of_meter(&key.value) };
            let Some(known) = known else {
                let mut what = place.key(shown_key(&key.value));
                what.push_str(", is not known and is ignored");
                if keys::is_section(&key.value) {
                    what.push_str(": its keys stand under the meter itself");
                } else {
                    what.push_str(&meant(keys::nearest_of_meter(&key.value)));
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

    fn wrong_shape<T>(&mut self, what: &str, key: &Spanned<T>, found: &str, accepted: &str) {
        self.problems.push(Problem {
            what: format!("{what} in {}", self.spot(key)),
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

    /// What the parser says, without quoting the file and without the words of programmers.
    fn reason(&self, message: &str, line: Option<u64>) -> String {
        let indentation = |line: &str| {
            let text = line.trim_start();
            line.strip_suffix(text).is_some_and(|indentation| indentation.contains('\t'))
        };
        let at = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
        if at.and_then(|at| self.text.lines().nth(at)).is_some_and(indentation) {
            return "a tab stands before the text; YAML takes only spaces there".to_owned();
        }
        let known = REASONS.iter().find(|(part, _)| message.contains(part));
        known.map_or("this is not how YAML is written", |(_, words)| words).to_owned()
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

/// What the parser's messages have in them, and what is told instead.
const REASONS: [(&str, &str); 20] = [
    (
        "unknown anchor",
        "a word that begins with `*` stands for something that is nowhere; in a text it needs \
         quotes around it",
    ),
    ("tag", EXCLAMATION_MARK),
    ("handle", EXCLAMATION_MARK),
    ("multiple", "a second document begins, after `---`; there can be only one"),
    (
        "unexpected character",
        "a character that cannot stand there; a text that begins with `%`, `@` or a backtick needs \
         quotes around it",
    ),
    (
        "block scalar",
        "`|` and `>` begin a text of several lines; in a text of one line they need quotes around it",
    ),
    ("unclosed quote", "a quote is opened and never closed"),
    ("trailing content", "something stands behind a closing quote"),
    ("quoted scalar", "a backslash in double quotes; put the text into single quotes"),
    (
        "mapping values",
        "a colon where none can be; a text with a colon in it needs quotes around it, and the keys \
         of a section begin one below the other",
    ),
    ("bracket", BRACKETS),
    ("flow", BRACKETS),
    ("indicator", BRACKETS),
    ("sequence entries", "a `-` where no list can be; a text that begins with it needs quotes"),
    ("expected key", "it does not begin below the keys before it, or something is missing there"),
    ("merge", "`<<` takes keys from somewhere else, and there are none"),
    ("invalid ", "what begins with `!!` does not fit what stands behind it"),
    ("budget", TOO_LARGE),
    ("limit", TOO_LARGE),
    ("depth", TOO_LARGE),
];

const EXCLAMATION_MARK: &str =
    "a word that begins with `!` means nothing here; in a text it needs quotes around it";
const BRACKETS: &str =
    "`{`, `}`, `[` and `]` come in pairs; a text with one of them in it needs quotes around it";
const TOO_LARGE: &str = "it has far more in it than any configuration";

/// A variable that is set, and not to nothing.
fn set<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsString> {
    variables.get(name).filter(|text| !text.is_empty())
}

/// Whether a variable is not the user's: for a service `mqtt`, Kubernetes and container links set
/// `MQTT_PORT` to `tcp://10.0.0.1:1883`, and `WEB_PORT` for one called `web`.
fn is_a_links(variable: &str, text: &str) -> bool {
    matches!(variable, "MQTT_PORT" | "WEB_PORT") && text.starts_with("tcp://")
}

fn meant(nearest: Option<String>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// A key as it is told. One that does not look like one may be a password without the space that
/// belongs before it.
fn shown_key(key: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if key.len() <= 64 && key.chars().all(is_name) { key } else { "..." }
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
