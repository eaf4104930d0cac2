//! What the program is shipped in: the Home Assistant app, images, packages and workflows. All of
//! these are files, and these tests check that the files agree.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends with a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

#[path = "rules/supervisor.rs"]
mod rules;

use rules::{fits, merged, misfits};

use kamstrup2mqtt::config::{self, addon_options};
use serde_json::Value;

const ADDON: &str = "kamstrup2mqtt-addon";

/// The codes of Home Assistant's frontend. It never shows others, like `cz` or `dk`.
const LANGUAGES: [&str; 9] = ["da", "de", "en", "fi", "fr", "nb", "nl", "pl", "sv"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The app's configuration as the next release offers it.
fn configuration() -> Value {
    let text = run(root().join("packaging/offer"), &[env!("CARGO_PKG_VERSION")]);
    serde_saphyr::from_str(&text).unwrap()
}

/// Runs a program that must succeed. Returns what it prints.
fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Names of the files in a folder of the repository.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

// ---- The app's configuration
//
// The app's linter runs in the pull-request workflow, as an image that other machines may not have.
// Its schema is a copy of the linter's file and is checked here too. Its other rules are checked
// only there. No workflow rates the app or reads its options as the Supervisor does. So one test
// lists what the rating depends on (`values_are_those_that_were_argued_for`), and `fits`, `misfits`
// and `merged` follow the Supervisor: a saved form that does not fit prevents the app from starting
// after an update.

#[test]
fn the_configuration_fits_the_linters_schema() {
    // Python, the linter's language, writes named groups differently.
    let schema = text("tests/data/addon/linter.schema.json").replace("(?P<", "(?<");
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut configuration = configuration();
    let errors: Vec<_> = validator
        .iter_errors(&configuration)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));

    // The schema detects errors.
    configuration["ingres"] = Value::Bool(true);
    configuration["startup"] = "later".into();
    assert_eq!(validator.iter_errors(&configuration).count(), 2);
}

#[test]
fn values_are_those_that_were_argued_for() {
    let configuration = configuration();
    for (key, value) in [
        // s6 must be the first process.
        ("init", Value::from(false)),
        ("startup", "services".into()),
        ("services", serde_json::json!(["mqtt:want"])),
        ("uart", true.into()),
        ("ingress", true.into()),
        ("homeassistant_api", true.into()),
        ("stage", "experimental".into()),
        ("slug", "kamstrup2mqtt".into()),
        ("map", serde_json::json!([{ "type": "ssl", "read_only": true }])),
    ] {
        assert_eq!(configuration[key], value, "{key}");
    }
    // Ports that the program does not need, and settings that limit where it can be asked.
    for key in ["ports", "devices", "usb", "hassio_api", "boot"] {
        assert_eq!(configuration.get(key), None, "{key}");
    }
    // The highest security rating, 8: ingress, an AppArmor profile of its own, and nothing that
    // costs points.
    assert!(root().join(ADDON).join("apparmor.txt").exists());
    for key in [
        "apparmor",
        "docker_api",
        "full_access",
        "hassio_role",
        "host_network",
        "host_pid",
        "host_uts",
        "kernel_modules",
        "privileged",
    ] {
        assert_eq!(configuration.get(key), None, "{key} lowers the rating");
    }
}

/// Without an image, Home Assistant could only answer "An unknown error occurred".
#[test]
fn the_store_lists_no_app_before_its_first_release() {
    let offered = root().join(ADDON).join("config.yaml");
    // No version has been released. Delete this test with the commit that offers the first one.
    assert!(!offered.exists(), "{} offers a version without images", offered.display());
    assert_eq!(yaml(&format!("{ADDON}/next.yaml")).get("version"), None);
}

/// A release offers the configuration of its own tag, whatever the default branch has by then.
#[test]
fn a_release_offers_its_own_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let released = folder.path().join("released.yaml");
    let text = text(&format!("{ADDON}/next.yaml")).replace("slug: ", "slug: released_");
    fs::write(&released, text).unwrap();
    let offered = run(root().join("packaging/offer"), &["7.8.9", released.to_str().unwrap()]);
    let offered: Value = serde_saphyr::from_str(&offered).unwrap();
    assert_eq!([&offered["version"], &offered["slug"]], ["7.8.9", "released_kamstrup2mqtt"]);
}

/// Runs the commands around a hot backup as the Supervisor does, with another file.
#[test]
fn the_program_accepts_the_commands_of_a_backup() {
    let configuration = configuration();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("history.db");
    fs::write(&database, []).unwrap();
    let hold = folder.path().join("history.db-hold");
    for (hook, is_held) in [("backup_pre", true), ("backup_post", false)] {
        let command = string(&configuration[hook])
            .replace("/usr/bin/kamstrup2mqtt", env!("CARGO_BIN_EXE_kamstrup2mqtt"))
            .replace("/data/history.db", database.to_str().unwrap());
        run("sh", &["-c", &command]);
        assert_eq!(hold.exists(), is_held, "{command}");
    }
}

#[test]
fn the_profile_has_a_name_that_the_supervisor_can_replace() {
    let profile = text(&format!("{ADDON}/apparmor.txt"));
    let headings: Vec<_> = profile.lines().filter(|line| line.starts_with("profile ")).collect();
    assert_eq!(headings.len(), 1);
    let slug = configuration()["slug"].clone();
    assert!(headings[0].starts_with(&format!("profile {} ", string(&slug))));
}

// ---- Options

