//! The hours, days and months that the parts of a chart show.

use jiff::ZonedDateTime;

use crate::language::{Language, fill};

/// At most this many bars have a label.
const MARKED: usize = 7;

/// The time that a bar, a point or a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Each {
    Hour,
    Day,
    Month,
}

impl Each {
    /// The heading of their column.
    pub(super) fn head(self, language: Language) -> &'static str {
        let words = language.words();
        match self {
            Self::Hour => words.time,
            Self::Day => words.day,
            Self::Month => words.month,
        }
    }

    /// Whether a bar among this many has a label.
    pub(super) fn is_marked(self, start: &ZonedDateTime, index: usize, count: usize) -> bool {
        let step = count.div_ceil(MARKED).max(1);
        match self {
            // Every fourth of 24 hours has a label, by the clock.
            Self::Hour => usize::try_from(start.hour()).unwrap_or(index).checked_rem(step),
            Self::Day | Self::Month => index.checked_rem(step),
        }
        .is_some_and(|rest| rest == 0)
    }

    /// The short name below a chart.
    pub(in crate::web) fn mark(self, time: &ZonedDateTime, language: Language) -> String {
        let words = language.words();
        match self {
            Self::Hour => time.strftime("%H:%M").to_string(),
            Self::Day => {
                let (day, month) = (time.day().to_string(), time.month().to_string());
                fill(words.day_short, &[("day", &day), ("month", &month)])
            }
            Self::Month if time.month() == 1 => time.year().to_string(),
            Self::Month => month(time, language).to_owned(),
        }
    }
}

/// The short name of a month.
pub(in crate::web) fn month(time: &ZonedDateTime, language: Language) -> &'static str {
    let index = usize::try_from(time.month().saturating_sub(1)).unwrap_or_default();
    language.words().months.split(' ').nth(index).unwrap_or_default()
}
