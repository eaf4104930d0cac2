//! Files and variables, and the configuration, problems and warnings that they lead to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::units::UnitSystem;
use ::logging::Settings as LogSettings;
use ::logging::{FileSettings, LineFormat, RotatingFile, Rotation, Style, When};
use kmp::line::RESPONSE_TIME;
use kmp::model::Model;
use meter::RunsAs;
use meter::identity::Version;
use meter::transport::{DataBits, Endpoint, ModemLine, Parity, SerialSettings, StopBits};
use tracing::Level;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

fn from_yaml(yaml: &str) -> Result<Loaded, ConfigError> {
    check(Some((Path::new("config.yaml"), yaml)), &BTreeMap::new())
}

/// Problems and warnings as data. The tests of `words` cover the sentences.
pub(super) fn data(problems: &[Problem], warnings: &[Warning]) -> String {
    let problems = problems.iter().map(|problem| format!("{problem:?}"));
    let warnings = warnings.iter().map(|warning| format!("{warning:?}"));
    problems.chain(warnings).collect::<Vec<_>>().join("\n  ")
}

pub(super) fn data_of(error: &ConfigError) -> String {
    match error {
        ConfigError::Problems { problems, warnings } => data(problems, warnings),
        other => format!("{other:?}"),
    }
}

const PORT: (&str, &str) = ("SERIAL_COM_PORT", "/dev/ttyUSB0");

fn with(name: &str, value: &str) -> Result<Loaded, ConfigError> {
    check(None, &variables(&[PORT, (name, value)]))
}

/// The configuration of a meter at [`PORT`], without any other setting.
fn defaults() -> Config {
    check(None, &variables(&[PORT])).unwrap().config
}

fn parameters(names: &[&str]) -> Vec<Parameter> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A format of lines, and one of times in them.
fn line_format(format: &str, date: &str) -> LineFormat {
    LineFormat { style: Style::Format(format.parse().unwrap()), date: Some(date.parse().unwrap()) }
}

fn logging_of_the_sample() -> LogSettings {
    let file = RotatingFile {
        directory: "logs".into(),
        filename: "kamstrup2mqtt.log".to_owned(),
        rotation: Rotation { when: When::Midnight, interval: NonZeroU32::MIN, keep: 7 },
    };
    let in_file = "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s";
    LogSettings {
        level: Level::INFO,
        stdout: Some(line_format(
            "%(asctime)s [%(name)s] %(levelname)s %(message)s",
            "%Y-%m-%dT%H:%M:%S%z",
        )),
        file: Some(FileSettings { file, line_format: line_format(in_file, "%Y-%m-%d %H:%M:%S") }),
        syslog: None,
    }
}

#[test]
fn the_older_programs_sample_is_accepted() {
    let loaded = from_yaml(include_str!("../../tests/whole_program/sample.yaml")).unwrap();
    assert_eq!(loaded.warnings, []);
    let Config { broker, publishing, meters, page, .. } = defaults();
    let expected = Config {
        broker: Broker { host: "192.168.1.100".to_owned(), ..broker },
        publishing,
        meters: vec![Meter {
            endpoint: "socket://192.168.1.50:2003".parse().unwrap(),
            parameters: parameters(&["energy", "power", "temp1", "temp2", "volume"]),
            ..meters[0].clone()
        }],
        logging: logging_of_the_sample(),
        page,
        page_token: None,
        home_assistant: None,
        history: HistoryUse::Off,
    };
    assert_eq!(loaded.config, expected);
}

/// The only snapshot of a whole configuration.
#[test]
fn defaults_are_those_of_the_older_program() {
    let loaded = check(None, &variables(&[PORT])).unwrap();
    insta::assert_debug_snapshot!((loaded.config, loaded.warnings));
}

#[test]
fn the_example_file_is_valid_and_names_every_key() {
    let example = include_str!("../../kamstrup2mqtt.example.yaml");
    let loaded = from_yaml(example).unwrap();
    assert_eq!(loaded.warnings, []);
    for key in keys::KEYS {
        // Other names of these settings.
        if key.sample == setting::Sample::Hidden {
            continue;
        }
        let name = key.path.split('.').nth(1).unwrap();
        assert!(example.contains(&format!(" {name}:")), "{} is missing", key.path);
    }
}

/// Each line that the example shows after a `#` can be used unchanged.
#[test]
fn each_sample_of_the_example_is_valid() {
    let example = include_str!("../../kamstrup2mqtt.example.yaml");
    for (index, line) in example.lines().enumerate() {
        let Some(sample) = line.strip_prefix("  # ") else { continue };
        let mut lines: Vec<&str> = example.lines().collect();
        let indented = format!("  {sample}");
        lines[index] = &indented;
        if sample.starts_with("key:") {
            // As its text says, only a node may have a key.
            let port = lines.iter().position(|line| line.starts_with("  com_port: ")).unwrap();
            lines[port] = "  com_port: esphome://node.local";
        }
        // Some lead to a warning without others, but none to an error.
        from_yaml(&lines.join("\n")).unwrap_or_else(|error| panic!("{sample}: {error}"));
    }
}

#[test]
fn variables_override_the_file() {
    let yaml = include_str!("../../tests/whole_program/sample.yaml");
    let all = variables(&[
        ("MQTT_HOST", "broker.lan"),
        ("MQTT_PORT", "1884"),
        ("MQTT_CLIENT", "cellar"),
        ("MQTT_TOPIC", "heat"),
        ("MQTT_QOS", "2"),
        ("MQTT_RETAIN", "TRUE"),
        ("MQTT_AUTHENTICATION", "1"),
        ("MQTT_USERNAME", "somebody"),
        ("MQTT_PASSWORD", "0123"),
        ("SERIAL_COM_PORT", "/dev/ttyUSB1"),
        ("KAMSTRUP_PARAMETERS", " energy , 0x003C,Energy,"),
        ("KAMSTRUP_POLL_INTERVAL", "0.5"),
        ("KAMSTRUP_VERSION", "603"),
        ("SERIAL_BAUDRATE", "2400"),
        ("SERIAL_PARITY", "even"),
        ("SERIAL_STOPBITS", "1"),
        ("SERIAL_BYTESIZE", "7"),
        ("SERIAL_TIMEOUT", "2.5"),
        ("SERIAL_DTR", "No"),
        ("SERIAL_RTS", "leave"),
        ("KAMSTRUP_UNITS", "meter"),
        ("LOG_LEVEL", "debug"),
        ("MQTT_TLS_ENABLED", ""),
    ]);
    let loaded = check(Some((Path::new("config.yaml"), yaml)), &all).unwrap();
    assert_eq!(loaded.warnings, []);
    let defaults = defaults();
    let expected = Config {
        broker: Broker {
            host: "broker.lan".to_owned(),
            port: 1884.try_into().unwrap(),
            client_id: "cellar".to_owned(),
            credentials: Some(Credentials {
                username: "somebody".to_owned(),
                password: Secret::new("0123"),
            }),
            tls: None,
        },
        publishing: Publishing {
            topic: "heat".to_owned(),
            qos: Qos::ExactlyOnce,
            retain: true,
            ..defaults.publishing
        },
        meters: vec![Meter {
            endpoint: "/dev/ttyUSB1".parse().unwrap(),
            serial: SerialSettings {
                baud: 2400.try_into().unwrap(),
                data_bits: DataBits::Seven,
                parity: Parity::Even,
                stop_bits: StopBits::One,
                dtr: ModemLine::Lower,
                rts: ModemLine::Leave,
            },
            timeout: Duration::from_millis(2500),
            parameters: parameters(&["energy", "0x003C"]),
            poll_interval: Duration::from_secs(30),
            version: Version::Model(Model::Multical603),
            units: UnitSystem::Meter,
            ..defaults.meters[0].clone()
        }],
        logging: LogSettings { level: Level::DEBUG, ..logging_of_the_sample() },
        page: defaults.page,
        page_token: None,
        home_assistant: None,
        history: HistoryUse::Off,
    };
    assert_eq!(loaded.config, expected);
}

