//! What was meant: by other names that users know, and by slips of the finger.

use super::keys::{self, KEYS, Key, METERS, NAME, SECTIONS};

/// What a name stands for.
enum Of {
    Setting(&'static Key),
    Section(&'static str),
}

impl Of {
    fn path(&self) -> &'static str {
        match self {
            Self::Setting(key) => key.path,
            Self::Section(name) => name,
        }
    }

    fn key(&self) -> Option<&'static Key> {
        match self {
            Self::Setting(key) => Some(key),
            Self::Section(_) => None,
        }
    }

    /// The section in which it stands; sections stand in none.
    fn section(&self) -> &'static str {
        self.key().map_or("", Key::section)
    }
}

/// What users call settings that have another name here; some are those of other programs.
#[rustfmt::skip]
static OTHER_NAMES: &[(Of, &[&str])] = &[
    (Of::Section("mqtt"), &["broker", "mqtt_broker", "mqtt_server"]),
    (Of::Setting(&keys::HOST.key), &["broker", "server", "address", "hostname", "ip", "url", "broker_host"]),
    (Of::Setting(&keys::PORT.key), &["broker_port"]),
    (Of::Setting(&keys::USERNAME.key), &["user", "login", "user_name"]),
    (Of::Setting(&keys::PASSWORD.key), &["pass", "passwd", "pwd"]),
    (Of::Setting(&keys::AUTHENTICATION.key), &["auth"]),
    (Of::Setting(&keys::CLIENT.key), &["client_id", "clientid", "client_name"]),
    (Of::Setting(&keys::TOPIC.key), &["topic_prefix", "base_topic", "prefix", "root_topic"]),
    (Of::Setting(&keys::TLS_ENABLED.key), &[
        "tls", "ssl", "use_tls", "use_ssl", "enable_tls", "enable_ssl", "ssl_enabled", "secure",
        "encryption", "encrypted",
    ]),
    (Of::Setting(&keys::TLS_CA_CERT.key), &[
        "cafile", "ca_file", "ca", "ca_cert", "ca_certs", "ca_certificate", "tls_ca", "ssl_ca",
        "capath", "certificate_authority",
    ]),
    (Of::Setting(&keys::TLS_CERT.key), &["cert", "certfile", "cert_file", "certificate", "client_cert", "tls_certfile"]),
    (Of::Setting(&keys::TLS_KEY.key), &["key", "keyfile", "key_file", "private_key", "client_key", "tls_keyfile"]),
    (Of::Setting(&keys::TLS_KEY_PASSWORD.key), &["key_password", "keyfile_password", "key_passphrase"]),
    (Of::Setting(&keys::TLS_INSECURE.key), &["insecure", "allow_insecure", "ssl_insecure", "tls_skip_verify"]),
    (Of::Setting(&keys::DEVICE_NAME.key), &["name"]),
    (Of::Setting(&keys::DISCOVERY_PREFIX.key), &["prefix", "discovery_topic", "ha_prefix"]),
    (Of::Setting(&keys::STATUS_TOPIC.key), &["birth_topic"]),
    (Of::Setting(&keys::ID_PREFIX.key), &["unique_id_prefix"]),
    (Of::Section("homeassistant"), &["hass", "ha"]),
    (Of::Section("serial_device"), &["serial", "serial_port", "serialport", "tty"]),
    (Of::Setting(&keys::COM_PORT.key), &["port", "device", "path", "serial_port", "serial", "tty", "address", "host"]),
    (Of::Setting(&keys::BAUDRATE.key), &["baud", "speed", "bps"]),
    (Of::Setting(&keys::BYTESIZE.key), &["data_bits", "databits"]),
    (Of::Setting(&keys::TIMEOUT.key), &["read_timeout"]),
    (Of::Section("kamstrup"), &["multical"]),
    (Of::Setting(&keys::POLL_INTERVAL.key), &[
        "interval", "polling_interval", "scan_interval", "update_interval", "read_interval",
        "refresh_interval", "poll", "period",
    ]),
    (Of::Setting(&keys::VERSION.key), &["model", "type", "meter", "meter_type", "meter_model"]),
    (Of::Setting(&keys::PARAMETERS.key), &["registers", "values", "sensors", "params"]),
    (Of::Section("logging"), &["log", "logger"]),
    (Of::Setting(&keys::LOG_LEVEL.key), &["log_level", "loglevel", "verbosity"]),
    (Of::Setting(&keys::DESTINATIONS.key), &["output", "outputs", "handlers", "targets"]),
    (Of::Setting(&keys::LOG_DIRECTORY.key), &["dir", "folder", "log_dir"]),
    (Of::Setting(&keys::LOG_FILENAME.key), &["file", "log_file", "logfile"]),
    (Of::Setting(&keys::ROTATE_WHEN.key), &["rotate", "rotation"]),
    (Of::Setting(&keys::BACKUP_COUNT.key), &["keep", "backups", "max_files"]),
    (Of::Setting(&keys::SYSLOG_ADDRESS.key), &["syslog"]),
    (Of::Section("web"), &["http", "webserver", "page"]),
    (Of::Setting(&keys::WEB_LISTEN.key), &["address", "bind", "port", "host"]),
    (Of::Section(METERS), &["meter"]),
];

