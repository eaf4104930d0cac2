//! Finds the serial port with the optical head.
//!
//! [`candidates`] lists the ports without opening one, and says which will be asked. [`search()`]
//! asks these for the serial number of a meter, one after another. A port that was left out is
//! never opened: only [`Candidate::askable`] makes an [`Askable`], and `search` takes no other
//! port.
//!
//! Each result says what was seen, not what may be behind it:
//!
//! | [`Found`] | what was seen |
//! |---|---|
//! | `Meter` | a valid answer at 1200 baud |
//! | `OtherBaudRate` | a valid answer at another speed |
//! | `OlderLanguage` | a text of numbers, in answer to the request of the older meters |
//! | `Noise` | bytes, but no valid answer |
//! | `EchoOnly` | only the requests themselves |
//! | `Silence` | not one byte |

mod candidate;
mod known;
mod older;
mod search;
#[cfg(test)]
mod tests;
mod usb;
mod words;

pub use self::candidate::{
    Askable, Candidate, ConfiguredPort, Plan, Reason, candidates, named_candidates,
};
pub use self::known::Kind;
pub use self::search::{Found, Searched, Step, is_silent, search};
pub use self::usb::UsbDevice;
