//! The client of the broker. It keeps the desired state of the broker and restores it after every
//! connect. Nothing else in the program talks to the broker.
//!
//! Two loops run side by side. `connection_loop` does nothing but poll the connection;
//! `publish_loop` publishes. The first must never wait for the second, since a full queue that
//! nobody polls never empties. Callers wait for neither: they change the desired state (`desired`,
//! through a [`Publisher`]) and continue.
//!
//! The publish loop compares the desired state with what it has sent in this connection (`diff`)
//! and sends the difference. Nothing that was sent before a loss counts after it, so messages that
//! were queued or unacknowledged need no bookkeeping. Values are those of the last poll only: a
//! poll that read nothing leaves none, and none are sent again.
//!
//! # Stopping
//!
//! The publish loop queues what is left and then `offline`. The connection loop waits until all of
//! it is acknowledged and disconnects, within `connection_loop::GOODBYE`.
//!
//! # Workarounds for the client library and for Mosquitto
//!
//! Each has a test against a scripted broker.
//!
//! - The collision state is cleared on every error (rumqtt issue 1056), and so are events that were
//!   received before the error: they would count for the next connection.
//! - At most `client::IN_FLIGHT` publishes are in flight: with QoS 2, Mosquitto silently drops the
//!   twenty-first.
//! - Retained messages are subscribed to with QoS 0: of any other, Mosquitto drops what exceeds
//!   1000.

mod births;
mod client;
mod connection;
mod connection_log;
mod connection_loop;
mod desired;
mod diff;
mod failure;
mod forget;
mod incoming;
mod jitter;
mod link;
mod probe;
mod publish_loop;
mod publisher;
mod renewal;
mod subscriptions;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use self::births::{Answer, BIRTHS_ANSWERED};
pub(crate) use self::connection::{Brokers, ConnectionSettings, prepare};
pub(crate) use self::desired::Source;
pub(crate) use self::forget::forget;
pub(crate) use self::incoming::Received;
pub(crate) use self::probe::probe;
pub(crate) use self::publisher::Publisher;
pub(crate) use self::subscriptions::Subscriptions;
#[cfg(test)]
pub(crate) use self::testing::{
    RecordedMessages, idle_publisher, recorded_publisher, sending_publisher,
};