#[test]
fn a_fresh_install_starts() {
    let configuration = configuration();
    let mut errors = Vec::new();
    misfits(&configuration["schema"], &configuration["options"], "", &mut errors);
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn options_only_grow() {
    let configuration = configuration();
    let mut versions = 0;
    for name in names("tests/data/addon") {
        let Some(version) =
            name.strip_prefix("options-").and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let saved = json(&format!("tests/data/addon/{name}"));
        let mut errors = Vec::new();
        let options = merged(&configuration["options"], &saved);
        misfits(&configuration["schema"], &options, "", &mut errors);
        assert_eq!(errors, Vec::<String>::new(), "of {version}");
        versions += 1;
    }
    assert!(versions > 0);
    // The options of the newest version name everything that exists. Otherwise they could not
    // detect what is removed.
    let newest = json(&format!("tests/data/addon/options-{}.json", env!("CARGO_PKG_VERSION")));
    let schema = &configuration["schema"];
    assert_eq!(keys(&newest), keys(schema));
    assert_eq!(keys(&newest["head"]), keys(&schema["head"]));
    assert_eq!(keys(&newest["mqtt"]), keys(&schema["mqtt"]));
    assert_eq!(keys(&newest["meters"][1]).len(), keys(&schema["meters"][0]).len() - 1);
}

#[test]
fn options_that_do_not_fit_are_detected() {
    let schema = &configuration()["schema"];
    let options = serde_json::json!({
        "meter": "66", "parameters": ["energy", 5], "port": 5, "poll_interval": "5 min", "units": "standard",
        "head": { "port": "/dev/ttyUSB0", "serial_ports": "x" },
        "meters": [{ "meter": "403", "units": "imperial" }],
        "mqtt": { "port": 70000, "retain": "yes", "client": "x" },
        "log_level": "loud", "language": "dansk", "history": "all", "poll_offset": "20",
    });
    let mut errors = Vec::new();
    misfits(schema, &options, "", &mut errors);
    errors.sort();
    assert_eq!(
        errors.iter().map(|error| error.split(':').next().unwrap()).collect::<Vec<_>>(),
        [
            "head.serial_ports",
            "history",
            "language",
            "log_level",
            "meter",
            "meters.0.name",
            "meters.0.units",
            "mqtt.client",
            "mqtt.port",
            "mqtt.retain",
            "poll_interval",
            "poll_offset",
            "port",
        ]
    );
    for interval in ["5", "0.5", "90s", "5m", "1h", "1d", "7d"] {
        assert!(fits(string(&schema["poll_interval"]), &interval.into()), "{interval}");
    }
    for offset in ["", "0", "-30s", "+2m", "2m", "-1.5m", "+6h"] {
        assert!(fits(string(&schema["poll_offset"]), &offset.into()), "{offset}");
    }
}

/// YAML makes numbers of texts like `60` without quotes, as the documentation writes them. They
/// were rejected with "expected str".
#[test]
fn numbers_need_no_quotes_in_yaml() {
    let configuration = configuration();
    let saved: Value = serde_saphyr::from_str(
        "port: /dev/ttyUSB0\nmeter: 403\nparameters: [60, 0x003C, energy]\npoll_interval: 5\n\
         units: meter\nlog_level: debug\n\
         meters: [{name: 1st, parameters: 60, poll_interval: 0.5, meter: 603, device_name: 7}]\n\
         mqtt: {host: broker, topic: 7, username: 7, port: 1884, qos: 1}\n",
    )
    .unwrap();
    assert!(saved["parameters"][0].is_number() && saved["mqtt"]["topic"].is_number(), "{saved}");
    let mut errors = Vec::new();
    let options = merged(&configuration["options"], &saved);
    misfits(&configuration["schema"], &options, "", &mut errors);
    assert_eq!(errors, Vec::<String>::new());
    // The program accepts both, whichever of them Home Assistant saves.
    for options in [options.to_string(), options.to_string().replace("60,60", "\"60\",\"0x003C\"")]
    {
        let read = addon_options::check(Path::new("options.json"), options.as_bytes()).unwrap();
        let [meter] = &read.config.meters[..] else { panic!("{options}") };
        assert_eq!(meter.parameters[0].register().to_string(), "60");
        assert_eq!(read.config.publishing.topic, "7");
    }
}

/// Home Assistant shows an option if it is required, or if the saved options or the defaults have it.
/// The other ones are behind a switch (home-assistant/frontend,
/// src/panels/config/apps/app-view/config/supervisor-app-config.ts, `_filteredSchema`). All fields
/// of a group that is shown are shown.
#[test]
fn a_fresh_form_shows_where_the_port_goes() {
    let configuration = configuration();
    let (schema, defaults) = (&configuration["schema"], &configuration["options"]);
    let is_required = |key: &str| schema[key].as_str().is_some_and(|kind| !kind.ends_with('?'));
    let is_shown = |options: &Value, key: &str| options.get(key).is_some() || is_required(key);
    let hidden = |options: &Value| -> Vec<String> {
        let all = keys(schema);
        all.into_iter().filter(|key| !is_shown(options, key)).map(str::to_owned).collect()
    };
    // Those of the earlier form, and one that few users need, and only if they have no value.
    assert_eq!(
        hidden(defaults),
        ["heating_year", "poll_offset", "port", "return_limit", "serial_port"]
    );
    assert_eq!(keys(&schema["head"]), BTreeSet::from(["key", "port", "serial_port"]));
    let saved = merged(defaults, &serde_json::json!({ "serial_port": "/dev/ttyUSB0" }));
    assert_eq!(hidden(&saved), ["heating_year", "poll_offset", "port", "return_limit"]);
}

/// Also from before the form had the group `head`.
#[test]
fn every_saved_form_of_the_port_is_valid_and_used() {
    let configuration = configuration();
    for (saved, expected) in [
        (serde_json::json!({}), None),
        (serde_json::json!({ "port": "" }), None),
        (serde_json::json!({ "serial_port": "/dev/ttyUSB0" }), Some("/dev/ttyUSB0")),
        (serde_json::json!({ "port": "socket://a:1" }), Some("socket://a:1")),
        (
            serde_json::json!({ "port": "/dev/ttyUSB1", "serial_port": "/dev/a" }),
            Some("/dev/ttyUSB1"),
        ),
        (serde_json::json!({ "head": { "serial_port": "/dev/ttyUSB0" } }), Some("/dev/ttyUSB0")),
        (serde_json::json!({ "head": { "port": "socket://a:1" } }), Some("socket://a:1")),
        (
            serde_json::json!({ "port": "/dev/ttyUSB1", "head": { "serial_port": "/dev/ttyUSB0" } }),
            Some("/dev/ttyUSB0"),
        ),
    ] {
        let options = merged(&configuration["options"], &saved);
        let mut errors = Vec::new();
        misfits(&configuration["schema"], &options, "", &mut errors);
        assert_eq!(errors, Vec::<String>::new(), "{saved}");
        let read = addon_options::check(Path::new("options.json"), options.to_string().as_bytes());
        let used = read.ok().map(|read| read.config.meters[0].endpoint.to_string());
        assert_eq!(used.as_deref(), expected, "{saved}");
    }
}

/// The app does not start if a dictionary or a list of dictionaries has no default.
#[test]
fn every_option_with_fields_has_a_default() {
    let configuration = configuration();
    for (key, kind) in configuration["schema"].as_object().unwrap() {
        if kind.is_object() || kind.is_array() {
            assert!(configuration["options"].get(key).is_some(), "{key}");
        }
    }
    let schema = &configuration["schema"];
    for fields in [&schema["meters"][0], &schema["mqtt"], &schema["head"]] {
        for (key, kind) in fields.as_object().unwrap() {
            // The Supervisor gives lists no defaults.
            assert!(key == "name" || string(kind).ends_with('?'), "{key}");
        }
    }
}

#[test]
fn the_program_accepts_every_choice() {
    let configuration = configuration();
    let schema = &configuration["schema"];
    let choices = |kind: &Value| -> Vec<String> {
        let kind = string(kind).trim_end_matches('?');
        let words = kind.strip_prefix("list(").unwrap().strip_suffix(')').unwrap();
        words.split('|').map(str::to_owned).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meter.yaml");
    let takes = |section: &str, setting: &str| {
        let port = "serial_device: {com_port: /dev/ttyUSB0}";
        fs::write(&file, format!("{port}\n{section}: {{{setting}}}\n")).unwrap();
        let loaded = config::load(Some(&file), &config::Variables::new());
        loaded.is_ok_and(|loaded| loaded.warnings.is_empty())
    };
    for (kind, section, key) in [
        (&schema["meter"], "kamstrup", "version"),
        (&schema["units"], "kamstrup", "units"),
        (&schema["mqtt"]["qos"], "mqtt", "qos"),
        (&schema["log_level"], "logging", "level"),
    ] {
        for word in choices(kind) {
            assert!(takes(section, &format!("{key}: {word}")), "{key}: {word}");
        }
        assert!(!takes(section, &format!("{key}: nonsense")), "{key}");
    }
    let access = "url: 'http://ha:8123', token: a-secret-token";
    for word in choices(&schema["history"]) {
        assert!(takes("homeassistant", &format!("history: '{word}', {access}")), "{word}");
    }
    for key in ["meter", "units"] {
        assert_eq!(choices(&schema[key]), choices(&schema["meters"][0][key]));
    }
    let parameters = &configuration["options"]["parameters"];
    assert!(takes("kamstrup", &format!("parameters: {parameters}")));
    assert_eq!(*parameters, yaml("kamstrup2mqtt.example.yaml")["kamstrup"]["parameters"]);
}

#[test]
fn every_language_has_every_option_and_no_other() {
    let files: BTreeSet<_> = LANGUAGES.iter().map(|code| format!("{code}.yaml")).collect();
    assert_eq!(names(&format!("{ADDON}/translations")), files);
    let schema = &configuration()["schema"];
    let english = yaml(&format!("{ADDON}/translations/en.yaml"));
    for code in LANGUAGES {
        let words = yaml(&format!("{ADDON}/translations/{code}.yaml"));
        assert_eq!(keys(&words), BTreeSet::from(["configuration"]), "{code}");
        check_words(&words["configuration"], schema, code);
        if code != "en" {
            check_translated(&words["configuration"], &english["configuration"], code);
        }
    }
}

fn check_words(words: &Value, schema: &Value, path: &str) {
    assert_eq!(keys(words), keys(schema), "{path}");
    for (key, entry) in words.as_object().unwrap() {
        let path = format!("{path} {key}");
        let fields = match &schema[key] {
            Value::Array(kinds) if kinds[0].is_object() => Some(&kinds[0]),
            kinds @ Value::Object(_) => Some(kinds),
            _ => None,
        };
        let mut expected = BTreeSet::from(["name", "description"]);
        if let Some(fields) = fields {
            expected.insert("fields");
            check_words(&entry["fields"], fields, &path);
        }
        assert_eq!(keys(entry), expected, "{path}");
        for part in ["name", "description"] {
            assert!(!string(&entry[part]).trim().is_empty(), "{path} {part}");
        }
        assert!(string(&entry["description"]).ends_with(['.', '。']), "{path}");
        assert!(string(&entry["name"]).chars().count() <= 40, "{path}");
    }
}

/// A description that is equal to the English one was forgotten.
fn check_translated(words: &Value, english: &Value, path: &str) {
    for (key, entry) in words.as_object().unwrap() {
        let path = format!("{path} {key}");
        assert_ne!(entry["description"], english[key]["description"], "{path}");
        if let Some(fields) = entry.get("fields") {
            check_translated(fields, &english[key]["fields"], &path);
        }
    }
}

// ---- The texts

/// The form hides options that are not set, and opens a dialog for the fields of a list.
#[test]
fn no_text_of_the_form_says_where_another_option_is() {
    let places = [
        "above",
        "below",
        "oben",
        "unten",
        "hierboven",
        "hieronder",
        "ovenfor",
        "nedenfor",
        "ovan",
        "nedan",
        "ci-dessus",
        "ci-dessous",
        "powyżej",
        "poniżej",
        "yllä",
    ];
    let is_part = |c: char| c.is_alphabetic() || c == '-';
    for file in names(&format!("{ADDON}/translations")) {
        let words = text(&format!("{ADDON}/translations/{file}")).to_lowercase();
        let found = words.split(|c| !is_part(c)).find(|word| places.contains(word));
        assert_eq!(found, None, "{file}");
    }
}

#[test]
fn home_assistant_can_split_the_changelog() {
    let version = configuration()["version"].clone();
    for path in ["CHANGELOG.md".to_owned(), format!("{ADDON}/CHANGELOG.md")] {
        let text = text(&path);
        let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        // Home Assistant only finds `## 1.2.3`, without a `v` and without a link.
        let numbers: Vec<_> = headings.iter().map(|one| one.split(' ').next().unwrap()).collect();
        for number in &numbers {
            assert_eq!(number.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3);
        }
        assert_eq!(numbers[0], env!("CARGO_PKG_VERSION"), "{path}: the newest is on top");
        // The offered version has been released, or is about to be.
        assert!(numbers.contains(&string(&version)), "{path} has no {version}");
    }
}

#[test]
fn every_option_is_documented() {
    let docs = text(&format!("{ADDON}/DOCS.md"));
    let english = yaml(&format!("{ADDON}/translations/en.yaml"));
    for (key, entry) in english["configuration"].as_object().unwrap() {
        let heading = format!("### {} (`{key}`)", string(&entry["name"]));
        assert!(docs.contains(&heading), "DOCS.md has no `{heading}`");
        for (field, entry) in entry.get("fields").and_then(Value::as_object).into_iter().flatten() {
            let row = format!("| {} (`{field}`) |", string(&entry["name"]));
            assert!(docs.contains(&row), "DOCS.md has no row `{row}`");
        }
    }
}

/// The documentation lists each problem that the program reports, with what to do.
#[test]
fn every_problem_is_documented() {
    let docs = text(&format!("{ADDON}/DOCS.md"));
    let mut missing = Vec::new();
    let mut check = |found: &str| {
        if !docs.contains(found) {
            missing.push(found.to_owned());
        }
    };
    for line in snapshot(
        "crates/meter/src/poll/tests/snapshots/kamstrup_meter__poll__tests__journal__every_trouble_says_what_to_do",
    ) {
        // What to do is indented. What was found follows the colon.
        let Some((_, found)) = line.rsplit_once(": ").filter(|_| !line.starts_with(' ')) else {
            continue;
        };
        // Words that only the test uses.
        let found = found
            .replace("`meter.local`", "...")
            .replace("`Port already in use`", "...")
            .replace("(Too many open files (os error 24))", "(...)")
            .replace("/dev/ttyUSB0", "...");
        if found != "odd." {
            check(found.trim_end_matches('.'));
        }
    }
    // The line for a file. The line for the form follows, indented.
    let of_the_broker = "src/mqtt/failure/snapshots/kamstrup2mqtt__mqtt__failure__tests__every_trouble_says_what_to_do";
    for line in snapshot(of_the_broker).iter().filter(|line| !line.starts_with(' ')) {
        let found = line.split(". ").next().unwrap().split(['`', '(']).next().unwrap();
        let found = found.split(" on 2026-").next().unwrap().split(" from 2026-").next().unwrap();
        check(found.trim_end().trim_end_matches('.'));
    }
    for line in snapshot(
        "src/supervisor/snapshots/kamstrup2mqtt__supervisor__tests__every_answer_has_its_own_words",
    ) {
        let found = line.split_once(": ").unwrap().1;
        if !found.starts_with("Supplied") {
            check(found.split([':', '.']).next().unwrap());
        }
    }
    for line in snapshot(
        "crates/history/src/snapshots/kamstrup2mqtt_history__error__tests__each_error_in_words",
    ) {
        if !line.starts_with(' ') {
            let found = line.rsplit_once(": ").map_or(line.as_str(), |(_, found)| found);
            let found = found.replace("/data/history.db", "...");
            check(found.split(" (").next().unwrap().trim_end_matches('.').trim_end());
        }
    }
    assert!(missing.is_empty(), "DOCS.md says nothing of:\n{}", missing.join("\n"));
}

/// The lines of a snapshot, without its header.
fn snapshot(path: &str) -> Vec<String> {
    let text = text(&format!("{path}.snap"));
    text.splitn(3, "---\n").nth(2).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn pictures_have_the_size_that_the_store_shows() {
    for (name, width, height) in [("icon.png", 128_u32, 128_u32), ("logo.png", 250, 100)] {
        let bytes = fs::read(root().join(ADDON).join(name)).unwrap();
        assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((number(16), number(20)), (width, height), "{name}");
    }
}

// ---- Images, data, workflows

/// The default of an `ARG`.
fn argument(dockerfile: &str, name: &str) -> String {
    let start = format!("ARG {name}=");
    let mut values = dockerfile.lines().filter_map(|line| line.strip_prefix(&start));
    let value = values.next().unwrap_or_else(|| panic!("no ARG {name}")).to_owned();
    assert_eq!(values.next(), None);
    value
}

/// The tag of an image, which may also have a digest.
fn tag(image: &str) -> &str {
    image.split('@').next().unwrap().rsplit_once(':').unwrap().1
}

#[test]
fn the_other_files_agree_with_build_yaml() {
    let data = yaml("build.yaml");
    let configuration = configuration();
    let architectures = data["architectures"].as_array().unwrap();
    let archs: BTreeSet<_> = architectures.iter().map(|one| string(&one["arch"])).collect();
    let wanted: BTreeSet<_> =
        configuration["arch"].as_array().unwrap().iter().map(string).collect();
    assert_eq!(archs, wanted, "arch in the app's configuration");
    for one in architectures {
        let processor = match string(&one["arch"]) {
            "amd64" => "x86_64",
            other => other,
        };
        assert_eq!(one["target"], format!("{processor}-unknown-linux-musl"));
    }

    let owner = string(&data["owner"]);
    let image = format!("ghcr.io/{owner}/{}", string(&data["images"]["addon"]));
    assert_eq!(configuration["image"], image);
    let compose = yaml("compose.yaml");
    let image = format!("ghcr.io/{owner}/{}:latest", string(&data["images"]["standalone"]));
    assert_eq!(compose["services"]["kamstrup2mqtt"]["image"], image);

    let addon = text(&format!("{ADDON}/Dockerfile"));
    let standalone = text("Dockerfile");
    for (dockerfile, kind) in [(&addon, "addon"), (&standalone, "standalone")] {
        assert_eq!(argument(dockerfile, "BASE"), string(&data["base"][kind]));
        assert_eq!(argument(dockerfile, "TOOLCHAIN"), string(&data["toolchain"]));
        // There is no other base, and each pin is a version.
        for line in dockerfile.lines().filter(|line| line.starts_with("FROM ")) {
            assert!(["FROM ${TOOLCHAIN} AS build", "FROM ${BASE}"].contains(&line), "{line}");
        }
        for argument in [argument(dockerfile, "BASE"), argument(dockerfile, "TOOLCHAIN")] {
            let tag = tag(&argument);
            assert!(tag.contains('.') && tag != "latest", "{argument}");
        }
    }
    for key in ["name", "description", "url"] {
        let label = format!("io.hass.{key}=\"{}\"", string(&configuration[key]));
        assert!(addon.contains(&label), "the app's Dockerfile has no label {label}");
    }

    // The workflows take architectures, runners and bases from the file, and name none of them.
    let rust = tag(string(&data["toolchain"])).split('-').next().unwrap();
    for name in names(".github/workflows") {
        let workflow = text(&format!(".github/workflows/{name}"));
        if workflow.contains("rustup") {
            assert!(workflow.contains(&format!("\n  RUST: {rust}\n")), "{name} has another Rust");
        }
        for word in ["musl\n", "ubuntu-24.04-arm", "home-assistant/base", "alpine:"] {
            assert!(!workflow.contains(word), "{name}: {word} belongs into build.yaml");
        }
    }
    for name in ["pull-request.yml", "release.yml"] {
        assert!(text(&format!(".github/workflows/{name}")).contains("packaging/plan >>"), "{name}");
    }
}

/// Files with text for readers: no pictures, and nothing that is built.
fn texts(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            let is_built = ["target", "corpus", "artifacts", "dist", "release"].contains(&name);
            if name != ".git" && !is_built {
                texts(&path, all);
            }
        } else if path.extension().is_none_or(|kind| kind != "png") && name != ".git" {
            all.push(path);
        }
    }
}

/// In a fork whose `build.yaml` has its own owner and repository, this test fails and names each
/// line that still has ours.
#[test]
fn what_a_fork_must_change() {
    let data = yaml("build.yaml");
    let (owner, repository) = (string(&data["owner"]), string(&data["repository"]));
    let images = [&data["images"]["addon"], &data["images"]["standalone"]].map(string);
    let mut files = Vec::new();
    texts(&root(), &mut files);
    let mut wrong = Vec::new();
    let mut right: BTreeSet<String> = BTreeSet::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let shown = file.strip_prefix(root()).unwrap().display().to_string();
        for (number, line) in text.lines().enumerate() {
            // As in a link to my.home-assistant.io, and in a regular expression.
            let line = line.replace("%3A", ":").replace("%2F", "/").replace("\\.", ".");
            for (place, names) in [
                ("//github.com/", &[repository][..]),
                ("ghcr.io/", &images[..]),
                ("raw.githubusercontent.com/", &[repository][..]),
            ] {
                for found in line.split(place).skip(1) {
                    let end = |c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c);
                    let mut parts = found.split(end);
                    let who = parts.next().unwrap_or_default();
                    let what = parts.next().unwrap_or_default().trim_end_matches('.');
                    if !what.contains("kamstrup2mqtt") {
                        continue;
                    }
                    let name = what.trim_start_matches("amd64-").trim_start_matches("aarch64-");
                    if who == owner && names.contains(&name) {
                        right.insert(shown.clone());
                    } else {
                        wrong.push(format!("{shown}:{}: {place}{who}/{what}", number + 1));
                    }
                }
            }
            for (before, after) in
                line.match_indices(".github.io/").map(|(at, _)| line.split_at(at))
            {
                let who = before.rsplit("//").next().unwrap_or_default();
                let what = after.split(['/', ')']).nth(1).unwrap_or_default();
                if what.contains("kamstrup2mqtt") && (who != owner || what != repository) {
                    wrong.push(format!("{shown}:{}: {who}.github.io/{what}", number + 1));
                }
            }
            if let Some((before, _)) = line.split_once("@users.noreply.github.com>")
                && before.rsplit_once('<').is_some_and(|(_, who)| who != owner)
            {
                wrong.push(format!("{shown}:{}: an address of {owner}", number + 1));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "build.yaml has {owner}/{repository}; these places have another:\n{}",
        wrong.join("\n")
    );
    for file in ["Cargo.toml", "Dockerfile", "compose.yaml", "repository.yaml", "SECURITY.md"] {
        assert!(right.contains(file), "{file} does not name the repository");
    }
    assert!(right.contains(&format!("{ADDON}/next.yaml")));
}

#[test]
fn actions_are_pinned_by_hash() {
    let mut count = 0;
    for name in names(".github/workflows") {
        let workflow = text(&format!(".github/workflows/{name}"));
        for line in workflow.lines() {
            let Some((_, action)) = line.split_once("uses: ") else { continue };
            let (action, version) = action.split_once(" # ").unwrap_or_else(|| panic!("{line}"));
            let (_, hash) = action.split_once('@').unwrap();
            assert!(hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
            assert!(version.contains('.'), "{line}: which version?");
            count += 1;
        }
    }
    assert!(count > 10);
}

#[test]
fn workflows_have_few_rights() {
    for name in names(".github/workflows") {
        let workflow = yaml(&format!(".github/workflows/{name}"));
        let top = &workflow["permissions"];
        assert!(*top == serde_json::json!({}) || *top == serde_json::json!({ "contents": "read" }));
        let text = text(&format!(".github/workflows/{name}"));
        let writes: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.split(" # ").next().unwrap().trim().strip_suffix(": write"))
            .collect();
        match name.as_str() {
            "release.yml" => {}
            "site.yml" => assert_eq!(writes, BTreeSet::from(["id-token", "pages"]), "{name}"),
            "update.yml" => {
                assert_eq!(writes, BTreeSet::from(["contents", "pull-requests"]), "{name}");
            }
            _ => assert!(!text.contains("write"), "{name}"),
        }
        assert!(name == "release.yml" || !text.contains("secrets."), "{name}");
        assert!(!text.contains("pull_request_target"), "{name}");
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            assert!(body["timeout-minutes"].is_number(), "{name} {job} has no end");
        }
    }
}

