//! Opens a stream of bytes to the meter, over TCP, through an ESPHome node, or over a serial port.
//!
//! This module knows ports and serial servers, but not the protocol. It needs one fact about
//! answers, the byte that starts them, which is part of a [`Port`].

mod endpoint;
mod error;
mod esphome;
mod host;
mod open;
mod ports;
mod queue;
mod serial;
mod server;
mod settings;
mod stream;
mod tcp;
mod watched;

pub use self::endpoint::{Endpoint, ParseEndpointError, PortKind};
pub use self::error::OpenError;
pub(crate) use self::esphome::PORT_IN_USE_HINT;
pub use self::esphome::{
    ApiKey, NodeError, NodePort, OtherKeyError, ParseKeyError, ParseNodeError,
};
pub use self::open::{Open, Port, PortGuard};
pub(crate) use self::ports::described;
pub use self::ports::{LocalPort, local_ports, local_ports_under};
pub use self::queue::{PortQueues, SharedPort};
pub(crate) use self::serial::open as open_serial;
pub use self::settings::{DataBits, ModemLine, Parity, SerialSettings, StopBits};
pub use self::stream::Stream;
