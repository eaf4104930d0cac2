//! Writes the hours before the first one that Home Assistant recorded itself, and joins the sums.
//!
//! Each step is computed from rows that are read back, so that the next run repairs a run that was
//! killed:
//!
//! 1. The journal notes the first hour of Home Assistant. After the import, its rows do not show it.
//! 2. The rows are imported in parts, the oldest first, and read back.
//! 3. The journal notes that an adjustment is sent. It is sent once, and read back.
//!
//! If a run was killed in step 3, the recorder may not have done the adjustment yet. It does one
//! task after the other. So the next run waits until it has compiled once more, before it looks.

use rust_decimal::Decimal;
use statistics::{Adjustment, Changed, Counter, Import, Joint, Refusal, Removal, before};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::metadata::Metadata;
use crate::notes::Journal;
use crate::running::Running;

/// How many rows are written in one call.
const PART: usize = 1_000;

/// What was done before the first hour that Home Assistant recorded itself, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepended {
    /// The rows.
    pub import: Option<Import>,
    /// The adjustment; for a dry run, the one after the import.
    pub raised: Option<Raised>,
    /// Why nothing was written, or no more.
    pub refused: Option<Refusal>,
    /// Whether nothing was written because it was undone before.
    pub is_undone: bool,
    /// How many hours and days are left out, because an earlier import began after them.
    pub older: usize,
}

/// All sums from an hour on were raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The first hour.
    pub from: statistics::Hour,
    /// What was added.
    pub by: Decimal,
}

impl From<Adjustment> for Raised {
    fn from(adjustment: Adjustment) -> Self {
        Self { from: adjustment.from(), by: adjustment.by() }
    }
}

/// Writes what the counter showed before the first hour that Home Assistant recorded itself. With
/// `is_dry`, only says what would be written.
pub async fn prepend<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    counter: &Counter,
    journal: &mut impl Journal,
    is_dry: bool,
) -> Result<Prepended, Error> {
    let mut done = Prepended::default();
    let begun = match journal.before(metadata) {
        Some(noted) if noted.is_undone => return Ok(Prepended { is_undone: true, ..done }),
        noted => noted,
    };
    let known = counter.oldest();
    let live = match &begun {
        Some(noted) => Some(noted.joint.live.hour),
        None => running.first_hour(metadata).await?,
    };
    let Some(live) = live else {
        return Ok(Prepended { refused: known.map(|_| Refusal::NoRow), ..done });
    };
    let written = begun.as_ref().and_then(|noted| noted.joint.oldest).map(|row| row.hour);
    let Some(from) = known.into_iter().chain(written).min().filter(|hour| *hour < live) else {
        return Ok(done);
    };
    if !is_dry && begun.as_ref().is_some_and(|noted| noted.is_sent) {
        running.caught_up().await?;
    }
    let series = running.series_between(metadata, from, live.next()).await?;
    let planned = before(&series, Some(live), counter);
    if is_dry {
        match planned {
            Err(refusal) => done.refused = Some(refusal),
            Ok(plan) => {
                done.older = plan.older;
                let raised = Raised { from: plan.first_live, by: plan.raise };
                done.raised = Some(raised).filter(|raised| !raised.by.round_dp(6).is_zero());
                done.import = plan.import;
            }
        }
        return Ok(done);
    }
    match planned {
        Err(refusal) => done.refused = Some(refusal),
        Ok(plan) => {
            done.older = plan.older;
            let Some(import) = plan.import else {
                return joined(running, metadata, journal, done).await;
            };
            if begun.is_none() {
                let first = series.rows().find(|row| row.hour == live).copied();
                let Some(first) = first else { return Ok(done) };
                let oldest = import.rows().first().copied();
                let joint = Joint { oldest, live: first, by: plan.raise };
                journal.begin(metadata, &joint).map_err(Error::Journal)?;
            }
            for part in import.parts(PART) {
                running.import(metadata, &part).await?;
            }
            done.import = Some(import);
        }
    }
    joined(running, metadata, journal, done).await
}

/// Joins the sums at the first hour that Home Assistant recorded itself, if an import was begun.
async fn joined<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    journal: &mut impl Journal,
    mut done: Prepended,
) -> Result<Prepended, Error> {
    let Some(noted) = journal.before(metadata) else { return Ok(done) };
    let Joint { oldest, live, .. } = noted.joint;
    let Some(oldest) = oldest else { return Ok(done) };
    let series = running.series_between(metadata, oldest.hour, live.hour.next()).await?;
    match Adjustment::at(&series, live.hour) {
        Err(refusal) => done.refused = Some(refusal),
        Ok(None) if noted.is_sent => {
            journal.note_sent(metadata, live.hour, false).map_err(Error::Journal)?;
        }
        Ok(None) => {}
        Ok(Some(adjustment)) => {
            adjust(running, metadata, &adjustment, journal).await?;
            done.raised = Some(adjustment.into());
        }
    }
    Ok(done)
}

/// Sends an adjustment that the journal knows, and notes that it was sent and seen.
pub(crate) async fn adjust<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    adjustment: &Adjustment,
    journal: &mut impl Journal,
) -> Result<(), Error> {
    journal.note_sent(metadata, adjustment.from(), true).map_err(Error::Journal)?;
    running.adjust(metadata, adjustment).await?;
    journal.note_sent(metadata, adjustment.from(), false).map_err(Error::Journal)
}

/// Takes back an import before the first hour, or an adjustment. The rows stay, but make no bar.
///
/// The result says whether somebody has changed the rows since: then nothing is written.
pub(crate) async fn remove<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    joint: &Joint,
    journal: &mut impl Journal,
) -> Result<Result<(), Changed>, Error> {
    let live = joint.live.hour;
    if journal.joint(metadata, live).is_some_and(|noted| noted.is_sent) {
        running.caught_up().await?;
    }
    let from = joint.oldest.map_or(live, |row| row.hour);
    let series = running.series_between(metadata, from, live.next()).await?;
    let removal = match Removal::plan(&series, joint) {
        Ok(removal) => removal,
        Err(changed) => return Ok(Err(changed)),
    };
    journal.begin_undo(metadata, live).map_err(Error::Journal)?;
    running.blank(metadata, &removal).await?;
    if let Some(adjustment) = removal.adjustment() {
        adjust(running, metadata, &adjustment, journal).await?;
    }
    Ok(Ok(()))
}