/// A scanner finds the advisories that we have examined. The document tells it the result.
#[test]
fn each_ignored_advisory_is_explained_for_scanners() {
    let ignored: BTreeSet<String> = text("deny.toml")
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("{ id = \"")?.split('"').next().map(str::to_owned)
        })
        .collect();
    assert!(!ignored.is_empty());
    let document = json("packaging/kamstrup2mqtt.openvex.json");
    let statements = document["statements"].as_array().unwrap();
    let explained: BTreeSet<String> =
        statements.iter().map(|it| string(&it["vulnerability"]["name"]).to_owned()).collect();
    assert_eq!(explained, ignored);
    let lock = text("Cargo.lock");
    for statement in statements {
        assert_eq!(statement["status"], "not_affected");
        assert!(!string(&statement["impact_statement"]).is_empty());
        let subcomponent = &statement["products"][0]["subcomponents"][0]["@id"];
        let (name, version) =
            string(subcomponent).strip_prefix("pkg:cargo/").unwrap().split_once('@').unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "{name} {version} is no longer used");
    }
}

/// Other projects' tools could change what they are given.
#[test]
fn tools_of_a_release_are_pinned_and_kept_from_the_binary() {
    for name in names(".github/workflows") {
        let workflow = text(&format!(".github/workflows/{name}"));
        assert!(!workflow.contains("cargo install"), "{name}: use packaging/tool");
    }
    let workflow = yaml(".github/workflows/release.yml");
    for (job, body) in workflow["jobs"].as_object().unwrap() {
        let steps = body["steps"].to_string();
        if steps.contains("packaging/tool") {
            assert_eq!(job == "packages", steps.contains("binary-"), "{job}");
            let builds = steps.contains("cargo build") || steps.contains("gh release");
            assert!(!builds, "{job} holds the binary");
        }
    }
    let release = workflow["jobs"]["release"]["steps"].to_string();
    assert!(release.contains("packaging/same-binary"));
    let needs = workflow["jobs"]["binaries"]["needs"].to_string();
    assert!(needs.contains("advisories"), "{needs}");
}

