//! From a YAML file and environment variables to a checked [`Config`].
//!
//! Nothing is checked later than here: a [`Config`] that exists can be run. All problems are told
//! at once, each with its place, what was found and what is accepted.

pub mod addon_options;
mod check;
mod effective;
mod error;
mod found;
pub(crate) mod keys;
mod list;
mod logging;
pub mod manual;
mod model;
mod problem;
mod read;
mod secret;
mod settings;
mod suggest;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod variables;
mod words;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use self::check::Checker;
pub use self::effective::{Effect, Effective, Entry, Label};
pub use self::error::ConfigError;
pub use self::found::parameters_list;
pub use self::keys::Key;
pub use self::model::{Broker, Config, Credentials, Meter, Publishing, Qos};
pub use self::problem::{
    About, Accepted, Found, Login, Meant, Of, Problem, Quoted, Remark, Shape, ShownKey, Though,
    Warning,
};
pub use self::secret::Secret;
use self::settings::Settings;
pub use self::settings::{Origin, Place, Spot, Whose};
pub use self::tls::Tls;
pub use self::variables::Variables;
pub use self::words::{file_words, warning_words};
pub use crate::name::{MeterName, Parameter};

/// A configuration, and what is odd about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The same, setting by setting, with where each comes from.
    pub settings: Effective,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// What was found out about settings so far.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Findings {
    /// Adds what is not there yet.
    fn add_new(&mut self, more: Self) {
        let Self { problems, warnings } = more;
        let is_new = |problem: &Problem| !self.problems.contains(problem);
        let problems: Vec<_> = problems.into_iter().filter(is_new).collect();
        self.problems.extend(problems);
        let is_new = |warning: &Warning| !self.warnings.contains(warning);
        let warnings: Vec<_> = warnings.into_iter().filter(is_new).collect();
        self.warnings.extend(warnings);
    }
}

/// Where the file is looked for when none is named.
const PLACES: [&str; 3] = ["config.yaml", "../config.yaml", "/etc/kamstrup2mqtt/config.yaml"];

/// Reads the configuration: from `file`, or from the first of the usual places that has one, or
/// from `variables` alone.
pub fn load(file: Option<&Path>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let source = content(file)?;
    check(source.as_ref().map(|(path, text)| (*path, text.as_str())), variables)
}

/// The file that counts, and what is in it.
fn content(file: Option<&Path>) -> Result<Option<(&Path, String)>, ConfigError> {
    let usual = || PLACES.into_iter().map(Path::new).find(|path| path.exists());
    let Some(path) = file.or_else(usual) else { return Ok(None) };
    let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
    Ok(Some((path, read::configuration(path).map_err(unreadable)?)))
}

/// The configuration for a meter at `port` that is named on the command line: defaults and
/// `variables`, and what is not said of the meter is to be found out.
pub fn for_port(port: &str, variables: &Variables) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    settings.set_text(&keys::VERSION, "auto", Origin::Default);
    settings.read_variables(variables, &mut findings);
    settings.set_text(&keys::COM_PORT, port, Origin::Option("--port"));
    Checker::new(&settings, findings).finish(None)
}

/// Where the page is, whatever else is wrong in the configuration; `None` where it has none.
#[must_use]
pub fn page(file: Option<&Path>, variables: &Variables) -> Option<SocketAddr> {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    // What cannot be read says nothing of the page.
    if let Ok(Some((path, text))) = content(file) {
        let _ = settings.read_file(path, &text, &mut findings);
    }
    // Others may name files with secrets, which are not wanted here.
    let mut variables = variables.clone();
    variables.retain(|name, _| name.starts_with("WEB_"));
    settings.read_variables(&variables, &mut findings);
    Checker::new(&settings, findings).page()
}

/// Checks a file's text and the variables over it.
pub fn check(file: Option<(&Path, &str)>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    if let Some((path, text)) = file {
        settings.read_file(path, text, &mut findings)?;
    }
    settings.read_variables(variables, &mut findings);
    let Findings { problems, warnings } = &findings;
    if settings.is_empty() && problems.is_empty() && warnings.is_empty() {
        return Err(match file {
            Some((path, _)) => ConfigError::Empty { path: path.to_owned() },
            None => ConfigError::None,
        });
    }
    Checker::new(&settings, findings).finish(file.map(|(path, _)| path))
}