#[test]
fn files_as_people_write_them() {
    // A byte order mark, Windows line ends, tabs after values, quoted numbers, empty sections,
    // other truth values, a password of digits, a list as text.
    let yaml = "\u{FEFF}mqtt:\r\n  host: 10.0.0.2\t\r\n  port: '1884'\r\n  retain: yes\r\n  \
                username: 007\r\n  password: 0123456789012345678901234567890\r\n\
                serial_device:\r\n  url: socket://10.0.0.3:2003\r\nkamstrup:\r\n  \
                parameters: energy, Power,60\r\nlogging:\r\nhomeassistant:\r\n";
    let loaded = from_yaml(yaml).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.broker.host, "10.0.0.2");
    assert_eq!(config.broker.port.get(), 1884);
    assert!(config.publishing.retain);
    let credentials = config.broker.credentials.unwrap();
    assert_eq!(credentials.username, "007");
    assert_eq!(credentials.password.reveal(), "0123456789012345678901234567890");
    let meter = &config.meters[0];
    assert_eq!(meter.endpoint.to_string(), "socket://10.0.0.3:2003");
    let names: Vec<_> = meter.parameters.iter().map(Parameter::name).collect();
    assert_eq!(names, ["energy", "power", "60"]);
}

#[test]
fn a_password_without_a_user_name_is_a_warning() {
    let yaml = "mqtt: {password: hunter2}\nserial_device: {com_port: /dev/ttyUSB0}\n";
    assert_eq!(from_yaml(yaml).unwrap().warnings, [Warning::Login(Login::PasswordAlone)]);
}

#[test]
fn authentication_decides_whether_credentials_are_used() {
    let user = |authentication: &str| {
        let yaml = format!(
            "mqtt: {{{authentication} username: somebody, password: x}}\n\
             serial_device: {{com_port: /dev/ttyUSB0}}"
        );
        from_yaml(&yaml).unwrap().config.broker.credentials.map(|c| c.username)
    };
    assert_eq!(user("authentication: False,"), None);
    assert_eq!(user("authentication: True,"), Some("somebody".to_owned()));
    assert_eq!(user(""), Some("somebody".to_owned()));
    let error = with("MQTT_AUTHENTICATION", "true").unwrap_err();
    let missing = Problem {
        about: About::Setting(&keys::USERNAME, Place::shared(Origin::Default)),
        found: Actual::NothingThough(Though::On(&keys::AUTHENTICATION)),
        accepted: Accepted::UserName,
    };
    assert_eq!(error, ConfigError::Problems { problems: vec![missing], warnings: vec![] });
}

#[test]
fn an_invalid_configuration_still_has_an_address_for_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meter.yaml");
    let found = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, text).unwrap();
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), OsString::from(value));
        let variables = variables.iter().map(text).collect();
        page(Some(&file), &variables).map(|page| page.to_string())
    };
    let at = |text: &str| Some(text.to_owned());
    let elsewhere = "mqtt: { qos: 7 }\nweb: { listen: '0.0.0.0:80' }\n";
    assert_eq!(found("mqtt:\n", &[]), at("127.0.0.1:8099"));
    assert_eq!(found(elsewhere, &[("MQTT_PASSWORD_FILE", "/no/such")]), at("0.0.0.0:80"));
    assert_eq!(found(elsewhere, &[("WEB_LISTEN", "[::1]:81")]), at("[::1]:81"));
    assert_eq!(found(elsewhere, &[("WEB_ENABLED", "no")]), None);
    assert_eq!(found("web: { listen: here }\n", &[]), at("127.0.0.1:8099"));
    assert_eq!(found("mqtt:\n\tqos: 7\n", &[("WEB_LISTEN", "[::1]:81")]), at("[::1]:81"));
    // Not YAML. Whoever has moved the page looks for it there.
    let broken = "mqtt:\n\tqos: 7\nweb:\n\n  # For all.\n  listen: 0.0.0.0:80\nlogging: {\n";
    assert_eq!(found(broken, &[]), at("0.0.0.0:80"));
    assert_eq!(found("web : {enabled: no}\nmqtt: [\n", &[]), None);
    assert_eq!(found("web: {listen: '[::1]:80'\nmqtt:\n  listen: [\n", &[]), at("127.0.0.1:8099"));
    assert_eq!(found("mqtt: {web: 1\n", &[]), at("127.0.0.1:8099"));
    let none = page(Some(&folder.path().join("none")), &Variables::new());
    assert_eq!(none.map(|page| page.to_string()), at("127.0.0.1:8099"));
}

/// systemd sets the variable for `LogsDirectory=`, and the image has it. The folder that a program
/// was started in is often one that it may not write to.
#[test]
fn a_log_file_is_in_the_folder_that_is_provided_for_it() {
    let directory = |logging: &str, folder: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0}}\n{logging}");
        let folder = variables(&[("LOGS_DIRECTORY", folder)]);
        let loaded = check(Some((Path::new("config.yaml"), &yaml)), &folder).unwrap();
        assert_eq!(loaded.warnings, []);
        loaded.config.logging.file.unwrap().file.directory.display().to_string()
    };
    let file = "logging: {destinations: [file]}\n";
    assert_eq!(directory(file, "/var/log/kamstrup2mqtt"), "/var/log/kamstrup2mqtt");
    assert_eq!(directory(file, "/var/log/one:/var/log/two"), "/var/log/one");
    assert_eq!(directory(file, "relative"), "logs");
    assert_eq!(directory(file, ""), "logs");
    let own = "logging: {destinations: [file], directory: /srv/log}\n";
    assert_eq!(directory(own, "/var/log/kamstrup2mqtt"), "/srv/log");
    let none = check(None, &variables(&[("LOGS_DIRECTORY", "/var/log/kamstrup2mqtt")]));
    assert!(matches!(none, Err(ConfigError::None)));
}

