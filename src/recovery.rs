//! What a program that stays does about a configuration that cannot be used: it says so, in the log
//! and on the page, and looks again until that is mended.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use crate::config::addon_options::OptionsError;
use crate::config::{ConfigError, Warning, warning_words};
use crate::status::{Board, Problem};
use crate::words::{capital, sentence};
use meter::RunsAs;

/// From one look at broken options to the next. Home Assistant writes them when the add-on starts, so
/// that they are mended without a start is rare.
pub const LOOK_AT_OPTIONS: Duration = Duration::from_secs(60);

/// From one look at a broken file to the next: somebody is editing it.
pub const LOOK_AT_FILE: Duration = Duration::from_secs(10);

/// So often what is broken is told.
const TELL: Duration = Duration::from_secs(60 * 60);

/// Why a configuration cannot be used.
pub trait Refusal: PartialEq {
    /// What to call the configuration in a warning.
    const WHAT: &str;

    /// Who is to mend it.
    const RUNS_AS: RunsAs;

    /// What is wrong and what to do about it.
    fn problem(&self) -> Problem;

    /// What is odd besides: a misspelled key explains a missing one.
    fn warnings(&self) -> &[Warning];
}

impl Refusal for OptionsError {
    const WHAT: &str = "options";
    const RUNS_AS: RunsAs = RunsAs::AddOn;

    fn problem(&self) -> Problem {
        Problem { words: self.to_string(), details: self.problems(), hint: self.hint().to_owned() }
    }

    fn warnings(&self) -> &[Warning] {
        self.warnings()
    }
}

impl Refusal for ConfigError {
    const WHAT: &str = "configuration";
    const RUNS_AS: RunsAs = RunsAs::Program;

    fn problem(&self) -> Problem {
        let hint = format!(
            "{}. The configuration is read again every {} seconds: once its file is mended, reading \
             begins. If a variable is to blame, start anew.",
            capital(self.hint()),
            LOOK_AT_FILE.as_secs(),
        );
        let words =
            format!("Nothing is read until the configuration is mended: {}", self.summary());
        Problem { words, details: self.problems(), hint }
    }

    fn warnings(&self) -> &[Warning] {
        self.warnings()
    }
}

/// Why a configuration is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is time.
    Time,
    /// Somebody asked for it, and waits for an answer.
    Asked,
}

/// Says what is wrong and looks again, until there is a configuration.
pub async fn settle<T, E: Refusal>(
    first: Result<T, E>,
    mut look: impl AsyncFnMut() -> (Why, Result<T, E>),
    board: &Board,
) -> T {
    let (mut why, mut result) = (Why::Time, first);
    let mut told: Option<(E, Instant)> = None;
    loop {
        let error = match result {
            Ok(mended) => {
                board.set_up(|setup| setup.problem = None);
                return mended;
            }
            Err(error) => error,
        };
        let is_old = |(known, at): &(E, Instant)| *known == error && at.elapsed() < TELL;
        if why == Why::Asked || !told.as_ref().is_some_and(is_old) {
            tell(&error, board);
            told = Some((error, Instant::now()));
        }
        (why, result) = look().await;
    }
}

fn tell<E: Refusal>(refusal: &E, board: &Board) {
    let problem = refusal.problem();
    error!("{}", sentence(&problem.words));
    for detail in &problem.details {
        error!("{}", sentence(detail));
    }
    note::<E>(refusal.warnings());
    error!("{}", problem.hint);
    board.set_up(|setup| {
        setup.warnings = warning_words(refusal.warnings(), E::RUNS_AS);
        setup.problem = Some(problem);
    });
}

/// Says what is odd in a configuration.
pub fn note<E: Refusal>(warnings: &[Warning]) {
    for warning in warning_words(warnings, E::RUNS_AS) {
        warn!("In the {}: {}", E::WHAT, sentence(&warning));
    }
}
