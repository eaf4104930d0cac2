//! Fills gaps in Home Assistant's statistics, if the settings ask for it.

use tokio::sync::watch;

use super::Services;
use crate::config::{Config, HistoryUse};
use crate::gaps::{self, LogUse, Repeating, Source};
use logging::LocalTime;

/// The filling of gaps, which follows the settings. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Gaps {
    settings: watch::Sender<Option<Repeating>>,
    services: Services,
}

impl Gaps {
    /// Begins with these settings. The future fills gaps.
    pub(super) fn new(
        config: &Config,
        services: &Services,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (settings, changes) = watch::channel(None);
        let gaps = Self { settings, services: services.clone() };
        gaps.change(config);
        (gaps, gaps::repeat(changes))
    }

    /// Follows other settings.
    pub(super) fn change(&self, config: &Config) {
        let with = self.with(config);
        self.services.desk.work_with(&self.services.board, with.clone());
        let next = with.filter(|_| config.history != HistoryUse::Off);
        self.settings.send_if_modified(|settings| {
            let is_other = *settings != next;
            *settings = next;
            is_other
        });
    }

    /// What is needed to fill gaps, whether by itself or on request.
    fn with(&self, config: &Config) -> Option<Repeating> {
        let access = config.home_assistant.clone()?;
        let reader = self.services.history.as_ref()?.reader();
        let folder = self.services.folder.as_ref()?;
        let mut source = Source::new(reader, &config.meters, &config.publishing.id_prefix);
        if config.history == HistoryUse::Full {
            let zone = LocalTime::now().time_zone().clone();
            source = source.with_logs(Some(folder.clone()), zone, LogUse::Unattended);
        }
        let journal = folder.join(gaps::JOURNAL);
        Some(Repeating { access, source, journal })
    }
}

/// Nothing is written after the program has stopped.
impl Drop for Gaps {
    fn drop(&mut self) {
        self.services.desk.work_with(&self.services.board, None);
    }
}
