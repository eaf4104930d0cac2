//! Files as people write them, good and bad: what each says, as a snapshot, and that none of them
//! makes the program show a secret.

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

/// The password in all of the files.
const SECRET: &str = "hunter2";

const FOLDER: &str = "tests/data/config";

fn files() -> Vec<PathBuf> {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(files.len() >= 25, "{files:?}");
    files
}

/// What a file sets, what is odd about it, or why it is refused: as data, whose texts have tests of
/// their own.
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
fn every_file_is_understood() {
    for path in files() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let shown = result(&path).replace(FOLDER, "FOLDER");
        assert!(!shown.contains(SECRET), "{shown}");
        insta::assert_snapshot!(name, shown);
    }
}

/// The older program's own file means what it meant there.
#[test]
fn the_older_programs_own_file() {
    let path = Path::new(FOLDER).join("as-the-older-program-came.yaml");
    let Loaded { config, settings, warnings, .. } =
        config::load(Some(&path), &Variables::new()).unwrap();
    // It has both a user and this; what else it says is fine.
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

/// What is no file to read.
#[test]
fn what_cannot_be_read() {
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

/// What is said to a user who may not read a file. Root may read everything, so this is asked for as
/// nobody.
fn forbidden(folder: &Path) -> String {
    let file = folder.join("forbidden");
    fs::write(&file, "mqtt:\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&file).is_err() {
        return result(&file);
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    // Where it was built, nobody may not be.
    let copy = folder.join("kamstrup2mqtt");
    let binary = env!("CARGO_BIN_EXE_kamstrup2mqtt");
    assert!(Command::new("cp").arg(binary).arg(&copy).status().unwrap().success());
    let mut command = Command::new(&copy);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.args(["check", "--config"]).arg(&file).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

/// All that the program writes when it checks a file, at its most talkative.
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A file in which something was cut out or put in by mistake: an answer, whatever it is.
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
