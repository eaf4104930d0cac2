//! Loading a configuration.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::error::{ConfigError, PATH_OF_SERVICE, USUAL_PATHS};
use super::findings::Findings;
use super::loaded::Loaded;
use super::origin::Origin;
use super::problem::Problem;
use super::setting::{Fallback, Setting};
use super::settings::Settings;
use super::variables::Variables;
use super::{keys, read};
use crate::name::Parameter;
use crate::similar::{self, question};

/// Reads the configuration: from `file`, otherwise from the first of the usual paths that exists,
/// otherwise from `variables` alone. If `file` is missing, a service reads the file that the setup
/// page has written to the folder of its state.
pub fn load(file: Option<&Path>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let source = content(file, variables)?;
    check(source.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), variables)
}

/// The file to read; `None` if there is none and none was named.
pub(super) fn find(file: Option<&Path>, variables: &Variables) -> Option<PathBuf> {
    // A folder that this user may not open, such as that of a service, may have it. Then reading it
    // gives the true reason.
    let exists = |path: &PathBuf| !matches!(path.try_exists(), Ok(false));
    let of_state = of_state(variables);
    let Some(named) = file else {
        let mut usual = USUAL_PATHS.into_iter().map(PathBuf::from);
        let last = || of_state.unwrap_or_else(|| PathBuf::from(PATH_OF_SERVICE));
        return usual.find(exists).or_else(|| Some(last()).filter(exists));
    };
    let named = named.to_owned();
    if exists(&named) {
        return Some(named);
    }
    Some(of_state.filter(exists).unwrap_or(named))
}

/// The file in the folder of the program's state, which systemd (`StateDirectory=`) or the image
/// provides. Of several folders, which systemd separates by colons, the first is used.
fn of_state(variables: &Variables) -> Option<PathBuf> {
    let folders = variables.get("STATE_DIRECTORY").map(OsString::as_os_str)?;
    let first = folders.to_str().and_then(|all| all.split(':').next()).map(OsStr::new);
    let folder = Path::new(first.unwrap_or(folders));
    folder.is_absolute().then(|| folder.join("config.yaml"))
}

/// Checks the text of one setting, which somebody has typed into a field.
pub(crate) fn check_text<T>(setting: &'static Setting<T>, text: &str) -> Result<T, Box<Problem>> {
    let mut settings = Settings::default();
    if !text.is_empty() {
        settings.set_text(setting, text, Origin::Default);
    }
    Checker::new(&settings, Findings::default()).only(setting)
}

/// The values that are read if the configuration names none.
#[must_use]
pub(crate) fn default_parameters() -> Vec<Parameter> {
    let Fallback::Value(names) = keys::PARAMETERS.default else { return Vec::new() };
    names.split(',').filter_map(|name| name.trim().parse().ok()).collect()
}

/// The file to read, with its text.
pub(super) fn content(
    file: Option<&Path>,
    variables: &Variables,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(path) = find(file, variables) else { return Ok(None) };
    let unreadable = |reason| ConfigError::Unreadable { path: path.clone(), reason };
    let with_meant = |reason| match similar::file(&path) {
        Some(meant) if !path.exists() => format!("{reason}{}", question(Some(meant.display()))),
        _ => reason,
    };
    let bytes = read::configuration(&path).map_err(|reason| unreadable(with_meant(reason)))?;
    let not_text = |reason| ConfigError::NotText { path: path.clone(), reason };
    let text = read::text(bytes).map_err(not_text)?;
    Ok(Some((path, text)))
}

/// The configuration of a meter at `port`, which comes from the command line. The rest is defaults
/// and `variables`. The model is `auto`.
pub fn for_port(port: &str, variables: &Variables) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    settings.set_text(&keys::VERSION, "auto", Origin::Default);
    settings.read_variables(variables, &mut findings);
    settings.set_text(&keys::COM_PORT, port, Origin::Option("--port"));
    Checker::new(&settings, findings).finish(None)
}

/// Checks the text of a file, and the variables that override it.
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
    settings.read_log_folder(variables);
    Checker::new(&settings, findings).finish(file.map(|(path, _)| path))
}