/// A token that is valid is used even then. Without it, everybody could use a random one.
#[test]
fn an_invalid_configuration_still_has_a_token_for_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meter.yaml");
    let found = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, text).unwrap();
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), OsString::from(value));
        page_settings(Some(&file), &variables.iter().map(text).collect()).token
    };
    let token = |text: &str| PageToken::Valid(Secret::new(text));
    assert_eq!(found("mqtt: { qos: 7 }\n", &[]), PageToken::None);
    assert_eq!(found("mqtt: { qos: 7 }\nweb: { token: hunter22 }\n", &[]), token("hunter22"));
    assert_eq!(found("mqtt: { qos: 7 }\n", &[("WEB_TOKEN", " hunter23 ")]), token("hunter23"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter24\n").unwrap();
    let secret = secret.to_str().unwrap();
    assert_eq!(found("mqtt:\n", &[("WEB_TOKEN_FILE", secret)]), token("hunter24"));
}

/// It counted as none, so this machine, and everybody behind a proxy on it, could press buttons.
#[test]
fn an_invalid_token_is_not_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meter.yaml");
    let found = |text: &str, given: &[(&str, &str)]| {
        std::fs::write(&file, text).unwrap();
        page_settings(Some(&file), &variables(given)).token
    };
    let (none, secret) = (folder.path().join("none"), folder.path().join("secret"));
    std::fs::write(&secret, "short\n").unwrap();
    for (text, variables) in [
        ("web: { token: short }\n", vec![]),
        ("web: { token: [hunter22] }\n", vec![]),
        ("web: { token: { is: hunter22 } }\n", vec![]),
        ("web: hunter22\n", vec![]),
        ("web: [{ token: hunter22 }]\n", vec![]),
        // The file is not YAML.
        ("web: { token: short }\nmqtt: [\n", vec![]),
        ("mqtt: [\n\"web\": { token: hunter22 }\n", vec![]),
        ("web: {\n token: hunter22\n", vec![]),
        ("token: hunter22", vec![("WEB_TOKEN", "short")]),
        ("web: { token: hunter22 }\n", vec![("WEB_TOKEN", "short")]),
        ("web: { token: hunter22 }\n", vec![("WEB_TOKEN_FILE", none.to_str().unwrap())]),
        ("mqtt:\n", vec![("WEB_TOKEN_FILE", secret.to_str().unwrap())]),
        ("mqtt:\n", vec![("WEB_TOKEN_FILE", "/proc/none"), ("WEB_TOKEN", "hunter22")]),
    ] {
        assert_eq!(found(text, &variables), PageToken::Unknown, "{text} {variables:?}");
    }
    let valid = PageToken::Valid(Secret::new("hunter22"));
    let variable = [("WEB_TOKEN", "hunter22")];
    for text in ["web: { token: short }\n", "mqtt: [\ntoken: short\n", "web: hunter\n"] {
        assert_eq!(found(text, &variable), valid, "{text}");
    }
    for text in ["mqtt: [\n", "", "web:\n", "web: { token: '' }\n", "mqtt: { qos: 7 }\n"] {
        assert_eq!(found(text, &[]), PageToken::None, "{text}");
    }
    // A file that cannot be read may have one. A missing file has none.
    assert_eq!(page_settings(Some(folder.path()), &variables(&[])).token, PageToken::Unknown);
    assert_eq!(page_settings(Some(&none), &variables(&[])).token, PageToken::None);
    std::os::unix::fs::symlink(&none, folder.path().join("link")).unwrap();
    let link = folder.path().join("link");
    assert_eq!(page_settings(Some(&link), &variables(&[])).token, PageToken::Unknown);
}

/// The setup page ignored an invalid token, and was open to this machine.
#[test]
fn variables_of_the_page_and_the_log_are_checked_while_nothing_else_is_set() {
    let problems = |given: &[(&str, &str)]| {
        assert!(is_unconfigured(None, &variables(given)), "{given:?}");
        beginning(&variables(given)).map_or_else(|error| error.problems(), |_| Vec::new())
    };
    for (name, value) in [
        ("WEB_TOKEN", "short"),
        ("WEB_TOKEN_FILE", "/proc/none"),
        ("WEB_ENABLED", "maybe"),
        ("WEB_LISTEN", "here"),
        ("LOG_LEVEL", "LOUD"),
    ] {
        let found = problems(&[(name, value)]);
        assert!(found.len() == 1 && found[0].contains(name), "{found:?}");
        assert_eq!(problems(&[(name, "")]), [""; 0]);
    }
    assert_eq!(problems(&[("WEB_TOKEN", "short"), ("LOG_LEVEL", "LOUD")]).len(), 2);
    let given = [("WEB_TOKEN", "hunter22"), ("LOG_LEVEL", "DEBUG"), ("WEB_LISTN", "0.0.0.0:1")];
    let all = beginning(&variables(&given)).unwrap();
    assert_eq!(all.token, Some(Secret::new("hunter22")));
    assert_eq!(all.logging, ::logging::Settings::to_stdout(Level::DEBUG));
    assert_eq!(all.listen, Some("127.0.0.1:8099".parse().unwrap()));
    assert!(matches!(all.warnings.as_slice(), [Warning::UnknownVariable(..)]));
}

#[test]
fn a_token_must_be_long_enough_and_fit_into_a_header() {
    let problems = |token: &str| {
        let yaml =
            format!("serial_device: {{ com_port: /dev/a }}\nweb: {{ token: \"{token}\" }}\n");
        from_yaml(&yaml).err().map(|error| error.problems().join("\n")).unwrap_or_default()
    };
    let longest = "x".repeat(256);
    for good in ["12345678", "a b c d e", "~!#$%&/()=?", longest.as_str()] {
        assert_eq!(problems(good), "", "{good}");
    }
    for bad in ["1234567", "grün-grün", "a\\tb-c-d-e-f", "        ", &format!("{longest}x")] {
        let problems = problems(bad);
        assert!(problems.contains("`web.token`") && problems.contains("8 to 256"), "{problems}");
        assert!(!problems.contains(bad), "{problems}");
    }
}

#[test]
fn errors_of_files_and_variables() {
    let files = [
        ("nothing", ""),
        (
            "wrong shapes",
            "mqtt: yes\nserial_device: [1]\nkamstrup:\n  parameters: {a: 1}\n  version: [402]\n",
        ),
        ("not sections", "- mqtt\n"),
        ("text", "mqtt\n"),
        ("a tab", "mqtt:\n\thost: x\n"),
        ("two documents", "mqtt:\n  host: a\n---\nmqtt:\n  host: b\n"),
        ("a tag", "mqtt:\n  password: !hunter2\n"),
        ("a misspelled key", "serial_device: {com_prot: /dev/ttyUSB0}\n"),
        ("a colon", "mqtt:\n  password: a: b\n"),
        ("RFC 2217", "serial_device: {url: 'rfc2217://somebody:hunter2@host:1'}\n"),
        ("a list of ports", "serial_device: {com_port: [/dev/ttyUSB0]}\n"),
        ("TLS", "mqtt: {tls_enabled: perhaps}\nserial_device: {com_port: /dev/ttyUSB0}\n"),
    ];
    let mut texts: Vec<String> = files
        .iter()
        .map(|(name, yaml)| format!("{name}: {}", data_of(&from_yaml(yaml).unwrap_err())))
        .collect();
    let variables = [
        ("MQTT_HOST", "mqtt://host"),
        ("MQTT_HOST", "mqtt://somebody:hunter2@host"),
        ("MQTT_HOST", "somebody:hunter2@host"),
        ("SERIAL_COM_PORT", "somebody:hunter2@host:2003"),
        ("MQTT_PORT", "0"),
        ("MQTT_CLIENT", &"x".repeat(257)),
        ("MQTT_TOPIC", "a/#"),
        ("MQTT_QOS", "3"),
        ("MQTT_RETAIN", "maybe"),
        ("MQTT_TLS_ENABLED", "maybe"),
        ("SERIAL_COM_PORT", "rfc2217://host:1"),
        ("SERIAL_COM_PORT", "http://host:80"),
        ("SERIAL_COM_PORT", "socket://host"),
        ("SERIAL_COM_PORT", "ttyUSB0"),
        ("SERIAL_BAUDRATE", "12OO"),
        ("SERIAL_PARITY", "mark"),
        ("SERIAL_STOPBITS", "3"),
        ("SERIAL_BYTESIZE", "9"),
        ("SERIAL_TIMEOUT", "-1"),
        ("SERIAL_TIMEOUT", "60.1"),
        ("SERIAL_TIMEOUT", "2 s"),
        ("SERIAL_DTR", "high"),
        ("SERIAL_RTS", "2"),
        ("KAMSTRUP_PARAMETERS", "energy,65536,flux"),
        ("KAMSTRUP_POLL_INTERVAL", "0"),
        ("KAMSTRUP_POLL_INTERVAL", "five"),
        ("KAMSTRUP_POLL_INTERVAL", "99999"),
        ("KAMSTRUP_VERSION", "404"),
        ("KAMSTRUP_UNITS", "imperial"),
        ("LOG_LEVEL", "loud"),
    ];
    texts.extend(variables.iter().map(|(name, value)| {
        let error = data_of(&with(name, value).unwrap_err());
        error.replace(&"x".repeat(200), "x…")
    }));
    insta::assert_snapshot!(texts.join("\n"));
}

