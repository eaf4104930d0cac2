//! Loading a configuration.

use std::net::SocketAddr;
use std::path::Path;

use super::check::Checker;
use super::error::{ConfigError, USUAL_PATHS};
use super::findings::Findings;
use super::loaded::Loaded;
use super::origin::Origin;
use super::secret::Secret;
use super::settings::Settings;
use super::variables::Variables;
use super::{keys, read};
use crate::similar::{self, question};

/// Reads the configuration: from `file`, otherwise from the first of the usual paths that exists,
/// otherwise from `variables` alone.
pub fn load(file: Option<&Path>, variables: &Variables) -> Result<Loaded, ConfigError> {
    let source = content(file)?;
    check(source.as_ref().map(|(path, text)| (*path, text.as_str())), variables)
}

/// The file to read, with its text.
fn content(file: Option<&Path>) -> Result<Option<(&Path, String)>, ConfigError> {
    let usual = || USUAL_PATHS.into_iter().map(Path::new).find(|path| path.exists());
    let Some(path) = file.or_else(usual) else { return Ok(None) };
    let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
    let with_meant = |reason| match similar::file(path) {
        Some(meant) if !path.exists() => format!("{reason}{}", question(Some(meant.display()))),
        _ => reason,
    };
    Ok(Some((path, read::configuration(path).map_err(|reason| unreadable(with_meant(reason)))?)))
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
    if let Ok(Some((path, text))) = content(file)
        && settings.read_file(path, &text, &mut findings).is_err()
    {
        // A mistake in another section must not move the page to where nobody looks for it.
        let _ = settings.read_file(path, &section(&text, keys::WEB), &mut findings);
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
