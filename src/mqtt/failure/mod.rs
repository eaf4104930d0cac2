//! Why the connection failed, and what to do about it.

mod rejection;
mod tls;

use std::io;

use rumqttc::{
    ConnectReturnCode, ConnectionError, EventLoop, StateError, TlsError, Transport, mqttbytes,
};

pub(super) use self::rejection::{
    Cause as RejectionCause, closed_after, closed_again, closed_at, closed_in_rehearsal,
    closed_once, may_not_subscribe, not_read_back, not_retained, only_the_will, rejected, slow,
    stalled, taken_over, too_long, too_long_under, unacknowledged, will, will_rejected,
};
use crate::advice::{Advice, MadeBy, Sentence, sentence};
use crate::config::{Broker, keys};
use meter::cause::{self, Cause};
use meter::{RunsAs, container};

/// The stage that the connection had reached when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Without TLS, before the broker accepted us.
    Plain,
    /// With TLS, before the broker accepted us.
    Encrypted,
    /// After the broker accepted us.
    Connected,
}

impl Stage {
    /// The stage of a connection to which the broker has not yet replied.
    pub(super) fn of(event_loop: &EventLoop) -> Self {
        match event_loop.mqtt_options.transport() {
            Transport::Tls(_) => Self::Encrypted,
            _ => Self::Plain,
        }
    }
}

/// What advice depends on besides the error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether there is no user name to check.
    is_anonymous: bool,
    /// Who reads the advice, if the program runs in a container.
    container: Option<RunsAs>,
    /// Whether the host is this machine, or this container.
    is_loopback: bool,
    /// Whether most containers cannot resolve the host's name.
    is_multicast_name: bool,
}

impl Facts {
    pub(super) fn of(broker: &Broker, made_by: MadeBy) -> Self {
        let runs_as = made_by.runs_as();
        Self {
            is_anonymous: broker.credentials.is_none(),
            container: container::is_in(runs_as).then_some(runs_as),
            is_loopback: container::is_loopback(&broker.host),
            is_multicast_name: container::is_multicast_name(&broker.host),
        }
    }

    /// Adds what a container changes about the meaning of the host.
    fn in_container(self, advice: Advice, cause: &Cause) -> Advice {
        let Some(runs_as) = self.container else { return advice };
        match cause {
            Cause::Refused if self.is_loopback => match runs_as {
                RunsAs::Program => advice.then(sentence![
                    "kamstrup2mqtt runs in a container. There, this address is the container itself, \
                     unless the container uses the network of its host. Set ",
                    &keys::HOST,
                    " to the name of the broker's container if both are in one network, otherwise to \
                     the address of the machine on which the broker runs, like 192.168.1.10."
                ]),
                RunsAs::AddOn => advice.then(sentence![
                    "Inside the app, this address is the app itself. Leave ",
                    &keys::HOST,
                    " empty to use Home Assistant's broker, or set it to the address of your broker, \
                     like 192.168.1.10; `core-mosquitto` is the Mosquitto app."
                ]),
            },
            Cause::NoAddress | Cause::NotLookedUp if self.is_multicast_name => {
                advice.then(sentence![
                    "Names that end in `.local` usually cannot be resolved in a container."
                ])
            }
            _ => advice,
        }
    }
}

/// What went wrong at this stage.
pub(super) fn advice(error: &ConnectionError, stage: Stage, facts: Facts) -> Advice {
    let advice = of_error(error, stage, facts);
    match error {
        ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error))
            if tls_error(error).is_none() =>
        {
            facts.in_container(advice, &Cause::from(error))
        }
        _ => advice,
    }
}