/// This holds even if the value is the name of a setting or looks like a place in the file.
#[test]
fn values_are_quoted_as_written() {
    let yaml = "kamstrup:\n  version: level\n  units: 'x, line 1, column 1'\n\
                serial_device: {com_port: /dev/a, parity: com_port}\n";
    let error = from_yaml(yaml).unwrap_err();
    let found = |lines: Vec<String>| {
        let found = |line: String| {
            let (what, rest) = line.split_once(": found ").unwrap();
            format!("{what}: {}", rest.split_once(", accepted").unwrap().0)
        };
        lines.into_iter().map(found).collect::<Vec<_>>()
    };
    assert_eq!(
        found(error.problems()),
        [
            "`kamstrup.version` in config.yaml, line 2, column 3: `level`",
            "`kamstrup.units` in config.yaml, line 3, column 3: `x, line 1, column 1`",
            "`serial_device.parity` in config.yaml, line 4, column 35: `com_port`",
        ]
    );
    let error = with("KAMSTRUP_PARAMETERS", "version, energy, log_level").unwrap_err();
    let variable = "the variable `KAMSTRUP_PARAMETERS`";
    let expected = ["version", "log_level"].map(|text| format!("{variable}: `{text}`"));
    assert_eq!(found(error.problems()), expected);
}

