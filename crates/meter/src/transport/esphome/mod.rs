//! Opens a serial port of an ESPHome node, which has the component `serial_proxy`.
//!
//! The node's API is a stream of messages over TCP, plain or encrypted (`wire`, `messages`). To
//! open a port, `opening` greets the node, finds its serial ports in its description, subscribes to
//! one, and sends the settings of the line. Then a [`connection::Connection`] is a stream of the
//! line's bytes.
//!
//! A node's API accepts several clients, but each serial port serves only one client at a time.
//! Until ESPHome 2026.6, a node does not answer a subscription, whether it worked or not. From API
//! version 1.16 on, it does. Both kinds of node work: after the subscription, the client sends a
//! request that every node answers. Answers arrive in order, so this answer shows that the node has
//! handled the subscription.

mod address;
mod connection;
mod error;
mod messages;
mod opening;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use self::address::SCHEME;
pub use self::address::{ApiKey, NodePort, OtherKeyError, ParseKeyError, ParseNodeError};
pub use self::error::NodeError;
pub(crate) use self::error::PORT_IN_USE_HINT;
pub(super) use self::opening::{OPENS_WITHIN, connect};