fn of_error(error: &ConnectionError, stage: Stage, facts: Facts) -> Advice {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) if facts.is_anonymous => {
            Advice::new("it requires a user name and a password, but none is set.").then(sentence![
                "Set ",
                &keys::USERNAME,
                " and ",
                &keys::PASSWORD,
                "."
            ])
        }
        ConnectionError::ConnectionRefused(code) => rejection(*code),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            Advice::new("it does not answer.").then(sentence![
                "Check ",
                &keys::HOST,
                " and ",
                &keys::PORT,
                ", and that no firewall or router blocks the connection."
            ])
        }
        ConnectionError::NotConnAck(_) => {
            Advice::new("the server at this address is not an MQTT broker.").then(check_address())
        }
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => io_advice(error, stage),
        ConnectionError::Tls(TlsError::Io(error)) => match tls_error(error) {
            Some(error) => tls::advice(error),
            None if was_closed(error) => tls::closed_in_handshake(),
            None => io_advice(error, stage),
        },
        ConnectionError::Tls(TlsError::TLS(error)) => tls::advice(error),
        ConnectionError::Tls(error) => Advice::new(format!("TLS failed ({error})."))
            .then(sentence!["Check ", &keys::HOST, "."]),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Advice::new("it stopped responding.")
                .then(sentence!["Check that the broker is running, and check the network."])
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(stage),
        ConnectionError::MqttState(StateError::Deserialization(_)) if stage == Stage::Plain => {
            Advice::new("the server at this address does not use MQTT, or only with TLS.").then(
                sentence![
                    "If this is the broker's TLS port, enable ",
                    &keys::TLS_ENABLED,
                    ", or set ",
                    &keys::PORT,
                    " to the port without TLS, usually 1883."
                ],
            )
        }
        ConnectionError::MqttState(StateError::Deserialization(
            mqttbytes::Error::PayloadSizeLimitExceeded(bytes),
        )) => too_long(*bytes),
        ConnectionError::MqttState(error) => {
            Advice::new(format!("the connection ended with a protocol error ({error})."))
                .then(sentence!["If this happens often, report it."])
        }
        ConnectionError::RequestsDone => Advice::new("the program is stopping."),
    }
}

fn check_address() -> Sentence {
    sentence!["Check ", &keys::HOST, " and ", &keys::PORT, "."]
}

/// The broker rejected the login.
fn rejection(code: ConnectReturnCode) -> Advice {
    let check_log = || sentence!["Check the broker's log."];
    match code {
        ConnectReturnCode::BadUserNamePassword => {
            Advice::new("it rejected the user name or the password.").then(sentence![
                "Check ",
                &keys::USERNAME,
                " and ",
                &keys::PASSWORD,
                "."
            ])
        }
        ConnectReturnCode::NotAuthorized => {
            Advice::new("it does not authorize this user.").then(sentence![
                "Check ",
                &keys::USERNAME,
                " and ",
                &keys::PASSWORD,
                ", and the user's permissions on the broker."
            ])
        }
        ConnectReturnCode::BadClientId => Advice::new("it rejected the client id.")
            .then_for(
                RunsAs::Program,
                sentence![
                    "Allow this client id in the broker's settings, or set ",
                    &keys::CLIENT,
                    " to another one."
                ],
            )
            // The form has no such option.
            .then_for(
                RunsAs::AddOn,
                sentence!["Allow the client id `kamstrup` in the broker's settings."],
            ),
        ConnectReturnCode::RefusedProtocolVersion => Advice::new("it does not accept MQTT 3.1.1.")
            .then(sentence!["Allow this version in the broker's settings."]),
        ConnectReturnCode::ServiceUnavailable => {
            Advice::new("it reports that it is unavailable.").then(check_log())
        }
        ConnectReturnCode::Success => Advice::new("it sent an invalid answer.").then(check_log()),
    }
}