/// A warning about a setting of a section appears once, one about a meter's own for each meter.
#[test]
fn lists_of_meters() {
    let lists = [
        (
            "three, with sections for what they share",
            "mqtt: {device_id: heat, device_name: Heat}\n\
             serial_device: {com_port: /dev/ttyUSB0, timeout: 2}\n\
             kamstrup: {poll_interval: 10, version: 603, parameters: energy}\n\
             meters:\n\
             \x20 - name: house\n\
             \x20 - name: Garage\n    url: socket://10.0.0.3:2003\n    units: meter\n    \
             poll_interval: 0.5\n    device_id: garage\n    device_name: The Garage\n\
             \x20 - name: barn-2\n    com_port: socket://10.0.0.3:2004\n    version: auto\n    \
             parameters: [power, 60]\n    baudrate: 300\n    parity: even\n    timeout: 1\n    \
             dtr: off\n",
        ),
        ("one without a name", "meters: [{com_port: /dev/ttyUSB1}]\n"),
        ("one with a name", "meters: [{name: house, com_port: /dev/ttyUSB1}]\n"),
        ("an empty list", "serial_device: {com_port: /dev/ttyUSB0}\nmeters: []\n"),
        ("nothing", "serial_device: {com_port: /dev/ttyUSB0}\nmeters:\n"),
        (
            "warnings",
            "serial_device: {com_port: /dev/ttyUSB0, timeout: 1}\nmeters:\n  - name: a\n    \
             com_prot: x\n  - name: b\n    topic: x\n    serial_device: {com_port: x}\n\
             \x20 - name: c\n    com_port: /dev/ttyUSB1\n    url: /dev/ttyUSB2\n    \
             url: /dev/ttyUSB3\n    timeout: 0\n",
        ),
    ];
    let texts: Vec<String> = lists
        .iter()
        .map(|(name, yaml)| {
            let Loaded { config, warnings, .. } = from_yaml(yaml).unwrap();
            let lines: Vec<_> = config.meters.iter().map(|meter| format!("{meter:?}")).collect();
            format!("{name}: {}\n{}", data(&[], &warnings), lines.join("\n"))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn errors_of_lists() {
    const TWO: &str = "serial_device: {com_port: /dev/ttyUSB0}\nmeters:\n";
    let lists = [
        ("a text", "meters: house\n".to_owned()),
        ("keys", "meters:\n  house: {com_port: /dev/ttyUSB0}\n".to_owned()),
        ("a list of texts", format!("{TWO}  - house\n  -\n  - [1]\n")),
        ("no port", "meters:\n  - name: house\n    version: 402\n  - name: b\n".to_owned()),
        ("no port and no name", "meters:\n  - version: 402\n".to_owned()),
        ("no names", format!("{TWO}  - com_port: /dev/ttyUSB1\n  - name:\n    version: 402\n")),
        ("wrong names", format!("{TWO}  - name: the house\n  - name: Status\n  - name: [a]\n")),
        ("the same name", format!("{TWO}  - name: house\n  - name: b\n  - name: House\n")),
        (
            "the same device",
            format!(
                "{TWO}  - name: a\n  - {{name: b, device_id: kamstrup_meter_a}}\n  \
                 - {{name: c, device_id: kamstrup_meter_d}}\n  - name: d\n"
            ),
        ),
        (
            "the same unique id",
            format!(
                "{TWO}  - {{name: a, parameters: diff_energy}}\n  \
                 - {{name: a_diff, com_port: /dev/ttyUSB1}}\n"
            ),
        ),
        (
            "wrong values",
            format!(
                "{TWO}  - name: garage\n    com_port: ttyUSB1\n    poll_interval: 0\n    \
                 parameters: [energy, flux]\n  - name: a b\n    version: 404\n    \
                 baudrate: [1]\n    dtr: {{}}\n"
            ),
        ),
        (
            "wrong in a section",
            "kamstrup: {version: 404}\nserial_device: {com_port: rfc2217://me:hunter2@host:1}\n\
             meters: [{name: a}, {name: b}, {name: c, version: 402, com_port: /dev/ttyUSB0}]\n"
                .to_owned(),
        ),
    ];
    let texts: Vec<String> = lists
        .iter()
        .map(|(name, yaml)| format!("{name}: {}", data_of(&from_yaml(yaml).unwrap_err())))
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

/// A listed meter inherits settings from the sections and from variables. Its own key overrides
/// both.
#[test]
fn a_listed_meter_inherits_the_settings_that_it_does_not_have() {
    let said = [
        ("serial_device.com_port", "/dev/ttyUSB7", "/dev/ttyUSB8"),
        ("serial_device.baudrate", "2400", "4800"),
        ("serial_device.parity", "ODD", "EVEN"),
        ("serial_device.stopbits", "1", "2"),
        ("serial_device.bytesize", "7", "8"),
        ("serial_device.timeout", "3", "4"),
        ("serial_device.dtr", "off", "leave"),
        ("serial_device.rts", "off", "leave"),
        ("kamstrup.parameters", "energy", "power"),
        ("kamstrup.poll_interval", "7", "8"),
        ("kamstrup.poll_offset", "-7s", "8s"),
        ("kamstrup.slow_interval", "2h", "poll"),
        ("kamstrup.tariff", "true", "false"),
        ("kamstrup.heating_year", "6", "7"),
        ("kamstrup.return_limit", "40", "60=30"),
        ("kamstrup.version", "603", "403"),
        ("kamstrup.units", "meter", "standard"),
    ];
    // Another name of the first one, a key that only nodes have (it has a test of its own), and two
    // texts to which the meter's name is added.
    let others = ["serial_device.url", "serial_device.key", "mqtt.device_id", "mqtt.device_name"];
    assert_eq!(
        keys::KEYS.iter().filter(|key| key.is_of_meter()).count(),
        said.len() + others.len()
    );

    let load = |yaml: &str, variables: &Variables| {
        let loaded = check(Some((Path::new("config.yaml"), yaml)), variables).unwrap();
        assert_eq!(loaded.warnings, []);
        loaded.config.meters
    };
    let one = |path: &str, text: &str| {
        let (section, name) = path.split_once('.').unwrap();
        let port = if path == "serial_device.com_port" { "" } else { "com_port: /dev/ttyUSB0" };
        match section {
            "serial_device" => format!("serial_device: {{{name}: {text}, {port}}}\n"),
            // They are only used with `tariff`.
            _ if ["heating_year", "return_limit"].contains(&name) => {
                format!("serial_device: {{{port}}}\n{section}: {{tariff: true, {name}: {text}}}\n")
            }
            _ => format!("serial_device: {{{port}}}\n{section}: {{{name}: {text}}}\n"),
        }
    };
    let none = Variables::new();
    for (path, text, other) in said {
        let variable = variables(&[(keys::find(path).unwrap().variable.unwrap(), text)]);
        let name = path.split_once('.').unwrap().1;
        let single = load(&one(path, text), &none);
        let differs = load(&one(path, other), &none);
        assert_ne!(single, differs, "{path}");
        let listed = format!("{}meters: [{{}}]\n", one(path, text));
        assert_eq!(load(&listed, &none), single, "{path}");
        let listed = format!("{}meters: [{{}}]\n", one(path, other));
        assert_eq!(load(&listed, &variable), single, "{path}");
        let listed = format!("{}meters: [{{{name}: {other}}}]\n", one(path, text));
        assert_eq!(load(&listed, &none), differs, "{path}");
        assert_eq!(load(&listed, &variable), differs, "{path}");
    }
    // A meter's own port overrides both names of the port in the section.
    let yaml = "serial_device: {url: 'socket://a:1'}\nmeters: [{com_port: /dev/ttyUSB1}]\n";
    assert_eq!(load(yaml, &none)[0].endpoint.to_string(), "/dev/ttyUSB1");
    let yaml = "serial_device: {com_port: /dev/ttyUSB1}\nmeters: [{url: 'socket://a:1'}]\n";
    assert_eq!(load(yaml, &variables(&[PORT]))[0].endpoint.to_string(), "socket://a:1");
}

/// The list that the example shows as a comment.
#[test]
fn the_list_of_the_example_is_valid() {
    let example = include_str!("../../kamstrup2mqtt.example.yaml");
    let (before, list) = example.split_once("# meters:").unwrap();
    let list: Vec<_> = list
        .lines()
        .map_while(|line| line.strip_prefix("# ").or(Some(line).filter(|l| l.is_empty())))
        .collect();
    let loaded = from_yaml(&format!("{before}meters:{}\n", list.join("\n"))).unwrap();
    assert_eq!(loaded.warnings, []);
    let names: Vec<_> = loaded.config.meters.iter().flat_map(|meter| &meter.name).collect();
    assert_eq!(names.len(), 2);
}

#[test]
fn an_unknown_key_is_a_warning() {
    let yaml = "mqtt: {hosst: a, host: b}\nserial_device: {com_port: /dev/ttyUSB0}\nweather: 1\n";
    let loaded = from_yaml(yaml).unwrap();
    let spot = |line, column| Spot { path: "config.yaml".into(), line, column };
    let unknown = |key: &str, spot, meant| Warning::UnknownKey {
        key: ShownKey::new(key),
        whose: None,
        spot,
        meant,
    };
    assert_eq!(
        loaded.warnings,
        [
            unknown("mqtt.hosst", spot(1, 8), Meant::Key("mqtt.host".to_owned())),
            unknown("weather", spot(3, 1), Meant::Nobody),
        ]
    );
    assert_eq!(loaded.config.broker.host, "b");
}

/// The older program's parser does the same.
#[test]
fn the_last_one_of_a_repeated_key_is_used() {
    let yaml = "mqtt: {host: a}\nserial_device: {com_port: /dev/ttyUSB0}\n\
                mqtt:\n  host: b\n  host: c\n";
    let loaded = from_yaml(yaml).unwrap();
    assert_eq!(loaded.config.broker.host, "c");
    let twice = |key: &str, line, column| {
        let spot = Spot { path: "config.yaml".into(), line, column };
        Warning::Twice { key: ShownKey::new(key), whose: None, spot }
    };
    assert_eq!(loaded.warnings, [twice("mqtt", 1, 1), twice("mqtt.host", 4, 3)]);
}

#[test]
fn the_variable_overrides_both_names_of_the_port() {
    let yaml = "serial_device: {url: 'socket://a:1', com_port: /dev/ttyUSB0}";
    let file = Some((Path::new("config.yaml"), yaml));
    let port = |variables: &Variables| {
        let loaded = check(file, variables).unwrap();
        (loaded.config.meters[0].endpoint.to_string(), loaded.warnings.len())
    };
    assert_eq!(port(&BTreeMap::new()), ("socket://a:1".to_owned(), 1));
    let variable = variables(&[("SERIAL_COM_PORT", "/dev/ttyUSB9")]);
    assert_eq!(port(&variable), ("/dev/ttyUSB9".to_owned(), 0));
}

#[test]
fn a_variable_that_is_not_text_is_a_problem() {
    use std::os::unix::ffi::OsStringExt;

    let mut all = variables(&[PORT]);
    all.insert("MQTT_PASSWORD".to_owned(), OsString::from_vec(vec![0xFF, 0xFE]));
    all.insert("UNRELATED".to_owned(), OsString::from_vec(vec![0xFF]));
    let problem = Problem {
        about: About::Setting(&keys::PASSWORD, Place::shared(Origin::Variable("MQTT_PASSWORD"))),
        found: Actual::NotUtf8,
        accepted: Accepted::Usual,
    };
    let error = check(None, &all).unwrap_err();
    assert_eq!(error, ConfigError::Problems { problems: vec![problem], warnings: vec![] });
}

#[test]
fn slow_registers_are_read_once_an_hour_unless_set_otherwise() {
    let slow = |yaml: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0}}\nkamstrup: {{{yaml}}}\n");
        let meters = from_yaml(&yaml).map(|loaded| loaded.config.meters);
        meters.map(|meters| meters[0].slow_interval.map(|slow| slow.as_secs()))
    };
    for (yaml, expected) in [
        ("", Some(3600)),
        ("slow_interval: 30", Some(1800)),
        ("slow_interval: 6h", Some(6 * 3600)),
        ("slow_interval: poll", None),
        ("slow_interval: ' Poll '", None),
    ] {
        assert_eq!(slow(yaml).unwrap(), expected, "{yaml}");
    }
    insta::assert_snapshot!(slow("slow_interval: never").unwrap_err());
}

#[test]
fn a_meter_is_polled_a_little_early_if_the_interval_is_long() {
    let offset = |yaml: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0}}\nkamstrup: {{{yaml}}}\n");
        from_yaml(&yaml).unwrap().config.meters[0].poll_offset.as_millis()
    };
    for (yaml, expected) in [
        ("", 0),
        ("poll_interval: 14m 59s", 0),
        ("poll_interval: 15", -20_000),
        ("poll_interval: 1h", -20_000),
        ("poll_interval: 7d", -20_000),
        ("poll_interval: 1h, poll_offset: 0", 0),
        ("poll_interval: 1h, poll_offset: -0", 0),
        ("poll_offset: -30s", -30_000),
        ("poll_offset: +2m", 120_000),
        ("poll_offset: 2m 30s", 150_000),
        ("poll_offset: -1.5s", -1_500),
        ("poll_interval: 1d, poll_offset: +6h", 6 * 3_600_000),
        ("poll_interval: 7d, poll_offset: -1d", -24 * 3_600_000),
        ("poll_interval: 7d, poll_offset: 6d 23h", 167 * 3_600_000),
    ] {
        assert_eq!(offset(yaml), expected, "{yaml}");
    }
}

