//! Fills gaps in Home Assistant's statistics with stored readings and with what the meter has logged,
//! and writes the hours before its first one.
//!
//! After an outage, Home Assistant lacks hours of a counter, or has hours that repeat the one
//! before. The energy dashboard then shows all that was used in one bar. If the program has read the
//! meter meanwhile, the true bars are known.
//!
//! `home_assistant` has the rules for writing, `statistics` finds the gaps. This module brings them
//! readings of the same meter in the right unit ([`counters`]) and a connection ([`stream`]).

mod counters;
mod desk;
mod report;
mod stream;
mod task;

use std::path::Path;

use home_assistant::{
    Connected, Error, JournalError, JournalFile, Metadata, Outcome, Prepended, Running, Token,
    fill, prepend, undo,
};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::task::JoinError;

pub(crate) use self::counters::{Source, Stored};
pub(crate) use self::desk::Desk;
pub(crate) use self::desk::NotStarted;
pub(crate) use self::report::{OfEntity, Report, Undone, filled_words, undone_words};
use self::stream::{Stream, Unreachable};
pub(crate) use self::task::{Repeating, repeat};
use crate::config::{Access, ApiAddress};
use history::HistoryError;
use logging::LocalTime;

/// The file of what was overwritten, in the folder of the program's state.
pub(crate) const JOURNAL: &str = "home-assistant-statistics.json";

/// Why no gap is filled.
#[derive(Debug, Error)]
pub(crate) enum Failed {
    #[error("cannot connect to Home Assistant at {0}: {1}")]
    Unreachable(ApiAddress, Unreachable),
    #[error("{0}")]
    HomeAssistant(#[from] Error),
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("cannot read the stored readings: {0}")]
    NoThread(#[from] JoinError),
}

impl Failed {
    /// Whether Home Assistant has not started yet, so that waiting helps.
    fn is_away(&self) -> bool {
        matches!(self, Self::HomeAssistant(Error::Away(_)))
    }

    /// Whether another part of the program, or a command, writes statistics now.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Journal(JournalError::InUse))
    }
}

/// Connects, and waits until Home Assistant can be read and written. This takes up to five minutes,
/// or longer while it starts.
async fn connected(access: &Access) -> Result<Running<Stream>, Failed> {
    let Access { address, token } = access;
    let opened = stream::open(address).await;
    let stream = opened.map_err(|reason| Failed::Unreachable(address.clone(), reason))?;
    let token = Token::new(token.reveal());
    let connected = Connected::open(stream, &stream::server(address), &token).await?;
    Ok(connected.running(|| LocalTime::now().timestamp()).await?)
}

/// Fills the gaps of all counters that have stored readings, not farther back than `back`.
pub(crate) async fn fill_all(
    access: &Access,
    source: &Source,
    journal: &Path,
    back: SignedDuration,
    is_dry: bool,
) -> Result<Report, Failed> {
    fill_telling(access, source, journal, back, is_dry, |_, _| {}).await
}

/// Does the same. Before each counter, `tell` gets its number and the number of all.
async fn fill_telling(
    access: &Access,
    source: &Source,
    journal: &Path,
    back: SignedDuration,
    is_dry: bool,
    tell: impl Fn(usize, usize),
) -> Result<Report, Failed> {
    // Without a lock, two processes could write at the same time.
    let mut journal = JournalFile::open(journal)?;
    let mut running = connected(access).await?;
    let now = LocalTime::now().timestamp();
    let since = now.checked_sub(back).unwrap_or(Timestamp::MIN);
    let reading = source.clone();
    let stored = tokio::task::spawn_blocking(move || reading.stored(since, now)).await??;
    let entities = running.entities().await?;
    let mut report = Report::default();
    let of = stored.len();
    for (index, stored) in stored.into_iter().enumerate() {
        tell(index.saturating_add(1), of);
        let of_it = |entity: &&home_assistant::Entity| entity.unique_id == stored.unique_id;
        let Some(entity) = entities.iter().find(of_it) else { continue };
        let id = entity.entity_id.clone();
        let is_full = source.is_full();
        let done = fill_one(&mut running, &id, &stored, &mut journal, (is_full, is_dry)).await?;
        report.has_no_log |= is_full && !stored.has_log;
        if !stored.log_fits() {
            report.odd_logs.push(id.clone());
        }
        report.entities.push((id, done));
    }
    running.close().await;
    Ok(report)
}

async fn fill_one(
    running: &mut Running<Stream>,
    entity_id: &str,
    stored: &Stored,
    journal: &mut JournalFile,
    (is_full, is_dry): (bool, bool),
) -> Result<OfEntity, Failed> {
    let metadata = match running.metadata(entity_id).await? {
        Ok(metadata) => metadata,
        Err(reason) => return Ok(OfEntity::Unsuitable(reason)),
    };
    let unit = metadata.unit().to_owned();
    let Some(counter) = stored.counter_in(&unit) else {
        return Ok(OfEntity::Inexact { ours: stored.unit.clone(), theirs: unit });
    };
    let mut outcome = Outcome::default();
    if is_full {
        let done = outcome.before.insert(Prepended::default());
        prepend(running, &metadata, &counter, journal, is_dry, done).await?;
    }
    if let Some(first) = counter.first() {
        // The row before the first hour may be the start of a gap.
        let from = first.earlier(1);
        let may_repair = is_full;
        let how = (from, may_repair, is_dry);
        fill(running, &metadata, &counter, journal, how, &mut outcome).await?;
    }
    Ok(OfEntity::Filled { unit, outcome })
}

/// Takes back all that was filled.
pub(crate) async fn undo_all(access: &Access, journal: &Path) -> Result<Vec<Undone>, Failed> {
    undo_telling(access, journal, |_, _| {}).await
}

/// Does the same. Before each gap, `tell` gets its number and the number of all.
async fn undo_telling(
    access: &Access,
    journal: &Path,
    tell: impl Fn(usize, usize),
) -> Result<Vec<Undone>, Failed> {
    let mut journal = JournalFile::open(journal)?;
    let entered = journal.to_undo();
    if entered.is_empty() {
        return Ok(Vec::new());
    }
    let mut running = connected(access).await?;
    let mut all = Vec::new();
    let of = entered.len();
    for (index, one) in entered.into_iter().enumerate() {
        tell(index.saturating_add(1), of);
        let metadata: Option<Metadata> = running.metadata(&one.statistic_id).await?.ok();
        let metadata = metadata.filter(|metadata| metadata.unit() == one.unit);
        let is_changed = match metadata {
            Some(metadata) => {
                undo(&mut running, &metadata, &one.kept, &mut journal).await?.is_err()
            }
            None => true,
        };
        if !is_changed {
            journal.note_undone(one.number)?;
        }
        all.push(Undone { entity_id: one.statistic_id, kept: one.kept, is_changed });
    }
    running.close().await;
    Ok(all)
}