#[test]
fn a_file_with_another_program_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let script = "cd \"$1\" && cp /bin/true one && cp /bin/false two && mkdir a b && cp one a/program \
                  && cp two b/program && chmod 755 */program && echo text > a/script \
                  && tar -czf a.tar.gz a && tar -czf b.tar.gz b";
    run("sh", &["-c", script, "sh", &path("")]);
    let same = |archives: &[&str]| {
        let paths = archives.iter().map(|name| path(name));
        let output = Command::new(root().join("packaging/same-binary"))
            .arg(path("one"))
            .args(paths)
            .output()
            .unwrap();
        output.status.code()
    };
    assert_eq!(same(&["a.tar.gz"]), Some(0));
    assert_eq!(same(&["a.tar.gz", "b.tar.gz"]), Some(1));
    assert_eq!(same(&["one"]), Some(2));
    assert_eq!(same(&[]), Some(2));
}

#[test]
fn base_images_are_pinned_by_digest() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path();
    fs::create_dir_all(copy.join("packaging")).unwrap();
    fs::create_dir_all(copy.join("kamstrup2mqtt-addon")).unwrap();
    let files = ["build.yaml", "Dockerfile", "kamstrup2mqtt-addon/Dockerfile", "packaging/pins"];
    for file in files {
        fs::copy(root().join(file), copy.join(file)).unwrap();
    }
    // A stand-in for docker: the digest has the length of the tag.
    let script = "#!/bin/sh\nprintf 'sha256:%064d\\n' \"${#4}\"\n";
    let write = "printf '%b' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    run("sh", &["-c", write, "sh", script, copy.join("docker").to_str().unwrap()]);
    let path = format!("{}:{}", copy.display(), std::env::var("PATH").unwrap());
    let pins = |arguments: &[&str]| {
        // Not started itself: another test may be starting a process while this one writes the
        // copy.
        let mut command = Command::new("python3");
        command.arg(copy.join("packaging/pins")).args(arguments).env("PATH", &path);
        command.output().unwrap()
    };
    for _ in 0..2 {
        let output = pins(&[]);
        assert!(output.status.success(), "{output:?}");
        assert!(pins(&["--check"]).status.success());
        for file in &files[..3] {
            let text = fs::read_to_string(copy.join(file)).unwrap();
            let pinned = text.matches("@sha256:").count();
            assert!(pinned >= 2, "{file}: {pinned}");
            assert!(!text.contains("@sha256:@") && pinned <= 3, "{file}: {text}");
        }
    }
    let plan = yaml(".github/workflows/release.yml")["jobs"]["plan"]["steps"].to_string();
    assert!(plan.contains("packaging/pins --check"), "{plan}");
}

