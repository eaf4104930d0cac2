//! Checks whether the broker accepts this program.

use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing};
use tokio::time::{Instant, timeout_at};

use super::client;
use super::failure::{self, Stage};
use crate::advice::Advice;
use crate::config::Broker;

/// How long the disconnect may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Connects, logs in and disconnects. The error says what the broker did, and what to do about it.
pub(crate) async fn probe(broker: &Broker) -> Result<(), Advice> {
    // The program may be running, so it needs another id.
    let id = format!("{}-check", broker.client_id);
    let (client, mut event_loop) = client::new(broker, &id, None);
    // The client has its own timeout.
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => break,
            Ok(_) => {}
            Err(error) => {
                let logs_in = broker.credentials.is_some();
                return Err(failure::advice(&error, Stage::of(&event_loop), logs_in));
            }
        }
    }
    let until = Instant::now() + GOODBYE;
    let _ = client.try_disconnect();
    while let Ok(Ok(event)) = timeout_at(until, event_loop.poll()).await {
        if event == Event::Outgoing(Outgoing::Disconnect) {
            break;
        }
    }
    Ok(())
}
