//! The Supervisor's rules for the options of an app (supervisor/addons/options.py).

use serde_json::Value;

/// Whether the Supervisor accepts a value for a type of the schema (`_single_validate` in its
/// `options.py`). It does not look for devices.
pub(crate) fn fits(kind: &str, value: &Value) -> bool {
    let kind = kind.strip_suffix('?').unwrap_or(kind);
    let (name, argument) = match kind.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').unwrap()),
        None => (kind, ""),
    };
    match name {
        "str" | "password" | "device" => value.is_string(),
        "bool" => value.is_boolean(),
        "port" => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
        // It turns the values of these two into texts.
        "list" => {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            argument.split('|').any(|one| one == word)
        }
        // The JSON schema library understands regular expressions.
        "match" => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let schema = serde_json::json!({ "type": "string", "pattern": argument });
            jsonschema::is_valid(&schema, &text.into())
        }
        other => panic!("a type that nobody asked for: {other}"),
    }
}

/// What the Supervisor rejects about options (its `AppOptions`), with the path of each.
pub(crate) fn misfits(schema: &Value, options: &Value, path: &str, errors: &mut Vec<String>) {
    for (key, value) in options.as_object().unwrap() {
        let path = format!("{path}{key}");
        match &schema[key] {
            Value::Null => errors.push(format!("{path}: not in the schema")),
            Value::String(kind) if fits(kind, value) => {}
            Value::String(kind) => errors.push(format!("{path}: {value} is no {kind}")),
            Value::Array(kinds) => {
                for (number, item) in value.as_array().unwrap().iter().enumerate() {
                    let path = format!("{path}.{number}");
                    match &kinds[0] {
                        Value::String(kind) if fits(kind, item) => {}
                        Value::String(kind) => errors.push(format!("{path}: {item} is no {kind}")),
                        fields => misfits(fields, item, &format!("{path}."), errors),
                    }
                }
            }
            fields => misfits(fields, value, &format!("{path}."), errors),
        }
    }
    for (key, kind) in schema.as_object().unwrap() {
        let is_optional = kind.as_str().is_some_and(|kind| kind.ends_with('?'));
        if !is_optional && options.get(key).is_none() {
            errors.push(format!("{path}{key}: missing"));
        }
    }
}

/// Merges saved options into the defaults as the Supervisor does: dictionaries level by level,
/// lists as a whole.
pub(crate) fn merged(defaults: &Value, saved: &Value) -> Value {
    let (Value::Object(defaults), Value::Object(saved)) = (defaults, saved) else {
        return saved.clone();
    };
    let mut all = defaults.clone();
    for (key, value) in saved {
        let value = defaults.get(key).map_or_else(|| value.clone(), |old| merged(old, value));
        all.insert(key.clone(), value);
    }
    Value::Object(all)
}
