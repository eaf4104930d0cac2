//! The sentences that say why a poll failed and what to do about it.

use std::time::Duration;

use kmp::model::Model;

use super::outcome::PollError;
use crate::RunsAs;
use crate::client::{Flood, NoAnswer};
use crate::container;
use crate::duration;
use crate::transport::{OpenError, PORT_IN_USE_HINT, PortKind};

/// What went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub words: String,
    /// What to do about it.
    pub hint: String,
}

/// Which part the trouble is with. Only one with the head is a matter of how it is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// The port, or the serial server and the way to it: the head was not reached, or no longer.
    Port,
    /// Another program, or the time that answers take.
    Timing,
    /// The optical head, or the meter below it.
    Head,
}

/// The facts that a hint depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct HintContext<'a> {
    pub(super) port: &'a str,
    pub(super) interval: Duration,
    /// The models that the meter may be.
    pub(super) models: &'a [Model],
    /// Whether the meter has ever answered.
    pub(super) has_answered: bool,
    /// How long an answer may take to begin.
    pub(super) timeout: Duration,
    pub(super) runs_as: RunsAs,
    pub(super) in_container: bool,
}

impl PollError {
    pub(super) fn explain(&self, context: &HintContext<'_>) -> Explanation {
        let words = self.describe(context.port);
        Explanation { words, hint: self.hint(context) }
    }

    pub(super) fn suspect(&self) -> Suspect {
        match self {
            Self::Port(_) | Self::Broken(_) | Self::Flood(_) | Self::Telnet => Suspect::Port,
            Self::Meter(
                NoAnswer::OtherRequest
                | NoAnswer::Late(_)
                | NoAnswer::Foreign
                | NoAnswer::OtherOrder,
            ) => Suspect::Timing,
            Self::Meter(
                NoAnswer::Nothing | NoAnswer::OwnEcho | NoAnswer::Noise | NoAnswer::Damaged,
            )
            | Self::Unrecognized => Suspect::Head,
        }
    }