/// What a name stands for that is not its own, among these.
fn by_other_name(name: &str, is_among: impl Fn(&Of) -> bool) -> Option<&'static Of> {
    let is_name = |other: &&str| other.eq_ignore_ascii_case(name);
    let mut known = OTHER_NAMES.iter().filter(|(of, _)| is_among(of));
    known.find(|(_, others)| others.iter().any(is_name)).map(|(of, _)| of)
}

/// Of these, the one that differs least from a misspelled text; none where all differ by more than
/// a slip of the finger or two.
pub(super) fn most_like<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&text, &known.to_ascii_lowercase());
    let slips = |known: &str| if known.len() < 6 { 1 } else { 2 };
    let near = known.map(|known| (distance(known), known));
    let near = near.filter(|(distance, known)| *distance <= slips(known));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// What a user most likely meant with the path of a key, or the name of a section, that is not
/// known.
pub(super) fn nearest(path: &str) -> Option<String> {
    let (section, name) = path.split_once('.').unwrap_or(("", path));
    let like = || {
        let names: Vec<&str> = match section {
            "" => SECTIONS.iter().map(|section| section.name).chain([METERS]).collect(),
            _ => KEYS.iter().filter(|key| key.section() == section).map(|key| key.name()).collect(),
        };
        let like = most_like(name, names.into_iter())?;
        Some(if section.is_empty() { like.to_owned() } else { format!("{section}.{like}") })
    };
    // Both are about the meter.
    let beside = match section {
        "kamstrup" => Some("serial_device"),
        "serial_device" => Some("kamstrup"),
        _ => None,
    };
    let elsewhere = || {
        let same = || KEYS.iter().find(|key| key.name().eq_ignore_ascii_case(name));
        by_other_name(name, |of| beside.is_some_and(|beside| of.section() == beside))
            .map(Of::path)
            .or_else(|| same().map(|key| key.path))
            .or_else(|| by_other_name(name, |of| !of.section().is_empty()).map(Of::path))
    };
    let own = by_other_name(name, |of| of.section() == section).map(|of| of.path().to_owned());
    own.or_else(like).or_else(|| elsewhere().map(str::to_owned))
}

/// What a user most likely meant with a key of a listed meter that is not known.
pub(super) fn nearest_of_meter(name: &str) -> Option<String> {
    let of_meters = KEYS.iter().filter(|key| key.is_of_meter()).map(|key| key.name());
    let other = by_other_name(name, |of| of.key().is_some_and(Key::is_of_meter));
    let other = other.and_then(Of::key).map(Key::name);
    other.or_else(|| most_like(name, of_meters.chain([NAME.path]))).map(str::to_owned)
}

/// The variable that a user most likely meant with one that is not known. Others' variables are
/// none of our business, so it must be very much like one of ours.
pub(super) fn nearest_variable(name: &str) -> Option<String> {
    let files = KEYS.iter().filter_map(|key| key.file_variable());
    let known: Vec<String> =
        KEYS.iter().filter_map(|key| key.variable).map(str::to_owned).chain(files).collect();
    // The sections' names, as the variables have them.
    let section =
        ["MQTT_", "SERIAL_", "KAMSTRUP_", "WEB_"].into_iter().find(|it| name.starts_with(it));
    if known.iter().any(|known| known == name) || (section.is_none() && !name.starts_with("LOG")) {
        return None;
    }
    let other = section.and_then(|section| {
        let rest = name.strip_prefix(section)?;
        let variable = |of: &Of| of.key().and_then(|key| key.variable);
        let is_here = |of: &Of| variable(of).is_some_and(|variable| variable.starts_with(section));
        by_other_name(rest, is_here).and_then(variable)
    });
    other.or_else(|| most_like(name, known.iter().map(String::as_str))).map(str::to_owned)
}
