//! The result of loading a configuration.

use std::path::PathBuf;

use super::effective::Effective;
use super::model::Config;
use super::problem::Warning;

/// A valid configuration, with its warnings.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The effective settings, each with its origin.
    pub settings: Effective,
    /// The warnings.
    pub warnings: Vec<Warning>,
    /// The file, if one was read.
    pub file: Option<PathBuf>,
}
