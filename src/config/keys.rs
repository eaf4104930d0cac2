//! The table of all settings: where each may be set, and what is accepted.

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Section and name in the file, as `mqtt.host`.
    pub(super) path: &'static str,
    /// The environment variable that overrides the file.
    pub(super) variable: Option<&'static str>,
    /// What is accepted, in words that complete "accepted: …".
    pub(super) accepted: &'static str,
    /// Whether its value must not be shown.
    pub(super) secret: bool,
}

const fn key(path: &'static str, variable: &'static str, accepted: &'static str) -> Key {
    Key { path, variable: Some(variable), accepted, secret: false }
}

const fn file_only(path: &'static str, accepted: &'static str) -> Key {
    Key { path, variable: None, accepted, secret: false }
}

const fn secret(path: &'static str, variable: &'static str, accepted: &'static str) -> Key {
    Key { path, variable: Some(variable), accepted, secret: true }
}

const TEXT: &str = "text";
const YES_NO: &str = "`true` or `false`";
const ON_OFF_LEAVE: &str = "`on`, `off` or `leave` (as the system sets it)";

/// Every setting, by section.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("mqtt.host", "MQTT_HOST", "a host name or an IP address; the port is a setting of its own"),
    key("mqtt.port", "MQTT_PORT", "a whole number from 1 to 65535"),
    key("mqtt.client", "MQTT_CLIENT", "1 to 256 characters"),
    key("mqtt.topic", "MQTT_TOPIC", "a topic of 1 to 256 characters without `+`, `#` and control characters"),
    file_only("mqtt.device_id", "1 to 256 characters"),
    file_only("mqtt.device_name", "1 to 256 characters"),
    key("mqtt.qos", "MQTT_QOS", "`0`, `1` or `2`"),
    key("mqtt.retain", "MQTT_RETAIN", YES_NO),
    key("mqtt.authentication", "MQTT_AUTHENTICATION", YES_NO),
    key("mqtt.username", "MQTT_USERNAME", "1 to 65535 characters"),
    secret("mqtt.password", "MQTT_PASSWORD", "up to 65535 characters"),
    key("mqtt.tls_enabled", "MQTT_TLS_ENABLED", "`false`: this version cannot encrypt the connection yet"),
    key("mqtt.tls_ca_cert", "MQTT_TLS_CA_CERT", TEXT),
    key("mqtt.tls_cert", "MQTT_TLS_CERT", TEXT),
    key("mqtt.tls_key", "MQTT_TLS_KEY", TEXT),
    secret("mqtt.tls_key_password", "MQTT_TLS_KEY_PASSWORD", TEXT),
    key("mqtt.tls_insecure", "MQTT_TLS_INSECURE", TEXT),
    key("mqtt.tls_version", "MQTT_TLS_VERSION", TEXT),

    key("serial_device.com_port", "SERIAL_COM_PORT", "a device path like `/dev/ttyUSB0`, or `socket://host:port` for a serial server in raw TCP mode"),
    file_only("serial_device.url", "a device path like `/dev/ttyUSB0`, or `socket://host:port` for a serial server in raw TCP mode"),

    key("serial_device.baudrate", "SERIAL_BAUDRATE", "a whole number from 300 to 115200; optical heads need 1200"),
    key("serial_device.parity", "SERIAL_PARITY", "`NONE`, `EVEN` or `ODD`"),
    key("serial_device.stopbits", "SERIAL_STOPBITS", "`1` or `2`"),
    key("serial_device.bytesize", "SERIAL_BYTESIZE", "`7` or `8`"),
    key("serial_device.timeout", "SERIAL_TIMEOUT", "seconds from 0 to 60, like `2` or `2.5`"),
    key("serial_device.dtr", "SERIAL_DTR", ON_OFF_LEAVE),
    key("serial_device.rts", "SERIAL_RTS", ON_OFF_LEAVE),

    key("kamstrup.parameters", "KAMSTRUP_PARAMETERS", "names of values like `energy` and register numbers like `60` or `0x003C`, separated by commas or in a list"),
    key("kamstrup.poll_interval", "KAMSTRUP_POLL_INTERVAL", "minutes from 0.02 to 10080 (a week), like `5` or `0.5`"),
    key("kamstrup.version", "KAMSTRUP_VERSION", "`auto`, `21`, `302`, `303`, `402`, `403`, `601`, `602`, `603`, `801`, `803` or `generic`"),
    key("kamstrup.units", "KAMSTRUP_UNITS", "`standard` (kWh, W, °C, m³, m³/h) or `meter` (those that the meter is set to)"),

    key("logging.level", "LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`"),
    file_only("logging.destinations", TEXT),
    file_only("logging.stdout_format", TEXT),
    file_only("logging.stdout_date_format", TEXT),
    file_only("logging.file_format", TEXT),
    file_only("logging.file_date_format", TEXT),
    file_only("logging.directory", TEXT),
    file_only("logging.filename", TEXT),
    file_only("logging.rotate_when", TEXT),
    file_only("logging.rotate_interval", TEXT),
    file_only("logging.backup_count", TEXT),
    file_only("logging.syslog_facility", TEXT),
    file_only("logging.syslog_address", TEXT),
    file_only("logging.syslog_format", TEXT),
    file_only("logging.syslog_date_format", TEXT),

    file_only("homeassistant.discovery_prefix", "a topic of 1 to 256 characters without `+`, `#` and control characters"),
    file_only("homeassistant.status_topic", "a topic of 1 to 256 characters without `+`, `#` and control characters"),
    file_only("homeassistant.id_prefix", "1 to 64 letters, digits, `_` and `-`"),
];

