//! Syslog: RFC 5424 over a Unix socket, UDP, or TCP with octet counting (RFC 6587).
//!
//! Syslog has no acknowledgements. A line that is on its way when a server dies is lost without
//! notice. Every other failure is noticed, because the client checks before each line whether the
//! server is still there.

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