/// Each meter of a list has its own interval, so an offset for all may be too long for one.
#[test]
fn wrong_offsets_of_polls() {
    let words = |yaml: &str| from_yaml(yaml).unwrap_err().to_string();
    let of = |settings: &str| {
        words(&format!("serial_device: {{com_port: /dev/x}}\nkamstrup: {{{settings}}}\n"))
    };
    let texts = [
        of("poll_offset: 30"),
        of("poll_offset: soon"),
        of("poll_offset: 5m"),
        of("poll_interval: 1h, poll_offset: -1h"),
        of("poll_interval: 1h, poll_offset: [1m]"),
        words(
            "kamstrup: {poll_interval: 1h, poll_offset: -2m}\nmeters:\n  \
             - {name: a, com_port: /dev/a}\n  - {name: b, com_port: /dev/b, poll_interval: 1}\n  \
             - {name: c, com_port: /dev/c, poll_interval: 1, poll_offset: +30s}\n",
        ),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn poll_intervals() {
    let interval = |text: &str| {
        with("KAMSTRUP_POLL_INTERVAL", text).ok().map(|l| l.config.meters[0].poll_interval)
    };
    assert_eq!(interval("5"), Some(Duration::from_secs(300)));
    // The older program made no pause at all of this.
    assert_eq!(interval("0.5"), Some(Duration::from_secs(30)));
    assert_eq!(interval("0.02"), Some(Duration::from_millis(1200)));
    assert_eq!(interval("0.019"), None);
    assert_eq!(interval("-5"), None);
    assert_eq!(interval("10080"), Some(Duration::from_secs(604_800)));
    assert_eq!(interval("10080.01"), None);
    for (text, seconds) in [
        ("90s", 90),
        ("5m", 300),
        (" 5 m ", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2 minutes", 120),
        ("1d", 86_400),
        ("1d 12h", 129_600),
        ("7d", 604_800),
        ("1w", 604_800),
        ("P1D", 86_400),
        ("7d 1s", 0),
        ("8d", 0),
        ("1mo", 0),
        ("5 M", 0),
        ("1s", 0),
        ("-5m", 0),
        ("169h", 0),
        ("5x", 0),
        ("5m x", 0),
    ] {
        let expected = Some(seconds).filter(|&seconds| seconds > 0).map(Duration::from_secs);
        assert_eq!(interval(text), expected, "{text}");
    }
}

/// The older program's default is shorter than meters may take to answer.
#[test]
fn short_timeouts_are_raised() {
    let timeout = |text: &str| {
        let loaded = with("SERIAL_TIMEOUT", text).unwrap();
        (loaded.config.meters[0].timeout, loaded.warnings)
    };
    for (text, milliseconds) in [("1.6", 1600), ("2", 2000), ("2.0", 2000), ("60", 60_000)] {
        assert_eq!(timeout(text), (Duration::from_millis(milliseconds), vec![]), "{text}");
    }
    for text in ["0", "0.5", "1.599999999"] {
        let (timeout, warnings) = timeout(text);
        assert_eq!(timeout, RESPONSE_TIME);
        assert_eq!(warnings, [Warning::ShortTimeout(None)], "{text}");
    }
}

#[test]
fn modem_lines() {
    let lines = |yaml: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/ttyUSB0{yaml}}}");
        let loaded = from_yaml(&yaml).unwrap();
        assert_eq!(loaded.warnings, []);
        let serial = loaded.config.meters[0].serial;
        (serial.dtr, serial.rts)
    };
    assert_eq!(lines(""), (ModemLine::Raise, ModemLine::Raise));
    assert_eq!(lines(", dtr: on, rts: off"), (ModemLine::Raise, ModemLine::Lower));
    assert_eq!(lines(", dtr: false, rts: Leave"), (ModemLine::Lower, ModemLine::Leave));
}

