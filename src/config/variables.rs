//! Settings from environment variables, which override the file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::findings::Findings;
use super::keys::KEYS;
use super::origin::{Origin, Place};
use super::problem::{About, Accepted, Actual, Problem, Warning};
use super::setting::Key;
use super::settings::{Raw, Settings};
use super::{keys, read, suggest};

/// Environment variables by name.
pub type Variables = BTreeMap<String, OsString>;

impl Settings {
    /// Reads the variables that are set. An empty one counts as not set, because compose files have
    /// `MQTT_HOST=` for that.
    pub(super) fn read_variables(&mut self, variables: &Variables, findings: &mut Findings) {
        for key in KEYS {
            if let Some(variable) = key.variable
                && let Some((raw, origin)) = of_key(key, variable, variables, findings)
            {
                self.set(key, raw, origin);
            }
        }
        let is_ours = |name: &&String| {
            let text = set(variables, name);
            text.is_some_and(|text| !is_a_links(name, &text.to_string_lossy()))
        };
        for name in variables.keys().filter(is_ours) {
            if let Some(meant) = suggest::nearest_variable(name) {
                findings.warnings.push(Warning::UnknownVariable(name.clone(), meant));
            }
        }
    }
}

/// The folder for logs that a unit of systemd (`LogsDirectory=`) or the image provides.
const LOG_FOLDER: &str = "LOGS_DIRECTORY";

impl Settings {
    /// The provided folder is a default: unlike other variables, it does not override the file. Of
    /// several, which systemd separates by colons, the first is used.
    pub(super) fn read_log_folder(&mut self, variables: &Variables) {
        let provided = set(variables, LOG_FOLDER).and_then(OsStr::to_str);
        let folder = provided.and_then(|folders| folders.split(':').next());
        if let Some(folder) = folder.filter(|folder| folder.starts_with('/'))
            && self.get(&keys::LOG_DIRECTORY).is_none()
        {
            self.set_text(&keys::LOG_DIRECTORY, folder, Origin::Variable(LOG_FOLDER));
        }
    }
}

/// The value of one setting in the variables.
fn of_key(
    key: &'static Key,
    variable: &'static str,
    variables: &Variables,
    findings: &mut Findings,
) -> Option<(Raw, Origin)> {
    let file_variable = key.file_variable();
    let in_file = file_variable.and_then(|name| Some((set(variables, &name)?, name)));
    match (set(variables, variable), in_file) {
        (None, None) => None,
        (Some(text), None) => {
            Some((plain(key, variable, text, findings)?, Origin::Variable(variable)))
        }
        (None, Some((path, file_variable))) => in_a_file(key, file_variable, path, findings),
        (Some(_), Some((_, file_variable))) => {
            findings.problems.push(Problem {
                about: About::Variables(variable, file_variable),
                found: Actual::Both,
                accepted: Accepted::This("one of them"),
            });
            None
        }
    }
}

fn plain(
    key: &'static Key,
    variable: &'static str,
    text: &OsStr,
    findings: &mut Findings,
) -> Option<Raw> {
    match text.to_str() {
        Some(text) if is_a_links(variable, text) => {
            findings.warnings.push(Warning::VariableOfLinks(variable));
            None
        }
        Some(text) => Some(Raw::Text(text.to_owned())),
        None => {
            findings.problems.push(Problem {
                about: About::Setting(key, Place::shared(Origin::Variable(variable))),
                found: Actual::NotUtf8,
                accepted: Accepted::Usual,
            });
            None
        }
    }
}

/// A secret in a file of its own.
fn in_a_file(
    key: &'static Key,
    variable: String,
    path: &OsStr,
    findings: &mut Findings,
) -> Option<(Raw, Origin)> {
    let origin = Origin::SecretFile { variable, path: path.into() };
    match read::secret(Path::new(path)) {
        Ok(text) => Some((Raw::Text(text), origin)),
        Err(reason) => {
            findings.problems.push(Problem {
                about: About::Setting(key, Place::shared(origin)),
                found: Actual::Unusable(reason),
                accepted: Accepted::This("a file that contains only the secret, in one line"),
            });
            None
        }
    }
}

/// A variable that is set and not empty.
fn set<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsStr> {
    variables.get(name).filter(|text| !text.is_empty()).map(OsString::as_os_str)
}

/// Whether Kubernetes or a container link has set this variable, and not the user. For a service
/// `mqtt` they set `MQTT_PORT` to `tcp://10.0.0.1:1883`, for a service `web` they set `WEB_PORT`.
fn is_a_links(variable: &str, text: &str) -> bool {
    matches!(variable, "MQTT_PORT" | "WEB_PORT") && text.starts_with("tcp://")
}