/// Workflows run their checks through `.ci/run`, so that they are the same everywhere.
#[test]
fn workflows_run_parts_of_the_script() {
    let script = text(".ci/run");
    let parts = script.lines().find_map(|line| line.strip_prefix("parts=(")).unwrap();
    let parts: BTreeSet<_> = parts.strip_suffix(')').unwrap().split(' ').collect();
    let mut run = BTreeSet::new();
    for name in names(".github/workflows") {
        let workflow = yaml(&format!(".github/workflows/{name}"));
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            for step in body["steps"].as_array().unwrap() {
                let command = step["run"].as_str().unwrap_or_default();
                for own in ["fmt", "clippy", "doc", "test", "fuzz"] {
                    let own = format!("cargo {own} ");
                    assert!(!command.contains(&own), "{name} {job}: {own}is a part of .ci/run");
                }
                let Some(named) = command.strip_prefix(".ci/run ") else { continue };
                if named == "\"$PART\"" {
                    let matrix = body["strategy"]["matrix"]["part"].as_array().unwrap();
                    run.extend(matrix.iter().map(|part| string(part).to_owned()));
                } else {
                    run.extend(named.split(' ').map(str::to_owned));
                }
            }
        }
    }
    assert!(run.len() > 3);
    for part in run {
        assert!(parts.contains(part.as_str()), ".ci/run has no part {part}");
    }
}

