//! The table of all settings: names, what is accepted, parsers, defaults and descriptions.
//!
//! It is the only source of these. The checks use it, and `config::manual` writes the example file
//! and the reference page from it (`cargo run --example manual`; a test fails if they differ).
//! Each setting is a constant with a type, so a setting that does not exist does not compile.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use tracing::Level;

use Fallback::{Value, Words};
use Sample::{Hidden, Idea, Set};

use super::address::ApiAddress;
use super::kind::Kind;
use super::model::{FirstMonth, HistoryUse, Qos};
use super::secret::Secret;
use super::setting::{Fallback, Field, FormName, Instead, KEY, Key, Sample, Setting};
use super::value::{self, Destination};
use crate::language::Language;
use crate::name::{MeterName, Parameter, identifier};
use crate::tls;
use crate::units::UnitSystem;
use logging::{Address, DateFormat, Facility, Format, When};
use meter::identity::Version;
use meter::transport::{ApiKey, DataBits, Endpoint, ModemLine, Parity, StopBits};
use tariff::Row;

const TEXT: &str = "1 to 256 characters";
const YES_NO: &str = "`true` or `false`";
const ON_OFF_LEAVE: &str = "`on`, `off` or `leave` (as the system sets it)";
const TOPIC_TEXT: &str = "a topic of 1 to 256 characters without `+`, `#` or control characters, \
                          and without `$` at its start";
const PORT_TEXT: &str = "a device path like `/dev/ttyUSB0`, `socket://host:port` for a serial server in raw \
                    TCP mode, or `esphome://host` for an ESPHome node";
const A_FILE: &str = "the path of a file";
const LIMIT_TEXT: &str = "a temperature from 0 to 200 like `40`, or pairs of supply and return \
                                     temperature like `60=30, 72=39`, each supply temperature once";
const LIMIT_FORM: &str = r"[\d.=,\s]*";
const FORMAT: &str = "text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`";
const DATE_FORMAT: &str = "a strftime format like `%Y-%m-%d %H:%M:%S`";

/// A host has no colon or, as an IPv6 address, at least two.
const HOST_FORM: &str = r"\s*([\w.%\[\]-]+|[\w.%\[\]-]*(:[\w.%\[\]-]*){2,})\s*";
const TOPIC_FORM: &str = "[^+#]*";
const PORT_FORM: &str =
    r"\s*(/|([Ss][Oo][Cc][Kk][Ee][Tt]|[Tt][Cc][Pp]|[Ee][Ss][Pp][Hh][Oo][Mm][Ee])://)[\s\S]*";
/// The names of Python's `ssl`.
const OLDER_TLS: &str = "(ssl[._])?(protocol[._])?(tlsv)?(1[._][23]|tls|tls[._]client|sslv23)";

/// The two options of the form for the port: one to choose from a list, one to type in.
pub(super) const SERIAL_PORT: Field = Field { name: "serial_port", label: "Optical head" };
pub(super) const WRITTEN_PORT: Field = Field { name: "port", label: "Port" };

/// The groups of the form.
pub(super) const HEAD_GROUP: Field = Field { name: "head", label: "Connection to the meter" };
pub(super) const MQTT_GROUP: Field = Field { name: "mqtt", label: "Own MQTT broker" };
pub(super) const METERS_GROUP: Field = Field { name: METERS, label: "Several meters" };

/// For the dates of the destinations.
const IF_DATE_FORMAT: Option<Instead> =
    Some(Instead::IfSet(&LOG_DATE_FORMAT.key, Words("the value of `logging.date_format`")));

/// One section of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name.
    pub(super) name: &'static str,
    /// What the reference page says of it: whole sentences.
    pub(super) text: &'static str,
}

/// The sections, in the order in which the example file has them.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "mqtt", text: "The broker, and how values are published to it." },
    Section {
        name: "serial_device",
        text: "The port of the meter, and the settings of the serial line. Except for the port, \
               the defaults are right for every optical head.",
    },
    Section { name: "kamstrup", text: "The meter's model, which values are read, and how often." },
    Section {
        name: "logging",
        text: "Where the log goes and what its lines look like. The formats are those of Python's \
               `logging`, which the older program used.",
    },
    Section { name: "homeassistant", text: "How the meters are announced to Home Assistant." },
    Section {
        name: WEB,
        text: "The status page, which also helps with setting up, and the same data for programs \
               (`/metrics`, `/api/v1/state`). The Home Assistant app has its own page, in the \
               sidebar.",
    },
];

/// Makes a constant of each setting, and the list of all of them.
macro_rules! settings {
    ($($name:ident: $type:ty = $parse:expr, $key:expr;)*) => {
        $(pub(crate) static $name: Setting<$type> = Setting { key: $key, parse: $parse };)*

        /// Every setting, by section.
        pub(super) static KEYS: &[&Key] = &[$(&$name.key),*];
    };
}

