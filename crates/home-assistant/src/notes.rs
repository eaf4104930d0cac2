//! What is noted on disk before something is written.

use statistics::{Hour, Joint, Row};

use crate::metadata::Metadata;

/// What was written into a series by one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The rows that were written into a gap.
    pub written: Vec<Row>,
    /// The rows that were there before.
    pub replaced: Vec<Row>,
    /// Where sums were joined instead, with rows before it or without.
    pub joint: Option<Joint>,
}

/// A [`Joint`] that the journal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The joint.
    pub joint: Joint,
    /// Whether an adjustment was sent and was not seen yet.
    pub is_sent: bool,
    /// Whether the sums were seen joined.
    pub is_done: bool,
    /// Whether it was taken back, or that was begun.
    pub is_undone: bool,
}

/// Keeps on disk what is overwritten. When a function that changes it returns, the change must be on
/// the disk.
pub trait Journal {
    /// Stores this before it is written.
    fn keep(&mut self, metadata: &Metadata, kept: &Kept) -> Result<(), String>;

    /// Stores where sums are about to be joined, before anything is written. If rows are written
    /// before it, it replaces those at the same and at earlier hours: they have no rows any more.
    fn begin(&mut self, metadata: &Metadata, joint: &Joint) -> Result<(), String>;

    /// Notes for the joint at this hour that an adjustment is about to be sent, or that it is not
    /// known any more whether one was.
    fn note_sent(&mut self, metadata: &Metadata, at: Hour, is_sent: bool) -> Result<(), String>;

    /// Notes for the joint at this hour that its sums were seen joined.
    fn note_done(&mut self, metadata: &Metadata, at: Hour) -> Result<(), String>;

    /// Notes that taking back the joint at this hour begins.
    fn begin_undo(&mut self, metadata: &Metadata, at: Hour) -> Result<(), String>;

    /// The joint at this hour.
    fn joint(&self, metadata: &Metadata, at: Hour) -> Option<Noted>;

    /// The joints that have rows before them, newest first.
    fn before(&self, metadata: &Metadata) -> Vec<Noted>;

    /// Whether filling this hour was undone. Then it is left alone.
    fn is_undone(&self, metadata: &Metadata, hour: Hour) -> bool;
}