/// Home Assistant offers an update as soon as the default branch has its version.
#[test]
fn a_release_is_offered_last() {
    let workflow = yaml(".github/workflows/release.yml");
    let needs = |job: &str| -> BTreeSet<String> {
        match &workflow["jobs"][job]["needs"] {
            Value::String(one) => BTreeSet::from([one.clone()]),
            Value::Array(all) => all.iter().map(|one| string(one).to_owned()).collect(),
            _ => BTreeSet::new(),
        }
    };
    let mut before = BTreeSet::new();
    let mut open = vec!["offer".to_owned()];
    while let Some(job) = open.pop() {
        open.extend(needs(&job).into_iter().filter(|job| before.insert(job.clone())));
    }
    let mut all: BTreeSet<_> =
        workflow["jobs"].as_object().unwrap().keys().map(String::from).collect();
    assert!(all.remove("offer"));
    assert_eq!(before, all);
}

#[test]
fn images_are_pulled_without_a_login_before_a_version_is_offered() {
    let jobs = &yaml(".github/workflows/release.yml")["jobs"];
    let steps = jobs["public"]["steps"].to_string();
    assert!(steps.contains("packaging/public") && !steps.contains("secrets"), "{steps}");
    assert_eq!(jobs["public"]["permissions"], serde_json::json!({ "contents": "read" }));

    // A stand-in for docker, which has no image for arm64, and finds no credentials.
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker");
    let calls = folder.path().join("calls");
    let script = format!(
        "#!/bin/sh\n[ -z \"$(ls -A \"$DOCKER_CONFIG\")\" ] || exit 3\necho \"$@\" >> {}\n\
         case \"$*\" in *arm64*) exit 1 ;; esac\n",
        calls.display()
    );
    // Written by another process: a program cannot be started while this one has it open, and
    // neither while a process that another test is starting has it.
    let write = "printf '%s' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    run("sh", &["-c", write, "sh", &script, docker.to_str().unwrap()]);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new(root().join("packaging/public"))
        .args(["someone", "heat", "1.2.3"])
        .env("PATH", path)
        .env("GITHUB_SERVER_URL", "https://example.com")
        .env("GITHUB_REPOSITORY", "someone/meters")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let pulled = fs::read_to_string(calls).unwrap();
    let pulled: Vec<_> = pulled.lines().collect();
    assert_eq!(
        pulled,
        [
            "pull --quiet --platform linux/amd64 ghcr.io/someone/heat:1.2.3",
            "pull --quiet --platform linux/amd64 ghcr.io/someone/amd64-heat:1.2.3",
            "pull --quiet --platform linux/arm64 ghcr.io/someone/heat:1.2.3",
            "pull --quiet --platform linux/arm64 ghcr.io/someone/aarch64-heat:1.2.3",
        ]
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    let pages = printed.lines().filter_map(|line| line.trim().strip_prefix("https://"));
    let page = "example.com/someone/meters/pkgs/container";
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [format!("{page}/aarch64-heat"), format!("{page}/heat")],
        "{printed}"
    );
}

/// The Supervisor builds an app in its share `addons` from that folder alone.
#[test]
fn a_folder_for_home_assistant_builds_without_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    // A program for aarch64, of which only the header is read.
    let binary = folder.path().join("binary");
    let header = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[2, 0, 183, 0]].concat();
    fs::write(&binary, header).unwrap();
    let script = root().join("packaging/local-app");
    let paths = [binary.to_str().unwrap(), app.to_str().unwrap()];
    for _ in 0..2 {
        run(&script, &paths);
    }

    let mut local: Value =
        serde_saphyr::from_str(&fs::read_to_string(app.join("config.yaml")).unwrap()).unwrap();
    assert_eq!(local["arch"], serde_json::json!(["aarch64"]));
    let mut configuration = configuration();
    for (configuration, key) in [(&mut configuration, "image"), (&mut local, "arch")] {
        configuration.as_object_mut().unwrap().remove(key).unwrap();
    }
    configuration.as_object_mut().unwrap().remove("arch");
    assert_eq!(local, configuration, "all the rest is the same");
    assert_eq!(
        fs::read_dir(app.join("translations")).unwrap().count(),
        LANGUAGES.len(),
        "made twice"
    );

    // Whatever the Dockerfile needs from its context is there, and its bases are the published
    // ones.
    let dockerfile = fs::read_to_string(app.join("Dockerfile")).unwrap();
    assert_eq!(argument(&dockerfile, "BASE"), argument(&dockerfile, "TOOLCHAIN"));
    assert_eq!(argument(&dockerfile, "BASE"), string(&yaml("build.yaml")["base"]["addon"]));
    let needed = [argument(&dockerfile, "BINARY")];
    let needed = needed.iter().map(String::as_str).chain(
        dockerfile
            .lines()
            .filter(|line| line.contains("sh packaging") || line.contains("install "))
            .flat_map(|line| line.split(' '))
            .filter(|word| {
                Path::new(word).extension().is_some_and(|kind| kind == "sh")
                    && !word.starts_with('/')
            }),
    );
    let needed: Vec<_> = needed.collect();
    assert_eq!(needed, ["kamstrup2mqtt", "packaging/binary.sh", "kamstrup2mqtt-addon/run.sh"]);
    for file in needed {
        assert!(app.join(file).is_file(), "{file}");
    }

    let wrong = folder.path().join("wrong");
    for content in [b"#!/bin/sh".as_slice(), b"\x7fELF\x02\x01\x01".as_slice()] {
        fs::write(&wrong, content).unwrap();
        let status = Command::new(&script).args([&wrong, &app]).output().unwrap().status;
        assert_eq!(status.code(), Some(1));
    }
}

