//! The table of all settings: where each may be set, what is accepted, what counts where nobody
//! made it, and what is said of it.
//!
//! It is the only source of all this: the checks read it, and the example file and the reference
//! page are written from it (`config::manual`).

use Fallback::{Value, Words};
use Sample::{Hidden, Idea, Set};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Section and name in the file, as `mqtt.host`.
    pub(super) path: &'static str,
    /// The environment variable that overrides the file. A secret has a second one beside it, whose
    /// name ends in `_FILE` and which names a file that holds the secret.
    pub(super) variable: Option<&'static str>,
    /// What is accepted, in words that complete "accepted: …".
    pub(super) accepted: &'static str,
    /// What counts where nobody made it.
    pub(super) default: Fallback,
    /// Whether it may be a list.
    pub(super) list: bool,
    /// Whether its value must not be shown.
    pub(super) secret: bool,
    /// What the example file shows.
    pub(super) sample: Sample,
    /// What the example file says beside it: a few words that begin in lower case.
    pub(super) brief: &'static str,
    /// What the reference page says of it: whole sentences.
    pub(super) text: &'static str,
}

/// What counts where nobody made a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// This, as if it stood in the file.
    Value(&'static str),
    /// There is no such value; what happens instead.
    Words(&'static str),
}

/// A setting in the example file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// The default, behind a `#`.
    Default,
    /// Something that a user might write, behind a `#`.
    Idea(&'static str),
    /// Something that a user must change, as it stands.
    Set(&'static str),
    /// Not there: another name of a setting that is, or one that would switch others off unseen.
    Hidden,
}

/// What most rows have in common.
const KEY: Key = Key {
    path: "",
    variable: None,
    accepted: "",
    default: Words("nothing"),
    list: false,
    secret: false,
    sample: Sample::Default,
    brief: "",
    text: "",
};

const TEXT: &str = "1 to 256 characters";
const YES_NO: &str = "`true` or `false`";
const ON_OFF_LEAVE: &str = "`on`, `off` or `leave` (as the system sets it)";
const TOPIC: &str = "a topic of 1 to 256 characters without `+`, `#` and control characters";
const PORT: &str = "a device path like `/dev/ttyUSB0`, or `socket://host:port` for a serial server in \
                    raw TCP mode";
const A_FILE: &str = "the path of a file";
const FORMAT: &str = "a text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`";
const DATE_FORMAT: &str = "a date like `%Y-%m-%d %H:%M:%S`, as strftime has it";

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

/// Every setting, by section.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "mqtt.host",
        variable: Some("MQTT_HOST"),
        accepted: "a host name or an IP address; the port is a setting of its own",
        default: Value("localhost"),
        sample: Set("192.168.1.100"),
        brief: "the broker's name or address",
        text: "The MQTT broker's name or address: that of the machine on which Mosquitto runs, or of \
               Home Assistant with its Mosquitto add-on.",
        ..KEY
    },
    Key {
        path: "mqtt.port",
        variable: Some("MQTT_PORT"),
        accepted: "a whole number from 1 to 65535",
        default: Value("1883"),
        brief: "8883 where `tls_enabled` is on",
        text: "The broker's TCP port. Where `tls_enabled` is on, the default is 8883. A variable \
               `MQTT_PORT` that begins with `tcp://` is not taken: Kubernetes and container links set \
               it by themselves for a service called `mqtt`.",
        ..KEY
    },
    Key {
        path: "mqtt.client",
        variable: Some("MQTT_CLIENT"),
        accepted: TEXT,
        default: Value("kamstrup"),
        brief: "no two programs on a broker may have the same",
        text: "How the program is known to the broker (its client id). Two programs with the same one \
               throw each other out for ever.",
        ..KEY
    },
    Key {
        path: "mqtt.topic",
        variable: Some("MQTT_TOPIC"),
        accepted: TOPIC,
        default: Value("kamstrup"),
        brief: "values go to kamstrup/energy, kamstrup/power ...",
        text: "The first part of every topic: with `heat`, values are published as `heat/energy`, \
               `heat/power` and so on.",
        ..KEY
    },
    Key {
        path: "mqtt.qos",
        variable: Some("MQTT_QOS"),
        accepted: "`0`, `1` or `2`",
        default: Value("0"),
        brief: "of the values: 0, 1 or 2",
        text: "How surely values arrive: `0` sends them once, `1` until the broker has them, `2` so \
               that it has them exactly once. What Home Assistant is told about the meter is always \
               sent with 1.",
        ..KEY
    },
    Key {
        path: "mqtt.retain",
        variable: Some("MQTT_RETAIN"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the broker keeps the last values",
        text: "Whether the broker keeps the last value of each topic for those that subscribe later. \
               Home Assistant has its values soon after a restart either way.",
        ..KEY
    },
    Key {
        path: "mqtt.authentication",
        variable: Some("MQTT_AUTHENTICATION"),
        accepted: YES_NO,
        default: Words("`true` as soon as a user name is set"),
        sample: Hidden,
        text: "With `false`, `username` and `password` are not used even where they are set.",
        ..KEY
    },
    Key {
        path: "mqtt.username",
        variable: Some("MQTT_USERNAME"),
        accepted: "1 to 65535 characters",
        default: Words("nobody: the broker is asked to do without"),
        sample: Idea("kamstrup"),
        brief: "the user at the broker",
        text: "The user name at the broker.",
        ..KEY
    },
    Key {
        path: "mqtt.password",
        variable: Some("MQTT_PASSWORD"),
        accepted: "up to 65535 characters",
        default: Words("an empty one"),
        secret: true,
        sample: Idea("a secret"),
        brief: "in quotes, so that YAML leaves it alone",
        text: "The user's password. Put it in quotes: YAML gives `#`, `!`, `&` and the like a meaning \
               of their own.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_enabled",
        variable: Some("MQTT_TLS_ENABLED"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "whether the connection is encrypted",
        text: "Whether the connection to the broker is encrypted (TLS). The other `tls_` settings \
               count only with it.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_ca_cert",
        variable: Some("MQTT_TLS_CA_CERT"),
        accepted: A_FILE,
        default: Words("the certificates that the system trusts"),
        sample: Idea("/etc/kamstrup2mqtt/ca.crt"),
        brief: "who vouches for the broker; without: whom the system trusts",
        text: "The certificate of the authority that vouches for the broker, as a PEM file. Needed \
               where you made the broker's certificate yourself; one that vouches for itself \
               (self-signed) is named here itself.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_cert",
        variable: Some("MQTT_TLS_CERT"),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.crt"),
        brief: "this program's own certificate, if the broker wants one",
        text: "The certificate with which the program logs in, as a PEM file, where the broker wants \
               one. `tls_key` belongs to it.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_key",
        variable: Some("MQTT_TLS_KEY"),
        accepted: A_FILE,
        sample: Idea("/etc/kamstrup2mqtt/client.key"),
        brief: "and its private key",
        text: "The private key of `tls_cert`, as a PEM file. It may be encrypted, by PKCS#8.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_key_password",
        variable: Some("MQTT_TLS_KEY_PASSWORD"),
        accepted: "up to 65535 characters",
        secret: true,
        sample: Idea("a secret"),
        brief: "where that key is encrypted",
        text: "The password of `tls_key`, where that is encrypted.",
        ..KEY
    },
    Key {
        path: "mqtt.tls_insecure",
        variable: Some("MQTT_TLS_INSECURE"),
        accepted: YES_NO,
        default: Value("false"),
        brief: "true: believe any certificate, which helps nobody but a thief",
        text: "With `true` the broker's certificate is not checked: the connection is encrypted, but \
               with whom, nobody knows. For a first try only; the log warns at every start.",
        ..KEY
    },
    Key {
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
    },
    Key {
        path: "mqtt.device_id",
        accepted: TEXT,
        default: Value("kamstrup_meter"),
        brief: "how Home Assistant knows the device",
        text: "How Home Assistant knows the device. A meter with a name has this and its name, as in \
               `kamstrup_meter_garage`, unless it has a `device_id` of its own.",
        ..KEY
    },
    Key {
        path: "mqtt.device_name",
        accepted: TEXT,
        default: Value("Kamstrup Meter"),
        brief: "and how it calls it",
        text: "How Home Assistant calls the device. A meter with a name has this and its name, as in \
               `Kamstrup Meter garage`, unless it has a `device_name` of its own.",
        ..KEY
    },
    Key {
        path: "serial_device.com_port",
        variable: Some("SERIAL_COM_PORT"),
        accepted: PORT,
        default: Words("nothing: one must be set"),
        sample: Set("/dev/ttyUSB0"),
        brief: "the optical head, best by its name in /dev/serial/by-id/; or socket://host:port for \
                a serial server on the network",
        text: "The port that the optical head is on. A head on USB is best called by its name in \
               `/dev/serial/by-id/`, which stays the same when another device is plugged in. A serial \
               server on the network is `socket://host:port`; it must be set to raw TCP (TCP server), \
               1200 baud, 8 data bits, no parity, 2 stop bits.",
        ..KEY
    },
    Key {
        path: "serial_device.url",
        accepted: PORT,
        default: Words("`com_port` counts"),
        sample: Hidden,
        text: "Another name of `com_port`, which the older program had. Where both stand in the file, \
               this one counts.",
        ..KEY
    },
    Key {
        path: "serial_device.baudrate",
        variable: Some("SERIAL_BAUDRATE"),
        accepted: "a whole number from 300 to 115200; optical heads need 1200",
        default: Value("1200"),
        brief: "this and the next three hardly ever need a change; a serial server has settings \
                of its own",
        text: "How fast the line is. Optical heads need 1200. A serial server has this and the next \
               three settings of its own.",
        ..KEY
    },
    Key {
        path: "serial_device.bytesize",
        variable: Some("SERIAL_BYTESIZE"),
        accepted: "`7` or `8`",
        default: Value("8"),
        brief: "7 or 8",
        text: "Data bits of a byte.",
        ..KEY
    },
    Key {
        path: "serial_device.parity",
        variable: Some("SERIAL_PARITY"),
        accepted: "`NONE`, `EVEN` or `ODD`",
        default: Value("NONE"),
        brief: "NONE, EVEN or ODD",
        text: "The parity bit of a byte.",
        ..KEY
    },
    Key {
        path: "serial_device.stopbits",
        variable: Some("SERIAL_STOPBITS"),
        accepted: "`1` or `2`",
        default: Value("2"),
        brief: "1 or 2",
        text: "Stop bits after a byte.",
        ..KEY
    },
    Key {
        path: "serial_device.timeout",
        variable: Some("SERIAL_TIMEOUT"),
        accepted: "seconds from 0 to 60, like `2` or `2.5`",
        default: Value("1.6"),
        brief: "seconds until an answer begins: at least 1.6, more for a slow serial server",
        text: "How many seconds an answer may take to begin. A meter may take 1.6; less is raised to \
               that. More helps with a slow serial server.",
        ..KEY
    },
    Key {
        path: "serial_device.dtr",
        variable: Some("SERIAL_DTR"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "this line and the next feed some heads: on, off, or leave (as the system sets it)",
        text: "Whether the DTR line of a serial port is raised. Some heads take their current from it.",
        ..KEY
    },
    Key {
        path: "serial_device.rts",
        variable: Some("SERIAL_RTS"),
        accepted: ON_OFF_LEAVE,
        default: Value("on"),
        brief: "on, off or leave",
        text: "The same for the RTS line.",
        ..KEY
    },
    Key {
        path: "kamstrup.version",
        variable: Some("KAMSTRUP_VERSION"),
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
    },
    Key {
        path: "kamstrup.poll_interval",
        variable: Some("KAMSTRUP_POLL_INTERVAL"),
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
    },
    Key {
        path: "kamstrup.units",
        variable: Some("KAMSTRUP_UNITS"),
        accepted: "`standard` (kWh, W, °C, m³, m³/h) or `meter` (those that the meter is set to)",
        default: Value("standard"),
        brief: "kWh, W, °C, m³, m³/h whatever the meter is set to; or meter: those that it is set to",
        text: "In which units values are published. `standard` is kWh, W, °C, m³ and m³/h whatever the \
               meter is set to; with `meter` they are those that it is set to.",
        ..KEY
    },
    Key {
        path: "kamstrup.parameters",
        variable: Some("KAMSTRUP_PARAMETERS"),
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
    },
    Key {
        path: "logging.level",
        variable: Some("LOG_LEVEL"),
        accepted: "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
        default: Value("INFO"),
        brief: "DEBUG shows every frame to and from the meter",
        text: "What is worth a line: `INFO` is one line for each reading and one for each change, \
               `WARNING` only what is wrong, `DEBUG` every frame to and from the meter. `CRITICAL` is \
               taken for `ERROR`.",
        ..KEY
    },
    Key {
        path: "logging.destinations",
        accepted: "`stdout`, `file` and `syslog`, separated by commas or in a list",
        default: Value("stdout"),
        list: true,
        brief: "stdout, file and syslog, any of them",
        text: "Where the log goes: `stdout` is standard output, which systemd and containers keep for \
               you, `file` a file of its own, `syslog` the system's log or a log server.",
        ..KEY
    },
    Key {
        path: "logging.format",
        accepted: FORMAT,
        default: Words("those of the destinations"),
        sample: Hidden,
        text: "How a line looks at every destination that has no format of its own.",
        ..KEY
    },
    Key {
        path: "logging.date_format",
        accepted: DATE_FORMAT,
        default: Words("those of the destinations"),
        sample: Hidden,
        text: "How `%(asctime)s` looks at every destination that has no date format of its own.",
        ..KEY
    },
    Key {
        path: "logging.stdout_format",
        accepted: "a text with fields like `%(asctime)s`, `%(levelname)s` and `%(message)s`, or `json`",
        default: Words("a line made for reading"),
        sample: Idea("%(asctime)s [%(name)s] %(levelname)s %(message)s"),
        brief: "without: a line made for reading; json: one JSON object a line",
        text: "How a line on standard output looks. Without it: a line made for reading, in colours on \
               a terminal. `json` gives one JSON object a line. [logging.md](logging.md) lists all \
               fields.",
        ..KEY
    },
    Key {
        path: "logging.stdout_date_format",
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%dT%H:%M:%S%z"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `stdout_format`.",
        ..KEY
    },
    Key {
        path: "logging.directory",
        accepted: "the path of a folder, without `~`",
        default: Value("logs"),
        brief: "of the log files; made where it is missing",
        text: "The folder of the log files. It is made where it is missing. A path that does not begin \
               with `/` goes by the folder in which the program was started; `~` is not known.",
        ..KEY
    },
    Key {
        path: "logging.filename",
        accepted: "a file name without `/`",
        default: Value("kamstrup2mqtt.log"),
        brief: "of today's file; earlier ones have the date behind it",
        text: "The name of the file that is written. Earlier ones have the date behind it, as in \
               `kamstrup2mqtt.log.2026-11-24`.",
        ..KEY
    },
    Key {
        path: "logging.rotate_when",
        accepted: "`s`, `m`, `h`, `d`, `midnight`, or `w0` (Monday) to `w6` (Sunday)",
        default: Value("midnight"),
        brief: "when a new file begins: s, m, h, d, midnight, w0 (Monday) to w6",
        text: "When a new file begins: on the second, minute or hour (`s`, `m`, `h`), at midnight \
               (`d` and `midnight`), or at the midnight that ends a day of the week (`w0` is Monday). \
               Midnight is that of the local time. The file of today goes on after a restart.",
        ..KEY
    },
    Key {
        path: "logging.rotate_interval",
        accepted: "a whole number of at least 1",
        default: Value("1"),
        brief: "how many of them",
        text: "How many seconds, minutes, hours, days or weeks a file lasts, counted from 1970 on: \
               with `6` and `h` a file begins at 0, 6, 12 and 18 o'clock.",
        ..KEY
    },
    Key {
        path: "logging.backup_count",
        accepted: "a whole number; `0` keeps all",
        default: Value("7"),
        brief: "how many earlier files are kept; 0: all",
        text: "How many earlier files are kept. `0` keeps all of them.",
        ..KEY
    },
    Key {
        path: "logging.file_format",
        accepted: FORMAT,
        default: Value(
            "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s",
        ),
        brief: "how a line looks there",
        text: "How a line in the file looks.",
        ..KEY
    },
    Key {
        path: "logging.file_date_format",
        accepted: DATE_FORMAT,
        default: Value("%Y-%m-%d %H:%M:%S"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `file_format`.",
        ..KEY
    },
    Key {
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
    },
    Key {
        path: "logging.syslog_facility",
        accepted: "`user`, `daemon`, `local0` to `local7`, or another of syslog's names",
        default: Value("local0"),
        brief: "under which its lines are filed",
        text: "Under which name of syslog's the lines are filed.",
        ..KEY
    },
    Key {
        path: "logging.syslog_format",
        accepted: FORMAT,
        default: Words("the message alone, since program, process and level stand beside it"),
        sample: Idea("%(name)s[%(process)d]: %(levelname)s %(message)s"),
        brief: "how a line looks there; without: the message alone",
        text: "How a line in the system's log looks.",
        ..KEY
    },
    Key {
        path: "logging.syslog_date_format",
        accepted: DATE_FORMAT,
        default: Words("Python's own form, like `2026-11-24 10:00:00,123`"),
        sample: Idea("%Y-%m-%d %H:%M:%S"),
        brief: "of asctime in it",
        text: "How `%(asctime)s` looks in `syslog_format`.",
        ..KEY
    },
    Key {
        path: "homeassistant.discovery_prefix",
        accepted: TOPIC,
        default: Value("homeassistant"),
        brief: "where it looks for new devices",
        text: "Under which topic Home Assistant looks for new devices. Only to be changed where it was \
               changed there.",
        ..KEY
    },
    Key {
        path: "homeassistant.status_topic",
        accepted: TOPIC,
        default: Value("homeassistant/status"),
        brief: "where it says that it has started",
        text: "The topic on which Home Assistant says that it has started; everything is then sent \
               again.",
        ..KEY
    },
    Key {
        path: "homeassistant.id_prefix",
        accepted: "1 to 64 letters, digits, `_` and `-`",
        default: Value("kamstrup"),
        brief: "how the unique ids of all entities begin: another one for a second program on the \
                same broker",
        text: "How the unique ids of all entities begin. A second program on the same broker needs \
               another one, and another `mqtt.topic` and `mqtt.client`.",
        ..KEY
    },
    Key {
        path: "web.enabled",
        variable: Some("WEB_ENABLED"),
        accepted: YES_NO,
        default: Value("true"),
        brief: "whether there is a page that shows how it goes",
        text: "Whether there is a page that shows how it goes. It costs nothing while nobody looks.",
        ..KEY
    },
    Key {
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
    },
];

/// The list of several meters.
pub(super) const METERS: &str = "meters";

/// What tells several meters apart.
pub(super) const NAME: Key = Key {
    path: "name",
    accepted: "1 to 32 letters, digits, `_` and `-`; not what a value (`energy`) or a topic \
               (`status`) is called",
    default: Words("none, which only a single meter may have"),
    brief: "letters, digits, `_` and `-`",
    text: "What the meter is called in topics, unique ids and the log.",
    ..KEY
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
    /// Its section; none where it has none.
    pub(super) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The variable that names a file with the secret.
    pub(super) fn file_variable(&self) -> Option<String> {
        self.variable.filter(|_| self.secret).map(|variable| format!("{variable}_FILE"))
    }

    /// Its name without its section.
    pub(super) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }
}

/// The setting of this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().chain([&NAME]).find(|key| key.path == path)
}

/// What counts where nobody made the setting of this path.
pub(super) fn default(path: &str) -> Option<&'static str> {
    match find(path)?.default {
        Value(text) => Some(text),
        Words(_) => None,
    }
}

/// What users call settings that have another name here; some are those of other programs.
#[rustfmt::skip]
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("mqtt", &["broker", "mqtt_broker", "mqtt_server"]),
    ("mqtt.host", &["broker", "server", "address", "hostname", "ip", "url", "broker_host"]),
    ("mqtt.port", &["broker_port"]),
    ("mqtt.username", &["user", "login", "user_name"]),
    ("mqtt.password", &["pass", "passwd", "pwd"]),
    ("mqtt.authentication", &["auth"]),
    ("mqtt.client", &["client_id", "clientid", "client_name"]),
    ("mqtt.topic", &["topic_prefix", "base_topic", "prefix", "root_topic"]),
    ("mqtt.tls_enabled", &[
        "tls", "ssl", "use_tls", "use_ssl", "enable_tls", "enable_ssl", "ssl_enabled", "secure",
        "encryption", "encrypted",
    ]),
    ("mqtt.tls_ca_cert", &[
        "cafile", "ca_file", "ca", "ca_cert", "ca_certs", "ca_certificate", "tls_ca", "ssl_ca",
        "capath", "certificate_authority",
    ]),
    ("mqtt.tls_cert", &["cert", "certfile", "cert_file", "certificate", "client_cert", "tls_certfile"]),
    ("mqtt.tls_key", &["key", "keyfile", "key_file", "private_key", "client_key", "tls_keyfile"]),
    ("mqtt.tls_key_password", &["key_password", "keyfile_password", "key_passphrase"]),
    ("mqtt.tls_insecure", &["insecure", "allow_insecure", "ssl_insecure", "tls_skip_verify"]),
    ("mqtt.device_name", &["name"]),
    ("homeassistant.discovery_prefix", &["prefix", "discovery_topic", "ha_prefix"]),
    ("homeassistant.status_topic", &["birth_topic"]),
    ("homeassistant.id_prefix", &["unique_id_prefix"]),
    ("homeassistant", &["hass", "ha"]),
    ("serial_device", &["serial", "serial_port", "serialport", "tty"]),
    ("serial_device.com_port", &["port", "device", "path", "serial_port", "serial", "tty", "address", "host"]),
    ("serial_device.baudrate", &["baud", "speed", "bps"]),
    ("serial_device.bytesize", &["data_bits", "databits"]),
    ("serial_device.timeout", &["read_timeout"]),
    ("kamstrup", &["multical"]),
    ("kamstrup.poll_interval", &[
        "interval", "polling_interval", "scan_interval", "update_interval", "read_interval",
        "refresh_interval", "poll", "period",
    ]),
    ("kamstrup.version", &["model", "type", "meter", "meter_type", "meter_model"]),
    ("kamstrup.parameters", &["registers", "values", "sensors", "params"]),
    ("logging", &["log", "logger"]),
    ("logging.level", &["log_level", "loglevel", "verbosity"]),
    ("logging.destinations", &["output", "outputs", "handlers", "targets"]),
    ("logging.directory", &["dir", "folder", "log_dir"]),
    ("logging.filename", &["file", "log_file", "logfile"]),
    ("logging.rotate_when", &["rotate", "rotation"]),
    ("logging.backup_count", &["keep", "backups", "max_files"]),
    ("logging.syslog_address", &["syslog"]),
    ("web", &["http", "webserver", "page"]),
    ("web.listen", &["address", "bind", "port", "host"]),
    (METERS, &["meter"]),
];

