//! Texts about the settings for users: the commented example file, the reference page, and the
//! schema for editors. They are made from the table of settings. `cargo run --example manual`
//! writes them, and a test fails if they differ.

mod schema;

use std::fmt::Write;

use super::keys::{KEYS, METERS, NAME, SECTIONS};
use super::setting::{Fallback, Key, Sample};

pub use self::schema::schema;

/// The column of the example file in which the comment on a setting begins.
const BRIEF: usize = 33;
/// The column in which the variable begins.
const VARIABLE: usize = 84;

/// `kamstrup2mqtt.example.yaml`.
#[must_use]
pub fn example() -> String {
    let mut page = schema_line();
    page.push_str(include_str!("example-head.yaml"));
    for section in SECTIONS {
        let _ = write!(page, "\n{}:\n", section.name);
        let shown = |key: &&Key| key.section() == section.name && key.sample != Sample::Hidden;
        KEYS.iter().copied().filter(shown).for_each(|key| page.push_str(&example_lines(key)));
    }
    page.push('\n');
    page.push_str(include_str!("example-meters.yaml"));
    page
}

/// The first line of a file, from which editors know its settings.
#[must_use]
pub fn schema_line() -> String {
    format!("# yaml-language-server: $schema={}\n", schema::address())
}

/// A setting of the example file, with its comment.
fn example_lines(key: &Key) -> String {
    let (text, mark) = match (key.sample, key.default) {
        (Sample::Default, Fallback::Value(text)) | (Sample::Idea(text), _) => (text, "# "),
        (Sample::Set(text), _) => (text, ""),
        (Sample::Default, Fallback::Words(_)) | (Sample::Hidden, _) => return String::new(),
    };
    let name = key.name();
    let mut items = Vec::new();
    let first = if !key.list {
        let text = if key.secret { format!("\"{text}\"") } else { yaml(text) };
        format!("  {mark}{name}: {text}")
    } else if mark.is_empty() {
        items.extend(text.split(',').map(|item| format!("    - {}\n", item.trim())));
        format!("  {name}:")
    } else {
        format!("  {mark}{name}: [{text}]")
    };
    let mut variable = key.variable.map(|variable| format!("[{variable}]")).unwrap_or_default();
    let mut lines = String::new();
    let mut before = first;
    if before.len() >= BRIEF {
        let _ = writeln!(lines, "{before}");
        before = String::new();
    }
    for words in wrapped(key.brief, VARIABLE.saturating_sub(BRIEF).saturating_sub(3)) {
        let width = VARIABLE.saturating_sub(BRIEF).saturating_sub(2);
        let line = format!("{before:BRIEF$}# {words:width$}{variable}");
        let _ = writeln!(lines, "{}", line.trim_end());
        before.clear();
        variable.clear();
    }
    lines.extend(items);
    lines
}

/// A text in YAML, in quotes if it needs them.
fn yaml(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && !text.contains(": ")
        && !text.contains(" #");
    if plain { text.to_owned() } else { format!("\"{text}\"") }
}

/// Breaks a text at spaces into lines of at most this many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let fits = |line: &&mut String| {
            let length = line.chars().count().saturating_add(word.chars().count());
            length < width
        };
        match lines.last_mut().filter(fits) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = include_str!("reference-head.md").to_owned();
    for section in SECTIONS {
        let _ = write!(page, "\n## `{}`\n\n{}", section.name, paragraph(section.text));
        let of_section = |key: &&Key| key.section() == section.name;
        KEYS.iter().copied().filter(of_section).for_each(|key| page.push_str(&entry(key)));
    }
    let names: Vec<String> = KEYS
        .iter()
        .filter(|key| key.is_of_meter())
        .map(|key| format!("`{}`", key.name()))
        .collect();
    let keys = format!("A meter in the list can have these keys: {}.", names.join(" "));
    let meters = include_str!("reference-meters.md");
    let _ = write!(page, "\n## `{METERS}`\n\n{meters}\n{}{}", paragraph(&keys), entry(&NAME));
    page
}

/// The entry of a setting on the reference page.
fn entry(key: &Key) -> String {
    let mut text = format!("\n### `{}`\n\n{}\n", key.path, paragraph(key.text));
    let default = match key.default {
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Words(words) => words.to_owned(),
    };
    for (what, words) in [("Accepted", key.accepted), ("Default", &default)] {
        text.push_str(&point(&format!("{what}: {words}")));
    }
    match (key.variable, key.file_variable()) {
        (Some(variable), Some(file)) => {
            let words = format!(
                "Environment variable: `{variable}`, or `{file}` with the path of a file that \
                 contains nothing else"
            );
            text.push_str(&point(&words));
        }
        (Some(variable), None) => {
            text.push_str(&point(&format!("Environment variable: `{variable}`")));
        }
        (None, _) => {}
    }
    text
}

fn paragraph(text: &str) -> String {
    let mut lines = wrapped(text, 100).join("\n");
    lines.push('\n');
    lines
}

fn point(text: &str) -> String {
    format!("- {}\n", wrapped(text, 98).join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_match_the_table() {
        let files = [
            (example(), include_str!("../../../kamstrup2mqtt.example.yaml")),
            (reference(), include_str!("../../../docs/configuration.md")),
            (schema(), include_str!("../../../kamstrup2mqtt.schema.json")),
        ];
        for (made, written) in files {
            assert_eq!(made, written, "run `cargo run --example manual`");
        }
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("a bc d", 3), ["a", "bc", "d"]);
        assert_eq!(wrapped("a bc d", 4), ["a bc", "d"]);
        assert_eq!(wrapped("a bc d", 6), ["a bc d"]);
        assert_eq!(wrapped("abcdef", 3), ["abcdef"]);
        assert_eq!(wrapped("°C °C", 4), ["°C", "°C"]);
        assert_eq!(wrapped("°C °C", 5), ["°C °C"]);
    }
}
