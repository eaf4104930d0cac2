//! Opens the way to the meter and gives a stream of bytes, over TCP or a serial port.
//!
//! Transport knows ports and serial servers, not the protocol that travels over them. The one fact
//! about answers that it needs, the byte that starts them, is part of a [`Port`].

mod endpoint;
mod error;
mod open;
mod ports;
mod queue;
mod serial;
mod settings;
mod tcp;

pub use self::endpoint::{Endpoint, ParseEndpointError};
pub use self::error::OpenError;
pub use self::open::{Open, Port, PortGuard, Stream};
pub use self::ports::{LocalPort, local_ports};
pub use self::queue::{PortQueues, SharedPort};
pub use self::settings::{DataBits, ModemLine, Parity, SerialSettings, StopBits};
