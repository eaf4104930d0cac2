//! Problems and warnings that the checks have found so far.

use super::problem::{Problem, Warning};

#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

impl Findings {
    /// Adds those that are not in it yet.
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