    /// What happened.
    pub(super) fn describe(&self, port: &str) -> String {
        match self {
            Self::Port(error) if is_remote(port) => format!("Cannot connect to {port}: {error}"),
            Self::Port(error) => format!("Cannot open {port}: {error}"),
            Self::Broken(error) => format!("The connection to {port} was lost: {error}"),
            Self::Flood(Flood { baud }) if PortKind::of(port) == PortKind::Node => format!(
                "The ESPHome node at {port} sends more bytes than a line of {baud} baud can deliver, \
                 so the connection was closed"
            ),
            Self::Flood(Flood { baud }) if is_remote(port) => format!(
                "The server at {port} sends more bytes than a line of {baud} baud can deliver, so \
                 the connection was closed"
            ),
            Self::Flood(Flood { baud }) => format!(
                "The device {port} sends more bytes than a line of {baud} baud can deliver, so it \
                 was closed"
            ),
            Self::Meter(NoAnswer::Nothing) => format!("The meter does not answer on {port}"),
            Self::Meter(NoAnswer::Late(after)) => {
                let after_words = duration::words(*after);
                let delay = if is_longer(*after) {
                    format!("{after_words} or more")
                } else {
                    format!("up to {after_words}")
                };
                format!("Answers of the meter on {port} arrive too late, {delay} after the request")
            }
            Self::Telnet => format!("The serial server at {port} is in telnet mode"),
            Self::Meter(no_answer) => format!("Cannot read the meter on {port}: {no_answer}"),
            Self::Unrecognized => format!(
                "The meter on {port} sends values but not its serial number, so it may be a \
                 different meter"
            ),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self, context: &HintContext<'_>) -> String {
        let kind = PortKind::of(context.port);
        let hint = match self {
            Self::Port(error) => {
                let hint = error.hint(context.runs_as, kind);
                return format!("{hint}{}", container_hint(error, context));
            }
            Self::Broken(_) => match kind {
                PortKind::Server => "Check the power and the network of the serial server.",
                PortKind::Node => {
                    "The ESPHome node may have restarted. Check its power and its network."
                }
                PortKind::Device => "Check that the optical head is firmly plugged in.",
            },
            Self::Flood(_) if kind == PortKind::Node => {
                "Check that this serial port of the ESPHome node is that of the optical head, and \
                 that its UART is set to 1200 baud, 8 data bits, no parity and 2 stop bits."
            }
            Self::Flood(_) if kind == PortKind::Server => {
                "Check the port number: another service may use this port, not the serial line. \
                 Check that the serial server is set to 1200 baud, 8 data bits, no parity, 2 stop bits \
                 and no flow control."
            }
            Self::Flood(_) => OpenError::NotSerial.hint(context.runs_as, kind),
            Self::Meter(NoAnswer::Nothing) => {
                return format!(
                    "Check that the optical head is in its place on the meter, the right way up and \
                     held by its magnet. {}{}",
                    wake_hint(context),
                    match kind {
                        PortKind::Server => SERVER_HINT.to_owned(),
                        PortKind::Node => format!("{NODE_HINT}{NODE_LINE_HINT} {PORT_IN_USE_HINT}"),
                        PortKind::Device => String::new(),
                    }
                );
            }
            Self::Meter(NoAnswer::OwnEcho) => {
                let echo = if kind == PortKind::Server {
                    "Something sends the request back. If it is the optical head, the head works: \
                     move or turn it a little. If it is the serial server, check that the head is \
                     connected to the server."
                } else {
                    "The optical head works: it sent the request back. Move or turn the head a little."
                };
                return format!("{echo} {}{}", wake_hint(context), line_hint(kind));
            }
            Self::Meter(NoAnswer::Noise | NoAnswer::Damaged) => {
                return format!(
                    "Move or turn the optical head a little, and keep bright light off it.{}{}{}",
                    line_hint(kind),
                    service_hint(context),
                    older_hint(context),
                );
            }
            Self::Unrecognized => {
                "Its values are published again as soon as it sends its serial number. If it does not, \
                 move or turn the optical head a little."
            }
            Self::Meter(NoAnswer::OtherRequest) => {
                "Stop any other program that reads this meter: two programs disturb each other."
            }
            Self::Meter(NoAnswer::Late(after)) => return timeout_hint(*after, context),
            Self::Telnet => TELNET_HINT,
            Self::Meter(NoAnswer::Foreign | NoAnswer::OtherOrder) => late_hint(context),
        };
        hint.to_owned()
    }
}

/// Telnet doubles each byte 0xFF. Only ser2net is known to greet this program. esp-link uses telnet
/// only with clients that begin with it (jeelabs/esp-link serial/serbridge.c).
const TELNET_HINT: &str = "Telnet changes some bytes of the answers. Set the serial server to \
                           raw TCP, and switch telnet and RFC 2217 off. In the configuration of \
                           ser2net, write `accepter: tcp,PORT` instead of `accepter: \
                           telnet,tcp,PORT` or `accepter: telnet(rfc2217),tcp,PORT`.";

/// What is added to a measured delay: the next one may be longer.
const DELAY_MARGIN: Duration = Duration::from_millis(500);

/// A connection lasts about 12 s if no answer arrives in time. The answers that a serial server
/// delivers after that seem to belong to later requests, so a long delay is measured too short.
const MEASURED_DELAY: Duration = Duration::from_secs(8);

/// Whether a delay may be longer than it was measured.
fn is_longer(after: Duration) -> bool {
    after >= MEASURED_DELAY
}

/// The longest timeout that the settings accept.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The timeout that would have been enough for an answer, in steps of half a second.
fn enough_for(after: Duration) -> Duration {
    let halves = after.saturating_add(DELAY_MARGIN).as_millis().div_ceil(500);
    Duration::from_millis(u64::try_from(halves).unwrap_or(u64::MAX).saturating_mul(500))
}

/// What to do about answers that began this long after the request.
pub(super) fn timeout_hint(after: Duration, context: &HintContext<'_>) -> String {
    let enough = enough_for(after);
    let waits = duration::words(context.timeout);
    match context.runs_as {
        RunsAs::Program if enough <= LONGEST_TIMEOUT => {
            let enough = enough.as_secs_f32();
            let more = if is_longer(after) {
                " The delay may be even longer. If answers are still late, increase it further."
            } else {
                ""
            };
            format!(
                "kamstrup2mqtt waits {waits} for the start of an answer. Set `serial_device.timeout` to \
                 `{enough}` to wait longer.{more}"
            )
        }
        RunsAs::Program | RunsAs::AddOn => {
            let remedy = match PortKind::of(context.port) {
                PortKind::Server => {
                    " Check the network of the serial server, and switch off any setting that \
                     collects bytes before it sends them."
                }
                PortKind::Node => " Check the network of the ESPHome node.",
                PortKind::Device => {
                    " Try another port of this machine, without a hub or a long cable."
                }
            };
            format!("kamstrup2mqtt waits {waits} for the start of an answer.{remedy}")
        }
    }
}

/// Whether a port is one of a serial server.
pub(super) fn is_server(port: &str) -> bool {
    PortKind::of(port) == PortKind::Server
}

/// Whether a port is reached over the network.
fn is_remote(port: &str) -> bool {
    PortKind::of(port).is_remote()
}

/// In a container, an address may have another meaning.
fn container_hint(error: &OpenError, context: &HintContext<'_>) -> &'static str {
    if !context.in_container {
        return "";
    }
    let address = context.port.split_once("://").map_or("", |(_, address)| address);
    let address = address.split_once('/').map_or(address, |(server, _)| server);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let is_node = PortKind::of(context.port) == PortKind::Node;
    match (error, context.runs_as) {
        (OpenError::Refused, RunsAs::Program) if is_node && container::is_loopback(host) => {
            " kamstrup2mqtt runs in a container. There, this address is the container itself, unless the \
             container uses the network of its host. Use the address of the ESPHome node."
        }
        (OpenError::Refused, RunsAs::AddOn) if is_node && container::is_loopback(host) => {
            " Inside the app, this address is the app itself: use the address of the ESPHome node."
        }
        (OpenError::Refused, RunsAs::Program) if container::is_loopback(host) => {
            " kamstrup2mqtt runs in a container. There, this address is the container itself, unless the \
             container uses the network of its host. Use the address of the machine on which the \
             serial server runs."
        }
        (OpenError::Refused, RunsAs::AddOn) if container::is_loopback(host) => {
            " Inside the app, this address is the app itself: use the address of the machine on \
             which the serial server runs."
        }
        (OpenError::HostNotFound { .. } | OpenError::NotLookedUp { .. }, _)
            if container::is_multicast_name(host) =>
        {
            " Names that end in `.local` usually cannot be resolved in a container."
        }
        _ => "",
    }
}

/// At such an interval a port that sleeps after 30 minutes may be asleep at each poll.
const LONG_INTERVAL: Duration = Duration::from_secs(25 * 60);

/// Follows the hint for a silent meter if a serial server may be misconfigured.
const SERVER_HINT: &str = " If that does not help, check the port number: a serial server has one port for the \
                           meter and another for its web page. Set the server to raw TCP, 1200 \
                           baud, 8 data bits, no parity, 2 stop bits and no flow control.";

/// The same for noise and damaged answers. With XON/XOFF, the server removes two kinds of bytes from
/// them.
const LINE_HINT: &str = " Check that the serial server is set to 1200 baud, 8 data bits, no parity, 2 stop \
                         bits and no flow control (XON/XOFF).";

/// Other services send text, to each client or in answer to a request.
fn service_hint(context: &HintContext<'_>) -> &'static str {
    if is_server(context.port) && !context.has_answered {
        " Check the port number too: another service may use this port, such as a web server or SSH."
    } else {
        ""
    }
}

/// The same for a node. Only an ESP8266 and an ESP32 take the settings that this program sends
/// (`SerialProxy::configure` in ESPHome 2026.6); others keep those of their YAML.
const NODE_LINE_HINT: &str = " Check that the UART in the node's YAML is set to 1200 baud, 8 data bits, no \
                              parity and 2 stop bits.";

/// The settings of the line to check. Those of a device are set by this program.
fn line_hint(kind: PortKind) -> &'static str {
    match kind {
        PortKind::Server => LINE_HINT,
        PortKind::Node => NODE_LINE_HINT,
        PortKind::Device => "",
    }
}

/// Follows the hint for a silent meter on a node, before [`PORT_IN_USE_HINT`]: a node does not say
/// that another client has the port.
const NODE_HINT: &str = " If that does not help, check the pins of the UART in the node's YAML.";

/// The meters before KMP send text at 300 baud, which looks like noise (MULTICAL 41 technical
/// description 5512-313 p.33; matthijsvisser/kamstrup-402-mqtt issue 7). Their owners may have
/// configured a 402, which is the nearest number.
fn older_hint(context: &HintContext<'_>) -> &'static str {
    let may_be_older = context.models.iter().all(|model| *model == Model::Multical402);
    if may_be_older && !context.has_answered {
        " If the front of the meter says MULTICAL 66C, 41, 401, III or Compact, it cannot be read: \
         it uses an older protocol, at 300 baud."
    } else {
        ""
    }
}

/// A valid answer to another request is late, or another program has requested it. The app's form
/// has no timeout.
fn late_hint(context: &HintContext<'_>) -> &'static str {
    match context.runs_as {
        RunsAs::Program => {
            "Stop any other program that reads this meter. If there is none, the answers are late: \
             increase `serial_device.timeout`."
        }
        RunsAs::AddOn => match PortKind::of(context.port) {
            PortKind::Server => {
                "Stop any other program that reads this meter. If there is none, the answers are \
                 late: check the network of the serial server."
            }
            PortKind::Node => {
                "Stop any other program that reads this meter. If there is none, the answers are \
                 late: check the network of the ESPHome node."
            }
            PortKind::Device => "Stop any other program that reads this meter.",
        },
    }
}

/// How to wake the meter's optical eye. If the meter may be one of several models, it says only
/// what is true of all of them.
fn wake_hint(context: &HintContext<'_>) -> &'static str {
    let mut each = context.models.iter().map(|model| wake_hint_of(*model, context.interval));
    match each.next() {
        Some(first) if each.all(|other| other == first) => first,
        Some(_) if !context.models.contains(&Model::Multical21) => KEY,
        _ => {
            "Press a key on the meter. If it has none, lift the head off and put it back. Many meters \
             switch their optical eye off when it is not in use."
        }
    }
}

/// For models of which nothing more is known.
const KEY: &str = "Press a key on the meter: many meters switch their optical eye off when it is not in \
                   use.";

fn wake_hint_of(model: Model, interval: Duration) -> &'static str {
    match model {
        // matthijsvisser/kamstrup-402-mqtt issue 3, ronaldvdmeer/multical402-4-domoticz README.
        Model::Multical402 if interval >= LONG_INTERVAL => {
            "Press a key on the meter: a 402 switches its optical eye off about 30 minutes after its \
             last use. Read it more often than that."
        }
        // TD 403 p.130, TD 603 p.147, TD 803 p.164.
        Model::Multical303 | Model::Multical403 | Model::Multical603 | Model::Multical803 => {
            "Press a key on the meter. This meter switches its optical eye off unless it detects a \
             magnet. The head must have a magnet, and must be exactly on the eye."
        }
        // pfugl/Kamstrup-602 README, cfeenstra1024/kamstrup-multical-hardware issue 7.
        Model::Multical602 => {
            "Press a key on the meter. A 602 switches its optical eye off after some minutes unless \
             the magnet is in the right place. If it still does not answer, turn the head by half a turn: \
             the magnet works only one way round."
        }
        // TD 21, German edition 5512-898_N1 p.50; esphome/feature-requests issue 1402 (flowIQ).
        Model::Multical21 => {
            "This meter has no keys: lift the head off and put it back. Some seconds after it \
             detects a magnet, the meter switches its optical eye on. If it still does not answer, \
             turn the head by half a turn: the magnet works only one way round."
        }
        Model::Multical302 | Model::Multical402 | Model::Multical601 | Model::Multical801 => KEY,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::transport::NodeError;

    fn context_of(port: &str) -> HintContext<'_> {
        HintContext {
            port,
            interval: Duration::from_secs(300),
            models: &[],
            has_answered: false,
            timeout: Duration::from_millis(1600),
            runs_as: RunsAs::Program,
            in_container: false,
        }
    }

    const LATE: NoAnswer = NoAnswer::Late(Duration::from_millis(2_560));

    /// Every failure. The compiler counts the kinds below, so a new one must be added.
    fn every_failure() -> Vec<PollError> {
        let text = || "odd".to_owned();
        let host = || "meter.local".to_owned();
        let all = vec![
            PollError::Port(OpenError::Missing),
            PollError::Port(OpenError::NotSerial),
            PollError::Port(OpenError::Denied),
            PollError::Port(OpenError::Blocked),
            PollError::Port(OpenError::Busy),
            PollError::Port(OpenError::HostNotFound { host: host() }),
            PollError::Port(OpenError::NotLookedUp { host: host() }),
            PollError::Port(OpenError::Refused),
            PollError::Port(OpenError::NoConnection),
            PollError::Port(OpenError::Unwanted { said: text() }),
            PollError::Port(OpenError::WebPage),
            PollError::Port(OpenError::Broker),
            PollError::Port(OpenError::Shortage { reason: text() }),
            PollError::Port(OpenError::Other { reason: text() }),
            PollError::Broken(text()),
            PollError::Flood(Flood { baud: 1200 }),
            PollError::Meter(NoAnswer::Nothing),
            PollError::Meter(NoAnswer::OwnEcho),
            PollError::Meter(NoAnswer::Noise),
            PollError::Meter(NoAnswer::Damaged),
            PollError::Meter(NoAnswer::OtherRequest),
            PollError::Meter(LATE),
            PollError::Meter(NoAnswer::Foreign),
            PollError::Meter(NoAnswer::OtherOrder),
            PollError::Telnet,
            PollError::Unrecognized,
        ];
        let of_nodes = NodeError::each().map(|error| PollError::Port(error.into()));
        let all: Vec<_> = all.into_iter().chain(of_nodes).collect();
        for failure in &all {
            match failure {
                PollError::Port(
                    OpenError::Missing
                    | OpenError::NotSerial
                    | OpenError::Denied
                    | OpenError::Blocked
                    | OpenError::Busy
                    | OpenError::HostNotFound { .. }
                    | OpenError::NotLookedUp { .. }
                    | OpenError::Refused
                    | OpenError::NoConnection
                    | OpenError::Unwanted { .. }
                    | OpenError::WebPage
                    | OpenError::Broker
                    | OpenError::Shortage { .. }
                    | OpenError::Other { .. }
                    | OpenError::Node(_),
                )
                | PollError::Broken(_)
                | PollError::Flood(_)
                | PollError::Meter(
                    NoAnswer::Nothing
                    | NoAnswer::OwnEcho
                    | NoAnswer::Noise
                    | NoAnswer::Damaged
                    | NoAnswer::OtherRequest
                    | NoAnswer::Late(_)
                    | NoAnswer::Foreign
                    | NoAnswer::OtherOrder,
                )
                | PollError::Telnet
                | PollError::Unrecognized => {}
            }
        }
        all
    }

    /// Whether a failure can happen at this kind of port.
    fn can_happen(failure: &PollError, kind: PortKind) -> bool {
        match failure {
            PollError::Port(
                OpenError::Missing | OpenError::NotSerial | OpenError::Denied | OpenError::Busy,
            ) => kind == PortKind::Device,
            PollError::Port(OpenError::Shortage { .. } | OpenError::Other { .. }) => true,
            PollError::Port(OpenError::Node(_)) => kind == PortKind::Node,
            PollError::Telnet
            | PollError::Port(
                OpenError::Unwanted { .. } | OpenError::WebPage | OpenError::Broker,
            ) => kind == PortKind::Server,
            PollError::Port(_) => kind.is_remote(),
            _ => true,
        }
    }

    /// Words about the place of the head and the state of the meter.
    const PLACE: [&str; 9] = [
        "magnet",
        "ove or turn",
        "bright light",
        "key",
        "lift the head",
        "asleep",
        "eye",
        "batter",
        "its place",
    ];
    /// Keys that the meter does not have.
    const NODE_KEYS: [&str; 5] =
        ["serial_device.key", "this key", "the key from", "changed the key", "the old key"];

    /// No hint blames something that this failure excludes.
    #[test]
    fn every_hint_names_only_causes_that_fit() {
        const SERVER: [&str; 5] = ["serial server", "network", "router", "firewall", "IP address"];
        const DEVICE: [&str; 5] = ["plug", "/dev/", "dialout", "`serial_port`", "adapter"];
        const PROGRAMS: [&str; 1] = ["other program"];

        let names = |hint: &str, words: &[&str]| words.iter().any(|word| hint.contains(word));
        let mut tried = 0;
        for port in [
            "socket://meter.local:2003",
            "socket://[::1]:2003",
            "esphome://head.local:6053",
            "esphome://[::1]:6053/?port=1",
            "/dev/ttyUSB0",
        ] {
            let kind = PortKind::of(port);
            for runs_as in [RunsAs::Program, RunsAs::AddOn] {
                for in_container in [false, true] {
                    for model in [&[][..], &[Model::Multical402], &[Model::Multical21]] {
                        let context = HintContext {
                            models: model,
                            runs_as,
                            in_container,
                            ..context_of(port)
                        };
                        for failure in every_failure() {
                            if !can_happen(&failure, kind) {
                                continue;
                            }
                            tried += 1;
                            let hint = failure.hint(&context);
                            let about = format!("{failure:?}, {port}, {runs_as:?}: {hint}");
                            let is_head = failure.suspect() == Suspect::Head;
                            let placing = NODE_KEYS
                                .iter()
                                .fold(hint.clone(), |hint, key| hint.replace(key, ""));
                            assert_eq!(names(&placing, &PLACE), is_head, "{about}");
                            // A head can be plugged in, but a server's head is not ours.
                            assert!(!kind.is_remote() || !names(&hint, &DEVICE), "{about}");
                            assert!(kind.is_remote() || !names(&hint, &SERVER), "{about}");
                            let of_server = hint.contains("serial server");
                            assert!(!of_server || kind == PortKind::Server, "{about}");
                            assert!(!hint.contains(" node") || kind == PortKind::Node, "{about}");
                            let may_be_program = match failure {
                                PollError::Port(
                                    OpenError::Busy
                                    | OpenError::Unwanted { .. }
                                    | OpenError::Node(NodeError::PortInUse),
                                )
                                | PollError::Meter(
                                    NoAnswer::OtherRequest
                                    | NoAnswer::Foreign
                                    | NoAnswer::OtherOrder,
                                ) => true,
                                // A server refuses a second connection, a node serves several.
                                PollError::Port(OpenError::Refused) => kind == PortKind::Server,
                                // A node is silent for a second program.
                                PollError::Meter(NoAnswer::Nothing) => kind == PortKind::Node,
                                _ => false,
                            };
                            assert_eq!(names(&hint, &PROGRAMS), may_be_program, "{about}");
                            assert_eq!(
                                hint.contains("container itself") || hint.contains("app itself"),
                                in_container
                                    && port.contains("::1")
                                    && failure == PollError::Port(OpenError::Refused),
                                "{about}"
                            );
                        }
                    }
                }
            }
        }
        assert!(tried > 300, "{tried}");
    }

    /// A hint names neither a plug on a serial server nor a network on a serial port.
    #[test]
    fn hints_fit_the_kind_of_port_and_the_reader() {
        let errors = [
            PollError::from(io::Error::from(io::ErrorKind::UnexpectedEof)),
            PollError::Flood(Flood { baud: 1200 }),
            PollError::Meter(NoAnswer::Nothing),
            PollError::Meter(NoAnswer::Noise),
            PollError::Meter(NoAnswer::OtherRequest),
            PollError::Meter(LATE),
            PollError::Meter(NoAnswer::Foreign),
            PollError::Meter(NoAnswer::OtherOrder),
            PollError::Telnet,
            PollError::Unrecognized,
        ];
        let mut texts = Vec::new();
        for (port, runs_as) in [
            ("socket://10.0.0.3:2003", RunsAs::Program),
            ("socket://10.0.0.3:2003", RunsAs::AddOn),
            ("/dev/ttyUSB0", RunsAs::AddOn),
            ("esphome://head.local:6053", RunsAs::Program),
            ("esphome://head.local:6053/?port=1", RunsAs::AddOn),
        ] {
            let context = HintContext { runs_as, ..context_of(port) };
            texts.push(format!("{runs_as:?}, {port}"));
            texts.extend(errors.iter().map(|error| {
                let Explanation { words, hint } = error.explain(&context);
                format!("{words}.\n  {hint}")
            }));
        }
        insta::assert_snapshot!(texts.join("\n"));
    }

    /// The proposed timeout is longer than the delay, and a number that the settings accept.
    #[test]
    fn the_proposed_timeout_is_enough() {
        for (after, proposed) in
            [(1_700, "`2.5`"), (2_500, "`3`"), (2_501, "`3.5`"), (59_500, "`60`")]
        {
            let hint = timeout_hint(Duration::from_millis(after), &context_of("/dev/ttyUSB0"));
            assert!(hint.contains(&format!("`serial_device.timeout` to {proposed}")), "{hint}");
        }
        let hint = timeout_hint(Duration::from_secs(60), &context_of("/dev/ttyUSB0"));
        assert!(!hint.contains("serial_device.timeout"), "no longer timeout is accepted: {hint}");
    }

    /// Each next connection measures what is left of the delay.
    #[test]
    fn a_long_delay_may_be_even_longer() {
        for (after, is_longer) in [(7_999, false), (8_000, true), (12_000, true)] {
            let late = PollError::Meter(NoAnswer::Late(Duration::from_millis(after)));
            let Explanation { words, hint } = late.explain(&context_of("socket://10.0.0.3:2003"));
            assert_eq!(words.contains("or more after the request"), is_longer, "{words}");
            assert_eq!(hint.contains("increase it further"), is_longer, "{hint}");
        }
    }

    /// The banner of an SSH server is noise, and XON/XOFF damages answers.
    #[test]
    fn noise_from_a_server_may_have_causes_without_a_head() {
        for heard in [NoAnswer::Noise, NoAnswer::Damaged].map(PollError::Meter) {
            let of =
                |port, has_answered| heard.hint(&HintContext { has_answered, ..context_of(port) });
            let first = of("socket://10.0.0.3:22", false);
            assert!(first.contains("XON/XOFF") && first.contains("port number"), "{first}");
            let later = of("socket://10.0.0.3:22", true);
            assert!(later.contains("XON/XOFF") && !later.contains("port number"), "{later}");
            for port in ["/dev/ttyUSB0", "esphome://head.local:6053"] {
                let hint = of(port, false);
                assert!(!hint.contains("XON/XOFF") && !hint.contains("port number"), "{hint}");
            }
        }
    }

    /// At a node, late answers had no advice, and a silence did not name the settings of the line.
    #[test]
    fn the_advice_fits_the_kind_of_port() {
        for (port, late, line) in [
            ("socket://10.0.0.3:2003", "network of the serial server", "Set the server to raw TCP"),
            ("esphome://head.local:6053", "network of the ESPHome node", "UART in the node's YAML"),
        ] {
            let context = HintContext { runs_as: RunsAs::AddOn, ..context_of(port) };
            let hint = timeout_hint(Duration::from_secs(3), &context);
            assert!(hint.contains(late), "{hint}");
            for heard in [NoAnswer::Nothing, NoAnswer::OwnEcho, NoAnswer::Noise] {
                let hint = PollError::Meter(heard).hint(&context);
                assert!(hint.contains("1200 baud, 8 data bits"), "{hint}");
            }
            let hint = PollError::Meter(NoAnswer::Nothing).hint(&context);
            assert!(hint.contains(line), "{hint}");
        }
        let context = HintContext { runs_as: RunsAs::AddOn, ..context_of("/dev/ttyUSB0") };
        let hint = timeout_hint(Duration::from_secs(3), &context);
        assert!(!hint.contains("network"), "{hint}");
    }

    /// Whatever a node may refuse has its own words and advice, also in the app.
    #[test]
    fn each_trouble_with_a_node_has_its_own_words_and_advice() {
        let errors = NodeError::each().map(OpenError::from).chain([
            OpenError::HostNotFound { host: "head.local".to_owned() },
            OpenError::NotLookedUp { host: "head.local".to_owned() },
            OpenError::Refused,
            OpenError::NoConnection,
            OpenError::Blocked,
            OpenError::Other { reason: "odd".to_owned() },
        ]);
        let mut texts = Vec::new();
        for error in errors.map(PollError::Port) {
            let of = |runs_as| {
                let port = "esphome://head.local:6053";
                error.explain(&HintContext { runs_as, ..context_of(port) })
            };
            let (program, app) = (of(RunsAs::Program), of(RunsAs::AddOn));
            texts.push(format!("{}.\n  {}", program.words, program.hint));
            if app.hint != program.hint {
                texts.push(format!("  In the app: {}", app.hint));
            }
        }
        insta::assert_snapshot!(texts.join("\n"));
    }
}
