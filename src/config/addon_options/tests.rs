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
        let Config { broker, publishing, meters, logging, page: _ } = config;
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
            "`parameters`: found `version`, accepted: names of values like `energy` and register \
             numbers like `60` or `0x003C`, separated by commas or as a list",
        ),
        (
            r#"{"port": "level"}"#.to_owned(),
            "`port`: found `level` (the path of a device begins with `/`, usually with `/dev/`), \
             accepted: a device path like `/dev/ttyUSB0`, or `socket://host:port` for a serial \
             server in raw TCP mode",
        ),
        (
            format!(r#"{{{port}, "units": "com_port", "mqtt": {{"host": "broker"}}}}"#),
            "`units`: found `com_port`, accepted: `standard` (kWh, W, °C, m³, m³/h) or `meter` \
             (the units that the meter is set to)",
        ),
        (
            r#"{"meters": [{"name": "a", "port": "version"}]}"#.to_owned(),
            "`port` of item 1 of `meters` (`a`): found `version` (the path of a device begins with \
             `/`, usually with `/dev/`), accepted: a device path like `/dev/ttyUSB0`, or \
             `socket://host:port` for a serial server in raw TCP mode",
        ),
    ] {
        assert_eq!(from(&json).unwrap_err().problems(), [expected]);
    }
}

#[test]
fn exactly_the_options_of_the_form_are_read() {
    let port = [&keys::COM_PORT.key, &keys::LOG_LEVEL.key, &keys::DEVICE_NAME.key];
    let read = OF_METER.iter().chain(&PUBLISHING).chain(&BROKER).chain(&port);
    let read: Vec<&Key> = read.copied().collect();
    for key in keys::KEYS {
        assert_eq!(read.contains(key), key.is_on_form(), "{key:?}");
    }
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
            "host of mqtt: core-mosquitto",
            "port of mqtt: 1884",
            "username of mqtt: addons",
            "password of mqtt: ***",
            "tls of mqtt: false",
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
