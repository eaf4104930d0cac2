//! For a program that does not exit because of an invalid configuration: reports the errors in the
//! log and on the page, and reads the configuration again until they are fixed.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use crate::config::addon_options::OptionsError;
use crate::config::{ConfigError, Warning, warning_words};
use crate::status::{Board, ReportedProblem};
use crate::words::{capital, sentence};
use meter::RunsAs;
use meter::news::News;

/// How often invalid options are read again. Home Assistant writes them when the app starts, so
/// they rarely change later.
pub(crate) const LOOK_AT_OPTIONS: Duration = Duration::from_secs(60);

/// How often an invalid file is read again. Somebody is editing it.
pub(crate) const LOOK_AT_FILE: Duration = Duration::from_secs(10);

/// How often the same error is reported.
const REPORT: Duration = Duration::from_secs(60 * 60);

/// Why a configuration is invalid.
pub(crate) trait InvalidConfiguration: Clone + PartialEq {
    /// What to call the configuration in a warning.
    const WHAT: &str;

    /// Who reads the message and fixes it.
    const RUNS_AS: RunsAs;

    /// What is wrong and what to do about it.
    fn problem(&self) -> ReportedProblem;

    /// The warnings. A misspelled key explains a missing one.
    fn warnings(&self) -> &[Warning];
}

impl InvalidConfiguration for OptionsError {
    const WHAT: &str = "options";
    const RUNS_AS: RunsAs = RunsAs::AddOn;

    fn problem(&self) -> ReportedProblem {
        ReportedProblem {
            words: self.to_string(),
            details: self.problems(),
            hint: self.hint().to_owned(),
        }
    }

    fn warnings(&self) -> &[Warning] {
        self.warnings()
    }
}

impl InvalidConfiguration for ConfigError {
    const WHAT: &str = "configuration";
    const RUNS_AS: RunsAs = RunsAs::Program;

    fn problem(&self) -> ReportedProblem {
        let hint = format!(
            "{}. kamstrup2mqtt reads the file again every {} seconds, and starts when it is valid. If \
             the error is in an environment variable, correct the variable, then restart \
             kamstrup2mqtt.",
            capital(self.hint()),
            LOOK_AT_FILE.as_secs(),
        );
        let words =
            format!("No meter is read until the configuration is fixed: {}", self.summary());
        ReportedProblem { words, details: self.problems(), hint }
    }

    fn warnings(&self) -> &[Warning] {
        self.warnings()
    }
}

/// Why a configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The time between two looks has passed.
    Time,
    /// Somebody asked for it, and waits for an answer.
    Asked,
}

/// Reports what is wrong and reads the configuration again, until it is valid.
pub(crate) async fn settle<T, E: InvalidConfiguration>(
    first: Result<T, E>,
    mut look: impl AsyncFnMut() -> (Why, Result<T, E>),
    board: &Board,
) -> T {
    let mut why = Why::Time;
    let mut result = first;
    let mut news = News::default();
    let mut reported_at = Instant::now();
    loop {
        let error = match result {
            Ok(fixed) => {
                board.set_up(|setup| setup.problem = None);
                return fixed;
            }
            Err(error) => error,
        };
        if why == Why::Asked || reported_at.elapsed() >= REPORT {
            news.forget();
        }
        if news.is_new(error.clone()) {
            report(&error, board);
            reported_at = Instant::now();
        }
        (why, result) = look().await;
    }
}

fn report<E: InvalidConfiguration>(invalid: &E, board: &Board) {
    let problem = invalid.problem();
    log_problem(&problem.words, &problem.details);
    log_warnings::<E>(invalid.warnings());
    error!("{}", problem.hint);
    board.set_up(|setup| {
        setup.warnings = warning_words(invalid.warnings(), E::RUNS_AS);
        setup.problem = Some(problem);
    });
}

/// Logs what is wrong with a configuration, with one line for each detail. Each text is a kind of
/// its own, so that somebody who saves a file often still sees each error that is new.
pub(crate) fn log_problem(words: &str, details: &[String]) {
    error!(kind = words, "{}", sentence(words));
    for detail in details {
        error!(kind = detail, "{}", sentence(detail));
    }
}

/// Logs the warnings about a configuration. Each text is a kind of its own.
pub(crate) fn log_warnings<E: InvalidConfiguration>(warnings: &[Warning]) {
    for warning in warning_words(warnings, E::RUNS_AS) {
        warn!(kind = warning, "In the {}: {}", E::WHAT, sentence(&warning));
    }
}
