//! Errors of a configuration in a file or in variables.

use std::path::PathBuf;

use thiserror::Error;

use super::problem::{Problem, Warning};
use meter::RunsAs;

/// The paths of the file if none is given.
pub(super) const USUAL_PATHS: [&str; 3] =
    ["config.yaml", "../config.yaml", "/etc/kamstrup2mqtt/config.yaml"];

/// The path after those: there, the setup page of a service or a container has written it.
pub(super) const PATH_OF_SERVICE: &str = "/var/lib/kamstrup2mqtt/config.yaml";

/// Why there is no valid configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Neither a file nor a variable.
    #[error("no configuration found: none of the files {}, {PATH_OF_SERVICE} exists, and no variable like `SERIAL_COM_PORT` is set", USUAL_PATHS.join(", "))]
    None,
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// The file can be read, but is no text that could be a configuration.
    #[error("the configuration {} cannot be used: {reason}", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Why not, and perhaps what to do.
        reason: String,
    },
    /// The file is not YAML.
    #[error("{}{} is not valid YAML: {reason}", path.display(), place_words(*place))]
    NotYaml {
        /// Which file.
        path: PathBuf,
        /// The line and column where the parser stopped.
        place: Option<(u64, u64)>,
        /// What is wrong there.
        reason: String,
    },
    /// The file has no settings, and no variable is set.
    #[error("the configuration {} is empty", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The file is YAML, but has no sections.
    #[error("{} has no sections like `mqtt:`, `serial_device:` and `kamstrup:`", path.display())]
    NotSections {
        /// Which file.
        path: PathBuf,
    },
    /// Settings are missing or invalid.
    #[error("{}", problem_words(problems, warnings))]
    Problems {
        /// All problems.
        problems: Vec<Problem>,
        /// All warnings: a misspelled key explains a missing one.
        warnings: Vec<Warning>,
    },
}

fn place_words(place: Option<(u64, u64)>) -> String {
    place.map(|(line, column)| format!(", line {line}, column {column},")).unwrap_or_default()
}

fn problem_words(problems: &[Problem], warnings: &[Warning]) -> String {
    let mut words = format!("{}:", error_words(problems.len()));
    let list = |words: &mut String, lines: Vec<String>| {
        words.extend(lines.iter().flat_map(|line| ["\n  - ", line]));
    };
    list(&mut words, by_line(problems));
    if !warnings.is_empty() {
        words.extend(["\nand ", &count_words(warnings.len(), "warning"), ":"]);
        let mut warnings: Vec<&Warning> = warnings.iter().collect();
        warnings.sort_by_key(|warning| warning.line());
        list(&mut words, warnings.iter().map(|it| it.words(RunsAs::Program)).collect());
    }
    words
}

/// In the order of the file. Problems without a line come first.
fn by_line(problems: &[Problem]) -> Vec<String> {
    let mut problems: Vec<&Problem> = problems.iter().collect();
    problems.sort_by_key(|problem| problem.line());
    problems.iter().map(|problem| problem.words(RunsAs::Program)).collect()
}

fn error_words(count: usize) -> String {
    format!("the configuration has {}", count_words(count, "error"))
}

fn count_words(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::None => {
                "start `kamstrup2mqtt` and set it up on its page; or copy kamstrup2mqtt.example.yaml to \
                 config.yaml, and set `host` and `com_port` in it"
            }
            Self::Unreadable { .. } => {
                "check the path (`--config` sets another one), and that this user is allowed to read the file"
            }
            Self::NotText { .. } => {
                "check that this file is the configuration; `--config` sets another one"
            }
            Self::NotYaml { .. } => {
                "indent with spaces, never with tabs, and put a space after each colon; a text that \
                 contains `:`, `#` or quotes needs quotes around it"
            }
            Self::Empty { .. } | Self::NotSections { .. } => {
                "see kamstrup2mqtt.example.yaml for an example"
            }
            Self::Problems { .. } => {
                "fix each error above; kamstrup2mqtt.example.yaml shows every setting (it is in \
                 /usr/share/doc/kamstrup2mqtt, or in the folder of the release)"
            }
        }
    }

    /// The error without the problems of each setting.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Problems { problems, .. } => error_words(problems.len()),
            other => other.to_string(),
        }
    }

    /// The words of each problem, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems { problems, .. } => by_line(problems),
            _ => Vec::new(),
        }
    }

    /// The warnings.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match self {
            Self::Problems { warnings, .. } => warnings,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin::{Origin, Place, Spot};
    use super::super::problem::{About, Accepted, Actual};
    use super::super::{keys, problem};
    use super::*;

    #[test]
    fn errors_in_words() {
        let path = || PathBuf::from("config.yaml");
        let at = |line| Origin::File(Spot { path: path(), line, column: 3 });
        let missing = |origin| Problem {
            about: About::Setting(&keys::HOST, Place::shared(origin)),
            found: Actual::Nothing,
            accepted: Accepted::Usual,
        };
        let tls_off = Warning::TlsOff(vec![&keys::TLS_CERT]);
        let both = vec![tls_off, Warning::Login(problem::Login::Off)];
        let errors = [
            ConfigError::None,
            ConfigError::Unreadable { path: path(), reason: "there is no such file".to_owned() },
            ConfigError::NotText { path: path(), reason: "it is UTF-16 text".to_owned() },
            ConfigError::NotYaml { path: path(), place: None, reason: "a tab".to_owned() },
            ConfigError::NotYaml { path: path(), place: Some((3, 5)), reason: "a tab".to_owned() },
            ConfigError::Empty { path: path() },
            ConfigError::NotSections { path: path() },
            ConfigError::Problems { problems: vec![missing(at(2))], warnings: both },
            // In the order of the file.
            ConfigError::Problems {
                problems: [at(10), at(9), Origin::Default].map(missing).into(),
                warnings: vec![Warning::Insecure],
            },
        ];
        let texts = errors.map(|error| format!("{error}\nhint: {}", error.hint()));
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
