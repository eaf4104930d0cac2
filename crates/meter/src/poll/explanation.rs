//! The sentences that say why a poll failed and what to do about it.

use std::time::Duration;

use kmp::model::Model;

use super::outcome::PollError;
use crate::RunsAs;
use crate::client::{Flood, NoAnswer};
use crate::container;
use crate::transport::OpenError;

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
            Self::Port(_) | Self::Broken(_) | Self::Flood(_) => Suspect::Port,
            Self::Meter(NoAnswer::Foreign | NoAnswer::OtherOrder) => Suspect::Timing,
            Self::Meter(
                NoAnswer::Nothing | NoAnswer::OwnEcho | NoAnswer::Noise | NoAnswer::Damaged,
            )
            | Self::Unrecognized => Suspect::Head,
        }
    }

    /// What happened.
    pub(super) fn describe(&self, port: &str) -> String {
        match self {
            Self::Port(error) if is_server(port) => format!("Cannot connect to {port}: {error}"),
            Self::Port(error) => format!("Cannot open {port}: {error}"),
            Self::Broken(error) => format!("The connection to {port} was lost: {error}"),
            Self::Flood(Flood { baud }) if is_server(port) => format!(
                "The server at {port} sends more bytes than a line of {baud} baud can deliver, so \
                 the connection was closed"
            ),
            Self::Flood(Flood { baud }) => format!(
                "The device {port} sends more bytes than a line of {baud} baud can deliver, so it \
                 was closed"
            ),
            Self::Meter(NoAnswer::Nothing) => format!("The meter does not answer on {port}"),
            Self::Meter(no_answer) => format!("Cannot read the meter on {port}: {no_answer}"),
            Self::Unrecognized => format!(
                "The meter on {port} sends values but not its serial number, so it may be a \
                 different meter"
            ),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self, context: &HintContext<'_>) -> String {
        let is_server = is_server(context.port);
        let hint = match self {
            Self::Port(error) => {
                let hint = error.hint(context.runs_as, is_server);
                return format!("{hint}{}", container_hint(error, context));
            }
            Self::Broken(_) if is_server => "Check the power and the network of the serial server.",
            Self::Broken(_) => "Check that the optical head is firmly plugged in.",
            Self::Flood(_) if is_server => {
                "Check the port number: another service may use this port, not the serial line. \
                 Check that the serial server is set to 1200 baud, 8 data bits, no parity and 2 stop \
                 bits."
            }
            Self::Flood(_) => OpenError::NotSerial.hint(context.runs_as, is_server),
            Self::Meter(NoAnswer::Nothing) => {
                return format!(
                    "Check that the optical head is in its place on the meter, the right way up and \
                     held by its magnet. {}{}",
                    wake_hint(context),
                    if is_server { SERVER_HINT } else { "" }
                );
            }
            Self::Meter(NoAnswer::OwnEcho) => {
                let echo = if is_server {
                    "Something echoes the request. If it is the optical head, the head works: move or turn \
                     it a little. If it is the serial server, switch its echo off."
                } else {
                    "The optical head works, because it sends back what it receives. Move or turn the \
                     head a little."
                };
                return format!("{echo} {}", wake_hint(context));
            }
            Self::Meter(NoAnswer::Noise | NoAnswer::Damaged) => {
                return format!(
                    "Move or turn the optical head a little, and keep bright light off it.{}{}",
                    if is_server { LINE_HINT } else { "" },
                    older_hint(context),
                );
            }
            Self::Unrecognized => {
                "Its values are published again as soon as it sends its serial number. If it does not, \
                 move or turn the optical head a little."
            }
            Self::Meter(NoAnswer::Foreign | NoAnswer::OtherOrder) => late_hint(context),
        };
        hint.to_owned()
    }
}

/// Whether a port is one of a serial server.
fn is_server(port: &str) -> bool {
    port.starts_with("socket://")
}

