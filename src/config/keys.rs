//! The table of all settings: names, what is accepted, parsers, defaults and descriptions.
//!
//! It is the only source of these. The checks use it, and `config::manual` writes the example file
//! and the reference page from it (`cargo run --example manual`; a test fails where they differ).
//! Each setting is a constant with a type, so a setting that does not exist does not compile.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

use Fallback::{Value, Words};
use Sample::{Hidden, Idea, Set};

use super::model::Qos;
use super::secret::Secret;
use super::setting::{Fallback, FormName, Instead, KEY, Key, Sample, Setting};
use super::value::{self, Destination};
use crate::name::{MeterName, Parameter, identifier};
use crate::tls;
use crate::units::UnitSystem;
use logging::{Address, DateFormat, Facility, Format, When};
use meter::identity::Version;
use meter::transport::{DataBits, Endpoint, ModemLine, Parity, StopBits};

const TEXT: &str = "1 to 256 characters";
const YES_NO: &str = "`true` or `false`";
const ON_OFF_LEAVE: &str = "`on`, `off` or `leave` (as the system sets it)";
const TOPIC_TEXT: &str = "a topic of 1 to 256 characters without `+`, `#` and control characters";
const PORT_TEXT: &str = "a device path like `/dev/ttyUSB0`, or `socket://host:port` for a serial server in \
                    raw TCP mode";
const A_FILE: &str = "the path of a file";
const FORMAT: &str = "a text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`";
const DATE_FORMAT: &str = "a date like `%Y-%m-%d %H:%M:%S`, as strftime has it";

/// The two options of the form that name the port: what can be chosen from a list, and what can be
/// written.
pub(super) const SERIAL_PORT: &str = "serial_port";
pub(super) const WRITTEN_PORT: &str = "port";

