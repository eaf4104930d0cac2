//! Fills gaps while the program runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::{ALL, Failed, LogUse, Report, Source, fill_all};
use crate::config::Access;
use meter::back_off::BackOff;
use meter::news::News;

/// A gap can be filled at most an hour after it has ended.
const PAUSE: Duration = Duration::from_secs(3600);

/// The pauses while Home Assistant is away. It starts within minutes.
const AWAY: BackOff = BackOff::new(Duration::from_secs(10), PAUSE);

/// How long the page or a command may write at least, before it is tried again.
const BUSY: Duration = Duration::from_secs(60);

/// How often a look goes back as far as there are stored hours. Only such a look writes what was
/// before the first hour of Home Assistant.
const WHOLE: Duration = Duration::from_secs(24 * 3600);

/// How far back the others go.
const RECENT: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What is needed to fill gaps again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeating {
    pub(crate) access: Access,
    pub(crate) source: Source,
    pub(crate) journal: PathBuf,
}

/// Fills gaps until it is dropped. It fills none while there is nothing to do it with.
pub(crate) async fn repeat(mut settings: watch::Receiver<Option<Repeating>>) {
    loop {
        let now = settings.borrow_and_update().clone();
        let filling = async {
            let Some(repeating) = now else { return std::future::pending().await };
            forever(&repeating).await;
        };
        tokio::select! {
            () = filling => {}
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

async fn forever(repeating: &Repeating) {
    let Repeating { access, source, journal } = repeating;
    let is_full = source.log_use() == LogUse::Unattended;
    let mut whole: Option<Instant> = None;
    let (mut problems, mut said) = (News::default(), BTreeSet::new());
    let mut away = AWAY;
    loop {
        let mut pause = PAUSE;
        let is_recent = whole.is_some_and(|whole| !is_full || whole.elapsed() < WHOLE);
        let back = if is_recent { RECENT } else { ALL };
        let (begun, mut report) = (Instant::now(), Report::default());
        let done = fill_all(access, source, journal, back, false, &mut report).await;
        report.close();
        report.log();
        match done {
            Ok(()) => {
                if !is_recent {
                    whole = Some(begun);
                }
                away.reset();
                problems.is_new(None);
                if is_full {
                    tell(&report, &mut said);
                }
                debug!("Looked for gaps in Home Assistant's statistics: {report:?}.");
            }
            Err(error) => {
                // A gap may grow old before this ends.
                whole = None;
                let words = error.to_string();
                if error.is_busy() {
                    debug!("{words}");
                    sleep(BUSY).await;
                    continue;
                }
                let is_new = problems.is_new(Some(words.clone()));
                // The Supervisor, or Home Assistant's machine, may start later than this one.
                if error.is_away() || matches!(error, Failed::Unreachable(..)) {
                    pause = away.pause();
                }
                if error.is_away() {
                    if is_new {
                        info!("{words}. Looking for gaps in its statistics as soon as it answers.");
                    }
                } else if is_new {
                    warn!("Cannot fill gaps in Home Assistant's statistics: {words}.");
                }
            }
        }
        sleep(pause).await;
    }
}

/// Says once why less was written than the meter has logged.
fn tell(report: &Report, said: &mut BTreeSet<String>) {
    for reason in report.reasons() {
        if !said.contains(&reason) {
            info!("{reason}");
            said.insert(reason);
        }
    }
}
