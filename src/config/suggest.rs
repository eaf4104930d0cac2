//! Suggestions for unknown keys: names that other programs use, and typing errors.

use super::keys::{self, KEYS, METERS, NAME, SECTIONS};
use super::setting::Key;
use crate::similar::{most_like, very_like};

/// The meaning of a name.
enum Target {
    Setting(&'static Key),
    Section(&'static str),
}

impl Target {
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

    /// Its section; empty for a section.
    fn section(&self) -> &'static str {
        self.key().map_or("", Key::section)
    }
}

/// Names that users give to settings with another name here. Some come from other programs.
#[rustfmt::skip]
static OTHER_NAMES: &[(Target, &[&str])] = &[
    (Target::Section("mqtt"), &["broker", "mqtt_broker", "mqtt_server"]),
    (Target::Setting(&keys::HOST.key), &["broker", "server", "address", "hostname", "ip", "url", "broker_host"]),
    (Target::Setting(&keys::PORT.key), &["broker_port"]),
    (Target::Setting(&keys::USERNAME.key), &["user", "login", "user_name"]),
    (Target::Setting(&keys::PASSWORD.key), &["pass", "passwd", "pwd"]),
    (Target::Setting(&keys::AUTHENTICATION.key), &["auth"]),
    (Target::Setting(&keys::CLIENT.key), &["client_id", "clientid", "client_name"]),
    (Target::Setting(&keys::TOPIC.key), &["topic_prefix", "base_topic", "prefix", "root_topic"]),
    (Target::Setting(&keys::TLS_ENABLED.key), &[
        "tls", "ssl", "use_tls", "use_ssl", "enable_tls", "enable_ssl", "ssl_enabled", "secure",
        "encryption", "encrypted",
    ]),
    (Target::Setting(&keys::TLS_CA_CERT.key), &[
        "cafile", "ca_file", "ca", "ca_cert", "ca_certs", "ca_certificate", "tls_ca", "ssl_ca",
        "capath", "certificate_authority",
    ]),
    (Target::Setting(&keys::TLS_CERT.key), &["cert", "certfile", "cert_file", "certificate", "client_cert", "tls_certfile"]),
    (Target::Setting(&keys::TLS_KEY.key), &["key", "keyfile", "key_file", "private_key", "client_key", "tls_keyfile"]),
    (Target::Setting(&keys::TLS_KEY_PASSWORD.key), &["key_password", "keyfile_password", "key_passphrase"]),
    (Target::Setting(&keys::TLS_INSECURE.key), &["insecure", "allow_insecure", "ssl_insecure", "tls_skip_verify"]),
    (Target::Setting(&keys::DEVICE_NAME.key), &["name"]),
    (Target::Setting(&keys::DISCOVERY_PREFIX.key), &["prefix", "discovery_topic", "ha_prefix"]),
    (Target::Setting(&keys::STATUS_TOPIC.key), &["birth_topic"]),
    (Target::Setting(&keys::ID_PREFIX.key), &["unique_id_prefix"]),
    (Target::Setting(&keys::LANGUAGE.key), &["lang", "locale"]),
    (Target::Section("homeassistant"), &["hass", "ha"]),
    (Target::Section("serial_device"), &["serial", "serial_port", "serialport", "tty"]),
    (Target::Setting(&keys::COM_PORT.key), &["port", "device", "path", "serial_port", "serial", "tty", "address", "host"]),
    (Target::Setting(&keys::BAUDRATE.key), &["baud", "speed", "bps"]),
    (Target::Setting(&keys::BYTESIZE.key), &["data_bits", "databits"]),
    (Target::Setting(&keys::TIMEOUT.key), &["read_timeout"]),
    (Target::Section("kamstrup"), &["multical"]),
    (Target::Setting(&keys::POLL_INTERVAL.key), &[
        "interval", "polling_interval", "scan_interval", "update_interval", "read_interval",
        "refresh_interval", "poll", "period",
    ]),
    (Target::Setting(&keys::POLL_OFFSET.key), &[
        "offset", "shift", "delay", "interval_offset", "poll_shift", "poll_delay", "phase",
    ]),
    (Target::Setting(&keys::SLOW_INTERVAL.key), &["slow", "slow_poll_interval", "slow_polling"]),
    (Target::Setting(&keys::TARIFF.key), &["mean_temperatures", "averages"]),
    (Target::Setting(&keys::HEATING_YEAR.key), &["first_month", "year_start", "heating_year_start"]),
    (Target::Setting(&keys::RETURN_LIMIT.key), &["limit", "return_temperature", "expected_return"]),
    (Target::Setting(&keys::VERSION.key), &["model", "type", "meter", "meter_type", "meter_model"]),
    (Target::Setting(&keys::PARAMETERS.key), &["registers", "values", "sensors", "params"]),
    (Target::Section("logging"), &["log", "logger"]),
    (Target::Setting(&keys::LOG_LEVEL.key), &["log_level", "loglevel", "verbosity"]),
    (Target::Setting(&keys::DESTINATIONS.key), &["output", "outputs", "handlers", "targets"]),
    (Target::Setting(&keys::LOG_DIRECTORY.key), &["dir", "folder", "log_dir"]),
    (Target::Setting(&keys::LOG_FILENAME.key), &["file", "log_file", "logfile"]),
    (Target::Setting(&keys::ROTATE_WHEN.key), &["rotate", "rotation"]),
    (Target::Setting(&keys::BACKUP_COUNT.key), &["keep", "backups", "max_files"]),
    (Target::Setting(&keys::SYSLOG_ADDRESS.key), &["syslog"]),
    (Target::Section("web"), &["http", "webserver", "page"]),
    (Target::Setting(&keys::WEB_LISTEN.key), &["address", "bind", "port", "host"]),
    (Target::Section(METERS), &["meter"]),
];

/// The target among these that has this as another name.
fn by_other_name(name: &str, is_among: impl Fn(&Target) -> bool) -> Option<&'static Target> {
    let is_name = |other: &&str| other.eq_ignore_ascii_case(name);
    let mut known = OTHER_NAMES.iter().filter(|(of, _)| is_among(of));
    known.find(|(_, others)| others.iter().any(is_name)).map(|(of, _)| of)
}