/// For the dates of the destinations.
const WHERE_DATE_FORMAT: Option<Instead> =
    Some(Instead::WhereMade(&LOG_DATE_FORMAT.key, Words("what `logging.date_format` says")));

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
    Section { name: "mqtt", text: "The broker, and how values are published there." },
    Section {
        name: "serial_device",
        text: "Where the meter is connected, and the line there. All but the port is right for every \
               optical head as it is.",
    },
    Section { name: "kamstrup", text: "Which meter it is, what is read, and how often." },
    Section {
        name: "logging",
        text: "Where the log goes and how its lines look. The formats are those of Python's \
               `logging`, which the older program had.",
    },
    Section { name: "homeassistant", text: "What Home Assistant is told." },
    Section {
        name: "web",
        text: "The page that shows how it goes, with help for setting up, and the same for programs \
               (`/metrics`, `/api/v1/state`). The add-on has its own, in Home Assistant's sidebar.",
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
        variable: Some("MQTT_HOST"),
        form: FormName::OfMqtt("host"),
        why: value::why_no_host,
        accepted: "a host name or an IP address; the port is a setting of its own",
        default: Value("localhost"),
        sample: Set("192.168.1.100"),
        brief: "the broker's name or address",
        text: "The MQTT broker's name or address: that of the machine on which Mosquitto runs, or of \
               Home Assistant with its Mosquitto add-on.",
        ..KEY
    };
    PORT: NonZeroU16 = value::parse, Key {
        path: "mqtt.port",
        variable: Some("MQTT_PORT"),
        form: FormName::OfMqtt("port"),
        instead: Some(Instead::WhereOn(&TLS_ENABLED, Value("8883"))),
        accepted: "a whole number from 1 to 65535",
        default: Value("1883"),
        brief: "8883 where `tls_enabled` is on",
        text: "The broker's TCP port. Where `tls_enabled` is on, the default is 8883. A variable \
               `MQTT_PORT` that begins with `tcp://` is not taken: Kubernetes and container links set \
               it by themselves for a service called `mqtt`.",
        ..KEY
    };
    CLIENT: String = value::text, Key {
        path: "mqtt.client",
        variable: Some("MQTT_CLIENT"),
        accepted: TEXT,
        default: Value("kamstrup"),
        brief: "no two programs on a broker may have the same",
        text: "How the program is known to the broker (its client id). Two programs with the same one \
               throw each other out for ever.",
        ..KEY
    };
    TOPIC: String = value::topic, Key {
        path: "mqtt.topic",
        variable: Some("MQTT_TOPIC"),
        form: FormName::OfMqtt("topic"),
        accepted: TOPIC_TEXT,
        default: Value("kamstrup"),
        brief: "values go to kamstrup/energy, kamstrup/power ...",
        text: "The first part of every topic: with `heat`, values are published as `heat/energy`, \
               `heat/power` and so on.",
        ..KEY
    };
    QOS: Qos = value::qos, Key {
        path: "mqtt.qos",
        variable: Some("MQTT_QOS"),
        form: FormName::OfMqtt("qos"),
        accepted: "`0`, `1` or `2`",
        default: Value("0"),
        brief: "of the values: 0, 1 or 2",
        text: "How surely values arrive: `0` sends them once, `1` until the broker has them, `2` so \
               that it has them exactly once. What Home Assistant is told about the meter is always \
               sent with 1.",
        ..KEY
    };
    RETAIN: bool = value::boolean, Key {
        path: "mqtt.retain",
        variable: Some("MQTT_RETAIN"),
        form: FormName::OfMqtt("retain"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the broker keeps the last values",
        text: "Whether the broker keeps the last value of each topic for those that subscribe later. \
               Home Assistant has its values soon after a restart either way.",
        ..KEY
    };
    AUTHENTICATION: bool = value::boolean, Key {
        path: "mqtt.authentication",
        variable: Some("MQTT_AUTHENTICATION"),
        accepted: YES_NO,
        default: Words("`true` as soon as a user name is set"),
        sample: Hidden,
        text: "With `false`, `username` and `password` are not used even where they are set.",
        ..KEY
    };
    USERNAME: String = value::long_text, Key {
        path: "mqtt.username",
        variable: Some("MQTT_USERNAME"),
        form: FormName::OfMqtt("username"),
        accepted: "1 to 65535 characters",
        default: Words("nobody: the broker is asked to do without"),
        sample: Idea("kamstrup"),
        brief: "the user at the broker",
        text: "The user name at the broker.",
        ..KEY
    };
    PASSWORD: Secret = value::secret, Key {
        path: "mqtt.password",
        variable: Some("MQTT_PASSWORD"),
        form: FormName::OfMqtt("password"),
        accepted: "up to 65535 characters",
        default: Words("an empty one"),
        secret: true,
        sample: Idea("a secret"),
        brief: "in quotes, so that YAML leaves it alone",
        text: "The user's password. Put it in quotes: YAML gives `#`, `!`, `&` and the like a meaning \
               of their own.",
        ..KEY
    };
    TLS_ENABLED: bool = value::boolean, Key {
        path: "mqtt.tls_enabled",
        variable: Some("MQTT_TLS_ENABLED"),
        form: FormName::OfMqtt("tls"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the connection is encrypted",
        text: "Whether the connection to the broker is encrypted (TLS). The other `tls_` settings \
               count only with it.",
        ..KEY
    };
    TLS_CA_CERT: PathBuf = value::path, Key {
        path: "mqtt.tls_ca_cert",
        variable: Some("MQTT_TLS_CA_CERT"),
        form: FormName::OfMqtt("tls_ca_cert"),
        accepted: A_FILE,
        default: Words("the certificates that the system trusts"),
        sample: Idea("/etc/kamstrup2mqtt/ca.crt"),
        brief: "who vouches for the broker; without: whom the system trusts",
        text: "The certificate of the authority that vouches for the broker, as a PEM file. Needed \
               where you made the broker's certificate yourself; one that vouches for itself \
               (self-signed) is named here itself.",
        ..KEY
    };
    TLS_CERT: PathBuf = value::path, Key {
        path: "mqtt.tls_cert",
        variable: Some("MQTT_TLS_CERT"),
        form: FormName::OfMqtt("tls_cert"),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.crt"),
        brief: "this program's own certificate, if the broker wants one",
        text: "The certificate with which the program logs in, as a PEM file, where the broker wants \
               one. `tls_key` belongs to it.",
        ..KEY
    };
    TLS_KEY: PathBuf = value::path, Key {
        path: "mqtt.tls_key",
        variable: Some("MQTT_TLS_KEY"),
        form: FormName::OfMqtt("tls_key"),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.key"),
        brief: "and its private key",
        text: "The private key of `tls_cert`, as a PEM file. It may be encrypted, by PKCS#8.",
        ..KEY
    };
    TLS_KEY_PASSWORD: Secret = value::secret, Key {
        path: "mqtt.tls_key_password",
        variable: Some("MQTT_TLS_KEY_PASSWORD"),
        form: FormName::OfMqtt("tls_key_password"),
        accepted: "up to 65535 characters",
        secret: true,
        sample: Idea("a secret"),
        brief: "where that key is encrypted",
        text: "The password of `tls_key`, where that is encrypted.",
        ..KEY
    };
    TLS_INSECURE: bool = value::boolean, Key {
        path: "mqtt.tls_insecure",
        variable: Some("MQTT_TLS_INSECURE"),
        form: FormName::OfMqtt("tls_insecure"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "true: believe any certificate, which helps nobody but a thief",
        text: "With `true` the broker's certificate is not checked: the connection is encrypted, but \
               with whom, nobody knows. For a first try only; the log warns at every start.",
        ..KEY
    };
    TLS_VERSION: tls::Version = value::tls_version, Key {
        path: "mqtt.tls_version",
        variable: Some("MQTT_TLS_VERSION"),
        accepted: "`1.2` or `1.3`, the lowest version that will do (or the older program's \
                   `PROTOCOL_TLSv1_2` or `PROTOCOL_TLS`); 1.0 and 1.1 are not safe any more",
        default: Value("1.2"),
        brief: "the lowest one: 1.2 or 1.3",
        text: "The lowest version of TLS that will do. The older program's spellings are known too: \
               `PROTOCOL_TLSv1_2` and `ssl.PROTOCOL_TLSv1_2` are 1.2, `PROTOCOL_TLS` is any that is \
               safe. Versions below 1.2 are not safe any more and are refused.",
        ..KEY
    };
    DEVICE_ID: String = value::text, Key {
        path: "mqtt.device_id",
        accepted: TEXT,
        default: Value("kamstrup_meter"),
        brief: "how Home Assistant knows the device",
        text: "How Home Assistant knows the device. A meter with a name has this and its name, as in \
               `kamstrup_meter_garage`, unless it has a `device_id` of its own.",
        ..KEY
    };
    DEVICE_NAME: String = value::text, Key {
        path: "mqtt.device_name",
        form: FormName::Option("device_name"),
        accepted: TEXT,
        default: Value("Kamstrup Meter"),
        brief: "and how it calls it",
        text: "How Home Assistant calls the device. A meter with a name has this and its name, as in \
               `Kamstrup Meter garage`, unless it has a `device_name` of its own.",
        ..KEY
    };
    COM_PORT: Endpoint = value::parse, Key {
        path: "serial_device.com_port",
        variable: Some("SERIAL_COM_PORT"),
        form: FormName::Either(SERIAL_PORT, WRITTEN_PORT),
        why: value::why_no_endpoint,
        accepted: PORT_TEXT,
        default: Words("nothing: one must be set"),
        sample: Set("/dev/ttyUSB0"),
        brief: "the optical head, best by its name in /dev/serial/by-id/; or socket://host:port for \
                a serial server on the network",
        text: "The port that the optical head is on. A head on USB is best called by its name in \
               `/dev/serial/by-id/`, which stays the same when another device is plugged in. A serial \
               server on the network is `socket://host:port`; it must be set to raw TCP (TCP server), \
               1200 baud, 8 data bits, no parity, 2 stop bits.",
        ..KEY
    };
    URL: Endpoint = value::parse, Key {
        path: "serial_device.url",
        why: value::why_no_endpoint,
        accepted: PORT_TEXT,
        default: Words("`com_port` counts"),
        sample: Hidden,
        text: "Another name of `com_port`, which the older program had. Where both stand in the file, \
               this one counts.",
        ..KEY
    };
    BAUDRATE: NonZeroU32 = value::baud, Key {
        path: "serial_device.baudrate",
        variable: Some("SERIAL_BAUDRATE"),
        accepted: "a whole number from 300 to 115200; optical heads need 1200",
        default: Value("1200"),
        brief: "this and the next three hardly ever need a change; a serial server has settings \
                of its own",
        text: "How fast the line is. Optical heads need 1200. A serial server has this and the next \
               three settings of its own.",
        ..KEY
    };
    BYTESIZE: DataBits = value::data_bits, Key {
        path: "serial_device.bytesize",
        variable: Some("SERIAL_BYTESIZE"),
        accepted: "`7` or `8`",
        default: Value("8"),
        brief: "7 or 8",
        text: "Data bits of a byte.",
        ..KEY
    };
    PARITY: Parity = value::parity, Key {
        path: "serial_device.parity",
        variable: Some("SERIAL_PARITY"),
        accepted: "`NONE`, `EVEN` or `ODD`",
        default: Value("NONE"),
        brief: "NONE, EVEN or ODD",
        text: "The parity bit of a byte.",
        ..KEY
    };
    STOPBITS: StopBits = value::stop_bits, Key {
        path: "serial_device.stopbits",
        variable: Some("SERIAL_STOPBITS"),
        accepted: "`1` or `2`",
        default: Value("2"),
        brief: "1 or 2",
        text: "Stop bits after a byte.",
        ..KEY
    };
    TIMEOUT: Duration = value::seconds, Key {
        path: "serial_device.timeout",
        variable: Some("SERIAL_TIMEOUT"),
        accepted: "seconds from 0 to 60, like `2` or `2.5`",
        default: Value("1.6"),
        brief: "seconds until an answer begins: at least 1.6, more for a slow serial server",
        text: "How many seconds an answer may take to begin. A meter may take 1.6; less is raised to \
               that. More helps with a slow serial server.",
        ..KEY
    };
    DTR: ModemLine = value::modem_line, Key {
        path: "serial_device.dtr",
        variable: Some("SERIAL_DTR"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "this line and the next feed some heads: on, off, or leave (as the system sets it)",
        text: "Whether the DTR line of a serial port is raised. Some heads take their current from it.",
        ..KEY
    };
    RTS: ModemLine = value::modem_line, Key {
        path: "serial_device.rts",
        variable: Some("SERIAL_RTS"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "on, off or leave",
        text: "The same for the RTS line.",
        ..KEY
    };
    VERSION: Version = value::version, Key {
        path: "kamstrup.version",
        variable: Some("KAMSTRUP_VERSION"),
        form: FormName::Option("meter"),
        accepted: "`auto`, `21`, `302`, `303`, `402`, `403`, `601`, `602`, `603`, `801`, `803` or \
                   `generic`",
        default: Value("402"),
        sample: Set("auto"),
        brief: "the number on the meter's front: 21, 302, 303, 402, 403, 601, 602, 603, 801 or 803; \
                or auto, or generic",
        text: "Which MULTICAL it is: the number on its front, also as `MC403` or `Multical 403`. `auto` asks the meter, which not every \
               model can answer; `generic` claims nothing. What the info code means, and what Home \
               Assistant calls the model, go by it. Without it a 402 is assumed, whose info code is not \
               explained.",
        ..KEY
    };
    POLL_INTERVAL: Duration = value::interval, Key {
        path: "kamstrup.poll_interval",
        variable: Some("KAMSTRUP_POLL_INTERVAL"),
        form: FormName::Option("poll_interval"),
        accepted: "minutes like `5` or `0.5`, or a time like `90s`, `5m` or `1h`, up to a week; at \
                   least 1.2 s",
        default: Value("5"),
        brief: "minutes, or a time like 90s, 5m or 1h; each reading costs the meter's battery a \
                little, and many meters fall asleep after 30 minutes",
        text: "From one reading to the next: minutes as a plain number, or `90s`, `5m`, `1h`. Readings \
               keep to the clock on the wall: every `5` minutes means at :00, :05, :10 and so on, \
               every `1h` on the full hour. The first one comes at once when the program starts. One \
               that falls into a longer reading is left out. Each reading costs the meter's battery a \
               little, and many meters fall asleep when nothing was asked for 30 minutes.",
        ..KEY
    };
    UNITS: UnitSystem = value::unit_system, Key {
        path: "kamstrup.units",
        variable: Some("KAMSTRUP_UNITS"),
        form: FormName::Option("units"),
        accepted: "`standard` (kWh, W, °C, m³, m³/h) or `meter` (those that the meter is set to)",
        default: Value("standard"),
        brief: "kWh, W, °C, m³, m³/h whatever the meter is set to; or meter: those that it is set to",
        text: "In which units values are published. `standard` is kWh, W, °C, m³ and m³/h whatever the \
               meter is set to; with `meter` they are those that it is set to.",
        ..KEY
    };
    PARAMETERS: Parameter = value::exact, Key {
        path: "kamstrup.parameters",
        variable: Some("KAMSTRUP_PARAMETERS"),
        form: FormName::Option("parameters"),
        // The users of the form have no command line.
        accepted_in_form: Some(
            "names of values like `energy` and register numbers like `60` or `0x003C`, separated by \
             commas or in a list",
        ),
        why: value::why_no_parameter,
        accepted: "names of values like `energy` (`kamstrup2mqtt registers` lists them) and register \
                   numbers like `60` or `0x003C`, separated by commas or in a list",
        default: Value("energy, volume, power, flow, temp1, temp2, tempdiff"),
        list: true,
        sample: Set("energy, volume, power, flow, temp1, temp2, tempdiff"),
        brief: "names, or register numbers like 60 or 0x003C",
        text: "What is read: names, and numbers of registers that have no name here. \
               `kamstrup2mqtt registers` lists the names, `kamstrup2mqtt scan` what your meter has. \
               Upper and lower case are the same.",
        ..KEY
    };
    LOG_LEVEL: Level = value::level, Key {
        path: "logging.level",
        variable: Some("LOG_LEVEL"),
        form: FormName::Option("log_level"),
        accepted: "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
        default: Value("INFO"),
        brief: "DEBUG shows every frame to and from the meter",
        text: "What is worth a line: `INFO` is one line for each reading and one for each change, \
               `WARNING` only what is wrong, `DEBUG` every frame to and from the meter. `CRITICAL` is \
               taken for `ERROR`.",
        ..KEY
    };
    DESTINATIONS: Destination = value::destination, Key {
        path: "logging.destinations",
        accepted: "`stdout`, `file` and `syslog`, separated by commas or in a list",
        default: Value("stdout"),
        list: true,
        brief: "stdout, file and syslog, any of them",
        text: "Where the log goes: `stdout` is standard output, which systemd and containers keep for \
               you, `file` a file of its own, `syslog` the system's log or a log server.",
        ..KEY
    };
    LOG_FORMAT: Format = value::exact, Key {
        path: "logging.format",
        why: value::why_not::<Format>,
        accepted: FORMAT,
        default: Words("those of the destinations"),
        sample: Hidden,
        text: "How a line looks at every destination that has no format of its own.",
        ..KEY
    };
    LOG_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.date_format",
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Words("those of the destinations"),
        sample: Hidden,
        text: "How `%(asctime)s` looks at every destination that has no date format of its own.",
        ..KEY
    };
    STDOUT_FORMAT: Format = value::exact, Key {
        path: "logging.stdout_format",
        why: value::why_not::<Format>,
        accepted: "a text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`, or `json`",
        default: Words("a line made for reading"),
        sample: Idea("%(asctime)s [%(name)s] %(levelname)s %(message)s"),
        brief: "without: a line made for reading; json: one JSON object a line",
        text: "How a line on standard output looks. Without it: a line made for reading, in colours on \
               a terminal. `json` gives one JSON object a line. [logging.md](logging.md) lists all \
               fields.",
        ..KEY
    };
    STDOUT_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.stdout_date_format",
        instead: WHERE_DATE_FORMAT,
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%dT%H:%M:%S%z"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `stdout_format`.",
        ..KEY
    };
    LOG_DIRECTORY: PathBuf = value::directory, Key {
        path: "logging.directory",
        why: value::why_no_directory,
        accepted: "the path of a folder, without `~`",
        default: Value("logs"),
        brief: "of the log files; made where it is missing",
        text: "The folder of the log files. It is made where it is missing. A path that does not begin \
               with `/` goes by the folder in which the program was started; `~` is not known.",
        ..KEY
    };
    LOG_FILENAME: String = value::filename, Key {
        path: "logging.filename",
        why: value::why_no_filename,
        accepted: "a file name without `/`",
        default: Value("kamstrup2mqtt.log"),
        brief: "of today's file; earlier ones have the date behind it",
        text: "The name of the file that is written. Earlier ones have the date behind it, as in \
               `kamstrup2mqtt.log.2026-11-24`.",
        ..KEY
    };
    ROTATE_WHEN: When = value::parse, Key {
        path: "logging.rotate_when",
        accepted: "`s`, `m`, `h`, `d`, `midnight`, or `w0` (Monday) to `w6` (Sunday)",
        default: Value("midnight"),
        brief: "when a new file begins: s, m, h, d, midnight, w0 (Monday) to w6",
        text: "When a new file begins: on the second, minute or hour (`s`, `m`, `h`), at midnight \
               (`d` and `midnight`), or at the midnight that ends a day of the week (`w0` is Monday). \
               Midnight is that of the local time. The file of today goes on after a restart.",
        ..KEY
    };
    ROTATE_INTERVAL: NonZeroU32 = value::parse, Key {
        path: "logging.rotate_interval",
        accepted: "a whole number of at least 1",
        default: Value("1"),
        brief: "how many of them",
        text: "How many seconds, minutes, hours, days or weeks a file lasts, counted from 1970 on: \
               with `6` and `h` a file begins at 0, 6, 12 and 18 o'clock.",
        ..KEY
    };
    BACKUP_COUNT: usize = value::count, Key {
        path: "logging.backup_count",
        accepted: "a whole number; `0` keeps all",
        default: Value("7"),
        brief: "how many earlier files are kept; 0: all",
        text: "How many earlier files are kept. `0` keeps all of them.",
        ..KEY
    };
    FILE_FORMAT: Format = value::exact, Key {
        path: "logging.file_format",
        instead: Some(Instead::WhereMade(&LOG_FORMAT.key, Words("what `logging.format` says"))),
        why: value::why_not::<Format>,
        accepted: FORMAT,
        default: Value(
            "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s",
        ),
        brief: "how a line looks there",
        text: "How a line in the file looks.",
        ..KEY
    };
    FILE_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.file_date_format",
        instead: WHERE_DATE_FORMAT,
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%d %H:%M:%S"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `file_format`.",
        ..KEY
    };
    SYSLOG_ADDRESS: Address = value::parse, Key {
        path: "logging.syslog_address",
        accepted: "a socket like `/dev/log` or `unix:///run/log.sock`, `host:514` or `udp://host:514` \
                   (UDP), or `tcp://host:601`",
        default: Value("/dev/log"),
        brief: "the system's log, or a log server: host:514 (UDP), tcp://host:601",
        text: "Where the system's log is: a socket, or a log server, over UDP (`host:514`) or TCP \
               (`tcp://host:601`). Lines are sent by RFC 5424, over TCP with their length before them \
               (RFC 6587); to `/dev/log` as journald and others want them there, but to \
               `unix:///dev/log` by RFC 5424. While a server cannot be reached, up to 1024 lines wait \
               for it.",
        ..KEY
    };
    SYSLOG_FACILITY: Facility = value::exact, Key {
        path: "logging.syslog_facility",
        why: value::why_not::<Facility>,
        accepted: "`user`, `daemon`, `local0` to `local7`, or another of syslog's names",
        default: Value("local0"),
        brief: "under which its lines are filed",
        text: "Under which name of syslog's the lines are filed.",
        ..KEY
    };
    SYSLOG_FORMAT: Format = value::exact, Key {
        path: "logging.syslog_format",
        why: value::why_not::<Format>,
        accepted: FORMAT,
        default: Words("the message alone, since program, process and level stand beside it"),
        sample: Idea("%(name)s[%(process)d]: %(levelname)s %(message)s"),
        brief: "how a line looks there; without: the message alone",
        text: "How a line in the system's log looks.",
        ..KEY
    };
    SYSLOG_DATE_FORMAT: DateFormat = value::exact, Key {
        path: "logging.syslog_date_format",
        why: value::why_not::<DateFormat>,
        accepted: DATE_FORMAT,
        default: Words("Python's own form, like `2026-11-24 10:00:00,123`"),
        sample: Idea("%Y-%m-%d %H:%M:%S"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `syslog_format`.",
        ..KEY
    };
    DISCOVERY_PREFIX: String = value::topic, Key {
        path: "homeassistant.discovery_prefix",
        form: FormName::OfMqtt("discovery_prefix"),
        accepted: TOPIC_TEXT,
        default: Value("homeassistant"),
        brief: "where it looks for new devices",
        text: "Under which topic Home Assistant looks for new devices. Only to be changed where it was \
               changed there.",
        ..KEY
    };
    STATUS_TOPIC: String = value::topic, Key {
        path: "homeassistant.status_topic",
        accepted: TOPIC_TEXT,
        default: Value("homeassistant/status"),
        brief: "where it says that it has started",
        text: "The topic on which Home Assistant says that it has started; everything is then sent \
               again.",
        ..KEY
    };
    ID_PREFIX: String = identifier, Key {
        path: "homeassistant.id_prefix",
        accepted: "1 to 64 letters, digits, `_` and `-`",
        default: Value("kamstrup"),
        brief: "how the unique ids of all entities begin: another one for a second program on the \
                same broker",
        text: "How the unique ids of all entities begin. A second program on the same broker needs \
               another one, and another `mqtt.topic` and `mqtt.client`.",
        ..KEY
    };
    WEB_ENABLED: bool = value::boolean, Key {
        path: "web.enabled",
        variable: Some("WEB_ENABLED"),
        accepted: YES_NO,
        default: Value("true"),
        brief: "whether there is a page that shows how it goes",
        text: "Whether there is a page that shows how it goes. It costs nothing while nobody looks.",
        ..KEY
    };
    WEB_LISTEN: SocketAddr = value::parse, Key {
        path: "web.listen",
        variable: Some("WEB_LISTEN"),
        accepted: "an address of this machine and a port, like `127.0.0.1:8099`, `0.0.0.0:8099` or \
                   `[::]:8099`",
        default: Value("127.0.0.1:8099"),
        brief: "where it is: 127.0.0.1 for this machine alone, 0.0.0.0 for whoever can reach it",
        text: "Where the page is. At `127.0.0.1` only this machine can look; at `0.0.0.0` everybody \
               who can reach this machine, since the page asks for no password: only in a network \
               that you trust. A second program on the same machine needs another port.",
        ..KEY
    };
}

/// The list of several meters.
pub(super) const METERS: &str = "meters";

/// What tells several meters apart.
pub(super) static NAME: Setting<MeterName> = Setting {
    key: Key {
        path: "name",
        form: FormName::Option("name"),
        accepted: "1 to 32 letters, digits, `_` and `-`; not what a value (`energy`) or a topic \
               (`status`) is called",
        default: Words("none, which only a single meter may have"),
        brief: "letters, digits, `_` and `-`",
        text: "What the meter is called in topics, unique ids and the log.",
        ..KEY
    },
    parse: value::parse,
};

/// Settings of a meter that stand in a section with others, where there is only one meter.
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
    fn every_row_is_whole() {
        for key in KEYS.iter().copied().chain([&NAME.key]) {
            let Key { path, accepted, brief, text, sample, default, .. } = key;
            assert!(!accepted.is_empty() && !accepted.ends_with('.'), "{path}");
            assert!(text.ends_with('.'), "{path}");
            assert_eq!(brief.is_empty(), *sample == Hidden, "{path}");
            assert!(!brief.ends_with('.') || brief.ends_with("..."), "{path}");
            // There is something to show.
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
    fn sections_are_those_of_the_keys_in_their_order() {
        let mut sections: Vec<_> = KEYS.iter().map(|key| key.section()).collect();
        sections.dedup();
        let named: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        assert_eq!(sections, named);
    }

    #[test]
    fn what_is_called_a_password_is_a_secret() {
        for key in KEYS {
            assert_eq!(key.secret, key.path.contains("password"), "{}", key.path);
        }
    }
}
