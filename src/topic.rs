//! The names of topics.

use crate::config::Parameter;

/// The topics of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    base: String,
}

impl Topics {
    /// Those of the only meter: directly under the configured topic.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned() }
    }

    /// Where a value is published, in lower case.
    #[must_use]
    pub fn value(&self, parameter: &Parameter) -> String {
        format!("{}/{}", self.base, parameter.name().to_ascii_lowercase())
    }

    /// Where `online` and `offline` are published.
    #[must_use]
    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }
}

/// The unique id of a parameter's entity, which is also its place under the discovery prefix.
///
/// The spelling is that of the older Python program, upper case included, so that its entities and
/// their history live on.
#[must_use]
pub fn unique_id(parameter: &Parameter) -> String {
    format!("kamstrup_{}", parameter.name())
}
