//! What visitors of the page ask to be done with Home Assistant's statistics, and how far it is.

use jiff::Timestamp;
use rust_decimal::Decimal;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Show what would be written.
    Look,
    /// Fill the gaps.
    Fill,
    /// Take back everything that was filled.
    Undo,
}

/// Whether the page offers this, and what was asked for last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filling {
    /// Whether address and token of Home Assistant are known, and readings are stored.
    pub offered: bool,
    /// The last work.
    pub job: Option<FillingJob>,
}

/// One work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FillingJob {
    pub work: Work,
    pub progress: Progress,
    /// What was written or would be. There are at most as many as fit on a page.
    pub lines: Vec<FilledLine>,
    /// How many lines did not fit.
    pub more: usize,
    /// What was left alone, and why: one English sentence each. Their number is limited too.
    pub remarks: Vec<String>,
    /// How many remarks did not fit.
    pub more_remarks: usize,
}

/// How far a work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits until Home Assistant can be read and written.
    Waiting,
    /// It is at this entity, or at this gap that is restored, of so many.
    At(usize, usize),
    /// Everything was done.
    Done,
    /// It was stopped.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl Progress {
    /// Whether the work is under way.
    #[must_use]
    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Waiting | Self::At(..))
    }
}

/// A gap of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilledLine {
    pub entity_id: String,
    pub hours: usize,
    /// The start of the first hour.
    pub first: Timestamp,
    /// The end of the last one.
    pub last: Timestamp,
    /// Home Assistant's sum at both, in this unit; `None` for what was taken back.
    pub sums: Option<(Decimal, Decimal, String)>,
}
