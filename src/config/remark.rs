//! Remarks on texts that are not accepted.

use std::num::NonZeroU16;

use meter::transport::ParseEndpointError;

/// A remark on a text that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The text that was most likely meant.
    Meant(String),
    /// The host that was most likely meant, with the port that followed it.
    MeantHost {
        /// The host.
        host: String,
        /// The port.
        port: Option<NonZeroU16>,
    },
    /// The name of a log file that was most likely meant, with the directory that preceded it.
    MeantFile {
        /// The name.
        name: String,
        /// The directory.
        folder: String,
    },
    /// No register has a number this high.
    TooHigh,
    /// Why it is not an endpoint.
    Endpoint(ParseEndpointError),
    /// A path that begins with `~`: the rest of it.
    Home(String),
}

/// Why a text is not accepted, beyond the description of what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    Unsaid,
    /// Shown after the text.
    Remark(Remark),
    /// Shown after what is accepted, because a long text is cut.
    Reason(String),
}
