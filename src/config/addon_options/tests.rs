use super::super::model::HistoryUse;
use super::super::setting::Field;
use super::super::tests::data;
use super::*;

fn from(json: &str) -> Result<Options, OptionsError> {
    check(Path::new("/data/options.json"), json.as_bytes())
}

/// The options of a fresh installation, with an adapter chosen.
const FRESH: &str = r#"{
    "serial_port": "/dev/serial/by-id/usb-FTDI-if00-port0",
    "meter": "auto",
    "parameters": ["energy", "volume", "power", "flow", "temp1", "temp2", "tempdiff"],
    "poll_interval": "5m",
    "units": "standard",
    "meters": [],
    "mqtt": {},
    "log_level": "info"
}"#;

/// Home Assistant's Supervisor gives the app address and token.
#[test]
fn the_app_needs_neither_address_nor_token_to_fill_gaps() {
    for (option, history) in [
        (r#""gaps""#, HistoryUse::Gaps),
        (r#""off""#, HistoryUse::Off),
        // As YAML writes `off`.
        ("false", HistoryUse::Off),
    ] {
        let json = format!(r#"{{"port": "/dev/ttyUSB0", "history": {option}}}"#);
        let options = check(Path::new("x"), json.as_bytes()).unwrap();
        assert_eq!(options.config.history, history, "{option}");
        assert_eq!(options.config.home_assistant, None);
    }
    let wrong = check(Path::new("x"), br#"{"port": "/dev/ttyUSB0", "history": "all"}"#);
    let words = wrong.unwrap_err().problems().join("\n");
    assert!(words.contains("\"Fill the statistics\"") && words.contains("`all`"), "{words}");
}

#[test]
fn every_option_is_used() {
    let forms = [
        ("fresh, with an adapter", FRESH),
        (
            "all of one meter",
            r#"{"port": " socket://10.0.0.3:2003 ", "meter": "403",
            "parameters": ["energy", "60", "0x003C"], "poll_interval": "90s",
            "units": "meter", "meters": [], "log_level": "debug",
            "mqtt": {"host": "10.0.0.2", "port": 1884, "username": "me", "password": " p ",
            "topic": "heat", "discovery_prefix": "ha", "qos": "2", "retain": true,
            "tls": false}}"#,
        ),
        (
            "several meters",
            r#"{"meter": "603", "parameters": ["energy"], "poll_interval": "10", "mqtt": {},
            "meters": [
                {"name": "house", "serial_port": "/dev/ttyUSB0"},
                {"name": "garage", "port": "socket://10.0.0.3:2003", "meter": "402",
                 "parameters": "power, flow", "poll_interval": "1h", "units": "meter",
                 "device_name": "The Garage"}]}"#,
        ),
        (
            "one meter in the list, and a port outside it",
            r#"{"serial_port": "/dev/ttyUSB0", "meters": [{"name": "house"}]}"#,
        ),
        (
            "warnings",
            r#"{"serial_port": "/dev/ttyUSB0", "port": "/dev/ttyUSB1", "baudrate": 1200,
            "mqtt": {"username": "me", "password": "hunter2", "tls": false, "hosst": "x"},
            "meters": [{"name": "a", "serial_port": "/dev/ttyUSB2", "port": "/dev/ttyUSB3",
            "topic": "x"}, {"name": "b"}, {"name": "c", "port": null}]}"#,
        ),
    ];
    let texts = forms.map(|(name, json)| {
        let Options { config, warnings, own_broker, .. } = from(json).unwrap();
        assert_ne!(own_broker, config.broker.host == "localhost", "{name}");
        let Config { broker, publishing, meters, logging, .. } = config;
        let log_level = logging.level;
        let meters: Vec<_> = meters.iter().map(|meter| format!("{meter:?}")).collect();
        let meters = meters.join("\n");
        let warnings = data(&[], &warnings);
        format!("{name}: {warnings}\n{broker:?}\n{publishing:?}\n{log_level:?}\n{meters}")
    });
    insta::assert_snapshot!(texts.join("\n\n"));
}

/// Settings that are not on the form are left out, and so is a broker that Home Assistant provides.
#[test]
fn effective_options_have_the_names_of_the_form() {
    let lines = |json: &str| {
        let lines: Vec<_> = from(json).unwrap().lines().map(|line| line.join(" | ")).collect();
        lines.join("\n")
    };
    let forms = [
        FRESH,
        r#"{"port": "/dev/ttyUSB0", "log_level": "debug",
        "mqtt": {"host": "broker", "username": "me", "password": "hunter2", "topic": "heat"}}"#,
        r#"{"meter": "603", "meters": [{"name": "house", "serial_port": "/dev/ttyUSB0"},
        {"name": "garage", "port": "socket://10.0.0.3:2003", "device_name": "The Garage"}]}"#,
        r#"{"serial_port": "/dev/ttyUSB0", "meters": [{"name": "house"}]}"#,
    ];
    insta::assert_snapshot!(forms.map(lines).join("\n\n"));
}