settings! {
    HOST: String = value::host, Key {
        path: "mqtt.host",
        kind: Kind::Text(HOST_FORM),
        variable: Some("MQTT_HOST"),
        form: FormName::OfMqtt(Field { name: "host", label: "Broker" }),
        why: value::why_no_host,
        accepted: "a host name or an IP address; the port is a separate setting",
        default: Value("localhost"),
        sample: Set("192.168.1.100"),
        brief: "the broker's name or address",
        text: "The name or address of the machine on which the MQTT broker runs. If you use Home \
               Assistant's Mosquitto app (add-on), this is the machine with Home Assistant. In a \
               container, `localhost` is the container itself.",
        ..KEY
    };
    PORT: NonZeroU16 = value::parse, Key {
        path: "mqtt.port",
        kind: Kind::Whole(1, 65_535),
        variable: Some("MQTT_PORT"),
        form: FormName::OfMqtt(Field { name: "port", label: "Port" }),
        instead: Some(Instead::IfOn(&TLS_ENABLED, Value("8883"))),
        accepted: "a whole number from 1 to 65535",
        default: Value("1883"),
        brief: "8883 if `tls_enabled` is on",
        text: "The broker's TCP port. If `tls_enabled` is on, the default is 8883. A variable \
               `MQTT_PORT` that begins with `tcp://` is ignored, because Kubernetes and container \
               links set such a variable automatically for a service called `mqtt`.",
        ..KEY
    };
    CLIENT: String = value::text, Key {
        path: "mqtt.client",
        variable: Some("MQTT_CLIENT"),
        accepted: TEXT,
        default: Value("kamstrup"),
        brief: "must be unique on the broker",
        text: "The client id: the name by which the broker recognizes the program. Two programs \
               with the same client id disconnect each other again and again.",
        ..KEY
    };
    TOPIC: String = value::topic, Key {
        path: "mqtt.topic",
        kind: Kind::Text(TOPIC_FORM),
        variable: Some("MQTT_TOPIC"),
        form: FormName::OfMqtt(Field { name: "topic", label: "Topic" }),
        accepted: TOPIC_TEXT,
        default: Value("kamstrup"),
        brief: "values go to kamstrup/energy, kamstrup/power ...",
        text: "The first part of every topic. With `heat`, the values have the topics \
               `heat/energy`, `heat/power` and so on. The program rejects topics that Home \
               Assistant uses, such as `homeassistant`. With this topic, the program's status \
               would be on `homeassistant/status`. So whenever the program stops, Home Assistant \
               would seem to have stopped.",
        ..KEY
    };
    QOS: Qos = value::qos, Key {
        path: "mqtt.qos",
        kind: Kind::Whole(0, 2),
        variable: Some("MQTT_QOS"),
        form: FormName::OfMqtt(Field { name: "qos", label: "Quality of service" }),
        why: value::why_no_qos,
        accepted: "`0`, `1` or `2`",
        default: Value("0"),
        brief: "QoS of the values: 0, 1 or 2",
        text: "The MQTT quality of service (QoS) of the values. With `0`, each value is sent once. \
               With `1`, it is sent again until the broker has it. With `2`, it arrives exactly \
               once. Messages that describe the meter to Home Assistant always have QoS 1.",
        ..KEY
    };
    RETAIN: bool = value::boolean, Key {
        path: "mqtt.retain",
        kind: Kind::Switch(None),
        variable: Some("MQTT_RETAIN"),
        form: FormName::OfMqtt(Field { name: "retain", label: "Retain values" }),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the broker keeps the last values",
        text: "Whether the broker keeps the last values for programs that connect later. Home \
               Assistant does not need this: after a restart, it gets its values soon in any case.",
        ..KEY
    };
    AUTHENTICATION: bool = value::boolean, Key {
        path: "mqtt.authentication",
        kind: Kind::Switch(None),
        variable: Some("MQTT_AUTHENTICATION"),
        accepted: YES_NO,
        default: Words("`true` if a user name is set"),
        sample: Hidden,
        text: "With `false`, `username` and `password` are not used, even if they are set.",
        ..KEY
    };
    USERNAME: String = value::long_text, Key {
        path: "mqtt.username",
        variable: Some("MQTT_USERNAME"),
        form: FormName::OfMqtt(Field { name: "username", label: "User name" }),
        accepted: "1 to 65535 characters",
        default: Words("none; the program logs in anonymously"),
        sample: Idea("kamstrup"),
        brief: "your user name at the broker",
        text: "Your user name at the broker.",
        ..KEY
    };
    PASSWORD: Secret = value::secret, Key {
        path: "mqtt.password",
        variable: Some("MQTT_PASSWORD"),
        form: FormName::OfMqtt(Field { name: "password", label: "Password" }),
        accepted: "up to 65535 characters",
        default: Words("an empty password"),
        secret: true,
        sample: Idea("a secret"),
        brief: "in quotes: YAML treats some characters specially",
        text: "Your password at the broker. Put it in quotes: `#`, `!`, `&` and similar characters \
               have a special meaning in YAML.",
        ..KEY
    };
    TLS_ENABLED: bool = value::boolean, Key {
        path: "mqtt.tls_enabled",
        kind: Kind::Switch(None),
        variable: Some("MQTT_TLS_ENABLED"),
        form: FormName::OfMqtt(Field { name: "tls", label: "Encryption (TLS)" }),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the connection is encrypted (TLS)",
        text: "Whether the connection to the broker is encrypted (TLS). Without it, the other \
               `tls_` settings have no effect.",
        ..KEY
    };
    TLS_CA_CERT: PathBuf = value::path, Key {
        path: "mqtt.tls_ca_cert",
        variable: Some("MQTT_TLS_CA_CERT"),
        form: FormName::OfMqtt(Field { name: "tls_ca_cert", label: "Certificate authority" }),
        accepted: A_FILE,
        default: Words("the certificates that the system trusts"),
        sample: Idea("/etc/kamstrup2mqtt/ca.crt"),
        brief: "the CA that signed the broker's certificate; default: the CAs that the system \
                trusts",
        text: "The certificate of the authority (CA) that signed the broker's certificate, as a \
               PEM file. You need it if you created the broker's certificate yourself. If that \
               certificate is self-signed, give the certificate itself here.",
        ..KEY
    };
    TLS_CERT: PathBuf = value::path, Key {
        path: "mqtt.tls_cert",
        variable: Some("MQTT_TLS_CERT"),
        form: FormName::OfMqtt(Field { name: "tls_cert", label: "Client certificate" }),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.crt"),
        brief: "the program's own certificate, if the broker requires one",
        text: "A client certificate, as a PEM file. You need it only if the broker requires one. \
               Set `tls_key` too.",
        ..KEY
    };
    TLS_KEY: PathBuf = value::path, Key {
        path: "mqtt.tls_key",
        variable: Some("MQTT_TLS_KEY"),
        form: FormName::OfMqtt(Field { name: "tls_key", label: "Client key" }),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.key"),
        brief: "the private key of `tls_cert`",
        text: "The private key of `tls_cert`, as a PEM file. It may be encrypted (PKCS#8).",
        ..KEY
    };
    TLS_KEY_PASSWORD: Secret = value::secret, Key {
        path: "mqtt.tls_key_password",
        variable: Some("MQTT_TLS_KEY_PASSWORD"),
        form: FormName::OfMqtt(Field { name: "tls_key_password", label: "Password of the client key" }),
        accepted: "up to 65535 characters",
        secret: true,
        sample: Idea("a secret"),
        brief: "if `tls_key` is encrypted",
        text: "The password of `tls_key`, if the key is encrypted.",
        ..KEY
    };
    TLS_INSECURE: bool = value::boolean, Key {
        path: "mqtt.tls_insecure",
        kind: Kind::Switch(None),
        variable: Some("MQTT_TLS_INSECURE"),
        form: FormName::OfMqtt(Field { name: "tls_insecure", label: "Do not check the certificate" }),
        accepted: YES_NO,
        default: Value("false"),
        brief: "true: accept any certificate (insecure)",
        text: "With `true`, the program does not check the broker's certificate. The connection is \
               encrypted, but anybody could be at the other end. Use this only for a first try. \
               The log warns about it at every start.",
        ..KEY
    };
    TLS_VERSION: tls::Version = value::tls_version, Key {
        path: "mqtt.tls_version",
        kind: Kind::Words(&["1.2", "1.3"], OLDER_TLS),
        variable: Some("MQTT_TLS_VERSION"),
        accepted: "`1.2` or `1.3`, the lowest version to use (or the older program's \
                   `PROTOCOL_TLSv1_2` or `PROTOCOL_TLS`); 1.0 and 1.1 are no longer secure",
        default: Value("1.2"),
        brief: "the lowest version to use: 1.2 or 1.3",
        text: "The lowest TLS version to use. The older program's spellings are also accepted: \
               `PROTOCOL_TLSv1_2` and `ssl.PROTOCOL_TLSv1_2` mean 1.2, and `PROTOCOL_TLS` means \
               any secure version. Versions below 1.2 are no longer secure and are rejected.",
        ..KEY
    };
    DEVICE_ID: String = value::text, Key {
        path: "mqtt.device_id",
        accepted: TEXT,
        default: Value("kamstrup_meter"),
        brief: "the device's id in Home Assistant",
        text: "The device's id in Home Assistant. If a meter has a name, its device's id ends with \
               this name, as in `kamstrup_meter_garage`. This does not apply to a meter that has a \
               `device_id` of its own. The program's own device has the id `kamstrup_bridge`, or \
               `kamstrup_bridge_2` if a meter has that id.",
        ..KEY
    };
    DEVICE_NAME: String = value::text, Key {
        path: "mqtt.device_name",
        form: FormName::Option(Field { name: "device_name", label: "Name in Home Assistant" }),
        accepted: TEXT,
        default: Value("Kamstrup Meter"),
        brief: "the device's name in Home Assistant",
        text: "The device's name in Home Assistant. The default is in the language of \
               `homeassistant.language`. If a meter has a name, its device's name ends with this \
               name, as in `Kamstrup Meter garage`. This does not apply to a meter that has a \
               `device_name` of its own.",
        ..KEY
    };
    COM_PORT: Endpoint = value::parse, Key {
        path: "serial_device.com_port",
        kind: Kind::Address(PORT_FORM),
        variable: Some("SERIAL_COM_PORT"),
        form: FormName::Either(SERIAL_PORT, WRITTEN_PORT),
        why: value::why_no_endpoint,
        accepted: PORT_TEXT,
        default: Words("none; you must set a port"),
        sample: Set("/dev/ttyUSB0"),
        brief: "the port of the optical head, preferably its name in /dev/serial/by-id/; or \
                socket://host:port for a serial server, esphome://host for an ESPHome node",
        text: "The port of the optical head. For a head on USB, use its name in \
               `/dev/serial/by-id/`, which stays the same when you plug in another device. For a \
               serial server on the network, use `socket://host:port`. Set the serial server to \
               raw TCP (TCP server mode), 1200 baud, 8 data bits, no parity, 2 stop bits. For a \
               head on an ESPHome node with `serial_proxy:`, use `esphome://host` and `key`. The \
               usual port of its API, 6053, may be left out. If the node has several serial ports, \
               add `/?port=1` for the second one. You can also write the key into the address: \
               `esphome://host:6053/?key=...&port=0`.",
        ..KEY
    };
    URL: Endpoint = value::parse, Key {
        path: "serial_device.url",
        kind: Kind::Address(PORT_FORM),
        why: value::why_no_endpoint,
        accepted: PORT_TEXT,
        default: Words("`com_port` is used"),
        sample: Hidden,
        text: "Another name for `com_port`, from the older program. If the file has both, `url` is \
               used.",
        ..KEY
    };
    NODE_KEY: ApiKey = value::parse, Key {
        path: "serial_device.key",
        variable: Some("SERIAL_KEY"),
        form: FormName::Option(Field { name: "key", label: "Key of the ESPHome node" }),
        accepted: "a key of ESPHome: 32 bytes in base64, which are 44 characters",
        default: Words("none; the API of the node is not encrypted"),
        secret: true,
        sample: Idea("YW4gZXhhbXBsZTogMzIgYnl0ZXMgYXMgYmFzZTY0Li4="),
        brief: "only for esphome://: the key under `api:`, `encryption:` in the node's YAML",
        text: "The key that encrypts the API of an ESPHome node: the one under `api:`, \
               `encryption:` in the node's YAML. Only a port with `esphome://` may have one.",
        ..KEY
    };
    BAUDRATE: NonZeroU32 = value::baud, Key {
        path: "serial_device.baudrate",
        kind: Kind::Whole(300, 115_200),
        variable: Some("SERIAL_BAUDRATE"),
        accepted: "a whole number from 300 to 115200; optical heads need 1200",
        default: Value("1200"),
        brief: "this and the next three rarely need a change; a serial server has its own settings",
        text: "The speed of the serial line in baud. Optical heads need 1200. A serial server has \
               its own settings for the speed, the data bits, the parity and the stop bits.",
        ..KEY
    };
    BYTESIZE: DataBits = value::data_bits, Key {
        path: "serial_device.bytesize",
        kind: Kind::Whole(7, 8),
        variable: Some("SERIAL_BYTESIZE"),
        accepted: "`7` or `8`",
        default: Value("8"),
        brief: "7 or 8",
        text: "The number of data bits per byte.",
        ..KEY
    };
    PARITY: Parity = value::parity, Key {
        path: "serial_device.parity",
        kind: Kind::Words(&["NONE", "EVEN", "ODD"], "n|e|o"),
        variable: Some("SERIAL_PARITY"),
        accepted: "`NONE`, `EVEN` or `ODD`",
        default: Value("NONE"),
        brief: "NONE, EVEN or ODD",
        text: "The parity bit of each byte.",
        ..KEY
    };
    STOPBITS: StopBits = value::stop_bits, Key {
        path: "serial_device.stopbits",
        kind: Kind::Whole(1, 2),
        variable: Some("SERIAL_STOPBITS"),
        accepted: "`1` or `2`",
        default: Value("2"),
        brief: "1 or 2",
        text: "The number of stop bits after each byte.",
        ..KEY
    };
    TIMEOUT: Duration = value::seconds, Key {
        path: "serial_device.timeout",
        kind: Kind::Seconds(60),
        variable: Some("SERIAL_TIMEOUT"),
        accepted: "seconds from 0 to 60, like `2` or `2.5`",
        default: Value("1.6"),
        brief: "seconds to wait until an answer begins: at least 1.6, more for a slow serial \
                server",
        text: "How many seconds to wait until an answer begins. A meter may take 1.6 s, so the \
               program always waits at least that long. A slow serial server may need more.",
        ..KEY
    };
    DTR: ModemLine = value::modem_line, Key {
        path: "serial_device.dtr",
        kind: Kind::Switch(Some("leave")),
        variable: Some("SERIAL_DTR"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "DTR and RTS power some heads: on, off, or leave (as the system sets it)",
        text: "Whether the DTR line of a serial port is on. Some heads draw their power from it.",
        ..KEY
    };
    RTS: ModemLine = value::modem_line, Key {
        path: "serial_device.rts",
        kind: Kind::Switch(Some("leave")),
        variable: Some("SERIAL_RTS"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "on, off or leave",
        text: "Whether the RTS line of a serial port is on. Some heads draw their power from it.",
        ..KEY
    };
    VERSION: Version = value::version, Key {
        path: "kamstrup.version",
        kind: Kind::Model,
        variable: Some("KAMSTRUP_VERSION"),
        form: FormName::Option(Field { name: "meter", label: "Meter" }),
        accepted: "`auto`, `21`, `302`, `303`, `402`, `403`, `601`, `602`, `603`, `801`, `803` or \
                   `generic`",
        default: Value("402"),
        sample: Set("auto"),
        brief: "the number on the meter's front: 21, 302, 303, 402, 403, 601, 602, 603, 801 or \
                803; or auto, or generic",
        text: "The MULTICAL model: the number on the meter's front, also written as `MC403` or \
               `Multical 403`. `auto` finds the model out from the meter's answers, which does not \
               always work. `generic` assumes no particular model. The program needs the model to \
               explain the info code. It also reports the model to Home Assistant. Without this \
               setting, the program assumes a 402 and does not explain the info code.",
        ..KEY
    };
    POLL_INTERVAL: Duration = value::interval, Key {
        path: "kamstrup.poll_interval",
        kind: Kind::Interval(None),
        variable: Some("KAMSTRUP_POLL_INTERVAL"),
        form: FormName::Option(Field { name: "poll_interval", label: "Time between readings" }),
        accepted: "minutes like `5` or `0.5`, or a time like `90s`, `5m`, `1h` or `1d`; at least \
                   1.2 s, at most a week (`7d`)",
        default: Value("5"),
        brief: "minutes, or a time like 90s, 5m, 1h or 1d; each reading uses a little of the \
                meter's battery, and many meters fall asleep after 30 minutes without one",
        text: "The time from one reading to the next: a number of minutes, or a time like `90s`, \
               `5m`, `1h` or `1d`. Readings follow the local clock. With `5`, they are at 12:00, \
               12:05, 12:10 and so on. With `1h`, they are on the hour, with `1d` at midnight, and \
               with `7d` at midnight before Monday. `poll_offset` shifts them. By default, it \
               makes them 20 s earlier if the interval is 15 minutes or more. The program also \
               reads the meter when it starts. If a reading is still running when the next one is \
               due, the next one is skipped. Each reading uses a little of the meter's battery. \
               But many meters switch their optical eye off after 30 minutes without a reading.",
        ..KEY
    };
    POLL_OFFSET: SignedDuration = value::offset, Key {
        path: "kamstrup.poll_offset",
        kind: Kind::Offset,
        variable: Some("KAMSTRUP_POLL_OFFSET"),
        form: FormName::Option(Field { name: "poll_offset", label: "Offset from the clock" }),
        why: value::why_no_offset,
        accepted: "a time like `-30s` or `+2m`, or `0`; it must be shorter than the interval",
        default: Words("`-20s` if `poll_interval` is 15 minutes or more, otherwise `0`"),
        sample: Idea("-20s"),
        brief: "shifts the readings: -30s is earlier, +2m later; default: -20s if poll_interval is \
                15 minutes or more, otherwise 0",
        text: "How much later (`+2m`) or earlier (`-30s`) than on the full steps of the clock the \
               meter is read. With `poll_interval: 1h` and `-20s`, readings are at 11:59:40, \
               12:59:40 and so on. A reading at 12:00 would contain the energy used from 11:00 to \
               12:00. If it arrives just after 12:00, Home Assistant shows that energy under 12:00 \
               to 13:00. That is why the default is `-20s` if the interval is 15 minutes or more: \
               a reading takes a few seconds, so it ends before the full hour. Several meters on \
               one port, or on a serial server that serves one connection at a time, are read one \
               after another. Then begin earlier, for example with `-1m`, so that the last reading \
               ends before the full hour. With `poll_interval: 1d` and `+6h`, the meter is read at \
               6 o'clock every day.",
        ..KEY
    };
    SLOW_INTERVAL: value::SlowInterval = value::slow_interval, Key {
        path: "kamstrup.slow_interval",
        kind: Kind::Interval(Some("poll")),
        variable: Some("KAMSTRUP_SLOW_INTERVAL"),
        accepted: "minutes like `60`, or a time like `1h` or `1d`, at least 1.2 s and at most a week \
                   (`7d`); or `poll`",
        default: Value("1h"),
        brief: "how often values that change slowly are read, such as maxpower_y: a time, or poll: \
                in each reading",
        text: "How often values that change slowly are read: averages, highest and lowest values of \
               a month or a year, dates, operating hours, info events, settings and numbers of the \
               meter, and volume times temperature. The program reads them when it starts. After \
               that, with `1h`, they are in the last reading before each full hour. That spares \
               the meter's battery. With `poll`, they are in each reading. The same applies if \
               `poll_interval` is not shorter, or if you read no other values of the meter. *Read \
               now* always reads all values.",
        ..KEY
    };
    TARIFF: bool = value::boolean, Key {
        path: "kamstrup.tariff",
        kind: Kind::Switch(None),
        variable: Some("KAMSTRUP_TARIFF"),
        form: FormName::Option(Field { name: "tariff", label: "Mean temperatures" }),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether to publish the mean temperatures, weighted by volume, that suppliers bill by",
        text: "Whether to publish the mean supply and return temperature, the mean cooling and the \
               energy per volume. They are of the last 24 hours, of this month and of this heating \
               year. They are weighted by volume, as suppliers bill them. The program computes them \
               from the registers 60, 68, 97 and 110. It also reads the registers 98, 146, 147, 149 \
               and 150, once in each `slow_interval`. See [Mean temperatures](tariff.md).",
        ..KEY
    };
    HEATING_YEAR: FirstMonth = value::parse, Key {
        path: "kamstrup.heating_year",
        kind: Kind::Whole(1, 12),
        variable: Some("KAMSTRUP_HEATING_YEAR"),
        form: FormName::Option(Field { name: "heating_year", label: "First month of the heating year" }),
        accepted: "a month from 1 to 12",
        default: Words("the month of the meter's yearly reading date if the meter sends it, \
                        otherwise 1"),
        sample: Idea("6"),
        brief: "the first month of the heating year, for `tariff`",
        text: "The month with which the heating year of your supplier begins, as a number. It is \
               used only with `tariff`.",
        ..KEY
    };
    RETURN_LIMIT: Row = value::limit_row, Key {
        path: "kamstrup.return_limit",
        kind: Kind::Text(LIMIT_FORM),
        variable: Some("KAMSTRUP_RETURN_LIMIT"),
        form: FormName::Option(Field { name: "return_limit", label: "Expected return temperature" }),
        accepted: LIMIT_TEXT,
        list: true,
        sample: Idea("40"),
        brief: "the return temperature that your supplier expects, for `tariff`",
        text: "The mean return temperature that your supplier expects, in °C. With it, the program \
               also publishes by how many degrees the mean return temperature is above it. If it \
               depends on the mean supply temperature, give several pairs of supply and return \
               temperature, such as `60=30, 72=39`. Between two pairs, the limit is on the straight \
               line between them. It is used only with `tariff`.",
        ..KEY
    };
    UNITS: UnitSystem = value::unit_system, Key {
        path: "kamstrup.units",
        kind: Kind::Words(&["standard", "meter"], ""),
        variable: Some("KAMSTRUP_UNITS"),
        form: FormName::Option(Field { name: "units", label: "Units" }),
        why: value::why_no_unit_system,
        accepted: "`standard` (kWh, W, °C, m³, m³/h) or `meter` (the units that the meter is set \
                   to)",
        default: Value("standard"),
        brief: "standard: kWh, W, °C, m³, m³/h, whatever the meter is set to; meter: the units \
                that it is set to",
        text: "The units of the published values. With `standard`, they are kWh, W, °C, m³ and \
               m³/h, whatever the meter is set to. With `meter`, they are the units that the meter \
               is set to.",
        ..KEY
    };
    PARAMETERS: Parameter = value::exact, Key {
        path: "kamstrup.parameters",
        kind: Kind::Parameter,
        variable: Some("KAMSTRUP_PARAMETERS"),
        form: FormName::Option(Field { name: "parameters", label: "Values" }),
        // The users of the form have no command line.
        accepted_in_form: Some(
            "names of values like `energy` and register numbers like `60` or `0x003C`, separated \
             by commas or as a list",
        ),
        why: value::why_no_parameter,
        accepted: "names of values like `energy` (`kamstrup2mqtt registers` lists them) and \
                   register numbers like `60` or `0x003C`, separated by commas or as a list",
        default: Value("energy, volume, power, flow, temp1, temp2, tempdiff"),
        list: true,
        sample: Set("energy, volume, power, flow, temp1, temp2, tempdiff"),
        brief: "names, or register numbers like 60 or 0x003C",
        text: "The values to read: names like `energy`, or register numbers. A register is the \
               place of one value in the meter. `kamstrup2mqtt registers` lists the names, and \
               `kamstrup2mqtt scan` the registers that your meter has. You can write names in \
               upper or lower case.",
        ..KEY
    };
    LOG_LEVEL: Level = value::level, Key {
        path: "logging.level",
        kind: Kind::Words(&["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], "warn|fatal"),
        variable: Some("LOG_LEVEL"),
        form: FormName::Option(Field { name: "log_level", label: "Log" }),
        why: value::why_no_level,
        accepted_in_form: Some("`debug`, `info`, `warning` or `error`"),
        accepted: "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
        default: Value("INFO"),
        brief: "DEBUG shows each reading and every frame",
        text: "How much is logged. With `INFO`, the log has the first reading, each change (for \
               example, the meter stops answering), and one summary of the readings an hour. \
               With `WARNING`, it has only problems. With `DEBUG`, it also has each reading, and \
               everything that the program and the meter send to each other. `CRITICAL` is \
               treated as `ERROR`.",
        ..KEY
    };
    DESTINATIONS: Destination = value::destination, Key {
        path: "logging.destinations",
        kind: Kind::Words(&["stdout", "file", "syslog"], ""),
        why: value::why_no_destination,
        accepted: "`stdout`, `file` and `syslog`, separated by commas or as a list",
        default: Value("stdout"),
        list: true,
        brief: "one or more of stdout, file and syslog",
        text: "Where the log goes. `stdout` is standard output, which systemd and containers store \
               for you. `file` is a log file. `syslog` is the system's log or a log server.",
        ..KEY
    };
    LOG_FORMAT: Format = value::exact, Key {
        path: "logging.format",
        why: value::why_no_format,
        accepted: FORMAT,
        default: Words("each destination's own default"),
        sample: Hidden,
        text: "The line format of every destination that has no format of its own.",
        ..KEY
    };
    LOG_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.date_format",
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Words("each destination's own default"),
        sample: Hidden,
        text: "The format of `%(asctime)s` for every destination that has no date format of its \
               own.",
        ..KEY
    };
    STDOUT_FORMAT: Format = value::exact, Key {
        path: "logging.stdout_format",
        why: value::why_no_format,
        accepted: "text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`, or \
                   `json`",
        default: Words("a format that is easy to read"),
        sample: Idea("%(asctime)s [%(name)s] %(levelname)s %(message)s"),
        brief: "default: easy to read; json: one JSON object per line",
        text: "The line format on standard output. The default is easy to read, and has colours on \
               a terminal. `json` writes one JSON object per line. [logging.md](logging.md) lists \
               all fields.",
        ..KEY
    };
    STDOUT_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.stdout_date_format",
        instead: IF_DATE_FORMAT,
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%dT%H:%M:%S%z"),
        brief: "format of asctime in it",
        text: "The format of `%(asctime)s` in `stdout_format`.",
        ..KEY
    };
    LOG_DIRECTORY: PathBuf = value::directory, Key {
        path: "logging.directory",
        kind: Kind::Text(r"[^~][\s\S]*"),
        why: value::why_no_directory,
        accepted: "the path of a folder, without `~`",
        default: Value("logs"),
        brief: "folder of the log files; created if it is missing; a service and the container have \
                their own default, in /var/log",
        text: "The folder of the log files. If it is missing, the program creates it. A path that \
               does not begin with `/` is relative to the folder in which the program was started. \
               `~` is not supported. In a service and in the container, the default is \
               `/var/log/kamstrup2mqtt`, which the variable `LOGS_DIRECTORY` names. A service is \
               not allowed to write its log to another folder.",
        ..KEY
    };
    LOG_FILENAME: String = value::filename, Key {
        path: "logging.filename",
        kind: Kind::Text("[^/]*"),
        why: value::why_no_filename,
        accepted: "a file name without `/`",
        default: Value("kamstrup2mqtt.log"),
        brief: "the current file; older ones have a date after the name",
        text: "The name of the current log file. Older files have their date after the name, as in \
               `kamstrup2mqtt.log.2026-11-24`.",
        ..KEY
    };
    ROTATE_WHEN: When = value::parse, Key {
        path: "logging.rotate_when",
        kind: Kind::Words(&["s", "m", "h", "d", "midnight"], "w[0-6]"),
        why: value::why_no_rotation,
        accepted: "`s`, `m`, `h`, `d`, `midnight`, or `w0` (Monday) to `w6` (Sunday)",
        default: Value("midnight"),
        brief: "when a new file begins: s, m, h, d, midnight, or w0 (Monday) to w6 (Sunday)",
        text: "When a new file begins. With `s`, `m` or `h`, it begins on the second, minute or \
               hour. With `d` or `midnight`, it begins at midnight. With `w0` (Monday) to `w6` \
               (Sunday), it begins at the midnight that ends that day of the week. Midnight is in \
               local time. After a restart, the program continues today's file.",
        ..KEY
    };
    ROTATE_INTERVAL: NonZeroU32 = value::parse, Key {
        path: "logging.rotate_interval",
        kind: Kind::Whole(1, u32::MAX),
        accepted: "a whole number of at least 1",
        default: Value("1"),
        brief: "how many of these units a file covers",
        text: "How many seconds, minutes, hours, days or weeks a file covers. With `6` and \
               `rotate_when: h`, a new file begins at 0, 6, 12 and 18 o'clock. These periods are \
               counted from 1970.",
        ..KEY
    };
    BACKUP_COUNT: usize = value::count, Key {
        path: "logging.backup_count",
        kind: Kind::Whole(0, u32::MAX),
        accepted: "a whole number; `0` keeps all",
        default: Value("7"),
        brief: "how many older files to keep; 0: all",
        text: "How many older files to keep. `0` keeps all of them. If the clock was set back, \
               there may be files with a date in the future. They are counted separately.",
        ..KEY
    };
    FILE_FORMAT: Format = value::exact, Key {
        path: "logging.file_format",
        instead: Some(Instead::IfSet(&LOG_FORMAT.key, Words("the value of `logging.format`"))),
        why: value::why_no_format,
        accepted: FORMAT,
        default: Value(
            "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s",
        ),
        brief: "line format in the file",
        text: "The line format in the file.",
        ..KEY
    };
    FILE_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.file_date_format",
        instead: IF_DATE_FORMAT,
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%d %H:%M:%S"),
        brief: "format of asctime in it",
        text: "The format of `%(asctime)s` in `file_format`.",
        ..KEY
    };
    SYSLOG_ADDRESS: Address = value::parse, Key {
        path: "logging.syslog_address",
        accepted: "a socket like `/dev/log` or `unix:///run/log.sock`, `host:514` or `udp://host:514` \
                   (UDP), or `tcp://host:601`",
        default: Value("/dev/log"),
        brief: "the system's log, or a log server: host:514 (UDP), tcp://host:601",
        text: "The address of the system's log: a socket, or a log server over UDP \
               (`host:514`) or TCP (`tcp://host:601`). On `/dev/log`, lines have the older \
               format that journald and others expect there. If you write `unix:///dev/log`, \
               the same socket gets the format of RFC 5424, as all log servers do. Over TCP, \
               each line has its length before it (RFC 6587). While a server cannot be \
               reached, up to 1024 lines wait for it.",
        ..KEY
    };
    SYSLOG_FACILITY: Facility = value::exact, Key {
        path: "logging.syslog_facility",
        kind: Kind::Text(r"\s*[A-Za-z0-9_-]*"),
        why: value::why_no_facility,
        accepted: "`user`, `daemon`, `local0` to `local7`, or another facility of syslog",
        default: Value("local0"),
        brief: "the syslog facility of its lines",
        text: "The syslog facility of the lines.",
        ..KEY
    };
    SYSLOG_FORMAT: Format = value::exact, Key {
        path: "logging.syslog_format",
        why: value::why_no_format,
        accepted: FORMAT,
        default: Words(
            "only the message, because syslog itself adds the program, the process and the level",
        ),
        sample: Idea("%(name)s[%(process)d]: %(levelname)s %(message)s"),
        brief: "line format there; default: only the message",
        text: "The line format in the system's log.",
        ..KEY
    };
    SYSLOG_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.syslog_date_format",
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Words("Python's own format, like `2026-11-24 10:00:00,123`"),
        sample: Idea("%Y-%m-%d %H:%M:%S"),
        brief: "format of asctime in it",
        text: "The format of `%(asctime)s` in `syslog_format`.",
        ..KEY
    };
    DISCOVERY_PREFIX: String = value::topic, Key {
        path: "homeassistant.discovery_prefix",
        kind: Kind::Text(TOPIC_FORM),
        form: FormName::OfMqtt(Field { name: "discovery_prefix", label: "Discovery prefix" }),
        accepted: TOPIC_TEXT,
        default: Value("homeassistant"),
        brief: "where Home Assistant looks for new devices",
        text: "The topic under which Home Assistant looks for new devices. Change it only if you \
               have changed it in Home Assistant. It must differ from `mqtt.topic`, because other \
               programs look for Home Assistant's status directly below the discovery prefix.",
        ..KEY
    };
    STATUS_TOPIC: String = value::topic, Key {
        path: "homeassistant.status_topic",
        kind: Kind::Text(TOPIC_FORM),
        accepted: TOPIC_TEXT,
        default: Value("homeassistant/status"),
        brief: "where Home Assistant reports that it has started",
        text: "The topic on which Home Assistant reports that it has started (its birth message). \
               The program then sends everything again. It must not be one of the program's \
               own topics.",
        ..KEY
    };
    LANGUAGE: Language = value::language, Key {
        path: "homeassistant.language",
        kind: Kind::Words(&["en", "da", "de", "nl", "sv"], ""),
        form: FormName::Option(Field { name: "language", label: "Language of the names" }),
        why: value::why_no_language,
        accepted: "`en` (English), `da` (Danish), `de` (German), `nl` (Dutch) or `sv` (Swedish)",
        default: Value("en"),
        brief: "language of the names in Home Assistant: en, da, de, nl or sv; entity ids stay \
                English",
        text: "The language of the names of entities and devices in Home Assistant. If you change \
               it, the names change. The entity ids, topics, unique ids and states stay as they \
               are, and so do the statistics. Entity ids are made from the English names. A name \
               that you have changed in Home Assistant stays too.",
        ..KEY
    };
    ID_PREFIX: String = identifier, Key {
        path: "homeassistant.id_prefix",
        kind: Kind::Text(r"\s*[A-Za-z0-9_-]{1,64}\s*"),
        accepted: "1 to 64 letters, digits, `_` and `-`",
        default: Value("kamstrup"),
        brief: "start of the unique ids of all entities; a second program on the same broker needs \
                another",
        text: "The first part of the unique ids of all entities. If a second program uses the same \
               broker, it needs another `id_prefix`, `mqtt.topic`, `mqtt.client` and \
               `mqtt.device_id`.",
        ..KEY
    };
    HISTORY: HistoryUse = value::history_use, Key {
        path: "homeassistant.history",
        kind: Kind::Words(&["off", "gaps", "full"], ""),
        form: FormName::Option(Field { name: "history", label: "Fill the statistics" }),
        variable: Some("HOMEASSISTANT_HISTORY"),
        accepted: "`off`, `gaps` or `full`",
        default: Value("off"),
        brief: "gaps: fill gaps in Home Assistant's statistics from stored readings; full: also from \
                the meter's log, and write the time before; both need url and token",
        text: "What the program writes into Home Assistant's statistics. With `gaps`, it connects to \
               Home Assistant once an hour and fills hours that are missing or that repeat the hour \
               before, from its stored readings. With `full`, it also uses what was read of the \
               meter's log, and writes the time before the first hour of Home Assistant. Both need \
               `url` and `token`. See [Correct Home Assistant's \
               statistics](statistics.md#let-the-program-do-all-this). Make a backup of Home Assistant \
               first.",
        ..KEY
    };
    API_URL: ApiAddress = value::parse, Key {
        path: "homeassistant.url",
        kind: Kind::Text(r"\s*[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?\s*"),
        variable: Some("HOMEASSISTANT_URL"),
        accepted: "an address like `http://homeassistant.local:8123`, without a path",
        sample: Idea("http://homeassistant.local:8123"),
        brief: "the address of Home Assistant, for history",
        text: "The address of Home Assistant, without a path. It is used only to correct its \
               statistics.",
        ..KEY
    };
    API_TOKEN: Secret = value::token, Key {
        path: "homeassistant.token",
        kind: Kind::Text(r"\s*[!-~]([ -~]{6,254})[!-~]\s*"),
        variable: Some("HOMEASSISTANT_TOKEN"),
        accepted: "a long-lived access token of 8 to 256 characters",
        secret: true,
        sample: Idea("a secret"),
        brief: "a long-lived access token of an administrator, for history",
        text: "A long-lived access token of an administrator of Home Assistant. Create it in Home \
               Assistant, on the tab *Security* of your profile. Home Assistant lets only \
               administrators write statistics. The program uses the token for nothing else.",
        ..KEY
    };
    WEB_ENABLED: bool = value::boolean, Key {
        path: "web.enabled",
        kind: Kind::Switch(None),
        variable: Some("WEB_ENABLED"),
        accepted: YES_NO,
        default: Value("true"),
        brief: "whether the program serves its status page",
        text: "Whether the program serves its status page. While nobody has the page open, it uses \
               almost no memory or time.",
        ..KEY
    };
    WEB_LISTEN: SocketAddr = value::parse, Key {
        path: "web.listen",
        kind: Kind::Address(r"\s*(\[.*\]|[0-9.]+):[0-9]+\s*"),
        variable: Some("WEB_LISTEN"),
        why: value::why_no_address,
        accepted: "an address of this machine and a port, like `127.0.0.1:8099`, `0.0.0.0:8099` or \
                   `[::]:8099`",
        default: Value("127.0.0.1:8099"),
        brief: "its address: 127.0.0.1 for this machine only, 0.0.0.0 for everybody who can reach \
                it",
        text: "The address of the status page. At `127.0.0.1`, only this machine can open it. At \
               `0.0.0.0`, everybody who can reach this machine can open it, so use `0.0.0.0` only on \
               a network that you trust. On other machines, the buttons of the page then need the \
               `token`. If you run a second program on the same machine, it needs another port.",
        ..KEY
    };
    WEB_TOKEN: Secret = value::token, Key {
        path: "web.token",
        kind: Kind::Text(r"\s*[!-~]([ -~]{6,254})[!-~]\s*"),
        variable: Some("WEB_TOKEN"),
        accepted: "8 to 256 letters, digits, signs and spaces of ASCII",
        default: Words("a random token in the file `web-token`"),
        secret: true,
        sample: Idea("a secret"),
        brief: "for the buttons of the page; default: a random one, for other machines",
        text: "With this token, visitors can press the buttons of the page. Without it, they can \
               only look at the page. Enter the token on the page once, or send it as \
               `Authorization: Bearer`. Home Assistant's users need no token. If you do not set \
               one, visitors from this machine need none either. For visitors from other machines, \
               the program makes a random token and keeps it in the file `web-token`. If others \
               can open the page, the log says at each start how to show this token.",
        ..KEY
    };
}

