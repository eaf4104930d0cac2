//! Does what visitors of the page ask for, one work at a time. The status board ([`Board`]) has the
//! progress and the results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rust_decimal::Decimal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::report::{joint_words, remarks};
use super::{ALL, Failed, OfEntity, Repeating, Report, Undone, fill_telling, undo_telling};
use crate::filling::{FilledLine, Filling, FillingJob, Progress, Work};
use crate::status::Board;
use crate::words::capital;
use home_assistant::{JournalError, Row};

/// How many lines and remarks the page shows.
const MOST: usize = 50;

/// How long the program may fill gaps itself meanwhile.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Why a work was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// Address or token are missing, or readings are not stored.
    NotOffered,
    /// Another work is under way.
    Running,
    /// Nobody has seen yet what would be written.
    NotSeen,
}

/// Takes the requests. Clones share the work.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    with: watch::Sender<Option<Repeating>>,
    /// Stops the work that is under way.
    stop: Arc<Mutex<CancellationToken>>,
}

impl Desk {
    fn stop_token(&self) -> MutexGuard<'_, CancellationToken> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with this from now on. A work with something else is stopped.
    pub(crate) fn work_with(&self, board: &Board, with: Option<Repeating>) {
        let offered = with.is_some();
        let is_other = self.with.send_if_modified(|before| {
            let is_other = *before != with;
            *before = with;
            is_other
        });
        if is_other {
            self.stop();
            // What was seen with other settings must not be written.
            board.filling(|filling| {
                let job = filling.job.take().filter(|job| job.progress.is_running());
                *filling = Filling { offered, job };
            });
        }
    }

    /// Starts a work.
    pub(crate) fn start(&self, board: &Board, work: Work) -> Result<(), NotStarted> {
        let with = self.with.borrow().clone().ok_or(NotStarted::NotOffered)?;
        let mut result = Ok(());
        board.filling(|filling| {
            let job = filling.job.as_ref();
            let is_seen =
                job.is_some_and(|it| it.work == Work::Look && it.progress == Progress::Done);
            result = match job {
                Some(job) if job.progress.is_running() => Err(NotStarted::Running),
                _ if work == Work::Fill && !is_seen => Err(NotStarted::NotSeen),
                _ => Ok(()),
            };
            if result.is_ok() {
                filling.job = Some(FillingJob::begun(work));
            }
        });
        result?;
        let stop = CancellationToken::new();
        *self.stop_token() = stop.clone();
        let board = board.clone();
        tokio::spawn(async move {
            let mut done = Done::default();
            let ended = stop.run_until_cancelled(patiently(&board, &with, work, &mut done)).await;
            note(&board, work, ended, done);
        });
        Ok(())
    }

    /// Stops the work that is under way. What was written so far stays, and can be taken back.
    pub(crate) fn stop(&self) {
        self.stop_token().cancel();
    }
}

impl FillingJob {
    fn begun(work: Work) -> Self {
        Self {
            work,
            progress: Progress::Waiting,
            lines: Vec::new(),
            more: 0,
            remarks: Vec::new(),
            more_remarks: 0,
        }
    }
}

/// What was done, also if it has failed or was stopped.
#[derive(Default)]
struct Done {
    filled: Report,
    undone: Vec<Undone>,
}

/// Waits while the program fills gaps itself: only one may write at a time.
async fn patiently(
    board: &Board,
    with: &Repeating,
    work: Work,
    done: &mut Done,
) -> Result<(), Failed> {
    let begun = Instant::now();
    loop {
        match once(board, with, work, done).await {
            Err(Failed::Journal(JournalError::InUse)) if begun.elapsed() < PATIENCE => {
                sleep(Duration::from_secs(2)).await;
            }
            ended => return ended,
        }
    }
}

async fn once(board: &Board, with: &Repeating, work: Work, done: &mut Done) -> Result<(), Failed> {
    let Repeating { access, source, journal } = with;
    let tell = |number, of| {
        board.filling(|filling| {
            if let Some(job) = &mut filling.job {
                job.progress = Progress::At(number, of);
            }
        });
    };
    match work {
        Work::Undo => undo_telling(access, journal, &mut done.undone, tell).await,
        Work::Look | Work::Fill => {
            let is_dry = work == Work::Look;
            let report = &mut done.filled;
            fill_telling(access, source, journal, (ALL, is_dry), report, tell).await
        }
    }
}

fn note(board: &Board, work: Work, ended: Option<Result<(), Failed>>, done: Done) {
    let Done { filled: mut report, undone } = done;
    let progress = match ended {
        None => Progress::Stopped,
        Some(Err(error)) => {
            warn!("Cannot do what was requested on the page: {error}.");
            Progress::Failed(capital(&error.to_string()))
        }
        Some(Ok(())) => Progress::Done,
    };
    if progress != Progress::Done {
        report.close();
    }
    if work == Work::Fill {
        report.log();
    }
    let (mut lines, mut said) = (Vec::new(), Vec::new());
    // A look that has ended early must not look as if something was written.
    if work == Work::Fill || progress == Progress::Done {
        let is_dry = work == Work::Look;
        let of_entities = report.entities.iter();
        lines = of_entities.flat_map(|(id, done)| of_entity(id, done, is_dry)).collect();
        said = remarks(&report, is_dry);
    }
    for Undone { entity_id, kept, is_changed } in undone {
        if let Some(joint) = &kept.joint {
            let words = joint_words(joint, is_changed);
            info!("{entity_id}: {words}");
            said.push(format!("{entity_id}: {words}"));
        } else if is_changed {
            let first = kept.written.first().map(|row| row.hour.start().to_string());
            said.push(format!(
                "{entity_id}: Left the hours from {} alone: they have changed since.",
                first.unwrap_or_default()
            ));
        } else if let Some(line) = line(&entity_id, &kept.written, None) {
            let hours = line.hours;
            info!("Restored {hours} h of {entity_id} in Home Assistant's statistics.");
            lines.push(line);
        }
    }
    let (more, more_remarks) = (beyond(&mut lines), beyond(&mut said));
    board.filling(|filling| {
        filling.job = Some(FillingJob { work, progress, lines, more, remarks: said, more_remarks });
    });
}

/// Removes what does not fit on the page, and counts it.
fn beyond<T>(all: &mut Vec<T>) -> usize {
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    more
}

fn of_entity(id: &str, done: &OfEntity, is_dry: bool) -> Vec<FilledLine> {
    match done {
        OfEntity::Filled { unit, outcome } => {
            let sum = |row: &Row| outcome.final_sum(row, is_dry);
            let of_rows = |rows: &[Row]| {
                let sums = rows.first().map(sum).zip(rows.last().map(sum));
                line(id, rows, sums.map(|(first, last)| (first, last, unit.clone())))
            };
            outcome.imports().filter_map(|import| of_rows(import.rows())).collect()
        }
        OfEntity::Unsuitable(_) | OfEntity::Inexact { .. } | OfEntity::Withdrawn => Vec::new(),
    }
}

fn line(id: &str, rows: &[Row], sums: Option<(Decimal, Decimal, String)>) -> Option<FilledLine> {
    let (first, last) = rows.first().zip(rows.last())?;
    Some(FilledLine {
        entity_id: id.to_owned(),
        hours: rows.len(),
        first: first.hour.start(),
        last: last.hour.next().start(),
        sums,
    })
}
