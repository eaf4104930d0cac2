//! Sets up the client library for one broker.

use std::time::Duration;

use rumqttc::{AsyncClient, EventLoop, LastWill, MqttOptions, NetworkOptions, QoS};

use super::renewal;
use crate::config::{Broker, Qos};
use crate::payload::Message;
use crate::tls;

pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Covers the connection and the broker's answer to it.
const CONNECT_TIMEOUT_SECS: u64 = 20;

/// How many publishes may wait for their acknowledgement at a time. Mosquitto accepts 20 with QoS 2
/// and drops the rest, with a reason that an MQTT 3.1.1 client never sees.
pub(super) const IN_FLIGHT: u16 = 10;

/// How many requests may wait for the connection loop.
pub(super) const QUEUE: usize = 100;

/// The longest message, in bytes, that is accepted from the broker. A longer one ends the
/// connection, so this is far more than anybody sends to the subscribed topics.
pub(super) const LONGEST: usize = 1024 * 1024;

impl Broker {
    /// `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

/// The client appends a colon and the port.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

/// The client id of a command, while the program may be connected with its own. A broker may accept
/// only ids that begin like the program's. The rest is random, because any fixed id could be that
/// of another program, whose connection would end.
#[must_use]
pub(super) fn id_of_command(broker: &Broker, command: &str) -> String {
    format!("{}-{command}-{:08x}", broker.client_id, fastrand::u32(..))
}

/// A client that is not yet connected.
pub(super) fn new(
    broker: &Broker,
    id: &str,
    last_will: Option<&Message>,
) -> (AsyncClient, EventLoop) {
    let host = match &broker.tls {
        // The name in the certificate is compared with exactly this text. The client looks for the
        // port only after the last colon.
        Some(_) => tls::without_brackets(&broker.host).to_owned(),
        None => bracketed(&broker.host),
    };
    let mut options = MqttOptions::new(id, host, broker.port.get());
    if let Some(tls) = &broker.tls {
        options.set_transport(renewal::transport(tls.at_start().config()));
    }
    options.set_keep_alive(KEEP_ALIVE);
    options.set_inflight(IN_FLIGHT);
    options.set_max_packet_size(LONGEST, LONGEST);
    // The broker need not keep a session: everything important is sent again after each connect.
    options.set_clean_session(true);
    if let Some(Message { topic, payload, qos, retain }) = last_will {
        options.set_last_will(LastWill::new(topic, payload.clone(), (*qos).into(), *retain));
    }
    if let Some(credentials) = &broker.credentials {
        options.set_credentials(&credentials.username, credentials.password.reveal());
    }
    let (client, mut event_loop) = AsyncClient::new(options, QUEUE);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT_SECS);
    network.set_tcp_nodelay(true);
    event_loop.set_network_options(network);
    (client, event_loop)
}

impl From<Qos> for QoS {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
            Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was `kamstrup-check`, which a second program may have: a check ended its connection.
    #[test]
    fn no_program_has_the_client_id_of_a_command() {
        let yaml = "serial_device: {com_port: /dev/a}\n";
        let file = std::path::Path::new("x");
        let loaded = crate::config::check(Some((file, yaml)), &crate::config::Variables::new());
        let broker = loaded.unwrap().config.broker;
        let [one, other] = [(); 2].map(|()| id_of_command(&broker, "check"));
        assert!(one.starts_with("kamstrup-check-") && one.len() == "kamstrup-check-".len() + 8);
        assert_ne!(one, other);
    }
}