/// The section of the page.
pub(super) const WEB: &str = "web";

/// The list of several meters.
pub(super) const METERS: &str = "meters";

/// The name that distinguishes several meters.
pub(super) static NAME: Setting<MeterName> = Setting {
    key: Key {
        path: "name",
        kind: Kind::Text(r"\s*[A-Za-z0-9_-]{1,32}\s*"),
        form: FormName::Option(Field { name: "name", label: "Name" }),
        accepted: "a word of 1 to 32 letters, digits, `_` and `-`; not the name of a value \
                   (`energy`) or a topic (`status`)",
        default: Words("none; required if there are several meters"),
        brief: "letters, digits, `_` and `-`",
        text: "The meter's name in topics, unique ids and the log.",
        ..KEY
    },
    parse: value::parse,
};

/// Settings of a meter that are in the section `mqtt` if there is only one meter.
static OF_METERS: [&Key; 2] = [&DEVICE_ID.key, &DEVICE_NAME.key];

/// The setting that a key of a meter in the list stands for.
pub(super) fn of_meter(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name() == name && key.is_of_meter()).copied()
}

impl Key {
    /// Whether each meter of a list has it.
    pub(super) fn is_of_meter(&self) -> bool {
        matches!(self.section(), "serial_device" | "kamstrup") || OF_METERS.contains(&self)
    }
}