/// The broker closed the connection.
fn closed(stage: Stage) -> Advice {
    match stage {
        Stage::Plain => Advice::new("it closed the connection without an answer.").then(sentence![
            "If this is its TLS port, enable ",
            &keys::TLS_ENABLED,
            ", or set ",
            &keys::PORT,
            " to the port without TLS, usually 1883. Otherwise, the broker's log says why."
        ]),
        Stage::Encrypted => {
            Advice::new("it closed the connection without an answer.").then(sentence![
                "It may require a client certificate (",
                &keys::TLS_CERT,
                " and ",
                &keys::TLS_KEY,
                "), or reject the one that it received. The broker's log says why."
            ])
        }
        Stage::Connected => Advice::new("it closed the connection.")
            .then(sentence!["The broker's log may say why."]),
    }
}

/// Whether the broker closed the connection, rather than refused it or fell silent.
pub(super) fn is_hang_up(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => tls_error(error).is_none() && was_closed(error),
        ConnectionError::MqttState(StateError::ConnectionAborted) => true,
        _ => false,
    }
}

/// Whether the broker has sent a longer message than is accepted.
pub(super) fn is_too_long(error: &ConnectionError) -> bool {
    use mqttbytes::Error::PayloadSizeLimitExceeded as TooLong;

    matches!(error, ConnectionError::MqttState(StateError::Deserialization(TooLong(_))))
}

/// Whether the broker may have rejected the connection because of the last will.
pub(super) fn may_be_the_will(error: &ConnectionError) -> bool {
    use ConnectReturnCode as Code;

    match error {
        ConnectionError::ConnectionRefused(code) => !matches!(
            code,
            Code::BadUserNamePassword | Code::BadClientId | Code::ServiceUnavailable
        ),
        error => is_hang_up(error),
    }
}

/// Whether the broker may have rejected the connection because of the client id.
pub(super) fn may_be_the_client_id(error: &ConnectionError) -> bool {
    use ConnectReturnCode as Code;

    match error {
        ConnectionError::ConnectionRefused(code) => {
            matches!(code, Code::BadClientId | Code::NotAuthorized)
        }
        error => is_hang_up(error),
    }
}

/// The TLS error inside an I/O error.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn was_closed(error: &io::Error) -> bool {
    matches!(Cause::from(error), Cause::Ended | Cause::Broken)
}

