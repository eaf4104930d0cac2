//! Why there is no connection, and what to do about it.

mod tls;

use std::io;

use rumqttc::{
    ConnectReturnCode, ConnectionError, EventLoop, StateError, TlsError, Transport, mqttbytes,
};

use crate::advice::{Advice, Sentence, sentence};
use crate::config::keys;
use meter::cause::{self, Cause};

/// The stage that the connection had reached when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The broker had not accepted us yet; without TLS.
    Plain,
    /// The same, with TLS.
    Encrypted,
    /// The broker had accepted us.
    Connected,
}

impl Stage {
    /// The stage of a connection in which the broker has not answered yet.
    pub(super) fn of(event_loop: &EventLoop) -> Self {
        match event_loop.mqtt_options.transport() {
            Transport::Tls(_) => Self::Encrypted,
            _ => Self::Plain,
        }
    }
}

/// What went wrong at this stage. `logs_in` says whether there is a user name to check.
pub(super) fn advice(error: &ConnectionError, stage: Stage, logs_in: bool) -> Advice {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) if !logs_in => Advice::new("it wants a user name and a password, and none is set.")
            .then(sentence!["Set ", &keys::USERNAME, " and ", &keys::PASSWORD, "."]),
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            Advice::new("it does not answer.").then(sentence![
                "Check ",
                &keys::HOST,
                " and ",
                &keys::PORT,
                ", and that nothing between here and there blocks the connection."
            ])
        }
        ConnectionError::NotConnAck(_) => {
            Advice::new("what answers there is no MQTT broker.").then(check_address())
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
        ConnectionError::MqttState(StateError::AwaitPingResp) => Advice::new("it fell silent.")
            .then(sentence!["Check that it runs, and the network between."]),
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(stage),
        ConnectionError::MqttState(StateError::Deserialization(_)) if stage == Stage::Plain => {
            Advice::new("what answers there does not speak MQTT, or only in TLS.").then(sentence![
                "If this is the broker's port for TLS, switch ",
                &keys::TLS_ENABLED,
                " on or use the other one, mostly 1883, as ",
                &keys::PORT,
                "."
            ])
        }
        ConnectionError::MqttState(error) => {
            Advice::new(format!("the two no longer understand each other ({error})."))
        }
        ConnectionError::RequestsDone => Advice::new("the program is stopping."),
    }
}

fn check_address() -> Sentence {
    sentence!["Check ", &keys::HOST, " and ", &keys::PORT, "."]
}

/// The broker refused the connection.
fn refusal(code: ConnectReturnCode) -> Advice {
    let look_at_log = || sentence!["Look at the broker's own log."];
    match code {
        ConnectReturnCode::BadUserNamePassword => Advice::new("it refused user name or password.")
            .then(sentence!["Check ", &keys::USERNAME, " and ", &keys::PASSWORD, "."]),
        ConnectReturnCode::NotAuthorized => {
            Advice::new("it does not let this user in.").then(sentence![
                "Check ",
                &keys::USERNAME,
                " and ",
                &keys::PASSWORD,
                ", and the user's rights on the broker."
            ])
        }
        ConnectReturnCode::BadClientId => Advice::new("it refused the client id.").then(sentence![
            "Choose another one as ",
            &keys::CLIENT,
            "."
        ]),
        ConnectReturnCode::RefusedProtocolVersion => Advice::new("it does not speak MQTT 3.1.1.")
            .then(sentence!["Allow this version in the broker's settings."]),
        ConnectReturnCode::ServiceUnavailable => {
            Advice::new("it is not ready.").then(look_at_log())
        }
        ConnectReturnCode::Success => Advice::new("it answered oddly.").then(look_at_log()),
    }
}

/// The broker closed the connection.
fn closed(stage: Stage) -> Advice {
    match stage {
        Stage::Plain => Advice::new("it closed the connection without an answer.").then(sentence![
            "If this is its port for TLS, switch ",
            &keys::TLS_ENABLED,
            " on or use the other one, mostly 1883, as ",
            &keys::PORT,
            "; if it is not, the broker's own log tells."
        ]),
        Stage::Encrypted => {
            Advice::new("it closed the connection without an answer.").then(sentence![
                "It may want a certificate from its clients (",
                &keys::TLS_CERT,
                " and ",
                &keys::TLS_KEY,
                "), or refuse the one that it was given; the broker's own log tells."
            ])
        }
        Stage::Connected => Advice::new("it closed the connection.").then(sentence![
            "If it does so again and again, another program may be using the same ",
            &keys::CLIENT,
            "; the broker's own log tells."
        ]),
    }
}

/// The broker closes one connection after the other. No more is logged of it until one holds.
pub(super) fn thrown_out() -> Advice {
    Advice::new("it ended the connection again and again.")
        .then(sentence![
            "Most likely another program uses the same ",
            &keys::CLIENT,
            ": stop it, or choose another name."
        ])
        .then(sentence![
            "Trying again; no more is said of this until a connection has held for 10 s."
        ])
}

/// The error of TLS that an I/O error wraps.
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
        Cause::Refused => Advice::new("nothing listens there.").then(sentence![
            "Check that the broker runs, and ",
            &keys::HOST,
            " and ",
            &keys::PORT,
            "."
        ]),
        Cause::Ended | Cause::Broken => closed(stage),
        Cause::Shortage => {
            Advice::new(format!("the system gives the program no more files or memory ({error})."))
                .then(sentence![cause::SHORTAGE_HINT])
        }
        Cause::Unreachable => Advice::new("its address cannot be reached.").then(sentence![
            "Check ",
            &keys::HOST,
            " and the network."
        ]),
        Cause::NoAddress | Cause::NotLookedUp => Advice::new("its name has no address.")
            .then(sentence!["Check ", &keys::HOST, ", or use the broker's IP address."]),
        _ => Advice::new(format!("{error}.")).then(check_address()),
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::Packet;

    use super::*;
    use crate::advice::MadeBy;

    /// One of every kind.
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

    /// For who made the settings: what is said in the add-on speaks of none that its form does not
    /// have, and of none at all where Home Assistant made them.
    fn words(error: &ConnectionError, stage: Stage, logs_in: bool) -> String {
        let advice = advice(error, stage, logs_in);
        let file = advice.words(MadeBy::File);
        let [form, home_assistant] = [MadeBy::Form, MadeBy::HomeAssistant].map(|made_by| {
            let words = advice.words(made_by);
            assert!(!words.contains("`mqtt."), "{words}");
            assert!(words.ends_with('.') || words.ends_with(".)"), "{words}");
            words
        });
        format!("{file}\n  {form}\n  {home_assistant}")
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
                let text = words(&error, stage, true);
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        let refused = ConnectionError::ConnectionRefused(Code::NotAuthorized);
        texts.push(words(&refused, Stage::Plain, false));
        texts.push(
            [MadeBy::File, MadeBy::Form, MadeBy::HomeAssistant]
                .map(|made_by| thrown_out().words(made_by))
                .join("\n  "),
        );
        insta::assert_snapshot!(texts.join("\n"));
    }
}
