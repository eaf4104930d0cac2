//! Configuration files as people write them, good and bad. A snapshot shows what each one reports,
//! and none of them makes the program show a secret.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test ends with a panic")]

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kamstrup2mqtt::config::{
    self, ConfigError, Effect, Loaded, Login, Origin, Parameter, Qos, Variables, Warning,
};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use tempfile::TempDir;
use tracing::Level;

/// The password in all files.
const SECRET: &str = "hunter2";

const FOLDER: &str = "tests/data/config";

fn files() -> Vec<PathBuf> {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(files.len() >= 25, "{files:?}");
    files
}

/// What a file sets, its warnings, or the reason why it is rejected. This is data: the texts have
/// their own tests.
fn result(path: &Path) -> String {
    let mut text = String::new();
    match config::load(Some(path), &Variables::new()) {
        Ok(Loaded { settings, warnings, .. }) => {
            let sections = (String::new(), settings.sections);
            let meters = settings.meters.into_iter();
            let meters = meters.map(|(label, entries)| (label.to_string(), entries));
            for (meter, entries) in [sections].into_iter().chain(meters) {
                if !meter.is_empty() {
                    writeln!(text, "{meter}:").unwrap();
                }
                for entry in entries.iter().filter(|entry| entry.origin != Origin::Default) {
                    let Origin::File(spot) = &entry.origin else { panic!("{entry:?}") };
                    writeln!(text, "{:>3} {} = {}", spot.line, entry.key, entry.value).unwrap();
                }
            }
            for warning in warnings {
                writeln!(text, "{warning:?}").unwrap();
            }
        }
        Err(ConfigError::Problems { problems, warnings }) => {
            for problem in problems {
                writeln!(text, "{problem:?}").unwrap();
            }
            for warning in warnings {
                writeln!(text, "{warning:?}").unwrap();
            }
        }
        Err(error) => writeln!(text, "{error:?}").unwrap(),
    }
    text
}

#[test]
fn every_file_gives_the_expected_result() {
    for path in files() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let shown = result(&path).replace(FOLDER, "FOLDER");
        assert!(!shown.contains(SECRET), "{shown}");
        insta::assert_snapshot!(name, shown);
    }
}

/// The older program's own file has the same effect here.
#[test]
fn the_older_programs_own_file_is_accepted() {
    let path = Path::new(FOLDER).join("as-the-older-program-came.yaml");
    let Loaded { config, settings, warnings, .. } =
        config::load(Some(&path), &Variables::new()).unwrap();
    // It has a user and `authentication: False`. Nothing else in it causes a warning.
    assert_eq!(warnings, [Warning::Login(Login::Off)]);
    assert_eq!((config.broker.host.as_str(), config.broker.port.get()), ("10.0.0.210", 1883));
    assert_eq!(config.broker.client_id, "kamstrup");
    // `authentication` is off.
    assert_eq!(config.broker.credentials, None);
    let publishing = config.publishing;
    assert_eq!((publishing.topic.as_str(), publishing.qos), ("kamstrup", Qos::AtMostOnce));
    assert!(!publishing.retain);
    assert_eq!(publishing.discovery_prefix, "homeassistant");
    let [meter] = config.meters.as_slice() else { panic!("{:?}", config.meters) };
    assert_eq!(meter.endpoint.to_string(), "socket://10.10.3.14:2003");
    let names: Vec<_> = meter.parameters.iter().map(Parameter::name).collect();
    assert_eq!(names, ["energy", "volume", "temp1", "temp2"]);
    assert_eq!(meter.poll_interval, Duration::from_secs(28 * 60));
    assert_eq!(meter.device_id, "kamstrup_meter");
    assert_eq!(meter.device_name, "Kamstrup Meter");
    assert_eq!(config.logging.level, Level::INFO);
    let value = |key: &str| {
        let entry = settings.sections.iter().find(|entry| entry.key == key).unwrap();
        match &entry.value {
            Effect::Text(text) => text.clone(),
            other => other.to_string(),
        }
    };
    for (key, expected) in [
        ("destinations", "stdout"),
        ("directory", "logs"),
        ("filename", "debug.log"),
        ("rotate_when", "d"),
        ("rotate_interval", "1"),
        ("backup_count", "5"),
        (
            "file_format",
            "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s",
        ),
        ("file_date_format", "%Y-%m-%d %H:%M:%S"),
        ("stdout_format", "%(asctime)s [%(name)s] %(levelname)s %(message)s"),
        ("stdout_date_format", "%Y-%m-%dT%H:%M:%S%z"),
        ("syslog_facility", "local0"),
        ("syslog_address", "/dev/log"),
        ("syslog_format", "%(name)s[%(process)d]: %(levelname)s %(message)s"),
    ] {
        assert_eq!(value(&format!("logging.{key}")), expected, "{key}");
    }
}

