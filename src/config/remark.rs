//! Why a text is not accepted.

use std::num::NonZeroU16;

use meter::transport::ParseEndpointError;

/// A remark on a text that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The text that was most likely meant.
    Meant(String),
    /// A host that was most likely meant, with the port behind it.
    MeantHost {
        /// The host.
        host: String,
        /// The port.
        port: Option<NonZeroU16>,
    },
    /// A name of a log file that was most likely meant, with the directory before it.
    MeantFile {
        /// The name.
        name: String,
        /// The directory.
        folder: String,
    },
    /// No register has such a number.
    TooHigh,
    /// It is not an endpoint, for this reason.
    Endpoint(ParseEndpointError),
    /// It begins with `~`: the rest.
    Home(String),
}

/// Why a text is not accepted, beyond the description of what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    Unsaid,
    /// It goes beside the text.
    Remark(Remark),
    /// It goes beside what is accepted, because a long text is cut.
    Reason(String),
}
