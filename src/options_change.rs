//! Changes of the app's options that a visitor of the page asks for.

use tokio::sync::{mpsc, oneshot};

use meter::poll::Explanation;

/// A change of the app's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OptionsChange {
    /// Read the meter at this port.
    Port(String),
    /// Read these values.
    Values {
        /// The name of the meter in the list of meters; `None` for the only meter.
        meter: Option<String>,
        /// The names of the values.
        names: Vec<String>,
    },
}

/// A change that somebody waits for.
#[derive(Debug)]
pub(crate) struct ChangeRequest {
    pub change: OptionsChange,
    /// Whether the options were changed.
    pub done: oneshot::Sender<Result<(), Explanation>>,
}

/// Where changes are sent.
pub(crate) type ChangeSender = mpsc::Sender<ChangeRequest>;

/// The last change on the page, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub change: OptionsChange,
    pub trouble: Option<Explanation>,
}