#[test]
fn errors_use_the_names_of_the_form_and_quote_no_secret() {
    let port = r#""serial_port": "/dev/ttyUSB0""#;
    let forms = [
        ("fresh", FRESH.replace(r#""serial_port": "/dev/serial/by-id/usb-FTDI-if00-port0","#, "")),
        ("empty", String::new()),
        ("half of it", FRESH[..76].to_owned()),
        ("a list", "[]".to_owned()),
        (
            "wrong values",
            r#"{"port": "COM3", "meter": "404", "parameters": ["energy", "enregy"],
            "poll_interval": "0", "units": "imperial", "log_level": "loud", "mqtt": {
            "host": "mqtt://me:hunter2@host", "port": 0, "topic": "a/#", "qos": "3",
            "discovery_prefix": "+", "retain": "perhaps"}}"#
                .to_owned(),
        ),
        (
            "files of TLS",
            format!(
                r#"{{{port}, "mqtt": {{"host": "broker", "tls": true,
            "tls_ca_cert": "no-such-ca.crt", "tls_cert": "client.crt",
            "tls_key_password": "hunter2"}}}}"#
            ),
        ),
        (
            "TLS switched off",
            format!(
                r#"{{{port}, "units": "x", "mqtt": {{"host": "broker", "tls": false,
            "tls_ca_cert": "ca.crt", "tls_cert": "client.crt", "tls_key": "client.key"}}}}"#
            ),
        ),
        ("the other port", r#"{"serial_port": "rfc2217://host:1"}"#.to_owned()),
        (
            "wrong shapes",
            format!(
                r#"{{{port}, "meter": {{}}, "parameters": [[]], "units": ["meter"],
            "mqtt": {{"host": "host", "password": ["hunter2"]}}, "meters": "house"}}"#
            ),
        ),
        ("wrong sets", format!(r#"{{{port}, "mqtt": "hunter2", "meters": ["hunter2"]}}"#)),
        (
            "wrong meters",
            r#"{"meters": [{"name": "house", "serial_port": "/dev/ttyUSB0"},
            {"name": "the garage", "port": "COM3", "meter": "404", "parameters": "flux",
            "poll_interval": "x", "units": "y"}, {"name": "House"}, {"port": "/dev/ttyUSB1"},
            {"name": "barn", "serial_port": "COM4"}]}"#
                .to_owned(),
        ),
    ];
    let texts = forms.map(|(name, json)| {
        let data = match from(&json).unwrap_err() {
            OptionsError::Problems { problems, warnings } => data(&problems, &warnings),
            other => format!("{other:?}"),
        };
        format!("{name}: {data}")
    });
    let text = texts.join("\n");
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