#[test]
fn images_start_the_program_as_they_should() {
    let addon = text(&format!("{ADDON}/Dockerfile"));
    // The command may not read a file that could set another address of the page.
    let health = "CMD [\"/usr/bin/kamstrup2mqtt\", \"health\", \"--listen\", \"127.0.0.1:8099\"]";
    assert!(addon.contains(health));
    let run = text(&format!("{ADDON}/run.sh"));
    assert!(run.starts_with("#!/usr/bin/with-contenv sh\n"));
    assert!(run.ends_with("exec /usr/bin/kamstrup2mqtt --options /data/options.json\n"));

    let standalone = text("Dockerfile");
    assert!(standalone.contains("\nUSER 1000:20\n") && standalone.contains("\nWORKDIR /app\n"));
    // `WEB_LISTEN` or the file sets the address of the page, both for the program and for the
    // health check.
    assert!(standalone.contains("    CMD [\"/usr/bin/kamstrup2mqtt\", \"health\"]\nENTRYPOINT "));
    assert!(!standalone.contains("--listen"));
    // With an invalid configuration, the engine would restart the container again and again.
    assert!(standalone.contains("\nCMD [\"--stay\"]\n"));
    let (kept, logs) = ("/var/lib/kamstrup2mqtt", "/var/log/kamstrup2mqtt");
    for line in [
        format!("RUN install -d -o 1000 -g 20 -m 770 {kept} {logs} /app/logs"),
        format!("ENV STATE_DIRECTORY={kept}"),
        format!("ENV LOGS_DIRECTORY={logs}"),
        format!("VOLUME {kept}"),
        format!("VOLUME {logs}"),
    ] {
        assert!(standalone.contains(&format!("\n{line}\n")), "{line}");
    }
    let compose = &yaml("compose.yaml")["services"]["kamstrup2mqtt"];
    // A command would replace the image's option.
    assert_eq!(compose.get("command"), None);
    assert_eq!(compose["volumes"], serde_json::json!([format!("kamstrup2mqtt:{kept}")]));
    assert_eq!(compose["ports"], serde_json::json!(["127.0.0.1:8099:8099"]));
    assert_eq!(compose["environment"]["WEB_LISTEN"], "0.0.0.0:8099");
    // The store reads every file with such a name.
    let mut files = Vec::new();
    texts(&root(), &mut files);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let ends = [".yaml", ".yml", ".json"];
        let is_read = name.starts_with("config.") && ends.iter().any(|end| name.ends_with(end));
        assert!(!is_read || file == root().join(ADDON).join("config.yaml"), "{}", file.display());
    }
}

/// The settings of a unit, each with its section. The values of a repeated setting are joined.
fn unit(path: &str) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let text = text(path);
    let mut section = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else {
            section = line;
            continue;
        };
        settings.entry(format!("{section}{key}")).or_default().push_str(value);
    }
    settings
}

/// The plain unit and the package's unit do the same, except for the user and the path of the
/// program. The plain unit may lack the hardening, because it is also for systems other than
/// Debian.
#[test]
fn both_units_are_alike() {
    let (ours, plain) =
        (unit("packaging/debian/kamstrup2mqtt.service"), unit("contrib/kamstrup2mqtt.service"));
    let own = ["[Unit]Documentation", "[Service]ExecStart", "[Service]User"];
    for (key, value) in plain.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
        assert_eq!(ours.get(key), Some(value), "{key}");
    }
    let path = |unit: &BTreeMap<String, String>| {
        unit["[Service]ExecStart"].rsplit_once("bin/").unwrap().1.to_owned()
    };
    assert_eq!(path(&ours), path(&plain));
    let hardening = [
        "CapabilityBoundingSet",
        "Device",
        "DynamicUser",
        "Keyring",
        "Lock",
        "Memory",
        "Proc",
        "Protect",
        "Remove",
        "Restrict",
        "SupplementaryGroups",
        "SystemCall",
    ];
    let missing = ours.keys().filter(|key| !plain.contains_key(*key));
    let missing: Vec<_> = missing
        .filter(|key| {
            let name = key.strip_prefix("[Service]").unwrap_or(key);
            !hardening.iter().any(|start| name.starts_with(start))
        })
        .collect();
    assert_eq!(missing, Vec::<&String>::new(), "the plain unit has none of these");
}

/// A process that has exited shows nothing, and a service of systemd is not restarted for ever. So
/// the units keep running with a configuration that is invalid, empty, missing or unreadable.
#[test]
fn units_stay_up_and_can_write_their_log() {
    for folder in ["packaging/debian", "contrib"] {
        let one = unit(&format!("{folder}/kamstrup2mqtt.service"));
        let start = &one["[Service]ExecStart"];
        assert!(start.ends_with("kamstrup2mqtt --stay --config /etc/kamstrup2mqtt/config.yaml"));
        assert_eq!(one["[Service]StateDirectory"], "kamstrup2mqtt");
        assert_eq!(one["[Service]LogsDirectory"], "kamstrup2mqtt");
        // Without a file, the setup page writes it to the folder of the state, because the folder
        // of `--config` cannot be written.
        assert_eq!(one["[Service]ProtectSystem"], "strict");
        assert!(!one.contains_key("[Service]ReadWritePaths"));
        // A relative `directory` works too, like that of the older program.
        assert_eq!(one["[Service]WorkingDirectory"], "/var/log/kamstrup2mqtt");
    }
    // An example there would keep the setup page away.
    let shipped = in_the_debian_package();
    assert!(!shipped.contains_key(Path::new("etc/kamstrup2mqtt/config.yaml")));
    // systemd does not start a program whose credential is missing, unless there is a default.
    for file in ["packaging/debian/password.conf", "docs/configuration.md"] {
        let text = text(file);
        assert!(text.contains("\nLoadCredential=mqtt_password:/etc/kamstrup2mqtt/mqtt_password\n"));
        assert!(text.contains("\nSetCredential=mqtt_password:\\n\n"), "{file}");
    }
}

