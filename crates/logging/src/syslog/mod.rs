//! Syslog: RFC 5424 over a Unix socket, UDP, or TCP with octet counting (RFC 6587).
//!
//! Syslog has no acknowledgements. A line that is on its way when a server dies is lost without
//! notice. Over TCP, the client checks before each line whether the server has closed the
//! connection. Over UDP, it notices a lost line only if the server's host reports that nobody
//! listens on the port. Then it sends that line again. Over a Unix socket, sending fails if the
//! server is gone.

mod address;
mod client;
mod message;
#[cfg(test)]
mod tests;

pub use self::address::{Address, ParseAddressError};
pub(crate) use self::client::Client;
pub use self::message::{Facility, ParseFacilityError};
#[cfg(test)]
pub(crate) use self::message::{Sender, message};
