//! Writes the hours before the first one that Home Assistant recorded itself, and joins the sums.
//!
//! Each step is computed from rows that are read back, so that the next run repairs a run that was
//! killed:
//!
//! 1. The journal notes the first hour of Home Assistant. After the import, its rows do not show it.
//! 2. The rows are imported in parts, the oldest first, and read back.
//! 3. The journal notes that an adjustment is sent. It is sent once, and read back.
//! 4. The journal notes that this is done. These sums are then never joined again: if they differ
//!    later, somebody has changed them.
//!
//! If a run was killed in step 3, the recorder may not have done the adjustment yet. It does one
//! task after the other. So the next run waits until it has compiled once more, before it looks.
//!
//! If older hours are known later, the same is done before the oldest row that was written. So the
//! journal may have several joints, each older one farther back in time than the one noted before it.
//! A joint without any row before it is void: Home Assistant's database was restored or replaced, or
//! the run was killed before the first part.

use rust_decimal::Decimal;
use statistics::{
    Adjustment, Changed, Counter, Hour, Import, Joint, Refusal, Removal, before, between,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::metadata::Metadata;
use crate::notes::{Journal, Noted};
use crate::running::Running;

/// How many rows are written in one call.
const PART: usize = 1_000;

/// What was done before the first hour that Home Assistant recorded itself, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepended {
    /// The rows.
    pub imports: Vec<Import>,
    /// The adjustments; for a dry run, those after the imports.
    pub raised: Vec<Raised>,
    /// Why nothing was written, or no more.
    pub refused: Option<Refusal>,
    /// Whether nothing was written because it was undone before.
    pub is_undone: bool,
    /// Whether rows that an earlier run has written are gone, so that they are written again.
    pub is_again: bool,
}

/// All sums from an hour on were raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The first hour.
    pub from: Hour,
    /// What was added.
    pub by: Decimal,
}

impl From<Adjustment> for Raised {
    fn from(adjustment: Adjustment) -> Self {
        Self { from: adjustment.from(), by: adjustment.by() }
    }
}

/// Writes what the counter showed before the first hour that Home Assistant recorded itself. With
/// `is_dry`, only says what would be written. `done` has what was done, also if it fails.
pub async fn prepend<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    counter: &Counter,
    journal: &mut impl Journal,
    is_dry: bool,
    done: &mut Prepended,
) -> Result<(), Error> {
    let noted = journal.before(metadata);
    let newest = noted.first();
    if newest.is_some_and(|noted| noted.is_undone) {
        done.is_undone = true;
        return Ok(());
    }
    if !is_dry && newest.is_some_and(|noted| noted.is_sent) {
        running.caught_up().await?;
    }
    let Some(first) = running.first_hour(metadata).await? else {
        done.refused = counter.oldest().map(|_| Refusal::NoRow);
        return Ok(());
    };
    let (standing, void): (Vec<_>, Vec<_>) =
        noted.into_iter().partition(|noted| first < noted.joint.live.hour);
    let is_gone = void.iter().any(|noted| noted.is_done || noted.joint.live.hour < first);
    let mut work = Work { running, metadata, counter, is_dry };
    for noted in &standing {
        if !work.is_at(&noted.joint).await? {
            done.refused = Some(Refusal::Replaced);
            return Ok(());
        }
    }
    if let Some(noted) = standing.first().filter(|noted| !noted.is_done) {
        work.complete(noted, first, journal, done).await?;
    }
    if done.refused.is_none() && counter.oldest().is_some_and(|oldest| oldest < first) {
        work.begin(first, journal, done).await?;
        done.is_again = is_gone && !done.imports.is_empty();
    }
    // In a dry run, the sums that would be joined first are not joined.
    let is_joined = done.refused.is_none() && standing.iter().all(|noted| noted.is_done);
    match standing.last().filter(|_| is_joined) {
        Some(eldest) => work.fill(eldest, first, done).await,
        None => Ok(()),
    }
}