/// What a user most likely meant with an unknown path of a key or an unknown section.
pub(super) fn nearest(path: &str) -> Option<String> {
    let (section, name) = path.split_once('.').unwrap_or(("", path));
    let like = || {
        let names: Vec<&str> = match section {
            "" => SECTIONS.iter().map(|section| section.name).chain([METERS]).collect(),
            _ => KEYS.iter().filter(|key| key.section() == section).map(|key| key.name()).collect(),
        };
        let like = most_like(name, names)?;
        Some(if section.is_empty() { like.to_owned() } else { format!("{section}.{like}") })
    };
    // Both sections are about the meter, so users confuse them.
    let neighbour = match section {
        "kamstrup" => Some("serial_device"),
        "serial_device" => Some("kamstrup"),
        _ => None,
    };
    let elsewhere = || {
        let same = || KEYS.iter().find(|key| key.name().eq_ignore_ascii_case(name));
        by_other_name(name, |of| neighbour.is_some_and(|section| of.section() == section))
            .map(Target::path)
            .or_else(|| same().map(|key| key.path))
            .or_else(|| by_other_name(name, |of| !of.section().is_empty()).map(Target::path))
    };
    let own = by_other_name(name, |of| of.section() == section).map(|of| of.path().to_owned());
    own.or_else(like).or_else(|| elsewhere().map(str::to_owned))
}

/// What a user most likely meant with an unknown key of a listed meter.
pub(super) fn nearest_of_meter(name: &str) -> Option<String> {
    let of_meters = KEYS.iter().filter(|key| key.is_of_meter()).map(|key| key.name());
    let other = by_other_name(name, |of| of.key().is_some_and(Key::is_of_meter));
    let other = other.and_then(Target::key).map(Key::name);
    other.or_else(|| most_like(name, of_meters.chain([NAME.path]))).map(str::to_owned)
}

/// The variable that a user most likely meant with an unknown one. It must be very similar to one
/// of ours, because other programs have variables too.
pub(super) fn nearest_variable(name: &str) -> Option<String> {
    let files = KEYS.iter().filter_map(|key| key.file_variable());
    let known: Vec<String> =
        KEYS.iter().filter_map(|key| key.variable).map(str::to_owned).chain(files).collect();
    // The sections' names, as the variables have them.
    let upper = name.to_ascii_uppercase();
    let section =
        ["MQTT_", "SERIAL_", "KAMSTRUP_", "WEB_"].into_iter().find(|it| upper.starts_with(it));
    if known.iter().any(|known| known == name) {
        return None;
    }
    if section.is_none() && !upper.starts_with("LOG") {
        // The section itself is misspelled.
        return very_like(name, known.iter().map(String::as_str)).map(str::to_owned);
    }
    let other = section.and_then(|section| {
        let rest = upper.strip_prefix(section)?;
        let variable = |of: &Target| of.key().and_then(|key| key.variable);
        let is_here =
            |of: &Target| variable(of).is_some_and(|variable| variable.starts_with(section));
        by_other_name(rest, is_here).and_then(variable)
    });
    other.or_else(|| most_like(name, known.iter().map(String::as_str))).map(str::to_owned)
}
