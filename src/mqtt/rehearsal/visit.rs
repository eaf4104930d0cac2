//! The first connection of the rehearsal, which changes nothing at the broker.

use rumqttc::{ConnectReturnCode, ConnectionError};

use super::stand_in::{Halt, Retained, StandIn};
use crate::config::Broker;
use crate::mqtt::{client, failure};
use crate::payload::{Message, ONLINE};

/// What the first connection found.
pub(super) enum Visit {
    /// The program is not running. These messages are retained on the topics of the samples.
    Idle { retained: Retained },
    /// The program is running.
    Running,
    /// The program's status at the broker is `online`.
    Online,
    /// The program is running, and the broker rejects another client id.
    Rejected,
}

/// Connects with another client id, because the program would lose its connection if it is running.
/// If the broker accepts no other, and the program is not known to be running, with its own.
pub(super) async fn visit(
    broker: &Broker,
    will: &Message,
    samples: &[Message],
    is_running: bool,
) -> Result<Visit, Halt> {
    let other = Broker { client_id: client::id_of_command(broker, "check"), ..broker.clone() };
    let mut visitor = StandIn::new(&other, None);
    match visitor.connect().await {
        Ok(()) => {}
        Err(end) if !failure::may_be_the_client_id(end.error()) => return Err(end.into()),
        Err(end) if is_running => {
            return match end.error() {
                ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
                    Ok(Visit::Rejected)
                }
                // The program may be connected with settings that have changed since.
                _ => Err(end.into()),
            };
        }
        Err(_) => {
            visitor = StandIn::new(broker, None);
            visitor.connect().await?;
        }
    }
    if is_running {
        visitor.leave().await;
        return Ok(Visit::Running);
    }
    let retained = visitor.retained(samples).await;
    visitor.leave().await;
    let retained = retained?;
    let is_online = retained.get(&will.topic).is_some_and(|status| status == ONLINE.as_bytes());
    Ok(if is_online { Visit::Online } else { Visit::Idle { retained } })
}
