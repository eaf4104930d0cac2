//! The JSON schema of the file, with which editors complete and check it.
//!
//! It is draft-07, which yaml-language-server supports best. An editor must not mark a value that
//! the program accepts without a warning, however the value is written. So the schema also accepts
//! settings without a value, and numbers in quotes.
//!
//! The schema is stricter than the program in one case. While TLS is off, the program does not
//! check the `tls_` settings. The schema always checks them.

use kmp::model::Model;
use kmp::register::REGISTERS;
use serde_json::{Map, Value, json};

use super::super::keys::{KEYS, METERS, NAME, SECTIONS, Section};
use super::super::kind::Kind;
use super::super::setting::{Fallback, Key};

/// The address at which editors find it.
pub(super) fn address() -> String {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let raw = repository.replacen("//github.com/", "//raw.githubusercontent.com/", 1);
    format!("{raw}/main/kamstrup2mqtt.schema.json")
}

/// `kamstrup2mqtt.schema.json`.
#[must_use]
pub fn schema() -> String {
    let keys = || KEYS.iter().copied();
    let section = |section: &Section| {
        let of_section = keys().filter(|key| key.section() == section.name);
        let schema = json!({
            "description": section.text,
            "type": ["object", "null"],
            "properties": properties(of_section),
            "additionalProperties": false,
        });
        (section.name.to_owned(), schema)
    };
    let mut sections: Map<_, _> = SECTIONS.iter().map(section).collect();
    let of_meter = keys().filter(|key| key.is_of_meter()).chain([&NAME.key]);
    let meters = json!({
        "description": "Several meters. Settings that a meter omits are taken from the sections.",
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": properties(of_meter),
            "additionalProperties": false,
        },
    });
    sections.insert(METERS.to_owned(), meters);
    let definitions: Map<_, _> =
        keys().chain([&NAME.key]).map(|key| (key.path.to_owned(), setting(key))).collect();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": address(),
        "title": "The configuration of kamstrup2mqtt",
        "type": ["object", "null"],
        "properties": sections,
        "additionalProperties": false,
        "definitions": definitions,
    });
    format!("{schema:#}\n")
}

fn properties(keys: impl Iterator<Item = &'static Key>) -> Map<String, Value> {
    let reference = |key: &Key| json!({ "$ref": format!("#/definitions/{}", key.path) });
    keys.map(|key| (key.name().to_owned(), reference(key))).collect()
}

fn setting(key: &Key) -> Value {
    let mut forms = forms(key.kind, key.list);
    if key.list {
        let items = json!({ "anyOf": forms });
        forms.push(json!({ "type": "array", "items": items }));
    }
    forms.push(json!({ "type": "null" }));
    let description = format!("{}\n\nAccepted: {}.", key.text, key.accepted);
    match key.default {
        Fallback::Value(text) => {
            let default =
                if key.list { text.split(',').map(str::trim).collect() } else { scalar(text) };
            json!({ "anyOf": forms, "description": description, "default": default })
        }
        Fallback::Words(words) => {
            let description = format!("{description}\n\nWithout it: {words}.");
            json!({ "anyOf": forms, "description": description })
        }
    }
}

/// The forms of a value, or of an item of a list, which may also be a text with commas.
fn forms(kind: Kind, list: bool) -> Vec<Value> {
    let text = |pattern: &str| {
        let whole = if list {
            format!(r"^(\s*({pattern})?\s*(,|$))*$")
        } else {
            // A setting with an empty text counts as not set.
            format!("^({pattern})?$")
        };
        json!({ "type": "string", "pattern": whole })
    };
    let range =
        |name: &str, from: Value, to: u32| json!({ "type": name, "minimum": from, "maximum": to });
    match kind {
        Kind::Text("") => vec![json!({ "type": ["string", "number", "boolean"] })],
        Kind::Text(pattern) => vec![text(pattern), json!({ "type": ["number", "boolean"] })],
        Kind::Address(pattern) => vec![text(pattern)],
        Kind::Switch(word) => {
            let mut forms = vec![json!({ "type": "boolean" }), json!({ "enum": [0, 1] })];
            let word = word.inspect(|word| forms.push(json!({ "enum": ["on", "off", word] })));
            let words = ["true|yes|on|y|1|false|no|off|n|0"].into_iter().chain(word);
            forms.push(text(&spaced(&any_case(&words.collect::<Vec<_>>().join("|")))));
            forms
        }
        Kind::Whole(from, to) => {
            vec![range("integer", from.into(), to), text(&spaced(r"\+?[0-9]+"))]
        }
        Kind::Seconds(to) => {
            vec![range("number", 0.into(), to), text(&spaced(r"[+-]?[0-9._]+"))]
        }
        Kind::Interval(word) => {
            // 1.2 seconds to a week.
            let mut forms = vec![range("number", scalar("0.02"), 7 * 24 * 60)];
            // As in `5m`, `1 h 30 min` and `PT5M`.
            forms.push(text(r"[\s+-]*[PpTt.]*[0-9][\s\S]*"));
            forms.extend(word.map(|word| text(&spaced(&any_case(word)))));
            forms
        }
        Kind::Offset => vec![
            json!({ "const": 0 }),
            // As in `-30s`, `+1 m 30 s` and `-PT2M`; and `0`.
            text(r"[\s+-]*[PpTt.]*[0-9][\s\S]*"),
        ],
        Kind::Words(words, others) => {
            let shown: Vec<_> = words.iter().map(|word| scalar(word)).collect();
            let known = words.join("|").replace('.', r"\.");
            let others = if others.is_empty() { known } else { format!("{known}|{others}") };
            let others = if words.contains(&"off") { format!("{others}|false") } else { others };
            let mut forms = vec![json!({ "enum": shown }), text(&spaced(&any_case(&others)))];
            if words.contains(&"off") {
                // Some editors take `off` for `false`.
                forms.push(json!({ "const": false }));
            }
            forms
        }
        Kind::Model => {
            let numbers = Model::ALL.map(Model::number);
            let mut shown: Vec<Value> = vec!["auto".into(), "generic".into()];
            shown.extend(numbers.map(Value::from));
            // Spaces, hyphens and similar characters are ignored, and so is a letter after the number.
            let numbers = numbers.map(|number| {
                number
                    .to_string()
                    .chars()
                    .map(|digit| [&digit.to_string(), "[® _-]*"].concat())
                    .collect::<String>()
            });
            let words = any_case("auto|generic");
            let number = format!("[A-Za-z® _-]*(0[® _-]*)*({})[A-Za-z]?[® _-]*", numbers.join("|"));
            vec![json!({ "enum": shown }), text(&spaced(&format!("{words}|{number}")))]
        }
        Kind::Parameter => {
            let names: Vec<_> = REGISTERS.iter().map(|register| register.key).collect();
            let number = "[0-9]+|0[xX][0-9A-Fa-f]+";
            vec![
                json!({ "enum": names }),
                range("integer", 0.into(), u16::MAX.into()),
                text(&format!("{}|{number}", any_case(&names.join("|")))),
            ]
        }
    }
}

/// A pattern, with spaces around it.
fn spaced(pattern: &str) -> String {
    format!(r"\s*({pattern})\s*")
}

/// A pattern in which upper and lower case are the same: draft-07 has no flag for that.
fn any_case(pattern: &str) -> String {
    let class = |letter: char| {
        if letter.is_ascii_alphabetic() {
            format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())
        } else {
            letter.to_string()
        }
    };
    pattern.chars().map(class).collect()
}

/// A number or a truth value, otherwise a text.
fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