/// Paths that are not readable files.
#[test]
fn unreadable_files_are_explained() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("huge"), "# \n".repeat(1_000_000)).unwrap();
    let pipe = Command::new("mkfifo").arg(path("pipe")).status().unwrap();
    assert!(pipe.success());
    let _socket = UnixListener::bind(path("socket")).unwrap();
    let names = ["nothing", "folder", "huge", "pipe", "socket"];
    let mut texts: Vec<String> = names.iter().map(|name| result(&path(name))).collect();
    texts.push(result(Path::new("/dev/null")));
    texts.push(forbidden(folder.path()));
    let shown = texts.join("\n").replace(folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!("cannot_be_read", shown);
}

/// The message for a user who may not read a file. Root may read everything, so the program runs as
/// nobody.
fn forbidden(folder: &Path) -> String {
    let file = folder.join("forbidden");
    fs::write(&file, "mqtt:\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&file).is_err() {
        return result(&file);
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    // The user nobody may have no access to the build folder.
    let copy = folder.join("kamstrup2mqtt");
    let binary = env!("CARGO_BIN_EXE_kamstrup2mqtt");
    assert!(Command::new("cp").arg(binary).arg(&copy).status().unwrap().success());
    let mut command = Command::new(&copy);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.args(["check", "--config"]).arg(&file).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

/// Everything that the program writes when it checks a file, at its most detailed level.
fn written(arguments: &[&OsStr], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), text.join("\n"))
}

#[test]
fn no_check_shows_a_secret() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter2-in-a-file\n").unwrap();
    let secret = secret.to_str().unwrap();
    let by_variable: &[(&str, &str)] = &[
        ("MQTT_PASSWORD", "hunter2-in-a-variable"),
        ("MQTT_TLS_KEY_PASSWORD", "hunter2-in-another"),
        ("MQTT_HOST", "mqtt://me:hunter2@host"),
        ("LOG_LEVEL", "DEBUG"),
    ];
    let by_file: &[(&str, &str)] = &[
        ("MQTT_USERNAME", "somebody"),
        ("MQTT_PASSWORD_FILE", secret),
        ("MQTT_TLS_KEY_PASSWORD_FILE", secret),
        ("LOG_LEVEL", "DEBUG"),
    ];
    let debug: &[(&str, &str)] = &[("LOG_LEVEL", "DEBUG")];
    for path in files() {
        for variables in [debug, by_variable, by_file] {
            for json in [false, true] {
                let mut arguments: Vec<&OsStr> = vec!["check".as_ref(), "--config".as_ref()];
                arguments.push(path.as_os_str());
                if json {
                    arguments.push("--json".as_ref());
                }
                let (code, text) = written(&arguments, variables);
                assert!(matches!(code, Some(0 | 2)), "{path:?}: {text}");
                assert!(!text.is_empty() && !text.contains(SECRET), "{path:?}: {text}");
            }
        }
    }
}

// ---- The schema for editors

fn schema() -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string("kamstrup2mqtt.schema.json").unwrap()).unwrap()
}