/// What a name stands for that is not its own, among these.
fn by_other_name(name: &str, is_among: impl Fn(&str) -> bool) -> Option<&'static str> {
    let is_name = |other: &&str| other.eq_ignore_ascii_case(name);
    let mut known = OTHER_NAMES.iter().filter(|(path, _)| is_among(path));
    known.find(|(_, others)| others.iter().any(is_name)).map(|(path, _)| *path)
}

/// Whether a setting stands in a section; the sections themselves stand in none.
fn is_in(path: &str, section: &str) -> bool {
    path.split_once('.').map_or("", |(own, _)| own) == section
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
            _ => KEYS.iter().filter(|key| key.section() == section).map(Key::name).collect(),
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
        by_other_name(name, |path| beside.is_some_and(|beside| is_in(path, beside)))
            .or_else(|| same().map(|key| key.path))
            .or_else(|| by_other_name(name, |path| !is_in(path, "")))
    };
    let own = by_other_name(name, |path| is_in(path, section)).map(str::to_owned);
    own.or_else(like).or_else(|| elsewhere().map(str::to_owned))
}

/// What a user most likely meant with a key of a listed meter that is not known.
pub(super) fn nearest_of_meter(name: &str) -> Option<String> {
    let of_meters = KEYS.iter().map(Key::name).filter(|name| of_meter(name).is_some());
    let key_name = |path: &'static str| find(path).map(Key::name);
    let is_of_meter = |path: &str| {
        find(path).is_some_and(|key| of_meter(key.name()).is_some_and(|of| of.path == key.path))
    };
    let other = by_other_name(name, is_of_meter).and_then(key_name);
    other.or_else(|| most_like(name, of_meters.chain([NAME.path]))).map(str::to_owned)
}

/// The variable that a user most likely meant with one that is not known. Others' variables are
/// none of our business, so it must be very much like one of ours.
pub(super) fn nearest_variable(name: &str) -> Option<String> {
    let files = KEYS.iter().filter_map(Key::file_variable);
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
        let variable = |path: &str| find(path).and_then(|key| key.variable);
        let is_here =
            |path: &str| variable(path).is_some_and(|variable| variable.starts_with(section));
        by_other_name(rest, is_here).and_then(variable)
    });
    other.or_else(|| most_like(name, known.iter().map(String::as_str))).map(str::to_owned)
}

/// Whether a section of this name has settings.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
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
    fn every_row_is_whole() {
        for key in KEYS.iter().chain([&NAME]) {
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
        let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
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