/// This holds even if the value is the name of a setting.
#[test]
fn values_are_quoted_as_written() {
    let port = r#""port": "/dev/ttyUSB0""#;
    for (json, expected) in [
        (
            format!(r#"{{{port}, "parameters": ["version", "energy"]}}"#),
            "\"Values\" (`parameters`): found `version`, accepted: names of values like `energy` and register \
             numbers like `60` or `0x003C`, separated by commas or as a list",
        ),
        (
            r#"{"port": "level"}"#.to_owned(),
            "\"Port\" (`port`): found `level` (the path of a device begins with `/`, usually with `/dev/`), \
             accepted: a device path like `/dev/ttyUSB0`, `socket://host:port` for a serial server in raw \
             TCP mode, or `esphome://host` for an ESPHome node",
        ),
        (
            format!(r#"{{{port}, "units": "com_port", "mqtt": {{"host": "broker"}}}}"#),
            "\"Units\" (`units`): found `com_port`, accepted: `standard` (kWh, W, °C, m³, m³/h) or `meter` \
             (the units that the meter is set to)",
        ),
        (
            r#"{"meters": [{"name": "a", "port": "version"}]}"#.to_owned(),
            "\"Port\" (`port`) of entry 1 (`a`) of \"Several meters\": found `version` (the path of a \
             device begins with `/`, usually with `/dev/`), accepted: a device path like \
             `/dev/ttyUSB0`, `socket://host:port` for a serial server in raw TCP mode, or \
             `esphome://host` for an ESPHome node",
        ),
    ] {
        assert_eq!(from(&json).unwrap_err().problems(), [expected]);
    }
}

#[test]
fn exactly_the_options_of_the_form_are_read() {
    let port = [&keys::COM_PORT.key, &keys::DEVICE_NAME.key];
    let read = OF_PORT
        .iter()
        .chain(&OF_METER)
        .chain(&OF_FORM)
        .chain(&PUBLISHING)
        .chain(&BROKER)
        .chain(&port);
    let read: Vec<&Key> = read.copied().collect();
    for key in keys::KEYS {
        assert_eq!(read.contains(key), key.is_on_form(), "{key:?}");
    }
}

/// Forms with all kinds of mistakes.
fn mistaken_forms() -> Vec<String> {
    let port = r#""port": "/dev/ttyUSB0""#;
    let two = |one: &str, other: &str| {
        format!(
            r#"{{"meters": [{{{one}, "serial_port": "/dev/a"}}, {{{other}, "serial_port": "/dev/b"}}]}}"#
        )
    };
    let of_mqtt = |mqtt: &str| format!(r#"{{{port}, "mqtt": {{{mqtt}}}}}"#);
    let of_broker = |mqtt: &str| of_mqtt(&format!(r#""host": "broker", {mqtt}"#));
    vec![
        // Each of these named `device_id`, which is not on the form.
        two(r#""name": "house""#, r#""name": "house""#),
        two(r#""name": "house", "device_name": "A""#, r#""name": "house", "device_name": "A""#),
        two(r#""name": "house""#, r#""name": "House""#),
        two(r#""name": "a", "parameters": "diff_energy""#, r#""name": "a_diff""#),
        two(r#""name": "energy""#, r#""units": "meter""#),
        r#"{"meters": [{"name": "a"}, {"name": "a"}]}"#.to_owned(),
        r#"{"meters": "house"}"#.to_owned(),
        r#"{"meters": ["house"]}"#.to_owned(),
        "{}".to_owned(),
        r#"{"port": "COM3"}"#.to_owned(),
        r#"{"serial_port": "rfc2217://host:1"}"#.to_owned(),
        format!(
            r#"{{{port}, "meter": "404", "parameters": ["enregy", "70000"], "poll_interval": "0",
            "units": "imperial", "log_level": "loud"}}"#
        ),
        format!(r#"{{{port}, "meter": {{}}, "parameters": [[]], "mqtt": "x"}}"#),
        of_mqtt(r#""topic": "homeassistant""#),
        of_mqtt(r#""topic": "a/#", "discovery_prefix": "+", "qos": "3", "retain": "perhaps""#),
        of_mqtt(r#""discovery_prefix": "kamstrup""#),
        of_mqtt(r#""host": "mqtt://broker:1884""#),
        of_broker(r#""port": 0, "password": ["x"]"#),
        of_broker(r#""tls": true, "tls_cert": "x", "tls_ca_cert": "no-such-file""#),
        of_broker(
            r#""tls": true, "tls_ca_cert": "x", "tls_key_password": "x", "tls_insecure": "perhaps""#,
        ),
        of_mqtt(r#""host": "fe80::1%eth0", "tls": true, "tls_ca_cert": "x""#),
    ]
}

/// Forms that are accepted with a warning.
fn odd_forms() -> Vec<String> {
    let port = r#""port": "/dev/ttyUSB0""#;
    let of_mqtt = |mqtt: &str| format!(r#"{{{port}, "mqtt": {{{mqtt}}}}}"#);
    vec![
        format!(r#"{{{port}, "serial_port": "/dev/ttyUSB1"}}"#),
        r#"{"meters": [{"name": "a", "port": "/dev/a"}, {"name": "b", "port": "/dev/a"}]}"#
            .to_owned(),
        of_mqtt(r#""username": "me", "password": "x", "tls": true"#),
        of_mqtt(r#""host": "broker", "username": "me""#),
        of_mqtt(r#""host": "broker", "password": "x""#),
        of_mqtt(r#""host": "broker", "tls_cert": "a", "tls_key": "b""#),
        r#"{"port": "socket://broker:1883", "mqtt": {"host": "broker"}}"#.to_owned(),
    ]
}

/// What the form shows next to each option, by the option's name.
fn labels() -> BTreeMap<String, String> {
    let english = std::fs::read_to_string("kamstrup2mqtt-addon/translations/en.yaml").unwrap();
    let english: Value = serde_saphyr::from_str(&english).unwrap();
    let mut labels = BTreeMap::new();
    for (option, entry) in english["configuration"].as_object().unwrap() {
        let mut label = |name: String, entry: &Value| {
            labels.insert(name, entry["name"].as_str().unwrap().to_owned());
        };
        label(option.clone(), entry);
        for (field, entry) in entry.get("fields").and_then(Value::as_object).into_iter().flatten() {
            label(format!("{option}.{field}"), entry);
        }
    }
    labels
}

#[test]
fn settings_are_called_as_the_form_shows_them() {
    let labels = labels();
    let check = |option: &str, field: Field| {
        assert_eq!(labels.get(option).map(String::as_str), Some(field.label), "{option}");
        // A listed meter's option has the same label.
        if let Some(of_meter) = labels.get(&format!("meters.{option}")) {
            assert_eq!(of_meter, field.label, "{option}");
        }
    };
    for key in keys::KEYS.iter().copied().chain([&keys::NAME.key]) {
        match key.form {
            FormName::Absent => {}
            FormName::OfMqtt(field) => check(&format!("mqtt.{}", field.name), field),
            FormName::Option(field) if labels.contains_key(field.name) => check(field.name, field),
            FormName::Option(field) => check(&format!("meters.{}", field.name), field),
            FormName::Either(one, other) => {
                check(one.name, one);
                check(other.name, other);
            }
        }
    }
    for group in [keys::MQTT_GROUP, keys::METERS_GROUP] {
        check(group.name, group);
    }
}

/// Each message has the words that the form shows, and no name that only a file has.
#[test]
fn messages_name_only_what_the_form_shows() {
    let labels: Vec<_> = labels().into_values().map(|label| format!("\"{label}\"")).collect();
    let absent = keys::KEYS.iter().filter(|key| !key.is_on_form());
    let absent: Vec<_> = absent.map(|key| format!("`{}`", key.name())).collect();
    let paths = keys::KEYS.iter().map(|key| format!("`{}`", key.path));
    let foreign: Vec<_> = paths.chain(absent).collect();
    let check = |words: &str| {
        assert!(labels.iter().any(|label| words.contains(label)), "{words}");
        assert!(!foreign.iter().any(|name| words.contains(name)), "{words}");
    };
    let mut all = Vec::new();
    for form in mistaken_forms() {
        let error = from(&form).expect_err(&form);
        all.extend(error.problems());
    }
    let problems = all.len();
    for form in odd_forms() {
        let warnings = from(&form).unwrap().warnings;
        all.extend(warnings.iter().map(|warning| warning.words(RunsAs::AddOn)));
    }
    assert!(all.len() >= problems + odd_forms().len(), "{all:?}");
    // It names two addresses, and no setting.
    all.iter()
        .filter(|words| !words.starts_with("the meter's port "))
        .for_each(|words| check(words));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn errors_in_words() {
    let missing = |key| Problem {
        about: About::Setting(key, Place::shared(Origin::Default)),
        found: Actual::Nothing,
        accepted: Accepted::Usual,
    };
    let path = || PathBuf::from("/data/options.json");
    let problems = |problems| OptionsError::Problems { problems, warnings: Vec::new() };
    let errors = [
        OptionsError::Unreadable { path: path(), reason: "it is gone".to_owned() },
        OptionsError::Broken { path: path(), reason: "it is empty".to_owned() },
        problems(vec![missing(&keys::COM_PORT)]),
        problems(vec![missing(&keys::HOST), missing(&keys::COM_PORT)]),
    ];
    let texts = errors.map(|error| format!("{error}\n  {}", error.hint()));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(&folder.path().join("options.json")).unwrap_err();
    assert!(matches!(missing, OptionsError::Unreadable { .. }), "{missing}");
    let of_folder = load(folder.path()).unwrap_err();
    assert!(matches!(of_folder, OptionsError::Unreadable { .. }), "{of_folder}");
    let long = folder.path().join("long");
    std::fs::write(&long, vec![b' '; 2 * 1024 * 1024]).unwrap();
    let long = load(&long).unwrap_err().to_string();
    assert!(long.ends_with("it is longer than 1 MiB"), "{long}");
}

#[test]
fn file_names_are_relative_to_the_ssl_folder() {
    let text = |text: &str| Raw::Text(text.to_owned());
    assert_eq!(in_folder(&keys::TLS_KEY, text("a/b.key")), text("/ssl/a/b.key"));
    assert_eq!(in_folder(&keys::TLS_KEY, text("/ssl/b.key")), text("/ssl/b.key"));
    assert_eq!(in_folder(&keys::HOST, text("broker")), text("broker"));
}

#[test]
fn effective_options_show_the_broker_in_use() {
    let shown = |lines: Vec<[String; 3]>| {
        let lines = lines.into_iter().filter(|[_, _, origin]| origin == "Home Assistant");
        lines.map(|[key, value, _]| format!("{key}: {value}")).collect::<Vec<_>>()
    };
    let options = from(r#"{"port": "/dev/ttyUSB0"}"#).unwrap();
    assert_eq!(shown(options.lines().collect()), [""; 0]);
    let supplied = Supplied {
        host: "core-mosquitto".to_owned(),
        port: "1884".to_owned(),
        tls: false,
        username: Some("addons".to_owned()),
        password: Some(Secret::new("hunter2")),
    };
    let (_, lines) = options.with_broker(&supplied).unwrap();
    let rest = lines.len().checked_sub(options.lines().count());
    let broker = shown(lines);
    assert_eq!(
        broker,
        [
            "\"Broker\" under \"Own MQTT broker\": core-mosquitto",
            "\"Port\" under \"Own MQTT broker\": 1884",
            "\"User name\" under \"Own MQTT broker\": addons",
            "\"Password\" under \"Own MQTT broker\": ***",
            "\"Encryption (TLS)\" under \"Own MQTT broker\": false",
        ]
    );
    assert_eq!(rest, Some(broker.len()));
}

#[test]
fn the_provided_broker_is_checked_too() {
    let options = from(FRESH).unwrap();
    let supplied = |host: &str, port: &str| Supplied {
        host: host.to_owned(),
        port: port.to_owned(),
        tls: false,
        username: Some("addons".to_owned()),
        password: Some(Secret::new("hunter2")),
    };
    let (config, _) = options.with_broker(&supplied("core-mosquitto", "1883")).unwrap();
    assert_eq!(config.broker.name(), "core-mosquitto:1883");
    let credentials = config.broker.credentials.unwrap();
    assert_eq!(credentials.username, "addons");
    assert_eq!(credentials.password.reveal(), "hunter2");
    assert_eq!((config.publishing, config.meters), {
        let Config { publishing, meters, .. } = options.config.clone();
        (publishing, meters)
    });
    // This needs the system's list of CAs, if there is one.
    match options.with_broker(&Supplied { tls: true, ..supplied("broker", "8883") }) {
        Ok((config, _)) => assert!(config.broker.tls.is_some()),
        Err(error) => assert!(error.problems().join(" ").contains("trust"), "{error:?}"),
    }
    let bare = Supplied { username: None, ..supplied("core-mosquitto", "1883") };
    assert_eq!(options.with_broker(&bare).unwrap().0.broker.credentials, None);
    for (host, port) in [("", "1883"), ("two words", "1883"), ("a", "0"), ("a", "x")] {
        assert!(options.with_broker(&supplied(host, port)).is_err(), "{host}:{port}");
    }
}