/// What the schema marks in a file, or why the file is not YAML.
fn marked(schema: &jsonschema::Validator, text: &str) -> Vec<String> {
    match serde_saphyr::from_str::<serde_json::Value>(text) {
        Ok(value) => schema
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// Whether the program accepts a file without a warning.
fn is_right(text: &str) -> bool {
    let loaded = config::check(Some((Path::new("file.yaml"), text)), &Variables::new());
    loaded.is_ok_and(|loaded| loaded.warnings.is_empty())
}

#[test]
fn the_schema_accepts_every_valid_file() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let mut right = 0;
    let samples = ["kamstrup2mqtt.example.yaml", "tests/whole_program/sample.yaml"];
    for path in samples.into_iter().map(PathBuf::from).chain(files()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if is_right(&text) {
            let text = text.trim_start_matches('\u{FEFF}');
            assert_eq!(marked(&schema, text), [""; 0], "{path:?}");
            right += 1;
        } else {
            assert!(!samples.iter().any(|sample| Path::new(sample) == path), "{path:?}");
        }
    }
    assert!(right > 12, "{right}");
}

#[test]
fn the_schema_marks_errors() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for name in [
        "a-list",
        "a-text",
        "many-mistakes",
        "misspelled",
        "of-a-later-version",
        "of-its-first-version",
        "sections-without-keys",
        "several-meters-with-mistakes",
    ] {
        let path = Path::new(FOLDER).join(name).with_extension("yaml");
        assert_ne!(marked(&schema, &fs::read_to_string(path).unwrap()), [""; 0], "{name}");
    }
    for text in [
        "mqtt: {host: '192.168.1.100:1883'}",
        "mqtt: {host: 'mqtt://broker'}",
        "mqtt: {port: 65536}",
        "mqtt: {port: many}",
        "mqtt: {topic: 'heat/#'}",
        "mqtt: {qos: 3}",
        "mqtt: {retain: perhaps}",
        "mqtt: {client: [a, b]}",
        "mqtt: {tls_version: 1.1}",
        "mqtt: {hots: broker}",
        "mqtt: {com_port: /dev/ttyUSB0}",
        "serial_device: {com_port: ttyUSB0}",
        "serial_device: {url: 'rfc2217://a:1'}",
        "serial_device: {parity: MARK}",
        "serial_device: {dtr: leaves}",
        "serial_device: {timeout: 61}",
        "kamstrup: {version: 404}",
        "kamstrup: {version: MC404}",
        "kamstrup: {poll_interval: 0}",
        "kamstrup: {poll_interval: often}",
        "kamstrup: {poll_interval: poll}",
        "kamstrup: {slow_interval: never}",
        "kamstrup: {units: metric}",
        "kamstrup: {parameters: 'energy, energie'}",
        "kamstrup: {parameters: [energy, 65536]}",
        "logging: {level: LOUD}",
        "logging: {destinations: [stdout, stderr]}",
        "logging: {directory: '~/logs'}",
        "logging: {filename: logs/today}",
        "logging: {rotate_when: w7}",
        "homeassistant: {id_prefix: a b}",
        "web: {listen: 8099}",
        "meters: {name: house}",
        "meters: [{name: a house}]",
        "meters: [{host: broker}]",
        "meter: []",
    ] {
        assert!(!is_right(text), "{text}");
        assert_ne!(marked(&schema, text), [""; 0], "{text}");
    }
}

