//! Fills gaps while the program runs.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{Failed, Report, Source, fill_all};
use crate::config::Access;
use meter::back_off::BackOff;
use meter::news::News;

/// A gap can be filled at most an hour after it has ended.
const PAUSE: Duration = Duration::from_secs(3600);

/// The pauses while Home Assistant is away. It starts within minutes.
const AWAY: BackOff = BackOff::new(Duration::from_secs(10), PAUSE);

/// How long the page or a command may write at least, before it is tried again.
const BUSY: Duration = Duration::from_secs(60);

/// How far back the first look goes: as far as there are stored hours.
const FIRST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How far back the others go.
const LATER: SignedDuration = SignedDuration::from_hours(14 * 24);

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
    let mut back = FIRST;
    let mut problems = News::default();
    let mut away = AWAY;
    loop {
        let mut pause = PAUSE;
        let mut report = Report::default();
        let done = fill_all(access, source, journal, back, false, &mut report).await;
        report.close();
        report.log();
        match done {
            Ok(()) => {
                back = LATER;
                away.reset();
                problems.is_new(None);
                debug!("Looked for gaps in Home Assistant's statistics: {report:?}.");
            }
            Err(error) => {
                // A gap may grow old before this ends.
                back = FIRST;
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