/// The list of several meters.
pub(super) const METERS: &str = "meters";

/// What tells several meters apart.
pub(super) const NAME: Key = Key {
    path: "name",
    variable: None,
    accepted: "1 to 32 letters, digits, `_` and `-`; not what a value (`energy`) or a topic \
               (`status`) is called",
    secret: false,
};

/// Settings of a meter that stand in a section with others, where there is only one meter.
const OF_METERS: [&str; 2] = ["mqtt.device_id", "mqtt.device_name"];

/// The setting that a key of a meter in the list stands for.
pub(super) fn of_meter(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        key.path.split_once('.').is_some_and(|(section, key_name)| {
            key_name == name
                && (matches!(section, "serial_device" | "kamstrup")
                    || OF_METERS.contains(&key.path))
        })
    })
}

impl Key {
    /// Its name without its section.
    pub(super) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }
}

/// The setting of this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().chain([&NAME]).find(|key| key.path == path)
}

/// Whether a section of this name has settings.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.path.split_once('.').is_some_and(|(section, _)| section == name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn paths_and_variables_are_unique() {
        let paths: HashSet<_> = KEYS.iter().map(|key| key.path).collect();
        assert_eq!(paths.len(), KEYS.len());
        let variables: Vec<_> = KEYS.iter().filter_map(|key| key.variable).collect();
        assert_eq!(variables.iter().collect::<HashSet<_>>().len(), variables.len());
    }

    #[test]
    fn a_key_of_a_meter_stands_for_one_setting() {
        for key in KEYS {
            let (section, name) = key.path.split_once('.').unwrap();
            if matches!(section, "serial_device" | "kamstrup") || OF_METERS.contains(&key.path) {
                assert_eq!(of_meter(name).map(|found| found.path), Some(key.path));
                assert_ne!(name, NAME.path);
            }
        }
        for name in ["host", "topic", "level", "mqtt.device_id", "name"] {
            assert!(of_meter(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_called_a_password_is_a_secret() {
        for key in KEYS {
            assert_eq!(key.secret, key.path.contains("password"), "{}", key.path);
        }
    }
}
