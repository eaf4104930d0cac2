//! The state of something, as a colour, a sign and a word.

use crate::language::Words;

/// The state of something; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Indicator {
    Good,
    /// Nothing has been read or connected yet.
    Starting,
    Odd,
    Bad,
}

impl Indicator {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Starting => "starting",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }

    /// Each has another shape, for those who see no colours.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Starting => "…",
            Self::Odd => "!",
            Self::Bad => "✕",
        }
    }

    pub(super) fn words(self, words: &Words) -> &'static str {
        match self {
            Self::Good => words.good,
            Self::Starting => words.starting,
            Self::Odd => words.odd,
            Self::Bad => words.bad,
        }
    }
    /// The icon of the browser's tab: another shape too, because a tab has no room for words.
    pub(super) fn icon(self) -> &'static str {
        match self {
            Self::Good | Self::Starting => "icon.svg",
            Self::Odd => "icon-odd.svg",
            Self::Bad => "icon-bad.svg",
        }
    }

    /// The title of the window. Trouble comes first, because a tab cuts the end off.
    pub(super) fn title(self, words: &Words) -> String {
        let title = format!("{} – kamstrup2mqtt", words.title);
        match self {
            Self::Good | Self::Starting => title,
            Self::Odd | Self::Bad => format!("{} {} – {title}", self.sign(), self.words(words)),
        }
    }
}
