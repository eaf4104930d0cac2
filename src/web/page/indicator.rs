//! How something is, as a colour, a sign and a word.

use crate::web::language::Words;

/// How things are: a colour, a sign and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indicator {
    Good,
    Odd,
    Bad,
}

impl Indicator {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }

    /// Each of another shape.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Odd => "!",
            Self::Bad => "✕",
        }
    }

    pub(super) fn words(self, words: &Words) -> &'static str {
        match self {
            Self::Good => words.good,
            Self::Odd => words.odd,
            Self::Bad => words.bad,
        }
    }
}