/// Every setting, with all kinds of values in all notations.
#[test]
fn the_schema_never_marks_what_is_accepted() {
    const VALUES: &str = "true|Yes|oN|y|1|0|2|7|8|300|1200|+1883|007|65535|'1'|' 5 '|0.5|1_0|-0|.5|60|\
        1.6|5m|1h 30m|90 s|PT5M|2 hours|1.2|1.3|TLSv1_2|PROTOCOL_TLS|ssl.PROTOCOL_TLSv1_2|SSLv23|\
        protocol_tls_client|auto|Auto|GENERIC|402|0402|MC403|Multical 403|403-W|MULTICAL® 6-0-3|\
        kamstrup multical_21|None|even|o|E|leave|LEAVE|off|debug|Warn|FATAL|stdout|File, SYSLOG|\
        '[Stdout, file]'|[Stdout, file]|[]|'energy, 60,, 0x3C'|[Energy, 0X003c, 1004, 'power, flow']|\
        ENERGY|standard|Meter|midnight|W6|D|s|local0|LOG_USER|solaris-cron|/dev/log|host|host:514|\
        tcp://host:601|unix:///run/log|/dev/ttyUSB0|socket://a:1|TCP://[fe80::1%eth0]:1/|\
        ' /dev/ttyS0 '|::1|'[::1]'|broker.local|127.0.0.1:80|'[::]:8099'|heat/house|a b|json|\
        '%(message)s'|'%Y'|logs|../logs|'a#b'|''|' '|~|null|\"a\\n\"|house|a-b_C|1e5|0x1F|en|DA|de|' nl '|sv|\
        -30s|poll|' Poll'|+2m|'-1m 30s'|-0|+0.0|\
        gaps|' Gaps'|Full|OFF|false|http://ha.local:8123|https://ha.example/|'HTTP://[fe80::1]:8123'|\
        https://10.0.0.2|YW4gZXhhbXBsZTogMzIgYnl0ZXMgYXMgYmFzZTY0Li4=|esphome://node";
    let properties = &schema()["properties"];
    let definitions = schema()["definitions"].clone();
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let mut right = 0;
    for path in definitions.as_object().unwrap().keys() {
        let (section, key) = path.split_once('.').unwrap_or(("meters", path));
        assert!(properties[section].is_object(), "{path}");
        let mut accepted = 0;
        for value in VALUES.split('|').map(str::trim_start) {
            let port = "serial_device: {com_port: /dev/ttyUSB9}\n";
            let text = match section {
                "meters" => format!("{port}meters: [{{{key}: {value}}}]\n"),
                "serial_device" if ["com_port", "url"].contains(&key) => {
                    format!("{section}:\n  {key}: {value}\n")
                }
                "serial_device" if key == "key" => {
                    format!("{section}:\n  com_port: esphome://node\n  {key}: {value}\n")
                }
                "serial_device" => {
                    format!("{section}:\n  com_port: /dev/ttyUSB9\n  {key}: {value}\n")
                }
                // Without TLS the program ignores these, but the schema checks them.
                "mqtt" if key.starts_with("tls_") && key != "tls_enabled" => {
                    format!("{port}mqtt:\n  tls_enabled: on\n  {key}: {value}\n")
                }
                "mqtt" if key == "authentication" => {
                    format!("{port}mqtt:\n  username: a\n  password: b\n  {key}: {value}\n")
                }
                "mqtt" if key == "username" => {
                    format!("{port}mqtt:\n  password: b\n  {key}: {value}\n")
                }
                "mqtt" if key == "password" => {
                    format!("{port}mqtt:\n  username: a\n  {key}: {value}\n")
                }
                _ => format!("{port}{section}:\n  {key}: {value}\n"),
            };
            if is_right(&text) {
                assert_eq!(marked(&schema, &text), [""; 0], "{text}");
                accepted += 1;
            }
        }
        assert!(accepted >= 4 || key.starts_with("tls_"), "{path}: {accepted}");
        right += accepted;
    }
    assert!(right > 1000, "{right}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A file in which something was removed or inserted by mistake: the program always reports a
    /// result.
    #[test]
    fn no_file_is_too_odd(
        file in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0_usize..20,
        insert in "[-\\[\\]{}#&*!|>'\"%@`:,?<= \\t\\n\\r\\PCa-z]{0,4}",
    ) {
        let text = String::from_utf8_lossy(&fs::read(file.get(&files())).unwrap()).into_owned();
        let characters: Vec<char> = text.chars().collect();
        let from = from.index(characters.len() + 1);
        let to = (from + length).min(characters.len());
        let mut odd: String = characters.iter().take(from).collect();
        odd.push_str(&insert);
        odd.extend(characters.iter().skip(to));
        match config::check(Some((Path::new("odd.yaml"), &odd)), &Variables::new()) {
            Ok(loaded) => assert!(!loaded.config.meters.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
    }
}