/// Variables of other programs get no suggestion.
#[test]
fn misspelled_and_foreign_names_get_a_suggestion() {
    for (path, meant) in [
        ("mqtt.hosst", "mqtt.host"),
        ("mqtt.user", "mqtt.username"),
        ("mqtt.tls_cacert", "mqtt.tls_ca_cert"),
        ("mqtt.com_port", "serial_device.com_port"),
        ("serial_device.com_prot", "serial_device.com_port"),
        ("kamstrup.poll-interval", "kamstrup.poll_interval"),
        ("serial-device", "serial_device"),
        ("meter", "meters"),
        ("com_port", "serial_device.com_port"),
        ("mqtt.colour", ""),
        ("weather", ""),
        ("webb", "web"),
        ("web.address", "web.listen"),
        ("web.port", "web.listen"),
        ("mqtt.broker", "mqtt.host"),
        ("mqtt.SSL", "mqtt.tls_enabled"),
        ("mqtt.use_tls", "mqtt.tls_enabled"),
        ("mqtt.cafile", "mqtt.tls_ca_cert"),
        ("mqtt.certfile", "mqtt.tls_cert"),
        ("mqtt.keyfile", "mqtt.tls_key"),
        ("mqtt.pass", "mqtt.password"),
        ("mqtt.discovery_topic", "homeassistant.discovery_prefix"),
        ("mqtt.interval", "kamstrup.poll_interval"),
        ("kamstrup.offset", "kamstrup.poll_offset"),
        ("serial_device.port", "serial_device.com_port"),
        ("serial_device.baud", "serial_device.baudrate"),
        ("serial_device.interval", "kamstrup.poll_interval"),
        ("kamstrup.port", "serial_device.com_port"),
        ("kamstrup.device", "serial_device.com_port"),
        ("kamstrup.scan_interval", "kamstrup.poll_interval"),
        ("kamstrup.meter_type", "kamstrup.version"),
        ("kamstrup.registers", "kamstrup.parameters"),
        ("logging.file", "logging.filename"),
        ("broker", "mqtt"),
        ("serial", "serial_device"),
        ("device", "serial_device.com_port"),
        ("interval", "kamstrup.poll_interval"),
        ("home_assistant", "homeassistant"),
    ] {
        assert_eq!(suggest::nearest(path).unwrap_or_default(), meant, "{path}");
    }
    for (name, meant) in [
        ("com_prot", "com_port"),
        ("interval", "poll_interval"),
        ("port", "com_port"),
        ("model", "version"),
        ("host", "com_port"),
        ("qos", ""),
        ("ssl", ""),
    ] {
        assert_eq!(suggest::nearest_of_meter(name).unwrap_or_default(), meant, "{name}");
    }
    for (variable, meant) in [
        ("MQTT_HOSTT", "MQTT_HOST"),
        ("MQTT_USER", "MQTT_USERNAME"),
        ("MQTT_PASSWORT_FILE", "MQTT_PASSWORD_FILE"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("KAMSTRUP_INTERVAL", "KAMSTRUP_POLL_INTERVAL"),
        ("SERIAL_PORT", "SERIAL_COM_PORT"),
        ("MQTT_SSL", "MQTT_TLS_ENABLED"),
        ("MQTT_BROKER", "MQTT_HOST"),
        // Set by Kubernetes and container links for a service `mqtt`.
        ("MQTT_PORT_1883_TCP", ""),
        ("MQTT_PORT_1883_TCP_ADDR", ""),
        ("MQTT_PORT_1883_TCP_PORT", ""),
        ("MQTT_SERVICE_HOST", ""),
        ("MQTT_SERVICE_PORT", ""),
        ("MQTT_NAME", ""),
        ("MQTT_ENV_VERSION", ""),
        ("MQTT_HOST", ""),
        ("MQTT_PASSWORD_FILE", ""),
        ("HOME", ""),
    ] {
        assert_eq!(suggest::nearest_variable(variable).unwrap_or_default(), meant, "{variable}");
    }
    let loaded = check(None, &variables(&[PORT, ("MQTT_HOSTT", "x")])).unwrap();
    let unknown = Warning::UnknownVariable("MQTT_HOSTT".to_owned(), "MQTT_HOST".to_owned());
    assert_eq!(loaded.warnings, [unknown]);
}

#[test]
fn a_port_that_a_container_link_sets_is_ignored() {
    let address = "tcp://10.0.0.1:1883";
    let link = variables(&[PORT, ("MQTT_PORT", address), ("WEB_PORT", address)]);
    let loaded = check(Some((Path::new("x"), "mqtt: {port: 1884}")), &link).unwrap();
    assert_eq!(loaded.config.broker.port.get(), 1884);
    assert_eq!(loaded.warnings, [Warning::VariableOfLinks("MQTT_PORT")]);
}

/// Two values of a setting that both are accepted.
fn two_values(key: &Key) -> [&'static str; 2] {
    match key.path {
        "mqtt.port" | "serial_device.baudrate" => ["2400", "4800"],
        "mqtt.qos" | "serial_device.stopbits" | "kamstrup.heating_year" => ["1", "2"],
        "mqtt.retain" | "mqtt.tls_insecure" | "mqtt.authentication" | "kamstrup.tariff" => {
            ["true", "false"]
        }
        // With `true`, the files would be read.
        "mqtt.tls_enabled" => ["false", "off"],
        "mqtt.tls_version" => ["1.2", "1.3"],
        "serial_device.com_port" => ["/dev/a", "/dev/b"],
        "serial_device.key" => [
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        ],
        "serial_device.parity" => ["EVEN", "ODD"],
        "serial_device.bytesize" => ["7", "8"],
        "serial_device.timeout" => ["2", "3"],
        "serial_device.dtr" | "serial_device.rts" => ["off", "leave"],
        "kamstrup.parameters" => ["energy", "power"],
        "kamstrup.poll_interval" => ["10m", "1h"],
        "kamstrup.poll_offset" => ["-7s", "8s"],
        "kamstrup.slow_interval" => ["2h", "poll"],
        "kamstrup.return_limit" => ["40", "60=30"],
        "kamstrup.version" => ["403", "603"],
        "kamstrup.units" => ["meter", "standard"],
        "logging.level" => ["ERROR", "DEBUG"],
        "homeassistant.history" => ["gaps", "off"],
        "homeassistant.url" => ["http://a:8123", "https://b"],
        "web.enabled" => ["true", "no"],
        "web.listen" => ["127.0.0.1:1", "[::]:2"],
        "web.token" | "homeassistant.token" => ["one token", "other token"],
        _ => ["one", "other"],
    }
}

/// Each variable of the table, and each secret in a file, overrides its key in the file.
#[test]
fn each_variable_overrides_its_key() {
    let folder = tempfile::TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    let mut count = 0;
    for key in keys::KEYS {
        let Some(variable) = key.variable else { continue };
        let [one, other] = two_values(key);
        let (section, name) = key.path.split_once('.').unwrap();
        let mut yaml = format!("{section}:\n  {name}: {one}\n");
        // Authentication needs a user name.
        if key.path == "mqtt.authentication" {
            yaml.push_str("  username: x\n");
        }
        // To fill gaps, the program needs these.
        if key.path == "homeassistant.history" {
            yaml.push_str("  url: http://c\n  token: another token\n");
        }
        let port = if key.path == "serial_device.com_port" { "SERIAL_RTS" } else { PORT.0 };
        let port = (port, if port == PORT.0 { PORT.1 } else { "on" });
        // Only a node has a key.
        let of_node = key.path == "serial_device.key";
        let port = if of_node { (PORT.0, "esphome://a") } else { port };
        let load = |variables: &Variables| {
            let loaded = check(Some((Path::new("x"), &yaml)), variables).unwrap();
            let entry = loaded.settings.sections.into_iter().find(|it| it.key == key.path);
            entry.map(|Entry { value, origin, .. }| {
                let value = match value {
                    Effect::Secret(secret) => secret.reveal().to_owned(),
                    value => value.to_string(),
                };
                (value, origin)
            })
        };
        let spot = Spot { path: "x".into(), line: 2, column: 3 };
        let by_file = Some((one.to_owned(), Origin::File(spot)));
        assert_eq!(load(&variables(&[port])), by_file, "{variable}");
        let by_variable = Some((other.to_owned(), Origin::Variable(variable)));
        assert_eq!(load(&variables(&[port, (variable, other)])), by_variable);
        // An empty variable counts as not set.
        assert_eq!(load(&variables(&[port, (variable, "")])), by_file, "{variable}");
        if let Some(file_variable) = key.file_variable() {
            std::fs::write(&secret, format!("{other}\n")).unwrap();
            let path = secret.to_str().unwrap();
            let by_secret = load(&variables(&[port, (&file_variable, path)]));
            let origin = Origin::SecretFile { variable: file_variable.clone(), path: path.into() };
            assert_eq!(by_secret, Some((other.to_owned(), origin)));
            let both = variables(&[port, (variable, other), (&file_variable, path)]);
            let two = Problem {
                about: About::Variables(variable, file_variable),
                found: Actual::Both,
                accepted: Accepted::This("one of them"),
            };
            let Err(ConfigError::Problems { problems, .. }) = check(None, &both) else { panic!() };
            assert!(problems.contains(&two), "{problems:?}");
        }
        count += 1;
    }
    assert_eq!(count, 41);
}

#[test]
fn files_of_secrets_that_cannot_be_used() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("secret");
    let load = || {
        let file = path.to_str().unwrap();
        let all = variables(&[PORT, ("MQTT_USERNAME", "x"), ("MQTT_PASSWORD_FILE", file)]);
        match check(None, &all) {
            Ok(loaded) => loaded.config.broker.credentials.unwrap().password.reveal().to_owned(),
            Err(error) => data_of(&error).replace(file, "SECRET"),
        }
    };
    let mut texts = vec![load()];
    std::fs::create_dir(&path).unwrap();
    texts.push(load());
    std::fs::remove_dir(&path).unwrap();
    for bytes in
        [&b"\n"[..], b"\xFFhunter2", b"user\nhunter2\n", "x".repeat(70_000).as_bytes(), b"0007\r\n"]
    {
        std::fs::write(&path, bytes).unwrap();
        texts.push(load());
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_misplaced_path_of_a_log_file_gets_a_suggestion() {
    let remark = |key: &str, text: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/a}}\nlogging: {{{key}: '{text}'}}\n");
        match from_yaml(&yaml) {
            Err(ConfigError::Problems { problems, .. }) => match problems[0].found.clone() {
                Actual::Text(found, remark) => {
                    assert_eq!(found, Quoted::new(text));
                    remark
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let home = |rest: &str| Some(Remark::Home(rest.to_owned()));
    let file = |name: &str, folder: &str| {
        Some(Remark::MeantFile { name: name.to_owned(), folder: folder.to_owned() })
    };
    assert_eq!(remark("directory", "~/logs"), home("/logs"));
    assert_eq!(remark("directory", "~"), home(""));
    let accepted = "serial_device: {com_port: /dev/a}\nlogging: {directory: './~'}\n";
    assert!(from_yaml(accepted).is_ok());
    assert_eq!(remark("filename", "/var/log/heat.log"), file("heat.log", "/var/log"));
    assert_eq!(remark("filename", "~/heat.log"), file("heat.log", "/home/NAME"));
    assert_eq!(remark("filename", "logs/"), None);
}

#[test]
fn a_meter_at_the_brokers_address_is_a_warning() {
    let yaml = "mqtt: {host: Box.lan}\nserial_device: {com_port: 'socket://box.lan:1883'}\n";
    let warnings = from_yaml(yaml).unwrap().warnings;
    assert_eq!(warnings, [Warning::BrokersPort("socket://box.lan:1883".parse().unwrap())]);
    assert_eq!(from_yaml(&yaml.replace(":1883", ":2003")).unwrap().warnings, []);
}

/// A key may be in the address or a setting of its own, also of each meter. It is never shown.
#[test]
fn a_key_is_only_for_nodes_and_must_not_contradict_the_address() {
    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let encoded = KEY.replace('=', "%3D");
    let with_key = |address: &str, key: &str| {
        from_yaml(&format!("serial_device: {{com_port: '{address}', key: '{key}'}}\n"))
    };
    let ports = |loaded: Result<Loaded, ConfigError>| -> Vec<Endpoint> {
        loaded.unwrap().config.meters.into_iter().map(|meter| meter.endpoint).collect()
    };
    let expected: Endpoint = format!("esphome://a/?key={KEY}").parse().unwrap();
    for loaded in [
        with_key("esphome://a", KEY),
        with_key(&format!("esphome://a:6053/?port=0&key={encoded}"), KEY),
        from_yaml(&format!("serial_device: {{com_port: 'esphome://a?key={KEY}'}}\n")),
        check(None, &variables(&[("SERIAL_COM_PORT", "esphome://a"), ("SERIAL_KEY", KEY)])),
    ] {
        assert_eq!(ports(loaded), std::slice::from_ref(&expected));
    }
    // Of a list: a key for all of them is used for nodes only, and a meter's own key overrides it.
    let list = |meters: &str| from_yaml(&format!("serial_device: {{key: '{KEY}'}}\n{meters}"));
    let loaded = list(&format!(
        "meters:\n- {{name: a, com_port: 'esphome://a'}}\n- {{name: b, com_port: /dev/b}}\n\
         - {{name: c, com_port: 'esphome://c', key: '{OTHER}'}}\n\
         - {{name: d, com_port: 'esphome://d?key={OTHER}'}}\n"
    ));
    let of = |host: &str| format!("esphome://{host}/?key={OTHER}").parse().unwrap();
    let device = "/dev/b".parse().unwrap();
    assert_eq!(ports(loaded), [expected, device, of("c"), of("d")]);

    let mut texts = Vec::new();
    for error in [
        with_key("esphome://a", "secret"),
        with_key(&format!("esphome://a/?key={OTHER}"), KEY),
        with_key("/dev/ttyUSB0", KEY),
        with_key("socket://a:1", KEY),
        list("meters:\n- {name: a, com_port: /dev/a}\n"),
        from_yaml("serial_device: {com_port: 'esphome://a/?key=hunter2&port=1'}\n"),
        from_yaml("serial_device: {com_port: 'esphom://a/?port=1&KEY=hunter2'}\n"),
        from_yaml("serial_device: {com_port: 'esphome://a/?port=first'}\n"),
        from_yaml("serial_device: {com_port: 'esphome-hass://esphome/01/?port_name=head'}\n"),
    ] {
        let error = error.unwrap_err();
        for runs_as in [RunsAs::Program, RunsAs::AddOn] {
            let ConfigError::Problems { problems, .. } = &error else { panic!("{error}") };
            let words: Vec<_> = problems.iter().map(|problem| problem.words(runs_as)).collect();
            texts.push(words.join("\n"));
        }
        let shown = format!("{error} {error:?}");
        let secrets = [&KEY[..20], &OTHER[..20], "hunter2"];
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
    }
    texts.dedup();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_user_name_that_is_not_used_is_a_warning() {
    let yaml = "mqtt: {username: me, password: x, authentication: false}\n\
                serial_device: {com_port: /dev/ttyUSB0}\n";
    let loaded = from_yaml(yaml).unwrap();
    assert_eq!(loaded.config.broker.credentials, None);
    assert_eq!(loaded.warnings, [Warning::Login(Login::Off)]);
}

#[test]
fn a_missing_space_after_a_colon_is_a_problem() {
    let error = data_of(&from_yaml("mqtt:\n  host:192.168.1.100\n").unwrap_err());
    assert!(error.contains("column: 1 })), found: Shape(NoSpace),"), "{error}");
}

#[test]
fn a_named_file_must_exist() {
    let error = load(Some(Path::new("/no/such/file.yaml")), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().starts_with("the configuration /no/such/file.yaml cannot be read: "));
}

/// The suggestion was the link itself.
#[test]
fn a_link_to_nowhere_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(path("nothing"), path("meter.yaml")).unwrap();
    let said = || load(Some(&path("meter.yaml")), &BTreeMap::new()).unwrap_err().to_string();
    let link = format!("it is a link to {}, which does not exist", path("nothing").display());
    assert!(said().ends_with(&link), "{}", said());
    // Another link to nowhere is no better.
    std::os::unix::fs::symlink(path("nothing"), path("metre.yaml")).unwrap();
    assert!(said().ends_with(&link), "{}", said());
    std::fs::write(path("meter.yml"), "").unwrap();
    let meant = format!("{link}; did you mean `{}`?", path("meter.yml").display());
    assert!(said().ends_with(&meant), "{}", said());
}

/// As the folder of a service is for everybody but root: the file was taken for a missing one.
#[test]
fn a_file_that_cannot_be_looked_at_is_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    // A file that is used as a folder cannot be opened, not even by root.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let state = variables(&[("STATE_DIRECTORY", file.to_str().unwrap())]);
    let named = file.join("config.yaml");
    for (named, variables) in [(None, &state), (Some(named.as_path()), &variables(&[]))] {
        let error = load(named, variables).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
        assert!(!is_unconfigured(named, variables), "the setup page would write another file");
    }
}

#[test]
fn a_limit_is_a_temperature_or_a_table() {
    let limit = |text: &str| {
        let yaml = format!(
            "serial_device: {{com_port: /dev/a}}\nkamstrup: {{tariff: true, return_limit: {text}}}\n"
        );
        let loaded = from_yaml(&yaml).map_err(|error| error.to_string())?;
        Ok(loaded.config.meters[0].tariff.clone().unwrap().limit.unwrap().rows().len())
    };
    for (text, rows) in
        [("40", 1), ("40.5", 1), ("'60=30, 72=39'", 2), ("[60=30, 72 = 39.5]", 2), ("60=30", 1)]
    {
        assert_eq!(limit(text), Ok(rows), "{text}");
    }
    let mut errors: Vec<String> = Vec::new();
    for text in ["hot", "-3", "201", "1e1", "40°C", "[40, 60=30]", "'60=30, 60=31'", "60="] {
        errors.push(limit(text).unwrap_err());
    }
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn filling_gaps_needs_an_address_and_a_token() {
    let load = |lines: &str| {
        let yaml = format!("serial_device: {{com_port: /dev/a}}\nhomeassistant: {{{lines}}}\n");
        check(Some((Path::new("x"), &yaml)), &Variables::new())
    };
    let problems = |lines: &str| match load(lines).unwrap_err() {
        ConfigError::Problems { problems, .. } => {
            let words = problems.iter().map(|it| it.words(RunsAs::Program));
            words.collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?}"),
    };
    let both = "url: 'http://ha:8123', token: a-secret-token";
    for (lines, history, is_known) in [
        ("", HistoryUse::Off, false),
        ("history: off", HistoryUse::Off, false),
        ("url: 'http://ha'", HistoryUse::Off, false),
        ("token: a-secret-token", HistoryUse::Off, false),
        (both, HistoryUse::Off, true),
        (&format!("history: gaps, {both}"), HistoryUse::Gaps, true),
        (&format!("history: full, {both}"), HistoryUse::Full, true),
    ] {
        let loaded = load(lines).unwrap();
        assert_eq!(loaded.config.history, history);
        assert_eq!(loaded.config.home_assistant.is_some(), is_known);
        assert!(!format!("{loaded:?}").contains("a-secret-token"));
    }
    for (lines, missing) in [
        ("history: gaps", vec!["homeassistant.url", "homeassistant.token"]),
        ("history: gaps, url: 'http://ha'", vec!["homeassistant.token"]),
        ("history: full", vec!["homeassistant.url", "homeassistant.token"]),
        ("history: all", vec!["homeassistant.history"]),
        ("url: 'http://me:hunter22@ha', token: a-secret-token", vec!["homeassistant.url"]),
    ] {
        let words = problems(lines);
        assert_eq!(words.lines().count(), missing.len(), "{words}");
        for key in missing {
            assert!(words.contains(&format!("`{key}`")), "{words}");
        }
        assert!(!words.contains("a-secret-token") && !words.contains("hunter22"), "{words}");
    }
}
