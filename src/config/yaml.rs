//! Settings from a YAML file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::ConfigError;
use super::findings::Findings;
use super::keys;
use super::origin::{Origin, Place, Spot, Whose};
use super::problem::{About, Accepted, Actual, Meant, Problem, Shape, ShownKey, Warning};
use super::settings::{Given, Listed, Raw, Settings};
use super::suggest;
use crate::name::MeterName;

impl Settings {
    /// Reads a file's settings. A wrong shape becomes a problem, an unknown key a warning.
    pub(super) fn read_file(
        &mut self,
        path: &Path,
        text: &str,
        findings: &mut Findings,
    ) -> Result<(), ConfigError> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut file = File { path, text, findings };
        let root = file.parse()?;
        match root.value {
            Node::Null => {}
            Node::Map(sections) => {
                for (name, node) in file.last_of_each(None, None, sections) {
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
        let Some(section) = keys::section(&name.value) else {
            file.unknown(name, &name.value);
            return;
        };
        let entries = match node.value {
            Node::Null => return,
            Node::Map(entries) => entries,
            Node::Text(text) if text.contains(':') => {
                let accepted = "settings like `host: 192.168.1.100`, one per line";
                file.wrong_section(section, name, Shape::NoSpace, accepted);
                return;
            }
            Node::Text(_) | Node::Other | Node::List(_) => {
                let accepted = "settings, one per line, indented below it";
                file.wrong_section(section, name, Shape::NoKeys, accepted);
                return;
            }
        };
        for (key, node) in file.last_of_each(Some(section), None, entries) {
            let path = format!("{section}.{}", key.value);
            let Some(known) = keys::find(&path) else {
                file.unknown(&key, &path);
                continue;
            };
            let place = Place::shared(Origin::File(file.spot(&key)));
            match file.raw(node) {
                Ok(Some(raw)) => self.set(known, raw, place.origin),
                Ok(None) => {}
                Err(shape) => file.wrong_shape(About::Setting(known, place), shape),
            }
        }
    }

    fn read_meters(&mut self, file: &mut File<'_>, name: &Spanned<String>, node: Spanned<Node>) {
        const LIST: &str = "a list of meters: each begins with `- name:`, and its other settings \
                            are indented as far as `name`";
        let items = match node.value {
            Node::Null => return,
            Node::List(items) => items,
            Node::Map(_) => return file.wrong_section(keys::METERS, name, Shape::Keys, LIST),
            Node::Text(_) | Node::Other => {
                return file.wrong_section(keys::METERS, name, Shape::Text, LIST);
            }
        };
        for (index, item) in items.into_iter().enumerate() {
            let whose = Whose { number: index.saturating_add(1), name: None };
            let origin = Origin::File(file.spot(&item));
            let found = match item.value {
                Node::Map(entries) => {
                    let listed = file.meter(whose, origin, entries);
                    self.add_meter(listed);
                    continue;
                }
                Node::Null => Actual::Nothing,
                Node::List(_) => Actual::Shape(Shape::List),
                Node::Text(_) | Node::Other => Actual::Shape(Shape::Text),
            };
            file.findings.problems.push(Problem {
                about: About::Meter(whose, origin),
                found,
                accepted: Accepted::This("settings like `name` and `com_port`, one per line"),
            });
        }
    }
}

/// A file that is being read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    findings: &'a mut Findings,
}

impl File<'_> {
    fn parse(&self) -> Result<Spanned<Node>, ConfigError> {
        let options = serde_saphyr::options! {
            // With snippets, the error would quote the lines around it, including passwords.
            with_snippet: false,
            // `!secret` would silently lose its meaning.
            reject_unsupported_tags: true,
            // The older program's parser uses the last one. So does this one, with a warning.
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            // They are texts here.
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
            // Enough for hundreds of meters. They stop a file whose aliases multiply (a "billion
            // laughs" file).
            budget: serde_saphyr::budget! { max_nodes: 20_000, max_events: 50_000, max_depth: 16 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
        };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            let place = error.location().map(|location| (location.line(), location.column()));
            let reason = self.reason(&error.to_string(), place.map(|(line, _)| line));
            ConfigError::NotYaml { path: self.path.to_owned(), place, reason }
        })
    }

    /// The place where something begins.
    fn spot<T>(&self, node: &Spanned<T>) -> Spot {
        let location = node.referenced;
        Spot { path: self.path.to_owned(), line: location.line(), column: location.column() }
    }

    /// The keys of a section or a listed meter. Of a key that appears twice, only the last one.
    fn last_of_each(
        &mut self,
        section: Option<&str>,
        whose: Option<&Whose>,
        entries: Entries,
    ) -> Entries {
        let mut kept: Entries = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if let Some(index) = kept.iter().position(|(earlier, _)| earlier.value == key.value) {
                let (earlier, _) = kept.remove(index);
                let key = match section {
                    Some(section) => ShownKey::in_section(section, &earlier.value),
                    None => ShownKey::new(&earlier.value),
                };
                let (whose, spot) = (whose.cloned(), self.spot(&earlier));
                self.findings.warnings.push(Warning::Twice { key, whose, spot });
            }
            kept.push((key, node));
        }
        kept
    }

    fn unknown(&mut self, key: &Spanned<String>, path: &str) {
        let meant = suggest::nearest(path).map_or(Meant::Nobody, Meant::Key);
        let (key, spot) = (ShownKey::new(path), self.spot(key));
        self.findings.warnings.push(Warning::UnknownKey { key, whose: None, spot, meant });
    }

    fn unknown_of_meter(&mut self, key: &Spanned<String>, whose: &Whose) {
        let meant = if keys::section(&key.value).is_some() {
            Meant::Section
        } else {
            suggest::nearest_of_meter(&key.value).map_or(Meant::Nobody, Meant::Key)
        };
        let (key, spot) = (ShownKey::new(&key.value), self.spot(key));
        let whose = Some(whose.clone());
        self.findings.warnings.push(Warning::UnknownKey { key, whose, spot, meant });
    }

    /// A meter of the list, with its known keys.
    fn meter(&mut self, mut whose: Whose, origin: Origin, entries: Entries) -> Listed {
        // If there are several, the last one is used.
        let is_name = |(key, _): &&(Spanned<String>, Spanned<Node>)| key.value == keys::NAME.path;
        let name = entries.iter().rev().find(is_name).and_then(|(_, node)| self.text(node));
        whose.name = name.and_then(|text| text.parse::<MeterName>().ok());
        let entries = self.last_of_each(None, Some(&whose), entries);
        let mut listed = Listed { whose, origin, name: None, settings: BTreeMap::new() };
        for (key, node) in entries {
            let is_name = key.value == keys::NAME.path;
            let known = if is_name { Some(&keys::NAME.key) } else { keys::of_meter(&key.value) };
            let Some(known) = known else {
                self.unknown_of_meter(&key, &listed.whose);
                continue;
            };
            let place = Place { origin: Origin::File(self.spot(&key)), ..listed.place() };
            match self.raw(node) {
                Ok(None) => {}
                Ok(Some(raw)) if is_name => listed.name = Some(Given { raw, place }),
                Ok(Some(raw)) => drop(listed.settings.insert(known.path, Given { raw, place })),
                Err(shape) => self.wrong_shape(About::Setting(known, place), shape),
            }
        }
        listed
    }

    fn wrong_section(
        &mut self,
        section: &'static str,
        key: &Spanned<String>,
        shape: Shape,
        accepted: &'static str,
    ) {
        let about = About::Section(section, Origin::File(self.spot(key)));
        let (found, accepted) = (Actual::Shape(shape), Accepted::This(accepted));
        self.findings.problems.push(Problem { about, found, accepted });
    }

    fn wrong_shape(&mut self, about: About, shape: Shape) {
        let (found, accepted) = (Actual::Shape(shape), Accepted::Usual);
        self.findings.problems.push(Problem { about, found, accepted });
    }

    /// A setting's text or texts; `None` if it was left empty.
    fn raw(&self, node: Spanned<Node>) -> Result<Option<Raw>, Shape> {
        match node.value {
            Node::Null => Ok(None),
            Node::Text(_) | Node::Other => {
                Ok(Some(self.scalar(node)).filter(|text| !text.is_empty()).map(Raw::Text))
            }
            Node::List(items) => {
                let is_scalar =
                    |item: &Spanned<Node>| matches!(item.value, Node::Text(_) | Node::Other);
                if !items.iter().all(is_scalar) {
                    return Err(Shape::MixedList);
                }
                Ok(Some(Raw::List(items.into_iter().map(|item| self.scalar(item)).collect())))
            }
            Node::Map(_) => Err(Shape::KeysUnder),
        }
    }

    /// The text of a scalar as it was written: `0123` stays `0123`, `1e5` stays `1e5`.
    fn scalar(&self, node: Spanned<Node>) -> String {
        if let Node::Text(text) = node.value { text } else { self.written(&node) }
    }

    /// A scalar's text; `None` for anything else.
    fn text(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Other => Some(self.written(node)),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The parser's error in words for users, without a quotation from the file.
    fn reason(&self, message: &str, line: Option<u64>) -> String {
        let indentation = |line: &str| {
            let text = line.trim_start();
            line.strip_suffix(text).is_some_and(|indentation| indentation.contains('\t'))
        };
        let at = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
        if at.and_then(|at| self.text.lines().nth(at)).is_some_and(indentation) {
            return "the line is indented with a tab; YAML accepts only spaces".to_owned();
        }
        let known = REASONS.iter().find(|(part, _)| message.contains(part));
        known.map_or("the syntax is wrong", |(_, words)| words).to_owned()
    }

    /// The text of a node in the file.
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

/// Parts of the parser's messages, and the words that replace such a message.
const REASONS: [(&str, &str); 20] = [
    (
        "unknown anchor",
        "a word that begins with `*` refers to an anchor, and there is none of this name; a text \
         that begins with `*` needs quotes around it",
    ),
    ("tag", EXCLAMATION_MARK),
    ("handle", EXCLAMATION_MARK),
    ("multiple", "a second document begins after `---`, but there can be only one"),
    (
        "unexpected character",
        "this character is not allowed here; a text that begins with `%`, `@` or a backtick needs \
         quotes around it",
    ),
    (
        "block scalar",
        "`|` and `>` begin a text of several lines; a text of one line that begins with one of them \
         needs quotes around it",
    ),
    ("unclosed quote", "a quote is opened but not closed"),
    ("trailing content", "there is text after a closing quote"),
    (
        "quoted scalar",
        "a text in double quotes contains a backslash; put it in single quotes instead",
    ),
    (
        "mapping values",
        "a colon is not allowed here; a text that contains a colon needs quotes around it, and the \
         keys of a section must be aligned",
    ),
    ("bracket", BRACKETS),
    ("flow", BRACKETS),
    ("indicator", BRACKETS),
    (
        "sequence entries",
        "a list is not allowed here; a text that begins with `-` needs quotes around it",
    ),
    (
        "expected key",
        "the line is not aligned with the keys above it, or something is missing here",
    ),
    ("merge", "`<<` adds keys from somewhere else, but there are none"),
    ("invalid ", "the value does not have the type that `!!` gives it"),
    ("budget", TOO_LARGE),
    ("limit", TOO_LARGE),
    ("depth", TOO_LARGE),
];

const EXCLAMATION_MARK: &str = "a word that begins with `!` is a tag, which is not supported; a text that begins with `!` needs \
     quotes around it";
const BRACKETS: &str = "`{`, `}`, `[` and `]` must come in pairs; a text that contains one of them needs quotes around it";
const TOO_LARGE: &str = "it contains far more than any configuration";

/// Any YAML. Scalars that are not text are read from the source by their span, because a number or a
/// truth value does not show how it was written.
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
