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
#[cfg(test)]
mod tests;
mod unattended;

use std::path::Path;

use home_assistant::{
    Connected, Error, JournalError, JournalFile, Metadata, Prepended, Running, Token, fill,
    prepend, undo,
};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::task::JoinError;

pub(crate) use self::counters::{LogUse, Source, Stored};
pub(crate) use self::desk::Desk;
pub(crate) use self::desk::NotStarted;
pub(crate) use self::report::{OfEntity, Report, Undone, filled_words, undone_words};
use self::stream::{Stream, Unreachable};
pub(crate) use self::task::{Repeating, repeat};
pub(crate) use self::unattended::is_universal;
use crate::config::{Access, ApiAddress};
use history::HistoryError;
use logging::LocalTime;

/// As far back as there are stored hours.
pub(crate) const ALL: SignedDuration = SignedDuration::from_hours(400 * 24);

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

/// Fills the gaps of all counters that have stored readings, not farther back than `back`. The report
/// has what was done, also if this fails or is dropped: then close it.
pub(crate) async fn fill_all(
    access: &Access,
    source: &Source,
    journal: &Path,
    back: SignedDuration,
    is_dry: bool,
    report: &mut Report,
) -> Result<(), Failed> {
    fill_telling(access, source, journal, (back, is_dry), report, |_, _| {}).await
}

/// Does the same. Before each counter, `tell` gets its number and the number of all.
async fn fill_telling(
    access: &Access,
    source: &Source,
    journal: &Path,
    (back, is_dry): (SignedDuration, bool),
    report: &mut Report,
    tell: impl Fn(usize, usize),
) -> Result<(), Failed> {
    // Without a lock, two processes could write at the same time.
    let mut journal = JournalFile::open(journal)?;
    let mut running = connected(access).await?;
    let now = LocalTime::now().timestamp();
    let since = now.checked_sub(back).unwrap_or(Timestamp::MIN);
    let mut reading = source.clone();
    if source.log_use() == LogUse::Unattended {
        report.zone = unattended::zone_trouble(&mut running, source.zone()).await?;
        if report.zone.is_some() {
            reading = reading.without_logs();
        }
    }
    let how = How { log_use: source.log_use(), is_all: back >= ALL, is_dry };
    let stored = tokio::task::spawn_blocking(move || reading.stored(since, now)).await??;
    let entities = running.entities().await?;
    journal.follow(&entities);
    let of = stored.len();
    for (index, stored) in stored.into_iter().enumerate() {
        tell(index.saturating_add(1), of);
        let of_it = |entity: &&home_assistant::Entity| entity.unique_id == stored.unique_id;
        let Some(entity) = entities.iter().find(of_it) else { continue };
        let id = &entity.entity_id;
        fill_one(&mut running, id, &stored, &mut journal, how, report).await?;
        report.note_log(id, &stored, how.log_use, how.is_all);
    }
    running.close().await;
    Ok(())
}

/// How a counter is treated.
#[derive(Debug, Clone, Copy)]
struct How {
    log_use: LogUse,
    /// Whether all stored readings are looked at.
    is_all: bool,
    is_dry: bool,
}

async fn fill_one(
    running: &mut Running<Stream>,
    entity_id: &str,
    stored: &Stored,
    journal: &mut JournalFile,
    how: How,
    report: &mut Report,
) -> Result<(), Failed> {
    let metadata = match running.metadata(entity_id).await? {
        Ok(metadata) => metadata,
        Err(reason) => {
            report.note(entity_id, OfEntity::Unsuitable(reason));
            return Ok(());
        }
    };
    let How { log_use, is_all, is_dry } = how;
    if log_use == LogUse::Unattended && journal.is_withdrawn(&metadata) {
        report.note(entity_id, OfEntity::Withdrawn);
        return Ok(());
    }
    let unit = metadata.unit();
    let Some(counter) = stored.counter_in(unit) else {
        let (ours, theirs) = (stored.unit.clone(), unit.to_owned());
        report.note(entity_id, OfEntity::Inexact { ours, theirs });
        return Ok(());
    };
    let outcome = report.begin(entity_id, unit);
    match log_use {
        LogUse::Unused => {}
        LogUse::ByHand => {
            let done = outcome.before.insert(Prepended::default());
            prepend(running, &metadata, &counter, journal, is_dry, done).await?;
        }
        LogUse::Unattended => {
            if unattended::has_begun(journal, &metadata) || is_all && stored.can_prepend() {
                let done = outcome.before.insert(Prepended::default());
                unattended::prepend(running, &metadata, &counter, journal, is_dry, done).await?;
            }
        }
    }
    if let Some(first) = counter.first() {
        // The row before the first hour may be the start of a gap.
        let how = (first.earlier(1), log_use == LogUse::ByHand, is_dry);
        fill(running, &metadata, &counter, journal, how, outcome).await?;
    }
    report.end();
    Ok(())
}

/// Takes back all that was filled. `undone` has what was taken back, also if this fails.
pub(crate) async fn undo_all(
    access: &Access,
    journal: &Path,
    undone: &mut Vec<Undone>,
) -> Result<(), Failed> {
    undo_telling(access, journal, undone, |_, _| {}).await
}

/// Does the same. Before each gap, `tell` gets its number and the number of all.
async fn undo_telling(
    access: &Access,
    journal: &Path,
    undone: &mut Vec<Undone>,
    tell: impl Fn(usize, usize),
) -> Result<(), Failed> {
    let mut journal = JournalFile::open(journal)?;
    if journal.to_undo().is_empty() {
        return Ok(());
    }
    let mut running = connected(access).await?;
    journal.follow(&running.entities().await?);
    // If this is interrupted, the program must not write these hours again.
    journal.begin_undo_of_all()?;
    let entered = journal.to_undo();
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
        undone.push(Undone { entity_id: one.statistic_id, kept: one.kept, is_changed });
        if !is_changed {
            journal.note_undone(one.number)?;
        }
    }
    running.close().await;
    Ok(())
}
