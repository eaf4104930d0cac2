//! Fills the gaps of a series, and takes that back.

use statistics::{Changed, Counter, Gap, Hour, Import, Left, Row, gaps};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::metadata::Metadata;
use crate::running::Running;

/// What was written into a series by one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The rows that were written.
    pub written: Vec<Row>,
    /// The rows that were there before.
    pub replaced: Vec<Row>,
}

/// Keeps on disk what is overwritten.
pub trait Journal {
    /// Stores this before it is written. When it returns, it must be on the disk.
    fn keep(&mut self, metadata: &Metadata, kept: &Kept) -> Result<(), String>;

    /// Whether filling this hour was undone. Then it is left alone.
    fn is_undone(&self, metadata: &Metadata, hour: Hour) -> bool;
}

/// What was done, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The rows, gap by gap.
    pub filled: Vec<Import>,
    /// The gaps that are left alone.
    pub left: Vec<Left>,
    /// The hours after which the sum begins again at 0, which is not repaired.
    pub restarted: Vec<Hour>,
    /// The number of gaps that are left alone because filling them was undone.
    pub undone: usize,
}

/// Fills the gaps since `from`. With `is_dry`, only says what would be filled.
pub async fn fill<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    counter: &Counter,
    from: Hour,
    journal: &mut impl Journal,
    is_dry: bool,
) -> Result<Outcome, Error> {
    let series = running.series(metadata, from).await?;
    let mut outcome = Outcome::default();
    for gap in gaps(&series, counter) {
        match gap {
            Gap::Fill(import) => {
                if import.rows().iter().any(|row| journal.is_undone(metadata, row.hour)) {
                    outcome.undone = outcome.undone.saturating_add(1);
                    continue;
                }
                if !is_dry {
                    let kept = Kept {
                        written: import.rows().to_vec(),
                        replaced: import.replaced().to_vec(),
                    };
                    journal.keep(metadata, &kept).map_err(Error::Journal)?;
                    running.import(metadata, &import).await?;
                }
                outcome.filled.push(import);
            }
            Gap::Repair(adjustment) => outcome.restarted.push(adjustment.from()),
            Gap::Leave(left) => outcome.left.push(left),
        }
    }
    Ok(outcome)
}

/// Takes back what was written. Rows that were replaced become what they were. The other rows stay,
/// but repeat the row before, so that all bars are what they were.
///
/// The result says whether somebody has changed the rows since: then nothing is written.
pub async fn undo<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    kept: &Kept,
) -> Result<Result<(), Changed>, Error> {
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
