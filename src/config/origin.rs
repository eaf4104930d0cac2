//! Where settings come from.

use std::fmt;
use std::path::PathBuf;

use crate::name::MeterName;

/// Where a setting comes from, and which listed meter it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it comes from.
    pub origin: Origin,
    /// The listed meter that has it; `None` for a setting of a section.
    pub whose: Option<Whose>,
}

impl Place {
    /// The place of a setting that belongs to no listed meter.
    pub(super) fn shared(origin: Origin) -> Self {
        Self { origin, whose: None }
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// An option of the command line.
    Option(&'static str),
    /// The app's form, and the option if several options set the same setting.
    Form(Option<&'static str>),
    /// The answer of Home Assistant's Supervisor.
    HomeAssistant,
    /// A variable.
    Variable(&'static str),
    /// A file that contains only a secret.
    SecretFile {
        /// The variable that names it.
        variable: String,
        /// The file.
        path: PathBuf,
    },
    /// The file.
    File(Spot),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Option(option) => write!(f, "option {option}"),
            Self::Form(_) => f.write_str("options"),
            Self::HomeAssistant => f.write_str("Home Assistant"),
            Self::Variable(variable) => write!(f, "variable {variable}"),
            Self::SecretFile { variable, path } => {
                write!(f, "file {} (variable {variable})", path.display())
            }
            Self::File(Spot { path, line, .. }) => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// Where a key begins in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Which file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: u64,
    /// In characters, counted from 1.
    pub column: u64,
}

/// `config.yaml, line 12, column 5`
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column } = self;
        write!(f, "{}, line {line}, column {column}", path.display())
    }
}

/// One of the listed meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Its number in the list, counted from 1.
    pub number: usize,
    /// Its name, if it has a valid one.
    pub name: Option<MeterName>,
}
