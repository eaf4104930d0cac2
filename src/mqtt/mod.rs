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
//! - `read_back` checks once whether the broker returns the retained messages that were sent.
//! - `rehearsal` tries everything for `check --online`.
//! - `failure::rejection` names the causes.
//!
//! # Missing acknowledgements
//!
//! A broker may answer pings and acknowledge nothing. As soon as that keeps the client from sending,
//! the publish loop hands over no more messages, and after
//! `connection_loop::ACKNOWLEDGED_WITHIN` the connection ends. So no value waits for minutes in the
//! client's queue and is then published as new.
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
//! - At most `client::IN_FLIGHT` publishes are in flight: with QoS 2, Mosquitto silently drops the
//!   twenty-first.
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
mod publish_loop;
mod publisher;
mod read_back;
mod rehearsal;
mod renewal;
mod subscriptions;
mod suspension;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trail;

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