fn io_advice(error: &io::Error, stage: Stage) -> Advice {
    if let Some(error) = tls_error(error) {
        return tls::advice(error);
    }
    match Cause::from(error) {
        Cause::Refused => Advice::new("nothing is listening on this port.").then(sentence![
            "Check that the broker is running, and check ",
            &keys::HOST,
            " and ",
            &keys::PORT,
            "."
        ]),
        Cause::Ended | Cause::Broken => closed(stage),
        Cause::Shortage => {
            Advice::new(format!("the system allows no more open files or memory ({error})."))
                .then_by_reader(cause::shortage_hint)
        }
        Cause::Unreachable => Advice::new("its address cannot be reached.").then(sentence![
            "Check ",
            &keys::HOST,
            " and the network."
        ]),
        Cause::NoAddress | Cause::NotLookedUp => Advice::new("its host name cannot be resolved.")
            .then(sentence!["Check ", &keys::HOST, ", or use the broker's IP address instead."]),
        _ => Advice::new(format!("{error}.")).then(check_address()),
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::Packet;

    use super::*;

    /// One error of every kind.
    fn every_error() -> Vec<ConnectionError> {
        use ConnectReturnCode as Code;

        let codes = [
            Code::BadUserNamePassword,
            Code::NotAuthorized,
            Code::BadClientId,
            Code::RefusedProtocolVersion,
            Code::ServiceUnavailable,
        ];
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::PermissionDenied,
        ];
        let lookup = io::Error::other("failed to lookup address information: no such name");
        codes
            .into_iter()
            .map(ConnectionError::ConnectionRefused)
            .chain(kinds.into_iter().map(|kind| ConnectionError::Io(kind.into())))
            .chain([
                ConnectionError::Io(lookup),
                ConnectionError::Io(io::Error::from_raw_os_error(24)),
                ConnectionError::NetworkTimeout,
                ConnectionError::NotConnAck(Packet::PingReq),
                ConnectionError::MqttState(StateError::AwaitPingResp),
                ConnectionError::MqttState(StateError::ConnectionAborted),
                ConnectionError::MqttState(StateError::Unsolicited(7)),
            ])
            .collect()
    }

    /// The words for each maker of the settings. Those for the app name no setting that its form
    /// lacks, and none at all if Home Assistant made them.
    fn words(error: &ConnectionError, stage: Stage, is_anonymous: bool) -> String {
        let advice = advice(error, stage, Facts { is_anonymous, ..Facts::default() });
        let file = advice.words(MadeBy::File);
        let [form, home_assistant] = [MadeBy::Form, MadeBy::HomeAssistant].map(|made_by| {
            let words = advice.words(made_by);
            assert!(!words.contains("`mqtt."), "{words}");
            assert!(words.ends_with('.') || words.ends_with(".)"), "{words}");
            words
        });
        format!("{file}\n  {form}\n  {home_assistant}")
    }

    /// In a container, `localhost` is the container itself.
    #[test]
    fn a_container_changes_the_meaning_of_a_host() {
        let refused = || ConnectionError::Io(io::ErrorKind::ConnectionRefused.into());
        let lookup = || {
            ConnectionError::Io(io::Error::other("failed to lookup address information: no name"))
        };
        let words = |error: &ConnectionError, host: &str, container: Option<RunsAs>| {
            let facts = Facts {
                is_anonymous: false,
                container,
                is_loopback: container::is_loopback(host),
                is_multicast_name: container::is_multicast_name(host),
            };
            let made_by = match container {
                Some(RunsAs::AddOn) => MadeBy::Form,
                _ => MadeBy::File,
            };
            advice(error, Stage::Plain, facts).words(made_by)
        };
        let in_docker = Some(RunsAs::Program);
        let in_app = Some(RunsAs::AddOn);
        for host in ["localhost", "127.0.0.1", "::1"] {
            for (container, text) in [
                (
                    in_docker,
                    "the container itself, unless the container uses the network of its host. Set `mqtt.host` to",
                ),
                (in_app, "the app itself. Leave "),
            ] {
                let words = words(&refused(), host, container);
                assert!(words.contains(text), "{words}");
            }
            assert!(!words(&refused(), host, None).contains("itself"));
            // It is there, but hangs up.
            let aborted = ConnectionError::MqttState(StateError::ConnectionAborted);
            assert!(!words(&aborted, host, in_docker).contains("itself"));
        }
        assert!(!words(&refused(), "192.168.1.10", in_docker).contains("itself"));
        for container in [in_docker, in_app] {
            assert!(words(&lookup(), "homeassistant.local", container).contains("`.local`"));
            assert!(!words(&lookup(), "broker", container).contains("`.local`"));
        }
        assert!(!words(&lookup(), "homeassistant.local", None).contains("`.local`"));
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        use ConnectReturnCode as Code;

        let of_tls = tls::tests::every_error()
            .into_iter()
            .map(|error| ConnectionError::Tls(TlsError::TLS(error)));
        let garbage = StateError::Deserialization(mqttbytes::Error::InvalidProtocol);
        let hung_up = io::Error::from(io::ErrorKind::UnexpectedEof);
        let others =
            [ConnectionError::MqttState(garbage), ConnectionError::Tls(TlsError::Io(hung_up))];
        let mut texts = Vec::new();
        for error in every_error().into_iter().chain(of_tls).chain(others) {
            for stage in [Stage::Plain, Stage::Encrypted, Stage::Connected] {
                let text = words(&error, stage, false);
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        let refused = ConnectionError::ConnectionRefused(Code::NotAuthorized);
        texts.push(words(&refused, Stage::Plain, true));
        insta::assert_snapshot!(texts.join("\n"));
    }
}
