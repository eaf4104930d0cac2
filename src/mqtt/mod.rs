//! The MQTT client. It keeps the desired state of the broker (the messages that should be on it),
//! and restores it after every connect. Nothing else in the program talks to the broker.
//!
//! Two loops run side by side. `connection_loop` only polls the connection. `publish_loop`
//! publishes. The connection loop must never wait for the publish loop: the client's queue may be
//! full, and it empties only while the connection is polled. Callers wait for neither loop: they
//! change the desired state (`desired`, through a [`Publisher`]) and continue.
//!
//! The publish loop compares the desired state with the messages sent in this connection (`diff`),
//! and sends the difference. After a loss of the connection, nothing counts as sent. So queued and
//! unacknowledged messages need no bookkeeping. Only current values are kept: those of the
//! last poll, and slow ones that were not due in it. If a poll reads nothing, no earlier values are
//! sent again.
//!
//! # Rejections
//!
//! A broker that does not accept a message closes the connection or drops the message. These
//! modules find out what it rejects:
//!
//! - `trail` records the steps (publishes and subscriptions) that are not acknowledged.
//! - `endings` records at which step recent connections ended.
//! - `link` sends one step at a time after a connection has ended at a step. So the next loss
//!   identifies the step.
//! - `read_back` checks whether the broker returns the retained messages that were sent.
//! - `subscriptions` finds the filter under which the broker sends a message that is too long.
//! - `rehearsal` tries everything for `check --online`.
//! - `failure::rejection` names the causes.
//!
//! # Missing acknowledgements
//!
//! The publish loop hands over a message only when the client can send it at once. Until then it
//! waits in `waiting`, where a newer one of its topic replaces it. So no value waits for minutes and
//! is then published as new.
//!
//! A broker may answer pings and acknowledge nothing. If that keeps the client from sending, the
//! connection ends after `connection_loop::ACKNOWLEDGED_WITHIN`. A broker may also acknowledge
//! slowly. Then fewer messages are sent at a time (`trail::Window`), because each waits for all
//! before it, and `slowness` reports it.
//!
//! # Stopping
//!
//! The publish loop queues the remaining messages and then `offline`. The connection loop waits
//! until all of them are acknowledged and disconnects, within `connection_loop::GOODBYE`.
//!
//! # Workarounds for the client library and for Mosquitto
//!
//! Each has a test against a scripted broker.
//!
//! - On every error, the client's collision state is cleared (rumqtt issue 1056). Events received
//!   before the error are discarded too, because they would count for the next connection.
//! - A publish with QoS 2 is completed before the next one is sent. Mosquitto confirms more of them
//!   than its `max_inflight_messages`, which may be 1, and drops them.
//! - Subscriptions for retained messages use QoS 0. With another QoS, Mosquitto sends only the
//!   first 1000 retained messages.

mod births;
mod cleared;
mod client;
mod connection;
mod connection_log;
mod connection_loop;
mod desired;
mod diff;
mod endings;
mod failure;
mod forget;
mod incoming;
mod jitter;
mod link;
mod once;
mod publish_loop;
mod publisher;
mod read_back;
mod rehearsal;
mod renewal;
mod slowness;
mod subscriptions;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trail;
mod waiting;

pub(crate) use self::births::{Answer, BIRTHS_ANSWERED};
pub(crate) use self::cleared::{FOUND_AT_MOST, Found};
pub(crate) use self::connection::{Brokers, ConnectionSettings, prepare};
pub(crate) use self::desired::Source;
pub(crate) use self::forget::{FORGET_WITHIN, Forgotten, Owner, Rest, forget};
pub(crate) use self::incoming::Received;
pub(crate) use self::publisher::Publisher;
pub(crate) use self::rehearsal::{Rehearsal, Rehearsed, rehearse};
pub(crate) use self::subscriptions::Subscriptions;
#[cfg(test)]
pub(crate) use self::testing::{
    RecordedMessages, idle_publisher, recorded_publisher, sending_publisher,
};