/// The unit of a second program differs only in its file and its folders.
#[test]
fn a_second_program_has_its_own_file_and_folders() {
    for folder in ["packaging/debian", "contrib"] {
        let one = unit(&format!("{folder}/kamstrup2mqtt.service"));
        let second = unit(&format!("{folder}/kamstrup2mqtt@.service"));
        let own: BTreeMap<_, _> =
            second.iter().filter(|(key, of)| one.get(*key) != Some(of)).collect();
        let exe = one["[Service]ExecStart"].split(' ').next().unwrap();
        let start = format!("{exe} --stay --config /etc/kamstrup2mqtt/%i.yaml");
        let expected = [
            ("[Service]ExecStart", start.as_str()),
            ("[Service]LogsDirectory", "kamstrup2mqtt-%i"),
            ("[Service]StateDirectory", "kamstrup2mqtt-%i"),
            ("[Service]WorkingDirectory", "/var/log/kamstrup2mqtt-%i"),
            ("[Unit]Description", "Kamstrup heat meters to MQTT (%i)"),
        ];
        let own: Vec<_> = own.iter().map(|(key, of)| (key.as_str(), of.as_str())).collect();
        assert_eq!(own, expected, "{folder}");
        assert_eq!(second.keys().collect::<Vec<_>>(), one.keys().collect::<Vec<_>>(), "{folder}");
    }
    // The settings that the log names are all documented, and so is the unit.
    let said = text("src/neighbour.rs");
    let documented = text("docs/configuration.md");
    let section = documented.split_once("\n## A second program\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let settings: Vec<&str> =
        said.split('`').skip(1).step_by(2).filter(|it| it.contains('.')).collect();
    for setting in ["mqtt.client", "mqtt.topic", "mqtt.device_id", "homeassistant.id_prefix"] {
        assert!(settings.contains(&setting), "{setting}");
        assert!(section.contains(&format!("| `{setting}` |")), "{setting}");
    }
    for other in ["`web.listen`", "`STATE_DIRECTORY`", "kamstrup2mqtt@.service"] {
        assert!(section.contains(other), "{other}");
    }
}

/// What the app's documentation calls a label is a text of the page.
#[test]
fn the_documentation_names_the_labels_of_the_page() {
    let docs = text(&format!("{ADDON}/DOCS.md"));
    let section = docs.split_once("\n## The page\n").unwrap().1.split_once("\n## ").unwrap().0;
    let page = text("src/language/catalogue.rs");
    let plain = section.replace("**", "").replace('\n', " ");
    let labels: Vec<&str> = plain.split('*').skip(1).step_by(2).collect();
    assert!(labels.len() > 10, "{labels:?}");
    for label in labels {
        let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
        let start = label.split(" ...").next().unwrap();
        assert!(page.contains(&format!("\"{start}")), "`{label}` is not on the page");
    }
}

// ---- Links

/// The files that are shipped together: the path there, and the path in the repository.
type Shipped = BTreeMap<PathBuf, PathBuf>;

/// Adds a file, all files of a folder, or those of a pattern like `docs/*.md` to a folder.
fn ship(from: &str, to: &Path, all: &mut Shipped) {
    let path = root().join(from);
    if from.starts_with("target/") {
        // Made when it is packed: programs and manuals, which have no links.
    } else if path.is_dir() {
        let name = path.file_name().unwrap().to_str().unwrap();
        for file in names(from) {
            ship(&format!("{from}/{file}"), &to.join(name), all);
        }
    } else if let Some((folder, end)) = from.split_once('*') {
        for file in names(folder).iter().filter(|file| file.ends_with(end)) {
            ship(&format!("{folder}{file}"), to, all);
        }
    } else {
        assert!(path.is_file(), "there is no {from}");
        all.insert(to.join(path.file_name().unwrap()), path);
    }
}

fn in_the_debian_package() -> Shipped {
    let mut all = Shipped::new();
    let manifest = text("Cargo.toml");
    let assets = manifest.split_once("assets = [\n").unwrap().1.split_once("\n]\n").unwrap().0;
    for line in assets.lines().filter(|line| !line.trim().starts_with('#')) {
        let [from, to, _]: [String; 3] =
            serde_json::from_str(line.trim().trim_end_matches(',')).unwrap();
        // A path without a slash at the end is the name of the file there.
        if to.ends_with('/') {
            ship(&from, Path::new(&to), &mut all);
        } else if !from.starts_with("target/") {
            all.insert(PathBuf::from(to), root().join(from));
        }
    }
    all
}

fn in_the_archive() -> Shipped {
    let mut all = Shipped::new();
    let script = text("packaging/archive");
    let copy = script.lines().find_map(|line| line.strip_prefix("cp -r ")).unwrap();
    let files = copy.split(' ').filter(|word| !word.starts_with('"'));
    for file in files {
        ship(file, Path::new(""), &mut all);
    }
    all
}

/// The targets of the links in a Markdown text.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).map(|rest| rest.split([')', '\n']).next().unwrap()).collect()
}

/// The anchors of the headings in a Markdown text.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if !in_code && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.collect::<String>().replace(' ', "-"));
        }
    }
    anchors
}

/// `a/b/../c` becomes `a/c`; `None` if it leaves the folder.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir if normal.pop() => {}
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// The links of documents that are shipped together whose target is not among them, and links to
/// our repository whose target does not exist.
fn dangling(shipped: &Shipped) -> Vec<String> {
    let data = yaml("build.yaml");
    let (owner, repository) = (string(&data["owner"]), string(&data["repository"]));
    let ours = format!("https://github.com/{owner}/{repository}/blob/HEAD/");
    let mut dangling = Vec::new();
    let documents =
        shipped.iter().filter(|(at, _)| at.extension().is_some_and(|kind| kind == "md"));
    for (at, document) in documents {
        let text = fs::read_to_string(document).unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path.strip_prefix(&ours) {
                Some(path) => Some(root().join(path)).filter(|path| path.exists()),
                None if path.contains("://") => continue,
                None if path.is_empty() => Some(document.clone()),
                None => normal(&at.parent().unwrap().join(path))
                    .and_then(|path| shipped.get(&path).cloned()),
            };
            let is_there = target.is_some_and(|target| {
                anchor.is_empty()
                    || fs::read_to_string(target).is_ok_and(|text| anchors(&text).contains(anchor))
            });
            if !is_there {
                dangling.push(format!("{}: {link}", at.display()));
            }
        }
    }
    dangling
}

#[test]
fn no_link_of_a_shipped_document_is_broken() {
    let none = Vec::<String>::new();
    let debian = in_the_debian_package();
    for file in ["README.md", "docs/packages.md", "kamstrup2mqtt.example.yaml"] {
        let path = Path::new("usr/share/doc/kamstrup2mqtt").join(file);
        assert!(debian.contains_key(&path), "the package has no {}", path.display());
    }
    assert_eq!(dangling(&debian), none, "in the Debian package");
    let archive = in_the_archive();
    assert!(archive.contains_key(Path::new("contrib/kamstrup2mqtt.service")));
    assert_eq!(dangling(&archive), none, "in the archive");

    // In the repository, with all files. The files below `src` are parts of documents.
    let mut files = Vec::new();
    texts(&root(), &mut files);
    files.retain(|file| !file.starts_with(root().join("src")));
    // Pictures are no texts, but documents show them.
    files.extend(names("docs/images").iter().map(|name| root().join("docs/images").join(name)));
    let place = |file: PathBuf| (file.strip_prefix(root()).unwrap().to_owned(), file);
    let repository: Shipped = files.into_iter().map(place).collect();
    assert_eq!(dangling(&repository), none, "in the repository");

    // Home Assistant shows each of these on its own.
    for name in ["README.md", "DOCS.md", "CHANGELOG.md"] {
        let path = root().join(ADDON).join(name);
        let alone = Shipped::from([(PathBuf::from(name), path)]);
        assert_eq!(dangling(&alone), none, "in Home Assistant");
    }

    // The check detects missing files.
    let mut less = archive;
    less.remove(Path::new("docs/values.md"));
    assert_eq!(
        dangling(&less),
        [
            "README.md: docs/values.md#what-is-read-again",
            "README.md: docs/values.md#how-often-values-are-read",
            "README.md: docs/values.md#the-water-meter-multical-21",
            "README.md: docs/values.md",
            "docs/benchmarks.md: values.md#how-often-values-are-read",
            "docs/home-assistant.md: values.md#which-model-it-is",
            "docs/home-assistant.md: values.md#how-often-values-are-read",
            "docs/logging.md: values.md#how-often-values-are-read",
            "docs/topics.md: values.md#how-often-values-are-read",
            "docs/topics.md: values.md#how-often-values-are-read",
        ]
    );
}
