//! Fills the gaps of a series, and takes that back.

use rust_decimal::Decimal;
use statistics::{Changed, Counter, Gap, Hour, Import, Joint, Left, Row, gaps};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::before::{Prepended, Raised, adjust, remove};
use crate::error::Error;
use crate::metadata::Metadata;
use crate::notes::{Journal, Kept};
use crate::running::Running;

/// What was done, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was done before the first hour of Home Assistant, if that was asked for.
    pub before: Option<Prepended>,
    /// The rows, gap by gap.
    pub filled: Vec<Import>,
    /// The gaps that are left alone.
    pub left: Vec<Left>,
    /// Where the sum began again at 0, so that it was raised. In a dry run, the gaps before it are
    /// not planned.
    pub repaired: Vec<Raised>,
    /// The number of gaps that are left alone because filling them was undone.
    pub undone: usize,
    /// The first row after the newest gap with hours of which the counter is not known.
    pub uncovered: Option<Hour>,
}

impl Outcome {
    /// All rows that were written, or would be.
    pub fn imports(&self) -> impl Iterator<Item = &Import> {
        let before = self.before.iter().flat_map(|before| &before.imports);
        before.chain(&self.filled)
    }

    /// Whether something was written, or would be.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        let raised = self.before.iter().flat_map(|before| &before.raised).chain(&self.repaired);
        self.imports().next().is_some() || raised.count() > 0
    }

    /// The sum of one of these rows when all is done. In a dry run, the sums that are raised before
    /// it is written are not raised yet.
    #[must_use]
    pub fn final_sum(&self, row: &Row, is_dry: bool) -> Decimal {
        let raised = self.before.iter().flat_map(|before| &before.raised).chain(&self.repaired);
        let of_it = raised.filter(|raised| is_dry && raised.from <= row.hour);
        of_it.fold(row.sum, |sum, raised| sum.saturating_add(raised.by))
    }
}

/// The most sums that are repaired in one run.
const REPAIRS: usize = 20;

/// Fills the gaps since `from`. With `may_repair`, raises sums that began again at 0. With `is_dry`,
/// only says what would be done. `outcome` has what was done, also if it fails.
pub async fn fill<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    counter: &Counter,
    journal: &mut impl Journal,
    (from, may_repair, is_dry): (Hour, bool, bool),
    outcome: &mut Outcome,
) -> Result<(), Error> {
    for _ in 0..REPAIRS {
        let series = running.series(metadata, from).await?;
        outcome.uncovered = statistics::uncovered(&series, counter, from);
        (outcome.left, outcome.undone) = (Vec::new(), 0);
        let mut is_changed = false;
        for gap in gaps(&series, counter) {
            match gap {
                Gap::Leave(left) => outcome.left.push(left),
                Gap::Fill(import) => {
                    if import.rows().iter().any(|row| journal.is_undone(metadata, row.hour)) {
                        outcome.undone = outcome.undone.saturating_add(1);
                        continue;
                    }
                    if !is_dry {
                        let kept = Kept {
                            written: import.rows().to_vec(),
                            replaced: import.replaced().to_vec(),
                            joint: None,
                        };
                        journal.keep(metadata, &kept).map_err(Error::Journal)?;
                        running.import(metadata, &import).await?;
                    }
                    outcome.filled.push(import);
                }
                Gap::Repair(_, left) if !may_repair => outcome.left.push(left),
                Gap::Repair(adjustment, left) => {
                    let at = adjustment.from();
                    let noted = journal.joint(metadata, at);
                    // Somebody has lowered the sums again.
                    if noted.is_some_and(|noted| noted.is_done && !noted.is_undone) {
                        outcome.left.push(left);
                        continue;
                    }
                    if noted.is_some_and(|noted| noted.is_undone) {
                        outcome.undone = outcome.undone.saturating_add(1);
                        continue;
                    }
                    if is_dry {
                        outcome.repaired.push(adjustment.into());
                        continue;
                    }
                    is_changed = true;
                    match noted {
                        // It may be done while these rows were read.
                        Some(noted) if noted.is_sent => {
                            running.caught_up().await?;
                            journal.note_sent(metadata, at, false).map_err(Error::Journal)?;
                            break;
                        }
                        Some(_) => {}
                        None => {
                            let (live, by) = (*adjustment.first(), adjustment.by());
                            let joint = Joint { oldest: None, live, by };
                            journal.begin(metadata, &joint).map_err(Error::Journal)?;
                        }
                    }
                    adjust(running, metadata, &adjustment, journal).await?;
                    outcome.repaired.push(adjustment.into());
                    // The rows have changed.
                    break;
                }
            }
        }
        if !is_changed {
            break;
        }
    }
    Ok(())
}

/// Takes back what was written. Rows that were replaced become what they were. The other rows of a
/// gap stay, but repeat the row before, so that all bars are what they were. Rows before the first
/// hour of Home Assistant stay without a state.
///
/// The result says whether somebody has changed the rows since: then nothing is written.
pub async fn undo<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    kept: &Kept,
    journal: &mut impl Journal,
) -> Result<Result<(), Changed>, Error> {
    if let Some(joint) = &kept.joint {
        return remove(running, metadata, joint, journal).await;
    }
    let Some(first) = kept.written.first() else { return Ok(Ok(())) };
    let from = first.hour.earlier(PATIENCE_BEFORE);
    let series = running.series(metadata, from).await?;
    match Import::undo(&series, &kept.written, &kept.replaced) {
        Err(changed) => Ok(Err(changed)),
        Ok(None) => Ok(Ok(())),
        Ok(Some(import)) => running.import(metadata, &import).await.map(Ok),
    }
}

/// How many hours before a gap the row before it is looked for.
const PATIENCE_BEFORE: i64 = 1_000;