/// In a container, an address may have another meaning.
fn container_hint(error: &OpenError, context: &HintContext<'_>) -> &'static str {
    if !context.in_container {
        return "";
    }
    let address = context.port.strip_prefix("socket://").unwrap_or_default();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match (error, context.runs_as) {
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
const SERVER_HINT: &str = " If that does not help, check that this is the serial server's port for the serial \
                           line, not for its web page. Set the server to raw TCP, 1200 baud, 8 data \
                           bits, no parity and 2 stop bits.";

/// The same for noise and damaged answers.
const LINE_HINT: &str = " Check that the serial server is set to 1200 baud, 8 data bits, no parity and 2 stop \
                         bits.";

/// The meters before KMP send text at 300 baud, which looks like noise (MULTICAL 41 technical
/// description 5512-313 p.33; matthijsvisser/kamstrup-402-mqtt issue 7). Their owners may have
/// configured a 402, which is the nearest number.
fn older_hint(context: &HintContext<'_>) -> &'static str {
    let may_be_older = context.models.iter().all(|model| *model == Model::Multical402);
    if may_be_older && !context.has_answered {
        " If its front says MULTICAL 66C, 41, 401, III or Compact, the meter cannot be read: it uses \
         an older protocol, at 300 baud."
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
        RunsAs::AddOn if is_server(context.port) => {
            "Stop any other program that reads this meter. If there is none, the answers are late: \
             check the network of the serial server."
        }
        RunsAs::AddOn => "Stop any other program that reads this meter.",
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
            "This meter has no keys: lift the head off and put it back. The meter switches its optical \
             eye on some seconds after it detects a magnet. If it still does not answer, turn the head by \
             half a turn: the magnet works only one way round."
        }
        Model::Multical302 | Model::Multical402 | Model::Multical601 | Model::Multical801 => KEY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context_of(port: &str) -> HintContext<'_> {
        HintContext {
            port,
            interval: Duration::from_secs(300),
            models: &[],
            has_answered: false,
            runs_as: RunsAs::Program,
            in_container: false,
        }
    }

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
            PollError::Meter(NoAnswer::Foreign),
            PollError::Meter(NoAnswer::OtherOrder),
            PollError::Unrecognized,
        ];
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
                    | OpenError::Other { .. },
                )
                | PollError::Broken(_)
                | PollError::Flood(_)
                | PollError::Meter(
                    NoAnswer::Nothing
                    | NoAnswer::OwnEcho
                    | NoAnswer::Noise
                    | NoAnswer::Damaged
                    | NoAnswer::Foreign
                    | NoAnswer::OtherOrder,
                )
                | PollError::Unrecognized => {}
            }
        }
        all
    }

    /// Whether a failure can happen at this kind of port.
    fn can_happen(failure: &PollError, is_server: bool) -> bool {
        match failure {
            PollError::Port(
                OpenError::Missing | OpenError::NotSerial | OpenError::Denied | OpenError::Busy,
            ) => !is_server,
            PollError::Port(OpenError::Shortage { .. } | OpenError::Other { .. }) => true,
            PollError::Port(_) => is_server,
            _ => true,
        }
    }

    /// No hint blames something that this failure excludes.
    #[test]
    fn every_hint_names_only_causes_that_fit() {
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
        const SERVER: [&str; 5] = ["serial server", "network", "router", "firewall", "IP address"];
        const DEVICE: [&str; 5] = ["plug", "/dev/", "dialout", "`serial_port`", "adapter"];
        const PROGRAMS: [&str; 1] = ["other program"];

        let names = |hint: &str, words: &[&str]| words.iter().any(|word| hint.contains(word));
        let mut tried = 0;
        for (port, is_server) in [
            ("socket://meter.local:2003", true),
            ("socket://[::1]:2003", true),
            ("/dev/ttyUSB0", false),
        ] {
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
                            if !can_happen(&failure, is_server) {
                                continue;
                            }
                            tried += 1;
                            let hint = failure.hint(&context);
                            let about = format!("{failure:?}, {port}, {runs_as:?}: {hint}");
                            let is_head = failure.suspect() == Suspect::Head;
                            assert_eq!(names(&hint, &PLACE), is_head, "{about}");
                            // A head can be plugged in, but a server's head is not ours.
                            assert!(!is_server || !names(&hint, &DEVICE), "{about}");
                            assert!(is_server || !names(&hint, &SERVER), "{about}");
                            let may_be_program = matches!(
                                failure,
                                PollError::Port(
                                    OpenError::Busy
                                        | OpenError::Refused
                                        | OpenError::Unwanted { .. }
                                ) | PollError::Meter(NoAnswer::Foreign | NoAnswer::OtherOrder)
                            );
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
            PollError::Broken("end of file".to_owned()),
            PollError::Flood(Flood { baud: 1200 }),
            PollError::Meter(NoAnswer::Nothing),
            PollError::Meter(NoAnswer::Noise),
            PollError::Meter(NoAnswer::Foreign),
            PollError::Meter(NoAnswer::OtherOrder),
            PollError::Unrecognized,
        ];
        let mut texts = Vec::new();
        for (port, runs_as) in [
            ("socket://10.0.0.3:2003", RunsAs::Program),
            ("socket://10.0.0.3:2003", RunsAs::AddOn),
            ("/dev/ttyUSB0", RunsAs::AddOn),
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
}
