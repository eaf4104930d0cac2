//! Loading a configuration.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::error::{ConfigError, PATH_OF_SERVICE, USUAL_PATHS};
use super::findings::Findings;
use super::loaded::Loaded;
use super::origin::Origin;
use super::problem::{Problem, Warning};
use super::secret::Secret;
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
fn find(file: Option<&Path>, variables: &Variables) -> Option<PathBuf> {
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

/// Whether nobody has configured anything: there is no file, and no variable says anything about a
/// meter or the broker. Those about the page and the log are set in units and images.
#[must_use]
pub fn is_unconfigured(file: Option<&Path>, variables: &Variables) -> bool {
    // A link that leads nowhere was put there by somebody. A folder that this user may not open may
    // have a file.
    let is_missing = |path: &PathBuf| {
        path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if find(file, variables).is_some_and(|path| !is_missing(&path)) {
        return false;
    }
    let mut variables = variables.clone();
    variables.retain(|name, _| !name.starts_with("WEB_") && !name.starts_with("LOG"));
    let (mut settings, mut findings) = (Settings::default(), Findings::default());
    settings.read_variables(&variables, &mut findings);
    let is_unknown = |warning: &Warning| matches!(warning, Warning::UnknownVariable(..));
    settings.is_empty() && findings.problems.is_empty() && !findings.warnings.iter().any(is_unknown)
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
fn content(
    file: Option<&Path>,
    variables: &Variables,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(path) = find(file, variables) else { return Ok(None) };
    let unreadable = |reason| ConfigError::Unreadable { path: path.clone(), reason };
    let with_meant = |reason| match similar::file(&path) {
        Some(meant) if !path.exists() => format!("{reason}{}", question(Some(meant.display()))),
        _ => reason,
    };
    let text = read::configuration(&path).map_err(|reason| unreadable(with_meant(reason)))?;
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

/// The address of the page, even if the rest of the configuration is invalid; `None` for no page.
#[must_use]
pub fn page(file: Option<&Path>, variables: &Variables) -> Option<SocketAddr> {
    page_and_token(file, variables).0
}

/// The same, with the configured token of the page.
#[must_use]
pub fn page_and_token(
    file: Option<&Path>,
    variables: &Variables,
) -> (Option<SocketAddr>, Option<Secret>) {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    // Without a readable file, the page has its default address.
    if let Ok(Some((path, text))) = content(file, variables)
        && settings.read_file(&path, &text, &mut findings).is_err()
    {
        // A mistake in another section must not move the page to where nobody looks for it.
        let _ = settings.read_file(&path, &section(&text, keys::WEB), &mut findings);
    }
    // Other variables may name files with secrets, which are not needed here.
    let mut variables = variables.clone();
    variables.retain(|name, _| name.starts_with("WEB_"));
    settings.read_variables(&variables, &mut findings);
    let mut checker = Checker::new(&settings, findings);
    (checker.page(), checker.page_token())
}

/// The lines of one section, in a file that is not YAML as a whole.
fn section(text: &str, name: &str) -> String {
    let begins = |line: &str| line.split_once(':').is_some_and(|(key, _)| key.trim_end() == name);
    let is_inside = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let head = lines.next().into_iter();
    head.chain(lines.take_while(is_inside)).flat_map(|line| [line, "\n"]).collect()
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
