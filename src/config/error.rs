//! Why there is no configuration, for those who write a file or set variables.

use std::path::PathBuf;

use thiserror::Error;

use super::problem::{Problem, Warning};
use meter::RunsAs;

/// The paths of the file where none is named.
pub(super) const USUAL_PATHS: [&str; 3] =
    ["config.yaml", "../config.yaml", "/etc/kamstrup2mqtt/config.yaml"];

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Neither a file nor a variable.
    #[error("there is no configuration: no {}, and no variable like `SERIAL_COM_PORT`", USUAL_PATHS.join(", no "))]
    None,
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is not YAML.
    #[error("{}{} is not valid YAML: {reason}", path.display(), place_words(*place))]
    NotYaml {
        /// Which file.
        path: PathBuf,
        /// Line and column at which the parser stopped.
        place: Option<(u64, u64)>,
        /// What is wrong there.
        reason: String,
    },
    /// The file makes no settings, and no variable does.
    #[error("the configuration {} is empty", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The file is YAML, but not one of ours.
    #[error("{} has no sections like `mqtt:`, `serial_device:` and `kamstrup:`", path.display())]
    NotSections {
        /// Which file.
        path: PathBuf,
    },
    /// Settings are missing or wrong.
    #[error("{}", problem_words(problems, warnings))]
    Problems {
        /// Each of them.
        problems: Vec<Problem>,
        /// What is odd besides: a misspelled key explains a missing one.
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

/// In the order of the file; those without a line come before the others.
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
                "copy kamstrup2mqtt.example.yaml to config.yaml, and set `host` and `com_port` in it"
            }
            Self::Unreadable { .. } => {
                "check which file it is (`--config` names another one), and that this user may read it"
            }
            Self::NotYaml { .. } => {
                "YAML goes by indentation: indent with spaces, never tabs, and put a space after \
                 each colon; a text with `:`, `#` or quotes in it needs quotes around it"
            }
            Self::Empty { .. } | Self::NotSections { .. } => {
                "see kamstrup2mqtt.example.yaml for what a file looks like"
            }
            Self::Problems { .. } => {
                "mend each of them; kamstrup2mqtt.example.yaml shows every setting"
            }
        }
    }

    /// What is wrong in all, without what is wrong with each setting.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Problems { problems, .. } => error_words(problems.len()),
            other => other.to_string(),
        }
    }

    /// What is wrong with each setting, one sentence each, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems { problems, .. } => by_line(problems),
            _ => Vec::new(),
        }
    }

    /// What is odd besides.
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

    /// What is said in all, and what to do.
    #[test]
    fn texts() {
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
