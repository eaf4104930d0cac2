//! What a program that stays does about a configuration that cannot be used: it reports it, in the
//! log and on the page, and reads it again until it is fixed.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use crate::config::addon_options::OptionsError;
use crate::config::{ConfigError, Warning, warning_words};
use crate::status::{Board, ReportedProblem};
use crate::words::{capital, sentence};
use meter::RunsAs;
use meter::news::News;

/// Between two looks at invalid options. Home Assistant writes them when the add-on starts, so they
/// rarely change without a start.
pub(crate) const LOOK_AT_OPTIONS: Duration = Duration::from_secs(60);

/// Between two looks at an invalid file: somebody is editing it.
pub(crate) const LOOK_AT_FILE: Duration = Duration::from_secs(10);

/// How often the same error is reported.
const REPORT: Duration = Duration::from_secs(60 * 60);

/// Why a configuration cannot be used.
pub(crate) trait InvalidConfiguration: Clone + PartialEq {
    /// What to call the configuration in a warning.
    const WHAT: &str;

    /// Who is to fix it.
    const RUNS_AS: RunsAs;

    /// What is wrong and what to do about it.
    fn problem(&self) -> ReportedProblem;

    /// What else is odd: a misspelled key explains a missing one.
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
            "{}. The configuration is read again every {} seconds: once its file is mended, reading \
             begins. If a variable is to blame, start anew.",
            capital(self.hint()),
            LOOK_AT_FILE.as_secs(),
        );
        let words =
            format!("Nothing is read until the configuration is mended: {}", self.summary());
        ReportedProblem { words, details: self.problems(), hint }
    }

    fn warnings(&self) -> &[Warning] {
        self.warnings()
    }
}

/// Why a configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is time.
    Time,
    /// Somebody asked for it, and waits for an answer.
    Asked,
}

/// Reports what is wrong and reads the configuration again, until it can be used.
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
    error!("{}", sentence(&problem.words));
    for detail in &problem.details {
        error!("{}", sentence(detail));
    }
    log_warnings::<E>(invalid.warnings());
    error!("{}", problem.hint);
    board.set_up(|setup| {
        setup.warnings = warning_words(invalid.warnings(), E::RUNS_AS);
        setup.problem = Some(problem);
    });
}

/// Logs what is odd in a configuration.
pub(crate) fn log_warnings<E: InvalidConfiguration>(warnings: &[Warning]) {
    for warning in warning_words(warnings, E::RUNS_AS) {
        warn!("In the {}: {}", E::WHAT, sentence(&warning));
    }
}
