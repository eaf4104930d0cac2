//! What the checks have found so far.

use super::problem::{Problem, Warning};

/// The problems and warnings so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

impl Findings {
    /// Adds what is new.
    pub(super) fn add_new(&mut self, more: Self) {
        let Self { problems, warnings } = more;
        let is_new = |problem: &Problem| !self.problems.contains(problem);
        let problems: Vec<_> = problems.into_iter().filter(is_new).collect();
        self.problems.extend(problems);
        let is_new = |warning: &Warning| !self.warnings.contains(warning);
        let warnings: Vec<_> = warnings.into_iter().filter(is_new).collect();
        self.warnings.extend(warnings);
    }
}
