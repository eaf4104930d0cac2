//! The settings that the page and the log need even without a valid configuration: while there is
//! none yet, and while it is invalid.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::check::Checker;
use super::error::ConfigError;
use super::findings::Findings;
use super::keys;
use super::load::{content, find};
use super::model::Config;
use super::problem::{About, Problem, Warning};
use super::secret::Secret;
use super::settings::Settings;
use super::variables::Variables;

/// The page, even if the rest of the configuration is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSettings {
    /// Its address; `None` for no page.
    pub listen: Option<SocketAddr>,
    /// The token of its buttons.
    pub token: PageToken,
}

/// The configured token of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageToken {
    /// None is configured.
    None,
    /// This one.
    Valid(Secret),
    /// One is configured, or may be, but it is invalid or cannot be read. Nobody has it, so this
    /// must not open what a valid one would close.
    Unknown,
}

impl From<Option<Secret>> for PageToken {
    fn from(token: Option<Secret>) -> Self {
        token.map_or(Self::None, Self::Valid)
    }
}

impl Config {
    /// The page.
    #[must_use]
    pub fn page_settings(&self) -> PageSettings {
        PageSettings { listen: self.page, token: self.page_token.clone().into() }
    }
}

/// What the variables say about the page and the log while nothing else is configured.
#[derive(Debug)]
pub struct Beginning {
    /// The address of the page; `None` for no page.
    pub listen: Option<SocketAddr>,
    /// The token that the setup page needs.
    pub token: Option<Secret>,
    /// The log.
    pub logging: logging::Settings,
    /// The warnings.
    pub warnings: Vec<Warning>,
}

/// Whether nobody has configured anything: there is no file, and no variable says anything about a
/// meter or the broker. Those about the page and the log are set in units and images.
#[must_use]
pub fn is_unconfigured(file: Option<&Path>, variables: &Variables) -> bool {
    if find(file, variables).is_some_and(|path| !is_missing(&path)) {
        return false;
    }
    let mut variables = variables.clone();
    variables.retain(|name, _| !is_of_beginning(name));
    let (mut settings, mut findings) = (Settings::default(), Findings::default());
    settings.read_variables(&variables, &mut findings);
    let is_unknown = |warning: &Warning| matches!(warning, Warning::UnknownVariable(..));
    settings.is_empty() && findings.problems.is_empty() && !findings.warnings.iter().any(is_unknown)
}

/// Whether there is nothing at a path. A link that leads nowhere was put there by somebody. A folder
/// that this user may not open may have a file.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether a variable is about the page or the log.
fn is_of_beginning(name: &str) -> bool {
    is_of_page(name) || name.starts_with("LOG")
}

fn is_of_page(name: &str) -> bool {
    name.starts_with("WEB_")
}

/// What the variables about the page and the log say. Their errors are the same as in a whole
/// configuration.
pub fn beginning(variables: &Variables) -> Result<Beginning, ConfigError> {
    let (mut settings, mut findings) = (Settings::default(), Findings::default());
    let mut variables = variables.clone();
    variables.retain(|name, _| is_of_beginning(name));
    settings.read_variables(&variables, &mut findings);
    settings.read_log_folder(&variables);
    let mut checker = Checker::new(&settings, findings);
    let (listen, token) = (checker.page(), checker.page_token());
    let logging = checker.logging();
    let Findings { problems, warnings } = checker.findings;
    match logging {
        Some(logging) if problems.is_empty() => Ok(Beginning { listen, token, logging, warnings }),
        _ => Err(ConfigError::Problems { problems, warnings }),
    }
}

/// The address of the page, even if the rest of the configuration is invalid; `None` for no page.
#[must_use]
pub fn page(file: Option<&Path>, variables: &Variables) -> Option<SocketAddr> {
    page_settings(file, variables).listen
}

/// The address of the page and its token, even if the rest of the configuration is invalid.
#[must_use]
pub fn page_settings(file: Option<&Path>, variables: &Variables) -> PageSettings {
    let mut settings = Settings::default();
    let mut findings = Findings::default();
    // Without a readable file, the page has its default address.
    let may_have_token = match content(file, variables) {
        Ok(None) => false,
        Ok(Some((path, text))) => {
            settings.read_file(&path, &text, &mut findings).is_err() && {
                // A mistake in another section must not move the page to where nobody looks for it.
                let section = section(&text, keys::WEB);
                let is_read = settings.read_file(&path, &section, &mut findings).is_ok();
                !(is_read && settings.get(&keys::WEB_TOKEN).is_some()) && text.contains("token")
            }
        }
        Err(_) => !find(file, variables).is_some_and(|path| is_missing(&path)),
    };
    let in_file = std::mem::take(&mut findings).problems;
    let is_wrong_in_file = may_have_token || in_file.iter().any(is_about_token);
    // Other variables may name files with secrets, which are not needed here.
    let mut variables = variables.clone();
    variables.retain(|name, _| is_of_page(name));
    let mut set = variables.iter().filter(|(_, value)| !value.is_empty());
    let is_in_variable = set.any(|(name, _)| name.starts_with(TOKEN));
    settings.read_variables(&variables, &mut findings);
    let mut checker = Checker::new(&settings, findings);
    let listen = checker.page();
    let token = checker.page_token();
    let is_wrong = checker.findings.problems.iter().any(is_about_token);
    // A variable overrides the file.
    let is_unknown = is_wrong || (is_wrong_in_file && !is_in_variable);
    let token = if is_unknown { PageToken::Unknown } else { token.into() };
    PageSettings { listen, token }
}

/// The variable of the token. With `_FILE` after it, it names a file.
const TOKEN: &str = "WEB_TOKEN";

fn is_about_token(problem: &Problem) -> bool {
    match &problem.about {
        About::Setting(key, _) => key.path == keys::WEB_TOKEN.path,
        About::Section(section, _) => *section == keys::WEB,
        About::Variables(variable, _) => *variable == TOKEN,
        About::Meter(..) => false,
    }
}

/// The lines of one section, in a file that is not YAML as a whole.
fn section(text: &str, name: &str) -> String {
    let begins = |line: &str| line.split_once(':').is_some_and(|(key, _)| key.trim_end() == name);
    let is_inside = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let head = lines.next().into_iter();
    head.chain(lines.take_while(is_inside)).flat_map(|line| [line, "\n"]).collect()
}
