//! Opens a stream of bytes to the meter, over TCP or a serial port.
//!
//! This module knows ports and serial servers, but not the protocol. It needs one fact about
//! answers, the byte that starts them, which is part of a [`Port`].

mod endpoint;
mod error;
mod open;
mod ports;
mod queue;
mod serial;
mod server;
mod settings;
mod stream;
mod tcp;

pub use self::endpoint::{Endpoint, ParseEndpointError};
pub use self::error::OpenError;
pub use self::open::{Open, Port, PortGuard};
pub use self::ports::{LocalPort, local_ports};
pub use self::queue::{PortQueues, SharedPort};
pub use self::settings::{DataBits, ModemLine, Parity, SerialSettings, StopBits};
pub use self::stream::Stream;