struct Work<'a, S> {
    running: &'a mut Running<S>,
    metadata: &'a Metadata,
    counter: &'a Counter,
    is_dry: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Work<'_, S> {
    /// Whether the series still has what was there when it was joined. The entity may have been
    /// renamed to one that had statistics, or an older database may have been restored.
    async fn is_at(&mut self, joint: &Joint) -> Result<bool, Error> {
        for row in joint.oldest.iter().chain([&joint.live]) {
            let hour = row.hour;
            let series = self.running.series_between(self.metadata, hour, hour.next()).await?;
            if !series.has_state_of(row) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Completes what an earlier run has begun.
    async fn complete(
        &mut self,
        noted: &Noted,
        first: Hour,
        journal: &mut impl Journal,
        done: &mut Prepended,
    ) -> Result<(), Error> {
        let live = noted.joint.live.hour;
        let series = self.running.series_between(self.metadata, first, live.next()).await?;
        match before(&series, Some(live), self.counter) {
            Err(refusal) => done.refused = Some(refusal),
            Ok(plan) => {
                if self.is_dry {
                    done.note_raise(plan.first_live, plan.raise);
                }
                self.import(plan.import, done).await?;
            }
        }
        if self.is_dry { Ok(()) } else { self.join(live, first, journal, done).await }
    }

    /// Writes what was before the first row.
    async fn begin(
        &mut self,
        first: Hour,
        journal: &mut impl Journal,
        done: &mut Prepended,
    ) -> Result<(), Error> {
        // Rows without a state may be before it.
        let from = self.counter.oldest().map_or(first, |oldest| oldest.min(first));
        let series = self.running.series_between(self.metadata, from, first.next()).await?;
        let plan = match before(&series, None, self.counter) {
            Ok(plan) => plan,
            Err(refusal) => {
                done.refused = Some(refusal);
                return Ok(());
            }
        };
        let (Some(import), Some(live)) = (plan.import, series.rows().next().copied()) else {
            return Ok(());
        };
        if self.is_dry {
            done.note_raise(plan.first_live, plan.raise);
            return self.import(Some(import), done).await;
        }
        let oldest = import.rows().first().copied();
        let joint = Joint { oldest, live, by: plan.raise };
        journal.begin(self.metadata, &joint).map_err(Error::Journal)?;
        self.import(Some(import), done).await?;
        let from = oldest.map_or(live.hour, |row| row.hour);
        self.join(live.hour, from, journal, done).await
    }

    /// Writes hours between rows that were joined, which are known by now.
    async fn fill(
        &mut self,
        noted: &Noted,
        first: Hour,
        done: &mut Prepended,
    ) -> Result<(), Error> {
        let live = noted.joint.live.hour;
        let series = self.running.series_between(self.metadata, first, live.next()).await?;
        match between(&series, live, self.counter) {
            Err(refusal) => {
                done.refused = Some(refusal);
                Ok(())
            }
            Ok(import) => self.import(import, done).await,
        }
    }

    async fn import(&mut self, import: Option<Import>, done: &mut Prepended) -> Result<(), Error> {
        let Some(import) = import else { return Ok(()) };
        if self.is_dry {
            done.imports.push(import);
            return Ok(());
        }
        let (others, mut written) = (done.imports.len(), 0_usize);
        for part in import.parts(PART) {
            self.running.import(self.metadata, &part).await?;
            written = written.saturating_add(part.rows().len());
            done.imports.truncate(others);
            done.imports.extend(import.parts(written).next());
        }
        Ok(())
    }

    /// Joins the sums at this hour, before which there are rows from `from` on.
    async fn join(
        &mut self,
        live: Hour,
        from: Hour,
        journal: &mut impl Journal,
        done: &mut Prepended,
    ) -> Result<(), Error> {
        let series = self.running.series_between(self.metadata, from, live.next()).await?;
        match Adjustment::at(&series, live) {
            Err(refusal) => done.refused = Some(refusal),
            Ok(None) if Adjustment::is_superfluous(&series, live) => {
                journal.note_done(self.metadata, live).map_err(Error::Journal)?;
            }
            Ok(None) => {}
            Ok(Some(adjustment)) => {
                adjust(self.running, self.metadata, &adjustment, journal).await?;
                done.raised.push(adjustment.into());
            }
        }
        Ok(())
    }
}

impl Prepended {
    fn note_raise(&mut self, from: Hour, by: Decimal) {
        if !by.round_dp(6).is_zero() {
            self.raised.push(Raised { from, by });
        }
    }
}

/// Sends an adjustment that the journal knows, and notes that it is sent and that it was seen.
pub(crate) async fn adjust<S: AsyncRead + AsyncWrite + Unpin>(
    running: &mut Running<S>,
    metadata: &Metadata,
    adjustment: &Adjustment,
    journal: &mut impl Journal,
) -> Result<(), Error> {
    journal.note_sent(metadata, adjustment.from(), true).map_err(Error::Journal)?;
    running.adjust(metadata, adjustment).await?;
    journal.note_done(metadata, adjustment.from()).map_err(Error::Journal)
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