/// The setting of this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path).copied()
}

/// The section of this name, if it has settings.
pub(super) fn section(name: &str) -> Option<&'static str> {
    SECTIONS.iter().map(|section| section.name).find(|section| *section == name)
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
            if matches!(section, "serial_device" | "kamstrup") || OF_METERS.contains(key) {
                assert_eq!(of_meter(name), Some(*key));
                assert_ne!(name, NAME.path);
            }
        }
        for name in ["host", "topic", "level", "mqtt.device_id", "name"] {
            assert!(of_meter(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_row_is_complete() {
        for key in KEYS.iter().copied().chain([&NAME.key]) {
            let Key { path, accepted, brief, text, sample, default, .. } = key;
            assert!(!accepted.is_empty() && !accepted.ends_with('.'), "{path}");
            assert!(text.ends_with('.'), "{path}");
            assert_eq!(brief.is_empty(), *sample == Hidden, "{path}");
            assert!(!brief.ends_with('.') || brief.ends_with("..."), "{path}");
            // The example has something to show.
            assert!(
                *sample != Sample::Default || matches!(default, Value(_)) || *path == NAME.path,
                "{path}"
            );
            if key.secret {
                assert!(key.variable.is_some() && matches!(default, Words(_)), "{path}");
            }
        }
    }

    #[test]
    fn sections_have_the_order_of_their_keys() {
        let mut sections: Vec<_> = KEYS.iter().map(|key| key.section()).collect();
        sections.dedup();
        let named: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        assert_eq!(sections, named);
    }

    #[test]
    fn every_password_is_a_secret() {
        for key in KEYS {
            let is_secret = key.path.contains("password")
                || key.path.contains("token")
                || key.path == "serial_device.key";
            assert_eq!(key.secret, is_secret, "{}", key.path);
        }
    }
}
